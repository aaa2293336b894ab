/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager.h"
#include "output.h"

/* What list and show print of an entry of a fd store */

/* clang-format off */
#define STORED_FD_COLUMNS \
        { "NAME", false }, { "TYPE", false }, { "ACCESS", false }, { "DEVICE", true }, { "INODE", true }, { "PATH", false }
/* clang-format on */

void stored_fd_add_cells(const struct stored_fd *fd, struct table *table);
void stored_fd_print_json(const struct stored_fd *fd, struct json *json);
