/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The emulator as service manager: "luo-emulate --kexecs 2 --fd-store=8 --luo-session=state test-fd-store". Prints one
 * TAP stream.
 */

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "boots.h"

static int n_listen_fds;
static char *names[64];

/* Sends a message, with file descriptors. */
static void notify(const char *text, const int fds[], size_t n_fds) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * 8)];
        } control = {};
        struct msghdr message = {
                .msg_name = &address,
                .msg_namelen = sizeof(address),
                .msg_iov = &(struct iovec) { (char *) text, strlen(text) },
                .msg_iovlen = 1,
        };
        const char *path = getenv("NOTIFY_SOCKET");
        int fd;

        REQUIRE(path && strlen(path) < sizeof(address.sun_path) && n_fds <= 8);
        strcpy(address.sun_path, path);
        if (n_fds > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
        }

        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        REQUIRE(fd >= 0 && sendmsg(fd, &message, 0) == (ssize_t) strlen(text));
        close_fd(fd);
}

static void store(const char *text, int fd) {
        notify(text, &fd, 1);
}

/* Everything sent before is handled when this returns. */
static void barrier(void) {
        struct pollfd p = {};
        int fds[2];

        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        notify("BARRIER=1", fds + 1, 1);
        close_fd(fds[1]);
        p.fd = fds[0];
        CHECK_EQUAL(poll(&p, 1, (int) (FAR_AWAY / 1000)), 1);
        CHECK(p.revents & POLLHUP);
        close_fd(fds[0]);
}

/* Reads LISTEN_FDNAMES; what is there is what a service's sd_listen_fds_with_names(3) would find. */
static void read_environment(void) {
        const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS"), *text = getenv("LISTEN_FDNAMES");
        static char copy[1024];
        char *rest = copy;

        REQUIRE(pid && atoi(pid) == getpid() && fds && text && strlen(text) < sizeof(copy));
        strcpy(copy, text);
        n_listen_fds = atoi(fds);
        for (int i = 0; i < n_listen_fds; i++)
                names[i] = strsep(&rest, ":");
        REQUIRE(!rest && n_listen_fds > 0 && names[n_listen_fds - 1]);
}

static int find(const char *name) {
        for (int i = 0; i < n_listen_fds; i++)
                if (strcmp(names[i], name) == 0)
                        return 3 + i;

        return -1;
}

/* --fd-store=8, and the unit's sessions */
static void check_maximum(const char *expected) {
        const char *text = getenv("FDSTORE");

        CHECK_STRING(text ? text : "not set", expected);
}

/* --------------------------------------------------------------------------------------------------- boot 0 ---- */

static void test_first_boot(void) {
        int fd = find("state");

        CHECK_EQUAL(n_listen_fds, 1);
        check_maximum("9");
        CHECK_EQUAL(libluo_internal_session_is_outgoing(fd), 1);
        CHECK(!(fcntl(fd, F_GETFD) & FD_CLOEXEC));
        CHECK_EQUAL(libluo_session_preserve(fd, memfd("state of boot 0"), 7), 0);
}

static void test_hang_up(void) {
        int fds[2];

        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        store("FDSTORE=1\nFDNAME=pipe", fds[0]);
        barrier();
        close_fd(fds[1]);
        /* The store has the only other end: nobody writes any more, and it goes */
        store("FDSTORE=1\nFDNAME=pipe", fds[0]);
        close_fd(fds[0]);
        barrier();
}

static void test_store(void) {
        int fd = memfd("shared"), device_fd, session_fd, other_session_fd;

        REQUIRE(fchmod(fd, 0640) == 0 && lseek(fd, 2, SEEK_SET) == 2);
        store("FDSTORE=1\nFDNAME=shared", fd);
        store("FDSTORE=1\nFDNAME=same-again", dup(fd)); /* the same open file: is there already */
        store("FDSTORE=1\nFDNAME=read-only", reopen(fd, O_RDONLY));
        store("FDNAME=append\nFDSTORE=1", reopen(memfd("append"), O_WRONLY | O_APPEND));
        store("FDSTORE=1\nFDNAME=not:valid", memfd("default name"));

        notify("FDSTORE=1\nFDNAME=removed", (const int[]) { memfd("1"), memfd("2") }, 2);
        notify("FDSTOREREMOVE=1\nFDNAME=removed", NULL, 0);
        notify("FDSTOREREMOVE=1", NULL, 0); /* without a name nothing is removed */

        device_fd = libluo_device_open(0);
        session_fd = libluo_session_create(device_fd, "stored-session");
        other_session_fd = libluo_session_create(device_fd, "not-stored");
        close_fd(device_fd);
        CHECK_EQUAL(libluo_session_preserve(session_fd, memfd("in a session"), 1), 0);
        CHECK_EQUAL(libluo_session_preserve(other_session_fd, memfd("lost"), 1), 0);
        store("FDSTORE=1\nFDNAME=session", session_fd);
        close_fd(session_fd);

        notify("READY=1\nSTATUS=storing", NULL, 0);
        barrier();
}

static void test_full(void) {
        int sockets[2];

        /* Five are in there, and eight are the most */
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
        store("FDSTORE=1\nFDNAME=socket\nFDPOLL=0", sockets[0]);
        close_fd(sockets[1]); /* hangs up, which is not to matter */
        notify("FDSTORE=1\nFDNAME=last", (const int[]) { memfd("a"), memfd("b"), memfd("too many") }, 3);
        barrier();
}

/* ------------------------------------------------------------------------------------------ boots 1 and 2 ---- */

static void check_shared(void) {
        int fd = find("shared"), other_fd = find("read-only");
        struct stat a, b;

        CHECK(holds(fd, "shared"));
        CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 2);
        CHECK_EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
        CHECK_EQUAL(fcntl(other_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        CHECK_EQUAL(lseek(other_fd, 0, SEEK_CUR), 0);
        CHECK(fstat(fd, &a) == 0 && fstat(other_fd, &b) == 0 && a.st_ino == b.st_ino &&
                (a.st_mode & 07777) == 0640);
        CHECK_EQUAL(a.st_uid, geteuid());
}

static void test_restored(void) {
        static const char *const expected[] = { "state.next", "last", "last", "session", "stored", "append",
                "read-only", "shared", "state" };
        int fd;

        CHECK_EQUAL(n_listen_fds, ELEMENTS(expected));
        check_maximum("10");
        for (int i = 0; i < n_listen_fds && i < (int) ELEMENTS(expected); i++)
                CHECK_STRING(names[i], expected[i]);

        CHECK(holds(4, "b") && holds(5, "a"));
        CHECK(holds(find("stored"), "default name"));
        CHECK_EQUAL(fcntl(find("append"), F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
        check_shared();

        fd = libluo_session_retrieve_fd(find("session"), 1);
        CHECK(holds(fd, "in a session"));
        close_fd(fd);
}

static void test_sessions(void) {
        int device_fd = libluo_device_open(0), fd;

        fd = libluo_session_retrieve_fd(find("state"), 7);
        CHECK(holds(fd, "state of boot 0"));
        CHECK_EQUAL(libluo_session_preserve(find("state.next"), memfd("state of boot 1"), 8), 0);
        close_fd(fd);

        /* Its service was stopped, and nobody else had it */
        CHECK_EQUAL(libluo_session_retrieve(device_fd, "not-stored"), -ENOENT);
        close_fd(device_fd);
}

static void test_order_is_kept(void) {
        static const char *const expected[] = { "state.next", "state", "last", "last", "stored", "append",
                "read-only", "shared" };
        int fd;

        CHECK_EQUAL(n_listen_fds, ELEMENTS(expected));
        for (int i = 0; i < n_listen_fds && i < (int) ELEMENTS(expected); i++)
                CHECK_STRING(names[i], expected[i]);
        check_shared();

        fd = libluo_session_retrieve_fd(find("state"), 8);
        CHECK(holds(fd, "state of boot 1"));
        close_fd(fd);
        CHECK_EQUAL(libluo_internal_session_is_outgoing(find("state.next")), 1);
}

static const struct test_case boot_0[] = {
        { "the unit's session at the first start", test_first_boot },
        { "an entry that hangs up is dropped", test_hang_up },
        { "storing", test_store },
        { "a full store", test_full },
};

static const struct test_case boot_1[] = {
        { "what comes back after a kexec", test_restored },
        { "sessions after a kexec", test_sessions },
};

static const struct test_case boot_2[] = {
        { "what comes back after another kexec", test_order_is_kept },
};

static const struct test_boot boots[] = {
        { boot_0, ELEMENTS(boot_0) },
        { boot_1, ELEMENTS(boot_1) },
        { boot_2, ELEMENTS(boot_2) },
};

int main(void) {
        read_environment();
        return test_run_boot(boots, ELEMENTS(boots));
}
