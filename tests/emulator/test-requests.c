/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Requests whose caller is gone when they are answered. Its id may be another process's by then: here it is that of
 * this process, which has the same memory and file descriptors, so that everything would succeed.
 */

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "caller.h"
#include "filter.h"
#include "internal.h"
#include "kernel-abi.h"
#include "process.h"
#include "test.h"

static struct supervisor supervisor;
static struct sock_fprog filter;
static int session_fd;
static struct session *session;

static struct kernel_luo_fd preserve_argument = { .size = sizeof(preserve_argument), .token = 7 };
static char link_path[64], link_target[64];

static void preserve(void) {
        (void) ioctl(session_fd, KERNEL_LUO_PRESERVE_FD, &preserve_argument);
}

static void read_link(void) {
        (void) !readlink(link_path, link_target, sizeof(link_target));
}

static void pause_briefly(void) {
        (void) nanosleep(&(struct timespec) { .tv_nsec = 1000000 }, NULL);
}

/* Lets a child make a system call, kills it before it is answered, and answers. */
static void answer_too_late(void (*call)(void)) {
        union {
                struct seccomp_notif request;
                char space[4096]; /* the kernel's may be larger */
        } received = {};
        volatile int *listener;
        pid_t pid;

        listener = mmap(NULL, sizeof(*listener), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(listener != MAP_FAILED);

        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                *listener = filter_load(&filter);
                call();
                _exit(0);
        }

        for (int i = 0; i < 10000 && *listener == 0; i++)
                pause_briefly();
        REQUIRE(*listener > 0);
        supervisor.listener = process_get_fd(pid, *listener);
        REQUIRE(supervisor.listener >= 0);
        REQUIRE(ioctl(supervisor.listener, SECCOMP_IOCTL_NOTIF_RECV, &received) >= 0);
        CHECK(request_is_valid(&supervisor, &received.request));

        REQUIRE(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        CHECK(!request_is_valid(&supervisor, &received.request));

        received.request.pid = (uint32_t) getpid();
        request_answer(&supervisor, &received.request);

        close_fd(supervisor.listener);
        supervisor.listener = -1;
        (void) munmap((void *) listener, sizeof(*listener));
}

static void test_preserve(void) {
        answer_too_late(preserve);
        CHECK(!kernel_token_is_used(session, preserve_argument.token));
}

static void test_readlink(void) {
        answer_too_late(read_link);
        CHECK_STRING(link_target, "");
}

static void test_functions(void) {
        struct seccomp_notif request = { .pid = (uint32_t) getpid() };
        char text[] = "before";

        /* Without a listener there are no requests that are valid */
        CHECK_EQUAL(request_write(&supervisor, &request, (uintptr_t) text, "behind", sizeof(text)), -ENOENT);
        CHECK_STRING(text, "before");
        CHECK_EQUAL(request_get_fd(&supervisor, &request, session_fd), -ENOENT);
}

static const struct test_case cases[] = {
        { "nothing is preserved from another process", test_preserve },
        { "nothing is written to another process", test_readlink },
        { "the functions that look", test_functions },
};

int main(void) {
        struct faults faults = {};
        struct object *object;
        int failed;

        REQUIRE(supervisor_init(&supervisor, &faults, -1, NULL) >= 0 && filter_make(&filter) >= 0);
        REQUIRE(kernel_create_session(&supervisor.kernel, (const uint8_t[KERNEL_LUO_NAME_SIZE]) { "session" },
                        &session) >= 0);
        session_fd = object_new(&supervisor, session, 0, &object);
        preserve_argument.fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        REQUIRE(session_fd >= 0 && preserve_argument.fd >= 0);
        (void) snprintf(link_path, sizeof(link_path), "/proc/self/fd/%i", session_fd);

        printf("1..%zu\n", ELEMENTS(cases));
        failed = test_run_from(cases, ELEMENTS(cases), 0);

        close_fd(preserve_argument.fd);
        close_fd(session_fd);
        free(filter.filter);
        supervisor_done(&supervisor);
        return failed;
}
