/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_FLOW_H
#define MARTLET_FLOW_H

/* All that is known of the packet in hand; one per run of a program, on its stack. Plain data only.
 */

#include "packet.h"
#include "policy.h"

enum translation {
	TRANSLATION_NONE = 0,
	TRANSLATION_THERE = 1, /* rewritten, on its way to who answers */
	TRANSLATION_BACK = 2,  /* to be rewritten by nat_back() when it was judged */
	TRANSLATION_REFUSED =
	    3, /* its answers would be taken for those of a translated connection */
};

struct flow {
	struct packet packet;
	struct judgement judgement;
	__u32 source_identity; /* of the tuple's ends; 0 until somebody asks */
	__u32 destination_identity;
	__u32 source_endpoint; /* 0: not a pod of this node */
	__u32 destination_endpoint;
	__u8 direction; /* MARTLET_EGRESS in from_container, MARTLET_INGRESS in to_container */
	bool trace;	/* a test run that asks: write nothing */
	bool reply;
	bool quiet;	    /* the drop is expected chatter: count it, but tell nobody */
	__u16 source_flags; /* enum martlet_endpoint_flags */
	__u16 destination_flags;
	__u32 service;	  /* by which the connection came about; 0: none */
	__u16 nat_flags;  /* enum martlet_nat_flags, of the entry that was found or made */
	__u8 translation; /* enum translation */
	bool opened;	  /* the entry was made for this packet */
};

INLINE void flow_begin(const packet_context *ctx, struct flow *flow, __u8 direction)
{
	/* Padding too: functions that are verified alone may read all of it. */
	__builtin_memset(flow, 0, sizeof(*flow));
	flow->direction = direction;
	flow->trace = ctx_is_trace(ctx);
}

INLINE void flow_source_is(struct flow *flow, const struct martlet_endpoint *endpoint)
{
	flow->source_endpoint = endpoint ? endpoint->id : 0;
	flow->source_identity = endpoint ? endpoint->identity : 0;
	flow->source_flags = endpoint ? endpoint->flags : 0;
}

INLINE void flow_destination_is(struct flow *flow, const struct martlet_endpoint *endpoint)
{
	flow->destination_endpoint = endpoint ? endpoint->id : 0;
	flow->destination_identity = endpoint ? endpoint->identity : 0;
	flow->destination_flags = endpoint ? endpoint->flags : 0;
}

#endif
