/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_NAT_H
#define MARTLET_NAT_H

/*
 * Translated connections: a pair of entries in martlet_nat, one for each direction, from the tuple
 * of packets as they come to the tuple as they go on. User space removes pairs of which both have
 * expired.
 */

#include "conntrack.h"
#include "flow.h"
#include "rewrite.h"

#define NAT_PORT_TRIES 24

INLINE void nat_key_fill(struct martlet_nat_key *key, const struct tuple *tuple)
{
	key->source = tuple->source;
	key->destination = tuple->destination;
	key->source_port = tuple->source_port;
	key->destination_port = tuple->destination_port;
	key->protocol = tuple->protocol;
	__builtin_memset(key->pad, 0, sizeof(key->pad));
}

INLINE void nat_entry_tuple(struct tuple *tuple, const struct martlet_nat_entry *entry,
			    __u8 protocol)
{
	tuple->source = entry->source;
	tuple->destination = entry->destination;
	tuple->source_port = entry->source_port;
	tuple->destination_port = entry->destination_port;
	tuple->protocol = protocol;
	__builtin_memset(tuple->pad, 0, sizeof(tuple->pad));
}

INLINE void tuple_reverse(struct tuple *reversed, const struct tuple *tuple)
{
	reversed->source = tuple->destination;
	reversed->destination = tuple->source;
	reversed->source_port = tuple->destination_port;
	reversed->destination_port = tuple->source_port;
	reversed->protocol = tuple->protocol;
	__builtin_memset(reversed->pad, 0, sizeof(reversed->pad));
}

INLINE bool nat_is_over(const struct martlet_nat_entry *entry, __u32 now)
{
	const __u32 both = MARTLET_NAT_FIN_ORIGIN | MARTLET_NAT_FIN_REPLY;
	__u32 flags = READ_ONCE(entry->flags);

	return READ_ONCE(entry->expires) <= now || flags & MARTLET_NAT_RST ||
	       (flags & both) == both;
}

/* Notes a packet that passes. What ends a connection is noted in the other entry as well. */
INLINE void nat_touch(struct martlet_nat_entry *entry, const struct packet *packet,
		      const struct martlet_config *config, __u32 now)
{
	__u32 flags = READ_ONCE(entry->flags), news = 0, expires;
	bool reply = flags & MARTLET_NAT_REPLY;

	if (packet->flags & PACKET_RELATED)
		return;
	if (reply)
		news |= MARTLET_NAT_SEEN_REPLY;
	if (packet->tcp_flags & TCP_FIN)
		news |= reply ? MARTLET_NAT_FIN_REPLY : MARTLET_NAT_FIN_ORIGIN;
	if (packet->tcp_flags & TCP_RST)
		news |= MARTLET_NAT_RST;
	flags |= news;
	expires = now + ct_lifetime(config, packet->tuple.protocol, flags & 0xff);
	if (news & ~READ_ONCE(entry->flags)) {
		struct martlet_nat_entry *other;
		struct martlet_nat_key key;
		struct tuple on, back;

		__sync_fetch_and_or(&entry->flags, news);
		nat_entry_tuple(&on, entry, packet->tuple.protocol);
		tuple_reverse(&back, &on);
		nat_key_fill(&key, &back);
		other = bpf_map_lookup_elem(&martlet_nat, &key);
		if (other) {
			__sync_fetch_and_or(&other->flags, news);
			WRITE_ONCE(other->expires, expires);
		}
	}
	if (READ_ONCE(entry->expires) != expires)
		WRITE_ONCE(entry->expires, expires);
}

/* Whether packets of this tuple, as the responder sends them, may be claimed by a new connection. */
INLINE bool nat_reply_is_free(const struct martlet_nat_key *key, const struct tuple *reply,
			      __u32 now)
{
	const struct martlet_nat_entry *taken = bpf_map_lookup_elem(&martlet_nat, key);
	const struct martlet_ct_entry *direct;
	struct martlet_ct_key ct;

	if (taken)
		return nat_is_over(taken, now);
	ct_key_fill(&ct, reply, MARTLET_CT_DIRECT);
	direct = ct_lookup(&ct, now);
	return !direct || direct->flags & MARTLET_CT_TRANSLATED;
}

/*
 * Opens a translated connection: what comes as `from` goes on as `entry` says, whose source port is
 * replaced if somebody has it. Returns 0 or a negative drop reason.
 */
VERIFIED_ALONE int nat_open(const struct packet *packet, struct martlet_nat_entry *entry)
{
	const struct martlet_config *config = config_get();
	struct martlet_nat_entry there, back = {};
	struct martlet_nat_key key;
	struct tuple on, reply;
	__u16 first, last;
	__u32 range, now;
	bool echo;
	int i;

	if (!packet || !entry || !config)
		return -MARTLET_DROP_NAT_NO_MAPPING;
	now = ct_now();
	there = *entry;
	first = config->nat_port_first;
	last = config->nat_port_last;
	range = last >= first && last ? last - first + 1 : 0;
	echo = packet->tuple.protocol == IPPROTO_ICMP || packet->tuple.protocol == IPPROTO_ICMPV6;
	for (i = 0; i < NAT_PORT_TRIES; i++) {
		nat_entry_tuple(&on, &there, packet->tuple.protocol);
		tuple_reverse(&reply, &on);
		nat_key_fill(&key, &reply);
		if (nat_reply_is_free(&key, &reply, now))
			break;
		/* An echo is told by its identifier, SCTP by ports that can not change. */
		if (!range || (packet->tuple.protocol == IPPROTO_SCTP && !echo))
			return -MARTLET_DROP_NAT_NO_MAPPING;
		there.source_port = bpf_htons(first + bpf_get_prandom_u32() % range);
	}
	if (i == NAT_PORT_TRIES)
		return -MARTLET_DROP_NAT_NO_MAPPING;
	there.created = now;
	there.flags &= ~(__u32)MARTLET_NAT_REPLY;
	there.expires = now + ct_lifetime(config, packet->tuple.protocol, 0);
	back.source = packet->tuple.destination;
	back.destination = packet->tuple.source;
	back.source_port = packet->tuple.destination_port;
	back.destination_port = packet->tuple.source_port;
	back.flags = there.flags | MARTLET_NAT_REPLY;
	back.service = there.service;
	back.backend = there.backend;
	back.created = now;
	back.expires = there.expires;
	if (bpf_map_update_elem(&martlet_nat, &key, &back, BPF_ANY))
		return -MARTLET_DROP_CT_INSERTION_FAILED;
	nat_key_fill(&key, &packet->tuple);
	if (bpf_map_update_elem(&martlet_nat, &key, &there, BPF_ANY))
		return -MARTLET_DROP_CT_INSERTION_FAILED;
	*entry = there;
	return 0;
}

/* The entry for packets like this one, or NULL. */
INLINE struct martlet_nat_entry *nat_lookup(const struct packet *packet)
{
	struct martlet_nat_key key;

	nat_key_fill(&key, &packet->tuple);
	return bpf_map_lookup_elem(&martlet_nat, &key);
}

/* Gives the packet the tuple that the entry says. Returns 0 or a negative drop reason. */
INLINE int nat_apply(struct __sk_buff *skb, struct packet *packet, struct martlet_nat_entry *entry,
		     const struct martlet_config *config, __u32 now)
{
	struct tuple to;

	nat_touch(entry, packet, config, now);
	nat_entry_tuple(&to, entry, packet->tuple.protocol);
	return packet_rewrite(skb, packet, &to);
}

/* A packet of a responder, which goes back to the client as from where that had asked. */
VERIFIED_ALONE int nat_apply_reply(struct __sk_buff *skb, struct flow *flow)
{
	const struct martlet_config *config = config_get();
	struct martlet_nat_entry *entry;

	if (!flow || !config)
		return -MARTLET_DROP_NAT_NO_MAPPING;
	entry = nat_lookup(&flow->packet);
	if (!entry || !(entry->flags & MARTLET_NAT_REPLY))
		return -MARTLET_DROP_NAT_NO_MAPPING;
	return nat_apply(skb, &flow->packet, entry, config, ct_now());
}

#endif
