/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* File descriptors that are passed from program to program, as sd_listen_fds(3) says */

/*
 * What a service manager passed to a shell is for the programs that the shell runs as well: they have the file
 * descriptors, but $LISTEN_PID names the shell. Makes it name this process, if it names one that this one descends
 * from. Returns 0 or a negative errno.
 */
int pass_inherit(void);

/*
 * The same for what a service was passed, which its script may have closed or handed to a process that does not descend
 * from it: then says so and returns an exit status.
 */
int pass_check(void);

/*
 * The same for who wants the sessions of one name, wherever they come from: some may be in what was passed. What was
 * passed to others is nothing, and of all else it does not matter whether it is open.
 */
int pass_check_session(const char *name);

/*
 * Where nothing was passed: the other commands of a unit, like ExecStopPost=, are passed nothing, whatever is stored.
 * Says so and returns an exit status, as far as such a process can be told by its environment.
 */
int pass_check_main(void);

/* How many file descriptors were passed to this process */
unsigned passed_fds(void);

/* A name that cannot stand in $LISTEN_FDNAMES becomes what sd_listen_fds_with_names(3) has for no name. */
const char *passed_fd_name(const char *name);

/*
 * Adds to what is passed, or with replace puts these in its place: they get the numbers that follow, whatever has those
 * is closed, and the environment says so. The file descriptors are consumed. Returns 0 or a negative errno.
 */
int pass_fds(int *fds, const char *const *names, size_t n_fds, bool replace);

/*
 * Becomes the program at this path, which was found by program_find(), or says why not and returns an exit status.
 */
int become_program(const char *path, char **program);

/* Finds a program, or says why not and returns an exit status. *ret_path is for the caller to free. */
int find_program(const char *name, char **ret_path);
