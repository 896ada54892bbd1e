/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_OUTSIDE_H
#define MARTLET_OUTSIDE_H

/* Packets that leave the node by a device to the outside: pods' in the node's name, and those that
 * only turn round here. */

#include <linux/udp.h>

#include "dsr.h"
#include "forward.h"

/* Where pods go with their own address. */
INLINE bool address_is_native(const struct martlet_addr *address)
{
	struct martlet_ipcache_key key = {.prefix_length = 128};
	int i;

#pragma unroll
	for (i = 0; i < 4; i++)
		key.address[i] = address_word(address, i);
	return bpf_map_lookup_elem(&martlet_native, &key);
}

/* A pod's packet that leaves by `device` as the node's, from scratch->entry on; or not. */
INLINE int masquerade(struct nat_scratch *scratch, struct flow *flow, __u32 device, __u32 now)
{
	const struct packet *packet = &flow->packet;
	struct martlet_nat_entry *entry = &scratch->entry;
	bool ipv4 = packet->flags & PACKET_IPV4, source_is_b;
	const struct martlet_device *outside;
	const struct martlet_ct_entry *known;

	outside = bpf_map_lookup_elem(&martlet_devices, &device);
	if (!outside || !(outside->flags & MARTLET_DEVICE_MASQUERADE) ||
	    !endpoint_lookup(&packet->source) || address_is_native(&packet->destination))
		return BALANCE_NONE;
	entry->source = ipv4 ? outside->ipv4 : outside->ipv6;
	if (address_is_unspecified(&entry->source))
		return BALANCE_NONE;
	if (packet->flags & PACKET_STATELESS)
		return -MARTLET_DROP_NAT_UNSUPPORTED_PROTOCOL;
	source_is_b = ct_key_fill(&scratch->direct, &packet->tuple, MARTLET_CT_DIRECT);
	known = ct_lookup(&scratch->direct, now);
	/* Who reached the pod at its own address is answered from there. */
	if (known && ct_is_reply(known, source_is_b))
		return BALANCE_NONE;
	if (packet->flags & PACKET_RELATED)
		return -MARTLET_DROP_NAT_NO_MAPPING;
	entry->source_port = packet->tuple.source_port;
	entry->destination = packet->tuple.destination;
	entry->destination_port = packet->tuple.destination_port;
	entry->flags = MARTLET_NAT_SOURCE;
	entry->service = 0;
	entry->backend = 0;
	return BALANCE_OPEN;
}

/*
 * What becomes of a packet that leaves by `device`: answers of the node's own servers, and of the
 * proxy, go back as the service's; pods' packets as the node's. Returns an enum balance or a
 * negative drop reason.
 */
VERIFIED_ALONE int depart(struct flow *flow, __u32 device)
{
	const struct martlet_config *config = config_get();
	struct nat_scratch *scratch = nat_scratch();
	struct martlet_nat_entry *entry;
	const struct packet *packet;
	__u32 now = ct_now(), flags;
	bool here;

	if (!flow || !config || !scratch)
		return -MARTLET_DROP_INVALID_PACKET;
	packet = &flow->packet;
	entry = packet->flags & PACKET_STATELESS ? NULL : nat_lookup(scratch, packet, now);
	if (!entry || (packet_opens(packet) && nat_is_over(entry, now)))
		return masquerade(scratch, flow, device, now);
	flags = entry->flags;
	if (flags & MARTLET_NAT_REPLY)
		here = !(flags & (MARTLET_NAT_SOURCE | MARTLET_NAT_HAIRPIN));
	else
		here = flags & MARTLET_NAT_SOURCE && !entry->service;
	if (!here)
		return BALANCE_NONE;
	nat_take(scratch, flow, entry, config, now);
	return BALANCE_REWRITE;
}

/* A packet that leaves the node, up to its rewriting. Returns 0 or a negative drop reason. */
INLINE int depart_packet(struct __sk_buff *skb, struct flow *flow, __u32 device)
{
	int result = depart(flow, device);

	if (result == BALANCE_OPEN)
		result = nat_open(flow) ?: BALANCE_REWRITE;
	return result == BALANCE_REWRITE ? nat_rewrite(skb, flow) : result;
}

/* Octets of the longest datagram that the packet leaves as: that of one segment. */
INLINE __u32 turn_length(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 length = packet->end - ETH_HLEN;
	__u8 data_offset = 0;

	if (skb->gso_size) {
		length = packet->l4 - ETH_HLEN + skb->gso_size;
		if (packet->protocol != IPPROTO_TCP)
			return length + sizeof(struct udphdr);
		/* The flags stand behind it, so it can be read. */
		if (bpf_skb_load_bytes(skb, packet->l4 + 12, &data_offset, sizeof(data_offset)))
			return length;
		length += (data_offset >> 4) * 4;
	}
	return length > 0xffff ? 0xffff : length;
}

/*
 * Finds the way on of a packet that is to become scratch->to, as it still is what its sender sent,
 * whom refuse() tells if there is none. Returns 0 or a negative drop reason.
 */
VERIFIED_ALONE int turn_prepare(struct __sk_buff *skb, struct flow *flow)
{
	const struct nat_scratch *scratch = nat_scratch();
	struct answer_scratch *answer = answer_scratch();
	struct bpf_fib_lookup route = {};
	const struct packet *packet;
	__u32 length;
	long found;

	if (!flow || !scratch || !answer)
		return -MARTLET_DROP_INVALID_PACKET;
	packet = &flow->packet;
	if (packet->hop_limit <= 1)
		return -MARTLET_DROP_TTL_EXCEEDED;
	length = turn_length(skb, packet);
	answer->announces = dsr_octets(skb, flow);
	found = route_ask(skb, &route, &scratch->to, packet, length + answer->announces);
	/* Of a connection that is known where it goes a full packet need say nothing. */
	if (found == BPF_FIB_LKUP_RET_FRAG_NEEDED && answer->announces) {
		answer->announces = 0;
		found = route_ask(skb, &route, &scratch->to, packet, length);
	}
	switch (found) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	/* bpf_redirect_neigh() asks for it. */
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		break;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		answer->mtu = route.mtu_result;
		return -MARTLET_DROP_TOO_BIG;
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return -MARTLET_DROP_STALE_OR_UNROUTABLE_IP;
	default:
		return -MARTLET_DROP_FIB_LOOKUP_FAILED;
	}
	answer->device = route.ifindex;
	/* Of the gateway's family, which need not be the packet's (RFC 8950). */
	answer->hop.nh_family = route.family;
	if (route.family == FAMILY_IPV4)
		answer->hop.ipv4_nh = route.ipv4_dst;
	else
		__builtin_memcpy(answer->hop.ipv6_nh, route.ipv6_dst, sizeof(route.ipv6_dst));
	return 0;
}

/*
 * Sends a translated packet on, the way that turn_prepare() has found. The stack would not: the
 * source is an address of the node's own. Returns the program's return code or a negative drop
 * reason.
 */
VERIFIED_ALONE int turn_round(struct __sk_buff *skb, struct flow *flow)
{
	const struct answer_scratch *answer = answer_scratch();
	struct bpf_redir_neigh hop;
	struct ethhdr *eth;
	int error;

	if (!flow || !answer)
		return -MARTLET_DROP_INVALID_PACKET;
	eth = (void *)(long)skb->data;
	error =
	    hop_limit_decrease(eth, (void *)(long)skb->data_end, flow->packet.flags & PACKET_IPV4);
	if (error)
		return error;
	hop = answer->hop;
	mark_set(skb, MARTLET_MARK_TRANSLATED);
	return bpf_redirect_neigh(answer->device, &hop, sizeof(hop), 0);
}

/* An answer in place of a packet that came in by this device. */
INLINE int answer_leaves(struct __sk_buff *skb)
{
	mark_set(skb, MARTLET_MARK_TRANSLATED);
	return bpf_redirect(skb->ifindex, 0);
}

#endif
