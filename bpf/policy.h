/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_POLICY_H
#define MARTLET_POLICY_H

/* May this connection be: the policy of each end that is a local pod, and who wrote it. */

#include "maps.h"

struct judgement {
	__u32 egress_rule;
	__u32 ingress_rule;
	__u32 proxy_rules;
	__u32 egress_proxy_rules; /* as in martlet_ct_entry */
	__u8 verdict;		  /* enum martlet_verdict */
	__u8 direction;		  /* the side that denied, or that sends to the proxy */
	__u16 reason;		  /* drop reason when the verdict is a deny */
	/* By direction: for what reason a side in audit mode would have dropped; 0: it would not.
	 */
	__u16 audited[2];
	/* MARTLET_PROXY: MARTLET_CT_AUDIT, MARTLET_CT_AUDIT_EGRESS; both: nothing is refused. */
	__u32 proxy_audit;
};

/* One end of a connection, as policy sees it. */
struct party {
	__u32 identity;
	__u32 local; /* a pod of this node, or the node itself: its own policy counts */
	__u32 audit; /* what its policy denies is reported and let through */
};

/* 0: it belongs to no class. */
INLINE __u32 policy_peer_class(__u32 peer)
{
	if (peer >= MARTLET_IDENTITY_POD_FIRST && peer <= MARTLET_IDENTITY_POD_LAST)
		return MARTLET_PEER_PODS;
	if (peer >> 24 == MARTLET_IDENTITY_BLOCKS || peer == MARTLET_IDENTITY_WORLD_IPV4 ||
	    peer == MARTLET_IDENTITY_WORLD_IPV6 || peer == MARTLET_IDENTITY_WORLD)
		return MARTLET_PEER_WORLD;
	if (peer >> 24 == MARTLET_IDENTITY_NODES || peer == MARTLET_IDENTITY_REMOTE_NODE)
		return MARTLET_PEER_NODES;
	return 0;
}

/* Combines what a subject says of a peer and of more peers, in the order the ABI gives. */
INLINE const struct martlet_policy_entry *policy_stronger(const struct martlet_policy_entry *peer,
							  const struct martlet_policy_entry *any)
{
	if (!peer || !any)
		return peer ? peer : any;
	if (peer->verdict == MARTLET_DENY)
		return peer;
	if (any->verdict == MARTLET_DENY)
		return any;
	if (peer->verdict == MARTLET_ALLOW)
		return peer;
	return any->verdict == MARTLET_ALLOW ? any : peer;
}

/*
 * Returns the verdict; tells the author, the rule set, and why it denies. Reasons are not returned,
 * as the verifier follows each one that differs.
 */
INLINE int policy_judge_side(__u32 subject, __u32 peer, __u8 direction, __u8 protocol, __be16 port,
			     __u32 *rule, __u32 *proxy_rules, __u16 *reason)
{
	struct martlet_policy_key key = {
	    .prefix_length = MARTLET_POLICY_PREFIX_PORT,
	    .peer = peer,
	    .direction = direction,
	    .protocol = protocol,
	    .port = port,
	};
	const struct martlet_policy_entry *for_peer, *for_any, *entry;
	void *rules = bpf_map_lookup_elem(&martlet_policy, &subject);

	if (!rules) {
		*reason = MARTLET_DROP_NO_POLICY_CONFIGURATION;
		return MARTLET_DENY;
	}
	for_peer = bpf_map_lookup_elem(rules, &key);
	key.peer = 0;
	for_any = bpf_map_lookup_elem(rules, &key);
	entry = for_peer;
	if (for_any && for_any->flags & MARTLET_POLICY_HAS_CLASSES) {
		key.peer = policy_peer_class(peer);
		if (key.peer)
			entry = policy_stronger(for_peer, bpf_map_lookup_elem(rules, &key));
		if (for_any->verdict == MARTLET_VERDICT_NONE)
			for_any = NULL;
	}
	entry = policy_stronger(entry, for_any);
	if (!entry) {
		*reason = MARTLET_DROP_POLICY_DENIED;
		return MARTLET_DENY;
	}
	*rule = entry->rule;
	if (entry->verdict == MARTLET_ALLOW)
		return MARTLET_ALLOW;
	if (entry->verdict == MARTLET_PROXY) {
		/* Only what these carry can be read. */
		if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) {
			*reason = MARTLET_DROP_PROXY_UNSUPPORTED_PROTOCOL;
			return MARTLET_DENY;
		}
		*proxy_rules = entry->proxy_rules;
		return MARTLET_PROXY;
	}
	*reason = MARTLET_DROP_POLICY_DENY;
	return MARTLET_DENY;
}

INLINE void policy_deny(struct judgement *judgement, __u8 direction, int reason)
{
	judgement->verdict = MARTLET_DENY;
	judgement->direction = direction;
	judgement->reason = reason;
}

/* Judges a connection by the policies of both ends. `port` is the responder's. */
VERIFIED_ALONE int policy_judge(struct judgement *judgement, struct party *origin,
				struct party *responder, __u8 protocol, __u16 port)
{
	__u32 egress_set = 0, ingress_set = 0;
	int egress = MARTLET_ALLOW, ingress = MARTLET_ALLOW;
	bool egress_audit, ingress_audit;

	if (!judgement || !origin || !responder)
		return 0;

	if (origin->local)
		egress = policy_judge_side(origin->identity, responder->identity, MARTLET_EGRESS,
					   protocol, port, &judgement->egress_rule, &egress_set,
					   &judgement->audited[MARTLET_EGRESS]);
	if (responder->local)
		ingress = policy_judge_side(responder->identity, origin->identity, MARTLET_INGRESS,
					    protocol, port, &judgement->ingress_rule, &ingress_set,
					    &judgement->audited[MARTLET_INGRESS]);
	judgement->verdict = MARTLET_ALLOW;
	/* Of two that deny, the side that was asked first has the say. */
	if (ingress == MARTLET_DENY && !responder->audit) {
		policy_deny(judgement, MARTLET_INGRESS, judgement->audited[MARTLET_INGRESS]);
		judgement->audited[MARTLET_INGRESS] = 0;
	}
	if (egress == MARTLET_DENY && !origin->audit) {
		policy_deny(judgement, MARTLET_EGRESS, judgement->audited[MARTLET_EGRESS]);
		judgement->audited[MARTLET_EGRESS] = 0;
	}
	if (judgement->verdict == MARTLET_DENY)
		return 0;
	if (egress != MARTLET_PROXY && ingress != MARTLET_PROXY)
		return 0;
	judgement->verdict = MARTLET_PROXY;
	judgement->direction = ingress == MARTLET_PROXY ? MARTLET_INGRESS : MARTLET_EGRESS;
	judgement->proxy_rules = ingress == MARTLET_PROXY ? ingress_set : egress_set;
	if (ingress == MARTLET_PROXY && egress == MARTLET_PROXY)
		judgement->egress_proxy_rules = egress_set;
	ingress_audit = ingress == MARTLET_PROXY ? responder->audit : origin->audit;
	egress_audit = egress == MARTLET_PROXY ? origin->audit : responder->audit;
	judgement->proxy_audit =
	    (ingress_audit ? MARTLET_CT_AUDIT : 0) | (egress_audit ? MARTLET_CT_AUDIT_EGRESS : 0);
	return 0;
}

#endif
