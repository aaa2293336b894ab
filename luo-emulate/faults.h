/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Failures on request: --fail [BOOT/]OPERATION[:SESSION[:TOKEN]]=ERROR[*COUNT].
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
        N_OPERATIONS,
};

const char *operation_name(enum operation operation);

struct fault {
        enum operation operation;
        bool any_boot;
        unsigned boot;
        char *session; /* NULL for any */
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

/*
 * The error an operation is to fail with, as a negative errno, or 0. The first fault that matches counts. session is
 * NULL for operations that concern no session.
 */
int faults_check(
        struct faults *faults, unsigned boot, enum operation operation, const char *session, uint64_t token);

/* Returns the errno of a name like EIO, or of a number; 0 if it is none. */
int error_from_string(const char *string);
