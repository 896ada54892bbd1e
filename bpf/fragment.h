/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_FRAGMENT_H
#define MARTLET_FRAGMENT_H

/* Only a datagram's first fragment has ports; the others get them from here. */

#include "maps.h"
#include "transport.h"

INLINE void fragment_key(struct martlet_fragment_key *key, const struct packet *packet)
{
	key->source = packet->source;
	key->destination = packet->destination;
	key->id = packet->fragment_id;
	key->protocol = packet->protocol;
}

INLINE int fragment_remember(const struct packet *packet)
{
	struct martlet_fragment_key key;
	struct martlet_fragment_entry entry = {
	    .source_port = packet->tuple.source_port,
	    .destination_port = packet->tuple.destination_port,
	    .icmp_type = packet->icmp_type,
	};

	fragment_key(&key, packet);
	if (bpf_map_update_elem(&martlet_fragments, &key, &entry, BPF_ANY))
		return -MARTLET_DROP_FIRST_FRAGMENT_NOT_FOUND;
	return 0;
}

INLINE int fragment_recall(struct packet *packet)
{
	struct martlet_fragment_key key;
	const struct martlet_fragment_entry *entry;

	/* RFC 1858, 3: a second fragment at octet 8 could rewrite the TCP flags that were judged.
	 */
	if (packet->protocol == IPPROTO_TCP && packet->fragment_units == 1)
		return -MARTLET_DROP_INVALID_PACKET;
	fragment_key(&key, packet);
	entry = bpf_map_lookup_elem(&martlet_fragments, &key);
	if (!entry)
		return -MARTLET_DROP_FIRST_FRAGMENT_NOT_FOUND;
	packet->tuple.source_port = entry->source_port;
	packet->tuple.destination_port = entry->destination_port;
	packet->icmp_type = entry->icmp_type;
	return 0;
}

/* Fills the tuple of any packet; a negative drop reason on failure. */
VERIFIED_ALONE int packet_parse(packet_context *ctx, struct packet *packet, bool trace)
{
	int error;

	if (!packet)
		return -MARTLET_DROP_INVALID_PACKET;
	error = packet_parse_network(ctx, packet);
	if (error)
		return error;
	if (packet->flags & PACKET_LATER_FRAGMENT)
		return fragment_recall(packet);
	error = packet_parse_l4(ctx, packet);
	if (error)
		return error;
	if (packet->flags & PACKET_FIRST_FRAGMENT && !trace) {
		/* No ICMP error is ever sent in fragments (RFC 792, 4443), nor is the rest. */
		if (packet->flags & (PACKET_STATELESS | PACKET_RELATED))
			return -MARTLET_DROP_INVALID_PACKET;
		return fragment_remember(packet);
	}
	return 0;
}

#endif
