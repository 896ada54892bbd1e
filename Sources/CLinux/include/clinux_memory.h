/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_MEMORY_H
#define CLINUX_MEMORY_H

#include <stddef.h>

/*
 * Unmaps the pages of the executable and its libraries that the process can not write, code above
 * all; each comes back from the page cache when it is used again (MADV_DONTNEED). The bytes that
 * this concerns, mapped at that time or not.
 */
size_t clinux_release_code(void);

/* Gives back what the heap has free, at its top and amid it (glibc's malloc_trim). */
void clinux_release_heap(void);

#endif
