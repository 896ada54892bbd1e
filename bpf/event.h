/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_EVENT_H
#define MARTLET_EVENT_H

/* What user space learns: events, exact counts of events it could not get, and metrics. */

#include "flow.h"
#include "ipcache.h"

INLINE void count(__u32 reason, __u32 direction, __u32 bytes)
{
	__u32 index = (reason * 2 + direction) & (MARTLET_METRICS_ENTRIES - 1);
	struct martlet_counter *counter = bpf_map_lookup_elem(&martlet_metrics, &index);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
}

INLINE void count_lost_event(void)
{
	__u32 zero = 0;
	__u64 *lost = bpf_map_lookup_elem(&martlet_lost, &zero);

	if (lost)
		(*lost)++;
}

INLINE void flow_resolve_identities(struct flow *flow)
{
	bool ipv4 = flow->packet.flags & PACKET_IPV4;

	if (!flow->source_identity)
		flow->source_identity = ipcache_identity(&flow->packet.tuple.source, ipv4);
	if (!flow->destination_identity)
		flow->destination_identity =
		    ipcache_identity(&flow->packet.tuple.destination, ipv4);
}

VERIFIED_ALONE int emit(packet_context *ctx, struct flow *flow, __u8 type, __u8 flags)
{
	struct martlet_event *event;
	const struct packet *packet;
	const struct ethhdr *eth;
	bool icmp, egress;

	if (!flow)
		return 0;
	packet = &flow->packet;
	icmp = packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6;
	egress = flow->judgement.direction == MARTLET_EGRESS;
	flow_resolve_identities(flow);
	event = bpf_ringbuf_reserve(&martlet_events, sizeof(*event), 0);
	if (!event) {
		count_lost_event();
		return 0;
	}
	event->time_ns = bpf_ktime_get_ns();
	event->type = type;
	event->verdict = flow->judgement.verdict;
	event->reason = flow->judgement.reason;
	event->direction = flow->judgement.direction;
	event->protocol = packet->protocol;
	event->tcp_flags = packet->tcp_flags;
	event->flags = flags;
	if (flow->reply)
		event->flags |= MARTLET_EVENT_REPLY;
	if (packet->flags & PACKET_IPV4)
		event->flags |= MARTLET_EVENT_IPV4;
	event->pad = 0;
	event->source = packet->source;
	event->destination = packet->destination;
	event->source_port = icmp ? bpf_htons(packet->icmp_type) : packet->tuple.source_port;
	event->destination_port =
	    icmp ? bpf_htons(packet->icmp_code) : packet->tuple.destination_port;
	event->source_identity = flow->source_identity;
	event->destination_identity = flow->destination_identity;
	event->source_endpoint = flow->source_endpoint;
	event->destination_endpoint = flow->destination_endpoint;
	event->rule = egress ? flow->judgement.egress_rule : flow->judgement.ingress_rule;
	event->other_rule = egress ? flow->judgement.ingress_rule : flow->judgement.egress_rule;
	event->proxy_rules = flow->judgement.proxy_rules;
	event->ifindex = ctx_device(ctx);
	event->length = ctx_length(ctx);
	event->service = flow->service;
	event->pad2 = 0;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) <= (void *)(long)ctx->data_end) {
		mac_copy(event->source_mac, eth->h_source);
		mac_copy(event->destination_mac, eth->h_dest);
	} else {
		__builtin_memset(event->source_mac, 0, 12);
	}
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Told once per connection, when its first packet was let through or sent to the proxy. */
INLINE void report_verdict(packet_context *ctx, struct flow *flow,
			   const struct martlet_config *config)
{
	if (!(config->flags & MARTLET_CONFIG_TRACE_EVENTS))
		return;
	if (flow->judgement.verdict != MARTLET_PROXY)
		flow->judgement.direction = flow->direction;
	flow->judgement.reason = 0;
	emit(ctx, flow, MARTLET_EVENT_VERDICT, 0);
}

/* Audit mode: what the sides would have dropped, if anything. */
VERIFIED_ALONE int report_audit(packet_context *ctx, struct flow *flow)
{
	struct judgement judgement;

	if (!flow)
		return 0;
	judgement = flow->judgement;
	flow->judgement.verdict = MARTLET_DENY;
	flow->judgement.direction = MARTLET_EGRESS;
	flow->judgement.reason = judgement.audited[MARTLET_EGRESS];
	if (flow->judgement.reason)
		emit(ctx, flow, MARTLET_EVENT_DROP, MARTLET_EVENT_AUDIT);
	flow->judgement.direction = MARTLET_INGRESS;
	flow->judgement.reason = judgement.audited[MARTLET_INGRESS];
	if (flow->judgement.reason)
		emit(ctx, flow, MARTLET_EVENT_DROP, MARTLET_EVENT_AUDIT);
	flow->judgement = judgement;
	return 0;
}

VERIFIED_ALONE int trace_answer(packet_context *ctx, struct flow *flow, __u32 verdict, __u32 reason)
{
	__u32 audited = 0;
	__u32 direction;

	if (!flow)
		return 0;
	direction = flow->judgement.direction;
	if (flow->judgement.audited[MARTLET_INGRESS])
		audited |= 1 << MARTLET_INGRESS;
	if (flow->judgement.audited[MARTLET_EGRESS])
		audited |= 1 << MARTLET_EGRESS;
	if (flow->judgement.proxy_audit & MARTLET_CT_AUDIT)
		audited |= 1 << (MARTLET_TRACE_PROXY_AUDIT_SHIFT - MARTLET_TRACE_AUDITED_SHIFT);
	if (flow->judgement.proxy_audit & MARTLET_CT_AUDIT_EGRESS)
		audited |=
		    1 << (MARTLET_TRACE_PROXY_AUDIT_EGRESS_SHIFT - MARTLET_TRACE_AUDITED_SHIFT);
	ctx_answer(ctx, MARTLET_TRACE_CB_VERDICT,
		   verdict | direction << MARTLET_TRACE_DIRECTION_SHIFT |
		       reason << MARTLET_TRACE_REASON_SHIFT |
		       audited << MARTLET_TRACE_AUDITED_SHIFT);
	ctx_answer(ctx, MARTLET_TRACE_CB_EGRESS_PROXY_RULES, flow->judgement.egress_proxy_rules);
	ctx_answer(ctx, MARTLET_TRACE_CB_EGRESS_RULE, flow->judgement.egress_rule);
	ctx_answer(ctx, MARTLET_TRACE_CB_INGRESS_RULE, flow->judgement.ingress_rule);
	ctx_answer(ctx, MARTLET_TRACE_CB_PROXY_RULES, flow->judgement.proxy_rules);
	return 0;
}

/* The only way out for a packet that does not travel on. */
INLINE int drop(packet_context *ctx, struct flow *flow, int reason)
{
	/* A denial by policy knows its side; everything else belongs to the program's. */
	if (flow->judgement.verdict != MARTLET_DENY)
		flow->judgement.direction = flow->direction;
	flow->judgement.verdict = MARTLET_DENY;
	flow->judgement.reason = reason;
	if (flow->trace) {
		trace_answer(ctx, flow, MARTLET_DENY, reason);
		return CTX_DROP;
	}
	count(reason, flow->judgement.direction, ctx_length(ctx));
	if (!flow->quiet)
		emit(ctx, flow, MARTLET_EVENT_DROP, 0);
	return CTX_DROP;
}

#endif
