/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_TURN_H
#define MARTLET_TURN_H

/* Packets that turn round at the node: from a client outside to a backend elsewhere, and back. */

#include "balance.h"
#include "event.h"

#define FAMILY_IPV4 2
#define FAMILY_IPV6 10

/* Whether a packet that balance() has looked at turns round; all others go to the stack. */
INLINE bool turns_round(const struct flow *flow)
{
	return flow->nat_flags & (MARTLET_NAT_SOURCE | MARTLET_NAT_DSR) && flow->service;
}

/*
 * Whether the node of a backend that answers its client directly may see the connection for the
 * first time by this packet, and is to be told which service was asked.
 */
INLINE bool turn_announces(const struct flow *flow)
{
	return (flow->nat_flags & (MARTLET_NAT_DSR | MARTLET_NAT_REPLY)) == MARTLET_NAT_DSR &&
	       (packet_opens(&flow->packet) || flow->packet.protocol == IPPROTO_UDP);
}

/*
 * A new connection from outside to a backend elsewhere, told with the client's own address and the
 * backend's, whether or not the packet is rewritten so far.
 */
VERIFIED_ALONE int report_turn(packet_context *ctx, struct flow *flow)
{
	const struct martlet_config *config = config_get();
	const struct nat_scratch *scratch = nat_scratch();
	struct packet *packet;
	struct tuple saved;

	if (!flow || !config || !scratch)
		return 0;
	packet = &flow->packet;
	saved = packet->tuple;
	/* What came, as nat_open() left it there. */
	packet->source = packet->tuple.source = scratch->other.source;
	packet->tuple.source_port = scratch->other.source_port;
	packet->destination = packet->tuple.destination = scratch->to.destination;
	packet->tuple.destination_port = scratch->to.destination_port;
	flow->judgement.verdict = MARTLET_ALLOW;
	report_verdict(ctx, flow, config);
	packet->tuple = saved;
	packet->source = saved.source;
	packet->destination = saved.destination;
	return 0;
}

/*
 * Where a packet of `length` octets goes that has become `to`. Returns BPF_FIB_LKUP_RET_* or a
 * negative error.
 */
INLINE long route_ask(packet_context *ctx, struct bpf_fib_lookup *route, const struct tuple *to,
		      const struct packet *packet, __u32 length)
{
	route->ifindex = ctx_device(ctx);
	route->l4_protocol = packet->protocol;
	route->tot_len = length;
	if (packet->flags & PACKET_IPV4) {
		route->family = FAMILY_IPV4;
		route->ipv4_src = address_word(&to->source, 3);
		route->ipv4_dst = address_word(&to->destination, 3);
	} else {
		route->family = FAMILY_IPV6;
		__builtin_memcpy(route->ipv6_src, &to->source, sizeof(route->ipv6_src));
		__builtin_memcpy(route->ipv6_dst, &to->destination, sizeof(route->ipv6_dst));
	}
	return bpf_fib_lookup(ctx, route, sizeof(*route), 0);
}

#endif
