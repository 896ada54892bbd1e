/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_BPF_H
#define CLINUX_BPF_H

#include <stddef.h>
#include <stdint.h>

/*
 * libbpf reports what went wrong, the verifier's log included, through one process-wide print
 * callback. After the first call of _begin nothing of it reaches stderr; between _begin and _end
 * the calling thread's warnings are kept.
 */
void clinux_libbpf_capture_begin(void);
/* What was kept, NUL-terminated, valid until this thread's next _begin or _end; never NULL. */
const char *clinux_libbpf_capture_text(void);
void clinux_libbpf_capture_end(void);

/* enum bpf_attach_type and enum bpf_link_type of Linux 6.6, younger than the headers of libbpf 1.1.
 */
enum {
	CLINUX_BPF_TCX_INGRESS = 46,
	CLINUX_BPF_TCX_EGRESS = 47,
	CLINUX_BPF_LINK_TYPE_TCX = 11,
};

/* BPF_LINK_CREATE for a tcx hook, at the end of its list; the new link's descriptor or -errno. */
int clinux_bpf_tcx_link_create(int program, uint32_t ifindex, uint32_t attach_type);

struct clinux_bpf_link_info {
	uint32_t type;
	uint32_t id;
	uint32_t program_id;
	uint32_t ifindex;     /* xdp, tcx; 0 when the device is gone */
	uint32_t attach_type; /* tcx, cgroup, netns */
	uint64_t cgroup_id;   /* cgroup */
};

int clinux_bpf_link_info(int link, struct clinux_bpf_link_info *info);

/* A ring buffer's positions are shared with the kernel: ordered loads and stores. */
static inline uint64_t clinux_load_acquire_u64(const void *address)
{
	return __atomic_load_n((const uint64_t *)address, __ATOMIC_ACQUIRE);
}

static inline uint32_t clinux_load_acquire_u32(const void *address)
{
	return __atomic_load_n((const uint32_t *)address, __ATOMIC_ACQUIRE);
}

static inline void clinux_store_release_u64(void *address, uint64_t value)
{
	__atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
}

#endif
