/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What systemd itself says would come of something that is meant to survive (io.systemd.LiveUpdate.Check). No string
 * is NULL; a number is UINT64_MAX if it is not known. */
struct checked {
        char *unit;
        char *name;       /* "": all that is of the unit, and of this kind */
        char *kind;       /* fd, session, pending */
        char *verdict;    /* survives, unknown, lost */
        char *reason;     /* or what is lost of it */
        char *limit_unit; /* whose MemoryMax= is too small for the unit to be started with all of it, or "" */
        uint64_t n_fds, bytes, holes_bytes;
};

/* Returns 0, -ENOMEM, or -EOPNOTSUPP: this systemd does not say, or not to the caller. */
int manager_check(struct checked **ret, size_t *ret_n);
void checked_free(struct checked *checked, size_t n);
