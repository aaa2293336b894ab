/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Failures on request: --fail [BOOT/]OPERATION[:NAME[:TOKEN]]=ERROR[*COUNT].
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum operation {
        OPERATION_OPEN,
        OPERATION_CREATE,
        OPERATION_RETRIEVE_SESSION,
        OPERATION_PRESERVE,
        OPERATION_RETRIEVE,
        OPERATION_FINISH,
        OPERATION_GET_NAME,
        /* An entry of the fd store, over the kexec; its name is where others have a session's */
        OPERATION_FDSTORE_RESTORE,
        N_OPERATIONS,
};

const char *operation_name(enum operation operation);

struct fault {
        char *specification;
        bool has_fitted;
        enum operation operation;
        bool any_boot;
        unsigned boot;
        char *name; /* of a session, or what else the operation concerns; NULL for any */
        bool any_token;
        uint64_t token;
        int error;    /* a positive errno */
        bool limited; /* remaining counts down */
        unsigned long remaining;
};

struct faults {
        struct fault *list;
        size_t n;
};

/*
 * Adds a fault by its specification. Returns 0, or -EINVAL or -ENOMEM with *ret_reason set to a sentence that says
 * what is wrong.
 */
int faults_add(struct faults *faults, const char *specification, const char **ret_reason);
void faults_done(struct faults *faults);

/* Whether any is of this operation. */
bool faults_have(const struct faults *faults, enum operation operation);

/* Tells on stderr which have fitted nothing. Returns whether there are any. */
bool faults_tell_unused(const struct faults *faults);

/*
 * The error an operation is to fail with, as a negative errno, or 0. The first fault that matches counts. name is
 * NULL for operations that concern nothing that has one.
 */
int faults_check(
        struct faults *faults, unsigned boot, enum operation operation, const char *name, uint64_t token);

/* Returns the errno of a name like EIO, or of a number; 0 if it is none. */
int error_from_string(const char *string);
