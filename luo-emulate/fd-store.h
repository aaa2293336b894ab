/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The service manager's store of file descriptors, with systemd's rules.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "hash.h"

struct stored_fd {
        struct hash_item by_inode;
        TAILQ_ENTRY(stored_fd) entries;
        char *name;
        int fd;
        bool is_unit_session; /* LUOSession= */
        char *session_name;   /* over the kexec: the LUO session that fd was */
        bool is_copied;       /* over the kexec: done */
        int loss;             /* over the kexec: a negative errno if it is lost */
};

TAILQ_HEAD(stored_fd_list, stored_fd);

struct fd_store {
        struct stored_fd_list list; /* the newest first */
        size_t n;
        size_t n_counted; /* without unit sessions */
        size_t max;
        struct hash_table inodes;
        int epoll; /* borrowed: tells of hang-ups, with the entry as data */
};

void fd_store_init(struct fd_store *store, size_t max, int epoll);
void fd_store_done(struct fd_store *store);

/*
 * Stores a file descriptor in front of all others. Returns 1 and owns fd then, 0 if the same open file is there
 * already, -EXFULL if the store is full, or -ENOMEM.
 */
int fd_store_add(struct fd_store *store, int fd, const char *name, bool poll, bool is_unit_session);
void fd_store_remove(struct fd_store *store, struct stored_fd *entry);

/*
 * Replaces all files with what the kernel and libluo's bundles make of them over a kexec: copies, with the access mode,
 * append flag, offset, mode and owner. What cannot be preserved is told on stderr and removed. Entries with a
 * session_name are left alone.
 */
void fd_store_copy(struct fd_store *store, bool (*is_busy)(void *userdata, int fd), void *userdata);
