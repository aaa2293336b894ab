/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many files and sessions, and what the second kexec carries over. */

#include "conformance.h"

#define FILES 1000
#define SESSIONS 300

void kexecs_left(void) {
        static const char *const names[] = { "untouched", "held", "half", "passed-on", "same-name",
                "finished" };

        for (size_t i = 0; i < ELEMENTS(names); i++)
                leave_memfd(names[i], names[i]);
}

void kexecs_many_files_left(void) {
        int session_fd = create("many-files"), result = 0;
        unsigned n = 0;

        for (uint64_t i = 0; i < FILES && result >= 0; i++) {
                char content[32];
                int fd;

                snprintf(content, sizeof(content), "file %u", (unsigned) i);
                fd = memfd(content);
                result = preserve(session_fd, fd, i);
                n += result >= 0;
                close(fd);
        }
        observe("%u files %s", n, outcome(result));
}

void kexecs_many_sessions_left(void) {
        int session_fd, result = 0;
        unsigned n = 0;

        for (unsigned i = 0; i < SESSIONS && result >= 0; i++) {
                char name[32];
                int fd;

                snprintf(name, sizeof(name), "session %u", i);
                session_fd = create(name);
                fd = memfd(name);
                result = session_fd < 0 ? session_fd : preserve(session_fd, fd, 1);
                n += result >= 0;
                close(fd);
        }
        observe("%u sessions %s", n, outcome(result));
}

static bool has_content(int fd, const char *content) {
        char buffer[64];
        ssize_t n;

        n = pread(fd, buffer, sizeof(buffer), 0);
        return n == (ssize_t) strlen(content) && memcmp(buffer, content, strlen(content)) == 0;
}

/* From the last to the first */
void kexecs_many_files(void) {
        int session_fd = retrieve_session("many-files");
        unsigned n = 0;

        for (unsigned i = FILES; i-- > 0;) {
                char content[32];
                int fd;

                snprintf(content, sizeof(content), "file %u", i);
                fd = retrieve(session_fd, i);
                n += has_content(fd, content);
                close(fd);
        }
        observe("%u files", n);
        observe("one more %s", outcome(retrieve(session_fd, FILES)));
        observe("FINISH %s", outcome(finish(session_fd)));
        close(session_fd);
}

void kexecs_many_sessions(void) {
        unsigned n = 0;

        for (unsigned i = SESSIONS; i-- > 0;) {
                char name[32];
                int session_fd, fd;

                snprintf(name, sizeof(name), "session %u", i);
                session_fd = retrieve_session(name);
                fd = retrieve(session_fd, 1);
                n += has_content(fd, name);
                close(fd);
                close(session_fd);
        }
        observe("%u sessions", n);
        observe("one more %s", outcome(retrieve_session("session 300")));
}

/* -------------------------------------------------------------------- boot 1: left for, or kept from, the next ---- */

void kexecs_incoming_held(void) {
        int session_fd = retrieve_session("held");

        observe("%s", outcome(session_fd));
        session_fd = retrieve_session("half");
        observe("%s", outcome(session_fd));
        observe("%s", outcome(retrieve(session_fd, 1)));
        session_fd = retrieve_session("finished");
        observe("%s", outcome(session_fd));
        observe("%s", outcome(finish(session_fd)));
}

void kexecs_passed_on(void) {
        int session_fd = retrieve_session("passed-on"), fd = retrieve(session_fd, 1), other_fd;

        observe("%s", outcome(fd));
        observe("%s", outcome(finish(session_fd)));
        close(session_fd);
        REQUIRE(lseek(fd, 0, SEEK_END) >= 0);
        observe("write %s", outcome(status_of(write(fd, ", again", 7))));
        session_fd = create("passed-on");
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        close(fd);

        other_fd = memfd("new");
        observe("new file %s", outcome(preserve(session_fd, other_fd, 2)));
        close(other_fd);
}

void kexecs_same_name(void) {
        int incoming_fd = retrieve_session("same-name"), outgoing_fd = create("same-name"),
            fd = memfd("outgoing");

        observe("incoming %s", outcome(incoming_fd));
        observe("outgoing %s", outcome(outgoing_fd));
        observe("%s", outcome(preserve(outgoing_fd, fd, 1)));
        close(fd);
        observe("incoming %s", outcome(fd = retrieve(incoming_fd, 1)));
        observe_content(fd);
        close(fd);
        observe("%s", outcome(create("empty")));
}

/* ------------------------------------------------------------------------------------------------------ boot 2 ---- */

void kexecs_not_carried_over(void) {
        static const char *const names[] = { "untouched", "held", "half", "finished", "many-files",
                "session 0" };

        for (size_t i = 0; i < ELEMENTS(names); i++)
                observe("%s %s", names[i], outcome(retrieve_session(names[i])));
}

void kexecs_passed_on_twice(void) {
        int session_fd = retrieve_session("passed-on"), fd = retrieve(session_fd, 1);

        observe("%s", outcome(fd));
        observe_content(fd);
        observe("offset %lli", (long long) lseek(fd, 0, SEEK_CUR));
        close(fd);
        fd = retrieve(session_fd, 2);
        observe_content(fd);
        observe("FINISH %s", outcome(finish(session_fd)));
        close(fd);
        close(session_fd);
}

void kexecs_same_name_twice(void) {
        int session_fd = retrieve_session("same-name"), fd = retrieve(session_fd, 1);

        observe("%s", outcome(session_fd));
        observe_content(fd);
        close(fd);
        close(session_fd);
        observe("closed %s", outcome(retrieve_session("same-name")));
}

void kexecs_empty_session_again(void) {
        int session_fd = retrieve_session("empty");

        observe("%s", outcome(session_fd));
        observe("RETRIEVE_FD %s", outcome(retrieve(session_fd, 1)));
        close(session_fd);
}

/* Files can be preserved in the last boot as in the first. */
void kexecs_preserve_again(void) {
        int session_fd = create("passed-on"), fd = memfd("a");

        observe("CREATE_SESSION %s", outcome(session_fd));
        observe("PRESERVE_FD %s", outcome(preserve(session_fd, fd, 1)));
        observe("%s", size_state(fd));
        close(session_fd);
        observe("closed %s", size_state(fd));
        close(fd);
}
