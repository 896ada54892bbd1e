// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause

/*
 * The proxy's listener, for the packets that the node's stack finds a listener for by itself.
 *
 * from_container gives a connection's first packet to the listener, unless a connection of the same
 * addresses and ports has ended a moment ago. The stack opens the new one in its place only if it
 * finds somebody listening at the server's address, where nobody listens; else the old connection
 * answers, and the client has to reset it and try again.
 */

#include "conntrack.h"

/* Of the C library's and the kernel's own headers. */
#define AF_INET 2
#define LOOPBACK_IFINDEX 1

INLINE struct martlet_addr address_from_words(__be32 a, __be32 b, __be32 c, __be32 d)
{
	struct in6_addr address = {.in6_u.u6_addr32 = {a, b, c, d}};

	return address_from_ipv6(&address);
}

/* The packet's tuple; the verifier allows a program's context to be read word by word only. */
INLINE struct tuple lookup_tuple(const struct bpf_sk_lookup *lookup)
{
	struct tuple tuple = {.protocol = IPPROTO_TCP};

	if (lookup->family == AF_INET) {
		tuple.source = address_from_ipv4(lookup->remote_ip4);
		tuple.destination = address_from_ipv4(lookup->local_ip4);
	} else {
		tuple.source = address_from_words(lookup->remote_ip6[0], lookup->remote_ip6[1],
						  lookup->remote_ip6[2], lookup->remote_ip6[3]);
		tuple.destination = address_from_words(lookup->local_ip6[0], lookup->local_ip6[1],
						       lookup->local_ip6[2], lookup->local_ip6[3]);
	}
	tuple.source_port = lookup->remote_port;
	tuple.destination_port = bpf_htons(lookup->local_port);
	return tuple;
}

/* Whether the datapath has just handed this connection to the proxy. */
INLINE bool is_for_proxy(const struct tuple *tuple)
{
	const struct martlet_ct_entry *entry;
	struct martlet_ct_key key;
	bool source_is_b;

	source_is_b = ct_key_fill(&key, tuple, MARTLET_CT_DIRECT);
	entry = ct_lookup(&key, ct_now());
	return entry && entry->flags & MARTLET_CT_PROXY && !ct_is_reply(entry, source_is_b);
}

/* Whether a program of the node was led here by a service that the proxy routes. */
INLINE bool is_led_to_proxy(const struct bpf_sk_lookup *lookup)
{
	__u32 listener = MARTLET_LISTENER_IPV4;
	const __u32 *port;

	if (lookup->family != AF_INET ||
	    (bpf_ntohl(lookup->local_ip4) & ~MARTLET_ROUTED_MAX) != MARTLET_ROUTED_IPV4)
		return false;
	/* Several instances may share this namespace: each has a port of its own. */
	port = bpf_map_lookup_elem(&martlet_listener_ports, &listener);
	return port && *port && lookup->local_port == bpf_ntohs((__be16)*port);
}

SEC("sk_lookup")
int proxy_lookup(struct bpf_sk_lookup *lookup)
{
	struct bpf_sock *socket;
	struct tuple tuple;
	__u32 listener;

	if (lookup->protocol != IPPROTO_TCP)
		return SK_PASS;
	if (lookup->ingress_ifindex == LOOPBACK_IFINDEX) {
		/* The proxy's own connections to the node have a client's address, and any port. */
		if (!is_led_to_proxy(lookup))
			return SK_PASS;
	} else {
		tuple = lookup_tuple(lookup);
		if (!is_for_proxy(&tuple))
			return SK_PASS;
	}
	listener = lookup->family == AF_INET ? MARTLET_LISTENER_IPV4 : MARTLET_LISTENER_IPV6;
	socket = bpf_map_lookup_elem(&martlet_listeners, &listener);
	if (!socket)
		return SK_PASS;
	bpf_sk_assign(lookup, socket, 0);
	bpf_sk_release(socket);
	return SK_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
