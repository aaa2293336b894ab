/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <inttypes.h>

#include "luoctl.h"
#include "manager.h"
#include "output.h"

/* Asks for the fd stores of the units on the command line, and prints them. Returns an exit status. */
int unit_stores_print(const struct arguments *arguments,
        int (*print)(const struct arguments *arguments, const struct unit_store *stores, size_t n_stores));

/*
 * The units as an array of JSON. print_fd adds what is said of a file descriptor, whose number is counted over all
 * units.
 */
void unit_stores_print_json(const struct unit_store *stores, size_t n_stores,
        void (*print_fd)(const struct stored_fd *fd, size_t number, const void *userdata, struct json *json),
        const void *userdata, struct json *json);

/* What is told of a unit beside the entries of its store, as members of an object */
void beside_fds_print_json(const struct unit_store *store, struct json *json);

/* For the number of entries that systemd tells root only */
#define NOT_TOLD "%" PRIu64 " fds: systemd tells only root what they are"

/* What list and show print of an entry of a fd store */

/* clang-format off */
#define STORED_FD_COLUMNS \
        { "NAME", false }, { "TYPE", false }, { "ACCESS", false }, \
        { "DEVICE", true }, { "INODE", true }, { "PATH", false }
/* clang-format on */

void stored_fd_add_cells(const struct stored_fd *fd, struct table *table);
void stored_fd_print_json(const struct stored_fd *fd, struct json *json);
