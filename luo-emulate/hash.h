/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A hash table of items that are part of larger structures. It compares 64 bit keys only: where a key is made of
 * something longer, several items may have it, and the caller looks through them.
 */

#include <stddef.h>
#include <stdint.h>

struct hash_item {
        struct hash_item *next;
        uint64_t key;
};

struct hash_table {
        struct hash_item **buckets;
        size_t n_buckets; /* a power of two, or 0 */
        size_t n_items;
};

/* The structure that an item is part of. */
#define HASH_CONTAINER(item, type, member) ((type *) (void *) ((char *) (item) - offsetof(type, member)))

/* Adds an item, which stays the caller's. Returns 0 or -ENOMEM. */
int hash_table_add(struct hash_table *table, struct hash_item *item, uint64_t key);
void hash_table_remove(struct hash_table *table, struct hash_item *item);

/* Forgets all items and frees the table's own memory. */
void hash_table_done(struct hash_table *table);

/* The first item with this key, and the next one with the same key; NULL if there is none. */
struct hash_item *hash_table_find(const struct hash_table *table, uint64_t key);
struct hash_item *hash_item_next(const struct hash_item *item);

/* Keys for what is longer. */
uint64_t hash_string(const char *string);
uint64_t hash_pair(uint64_t a, uint64_t b);
