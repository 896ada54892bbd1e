// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause

/*
 * The node's own traffic on its devices to the outside: from_netdev judges what comes to the node,
 * to_netdev what the node sends. What passes through is left alone: a pod's traffic is judged at
 * the pod's end of it. Both do nothing until the node has a policy.
 */

#include "common.h"
#include "connection.h"
#include "event.h"
#include "flow.h"
#include "fragment.h"
#include "maps.h"

/* Neighbours and routers are found in any case (RFC 4861, RFC 3810). */
INLINE bool is_neighbor_discovery(const struct packet *packet)
{
	return packet->protocol == IPPROTO_ICMPV6 &&
	       ((packet->icmp_type >= 133 && packet->icmp_type <= 137) ||
		(packet->icmp_type >= 130 && packet->icmp_type <= 132) || packet->icmp_type == 143);
}

INLINE int host_decide(struct __sk_buff *skb, struct flow *flow)
{
	const struct martlet_config *config = config_get();
	struct packet *packet = &flow->packet;
	__u32 node;
	int result;

	if (!config || !(config->flags & MARTLET_CONFIG_HOST_POLICY))
		return TC_ACT_OK;
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_OK;
	result = packet_parse(skb, packet, flow->trace);
	if (result)
		return result;
	if (address_is_group(&packet->destination) || is_neighbor_discovery(packet))
		return TC_ACT_OK;
	flow_source_is(flow, endpoint_lookup(&packet->source));
	flow_destination_is(flow, endpoint_lookup(&packet->destination));
	flow_resolve_identities(flow);
	node =
	    flow->direction == MARTLET_INGRESS ? flow->destination_identity : flow->source_identity;
	if (node != MARTLET_IDENTITY_HOST)
		return TC_ACT_OK;
	result = connection_decide(skb, flow);
	/* Only a pod's requests can be read by the proxy. */
	if (result == DECISION_PROXY)
		result = -MARTLET_DROP_PROXY_UNSUPPORTED_PROTOCOL;
	return result < 0 ? result : TC_ACT_OK;
}

INLINE int host_judge(struct __sk_buff *skb, __u8 direction)
{
	struct flow flow;
	int result;

	flow_begin(skb, &flow, direction);
	result = host_decide(skb, &flow);
	return result < 0 ? drop(skb, &flow, -result) : result;
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
