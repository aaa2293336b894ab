/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "output.h"

/* Whether a file descriptor in a fd store, or in a process that keeps LUO sessions itself, could survive a kexec */

enum survival {
        SURVIVAL_YES,
        SURVIVAL_NO,
        SURVIVAL_UNKNOWN,
        SURVIVAL_MAX,
};

struct verdict {
        enum survival survival;
        bool by_type;     /* it is lost as files of its type all are */
        bool looked_into; /* otherwise known by metadata only, and these are 0: */
        uint64_t size, allocated, sparse_cost;
        bool losses; /* it survives, but not all of it */
        const char *reasons[4];
        size_t n_reasons;
};

const char *survival_to_string(enum survival survival);

/* Adds a reason or a remark: a static string. */
void verdict_add(struct verdict *verdict, const char *reason);

/* Judges by the file itself. Returns 0 or a negative errno: it cannot be looked into. */
int verdict_of_fd(int fd, struct verdict *ret_verdict);

/* Judges by what is known from outside: mode, and path as in /proc/PID/fd. */
void verdict_of_metadata(mode_t mode, const char *path, struct verdict *ret_verdict);

/* Whether a path as in /proc/PID/fd is that of a LUO session */
bool path_is_session(const char *path);

/* The common cells of a table and members of an object */
void verdict_add_cells(const struct verdict *verdict, struct table *table);
void verdict_print_json(const struct verdict *verdict, struct json *json);

/* How many there are of each kind */
struct tally {
        uint64_t n[SURVIVAL_MAX];
        uint64_t sparse_cost;
};

void tally_add(struct tally *tally, const struct verdict *verdict);
void tally_print(const struct tally *tally);
enum survival tally_survival(const struct tally *tally);

/* The exit status of a check */
int tally_exit_status(const struct tally *tally);
