/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What can still be done with a preserved file: all but changing its size. */

#include "conformance.h"

/* A session with one preserved memfd of five bytes */
static void begin(int *session_fd, int *fd) {
        *session_fd = create("frozen");
        *fd = memfd("12345");
        observe("%s", outcome(preserve(*session_fd, *fd, 1)));
}

static void end(int session_fd, int fd) {
        close(session_fd);
        close(fd);
}

void frozen_ftruncate(void) {
        int session_fd, fd;

        begin(&session_fd, &fd);
        observe("shrink %s", outcome(status_of(ftruncate(fd, 4))));
        observe("to nothing %s", outcome(status_of(ftruncate(fd, 0))));
        observe("grow %s", outcome(status_of(ftruncate(fd, 6))));
        observe("grow by pages %s", outcome(status_of(ftruncate(fd, 1 << 20))));
        observe("same size %s", outcome(status_of(ftruncate(fd, 5))));
        observe_content(fd);
        end(session_fd, fd);
}

void frozen_ftruncate_otherwise(void) {
        char path[64];
        int session_fd, fd, other_fd;

        begin(&session_fd, &fd);
        other_fd = reopen(fd, O_RDWR);
        observe("other description %s", outcome(status_of(ftruncate(other_fd, 4))));
        close(other_fd);
        snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        observe("by path %s", outcome(status_of(truncate(path, 4))));
        other_fd = reopen(fd, O_RDWR | O_TRUNC);
        observe("O_TRUNC %s", outcome(other_fd));
        close(other_fd);
        observe_content(fd);
        end(session_fd, fd);
}

void frozen_fallocate(void) {
        int session_fd, fd;

        begin(&session_fd, &fd);
        observe("inside %s", outcome(status_of(fallocate(fd, 0, 0, 5))));
        observe("beyond the end %s", outcome(status_of(fallocate(fd, 0, 0, 6))));
        observe("keep size %s", outcome(status_of(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20))));
        observe("punch hole %s",
                outcome(status_of(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096))));
        observe("unknown mode %s", outcome(status_of(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096))));
        observe_content(fd);
        end(session_fd, fd);
}

void frozen_write_inside(void) {
        int session_fd, fd;

        begin(&session_fd, &fd);
        observe("pwrite %s", outcome(status_of(pwrite(fd, "ABCDE", 5, 0))));
        observe_content(fd);
        REQUIRE(lseek(fd, 1, SEEK_SET) == 1);
        observe("write %s", outcome(status_of(write(fd, "bc", 2))));
        observe("offset %lli", (long long) lseek(fd, 0, SEEK_CUR));
        observe_content(fd);
        end(session_fd, fd);
}

void frozen_write_beyond_the_end(void) {
        int session_fd, fd, append_fd;

        begin(&session_fd, &fd);
        observe("across the end %s", outcome(status_of(pwrite(fd, "ABC", 3, 4))));
        observe("at the end %s", outcome(status_of(pwrite(fd, "A", 1, 5))));
        observe("behind it %s", outcome(status_of(pwrite(fd, "A", 1, 100000))));
        observe("write %s", outcome(status_of(write(fd, "A", 1))));
        observe("offset %lli", (long long) lseek(fd, 0, SEEK_CUR));
        append_fd = reopen(fd, O_RDWR | O_APPEND);
        observe("O_APPEND %s", outcome(status_of(write(append_fd, "A", 1))));
        close(append_fd);
        observe_content(fd);
        end(session_fd, fd);
}

void frozen_write_nothing(void) {
        int session_fd, fd;

        begin(&session_fd, &fd);
        observe("%s", outcome(status_of(pwrite(fd, "", 0, 100))));
        observe_content(fd);
        end(session_fd, fd);
}

void frozen_mmap(void) {
        int session_fd, fd;
        char *old_map, *new_map;

        session_fd = create("frozen");
        fd = memfd("12345");
        old_map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        REQUIRE(old_map != MAP_FAILED);
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        new_map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        observe("mmap %s", outcome(status_of(new_map == MAP_FAILED ? -1 : 0)));
        if (new_map != MAP_FAILED) {
                old_map[0] = 'A';
                new_map[4] = 'E';
                observe_content(fd);
                observe("MADV_REMOVE %s", outcome(status_of(madvise(new_map, PAGE, MADV_REMOVE))));
                observe_content(fd);
                munmap(new_map, PAGE);
        }
        munmap(old_map, PAGE);
        end(session_fd, fd);
}

void frozen_metadata(void) {
        struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 2 } };
        int session_fd, fd;

        begin(&session_fd, &fd);
        observe("fchmod %s", outcome(status_of(fchmod(fd, 0600))));
        observe("futimens %s", outcome(status_of(futimens(fd, times))));
        end(session_fd, fd);
}

void frozen_empty(void) {
        int session_fd = create("frozen"), fd = memfd("");

        observe("%s", outcome(preserve(session_fd, fd, 1)));
        observe("write %s", outcome(status_of(write(fd, "A", 1))));
        observe("grow %s", outcome(status_of(ftruncate(fd, 1))));
        observe("same size %s", outcome(status_of(ftruncate(fd, 0))));
        end(session_fd, fd);
}

void frozen_until_closed(void) {
        int session_fd, fd;

        begin(&session_fd, &fd);
        observe("%s", size_state(fd));
        close(session_fd);
        observe("write %s", outcome(status_of(write(fd, "6", 1))));
        observe("shrink %s", outcome(status_of(ftruncate(fd, 1))));
        observe("grow %s", outcome(status_of(ftruncate(fd, 2))));
        observe("fallocate %s", outcome(status_of(fallocate(fd, 0, 0, 3))));
        close(fd);
}
