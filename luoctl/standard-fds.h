/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/*
 * What is closed of stdin, stdout and stderr is taken, so that no other file gets to be there, and messages into it. To
 * read or write it fails as before, and a program that is executed has it closed. Returns 0 or a negative errno.
 */
static inline int occupy_standard_fds(void) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_PATH | O_CLOEXEC) < 0)
                        return -errno;

        return 0;
}
