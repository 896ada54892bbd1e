/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_SOCKET_H
#define MARTLET_SOCKET_H

/* Sockets of the node's namespace that a packet is for, whoever its addresses belong to. */

#include "packet.h"

/* Fills the tuple from the sender's side; returns its size. */
INLINE __u32 socket_tuple(struct bpf_sock_tuple *tuple, const struct packet *packet)
{
	const struct tuple *from = &packet->tuple;

	if (packet->flags & PACKET_IPV4) {
		tuple->ipv4.saddr = address_word(&from->source, 3);
		tuple->ipv4.daddr = address_word(&from->destination, 3);
		tuple->ipv4.sport = from->source_port;
		tuple->ipv4.dport = from->destination_port;
		return sizeof(tuple->ipv4);
	}
	__builtin_memcpy(tuple->ipv6.saddr, &from->source, sizeof(from->source));
	__builtin_memcpy(tuple->ipv6.daddr, &from->destination, sizeof(from->destination));
	tuple->ipv6.sport = from->source_port;
	tuple->ipv6.dport = from->destination_port;
	return sizeof(tuple->ipv6);
}

/* To be released by the caller. */
INLINE struct bpf_sock *socket_find_tcp(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = socket_tuple(&tuple, packet);

	return bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
}

/* To be released by the caller. */
INLINE struct bpf_sock *socket_find_udp(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = socket_tuple(&tuple, packet);

	return bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
}

/*
 * Whether the proxy has a socket of its own, bound to a pod's address, that waits for this packet.
 * What is found by TCP's whole tuple is its doing: nobody else here has a pod's address. UDP also
 * finds sockets that are bound to no address.
 */
INLINE bool socket_of_proxy(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_sock *socket;
	bool found;

	if (packet->protocol == IPPROTO_TCP) {
		socket = socket_find_tcp(skb, packet);
		if (!socket)
			return false;
		found = socket->state != BPF_TCP_LISTEN;
	} else {
		socket = socket_find_udp(skb, packet);
		if (!socket)
			return false;
		found = (socket->mark & MARTLET_MARK_MASK) == MARTLET_MARK_FROM_PROXY;
	}
	bpf_sk_release(socket);
	return found;
}

#endif
