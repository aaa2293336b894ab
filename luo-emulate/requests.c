/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "answers.h"

static int64_t answer(struct supervisor *s, const struct seccomp_notif *request) {
        switch (request->data.nr) {
        case SYS_write:
        case SYS_pwrite64:
        case SYS_writev:
        case SYS_pwritev:
        case SYS_pwritev2:
                return answer_write(s, request);
#ifdef SYS_open
        case SYS_open:
#endif
        case SYS_openat:
        case SYS_openat2:
                return answer_open(s, request);
        case SYS_ioctl:
                return answer_ioctl(s, request);
#ifdef SYS_readlink
        case SYS_readlink:
#endif
        case SYS_readlinkat:
                return answer_readlink(s, request);
#ifdef SYS_newfstatat
#ifdef SYS_stat
        case SYS_stat:
        case SYS_lstat:
#endif
        case SYS_newfstatat:
                return answer_stat(s, request);
#endif
        case SYS_statx:
                return answer_statx(s, request);
#ifdef SYS_access
        case SYS_access:
#endif
        case SYS_faccessat:
        case SYS_faccessat2:
                return answer_access(s, request);
        case SYS_getxattr:
        case SYS_lgetxattr:
        case SYS_listxattr:
        case SYS_llistxattr:
                return answer_xattr(s, request);
        case SYS_epoll_ctl:
                return answer_epoll_ctl(s, request);
        case SYS_io_uring_setup:
                return answer_io_uring_setup(s, request);
        case SYS_reboot:
                return answer_reboot(s, request);
        case SYS_truncate:
                return answer_truncate(s, request);
        case SYS_madvise:
                return answer_madvise(s, request);
        case SYS_ftruncate:
                return answer_ftruncate(s, request);
        case SYS_fallocate:
                return answer_fallocate(s, request);
        case SYS_fcntl:
                return answer_add_seals(s, request);
        default:
                return ANSWER_CONTINUE;
        }
}

void request_answer(struct supervisor *s, const struct seccomp_notif *request) {
        struct seccomp_notif_resp response = { .id = request->id };
        int64_t result;

        result = answer(s, request);
        if (result == ANSWER_NONE)
                return;

        if (result == ANSWER_CONTINUE)
                response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        else if (result < 0)
                response.error = (int32_t) result;
        else
                response.val = result;

        /* This fails if the caller was killed meanwhile, and then nobody waits for it */
        (void) ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}
