/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "filter.h"
#include "internal.h"
#include "kernel-abi.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif

static int add_rules(scmp_filter_ctx context) {
        /* Files are found by name or by link */
        static const int always[] = {
                SCMP_SYS(open),
                SCMP_SYS(openat),
                SCMP_SYS(openat2),
                SCMP_SYS(readlink),
                SCMP_SYS(readlinkat),
                SCMP_SYS(stat),
                SCMP_SYS(lstat),
                SCMP_SYS(access),
                SCMP_SYS(faccessat),
                SCMP_SYS(faccessat2),
                SCMP_SYS(getxattr),
                SCMP_SYS(lgetxattr),
                SCMP_SYS(listxattr),
                SCMP_SYS(llistxattr),
                SCMP_SYS(io_uring_setup),
                SCMP_SYS(reboot),
                SCMP_SYS(truncate),
                SCMP_SYS(ftruncate),
                SCMP_SYS(fallocate),
        };
        /* Standard input, output and error are hardly ever a preserved memfd, but written to all the time */
        static const int not_standard[] = {
                SCMP_SYS(write),
                SCMP_SYS(pwrite64),
                SCMP_SYS(writev),
                SCMP_SYS(pwritev),
                SCMP_SYS(pwritev2),
        };
        int r;

        for (size_t i = 0; i < ELEMENTS(always); i++) {
                r = seccomp_rule_add(context, SCMP_ACT_NOTIFY, always[i], 0);
                if (r < 0)
                        return r;
        }

        for (size_t i = 0; i < ELEMENTS(not_standard); i++) {
                r = seccomp_rule_add(
                        context, SCMP_ACT_NOTIFY, not_standard[i], 1, SCMP_A0(SCMP_CMP_GT, STDERR_FILENO));
                if (r < 0)
                        return r;
        }

        r = seccomp_rule_add(context, SCMP_ACT_NOTIFY, SCMP_SYS(fcntl), 1,
                SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, F_ADD_SEALS));
        if (r < 0)
                return r;

        r = seccomp_rule_add(context, SCMP_ACT_NOTIFY, SCMP_SYS(epoll_ctl), 1,
                SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, EPOLL_CTL_ADD));
        if (r < 0)
                return r;

        r = seccomp_rule_add(context, SCMP_ACT_NOTIFY, SCMP_SYS(madvise), 1,
                SCMP_A2(SCMP_CMP_MASKED_EQ, UINT32_MAX, MADV_REMOVE));
        if (r < 0)
                return r;

        /* fstat(2), by any of its names, is called too often: what is open of the device is an eventfd for it */
        r = seccomp_rule_add(context, SCMP_ACT_NOTIFY, SCMP_SYS(newfstatat), 1,
                SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0));
        if (r >= 0)
                r = seccomp_rule_add(context, SCMP_ACT_NOTIFY, SCMP_SYS(statx), 1,
                        SCMP_A2(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0));
        if (r < 0)
                return r;

        /* All of LUO's requests have the same type, which is the second byte */
        return seccomp_rule_add(context, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 1,
                SCMP_A1(SCMP_CMP_MASKED_EQ, _IOC_TYPEMASK << _IOC_TYPESHIFT,
                        _IOC_TYPE(KERNEL_LUO_FINISH) << _IOC_TYPESHIFT));
}

/*
 * Before libseccomp 2.6 a filter can only be had through a file descriptor. A message of a socket is written as a
 * whole, and no limit on the size of files (ulimit -f) concerns it.
 */
static int export_filter(scmp_filter_ctx context, struct sock_fprog *ret) {
        const size_t size_max = BPF_MAXINSNS * sizeof(struct sock_filter);
        struct sock_filter *instructions;
        int fds[2], r;
        ssize_t n;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -errno;

        instructions = malloc(size_max);
        r = instructions ? seccomp_export_bpf(context, fds[0]) : -ENOMEM;
        if (r >= 0) {
                n = recv(fds[1], instructions, size_max, 0);
                r = n < 0 ? -errno : 0;
        }
        if (r >= 0)
                *ret = (struct sock_fprog) {
                        .len = (unsigned short) ((size_t) n / sizeof(*instructions)),
                        .filter = instructions,
                };
        else
                free(instructions);

        close_fd(fds[0]);
        close_fd(fds[1]);
        return r;
}

int filter_make(struct sock_fprog *filter) {
        scmp_filter_ctx context;
        int r;

        context = seccomp_init(SCMP_ACT_ALLOW);
        if (!context)
                return -ENOMEM;

        /* Programs of the machine's other architectures run, without the emulation */
        r = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
        if (r >= 0)
                r = add_rules(context);
        if (r >= 0)
                r = export_filter(context, filter);

        seccomp_release(context);
        return r;
}

static int load_with_flags(const struct sock_fprog *filter, unsigned long flags) {
        long r;

        r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, filter);
        if (r < 0 && errno == EACCES) {
                /* Not privileged: the price is that set-user-ID programs do not gain privileges */
                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                        return -errno;
                r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, filter);
        }

        return r < 0 ? -errno : (int) r;
}

int filter_load(const struct sock_fprog *filter) {
        int r;

        /* Where the kernel can, only signals that kill interrupt a request that is being answered */
        r = load_with_flags(
                filter, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
        if (r == -EINVAL)
                r = load_with_flags(filter, SECCOMP_FILTER_FLAG_NEW_LISTENER);

        return r;
}
