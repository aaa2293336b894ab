/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the preflight says of files when nothing is preserved. tests/kernel/test-bundle.c compares it with the kernel.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "dead-file.h"
#include "internal.h"
#include "test.h"

static libluo_verdict verdict_of(int fd, int *ret_error) {
        libluo_preflight p;

        REQUIRE(fd >= 0);
        memset(&p, 0xff, sizeof(p));
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.certain, 1);
        *ret_error = p.error;
        close_fd(fd);
        return p.verdict;
}

static void check_verdict(int fd, libluo_verdict expected) {
        int error;

        CHECK_EQUAL(verdict_of(fd, &error), expected);
        CHECK_EQUAL(error, expected == LIBLUO_VERDICT_FINE ? 0 : EOPNOTSUPP);
}

static void test_types(void) {
        char path[] = "/dev/shm/test-preflight-XXXXXX";
        int fds[2], fd;

        check_verdict(memfd_create("m", MFD_CLOEXEC), LIBLUO_VERDICT_FINE);
        check_verdict(eventfd(0, EFD_CLOEXEC), LIBLUO_VERDICT_TYPE);
        check_verdict(open("/dev/null", O_RDWR | O_CLOEXEC), LIBLUO_VERDICT_TYPE);
        check_verdict(open("/proc/self/status", O_RDONLY | O_CLOEXEC), LIBLUO_VERDICT_TYPE);
        check_verdict(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), LIBLUO_VERDICT_TYPE);

        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        check_verdict(fds[0], LIBLUO_VERDICT_TYPE);
        check_verdict(fds[1], LIBLUO_VERDICT_TYPE);
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        check_verdict(fds[0], LIBLUO_VERDICT_TYPE);
        check_verdict(fds[1], LIBLUO_VERDICT_TYPE);

        /* A file of tmpfs, and the same without its name */
        fd = mkostemp(path, O_CLOEXEC);
        check_verdict(fcntl(fd, F_DUPFD_CLOEXEC, 3), LIBLUO_VERDICT_NAMED);
        REQUIRE(unlink(path) == 0);
        check_verdict(fd, LIBLUO_VERDICT_FINE);
}

static void test_huge_pages(void) {
        int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);

        if (fd >= 0)
                check_verdict(fd, LIBLUO_VERDICT_HUGETLB);
        else
                CHECK(errno == ENOSYS || errno == ENODEV ||
                        errno == EINVAL); /* a kernel without huge pages */
}

static void test_sizes(void) {
        int fd = memfd_create("sparse", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        long page = sysconf(_SC_PAGESIZE);
        libluo_preflight p;

        REQUIRE(ftruncate(fd, 10 * page + 1) == 0 && pwrite(fd, "x", 1, 4 * page) == 1);
        REQUIRE(lseek(fd, 5, SEEK_SET) == 5);
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(p.size, 10 * page + 1);
        CHECK(p.allocated >= (uint64_t) page);
        CHECK_EQUAL(p.allocated + p.sparse_cost, 11 * page);
        CHECK_EQUAL(p.losses, 0);
        CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 5);
        close_fd(fd);
}

static void test_too_large(void) {
        int fd = memfd_create("large", MFD_CLOEXEC);
        off_t page = (off_t) sysconf(_SC_PAGESIZE);
        libluo_preflight p;

        REQUIRE(ftruncate(fd, 0xffffffff * page) == 0);
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(p.sparse_cost, p.size);

        REQUIRE(ftruncate(fd, 0xffffffff * page + 1) == 0);
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_TOO_LARGE);
        CHECK_EQUAL(p.error, EFBIG);
        close_fd(fd);
}

static void test_seals(void) {
        int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        libluo_preflight p;

        /* Every seal there is, but the one against sealing */
        REQUIRE(write(fd, "x", 1) == 1);
        REQUIRE(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ==
                0);
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(p.unknown_seals, 0);
        CHECK_EQUAL(p.certain, 1);
        close_fd(fd);

        fd = memfd_create("noexec", MFD_CLOEXEC | 0x0008U /* MFD_NOEXEC_SEAL, Linux 6.3 */);
        if (fd >= 0) {
                CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
                CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
                CHECK_EQUAL(p.losses, LIBLUO_LOSS_WRITING);
                close_fd(fd);
        }
}

/* Empty and sealed: there is nothing that could be done to it, so nothing to find out by. */
static void test_uncertain(void) {
        int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        libluo_preflight p;

        REQUIRE(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW) == 0);
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(p.certain, 0);
        close_fd(fd);
}

/* Whatever a writer does meanwhile, the preflight takes nothing away. */
static void test_concurrent_writer(void) {
        unsigned lost = 0;

        for (unsigned round = 0; round < 20; round++) {
                int fd = memfd_create("raced", MFD_CLOEXEC);
                libluo_preflight p;
                pid_t pid;

                REQUIRE(fd >= 0);
                pid = fork();
                REQUIRE(pid >= 0);
                if (pid == 0)
                        for (;;)
                                (void) libluo_fd_preflight(fd, &p, sizeof(p));

                for (unsigned i = 0; i < 3000; i++) {
                        char c = 0;

                        REQUIRE(ftruncate(fd, 0) == 0 && pwrite(fd, "x", 1, 0) == 1);
                        lost += pread(fd, &c, 1, 0) != 1 || c != 'x';
                }
                REQUIRE(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
                close_fd(fd);
        }
        CHECK_EQUAL(lost, 0);
}

/* A caller built with an earlier or a later header */
static void test_other_sizes(void) {
        struct {
                libluo_preflight p;
                char more[8];
        } later;
        int fd = memfd_create("m", MFD_CLOEXEC);
        libluo_preflight earlier;

        memset(&later, 0xff, sizeof(later));
        CHECK_EQUAL(libluo_fd_preflight(fd, &later.p, sizeof(later)), 0);
        CHECK_EQUAL(later.p.certain, 1);
        CHECK(memcmp(later.more, (char[8]) {}, 8) == 0);

        memset(&earlier, 0xff, sizeof(earlier));
        CHECK_EQUAL(libluo_fd_preflight(fd, &earlier, offsetof(libluo_preflight, certain)), 0);
        CHECK_EQUAL(earlier.verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(earlier.certain, -1); /* not written to */
        close_fd(fd);
}

static void test_errors(void) {
        libluo_preflight p = { .certain = 77 };
        struct rlimit limit, none;
        int fd = memfd_create("m", MFD_CLOEXEC);

        CHECK_EQUAL(libluo_fd_preflight(fd, NULL, sizeof(p)), -EINVAL);
        CHECK_EQUAL(libluo_fd_preflight(-1, &p, sizeof(p)), -EBADF);

        REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        none = (struct rlimit) { .rlim_cur = 3, .rlim_max = limit.rlim_max };
        REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), -EMFILE);
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CHECK_EQUAL(p.certain, 77); /* untouched on failure */
        close_fd(fd);
}

static void test_strings(void) {
        for (int v = LIBLUO_VERDICT_FINE; v <= LIBLUO_VERDICT_TOO_LARGE; v++)
                for (int w = LIBLUO_VERDICT_FINE; w <= LIBLUO_VERDICT_TOO_LARGE + 1; w++)
                        CHECK((strcmp(libluo_verdict_to_string((libluo_verdict) v),
                                       libluo_verdict_to_string((libluo_verdict) w)) == 0) == (v == w));
        CHECK_STRING(libluo_verdict_to_string((libluo_verdict) 1000), "unknown verdict");
}

/* Nothing is asked of it, by none who gets it: an fd store has all kinds of files. */
static void test_dead_file(void) {
        pid_t server;
        int fd = open_dead_file(&server), other_fd;
        char name[LIBLUO_SESSION_NAME_MAX + 1];
        libluo_preflight p;

        if (fd < 0)
                return;

        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_TYPE);
        CHECK_EQUAL(p.error, EOPNOTSUPP);
        CHECK_EQUAL(libluo_fd_is_session(fd), 0);
        CHECK_EQUAL(libluo_session_get_name(fd, name), -EMEDIUMTYPE);
        other_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        CHECK(libluo_internal_same_description(fd, other_fd));
        close_fd(other_fd);
        end_dead_file(fd, server);
}

/* What fallocate(2) clears for who lacks a capability; and nobody asks by it then. */
static void test_set_user_id(void) {
        int status, fd = memfd_create("m", MFD_CLOEXEC);
        libluo_preflight p;
        struct stat st;
        pid_t pid;

        REQUIRE(fd >= 0 && ftruncate(fd, 4096) == 0 && fchown(fd, 12345, 12345) == 0 &&
                fchmod(fd, 06755) == 0);
        fflush(stdout);
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                REQUIRE(geteuid() != 0 || setresuid(12345, 12345, 12345) == 0);
                CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
                CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
                CHECK_EQUAL(p.certain, 0);
                fflush(stdout);
                _exit(test_failed);
        }
        REQUIRE(waitpid(pid, &status, 0) == pid);
        CHECK_EQUAL(status, 0);
        CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 06755);
        close_fd(fd);
}

/* Nobody waits for who has taken a lease on what it has stored. */
static void test_leased(void) {
        int fd = memfd_create("m", MFD_CLOEXEC), leased_fd;
        libluo_preflight p;

        REQUIRE(fd >= 0 && ftruncate(fd, 4096) == 0);
        leased_fd = libluo_internal_open_link(fd, O_RDONLY);
        (void) signal(SIGIO, SIG_IGN); /* which tells that somebody waits */
        REQUIRE(leased_fd >= 0 && fcntl(leased_fd, F_SETLEASE, F_WRLCK) == 0);
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(p.certain, 0);
        close_fd(leased_fd);

        /* Nor does its holder hear of it who asks by the open file that has it */
        leased_fd = libluo_internal_open_link(fd, O_RDWR);
        REQUIRE(leased_fd >= 0 && fcntl(leased_fd, F_SETLEASE, F_WRLCK) == 0);
        CHECK_EQUAL(libluo_fd_preflight(leased_fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(p.certain, 0);
        CHECK_EQUAL(fcntl(leased_fd, F_GETLEASE), F_WRLCK);
        close_fd(leased_fd);
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.certain, 1);
        close_fd(fd);
}

/* More than there is of memory, but not more than a file can have */
static void test_holes(void) {
        int fd = memfd_create("m", MFD_CLOEXEC);
        libluo_preflight p;

        REQUIRE(fd >= 0 && ftruncate(fd, (off_t) 8 << 40) == 0);
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_HOLES);
        CHECK_EQUAL(p.error, EOVERFLOW);
        CHECK_EQUAL(p.sparse_cost, UINT64_C(8) << 40);
        REQUIRE(ftruncate(fd, 1 << 20) == 0);
        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
        close_fd(fd);
}

static const struct test_case cases[] = {
        { "types of files", test_types },
        { "huge pages", test_huge_pages },
        { "sizes and the cost of holes", test_sizes },
        { "too large", test_too_large },
        { "seals", test_seals },
        { "what cannot be found out", test_uncertain },
        { "somebody writes meanwhile", test_concurrent_writer },
        { "callers of other versions", test_other_sizes },
        { "a file on a server that does not answer", test_dead_file },
        { "a file with a lease", test_leased },
        { "set-user-ID", test_set_user_id },
        { "holes that do not fit", test_holes },
        { "errors", test_errors },
        { "sentences", test_strings },
};

TEST_MAIN(cases)
