/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct libluo_bundle {
        int session_fd; /* borrowed; -1 for one that was opened from an index alone */
        bool building;
        bool written;
        struct luo_index
                index; /* while building each name is an allocation of its own, and index.names is NULL */
        libluo_bundle *shared; /* borrowed */
        bool is_shared;        /* while building: entries of others refer to it */
        size_t n_dropped;

        /* While building: room, and the files that are in it */
        size_t n_allocated, n_holes_allocated;
        struct file_slot {
                dev_t device;
                ino_t inode;
                size_t entry_plus_one; /* 0: the slot is free */
        } *files;
        size_t n_files, n_file_slots; /* slots: a power of two, at most half of them used */
};

static int bundle_new(int session_fd, libluo_bundle **ret_bundle) {
        libluo_bundle *b;

        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;

        b->session_fd = session_fd;
        *ret_bundle = b;
        return 0;
}

LIBLUO_PUBLIC int libluo_bundle_new(int session_fd, libluo_bundle **ret_bundle) {
        int r;

        if (!ret_bundle)
                return -EINVAL;

        r = libluo_internal_session_is_outgoing(session_fd);
        if (r < 0)
                return r;
        if (r == 0)
                return -EBADFD;

        r = bundle_new(session_fd, ret_bundle);
        if (r < 0)
                return r;

        (*ret_bundle)->building = true;
        return 0;
}

LIBLUO_PUBLIC libluo_bundle *libluo_bundle_free(libluo_bundle *bundle) {
        if (!bundle)
                return NULL;

        if (bundle->building)
                for (size_t i = 0; i < bundle->index.n_entries; i++)
                        free((char *) bundle->index.entries[i].public.name);

        libluo_internal_index_done(&bundle->index);
        free(bundle->files);
        free(bundle);
        return NULL;
}

/* ----------------------------------------------------------------------------------------------- building ---- */

/* The slot where a file is, or would go. */
static struct file_slot *find_file(const libluo_bundle *b, const struct stat *st) {
        /* Inode numbers of tmpfs count up: a multiplication spreads them */
        uint64_t hash =
                ((uint64_t) st->st_ino ^ ((uint64_t) st->st_dev << 32)) * UINT64_C(0x9e3779b97f4a7c15);

        for (size_t i = (size_t) (hash >> 32) & (b->n_file_slots - 1);; i = (i + 1) & (b->n_file_slots - 1)) {
                struct file_slot *slot = b->files + i;

                if (slot->entry_plus_one == 0 || (slot->device == st->st_dev && slot->inode == st->st_ino))
                        return slot;
        }
}

static int make_room_for_file(libluo_bundle *b) {
        struct file_slot *old = b->files;
        size_t n_old = b->n_file_slots;

        if ((b->n_files + 1) * 2 <= b->n_file_slots)
                return 0;

        b->n_file_slots = n_old ? n_old * 2 : 32;
        b->files = calloc(b->n_file_slots, sizeof(*b->files));
        if (!b->files) {
                b->files = old;
                b->n_file_slots = n_old;
                return -ENOMEM;
        }

        for (size_t i = 0; i < n_old; i++)
                if (old[i].entry_plus_one > 0) {
                        struct stat st = { .st_dev = old[i].device, .st_ino = old[i].inode };

                        *find_file(b, &st) = old[i];
                }

        free(old);
        return 0;
}

/* For one entry more. */
static int make_room(libluo_bundle *b) {
        struct luo_index *index = &b->index;

        if (index->n_entries >= LIBLUO_BUNDLE_ENTRIES_MAX)
                return -E2BIG;

        if (index->n_entries >= b->n_allocated) {
                size_t n = b->n_allocated ? b->n_allocated * 2 : 16;
                struct luo_index_entry *entries;

                entries = realloc(index->entries, n * sizeof(*entries));
                if (!entries)
                        return -ENOMEM;

                index->entries = entries;
                b->n_allocated = n;
        }

        return make_room_for_file(b);
}

static int add_holes(libluo_bundle *b, struct luo_index_entry *e, const struct luo_hole *holes, size_t n) {
        struct luo_index *index = &b->index;

        if (n == 0)
                return 0;

        if (index->n_holes + n > b->n_holes_allocated) {
                size_t n_more = (index->n_holes + n) * 2;
                struct luo_hole *more;

                more = realloc(index->holes, n_more * sizeof(*more));
                if (!more)
                        return -ENOMEM;
                index->holes = more;
                b->n_holes_allocated = n_more;
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
static int add_entry(libluo_bundle *b, const struct luo_index_entry *described, int fd, const struct stat *st,
        struct file_slot *slot, bool keep_lost) {
        struct luo_index_entry e = *described;
        struct luo_hole *holes = NULL;
        size_t n_holes = 0;
        int r;

        /* Before preserving, which fills them. */
        r = libluo_internal_find_holes(fd, st, LUO_INDEX_HOLES_MAX - b->index.n_holes, &holes, &n_holes);
        if (r >= 0)
                r = add_holes(b, &e, holes, n_holes);
        free(holes);
        if (r < 0)
                return r;

        e.public.token = LIBLUO_INDEX_TOKEN + 1 + b->index.n_entries;
        r = libluo_session_preserve(b->session_fd, fd, e.public.token);
        if (r < 0) {
                b->index.n_holes -= e.n_holes;
                if (!keep_lost)
                        return r;
                e = *described;
                e.public.lost = -r;
        } else if (slot) {
                *slot = (struct file_slot) {
                        .device = st->st_dev,
                        .inode = st->st_ino,
                        .entry_plus_one = b->index.n_entries + 1,
                };
                b->n_files++;
        }

        b->index.entries[b->index.n_entries++] = e;
        return r;
}

/* The slot of a file; NULL for what has no inode of its own and cannot be told apart by it. */
static struct file_slot *find_slot(const libluo_bundle *b, const struct stat *st) {
        return S_ISREG(st->st_mode) ? find_file(b, st) : NULL;
}

static bool add_arguments_are_valid(const libluo_bundle *b, const char *name, uint32_t flags) {
        return b && b->building && !b->written && name && !(flags & ~LIBLUO_ENTRY_NO_POLL) &&
                libluo_internal_entry_name_is_valid(name, strnlen(name, LIBLUO_ENTRY_NAME_MAX + 1));
}

LIBLUO_PUBLIC int libluo_bundle_add(libluo_bundle *bundle, int fd, const char *name, uint32_t flags) {
        struct luo_index_entry e = { .public.flags = flags };
        struct file_slot *slot;
        struct stat st = {};
        size_t n_before;
        char *copy;
        int r;

        if (!add_arguments_are_valid(bundle, name, flags))
                return -EINVAL;

        r = make_room(bundle);
        if (r < 0)
                return r;

        copy = strdup(name);
        if (!copy)
                return -ENOMEM;

        n_before = bundle->index.n_entries;
        e.owner = n_before;
        e.public.name = copy;

        r = libluo_internal_describe_fd(fd, &e.public, &st);
        slot = find_slot(bundle, &st);
        if (r < 0) {
                e.public.lost = -r;
                bundle->index.entries[bundle->index.n_entries++] = e;
        } else if (slot && slot->entry_plus_one > 0) {
                e.owner = slot->entry_plus_one - 1;
                e.public.token = bundle->index.entries[e.owner].public.token;
                e.public.flags |= LIBLUO_ENTRY_DUPLICATE;
                bundle->index.entries[bundle->index.n_entries++] = e;
        } else
                r = add_entry(bundle, &e, fd, &st, slot, /* keep_lost= */ true);

        if (bundle->index.n_entries == n_before)
                free(copy);
        return r;
}

/* Finds a file in a bundle that others share, or preserves it there, without a name: names belong to the others. */
static int share_file(libluo_bundle *shared, int fd, const struct luo_index_entry *described,
        const struct stat *st, uint64_t *ret_token) {
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

        *ret_token = shared->index.entries[owner].public.token;
        return 0;
}

LIBLUO_PUBLIC int libluo_bundle_add_shared(
        libluo_bundle *bundle, int fd, const char *name, uint32_t flags, libluo_bundle *shared) {
        char shared_session[LIBLUO_SESSION_NAME_MAX + 1] = "";
        struct luo_index_entry e = { .public.flags = flags };
        struct stat st = {};
        char *copy;
        int r;

        if (!add_arguments_are_valid(bundle, name, flags) || !shared || !shared->building ||
                shared->written || (bundle->shared && bundle->shared != shared))
                return -EINVAL;
        if (shared == bundle || shared->shared || bundle->is_shared)
                return -ELOOP;

        if (!bundle->shared) {
                r = libluo_session_get_name(shared->session_fd, shared_session);
                if (r < 0)
                        return r;
        }

        r = make_room(bundle);
        if (r < 0)
                return r;

        copy = strdup(name);
        if (!copy)
                return -ENOMEM;

        e.owner = bundle->index.n_entries;
        e.public.name = copy;

        r = libluo_internal_describe_fd(fd, &e.public, &st);
        if (r >= 0)
                r = share_file(shared, fd, &e, &st, &e.public.token);
        if (r == -E2BIG || r == -ENOMEM) {
                free(copy);
                return r;
        }
        if (r < 0)
                e.public.lost = -r;
        else {
                e.public.flags |= LIBLUO_ENTRY_SHARED;
                if (!bundle->shared) {
                        memcpy(bundle->index.shared_session, shared_session, sizeof(shared_session));
                        bundle->shared = shared;
                        shared->is_shared = true;
                }
        }

        bundle->index.entries[bundle->index.n_entries++] = e;
        return r;
}

LIBLUO_PUBLIC int libluo_bundle_write(libluo_bundle *bundle) {
        uint8_t *data = NULL;
        size_t size;
        int fd, r;

        if (!bundle || !bundle->building || bundle->written)
                return -EINVAL;

        r = libluo_internal_index_encode(&bundle->index, &data, &size);
        if (r < 0)
                return r;

        fd = libluo_internal_sealed_memfd("luo-index", data, size);
        free(data);
        if (fd < 0)
                return fd == -EFBIG ? -E2BIG : fd;

        r = libluo_session_preserve(bundle->session_fd, fd, LIBLUO_INDEX_TOKEN);
        close_fd(fd);
        if (r < 0)
                return r;

        bundle->written = true;
        return 0;
}

/* ----------------------------------------------------------------------------------------------- reading ---- */

LIBLUO_PUBLIC int libluo_index_features(
        int index_fd, uint32_t *ret_compatible, uint32_t *ret_incompatible, uint32_t *ret_unknown) {
        uint8_t *data;
        size_t size;
        int r;

        r = libluo_internal_read_file(index_fd, LUO_INDEX_SIZE_MAX, &data, &size);
        if (r < 0)
                return r;

        r = libluo_internal_index_features(data, size, ret_compatible, ret_incompatible, ret_unknown);
        free(data);
        return r;
}

static int open_index(int session_fd, int index_fd, libluo_bundle **ret_bundle) {
        uint8_t *data = NULL;
        libluo_bundle *b;
        size_t size;
        int r;

        r = libluo_internal_read_file(index_fd, LUO_INDEX_SIZE_MAX, &data, &size);
        if (r < 0)
                return r;

        r = bundle_new(session_fd, &b);
        if (r < 0) {
                free(data);
                return r;
        }

        r = libluo_internal_index_decode(data, size, &b->index);
        free(data);
        if (r < 0) {
                free(b);
                return r;
        }

        *ret_bundle = b;
        return 0;
}

LIBLUO_PUBLIC int libluo_bundle_open_index(int index_fd, libluo_bundle **ret_bundle) {
        if (!ret_bundle)
                return -EINVAL;

        return open_index(-1, index_fd, ret_bundle);
}

LIBLUO_PUBLIC int libluo_bundle_open(int session_fd, libluo_bundle **ret_bundle) {
        int fd, r;

        if (!ret_bundle)
                return -EINVAL;

        fd = libluo_session_retrieve_fd(session_fd, LIBLUO_INDEX_TOKEN);
        if (fd < 0)
                return fd;

        r = open_index(session_fd, fd, ret_bundle);
        close_fd(fd);
        return r == -EACCES ? -EBADMSG : r; /* what the kernel restores can be read if it is a file at all */
}

LIBLUO_PUBLIC size_t libluo_bundle_count(const libluo_bundle *bundle) {
        return bundle ? bundle->index.n_entries : 0;
}

LIBLUO_PUBLIC int libluo_bundle_get(
        const libluo_bundle *bundle, size_t i, libluo_entry *ret_entry, size_t entry_size) {

        if (!bundle || !ret_entry || i >= bundle->index.n_entries)
                return -EINVAL;

        copy_sized(ret_entry, entry_size, &bundle->index.entries[i].public, sizeof(libluo_entry));
        return 0;
}

LIBLUO_PUBLIC const char *libluo_bundle_get_shared_name(const libluo_bundle *bundle) {
        return bundle && bundle->index.shared_session[0] ? bundle->index.shared_session : NULL;
}

/* ------------------------------------------------------------------------------------------------ taking ---- */

static bool is_opened(const libluo_bundle *b) {
        return b && !b->building && b->session_fd >= 0;
}

LIBLUO_PUBLIC int libluo_bundle_set_shared(libluo_bundle *bundle, libluo_bundle *shared) {
        if (!is_opened(bundle) || !is_opened(shared))
                return -EINVAL;
        if (shared == bundle || shared->index.shared_session[0])
                return -ELOOP;

        for (size_t i = 0; i < bundle->index.n_entries; i++) {
                const libluo_entry *e = &bundle->index.entries[i].public;

                if (e->flags & LIBLUO_ENTRY_SHARED && !libluo_internal_index_find(&shared->index, e->token))
                        return -EBADMSG;
        }

        bundle->shared = shared;
        return 0;
}

/* Finds the entry that has the file of entry i, and the bundle it is in. */
static int find_owner(
        libluo_bundle *b, size_t i, libluo_bundle **ret_bundle, struct luo_index_entry **ret_entry) {
        struct luo_index_entry *e;

        if (!is_opened(b) || i >= b->index.n_entries)
                return -EINVAL;

        e = b->index.entries + i;
        if (e->public.lost || e->dropped)
                return -ENODATA;

        if (e->public.flags & LIBLUO_ENTRY_SHARED) {
                if (!b->shared)
                        return -ENOLINK;
                *ret_bundle = b->shared;
                *ret_entry = libluo_internal_index_find(&b->shared->index, e->public.token);
                /* Dropped there, so that its content may be gone */
                return (*ret_entry)->n_wanted > 0 ? 0 : -ENODATA;
        }

        *ret_bundle = b;
        *ret_entry = b->index.entries + e->owner;
        return 0;
}

static int take(libluo_bundle *bundle, size_t i, bool again) {
        struct luo_index_entry *owner;
        const libluo_entry *e;
        libluo_bundle *where;
        bool narrow;
        int file_fd, fd, r;

        r = find_owner(bundle, i, &where, &owner);
        if (r < 0)
                return r;
        e = &bundle->index.entries[i].public;

        file_fd = libluo_session_retrieve_fd(where->session_fd, owner->public.token);
        if (file_fd < 0)
                return file_fd;
        fd = file_fd;

        /*
         * The kernel gives each time the same open file description, with all access. It goes to the entry it was
         * preserved for, if that had all access; others get one of their own.
         */
        narrow = (e->open_flags & O_ACCMODE) != O_RDWR ||
                e->flags & (LIBLUO_ENTRY_DUPLICATE | LIBLUO_ENTRY_SHARED);
        if (narrow) {
                off_t offset = (off_t) e->offset;

                fd = libluo_internal_reopen(file_fd, e->open_flags & O_ACCMODE);
                if (fd < 0) {
                        r = fd;
                        goto fail;
                }

                /* For the entry it was preserved for the kernel has kept the offset up to the kexec */
                if (owner == bundle->index.entries + i)
                        offset = lseek(file_fd, 0, SEEK_CUR);
                if (offset > 0 && lseek(fd, offset, SEEK_SET) < 0) {
                        r = -EACCES;
                        goto fail;
                }
        }

        if (!again) {
                /* Somebody else may write to a shared file by now, which must not be taken for a hole at that moment */
                if (!owner->restored && where == bundle)
                        libluo_internal_free_holes(
                                file_fd, where->index.holes + owner->first_hole, owner->n_holes);
                r = libluo_internal_restore_inode(file_fd, &owner->public);
                if (r < 0)
                        goto fail;
                owner->restored = true;
        }

        /* Whoever has the kernel's open file description already may have changed its flags since */
        if (e->open_flags & O_APPEND && (narrow || !again) &&
                fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_APPEND) < 0) {
                r = -EACCES;
                goto fail;
        }

        if (fd != file_fd)
                close_fd(file_fd);
        owner->taken = true;
        return fd;

fail:
        if (fd != file_fd)
                close_fd(fd);
        close_fd(file_fd);
        return r;
}

LIBLUO_PUBLIC int libluo_bundle_take(libluo_bundle *bundle, size_t i) {
        return take(bundle, i, /* again= */ false);
}

LIBLUO_PUBLIC int libluo_bundle_take_again(libluo_bundle *bundle, size_t i) {
        return take(bundle, i, /* again= */ true);
}

LIBLUO_PUBLIC ssize_t libluo_bundle_take_all(libluo_bundle *bundle, int *ret_fds, size_t n_fds) {
        ssize_t n = 0;

        if (!is_opened(bundle) || n_fds != bundle->index.n_entries || (n_fds > 0 && !ret_fds))
                return -EINVAL;

        for (size_t i = 0; i < n_fds; i++) {
                ret_fds[i] = libluo_bundle_take(bundle, i);
                n += ret_fds[i] >= 0;
        }

        return n;
}

LIBLUO_PUBLIC int libluo_bundle_drop(libluo_bundle *bundle, size_t i) {
        struct luo_index_entry *e, *owner;
        int fd;

        if (!is_opened(bundle) || i >= bundle->index.n_entries)
                return -EINVAL;

        e = bundle->index.entries + i;
        owner = bundle->index.entries + e->owner;
        if (owner->taken)
                return -EBUSY;
        if (e->dropped)
                return 0;

        e->dropped = true;
        bundle->n_dropped++;
        owner->n_wanted--;

        /* Finishing frees what was never retrieved; until then the kernel lets go of the content of a file only. */
        if (e->public.lost || e->public.flags & LIBLUO_ENTRY_SHARED || owner->n_wanted > 0 ||
                bundle->n_dropped == bundle->index.n_entries)
                return 0;

        fd = libluo_session_retrieve_fd(bundle->session_fd, e->public.token);
        if (fd >= 0) {
                (void) ftruncate(fd, 0); /* refused for a file that is sealed, which is freed when finished */
                close_fd(fd);
        }

        return 0;
}

LIBLUO_PUBLIC int libluo_bundle_finish(libluo_bundle *bundle) {
        if (!is_opened(bundle))
                return -EINVAL;

        return libluo_session_finish(bundle->session_fd);
}
