/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the kernel's LUO knows and which rules it keeps (kernel/liveupdate/ and mm/memfd_luo.c of Linux 7.3), with
 * its errors in its order. Nothing in here knows how requests come in: the model is given names, tokens and open
 * files.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "faults.h"
#include "hash.h"
#include "kernel-abi.h"

struct session;

/* A file in a session. */
struct preserved_file {
        struct hash_item by_token; /* in its session */
        struct hash_item by_inode; /* in the model; for incoming files only once they are retrieved */
        struct session *session;
        uint64_t token;
        int fd; /* outgoing: the open file that was preserved; incoming: the memfd it comes back as, or -1 */
        dev_t device;
        ino_t inode;
        off_t size;
        off_t offset;
        int seals;
        int retrieve_status; /* as the kernel's: 0 not tried, 1 done, or the negative errno of the first try */
};

struct session {
        struct hash_item by_name;
        TAILQ_ENTRY(session) sessions;
        char name[KERNEL_LUO_NAME_SIZE];
        bool incoming;
        bool retrieved;
        struct hash_table tokens;
        struct preserved_file **files; /* in the order in which they were preserved */
        size_t n_files;
        size_t n_allocated;
};

TAILQ_HEAD(session_list, session);

struct kernel_model {
        unsigned boot;
        struct faults *faults; /* borrowed */
        bool device_is_open;
        struct session_list sessions;
        struct hash_table outgoing; /* by name */
        struct hash_table incoming; /* by name */
        struct hash_table inodes;   /* files that cannot be preserved again */
        size_t n_frozen;            /* how many files may not change their size */
        bool fault_injected;        /* the last operation failed because it was asked to */
};

void kernel_model_init(struct kernel_model *kernel, struct faults *faults);
void kernel_model_done(struct kernel_model *kernel);

/* open(2) and the last close(2) of the device. */
int kernel_open_device(struct kernel_model *kernel);
void kernel_close_device(struct kernel_model *kernel);

int kernel_create_session(
        struct kernel_model *kernel, const uint8_t name[KERNEL_LUO_NAME_SIZE], struct session **ret_session);
int kernel_retrieve_session(
        struct kernel_model *kernel, const uint8_t name[KERNEL_LUO_NAME_SIZE], struct session **ret_session);

/*
 * The last close(2) of a session: un-preserves or finishes. Returns 0, and the session is gone, or the error with
 * which it could not be finished, and it stays.
 */
int kernel_close_session(struct kernel_model *kernel, struct session *session);

/* True if the session has this token, which is found out before the file is looked at. */
bool kernel_token_is_used(const struct session *session, uint64_t token);

/*
 * Preserves an open file, or says what is wrong with it. On success fd belongs to the session. fd may be negative:
 * -ENOENT for a file that is no memory, and any other for a file descriptor that the program does not have.
 */
int kernel_preserve(struct kernel_model *kernel, struct session *session, uint64_t token, int fd);

/* Restores a file of an incoming session, owned by uid and gid. *ret_fd belongs to the session. */
int kernel_retrieve(struct kernel_model *kernel, struct session *session, uint64_t token, uid_t uid,
        gid_t gid, int *ret_fd);

int kernel_finish(struct kernel_model *kernel, struct session *session);
int kernel_get_name(struct kernel_model *kernel, const struct session *session);

/* The preserved file of this inode whose size must not change, or NULL. */
const struct preserved_file *kernel_find_frozen(const struct kernel_model *kernel, dev_t device, ino_t inode);

/* What reboot(2) does last: notes the offsets, as nobody can change them any more. */
void kernel_freeze(struct kernel_model *kernel);

/*
 * The kexec: outgoing sessions become incoming ones, with copies of the content; others are gone. Nobody has any of
 * them open. Returns how many files could not be copied, with *ret_error one's negative errno.
 */
size_t kernel_kexec(struct kernel_model *kernel, int *ret_error);
