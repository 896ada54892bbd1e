/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_DSR_H
#define MARTLET_DSR_H

/*
 * Direct server return. The node where a client outside arrives sends its packets on with the
 * client's own address, and tells the backend's node, in what may be the first packet that it sees,
 * which service was asked: in an option of IPv4 (RFC 791) or of IPv6's destination options header
 * (RFC 8200, 4.6) that all others skip, with the numbers and the form of Cilium. That node
 * remembers it as a translation for the answers, which go straight to the client, where it knows
 * the service too, and the backend as one of its own.
 */

#include "answer.h"
#include "turn.h"

#define DSR_IPV4_OPTION 0x9a /* copied into fragments, of an unassigned number */
#define DSR_IPV6_OPTION 0x1b /* skipped by who does not know it, does not change on the way */

struct dsr_ipv4 {
	__u8 type;
	__u8 length;
	__be16 port;
	__be32 address;
};
_Static_assert(sizeof(struct dsr_ipv4) == 8, "two words of an IPv4 header");

struct dsr_ipv6 {
	__u8 next;
	__u8 units; /* of 8 octets, beyond the first */
	__u8 type;
	__u8 length;
	__be32 address[4];
	__be16 port;
	__u16 pad;
};
_Static_assert(sizeof(struct dsr_ipv6) == 24, "a header of its own");

/*
 * Octets that the packet in hand, of a connection with flow->nat_flags, has to grow by to say which
 * service was asked; 0: it need not, or has no place for it: with options or extension headers, as
 * a fragment, or as several packets in one.
 */
INLINE __u32 dsr_octets(struct __sk_buff *skb, const struct flow *flow)
{
	const struct packet *packet = &flow->packet;
	bool ipv4 = packet->flags & PACKET_IPV4;
	__u32 octets = ipv4 ? sizeof(struct dsr_ipv4) : sizeof(struct dsr_ipv6);

	if (!turn_announces(flow) || ctx_is_train(skb) ||
	    packet->l4 != ETH_HLEN + ip_header_length(ipv4) ||
	    packet->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT) ||
	    packet->end - ETH_HLEN + octets > 0xffff)
		return 0;
	return octets;
}

/*
 * A connection to be opened by scratch->entry, whose backend is to answer directly: where the
 * packet that begins it can not say what was asked, the backend is asked in the node's name.
 * Returns 0 or a negative drop reason.
 */
VERIFIED_ALONE int dsr_settle(struct __sk_buff *skb, struct flow *flow)
{
	struct nat_scratch *scratch = nat_scratch();
	struct bpf_fib_lookup route = {};
	const struct packet *packet;
	__u32 octets;

	if (!flow || !scratch)
		return -MARTLET_DROP_INVALID_PACKET;
	packet = &flow->packet;
	octets = dsr_octets(skb, flow);
	nat_entry_tuple(&scratch->to, &scratch->entry, packet->tuple.protocol);
	/* What else may be wrong with the way on is told when the packet goes it. */
	if (octets && route_ask(skb, &route, &scratch->to, packet,
				packet->end - ETH_HLEN + octets) != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return 0;
	return balance_in_own_name(&scratch->entry, skb->ifindex, packet->flags & PACKET_IPV4);
}

/* Puts the service that was asked, scratch->asked, into a packet that is rewritten already. */
VERIFIED_ALONE int dsr_announce_ipv4(struct __sk_buff *skb)
{
	const struct nat_scratch *scratch = nat_scratch();
	struct dsr_ipv4 option = {};
	struct iphdr *ip;
	__u16 length;
	__u64 change;

	if (!scratch || bpf_skb_adjust_room(skb, sizeof(option), BPF_ADJ_ROOM_NET, 0))
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

VERIFIED_ALONE int dsr_announce_ipv6(struct __sk_buff *skb)
{
	const struct nat_scratch *scratch = nat_scratch();
	struct dsr_ipv6 option = {};
	struct ipv6hdr *ip;

	if (!scratch || bpf_skb_adjust_room(skb, sizeof(option), BPF_ADJ_ROOM_NET, 0))
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

/* As turn_prepare() has found that the packet should. Returns 0 or a negative drop reason. */
INLINE int dsr_announce(struct __sk_buff *skb, const struct flow *flow)
{
	const struct answer_scratch *answer = answer_scratch();

	if (!answer || !answer->announces)
		return 0;
	return flow->packet.flags & PACKET_IPV4 ? dsr_announce_ipv4(skb) : dsr_announce_ipv6(skb);
}

/* Whether a packet is as long as those that tell of a service: what dsr_learn() is for. */
INLINE bool dsr_may_tell(const struct packet *packet)
{
	return packet->l4 == ETH_HLEN + (packet->flags & PACKET_IPV4
					     ? sizeof(struct iphdr) + sizeof(struct dsr_ipv4)
					     : sizeof(struct ipv6hdr) + sizeof(struct dsr_ipv6)) &&
	       (packet_opens(packet) || packet->protocol == IPPROTO_UDP);
}

/* The service that a packet was sent to before another node sent it on; false: none is told. */
INLINE bool dsr_told(struct __sk_buff *skb, const struct packet *packet, struct martlet_addr *asked,
		     __be16 *port)
{
	if (packet->flags & PACKET_IPV4) {
		struct dsr_ipv4 option;

		if (ctx_load(skb, ETH_HLEN + sizeof(struct iphdr), &option, sizeof(option)) ||
		    option.type != DSR_IPV4_OPTION || option.length != sizeof(option))
			return false;
		*asked = address_from_ipv4(option.address);
		*port = option.port;
	} else {
		struct dsr_ipv6 option;

		if (ctx_load(skb, ETH_HLEN + sizeof(struct ipv6hdr), &option, sizeof(option)) ||
		    option.units != sizeof(option) / 8 - 1 || option.type != DSR_IPV6_OPTION ||
		    option.length != sizeof(option) - 4)
			return false;
		__builtin_memcpy(asked, option.address, sizeof(*asked));
		*port = option.port;
	}
	return true;
}

/* Whether scratch->entry leads to a backend, of this node, of the service that the packet asks. */
INLINE bool dsr_is_backend(struct nat_scratch *scratch, const struct packet *packet)
{
	struct martlet_direct_return *key = &scratch->answering;
	bool ipv4 = packet->flags & PACKET_IPV4;

	key->frontend = packet->tuple.destination;
	key->frontend_port = packet->tuple.destination_port;
	key->backend = scratch->entry.destination;
	key->backend_port = scratch->entry.destination_port;
	key->protocol = packet->protocol;
	__builtin_memset(key->pad, 0, sizeof(key->pad));
	if (bpf_map_lookup_elem(&martlet_direct_returns, key))
		return true;
	if (!port_is_node_port(config_get(), key->frontend_port) ||
	    !address_is_node(&packet->tuple.destination, ipv4))
		return false;
	__builtin_memset(&key->frontend, 0, sizeof(key->frontend));
	if (ipv4)
		key->frontend = address_from_ipv4(0);
	return bpf_map_lookup_elem(&martlet_direct_returns, key);
}

/*
 * The service for this client at the address that the packet asks; or a negative drop reason. Who
 * says that it was asked may be anybody: nothing is answered in its name that would not be if the
 * client had asked here.
 */
INLINE int dsr_service(struct nat_scratch *scratch, const struct packet *packet, __u32 device)
{
	const struct martlet_service *service;
	__u32 number;

	/* The form of an IPv4 address, which nobody may claim in IPv6. */
	if (!(packet->flags & PACKET_IPV4) && address_is_ipv4(&packet->destination))
		return -MARTLET_DROP_NAT_NO_MAPPING;
	number = balance_service(packet, device);
	service = number ? bpf_map_lookup_elem(&martlet_services, &number) : NULL;
	if (!service || !dsr_is_backend(scratch, packet))
		return -MARTLET_DROP_NAT_NO_MAPPING;
	if (service->flags & MARTLET_SERVICE_SOURCE_RANGES &&
	    !service_admits(number, &packet->tuple.source))
		return -MARTLET_DROP_SERVICE_SOURCE_RANGE;
	return number;
}

/*
 * Opens the way back from scratch->entry to who sent the packet, which asks a service as it is
 * here; or finds it open. Returns 0 or a negative drop reason.
 */
INLINE int dsr_open(struct nat_scratch *scratch, struct flow *flow, __u32 device)
{
	const struct martlet_config *config = config_get();
	struct martlet_nat_entry *known, *entry = &scratch->entry;
	struct packet *packet = &flow->packet;
	__u32 now = ct_now();
	int service;

	if (!config)
		return -MARTLET_DROP_NAT_NO_MAPPING;
	known = nat_lookup(scratch, packet, now);
	if (known && packet_opens(packet) && nat_is_over(known, now))
		known = NULL;
	if (known && address_equal(&known->destination, &entry->destination) &&
	    known->destination_port == entry->destination_port) {
		nat_touch(scratch, known, packet, config, now);
		return 0;
	}
	/* By this one packets are rewritten that come to the service here. */
	if (known && (known->flags & MARTLET_NAT_REPLY ||
		      (packet->protocol == IPPROTO_TCP && !(known->flags & MARTLET_NAT_ONE_WAY))))
		return -MARTLET_DROP_NAT_NO_MAPPING;
	service = dsr_service(scratch, packet, device);
	if (service < 0)
		return service;
	entry->source = packet->tuple.source;
	entry->source_port = packet->tuple.source_port;
	entry->flags = MARTLET_NAT_ONE_WAY;
	entry->service = service;
	entry->backend = 0;
	return nat_open(flow);
}

/* The packet becomes what its client sent. Returns 0 or a negative drop reason. */
VERIFIED_ALONE int dsr_take_out_ipv4(struct __sk_buff *skb)
{
	struct iphdr ip;

	if (bpf_skb_adjust_room(skb, -(__s32)sizeof(struct dsr_ipv4), BPF_ADJ_ROOM_NET, 0) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return -MARTLET_DROP_WRITE_ERROR;
	ip.ihl -= sizeof(struct dsr_ipv4) / 4;
	ip.tot_len = bpf_htons(bpf_ntohs(ip.tot_len) - sizeof(struct dsr_ipv4));
	ip.check = 0;
	ip.check = ~checksum_fold(bpf_csum_diff(NULL, 0, (void *)&ip, sizeof(ip), 0));
	return bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM)
		   ? -MARTLET_DROP_WRITE_ERROR
		   : 0;
}

VERIFIED_ALONE int dsr_take_out_ipv6(struct __sk_buff *skb)
{
	struct {
		__be16 payload_length;
		__u8 next;
		__u8 hop_limit;
	} fields;
	__u32 at = ETH_HLEN + 4;
	__u8 next;

	if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr), &next, sizeof(next)) ||
	    bpf_skb_adjust_room(skb, -(__s32)sizeof(struct dsr_ipv6), BPF_ADJ_ROOM_NET, 0) ||
	    bpf_skb_load_bytes(skb, at, &fields, sizeof(fields)))
		return -MARTLET_DROP_WRITE_ERROR;
	fields.payload_length =
	    bpf_htons(bpf_ntohs(fields.payload_length) - sizeof(struct dsr_ipv6));
	fields.next = next;
	return bpf_skb_store_bytes(skb, at, &fields, sizeof(fields), BPF_F_RECOMPUTE_CSUM)
		   ? -MARTLET_DROP_WRITE_ERROR
		   : 0;
}

/*
 * Remembers in whose name the backend answers a packet that tells of a service, and takes that out
 * of it. Returns 0 or a negative drop reason.
 */
VERIFIED_ALONE int dsr_learn(struct __sk_buff *skb, struct flow *flow)
{
	struct nat_scratch *scratch = nat_scratch();
	struct martlet_addr asked;
	struct packet *packet;
	__u32 octets;
	__be16 port;
	int error;

	if (!flow || !scratch)
		return -MARTLET_DROP_INVALID_PACKET;
	packet = &flow->packet;
	if (!protocol_has_ports(packet->protocol) || !dsr_told(skb, packet, &asked, &port))
		return 0;
	scratch->entry.destination = packet->destination;
	scratch->entry.destination_port = packet->tuple.destination_port;
	if (!endpoint_lookup(&packet->destination) &&
	    ipcache_identity(&packet->destination, packet->flags & PACKET_IPV4) !=
		MARTLET_IDENTITY_HOST)
		return 0;
	packet->destination = packet->tuple.destination = asked;
	packet->tuple.destination_port = port;
	error = dsr_open(scratch, flow, skb->ifindex);
	packet->destination = packet->tuple.destination = scratch->entry.destination;
	packet->tuple.destination_port = scratch->entry.destination_port;
	flow->nat_flags = 0;
	flow->service = 0;
	if (error)
		return error;
	octets = packet->flags & PACKET_IPV4 ? sizeof(struct dsr_ipv4) : sizeof(struct dsr_ipv6);
	packet->l4 -= octets;
	packet->end -= octets;
	return packet->flags & PACKET_IPV4 ? dsr_take_out_ipv4(skb) : dsr_take_out_ipv6(skb);
}

#endif
