/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIBLUO_H
#define LIBLUO_H

/*
 * libluo - file descriptors that live through a kexec, by the kernel's Live Update Orchestrator (LUO)
 *
 * LUO keeps kernel objects (memfds today) across a kexec in named sessions. This header wraps its device,
 * /dev/liveupdate, and its sessions, and adds bundles: sessions that describe themselves.
 *
 * Lifetime. A session's file descriptor is the session, and closing it is an action:
 *   - closing an outgoing session (created in this kernel) un-preserves everything in it. It has to be open at the
 *     kexec system call for anything to survive.
 *   - closing an incoming session (retrieved from the previous kernel) finishes it: every file descriptor not
 *     retrieved until then is freed for good.
 *
 * Ownership. Functions that return a file descriptor give it to the caller, who closes it; it has O_CLOEXEC set.
 * File descriptors passed in are borrowed: libluo neither closes nor keeps them, unless a function says so.
 *
 * Errors. Functions return a negative errno on failure, outputs come last and are untouched on failure. The set is
 * closed: what each function lists, and these, which every function may return:
 *   -EBADF   a file descriptor passed in is not open
 *   -EFAULT, -EINVAL  an argument is wrong; the comment at the function says what is right
 *   -ENOMEM  out of memory (of this process, or of the kernel)
 *   -EPROTO  the kernel answered with something that libluo does not know
 * libluo_strerror() says in a sentence what an error means here, which is often not what strerror(3) says.
 *
 * Threads. Nothing is global. Different objects may be used by different threads at the same time; one object by one
 * thread at a time. LUO itself may be used by any number of threads.
 *
 * Kernel facts are from kernel/liveupdate/ and mm/memfd_luo.c of Linux 7.3 and apply to 6.19 and later, unless said
 * otherwise.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Session names are 1 to 63 bytes long (LIVEUPDATE_SESSION_NAME_LENGTH of <linux/liveupdate.h>, less the NUL). */
#define LIBLUO_SESSION_NAME_MAX 63

/* Before Linux 7.2 names longer than this cannot be read back from a session. */
#define LIBLUO_SESSION_NAME_READABLE_MAX 38

/* The name of the session that systemd's PID 1 keeps, and the prefix of those it keeps for units. Leave them alone. */
#define LIBLUO_SESSION_SYSTEMD "systemd"
#define LIBLUO_SESSION_UNIT_PREFIX "fds-"

/*
 * libluo_version(): the version of the library in use, as "1.2.3". A static string. Since 0.1.
 */
const char *libluo_version(void);

/*
 * libluo_strerror(): what an error of this library means, as a sentence without a full stop. Takes the negative (or
 * positive) errno; always returns a static string, never NULL. Since 0.1.
 */
const char *libluo_strerror(int error);

/* ------------------------------------------------------------------------------------------------ the device ---- */

/*
 * libluo_device_open(): opens /dev/liveupdate. Since 0.1.
 *
 * Only one process at a time can have the device open: hold it for one operation, never for long. Where somebody else
 * has it, this waits up to busy_timeout_usec microseconds (0: do not wait) for its release. The first open after a
 * kexec makes the kernel read what its predecessor left.
 *
 * Returns a file descriptor that the caller closes, or
 *   -ENODEV  the kernel has no LUO, or it is off (kernel command line: kho=on liveupdate=on)
 *   -EACCES  not permitted
 *   -EBUSY   the device was in use all that time
 *   -EIO     the kernel cannot read what its predecessor left; every open gives this until the next boot
 *   -EMFILE, -ENFILE  too many open files
 */
int libluo_device_open(uint64_t busy_timeout_usec);

/* What a kernel's LUO can do beyond that of Linux 6.19. */
#define LIBLUO_FEATURE_SESSION_GET_NAME                                                                      \
        (UINT64_C(1) << 0) /* names by ioctl, and no limits on counts: Linux 7.2 */

/*
 * libluo_device_probe(): finds out what the kernel's LUO can do, by trying, never by its version. Makes an empty
 * session for a moment. *ret_features gets LIBLUO_FEATURE_ flags. Since 0.1.
 *
 * Returns 0, or -EMEDIUMTYPE (not the device), -EBUSY (somebody holds a session of the name used for probing),
 * -ENOSPC, -EMFILE, -ENFILE.
 */
int libluo_device_probe(int device_fd, uint64_t *ret_features);

/* ----------------------------------------------------------------------------------------------- sessions ---- */

/*
 * libluo_session_name_is_valid(): 1 if LUO takes the name for a session, 0 if not (NULL, empty, too long). Since 0.1.
 */
int libluo_session_name_is_valid(const char *name);

/*
 * libluo_session_create(): makes an outgoing session. Since 0.1.
 *
 * Returns its file descriptor, to be kept open until the kexec, or
 *   -EINVAL        the name is empty
 *   -ENAMETOOLONG  the name is over LIBLUO_SESSION_NAME_MAX bytes; it is never cut
 *   -EEXIST        there is an outgoing session of that name
 *   -EMEDIUMTYPE   device_fd is not the device
 *   -ENOSPC        no room for another session (before Linux 7.2: some hundreds)
 *   -EMFILE, -ENFILE  too many open files
 */
int libluo_session_create(int device_fd, const char *name);

/*
 * libluo_session_retrieve(): takes an incoming session over from the previous kernel. Since 0.1.
 *
 * Costs next to nothing: no content is touched. Returns its file descriptor, or
 *   -EINVAL        the name is empty
 *   -ENAMETOOLONG  the name is over LIBLUO_SESSION_NAME_MAX bytes
 *   -ENOENT        the previous kernel left no session of that name, or it was finished since
 *   -EBUSY         somebody has retrieved it and has it open
 *   -EMEDIUMTYPE   device_fd is not the device
 *   -EMFILE, -ENFILE  too many open files
 */
int libluo_session_retrieve(int device_fd, const char *name);

/*
 * libluo_session_preserve(): puts a file descriptor into an outgoing session, under a token of the caller's choice.
 * Since 0.1.
 *
 * The kernel takes a reference of its own: fd may be closed afterwards. From here on the size is frozen, holes of the
 * file are allocated, and its pages can still be written until the kexec. Returns 0, or
 *   -EEXIST       the token is in use in this session
 *   -EBUSY        the same file (inode) is preserved already, in this or another session, perhaps by another fd; or it
 *                 was retrieved from a session that is not finished yet
 *   -EOPNOTSUPP   this type of file cannot be preserved, nor can one with a seal that the kernel's LUO does not know
 *   -EFBIG        the file is too large
 *   -EBADFD       the session is incoming
 *   -EMEDIUMTYPE  session_fd is not a session
 *   -ENOSPC       no room in the session (before Linux 7.2: about 128 files)
 *   -ENOSYS       as for libluo_session_get_name()
 */
int libluo_session_preserve(int session_fd, int fd, uint64_t token);

/*
 * libluo_session_retrieve_fd(): takes the file preserved under a token out of an incoming session. Since 0.1.
 *
 * The first retrieve does the work, and charges the memory to the control group of the calling process; later ones
 * give further references to the same file. A retrieve that does not fit into a control group's memory limit destroys
 * the content: find out before. A memfd comes back with its content, size, seals and offset; its access mode is always
 * read-write, its mode 0777, its owner the process that retrieves it first. One made with MFD_NOEXEC_SEAL is an exception:
 * its x bits are set and sealed, and with them the kernel (mm/memfd.c) sets all write seals, so that it cannot be written
 * any more. Returns the file descriptor, or
 *   -ENOENT       the session has no such token
 *   -EBADFD       the session is outgoing
 *   -EMEDIUMTYPE  session_fd is not a session
 *   -EIO          the kernel could not restore the file (all later tries give the same)
 *   -EOPNOTSUPP   the file was preserved with a seal that this kernel's LUO does not know
 *   -ENOSYS       as for libluo_session_get_name()
 *   -EMFILE, -ENFILE  too many open files
 */
int libluo_session_retrieve_fd(int session_fd, uint64_t token);

/*
 * libluo_session_finish(): ends an incoming session: what was retrieved belongs to this kernel alone and may be
 * preserved again, what was not retrieved is freed for good. The file descriptor stays open, and empty. Since 0.1.
 *
 * Returns 0, or
 *   -EBUSY        a file in it cannot be finished yet
 *   -EBADFD       the session is outgoing
 *   -EMEDIUMTYPE  session_fd is not a session
 *   -ENOSYS       as for libluo_session_get_name()
 */
int libluo_session_finish(int session_fd);

/*
 * libluo_session_get_name(): reads the name of a session, of either direction, with its NUL, into ret_name. Since 0.1.
 *
 * Returns 0, or
 *   -EMEDIUMTYPE   fd is not a session
 *   -ENAMETOOLONG  the kernel is older than 7.2 and the name over LIBLUO_SESSION_NAME_READABLE_MAX bytes
 *   -ENOSYS        the kernel is older than 7.2 and /proc is not mounted
 */
int libluo_session_get_name(int fd, char ret_name[LIBLUO_SESSION_NAME_MAX + 1]);

/*
 * libluo_fd_is_session(): 1 if fd is a LUO session, 0 if it is something else. Since 0.1. Returns -ENOSYS as above.
 */
int libluo_fd_is_session(int fd);

/* ------------------------------------------------------------------------------------------------ bundles ---- */

/*
 * A bundle is a session that describes itself: token 0 holds an index (a sealed memfd, see docs/format.md) with an
 * entry for each file descriptor: its name, its token, and what the kernel does not keep.
 */
typedef struct libluo_bundle libluo_bundle;

/* The longest name of an entry, the same as for FDNAME= of systemd. */
#define LIBLUO_ENTRY_NAME_MAX 255

/* How many entries a bundle can have. */
#define LIBLUO_BUNDLE_ENTRIES_MAX (1U << 20)

/* Flags of an entry. */
#define LIBLUO_ENTRY_NO_POLL (UINT32_C(1) << 0) /* FDPOLL=0: do not drop the entry on EPOLLHUP or EPOLLERR */

/*
 * libluo_bundle_new(): starts a bundle in an empty outgoing session, which is borrowed for as long as the bundle
 * exists. Since 0.1. Returns 0, or -EBADFD (the session is incoming), -EMEDIUMTYPE (not a session), or -ENOSYS as for
 * libluo_session_get_name(). That it has a token 0 already is found out when the bundle is written.
 */
int libluo_bundle_new(int session_fd, libluo_bundle **ret_bundle);

/*
 * libluo_bundle_add(): preserves a file descriptor as the next entry, and notes its access mode, append flag, offset,
 * mode and owner. name is printable ASCII without ":", up to LIBLUO_ENTRY_NAME_MAX bytes, not necessarily unique;
 * flags are LIBLUO_ENTRY_ flags. Since 0.1.
 *
 * Where the file cannot be preserved, the entry is made all the same, marked as lost with the reason, so that the
 * reader knows what is missing; the error is returned and the bundle remains usable. Returns 0, or the errors of
 * libluo_session_preserve() (entry made, marked as lost), or, with no entry made,
 *   -EINVAL  the name or a flag is not valid, or the bundle is not one being built
 *   -E2BIG   the bundle has LIBLUO_BUNDLE_ENTRIES_MAX entries
 *   -ENOMEM  libluo_bundle_count() tells whether this came before or after the entry was made
 */
int libluo_bundle_add(libluo_bundle *bundle, int fd, const char *name, uint32_t flags);

/*
 * libluo_bundle_write(): preserves the index, at token 0. To be called once, when all is added; without it the
 * session is not a bundle. Since 0.1. Returns 0, the errors of libluo_session_preserve() (-EEXIST: the session has a
 * token 0 already), -EMFILE, -ENFILE, or -EINVAL if the bundle is not one being built or was written before.
 */
int libluo_bundle_write(libluo_bundle *bundle);

/*
 * libluo_bundle_open(): reads the index of an incoming session, which is borrowed for as long as the bundle exists. No
 * entry is touched. Since 0.1. Returns 0, the errors of libluo_session_retrieve_fd(), or
 *   -ENOENT           the session has no token 0: it is not a bundle
 *   -EBADMSG          the index is damaged
 *   -EPROTONOSUPPORT  the index was written by a later version and uses a feature this one does not know
 */
int libluo_bundle_open(int session_fd, libluo_bundle **ret_bundle);

/* What is known of an entry. More fields may come: allocate it by name, and pass its size where a call asks for it. */
typedef struct libluo_entry {
        const char *name; /* belongs to the bundle */
        uint64_t token;   /* 0 if lost */
        int lost;         /* why the file could not be preserved (a positive errno), or 0 */
        uint32_t flags;   /* LIBLUO_ENTRY_ flags */
        int open_flags;   /* O_RDONLY, O_WRONLY or O_RDWR, and perhaps O_APPEND */
        mode_t mode;      /* permission bits */
        uid_t uid;
        gid_t gid;
        uint64_t offset;    /* of the preserved file description, in bytes */
        uint64_t size;      /* bytes */
        uint64_t allocated; /* bytes of memory in use when it was preserved, holes not counted */
} libluo_entry;

/*
 * libluo_bundle_count(): how many entries the bundle has, lost ones included. Since 0.1.
 */
size_t libluo_bundle_count(const libluo_bundle *bundle);

/*
 * libluo_bundle_get(): describes entry i, counted from 0 in the order in which they were added. Fills at most
 * entry_size bytes of *ret_entry; pass sizeof(libluo_entry). Since 0.1. Returns 0 or -EINVAL (no such entry).
 */
int libluo_bundle_get(const libluo_bundle *bundle, size_t i, libluo_entry *ret_entry, size_t entry_size);

/*
 * libluo_bundle_take(): retrieves entry i of an opened bundle, with the access mode, append flag, offset, mode and
 * owner that it had when it was preserved. Never gives more access than that: where it cannot be restored, the call
 * fails. The exception are the x bits of a memfd made with MFD_NOEXEC_SEAL, see libluo_session_retrieve_fd(). Since 0.1. Returns a file descriptor, the errors of libluo_session_retrieve_fd(), or
 *   -EINVAL   no such entry, or the bundle is not an opened one
 *   -ENODATA  the entry was lost on the other side; see libluo_entry.lost
 *   -EACCES   owner, mode or access mode could not be restored
 *   -ENOSYS   the access mode could not be restored because /proc is not mounted
 */
int libluo_bundle_take(libluo_bundle *bundle, size_t i);

/*
 * libluo_bundle_free(): frees a bundle. The session is not touched. NULL is fine. Returns NULL. Since 0.1.
 */
libluo_bundle *libluo_bundle_free(libluo_bundle *bundle);

#ifdef __cplusplus
}
#endif

#endif /* LIBLUO_H */
