/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_BALANCE_H
#define MARTLET_BALANCE_H

/* Services in packets: those of clients that the socket hooks have not served. */

#include "nat.h"
#include "service.h"

/* What is to be done with a packet; or a negative drop reason. */
enum balance {
	BALANCE_NONE = 0,    /* no business of services */
	BALANCE_REWRITE = 1, /* scratch->to says what it becomes */
	BALANCE_OPEN = 2,    /* scratch->entry is a connection to open, and then as above */
	BALANCE_BACK = 3,    /* an answer: nat_back() when it was judged */
	BALANCE_ROUTED = 4,  /* the proxy's, or nobody's: TRANSLATION_ROUTED */
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
	__u32 hash = 0x6d617274, word;
	int i;

#pragma unroll
	for (i = 0; i < 10; i++) {
		if (i < 4)
			word = address_word(&tuple->source, i);
		else if (i < 8)
			word = address_word(&tuple->destination, i - 4);
		else if (i == 8)
			word = (client_only ? 0 : (__u32)tuple->source_port << 16) |
			       tuple->destination_port;
		else
			word = tuple->protocol;
		word *= 0xcc9e2d51;
		hash ^= rotate(word, 15) * 0x1b873593;
		hash = rotate(hash, 13) * 5 + 0xe6546b64;
	}
	hash ^= 40;
	hash = (hash ^ hash >> 16) * 0x85ebca6b;
	hash = (hash ^ hash >> 13) * 0xc2b2ae35;
	hash ^= hash >> 16;
	/* The one value that asks for chance instead. */
	return hash == SERVICE_RANDOM ? 0 : hash;
}

INLINE struct martlet_addr hairpin_address(bool ipv4)
{
	struct martlet_addr address = {.hi = bpf_cpu_to_be64(MARTLET_HAIRPIN_IPV6_HI),
				       .lo = bpf_cpu_to_be64(MARTLET_HAIRPIN_IPV6_LO)};

	return ipv4 ? address_from_ipv4(bpf_htonl(MARTLET_HAIRPIN_IPV4)) : address;
}

/*
 * Whether a living entry still leads somewhere for this packet: what begins, and datagrams, each of
 * which stands alone, go elsewhere when their backend has gone.
 */
INLINE bool balance_goes_on(const struct martlet_nat_entry *entry, const struct packet *packet,
			    __u32 now)
{
	__u32 backend = entry->backend;

	if (entry->flags & MARTLET_NAT_REPLY || packet->flags & PACKET_RELATED)
		return true;
	if (packet_opens(packet) && nat_is_over(entry, now))
		return false;
	if (!entry->service || (!packet_opens(packet) && packet->protocol != IPPROTO_UDP))
		return true;
	return bpf_map_lookup_elem(&martlet_backends, &backend);
}

/* Which service a frontend stands for, for this client; 0: none. */
INLINE __u32 balance_service(const struct packet *packet, __u32 device)
{
	const struct martlet_frontend *frontend;
	bool ipv4 = packet->flags & PACKET_IPV4;
	__u32 identity;

	frontend = frontend_find(&packet->destination, ipv4, packet->tuple.destination_port,
				 packet->protocol);
	if (!frontend)
		return 0;
	if (!device || frontend->service == frontend->external)
		return frontend->service;
	/* A pod of another node. */
	identity = ipcache_identity(&packet->source, ipv4);
	if (identity >= MARTLET_IDENTITY_POD_FIRST && identity <= MARTLET_IDENTITY_POD_LAST)
		return frontend->service;
	return frontend->external;
}

/* Whether a backend elsewhere answers the client itself. */
INLINE bool balance_returns_directly(const struct packet *packet)
{
	const struct martlet_config *config = config_get();

	return config && config->flags & (packet->protocol == IPPROTO_TCP ? MARTLET_CONFIG_DSR_TCP
									  : MARTLET_CONFIG_DSR_UDP);
}

/* A backend elsewhere sees the node, by its address on a device. Returns 0 or a negative drop
 * reason. */
INLINE int balance_in_own_name(struct martlet_nat_entry *entry, __u32 device, bool ipv4)
{
	const struct martlet_device *outside = bpf_map_lookup_elem(&martlet_devices, &device);

	if (!outside)
		return -MARTLET_DROP_NAT_NO_MAPPING;
	entry->source = ipv4 ? outside->ipv4 : outside->ipv6;
	entry->flags = MARTLET_NAT_SOURCE;
	return address_is_unspecified(&entry->source) ? -MARTLET_DROP_NAT_NO_MAPPING : 0;
}

/*
 * Chooses a backend for a new connection, into scratch->entry. `device` is where the client's
 * packets come in from outside, 0 for pods.
 */
INLINE int balance_choose(struct nat_scratch *scratch, struct flow *flow, __u32 device, __u32 now)
{
	struct packet *packet = &flow->packet;
	struct martlet_affinity_key client = {.client = packet->tuple.source};
	struct martlet_nat_entry *entry = &scratch->entry;
	bool ipv4 = packet->flags & PACKET_IPV4;
	const struct martlet_service *service;
	struct martlet_backend backend;
	__u32 number = flow->service;
	int chosen, error;

	service = bpf_map_lookup_elem(&martlet_services, &number);
	if (!service)
		return -MARTLET_DROP_SERVICE_BACKEND_NOT_FOUND;
	if (device && service->flags & MARTLET_SERVICE_SOURCE_RANGES &&
	    !service_admits(number, &client.client))
		return -MARTLET_DROP_SERVICE_SOURCE_RANGE;
	chosen = service_select(number, &client, balance_hash(&packet->tuple, service->affinity),
				now, &backend);
	if (chosen < 0)
		return chosen;
	if (address_is_ipv4(&backend.address) != ipv4)
		return -MARTLET_DROP_SERVICE_BACKEND_NOT_FOUND;
	entry->source = packet->tuple.source;
	entry->source_port = packet->tuple.source_port;
	entry->destination = backend.address;
	entry->destination_port = backend.port;
	entry->flags = 0;
	entry->service = number;
	entry->backend = chosen;
	if (!device) {
		if (address_equal(&backend.address, &packet->source)) {
			entry->source = hairpin_address(ipv4);
			entry->flags = MARTLET_NAT_HAIRPIN;
		}
	} else if (!(backend.flags & MARTLET_BACKEND_LOCAL)) {
		entry->flags = MARTLET_NAT_DSR | MARTLET_NAT_ONE_WAY;
		error =
		    balance_returns_directly(packet) ? 0 : balance_in_own_name(entry, device, ipv4);
		if (error)
			return error;
	}
	flow->nat_flags = entry->flags;
	return BALANCE_OPEN;
}

/* What is masqueraded is so on its way out. A pod's answers are judged, unless it asked itself. */
INLINE int balance_here_from_pod(__u32 flags)
{
	if (flags & MARTLET_NAT_SOURCE)
		return BALANCE_NONE;
	if (flags & MARTLET_NAT_REPLY && !(flags & MARTLET_NAT_HAIRPIN))
		return BALANCE_BACK;
	return BALANCE_REWRITE;
}

/*
 * Answers to the node's address, and what clients of services send; of a backend that answers
 * directly what happens to pass here, which is errors of routers. Answers to a pod that asked a
 * service are judged before they are rewritten, at that pod.
 */
INLINE int balance_here_from_outside(__u32 flags, __u32 service)
{
	if (flags & MARTLET_NAT_REPLY)
		return flags & (MARTLET_NAT_SOURCE | MARTLET_NAT_DSR) ? BALANCE_REWRITE
								      : BALANCE_NONE;
	return service ? BALANCE_REWRITE : BALANCE_NONE;
}

/*
 * Whether a connection that begins is the proxy's, which routes it by the listener that is left in
 * the flow. Returns an enum balance or a negative drop reason.
 */
INLINE int balance_route(struct flow *flow, __u32 device)
{
	const struct martlet_service *service;
	struct martlet_addr client = flow->packet.tuple.source;
	__u32 number = flow->service;

	service = bpf_map_lookup_elem(&martlet_services, &number);
	if (!service || !service->listener)
		return BALANCE_NONE;
	if (device && service->flags & MARTLET_SERVICE_SOURCE_RANGES &&
	    !service_admits(number, &client))
		return -MARTLET_DROP_SERVICE_SOURCE_RANGE;
	flow->judgement.proxy_rules = service->listener;
	return BALANCE_ROUTED;
}

/*
 * Looks for a service in a packet that enters the node, from a pod (`device` 0) or from outside.
 * Returns an enum balance or a negative drop reason.
 */
VERIFIED_ALONE int balance(struct flow *flow, __u32 device)
{
	const struct martlet_config *config = config_get();
	struct nat_scratch *scratch = nat_scratch();
	struct martlet_nat_entry *entry;
	struct packet *packet;
	__u32 now = ct_now();
	int result;

	if (!flow || !config || !scratch)
		return -MARTLET_DROP_INVALID_PACKET;
	packet = &flow->packet;
	if (packet->flags & PACKET_STATELESS)
		return BALANCE_NONE;
	scratch->asked = packet->tuple;
	entry = nat_lookup(scratch, packet, now);
	if (entry && balance_goes_on(entry, packet, now)) {
		result = device ? balance_here_from_outside(entry->flags, entry->service)
				: balance_here_from_pod(entry->flags);
		if (result != BALANCE_REWRITE)
			return result;
		nat_take(scratch, flow, entry, config, now);
		return BALANCE_REWRITE;
	}
	if (packet->flags & PACKET_RELATED)
		return BALANCE_NONE;
	flow->service = balance_service(packet, device);
	if (!flow->service)
		return BALANCE_NONE;
	if (packet->protocol == IPPROTO_TCP) {
		if (!packet_opens(packet))
			return BALANCE_ROUTED;
		result = balance_route(flow, device);
		/* A translated connection that is over must not have what follows. */
		if (result == BALANCE_ROUTED && entry)
			bpf_map_delete_elem(&martlet_nat, &scratch->key);
		if (result != BALANCE_NONE)
			return result;
	}
	return balance_choose(scratch, flow, device, now);
}

/*
 * What balance() has found is carried out but for the packet's rewriting: with BALANCE_OPEN and
 * BALANCE_REWRITE scratch->to says what it becomes. Returns an enum balance or a drop reason.
 */
INLINE int balance_carry_out(struct flow *flow, int result)
{
	int error;

	if (result == BALANCE_BACK)
		flow->translation = TRANSLATION_BACK;
	if (result == BALANCE_ROUTED)
		flow->translation = TRANSLATION_ROUTED;
	if (result != BALANCE_OPEN && result != BALANCE_REWRITE)
		return result;
	if (result == BALANCE_OPEN) {
		error = nat_open(flow);
		if (error)
			return error;
	}
	flow->translation = TRANSLATION_THERE;
	return result;
}

/* A packet that enters the node, with its rewriting. Returns an enum balance or a drop reason. */
INLINE int balance_packet(packet_context *ctx, struct flow *flow, __u32 device)
{
	int result = balance_carry_out(flow, balance(flow, device));

	if (result != BALANCE_OPEN && result != BALANCE_REWRITE)
		return result;
	return nat_rewrite(ctx, flow) ?: result;
}

#endif
