/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "internal.h"
#include "test.h"

static const libluo_entry sample[] = {
        { .name = "state",
                .token = 1,
                .open_flags = O_RDWR,
                .mode = 0600,
                .uid = 1000,
                .gid = 100,
                .offset = 5,
                .size = 4096,
                .allocated = 4096 },
        { .name = "state", .token = 2, .open_flags = O_RDONLY, .mode = 0444, .flags = LIBLUO_ENTRY_NO_POLL },
        { .name = "", .token = 3, .open_flags = O_WRONLY | O_APPEND, .mode = 0777 },
        { .name = "a socket", .lost = EOPNOTSUPP, .open_flags = O_RDWR },
};

static uint8_t *encode(size_t *ret_size) {
        uint8_t *data;

        REQUIRE(libluo_internal_index_encode(sample, ELEMENTS(sample), &data, ret_size) == 0);
        return data;
}

static void put_u32(uint8_t *p, uint32_t value) {
        for (unsigned i = 0; i < 4; i++)
                p[i] = (uint8_t) (value >> (8 * i));
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
                CHECK(!index.entries && !index.names && index.n_entries == 0); /* untouched on failure */
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
        CHECK_EQUAL(size, 64 + 4 * 64 + strlen("statestatea socket"));
        REQUIRE(libluo_internal_index_decode(data, size, &index) == 0);
        free(data);

        CHECK_EQUAL(index.n_entries, ELEMENTS(sample));
        for (size_t i = 0; i < index.n_entries; i++) {
                const libluo_entry *a = index.entries + i, *b = sample + i;

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
        }
        libluo_internal_index_done(&index);
}

static void test_empty(void) {
        struct luo_index index;
        uint8_t *data;
        size_t size;

        REQUIRE(libluo_internal_index_encode(NULL, 0, &data, &size) == 0);
        CHECK_EQUAL(size, 64);
        CHECK_EQUAL(libluo_internal_index_decode(data, size, &index), 0);
        CHECK_EQUAL(index.n_entries, 0);
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
        uint8_t *data;
        size_t size;

        REQUIRE(libluo_internal_index_decode(golden, sizeof(golden), &index) == 0);
        CHECK_EQUAL(index.n_entries, 1);
        CHECK_STRING(index.entries[0].name, "x");
        CHECK_EQUAL(index.entries[0].token, 1);
        CHECK_EQUAL(index.entries[0].flags, LIBLUO_ENTRY_NO_POLL);
        CHECK_EQUAL(index.entries[0].open_flags, O_RDONLY | O_APPEND);
        CHECK_EQUAL(index.entries[0].mode, 0600);
        CHECK_EQUAL(index.entries[0].uid, 1000);
        CHECK_EQUAL(index.entries[0].gid, 1001);
        CHECK_EQUAL(index.entries[0].offset, 2);
        CHECK_EQUAL(index.entries[0].size, 8192);
        CHECK_EQUAL(index.entries[0].allocated, 4096);

        REQUIRE(libluo_internal_index_encode(index.entries, index.n_entries, &data, &size) == 0);
        CHECK_EQUAL(size, sizeof(golden));
        CHECK(memcmp(data, golden, sizeof(golden)) == 0);
        free(data);
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
                /* The incompatible features are looked at before all else, the checksum included */
                CHECK(r == (i / 8 >= 12 && i / 8 < 16 ? -EPROTONOSUPPORT : -EBADMSG));
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
        uint8_t *data;
        size_t size;

        data = encode(&size);

        put_u32(data + 8, 0xffffffff); /* features that a reader may ignore */
        fix_checksum(data, size);
        CHECK_EQUAL(decode(data, size), 0);

        put_u32(data + 12, 1); /* one without which it would get things wrong */
        fix_checksum(data, size);
        CHECK_EQUAL(decode(data, size), -EPROTONOSUPPORT);
        free(data);
}

/* A later version may have longer headers and entries. */
static void test_longer_parts(void) {
        uint8_t *data, longer[64 + 8 + 72 + 1] = {};
        libluo_entry e = { .name = "n", .token = 9, .open_flags = O_RDWR };
        struct luo_index index;
        size_t size;

        REQUIRE(libluo_internal_index_encode(&e, 1, &data, &size) == 0);
        memcpy(longer, data, 64);
        memcpy(longer + 72, data + 64, 64);
        longer[72 + 72] = 'n';
        put_u32(longer + 16, 72);
        put_u32(longer + 20, 72);
        put_u32(longer + 40, sizeof(longer));
        fix_checksum(longer, sizeof(longer));
        REQUIRE(libluo_internal_index_decode(longer, sizeof(longer), &index) == 0);
        CHECK_STRING(index.entries[0].name, "n");
        CHECK_EQUAL(index.entries[0].token, 9);
        libluo_internal_index_done(&index);
        free(data);
}

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
                { "more entries than there are", 24, 5 },
                { "very many entries", 24, 0xffffffff },
                { "too many entries by the upper half", 28, 0x80000000 },
                { "names too large", 32, 0xffffffff },
                { "names too large by the upper half", 36, 0xffffffff },
                { "total too small", 40, 64 },
                { "total by the upper half", 44, 1 },
                { "token is that of the index", 64, 0 },
                { "token twice", 64, 2 },
                { "name starts behind the end", 64 + 8, 0xffffffff },
                { "name ends behind the end", 64 + 12, 200 },
                { "name of 4 GiB", 64 + 12, 0xffffffff },
                { "lost, and yet a token", 64 + 20, 5 },
                { "lost for no known reason", 64 + 3 * 64 + 20, 4096 },
                { "neither lost nor a token", 64 + 3 * 64 + 20, 0 },
                { "access mode 3", 64 + 24, 3 },
                { "open flags from the future", 64 + 24, 8 },
                { "mode with file type", 64 + 28, 0100600 },
                { "negative offset", 64 + 44, 0x80000000 },
                { "negative size", 64 + 52, 0x80000000 },
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
                data[64 + 4 * 64 + 1] = (uint8_t) bad[i];
                fix_checksum(data, size);
                CHECK_EQUAL(decode(data, size), -EBADMSG);
                free(data);
        }
}

/* Many entries may point at the same bytes: what that costs has to be bounded by their number. */
static void test_shared_names(void) {
        libluo_entry entries[300];
        char name[LIBLUO_ENTRY_NAME_MAX + 1];
        struct luo_index index;
        uint8_t *data;
        size_t size, names_start = 64 + ELEMENTS(entries) * 64;

        memset(name, 'n', sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        for (size_t i = 0; i < ELEMENTS(entries); i++)
                entries[i] =
                        (libluo_entry) { .name = i == 0 ? name : "", .token = i + 1, .open_flags = O_RDWR };

        REQUIRE(libluo_internal_index_encode(entries, ELEMENTS(entries), &data, &size) == 0);
        for (size_t i = 0; i < ELEMENTS(entries); i++) {
                put_u32(data + 64 + i * 64 + 8, 0);
                put_u32(data + 64 + i * 64 + 12, LIBLUO_ENTRY_NAME_MAX);
        }
        CHECK_EQUAL(size, names_start + LIBLUO_ENTRY_NAME_MAX);
        fix_checksum(data, size);
        REQUIRE(libluo_internal_index_decode(data, size, &index) == 0);
        CHECK_STRING(index.entries[299].name, name);
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
        { "names that share bytes", test_shared_names },
        { "which names are valid", test_entry_names },
};

TEST_MAIN(cases)
