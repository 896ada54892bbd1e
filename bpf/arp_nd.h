/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_ARP_ND_H
#define MARTLET_ARP_ND_H

/*
 * Every neighbour of a pod is the node: ARP (RFC 826) and neighbour solicitations (RFC 4861) for
 * any address but the pod's own are answered with the host side's MAC, in the packet that asked.
 */

#include "flow.h"
#include "ipcache.h"

#define ARP_REQUEST 1

#define ND_ROUTER_SOLICITATION 133
#define ND_ROUTER_ADVERTISEMENT 134
#define ND_NEIGHBOR_SOLICITATION 135
#define ND_NEIGHBOR_ADVERTISEMENT 136
#define ND_REDIRECT 137
#define MLD_QUERY 130
#define MLD_DONE 132
#define MLD2_REPORT 143
#define ND_OPTION_TARGET_MAC 2
#define ND_FLAG_ROUTER 0x80
#define ND_FLAG_SOLICITED 0x40
#define ND_FLAG_OVERRIDE 0x20

struct arp_packet {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__be16 sender[2]; /* not aligned to 4 */
	__u8 target_mac[6];
	__be16 target[2];
};
_Static_assert(sizeof(struct arp_packet) == 28, "RFC 826 for Ethernet and IPv4");

struct nd_message {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__u8 flags;
	__u8 reserved[3];
	struct in6_addr target;
	__u8 option_type;
	__u8 option_length; /* units of 8 octets */
	__u8 option_mac[6];
};
_Static_assert(sizeof(struct nd_message) == 32, "RFC 4861, 4.4 with one option");

INLINE __be32 arp_address(const __be16 *half)
{
	union {
		__be16 half[2];
		__be32 whole;
	} address = {.half = {half[0], half[1]}};

	return address.whole;
}

/*
 * The MAC to answer with: a probe is addressed to the one the pod already knows, anything else goes
 * by the endpoint that asks. False when there is none.
 */
INLINE bool neighbor_host_mac(const struct ethhdr *eth, const struct martlet_endpoint *endpoint,
			      __u32 ifindex, __u8 *mac)
{
	if (endpoint && endpoint->ifindex == ifindex) {
		mac_copy(mac, endpoint->host_mac);
		return true;
	}
	if (eth->h_dest[0] & 1)
		return false;
	mac_copy(mac, eth->h_dest);
	return true;
}

/* Back into the pod, past to_container. */
INLINE int neighbor_send_back(struct __sk_buff *skb)
{
	bpf_skb_change_type(skb, 0 /* PACKET_HOST */);
	return bpf_redirect_peer(skb->ifindex, 0);
}

/* Returns the program's return code or a negative drop reason. */
VERIFIED_ALONE int arp_answer(struct __sk_buff *skb)
{
	struct arp_packet *arp;
	struct ethhdr *eth;
	struct martlet_addr sender, target;
	__u16 mac[3];
	__be32 asked, asking;

	ctx_pull(skb, sizeof(*eth) + sizeof(*arp));
	eth = (void *)(long)skb->data;
	arp = (void *)(eth + 1);
	if ((void *)(arp + 1) > (void *)(long)skb->data_end)
		return -MARTLET_DROP_INVALID_PACKET;
	if (arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) ||
	    arp->hardware_length != 6 || arp->protocol_length != 4 ||
	    arp->operation != bpf_htons(ARP_REQUEST))
		return -MARTLET_DROP_UNSUPPORTED_L3_PROTOCOL;
	asking = arp_address(arp->sender);
	asked = arp_address(arp->target);
	/* A probe for a duplicate of its own address (RFC 5227), or an announcement of it. */
	if (!asking || asking == asked)
		return -MARTLET_DROP_STALE_OR_UNROUTABLE_IP;
	sender = address_from_ipv4(asking);
	target = address_from_ipv4(asked);
	{
		const struct martlet_endpoint *self = endpoint_lookup(&target);

		if (self && self->ifindex == skb->ifindex)
			return -MARTLET_DROP_STALE_OR_UNROUTABLE_IP;
	}
	if (!neighbor_host_mac(eth, endpoint_lookup(&sender), skb->ifindex, (__u8 *)mac))
		return -MARTLET_DROP_INVALID_SOURCE_IP;
	arp->operation = bpf_htons(2);
	mac_copy(arp->target_mac, arp->sender_mac);
	mac_copy(arp->sender_mac, mac);
	mac_copy(eth->h_dest, eth->h_source);
	mac_copy(eth->h_source, mac);
	arp->sender[0] = ((__be16 *)&asked)[0];
	arp->sender[1] = ((__be16 *)&asked)[1];
	arp->target[0] = ((__be16 *)&asking)[0];
	arp->target[1] = ((__be16 *)&asking)[1];
	return neighbor_send_back(skb);
}

/* RFC 4443, 2.3: over the pseudo header and the message, whose checksum field is zero. */
INLINE __be16 nd_checksum(const struct in6_addr *source, const struct in6_addr *destination,
			  const struct nd_message *message)
{
	__be32 tail[2] = {bpf_htonl(sizeof(*message)), bpf_htonl(IPPROTO_ICMPV6)};
	__u64 sum;

	sum = bpf_csum_diff(NULL, 0, (void *)source, sizeof(*source), 0);
	sum = bpf_csum_diff(NULL, 0, (void *)destination, sizeof(*destination), sum);
	sum = bpf_csum_diff(NULL, 0, tail, sizeof(tail), sum);
	sum = bpf_csum_diff(NULL, 0, (void *)message, sizeof(*message), sum);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

INLINE int nd_advertise(struct __sk_buff *skb, const struct packet *packet,
			const struct in6_addr *target, const __u16 *mac)
{
	const __u32 length =
	    sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + sizeof(struct nd_message);
	struct nd_message message = {
	    .type = ND_NEIGHBOR_ADVERTISEMENT,
	    .flags = ND_FLAG_SOLICITED | ND_FLAG_OVERRIDE,
	    .target = *target,
	    .option_type = ND_OPTION_TARGET_MAC,
	    .option_length = 1,
	};
	struct in6_addr asker;
	struct ethhdr *eth;
	struct ipv6hdr *ip;

	if (target->in6_u.u6_addr16[0] == bpf_htons(0xfe80))
		message.flags |= ND_FLAG_ROUTER;
	mac_copy(message.option_mac, mac);
	__builtin_memcpy(&asker, &packet->source, sizeof(asker));
	message.checksum = nd_checksum(target, &asker, &message);
	if (skb->len != length && bpf_skb_change_tail(skb, length, 0))
		return -MARTLET_DROP_WRITE_ERROR;
	ctx_pull(skb, length);
	eth = (void *)(long)skb->data;
	ip = (void *)(eth + 1);
	if ((void *)eth + length > (void *)(long)skb->data_end)
		return -MARTLET_DROP_WRITE_ERROR;
	mac_copy(eth->h_dest, eth->h_source);
	mac_copy(eth->h_source, mac);
	ip->payload_len = bpf_htons(sizeof(message));
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = 255;
	ip->saddr = *target;
	ip->daddr = asker;
	*(struct nd_message *)(ip + 1) = message;
	return neighbor_send_back(skb);
}

INLINE int nd_solicited(struct __sk_buff *skb, struct flow *flow)
{
	const struct packet *packet = &flow->packet;
	const struct martlet_endpoint *self;
	struct in6_addr target;
	struct martlet_addr address;
	struct ethhdr *eth;
	__u16 mac[3];

	/* RFC 4861, 7.1.1: a hop limit below 255 tells that it was forwarded. */
	if (packet->hop_limit != 255 || packet->icmp_code ||
	    bpf_skb_load_bytes(skb, packet->l4 + 8, &target, sizeof(target)))
		return -MARTLET_DROP_INVALID_PACKET;
	address = address_from_ipv6(&target);
	if (address_is_group(&address))
		return -MARTLET_DROP_INVALID_PACKET;
	flow->quiet = true;
	/* Duplicate address detection (RFC 4862, 5.4): silence means that the address is free. */
	if (address_is_unspecified(&packet->source))
		return -MARTLET_DROP_STALE_OR_UNROUTABLE_IP;
	self = endpoint_lookup(&address);
	if (self && self->ifindex == skb->ifindex)
		return -MARTLET_DROP_STALE_OR_UNROUTABLE_IP;
	eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return -MARTLET_DROP_INVALID_PACKET;
	if (!neighbor_host_mac(eth, endpoint_lookup(&packet->source), skb->ifindex, (__u8 *)mac))
		return -MARTLET_DROP_INVALID_SOURCE_IP;
	return nd_advertise(skb, packet, &target, mac);
}

#define ND_NOT_FOR_US 0x7fffffff

/* ICMPv6 between a host and its link; ND_NOT_FOR_US when the packet is none of it. */
VERIFIED_ALONE int nd_answer(struct __sk_buff *skb, struct flow *flow)
{
	const struct packet *packet;

	if (!flow)
		return -MARTLET_DROP_INVALID_PACKET;
	packet = &flow->packet;
	if (packet->protocol != IPPROTO_ICMPV6 || !(packet->flags & PACKET_STATELESS))
		return ND_NOT_FOR_US;
	switch (packet->icmp_type) {
	case ND_NEIGHBOR_SOLICITATION:
		return nd_solicited(skb, flow);
	case ND_ROUTER_SOLICITATION:
	case MLD_QUERY ... MLD_DONE:
	case MLD2_REPORT:
		flow->quiet = true;
		return -MARTLET_DROP_FORBIDDEN_ICMPV6_MESSAGE;
	case ND_ROUTER_ADVERTISEMENT:
	case ND_NEIGHBOR_ADVERTISEMENT:
	case ND_REDIRECT:
		return -MARTLET_DROP_FORBIDDEN_ICMPV6_MESSAGE;
	default:
		return ND_NOT_FOR_US;
	}
}

#endif
