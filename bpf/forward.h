/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_FORWARD_H
#define MARTLET_FORWARD_H

/* From pod to pod of one node: what a router does (RFC 1812, 5.3.1), without the stack. */

#include "packet.h"

INLINE void ipv4_decrease_ttl(struct iphdr *ip)
{
	/* RFC 1624: the sum grows by what the header's word shrinks. */
	__u32 check = ip->check + (__u32)bpf_htons(0x0100);

	ip->check = check + (check >= 0xffff);
	ip->ttl--;
}

/* What every hop does to a packet of which `eth` to `end` is readable. Returns 0 or a drop reason.
 */
INLINE int hop_limit_decrease(struct ethhdr *eth, void *end, bool ipv4)
{
	if (ipv4) {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end)
			return -MARTLET_DROP_WRITE_ERROR;
		ipv4_decrease_ttl(ip);
	} else {
		struct ipv6hdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end)
			return -MARTLET_DROP_WRITE_ERROR;
		ip->hop_limit--;
	}
	return 0;
}

/*
 * Returns the program's return code or a negative drop reason. A packet whose last hop this is goes
 * to the stack, which does not forward it either but tells its sender (RFC 792, 4443: time
 * exceeded) in the node's name; to_container refuses it should the stack let it pass.
 */
INLINE int forward_to_pod(struct __sk_buff *skb, const struct packet *packet,
			  const struct martlet_endpoint *endpoint)
{
	struct ethhdr *eth;
	int error;

	if (packet->hop_limit <= 1)
		return TC_ACT_OK;
	eth = (void *)(long)skb->data;
	error = hop_limit_decrease(eth, (void *)(long)skb->data_end, packet->flags & PACKET_IPV4);
	if (error)
		return error;
	mac_copy(eth->h_dest, endpoint->pod_mac);
	mac_copy(eth->h_source, endpoint->host_mac);
	return bpf_redirect_peer(endpoint->ifindex, 0);
}

#endif
