/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How system calls are answered. Each function returns what the system call returns (a negative errno if it fails), or
 * one of the values below.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/seccomp.h>

#include "supervisor.h"

#define ANSWER_CONTINUE INT64_MIN   /* let the kernel do it */
#define ANSWER_NONE (INT64_MIN + 1) /* it is answered already, or never will be */

/* requests.c */
int64_t answer_open(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_readlink(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_reboot(struct supervisor *s, const struct seccomp_notif *request);

/*
 * False if the caller is gone, or does not wait any more. Its id may be another process's then: what was found by the id
 * is to be used after this only.
 */
bool request_is_valid(struct supervisor *s, const struct seccomp_notif *request);

/* As process_get_fd() and process_write(), for the caller if it is still there, and -ENOENT if not. */
int request_get_fd(struct supervisor *s, const struct seccomp_notif *request, int fd);
int request_write(struct supervisor *s, const struct seccomp_notif *request, uint64_t address,
        const void *buffer, size_t size);

/* Gives the caller a file descriptor for a file of ours, which is what the system call returns if answer is set. */
int request_install_fd(
        struct supervisor *s, const struct seccomp_notif *request, int fd, int flags, bool answer);

/* Of a link in /proc that stands for an open file: whose it is, and which. tid is who "self" would be. */
bool request_parse_fd_link(const char *path, pid_t tid, pid_t *ret_tid, int *ret_fd);

/* Reads a path of the caller and makes it absolute. False if it cannot be one of interest. */
bool request_read_path(
        const struct seccomp_notif *request, int folder_fd, uint64_t address, char ret[static PATH_MAX]);

/* luo-ioctl.c */
int64_t answer_ioctl(struct supervisor *s, const struct seccomp_notif *request);

/* frozen.c: what the size and the seals of a preserved file forbid */
int64_t answer_open_truncating(struct supervisor *s, const struct seccomp_notif *request, const char *path);
int64_t answer_truncate(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_madvise(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_ftruncate(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_fallocate(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_add_seals(struct supervisor *s, const struct seccomp_notif *request);
int64_t answer_write(struct supervisor *s, const struct seccomp_notif *request);
