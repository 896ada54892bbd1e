/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */

/*
 * Balances at the socket: a program that connects or sends to a service is connected to, or sends
 * to, a backend, and no packet needs translation. What it is told of its peer is the service.
 *
 * The programs sock* are attached to the cgroup of the node's pods. Their twins node* are attached
 * to the root of all cgroups, for the node's own processes, and act in the node's network namespace
 * only, so that nodes that share a machine do not meet.
 */

#include <linux/errno.h>

#include "service.h"

#define PROCEED 1
#define REFUSE 0

enum socket_side {
	SIDE_POD,
	SIDE_NODE,
};

/* What a program asked for, or was told. */
struct target {
	struct martlet_addr address;
	__be16 port;
	__u8 protocol;
	bool ipv4;
};

INLINE bool side_is_meant(void *ctx, enum socket_side side)
{
	const struct martlet_config *config;

	if (side == SIDE_POD)
		return true;
	config = config_get();
	return config && bpf_get_netns_cookie(ctx) == config->node_netns_cookie;
}

/* The proxy's own connections go where it has judged that they may, and nowhere else. */
INLINE bool is_socket_of_proxy(const struct bpf_sock_addr *ctx, enum socket_side side)
{
	const struct bpf_sock *socket = ctx->sk;

	return side == SIDE_NODE && socket &&
	       (socket->mark & MARTLET_MARK_MASK) == MARTLET_MARK_FROM_PROXY;
}

/* Reads and writes of the context are of its full words, at offsets that are constants. */
INLINE void target_read(struct bpf_sock_addr *ctx, bool ipv4, struct target *target)
{
	target->port = (__be16)ctx->user_port;
	/* MPTCP (262) is TCP to others. */
	target->protocol = (__u8)ctx->protocol;
	if (ipv4) {
		target->address = address_from_ipv4(ctx->user_ip4);
		target->ipv4 = true;
	} else {
		struct in6_addr address;

		address.in6_u.u6_addr32[0] = ctx->user_ip6[0];
		address.in6_u.u6_addr32[1] = ctx->user_ip6[1];
		address.in6_u.u6_addr32[2] = ctx->user_ip6[2];
		address.in6_u.u6_addr32[3] = ctx->user_ip6[3];
		target->address = address_from_ipv6(&address);
		target->ipv4 = address_is_ipv4(&target->address);
	}
}

INLINE void target_write(struct bpf_sock_addr *ctx, bool ipv4, const struct martlet_addr *address,
			 __be16 port)
{
	ctx->user_port = port;
	if (ipv4) {
		ctx->user_ip4 = address_word(address, 3);
	} else {
		ctx->user_ip6[0] = address_word(address, 0);
		ctx->user_ip6[1] = address_word(address, 1);
		ctx->user_ip6[2] = address_word(address, 2);
		ctx->user_ip6[3] = address_word(address, 3);
	}
}

/* Where a NodePort answers the node's own programs, besides the node's addresses; the unspecified
 * address is another word for it. */
INLINE bool address_is_loopback(const struct martlet_addr *address, bool ipv4)
{
	__u32 last = bpf_ntohl(address_word(address, 3));

	if (ipv4)
		return !last || last >> 24 == 127;
	return !address->hi && !address_word(address, 2) && last <= 1;
}

/* The service that a local program asked for; 0: none. */
INLINE __u32 target_service(const struct target *target, enum socket_side side)
{
	const struct martlet_frontend *frontend;

	if (target->protocol != IPPROTO_TCP && target->protocol != IPPROTO_UDP &&
	    target->protocol != IPPROTO_SCTP)
		return 0;
	frontend = frontend_find(&target->address, target->ipv4, target->port, target->protocol);
	if (!frontend && side == SIDE_NODE && port_is_node_port(config_get(), target->port) &&
	    address_is_loopback(&target->address, target->ipv4))
		frontend = node_port_find(target->ipv4, target->port, target->protocol);
	return frontend ? frontend->service : 0;
}

INLINE __u32 seconds(void)
{
	return bpf_ktime_get_coarse_ns() / 1000000000;
}

/* The number of the backend that a socket gets, or a negative drop reason. */
INLINE int target_select(struct bpf_sock_addr *ctx, const struct target *target, __u32 service,
			 struct martlet_backend *backend)
{
	struct martlet_affinity_key client = {.at_socket = 1};
	int number;

	client.client.lo = bpf_get_netns_cookie(ctx);
	number = service_select(service, &client, SERVICE_RANDOM, seconds(), backend);
	if (number > 0 && address_is_ipv4(&backend->address) != target->ipv4)
		return -MARTLET_DROP_SERVICE_BACKEND_NOT_FOUND;
	return number;
}

/* The proxy's listener that routes what is said to this service; 0: none. */
INLINE __u32 target_listener(const struct target *target, __u32 service)
{
	const struct martlet_service *entry;

	if (target->protocol != IPPROTO_TCP)
		return 0;
	entry = bpf_map_lookup_elem(&martlet_services, &service);
	return entry ? entry->listener & MARTLET_ROUTED_MAX : 0;
}

/* Where the proxy listens for a program of the node. Returns whether it does. */
INLINE bool listener_find(__u32 listener, struct martlet_backend *backend)
{
	__u32 family = MARTLET_LISTENER_IPV4;
	const __u32 *port;

	port = bpf_map_lookup_elem(&martlet_listener_ports, &family);
	if (!port || !*port)
		return false;
	backend->address = address_from_ipv4(bpf_htonl(MARTLET_ROUTED_IPV4 | listener));
	backend->port = (__be16)*port;
	return true;
}

INLINE int refuse(void)
{
	bpf_set_retval(-ECONNREFUSED);
	return REFUSE;
}

INLINE int socket_connect(struct bpf_sock_addr *ctx, bool ipv4, enum socket_side side)
{
	struct martlet_backend backend;
	struct martlet_socket *socket;
	struct target target;
	__u32 service, listener;
	int number;

	if (!side_is_meant(ctx, side) || is_socket_of_proxy(ctx, side))
		return PROCEED;
	target_read(ctx, ipv4, &target);
	service = target_service(&target, side);
	if (!service)
		return PROCEED;
	listener = target_listener(&target, service);
	if (listener) {
		/* A pod's packets meet the proxy on their way: they tell which service was meant.
		 */
		if (!side_is_meant(ctx, SIDE_NODE))
			return PROCEED;
		if (!listener_find(listener, &backend))
			return refuse();
		number = 0;
	} else {
		number = target_select(ctx, &target, service, &backend);
		if (number <= 0)
			return refuse();
	}
	socket = bpf_sk_storage_get(&martlet_sockets, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (socket) {
		socket->backend_address = backend.address;
		socket->backend_port = backend.port;
		socket->address = target.address;
		socket->port = target.port;
		socket->service = service;
		socket->backend = number;
	}
	/* A socket has a cookie from when it is first asked for: by it user space ends this one
	 * only. */
	bpf_get_socket_cookie(ctx);
	target_write(ctx, ipv4, &backend.address, backend.port);
	return PROCEED;
}

INLINE struct martlet_socket_peer_key
peer_key(struct bpf_sock_addr *ctx, const struct martlet_addr *address, __be16 port, __u8 kind)
{
	struct martlet_socket_peer_key key = {.address = *address, .port = port, .kind = kind};

	key.cookie = bpf_get_socket_cookie(ctx);
	return key;
}

/* The backend that a living connection of this socket to the same frontend has; 0: none. */
INLINE __u32 connected_backend(struct bpf_sock_addr *ctx, const struct target *target,
			       __u32 service)
{
	const struct martlet_socket *socket;

	socket = bpf_sk_storage_get(&martlet_sockets, ctx->sk, NULL, 0);
	if (!socket || socket->service != service || socket->port != target->port ||
	    !address_equal(&socket->address, &target->address))
		return 0;
	return socket->backend;
}

/*
 * A datagram to an address that is given with it. As with a connection, what a socket sends to one
 * frontend goes to one backend, until the socket was silent for as long as ends a stream.
 */
INLINE int socket_send(struct bpf_sock_addr *ctx, bool ipv4, enum socket_side side)
{
	const struct martlet_config *config = config_get();
	struct martlet_socket_peer entry = {};
	struct martlet_socket_peer_key key;
	const struct martlet_backend *known = NULL;
	struct martlet_socket_peer *peer;
	struct martlet_backend backend;
	__u32 service, now, kept = 0;
	struct target target;
	int number;

	if (!config || !side_is_meant(ctx, side) || is_socket_of_proxy(ctx, side))
		return PROCEED;
	target_read(ctx, ipv4, &target);
	service = target_service(&target, side);
	if (!service)
		return PROCEED;
	now = seconds();
	key = peer_key(ctx, &target.address, target.port, MARTLET_SOCKET_PEER_FRONTEND);
	peer = bpf_map_lookup_elem(&martlet_socket_peers, &key);
	if (!peer)
		kept = connected_backend(ctx, &target, service);
	else if (peer->service == service && now - peer->last_used < config->ct_any_stream)
		kept = peer->backend;
	if (kept)
		known = bpf_map_lookup_elem(&martlet_backends, &kept);
	if (known) {
		number = kept;
		backend = *known;
		if (peer && peer->last_used == now)
			goto translate;
	} else {
		number = target_select(ctx, &target, service, &backend);
		if (number <= 0)
			return refuse();
	}
	/* Once a second both entries are made young, lest one be evicted before the other. */
	entry.address = backend.address;
	entry.port = backend.port;
	entry.service = service;
	entry.backend = number;
	entry.last_used = now;
	bpf_map_update_elem(&martlet_socket_peers, &key, &entry, BPF_ANY);
	key.address = backend.address;
	key.port = backend.port;
	key.kind = MARTLET_SOCKET_PEER_BACKEND;
	entry.address = target.address;
	entry.port = target.port;
	bpf_map_update_elem(&martlet_socket_peers, &key, &entry, BPF_ANY);
translate:
	target_write(ctx, ipv4, &backend.address, backend.port);
	return PROCEED;
}

/* Puts the frontend in place of the backend that a connected socket has. */
INLINE bool connected_peer(struct bpf_sock_addr *ctx, bool ipv4, const struct target *target)
{
	const struct martlet_socket *socket;

	socket = bpf_sk_storage_get(&martlet_sockets, ctx->sk, NULL, 0);
	if (!socket || socket->backend_port != target->port ||
	    !address_equal(&socket->backend_address, &target->address))
		return false;
	target_write(ctx, ipv4, &socket->address, socket->port);
	return true;
}

INLINE int socket_peer_name(struct bpf_sock_addr *ctx, bool ipv4, enum socket_side side)
{
	struct target target;

	if (!side_is_meant(ctx, side))
		return PROCEED;
	target_read(ctx, ipv4, &target);
	connected_peer(ctx, ipv4, &target);
	return PROCEED;
}

INLINE int socket_receive(struct bpf_sock_addr *ctx, bool ipv4, enum socket_side side)
{
	const struct martlet_socket_peer *peer;
	struct martlet_socket_peer_key key;
	struct target target;

	if (!side_is_meant(ctx, side))
		return PROCEED;
	target_read(ctx, ipv4, &target);
	if (connected_peer(ctx, ipv4, &target))
		return PROCEED;
	key = peer_key(ctx, &target.address, target.port, MARTLET_SOCKET_PEER_BACKEND);
	peer = bpf_map_lookup_elem(&martlet_socket_peers, &key);
	if (peer)
		target_write(ctx, ipv4, &peer->address, peer->port);
	return PROCEED;
}

/* A NodePort belongs to its service: a server of the node that took it would never be reached. */
INLINE int socket_bind(struct bpf_sock *ctx, bool ipv4, bool both)
{
	__be16 port = bpf_htons((__u16)ctx->src_port);
	__u8 protocol = (__u8)ctx->protocol;

	if (!port_is_node_port(config_get(), port) || !side_is_meant(ctx, SIDE_NODE))
		return PROCEED;
	if (!node_port_find(ipv4, port, protocol) &&
	    !(both && node_port_find(!ipv4, port, protocol)))
		return PROCEED;
	bpf_set_retval(-EADDRINUSE);
	return REFUSE;
}

SEC("cgroup/post_bind4")
int node4_post_bind(struct bpf_sock *ctx)
{
	return socket_bind(ctx, true, false);
}

/* Whether a socket takes IPv4 too is not told: one on the unspecified address is held to do so. */
SEC("cgroup/post_bind6")
int node6_post_bind(struct bpf_sock *ctx)
{
	struct martlet_addr address;
	struct in6_addr bound;

	bound.in6_u.u6_addr32[0] = ctx->src_ip6[0];
	bound.in6_u.u6_addr32[1] = ctx->src_ip6[1];
	bound.in6_u.u6_addr32[2] = ctx->src_ip6[2];
	bound.in6_u.u6_addr32[3] = ctx->src_ip6[3];
	address = address_from_ipv6(&bound);
	return socket_bind(ctx, address_is_ipv4(&address), address_is_unspecified(&address));
}

#define HOOKS(name, section, function)                                                             \
	SEC("cgroup/" section "4")                                                                 \
	int sock4_##name(struct bpf_sock_addr *ctx)                                                \
	{                                                                                          \
		return function(ctx, true, SIDE_POD);                                              \
	}                                                                                          \
	SEC("cgroup/" section "6")                                                                 \
	int sock6_##name(struct bpf_sock_addr *ctx)                                                \
	{                                                                                          \
		return function(ctx, false, SIDE_POD);                                             \
	}                                                                                          \
	SEC("cgroup/" section "4")                                                                 \
	int node4_##name(struct bpf_sock_addr *ctx)                                                \
	{                                                                                          \
		return function(ctx, true, SIDE_NODE);                                             \
	}                                                                                          \
	SEC("cgroup/" section "6")                                                                 \
	int node6_##name(struct bpf_sock_addr *ctx)                                                \
	{                                                                                          \
		return function(ctx, false, SIDE_NODE);                                            \
	}

HOOKS(connect, "connect", socket_connect)
HOOKS(sendmsg, "sendmsg", socket_send)
HOOKS(recvmsg, "recvmsg", socket_receive)
HOOKS(getpeername, "getpeername", socket_peer_name)

char _license[] SEC("license") = "Dual BSD/GPL";
