// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "include/clinux_memory.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int release_segments(struct dl_phdr_info *object, size_t size, void *released)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	/* The executable has no name, the kernel's own code one that is no path. */
	if (object->dlpi_name[0] && object->dlpi_name[0] != '/')
		return 0;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		uintptr_t start = object->dlpi_addr + segment->p_vaddr;
		uintptr_t end = start + segment->p_filesz;

		/* Writable segments hold relocated pointers, which are in no file. */
		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
			continue;
		/* A page on the border may belong to the next segment as well. */
		start = (start + page - 1) & -page;
		end &= -page;
		if (start < end && !madvise((void *)start, end - start, MADV_DONTNEED))
			*(size_t *)released += end - start;
	}
	return 0;
}

size_t clinux_release_code(void)
{
	size_t released = 0;

	dl_iterate_phdr(release_segments, &released);
	return released;
}

void clinux_release_heap(void)
{
	malloc_trim(0);
}
