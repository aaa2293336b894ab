/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * --fd-store: what the program has of its service manager. A socket to notify it, a store for file descriptors, and
 * sessions of the unit (LUOSession=), as the patched systemd has them.
 */

#include <stddef.h>

struct service_manager;
struct supervisor;

/* Makes one, with the socket in a new temporary folder. Returns 0 or a negative errno. */
int service_manager_new(struct supervisor *supervisor, size_t entries_max, char *const luo_sessions[],
        size_t n_luo_sessions, struct service_manager **ret);
struct service_manager *service_manager_free(struct service_manager *manager);

/* Makes the sessions that the program is to get in this boot and does not have yet. */
void service_manager_make_sessions(struct service_manager *manager);

/* In the child: passes the store on, as descriptors from 3 up, and moves *fd out of the way. */
int service_manager_pass(const struct service_manager *manager, int *fd);

/* Readable when there is something to dispatch. */
int service_manager_fd(const struct service_manager *manager);
void service_manager_dispatch(struct service_manager *manager);

/* Takes the store's content over the kexec; what cannot be taken is told on stderr. */
void service_manager_before_kexec(struct service_manager *manager);
void service_manager_after_kexec(struct service_manager *manager);
