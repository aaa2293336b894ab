/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/stat.h>

#include "fd-store.h"
#include "internal.h"
#include "memory.h"

void fd_store_init(struct fd_store *store, size_t max, int epoll) {
        *store = (struct fd_store) { .max = max, .epoll = epoll };
        TAILQ_INIT(&store->list);
}

void fd_store_done(struct fd_store *store) {
        struct stored_fd *entry;

        while ((entry = TAILQ_FIRST(&store->list)))
                fd_store_remove(store, entry);
        hash_table_done(&store->inodes);
}

static uint64_t inode_key(int fd) {
        struct stat st;

        return fstat(fd, &st) < 0 ? 0 : hash_pair(st.st_dev, st.st_ino);
}

int fd_store_add(struct fd_store *store, int fd, const char *name, bool poll, bool is_unit_session) {
        struct stored_fd *entry;
        uint64_t key;

        if (!is_unit_session && store->n_counted >= store->max)
                return -EXFULL;

        key = inode_key(fd);
        for (struct hash_item *item = hash_table_find(&store->inodes, key); item; item = hash_item_next(item))
                if (libluo_internal_same_description(
                            HASH_CONTAINER(item, struct stored_fd, by_inode)->fd, fd))
                        return 0;

        entry = calloc(1, sizeof(*entry));
        if (!entry)
                return -ENOMEM;

        entry->name = strdup(name);
        if (!entry->name || hash_table_add(&store->inodes, &entry->by_inode, key) < 0) {
                free(entry->name);
                free(entry);
                return -ENOMEM;
        }

        entry->fd = fd;
        entry->is_unit_session = is_unit_session;
        /* Hang-ups and errors are reported unasked. Files that cannot be polled have none. */
        if (poll)
                (void) epoll_ctl(
                        store->epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event) { .data.ptr = entry });

        TAILQ_INSERT_HEAD(&store->list, entry, entries);
        store->n++;
        if (!is_unit_session)
                store->n_counted++;
        return 1;
}

void fd_store_remove(struct fd_store *store, struct stored_fd *entry) {
        if (entry->fd >= 0) {
                /* It would stay in there for as long as anybody else has the file open */
                (void) epoll_ctl(store->epoll, EPOLL_CTL_DEL, entry->fd, NULL);
                close_fd(entry->fd);
        }

        hash_table_remove(&store->inodes, &entry->by_inode);
        TAILQ_REMOVE(&store->list, entry, entries);
        store->n--;
        if (!entry->is_unit_session)
                store->n_counted--;
        free(entry->session_name);
        free(entry->name);
        free(entry);
}

/* ---------------------------------------------------------------------------------------------------- kexec ---- */

/* What one inode comes back as; entries that had it open each by itself share it. */
struct copy {
        struct hash_item by_inode;
        struct copy *next;
        dev_t device;
        ino_t inode;
        int fd; /* or the negative errno that there is none for */
        libluo_entry description;
};

struct copies {
        struct hash_table table;
        struct copy *list;
};

static struct copy *find_copy(const struct copies *copies, const struct stat *st) {
        for (struct hash_item *item = hash_table_find(&copies->table, hash_pair(st->st_dev, st->st_ino));
                item; item = hash_item_next(item)) {

                struct copy *copy = HASH_CONTAINER(item, struct copy, by_inode);

                if (copy->device == st->st_dev && copy->inode == st->st_ino)
                        return copy;
        }

        return NULL;
}

static int make_copy(struct copies *copies, int fd, const struct stat *st, const libluo_entry *description,
        struct copy **ret) {

        struct copy *copy;
        int seals;

        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || seals & ~MEMORY_SEALS_KNOWN)
                return -EOPNOTSUPP;

        copy = malloc(sizeof(*copy));
        if (!copy)
                return -ENOMEM;
        *copy = (struct copy) {
                .next = copies->list,
                .device = st->st_dev,
                .inode = st->st_ino,
                .description = *description,
        };
        if (hash_table_add(&copies->table, &copy->by_inode, hash_pair(st->st_dev, st->st_ino)) < 0) {
                free(copy);
                return -ENOMEM;
        }
        copies->list = copy;

        copy->fd = memory_copy(fd, st->st_size, seals, 0);
        *ret = copy;
        return 0;
}

/* As libluo_bundle_take(), an open file with what is not LUO's to keep. */
static int reopen(const struct copy *copy, const libluo_entry *description) {
        int fd;

        fd = libluo_internal_open_link(copy->fd, description->open_flags);
        if (fd >= 0 && description->offset > 0 && lseek(fd, (off_t) description->offset, SEEK_SET) < 0) {
                close_fd(fd);
                return -EACCES;
        }

        return fd;
}

static int copy_entry(struct copies *copies, struct stored_fd *entry, bool (*is_busy)(void *userdata, int fd),
        void *userdata) {

        libluo_entry description = {};
        struct copy *copy;
        struct stat st;
        int fd, r;

        r = libluo_internal_describe_fd(entry->fd, &description, &st);
        if (r < 0)
                return r;
        if (!memory_can_be_preserved(entry->fd, &st))
                return -EOPNOTSUPP;
        if (is_busy(userdata, entry->fd))
                return -EBUSY;

        copy = find_copy(copies, &st);
        if (!copy) {
                r = make_copy(copies, entry->fd, &st, &description, &copy);
                if (r < 0)
                        return r;
        }
        if (copy->fd < 0)
                return copy->fd;

        fd = reopen(copy, &description);
        if (fd < 0)
                return fd;

        close_fd(entry->fd);
        entry->fd = fd;
        return 0;
}

static void tell_loss(const struct stored_fd *entry, int error) {
        char path[64], target[PATH_MAX];
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", entry->fd);
        n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = 0;
        fprintf(stderr, "luo-emulate: fd store: \"%s\" (%s) is lost in the kexec: %s.\n", entry->name, target,
                libluo_strerror(error));
}

void fd_store_copy(struct fd_store *store, bool (*is_busy)(void *userdata, int fd), void *userdata) {
        struct stored_fd *entry, *next;
        struct copies copies = {};
        struct copy *copy;

        for (entry = TAILQ_FIRST(&store->list); entry; entry = next) {
                int r;

                next = TAILQ_NEXT(entry, entries);
                if (entry->session_name)
                        continue;

                r = copy_entry(&copies, entry, is_busy, userdata);
                if (r < 0) {
                        tell_loss(entry, r);
                        fd_store_remove(store, entry);
                }
        }

        /* They are other inodes now */
        TAILQ_FOREACH(entry, &store->list, entries) {
                if (entry->session_name)
                        continue;
                hash_table_remove(&store->inodes, &entry->by_inode);
                (void) hash_table_add(&store->inodes, &entry->by_inode, inode_key(entry->fd));
        }

        while ((copy = copies.list)) {
                /* The last step, as the mode may keep even the owner from opening the file */
                if (copy->fd >= 0 && libluo_internal_restore_inode(copy->fd, &copy->description) < 0)
                        fprintf(stderr,
                                "luo-emulate: fd store: cannot restore owner and mode of a file: %s.\n",
                                strerror(errno));
                close_fd(copy->fd);
                copies.list = copy->next;
                free(copy);
        }
        hash_table_done(&copies.table);
}
