/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* System calls made to fail: the linker puts these functions in the place of the C library's. */

#include <dirent.h>
#include <poll.h>
#include <stdarg.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#include "every-error.h"

struct broken broken;

static bool breaks(enum call call, unsigned long request) {
        if (broken.call != call || (broken.request != 0 && broken.request != request))
                return false;
        errno = broken.error;
        return true;
}

#define WRAP(type, name, parameters, arguments, call)                                                        \
        type __real_##name parameters;                                                                       \
        type __wrap_##name parameters;                                                                       \
        type __wrap_##name parameters {                                                                      \
                return breaks(call, 0) ? (type) - 1 : __real_##name arguments;                               \
        }

#define WRAP_ALLOCATION(type, name, parameters, arguments)                                                   \
        type __real_##name parameters;                                                                       \
        type __wrap_##name parameters;                                                                       \
        type __wrap_##name parameters {                                                                      \
                return breaks(ALLOCATE, 0) ? NULL : __real_##name arguments;                                 \
        }

WRAP(int, fstatfs, (int fd, struct statfs *ret), (fd, ret), FSTATFS)
WRAP(int, fstatfs64, (int fd, struct statfs *ret), (fd, ret), FSTATFS)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), MEMFD)
WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), WRITE)
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t offset), (fd, data, size, offset), PWRITE)
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t size, off_t offset), (fd, data, size, offset),
        PWRITE)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), FCHMOD)
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), SOCKET)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), SENDMSG)
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags), PIPE)
WRAP(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout), POLL)
#define WRAP_MMAP(name)                                                                                      \
        void *__real_##name(void *address, size_t size, int protection, int flags, int fd, off_t offset);    \
        void *__wrap_##name(void *address, size_t size, int protection, int flags, int fd, off_t offset);    \
        void *__wrap_##name(void *address, size_t size, int protection, int flags, int fd, off_t offset) {   \
                return breaks(MMAP, 0) ? MAP_FAILED                                                          \
                                       : __real_##name(address, size, protection, flags, fd, offset);        \
        }

WRAP_MMAP(mmap)
WRAP_MMAP(mmap64)
WRAP_ALLOCATION(void *, malloc, (size_t size), (size))
WRAP_ALLOCATION(void *, calloc, (size_t n, size_t size), (n, size))
WRAP_ALLOCATION(void *, realloc, (void *p, size_t size), (p, size))
WRAP_ALLOCATION(char *, strdup, (const char *s), (s))
WRAP_ALLOCATION(char *, strndup, (const char *s, size_t n), (s, n))

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path) {
        return breaks(OPENDIR, 0) ? NULL : __real_opendir(path);
}

/* While there is no room in a socket an hour goes by each time that somebody looks. */
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret) {
        static time_t gone_by;
        int r = __real_clock_gettime(clock, ret);

        if (broken.call == SENDMSG && broken.error == EAGAIN)
                gone_by += 3600;
        ret->tv_sec += gone_by;
        return r;
}

ssize_t __real_readlink(const char *path, char *ret, size_t size);
ssize_t __wrap_readlink(const char *path, char *ret, size_t size);
ssize_t __wrap_readlink(const char *path, char *ret, size_t size) {
        if (broken.proc_error) {
                errno = broken.proc_error;
                return -1;
        }
        return breaks(READLINK, 0) ? -1 : __real_readlink(path, ret, size);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...) __attribute__((alias("__wrap_open")));
int __wrap_open(const char *path, int flags, ...) {
        if (broken.proc_error && strncmp(path, "/proc/", 6) == 0) {
                errno = broken.proc_error;
                return -1;
        }
        if (broken.call == MEMFD && strncmp(path, "/dev/shm", 8) == 0) {
                errno = broken.error;
                return -1;
        }
        return breaks(OPEN, 0) ? -1 : __real_open(path, flags);
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...) {
        void *argument;
        va_list ap;

        va_start(ap, request);
        argument = va_arg(ap, void *);
        va_end(ap);

        if (broken.old_kernel && request == KERNEL_LUO_GET_NAME) {
                errno = EINVAL;
                return -1;
        }
        return breaks(IOCTL, request) ? -1 : __real_ioctl(fd, request, argument);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...) __attribute__((alias("__wrap_fcntl")));
int __wrap_fcntl(int fd, int command, ...) {
        va_list ap;
        int argument;

        va_start(ap, command);
        argument = va_arg(ap, int);
        va_end(ap);
        return breaks(FCNTL, (unsigned long) command) ? -1 : __real_fcntl(fd, command, argument);
}
