/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A service's store, against a service manager that this test plays: a socket that notifications come in on, and file
 * descriptors from 3 on with the environment that says what they are.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "internal.h"
#include "test.h"

#define MFD_EXEC_VALUE 0x0010U /* Linux 6.3, glibc 2.38 */

static int manager_fd = -1;

/* Every case runs in a process of its own: file descriptors from 3 on and the environment are its own. */
static void in_child(void (*run)(void)) {
        int status;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                closefrom(3);
                run();
                fflush(stdout);
                _exit(test_skipped && !test_failed ? TEST_SKIPPED : test_failed);
        }
        REQUIRE(waitpid(pid, &status, 0) == pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_SKIPPED)
                test_skipped = "see above"; /* the child has said why */
        else
                CHECK_EQUAL(status, 0);
}

/* Puts a file descriptor out of the way of those that are passed. */
static int high(int fd) {
        int high_fd = fcntl(fd, F_DUPFD_CLOEXEC, 100);

        REQUIRE(fd >= 0 && high_fd >= 0);
        close_fd(fd);
        return high_fd;
}

static void start_manager(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t size;
        char path[64];

        (void) snprintf(path, sizeof(path), "@libluo-test-store-%i", (int) getpid());
        memcpy(address.sun_path + 1, path + 1, strlen(path) - 1);
        size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path));

        manager_fd = high(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        REQUIRE(bind(manager_fd, (struct sockaddr *) &address, size) == 0);
        REQUIRE(setenv("NOTIFY_SOCKET", path, 1) == 0);
}

/* What came last: its text, and its file descriptor or -1. False if nothing came. */
static bool receive(char text[static 512], int *ret_fd) {
        union {
                struct cmsghdr header;
                uint8_t buffer[CMSG_SPACE(sizeof(int) * 4)];
        } control;
        struct iovec iov = { .iov_base = text, .iov_len = 511 };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        *ret_fd = -1;
        n = recvmsg(manager_fd, &message, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return false;
        text[n] = 0;

        if (CMSG_FIRSTHDR(&message)) {
                CHECK_EQUAL(CMSG_FIRSTHDR(&message)->cmsg_len, CMSG_LEN(sizeof(int)));
                memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
        }
        return true;
}

/* The name of an entry; NULL if there is none. */
static const char *name_of(const libluo_store *store, size_t i) {
        libluo_store_entry e;

        return libluo_store_get_entry(store, i, &e, sizeof(e)) < 0 ? NULL : e.name;
}

#define CHECK_MESSAGE(expected, has_fd)                                                                      \
        do {                                                                                                 \
                char came_text[512] = "(nothing)";                                                           \
                int came_fd;                                                                                 \
                CHECK(receive(came_text, &came_fd));                                                         \
                CHECK_STRING(came_text, expected);                                                           \
                CHECK_EQUAL(came_fd >= 0, has_fd);                                                           \
                close_fd(came_fd);                                                                           \
        } while (0)

/* The messages that put something in the place of what is stored under a plain name */
#define CHECK_REPLACED(name)                                                                                 \
        do {                                                                                                 \
                CHECK_MESSAGE("FDSTORE=1\nFDNAME=" name "~1", true);                                         \
                CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=" name, false);                                       \
                CHECK_MESSAGE("FDSTORE=1\nFDNAME=" name, true);                                              \
                CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=" name "~1", false);                                  \
        } while (0)

static void check_no_message(void) {
        char text[512];
        int fd;

        CHECK(!receive(text, &fd));
}

/* Since Linux 6.9 pidfds have inodes of their own */
static bool has_pidfs(void) {
        int fd = (int) syscall(SYS_pidfd_open, getpid(), 0);
        struct statfs sfs;
        bool r = fd >= 0 && fstatfs(fd, &sfs) >= 0 && sfs.f_type == 0x50494446;

        close_fd(fd);
        return r;
}

static void pass_fds(const char *n, const char *names) {
        char pid[32];

        (void) snprintf(pid, sizeof(pid), "%i", (int) getpid());
        REQUIRE(setenv("LISTEN_PID", pid, 1) == 0 && setenv("LISTEN_FDS", n, 1) == 0);
        if (names)
                REQUIRE(setenv("LISTEN_FDNAMES", names, 1) == 0);
        else
                REQUIRE(unsetenv("LISTEN_FDNAMES") == 0);
}

/* A memfd at a given number, as the service manager passes it: without FD_CLOEXEC. */
static void pass_memfd(int number, const char *text) {
        int fd = memfd_create("passed", 0);

        REQUIRE(fd == number);
        REQUIRE(write(fd, text, strlen(text)) == (ssize_t) strlen(text));
}

static libluo_store *open_store(void) {
        libluo_store *store = NULL;

        REQUIRE(libluo_store_open(0, &store) == 0);
        return store;
}

/* As systemd says it for a unit with FileDescriptorStoreMax= */
static void give_room(const char *maximum) {
        REQUIRE(setenv("FDSTORE", maximum, 1) == 0);
}

static void check_data(const libluo_store *store, const char *name, const char *expected) {
        void *data = NULL;
        size_t size = 0;

        CHECK_EQUAL(libluo_store_get_data(store, name, 0, &data, &size), 0);
        CHECK_EQUAL(size, strlen(expected));
        CHECK(data && strcmp(data, expected) == 0);
        free(data);
}

/* A service manager that reads all there is. */
static pid_t start_reader(void) {
        pid_t pid = fork();

        REQUIRE(pid >= 0);
        if (pid == 0) {
                struct pollfd p = { .fd = manager_fd, .events = POLLIN };
                char text[512];
                int fd;

                while (poll(&p, 1, -1) > 0)
                        while (receive(text, &fd))
                                close_fd(fd);
                _exit(1);
        }
        return pid;
}

/*
 * A service manager with room for so many entries: the names that it has at the end, in order, are written to out_fd
 * when "END=1" comes. What it refuses it closes before it answers a barrier. systemd does so in a process of its own,
 * at whatever time: with is_busy that comes too late for who asks first, who can see then how slow it is.
 */
static pid_t start_fd_store(size_t maximum, bool is_busy, int out_fd) {
        enum { MAXIMUM = 8 };
        char names[MAXIMUM][64] = {};
        int fds[MAXIMUM], refused[MAXIMUM];
        size_t n = 0, n_refused = 0;
        pid_t pid;

        REQUIRE(maximum <= MAXIMUM);
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid > 0)
                return pid;

        for (;;) {
                struct pollfd p = { .fd = manager_fd, .events = POLLIN };
                char text[512], *name;
                bool close_all;
                int fd;

                REQUIRE(poll(&p, 1, -1) == 1 && receive(text, &fd));
                name = strstr(text, "FDNAME=");
                name = name ? name + strlen("FDNAME=") : text;
                name[strcspn(name, "\n")] = 0;
                close_all = strcmp(text, "BARRIER=1") == 0 && !is_busy;
                if (strncmp(text, "FDSTORE=1", strlen("FDSTORE=1")) == 0) {
                        bool same = false;

                        for (size_t i = 0; i < n; i++)
                                same = same || libluo_internal_same_description(fds[i], fd);
                        if (!same && n < maximum) {
                                REQUIRE(strlen(name) < sizeof(names[n]));
                                strcpy(names[n], name);
                                fds[n++] = fd;
                        } else {
                                REQUIRE(n_refused < MAXIMUM);
                                refused[n_refused++] = fd;
                        }
                        continue;
                } else if (strncmp(text, "FDSTOREREMOVE=1", strlen("FDSTOREREMOVE=1")) == 0) {
                        size_t kept = 0;

                        if (is_busy && n_refused > 0 && strstr(name, "~room")) {
                                (void) usleep(100000);
                                is_busy = false;
                                close_all = true;
                        }
                        for (size_t i = 0; i < n; i++)
                                if (strcmp(names[i], name) == 0)
                                        close_fd(fds[i]);
                                else {
                                        memmove(names[kept], names[i], sizeof(names[i]));
                                        fds[kept++] = fds[i];
                                }
                        n = kept;
                } else if (strcmp(text, "END=1") == 0) {
                        for (size_t i = 0; i < n; i++)
                                (void) dprintf(out_fd, "%s ", names[i]);
                        (void) dprintf(out_fd, ".");
                        _exit(0);
                }
                while (close_all && n_refused > 0)
                        close_fd(refused[--n_refused]);
                close_fd(fd);
        }
}

/* What is in the fd store, from its oldest entry on, when it ends */
static void check_stored(pid_t pid, int in_fd, const char *expected) {
        char text[512] = "";
        int status;

        CHECK_EQUAL(libluo_notify("END=1"), 0);
        REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
        CHECK(read(in_fd, text, sizeof(text) - 1) >= 0);
        CHECK_STRING(text, expected);
}

/* ---------------------------------------------------------------------------------------------------- cases ---- */

static void run_nothing_passed(void) {
        libluo_store *store = open_store();

        CHECK_EQUAL(libluo_store_count(store), 0);
        CHECK(!name_of(store, 0));
        CHECK_EQUAL(libluo_store_get_fd(store, "x", 0), -ENOENT);
        CHECK_EQUAL(libluo_store_remove(store, "x"), -ENOENT);
        CHECK(!libluo_store_free(store));
        CHECK(!libluo_store_free(NULL));

        /* For another process */
        REQUIRE(setenv("LISTEN_PID", "1", 1) == 0 && setenv("LISTEN_FDS", "1", 1) == 0);
        store = open_store();
        CHECK_EQUAL(libluo_store_count(store), 0);
        libluo_store_free(store);

        /* A wrapper that removed only one of them */
        pass_fds("1", "a");
        REQUIRE(unsetenv("LISTEN_FDS") == 0);
        store = open_store();
        CHECK_EQUAL(libluo_store_count(store), 0);
        libluo_store_free(store);
}

static void run_passed(void) {
        libluo_store *store = NULL;
        int fd;

        pass_memfd(3, "socket");
        pass_memfd(4, "new");
        pass_memfd(5, "old");
        pass_memfd(6, "plain");
        pass_memfd(7, "odd");
        pass_fds("5", "http.socket:state~1f:state~9:plain:odd~0x");

        REQUIRE(libluo_store_open(LIBLUO_STORE_KEEP_ENVIRONMENT, &store) == 0);
        CHECK(getenv("LISTEN_FDS"));
        for (fd = 3; fd < 8; fd++)
                CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);

        CHECK_EQUAL(libluo_store_count(store), 4);
        CHECK_STRING(name_of(store, 0), "http.socket");
        CHECK_STRING(name_of(store, 1), "state");
        CHECK_STRING(name_of(store, 2), "plain");
        CHECK_STRING(name_of(store, 3), "odd~0x"); /* no generation, just a name */
        CHECK(!name_of(store, 4));

        check_data(store, "state", "new"); /* the newest, whatever the order */
        check_data(store, "plain", "plain");
        check_data(store, "plain", "plain");

        fd = libluo_store_get_fd(store, "http.socket", 0);
        CHECK_EQUAL(fd, 5); /* where the old one was, which is let go of */
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        libluo_store_free(store);
        CHECK(fcntl(3, F_GETFD) < 0);
        CHECK(fcntl(fd, F_GETFD) >= 0); /* the caller's own */

        /* Once more would take over what is not there */
        CHECK_EQUAL(libluo_store_open(0, &store), -EBADR);
}

static void run_environment(void) {
        libluo_store *store;

        pass_memfd(3, "a");
        pass_fds("1", NULL);
        store = open_store();
        CHECK_STRING(name_of(store, 0), "unknown");
        CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID"));
        libluo_store_free(store);
}

static void run_hostile_environment(void) {
        static const struct {
                const char *n, *names;
        } bad[] = {
                { "2", "a:b" }, /* one of them is not open */
                { "-1", "a" },
                { "1x", "a" },
                { "", "a" },
                { " 1", "a" },
                { "99999999999999999999", "a" },
                { "2147483647", "a" },
                { "1", "a:b" }, /* more names than file descriptors */
                { "1", "a:" },
        };

        pass_memfd(3, "a");
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                libluo_store *store = NULL;

                pass_fds(bad[i].n, bad[i].names);
                CHECK_EQUAL(libluo_store_open(0, &store), -EBADR);
                CHECK(!store);
                CHECK(fcntl(3, F_GETFD) == 0); /* as it was */
        }
        CHECK_EQUAL(libluo_store_open(16, &(libluo_store *) { NULL }), -EINVAL);
        CHECK_EQUAL(libluo_store_open(0, NULL), -EINVAL);
}

static void run_put(void) {
        libluo_store *store;
        int fd, other_fd, message_fd;
        struct stat a, b;
        char text[512];

        start_manager();
        give_room("16");
        store = open_store();

        CHECK_EQUAL(libluo_store_put_data(store, "state", "one", 3, 0), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=state", true);
        check_no_message();
        check_data(store, "state", "one");

        /* Stored before the old one is removed, and then under the name itself, for who knows nothing of others */
        CHECK_EQUAL(libluo_store_put_data(store, "state", "two", 3, 0), 0);
        CHECK_REPLACED("state");
        check_no_message();
        check_data(store, "state", "two");
        CHECK_EQUAL(libluo_store_count(store), 1);

        fd = memfd_create("mine", MFD_CLOEXEC);
        CHECK_EQUAL(libluo_store_put_fd(store, "fd", fd, LIBLUO_STORE_NO_POLL), 0);
        REQUIRE(receive(text, &message_fd));
        CHECK_STRING(text, "FDSTORE=1\nFDNAME=fd\nFDPOLL=0");
        CHECK(fstat(fd, &a) == 0 && fstat(message_fd, &b) == 0 && a.st_ino == b.st_ino);
        close_fd(message_fd);
        other_fd = libluo_store_get_fd(store, "fd", 0);
        CHECK(fstat(other_fd, &b) == 0 && a.st_ino == b.st_ino);
        close_fd(other_fd);
        CHECK(fcntl(fd, F_GETFD) >= 0);

        /* Data is sealed */
        other_fd = libluo_store_get_fd(store, "state", 0);
        CHECK_EQUAL(fcntl(other_fd, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
        close_fd(other_fd);

        CHECK_EQUAL(libluo_store_remove(store, "state"), 0);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state", false);
        CHECK_EQUAL(libluo_store_get_fd(store, "state", 0), -ENOENT);
        CHECK_EQUAL(libluo_store_count(store), 1);

        CHECK_EQUAL(libluo_store_put_data(store, "empty", NULL, 0, 0), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=empty", true);
        check_data(store, "empty", "");
        libluo_store_free(store);
}

/* A crash between the two messages leaves two generations; the next put clears up, whatever a name looks like. */
static void run_put_over_leftovers(void) {
        libluo_store *store;

        start_manager();
        give_room("16");
        pass_memfd(3, "plain");
        pass_memfd(4, "fifteen");
        pass_memfd(5, "sixteen");
        pass_fds("3", "state:state~f:state~10");
        store = open_store();
        check_data(store, "state", "sixteen");
        CHECK(fcntl(3, F_GETFD) < 0 && fcntl(4, F_GETFD) < 0); /* memory is let go of */

        CHECK_EQUAL(libluo_store_put_data(store, "state", "new", 3, 0), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=state~11", true);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state", false);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~f", false);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~10", false);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=state", true);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~11", false);
        check_no_message();
        check_data(store, "state", "new");
        libluo_store_free(store);
}

/* A socket that listens, as a socket unit passes it */
static void pass_listening_socket(int number) {
        REQUIRE(socket(AF_UNIX, SOCK_STREAM, 0) == number);
        REQUIRE(bind(number, (struct sockaddr *) &(struct sockaddr_un) { .sun_family = AF_UNIX },
                        sizeof(sa_family_t)) == 0);
        REQUIRE(listen(number, 1) == 0);
}

static void run_limit(void) {
        libluo_store *store;
        int fds[2];
        pid_t pid;

        start_manager();
        give_room("2");
        pass_listening_socket(3); /* is not from the store */
        pass_memfd(4, "one");
        pass_fds("2", "socket:one~1");
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        pid = start_fd_store(2, false, high(fds[1]));
        CHECK_EQUAL(libluo_internal_notify("FDSTORE=1\nFDNAME=one~1", 4), 0);
        store = open_store();

        CHECK_EQUAL(libluo_store_put_data(store, "one", "two", 3, 0),
                0); /* for a moment there is room for both */
        CHECK_EQUAL(libluo_store_put_data(store, "two", "2", 1, 0), 0);
        CHECK_EQUAL(libluo_store_put_data(store, "one", "three", 5, 0), -ENOBUFS);
        check_data(store, "one", "two");
        check_stored(pid, fds[0], "one two .");
        libluo_store_free(store);
}

/* systemd stores an open file once: replacing it by itself would remove it */
static void run_put_again(void) {
        libluo_store *store;
        int fd, other_fd;

        start_manager();
        give_room("16");
        pass_memfd(3, "old");
        pass_memfd(4, "new");
        pass_fds("2", "state~1:state~2");
        store = open_store();

        /* What get gives, changed in place */
        fd = libluo_store_get_fd(store, "state", 0);
        REQUIRE(pwrite(fd, "NEW", 3, 0) == 3);
        CHECK_EQUAL(libluo_store_put_fd(store, "state", fd, 0), 0);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~1", false);
        check_no_message();
        check_data(store, "state", "NEW");
        CHECK_EQUAL(libluo_store_put_fd(store, "state", fd, 0), 0);
        check_no_message();

        CHECK_EQUAL(libluo_store_put_fd(store, "other", fd, 0), -EEXIST);
        check_no_message();

        /* The same file, opened anew, is another open file */
        other_fd = libluo_internal_open_link(fd, O_RDWR);
        CHECK_EQUAL(libluo_store_put_fd(store, "other", other_fd, 0), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=other", true);
        close_fd(other_fd);
        close_fd(fd);
        libluo_store_free(store);
}

/* $FDSTORE is set only for units with an fd store */
static void run_no_room(void) {
        libluo_store *store;

        start_manager();
        REQUIRE(unsetenv("FDSTORE") == 0);
        store = open_store();
        CHECK_EQUAL(libluo_store_put_data(store, "state", "x", 1, 0), -ENOMEDIUM);
        check_no_message();
        libluo_store_free(store);

        REQUIRE(libluo_store_open(LIBLUO_STORE_ANY_ROOM, &store) == 0);
        CHECK_EQUAL(libluo_store_put_data(store, "state", "x", 1, 0), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=state", true);
        libluo_store_free(store);
}

/* What may be of a socket unit takes no room, and what the service has stored itself does: the manager knows */
static void run_room_for_sockets(void) {
        libluo_store *store;
        int fds[2];
        pid_t pid;

        start_manager();
        give_room("3");
        for (int fd = 3; fd < 5; fd++)
                REQUIRE(socket(AF_UNIX, SOCK_DGRAM, 0) == fd);
        pass_fds("2", "one:two");
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);

        /* Both are from the store */
        pid = start_fd_store(3, false, high(dup(fds[1])));
        CHECK_EQUAL(libluo_internal_notify("FDSTORE=1\nFDNAME=one", 3), 0);
        CHECK_EQUAL(libluo_internal_notify("FDSTORE=1\nFDNAME=two", 4), 0);
        REQUIRE(libluo_store_open(LIBLUO_STORE_KEEP_ENVIRONMENT | LIBLUO_STORE_LEAVE_FOREIGN, &store) == 0);
        CHECK_EQUAL(libluo_store_put_data(store, "a", "1", 1, 0), 0);
        CHECK_EQUAL(libluo_store_put_data(store, "b", "1", 1, 0), -ENOBUFS);
        CHECK_EQUAL(libluo_store_put_fd(store, "one", manager_fd, 0), -ENOBUFS); /* nor is it replaced */
        CHECK_EQUAL(libluo_store_count(store), 3);
        check_stored(pid, fds[0], "one two a .");
        libluo_store_free(store);

        /* None is */
        pid = start_fd_store(3, false, high(dup(fds[1])));
        store = open_store();
        CHECK_EQUAL(libluo_store_put_data(store, "a", "1", 1, 0), 0);
        CHECK_EQUAL(libluo_store_put_data(store, "b", "1", 1, 0), 0);
        CHECK_EQUAL(libluo_store_put_data(store, "c", "1", 1, 0), 0);
        CHECK_EQUAL(libluo_store_put_data(store, "d", "1", 1, 0), -ENOBUFS);
        check_stored(pid, fds[0], "a b c .");
        libluo_store_free(store);
}

/* A connection of Accept=yes, say, that is to live through restarts */
static void run_put_foreign(void) {
        libluo_store_entry e;
        libluo_store *store;
        int fds[2];
        pid_t pid;

        start_manager();
        give_room("1");
        REQUIRE(socket(AF_UNIX, SOCK_STREAM, 0) == 3);
        pass_fds("1", "connection");
        store = open_store();
        CHECK_EQUAL(libluo_store_put_fd(store, "other", 3, 0), -EEXIST);
        check_no_message();
        CHECK_EQUAL(libluo_store_put_fd(store, "connection", 3, 0), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=connection", true);
        CHECK_EQUAL(libluo_store_get_entry(store, 0, &e, sizeof(e)), 0);
        CHECK_EQUAL(e.flags, 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "connection", 3, 0), 0); /* it is known to be there now */
        CHECK_EQUAL(libluo_store_put_fd(store, "connection", 3, LIBLUO_STORE_ADD), 0);
        CHECK_EQUAL(libluo_store_put_data(store, "data", "x", 1, 0), -ENOBUFS);
        check_no_message();
        libluo_store_free(store);

        /* One of two, and no room for it */
        REQUIRE(socket(AF_UNIX, SOCK_STREAM, 0) == 3 && socket(AF_UNIX, SOCK_STREAM, 0) == 4);
        pass_fds("2", "connection:connection");
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        pid = start_fd_store(0, false, high(dup(fds[1])));
        store = open_store();
        CHECK_EQUAL(libluo_store_put_fd(store, "connection", 3, 0), -ENOTUNIQ);
        CHECK_EQUAL(libluo_store_put_fd(store, "connection", 3, LIBLUO_STORE_ADD), -ENOBUFS);
        check_stored(pid, fds[0], ".");
        pid = start_fd_store(1, false, high(dup(fds[1])));
        CHECK_EQUAL(libluo_store_put_fd(store, "connection", 3, LIBLUO_STORE_ADD), 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "connection", 4, LIBLUO_STORE_ADD), -ENOBUFS);
        check_stored(pid, fds[0], "connection .");
        libluo_store_free(store);
}

/* What is stored is put in the place of all of its name, by what the store itself has: name and file descriptor */
static void run_put_own(void) {
        libluo_store_entry e;
        libluo_store *store;
        char text[512];
        struct stat st;
        ino_t inode;
        int fd;

        start_manager();
        give_room("16");
        pass_memfd(3, "state");
        pass_fds("1", "state");
        store = open_store();
        CHECK_EQUAL(libluo_store_put_data(store, "state", "other", 5, LIBLUO_STORE_ADD), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=state", true);
        REQUIRE(fstat(3, &st) == 0);
        inode = st.st_ino;

        REQUIRE(libluo_store_get_entry(store, 0, &e, sizeof(e)) == 0);
        CHECK_EQUAL(libluo_store_put_fd(store, e.name, e.fd, 0), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=state~1", true);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state", false);
        REQUIRE(receive(text, &fd) && fd >= 0);
        CHECK_STRING(text, "FDSTORE=1\nFDNAME=state");
        CHECK(fstat(fd, &st) == 0 && st.st_ino == inode);
        close_fd(fd);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~1", false);
        check_no_message();
        check_data(store, "state", "state");

        REQUIRE(libluo_store_get_entry(store, 0, &e, sizeof(e)) == 0);
        CHECK_EQUAL(libluo_store_remove(store, e.name), 0);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state", false);
        check_no_message();
        CHECK_EQUAL(libluo_store_count(store), 0);
        libluo_store_free(store);
}

/* Should a remove end half-way, what is left is the newest, and not what it had replaced */
static void run_remove_in_order(void) {
        libluo_store *store;

        start_manager();
        give_room("16");
        pass_memfd(3, "a");
        pass_memfd(4, "newest");
        pass_memfd(5, "b");
        pass_fds("3", "state:state~2:state~1");
        store = open_store();
        CHECK_EQUAL(libluo_store_remove(store, "state"), 0);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state", false);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~1", false);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~2", false);
        check_no_message();
        libluo_store_free(store);

        REQUIRE(libluo_store_open(LIBLUO_STORE_SHARED, &store) == 0);
        CHECK_EQUAL(libluo_store_remove(store, "state"), 0);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state", false);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~1", false);
        check_no_message();
        libluo_store_free(store);
}

/* What looks like a generation, and has so many digits that there may be none after it, is a name */
static void run_last_generation(void) {
        libluo_store *store;

        start_manager();
        give_room("16");
        pass_memfd(3, "a");
        pass_memfd(4, "b");
        pass_memfd(5, "c");
        pass_fds("3", "state~ffffffffffffffff:state~fffffffffffffffe:state~ffffffffffffffe");
        store = open_store();
        check_data(store, "state~ffffffffffffffff", "a");
        check_data(store, "state~fffffffffffffffe", "b");
        check_data(store, "state", "c");
        CHECK_EQUAL(libluo_store_put_fd(store, "state", manager_fd, 0), 0); /* no file of memory */
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=state~fffffffffffffff", true);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~ffffffffffffffe", false);
        CHECK_EQUAL(libluo_store_remove(store, "state"), 0);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~fffffffffffffff", false);
        CHECK_EQUAL(libluo_store_remove(store, "state~fffffffffffffffe"), 0);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~fffffffffffffffe", false);
        check_no_message();
        libluo_store_free(store);
}

static void run_other_process(void) {
        libluo_store *store;

        /* A process id that is used again: what it belonged to before had another pidfd */
        pass_memfd(3, "a");
        pass_fds("1", "a");
        REQUIRE(setenv("LISTEN_PIDFDID", "1", 1) == 0);
        store = open_store();
        CHECK(libluo_store_count(store) == 0 || !has_pidfs());
        libluo_store_free(store);
}

static void run_file_size_limit(void) {
        struct rlimit limit = { .rlim_cur = 100, .rlim_max = 100 };
        libluo_store *store;
        char data[101] = {};

        start_manager();
        give_room("16");
        store = open_store();
        REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        CHECK_EQUAL(libluo_store_put_data(store, "state", data, 101, 0), -EFBIG); /* and no signal */
        CHECK_EQUAL(libluo_store_put_data(store, "state", data, 100, 0), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=state", true);
        libluo_store_free(store);
}

static void run_barrier(void) {
        libluo_store *store;
        char text[512];
        int fd;
        pid_t pid;

        start_manager();
        give_room("16");
        store = open_store();

        CHECK_EQUAL(libluo_store_barrier(store, 0), -ETIMEDOUT);
        CHECK_MESSAGE("BARRIER=1", true);
        CHECK_EQUAL(libluo_store_barrier(store, 20000), -ETIMEDOUT);
        CHECK_MESSAGE("BARRIER=1", true);

        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                struct pollfd p = { .fd = manager_fd, .events = POLLIN };

                (void) poll(&p, 1, -1);
                _exit(!receive(text, &fd)); /* which closes it */
        }
        CHECK_EQUAL(libluo_store_barrier(store, UINT64_MAX), 0);
        REQUIRE(waitpid(pid, NULL, 0) == pid);
        CHECK_EQUAL(libluo_store_barrier(NULL, 0), -EINVAL);
        libluo_store_free(store);
}

static void run_names(void) {
        char name[LIBLUO_STORE_NAME_MAX + 2];
        libluo_store *store;

        start_manager();
        give_room("16");
        store = open_store();
        CHECK_EQUAL(libluo_store_put_data(store, "", "x", 1, 0), -EINVAL);
        CHECK_EQUAL(libluo_store_put_data(store, NULL, "x", 1, 0), -EINVAL);
        CHECK_EQUAL(libluo_store_put_data(store, "a:b", "x", 1, 0), -EINVAL);
        CHECK_EQUAL(libluo_store_put_data(store, "a~1", "x", 1, 0), -EINVAL);
        CHECK_EQUAL(libluo_store_put_data(store, "a\nFDSTOREREMOVE=1", "x", 1, 0), -EINVAL);
        CHECK_EQUAL(libluo_store_put_data(store, "a", NULL, 1, 0), -EINVAL);
        CHECK_EQUAL(libluo_store_put_data(NULL, "a", "x", 1, 0), -EINVAL);
        CHECK_EQUAL(libluo_store_put_fd(store, "a", 0, 4), -EINVAL);

        memset(name, 'n', sizeof(name));
        name[LIBLUO_STORE_NAME_MAX + 1] = 0;
        CHECK_EQUAL(libluo_store_put_data(store, name, "x", 1, 0), -EINVAL);
        check_no_message();
        name[LIBLUO_STORE_NAME_MAX] = 0;
        CHECK_EQUAL(libluo_store_put_data(store, name, "x", 1, 0), 0);
        check_data(store, name, "x");
        libluo_store_free(store);
}

static void run_no_manager(void) {
        libluo_store *store;
        struct rlimit limit, none;
        void *data = NULL;
        size_t size = 77;
        int fds[2];

        give_room("16");
        store = open_store();
        REQUIRE(unsetenv("NOTIFY_SOCKET") == 0);
        CHECK_EQUAL(libluo_store_put_data(store, "a", "x", 1, 0), -ENOTCONN);
        CHECK_EQUAL(libluo_store_barrier(store, 0), -ENOTCONN);
        CHECK_EQUAL(libluo_notify("READY=1"), -ENOTCONN);
        CHECK_EQUAL(libluo_notify(""), -EINVAL);
        CHECK_EQUAL(libluo_notify(NULL), -EINVAL);
        CHECK_EQUAL(libluo_store_count(store), 0); /* what could not be stored is not there */

        REQUIRE(setenv("NOTIFY_SOCKET", "/nowhere/socket", 1) == 0);
        CHECK_EQUAL(libluo_notify("READY=1"), -ECOMM);
        CHECK_EQUAL(libluo_store_put_data(store, "a", "x", 1, 0), -ECOMM);
        REQUIRE(setenv("NOTIFY_SOCKET", "vsock:2:1234", 1) == 0);
        CHECK_EQUAL(libluo_notify("READY=1"), -EAFNOSUPPORT);
        CHECK_EQUAL(libluo_store_barrier(store, 0), -EAFNOSUPPORT);

        start_manager();
        CHECK_EQUAL(libluo_store_put_fd(store, "bad", 99, 0), -EBADF);
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "pipe", fds[0], 0), 0);
        CHECK_EQUAL(libluo_store_get_data(store, "pipe", 0, &data, &size), -EISNAM);
        CHECK(!data && size == 77);

        REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        none = (struct rlimit) { .rlim_cur = 0, .rlim_max = limit.rlim_max };
        REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
        CHECK_EQUAL(libluo_store_get_fd(store, "pipe", 0), -EMFILE);
        CHECK_EQUAL(libluo_store_put_data(store, "a", "x", 1, 0), -EMFILE);
        CHECK_EQUAL(libluo_store_barrier(store, 0), -EMFILE);
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        libluo_store_free(store);
}

static void run_sessions(void) {
        int restored = 77, next = 77;
        libluo_store *store;

        pass_memfd(3, "no session");
        pass_fds("1", "session");
        store = open_store();
        CHECK_EQUAL(libluo_store_get_sessions(store, "other", 0, &restored, &next), -ENOENT);
        CHECK_EQUAL(libluo_store_get_sessions(store, "session", 0, &restored, &next), -EMEDIUMTYPE);
        CHECK_EQUAL(libluo_store_get_sessions(store, "session", 0, NULL, &next), -EINVAL);
        CHECK(restored == 77 && next == 77);
        libluo_store_free(store);
}

/* A socket unit with two ListenStream=: both have its name. */
static void pass_two_sockets(void) {
        for (int number = 3; number < 5; number++)
                REQUIRE(socket(AF_UNIX, SOCK_STREAM, 0) == number);
        pass_memfd(5, "text");
        REQUIRE(socket(AF_UNIX, SOCK_STREAM, 0) == 6);
        pass_fds("4", "my.socket:my.socket:state:stored");
}

static void run_two_sockets(void) {
        libluo_store *store;
        libluo_store_entry e;

        start_manager();
        give_room("16");
        pass_two_sockets();
        store = open_store();
        CHECK_EQUAL(libluo_store_count(store), 4);
        for (int i = 0; i < 4; i++) {
                CHECK_EQUAL(libluo_store_get_entry(store, (size_t) i, &e, sizeof(e)), 0);
                CHECK_EQUAL(e.fd, 3 + i);
                /* Those of socket units come first: behind a memfd there is none */
                CHECK_EQUAL(e.flags, i < 2 ? LIBLUO_STORE_ENTRY_FOREIGN : 0);
        }
        CHECK_EQUAL(libluo_store_get_entry(store, 4, &e, sizeof(e)), -EINVAL);
        CHECK_EQUAL(libluo_store_get_fd(store, "my.socket", 0), -ENOTUNIQ);
        libluo_store_free(store);
        CHECK(fcntl(3, F_GETFD) < 0 && fcntl(6, F_GETFD) < 0);
}

static void run_leave_foreign(void) {
        libluo_store *store;

        pass_two_sockets();
        REQUIRE(libluo_store_open(LIBLUO_STORE_LEAVE_FOREIGN, &store) == 0);
        CHECK_EQUAL(libluo_store_count(store), 4);
        CHECK_EQUAL(fcntl(3, F_GETFD), 0);
        CHECK_EQUAL(fcntl(5, F_GETFD), FD_CLOEXEC);
        libluo_store_free(store);
        CHECK_EQUAL(fcntl(3, F_GETFD), 0);
        CHECK_EQUAL(fcntl(4, F_GETFD), 0);
        CHECK(fcntl(5, F_GETFD) < 0);
}

/* FileDescriptorName=web~1 is not what libluo has named, and not libluo's to close */
static void run_leave_foreign_names(void) {
        libluo_store_entry e;
        libluo_store *store;

        for (int number = 3; number < 5; number++)
                REQUIRE(socket(AF_UNIX, SOCK_STREAM, 0) == number);
        pass_memfd(5, "text");
        pass_fds("3", "web~1:web~2:state~1");
        REQUIRE(libluo_store_open(LIBLUO_STORE_LEAVE_FOREIGN, &store) == 0);
        CHECK_EQUAL(libluo_store_count(store), 3);
        for (int i = 0; i < 2; i++) {
                CHECK_EQUAL(libluo_store_get_entry(store, (size_t) i, &e, sizeof(e)), 0);
                CHECK_EQUAL(e.fd, 3 + i);
                CHECK_STRING(e.name, "web");
                CHECK_EQUAL(e.flags, LIBLUO_STORE_ENTRY_FOREIGN);
        }
        check_data(store, "state", "text");
        libluo_store_free(store);
        CHECK_EQUAL(fcntl(3, F_GETFD), 0);
        CHECK_EQUAL(fcntl(4, F_GETFD), 0);

        /* Without the flag the second may have replaced the first */
        pass_fds("2", "web~1:web~2");
        store = open_store();
        CHECK_EQUAL(libluo_store_count(store), 1);
        libluo_store_free(store);
}

/* What is stored is read from its start by whoever gets the open file itself */
static void run_offset(void) {
        libluo_store *store;
        char text[6] = "";
        int fd;

        start_manager();
        give_room("16");
        store = open_store();
        CHECK_EQUAL(libluo_store_put_data(store, "data", "hello", 5, 0), 0);
        fd = libluo_store_get_fd(store, "data", 0);
        CHECK_EQUAL(read(fd, text, 5), 5);
        CHECK_STRING(text, "hello");
        close_fd(fd);
        libluo_store_free(store);
}

/* A process that knows nothing of what others have put since the start, with a store that has just enough room */
static int put_shared(const char *name, const char *data) {
        libluo_store *store;
        int r;

        REQUIRE(libluo_store_open(LIBLUO_STORE_SHARED, &store) == 0);
        r = data ? libluo_store_put_data(store, name, data, strlen(data), 0)
                 : libluo_store_remove(store, name);
        libluo_store_free(store);
        return r;
}

static void run_shared(void) {
        int fds[2], socket_fd;
        libluo_store *store;
        pid_t pid;

        start_manager();
        REQUIRE(unsetenv("FDSTORE") == 0); /* systemd before 254 */
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);

        /* Nothing to replace, and room for one */
        pid = start_fd_store(2, false, high(dup(fds[1])));
        CHECK_EQUAL(put_shared("a", "1"), 0);
        CHECK_EQUAL(put_shared("b", "1"), 0);
        CHECK_EQUAL(put_shared("c", "1"), -ENOBUFS);
        CHECK_EQUAL(put_shared("b", "2"), -ENOBUFS);
        check_stored(pid, fds[0], "a b .");

        /* What others have put is replaced, and removed */
        pid = start_fd_store(2, false, high(dup(fds[1])));
        CHECK_EQUAL(put_shared("a", "1"), 0);
        CHECK_EQUAL(put_shared("a", "2"), 0);
        check_stored(pid, fds[0], "a .");
        pid = start_fd_store(2, false, high(dup(fds[1])));
        CHECK_EQUAL(put_shared("a", "1"), 0);
        CHECK_EQUAL(put_shared("b", "1"), 0);
        CHECK_EQUAL(put_shared("a", NULL), 0);
        CHECK_EQUAL(put_shared("none", NULL), 0);
        CHECK_EQUAL(put_shared("b~1", NULL), -ENOENT);
        check_stored(pid, fds[0], "b .");

        /* A process that ended in the middle of it */
        pid = start_fd_store(3, false, high(dup(fds[1])));
        socket_fd = memfd_create("x", MFD_CLOEXEC);
        CHECK_EQUAL(libluo_internal_notify("FDSTORE=1\nFDNAME=a~1", socket_fd), 0);
        close_fd(socket_fd);
        CHECK_EQUAL(put_shared("a", "1"), 0);
        CHECK_EQUAL(put_shared("b", "1"), 0);
        check_stored(pid, fds[0], "a b .");
        pid = start_fd_store(3, false, high(dup(fds[1])));
        socket_fd = memfd_create("x", MFD_CLOEXEC);
        CHECK_EQUAL(libluo_internal_notify("FDSTORE=1\nFDNAME=a~1", socket_fd), 0);
        close_fd(socket_fd);
        CHECK_EQUAL(put_shared("a", NULL), 0);
        check_stored(pid, fds[0], ".");

        /* A socket gets its name, and again */
        pid = start_fd_store(2, false, high(dup(fds[1])));
        socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        REQUIRE(libluo_store_open(LIBLUO_STORE_SHARED, &store) == 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "socket", socket_fd, 0), 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "socket", socket_fd, 0), 0);
        check_stored(pid, fds[0], "socket .");
        libluo_store_free(store);

        /* But not in the place of another one, as it cannot be stored twice */
        pid = start_fd_store(3, false, high(dup(fds[1])));
        REQUIRE(libluo_store_open(LIBLUO_STORE_SHARED, &store) == 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "socket", socket_fd, 0), 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "socket", manager_fd, LIBLUO_STORE_ADD), 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "socket", socket_fd, 0), -ENOTUNIQ);
        check_stored(pid, fds[0], "socket socket .");
        libluo_store_free(store);

        /* One that takes nothing at all (NotifyAccess=) */
        pid = start_fd_store(0, false, high(dup(fds[1])));
        CHECK_EQUAL(put_shared("a", "1"), -ENOBUFS);
        check_stored(pid, fds[0], ".");

        /* A machine so busy that what was refused is closed long after */
        pid = start_fd_store(1, true, high(dup(fds[1])));
        CHECK_EQUAL(put_shared("a", "1"), 0);
        CHECK_EQUAL(put_shared("b", "1"), -ENOBUFS);
        check_stored(pid, fds[0], "a .");
}

/* As a user that file modes mean something for; false where there is none (of a user namespace) */
static bool drop_root(void) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0) {
                printf("# still root: %s\n", strerror(errno));
                return false;
        }
        REQUIRE(prctl(PR_SET_DUMPABLE, 1) == 0); /* its /proc/self is root's otherwise */
        return geteuid() != 0;
}

static mode_t mode_of(int fd) {
        struct stat st;

        REQUIRE(fstat(fd, &st) == 0);
        return st.st_mode & 07777;
}

static int put_fd_shared(const char *name, int fd) {
        libluo_store *store;
        int r;

        REQUIRE(libluo_store_open(LIBLUO_STORE_SHARED, &store) == 0);
        r = libluo_store_put_fd(store, name, fd, 0);
        libluo_store_free(store);
        return r;
}

/*
 * What other processes do with the mode at the worst of times: before and after the first look at it, and after the
 * first change
 */
static struct {
        bool active;
        mode_t before_look, after_look, after_change; /* NO_MODE: nothing */
        unsigned n_changes;
} others;

#define NO_MODE UINT32_MAX

static void change_once(int fd, mode_t *mode) {
        if (*mode != NO_MODE)
                REQUIRE(syscall(SYS_fchmod, fd, *mode) == 0);
        *mode = NO_MODE;
}

int fchmod(int fd, mode_t mode) {
        int r = (int) syscall(SYS_fchmod, fd, mode);

        others.n_changes++;
        if (others.active)
                change_once(fd, &others.after_change);
        return r;
}

int fstat(int fd, struct stat *st) {
        int r;

        if (others.active)
                change_once(fd, &others.before_look);
        r = fstatat(fd, "", st, AT_EMPTY_PATH);
        if (others.active)
                change_once(fd, &others.after_look);
        return r;
}

static void open_anew_beside_others(mode_t before_look, mode_t after_look, mode_t after_change, mode_t left) {
        int fd = memfd_create("x", MFD_CLOEXEC), other_fd;

        REQUIRE(fd >= 0 && fchmod(fd, 0400) == 0);
        others.before_look = before_look;
        others.after_look = after_look;
        others.after_change = after_change;
        others.active = true;
        other_fd = libluo_internal_open_anew(fd, O_RDWR, /* change_mode= */ true);
        others.active = false;
        CHECK(other_fd >= 0);
        CHECK_EQUAL(mode_of(fd), left);
        CHECK_EQUAL(others.before_look & others.after_look & others.after_change, NO_MODE);
        close_fd(other_fd);
        close_fd(fd);
}

static void run_open_anew_beside_others(void) {
        if (!drop_root()) {
                test_skipped = "root is kept out of nothing";
                return;
        }

        open_anew_beside_others(NO_MODE, NO_MODE, NO_MODE, 0400);
        /* The same, which is there for a moment, and put back */
        open_anew_beside_others(0600, 0400, NO_MODE, 0400);
        open_anew_beside_others(NO_MODE, NO_MODE, 0400, 0400);
        open_anew_beside_others(0600, 0400, 0400, 0400);
        /* What stays */
        open_anew_beside_others(NO_MODE, NO_MODE, 0640, 0640);
        open_anew_beside_others(NO_MODE, NO_MODE, 0440, 0440);
        open_anew_beside_others(0640, NO_MODE, NO_MODE, 0640);
}

/* Who may change the mode of a file that is not theirs, but gains nothing by it, leaves it alone */
static void run_open_anew_of_other_user(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
        int fd = memfd_create("x", MFD_CLOEXEC);

        if (geteuid() != 0 || fchown(fd, 65534, 65534) < 0) {
                test_skipped = "not root";
                return;
        }

        REQUIRE(fd >= 0 && fchmod(fd, 0) == 0);
        data[0].effective = data[0].permitted = 1U << CAP_FOWNER;
        REQUIRE(syscall(SYS_capset, &header, data) == 0);
        REQUIRE(fchmod(fd, 0) == 0);

        others.n_changes = 0;
        CHECK_EQUAL(libluo_internal_open_anew(fd, O_RDWR, /* change_mode= */ true), -EACCES);
        CHECK_EQUAL(others.n_changes, 0);
        CHECK_EQUAL(mode_of(fd), 0);
}

/* What its mode keeps its owner from opening anew is stored, replaced and put again as what does not */
static void run_put_kept_out(void) {
        int of_root = memfd_create("x", MFD_CLOEXEC), fds[2], a, b;
        libluo_store *store;
        bool is_user;
        pid_t pid;

        REQUIRE(of_root >= 0 && fchmod(of_root, 0) == 0);
        is_user = geteuid() == 0 && drop_root();
        start_manager();
        give_room("16");
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        a = memfd_create("x", MFD_CLOEXEC);
        b = memfd_create("x", MFD_CLOEXEC);
        REQUIRE(a >= 0 && b >= 0);

        store = open_store();
        CHECK_EQUAL(libluo_store_put_fd(store, "several", a, 0), 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "several", b, LIBLUO_STORE_ADD), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several", true);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several", true);
        REQUIRE(fchmod(b, 0) == 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "several", b, 0), 0);
        CHECK_REPLACED("several");
        check_no_message();
        CHECK_EQUAL(libluo_store_count(store), 1);
        CHECK_EQUAL(mode_of(b), 0);

        /* That of another user can be put in the place of another one, but keeps the other name then */
        if (is_user) {
                CHECK_EQUAL(libluo_store_put_fd(store, "several", of_root, 0), 0);
                CHECK_MESSAGE("FDSTORE=1\nFDNAME=several~1", true);
                CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=several", false);
                CHECK_EQUAL(libluo_store_put_fd(store, "several", a, LIBLUO_STORE_ADD), 0);
                CHECK_MESSAGE("FDSTORE=1\nFDNAME=several~1", true);
                CHECK_EQUAL(libluo_store_put_fd(store, "several", of_root, 0), -EACCES);
                check_no_message();
                CHECK_EQUAL(libluo_store_count(store), 2);
        }
        libluo_store_free(store);

        /* Where others write to the store: two files of one name, and one of them once more */
        pid = start_fd_store(4, false, high(dup(fds[1])));
        REQUIRE(fchmod(a, 0444) == 0 && fchmod(b, 0400) == 0);
        CHECK_EQUAL(put_fd_shared("secret", a), 0);
        CHECK_EQUAL(put_fd_shared("secret", b), 0);
        CHECK_EQUAL(put_fd_shared("secret", b), 0);
        if (is_user)
                CHECK_EQUAL(put_fd_shared("secret", of_root), -EACCES);
        CHECK_EQUAL(mode_of(a), 0444);
        CHECK_EQUAL(mode_of(b), 0400);
        check_stored(pid, fds[0], "secret .");

        pid = start_fd_store(4, false, high(dup(fds[1])));
        REQUIRE(libluo_store_open(LIBLUO_STORE_SHARED, &store) == 0);
        for (int i = 0; i < 3; i++)
                CHECK_EQUAL(libluo_store_put_fd(store, "secret", b, 0), 0);
        check_stored(pid, fds[0], "secret .");
        libluo_store_free(store);
}

/* Nor is what somebody has a lease on removed by being put once more */
static void run_put_leased(void) {
        libluo_store *store;
        int fd, other_fd, fds[2];
        pid_t pid;

        start_manager();
        give_room("16");
        REQUIRE(signal(SIGIO, SIG_IGN) != SIG_ERR);
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        other_fd = memfd_create("x", MFD_CLOEXEC);
        fd = libluo_internal_open_link(other_fd, O_RDWR);
        close_fd(other_fd);
        other_fd = memfd_create("x", MFD_CLOEXEC);
        REQUIRE(fd >= 0 && other_fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0);

        store = open_store();
        CHECK_EQUAL(libluo_store_put_fd(store, "several", fd, 0), 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "several", other_fd, LIBLUO_STORE_ADD), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several", true);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several", true);
        CHECK_EQUAL(libluo_store_put_fd(store, "several", fd, 0), -EAGAIN);
        check_no_message();
        CHECK_EQUAL(libluo_store_count(store), 2);
        libluo_store_free(store);

        pid = start_fd_store(4, false, high(dup(fds[1])));
        CHECK_EQUAL(put_fd_shared("a", other_fd), 0);
        CHECK_EQUAL(put_fd_shared("a", fd), -EAGAIN);
        check_stored(pid, fds[0], "a .");
        pid = start_fd_store(4, false, high(dup(fds[1])));
        REQUIRE(fcntl(fd, F_SETLEASE, F_UNLCK) == 0);
        CHECK_EQUAL(put_fd_shared("a", other_fd), 0);
        CHECK_EQUAL(put_fd_shared("a", fd), 0);
        check_stored(pid, fds[0], "a .");
}

static volatile sig_atomic_t n_signals;

static void on_signal(int number) {
        (void) number;
        n_signals++;
}

/* Signals without SA_RESTART, in numbers: nothing fails by them */
static void run_signals(void) {
        struct itimerval often = { .it_interval = { .tv_usec = 500 }, .it_value = { .tv_usec = 500 } };
        struct sigaction action = { .sa_handler = on_signal };
        libluo_store *store;
        void *memory;
        pid_t pid;

        start_manager();
        give_room("500");
        pid = start_reader();
        store = open_store();
        REQUIRE(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
        for (int i = 0; i < 200 || n_signals < 20; i++) {
                int fd;

                CHECK_EQUAL(libluo_store_put_data(store, "data", "x", 1, 0), 0);
                fd = libluo_memfd_new("x", 1 << 20, 0);
                CHECK(fd >= 0);
                close_fd(fd);
                CHECK(libluo_store_map(store, "memory", 4096, 1, 0, &memory) >= 0);
                (void) munmap(memory, 4096);
        }
        often = (struct itimerval) {};
        REQUIRE(setitimer(ITIMER_REAL, &often, NULL) == 0);
        REQUIRE(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        libluo_store_free(store);
}

static void run_several(void) {
        int fds[2], fd;
        libluo_store *store;

        start_manager();
        give_room("16");
        store = open_store();
        CHECK_EQUAL(libluo_store_put_data(store, "several", "one", 3, 0), 0);
        CHECK_EQUAL(libluo_store_put_data(store, "several", "two", 3, LIBLUO_STORE_ADD), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several", true);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several", true);
        CHECK_EQUAL(libluo_store_count(store), 2);
        CHECK_EQUAL(libluo_store_get_fd(store, "several", 0), -ENOTUNIQ);

        /* One message removes all of a name */
        CHECK_EQUAL(libluo_store_put_data(store, "several", "three", 5, 0), 0);
        CHECK_REPLACED("several");
        check_no_message();
        check_data(store, "several", "three");
        CHECK_EQUAL(libluo_store_count(store), 1);

        /* What cannot be opened anew keeps the other name, and goes on from there */
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "several", fds[0], 0), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several~1", true);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=several", false);
        CHECK_EQUAL(libluo_store_put_fd(store, "several", fds[1], LIBLUO_STORE_ADD), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several~1", true);
        CHECK_EQUAL(libluo_store_put_fd(store, "several", fds[1], 0), -ENOTUNIQ);
        check_no_message();

        /* Of two that are there already one shall stay */
        CHECK_EQUAL(libluo_store_put_data(store, "several", "four", 4, 0), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several~2", true);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=several~1", false);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several", true);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=several~2", false);
        CHECK_EQUAL(libluo_store_put_data(store, "several", "five", 4, LIBLUO_STORE_ADD), 0);
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=several", true);
        libluo_store_entry e;
        REQUIRE(libluo_store_get_entry(store, 1, &e, sizeof(e)) == 0);
        fd = fcntl(e.fd, F_DUPFD_CLOEXEC, 3);
        CHECK_EQUAL(libluo_store_put_fd(store, "several", fd, 0), 0);
        CHECK_REPLACED("several");
        check_no_message();
        check_data(store, "several", "five");
        libluo_store_free(store);
}

/* A crash after the new one got its name: the other one has the same file */
static void run_crash_at_the_end(void) {
        libluo_store *store;

        start_manager();
        give_room("16");
        pass_memfd(3, "new");
        REQUIRE(libluo_internal_open_link(3, O_RDWR) == 4);
        pass_fds("2", "state:state~1");
        store = open_store();
        CHECK_EQUAL(libluo_store_count(store), 1);
        check_data(store, "state", "new");
        CHECK(fcntl(4, F_GETFD) < 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "state", 3, 0), 0);
        CHECK_MESSAGE("FDSTOREREMOVE=1\nFDNAME=state~1", false);
        check_no_message();
        libluo_store_free(store);
}

/* So many names are passed, and there is room for as many more. False if that are too many for this machine. */
static bool prepare_many(int n) {
        struct rlimit limit;
        char *names, *p, number[32];

        REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        limit.rlim_cur = limit.rlim_max;
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        if (limit.rlim_cur < 2 * (rlim_t) n + 100) {
                test_skipped = "RLIMIT_NOFILE is too low";
                return false;
        }

        start_manager();
        REQUIRE(dup3(manager_fd, n + 50, O_CLOEXEC) >= 0); /* out of the way of so many */
        close_fd(manager_fd);
        manager_fd = n + 50;

        give_room("10000");
        names = p = calloc((size_t) n, 32);
        REQUIRE(names);
        for (int i = 0; i < n; i++) {
                pass_memfd(3 + i, "");
                p += sprintf(p, "%sentry-%i~1", i > 0 ? ":" : "", i);
        }
        (void) snprintf(number, sizeof(number), "%i", n);
        pass_fds(number, names);
        free(names);
        return true;
}

static libluo_store *get_many(int n) {
        libluo_store *store = open_store();
        char name[32];

        CHECK_EQUAL(libluo_store_count(store), n);
        for (int i = 0; i < n; i++) {
                (void) snprintf(name, sizeof(name), "entry-%i", i);
                CHECK_STRING(name_of(store, (size_t) i), name);
                int fd = libluo_store_get_fd(store, name, 0);
                CHECK(fd >= 0);
                close_fd(fd);
        }
        return store;
}

static void put_many(libluo_store *store, int n) {
        char name[32];

        for (int i = 0; i < n; i++) {
                (void) snprintf(name, sizeof(name), "put-%i", i);
                CHECK_EQUAL(libluo_store_put_data(store, name, "x", 1, 0), 0);
        }
}

static void run_many(void) {
        enum { N = 3000 };
        libluo_store *store;
        pid_t pid;

        if (!prepare_many(N))
                return;
        pid = start_reader();
        store = get_many(N);
        put_many(store, N);
        CHECK_EQUAL(libluo_store_count(store), 2 * N);
        REQUIRE(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        libluo_store_free(store);
}

/* Each basic block of libluo calls this: for this test it is built so. */
static uint64_t n_blocks;
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) {
        n_blocks++;
}

/* How many steps, not how long, which is the machine's business: to get, and then to put, n entries */
static uint64_t count_steps(int n) {
        uint64_t *count, found;
        int status;
        pid_t pid;

        count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(count != MAP_FAILED);
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                pid_t reader;

                if (!prepare_many(n))
                        _exit(0);
                reader = start_reader();
                n_blocks = 0;
                put_many(get_many(n), n);
                *count = n_blocks;
                (void) kill(reader, SIGKILL);
                _exit(test_failed);
        }

        REQUIRE(waitpid(pid, &status, 0) == pid);
        CHECK_EQUAL(status, 0);
        found = *count;
        (void) munmap(count, sizeof(*count));
        return found;
}

/* What was cubic, or quadratic with system calls, took a minute and a half, and 7 seconds, for 3000. */
static void run_growth(void) {
        uint64_t few = count_steps(100), many = count_steps(400);

        printf("# steps for 100 entries: %" PRIu64 ", for 400: %" PRIu64 "\n", few, many);
        CHECK(few > 0 && many < 5 * few);
}

/* A service manager that reads nothing: the time limit holds for sending, too. */
static void run_full_socket(void) {
        uint64_t start = now_usec();
        libluo_store *store;
        char text[512];
        int fd;

        start_manager();
        give_room("16");
        store = open_store();
        do
                fd = libluo_store_barrier_fd(store, 0);
        while (fd >= 0 && fcntl(fd, F_DUPFD_CLOEXEC, 3) >= 0);
        CHECK_EQUAL(fd, -ETIMEDOUT);
        CHECK_EQUAL(libluo_store_barrier_fd(store, 10000), -ETIMEDOUT);
        CHECK_EQUAL(libluo_store_barrier(store, 200000), -ETIMEDOUT);
        CHECK_EQUAL(libluo_store_barrier(store, 0), -ETIMEDOUT);
        CHECK(now_usec() - start >= 200000 && now_usec() - start < 20 * USEC_PER_SEC);

        /* With room again, it is as it was */
        while (receive(text, &fd))
                close_fd(fd);
        CHECK_EQUAL(libluo_notify("READY=1"), 0);
        CHECK_MESSAGE("READY=1", false);
        libluo_store_free(store);
}

/*
 * What limits a user is not the socket: all its processes together may have so many fds on their way. That a service
 * manager that is only slow reads them is waited for.
 */
static void run_many_on_their_way(void) {
        struct rlimit limit;
        libluo_store *store;
        int fd, n = 0;
        pid_t pid;

        start_manager();
        store = open_store();
        (void) drop_root(); /* that of a user namespace is not root for this */
        REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        limit.rlim_cur = 7; /* less than a socket takes messages */
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);

        for (; (fd = libluo_store_barrier_fd(store, 0)) >= 0; n++)
                close_fd(fd);
        CHECK_EQUAL(fd, -ETIMEDOUT);
        CHECK(n <= 8);
        CHECK_EQUAL(libluo_notify("READY=1"), 0); /* there is room in the socket */
        CHECK_EQUAL(libluo_store_barrier_fd(store, 20000), -ETIMEDOUT);

        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                char text[512];

                (void) usleep(100000);
                while (receive(text, &fd))
                        close_fd(fd);
                _exit(0);
        }
        fd = libluo_store_barrier_fd(store, FAR_AWAY);
        CHECK(fd >= 0);
        close_fd(fd);
        REQUIRE(waitpid(pid, NULL, 0) == pid);
        libluo_store_free(store);
}

static void run_barrier_fd(void) {
        struct pollfd p = {};
        libluo_store *store;
        char text[512];
        int fd;

        start_manager();
        store = open_store();
        p.fd = libluo_store_barrier_fd(store, 0);
        REQUIRE(p.fd >= 0);
        CHECK(fcntl(p.fd, F_GETFD) & FD_CLOEXEC);
        CHECK_EQUAL(poll(&p, 1, 0), 0);
        REQUIRE(receive(text, &fd));
        CHECK_STRING(text, "BARRIER=1");
        CHECK_EQUAL(poll(&p, 1, 0), 0);
        close_fd(fd);
        CHECK_EQUAL(poll(&p, 1, 0), 1);
        CHECK(p.revents & POLLHUP);
        close_fd(p.fd);
        libluo_store_free(store);
}

struct mapped {
        uint32_t version, n;
};

static void run_map(void) {
        struct mapped *m = NULL, *other = NULL;
        libluo_store *store;
        const void *data = NULL;
        size_t size = 0;
        void *p = NULL;
        int fd;

        start_manager();
        give_room("16");
        store = open_store();

        CHECK_EQUAL(libluo_store_map(store, "state", sizeof(*m), 7, 0, &p), 0);
        m = p;
        CHECK_MESSAGE("FDSTORE=1\nFDNAME=state", true);
        CHECK(m->version == 7 && m->n == 0);
        m->n = 5;
        CHECK_EQUAL(libluo_store_map(store, "state", sizeof(*m), 7, 0, &p), 1);
        other = p;
        CHECK(other != m && other->n == 5);
        check_no_message();
        munmap(m, sizeof(*m));
        munmap(other, sizeof(*other));

        p = NULL;
        CHECK_EQUAL(libluo_store_map(store, "state", sizeof(*m), 8, 0, &p), -ESTALE);
        CHECK_EQUAL(libluo_store_map(store, "state", sizeof(*m) + 1, 7, 0, &p), -EMSGSIZE);
        CHECK_EQUAL(libluo_store_map(store, "state", 3, 7, 0, &p), -EINVAL);
        CHECK_EQUAL(libluo_store_map_data(store, "state", 0, &data, &size), -EISNAM); /* not sealed */
        CHECK(!p && !data && size == 0);

        CHECK_EQUAL(libluo_store_put_data(store, "data", "12345678", 8, 0), 0);
        CHECK_EQUAL(libluo_store_map(store, "data", 8, 0x34333231, 0, &p), -EROFS);
        CHECK_EQUAL(libluo_store_map_data(store, "data", 0, &data, &size), 0);
        CHECK(size == 8 && memcmp(data, "12345678", 8) == 0);
        munmap((void *) data, size);
        CHECK_EQUAL(libluo_store_put_data(store, "empty", "", 0, 0), 0);
        CHECK_EQUAL(libluo_store_map_data(store, "empty", 0, &data, &size), 0);
        CHECK(!data && size == 0);

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "socket", fd, 0), 0);
        CHECK_EQUAL(libluo_store_map(store, "socket", 8, 7, 0, &p), -EISNAM);
        CHECK_EQUAL(libluo_store_map_data(store, "socket", 0, &data, &size), -EISNAM);
        libluo_store_free(store);
}

/* vm.memfd_noexec is of the PID namespace: the value, and what may be expected */
static void with_noexec(const char *value) {
        int status, fd;
        pid_t pid;

        if (unshare(CLONE_NEWPID) < 0) {
                printf("# not tried with vm.memfd_noexec=%s: %s\n", value, strerror(errno));
                test_skipped = "PID namespace";
                return;
        }
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                libluo_store *store;
                struct mapped *m;
                char name[251];
                void *p = NULL;

                fd = open("/proc/sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC);
                if (fd < 0 || write(fd, value, strlen(value)) < 0) {
                        printf("# not tried with vm.memfd_noexec=%s: %s\n", value, strerror(errno));
                        fflush(stdout);
                        _exit(TEST_SKIPPED);
                }
                close_fd(fd);

                CHECK(strcmp(value, "2") != 0 || memfd_create("x", MFD_CLOEXEC | MFD_EXEC_VALUE) < 0);
                memset(name, 'x', sizeof(name));
                name[250] = 0;
                CHECK_EQUAL(libluo_memfd_new(name, 0, 0), -EINVAL);
                CHECK_EQUAL(libluo_memfd_new(name, 0, LIBLUO_MEMFD_SEALABLE), -EINVAL);
                name[249] = 0;
                fd = libluo_memfd_new(name, 0, 0);
                CHECK(fd >= 0);
                close_fd(fd);

                start_manager();
                give_room("16");
                store = open_store();
                CHECK_EQUAL(libluo_store_map(store, "state", sizeof(*m), 7, 0, &p), 0);
                m = p;
                m->n = 1;
                CHECK_EQUAL(libluo_store_put_data(store, "data", "text", 4, 0), 0);
                check_data(store, "data", "text");

                /* It does not have the seal that makes LUO bring it back so that it cannot be written */
                fd = libluo_store_get_fd(store, "state", 0);
                CHECK_EQUAL(fcntl(fd, F_GET_SEALS) & F_SEAL_EXEC_VALUE, 0);
                libluo_preflight preflight;
                CHECK_EQUAL(libluo_fd_preflight(fd, &preflight, sizeof(preflight)), 0);
                CHECK_EQUAL(preflight.verdict, LIBLUO_VERDICT_FINE);
                CHECK_EQUAL(preflight.losses, 0);
                close_fd(fd);
                libluo_store_free(store);
                fflush(stdout);
                _exit(test_failed);
        }
        REQUIRE(waitpid(pid, &status, 0) == pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_SKIPPED)
                test_skipped = "vm.memfd_noexec";
        else
                CHECK_EQUAL(status, 0);
}

static void run_noexec_1(void) {
        with_noexec("1");
}

static void run_noexec_2(void) {
        with_noexec("2");
}

#define IN_CHILD(name)                                                                                       \
        static void test_##name(void) {                                                                      \
                in_child(run_##name);                                                                        \
        }

IN_CHILD(nothing_passed)
IN_CHILD(passed)
IN_CHILD(environment)
IN_CHILD(hostile_environment)
IN_CHILD(put)
IN_CHILD(put_over_leftovers)
IN_CHILD(put_again)
IN_CHILD(limit)
IN_CHILD(no_room)
IN_CHILD(room_for_sockets)
IN_CHILD(put_foreign)
IN_CHILD(put_own)
IN_CHILD(remove_in_order)
IN_CHILD(last_generation)
IN_CHILD(other_process)
IN_CHILD(file_size_limit)
IN_CHILD(barrier)
IN_CHILD(names)
IN_CHILD(no_manager)
IN_CHILD(sessions)
IN_CHILD(two_sockets)
IN_CHILD(leave_foreign)
IN_CHILD(leave_foreign_names)
IN_CHILD(offset)
IN_CHILD(shared)
IN_CHILD(open_anew_beside_others)
IN_CHILD(open_anew_of_other_user)
IN_CHILD(put_kept_out)
IN_CHILD(put_leased)
IN_CHILD(signals)
IN_CHILD(several)
IN_CHILD(crash_at_the_end)
IN_CHILD(many)
IN_CHILD(growth)
IN_CHILD(full_socket)
IN_CHILD(many_on_their_way)
IN_CHILD(barrier_fd)
IN_CHILD(map)
IN_CHILD(noexec_1)
IN_CHILD(noexec_2)

static const struct test_case cases[] = {
        { "nothing was passed", test_nothing_passed },
        { "taking over what was passed", test_passed },
        { "the environment", test_environment },
        { "a hostile environment", test_hostile_environment },
        { "putting, replacing, removing", test_put },
        { "leftovers of a crash", test_put_over_leftovers },
        { "putting what is there already", test_put_again },
        { "the limit of the fd store", test_limit },
        { "no fd store", test_no_room },
        { "sockets that are not from the fd store", test_room_for_sockets },
        { "storing what a socket unit has passed", test_put_foreign },
        { "putting and removing by what the store has", test_put_own },
        { "the order of removing", test_remove_in_order },
        { "the last generation", test_last_generation },
        { "a process id that is used again", test_other_process },
        { "a limit of file sizes", test_file_size_limit },
        { "barriers", test_barrier },
        { "names", test_names },
        { "no service manager, and other errors", test_no_manager },
        { "what is no session", test_sessions },
        { "several passed under one name", test_two_sockets },
        { "foreign entries that stay the caller's", test_leave_foreign },
        { "foreign entries, whatever their names are", test_leave_foreign_names },
        { "the offset of data", test_offset },
        { "a store that others write to", test_shared },
        { "opening a file anew while others change its mode", test_open_anew_beside_others },
        { "opening a file of another user anew", test_open_anew_of_other_user },
        { "putting a file whose mode keeps its owner out", test_put_kept_out },
        { "putting a file that somebody has a lease on", test_put_leased },
        { "signals", test_signals },
        { "several under one name", test_several },
        { "a crash before the other name is removed", test_crash_at_the_end },
        { "thousands of names", test_many },
        { "what it costs grows with their number, and no faster", test_growth },
        { "a service manager that does not read", test_full_socket },
        { "too many file descriptors on their way", test_many_on_their_way },
        { "a barrier to poll for", test_barrier_fd },
        { "memory that lives on", test_map },
        { "vm.memfd_noexec=1", test_noexec_1 },
        { "vm.memfd_noexec=2", test_noexec_2 },
};

TEST_MAIN(cases)
