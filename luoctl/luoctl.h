/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What the commands of luoctl share. A command gets what was given on the command line and returns an exit status; when
 * it fails it has said why, on stderr.
 */

/* Exit statuses beyond 0 and 1, see luoctl(1). Nothing else decides on them but this list and exit_status(). */
enum {
        EXIT_USAGE = 2,
        EXIT_NOT_AVAILABLE = 3,    /* no LUO in this kernel */
        EXIT_BUSY = 4,             /* device, session or file are in use */
        EXIT_LOSSES = 5,           /* something would not survive a kexec */
        EXIT_UNCERTAIN = 6,        /* nothing is known to be lost, but not everything could be found out */
        EXIT_NOT_FOUND = 7,        /* no such unit, session, token, process or file */
        EXIT_CANNOT_EXECUTE = 126, /* PROGRAM, as with env(1) */
        EXIT_NO_PROGRAM = 127,
};

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* The first file descriptor that is passed, SD_LISTEN_FDS_START of sd_listen_fds(3) */
#define FIRST_PASSED_FD 3

struct arguments {
        bool json;
        bool svg;
        bool legend;
        bool all;
        bool memfd;
        bool again;
        pid_t process;      /* 0: not given */
        const char *kernel; /* NULL: not given */
        bool quiet;
        bool change_owner;
        int session_fd;               /* FIRST_PASSED_FD unless given */
        int fd;                       /* -1: not given */
        const char *output;           /* NULL: not given */
        const char *root;             /* "" unless given */
        const char *boot, *directory; /* NULL: not given */
        char **operands;
        size_t n_operands;
        char **program; /* what follows "--", with a NULL at its end; NULL: not given */
};

/* The exit status for a negative errno. */
int exit_status(int error);

/* Says on stderr what is wrong. The first returns exit_status(error), the second EXIT_USAGE. */
int fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reads a number of decimal (0x: hexadecimal) digits up to maximum. Returns false for anything else. */
bool parse_number(const char *text, uint64_t maximum, uint64_t *ret);

/* The commands, a file each */
int command_status(const struct arguments *arguments);
int command_list(const struct arguments *arguments);
int command_show(const struct arguments *arguments);
int command_check(const struct arguments *arguments);
int command_timeline(const struct arguments *arguments);
int command_dump(const struct arguments *arguments);
int command_bundle_create(const struct arguments *arguments);
int command_bundle_list(const struct arguments *arguments);
int command_bundle_take(const struct arguments *arguments);
int command_store_put(const struct arguments *arguments);
int command_store_get(const struct arguments *arguments);
int command_store_list(const struct arguments *arguments);
int command_store_remove(const struct arguments *arguments);
int command_store_path(const struct arguments *arguments);
int command_hand_over_mark(const struct arguments *arguments);
int command_hand_over_check(const struct arguments *arguments);
int command_session_create(const struct arguments *arguments);
int command_session_retrieve(const struct arguments *arguments);
int command_session_open(const struct arguments *arguments);
int command_session_preserve(const struct arguments *arguments);
int command_session_get(const struct arguments *arguments);
int command_session_finish(const struct arguments *arguments);
int command_session_name(const struct arguments *arguments);
