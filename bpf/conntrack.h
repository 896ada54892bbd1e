/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_CONNTRACK_H
#define MARTLET_CONNTRACK_H

/* Connections: one entry for both directions, found by one lookup. User space removes what expired.
 */

#include "maps.h"
#include "transport.h"

#define NANOSECONDS_PER_SECOND 1000000000ULL

INLINE __u32 ct_now(void)
{
	return bpf_ktime_get_coarse_ns() / NANOSECONDS_PER_SECOND;
}

/* Fills the key; returns whether the packet's source is end b. */
INLINE bool ct_key_fill(struct martlet_ct_key *key, const struct tuple *tuple, __u8 zone)
{
	bool source_is_b;

	if (tuple->source.hi != tuple->destination.hi)
		source_is_b = tuple->source.hi > tuple->destination.hi;
	else if (tuple->source.lo != tuple->destination.lo)
		source_is_b = tuple->source.lo > tuple->destination.lo;
	else
		source_is_b = tuple->source_port > tuple->destination_port;
	key->a = source_is_b ? tuple->destination : tuple->source;
	key->b = source_is_b ? tuple->source : tuple->destination;
	key->port_a = source_is_b ? tuple->destination_port : tuple->source_port;
	key->port_b = source_is_b ? tuple->source_port : tuple->destination_port;
	key->protocol = tuple->protocol;
	key->zone = zone;
	key->pad = 0;
	return source_is_b;
}

/* The living entry, or NULL. */
INLINE struct martlet_ct_entry *ct_lookup(const struct martlet_ct_key *key, __u32 now)
{
	struct martlet_ct_entry *entry = bpf_map_lookup_elem(&martlet_conntrack, key);

	return entry && READ_ONCE(entry->expires) > now ? entry : NULL;
}

INLINE bool ct_is_reply(const struct martlet_ct_entry *entry, bool source_is_b)
{
	return !!(entry->flags & MARTLET_CT_ORIGIN_B) != source_is_b;
}

INLINE __u32 ct_lifetime(const struct martlet_config *config, __u8 protocol, __u32 flags)
{
	const __u32 both = MARTLET_CT_FIN_ORIGIN | MARTLET_CT_FIN_REPLY;

	/* The proxy reads questions, each of which has one answer. */
	if (protocol == IPPROTO_UDP && flags & MARTLET_CT_PROXY)
		return flags & MARTLET_CT_SEEN_REPLY ? config->ct_tcp_closing : config->ct_any;
	if (protocol != IPPROTO_TCP)
		return flags & MARTLET_CT_SEEN_REPLY ? config->ct_any_stream : config->ct_any;
	if (flags & MARTLET_CT_RST || (flags & both) == both)
		return config->ct_tcp_closing;
	return flags & MARTLET_CT_SEEN_REPLY ? config->ct_tcp_established : config->ct_tcp_syn;
}

/* Notes a packet that passed. The entry's cache line is written at most once a second. */
INLINE void ct_touch(struct martlet_ct_entry *entry, const struct martlet_config *config,
		     const struct packet *packet, bool reply, __u32 now)
{
	__u32 flags = READ_ONCE(entry->flags), news = 0, expires;

	if (reply)
		news |= MARTLET_CT_SEEN_REPLY;
	if (packet->tcp_flags & TCP_FIN)
		news |= reply ? MARTLET_CT_FIN_REPLY : MARTLET_CT_FIN_ORIGIN;
	if (packet->tcp_flags & TCP_RST)
		news |= MARTLET_CT_RST;
	if (news & ~flags)
		__sync_fetch_and_or(&entry->flags, news);
	expires = now + ct_lifetime(config, packet->tuple.protocol, flags | news);
	if (READ_ONCE(entry->expires) != expires)
		WRITE_ONCE(entry->expires, expires);
}

/* Starts a connection, in the place of an old one with the same key. */
INLINE int ct_create(const struct martlet_ct_key *key, struct martlet_ct_entry *entry,
		     const struct martlet_config *config, const struct packet *packet, __u32 now)
{
	if (packet->tcp_flags & TCP_FIN)
		entry->flags |= MARTLET_CT_FIN_ORIGIN;
	entry->created_ns = bpf_ktime_get_ns();
	entry->expires = now + ct_lifetime(config, packet->tuple.protocol, entry->flags);
	if (bpf_map_update_elem(&martlet_conntrack, key, entry, BPF_ANY))
		return -MARTLET_DROP_CT_INSERTION_FAILED;
	return 0;
}

#endif
