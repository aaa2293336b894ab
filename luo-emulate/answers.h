/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How system calls are answered. Each function returns what the system call returns (a negative errno if it fails), or
 * one of the values below. requests.c chooses the function.
 */

#include <stdint.h>

#include "caller.h"

#define ANSWER_CONTINUE INT64_MIN   /* let the kernel do it */
#define ANSWER_NONE (INT64_MIN + 1) /* it is answered already, or never will be */

/* device.c */
int64_t answer_open(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_readlink(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_stat(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_statx(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_access(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_epoll_ctl(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_xattr(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_io_uring_setup(struct supervisor *s, const struct seccomp_notif *request);

/* luo-ioctl.c */
int64_t answer_ioctl(struct supervisor *s, const struct seccomp_notif *request);

/* reboot.c */
int64_t answer_reboot(struct supervisor *s, const struct seccomp_notif *request);

/* frozen.c: what the size and the seals of a preserved file forbid */
int64_t answer_open_truncating(struct supervisor *s, const struct seccomp_notif *request, const char *path);
int64_t answer_truncate(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_madvise(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_ftruncate(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_fallocate(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_add_seals(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_write(struct supervisor *s, const struct seccomp_notif *request);
