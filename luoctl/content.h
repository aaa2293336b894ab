/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* Copies what can be read from one file descriptor to another. Returns 0, -EFBIG: over maximum, or a negative errno. */
int copy_content(int from_fd, int to_fd, uint64_t maximum);
