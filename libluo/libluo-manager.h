/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIBLUO_MANAGER_H
#define LIBLUO_MANAGER_H

/*
 * For service managers and shutdown programs: files that several bundles share, what taking a bundle costs, who has the
 * device, and the log of a shutdown.
 *
 * This is no part of the stable ABI: it may change with every version. The functions are in the static library
 * (libluo.a) only, which is linked whole into one program and changes with it.
 *
 * What libluo.h says of ownership, errors and threads applies.
 */

#include <libluo.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ----------------------------------------------------------------------------------------- shared bundles ---- */

/*
 * libluo_bundle_writer_add_shared(): like libluo_bundle_writer_add(), for a file that several bundles have: it is
 * preserved in shared, a bundle that is written in a session of its own, unless it is there already, and writer gets
 * an entry that refers to it. All entries of a bundle that are shared have to be in the same one; both are to be
 * written.
 *
 * Returns 0, the errors of libluo_bundle_writer_add(), or, with no entry made, the errors of libluo_session_get_name()
 * for the session of shared, or
 *   -EINVAL  also: shared was written, or is not the one that earlier entries are in
 *   -ELOOP   shared is writer itself or refers to another bundle, or writer is one that others refer to
 *   -E2BIG   one of the two has LIBLUO_BUNDLE_ENTRIES_MAX entries
 *   -ENOMEM  no entry was made
 */
int libluo_bundle_writer_add_shared(
        libluo_bundle_writer *writer, int fd, const char *name, uint32_t flags, libluo_bundle_writer *shared);

/*
 * libluo_bundle_get_shared_name(): the name of the session whose bundle the shared entries are in; belongs to the
 * bundle. NULL if it has no such entries.
 */
const char *libluo_bundle_get_shared_name(const libluo_bundle *bundle);

/*
 * libluo_bundle_set_shared(): says where shared entries are to be taken from: shared is an opened bundle, that of the
 * session libluo_bundle_get_shared_name() names. It is borrowed for as long as bundle exists. Returns 0, or
 *   -EINVAL   one of the two was opened from an index alone
 *   -ELOOP    shared is bundle itself, or refers to another one itself
 *   -EBADMSG  shared lacks a token that an entry of bundle refers to
 */
int libluo_bundle_set_shared(libluo_bundle *bundle, libluo_bundle *shared);

/* ------------------------------------------------------------------------------------------------- memory ---- */

/*
 * libluo_bundle_get_memory(): how much memory is charged to a control group whose process takes all entries but those
 * that are skipped (skip[i] is not 0; skip may be NULL, otherwise n_skip is the count of entries), and perhaps a
 * little less: for each file, however many of the remaining entries have it, what libluo_entry.memory says, and 1/256
 * of that and 16 KiB on top. Lost entries cost nothing. Returns 0, or
 *   -EINVAL  n_skip is not the count of entries
 *   -ENOMEM
 */
int libluo_bundle_get_memory(
        const libluo_bundle *bundle, const uint8_t *skip, size_t n_skip, uint64_t *ret_bytes);

/* ------------------------------------------------------------------------------------------------- device ---- */

/*
 * libluo_device_holder(): who has /dev/liveupdate open, for a message: *ret_pid gets the process, ret_name the name of
 * its program (as in /proc/PID/comm, cut to name_size bytes with the NUL; may be NULL if name_size is 0). Looks at what
 * it may see only: all processes for root. Opens none of the files that processes have. Returns 0, or
 *   -ENOENT  no such process was found
 *   -ENOSYS  /proc is not mounted
 *   -EINVAL, -EMFILE, -ENFILE, -ENOMEM
 */
int libluo_device_holder(pid_t *ret_pid, char *ret_name, size_t name_size);

/* ----------------------------------------------------------------------------------- the log of a shutdown ---- */

/*
 * For systemd-shutdown and journald: the kernel's log records that nobody was left to read, in a memfd that is
 * preserved like any other. It is a ring of fixed size: the newest records are kept, the others are counted. All its
 * memory is allocated when it is made, so that it can be written to after it was preserved, until the kexec system
 * call itself; what a kexec cuts off in the middle costs that record and no other. docs/format.md describes it byte
 * by byte.
 */
typedef struct libluo_log libluo_log;

/* How large a log is, in bytes of memory. LIBLUO_LOG_SIZE_DEFAULT is what systemd-shutdown uses. */
#define LIBLUO_LOG_SIZE_MIN (UINT64_C(64) << 10)
#define LIBLUO_LOG_SIZE_MAX (UINT64_C(64) << 20)
#define LIBLUO_LOG_SIZE_DEFAULT (UINT64_C(1) << 20)

/* The longest record, in bytes. The kernel's own limit is 2048 bytes of text (8192 before Linux 6.6), and some more. */
#define LIBLUO_LOG_RECORD_MAX 16384

typedef struct libluo_log_record {
        uint64_t sequence;       /* the kernel's number of it */
        uint64_t realtime_usec;  /* CLOCK_REALTIME when it was read, see libluo_log_skip(), too */
        uint64_t monotonic_usec; /* CLOCK_MONOTONIC then */
        const char *data;        /* as read from /dev/kmsg: "6,339,5140900,-;message", and properties */
        size_t size;             /* bytes of it; no NUL follows */
} libluo_log_record;

/* More fields may come: allocate it by name, and pass its size where a call asks for it. */
typedef struct libluo_log_info {
        uint8_t machine_id[16], boot_id[16]; /* of the system that wrote it */
        uint64_t size;                       /* bytes of memory of the whole log */
        uint64_t first_sequence;             /* as given to libluo_log_new() or libluo_log_skip() */
        uint64_t next_sequence;              /* of the record that would have been read next */
        uint64_t n_missed;      /* records that the kernel had overwritten before they could be read */
        uint64_t n_overwritten; /* records that were in the log and had to make room for newer ones */
        uint64_t n_damaged;     /* records that libluo_log_next() had to leave out so far */
} libluo_log_info;

/*
 * libluo_log_new(): makes an empty log, for records from first_sequence on. size is in bytes, a multiple of 4096 from
 * LIBLUO_LOG_SIZE_MIN to LIBLUO_LOG_SIZE_MAX. Its memory is shared with children of fork(2): they and the caller may
 * write to it, one at a time. Returns 0, or
 *   -EINVAL  the size is not valid
 *   -EFBIG   over the process's limit of file sizes
 *   -EMFILE, -ENFILE, -ENOMEM, -EPROTO
 */
int libluo_log_new(const uint8_t machine_id[16], const uint8_t boot_id[16], uint64_t first_sequence,
        uint64_t size, libluo_log **ret_log);

/*
 * libluo_log_get_fd(): the memfd of a log that was made by libluo_log_new(), to be preserved. It belongs to the log.
 * Returns a file descriptor, or
 *   -EINVAL  the log was opened by libluo_log_open(), or is NULL
 */
int libluo_log_get_fd(const libluo_log *log);

/*
 * libluo_log_drain(): reads from /dev/kmsg all that there is and puts it into the log, leaving out what comes before
 * first_sequence or was put there before, by whatever process. kmsg_fd is open for reading and does not block
 * (O_NONBLOCK): one read(2) is one record. Returns 0, or
 *   -EAGAIN  there may be more: it stopped after a number of records, so that it ends where the kernel logs without end
 *   -EIO     what was read is no record of the kernel's log; it is left out
 *   -EBADF   kmsg_fd is not open for reading
 *   -EINVAL  the log was opened by libluo_log_open(), or is NULL
 *   -EPROTO
 */
int libluo_log_drain(libluo_log *log, int kmsg_fd);

/*
 * libluo_log_skip(): what comes before first_sequence is not wanted any more, as somebody else has read it from the
 * kernel (journald, which goes on reading until it is ended). A reader will not see it. Never brings back what was
 * skipped before. Records that are in the log already are stamped with the time of this call: they come after all
 * that was logged by somebody else until then. Returns 0, or
 *   -EINVAL  the log was opened by libluo_log_open(), or is NULL
 */
int libluo_log_skip(libluo_log *log, uint64_t first_sequence);

/*
 * libluo_log_open(): reads a log that the previous system left. Nothing in it is trusted: it is copied before it is
 * looked at, and every record has a checksum. fd is borrowed, and read from its start. max_size is in bytes, for what
 * the caller is ready to take. Returns 0, or
 *   -EBADMSG          it is no log, damaged beyond use, or larger than max_size
 *   -EPROTONOSUPPORT  a later version wrote it that this one cannot read
 *   -EACCES           it cannot be opened for reading
 *   -EBADF, -EINVAL, -ENOMEM
 */
int libluo_log_open(int fd, uint64_t max_size, libluo_log **ret_log);

/*
 * libluo_log_next(): the next record of an opened log, oldest first; sequence numbers go up. A damaged record is left
 * out and counted; where it cannot be said where the next one begins, that was the last. data of *ret_record belongs
 * to the log and is valid until the next call. Returns 1, 0 after the last record, or
 *   -EINVAL  the log was made by libluo_log_new(), or an argument is NULL
 */
int libluo_log_next(libluo_log *log, libluo_log_record *ret_record);

/*
 * libluo_log_get_info(): what is to be said about a log. Fills info_size bytes of *ret_info, with zeroes where this
 * version has no such field; pass sizeof(libluo_log_info). Returns 0, or -EINVAL.
 */
int libluo_log_get_info(const libluo_log *log, libluo_log_info *ret_info, size_t info_size);

/*
 * libluo_log_free(): frees a log, and closes its memfd if it was made by libluo_log_new(). NULL is fine. Returns NULL.
 *
 */
libluo_log *libluo_log_free(libluo_log *log);

#ifdef __cplusplus
}
#endif

#endif /* LIBLUO_MANAGER_H */
