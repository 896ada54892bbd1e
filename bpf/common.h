/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_COMMON_H
#define MARTLET_COMMON_H

/* What every header here needs: kernel types, helpers, the ABI, and addresses in their one form. */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "martlet_abi.h"

#define INLINE static __always_inline

/*
 * A global function: the verifier looks at it once, with any arguments, and not again for every
 * path that leads to it. It takes the context, plain data by pointer (which it must check) and
 * scalars, and returns an int.
 */
#define VERIFIED_ALONE __attribute__((noinline))

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))

INLINE struct martlet_addr address_from_ipv4(__be32 address)
{
	union {
		__be32 word[4];
		struct martlet_addr address;
	} mapped = {.word = {0, 0, bpf_htonl(0xffff), address}};

	return mapped.address;
}

INLINE struct martlet_addr address_from_ipv6(const struct in6_addr *address)
{
	union {
		__be32 word[4];
		struct martlet_addr address;
	} copy;

	copy.word[0] = address->in6_u.u6_addr32[0];
	copy.word[1] = address->in6_u.u6_addr32[1];
	copy.word[2] = address->in6_u.u6_addr32[2];
	copy.word[3] = address->in6_u.u6_addr32[3];
	return copy.address;
}

/* Word `i` (0-3) of an address, in network byte order. */
INLINE __be32 address_word(const struct martlet_addr *address, int i)
{
	return ((const __be32 *)address)[i];
}

INLINE bool address_equal(const struct martlet_addr *x, const struct martlet_addr *y)
{
	return x->hi == y->hi && x->lo == y->lo;
}

INLINE bool address_is_unspecified(const struct martlet_addr *address)
{
	return !address->hi && !address->lo;
}

/* ::ffff:0:0/96. */
INLINE bool address_is_ipv4(const struct martlet_addr *address)
{
	return !address->hi && address_word(address, 2) == bpf_htonl(0xffff);
}

/* 224.0.0.0/4, 255.255.255.255 and ff00::/8. */
INLINE bool address_is_group(const struct martlet_addr *address)
{
	__u32 first = bpf_ntohl(address_word(address, 0));
	__u32 last = bpf_ntohl(address_word(address, 3));

	if (address_is_ipv4(address))
		return last >= 0xe0000000 && (last < 0xf0000000 || last == 0xffffffff);
	return first >= 0xff000000;
}

/* Byte-wise equality of two MAC addresses that are aligned to 2 bytes. */
INLINE bool mac_equal(const void *x, const void *y)
{
	const __u16 *a = x, *b = y;

	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

INLINE void mac_copy(void *to, const void *from)
{
	__u16 *a = to;
	const __u16 *b = from;

	a[0] = b[0];
	a[1] = b[1];
	a[2] = b[2];
}

#endif
