/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdlib.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "internal.h"

/* <linux/memfd.h>, Linux 6.3 */
#define MFD_NOEXEC_SEAL_VALUE 0x0008U
#define MFD_EXEC_VALUE 0x0010U

/* What memfd_create(2) takes; the other ways to such a file take any */
#define MEMFD_NAME_MAX 249

#define TMPFS_MAGIC_VALUE 0x01021994 /* <linux/magic.h> */

/* A file of tmpfs without a name: for LUO the same as a memfd, but that it cannot be sealed. */
static int open_unnamed(void) {
        struct statfs sfs;
        int fd;

        fd = RETRY(open("/dev/shm", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600));
        if (fd < 0)
                return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -EACCES;
        if (fstatfs(fd, &sfs) < 0 || sfs.f_type != TMPFS_MAGIC_VALUE) {
                close_fd(fd);
                return -EACCES;
        }

        return fd;
}

/*
 * A file that was made with MFD_NOEXEC_SEAL, as all are that ask for nothing else where vm.memfd_noexec=1, cannot be
 * written any more when LUO has restored it. So ask for MFD_EXEC, which vm.memfd_noexec=2 refuses.
 */
static int make(const char *name, unsigned flags) {
        int fd;

        fd = memfd_create(name, flags | MFD_EXEC_VALUE);
        if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
                fd = memfd_create(name, flags);
        if (fd >= 0)
                return fd;
        if (errno != EACCES)
                return LUO_CLOSED_SET(-errno, EINVAL, EMFILE, ENFILE, ENOMEM);
        if (!(flags & MFD_ALLOW_SEALING))
                return open_unnamed();

        /* What can be sealed is not for being written after the kexec */
        fd = memfd_create(name, flags | MFD_NOEXEC_SEAL_VALUE);
        return fd >= 0 ? fd : LUO_CLOSED_SET(-errno, EMFILE, ENFILE, ENOMEM);
}

/* Going beyond it would be the end of this process, by SIGXFSZ */
static int check_file_size(uint64_t size) {
        struct rlimit limit;

        return size > INT64_MAX || (getrlimit(RLIMIT_FSIZE, &limit) >= 0 && size > limit.rlim_cur) ? -EFBIG
                                                                                                   : 0;
}

LIBLUO_PUBLIC int libluo_memfd_new(const char *name, uint64_t size, uint32_t flags) {
        int fd, r;

        if (!name || strnlen(name, MEMFD_NAME_MAX + 1) > MEMFD_NAME_MAX || flags & ~LIBLUO_MEMFD_SEALABLE)
                return -EINVAL;

        r = check_file_size(size);
        if (r < 0)
                return r;

        fd = make(name, MFD_CLOEXEC | (flags & LIBLUO_MEMFD_SEALABLE ? MFD_ALLOW_SEALING : 0));
        if (fd < 0)
                return fd;

        if (size > 0 && RETRY(ftruncate(fd, (off_t) size)) < 0) {
                close_fd(fd);
                return -ENOMEM;
        }

        return fd;
}

int libluo_internal_sealed_memfd(const char *name, const void *data, size_t size) {
        const uint8_t *p = data;
        int fd, r;

        r = check_file_size(size);
        if (r < 0)
                return r;

        fd = libluo_memfd_new(name, 0, LIBLUO_MEMFD_SEALABLE);
        if (fd < 0)
                return fd;

        while (size > 0) {
                ssize_t n;

                n = RETRY(write(fd, p, size));
                if (n < 0) {
                        /* What else there is says in one way or another that there is no memory */
                        r = errno == EFAULT || errno == EFBIG ? -errno : -ENOMEM;
                        goto fail;
                }

                p += n;
                size -= (size_t) n;
        }

        /* Whoever gets this very open file reads it from its start */
        if (lseek(fd, 0, SEEK_SET) < 0 ||
                RETRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) < 0) {
                r = -EPROTO;
                goto fail;
        }

        return fd;

fail:
        close_fd(fd);
        return r;
}
