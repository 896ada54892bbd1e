/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_REFUSE_H
#define MARTLET_REFUSE_H

/* Drops that the sender is told of: what a service, or a router, would say. */

#include "answer.h"
#include "maps.h"

/* With whom no connection can be, and never in vain: kube-proxy's REJECT. */
INLINE int refuse_connection(struct __sk_buff *skb, struct flow *flow)
{
	switch (flow->packet.protocol) {
	case IPPROTO_TCP:
		return answer_reset(skb, flow);
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return answer_error(skb, flow, ANSWER_PORT_UNREACHABLE);
	default:
		return -MARTLET_DROP_UNKNOWN_L4_PROTOCOL;
	}
}

/*
 * To be called with a packet that drop() has reported. Returns 0 when it is an answer now, to be
 * sent back to where it came from.
 */
VERIFIED_ALONE int refuse(struct __sk_buff *skb, struct flow *flow)
{
	const struct martlet_service *service;
	__u32 number;

	if (!flow || flow->trace)
		return -MARTLET_DROP_INVALID_PACKET;
	switch (flow->judgement.reason) {
	case MARTLET_DROP_SERVICE_BACKEND_NOT_FOUND:
		number = flow->service;
		service = bpf_map_lookup_elem(&martlet_services, &number);
		/* Another node has some: the client, or a load balancer before it, is to ask there.
		 */
		if (service && service->flags & MARTLET_SERVICE_DROP)
			return -MARTLET_DROP_SERVICE_BACKEND_NOT_FOUND;
		return refuse_connection(skb, flow);
	case MARTLET_DROP_NAT_NO_MAPPING:
		if (flow->translation != TRANSLATION_REFUSED)
			return -MARTLET_DROP_NAT_NO_MAPPING;
		return refuse_connection(skb, flow);
	case MARTLET_DROP_TTL_EXCEEDED:
		return answer_error(skb, flow, ANSWER_TIME_EXCEEDED);
	case MARTLET_DROP_TOO_BIG:
		return answer_error(skb, flow, ANSWER_TOO_BIG);
	default:
		return -MARTLET_DROP_INVALID_PACKET;
	}
}

#endif
