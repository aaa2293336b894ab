/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keep.h"

static bool is_own(const struct arguments *arguments, const char *name) {
        for (size_t i = 0; i < arguments->n_memories; i++)
                if (strcmp(arguments->memories[i].name, name) == 0)
                        return true;
        for (size_t i = 0; i < arguments->n_files; i++)
                if (strcmp(arguments->files[i].name, name) == 0)
                        return true;

        return false;
}

/* The next entry for the program from *i on. */
static bool next_passed(
        const libluo_store *store, const struct arguments *arguments, size_t *i, libluo_store_entry *ret) {

        while (libluo_store_get_entry(store, (*i)++, ret, sizeof(*ret)) >= 0)
                if (!is_own(arguments, ret->name))
                        return true;

        return false;
}

size_t pass_count(const libluo_store *store, const struct arguments *arguments) {
        libluo_store_entry entry;
        size_t n = 0;

        for (size_t i = 0; next_passed(store, arguments, &i, &entry);)
                n++;
        return n;
}

/* Sockets and what the program has stored itself. LISTEN_PID remains: execve(2) does not change who this is. */
static int set_environment(const libluo_store *store, const struct arguments *arguments, size_t n_passed) {
        const char *separator = "";
        char number[32], *names = NULL;
        libluo_store_entry entry;
        size_t size;
        FILE *f;
        int r;

        if (n_passed == 0) {
                (void) unsetenv("LISTEN_PID");
                (void) unsetenv("LISTEN_PIDFDID");
                (void) unsetenv("LISTEN_FDS");
                (void) unsetenv("LISTEN_FDNAMES");
                return 0;
        }

        f = open_memstream(&names, &size);
        if (!f)
                return -ENOMEM;
        for (size_t i = 0; next_passed(store, arguments, &i, &entry);) {
                fprintf(f, "%s%s", separator, entry.name);
                separator = ":";
        }
        if (fclose(f) != 0) {
                free(names);
                return -ENOMEM;
        }

        (void) snprintf(number, sizeof(number), "%zu", n_passed);
        r = setenv("LISTEN_FDS", number, 1) < 0 || setenv("LISTEN_FDNAMES", names, 1) < 0 ? -errno : 0;
        free(names);
        return r;
}

int pass_on(const libluo_store *store, const struct arguments *arguments) {
        size_t n_passed = pass_count(store, arguments), n = n_passed + arguments->n_memories, done = 0;
        int end = FIRST_PASSED_FD + (int) n, *fds, r = 0;
        libluo_store_entry entry;

        fds = calloc(n + 1, sizeof(int));
        if (!fds)
                return fail("%s", strerror(ENOMEM));

        /* Out of the way first: each may have a number that another one is to get */
        for (size_t i = 0; next_passed(store, arguments, &i, &entry); done++) {
                fds[done] = fcntl(entry.fd, F_DUPFD_CLOEXEC, end);
                if (fds[done] < 0)
                        r = -errno;
        }
        for (size_t i = 0; i < arguments->n_memories; i++, done++) {
                fds[done] = fcntl(arguments->memories[i].fd, F_DUPFD_CLOEXEC, end);
                if (fds[done] < 0)
                        r = -errno;
        }

        if (r >= 0)
                r = set_environment(store, arguments, n_passed);
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
