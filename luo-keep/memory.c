/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "internal.h"
#include "keep.h"

/*
 * A link to a file descriptor of whoever opens it: the program, and those of its children that inherit it. With the
 * process's id in it, it would lead to another process's file one day.
 */
#define LINK_PREFIX "/proc/self/fd/"

static int check_link(const struct memory *memory) {
        char target[sizeof(LINK_PREFIX)];
        struct stat st;
        ssize_t n;

        if (lstat(memory->path, &st) < 0)
                return errno == ENOENT ? 0 : fail("%s: %s", memory->path, strerror(errno));

        n = S_ISLNK(st.st_mode) ? readlink(memory->path, target, sizeof(target)) : 0;
        if (n < (ssize_t) strlen(LINK_PREFIX) || memcmp(target, LINK_PREFIX, strlen(LINK_PREFIX)) != 0)
                return fail("%s exists, and is not a link to a memory", memory->path);
        return 0;
}

/* Rights are not raised, and what cannot be resized or written would fail in the program, or after the next kexec. */
static int check_stored(const struct memory *memory, int fd) {
        const int unwanted = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
        libluo_preflight preflight;
        int r, seals;

        r = libluo_fd_preflight(fd, &preflight, sizeof(preflight));
        if (r < 0)
                return fail_store(memory->name, r);
        if (preflight.verdict != LIBLUO_VERDICT_FINE && preflight.verdict != LIBLUO_VERDICT_HOLES)
                return fail("what the fd store has as \"%s\" cannot be kept: %s", memory->name,
                        libluo_verdict_to_string(preflight.verdict));

        seals = fcntl(fd, F_GET_SEALS);
        if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR || (seals >= 0 && seals & unwanted) ||
                preflight.losses & LIBLUO_LOSS_WRITING)
                return fail("what the fd store has as \"%s\" is not for being written", memory->name);
        return 0;
}

int memory_check(const libluo_store *store, struct memory *memory) {
        int r;

        r = check_link(memory);
        if (r != 0)
                return r;

        memory->fd = libluo_store_get_fd(store, memory->name, 0);
        if (memory->fd == -ENOENT)
                return 0;
        return memory->fd < 0 ? fail_store(memory->name, memory->fd) : check_stored(memory, memory->fd);
}

bool memory_is_used(const struct memory *memory) {
        struct stat st;

        return memory->fd >= 0 && fstat(memory->fd, &st) >= 0 && st.st_blocks > 0;
}

static int make(libluo_store *store, struct memory *memory) {
        int r;

        memory->fd = libluo_memfd_new(memory->name, memory->size, 0);
        if (memory->fd < 0)
                return fail("cannot make the memory \"%s\": %s", memory->name, libluo_strerror(memory->fd));

        /* Where it is not a memfd it is for its owner alone, who the program may not be for long (setuid(2)) */
        if (fchmod(memory->fd, 0666) < 0)
                return fail("cannot make the memory \"%s\": %s", memory->name, strerror(errno));

        r = libluo_store_put_fd(store, memory->name, memory->fd, 0);
        return r < 0 ? fail_store(memory->name, r) : 0;
}

static int resize(const struct memory *memory) {
        struct stat st;

        if (fstat(memory->fd, &st) < 0)
                return fail("the memory \"%s\": %s", memory->name, strerror(errno));

        if ((uint64_t) st.st_size < memory->size && ftruncate(memory->fd, (off_t) memory->size) < 0)
                return fail("cannot make the memory \"%s\" larger, to %" PRIu64 " bytes: %s", memory->name,
                        memory->size, strerror(errno));
        if (memory->size > 0 && (uint64_t) st.st_size > memory->size)
                fprintf(stderr,
                        "luo-keep: the memory \"%s\" has %ju bytes, more than the %" PRIu64
                        " that are asked for; it stays as it is, as nobody else knows what is in it.\n",
                        memory->name, (uintmax_t) st.st_size, memory->size);
        return 0;
}

int memory_reserve(libluo_store *store, struct memory *memory) {
        return memory->fd < 0 ? make(store, memory) : 0;
}

int memory_provide(const struct memory *memory) {
        char path[64];
        int fd, r;

        r = resize(memory);
        if (r != 0)
                return r;

        /* As the program is going to open it */
        (void) snprintf(path, sizeof(path), LINK_PREFIX "%i", memory->fd);
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return fail("the memory \"%s\" cannot be opened by %s: %s", memory->name, LINK_PREFIX,
                        strerror(errno));
        close_fd(fd);
        return 0;
}

int memory_link(const struct memory *memory, int program_fd) {
        char target[64], *new_path;
        int r;

        new_path = path_with(memory->path, ".luo-keep");
        if (!new_path)
                return EXIT_NOT_KEPT;

        (void) snprintf(target, sizeof(target), LINK_PREFIX "%i", program_fd);
        (void) unlink(new_path);
        if (symlink(target, new_path) < 0)
                r = fail("cannot make the link %s: %s", memory->path, strerror(errno));
        else
                r = move_into_place(new_path, memory->path);

        free(new_path);
        return r;
}
