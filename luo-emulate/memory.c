/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "internal.h"
#include "memory.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

#define COPY_SIZE (1U << 20)

bool memory_can_be_preserved(int fd, struct stat *ret_stat) {
        struct statfs sfs;

        /* Files without seals are of file systems that may have to ask a server, which may not answer */
        return fcntl(fd, F_GET_SEALS) >= 0 && fstatfs(fd, &sfs) >= 0 && sfs.f_type == TMPFS_MAGIC &&
                fstat(fd, ret_stat) >= 0 && S_ISREG(ret_stat->st_mode) && ret_stat->st_nlink == 0;
}

/* For a file that is open for reading only: a page that is read through a shared mapping gets allocated. */
static int allocate_by_reading(int fd, size_t size) {
        void *address;
        int r = 0;

        address = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (address == MAP_FAILED)
                return -errno;

        if (madvise(address, size, MADV_POPULATE_READ) < 0)
                r = errno == EFAULT ? -ENOMEM : -errno;

        (void) munmap(address, size);
        return r;
}

int memory_allocate(int fd, off_t size) {
        int flags;

        if (size == 0)
                return 0;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0)
                return -errno;
        if ((flags & O_ACCMODE) == O_RDONLY)
                return allocate_by_reading(fd, (size_t) size);

        while (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size) < 0)
                if (errno != EINTR)
                        return -errno;

        return 0;
}

/*
 * LUO restores into files that vm.memfd_noexec says nothing about. Where it forbids MFD_EXEC (EACCES, with 2), and
 * before Linux 6.3 (EINVAL), the file is what memfd_create(2) makes without a say. For a file that was of a tmpfs, and
 * so has F_SEAL_SEAL only, there is libluo's own way.
 */
static int make_memfd(int seals) {
        int fd;

        fd = memfd_create("", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
        if (fd < 0 && errno == EACCES && seals == F_SEAL_SEAL)
                return libluo_memfd_new("", 0, 0);
        if (fd < 0 && (errno == EINVAL || errno == EACCES))
                fd = memfd_create("", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        return fd >= 0 ? fd : -errno;
}

/* As LUO does it: all may do everything, but for what the seals that the file had forbid. */
static int restore_mode_and_seals(int fd, int seals) {
        int present;

        present = fcntl(fd, F_GET_SEALS);
        if (present < 0)
                return -errno;

        /* A file that had to be made with F_SEAL_EXEC cannot get its x bits, but can get the seals that come of both */
        if (fchmod(fd, present & F_SEAL_EXEC_VALUE ? 0666 : 0777) < 0)
                return -errno;
        if (present & seals & F_SEAL_EXEC_VALUE)
                seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;

        seals &= ~present;
        return seals != 0 && fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

static int copy_content(int from, int to, off_t size) {
        off_t done = 0;
        char *buffer;
        int r = 0;

        buffer = malloc(COPY_SIZE);
        if (!buffer)
                return -ENOMEM;

        while (done < size) {
                size_t wanted = size - done < COPY_SIZE ? (size_t) (size - done) : COPY_SIZE;
                ssize_t n;

                n = pread(from, buffer, wanted, done);
                if (n > 0)
                        n = pwrite(to, buffer, (size_t) n, done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        /* A preserved file does not get shorter */
                        r = n < 0 ? -errno : -EIO;
                        break;
                }

                done += n;
        }

        free(buffer);
        return r;
}

/*
 * What was stored for writing only has to be read. Its mode may keep even the owner out: it is changed for a moment,
 * when no process is left that could see it.
 */
static int open_for_reading(int fd) {
        struct stat st;
        int r;

        r = libluo_internal_open_link(fd, O_RDONLY);
        if (r != -EACCES || fstat(fd, &st) < 0 || fchmod(fd, (st.st_mode & 07777) | 0600) < 0)
                return r;

        r = libluo_internal_open_link(fd, O_RDONLY);
        if (fchmod(fd, st.st_mode & 07777) < 0) {
                close_fd(r);
                return -EACCES;
        }

        return r;
}

int memory_copy(int fd, off_t size, int seals, off_t offset) {
        int flags, from = fd, to, r;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0)
                return -errno;

        if ((flags & O_ACCMODE) == O_WRONLY)
                from = open_for_reading(fd);
        if (from < 0)
                return from;

        to = make_memfd(seals);
        r = to < 0 ? to : copy_content(from, to, size);
        if (from != fd)
                close_fd(from);
        if (r < 0)
                goto fail;

        r = lseek(to, offset, SEEK_SET) < 0 ? -errno : restore_mode_and_seals(to, seals);
        if (r < 0)
                goto fail;

        return to;

fail:
        close_fd(to);
        return r;
}
