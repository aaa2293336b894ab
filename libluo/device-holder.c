/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* After opendir() failed: -ENOENT for what is gone or not for this process to see, -EMFILE, -ENFILE, -ENOMEM. */
static int opendir_error(void) {
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -ENOENT;
}

/* Whether a process has the device open: 1 or 0. Files that are not opened cannot block. */
static int has_device(const char *pid) {
        char path[64];
        struct dirent *entry;
        DIR *fds;
        int r = 0;

        (void) snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
        fds = opendir(path);
        if (!fds) {
                r = opendir_error();
                return r == -ENOENT ? 0 : r;
        }

        while (r == 0 && (entry = readdir(fds))) {
                char target[sizeof(LUO_DEVICE) + 1];
                ssize_t n;

                n = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target));
                r = n == (ssize_t) strlen(LUO_DEVICE) && memcmp(target, LUO_DEVICE, (size_t) n) == 0;
        }

        (void) closedir(fds);
        return r;
}

static void read_name(const char *pid, char *ret_name, size_t name_size) {
        char path[64];
        ssize_t n = -1;
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
        fd = RETRY(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
        if (fd >= 0)
                n = read(fd, ret_name, name_size - 1);
        close_fd(fd);

        ret_name[n > 0 ? n : 0] = 0;
        ret_name[strcspn(ret_name, "\n")] = 0;
}

LIBLUO_PUBLIC int libluo_device_holder(pid_t *ret_pid, char *ret_name, size_t name_size) {
        struct dirent *entry;
        bool mounted = false;
        DIR *processes;
        int r = 0;

        if (!ret_pid || (!ret_name && name_size > 0))
                return -EINVAL;

        processes = opendir("/proc");
        if (!processes) {
                r = opendir_error();
                return r == -ENOENT ? -ENOSYS : r;
        }

        while (r == 0 && (entry = readdir(processes)))
                if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
                        mounted = true;
                        r = has_device(entry->d_name);
                }

        if (r > 0) {
                *ret_pid = (pid_t) strtol(entry->d_name, NULL, 10);
                if (name_size > 0)
                        read_name(entry->d_name, ret_name, name_size);
        }

        (void) closedir(processes);
        if (r == 0)
                r = mounted ? -ENOENT : -ENOSYS;
        return r > 0 ? 0 : r;
}
