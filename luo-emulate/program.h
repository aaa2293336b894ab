/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Starting the program, with the filter loaded.
 */

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <linux/filter.h>

struct service_manager;

/* Exit statuses for what has nothing to do with the program's own. */
enum {
        EXIT_CANNOT_EMULATE = 125,
        EXIT_NOT_EXECUTABLE = 126,
        EXIT_NOT_FOUND = 127,
};

/* What the emulator changed for itself and the program gets back. */
struct program_setting {
        sigset_t signal_mask;
        struct sigaction pipe_action;
        struct rlimit files_limit;
};

/*
 * Runs argv with LUO_BOOT set. Returns 0, or the exit status that says what went wrong, and then it was told on stderr.
 * Where the program does run, *ret_pid and *ret_listener are its process, a child, and where its requests come from.
 */
int program_start(char *argv[], unsigned boot, const struct sock_fprog *filter,
        const struct program_setting *setting, const struct service_manager *manager, pid_t *ret_pid,
        int *ret_listener);
