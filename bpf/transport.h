/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_TRANSPORT_H
#define MARTLET_TRANSPORT_H

/* What a packet's transport header says: RFC 792, 950 and 4443 (ICMP), 9293 (TCP), 768 (UDP), 9260
 * (SCTP). */

#include "packet.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define ICMPV4_ECHO_REPLY 0
#define ICMPV4_UNREACHABLE 3
#define ICMPV4_ECHO 8
#define ICMPV4_TIME_EXCEEDED 11
#define ICMPV4_PARAMETER_PROBLEM 12
#define ICMPV4_TIMESTAMP 13
#define ICMPV4_TIMESTAMP_REPLY 14
#define ICMPV4_ADDRESS_MASK 17
#define ICMPV4_ADDRESS_MASK_REPLY 18
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_PARAMETER_PROBLEM 4
#define ICMPV6_ECHO 128
#define ICMPV6_ECHO_REPLY 129

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

/* Of types below 32, a bit each; compared at once, as every branch costs the verifier a state. */
#define ICMPV4_REQUESTS (1U << ICMPV4_ECHO | 1U << ICMPV4_TIMESTAMP | 1U << ICMPV4_ADDRESS_MASK)
#define ICMPV4_REPLIES                                                                             \
	(1U << ICMPV4_ECHO_REPLY | 1U << ICMPV4_TIMESTAMP_REPLY | 1U << ICMPV4_ADDRESS_MASK_REPLY)

/* Requests that carry an identifier, which their replies repeat. */
INLINE bool icmp_is_request(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMP)
		return type < 32 && ICMPV4_REQUESTS >> type & 1;
	return type == ICMPV6_ECHO;
}

INLINE bool icmp_is_reply(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMP)
		return type < 32 && ICMPV4_REPLIES >> type & 1;
	return type == ICMPV6_ECHO_REPLY;
}

/* The type of the request that a reply answers: the number before its own, but for echo in IPv4. */
INLINE __u8 icmp_request_of(__u8 reply)
{
	return reply == ICMPV4_ECHO_REPLY ? ICMPV4_ECHO : reply - 1;
}

/* The port of the end that answers, so that requests of two types are two connections; 0 for echo.
 */
INLINE __be16 icmp_answering_port(__u8 request)
{
	return request == ICMPV4_ECHO || request == ICMPV6_ECHO ? 0 : bpf_htons(request);
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
INLINE void packet_parse_cited(packet_context *ctx, struct packet *packet)
{
	__u32 offset = packet->l4 + sizeof(struct icmp_head);
	struct tuple cited = {};
	struct icmp_head head;

	packet->flags |= PACKET_STATELESS;
	if (packet->flags & PACKET_IPV4) {
		struct iphdr ip;

		if (ctx_load(ctx, offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5 ||
		    ip.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
			return;
		offset += ip.ihl * 4;
		cited.source = address_from_ipv4(ip.daddr);
		cited.destination = address_from_ipv4(ip.saddr);
		cited.protocol = ip.protocol;
	} else {
		struct ipv6hdr ip;

		if (ctx_load(ctx, offset, &ip, sizeof(ip)) || ip.version != 6)
			return;
		offset += sizeof(ip);
		cited.source = address_from_ipv6(&ip.daddr);
		cited.destination = address_from_ipv6(&ip.saddr);
		cited.protocol = ip.nexthdr;
	}
	if (offset + sizeof(head) > packet->end || ctx_load(ctx, offset, &head, sizeof(head)))
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
		if (icmp_is_request(cited.protocol, head.type)) {
			cited.destination_port = head.identifier;
			cited.source_port = icmp_answering_port(head.type);
		} else if (icmp_is_reply(cited.protocol, head.type)) {
			cited.source_port = head.identifier;
			cited.destination_port = icmp_answering_port(icmp_request_of(head.type));
		} else {
			return;
		}
		break;
	default:
		return;
	}
	packet->tuple = cited;
	packet->flags &= ~PACKET_STATELESS;
	packet->flags |= PACKET_RELATED;
}

INLINE int packet_parse_icmp(packet_context *ctx, struct packet *packet)
{
	struct icmp_head head;

	if (packet->l4 + sizeof(head) > packet->end ||
	    ctx_load(ctx, packet->l4, &head, sizeof(head)))
		return -MARTLET_DROP_CT_INVALID_HEADER;
	packet->icmp_type = head.type;
	packet->icmp_code = head.code;
	if (icmp_is_request(packet->protocol, head.type)) {
		packet->tuple.source_port = head.identifier;
		packet->tuple.destination_port = icmp_answering_port(head.type);
	} else if (icmp_is_reply(packet->protocol, head.type)) {
		packet->tuple.destination_port = head.identifier;
		packet->tuple.source_port = icmp_answering_port(icmp_request_of(head.type));
	} else if (icmp_is_error(packet->protocol, head.type)) {
		packet_parse_cited(ctx, packet);
	} else {
		packet->flags |= PACKET_STATELESS;
	}
	return 0;
}

/* Returns 0 or a negative drop reason; fills the tuple of a packet that carries its own header. */
INLINE int packet_parse_l4(packet_context *ctx, struct packet *packet)
{
	struct l4_head head = {};
	__u32 room = packet->end - packet->l4;

	if (packet->l4 > packet->end)
		return -MARTLET_DROP_CT_INVALID_HEADER;
	switch (packet->protocol) {
	case IPPROTO_TCP:
		if (room < 20 || ctx_load(ctx, packet->l4, &head, TCP_HEAD_NEEDED))
			return -MARTLET_DROP_CT_INVALID_HEADER;
		if ((head.data_offset >> 4) < 5 || (head.data_offset >> 4) * 4U > room)
			return -MARTLET_DROP_CT_INVALID_HEADER;
		if (head.flags & TCP_SYN && head.flags & (TCP_FIN | TCP_RST))
			return -MARTLET_DROP_CT_INVALID_HEADER;
		packet->tcp_flags = head.flags;
		break;
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (room < 8 || ctx_load(ctx, packet->l4, &head, 8))
			return -MARTLET_DROP_CT_INVALID_HEADER;
		break;
	default:
		return packet_parse_icmp(ctx, packet);
	}
	packet->tuple.source_port = head.source_port;
	packet->tuple.destination_port = head.destination_port;
	return 0;
}

/* A packet that asks for a new connection, whatever there was before. */
INLINE bool packet_opens(const struct packet *packet)
{
	return packet->tcp_flags & TCP_SYN && !(packet->tcp_flags & TCP_ACK);
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

/* Fills everything but what the transport header says. Returns 0 or a negative drop reason. */
INLINE int packet_parse_network(packet_context *ctx, struct packet *packet)
{
	int error = ctx_protocol(ctx) == bpf_htons(ETH_P_IP) ? packet_parse_ipv4(ctx, packet)
							     : packet_parse_ipv6(ctx, packet);

	if (error)
		return error;
	packet_plain_tuple(packet);
	return packet_protocol_is_known(packet) ? 0 : -MARTLET_DROP_CT_UNKNOWN_PROTOCOL;
}

#endif
