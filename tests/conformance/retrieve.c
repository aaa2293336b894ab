/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* RETRIEVE_FD: what a file has kept, and what it has not. Boot 0 leaves a session for each case. */

#include "conformance.h"

#define ALL_SEALS                                                                                            \
        (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)

static const int each_seal[] = { 0, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE,
        F_SEAL_FUTURE_WRITE, F_SEAL_EXEC, ALL_SEALS };
static const off_t sizes[] = { 0, 1, 4095, 4096, 4097, 1 << 20 };

/* The session stays open, the file does not. */
static void leave(const char *session, int fd) {
        observe("%s", outcome(preserve(create(session), fd, 1)));
        close(fd);
}

static off_t offset(int fd) {
        return lseek(fd, 0, SEEK_CUR);
}

/* ---------------------------------------------------------------------------------------- boot 0: what is left ---- */

void retrieve_left_contents(void) {
        int session_fd, fd;
        char *map;

        leave_memfd("content", "content");
        leave_memfd("again", "again");

        session_fd = create("written");
        fd = memfd("before");
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        observe("%s", outcome(status_of(pwrite(fd, "after!", 6, 0))));
        close(fd);

        session_fd = create("mapped");
        fd = memfd("before");
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        REQUIRE(map != MAP_FAILED);
        close(fd);
        memcpy(map, "mapped", 6);

        session_fd = create("sizes");
        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                fd = memfd("");
                REQUIRE(ftruncate(fd, sizes[i]) == 0);
                if (sizes[i] > 0)
                        REQUIRE(pwrite(fd, "z", 1, sizes[i] - 1) == 1);
                observe("%s", outcome(preserve(session_fd, fd, i)));
                close(fd);
        }

        fd = memfd("");
        REQUIRE(ftruncate(fd, 16 * (off_t) PAGE) == 0);
        REQUIRE(pwrite(fd, "hole", 4, 3 * (off_t) PAGE) == 4);
        leave("holes", fd);
}

void retrieve_left_descriptions(void) {
        static const char *const names[] = { "flags", "read-only", "append", "metadata" };
        int session_fd, fd, other_fd;

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                int flags = i == 1 ? O_RDONLY : i == 2 ? O_WRONLY | O_APPEND | O_NONBLOCK : O_RDWR;

                fd = memfd("12345");
                /* Only root can change the owner; whoever it was, it is lost. */
                if (fchown(fd, 1000, 1001) < 0)
                        REQUIRE(errno == EPERM);
                REQUIRE(i != 3 || fchmod(fd, 0640) == 0);
                other_fd = reopen(fd, flags);
                REQUIRE(other_fd >= 0);
                close(fd);
                leave(names[i], other_fd);
        }

        fd = memfd("12345");
        REQUIRE(lseek(fd, 3, SEEK_SET) == 3);
        leave("offset", fd);
        fd = memfd("12345");
        REQUIRE(lseek(fd, 100, SEEK_SET) == 100);
        leave("offset-behind-end", fd);

        session_fd = create("offset-changed");
        fd = memfd("12345");
        other_fd = reopen(fd, O_RDWR);
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        REQUIRE(lseek(fd, 2, SEEK_SET) == 2);
        REQUIRE(lseek(other_fd, 4, SEEK_SET) == 4);
}

void retrieve_left_types(void) {
        char path[64];
        int session_fd, fd;

        fd = tmpfs_file(path);
        REQUIRE(write(fd, "tmpfs", 5) == 5);
        REQUIRE(unlink(path) == 0);
        leave("tmpfs", fd);

        session_fd = create("seals");
        for (size_t i = 0; i < ELEMENTS(each_seal); i++) {
                fd = memfd("a");
                if (each_seal[i] != 0)
                        REQUIRE(fcntl(fd, F_ADD_SEALS, each_seal[i]) == 0);
                observe("%s", outcome(preserve(session_fd, fd, i)));
                close(fd);
        }

        leave("noexec", memfd_with_flags("a", MFD_NOEXEC_SEAL));

        session_fd = create("sealed-later");
        fd = memfd("a");
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        observe("%s", outcome(status_of(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))));
        close(fd);
}

void retrieve_left_sessions(void) {
        static const char *const names[] = { "emfile", "before-finish", "finish", "finish-closed",
                "not-finished", "never-retrieved", "frozen-no-more", "direction", "twice", "child",
                "duplicate", "inherited" };
        int session_fd;

        for (size_t i = 0; i < ELEMENTS(names); i++)
                leave_memfd(names[i], names[i]);

        session_fd = create("tokens");
        for (uint64_t i = 1; i <= 4; i++) {
                static const char *const contents[] = { "zero", "one", "two", "last" };
                int fd = memfd(contents[i - 1]);

                observe("%s", outcome(preserve(session_fd, fd, i == 4 ? UINT64_MAX : i - 1)));
                close(fd);
        }

        observe("%s", outcome(create("empty")));
}

/* -------------------------------------------------------------------------------------- boot 1: what came back ---- */

/* Gets the file of a session, and the session. */
static int retrieve_from(const char *session, int *session_fd) {
        *session_fd = retrieve_session(session);
        return retrieve(*session_fd, 1);
}

static void end(int session_fd, int fd) {
        close(fd);
        close(session_fd);
}

void retrieve_content(void) {
        int session_fd, fd = retrieve_from("content", &session_fd);

        observe("%s", outcome(fd));
        observe_content(fd);
        end(session_fd, fd);
}

void retrieve_written(void) {
        int session_fd, fd = retrieve_from("written", &session_fd);

        observe_content(fd);
        end(session_fd, fd);
        fd = retrieve_from("mapped", &session_fd);
        observe_content(fd);
        end(session_fd, fd);
}

void retrieve_sizes(void) {
        int session_fd = retrieve_session("sizes");

        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                int fd = retrieve(session_fd, i);
                struct stat st = {};
                char last = 'z';

                if (fstat(fd, &st) < 0)
                        observe("%s", outcome(fd));
                else if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
                        observe("cannot read");
                else
                        observe("%lli%s", (long long) st.st_size, last == 'z' ? "" : " with other content");
                close(fd);
        }
        close(session_fd);
}

void retrieve_holes(void) {
        int session_fd, fd = retrieve_from("holes", &session_fd);
        char *map = mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
        unsigned nonzero = 0;

        if (map != MAP_FAILED) {
                for (size_t i = 0; i < 16 * PAGE; i++)
                        nonzero += map[i] != 0;
                observe("%u pages", allocated_pages(fd));
                observe("%u bytes that are not zero", nonzero);
                observe("\"%.4s\"", map + 3 * PAGE);
                munmap(map, 16 * PAGE);
        } else
                observe("%s", outcome(fd));
        end(session_fd, fd);
}

void retrieve_flags(void) {
        static const char *const names[] = { "flags", "read-only", "append" };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                int session_fd, fd = retrieve_from(names[i], &session_fd);

                observe("%s 0%o", names[i], (unsigned) fcntl(fd, F_GETFL));
                observe("FD_CLOEXEC %s", has_cloexec(fd) ? "set" : "not set");
                observe("write %s", outcome(status_of(write(fd, "AB", 2))));
                observe_content(fd);
                end(session_fd, fd);
        }
}

void retrieve_metadata(void) {
        char path[64], target[128] = "";
        int session_fd, fd = retrieve_from("metadata", &session_fd);
        struct stat st = {};

        observe("%s", outcome(status_of(fstat(fd, &st))));
        observe("mode 0%o", (unsigned) st.st_mode);
        observe("owned by %s",
                st.st_uid == geteuid() && st.st_gid == getegid() ? "who retrieves it" : "another");
        observe("%u names", (unsigned) st.st_nlink);
        snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        if (readlink(path, target, sizeof(target) - 1) < 0)
                target[0] = 0;
        observe("name %s", strstr(target, "conformance") ? "kept" : "lost");
        end(session_fd, fd);
}

void retrieve_offset(void) {
        static const char *const names[] = { "offset", "offset-behind-end", "offset-changed" };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                int session_fd, fd = retrieve_from(names[i], &session_fd);

                observe("%s %lli", names[i], (long long) offset(fd));
                end(session_fd, fd);
        }
}

void retrieve_again(void) {
        int session_fd, fd = retrieve_from("again", &session_fd), other_fd = retrieve(session_fd, 1);
        struct stat a = {}, b = {};

        observe("%s", outcome(fd));
        observe("%s", outcome(other_fd));
        observe("%s", fd != other_fd ? "other fd" : "same fd");
        (void) fstat(fd, &a);
        (void) fstat(other_fd, &b);
        observe("%s", a.st_ino == b.st_ino && a.st_dev == b.st_dev ? "same inode" : "other inode");
        (void) lseek(fd, 1, SEEK_SET);
        observe("%s", offset(other_fd) == 1 ? "same offset" : "offset of its own");
        /* Nothing but the session has it now. */
        close(fd);
        close(other_fd);
        fd = retrieve(session_fd, 1);
        observe("%s", outcome(fd));
        observe_content(fd);
        observe("offset %lli", (long long) offset(fd));
        end(session_fd, fd);
}

static int session_of_parent;

static int retrieve_in_child(void) {
        return retrieve(session_of_parent, 1);
}

void retrieve_in_child_first(void) {
        int fd;

        session_of_parent = retrieve_session("child");
        observe("child %s", outcome(in_child(retrieve_in_child)));
        fd = retrieve(session_of_parent, 1);
        observe("parent %s", outcome(fd));
        observe_content(fd);
        end(session_of_parent, fd);
}

void retrieve_tmpfs_file(void) {
        int session_fd, fd = retrieve_from("tmpfs", &session_fd);
        struct stat st = {};

        observe_content(fd);
        (void) fstat(fd, &st);
        observe("mode 0%o", (unsigned) st.st_mode);
        observe("seals 0x%x", (unsigned) fcntl(fd, F_GET_SEALS));
        end(session_fd, fd);
}

void retrieve_seals(void) {
        int session_fd = retrieve_session("seals");

        for (size_t i = 0; i < ELEMENTS(each_seal); i++) {
                int fd = retrieve(session_fd, i);

                observe("0x%x: 0x%x", (unsigned) each_seal[i], (unsigned) fcntl(fd, F_GET_SEALS));
                observe("write %s", outcome(status_of(pwrite(fd, "A", 1, 0))));
                close(fd);
        }
        close(session_fd);
}

/* The x bits come back, and F_SEAL_EXEC with x bits means all write seals, too. */
void retrieve_noexec(void) {
        int session_fd, fd = retrieve_from("noexec", &session_fd);
        struct stat st = {};

        (void) fstat(fd, &st);
        observe("mode 0%o", (unsigned) st.st_mode);
        observe("seals 0x%x", (unsigned) fcntl(fd, F_GET_SEALS));
        observe("write %s", outcome(status_of(pwrite(fd, "A", 1, 0))));
        observe_content(fd);
        end(session_fd, fd);
}

/* Seals are noted down by PRESERVE_FD and not again. */
void retrieve_sealed_after_preserve(void) {
        int session_fd, fd = retrieve_from("sealed-later", &session_fd);

        observe("seals 0x%x", (unsigned) fcntl(fd, F_GET_SEALS));
        observe("sealing %s", outcome(status_of(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE))));
        end(session_fd, fd);
}

void retrieve_not_frozen(void) {
        int session_fd, fd = retrieve_from("frozen-no-more", &session_fd);

        observe("grow %s", outcome(status_of(ftruncate(fd, 100))));
        observe("shrink %s", outcome(status_of(ftruncate(fd, 6))));
        observe("fallocate %s", outcome(status_of(fallocate(fd, 0, 0, 7))));
        observe("write %s", outcome(status_of(pwrite(fd, "!", 1, 7))));
        end(session_fd, fd);
}

void retrieve_tokens(void) {
        static const uint64_t tokens[] = { UINT64_MAX, 1, 0, 2 };
        int session_fd = retrieve_session("tokens");

        for (size_t i = 0; i < ELEMENTS(tokens); i++) {
                int fd = retrieve(session_fd, tokens[i]);

                observe_content(fd);
                close(fd);
        }
        observe("unknown %s", outcome(retrieve(session_fd, 3)));
        observe("unknown %s", outcome(retrieve(session_fd, UINT64_C(1) << 32)));
        close(session_fd);
}

void retrieve_without_fds(void) {
        int session_fd = retrieve_session("emfile"), fd, unknown_token;

        forbid_fds();
        fd = retrieve(session_fd, 1);
        unknown_token = retrieve(session_fd, 2);
        allow_fds();
        observe("%s", outcome(fd));
        observe("unknown token %s", outcome(unknown_token));
        fd = retrieve(session_fd, 1);
        observe("with fds %s", outcome(fd));
        observe_content(fd);
        end(session_fd, fd);
}

void retrieve_preserve_on_incoming(void) {
        int session_fd = retrieve_session("direction"), fd = memfd("a");
        struct kernel_luo_fd argument[2] = { { .size = sizeof(argument), .fd = fd, .token = 2 },
                { .token = 1 } };

        observe("%s", outcome(preserve(session_fd, fd, 2)));
        observe("%s", size_state(fd));
        observe("token in use %s", outcome(preserve(session_fd, fd, 1)));
        observe("bad fd %s", outcome(preserve(session_fd, -1, 2)));
        observe("nonzero tail %s", outcome(call(session_fd, KERNEL_LUO_PRESERVE_FD, &argument)));
        observe("no pointer %s", outcome(call(session_fd, KERNEL_LUO_PRESERVE_FD, NULL)));
        close(fd);
        observe("RETRIEVE_FD %s", outcome(fd = retrieve(session_fd, 1)));
        end(session_fd, fd);
}

/* A retrieved file is LUO's until the session is finished. */
void retrieve_preserved_before_finish(void) {
        int session_fd, other_session_fd = create("next"), fd = retrieve_from("before-finish", &session_fd);

        observe("before %s", outcome(preserve(other_session_fd, fd, 1)));
        observe("FINISH %s", outcome(finish(session_fd)));
        observe("after %s", outcome(preserve(other_session_fd, fd, 1)));
        observe("%s", size_state(fd));
        close(other_session_fd);
        observe("closed %s", size_state(fd));
        end(session_fd, fd);
}

void retrieve_finish(void) {
        int session_fd, fd = retrieve_from("finish", &session_fd);
        char name[KERNEL_LUO_NAME_SIZE + 1] = "";

        observe("%s", outcome(finish(session_fd)));
        observe("twice %s", outcome(finish(session_fd)));
        observe("RETRIEVE_FD %s", outcome(retrieve(session_fd, 1)));
        observe("PRESERVE_FD %s", outcome(preserve(session_fd, fd, 1)));
        observe("GET_NAME %s", outcome(get_name(session_fd, name)));
        observe("RETRIEVE_SESSION %s", outcome(retrieve_session("finish")));
        observe_content(fd);
        end(session_fd, fd);
        observe("once closed RETRIEVE_SESSION %s", outcome(retrieve_session("finish")));
}

void retrieve_closed_without_finish(void) {
        int session_fd, other_session_fd = create("next"), fd = retrieve_from("finish-closed", &session_fd);

        close(session_fd);
        observe_content(fd);
        observe("write %s", outcome(status_of(pwrite(fd, "F", 1, 0))));
        observe("PRESERVE_FD %s", outcome(preserve(other_session_fd, fd, 1)));
        observe("RETRIEVE_SESSION %s", outcome(retrieve_session("finish-closed")));
        close(other_session_fd);
        close(fd);
}

void retrieve_nothing_and_close(void) {
        int session_fd = retrieve_session("not-finished");

        observe("%s", outcome(session_fd));
        close(session_fd);
        observe("%s", outcome(retrieve_session("not-finished")));
}

void retrieve_nothing_and_finish(void) {
        int session_fd = retrieve_session("never-retrieved");

        observe("FINISH %s", outcome(finish(session_fd)));
        observe("RETRIEVE_FD %s", outcome(retrieve(session_fd, 1)));
        close(session_fd);
}

void retrieve_session_twice(void) {
        int session_fd = retrieve_session("twice");

        observe("%s", outcome(session_fd));
        observe("FD_CLOEXEC %s", has_cloexec(session_fd) ? "set" : "not set");
        observe("%s", outcome(retrieve_session("twice")));
        close(session_fd);
        observe("closed %s", outcome(retrieve_session("twice")));
}

/* Closing is finishing, but only by the last one who has it. */
void retrieve_session_duplicated(void) {
        int session_fd = retrieve_session("duplicate"), duplicate_fd = fcntl(session_fd, F_DUPFD_CLOEXEC, 0),
            fd;

        close(session_fd);
        observe("RETRIEVE_SESSION %s", outcome(retrieve_session("duplicate")));
        fd = retrieve(duplicate_fd, 1);
        observe("RETRIEVE_FD %s", outcome(fd));
        observe_content(fd);
        end(duplicate_fd, fd);
        observe("both closed %s", outcome(retrieve_session("duplicate")));
}

void retrieve_session_inherited(void) {
        int session_fd = retrieve_session("inherited");
        pid_t pid = start_holder();

        close(session_fd);
        observe("child has it %s", outcome(retrieve_session("inherited")));
        end_holder(pid);
        observe("child ended %s", outcome(retrieve_session("inherited")));
}

void retrieve_session_unknown(void) {
        observe("%s", outcome(retrieve_session("unknown")));
        observe("empty name %s", outcome(retrieve_session("")));
}

void retrieve_empty_session(void) {
        int session_fd = retrieve_session("empty");

        observe("%s", outcome(session_fd));
        observe("RETRIEVE_FD %s", outcome(retrieve(session_fd, 0)));
        observe("FINISH %s", outcome(finish(session_fd)));
        close(session_fd);
}
