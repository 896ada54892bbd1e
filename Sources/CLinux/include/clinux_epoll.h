/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_EPOLL_H
#define CLINUX_EPOLL_H

/* The event interfaces that glibc's Swift module leaves out. */

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

enum {
	CLINUX_EPOLL_IN = 0x001,
	CLINUX_EPOLL_OUT = 0x004,
	CLINUX_EPOLL_ERR = 0x008,
	CLINUX_EPOLL_HUP = 0x010,
	CLINUX_EPOLL_RDHUP = 0x2000,
	CLINUX_EPOLL_EXCLUSIVE = 1 << 28,
};
#define CLINUX_EPOLL_EDGE 0x80000000u

/* accept4(2) with SOCK_NONBLOCK and SOCK_CLOEXEC; the descriptor or -errno. */
int clinux_accept(int listener, void *address, uint32_t *length);

/* epoll_pwait2(2) without a signal mask: waits at most `nanoseconds`, for ever when that is
 * negative. The number of events or -errno. */
int clinux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds);

/* PR_SET_TIMERSLACK: how late the kernel may end the calling thread's waits. 0 or -errno. */
int clinux_set_timer_slack(uint64_t nanoseconds);

#endif
