/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A service's store over kexecs, once in each boot: under luo-emulate, and as a service of the real systemd
 * (tests/system/store). Takes the number of kexecs, and "next" if the service manager passes a fresh session beside the
 * restored one.
 */

#include <fcntl.h>

#include "boots.h"

static libluo_store *store;
static unsigned boot;
static bool has_next;

static bool stored(const char *name, const char *expected) {
        void *data = NULL;
        size_t size = 0;
        bool same;

        CHECK_EQUAL(libluo_store_get_data(store, name, 0, &data, &size), 0);
        same = data && size == strlen(expected) && memcmp(data, expected, size) == 0;
        free(data);
        return same;
}

static void test_data(void) {
        char text[64];

        if (boot == 0) {
                CHECK_EQUAL(libluo_store_get_fd(store, "state", 0), -ENOENT);
                return;
        }

        (void) snprintf(text, sizeof(text), "last words of boot %u", boot - 1);
        CHECK(stored("state", text));
        CHECK(stored("constant", "written in boot 0"));
        CHECK_EQUAL(libluo_store_get_fd(store, "removed", 0), -ENOENT);
}

static void test_replace(void) {
        char text[64];

        if (boot == 0)
                CHECK_EQUAL(libluo_store_put_data(store, "constant", "written in boot 0", 17, 0), 0);

        CHECK_EQUAL(libluo_store_put_data(store, "removed", "x", 1, 0), 0);
        for (int i = 0; i < 10; i++) {
                (void) snprintf(text, sizeof(text), "state %i of boot %u", i, boot);
                CHECK_EQUAL(libluo_store_put_data(store, "state", text, strlen(text), 0), 0);
        }
        (void) snprintf(text, sizeof(text), "last words of boot %u", boot);
        CHECK_EQUAL(libluo_store_put_data(store, "state", text, strlen(text), 0), 0);
        CHECK_EQUAL(libluo_store_remove(store, "removed"), 0);
        CHECK(stored("state", text));
}

static void test_sessions(void) {
        int restored = -1, next = -1, fd;
        char text[64];

        CHECK_EQUAL(libluo_store_get_sessions(store, "live", 0, &restored, &next), 0);
        CHECK_EQUAL(restored >= 0, boot > 0);
        CHECK_EQUAL(next >= 0, boot == 0 || has_next);

        if (restored >= 0) {
                (void) snprintf(text, sizeof(text), "session of boot %u", boot - 1);
                fd = libluo_session_retrieve_fd(restored, 1);
                CHECK(holds(fd, text));
                CHECK_EQUAL(libluo_session_finish(restored), 0);
                close_fd(fd);
                close_fd(restored);
        }
        if (next >= 0) {
                (void) snprintf(text, sizeof(text), "session of boot %u", boot);
                fd = memfd(text);
                CHECK_EQUAL(libluo_session_preserve(next, fd, 1), 0);
                close_fd(fd);
                close_fd(next);
        }
}

static void test_barrier(void) {
        CHECK_EQUAL(libluo_store_barrier(store, FAR_AWAY), 0);
}

static const struct test_case cases[] = {
        { "what was stored is there, and nothing else", test_data },
        { "replacing and removing", test_replace },
        { "restored and next session", test_sessions },
        { "the service manager has it all", test_barrier },
};

int main(int argc, char *argv[]) {
        const char *text = getenv("LUO_BOOT");
        unsigned n_kexecs = argc > 1 ? (unsigned) strtoul(argv[1], NULL, 10) : 0;
        int failed;

        boot = text ? (unsigned) strtoul(text, NULL, 10) : 0;
        has_next = argc > 2 && strcmp(argv[2], "next") == 0;
        if (argc > 3 && strcmp(argv[3], "interrupted") == 0)
                be_interrupted();

        if (boot == 0)
                printf("1..%zu\n", (n_kexecs + 1) * ELEMENTS(cases));
        REQUIRE(libluo_store_open(0, &store) == 0);
        failed = test_run_from(cases, ELEMENTS(cases), boot * ELEMENTS(cases));
        libluo_store_free(store);
        return failed;
}
