/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_REWRITE_H
#define MARTLET_REWRITE_H

/*
 * Another tuple for a packet, with every checksum that covers it: RFC 1624, 768, 4443. What changes
 * is known as differences of sums (RFC 1071), which an IPv4 address makes in its mapped form too.
 */

#include "transport.h"

#define IPV4_CHECKSUM_OFFSET 10
#define IPV4_ADDRESSES_OFFSET 12
#define IPV6_ADDRESSES_OFFSET 8
#define ICMP_IDENTIFIER_OFFSET 4

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

INLINE bool protocol_has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/*
 * Both addresses of the network header at `header`. `difference` is what they change in a sum. An
 * IPv4 header's own checksum follows, so that a sum over all of the header stays what it was; with
 * `flags` of BPF_F_RECOMPUTE_CSUM an IPv6 header's change is told to a sum that the device made.
 */
INLINE int rewrite_addresses(packet_context *ctx, __u32 header, bool ipv4,
			     const struct martlet_addr *source,
			     const struct martlet_addr *destination, __s64 difference, __u64 flags)
{
	struct {
		struct martlet_addr source;
		struct martlet_addr destination;
	} pair;
	__be32 short_pair[2];

	if (ipv4) {
		short_pair[0] = address_word(source, 3);
		short_pair[1] = address_word(destination, 3);
		if (ctx_header_checksum(ctx, header + IPV4_CHECKSUM_OFFSET, difference))
			return -MARTLET_DROP_CHECKSUM_L3;
		return ctx_store(ctx, header + IPV4_ADDRESSES_OFFSET, short_pair,
				 sizeof(short_pair), 0)
			   ? -MARTLET_DROP_WRITE_ERROR
			   : 0;
	}
	pair.source = *source;
	pair.destination = *destination;
	return ctx_store(ctx, header + IPV6_ADDRESSES_OFFSET, &pair, sizeof(pair), flags)
		   ? -MARTLET_DROP_WRITE_ERROR
		   : 0;
}

/*
 * The ports of a transport header at `l4`, or the identifier of an ICMP request or its reply, which
 * is the one that changes; `before` is the source port to be replaced.
 */
INLINE int rewrite_ports(packet_context *ctx, __u32 l4, __u8 protocol, __be16 before, __be16 source,
			 __be16 destination)
{
	__be16 pair[2] = {source, destination};
	long error;

	if (protocol_has_ports(protocol)) {
		error = ctx_store(ctx, l4, pair, sizeof(pair), 0);
	} else {
		if (before == source)
			pair[0] = destination;
		error = ctx_store(ctx, l4 + ICMP_IDENTIFIER_OFFSET, pair, sizeof(pair[0]), 0);
	}
	return error ? -MARTLET_DROP_WRITE_ERROR : 0;
}

/* The transport checksum of what an ICMP error cites, whose own is at `sum`. */
INLINE int rewrite_cited_checksum(packet_context *ctx, __u32 at, __u8 protocol, __u64 difference,
				  __u32 sum)
{
	__be16 old = 0, new;

	if (ctx_load(ctx, at, &old, sizeof(old)))
		return -MARTLET_DROP_INVALID_PACKET;
	if (protocol == IPPROTO_UDP && !old)
		return 0;
	new = checksum_changed(old, difference);
	if (protocol == IPPROTO_UDP && !new)
		new = 0xffff;
	if (ctx_checksum(ctx, sum, (__u16)~old + new, 0))
		return -MARTLET_DROP_CHECKSUM_L4;
	return ctx_store(ctx, at, &new, sizeof(new), 0) ? -MARTLET_DROP_WRITE_ERROR : 0;
}

/*
 * What an ICMP error cites, whose packet went the other way: `packet` and `to` are of the direction
 * of the error. The sum over a cited IPv4 header does not change, the rest is in the error's own.
 */
INLINE int rewrite_cited(packet_context *ctx, const struct packet *packet, const struct tuple *to,
			 __s64 addresses, __s64 ports)
{
	const struct tuple *from = &packet->tuple;
	bool ipv4 = packet->flags & PACKET_IPV4;
	__u8 protocol = from->protocol;
	__u32 header = packet->l4 + sizeof(struct icmp_head);
	__u32 sum = packet->l4 + checksum_offset(packet->protocol);
	__u32 l4 = header + sizeof(struct ipv6hdr), at;
	__u64 covered = (__u32)ports;
	__u8 first = 0;
	int error;

	error = rewrite_addresses(ctx, header, ipv4, &to->destination, &to->source, addresses, 0);
	if (error)
		return error;
	if (!ipv4 && ctx_checksum(ctx, sum, addresses, 0))
		return -MARTLET_DROP_CHECKSUM_L4;
	if (ipv4) {
		if (ctx_load(ctx, header, &first, sizeof(first)))
			return -MARTLET_DROP_INVALID_PACKET;
		l4 = header + (first & 0xf) * 4;
	}
	if (protocol == IPPROTO_SCTP)
		return 0;
	if (from->source_port != to->source_port ||
	    from->destination_port != to->destination_port) {
		error = rewrite_ports(ctx, l4, protocol, from->destination_port,
				      to->destination_port, to->source_port);
		if (error)
			return error;
	}
	if (ctx_checksum(ctx, sum, ports, 0))
		return -MARTLET_DROP_CHECKSUM_L4;
	/* As little as 8 octets may be cited. */
	at = l4 + checksum_offset(protocol);
	if (at + sizeof(__be16) > packet->end)
		return 0;
	if (protocol != IPPROTO_ICMP)
		covered += (__u32)addresses;
	covered = (covered & 0xffffffff) + (covered >> 32);
	return rewrite_cited_checksum(ctx, at, protocol, covered, sum);
}

/*
 * Gives the packet another tuple, of the direction that it has, and the reader of `packet` with it.
 * Returns 0 or a negative drop reason.
 */
INLINE int packet_rewrite(packet_context *ctx, struct packet *packet, const struct tuple *to)
{
	const struct tuple *from = &packet->tuple;
	bool ipv4 = packet->flags & PACKET_IPV4;
	__u32 sum = packet->flags & PACKET_LATER_FRAGMENT ? 0 : checksum_offset(packet->protocol);
	struct martlet_addr source = to->source;
	__u64 zero_means_none = packet->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__s64 addresses, ports;
	int error;

	if (from->protocol == IPPROTO_SCTP && (from->source_port != to->source_port ||
					       from->destination_port != to->destination_port))
		return -MARTLET_DROP_NAT_UNSUPPORTED_PROTOCOL;
	/* The fields stand side by side: two addresses, two ports. */
	addresses = bpf_csum_diff((void *)&from->source, 32, (void *)&to->source, 32, 0);
	ports = bpf_csum_diff((void *)&from->source_port, 4, (void *)&to->source_port, 4, 0);
	if (sum)
		sum += packet->l4;
	if (packet->flags & PACKET_RELATED) {
		error = rewrite_cited(ctx, packet, to, addresses, ports);
		if (error)
			return error;
		/* A router on the way tells of errors in its own name. */
		if (!address_equal(&packet->source, &from->source)) {
			source = packet->source;
			addresses = bpf_csum_diff((void *)&packet->destination, 16,
						  (void *)&to->destination, 16, 0);
		}
	} else if (sum && (from->source_port != to->source_port ||
			   from->destination_port != to->destination_port)) {
		error = rewrite_ports(ctx, packet->l4, packet->protocol, from->source_port,
				      to->source_port, to->destination_port);
		if (error)
			return error;
		if (ctx_checksum(ctx, sum, ports, zero_means_none))
			return -MARTLET_DROP_CHECKSUM_L4;
	}
	/* ICMP over IPv4 has no pseudo header. */
	if (sum && packet->protocol != IPPROTO_ICMP &&
	    ctx_checksum(ctx, sum, addresses, zero_means_none | BPF_F_PSEUDO_HDR))
		return -MARTLET_DROP_CHECKSUM_L4;
	/*
	 * Told of a pseudo header's change, the kernel assumes that a header's checksum balances
	 * that of the addresses, which IPv6 does not have.
	 */
	error = rewrite_addresses(ctx, ETH_HLEN, ipv4, &source, &to->destination, addresses,
				  BPF_F_RECOMPUTE_CSUM);
	if (error)
		return error;
	packet->source = source;
	packet->destination = to->destination;
	packet->tuple = *to;
	return 0;
}

#endif
