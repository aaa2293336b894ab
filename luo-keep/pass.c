/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "keep.h"

/* What has this name in $LISTEN_FDNAMES: by the name alone, whatever the store has made of it. */
static bool is_own(const struct arguments *arguments, const char *fdname) {
        uint64_t generation;
        size_t length = libluo_internal_parse_generation(fdname, &generation);

        for (size_t i = 0; i < arguments->n_memories; i++)
                if (strlen(arguments->memories[i].name) == length &&
                        memcmp(arguments->memories[i].name, fdname, length) == 0)
                        return true;
        for (size_t i = 0; i < arguments->n_files; i++)
                if (strlen(arguments->files[i].name) == length &&
                        memcmp(arguments->files[i].name, fdname, length) == 0)
                        return true;

        return false;
}

/* A duplicate that is not in the way of those that are passed on. Returns 0 or a negative errno. */
static int take(struct passed *passed, int fd, int lowest_fd) {
        int *larger;

        larger = reallocarray(passed->fds, passed->n + 1, sizeof(int));
        if (!larger)
                return -ENOMEM;
        passed->fds = larger;

        fd = fcntl(fd, F_DUPFD_CLOEXEC, lowest_fd);
        if (fd < 0)
                return errno == EINVAL ? -EMFILE : -errno; /* EINVAL: that number is over the limit */

        passed->fds[passed->n++] = fd;
        return 0;
}

/* Takes those that are not luo-keep's. Returns 0 or a negative errno. */
static int take_all(
        const struct arguments *arguments, struct passed *passed, uint64_t n_fds, FILE *names_file) {
        int lowest_fd = FIRST_PASSED_FD + (int) n_fds + (int) arguments->n_memories;
        const char *names = getenv("LISTEN_FDNAMES");

        for (int i = 0; i < (int) n_fds; i++) {
                char *name = names ? strndup(names, strcspn(names, ":"))
                                   : strdup("unknown"); /* as libsystemd does */
                bool own;
                int r;

                if (!name)
                        return -ENOMEM;
                own = is_own(arguments, name);
                if (!own)
                        fprintf(names_file, "%s%s", passed->n > 0 ? ":" : "", name);
                free(name);

                r = own ? 0 : take(passed, FIRST_PASSED_FD + i, lowest_fd);
                if (r < 0)
                        return r;

                /* Too few names libluo_store_open() tells */
                if (names) {
                        names += strcspn(names, ":");
                        names += *names == ':';
                }
        }

        return 0;
}

int pass_take(const struct arguments *arguments, struct passed *passed) {
        uint64_t n_fds;
        size_t size;
        FILE *f;
        int r;

        r = libluo_internal_count_passed(&n_fds);
        for (uint64_t i = 0; r >= 0 && i < n_fds; i++)
                if (fcntl(FIRST_PASSED_FD + (int) i, F_GETFD) < 0)
                        r = -EBADR;
        if (r < 0)
                return fail("the fd store: %s", libluo_strerror(r));

        f = open_memstream(&passed->names, &size);
        r = f ? take_all(arguments, passed, n_fds, f) : -ENOMEM;
        if (f && fclose(f) != 0)
                r = -ENOMEM;
        return r < 0 ? fail("cannot pass on the file descriptors: %s", strerror(-r)) : 0;
}

void pass_done(struct passed *passed) {
        for (size_t i = 0; i < passed->n; i++)
                close_fd(passed->fds[i]);
        free(passed->fds);
        free(passed->names);
}

static int set_number(const char *variable, uint64_t value) {
        char number[32];

        (void) snprintf(number, sizeof(number), "%" PRIu64, value);
        return setenv(variable, number, 1) < 0 ? -errno : 0;
}

/* The program is to know of the room that luo-keep leaves it. */
static int set_room(const struct arguments *arguments) {
        uint64_t n_own = arguments->n_memories + arguments->n_files, maximum;

        if (!libluo_internal_number_from_environment("FDSTORE", &maximum))
                return 0;

        return set_number("FDSTORE", maximum > n_own ? maximum - n_own : 0);
}

/* Sockets and what the program has stored itself. LISTEN_PID remains: execve(2) does not change who this is. */
static int set_environment(const struct arguments *arguments, const struct passed *passed) {
        int r;

        if (passed->n == 0) {
                (void) unsetenv("LISTEN_PID");
                (void) unsetenv("LISTEN_PIDFDID");
                (void) unsetenv("LISTEN_FDS");
                (void) unsetenv("LISTEN_FDNAMES");
        } else {
                r = set_number("LISTEN_FDS", passed->n);
                if (r >= 0 && setenv("LISTEN_FDNAMES", passed->names, 1) < 0)
                        r = -errno;
                if (r < 0)
                        return r;
        }

        return set_room(arguments);
}

int pass_on(const struct arguments *arguments, const struct passed *passed) {
        size_t n = passed->n + arguments->n_memories;
        int end = FIRST_PASSED_FD + (int) n, *fds, r = 0;

        fds = calloc(n + 1, sizeof(int));
        if (!fds)
                return fail("%s", strerror(ENOMEM));

        /* Out of the way first: each may have a number that another one is to get */
        for (size_t i = 0; i < n; i++)
                if (i < passed->n)
                        fds[i] = passed->fds[i];
                else {
                        fds[i] = fcntl(arguments->memories[i - passed->n].fd, F_DUPFD_CLOEXEC, end);
                        if (fds[i] < 0)
                                r = -errno;
                }

        if (r >= 0)
                r = set_environment(arguments, passed);
        for (size_t i = 0; i < n && r >= 0; i++)
                if (dup2(fds[i], FIRST_PASSED_FD + (int) i) < 0)
                        r = -errno;

        free(fds);
        return r < 0 ? fail("cannot pass on the file descriptors: %s", strerror(-r)) : 0;
}

int pass_check(void) {
        const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");

        if (fds && pid && atoll(pid) != getpid())
                return fail("what the service manager has passed is for process %s, and this is another one: "
                            "start luo-keep with exec",
                        pid);
        return 0;
}
