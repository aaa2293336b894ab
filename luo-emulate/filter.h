/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The seccomp filter: which system calls of the program the supervisor answers.
 */

#include <linux/filter.h>

/* Makes the filter. Returns 0 or a negative errno; filter->filter is for free(3). */
int filter_make(struct sock_fprog *filter);

/*
 * Loads it into the calling thread, for good and for all descendants. Returns the file descriptor that notifications
 * are read from, or a negative errno.
 */
int filter_load(const struct sock_fprog *filter);
