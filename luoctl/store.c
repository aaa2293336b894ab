/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
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

/*
 * Opens the store of the service that this is run in. Each call in a script is a process of its own, and knows only
 * what was passed when the service was started; what has no name is not to be taken for what is not there, nor what is
 * not passed to the process that a reader is run by. Returns 0 or an exit status.
 */
static int open_store(bool reads, libluo_store **ret) {
        int r;

        r = pass_check();
        if (r > 0)
                return r;
        if (passed_fds() == 0 && !getenv("NOTIFY_SOCKET"))
                return fail(-ENOTCONN, "this is not run in a service ($NOTIFY_SOCKET is not set)");
        if (passed_fds() > 0 && !getenv("LISTEN_FDNAMES"))
                return fail(
                        -EBADMSG, "the file descriptors that were passed have no names ($LISTEN_FDNAMES)");

        r = reads && passed_fds() == 0 ? pass_check_main() : 0;
        if (r > 0)
                return r;

        r = libluo_store_open(LIBLUO_STORE_KEEP_ENVIRONMENT | LIBLUO_STORE_SHARED, ret);
        return r < 0 ? fail(r, "%s", error_reason(CALL_STORE, r)) : 0;
}

static int store_failed(const char *name, int error) {
        return fail(error, "\"%s\": %s", name, error_reason(CALL_STORE, error));
}

/* Waits for the service manager, and ends the use of the store; result: what came before. Returns an exit status. */
static int finish_writing(libluo_store *store, const char *name, int result) {
        if (result >= 0)
                result = libluo_store_barrier(store, BARRIER_TIMEOUT_USEC);
        libluo_store_free(store);
        return result < 0 ? store_failed(name, result) : EXIT_SUCCESS;
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
        return fd < 0 ? -fail(fd, "cannot copy the content of %s: %s", file, error_reason(CALL_COPY, fd))
                      : fd;
}

static bool name_is_valid(const char *name) {
        return *name && strlen(name) <= LIBLUO_STORE_NAME_MAX && !strchr(name, '~') &&
                strcmp(passed_fd_name(name), name) == 0;
}

int command_store_put(const struct arguments *arguments) {
        const char *name = arguments->operands[0];
        libluo_store *store;
        int fd, r;

        if (arguments->n_operands > 1 && arguments->fd >= 0)
                return usage_error("FILE and --fd exclude each other");
        if (!name_is_valid(name))
                return usage_error("\"%s\" is no name for an entry: "
                                   "it has to be printable ASCII without \":\" and \"~\", 1 to %i bytes",
                        name, LIBLUO_STORE_NAME_MAX);

        r = open_store(false, &store);
        if (r > 0)
                return r;
        fd = open_source(arguments);
        if (fd < 0) {
                libluo_store_free(store);
                return -fd;
        }

        r = libluo_store_put_fd(store, name, fd, 0);
        (void) close(fd);
        return finish_writing(store, name, r);
}

int command_store_remove(const struct arguments *arguments) {
        const char *name = arguments->operands[0];
        libluo_store *store;
        int r;

        r = open_store(false, &store);
        return r > 0 ? r : finish_writing(store, name, libluo_store_remove(store, name));
}

/* The number of the file descriptor, which the store owns, or an exit status as a negative number. */
static int find_entry(const libluo_store *store, const char *name, bool quiet) {
        libluo_store_entry entry;
        int found = -1;

        for (size_t i = 0; i < libluo_store_count(store); i++) {
                if (libluo_store_get_entry(store, i, &entry, sizeof(entry)) < 0 ||
                        strcmp(entry.name, name) != 0)
                        continue;
                if (found >= 0)
                        return -fail(-ENOTUNIQ,
                                "\"%s\": several are stored under this name, see \"luoctl store list\"",
                                name);
                found = entry.fd;
        }

        if (found < 0)
                return quiet ? -EXIT_NOT_FOUND : -store_failed(name, -ENOENT);
        return found;
}

/*
 * A script may have put a file of its own in the place of what was passed: what "store put" has copied is memory
 * without a name.
 */
static int check_kept(int fd, const char *name) {
        char path[64], target[PATH_MAX];
        libluo_preflight p;
        ssize_t length;
        int r;

        r = libluo_fd_preflight(fd, &p, sizeof(p));
        if (r < 0)
                return fail(r, "file descriptor %i (\"%s\"): %s", fd, name, libluo_strerror(r));
        if (p.verdict != LIBLUO_VERDICT_TYPE && p.verdict != LIBLUO_VERDICT_NAMED &&
                p.verdict != LIBLUO_VERDICT_SESSION)
                return 0;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        length = readlink(path, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = 0;
        return fail(-EISNAM, "file descriptor %i (\"%s\") is %s, and no copy that \"store put\" has made", fd,
                name, length > 0 ? target : "another file");
}

/* Opens the store, and finds an entry that "store put" has made. Returns 0 or an exit status. */
static int open_entry(const struct arguments *arguments, libluo_store **ret_store, int *ret_fd) {
        const char *name = arguments->operands[0];
        int fd, r;

        r = open_store(true, ret_store);
        if (r > 0)
                return r;

        fd = find_entry(*ret_store, name, arguments->quiet);
        r = fd < 0 ? -fd : check_kept(fd, name);
        if (r > 0) {
                libluo_store_free(*ret_store);
                return r;
        }

        *ret_fd = fd;
        return 0;
}

int command_store_get(const struct arguments *arguments) {
        libluo_store *store;
        int fd, r;

        r = open_entry(arguments, &store, &fd);
        if (r > 0)
                return r;

        r = content_print(fd, arguments->output);
        libluo_store_free(store);
        return r;
}

int command_store_path(const struct arguments *arguments) {
        libluo_store *store;
        int fd, r;

        r = open_entry(arguments, &store, &fd);
        if (r > 0)
                return r;

        printf("/proc/self/fd/%i\n", fd);
        libluo_store_free(store);
        return EXIT_SUCCESS;
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
        struct statx sx;

        if (libluo_fd_preflight(fd, &p, sizeof(p)) >= 0 && p.verdict == LIBLUO_VERDICT_SESSION)
                return "LUO session";
        /* What the kernel has, without asking a server (NFS, FUSE) that may not answer */
        return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &sx) < 0
                ? "other"
                : file_type(sx.stx_mode);
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

        r = open_store(true, &store);
        if (r > 0)
                return r;

        if (arguments->json)
                print_json(store);
        else
                r = print_table(store, arguments->legend);
        libluo_store_free(store);
        return r;
}
