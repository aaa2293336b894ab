/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What LUO does not keep of a file: holes, access mode, open file descriptions. */

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include "internal.h"
#include "test.h"

#define MIB ((off_t) 1 << 20)

static uint64_t allocated(int fd) {
        struct stat st;

        REQUIRE(fstat(fd, &st) == 0);
        return (uint64_t) st.st_blocks * 512;
}

static int sparse_file(off_t size) {
        int fd = memfd_create("sparse", MFD_CLOEXEC);

        REQUIRE(fd >= 0 && ftruncate(fd, size) == 0);
        return fd;
}

static size_t find_holes(int fd, struct luo_hole **ret_holes) {
        struct stat st;
        size_t n = 77;

        REQUIRE(fstat(fd, &st) == 0);
        CHECK_EQUAL(libluo_internal_find_holes(fd, &st, 100, ret_holes, &n), 0);
        return n;
}

static void test_find_holes(void) {
        off_t page = (off_t) sysconf(_SC_PAGESIZE);
        struct luo_hole *holes;
        int fd;

        fd = sparse_file(10 * page);
        REQUIRE(pwrite(fd, "x", 1, 3 * page) == 1 && lseek(fd, 5, SEEK_SET) == 5);
        CHECK_EQUAL(find_holes(fd, &holes), 2);
        CHECK_EQUAL(holes[0].offset, 0);
        CHECK_EQUAL(holes[0].size, 3 * page);
        CHECK_EQUAL(holes[1].offset, 4 * page);
        CHECK_EQUAL(holes[1].size, 6 * page);
        CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 5);
        free(holes);
        close_fd(fd);

        fd = sparse_file(0);
        CHECK_EQUAL(find_holes(fd, &holes), 0);
        CHECK(!holes);
        close_fd(fd);
}

/* Reserved memory looks like a hole to lseek(2), but whoever has reserved it counts on it. */
static void test_reserved_memory(void) {
        off_t page = (off_t) sysconf(_SC_PAGESIZE);
        struct luo_hole *holes;
        int fd;

        fd = sparse_file(10 * page);
        REQUIRE(fallocate(fd, 0, 0, 4 * page) == 0);
        CHECK_EQUAL(find_holes(fd, &holes), 0);
        CHECK(!holes);
        close_fd(fd);

        fd = sparse_file(10 * page);
        REQUIRE(fallocate(fd, 0, 0, 10 * page) == 0);
        CHECK_EQUAL(find_holes(fd, &holes), 0);
        close_fd(fd);
}

/* As the kernel brings it back: all of it has memory. */
static int full_file(off_t size) {
        int fd = sparse_file(size);

        REQUIRE(fallocate(fd, 0, 0, size) == 0);
        REQUIRE(allocated(fd) >= (uint64_t) size);
        return fd;
}

static void test_free_holes(void) {
        struct luo_hole holes[] = { { 0, 2 << 20 }, { 3 << 20, 1 << 20 } };
        off_t page = (off_t) sysconf(_SC_PAGESIZE);
        int fd = full_file(4 * MIB);
        char c = 0;

        /* Written to after it was preserved */
        REQUIRE(pwrite(fd, "x", 1, MIB + 17) == 1);
        libluo_internal_free_holes(fd, holes, ELEMENTS(holes));
        CHECK_EQUAL(allocated(fd), MIB + page);
        CHECK(pread(fd, &c, 1, MIB + 17) == 1 && c == 'x');
        CHECK_EQUAL(lseek(fd, 0, SEEK_END), 4 * MIB);
        close_fd(fd);
}

/* A file need not end where a page does. */
static void test_free_last_page(void) {
        struct luo_hole all = { 0, (1 << 20) + 100 };
        int fd = full_file(MIB + 100);

        libluo_internal_free_holes(fd, &all, 1);
        CHECK_EQUAL(allocated(fd), 0);
        CHECK_EQUAL(lseek(fd, 0, SEEK_END), MIB + 100);
        close_fd(fd);
}

/* The index says how large the file was; what counts is how large it is. */
static void test_hostile_holes(void) {
        struct luo_hole holes[] = { { 0, INT64_MAX }, { 1 << 20, INT64_MAX - (1 << 20) },
                { INT64_MAX - 1, 1 } };
        int fd = full_file(MIB);

        (void) alarm(FAR_AWAY / 1000000); /* instead of reading for years */
        libluo_internal_free_holes(fd, holes, ELEMENTS(holes));
        (void) alarm(0);
        CHECK_EQUAL(allocated(fd), 0);
        CHECK_EQUAL(lseek(fd, 0, SEEK_END), MIB);
        close_fd(fd);
}

static void test_sealed_holes(void) {
        struct luo_hole all = { 0, 1 << 20 };
        int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        REQUIRE(ftruncate(fd, MIB) == 0 && fallocate(fd, 0, 0, MIB) == 0 &&
                fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
        libluo_internal_free_holes(fd, &all, 1);
        CHECK_EQUAL(allocated(fd), MIB);
        close_fd(fd);
}

static void test_same_description(void) {
        int fd = sparse_file(0), duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 3),
            other_fd = libluo_internal_open_link(fd, O_RDWR), file_fd = sparse_file(0);

        CHECK(libluo_internal_same_description(fd, fd));
        CHECK(libluo_internal_same_description(fd, duplicate));
        CHECK(libluo_internal_same_description(duplicate, fd));
        CHECK(!libluo_internal_same_description(fd, file_fd));
        CHECK(!libluo_internal_same_description(fd, other_fd));
        CHECK(!libluo_internal_same_description(fd, 12345));
        CHECK(!libluo_internal_same_description(12345, fd));
        close_fd(fd);
        close_fd(duplicate);
        close_fd(other_fd);
        close_fd(file_fd);
}

/* Whoever takes a lease on what it has stored (F_SETLEASE) keeps nobody waiting: for 45 s, for each file. */
static void test_leased(void) {
        off_t page = (off_t) sysconf(_SC_PAGESIZE);
        struct luo_hole *holes;
        int fd = sparse_file(10 * page), leased_fd = libluo_internal_open_link(fd, O_RDWR), other_fd;

        (void) signal(SIGIO, SIG_IGN); /* which tells that somebody waits */
        REQUIRE(leased_fd >= 0 && fcntl(leased_fd, F_SETLEASE, F_WRLCK) == 0);
        CHECK_EQUAL(libluo_internal_open_link(fd, O_RDONLY | O_NONBLOCK), -EAGAIN);
        CHECK_EQUAL(find_holes(fd, &holes), 0);
        CHECK(!holes);

        REQUIRE(fcntl(leased_fd, F_SETLEASE, F_UNLCK) == 0);
        other_fd = libluo_internal_open_link(fd, O_WRONLY | O_APPEND | O_NONBLOCK);
        CHECK_EQUAL(fcntl(other_fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_WRONLY | O_APPEND);
        close_fd(other_fd);
        close_fd(leased_fd);
        close_fd(fd);
}

static void test_memory_for_holes(void) {
        uint64_t available = libluo_memory_for_holes();
        struct stat st;
        int fd;

        CHECK(available < UINT64_C(1) << 50);

        /* What fits by this fits, what does not, does not; others use memory meanwhile. */
        fd = sparse_file((off_t) (available / 2));
        REQUIRE(fstat(fd, &st) == 0);
        CHECK_EQUAL(libluo_internal_holes_fit(fd, &st), 0);
        REQUIRE(ftruncate(fd, (off_t) (available * 2 + (UINT64_C(1) << 30))) == 0 && fstat(fd, &st) == 0);
        CHECK_EQUAL(libluo_internal_holes_fit(fd, &st), -EOVERFLOW);
        close_fd(fd);
}

/* EBADF means the same for all, see libluo.h */
static void test_path_only(void) {
        static const char *const paths[] = { "/", "/proc/self/exe", "/dev/null" };

        for (size_t i = 0; i < ELEMENTS(paths); i++) {
                char name[LIBLUO_SESSION_NAME_MAX + 1];
                libluo_bundle_writer *writer;
                libluo_bundle *bundle;
                uint32_t unknown;
                int fd;

                fd = open(paths[i], O_PATH | O_CLOEXEC);
                REQUIRE(fd >= 0);
                CHECK_EQUAL(libluo_bundle_open_index(fd, 0, &bundle), -EBADF);
                CHECK_EQUAL(libluo_bundle_open(fd, 0, &bundle), -EBADF);
                CHECK_EQUAL(libluo_bundle_writer_new(fd, 0, &writer), -EBADF);
                CHECK_EQUAL(libluo_index_features(fd, NULL, NULL, &unknown), -EBADF);
                CHECK_EQUAL(libluo_session_get_name(fd, name), -EBADF);
                CHECK_EQUAL(libluo_fd_is_session(fd), 0); /* asked of what others have open */
                close_fd(fd);
        }
}

static const struct test_case cases[] = {
        { "only a path", test_path_only },
        { "finding holes", test_find_holes },
        { "memory for holes", test_memory_for_holes },
        { "reserved memory is no hole", test_reserved_memory },
        { "giving holes back", test_free_holes },
        { "giving back the last page", test_free_last_page },
        { "holes that are not in the file", test_hostile_holes },
        { "holes of a sealed file", test_sealed_holes },
        { "a file with a lease", test_leased },
        { "open files and their duplicates", test_same_description },
};

TEST_MAIN(cases)
