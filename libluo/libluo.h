/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIBLUO_H
#define LIBLUO_H

/*
 * libluo - file descriptors that live through a kexec, by the kernel's Live Update Orchestrator (LUO)
 *
 * This is the contract and the errors; the man page of each function (man libluo_bundle_take, for example) says more,
 * man libluo is the overview. All of it is there since libluo 1.0.
 *
 * Lifetime. A session's file descriptor is the session. Closing an outgoing one (created in this kernel) un-preserves
 * everything in it: it has to be open at the kexec system call. Closing an incoming one (retrieved from the previous
 * kernel) finishes it: what was not retrieved is freed for good.
 *
 * Ownership. Functions that return a file descriptor give it to the caller, who closes it; it has O_CLOEXEC set.
 * File descriptors passed in are borrowed: libluo neither closes nor keeps them, unless a function says so.
 *
 * Structures. More fields may come: where a call asks for the size, pass that of the structure; what the library does
 * not know of it is filled with zeroes.
 *
 * Errors. Functions return a negative errno on failure, outputs come last and are untouched on failure. The set is
 * closed: what each function lists, and nothing else. These mean the same wherever nothing else is said:
 *   -EBADF        a file descriptor passed in is not open, or open with O_PATH
 *   -EBADFD       the session has the wrong direction: to preserve it has to be outgoing, for all else incoming
 *   -EINVAL       an argument is NULL or empty that must not be, or flags are set that are not known
 *   -EMEDIUMTYPE  a file descriptor passed in is not the device, or not a session, as the function takes it
 *   -EMFILE, -ENFILE  too many open files in this process, in the system
 *   -ENAMETOOLONG  the name is over LIBLUO_SESSION_NAME_MAX bytes
 *   -ENOMEM       out of memory (of this process, or of the kernel)
 *   -ENOSYS       /proc, by which sessions are told from other files and files are opened anew, is not mounted
 *   -EPROTO       the kernel answered with something that libluo does not know
 *
 * Threads. Nothing is global. Different objects may be used by different threads at the same time; one object by one
 * thread at a time. LUO itself may be used by any number of threads.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest name of a session, in bytes, and the longest one that can be read back before Linux 7.2. */
#define LIBLUO_SESSION_NAME_MAX 63
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

/* libluo_version(): the version of the library in use, as "1.2.3". A static string. */
const char *libluo_version(void);

/*
 * libluo_strerror(): what an error of this library means, as a sentence without a full stop; where an errno has several
 * reasons, what is true of all of them. Takes the negative (or positive) errno. A static string, never NULL.
 */
const char *libluo_strerror(int error);

/* ------------------------------------------------------------------------------------------------ the device ---- */

/*
 * libluo_device_open(): opens /dev/liveupdate, which one process at a time can have open: hold it for one operation.
 * Waits up to busy_timeout_usec microseconds (0: does not wait) for who has it. Returns a file descriptor, or
 *   -ENODEV  the kernel has no LUO, or it is off (kernel command line: kho=on liveupdate=on)
 *   -EACCES  not permitted
 *   -EBUSY   the device was in use all that time
 *   -EIO     the kernel cannot read what its predecessor left; every open gives this until the next boot
 *   -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_device_open(uint64_t busy_timeout_usec);

/* What a kernel's LUO can do beyond that of Linux 6.19: names by ioctl, and no limits on counts (Linux 7.2). */
#define LIBLUO_FEATURE_SESSION_GET_NAME (UINT64_C(1) << 0)

/*
 * libluo_device_probe(): finds out what the kernel's LUO can do, by making an empty session for a moment. *ret_features
 * gets LIBLUO_FEATURE_ flags. Returns 0, or -EBUSY: somebody has an outgoing session of the name used for probing,
 * "libluo-probe"; -ENOSPC: no room for another session; -EMEDIUMTYPE, -EBADF, -EINVAL, -EMFILE, -ENFILE, -ENOMEM,
 * -EPROTO.
 */
int libluo_device_probe(int device_fd, uint64_t *ret_features);

/* ----------------------------------------------------------------------------------------------- sessions ---- */

/*
 * libluo_session_name_is_valid(): 1 if LUO takes the name for a session, 0 if not (NULL, empty, too long). What later
 * kernels may refuse besides is not known here.
 */
int libluo_session_name_is_valid(const char *name);

/*
 * libluo_session_create(): makes an outgoing session, to be kept open until the kexec. Returns its file descriptor, or
 * -EEXIST: there is an outgoing session of that name; -ENOSPC: no room for another session; -ENOMEM: also before Linux
 * 7.2: no room for another session, there may be 744 of them; -ENAMETOOLONG, -EMEDIUMTYPE, -EBADF, -EINVAL, -EMFILE,
 * -ENFILE, -EPROTO.
 */
int libluo_session_create(int device_fd, const char *name);

/*
 * libluo_session_retrieve(): takes an incoming session over from the previous kernel. Returns its file descriptor, or
 * -ENOENT: the previous kernel left no session of that name, or it was finished since; -EBUSY: somebody has retrieved
 * it and has it open; -ENAMETOOLONG, -EMEDIUMTYPE, -EBADF, -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO.
 */
int libluo_session_retrieve(int device_fd, const char *name);

/*
 * libluo_session_preserve(): puts a file descriptor into an outgoing session, under a token of the caller's choice. fd
 * may be closed afterwards. The size of the file is frozen from here on, its content is not. Returns 0, or
 *   -EEXIST      the token is in use in this session
 *   -EBUSY       the same file (inode) is preserved already, or was retrieved from a session that is not finished yet
 *   -EOPNOTSUPP  this type of file cannot be preserved, nor can one with a seal that the kernel's LUO does not know
 *   -EFBIG       the file is too large
 *   -ENOSPC      no room in the session (before Linux 7.2: about 128 files), or for the file's holes: its tmpfs is
 *                full, or the kernel may not commit more memory (vm.overcommit_memory=2)
 *   -EBADFD, -EMEDIUMTYPE, -ENOSYS, -EBADF, -ENOMEM, -EPROTO
 */
int libluo_session_preserve(int session_fd, int fd, uint64_t token);

/*
 * libluo_session_retrieve_fd(): takes the file preserved under a token out of an incoming session. The first retrieve
 * charges the memory to the control group of the calling process: what does not fit into its limit is lost. A memfd
 * comes back with content, size, seals and offset; open for reading and writing, with mode 0777, and owned by who
 * retrieves it first. Each retrieve of a token gives the same open file. Returns the file descriptor, or
 *   -ENOENT      the session has no such token
 *   -EIO         the kernel could not restore the file (all later tries give the same)
 *   -EOPNOTSUPP  the file was preserved with a seal that this kernel's LUO does not know
 *   -ENOMEM      the memory could not be had, charged or committed; if it was the kernel's, the content is lost
 *   -EBADFD, -EMEDIUMTYPE, -ENOSYS, -EBADF, -EMFILE, -ENFILE, -EPROTO
 */
int libluo_session_retrieve_fd(int session_fd, uint64_t token);

/*
 * libluo_session_finish(): ends an incoming session: what was retrieved belongs to this kernel alone and may be
 * preserved again, what was not is freed for good. The file descriptor stays open, and empty. Returns 0, or -EBUSY: a
 * file in it cannot be finished yet; -EBADFD, -EMEDIUMTYPE, -ENOSYS, -EBADF, -ENOMEM, -EPROTO.
 */
int libluo_session_finish(int session_fd);

/*
 * libluo_session_get_name(): reads the name of a session, of either direction, with its NUL, into ret_name. Returns 0,
 * or -ENAMETOOLONG: the kernel is older than 7.2 and the name over LIBLUO_SESSION_NAME_READABLE_MAX bytes;
 * -EMEDIUMTYPE, -ENOSYS, -EBADF, -EINVAL, -ENOMEM, -EPROTO.
 */
int libluo_session_get_name(int fd, char ret_name[LIBLUO_SESSION_NAME_MAX + 1]);

/*
 * libluo_fd_is_session(): 1 if fd is a LUO session, 0 if it is something else, or open with O_PATH for that; or
 * -ENOSYS, -EBADF, -ENOMEM, -EPROTO.
 */
int libluo_fd_is_session(int fd);

/* ------------------------------------------------------------------------------------------------ bundles ---- */

/*
 * A bundle is a session that describes itself: token 0 holds an index with an entry for each file descriptor. It is
 * made with a writer, and opened in the next system. Within a bundle a file may be added any number of times.
 */
typedef struct libluo_bundle_writer libluo_bundle_writer;
typedef struct libluo_bundle libluo_bundle;

/* The token of the index, the longest name of an entry, and how many entries a bundle can have. */
#define LIBLUO_INDEX_TOKEN UINT64_C(0)
#define LIBLUO_ENTRY_NAME_MAX 255
#define LIBLUO_BUNDLE_ENTRIES_MAX (1U << 20)

/* Flags of an entry: the first is the caller's to set, the others are libluo's. */
#define LIBLUO_ENTRY_NO_POLL (UINT32_C(1) << 0) /* FDPOLL=0: do not drop the entry on EPOLLHUP or EPOLLERR */
#define LIBLUO_ENTRY_DUPLICATE (UINT32_C(1) << 1) /* an earlier entry has the same file, and the same token */
#define LIBLUO_ENTRY_SHARED (UINT32_C(1) << 2)    /* the token is one of the shared session */

/*
 * libluo_bundle_writer_new(): starts a bundle in an empty outgoing session, which is borrowed for as long as the writer
 * exists. flags is 0. Returns 0, or -EBADFD, -EMEDIUMTYPE, -ENOSYS, -EBADF, -EINVAL, -ENOMEM, -EPROTO.
 */
int libluo_bundle_writer_new(int session_fd, uint32_t flags, libluo_bundle_writer **ret_writer);

/*
 * libluo_bundle_writer_add(): preserves a file descriptor as the next entry, and notes what the kernel does not keep.
 * name is printable ASCII without ":", up to LIBLUO_ENTRY_NAME_MAX bytes, not necessarily unique; flags are
 * LIBLUO_ENTRY_NO_POLL or 0. A file that cannot be preserved makes an entry, too, marked as lost with the reason, and
 * the writer remains usable. Returns 0, or the errors of libluo_session_preserve() (entry made, marked as lost), or
 *   -EOVERFLOW  filling the file's holes needs more memory than there is (entry made, marked as lost)
 * or, with no entry made,
 *   -EINVAL  the name or a flag is not valid, or the bundle was written
 *   -E2BIG   the bundle has LIBLUO_BUNDLE_ENTRIES_MAX entries
 *   -ENOMEM  libluo_bundle_writer_count() tells whether this came before or after the entry was made
 */
int libluo_bundle_writer_add(libluo_bundle_writer *writer, int fd, const char *name, uint32_t flags);

/* libluo_bundle_writer_count(): how many entries there are, lost ones included. */
size_t libluo_bundle_writer_count(const libluo_bundle_writer *writer);

/*
 * libluo_bundle_writer_write(): preserves the index, at token 0. To be called once, when all is added; without it the
 * session is not a bundle. flags is 0. Returns 0, the errors of libluo_session_preserve(), or -EEXIST: the session has
 * a token 0 already; -E2BIG: the index would be over 512 MiB, or over the process's limit of file sizes; -EINVAL: a
 * flag is not valid, or the bundle was written before; -EMFILE, -ENFILE.
 */
int libluo_bundle_writer_write(libluo_bundle_writer *writer, uint32_t flags);

/* libluo_bundle_writer_free(): frees a writer. The session is not touched. NULL is fine. Returns NULL. */
libluo_bundle_writer *libluo_bundle_writer_free(libluo_bundle_writer *writer);

/*
 * libluo_bundle_open(): reads the index of an incoming session, which is borrowed for as long as the bundle exists. No
 * entry is touched. flags is 0. Returns 0, the errors of libluo_session_retrieve_fd(), or -ENOENT: the session has no
 * token 0: it is not a bundle; -EBADMSG: the index is damaged; -EPROTONOSUPPORT: the index uses a feature that this
 * version does not know; libluo_index_features() says which; -EINVAL.
 */
int libluo_bundle_open(int session_fd, uint32_t flags, libluo_bundle **ret_bundle);

/*
 * libluo_bundle_open_index(): reads an index from any file, to look at it: there is no session to take from. index_fd
 * is borrowed for the call, and read from its start. flags is 0. Returns 0, or -EBADMSG, -EPROTONOSUPPORT as for
 * libluo_bundle_open(); -EACCES: the file cannot be read; -EBADF, -EINVAL, -ENOMEM.
 */
int libluo_bundle_open_index(int index_fd, uint32_t flags, libluo_bundle **ret_bundle);

/*
 * libluo_index_features(): the feature bits of an index (of a session: at LIBLUO_INDEX_TOKEN), also of one that cannot
 * be read. *ret_compatible and *ret_incompatible get the bits that are set, *ret_unknown those of the latter that this
 * version does not know. Each may be NULL. index_fd is borrowed for the call. Returns 0, or -EBADMSG: not an index;
 * -EACCES: the file cannot be read; -EBADF, -ENOMEM.
 */
int libluo_index_features(
        int index_fd, uint32_t *ret_compatible, uint32_t *ret_incompatible, uint32_t *ret_unknown);

/* What is known of an entry. */
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

/* libluo_bundle_count(): how many entries the bundle has, lost ones included. */
size_t libluo_bundle_count(const libluo_bundle *bundle);

/*
 * libluo_bundle_get(): describes entry i, counted from 0 in the order in which they were added. Fills entry_size bytes
 * of *ret_entry; pass sizeof(libluo_entry). Returns 0 or -EINVAL (also: no such entry).
 */
int libluo_bundle_get(const libluo_bundle *bundle, size_t i, libluo_entry *ret_entry, size_t entry_size);

/*
 * Flags of libluo_bundle_take() and libluo_bundle_take_all(). With the first, for what was taken before, perhaps by
 * another process, nothing of the file is changed or waited for. With the second a file whose owner cannot be restored
 * becomes the caller's, with a mode that lets nobody in who was kept out.
 */
#define LIBLUO_TAKE_AGAIN (UINT32_C(1) << 0)
#define LIBLUO_TAKE_CHANGE_OWNER (UINT32_C(1) << 1)

/*
 * libluo_bundle_take(): retrieves entry i of an opened bundle, with the access mode, append flag, offset, mode and
 * owner that it had, never with more access than that. flags are LIBLUO_TAKE_ flags. Without LIBLUO_TAKE_AGAIN nobody
 * else may use the file while this runs. May be called again until the session is finished. Returns a file descriptor,
 * the errors of libluo_session_retrieve_fd(), or
 *   -EINVAL   no such entry, a flag is not valid, or the bundle was opened from an index alone
 *   -ENODATA  the entry was lost on the other side, see libluo_entry.lost
 *   -ENOLINK  the entry is in a shared session, and libluo_bundle_set_shared() was not called
 *   -EPERM    this process may not restore owner or mode
 *   -EACCES   the file's mode keeps this process from opening it with the access mode it had
 *   -EAGAIN   the entry had not all access, and somebody has a lease on the file (F_SETLEASE), or executes it; it is
 *             there for another try
 */
int libluo_bundle_take(libluo_bundle *bundle, size_t i, uint32_t flags);

/*
 * libluo_bundle_take_all(): takes every entry. ret_fds gets n_fds results, libluo_bundle_count() of them: file
 * descriptors, each for the caller to close, or the negative errno of libluo_bundle_take(). Returns how many file
 * descriptors there are among them, or -EINVAL (also: opened from an index alone, or another n_fds).
 */
ssize_t libluo_bundle_take_all(libluo_bundle *bundle, int *ret_fds, size_t n_fds, uint32_t flags);

/*
 * libluo_bundle_finish(): ends the session of an opened bundle, as libluo_session_finish() does; a shared session is
 * not touched. Returns 0, the errors of libluo_session_finish(), or -EINVAL (also: opened from an index alone).
 */
int libluo_bundle_finish(libluo_bundle *bundle);

/* libluo_bundle_free(): frees an opened bundle. The session is not touched. NULL is fine. Returns NULL. */
libluo_bundle *libluo_bundle_free(libluo_bundle *bundle);

/* ------------------------------------------------------------------------------------- preflight, memory ---- */

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
#define LIBLUO_LOSS_WRITING (UINT32_C(1) << 0) /* nobody can write to it after the kexec: F_SEAL_EXEC */

typedef struct libluo_preflight {
        libluo_verdict verdict;
        int error;              /* what libluo_bundle_writer_add() would return (a positive errno), or 0 */
        uint32_t losses;        /* LIBLUO_LOSS_ flags */
        uint32_t unknown_seals; /* F_SEAL_ flags */
        int certain;            /* 0: whether it is preserved already could not be found out */
        uint64_t size;          /* bytes; 0 if it has no size */
        uint64_t allocated;     /* bytes of memory in use */
        uint64_t sparse_cost;   /* bytes of memory that preserving it will take for its holes */
} libluo_preflight;

/*
 * libluo_fd_preflight(): would LUO preserve this file, and if not, why? Needs neither device nor session nor
 * privileges, and changes nothing but the times of the file; who has a lease on it (F_SETLEASE) by another open file
 * loses that. Fills preflight_size bytes of *ret_preflight; pass sizeof(libluo_preflight). That it was retrieved from a
 * session that is not finished cannot be seen, and is not reported. Returns 0, also when the verdict is bad, or -EBADF,
 * -EINVAL, -EMFILE, -ENFILE, -EPROTO.
 */
int libluo_fd_preflight(int fd, libluo_preflight *ret_preflight, size_t preflight_size);

/* libluo_verdict_to_string(): a verdict as a sentence without a full stop. A static string, never NULL. */
const char *libluo_verdict_to_string(libluo_verdict verdict);

/* Flags of libluo_memfd_new(): it can be sealed; once sealed, it need not stay writable. */
#define LIBLUO_MEMFD_SEALABLE (UINT32_C(1) << 0)

/*
 * libluo_memfd_new(): makes a file of memory of size bytes, all zero, that LUO preserves (up to 2^32 - 1 pages) and
 * that can still be written afterwards, whatever vm.memfd_noexec is: a memfd, or where that is not allowed a file of
 * /dev/shm without a name. flags are LIBLUO_MEMFD_SEALABLE or 0. Returns a file descriptor, or -EINVAL: the name is
 * NULL or over 249 bytes, or a flag is not valid; -EFBIG: over the process's limit of file sizes; -EACCES: memfds that
 * can be written are not allowed, and in /dev/shm no file can be made; -EMFILE, -ENFILE, -ENOMEM, -EPROTO.
 */
int libluo_memfd_new(const char *name, uint64_t size, uint32_t flags);

/* -------------------------------------------------------------------------------------- a service's store ---- */

/*
 * For services: state with a name in the fd store of the service manager, where it lives through restarts of the
 * service and, with FileDescriptorStorePreserve=yes in the unit, through kexecs. FileDescriptorStoreMax= has to have
 * room for one entry more than the service keeps. One process of a service writes to its store, or several in turn,
 * each with LIBLUO_STORE_SHARED. These errors mean the same wherever nothing else is said:
 *   -EAFNOSUPPORT  $NOTIFY_SOCKET cannot pass file descriptors, or this process may have no AF_UNIX sockets
 *   -EBADF         a file descriptor is not open, or one of the store's was closed by somebody else
 *   -ECOMM         the service manager's socket does not take the message
 *   -EINVAL        also: the name is not valid
 *   -EMEDIUMTYPE   what is passed under the name is not a session
 *   -ENOENT        nothing is there under the name
 *   -ENOMEDIUM     $FDSTORE is not set: FileDescriptorStoreMax= is not, or systemd is older than 254
 *   -ENOTCONN      there is no service manager ($NOTIFY_SOCKET)
 *   -ENOTUNIQ      several are stored under the name: libluo_store_get_entry() has them all
 *   -ETIMEDOUT     the service manager did not take the message, or did not answer, within a minute
 */
typedef struct libluo_store libluo_store;

/* The longest name of an entry: room for what is added to it is left in LIBLUO_ENTRY_NAME_MAX. */
#define LIBLUO_STORE_NAME_MAX 238

/*
 * Flags of libluo_store_open(). Foreign entries are those that a socket unit may have passed, and not the fd store. A
 * put to a store that is shared asks the service manager for room, and takes the place of what others have put.
 */
#define LIBLUO_STORE_KEEP_ENVIRONMENT (UINT32_C(1) << 0) /* leave LISTEN_FDS and its kin in the environment */
#define LIBLUO_STORE_ANY_ROOM (UINT32_C(1) << 1)         /* a $FDSTORE that is not set is no limit */
#define LIBLUO_STORE_LEAVE_FOREIGN (UINT32_C(1) << 2)    /* foreign entries remain the caller's */
#define LIBLUO_STORE_SHARED (UINT32_C(1) << 3) /* other processes of the service write to the store, too */

/* Flags of libluo_store_put_fd() and libluo_store_put_data(). */
#define LIBLUO_STORE_NO_POLL (UINT32_C(1) << 0) /* FDPOLL=0: do not drop the entry on EPOLLHUP or EPOLLERR */
#define LIBLUO_STORE_ADD (UINT32_C(1) << 1)     /* beside what is stored under the name, not in its place */

/* Flags of an entry. */
#define LIBLUO_STORE_ENTRY_FOREIGN (UINT32_C(1) << 0) /* may be of a socket unit, not of the fd store */
typedef struct libluo_store_entry {
        const char *name; /* belongs to the store, until the next put or remove */
        int fd;           /* the same */
        uint32_t flags;   /* LIBLUO_STORE_ENTRY_ flags */
} libluo_store_entry;

/*
 * libluo_store_open(): takes over all file descriptors that the service manager passed to this process ($LISTEN_FDS):
 * they get O_CLOEXEC and belong to the store object. Call it once, before threads are started; it removes LISTEN_PID,
 * LISTEN_PIDFDID, LISTEN_FDS and LISTEN_FDNAMES from the environment. A process that was passed nothing gets an empty
 * store. flags are those above. Returns 0, or -EBADR: $LISTEN_FDS or $LISTEN_FDNAMES does not say what it should, or a
 * file descriptor it names is not open; -EINVAL, -ENOMEM.
 */
int libluo_store_open(uint32_t flags, libluo_store **ret_store);

/*
 * libluo_store_free(): frees a store object and closes what it holds; the fd store keeps it. NULL is fine. Returns
 * NULL.
 */
libluo_store *libluo_store_free(libluo_store *store);

/* libluo_store_count(): how many entries there are, foreign ones included. */
size_t libluo_store_count(const libluo_store *store);

/*
 * libluo_store_get_entry(): describes entry i, counted from 0: those that were passed, in their order (systemd's: the
 * newest first), then those that were put. Several may have one name. Fills entry_size bytes of *ret_entry; pass
 * sizeof(libluo_store_entry). Returns 0 or -EINVAL (also: no such entry).
 */
int libluo_store_get_entry(
        const libluo_store *store, size_t i, libluo_store_entry *ret_entry, size_t entry_size);

/*
 * libluo_store_get_fd(): what is stored under a name: a new reference, for the caller to close. flags is 0. Returns a
 * file descriptor, or -ENOENT, -ENOTUNIQ, -EBADF, -EINVAL, -EMFILE, -ENOMEM.
 */
int libluo_store_get_fd(const libluo_store *store, const char *name, uint32_t flags);

/*
 * libluo_store_get_data(): a copy of what is stored under a name, for the caller to free(3). A NUL that is not counted
 * in *ret_size follows it. flags is 0. Returns 0, or -EISNAM: what is stored is not a file of memory that can be read;
 * -ENOENT, -ENOTUNIQ, -EBADF, -EINVAL, -ENOMEM.
 */
int libluo_store_get_data(
        const libluo_store *store, const char *name, uint32_t flags, void **ret_data, size_t *ret_size);

/*
 * libluo_store_map_data(): what libluo_store_put_data() stored under a name, without a copy: mapped for reading, for
 * the caller to munmap(2); NULL if it is empty. flags is 0. Returns 0, or -EISNAM: what is stored is not a file of
 * memory that can be read and is sealed against writing and shrinking; -ENOENT, -ENOTUNIQ, -EBADF, -EINVAL, -ENOMEM.
 */
int libluo_store_map_data(
        const libluo_store *store, const char *name, uint32_t flags, const void **ret_data, size_t *ret_size);

/*
 * libluo_store_map(): memory of the service that lives on: size bytes, mapped for reading and writing, for the caller
 * to munmap(2). Its first four bytes are version, an uint32_t. Where nothing is stored under the name, it is made, all
 * zero but for the version, and stored. flags is 0. Returns 1 if it was there, 0 if it was made, or
 *   -EISNAM    what is stored is no file of memory
 *   -EMSGSIZE, -ESTALE  what is stored has another size, another version
 *   -EROFS     what is stored cannot be written: it is sealed, or was opened for reading
 *   -EINVAL    the name or a flag is not valid, or size is less than four bytes
 *   -EACCES, -EFBIG, -ENOSYS  as for libluo_memfd_new() and libluo_store_put_fd()
 *   -ENOTUNIQ, -EBADF, -ENOTCONN, -ENOBUFS, -ENOMEDIUM, -ETIMEDOUT, -ECOMM, -EAFNOSUPPORT, -EMFILE, -ENFILE, -ENOMEM,
 *   -EPROTO
 */
int libluo_store_map(libluo_store *store, const char *name, size_t size, uint32_t version, uint32_t flags,
        void **ret_memory);

/*
 * libluo_store_put_fd(): stores a file descriptor under a name, in the place of what was stored under it, or beside
 * that with LIBLUO_STORE_ADD. fd is borrowed, the service manager gets a reference of its own. name is printable ASCII
 * without ":" and "~", 1 to LIBLUO_STORE_NAME_MAX bytes. It is safe once libluo_store_barrier() has returned 0. Should
 * removing what was replaced fail, that error is returned; the new one is stored then. Returns 0, or
 *   -EACCES, -EAGAIN, -ENOSYS  a file of memory that is stored already, or any with LIBLUO_STORE_SHARED, cannot be
 *                opened anew: its mode and owner, or as for libluo_bundle_take(); nothing was changed
 *   -ENOBUFS     the fd store has no room, or the service manager was asked and took nothing (NotifyAccess=); nothing
 *                was changed
 *   -EEXIST      this open file is stored under another name, or foreign, and systemd stores each once: open it anew
 *   -ENOTUNIQ    it is stored under this name already, with others, and is no file of memory that could be stored twice
 *   -ENOMEDIUM, -ENOTCONN, -ETIMEDOUT, -ECOMM, -EAFNOSUPPORT, -EINVAL, -EBADF, -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_store_put_fd(libluo_store *store, const char *name, int fd, uint32_t flags);

/*
 * libluo_store_put_data(): stores a copy of size bytes under a name, in a memfd that is sealed against all change, and
 * read from its start. flags are LIBLUO_STORE_ADD or 0. Returns 0, or -EFAULT: data is not size bytes of memory that
 * can be read; -EFBIG: over the process's limit of file sizes; -EACCES, -ENOSYS, -ENOTCONN, -ENOBUFS, -ENOMEDIUM,
 * -ETIMEDOUT, -ECOMM, -EAFNOSUPPORT, -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO as for libluo_store_put_fd().
 */
int libluo_store_put_data(
        libluo_store *store, const char *name, const void *data, size_t size, uint32_t flags);

/*
 * libluo_store_remove(): removes all that is stored under a name. With LIBLUO_STORE_SHARED -ENOENT says that the name
 * is not valid. Returns 0, -ENOENT, or the errors of libluo_notify().
 */
int libluo_store_remove(libluo_store *store, const char *name);

/*
 * libluo_store_barrier(): waits until the service manager has handled all that was sent before: from then on a crash of
 * this process loses nothing. That it has refused something is not said (NotifyAccess=). timeout_usec is in
 * microseconds, UINT64_MAX for no limit. Returns 0, or -ETIMEDOUT: not within that time; -ENOTCONN, -ECOMM,
 * -EAFNOSUPPORT, -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO.
 */
int libluo_store_barrier(const libluo_store *store, uint64_t timeout_usec);

/*
 * libluo_store_barrier_fd(): the same for an event loop: a file descriptor that gets POLLHUP when the service manager
 * has handled all that was sent before; for the caller to close. timeout_usec is how long it may take to send the
 * message, in microseconds, 0 if it must not wait. Returns a file descriptor, or the errors of libluo_store_barrier().
 */
int libluo_store_barrier_fd(const libluo_store *store, uint64_t timeout_usec);

/*
 * libluo_store_get_sessions(): the LUO sessions of LUOSession=NAME in the unit, by name: *ret_restored gets the one
 * that came from the previous system (incoming), *ret_next the one that goes to the next (outgoing); new references,
 * for the caller to close, or -1 where there is none. flags is 0. Returns 0, or -ENOENT, -EMEDIUMTYPE, -EBADF, -ENOSYS,
 * -EINVAL, -EMFILE, -ENOMEM, -EPROTO.
 */
int libluo_store_get_sessions(
        const libluo_store *store, const char *name, uint32_t flags, int *ret_restored, int *ret_next);

/*
 * libluo_store_open_session(): LUO sessions for what the process itself is to preserve, as it cannot be stored: from
 * the service manager (LiveUpdateSessionsMax= or LUOSession= of the unit), or else from the device. *ret_restored gets
 * the one that came from the previous system (incoming), or -1, and *ret_next the one that goes to the next (outgoing),
 * which is made where there is none; for the caller to close: *ret_next only after the kexec if there is no fd store to
 * keep it. What was restored can be preserved again after libluo_session_finish(). The man page says which names there
 * are. flags is 0.
 * Where somebody else has the device open, or another process a session of this name, this waits up to
 * busy_timeout_usec microseconds, for the latter no longer than a second. Returns 0, or
 *   -EACCES      not permitted by the unit (these settings, NotifyAccess=), nor may this process open the device
 *   -EBUSY       the device was in use all that time, or there is a session of this name from the device, which was not
 *                passed to this process
 *   -ENOSPC      no room for another session: LiveUpdateSessionsMax= of the unit, or the kernel's limit
 *   -ECOMM       the service manager's socket does not take the message, or no reply came
 *   -ENODEV, -EIO  as for libluo_device_open()
 *   -ENOTCONN    there is an fd store ($FDSTORE), but $NOTIFY_SOCKET, by which sessions get into it, is gone
 *   -ETIMEDOUT, -ENOBUFS, -EAFNOSUPPORT, -EMEDIUMTYPE, -EBADF, -ENOSYS, -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_store_open_session(libluo_store *store, const char *name, uint32_t flags,
        uint64_t busy_timeout_usec, int *ret_restored, int *ret_next);

/*
 * libluo_notify(): sends a line of sd_notify(3) to the service manager, "READY=1" for example. Returns 0, or
 * -ETIMEDOUT, -ENOTCONN, -ECOMM, -EAFNOSUPPORT, -EINVAL, -EMFILE, -ENFILE, -ENOMEM, -EPROTO.
 */
int libluo_notify(const char *state);

#ifdef __cplusplus
}
#endif

#endif /* LIBLUO_H */
