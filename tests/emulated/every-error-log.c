/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every documented error of the log of a shutdown */

#include <fcntl.h>

#include <sys/mman.h>

#include <sys/resource.h>

#include "every-error.h"
#include "internal.h"

static const uint8_t id[16] = "some sixteen by";

static libluo_log *new_log(void) {
        libluo_log *log;

        REQUIRE(libluo_log_new(id, id, 0, LIBLUO_LOG_SIZE_MIN, &log) == 0);
        return log;
}

static libluo_log *opened_log(void) {
        libluo_log *log = new_log(), *opened;

        REQUIRE(libluo_log_open(libluo_log_get_fd(log), UINT64_MAX, &opened) == 0);
        (void) libluo_log_free(log);
        return opened;
}

static int try_new(uint64_t size) {
        libluo_log *log = NULL;
        int r;

        r = TRY(libluo_log_new(id, id, 0, size, &log));
        REQUIRE((r == 0) == (log != NULL));
        (void) libluo_log_free(log);
        return r;
}

RUN(log_new) {
        (void) c;
        return try_new(LIBLUO_LOG_SIZE_MIN);
}

RUN(log_new_small) {
        (void) c;
        return try_new(1);
}

RUN(log_new_limited) {
        struct rlimit before, limit;
        int r;

        (void) c;
        REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
        limit = (struct rlimit) { .rlim_cur = LIBLUO_LOG_SIZE_MIN - 1, .rlim_max = before.rlim_max };
        REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        r = try_new(LIBLUO_LOG_SIZE_MIN);
        REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
        return r;
}

RUN(log_get_fd_opened) {
        libluo_log *log = opened_log();
        int r;

        (void) c;
        r = TRY(libluo_log_get_fd(log));
        (void) libluo_log_free(log);
        return r;
}

RUN(log_skip_opened) {
        libluo_log *log = opened_log();
        int r;

        (void) c;
        r = TRY(libluo_log_skip(log, 1));
        (void) libluo_log_free(log);
        return r;
}

static int try_drain(libluo_log *log, int fd) {
        int r;

        r = TRY(libluo_log_drain(log, fd));
        (void) libluo_log_free(log);
        return r;
}

RUN(log_drain) {
        return try_drain(new_log(), OBJECT(have.file_fd));
}

RUN(log_drain_opened) {
        (void) c;
        return try_drain(opened_log(), have.file_fd);
}

static int try_drain_path(const char *path) {
        int fd, r;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        REQUIRE(fd >= 0);
        r = try_drain(new_log(), fd);
        close_fd(fd);
        return r;
}

RUN(log_drain_endless) {
        (void) c;
        return try_drain_path("/dev/zero");
}

RUN(log_drain_folder) {
        (void) c;
        return try_drain_path("/");
}

RUN(log_drain_junk) {
        int fd, r;

        (void) c;
        fd = libluo_internal_sealed_memfd("junk", "junk", 4);
        REQUIRE(fd >= 0 && lseek(fd, 0, SEEK_SET) == 0);
        r = try_drain(new_log(), fd);
        close_fd(fd);
        return r;
}

static int try_open(int fd, uint64_t maximum) {
        libluo_log *log = NULL;
        int r;

        r = TRY(libluo_log_open(fd, maximum, &log));
        REQUIRE((r == 0) == (log != NULL));
        (void) libluo_log_free(log);
        return r;
}

RUN(log_open) {
        libluo_log *log = new_log();
        int r;

        r = try_open(OBJECT(libluo_log_get_fd(log)), UINT64_MAX);
        (void) libluo_log_free(log);
        return r;
}

RUN(log_open_large) {
        libluo_log *log = new_log();
        int r;

        (void) c;
        r = try_open(libluo_log_get_fd(log), LIBLUO_LOG_SIZE_MIN - 1);
        (void) libluo_log_free(log);
        return r;
}

RUN(log_open_nothing) {
        (void) c;
        return TRY(libluo_log_open(have.file_fd, UINT64_MAX, NULL));
}

RUN(log_open_future) {
        libluo_log *log = new_log();
        int r;

        (void) c;
        /* Incompatible features, see docs/format.md */
        REQUIRE(pwrite(libluo_log_get_fd(log), "\x80", 1, 12) == 1);
        r = try_open(libluo_log_get_fd(log), UINT64_MAX);
        (void) libluo_log_free(log);
        return r;
}

RUN(log_open_write_only) {
        libluo_log *log = new_log();
        int fd, r;

        (void) c;
        fd = libluo_internal_open_link(libluo_log_get_fd(log), O_WRONLY);
        REQUIRE(fd >= 0);
        r = try_open(fd, UINT64_MAX);
        close_fd(fd);
        (void) libluo_log_free(log);
        return r;
}

RUN(log_next_new) {
        libluo_log *log = new_log();
        libluo_log_record record;
        int r;

        (void) c;
        r = TRY(libluo_log_next(log, &record));
        (void) libluo_log_free(log);
        return r;
}

RUN(log_info_nothing) {
        libluo_log *log = new_log();
        int r;

        (void) c;
        r = TRY(libluo_log_get_info(log, NULL, 0));
        (void) libluo_log_free(log);
        return r;
}
