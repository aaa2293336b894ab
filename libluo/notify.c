/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "internal.h"

/* The protocol is described in sd_notify(3), under "Standalone Implementations" and "Well-known assignments". */

/* Makes a socket to the service manager. Returns an fd. */
static int open_notify_socket(struct sockaddr_un *ret_address, socklen_t *ret_size) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *path;
        size_t length;
        int fd;

        path = getenv("NOTIFY_SOCKET");
        if (!path || !*path)
                return -ENOTCONN;

        /* A path, or "@" and an abstract name; what else there is (vsock) does not carry file descriptors */
        length = strlen(path);
        if ((path[0] != '/' && path[0] != '@') || length >= sizeof(address.sun_path))
                return -EAFNOSUPPORT;

        memcpy(address.sun_path, path, length);
        if (path[0] == '@')
                address.sun_path[0] = 0;

        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0) /* EAFNOSUPPORT: RestrictAddressFamilies= of the unit */
                return LUO_CLOSED_SET(-errno, EAFNOSUPPORT, EMFILE, ENFILE, ENOMEM);

        *ret_address = address;
        *ret_size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '/'));
        return fd;
}

int libluo_internal_notify(const char *state, int fd) {
        union {
                struct cmsghdr header;
                uint8_t buffer[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (char *) state, .iov_len = strlen(state) };
        struct sockaddr_un address;
        struct msghdr message = {
                .msg_name = &address,
                .msg_iov = &iov,
                .msg_iovlen = 1,
        };
        ssize_t n;
        int socket_fd, r = 0;

        socket_fd = open_notify_socket(&address, &message.msg_namelen);
        if (socket_fd < 0)
                return socket_fd;

        if (fd >= 0) {
                control.header = (struct cmsghdr) {
                        .cmsg_len = CMSG_LEN(sizeof(int)),
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                };
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int));
        }

        do
                n = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);

        if (n < 0)
                r = errno == EBADF || errno == ENOMEM ? -errno : -ECOMM;

        close_fd(socket_fd);
        return r;
}

#define HOUR_USEC (3600 * USEC_PER_SEC)

int libluo_internal_notify_barrier(uint64_t timeout_usec) {
        uint64_t start = now_usec();
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return LUO_CLOSED_SET(-errno, EMFILE, ENFILE, ENOMEM);

        r = libluo_internal_notify("BARRIER=1", fds[1]);
        close_fd(fds[1]);

        /* The service manager closes its end when everything before is done */
        while (r >= 0) {
                struct pollfd p = { .fd = fds[0] };
                int n, wait_msec = -1;

                if (timeout_usec != UINT64_MAX) {
                        uint64_t elapsed = now_usec() - start,
                                 left = elapsed < timeout_usec ? timeout_usec - elapsed : 0;

                        /* Rounded up: a timeout of 0 looks once. Longer waits go in steps, poll(2) takes an int */
                        wait_msec = left > HOUR_USEC ? (int) (HOUR_USEC / 1000) : (int) ((left + 999) / 1000);
                }

                n = poll(&p, 1, wait_msec);
                if (n > 0)
                        break;
                if (n < 0 && errno != EINTR)
                        r = -ENOMEM;
                else if (timeout_usec != UINT64_MAX && now_usec() - start >= timeout_usec)
                        r = -ETIMEDOUT;
        }

        close_fd(fds[0]);
        return r;
}

LIBLUO_PUBLIC int libluo_notify(const char *state) {
        if (!state || !*state)
                return -EINVAL;

        return libluo_internal_notify(state, -1);
}
