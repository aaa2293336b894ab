/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/stat.h>

#include "libluo-manager.h"

#define LIBLUO_PUBLIC __attribute__((visibility("default")))
/*
 * What more than one file of libluo needs and nobody else may use. All global symbols begin with libluo_, so that the
 * static library clashes with nothing: systemd and the kernel selftests have functions that begin with luo_.
 */

#define LUO_DEVICE "/dev/liveupdate"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Once more, if a handler of a signal came in between. The kernel promises that of few of the calls concerned, but what
 * answers them may be another (luo-emulate, a seccomp profile).
 */
#define RETRY(call)                                                                                          \
        ({                                                                                                   \
                __typeof__(call) retry_result;                                                               \
                do                                                                                           \
                        retry_result = (call);                                                               \
                while (retry_result < 0 && errno == EINTR);                                                  \
                retry_result;                                                                                \
        })

/* ioctl.c: the only place that calls ioctl(2). Returns 0 or a negative errno, straight from the kernel. */
int libluo_internal_ioctl(int fd, unsigned long request, void *argument);

/* The errors that the header documents for a function are in its list; others that the kernel gives become -EPROTO. */
int libluo_internal_closed_set(int result, const int *documented, size_t n_documented);
#define LUO_CLOSED_SET(result, ...)                                                                          \
        libluo_internal_closed_set(                                                                          \
                (result), (const int[]) { __VA_ARGS__ }, ELEMENTS(((const int[]) { __VA_ARGS__ })))

/* session.c: 1 if a session is outgoing, 0 if it is incoming, or -EBADF, -EMEDIUMTYPE, -ENOMEM, -ENOSYS, -EPROTO. */
int libluo_internal_session_is_outgoing(int session_fd);

/* session.c: the name in the link of /proc/self/fd, for kernels before 7.2. Returns 0 or -EMEDIUMTYPE. */
int libluo_internal_session_name_from_link(const char *link, char ret_name[LIBLUO_SESSION_NAME_MAX + 1]);

/* close(2) that keeps errno, and does nothing for a negative fd. */
static inline void close_fd(int fd) {
        int saved_errno = errno;

        if (fd >= 0)
                (void) close(fd);
        errno = saved_errno;
}

#define USEC_PER_SEC UINT64_C(1000000)

static inline uint64_t clock_usec(clockid_t clock) {
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static inline uint64_t now_usec(void) {
        return clock_usec(CLOCK_MONOTONIC);
}

/* Times that end, or do not: UINT64_MAX */
static inline uint64_t add_usec(uint64_t a, uint64_t b) {
        uint64_t sum;

        return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t time_after(uint64_t timeout_usec) {
        return add_usec(now_usec(), timeout_usec);
}

/* How long may be waited for until a time; false if it has come. UINT64_MAX: for ever. */
static inline bool time_left(uint64_t until, uint64_t *ret_usec) {
        uint64_t now = now_usec();

        *ret_usec = until == UINT64_MAX ? UINT64_MAX : until > now ? until - now : 0;
        return *ret_usec > 0;
}

/* All formats are little endian. */
/* A number of decimal digits and nothing else, up to a maximum: strtoull(3) takes signs and white space as well. */
static inline bool parse_decimal(const char *text, uint64_t maximum, uint64_t *ret) {
        unsigned long long value;
        char *end;

        if (*text < '0' || *text > '9')
                return false;

        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0 || *end || value > maximum)
                return false;

        *ret = value;
        return true;
}

static inline void put_u32(uint8_t *p, uint32_t value) {
        for (unsigned i = 0; i < 4; i++)
                p[i] = (uint8_t) (value >> (8 * i));
}

static inline void put_u64(uint8_t *p, uint64_t value) {
        for (unsigned i = 0; i < 8; i++)
                p[i] = (uint8_t) (value >> (8 * i));
}

static inline uint32_t get_u32(const uint8_t *p) {
        return p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static inline uint64_t get_u64(const uint8_t *p) {
        return get_u32(p) | (uint64_t) get_u32(p + 4) << 32;
}

/*
 * Fills a structure of the caller's, who may have been built with another header: one with an earlier header gets the
 * fields that it knows, one with a later header finds zeroes in those that this version does not have.
 */
static inline void copy_sized(void *ret, size_t ret_size, const void *from, size_t size) {
        memset(ret, 0, ret_size);
        memcpy(ret, from, ret_size < size ? ret_size : size);
}

/* The kernel counts the pages of a file that it preserves by a number of this size (mm/memfd_luo.c) */
#define LUO_PAGES_MAX UINT64_C(0xffffffff)

#define HUGETLBFS_MAGIC_VALUE 0x958458f6 /* of <linux/magic.h> */

#define F_SEAL_EXEC_VALUE 0x0020 /* F_SEAL_EXEC of <linux/fcntl.h>, Linux 6.3 */

/* index.c: the index of a bundle, as it is in token 0. docs/format.md describes it byte by byte. */
#define LUO_INDEX_SIZE_MAX (UINT64_C(512) << 20)
#define LUO_INDEX_HOLES_MAX (UINT32_C(1) << 20)

/* A part of a file that had no memory when it was preserved. */
struct luo_hole {
        uint64_t offset, size; /* bytes */
};

struct luo_index_entry {
        libluo_entry public;
        size_t first_hole, n_holes; /* in luo_index.holes */
        size_t owner; /* the first entry with this file: itself, or for a duplicate or shared one an earlier one */

        bool restored; /* decoded only, of an owner: its file was */
};

struct luo_index {
        struct luo_index_entry *entries; /* names point into names */
        size_t n_entries;
        char *names;
        struct luo_hole *holes;
        size_t n_holes;
        char shared_session[LIBLUO_SESSION_NAME_MAX + 1]; /* empty: none */

        /* Decoded only: entries that have a file in this session, sorted by token */
        size_t *by_token;
        size_t n_by_token;
};

/* Writes an index; *ret_data is for free(3). Returns 0, -ENOMEM, or -E2BIG. */
int libluo_internal_index_encode(const struct luo_index *index, uint8_t **ret_data, size_t *ret_size);

/* Reads one; every byte of it is hostile. Returns 0, -ENOMEM, -EBADMSG or -EPROTONOSUPPORT. */
int libluo_internal_index_decode(const uint8_t *data, size_t size, struct luo_index *ret_index);
void libluo_internal_index_done(struct luo_index *index);

/* The entry with this token, or NULL. Of a decoded index. */
struct luo_index_entry *libluo_internal_index_find(const struct luo_index *index, uint64_t token);

/* Reads the feature bits, also of an index that cannot be read. Returns 0 or -EBADMSG. */
int libluo_internal_index_features(const uint8_t *data, size_t size, uint32_t *ret_compatible,
        uint32_t *ret_incompatible, uint32_t *ret_unknown);

/* file.c: what LUO does not keep of a file. */

/*
 * Whether it is a file of memory (of tmpfs or hugetlbfs, so also a memfd), or -EBADF. All others may be on a server
 * that answers never (NFS, FUSE): of them nothing may be asked but what fcntl(2) knows and where their link in
 * /proc/self/fd leads, for which no file system is asked.
 */
int libluo_internal_is_memory(int fd);

/*
 * Where the link of an fd in /proc/self/fd leads, cut to size, with a NUL. Returns 0, -EBADF, -ENAMETOOLONG, -ENOMEM,
 * -ENOSYS.
 */
int libluo_internal_read_link(int fd, char *ret_target, size_t size);

/*
 * Notes it in an entry; returns 0, or -EBADF. Of what is not of memory there is the access mode only, and *ret_stat
 * is all 0.
 */
int libluo_internal_describe_fd(int fd, libluo_entry *ret_entry, struct stat *ret_stat);

/*
 * What the mode of a file can become that has one: with F_SEAL_EXEC the x bits stay what they are, and the kernel makes
 * restored files with all of them set.
 */
mode_t libluo_internal_possible_mode(int fd, mode_t now, mode_t wanted);

/*
 * Gives a file its owner and mode back. fd has to be open for writing. With change_owner a file that cannot be given
 * back to its owner is this process's, with a mode that lets nobody in who was kept out. Returns 0 or -EPERM.
 */
int libluo_internal_restore_inode(int fd, const libluo_entry *entry, bool change_owner);

/*
 * Another open file description of the file behind fd. Somebody with a lease on it (F_SETLEASE) keeps this waiting for
 * fs.lease-break-time, unless open_flags has O_NONBLOCK: then it is -EAGAIN, as for writing to what is being executed.
 * Returns an fd, or that, -EACCES, -ENOSYS, -ENOMEM, -EMFILE, -ENFILE.
 */
int libluo_internal_open_link(int fd, int open_flags);

/*
 * The same for a file of memory whose mode may keep an unprivileged owner out, and never waits for a lease. With
 * change_mode the owner, who may do that, adds rights for a moment: not while others have the file.
 */
int libluo_internal_open_anew(int fd, int open_flags, bool change_mode);

/*
 * How much memory preserving a file of memory takes for its holes, and whether there is that much: 0, or -EOVERFLOW.
 * A part of the machine's memory (a 32nd, and 16 MiB) has to be left: filling the last of it would be the end of the
 * machine.
 */
uint64_t libluo_internal_holes_cost(const struct stat *st);
int libluo_internal_holes_fit(int fd, const struct stat *st);

/*
 * Finds the holes of a regular file, at most maximum of them. *ret_holes is for free(3), and NULL if there are none.
 * Returns 0 or -ENOMEM; a file that cannot be looked into has none.
 */
int libluo_internal_find_holes(
        int fd, const struct stat *st, size_t maximum, struct luo_hole **ret_holes, size_t *ret_n);

/* Frees the memory of those parts of a file that are all zero. Best effort: a file may be sealed. */
void libluo_internal_free_holes(int fd, const struct luo_hole *holes, size_t n);

/* Whether two file descriptors are of one open file description, as duplicates of each other are. */
bool libluo_internal_same_description(int a, int b);

/* Reads a regular file of at most maximum bytes from its start. Returns 0, -EACCES, -EBADF, -EBADMSG or -ENOMEM. */
int libluo_internal_read_file(int fd, uint64_t maximum, uint8_t **ret_data, size_t *ret_size);

/* Makes a memfd that is sealed against all change. Returns an fd, -EFAULT, or the errors of libluo_memfd_new(). */
int libluo_internal_sealed_memfd(const char *name, const void *data, size_t size);

/* How long a message may wait for room in the service manager's socket */
#define LUO_NOTIFY_TIMEOUT_USEC (60 * USEC_PER_SEC)

/*
 * notify.c: sends a message to the service manager, with an fd unless that is negative. Errors as libluo_notify(),
 * -EBADF.
 */
int libluo_internal_notify(const char *state, int fd);
int libluo_internal_notify_barrier(uint64_t timeout_usec);
int libluo_internal_notify_barrier_fd(uint64_t timeout_usec);

/*
 * notify.c: asks the service manager whether it takes n more file descriptors (at least one) for this service. Returns
 * 0, -ENOBUFS if not, or the errors of libluo_store_barrier().
 */
int libluo_internal_notify_ask_room(size_t n);

/*
 * store.c: whether the fd store has room for n entries more (at least one), of this process: the service manager is
 * asked, whatever the numbers say. Returns 0, -ENOMEDIUM if there is none (or, where $FDSTORE does not tell, if it is
 * full), -ENOBUFS, -ENOTCONN, or the errors of libluo_store_barrier().
 */
int libluo_internal_store_ask_room(const libluo_store *store, size_t n);

/* store.c: libluo_store_put_fd() for who has just asked for room */
int libluo_internal_store_put_session(libluo_store *store, const char *name, int session_fd);

/* store.c: reads a number that fills the whole of an environment variable; false if it is not set, or not that. */
bool libluo_internal_number_from_environment(const char *variable, uint64_t *ret);

/*
 * store.c: how many file descriptors the service manager has passed to this process, 0 if they are for another one.
 * Returns 0 or -EBADR.
 */
int libluo_internal_count_passed(uint64_t *ret);

/*
 * store.c: splits "state~1f" into the name of an entry and the generation that the store has given it; anything else is
 * a name of generation 0. Returns the name's length.
 */
size_t libluo_internal_parse_generation(const char *fdname, uint64_t *ret_generation);

/*
 * manager-client.c: calls a method of io.systemd.LiveUpdate, again as long as the device is in use, until a time. kind
 * may be NULL. Returns the session, -EOPNOTSUPP if there is nobody who would give sessions to this process, -ENOENT,
 * -EEXIST, -ENOSPC, -EBUSY, -EINVAL, -EACCES as the interface has it, or -ECOMM, -EMFILE, -ENFILE, -ENOMEM, -EPROTO,
 * -ETIMEDOUT.
 */
#define LUO_MANAGER_SOCKET "/run/systemd/io.systemd.Manager"
int libluo_internal_manager_call(const char *method, const char *name, const char *kind, uint64_t until_usec);

/* Receives one reply: the session, or an error of these. Only where there is json-c. */
#define LUO_MANAGER_REPLY_MAX 65536
int libluo_internal_manager_receive(int fd, char *buffer);

/* True for what FDNAME= of systemd takes: printable ASCII without ":", up to LIBLUO_ENTRY_NAME_MAX bytes. */
bool libluo_internal_entry_name_is_valid(const char *name, size_t length);

uint32_t libluo_internal_crc32c(uint32_t crc, const uint8_t *data, size_t size);
