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
#include "luoctl.h"
#include "output.h"
#include "program.h"

/* The device is held for one operation only, so whoever has it will not have it for long */
#define DEVICE_TIMEOUT_USEC UINT64_C(5000000)

/* ---- running a program with a session, as sd_listen_fds(3) says ---- */

/* How many file descriptors were passed to this process: those stay, so that these commands can be nested. */
static unsigned passed_fds(void) {
        const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
        uint64_t number;

        if (!pid || !fds || !parse_number(pid, INT32_MAX, &number) || (pid_t) number != getpid() ||
                !parse_number(fds, 1024, &number))
                return 0;

        return (unsigned) number;
}

/* A name that cannot stand in $LISTEN_FDNAMES becomes what sd_listen_fds_with_names(3) has for no name. */
static const char *fd_name(const char *session) {
        for (const char *p = session; *p; p++)
                if (*p < ' ' || *p >= 127 || *p == ':')
                        return "unknown";

        return session;
}

static int set_environment(const char *session, unsigned n_before) {
        const char *before = n_before > 0 ? getenv("LISTEN_FDNAMES") : NULL;
        char pid[32], number[32], *names;
        int r = 0;

        (void) snprintf(pid, sizeof(pid), "%ji", (intmax_t) getpid());
        (void) snprintf(number, sizeof(number), "%u", n_before + 1);
        if (asprintf(&names, "%s%s%s", before ? before : "", before ? ":" : "", fd_name(session)) < 0)
                return -ENOMEM;

        if (setenv("LISTEN_PID", pid, 1) < 0 || setenv("LISTEN_FDS", number, 1) < 0 ||
                unsetenv("LISTEN_PIDFDID") < 0)
                r = -errno;
        /* All of them have a name, or none */
        else if (n_before > 0 && !before)
                r = unsetenv("LISTEN_FDNAMES") < 0 ? -errno : 0;
        else if (setenv("LISTEN_FDNAMES", names, 1) < 0)
                r = -errno;

        free(names);
        return r;
}

/* Makes the session the next passed file descriptor; whatever has that number is closed. session_fd is consumed. */
static int pass_session(int session_fd, int number) {
        if (session_fd == number)
                return fcntl(session_fd, F_SETFD, 0) < 0 ? -errno : 0;

        if (dup2(session_fd, number) < 0)
                return -errno;
        (void) close(session_fd);
        return 0;
}

static int cannot_run(const char *program, int error) {
        (void) fail(error, "cannot run %s: %s", program, strerror(-error));
        return error == -ENOENT ? EXIT_NO_PROGRAM : EXIT_CANNOT_EXECUTE;
}

/* Becomes the program at this path, with the session. Returns an exit status if that fails. */
static int become_program(const struct arguments *arguments, const char *path,
        int (*open_session)(int device_fd, const char *name)) {
        const char *name = arguments->operands[0];
        unsigned n_before = passed_fds();
        int device_fd, session_fd, r;

        device_fd = libluo_device_open(DEVICE_TIMEOUT_USEC);
        if (device_fd < 0)
                return fail(device_fd, "/dev/liveupdate: %s", libluo_strerror(device_fd));

        session_fd = open_session(device_fd, name);
        (void) close(device_fd);
        if (session_fd < 0)
                return fail(session_fd, "session \"%s\": %s", name, libluo_strerror(session_fd));

        r = pass_session(session_fd, FIRST_PASSED_FD + (int) n_before);
        if (r >= 0)
                r = set_environment(name, n_before);
        if (r < 0)
                return fail(r, "cannot pass the session on: %s", strerror(-r));

        /* Not execv(2), which has no shell for scripts without "#!" */
        (void) execvp(path, arguments->program);
        return cannot_run(path, -errno);
}

static int run_with_session(
        const struct arguments *arguments, int (*open_session)(int device_fd, const char *name)) {
        const char *name = arguments->operands[0];
        char *path;
        int r;

        if (strcmp(name, LIBLUO_SESSION_SYSTEMD) == 0 ||
                strncmp(name, LIBLUO_SESSION_UNIT_PREFIX, strlen(LIBLUO_SESSION_UNIT_PREFIX)) == 0)
                return fail(-EINVAL,
                        "the session name \"%s\" belongs to systemd; take one that is neither \"%s\" nor begins with \"%s\"",
                        name, LIBLUO_SESSION_SYSTEMD, LIBLUO_SESSION_UNIT_PREFIX);
        if (!libluo_session_name_is_valid(name))
                return fail(-EINVAL, "the session name \"%s\" is not valid: it has to be 1 to %i bytes long",
                        name, LIBLUO_SESSION_NAME_MAX);

        /* First, as the session ends with this process if there is nobody to pass it to */
        r = program_find(arguments->program[0], &path);
        if (r == -ENOMEM)
                return fail(r, "%s", strerror(-r));
        if (r < 0)
                return cannot_run(arguments->program[0], r);

        r = become_program(arguments, path, open_session);
        free(path);
        return r;
}

int command_session_create(const struct arguments *arguments) {
        return run_with_session(arguments, libluo_session_create);
}

int command_session_retrieve(const struct arguments *arguments) {
        return run_with_session(arguments, libluo_session_retrieve);
}

/* ---- with the session that was passed ---- */

/* Returns 0, or an exit status. */
static int check_session(int fd) {
        int r;

        r = libluo_fd_is_session(fd);
        if (r == -EBADF)
                return fail(r,
                        "file descriptor %i is not open; run this from the program of \"luoctl session create\", or give --session=",
                        fd);
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
        int source, fd, r;

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

        fd = libluo_memfd_new("luoctl", 0, 0);
        if (fd < 0) {
                (void) close(source);
                return -fail(fd, "cannot make a memfd: %s", strerror(-fd));
        }

        r = copy_content(source, fd, UINT64_MAX);
        if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        (void) close(source);
        if (r < 0) {
                (void) close(fd);
                return -fail(r, "cannot copy the content: %s", strerror(-r));
        }

        return fd;
}

int command_session_preserve(const struct arguments *arguments) {
        const char *name = arguments->n_operands > 1 ? arguments->operands[1] : NULL;
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

        r = check_session(arguments->session_fd);
        if (r > 0)
                return r;

        fd = open_source(arguments, name);
        if (fd < 0)
                return -fd;

        r = libluo_session_preserve(arguments->session_fd, fd, token);
        if (r == -EOPNOTSUPP)
                (void) libluo_fd_preflight(fd, &p, sizeof(p));
        (void) close(fd);

        if (r == -EOPNOTSUPP && p.verdict != LIBLUO_VERDICT_FINE)
                return fail(r, "cannot preserve: %s; --memfd preserves a copy",
                        libluo_verdict_to_string(p.verdict));
        if (r < 0)
                return fail(r, "cannot preserve at token %" PRIu64 ": %s", token, libluo_strerror(r));

        return EXIT_SUCCESS;
}

/* Another offset than that of the preserved file description, which others may have, too */
static int open_from_start(int fd) {
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        r = open(path, O_RDONLY | O_CLOEXEC);
        return r < 0 ? -errno : r;
}

int command_session_get(const struct arguments *arguments) {
        bool to_stdout = !arguments->output || strcmp(arguments->output, "-") == 0;
        int fd, from_fd, to_fd = STDOUT_FILENO, r;
        uint64_t token;

        r = parse_token(arguments->operands[0], &token);
        if (r > 0)
                return r;
        r = check_session(arguments->session_fd);
        if (r > 0)
                return r;

        fd = libluo_session_retrieve_fd(arguments->session_fd, token);
        if (fd < 0)
                return fail(fd, "token %" PRIu64 ": %s", token, libluo_strerror(fd));

        from_fd = open_from_start(fd);
        (void) close(fd);
        if (from_fd < 0)
                return fail(
                        from_fd, "cannot read what is at token %" PRIu64 ": %s", token, strerror(-from_fd));

        if (!to_stdout) {
                to_fd = open(arguments->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
                if (to_fd < 0) {
                        r = errno;
                        (void) close(from_fd);
                        return fail(-r, "%s: %s", arguments->output, strerror(r));
                }
        }

        r = copy_content(from_fd, to_fd, UINT64_MAX);
        (void) close(from_fd);
        if (!to_stdout && close(to_fd) < 0 && r >= 0)
                r = -errno;

        return r < 0
                ? fail(r, "cannot write to %s: %s", to_stdout ? "stdout" : arguments->output, strerror(-r))
                : EXIT_SUCCESS;
}

int command_session_finish(const struct arguments *arguments) {
        int r;

        r = check_session(arguments->session_fd);
        if (r > 0)
                return r;

        r = libluo_session_finish(arguments->session_fd);
        return r < 0 ? fail(r, "cannot finish the session: %s", libluo_strerror(r)) : EXIT_SUCCESS;
}

int command_session_name(const struct arguments *arguments) {
        char name[LIBLUO_SESSION_NAME_MAX + 1];
        struct json j = {};
        int r;

        r = check_session(arguments->session_fd);
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
