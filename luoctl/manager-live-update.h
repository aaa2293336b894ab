/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manager.h"

/*
 * What systemd itself says by its Varlink interface io.systemd.LiveUpdate, if it has it: root is told of all units, a
 * service of itself, and nobody else of anything. $LIBLUO_MANAGER_SOCKET is another socket to ask at, as luo-emulate
 * has one.
 */

/* What would come of something that is meant to survive. No string is NULL; a number is UINT64_MAX if not known. */
struct checked {
        char *unit;
        char *name;       /* "": all that is of the unit, and of this kind */
        char *kind;       /* fd, session, pending */
        char *verdict;    /* survives, unknown, lost */
        char *reason;     /* or what is lost of it */
        char *limit_unit; /* whose MemoryMax= is too small for the unit to be started with all of it, or "" */
        uint64_t n_fds, bytes, holes_bytes;
};

/*
 * Adds what is said of a unit (NULL: of all that the caller is told of). Returns 0, -ENOMEM, -EOPNOTSUPP (this systemd
 * does not say, or not to the caller), -EBUSY or -ETIMEDOUT (somebody keeps it from looking). What was there before is
 * there on failure, too.
 */
int live_update_check(const char *unit, struct checked **checked, size_t *n_checked);
void checked_free(struct checked *checked, size_t n);

/*
 * Notes down in the stores which LUO sessions came from the previous kernel, and which go to the next. To those of
 * which systemd tells the caller only numbers the sessions are added. Returns 0 or -ENOMEM.
 */
int live_update_note_sessions(struct unit_store *stores, size_t n_stores);

/* Whether systemd gives this process LUO sessions, and if not, why */
enum session_offer {
        OFFER_NONE,           /* it has not this interface, or gives none to who asks */
        OFFER_NOT_A_SERVICE,  /* the process is in no service */
        OFFER_NOT_ENABLED,    /* LiveUpdateSessionsMax= */
        OFFER_NOT_PRESERVED,  /* FileDescriptorStorePreserve= */
        OFFER_NOT_TO_PROCESS, /* NotifyAccess= */
        OFFER_YES
};

/* Asks for the outgoing session of this name, as libluo_store_open_session() does, and makes none. */
enum session_offer live_update_session_offer(const char *name);
