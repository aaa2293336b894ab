/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include "internal.h"

struct libluo_bundle {
        int session_fd; /* borrowed */
        bool building;
        bool written;
        size_t n_allocated; /* entries, while building */
        struct luo_index
                index; /* while building each name is an allocation of its own, and index.names is NULL */
};

LIBLUO_PUBLIC int libluo_bundle_new(int session_fd, libluo_bundle **ret_bundle) {
        libluo_bundle *b;
        int r;

        if (!ret_bundle)
                return -EINVAL;

        r = libluo_internal_session_is_outgoing(session_fd);
        if (r < 0)
                return r;
        if (r == 0)
                return -EBADFD;

        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;

        b->session_fd = session_fd;
        b->building = true;

        *ret_bundle = b;
        return 0;
}

LIBLUO_PUBLIC libluo_bundle *libluo_bundle_free(libluo_bundle *bundle) {
        if (!bundle)
                return NULL;

        if (bundle->building)
                for (size_t i = 0; i < bundle->index.n_entries; i++)
                        free((char *) bundle->index.entries[i].name);

        libluo_internal_index_done(&bundle->index);
        free(bundle);
        return NULL;
}

/* What LUO does not keep of a file. All of it is best effort but for the access mode, which every fd has. */
static int describe_fd(int fd, libluo_entry *e) {
        struct stat st;
        off_t offset;
        int flags;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0)
                return -EBADF;
        e->open_flags = flags & (O_ACCMODE | O_APPEND);

        if (fstat(fd, &st) >= 0) {
                e->mode = st.st_mode & 07777;
                e->uid = st.st_uid;
                e->gid = st.st_gid;
                if (S_ISREG(st.st_mode)) {
                        e->size = (uint64_t) st.st_size;
                        e->allocated = (uint64_t) st.st_blocks * 512; /* the unit of st_blocks, stat(3type) */
                }
        }

        offset = lseek(fd, 0, SEEK_CUR);
        if (offset > 0)
                e->offset = (uint64_t) offset;

        return 0;
}

LIBLUO_PUBLIC int libluo_bundle_add(libluo_bundle *bundle, int fd, const char *name, uint32_t flags) {
        libluo_entry e = { .flags = flags };
        struct luo_index *index;
        int r;

        if (!bundle || !bundle->building || bundle->written || !name || flags & ~LIBLUO_ENTRY_NO_POLL)
                return -EINVAL;
        if (!libluo_internal_entry_name_is_valid(name, strnlen(name, LIBLUO_ENTRY_NAME_MAX + 1)))
                return -EINVAL;

        index = &bundle->index;
        if (index->n_entries >= LIBLUO_BUNDLE_ENTRIES_MAX)
                return -E2BIG;

        if (index->n_entries >= bundle->n_allocated) {
                size_t n = bundle->n_allocated ? bundle->n_allocated * 2 : 16;
                libluo_entry *entries;

                entries = realloc(index->entries, n * sizeof(*entries));
                if (!entries)
                        return -ENOMEM;

                index->entries = entries;
                bundle->n_allocated = n;
        }

        e.name = strdup(name);
        if (!e.name)
                return -ENOMEM;

        /* Described first: preserving allocates the holes. */
        r = describe_fd(fd, &e);
        if (r >= 0) {
                e.token = LUO_INDEX_TOKEN + 1 + index->n_entries;
                r = libluo_session_preserve(bundle->session_fd, fd, e.token);
        }
        if (r < 0) {
                e.token = LUO_INDEX_TOKEN;
                e.lost = -r;
        }

        index->entries[index->n_entries++] = e;
        return r;
}

static int write_all(int fd, const uint8_t *data, size_t size) {
        while (size > 0) {
                ssize_t n;

                n = write(fd, data, size);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }

                data += n;
                size -= (size_t) n;
        }

        return 0;
}

LIBLUO_PUBLIC int libluo_bundle_write(libluo_bundle *bundle) {
        uint8_t *data = NULL;
        size_t size;
        int fd, r;

        if (!bundle || !bundle->building || bundle->written)
                return -EINVAL;

        r = libluo_internal_index_encode(bundle->index.entries, bundle->index.n_entries, &data, &size);
        if (r < 0)
                return r;

        fd = memfd_create("luo-index", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0) {
                r = LUO_CLOSED_SET(-errno, EMFILE, ENFILE);
                goto finish;
        }

        r = write_all(fd, data, size);
        if (r < 0) {
                r = -ENOMEM; /* a memfd has no other reason to refuse */
                goto finish;
        }

        if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
                r = -EPROTO;
                goto finish;
        }

        r = libluo_session_preserve(bundle->session_fd, fd, LUO_INDEX_TOKEN);
        if (r >= 0)
                bundle->written = true;

finish:
        close_fd(fd);
        free(data);
        return r;
}

/* Reads a copy: whoever else has the file could change it between a check and a use. */
static int read_index(int fd, uint8_t **ret_data, size_t *ret_size) {
        struct stat st;
        uint8_t *data;
        size_t size, done = 0;

        if (fstat(fd, &st) < 0)
                return -EPROTO;
        if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t) st.st_size > LUO_INDEX_SIZE_MAX)
                return -EBADMSG;

        size = (size_t) st.st_size;
        data = malloc(size);
        if (!data)
                return -ENOMEM;

        while (done < size) {
                ssize_t n;

                n = pread(fd, data + done, size - done, (off_t) done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        free(data);
                        return -EBADMSG;
                }

                done += (size_t) n;
        }

        *ret_data = data;
        *ret_size = size;
        return 0;
}

LIBLUO_PUBLIC int libluo_bundle_open(int session_fd, libluo_bundle **ret_bundle) {
        uint8_t *data = NULL;
        libluo_bundle *b;
        size_t size;
        int fd, r;

        if (!ret_bundle)
                return -EINVAL;

        fd = libluo_session_retrieve_fd(session_fd, LUO_INDEX_TOKEN);
        if (fd < 0)
                return fd;

        r = read_index(fd, &data, &size);
        close_fd(fd);
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

LIBLUO_PUBLIC size_t libluo_bundle_count(const libluo_bundle *bundle) {
        return bundle ? bundle->index.n_entries : 0;
}

LIBLUO_PUBLIC int libluo_bundle_get(
        const libluo_bundle *bundle, size_t i, libluo_entry *ret_entry, size_t entry_size) {

        if (!bundle || !ret_entry || i >= bundle->index.n_entries)
                return -EINVAL;

        /* A caller built with a later header finds zeroes in the fields that this version does not have. */
        memset(ret_entry, 0, entry_size);
        memcpy(ret_entry, bundle->index.entries + i,
                entry_size < sizeof(libluo_entry) ? entry_size : sizeof(libluo_entry));
        return 0;
}

/* Gives a file its owner and mode back. Has to come while it is still open for writing. */
static int restore_inode(int fd, const libluo_entry *e) {
        struct stat st;
        mode_t mode;
        int seals;

        if (fstat(fd, &st) < 0)
                return -EACCES;

        /* The owner first: changing it may clear bits of the mode. */
        if ((st.st_uid != e->uid || st.st_gid != e->gid) && fchown(fd, e->uid, e->gid) < 0)
                return -EACCES;

        mode = e->mode;

        /* With F_SEAL_EXEC the x bits stay what they are, and the kernel makes restored files with all of them set. */
        seals = fcntl(fd, F_GET_SEALS);
        if (seals >= 0 && (seals & 0x0020 /* F_SEAL_EXEC, Linux 6.3 */))
                mode = (mode & ~(mode_t) 0111) | (st.st_mode & 0111);

        if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
                return -EACCES;

        return 0;
}

/* Swaps a read-write fd for one with less access. */
static int restore_access_mode(int fd, int access_mode) {
        char path[64];
        int narrow;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        narrow = open(path, access_mode | O_CLOEXEC | O_NOCTTY);
        if (narrow < 0) {
                switch (errno) {
                case ENOENT: /* the link of an open fd is missing only if /proc is */
                        return -ENOSYS;
                case EMFILE:
                case ENFILE:
                case ENOMEM:
                        return -errno;
                default:
                        return -EACCES;
                }
        }

        return narrow;
}

LIBLUO_PUBLIC int libluo_bundle_take(libluo_bundle *bundle, size_t i) {
        const libluo_entry *e;
        int fd, r;

        if (!bundle || bundle->building || i >= bundle->index.n_entries)
                return -EINVAL;

        e = bundle->index.entries + i;
        if (e->lost)
                return -ENODATA;

        fd = libluo_session_retrieve_fd(bundle->session_fd, e->token);
        if (fd < 0)
                return fd;

        /* The access mode last: a mode of 0400 would keep an unprivileged process from opening the file anew. */
        if ((e->open_flags & O_ACCMODE) != O_RDWR) {
                int narrow;
                off_t offset;

                narrow = restore_access_mode(fd, e->open_flags & O_ACCMODE);
                if (narrow < 0) {
                        r = narrow;
                        goto fail;
                }

                r = restore_inode(fd, e);
                /* The kernel keeps the offset up to the kexec, but not for a file opened anew */
                offset = lseek(fd, 0, SEEK_CUR);
                if (r >= 0 && offset > 0 && lseek(narrow, offset, SEEK_SET) < 0)
                        r = -EACCES;

                close_fd(fd);
                fd = narrow;
        } else
                r = restore_inode(fd, e);
        if (r < 0)
                goto fail;

        if (e->open_flags & O_APPEND && fcntl(fd, F_SETFL, O_APPEND) < 0) {
                r = -EACCES;
                goto fail;
        }

        return fd;

fail:
        close_fd(fd);
        return r;
}
