/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every allocation of libluo fails once: the call has to say ENOMEM, and to leave nothing behind. The linker puts the
 * functions below in the place of malloc(3) and its kin. Runs under luo-emulate over one kexec.
 */

#include <dirent.h>

#include <sys/wait.h>

#include "boots.h"
#include "manager.h"

/* Allocations of libluo, and of this test, until one fails; negative: none does. */
static int until_failure = -1;

static bool fails_now(void) {
        if (until_failure < 0)
                return false;
        if (until_failure-- > 0)
                return false;
        errno = ENOMEM;
        return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t size) {
        return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
        return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
        return fails_now() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *s) {
        return fails_now() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n) {
        return fails_now() ? NULL : __real_strndup(s, n);
}

static size_t count_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        REQUIRE(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

/*
 * Runs a scenario with each of its allocations failing in turn, until none is left to fail. Returns how many there
 * were.
 */
static int try_all(int (*scenario)(void)) {
        size_t n_fds = count_fds();

        for (int i = 0;; i++) {
                bool failed;
                int r;

                until_failure = i;
                r = scenario();
                failed = until_failure < 0;
                until_failure = -1;

                CHECK_EQUAL(r, failed ? -ENOMEM : 0);
                CHECK_EQUAL(count_fds(), n_fds);
                if (!failed || test_failed)
                        return i;
        }
}

enum { N_FILES = 40 }; /* enough for arrays and tables to grow */

static int fds[N_FILES], sparse_fd;

static void make_files(void) {
        for (size_t i = 0; i < N_FILES; i++)
                fds[i] = memfd("content");
        sparse_fd = memfd("");
        REQUIRE(ftruncate(sparse_fd, 1 << 20) == 0);
}

static int build(int session_fd, int shared_session_fd) {
        libluo_bundle_writer *bundle = NULL, *shared = NULL;
        int r;

        r = libluo_bundle_writer_new(session_fd, 0, &bundle);
        if (r >= 0)
                r = libluo_bundle_writer_new(shared_session_fd, 0, &shared);
        for (size_t i = 0; i < N_FILES / 2 && r >= 0; i++)
                r = libluo_bundle_writer_add(bundle, fds[i], "own", 0);
        for (size_t i = N_FILES / 2; i < N_FILES && r >= 0; i++)
                r = libluo_bundle_writer_add_shared(bundle, fds[i], "shared", 0, shared);
        if (r >= 0)
                r = libluo_bundle_writer_add(bundle, fds[0], "again", 0);
        if (r >= 0)
                r = libluo_bundle_writer_add(bundle, sparse_fd, "sparse", 0);
        if (r >= 0)
                r = libluo_bundle_writer_write(bundle, 0);
        if (r >= 0)
                r = libluo_bundle_writer_write(shared, 0);

        if (r < 0) {
                CHECK(!bundle || libluo_bundle_writer_count(bundle) <= N_FILES + 2);
        }
        libluo_bundle_writer_free(bundle);
        libluo_bundle_writer_free(shared);
        return r;
}

static int scenario_build(void) {
        int saved = until_failure, session_fd, shared_session_fd, r;

        until_failure = -1;
        session_fd = create("allocations-tried");
        shared_session_fd = create("allocations-tried-shared");
        /* What failed attempts preserved is un-preserved with their sessions; only the holes are filled */
        close_fd(sparse_fd);
        sparse_fd = memfd("");
        REQUIRE(ftruncate(sparse_fd, 1 << 20) == 0);
        until_failure = saved;

        r = build(session_fd, shared_session_fd);

        close_fd(session_fd);
        close_fd(shared_session_fd);
        return r;
}

static void test_building(void) {
        make_files();
        CHECK(try_all(scenario_build) > N_FILES);
        REQUIRE(build(create("allocations"), create("allocations-shared")) == 0);
        CHECK(create(STATE_SESSION) >= 0);
}

static int session_fd = -1, shared_session_fd = -1;

static int scenario_open(void) {
        libluo_bundle *bundle = NULL, *shared = NULL;
        uint64_t bytes;
        int taken[N_FILES + 2], r;

        r = libluo_bundle_open(session_fd, 0, &bundle);
        if (r >= 0)
                r = libluo_bundle_open(shared_session_fd, 0, &shared);
        if (r >= 0)
                r = libluo_bundle_set_shared(bundle, shared);
        if (r >= 0)
                r = libluo_bundle_get_memory(bundle, NULL, 0, &bytes);
        if (r >= 0) {
                CHECK_EQUAL(libluo_bundle_take_all(bundle, taken, ELEMENTS(taken), 0), ELEMENTS(taken));
                for (size_t i = 0; i < ELEMENTS(taken); i++)
                        close_fd(taken[i]);
        }

        libluo_bundle_free(bundle);
        libluo_bundle_free(shared);
        return r;
}

static int scenario_features(void) {
        int index_fd = libluo_session_retrieve_fd(session_fd, LIBLUO_INDEX_TOKEN), r;
        uint32_t unknown;

        r = libluo_index_features(index_fd, NULL, NULL, &unknown);
        close_fd(index_fd);
        return r;
}

static void test_opening(void) {
        int fd = retrieve(STATE_SESSION);

        CHECK(fd >= 0);
        session_fd = retrieve("allocations");
        shared_session_fd = retrieve("allocations-shared");
        CHECK(try_all(scenario_open) > 4);
        CHECK_EQUAL(try_all(scenario_features), 1);
}

/* ------------------------------------------------------------------------------------------ a service's store ---- */

static int scenario_store(void) {
        int saved = until_failure, manager_fd, passed_fd, old_fd, r;
        libluo_store *store = NULL;
        const void *mapped = NULL;
        void *data = NULL, *memory = NULL;
        size_t size, mapped_size;

        until_failure = -1;
        passed_fd = memfd("passed");
        old_fd = memfd("old");
        REQUIRE(passed_fd == 3 && old_fd == 4);
        manager_fd = start_manager();
        until_failure = saved;

        r = libluo_store_open(LIBLUO_STORE_KEEP_ENVIRONMENT, &store);
        if (r < 0) { /* still this test's own */
                REQUIRE(close(passed_fd) == 0 && close(old_fd) == 0);
        }
        for (size_t i = 0; i < 5 && r >= 0; i++)
                r = libluo_store_put_data(
                        store, (const char *[]) { "a", "b", "c", "d", "e" }[i], "data", 4, 0);
        if (r >= 0) /* replaced */
                r = libluo_store_put_data(store, "a", "more data", 9, 0);
        if (r >= 0)
                r = libluo_store_map(store, "map", 4096, 1, 0, &memory);
        if (memory)
                (void) munmap(memory, 4096);
        if (r >= 0)
                r = libluo_store_map_data(store, "a", 0, &mapped, &mapped_size);
        if (mapped)
                (void) munmap((void *) mapped, mapped_size);
        if (r >= 0)
                r = libluo_store_get_data(store, "passed", 0, &data, &size);

        free(data);
        libluo_store_free(store);
        close_fd(manager_fd);
        return r;
}

/* In a process of its own, where 3 is the first file descriptor that can be passed */
static void test_store(void) {
        int status;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                char text[32];

                closefrom(3);
                (void) snprintf(text, sizeof(text), "%i", (int) getpid());
                REQUIRE(setenv("LISTEN_PID", text, 1) == 0 && setenv("LISTEN_FDS", "2", 1) == 0 &&
                        setenv("LISTEN_FDNAMES", "passed~1:passed", 1) == 0 &&
                        setenv("FDSTORE", "16", 1) == 0);
                CHECK(try_all(scenario_store) > 5);
                fflush(stdout);
                _exit(test_failed);
        }
        REQUIRE(waitpid(pid, &status, 0) == pid);
        CHECK_EQUAL(status, 0);
}

static const struct test_case boot_0[] = {
        { "building bundles", test_building },
};

static const struct test_case boot_1[] = {
        { "opening bundles and indexes", test_opening },
        { "a service's store", test_store },
};

static const struct test_boot boots[] = {
        { boot_0, ELEMENTS(boot_0) },
        { boot_1, ELEMENTS(boot_1) },
};

int main(void) {
        return test_run_boot(boots, ELEMENTS(boots));
}
