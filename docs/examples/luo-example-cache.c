/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A cache that takes long to fill: 32 MiB of computed data in a memfd. Once filled, only a read-only file descriptor
 * of it goes into the fd store, so that nobody who gets it back can spoil it.
 *
 *   luo-example-cache serve
 *   luo-example-cache fill SEED | status
 *
 * The unit needs FileDescriptorStoreMax=1 and FileDescriptorStorePreserve=yes.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include <systemd/sd-daemon.h>

#include "line-server.h"

#define CACHE_SIZE ((size_t) 32 << 20)

static int cache_fd = -1; /* read-only */

static int fill(uint64_t seed) {
        int fd, read_only_fd;
        char path[64];
        uint64_t *data;

        fd = memfd_create("cache", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, (off_t) CACHE_SIZE) < 0)
                return -errno;

        data = mmap(NULL, CACHE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
                return -errno;

        /* xorshift64 stands for something that takes long */
        if (seed == 0)
                seed = 1;
        for (size_t i = 0; i < CACHE_SIZE / sizeof(*data); i++) {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                data[i] = seed;
        }
        (void) munmap(data, CACHE_SIZE);

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        read_only_fd = open(path, O_RDONLY | O_CLOEXEC);
        (void) close(fd);
        if (read_only_fd < 0)
                return -errno;

        /* The old content goes first: both have the same name */
        if (sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=cache") <= 0 ||
                sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=cache", &read_only_fd, 1) <= 0 ||
                sd_notify_barrier(0, UINT64_C(5000000)) <= 0) {
                (void) close(read_only_fd);
                return -EIO;
        }

        if (cache_fd >= 0)
                (void) close(cache_fd);
        cache_fd = read_only_fd;
        return 0;
}

static void status(char *answer, size_t answer_size) {
        const char *access;
        void *data;
        int flags;

        if (cache_fd < 0) {
                (void) snprintf(answer, answer_size, "fds=0 bytes=0 digest=0 content=empty");
                return;
        }

        data = mmap(NULL, CACHE_SIZE, PROT_READ, MAP_SHARED, cache_fd, 0);
        flags = fcntl(cache_fd, F_GETFL);
        if (data == MAP_FAILED || flags < 0) {
                (void) snprintf(answer, answer_size, "error: %s", strerror(errno));
                return;
        }

        access = (flags & O_ACCMODE) == O_RDONLY ? "read-only" : "WRITABLE";
        (void) snprintf(answer, answer_size, "fds=1 bytes=%zu digest=%016" PRIx64 " content=%s", CACHE_SIZE,
                digest_add(0, data, CACHE_SIZE), access);
        (void) munmap(data, CACHE_SIZE);
}

static void handle(char *request, char *answer, size_t answer_size) {
        char *verb;

        verb = strsep(&request, " ");
        if (strcmp(verb, "status") == 0)
                status(answer, answer_size);
        else if (strcmp(verb, "fill") == 0 && request) {
                int r = fill(strtoull(request, NULL, 0));

                (void) snprintf(
                        answer, answer_size, "%s%s", r < 0 ? "error: " : "ok", r < 0 ? strerror(-r) : "");
        } else
                (void) snprintf(answer, answer_size, "error: unknown request");
}

static int take_cache(void) {
        char **names = NULL;
        struct stat st;
        int n;

        n = sd_listen_fds_with_names(/* unset_environment= */ 1, &names);
        for (int i = 0; i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;

                if (strcmp(names[i], "cache") == 0 && fstat(fd, &st) >= 0 &&
                        (size_t) st.st_size == CACHE_SIZE)
                        cache_fd = fd;
                free(names[i]);
        }
        free(names);
        return 0;
}

int main(int argc, char *argv[]) {
        return line_main(argc, argv, "luo-example-cache", "fill SEED | status", take_cache, handle);
}
