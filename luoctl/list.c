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
#include "manager-live-update.h"
#include "verdict.h"

static const char *type_to_string(const struct stored_fd *fd) {
        return fd->session || path_is_session(fd->path) ? "LUO session" : file_type(fd->mode);
}

void stored_fd_add_cells(const struct stored_fd *fd, struct table *table) {
        table_add(table, "%s", fd->name);
        table_add(
                table, "%s%s%s", fd->session ? fd->session : "", fd->session ? " " : "", type_to_string(fd));
        table_add(table, "%s", access_mode(fd->open_flags));
        if (fd->inode == 0) { /* of a session that systemd names, and tells nothing else of */
                for (size_t i = 0; i < 3; i++)
                        table_add(table, "-");
                return;
        }
        table_add(table, "%u:%u", major(fd->device), minor(fd->device));
        table_add(table, "%ju", (uintmax_t) fd->inode);
        table_add(table, "%s", *fd->path ? fd->path : "-");
}

void stored_fd_print_json(const struct stored_fd *fd, struct json *json) {
        char text[64];

        json_string(json, "name", fd->name);
        json_string(json, "type", type_to_string(fd));
        if (fd->session)
                json_string(json, "session", fd->session);
        if (fd->inode == 0)
                return;
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

void beside_fds_print_json(const struct unit_store *store, struct json *json) {
        if (store->n_not_told > 0)
                json_unsigned(json, "notTold", store->n_not_told);
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

        r = manager_read_stores(
                arguments->operands, arguments->n_operands, /* numbers= */ true, &stores, &n_stores);
        if (r > 0)
                return r;

        r = live_update_note_sessions(stores, n_stores);
        r = r < 0 ? fail(r, "%s", strerror(-r)) : print(arguments, stores, n_stores);
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
                beside_fds_print_json(stores + i, json);
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

/* The cells, but for the last one, of what is no entry that systemd tells of */
static void add_other_cells(const struct unit_store *store, const char *type, struct table *table) {
        table_add(table, "%s", store->unit);
        table_add(table, "%s", store->preserve);
        table_add(table, "-");
        table_add(table, "%s", type);
        for (size_t i = 0; i < 3; i++)
                table_add(table, "-");
}

static int print_table(const struct unit_store *stores, size_t n_stores, bool legend) {
        static const struct column columns[] = { { "UNIT", false }, { "PRESERVE", false },
                STORED_FD_COLUMNS };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };
        uint64_t n_fds = 0, n_pending = 0;
        int r;

        for (size_t i = 0; i < n_stores; i++) {
                n_fds += stores[i].n_fds + stores[i].n_not_told;
                for (size_t k = 0; k < stores[i].n_fds; k++) {
                        table_add(&table, "%s", stores[i].unit);
                        table_add(&table, "%s", stores[i].preserve);
                        stored_fd_add_cells(stores[i].fds + k, &table);
                }

                if (stores[i].n_not_told > 0) {
                        add_other_cells(stores + i, "not told", &table);
                        table_add(&table, NOT_TOLD, stores[i].n_not_told);
                }

                n_pending += stores[i].n_pending;
                if (stores[i].n_pending > 0) {
                        add_other_cells(stores + i, "pending", &table);
                        table_add(&table, "%" PRIu64 " fds, %" PRIu64 " bytes", stores[i].n_pending,
                                stores[i].pending_bytes);
                }
        }

        r = table_finish(&table, legend);
        if (r < 0)
                return fail(r, "%s", strerror(-r));

        if (legend && n_pending > 0)
                printf("\nFile descriptors: %" PRIu64 ", pending: %" PRIu64 ", units: %zu.\n", n_fds,
                        n_pending, n_stores);
        else if (legend)
                printf("\nFile descriptors: %" PRIu64 ", units: %zu.\n", n_fds, n_stores);
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
