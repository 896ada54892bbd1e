/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_NET_H
#define CLINUX_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Socket options whose names the Swift importer or glibc's headers do not carry; values of the
 * kernel's uapi. */
enum {
	CLINUX_SO_MARK = 36,
	CLINUX_SO_COOKIE = 57,
	CLINUX_SO_NETNS_COOKIE = 71,
	CLINUX_SO_REUSEPORT = 15,
	CLINUX_IP_TRANSPARENT = 19,
	CLINUX_IP_FREEBIND = 15,
	CLINUX_IP_BIND_ADDRESS_NO_PORT = 24,
	CLINUX_IPV6_TRANSPARENT = 75,
	CLINUX_IPV6_FREEBIND = 78,
	CLINUX_NETLINK_EXT_ACK = 11,
	CLINUX_NETLINK_GET_STRICT_CHK = 12,
	CLINUX_SOL_NETLINK = 270,
};

enum {
	CLINUX_CLONE_NEWNS = 0x00020000,
	CLINUX_CLONE_NEWNET = 0x40000000,
};

/*
 * recvmsg(2) of a datagram whose own destination matters: `from` and `to` get its addresses (struct
 * sockaddr_storage). The socket must have IP_RECVORIGDSTADDR or IPV6_RECVORIGDSTADDR. Returns its
 * size, which is more than `size` when it did not fit, or -errno.
 */
long clinux_receive_datagram(int fd, void *buffer, size_t size, void *from, void *to);

/* sendmsg(2) of a datagram from any address (struct sockaddr_storage; its port is ignored), with
 * IP_PKTINFO or IPV6_PKTINFO. The socket must be transparent. Returns 0 or -errno. */
int clinux_send_datagram(int fd, const void *buffer, size_t size, const void *from, const void *to);

/* bind(2), connect(2) of a Unix domain socket by its path. Return 0 or -errno; -ENAMETOOLONG for a
 * path that sockaddr_un has no room for. */
int clinux_bind_unix(int fd, const char *path);
int clinux_connect_unix(int fd, const char *path);

/* The most descriptors that one message of a Unix domain socket carries here. */
enum { CLINUX_MAX_DESCRIPTORS = 8 };

/* sendmsg(2) of one message with descriptors (SCM_RIGHTS), at most CLINUX_MAX_DESCRIPTORS, by a
 * connected Unix domain socket. Returns 0 or -errno. */
int clinux_send_descriptors(int fd, const void *buffer, size_t size, const int *descriptors,
			    int count);

/* recvmsg(2) of such a message; `descriptors` has room for CLINUX_MAX_DESCRIPTORS, which are closed
 * on exec. Returns the message's size, 0 at the end, or -errno: -EMSGSIZE for a message that is too
 * long and -EBADMSG for one with too many descriptors, none of which stays open then. */
long clinux_receive_descriptors(int fd, void *buffer, size_t size, int *descriptors, int *count);

/* The user and the process at the other end of a Unix domain socket, as they were when it was
 * connected (SO_PEERCRED). Returns 0 or -errno. */
int clinux_peer(int fd, uid_t *user, pid_t *process);

/* setns(2), unshare(2): they change the calling thread only, so call them on a thread of your own.
 */
int clinux_setns(int fd, int type);
int clinux_unshare(int flags);

/* errno's symbol, such as "ENOENT", or "E?" for a number that has none. */
const char *clinux_errno_name(int number);

#endif
