/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_ABI_SERVICES_H
#define MARTLET_ABI_SERVICES_H

/*
 * Services, between the programs and user space: frontends and backends, what sockets were led to,
 * and translated connections. A part of martlet_abi.h, which everybody includes.
 */

#include "martlet_conntrack.h"

/*
 * martlet_frontends: hash, where clients send -> what answers there.
 *
 * A NodePort has one entry for each family, whose address is the unspecified one (::ffff:0.0.0.0 or
 * ::); it stands for every address that belongs to a node.
 */
struct martlet_frontend_key {
	struct martlet_addr address;
	__be16 port;
	__u8 protocol; /* IPPROTO_* */
	__u8 pad[5];
};
MARTLET_ASSERT_SIZE(struct martlet_frontend_key, 24);

enum martlet_frontend_flags {
	MARTLET_FRONTEND_CLUSTER_IP = 1 << 0,
	MARTLET_FRONTEND_NODE_PORT = 1 << 1,
	MARTLET_FRONTEND_EXTERNAL_IP = 1 << 2,
	MARTLET_FRONTEND_LOAD_BALANCER = 1 << 3,
	MARTLET_FRONTEND_HOST_PORT = 1 << 4,
};

struct martlet_frontend {
	__u32 service;	/* for clients of the cluster: its pods and nodes; in martlet_services */
	__u32 external; /* for everybody else; 0: this is no frontend for them */
	__u32 flags;	/* enum martlet_frontend_flags: what it is */
	__u32 pad;
};
MARTLET_ASSERT_SIZE(struct martlet_frontend, 16);

/*
 * martlet_services: hash, number -> how it is balanced. One port of a Service, seen by one kind of
 * client, in one family. Its backends change by one write of this entry, which names another table
 * (MARTLET_SERVICE_MAGLEV: by one write in martlet_maglev). A table that no entry names any more is
 * kept for a second.
 */
enum martlet_service_flags {
	MARTLET_SERVICE_MAGLEV = 1 << 0,	/* chosen by the hash of client and frontend */
	MARTLET_SERVICE_SOURCE_RANGES = 1 << 1, /* only for clients in martlet_source_ranges */
	MARTLET_SERVICE_KEEP_SOURCE =
	    1 << 2, /* the backend, on this node, sees the client's address */
	/* Nobody has a backend here, though the service has some elsewhere (a policy of Local):
	 * packets are dropped rather than refused. */
	MARTLET_SERVICE_DROP = 1 << 3,
};

struct martlet_service {
	__u32 table;	/* in martlet_service_slots */
	__u32 count;	/* slots 0 ... count - 1; 0: no backend, connections are refused */
	__u32 affinity; /* seconds for which a client keeps its backend; 0: no affinity */
	__u32 flags;	/* enum martlet_service_flags */
	/* TCP: the proxy's listener (1 ... MARTLET_ROUTED_MAX) that routes what clients say; 0: a
	 * backend is chosen here. */
	__u32 listener;
	__u32 pad;
};
MARTLET_ASSERT_SIZE(struct martlet_service, 24);

/* martlet_service_slots: hash, slot of a table -> number of a backend. */
struct martlet_slot_key {
	__u32 table;
	__u32 slot;
};
MARTLET_ASSERT_SIZE(struct martlet_slot_key, 8);

/*
 * martlet_maglev: hash of arrays, service -> one value of MARTLET_MAGLEV_MAX numbers of backends,
 * of which the first martlet_config.maglev_size count (Eisenbud et al., NSDI 2016).
 */
#define MARTLET_MAGLEV_MAX 16381

/* martlet_backends: hash, number -> where it is. */
enum martlet_backend_flags {
	MARTLET_BACKEND_LOCAL = 1 << 0, /* a pod of this node, or the node itself */
};

struct martlet_backend {
	struct martlet_addr address;
	__be16 port;
	__u8 protocol;
	__u8 flags; /* enum martlet_backend_flags */
	__u32 pad;
};
MARTLET_ASSERT_SIZE(struct martlet_backend, 24);

/* martlet_affinity: LRU hash, client and service -> the backend it has. */
struct martlet_affinity_key {
	/* The client's address; at a socket, which has none yet: 0 and the cookie of its network
	 * namespace. */
	struct martlet_addr client;
	__u32 service;
	__u32 at_socket; /* 1: `client` is such a cookie */
};
MARTLET_ASSERT_SIZE(struct martlet_affinity_key, 24);

struct martlet_affinity {
	__u32 backend;
	__u32 last_used; /* seconds, CLOCK_MONOTONIC */
};
MARTLET_ASSERT_SIZE(struct martlet_affinity, 8);

/* martlet_source_ranges: LPM trie, service and block (loadBalancerSourceRanges) -> 1. */
struct martlet_source_range_key {
	__u32 prefix_length; /* 32 bits of service, then as in martlet_ipcache */
	__u32 service;
	__u32 address[4]; /* network byte order */
};
MARTLET_ASSERT_SIZE(struct martlet_source_range_key, 24);

/*
 * martlet_service_traffic: per-CPU hash, service -> what passed by connections that it led: to
 * backends, and back. Whole datagrams, from the network header on.
 */
struct martlet_service_traffic {
	struct martlet_counter there;
	struct martlet_counter back;
};
MARTLET_ASSERT_SIZE(struct martlet_service_traffic, 32);

/*
 * martlet_sockets: socket storage, which ends with its socket. What a connected socket really talks
 * to, and what its program asked for.
 */
struct martlet_socket {
	struct martlet_addr backend_address;
	struct martlet_addr address; /* the frontend's */
	__be16 backend_port;
	__be16 port;
	__u32 service;
	__u32 backend;
	__u32 pad;
};
MARTLET_ASSERT_SIZE(struct martlet_socket, 48);

/*
 * Not in a map: what the program balanced_sockets lists, a connected socket that talks to a
 * backend. The addresses are the socket's own and the backend's.
 */
struct martlet_balanced_socket {
	__u64 netns_cookie;
	__u64 cookie;
	struct martlet_addr source;
	struct martlet_addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u16 family; /* AF_INET or AF_INET6, of the socket */
	__u16 protocol;
	__u32 bound_ifindex; /* 0: none */
	__u32 service;
	__u32 backend;
	__u32 pad;
};
MARTLET_ASSERT_SIZE(struct martlet_balanced_socket, 72);

/*
 * martlet_socket_peers: LRU hash, the same for datagrams of sockets that are not connected. Two
 * entries: the backend's address -> the frontend's, for answers; the frontend's -> the backend's,
 * so that a socket's next datagram goes where the last one went.
 */
enum martlet_socket_peer_kind {
	MARTLET_SOCKET_PEER_BACKEND = 0, /* key: the backend's address */
	MARTLET_SOCKET_PEER_FRONTEND = 1,
};

struct martlet_socket_peer_key {
	__u64 cookie; /* of the socket */
	struct martlet_addr address;
	__be16 port;
	__u8 kind; /* enum martlet_socket_peer_kind */
	__u8 pad[5];
};
MARTLET_ASSERT_SIZE(struct martlet_socket_peer_key, 32);

struct martlet_socket_peer {
	struct martlet_addr address;
	__be16 port;
	__u8 pad[2];
	__u32 service;
	__u32 backend;
	__u32 last_used; /* seconds, CLOCK_MONOTONIC */
};
MARTLET_ASSERT_SIZE(struct martlet_socket_peer, 32);

/*
 * martlet_nat: hash, the tuple of packets as they come -> as they go on. Each translated connection
 * has two entries: that of the way there (key: what the client sends) and that of the way back
 * (MARTLET_NAT_REPLY; key: what the backend sends).
 */
struct martlet_nat_key {
	struct martlet_addr source;
	struct martlet_addr destination;
	__be16 source_port; /* ICMP echo: as in struct martlet_ct_key */
	__be16 destination_port;
	__u8 protocol;
	__u8 pad[3];
};
MARTLET_ASSERT_SIZE(struct martlet_nat_key, 40);

/* What is known of the connection stands in both entries, with the numbers of enum
 * martlet_ct_flags. */
enum martlet_nat_flags {
	MARTLET_NAT_SEEN_REPLY = MARTLET_CT_SEEN_REPLY,
	MARTLET_NAT_FIN_ORIGIN = MARTLET_CT_FIN_ORIGIN,
	MARTLET_NAT_FIN_REPLY = MARTLET_CT_FIN_REPLY,
	MARTLET_NAT_RST = MARTLET_CT_RST,
	MARTLET_NAT_REPLY = 1 << 8,
	MARTLET_NAT_HAIRPIN = 1 << 9,  /* a pod that reaches itself by a service */
	MARTLET_NAT_SOURCE = 1 << 10,  /* the client's address is replaced by one of the node's */
	MARTLET_NAT_ONE_WAY = 1 << 11, /* packets of the other direction do not pass here */
	MARTLET_NAT_DSR = 1 << 12,     /* to a backend elsewhere, which answers for the service */
};

struct martlet_nat_entry {
	struct martlet_addr source;
	struct martlet_addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 expires; /* seconds, CLOCK_MONOTONIC; the pair lives as long as either */
	__u32 flags;   /* enum martlet_nat_flags */
	__u32 service; /* 0: masquerading */
	__u32 backend;
	__u32 created; /* seconds, CLOCK_MONOTONIC */
};
MARTLET_ASSERT_SIZE(struct martlet_nat_entry, 56);

/* martlet_devices: hash, index of a device to the outside -> the node's addresses on it. */
enum martlet_device_flags {
	MARTLET_DEVICE_MASQUERADE = 1 << 0,  /* pods' packets leave with the node's address */
	MARTLET_DEVICE_XDP = 1 << 1,	     /* frames may be handed to its driver (XDP_REDIRECT) */
	MARTLET_DEVICE_GENERIC_XDP = 1 << 2, /* the kernel runs XDP there, not the driver */
};

struct martlet_device {
	struct martlet_addr ipv4; /* zero: none */
	struct martlet_addr ipv6;
	__u32 flags; /* enum martlet_device_flags */
	__u8 mac[6]; /* of frames for this node */
	__u8 pad[6];
};
MARTLET_ASSERT_SIZE(struct martlet_device, 48);

/*
 * martlet_direct_returns: hash, where clients ask and a backend of this node -> 1: the backend is
 * one of the service there, so it may answer in that one's name when another node has sent a client
 * on to it. A NodePort's address is the unspecified one, as in martlet_frontends.
 */
struct martlet_direct_return {
	struct martlet_addr frontend;
	struct martlet_addr backend;
	__be16 frontend_port;
	__be16 backend_port;
	__u8 protocol; /* IPPROTO_* */
	__u8 pad[3];
};
MARTLET_ASSERT_SIZE(struct martlet_direct_return, 40);

/* martlet_native: LPM trie, key as martlet_ipcache: where pods go with their own address -> 1. */

/*
 * The source that a pod sees when it reaches itself by a service: 169.254.42.1 and its like in
 * IPv6, 64:ff9b:1::a9fe:2a01 (RFC 8215). No device has them. It is none of a link's addresses, for
 * an answer to such a one would come from the pod's own of that kind.
 */
#define MARTLET_HAIRPIN_IPV4 0xa9fe2a01U /* host order */
#define MARTLET_HAIRPIN_IPV6_HI 0x0064ff9b00010000ULL
#define MARTLET_HAIRPIN_IPV6_LO 0x00000000a9fe2a01ULL

#endif /* MARTLET_ABI_SERVICES_H */
