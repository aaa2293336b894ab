/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * libluo against the kernel's real LUO, over two real kexecs: "luo-vm --tiny --kexecs 2 test-kernel".
 */

#include <sys/prctl.h>

#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#include "boots.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3, glibc 2.38 */
#endif

#define NAME_63 "0123456789012345678901234567890123456789012345678901234567890123456789"

/* Only root, as who this runs on a real kernel, can give files away; under luo-emulate it may be anybody. */
static uid_t owner(void) {
        return geteuid() == 0 ? 1000 : geteuid();
}

static gid_t group(void) {
        return geteuid() == 0 ? 1001 : getegid();
}

/* ------------------------------------------------------------------------------------- boot 0: outgoing ---- */

static void test_device(void) {
        char name[] = "much longer than any", own_name[16], link[32] = "";
        uint64_t features = 0;
        int fd = device(), other_fd;
        pid_t holder = 0;

        CHECK(has_cloexec(fd));
        CHECK_EQUAL(libluo_device_open(0), -EBUSY);
        CHECK_EQUAL(libluo_device_open(20000), -EBUSY);

        /* The emulator's device has another link */
        CHECK_EQUAL(libluo_internal_read_link(fd, link, sizeof(link)), 0);
        if (strcmp(link, LUO_DEVICE) == 0) {
                CHECK_EQUAL(libluo_device_holder(&holder, name, sizeof(name)), 0);
                CHECK_EQUAL(holder, getpid());
                REQUIRE(prctl(PR_GET_NAME, own_name) == 0);
                CHECK_STRING(name, own_name);
        }
        CHECK_EQUAL(libluo_device_probe(fd, &features), 0);
        CHECK(features &
                LIBLUO_FEATURE_SESSION_GET_NAME); /* the oldest kernel these tests are built with is 7.2 */
        close_fd(fd);
        CHECK_EQUAL(libluo_device_holder(&holder, NULL, 0), -ENOENT);

        other_fd = libluo_device_open(0);
        CHECK(other_fd >= 0);
        close_fd(other_fd);

        /* A session in the place of the device */
        fd = create("no-device");
        CHECK_EQUAL(libluo_session_create(fd, "n"), -EMEDIUMTYPE);
        CHECK_EQUAL(libluo_session_retrieve(fd, "n"), -EMEDIUMTYPE);
        close_fd(fd);

        fd = memfd("not a device");
        CHECK_EQUAL(libluo_device_probe(fd, &features), -EMEDIUMTYPE);
        CHECK_EQUAL(libluo_session_create(fd, "n"), -EMEDIUMTYPE);
        CHECK_EQUAL(libluo_session_retrieve(fd, "n"), -EMEDIUMTYPE);
        close_fd(fd);
        CHECK_EQUAL(libluo_session_create(fd, "n"), -EBADF);
}

static void test_session_names(void) {
        char long_name[] = NAME_63, name[LIBLUO_SESSION_NAME_MAX + 1], link[128];
        int fd, other_fd;

        long_name[63] = 0;
        fd = create(long_name);
        CHECK(fd >= 0);
        CHECK(has_cloexec(fd));
        CHECK_EQUAL(libluo_session_get_name(fd, name), 0);
        CHECK_STRING(name, long_name);
        CHECK_EQUAL(libluo_fd_is_session(fd), 1);
        CHECK_EQUAL(create(long_name), -EEXIST);

        /* One byte less is another name */
        long_name[62] = 0;
        other_fd = create(long_name);
        CHECK(other_fd >= 0);
        close_fd(other_fd);
        close_fd(fd);

        /* Closed and gone: the name is free */
        fd = create("short");
        CHECK(fd >= 0);
        close_fd(fd);
        fd = create("short");
        CHECK(fd >= 0);

        /* What kernels before 7.2 have to do with */
        memset(name, 0, sizeof(name));
        CHECK_EQUAL(libluo_internal_read_link(fd, link, sizeof(link)), 0);
        CHECK_EQUAL(libluo_internal_session_name_from_link(link, name), 0);
        CHECK_STRING(name, "short");
        close_fd(fd);

        fd = memfd("no session");
        CHECK_EQUAL(libluo_fd_is_session(fd), 0);
        CHECK_EQUAL(libluo_session_get_name(fd, name), -EMEDIUMTYPE);
        CHECK_EQUAL(libluo_internal_read_link(fd, link, sizeof(link)), 0);
        CHECK_EQUAL(libluo_internal_session_name_from_link(link, name), -EMEDIUMTYPE);
        close_fd(fd);
        CHECK_EQUAL(libluo_fd_is_session(fd), -EBADF);
}

static void test_preserve(void) {
        int session_fd = create("preserve"), other_session_fd = create("preserve-other"), fd = memfd("a"),
            other_fd = memfd("b"), reopened_fd = reopen(fd, O_RDONLY);

        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 7), 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, other_fd, 7), -EEXIST);
        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 8), -EBUSY);
        CHECK_EQUAL(libluo_session_preserve(other_session_fd, fd, 8), -EBUSY);
        CHECK_EQUAL(libluo_session_preserve(other_session_fd, reopened_fd, 8), -EBUSY); /* the inode counts */
        CHECK_EQUAL(libluo_session_preserve(other_session_fd, other_fd, UINT64_MAX), 0);
        CHECK_EQUAL(libluo_session_preserve(fd, other_fd, 8), -EMEDIUMTYPE);
        CHECK_EQUAL(libluo_session_preserve(session_fd, 12345, 8), -EBADF);

        /* Frozen in size, but not in content */
        CHECK(ftruncate(fd, 100) < 0);
        CHECK(pwrite(fd, "A", 1, 0) == 1);

        /* Closing un-preserves */
        close_fd(session_fd);
        CHECK_EQUAL(libluo_session_preserve(other_session_fd, fd, 8), 0);
        CHECK(ftruncate(other_fd, 100) < 0);
        close_fd(other_session_fd);
        CHECK(ftruncate(other_fd, 100) == 0);

        close_fd(fd);
        close_fd(other_fd);
        close_fd(reopened_fd);
}

/* A new file in a folder that is on tmpfs: the tiny machine has one, and the emulator's host has the other. */
static const char *tmpfs_path(void) {
        struct statfs sfs;

        if (statfs("/tmp", &sfs) == 0 && sfs.f_type == TMPFS_MAGIC)
                return "/tmp/luo-test-file";

        REQUIRE(statfs("/dev/shm", &sfs) == 0 && sfs.f_type == TMPFS_MAGIC);
        return "/dev/shm/luo-test-file";
}

static void test_types(void) {
        int session_fd = create("types"), fd, sockets[2], fds[2];
        const char *path;

        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, sockets[0], 1), -EOPNOTSUPP);
        REQUIRE(pipe(fds) == 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, fds[0], 1), -EOPNOTSUPP);
        CHECK_EQUAL(libluo_session_preserve(session_fd, session_fd, 1), -EOPNOTSUPP);

        /* A file of tmpfs qualifies once it has no name */
        path = tmpfs_path();
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        REQUIRE(fd >= 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 1), -EOPNOTSUPP);
        REQUIRE(unlink(path) == 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 1), 0);

        close_fd(session_fd);
        close_fd(fd);
        close_fd(sockets[0]);
        close_fd(sockets[1]);
        close_fd(fds[0]);
        close_fd(fds[1]);
}

static void test_direction_outgoing(void) {
        int session_fd = create("direction"), fd = memfd("a");
        libluo_bundle_writer *writer = NULL;
        libluo_bundle *bundle = NULL;

        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 1), 0);
        CHECK_EQUAL(libluo_session_retrieve_fd(session_fd, 1), -EBADFD);
        CHECK_EQUAL(libluo_session_finish(session_fd), -EBADFD);
        CHECK_EQUAL(libluo_bundle_open(session_fd, 0, &bundle), -EBADFD);
        CHECK(!bundle);
        CHECK_EQUAL(libluo_session_retrieve_fd(fd, 1), -EMEDIUMTYPE);
        CHECK_EQUAL(libluo_session_finish(fd), -EMEDIUMTYPE);
        CHECK_EQUAL(libluo_bundle_writer_new(fd, 0, &writer), -EMEDIUMTYPE);
        CHECK(!writer);
        close_fd(session_fd);
        close_fd(fd);
}

/* Everything a bundle records; kept open by a process that lives until the kexec. */
static void build_bundle(const char *session, const char *text) {
        int session_fd = create(session), fd, narrow, sockets[2];
        libluo_bundle_writer *bundle = NULL;
        struct stat st;

        REQUIRE(session_fd >= 0);
        REQUIRE(libluo_bundle_writer_new(session_fd, 0, &bundle) == 0);

        fd = memfd(text);
        REQUIRE(lseek(fd, 2, SEEK_SET) == 2);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, "plain", 0), 0);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, "again", 0), 0);

        fd = memfd("read-only");
        narrow = reopen(fd, O_RDONLY);
        REQUIRE(fchmod(fd, 0400) == 0 && fchown(fd, owner(), group()) == 0);
        REQUIRE(lseek(narrow, 4, SEEK_SET) == 4);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, narrow, "same", LIBLUO_ENTRY_NO_POLL), 0);

        narrow = reopen(memfd("write-only"), O_WRONLY | O_APPEND);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, narrow, "same", 0), 0);

        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, sockets[0], "socket", 0), -EOPNOTSUPP);

        fd = memfd("");
        REQUIRE(ftruncate(fd, 1 << 20) == 0 && pwrite(fd, "end", 3, (1 << 20) - 3) == 3);
        REQUIRE(fstat(fd, &st) == 0 && st.st_blocks * 512 < 1 << 20);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, "sparse", 0), 0);

        fd = memfd("sealed");
        REQUIRE(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, "", 0), 0);

        /* Without x bits, sealed: the kernel restores it with all of them and does not let go of them */
        fd = memfd_create("noexec", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
        REQUIRE(fd >= 0);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, "noexec", 0), 0);

        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, "a:b", 0), -EINVAL);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, NULL, 0), -EINVAL);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, "n", 2), -EINVAL);
        CHECK_EQUAL(libluo_bundle_writer_count(bundle), 8);

        CHECK_EQUAL(libluo_bundle_writer_write(bundle, 0), 0);
        CHECK_EQUAL(libluo_bundle_writer_write(bundle, 0), -EINVAL);
        CHECK_EQUAL(libluo_bundle_writer_add(bundle, fd, "late", 0), -EINVAL);
        libluo_bundle_writer_free(bundle);
}

static void test_build_bundle(void) {
        build_bundle("bundle", "bundle of boot 0");
}

static void test_leave_sessions(void) {
        int session_fd, fd;

        session_fd = create("plain");
        CHECK_EQUAL(libluo_session_preserve(session_fd, memfd("one"), 1), 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, memfd("two"), 2), 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, memfd("never retrieved"), 3), 0);

        session_fd = create("damaged");
        fd = memfd("This is not an index of anything, and long enough to be one: 64 bytes and more.");
        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 0), 0);

        session_fd = create("empty-index");
        CHECK_EQUAL(libluo_session_preserve(session_fd, memfd(""), 0), 0);

        session_fd = create("taken-token");
        CHECK_EQUAL(libluo_session_preserve(session_fd, memfd("x"), 0), 0);
        libluo_bundle_writer *bundle = NULL;
        CHECK_EQUAL(libluo_bundle_writer_new(session_fd, 0, &bundle), 0);
        CHECK_EQUAL(libluo_bundle_writer_write(bundle, 0), -EEXIST);
        libluo_bundle_writer_free(bundle);

        CHECK(create(STATE_SESSION) >= 0);
}

/* ------------------------------------------------------------------------------------- boot 1: incoming ---- */

static void test_after_kexec(void) {
        int fd = retrieve(STATE_SESSION);

        CHECK(fd >= 0);
        CHECK(has_cloexec(fd));
        CHECK_EQUAL(retrieve(STATE_SESSION), -EBUSY);
        close_fd(fd);
        CHECK_EQUAL(retrieve(STATE_SESSION), -ENOENT);
        CHECK_EQUAL(retrieve("preserve"), -ENOENT); /* was closed before the kexec */
}

static void test_retrieve(void) {
        int session_fd = retrieve("plain"), other_session_fd = create("plain"), fd, again_fd;
        char name[LIBLUO_SESSION_NAME_MAX + 1];
        struct stat a, b;

        /* An outgoing session of the same name is no problem */
        CHECK(session_fd >= 0 && other_session_fd >= 0);
        CHECK_EQUAL(libluo_session_get_name(session_fd, name), 0);
        CHECK_STRING(name, "plain");
        CHECK_EQUAL(libluo_internal_session_is_outgoing(session_fd), 0);
        CHECK_EQUAL(libluo_internal_session_is_outgoing(other_session_fd), 1);

        fd = libluo_session_retrieve_fd(session_fd, 2);
        CHECK(fd >= 0);
        CHECK(has_cloexec(fd));
        CHECK(holds(fd, "two"));
        again_fd = libluo_session_retrieve_fd(session_fd, 2);
        CHECK(again_fd >= 0);
        CHECK(fstat(fd, &a) == 0 && fstat(again_fd, &b) == 0 && a.st_ino == b.st_ino);
        CHECK_EQUAL(libluo_session_retrieve_fd(session_fd, 99), -ENOENT);

        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 5), -EBADFD);
        CHECK_EQUAL(libluo_session_preserve(other_session_fd, fd, 5), -EBUSY);
        CHECK_EQUAL(libluo_session_finish(session_fd), 0);
        CHECK_EQUAL(libluo_session_preserve(other_session_fd, fd, 5), 0);
        CHECK_EQUAL(libluo_session_retrieve_fd(session_fd, 1), -ENOENT);
        CHECK(holds(fd, "two"));
        close_fd(session_fd);
        close_fd(other_session_fd);
        close_fd(again_fd);
        close_fd(fd);
}

static void test_not_bundles(void) {
        static const char *const names[] = { "damaged", "empty-index", "taken-token" };
        libluo_bundle *bundle = NULL;
        int session_fd;

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                session_fd = retrieve(names[i]);
                CHECK(session_fd >= 0);
                CHECK_EQUAL(libluo_bundle_open(session_fd, 0, &bundle), -EBADMSG);
                CHECK(!bundle);
                close_fd(session_fd);
        }
}

static void check_bundle(const char *session, const char *text) {
        static const char *const names[] = { "plain", "again", "same", "same", "socket", "sparse", "",
                "noexec" };
        static const int lost[] = { 0, 0, 0, 0, EOPNOTSUPP, 0, 0, 0 };
        int session_fd = retrieve(session), fd;
        libluo_bundle *bundle = NULL;
        struct stat st;
        libluo_entry e;

        REQUIRE(session_fd >= 0);
        REQUIRE(libluo_bundle_open(session_fd, 0, &bundle) == 0);
        CHECK_EQUAL(libluo_bundle_count(bundle), ELEMENTS(names));
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                CHECK_EQUAL(libluo_bundle_get(bundle, i, &e, sizeof(e)), 0);
                CHECK_STRING(e.name, names[i]);
                CHECK_EQUAL(e.lost, lost[i]);
        }
        CHECK_EQUAL(libluo_bundle_get(bundle, ELEMENTS(names), &e, sizeof(e)), -EINVAL);
        CHECK_EQUAL(libluo_bundle_take(bundle, ELEMENTS(names), 0), -EINVAL);
        CHECK_EQUAL(libluo_bundle_take(bundle, 4, 0), -ENODATA);

        fd = libluo_bundle_take(bundle, 0, 0);
        CHECK(has_cloexec(fd));
        CHECK(holds(fd, text));
        CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 2);
        CHECK_EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
        close_fd(fd);

        fd = libluo_bundle_take(bundle, 2, 0);
        CHECK(has_cloexec(fd));
        CHECK(holds(fd, "read-only"));
        CHECK_EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        CHECK(write(fd, "x", 1) < 0);
        CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 4);
        CHECK(fstat(fd, &st) == 0 && st.st_uid == owner() && st.st_gid == group() &&
                (st.st_mode & 07777) == 0400);
        CHECK_EQUAL(libluo_bundle_get(bundle, 2, &e, sizeof(e)), 0);
        CHECK_EQUAL(e.flags, LIBLUO_ENTRY_NO_POLL);
        CHECK_EQUAL(e.size, strlen("read-only"));
        close_fd(fd);

        fd = libluo_bundle_take(bundle, 3, 0);
        CHECK_EQUAL(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
        CHECK(write(fd, "!", 1) == 1);
        CHECK(fstat(fd, &st) == 0 && st.st_size == (off_t) strlen("write-only!"));
        close_fd(fd);

        CHECK_EQUAL(libluo_bundle_get(bundle, 5, &e, sizeof(e)), 0);
        CHECK_EQUAL(e.size, 1 << 20);
        CHECK(e.allocated > 0 && e.allocated < 1 << 20);

        fd = libluo_bundle_take(bundle, 6, 0);
        CHECK(holds(fd, "sealed"));
        CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL));
        close_fd(fd);

        fd = libluo_bundle_take(bundle, 7, 0);
        CHECK(fd >= 0);
        /* What the kernel makes of MFD_NOEXEC_SEAL: should this fail, the kernel was mended, and libluo.h can be */
        CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0777);
        CHECK(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE);
        CHECK(write(fd, "x", 1) < 0);
        close_fd(fd);

        /* Entries can be taken any number of times until the session is finished */
        fd = libluo_bundle_take(bundle, 0, 0);
        CHECK(holds(fd, text));
        close_fd(fd);

        libluo_bundle_free(bundle);
        CHECK_EQUAL(libluo_session_finish(session_fd), 0);
        close_fd(session_fd);
}

static void test_take_bundle(void) {
        check_bundle("bundle", "bundle of boot 0");
}

static void test_build_next_bundle(void) {
        build_bundle("bundle", "bundle of boot 1");
        CHECK(create(STATE_SESSION) >= 0);
}

/* --------------------------------------------------------------------------------------------------- boot 2 ---- */

static void test_take_next_bundle(void) {
        check_bundle("bundle", "bundle of boot 1");
}

static const struct test_case boot_0[] = {
        { "a cold boot has no sessions", test_cold_boot },
        { "the device", test_device },
        { "session names", test_session_names },
        { "preserving", test_preserve },
        { "which types can be preserved", test_types },
        { "an outgoing session does not retrieve", test_direction_outgoing },
        { "building a bundle", test_build_bundle },
        { "leaving sessions behind", test_leave_sessions },
};

static const struct test_case boot_1[] = {
        { "retrieving a session", test_after_kexec },
        { "retrieving fds and finishing", test_retrieve },
        { "sessions that are no bundles", test_not_bundles },
        { "taking fds out of a bundle", test_take_bundle },
        { "building the next bundle", test_build_next_bundle },
};

static const struct test_case boot_2[] = {
        { "retrieving a session again", test_after_kexec },
        { "taking fds out of the next bundle", test_take_next_bundle },
};

static const struct test_boot boots[] = {
        { boot_0, ELEMENTS(boot_0) },
        { boot_1, ELEMENTS(boot_1) },
        { boot_2, ELEMENTS(boot_2) },
};

int main(void) {
        return test_run_boot(boots, ELEMENTS(boots));
}
