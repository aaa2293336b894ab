/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "program.h"
#include "service-manager.h"
#include "supervisor.h"

#define FD_STORE_MAX_DEFAULT 512

static unsigned arg_kexecs = 0;
static bool arg_trace = false;
static const char *arg_trace_file = NULL;
static bool arg_fd_store = false;
static size_t arg_fd_store_max = FD_STORE_MAX_DEFAULT;
static char **arg_luo_sessions = NULL;
static size_t arg_n_luo_sessions = 0;
static struct faults arg_faults = {};

static void help(void) {
        printf("luo-emulate [OPTIONS...] [--] PROGRAM [ARGUMENT...]\n\n"
               "Run a program with an emulated /dev/liveupdate, over pretended kexecs.\n\n"
               "Options:\n"
               "  -h --help              Show this help\n"
               "     --version           Show the version\n"
               "     --kexecs=N          Run the program N+1 times, with a kexec in between\n"
               "     --fail=[BOOT/]OPERATION[:SESSION[:TOKEN]]=ERROR[*COUNT]\n"
               "                         Let an operation fail (open, create, retrieve-session,\n"
               "                         preserve, retrieve, finish, get-name)\n"
               "     --trace[=FILE]      Write a line for each operation, to stderr or FILE\n"
               "     --fd-store[=MAX]    Be the program's service manager, with an fd store\n"
               "     --luo-session=NAME  With --fd-store: LUOSession= of the unit\n\n"
               "See the luo-emulate(1) man page for details.\n");
}

static bool parse_unsigned(const char *text, unsigned long max, unsigned long *ret) {
        unsigned long value;
        char *end;

        if (*text < '0' || *text > '9')
                return false;

        errno = 0;
        value = strtoul(text, &end, 10);
        if (errno != 0 || *end || value > max)
                return false;

        *ret = value;
        return true;
}

static int usage_error(const char *option, const char *value, const char *reason) {
        fprintf(stderr, "luo-emulate: %s=%s: %s. Try \"luo-emulate --help\".\n", option, value, reason);
        return EXIT_CANNOT_EMULATE;
}

static bool ends_with_next(const char *name) {
        const char *suffix = strrchr(name, '.');

        return suffix && strcmp(suffix, ".next") == 0;
}

static int add_luo_session(char *name) {
        char **names;

        if (!*name || strlen(name) > LIBLUO_ENTRY_NAME_MAX - strlen(".next") ||
                !libluo_internal_entry_name_is_valid(name, strlen(name)))
                return usage_error("--luo-session", name,
                        "the name has to be printable ASCII without \":\", of 1 to 250 bytes");
        if (ends_with_next(name))
                return usage_error("--luo-session", name,
                        "names that end in \".next\" are those of the sessions for the next kexec");
        for (size_t i = 0; i < arg_n_luo_sessions; i++)
                if (strcmp(arg_luo_sessions[i], name) == 0)
                        return usage_error("--luo-session", name, "the name was given before");

        names = reallocarray(arg_luo_sessions, arg_n_luo_sessions + 1, sizeof(*names));
        if (!names)
                return usage_error("--luo-session", name, "out of memory");

        arg_luo_sessions = names;
        arg_luo_sessions[arg_n_luo_sessions++] = name;
        return 0;
}

/* Returns -1 to go on, or the exit status. */
static int parse_arguments(int argc, char *argv[]) {
        enum {
                ARG_VERSION = 0x100,
                ARG_KEXECS,
                ARG_FAIL,
                ARG_TRACE,
                ARG_FD_STORE,
                ARG_LUO_SESSION,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "kexecs", required_argument, NULL, ARG_KEXECS },
                { "fail", required_argument, NULL, ARG_FAIL },
                { "trace", optional_argument, NULL, ARG_TRACE },
                { "fd-store", optional_argument, NULL, ARG_FD_STORE },
                { "luo-session", required_argument, NULL, ARG_LUO_SESSION },
                {},
        };
        const char *reason;
        unsigned long value;
        int c, r;

        /* "+": options behind the program are the program's */
        while ((c = getopt_long(argc, argv, "+h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return EXIT_SUCCESS;
                case ARG_VERSION:
                        printf("luo-emulate %s\n", libluo_version());
                        return EXIT_SUCCESS;
                case ARG_KEXECS:
                        if (!parse_unsigned(optarg, UINT_MAX - 1, &value))
                                return usage_error("--kexecs", optarg, "not a number from 0 up");
                        arg_kexecs = (unsigned) value;
                        break;
                case ARG_FAIL:
                        r = faults_add(&arg_faults, optarg, &reason);
                        if (r < 0)
                                return usage_error("--fail", optarg, reason);
                        break;
                case ARG_TRACE:
                        arg_trace = true;
                        arg_trace_file = optarg;
                        break;
                case ARG_FD_STORE:
                        arg_fd_store = true;
                        if (optarg) {
                                if (!parse_unsigned(optarg, UINT_MAX, &value))
                                        return usage_error("--fd-store", optarg, "not a number from 0 up");
                                arg_fd_store_max = value;
                        }
                        break;
                case ARG_LUO_SESSION:
                        r = add_luo_session(optarg);
                        if (r != 0)
                                return r;
                        break;
                default:
                        fprintf(stderr, "Try \"luo-emulate --help\".\n");
                        return EXIT_CANNOT_EMULATE;
                }

        if (optind >= argc) {
                fprintf(stderr, "luo-emulate: PROGRAM is missing. Try \"luo-emulate --help\".\n");
                return EXIT_CANNOT_EMULATE;
        }
        if (arg_n_luo_sessions > 0 && !arg_fd_store) {
                fprintf(stderr, "luo-emulate: --luo-session needs --fd-store.\n");
                return EXIT_CANNOT_EMULATE;
        }

        return -1;
}

/* Returns a file descriptor, or -1 when it was said what is wrong. */
static int open_trace(void) {
        int fd;

        /* A duplicate of our own, at a number that the program's descriptors are not passed at */
        if (arg_trace_file)
                fd = open(
                        arg_trace_file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
        else
                fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                fprintf(stderr, "luo-emulate: cannot open %s for the trace: %s.\n",
                        arg_trace_file ? arg_trace_file : "stderr", strerror(errno));

        return fd;
}

static int run(char *argv[]) {
        struct supervisor supervisor;
        int trace_fd = -1, status, r;

        if (arg_trace) {
                trace_fd = open_trace();
                if (trace_fd < 0)
                        return EXIT_CANNOT_EMULATE;
        }

        r = supervisor_init(&supervisor, &arg_faults, trace_fd);
        if (r >= 0 && arg_fd_store)
                r = service_manager_new(&supervisor, arg_fd_store_max, arg_luo_sessions, arg_n_luo_sessions,
                        &supervisor.manager);
        if (r < 0) {
                fprintf(stderr, "luo-emulate: cannot start: %s.\n", strerror(-r));
                status = EXIT_CANNOT_EMULATE;
        } else
                status = supervisor_run(&supervisor, argv, arg_kexecs);

        service_manager_free(supervisor.manager);
        supervisor_done(&supervisor);
        close_fd(trace_fd);
        return status;
}

int main(int argc, char *argv[]) {
        int status;

        status = parse_arguments(argc, argv);
        if (status < 0)
                status = run(argv + optind);
        else if (status == EXIT_SUCCESS && (fflush(stdout) != 0 || ferror(stdout))) {
                fprintf(stderr, "luo-emulate: cannot write: %s.\n", strerror(errno));
                status = EXIT_CANNOT_EMULATE;
        }

        faults_done(&arg_faults);
        free(arg_luo_sessions);
        return status;
}
