/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * docs/format.md describes the format; this is the one writer and the one reader. All integers are little endian.
 */

static const uint8_t signature[8] = { 'L', 'U', 'O', 'I', 'N', 'D', 'E', 'X' };

/* Features that a reader may ignore, and those without which it would get things wrong. None so far. */
#define COMPATIBLE_KNOWN UINT32_C(0)
#define INCOMPATIBLE_KNOWN UINT32_C(0)

/* Offsets in the header */
enum {
        HEADER_SIGNATURE = 0,     /* 8 bytes */
        HEADER_COMPATIBLE = 8,    /* u32 */
        HEADER_INCOMPATIBLE = 12, /* u32 */
        HEADER_HEADER_SIZE = 16,  /* u32 */
        HEADER_ENTRY_SIZE = 20,   /* u32 */
        HEADER_N_ENTRIES = 24,    /* u64 */
        HEADER_NAMES_SIZE = 32,   /* u64 */
        HEADER_TOTAL_SIZE = 40,   /* u64 */
        HEADER_RESERVED = 48,     /* 12 bytes, zero */
        HEADER_CHECKSUM = 60,     /* u32 */
        HEADER_SIZE = 64,
};

/* Offsets in an entry */
enum {
        ENTRY_TOKEN = 0,         /* u64 */
        ENTRY_NAME_OFFSET = 8,   /* u32, from the start of the names */
        ENTRY_NAME_SIZE = 12,    /* u32 */
        ENTRY_FLAGS = 16,        /* u32 */
        ENTRY_LOST = 20,         /* u32 */
        ENTRY_OPEN_FLAGS = 24,   /* u32 */
        ENTRY_MODE = 28,         /* u32 */
        ENTRY_UID = 32,          /* u32 */
        ENTRY_GID = 36,          /* u32 */
        ENTRY_OFFSET = 40,       /* u64 */
        ENTRY_CONTENT_SIZE = 48, /* u64 */
        ENTRY_ALLOCATED = 56,    /* u64 */
        ENTRY_SIZE = 64,
};

/* How open flags are stored: O_ values differ between architectures. */
#define OPEN_ACCESS_MASK UINT32_C(3)
#define OPEN_READ_ONLY UINT32_C(0)
#define OPEN_WRITE_ONLY UINT32_C(1)
#define OPEN_READ_WRITE UINT32_C(2)
#define OPEN_APPEND UINT32_C(4)

static void put_u32(uint8_t *p, uint32_t value) {
        for (unsigned i = 0; i < 4; i++)
                p[i] = (uint8_t) (value >> (8 * i));
}

static void put_u64(uint8_t *p, uint64_t value) {
        for (unsigned i = 0; i < 8; i++)
                p[i] = (uint8_t) (value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *p) {
        return p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static uint64_t get_u64(const uint8_t *p) {
        return get_u32(p) | (uint64_t) get_u32(p + 4) << 32;
}

uint32_t libluo_internal_crc32c(uint32_t crc, const uint8_t *data, size_t size) {
        /* Castagnoli's polynomial, reflected, four bits at a time */
        static const uint32_t table[16] = {
                0x00000000,
                0x105ec76f,
                0x20bd8ede,
                0x30e349b1,
                0x417b1dbc,
                0x5125dad3,
                0x61c69362,
                0x7198540d,
                0x82f63b78,
                0x92a8fc17,
                0xa24bb5a6,
                0xb21572c9,
                0xc38d26c4,
                0xd3d3e1ab,
                0xe330a81a,
                0xf36e6f75,
        };

        crc = ~crc;
        for (size_t i = 0; i < size; i++) {
                crc ^= data[i];
                crc = crc >> 4 ^ table[crc & 15];
                crc = crc >> 4 ^ table[crc & 15];
        }

        return ~crc;
}

/* The checksum covers the whole index, with the checksum's own bytes taken as zero. */
static uint32_t index_checksum(const uint8_t *data, size_t size) {
        static const uint8_t zero[4];
        uint32_t crc;

        crc = libluo_internal_crc32c(0, data, HEADER_CHECKSUM);
        crc = libluo_internal_crc32c(crc, zero, sizeof(zero));
        return libluo_internal_crc32c(crc, data + HEADER_CHECKSUM + 4, size - HEADER_CHECKSUM - 4);
}

bool libluo_internal_entry_name_is_valid(const char *name, size_t length) {
        if (length > LIBLUO_ENTRY_NAME_MAX)
                return false;

        for (size_t i = 0; i < length; i++)
                if (name[i] < ' ' || name[i] >= 127 || name[i] == ':')
                        return false;

        return true;
}

static uint32_t open_flags_encode(int flags) {
        uint32_t access;

        switch (flags & O_ACCMODE) {
        case O_RDONLY:
                access = OPEN_READ_ONLY;
                break;
        case O_WRONLY:
                access = OPEN_WRITE_ONLY;
                break;
        default:
                access = OPEN_READ_WRITE;
        }

        return access | (flags & O_APPEND ? OPEN_APPEND : 0);
}

static int open_flags_decode(uint32_t value, int *ret_flags) {
        int flags;

        switch (value & OPEN_ACCESS_MASK) {
        case OPEN_READ_ONLY:
                flags = O_RDONLY;
                break;
        case OPEN_WRITE_ONLY:
                flags = O_WRONLY;
                break;
        case OPEN_READ_WRITE:
                flags = O_RDWR;
                break;
        default:
                return -EBADMSG;
        }

        if (value & ~(OPEN_ACCESS_MASK | OPEN_APPEND))
                return -EBADMSG;

        *ret_flags = flags | (value & OPEN_APPEND ? O_APPEND : 0);
        return 0;
}

int libluo_internal_index_encode(
        const libluo_entry *entries, size_t n_entries, uint8_t **ret_data, size_t *ret_size) {
        size_t names_size = 0, names_start, total, name_offset = 0;
        uint8_t *data;

        if (n_entries > LIBLUO_BUNDLE_ENTRIES_MAX)
                return -E2BIG;

        for (size_t i = 0; i < n_entries; i++)
                names_size += strlen(entries[i].name);

        names_start = HEADER_SIZE + n_entries * ENTRY_SIZE;
        total = names_start + names_size;

        data = calloc(1, total);
        if (!data)
                return -ENOMEM;

        memcpy(data + HEADER_SIGNATURE, signature, sizeof(signature));
        put_u32(data + HEADER_HEADER_SIZE, HEADER_SIZE);
        put_u32(data + HEADER_ENTRY_SIZE, ENTRY_SIZE);
        put_u64(data + HEADER_N_ENTRIES, n_entries);
        put_u64(data + HEADER_NAMES_SIZE, names_size);
        put_u64(data + HEADER_TOTAL_SIZE, total);

        for (size_t i = 0; i < n_entries; i++) {
                const libluo_entry *e = entries + i;
                uint8_t *p = data + HEADER_SIZE + i * ENTRY_SIZE;
                size_t length = strlen(e->name);

                put_u64(p + ENTRY_TOKEN, e->token);
                put_u32(p + ENTRY_NAME_OFFSET, (uint32_t) name_offset);
                put_u32(p + ENTRY_NAME_SIZE, (uint32_t) length);
                put_u32(p + ENTRY_FLAGS, e->flags);
                put_u32(p + ENTRY_LOST, (uint32_t) e->lost);
                put_u32(p + ENTRY_OPEN_FLAGS, open_flags_encode(e->open_flags));
                put_u32(p + ENTRY_MODE, e->mode);
                put_u32(p + ENTRY_UID, e->uid);
                put_u32(p + ENTRY_GID, e->gid);
                put_u64(p + ENTRY_OFFSET, e->offset);
                put_u64(p + ENTRY_CONTENT_SIZE, e->size);
                put_u64(p + ENTRY_ALLOCATED, e->allocated);

                memcpy(data + names_start + name_offset, e->name, length);
                name_offset += length;
        }

        put_u32(data + HEADER_CHECKSUM, index_checksum(data, total));

        *ret_data = data;
        *ret_size = total;
        return 0;
}

static int compare_tokens(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

static int check_tokens(const libluo_entry *entries, size_t n_entries) {
        uint64_t *tokens;
        size_t n = 0;
        int r = 0;

        tokens = calloc(n_entries ? n_entries : 1, sizeof(*tokens));
        if (!tokens)
                return -ENOMEM;

        for (size_t i = 0; i < n_entries; i++)
                if (!entries[i].lost)
                        tokens[n++] = entries[i].token;

        qsort(tokens, n, sizeof(*tokens), compare_tokens);
        for (size_t i = 0; i < n && r == 0; i++)
                if (tokens[i] == LUO_INDEX_TOKEN || (i > 0 && tokens[i] == tokens[i - 1]))
                        r = -EBADMSG;

        free(tokens);
        return r;
}

static int decode_entry(
        const uint8_t *p, const uint8_t *names, size_t names_size, char *copy, libluo_entry *ret) {
        uint32_t name_offset = get_u32(p + ENTRY_NAME_OFFSET), name_size = get_u32(p + ENTRY_NAME_SIZE),
                 lost = get_u32(p + ENTRY_LOST), mode = get_u32(p + ENTRY_MODE);
        libluo_entry e = {
                .token = get_u64(p + ENTRY_TOKEN),
                .flags = get_u32(p + ENTRY_FLAGS),
                .lost = (int) lost,
                .mode = (mode_t) mode,
                .uid = (uid_t) get_u32(p + ENTRY_UID),
                .gid = (gid_t) get_u32(p + ENTRY_GID),
                .offset = get_u64(p + ENTRY_OFFSET),
                .size = get_u64(p + ENTRY_CONTENT_SIZE),
                .allocated = get_u64(p + ENTRY_ALLOCATED),
        };
        int r;

        if (name_offset > names_size || name_size > names_size - name_offset ||
                !libluo_internal_entry_name_is_valid((const char *) names + name_offset, name_size))
                return -EBADMSG;

        /* Either there is a token, or a reason why there is none. 4095 is the kernel's MAX_ERRNO. */
        if (lost > 4095 || (lost != 0) != (e.token == LUO_INDEX_TOKEN))
                return -EBADMSG;

        if (mode & ~UINT32_C(07777) || e.offset > INT64_MAX || e.size > INT64_MAX)
                return -EBADMSG;

        r = open_flags_decode(get_u32(p + ENTRY_OPEN_FLAGS), &e.open_flags);
        if (r < 0)
                return r;

        /* Flags without meaning to this version are not passed on: they are covered by the feature bits. */
        e.flags &= LIBLUO_ENTRY_NO_POLL;

        memcpy(copy, names + name_offset, name_size);
        copy[name_size] = 0;
        e.name = copy;

        *ret = e;
        return 0;
}

int libluo_internal_index_decode(const uint8_t *data, size_t size, struct luo_index *ret_index) {
        uint64_t header_size, entry_size, n_entries, names_size, total, copies_size = 0;
        struct luo_index index = {};
        const uint8_t *names;
        char *copy;
        int r;

        if (size < HEADER_SIZE || memcmp(data + HEADER_SIGNATURE, signature, sizeof(signature)) != 0)
                return -EBADMSG;

        /* What comes after this may look different when one of these bits is set. */
        if (get_u32(data + HEADER_INCOMPATIBLE) & ~INCOMPATIBLE_KNOWN)
                return -EPROTONOSUPPORT;

        header_size = get_u32(data + HEADER_HEADER_SIZE);
        entry_size = get_u32(data + HEADER_ENTRY_SIZE);
        n_entries = get_u64(data + HEADER_N_ENTRIES);
        names_size = get_u64(data + HEADER_NAMES_SIZE);
        total = get_u64(data + HEADER_TOTAL_SIZE);

        /* Later versions may make the header and the entries longer. None of the sums below can overflow. */
        if (header_size < HEADER_SIZE || entry_size < ENTRY_SIZE || header_size > size || entry_size > size ||
                n_entries > LIBLUO_BUNDLE_ENTRIES_MAX || names_size > size || total != size ||
                header_size + n_entries * entry_size + names_size != total)
                return -EBADMSG;

        if (index_checksum(data, size) != get_u32(data + HEADER_CHECKSUM))
                return -EBADMSG;

        names = data + header_size + n_entries * entry_size;

        /* Entries may share bytes of a name, so what their copies need is bounded by their count, not by names_size. */
        for (uint64_t i = 0; i < n_entries; i++) {
                uint32_t name_size = get_u32(data + header_size + i * entry_size + ENTRY_NAME_SIZE);

                if (name_size > LIBLUO_ENTRY_NAME_MAX)
                        return -EBADMSG;
                copies_size += name_size + UINT64_C(1);
        }

        index.entries = calloc(n_entries ? n_entries : 1, sizeof(*index.entries));
        index.names = malloc(copies_size ? copies_size : 1);
        if (!index.entries || !index.names) {
                r = -ENOMEM;
                goto fail;
        }

        copy = index.names;
        for (; index.n_entries < n_entries; index.n_entries++) {
                libluo_entry *e = index.entries + index.n_entries;

                r = decode_entry(
                        data + header_size + index.n_entries * entry_size, names, names_size, copy, e);
                if (r < 0)
                        goto fail;

                copy += strlen(copy) + 1;
        }

        r = check_tokens(index.entries, index.n_entries);
        if (r < 0)
                goto fail;

        *ret_index = index;
        return 0;

fail:
        libluo_internal_index_done(&index);
        return r;
}

void libluo_internal_index_done(struct luo_index *index) {
        free(index->entries);
        free(index->names);
        *index = (struct luo_index) {};
}
