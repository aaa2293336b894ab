/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * libluo_store_open_session() over kexecs, once in each boot, by whichever way there is: under luo-emulate, and as a
 * service of the real systemd (tests/system/sessions). Takes the number of kexecs, and "manager" if the service manager
 * permits one session.
 */

#include <fcntl.h>
#include <sys/resource.h>

#include "boots.h"

static libluo_store *store;
static unsigned boot;
static bool by_manager;

static int open_session(const char *name, int *restored, int *next) {
        *restored = *next = -2;
        return libluo_store_open_session(store, name, 0, FAR_AWAY, restored, next);
}

/* With ever more file descriptors, until there are enough: what fails half-way loses nothing */
static int open_session_with_few(const char *name, int *restored, int *next) {
        struct rlimit limit, few;
        int fd, r = -EMFILE;

        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        CHECK(fd >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
        close_fd(fd);

        for (int n = 0; r < 0 && n < 32; n++) {
                few = (struct rlimit) { (rlim_t) (fd + n), limit.rlim_max };
                CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &few), 0);
                r = open_session(name, restored, next);
                CHECK(r >= 0 || (*restored == -2 && *next == -2));
                CHECK(r >= 0 || n < 31);
                CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
        }
        return r;
}

static void test_state(void) {
        int restored, next, fd;
        char text[64];

        CHECK_EQUAL(open_session_with_few("machine/1", &restored, &next), 0);
        CHECK_EQUAL(restored >= 0, boot > 0);
        if (restored >= 0) {
                CHECK(has_cloexec(restored));
                (void) snprintf(text, sizeof(text), "state of boot %u", boot - 1);
                fd = libluo_session_retrieve_fd(restored, 1);
                CHECK(holds(fd, text));
                CHECK_EQUAL(libluo_session_finish(restored), 0);
                close_fd(fd);
                close_fd(restored);
        }

        CHECK(has_cloexec(next));
        (void) snprintf(text, sizeof(text), "state of boot %u", boot);
        fd = memfd(text);
        CHECK_EQUAL(libluo_session_preserve(next, fd, 1), 0);
        close_fd(fd);
        close_fd(next);
}

static void test_again(void) {
        int restored, next, fd;

        /* It is the same, as the token is taken, and so is what came back */
        CHECK_EQUAL(open_session("machine/1", &restored, &next), 0);
        CHECK_EQUAL(restored >= 0, boot > 0);
        fd = memfd("other");
        CHECK_EQUAL(libluo_session_preserve(next, fd, 1), -EEXIST);
        close_fd(fd);
        close_fd(next);
        close_fd(restored);
}

static void test_names(void) {
        static const char *const bad[] = { "", "a:b", "a b", "a~1", "a*", "a\"", "a\\", "\xc3\xa4", "a.next",
                "systemd", "fds-a", "1234567890123456789012345678901234567890123456789012345678901234" };
        int restored, next;

        for (size_t i = 0; i < ELEMENTS(bad); i++)
                CHECK_EQUAL(open_session(bad[i], &restored, &next), -EINVAL);
        CHECK_EQUAL(libluo_store_open_session(store, "a", 1, 0, &restored, &next), -EINVAL);
        CHECK_EQUAL(libluo_store_open_session(store, "a", 0, 0, NULL, &next), -EINVAL);
}

static void test_quota(void) {
        int restored, next;

        if (by_manager)
                CHECK_EQUAL(open_session("machine/2", &restored, &next), -ENOSPC);
}

static const struct test_case cases[] = {
        { "state in a session of one's own", test_state },
        { "the session is there again", test_again },
        { "names", test_names },
        { "no more than LiveUpdateSessionsMax=", test_quota },
};

int main(int argc, char *argv[]) {
        const char *text = getenv("LUO_BOOT");
        unsigned n_kexecs = argc > 1 ? (unsigned) strtoul(argv[1], NULL, 10) : 0;
        int failed;

        boot = text ? (unsigned) strtoul(text, NULL, 10) : 0;
        by_manager = argc > 2 && strcmp(argv[2], "manager") == 0;
        if (argc > 3 && strcmp(argv[3], "interrupted") == 0)
                be_interrupted();
        if (boot == 0)
                printf("1..%zu\n", (n_kexecs + 1) * ELEMENTS(cases));
        REQUIRE(libluo_store_open(0, &store) == 0);
        failed = test_run_from(cases, ELEMENTS(cases), boot * ELEMENTS(cases));
        if (!failed && libluo_store_barrier(store, FAR_AWAY) < 0)
                failed = 1;
        libluo_store_free(store);
        return failed;
}
