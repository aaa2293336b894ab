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
#include "kernel.h"
#include "luoctl.h"
#include "manager-live-update.h"
#include "output.h"
#include "pass.h"
#include "session.h"

/* The device is held for one operation only, so whoever has it will not have it for long */
#define DEVICE_TIMEOUT_USEC UINT64_C(5000000)

int session_check_name(const char *name) {
        if (strcmp(name, LIBLUO_SESSION_SYSTEMD) == 0 ||
                strncmp(name, LIBLUO_SESSION_UNIT_PREFIX, strlen(LIBLUO_SESSION_UNIT_PREFIX)) == 0)
                return usage_error("the session name \"%s\" belongs to systemd; "
                                   "take one that is neither \"%s\" nor begins with \"%s\"",
                        name, LIBLUO_SESSION_SYSTEMD, LIBLUO_SESSION_UNIT_PREFIX);
        if (!libluo_session_name_is_valid(name))
                return usage_error("the session name \"%s\" is not valid: it has to be 1 to %i bytes long",
                        name, LIBLUO_SESSION_NAME_MAX);

        return 0;
}

int session_open(const char *name, int (*open_session)(int device_fd, const char *name)) {
        int device_fd, session_fd;

        device_fd = libluo_device_open(DEVICE_TIMEOUT_USEC);
        if (device_fd < 0)
                return -device_failed(device_fd);

        session_fd = open_session(device_fd, name);
        (void) close(device_fd);
        if (session_fd < 0)
                return -fail(session_fd, "session \"%s\": %s", name,
                        error_reason(open_session == libluo_session_create ? CALL_CREATE : CALL_RETRIEVE,
                                session_fd));

        return session_fd;
}

/* ---- running a program with a session ---- */

/* Becomes the program at this path, with the session. Returns an exit status if that fails. */
static int become_program_with_session(const struct arguments *arguments, const char *path,
        int (*open_session)(int device_fd, const char *name)) {
        const char *name = arguments->operands[0];
        int session_fd, r;

        session_fd = session_open(name, open_session);
        if (session_fd < 0)
                return -session_fd;

        r = pass_fds(&session_fd, &name, 1, /* replace= */ false);
        return r < 0 ? fail(r, "cannot pass the session on: %s", strerror(-r))
                     : become_program(path, arguments->program);
}

static int run_with_session(
        const struct arguments *arguments, int (*open_session)(int device_fd, const char *name)) {
        char *path;
        int r;

        r = session_check_name(arguments->operands[0]);
        if (r > 0)
                return r;

        /* First, as the session ends with this process if there is nobody to pass it to */
        r = find_program(arguments->program[0], &path);
        if (r > 0)
                return r;

        r = become_program_with_session(arguments, path, open_session);
        free(path);
        return r;
}

int command_session_create(const struct arguments *arguments) {
        return run_with_session(arguments, libluo_session_create);
}

int command_session_retrieve(const struct arguments *arguments) {
        return run_with_session(arguments, libluo_session_retrieve);
}

/* Why libluo_store_open_session() failed: it asks the service manager first, and the device only where that has none */
static int session_open_failed(const char *name, int error) {
        static const char *const denied[] = {
                [OFFER_NONE] = "this process may not open " DEVICE ", and systemd has no sessions for it",
                [OFFER_NOT_A_SERVICE] =
                        "this process may not open " DEVICE ", and is in no service of systemd's",
                [OFFER_NOT_ENABLED] =
                        "this process may not open " DEVICE ", and the unit has no LiveUpdateSessionsMax=",
                [OFFER_NOT_PRESERVED] = "this process may not open " DEVICE
                                        ", and the unit has no FileDescriptorStorePreserve=yes",
                [OFFER_NOT_TO_PROCESS] =
                        "NotifyAccess= of the unit keeps this process from asking for sessions",
                [OFFER_YES] = "this process may not open " DEVICE,
        };
        const char *reason = error_reason(CALL_OPEN_SESSION, error);
        int device_fd;

        if (error == -ENODEV)
                return device_failed(error);
        if (error == -EACCES)
                reason = denied[live_update_session_offer(name)];
        /* The kernels that systemd has sessions on have no limit, but systemd has one for what was removed */
        if (error == -ENOSPC && live_update_session_offer(name) == OFFER_YES)
                reason = "the unit has as many sessions as LiveUpdateSessionsMax= permits, "
                         "or too many that were removed are still open";
        if (error == -EBUSY) {
                device_fd = libluo_device_open(0);
                if (device_fd == -EBUSY)
                        return device_failed(device_fd);
                if (device_fd >= 0)
                        (void) close(device_fd);
                reason = "another process, or this unit's fd store, has a session of this name";
        }

        return fail(error, "session \"%s\": %s", name, reason);
}

/* Becomes the program at this path, with the sessions that there are of a name. Returns an exit status on failure. */
static int become_program_with_sessions(const struct arguments *arguments, const char *path) {
        const char *name = arguments->operands[0], *names[2];
        char next_name[LIBLUO_ENTRY_NAME_MAX + 1];
        int restored_fd, next_fd, fds[2], r;
        libluo_store *store;
        size_t n = 0;

        /* What a script was passed is for what it runs, too: there may be the session that is asked for */
        r = pass_check_session(name);
        if (r > 0)
                return r;

        r = libluo_store_open(LIBLUO_STORE_KEEP_ENVIRONMENT | LIBLUO_STORE_SHARED, &store);
        if (r < 0)
                return fail(r, "%s", error_reason(CALL_STORE, r));
        r = libluo_store_open_session(store, name, 0, DEVICE_TIMEOUT_USEC, &restored_fd, &next_fd);
        libluo_store_free(store);
        if (r < 0)
                return session_open_failed(name, r);

        (void) snprintf(next_name, sizeof(next_name), "%s.next", name);
        if (restored_fd >= 0) {
                fds[n] = restored_fd;
                names[n++] = name;
        }
        names[n] = n > 0 ? next_name : name;
        fds[n++] = next_fd;

        /* What the service manager passed is in there as well */
        r = pass_fds(fds, names, n, /* replace= */ true);
        return r < 0 ? fail(r, "cannot pass the sessions on: %s", strerror(-r))
                     : become_program(path, arguments->program);
}

int command_session_open(const struct arguments *arguments) {
        char *path;
        int r;

        r = session_check_name(arguments->operands[0]);
        if (r == 0)
                r = find_program(arguments->program[0], &path);
        if (r > 0)
                return r;

        r = become_program_with_sessions(arguments, path);
        free(path);
        return r;
}

/* ---- with the session that was passed ---- */

int session_check(int fd, const char *origin) {
        int r;

        r = libluo_fd_is_session(fd);
        if (r == -EBADF)
                return fail(r,
                        "file descriptor %i is not open; "
                        "run this from the program of \"luoctl session %s\", or give --session=",
                        fd, origin);
        if (r < 0)
                return fail(r, "file descriptor %i: %s", fd, libluo_strerror(r));
        if (r == 0)
                return fail(-EMEDIUMTYPE,
                        "file descriptor %i is not a LUO session; --session= says which one is", fd);

        return 0;
}

static int parse_token(const char *text, uint64_t *ret) {
        if (!parse_number(text, UINT64_MAX, ret))
                return usage_error("TOKEN has to be a number from 0 to 2^64 - 1, not \"%s\"", text);

        return 0;
}

/* What is to be preserved, as an fd for the caller to close, or an exit status as a negative number. */
static int open_source(const struct arguments *arguments, const char *name) {
        int source, fd;

        if (arguments->fd >= 0) {
                source = fcntl(arguments->fd, F_DUPFD_CLOEXEC, 0);
                if (source < 0)
                        return -fail(-errno, "file descriptor %i: %s", arguments->fd, strerror(errno));
        } else if (strcmp(name, "-") == 0)
                source = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
        else
                source = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (source < 0)
                return -fail(-errno, "%s: %s", name, strerror(errno));
        if (!arguments->memfd)
                return source;

        fd = content_to_memfd(source, "luoctl");
        (void) close(source);
        return fd < 0 ? -fail(fd, "cannot copy the content: %s", error_reason(CALL_COPY, fd)) : fd;
}

int command_session_preserve(const struct arguments *arguments) {
        const char *name = arguments->n_operands > 1 ? arguments->operands[1] : NULL;
        const char *reason = NULL;
        libluo_preflight p = {};
        uint64_t token;
        int fd, r;

        r = parse_token(arguments->operands[0], &token);
        if (r > 0)
                return r;
        if (name && arguments->fd >= 0)
                return usage_error("FILE and --fd exclude each other");
        if (!name && arguments->fd < 0) {
                if (!arguments->memfd)
                        return usage_error("FILE or --fd is missing");
                name = "-";
        }

        r = session_check(arguments->session_fd, "create");
        if (r > 0)
                return r;

        fd = open_source(arguments, name);
        if (fd < 0)
                return -fd;

        r = libluo_session_preserve(arguments->session_fd, fd, token);
        if (r == -EOPNOTSUPP)
                (void) libluo_fd_preflight(fd, &p, sizeof(p));
        if (r < 0)
                reason = preserve_reason(fd, r);
        (void) close(fd);

        if (r == -EOPNOTSUPP && p.verdict != LIBLUO_VERDICT_FINE && name)
                return fail(r, "cannot preserve %s: %s%s", name, libluo_verdict_to_string(p.verdict),
                        copy_advice(p.verdict));
        if (r == -EOPNOTSUPP && p.verdict != LIBLUO_VERDICT_FINE)
                return fail(r, "cannot preserve file descriptor %i: %s%s", arguments->fd,
                        libluo_verdict_to_string(p.verdict), copy_advice(p.verdict));
        if (r < 0)
                return fail(r, "cannot preserve at token %" PRIu64 ": %s", token, reason);

        return EXIT_SUCCESS;
}

int command_session_get(const struct arguments *arguments) {
        uint64_t token;
        int fd, r;

        r = parse_token(arguments->operands[0], &token);
        if (r > 0)
                return r;
        r = session_check(arguments->session_fd, "retrieve");
        if (r > 0)
                return r;

        fd = libluo_session_retrieve_fd(arguments->session_fd, token);
        if (fd < 0)
                return fail(fd, "token %" PRIu64 ": %s", token, error_reason(CALL_RETRIEVE_FD, fd));

        r = content_print(fd, arguments->output);
        (void) close(fd);
        return r;
}

int command_session_finish(const struct arguments *arguments) {
        int r;

        r = session_check(arguments->session_fd, "retrieve");
        if (r > 0)
                return r;

        r = libluo_session_finish(arguments->session_fd);
        return r < 0 ? fail(r, "cannot finish the session: %s", error_reason(CALL_FINISH, r)) : EXIT_SUCCESS;
}

int command_session_name(const struct arguments *arguments) {
        char name[LIBLUO_SESSION_NAME_MAX + 1];
        struct json j = {};
        int r;

        r = session_check(arguments->session_fd, "create");
        if (r > 0)
                return r;

        r = libluo_session_get_name(arguments->session_fd, name);
        if (r < 0)
                return fail(r, "cannot read the session's name: %s", libluo_strerror(r));

        if (arguments->json) {
                json_begin(&j, NULL, '{');
                json_string(&j, "name", name);
                json_end(&j, '{');
                json_finish();
        } else {
                print_text(name);
                printf("\n");
        }

        return EXIT_SUCCESS;
}
