/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

#define NEXT ".next"

/* A name that every way to a session takes: of LUO, and of FDNAME= with room for the suffix */
static bool name_is_valid(const char *name) {
        size_t length = strlen(name), suffix = strlen(NEXT);

        return libluo_session_name_is_valid(name) && libluo_internal_entry_name_is_valid(name, length) &&
                !strpbrk(name, " ~\\\"'*?[") &&
                (length < suffix || strcmp(name + length - suffix, NEXT) != 0) &&
                strcmp(name, LIBLUO_SESSION_SYSTEMD) != 0 &&
                strncmp(name, LIBLUO_SESSION_UNIT_PREFIX, strlen(LIBLUO_SESSION_UNIT_PREFIX)) != 0;
}

/* Of what the service manager gave: anything but such a session, be it open with O_PATH, is not what was asked for */
static int check_direction(int session_fd, bool outgoing) {
        int r = session_fd < 0 ? outgoing : libluo_internal_session_is_outgoing(session_fd);

        return r < 0 && r != -EMEDIUMTYPE && r != -EBADF ? r : r == (int) outgoing ? 0 : -EPROTO;
}

/* Through the service manager. -EOPNOTSUPP: it has none to offer. */
static int open_by_manager(const char *name, uint64_t until_usec, int *restored, int *next) {
        int r;

        r = libluo_internal_manager_call("GetSession", name, "restored", until_usec);
        if (r < 0 && r != -ENOENT)
                return r;
        *restored = r >= 0 ? r : -1;

        r = libluo_internal_manager_call("GetSession", name, "outgoing", until_usec);
        if (r == -ENOENT)
                r = libluo_internal_manager_call("CreateSession", name, NULL, until_usec);
        if (r == -EEXIST) /* another process of the service was quicker */
                r = libluo_internal_manager_call("GetSession", name, "outgoing", until_usec);
        if (r < 0)
                return r != -ENOENT && r != -EEXIST ? r : -EPROTO;
        *next = r;

        r = check_direction(*restored, false);
        return r < 0 ? r : check_direction(*next, true);
}

/* Puts it where the service manager keeps it, if there is one with an fd store. */
static int keep(libluo_store *store, const char *fdname, int session_fd) {
        int r;

        r = libluo_store_put_fd(store, fdname, session_fd, LIBLUO_STORE_NO_POLL | LIBLUO_STORE_ADD);
        /* Without $FDSTORE there is no fd store, which a store that others write to finds out by asking for room */
        return r == -ENOTCONN || r == -ENOMEDIUM || (r == -ENOBUFS && !getenv("FDSTORE")) ? 0 : r;
}

static int open_by_device(
        libluo_store *store, const char *name, uint64_t timeout_usec, int *restored, int *next) {
        char fdname[LIBLUO_SESSION_NAME_MAX + sizeof(NEXT)];
        int device_fd, spare_fd, fd, r;

        /* The plain name may be that of the restored one */
        fd = libluo_store_get_fd(store, name, 0);
        (void) snprintf(fdname, sizeof(fdname), "%s%s", name, fd == -ENOENT ? "" : NEXT);
        close_fd(fd);

        device_fd = libluo_device_open(timeout_usec);
        if (device_fd < 0)
                return device_fd;

        r = libluo_session_create(device_fd, name);
        if (r < 0) {
                close_fd(device_fd);
                return r == -EEXIST ? -EBUSY : r;
        }
        *next = r;

        /* The kernel looks for a number before it looks for the session: so there has to be one */
        spare_fd = fcntl(device_fd, F_DUPFD_CLOEXEC, 0);
        r = spare_fd < 0 ? -errno : keep(store, fdname, *next);
        close_fd(spare_fd);
        if (r >= 0 && *restored < 0) {
                /* Last, as there is no way back: closing it would free what is in it */
                r = libluo_session_retrieve(device_fd, name);
                if (r >= 0)
                        *restored = r;
                else if (r == -ENOENT)
                        r = 0;
                else if (r != -EBUSY)
                        /* Nobody has retrieved it, so it is not what the fd store has under this name. It might be
                         * after -EBUSY, if it was passed to another process: the new one stays with it, then. */
                        (void) libluo_store_remove(store, fdname);
        }
        close_fd(device_fd);

        return r;
}

LIBLUO_PUBLIC int libluo_store_open_session(libluo_store *store, const char *name, uint32_t flags,
        uint64_t busy_timeout_usec, int *ret_restored, int *ret_next) {
        uint64_t until_usec;
        int restored = -1, next = -1, r;

        if (!store || !name || !name_is_valid(name) || flags != 0 || !ret_restored || !ret_next)
                return -EINVAL;

        if (__builtin_add_overflow(now_usec(), busy_timeout_usec, &until_usec))
                until_usec = UINT64_MAX;

        r = open_by_manager(name, until_usec, &restored, &next);
        if (r == -EOPNOTSUPP) {
                /* The manager keeps what it gave before it refused the other one */
                close_fd(restored);
                restored = -1;
                r = libluo_store_get_sessions(store, name, 0, &restored, &next);
                if (r == -ENOENT || (r >= 0 && next < 0))
                        r = open_by_device(store, name, busy_timeout_usec, &restored, &next);
        }
        if (r < 0) {
                close_fd(restored);
                close_fd(next);
                return r;
        }

        *ret_restored = restored;
        *ret_next = next;
        return 0;
}
