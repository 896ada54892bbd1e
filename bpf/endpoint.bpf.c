// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause

/*
 * Both ends of a pod's cable, seen from the host side of its veth: from_container judges what
 * leaves the pod (and, for a pod of the same node, delivers it), to_container what the node's stack
 * brings to it.
 */

#include "arp_nd.h"
#include "balance.h"
#include "common.h"
#include "connection.h"
#include "event.h"
#include "flow.h"
#include "forward.h"
#include "fragment.h"
#include "maps.h"
#include "proxy.h"
#include "refuse.h"

/* 0 for what is IP and ARP, else a negative drop reason. */
INLINE int check_link_layer(const struct __sk_buff *skb)
{
	if (skb->vlan_present)
		return -MARTLET_DROP_UNSUPPORTED_L2_PROTOCOL;
	switch (bpf_ntohs(skb->protocol)) {
	case ETH_P_IP:
	case ETH_P_IPV6:
	case ETH_P_ARP:
		return 0;
	case 0 ... ETH_P_802_3_MIN - 1:
		return -MARTLET_DROP_UNSUPPORTED_L2_PROTOCOL;
	default:
		return -MARTLET_DROP_UNSUPPORTED_L3_PROTOCOL;
	}
}

/* A pod speaks for its own addresses, from its own device and MAC, to the node's. */
INLINE int check_source(struct __sk_buff *skb, const struct martlet_endpoint *endpoint)
{
	const struct ethhdr *eth = (void *)(long)skb->data;

	if (!endpoint || endpoint->ifindex != skb->ifindex)
		return -MARTLET_DROP_INVALID_SOURCE_IP;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return -MARTLET_DROP_INVALID_PACKET;
	if (!mac_equal(eth->h_source, endpoint->pod_mac))
		return -MARTLET_DROP_INVALID_SOURCE_MAC;
	if (!mac_equal(eth->h_dest, endpoint->host_mac))
		return -MARTLET_DROP_INVALID_DESTINATION_MAC;
	return 0;
}

/* A pod that reaches itself by a service, which no policy forbids. */
INLINE int to_itself(struct __sk_buff *skb, struct flow *flow,
		     const struct martlet_endpoint *endpoint)
{
	const struct martlet_config *config = config_get();

	if (!endpoint || endpoint->ifindex != skb->ifindex)
		return -MARTLET_DROP_NO_LOCAL_CONTAINER;
	flow_destination_is(flow, endpoint);
	if (flow->opened && config) {
		flow->judgement.verdict = MARTLET_ALLOW;
		report_verdict(skb, flow, config);
	}
	return forward_to_pod(skb, &flow->packet, endpoint);
}

INLINE int from_container_decide(struct __sk_buff *skb, struct flow *flow)
{
	struct packet *packet = &flow->packet;
	const struct martlet_endpoint *source, *destination;
	int result;

	result = check_link_layer(skb);
	if (result)
		return result;
	if (skb->protocol == bpf_htons(ETH_P_ARP)) {
		flow->quiet = true;
		return arp_answer(skb);
	}
	result = packet_parse(skb, packet, flow->trace);
	if (result)
		return result;
	/* Turned round by to_container, which has judged it: only a socket is missing. */
	if (mark_is(skb, MARTLET_MARK_TO_PROXY) && !flow->trace)
		return proxy_deliver(skb, packet, true);
	result = nd_answer(skb, flow);
	if (result != ND_NOT_FOR_US)
		return result;
	source = endpoint_lookup(&packet->source);
	flow_source_is(flow, source);
	result = check_source(skb, source);
	if (result)
		return result;
	if (address_is_group(&packet->destination))
		return -MARTLET_DROP_STALE_OR_UNROUTABLE_IP;
	/* A pod routes for nobody, so it only tells of errors of connections to itself. */
	if (packet->flags & PACKET_RELATED &&
	    !address_equal(&packet->tuple.source, &packet->source)) {
		packet->flags = (packet->flags & ~PACKET_RELATED) | PACKET_STATELESS;
		packet_plain_tuple(packet);
	}
	destination = endpoint_lookup(&packet->destination);
	/* No service has the address of a pod, so that what pods say to pods need not be asked. */
	if (!destination && !flow->trace) {
		result = balance_packet(skb, flow, 0);
		if (result < 0)
			return result;
		flow->opened = result == BALANCE_OPEN;
		if (result == BALANCE_OPEN || result == BALANCE_REWRITE)
			destination = endpoint_lookup(&packet->destination);
		if (flow->nat_flags & MARTLET_NAT_HAIRPIN)
			return to_itself(skb, flow, destination);
	}
	flow_destination_is(flow, destination);
	result = connection_decide(skb, flow);
	if (result < 0) {
		/* What is denied must not fill a table that others need. */
		if (flow->opened)
			nat_forget();
		return result;
	}
	if (flow->translation == TRANSLATION_BACK && result == DECISION_ALLOW) {
		int error = nat_back(skb, flow);

		if (error)
			return error;
	}
	if (result != DECISION_ALLOW && !flow->trace)
		result = proxy_deliver(skb, packet, result == DECISION_PROXY);
	else if (destination)
		result = forward_to_pod(skb, packet, destination);
	else
		result = TC_ACT_OK;
	return result;
}

SEC("tc")
int from_container(struct __sk_buff *skb)
{
	struct flow flow;
	__u32 length = skb->len;
	/* Counted by to_container already. */
	bool turned_round = mark_is(skb, MARTLET_MARK_TO_PROXY);
	int result;

	flow_begin(skb, &flow, MARTLET_EGRESS);
	result = from_container_decide(skb, &flow);
	if (result < 0) {
		drop(skb, &flow, -result);
		return refuse(skb, &flow) ? TC_ACT_SHOT : neighbor_send_back(skb);
	}
	if (!flow.trace && !turned_round)
		count(0, MARTLET_EGRESS, length);
	return result;
}

INLINE int to_container_decide(struct __sk_buff *skb, struct flow *flow)
{
	struct packet *packet = &flow->packet;
	const struct martlet_endpoint *source, *destination;
	int result;

	result = check_link_layer(skb);
	if (result)
		return result;
	/* Neighbours on this link are fixed entries on the host side; the host has no question. */
	if (skb->protocol == bpf_htons(ETH_P_ARP)) {
		flow->quiet = true;
		return -MARTLET_DROP_UNSUPPORTED_L3_PROTOCOL;
	}
	result = packet_parse(skb, packet, flow->trace);
	if (result)
		return result;
	destination = endpoint_lookup(&packet->destination);
	flow_destination_is(flow, destination);
	if (!destination || destination->ifindex != skb->ifindex) {
		flow->quiet = address_is_group(&packet->destination);
		return -MARTLET_DROP_NO_LOCAL_CONTAINER;
	}
	source = endpoint_lookup(&packet->source);
	flow_source_is(flow, source);
	if (is_of_proxy(skb) && !flow->trace) {
		result = proxy_from(flow);
		if (result >= 0)
			result = flow->translation == TRANSLATION_BACK ? nat_back(skb, flow) : 0;
		return result < 0 ? result : TC_ACT_OK;
	}
	/* Pods of this node reach each other without the stack: this one is somebody else. */
	if (source && !flow->trace)
		return -MARTLET_DROP_INVALID_SOURCE_IP;
	/* A router may tell of an error; the connection is that of the packet it cites. */
	if (packet->flags & PACKET_RELATED)
		flow_source_is(flow, endpoint_lookup(&packet->tuple.source));
	result = connection_decide(skb, flow);
	if (result < 0)
		return result;
	if (result != DECISION_ALLOW && !flow->trace)
		return proxy_hairpin(skb, destination);
	if (flow->translation == TRANSLATION_BACK && !flow->trace)
		return nat_back(skb, flow);
	return TC_ACT_OK;
}

SEC("tc")
int to_container(struct __sk_buff *skb)
{
	struct flow flow;
	__u32 length = skb->len;
	int result;

	flow_begin(skb, &flow, MARTLET_INGRESS);
	result = to_container_decide(skb, &flow);
	if (result < 0)
		return drop(skb, &flow, -result);
	if (!flow.trace)
		count(0, MARTLET_INGRESS, length);
	return result;
}

char _license[] SEC("license") = "Dual BSD/GPL";
