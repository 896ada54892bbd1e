/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_IPCACHE_H
#define MARTLET_IPCACHE_H

/* Who is behind an address: a local pod, or an identity by longest prefix. */

#include "maps.h"

INLINE const struct martlet_endpoint *endpoint_lookup(const struct martlet_addr *address)
{
	/* Before 6.2 a key must not lie in memory that a function verified alone was given. */
	const struct martlet_addr key = *address;

	return bpf_map_lookup_elem(&martlet_endpoints, &key);
}

INLINE __u32 ipcache_identity(const struct martlet_addr *address, bool ipv4)
{
	struct martlet_ipcache_key key = {.prefix_length = 128};
	const struct martlet_ipcache_entry *entry;
	int i;

#pragma unroll
	for (i = 0; i < 4; i++)
		key.address[i] = address_word(address, i);
	entry = bpf_map_lookup_elem(&martlet_ipcache, &key);
	if (entry)
		return entry->identity;
	return ipv4 ? MARTLET_IDENTITY_WORLD_IPV4 : MARTLET_IDENTITY_WORLD_IPV6;
}

#endif
