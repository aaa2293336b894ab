/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "test.h"

/* A service manager: a socket that nobody reads, which is as good as one that somebody does. Returns it. */
static inline int start_manager(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "@libluo-test-%i", (int) getpid());
        memcpy(address.sun_path + 1, path + 1, strlen(path) - 1);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        REQUIRE(fd >= 0);
        REQUIRE(bind(fd, (struct sockaddr *) &address,
                        (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path))) == 0);
        REQUIRE(setenv("NOTIFY_SOCKET", path, 1) == 0);
        return fd;
}
