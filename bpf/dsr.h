/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_DSR_H
#define MARTLET_DSR_H

/*
 * Direct server return. The node where a client outside arrives sends its packets on with the
 * client's own address, and tells the backend's node, in what may be the first packet that it sees,
 * which service was asked: in an option of IPv4 (RFC 791) or of IPv6's destination options header
 * (RFC 8200, 4.6) that all others skip, with the numbers and the form of Cilium. That node
 * remembers it as a translation for the answers, which go straight to the client.
 */

#include "turn.h"

#define DSR_IPV4_OPTION 0x9a /* copied into fragments, of an unassigned number */
#define DSR_IPV6_OPTION 0x1b /* skipped by who does not know it, does not change on the way */

struct dsr_ipv4 {
	__u8 type;
	__u8 length;
	__be16 port;
	__be32 address;
};
_Static_assert(sizeof(struct dsr_ipv4) == DSR_OPTION_IPV4, "two words of an IPv4 header");

struct dsr_ipv6 {
	__u8 next;
	__u8 units; /* of 8 octets, beyond the first */
	__u8 type;
	__u8 length;
	__be32 address[4];
	__be16 port;
	__u16 pad;
};
_Static_assert(sizeof(struct dsr_ipv6) == DSR_OPTION_IPV6, "a header of its own");

/* Puts the service that was asked, scratch->asked, into a packet that is rewritten already. */
VERIFIED_ALONE int dsr_announce_ipv4(struct __sk_buff *skb, struct flow *flow)
{
	const struct nat_scratch *scratch = nat_scratch();
	const struct packet *packet;
	struct dsr_ipv4 option = {};
	struct iphdr *ip;
	__u16 length;
	__u64 change;

	if (!flow || !scratch)
		return -MARTLET_DROP_INVALID_PACKET;
	packet = &flow->packet;
	/* Other options, or a train: they are rare, and the next packet may tell. */
	if (packet->l4 != ETH_HLEN + sizeof(*ip) || ctx_is_train(skb))
		return 0;
	if (bpf_skb_adjust_room(skb, sizeof(option), BPF_ADJ_ROOM_NET, 0))
		return -MARTLET_DROP_WRITE_ERROR;
	option.type = DSR_IPV4_OPTION;
	option.length = sizeof(option);
	option.port = scratch->asked.destination_port;
	option.address = address_word(&scratch->asked.destination, 3);
	ctx_pull(skb, ETH_HLEN + sizeof(*ip) + sizeof(option));
	ip = (void *)(long)skb->data + ETH_HLEN;
	if ((void *)(ip + 1) + sizeof(option) > (void *)(long)skb->data_end)
		return -MARTLET_DROP_WRITE_ERROR;
	length = bpf_ntohs(ip->tot_len) + sizeof(option);
	change = (__u32)bpf_csum_diff(NULL, 0, (void *)&option, sizeof(option), 0);
	change += bpf_htons(0x0200) + bpf_htons(sizeof(option));
	ip->check = checksum_changed(ip->check, (change & 0xffffffff) + (change >> 32));
	ip->ihl += 2;
	ip->tot_len = bpf_htons(length);
	__builtin_memcpy(ip + 1, &option, sizeof(option));
	return 0;
}

VERIFIED_ALONE int dsr_announce_ipv6(struct __sk_buff *skb, struct flow *flow)
{
	const struct nat_scratch *scratch = nat_scratch();
	const struct packet *packet;
	struct dsr_ipv6 option = {};
	struct ipv6hdr *ip;

	if (!flow || !scratch)
		return -MARTLET_DROP_INVALID_PACKET;
	packet = &flow->packet;
	if (packet->l4 != ETH_HLEN + sizeof(*ip) || ctx_is_train(skb))
		return 0;
	if (bpf_skb_adjust_room(skb, sizeof(option), BPF_ADJ_ROOM_NET, 0))
		return -MARTLET_DROP_WRITE_ERROR;
	ctx_pull(skb, ETH_HLEN + sizeof(*ip) + sizeof(option));
	ip = (void *)(long)skb->data + ETH_HLEN;
	if ((void *)(ip + 1) + sizeof(option) > (void *)(long)skb->data_end)
		return -MARTLET_DROP_WRITE_ERROR;
	option.next = ip->nexthdr;
	option.units = sizeof(option) / 8 - 1;
	option.type = DSR_IPV6_OPTION;
	option.length = sizeof(option) - 4;
	__builtin_memcpy(option.address, &scratch->asked.destination, sizeof(option.address));
	option.port = scratch->asked.destination_port;
	ip->nexthdr = IPPROTO_DSTOPTS;
	ip->payload_len = bpf_htons(bpf_ntohs(ip->payload_len) + sizeof(option));
	__builtin_memcpy(ip + 1, &option, sizeof(option));
	return 0;
}

INLINE int dsr_announce(struct __sk_buff *skb, struct flow *flow)
{
	return flow->packet.flags & PACKET_IPV4 ? dsr_announce_ipv4(skb, flow)
						: dsr_announce_ipv6(skb, flow);
}

/* The service that a packet was sent to before another node sent it on; false: none is told. */
INLINE bool dsr_told(struct __sk_buff *skb, const struct packet *packet, struct martlet_addr *asked,
		     __be16 *port)
{
	if (packet->flags & PACKET_IPV4) {
		struct dsr_ipv4 option;

		if (packet->l4 != ETH_HLEN + sizeof(struct iphdr) + sizeof(option) ||
		    ctx_load(skb, ETH_HLEN + sizeof(struct iphdr), &option, sizeof(option)) ||
		    option.type != DSR_IPV4_OPTION || option.length != sizeof(option))
			return false;
		*asked = address_from_ipv4(option.address);
		*port = option.port;
	} else {
		struct dsr_ipv6 option;

		if (packet->l4 != ETH_HLEN + sizeof(struct ipv6hdr) + sizeof(option) ||
		    ctx_load(skb, ETH_HLEN + sizeof(struct ipv6hdr), &option, sizeof(option)) ||
		    option.units != sizeof(option) / 8 - 1 || option.type != DSR_IPV6_OPTION ||
		    option.length != sizeof(option) - 4)
			return false;
		__builtin_memcpy(asked, option.address, sizeof(*asked));
		*port = option.port;
	}
	return true;
}

/* Remembers which service answers in whose name. Returns 0 or a negative drop reason. */
VERIFIED_ALONE int dsr_learn(struct __sk_buff *skb, struct flow *flow)
{
	const struct martlet_config *config = config_get();
	struct nat_scratch *scratch = nat_scratch();
	const struct martlet_frontend *frontend;
	struct martlet_nat_entry *entry;
	struct martlet_addr asked, destination;
	struct packet *packet;
	bool ipv4;
	__be16 port, destination_port;
	__u32 now = ct_now();
	int error = 0;

	if (!flow || !config || !scratch)
		return 0;
	packet = &flow->packet;
	ipv4 = packet->flags & PACKET_IPV4;
	if (packet->flags & (PACKET_STATELESS | PACKET_RELATED) ||
	    !protocol_has_ports(packet->protocol) || !dsr_announces(packet) ||
	    !dsr_told(skb, packet, &asked, &port) || address_is_ipv4(&asked) != ipv4)
		return 0;
	destination = packet->tuple.destination;
	destination_port = packet->tuple.destination_port;
	if (!endpoint_lookup(&destination) &&
	    ipcache_identity(&destination, ipv4) != MARTLET_IDENTITY_HOST)
		return 0;
	packet->tuple.destination = asked;
	packet->tuple.destination_port = port;
	entry = nat_lookup(scratch, packet, now);
	if (entry && address_equal(&entry->destination, &destination) &&
	    entry->destination_port == destination_port &&
	    !(packet_opens(packet) && nat_is_over(entry, now))) {
		nat_touch(scratch, entry, packet, config, now);
	} else {
		entry = &scratch->entry;
		entry->source = packet->tuple.source;
		entry->source_port = packet->tuple.source_port;
		entry->destination = destination;
		entry->destination_port = destination_port;
		entry->flags = MARTLET_NAT_ONE_WAY;
		frontend = frontend_find(&asked, ipv4, port, packet->protocol);
		entry->service = frontend ? frontend->external ?: frontend->service : 0;
		entry->backend = 0;
		error = nat_open(flow);
		/* What was opened is for later packets: this one stays as it is. */
		flow->nat_flags = 0;
		flow->service = 0;
	}
	packet->tuple.destination = destination;
	packet->tuple.destination_port = destination_port;
	return error;
}

#endif
