/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_BALANCE_H
#define MARTLET_BALANCE_H

/* Services in packets: those of clients that the socket hooks have not served. */

#include "connection.h"
#include "nat.h"
#include "service.h"

enum balance {
	BALANCE_NONE = 0,  /* no business of services */
	BALANCE_THERE = 1, /* rewritten, on its way to a backend */
	BALANCE_BACK = 2,  /* to be rewritten by nat_apply_reply() when it was judged */
};

INLINE __u32 rotate(__u32 word, __u32 bits)
{
	return word << bits | word >> (32 - bits);
}

/*
 * A hash that every node computes alike, so that Maglev's tables agree: MurmurHash3 (x86, 32 bits)
 * over client, frontend and protocol. With affinity, of the client's address alone.
 */
INLINE __u32 balance_hash(const struct tuple *tuple, bool client_only)
{
	__u32 words[10] = {}, hash = 0x6d617274;
	int i;

	words[0] = address_word(&tuple->source, 0);
	words[1] = address_word(&tuple->source, 1);
	words[2] = address_word(&tuple->source, 2);
	words[3] = address_word(&tuple->source, 3);
	words[4] = address_word(&tuple->destination, 0);
	words[5] = address_word(&tuple->destination, 1);
	words[6] = address_word(&tuple->destination, 2);
	words[7] = address_word(&tuple->destination, 3);
	words[8] = (client_only ? 0 : (__u32)tuple->source_port << 16) | tuple->destination_port;
	words[9] = tuple->protocol;
#pragma unroll
	for (i = 0; i < 10; i++) {
		__u32 word = words[i] * 0xcc9e2d51;

		hash ^= rotate(word, 15) * 0x1b873593;
		hash = rotate(hash, 13) * 5 + 0xe6546b64;
	}
	hash ^= 40;
	hash = (hash ^ hash >> 16) * 0x85ebca6b;
	hash = (hash ^ hash >> 13) * 0xc2b2ae35;
	/* The one value that asks for chance instead. */
	hash ^= hash >> 16;
	return hash == SERVICE_RANDOM ? 0 : hash;
}

INLINE struct martlet_addr hairpin_address(bool ipv4)
{
	struct martlet_addr address = {.hi = bpf_cpu_to_be64(MARTLET_HAIRPIN_IPV6_HI),
				       .lo = bpf_cpu_to_be64(MARTLET_HAIRPIN_IPV6_LO)};

	return ipv4 ? address_from_ipv4(bpf_htonl(MARTLET_HAIRPIN_IPV4)) : address;
}

/* Whether a living entry still leads somewhere for this packet. */
INLINE bool balance_goes_on(const struct martlet_nat_entry *entry, const struct packet *packet,
			    __u32 now)
{
	__u32 backend = entry->backend;

	if (packet->flags & PACKET_RELATED)
		return true;
	if (packet_opens(packet))
		return !nat_is_over(entry, now);
	/* Datagrams stand alone: those to a backend that has gone go to another one. */
	if (packet->protocol == IPPROTO_UDP && entry->service)
		return bpf_map_lookup_elem(&martlet_backends, &backend);
	return true;
}

/*
 * Chooses a backend for a new connection and opens the translation. `number` is the service for
 * this kind of client; `device` is where the client's packets come in from outside, NULL for pods.
 */
INLINE int balance_open(struct flow *flow, const struct martlet_device *device, __u32 number,
			__u32 now, struct martlet_nat_entry *entry)
{
	struct packet *packet = &flow->packet;
	struct martlet_affinity_key client = {.client = packet->tuple.source};
	const struct martlet_service *service;
	bool ipv4 = packet->flags & PACKET_IPV4;
	struct martlet_backend backend;
	int chosen;

	service = bpf_map_lookup_elem(&martlet_services, &number);
	if (!service)
		return -MARTLET_DROP_SERVICE_BACKEND_NOT_FOUND;
	if (device && service->flags & MARTLET_SERVICE_SOURCE_RANGES &&
	    !service_admits(number, &packet->tuple.source))
		return -MARTLET_DROP_SERVICE_SOURCE_RANGE;
	chosen = service_select(number, &client, balance_hash(&packet->tuple, service->affinity),
				now, &backend);
	if (chosen < 0)
		return chosen;
	entry->source = packet->tuple.source;
	entry->source_port = packet->tuple.source_port;
	entry->destination = backend.address;
	entry->destination_port = backend.port;
	entry->service = number;
	entry->backend = chosen;
	if (address_equal(&backend.address, &packet->tuple.source)) {
		entry->source = hairpin_address(ipv4);
		entry->flags |= MARTLET_NAT_HAIRPIN;
	} else if (device && !(backend.flags & MARTLET_BACKEND_LOCAL)) {
		entry->source = ipv4 ? device->ipv4 : device->ipv6;
		entry->flags |= MARTLET_NAT_SOURCE;
		if (address_is_unspecified(&entry->source))
			return -MARTLET_DROP_NAT_NO_MAPPING;
	}
	return nat_open(packet, entry);
}

/*
 * Looks for a service in a packet that enters the node, from a pod (`device` NULL) or from outside.
 * Returns an enum balance or a negative drop reason; `flow->nat_flags` are those of the entry.
 */
INLINE int balance(struct __sk_buff *skb, struct flow *flow, const struct martlet_device *device)
{
	const struct martlet_config *config = config_get();
	struct packet *packet = &flow->packet;
	struct martlet_nat_entry fresh = {}, *entry;
	const struct martlet_frontend *frontend;
	__u32 now, number;
	int error;

	if (!config || packet->flags & PACKET_STATELESS)
		return BALANCE_NONE;
	now = ct_now();
	entry = nat_lookup(packet);
	if (entry && entry->flags & MARTLET_NAT_REPLY) {
		flow->nat_flags = entry->flags;
		return BALANCE_BACK;
	}
	if (entry && balance_goes_on(entry, packet, now)) {
		flow->nat_flags = entry->flags;
		flow->service = entry->service;
		error = nat_apply(skb, packet, entry, config, now);
		return error ?: BALANCE_THERE;
	}
	if (packet->flags & PACKET_RELATED)
		return BALANCE_NONE;
	frontend = frontend_find(&packet->destination, packet->flags & PACKET_IPV4,
				 packet->tuple.destination_port, packet->protocol);
	if (!frontend)
		return BALANCE_NONE;
	number = device ? frontend->external : frontend->service;
	if (!number)
		return BALANCE_NONE;
	flow->service = number;
	/* A connection that nobody remembers has no way back. */
	if (packet->protocol == IPPROTO_TCP && !packet_opens(packet)) {
		flow->quiet = packet->tcp_flags & TCP_RST;
		return -MARTLET_DROP_NAT_NO_MAPPING;
	}
	error = balance_open(flow, device, number, now, &fresh);
	if (error)
		return error;
	flow->nat_flags = fresh.flags;
	error = nat_apply(skb, packet, &fresh, config, now);
	return error ?: BALANCE_THERE;
}

/* A function of its own for each program's verifier. */
VERIFIED_ALONE int balance_from_pod(struct __sk_buff *skb, struct flow *flow)
{
	return flow ? balance(skb, flow, NULL) : -MARTLET_DROP_INVALID_PACKET;
}

#endif
