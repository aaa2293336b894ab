/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/vfs.h>

#include "internal.h"

/* What memfd_luo_preserve() of mm/memfd_luo.c takes: F_SEAL_SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE and EXEC */
#define KNOWN_SEALS UINT32_C(0x3f)

/*
 * 1 if LUO keeps the file, 0 if not, or -EAGAIN if that cannot be found out. While it does, fallocate(2) fails with
 * EPERM before it does anything (SHMEM_F_MAPPING_FROZEN of mm/shmem.c), so ask for something that leaves the content
 * as it is, whoever writes to the file meanwhile: to make a hole where no file can have anything, or, where seals
 * forbid holes, to allocate what is allocated, which the seals keep so.
 */
static int is_preserved(int fd, mode_t mode_bits, uint32_t seals) {
        int own_fd, r, mode = FALLOC_FL_KEEP_SIZE, lease;
        off_t offset;

        /* fallocate(2) clears these, for whoever lacks a capability */
        if (mode_bits & (S_ISUID | S_ISGID))
                return -EAGAIN;

        /* Opening it would break the lease, and the signal that says so may be the end of who holds it */
        lease = fcntl(fd, F_GETLEASE);
        if (lease == F_RDLCK || lease == F_WRLCK)
                return -EAGAIN;

        own_fd = libluo_internal_open_link(fd, O_RDWR | O_NONBLOCK);
        if (own_fd == -EMFILE || own_fd == -ENFILE)
                return own_fd;
        if (own_fd < 0)
                return -EAGAIN;

        if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
                offset = lseek(own_fd, 0, SEEK_DATA);
        else {
                mode |= FALLOC_FL_PUNCH_HOLE;
                offset = INT64_MAX - 1;
        }

        if (offset < 0) /* sealed, and nothing is allocated */
                r = -EAGAIN;
        else if (RETRY(fallocate(own_fd, mode, offset, 1)) >= 0)
                r = 0;
        else
                r = errno == EPERM ? 1 : -EAGAIN;

        close_fd(own_fd);
        return r;
}

static int preflight(int fd, libluo_preflight *p) {
        uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE), pages = 0;
        struct statfs sfs;
        struct stat st;
        int flags, seals, r;

        /* The kernel does not see what was opened with O_PATH */
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || flags & O_PATH)
                return -EBADF;
        p->certain = 1;

        /* What has no seals is no file of memory, and may be on a server that does not answer */
        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0) {
                r = libluo_fd_is_session(fd);
                if (r == -ENOSYS)
                        p->certain = 0;
                p->verdict = r > 0 ? LIBLUO_VERDICT_SESSION : LIBLUO_VERDICT_TYPE;
                p->error = EOPNOTSUPP;
                return 0;
        }

        if (fstat(fd, &st) < 0 || fstatfs(fd, &sfs) < 0)
                return -EPROTO;
        p->size = (uint64_t) st.st_size;
        p->allocated = (uint64_t) st.st_blocks * 512; /* the unit of st_blocks, stat(3type) */

        if ((uint32_t) sfs.f_type == HUGETLBFS_MAGIC_VALUE)
                p->verdict = LIBLUO_VERDICT_HUGETLB;
        else if (!S_ISREG(st.st_mode))
                p->verdict = LIBLUO_VERDICT_TYPE;
        else if (st.st_nlink > 0)
                p->verdict = LIBLUO_VERDICT_NAMED;
        if (p->verdict != LIBLUO_VERDICT_FINE) {
                p->error = EOPNOTSUPP;
                return 0;
        }

        p->sparse_cost = libluo_internal_holes_cost(&st);

        if ((uint32_t) seals & F_SEAL_EXEC_VALUE)
                p->losses |= LIBLUO_LOSS_WRITING;

        /* In the order in which the kernel checks */
        pages = p->size / page + (p->size % page > 0);
        r = is_preserved(fd, st.st_mode, (uint32_t) seals);
        if (r == -EMFILE || r == -ENFILE)
                return r;
        p->certain = r >= 0;
        if (r > 0) {
                p->verdict = LIBLUO_VERDICT_PRESERVED;
                p->error = EBUSY;
                p->sparse_cost = 0;
        } else if ((uint32_t) seals & ~KNOWN_SEALS) {
                p->verdict = LIBLUO_VERDICT_SEAL;
                p->error = EOPNOTSUPP;
                p->unknown_seals = (uint32_t) seals & ~KNOWN_SEALS;
        } else if (pages > LUO_PAGES_MAX) {
                p->verdict = LIBLUO_VERDICT_TOO_LARGE;
                p->error = EFBIG;
        } else if (libluo_internal_holes_fit(fd, &st) < 0) {
                p->verdict = LIBLUO_VERDICT_HOLES;
                p->error = EOVERFLOW;
        }

        return 0;
}

LIBLUO_PUBLIC int libluo_fd_preflight(int fd, libluo_preflight *ret_preflight, size_t preflight_size) {
        libluo_preflight p = {};
        int r;

        if (!ret_preflight)
                return -EINVAL;

        r = preflight(fd, &p);
        if (r < 0)
                return r;

        copy_sized(ret_preflight, preflight_size, &p, sizeof(p));
        return 0;
}

LIBLUO_PUBLIC const char *libluo_verdict_to_string(libluo_verdict verdict) {
        switch (verdict) {
        case LIBLUO_VERDICT_FINE:
                return "it can be preserved";
        case LIBLUO_VERDICT_TYPE:
                return "files of this type cannot be preserved, only memfds and files of tmpfs without a name";
        case LIBLUO_VERDICT_SESSION:
                return "it is a LUO session, which cannot be preserved in another";
        case LIBLUO_VERDICT_NAMED:
                return "it is a file of tmpfs that still has a name";
        case LIBLUO_VERDICT_HUGETLB:
                return "it is a memfd of huge pages";
        case LIBLUO_VERDICT_SEAL:
                return "it has a seal that LUO does not know";
        case LIBLUO_VERDICT_PRESERVED:
                return "it is preserved already";
        case LIBLUO_VERDICT_TOO_LARGE:
                return "it is too large";
        case LIBLUO_VERDICT_HOLES:
                return "it has holes, which the kernel fills, and that needs more memory than is available";
        default:
                return "unknown verdict";
        }
}
