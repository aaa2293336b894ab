/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>
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
        bool foreign;  /* may be of a socket unit */
        bool owned;    /* to be closed */
        bool outdated; /* while opening: there is a newer one */
        size_t position;
        uint64_t description; /* what differs for different open files, with luck */
        struct store_entry *next_by_name, *next_by_description;
};

/* What the service manager has under a name and is of no use any more: it remains to be removed. */
struct leftover {
        char *name;
        uint64_t generation;
};

struct libluo_store {
        struct store_entry **entries; /* the newest generation of each name */
        size_t n_entries, n_allocated;
        struct store_entry **by_name, **by_description; /* hash tables, of lists */
        size_t n_buckets;                               /* a power of two, or 0 */
        struct leftover *leftovers;
        size_t n_leftovers;
        size_t n_foreign;
        uint64_t maximum; /* of the fd store; UINT64_MAX: not known */
        bool off;         /* as $FDSTORE says */
        bool shared;      /* others write to it, and what is known of it may not be all */
};

/* ------------------------------------------------------------------------------------------------ the index ---- */

static uint64_t hash_bytes(const void *data, size_t size) {
        const uint8_t *p = data;
        uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

        for (size_t i = 0; i < size; i++)
                hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
        return hash ^ hash >> 32;
}

static size_t bucket(const libluo_store *s, uint64_t hash) {
        return (size_t) hash & (s->n_buckets - 1);
}

/* The same for file descriptors of one open file. Asks nothing that could block, see libluo_internal_is_memory(). */
static uint64_t hash_description(int fd) {
        char link[256];
        struct stat st;

        if (libluo_internal_is_memory(fd) > 0 && fstat(fd, &st) >= 0)
                return hash_bytes((const uint64_t[]) { st.st_dev, st.st_ino }, 2 * sizeof(uint64_t));
        if (libluo_internal_read_link(fd, link, sizeof(link)) >= 0)
                return hash_bytes(link, strlen(link));
        return 0;
}

static struct store_entry *find_entry(const libluo_store *s, const char *name) {
        struct store_entry *e = NULL;

        if (s->n_buckets > 0)
                for (e = s->by_name[bucket(s, hash_bytes(name, strlen(name)))]; e; e = e->next_by_name)
                        if (strcmp(e->name, name) == 0)
                                break;
        return e;
}

/* The next one of the same name */
static struct store_entry *next_entry(const struct store_entry *e) {
        struct store_entry *next = e->next_by_name;

        while (next && strcmp(next->name, e->name) != 0)
                next = next->next_by_name;
        return next;
}

static struct store_entry *find_description(const libluo_store *s, int fd) {
        uint64_t hash = hash_description(fd);
        struct store_entry *e = NULL;

        if (s->n_buckets > 0)
                for (e = s->by_description[bucket(s, hash)]; e; e = e->next_by_description)
                        if (e->description == hash && libluo_internal_same_description(e->fd, fd))
                                break;
        return e;
}

static void link_entry(libluo_store *s, struct store_entry *e) {
        size_t i = bucket(s, hash_bytes(e->name, strlen(e->name)));

        e->next_by_name = s->by_name[i];
        s->by_name[i] = e;

        i = bucket(s, e->description);
        e->next_by_description = s->by_description[i];
        s->by_description[i] = e;
}

static int make_room(libluo_store *s) {
        size_t n = s->n_allocated ? s->n_allocated * 2 : 16;
        struct store_entry **entries, **by_name, **by_description;

        if (s->n_entries < s->n_allocated)
                return 0;

        by_name = calloc(n, sizeof(struct store_entry *));
        by_description = calloc(n, sizeof(struct store_entry *));
        entries = by_name && by_description ? realloc(s->entries, n * sizeof(struct store_entry *)) : NULL;
        if (!entries) {
                free(by_name);
                free(by_description);
                return -ENOMEM;
        }

        free(s->by_name);
        free(s->by_description);
        s->entries = entries;
        s->by_name = by_name;
        s->by_description = by_description;
        s->n_allocated = s->n_buckets = n;
        for (size_t i = 0; i < s->n_entries; i++)
                link_entry(s, s->entries[i]);
        return 0;
}

/* There has to be room. */
static void add_entry(libluo_store *s, struct store_entry *e) {
        e->description = hash_description(e->fd);
        e->position = s->n_entries;
        s->entries[s->n_entries++] = e;
        s->n_foreign += e->foreign;
        link_entry(s, e);
}

static void free_entry(struct store_entry *e) {
        free(e->name);
        if (e->owned)
                close_fd(e->fd);
        free(e);
}

static void remove_entry(libluo_store *s, struct store_entry *e) {
        struct store_entry **p;

        for (p = s->by_name + bucket(s, hash_bytes(e->name, strlen(e->name))); *p != e;
                p = &(*p)->next_by_name)
                ;
        *p = e->next_by_name;
        for (p = s->by_description + bucket(s, e->description); *p != e; p = &(*p)->next_by_description)
                ;
        *p = e->next_by_description;

        s->n_entries--;
        for (size_t i = e->position; i < s->n_entries; i++) {
                s->entries[i] = s->entries[i + 1];
                s->entries[i]->position = i;
        }
        s->n_foreign -= e->foreign;
        free_entry(e);
}

static int add_leftover(libluo_store *s, const char *name, uint64_t generation) {
        struct leftover *more;
        char *copy;

        more = realloc(s->leftovers, (s->n_leftovers + 1) * sizeof(*more));
        if (!more)
                return -ENOMEM;
        s->leftovers = more;

        copy = strdup(name);
        if (!copy)
                return -ENOMEM;

        s->leftovers[s->n_leftovers++] = (struct leftover) { .name = copy, .generation = generation };
        return 0;
}

static void remove_leftover(libluo_store *s, size_t i) {
        free(s->leftovers[i].name);
        s->leftovers[i] = s->leftovers[--s->n_leftovers];
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

/* ------------------------------------------------------------------------------------------- what is passed ---- */

size_t libluo_internal_parse_generation(const char *fdname, uint64_t *ret_generation) {
        const char *tilde = strrchr(fdname, '~'), *digits = tilde ? tilde + 1 : NULL;
        size_t n = tilde ? strspn(digits, "0123456789abcdef") : 0;

        /* No more digits than that: none could come after the last one, and what is counted comes nowhere near it */
        if (!tilde || tilde == fdname || n == 0 || n > 15 || digits[n] != 0 || digits[0] == '0') {
                *ret_generation = 0;
                return strlen(fdname);
        }

        *ret_generation = strtoull(digits, NULL, 16);
        return (size_t) (tilde - fdname);
}

bool libluo_internal_number_from_environment(const char *variable, uint64_t *ret) {
        const char *text = getenv(variable);

        return text && parse_decimal(text, UINT64_MAX, ret);
}

/* Process ids are used again; the inode number of a pidfd is not. False if $LISTEN_PIDFDID names another process. */
static bool is_this_process(void) {
        struct statfs sfs;
        bool same = true;
        struct stat st;
        uint64_t id;
        int fd;

        if (!libluo_internal_number_from_environment("LISTEN_PIDFDID", &id))
                return true;

        /* Before Linux 6.9 all pidfds have the same inode, and nothing can be said */
        fd = (int) syscall(SYS_pidfd_open, getpid(), 0);
        if (fd >= 0 && fstatfs(fd, &sfs) >= 0 && sfs.f_type == PIDFS_MAGIC_VALUE && fstat(fd, &st) >= 0)
                same = st.st_ino == id;
        close_fd(fd);
        return same;
}

int libluo_internal_count_passed(uint64_t *ret) {
        uint64_t pid;

        if (!getenv("LISTEN_FDS") || !libluo_internal_number_from_environment("LISTEN_PID", &pid) ||
                pid != (uint64_t) getpid() || !is_this_process()) {
                *ret = 0;
                return 0;
        }

        return libluo_internal_number_from_environment("LISTEN_FDS", ret) ? 0 : -EBADR;
}

/*
 * What a socket unit may have passed. Such come first, before all that is from the fd store. Their names are the
 * administrator's, and may look like one that libluo has given.
 */
static bool may_be_foreign(const struct store_entry *e, bool any_name) {
        char link[64];

        return (any_name || e->generation == 0) && libluo_internal_is_memory(e->fd) == 0 &&
                libluo_internal_read_link(e->fd, link, sizeof(link)) >= 0 &&
                strncmp(link, "anon_inode:", strlen("anon_inode:")) != 0;
}

/* Marks all entries of a name but for those of the newest generation. */
static void mark_outdated(struct store_entry *first) {
        struct store_entry *newest = first;

        for (struct store_entry *e = first; e; e = next_entry(e))
                if (e->generation > newest->generation)
                        newest = e;

        /* A file that was stored once more, under its plain name at last: what it was stored as before has served */
        if (libluo_internal_is_memory(newest->fd) > 0)
                for (struct store_entry *e = first; e; e = next_entry(e))
                        if (e->generation == 0 && e->description == newest->description)
                                newest = e;

        for (struct store_entry *e = first; e; e = next_entry(e))
                e->outdated = e->generation != newest->generation && !(e->foreign && e->generation > 0);
}

static int find_outdated(libluo_store *s) {
        for (size_t i = 0; i < s->n_entries; i++)
                if (find_entry(s, s->entries[i]->name) == s->entries[i])
                        mark_outdated(s->entries[i]);

        for (size_t i = 0; i < s->n_entries; i++)
                if (s->entries[i]->outdated) {
                        int r = add_leftover(s, s->entries[i]->name, s->entries[i]->generation);

                        if (r < 0)
                                return r;
                }

        return 0;
}

/* Notes the fds from LISTEN_FDS_START on. names: separated by ":", or NULL. */
static int read_passed(libluo_store *s, uint64_t n_fds, const char *names, bool leave_foreign) {
        bool foreign = true;
        int r;

        if (n_fds > (uint64_t) (INT32_MAX - LISTEN_FDS_START))
                return -EBADR;

        for (uint64_t i = 0; i < n_fds; i++) {
                const char *end = names ? strchrnul(names, ':') : NULL;
                struct store_entry *e;

                if (fcntl(LISTEN_FDS_START + (int) i, F_GETFD) < 0)
                        return -EBADR;

                r = make_room(s);
                if (r < 0)
                        return r;

                e = calloc(1, sizeof(*e));
                if (!e)
                        return -ENOMEM;
                e->fd = LISTEN_FDS_START + (int) i;
                e->name = names ? strndup(names, (size_t) (end - names))
                                : strdup("unknown"); /* as libsystemd does */
                if (!e->name) {
                        free(e);
                        return -ENOMEM;
                }

                e->name[libluo_internal_parse_generation(e->name, &e->generation)] = 0;
                foreign = foreign && may_be_foreign(e, leave_foreign);
                e->foreign = foreign;
                add_entry(s, e);

                if (names) {
                        if ((*end == ':') != (i + 1 < n_fds))
                                return -EBADR;
                        names = end + 1;
                }
        }

        return 0;
}

/* From here on they are the store's. Nothing of this can fail, so that a failure takes nothing over. */
static void take_over(libluo_store *s, bool leave_foreign) {
        for (size_t i = s->n_entries; i-- > 0;) {
                struct store_entry *e = s->entries[i];

                if (!e->foreign || !leave_foreign) {
                        (void) fcntl(e->fd, F_SETFD, FD_CLOEXEC);
                        e->owned = true;
                }
                if (e->outdated)
                        remove_entry(s, e);
        }
}

#define OPEN_FLAGS                                                                                           \
        (LIBLUO_STORE_KEEP_ENVIRONMENT | LIBLUO_STORE_ANY_ROOM | LIBLUO_STORE_LEAVE_FOREIGN |                \
                LIBLUO_STORE_SHARED)

LIBLUO_PUBLIC int libluo_store_open(uint32_t flags, libluo_store **ret_store) {
        libluo_store *s;
        uint64_t n_fds;
        int r;

        if (!ret_store || flags & ~OPEN_FLAGS)
                return -EINVAL;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;

        s->shared = flags & LIBLUO_STORE_SHARED;
        if (!libluo_internal_number_from_environment("FDSTORE", &s->maximum)) {
                s->maximum = UINT64_MAX;
                s->off = !(flags & (LIBLUO_STORE_ANY_ROOM | LIBLUO_STORE_SHARED));
        }

        r = libluo_internal_count_passed(&n_fds);
        if (r >= 0)
                r = read_passed(s, n_fds, getenv("LISTEN_FDNAMES"), flags & LIBLUO_STORE_LEAVE_FOREIGN);
        if (r >= 0)
                r = find_outdated(s);
        if (r < 0) {
                libluo_store_free(s);
                return r;
        }

        take_over(s, flags & LIBLUO_STORE_LEAVE_FOREIGN);
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

        for (size_t i = 0; i < store->n_entries; i++)
                free_entry(store->entries[i]);
        while (store->n_leftovers > 0)
                remove_leftover(store, store->n_leftovers - 1);
        free(store->entries);
        free(store->by_name);
        free(store->by_description);
        free(store->leftovers);
        free(store);
        return NULL;
}

/* ------------------------------------------------------------------------------------------------- storing ---- */

/* "FDSTOREREMOVE=1", "FDNAME=", the name with "~" and a generation, and "FDPOLL=0" */
enum { MESSAGE_SIZE = 64 + LIBLUO_ENTRY_NAME_MAX };

static bool name_is_valid(const char *name) {
        size_t length = name ? strnlen(name, LIBLUO_STORE_NAME_MAX + 1) : 0;

        return length > 0 && length <= LIBLUO_STORE_NAME_MAX && !strchr(name, '~') &&
                libluo_internal_entry_name_is_valid(name, length);
}

static int notify(const char *command, const char *name, uint64_t generation, const char *more, int fd) {
        char message[MESSAGE_SIZE];

        if (generation > 0)
                (void) snprintf(message, sizeof(message), "%s=1\nFDNAME=%s~%" PRIx64 "%s", command, name,
                        generation, more);
        else
                (void) snprintf(message, sizeof(message), "%s=1\nFDNAME=%s%s", command, name, more);
        return libluo_internal_notify(message, fd);
}

static int notify_store(const struct store_entry *e, uint64_t generation, int fd, uint32_t flags) {
        return notify("FDSTORE", e->name, generation, flags & LIBLUO_STORE_NO_POLL ? "\nFDPOLL=0" : "", fd);
}

/* The lowest generation that is stored under a name, but for one; UINT64_MAX if there is none. */
static uint64_t lowest_generation(const libluo_store *s, const char *name, uint64_t but) {
        uint64_t lowest = UINT64_MAX;

        for (const struct store_entry *e = find_entry(s, name); e; e = next_entry(e))
                if (e->generation != but && e->generation < lowest)
                        lowest = e->generation;
        for (size_t i = 0; i < s->n_leftovers; i++)
                if (strcmp(s->leftovers[i].name, name) == 0 && s->leftovers[i].generation != but &&
                        s->leftovers[i].generation < lowest)
                        lowest = s->leftovers[i].generation;
        return lowest;
}

/*
 * Removes all that is stored under a name, but for one generation. The newest goes last: should this end half-way, what
 * was replaced long ago must not be taken for it.
 */
static int remove_others(libluo_store *s, const char *name, uint64_t keep_generation) {
        uint64_t generation;
        int r;

        /* What others have put since is under the name itself */
        if (s->shared && keep_generation != 0) {
                r = notify("FDSTOREREMOVE", name, 0, "", -1);
                if (r < 0)
                        return r;
        }

        while ((generation = lowest_generation(s, name, keep_generation)) != UINT64_MAX) {
                r = notify("FDSTOREREMOVE", name, generation, "", -1);
                if (r < 0)
                        return r;

                /* All of them are gone at once */
                for (struct store_entry *e = find_entry(s, name), *next; e; e = next) {
                        next = next_entry(e);
                        if (e->generation == generation)
                                remove_entry(s, e);
                }
                for (size_t i = s->n_leftovers; i-- > 0;)
                        if (strcmp(s->leftovers[i].name, name) == 0 &&
                                s->leftovers[i].generation == generation)
                                remove_leftover(s, i);
        }

        return 0;
}

/* The generation after all that are stored under a name, or 0 if there are none. */
static uint64_t next_generation(const libluo_store *s, const char *name) {
        uint64_t next = 0;

        for (const struct store_entry *e = find_entry(s, name); e; e = next_entry(e))
                if (e->generation >= next)
                        next = e->generation + 1;
        for (size_t i = 0; i < s->n_leftovers; i++)
                if (strcmp(s->leftovers[i].name, name) == 0 && s->leftovers[i].generation >= next)
                        next = s->leftovers[i].generation + 1;
        return next;
}

/*
 * Another open file of a file of memory, with the same access; or a negative errno, -EOPNOTSUPP if it is none. The
 * service manager stores an open file once: for a moment it gets this one in addition.
 */
static int open_anew(int fd) {
        off_t offset;
        int other_fd;

        if (libluo_internal_is_memory(fd) <= 0)
                return -EOPNOTSUPP;

        offset = lseek(fd, 0, SEEK_CUR);
        other_fd = libluo_internal_open_anew(
                fd, fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), /* change_mode= */ true);
        if (other_fd >= 0 && offset > 0)
                (void) lseek(other_fd, offset, SEEK_SET);
        return other_fd;
}

/*
 * Stores an entry in the place of others. The service manager handles messages in order, and can remove by name only:
 * so the new one is stored under another name, then the old one is removed, and then the new one gets the name. What
 * cannot be opened anew, and so not stored twice, keeps the other name. Should something fail, the next put goes on
 * from there.
 *
 * A file of memory has to be opened anew if it is stored already, as it would be removed with the old one; and where
 * others write to the store, who would not know the other name.
 *
 * Where others write to the store, there may be nothing to replace, and room for one entry alone: then the last step is
 * what stores it. Otherwise it is there already, and the service manager leaves it as it is.
 */
static int replace(libluo_store *s, struct store_entry *e, uint32_t flags, bool *ret_stored) {
        uint64_t generation = next_generation(s, e->name);
        int r, other_fd;

        other_fd = s->shared || generation > 0 ? open_anew(e->fd) : -EOPNOTSUPP;
        if (other_fd < 0 && other_fd != -EOPNOTSUPP && (s->shared || find_description(s, e->fd)))
                return other_fd;
        if (other_fd >= 0) {
                if (generation == 0)
                        generation = 1;
                /* Before anything is done, as there may be no memory for it */
                r = add_leftover(s, e->name, generation);
                if (r < 0) {
                        close_fd(other_fd);
                        return r;
                }
        }

        r = notify_store(e, generation, other_fd >= 0 ? other_fd : e->fd, flags);
        close_fd(other_fd);
        if (r < 0) {
                if (other_fd >= 0)
                        remove_leftover(s, s->n_leftovers - 1);
                return r;
        }

        e->generation = generation;
        add_entry(s, e);
        *ret_stored = true;
        if (generation == 0)
                return 0;

        r = remove_others(s, e->name, generation);
        if (r < 0 || other_fd < 0)
                return r;

        r = notify_store(e, 0, e->fd, flags);
        if (r < 0)
                return r;
        e->generation = 0;
        r = remove_others(s, e->name, 0);
        return r < 0 || !s->shared ? r : notify_store(e, 0, e->fd, flags);
}

/*
 * Whether there is room for one entry more, which may be counted already, as a foreign one. What is too much the
 * service manager refuses without a word.
 */
static int check_room(const libluo_store *s, bool is_counted) {
        uint64_t all = s->n_entries + s->n_leftovers + 1, most = all - is_counted, least = all - s->n_foreign;

        if (s->off)
                return -ENOMEDIUM;
        if (!s->shared && most <= s->maximum)
                return 0;
        if (!s->shared && least > s->maximum)
                return -ENOBUFS;

        /* Others write to it, or it depends on how many of the foreign ones are stored */
        return libluo_internal_notify_ask_room(1);
}

int libluo_internal_store_ask_room(const libluo_store *store, size_t n) {
        bool is_there = store->maximum != UINT64_MAX;
        int r;

        if (store->off)
                return -ENOMEDIUM;

        /* What there is no fd store for is refused, too */
        r = libluo_internal_notify_ask_room(n);
        return (r == -ENOBUFS || r == -ENOTCONN) && !is_there ? -ENOMEDIUM : r;
}

static int put_fd(libluo_store *store, const char *name, int fd, uint32_t flags, bool has_room) {
        struct store_entry *e, *same;
        bool stored = false;
        int r, is_memory;

        if (!store || !name_is_valid(name) || flags & ~(LIBLUO_STORE_NO_POLL | LIBLUO_STORE_ADD))
                return -EINVAL;

        if (!getenv("NOTIFY_SOCKET"))
                return -ENOTCONN;

        /* Nothing can be done with an O_PATH one, and it would be lost */
        is_memory = libluo_internal_is_memory(fd);
        if (is_memory < 0)
                return is_memory;

        /* The service manager does not store an open file twice: there would be nothing under the new name */
        same = find_description(store, fd);
        if (same && strcmp(same->name, name) != 0)
                return -EEXIST;
        if (same) {
                bool alone = find_entry(store, name) == same && !next_entry(same),
                     add = flags & LIBLUO_STORE_ADD;

                if (!add && !alone && !is_memory)
                        return -ENOTUNIQ;
                if (!store->shared && !same->foreign && (add || alone))
                        return add ? 0 : remove_others(store, name, same->generation);
        }

        r = has_room ? 0 : check_room(store, same && same->foreign);
        if (r < 0)
                return r;

        /* It may be of a socket unit, or somebody else may have removed it: if it is stored, nothing happens */
        if (same && (flags & LIBLUO_STORE_ADD || !is_memory)) {
                r = notify_store(same, same->generation, fd, flags);
                if (r < 0)
                        return r;
                store->n_foreign -= same->foreign;
                same->foreign = false;
                return 0;
        }

        r = make_room(store);
        if (r < 0)
                return r;

        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;
        e->owned = true;
        e->fd = duplicate(fd);
        if (e->fd < 0) {
                r = e->fd;
                free(e);
                return r;
        }
        e->name = strdup(name);
        if (!e->name) {
                r = -ENOMEM;
                goto fail;
        }

        if (flags & LIBLUO_STORE_ADD) {
                const struct store_entry *other = find_entry(store, name);

                e->generation = other ? other->generation : 0;
                r = notify_store(e, e->generation, fd, flags);
                if (r < 0)
                        goto fail;
                add_entry(store, e);
                return 0;
        }

        r = replace(store, e, flags, &stored);
        if (!stored)
                goto fail;
        return r;

fail:
        free_entry(e);
        return r;
}

LIBLUO_PUBLIC int libluo_store_put_fd(libluo_store *store, const char *name, int fd, uint32_t flags) {
        return put_fd(store, name, fd, flags, /* has_room= */ false);
}

int libluo_internal_store_put_session(libluo_store *store, const char *name, int session_fd) {
        return put_fd(store, name, session_fd, LIBLUO_STORE_NO_POLL | LIBLUO_STORE_ADD, /* has_room= */ true);
}

LIBLUO_PUBLIC int libluo_store_put_data(
        libluo_store *store, const char *name, const void *data, size_t size, uint32_t flags) {
        int fd, r;

        if (!store || !name_is_valid(name) || (!data && size > 0) || flags & ~LIBLUO_STORE_ADD)
                return -EINVAL;

        fd = libluo_internal_sealed_memfd(name, data, size);
        if (fd < 0)
                return fd;

        r = libluo_store_put_fd(store, name, fd, flags);
        close_fd(fd);
        return r;
}

LIBLUO_PUBLIC int libluo_store_remove(libluo_store *store, const char *name) {
        uint64_t generation;
        char *copy;
        int r;

        if (!store || !name)
                return -EINVAL;

        /* What this store knows nothing of may have been put by others */
        if (!find_entry(store, name) && !(store->shared && name_is_valid(name)))
                return -ENOENT;

        /* It may be that of an entry, and gone with it */
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;

        generation = next_generation(store, copy);
        r = remove_others(store, copy, UINT64_MAX);
        if (r >= 0 && store->shared) /* they may have ended in the middle of a put */
                r = notify("FDSTOREREMOVE", copy, generation > 0 ? generation : 1, "", -1);
        free(copy);
        return r;
}

LIBLUO_PUBLIC int libluo_store_barrier(const libluo_store *store, uint64_t timeout_usec) {
        if (!store)
                return -EINVAL;

        return libluo_internal_notify_barrier(timeout_usec);
}

LIBLUO_PUBLIC int libluo_store_barrier_fd(const libluo_store *store, uint64_t timeout_usec) {
        if (!store)
                return -EINVAL;

        return libluo_internal_notify_barrier_fd(timeout_usec);
}

/* ------------------------------------------------------------------------------------------ getting it back ---- */

LIBLUO_PUBLIC size_t libluo_store_count(const libluo_store *store) {
        return store ? store->n_entries : 0;
}

LIBLUO_PUBLIC int libluo_store_get_entry(
        const libluo_store *store, size_t i, libluo_store_entry *ret_entry, size_t entry_size) {
        libluo_store_entry entry;

        if (!store || !ret_entry || i >= store->n_entries)
                return -EINVAL;

        entry = (libluo_store_entry) {
                .name = store->entries[i]->name,
                .fd = store->entries[i]->fd,
                .flags = store->entries[i]->foreign ? LIBLUO_STORE_ENTRY_FOREIGN : 0,
        };
        copy_sized(ret_entry, entry_size, &entry, sizeof(entry));
        return 0;
}

/* The one entry of a name. Returns 0, -ENOENT or -ENOTUNIQ. */
static int find_only(const libluo_store *s, const char *name, const struct store_entry **ret) {
        const struct store_entry *e = find_entry(s, name);

        if (!e)
                return -ENOENT;
        if (next_entry(e))
                return -ENOTUNIQ;

        *ret = e;
        return 0;
}

LIBLUO_PUBLIC int libluo_store_get_fd(const libluo_store *store, const char *name, uint32_t flags) {
        const struct store_entry *e;
        int r;

        if (!store || !name || flags != 0)
                return -EINVAL;

        r = find_only(store, name, &e);
        return r < 0 ? r : duplicate(e->fd);
}

LIBLUO_PUBLIC int libluo_store_get_data(
        const libluo_store *store, const char *name, uint32_t flags, void **ret_data, size_t *ret_size) {
        const struct store_entry *e;
        uint8_t *data;
        int r;

        if (!store || !name || flags != 0 || !ret_data || !ret_size)
                return -EINVAL;

        r = find_only(store, name, &e);
        if (r < 0)
                return r;

        r = libluo_internal_is_memory(e->fd);
        if (r > 0)
                r = libluo_internal_read_file(e->fd, SIZE_MAX / 2, &data, ret_size);
        else if (r == 0)
                return -EISNAM;
        if (r == -EBADMSG || r == -EACCES)
                return -EISNAM;
        if (r < 0)
                return r;

        *ret_data = data;
        return 0;
}

LIBLUO_PUBLIC int libluo_store_map_data(const libluo_store *store, const char *name, uint32_t flags,
        const void **ret_data, size_t *ret_size) {
        const int needed = F_SEAL_WRITE | F_SEAL_SHRINK;
        const struct store_entry *e;
        struct stat st;
        void *data;
        int r, seals;

        if (!store || !name || flags != 0 || !ret_data || !ret_size)
                return -EINVAL;

        r = find_only(store, name, &e);
        if (r < 0)
                return r;

        /* What could be made shorter meanwhile would be a trap, and the end of the process */
        seals = fcntl(e->fd, F_GET_SEALS);
        if (seals < 0 && errno == EBADF)
                return -EBADF;
        if (seals < 0 || (seals & needed) != needed || fstat(e->fd, &st) < 0)
                return -EISNAM;

        if (st.st_size == 0)
                data = NULL;
        else {
                data = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, e->fd, 0);
                if (data == MAP_FAILED)
                        return errno == EACCES ? -EISNAM : -ENOMEM; /* EACCES: not open for reading */
        }

        *ret_data = data;
        *ret_size = (size_t) st.st_size;
        return 0;
}

/* Maps a file for reading and writing. */
static int map(int fd, size_t size, void **ret_memory) {
        void *memory;

        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED) /* EPERM: sealed; EACCES: not open for writing */
                return errno == EPERM || errno == EACCES ? -EROFS : -ENOMEM;

        *ret_memory = memory;
        return 0;
}

static int map_new(libluo_store *s, const char *name, size_t size, uint32_t version, void **ret_memory) {
        void *memory = NULL;
        int fd, r;

        fd = libluo_memfd_new(name, size, 0);
        if (fd < 0)
                return fd;

        /* Through the mapping it would be the end of this process, where /dev/shm is full */
        r = RETRY(pwrite(fd, &version, sizeof(version), 0)) == sizeof(version) ? map(fd, size, &memory)
                                                                               : -ENOMEM;
        if (r >= 0) {
                r = libluo_store_put_fd(s, name, fd, 0);
                if (r < 0)
                        (void) munmap(memory, size);
        }

        close_fd(fd);
        if (r < 0)
                return r;
        *ret_memory = memory;
        return 0;
}

static int map_stored(int fd, size_t size, uint32_t version, void **ret_memory) {
        uint32_t stored_version;
        struct stat st;
        void *memory;
        int r;

        r = libluo_internal_is_memory(fd);
        if (r < 0)
                return r;
        if (r == 0 || fstat(fd, &st) < 0)
                return -EISNAM;
        if ((uint64_t) st.st_size != size)
                return -EMSGSIZE;

        r = map(fd, size, &memory);
        if (r < 0)
                return r;

        memcpy(&stored_version, memory, sizeof(stored_version));
        if (stored_version != version) {
                (void) munmap(memory, size);
                return -ESTALE;
        }

        *ret_memory = memory;
        return 1;
}

LIBLUO_PUBLIC int libluo_store_map(libluo_store *store, const char *name, size_t size, uint32_t version,
        uint32_t flags, void **ret_memory) {
        const struct store_entry *e;
        int r;

        if (!store || !name_is_valid(name) || size < sizeof(version) || flags != 0 || !ret_memory)
                return -EINVAL;

        r = find_only(store, name, &e);
        if (r == -ENOENT)
                return map_new(store, name, size, version, ret_memory);
        return r < 0 ? r : map_stored(e->fd, size, version, ret_memory);
}

LIBLUO_PUBLIC int libluo_store_get_sessions(
        const libluo_store *store, const char *name, uint32_t flags, int *ret_restored, int *ret_next) {
        int restored = -1, next = -1, r = 0;
        char next_name[LIBLUO_ENTRY_NAME_MAX + sizeof(".next")];
        bool seen = false;

        if (!store || !name || flags != 0 || !ret_restored || !ret_next)
                return -EINVAL;

        /* Under NAME the session that came back, or if none did, the next; under NAME.next the next. */
        (void) snprintf(next_name, sizeof(next_name), "%s.next", name);
        for (int pass = 0; pass < 2; pass++)
                for (const struct store_entry *e = find_entry(store, pass == 0 ? name : next_name); e;
                        e = next_entry(e)) {
                        int *which;

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
