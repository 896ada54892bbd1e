// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause

/*
 * from_wire, on the node's devices to the outside before there is a socket buffer: sends on what
 * only turns round here, clients' packets for a service whose backend is on another node, and the
 * answers to them. It finds, translates and tells of them as from_netdev does, by the same code and
 * the same maps.
 *
 * All else it passes on as it came: what is for this node, fragments, errors, what is refused, what
 * has no neighbour yet. from_netdev then finds the connection that was opened here, if one was, so
 * that a backend is chosen once. No packet is both changed and passed on, for the stack may hold
 * sums over it.
 */

#define MARTLET_XDP

#include "forward.h"
#include "turn.h"

/* Fills the tuple of a packet that can be sent on from here. */
VERIFIED_ALONE int wire_parse(packet_context *ctx, struct packet *packet)
{
	const struct ethhdr *eth = (void *)(long)ctx->data;

	if (!packet || (void *)(eth + 1) > (void *)(long)ctx->data_end)
		return false;
	if (eth->h_proto != bpf_htons(ETH_P_IP) && eth->h_proto != bpf_htons(ETH_P_IPV6))
		return false;
	/* Of a frame in several buffers the rest would need to be read elsewhere. */
	if (ctx_length(ctx) != ctx->data_end - ctx->data)
		return false;
	if (packet_parse_network(ctx, packet) || !protocol_has_ports(packet->protocol) ||
	    packet->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT) ||
	    packet->hop_limit <= 1)
		return false;
	return !packet_parse_l4(ctx, packet);
}

/*
 * Whether the sender has left the transport checksum to its device, which has left it to nobody:
 * between virtual devices there is only the sum over the pseudo header in its place. A finished one
 * looks like that in one packet of 65,535.
 */
VERIFIED_ALONE int checksum_is_unfinished(packet_context *ctx, struct packet *packet)
{
	__u64 sum;
	__be16 found = 0;

	if (!packet ||
	    ctx_load(ctx, packet->l4 + checksum_offset(packet->protocol), &found, sizeof(found)))
		return true;
	if (!found)
		return false;
	/* An IPv4 address in its mapped form adds 0xffff, which is nothing. */
	sum = (__u32)bpf_csum_diff(NULL, 0, (void *)&packet->tuple.source, 32, 0);
	sum += bpf_htons(packet->protocol);
	sum += bpf_htons(packet->end - packet->l4);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (__be16)~checksum_changed(0xffff, sum) == found;
}

/* Whether frames that come by one device can be handed to another one's driver. */
INLINE bool wire_leads_to(__u32 index)
{
	const struct martlet_device *device = bpf_map_lookup_elem(&martlet_devices, &index);

	return device && device->flags & MARTLET_DEVICE_XDP;
}

/* Sends on a packet that turns round, as scratch->to says, where that can be done from here; leaves
 * it to from_netdev where not. */
VERIFIED_ALONE int wire_turn(packet_context *ctx, struct flow *flow)
{
	const struct nat_scratch *scratch = nat_scratch();
	struct bpf_fib_lookup route = {};
	const struct packet *packet;
	struct ethhdr *eth;
	long found;
	int error;

	if (!flow || !scratch)
		return XDP_PASS;
	packet = &flow->packet;
	/* It grows, which from_netdev sees to. */
	if (turn_announces(flow))
		return XDP_PASS;
	found = route_ask(ctx, &route, &scratch->to, packet, packet->end - ETH_HLEN);
	/* from_netdev decides from the start, and tells why. */
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH) {
		if (flow->opened)
			nat_forget();
		return XDP_PASS;
	}
	if (flow->opened)
		report_turn(ctx, flow);
	/* from_netdev sends it on. */
	if (found == BPF_FIB_LKUP_RET_NO_NEIGH ||
	    (route.ifindex != ctx->ingress_ifindex && !wire_leads_to(route.ifindex)))
		return XDP_PASS;
	error = nat_rewrite(ctx, flow);
	if (error)
		return drop(ctx, flow, -error);
	eth = (void *)(long)ctx->data;
	error = hop_limit_decrease(eth, (void *)(long)ctx->data_end, packet->flags & PACKET_IPV4);
	if (error)
		return drop(ctx, flow, -error);
	mac_copy(eth->h_dest, route.dmac);
	mac_copy(eth->h_source, route.smac);
	count(MARTLET_METRICS_XDP, MARTLET_INGRESS, ctx_length(ctx));
	if (route.ifindex == ctx->ingress_ifindex)
		return XDP_TX;
	return bpf_redirect(route.ifindex, 0);
}

/*
 * Whether a frame comes in by one of the node's devices to the outside, for the node: one that
 * listens to everything shows other machines' too.
 */
VERIFIED_ALONE int wire_is_for_here(packet_context *ctx)
{
	const struct ethhdr *eth = (void *)(long)ctx->data;
	const struct martlet_device *device;
	__u32 index = ctx->ingress_ifindex;

	device = bpf_map_lookup_elem(&martlet_devices, &index);
	return device && (void *)(eth + 1) <= (void *)(long)ctx->data_end &&
	       mac_equal(eth->h_dest, device->mac);
}

/* Its stack has room for the flow and for nothing else: Linux 6.1 adds up what all calls may take.
 */
SEC("xdp.frags")
int from_wire(struct xdp_md *ctx)
{
	struct flow flow;
	int result;

	if (!wire_is_for_here(ctx))
		return XDP_PASS;
	flow_begin(ctx, &flow, MARTLET_INGRESS);
	if (!wire_parse(ctx, &flow.packet) || checksum_is_unfinished(ctx, &flow.packet))
		return XDP_PASS;
	result = balance(&flow, ctx->ingress_ifindex);
	if (result == BALANCE_OPEN) {
		/* Whether the backend can answer directly is seen there. */
		if (flow.nat_flags & MARTLET_NAT_DSR || nat_open(&flow))
			return XDP_PASS;
	} else if (result != BALANCE_REWRITE) {
		return XDP_PASS;
	}
	flow.opened = result == BALANCE_OPEN;
	return turns_round(&flow) ? wire_turn(ctx, &flow) : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
