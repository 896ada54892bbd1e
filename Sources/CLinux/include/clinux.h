/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_H
#define CLINUX_H

/*
 * What Swift can not say well: variadic and va_list interfaces, system calls without a wrapper,
 * macros that the importer drops, atomics on shared memory, and the code between vfork and exec.
 * Functions return a negative errno on failure unless their comment says otherwise; none of them
 * prints.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/vfs.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/if_link.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/fib_rules.h>
#include <linux/pkt_sched.h>
#include <linux/veth.h>
#include <linux/sock_diag.h>
#include <linux/inet_diag.h>

#include "clinux_bpf.h"
#include "clinux_epoll.h"
#include "clinux_memory.h"
#include "clinux_net.h"
#include "clinux_process.h"
#include "clinux_spawn.h"

#endif
