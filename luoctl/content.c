/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <unistd.h>

#include "content.h"

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

int copy_content(int from_fd, int to_fd, uint64_t maximum) {
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
