/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fd-store.h"
#include "luoctl.h"

static void print_json(const struct unit_store *store) {
        struct json j = {};

        json_begin(&j, NULL, '{');
        json_string(&j, "unit", store->unit);
        json_string(&j, "preserve", store->preserve);
        json_unsigned(&j, "maximum", store->maximum);
        json_begin(&j, "sessions", '[');
        for (char **session = store->sessions; session && *session; session++)
                json_string(&j, NULL, *session);
        json_end(&j, '[');
        json_begin(&j, "fds", '[');
        for (size_t i = 0; i < store->n_fds; i++) {
                json_begin(&j, NULL, '{');
                stored_fd_print_json(store->fds + i, &j);
                json_end(&j, '{');
        }
        json_end(&j, '[');
        beside_fds_print_json(store, &j);
        json_end(&j, '{');
        json_finish();
}

static int print_lines(const struct unit_store *store, bool legend) {
        static const struct column columns[] = { STORED_FD_COLUMNS };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };
        int r;

        printf("        Unit: ");
        print_text(store->unit);
        printf("\n    Preserve: ");
        print_text(store->preserve);
        printf("%s\n",
                unit_store_is_preserved(store) ? "" : " (FileDescriptorStorePreserve=yes would keep it)");
        printf("      Stored: %" PRIu64 " of at most %" PRIu32 "\n", store->n_fds + store->n_not_told,
                store->maximum);
        if (store->n_not_told > 0)
                printf("    Not told: " NOT_TOLD "\n", store->n_not_told);
        if (store->n_pending > 0)
                printf("     Pending: %" PRIu64 " fds, %" PRIu64 " bytes, until the unit is started\n",
                        store->n_pending, store->pending_bytes);
        printf("LUO sessions: ");
        if (!store->sessions || !*store->sessions)
                printf("none");
        for (char **session = store->sessions; session && *session; session++) {
                if (session > store->sessions)
                        printf(", ");
                print_text(*session);
        }
        printf("\n");

        if (store->n_fds == 0)
                return EXIT_SUCCESS;

        for (size_t i = 0; i < store->n_fds; i++)
                stored_fd_add_cells(store->fds + i, &table);

        printf("\n");
        r = table_finish(&table, legend);
        return r < 0 ? fail(r, "%s", strerror(-r)) : EXIT_SUCCESS;
}

static int print(const struct arguments *arguments, const struct unit_store *stores, size_t n_stores) {
        (void) n_stores; /* one was asked for, so there is one */

        if (!arguments->json)
                return print_lines(stores, arguments->legend);

        print_json(stores);
        return EXIT_SUCCESS;
}

int command_show(const struct arguments *arguments) {
        return unit_stores_print(arguments, print);
}
