/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"
#include "internal.h"
#include "listen-stream.h"
#include "service-manager.h"
#include "signals.h"
#include "standard-fds.h"
#include "supervisor.h"

#define FD_STORE_MAX_DEFAULT 512
#define TIMEOUT_DEFAULT 90 /* seconds; systemd's */

static struct plan arg_plan = {
        .start_timeout_usec = TIMEOUT_DEFAULT * USEC_PER_SEC,
        .stop_timeout_usec = TIMEOUT_DEFAULT * USEC_PER_SEC,
};
static bool arg_start_timeout = false, arg_stop_timeout = false;
static bool arg_trace = false;
static const char *arg_trace_file = NULL;
static bool arg_fd_store = false;
static struct unit_setting arg_unit = {};
static struct faults arg_faults = {};

static void help(void) {
        printf("luo-emulate [OPTIONS...] [--] PROGRAM [ARGUMENT...]\n\n"
               "Run a program with an emulated /dev/liveupdate, over pretended kexecs.\n\n"
               "Options:\n"
               "  -h --help              Show this help\n"
               "     --version           Show the version\n"
               "     --kexecs=N          Run the program N+1 times, with a kexec in between\n"
               "     --restarts=N        Start it N+1 times in each boot\n"
               "     --fail=[BOOT/]OPERATION[:NAME[:TOKEN]]=ERROR[*COUNT]\n"
               "                         Let an operation fail (open, create, retrieve-session,\n"
               "                         preserve, retrieve, finish, get-name, fdstore-restore)\n"
               "     --trace[=FILE]      Write a line for each operation, to stderr or FILE\n"
               "     --fd-store[=MAX]    Be the program's service manager, with an fd store\n"
               "     --luo-session=NAME  With --fd-store: LUOSession= of the unit\n"
               "     --sessions-max=N    With --fd-store: LiveUpdateSessionsMax= of the unit\n"
               "     --listen-stream=ADDRESS\n"
               "                         Listen for the program (socket activation): /PATH, @NAME,\n"
               "                         PORT, IPV4:PORT or [IPV6]:PORT\n"
               "     --type=TYPE         When the program has started: at once (simple), or when it\n"
               "                         says READY=1 (notify)\n"
               "     --start-timeout=SECONDS\n"
               "                         With --type=notify: fail when READY=1 has not come after this\n"
               "                         time, 90 by default\n"
               "     --driver=COMMAND    At each start run this beside the program, which is stopped\n"
               "                         when the command is done\n"
               "     --stop=SIGNAL       What it is stopped with, TERM by default\n"
               "     --stop-timeout=SECONDS\n"
               "                         Kill what is left after this time, 90 by default\n"
               "     --stop-post=COMMAND Run this when the program has ended (ExecStopPost=)\n\n"
               "See the luo-emulate(1) man page for details.\n");
}

static int usage_error(const char *option, const char *value, const char *reason) {
        fprintf(stderr, "luo-emulate: %s=%s: %s. Try \"luo-emulate --help\".\n", option, value, reason);
        return EXIT_CANNOT_EMULATE;
}

static bool ends_with_next(const char *name) {
        const char *suffix = strrchr(name, '.');

        return suffix && strcmp(suffix, ".next") == 0;
}

static int add_to_list(const char *option, char *value, char ***list, size_t *n) {
        char **larger;

        for (size_t i = 0; i < *n; i++)
                if (strcmp((*list)[i], value) == 0)
                        return usage_error(option, value, "was given before");

        larger = reallocarray(*list, *n + 1, sizeof(char *));
        if (!larger)
                return usage_error(option, value, "out of memory");

        *list = larger;
        larger[(*n)++] = value;
        return 0;
}

static int add_luo_session(char *name) {
        if (!*name || strlen(name) > LIBLUO_ENTRY_NAME_MAX - strlen(".next") ||
                !libluo_internal_entry_name_is_valid(name, strlen(name)))
                return usage_error("--luo-session", name,
                        "the name has to be printable ASCII without \":\", of 1 to 250 bytes");
        if (ends_with_next(name))
                return usage_error("--luo-session", name,
                        "names that end in \".next\" are those of the sessions for the next kexec");

        return add_to_list("--luo-session", name, &arg_unit.luo_sessions, &arg_unit.n_luo_sessions);
}

static int add_listen_stream(char *address) {
        int r;

        r = listen_stream_check(address);
        if (r == -ENAMETOOLONG)
                return usage_error("--listen-stream", address, "the path or name is longer than 107 bytes");
        if (r < 0)
                return usage_error("--listen-stream", address,
                        "not an address: \"/PATH\", \"@NAME\", \"PORT\", \"IPV4:PORT\" or \"[IPV6]:PORT\"");

        return add_to_list("--listen-stream", address, &arg_unit.listen_streams, &arg_unit.n_listen_streams);
}

static int check_options(void) {
        if (arg_unit.n_luo_sessions > 0 && !arg_fd_store) {
                fprintf(stderr, "luo-emulate: --luo-session needs --fd-store.\n");
                return EXIT_CANNOT_EMULATE;
        }
        if (arg_unit.sessions_max > 0 && !arg_fd_store) {
                fprintf(stderr, "luo-emulate: --sessions-max needs --fd-store.\n");
                return EXIT_CANNOT_EMULATE;
        }
        if (faults_have(&arg_faults, OPERATION_FDSTORE_RESTORE) && !arg_fd_store) {
                fprintf(stderr, "luo-emulate: --fail=fdstore-restore needs --fd-store.\n");
                return EXIT_CANNOT_EMULATE;
        }
        if (arg_plan.stop_signal && !arg_plan.driver && !arg_plan.waits_for_ready) {
                fprintf(stderr,
                        "luo-emulate: --stop needs --driver or --type=notify, to know when it is time.\n");
                return EXIT_CANNOT_EMULATE;
        }

        if (arg_start_timeout && !arg_plan.waits_for_ready) {
                fprintf(stderr, "luo-emulate: --start-timeout needs --type=notify.\n");
                return EXIT_CANNOT_EMULATE;
        }
        if (arg_stop_timeout && !arg_plan.driver && !arg_plan.stop_signal && !arg_plan.stop_post) {
                fprintf(stderr, "luo-emulate: --stop-timeout needs --driver, --stop or --stop-post.\n");
                return EXIT_CANNOT_EMULATE;
        }

        if (arg_plan.driver && !arg_plan.stop_signal)
                arg_plan.stop_signal = SIGTERM;
        return -1;
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
                ARG_SESSIONS_MAX,
                ARG_RESTARTS,
                ARG_LISTEN_STREAM,
                ARG_TYPE,
                ARG_START_TIMEOUT,
                ARG_DRIVER,
                ARG_STOP,
                ARG_STOP_TIMEOUT,
                ARG_STOP_POST,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "kexecs", required_argument, NULL, ARG_KEXECS },
                { "fail", required_argument, NULL, ARG_FAIL },
                { "trace", optional_argument, NULL, ARG_TRACE },
                { "fd-store", optional_argument, NULL, ARG_FD_STORE },
                { "luo-session", required_argument, NULL, ARG_LUO_SESSION },
                { "sessions-max", required_argument, NULL, ARG_SESSIONS_MAX },
                { "restarts", required_argument, NULL, ARG_RESTARTS },
                { "listen-stream", required_argument, NULL, ARG_LISTEN_STREAM },
                { "type", required_argument, NULL, ARG_TYPE },
                { "start-timeout", required_argument, NULL, ARG_START_TIMEOUT },
                { "driver", required_argument, NULL, ARG_DRIVER },
                { "stop", required_argument, NULL, ARG_STOP },
                { "stop-timeout", required_argument, NULL, ARG_STOP_TIMEOUT },
                { "stop-post", required_argument, NULL, ARG_STOP_POST },
                {},
        };
        const char *reason;
        uint64_t value;
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
                        if (!parse_decimal(optarg, UINT_MAX - 1, &value))
                                return usage_error("--kexecs", optarg, "not a number from 0 up");
                        arg_plan.kexecs = (unsigned) value;
                        break;
                case ARG_RESTARTS:
                        if (!parse_decimal(optarg, UINT_MAX - 1, &value))
                                return usage_error("--restarts", optarg, "not a number from 0 up");
                        arg_plan.restarts = (unsigned) value;
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
                        value = FD_STORE_MAX_DEFAULT;
                        if (optarg && !parse_decimal(optarg, UINT_MAX, &value))
                                return usage_error("--fd-store", optarg, "not a number from 0 up");
                        arg_unit.fd_store_max = value;
                        break;
                case ARG_LUO_SESSION:
                        r = add_luo_session(optarg);
                        if (r != 0)
                                return r;
                        break;
                case ARG_SESSIONS_MAX:
                        if (!parse_decimal(optarg, UINT_MAX, &value))
                                return usage_error("--sessions-max", optarg, "not a number from 0 up");
                        arg_unit.sessions_max = value;
                        break;
                case ARG_LISTEN_STREAM:
                        r = add_listen_stream(optarg);
                        if (r != 0)
                                return r;
                        break;
                case ARG_TYPE:
                        arg_plan.waits_for_ready = strcmp(optarg, "notify") == 0;
                        if (!arg_plan.waits_for_ready && strcmp(optarg, "simple") != 0)
                                return usage_error("--type", optarg, "neither \"simple\" nor \"notify\"");
                        break;
                case ARG_START_TIMEOUT:
                        if (!parse_decimal(optarg, UINT_MAX, &value))
                                return usage_error("--start-timeout", optarg, "not a number of seconds");
                        arg_plan.start_timeout_usec = value * USEC_PER_SEC;
                        arg_start_timeout = true;
                        break;
                case ARG_DRIVER:
                        arg_plan.driver = optarg;
                        break;
                case ARG_STOP:
                        if (!signal_parse(optarg, &arg_plan.stop_signal))
                                return usage_error("--stop", optarg, "not a signal");
                        break;
                case ARG_STOP_POST:
                        arg_plan.stop_post = optarg;
                        break;
                case ARG_STOP_TIMEOUT:
                        if (!parse_decimal(optarg, UINT_MAX, &value))
                                return usage_error("--stop-timeout", optarg, "not a number of seconds");
                        arg_plan.stop_timeout_usec = value * USEC_PER_SEC;
                        arg_stop_timeout = true;
                        break;
                default:
                        fprintf(stderr, "Try \"luo-emulate --help\".\n");
                        return EXIT_CANNOT_EMULATE;
                }

        if (optind >= argc) {
                fprintf(stderr, "luo-emulate: PROGRAM is missing. Try \"luo-emulate --help\".\n");
                return EXIT_CANNOT_EMULATE;
        }

        arg_plan.argv = argv + optind;
        return check_options();
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

/* What was asked for and did not come is a failure, too. */
static int end_of_run(const struct supervisor *s, int status) {
        if (s->end == BOOT_FAILED || s->end == BOOT_ENDED_BY_SIGNAL)
                return status;

        if (faults_tell_unused(&arg_faults) && status == EXIT_SUCCESS)
                status = EXIT_FAULT_UNUSED;
        if (s->trace.failed && status == EXIT_SUCCESS)
                status = EXIT_CANNOT_EMULATE;
        return status;
}

static int emulate(const char *folder) {
        struct supervisor supervisor;
        int trace_fd = -1, status = EXIT_CANNOT_EMULATE, r;

        if (arg_trace) {
                trace_fd = open_trace();
                if (trace_fd < 0)
                        return status;
        }

        r = supervisor_init(&supervisor, &arg_faults, trace_fd, arg_trace_file);
        if (r < 0)
                fprintf(stderr, "luo-emulate: cannot start: %s.\n", strerror(-r));
        else if (folder)
                r = service_manager_new(&supervisor, &arg_unit, folder, &supervisor.manager);
        if (r >= 0)
                status = end_of_run(&supervisor, supervisor_run(&supervisor, &arg_plan));

        service_manager_free(supervisor.manager);
        supervisor_done(&supervisor);
        close_fd(trace_fd);
        return status;
}

/* In both processes: whichever is killed, the other one leaves nothing behind. */
static int run(void) {
        struct guard guard;
        char *folder = NULL;
        int status, r;

        if ((arg_fd_store || arg_unit.n_listen_streams > 0 || arg_plan.waits_for_ready) &&
                service_manager_make_folder(&folder) < 0)
                return EXIT_CANNOT_EMULATE;

        r = guard_begin(&guard);
        if (r < 0) {
                fprintf(stderr, "luo-emulate: cannot start a process: %s.\n", strerror(-r));
                status = EXIT_CANNOT_EMULATE;
        } else if (guard.pid > 0)
                status = guard_wait(&guard);
        else {
                arg_plan.lifeline = guard.lifeline;
                status = emulate(folder);
                close_fd(guard.lifeline);
        }

        if (folder)
                service_manager_remove_folder(folder);
        free(folder);
        return status;
}

int main(int argc, char *argv[]) {
        int status, r;

        status = parse_arguments(argc, argv);
        if (status < 0) {
                r = occupy_standard_fds();
                if (r < 0)
                        fprintf(stderr, "luo-emulate: cannot open /dev/null: %s.\n", strerror(-r));
                status = r < 0 ? EXIT_CANNOT_EMULATE : run();
        } else if (status == EXIT_SUCCESS && (fflush(stdout) != 0 || ferror(stdout))) {
                fprintf(stderr, "luo-emulate: cannot write: %s.\n", strerror(errno));
                status = EXIT_CANNOT_EMULATE;
        }

        faults_done(&arg_faults);
        free(arg_unit.luo_sessions);
        free(arg_unit.listen_streams);
        return status;
}
