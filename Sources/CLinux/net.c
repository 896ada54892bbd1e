/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_net.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

static int unix_address(struct sockaddr_un *address, const char *path)
{
	size_t length = strlen(path);

	if (!length || length >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, length);
	return 0;
}

int clinux_bind_unix(int fd, const char *path)
{
	struct sockaddr_un address = {};
	int error = unix_address(&address, path);

	if (error)
		return error;
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
}

int clinux_connect_unix(int fd, const char *path)
{
	struct sockaddr_un address = {};
	int error = unix_address(&address, path);

	if (error)
		return error;
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		if (errno != EINTR)
			return -errno;
	return 0;
}

int clinux_send_descriptors(int fd, const void *buffer, size_t size, const int *descriptors,
			    int count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(CLINUX_MAX_DESCRIPTORS * sizeof(int))];
	struct iovec vector = {.iov_base = (void *)buffer, .iov_len = size};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	long sent;

	if (count < 0 || count > CLINUX_MAX_DESCRIPTORS)
		return -EINVAL;
	if (count) {
		struct cmsghdr *item = (struct cmsghdr *)control;

		memset(control, 0, sizeof(control));
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_RIGHTS;
		item->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(item), descriptors, count * sizeof(int));
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

long clinux_receive_descriptors(int fd, void *buffer, size_t size, int *descriptors, int *count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(CLINUX_MAX_DESCRIPTORS * sizeof(int))];
	struct iovec vector = {.iov_base = buffer, .iov_len = size};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *item;
	long received;

	*count = 0;
	do
		received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (received < 0 && errno == EINTR);
	if (received < 0)
		return -errno;
	for (item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
		if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
			continue;
		*count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(descriptors, CMSG_DATA(item), *count * sizeof(int));
	}
	if (!(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return received;
	while (*count)
		close(descriptors[--*count]);
	return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : -EBADMSG;
}

int clinux_peer(int fd, uid_t *user, pid_t *process)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		return -errno;
	*user = peer.uid;
	*process = peer.pid;
	return 0;
}

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

#define IP_ORIGDSTADDR_OPTION 20
#define IPV6_ORIGDSTADDR_OPTION 74

long clinux_receive_datagram(int fd, void *buffer, size_t size, void *from, void *to)
{
	char control[CMSG_SPACE(sizeof(struct sockaddr_in6))];
	struct iovec vector = {.iov_base = buffer, .iov_len = size};
	struct msghdr message = {
	    .msg_name = from,
	    .msg_namelen = sizeof(struct sockaddr_storage),
	    .msg_iov = &vector,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control),
	};
	struct cmsghdr *item;
	long count = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC);

	if (count < 0)
		return -errno;
	memset(to, 0, sizeof(struct sockaddr_storage));
	for (item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
		if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_ORIGDSTADDR_OPTION)
			memcpy(to, CMSG_DATA(item), sizeof(struct sockaddr_in));
		if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_ORIGDSTADDR_OPTION)
			memcpy(to, CMSG_DATA(item), sizeof(struct sockaddr_in6));
	}
	return count;
}

int clinux_send_datagram(int fd, const void *buffer, size_t size, const void *from, const void *to)
{
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
	struct iovec vector = {.iov_base = (void *)buffer, .iov_len = size};
	struct msghdr message = {
	    .msg_name = (void *)to, .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *item = (struct cmsghdr *)control;

	if (((const struct sockaddr_storage *)from)->ss_family == AF_INET) {
		struct in_pktinfo info = {.ipi_spec_dst =
					      ((const struct sockaddr_in *)from)->sin_addr};

		message.msg_namelen = sizeof(struct sockaddr_in);
		message.msg_controllen = CMSG_SPACE(sizeof(info));
		item->cmsg_level = IPPROTO_IP;
		item->cmsg_type = IP_PKTINFO;
		item->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(item), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = {.ipi6_addr =
					       ((const struct sockaddr_in6 *)from)->sin6_addr};

		message.msg_namelen = sizeof(struct sockaddr_in6);
		message.msg_controllen = CMSG_SPACE(sizeof(info));
		item->cmsg_level = IPPROTO_IPV6;
		item->cmsg_type = IPV6_PKTINFO;
		item->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(item), &info, sizeof(info));
	}
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
