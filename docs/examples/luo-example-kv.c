/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A small in-memory key-value store whose data lives through restarts and kexecs: the hash table is in a memfd that
 * the service keeps in its fd store, with libluo's help. There is no pointer in it, so whoever maps it can go on with
 * it at once.
 *
 *   luo-example-kv serve [PORT]
 *   luo-example-kv set KEY VALUE | get KEY | count | status
 *
 * The unit needs FileDescriptorStoreMax=1 and FileDescriptorStorePreserve=yes. One is enough, as the table is put
 * once and never replaced.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libluo.h>

#include "line-server.h"

#define TABLE_VERSION 2
#define N_SLOTS 4096

struct slot {
        char key[64]; /* empty: a free slot */
        char value[192];
};

struct table {
        uint32_t version;
        uint64_t n_used;
        struct slot slots[N_SLOTS];
};

static struct table *table;

/* The table of the process before, or a new one. */
static int open_table(void) {
        libluo_store *store;
        void *memory;
        int r, barrier;

        r = libluo_store_open(0, &store);
        if (r < 0)
                return r;

        r = libluo_store_map(store, "table", sizeof(struct table), TABLE_VERSION, 0, &memory);
        if (r == 0) {
                /* From here on the data is safe, whatever happens to this process */
                barrier = libluo_store_barrier(store, UINT64_C(5000000));
                if (barrier < 0)
                        fprintf(stderr, "The data will not outlive this process: %s.\n",
                                libluo_strerror(barrier));
        }

        /* What was stored stays stored */
        libluo_store_free(store);
        if (r < 0)
                return r;

        table = memory;
        return 0;
}

/* The slot of the key, or the free one where it would go; NULL if the table is full. */
static struct slot *find_slot(const char *key) {
        uint64_t start = digest_add(0, key, strlen(key));

        for (size_t i = 0; i < N_SLOTS; i++) {
                struct slot *s = table->slots + (start + i) % N_SLOTS;

                if (s->key[0] == 0 || strcmp(s->key, key) == 0)
                        return s;
        }

        return NULL;
}

static void handle(char *request, char *answer, size_t answer_size) {
        char *verb, *key, *value;
        struct slot *s;

        verb = strsep(&request, " ");
        key = strsep(&request, " ");
        value = request;

        if (strcmp(verb, "count") == 0)
                (void) snprintf(answer, answer_size, "%" PRIu64, table->n_used);
        else if (strcmp(verb, "status") == 0)
                (void) snprintf(answer, answer_size,
                        "fds=1 bytes=%zu digest=%016" PRIx64 " content=%" PRIu64 "-keys",
                        sizeof(struct table), digest_add(0, table, sizeof(struct table)), table->n_used);
        else if (!key || !*key || strlen(key) >= sizeof(s->key))
                (void) snprintf(
                        answer, answer_size, "error: a key of 1 to %zu bytes is needed", sizeof(s->key) - 1);
        else if (strcmp(verb, "get") == 0) {
                s = find_slot(key);
                (void) snprintf(answer, answer_size, "%s", s && s->key[0] ? s->value : "error: no such key");
        } else if (strcmp(verb, "set") == 0) {
                s = find_slot(key);
                if (!value || strlen(value) >= sizeof(s->value))
                        (void) snprintf(answer, answer_size, "error: a value of up to %zu bytes is needed",
                                sizeof(s->value) - 1);
                else if (!s)
                        (void) snprintf(answer, answer_size, "error: full");
                else {
                        memcpy(s->value, value, strlen(value) + 1);
                        if (s->key[0] == 0) {
                                /* Last, so that a slot in use is always complete */
                                memcpy(s->key, key, strlen(key) + 1);
                                table->n_used++;
                        }
                        (void) snprintf(answer, answer_size, "ok");
                }
        } else
                (void) snprintf(answer, answer_size, "error: unknown request");
}

static int start(void) {
        int r;

        r = open_table();
        if (r < 0)
                fprintf(stderr, "Cannot open the table: %s\n", libluo_strerror(r));
        return r;
}

int main(int argc, char *argv[]) {
        return line_main(
                argc, argv, "luo-example-kv", "set KEY VALUE | get KEY | count | status", start, handle);
}
