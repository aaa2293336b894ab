/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <libluo.h>

#include "errors.h"
#include "luoctl.h"

/* Only where libluo_strerror() has to name more than one reason */
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
        { CALL_PRESERVE, EBUSY, "the file is preserved already" },
        { CALL_PRESERVE, EEXIST, "the token is taken in this session" },
        { CALL_PRESERVE, ENOSPC, "the kernel has no room for another file, or for the holes of this one" },
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
        { CALL_STORE, EBADR, "$LISTEN_FDNAMES has not as many names as there are in $LISTEN_FDS" },
        { CALL_COPY, EACCES,
                "vm.memfd_noexec forbids memfds that can be written, and /dev/shm takes no files" },
        { CALL_OPEN_SESSION, EACCES,
                "not permitted: LiveUpdateSessionsMax= and NotifyAccess= of the unit, and who may open "
                "/dev/liveupdate" },
        { CALL_OPEN_SESSION, ENOSPC,
                "LiveUpdateSessionsMax= of the unit permits no further one, or the kernel" },
        { CALL_OPEN_SESSION, EINVAL, "the name is not valid" },
        { CALL_STORE, EEXIST, "this open file is stored under another name" },
        { CALL_STORE, EISNAM, "what is stored under this name is not data that can be read" },
        { CALL_STORE, ENOENT, "nothing is stored under this name" },
        { CALL_STORE, ENOBUFS, "the service manager does not take it, see \"store put\" in luoctl(1)" },
};

const char *error_reason(enum call call, int error) {
        for (size_t i = 0; i < ELEMENTS(reasons); i++)
                if (reasons[i].call == call && reasons[i].error == -error)
                        return reasons[i].reason;

        return call == CALL_COPY ? strerror(-error) : libluo_strerror(error);
}

const char *copy_advice(libluo_verdict verdict) {
        return verdict == LIBLUO_VERDICT_SESSION ? "" : "; --memfd preserves a copy";
}
