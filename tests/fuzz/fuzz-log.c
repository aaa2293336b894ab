/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The reader of a shutdown's log, fed with anything: numbers have to go up, records to be no longer than they may be, and
 * an end to be there. Checksums keep random changes out: each input is also tried with good ones.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "internal.h"

#define REQUIRE(expression)                                                                                  \
        do {                                                                                                 \
                if (!(expression))                                                                           \
                        abort();                                                                             \
        } while (0)

/* See docs/format.md */
enum { HEADER_SIZE = 16, CHECKSUM = 64, BEGIN = 152, HEADER_MIN = 192, RECORD_SIZE = 4, RECORD_MIN = 32 };

static void try_log(const uint8_t *data, size_t size) {
        libluo_log *log = NULL;
        libluo_log_record record;
        libluo_log_info info;
        uint64_t last = 0, total = 0;
        int fd, r;

        fd = libluo_internal_sealed_memfd("log", data, size);
        REQUIRE(fd >= 0);
        r = libluo_log_open(fd, LIBLUO_LOG_SIZE_MAX, &log);
        close_fd(fd);
        REQUIRE(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
        if (r < 0) {
                REQUIRE(!log);
                return;
        }

        for (size_t n = 0; (r = libluo_log_next(log, &record)) > 0; n++) {
                REQUIRE(n == 0 || record.sequence > last);
                REQUIRE(record.size <= LIBLUO_LOG_RECORD_MAX);
                for (size_t i = 0; i < record.size; i++)
                        total += (uint8_t) record.data[i];
                last = record.sequence;
                REQUIRE(n < size);
        }
        REQUIRE(r == 0 && libluo_log_next(log, &record) == 0);
        REQUIRE(libluo_log_get_info(log, &info, sizeof(info)) == 0 && info.size == size);
        REQUIRE(total <= size * 255);
        REQUIRE(!libluo_log_free(log));
}

/* Gives a log that does not reach round the end of its ring good checksums. */
static void mend(uint8_t *data, size_t size) {
        size_t header_size = get_u32(data + HEADER_SIZE), at;

        put_u32(data + CHECKSUM, libluo_internal_crc32c(0, data, CHECKSUM));
        if (header_size < HEADER_MIN || header_size >= size)
                return;

        at = header_size + get_u64(data + BEGIN) % (size - header_size);
        while (size - at >= RECORD_MIN) {
                size_t data_size = get_u32(data + at + RECORD_SIZE);

                if (data_size > size - at - RECORD_MIN)
                        break;
                put_u32(data + at, libluo_internal_crc32c(0, data + at + 4, RECORD_MIN - 4 + data_size));
                at += (RECORD_MIN + data_size + 7) / 8 * 8;
                if (at > size)
                        break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t *copy;

        try_log(data, size);
        if (size < HEADER_MIN)
                return 0;

        copy = malloc(size);
        REQUIRE(copy);
        memcpy(copy, data, size);
        mend(copy, size);
        try_log(copy, size);
        free(copy);
        return 0;
}
