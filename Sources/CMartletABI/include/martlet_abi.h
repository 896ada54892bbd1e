/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_ABI_H
#define MARTLET_ABI_H

/*
 * Every structure that the BPF programs share with user space, written once: the programs under
 * bpf/ include this file and Swift imports it as the module CMartletABI. A change of meaning or
 * size bumps MARTLET_ABI_VERSION; pins of another version are not adopted.
 */

#include "martlet_base.h"
#include "martlet_conntrack.h"
#include "martlet_services.h"

#define MARTLET_ABI_VERSION 7

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
	/* Bumped after every change of martlet_endpoints or martlet_ipcache by the agent: what was
	 * found there at another revision may be about others by now. Never 0. */
	__u32 address_revision;
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
