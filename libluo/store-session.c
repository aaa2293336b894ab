/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

#define NEXT ".next"

/* What the service manager has said of the fd store holds for that long, as others have hardly filled it by then. */
#define MOMENT_USEC (USEC_PER_SEC / 10)

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

/* Whether there are numbers for all that storing two sessions opens */
static int check_numbers(int fd) {
        int fds[8], r = 0;
        size_t n = 0;

        for (; n < ELEMENTS(fds) && r >= 0; n += r >= 0) {
                fds[n] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
                r = fds[n] < 0 ? -errno : 0;
        }
        while (n > 0)
                close_fd(fds[--n]);

        return LUO_CLOSED_SET(r, EMFILE, ENOMEM);
}

static int open_device(uint64_t until_usec) {
        uint64_t left;

        (void) time_left(until_usec, &left);
        return libluo_device_open(left);
}

static int create(const char *name, uint64_t until_usec) {
        int device_fd, r;

        device_fd = open_device(until_usec);
        if (device_fd < 0)
                return device_fd;

        r = libluo_session_create(device_fd, name);
        close_fd(device_fd);
        return r == -EEXIST ? -EBUSY : r;
}

/*
 * Whether there is an fd store, with room for n more: 1, 0 if there is none, or the errors of libluo_store_put_fd(). Of
 * a service manager that has taken something it is known that it takes what this process puts.
 */
static int has_room(const libluo_store *store, size_t n) {
        int r;

        r = libluo_internal_store_ask_room(store, n);
        return r == -ENOMEDIUM ? 0 : r < 0 ? r : 1;
}

/* The same, and opens the device in that moment: were it waited for longer, others might fill the fd store. */
static int open_device_with_room(
        const libluo_store *store, size_t n, uint64_t until_usec, int *ret_device_fd) {
        for (;;) {
                uint64_t begin = now_usec(), moment_usec;
                int device_fd, r;

                r = has_room(store, n);
                if (r < 0)
                        return r;
                until_usec = add_usec(until_usec, now_usec() - begin); /* that was no wait for the device */

                moment_usec = time_after(MOMENT_USEC);
                device_fd = open_device(moment_usec < until_usec ? moment_usec : until_usec);
                if (device_fd >= 0) {
                        *ret_device_fd = device_fd;
                        return r;
                }
                if (device_fd != -EBUSY)
                        return device_fd;

                device_fd = open_device(until_usec);
                if (device_fd < 0)
                        return device_fd;
                /* Not open while the service manager is asked, which may wait for it, too */
                close_fd(device_fd);
        }
}

/*
 * The fd store can remove by name only, and what it has under a name it may have passed to another process. So nothing
 * is put there before all is known that could fail; and as closing what was retrieved would free what is in it, nothing
 * fails after that, even if the fd store has been filled meanwhile.
 */
static int open_by_device(
        libluo_store *store, const char *name, uint64_t until_usec, int *restored, int *next) {
        char next_name[LIBLUO_SESSION_NAME_MAX + sizeof(NEXT)];
        bool is_stored, is_retrieved = false;
        int device_fd = -1, fd, r;

        /* First, as the name keeps others out who would ask for room for the same. One who was not passed what is in
         * the fd store has it only until the restored session is found to be taken. */
        for (unsigned n = 0; (r = create(name, until_usec)) == -EBUSY && *restored >= 0 && n < 20 &&
                now_usec() < until_usec;
                n++)
                (void) poll(NULL, 0, 50);
        if (r < 0)
                return r;
        *next = r;

        r = *restored < 0 ? open_device_with_room(store, 2, until_usec, &device_fd) : has_room(store, 1);
        if (r < 0)
                return r;
        is_stored = r > 0;

        if (*restored < 0) {
                r = check_numbers(device_fd);
                if (r >= 0)
                        r = libluo_session_retrieve(device_fd, name);
                close_fd(device_fd);
                if (r < 0 && r != -ENOENT)
                        return r;
                is_retrieved = r >= 0;
                *restored = is_retrieved ? r : -1;
        }
        if (!is_stored)
                return 0;

        /* The plain name may be that of the restored one */
        fd = libluo_store_get_fd(store, name, 0);
        close_fd(fd);
        (void) snprintf(
                next_name, sizeof(next_name), "%s%s", name, is_retrieved || fd != -ENOENT ? NEXT : "");

        if (is_retrieved)
                (void) libluo_internal_store_put_session(store, name, *restored);
        r = libluo_internal_store_put_session(store, next_name, *next);
        if (r < 0 && !is_retrieved)
                return r;

        /* A service manager that comes to a message after its sender has ended does not know whose it is */
        (void) libluo_internal_notify_barrier(LUO_NOTIFY_TIMEOUT_USEC);
        return 0;
}

LIBLUO_PUBLIC int libluo_store_open_session(libluo_store *store, const char *name, uint32_t flags,
        uint64_t busy_timeout_usec, int *ret_restored, int *ret_next) {
        int restored = -1, next = -1, r;

        if (!store || !name || !name_is_valid(name) || flags != 0 || !ret_restored || !ret_next)
                return -EINVAL;

        r = open_by_manager(name, time_after(busy_timeout_usec), &restored, &next);
        if (r == -EOPNOTSUPP) {
                /* The manager keeps what it gave before it refused the other one */
                close_fd(restored);
                restored = -1;
                r = libluo_store_get_sessions(store, name, 0, &restored, &next);
                if (r == -ENOENT || (r >= 0 && next < 0))
                        r = open_by_device(store, name, time_after(busy_timeout_usec), &restored, &next);
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
