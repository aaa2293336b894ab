/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The reader of the bundle's index, fed with anything. What it takes has to be consistent, and to come out the same
 * when it is written and read again. The checksum keeps random changes out: each input is also tried with a good one.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "internal.h"

enum { CHECKSUM = 60, HEADER_MIN = 64 };

static void check_entry(const struct luo_index *index, size_t i) {
        const struct luo_index_entry *e = index->entries + i;
        const libluo_entry *public = &e->public;
        uint64_t holes = 0, end = 0;

        REQUIRE(libluo_internal_entry_name_is_valid(public->name, strlen(public->name)));
        REQUIRE((public->lost != 0) == (public->token == 0));
        REQUIRE(public->size <= INT64_MAX && public->offset <= INT64_MAX && public->mode <= 07777);
        REQUIRE(e->owner <= i);
        REQUIRE(!(public->flags & LIBLUO_ENTRY_DUPLICATE) ||
                (e->owner < i && index->entries[e->owner].public.token == public->token));
        REQUIRE(!(public->flags & LIBLUO_ENTRY_SHARED) || index->shared_session[0]);
        REQUIRE(index->entries[e->owner].public.token == public->token);
        REQUIRE(public->lost ? public->memory == 0 : public->memory >= public->size);

        for (size_t h = e->first_hole; h < e->first_hole + e->n_holes; h++) {
                REQUIRE(h < index->n_holes);
                REQUIRE(index->holes[h].offset >= end && index->holes[h].size > 0);
                end = index->holes[h].offset + index->holes[h].size;
                REQUIRE(end <= public->size);
                holes += index->holes[h].size;
        }
        REQUIRE(holes == public->holes);

        if (!public->lost && !(public->flags & (LIBLUO_ENTRY_SHARED | LIBLUO_ENTRY_DUPLICATE)))
                REQUIRE(libluo_internal_index_find(index, public->token) == e);
}

static void try_index(const uint8_t *data, size_t size) {
        uint32_t compatible, incompatible, unknown = 0;
        struct luo_index index = {}, again;
        size_t written_size;
        uint8_t *written;
        int r, features;

        features = libluo_internal_index_features(data, size, &compatible, &incompatible, &unknown);
        r = libluo_internal_index_decode(data, size, &index);
        REQUIRE(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
        REQUIRE((r == -EPROTONOSUPPORT) == (features == 0 && unknown != 0));
        if (r < 0) {
                REQUIRE(!index.entries && !index.names && !index.holes && !index.by_token);
                return;
        }

        for (size_t i = 0; i < index.n_entries; i++)
                check_entry(&index, i);

        REQUIRE(libluo_internal_index_encode(&index, &written, &written_size) == 0);
        REQUIRE(libluo_internal_index_decode(written, written_size, &again) == 0);
        REQUIRE(again.n_entries == index.n_entries && again.n_holes == index.n_holes);
        for (size_t i = 0; i < index.n_entries; i++) {
                libluo_entry a = index.entries[i].public, b = again.entries[i].public;

                REQUIRE(strcmp(a.name, b.name) == 0);
                a.name = b.name = NULL;
                REQUIRE(a.token == b.token && a.lost == b.lost && a.flags == b.flags &&
                        a.open_flags == b.open_flags && a.mode == b.mode && a.uid == b.uid &&
                        a.gid == b.gid && a.offset == b.offset && a.size == b.size &&
                        a.allocated == b.allocated && a.holes == b.holes && a.memory == b.memory);
                REQUIRE(index.entries[i].owner == again.entries[i].owner);
        }

        free(written);
        libluo_internal_index_done(&index);
        libluo_internal_index_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t *copy;

        try_index(data, size);

        if (size < HEADER_MIN)
                return 0;

        copy = malloc(size);
        REQUIRE(copy);
        memcpy(copy, data, size);
        memset(copy + CHECKSUM, 0, 4);
        put_u32(copy + CHECKSUM, libluo_internal_crc32c(0, copy, size));
        try_index(copy, size);
        free(copy);
        return 0;
}
