/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A process above the emulator, which sees to it that nothing is left behind, whichever of the two is killed.
 */

#include <sys/types.h>

struct guard {
        pid_t pid;    /* of the emulator, for the guard; 0 in the emulator */
        int lifeline; /* in the emulator: hangs up when the guard is gone; -1 in the guard */
        int kept;     /* the guard's end of it */
};

/* Forks the emulator off, in which it returns with pid 0. Returns 0 or a negative errno. */
int guard_begin(struct guard *ret);

/*
 * In the guard: passes signals on and waits for the emulator. Returns its exit status, which is 128 and the signal's
 * number if it was killed; then its descendants are killed, too, and it was told on stderr.
 */
int guard_wait(struct guard *guard);
