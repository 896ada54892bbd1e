/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_ABI_CONNTRACK_H
#define MARTLET_ABI_CONNTRACK_H

/* martlet_conntrack: hash. A part of martlet_abi.h, which everybody includes. */

#include "martlet_base.h"

/*
 * A connection has one key for both directions: (a, port_a) is the lower end. Ends are compared as
 * the machine's unsigned integers in the order hi, lo, port, exactly as they lie in memory (no byte
 * swap).
 */
struct martlet_ct_key {
	struct martlet_addr a;
	struct martlet_addr b;
	/* ICMP: the identifier at the end that asks; at the other the request's type, 0 for echo.
	 */
	__be16 port_a;
	__be16 port_b;
	__u8 protocol;
	__u8 zone; /* enum martlet_ct_zone */
	__u16 pad;
};
MARTLET_ASSERT_SIZE(struct martlet_ct_key, 40);

enum martlet_ct_zone {
	MARTLET_CT_DIRECT = 0,
	MARTLET_CT_UPSTREAM = 1, /* the proxy's own connection on a client's behalf */
};

enum martlet_ct_flags {
	MARTLET_CT_ORIGIN_B = 1 << 0, /* the initiator is end b */
	MARTLET_CT_SEEN_REPLY = 1 << 1,
	MARTLET_CT_FIN_ORIGIN = 1 << 2,
	MARTLET_CT_FIN_REPLY = 1 << 3,
	MARTLET_CT_RST = 1 << 4,
	MARTLET_CT_PROXY = 1 << 5, /* carried by the proxy since its first packet */
	MARTLET_CT_AUDIT = 1 << 6, /* the proxy reports what it would refuse, and lets it pass */
	MARTLET_CT_TRANSLATED = 1 << 7, /* replies are to be looked up in martlet_nat */
	/* As MARTLET_CT_AUDIT, for egress_proxy_rules; where there are none, equal to it. */
	MARTLET_CT_AUDIT_EGRESS = 1 << 8,
	/* With MARTLET_CT_PROXY: to a service whose requests the proxy routes, each judged with the
	 * backend that it gets. proxy_rules is the number of the proxy's listener, and nobody has
	 * judged the connection. */
	MARTLET_CT_ROUTED = 1 << 9,
};

struct martlet_ct_entry {
	__u64 created_ns; /* CLOCK_MONOTONIC */
	__u32 expires;	  /* seconds, CLOCK_MONOTONIC */
	__u32 revision;	  /* policy_revision at which the rules below were found */
	__u32 origin_identity;
	__u32 reply_identity;
	__u32 egress_rule;  /* author that allowed at the initiator; 0 when it is not a local pod */
	__u32 ingress_rule; /* author that allowed at the responder; 0 when it is not a local pod */
	/* MARTLET_CT_PROXY: the rule set; 0: every request is allowed. MARTLET_CT_ROUTED: the
	 * listener. */
	__u32 proxy_rules;
	__u32 flags;   /* enum martlet_ct_flags; 32 bits so that they can be set atomically */
	__u32 service; /* by which the initiator reached the responder; 0: directly */
	/*
	 * MARTLET_CT_PROXY: the initiator's rule set, which binds as well, when both ends have one;
	 * proxy_rules is the responder's then. 0: there is one set at most, whosever it is. A
	 * number of its own for each pair would need a map of pairs that is looked up and kept for
	 * every connection that both ends read; a field costs nothing.
	 */
	__u32 egress_proxy_rules;
};
MARTLET_ASSERT_SIZE(struct martlet_ct_entry, 48);

#endif /* MARTLET_ABI_CONNTRACK_H */
