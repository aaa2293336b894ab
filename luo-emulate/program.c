/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "filter.h"
#include "internal.h"
#include "process.h"
#include "program.h"
#include "service-manager.h"
#include "signals.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/*
 * The child loads the filter, hands its listener over, and waits for the parent to look at it before it becomes the
 * program. It must not do anything meanwhile that the filter would have answered: send(2), sendmsg(2) and recv(2) are
 * fine, write(2) is not.
 */

/* What the child says: a negative errno of seccomp(2), and later the errno of execve(2). */
static int send_number(int fd, int number) {
        return send(fd, &number, sizeof(number), MSG_NOSIGNAL) == sizeof(number) ? 0 : -errno;
}

static int receive_number(int fd, int *ret_number) {
        ssize_t n;

        do
                n = recv(fd, ret_number, sizeof(*ret_number), 0);
        while (n < 0 && errno == EINTR);

        return n == sizeof(*ret_number) ? 1 : n == 0 ? 0 : -EIO;
}

/* The listener goes by itself: pidfd_getfd(2), which would do as well, is not permitted in each container. */
static int send_listener(int fd, int listener) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct msghdr message = {
                .msg_iov = &(struct iovec) { &listener, sizeof(listener) },
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };

        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(listener));
        memcpy(CMSG_DATA(&control.header), &listener, sizeof(listener));

        return sendmsg(fd, &message, MSG_NOSIGNAL) == sizeof(listener) ? 0 : -errno;
}

/*
 * What number it has in the child, or the child's negative errno, and our own file descriptor for it. Returns 1, 0 if
 * the child ended, or a negative errno.
 */
static int receive_listener(int fd, int *ret_number, int *ret_listener) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct msghdr message = {
                .msg_iov = &(struct iovec) { ret_number, sizeof(*ret_number) },
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        do
                n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n != sizeof(*ret_number))
                return n == 0 ? 0 : -EIO;
        if (*ret_number < 0)
                return 1;

        /* Without a free file descriptor the message comes without it */
        if (message.msg_controllen < sizeof(control.header) || control.header.cmsg_type != SCM_RIGHTS)
                return -EMFILE;
        memcpy(ret_listener, CMSG_DATA(&control.header), sizeof(*ret_listener));
        return 1;
}

static int set_number(const char *name, unsigned value) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%u", value);
        return setenv(name, text, 1) < 0 ? -errno : 0;
}

static int set_text(const char *name, const char *value) {
        return setenv(name, value, 1) < 0 ? -errno : 0;
}

/* As systemd has it for ExecStopPost= */
static int set_result(const char *result, int status) {
        int r;

        r = set_text("SERVICE_RESULT", result);
        if (r >= 0)
                r = set_text("EXIT_CODE",
                        WIFEXITED(status)           ? "exited"
                                : WCOREDUMP(status) ? "dumped"
                                                    : "killed");
        if (r < 0)
                return r;

        return WIFEXITED(status) ? set_number("EXIT_STATUS", (unsigned) WEXITSTATUS(status))
                                 : set_text("EXIT_STATUS", signal_to_string(WTERMSIG(status)));
}

/* *fd is moved if it is where a file descriptor is passed. */
static int set_environment(const struct program_start *start, int *fd) {
        int r;

        r = set_number("LUO_BOOT", start->boot);
        if (r >= 0)
                r = set_number("LUO_RESTART", start->restart);
        if (r >= 0)
                r = set_number("LUO_EMULATE", 1);
        if (r < 0)
                return r;

        /* Another service manager meant what is set for whoever started the emulator */
        if (start->manager)
                service_manager_unset();
        if (start->role == ROLE_DRIVER)
                return start->main_pid ? set_number("MAINPID", (unsigned) start->main_pid) : 0;
        if (start->role == ROLE_STOP_POST)
                r = set_result(start->result, start->main_status);
        if (r < 0 || !start->manager)
                return r;

        return start->role == ROLE_MAIN ? service_manager_pass(start->manager, fd)
                                        : service_manager_pass_socket(start->manager);
}

_Noreturn static void become_program(const struct program_start *start, int fd) {
        const struct program_setting *setting = start->setting;
        int listener, number;

        /* Should the emulator be killed, the program is not left with a device that does not answer */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);

        if (set_environment(start, &fd) < 0)
                _exit(EXIT_CANNOT_EMULATE);

        (void) sigaction(SIGPIPE, &setting->pipe_action, NULL);
        (void) sigaction(SIGXFSZ, &setting->file_size_action, NULL);
        (void) setrlimit(RLIMIT_NOFILE, &setting->files_limit);
        (void) setrlimit(RLIMIT_FSIZE, &setting->file_size_limit);
        (void) sigprocmask(SIG_SETMASK, &setting->signal_mask, NULL);

        listener = filter_load(start->filter);
        if (listener < 0)
                (void) send_number(fd, listener);
        if (listener < 0 || send_listener(fd, listener) < 0)
                _exit(EXIT_CANNOT_EMULATE);
        if (receive_number(fd, &number) <= 0)
                _exit(EXIT_CANNOT_EMULATE);
        close_fd(listener);

        (void) execvp(start->argv[0], start->argv);
        (void) send_number(fd, errno);
        _exit(EXIT_CANNOT_EMULATE);
}

static void explain_filter(int error) {
        const char *reason;

        switch (error) {
        case -EBUSY:
                reason =
                        "this process runs under another luo-emulate or another user of seccomp notifications already";
                break;
        case -EINVAL:
        case -ENOSYS:
                reason = "the kernel has no seccomp user notifications (CONFIG_SECCOMP_FILTER)";
                break;
        case -EPERM:
        case -EACCES:
                reason = "seccomp(2) is not permitted here; a container's seccomp profile can be the cause";
                break;
        default:
                reason = strerror(-error);
        }

        fprintf(stderr, "luo-emulate: cannot load the seccomp filter: %s.\n", reason);
}

static void explain_access(const char *call, int error) {
        int scope = -1;
        FILE *f;

        fprintf(stderr, "luo-emulate: cannot look into the program, %s fails: %s.", call, strerror(-error));

        f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
        if (f) {
                if (fscanf(f, "%i", &scope) != 1)
                        scope = -1;
                (void) fclose(f);
        }

        if (error == -ENOSYS)
                fprintf(stderr, " Linux 5.14 is needed.\n");
        else if (access("/proc/self/fdinfo", F_OK) < 0)
                fprintf(stderr, " /proc is not mounted.\n");
        else if (scope >= 2)
                fprintf(stderr, " /proc/sys/kernel/yama/ptrace_scope is %i; 0 and 1 allow it.\n", scope);
        else
                fprintf(stderr, " A container's seccomp profile can be the cause; it has to allow %s.\n",
                        call);
}

/* Tries on the waiting child all that is needed later. Returns false when it was said what is missing. */
static bool can_emulate(pid_t pid, int number, int listener) {
        static char canary = 1; /* at the same address in the child */
        struct seccomp_notif_addfd argument = { .flags = SECCOMP_ADDFD_FLAG_SEND };
        struct fd_info info;
        char copy = 0;
        int r;

        r = process_read(pid, (uint64_t) (uintptr_t) &canary, &copy, sizeof(copy));
        if (r >= 0)
                r = process_write(pid, (uint64_t) (uintptr_t) &canary, &copy, sizeof(copy));
        if (r < 0) {
                explain_access("process_vm_readv(2)", r);
                return false;
        }

        r = process_fd_info(pid, number, &info);
        if (r < 0) {
                explain_access("reading /proc/PID/fdinfo", r);
                return false;
        }

        /* There is no request with this id, but the kernel looks at the flag before it finds out */
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &argument) < 0 && errno == EINVAL) {
                fprintf(stderr, "luo-emulate: the kernel is too old, Linux 5.14 is needed.\n");
                return false;
        }

        return true;
}

static int stop_child(pid_t pid) {
        (void) kill(pid, SIGKILL);
        while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
                ;
        return EXIT_CANNOT_EMULATE;
}

int program_start(const struct program_start *start, struct program *ret) {
        int sockets[2], number = 0, listener = -1, r;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
                fprintf(stderr, "luo-emulate: cannot make a socket: %s.\n", strerror(errno));
                return EXIT_CANNOT_EMULATE;
        }

        pid = fork();
        if (pid < 0) {
                fprintf(stderr, "luo-emulate: cannot start a process: %s.\n", strerror(errno));
                close_fd(sockets[0]);
                close_fd(sockets[1]);
                return EXIT_CANNOT_EMULATE;
        }
        if (pid == 0)
                become_program(start, sockets[1]);
        close_fd(sockets[1]);

        r = receive_listener(sockets[0], &number, &listener);
        if (r <= 0 || number < 0) {
                if (r > 0)
                        explain_filter(number);
                else if (r < 0)
                        fprintf(stderr, "luo-emulate: cannot take the seccomp listener: %s.\n", strerror(-r));
                else
                        fprintf(stderr,
                                "luo-emulate: the child process ended before it became the program.\n");
                close_fd(sockets[0]);
                return stop_child(pid);
        }

        if (!can_emulate(pid, number, listener)) {
                close_fd(listener);
                close_fd(sockets[0]);
                return stop_child(pid);
        }

        /* Silence means success: the socket is closed when the program begins */
        r = send_number(sockets[0], 0) >= 0 ? receive_number(sockets[0], &number) : 0;
        close_fd(sockets[0]);
        if (r != 0) {
                fprintf(stderr, "luo-emulate: cannot run %s: %s.\n", start->argv[0],
                        strerror(r > 0 ? number : -r));
                close_fd(listener);
                (void) stop_child(pid);
                return number == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
        }

        *ret = (struct program) { .pid = pid, .listener = listener, .has_callers = true };
        /* Linux 6.6, and only for speed */
        (void) ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
        return 0;
}
