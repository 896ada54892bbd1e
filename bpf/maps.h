/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_MAPS_H
#define MARTLET_MAPS_H

/*
 * Every map that programs share, once. Hashes and tries are not preallocated, so that memory
 * follows use, but for those that evict (LRU); user space may set other sizes before it loads the
 * object.
 */

#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE); /* the proxy reads the revision for each request */
	__type(key, __u32);
	__type(value, struct martlet_config);
} martlet_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct martlet_addr);
	__type(value, struct martlet_endpoint);
} martlet_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 512 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct martlet_ipcache_key);
	__type(value, struct martlet_ipcache_entry);
} martlet_ipcache SEC(".maps");

struct martlet_policy_rules {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MARTLET_POLICY_MAX_ENTRIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	/* Sizes, not types: of a type that only an inner map names, clang emits no BTF. */
	__uint(key_size, sizeof(struct martlet_policy_key));
	__uint(value_size, sizeof(struct martlet_policy_entry));
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 16 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); /* subject identity */
	__array(values, struct martlet_policy_rules);
} martlet_policy SEC(".maps");

/* Never an LRU: a flood of new connections must not evict living ones, it must be refused. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct martlet_ct_key);
	__type(value, struct martlet_ct_entry);
} martlet_conntrack SEC(".maps");

/* ---- services ---- */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct martlet_frontend_key);
	__type(value, struct martlet_frontend);
} martlet_frontends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct martlet_service);
} martlet_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct martlet_slot_key);
	__type(value, __u32); /* a backend */
} martlet_service_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct martlet_backend);
} martlet_backends SEC(".maps");

struct martlet_maglev_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, MARTLET_MAGLEV_MAX * sizeof(__u32));
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 16 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); /* a service */
	__array(values, struct martlet_maglev_table);
} martlet_maglev SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16 * 1024);
	__type(key, struct martlet_affinity_key);
	__type(value, struct martlet_affinity);
} martlet_affinity SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 64 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct martlet_source_range_key);
	__type(value, __u8);
} martlet_source_ranges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct martlet_direct_return);
	__type(value, __u8);
} martlet_direct_returns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 64 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); /* a service */
	__type(value, struct martlet_service_traffic);
} martlet_service_traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct martlet_socket);
} martlet_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16 * 1024);
	__type(key, struct martlet_socket_peer_key);
	__type(value, struct martlet_socket_peer);
} martlet_socket_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128 * 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct martlet_nat_key);
	__type(value, struct martlet_nat_entry);
} martlet_nat SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); /* index of the device */
	__type(value, struct martlet_device);
} martlet_devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct martlet_ipcache_key);
	__type(value, __u8);
} martlet_native SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct martlet_fragment_key);
	__type(value, struct martlet_fragment_entry);
} martlet_fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, MARTLET_LISTENER_MAX);
	__type(key, __u32);
	__type(value, __u64);
} martlet_listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MARTLET_LISTENER_MAX);
	__type(key, __u32);
	__type(value, __u32); /* __be16 */
} martlet_listener_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1024 * 1024); /* bytes */
} martlet_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} martlet_lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MARTLET_METRICS_ENTRIES);
	__type(key, __u32);
	__type(value, struct martlet_counter);
} martlet_metrics SEC(".maps");

INLINE const struct martlet_config *config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&martlet_config, &zero);
}

#endif
