/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* libluo/kernel-abi.h against the system's own header, where there is one. */

#include <stddef.h>
#include <stdio.h>

#include "kernel-abi.h"

#if HAVE_SYSTEM_HEADER

#include <linux/liveupdate.h>

#define SAME(a, b) _Static_assert((a) == (b), #a " differs from " #b)
#define SAME_STRUCT(a, b) SAME(sizeof(struct a), sizeof(struct b))
#define SAME_FIELD(a, b, field) SAME(offsetof(struct a, field), offsetof(struct b, field))

SAME(KERNEL_LUO_NAME_SIZE, LIVEUPDATE_SESSION_NAME_LENGTH);

SAME(KERNEL_LUO_CREATE_SESSION, LIVEUPDATE_IOCTL_CREATE_SESSION);
SAME_STRUCT(kernel_luo_session, liveupdate_ioctl_create_session);
SAME_FIELD(kernel_luo_session, liveupdate_ioctl_create_session, size);
SAME_FIELD(kernel_luo_session, liveupdate_ioctl_create_session, fd);
SAME_FIELD(kernel_luo_session, liveupdate_ioctl_create_session, name);

SAME(KERNEL_LUO_RETRIEVE_SESSION, LIVEUPDATE_IOCTL_RETRIEVE_SESSION);
SAME_STRUCT(kernel_luo_session, liveupdate_ioctl_retrieve_session);
SAME_FIELD(kernel_luo_session, liveupdate_ioctl_retrieve_session, fd);
SAME_FIELD(kernel_luo_session, liveupdate_ioctl_retrieve_session, name);

SAME(KERNEL_LUO_PRESERVE_FD, LIVEUPDATE_SESSION_PRESERVE_FD);
SAME_STRUCT(kernel_luo_fd, liveupdate_session_preserve_fd);
SAME_FIELD(kernel_luo_fd, liveupdate_session_preserve_fd, fd);
SAME_FIELD(kernel_luo_fd, liveupdate_session_preserve_fd, token);

SAME(KERNEL_LUO_RETRIEVE_FD, LIVEUPDATE_SESSION_RETRIEVE_FD);
SAME_STRUCT(kernel_luo_fd, liveupdate_session_retrieve_fd);
SAME_FIELD(kernel_luo_fd, liveupdate_session_retrieve_fd, fd);
SAME_FIELD(kernel_luo_fd, liveupdate_session_retrieve_fd, token);

SAME(KERNEL_LUO_FINISH, LIVEUPDATE_SESSION_FINISH);
SAME_STRUCT(kernel_luo_finish, liveupdate_session_finish);
SAME_FIELD(kernel_luo_finish, liveupdate_session_finish, reserved);

/* Since Linux 7.2 */
#ifdef LIVEUPDATE_SESSION_GET_NAME
SAME(KERNEL_LUO_GET_NAME, LIVEUPDATE_SESSION_GET_NAME);
SAME_STRUCT(kernel_luo_name, liveupdate_session_get_name);
SAME_FIELD(kernel_luo_name, liveupdate_session_get_name, reserved);
SAME_FIELD(kernel_luo_name, liveupdate_session_get_name, name);
#endif

int main(void) {
        puts("1..1\nok 1 - kernel-abi.h agrees with <linux/liveupdate.h>");
        return 0;
}

#else

int main(void) {
        puts("1..1\nok 1 - kernel-abi.h compared # SKIP no <linux/liveupdate.h> on this host");
        return 0;
}

#endif
