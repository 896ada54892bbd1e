/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_ABI_H
#define MARTLET_ABI_H

/*
 * Every structure that the BPF programs share with user space, written once: the programs under
 * bpf/ include this file and Swift imports it as the module CMartletABI. A change of meaning or
 * size bumps MARTLET_ABI_VERSION; pins of another version are not adopted.
 */

#include <linux/types.h>

#define MARTLET_ABI_VERSION 7

#define MARTLET_ASSERT_SIZE(type, bytes)                                                           \
	_Static_assert(sizeof(type) == (bytes), #type " must be " #bytes " bytes")

/* An address in network byte order; IPv4 is carried as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct martlet_addr {
	__u64 hi;
	__u64 lo;
};
MARTLET_ASSERT_SIZE(struct martlet_addr, 16);

/* Reserved identities, with the numbers that users of Cilium know. */
enum martlet_identity {
	MARTLET_IDENTITY_UNKNOWN = 0,
	MARTLET_IDENTITY_HOST = 1,
	MARTLET_IDENTITY_WORLD = 2,
	MARTLET_IDENTITY_UNMANAGED = 3,
	MARTLET_IDENTITY_HEALTH = 4,
	MARTLET_IDENTITY_INIT = 5,
	MARTLET_IDENTITY_REMOTE_NODE = 6,
	MARTLET_IDENTITY_KUBE_APISERVER = 7,
	MARTLET_IDENTITY_INGRESS = 8,
	MARTLET_IDENTITY_WORLD_IPV4 = 9,
	MARTLET_IDENTITY_WORLD_IPV6 = 10,
};

/* ---- martlet_config: array, one entry ------------------------------------------------------ */

enum martlet_config_flags {
	MARTLET_CONFIG_TRACE_EVENTS = 1 << 0, /* emit an event for each new connection */
	MARTLET_CONFIG_AUDIT = 1 << 1,	      /* judge, report, but do not drop */
	/* The node itself has a policy, that of MARTLET_IDENTITY_HOST. */
	MARTLET_CONFIG_HOST_POLICY = 1 << 2,
	/* Backends elsewhere answer clients outside themselves (direct server return). */
	MARTLET_CONFIG_DSR_TCP = 1 << 3,
	MARTLET_CONFIG_DSR_UDP = 1 << 4,
};

struct martlet_config {
	__u32 abi_version;
	__u32 flags;
	/* Bumped after every change of policy or identity; a connection judged at another revision
	 * is judged again on its next packet. */
	__u32 policy_revision;
	__u32 host_identity; /* identity of the node itself, normally MARTLET_IDENTITY_HOST */
	/* Conntrack lifetimes in seconds. */
	__u32 ct_tcp_syn;
	__u32 ct_tcp_established;
	__u32 ct_tcp_closing; /* and a query that was answered */
	__u32 ct_any;	      /* UDP, ICMP: until a reply is seen */
	__u32 ct_any_stream;  /* UDP, ICMP: after a reply was seen */
	__u32 maglev_size;    /* entries of the tables in martlet_maglev, a prime */
	/* Cookie of the node's own network namespace (SO_NETNS_COOKIE). */
	__u64 node_netns_cookie;
	/* Ports for NodePort services, both ends included; 0 and 0: none. Host order. */
	__u16 node_port_first;
	__u16 node_port_last;
	/* Source ports for connections that get another source address. Host order. */
	__u16 nat_port_first;
	__u16 nat_port_last;
	__u32 proxy_instance; /* MARTLET_MARK_INSTANCE of this instance's proxy */
	__u32 pad;
};
MARTLET_ASSERT_SIZE(struct martlet_config, 64);

/* ---- martlet_endpoints: hash, address of a local pod -> where it lives ---------------------- */

enum martlet_endpoint_flags {
	MARTLET_ENDPOINT_AUDIT = 1 << 0, /* its policy is judged and reported, but drops nothing */
};

struct martlet_endpoint {
	__u32 ifindex; /* host side of the pod's veth */
	__u32 identity;
	__u32 id;    /* endpoint id, as in `martlet endpoint list` */
	__u32 flags; /* enum martlet_endpoint_flags */
	__u8 pod_mac[6];
	__u8 host_mac[6];
	__u32 reserved;
};
MARTLET_ASSERT_SIZE(struct martlet_endpoint, 32);

/* ---- martlet_ipcache: LPM trie, prefix -> identity ------------------------------------------ */

struct martlet_ipcache_key {
	__u32 prefix_length; /* 0-128; an IPv4 prefix of n bits is 96 + n */
	__u32 address[4];    /* network byte order */
};
MARTLET_ASSERT_SIZE(struct martlet_ipcache_key, 20);

struct martlet_ipcache_entry {
	__u32 identity;
	__u32 flags; /* none yet */
};
MARTLET_ASSERT_SIZE(struct martlet_ipcache_entry, 8);

/* ---- martlet_policy: hash of maps, subject identity -> LPM trie of the entries below --------- */

enum martlet_direction {
	MARTLET_INGRESS = 0,
	MARTLET_EGRESS = 1,
};

/*
 * Matched by longest prefix. The first 40 bits (peer, direction) are always given; then the
 * protocol (8 bits) and the port (up to 16 bits, so a prefix of ports is one entry). The program
 * asks for the peer's identity, for its class (below) and for peer 0 (any), and combines: a deny of
 * any of them wins, then a plain allow of any of them, then the peer's rule set, then that of its
 * class, then that of peer 0; nothing found is a deny by no rule.
 */
struct martlet_policy_key {
	__u32 prefix_length;
	__u32 peer; /* network byte order is not needed: matched whole; host order */
	__u8 direction;
	__u8 protocol; /* IPPROTO_* */
	__be16 port;   /* destination port; ICMP and ICMPv6: the type */
};
MARTLET_ASSERT_SIZE(struct martlet_policy_key, 12);

/*
 * Classes of peers, which a rule about all of them names once: by the ranges of identities. They
 * are asked for only where the entry found for peer 0 has MARTLET_POLICY_HAS_CLASSES.
 */
#define MARTLET_PEER_PODS 0xffffff01U
#define MARTLET_PEER_NODES 0xffffff02U /* other than this one */
#define MARTLET_PEER_WORLD 0xffffff03U

#define MARTLET_IDENTITY_POD_FIRST 256
#define MARTLET_IDENTITY_POD_LAST 65535
/* The upper 8 bits of the identities that mean something on this node only. */
#define MARTLET_IDENTITY_BLOCKS 1
#define MARTLET_IDENTITY_NODES 2

#define MARTLET_POLICY_MAX_ENTRIES 65536 /* of one identity */

#define MARTLET_POLICY_PREFIX_PEER 40	  /* any protocol, any port */
#define MARTLET_POLICY_PREFIX_PROTOCOL 48 /* any port */
#define MARTLET_POLICY_PREFIX_PORT 64	  /* one port */

enum martlet_verdict {
	MARTLET_VERDICT_NONE = 0,
	MARTLET_ALLOW = 1,
	MARTLET_DENY = 2,
	MARTLET_PROXY = 3, /* to the node's proxy, judged there by the rule set */
};

struct martlet_policy_entry {
	__u32 rule;	   /* author; an index into the agent's rule table */
	__u32 proxy_rules; /* MARTLET_PROXY: the rule set */
	__u8 verdict;	   /* MARTLET_VERDICT_NONE: it only carries flags */
	__u8 flags;	   /* enum martlet_policy_flags */
	__u8 pad[2];
};
MARTLET_ASSERT_SIZE(struct martlet_policy_entry, 12);

enum martlet_policy_flags {
	/* In each entry for peer 0, if there are entries for classes in the same direction. */
	MARTLET_POLICY_HAS_CLASSES = 1 << 0,
};

/* ---- martlet_conntrack: hash ---------------------------------------------------------------- */

/*
 * A connection has one key for both directions: (a, port_a) is the lower end. Ends are compared as
 * the machine's unsigned integers in the order hi, lo, port, exactly as they lie in memory (no byte
 * swap).
 */
struct martlet_ct_key {
	struct martlet_addr a;
	struct martlet_addr b;
	/* ICMP: the identifier at the end that asks; at the other the request's type, 0 for echo.
	 */
	__be16 port_a;
	__be16 port_b;
	__u8 protocol;
	__u8 zone; /* enum martlet_ct_zone */
	__u16 pad;
};
MARTLET_ASSERT_SIZE(struct martlet_ct_key, 40);

enum martlet_ct_zone {
	MARTLET_CT_DIRECT = 0,
	MARTLET_CT_UPSTREAM = 1, /* the proxy's own connection on a client's behalf */
};

enum martlet_ct_flags {
	MARTLET_CT_ORIGIN_B = 1 << 0, /* the initiator is end b */
	MARTLET_CT_SEEN_REPLY = 1 << 1,
	MARTLET_CT_FIN_ORIGIN = 1 << 2,
	MARTLET_CT_FIN_REPLY = 1 << 3,
	MARTLET_CT_RST = 1 << 4,
	MARTLET_CT_PROXY = 1 << 5, /* carried by the proxy since its first packet */
	MARTLET_CT_AUDIT = 1 << 6, /* the proxy reports what it would refuse, and lets it pass */
	MARTLET_CT_TRANSLATED = 1 << 7, /* replies are to be looked up in martlet_nat */
	/* As MARTLET_CT_AUDIT, for egress_proxy_rules; where there are none, equal to it. */
	MARTLET_CT_AUDIT_EGRESS = 1 << 8,
	/* With MARTLET_CT_PROXY: to a service whose requests the proxy routes, each judged with the
	 * backend that it gets. proxy_rules is the number of the proxy's listener, and nobody has
	 * judged the connection. */
	MARTLET_CT_ROUTED = 1 << 9,
};

struct martlet_ct_entry {
	__u64 created_ns; /* CLOCK_MONOTONIC */
	__u32 expires;	  /* seconds, CLOCK_MONOTONIC */
	__u32 revision;	  /* policy_revision at which the rules below were found */
	__u32 origin_identity;
	__u32 reply_identity;
	__u32 egress_rule;  /* author that allowed at the initiator; 0 when it is not a local pod */
	__u32 ingress_rule; /* author that allowed at the responder; 0 when it is not a local pod */
	/* MARTLET_CT_PROXY: the rule set; 0: every request is allowed. MARTLET_CT_ROUTED: the
	 * listener. */
	__u32 proxy_rules;
	__u32 flags;   /* enum martlet_ct_flags; 32 bits so that they can be set atomically */
	__u32 service; /* by which the initiator reached the responder; 0: directly */
	/*
	 * MARTLET_CT_PROXY: the initiator's rule set, which binds as well, when both ends have one;
	 * proxy_rules is the responder's then. 0: there is one set at most, whosever it is. A
	 * number of its own for each pair would need a map of pairs that is looked up and kept for
	 * every connection that both ends read; a field costs nothing.
	 */
	__u32 egress_proxy_rules;
};
MARTLET_ASSERT_SIZE(struct martlet_ct_entry, 48);

/* ---- services ------------------------------------------------------------------------------ */

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
struct martlet_counter {
	__u64 packets;
	__u64 bytes;
};
MARTLET_ASSERT_SIZE(struct martlet_counter, 16);

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

/* ---- martlet_fragments: LRU hash, datagram -> ports of its first fragment -------------------- */

struct martlet_fragment_key {
	struct martlet_addr source;
	struct martlet_addr destination;
	__u32 id;
	__u32 protocol;
};
MARTLET_ASSERT_SIZE(struct martlet_fragment_key, 40);

struct martlet_fragment_entry {
	__be16 source_port; /* ICMP: as in struct martlet_ct_key */
	__be16 destination_port;
	__u8 icmp_type;
	__u8 pad[3];
};
MARTLET_ASSERT_SIZE(struct martlet_fragment_entry, 8);

/* ---- martlet_listeners: sockmap, the proxy's sockets that take what clients begin ------------ */

enum martlet_listener {
	MARTLET_LISTENER_IPV4 = 0,
	MARTLET_LISTENER_IPV6 = 1,
	MARTLET_LISTENER_UDP_IPV4 = 2,
	MARTLET_LISTENER_UDP_IPV6 = 3,
	MARTLET_LISTENER_MAX = 4,
};

/*
 * martlet_listener_ports: array, enum martlet_listener -> the port that the socket is bound to, in
 * network byte order; 0: none. Only the two of TCP are told.
 */

/*
 * Where a program in the node's own network namespace is led when it connects to a service that the
 * proxy routes: 127.66.0.0/16, whose lower 16 bits are the number of the proxy's listener, at the
 * port of the proxy's IPv4 socket. Sockets of IPv6 are led to the mapped address.
 */
#define MARTLET_ROUTED_IPV4 0x7f420000U /* host order */
#define MARTLET_ROUTED_MAX 0xffffU

/* ---- marks ---------------------------------------------------------------------------------- */

#define MARTLET_MARK_MASK 0x0f00
#define MARTLET_MARK_TO_PROXY 0x0200   /* routed to the local table: `ip rule fwmark` */
#define MARTLET_MARK_TRANSLATED 0x0300 /* on its way from one device to another, judged */
#define MARTLET_MARK_FROM_PROXY 0x0a00 /* SO_MARK of every socket of the proxy */
/*
 * With MARTLET_MARK_FROM_PROXY, whose proxy it is: several instances may share a network namespace,
 * and what one has judged is nothing to another.
 */
#define MARTLET_MARK_INSTANCE 0xffff0000U

/* ---- traces --------------------------------------------------------------------------------- */

/*
 * The ingress_ifindex in ctx_in of a test run that asks: judge afresh, write nothing, answer in
 * cb[] as below. Only a test run can say it: a packet under way carries 0 or the index of a device,
 * which is positive.
 */
#define MARTLET_TRACE_INGRESS_IFINDEX 0xffffffffU
/* enum martlet_verdict in 8 bits; the side (enum martlet_direction) that denied, or that sends to
 * the proxy, in 8; the drop reason or 0 in 8; bit d: direction d would have dropped it, but its end
 * is in audit mode */
#define MARTLET_TRACE_CB_VERDICT 0
#define MARTLET_TRACE_DIRECTION_SHIFT 8
#define MARTLET_TRACE_REASON_SHIFT 16
#define MARTLET_TRACE_AUDITED_SHIFT 24
/* in the same word, verdict MARTLET_PROXY: MARTLET_CT_AUDIT and MARTLET_CT_AUDIT_EGRESS of it */
#define MARTLET_TRACE_PROXY_AUDIT_SHIFT 26
#define MARTLET_TRACE_PROXY_AUDIT_EGRESS_SHIFT 27
#define MARTLET_TRACE_CB_EGRESS_PROXY_RULES 1 /* as in martlet_ct_entry */
#define MARTLET_TRACE_CB_EGRESS_RULE 2
#define MARTLET_TRACE_CB_INGRESS_RULE 3
#define MARTLET_TRACE_CB_PROXY_RULES 4

/* ---- martlet_events: ring buffer ------------------------------------------------------------- */

enum martlet_event_type {
	MARTLET_EVENT_DROP = 1,
	MARTLET_EVENT_VERDICT =
	    2, /* first packet of a connection was allowed or sent to the proxy */
};

enum martlet_event_flags {
	MARTLET_EVENT_REPLY = 1 << 0,
	MARTLET_EVENT_AUDIT = 1 << 1, /* would have been dropped */
	MARTLET_EVENT_IPV4 = 1 << 2,
};

struct martlet_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u8 type;
	__u8 verdict;
	__u8 reason; /* Hubble's drop reason, 0 when not dropped */
	__u8 direction;
	__u8 protocol;
	__u8 tcp_flags; /* as in the header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32 */
	__u8 flags;
	__u8 pad;
	struct martlet_addr source;
	struct martlet_addr destination;
	__be16 source_port;	 /* ICMP: the type, in network byte order */
	__be16 destination_port; /* ICMP: the code, in network byte order */
	__u32 source_identity;
	__u32 destination_identity;
	__u32 source_endpoint;	    /* 0: not a local pod */
	__u32 destination_endpoint; /* 0: not a local pod */
	__u32 rule;	  /* author of the verdict in `direction`; 0: no rule allowed it */
	__u32 other_rule; /* author in the other direction when both were judged here */
	__u32 proxy_rules;
	__u32 ifindex;
	__u32 length;
	__u8 source_mac[6];
	__u8 destination_mac[6];
	__u32 service; /* by which the connection was made; 0: none */
	__u32 pad2;
};
MARTLET_ASSERT_SIZE(struct martlet_event, 112);

/* ---- martlet_metrics: per-CPU array of struct martlet_counter, index = reason * 2 + direction -
 */

/* reason 0 is forwarded; then Hubble's drop reasons, but for MARTLET_METRICS_XDP */
#define MARTLET_METRICS_ENTRIES 512
#define MARTLET_METRICS_XDP 1 /* sent on before there was a socket buffer */

/* ---- martlet_lost: per-CPU array, one entry: events that found the ring full ------------------
 */

/* Drop reasons, with Hubble's numbers. */
enum martlet_drop_reason {
	MARTLET_DROP_INVALID_SOURCE_MAC = 130,
	MARTLET_DROP_INVALID_DESTINATION_MAC = 131,
	MARTLET_DROP_INVALID_SOURCE_IP = 132,
	MARTLET_DROP_POLICY_DENIED = 133, /* no rule allowed it */
	MARTLET_DROP_INVALID_PACKET = 134,
	MARTLET_DROP_CT_INVALID_HEADER = 135,
	MARTLET_DROP_CT_UNKNOWN_PROTOCOL = 137,
	MARTLET_DROP_UNSUPPORTED_L3_PROTOCOL = 139,
	MARTLET_DROP_WRITE_ERROR = 141,
	MARTLET_DROP_UNKNOWN_L4_PROTOCOL = 142,
	MARTLET_DROP_STALE_OR_UNROUTABLE_IP = 151,
	MARTLET_DROP_NO_LOCAL_CONTAINER = 152,
	MARTLET_DROP_CHECKSUM_L3 = 153,
	MARTLET_DROP_CHECKSUM_L4 = 154,
	MARTLET_DROP_CT_INSERTION_FAILED = 155,
	MARTLET_DROP_INVALID_IPV6_EXTENSION = 156,
	MARTLET_DROP_TOO_BIG = 157, /* for the way on, and nobody here divides it */
	MARTLET_DROP_SERVICE_BACKEND_NOT_FOUND = 158, /* the service has no backend */
	MARTLET_DROP_NO_POLICY_CONFIGURATION = 165,
	MARTLET_DROP_UNSUPPORTED_L2_PROTOCOL = 166,
	/* No source port is free, or nobody knows the connection or the service that is told of. */
	MARTLET_DROP_NAT_NO_MAPPING = 167,
	MARTLET_DROP_NAT_UNSUPPORTED_PROTOCOL = 168,
	MARTLET_DROP_FIB_LOOKUP_FAILED = 169,
	MARTLET_DROP_INVALID_IDENTITY = 171,
	MARTLET_DROP_FIRST_FRAGMENT_NOT_FOUND = 175,
	MARTLET_DROP_FORBIDDEN_ICMPV6_MESSAGE = 176,
	MARTLET_DROP_SERVICE_SOURCE_RANGE = 177, /* the client is not in loadBalancerSourceRanges */
	MARTLET_DROP_SOCKET_LOOKUP_FAILED = 178,
	MARTLET_DROP_SOCKET_ASSIGN_FAILED = 179,
	MARTLET_DROP_PROXY_UNSUPPORTED_PROTOCOL = 180,
	MARTLET_DROP_POLICY_DENY = 181, /* a deny rule */
	MARTLET_DROP_TTL_EXCEEDED = 196,
};

#endif
