/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every documented error of bundles and of their index */

#include <fcntl.h>
#include <signal.h>

#include "every-error.h"

RUN(bundle_new) {
        libluo_bundle_writer *bundle = NULL;
        int r = TRY(libluo_bundle_writer_new(OBJECT(have.outgoing_fd), 0, &bundle));

        libluo_bundle_writer_free(bundle);
        return r;
}

RUN(bundle_new_nothing) {
        return TRY(libluo_bundle_writer_new(OBJECT(have.outgoing_fd), 0, NULL));
}

/* The session of a bundle that is being built, closed or replaced behind its back. */
static void spoil(const struct error_case *c, int session_fd) {
        if (c->object == OTHER_KIND)
                REQUIRE(dup3(have.file_fd, session_fd, O_CLOEXEC) == session_fd);
        else if (c->object == INCOMING)
                REQUIRE(dup3(have.incoming_fd, session_fd, O_CLOEXEC) == session_fd);
        else if (c->object == CLOSED)
                close_fd(session_fd);
}

enum bundle_step {
        ADD,
        ADD_NOTHING,
        ADD_PIPE,
        ADD_PRESERVED,
        ADD_BAD_NAME,
        ADD_MANY,
        ADD_HOLE,
        WRITE_IT,
        WRITE_TWICE,
        WRITE_TAKEN
};

static int add(libluo_bundle_writer *bundle, libluo_bundle_writer *shared, int fd, const char *name) {
        return shared ? libluo_bundle_writer_add_shared(bundle, fd, name, 0, shared)
                      : libluo_bundle_writer_add(bundle, fd, name, 0);
}

static int add_many(libluo_bundle_writer *bundle, libluo_bundle_writer *shared, int fd) {
        int r = 0;

        for (size_t i = 0; i <= LIBLUO_BUNDLE_ENTRIES_MAX && r >= 0; i++)
                r = add(bundle, shared, fd, "");
        return r;
}

static int build(const struct error_case *c, enum bundle_step step, bool share) {
        int low_fd = create("every-error-bundle"), shared_fd = create("every-error-shared"),
            fd = fresh_file(), session_fd, r;
        libluo_bundle_writer *bundle = NULL, *shared = NULL;

        /* Out of the way: when it is closed, nothing that libluo opens may come to be in its place */
        session_fd = fcntl(low_fd, F_DUPFD_CLOEXEC, 200);
        close_fd(low_fd);
        REQUIRE(libluo_bundle_writer_new(session_fd, 0, &bundle) == 0);
        REQUIRE(libluo_bundle_writer_new(shared_fd, 0, &shared) == 0);
        if (step == WRITE_TAKEN)
                REQUIRE(libluo_session_preserve(session_fd, fd, LIBLUO_INDEX_TOKEN) == 0);
        if (step == WRITE_TWICE)
                REQUIRE(libluo_bundle_writer_write(bundle, 0) == 0);

        if (c->object != GOOD)
                spoil(c, share ? shared_fd : session_fd);

        break_now();
        switch (step) {
        case ADD:
                r = add(bundle, share ? shared : NULL, fd, "name");
                break;
        case ADD_NOTHING:
                r = add(bundle, share ? shared : NULL, -1, "name");
                break;
        case ADD_PIPE:
                r = add(bundle, share ? shared : NULL, have.pipe_fd, "name");
                break;
        case ADD_PRESERVED:
                r = add(bundle, share ? shared : NULL, have.file_fd, "name");
                break;
        case ADD_BAD_NAME:
                r = add(bundle, share ? shared : NULL, fd, "a:b");
                break;
        case ADD_HOLE: /* larger than any memory */
                REQUIRE(ftruncate(fd, (off_t) 8 << 40) == 0);
                r = add(bundle, share ? shared : NULL, fd, "name");
                break;
        case ADD_MANY:
                r = add_many(bundle, share ? shared : NULL, fd);
                break;
        default:
                r = libluo_bundle_writer_write(bundle, 0);
        }
        mend();

        libluo_bundle_writer_free(bundle);
        libluo_bundle_writer_free(shared);
        if (c->object != CLOSED || share)
                close_fd(session_fd);
        if (c->object != CLOSED || !share)
                close_fd(shared_fd);
        close_fd(fd);
        return r;
}

#define BUILD(name, step)                                                                                    \
        RUN(bundle_##name) {                                                                                 \
                return build(c, step, false);                                                                \
        }                                                                                                    \
        RUN(shared_##name) {                                                                                 \
                return build(c, step, true);                                                                 \
        }

BUILD(add, ADD)
BUILD(add_pipe, ADD_PIPE)
BUILD(add_preserved, ADD_PRESERVED)
BUILD(add_bad_name, ADD_BAD_NAME)
BUILD(add_many, ADD_MANY)
BUILD(add_hole, ADD_HOLE)

RUN(shared_add_nothing) {
        return build(c, ADD_NOTHING, true);
}

RUN(bundle_write) {
        return build(c, WRITE_IT, false);
}

RUN(bundle_write_twice) {
        return build(c, WRITE_TWICE, false);
}

RUN(bundle_write_taken) {
        return build(c, WRITE_TAKEN, false);
}

RUN(shared_loop) {
        int session_fd = create("every-error-bundle"), r;
        libluo_bundle_writer *bundle = NULL;

        REQUIRE(libluo_bundle_writer_new(session_fd, 0, &bundle) == 0);
        r = TRY(libluo_bundle_writer_add_shared(bundle, have.file_fd, "name", 0, bundle));
        (void) c;
        libluo_bundle_writer_free(bundle);
        close_fd(session_fd);
        return r;
}

static int open_named(const struct error_case *c, const char *name) {
        int fd = incoming(name), r;
        libluo_bundle *bundle = NULL;

        r = TRY(libluo_bundle_open(OBJECT(fd), 0, &bundle));
        libluo_bundle_free(bundle);
        return r;
}

RUN(bundle_open) {
        return open_named(c, "every-error-full");
}

RUN(bundle_open_nothing) {
        return TRY(libluo_bundle_open(OBJECT(incoming("every-error-full")), 0, NULL));
}

RUN(bundle_open_junk) {
        return open_named(c, "every-error-junk");
}

RUN(bundle_open_future) {
        return open_named(c, "every-error-future");
}

RUN(bundle_open_none) {
        return open_named(c, "every-error-incoming");
}

static int index_of(const char *name) {
        int fd = libluo_session_retrieve_fd(incoming(name), LIBLUO_INDEX_TOKEN);

        REQUIRE(fd >= 0);
        return fd;
}

static int open_index(const struct error_case *c, const char *name, bool features, bool write_only) {
        int fd = index_of(name), r;
        libluo_bundle *bundle = NULL;
        uint32_t unknown;

        if (write_only) {
                int other_fd = reopen(fd, O_WRONLY);

                close_fd(fd);
                fd = other_fd;
        }

        break_now();
        r = features ? libluo_index_features(OBJECT(fd), NULL, NULL, &unknown)
                     : libluo_bundle_open_index(OBJECT(fd), 0, &bundle);
        mend();
        libluo_bundle_free(bundle);
        close_fd(fd);
        return r;
}

RUN(index_open) {
        return open_index(c, "every-error-full", false, false);
}

RUN(index_open_write_only) {
        return open_index(c, "every-error-writable", false, true);
}

RUN(index_open_junk) {
        return open_index(c, "every-error-junk", false, false);
}

RUN(index_open_future) {
        return open_index(c, "every-error-future", false, false);
}

RUN(index_open_nothing) {
        return TRY(libluo_bundle_open_index(OBJECT(have.file_fd), 0, NULL));
}

RUN(index_features) {
        return open_index(c, "every-error-full", true, false);
}

RUN(index_features_write_only) {
        return open_index(c, "every-error-writable", true, true);
}

RUN(index_features_junk) {
        return open_index(c, "every-error-junk", true, false);
}

/* What is in the session "every-error-full" */
enum entry { ENTRY_PLAIN, ENTRY_READ_ONLY, ENTRY_LOST, ENTRY_SHARED_FILE, N_ENTRIES };

static libluo_bundle *open_full(int session_fd) {
        libluo_bundle *bundle = NULL;

        REQUIRE(libluo_bundle_open(session_fd, 0, &bundle) == 0);
        return bundle;
}

static int take_entry(const struct error_case *c, size_t i, uint32_t flags) {
        int session_fd = fcntl(incoming("every-error-full"), F_DUPFD_CLOEXEC, 3), fd;
        libluo_bundle *bundle = open_full(session_fd);

        if (c->object == OUTGOING)
                REQUIRE(dup3(have.outgoing_fd, session_fd, O_CLOEXEC) == session_fd);
        else
                spoil(c, session_fd);

        fd = TRY(libluo_bundle_take(bundle, i, flags));
        if (fd >= 0)
                close_fd(fd);
        libluo_bundle_free(bundle);
        if (c->object != CLOSED)
                close_fd(session_fd);
        return fd;
}

#define TAKE(name, i)                                                                                        \
        RUN(take_##name) {                                                                                   \
                return take_entry(c, i, 0);                                                                  \
        }

TAKE(plain, ENTRY_PLAIN)
TAKE(read_only, ENTRY_READ_ONLY)
TAKE(lost, ENTRY_LOST)
TAKE(shared, ENTRY_SHARED_FILE)
TAKE(none, N_ENTRIES)

RUN(again_read_only) {
        return take_entry(c, ENTRY_READ_ONLY, LIBLUO_TAKE_AGAIN);
}

RUN(again_leased) {
        int fd, r;
        libluo_bundle *bundle = open_full(incoming("every-error-full"));

        (void) c;
        fd = libluo_bundle_take(bundle, ENTRY_READ_ONLY, LIBLUO_TAKE_AGAIN);
        (void) signal(SIGIO, SIG_IGN); /* which tells that somebody waits */
        REQUIRE(fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0);
        r = TRY(libluo_bundle_take(bundle, ENTRY_READ_ONLY, LIBLUO_TAKE_AGAIN));
        close_fd(fd);
        libluo_bundle_free(bundle);
        return r;
}

RUN(take_after_finish) {
        int fd;
        libluo_bundle *bundle = open_full(incoming("every-error-finished"));

        (void) c;
        REQUIRE(libluo_bundle_finish(bundle) == 0);
        fd = TRY(libluo_bundle_take(bundle, 0, 0));
        libluo_bundle_free(bundle);
        return fd;
}

RUN(get_memory) {
        libluo_bundle *bundle = open_full(incoming("every-error-full"));
        uint64_t bytes;
        int r = TRY(libluo_bundle_get_memory(bundle, NULL, 0, &bytes));

        (void) c;
        libluo_bundle_free(bundle);
        return r;
}

RUN(get_memory_few) {
        libluo_bundle *bundle = open_full(incoming("every-error-full"));
        const uint8_t skip = 0;
        uint64_t bytes;
        int r = TRY(libluo_bundle_get_memory(bundle, &skip, 1, &bytes));

        (void) c;
        libluo_bundle_free(bundle);
        return r;
}

RUN(take_all) {
        libluo_bundle *bundle = open_full(incoming("every-error-full"));
        int fds[1], r = TRY(libluo_bundle_take_all(bundle, fds, 1, 0));

        (void) c;
        libluo_bundle_free(bundle);
        return r;
}

RUN(get_none) {
        libluo_bundle *bundle = open_full(incoming("every-error-full"));
        libluo_entry e;
        int r = TRY(libluo_bundle_get(bundle, N_ENTRIES, &e, sizeof(e)));

        (void) c;
        libluo_bundle_free(bundle);
        return r;
}

RUN(bundle_finish) {
        int session_fd = fcntl(incoming("every-error-full"), F_DUPFD_CLOEXEC, 3), r;
        libluo_bundle *bundle = open_full(session_fd);

        if (c->object == OUTGOING)
                REQUIRE(dup3(have.outgoing_fd, session_fd, O_CLOEXEC) == session_fd);
        else
                spoil(c, session_fd);
        r = TRY(libluo_bundle_finish(bundle));
        libluo_bundle_free(bundle);
        if (c->object != CLOSED)
                close_fd(session_fd);
        return r;
}

RUN(bundle_finish_nothing) {
        (void) c;
        return TRY(libluo_bundle_finish(NULL));
}

static int set_shared(const char *name, bool self) {
        libluo_bundle *bundle = open_full(incoming("every-error-full")),
                      *shared = name ? open_full(incoming(name)) : NULL;
        int r = TRY(libluo_bundle_set_shared(bundle, self ? bundle : shared));

        libluo_bundle_free(bundle);
        libluo_bundle_free(shared);
        return r;
}

RUN(set_shared_wrong) {
        (void) c;
        return set_shared("every-error-writable-bundle", false);
}

RUN(set_shared_nothing) {
        (void) c;
        return set_shared(NULL, false);
}

RUN(set_shared_self) {
        (void) c;
        return set_shared(NULL, true);
}
