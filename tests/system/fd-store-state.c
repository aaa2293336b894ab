/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Kinds of fd-store-service with one file and one property of it. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd-store-service.h"

void run_read_only(char *arguments[] __attribute__((unused))) {
        char path[64];
        int fd;

        if (generation == 0) {
                (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", new_memfd(0));
                if (!store(open(path, O_RDONLY | O_CLOEXEC), "read-only"))
                        WRONG("cannot store");
        } else {
                fd = passed_fd("read-only");
                if (fd < 0 || !has_content(fd, 0, 0))
                        WRONG("LOST");
                if (pwrite(fd, "x", 1, 0) >= 0)
                        WRONG("read-write, a write succeeds");
                if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
                        WRONG("read-write");
        }

        report("verified 1 fds");
}

void run_owner(char *arguments[] __attribute__((unused))) {
        struct stat st;
        int fd;

        if (generation == 0) {
                fd = new_memfd(0);
                if (fchown(fd, 1000, 1000) < 0 || fchmod(fd, 0600) < 0 || !store(fd, "owned"))
                        WRONG("cannot store");
        } else {
                fd = passed_fd("owned");
                if (fd < 0 || !has_content(fd, 0, generation - 1) || fstat(fd, &st) < 0)
                        WRONG("LOST");
                if ((st.st_mode & 07777) != 0600 || st.st_uid != 1000 || st.st_gid != 1000)
                        WRONG("%04o, %i:%i", st.st_mode & 07777, (int) st.st_uid, (int) st.st_gid);
                if (!write_content(fd, 0))
                        WRONG("cannot write");
        }

        report("verified 1 fds");
}

/* Nobody can poll a memfd: whether the flag is kept shows in what PID 1 hands on only. */
void run_unpolled(char *arguments[] __attribute__((unused))) {
        int fd;

        if (generation == 0) {
                if (!store_unpolled(new_memfd(0), "unpolled"))
                        WRONG("cannot store");
        } else {
                fd = passed_fd("unpolled");
                if (fd < 0 || !has_content(fd, 0, generation - 1))
                        WRONG("LOST");
                if (!write_content(fd, 0))
                        WRONG("cannot write");
        }

        report("verified 1 fds");
}

static uint64_t page_content(size_t page, int of_generation) {
        return (uint64_t) page << 16 | (uint64_t) (of_generation + 1);
}

void run_memory(char *arguments[]) {
        size_t page_size = (size_t) sysconf(_SC_PAGESIZE), size = strtoul(arguments[0], NULL, 10) << 20;
        struct stat st;
        char *p;
        int fd;

        if (generation == 0) {
                fd = memfd_create("memory", MFD_CLOEXEC);
                if (fd < 0 || ftruncate(fd, (off_t) size) < 0)
                        WRONG("cannot create a memfd of %s MiB", arguments[0]);
        } else {
                fd = passed_fd("memory");
                if (fd < 0)
                        WRONG("LOST");
                if (n_passed_fds != 1)
                        WRONG("got %i fds, not 1", n_passed_fds);
                if (fstat(fd, &st) < 0 || (size_t) st.st_size != size)
                        WRONG("another size");
        }

        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
                WRONG("cannot map");
        for (size_t i = 0; i < size / page_size; i++) {
                uint64_t *word = (uint64_t *) (void *) (p + i * page_size);

                if (generation > 0 && *word != page_content(i, generation - 1))
                        WRONG("page %zu has another content", i);
                *word = page_content(i, generation);
        }
        (void) munmap(p, size);

        if (generation == 0 && !store(fd, "memory"))
                WRONG("cannot store");

        report("verified %s MiB", arguments[0]);
}

void run_sparse(char *arguments[]) {
        off_t size = (off_t) strtoul(arguments[0], NULL, 10) << 20;
        uint64_t word = 0;
        struct stat st;
        int fd;

        if (generation == 0) {
                fd = memfd_create("sparse", MFD_CLOEXEC);
                word = page_content(0, 0);
                if (fd < 0 || ftruncate(fd, size) < 0 || pwrite(fd, &word, sizeof(word), 0) != sizeof(word) ||
                        pwrite(fd, &word, sizeof(word), size - (off_t) sizeof(word)) != sizeof(word) ||
                        !store(fd, "sparse"))
                        WRONG("cannot store");
        } else {
                fd = passed_fd("sparse");
                if (fd < 0 || pread(fd, &word, sizeof(word), size - (off_t) sizeof(word)) != sizeof(word) ||
                        word != page_content(0, 0))
                        WRONG("LOST");
                /* Two pages have something in them; the kernel may have taken large ones for these */
                if (fstat(fd, &st) < 0 || st.st_blocks * 512 > 8 << 20)
                        WRONG("%" PRIu64 " MiB in memory", (uint64_t) st.st_blocks * 512 >> 20);
        }

        report("verified %s MiB", arguments[0]);
}
