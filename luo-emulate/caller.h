/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What answers to system calls use: the caller's file descriptors, memory and paths.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/seccomp.h>

#include "supervisor.h"

/*
 * False if the caller is gone, or does not wait any more. Its id may be another process's then: what was found by the
 * id is to be used after this only.
 */
bool request_is_valid(struct supervisor *s, const struct seccomp_notif *request);

/*
 * As process_get_fd() and process_write(), for the caller if it is still there, and -ENOENT if not. Where the first is
 * not permitted, request_get_file() opens the same file once more: see process_reopen_fd().
 */
int request_get_fd(struct supervisor *s, const struct seccomp_notif *request, int fd);
int request_get_file(struct supervisor *s, const struct seccomp_notif *request, int fd);
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
