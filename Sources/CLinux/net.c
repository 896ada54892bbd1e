/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_net.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(CLINUX_SO_MARK == SO_MARK, "SO_MARK");
_Static_assert(CLINUX_SO_COOKIE == SO_COOKIE, "SO_COOKIE");
_Static_assert(CLINUX_SO_REUSEPORT == SO_REUSEPORT, "SO_REUSEPORT");
_Static_assert(CLINUX_IP_TRANSPARENT == IP_TRANSPARENT, "IP_TRANSPARENT");
_Static_assert(CLINUX_IP_FREEBIND == IP_FREEBIND, "IP_FREEBIND");
_Static_assert(CLINUX_IP_BIND_ADDRESS_NO_PORT == IP_BIND_ADDRESS_NO_PORT,
	       "IP_BIND_ADDRESS_NO_PORT");
_Static_assert(CLINUX_IPV6_TRANSPARENT == IPV6_TRANSPARENT, "IPV6_TRANSPARENT");
_Static_assert(CLINUX_IPV6_FREEBIND == IPV6_FREEBIND, "IPV6_FREEBIND");
_Static_assert(CLINUX_NETLINK_EXT_ACK == NETLINK_EXT_ACK, "NETLINK_EXT_ACK");
_Static_assert(CLINUX_NETLINK_GET_STRICT_CHK == NETLINK_GET_STRICT_CHK, "NETLINK_GET_STRICT_CHK");
_Static_assert(CLINUX_SOL_NETLINK == SOL_NETLINK, "SOL_NETLINK");
_Static_assert(CLINUX_CLONE_NEWNS == CLONE_NEWNS, "CLONE_NEWNS");
_Static_assert(CLINUX_CLONE_NEWNET == CLONE_NEWNET, "CLONE_NEWNET");

int clinux_setns(int fd, int type)
{
	return setns(fd, type) ? -errno : 0;
}

int clinux_unshare(int flags)
{
	return unshare(flags) ? -errno : 0;
}

const char *clinux_errno_name(int number)
{
	const char *name = strerrorname_np(number);

	return name ? name : "E?";
}
