// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "include/clinux_epoll.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

int clinux_accept(int listener, void *address, uint32_t *length)
{
	int fd;

	do
		fd = accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

int clinux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds)
{
	struct timespec limit = {.tv_sec = nanoseconds / 1000000000,
				 .tv_nsec = nanoseconds % 1000000000};
	int count = epoll_pwait2(epoll, events, capacity, nanoseconds < 0 ? NULL : &limit, NULL);

	return count < 0 ? -errno : count;
}

int clinux_set_timer_slack(uint64_t nanoseconds)
{
	return prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0) ? -errno : 0;
}
