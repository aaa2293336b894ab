/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The interface io.systemd.LiveUpdate of the service manager, as in the patched systemd: sessions for a service that
 * asks for them while it runs. What the store has is service-manager.c's; what is asked for and answered is here.
 */

#include <stdbool.h>
#include <stddef.h>

struct stored_fd;
struct varlink_call;

/* What there is of a name */
struct unit_sessions {
        struct stored_fd *restored, *outgoing;
};

/* Of service-manager.c */
struct service_manager;
void service_manager_find_sessions(
        struct service_manager *manager, const char *name, struct unit_sessions *ret);
int service_manager_create_session(struct service_manager *manager, const char *name);
void service_manager_remove_session(struct service_manager *manager, struct stored_fd *entry);
bool service_manager_is_caller(const struct service_manager *manager, int pid);
unsigned service_manager_boot(const struct service_manager *manager);

/* Sessions that the service has created, and how many it may have; both outgoing. */
size_t service_manager_count_sessions(struct service_manager *manager);
size_t service_manager_sessions_max(const struct service_manager *manager);

/* The first session after *entry (NULL: of all) in the store, and what it is; false if there is none. */
struct session_description {
        const char *name;
        bool restored;
};
bool service_manager_next_session(
        struct service_manager *manager, struct stored_fd **entry, struct session_description *ret);

/* Any entry of the store: the first after *entry (NULL: of all), and what it is; false if there is none. */
struct entry_description {
        const char *name;
        int fd;
        bool is_session, is_restored; /* is_restored: a session that came from the previous kernel */
        bool is_preserved;            /* a file that is in a session of somebody already */
};
bool service_manager_next_entry(
        struct service_manager *manager, struct stored_fd **entry, struct entry_description *ret);

/* A varlink_handler; userdata is the service manager. */
void live_update_call(void *userdata, struct varlink_call *call);

/* Check(), of all that the store has: live-update-check.c. */
void live_update_check(struct service_manager *manager, struct varlink_call *call, const char *unit);
