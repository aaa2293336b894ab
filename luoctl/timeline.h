/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What happened over a kexec, and when: in microseconds since the shutdown began */

#define TIME_UNKNOWN UINT64_MAX

/* In the order in which they happen, one after the other. Not all are in each journal. */
enum timeline_step {
        STEP_STOP,
        STEP_SHUTDOWN,
        STEP_SYNC,
        STEP_TERMINATE,
        STEP_KILL,
        STEP_UNMOUNT,
        STEP_DETACH,
        STEP_PRESERVE,
        STEP_EXITRD,
        STEP_CALL,
        STEP_JUMP,
        STEP_KERNEL,
        STEP_INITRD,
        STEP_MANAGER,
        STEP_LOADED,
        STEP_UNITS,
        STEP_READY,
        STEPS,
};

enum timeline_event {
        EVENT_STOPPING,
        EVENT_STOPPED,
        EVENT_STARTING,
        EVENT_STARTED,
        EVENTS,
};

struct timeline_unit {
        char *name;
        uint64_t times[EVENTS];
        uint64_t forked, handed_over;  /* of a service: until its own code ran, with what it had stored */
        bool survives_kill;            /* it is up until the jump */
        bool is_oneshot;               /* nothing of it runs on: it is never away */
        uint64_t failed, last_started; /* in the next boot, the last time */
        /* Whether it was up when the shutdown began; known only of services that were not stopped but are started */
        bool was_up;
        uint64_t last_change; /* of that, by the clock of that boot */
};

struct timeline {
        char previous_boot_id[33], boot_id[33];
        uint64_t realtime; /* when it began, since 1970 */
        uint64_t steps[STEPS];
        struct timeline_unit **units; /* by the time of their first event */
        size_t n_units;
        bool is_running;       /* the boot that the kexec led to is the one that runs */
        bool units_left_out;   /* there were more than anybody has */
        bool steps_left_out;   /* they began after the next one, as far as the journal tells */
        bool has_shutdown_log; /* what systemd-shutdown said is in the journal, to its end */
        bool clock_was_set;    /* so that it cannot be told how long the jump took, and 0 is assumed */
        bool is_reboot;        /* it was to be a kexec, and is known to be none; known if the boot runs */
};

/*
 * Reads it from the journal, or from journal files in a folder: of the kexec that led to the boot which is given, by
 * its id or as 0, -1 and so on, or else of the last one. Returns 0, or an exit status: it has said what is wrong.
 */
int timeline_read(const char *directory, const char *boot, struct timeline *ret);
void timeline_unit_free(struct timeline_unit *unit);
void timeline_done(struct timeline *timeline);

bool timeline_is_service(const char *unit);

/* Whether it was started in the next boot, whatever has come of that */
bool timeline_was_started(const struct timeline_unit *unit);

/* "preserve", and what that is for people */
const char *timeline_step_name(enum timeline_step step);
const char *timeline_step_text(enum timeline_step step);

/* How long a step took: until the next one. TIME_UNKNOWN for the last one. */
uint64_t timeline_step_duration(const struct timeline *timeline, enum timeline_step step);

/*
 * When no service was up: from the end of the last ones to the start of the first one, which may be journald.
 * false: it cannot be told.
 */
bool timeline_blackout(const struct timeline *timeline, uint64_t *ret_from, uint64_t *ret_to);

/* The same of one service. *ret_to is TIME_UNKNOWN if it was not started again. false: it was not up. */
bool timeline_away(const struct timeline *timeline, const struct timeline_unit *unit, uint64_t *ret_from,
        uint64_t *ret_to);

/* Prints it as a picture, with these units. */
void timeline_print_svg(const struct timeline *timeline, struct timeline_unit *const *units, size_t n_units,
        const char *title);
