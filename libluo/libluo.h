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
 * closed: what each function lists, and nothing else. These mean the same wherever they are listed:
 *   -EBADF   a file descriptor passed in is not open, or open with O_PATH
 *   -EINVAL  an argument is NULL or empty that must not be, or is what the comment at the function says
 *   -EMFILE, -ENFILE  too many open files in this process, in the system
 *   -ENOMEM  out of memory (of this process, or of the kernel)
 *   -EPROTO  the kernel answered with something that libluo does not know
 * libluo_strerror() says in a sentence what an error means here, which is often not what strerror(3) says. The man page
 * of each function (man libluo_bundle_take, for example) says more.
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

/* The version of this header. LIBLUO_CHECK_VERSION(1, 2, 0) is true if it is that of libluo 1.2.0 or a later one. */
#define LIBLUO_VERSION_MAJOR 1
#define LIBLUO_VERSION_MINOR 0
#define LIBLUO_VERSION_MICRO 0
#define LIBLUO_CHECK_VERSION(major, minor, micro)                                                            \
        (LIBLUO_VERSION_MAJOR > (major) ||                                                                   \
                (LIBLUO_VERSION_MAJOR == (major) &&                                                          \
                        (LIBLUO_VERSION_MINOR > (minor) ||                                                   \
                                (LIBLUO_VERSION_MINOR == (minor) && LIBLUO_VERSION_MICRO >= (micro)))))

/*
 * libluo_version(): the version of the library in use, as "1.2.3". A static string.
 */
const char *libluo_version(void);

/*
 * libluo_strerror(): what an error of this library means, as a sentence without a full stop. Takes the negative (or
 * positive) errno; always returns a static string, never NULL.
 */
const char *libluo_strerror(int error);

/* ------------------------------------------------------------------------------------------------ the device ---- */

/*
 * libluo_device_open(): opens /dev/liveupdate.
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
 *   -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_device_open(uint64_t busy_timeout_usec);

/* What a kernel's LUO can do beyond that of Linux 6.19. */
#define LIBLUO_FEATURE_SESSION_GET_NAME                                                                      \
        (UINT64_C(1) << 0) /* names by ioctl, and no limits on counts: Linux 7.2 */

/*
 * libluo_device_probe(): finds out what the kernel's LUO can do, by trying, never by its version. Makes an empty
 * session for a moment. *ret_features gets LIBLUO_FEATURE_ flags.
 *
 * Returns 0, or
 *   -EBUSY        somebody has an outgoing session of the name used for probing, "libluo-probe"
 *   -EMEDIUMTYPE  device_fd is not the device
 *   -ENOSPC       no room for another session
 *   -EBADF, -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_device_probe(int device_fd, uint64_t *ret_features);

/* ----------------------------------------------------------------------------------------------- sessions ---- */

/*
 * libluo_session_name_is_valid(): 1 if LUO takes the name for a session, 0 if not (NULL, empty, too long).
 */
int libluo_session_name_is_valid(const char *name);

/*
 * libluo_session_create(): makes an outgoing session.
 *
 * Returns its file descriptor, to be kept open until the kexec, or
 *   -ENAMETOOLONG  the name is over LIBLUO_SESSION_NAME_MAX bytes; it is never cut
 *   -EEXIST        there is an outgoing session of that name
 *   -EMEDIUMTYPE   device_fd is not the device
 *   -ENOSPC        no room for another session
 *   -ENOMEM        also before Linux 7.2: no room for another session, there may be 744 of them
 *   -EBADF, -EINVAL, -EMFILE, -ENFILE, -EPROTO
 */
int libluo_session_create(int device_fd, const char *name);

/*
 * libluo_session_retrieve(): takes an incoming session over from the previous kernel.
 *
 * Costs next to nothing: no content is touched. Returns its file descriptor, or
 *   -ENAMETOOLONG  the name is over LIBLUO_SESSION_NAME_MAX bytes
 *   -ENOENT        the previous kernel left no session of that name, or it was finished since
 *   -EBUSY         somebody has retrieved it and has it open
 *   -EMEDIUMTYPE   device_fd is not the device
 *   -EBADF, -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_session_retrieve(int device_fd, const char *name);

/*
 * libluo_session_preserve(): puts a file descriptor into an outgoing session, under a token of the caller's choice.
 * The kernel takes a reference of its own: fd may be closed afterwards. From here on the size is frozen, holes of the
 * file are allocated, and its pages can still be written until the kexec. Returns 0, or
 *   -EEXIST       the token is in use in this session
 *   -EBUSY        the same file (inode) is preserved already, in this or another session, perhaps by another fd; or it
 *                 was retrieved from a session that is not finished yet
 *   -EOPNOTSUPP   this type of file cannot be preserved, nor can one with a seal that the kernel's LUO does not know
 *   -EFBIG        the file is too large
 *   -EBADFD       the session is incoming
 *   -EMEDIUMTYPE  session_fd is not a session
 *   -ENOSPC       no room in the session (before Linux 7.2: about 128 files), or no room for the file's holes: its
 *                 tmpfs is full, or the kernel may not commit more memory (vm.overcommit_memory=2)
 *   -ENOSYS       as for libluo_session_get_name()
 *   -EBADF        session_fd or fd is not open, or open with O_PATH
 *   -ENOMEM, -EPROTO
 */
int libluo_session_preserve(int session_fd, int fd, uint64_t token);

/*
 * libluo_session_retrieve_fd(): takes the file preserved under a token out of an incoming session. The first retrieve
 * charges the memory to the control group of the calling process: one that does not fit into its limit destroys the
 * content. Later ones give further references to the same file. A memfd comes back with content, size, seals and
 * offset; open for reading and writing, with mode 0777, and owned by who retrieves it first. One with F_SEAL_EXEC
 * cannot be written any more. Returns the file descriptor, or
 *   -ENOENT       the session has no such token
 *   -EBADFD       the session is outgoing
 *   -EMEDIUMTYPE  session_fd is not a session
 *   -EIO          the kernel could not restore the file (all later tries give the same)
 *   -EOPNOTSUPP   the file was preserved with a seal that this kernel's LUO does not know
 *   -ENOMEM       the memory could not be had, or may not be charged or committed; if it was the kernel's, the
 *                 content is lost, and all later tries give the same
 *   -ENOSYS       as for libluo_session_get_name()
 *   -EBADF, -EMFILE, -ENFILE, -EPROTO
 */
int libluo_session_retrieve_fd(int session_fd, uint64_t token);

/*
 * libluo_session_finish(): ends an incoming session: what was retrieved belongs to this kernel alone and may be
 * preserved again, what was not retrieved is freed for good. The file descriptor stays open, and empty.
 *
 * Returns 0, or
 *   -EBUSY        a file in it cannot be finished yet
 *   -EBADFD       the session is outgoing
 *   -EMEDIUMTYPE  session_fd is not a session
 *   -ENOSYS       as for libluo_session_get_name()
 *   -EBADF, -ENOMEM, -EPROTO
 */
int libluo_session_finish(int session_fd);

/*
 * libluo_session_get_name(): reads the name of a session, of either direction, with its NUL, into ret_name.
 *
 * Returns 0, or
 *   -EMEDIUMTYPE   fd is not a session
 *   -ENAMETOOLONG  the kernel is older than 7.2 and the name over LIBLUO_SESSION_NAME_READABLE_MAX bytes
 *   -ENOSYS        /proc, by which sessions are told from other files, is not mounted
 *   -EBADF, -EINVAL, -ENOMEM, -EPROTO
 */
int libluo_session_get_name(int fd, char ret_name[LIBLUO_SESSION_NAME_MAX + 1]);

/*
 * libluo_fd_is_session(): 1 if fd is a LUO session, 0 if it is something else, or open with O_PATH for that. Or returns
 *   -ENOSYS  as for libluo_session_get_name()
 *   -EBADF, -ENOMEM, -EPROTO
 */
int libluo_fd_is_session(int fd);

/* ------------------------------------------------------------------------------------------------ bundles ---- */

/*
 * A bundle is a session that describes itself: token 0 holds an index (a sealed memfd, see docs/format.md) with an
 * entry for each file descriptor: its name, its token, and what the kernel does not keep. It is made with a writer, and
 * opened in the next system.
 *
 * A file (inode) can be preserved once in the whole system. Within a bundle it may be added any number of times.
 */
typedef struct libluo_bundle_writer libluo_bundle_writer;
typedef struct libluo_bundle libluo_bundle;

/* The token of the index. */
#define LIBLUO_INDEX_TOKEN UINT64_C(0)

/* The longest name of an entry, the same as for FDNAME= of systemd. */
#define LIBLUO_ENTRY_NAME_MAX 255

/* How many entries a bundle can have. */
#define LIBLUO_BUNDLE_ENTRIES_MAX (1U << 20)

/* Flags of an entry that the caller sets. */
#define LIBLUO_ENTRY_NO_POLL (UINT32_C(1) << 0) /* FDPOLL=0: do not drop the entry on EPOLLHUP or EPOLLERR */

/* Flags of an entry that libluo sets. */
#define LIBLUO_ENTRY_DUPLICATE (UINT32_C(1) << 1) /* an earlier entry has the same file, and the same token */
#define LIBLUO_ENTRY_SHARED (UINT32_C(1) << 2)    /* the token is one of the shared session */

/*
 * libluo_bundle_writer_new(): starts a bundle in an empty outgoing session, which is borrowed for as long as the writer
 * exists. That it has a token 0 already is found out when the bundle is written. flags is 0. Returns 0, or
 *   -EBADFD       the session is incoming
 *   -EMEDIUMTYPE  session_fd is not a session
 *   -ENOSYS       as for libluo_session_get_name()
 *   -EBADF, -EINVAL, -ENOMEM, -EPROTO
 */
int libluo_bundle_writer_new(int session_fd, uint32_t flags, libluo_bundle_writer **ret_writer);

/*
 * libluo_bundle_writer_add(): preserves a file descriptor as the next entry, and notes what the kernel does not keep.
 * name is printable ASCII without ":", up to LIBLUO_ENTRY_NAME_MAX bytes, not necessarily unique; flags are
 * LIBLUO_ENTRY_NO_POLL or 0. A file that the bundle has already is not preserved again; the new entry refers to it.
 * Only files of memory are looked at: others may be on a server that does not answer, and are given to the kernel as
 * they are.
 *
 * Where the file cannot be preserved, the entry is made all the same, marked as lost with the reason; the error is
 * returned and the writer remains usable. Returns 0, or the errors of libluo_session_preserve() (entry made, marked
 * as lost), or
 *   -EOVERFLOW  filling the file's holes, as the kernel does, needs more memory than there is: what /proc/meminfo
 *               says is available, less a 32nd of all memory and 16 MiB (entry made, marked as lost)
 * or, with no entry made,
 *   -EINVAL  the name or a flag is not valid, or the bundle was written
 *   -E2BIG   the bundle has LIBLUO_BUNDLE_ENTRIES_MAX entries
 *   -ENOMEM  libluo_bundle_writer_count() tells whether this came before or after the entry was made
 */
int libluo_bundle_writer_add(libluo_bundle_writer *writer, int fd, const char *name, uint32_t flags);

/*
 * libluo_bundle_writer_count(): how many entries there are, lost ones included.
 */
size_t libluo_bundle_writer_count(const libluo_bundle_writer *writer);

/*
 * libluo_bundle_writer_write(): preserves the index, at token 0. To be called once, when all is added; without it the
 * session is not a bundle. flags is 0. Returns 0, the errors of libluo_session_preserve(), or
 *   -EEXIST  the session has a token 0 already
 *   -E2BIG   the index would be over 512 MiB, or over the process's limit of file sizes
 *   -EINVAL  a flag is not valid, or the bundle was written before
 *   -EMFILE, -ENFILE
 */
int libluo_bundle_writer_write(libluo_bundle_writer *writer, uint32_t flags);

/*
 * libluo_bundle_writer_free(): frees a writer. The session is not touched. NULL is fine. Returns NULL.
 */
libluo_bundle_writer *libluo_bundle_writer_free(libluo_bundle_writer *writer);

/*
 * libluo_bundle_open(): reads the index of an incoming session, which is borrowed for as long as the bundle exists. No
 * entry is touched. flags is 0. Returns 0, the errors of libluo_session_retrieve_fd(), or
 *   -ENOENT           the session has no token 0: it is not a bundle
 *   -EBADMSG          the index is damaged
 *   -EPROTONOSUPPORT  the index was written by a later version and uses a feature that this one does not know;
 *                     libluo_index_features() says which
 *   -EINVAL
 */
int libluo_bundle_open(int session_fd, uint32_t flags, libluo_bundle **ret_bundle);

/*
 * libluo_bundle_open_index(): reads an index from any file, to look at it: there is no session to take from. index_fd
 * is borrowed for the call, and read from its start. flags is 0. Returns 0 or
 *   -EBADMSG, -EPROTONOSUPPORT  as for libluo_bundle_open()
 *   -EACCES                     the file cannot be read
 *   -EBADF, -EINVAL, -ENOMEM
 */
int libluo_bundle_open_index(int index_fd, uint32_t flags, libluo_bundle **ret_bundle);

/*
 * libluo_index_features(): the feature bits of an index, also of one whose features this version does not know.
 * *ret_compatible and *ret_incompatible get the bits that are set, *ret_unknown those of the latter that this version
 * does not know: 0 if it can read the index. Each may be NULL. index_fd is borrowed for the call; the index of a
 * session is got with libluo_session_retrieve_fd() at LIBLUO_INDEX_TOKEN. Returns 0, or
 *   -EBADMSG  not an index
 *   -EACCES   the file cannot be read
 *   -EBADF, -ENOMEM
 */
int libluo_index_features(
        int index_fd, uint32_t *ret_compatible, uint32_t *ret_incompatible, uint32_t *ret_unknown);

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
        uint64_t holes;     /* bytes of holes, given back when it is taken, unless shared */
        uint64_t memory;    /* bytes of memory in use once it was preserved, which filled the holes */
} libluo_entry;

/*
 * libluo_bundle_count(): how many entries the bundle has, lost ones included.
 */
size_t libluo_bundle_count(const libluo_bundle *bundle);

/*
 * libluo_bundle_get(): describes entry i, counted from 0 in the order in which they were added. Fills entry_size
 * bytes of *ret_entry, with zeroes where this version has no such field; pass sizeof(libluo_entry). Returns 0
 * or -EINVAL (also: no such entry).
 */
int libluo_bundle_get(const libluo_bundle *bundle, size_t i, libluo_entry *ret_entry, size_t entry_size);

/* Flags of libluo_bundle_take() and libluo_bundle_take_all(). */
#define LIBLUO_TAKE_AGAIN (UINT32_C(1) << 0) /* the entry was taken before, perhaps by another process */
#define LIBLUO_TAKE_CHANGE_OWNER                                                                             \
        (UINT32_C(1) << 1) /* make it this process's, if its owner cannot be restored */

/*
 * libluo_bundle_take(): retrieves entry i of an opened bundle, with the access mode, append flag, offset, mode and
 * owner that it had, and gives the memory of holes back that are still empty. Never gives more access than that.
 * Nobody else may use the file while it runs, unless flags has LIBLUO_TAKE_AGAIN: then the file is left as it is, and
 * nothing is waited for that others have in their hands. May be called again until the session is finished. With
 * LIBLUO_TAKE_CHANGE_OWNER a file that cannot be given back to its owner is the caller's own, with a mode that lets
 * nobody in who was kept out.
 *
 * Returns a file descriptor, the errors of libluo_session_retrieve_fd(), or
 *   -EINVAL   no such entry, a flag is not valid, or the bundle was opened from an index alone
 *   -ENODATA  the entry was lost on the other side, see libluo_entry.lost
 *   -ENOLINK  the entry is in a shared session, and libluo_bundle_set_shared() was not called
 *   -EPERM    this process may not restore owner or mode
 *   -EACCES   the file's mode keeps this process from opening it with the access mode it had
 *   -EAGAIN   somebody has a lease on the file (F_SETLEASE), or executes it, and the entry had not all access; it is
 *             there for another try
 *   -ENOSYS   the access mode could not be restored because /proc is not mounted
 */
int libluo_bundle_take(libluo_bundle *bundle, size_t i, uint32_t flags);

/*
 * libluo_bundle_take_all(): takes every entry. ret_fds has room for libluo_bundle_count() results: file descriptors,
 * each for the caller to close, or the negative errno of libluo_bundle_take(). Returns how many file descriptors there
 * are among them, or -EINVAL (a flag is not valid, the bundle was opened from an index alone, or n_fds is not the count
 * of entries).
 */
ssize_t libluo_bundle_take_all(libluo_bundle *bundle, int *ret_fds, size_t n_fds, uint32_t flags);

/*
 * libluo_bundle_finish(): ends the session of an opened bundle, as libluo_session_finish() does: what was not taken is
 * freed for good. A shared session is not touched. Returns 0, the errors of libluo_session_finish(), or
 *   -EINVAL  the bundle was opened from an index alone
 */
int libluo_bundle_finish(libluo_bundle *bundle);

/*
 * libluo_bundle_free(): frees an opened bundle. The session is not touched. NULL is fine. Returns NULL.
 */
libluo_bundle *libluo_bundle_free(libluo_bundle *bundle);

/* ---------------------------------------------------------------------------------------------- preflight ---- */

/* Why a file would not be preserved, or LIBLUO_VERDICT_FINE. More may come. */
typedef enum libluo_verdict {
        LIBLUO_VERDICT_FINE = 0,
        LIBLUO_VERDICT_TYPE,      /* no file of memory: a socket, a pipe, a file of a disk, ... */
        LIBLUO_VERDICT_SESSION,   /* a LUO session: it survives by itself, but not inside of another */
        LIBLUO_VERDICT_NAMED,     /* a file of tmpfs that has a name; it could be preserved once unlinked */
        LIBLUO_VERDICT_HUGETLB,   /* a memfd of huge pages */
        LIBLUO_VERDICT_SEAL,      /* it has a seal that LUO does not know, see unknown_seals */
        LIBLUO_VERDICT_PRESERVED, /* it is preserved already, in whatever session */
        LIBLUO_VERDICT_TOO_LARGE, /* over 2^32 - 1 pages */
        LIBLUO_VERDICT_HOLES      /* filling its holes needs more memory than there is */
} libluo_verdict;

/* What will be lost of a file that is preserved, see libluo_session_retrieve_fd(). */
#define LIBLUO_LOSS_WRITING                                                                                  \
        (UINT32_C(1) << 0) /* x bits and F_SEAL_EXEC: nobody can write to it after the kexec */

/* More fields may come: allocate it by name, and pass its size where a call asks for it. */
typedef struct libluo_preflight {
        libluo_verdict verdict;
        int error;              /* what libluo_bundle_writer_add() would return (a positive errno), or 0 */
        uint32_t losses;        /* LIBLUO_LOSS_ flags */
        uint32_t unknown_seals; /* F_SEAL_ flags */
        int certain;            /* 0: see below; all else is certain */
        uint64_t size;          /* bytes; 0 if it has no size */
        uint64_t allocated;     /* bytes of memory in use */
        uint64_t sparse_cost;   /* bytes of memory that preserving it will take for its holes */
} libluo_preflight;

/*
 * libluo_fd_preflight(): would LUO preserve this file, and if not, why? Needs neither device nor session nor
 * privileges, and changes nothing but the times of the file. What is no file of memory is not asked anything. Fills
 * preflight_size bytes of *ret_preflight, with zeroes where this version has no such field; pass
 * sizeof(libluo_preflight).
 *
 * Whether a file is preserved already can be found out by who may write to it, by opening it for writing for a
 * moment, and only if it is not both empty and sealed against writing, and has no set-user-ID or set-group-ID bit.
 * That it was retrieved from a session that is not finished cannot be seen, and is not reported. Returns 0, also when
 * the verdict is bad, or -EBADF, -EINVAL, -EMFILE, -ENFILE, -EPROTO.
 */
int libluo_fd_preflight(int fd, libluo_preflight *ret_preflight, size_t preflight_size);

/*
 * libluo_verdict_to_string(): a verdict as a sentence without a full stop. A static string, never NULL.
 */
const char *libluo_verdict_to_string(libluo_verdict verdict);

/* ------------------------------------------------------------------------------------------------- memory ---- */

/* Flags of libluo_memfd_new(). */
#define LIBLUO_MEMFD_SEALABLE                                                                                \
        (UINT32_C(1) << 0) /* it can be sealed; once sealed, it need not stay writable */

/*
 * libluo_memfd_new(): makes a file of memory of size bytes, all zero, that LUO preserves and that can still be
 * written afterwards, whatever vm.memfd_noexec is: a memfd, or where those are not allowed (vm.memfd_noexec=2) a file
 * of /dev/shm without a name. With LIBLUO_MEMFD_SEALABLE always a memfd, for data that is going to be sealed. LUO
 * preserves up to 2^32 - 1 pages: a larger one is made, but not preserved. Returns a file descriptor, or
 *   -EINVAL  the name is NULL or over 249 bytes, or a flag is not valid
 *   -EFBIG   over the process's limit of file sizes
 *   -EACCES  memfds that can be written are not allowed, and in /dev/shm no file can be made
 *   -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_memfd_new(const char *name, uint64_t size, uint32_t flags);

/* -------------------------------------------------------------------------------------- a service's store ---- */

/*
 * For services: state with a name in the fd store of the service manager (systemd, any version with an fd store),
 * where it lives through restarts of the service and, with FileDescriptorStorePreserve=yes in the unit, through
 * kexecs. libsystemd is not needed, and may be used beside it. The unit needs FileDescriptorStoreMax= with room for
 * one entry more than the service keeps, as what replaces an entry is stored before the old one is removed. One
 * process of a service writes to its store, or several in turn, each with LIBLUO_STORE_SHARED.
 */
typedef struct libluo_store libluo_store;

/* The longest name of an entry: room for what is added to it is left in LIBLUO_ENTRY_NAME_MAX. */
#define LIBLUO_STORE_NAME_MAX 238

/* Flags of libluo_store_open(). */
#define LIBLUO_STORE_KEEP_ENVIRONMENT (UINT32_C(1) << 0) /* leave LISTEN_FDS and its kin in the environment */
#define LIBLUO_STORE_ANY_ROOM                                                                                \
        (UINT32_C(1) << 1) /* take a $FDSTORE that is not set for an fd store without limit */
#define LIBLUO_STORE_LEAVE_FOREIGN (UINT32_C(1) << 2) /* foreign entries remain the caller's */
#define LIBLUO_STORE_SHARED (UINT32_C(1) << 3) /* other processes of the service write to the store, too */

/* Flags of libluo_store_put_fd() and libluo_store_put_data(). */
#define LIBLUO_STORE_NO_POLL (UINT32_C(1) << 0) /* FDPOLL=0: do not drop the entry on EPOLLHUP or EPOLLERR */
#define LIBLUO_STORE_ADD (UINT32_C(1) << 1)     /* beside what is stored under the name, not in its place */

/* Flags of an entry. */
#define LIBLUO_STORE_ENTRY_FOREIGN (UINT32_C(1) << 0) /* may be of a socket unit, not of the fd store */

/* More fields may come: allocate it by name, and pass its size where a call asks for it. */
typedef struct libluo_store_entry {
        const char *name; /* belongs to the store, until the next put or remove */
        int fd;           /* the same */
        uint32_t flags;   /* LIBLUO_STORE_ENTRY_ flags */
} libluo_store_entry;

/*
 * libluo_store_open(): takes over all file descriptors that the service manager passed to this process ($LISTEN_FDS):
 * they get O_CLOEXEC and belong to the store object. Call it once, before threads are started; without
 * LIBLUO_STORE_KEEP_ENVIRONMENT it removes LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS and LISTEN_FDNAMES from the
 * environment. A process that was passed nothing gets an empty store; so does a program that a process executes in its
 * own place, to which nothing is passed on. Foreign are those that a socket unit may have passed: all before the first
 * one that cannot be (a file of memory, a session, and without LIBLUO_STORE_LEAVE_FOREIGN a name with a number). With
 * LIBLUO_STORE_LEAVE_FOREIGN they are left as they are, and never closed. Where $FDSTORE, of systemd 254, is not set,
 * nothing can be put. LIBLUO_STORE_ANY_ROOM is for earlier versions, which refuse what is too much without a word, so
 * that a put that replaces may then lose both.
 *
 * LIBLUO_STORE_SHARED is for a process that does not know all that is in the store, as others have put or removed
 * something since the service was started. A put then asks the service manager for room, whatever $FDSTORE is, which
 * takes a twentieth of a second or longer, and takes the place of what others have stored under the name, too; but what
 * is no file of memory stands beside that. A remove does not fail where nothing is stored.
 *
 * Returns 0, or
 *   -EINVAL  a flag is not valid
 *   -EBADR   $LISTEN_FDS or $LISTEN_FDNAMES does not say what it should, or a file descriptor it names is not open
 *   -ENOMEM
 */
int libluo_store_open(uint32_t flags, libluo_store **ret_store);

/*
 * libluo_store_free(): frees a store object and closes what it holds. What is in the service manager's fd store stays
 * there. NULL is fine. Returns NULL.
 */
libluo_store *libluo_store_free(libluo_store *store);

/*
 * libluo_store_count(): how many entries there are, foreign ones included.
 */
size_t libluo_store_count(const libluo_store *store);

/*
 * libluo_store_get_entry(): describes entry i, counted from 0: those that were passed in their order, which systemd
 * makes the newest first, then those that were put. Several may have one name. Fills entry_size bytes of *ret_entry,
 * with zeroes where this version has no such field; pass sizeof(libluo_store_entry). Returns 0 or -EINVAL (also: no
 * such entry).
 */
int libluo_store_get_entry(
        const libluo_store *store, size_t i, libluo_store_entry *ret_entry, size_t entry_size);

/*
 * libluo_store_get_fd(): what is stored under a name: a new reference, for the caller to close. flags is 0. Returns a
 * file descriptor, or
 *   -ENOENT    nothing is stored under the name
 *   -ENOTUNIQ  several are stored under the name: libluo_store_get_entry() has them all
 *   -EBADF     the store's file descriptor was closed by somebody else
 *   -EINVAL, -EMFILE, -ENOMEM
 */
int libluo_store_get_fd(const libluo_store *store, const char *name, uint32_t flags);

/*
 * libluo_store_get_data(): a copy of what is stored under a name, for the caller to free(3). A NUL that is not counted
 * in *ret_size follows it. flags is 0. Returns 0, or
 *   -ENOENT, -ENOTUNIQ, -EBADF  as for libluo_store_get_fd()
 *   -EISNAM  what is stored is not a file of memory that can be read
 *   -EINVAL, -ENOMEM
 */
int libluo_store_get_data(
        const libluo_store *store, const char *name, uint32_t flags, void **ret_data, size_t *ret_size);

/*
 * libluo_store_map_data(): what libluo_store_put_data() stored under a name, without a copy: mapped for reading, for
 * the caller to munmap(2); NULL if it is empty. flags is 0. Returns 0, or
 *   -ENOENT, -ENOTUNIQ, -EBADF  as for libluo_store_get_fd()
 *   -EISNAM  what is stored is not a file of memory that can be read and is sealed against writing and shrinking
 *   -EINVAL, -ENOMEM
 */
int libluo_store_map_data(
        const libluo_store *store, const char *name, uint32_t flags, const void **ret_data, size_t *ret_size);

/*
 * libluo_store_map(): memory of the service that lives on: size bytes, mapped for reading and writing, for the caller
 * to munmap(2). What is stored under the name is taken if it has this size, and if its first four bytes are version,
 * an uint32_t; where nothing is, it is made, all zero but for the version, and stored. flags is 0. Returns 1 if it
 * was there, 0 if it was made (and is safe once libluo_store_barrier() has returned 0), or
 *   -ENOTUNIQ, -EBADF  as for libluo_store_get_fd()
 *   -EISNAM    what is stored is no file of memory
 *   -EMSGSIZE  what is stored has another size
 *   -ESTALE    what is stored has another version
 *   -EROFS     what is stored cannot be written: it is sealed, or was opened for reading
 *   -EINVAL    the name or a flag is not valid, or size is less than four bytes
 *   -EACCES, -EFBIG  as for libluo_memfd_new()
 *   -ENOTCONN, -ENOBUFS, -ENOMEDIUM, -ETIMEDOUT, -ECOMM, -EAFNOSUPPORT, -EMFILE, -ENFILE, -ENOMEM, -EPROTO  as
 *              for libluo_store_put_fd()
 */
int libluo_store_map(libluo_store *store, const char *name, size_t size, uint32_t version, uint32_t flags,
        void **ret_memory);

/*
 * libluo_store_put_fd(): stores a file descriptor under a name, in the place of what was stored under it, or beside
 * that with LIBLUO_STORE_ADD. fd is borrowed, the service manager gets a reference of its own. name is printable
 * ASCII without ":" and "~", 1 to LIBLUO_STORE_NAME_MAX bytes. It is safe once libluo_store_barrier() has returned 0.
 * Putting an open file under the name that it has already is no error; it stays as it is, and a foreign entry is stored
 * if it is not yet. Should removing what was replaced fail, that error is returned; the new one is stored then, and the
 * next put of the name removes the rest. Without LIBLUO_STORE_NO_POLL the service manager drops what hangs up: here it
 * has its place until it is removed.
 *
 * Returns 0, or
 *   -EINVAL      the name or a flag is not valid
 *   -ENOTCONN    there is no service manager ($NOTIFY_SOCKET)
 *   -ENOBUFS     the fd store has no room ($FDSTORE; with LIBLUO_STORE_SHARED, and where it depends on which of the
 *                foreign entries are stored, the service manager was asked and took nothing, which may be due to
 *                NotifyAccess= of the unit); nothing was changed
 *   -ENOMEDIUM   $FDSTORE is not set: FileDescriptorStoreMax= is not, or systemd is older than 254, see
 *                LIBLUO_STORE_ANY_ROOM
 *   -EEXIST      this open file is stored under another name, and systemd stores each once: open it anew. A foreign
 *                entry may be stored, and can be put under its own name alone
 *   -ENOTUNIQ    it is stored under this name already, with others, and cannot be stored twice as it is no file of
 *                memory
 *   -ETIMEDOUT   the service manager did not take the message within a minute, or did not answer when asked for room
 *   -ECOMM       the service manager's socket does not take the message
 *   -EAFNOSUPPORT  $NOTIFY_SOCKET is of a kind that cannot pass file descriptors, or this process may have no AF_UNIX
 *                  sockets (RestrictAddressFamilies= of the unit)
 *   -EBADF, -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_store_put_fd(libluo_store *store, const char *name, int fd, uint32_t flags);

/*
 * libluo_store_put_data(): stores a copy of size bytes under a name, in a memfd that is sealed against all change, and
 * read from its start. flags are LIBLUO_STORE_ADD or 0. Returns 0, or
 *   -EFAULT  data is not size bytes of memory that can be read
 *   -EFBIG   over the process's limit of file sizes
 *   -ENOTCONN, -ENOBUFS, -ENOMEDIUM, -ETIMEDOUT, -ECOMM, -EAFNOSUPPORT, -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 *            as for libluo_store_put_fd()
 */
int libluo_store_put_data(
        libluo_store *store, const char *name, const void *data, size_t size, uint32_t flags);

/*
 * libluo_store_remove(): removes all that is stored under a name. Returns 0, the errors of libluo_notify(), or
 *   -ENOENT  nothing is stored under the name; with LIBLUO_STORE_SHARED: it is not one that can be stored
 */
int libluo_store_remove(libluo_store *store, const char *name);

/*
 * libluo_store_barrier(): waits until the service manager has handled all that was sent before: from then on a crash
 * of this process loses nothing. That it has refused something is not said (NotifyAccess= of the unit). timeout_usec
 * is in microseconds, UINT64_MAX for no limit. Returns 0, or
 *   -ETIMEDOUT  not within that time
 *   -ENOTCONN, -ECOMM, -EAFNOSUPPORT  as for libluo_store_put_fd()
 *   -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_store_barrier(const libluo_store *store, uint64_t timeout_usec);

/*
 * libluo_store_barrier_fd(): the same for an event loop: a file descriptor that gets POLLHUP when the service manager
 * has handled all that was sent before; for the caller to close. timeout_usec is how long it may take to send the
 * message, 0 if it must not wait. Returns a file descriptor, or
 *   -ETIMEDOUT  the service manager did not take the message within that time
 *   -ENOTCONN, -ECOMM, -EAFNOSUPPORT  as for libluo_store_put_fd()
 *   -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_store_barrier_fd(const libluo_store *store, uint64_t timeout_usec);

/*
 * libluo_store_get_sessions(): the LUO sessions of LUOSession=NAME in the unit: *ret_restored gets the one that came
 * from the previous system (incoming), *ret_next the one that goes to the next (outgoing); new references, for the
 * caller to close, or -1 where there is none. name is NAME; NAME.next is looked for, too. flags is 0. Returns 0, or
 *   -ENOENT       nothing is passed under these names
 *   -EMEDIUMTYPE  what is passed under these names is not a session
 *   -ENOSYS       as for libluo_session_get_name()
 *   -EBADF        the store's file descriptor was closed by somebody else
 *   -EINVAL, -EMFILE, -ENOMEM, -EPROTO
 */
int libluo_store_get_sessions(
        const libluo_store *store, const char *name, uint32_t flags, int *ret_restored, int *ret_next);

/*
 * libluo_store_open_session(): LUO sessions for what the process itself is to preserve, as it cannot be stored. By
 * name, *ret_restored gets the one that came from the previous system (incoming), or -1 if there is none, and *ret_next
 * the one that goes to the next (outgoing), which is made where there is none. For the caller to close, after
 * libluo_session_finish() where what was restored is to be preserved again. The service manager is asked for them
 * (LiveUpdateSessionsMax= of the unit), or has passed them (LUOSession=); else the device is, whose new session is put
 * into the fd store and without one has to stay open until the kexec. The man page says which names there are. flags
 * is 0. Where somebody else has /dev/liveupdate open, this waits up to busy_timeout_usec microseconds. Returns 0, or
 *   -EINVAL      the name or a flag is not valid
 *   -ENODEV      the kernel has no LUO, or it is off
 *   -EACCES      not permitted: neither is LiveUpdateSessionsMax= or LUOSession= set in the unit, nor may this process
 *                open the device. NotifyAccess= may be the reason, too
 *   -EBUSY       the device was in use all that time, or somebody else has a session of this name from the device
 *   -ENOSPC      no room for another session: LiveUpdateSessionsMax= of the unit, or the kernel's limit
 *   -EIO         as for libluo_device_open()
 *   -EMEDIUMTYPE, -ENOSYS, -EBADF  as for libluo_store_get_sessions()
 *   -ENOBUFS, -EAFNOSUPPORT  as for libluo_store_put_fd()
 *   -ECOMM       the service manager's socket does not take the message, or no reply came
 *   -ETIMEDOUT   the service manager did not answer within a minute
 *   -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_store_open_session(libluo_store *store, const char *name, uint32_t flags,
        uint64_t busy_timeout_usec, int *ret_restored, int *ret_next);

/*
 * libluo_notify(): sends a line of sd_notify(3) to the service manager, "READY=1" for example. Returns 0, or
 *   -ETIMEDOUT, -ENOTCONN, -ECOMM, -EAFNOSUPPORT  as for libluo_store_put_fd()
 *   -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_notify(const char *state);

#ifdef __cplusplus
}
#endif

#endif /* LIBLUO_H */
