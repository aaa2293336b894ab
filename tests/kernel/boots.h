/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * For test programs that run once in each boot, over kexecs, in the tiny tier of luo-vm or under luo-emulate. They
 * print one TAP stream. Which boot this is, is proven by the state itself: a session that has to be there, or must not
 * be.
 */

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "internal.h"
#include "test.h"

#define STATE_SESSION "test-state"

static inline void ignore_alarm(int number) {
        (void) number;
}

/* Calls are interrupted all the time from here on: no handler asks for their restart (SA_RESTART). */
static inline void be_interrupted(void) {
        const struct sigaction action = { .sa_handler = ignore_alarm };
        const struct itimerval often = { { 0, 500 }, { 0, 500 } };

        REQUIRE(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
}

static inline int device(void) {
        int fd;

        fd = libluo_device_open(FAR_AWAY);
        if (fd < 0)
                printf("# %s\n", libluo_strerror(fd));
        REQUIRE(fd >= 0);
        return fd;
}

static inline int create(const char *name) {
        int device_fd = device(), fd;

        fd = libluo_session_create(device_fd, name);
        close_fd(device_fd);
        return fd;
}

static inline int retrieve(const char *name) {
        int device_fd = device(), fd;

        fd = libluo_session_retrieve(device_fd, name);
        close_fd(device_fd);
        return fd;
}

static inline int memfd(const char *text) {
        int fd;

        fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        REQUIRE(fd >= 0);
        REQUIRE(RETRY(write(fd, text, strlen(text))) == (ssize_t) strlen(text));
        return fd;
}

static inline int reopen(int fd, int flags) {
        char path[64];
        int narrow;

        snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        narrow = open(path, flags | O_CLOEXEC);
        REQUIRE(narrow >= 0);
        return narrow;
}

static inline bool holds(int fd, const char *text) {
        char buffer[256];
        ssize_t n;

        n = pread(fd, buffer, sizeof(buffer), 0);
        return n == (ssize_t) strlen(text) && memcmp(buffer, text, strlen(text)) == 0;
}

static inline bool has_cloexec(int fd) {
        return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static inline void test_cold_boot(void) {
        CHECK_EQUAL(retrieve(STATE_SESSION), -ENOENT);
}

struct test_boot {
        const struct test_case *cases;
        size_t n;
};

/* Runs the cases of the boot that LUO_BOOT names. */
static inline int test_run_boot(const struct test_boot *boots, size_t n_boots) {
        const char *text = getenv("LUO_BOOT");
        size_t boot = text ? strtoul(text, NULL, 10) : 0, first = 0, total = 0;
        int failed;

        for (size_t i = 0; i < n_boots; i++) {
                if (i < boot)
                        first += boots[i].n;
                total += boots[i].n;
        }
        REQUIRE(boot < n_boots);

        if (boot == 0)
                printf("1..%zu\n", total);
        failed = test_run_from(boots[boot].cases, boots[boot].n, first);
        fflush(stdout);

        /* The sessions are this process: it has to be there at the kexec */
        if (boot + 1 < n_boots) {
                pid_t pid = fork();

                REQUIRE(pid >= 0);
                if (pid == 0)
                        for (;;)
                                pause();
        }

        return failed;
}
