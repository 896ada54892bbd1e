/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_PROXY_H
#define MARTLET_PROXY_H

/*
 * Handing packets to the node's proxy with their addresses unchanged, and letting the proxy's own
 * packets through. The mark makes the stack deliver locally what is addressed to a pod.
 */

#include "connection.h"

INLINE void mark_for_proxy(struct __sk_buff *skb)
{
	mark_set(skb, MARTLET_MARK_TO_PROXY);
}

/* From the proxy of this instance, which has judged it; that of another instance has not. */
INLINE bool is_of_proxy(const struct __sk_buff *skb)
{
	const struct martlet_config *config;

	if (!mark_is(skb, MARTLET_MARK_FROM_PROXY))
		return false;
	config = config_get();
	return config && (skb->mark & MARTLET_MARK_INSTANCE) == config->proxy_instance;
}

INLINE __u32 proxy_listener(const struct packet *packet)
{
	if (packet->protocol == IPPROTO_UDP)
		return packet->flags & PACKET_IPV4 ? MARTLET_LISTENER_UDP_IPV4
						   : MARTLET_LISTENER_UDP_IPV6;
	return packet->flags & PACKET_IPV4 ? MARTLET_LISTENER_IPV4 : MARTLET_LISTENER_IPV6;
}

/*
 * Gives the packet to the proxy's socket for its connection, or to the proxy's listener if
 * `may_open`. Returns TC_ACT_OK, after which the stack delivers it, or a negative drop reason.
 */
VERIFIED_ALONE int proxy_deliver(struct __sk_buff *skb, struct packet *packet, bool may_open)
{
	struct bpf_sock *socket;
	__u32 listener;
	int error;

	if (!packet)
		return -MARTLET_DROP_INVALID_PACKET;
	/*
	 * A datagram that answers the proxy needs the mark only: the stack puts its fragments
	 * together and finds the socket by its addresses. No other datagram is turned round.
	 */
	if (packet->protocol == IPPROTO_UDP && (!may_open || mark_is(skb, MARTLET_MARK_TO_PROXY))) {
		mark_for_proxy(skb);
		return TC_ACT_OK;
	}
	listener = proxy_listener(packet);
	if ((packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP) ||
	    packet->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT))
		return -MARTLET_DROP_PROXY_UNSUPPORTED_PROTOCOL;
	socket = packet->protocol == IPPROTO_TCP ? socket_find_tcp(skb, packet) : NULL;
	/* The lookup may also find a listener that has nothing to do with the proxy. */
	if (socket && socket->state == BPF_TCP_LISTEN) {
		bpf_sk_release(socket);
		socket = NULL;
	}
	if (!socket && may_open)
		socket = bpf_map_lookup_elem(&martlet_listeners, &listener);
	if (!socket)
		return -MARTLET_DROP_SOCKET_LOOKUP_FAILED;
	error = bpf_sk_assign(skb, socket, 0);
	bpf_sk_release(socket);
	if (error)
		return -MARTLET_DROP_SOCKET_ASSIGN_FAILED;
	mark_for_proxy(skb);
	return TC_ACT_OK;
}

/*
 * A packet that the node's stack brings to a pod can not be given to a socket on its way out, so it
 * is turned round: it enters the same device again, marked, and from_container gives it to the
 * proxy. The stack must let that be: on the device accept_local=1 (packets of the node itself) and
 * rp_filter=0 (packets of the world, whose way back is another device), and in the namespace
 * tcp_early_demux=0, as ip_forward() drops a packet of the world for which early demux found the
 * proxy's socket.
 */
INLINE int proxy_hairpin(struct __sk_buff *skb, const struct martlet_endpoint *endpoint)
{
	struct ethhdr *eth = (void *)(long)skb->data;

	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return -MARTLET_DROP_WRITE_ERROR;
	/* The device takes for itself only what is addressed to it. */
	mac_copy(eth->h_dest, endpoint->host_mac);
	mac_copy(eth->h_source, endpoint->pod_mac);
	mark_for_proxy(skb);
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

/*
 * Whether a packet that leaves the node is what the proxy says to a client outside that it routes
 * for.
 */
VERIFIED_ALONE int proxy_answers(struct flow *flow)
{
	const struct martlet_config *config = config_get();
	struct martlet_ct_entry *entry;
	struct martlet_ct_key key;
	bool source_is_b;
	__u32 now = ct_now();

	if (!flow || !config)
		return false;
	source_is_b = ct_key_fill(&key, &flow->packet.tuple, MARTLET_CT_DIRECT);
	entry = ct_lookup(&key, now);
	if (!entry || !(entry->flags & MARTLET_CT_ROUTED) || !ct_is_reply(entry, source_is_b))
		return false;
	ct_touch(entry, config, &flow->packet, true, now);
	flow->service = entry->service;
	if (flow->service)
		traffic_count(flow, true);
	return true;
}

/* A packet that the proxy sent to a pod: its answer to a client, or its own connection to a server.
 */
VERIFIED_ALONE int proxy_from(struct flow *flow)
{
	const struct martlet_config *config = config_get();
	const struct packet *packet;
	struct martlet_ct_entry fresh = {}, *entry;
	struct martlet_ct_key key;
	bool source_is_b;
	__u32 now = ct_now();

	if (!flow || !config)
		return -MARTLET_DROP_INVALID_IDENTITY;
	packet = &flow->packet;
	if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP)
		return -MARTLET_DROP_PROXY_UNSUPPORTED_PROTOCOL;
	source_is_b = ct_key_fill(&key, &packet->tuple, MARTLET_CT_DIRECT);
	entry = ct_lookup(&key, now);
	if (entry && entry->flags & MARTLET_CT_PROXY && ct_is_reply(entry, source_is_b)) {
		ct_touch(entry, config, packet, true, now);
		if (entry->flags & MARTLET_CT_TRANSLATED)
			flow->translation = TRANSLATION_BACK;
		flow->service = entry->service;
		if (flow->service && flow->translation == TRANSLATION_NONE)
			traffic_count(flow, true);
		return DECISION_ALLOW;
	}
	key.zone = MARTLET_CT_UPSTREAM;
	entry = ct_lookup(&key, now);
	if (entry && !packet_opens(packet)) {
		ct_touch(entry, config, packet, ct_is_reply(entry, source_is_b), now);
		return DECISION_ALLOW;
	}
	if (packet->protocol == IPPROTO_TCP && !packet_opens(packet))
		return DECISION_ALLOW;
	flow_resolve_identities(flow);
	fresh.revision = READ_ONCE(config->policy_revision);
	fresh.origin_identity = flow->source_identity;
	fresh.reply_identity = flow->destination_identity;
	fresh.flags = source_is_b ? MARTLET_CT_ORIGIN_B : 0;
	return ct_create(&key, &fresh, config, packet, now) ?: DECISION_ALLOW;
}

#endif
