/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * docs/format.md describes the format; this is the one writer and the one reader. All integers are little endian.
 */

static const uint8_t signature[8] = { 'L', 'U', 'O', 'I', 'N', 'D', 'E', 'X' };

/* Features that a reader may ignore, and those without which it would get things wrong. */
#define COMPATIBLE_HOLES (UINT32_C(1) << 0)        /* there are holes to be given back */
#define INCOMPATIBLE_REFERENCES (UINT32_C(1) << 0) /* there are duplicate or shared entries */
#define INCOMPATIBLE_KNOWN INCOMPATIBLE_REFERENCES

/* Offsets in the header */
enum {
        HEADER_SIGNATURE = 0,      /* 8 bytes */
        HEADER_COMPATIBLE = 8,     /* u32 */
        HEADER_INCOMPATIBLE = 12,  /* u32 */
        HEADER_HEADER_SIZE = 16,   /* u32 */
        HEADER_ENTRY_SIZE = 20,    /* u32 */
        HEADER_N_ENTRIES = 24,     /* u64 */
        HEADER_NAMES_SIZE = 32,    /* u64 */
        HEADER_TOTAL_SIZE = 40,    /* u64 */
        HEADER_RESERVED = 48,      /* 12 bytes, zero */
        HEADER_CHECKSUM = 60,      /* u32 */
        HEADER_SIZE_MIN = 64,      /* all that libluo 0.1 wrote */
        HEADER_SHARED_OFFSET = 64, /* u32, from the start of the names */
        HEADER_SHARED_SIZE = 68,   /* u32 */
        HEADER_HOLES_OFFSET = 72,  /* u64, from the start of the names */
        HEADER_N_HOLES = 80,       /* u64 */
        HEADER_RESERVED_2 = 88,    /* 8 bytes, zero */
        HEADER_SIZE = 96,
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
        ENTRY_SIZE_MIN = 64,     /* all that libluo 0.1 wrote */
        ENTRY_N_HOLES = 64,      /* u32: holes are stored in the order of their entries */
        ENTRY_RESERVED = 68,     /* 4 bytes, zero */
        ENTRY_SIZE_HOLES = 72,   /* with all that is above */
        ENTRY_MEMORY = 72,       /* u64 */
        ENTRY_SIZE = 80,
};

/* Offsets in a hole */
enum {
        HOLE_OFFSET = 0,       /* u64 */
        HOLE_CONTENT_SIZE = 8, /* u64 */
        HOLE_SIZE = 16,
};

#define ENTRY_REFERENCES (LIBLUO_ENTRY_DUPLICATE | LIBLUO_ENTRY_SHARED)

/* How open flags are stored: O_ values differ between architectures. */
#define OPEN_ACCESS_MASK UINT32_C(3)
#define OPEN_READ_ONLY UINT32_C(0)
#define OPEN_WRITE_ONLY UINT32_C(1)
#define OPEN_READ_WRITE UINT32_C(2)
#define OPEN_APPEND UINT32_C(4)

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

int libluo_internal_index_encode(const struct luo_index *index, uint8_t **ret_data, size_t *ret_size) {
        size_t shared_size = strlen(index->shared_session), names_size = shared_size, position, names_start;
        uint32_t compatible = 0, incompatible = 0;
        uint64_t total;
        uint8_t *data;

        for (size_t i = 0; i < index->n_entries; i++) {
                names_size += strlen(index->entries[i].public.name);
                if (index->entries[i].public.flags & ENTRY_REFERENCES)
                        incompatible |= INCOMPATIBLE_REFERENCES;
        }
        if (index->n_holes > 0)
                compatible |= COMPATIBLE_HOLES;

        names_start = HEADER_SIZE + index->n_entries * ENTRY_SIZE;
        total = (uint64_t) names_start + names_size + index->n_holes * HOLE_SIZE;
        if (index->n_entries > LIBLUO_BUNDLE_ENTRIES_MAX || index->n_holes > LUO_INDEX_HOLES_MAX ||
                total > LUO_INDEX_SIZE_MAX)
                return -E2BIG;

        data = calloc(1, total);
        if (!data)
                return -ENOMEM;

        memcpy(data + HEADER_SIGNATURE, signature, sizeof(signature));
        put_u32(data + HEADER_COMPATIBLE, compatible);
        put_u32(data + HEADER_INCOMPATIBLE, incompatible);
        put_u32(data + HEADER_HEADER_SIZE, HEADER_SIZE);
        put_u32(data + HEADER_ENTRY_SIZE, ENTRY_SIZE);
        put_u64(data + HEADER_N_ENTRIES, index->n_entries);
        put_u64(data + HEADER_NAMES_SIZE, names_size + index->n_holes * HOLE_SIZE);
        put_u64(data + HEADER_TOTAL_SIZE, total);
        put_u32(data + HEADER_SHARED_SIZE, (uint32_t) shared_size);
        put_u64(data + HEADER_HOLES_OFFSET, names_size);
        put_u64(data + HEADER_N_HOLES, index->n_holes);

        memcpy(data + names_start, index->shared_session, shared_size);
        position = shared_size;

        for (size_t i = 0; i < index->n_entries; i++) {
                const libluo_entry *e = &index->entries[i].public;
                uint8_t *p = data + HEADER_SIZE + i * ENTRY_SIZE;
                size_t length = strlen(e->name);

                put_u64(p + ENTRY_TOKEN, e->token);
                put_u32(p + ENTRY_NAME_OFFSET, (uint32_t) position);
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
                put_u32(p + ENTRY_N_HOLES, (uint32_t) index->entries[i].n_holes);
                put_u64(p + ENTRY_MEMORY, e->memory);

                memcpy(data + names_start + position, e->name, length);
                position += length;
        }

        for (size_t i = 0; i < index->n_holes; i++) {
                uint8_t *p = data + names_start + names_size + i * HOLE_SIZE;

                put_u64(p + HOLE_OFFSET, index->holes[i].offset);
                put_u64(p + HOLE_CONTENT_SIZE, index->holes[i].size);
        }

        put_u32(data + HEADER_CHECKSUM, index_checksum(data, total));

        *ret_data = data;
        *ret_size = total;
        return 0;
}

/* What the header says, checked against the size of the index. Fields that a shorter header lacks are 0. */
struct layout {
        uint64_t header_size, entry_size, n_entries, names_size, holes_offset, n_holes;
        uint32_t incompatible, shared_offset, shared_size;
        const uint8_t *entries, *names;
};

static int decode_header(const uint8_t *data, size_t size, struct layout *ret) {
        struct layout l;

        if (size < HEADER_SIZE_MIN || memcmp(data + HEADER_SIGNATURE, signature, sizeof(signature)) != 0)
                return -EBADMSG;

        /* What comes after this may look different when one of these bits is set. */
        if (get_u32(data + HEADER_INCOMPATIBLE) & ~INCOMPATIBLE_KNOWN)
                return -EPROTONOSUPPORT;

        l = (struct layout) {
                .incompatible = get_u32(data + HEADER_INCOMPATIBLE),
                .header_size = get_u32(data + HEADER_HEADER_SIZE),
                .entry_size = get_u32(data + HEADER_ENTRY_SIZE),
                .n_entries = get_u64(data + HEADER_N_ENTRIES),
                .names_size = get_u64(data + HEADER_NAMES_SIZE),
        };

        /* Later versions may make the header and the entries longer. None of the sums below can overflow. */
        if (l.header_size < HEADER_SIZE_MIN || l.entry_size < ENTRY_SIZE_MIN || l.header_size > size ||
                l.entry_size > size || l.n_entries > LIBLUO_BUNDLE_ENTRIES_MAX || l.names_size > size ||
                get_u64(data + HEADER_TOTAL_SIZE) != size ||
                l.header_size + l.n_entries * l.entry_size + l.names_size != size)
                return -EBADMSG;

        if (index_checksum(data, size) != get_u32(data + HEADER_CHECKSUM))
                return -EBADMSG;

        l.entries = data + l.header_size;
        l.names = l.entries + l.n_entries * l.entry_size;

        if (l.header_size >= HEADER_SIZE) {
                l.shared_offset = get_u32(data + HEADER_SHARED_OFFSET);
                l.shared_size = get_u32(data + HEADER_SHARED_SIZE);
                l.holes_offset = get_u64(data + HEADER_HOLES_OFFSET);
                l.n_holes = get_u64(data + HEADER_N_HOLES);

                if (l.shared_offset > l.names_size || l.shared_size > l.names_size - l.shared_offset ||
                        l.shared_size > LIBLUO_SESSION_NAME_MAX ||
                        memchr(l.names + l.shared_offset, 0, l.shared_size) ||
                        l.holes_offset > l.names_size || l.n_holes > LUO_INDEX_HOLES_MAX ||
                        l.n_holes * HOLE_SIZE > l.names_size - l.holes_offset)
                        return -EBADMSG;
        }

        *ret = l;
        return 0;
}

/* Reads the holes of an entry behind those of the entries before: in order, apart, and inside of the file. */
static int decode_holes(const struct layout *l, struct luo_index_entry *e, struct luo_index *index) {
        uint64_t end = 0;

        if (e->n_holes == 0)
                return 0;
        if (e->public.lost || e->public.flags & ENTRY_REFERENCES || e->n_holes > l->n_holes - index->n_holes)
                return -EBADMSG;

        e->first_hole = index->n_holes;
        for (size_t i = 0; i < e->n_holes; i++) {
                const uint8_t *p = l->names + l->holes_offset + index->n_holes * HOLE_SIZE;
                struct luo_hole h = {
                        .offset = get_u64(p + HOLE_OFFSET),
                        .size = get_u64(p + HOLE_CONTENT_SIZE),
                };

                if (h.offset < end || h.size == 0 || h.offset > e->public.size ||
                        h.size > e->public.size - h.offset)
                        return -EBADMSG;

                end = h.offset + h.size;
                e->public.holes += h.size;
                index->holes[index->n_holes++] = h;
        }

        return 0;
}

/* What a preserved file has at least, as its holes were filled; all there is to go by where the index does not say. */
static uint64_t least_memory(const libluo_entry *e) {
        uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE), pages = (e->size + page - 1) / page * page,
                 filled = e->allocated + e->holes;

        if (filled < e->allocated) /* too large for a number: it is hostile */
                filled = UINT64_MAX;
        return filled > pages ? filled : pages;
}

static int decode_entry(const struct layout *l, size_t i, struct luo_index *index, char *name_copy,
        struct luo_index_entry *ret) {
        const uint8_t *p = l->entries + i * l->entry_size;
        uint32_t name_offset = get_u32(p + ENTRY_NAME_OFFSET), name_size = get_u32(p + ENTRY_NAME_SIZE),
                 lost = get_u32(p + ENTRY_LOST), mode = get_u32(p + ENTRY_MODE);
        struct luo_index_entry e = {
                .public = {
                        .token = get_u64(p + ENTRY_TOKEN),
                        .lost = (int) lost,
                        /* Flags without meaning to this version are not passed on: feature bits cover them. */
                        .flags = get_u32(p + ENTRY_FLAGS) & (LIBLUO_ENTRY_NO_POLL | ENTRY_REFERENCES),
                        .mode = (mode_t) mode,
                        .uid = (uid_t) get_u32(p + ENTRY_UID),
                        .gid = (gid_t) get_u32(p + ENTRY_GID),
                        .offset = get_u64(p + ENTRY_OFFSET),
                        .size = get_u64(p + ENTRY_CONTENT_SIZE),
                        .allocated = get_u64(p + ENTRY_ALLOCATED),
                },
                .owner = i,
        };
        uint32_t references = e.public.flags & ENTRY_REFERENCES;
        int r;

        if (name_offset > l->names_size || name_size > l->names_size - name_offset ||
                !libluo_internal_entry_name_is_valid((const char *) l->names + name_offset, name_size))
                return -EBADMSG;

        /* Either there is a token, or a reason why there is none. 4095 is the kernel's MAX_ERRNO. */
        if (lost > 4095 || (lost != 0) != (e.public.token == LIBLUO_INDEX_TOKEN))
                return -EBADMSG;

        if (references &&
                (lost != 0 || references == ENTRY_REFERENCES ||
                        !(l->incompatible & INCOMPATIBLE_REFERENCES) ||
                        (references == LIBLUO_ENTRY_SHARED && l->shared_size == 0)))
                return -EBADMSG;

        if (mode & ~UINT32_C(07777) || e.public.offset > INT64_MAX || e.public.size > INT64_MAX)
                return -EBADMSG;

        r = open_flags_decode(get_u32(p + ENTRY_OPEN_FLAGS), &e.public.open_flags);
        if (r < 0)
                return r;

        if (l->entry_size >= ENTRY_SIZE_HOLES) {
                e.n_holes = get_u32(p + ENTRY_N_HOLES);
                r = decode_holes(l, &e, index);
                if (r < 0)
                        return r;
        }

        if (!e.public.lost) {
                uint64_t least = least_memory(&e.public),
                         memory = l->entry_size >= ENTRY_SIZE ? get_u64(p + ENTRY_MEMORY) : 0;

                e.public.memory = memory > least ? memory : least;
        }

        memcpy(name_copy, l->names + name_offset, name_size);
        name_copy[name_size] = 0;
        e.public.name = name_copy;

        *ret = e;
        return 0;
}

static int compare_tokens(const void *a, const void *b, void *userdata) {
        const struct luo_index_entry *entries = userdata;
        uint64_t x = entries[*(const size_t *) a].public.token, y = entries[*(const size_t *) b].public.token;

        if (x != y)
                return x < y ? -1 : 1;
        return *(const size_t *) a < *(const size_t *) b ? -1 : 1;
}

struct luo_index_entry *libluo_internal_index_find(const struct luo_index *index, uint64_t token) {
        size_t low = 0, high = index->n_by_token;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                struct luo_index_entry *e = index->entries + index->by_token[middle];

                if (e->public.token == token)
                        return e;
                if (e->public.token < token)
                        low = middle + 1;
                else
                        high = middle;
        }

        return NULL;
}

/*
 * Finds for each entry the one that has its file. Tokens are unique, but for duplicates: those say what an earlier
 * entry says. Those of the shared session are apart, and may be there any number of times.
 */
static int resolve_tokens(struct luo_index *index) {
        size_t *shared, n_shared = 0;

        index->by_token = calloc(index->n_entries ? index->n_entries : 1, sizeof(*index->by_token));
        if (!index->by_token)
                return -ENOMEM;

        for (size_t i = 0; i < index->n_entries; i++)
                if (!index->entries[i].public.lost && !(index->entries[i].public.flags & ENTRY_REFERENCES))
                        index->by_token[index->n_by_token++] = i;

        qsort_r(index->by_token, index->n_by_token, sizeof(*index->by_token), compare_tokens, index->entries);

        for (size_t i = 1; i < index->n_by_token; i++)
                if (index->entries[index->by_token[i - 1]].public.token ==
                        index->entries[index->by_token[i]].public.token)
                        return -EBADMSG;

        shared = index->by_token + index->n_by_token; /* there is room for all entries */
        for (size_t i = 0; i < index->n_entries; i++) {
                struct luo_index_entry *e = index->entries + i, *owner;

                if (e->public.flags & LIBLUO_ENTRY_DUPLICATE) {
                        owner = libluo_internal_index_find(index, e->public.token);
                        if (!owner || owner > e)
                                return -EBADMSG;
                        e->owner = (size_t) (owner - index->entries);
                } else if (e->public.flags & LIBLUO_ENTRY_SHARED)
                        shared[n_shared++] = i;
        }

        qsort_r(shared, n_shared, sizeof(*shared), compare_tokens, index->entries);
        for (size_t i = 1; i < n_shared; i++) {
                const struct luo_index_entry *before = index->entries + shared[i - 1];
                struct luo_index_entry *e = index->entries + shared[i];

                if (e->public.token == before->public.token)
                        e->owner = before->owner;
        }

        return 0;
}

int libluo_internal_index_decode(const uint8_t *data, size_t size, struct luo_index *ret_index) {
        struct luo_index index = {};
        uint64_t copies_size = 0;
        struct layout l;
        char *copy;
        int r;

        r = decode_header(data, size, &l);
        if (r < 0)
                return r;

        /* Entries may share bytes of a name, so what their copies need is bounded by their count, not by names_size. */
        for (uint64_t i = 0; i < l.n_entries; i++) {
                uint32_t name_size = get_u32(l.entries + i * l.entry_size + ENTRY_NAME_SIZE);

                if (name_size > LIBLUO_ENTRY_NAME_MAX)
                        return -EBADMSG;
                copies_size += name_size + UINT64_C(1);
        }

        index.entries = calloc(l.n_entries ? l.n_entries : 1, sizeof(*index.entries));
        index.names = malloc(copies_size ? copies_size : 1);
        index.holes = calloc(l.n_holes ? l.n_holes : 1, sizeof(*index.holes));
        if (!index.entries || !index.names || !index.holes) {
                r = -ENOMEM;
                goto fail;
        }

        memcpy(index.shared_session, l.names + l.shared_offset, l.shared_size);

        copy = index.names;
        for (; index.n_entries < l.n_entries; index.n_entries++) {
                r = decode_entry(&l, index.n_entries, &index, copy, index.entries + index.n_entries);
                if (r < 0)
                        goto fail;

                copy += strlen(copy) + 1;
        }

        if (index.n_holes != l.n_holes) {
                r = -EBADMSG;
                goto fail;
        }

        r = resolve_tokens(&index);
        if (r < 0)
                goto fail;

        *ret_index = index;
        return 0;

fail:
        libluo_internal_index_done(&index);
        return r;
}

int libluo_internal_index_features(const uint8_t *data, size_t size, uint32_t *ret_compatible,
        uint32_t *ret_incompatible, uint32_t *ret_unknown) {

        if (size < HEADER_SIZE_MIN || memcmp(data + HEADER_SIGNATURE, signature, sizeof(signature)) != 0)
                return -EBADMSG;

        if (ret_compatible)
                *ret_compatible = get_u32(data + HEADER_COMPATIBLE);
        if (ret_incompatible)
                *ret_incompatible = get_u32(data + HEADER_INCOMPATIBLE);
        if (ret_unknown)
                *ret_unknown = get_u32(data + HEADER_INCOMPATIBLE) & ~INCOMPATIBLE_KNOWN;
        return 0;
}

void libluo_internal_index_done(struct luo_index *index) {
        free(index->entries);
        free(index->names);
        free(index->holes);
        free(index->by_token);
        *index = (struct luo_index) {};
}
