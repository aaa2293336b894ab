/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The reader of the service manager's replies, fed with anything: the first byte is the number of file descriptors that
 * come with it, the second one where it is cut in two. Either one of these is returned or an error that is documented,
 * and the others are closed.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "fuzz.h"
#include "internal.h"

enum { HEAD = 2, FDS_MAX = 8 };

static const int errors[] = { ENOENT, EEXIST, ENOSPC, EBUSY, EINVAL, EACCES, EOPNOTSUPP, ECOMM, EMFILE,
        ENOMEM, EPROTO, ETIMEDOUT };

static bool is_documented(int r) {
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
                if (r == -errors[i])
                        return true;
        return false;
}

static void send_piece(int fd, const uint8_t *data, size_t size, size_t n_fds) {
        union {
                struct cmsghdr header;
                uint8_t buffer[CMSG_SPACE(sizeof(int) * FDS_MAX)];
        } control = {};
        struct msghdr message = {
                .msg_iov = &(struct iovec) { (void *) data, size },
                .msg_iovlen = 1,
        };
        int passed[FDS_MAX];

        if (size == 0)
                return;
        if (n_fds > 0) {
                for (size_t i = 0; i < n_fds; i++)
                        passed[i] = STDIN_FILENO;
                control.header = (struct cmsghdr) {
                        .cmsg_len = CMSG_LEN(sizeof(int) * n_fds),
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                };
                memcpy(CMSG_DATA(&control.header), passed, sizeof(int) * n_fds);
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        }
        REQUIRE(sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t) size);
}

/* The lowest number that is free: those below it are open */
static int next_fd(void) {
        int fd = dup(STDIN_FILENO);

        REQUIRE(fd >= 0 && close(fd) == 0);
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static char buffer[LUO_MANAGER_REPLY_MAX];
        size_t n_fds, cut;
        int fds[2], before, r;

        /* All of it has to have room in the socket */
        if (size < HEAD || size > (size_t) 2 * LUO_MANAGER_REPLY_MAX)
                return 0;
        n_fds = data[0] % (FDS_MAX + 1);
        size -= HEAD;
        cut = size * data[1] / UINT8_MAX;

        before = next_fd();
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        send_piece(fds[1], data + HEAD, cut, n_fds / 2);
        send_piece(fds[1], data + HEAD + cut, size - cut, n_fds - n_fds / 2);
        REQUIRE(shutdown(fds[1], SHUT_WR) == 0);

        r = libluo_internal_manager_receive(fds[0], buffer);
        if (r >= 0)
                REQUIRE(fcntl(r, F_GETFD) == FD_CLOEXEC && close(r) == 0);
        else
                REQUIRE(is_documented(r));
        REQUIRE(close(fds[0]) == 0 && close(fds[1]) == 0);
        REQUIRE(next_fd() == before);
        return 0;
}
