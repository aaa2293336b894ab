/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <libluo.h>

#include "content.h"
#include "errors.h"
#include "luoctl.h"
#include "output.h"
#include "pass.h"

/* The same as that of sd_notify_barrier(3) in systemd-notify(1) */
#define BARRIER_TIMEOUT_USEC UINT64_C(5000000)

/* Opens the store of the service that this is run in. Returns 0 or an exit status. */
static int open_store(libluo_store **ret) {
        int r;

        r = pass_inherit();
        if (r >= 0)
                r = libluo_store_open(LIBLUO_STORE_KEEP_ENVIRONMENT, ret);
        return r < 0 ? fail(r, "%s", error_reason(CALL_STORE, r)) : 0;
}

static int store_failed(const char *name, int error) {
        return fail(error, "\"%s\": %s", name, error_reason(CALL_STORE, error));
}

/* Whether an entry of this name was passed, as libluo writes it when it replaces one, too */
static bool is_passed(const char *name) {
        const char *names = getenv("LISTEN_FDNAMES");
        size_t length = strlen(name);

        for (const char *end; names && passed_fds() > 0; names = *end ? end + 1 : NULL) {
                end = strchrnul(names, ':');
                if ((size_t) (end - names) >= length && strncmp(names, name, length) == 0 &&
                        (names[length] == '~' || names + length == end))
                        return true;
        }

        return false;
}

/*
 * Each call in a script is a process of its own, and knows only what was passed when the service was started: not what
 * another call has stored under the name since. libluo would store beside it. So it gets to see an entry of that name, and
 * puts what is new in the place of all that there is, in the order that loses nothing. source_fd is moved out of the way.
 */
static int assume_stored(const char *name, int *source_fd) {
        int fd, r;

        for (const char *p = name; *p; p++)
                if (*p == '~')
                        return -EINVAL;
        if (!*name || strlen(name) > LIBLUO_STORE_NAME_MAX || strcmp(passed_fd_name(name), name) != 0)
                return -EINVAL;
        if (is_passed(name))
                return 0;

        if (source_fd && *source_fd <= FIRST_PASSED_FD + (int) passed_fds()) {
                fd = fcntl(*source_fd, F_DUPFD_CLOEXEC, FIRST_PASSED_FD + (int) passed_fds() + 1);
                if (fd < 0)
                        return -errno;
                (void) close(*source_fd);
                *source_fd = fd;
        }

        fd = libluo_memfd_new("luoctl", 0, 0);
        if (fd < 0)
                return fd;
        r = pass_fds(&fd, &name, 1, /* replace= */ false);
        return r;
}

/* Where the service manager passes fds without names, all are called that; a further one has no name either */
static int check_names(void) {
        return passed_fds() > 0 && !getenv("LISTEN_FDNAMES")
                ? fail(-EBADMSG, "the file descriptors that were passed have no names ($LISTEN_FDNAMES)")
                : 0;
}

/* What is to be stored, as fd for the caller to close, or an exit status as a negative number. */
static int open_source(const struct arguments *arguments) {
        const char *name = arguments->operands[0];
        const char *file = arguments->n_operands > 1 ? arguments->operands[1] : "-";
        int source, fd;

        if (arguments->fd >= 0) {
                fd = fcntl(arguments->fd, F_DUPFD_CLOEXEC, 0);
                return fd < 0 ? -fail(-errno, "file descriptor %i: %s", arguments->fd, strerror(errno)) : fd;
        }

        source = strcmp(file, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                        : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (source < 0)
                return -fail(-errno, "%s: %s", file, strerror(errno));

        fd = content_to_memfd(source, name);
        (void) close(source);
        return fd < 0 ? -fail(fd, "cannot copy the content of %s: %s", file, strerror(-fd)) : fd;
}

int command_store_put(const struct arguments *arguments) {
        const char *name = arguments->operands[0];
        libluo_store *store;
        int fd, r;

        if (arguments->n_operands > 1 && arguments->fd >= 0)
                return usage_error("FILE and --fd exclude each other");

        r = pass_inherit();
        if (r < 0)
                return fail(r, "%s", strerror(-r));
        r = check_names();
        if (r > 0)
                return r;
        fd = open_source(arguments);
        if (fd < 0)
                return -fd;

        r = assume_stored(name, &fd);
        if (r == -EINVAL) {
                (void) close(fd);
                return fail(r,
                        "\"%s\" is no name for an entry: it has to be printable ASCII without \":\" and \"~\", 1 to %i bytes",
                        name, LIBLUO_STORE_NAME_MAX);
        }
        r = r < 0 ? fail(r, "%s", strerror(-r)) : open_store(&store);
        if (r > 0) {
                (void) close(fd);
                return r;
        }

        r = libluo_store_put_fd(store, name, fd, 0);
        if (r >= 0)
                r = libluo_store_barrier(store, BARRIER_TIMEOUT_USEC);
        (void) close(fd);
        libluo_store_free(store);
        return r < 0 ? store_failed(name, r) : EXIT_SUCCESS;
}

int command_store_remove(const struct arguments *arguments) {
        const char *name = arguments->operands[0];
        libluo_store *store;
        int r;

        r = pass_inherit();
        if (r < 0)
                return fail(r, "%s", strerror(-r));
        r = check_names();
        if (r > 0)
                return r;

        r = assume_stored(name, NULL);
        if (r == -EINVAL)
                return store_failed(name, -ENOENT);
        r = r < 0 ? fail(r, "%s", strerror(-r)) : open_store(&store);
        if (r > 0)
                return r;

        r = libluo_store_remove(store, name);
        if (r >= 0)
                r = libluo_store_barrier(store, BARRIER_TIMEOUT_USEC);
        libluo_store_free(store);
        return r < 0 ? store_failed(name, r) : EXIT_SUCCESS;
}

/* The number of the file descriptor, which the store owns, or an exit status as a negative number. */
static int find_entry(const libluo_store *store, const char *name) {
        libluo_store_entry entry;
        int found = -1;

        for (size_t i = 0; i < libluo_store_count(store); i++) {
                if (libluo_store_get_entry(store, i, &entry, sizeof(entry)) < 0 ||
                        strcmp(entry.name, name) != 0)
                        continue;
                if (found >= 0)
                        return -store_failed(name, -ENOTUNIQ);
                found = entry.fd;
        }

        return found < 0 ? -store_failed(name, -ENOENT) : found;
}

int command_store_get(const struct arguments *arguments) {
        libluo_store *store;
        int fd, r;

        r = open_store(&store);
        if (r > 0)
                return r;

        fd = find_entry(store, arguments->operands[0]);
        r = fd < 0 ? -fd : content_print(fd, arguments->output);
        libluo_store_free(store);
        return r;
}

int command_store_path(const struct arguments *arguments) {
        libluo_store *store;
        int fd, r;

        r = open_store(&store);
        if (r > 0)
                return r;

        fd = find_entry(store, arguments->operands[0]);
        if (fd >= 0)
                printf("/proc/self/fd/%i\n", fd);
        libluo_store_free(store);
        return fd < 0 ? -fd : EXIT_SUCCESS;
}

/* The size of what has one, and is not on a server that may not answer. Returns false for others. */
static bool get_size(int fd, uint64_t *ret) {
        libluo_preflight p;

        if (libluo_fd_preflight(fd, &p, sizeof(p)) < 0 || p.verdict == LIBLUO_VERDICT_TYPE ||
                p.verdict == LIBLUO_VERDICT_SESSION)
                return false;

        *ret = p.size;
        return true;
}

static const char *entry_type(int fd) {
        libluo_preflight p;
        struct stat st;

        if (libluo_fd_preflight(fd, &p, sizeof(p)) >= 0 && p.verdict == LIBLUO_VERDICT_SESSION)
                return "LUO session";
        return fstat(fd, &st) < 0 ? "other" : file_type(st.st_mode);
}

static void print_json(const libluo_store *store) {
        struct json j = {};

        json_begin(&j, NULL, '{');
        json_begin(&j, "entries", '[');
        for (size_t i = 0; i < libluo_store_count(store); i++) {
                libluo_store_entry entry;
                uint64_t size;

                if (libluo_store_get_entry(store, i, &entry, sizeof(entry)) < 0)
                        continue;

                json_begin(&j, NULL, '{');
                json_string(&j, "name", entry.name);
                json_unsigned(&j, "fd", (uint64_t) entry.fd);
                json_string(&j, "type", entry_type(entry.fd));
                json_string(&j, "access", access_mode(fcntl(entry.fd, F_GETFL)));
                if (get_size(entry.fd, &size))
                        json_unsigned(&j, "size", size);
                json_boolean(&j, "foreign", entry.flags & LIBLUO_STORE_ENTRY_FOREIGN);
                json_end(&j, '{');
        }
        json_end(&j, '[');
        json_end(&j, '{');
        json_finish();
}

static int print_table(const libluo_store *store, bool legend) {
        static const struct column columns[] = { { "NAME", false }, { "FD", true }, { "TYPE", false },
                { "ACCESS", false }, { "SIZE", true } };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };
        int r;

        for (size_t i = 0; i < libluo_store_count(store); i++) {
                libluo_store_entry entry;
                uint64_t size;

                if (libluo_store_get_entry(store, i, &entry, sizeof(entry)) < 0)
                        continue;

                table_add(&table, "%s", entry.name);
                table_add(&table, "%i", entry.fd);
                table_add(&table, "%s", entry_type(entry.fd));
                table_add(&table, "%s", access_mode(fcntl(entry.fd, F_GETFL)));
                if (get_size(entry.fd, &size))
                        table_add(&table, "%" PRIu64, size);
                else
                        table_add(&table, "-");
        }

        r = table_finish(&table, legend);
        return r < 0 ? fail(r, "%s", strerror(-r)) : EXIT_SUCCESS;
}

int command_store_list(const struct arguments *arguments) {
        libluo_store *store;
        int r;

        r = open_store(&store);
        if (r > 0)
                return r;

        if (arguments->json)
                print_json(store);
        else
                r = print_table(store, arguments->legend);
        libluo_store_free(store);
        return r;
}
