/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kcmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>

#include "internal.h"

#define F_DUPFD_QUERY_VALUE 1027 /* F_DUPFD_QUERY of <linux/fcntl.h>, Linux 6.10 */

enum { OPEN_ANEW_TRIES = 16 };

/* What is opened in the same way may be the same. Asks nothing of a file that could block. */
static bool looks_the_same(int a, int b) {
        char x[256], y[256];
        struct stat s, t;

        if (fcntl(a, F_GETFL) != fcntl(b, F_GETFL))
                return false;
        if (libluo_internal_is_memory(a) > 0 && libluo_internal_is_memory(b) > 0)
                return fstat(a, &s) >= 0 && fstat(b, &t) >= 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
        return libluo_internal_read_link(a, x, sizeof(x)) >= 0 &&
                libluo_internal_read_link(b, y, sizeof(y)) >= 0 && strcmp(x, y) == 0;
}

bool libluo_internal_same_description(int a, int b) {
        pid_t pid = getpid();
        long r;

        r = fcntl(a, F_DUPFD_QUERY_VALUE, b);
        if (r >= 0)
                return r > 0;

        r = syscall(SYS_kcmp, pid, pid, KCMP_FILE, a, b);
        if (r >= 0)
                return r == 0;

        return looks_the_same(a, b); /* neither is there */
}

int libluo_internal_is_memory(int fd) {
        if (fcntl(fd, F_GET_SEALS) >= 0)
                return 1;

        return errno == EBADF ? -EBADF : 0; /* EBADF also for O_PATH, by which nothing can be preserved */
}

int libluo_internal_read_link(int fd, char *ret_target, size_t size) {
        char path[64];
        ssize_t length;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        length = RETRY(readlink(path, ret_target, size - 1));
        if (length >= 0) {
                ret_target[length] = 0;
                return 0;
        }

        /* The link of an open fd is missing only if /proc is */
        if (errno == ENOENT)
                return fcntl(fd, F_GETFD) < 0 ? -EBADF : -ENOSYS;
        return LUO_CLOSED_SET(-errno, ENAMETOOLONG, ENOMEM);
}

int libluo_internal_describe_fd(int fd, libluo_entry *e, struct stat *ret_stat) {
        struct stat st = {};
        off_t offset;
        int flags;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0)
                return -EBADF;
        e->open_flags = flags & (O_ACCMODE | O_APPEND);

        if (libluo_internal_is_memory(fd) > 0 && fstat(fd, &st) >= 0) {
                e->mode = st.st_mode & 07777;
                e->uid = st.st_uid;
                e->gid = st.st_gid;
                e->size = (uint64_t) st.st_size;
                e->allocated = (uint64_t) st.st_blocks * 512; /* the unit of st_blocks, stat(3type) */

                offset = lseek(fd, 0, SEEK_CUR);
                if (offset > 0)
                        e->offset = (uint64_t) offset;
        }

        *ret_stat = st;
        return 0;
}

mode_t libluo_internal_possible_mode(int fd, mode_t now, mode_t wanted) {
        int seals = fcntl(fd, F_GET_SEALS);
        mode_t fixed = seals >= 0 && seals & F_SEAL_EXEC_VALUE ? 0111 : 0;

        return (wanted & ~fixed) | (now & fixed);
}

int libluo_internal_restore_inode(int fd, const libluo_entry *e, bool change_owner) {
        mode_t mode, plain, both, now, special = e->mode & (S_ISUID | S_ISGID);
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -EPERM;
        if (!S_ISREG(st.st_mode)) /* no inode of its own */
                return 0;

        now = st.st_mode & 07777;
        mode = libluo_internal_possible_mode(fd, now, e->mode);

        if (now == mode && st.st_uid == e->uid && st.st_gid == e->gid)
                return 0;

        plain = mode & ~special;
        /* Members of the old group are others now, members of the new one were: both get what both had. */
        both = mode >> 3 & mode & 0007;
        both = libluo_internal_possible_mode(fd, now, (mode & 0700) | both << 3 | both);

        /*
         * The mode first: who is killed in between leaves no rights to others that nobody was to have. But nobody gets
         * more for a moment than an earlier take has left, which could not restore the group either.
         */
        if (now != plain && now != both) {
                if (fchmod(fd, plain) < 0)
                        return -EPERM;
                now = plain;
        }

        if ((st.st_uid != e->uid || st.st_gid != e->gid) && fchown(fd, e->uid, e->gid) < 0) {
                if (!change_owner)
                        return -EPERM;

                mode = plain;
                if (st.st_gid != e->gid && fchown(fd, (uid_t) -1, e->gid) < 0)
                        mode = both;
        }

        /* Last set-user-ID and set-group-ID, too, which changing the owner clears. */
        if (now != mode && fchmod(fd, mode) < 0)
                return -EPERM;

        return 0;
}

int libluo_internal_open_link(int fd, int open_flags) {
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        r = RETRY(open(path, open_flags | O_CLOEXEC | O_NOCTTY));
        if (r >= 0) {
                /* That was for opening it only. */
                if (open_flags & O_NONBLOCK && fcntl(r, F_SETFL, open_flags & O_APPEND) < 0) {
                        close_fd(r);
                        return -EACCES;
                }

                return r;
        }

        switch (errno) {
        case EWOULDBLOCK:
        case ETXTBSY:
                return -EAGAIN;
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

int libluo_internal_open_anew(int fd, int open_flags, bool change_mode) {
        struct stat st;
        mode_t mode;
        int other_fd;

        /* Whoever has taken a lease on it (F_SETLEASE) would have us wait */
        open_flags |= O_NONBLOCK;

        /* Other processes may do the same at this time: each may find the mode put back that it has just changed */
        for (int i = 0; i < OPEN_ANEW_TRIES; i++) {
                other_fd = libluo_internal_open_link(fd, open_flags);
                if (other_fd != -EACCES || !change_mode || fstat(fd, &st) < 0 || st.st_uid != geteuid())
                        return other_fd;

                /* The mode that another one has set for a moment is not to be put back */
                mode = st.st_mode & 07777;
                if ((mode & 0600) == 0600)
                        continue;

                if (fchmod(fd, mode | 0600) < 0)
                        return -EACCES;
                other_fd = libluo_internal_open_link(fd, open_flags);
                /* What somebody has made of it since stays (but for set-group-ID, which this may have cleared) */
                if (fstat(fd, &st) < 0 ||
                        ((st.st_mode & 0777) == ((mode | 0600) & 0777) && fchmod(fd, mode) < 0)) {
                        close_fd(other_fd);
                        return -EACCES;
                }
                if (other_fd != -EACCES)
                        return other_fd;
        }

        return -EACCES;
}

/* Reads "NAME: N kB" of /proc/meminfo, in bytes. */
static bool read_meminfo(const char *text, const char *name, uint64_t *ret) {
        const char *line = strstr(text, name);

        if (!line)
                return false;

        *ret = strtoull(line + strlen(name), NULL, 10) * 1024;
        return true;
}

static void read_memory(uint64_t *ret_total, uint64_t *ret_available) {
        char text[4096];
        struct sysinfo info;
        ssize_t n = -1;
        int fd;

        fd = RETRY(open("/proc/meminfo", O_RDONLY | O_CLOEXEC | O_NOCTTY));
        if (fd >= 0) {
                n = read(fd, text, sizeof(text) - 1);
                close_fd(fd);
        }
        if (n > 0) {
                text[n] = 0;
                if (read_meminfo(text, "MemTotal:", ret_total) &&
                        read_meminfo(text, "MemAvailable:", ret_available))
                        return;
        }

        /* Less than there is: it leaves out what could be had of the page cache */
        (void) sysinfo(&info);
        *ret_total = (uint64_t) info.totalram * info.mem_unit;
        *ret_available = ((uint64_t) info.freeram + info.bufferram) * info.mem_unit;
}

uint64_t libluo_internal_holes_cost(const struct stat *st) {
        uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE),
                 full = ((uint64_t) st->st_size + page - 1) / page * page,
                 allocated = (uint64_t) st->st_blocks * 512;

        return S_ISREG(st->st_mode) && full > allocated ? full - allocated : 0;
}

uint64_t libluo_memory_for_holes(void) {
        uint64_t total, available, reserve;

        read_memory(&total, &available);
        reserve = total / 32 + (UINT64_C(16) << 20);
        return available > reserve ? available - reserve : 0;
}

int libluo_internal_holes_fit(int fd, const struct stat *st) {
        struct statfs sfs;
        uint64_t cost = libluo_internal_holes_cost(st);

        /* What the kernel refuses for another reason anyway is to be lost for that one */
        if (cost == 0 || st->st_nlink > 0 ||
                (uint64_t) st->st_size / (uint64_t) sysconf(_SC_PAGESIZE) >= LUO_PAGES_MAX ||
                cost <= libluo_memory_for_holes())
                return 0;

        /* Files of huge pages are refused, too */
        return fstatfs(fd, &sfs) >= 0 && (uint32_t) sfs.f_type == HUGETLBFS_MAGIC_VALUE ? 0 : -EOVERFLOW;
}

int libluo_internal_find_holes(
        int fd, const struct stat *st, size_t maximum, struct luo_hole **ret_holes, size_t *ret_n) {
        uint64_t cost = libluo_internal_holes_cost(st), holes_size = 0;
        struct luo_hole *holes = NULL;
        size_t n = 0, n_allocated = 0;
        off_t position = 0;
        int own_fd, r = 0;

        if (cost == 0) {
                *ret_holes = NULL;
                *ret_n = 0;
                return 0;
        }

        /* Looking for holes moves the offset of the open file description: take one of our own. */
        own_fd = libluo_internal_open_link(fd, O_RDONLY | O_NONBLOCK);
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
        /*
         * Memory that was reserved with fallocate(2) looks like a hole, too, but is to stay: then nobody can tell
         * which is which
         */
        for (size_t i = 0; i < n; i++)
                holes_size += holes[i].size;
        if (r < 0 || n == 0 || holes_size > cost) {
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

        return RETRY(fallocate(
                fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) start, (off_t) (end - start)));
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
        int flags;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || flags & O_PATH)
                return -EBADF;
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

                n = RETRY(pread(fd, data + done, size - done, (off_t) done));
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
