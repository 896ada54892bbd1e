/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_PROCESS_H
#define CLINUX_PROCESS_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/types.h>

/* pidfd_open(2): a descriptor that is readable once the process has ended. Close-on-exec. */
int clinux_pidfd_open(pid_t pid);

/* pidfd_send_signal(2): can not hit another process that got the same number. */
int clinux_pidfd_send_signal(int pidfd, int number);

/*
 * Reaps an ended child. Returns 0 and its exit code, or the number of the signal that ended it and
 * -1 as the code; -EAGAIN while it runs, -ECHILD when it is not a child of this process.
 */
int clinux_pidfd_reap(int pidfd, int *code, int *number);

/*
 * Starts `path` with the three descriptors as 0, 1 and 2 and no other. Returns 0 and the child's
 * pid, or -errno.
 */
int clinux_spawn_filter(const char *path, char *const argv[], char *const envp[], int stdin_fd,
			int stdout_fd, int stderr_fd, pid_t *pid);

/*
 * Asks the scheduler to run the calling thread for so long at once, and so to let it begin sooner
 * when it has something to do (sched_setattr(2), sched_runtime of SCHED_OTHER; Linux 6.12). Before,
 * it changes nothing. 0 or -errno.
 */
int clinux_set_slice(uint64_t nanoseconds);

/* pipe2(2) with O_CLOEXEC: 0 or -errno. */
int clinux_pipe(int descriptors[2]);

#endif
