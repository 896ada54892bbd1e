/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_NAT_H
#define MARTLET_NAT_H

/*
 * Translated connections: a pair of entries in martlet_nat, one for each direction, from the tuple
 * of packets as they come to the tuple as they go on. User space removes pairs that have expired.
 *
 * A packet is translated in steps that are verified alone and meet in martlet_scratch: somebody
 * puts there what the packet becomes, nat_open() makes a new pair of it, nat_rewrite() does it.
 */

#include <linux/errno.h>

#include "conntrack.h"
#include "flow.h"
#include "rewrite.h"
#include "traffic.h"

/* How many source ports are tried, one after the other from a random one on (RFC 6056, 3.3.1). */
#define NAT_PORT_TRIES 128
/* When none of them is free, the one that was idle longest gives way, if for this long. */
#define NAT_IDLE_SECONDS 10

/* For a source port. */
struct nat_search {
	__u32 first;
	__u32 range; /* 0: the source port can not change */
	__u32 start;
	__u32 now;
	__u32 keep;  /* the client's own port is tried first */
	__u32 force; /* whoever has it must go */
	__u32 idle;  /* for how long the most idle connection that was met was so, and its port */
	__u32 idle_port;
	int error;
};

/* Too much for the stack. Lasts from one step to the next, for a packet does not change its CPU. */
struct nat_scratch {
	struct tuple asked; /* what the packet in hand was */
	struct tuple to;    /* what it becomes */
	struct tuple reply;
	struct martlet_nat_entry entry;
	struct martlet_nat_entry back;
	struct martlet_nat_key key;
	struct martlet_nat_key other;
	struct martlet_nat_key over;
	struct martlet_ct_key direct;
	struct martlet_socket_peer_key peer;
	struct martlet_direct_return answering;
	/* Not on the stack: Linux 6.1 takes what a loop's body finds there in the first round for
	 * what it finds in all of them. */
	struct nat_search search;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nat_scratch);
} martlet_scratch SEC(".maps");

INLINE struct nat_scratch *nat_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&martlet_scratch, &zero);
}

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

/* The key of the other direction's entry. */
INLINE void nat_other_key_fill(struct martlet_nat_key *key, const struct martlet_nat_entry *entry,
			       __u8 protocol)
{
	key->source = entry->destination;
	key->destination = entry->source;
	key->source_port = entry->destination_port;
	key->destination_port = entry->source_port;
	key->protocol = protocol;
	__builtin_memset(key->pad, 0, sizeof(key->pad));
}

/* Whether an entry is of the same pair as that with this key. */
INLINE bool nat_is_pair(const struct martlet_nat_entry *entry, const struct martlet_nat_key *other)
{
	return address_equal(&entry->source, &other->destination) &&
	       address_equal(&entry->destination, &other->source) &&
	       entry->source_port == other->destination_port &&
	       entry->destination_port == other->source_port;
}

/* Whether a new connection may take the place of this one. */
INLINE bool nat_is_over(const struct martlet_nat_entry *entry, __u32 now)
{
	const __u32 both = MARTLET_NAT_FIN_ORIGIN | MARTLET_NAT_FIN_REPLY;
	__u32 flags = READ_ONCE(entry->flags);

	return READ_ONCE(entry->expires) <= now || flags & MARTLET_NAT_RST ||
	       (flags & both) == both;
}

/* The living entry for packets like this one, or NULL. Leaves its key in `scratch`. */
INLINE struct martlet_nat_entry *nat_lookup(struct nat_scratch *scratch,
					    const struct packet *packet, __u32 now)
{
	struct martlet_nat_entry *entry;

	nat_key_fill(&scratch->key, &packet->tuple);
	entry = bpf_map_lookup_elem(&martlet_nat, &scratch->key);
	return entry && READ_ONCE(entry->expires) > now ? entry : NULL;
}

/*
 * What is known of the direction that does not pass here, by a packet of the one that does: who
 * goes on after SYN was answered, and who ends is about to be.
 */
INLINE __u32 nat_other_way(const struct packet *packet, __u32 news)
{
	const __u32 both = MARTLET_NAT_FIN_ORIGIN | MARTLET_NAT_FIN_REPLY;

	return (news & both ? both : 0) |
	       (packet->protocol == IPPROTO_TCP && !(packet->tcp_flags & TCP_SYN)
		    ? MARTLET_NAT_SEEN_REPLY
		    : 0);
}

/* Notes a packet that passes, in both entries; the second at most once a second, or with news. */
INLINE void nat_touch(struct nat_scratch *scratch, struct martlet_nat_entry *entry,
		      const struct packet *packet, const struct martlet_config *config, __u32 now)
{
	__u32 flags = READ_ONCE(entry->flags), news = 0, expires;
	bool reply = flags & MARTLET_NAT_REPLY;
	struct martlet_nat_entry *other;

	if (packet->flags & PACKET_RELATED)
		return;
	if (reply)
		news |= MARTLET_NAT_SEEN_REPLY;
	if (packet->tcp_flags & TCP_FIN)
		news |= reply ? MARTLET_NAT_FIN_REPLY : MARTLET_NAT_FIN_ORIGIN;
	if (packet->tcp_flags & TCP_RST)
		news |= MARTLET_NAT_RST;
	if (flags & MARTLET_NAT_ONE_WAY)
		news |= nat_other_way(packet, news);
	news &= ~flags;
	expires = now + ct_lifetime(config, packet->tuple.protocol, (flags | news) & 0xff);
	if (!news && READ_ONCE(entry->expires) == expires)
		return;
	if (news)
		__sync_fetch_and_or(&entry->flags, news);
	WRITE_ONCE(entry->expires, expires);
	nat_other_key_fill(&scratch->other, entry, packet->tuple.protocol);
	other = bpf_map_lookup_elem(&martlet_nat, &scratch->other);
	if (!other || !nat_is_pair(other, &scratch->key))
		return;
	if (news)
		__sync_fetch_and_or(&other->flags, news);
	WRITE_ONCE(other->expires, expires);
}

/* The packet in hand becomes what the entry says. */
INLINE void nat_take(struct nat_scratch *scratch, struct flow *flow,
		     struct martlet_nat_entry *entry, const struct martlet_config *config,
		     __u32 now)
{
	flow->nat_flags = entry->flags;
	flow->service = entry->service;
	nat_touch(scratch, entry, &flow->packet, config, now);
	nat_entry_tuple(&scratch->to, entry, flow->packet.tuple.protocol);
}

/*
 * For how many seconds nothing passed by an entry with these fields; 0 for what must not be cut:
 * TCP that was answered.
 */
INLINE __u32 nat_idle(__u32 flags, __u32 expires, __u8 protocol, __u32 now)
{
	const struct martlet_config *config = config_get();
	__u32 last;

	if (!config || (protocol == IPPROTO_TCP && flags & MARTLET_NAT_SEEN_REPLY))
		return 0;
	last = expires - ct_lifetime(config, protocol, flags & 0xff);
	return last < now ? now - last : 0;
}

/*
 * Whether packets with scratch->key, as the responder sends them, may belong to a new connection. A
 * pair that is over makes room.
 */
VERIFIED_ALONE int nat_reply_is_free(void)
{
	struct nat_scratch *scratch = nat_scratch();
	struct nat_search *search;
	struct martlet_nat_entry *taken, *there;
	const struct martlet_ct_entry *direct;
	__u32 idle;

	if (!scratch)
		return false;
	search = &scratch->search;

	taken = bpf_map_lookup_elem(&martlet_nat, &scratch->key);
	if (taken) {
		/* An earlier connection of the same client, which has nowhere to go, is over. */
		if (!search->force && !nat_is_over(taken, search->now) &&
		    !nat_is_pair(taken, &scratch->other)) {
			idle = nat_idle(READ_ONCE(taken->flags), READ_ONCE(taken->expires),
					scratch->key.protocol, search->now);
			if (idle > search->idle) {
				search->idle = idle;
				search->idle_port = bpf_ntohs(scratch->entry.source_port);
			}
			return false;
		}
		nat_other_key_fill(&scratch->over, taken, scratch->key.protocol);
		there = bpf_map_lookup_elem(&martlet_nat, &scratch->over);
		if (there && nat_is_pair(there, &scratch->key))
			bpf_map_delete_elem(&martlet_nat, &scratch->over);
		bpf_map_delete_elem(&martlet_nat, &scratch->key);
	}
	scratch->reply.source = scratch->key.source;
	scratch->reply.destination = scratch->key.destination;
	scratch->reply.source_port = scratch->key.source_port;
	scratch->reply.destination_port = scratch->key.destination_port;
	scratch->reply.protocol = scratch->key.protocol;
	ct_key_fill(&scratch->direct, &scratch->reply, MARTLET_CT_DIRECT);
	direct = ct_lookup(&scratch->direct, search->now);
	return !direct || direct->flags & MARTLET_CT_TRANSLATED;
}

/* Claims the tuple that the responder will send for one source port. 1 ends the search. */
static int nat_try_port(__u32 i, __attribute__((unused)) void *context)
{
	struct nat_scratch *scratch = nat_scratch();
	struct nat_search *search;
	long error;

	if (!scratch)
		return 1;
	search = &scratch->search;
	if (i == NAT_PORT_TRIES) {
		if (search->idle < NAT_IDLE_SECONDS)
			return 1;
		search->force = 1;
		scratch->entry.source_port = bpf_htons(search->idle_port);
	} else if (i || !search->keep) {
		if (!search->range)
			return 1;
		scratch->entry.source_port =
		    bpf_htons(search->first + (search->start + i) % search->range);
	}
	nat_other_key_fill(&scratch->key, &scratch->entry, scratch->to.protocol);
	if (!nat_reply_is_free())
		return 0;
	error = bpf_map_update_elem(&martlet_nat, &scratch->key, &scratch->back, BPF_NOEXIST);
	/* Somebody was faster. */
	if (error == -EEXIST)
		return 0;
	search->error = error ? -MARTLET_DROP_CT_INSERTION_FAILED : 0;
	return 1;
}

/*
 * Opens a translated connection: the packet goes on as scratch->entry says, whose source port is
 * replaced where somebody has it, or where it is of a node's address and not of the ports for that.
 * Returns 0 or a negative drop reason; leaves in `scratch` what the packet becomes.
 */
VERIFIED_ALONE int nat_open(struct flow *flow)
{
	const struct martlet_config *config = config_get();
	struct nat_scratch *scratch = nat_scratch();
	struct nat_search *search;
	struct martlet_nat_entry *entry, *back;
	const struct packet *packet;
	__u16 port;

	if (!flow || !config || !scratch)
		return -MARTLET_DROP_NAT_NO_MAPPING;
	packet = &flow->packet;
	search = &scratch->search;
	__builtin_memset(search, 0, sizeof(*search));
	search->error = -MARTLET_DROP_NAT_NO_MAPPING;
	entry = &scratch->entry;
	back = &scratch->back;
	if (packet->protocol == IPPROTO_SCTP &&
	    entry->destination_port != packet->tuple.destination_port)
		return -MARTLET_DROP_NAT_UNSUPPORTED_PROTOCOL;
	search->now = ct_now();
	search->keep = 1;
	/* SCTP's checksum is no sum: it can not follow a change of ports. */
	if (packet->protocol != IPPROTO_SCTP && !(entry->flags & MARTLET_NAT_ONE_WAY) &&
	    config->nat_port_last >= config->nat_port_first && config->nat_port_last) {
		search->first = config->nat_port_first;
		search->range = config->nat_port_last - config->nat_port_first + 1;
		search->start = bpf_get_prandom_u32();
	}
	port = bpf_ntohs(packet->tuple.source_port);
	if (entry->flags & MARTLET_NAT_SOURCE && protocol_has_ports(packet->protocol))
		search->keep = port >= search->first && port < search->first + search->range;
	entry->source_port = packet->tuple.source_port;
	entry->created = search->now;
	entry->expires = search->now + ct_lifetime(config, packet->tuple.protocol, 0);
	back->source = packet->tuple.destination;
	back->destination = packet->tuple.source;
	back->source_port = packet->tuple.destination_port;
	back->destination_port = packet->tuple.source_port;
	back->flags = entry->flags | MARTLET_NAT_REPLY;
	back->service = entry->service;
	back->backend = entry->backend;
	back->created = entry->created;
	back->expires = entry->expires;
	scratch->to.protocol = packet->tuple.protocol;
	nat_key_fill(&scratch->other, &packet->tuple);
	bpf_loop(NAT_PORT_TRIES + 1, nat_try_port, NULL, 0);
	if (search->error)
		return search->error;
	if (bpf_map_update_elem(&martlet_nat, &scratch->other, entry, BPF_ANY)) {
		bpf_map_delete_elem(&martlet_nat, &scratch->key);
		return -MARTLET_DROP_CT_INSERTION_FAILED;
	}
	nat_entry_tuple(&scratch->to, entry, packet->tuple.protocol);
	flow->nat_flags = entry->flags;
	flow->service = entry->service;
	return 0;
}

/* Takes back what nat_open() did last, before anything was said by it. */
INLINE void nat_forget(void)
{
	struct nat_scratch *scratch = nat_scratch();

	if (!scratch)
		return;
	bpf_map_delete_elem(&martlet_nat, &scratch->other);
	bpf_map_delete_elem(&martlet_nat, &scratch->key);
}

/* Gives the packet the tuple in martlet_scratch. Returns 0 or a negative drop reason. */
VERIFIED_ALONE int nat_rewrite(packet_context *ctx, struct flow *flow)
{
	const struct nat_scratch *scratch = nat_scratch();

	if (!flow || !scratch)
		return -MARTLET_DROP_INVALID_PACKET;
	if (flow->service)
		traffic_count(flow, flow->nat_flags & MARTLET_NAT_REPLY);
	return packet_rewrite(ctx, &flow->packet, &scratch->to);
}

/*
 * A packet of a responder, which goes back to the client as from where that had asked. Returns 0 or
 * a negative drop reason.
 */
VERIFIED_ALONE int nat_back(packet_context *ctx, struct flow *flow)
{
	const struct martlet_config *config = config_get();
	struct nat_scratch *scratch = nat_scratch();
	struct martlet_nat_entry *entry;
	__u32 now = ct_now();

	if (!flow || !config || !scratch)
		return -MARTLET_DROP_NAT_NO_MAPPING;
	entry = nat_lookup(scratch, &flow->packet, now);
	if (!entry || !(entry->flags & MARTLET_NAT_REPLY)) {
		flow->quiet = flow->packet.tcp_flags & TCP_RST;
		return -MARTLET_DROP_NAT_NO_MAPPING;
	}
	nat_take(scratch, flow, entry, config, now);
	if (flow->service)
		traffic_count(flow, true);
	return packet_rewrite(ctx, &flow->packet, &scratch->to);
}

/* Whether the connection of this packet, as its responder sees it, came about by a service. */
VERIFIED_ALONE int nat_finds_service(struct flow *flow)
{
	struct nat_scratch *scratch = nat_scratch();
	const struct martlet_nat_entry *entry;
	const struct tuple *tuple;

	if (!flow || !scratch)
		return 0;
	tuple = &flow->packet.tuple;
	scratch->key.source = tuple->destination;
	scratch->key.destination = tuple->source;
	scratch->key.source_port = tuple->destination_port;
	scratch->key.destination_port = tuple->source_port;
	scratch->key.protocol = tuple->protocol;
	__builtin_memset(scratch->key.pad, 0, sizeof(scratch->key.pad));
	entry = bpf_map_lookup_elem(&martlet_nat, &scratch->key);
	if (!entry || entry->expires <= ct_now() || !(entry->flags & MARTLET_NAT_REPLY))
		return 0;
	flow->service = entry->service;
	return true;
}

#endif
