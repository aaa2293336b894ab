/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Starting the program, with the filter loaded.
 */

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <linux/filter.h>

struct service_manager;

/* Exit statuses for what has nothing to do with the program's own. */
enum {
        EXIT_FAULT_UNUSED = 123,
        EXIT_CANNOT_EMULATE = 125,
        EXIT_NOT_EXECUTABLE = 126,
        EXIT_NOT_FOUND = 127,
};

/* What the emulator changed for itself and the program gets back. */
struct program_setting {
        sigset_t signal_mask;
        struct sigaction pipe_action;
        struct sigaction file_size_action;
        struct rlimit files_limit;
        struct rlimit file_size_limit;
};

/* What a program is to the service. */
enum program_role {
        ROLE_MAIN,
        ROLE_DRIVER,    /* no part of it */
        ROLE_STOP_POST, /* a control process, after its end */
};

/* What a program is started with. */
struct program_start {
        char *const *argv;
        unsigned boot;
        unsigned restart;
        enum program_role role;
        pid_t main_pid; /* of the service, for its driver; 0 if it has ended */
        const char *
                result; /* of the service, as systemd calls it, and how its process ended: for what runs then */
        int main_status;
        const struct sock_fprog *filter;
        const struct program_setting *setting;
        const struct service_manager *manager; /* or NULL */
};

/* A program that runs, and all that descends from it. */
struct program {
        pid_t pid;        /* 0: is not there, or has ended */
        int listener;     /* where its requests come from, or -1 */
        bool has_callers; /* anybody of it is left who could call */
};

/* Returns 0, or the exit status that says what went wrong, and then it was told on stderr. */
int program_start(const struct program_start *start, struct program *ret);
