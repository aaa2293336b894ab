/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/wait.h>

#include "guard.h"
#include "internal.h"
#include "process.h"
#include "signals.h"

/* Those that end the emulator, which it answers with the program's end, and the one that says that it has ended. */
static void handled_signals(sigset_t *ret) {
        (void) sigemptyset(ret);
        (void) sigaddset(ret, SIGINT);
        (void) sigaddset(ret, SIGTERM);
        (void) sigaddset(ret, SIGHUP);
        (void) sigaddset(ret, SIGQUIT);
        (void) sigaddset(ret, SIGCHLD);
}

int guard_begin(struct guard *ret) {
        struct sigaction standard = { .sa_handler = SIG_DFL };
        sigset_t handled, old;
        int fds[2], r;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;

        /* Where SIGCHLD is ignored, nobody's end can be waited for */
        (void) sigaction(SIGCHLD, &standard, NULL);
        handled_signals(&handled);
        (void) sigprocmask(SIG_BLOCK, &handled, &old);

        pid = fork();
        r = -errno;
        if (pid <= 0)
                (void) sigprocmask(SIG_SETMASK, &old, NULL);
        if (pid < 0) {
                close_fd(fds[0]);
                close_fd(fds[1]);
                return r;
        }
        if (pid == 0) {
                close_fd(fds[1]);
                *ret = (struct guard) { .lifeline = fds[0], .kept = -1 };
                return 0;
        }

        /* Should the emulator be killed, what it leaves behind is ours */
        (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
        close_fd(fds[0]);
        *ret = (struct guard) { .pid = pid, .lifeline = -1, .kept = fds[1] };
        return 0;
}

int guard_wait(struct guard *guard) {
        sigset_t handled;
        int status = 0;

        handled_signals(&handled);
        for (;;) {
                siginfo_t info;

                if (waitpid(guard->pid, &status, WNOHANG) == guard->pid)
                        break;
                if (sigwaitinfo(&handled, &info) < 0)
                        continue;
                /* The terminal's go to both */
                if (info.si_signo != SIGCHLD && info.si_code != SI_KERNEL)
                        (void) kill(guard->pid, info.si_signo);
        }

        close_fd(guard->kept);
        if (WIFEXITED(status))
                return WEXITSTATUS(status);

        process_kill_descendants();
        fprintf(stderr, "luo-emulate: was killed by SIG%s, and so is the program.\n",
                signal_to_string(WTERMSIG(status)));
        return 128 + WTERMSIG(status);
}
