// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause

/*
 * The node's devices to the outside. from_netdev judges what comes to the node and leads clients of
 * services to backends, to_netdev judges what the node sends and gives pods the node's name. A
 * pod's traffic is judged at the pod's end of it. Both do nothing on a device that is not in
 * martlet_devices, until the node has a policy.
 */

#include "common.h"
#include "connection.h"
#include "dsr.h"
#include "event.h"
#include "flow.h"
#include "fragment.h"
#include "maps.h"
#include "outside.h"
#include "proxy.h"
#include "refuse.h"

/*
 * Behind generic XDP, from Linux 6.9 on: the kernel runs it on a copy of the packet, of which it
 * forgets how long the MAC header is, and so shows it here without one. To be called at ingress.
 * Returns 0 or a negative drop reason.
 */
VERIFIED_ALONE int restore_mac_header(struct __sk_buff *skb)
{
	struct {
		__u8 octets[ETH_HLEN];
		__u16 pad;
	} mac = {}, first = {};

	if (bpf_skb_load_bytes_relative(skb, 0, mac.octets, ETH_HLEN, BPF_HDR_START_MAC) ||
	    bpf_skb_load_bytes(skb, 0, first.octets, ETH_HLEN))
		return 0;
	if (!__builtin_memcmp(&mac, &first, sizeof(mac)))
		return 0;
	/* It finds the length anew. */
	if (bpf_skb_change_head(skb, ETH_HLEN, 0) ||
	    bpf_skb_store_bytes(skb, 0, mac.octets, ETH_HLEN, 0))
		return -MARTLET_DROP_WRITE_ERROR;
	return 0;
}

/* Neighbours and routers are found in any case (RFC 4861, RFC 3810). */
INLINE bool is_neighbor_discovery(const struct packet *packet)
{
	return packet->protocol == IPPROTO_ICMPV6 &&
	       ((packet->icmp_type >= 133 && packet->icmp_type <= 137) ||
		(packet->icmp_type >= 130 && packet->icmp_type <= 132) || packet->icmp_type == 143);
}

/* A packet that only turns round here. Returns the program's return code or a negative drop reason.
 */
INLINE int turn(struct __sk_buff *skb, struct flow *flow, enum balance balance)
{
	int error = turn_prepare(skb, flow);

	if (error) {
		if (balance == BALANCE_OPEN)
			nat_forget();
		return error;
	}
	error = nat_rewrite(skb, flow);
	if (error)
		return error;
	if (balance == BALANCE_OPEN)
		report_turn(skb, flow);
	error = dsr_announce(skb, flow);
	return error ?: turn_round(skb, flow);
}

/* As balance_packet(), of a packet from outside, but for its rewriting. */
INLINE int balance_outside(struct __sk_buff *skb, struct flow *flow)
{
	int result, error;

	error = dsr_may_tell(&flow->packet) ? dsr_learn(skb, flow) : 0;
	if (error)
		return error;
	result = balance(flow, skb->ifindex);
	if (result == BALANCE_OPEN && flow->nat_flags & MARTLET_NAT_DSR) {
		error = dsr_settle(skb, flow);
		if (error)
			return error;
	}
	return balance_carry_out(flow, result);
}

/* Returns 0 or a negative drop reason. */
INLINE int host_policy(struct __sk_buff *skb, struct flow *flow)
{
	const struct packet *packet = &flow->packet;
	__u32 node;
	int result;

	flow_source_is(flow, endpoint_lookup(&packet->source));
	flow_destination_is(flow, endpoint_lookup(&packet->destination));
	flow_resolve_identities(flow);
	node =
	    flow->direction == MARTLET_INGRESS ? flow->destination_identity : flow->source_identity;
	if (node != MARTLET_IDENTITY_HOST)
		return 0;
	result = connection_decide(skb, flow);
	/* Only a pod's requests can be read by the proxy. */
	if (result == DECISION_PROXY)
		result = -MARTLET_DROP_PROXY_UNSUPPORTED_PROTOCOL;
	return result < 0 ? result : 0;
}

/* Of a client outside. Returns the program's return code or a negative drop reason. */
INLINE int route_to_proxy(struct __sk_buff *skb, struct flow *flow)
{
	int result = connection_decide(skb, flow);

	if (result != DECISION_PROXY)
		return result < 0 ? result : TC_ACT_OK;
	return proxy_deliver(skb, &flow->packet, true);
}

INLINE int host_decide(struct __sk_buff *skb, struct flow *flow, __u8 direction)
{
	const struct martlet_config *config = config_get();
	struct packet *packet = &flow->packet;
	const struct martlet_device *outside;
	__u32 device = skb->ifindex;
	bool judged, translates;
	int result;

	judged = config && config->flags & MARTLET_CONFIG_HOST_POLICY;
	outside = flow->trace ? NULL : bpf_map_lookup_elem(&martlet_devices, &device);
	translates = outside;
	if (!judged && !translates)
		return TC_ACT_OK;
	/* Another machine's, which a device shows that listens to everything. */
	if (direction == MARTLET_INGRESS && skb->pkt_type == PACKET_OTHERHOST && !flow->trace)
		return TC_ACT_OK;
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_OK;
	if (outside && direction == MARTLET_INGRESS &&
	    outside->flags & MARTLET_DEVICE_GENERIC_XDP) {
		result = restore_mac_header(skb);
		if (result)
			return result;
	}
	/* From from_netdev, of this device or another. */
	if (direction == MARTLET_EGRESS && mark_is(skb, MARTLET_MARK_TRANSLATED))
		return TC_ACT_OK;
	result = packet_parse(skb, packet, flow->trace);
	if (result)
		return judged ? result : TC_ACT_OK;
	if (address_is_group(&packet->destination) || is_neighbor_discovery(packet))
		return TC_ACT_OK;
	if (direction == MARTLET_EGRESS && is_of_proxy(skb) && !flow->trace && proxy_answers(flow))
		return TC_ACT_OK;
	if (translates && direction == MARTLET_INGRESS) {
		result = balance_outside(skb, flow);
		if (result < 0)
			return result;
		if (result == BALANCE_ROUTED)
			return route_to_proxy(skb, flow);
		/* To a backend elsewhere, or back to its client. */
		if (result != BALANCE_NONE && turns_round(flow))
			return turn(skb, flow, result);
		if (result != BALANCE_NONE) {
			result = nat_rewrite(skb, flow);
			if (result)
				return result;
		}
	}
	if (judged) {
		result = host_policy(skb, flow);
		if (result)
			return result;
	}
	if (translates && direction == MARTLET_EGRESS)
		return depart_packet(skb, flow, device);
	return TC_ACT_OK;
}

INLINE int host_judge(struct __sk_buff *skb, __u8 direction)
{
	struct flow flow;
	int result;

	flow_begin(skb, &flow, direction);
	result = host_decide(skb, &flow, direction);
	if (result >= 0)
		return result;
	drop(skb, &flow, -result);
	return direction == MARTLET_INGRESS && !refuse(skb, &flow) ? answer_leaves(skb)
								   : TC_ACT_SHOT;
}

SEC("tc")
int from_netdev(struct __sk_buff *skb)
{
	return host_judge(skb, MARTLET_INGRESS);
}

SEC("tc")
int to_netdev(struct __sk_buff *skb)
{
	return host_judge(skb, MARTLET_EGRESS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
