/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/stat.h>
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

/* The service manager may be slow: waits until it has read so much that there is room for a message. */
static int send_until(int socket_fd, const struct msghdr *message, uint64_t until) {
        bool wait = false;
        uint64_t left;

        while (sendmsg(socket_fd, message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) < 0) {
                struct timeval limit;

                wait = errno == EAGAIN;
                if (errno == EINTR)
                        continue;
                if (errno != EAGAIN && errno != ETOOMANYREFS)
                        return errno == EBADF || errno == ENOMEM ? -errno : -ECOMM;
                if (!time_left(until, &left))
                        return -ETIMEDOUT;

                /* All processes of a user may have so many fds on their way: that these are fewer nobody tells */
                if (!wait) {
                        (void) poll(NULL, 0, 10);
                        continue;
                }

                /* Whether there is room cannot be polled for without a connection: have the kernel wait */
                if (left > 3600 * USEC_PER_SEC)
                        left = 3600 * USEC_PER_SEC;
                limit = (struct timeval) {
                        .tv_sec = (time_t) (left / USEC_PER_SEC),
                        .tv_usec = (suseconds_t) (left % USEC_PER_SEC),
                };
                if (setsockopt(socket_fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                        return -EPROTO;
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

/* Waits until the other end of one of the pipes is closed, or until a time: then once more without waiting. */
static int wait_any_closed(struct pollfd *pipes, size_t n_pipes, uint64_t until) {
        uint64_t left;
        int n;

        for (;;) {
                bool more = time_left(until, &left);

                /* Rounded up. Longer waits go in steps, poll(2) takes an int. */
                if (left > 3600 * USEC_PER_SEC)
                        left = 3600 * USEC_PER_SEC;
                n = poll(pipes, n_pipes, (int) ((left + 999) / 1000));
                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return -ENOMEM;
                if (!more)
                        return -ETIMEDOUT;
        }
}

static int wait_closed(int fd, uint64_t until) {
        return wait_any_closed(&(struct pollfd) { .fd = fd }, 1, until);
}

int libluo_internal_notify_barrier(uint64_t timeout_usec) {
        uint64_t until = time_after(timeout_usec);
        int fd, r;

        fd = send_barrier(until);
        if (fd < 0)
                return fd;

        r = wait_closed(fd, until);
        close_fd(fd);
        return r;
}

/*
 * Stores the end of a new pipe under a name that no entry can have; *ret_fd is the other one. If this process dies, the
 * pipe does, and systemd drops it.
 */
static int store_pipe(char *name, size_t name_size, int *ret_fd) {
        char message[64];
        struct stat st;
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return LUO_CLOSED_SET(-errno, EMFILE, ENFILE, ENOMEM);

        /* Named after the first one. Others may ask at the same time: an inode's number is in use once. */
        r = *name || fstat(fds[1], &st) >= 0 ? 0 : -ENOMEM;
        if (r >= 0 && !*name)
                (void) snprintf(name, name_size, "libluo~room%ju", (uintmax_t) st.st_ino);
        if (r >= 0) {
                (void) snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s", name);
                r = libluo_internal_notify(message, fds[1]);
        }
        close_fd(fds[1]);
        if (r < 0) {
                close_fd(fds[0]);
                return r;
        }

        *ret_fd = fds[0];
        return 0;
}

/*
 * Stores the ends of n pipes, and removes them. Returns 1 if one was closed within wait_usec, and so was refused, 0 if
 * none was, and how long the service manager was busy with them.
 */
static int ask_once(struct pollfd *pipes, size_t n, uint64_t wait_usec, uint64_t *ret_took_usec) {
        uint64_t start = now_usec(), waited;
        char name[32] = "", message[64];
        size_t n_stored = 0;
        int r, refused;

        for (; n_stored < n; n_stored++) {
                r = store_pipe(name, sizeof(name), &pipes[n_stored].fd);
                if (r < 0)
                        goto finish;
        }
        r = libluo_internal_notify_barrier(LUO_NOTIFY_TIMEOUT_USEC);
        if (r < 0)
                goto finish;

        waited = now_usec();
        r = wait_any_closed(pipes, n, time_after(wait_usec));
        if (r < 0 && r != -ETIMEDOUT)
                goto finish;
        refused = r == 0;
        waited = now_usec() - waited;

        (void) snprintf(message, sizeof(message), "FDSTOREREMOVE=1\nFDNAME=%s", name);
        r = libluo_internal_notify(message, -1);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = wait_closed(pipes[i].fd, time_after(LUO_NOTIFY_TIMEOUT_USEC));
        if (r < 0)
                goto finish;

        *ret_took_usec = now_usec() - start - waited;
        r = refused;

finish:
        while (n_stored > 0)
                close_fd(pipes[--n_stored].fd);
        return r;
}

/*
 * What the service manager refuses it refuses without a word, but it closes it, in a process of its own: when that
 * process gets to run nobody can tell. So it is waited for several times as long as it has just taken.
 */
int libluo_internal_notify_ask_room(size_t n) {
        uint64_t wait = USEC_PER_SEC / 20, took;
        struct pollfd *pipes;
        int r;

        pipes = calloc(n, sizeof(*pipes));
        if (!pipes)
                return -ENOMEM;

        /* It has just been seen how long is long enough */
        while ((r = ask_once(pipes, n, wait, &took)) == 0 && wait < took * 2)
                wait = took * 5;

        free(pipes);
        return r > 0 ? -ENOBUFS : r;
}

LIBLUO_PUBLIC int libluo_notify(const char *state) {
        if (!state || !*state)
                return -EINVAL;

        return libluo_internal_notify(state, -1);
}
