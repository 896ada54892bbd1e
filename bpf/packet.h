/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_PACKET_H
#define MARTLET_PACKET_H

/* What a packet says of itself: RFC 791, 8200 (headers), 792 and 4443 (ICMP), 9293 (TCP). */

#include "common.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_FRAGMENT_OFFSET 0xfff8
/* Linux itself emits at most hop-by-hop, destination, routing and fragment headers. */
#define IPV6_EXTENSIONS_MAX 6

#define ICMPV4_ECHO_REPLY 0
#define ICMPV4_UNREACHABLE 3
#define ICMPV4_ECHO 8
#define ICMPV4_TIME_EXCEEDED 11
#define ICMPV4_PARAMETER_PROBLEM 12
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_PARAMETER_PROBLEM 4
#define ICMPV6_ECHO 128
#define ICMPV6_ECHO_REPLY 129

/* What conntrack and policy look at; for an ICMP error the connection that it is about. */
struct tuple {
	struct martlet_addr source;
	struct martlet_addr destination;
	__be16 source_port; /* ICMP echo: as in struct martlet_ct_key */
	__be16 destination_port;
	__u8 protocol;
	__u8 pad[3];
};

enum packet_flags {
	PACKET_IPV4 = 1 << 0,
	PACKET_FIRST_FRAGMENT = 1 << 1,
	PACKET_LATER_FRAGMENT = 1 << 2,
	PACKET_STATELESS = 1 << 3, /* ICMP that is neither echo nor about a connection */
	PACKET_RELATED = 1 << 4,   /* ICMP error: the tuple is that of the connection */
};

struct packet {
	struct martlet_addr source;
	struct martlet_addr destination;
	struct tuple tuple;
	__u32 fragment_id;
	__u32 end; /* offset of the first octet behind the IP datagram */
	__u32 l4;  /* offset of the transport header */
	__u8 flags;
	__u8 protocol;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 hop_limit;
	__u8 fragment_units; /* offset in units of 8 octets, at most 255 is told */
	__u8 pad;
};

struct l4_head {
	__be16 source_port;
	__be16 destination_port;
	__be32 sequence;
	__be32 acknowledgment;
	__u8 data_offset;
	__u8 flags;
	__u16 pad;
};
#define TCP_HEAD_NEEDED 14

struct icmp_head {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 identifier;
	__be16 sequence;
};

/* Makes the first `length` octets readable in place, if the packet has them. */
INLINE void packet_linearize(struct __sk_buff *skb, __u32 length)
{
	if ((void *)(long)skb->data + length > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, length);
}

INLINE void packet_fragment(struct packet *packet, __u32 id, __u32 offset_units, bool more)
{
	packet->fragment_id = id;
	if (offset_units) {
		packet->flags |= PACKET_LATER_FRAGMENT;
		packet->fragment_units = offset_units > 255 ? 255 : offset_units;
	} else if (more) {
		packet->flags |= PACKET_FIRST_FRAGMENT;
	}
}

/* Returns 0 or a negative drop reason; fills everything up to `l4`. */
INLINE int packet_parse_ipv4(struct __sk_buff *skb, struct packet *packet)
{
	struct iphdr *ip;
	__u32 length, header;
	__u16 fragment;

	packet_linearize(skb, ETH_HLEN + sizeof(*ip));
	ip = (void *)(long)skb->data + ETH_HLEN;
	if ((void *)(ip + 1) > (void *)(long)skb->data_end)
		return -MARTLET_DROP_INVALID_PACKET;
	header = ip->ihl * 4;
	length = bpf_ntohs(ip->tot_len);
	/* A segment larger than 64 KiB that is still to be split carries no length. */
	if (!length && skb->gso_segs)
		length = skb->len - ETH_HLEN;
	if (ip->version != 4 || header < sizeof(*ip) || length < header ||
	    length > skb->len - ETH_HLEN)
		return -MARTLET_DROP_INVALID_PACKET;
	packet->flags = PACKET_IPV4;
	packet->source = address_from_ipv4(ip->saddr);
	packet->destination = address_from_ipv4(ip->daddr);
	packet->protocol = ip->protocol;
	packet->hop_limit = ip->ttl;
	packet->end = ETH_HLEN + length;
	packet->l4 = ETH_HLEN + header;
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET))
		packet_fragment(packet, ip->id, fragment & IPV4_FRAGMENT_OFFSET,
				fragment & IPV4_MORE_FRAGMENTS);
	return 0;
}

INLINE int packet_parse_ipv6_extensions(struct __sk_buff *skb, struct packet *packet, __u8 next)
{
	__u32 offset = ETH_HLEN + sizeof(struct ipv6hdr);
	int i;

	for (i = 0; i <= IPV6_EXTENSIONS_MAX; i++) {
		struct {
			__u8 next;
			__u8 length;
			__u8 type_or_offset_high;
			__u8 left_or_offset_low;
			__be32 id;
		} header;
		__u16 fragment;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT) {
			packet->protocol = next;
			packet->l4 = offset;
			return 0;
		}
		if (offset + sizeof(header) > packet->end ||
		    bpf_skb_load_bytes(skb, offset, &header, sizeof(header)))
			return -MARTLET_DROP_INVALID_IPV6_EXTENSION;
		if (next == IPPROTO_FRAGMENT) {
			if (packet->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT))
				return -MARTLET_DROP_INVALID_IPV6_EXTENSION;
			fragment = header.type_or_offset_high << 8 | header.left_or_offset_low;
			packet_fragment(packet, header.id, fragment >> 3,
					fragment & IPV6_MORE_FRAGMENTS);
			offset += 8;
			next = header.next;
			if (packet->flags & PACKET_LATER_FRAGMENT) {
				packet->protocol = next;
				packet->l4 = offset;
				return 0;
			}
			continue;
		}
		/* With segments left the packet would travel on to an address nobody judged. */
		if (next == IPPROTO_ROUTING && header.left_or_offset_low)
			return -MARTLET_DROP_INVALID_IPV6_EXTENSION;
		offset += 8 + header.length * 8;
		next = header.next;
	}
	return -MARTLET_DROP_INVALID_IPV6_EXTENSION;
}

/* Returns 0 or a negative drop reason; fills everything up to `l4`. */
INLINE int packet_parse_ipv6(struct __sk_buff *skb, struct packet *packet)
{
	struct ipv6hdr *ip;
	__u32 length;

	packet_linearize(skb, ETH_HLEN + sizeof(*ip));
	ip = (void *)(long)skb->data + ETH_HLEN;
	if ((void *)(ip + 1) > (void *)(long)skb->data_end)
		return -MARTLET_DROP_INVALID_PACKET;
	length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	if (!ip->payload_len && skb->gso_segs)
		length = skb->len - ETH_HLEN;
	if (ip->version != 6 || length > skb->len - ETH_HLEN)
		return -MARTLET_DROP_INVALID_PACKET;
	packet->flags = 0;
	packet->source = address_from_ipv6(&ip->saddr);
	packet->destination = address_from_ipv6(&ip->daddr);
	packet->hop_limit = ip->hop_limit;
	packet->end = ETH_HLEN + length;
	/* An IPv4 packet's addresses have this form inside; on the wire nobody may claim it. */
	if ((!packet->source.hi && address_word(&packet->source, 2) == bpf_htonl(0xffff)) ||
	    (!packet->destination.hi && address_word(&packet->destination, 2) == bpf_htonl(0xffff)))
		return -MARTLET_DROP_INVALID_PACKET;
	return packet_parse_ipv6_extensions(skb, packet, ip->nexthdr);
}

INLINE bool icmp_is_echo_request(__u8 protocol, __u8 type)
{
	return type == (protocol == IPPROTO_ICMP ? ICMPV4_ECHO : ICMPV6_ECHO);
}

INLINE bool icmp_is_echo_reply(__u8 protocol, __u8 type)
{
	return type == (protocol == IPPROTO_ICMP ? ICMPV4_ECHO_REPLY : ICMPV6_ECHO_REPLY);
}

INLINE bool icmp_is_error(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMP)
		return type == ICMPV4_UNREACHABLE || type == ICMPV4_TIME_EXCEEDED ||
		       type == ICMPV4_PARAMETER_PROBLEM;
	return type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM;
}

/* The tuple of a packet that is no ICMP error, without ports. */
INLINE void packet_plain_tuple(struct packet *packet)
{
	packet->tuple.source = packet->source;
	packet->tuple.destination = packet->destination;
	packet->tuple.source_port = 0;
	packet->tuple.destination_port = 0;
	packet->tuple.protocol = packet->protocol;
}

/*
 * The packet that an ICMP error cites was sent by the error's receiver: seen from the sender of the
 * error, the connection's packet in this direction is the cited one reversed. Leaves the packet
 * stateless when what is cited can not be a tracked connection.
 */
INLINE void packet_parse_cited(struct __sk_buff *skb, struct packet *packet)
{
	__u32 offset = packet->l4 + sizeof(struct icmp_head);
	struct tuple cited = {};
	struct icmp_head head;

	packet->flags |= PACKET_STATELESS;
	if (packet->flags & PACKET_IPV4) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || ip.version != 4 ||
		    ip.ihl < 5 || ip.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
			return;
		offset += ip.ihl * 4;
		cited.source = address_from_ipv4(ip.daddr);
		cited.destination = address_from_ipv4(ip.saddr);
		cited.protocol = ip.protocol;
	} else {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || ip.version != 6)
			return;
		offset += sizeof(ip);
		cited.source = address_from_ipv6(&ip.daddr);
		cited.destination = address_from_ipv6(&ip.saddr);
		cited.protocol = ip.nexthdr;
	}
	if (offset + sizeof(head) > packet->end ||
	    bpf_skb_load_bytes(skb, offset, &head, sizeof(head)))
		return;
	if (!address_equal(&cited.destination, &packet->destination))
		return;
	switch (cited.protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		cited.source_port = head.checksum;
		cited.destination_port = ((const __be16 *)&head)[0];
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (cited.protocol != packet->protocol)
			return;
		if (icmp_is_echo_request(cited.protocol, head.type))
			cited.destination_port = head.identifier;
		else if (icmp_is_echo_reply(cited.protocol, head.type))
			cited.source_port = head.identifier;
		else
			return;
		break;
	default:
		return;
	}
	packet->tuple = cited;
	packet->flags &= ~PACKET_STATELESS;
	packet->flags |= PACKET_RELATED;
}

INLINE int packet_parse_icmp(struct __sk_buff *skb, struct packet *packet)
{
	struct icmp_head head;

	if (packet->l4 + sizeof(head) > packet->end ||
	    bpf_skb_load_bytes(skb, packet->l4, &head, sizeof(head)))
		return -MARTLET_DROP_CT_INVALID_HEADER;
	packet->icmp_type = head.type;
	packet->icmp_code = head.code;
	if (icmp_is_echo_request(packet->protocol, head.type))
		packet->tuple.source_port = head.identifier;
	else if (icmp_is_echo_reply(packet->protocol, head.type))
		packet->tuple.destination_port = head.identifier;
	else if (icmp_is_error(packet->protocol, head.type))
		packet_parse_cited(skb, packet);
	else
		packet->flags |= PACKET_STATELESS;
	return 0;
}

/* Returns 0 or a negative drop reason; fills the tuple of a packet that carries its own header. */
INLINE int packet_parse_l4(struct __sk_buff *skb, struct packet *packet)
{
	struct l4_head head = {};
	__u32 room = packet->end - packet->l4;

	if (packet->l4 > packet->end)
		return -MARTLET_DROP_CT_INVALID_HEADER;
	switch (packet->protocol) {
	case IPPROTO_TCP:
		if (room < 20 || bpf_skb_load_bytes(skb, packet->l4, &head, TCP_HEAD_NEEDED))
			return -MARTLET_DROP_CT_INVALID_HEADER;
		if ((head.data_offset >> 4) < 5 || (head.data_offset >> 4) * 4U > room)
			return -MARTLET_DROP_CT_INVALID_HEADER;
		if (head.flags & TCP_SYN && head.flags & (TCP_FIN | TCP_RST))
			return -MARTLET_DROP_CT_INVALID_HEADER;
		packet->tcp_flags = head.flags;
		break;
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (room < 8 || bpf_skb_load_bytes(skb, packet->l4, &head, 8))
			return -MARTLET_DROP_CT_INVALID_HEADER;
		break;
	default:
		return packet_parse_icmp(skb, packet);
	}
	packet->tuple.source_port = head.source_port;
	packet->tuple.destination_port = head.destination_port;
	return 0;
}

INLINE bool packet_protocol_is_known(const struct packet *packet)
{
	switch (packet->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return true;
	case IPPROTO_ICMP:
		return packet->flags & PACKET_IPV4;
	case IPPROTO_ICMPV6:
		return !(packet->flags & PACKET_IPV4);
	default:
		return false;
	}
}

#endif
