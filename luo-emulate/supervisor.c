/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "filter.h"
#include "internal.h"
#include "process.h"
#include "service-manager.h"
#include "signals.h"
#include "supervisor.h"

/* How often closed sessions are looked for while nobody asks for anything. */
#define IDLE_USEC 250000

#define FILES_LIMIT (1U << 20)

/* File descriptors that are left for what is opened for a moment, and how many there have to be besides */
#define FILES_RESERVED 32
#define FILES_NEEDED 32

/* ------------------------------------------------------------------------------------------------- signals ---- */

/* Signals arrive only while the supervisor waits; they note themselves and end the waiting. */
static volatile sig_atomic_t signal_to_end = 0, child_changed = 0, timer_expired = 0;

static const int signals_to_end[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static void note_signal(int number) {
        if (number == SIGCHLD)
                child_changed = 1;
        else if (number == SIGALRM)
                timer_expired = 1;
        else
                signal_to_end = number;
}

static void catch_signals(struct program_setting *ret_setting) {
        struct sigaction action = { .sa_handler = note_signal }, ignore = { .sa_handler = SIG_IGN };
        struct itimerval interval = {
                .it_interval.tv_usec = IDLE_USEC,
                .it_value.tv_usec = IDLE_USEC,
        };
        sigset_t blocked;

        (void) sigemptyset(&blocked);
        for (size_t i = 0; i < ELEMENTS(signals_to_end); i++)
                (void) sigaddset(&blocked, signals_to_end[i]);
        (void) sigaddset(&blocked, SIGCHLD);
        (void) sigaddset(&blocked, SIGALRM);
        (void) sigprocmask(SIG_BLOCK, &blocked, &ret_setting->signal_mask);

        for (size_t i = 0; i < ELEMENTS(signals_to_end); i++) {
                struct sigaction old;

                /* nohup(1) and shells without job control mean it */
                if (sigaction(signals_to_end[i], NULL, &old) >= 0 && old.sa_handler != SIG_IGN)
                        (void) sigaction(signals_to_end[i], &action, NULL);
        }
        (void) sigaction(SIGCHLD, &action, NULL);
        (void) sigaction(SIGALRM, &action, NULL);
        (void) sigaction(SIGPIPE, &ignore, &ret_setting->pipe_action);
        (void) sigaction(SIGXFSZ, &ignore, &ret_setting->file_size_action);

        /*
         * Receiving a notification blocks if its sender was killed after it was announced. The timer ends that, too.
         */
        (void) setitimer(ITIMER_REAL, &interval, NULL);
}

/* ---------------------------------------------------------------------------------------------------- a boot ---- */

/* As the shell has it. */
static int exit_status(int status) {
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* "boot 1", "boot 1, restart 2" */
static void tell(const struct supervisor *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(const struct supervisor *s, const char *format, ...) {
        va_list arguments;

        fprintf(stderr, "luo-emulate: boot %u", s->kernel.boot);
        if (s->plan->restarts > 0)
                fprintf(stderr, ", restart %u", s->restart);
        fprintf(stderr, ": ");
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fprintf(stderr, ".\n");
}

static void end_start(struct supervisor *s, enum boot_end end, int status) {
        if (s->end != BOOT_RUNS)
                return;

        s->end = end;
        s->status = status;
}

/* As a service manager tells a service to end: all its processes, and what is still there later is killed. */
static void stop(struct supervisor *s) {
        s->phase = PHASE_STOPPING;
        s->stop_deadline_usec = now_usec() + s->plan->stop_timeout_usec;

        trace_begin(&s->trace);
        trace_word(&s->trace, "event", "stop");
        trace_word(&s->trace, "signal", signal_to_string(s->plan->stop_signal));
        trace_end(&s->trace);

        process_signal_descendants(s->plan->stop_signal);
}

/* What systemd takes for a clean end of a service. */
static bool is_clean_end(const struct supervisor *s, int status) {
        static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE };

        if (WIFEXITED(status))
                return WEXITSTATUS(status) == EXIT_SUCCESS;

        for (size_t i = 0; i < ELEMENTS(signals); i++)
                if (WTERMSIG(status) == signals[i])
                        return true;

        return WTERMSIG(status) == s->plan->stop_signal;
}

static void main_ended(struct supervisor *s, int status) {
        s->main.pid = 0;
        s->main_status = status;

        if (s->phase == PHASE_STOPPING) {
                if (!is_clean_end(s, status)) {
                        tell(s, "the program ended with status %i when it was stopped", exit_status(status));
                        end_start(s, BOOT_ENDED_BY_EXIT, exit_status(status));
                }
                return;
        }

        /* It may have said so with its last breath */
        if (s->manager)
                service_manager_dispatch(s->manager);
        if (s->plan->waits_for_ready && !service_manager_is_ready(s->manager)) {
                tell(s, "the program ended with status %i and had not said READY=1", exit_status(status));
                s->result = exit_status(status) ? NULL : "protocol";
                end_start(s, BOOT_ENDED_BY_EXIT, exit_status(status) ? exit_status(status) : EXIT_FAILURE);
        } else if (exit_status(status) != EXIT_SUCCESS || !s->plan->stop_signal) {
                if (s->plan->stop_signal)
                        tell(s, "the program ended with status %i before it was stopped",
                                exit_status(status));
                end_start(s, BOOT_ENDED_BY_EXIT, exit_status(status));
        } else if (!s->plan->driver)
                stop(s);
        /* Otherwise it is for the driver to find out whether that is right */
}

static void driver_ended(struct supervisor *s, int status) {
        s->driver.pid = 0;

        if (s->phase == PHASE_ENDED) {
                if (exit_status(status) != EXIT_SUCCESS)
                        tell(s, "what runs after the program's end ended with status %i",
                                exit_status(status));
                end_start(s, BOOT_ENDED_BY_EXIT, exit_status(status));
        } else if (exit_status(status) != EXIT_SUCCESS) {
                tell(s, "the driver ended with status %i", exit_status(status));
                end_start(s, BOOT_ENDED_BY_EXIT, exit_status(status));
        } else if (s->end == BOOT_RUNS)
                stop(s);
}

static void reap(struct supervisor *s) {
        int status;
        pid_t pid;

        child_changed = 0;
        while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0)
                if (pid == s->main.pid)
                        main_ended(s, status);
                else if (pid == s->driver.pid)
                        driver_ended(s, status);

        s->anybody_left = pid == 0 || errno != ECHILD;
}

/* Receives and answers one request. */
static void serve(struct supervisor *s, const struct program *program, struct seccomp_notif *request,
        size_t size, const sigset_t *unblocked) {

        sigset_t blocked;
        int r;

        s->listener = program->listener;
        memset(request, 0, size);
        (void) sigprocmask(SIG_SETMASK, unblocked, &blocked);
        r = ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, request);
        (void) sigprocmask(SIG_SETMASK, &blocked, NULL);
        if (r >= 0)
                request_answer(s, request);
}

/* $SERVICE_RESULT of systemd.exec(5) */
static const char *service_result(const struct supervisor *s) {
        if (s->result)
                return s->result;
        if (is_clean_end(s, s->main_status))
                return "success";
        if (WIFEXITED(s->main_status))
                return "exit-code";
        return WCOREDUMP(s->main_status) ? "core-dump" : "signal";
}

static int start_program(struct supervisor *s, char *const argv[], const struct sock_fprog *filter,
        const struct program_setting *setting, enum program_role role, struct program *ret) {

        struct program_start start = {
                .argv = argv,
                .boot = s->kernel.boot,
                .restart = s->restart,
                .role = role,
                .main_pid = s->main.pid,
                .result = service_result(s),
                .main_status = s->main_status,
                .filter = filter,
                .setting = setting,
                .manager = s->manager,
        };

        return program_start(&start, ret);
}

static int start_command(struct supervisor *s, char *command, const struct sock_fprog *filter,
        const struct program_setting *setting, enum program_role role) {

        static char shell[] = "/bin/sh", option[] = "-c";

        return start_program(
                s, (char *const[]) { shell, option, command, NULL }, filter, setting, role, &s->driver);
}

/* The program is there: what is to be done with it. */
static void begin_running(
        struct supervisor *s, const struct sock_fprog *filter, const struct program_setting *setting) {

        int r;

        s->phase = PHASE_RUNNING;
        if (!s->plan->driver) {
                if (s->plan->stop_signal)
                        stop(s);
                return;
        }

        r = start_command(s, s->plan->driver, filter, setting, ROLE_DRIVER);
        if (r != 0)
                end_start(s, BOOT_FAILED, r);
}

static void stop_timed_out(struct supervisor *s) {
        bool is_main = s->main.pid != 0;

        process_kill_descendants();
        if (s->phase == PHASE_ENDED)
                tell(s, "what runs after the program's end did not end within %" PRIu64 " s, and was killed",
                        s->plan->stop_timeout_usec / USEC_PER_SEC);
        else
                tell(s, "%s did not end within %" PRIu64 " s of SIG%s, and was killed",
                        is_main ? "the program" : "a process of the program",
                        s->plan->stop_timeout_usec / USEC_PER_SEC, signal_to_string(s->plan->stop_signal));
        s->result = "timeout";
        end_start(s, BOOT_ENDED_BY_EXIT, 128 + SIGKILL);
}

static void start_timed_out(struct supervisor *s) {
        process_kill_descendants();
        tell(s, "the program has not said READY=1 within %" PRIu64 " s, and was killed",
                s->plan->start_timeout_usec / USEC_PER_SEC);
        s->result = "timeout";
        end_start(s, BOOT_ENDED_BY_EXIT, 128 + SIGKILL);
}

/* Moves on what does not come by a request or a message. */
static void advance(
        struct supervisor *s, const struct sock_fprog *filter, const struct program_setting *setting) {

        if (timer_expired) {
                timer_expired = 0;
                (void) objects_sweep(s);
        }
        if (child_changed)
                reap(s);
        if (s->end == BOOT_RUNS && s->phase == PHASE_STARTING && (s->main.pid || s->plan->driver) &&
                (!s->plan->waits_for_ready || service_manager_is_ready(s->manager)))
                begin_running(s, filter, setting);
        else if (s->end == BOOT_RUNS && s->phase == PHASE_STARTING && now_usec() >= s->start_deadline_usec)
                start_timed_out(s);
        if (s->end != BOOT_RUNS || (s->phase != PHASE_STOPPING && s->phase != PHASE_ENDED))
                return;

        reap(s);
        if (s->end != BOOT_RUNS)
                return;
        if (!s->anybody_left)
                end_start(s, BOOT_ENDED_BY_EXIT, EXIT_SUCCESS);
        else if (now_usec() >= s->stop_deadline_usec)
                stop_timed_out(s);
}

/* Serves the program until it ends. */
static void serve_start(struct supervisor *s, const struct sock_fprog *filter,
        const struct program_setting *setting, struct seccomp_notif *request, size_t size) {

        struct program *programs[] = { &s->main, &s->driver };

        for (advance(s, filter, setting); s->end == BOOT_RUNS; advance(s, filter, setting)) {
                struct pollfd fds[ELEMENTS(programs) + 2] = {
                        [ELEMENTS(programs)] = { .fd = s->manager ? service_manager_fd(s->manager) : -1,
                                .events = POLLIN },
                        [ELEMENTS(programs) + 1] = { .fd = s->plan->lifeline },
                };
                int n;

                for (size_t i = 0; i < ELEMENTS(programs); i++)
                        fds[i] = (struct pollfd) {
                                .fd = programs[i]->has_callers ? programs[i]->listener : -1,
                                .events = POLLIN,
                        };

                n = ppoll(fds, ELEMENTS(fds), NULL, &setting->signal_mask);
                if (signal_to_end) {
                        end_start(s, BOOT_ENDED_BY_SIGNAL, 128 + signal_to_end);
                        break;
                }
                if (n > 0 && fds[ELEMENTS(programs) + 1].revents) {
                        end_start(s, BOOT_ENDED_BY_SIGNAL, 128 + SIGKILL);
                        break;
                }
                if (n > 0 && fds[ELEMENTS(programs)].revents)
                        service_manager_dispatch(s->manager);
                for (size_t i = 0; n > 0 && i < ELEMENTS(programs) && s->end == BOOT_RUNS; i++)
                        if (fds[i].revents & POLLIN)
                                serve(s, programs[i], request, size, &setting->signal_mask);
                        else if (fds[i].revents & POLLHUP)
                                /* All who could call are gone, which SIGCHLD is about to say */
                                programs[i]->has_callers = false;
        }
}

/* ----------------------------------------------------------------------------------- restarts and the kexec ---- */

static void forget_program(struct program *program) {
        close_fd(program->listener);
        *program = (struct program) { .listener = -1 };
}

static void stop_processes(struct supervisor *s) {
        process_kill_descendants();
        forget_program(&s->main);
        forget_program(&s->driver);
        s->listener = -1;
}

/* What a service manager runs when the service has ended, in whatever way. Its failure is one of the run. */
static void run_stop_post(struct supervisor *s, const struct sock_fprog *filter,
        const struct program_setting *setting, struct seccomp_notif *request, size_t size) {

        int status = s->status, r;

        stop_processes(s);
        if (s->manager)
                service_manager_dispatch(s->manager);

        s->end = BOOT_RUNS;
        s->phase = PHASE_ENDED;
        s->anybody_left = true;
        s->stop_deadline_usec = now_usec() + s->plan->stop_timeout_usec;
        r = start_command(s, s->plan->stop_post, filter, setting, ROLE_STOP_POST);
        if (r != 0)
                end_start(s, BOOT_FAILED, r);
        serve_start(s, filter, setting, request, size);
        stop_processes(s);
        if (s->manager)
                service_manager_dispatch(s->manager);

        if (s->end == BOOT_ENDED_BY_EXIT && status != EXIT_SUCCESS)
                s->status = status;
}

/* The service is started again, and what nobody but it had open is closed. */
static void restart(struct supervisor *s) {
        stop_processes(s);
        if (s->manager)
                service_manager_dispatch(s->manager);
        (void) objects_sweep(s);

        s->restart++;
        trace_begin(&s->trace);
        trace_word(&s->trace, "event", "restart");
        trace_number(&s->trace, "restart", s->restart);
        trace_end(&s->trace);
}

static void kexec(struct supervisor *s) {
        size_t n_sessions = 0, n_files = 0, n_lost;
        int error = 0;
        struct session *session;

        /*
         * Who calls reboot(2) is there at the kexec, with all others. Where a service manager reboots, it stops the
         * service first, and what only the service's processes had open is closed.
         */
        if (s->manager && s->end == BOOT_ENDED_BY_EXIT)
                stop_processes(s);

        (void) objects_sweep(s);
        kernel_freeze(&s->kernel);
        if (s->main.listener >= 0)
                stop_processes(s);

        if (s->manager)
                service_manager_before_kexec(s->manager);

        TAILQ_FOREACH (session, &s->kernel.sessions, sessions)
                if (!session->incoming) {
                        n_sessions++;
                        n_files += session->n_files;
                }

        trace_begin(&s->trace);
        trace_word(&s->trace, "event", "kexec");
        trace_number(&s->trace, "sessions", n_sessions);
        trace_number(&s->trace, "files", n_files);
        trace_end(&s->trace);

        objects_forget(s);
        n_lost = kernel_kexec(&s->kernel, &error);
        s->trace.boot = s->kernel.boot;
        s->restart = 0;
        if (n_lost > 0)
                fprintf(stderr,
                        "luo-emulate: %zu of %zu preserved files could not be carried over the kexec: %s; "
                        "retrieving them fails.\n",
                        n_lost, n_files, strerror(-error));

        if (s->manager)
                service_manager_after_kexec(s->manager);
}

/* The exit status of the run when it ends with this boot. */
static int end_of_run(struct supervisor *s) {
        unsigned left = s->plan->kexecs - s->kernel.boot;

        switch (s->end) {
        case BOOT_ENDED_BY_REBOOT:
                if (left == 0)
                        return EXIT_SUCCESS;
                fprintf(stderr,
                        "luo-emulate: reboot(2) with %s ended the run in boot %u, with %u %s to go.\n",
                        s->reboot_command, s->kernel.boot, left, left == 1 ? "kexec" : "kexecs");
                return EXIT_FAILURE;
        case BOOT_ENDED_BY_KEXEC:
                return EXIT_SUCCESS;
        default:
                return s->status;
        }
}

/* LUO knows no limit on the size of files. */
static void raise_file_size_limit(struct rlimit *ret_old) {
        struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

        (void) getrlimit(RLIMIT_FSIZE, ret_old);
        if (setrlimit(RLIMIT_FSIZE, &limit) < 0) {
                limit = *ret_old;
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_FSIZE, &limit);
        }
}

/* Each preserved file takes a descriptor here. */
static void raise_files_limit(struct rlimit *ret_old) {
        struct rlimit limit;

        (void) getrlimit(RLIMIT_NOFILE, ret_old);

        /* Privileged, up to what is /proc/sys/fs/nr_open on most machines; otherwise to the hard limit */
        limit = (struct rlimit) { FILES_LIMIT, FILES_LIMIT };
        if (ret_old->rlim_max >= FILES_LIMIT || setrlimit(RLIMIT_NOFILE, &limit) < 0) {
                limit = *ret_old;
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
}

void supervisor_out_of_files(struct supervisor *s) {
        if (s->end != BOOT_RUNS)
                return;

        fprintf(stderr,
                "luo-emulate: too many files are preserved or stored: the emulator needs an open file for each, "
                "and may have %i. Raise the hard limit (ulimit -H -n).\n",
                s->files_max);
        end_start(s, BOOT_FAILED, EXIT_CANNOT_EMULATE);
}

static int limit_files(struct supervisor *s, struct rlimit *ret_old) {
        struct rlimit limit = {};

        raise_files_limit(ret_old);
        (void) getrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur < FILES_RESERVED + FILES_NEEDED) {
                fprintf(stderr,
                        "luo-emulate: at most %ju open files are too few, %i are needed. Raise the hard limit "
                        "(ulimit -H -n).\n",
                        (uintmax_t) limit.rlim_cur, FILES_RESERVED + FILES_NEEDED);
                return -EMFILE;
        }

        s->files_max = (limit.rlim_cur < INT_MAX ? (int) limit.rlim_cur : INT_MAX) - FILES_RESERVED;
        return 0;
}

/* Starts the program and serves it until it ends. Returns whether the run goes on after that. */
static bool run_start(struct supervisor *s, const struct sock_fprog *filter,
        const struct program_setting *setting, struct seccomp_notif *request, size_t size) {

        int r;

        s->end = BOOT_RUNS;
        s->phase = PHASE_STARTING;
        s->anybody_left = true;
        s->result = NULL;
        s->main_status = SIGKILL; /* unless it is seen to end before what is left is killed */
        s->start_deadline_usec =
                s->plan->waits_for_ready ? now_usec() + s->plan->start_timeout_usec : UINT64_MAX;
        r = s->manager ? service_manager_begin(s->manager) : 0;
        if (r < 0)
                r = EXIT_CANNOT_EMULATE;
        else
                r = start_program(s, s->plan->argv, filter, setting, ROLE_MAIN, &s->main);
        if (r != 0) {
                end_start(s, BOOT_FAILED, r);
                return false;
        }

        serve_start(s, filter, setting, request, size);
        if (s->manager)
                service_manager_dispatch(s->manager);
        if (s->plan->stop_post && s->end == BOOT_ENDED_BY_EXIT)
                run_stop_post(s, filter, setting, request, size);

        return s->end == BOOT_ENDED_BY_KEXEC || (s->end == BOOT_ENDED_BY_EXIT && s->status == EXIT_SUCCESS);
}

int supervisor_run(struct supervisor *s, const struct plan *plan) {
        struct program_setting setting = {};
        struct seccomp_notif_sizes sizes;
        struct sock_fprog filter = {};
        struct seccomp_notif *request;
        int r;

        if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0) {
                fprintf(stderr, "luo-emulate: the kernel has no seccomp user notifications: %s.\n",
                        strerror(errno));
                return EXIT_CANNOT_EMULATE;
        }
        if (sizes.seccomp_notif < sizeof(*request))
                sizes.seccomp_notif = sizeof(*request);

        if (limit_files(s, &setting.files_limit) < 0)
                return EXIT_CANNOT_EMULATE;

        raise_file_size_limit(&setting.file_size_limit);

        request = malloc(sizes.seccomp_notif);
        r = request ? filter_make(&filter) : -ENOMEM;
        if (r < 0) {
                fprintf(stderr, "luo-emulate: cannot make the seccomp filter: %s.\n", strerror(-r));
                free(request);
                return EXIT_CANNOT_EMULATE;
        }

        (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
        catch_signals(&setting);
        s->plan = plan;

        while (run_start(s, &filter, &setting, request, sizes.seccomp_notif))
                if (s->end == BOOT_ENDED_BY_EXIT && s->restart < plan->restarts)
                        restart(s);
                else if (s->kernel.boot < plan->kexecs)
                        kexec(s);
                else
                        break;

        stop_processes(s);
        free(filter.filter);
        free(request);
        return end_of_run(s);
}

/* ----------------------------------------------------------------------------------------------------- setup ---- */

int supervisor_init(struct supervisor *s, struct faults *faults, int trace_fd, const char *trace_path) {
        *s = (struct supervisor) {
                .trace = { .fd = trace_fd, .path = trace_path },
                .objects_epoll = -1,
                .main.listener = -1,
                .driver.listener = -1,
                .listener = -1,
                .files_max = INT_MAX,
        };
        TAILQ_INIT(&s->object_list);
        kernel_model_init(&s->kernel, faults);

        /* Nothing that a program has in an epoll of its own */
        if (getrandom(&s->objects_last_id, sizeof(s->objects_last_id), 0) != sizeof(s->objects_last_id))
                return -errno;

        s->objects_epoll = epoll_create1(EPOLL_CLOEXEC);
        return s->objects_epoll < 0 ? -errno : 0;
}

void supervisor_done(struct supervisor *s) {
        objects_forget(s);
        hash_table_done(&s->objects);
        kernel_model_done(&s->kernel);
        close_fd(s->objects_epoll);
        for (size_t i = 0; i < s->n_objects_sources; i++)
                close_fd(s->objects_sources[i]);
        free(s->objects_sources);
}
