/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */

/*
 * Lists the connected sockets of every network namespace that were led to a backend and still talk
 * to it: for user space, which ends those whose backend has gone. Needs the kernel's BTF.
 */

#include "maps.h"

#define AF_INET 2

/* What is read of the kernel's own types; the loader finds where it lies in the running kernel. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net {
	__u64 net_cookie;
};

typedef struct {
	struct net *net;
} possible_net_t;

typedef struct {
	__s64 counter;
} atomic64_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct sock *sk;
	struct martlet_socket *value;
};

#pragma clang attribute pop

SEC("iter/bpf_sk_storage_map")
int balanced_sockets(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	const struct martlet_socket *known = ctx->value;
	struct martlet_balanced_socket found = {};
	struct sock *sk = ctx->sk;
	struct sock_common *common;

	/* Neither is given at the end of the walk. What was led to the proxy has no backend. */
	if (!sk || !known || !known->backend)
		return 0;
	common = &sk->__sk_common;
	found.family = common->skc_family;
	found.destination_port = common->skc_dport;
	if (found.family == AF_INET) {
		found.source = address_from_ipv4(common->skc_rcv_saddr);
		found.destination = address_from_ipv4(common->skc_daddr);
	} else {
		found.source = address_from_ipv6(&common->skc_v6_rcv_saddr);
		found.destination = address_from_ipv6(&common->skc_v6_daddr);
	}
	if (found.destination_port != known->backend_port ||
	    !address_equal(&found.destination, &known->backend_address))
		return 0;
	found.netns_cookie = common->skc_net.net->net_cookie;
	found.cookie = common->skc_cookie.counter;
	found.source_port = bpf_htons(common->skc_num);
	found.protocol = sk->sk_protocol;
	found.bound_ifindex = common->skc_bound_dev_if;
	found.service = known->service;
	found.backend = known->backend;
	bpf_seq_write(ctx->meta->seq, &found, sizeof(found));
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
