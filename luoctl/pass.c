/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "luoctl.h"
#include "pass.h"
#include "program.h"

/* Returns the parent of a process, or 0. */
static pid_t parent_of(pid_t pid) {
        char path[64], line[256];
        pid_t parent = 0;
        uint64_t number;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%ji/status", (intmax_t) pid);
        f = fopen(path, "re");
        if (!f)
                return 0;

        while (fgets(line, sizeof(line), f))
                if (strncmp(line, "PPid:\t", strlen("PPid:\t")) == 0) {
                        line[strcspn(line, "\n")] = 0;
                        if (parse_number(line + strlen("PPid:\t"), INT32_MAX, &number))
                                parent = (pid_t) number;
                        break;
                }

        (void) fclose(f);
        return parent;
}

static bool descends_from(pid_t pid) {
        for (pid_t ancestor = getppid(); ancestor > 0; ancestor = parent_of(ancestor))
                if (ancestor == pid)
                        return true;

        return false;
}

int pass_inherit(void) {
        const char *text = getenv("LISTEN_PID");
        uint64_t number;
        char pid[32];

        if (!text || !parse_number(text, INT32_MAX, &number) || !descends_from((pid_t) number))
                return 0;

        (void) snprintf(pid, sizeof(pid), "%ji", (intmax_t) getpid());
        return setenv("LISTEN_PID", pid, 1) < 0 || unsetenv("LISTEN_PIDFDID") < 0 ? -errno : 0;
}

static bool is_passed_to_this(void) {
        const char *pid = getenv("LISTEN_PID");
        uint64_t number;

        return pid && parse_number(pid, INT32_MAX, &number) && (pid_t) number == getpid();
}

unsigned passed_fds(void) {
        const char *fds = getenv("LISTEN_FDS");
        uint64_t number;

        return fds && is_passed_to_this() && parse_number(fds, INT32_MAX / 2, &number) ? (unsigned) number
                                                                                       : 0;
}

/* The name of a file descriptor that was passed, of *ret_length bytes */
static const char *name_of(unsigned i, int *ret_length) {
        const char *names = getenv("LISTEN_FDNAMES");

        for (; names && i > 0; i--) {
                names = strchr(names, ':');
                names = names ? names + 1 : NULL;
        }
        if (!names)
                names = "unknown";

        *ret_length = (int) strcspn(names, ":");
        return names;
}

static bool is_open(unsigned i) {
        return fcntl(FIRST_PASSED_FD + (int) i, F_GETFD) >= 0;
}

static int not_open(unsigned i) {
        int length;
        const char *name = name_of(i, &length);

        return fail(-EBADF,
                "file descriptor %i (\"%.*s\"), which the service was given, is not open any more",
                FIRST_PASSED_FD + (int) i, length, name);
}

static int check_number(const char *fds, uint64_t *ret) {
        return parse_number(fds, INT32_MAX / 2, ret)
                ? 0
                : fail(-EBADMSG, "$LISTEN_FDS is no number: \"%s\"", fds);
}

int pass_check(void) {
        const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
        uint64_t number;
        int r;

        if (!fds)
                return pid || getenv("LISTEN_FDNAMES")
                        ? fail(-EBADMSG, "$LISTEN_PID or $LISTEN_FDNAMES is set, but not $LISTEN_FDS")
                        : 0;
        r = check_number(fds, &number);
        if (r > 0 || number == 0)
                return r;
        if (!pid)
                return fail(-EBADMSG, "$LISTEN_FDS is set, but not $LISTEN_PID");

        r = pass_inherit();
        if (r < 0)
                return fail(r, "%s", strerror(-r));
        if (passed_fds() == 0)
                return fail(-EPERM,
                        "what is stored was passed to process %s ($LISTEN_PID), which this one does not descend from",
                        pid);

        for (unsigned i = 0; i < passed_fds(); i++)
                if (!is_open(i))
                        return not_open(i);

        return 0;
}

/* Whether it is the name of a session that was passed: NAME or NAME.next, and maybe a generation of libluo's */
static bool is_of_session(const char *passed, const char *name) {
        size_t length = strlen(name), rest;

        if (strncmp(passed, name, length) != 0)
                return false;

        passed += length;
        rest = strcspn(passed, ":~");
        return rest == 0 || (rest == strlen(".next") && strncmp(passed, ".next", rest) == 0);
}

int pass_check_session(const char *name) {
        const char *fds = getenv("LISTEN_FDS");
        uint64_t number;
        int length, r;

        r = pass_inherit();
        if (r < 0)
                return fail(r, "%s", strerror(-r));
        r = fds && is_passed_to_this() ? check_number(fds, &number) : 0;
        if (r > 0)
                return r;

        /* libluo takes all that was passed, or nothing: so the first number that is free gets what nobody asks for */
        for (unsigned i = 0; i < passed_fds(); i++)
                if (!is_open(i) &&
                        (is_of_session(name_of(i, &length), name) ||
                                eventfd(0, EFD_CLOEXEC) != FIRST_PASSED_FD + (int) i))
                        return not_open(i);

        return 0;
}

int pass_check_main(void) {
        const char *pid = getenv("MAINPID");
        uint64_t number;

        if (getenv("SERVICE_RESULT"))
                return fail(-EPERM,
                        "what is stored is passed to ExecStart= alone, and this is run by ExecStop= or ExecStopPost= "
                        "($SERVICE_RESULT is set)");
        if (pid && parse_number(pid, INT32_MAX, &number) && (pid_t) number != getpid() &&
                !descends_from((pid_t) number))
                return fail(-EPERM,
                        "what is stored is passed to ExecStart= alone: to process %s ($MAINPID), which this one does "
                        "not descend from",
                        pid);

        return 0;
}

const char *passed_fd_name(const char *name) {
        for (const char *p = name; *p; p++)
                if (*p < ' ' || *p >= 127 || *p == ':')
                        return "unknown";

        return name;
}

static int set_environment(const char *const *names, size_t n_fds, unsigned n_before) {
        const char *before = n_before > 0 ? getenv("LISTEN_FDNAMES") : NULL;
        char pid[32], number[32], *all = NULL;
        size_t size;
        int r = 0;
        FILE *f;

        f = open_memstream(&all, &size);
        if (!f)
                return -ENOMEM;
        if (before)
                fputs(before, f);
        for (size_t i = 0; i < n_fds; i++)
                fprintf(f, "%s%s", before || i > 0 ? ":" : "", passed_fd_name(names[i]));
        if (fclose(f) != 0) {
                free(all);
                return -ENOMEM;
        }

        (void) snprintf(pid, sizeof(pid), "%ji", (intmax_t) getpid());
        (void) snprintf(number, sizeof(number), "%zu", n_before + n_fds);
        if (setenv("LISTEN_PID", pid, 1) < 0 || setenv("LISTEN_FDS", number, 1) < 0 ||
                unsetenv("LISTEN_PIDFDID") < 0)
                r = -errno;
        /* All of them have a name, or none */
        else if (n_before > 0 && !before)
                r = unsetenv("LISTEN_FDNAMES") < 0 ? -errno : 0;
        else if (setenv("LISTEN_FDNAMES", all, 1) < 0)
                r = -errno;

        free(all);
        return r;
}

int pass_fds(int *fds, const char *const *names, size_t n_fds, bool replace) {
        unsigned n_before = replace ? 0 : passed_fds();
        int first = FIRST_PASSED_FD + (int) n_before, end = first + (int) n_fds;

        /* Out of the way first: each may have a number that another one is to get */
        for (size_t i = 0; i < n_fds; i++)
                if (fds[i] < end) {
                        int moved;

                        moved = fcntl(fds[i], F_DUPFD_CLOEXEC, end);
                        if (moved < 0)
                                return -errno;
                        (void) close(fds[i]);
                        fds[i] = moved;
                }

        for (size_t i = 0; i < n_fds; i++) {
                if (dup2(fds[i], first + (int) i) < 0)
                        return -errno;
                (void) close(fds[i]);
        }

        return set_environment(names, n_fds, n_before);
}

static int cannot_run(const char *program, int error) {
        (void) fail(error, "cannot run %s: %s", program, strerror(-error));
        return error == -ENOENT ? EXIT_NO_PROGRAM : EXIT_CANNOT_EXECUTE;
}

int become_program(const char *path, char **program) {
        /* Not execv(2), which has no shell for scripts without "#!" */
        (void) execvp(path, program);
        return cannot_run(path, -errno);
}

int find_program(const char *name, char **ret_path) {
        int r;

        r = program_find(name, ret_path);
        if (r == -ENOMEM)
                return fail(r, "%s", strerror(-r));
        return r < 0 ? cannot_run(name, r) : 0;
}
