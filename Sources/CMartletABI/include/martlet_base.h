/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_ABI_BASE_H
#define MARTLET_ABI_BASE_H

/* What the structures that the programs share with user space are made of. */

#include <linux/types.h>

#define MARTLET_ASSERT_SIZE(type, bytes)                                                           \
	_Static_assert(sizeof(type) == (bytes), #type " must be " #bytes " bytes")

/* An address in network byte order; IPv4 is carried as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct martlet_addr {
	__u64 hi;
	__u64 lo;
};
MARTLET_ASSERT_SIZE(struct martlet_addr, 16);

struct martlet_counter {
	__u64 packets;
	__u64 bytes;
};
MARTLET_ASSERT_SIZE(struct martlet_counter, 16);

#endif /* MARTLET_ABI_BASE_H */
