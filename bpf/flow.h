/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_FLOW_H
#define MARTLET_FLOW_H

/* All that is known of the packet in hand; one per run of a program, on its stack. */

#include "packet.h"
#include "policy.h"

struct flow {
	const struct martlet_config *config;
	/* Of the tuple's ends; NULL when the end is not a pod of this node. */
	const struct martlet_endpoint *source_endpoint;
	const struct martlet_endpoint *destination_endpoint;
	struct packet packet;
	struct judgement judgement;
	__u32 source_identity; /* 0 until somebody asks */
	__u32 destination_identity;
	__u8 direction; /* MARTLET_EGRESS in from_container, MARTLET_INGRESS in to_container */
	bool trace;	/* MARTLET_MARK_TRACE: write nothing */
	bool reply;
	bool quiet; /* the drop is expected chatter: count it, but tell nobody */
};

#endif
