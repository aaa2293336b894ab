/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "luoctl.h"
#include "manager.h"

/* In the place of manager.c where there is no libsystemd to build with */
int manager_read_stores(char *const *units, size_t n_units, bool numbers, struct unit_store **ret_stores,
        size_t *ret_n_stores) {
        (void) units;
        (void) n_units;
        (void) numbers;
        (void) ret_stores;
        (void) ret_n_stores;

        return fail(-EOPNOTSUPP,
                "this luoctl was built without libsystemd, so it cannot ask systemd for fd stores; "
                "rebuild it with -Dsystemd=enabled");
}

int manager_read_state(struct manager_state *ret) {
        (void) ret;

        return fail(-EOPNOTSUPP,
                "this luoctl was built without libsystemd, so it cannot ask systemd about kexecs; "
                "rebuild it with -Dsystemd=enabled");
}

int manager_read_starts(char *const *services, size_t n_services, struct service_start *ret) {
        (void) services;
        (void) n_services;
        (void) ret;

        return fail(-EOPNOTSUPP,
                "this luoctl was built without libsystemd, so it cannot ask systemd about services; "
                "rebuild it with -Dsystemd=enabled");
}

void manager_warn(
        const char *message_id, const char *unit, const char *why, bool on_console, const char *format, ...) {
        (void) message_id;
        (void) unit;
        (void) why;
        (void) on_console;
        (void) format;
}
