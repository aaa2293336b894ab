/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "luoctl.h"
#include "process.h"

static int compare_numbers(const void *a, const void *b) {
        int x = ((const struct process_fd *) a)->number, y = ((const struct process_fd *) b)->number;

        return (x > y) - (x < y);
}

/*
 * What the kernel has, without asking a server (NFS, FUSE) that may not answer. fd may be a folder's, or the file
 * itself.
 */
static int get_file(
        int fd, const char *name, int flags, mode_t *ret_mode, dev_t *ret_device, ino_t *ret_inode) {
        struct statx sx;

        if (statx(fd, name, flags | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MODE | STATX_INO, &sx) < 0)
                return -errno;

        *ret_mode = sx.stx_mode;
        *ret_device = makedev(sx.stx_dev_major, sx.stx_dev_minor);
        *ret_inode = sx.stx_ino;
        return 0;
}

/* Adds one; one that has been closed meanwhile is left out. */
static int add_fd(struct process *process, int folder_fd, const char *name) {
        struct process_fd *fds;
        char target[PATH_MAX];
        uint64_t number;
        dev_t device = 0;
        mode_t mode = 0;
        ino_t inode = 0;
        ssize_t n;
        int r;

        if (!parse_number(name, INT_MAX, &number))
                return 0;

        n = readlinkat(folder_fd, name, target, sizeof(target) - 1);
        r = n < 0 ? -errno : get_file(folder_fd, name, 0, &mode, &device, &inode);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        target[n] = 0;

        fds = reallocarray(process->fds, process->n_fds + 1, sizeof(*fds));
        if (!fds)
                return -ENOMEM;
        process->fds = fds;

        fds[process->n_fds] = (struct process_fd) {
                .number = (int) number,
                .mode = mode,
                .device = device,
                .inode = inode,
                .path = strdup(target),
        };
        if (!fds[process->n_fds].path)
                return -ENOMEM;

        process->n_fds++;
        return 0;
}

int process_open(pid_t pid, struct process *ret_process) {
        struct process process = { .pid = pid };
        struct dirent *entry;
        char path[64];
        DIR *folder;
        int r = 0;

        (void) snprintf(path, sizeof(path), "/proc/%ji/fd", (intmax_t) pid);
        folder = opendir(path);
        if (!folder)
                return errno == ENOENT ? -ESRCH : -errno;

        process.pidfd = pidfd_open(pid, 0);
        while (r == 0 && (entry = readdir(folder)))
                r = add_fd(&process, dirfd(folder), entry->d_name);
        (void) closedir(folder);

        if (r < 0) {
                process_close(&process);
                return r;
        }

        if (process.n_fds > 1)
                qsort(process.fds, process.n_fds, sizeof(*process.fds), compare_numbers);

        *ret_process = process;
        return 0;
}

void process_close(struct process *process) {
        for (size_t i = 0; i < process->n_fds; i++)
                free(process->fds[i].path);
        free(process->fds);
        if (process->pidfd >= 0)
                (void) close(process->pidfd);
        *process = (struct process) { .pidfd = -1 };
}

int process_take_fd(const struct process *process, const struct process_fd *fd) {
        dev_t device;
        mode_t mode;
        ino_t inode;
        int taken;

        if (process->pidfd < 0)
                return -EACCES;

        taken = pidfd_getfd(process->pidfd, fd->number, 0); /* has O_CLOEXEC */
        if (taken < 0)
                return -errno;

        /* The process runs on: it may have closed this one and opened another */
        if (get_file(taken, "", AT_EMPTY_PATH, &mode, &device, &inode) < 0 || device != fd->device ||
                inode != fd->inode) {
                (void) close(taken);
                return -ESTALE;
        }

        return taken;
}
