/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "hash.h"

/* Spreads keys that differ in a few bits only, as counters do, over all bits. */
static uint64_t mix(uint64_t key) {
        key ^= key >> 33;
        key *= UINT64_C(0x9e3779b97f4a7c15);
        key ^= key >> 29;
        key *= UINT64_C(0xd6e8feb86659fd93);
        return key ^ (key >> 32);
}

static struct hash_item **bucket(const struct hash_table *table, uint64_t key) {
        return table->buckets + (mix(key) & (table->n_buckets - 1));
}

static int grow(struct hash_table *table) {
        struct hash_table larger = {
                .n_buckets = table->n_buckets ? table->n_buckets * 2 : 16,
                .n_items = table->n_items,
        };

        larger.buckets = calloc(larger.n_buckets, sizeof(*larger.buckets));
        if (!larger.buckets)
                return -ENOMEM;

        for (size_t i = 0; i < table->n_buckets; i++)
                for (struct hash_item *item = table->buckets[i], *next; item; item = next) {
                        struct hash_item **b = bucket(&larger, item->key);

                        next = item->next;
                        item->next = *b;
                        *b = item;
                }

        free(table->buckets);
        *table = larger;
        return 0;
}

int hash_table_add(struct hash_table *table, struct hash_item *item, uint64_t key) {
        struct hash_item **b;

        if (table->n_items >= table->n_buckets) {
                int r = grow(table);

                if (r < 0)
                        return r;
        }

        b = bucket(table, key);
        item->key = key;
        item->next = *b;
        *b = item;
        table->n_items++;
        return 0;
}

void hash_table_remove(struct hash_table *table, struct hash_item *item) {
        struct hash_item **b = bucket(table, item->key);

        while (*b != item)
                b = &(*b)->next;
        *b = item->next;
        table->n_items--;
}

void hash_table_done(struct hash_table *table) {
        free(table->buckets);
        *table = (struct hash_table) {};
}

struct hash_item *hash_table_find(const struct hash_table *table, uint64_t key) {
        struct hash_item *item;

        if (table->n_items == 0)
                return NULL;

        for (item = *bucket(table, key); item && item->key != key; item = item->next)
                ;
        return item;
}

struct hash_item *hash_item_next(const struct hash_item *item) {
        struct hash_item *next;

        for (next = item->next; next && next->key != item->key; next = next->next)
                ;
        return next;
}

/* FNV-1a */
uint64_t hash_string(const char *string) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (; *string; string++) {
                hash ^= (unsigned char) *string;
                hash *= UINT64_C(0x100000001b3);
        }

        return hash;
}

uint64_t hash_pair(uint64_t a, uint64_t b) {
        return mix(a) ^ b;
}
