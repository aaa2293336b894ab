/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* PRESERVE_FD: what can be preserved, and which check comes first. */

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "conformance.h"

/* ------------------------------------------------------------------------------------------- order of checks ---- */

static int new_pipe(void) {
        int fds[2];

        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        close(fds[1]);
        return fds[0];
}

void preserve_token_in_use(void) {
        int session_fd = create("preserve"), fd = memfd("a"), other_fd = memfd("b"), pipe_fd = new_pipe();

        observe("%s", outcome(preserve(session_fd, fd, 7)));
        observe("another file %s", outcome(preserve(session_fd, other_fd, 7)));
        observe("the same file %s", outcome(preserve(session_fd, fd, 7)));
        observe("no file %s", outcome(preserve(session_fd, -1, 7)));
        observe("a pipe %s", outcome(preserve(session_fd, pipe_fd, 7)));
        observe("the session %s", outcome(preserve(session_fd, session_fd, 7)));
        close(session_fd);
        close(fd);
        close(other_fd);
        close(pipe_fd);
}

void preserve_bad_fd(void) {
        int session_fd = create("preserve"), fd = memfd("a"), path_fd = reopen(fd, O_PATH);

        close(fd);
        observe("-1 %s", outcome(preserve(session_fd, -1, 1)));
        observe("-100 %s", outcome(preserve(session_fd, AT_FDCWD, 1)));
        observe("closed %s", outcome(preserve(session_fd, fd, 1)));
        observe("not opened %s", outcome(preserve(session_fd, 1000000, 1)));
        observe("O_PATH %s", outcome(preserve(session_fd, path_fd, 1)));
        close(session_fd);
        close(path_fd);
}

void preserve_wrong_direction(void) {
        struct kernel_luo_fd argument[2] = { { .size = sizeof(argument), .fd = -1 }, { .token = 1 } };
        int session_fd = create("preserve"), fd = memfd("a"), result;

        observe("RETRIEVE_FD %s", outcome(preserve(session_fd, fd, 1) ?: retrieve(session_fd, 1)));
        observe("unknown token %s", outcome(retrieve(session_fd, 2)));
        observe("nonzero tail %s", outcome(call(session_fd, KERNEL_LUO_RETRIEVE_FD, &argument)));
        observe("FINISH %s", outcome(finish(session_fd)));
        forbid_fds();
        result = retrieve(session_fd, 1);
        allow_fds();
        observe("RETRIEVE_FD without fds %s", outcome(result));
        observe("%s", size_state(fd));
        close(session_fd);
        close(fd);
}

void preserve_tokens(void) {
        static const uint64_t tokens[] = { 0, 1, UINT64_C(1) << 32, INT64_MAX, UINT64_MAX };
        int session_fd = create("preserve");

        for (size_t i = 0; i < ELEMENTS(tokens); i++) {
                int fd = memfd("a");

                observe("%s", outcome(preserve(session_fd, fd, tokens[i])));
                close(fd);
        }
        close(session_fd);
}

void preserve_same_token_in_other_session(void) {
        int session_fd = create("preserve"), other_session_fd = create("preserve-other"), fd = memfd("a"),
            other_fd = memfd("b");

        observe("%s", outcome(preserve(session_fd, fd, 1)));
        observe("%s", outcome(preserve(other_session_fd, other_fd, 1)));
        close(session_fd);
        close(other_session_fd);
        close(fd);
        close(other_fd);
}

/* It is the inode that counts. */
void preserve_same_file(void) {
        int session_fd = create("preserve"), other_session_fd = create("preserve-other"), fd = memfd("a"),
            duplicate_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0), reopened_fd = reopen(fd, O_RDONLY);

        observe("%s", outcome(preserve(session_fd, fd, 1)));
        observe("same session %s", outcome(preserve(session_fd, fd, 2)));
        observe("other session %s", outcome(preserve(other_session_fd, fd, 2)));
        observe("duplicate %s", outcome(preserve(other_session_fd, duplicate_fd, 2)));
        observe("opened again %s", outcome(preserve(other_session_fd, reopened_fd, 2)));
        observe("opened again and same session %s", outcome(preserve(session_fd, reopened_fd, 2)));
        close(session_fd);
        close(other_session_fd);
        close(fd);
        close(duplicate_fd);
        close(reopened_fd);
}

/* ------------------------------------------------------------------------------------------------------ types ---- */

/* Takes the fd. */
static void observe_type(const char *what, int fd) {
        int session_fd = create("types");

        observe("%s %s", what, outcome(preserve(session_fd, fd, 1)));
        close(session_fd);
        close(fd);
}

void preserve_pipes_and_sockets(void) {
        int fds[2];

        observe_type("pipe", new_pipe());
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        observe_type("socket", fds[0]);
        close(fds[1]);
        observe_type("eventfd", eventfd(0, EFD_CLOEXEC));
        observe_type("epoll", epoll_create1(EPOLL_CLOEXEC));
        observe_type("timerfd", timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
        observe_type("inotify", inotify_init1(IN_CLOEXEC));
        observe_type("pidfd", (int) syscall(SYS_pidfd_open, getpid(), 0));
}

void preserve_files_with_names(void) {
        observe_type("folder", open(tmpfs_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        observe_type("/dev/null", open("/dev/null", O_RDWR | O_CLOEXEC));
        observe_type("file of procfs", open("/proc/self/status", O_RDONLY | O_CLOEXEC));
        observe_type("program", open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
}

void preserve_luo_files(void) {
        int session_fd = create("types"), other_session_fd = create("types-other"), device_fd;

        observe("itself %s", outcome(preserve(session_fd, session_fd, 1)));
        observe("other session %s", outcome(preserve(session_fd, other_session_fd, 1)));
        device_fd = open_device(O_RDWR | O_CLOEXEC);
        observe("device %s", outcome(preserve(session_fd, device_fd, 1)));
        close(device_fd);
        close(session_fd);
        close(other_session_fd);
}

/* A file of tmpfs is what a memfd is, once it has no name. */
void preserve_tmpfs_file(void) {
        char path[64];
        int session_fd = create("types"), fd = tmpfs_file(path);

        observe("with its name %s", outcome(preserve(session_fd, fd, 1)));
        observe("%s", size_state(fd));
        REQUIRE(unlink(path) == 0);
        observe("unlinked %s", outcome(preserve(session_fd, fd, 1)));
        observe("%s", size_state(fd));
        close(session_fd);
        close(fd);
}

void preserve_tmpfs_file_with_one_of_two_names(void) {
        char path[64], other_path[72];
        int fd = tmpfs_file(path);

        snprintf(other_path, sizeof(other_path), "%s-link", path);
        REQUIRE(link(path, other_path) == 0);
        REQUIRE(unlink(path) == 0);
        observe_type("one name left", fcntl(fd, F_DUPFD_CLOEXEC, 0));
        REQUIRE(unlink(other_path) == 0);
        observe_type("none left", fd);
}

void preserve_tmpfs_unnamed_file(void) {
        int fd = open(tmpfs_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        REQUIRE(fd >= 0);
        observe_type("O_TMPFILE", fd);
}

void preserve_huge_and_secret(void) {
        /* Not every kernel has these. Where there is no such file EBADF comes instead of ENOENT: refused, too. */
        int huge_fd = memfd_create("huge", MFD_HUGETLB | MFD_CLOEXEC),
            secret_fd = (int) syscall(SYS_memfd_secret, O_CLOEXEC), session_fd = create("types"), result;

        result = preserve(session_fd, huge_fd, 1);
        observe("hugetlb %s", result == 0 ? "preserved" : "refused");
        result = preserve(session_fd, secret_fd, 2);
        observe("memfd_secret %s", result == 0 ? "preserved" : "refused");
        close(session_fd);
        close(huge_fd);
        close(secret_fd);
}

/* ---------------------------------------------------------------------------------------------------- memfds ---- */

void preserve_access_modes(void) {
        int session_fd = create("preserve"), fds[] = { memfd("a"), memfd("b"), memfd("c") };

        for (size_t i = 0; i < ELEMENTS(fds); i++) {
                static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR };
                int fd = reopen(fds[i], flags[i]);

                observe("%s", outcome(preserve(session_fd, fd, i)));
                observe("%s", size_state(fds[i]));
                close(fd);
        }
        close(session_fd);
        for (size_t i = 0; i < ELEMENTS(fds); i++)
                close(fds[i]);
}

void preserve_sizes(void) {
        static const off_t sizes[] = { 0, 1, 4095, 4096, 4097, 1 << 20 };
        int session_fd = create("preserve");

        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                int fd = memfd("");

                REQUIRE(ftruncate(fd, sizes[i]) == 0);
                observe("%lli %s", (long long) sizes[i], outcome(preserve(session_fd, fd, i)));
                close(fd);
        }
        close(session_fd);
}

/* A file of 2^32 pages is one page too large. That is found out late, and everything has to be undone. */
void preserve_too_large(void) {
        int session_fd = create("preserve"), fd = memfd("");

        REQUIRE(ftruncate(fd, (off_t) (PAGE << 32)) == 0);
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        observe("%s", size_state(fd));
        REQUIRE(ftruncate(fd, 5) == 0);
        observe("made smaller %s", outcome(preserve(session_fd, fd, 1)));
        observe("%s", size_state(fd));
        close(session_fd);
        close(fd);
}

void preserve_failed_leaves_no_trace(void) {
        int session_fd = create("preserve"), fd = memfd("a"), other_fd = memfd("b");

        observe("%s", outcome(preserve(session_fd, fd, 1)));
        observe("token in use %s", outcome(preserve(session_fd, other_fd, 1)));
        observe("%s", size_state(other_fd));
        observe("other token %s", outcome(preserve(session_fd, other_fd, 2)));
        observe("busy %s", outcome(preserve(session_fd, fd, 3)));
        close(other_fd);
        other_fd = memfd("c");
        observe("token of the busy one %s", outcome(preserve(session_fd, other_fd, 3)));
        close(session_fd);
        close(fd);
        close(other_fd);
}

void preserve_holes(void) {
        int session_fd = create("preserve"), fd = memfd("");

        REQUIRE(ftruncate(fd, 16 * (off_t) PAGE) == 0);
        REQUIRE(pwrite(fd, "a", 1, 3 * (off_t) PAGE) == 1);
        observe("%u pages", allocated_pages(fd));
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        observe("%u pages", allocated_pages(fd));
        close(session_fd);
        observe("closed %u pages", allocated_pages(fd));
        close(fd);
}

/* ----------------------------------------------------------------------------------------------------- seals ---- */

void preserve_each_seal(void) {
        static const int seals[] = { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE,
                F_SEAL_FUTURE_WRITE, F_SEAL_EXEC };
        int session_fd = create("preserve");

        for (size_t i = 0; i < ELEMENTS(seals); i++) {
                int fd = memfd("a");

                REQUIRE(fcntl(fd, F_ADD_SEALS, seals[i]) == 0);
                observe("0x%x %s", (unsigned) fcntl(fd, F_GET_SEALS), outcome(preserve(session_fd, fd, i)));
                close(fd);
        }
        close(session_fd);
}

void preserve_all_seals(void) {
        int session_fd = create("preserve"), fd = memfd_with_flags("a", MFD_NOEXEC_SEAL);

        observe("noexec 0x%x %s", (unsigned) fcntl(fd, F_GET_SEALS), outcome(preserve(session_fd, fd, 1)));
        close(fd);

        fd = memfd("a");
        REQUIRE(fcntl(fd, F_ADD_SEALS,
                        F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE |
                                F_SEAL_EXEC) == 0);
        observe("all 0x%x %s", (unsigned) fcntl(fd, F_GET_SEALS), outcome(preserve(session_fd, fd, 2)));
        close(fd);

        fd = memfd_with_flags("a", MFD_EXEC);
        observe("no sealing 0x%x %s", (unsigned) fcntl(fd, F_GET_SEALS),
                outcome(preserve(session_fd, fd, 3)));
        close(fd);

        /* PRESERVE_FD would refuse seals it does not know, but today there is none to be had. */
        fd = memfd("a");
        observe("adding an unknown one %s", outcome(status_of(fcntl(fd, F_ADD_SEALS, 1 << 30))));
        close(fd);
        close(session_fd);
}

/* The pages are pinned, so nobody can say any more that they will not be written. */
void preserve_then_seal(void) {
        static const int seals[] = { F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE,
                F_SEAL_SEAL };
        int session_fd = create("preserve"), fd = memfd("a");

        observe("%s", outcome(preserve(session_fd, fd, 1)));
        for (size_t i = 0; i < ELEMENTS(seals); i++)
                observe("0x%x %s", (unsigned) seals[i], outcome(status_of(fcntl(fd, F_ADD_SEALS, seals[i]))));
        close(session_fd);
        close(fd);
}
