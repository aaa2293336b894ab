/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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
#include "program.h"
#include "service-manager.h"
#include "supervisor.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64) /* Linux 6.6 */
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* How often closed sessions are looked for while nobody asks for anything. */
#define IDLE_USEC 250000

#define FILES_LIMIT (1U << 20)

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

        /*
         * Receiving a notification blocks if its sender was killed after it was announced. The timer ends that, too.
         */
        (void) setitimer(ITIMER_REAL, &interval, NULL);
}

/* ---------------------------------------------------------------------------------------------------- a boot ---- */

static void reap(struct supervisor *s) {
        int status;
        pid_t pid;

        child_changed = 0;
        while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
                if (pid != s->main_pid || s->end != BOOT_RUNS)
                        continue;

                s->end = BOOT_ENDED_BY_EXIT;
                s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
}

/* Receives and answers one request. */
static void serve(
        struct supervisor *s, struct seccomp_notif *request, size_t size, const sigset_t *unblocked) {
        sigset_t blocked;
        int r;

        memset(request, 0, size);
        (void) sigprocmask(SIG_SETMASK, unblocked, &blocked);
        r = ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, request);
        (void) sigprocmask(SIG_SETMASK, &blocked, NULL);
        if (r >= 0)
                request_answer(s, request);
}

/* Serves the program until the boot ends. */
static void serve_boot(
        struct supervisor *s, const sigset_t *unblocked, struct seccomp_notif *request, size_t size) {

        bool has_callers = true;

        while (s->end == BOOT_RUNS) {
                struct pollfd fds[] = {
                        { .fd = has_callers ? s->listener : -1, .events = POLLIN },
                        { .fd = s->manager ? service_manager_fd(s->manager) : -1, .events = POLLIN },
                };
                int n;

                n = ppoll(fds, ELEMENTS(fds), NULL, unblocked);
                if (signal_to_end) {
                        s->end = BOOT_ENDED_BY_SIGNAL;
                        s->status = 128 + signal_to_end;
                        break;
                }
                if (timer_expired) {
                        timer_expired = 0;
                        (void) objects_sweep(s);
                }
                if (n > 0 && fds[1].revents)
                        service_manager_dispatch(s->manager);
                if (n > 0 && fds[0].revents & POLLIN)
                        serve(s, request, size, unblocked);
                else if (n > 0 && fds[0].revents & POLLHUP)
                        /* All who could call are gone, which SIGCHLD is about to say */
                        has_callers = false;
                if (child_changed)
                        reap(s);
        }
}

/* ------------------------------------------------------------------------------------------------- the kexec ---- */

static void stop_processes(struct supervisor *s) {
        process_kill_descendants();
        close_fd(s->listener);
        s->listener = -1;
}

static void kexec(struct supervisor *s) {
        size_t n_sessions = 0, n_files = 0, n_lost;
        struct session *session;

        /*
         * Who calls reboot(2) is there at the kexec, with all others. Where a service manager reboots, it stops the
         * service first, and what only the service's processes had open is closed.
         */
        if (s->manager && s->end == BOOT_ENDED_BY_EXIT)
                stop_processes(s);

        (void) objects_sweep(s);
        kernel_freeze(&s->kernel);
        if (s->listener >= 0)
                stop_processes(s);

        if (s->manager)
                service_manager_before_kexec(s->manager);

        TAILQ_FOREACH(session, &s->kernel.sessions, sessions)
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
        kernel_kexec(&s->kernel, &n_lost);
        s->trace.boot = s->kernel.boot;
        if (n_lost > 0)
                fprintf(stderr,
                        "luo-emulate: %zu of %zu preserved files could not be carried over the kexec; "
                        "retrieving them fails.\n",
                        n_lost, n_files);

        if (s->manager)
                service_manager_after_kexec(s->manager);
}

/* The exit status of the run when it ends with this boot. */
static int end_of_run(struct supervisor *s, unsigned kexecs) {
        unsigned left = kexecs - s->kernel.boot;

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

int supervisor_run(struct supervisor *s, char *argv[], unsigned kexecs) {
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

        request = malloc(sizes.seccomp_notif);
        r = request ? filter_make(&filter) : -ENOMEM;
        if (r < 0) {
                fprintf(stderr, "luo-emulate: cannot make the seccomp filter: %s.\n", strerror(-r));
                free(request);
                return EXIT_CANNOT_EMULATE;
        }

        (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
        catch_signals(&setting);

        raise_files_limit(&setting.files_limit);

        for (;;) {
                if (s->manager)
                        service_manager_make_sessions(s->manager);

                s->end = BOOT_RUNS;
                s->status = program_start(
                        argv, s->kernel.boot, &filter, &setting, s->manager, &s->main_pid, &s->listener);
                if (s->status != 0) {
                        s->end = BOOT_FAILED;
                        break;
                }

                (void) ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
                serve_boot(s, &setting.signal_mask, request, sizes.seccomp_notif);
                if (s->manager)
                        service_manager_dispatch(s->manager);

                if (s->kernel.boot >= kexecs || s->end == BOOT_ENDED_BY_REBOOT ||
                        s->end == BOOT_ENDED_BY_SIGNAL || (s->end == BOOT_ENDED_BY_EXIT && s->status != 0))
                        break;

                kexec(s);
        }

        stop_processes(s);
        free(filter.filter);
        free(request);
        return end_of_run(s, kexecs);
}

/* ----------------------------------------------------------------------------------------------------- setup ---- */

int supervisor_init(struct supervisor *s, struct faults *faults, int trace_fd) {
        *s = (struct supervisor) {
                .trace.fd = trace_fd,
                .objects_epoll = -1,
                .listener = -1,
        };
        TAILQ_INIT(&s->object_list);
        kernel_model_init(&s->kernel, faults);

        /* Less than the most an eventfd can count, and nothing that a program would count to by itself */
        if (getrandom(&s->objects_count, sizeof(s->objects_count), 0) != sizeof(s->objects_count))
                return -errno;
        s->objects_count = (s->objects_count >> 1) | (UINT64_C(1) << 62);

        s->objects_epoll = epoll_create1(EPOLL_CLOEXEC);
        return s->objects_epoll < 0 ? -errno : 0;
}

void supervisor_done(struct supervisor *s) {
        objects_forget(s);
        hash_table_done(&s->objects);
        kernel_model_done(&s->kernel);
        close_fd(s->objects_epoll);
}
