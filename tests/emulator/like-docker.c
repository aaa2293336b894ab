/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * like-docker COMMAND...: with the system calls refused that Docker's default seccomp profile refuses a container which
 * has no more capabilities than any, as far as somebody might think of using them.
 */

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

int main(int argc, char **argv) {
        static const int refused[] = {
                SCMP_SYS(bpf),
                SCMP_SYS(fanotify_init),
                SCMP_SYS(io_uring_setup),
                SCMP_SYS(kcmp),
                SCMP_SYS(mount),
                SCMP_SYS(open_by_handle_at),
                SCMP_SYS(perf_event_open),
                SCMP_SYS(pidfd_getfd),
                SCMP_SYS(process_madvise),
                SCMP_SYS(setns),
                SCMP_SYS(unshare),
                SCMP_SYS(userfaultfd),
        };
        scmp_filter_ctx context;
        int r;

        if (argc < 2)
                return 125;

        context = seccomp_init(SCMP_ACT_ALLOW);
        r = context ? 0 : -ENOMEM;
        for (size_t i = 0; i < ELEMENTS(refused) && r >= 0; i++)
                r = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
        if (r >= 0)
                r = seccomp_load(context);
        if (r < 0) {
                fprintf(stderr, "like-docker: cannot load the filter: %s\n", strerror(-r));
                return 125;
        }

        (void) execvp(argv[1], argv + 1);
        fprintf(stderr, "like-docker: cannot run %s: %s\n", argv[1], strerror(errno));
        return 127;
}
