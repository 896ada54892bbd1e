/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_SERVICE_H
#define MARTLET_SERVICE_H

/* Which service answers at an address and port, and which of its backends a new client gets. */

#include "ipcache.h"

#define SERVICE_RANDOM 0xffffffffU

/* An address of this node or of another one. */
INLINE bool address_is_node(const struct martlet_addr *address, bool ipv4)
{
	__u32 identity = ipcache_identity(address, ipv4);

	return identity == MARTLET_IDENTITY_HOST || identity == MARTLET_IDENTITY_REMOTE_NODE ||
	       identity == MARTLET_IDENTITY_KUBE_APISERVER ||
	       identity >> 24 == MARTLET_IDENTITY_NODES;
}

/* The NodePort of this number, which stands for every address of a node; or NULL. */
INLINE const struct martlet_frontend *node_port_find(bool ipv4, __be16 port, __u8 protocol)
{
	struct martlet_frontend_key key = {.port = port, .protocol = protocol};

	if (ipv4)
		key.address = address_from_ipv4(0);
	return bpf_map_lookup_elem(&martlet_frontends, &key);
}

INLINE bool port_is_node_port(const struct martlet_config *config, __be16 port)
{
	__u16 number = bpf_ntohs(port);

	return config && config->node_port_last && number >= config->node_port_first &&
	       number <= config->node_port_last;
}

/* The frontend that a packet or a socket is for, or NULL. */
INLINE const struct martlet_frontend *frontend_find(const struct martlet_addr *address, bool ipv4,
						    __be16 port, __u8 protocol)
{
	struct martlet_frontend_key key = {.address = *address, .port = port, .protocol = protocol};
	const struct martlet_frontend *frontend;

	frontend = bpf_map_lookup_elem(&martlet_frontends, &key);
	if (frontend)
		return frontend;
	if (!port_is_node_port(config_get(), port) || !address_is_node(address, ipv4))
		return NULL;
	return node_port_find(ipv4, port, protocol);
}

/* loadBalancerSourceRanges. */
INLINE bool service_admits(__u32 service, const struct martlet_addr *client)
{
	struct martlet_source_range_key key = {.prefix_length = 160, .service = service};
	int i;

#pragma unroll
	for (i = 0; i < 4; i++)
		key.address[i] = address_word(client, i);
	return bpf_map_lookup_elem(&martlet_source_ranges, &key);
}

INLINE __u32 service_slot(__u32 number, const struct martlet_service *service, __u32 hash)
{
	struct martlet_slot_key key = {.table = service->table};
	const struct martlet_config *config;
	const __u32 *found;
	void *table;
	__u32 zero = 0;

	if (service->flags & MARTLET_SERVICE_MAGLEV && hash != SERVICE_RANDOM) {
		table = bpf_map_lookup_elem(&martlet_maglev, &number);
		config = config_get();
		if (table && config && config->maglev_size) {
			found = bpf_map_lookup_elem(table, &zero);
			hash %= config->maglev_size;
			if (found && hash < MARTLET_MAGLEV_MAX)
				return found[hash];
		}
	}
	key.slot = bpf_get_prandom_u32() % service->count;
	found = bpf_map_lookup_elem(&martlet_service_slots, &key);
	return found ? *found : 0;
}

/*
 * Chooses a backend; remembers it where clients keep theirs. `hash` is that of the packet's tuple,
 * or SERVICE_RANDOM. `client` is whom affinity is about; its `service` is filled in here. Returns
 * the backend's number, or a negative drop reason.
 */
INLINE int service_select(__u32 number, struct martlet_affinity_key *client, __u32 hash, __u32 now,
			  struct martlet_backend *chosen)
{
	const struct martlet_service *service = bpf_map_lookup_elem(&martlet_services, &number);
	const struct martlet_backend *backend;
	struct martlet_affinity *kept;
	__u32 id;

	if (!service || !service->count)
		return -MARTLET_DROP_SERVICE_BACKEND_NOT_FOUND;
	client->service = number;
	if (service->affinity) {
		kept = bpf_map_lookup_elem(&martlet_affinity, client);
		if (kept && now - kept->last_used < service->affinity) {
			id = kept->backend;
			backend = bpf_map_lookup_elem(&martlet_backends, &id);
			if (backend) {
				kept->last_used = now;
				*chosen = *backend;
				return id;
			}
		}
	}
	id = service_slot(number, service, hash);
	backend = bpf_map_lookup_elem(&martlet_backends, &id);
	if (!backend)
		return -MARTLET_DROP_SERVICE_BACKEND_NOT_FOUND;
	*chosen = *backend;
	if (service->affinity) {
		struct martlet_affinity entry = {.backend = id, .last_used = now};

		bpf_map_update_elem(&martlet_affinity, client, &entry, BPF_ANY);
	}
	return id;
}

#endif
