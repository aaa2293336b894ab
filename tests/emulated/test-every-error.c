/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every error that the man pages document, produced once: a case for each pair of function and errno, which is its
 * name. check-every-error compares the list of cases with that of the man pages.
 *
 * Where luo-emulate or the arguments do not lead to an error, a system call of libluo's is made to fail: the linker
 * puts those of every-error-calls.c in the place of the C library's. Runs under luo-emulate over one kexec; what needs
 * an incoming session is a case of boot 1.
 */

#include <fcntl.h>
#include <unistd.h>

#include "every-error.h"

/* What the cases call; where it is defined, RUN declares it */
#define CASE(number_of_boot, of_function, of_error, how, ...) int how(const struct error_case *c);
#include "every-error-cases.h"
#undef CASE

#define CASE(number_of_boot, of_function, of_error, how, ...)                                                \
        { .boot = number_of_boot,                                                                            \
                .function = #of_function,                                                                    \
                .error = of_error,                                                                           \
                .error_name = #of_error,                                                                     \
                .run = how,                                                                                  \
                __VA_ARGS__ },

static const struct error_case cases[] = {
#include "every-error-cases.h"
};

/* -------------------------------------------------------------------------------------- what is worked with ---- */

struct have have;

int object_fd(enum object object, int good_fd) {
        switch (object) {
        case CLOSED:
                return 12345;
        case OTHER_KIND:
                return have.file_fd;
        case OUTGOING:
                return have.outgoing_fd;
        case INCOMING:
                return have.incoming_fd;
        default:
                return good_fd;
        }
}

int fresh_file(void) {
        return memfd("fresh");
}

/* Each is retrieved when it is first needed */
int incoming(const char *name) {
        static struct {
                const char *name;
                int fd;
        } known[16];

        for (size_t i = 0; i < ELEMENTS(known); i++) {
                if (!known[i].name) {
                        known[i].name = name;
                        known[i].fd = retrieve(name);
                        REQUIRE(known[i].fd >= 0);
                }
                if (strcmp(known[i].name, name) == 0)
                        return known[i].fd;
        }
        REQUIRE(false);
        return -1;
}

static const struct error_case *current;

void break_now(void) {
        broken.call = current->call;
        broken.request = current->request;
        broken.error = current->call_error;
        broken.old_kernel = current->old_kernel;
        broken.proc_error = current->proc_error;
}

void mend(void) {
        memset(&broken, 0, sizeof(broken));
}

/* ------------------------------------------------------------------------------------------------ the boots ---- */

static void leave_bundle(const char *name) {
        int session_fd = create(name), fd = fresh_file(), narrow = reopen(fd, O_RDONLY);
        libluo_bundle_writer *bundle = NULL;

        REQUIRE(fchmod(fd, 0400) == 0);
        REQUIRE(libluo_bundle_writer_new(session_fd, 0, &bundle) == 0);
        REQUIRE(libluo_bundle_writer_add(bundle, fresh_file(), "plain", 0) == 0);
        REQUIRE(libluo_bundle_writer_add(bundle, narrow, "read-only", 0) == 0);
        REQUIRE(libluo_bundle_writer_add(bundle, have.pipe_fd, "lost", 0) == -EOPNOTSUPP);
        if (strcmp(name, "every-error-full") == 0) {
                libluo_bundle_writer *shared = NULL;

                REQUIRE(libluo_bundle_writer_new(create("every-error-others"), 0, &shared) == 0);
                REQUIRE(libluo_bundle_writer_add_shared(bundle, fresh_file(), "shared", 0, shared) == 0);
                REQUIRE(libluo_bundle_writer_write(shared, 0) == 0);
                libluo_bundle_writer_free(shared);
        }
        REQUIRE(libluo_bundle_writer_write(bundle, 0) == 0);
        libluo_bundle_writer_free(bundle);
}

/* Sessions for boot 1; they stay open. */
static void leave_sessions(void) {
        struct luo_index_entry e = { .public = { .name = "", .token = 9 } };
        struct luo_index index = { .entries = &e, .n_entries = 0 };
        uint8_t *data;
        size_t size;
        int fd;

        REQUIRE(libluo_session_preserve(create("every-error-incoming"), fresh_file(), 1) == 0);
        leave_bundle("every-error-full");
        leave_bundle("every-error-finished");

        REQUIRE(libluo_session_preserve(create("every-error-junk"), memfd("no index"), LIBLUO_INDEX_TOKEN) ==
                0);

        REQUIRE(libluo_internal_index_encode(&index, &data, &size) == 0);
        fd = memfd("");
        REQUIRE(write(fd, data, size) == (ssize_t) size);
        REQUIRE(libluo_session_preserve(create("every-error-writable"), fd, LIBLUO_INDEX_TOKEN) == 0);
        fd = memfd("");
        REQUIRE(write(fd, data, size) == (ssize_t) size);
        REQUIRE(libluo_session_preserve(create("every-error-writable-bundle"), fd, LIBLUO_INDEX_TOKEN) == 0);

        data[15] = 0x80; /* an incompatible feature that nobody knows */
        fd = memfd("");
        REQUIRE(write(fd, data, size) == (ssize_t) size);
        REQUIRE(libluo_session_preserve(create("every-error-future"), fd, LIBLUO_INDEX_TOKEN) == 0);
        free(data);
}

int main(void) {
        const char *text = getenv("LUO_BOOT");
        unsigned boot = text ? (unsigned) strtoul(text, NULL, 10) : 0;
        int failed = 0, fds[2];
        size_t n = 0;

        closefrom(PASSED);
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0); /* takes the place of what will be passed */
        have.pipe_fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 10);
        have.file_fd = memfd("file");
        have.other_fd = memfd("other");
        have.outgoing_fd = create("every-error-outgoing");
        REQUIRE(libluo_session_preserve(have.outgoing_fd, have.file_fd, 1) == 0);
        have.incoming_fd = boot == 0 ? -1 : incoming("every-error-incoming");

        if (boot == 0)
                printf("1..%zu\n", ELEMENTS(cases));

        /* The cases of boot 0 are counted first */
        for (size_t i = 0; boot > 0 && i < ELEMENTS(cases); i++)
                n += cases[i].boot == 0;

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                if (cases[i].boot != boot)
                        continue;

                current = cases + i;
                test_failed = 0;
                CHECK_EQUAL(cases[i].run(cases + i), -cases[i].error);
                printf("%sok %zu - %s %s\n", test_failed ? "not " : "", ++n, cases[i].function,
                        cases[i].error_name);
                fflush(stdout);
                failed |= test_failed;
        }

        if (boot == 0) {
                leave_sessions();
                fflush(stdout);
                if (fork() == 0) /* keeps the sessions until the kexec */
                        for (;;)
                                pause();
        }
        return failed;
}
