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
#include "process.h"

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

        return process_fd_stat(getpid(), fd, &st) < 0 ? 0 : hash_pair(st.st_dev, st.st_ino);
}

/* What is in files never hangs up, and FUSE asks the server. */
static bool can_hang_up(int fd) {
        struct stat st;

        return process_fd_stat(getpid(), fd, &st) >= 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
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
        /* Hang-ups and errors are reported unasked */
        if (poll && can_hang_up(fd))
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

/* As libluo_bundle_take(), an open file with what is not LUO's to keep, in the place of the one that is stored. */
static int replace(struct stored_fd *entry, int copy) {
        libluo_entry description = {};
        struct stat st;
        int fd, r;

        r = libluo_internal_describe_fd(entry->fd, &description, &st);
        if (r < 0)
                return r;

        fd = libluo_internal_open_link(copy, description.open_flags);
        if (fd < 0)
                return fd;
        if (description.offset > 0 && lseek(fd, (off_t) description.offset, SEEK_SET) < 0) {
                close_fd(fd);
                return -EACCES;
        }

        close_fd(entry->fd);
        entry->fd = fd;
        return 0;
}

/* Returns a file descriptor or a negative errno. */
static int copy_file(int fd, libluo_entry *ret_description, struct stat *ret_stat,
        bool (*is_busy)(void *userdata, int fd), void *userdata) {

        int seals, r;

        if (!memory_can_be_preserved(fd, ret_stat))
                return -EOPNOTSUPP;
        r = libluo_internal_describe_fd(fd, ret_description, ret_stat);
        if (r < 0)
                return r;
        if (is_busy(userdata, fd))
                return -EBUSY;

        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || seals & ~MEMORY_SEALS_KNOWN)
                return -EOPNOTSUPP;

        r = libluo_internal_holes_fit(fd, ret_stat);
        return r < 0 ? r : memory_copy(fd, ret_stat->st_size, seals, 0);
}

static bool is_of_inode(const struct stored_fd *entry, const struct stat *st) {
        struct stat own;

        return process_fd_stat(getpid(), entry->fd, &own) >= 0 && own.st_dev == st->st_dev &&
                own.st_ino == st->st_ino;
}

/* Copies the file of an entry, for all entries that have it. */
static void copy_entry(struct fd_store *store, struct stored_fd *entry,
        bool (*is_busy)(void *userdata, int fd), void *userdata) {

        libluo_entry description = {};
        struct hash_item *item, *next;
        struct stat st = {};
        int copy;

        copy = copy_file(entry->fd, &description, &st, is_busy, userdata);
        if (copy < 0) {
                entry->loss = copy;
                return;
        }

        for (item = hash_table_find(&store->inodes, hash_pair(st.st_dev, st.st_ino)); item; item = next) {
                struct stored_fd *other = HASH_CONTAINER(item, struct stored_fd, by_inode);

                next = hash_item_next(item);
                if (other->is_copied || other->session_name || !is_of_inode(other, &st))
                        continue;

                other->is_copied = true;
                other->loss = replace(other, copy);
        }

        /* The last step, as the mode may keep even the owner from opening the file */
        if (libluo_internal_restore_inode(copy, &description, false) < 0)
                fprintf(stderr, "luo-emulate: fd store: cannot restore owner and mode of a file: %s.\n",
                        strerror(errno));
        close_fd(copy);
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

        TAILQ_FOREACH (entry, &store->list, entries) {
                entry->is_copied = false;
                entry->loss = 0;
        }
        TAILQ_FOREACH (entry, &store->list, entries)
                if (!entry->is_copied && !entry->session_name)
                        copy_entry(store, entry, is_busy, userdata);

        for (entry = TAILQ_FIRST(&store->list); entry; entry = next) {
                next = TAILQ_NEXT(entry, entries);
                if (entry->session_name)
                        continue;
                if (entry->loss < 0) {
                        tell_loss(entry, entry->loss);
                        fd_store_remove(store, entry);
                        continue;
                }

                /* Another inode now */
                hash_table_remove(&store->inodes, &entry->by_inode);
                (void) hash_table_add(&store->inodes, &entry->by_inode, inode_key(entry->fd));
        }
}
