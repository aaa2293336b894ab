/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>

#include "internal.h"

struct libluo_bundle_writer {
        int session_fd; /* borrowed */
        bool written;
        struct luo_index index;       /* each name is an allocation of its own, and index.names is NULL */
        libluo_bundle_writer *shared; /* borrowed */
        bool is_shared;               /* entries of others refer to it */

        /* Room, and the files that are in the bundle */
        size_t n_allocated, n_holes_allocated;
        struct file_slot {
                dev_t device;
                ino_t inode;
                size_t entry_plus_one; /* 0: the slot is free */
        } *files;
        size_t n_files, n_file_slots; /* slots: a power of two, at most half of them used */
};

LIBLUO_PUBLIC int libluo_bundle_writer_new(
        int session_fd, uint32_t flags, libluo_bundle_writer **ret_writer) {
        libluo_bundle_writer *w;
        int r;

        if (!ret_writer || flags != 0)
                return -EINVAL;

        r = libluo_internal_session_is_outgoing(session_fd);
        if (r < 0)
                return r;
        if (r == 0)
                return -EBADFD;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;

        w->session_fd = session_fd;
        *ret_writer = w;
        return 0;
}

LIBLUO_PUBLIC libluo_bundle_writer *libluo_bundle_writer_free(libluo_bundle_writer *writer) {
        if (!writer)
                return NULL;

        for (size_t i = 0; i < writer->index.n_entries; i++)
                free((char *) writer->index.entries[i].public.name);

        libluo_internal_index_done(&writer->index);
        free(writer->files);
        free(writer);
        return NULL;
}

LIBLUO_PUBLIC size_t libluo_bundle_writer_count(const libluo_bundle_writer *writer) {
        return writer ? writer->index.n_entries : 0;
}

/* The slot where a file is, or would go. */
static struct file_slot *find_file(const libluo_bundle_writer *w, const struct stat *st) {
        /* Inode numbers of tmpfs count up: a multiplication spreads them */
        uint64_t hash =
                ((uint64_t) st->st_ino ^ ((uint64_t) st->st_dev << 32)) * UINT64_C(0x9e3779b97f4a7c15);

        for (size_t i = (size_t) (hash >> 32) & (w->n_file_slots - 1);; i = (i + 1) & (w->n_file_slots - 1)) {
                struct file_slot *slot = w->files + i;

                if (slot->entry_plus_one == 0 || (slot->device == st->st_dev && slot->inode == st->st_ino))
                        return slot;
        }
}

static int make_room_for_file(libluo_bundle_writer *w) {
        struct file_slot *old = w->files;
        size_t n_old = w->n_file_slots;

        if ((w->n_files + 1) * 2 <= w->n_file_slots)
                return 0;

        w->n_file_slots = n_old ? n_old * 2 : 32;
        w->files = calloc(w->n_file_slots, sizeof(*w->files));
        if (!w->files) {
                w->files = old;
                w->n_file_slots = n_old;
                return -ENOMEM;
        }

        for (size_t i = 0; i < n_old; i++)
                if (old[i].entry_plus_one > 0) {
                        struct stat st = { .st_dev = old[i].device, .st_ino = old[i].inode };

                        *find_file(w, &st) = old[i];
                }

        free(old);
        return 0;
}

/* For one entry more. */
static int make_room(libluo_bundle_writer *w) {
        struct luo_index *index = &w->index;

        if (index->n_entries >= LIBLUO_BUNDLE_ENTRIES_MAX)
                return -E2BIG;

        if (index->n_entries >= w->n_allocated) {
                size_t n = w->n_allocated ? w->n_allocated * 2 : 16;
                struct luo_index_entry *entries;

                entries = realloc(index->entries, n * sizeof(*entries));
                if (!entries)
                        return -ENOMEM;

                index->entries = entries;
                w->n_allocated = n;
        }

        return make_room_for_file(w);
}

static int add_holes(
        libluo_bundle_writer *w, struct luo_index_entry *e, const struct luo_hole *holes, size_t n) {
        struct luo_index *index = &w->index;

        if (n == 0)
                return 0;

        if (index->n_holes + n > w->n_holes_allocated) {
                size_t n_more = (index->n_holes + n) * 2;
                struct luo_hole *more;

                more = realloc(index->holes, n_more * sizeof(*more));
                if (!more)
                        return -ENOMEM;
                index->holes = more;
                w->n_holes_allocated = n_more;
        }

        memcpy(index->holes + index->n_holes, holes, n * sizeof(*holes));
        e->first_hole = index->n_holes;
        e->n_holes = n;
        for (size_t i = 0; i < n; i++)
                e->public.holes += holes[i].size;
        index->n_holes += n;
        return 0;
}

/* Preserves a file as the next entry, which is made if that works, or if it is to say that the file is lost. */
static int add_entry(libluo_bundle_writer *w, const struct luo_index_entry *described, int fd,
        const struct stat *st, struct file_slot *slot, bool keep_lost) {
        struct luo_index_entry e = *described;
        struct luo_hole *holes = NULL;
        size_t n_holes = 0;
        struct stat after;
        int r;

        /* Before preserving, which fills them. */
        r = libluo_internal_find_holes(fd, st, LUO_INDEX_HOLES_MAX - w->index.n_holes, &holes, &n_holes);
        if (r >= 0)
                r = add_holes(w, &e, holes, n_holes);
        free(holes);
        if (r < 0)
                return r;

        e.public.token = LIBLUO_INDEX_TOKEN + 1 + w->index.n_entries;
        r = libluo_internal_holes_fit(fd, st);
        if (r >= 0)
                r = libluo_session_preserve(w->session_fd, fd, e.public.token);
        if (r < 0) {
                w->index.n_holes -= e.n_holes;
                if (!keep_lost)
                        return r;
                e = *described;
                e.public.lost = -r;
        } else if (slot) {
                if (fstat(fd, &after) >= 0)
                        e.public.memory = (uint64_t) after.st_blocks * 512;
                *slot = (struct file_slot) {
                        .device = st->st_dev,
                        .inode = st->st_ino,
                        .entry_plus_one = w->index.n_entries + 1,
                };
                w->n_files++;
        }

        w->index.entries[w->index.n_entries++] = e;
        return r;
}

/* The slot of a file of memory; NULL for what was not looked at, and cannot be told apart by its inode. */
static struct file_slot *find_slot(const libluo_bundle_writer *w, const struct stat *st) {
        return S_ISREG(st->st_mode) ? find_file(w, st) : NULL;
}

static bool add_arguments_are_valid(const libluo_bundle_writer *w, const char *name, uint32_t flags) {
        return w && !w->written && name && !(flags & ~LIBLUO_ENTRY_NO_POLL) &&
                libluo_internal_entry_name_is_valid(name, strnlen(name, LIBLUO_ENTRY_NAME_MAX + 1));
}

LIBLUO_PUBLIC int libluo_bundle_writer_add(
        libluo_bundle_writer *writer, int fd, const char *name, uint32_t flags) {
        struct luo_index_entry e = { .public.flags = flags };
        struct file_slot *slot;
        struct stat st = {};
        size_t n_before;
        char *copy;
        int r;

        if (!add_arguments_are_valid(writer, name, flags))
                return -EINVAL;

        r = make_room(writer);
        if (r < 0)
                return r;

        copy = strdup(name);
        if (!copy)
                return -ENOMEM;

        n_before = writer->index.n_entries;
        e.owner = n_before;
        e.public.name = copy;

        r = libluo_internal_describe_fd(fd, &e.public, &st);
        slot = find_slot(writer, &st);
        if (r < 0) {
                e.public.lost = -r;
                writer->index.entries[writer->index.n_entries++] = e;
        } else if (slot && slot->entry_plus_one > 0) {
                e.owner = slot->entry_plus_one - 1;
                e.public.token = writer->index.entries[e.owner].public.token;
                e.public.memory = writer->index.entries[e.owner].public.memory;
                e.public.flags |= LIBLUO_ENTRY_DUPLICATE;
                writer->index.entries[writer->index.n_entries++] = e;
        } else
                r = add_entry(writer, &e, fd, &st, slot, /* keep_lost= */ true);

        if (writer->index.n_entries == n_before)
                free(copy);
        return r;
}

/* Finds a file in a bundle that others share, or preserves it there, without a name: names belong to the others. */
static int share_file(
        libluo_bundle_writer *shared, int fd, const struct stat *st, struct luo_index_entry *described) {
        struct luo_index_entry e = *described;
        struct file_slot *slot;
        size_t owner;
        char *name;
        int r;

        r = make_room(shared);
        if (r < 0)
                return r;

        slot = find_slot(shared, st);
        if (slot && slot->entry_plus_one > 0)
                owner = slot->entry_plus_one - 1;
        else {
                name = strdup("");
                if (!name)
                        return -ENOMEM;

                owner = shared->index.n_entries;
                e.owner = owner;
                e.public.name = name;
                e.public.flags = 0;
                r = add_entry(shared, &e, fd, st, slot, /* keep_lost= */ false);
                if (r < 0) {
                        free(name);
                        return r;
                }
        }

        described->public.token = shared->index.entries[owner].public.token;
        described->public.memory = shared->index.entries[owner].public.memory;
        return 0;
}

LIBLUO_PUBLIC int libluo_bundle_writer_add_shared(libluo_bundle_writer *writer, int fd, const char *name,
        uint32_t flags, libluo_bundle_writer *shared) {
        char shared_session[LIBLUO_SESSION_NAME_MAX + 1] = "";
        struct luo_index_entry e = { .public.flags = flags };
        struct stat st = {};
        char *copy;
        int r;

        if (!add_arguments_are_valid(writer, name, flags) || !shared || shared->written ||
                (writer->shared && writer->shared != shared))
                return -EINVAL;
        if (shared == writer || shared->shared || writer->is_shared)
                return -ELOOP;

        if (!writer->shared) {
                r = libluo_session_get_name(shared->session_fd, shared_session);
                if (r < 0)
                        return r;
        }

        r = make_room(writer);
        if (r < 0)
                return r;

        copy = strdup(name);
        if (!copy)
                return -ENOMEM;

        e.owner = writer->index.n_entries;
        e.public.name = copy;

        r = libluo_internal_describe_fd(fd, &e.public, &st);
        if (r >= 0)
                r = share_file(shared, fd, &st, &e);
        if (r == -E2BIG || r == -ENOMEM) {
                free(copy);
                return r;
        }
        if (r < 0)
                e.public.lost = -r;
        else {
                e.public.flags |= LIBLUO_ENTRY_SHARED;
                if (!writer->shared) {
                        memcpy(writer->index.shared_session, shared_session, sizeof(shared_session));
                        writer->shared = shared;
                        shared->is_shared = true;
                }
        }

        writer->index.entries[writer->index.n_entries++] = e;
        return r;
}

LIBLUO_PUBLIC int libluo_bundle_writer_write(libluo_bundle_writer *writer, uint32_t flags) {
        uint8_t *data = NULL;
        size_t size;
        int fd, r;

        if (!writer || flags != 0 || writer->written)
                return -EINVAL;

        r = libluo_internal_index_encode(&writer->index, &data, &size);
        if (r < 0)
                return r;

        fd = libluo_internal_sealed_memfd("luo-index", data, size);
        free(data);
        if (fd < 0)
                return fd == -EFBIG ? -E2BIG : fd;

        r = libluo_session_preserve(writer->session_fd, fd, LIBLUO_INDEX_TOKEN);
        close_fd(fd);
        if (r < 0)
                return r;

        writer->written = true;
        return 0;
}
