/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include "internal.h"

/*
 * docs/format.md describes the format; this is the one writer and the one reader. All integers are little endian.
 */

static const uint8_t signature[8] = { 'L', 'U', 'O', 'K', 'M', 'S', 'G', 'S' };

/* No feature is known to this version that a reader could get wrong. */
#define INCOMPATIBLE_KNOWN UINT32_C(0)

/* Offsets in the header: what never changes, and behind the checksum what does */
enum {
        HEADER_SIGNATURE = 0,         /* 8 bytes */
        HEADER_COMPATIBLE = 8,        /* u32 */
        HEADER_INCOMPATIBLE = 12,     /* u32 */
        HEADER_HEADER_SIZE = 16,      /* u32 */
        HEADER_RESERVED = 20,         /* u32, zero */
        HEADER_TOTAL_SIZE = 24,       /* u64 */
        HEADER_MACHINE_ID = 32,       /* 16 bytes */
        HEADER_BOOT_ID = 48,          /* 16 bytes */
        HEADER_CHECKSUM = 64,         /* u32, of all before it */
        HEADER_RESERVED_2 = 68,       /* 60 bytes, zero */
        HEADER_NEXT_SEQUENCE = 128,   /* u64 */
        HEADER_MISSED = 136,          /* u64 */
        HEADER_OVERWRITTEN = 144,     /* u64 */
        HEADER_BEGIN = 152,           /* u64: position of the oldest record */
        HEADER_END = 160,             /* u64: position behind the newest */
        HEADER_FIRST_SEQUENCE = 168,  /* u64 */
        HEADER_FIRST_REALTIME = 176,  /* u64 */
        HEADER_FIRST_MONOTONIC = 184, /* u64 */
        HEADER_SIZE_MIN = 192,
        HEADER_SIZE = 4096,
};

/* Offsets in a record */
enum {
        RECORD_CHECKSUM = 0,   /* u32, of the rest of the record */
        RECORD_DATA_SIZE = 4,  /* u32 */
        RECORD_SEQUENCE = 8,   /* u64 */
        RECORD_REALTIME = 16,  /* u64 */
        RECORD_MONOTONIC = 24, /* u64 */
        RECORD_DATA = 32,
        RECORD_ALIGNMENT = 8,
};

#define RECORD_SIZE_MAX ((size_t) RECORD_DATA + LIBLUO_LOG_RECORD_MAX)

/* So many records are read in one go: a kernel that logs faster than this can read must not keep a shutdown from ending. */
#define DRAIN_MAX 100000U

struct libluo_log {
        bool writable;
        int fd;          /* of a writable one */
        uint8_t *memory; /* a shared mapping of the file, or a copy of it */
        size_t size;
        uint64_t header_size, ring_size;
        uint64_t position, last_sequence; /* of the reader */
        uint64_t n_damaged;
        bool any, ended;
        uint8_t record
                [RECORD_SIZE_MAX]; /* one that is written or read: in the ring it may be in two pieces */
};

/* A child writes, later its parent does, and at last the next kernel's reader sees what there is: in program order. */
static void publish(libluo_log *log, size_t offset, uint64_t value) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        put_u64(log->memory + offset, value);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint64_t field(const libluo_log *log, size_t offset) {
        return get_u64(log->memory + offset);
}

/* Where a position of the endless log is in the ring, and how much of size bytes is there before it goes on at its start. */
static uint8_t *at(const libluo_log *log, uint64_t position, size_t size, size_t *ret_first) {
        uint64_t offset = position % log->ring_size;

        *ret_first = size < log->ring_size - offset ? size : (size_t) (log->ring_size - offset);
        return log->memory + log->header_size + offset;
}

static void ring_read(const libluo_log *log, uint64_t position, uint8_t *ret, size_t size) {
        size_t first;
        const uint8_t *p = at(log, position, size, &first);

        memcpy(ret, p, first);
        memcpy(ret + first, log->memory + log->header_size, size - first);
}

static void ring_write(libluo_log *log, uint64_t position, const uint8_t *data, size_t size) {
        size_t first;
        uint8_t *p = at(log, position, size, &first);

        memcpy(p, data, first);
        memcpy(log->memory + log->header_size, data + first, size - first);
}

static uint64_t record_size(size_t data_size) {
        return (RECORD_DATA + (uint64_t) data_size + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT *
                RECORD_ALIGNMENT;
}

static uint32_t record_checksum(const uint8_t *record, size_t data_size) {
        return libluo_internal_crc32c(
                0, record + RECORD_DATA_SIZE, RECORD_DATA - RECORD_DATA_SIZE + data_size);
}

LIBLUO_PUBLIC int libluo_log_new(const uint8_t machine_id[16], const uint8_t boot_id[16],
        uint64_t first_sequence, uint64_t size, libluo_log **ret_log) {
        libluo_log *log;
        int r;

        if (!machine_id || !boot_id || !ret_log || size < LIBLUO_LOG_SIZE_MIN || size > LIBLUO_LOG_SIZE_MAX ||
                size % 4096 != 0)
                return -EINVAL;

        log = malloc(sizeof(*log));
        if (!log)
                return -ENOMEM;
        *log = (libluo_log) {
                .writable = true,
                .fd = -1,
                .memory = MAP_FAILED,
                .size = (size_t) size,
                .header_size = HEADER_SIZE,
                .ring_size = size - HEADER_SIZE,
        };

        r = libluo_internal_filled_memfd("shutdown-log", log->size);
        if (r < 0)
                goto fail;
        log->fd = r;

        log->memory = mmap(NULL, log->size, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
        if (log->memory == MAP_FAILED) {
                r = LUO_CLOSED_SET(-errno, ENOMEM, ENFILE);
                goto fail;
        }

        /* LUO notes for each page whether it has content when the file is preserved, not when it is written to later. */
        memset(log->memory, 0, log->size);

        memcpy(log->memory + HEADER_SIGNATURE, signature, sizeof(signature));
        put_u32(log->memory + HEADER_HEADER_SIZE, HEADER_SIZE);
        put_u64(log->memory + HEADER_TOTAL_SIZE, size);
        memcpy(log->memory + HEADER_MACHINE_ID, machine_id, 16);
        memcpy(log->memory + HEADER_BOOT_ID, boot_id, 16);
        put_u32(log->memory + HEADER_CHECKSUM, libluo_internal_crc32c(0, log->memory, HEADER_CHECKSUM));
        put_u64(log->memory + HEADER_NEXT_SEQUENCE, first_sequence);
        put_u64(log->memory + HEADER_FIRST_SEQUENCE, first_sequence);

        *ret_log = log;
        return 0;

fail:
        (void) libluo_log_free(log);
        return r;
}

LIBLUO_PUBLIC libluo_log *libluo_log_free(libluo_log *log) {
        if (!log)
                return NULL;

        if (!log->writable)
                free(log->memory);
        else if (log->memory != MAP_FAILED)
                (void) munmap(log->memory, log->size);
        close_fd(log->fd);
        free(log);
        return NULL;
}

LIBLUO_PUBLIC int libluo_log_get_fd(const libluo_log *log) {
        return log && log->writable ? log->fd : -EINVAL;
}

/*
 * Puts the record that is in log->record into the ring. In this order, so that what stops it half-way does no harm: room is
 * made before anything is overwritten, and the new record counts once all of it is there.
 */
static void append(libluo_log *log, size_t data_size) {
        uint64_t begin = field(log, HEADER_BEGIN), end = field(log, HEADER_END), n_overwritten = 0,
                 size = record_size(data_size);

        while (end - begin + size > log->ring_size) {
                uint8_t oldest[RECORD_DATA];

                ring_read(log, begin, oldest, sizeof(oldest));
                begin += record_size(get_u32(oldest + RECORD_DATA_SIZE));
                n_overwritten++;
        }
        if (n_overwritten > 0) {
                publish(log, HEADER_OVERWRITTEN, field(log, HEADER_OVERWRITTEN) + n_overwritten);
                publish(log, HEADER_BEGIN, begin);
        }

        put_u32(log->record + RECORD_DATA_SIZE, (uint32_t) data_size);
        put_u32(log->record + RECORD_CHECKSUM, record_checksum(log->record, data_size));
        ring_write(log, end, log->record, RECORD_DATA + data_size);
        publish(log, HEADER_END, end + size);
}

/* The sequence number in "6,339,5140900,-;message", as Documentation/ABI/testing/dev-kmsg has it. Returns 0 or -EIO. */
static int parse_sequence(const uint8_t *data, size_t size, uint64_t *ret) {
        const uint8_t *p = memchr(data, ',', size), *end = data + size;
        uint64_t sequence = 0;

        if (!p)
                return -EIO;

        for (p++; p < end && *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(sequence, UINT64_C(10), &sequence) ||
                        __builtin_add_overflow(sequence, (uint64_t) (*p - '0'), &sequence))
                        return -EIO;

        /* One that is larger than all others would keep the rest out. */
        if (p == end || *p != ',' || p[-1] == ',' || sequence == UINT64_MAX ||
                !memchr(p, ';', (size_t) (end - p)))
                return -EIO;

        *ret = sequence;
        return 0;
}

LIBLUO_PUBLIC int libluo_log_drain(libluo_log *log, int kmsg_fd) {
        int result = 0;

        if (!log || !log->writable)
                return -EINVAL;

        for (unsigned i = 0; i < DRAIN_MAX; i++) {
                uint64_t sequence, next = field(log, HEADER_NEXT_SEQUENCE);
                ssize_t n;

                n = read(kmsg_fd, log->record + RECORD_DATA, LIBLUO_LOG_RECORD_MAX);
                if (n == 0)
                        return result;
                if (n < 0) {
                        if (errno == EAGAIN)
                                return result;
                        /* Overwritten before it was read (EPIPE), or too long (EINVAL): the next one's number tells. */
                        if (errno == EINTR || errno == EPIPE || errno == EINVAL)
                                continue;
                        return LUO_CLOSED_SET(-errno, EBADF);
                }

                if (parse_sequence(log->record + RECORD_DATA, (size_t) n, &sequence) < 0) {
                        result = -EIO;
                        continue;
                }
                if (sequence < next)
                        continue;

                put_u64(log->record + RECORD_SEQUENCE, sequence);
                put_u64(log->record + RECORD_REALTIME, clock_usec(CLOCK_REALTIME));
                put_u64(log->record + RECORD_MONOTONIC, now_usec());

                if (sequence > next)
                        publish(log, HEADER_MISSED, field(log, HEADER_MISSED) + (sequence - next));
                /* Before the record itself: cut off in between it is missing, the other way round it would be there twice */
                publish(log, HEADER_NEXT_SEQUENCE, sequence + 1);
                append(log, (size_t) n);
        }

        return -EAGAIN;
}

LIBLUO_PUBLIC int libluo_log_skip(libluo_log *log, uint64_t first_sequence) {
        if (!log || !log->writable)
                return -EINVAL;

        publish(log, HEADER_FIRST_REALTIME, clock_usec(CLOCK_REALTIME));
        publish(log, HEADER_FIRST_MONOTONIC, now_usec());

        /* What is missing before it, somebody else has had. */
        if (first_sequence > field(log, HEADER_FIRST_SEQUENCE))
                publish(log, HEADER_FIRST_SEQUENCE, first_sequence);
        if (first_sequence > field(log, HEADER_NEXT_SEQUENCE)) {
                publish(log, HEADER_NEXT_SEQUENCE, first_sequence);
                publish(log, HEADER_MISSED, 0);
        }
        return 0;
}

LIBLUO_PUBLIC int libluo_log_open(int fd, uint64_t max_size, libluo_log **ret_log) {
        libluo_log *log;
        uint64_t begin, end;
        int r;

        if (!ret_log)
                return -EINVAL;

        log = malloc(sizeof(*log));
        if (!log)
                return -ENOMEM;
        *log = (libluo_log) { .fd = -1 };

        r = libluo_internal_read_file(fd, max_size < LIBLUO_LOG_SIZE_MAX ? max_size : LIBLUO_LOG_SIZE_MAX,
                &log->memory, &log->size);
        if (r < 0)
                goto fail;

        r = -EBADMSG;
        if (log->size < HEADER_SIZE_MIN ||
                memcmp(log->memory + HEADER_SIGNATURE, signature, sizeof(signature)) != 0)
                goto fail;

        /* What comes after this may look different when one of these bits is set. */
        if (get_u32(log->memory + HEADER_INCOMPATIBLE) & ~INCOMPATIBLE_KNOWN) {
                r = -EPROTONOSUPPORT;
                goto fail;
        }

        log->header_size = get_u32(log->memory + HEADER_HEADER_SIZE);
        if (libluo_internal_crc32c(0, log->memory, HEADER_CHECKSUM) !=
                        get_u32(log->memory + HEADER_CHECKSUM) ||
                field(log, HEADER_TOTAL_SIZE) != log->size || log->header_size < HEADER_SIZE_MIN ||
                log->header_size >= log->size)
                goto fail;
        log->ring_size = log->size - log->header_size;

        begin = field(log, HEADER_BEGIN);
        end = field(log, HEADER_END);
        if (end < begin || end - begin > log->ring_size)
                goto fail;
        log->position = begin;

        *ret_log = log;
        return 0;

fail:
        (void) libluo_log_free(log);
        return r;
}

static uint64_t larger(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

LIBLUO_PUBLIC int libluo_log_next(libluo_log *log, libluo_log_record *ret_record) {
        uint64_t end;

        if (!log || log->writable || !ret_record)
                return -EINVAL;

        end = field(log, HEADER_END);
        while (!log->ended && log->position < end) {
                uint64_t left = end - log->position, size, sequence;
                size_t data_size;

                if (left < RECORD_DATA)
                        break;
                ring_read(log, log->position, log->record, RECORD_DATA);
                data_size = get_u32(log->record + RECORD_DATA_SIZE);
                size = record_size(data_size);
                if (data_size > LIBLUO_LOG_RECORD_MAX || size > left)
                        break;

                ring_read(log, log->position + RECORD_DATA, log->record + RECORD_DATA, data_size);
                log->position += size;

                sequence = get_u64(log->record + RECORD_SEQUENCE);
                if (record_checksum(log->record, data_size) != get_u32(log->record + RECORD_CHECKSUM) ||
                        (log->any && sequence <= log->last_sequence)) {
                        log->n_damaged++;
                        continue;
                }

                log->any = true;
                log->last_sequence = sequence;
                if (sequence < field(log, HEADER_FIRST_SEQUENCE))
                        continue;

                *ret_record = (libluo_log_record) {
                        .sequence = sequence,
                        .realtime_usec = larger(
                                get_u64(log->record + RECORD_REALTIME), field(log, HEADER_FIRST_REALTIME)),
                        .monotonic_usec = larger(
                                get_u64(log->record + RECORD_MONOTONIC), field(log, HEADER_FIRST_MONOTONIC)),
                        .data = (const char *) log->record + RECORD_DATA,
                        .size = data_size,
                };
                return 1;
        }

        /* Where the next one would begin is not known: whatever is there counts as one. */
        if (!log->ended && log->position < end)
                log->n_damaged++;
        log->ended = true;
        return 0;
}

LIBLUO_PUBLIC int libluo_log_get_info(const libluo_log *log, libluo_log_info *ret_info, size_t info_size) {
        libluo_log_info info = {};

        if (!log || !ret_info)
                return -EINVAL;

        memcpy(info.machine_id, log->memory + HEADER_MACHINE_ID, 16);
        memcpy(info.boot_id, log->memory + HEADER_BOOT_ID, 16);
        info.size = log->size;
        info.first_sequence = field(log, HEADER_FIRST_SEQUENCE);
        info.next_sequence = field(log, HEADER_NEXT_SEQUENCE);
        info.n_missed = field(log, HEADER_MISSED);
        info.n_overwritten = field(log, HEADER_OVERWRITTEN);
        info.n_damaged = log->n_damaged;

        copy_sized(ret_info, info_size, &info, sizeof(info));
        return 0;
}
