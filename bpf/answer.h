/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_ANSWER_H
#define MARTLET_ANSWER_H

/*
 * The datapath's own answers, each in the place of the packet that it is about: a TCP reset (RFC
 * 9293, 3.10.7.1), an ICMP error (RFC 792, 4443). The caller sends them back to where that came
 * from.
 */

#include <linux/if_packet.h>

#include "flow.h"
#include "transport.h"

/* How much of a datagram an error cites: more than what the headers of any connection need. */
#define ANSWER_CITED_MAX 256
#define ANSWER_HOP_LIMIT 64
/* Errors for each processor, as the kernel's own (net.ipv4.icmp_msgs_per_sec, icmp_msgs_burst). */
#define ANSWER_NANOSECONDS_EACH 1000000
#define ANSWER_BURST 50

#define IPV4_DONT_FRAGMENT 0x4000

/* Too much for the stack. Lasts from one step to the next, for a packet does not change its CPU. */
struct answer_scratch {
	__u8 cited[ANSWER_CITED_MAX]; /* the datagram as it came, with zeroes behind */
	__u64 refilled;		      /* nanoseconds, CLOCK_MONOTONIC */
	__u32 tokens;
	__u32 count;	  /* octets in `cited` */
	__u32 unfinished; /* the device is still to complete the checksum of what came */
	__u32 mtu;	  /* that the packet in hand is too big for */
	__u32 device;	  /* the way on of a packet that turns round */
	__u32 announces;  /* octets of the option by which that one says which service was asked */
	struct bpf_redir_neigh hop;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct answer_scratch);
} martlet_answer SEC(".maps");

INLINE struct answer_scratch *answer_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&martlet_answer, &zero);
}

struct reset_segment {
	__be16 source_port;
	__be16 destination_port;
	__be32 sequence;
	__be32 acknowledgment;
	__u8 data_offset;
	__u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
};
_Static_assert(sizeof(struct reset_segment) == 20, "RFC 9293, 3.1 without options");

struct icmp_error {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 mtu; /* IPv4: of 16 bits (RFC 1191) */
};
_Static_assert(sizeof(struct icmp_error) == 8, "RFC 792, RFC 4443");

INLINE __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Of both families: what a mapped address has before an IPv4 address sums up to nothing. */
INLINE __u64 checksum_pseudo_header(const struct martlet_addr *source,
				    const struct martlet_addr *destination, __u8 protocol,
				    __u32 length)
{
	struct {
		struct martlet_addr source;
		struct martlet_addr destination;
		__be32 length;
		__be32 protocol;
	} header = {*source, *destination, bpf_htonl(length), bpf_htonl(protocol)};

	return bpf_csum_diff(NULL, 0, (void *)&header, sizeof(header), 0);
}

INLINE __u32 ip_header_length(bool ipv4)
{
	return ipv4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/*
 * Keeps the datagram's beginning, and cuts it off behind its network header. That fails where the
 * transport checksum is left to the device, for it must stay where it is; else the packet has no
 * checksum any more that anybody counts on.
 */
INLINE int answer_begin(struct __sk_buff *skb, const struct packet *packet,
			struct answer_scratch *answer)
{
	__u64 count = packet->end - ETH_HLEN;

	if (count > ANSWER_CITED_MAX)
		count = ANSWER_CITED_MAX;
	/* Or the compiler compares something else than what the verifier is shown. */
	asm volatile("" : "+r"(count));
	if (count < sizeof(struct iphdr) || count > ANSWER_CITED_MAX)
		return -MARTLET_DROP_INVALID_PACKET;
	__builtin_memset(answer->cited, 0, sizeof(answer->cited));
	if (bpf_skb_load_bytes(skb, ETH_HLEN, answer->cited, count))
		return -MARTLET_DROP_INVALID_PACKET;
	answer->count = count;
	answer->unfinished = bpf_skb_change_tail(skb, packet->l4 + 1, 0) != 0;
	/* The one place for such a checksum is where the answer's header leaves it. */
	if (answer->unfinished &&
	    packet->l4 != ETH_HLEN + ip_header_length(packet->flags & PACKET_IPV4))
		return -MARTLET_DROP_WRITE_ERROR;
	return 0;
}

/* The way back for a frame, and an IP header. */
INLINE int answer_head(struct __sk_buff *skb, bool ipv4, const struct martlet_addr *source,
		       const struct martlet_addr *destination, __u8 protocol, __u32 length)
{
	__u16 mac[6], back[6];

	if (bpf_skb_load_bytes(skb, 0, mac, sizeof(mac)))
		return -MARTLET_DROP_WRITE_ERROR;
	mac_copy(back, mac + 3);
	mac_copy(back + 3, mac);
	if (bpf_skb_store_bytes(skb, 0, back, sizeof(back), BPF_F_INVALIDATE_HASH))
		return -MARTLET_DROP_WRITE_ERROR;
	if (ipv4) {
		struct iphdr ip = {
		    .version = 4,
		    .ihl = 5,
		    .tot_len = bpf_htons(sizeof(ip) + length),
		    .frag_off = bpf_htons(IPV4_DONT_FRAGMENT),
		    .ttl = ANSWER_HOP_LIMIT,
		    .protocol = protocol,
		    .saddr = address_word(source, 3),
		    .daddr = address_word(destination, 3),
		};

		ip.check = ~checksum_fold(bpf_csum_diff(NULL, 0, (void *)&ip, sizeof(ip), 0));
		return bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0)
			   ? -MARTLET_DROP_WRITE_ERROR
			   : 0;
	} else {
		struct ipv6hdr ip = {
		    .version = 6,
		    .payload_len = bpf_htons(length),
		    .nexthdr = protocol,
		    .hop_limit = ANSWER_HOP_LIMIT,
		};

		__builtin_memcpy(&ip.saddr, source, sizeof(ip.saddr));
		__builtin_memcpy(&ip.daddr, destination, sizeof(ip.daddr));
		return bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0)
			   ? -MARTLET_DROP_WRITE_ERROR
			   : 0;
	}
}

/* Resets the connection that a segment is of, in the name of whom it was for. Returns 0, or a
 * negative drop reason when there is no answer. */
VERIFIED_ALONE int answer_reset(struct __sk_buff *skb, struct flow *flow)
{
	struct answer_scratch *answer = answer_scratch();
	struct reset_segment segment;
	const struct packet *packet;
	__u32 at, length;
	__u64 sum;
	bool ipv4;
	__be16 port;

	if (!flow || !answer)
		return -MARTLET_DROP_INVALID_PACKET;
	packet = &flow->packet;
	if (packet->flags & PACKET_LATER_FRAGMENT || packet->tcp_flags & TCP_RST)
		return -MARTLET_DROP_INVALID_PACKET;
	if (bpf_skb_load_bytes(skb, packet->l4, &segment, sizeof(segment)))
		return -MARTLET_DROP_INVALID_PACKET;
	length = packet->end - packet->l4 - (segment.data_offset >> 4) * 4;
	length += !!(segment.flags & TCP_SYN) + !!(segment.flags & TCP_FIN);
	port = segment.source_port;
	segment.source_port = segment.destination_port;
	segment.destination_port = port;
	if (segment.flags & TCP_ACK) {
		segment.sequence = segment.acknowledgment;
		segment.acknowledgment = 0;
		segment.flags = TCP_RST;
	} else {
		segment.acknowledgment = bpf_htonl(bpf_ntohl(segment.sequence) + length);
		segment.sequence = 0;
		segment.flags = TCP_RST | TCP_ACK;
	}
	segment.data_offset = sizeof(segment) / 4 << 4;
	segment.window = 0;
	segment.checksum = 0;
	segment.urgent = 0;
	if (answer_begin(skb, packet, answer))
		return -MARTLET_DROP_WRITE_ERROR;
	ipv4 = packet->flags & PACKET_IPV4;
	at = ETH_HLEN + ip_header_length(ipv4);
	if (bpf_skb_change_tail(skb, at + sizeof(segment), 0))
		return -MARTLET_DROP_WRITE_ERROR;
	sum = checksum_pseudo_header(&packet->destination, &packet->source, IPPROTO_TCP,
				     sizeof(segment));
	if (answer->unfinished)
		segment.checksum = checksum_fold(sum);
	else
		segment.checksum =
		    ~checksum_fold(bpf_csum_diff(NULL, 0, (void *)&segment, sizeof(segment), sum));
	if (bpf_skb_store_bytes(skb, at, &segment, sizeof(segment), 0))
		return -MARTLET_DROP_WRITE_ERROR;
	return answer_head(skb, ipv4, &packet->destination, &packet->source, IPPROTO_TCP,
			   sizeof(segment));
}

enum answer_error {
	ANSWER_PORT_UNREACHABLE,
	ANSWER_TIME_EXCEEDED,
	ANSWER_TOO_BIG,
};

INLINE void error_fill(struct icmp_error *error, enum answer_error kind, bool ipv4, __u32 mtu)
{
	error->checksum = 0;
	error->mtu = 0;
	switch (kind) {
	case ANSWER_PORT_UNREACHABLE:
		error->type = ipv4 ? ICMPV4_UNREACHABLE : ICMPV6_UNREACHABLE;
		error->code = ipv4 ? 3 : 4;
		break;
	case ANSWER_TIME_EXCEEDED:
		error->type = ipv4 ? ICMPV4_TIME_EXCEEDED : 3;
		error->code = 0;
		break;
	case ANSWER_TOO_BIG:
		error->type = ipv4 ? ICMPV4_UNREACHABLE : 2;
		error->code = ipv4 ? 4 : 0;
		error->mtu = bpf_htonl(mtu);
		break;
	}
}

/* Whether an error may be sent now: a flood must not be answered by another. */
INLINE bool error_is_granted(struct answer_scratch *answer)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	__u64 fresh = (now - answer->refilled) / ANSWER_NANOSECONDS_EACH;

	if (fresh) {
		fresh += answer->tokens;
		answer->tokens = fresh > ANSWER_BURST ? ANSWER_BURST : fresh;
		answer->refilled = now;
	}
	if (!answer->tokens)
		return false;
	answer->tokens--;
	return true;
}

/* Whom no error is ever told, and about what (RFC 1122, 3.2.2; RFC 4443, 2.4). */
INLINE bool error_is_due(const struct __sk_buff *skb, const struct packet *packet)
{
	if (packet->flags & (PACKET_LATER_FRAGMENT | PACKET_RELATED | PACKET_STATELESS))
		return false;
	if (skb->pkt_type == PACKET_BROADCAST || skb->pkt_type == PACKET_MULTICAST)
		return false;
	return !address_is_unspecified(&packet->source) && !address_is_group(&packet->source) &&
	       !address_is_group(&packet->destination);
}

/* What the octets that are cited sum up to when they arrive. */
INLINE __u64 cited_sum(const struct answer_scratch *answer, const struct packet *packet)
{
	bool ipv4 = packet->flags & PACKET_IPV4;
	__u64 at = ip_header_length(ipv4) + checksum_offset(packet->protocol), sum;
	__u16 begun;

	if (!answer->unfinished || !protocol_has_ports(packet->protocol))
		return bpf_csum_diff(NULL, 0, (void *)answer->cited, ANSWER_CITED_MAX, 0);
	/* The device makes the transport's octets sum up to what stands in the field now, negated.
	 */
	sum = ipv4 ? bpf_csum_diff(NULL, 0, (void *)answer->cited, sizeof(struct iphdr), 0)
		   : bpf_csum_diff(NULL, 0, (void *)answer->cited, sizeof(struct ipv6hdr), 0);
	asm volatile("" : "+r"(at));
	if (at > ANSWER_CITED_MAX - sizeof(begun))
		return sum;
	begun = *(const __u16 *)&answer->cited[at];
	return sum + (__u16)~begun;
}

/* Room for `room` octets before the datagram that is cited. */
INLINE int answer_make_room(struct __sk_buff *skb, struct answer_scratch *answer, __u32 room)
{
	__u64 count = answer->count;

	asm volatile("" : "+r"(count));
	if (count < sizeof(struct iphdr) || count > ANSWER_CITED_MAX)
		return -MARTLET_DROP_WRITE_ERROR;
	if (answer->unfinished) {
		if (skb->len > ETH_HLEN + count && bpf_skb_change_tail(skb, ETH_HLEN + count, 0))
			return -MARTLET_DROP_WRITE_ERROR;
		return bpf_skb_adjust_room(skb, room, BPF_ADJ_ROOM_MAC, 0)
			   ? -MARTLET_DROP_WRITE_ERROR
			   : 0;
	}
	if (bpf_skb_change_tail(skb, ETH_HLEN + room + count, 0))
		return -MARTLET_DROP_WRITE_ERROR;
	return bpf_skb_store_bytes(skb, ETH_HLEN + room, answer->cited, count, 0)
		   ? -MARTLET_DROP_WRITE_ERROR
		   : 0;
}

/*
 * Tells a packet's sender of an error: about a port in the name of whom it was for, else in the
 * node's. Returns 0, or a negative drop reason when there is no answer.
 */
VERIFIED_ALONE int answer_error(struct __sk_buff *skb, struct flow *flow, __u32 kind)
{
	struct answer_scratch *answer = answer_scratch();
	const struct martlet_device *outside;
	__u32 device = skb->ifindex, room, length;
	const struct packet *packet;
	struct martlet_addr source;
	struct icmp_error error;
	__u8 protocol;
	__u64 sum = 0;
	bool ipv4;

	if (!flow || !answer)
		return -MARTLET_DROP_INVALID_PACKET;
	packet = &flow->packet;
	if (!error_is_due(skb, packet) || !error_is_granted(answer))
		return -MARTLET_DROP_INVALID_PACKET;
	ipv4 = packet->flags & PACKET_IPV4;
	protocol = ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	source = packet->destination;
	outside = bpf_map_lookup_elem(&martlet_devices, &device);
	if (outside && kind != ANSWER_PORT_UNREACHABLE) {
		source = ipv4 ? outside->ipv4 : outside->ipv6;
		if (address_is_unspecified(&source))
			source = packet->destination;
	}
	error_fill(&error, kind, ipv4, answer->mtu);
	if (answer_begin(skb, packet, answer))
		return -MARTLET_DROP_WRITE_ERROR;
	length = sizeof(error) + answer->count;
	if (!ipv4)
		sum = checksum_pseudo_header(&source, &packet->source, protocol, length);
	sum += cited_sum(answer, packet);
	sum = bpf_csum_diff(NULL, 0, (void *)&error, sizeof(error), checksum_fold(sum));
	error.checksum = ~checksum_fold(sum);
	room = ip_header_length(ipv4) + sizeof(error);
	if (answer_make_room(skb, answer, room))
		return -MARTLET_DROP_WRITE_ERROR;
	if (bpf_skb_store_bytes(skb, ETH_HLEN + room - sizeof(error), &error, sizeof(error), 0))
		return -MARTLET_DROP_WRITE_ERROR;
	return answer_head(skb, ipv4, &source, &packet->source, protocol, length);
}

#endif
