/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kcmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "internal.h"

#define F_DUPFD_QUERY_VALUE 1027 /* F_DUPFD_QUERY of <linux/fcntl.h>, Linux 6.10 */

bool libluo_internal_same_description(int a, int b) {
        pid_t pid = getpid();
        struct stat x, y;
        long r;

        r = fcntl(a, F_DUPFD_QUERY_VALUE, b);
        if (r >= 0)
                return r > 0;

        r = syscall(SYS_kcmp, pid, pid, KCMP_FILE, a, b);
        if (r >= 0)
                return r == 0;

        /* Neither is there: what is opened in the same way may be the same */
        return fstat(a, &x) >= 0 && fstat(b, &y) >= 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino &&
                fcntl(a, F_GETFL) == fcntl(b, F_GETFL);
}

int libluo_internal_describe_fd(int fd, libluo_entry *e, struct stat *ret_stat) {
        struct stat st = {};
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

        *ret_stat = st;
        return 0;
}

int libluo_internal_restore_inode(int fd, const libluo_entry *e) {
        struct stat st;
        mode_t mode;
        int seals;

        if (fstat(fd, &st) < 0)
                return -EACCES;
        if (!S_ISREG(st.st_mode)) /* no inode of its own */
                return 0;

        /* The owner first: changing it may clear bits of the mode. */
        if ((st.st_uid != e->uid || st.st_gid != e->gid) && fchown(fd, e->uid, e->gid) < 0)
                return -EACCES;

        mode = e->mode;
        if ((st.st_mode & 07777) == mode)
                return 0;

        /* With F_SEAL_EXEC the x bits stay what they are, and the kernel makes restored files with all of them set. */
        seals = fcntl(fd, F_GET_SEALS);
        if (seals >= 0 && (seals & F_SEAL_EXEC_VALUE))
                mode = (mode & ~(mode_t) 0111) | (st.st_mode & 0111);

        if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
                return -EACCES;

        return 0;
}

int libluo_internal_open_link(int fd, int open_flags) {
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        r = open(path, open_flags | O_CLOEXEC | O_NOCTTY);
        if (r >= 0)
                return r;

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

int libluo_internal_reopen(int fd, int open_flags) {
        struct stat st;
        int other_fd;

        other_fd = libluo_internal_open_link(fd, open_flags);
        if (other_fd != -EACCES || fstat(fd, &st) < 0)
                return other_fd;

        /*
         * The mode may have been restored already, and keep an unprivileged owner, who may change it, from opening the
         * file. Whoever has a file open can do what its access mode says, whatever its mode.
         */
        if (fchmod(fd, (st.st_mode & 07777) | 0600) < 0)
                return -EACCES;
        other_fd = libluo_internal_open_link(fd, open_flags);
        if (fchmod(fd, st.st_mode & 07777) < 0) {
                close_fd(other_fd);
                return -EACCES;
        }

        return other_fd;
}

int libluo_internal_find_holes(
        int fd, const struct stat *st, size_t maximum, struct luo_hole **ret_holes, size_t *ret_n) {
        uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE), allocated = (uint64_t) st->st_blocks * 512,
                 file_size, holes_size = 0;
        struct luo_hole *holes = NULL;
        size_t n = 0, n_allocated = 0;
        off_t position = 0;
        int own_fd, r = 0;

        file_size = ((uint64_t) st->st_size + page - 1) / page * page;
        if (!S_ISREG(st->st_mode) || allocated >= file_size) {
                *ret_holes = NULL;
                *ret_n = 0;
                return 0;
        }

        /* Looking for holes moves the offset of the open file description: take one of our own. */
        own_fd = libluo_internal_open_link(fd, O_RDONLY);
        while (own_fd >= 0 && n < maximum && position < st->st_size) {
                off_t start, end;

                start = lseek(own_fd, position, SEEK_HOLE);
                if (start < 0 || start >= st->st_size)
                        break;
                end = lseek(own_fd, start, SEEK_DATA);
                if (end < 0 || end > st->st_size) /* ENXIO: nothing but hole up to the end */
                        end = st->st_size;

                if (n >= n_allocated) {
                        struct luo_hole *more;

                        n_allocated = n_allocated ? n_allocated * 2 : 8;
                        more = realloc(holes, n_allocated * sizeof(*holes));
                        if (!more) {
                                r = -ENOMEM;
                                break;
                        }
                        holes = more;
                }

                holes[n++] = (struct luo_hole) {
                        .offset = (uint64_t) start,
                        .size = (uint64_t) (end - start),
                };
                position = end;
        }

        if (own_fd >= 0)
                close_fd(own_fd);
        /* Memory that was reserved with fallocate(2) looks like a hole, too, but is to stay: then nobody can tell which is which */
        for (size_t i = 0; i < n; i++)
                holes_size += holes[i].size;
        if (r < 0 || n == 0 || holes_size > file_size - allocated) {
                free(holes);
                holes = NULL;
                n = 0;
        }
        if (r < 0)
                return r;

        *ret_holes = holes;
        *ret_n = n;
        return 0;
}

/* Whether a part of a file, of at most BLOCK bytes, is there and zero. */
enum { BLOCK = 4096 };

static bool is_zero(int fd, uint64_t offset, size_t size) {
        static const uint8_t zeroes[BLOCK];
        uint8_t buffer[BLOCK];

        return pread(fd, buffer, size, (off_t) offset) == (ssize_t) size && memcmp(buffer, zeroes, size) == 0;
}

static int punch(int fd, uint64_t start, uint64_t end) {
        if (start >= end)
                return 0;

        return fallocate(
                fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) start, (off_t) (end - start));
}

/* size: of the file; what an index says of it counts for nothing. Returns false if holes cannot be made. */
static bool free_hole(int fd, const struct luo_hole *hole, uint64_t size) {
        uint64_t start = hole->offset, end, position;

        if (start >= size)
                return true;
        end = hole->size < size - start ? start + hole->size : size;

        /* The previous system may have written into a hole up to its end: only what is zero is one. */
        for (position = start; position < end;) {
                size_t n = end - position < BLOCK ? (size_t) (end - position) : BLOCK;

                if (is_zero(fd, position, n))
                        position += n;
                else {
                        if (punch(fd, start, position) < 0)
                                return false;
                        position += n;
                        start = position;
                }
        }

        /* At the end of the file the rest of the last page belongs to the hole, too */
        if (end == size && start < end)
                end += (uint64_t) sysconf(_SC_PAGESIZE);
        return punch(fd, start, end) >= 0;
}

void libluo_internal_free_holes(int fd, const struct luo_hole *holes, size_t n) {
        struct stat st;

        if (n == 0 || fstat(fd, &st) < 0)
                return;

        for (size_t i = 0; i < n && free_hole(fd, holes + i, (uint64_t) st.st_size); i++)
                ;
}

int libluo_internal_read_file(int fd, uint64_t maximum, uint8_t **ret_data, size_t *ret_size) {
        struct stat st;
        uint8_t *data;
        size_t size, done = 0;

        if (fstat(fd, &st) < 0)
                return errno == EBADF ? -EBADF : -EACCES;
        if (!S_ISREG(st.st_mode) || (uint64_t) st.st_size > maximum)
                return -EBADMSG;

        /* A copy: whoever else has the file could change it between a check and a use. */
        size = (size_t) st.st_size;
        data = malloc(size + 1);
        if (!data)
                return -ENOMEM;

        while (done < size) {
                ssize_t n;

                n = pread(fd, data + done, size - done, (off_t) done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        int r = n < 0 && errno == EBADF ? -EACCES : -EBADMSG;

                        free(data);
                        return r;
                }

                done += (size_t) n;
        }
        data[size] = 0;

        *ret_data = data;
        *ret_size = size;
        return 0;
}

int libluo_internal_sealed_memfd(const char *name, const void *data, size_t size) {
        const uint8_t *p = data;
        struct rlimit limit;
        int fd, r;

        /* Writing beyond it would be the end of this process, by SIGXFSZ */
        if (getrlimit(RLIMIT_FSIZE, &limit) >= 0 && size > limit.rlim_cur)
                return -EFBIG;

        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return LUO_CLOSED_SET(-errno, EMFILE, ENFILE, ENOMEM);

        while (size > 0) {
                ssize_t n;

                n = write(fd, p, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        /* What else there is says in one way or another that there is no memory */
                        r = errno == EFAULT || errno == EFBIG ? -errno : -ENOMEM;
                        goto fail;
                }

                p += n;
                size -= (size_t) n;
        }

        if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
                r = -EPROTO;
                goto fail;
        }

        return fd;

fail:
        close_fd(fd);
        return r;
}
