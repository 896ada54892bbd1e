/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_CTX_H
#define MARTLET_CTX_H

/*
 * The frame in hand, for programs of traffic control and, where MARTLET_XDP is defined, for those
 * that a device's driver runs: what reads and rewrites packets is the same code for both.
 */

#include "common.h"

/* A checksum (RFC 1071) over what changed by this difference of sums: RFC 1624. */
INLINE __be16 checksum_changed(__be16 checksum, __u64 difference)
{
	__u64 sum = (__u16)~checksum + (difference & 0xffffffff);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

#ifdef MARTLET_XDP

typedef struct xdp_md packet_context;
#define CTX_DROP XDP_DROP

/* Of the whole frame. */
INLINE __u32 ctx_length(packet_context *ctx)
{
	return bpf_xdp_get_buff_len(ctx);
}

/* The device that the frame came by. */
INLINE __u32 ctx_device(const packet_context *ctx)
{
	return ctx->ingress_ifindex;
}

/* The EtherType, in network byte order; 0 of what is none. */
INLINE __be16 ctx_protocol(const packet_context *ctx)
{
	const struct ethhdr *eth = (void *)(long)ctx->data;

	return (void *)(eth + 1) > (void *)(long)ctx->data_end ? 0 : eth->h_proto;
}

/* Whether the frame is several packets that the stack will still take apart. */
INLINE bool ctx_is_train(__attribute__((unused)) const packet_context *ctx)
{
	return false;
}

INLINE bool ctx_is_trace(__attribute__((unused)) const packet_context *ctx)
{
	return false;
}

INLINE void ctx_answer(__attribute__((unused)) packet_context *ctx,
		       __attribute__((unused)) __u32 word, __attribute__((unused)) __u32 value)
{
}

INLINE long ctx_load(packet_context *ctx, __u32 at, void *to, __u32 length)
{
	return bpf_xdp_load_bytes(ctx, at, to, length);
}

INLINE long ctx_store(packet_context *ctx, __u32 at, void *from, __u32 length,
		      __attribute__((unused)) __u64 flags)
{
	return bpf_xdp_store_bytes(ctx, at, from, length);
}

/* Nobody pulls here: what a frame has in its first buffer is what there is to be read in place. */
INLINE void ctx_pull(__attribute__((unused)) packet_context *ctx,
		     __attribute__((unused)) __u32 length)
{
}

INLINE long ctx_header_checksum(packet_context *ctx, __u32 at, __u64 difference)
{
	__be16 sum = 0;

	if (bpf_xdp_load_bytes(ctx, at, &sum, sizeof(sum)))
		return -1;
	sum = checksum_changed(sum, difference);
	return bpf_xdp_store_bytes(ctx, at, &sum, sizeof(sum));
}

INLINE long ctx_checksum(packet_context *ctx, __u32 at, __u64 difference, __u64 flags)
{
	bool zero_means_none = flags & BPF_F_MARK_MANGLED_0;
	__be16 sum = 0;

	if (bpf_xdp_load_bytes(ctx, at, &sum, sizeof(sum)))
		return -1;
	if (zero_means_none && !sum)
		return 0;
	sum = checksum_changed(sum, difference);
	if (zero_means_none && !sum)
		sum = 0xffff;
	return bpf_xdp_store_bytes(ctx, at, &sum, sizeof(sum));
}

#else

typedef struct __sk_buff packet_context;
#define CTX_DROP TC_ACT_SHOT

/* Of the whole frame. */
INLINE __u32 ctx_length(const packet_context *ctx)
{
	return ctx->len;
}

/* The device that the frame came by, or that it leaves by. */
INLINE __u32 ctx_device(const packet_context *ctx)
{
	return ctx->ifindex;
}

/* The EtherType, in network byte order. */
INLINE __be16 ctx_protocol(const packet_context *ctx)
{
	return ctx->protocol;
}

/* Whether the frame is several packets that the stack will still take apart. */
INLINE bool ctx_is_train(const packet_context *ctx)
{
	/* TCP of this machine says of a single one that it is one. */
	return ctx->gso_size;
}

/* Whether it is a test run that asks. */
INLINE bool ctx_is_trace(const packet_context *ctx)
{
	return ctx->ingress_ifindex == MARTLET_TRACE_INGRESS_IFINDEX;
}

/* What a test run is told; `word` is a constant. */
INLINE void ctx_answer(packet_context *ctx, __u32 word, __u32 value)
{
	ctx->cb[word] = value;
}

INLINE long ctx_load(const packet_context *ctx, __u32 at, void *to, __u32 length)
{
	return bpf_skb_load_bytes(ctx, at, to, length);
}

/* `flags` are those of bpf_skb_store_bytes. */
INLINE long ctx_store(packet_context *ctx, __u32 at, void *from, __u32 length, __u64 flags)
{
	return bpf_skb_store_bytes(ctx, at, from, length, flags);
}

/* Makes the first `length` octets readable in place, if the frame has them. */
INLINE void ctx_pull(packet_context *ctx, __u32 length)
{
	if ((void *)(long)ctx->data + length > (void *)(long)ctx->data_end)
		bpf_skb_pull_data(ctx, length);
}

/* The checksum of an IPv4 header, at `at`, after a change of what it covers. */
INLINE long ctx_header_checksum(packet_context *ctx, __u32 at, __u64 difference)
{
	return bpf_l3_csum_replace(ctx, at, 0, difference, 0);
}

/* A transport checksum, likewise; `flags` are BPF_F_PSEUDO_HDR and BPF_F_MARK_MANGLED_0. */
INLINE long ctx_checksum(packet_context *ctx, __u32 at, __u64 difference, __u64 flags)
{
	return bpf_l4_csum_replace(ctx, at, 0, difference, flags);
}

#endif

#endif
