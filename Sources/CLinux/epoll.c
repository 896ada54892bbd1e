// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "include/clinux_epoll.h"

#include <errno.h>
#include <sys/socket.h>

int clinux_accept(int listener, void *address, uint32_t *length)
{
	int fd;

	do
		fd = accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}
