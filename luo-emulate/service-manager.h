/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the program has of its service manager: a socket to notify it, a store for file descriptors, sessions of the
 * unit (LUOSession=), and sockets that others listen on for it, as the patched systemd has them.
 */

#include <stdbool.h>
#include <stddef.h>

struct service_manager;
struct supervisor;

/* What a unit file says. */
struct unit_setting {
        size_t fd_store_max;
        char **luo_sessions;
        size_t n_luo_sessions;
        size_t sessions_max; /* LiveUpdateSessionsMax= */
        char **listen_streams;
        size_t n_listen_streams;
};

/*
 * The temporary folder of the socket, which outlives the manager: whoever of several processes is the last removes it.
 * Returns 0 or a negative errno, and then it was told on stderr.
 */
int service_manager_make_folder(char **ret);
void service_manager_remove_folder(const char *folder);

/* Makes one, with the socket in this folder. Returns 0 or a negative errno, and then it was told on stderr. */
int service_manager_new(struct supervisor *supervisor, const struct unit_setting *unit, const char *folder,
        struct service_manager **ret);
struct service_manager *service_manager_free(struct service_manager *manager);

/*
 * Makes what the program is to get at its next start and is not there yet: sessions and sockets. Returns 0 or a
 * negative errno, and then it was told on stderr.
 */
int service_manager_begin(struct service_manager *manager);

/* Whether the program has said READY=1 since then. */
bool service_manager_is_ready(const struct service_manager *manager);

/* In the child: unsets what a service manager sets. */
void service_manager_unset(void);

/* In the child: passes sockets and store on, as descriptors from 3 up, and moves *fd out of the way. */
int service_manager_pass(const struct service_manager *manager, int *fd);

/* In the child: passes nothing but the way to send messages, as to a control process with NotifyAccess=exec. */
int service_manager_pass_socket(const struct service_manager *manager);

/* Readable when there is something to dispatch. */
int service_manager_fd(const struct service_manager *manager);
void service_manager_dispatch(struct service_manager *manager);

/* Takes the store's content over the kexec; what cannot be taken is told on stderr. */
void service_manager_before_kexec(struct service_manager *manager);
void service_manager_after_kexec(struct service_manager *manager);
