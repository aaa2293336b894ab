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

/* How long may be waited for until a time; false if it has come. UINT64_MAX: for ever. */
static bool time_left(uint64_t until, uint64_t *ret_usec) {
        uint64_t now = now_usec();

        *ret_usec = until == UINT64_MAX ? UINT64_MAX : until > now ? until - now : 0;
        return *ret_usec > 0;
}

static uint64_t time_after(uint64_t timeout_usec) {
        uint64_t until;

        return __builtin_add_overflow(now_usec(), timeout_usec, &until) ? UINT64_MAX : until;
}

/* The service manager may be slow, and its socket full: waits for room in it. */
static int send_until(int socket_fd, const struct msghdr *message, uint64_t until) {
        uint64_t left;

        while (sendmsg(socket_fd, message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
                struct timeval limit;

                if (errno == EAGAIN) {
                        if (!time_left(until, &left))
                                return -ETIMEDOUT;

                        /* Whether there is room cannot be polled for without a connection: have the kernel wait */
                        if (left > 3600 * USEC_PER_SEC)
                                left = 3600 * USEC_PER_SEC;
                        limit = (struct timeval) {
                                .tv_sec = (time_t) (left / USEC_PER_SEC),
                                .tv_usec = (suseconds_t) (left % USEC_PER_SEC),
                        };
                        if (setsockopt(socket_fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                                return -EPROTO;
                        if (sendmsg(socket_fd, message, MSG_NOSIGNAL) >= 0)
                                return 0;
                }

                if (errno != EAGAIN && errno != EINTR)
                        return errno == EBADF || errno == ENOMEM ? -errno : -ECOMM;
        }

        return 0;
}

static int notify_until(const char *state, int fd, uint64_t until) {
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
        int socket_fd, r;

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

        r = send_until(socket_fd, &message, until);
        close_fd(socket_fd);
        return r;
}

int libluo_internal_notify(const char *state, int fd) {
        return notify_until(state, fd, time_after(LUO_NOTIFY_TIMEOUT_USEC));
}

/* Returns the end of a pipe that is to be polled: the service manager closes its end when everything before is done. */
static int send_barrier(uint64_t until) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return LUO_CLOSED_SET(-errno, EMFILE, ENFILE, ENOMEM);

        r = notify_until("BARRIER=1", fds[1], until);
        close_fd(fds[1]);
        if (r < 0) {
                close_fd(fds[0]);
                return r;
        }

        return fds[0];
}

int libluo_internal_notify_barrier_fd(uint64_t timeout_usec) {
        return send_barrier(time_after(timeout_usec));
}

int libluo_internal_notify_barrier(uint64_t timeout_usec) {
        uint64_t until = time_after(timeout_usec), left;
        struct pollfd p = {};
        int n, r = 0;

        p.fd = send_barrier(until);
        if (p.fd < 0)
                return p.fd;

        do {
                bool more = time_left(until, &left);

                /* Rounded up. Longer waits go in steps, poll(2) takes an int. Without time left it is looked once. */
                if (left > 3600 * USEC_PER_SEC)
                        left = 3600 * USEC_PER_SEC;
                n = poll(&p, 1, (int) ((left + 999) / 1000));
                if (n < 0 && errno != EINTR)
                        r = -ENOMEM;
                else if (n <= 0 && !more)
                        r = -ETIMEDOUT;
        } while (n <= 0 && r == 0);

        close_fd(p.fd);
        return r;
}

/* No name that an entry can have */
#define ASK_NAME "libluo~room"

/* How long systemd may take to close what it has refused, which it does in a process of its own */
#define CLOSE_USEC (USEC_PER_SEC / 20)

/*
 * What the service manager refuses it refuses without a word, but it closes it, and the other end of a pipe tells. Once
 * that end is closed it drops what it has taken, too, whatever becomes of this process.
 */
int libluo_internal_notify_ask_room(void) {
        uint64_t until, left;
        struct pollfd p = {};
        int fds[2], n, r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return LUO_CLOSED_SET(-errno, EMFILE, ENFILE, ENOMEM);

        r = libluo_internal_notify("FDSTORE=1\nFDNAME=" ASK_NAME, fds[1]);
        close_fd(fds[1]);
        if (r >= 0)
                r = libluo_internal_notify_barrier(LUO_NOTIFY_TIMEOUT_USEC);
        if (r >= 0) {
                p.fd = fds[0];
                until = time_after(CLOSE_USEC);
                do {
                        (void) time_left(until, &left);
                        n = poll(&p, 1, (int) ((left + 999) / 1000));
                } while (n < 0 && errno == EINTR);

                r = n > 0 ? -ENOBUFS : libluo_internal_notify("FDSTOREREMOVE=1\nFDNAME=" ASK_NAME, -1);
        }

        close_fd(fds[0]);
        return r;
}

LIBLUO_PUBLIC int libluo_notify(const char *state) {
        if (!state || !*state)
                return -EINVAL;

        return libluo_internal_notify(state, -1);
}
