/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the service manager says of the fd stores of its services */

struct stored_fd {
        char *name;
        mode_t mode;
        dev_t device;
        ino_t inode;
        dev_t represented_device; /* of a device node */
        char *path;               /* as the link in /proc/1/fd; "" if it is not known */
        int open_flags;
        const char
                *session; /* "restored" or "outgoing" if it is a LUO session and systemd says so, or NULL */
};

struct unit_store {
        char *unit;
        char *preserve;        /* FileDescriptorStorePreserve= */
        uint32_t maximum;      /* FileDescriptorStoreMax= */
        char **sessions;       /* LUOSession=, with a NULL at the end */
        struct stored_fd *fds; /* newest first */
        size_t n_fds;
        uint64_t n_not_told; /* how many there are beside these, of which systemd tells root only */
        uint64_t n_pending,
                pending_bytes; /* left in the kernel until the unit is started; no entries of the store */
};

/*
 * Asks systemd for the fd stores of these units or, if there are none, of all services that have something in theirs.
 * numbers: how many entries there are will do where systemd tells the caller no more. Returns 0, or an exit status: it
 * has said what is wrong.
 */
int manager_read_stores(char *const *units, size_t n_units, bool numbers, struct unit_store **ret_stores,
        size_t *ret_n_stores);

/*
 * "name" is short for "name.service", as for systemctl(1). Returns a string for free(3), or NULL: out of memory.
 */
char *unit_name(const char *name);

/* What is known of the manager as a whole */
struct manager_state {
        uint32_t kexec_count; /* how many kexecs in a row systemd's state came through */
        bool has_kexec_count;
        bool kexec_is_due; /* kexec.target is to be started */
};

/* Returns 0, or an exit status: it has said what is wrong. */
int manager_read_state(struct manager_state *ret);

/* How a service was started, the last time; by the monotonic clock in microseconds, 0: not known */
struct service_start {
        uint64_t forked;      /* when its process was made */
        uint64_t handed_over; /* when its own code began to run, with what it had stored */
        bool survives_kill;   /* systemd-shutdown leaves it alone: SurviveFinalKillSignal= */
};

/* Returns 0, or an exit status: it has said what is wrong. Of services that systemd does not know nothing is known. */
int manager_read_starts(char *const *services, size_t n_services, struct service_start *ret);

/*
 * Logs a warning: into the journal, with these fields, if that is where stderr goes, and otherwise to stderr.
 * on_console: to the console as well. unit and reason may be NULL.
 */
void manager_warn(const char *message_id, const char *unit, const char *reason, bool on_console,
        const char *format, ...) __attribute__((format(printf, 5, 6)));

void stored_fd_done(struct stored_fd *fd);
/* Adds an entry, with copies of name and path. Returns 0 or -ENOMEM. */
int unit_store_add_fd(
        struct unit_store *store, const struct stored_fd *fd, const char *name, const char *path);
void unit_store_done(struct unit_store *store);
void unit_stores_free(struct unit_store *stores, size_t n_stores);

/* Whether what is in the store is kept over a kexec */
bool unit_store_is_preserved(const struct unit_store *store);
