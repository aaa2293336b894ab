/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Bundles and the preflight over two real kexecs: files that are added more than once, files that bundles share, holes,
 * owners. Run as test-kernel.c is.
 */

#include <grp.h>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "boots.h"

#define MIB ((off_t) 1 << 20)

enum { OLD_USER = 61200, NEW_USER = 61201, KILLED = 42 };

/* When this process ends, at the first file that it gives to another owner */
static enum { NOT, BEFORE_CHOWN, AFTER_CHOWN } killed;

int fchown(int fd, uid_t uid, gid_t gid) {
        int r = 0;

        if (killed != BEFORE_CHOWN)
                r = (int) syscall(SYS_fchown, fd, uid, gid);
        if (killed != NOT)
                _exit(KILLED);
        return r;
}

static ino_t inode_of(int fd) {
        struct stat st;

        REQUIRE(fstat(fd, &st) == 0);
        return st.st_ino;
}

static mode_t mode_of(int fd) {
        struct stat st;

        REQUIRE(fstat(fd, &st) == 0);
        return st.st_mode & 07777;
}

static uint64_t allocated(int fd) {
        struct stat st;

        REQUIRE(fstat(fd, &st) == 0);
        return (uint64_t) st.st_blocks * 512;
}

static libluo_bundle_writer *new_bundle(int session_fd) {
        libluo_bundle_writer *bundle = NULL;

        REQUIRE(session_fd >= 0);
        REQUIRE(libluo_bundle_writer_new(session_fd, 0, &bundle) == 0);
        return bundle;
}

static libluo_bundle *open_bundle(int session_fd) {
        libluo_bundle *bundle = NULL;

        REQUIRE(session_fd >= 0);
        REQUIRE(libluo_bundle_open(session_fd, 0, &bundle) == 0);
        return bundle;
}

static libluo_preflight preflight(int fd) {
        libluo_preflight p = {};

        CHECK_EQUAL(libluo_fd_preflight(fd, &p, sizeof(p)), 0);
        return p;
}

/* ------------------------------------------------------------------------------------------------- boot 0 ---- */

static void build_duplicates(const char *session) {
        int session_fd = create(session), fd = memfd("one file"), narrow = reopen(fd, O_RDONLY),
            other_fd = memfd("other");
        libluo_bundle_writer *bundle = new_bundle(session_fd);

        REQUIRE(lseek(fd, 3, SEEK_SET) == 3);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, narrow, "read-only", 0), 0);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, "read-write", 0), 0);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, other_fd, "other", 0), 0);
        CHECK_EQUAL(libluo_bundle_writer_add(
                            bundle, reopen(fd, O_WRONLY | O_APPEND), "append", LIBLUO_ENTRY_NO_POLL),
                0);

        CHECK_EQUAL(libluo_bundle_writer_write(bundle, 0), 0);
        libluo_bundle_writer_free(bundle);
}

static void test_build_duplicates(void) {
        build_duplicates("duplicates");
}

static void test_build_shared(void) {
        int shared_fd = create("shared"), a_fd = create("shared-a"), b_fd = create("shared-b"),
            c_fd = create("shared-c"), fd = memfd("shared"), own_fd = memfd("own"), owned_fd = memfd("owned"),
            sockets[2];
        libluo_bundle_writer *shared = new_bundle(shared_fd), *a = new_bundle(a_fd), *b = new_bundle(b_fd),
                             *c = new_bundle(c_fd);

        CHECK_EQUAL(libluo_bundle_writer_add(a, own_fd, "own", 0), 0);
        REQUIRE(fchmod(fd, 04600) == 0);
        CHECK_EQUAL(libluo_bundle_writer_add_shared(a, fd, "x", 0, shared), 0);
        CHECK_EQUAL(libluo_bundle_writer_add_shared(b, reopen(fd, O_RDONLY), "y", 0, shared), 0);
        CHECK_EQUAL(libluo_bundle_writer_count(shared), 1);

        /* A file that cannot be preserved is lost to whom it belongs, and does not burden the others */
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
        CHECK_EQUAL(libluo_bundle_writer_add_shared(b, sockets[0], "socket", 0, shared), -EOPNOTSUPP);
        CHECK_EQUAL(libluo_bundle_writer_count(shared), 1);
        CHECK_EQUAL(libluo_bundle_writer_count(b), 2);

        if (geteuid() == 0)
                REQUIRE(fchown(owned_fd, OLD_USER, OLD_USER) == 0 && fchmod(owned_fd, 0640) == 0);
        CHECK_EQUAL(libluo_bundle_writer_add_shared(a, owned_fd, "owned", 0, shared), 0);

        /* Where nothing is shared, no session has to be looked for */
        CHECK_EQUAL(libluo_bundle_writer_add_shared(c, sockets[0], "socket", 0, shared), -EOPNOTSUPP);
        libluo_bundle_writer_free(c);
        close_fd(c_fd);

        /* References do not go in circles, and to one bundle only */
        CHECK_EQUAL(libluo_bundle_writer_add_shared(shared, fd, "z", 0, shared), -ELOOP);
        CHECK_EQUAL(libluo_bundle_writer_add_shared(shared, fd, "z", 0, a), -ELOOP);
        CHECK_EQUAL(libluo_bundle_writer_add_shared(a, fd, "z", 0, b), -EINVAL);

        CHECK_EQUAL(libluo_bundle_writer_write(shared, 0), 0);
        CHECK_EQUAL(libluo_bundle_writer_write(a, 0), 0);
        CHECK_EQUAL(libluo_bundle_writer_write(b, 0), 0);
        CHECK_EQUAL(libluo_bundle_writer_add_shared(a, fd, "late", 0, shared), -EINVAL);
        libluo_bundle_writer_free(a);
        libluo_bundle_writer_free(b);
        libluo_bundle_writer_free(shared);
}

/* 8 MiB with a page of data at 1 MiB and at the end, the rest is hole. */
static int sparse_memfd(void) {
        int fd = memfd("");

        REQUIRE(ftruncate(fd, 8 * MIB) == 0);
        REQUIRE(pwrite(fd, "middle", 6, MIB) == 6);
        REQUIRE(pwrite(fd, "end", 3, 8 * MIB - 3) == 3);
        REQUIRE(allocated(fd) <= 64 << 10);
        return fd;
}

static void test_build_sparse(void) {
        int session_fd = create("sparse"), fd = sparse_memfd(), sealed_fd = sparse_memfd(),
            empty_fd = memfd(""), endless_fd = memfd("");
        libluo_bundle_writer *bundle = new_bundle(session_fd);

        REQUIRE(lseek(fd, 7, SEEK_SET) == 7);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, "sparse", 0), 0);
        CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 7); /* looking for holes has not moved it */
        CHECK(allocated(fd) >= 8 << 20);        /* the kernel has filled them */

        REQUIRE(fcntl(sealed_fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, sealed_fd, "sealed", 0), 0);

        REQUIRE(ftruncate(empty_fd, MIB) == 0);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, empty_fd, "all hole", 0), 0);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, reopen(empty_fd, O_RDONLY), "all hole again", 0), 0);

        /* Filling this would be the end of the machine */
        REQUIRE(ftruncate(endless_fd, (off_t) 8 << 40) == 0);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, endless_fd, "endless", 0), -EOVERFLOW);
        CHECK_EQUAL(allocated(endless_fd), 0);

        /* Written to after it was preserved: a hole no longer */
        REQUIRE(pwrite(fd, "late", 4, 2 * MIB) == 4);

        CHECK_EQUAL(libluo_bundle_writer_write(bundle, 0), 0);
        libluo_bundle_writer_free(bundle);
}

/* A service's files, which may run as another user after the kexec */
static void test_build_owned(void) {
        int session_fd = create("owned"), fd = memfd("precious"), closed_fd = memfd("closed"), narrow;
        libluo_bundle_writer *writer;

        if (geteuid() != 0) {
                printf("# not tried, as not root\n");
                return;
        }

        writer = new_bundle(session_fd);
        REQUIRE(fchown(fd, OLD_USER, OLD_USER) == 0 && fchmod(fd, 06754) == 0);
        CHECK_EQUAL(libluo_bundle_writer_add(writer, fd, "owned", 0), 0);
        narrow = reopen(closed_fd, O_RDONLY);
        REQUIRE(fchown(closed_fd, OLD_USER, OLD_USER) == 0 && fchmod(closed_fd, 0000) == 0);
        CHECK_EQUAL(libluo_bundle_writer_add(writer, narrow, "closed", 0), 0);
        CHECK_EQUAL(libluo_bundle_writer_write(writer, 0), 0);
        libluo_bundle_writer_free(writer);
}

static void test_preflight_outgoing(void) {
        int session_fd = create("preflight"), fd = sparse_memfd(), sealed_fd = memfd("sealed"),
            empty_fd = memfd("");
        libluo_preflight p;

        REQUIRE(fcntl(sealed_fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW) == 0);

        p = preflight(session_fd);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_SESSION);
        CHECK_EQUAL(p.error, EOPNOTSUPP);
        CHECK_EQUAL(libluo_session_preserve(session_fd, session_fd, 9), -p.error);

        p = preflight(fd);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(p.error, 0);
        CHECK_EQUAL(p.certain, 1);
        CHECK_EQUAL(p.size, 8 << 20);
        CHECK(p.sparse_cost > 7 << 20);

        CHECK_EQUAL(preflight(sealed_fd).verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(preflight(empty_fd).verdict, LIBLUO_VERDICT_FINE);

        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 1), 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, sealed_fd, 2), 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, empty_fd, 3), 0);

        p = preflight(fd);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_PRESERVED);
        CHECK_EQUAL(p.error, EBUSY);
        CHECK_EQUAL(p.sparse_cost, 0);
        CHECK_EQUAL(preflight(reopen(fd, O_RDONLY)).verdict, LIBLUO_VERDICT_PRESERVED);
        CHECK_EQUAL(preflight(sealed_fd).verdict, LIBLUO_VERDICT_PRESERVED);
        CHECK_EQUAL(preflight(empty_fd).verdict, LIBLUO_VERDICT_PRESERVED);

        close_fd(session_fd);
        p = preflight(fd);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(p.sparse_cost, 0); /* preserving has filled the holes */
        CHECK_EQUAL(preflight(sealed_fd).verdict, LIBLUO_VERDICT_FINE);
}

static void test_leave_state(void) {
        CHECK(create(STATE_SESSION) >= 0);
}

/* ------------------------------------------------------------------------------------------------- boot 1 ---- */

static void test_after_kexec(void) {
        int fd = retrieve(STATE_SESSION);

        CHECK(fd >= 0);
        close_fd(fd);
}

static void check_duplicates(const char *session) {
        int session_fd = retrieve(session), fds[4], again_fd;
        libluo_bundle *bundle = open_bundle(session_fd);

        CHECK_EQUAL(libluo_bundle_take_all(bundle, fds, 3, 0), -EINVAL);
        REQUIRE(libluo_bundle_take_all(bundle, fds, ELEMENTS(fds), 0) == ELEMENTS(fds));
        CHECK_EQUAL(inode_of(fds[0]), inode_of(fds[1]));
        CHECK_EQUAL(inode_of(fds[0]), inode_of(fds[3]));
        CHECK(inode_of(fds[0]) != inode_of(fds[2]));
        CHECK_EQUAL(fcntl(fds[0], F_GETFL) & (O_ACCMODE | O_APPEND), O_RDONLY);
        CHECK_EQUAL(fcntl(fds[1], F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR);
        CHECK_EQUAL(fcntl(fds[3], F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
        CHECK_EQUAL(lseek(fds[0], 0, SEEK_CUR), 0);
        CHECK_EQUAL(lseek(fds[1], 0, SEEK_CUR), 3);
        CHECK(has_cloexec(fds[0]) && has_cloexec(fds[1]) && has_cloexec(fds[2]) && has_cloexec(fds[3]));
        CHECK(write(fds[0], "x", 1) < 0);
        CHECK(write(fds[3], "!", 1) == 1);
        CHECK(holds(fds[1], "one file!"));
        CHECK(holds(fds[2], "other"));

        again_fd = libluo_bundle_take(bundle, 0, LIBLUO_TAKE_AGAIN);
        CHECK_EQUAL(inode_of(again_fd), inode_of(fds[0]));
        CHECK_EQUAL(fcntl(again_fd, F_GETFL) & O_ACCMODE, O_RDONLY);

        CHECK_EQUAL(libluo_bundle_finish(bundle), 0);
        CHECK_EQUAL(libluo_bundle_take(bundle, 0, 0), -ENOENT);
        for (size_t i = 0; i < ELEMENTS(fds); i++)
                close_fd(fds[i]);
        close_fd(again_fd);
        libluo_bundle_free(bundle);
        close_fd(session_fd);
}

static void test_take_duplicates(void) {
        check_duplicates("duplicates");
        build_duplicates("duplicates");
}

/* Whoever takes a shared file first may be killed at any time, the next one goes on */
static void take_half(libluo_bundle *bundle, size_t i, int when) {
        struct stat st;
        int fd, status;
        pid_t pid;

        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                killed = when;
                (void) libluo_bundle_take(bundle, i, LIBLUO_TAKE_CHANGE_OWNER);
                _exit(0);
        }
        REQUIRE(waitpid(pid, &status, 0) == pid);
        CHECK_EQUAL(WEXITSTATUS(status), KILLED);

        fd = libluo_bundle_take(bundle, i, LIBLUO_TAKE_CHANGE_OWNER);
        CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == OLD_USER && st.st_gid == OLD_USER);
        CHECK_EQUAL(mode_of(fd), 0640);

        /* As the kernel brings it back */
        REQUIRE(fchown(fd, 0, 0) == 0 && fchmod(fd, 0777) == 0);
        close_fd(fd);
}

static void test_take_shared(void) {
        int shared_fd = retrieve("shared"), a_fd = retrieve("shared-a"), b_fd = retrieve("shared-b"), fd,
            other_fd;
        libluo_bundle *shared = open_bundle(shared_fd), *a = open_bundle(a_fd), *b = open_bundle(b_fd),
                      *index = NULL;
        libluo_entry e;

        CHECK_EQUAL(libluo_bundle_get(a, 1, &e, sizeof(e)), 0);
        CHECK_EQUAL(e.flags, LIBLUO_ENTRY_SHARED);
        CHECK_STRING(e.name, "x");
        CHECK_STRING(libluo_bundle_get_shared_name(a), "shared");

        fd = libluo_bundle_take(a, 0, 0);
        CHECK(holds(fd, "own"));
        close_fd(fd);
        CHECK_EQUAL(libluo_bundle_take(a, 1, 0), -ENOLINK);

        CHECK_EQUAL(libluo_bundle_set_shared(a, a), -ELOOP);
        CHECK_EQUAL(libluo_bundle_set_shared(a, b), -ELOOP);
        CHECK_EQUAL(libluo_bundle_set_shared(a, NULL), -EINVAL);
        CHECK_EQUAL(libluo_bundle_set_shared(a, shared), 0);
        CHECK_EQUAL(libluo_bundle_set_shared(b, shared), 0);

        if (geteuid() == 0) {
                take_half(a, 2, BEFORE_CHOWN);
                take_half(a, 2, AFTER_CHOWN);
        }

        fd = libluo_bundle_take(a, 1, 0);
        other_fd = libluo_bundle_take(b, 0, 0);
        CHECK(holds(fd, "shared"));
        CHECK_EQUAL(inode_of(fd), inode_of(other_fd));
        CHECK_EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
        CHECK_EQUAL(fcntl(other_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        CHECK_EQUAL(libluo_bundle_take(b, 1, 0), -ENODATA);
        CHECK(holds(fd, "shared"));
        close_fd(other_fd);

        /* What the one has made of it stays, be it a bit more or less than was put back */
        CHECK_EQUAL(mode_of(fd), 04600);
        for (size_t i = 0; i < 2; i++) {
                mode_t mode = i == 0 ? 0700 : 0600;

                CHECK_EQUAL(fchmod(fd, mode), 0);
                other_fd = libluo_bundle_take(b, 0, 0);
                CHECK(other_fd >= 0);
                CHECK_EQUAL(mode_of(fd), mode);
                close_fd(other_fd);
        }

        /* And it keeps nobody waiting, nor from what had all access */
        CHECK_EQUAL(fchmod(fd, 0640), 0);
        (void) signal(SIGIO, SIG_IGN); /* which tells that somebody waits */
        REQUIRE(fcntl(fd, F_SETLEASE, F_WRLCK) == 0);
        CHECK_EQUAL(libluo_bundle_take(b, 0, 0), -EAGAIN);
        other_fd = libluo_bundle_take(a, 1, 0);
        CHECK_EQUAL(inode_of(fd), inode_of(other_fd));
        CHECK_EQUAL(fcntl(other_fd, F_GETFL) & O_ACCMODE, O_RDWR);
        close_fd(other_fd);
        REQUIRE(fcntl(fd, F_SETLEASE, F_UNLCK) == 0);
        other_fd = libluo_bundle_take(b, 0, 0);
        CHECK_EQUAL(inode_of(fd), inode_of(other_fd));
        CHECK_EQUAL(mode_of(fd), 0640);
        close_fd(other_fd);
        if (geteuid() == 0) {
                struct stat st;

                REQUIRE(fchown(fd, 12345, 12345) == 0 && fchmod(fd, 0777) == 0);
                other_fd = libluo_bundle_take(b, 0, LIBLUO_TAKE_CHANGE_OWNER);
                CHECK(other_fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 12345 && st.st_gid == 12345);
                CHECK_EQUAL(mode_of(fd), 0777);
                close_fd(other_fd);
        }
        close_fd(fd);

        /* An index without its session is there to be looked at */
        fd = libluo_session_retrieve_fd(a_fd, LIBLUO_INDEX_TOKEN);
        CHECK_EQUAL(libluo_bundle_open_index(fd, 0, &index), 0);
        CHECK_EQUAL(libluo_bundle_count(index), 3);
        CHECK_EQUAL(libluo_bundle_take(index, 0, 0), -EINVAL);
        CHECK_EQUAL(libluo_bundle_finish(index), -EINVAL);
        libluo_bundle_free(index);
        close_fd(fd);

        libluo_bundle_free(a);
        libluo_bundle_free(b);
        libluo_bundle_free(shared);
        close_fd(a_fd);
        close_fd(b_fd);
        close_fd(shared_fd);
}

/* Memory is charged for what a file has once its holes are filled, each file once. */
static void check_memory(const libluo_bundle *bundle) {
        const uint64_t pages = 8 << 20, more = 16 << 10;
        uint64_t all, one, none;
        uint8_t skip[5] = { 0, 1, 1, 1, 0 };
        libluo_entry e;

        CHECK_EQUAL(libluo_bundle_get(bundle, 0, &e, sizeof(e)), 0);
        CHECK(e.holes > 7 << 20 && e.holes < 8 << 20 && e.allocated < 64 << 10);
        CHECK_EQUAL(e.memory, pages);
        CHECK_EQUAL(libluo_bundle_get(bundle, 3, &e, sizeof(e)), 0);
        CHECK_EQUAL(e.flags, LIBLUO_ENTRY_DUPLICATE);
        CHECK_EQUAL(e.memory, MIB);

        CHECK_EQUAL(libluo_bundle_get(bundle, 4, &e, sizeof(e)), 0);
        CHECK_EQUAL(e.lost, EOVERFLOW);
        CHECK_EQUAL(e.memory, 0);

        CHECK_EQUAL(libluo_bundle_get_memory(bundle, NULL, 0, &all), 0);
        CHECK_EQUAL(all, 2 * (pages + pages / 256 + more) + MIB + MIB / 256 + more);
        CHECK_EQUAL(libluo_bundle_get_memory(bundle, skip, 5, &one), 0);
        CHECK_EQUAL(one, pages + pages / 256 + more);
        skip[0] = 1;
        CHECK_EQUAL(libluo_bundle_get_memory(bundle, skip, 5, &none), 0);
        CHECK_EQUAL(none, 0);
        skip[3] = 0;
        CHECK_EQUAL(libluo_bundle_get_memory(bundle, skip, 5, &one), 0);
        CHECK_EQUAL(one, MIB + MIB / 256 + more);
        CHECK_EQUAL(libluo_bundle_get_memory(bundle, skip, 4, &one), -EINVAL);
}

static void test_take_sparse(void) {
        int session_fd = retrieve("sparse"), fd, again_fd;
        libluo_bundle *bundle = open_bundle(session_fd);
        struct stat st;
        char buffer[6];

        check_memory(bundle);
        fd = libluo_bundle_take(bundle, 0, 0);
        CHECK(allocated(fd) <= 64 << 10);
        CHECK(pread(fd, buffer, 6, MIB) == 6 && memcmp(buffer, "middle", 6) == 0);
        CHECK(pread(fd, buffer, 4, 2 * MIB) == 4 && memcmp(buffer, "late", 4) == 0);
        CHECK(pread(fd, buffer, 3, 8 * MIB - 3) == 3 && memcmp(buffer, "end", 3) == 0);
        CHECK_EQUAL(lseek(fd, 0, SEEK_END), 8 * MIB);

        /* Another reference leaves alone what was written meanwhile, also zeroes */
        CHECK(pwrite(fd, "\0", 1, 5 * MIB) == 1);
        REQUIRE(lseek(fd, 100, SEEK_SET) == 100 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
        again_fd = libluo_bundle_take(bundle, 0, LIBLUO_TAKE_AGAIN);
        CHECK(allocated(again_fd) >= allocated(fd));
        CHECK(libluo_internal_same_description(fd, again_fd)); /* as when a service is restarted */
        CHECK(fcntl(again_fd, F_GETFL) & O_NONBLOCK);
        close_fd(again_fd);

        /* What everybody may do now is what its owner wants, and not what the kernel makes of restored files */
        REQUIRE(fchmod(fd, 0777) == 0);
        again_fd = libluo_bundle_take(bundle, 0, LIBLUO_TAKE_AGAIN);
        CHECK(fstat(again_fd, &st) == 0 && (st.st_mode & 07777) == 0777);
        close_fd(again_fd);
        close_fd(fd);

        fd = libluo_bundle_take(bundle, 1, 0);
        CHECK(allocated(fd) >= 8 << 20); /* sealed: nobody can make holes */
        CHECK(pread(fd, buffer, 6, MIB) == 6 && memcmp(buffer, "middle", 6) == 0);
        close_fd(fd);

        /* By way of the duplicate */
        fd = libluo_bundle_take(bundle, 3, 0);
        CHECK_EQUAL(allocated(fd), 0);
        close_fd(fd);

        libluo_bundle_free(bundle);
        close_fd(session_fd);
}

static void as_user(uid_t uid, void (*run)(libluo_bundle *bundle), libluo_bundle *bundle) {
        int status;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                REQUIRE(setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
                        setresuid(uid, uid, uid) == 0);
                run(bundle);
                fflush(stdout);
                _exit(test_failed);
        }
        REQUIRE(waitpid(pid, &status, 0) == pid);
        CHECK_EQUAL(status, 0);
}

static void take_as_new_user(libluo_bundle *bundle) {
        struct stat st, later;
        int fd;

        CHECK_EQUAL(libluo_bundle_take(bundle, 0, 0), -EPERM);

        /* Members of the old group are others now, and others were let read: so both read */
        fd = libluo_bundle_take(bundle, 0, LIBLUO_TAKE_CHANGE_OWNER);
        CHECK(holds(fd, "precious"));
        CHECK(fstat(fd, &st) == 0 && st.st_uid == NEW_USER && (st.st_mode & 07777) == 0744);
        close_fd(fd);

        /* Nor has anybody more for a moment */
        (void) usleep(50000);
        fd = libluo_bundle_take(bundle, 0, LIBLUO_TAKE_CHANGE_OWNER);
        CHECK(fstat(fd, &later) == 0 && (later.st_mode & 07777) == 0744);
        CHECK(later.st_ctim.tv_sec == st.st_ctim.tv_sec && later.st_ctim.tv_nsec == st.st_ctim.tv_nsec);
        close_fd(fd);

        fd = libluo_bundle_take(bundle, 0, LIBLUO_TAKE_AGAIN);
        CHECK(holds(fd, "precious"));
        CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0744);
        close_fd(fd);
}

static void take_closed(libluo_bundle *bundle) {
        int fd, again_fd;
        struct stat st;

        fd = libluo_bundle_take(bundle, 1, 0);
        CHECK(holds(fd, "closed"));
        CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0000);

        /* Not opened up for a moment, while others have it */
        CHECK_EQUAL(libluo_bundle_take(bundle, 1, LIBLUO_TAKE_AGAIN), -EACCES);
        again_fd = libluo_bundle_take(bundle, 1, 0);
        CHECK(holds(again_fd, "closed"));
        CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0000);
        close_fd(again_fd);
        close_fd(fd);
}

static void test_take_owned(void) {
        int session_fd = retrieve("owned");
        libluo_bundle *bundle;
        libluo_entry e;
        struct stat st;
        int fd;

        if (geteuid() != 0) {
                printf("# not tried, as not root\n");
                return;
        }

        bundle = open_bundle(session_fd);
        as_user(NEW_USER, take_as_new_user, bundle);
        as_user(OLD_USER, take_closed, bundle);

        /* Who may, restores all of it */
        fd = libluo_bundle_take(bundle, 0, 0);
        CHECK_EQUAL(libluo_bundle_get(bundle, 0, &e, sizeof(e)), 0);
        CHECK(fstat(fd, &st) == 0 && st.st_uid == OLD_USER && st.st_gid == OLD_USER);
        CHECK_EQUAL(st.st_mode & 07777, e.mode);
        close_fd(fd);
        libluo_bundle_free(bundle);
        close_fd(session_fd);
}

static void test_preflight_incoming(void) {
        int session_fd = create("next"), outgoing_fd = create("next-other"), fd = memfd("state");

        CHECK_EQUAL(preflight(session_fd).verdict, LIBLUO_VERDICT_SESSION);
        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 1), 0);
        CHECK_EQUAL(preflight(fd).verdict, LIBLUO_VERDICT_PRESERVED);
        close_fd(outgoing_fd);
}

/* ------------------------------------------------------------------------------------------------- boot 2 ---- */

static void test_preflight_retrieved(void) {
        int session_fd = retrieve("next"), fd = libluo_session_retrieve_fd(session_fd, 1),
            outgoing_fd = create("x");
        libluo_preflight p;

        /*
         * Until the session is finished the kernel refuses the file, though it is not frozen: that cannot be seen from
         * the file, so the preflight does not know it.
         */
        CHECK(holds(fd, "state"));
        p = preflight(fd);
        CHECK_EQUAL(p.verdict, LIBLUO_VERDICT_FINE);
        CHECK_EQUAL(libluo_session_preserve(outgoing_fd, fd, 1), -EBUSY);
        CHECK_EQUAL(libluo_session_finish(session_fd), 0);
        CHECK_EQUAL(libluo_session_preserve(outgoing_fd, fd, 1), 0);
        close_fd(session_fd);
        close_fd(outgoing_fd);
        close_fd(fd);
}

static void test_take_duplicates_again(void) {
        check_duplicates("duplicates");
}

static const struct test_case boot_0[] = {
        { "a cold boot has no sessions", test_cold_boot },
        { "one file several times in a bundle", test_build_duplicates },
        { "one file in several bundles", test_build_shared },
        { "sparse files", test_build_sparse },
        { "files of other owners", test_build_owned },
        { "the preflight and what the kernel says", test_preflight_outgoing },
        { "leaving a session behind", test_leave_state },
};

static const struct test_case boot_1[] = {
        { "a session is there after the kexec", test_after_kexec },
        { "one file comes back several times, each with its rights", test_take_duplicates },
        { "one file comes back to several bundles", test_take_shared },
        { "holes are given back", test_take_sparse },
        { "files that another user stored", test_take_owned },
        { "the preflight after a kexec", test_preflight_incoming },
        { "leaving a session behind again", test_leave_state },
};

static const struct test_case boot_2[] = {
        { "a session is there after the second kexec", test_after_kexec },
        { "one file comes back several times once more", test_take_duplicates_again },
        { "the preflight of a retrieved file", test_preflight_retrieved },
};

static const struct test_boot boots[] = {
        { boot_0, ELEMENTS(boot_0) },
        { boot_1, ELEMENTS(boot_1) },
        { boot_2, ELEMENTS(boot_2) },
};

int main(void) {
        return test_run_boot(boots, ELEMENTS(boots));
}
