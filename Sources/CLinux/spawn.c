/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct order {
	const char *path;
	char *const *argv;
	char *const *envp;
	const char *cwd;
	int stdout_fd, stderr_fd, netns_fd, cgroup_procs_fd;
	uint32_t flags;
	pid_t parent;
	/* Written by the child, which shares the parent's memory until it executes or exits. */
	volatile int step, error;
};

/* `fd` or, when it is -1, /dev/null, as a new descriptor above the three that are about to be
 * replaced. */
static int above_standard(int fd, int null)
{
	return fcntl(fd < 0 ? null : fd, F_DUPFD, 3);
}

static int redirect(const struct order *order)
{
	int null = open("/dev/null", O_RDWR);
	int in, out, err;

	if (null < 0)
		return -1;
	in = above_standard(-1, null);
	out = above_standard(order->stdout_fd, null);
	err = above_standard(order->stderr_fd, null);
	if (in < 0 || out < 0 || err < 0)
		return -1;
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		return -1;
	return close_range(3, ~0U, 0);
}

static void reset_signals(void)
{
	/* The kernel's struct sigaction of SIG_DFL is all zeros. Its own call, because sigaction(3)
	 * refuses the two signals that glibc keeps to itself, and an ignored signal stays ignored
	 * across exec. */
	static const unsigned long standard[8];
	sigset_t none;
	int number;

	for (number = 1; number <= 64; number++)
		syscall(SYS_rt_sigaction, number, standard, NULL, 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Only async-signal-safe calls: other threads of the parent may hold any lock. */
static int fail(struct order *order, enum clinux_spawn_step step)
{
	order->error = errno;
	order->step = step;
	return 127;
}

static int child(void *argument)
{
	struct order *order = argument;

	if (order->flags & CLINUX_SPAWN_PARENT_DEATH_KILL) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != order->parent)
			return 127;
	}
	if (order->cgroup_procs_fd >= 0 && write(order->cgroup_procs_fd, "0", 1) != 1)
		return fail(order, CLINUX_SPAWN_STEP_CGROUP);
	if (order->netns_fd >= 0 && setns(order->netns_fd, CLONE_NEWNET))
		return fail(order, CLINUX_SPAWN_STEP_NETNS);
	if ((order->flags & CLINUX_SPAWN_NEW_SESSION) && setsid() < 0)
		return fail(order, CLINUX_SPAWN_STEP_SESSION);
	if (redirect(order))
		return fail(order, CLINUX_SPAWN_STEP_DESCRIPTORS);
	if (order->cwd && chdir(order->cwd))
		return fail(order, CLINUX_SPAWN_STEP_DIRECTORY);
	reset_signals();
	execve(order->path, order->argv, order->envp);
	return fail(order, CLINUX_SPAWN_STEP_EXEC);
}

int clinux_spawn(const char *path, char *const argv[], char *const envp[], const char *cwd,
		 int stdout_fd, int stderr_fd, int netns_fd, int cgroup_procs_fd, uint32_t flags,
		 pid_t *pid, int *failed_step)
{
	struct order order = {
	    .path = path,
	    .argv = argv,
	    .envp = envp,
	    .cwd = cwd,
	    .stdout_fd = stdout_fd,
	    .stderr_fd = stderr_fd,
	    .netns_fd = netns_fd,
	    .cgroup_procs_fd = cgroup_procs_fd,
	    .flags = flags,
	    .parent = getpid(),
	};
	/* Shares memory, so that a large parent costs nothing, but runs on a stack of its own. */
	_Alignas(16) char stack[16384];
	sigset_t all, before;
	pid_t made;
	int error;

	/* A handler of the parent must not run in the child while the two share memory. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	made = clone(child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &order);
	error = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	if (made < 0) {
		*failed_step = CLINUX_SPAWN_STEP_FORK;
		return -error;
	}
	if (order.step != CLINUX_SPAWN_STEP_NONE) {
		while (waitpid(made, NULL, 0) < 0 && errno == EINTR)
			;
		*failed_step = order.step;
		return -order.error;
	}
	*failed_step = CLINUX_SPAWN_STEP_NONE;
	*pid = made;
	return 0;
}
