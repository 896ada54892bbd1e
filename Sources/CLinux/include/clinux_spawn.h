/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_SPAWN_H
#define CLINUX_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

enum clinux_spawn_flags {
	CLINUX_SPAWN_NEW_SESSION = 1 << 0,	 /* setsid(2) */
	CLINUX_SPAWN_PARENT_DEATH_KILL = 1 << 1, /* SIGKILL when the spawning thread ends */
};

/* The step of clinux_spawn that failed; CLINUX_SPAWN_STEP_NONE when it succeeded. */
enum clinux_spawn_step {
	CLINUX_SPAWN_STEP_NONE = 0,
	CLINUX_SPAWN_STEP_FORK,
	CLINUX_SPAWN_STEP_CGROUP,
	CLINUX_SPAWN_STEP_NETNS,
	CLINUX_SPAWN_STEP_SESSION,
	CLINUX_SPAWN_STEP_DESCRIPTORS,
	CLINUX_SPAWN_STEP_DIRECTORY,
	CLINUX_SPAWN_STEP_EXEC,
};

/*
 * Starts `path` (no search in PATH) in a child that has, in this order: joined the cgroup of
 * cgroup_procs_fd (an open cgroup.procs, or -1), the network namespace of netns_fd (or -1), a
 * session of its own (flag), stdin from /dev/null, stdout_fd and stderr_fd (-1: /dev/null) as 1 and
 * 2, cwd (or NULL), every other descriptor closed, default signal dispositions and an empty signal
 * mask. Returns 0 and the child's pid, or -errno and the step that failed; then no child is left.
 * The caller waits for the pid (waitpid or pidfd). Safe in a process with threads.
 */
int clinux_spawn(const char *path, char *const argv[], char *const envp[], const char *cwd,
		 int stdout_fd, int stderr_fd, int netns_fd, int cgroup_procs_fd, uint32_t flags,
		 pid_t *pid, int *failed_step);

#endif
