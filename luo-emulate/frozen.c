/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <unistd.h>

#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "answers.h"
#include "internal.h"
#include "memory.h"
#include "process.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x00000020 /* Linux 6.9 */
#endif

/*
 * The size of a preserved file is frozen: mm/shmem.c refuses what would change it with EPERM. Writes go to the page
 * cache in pieces that do not cross a multiple of the largest folio there can be, and a piece is written as a whole or
 * refused.
 */
#define WRITE_PIECE (UINT64_C(2) << 20)

/* The most that one system call writes. */
#define WRITE_MAX (INT_MAX & ~UINT64_C(4095))

/* True if the file may be written through this fd, and its size is frozen. */
static bool is_frozen(
        struct supervisor *s, pid_t tid, int fd, struct stat *ret_stat, struct fd_info *ret_info) {

        return s->kernel.n_frozen > 0 && process_fd_stat(tid, fd, ret_stat) >= 0 &&
                kernel_find_frozen(&s->kernel, ret_stat->st_dev, ret_stat->st_ino) &&
                process_fd_info(tid, fd, ret_info) >= 0 && !(ret_info->flags & O_PATH) &&
                (ret_info->flags & O_ACCMODE) != O_RDONLY;
}

/* The answer that refuses, unless the session was closed by now. */
static int64_t refuse(struct supervisor *s, const struct stat *st, int error) {
        if (objects_sweep(s) > 0 && !kernel_find_frozen(&s->kernel, st->st_dev, st->st_ino))
                return ANSWER_CONTINUE;

        return error;
}

/* For a path that is the link of an open file in /proc: there is no other path to a file without a name. */
static int64_t refuse_path(
        struct supervisor *s, const struct seccomp_notif *request, const char *path, int64_t size) {

        struct stat st;
        pid_t tid;
        int fd;

        if (s->kernel.n_frozen == 0 || !request_parse_fd_link(path, (pid_t) request->pid, &tid, &fd) ||
                process_fd_stat(tid, fd, &st) < 0 || !kernel_find_frozen(&s->kernel, st.st_dev, st.st_ino) ||
                size < 0 || size == st.st_size)
                return ANSWER_CONTINUE;

        return refuse(s, &st, -EPERM);
}

int64_t answer_open_truncating(struct supervisor *s, const struct seccomp_notif *request, const char *path) {
        return refuse_path(s, request, path, 0);
}

int64_t answer_truncate(struct supervisor *s, const struct seccomp_notif *request) {
        char path[PATH_MAX];

        if (!request_read_path(request, AT_FDCWD, request->data.args[0], path))
                return ANSWER_CONTINUE;

        return refuse_path(s, request, path, (int64_t) request->data.args[1]);
}

/* MADV_REMOVE, which is fallocate(2) by address */
int64_t answer_madvise(struct supervisor *s, const struct seccomp_notif *request) {
        struct stat st = {};

        if (s->kernel.n_frozen == 0 ||
                process_mapped_file((pid_t) request->pid, request->data.args[0], &st.st_dev, &st.st_ino) <
                        0 ||
                !kernel_find_frozen(&s->kernel, st.st_dev, st.st_ino))
                return ANSWER_CONTINUE;

        return refuse(s, &st, -EPERM);
}

int64_t answer_ftruncate(struct supervisor *s, const struct seccomp_notif *request) {
        int64_t size = (int64_t) request->data.args[1];
        struct fd_info info;
        struct stat st;

        if (!is_frozen(s, (pid_t) request->pid, (int) request->data.args[0], &st, &info) || size < 0 ||
                size == st.st_size)
                return ANSWER_CONTINUE;

        return refuse(s, &st, -EPERM);
}

int64_t answer_fallocate(struct supervisor *s, const struct seccomp_notif *request) {
        int mode = (int) request->data.args[1];
        int64_t offset = (int64_t) request->data.args[2], length = (int64_t) request->data.args[3];
        struct fd_info info;
        struct stat st;

        /* Even where the size would not change. What is wrong in any case is left to the kernel. */
        if (!is_frozen(s, (pid_t) request->pid, (int) request->data.args[0], &st, &info) || offset < 0 ||
                length <= 0 || offset > INT64_MAX - length ||
                (mode != 0 && mode != FALLOC_FL_KEEP_SIZE &&
                        mode != (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)))
                return ANSWER_CONTINUE;

        return refuse(s, &st, -EPERM);
}

int64_t answer_add_seals(struct supervisor *s, const struct seccomp_notif *request) {
        int wanted = (int) request->data.args[2], fd, seals;
        struct fd_info info;
        struct stat st;

        if (!is_frozen(s, (pid_t) request->pid, (int) request->data.args[0], &st, &info) || st.st_size == 0 ||
                wanted & ~MEMORY_SEALS_KNOWN)
                return ANSWER_CONTINUE;

        /* The pages are pinned, which cannot be sealed against writing */
        if (!(wanted & F_SEAL_WRITE) && !(wanted & F_SEAL_EXEC_VALUE && st.st_mode & 0111))
                return ANSWER_CONTINUE;

        fd = request_get_file(s, request, (int) request->data.args[0]);
        seals = fd >= 0 ? fcntl(fd, F_GET_SEALS) : -1;
        close_fd(fd);
        if (seals < 0 || seals & (F_SEAL_SEAL | F_SEAL_WRITE))
                return ANSWER_CONTINUE;

        return refuse(s, &st, -EBUSY);
}

/* ---------------------------------------------------------------------------------------------------- write ---- */

struct write {
        pid_t tid;
        int fd;
        uint64_t address; /* of the buffer, or of the vector */
        uint64_t n_vectors;
        bool is_vector;
        bool moves; /* the offset */
        uint64_t position;
        uint64_t length;
};

/* The position as two halves, which on machines of 64 bit are one. */
static uint64_t position_of(const __u64 *arguments) {
#if LONG_MAX > INT32_MAX
        return arguments[3];
#else
        return (uint32_t) arguments[3] | (uint64_t) arguments[4] << 32;
#endif
}

static bool sum_vectors(struct write *w) {
        w->length = 0;
        if (w->n_vectors > IOV_MAX)
                return false;

        for (uint64_t i = 0; i < w->n_vectors; i++) {
                struct iovec vector;

                if (process_read(w->tid, w->address + i * sizeof(vector), &vector, sizeof(vector)) < 0 ||
                        vector.iov_len > SSIZE_MAX)
                        return false;
                w->length += vector.iov_len;
                if (w->length > WRITE_MAX)
                        w->length = WRITE_MAX;
        }

        return true;
}

/* Takes the system call's arguments apart; false if the kernel had better see for itself. */
static bool parse(
        const struct seccomp_notif *request, const struct fd_info *info, off_t size, struct write *w) {
        const __u64 *arguments = request->data.args;
        bool append = info->flags & O_APPEND;

        *w = (struct write) {
                .tid = (pid_t) request->pid,
                .fd = (int) arguments[0],
                .address = arguments[1],
                .moves = true,
                .position = info->position,
        };

        switch (request->data.nr) {
        case SYS_pwrite64:
                w->moves = false;
                w->position = arguments[3];
                /* fall through */
        case SYS_write:
                w->length = arguments[2] < WRITE_MAX ? arguments[2] : WRITE_MAX;
                break;
        case SYS_pwritev2:
                if (arguments[5] & RWF_APPEND)
                        append = true;
                else if (arguments[5] & RWF_NOAPPEND)
                        append = false;
                /* fall through */
        case SYS_pwritev:
                /* pwritev2() with -1 is writev() */
                if (request->data.nr == SYS_pwritev || position_of(arguments) != UINT64_MAX) {
                        w->moves = false;
                        w->position = position_of(arguments);
                }
                /* fall through */
        default:
                w->is_vector = true;
                w->n_vectors = arguments[2];
                if (!sum_vectors(w))
                        return false;
        }

        if (append)
                w->position = (uint64_t) size;

        return w->length > 0 && w->position <= INT64_MAX && w->length <= INT64_MAX - w->position;
}

/* Where byte number "offset" of what is written is, and how many follow it there. */
static bool locate(const struct write *w, uint64_t offset, uint64_t *ret_address, uint64_t *ret_size) {
        if (!w->is_vector) {
                *ret_address = w->address + offset;
                *ret_size = w->length - offset;
                return true;
        }

        for (uint64_t i = 0; i < w->n_vectors; i++) {
                struct iovec vector;

                if (process_read(w->tid, w->address + i * sizeof(vector), &vector, sizeof(vector)) < 0)
                        return false;
                if (offset < vector.iov_len) {
                        *ret_address = (uint64_t) (uintptr_t) vector.iov_base + offset;
                        *ret_size = vector.iov_len - offset;
                        return true;
                }
                offset -= vector.iov_len;
        }

        return false;
}

/* Writes the beginning of it in the place of the program. */
static int64_t write_some(
        struct supervisor *s, const struct seccomp_notif *request, const struct write *w, uint64_t size) {
        uint64_t done = 0;
        char buffer[4096];
        int64_t r = 0;
        int fd;

        fd = request_get_fd(s, request, w->fd);
        if (fd < 0)
                return fd;

        while (done < size) {
                uint64_t address, n;
                ssize_t written;

                if (!locate(w, done, &address, &n)) {
                        r = -EFAULT;
                        break;
                }
                if (n > size - done)
                        n = size - done;
                if (n > sizeof(buffer))
                        n = sizeof(buffer);

                r = process_read(w->tid, address, buffer, (size_t) n);
                if (r >= 0 && !request_is_valid(s, request))
                        r = -ENOENT;
                if (r < 0)
                        break;

                written = w->moves ? write(fd, buffer, (size_t) n)
                                   : pwrite(fd, buffer, (size_t) n, (off_t) (w->position + done));
                if (written <= 0) {
                        r = -errno;
                        break;
                }
                done += (uint64_t) written;
        }

        close_fd(fd);
        return done > 0 ? (int64_t) done : r;
}

int64_t answer_write(struct supervisor *s, const struct seccomp_notif *request) {
        uint64_t address, n, boundary;
        struct fd_info info;
        struct stat st;
        struct write w;
        int64_t r;
        char byte;

        if (!is_frozen(s, (pid_t) request->pid, (int) request->data.args[0], &st, &info) ||
                !parse(request, &info, st.st_size, &w) || w.position + w.length <= (uint64_t) st.st_size)
                return ANSWER_CONTINUE;

        /* The kernel looks whether there is anything to write before it looks whether it may be written */
        if (!locate(&w, 0, &address, &n) || process_read(w.tid, address, &byte, sizeof(byte)) < 0)
                return ANSWER_CONTINUE;

        r = refuse(s, &st, -EPERM);
        if (r == ANSWER_CONTINUE)
                return r;

        /* What comes before the piece that crosses the end gets written */
        boundary = (uint64_t) st.st_size / WRITE_PIECE * WRITE_PIECE;
        if (boundary <= w.position)
                return r;

        return write_some(s, request, &w, boundary - w.position);
}
