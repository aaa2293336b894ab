/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

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

/* What is pending of a unit, as a member of an object */
void pending_print_json(const struct unit_store *store, struct json *json);

/* What list and show print of an entry of a fd store */

/* clang-format off */
#define STORED_FD_COLUMNS \
        { "NAME", false }, { "TYPE", false }, { "ACCESS", false }, \
        { "DEVICE", true }, { "INODE", true }, { "PATH", false }
/* clang-format on */

void stored_fd_add_cells(const struct stored_fd *fd, struct table *table);
void stored_fd_print_json(const struct stored_fd *fd, struct json *json);
