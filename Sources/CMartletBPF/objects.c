/* SPDX-License-Identifier: Apache-2.0 */
#include "martlet_bpf_objects.h"

extern const unsigned char martlet_endpoint_bpf_start[];
extern const unsigned char martlet_endpoint_bpf_end[];

const void *martlet_endpoint_object(void)
{
	return martlet_endpoint_bpf_start;
}

size_t martlet_endpoint_object_size(void)
{
	return (size_t)(martlet_endpoint_bpf_end - martlet_endpoint_bpf_start);
}
