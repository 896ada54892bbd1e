/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_REWRITE_H
#define MARTLET_REWRITE_H

/* Another tuple for a packet, with every checksum that covers it: RFC 1624, 768, 4443. */

#include "transport.h"

#define IPV4_CHECKSUM_OFFSET 10
#define IPV4_SOURCE_OFFSET 12
#define IPV4_DESTINATION_OFFSET 16
#define IPV6_SOURCE_OFFSET 8
#define IPV6_DESTINATION_OFFSET 24

/* Offset of the checksum in the transport header; 0: none that depends on the rewritten fields. */
INLINE __u32 checksum_offset(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return 0;
	}
}

/*
 * One address of a network header at `offset`. `sum` is the offset of the transport checksum that
 * covers it, 0: none; `flags` are those of bpf_l4_csum_replace(). An IPv4 header's own checksum is
 * kept right, so that a sum over header and checksum stays what it was.
 */
INLINE int rewrite_address(struct __sk_buff *skb, __u32 header, bool is_source, bool ipv4,
			   const struct martlet_addr *from, const struct martlet_addr *to,
			   __u32 sum, __u64 flags)
{
	if (address_equal(from, to))
		return 0;
	if (ipv4) {
		__be32 old = address_word(from, 3), new = address_word(to, 3);
		__u32 at = header + (is_source ? IPV4_SOURCE_OFFSET : IPV4_DESTINATION_OFFSET);

		if (sum && bpf_l4_csum_replace(skb, sum, old, new, flags | sizeof(new)))
			return -MARTLET_DROP_CHECKSUM_L4;
		if (bpf_l3_csum_replace(skb, header + IPV4_CHECKSUM_OFFSET, old, new, sizeof(new)))
			return -MARTLET_DROP_CHECKSUM_L3;
		return bpf_skb_store_bytes(skb, at, &new, sizeof(new), 0)
			   ? -MARTLET_DROP_WRITE_ERROR
			   : 0;
	} else {
		struct martlet_addr old = *from, new = *to;
		__u32 at = header + (is_source ? IPV6_SOURCE_OFFSET : IPV6_DESTINATION_OFFSET);
		__s64 difference =
		    bpf_csum_diff((void *)&old, sizeof(old), (void *)&new, sizeof(new), 0);

		if (sum && bpf_l4_csum_replace(skb, sum, 0, difference, flags))
			return -MARTLET_DROP_CHECKSUM_L4;
		return bpf_skb_store_bytes(skb, at, &new, sizeof(new), 0)
			   ? -MARTLET_DROP_WRITE_ERROR
			   : 0;
	}
}

INLINE int rewrite_port(struct __sk_buff *skb, __u32 at, __be16 from, __be16 to, __u32 sum,
			__u64 flags)
{
	if (from == to)
		return 0;
	if (bpf_l4_csum_replace(skb, sum, from, to, flags | sizeof(to)))
		return -MARTLET_DROP_CHECKSUM_L4;
	return bpf_skb_store_bytes(skb, at, &to, sizeof(to), 0) ? -MARTLET_DROP_WRITE_ERROR : 0;
}

/* The ports of a transport header at `l4`, or the identifier of an echo. */
INLINE int rewrite_ports(struct __sk_buff *skb, __u32 l4, const struct tuple *from,
			 const struct tuple *to, __u32 sum, __u64 flags)
{
	int error;

	switch (from->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		error = rewrite_port(skb, l4, from->source_port, to->source_port, sum, flags);
		return error ?: rewrite_port(skb, l4 + 2, from->destination_port,
					     to->destination_port, sum, flags);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		/* One of the two is 0 on both sides. */
		return rewrite_port(skb, l4 + 4, from->source_port | from->destination_port,
				    to->source_port | to->destination_port, sum, flags);
	default:
		/* SCTP's checksum is no sum: it can not follow a change of ports. */
		return from->source_port == to->source_port &&
			       from->destination_port == to->destination_port
			   ? 0
			   : -MARTLET_DROP_NAT_UNSUPPORTED_PROTOCOL;
	}
}

/*
 * What an ICMP error cites, whose packet went the other way: `from` and `to` are of the direction
 * of the error. The sum over a cited IPv4 header does not change, the rest is in ICMP's checksum.
 */
INLINE int rewrite_cited(struct __sk_buff *skb, const struct packet *packet, const struct tuple *to,
			 __u32 sum)
{
	const struct tuple *from = &packet->tuple;
	bool ipv4 = packet->flags & PACKET_IPV4;
	__u32 header = packet->l4 + sizeof(struct icmp_head), l4;
	struct tuple cited = {}, wanted = {};
	__u8 first = 0;
	int error;

	error = rewrite_address(skb, header, true, ipv4, &from->destination, &to->destination,
				ipv4 ? 0 : sum, 0);
	if (error)
		return error;
	error = rewrite_address(skb, header, false, ipv4, &from->source, &to->source,
				ipv4 ? 0 : sum, 0);
	if (error)
		return error;
	if (bpf_skb_load_bytes(skb, header, &first, sizeof(first)))
		return -MARTLET_DROP_INVALID_PACKET;
	l4 = header + (ipv4 ? (first & 0xf) * 4 : sizeof(struct ipv6hdr));
	cited.protocol = from->protocol;
	cited.source_port = from->destination_port;
	cited.destination_port = from->source_port;
	wanted.source_port = to->destination_port;
	wanted.destination_port = to->source_port;
	return rewrite_ports(skb, l4, &cited, &wanted, sum, 0);
}

/*
 * Gives the packet another tuple, of the direction that it has, and the reader of `packet` with it.
 * Returns 0 or a negative drop reason.
 */
VERIFIED_ALONE int packet_rewrite(struct __sk_buff *skb, struct packet *packet,
				  const struct tuple *wanted)
{
	struct tuple to;
	struct martlet_addr source;
	bool ipv4, related;
	__u64 flags = BPF_F_PSEUDO_HDR;
	__u32 sum;
	int error;

	if (!packet || !wanted)
		return -MARTLET_DROP_INVALID_PACKET;
	to = *wanted;
	ipv4 = packet->flags & PACKET_IPV4;
	related = packet->flags & PACKET_RELATED;
	sum = packet->flags & PACKET_LATER_FRAGMENT ? 0 : checksum_offset(packet->protocol);
	if (sum)
		sum += packet->l4;
	if (packet->protocol == IPPROTO_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	if (related) {
		error = rewrite_cited(skb, packet, &to, sum);
		if (error)
			return error;
	} else if (!(packet->flags & PACKET_LATER_FRAGMENT)) {
		error = rewrite_ports(skb, packet->l4, &packet->tuple, &to, sum,
				      flags & BPF_F_MARK_MANGLED_0);
		if (error)
			return error;
	}
	/* ICMP over IPv4 has no pseudo header. */
	if (packet->protocol == IPPROTO_ICMP)
		sum = 0;
	/* A router on the way tells of errors in its own name. */
	source = address_equal(&packet->source, &packet->tuple.source) ? to.source : packet->source;
	error =
	    rewrite_address(skb, ETH_HLEN, true, ipv4, &packet->source, &source, sum, flags);
	if (error)
		return error;
	error = rewrite_address(skb, ETH_HLEN, false, ipv4, &packet->destination, &to.destination,
				sum, flags);
	if (error)
		return error;
	to.protocol = packet->tuple.protocol;
	packet->source = source;
	packet->destination = to.destination;
	packet->tuple = to;
	return 0;
}

#endif
