/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/syscall.h>
#include <sys/vfs.h>

#include "internal.h"

#define LISTEN_FDS_START 3 /* sd_listen_fds(3) */

#define PIDFS_MAGIC_VALUE 0x50494446 /* PID_FS_MAGIC of <linux/magic.h> */

/* One file descriptor that is in the fd store, or that was passed in another way (sockets). */
struct store_entry {
        char *name; /* without generation */
        uint64_t generation;
        int fd;
};

struct libluo_store {
        struct store_entry *entries; /* the newest generation of each name first among those of its name */
        size_t n_entries, n_allocated;
        uint64_t maximum; /* of the fd store; UINT64_MAX: there is none */
};

/* ------------------------------------------------------------------------------------------- what is passed ---- */

/* Splits "state~1f" into name and generation; anything else is a name of generation 0. Returns the name's length. */
static size_t parse_generation(const char *fdname, uint64_t *ret_generation) {
        const char *tilde = strrchr(fdname, '~'), *digits = tilde ? tilde + 1 : NULL;
        size_t n = tilde ? strspn(digits, "0123456789abcdef") : 0;

        if (!tilde || tilde == fdname || n == 0 || n > 16 || digits[n] != 0 || digits[0] == '0') {
                *ret_generation = 0;
                return strlen(fdname);
        }

        *ret_generation = strtoull(digits, NULL, 16);
        if (*ret_generation == UINT64_MAX) { /* there is none after it */
                *ret_generation = 0;
                return strlen(fdname);
        }
        return (size_t) (tilde - fdname);
}

static struct store_entry *find_entry(const libluo_store *s, const char *name) {
        struct store_entry *found = NULL;

        for (size_t i = 0; i < s->n_entries; i++)
                if (strcmp(s->entries[i].name, name) == 0 &&
                        (!found || s->entries[i].generation > found->generation))
                        found = s->entries + i;

        return found;
}

/* Returns an fd, -EBADF, -EMFILE or -ENOMEM. */
static int duplicate(int fd) {
        int other_fd;

        other_fd = fcntl(fd, F_DUPFD_CLOEXEC, LISTEN_FDS_START);
        if (other_fd >= 0)
                return other_fd;

        /* EINVAL: the limit of open files is not even over LISTEN_FDS_START */
        return errno == EBADF || errno == ENOMEM ? -errno : -EMFILE;
}

static int make_room(libluo_store *s) {
        struct store_entry *entries;
        size_t n = s->n_allocated ? s->n_allocated * 2 : 8;

        if (s->n_entries < s->n_allocated)
                return 0;

        entries = realloc(s->entries, n * sizeof(*entries));
        if (!entries)
                return -ENOMEM;

        s->entries = entries;
        s->n_allocated = n;
        return 0;
}

static void remove_entry(libluo_store *s, size_t i) {
        free(s->entries[i].name);
        close_fd(s->entries[i].fd);
        memmove(s->entries + i, s->entries + i + 1, (s->n_entries - i - 1) * sizeof(*s->entries));
        s->n_entries--;
}

/* Reads a number that fills the whole of an environment variable; false if it is not set, or not that. */
static bool number_from_environment(const char *variable, uint64_t *ret) {
        const char *text = getenv(variable);
        uint64_t value;
        char *end;

        if (!text || *text < '0' || *text > '9')
                return false;

        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0 || *end)
                return false;

        *ret = value;
        return true;
}

/* Process ids are used again; the inode number of a pidfd is not. False if $LISTEN_PIDFDID names another process. */
static bool is_this_process(void) {
        struct statfs sfs;
        bool same = true;
        struct stat st;
        uint64_t id;
        int fd;

        if (!number_from_environment("LISTEN_PIDFDID", &id))
                return true;

        /* Before Linux 6.9 all pidfds have the same inode, and nothing can be said */
        fd = (int) syscall(SYS_pidfd_open, getpid(), 0);
        if (fd >= 0 && fstatfs(fd, &sfs) >= 0 && sfs.f_type == PIDFS_MAGIC_VALUE && fstat(fd, &st) >= 0)
                same = st.st_ino == id;
        close_fd(fd);
        return same;
}

/* Takes over the fds from LISTEN_FDS_START on. names: separated by ":", or NULL. */
static int take_over_fds(libluo_store *s, uint64_t n_fds, const char *names) {
        int r;

        if (n_fds > (uint64_t) (INT32_MAX - LISTEN_FDS_START))
                return -EBADMSG;

        /* All of them first, so that a failure takes nothing over */
        for (uint64_t i = 0; i < n_fds; i++)
                if (fcntl(LISTEN_FDS_START + (int) i, F_GETFD) < 0)
                        return -EBADMSG;

        for (uint64_t i = 0; i < n_fds; i++) {
                const char *end = names ? strchrnul(names, ':') : NULL;
                struct store_entry e = { .fd = LISTEN_FDS_START + (int) i };
                char *fdname;

                r = make_room(s);
                if (r < 0)
                        return r;

                fdname = names ? strndup(names, (size_t) (end - names))
                               : strdup("unknown"); /* as libsystemd does */
                if (!fdname)
                        return -ENOMEM;

                fdname[parse_generation(fdname, &e.generation)] = 0;
                e.name = fdname;
                s->entries[s->n_entries++] = e;

                if (names) {
                        if ((*end == ':') != (i + 1 < n_fds))
                                return -EBADMSG;
                        names = end + 1;
                }
        }

        for (uint64_t i = 0; i < n_fds; i++)
                (void) fcntl(LISTEN_FDS_START + (int) i, F_SETFD, FD_CLOEXEC);

        return 0;
}

LIBLUO_PUBLIC int libluo_store_open(uint32_t flags, libluo_store **ret_store) {
        uint64_t pid, n_fds;
        libluo_store *s;
        int r = 0;

        if (!ret_store || flags & ~(LIBLUO_STORE_KEEP_ENVIRONMENT | LIBLUO_STORE_ANY_ROOM))
                return -EINVAL;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;

        if (!number_from_environment("FDSTORE", &s->maximum))
                s->maximum = flags & LIBLUO_STORE_ANY_ROOM ? UINT64_MAX : 0;

        /* For another process: there is nothing for this one */
        if (number_from_environment("LISTEN_PID", &pid) && pid == (uint64_t) getpid() && is_this_process())
                r = number_from_environment("LISTEN_FDS", &n_fds)
                        ? take_over_fds(s, n_fds, getenv("LISTEN_FDNAMES"))
                        : -EBADMSG;
        if (r < 0) {
                /* Not taken over: the fds remain the caller's */
                for (size_t i = 0; i < s->n_entries; i++)
                        s->entries[i].fd = -1;
                libluo_store_free(s);
                return r;
        }

        if (!(flags & LIBLUO_STORE_KEEP_ENVIRONMENT)) {
                (void) unsetenv("LISTEN_PID");
                (void) unsetenv("LISTEN_PIDFDID");
                (void) unsetenv("LISTEN_FDS");
                (void) unsetenv("LISTEN_FDNAMES");
        }

        *ret_store = s;
        return 0;
}

LIBLUO_PUBLIC libluo_store *libluo_store_free(libluo_store *store) {
        if (!store)
                return NULL;

        while (store->n_entries > 0)
                remove_entry(store, store->n_entries - 1);
        free(store->entries);
        free(store);
        return NULL;
}

/* ------------------------------------------------------------------------------------------------ storing ---- */

/* Room for "FDSTOREREMOVE=1" and a name, with what comes between */
#define MESSAGE_SIZE (LIBLUO_ENTRY_NAME_MAX + 64)

static bool name_is_valid(const char *name) {
        size_t length = name ? strnlen(name, LIBLUO_STORE_NAME_MAX + 1) : 0;

        return length > 0 && length <= LIBLUO_STORE_NAME_MAX && !strchr(name, '~') &&
                libluo_internal_entry_name_is_valid(name, length);
}

static void format_message(char message[static MESSAGE_SIZE], const char *command, const char *name,
        uint64_t generation, const char *more) {
        if (generation > 0)
                (void) snprintf(message, MESSAGE_SIZE, "%s=1\nFDNAME=%s~%" PRIx64 "%s", command, name,
                        generation, more);
        else
                (void) snprintf(message, MESSAGE_SIZE, "%s=1\nFDNAME=%s%s", command, name, more);
}

/*
 * How many of the fd store's entries are known here. Socket units pass sockets and FIFOs, and never with a generation: so
 * those do not count, even though some may have come from the store.
 */
static uint64_t count_stored(const libluo_store *s) {
        uint64_t n = 0;

        for (size_t i = 0; i < s->n_entries; i++) {
                struct stat st;

                n += s->entries[i].generation > 0 || fstat(s->entries[i].fd, &st) < 0 ||
                        !(S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode));
        }

        return n;
}

/* Removes all entries of a name but for one generation. */
static int remove_others(libluo_store *s, const char *name, uint64_t keep_generation) {
        int r;

        for (size_t i = 0; i < s->n_entries;) {
                struct store_entry *e = s->entries + i;
                char message[MESSAGE_SIZE];

                if (strcmp(e->name, name) != 0 || e->generation == keep_generation) {
                        i++;
                        continue;
                }

                format_message(message, "FDSTOREREMOVE", e->name, e->generation, "");
                r = libluo_internal_notify(message, -1);
                if (r < 0)
                        return r;
                remove_entry(s, i);
        }

        return 0;
}

LIBLUO_PUBLIC int libluo_store_put_fd(libluo_store *store, const char *name, int fd, uint32_t flags) {
        struct store_entry e = {}, *newest;
        char message[MESSAGE_SIZE];
        int r;

        if (!store || !name_is_valid(name) || flags & ~LIBLUO_STORE_NO_POLL)
                return -EINVAL;

        if (!getenv("NOTIFY_SOCKET"))
                return -ENOTCONN;

        /* The service manager does not store an open file twice: there would be nothing under the new generation */
        for (size_t i = 0; i < store->n_entries; i++)
                if (libluo_internal_same_description(store->entries[i].fd, fd))
                        return strcmp(store->entries[i].name, name) == 0
                                ? remove_others(store, name, store->entries[i].generation)
                                : -EEXIST;

        /* What is over the limit is refused without a word, and removing the old entry would then lose both */
        if (count_stored(store) >= store->maximum)
                return -ENOBUFS;

        r = make_room(store);
        if (r < 0)
                return r;

        newest = find_entry(store, name);
        e.generation = newest ? newest->generation + 1 : 1;
        e.name = strdup(name);
        if (!e.name)
                return -ENOMEM;

        e.fd = duplicate(fd);
        if (e.fd < 0) {
                r = e.fd;
                goto fail;
        }

        format_message(
                message, "FDSTORE", name, e.generation, flags & LIBLUO_STORE_NO_POLL ? "\nFDPOLL=0" : "");
        r = libluo_internal_notify(message, fd);
        if (r < 0)
                goto fail;

        store->entries[store->n_entries++] = e;

        /* The service manager handles messages in order. Should this fail, the next put tries again */
        return remove_others(store, name, e.generation);

fail:
        close_fd(e.fd);
        free(e.name);
        return r;
}

LIBLUO_PUBLIC int libluo_store_put_data(
        libluo_store *store, const char *name, const void *data, size_t size) {
        int fd, r;

        if (!store || !name_is_valid(name) || (!data && size > 0))
                return -EINVAL;

        fd = libluo_internal_sealed_memfd(name, data, size);
        if (fd < 0)
                return fd;

        r = libluo_store_put_fd(store, name, fd, 0);
        close_fd(fd);
        return r;
}

LIBLUO_PUBLIC int libluo_store_remove(libluo_store *store, const char *name) {
        if (!store || !name)
                return -EINVAL;
        if (!find_entry(store, name))
                return -ENOENT;

        return remove_others(store, name, UINT64_MAX);
}

LIBLUO_PUBLIC int libluo_store_barrier(const libluo_store *store, uint64_t timeout_usec) {
        if (!store)
                return -EINVAL;

        return libluo_internal_notify_barrier(timeout_usec);
}

/* ------------------------------------------------------------------------------------------ getting it back ---- */

LIBLUO_PUBLIC int libluo_store_get_fd(const libluo_store *store, const char *name) {
        const struct store_entry *e;

        if (!store || !name)
                return -EINVAL;

        e = find_entry(store, name);
        return e ? duplicate(e->fd) : -ENOENT;
}

LIBLUO_PUBLIC int libluo_store_get_data(
        const libluo_store *store, const char *name, void **ret_data, size_t *ret_size) {
        const struct store_entry *e;
        uint8_t *data;
        int r;

        if (!store || !name || !ret_data || !ret_size)
                return -EINVAL;

        e = find_entry(store, name);
        if (!e)
                return -ENOENT;

        r = libluo_internal_read_file(e->fd, SIZE_MAX / 2, &data, ret_size);
        if (r == -EBADMSG || r == -EACCES)
                return -EISNAM;
        if (r < 0)
                return r;

        *ret_data = data;
        return 0;
}

/* The names, each once: at its newest generation. */
static bool is_newest(const libluo_store *s, size_t i) {
        for (size_t j = 0; j < s->n_entries; j++)
                if (j != i && strcmp(s->entries[i].name, s->entries[j].name) == 0 &&
                        (s->entries[j].generation > s->entries[i].generation ||
                                (s->entries[j].generation == s->entries[i].generation && j < i)))
                        return false;

        return true;
}

LIBLUO_PUBLIC size_t libluo_store_count(const libluo_store *store) {
        size_t n = 0;

        for (size_t i = 0; store && i < store->n_entries; i++)
                n += is_newest(store, i);

        return n;
}

LIBLUO_PUBLIC const char *libluo_store_get_name(const libluo_store *store, size_t i) {
        for (size_t j = 0; store && j < store->n_entries; j++)
                if (is_newest(store, j) && i-- == 0)
                        return store->entries[j].name;

        return NULL;
}

LIBLUO_PUBLIC int libluo_store_get_sessions(
        const libluo_store *store, const char *name, int *ret_restored, int *ret_next) {
        int restored = -1, next = -1, r = 0;
        bool seen = false;

        if (!store || !name || !ret_restored || !ret_next)
                return -EINVAL;

        /* Under NAME the session that came back, or if none did, the next; under NAME.next the next. */
        for (size_t i = 0; i < store->n_entries; i++) {
                const struct store_entry *e = store->entries + i;
                size_t length = strlen(name);
                int *which;

                if (strncmp(e->name, name, length) != 0 ||
                        (e->name[length] != 0 && strcmp(e->name + length, ".next") != 0))
                        continue;
                seen = true;

                r = libluo_internal_session_is_outgoing(e->fd);
                if (r < 0)
                        goto fail;

                which = r > 0 ? &next : &restored;
                if (*which >= 0)
                        continue;

                *which = duplicate(e->fd);
                if (*which < 0) {
                        r = *which;
                        goto fail;
                }
        }

        if (!seen)
                return -ENOENT;

        *ret_restored = restored;
        *ret_next = next;
        return 0;

fail:
        close_fd(restored);
        close_fd(next);
        return r;
}
