/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "internal.h"
#include "test.h"

/* Sizes of what libluo writes today, see docs/format.md */
#define HEADER 96
#define ENTRY 80
#define N_SAMPLES 6

static struct luo_index_entry sample_entries[N_SAMPLES] = {
        { .public = { .name = "state",
                  .token = 1,
                  .open_flags = O_RDWR,
                  .mode = 0600,
                  .uid = 1000,
                  .gid = 100,
                  .offset = 5,
                  .size = 40960,
                  .allocated = 4096,
                  .holes = 8192 + 4096 },
                .first_hole = 0,
                .n_holes = 2 },
        { .public = { .name = "state",
                  .token = 2,
                  .open_flags = O_RDONLY,
                  .mode = 0444,
                  .flags = LIBLUO_ENTRY_NO_POLL },
                .owner = 1 },
        { .public = { .name = "", .token = 3, .open_flags = O_WRONLY | O_APPEND, .mode = 0777 }, .owner = 2 },
        { .public = { .name = "a socket", .lost = EOPNOTSUPP, .open_flags = O_RDWR }, .owner = 3 },
        { .public = { .name = "again",
                  .token = 2,
                  .open_flags = O_RDWR,
                  .flags = LIBLUO_ENTRY_NO_POLL | LIBLUO_ENTRY_DUPLICATE },
                .owner = 1 },
        { .public = { .name = "elsewhere", .token = 2, .open_flags = O_RDWR, .flags = LIBLUO_ENTRY_SHARED },
                .owner = 5 },
};

static struct luo_hole sample_holes[] = { { 4096, 8192 }, { 20480, 4096 } };

static const struct luo_index sample = {
        .entries = sample_entries,
        .n_entries = ELEMENTS(sample_entries),
        .holes = sample_holes,
        .n_holes = ELEMENTS(sample_holes),
        .shared_session = "fds-shared",
};

static uint8_t *encode(size_t *ret_size) {
        uint8_t *data;

        REQUIRE(libluo_internal_index_encode(&sample, &data, ret_size) == 0);
        return data;
}

/* Makes a change good again for the checksum, so that the check behind it is what is tested. */
static void fix_checksum(uint8_t *data, size_t size) {
        put_u32(data + 60, 0);
        put_u32(data + 60, libluo_internal_crc32c(0, data, size));
}

static int decode(const uint8_t *data, size_t size) {
        struct luo_index index = {};
        uint8_t *copy;
        int r;

        /* In a buffer of exactly this size, for the address sanitizer */
        copy = malloc(size ? size : 1);
        REQUIRE(copy);
        memcpy(copy, data, size);
        r = libluo_internal_index_decode(copy, size, &index);
        free(copy);
        if (r < 0)
                CHECK(!index.entries && !index.names && !index.holes && !index.by_token &&
                        index.n_entries == 0); /* untouched on failure */
        libluo_internal_index_done(&index);
        return r;
}

static void test_crc32c(void) {
        /* The check value of CRC-32C, RFC 3720 appendix B.4 has more of them */
        CHECK_EQUAL(libluo_internal_crc32c(0, (const uint8_t *) "123456789", 9), 0xe3069283u);

        uint8_t zeroes[32] = {};
        CHECK_EQUAL(libluo_internal_crc32c(0, zeroes, sizeof(zeroes)), 0x8a9136aau);
        CHECK_EQUAL(
                libluo_internal_crc32c(libluo_internal_crc32c(0, zeroes, 10), zeroes + 10, 22), 0x8a9136aau);
}

static void test_round_trip(void) {
        struct luo_index index;
        uint8_t *data;
        size_t size;

        data = encode(&size);
        CHECK_EQUAL(size,
                HEADER + N_SAMPLES * ENTRY + strlen("fds-sharedstatestatea socketagainelsewhere") + 2 * 16);
        REQUIRE(libluo_internal_index_decode(data, size, &index) == 0);
        free(data);

        CHECK_EQUAL(index.n_entries, N_SAMPLES);
        for (size_t i = 0; i < index.n_entries; i++) {
                const libluo_entry *a = &index.entries[i].public, *b = &sample_entries[i].public;

                CHECK_STRING(a->name, b->name);
                CHECK_EQUAL(a->token, b->token);
                CHECK_EQUAL(a->lost, b->lost);
                CHECK_EQUAL(a->flags, b->flags);
                CHECK_EQUAL(a->open_flags, b->open_flags);
                CHECK_EQUAL(a->mode, b->mode);
                CHECK_EQUAL(a->uid, b->uid);
                CHECK_EQUAL(a->gid, b->gid);
                CHECK_EQUAL(a->offset, b->offset);
                CHECK_EQUAL(a->size, b->size);
                CHECK_EQUAL(a->allocated, b->allocated);
                CHECK_EQUAL(a->holes, b->holes);
                CHECK(a->memory >= b->memory && (a->lost || a->memory >= a->size));
                CHECK_EQUAL(index.entries[i].owner, sample_entries[i].owner);
                CHECK_EQUAL(index.entries[i].n_holes, sample_entries[i].n_holes);
        }
        CHECK_EQUAL(index.n_holes, 2);
        CHECK(memcmp(index.holes, sample_holes, sizeof(sample_holes)) == 0);
        CHECK_STRING(index.shared_session, "fds-shared");
        CHECK(libluo_internal_index_find(&index, 3) == index.entries + 2);
        CHECK(!libluo_internal_index_find(&index, 4));
        libluo_internal_index_done(&index);
}

static void test_empty(void) {
        struct luo_index index = {};
        uint8_t *data;
        size_t size;

        REQUIRE(libluo_internal_index_encode(&index, &data, &size) == 0);
        CHECK_EQUAL(size, HEADER);
        CHECK_EQUAL(libluo_internal_index_decode(data, size, &index), 0);
        CHECK_EQUAL(index.n_entries, 0);
        CHECK_EQUAL(index.shared_session[0], 0);
        libluo_internal_index_done(&index);
        free(data);
}

/* What version 0.1 wrote has to be read for ever: this is one entry, name "x", byte by byte as in docs/format.md. */
static void test_golden(void) {
        /* clang-format off */
        static const uint8_t golden[129] = {
                'L', 'U', 'O', 'I', 'N', 'D', 'E', 'X', 0, 0, 0, 0, 0, 0, 0, 0,   /* signature, features */
                64, 0, 0, 0, 64, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,                 /* sizes, 1 entry */
                1, 0, 0, 0, 0, 0, 0, 0, 129, 0, 0, 0, 0, 0, 0, 0,                 /* names, total */
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x17, 0x30, 0xde, 0x20,       /* checksum */
                1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,                   /* token 1, name */
                1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0x80, 1, 0, 0,                /* no poll; O_RDONLY|O_APPEND, 0600 */
                0xe8, 3, 0, 0, 0xe9, 3, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,             /* uid 1000, gid 1001, offset 2 */
                0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,             /* size 8192, 4096 of it allocated */
                'x',
        };
        /* clang-format on */
        struct luo_index index;

        REQUIRE(libluo_internal_index_decode(golden, sizeof(golden), &index) == 0);
        CHECK_EQUAL(index.n_entries, 1);
        CHECK_STRING(index.entries[0].public.name, "x");
        CHECK_EQUAL(index.entries[0].public.token, 1);
        CHECK_EQUAL(index.entries[0].public.flags, LIBLUO_ENTRY_NO_POLL);
        CHECK_EQUAL(index.entries[0].public.open_flags, O_RDONLY | O_APPEND);
        CHECK_EQUAL(index.entries[0].public.mode, 0600);
        CHECK_EQUAL(index.entries[0].public.uid, 1000);
        CHECK_EQUAL(index.entries[0].public.gid, 1001);
        CHECK_EQUAL(index.entries[0].public.offset, 2);
        CHECK_EQUAL(index.entries[0].public.size, 8192);
        CHECK_EQUAL(index.entries[0].public.allocated, 4096);

        CHECK_EQUAL(index.entries[0].public.holes, 0);
        libluo_internal_index_done(&index);
}

static void test_every_truncation(void) {
        uint8_t *data;
        size_t size;

        data = encode(&size);
        for (size_t i = 0; i < size; i++)
                CHECK_EQUAL(decode(data, i), -EBADMSG);
        free(data);
}

static void test_every_flipped_bit(void) {
        uint8_t *data;
        size_t size;

        data = encode(&size);
        for (size_t i = 0; i < size * 8; i++) {
                int r;

                data[i / 8] ^= (uint8_t) (1 << i % 8);
                r = decode(data, size);
                /* Incompatible features that are not known are looked at before all else, the checksum included */
                CHECK(r == (i > 12 * 8 && i < 16 * 8 ? -EPROTONOSUPPORT : -EBADMSG));
                data[i / 8] ^= (uint8_t) (1 << i % 8);
        }
        free(data);
}

static void test_too_long(void) {
        uint8_t *data, *longer;
        size_t size;

        data = encode(&size);
        longer = calloc(1, size + 1);
        REQUIRE(longer);
        memcpy(longer, data, size);
        CHECK_EQUAL(decode(longer, size + 1), -EBADMSG);
        free(longer);
        free(data);
}

static void test_features(void) {
        uint32_t compatible, incompatible, unknown;
        uint8_t *data;
        size_t size;

        data = encode(&size);

        put_u32(data + 8, 0xffffffff); /* features that a reader may ignore */
        fix_checksum(data, size);
        CHECK_EQUAL(decode(data, size), 0);

        CHECK_EQUAL(libluo_internal_index_features(data, size, &compatible, &incompatible, &unknown), 0);
        CHECK_EQUAL(compatible, 0xffffffff);
        CHECK_EQUAL(incompatible, 1);
        CHECK_EQUAL(unknown, 0);

        put_u32(data + 12, 0x81); /* one without which it would get things wrong */
        fix_checksum(data, size);
        CHECK_EQUAL(decode(data, size), -EPROTONOSUPPORT);
        CHECK_EQUAL(libluo_internal_index_features(data, size, NULL, NULL, &unknown), 0);
        CHECK_EQUAL(unknown, 0x80);
        CHECK_EQUAL(libluo_internal_index_features(data, 63, NULL, NULL, &unknown), -EBADMSG);

        /* Duplicates without the feature that says so */
        put_u32(data + 12, 0);
        fix_checksum(data, size);
        CHECK_EQUAL(decode(data, size), -EBADMSG);
        free(data);
}

/* A later version may have longer headers and entries. */
static void test_longer_parts(void) {
        uint8_t *data, longer[HEADER + 8 + ENTRY + 8 + 1] = {};
        struct luo_index_entry e = { .public = { .name = "n", .token = 9, .open_flags = O_RDWR } };
        struct luo_index one = { .entries = &e, .n_entries = 1 }, index;
        size_t size;

        REQUIRE(libluo_internal_index_encode(&one, &data, &size) == 0);
        memcpy(longer, data, HEADER);
        memcpy(longer + HEADER + 8, data + HEADER, ENTRY);
        longer[sizeof(longer) - 1] = 'n';
        put_u32(longer + 16, HEADER + 8);
        put_u32(longer + 20, ENTRY + 8);
        put_u32(longer + 40, sizeof(longer));
        fix_checksum(longer, sizeof(longer));
        REQUIRE(libluo_internal_index_decode(longer, sizeof(longer), &index) == 0);
        CHECK_STRING(index.entries[0].public.name, "n");
        CHECK_EQUAL(index.entries[0].public.token, 9);
        libluo_internal_index_done(&index);
        free(data);
}

#define FIELD(entry, offset) (HEADER + (entry) * ENTRY + (offset))
#define HOLE(number, offset) (HEADER + N_SAMPLES * ENTRY + 42 + (number) * 16 + (offset))

/* Everything the previous system says may be a lie: one field at a time, with a good checksum. */
static void test_hostile_fields(void) {
        static const struct {
                const char *what;
                size_t offset;
                uint32_t value;
        } lies[] = {
                { "header too small", 16, 63 },
                { "header too large", 16, 0xffffffff },
                { "entry too small", 20, 63 },
                { "entry too large", 20, 0xffffffff },
                { "more entries than there are", 24, 7 },
                { "very many entries", 24, 0xffffffff },
                { "too many entries by the upper half", 28, 0x80000000 },
                { "names too large", 32, 0xffffffff },
                { "names too large by the upper half", 36, 0xffffffff },
                { "total too small", 40, 64 },
                { "total by the upper half", 44, 1 },
                { "shared session's name starts behind the end", 64, 0xffffffff },
                { "shared session's name ends behind the end", 68, 0xffffffff },
                { "shared session's name too long", 68, 64 },
                { "shared entries and no shared session", 68, 0 },
                { "holes start behind the end", 72, 0xffff },
                { "holes by the upper half", 76, 1 },
                { "fewer holes than entries say", 80, 1 },
                { "more holes than entries say", 80, 3 },
                { "very many holes", 80, 0xffffffff },
                { "holes by the upper half of their number", 84, 0x10000000 },
                { "token is that of the index", FIELD(0, 0), 0 },
                { "token twice", FIELD(0, 0), 3 },
                { "name starts behind the end", FIELD(0, 8), 0xffffffff },
                { "name ends behind the end", FIELD(0, 12), 200 },
                { "name of 4 GiB", FIELD(0, 12), 0xffffffff },
                { "lost, and yet a token", FIELD(0, 20), 5 },
                { "lost for no known reason", FIELD(3, 20), 4096 },
                { "neither lost nor a token", FIELD(3, 20), 0 },
                { "access mode 3", FIELD(0, 24), 3 },
                { "open flags from the future", FIELD(0, 24), 8 },
                { "mode with file type", FIELD(0, 28), 0100600 },
                { "negative offset", FIELD(0, 44), 0x80000000 },
                { "negative size", FIELD(0, 52), 0x80000000 },
                { "more holes than there are", FIELD(0, 64), 3 },
                { "holes of a file that was lost", FIELD(3, 64), 1 },
                { "holes of a duplicate", FIELD(4, 64), 1 },
                { "a duplicate of nothing", FIELD(4, 0), 77 },
                { "a duplicate of a later entry", FIELD(0, 16), LIBLUO_ENTRY_DUPLICATE },
                { "a duplicate that is shared", FIELD(4, 16), LIBLUO_ENTRY_DUPLICATE | LIBLUO_ENTRY_SHARED },
                { "a lost file that is shared", FIELD(3, 16), LIBLUO_ENTRY_SHARED },
                { "holes out of order", HOLE(1, 0), 4096 },
                { "holes that touch a negative offset", HOLE(0, 4), 0x80000000 },
                { "an empty hole", HOLE(0, 8), 0 },
                { "a hole behind the end of the file", HOLE(1, 0), 36865 },
                { "a hole as large as all", HOLE(0, 12), 0x80000000 },
        };

        for (size_t i = 0; i < ELEMENTS(lies); i++) {
                uint8_t *data;
                size_t size;
                int r;

                data = encode(&size);
                put_u32(data + lies[i].offset, lies[i].value);
                fix_checksum(data, size);
                r = decode(data, size);
                if (r != -EBADMSG)
                        printf("# %s: %i\n", lies[i].what, r);
                CHECK_EQUAL(r, -EBADMSG);
                free(data);
        }
}

static void test_hostile_names(void) {
        static const char bad[] = { 0, '\n', ':', 127, (char) 0x80, '\t' };

        for (size_t i = 0; i < sizeof(bad); i++) {
                uint8_t *data;
                size_t size;

                data = encode(&size);
                data[HEADER + N_SAMPLES * ENTRY + strlen("fds-shared") + 1] = (uint8_t) bad[i];
                fix_checksum(data, size);
                CHECK_EQUAL(decode(data, size), -EBADMSG);
                free(data);
        }
}

/* A NUL would make the name of the shared session another one. */
static void test_hostile_shared_name(void) {
        uint8_t *data;
        size_t size;

        data = encode(&size);
        data[HEADER + N_SAMPLES * ENTRY + 3] = 0;
        fix_checksum(data, size);
        CHECK_EQUAL(decode(data, size), -EBADMSG);
        free(data);
}

/* Many entries may point at the same bytes: what that costs has to be bounded by their number. */
static void test_shared_names(void) {
        static struct luo_index_entry entries[300];
        struct luo_index many = { .entries = entries, .n_entries = ELEMENTS(entries) }, index;
        char name[LIBLUO_ENTRY_NAME_MAX + 1];
        uint8_t *data;
        size_t size;

        memset(name, 'n', sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        for (size_t i = 0; i < ELEMENTS(entries); i++)
                entries[i].public =
                        (libluo_entry) { .name = i == 0 ? name : "", .token = i + 1, .open_flags = O_RDWR };

        REQUIRE(libluo_internal_index_encode(&many, &data, &size) == 0);
        for (size_t i = 0; i < ELEMENTS(entries); i++) {
                put_u32(data + FIELD(i, 8), 0);
                put_u32(data + FIELD(i, 12), LIBLUO_ENTRY_NAME_MAX);
        }
        CHECK_EQUAL(size, HEADER + ELEMENTS(entries) * ENTRY + LIBLUO_ENTRY_NAME_MAX);
        fix_checksum(data, size);
        REQUIRE(libluo_internal_index_decode(data, size, &index) == 0);
        CHECK_STRING(index.entries[299].public.name, name);
        libluo_internal_index_done(&index);
        free(data);
}

static void test_entry_names(void) {
        char name[LIBLUO_ENTRY_NAME_MAX + 2];

        memset(name, 'a', sizeof(name));
        CHECK(libluo_internal_entry_name_is_valid("", 0));
        CHECK(libluo_internal_entry_name_is_valid("a b/c\\d~", 8));
        CHECK(libluo_internal_entry_name_is_valid(name, LIBLUO_ENTRY_NAME_MAX));
        CHECK(!libluo_internal_entry_name_is_valid(name, LIBLUO_ENTRY_NAME_MAX + 1));
        CHECK(!libluo_internal_entry_name_is_valid("a:b", 3));
        CHECK(!libluo_internal_entry_name_is_valid("a\nb", 3));
        CHECK(!libluo_internal_entry_name_is_valid("\303\244", 2));
}

static const struct test_case cases[] = {
        { "CRC-32C", test_crc32c },
        { "round trip", test_round_trip },
        { "an empty index", test_empty },
        { "the golden index of format version 1", test_golden },
        { "cut off anywhere", test_every_truncation },
        { "any bit flipped", test_every_flipped_bit },
        { "one byte too many", test_too_long },
        { "compatible and incompatible features", test_features },
        { "longer header and entries", test_longer_parts },
        { "hostile fields", test_hostile_fields },
        { "hostile names", test_hostile_names },
        { "a hostile name of the shared session", test_hostile_shared_name },
        { "names that share bytes", test_shared_names },
        { "which names are valid", test_entry_names },
};

TEST_MAIN(cases)
