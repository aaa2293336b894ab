/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* The file descriptors of another process */

struct process_fd {
        int number;
        mode_t mode;
        dev_t device;
        ino_t inode;
        char *path; /* the link's target in /proc/PID/fd */
};

struct process {
        pid_t pid;
        int pidfd;              /* negative: its file descriptors cannot be taken */
        struct process_fd *fds; /* sorted by number */
        size_t n_fds;
};

/* Returns 0, or a negative errno: -ESRCH no such process, -EACCES not permitted to look at it. */
int process_open(pid_t pid, struct process *ret_process);
void process_close(struct process *process);

/*
 * A copy of one of its file descriptors, for the caller to close, or a negative errno: -ESTALE it is another file now.
 */
int process_take_fd(const struct process *process, const struct process_fd *fd);
