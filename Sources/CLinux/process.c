/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int clinux_pidfd_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int clinux_pidfd_send_signal(int pidfd, int number)
{
	return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) ? -errno : 0;
}

int clinux_pidfd_reap(int pidfd, int *code, int *number)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	if (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG))
		return -errno;
	if (info.si_pid == 0)
		return -EAGAIN;
	*code = info.si_code == CLD_EXITED ? info.si_status : -1;
	*number = info.si_code == CLD_EXITED ? 0 : info.si_status;
	return 0;
}

int clinux_spawn_filter(const char *path, char *const argv[], char *const envp[], int stdin_fd,
			int stdout_fd, int stderr_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t signals;
	int status;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, stdin_fd, 0);
	posix_spawn_file_actions_adddup2(&actions, stdout_fd, 1);
	posix_spawn_file_actions_adddup2(&actions, stderr_fd, 2);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawnattr_init(&attributes);
	sigemptyset(&signals);
	posix_spawnattr_setsigmask(&attributes, &signals);
	sigfillset(&signals);
	posix_spawnattr_setsigdefault(&attributes, &signals);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	status = posix_spawn(pid, path, &actions, &attributes, argv, envp);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -status;
}

int clinux_pipe(int descriptors[2])
{
	return pipe2(descriptors, O_CLOEXEC) ? -errno : 0;
}

/* struct sched_attr, which C libraries began to declare later than the kernel; its first version.
 */
struct scheduling {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

int clinux_set_slice(uint64_t nanoseconds)
{
	struct scheduling scheduling = {.size = sizeof(scheduling)};

	if (syscall(SYS_sched_getattr, 0, &scheduling, sizeof(scheduling), 0))
		return -errno;
	/* Of a real-time thread it would be another thing. */
	if (scheduling.policy != SCHED_OTHER)
		return -EINVAL;
	scheduling.flags = 0;
	scheduling.runtime = nanoseconds;
	return syscall(SYS_sched_setattr, 0, &scheduling, 0) ? -errno : 0;
}
