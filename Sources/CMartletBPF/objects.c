/* SPDX-License-Identifier: Apache-2.0 */
#include "martlet_bpf_objects.h"

#define OBJECT(name)                                                                               \
	extern const unsigned char martlet_##name##_bpf_start[];                                   \
	extern const unsigned char martlet_##name##_bpf_end[];                                     \
	const void *martlet_##name##_object(void)                                                  \
	{                                                                                          \
		return martlet_##name##_bpf_start;                                                 \
	}                                                                                          \
	size_t martlet_##name##_object_size(void)                                                  \
	{                                                                                          \
		return (size_t)(martlet_##name##_bpf_end - martlet_##name##_bpf_start);            \
	}

OBJECT(endpoint)
OBJECT(host)
OBJECT(proxy)
OBJECT(socket)
OBJECT(socketlist)
OBJECT(xdp)
