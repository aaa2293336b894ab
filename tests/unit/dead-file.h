/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A file on a server that does not answer: a FUSE file system of this process's own, whose server gets its root
 * opened and then nothing any more. Who asks such a file something waits until he is killed.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "test.h"

static inline void answer_fuse(int fd, uint64_t unique, const void *data, size_t size) {
        uint8_t buffer[sizeof(struct fuse_out_header) + 256];
        struct fuse_out_header header = { .len = (uint32_t) (sizeof(header) + size), .unique = unique };

        memcpy(buffer, &header, sizeof(header));
        memcpy(buffer + sizeof(header), data, size);
        REQUIRE(write(fd, buffer, header.len) == (ssize_t) header.len);
}

static inline void serve_until_opened(int fd) {
        static uint8_t buffer[1 << 17];

        for (;;) {
                const struct fuse_in_header *request = (const struct fuse_in_header *) buffer;
                const struct fuse_init_in *init = (const struct fuse_init_in *) (request + 1);

                REQUIRE(read(fd, buffer, sizeof(buffer)) > 0);
                if (request->opcode == FUSE_INIT)
                        answer_fuse(fd, request->unique,
                                &(struct fuse_init_out) {
                                        .major = init->major, .minor = init->minor, .max_write = 4096 },
                                sizeof(struct fuse_init_out));
                else if (request->opcode == FUSE_OPENDIR) {
                        answer_fuse(fd, request->unique, &(struct fuse_open_out) {},
                                sizeof(struct fuse_open_out));
                        for (;;)
                                pause();
                }
        }
}

/* Returns a file descriptor, or -1 where this process may have no such file, and the server, to be ended. */
static inline int open_dead_file(pid_t *ret_server) {
        char folder[] = "/tmp/test-dead-file-XXXXXX", options[128];
        int fuse_fd, fd;

        fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (fuse_fd < 0 || unshare(CLONE_NEWNS) < 0 ||
                mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 || !mkdtemp(folder)) {
                printf("# no FUSE: %s\n", strerror(errno));
                return -1;
        }

        (void) snprintf(options, sizeof(options), "fd=%i,rootmode=40000,user_id=%u,group_id=%u", fuse_fd,
                (unsigned) geteuid(), (unsigned) getegid());
        if (mount("test", folder, "fuse", 0, options) < 0) {
                printf("# no FUSE: %s\n", strerror(errno));
                (void) rmdir(folder);
                return -1;
        }

        fflush(stdout);
        *ret_server = fork();
        REQUIRE(*ret_server >= 0);
        if (*ret_server == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                serve_until_opened(fuse_fd);
                _exit(1);
        }
        (void) close(fuse_fd);

        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        REQUIRE(fd >= 0);
        REQUIRE(umount2(folder, MNT_DETACH) == 0);
        REQUIRE(rmdir(folder) == 0);

        /* Rather the end of the test than no end */
        (void) alarm(60);
        return fd;
}

static inline void end_dead_file(int fd, pid_t server) {
        (void) alarm(0);
        REQUIRE(kill(server, SIGKILL) == 0 && waitpid(server, NULL, 0) == server);
        (void) close(fd);
}
