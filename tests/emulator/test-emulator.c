/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is the emulator's own: how long device and sessions live, who calls, what a kexec is. Which errors the kernel
 * gives is test-kernel's business. Run by "luo-emulate --kexecs 2 --fail 1/retrieve:left:3=EIO*1 test-emulator"; prints
 * one TAP stream.
 */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <linux/reboot.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "boots.h"
#include "kernel-abi.h"

/* mm/shmem.c writes in pieces that end at multiples of this */
#define PIECE (2 << 20)

/* At once or not at all, unlike device() */
static int open_device(void) {
        return libluo_device_open(0);
}

/* As in Docker: the emulator opens files anew then, which have offsets of their own. */
static bool files_are_reopened(void) {
        int pidfd = (int) syscall(SYS_pidfd_open, getpid(), 0), fd;

        REQUIRE(pidfd >= 0);
        fd = (int) syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);
        REQUIRE(fd >= 0 || errno == EPERM);
        close_fd(fd);
        close_fd(pidfd);
        return fd < 0;
}

static void send_fd(int socket_fd, int fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {
                .header.cmsg_len = CMSG_LEN(sizeof(int)),
                .header.cmsg_level = SOL_SOCKET,
                .header.cmsg_type = SCM_RIGHTS,
        };
        struct msghdr message = {
                .msg_iov = &(struct iovec) { (char[]) { "x" }, 1 },
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };

        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        REQUIRE(sendmsg(socket_fd, &message, 0) == 1);
}

static void wait_for(pid_t pid) {
        int status;

        REQUIRE(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* --------------------------------------------------------------------------------------------------- boot 0 ---- */

static void test_environment(void) {
        const char *text = getenv("LUO_EMULATE");

        CHECK(text && strcmp(text, "1") == 0);
}

static void test_lifetime_dup(void) {
        int fd = open_device(), duplicate = dup(fd);

        REQUIRE(fd >= 0 && duplicate >= 0);
        close_fd(fd);
        CHECK_EQUAL(open_device(), -EBUSY);
        close_fd(duplicate);
        fd = open_device();
        CHECK(fd >= 0);
        close_fd(fd);
}

static void test_lifetime_fork(void) {
        int session_fd = create("fork"), fds[2];
        pid_t pid;
        char c;

        REQUIRE(session_fd >= 0 && pipe(fds) == 0);
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                close(fds[1]);
                _exit(read(fds[0], &c, 1) != 0);
        }

        close_fd(session_fd);
        CHECK_EQUAL(create("fork"), -EEXIST);
        close_fd(fds[1]);
        wait_for(pid);
        session_fd = create("fork");
        CHECK(session_fd >= 0);
        close_fd(session_fd);
        close_fd(fds[0]);
}

static void test_lifetime_message(void) {
        int session_fd = create("message"), sockets[2];

        REQUIRE(session_fd >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
        send_fd(sockets[0], session_fd);
        close_fd(session_fd);
        CHECK_EQUAL(create("message"), -EEXIST);

        /* Gone with the message, which nobody receives */
        close_fd(sockets[0]);
        close_fd(sockets[1]);
        session_fd = create("message");
        CHECK(session_fd >= 0);
        close_fd(session_fd);
}

static void test_lifetime_exec(void) {
        int fd = open_device();
        pid_t pid;

        REQUIRE(fd >= 0);
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                /* O_CLOEXEC, so that the device is not open in the new program */
                execl("/bin/sh", "sh", "-c", "! test -e /proc/self/fd/$1", "sh", "63", (char *) NULL);
                _exit(99);
        }
        wait_for(pid);
        CHECK_EQUAL(open_device(), -EBUSY);
        close_fd(fd);
}

static void test_other_epoll(void) {
        struct kernel_luo_name argument = { .size = sizeof(argument) };
        int epoll = epoll_create1(EPOLL_CLOEXEC), session_fd = create("epoll");

        REQUIRE(epoll >= 0 && session_fd >= 0);
        REQUIRE(epoll_ctl(epoll, EPOLL_CTL_ADD, STDERR_FILENO,
                        &(struct epoll_event) { .events = EPOLLHUP }) == 0 ||
                errno == EPERM);
        CHECK(libluo_internal_ioctl(epoll, KERNEL_LUO_GET_NAME, &argument) < 0);
        CHECK_EQUAL(libluo_fd_is_session(epoll), 0);
        CHECK_EQUAL(libluo_fd_is_session(session_fd), 1);
        close_fd(epoll);
        close_fd(session_fd);
}

/* Neither has more than open, ioctl and release */
static void test_file_operations(void) {
        int device_fd = open_device(), fds[] = { device_fd, libluo_session_create(device_fd, "operations") };
        int epoll = epoll_create1(EPOLL_CLOEXEC), event_fd = eventfd(0, EFD_CLOEXEC);
        uint64_t number = 1;

        REQUIRE(epoll >= 0 && event_fd >= 0);
        for (size_t i = 0; i < ELEMENTS(fds); i++) {
                struct pollfd poll_fd = { .fd = fds[i], .events = POLLIN };
                struct epoll_event event = { .events = EPOLLIN };

                REQUIRE(fds[i] >= 0);
                CHECK(read(fds[i], &number, sizeof(number)) < 0 && errno == EINVAL);
                CHECK(write(fds[i], &number, sizeof(number)) < 0 && errno == EINVAL);
                CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[i], 0) == MAP_FAILED && errno == ENODEV);
                CHECK_EQUAL(poll(&poll_fd, 1, 0), 1);
                CHECK_EQUAL(poll_fd.revents, POLLIN);
                CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) < 0 && errno == EPERM);
                CHECK(epoll_ctl(fds[i], EPOLL_CTL_ADD, event_fd, &event) < 0 && errno == EINVAL);
        }

        CHECK_EQUAL(epoll_ctl(epoll, EPOLL_CTL_ADD, event_fd, &(struct epoll_event) {}), 0);
        for (size_t i = 0; i < ELEMENTS(fds); i++)
                close_fd(fds[i]);
        close_fd(epoll);
        close_fd(event_fd);
}

/* More than an epoll can wait for by one file */
static void test_many_sessions(void) {
        static int fds[700];
        int device_fd = open_device();
        char name[32];

        REQUIRE(device_fd >= 0);
        for (size_t i = 0; i < ELEMENTS(fds); i++) {
                (void) snprintf(name, sizeof(name), "many-%zu", i);
                fds[i] = libluo_session_create(device_fd, name);
                REQUIRE(fds[i] >= 0);
        }
        CHECK_EQUAL(libluo_session_create(device_fd, "many-0"), -EEXIST);
        CHECK_EQUAL(libluo_session_create(device_fd, "many-699"), -EEXIST);
        for (size_t i = 0; i < ELEMENTS(fds); i++)
                close_fd(fds[i]);
        fds[0] = libluo_session_create(device_fd, "many-0");
        CHECK(fds[0] >= 0);
        close_fd(fds[0]);
        close_fd(device_fd);
}

static volatile sig_atomic_t n_signals;

static void count_signal(int number) {
        (void) number;
        n_signals++;
}

/* Each call is answered once, whenever the signal comes */
static void test_signals(void) {
        struct sigaction action = { .sa_handler = count_signal, .sa_flags = SA_RESTART }, old;
        struct itimerval interval = { { 0, 200 }, { 0, 200 } };
        int device_fd = open_device(), memfd = memfd_create("signals", MFD_CLOEXEC);
        char name[32];

        REQUIRE(device_fd >= 0 && memfd >= 0);
        REQUIRE(sigaction(SIGALRM, &action, &old) == 0 && setitimer(ITIMER_REAL, &interval, NULL) == 0);
        for (int i = 0; i < 300; i++) {
                int session_fd;

                (void) snprintf(name, sizeof(name), "signals-%i", i);
                session_fd = libluo_session_create(device_fd, name);
                REQUIRE(session_fd >= 0);
                CHECK_EQUAL(libluo_session_preserve(session_fd, memfd, 1), 0);
                close_fd(session_fd);
                CHECK_EQUAL(pwrite(memfd, "x", 1, i), 1);
                CHECK_EQUAL(ftruncate(memfd, i + 1), 0);
        }
        REQUIRE(setitimer(ITIMER_REAL, &(struct itimerval) {}, NULL) == 0);
        REQUIRE(sigaction(SIGALRM, &old, NULL) == 0);
        CHECK(n_signals > 0);
        close_fd(memfd);
        close_fd(device_fd);
}

static void test_no_free_fd(void) {
        int device_fd = open_device(), session_fd = libluo_session_create(device_fd, "taken"), last;
        struct rlimit old, limit;

        REQUIRE(device_fd >= 0 && session_fd >= 0);
        last = dup(session_fd);
        REQUIRE(last >= 0 && getrlimit(RLIMIT_NOFILE, &old) == 0);
        limit = (struct rlimit) { (rlim_t) last + 1, old.rlim_max };
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);

        CHECK_EQUAL(libluo_session_create(device_fd, "no-fd"), -EMFILE);
        /* Wanting an fd is found out first */
        CHECK_EQUAL(libluo_session_create(device_fd, "taken"), -EMFILE);
        CHECK_EQUAL(libluo_session_retrieve(device_fd, "nobody"), -EMFILE);
        CHECK_EQUAL(libluo_device_open(0), -EMFILE);

        REQUIRE(setrlimit(RLIMIT_NOFILE, &old) == 0);
        close_fd(last);
        last = libluo_session_create(device_fd, "no-fd");
        CHECK(last >= 0);
        close_fd(last);
        close_fd(session_fd);
        close_fd(device_fd);
}

static void *use_session(void *argument) {
        char name[32];
        int session_fd, device_fd, failed = 0;

        snprintf(name, sizeof(name), "thread-%p", argument);
        device_fd = libluo_device_open(FAR_AWAY);
        session_fd = libluo_session_create(device_fd, name);
        close_fd(device_fd);
        for (uint64_t i = 0; i < 100; i++) {
                int fd = memfd("thread");

                failed |= libluo_session_preserve(session_fd, fd, i) != 0;
                close_fd(fd);
        }
        close_fd(session_fd);
        *(int *) argument = failed;
        return NULL;
}

static void test_threads(void) {
        pthread_t threads[8];
        int failed[8];

        for (size_t i = 0; i < 8; i++)
                REQUIRE(pthread_create(threads + i, NULL, use_session, failed + i) == 0);
        for (size_t i = 0; i < 8; i++) {
                REQUIRE(pthread_join(threads[i], NULL) == 0);
                CHECK_EQUAL(failed[i], 0);
        }
}

static void test_links(void) {
        int device_fd = open_device(), session_fd = libluo_session_create(device_fd, "linked");
        char path[64], target[128] = {};

        snprintf(path, sizeof(path), "/proc/self/fd/%i", device_fd);
        CHECK(readlink(path, target, sizeof(target) - 1) > 0);
        CHECK_STRING(target, "/dev/liveupdate");

        memset(target, 0, sizeof(target));
        snprintf(path, sizeof(path), "/proc/%i/fd/%i", (int) getpid(), session_fd);
        CHECK(readlink(path, target, sizeof(target) - 1) > 0);
        CHECK_STRING(target, "anon_inode:[luo_session] linked");
        CHECK_EQUAL(readlink(path, target, 4), 4);

        close_fd(device_fd);
        close_fd(session_fd);
}

static void test_paths(void) {
        static const char *const others[] = { "/dev/liveupdate2", "/dev/liveupdate/x", "dev/liveupdate" };
        int folder = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

        fd = open("//dev/./liveupdate", O_RDWR | O_CLOEXEC);
        CHECK(fd >= 0);
        close_fd(fd);
        fd = openat(folder, "liveupdate", O_RDWR | O_CLOEXEC);
        CHECK(fd >= 0);
        close_fd(fd);
        for (size_t i = 0; i < ELEMENTS(others); i++)
                CHECK(open(others[i], O_RDWR | O_CLOEXEC) < 0 && (errno == ENOENT || errno == ENOTDIR));
        close_fd(folder);
}

static void test_writes_over_the_end(void) {
        int session_fd = create("end"), fd = memfd("");
        static char buffer[PIECE];
        struct stat st;

        REQUIRE(ftruncate(fd, PIECE + 10) == 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 0), 0);

        /* What comes before the piece that crosses the end is written, and the piece is refused as a whole */
        buffer[0] = 'a';
        buffer[99] = 'b';
        buffer[100] = 'c';
        REQUIRE(lseek(fd, PIECE - 1, SEEK_SET) == PIECE - 1);
        if (files_are_reopened()) {
                CHECK(pwrite(fd, buffer, sizeof(buffer), PIECE - 100) < 0 && errno == EPERM);
                CHECK(write(fd, buffer, 12) < 0 && errno == EPERM);
                CHECK_EQUAL(write(fd, buffer, 1), 1);
        } else {
                CHECK_EQUAL(pwrite(fd, buffer, sizeof(buffer), PIECE - 100), 100);
                CHECK(pread(fd, buffer, 110, PIECE - 100) == 110 && buffer[0] == 'a' && buffer[99] == 'b' &&
                        buffer[100] == 0);
                CHECK_EQUAL(writev(fd, (const struct iovec[]) { { buffer, 1 }, { buffer, 12 } }, 2), 1);
        }
        CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), PIECE);
        CHECK(write(fd, buffer, 11) < 0 && errno == EPERM);
        CHECK_EQUAL(write(fd, buffer, 10), 10);
        CHECK(write(fd, buffer, 1) < 0 && errno == EPERM);
        CHECK(pwritev2(fd, &(struct iovec) { buffer, 1 }, 1, 0, RWF_APPEND) < 0 && errno == EPERM);
        CHECK(syscall(SYS_write, fd, 1L, 1L) < 0 && errno == EFAULT);
        CHECK(fstat(fd, &st) == 0 && st.st_size == PIECE + 10);

        close_fd(session_fd);
        CHECK_EQUAL(pwrite(fd, buffer, 11, PIECE), 11);
        close_fd(fd);
}

static void test_leave_sessions(void) {
        int session_fd = create("left"), fd = memfd("offset"), other_fd = memfd("");

        CHECK_EQUAL(libluo_session_preserve(session_fd, fd, 1), 0);
        /* The offset is that at the kexec, the seals are those at the call */
        REQUIRE(lseek(fd, 3, SEEK_SET) == 3);
        REQUIRE(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);

        REQUIRE(ftruncate(other_fd, 5 << 20) == 0 && pwrite(other_fd, "x", 1, 4 << 20) == 1);
        CHECK_EQUAL(libluo_session_preserve(session_fd, other_fd, 2), 0);
        CHECK_EQUAL(libluo_session_preserve(session_fd, memfd("broken"), 3), 0);
        CHECK(create("unfinished") >= 0);
}

/* ------------------------------------------------------------------------------------------ boots 1 and 2 ---- */

static void test_retrieve(void) {
        int session_fd = retrieve("left"), fd;
        struct rlimit old, limit;
        struct stat st;
        char c = 0;

        REQUIRE(session_fd >= 0);

        /* Not having a free fd costs nothing */
        REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
        fd = dup(session_fd);
        limit = (struct rlimit) { (rlim_t) fd + 1, old.rlim_max };
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CHECK_EQUAL(libluo_session_retrieve_fd(session_fd, 1), -EMFILE);
        REQUIRE(setrlimit(RLIMIT_NOFILE, &old) == 0);
        close_fd(fd);

        fd = libluo_session_retrieve_fd(session_fd, 1);
        CHECK(holds(fd, "offset"));
        CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), files_are_reopened() ? (int) strlen("offset") : 3);
        CHECK_EQUAL(fcntl(fd, F_GET_SEALS), 0);
        CHECK_EQUAL(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR);
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0777 && st.st_uid == geteuid());
        close_fd(fd);

        fd = libluo_session_retrieve_fd(session_fd, 2);
        CHECK(fstat(fd, &st) == 0 && st.st_size == 5 << 20 && st.st_blocks * 512 == 5 << 20);
        CHECK(pread(fd, &c, 1, 4 << 20) == 1 && c == 'x');
        /* Nothing is frozen in a file that came back */
        CHECK_EQUAL(ftruncate(fd, 0), 0);
        close_fd(fd);

        /* Failed once on request, and remembered */
        CHECK_EQUAL(libluo_session_retrieve_fd(session_fd, 3), -EIO);
        CHECK_EQUAL(libluo_session_retrieve_fd(session_fd, 3), -EIO);

        close_fd(session_fd);
        CHECK_EQUAL(retrieve("left"), -ENOENT);
}

static void test_reboot_arguments(void) {
        CHECK(syscall(SYS_reboot, 0, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL) < 0 &&
                errno == EINVAL);
        CHECK(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, 0, LINUX_REBOOT_CMD_KEXEC, NULL) < 0 &&
                errno == EINVAL);
        CHECK(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, 1, NULL) < 0 && errno == EINVAL);
        CHECK_EQUAL(
                syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, NULL),
                0);
}

static void test_unfinished(void) {
        /* Was in the boot before the last, and nobody took it */
        CHECK_EQUAL(retrieve("unfinished"), -ENOENT);
        CHECK_EQUAL(retrieve("left"), -ENOENT);
}

static const struct test_case boot_0[] = {
        { "environment", test_environment },
        { "paths of the device", test_paths },
        { "the device is open until the last duplicate is closed", test_lifetime_dup },
        { "a session is open until the last process ends", test_lifetime_fork },
        { "a session is open while it is in a message", test_lifetime_message },
        { "the device over execve", test_lifetime_exec },
        { "another epoll is no session", test_other_epoll },
        { "what cannot be done with device and sessions", test_file_operations },
        { "many sessions", test_many_sessions },
        { "signals", test_signals },
        { "no free file descriptor", test_no_free_fd },
        { "threads", test_threads },
        { "links in /proc", test_links },
        { "writing over the end of a frozen file", test_writes_over_the_end },
        { "leaving sessions behind", test_leave_sessions },
};

static const struct test_case boot_1[] = {
        { "retrieving", test_retrieve },
        { "arguments of reboot", test_reboot_arguments },
};

static const struct test_case boot_2[] = {
        { "a session that nobody retrieved", test_unfinished },
};

static const struct test_boot boots[] = {
        { boot_0, ELEMENTS(boot_0) },
        { boot_1, ELEMENTS(boot_1) },
        { boot_2, ELEMENTS(boot_2) },
};

int main(void) {
        const char *boot = getenv("LUO_BOOT");
        int failed;

        failed = test_run_boot(boots, ELEMENTS(boots));
        if (failed || !boot || strcmp(boot, "1") != 0)
                return failed;

        /* The other way to a kexec */
        (void) syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
        printf("Bail out! reboot(2) returned: %s\n", strerror(errno));
        return EXIT_FAILURE;
}
