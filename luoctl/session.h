/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sessions, for the commands that work with them. What fails has said why, and returns an exit status. */

/* Whether a script may have a session of this name. Returns 0, or an exit status. */
int session_check_name(const char *name);

/* Opens the device, and with it a session. Returns its file descriptor, or an exit status as a negative number. */
int session_open(const char *name, int (*open_session)(int device_fd, const char *name));

/*
 * Whether a file descriptor is a session; origin is the command that makes those that are wanted here. Returns 0, or an
 * exit status.
 */
int session_check(int fd, const char *origin);
