/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_PACKET_H
#define MARTLET_PACKET_H

/* What a packet's network header says: RFC 791 and 8200. */

#include "ctx.h"

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_FRAGMENT_OFFSET 0xfff8
/* Linux itself emits at most hop-by-hop, destination, routing and fragment headers. */
#define IPV6_EXTENSIONS_MAX 6

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
INLINE int packet_parse_ipv4(packet_context *ctx, struct packet *packet)
{
	struct iphdr *ip;
	__u32 length, header;
	__u16 fragment;

	ctx_pull(ctx, ETH_HLEN + sizeof(*ip));
	ip = (void *)(long)ctx->data + ETH_HLEN;
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return -MARTLET_DROP_INVALID_PACKET;
	header = ip->ihl * 4;
	length = bpf_ntohs(ip->tot_len);
	/* A segment larger than 64 KiB that is still to be split carries no length. */
	if (!length && ctx_is_train(ctx))
		length = ctx_length(ctx) - ETH_HLEN;
	if (ip->version != 4 || header < sizeof(*ip) || length < header ||
	    length > ctx_length(ctx) - ETH_HLEN)
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

INLINE int packet_parse_ipv6_extensions(packet_context *ctx, struct packet *packet, __u8 next)
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
		    ctx_load(ctx, offset, &header, sizeof(header)))
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
INLINE int packet_parse_ipv6(packet_context *ctx, struct packet *packet)
{
	struct ipv6hdr *ip;
	__u32 length;

	ctx_pull(ctx, ETH_HLEN + sizeof(*ip));
	ip = (void *)(long)ctx->data + ETH_HLEN;
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return -MARTLET_DROP_INVALID_PACKET;
	length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	if (!ip->payload_len && ctx_is_train(ctx))
		length = ctx_length(ctx) - ETH_HLEN;
	if (ip->version != 6 || length > ctx_length(ctx) - ETH_HLEN)
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
	return packet_parse_ipv6_extensions(ctx, packet, ip->nexthdr);
}

#endif
