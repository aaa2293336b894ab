/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "kernel-abi.h"

LIBLUO_PUBLIC int libluo_session_name_is_valid(const char *name) {
        size_t length;

        if (!name)
                return 0;

        length = strnlen(name, LIBLUO_SESSION_NAME_MAX + 1);
        return length > 0 && length <= LIBLUO_SESSION_NAME_MAX;
}

/* What is no session has one error, and what nobody can use another */
static int not_a_session(int fd) {
        int flags = fcntl(fd, F_GETFL);

        return flags >= 0 && flags & O_PATH ? -EBADF : -EMEDIUMTYPE;
}

static int open_session(int device_fd, unsigned long request, const char *name) {
        struct kernel_luo_session argument = {
                .size = sizeof(argument),
                .fd = -1,
        };
        int r;

        if (!name || !*name)
                return -EINVAL;
        if (!libluo_session_name_is_valid(name))
                return -ENAMETOOLONG;

        memcpy(argument.name, name, strlen(name));

        r = libluo_internal_ioctl(device_fd, request, &argument);
        /* A session given for the device knows none of its requests, and says EINVAL */
        if (r == -ENOTTY || (r == -EINVAL && libluo_fd_is_session(device_fd) > 0))
                return -EMEDIUMTYPE;
        if (r < 0)
                return r;
        if (argument.fd < 0)
                return -EPROTO;

        return argument.fd; /* the kernel sets O_CLOEXEC */
}

LIBLUO_PUBLIC int libluo_session_create(int device_fd, const char *name) {
        int r;

        r = open_session(device_fd, KERNEL_LUO_CREATE_SESSION, name);
        /* The name was checked before, so it is not the device that says so: other drivers know no such request. */
        if (r == -EINVAL && name && *name)
                return -EMEDIUMTYPE;

        return LUO_CLOSED_SET(
                r, EBADF, EEXIST, EINVAL, EMEDIUMTYPE, EMFILE, ENAMETOOLONG, ENFILE, ENOMEM, ENOSPC);
}

LIBLUO_PUBLIC int libluo_session_retrieve(int device_fd, const char *name) {
        int r;

        r = open_session(device_fd, KERNEL_LUO_RETRIEVE_SESSION, name);
        /* The name was checked before, so the kernel's EINVAL means: retrieved already, and still open. */
        if (r == -EINVAL && name && *name)
                return -EBUSY;

        return LUO_CLOSED_SET(
                r, EBADF, EBUSY, EINVAL, EMEDIUMTYPE, EMFILE, ENAMETOOLONG, ENFILE, ENOENT, ENOMEM);
}

/*
 * A request that no kernel takes: an incoming session refuses to preserve anything (EINVAL), an outgoing one refuses
 * what is behind the structure (E2BIG). Both happen before the session is locked, which another process may have done
 * for long.
 */
int libluo_internal_session_is_outgoing(int session_fd) {
        struct {
                struct kernel_luo_fd request;
                uint64_t too_much;
        } argument = {
                .request.size = sizeof(argument),
                .request.fd = -1,
                .request.token = UINT64_MAX,
                .too_much = 1,
        };
        int r;

        r = libluo_fd_is_session(session_fd);
        if (r < 0)
                return r;
        if (r == 0)
                return not_a_session(session_fd);

        r = libluo_internal_ioctl(session_fd, KERNEL_LUO_PRESERVE_FD, &argument);
        return r != -EINVAL;
}

/* Sorts out the answers that the kernel gives for more than one reason. */
static int session_ioctl(int session_fd, unsigned long request, void *argument) {
        bool wants_outgoing = request == KERNEL_LUO_PRESERVE_FD;
        int r, is_outgoing;

        r = libluo_internal_ioctl(session_fd, request, argument);
        if (r != -EINVAL && r != -ENOTTY)
                return r;

        /* All sessions of all kernels know the requests that come here, so the reason is in the fd ... */
        is_outgoing = libluo_internal_session_is_outgoing(session_fd);
        if (is_outgoing < 0)
                return is_outgoing;
        if (is_outgoing != wants_outgoing)
                return -EBADFD;

        /* ... or in the file. */
        return wants_outgoing ? -EOPNOTSUPP : -EIO;
}

LIBLUO_PUBLIC int libluo_session_preserve(int session_fd, int fd, uint64_t token) {
        struct kernel_luo_fd argument = {
                .size = sizeof(argument),
                .fd = fd,
                .token = token,
        };
        int r;

        if (fd < 0)
                return -EBADF;

        r = session_ioctl(session_fd, KERNEL_LUO_PRESERVE_FD, &argument);
        if (r == -ENOENT) /* no handler takes the file */
                return -EOPNOTSUPP;

        return LUO_CLOSED_SET(
                r, EBADF, EBADFD, EBUSY, EEXIST, EFBIG, EMEDIUMTYPE, ENOMEM, ENOSPC, ENOSYS, EOPNOTSUPP);
}

LIBLUO_PUBLIC int libluo_session_retrieve_fd(int session_fd, uint64_t token) {
        struct kernel_luo_fd argument = {
                .size = sizeof(argument),
                .fd = -1,
                .token = token,
        };
        int r;

        r = session_ioctl(session_fd, KERNEL_LUO_RETRIEVE_FD, &argument);
        if (r ==
                -ENOSPC) /* how mm/shmem.c says that no more memory may be committed: vm.overcommit_memory=2 */
                return -ENOMEM;
        if (r < 0)
                return LUO_CLOSED_SET(r, EBADF, EBADFD, EIO, EMEDIUMTYPE, EMFILE, ENFILE, ENOENT, ENOMEM,
                        ENOSYS, EOPNOTSUPP);
        if (argument.fd < 0)
                return -EPROTO;

        return argument.fd; /* the kernel sets O_CLOEXEC */
}

LIBLUO_PUBLIC int libluo_session_finish(int session_fd) {
        struct kernel_luo_finish argument = {
                .size = sizeof(argument),
        };

        return LUO_CLOSED_SET(session_ioctl(session_fd, KERNEL_LUO_FINISH, &argument), EBADF, EBADFD, EBUSY,
                EMEDIUMTYPE, ENOMEM, ENOSYS);
}

#define SESSION_LINK "anon_inode:[luo_session] "

/*
 * Whether a file is one of the kernel's own, without a file system, as sessions are: 1 or 0. Asks nothing of the
 * file: it may be on a server that does not answer, and to others the number of a request may mean something else.
 * The link in /proc tells, up to the limit that it has for such files before Linux 7.2; the size leaves room for a
 * name.
 */
static int is_anonymous(int fd, char *ret_link, size_t size) {
        int r;

        r = libluo_internal_read_link(fd, ret_link, size);
        return r < 0 ? r : strncmp(ret_link, SESSION_LINK, strcspn(SESSION_LINK, "[")) == 0;
}

/* For kernels before 7.2, which have no request for it. */
int libluo_internal_session_name_from_link(const char *link, char ret_name[LIBLUO_SESSION_NAME_MAX + 1]) {
        size_t length = strlen(link);

        if (strncmp(link, SESSION_LINK, strlen(SESSION_LINK)) != 0 ||
                length - strlen(SESSION_LINK) > LIBLUO_SESSION_NAME_MAX)
                return -EMEDIUMTYPE;

        memcpy(ret_name, link + strlen(SESSION_LINK), length - strlen(SESSION_LINK) + 1);
        return 0;
}

static int get_name(int fd, char ret_name[LIBLUO_SESSION_NAME_MAX + 1]) {
        struct kernel_luo_name argument = {
                .size = sizeof(argument),
        };
        char link[sizeof(SESSION_LINK) + LIBLUO_SESSION_NAME_MAX +
                1]; /* a longer one is cut, and seen to be too long */
        int r;

        r = is_anonymous(fd, link, sizeof(link));
        if (r < 0)
                return r;
        if (r == 0)
                return -EMEDIUMTYPE;

        r = libluo_internal_ioctl(fd, KERNEL_LUO_GET_NAME, &argument);
        if (r == -ENOTTY || r == -EINVAL) /* not a session, or a kernel before 7.2 */
                return libluo_internal_session_name_from_link(link, ret_name);
        if (r < 0)
                return LUO_CLOSED_SET(r, EBADF, ENOMEM);
        if (!memchr(argument.name, 0, sizeof(argument.name)))
                return -EPROTO;

        memcpy(ret_name, argument.name, sizeof(argument.name));
        return 0;
}

LIBLUO_PUBLIC int libluo_session_get_name(int fd, char ret_name[LIBLUO_SESSION_NAME_MAX + 1]) {
        int r;

        if (!ret_name)
                return -EINVAL;

        r = get_name(fd, ret_name);
        return r == -EMEDIUMTYPE ? not_a_session(fd) : r;
}

LIBLUO_PUBLIC int libluo_fd_is_session(int fd) {
        char name[LIBLUO_SESSION_NAME_MAX + 1];
        int r;

        r = get_name(fd, name);
        if (r == -EMEDIUMTYPE)
                return 0;
        if (r >= 0 ||
                r == -ENAMETOOLONG) /* its link would be too long to be read, as are those of long names */
                return 1;

        return r;
}
