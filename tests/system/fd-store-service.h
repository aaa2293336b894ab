/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kinds of fd-store-service are made of. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The service's unit, and how often it ran before and found all as it should be: 0 where it has to begin. */
extern const char *unit;
extern int generation;

extern int n_passed_fds;
extern char **passed_names;

/* What was verified; says nothing if something was wrong before. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For WRONG() only: the generation does not go on. */
void report_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define WRONG(...)                                                                                           \
        do {                                                                                                 \
                report_wrong("wrong: " __VA_ARGS__);                                                         \
                return;                                                                                      \
        } while (0)

/* Microseconds that no machine that works takes for anything, however slow or busy it is. */
#define FAR_AWAY UINT64_C(900000000)

/* Until the manager has handled all that was sent to it; otherwise the whole test ends. */
void wait_for_manager(void);

int passed_fd(const char *name);

/* What fd i of this unit holds after the service ran as the present generation; checked against an earlier one. */
bool write_content(int fd, int i);
bool has_content(int fd, int i, int of_generation);

int new_memfd(int i);
bool store(int fd, const char *name);
bool store_unpolled(int fd, const char *name);
bool store_for_this_kernel(int fd, const char *name);

/* Each gets the arguments behind its name. */
void run_plain(char *arguments[]);
void run_same(char *arguments[]);
void run_named(char *arguments[]);
void run_unnamed(char *arguments[]);
void run_either_order(char *arguments[]);
void run_mixed(char *arguments[]);
void run_rights(char *arguments[]);
void run_preflight(char *arguments[]);
void run_checked(char *arguments[]);
void run_shared(char *arguments[]);
void run_sessions(char *arguments[]);
void run_hijack(char *arguments[]);
void run_transient(char *arguments[]);
void run_read_only(char *arguments[]);
void run_owner(char *arguments[]);
void run_unpolled(char *arguments[]);
void run_unanswered(char *arguments[]);
void run_memory(char *arguments[]);
void run_sparse(char *arguments[]);
void run_commands(char *arguments[]);
void run_dead_mount(char *arguments[]);

int leave_newer_map(void);
int flood(unsigned number);
int be_dead_server(int fuse, int alive);
