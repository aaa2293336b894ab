/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "luoctl.h"
#include "manager.h"

void stored_fd_done(struct stored_fd *fd) {
        free(fd->name);
        free(fd->path);
        *fd = (struct stored_fd) {};
}

int unit_store_add_fd(
        struct unit_store *store, const struct stored_fd *fd, const char *name, const char *path) {
        struct stored_fd added = *fd, *fds;

        fds = reallocarray(store->fds, store->n_fds + 1, sizeof(*fds));
        if (!fds)
                return -ENOMEM;
        store->fds = fds;

        added.name = strdup(name);
        added.path = strdup(path);
        if (!added.name || !added.path) {
                stored_fd_done(&added);
                return -ENOMEM;
        }

        fds[store->n_fds++] = added;
        return 0;
}

void unit_store_done(struct unit_store *store) {
        for (size_t i = 0; i < store->n_fds; i++)
                stored_fd_done(store->fds + i);
        for (char **session = store->sessions; session && *session; session++)
                free(*session);
        free(store->sessions);
        free(store->fds);
        free(store->preserve);
        free(store->unit);
        *store = (struct unit_store) {};
}

void unit_stores_free(struct unit_store *stores, size_t n_stores) {
        for (size_t i = 0; i < n_stores; i++)
                unit_store_done(stores + i);
        free(stores);
}

bool unit_store_is_preserved(const struct unit_store *store) {
        return strcmp(store->preserve, "yes") == 0 || strcmp(store->preserve, "on-success") == 0;
}

char *unit_name(const char *name) {
        static const char *const types[] = { ".service", ".socket", ".target", ".device", ".mount",
                ".automount", ".swap", ".timer", ".path", ".slice", ".scope" };
        size_t length = strlen(name);
        char *result;

        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (length > strlen(types[i]) && strcmp(name + length - strlen(types[i]), types[i]) == 0)
                        return strdup(name);

        return asprintf(&result, "%s.service", name) < 0 ? NULL : result;
}
