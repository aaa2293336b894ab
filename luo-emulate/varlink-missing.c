/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Of a build without json-c */

#include <stddef.h>

#include "live-update.h"
#include "varlink.h"

int varlink_server_new(
        const char *path, varlink_handler handler, void *userdata, struct varlink_server **ret_server) {
        (void) path;
        (void) handler;
        (void) userdata;
        *ret_server = NULL;
        return 0;
}

struct varlink_server *varlink_server_free(struct varlink_server *server) {
        (void) server;
        return NULL;
}

int varlink_server_fd(const struct varlink_server *server) {
        (void) server;
        return -1;
}

int varlink_server_dispatch(struct varlink_server *server) {
        (void) server;
        return 0;
}

void live_update_call(void *userdata, struct varlink_call *call) {
        (void) userdata;
        (void) call;
}
