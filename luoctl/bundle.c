/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libluo.h>

#include "content.h"
#include "errors.h"
#include "index.h"
#include "luoctl.h"
#include "pass.h"
#include "session.h"

/* ---- making one ---- */

/* An entry's file, as fd for the caller to close, or an exit status as a negative number. */
static int open_file(const struct arguments *arguments, const char *file) {
        uint64_t number;
        int fd, copy;

        if (strncmp(file, "fd:", strlen("fd:")) == 0) {
                if (!parse_number(file + strlen("fd:"), INT32_MAX, &number))
                        return -usage_error("\"fd:\" takes the number of a file descriptor, not \"%s\"",
                                file + strlen("fd:"));
                fd = fcntl((int) number, F_DUPFD_CLOEXEC, 0);
        } else if (strcmp(file, "-") == 0)
                fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
        else
                fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -fail(-errno, "%s: %s", file, strerror(errno));
        if (!arguments->memfd)
                return fd;

        copy = content_to_memfd(fd, "luoctl");
        (void) close(fd);
        return copy < 0
                ? -fail(copy, "cannot copy the content of %s: %s", file, error_reason(CALL_COPY, copy))
                : copy;
}

/* Adds what is given as ENTRY=FILE. Returns 0 or an exit status. */
static int add_operand(const struct arguments *arguments, libluo_bundle_writer *writer, const char *operand) {
        const char *equals = strchr(operand, '=');
        const char *reason = NULL;
        libluo_preflight p = {};
        char *name;
        int fd, r;

        fd = open_file(arguments, equals + 1);
        if (fd < 0)
                return -fd;

        name = strndup(operand, (size_t) (equals - operand));
        r = name ? libluo_bundle_writer_add(writer, fd, name, 0) : -ENOMEM;
        if (r == -EOPNOTSUPP)
                (void) libluo_fd_preflight(fd, &p, sizeof(p));
        if (r < 0)
                reason = preserve_reason(fd, r);
        (void) close(fd);
        free(name);

        if (r == -EINVAL)
                return usage_error(
                        "\"%.*s\" is no name for an entry: it has to be printable ASCII without \":\", up to %i bytes",
                        (int) (equals - operand), operand, LIBLUO_ENTRY_NAME_MAX);
        if (r == -EOPNOTSUPP && p.verdict != LIBLUO_VERDICT_FINE)
                return fail(r, "cannot preserve %s: %s%s", equals + 1, libluo_verdict_to_string(p.verdict),
                        copy_advice(p.verdict));
        return r < 0 ? fail(r, "cannot preserve %s: %s", equals + 1, reason) : 0;
}

static int write_bundle(const struct arguments *arguments, int session_fd) {
        libluo_bundle_writer *writer;
        int r;

        r = libluo_bundle_writer_new(session_fd, 0, &writer);
        if (r < 0)
                return fail(r, "cannot make a bundle: %s", libluo_strerror(r));

        r = 0;
        for (size_t i = 1; r == 0 && i < arguments->n_operands; i++)
                r = add_operand(arguments, writer, arguments->operands[i]);
        if (r == 0) {
                r = libluo_bundle_writer_write(writer, 0);
                if (r < 0)
                        r = fail(r, "cannot preserve the index: %s", error_reason(CALL_PRESERVE, r));
        }

        libluo_bundle_writer_free(writer);
        return r;
}

int command_bundle_create(const struct arguments *arguments) {
        const char *name = arguments->operands[0];
        int session_fd, r;
        char *path;

        r = session_check_name(name);
        if (r > 0)
                return r;
        for (size_t i = 1; i < arguments->n_operands; i++)
                if (!strchr(arguments->operands[i], '='))
                        return usage_error("\"%s\" is not of the form ENTRY=FILE", arguments->operands[i]);
        r = find_program(arguments->program[0], &path);
        if (r > 0)
                return r;

        session_fd = session_open(name, libluo_session_create);
        if (session_fd < 0)
                r = -session_fd;
        else {
                r = write_bundle(arguments, session_fd);
                if (r == 0) {
                        r = pass_fds(&session_fd, &name, 1, /* replace= */ false);
                        r = r < 0 ? fail(r, "cannot pass the session on: %s", strerror(-r))
                                  : become_program(path, arguments->program);
                }
        }

        free(path);
        return r;
}

/* ---- reading one ---- */

static int open_bundle(const struct arguments *arguments, libluo_bundle **ret) {
        int r;

        r = session_check(arguments->session_fd, "retrieve");
        if (r > 0)
                return r;

        r = libluo_bundle_open(arguments->session_fd, 0, ret);
        return r < 0 ? fail(r, "cannot read the bundle: %s", error_reason(CALL_BUNDLE, r)) : 0;
}

int command_bundle_list(const struct arguments *arguments) {
        libluo_bundle *bundle;
        int r;

        r = open_bundle(arguments, &bundle);
        if (r > 0)
                return r;

        r = index_print(bundle, arguments->json, arguments->legend);
        libluo_bundle_free(bundle);
        return r;
}

static bool is_wanted(const struct arguments *arguments, const char *name) {
        for (size_t i = 0; i < arguments->n_operands; i++)
                if (strcmp(arguments->operands[i], name) == 0)
                        return true;

        return arguments->n_operands == 0;
}

static int check_wanted(const struct arguments *arguments, const libluo_bundle *bundle) {
        for (size_t i = 0; i < arguments->n_operands; i++) {
                bool found = false;

                for (size_t k = 0; !found && k < libluo_bundle_count(bundle); k++) {
                        libluo_entry entry;

                        found = libluo_bundle_get(bundle, k, &entry, sizeof(entry)) >= 0 &&
                                strcmp(entry.name, arguments->operands[i]) == 0;
                }
                if (!found)
                        return fail(-ENOENT, "the bundle has no entry \"%s\"", arguments->operands[i]);
        }

        return 0;
}

/* Why an entry could not be taken. What keeps its file from being opened says so to who opens it again. */
static const char *take_reason(int session_fd, const libluo_entry *entry, int error) {
        char path[64];
        int fd, other_fd, r = 0;

        if (error != -EAGAIN || entry->flags & LIBLUO_ENTRY_SHARED)
                return error_reason(CALL_TAKE, error);

        fd = libluo_session_retrieve_fd(session_fd, entry->token);
        if (fd < 0)
                return error_reason(CALL_TAKE, error);

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        other_fd = open(path, (entry->open_flags & O_ACCMODE) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (other_fd < 0)
                r = errno;
        else
                (void) close(other_fd);
        (void) close(fd);

        switch (r) {
        case 0:
                return "the file was in use for a moment, try again";
        case ETXTBSY:
                return "somebody executes the file";
        case EWOULDBLOCK:
                return "somebody has a lease on the file (F_SETLEASE)";
        default:
                return error_reason(CALL_TAKE, error);
        }
}

/* Takes the entries that are wanted. fds and names have room for all. Returns 0 or an exit status. */
static int take_entries(const struct arguments *arguments, libluo_bundle *bundle, int *fds,
        const char **names, size_t *ret_n) {
        size_t n = 0;

        for (size_t i = 0; i < libluo_bundle_count(bundle); i++) {
                libluo_entry entry;
                int fd;

                fd = libluo_bundle_get(bundle, i, &entry, sizeof(entry));
                if (fd < 0)
                        return fail(fd, "%s", libluo_strerror(fd));
                if (!is_wanted(arguments, entry.name))
                        continue;

                /* That one is lost does not cost the others, unless it is asked for */
                if (entry.lost && arguments->n_operands == 0) {
                        (void) fail(-ENODATA, "entry \"%s\" was lost: %s", entry.name,
                                error_reason(CALL_PRESERVE, -entry.lost));
                        continue;
                }

                fd = libluo_bundle_take(bundle, i,
                        (arguments->again ? LIBLUO_TAKE_AGAIN : 0) |
                                (arguments->change_owner ? LIBLUO_TAKE_CHANGE_OWNER : 0));
                if (fd == -EPERM && !arguments->change_owner)
                        return fail(fd,
                                "cannot take entry \"%s\": this user may not give it back to its owner; "
                                "--change-owner makes it yours",
                                entry.name);
                if (fd < 0)
                        return fail(fd, "cannot take entry \"%s\": %s", entry.name,
                                take_reason(arguments->session_fd, &entry, fd));
                fds[n] = fd;
                names[n++] = entry.name;
        }

        *ret_n = n;
        return 0;
}

/* Returns an exit status, as become_program() does. */
static int take_and_run(const struct arguments *arguments, libluo_bundle *bundle, const char *path) {
        size_t count = libluo_bundle_count(bundle), n = 0;
        const char **names;
        int *fds, r;

        fds = calloc(count + 1, sizeof(*fds));
        names = calloc(count + 1, sizeof(*names));
        if (!fds || !names)
                r = fail(-ENOMEM, "%s", strerror(ENOMEM));
        else {
                r = take_entries(arguments, bundle, fds, names, &n);
                if (r == 0) {
                        r = pass_fds(fds, names, n, /* replace= */ true);
                        r = r < 0 ? fail(r, "cannot pass the file descriptors on: %s", strerror(-r))
                                  : become_program(path, arguments->program);
                }
        }

        free(fds);
        free(names);
        return r;
}

int command_bundle_take(const struct arguments *arguments) {
        libluo_bundle *bundle;
        char *path;
        int r;

        r = find_program(arguments->program[0], &path);
        if (r > 0)
                return r;

        r = open_bundle(arguments, &bundle);
        if (r == 0) {
                r = check_wanted(arguments, bundle);
                /* It ends with this process, if nothing that is passed gets its number before */
                if (r == 0 && fcntl(arguments->session_fd, F_SETFD, FD_CLOEXEC) < 0)
                        r = fail(-errno, "%s", strerror(errno));
                if (r == 0)
                        r = take_and_run(arguments, bundle, path);
                libluo_bundle_free(bundle);
        }

        free(path);
        return r;
}
