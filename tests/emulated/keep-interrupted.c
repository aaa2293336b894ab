/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * luo-keep with an end, or an error, at one of the calls that change something or ask somebody: the linker puts these
 * functions in the place of the C library's. $INTERRUPTED_AT says at which one, counted from 1, and $INTERRUPTED_BY by
 * which errno, or by SIGKILL if it is 0.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>

static bool interrupted(void) {
        const char *at = getenv("INTERRUPTED_AT"), *by = getenv("INTERRUPTED_BY");
        static int n_calls = 0;

        n_calls++;
        if (!at || !by || n_calls != atoi(at))
                return false;

        if (atoi(by) == 0)
                (void) raise(SIGKILL);
        errno = atoi(by);
        return true;
}

#define WRAP(type, name, parameters, arguments)                                                              \
        type __real_##name parameters;                                                                       \
        type __wrap_##name parameters;                                                                       \
        type __wrap_##name parameters {                                                                      \
                return interrupted() ? (type) - 1 : __real_##name arguments;                                 \
        }

WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, ftruncate, (int fd, off_t size), (fd, size))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
WRAP(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout))
WRAP(int, symlink, (const char *target, const char *path), (target, path))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, dup2, (int fd, int to), (fd, to))
WRAP(int, setenv, (const char *name, const char *value, int overwrite), (name, value, overwrite))
WRAP(int, execvp, (const char *path, char *const arguments[]), (path, arguments))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...) __attribute__((alias("__wrap_open")));
int __wrap_open(const char *path, int flags, ...) {
        mode_t mode = 0;
        va_list ap;

        va_start(ap, flags);
        if (flags & O_CREAT)
                mode = va_arg(ap, mode_t);
        va_end(ap);
        return interrupted() ? -1 : __real_open(path, flags, mode);
}
