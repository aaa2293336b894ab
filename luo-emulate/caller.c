/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "caller.h"
#include "internal.h"
#include "process.h"

bool request_is_valid(struct supervisor *s, const struct seccomp_notif *request) {
        uint64_t id = request->id;

        return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) >= 0;
}

int request_get_fd(struct supervisor *s, const struct seccomp_notif *request, int fd) {
        int r;

        r = process_get_fd((pid_t) request->pid, fd);
        if (r >= 0 && !request_is_valid(s, request)) {
                close_fd(r);
                return -ENOENT;
        }

        return r;
}

int request_get_file(struct supervisor *s, const struct seccomp_notif *request, int fd) {
        int r;

        r = request_get_fd(s, request, fd);
        if (r != -EPERM)
                return r;

        r = process_reopen_fd((pid_t) request->pid, fd);
        if (!request_is_valid(s, request)) {
                close_fd(r);
                return -ENOENT;
        }

        return r;
}

int request_write(struct supervisor *s, const struct seccomp_notif *request, uint64_t address,
        const void *buffer, size_t size) {

        if (!request_is_valid(s, request))
                return -ENOENT;

        return process_write((pid_t) request->pid, address, buffer, size);
}

int request_install_fd(
        struct supervisor *s, const struct seccomp_notif *request, int fd, int flags, bool answer) {

        struct seccomp_notif_addfd argument = {
                .id = request->id,
                .flags = answer ? SECCOMP_ADDFD_FLAG_SEND : 0,
                .srcfd = (uint32_t) fd,
                .newfd_flags = (uint32_t) flags & O_CLOEXEC,
        };
        int r;

        r = ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &argument);
        return r < 0 ? -errno : r;
}

/* ---------------------------------------------------------------------------------------------------- paths ---- */

/* Drops what says nothing: "//" and "/./". */
static void simplify(char *path) {
        char *to = path;

        for (const char *from = path; *from; from++) {
                while (from[0] == '/' &&
                        (from[1] == '/' || (from[1] == '.' && (from[2] == '/' || from[2] == 0))))
                        from += from[1] == '/' ? 1 : 2;
                if (!*from)
                        break;
                *to++ = *from;
        }
        *to = 0;
}

bool request_read_path(
        const struct seccomp_notif *request, int folder_fd, uint64_t address, char ret[static PATH_MAX]) {

        char link[64], path[PATH_MAX];
        ssize_t n;

        if (process_read_string((pid_t) request->pid, address, path, sizeof(path)) <= 0)
                return false;

        if (path[0] == '/')
                memcpy(ret, path, strlen(path) + 1);
        else {
                if (folder_fd == AT_FDCWD)
                        (void) snprintf(link, sizeof(link), "/proc/%u/cwd", request->pid);
                else
                        (void) snprintf(link, sizeof(link), "/proc/%u/fd/%i", request->pid, folder_fd);

                n = readlink(link, ret, PATH_MAX - 1);
                if (n <= 0 || (size_t) n + 1 + strlen(path) >= PATH_MAX)
                        return false;

                ret[n] = '/';
                memcpy(ret + n + 1, path, strlen(path) + 1);
        }

        simplify(ret);
        return true;
}

/* Takes a number off the front of a path. */
static bool take_number(const char **path, long *ret) {
        char *end;

        if (!isdigit((unsigned char) **path))
                return false;

        errno = 0;
        *ret = strtol(*path, &end, 10);
        *path = end;
        return errno == 0 && *ret <= INT_MAX;
}

static bool take_prefix(const char **path, const char *prefix) {
        size_t n = strlen(prefix);

        if (strncmp(*path, prefix, n) != 0)
                return false;

        *path += n;
        return true;
}

bool request_parse_fd_link(const char *path, pid_t tid, pid_t *ret_tid, int *ret_fd) {
        long number = 0, fd;

        if (!take_prefix(&path, "/proc/self/fd/") && !take_prefix(&path, "/proc/thread-self/fd/") &&
                !take_prefix(&path, "/dev/fd/")) {
                if (!take_prefix(&path, "/proc/") || !take_number(&path, &number))
                        return false;
                if (take_prefix(&path, "/task/") && !take_number(&path, &number))
                        return false;
                if (!take_prefix(&path, "/fd/"))
                        return false;
                tid = (pid_t) number;
        }

        if (!take_number(&path, &fd) || *path)
                return false;

        *ret_tid = tid;
        *ret_fd = (int) fd;
        return true;
}
