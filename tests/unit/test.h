/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A test program is a list of test cases, in TAP (https://testanything.org): meson counts each case by itself.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Microseconds that no machine that works takes for anything, however slow or busy it is. */
#define FAR_AWAY UINT64_C(900000000)

struct test_case {
        const char *name;
        void (*run)(void);
};

static int test_failed;
static const char *test_skipped; /* why a case could not be tried here, for test programs that skip any */

/* The exit status of a case in a process of its own that could not be tried */
#define TEST_SKIPPED 77

#define CHECK(expression)                                                                                    \
        do {                                                                                                 \
                if (!(expression)) {                                                                         \
                        printf("# %s:%i: %s does not hold\n", __FILE__, __LINE__, #expression);              \
                        test_failed = 1;                                                                     \
                }                                                                                            \
        } while (0)

#define CHECK_EQUAL(a, b)                                                                                    \
        do {                                                                                                 \
                long long test_a = (long long) (a), test_b = (long long) (b);                                \
                if (test_a != test_b) {                                                                      \
                        printf("# %s:%i: %s is %lld, expected %lld\n", __FILE__, __LINE__, #a, test_a,       \
                                test_b);                                                                     \
                        test_failed = 1;                                                                     \
                }                                                                                            \
        } while (0)

#define CHECK_STRING(a, b)                                                                                   \
        do {                                                                                                 \
                const char *test_a = (a), *test_b = (b);                                                     \
                if (strcmp(test_a, test_b) != 0) {                                                           \
                        printf("# %s:%i: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #a, test_a,   \
                                test_b);                                                                     \
                        test_failed = 1;                                                                     \
                }                                                                                            \
        } while (0)

/* For what the test itself cannot do without. */
#define REQUIRE(expression)                                                                                  \
        do {                                                                                                 \
                if (!(expression)) {                                                                         \
                        printf("Bail out! %s:%i: %s does not hold\n", __FILE__, __LINE__, #expression);      \
                        fflush(stdout);                                                                      \
                        _Exit(99);                                                                           \
                }                                                                                            \
        } while (0)

/* Runs the cases of one part of a TAP stream; first: how many cases came before. Returns 1 if any failed. */
static inline int test_run_from(const struct test_case *cases, size_t n, size_t first) {
        int any_failed = 0;

        for (size_t i = 0; i < n; i++) {
                test_failed = 0;
                test_skipped = NULL;
                cases[i].run();
                printf("%sok %zu - %s", test_failed ? "not " : "", first + i + 1, cases[i].name);
                if (test_skipped && !test_failed)
                        printf(" # SKIP %s", test_skipped);
                printf("\n");
                fflush(stdout);
                any_failed |= test_failed;
        }

        return any_failed;
}

#define TEST_MAIN(cases)                                                                                     \
        int main(void) {                                                                                     \
                printf("1..%zu\n", sizeof(cases) / sizeof((cases)[0]));                                      \
                return test_run_from(cases, sizeof(cases) / sizeof((cases)[0]), 0);                          \
        }
