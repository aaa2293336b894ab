/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kcmp.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "fd-store.h"
#include "internal.h"
#include "memory.h"

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027 /* Linux 6.10 */
#endif

#define F_SEAL_EXECUTE 0x0020 /* F_SEAL_EXEC, Linux 6.3 */

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

static bool is_same_open_file(int a, int b) {
        int r;

        r = fcntl(a, F_DUPFD_QUERY, b);
        if (r >= 0)
                return r > 0;

        return syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b) == 0;
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
                if (is_same_open_file(HASH_CONTAINER(item, struct stored_fd, by_inode)->fd, fd))
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
        mode_t mode;
        uid_t uid;
        gid_t gid;
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

static int make_copy(struct copies *copies, int fd, const struct stat *st, struct copy **ret) {
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
                .mode = st->st_mode & 07777,
                .uid = st->st_uid,
                .gid = st->st_gid,
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
static int reopen(int fd, const struct copy *copy) {
        char path[64];
        int flags, reopened;
        off_t offset;

        flags = fcntl(fd, F_GETFL);
        offset = lseek(fd, 0, SEEK_CUR);
        if (flags < 0)
                return -errno;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", copy->fd);
        reopened = open(path, (flags & (O_ACCMODE | O_APPEND)) | O_CLOEXEC);
        if (reopened < 0)
                return -errno;
        if (offset > 0 && lseek(reopened, offset, SEEK_SET) < 0) {
                close_fd(reopened);
                return -EACCES;
        }

        return reopened;
}

static int copy_entry(struct copies *copies, struct stored_fd *entry, bool (*is_busy)(void *userdata, int fd),
        void *userdata) {

        struct copy *copy;
        struct stat st;
        int fd, r;

        if (!memory_can_be_preserved(entry->fd, &st))
                return -EOPNOTSUPP;
        if (is_busy(userdata, entry->fd))
                return -EBUSY;

        copy = find_copy(copies, &st);
        if (!copy) {
                r = make_copy(copies, entry->fd, &st, &copy);
                if (r < 0)
                        return r;
        }
        if (copy->fd < 0)
                return copy->fd;

        fd = reopen(entry->fd, copy);
        if (fd < 0)
                return fd;

        close_fd(entry->fd);
        entry->fd = fd;
        return 0;
}

/* The last step, as the mode may keep even the owner from opening the file. */
static void restore_inode(const struct copy *copy) {
        struct stat st;
        mode_t mode = copy->mode;
        int seals = fcntl(copy->fd, F_GET_SEALS);

        if (fstat(copy->fd, &st) < 0)
                return;
        if (seals >= 0 && seals & F_SEAL_EXECUTE)
                mode = (mode & ~(mode_t) 0111) | (st.st_mode & 0111);

        if (((st.st_uid != copy->uid || st.st_gid != copy->gid) &&
                    fchown(copy->fd, copy->uid, copy->gid) < 0) ||
                fchmod(copy->fd, mode) < 0)
                fprintf(stderr, "luo-emulate: fd store: cannot restore owner and mode of a file: %s.\n",
                        strerror(errno));
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
                if (copy->fd >= 0)
                        restore_inode(copy);
                close_fd(copy->fd);
                copies.list = copy->next;
                free(copy);
        }
        hash_table_done(&copies.table);
}
