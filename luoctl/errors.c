/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <sys/vfs.h>

#include <libluo.h>

#include "errors.h"
#include "kernel.h"
#include "luoctl.h"

/* Where libluo_strerror() cannot know which of several reasons holds */
static const struct {
        enum call call;
        int error;
        const char *reason;
} reasons[] = {
        { CALL_CREATE, EEXIST, "there is an outgoing session of this name already" },
        { CALL_CREATE, ENOSPC, "the kernel has no room for another session" },
        { CALL_RETRIEVE, ENOENT, "the previous system left no session of this name" },
        { CALL_RETRIEVE, EBUSY, "another process has this session open" },
        { CALL_PRESERVE, EBADFD, "the session came from the previous system, and takes nothing any more" },
        { CALL_PRESERVE, EBUSY, "LUO has the file already" },
        { CALL_PRESERVE, EEXIST, "the token is taken in this session" },
        { CALL_PRESERVE, EOPNOTSUPP, "the kernel cannot preserve this file" },
        { CALL_RETRIEVE_FD, EBADFD,
                "the session goes into the next system, and has nothing from the previous one" },
        { CALL_RETRIEVE_FD, EIO, "the kernel could not restore the file" },
        { CALL_RETRIEVE_FD, ENOENT, "the session has no such token" },
        { CALL_RETRIEVE_FD, EOPNOTSUPP, "the file has a seal that this kernel's LUO does not know" },
        { CALL_FINISH, EBADFD, "the session goes into the next system: there is nothing to finish" },
        { CALL_FINISH, EBUSY, "a file in it cannot be finished yet" },
        { CALL_BUNDLE, EBADFD,
                "the session goes into the next system, and has nothing from the previous one" },
        { CALL_BUNDLE, EBADMSG, "the index of the bundle is damaged" },
        { CALL_BUNDLE, EIO, "the kernel could not restore the index of the bundle" },
        { CALL_BUNDLE, ENOENT, "the session has no bundle" },
        { CALL_BUNDLE, EPROTONOSUPPORT,
                "the index of the bundle uses a feature that this version of libluo does not know" },
        { CALL_INDEX, EBADMSG, "the index is damaged" },
        { CALL_INDEX, EPROTONOSUPPORT, "the index uses a feature that this version of libluo does not know" },
        { CALL_TAKE, EACCES, "the mode of the file keeps this process from opening it as it was open" },
        { CALL_TAKE, EIO, "the kernel could not restore the file" },
        { CALL_TAKE, ENODATA, "the previous system could not preserve the file" },
        { CALL_TAKE, EOPNOTSUPP, "the file has a seal that this kernel's LUO does not know" },
        { CALL_STORE, EACCES,
                "this process may not open the file anew, which storing it takes: by its mode and owner, or another "
                "rule" },
        { CALL_STORE, EBADR, "$LISTEN_FDNAMES has not as many names as there are in $LISTEN_FDS" },
        { CALL_COPY, EACCES,
                "vm.memfd_noexec forbids memfds that can be written, and /dev/shm takes no files" },
        { CALL_COPY, EFBIG, "it is over the limit of file sizes (LimitFSIZE=)" },
        { CALL_OPEN_SESSION, ENOSPC, "the kernel has no room for another session" },
        { CALL_OPEN_SESSION, EINVAL, "the name is not valid" },
        { CALL_OPEN_SESSION, ENOBUFS,
                "the service manager does not take the session into the fd store: FileDescriptorStoreMax= of the unit "
                "is too low, or NotifyAccess= keeps this process from it" },
        { CALL_STORE, EEXIST, "this open file is stored under another name" },
        { CALL_STORE, EISNAM, "what is stored under this name is not data that can be read" },
        { CALL_STORE, ENOENT, "nothing is stored under this name" },
        { CALL_STORE, ENOBUFS, "the service manager does not take it, see \"store put\" in luoctl(1)" },
};

static bool read_meminfo(const char *key, uint64_t *ret) {
        char line[128];
        bool found = false;
        FILE *f;

        f = open_below("", "/proc/meminfo");
        if (!f)
                return false;

        while (!found && fgets(line, sizeof(line), f))
                if (strncmp(line, key, strlen(key)) == 0)
                        found = sscanf(line + strlen(key), "%" SCNu64, ret) == 1;
        (void) fclose(f);
        if (found)
                *ret *= 1024;
        return found;
}

const char *error_reason(enum call call, int error) {
        for (size_t i = 0; i < ELEMENTS(reasons); i++)
                if (reasons[i].call == call && reasons[i].error == -error)
                        return reasons[i].reason;

        return call == CALL_COPY ? strerror(-error) : libluo_strerror(error);
}

/* Whether the holes of a file are what there is no room for. Returns the reason, or NULL. */
static const char *holes_reason(int fd, uint64_t cost) {
        uint64_t limit, committed;
        struct statfs sfs;
        char line[16];

        /* The kernel's own tmpfs, that of memfds, has no limit: its number of blocks is 0 */
        if (fstatfs(fd, &sfs) >= 0 && sfs.f_blocks > 0 && cost > sfs.f_bavail * (uint64_t) sfs.f_bsize)
                return "the tmpfs of the file has no room for its holes";
        if (read_line_below("", "/proc/sys/vm/overcommit_memory", line, sizeof(line)) && *line == '2' &&
                read_meminfo("CommitLimit:", &limit) && read_meminfo("Committed_AS:", &committed) &&
                (committed >= limit || cost > limit - committed))
                return "vm.overcommit_memory=2 permits no memory for the holes of the file";

        return NULL;
}

const char *preserve_reason(int fd, int error) {
        const char *reason = NULL;
        libluo_preflight p;

        if ((error != -EBUSY && error != -ENOSPC) || libluo_fd_preflight(fd, &p, sizeof(p)) < 0)
                return error_reason(CALL_PRESERVE, error);

        if (error == -ENOSPC) {
                if (p.sparse_cost > 0)
                        reason = holes_reason(fd, p.sparse_cost);
                return reason ? reason : "the session has no room for another file";
        }
        if (p.verdict == LIBLUO_VERDICT_PRESERVED)
                return "the file is preserved already";
        if (p.verdict == LIBLUO_VERDICT_FINE && p.certain)
                return "the file came from a session that is not finished yet";
        return error_reason(CALL_PRESERVE, error);
}

const char *copy_advice(libluo_verdict verdict) {
        return verdict == LIBLUO_VERDICT_SESSION ? "" : "; --memfd preserves a copy";
}
