/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* Copies what can be read from one file descriptor to another. Returns 0, -EFBIG: over maximum, or a negative errno. */
int copy_content(int from_fd, int to_fd, uint64_t maximum);

/*
 * A copy of what can be read from a file descriptor, in a file of memory of that name that LUO preserves: read-write, at
 * offset 0, with the permission bits of a regular file, and otherwise for its owner alone. Returns a file descriptor, or a
 * negative errno.
 */
int content_to_memfd(int from_fd, const char *name);

/*
 * Prints the content of a file from its start, whatever its offset is, into a file or, if that is NULL or "-", to stdout.
 * Returns an exit status: it has said what is wrong.
 */
int content_print(int fd, const char *output);
