/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fd-store.h"
#include "luoctl.h"
#include "verdict.h"

static const char *type_to_string(const struct stored_fd *fd) {
        return path_is_session(fd->path) ? "LUO session" : file_type(fd->mode);
}

void stored_fd_add_cells(const struct stored_fd *fd, struct table *table) {
        table_add(table, "%s", fd->name);
        table_add(table, "%s", type_to_string(fd));
        table_add(table, "%s", access_mode(fd->open_flags));
        table_add(table, "%u:%u", major(fd->device), minor(fd->device));
        table_add(table, "%ju", (uintmax_t) fd->inode);
        table_add(table, "%s", *fd->path ? fd->path : "-");
}

void stored_fd_print_json(const struct stored_fd *fd, struct json *json) {
        char text[64];

        json_string(json, "name", fd->name);
        json_string(json, "type", type_to_string(fd));
        (void) snprintf(text, sizeof(text), "%04o", (unsigned) fd->mode & 07777);
        json_string(json, "mode", text);
        json_string(json, "access", access_mode(fd->open_flags));
        (void) snprintf(text, sizeof(text), "%u:%u", major(fd->device), minor(fd->device));
        json_string(json, "device", text);
        json_unsigned(json, "inode", fd->inode);
        if (S_ISCHR(fd->mode) || S_ISBLK(fd->mode)) {
                (void) snprintf(text, sizeof(text), "%u:%u", major(fd->represented_device),
                        minor(fd->represented_device));
                json_string(json, "representedDevice", text);
        }
        json_string(json, "path", *fd->path ? fd->path : NULL);
}

void pending_print_json(const struct unit_store *store, struct json *json) {
        json_begin(json, "pending", '{');
        json_unsigned(json, "fds", store->n_pending);
        json_unsigned(json, "bytes", store->pending_bytes);
        json_end(json, '{');
}

int unit_stores_print(const struct arguments *arguments,
        int (*print)(const struct arguments *arguments, const struct unit_store *stores, size_t n_stores)) {

        struct unit_store *stores;
        size_t n_stores;
        int r;

        r = manager_read_stores(arguments->operands, arguments->n_operands, &stores, &n_stores);
        if (r > 0)
                return r;

        r = print(arguments, stores, n_stores);
        unit_stores_free(stores, n_stores);
        return r;
}

void unit_stores_print_json(const struct unit_store *stores, size_t n_stores,
        void (*print_fd)(const struct stored_fd *fd, size_t number, const void *userdata, struct json *json),
        const void *userdata, struct json *json) {

        size_t number = 0;

        json_begin(json, "units", '[');
        for (size_t i = 0; i < n_stores; i++) {
                json_begin(json, NULL, '{');
                json_string(json, "unit", stores[i].unit);
                json_string(json, "preserve", stores[i].preserve);
                json_begin(json, "fds", '[');
                for (size_t k = 0; k < stores[i].n_fds; k++) {
                        json_begin(json, NULL, '{');
                        print_fd(stores[i].fds + k, number++, userdata, json);
                        json_end(json, '{');
                }
                json_end(json, '[');
                pending_print_json(stores + i, json);
                json_end(json, '{');
        }
        json_end(json, '[');
}

static void print_fd_json(
        const struct stored_fd *fd, size_t number, const void *userdata, struct json *json) {
        (void) number;
        (void) userdata;

        stored_fd_print_json(fd, json);
}

static int print_table(const struct unit_store *stores, size_t n_stores, bool legend) {
        static const struct column columns[] = { { "UNIT", false }, { "PRESERVE", false },
                STORED_FD_COLUMNS };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };
        uint64_t n_pending = 0;
        size_t n_fds = 0;
        int r;

        for (size_t i = 0; i < n_stores; i++) {
                n_fds += stores[i].n_fds;
                for (size_t k = 0; k < stores[i].n_fds; k++) {
                        table_add(&table, "%s", stores[i].unit);
                        table_add(&table, "%s", stores[i].preserve);
                        stored_fd_add_cells(stores[i].fds + k, &table);
                }

                n_pending += stores[i].n_pending;
                if (stores[i].n_pending > 0) {
                        table_add(&table, "%s", stores[i].unit);
                        table_add(&table, "%s", stores[i].preserve);
                        table_add(&table, "-");
                        table_add(&table, "pending");
                        for (size_t k = 0; k < 3; k++)
                                table_add(&table, "-");
                        table_add(&table, "%" PRIu64 " fds, %" PRIu64 " bytes", stores[i].n_pending,
                                stores[i].pending_bytes);
                }
        }

        r = table_finish(&table, legend);
        if (r < 0)
                return fail(r, "%s", strerror(-r));

        if (legend && n_pending > 0)
                printf("\nFile descriptors: %zu, pending: %" PRIu64 ", units: %zu.\n", n_fds, n_pending,
                        n_stores);
        else if (legend)
                printf("\nFile descriptors: %zu, units: %zu.\n", n_fds, n_stores);
        return EXIT_SUCCESS;
}

static int print(const struct arguments *arguments, const struct unit_store *stores, size_t n_stores) {
        struct json j = {};

        if (!arguments->json)
                return print_table(stores, n_stores, arguments->legend);

        json_begin(&j, NULL, '{');
        unit_stores_print_json(stores, n_stores, print_fd_json, NULL, &j);
        json_end(&j, '{');
        json_finish();
        return EXIT_SUCCESS;
}

int command_list(const struct arguments *arguments) {
        return unit_stores_print(arguments, print);
}
