/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <libluo.h>

#include "content.h"
#include "luoctl.h"

static int write_all(int fd, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n;

                n = write(fd, data, size);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                data += n;
                size -= (size_t) n;
        }

        return 0;
}

static int copy_up_to(int from_fd, int to_fd, uint64_t maximum) {
        static char buffer[64 * 1024];
        uint64_t total = 0;

        for (;;) {
                ssize_t n;
                int r;

                n = read(from_fd, buffer, sizeof(buffer));
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        return 0;

                total += (uint64_t) n;
                if (total > maximum)
                        return -EFBIG;

                r = write_all(to_fd, buffer, (size_t) n);
                if (r < 0)
                        return r;
        }
}

int copy_content(int from_fd, int to_fd, uint64_t maximum) {
        struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
        int r;

        /* A limit of file sizes is an error here, and not the end */
        (void) sigaction(SIGXFSZ, &ignore, &before);
        r = copy_up_to(from_fd, to_fd, maximum);
        (void) sigaction(SIGXFSZ, &before, NULL);
        return r;
}

int content_to_memfd(int from_fd, const char *name) {
        struct stat st;
        int fd, r;

        if (fstat(from_fd, &st) < 0)
                return -errno;

        fd = libluo_memfd_new(name, 0, 0);
        if (fd < 0)
                return fd;

        r = copy_content(from_fd, fd, UINT64_MAX);
        if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        if (r >= 0 && fchmod(fd, S_ISREG(st.st_mode) ? st.st_mode & 0777 : 0600) < 0)
                r = -errno;
        if (r < 0) {
                (void) close(fd);
                return r;
        }

        return fd;
}

/* Another offset than that of the open file, which others may have, too */
static int open_from_start(int fd) {
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        r = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (r < 0)
                /* Not to be taken for: nothing is kept */
                return errno == ENOENT ? -ENOSYS : -errno;
        return r;
}

int content_print(int fd, const char *output) {
        bool to_stdout = !output || strcmp(output, "-") == 0;
        int from_fd, to_fd = STDOUT_FILENO, r;

        from_fd = open_from_start(fd);
        if (from_fd < 0)
                return fail(from_fd, "cannot read the content: %s",
                        from_fd == -ENOSYS ? libluo_strerror(from_fd) : strerror(-from_fd));

        if (!to_stdout) {
                to_fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
                if (to_fd < 0) {
                        r = errno;
                        (void) close(from_fd);
                        return fail(-EIO, "%s: %s", output,
                                strerror(r)); /* not to be taken for: nothing is kept */
                }
        }

        r = copy_content(from_fd, to_fd, UINT64_MAX);
        (void) close(from_fd);
        if (!to_stdout && close(to_fd) < 0 && r >= 0)
                r = -errno;

        return r < 0 ? fail(r, "cannot write to %s: %s", to_stdout ? "stdout" : output, strerror(-r))
                     : EXIT_SUCCESS;
}
