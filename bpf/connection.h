/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_CONNECTION_H
#define MARTLET_CONNECTION_H

/*
 * The decision on a packet. A connection is judged as a whole, from its initiator to its responder,
 * by its first packet and again by the first packet in either direction after policy or identities
 * changed.
 */

#include "conntrack.h"
#include "event.h"
#include "nat.h"
#include "socket.h"

/* Neither end's policy refuses anything. */
#define CONNECTION_AUDIT (MARTLET_CT_AUDIT | MARTLET_CT_AUDIT_EGRESS)

enum decision {
	DECISION_ALLOW = MARTLET_ALLOW,
	DECISION_PROXY = MARTLET_PROXY,
	DECISION_UPSTREAM = 4, /* belongs to a connection that the proxy made */
};

/* Whether an end's own policy counts here: a pod of this node, or the node when it has one. */
INLINE __u32 party_is_judged(__u32 endpoint, __u32 identity)
{
	const struct martlet_config *config = config_get();

	return endpoint || (identity == MARTLET_IDENTITY_HOST && config &&
			    config->flags & MARTLET_CONFIG_HOST_POLICY);
}

/* Judges the connection whose packet in hand goes from initiator to responder, or back. */
INLINE void connection_judge(struct flow *flow, const struct martlet_config *config, bool reply)
{
	__u32 source, destination;
	const struct packet *packet = &flow->packet;
	bool audit_all = config->flags & MARTLET_CONFIG_AUDIT;
	struct party origin, responder;
	__u32 flags;
	__be16 port;

	flow_resolve_identities(flow);
	origin.identity = reply ? flow->destination_identity : flow->source_identity;
	source = party_is_judged(flow->source_endpoint, flow->source_identity);
	destination = party_is_judged(flow->destination_endpoint, flow->destination_identity);
	origin.local = reply ? destination : source;
	responder.identity = reply ? flow->source_identity : flow->destination_identity;
	responder.local = reply ? source : destination;
	flags = reply ? flow->destination_flags : flow->source_flags;
	origin.audit = audit_all || flags & MARTLET_ENDPOINT_AUDIT;
	flags = reply ? flow->source_flags : flow->destination_flags;
	responder.audit = audit_all || flags & MARTLET_ENDPOINT_AUDIT;
	if (packet->tuple.protocol == IPPROTO_ICMP || packet->tuple.protocol == IPPROTO_ICMPV6) {
		port = bpf_htons(packet->icmp_type);
		/* What began as a request is judged as that, whichever packet is in hand. */
		if (!(packet->flags & PACKET_STATELESS) &&
		    (reply || packet->flags & PACKET_RELATED)) {
			port = reply ? packet->tuple.source_port : packet->tuple.destination_port;
			if (!port)
				port =
				    bpf_htons(packet->tuple.protocol == IPPROTO_ICMP ? ICMPV4_ECHO
										     : ICMPV6_ECHO);
		}
	} else {
		port = reply ? packet->tuple.source_port : packet->tuple.destination_port;
	}
	policy_judge(&flow->judgement, &origin, &responder, packet->tuple.protocol, port);
}

/* Reports what audit mode lets through. Returns 0 or a drop reason. */
INLINE int connection_denied(struct __sk_buff *skb, struct flow *flow)
{
	if (!flow->trace)
		report_audit(skb, flow);
	return flow->judgement.verdict == MARTLET_DENY ? -flow->judgement.reason : 0;
}

/*
 * The service by which the sender's socket was led to where this packet goes; 0: by none. On its
 * way out of a pod, or out of the node's stack, a packet still has its socket.
 */
VERIFIED_ALONE int socket_service(struct __sk_buff *skb, struct flow *flow)
{
	struct nat_scratch *scratch = nat_scratch();
	struct bpf_sock *socket = skb->sk;
	const struct martlet_socket_peer *peer;
	const struct martlet_socket *known;
	const struct tuple *tuple;

	if (!flow || !scratch || !socket)
		return 0;
	socket = bpf_sk_fullsock(socket);
	if (!socket)
		return 0;
	tuple = &flow->packet.tuple;
	known = bpf_sk_storage_get(&martlet_sockets, socket, 0, 0);
	if (known && known->backend_port == tuple->destination_port &&
	    address_equal(&known->backend_address, &tuple->destination))
		return known->service;
	if (tuple->protocol != IPPROTO_UDP)
		return 0;
	scratch->peer.cookie = bpf_get_socket_cookie(skb);
	scratch->peer.address = tuple->destination;
	scratch->peer.port = tuple->destination_port;
	scratch->peer.kind = MARTLET_SOCKET_PEER_BACKEND;
	__builtin_memset(scratch->peer.pad, 0, sizeof(scratch->peer.pad));
	peer = bpf_map_lookup_elem(&martlet_socket_peers, &scratch->peer);
	return peer ? peer->service : 0;
}

/* Policy is about the backend, which only the proxy will know. */
INLINE void connection_route(struct flow *flow)
{
	if (!flow->source_identity)
		flow->source_identity =
		    ipcache_identity(&flow->packet.tuple.source, flow->packet.flags & PACKET_IPV4);
	flow->judgement.verdict = MARTLET_PROXY;
	flow->judgement.direction = flow->direction;
}

/* First packet of a connection, or of one that this node has not seen from the start. */
INLINE int connection_open(struct __sk_buff *skb, struct flow *flow,
			   const struct martlet_config *config, const struct martlet_ct_key *key,
			   bool source_is_b, __u32 now)
{
	struct martlet_ct_entry entry = {};
	int error;

	/* Packets in flight are adopted, but these two never begin anything. */
	if (!packet_opens(&flow->packet) && flow->packet.tcp_flags & (TCP_RST | TCP_SYN)) {
		flow->quiet = flow->packet.tcp_flags & TCP_RST;
		return -MARTLET_DROP_CT_INVALID_HEADER;
	}
	/* Translated where it entered the node. */
	if (flow->direction == MARTLET_INGRESS && flow->translation == TRANSLATION_NONE &&
	    nat_finds_service(flow))
		flow->translation = TRANSLATION_THERE;
	if (!flow->service)
		flow->service = socket_service(skb, flow);
	entry.revision = READ_ONCE(config->policy_revision);
	if (flow->translation == TRANSLATION_ROUTED) {
		/* A connection that nobody remembers is nobody's. */
		if (!packet_opens(&flow->packet)) {
			flow->quiet = flow->packet.tcp_flags & TCP_RST;
			return -MARTLET_DROP_NAT_NO_MAPPING;
		}
		connection_route(flow);
	} else {
		connection_judge(flow, config, false);
		error = connection_denied(skb, flow);
		if (error)
			return error;
	}
	entry.service = flow->service;
	entry.origin_identity = flow->source_identity;
	entry.reply_identity = flow->destination_identity;
	entry.egress_rule = flow->judgement.egress_rule;
	entry.ingress_rule = flow->judgement.ingress_rule;
	entry.flags = source_is_b ? MARTLET_CT_ORIGIN_B : 0;
	if (flow->translation == TRANSLATION_THERE)
		entry.flags |= MARTLET_CT_TRANSLATED;
	if (flow->translation == TRANSLATION_ROUTED)
		entry.flags |= MARTLET_CT_ROUTED;
	if (flow->judgement.verdict == MARTLET_PROXY) {
		entry.proxy_rules = flow->judgement.proxy_rules;
		entry.egress_proxy_rules = flow->judgement.egress_proxy_rules;
		entry.flags |= MARTLET_CT_PROXY | flow->judgement.proxy_audit;
	}
	error = ct_create(key, &entry, config, &flow->packet, now);
	if (error)
		return error;
	if (flow->service && flow->translation != TRANSLATION_THERE)
		traffic_count(flow, false);
	report_verdict(skb, flow, config);
	return flow->judgement.verdict;
}

/* A living connection that was judged before the last change of policy. */
INLINE int connection_judge_again(struct __sk_buff *skb, struct flow *flow,
				  const struct martlet_config *config,
				  struct martlet_ct_entry *entry, __u32 revision)
{
	int error;

	/* The proxy asks anew with each request. */
	if (entry->flags & MARTLET_CT_ROUTED) {
		WRITE_ONCE(entry->revision, revision);
		return 0;
	}
	connection_judge(flow, config, flow->reply);
	error = connection_denied(skb, flow);
	if (error)
		return error;
	if (flow->packet.protocol == IPPROTO_UDP) {
		/* Each datagram stands alone: the next one may go another way. */
		if (flow->judgement.verdict == MARTLET_PROXY)
			__sync_fetch_and_or(&entry->flags, MARTLET_CT_PROXY);
		else
			__sync_fetch_and_and(&entry->flags, ~MARTLET_CT_PROXY);
	} else if (flow->judgement.verdict == MARTLET_PROXY && !(entry->flags & MARTLET_CT_PROXY)) {
		/* The proxy can not enter a connection whose ends already talk to each other. */
		if (flow->judgement.proxy_audit != CONNECTION_AUDIT) {
			policy_deny(&flow->judgement, flow->judgement.direction,
				    MARTLET_DROP_POLICY_DENIED);
			return -MARTLET_DROP_POLICY_DENIED;
		}
		flow->judgement.verdict = MARTLET_ALLOW;
	}
	entry->origin_identity = flow->reply ? flow->destination_identity : flow->source_identity;
	entry->reply_identity = flow->reply ? flow->source_identity : flow->destination_identity;
	entry->egress_rule = flow->judgement.egress_rule;
	entry->ingress_rule = flow->judgement.ingress_rule;
	entry->proxy_rules =
	    flow->judgement.verdict == MARTLET_PROXY ? flow->judgement.proxy_rules : 0;
	entry->egress_proxy_rules =
	    flow->judgement.verdict == MARTLET_PROXY ? flow->judgement.egress_proxy_rules : 0;
	/* The proxy may read in between: rather that it refuses than that it lets pass. */
	__sync_fetch_and_and(&entry->flags, ~CONNECTION_AUDIT | flow->judgement.proxy_audit);
	__sync_fetch_and_or(&entry->flags, flow->judgement.proxy_audit);
	/* Last, so that whoever sees the revision sees what was found at it. */
	WRITE_ONCE(entry->revision, revision);
	return 0;
}

INLINE int connection_continue(struct __sk_buff *skb, struct flow *flow,
			       const struct martlet_config *config, struct martlet_ct_entry *entry,
			       __u32 now)
{
	/* Read before the policy maps are: a change in between is then found by the next packet. */
	__u32 revision = READ_ONCE(config->policy_revision);
	int error;

	flow->service = entry->service;
	if (flow->reply && entry->flags & MARTLET_CT_TRANSLATED)
		flow->translation = TRANSLATION_BACK;
	if (READ_ONCE(entry->revision) != revision) {
		error = connection_judge_again(skb, flow, config, entry, revision);
		if (error)
			return error;
	}
	/* An error about a connection is no sign of life of it. */
	if (flow->packet.flags & PACKET_RELATED)
		return DECISION_ALLOW;
	ct_touch(entry, config, &flow->packet, flow->reply, now);
	/* What is translated is counted there. */
	if (flow->service && !(entry->flags & MARTLET_CT_TRANSLATED))
		traffic_count(flow, flow->reply);
	return entry->flags & MARTLET_CT_PROXY ? DECISION_PROXY : DECISION_ALLOW;
}

/* ICMP that belongs to no connection, and every packet of a test run that only asks. */
INLINE int connection_judge_once(struct __sk_buff *skb, struct flow *flow,
				 const struct martlet_config *config)
{
	int error;

	if (flow->packet.flags & PACKET_RELATED) {
		flow->packet.flags &= ~PACKET_RELATED;
		flow->packet.flags |= PACKET_STATELESS;
		packet_plain_tuple(&flow->packet);
		flow_source_is(flow, endpoint_lookup(&flow->packet.source));
	}
	connection_judge(flow, config, false);
	error = connection_denied(skb, flow);
	if (error)
		return error;
	if (flow->trace)
		trace_answer(skb, flow, flow->judgement.verdict, 0);
	else
		report_verdict(skb, flow, config);
	return flow->judgement.verdict;
}

/*
 * The server's side of a connection that the proxy made on behalf of a client: the addresses are
 * the client's and the server's, so only the zone tells it from a connection between the two. A
 * server that is no pod of this node was reached without these programs, so there is no entry;
 * then the proxy's socket tells.
 */
INLINE bool connection_is_upstream_reply(struct __sk_buff *skb, struct flow *flow,
					 const struct martlet_config *config, __u32 now)
{
	struct martlet_ct_key key;
	struct martlet_ct_entry *entry;
	bool source_is_b;

	if (flow->direction == MARTLET_INGRESS)
		return flow->destination_endpoint && socket_of_proxy(skb, &flow->packet);
	source_is_b = ct_key_fill(&key, &flow->packet.tuple, MARTLET_CT_UPSTREAM);
	entry = ct_lookup(&key, now);
	if (!entry || !ct_is_reply(entry, source_is_b))
		return false;
	ct_touch(entry, config, &flow->packet, true, now);
	return true;
}

/*
 * Whether a pod's packet to an address of its own choice has the ends of a living connection that
 * was led there by a service: answers to it would be taken for answers of the service.
 */
INLINE bool connection_clashes(const struct flow *flow, const struct martlet_ct_entry *entry)
{
	const __u32 both = MARTLET_CT_FIN_ORIGIN | MARTLET_CT_FIN_REPLY;
	__u32 flags = READ_ONCE(entry->flags);

	if (!(flags & MARTLET_CT_TRANSLATED) || flow->translation != TRANSLATION_NONE ||
	    flow->direction != MARTLET_EGRESS)
		return false;
	if (flow->packet.flags & PACKET_RELATED || (flow->reply && !packet_opens(&flow->packet)))
		return false;
	return !(flags & MARTLET_CT_RST) && (flags & both) != both;
}

/* Decides on any parsed packet. Returns an enum decision or a negative drop reason. */
VERIFIED_ALONE int connection_decide(struct __sk_buff *skb, struct flow *flow)
{
	const struct martlet_config *config = config_get();
	struct packet *packet;
	struct martlet_ct_key key;
	struct martlet_ct_entry *entry;
	bool source_is_b, direct, asks;
	__u32 now;

	if (!flow || !config)
		return -MARTLET_DROP_INVALID_IDENTITY;
	packet = &flow->packet;
	if (flow->trace || packet->flags & PACKET_STATELESS)
		return connection_judge_once(skb, flow, config);
	now = ct_now();
	source_is_b = ct_key_fill(&key, &packet->tuple, MARTLET_CT_DIRECT);
	entry = ct_lookup(&key, now);
	if (packet->flags & PACKET_RELATED && !entry)
		return connection_judge_once(skb, flow, config);
	if (entry) {
		flow->reply = ct_is_reply(entry, source_is_b);
		if (connection_clashes(flow, entry)) {
			flow->translation = TRANSLATION_REFUSED;
			return -MARTLET_DROP_NAT_NO_MAPPING;
		}
	}

	/* The proxy answers for the server, so a server's own packet is never part of its leg. */
	direct = entry && !(flow->reply && entry->flags & MARTLET_CT_PROXY);
	if (!direct && !packet_opens(packet) &&
	    (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP)) {
		if (connection_is_upstream_reply(skb, flow, config, now))
			return DECISION_UPSTREAM;
		if (entry) {
			flow->quiet = packet->tcp_flags & TCP_RST;
			return -MARTLET_DROP_SOCKET_LOOKUP_FAILED;
		}
	}
	asks = (packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6) &&
	       !(packet->flags & PACKET_RELATED) &&
	       icmp_is_request(packet->protocol, packet->icmp_type);
	if (!entry || packet_opens(packet) || (flow->reply && asks)) {
		flow->reply = false;
		return connection_open(skb, flow, config, &key, source_is_b, now);
	}
	return connection_continue(skb, flow, config, entry, now);
}

#endif
