/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <limits.h>
#include <stdlib.h>

#include "internal.h"
#include "version.h"

LIBLUO_PUBLIC const char *libluo_version(void) {
        return LIBLUO_VERSION;
}

/* An errno alone does not say which of its reasons holds: where there are several, the text is what is true of all. */
LIBLUO_PUBLIC const char *libluo_strerror(int error) {
        /* There is no positive number to the lowest one */
        switch (error == INT_MIN ? error : abs(error)) {
        case 0:
                return "success";
        case E2BIG:
                return "the bundle is too large";
        case EACCES:
                return "permission denied";
        case EAGAIN:
                return "the file is in use in a way that keeps it from being opened now";
        case EAFNOSUPPORT:
                return "the service manager's socket ($NOTIFY_SOCKET) cannot be used here";
        case EBADF:
                return "the file descriptor is open neither for reading nor for writing";
        case EBADFD:
                return "the session has the wrong direction (outgoing ones preserve, incoming ones retrieve)";
        case EBADMSG:
                return "what is to be read is damaged";
        case EBADR:
                return "the file descriptors that were passed are not as $LISTEN_FDS and $LISTEN_FDNAMES say";
        case EBUSY:
                return "it is in use already";
        case ECOMM:
                return "talking to the service manager failed";
        case EEXIST:
                return "it is there already";
        case EFAULT:
                return "an address passed to the kernel is not accessible";
        case EFBIG:
                return "the file is too large";
        case EINVAL:
                return "an argument is not valid";
        case EIO:
                return "the kernel cannot restore what its predecessor left";
        case EISNAM:
                return "what is stored under this name is not of the kind that is asked for";
        case ELOOP:
                return "a bundle that others share cannot refer to a further one";
        case EMEDIUMTYPE:
                return "the file descriptor is of another kind than is needed here";
        case EMFILE:
        case ENFILE:
                return "too many open files";
        case ENAMETOOLONG:
                return "the session name is too long";
        case ENOBUFS:
                return "the service manager does not take it into the fd store";
        case ENODATA:
                return "the file could not be preserved by the previous system";
        case ENODEV:
                return "the kernel has no Live Update Orchestrator (Linux 6.19, and kho=on liveupdate=on)";
        case ENOENT:
                return "what was asked for is not there";
        case ENOLINK:
                return "the file is in a shared session that was not given";
        case ENOMEDIUM:
                return "the service manager says of no fd store ($FDSTORE is not set); "
                       "set FileDescriptorStoreMax= of the unit";
        case ENOMEM:
                return "there is no memory for it";
        case ENOSPC:
                return "there is no room for it";
        case ENOSYS:
                return "/proc is not mounted";
        case ENOTCONN:
                return "there is no service manager to talk to ($NOTIFY_SOCKET is not set)";
        case EOPNOTSUPP:
                return "the kernel's LUO does not support this file";
        case EMSGSIZE:
                return "what is stored under this name has another size";
        case ENOTUNIQ:
                return "there are several under this name";
        case EOVERFLOW:
                return "filling the holes of the file, to preserve it, needs more memory than is available";
        case EPERM:
                return "this process may not restore the file as it was";
        case EPROTO:
                return "the kernel gave an answer that libluo does not know";
        case EROFS:
                return "what is stored under this name cannot be written";
        case ESTALE:
                return "what is stored under this name is of another version";
        case EPROTONOSUPPORT:
                return "what is to be read uses a feature that this version of libluo does not know";
        case ETIMEDOUT:
                return "the service manager did not answer in time";
        default:
                return "unknown error";
        }
}
