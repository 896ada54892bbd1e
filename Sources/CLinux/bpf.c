/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local struct {
	char *text;
	size_t length, capacity;
	bool active;
} capture;

static int keep(enum libbpf_print_level level, const char *format, va_list arguments)
{
	va_list again;
	int needed;

	if (!capture.active || level == LIBBPF_DEBUG)
		return 0;
	va_copy(again, arguments);
	needed = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (needed < 0)
		return 0;
	if (capture.length + (size_t)needed + 1 > capture.capacity) {
		size_t capacity = (capture.length + (size_t)needed + 1) * 2;
		char *text = realloc(capture.text, capacity);
		if (!text)
			return 0;
		capture.text = text;
		capture.capacity = capacity;
	}
	vsnprintf(capture.text + capture.length, (size_t)needed + 1, format, arguments);
	capture.length += (size_t)needed;
	return needed;
}

static void install(void)
{
	libbpf_set_print(keep);
}

void clinux_libbpf_capture_begin(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
	capture.length = 0;
	capture.active = true;
}

const char *clinux_libbpf_capture_text(void)
{
	return capture.length ? capture.text : "";
}

void clinux_libbpf_capture_end(void)
{
	free(capture.text);
	memset(&capture, 0, sizeof(capture));
}

static int sys_bpf(enum bpf_cmd command, union bpf_attr *attr, unsigned int size)
{
	long result = syscall(SYS_bpf, command, attr, size);

	return result < 0 ? -errno : (int)result;
}

int clinux_bpf_tcx_link_create(int program, uint32_t ifindex, uint32_t attach_type)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)program;
	attr.link_create.target_ifindex = ifindex;
	attr.link_create.attach_type = attach_type;
	return sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
}

int clinux_bpf_link_info(int link, struct clinux_bpf_link_info *out)
{
	struct bpf_link_info info;
	uint32_t length = sizeof(info);
	int error;

	memset(&info, 0, sizeof(info));
	memset(out, 0, sizeof(*out));
	error = bpf_obj_get_info_by_fd(link, &info, &length);
	if (error)
		return error;
	out->type = info.type;
	out->id = info.id;
	out->program_id = info.prog_id;
	switch (info.type) {
	case BPF_LINK_TYPE_XDP:
		out->ifindex = info.xdp.ifindex;
		break;
	case CLINUX_BPF_LINK_TYPE_TCX:
		/* { ifindex, attach_type }, the layout that netns has too. */
		out->ifindex = info.netns.netns_ino;
		out->attach_type = info.netns.attach_type;
		break;
	case BPF_LINK_TYPE_CGROUP:
		out->cgroup_id = info.cgroup.cgroup_id;
		out->attach_type = info.cgroup.attach_type;
		break;
	case BPF_LINK_TYPE_NETNS:
		out->attach_type = info.netns.attach_type;
		break;
	}
	return 0;
}
