/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct libluo_bundle {
        int session_fd; /* borrowed; -1 for one that was opened from an index alone */
        struct luo_index index;
        libluo_bundle *shared; /* borrowed */
};

LIBLUO_PUBLIC libluo_bundle *libluo_bundle_free(libluo_bundle *bundle) {
        if (!bundle)
                return NULL;

        libluo_internal_index_done(&bundle->index);
        free(bundle);
        return NULL;
}

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

        b = calloc(1, sizeof(*b));
        if (!b) {
                free(data);
                return -ENOMEM;
        }
        b->session_fd = session_fd;

        r = libluo_internal_index_decode(data, size, &b->index);
        free(data);
        if (r < 0) {
                free(b);
                return r;
        }

        *ret_bundle = b;
        return 0;
}

LIBLUO_PUBLIC int libluo_bundle_open_index(int index_fd, uint32_t flags, libluo_bundle **ret_bundle) {
        if (!ret_bundle || flags != 0)
                return -EINVAL;

        return open_index(-1, index_fd, ret_bundle);
}

LIBLUO_PUBLIC int libluo_bundle_open(int session_fd, uint32_t flags, libluo_bundle **ret_bundle) {
        int fd, r;

        if (!ret_bundle || flags != 0)
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

static bool has_session(const libluo_bundle *b) {
        return b && b->session_fd >= 0;
}

LIBLUO_PUBLIC int libluo_bundle_set_shared(libluo_bundle *bundle, libluo_bundle *shared) {
        if (!has_session(bundle) || !has_session(shared))
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

        if (!has_session(b) || i >= b->index.n_entries)
                return -EINVAL;

        e = b->index.entries + i;
        if (e->public.lost)
                return -ENODATA;

        if (e->public.flags & LIBLUO_ENTRY_SHARED) {
                if (!b->shared)
                        return -ENOLINK;
                *ret_bundle = b->shared;
                *ret_entry = libluo_internal_index_find(&b->shared->index, e->public.token);
                return 0;
        }

        *ret_bundle = b;
        *ret_entry = b->index.entries + e->owner;
        return 0;
}

/*
 * Others may have a shared file already, and what they have made of it since is theirs, as is the lock of its inode:
 * mode and owner are put back for as long as the owner is who retrieves it, and the mode is what the kernel gives a
 * file that it brings back, or what somebody has put back who then failed at the owner.
 */
static bool is_as_retrieved(int fd, const libluo_entry *e) {
        mode_t mode, wanted = e->mode & ~(mode_t) (S_ISUID | S_ISGID);
        struct stat st;

        if (fstat(fd, &st) < 0)
                return true;
        if (st.st_uid != geteuid() || st.st_gid != getegid())
                return false;

        mode = st.st_mode & 07777;
        return mode == 0777 ||
                (mode == libluo_internal_possible_mode(fd, mode, wanted) &&
                        (st.st_uid != e->uid || st.st_gid != e->gid));
}

#define TAKE_FLAGS (LIBLUO_TAKE_AGAIN | LIBLUO_TAKE_CHANGE_OWNER)

LIBLUO_PUBLIC int libluo_bundle_take(libluo_bundle *bundle, size_t i, uint32_t flags) {
        bool again = flags & LIBLUO_TAKE_AGAIN;
        struct luo_index_entry *owner;
        const libluo_entry *e;
        libluo_bundle *where;
        bool owned, narrow;
        int file_fd, fd, r;

        if (flags & ~TAKE_FLAGS)
                return -EINVAL;

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
        owned = owner == bundle->index.entries + i;
        narrow = (e->open_flags & O_ACCMODE) != O_RDWR ||
                e->flags & (LIBLUO_ENTRY_DUPLICATE | LIBLUO_ENTRY_SHARED);
        if (narrow) {
                fd = libluo_internal_open_anew(file_fd, e->open_flags & O_ACCMODE, /* change_mode= */ !again);
                if (fd == -EAGAIN && (e->open_flags & (O_ACCMODE | O_APPEND)) == O_RDWR) {
                        /* Nobody is to keep it from who had all access: but for the offset the kernel's is as good. */
                        fd = file_fd;
                        narrow = false;
                } else if (fd < 0) {
                        r = fd;
                        goto fail;
                }
        }
        if (narrow) {
                off_t offset = (off_t) e->offset;

                /* For the entry it was preserved for the kernel has kept the offset up to the kexec */
                if (owned)
                        offset = lseek(file_fd, 0, SEEK_CUR);
                if (offset > 0 && lseek(fd, offset, SEEK_SET) < 0) {
                        r = -EPROTO;
                        goto fail;
                }
        }

        /*
         * Somebody may work with it by now: zeroes are no holes then, its mode is what it is meant to be, and the lock
         * of its inode, which this would wait for, may be theirs for as long as they like.
         */
        if (!again) {
                if (!owner->restored && where == bundle)
                        libluo_internal_free_holes(
                                file_fd, where->index.holes + owner->first_hole, owner->n_holes);
                if (where == bundle || is_as_retrieved(file_fd, &owner->public)) {
                        r = libluo_internal_restore_inode(
                                file_fd, &owner->public, flags & LIBLUO_TAKE_CHANGE_OWNER);
                        if (r < 0)
                                goto fail;
                }
                owner->restored = true;
        }

        /* Whoever has the kernel's open file description already may have changed its flags since */
        if (e->open_flags & O_APPEND && (narrow || (owned && !again)) &&
                fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_APPEND) < 0) {
                r = -EPERM;
                goto fail;
        }

        if (fd != file_fd)
                close_fd(file_fd);
        return fd;

fail:
        if (fd != file_fd)
                close_fd(fd);
        close_fd(file_fd);
        return r;
}

LIBLUO_PUBLIC ssize_t libluo_bundle_take_all(
        libluo_bundle *bundle, int *ret_fds, size_t n_fds, uint32_t flags) {
        ssize_t n = 0;

        if (!has_session(bundle) || flags & ~TAKE_FLAGS || n_fds != bundle->index.n_entries ||
                (n_fds > 0 && !ret_fds))
                return -EINVAL;

        for (size_t i = 0; i < n_fds; i++) {
                ret_fds[i] = libluo_bundle_take(bundle, i, flags);
                n += ret_fds[i] >= 0;
        }

        return n;
}

/* ------------------------------------------------------------------------------------------------- memory ---- */

/*
 * Retrieving takes more than the pages: the inode, and the nodes of the page cache's tree. Measured: about 0.2
 * percent of the pages; a file of one page takes some KiB.
 */
static uint64_t cost_of_retrieving(uint64_t memory) {
        uint64_t cost;

        return __builtin_add_overflow(memory, memory / 256 + (UINT64_C(16) << 10), &cost) ? UINT64_MAX : cost;
}

LIBLUO_PUBLIC int libluo_bundle_get_memory(
        const libluo_bundle *bundle, const uint8_t *skip, size_t n_skip, uint64_t *ret_bytes) {
        uint64_t sum = 0;
        uint8_t *counted;

        if (!bundle || !ret_bytes || (skip && n_skip != bundle->index.n_entries))
                return -EINVAL;

        counted = calloc(bundle->index.n_entries + 1, 1);
        if (!counted)
                return -ENOMEM;

        for (size_t i = 0; i < bundle->index.n_entries; i++) {
                const struct luo_index_entry *e = bundle->index.entries + i;

                if (e->public.lost || (skip && skip[i]) || counted[e->owner])
                        continue;

                counted[e->owner] = 1;
                if (__builtin_add_overflow(
                            sum, cost_of_retrieving(bundle->index.entries[e->owner].public.memory), &sum))
                        sum = UINT64_MAX;
        }

        free(counted);
        *ret_bytes = sum;
        return 0;
}

/* ---------------------------------------------------------------------------------------------- finishing ---- */

LIBLUO_PUBLIC int libluo_bundle_finish(libluo_bundle *bundle) {
        if (!has_session(bundle))
                return -EINVAL;

        return libluo_session_finish(bundle->session_fd);
}
