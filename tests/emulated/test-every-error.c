/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every error that the man pages document, produced once: a case for each pair of function and errno, which is its name.
 * check-every-error compares the list of cases with that of the man pages.
 *
 * Where luo-emulate or the arguments do not lead to an error, a system call of libluo's is made to fail: the linker puts
 * the functions below in the place of the C library's. Runs under luo-emulate over one kexec; what needs an incoming
 * session is a case of boot 1.
 */

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>

#include "boots.h"
#include "kernel-abi.h"

/* ------------------------------------------------------------------------------- system calls made to fail ---- */

enum call {
        NONE,
        OPEN,
        IOCTL,
        FSTATFS,
        READLINK,
        FCNTL,
        MEMFD,
        WRITE,
        FCHMOD,
        SOCKET,
        SENDMSG,
        PIPE,
        POLL,
        ALLOCATE
};

static struct {
        enum call call;
        unsigned long request; /* of IOCTL and FCNTL */
        int error;
        bool old_kernel; /* before 7.2: no GET_NAME */
        int proc_error;  /* of readlink(2) and open(2) in /proc; 0: none */
} broken;

static bool breaks(enum call call, unsigned long request) {
        if (broken.call != call || (broken.request != 0 && broken.request != request))
                return false;
        errno = broken.error;
        return true;
}

#define WRAP(type, name, parameters, arguments, call)                                                        \
        type __real_##name parameters;                                                                       \
        type __wrap_##name parameters;                                                                       \
        type __wrap_##name parameters {                                                                      \
                return breaks(call, 0) ? (type) - 1 : __real_##name arguments;                               \
        }

#define WRAP_ALLOCATION(type, name, parameters, arguments)                                                   \
        type __real_##name parameters;                                                                       \
        type __wrap_##name parameters;                                                                       \
        type __wrap_##name parameters {                                                                      \
                return breaks(ALLOCATE, 0) ? NULL : __real_##name arguments;                                 \
        }

WRAP(int, fstatfs, (int fd, struct statfs *ret), (fd, ret), FSTATFS)
WRAP(int, fstatfs64, (int fd, struct statfs *ret), (fd, ret), FSTATFS)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), MEMFD)
WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), WRITE)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), FCHMOD)
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), SOCKET)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), SENDMSG)
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags), PIPE)
WRAP(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout), POLL)
WRAP_ALLOCATION(void *, malloc, (size_t size), (size))
WRAP_ALLOCATION(void *, calloc, (size_t n, size_t size), (n, size))
WRAP_ALLOCATION(void *, realloc, (void *p, size_t size), (p, size))
WRAP_ALLOCATION(char *, strdup, (const char *s), (s))
WRAP_ALLOCATION(char *, strndup, (const char *s, size_t n), (s, n))

ssize_t __real_readlink(const char *path, char *ret, size_t size);
ssize_t __wrap_readlink(const char *path, char *ret, size_t size);
ssize_t __wrap_readlink(const char *path, char *ret, size_t size) {
        if (broken.proc_error) {
                errno = broken.proc_error;
                return -1;
        }
        return breaks(READLINK, 0) ? -1 : __real_readlink(path, ret, size);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...) __attribute__((alias("__wrap_open")));
int __wrap_open(const char *path, int flags, ...) {
        if (broken.proc_error && strncmp(path, "/proc/", 6) == 0) {
                errno = broken.proc_error;
                return -1;
        }
        return breaks(OPEN, 0) ? -1 : __real_open(path, flags);
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...) {
        void *argument;
        va_list ap;

        va_start(ap, request);
        argument = va_arg(ap, void *);
        va_end(ap);

        if (broken.old_kernel && request == KERNEL_LUO_GET_NAME) {
                errno = EINVAL;
                return -1;
        }
        return breaks(IOCTL, request) ? -1 : __real_ioctl(fd, request, argument);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...) __attribute__((alias("__wrap_fcntl")));
int __wrap_fcntl(int fd, int command, ...) {
        va_list ap;
        int argument;

        va_start(ap, command);
        argument = va_arg(ap, int);
        va_end(ap);
        return breaks(FCNTL, (unsigned long) command) ? -1 : __real_fcntl(fd, command, argument);
}

/* -------------------------------------------------------------------------------------- what is worked with ---- */

/* Valid in boot 0: a session to preserve in. In boot 1: incoming ones. */
static struct {
        int outgoing_fd, incoming_fd, file_fd, other_fd, pipe_fd;
} have;

/* What a function is called with in the place of a good session, device or file */
enum object { GOOD, CLOSED, OTHER_KIND, OUTGOING, INCOMING };

static int object_fd(enum object object, int good_fd) {
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

/* A memfd that is in no session yet */
static int fresh_file(void) {
        return memfd("fresh");
}

struct error_case {
        unsigned boot;
        const char *function;
        int error;
        const char *error_name;
        int (*run)(const struct error_case *c);
        enum object object;
        enum call call;
        unsigned long request;
        int call_error;
        bool old_kernel;
        int proc_error;
};

static const struct error_case *current;

/* From here to the end of the case things are broken as it says. */
static void break_now(void) {
        broken.call = current->call;
        broken.request = current->request;
        broken.error = current->call_error;
        broken.old_kernel = current->old_kernel;
        broken.proc_error = current->proc_error;
}

static void mend(void) {
        memset(&broken, 0, sizeof(broken));
}

#define RUN(name) static int name(const struct error_case *c)
#define OBJECT(good_fd) object_fd(c->object, (good_fd))

/* Calls with things broken, and mends them before anything else happens */
#define TRY(expression)                                                                                      \
        ({                                                                                                   \
                int try_result;                                                                              \
                break_now();                                                                                 \
                try_result = (int) (expression);                                                             \
                mend();                                                                                      \
                try_result;                                                                                  \
        })

/* -------------------------------------------------------------------------------------- device and sessions ---- */

RUN(device_open) {
        (void) c;
        return TRY(libluo_device_open(0));
}

RUN(device_open_busy) {
        int fd = device(), r = TRY(libluo_device_open(0));

        (void) c;
        close_fd(fd);
        return r;
}

static int with_device(const struct error_case *c, int (*run)(int fd)) {
        int device_fd = device(), fd = OBJECT(device_fd), r;

        r = TRY(run(fd));
        close_fd(device_fd);
        return r;
}

static int probe(int fd) {
        uint64_t features;

        return libluo_device_probe(fd, &features);
}

static int probe_nothing(int fd) {
        return libluo_device_probe(fd, NULL);
}

static int create_it(int fd) {
        int session_fd = libluo_session_create(fd, "every-error");

        if (session_fd >= 0)
                close_fd(session_fd);
        return session_fd;
}

static int create_empty(int fd) {
        return libluo_session_create(fd, "");
}

#define TOO_LONG "0123456789012345678901234567890123456789012345678901234567890123"

static int create_long(int fd) {
        return libluo_session_create(fd, TOO_LONG);
}

static int create_existing(int fd) {
        return libluo_session_create(fd, "every-error-outgoing");
}

static int retrieve_nothing(int fd) {
        return libluo_session_retrieve(fd, "every-error-nothing");
}

static int retrieve_again(int fd) {
        return libluo_session_retrieve(fd, "every-error-incoming");
}

static int retrieve_empty(int fd) {
        return libluo_session_retrieve(fd, "");
}

static int retrieve_long(int fd) {
        return libluo_session_retrieve(fd, TOO_LONG);
}

#define WITH_DEVICE(name)                                                                                    \
        RUN(device_##name) {                                                                                 \
                return with_device(c, name);                                                                 \
        }

WITH_DEVICE(probe)
WITH_DEVICE(probe_nothing)
WITH_DEVICE(create_it)
WITH_DEVICE(create_empty)
WITH_DEVICE(create_long)
WITH_DEVICE(create_existing)
WITH_DEVICE(retrieve_nothing)
WITH_DEVICE(retrieve_again)
WITH_DEVICE(retrieve_empty)
WITH_DEVICE(retrieve_long)

RUN(device_probe_busy) {
        int session_fd = create("libluo-probe"), r = with_device(c, probe);

        close_fd(session_fd);
        return r;
}

RUN(preserve) {
        int fd = fresh_file(), r = TRY(libluo_session_preserve(OBJECT(have.outgoing_fd), fd, 1000));

        close_fd(fd);
        return r;
}

RUN(preserve_token_taken) {
        int fd = fresh_file(), r = TRY(libluo_session_preserve(OBJECT(have.outgoing_fd), fd, 1));

        close_fd(fd);
        return r;
}

RUN(preserve_again) {
        return TRY(libluo_session_preserve(OBJECT(have.outgoing_fd), have.file_fd, 1001));
}

RUN(preserve_pipe) {
        return TRY(libluo_session_preserve(OBJECT(have.outgoing_fd), have.pipe_fd, 1001));
}

RUN(retrieve_fd) {
        int fd = TRY(libluo_session_retrieve_fd(OBJECT(have.incoming_fd), 1));

        if (fd >= 0)
                close_fd(fd);
        return fd;
}

RUN(retrieve_fd_unknown) {
        return TRY(libluo_session_retrieve_fd(OBJECT(have.incoming_fd), 77));
}

RUN(finish) {
        return TRY(libluo_session_finish(OBJECT(have.incoming_fd)));
}

RUN(get_name) {
        char name[LIBLUO_SESSION_NAME_MAX + 1];

        return TRY(libluo_session_get_name(OBJECT(have.outgoing_fd), name));
}

RUN(get_name_nothing) {
        return TRY(libluo_session_get_name(OBJECT(have.outgoing_fd), NULL));
}

RUN(is_session) {
        return TRY(libluo_fd_is_session(OBJECT(have.outgoing_fd)));
}

/* --------------------------------------------------------------------------------------------------- bundles ---- */

RUN(bundle_new) {
        libluo_bundle *bundle = NULL;
        int r = TRY(libluo_bundle_new(OBJECT(have.outgoing_fd), &bundle));

        libluo_bundle_free(bundle);
        return r;
}

RUN(bundle_new_nothing) {
        return TRY(libluo_bundle_new(OBJECT(have.outgoing_fd), NULL));
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
        WRITE_IT,
        WRITE_TWICE,
        WRITE_TAKEN
};

static int add(libluo_bundle *bundle, libluo_bundle *shared, int fd, const char *name) {
        return shared ? libluo_bundle_add_shared(bundle, fd, name, 0, shared)
                      : libluo_bundle_add(bundle, fd, name, 0);
}

static int add_many(libluo_bundle *bundle, libluo_bundle *shared, int fd) {
        int r = 0;

        for (size_t i = 0; i <= LIBLUO_BUNDLE_ENTRIES_MAX && r >= 0; i++)
                r = add(bundle, shared, fd, "");
        return r;
}

static int build(const struct error_case *c, enum bundle_step step, bool share) {
        int low_fd = create("every-error-bundle"), shared_fd = create("every-error-shared"),
            fd = fresh_file(), session_fd, r;
        libluo_bundle *bundle = NULL, *shared = NULL;

        /* Out of the way: when it is closed, nothing that libluo opens may come to be in its place */
        session_fd = fcntl(low_fd, F_DUPFD_CLOEXEC, 200);
        close_fd(low_fd);
        REQUIRE(libluo_bundle_new(session_fd, &bundle) == 0);
        REQUIRE(libluo_bundle_new(shared_fd, &shared) == 0);
        if (step == WRITE_TAKEN)
                REQUIRE(libluo_session_preserve(session_fd, fd, LIBLUO_INDEX_TOKEN) == 0);
        if (step == WRITE_TWICE)
                REQUIRE(libluo_bundle_write(bundle) == 0);

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
        case ADD_MANY:
                r = add_many(bundle, share ? shared : NULL, fd);
                break;
        default:
                r = libluo_bundle_write(bundle);
        }
        mend();

        libluo_bundle_free(bundle);
        libluo_bundle_free(shared);
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
        libluo_bundle *bundle = NULL;

        REQUIRE(libluo_bundle_new(session_fd, &bundle) == 0);
        r = TRY(libluo_bundle_add_shared(bundle, have.file_fd, "name", 0, bundle));
        (void) c;
        libluo_bundle_free(bundle);
        close_fd(session_fd);
        return r;
}

/* Incoming sessions, each retrieved when it is first needed: closing one would finish it. */
static int incoming(const char *name) {
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

static int open_named(const struct error_case *c, const char *name) {
        int fd = incoming(name), r;
        libluo_bundle *bundle = NULL;

        r = TRY(libluo_bundle_open(OBJECT(fd), &bundle));
        libluo_bundle_free(bundle);
        return r;
}

RUN(bundle_open) {
        return open_named(c, "every-error-full");
}

RUN(bundle_open_nothing) {
        return TRY(libluo_bundle_open(OBJECT(incoming("every-error-full")), NULL));
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
                     : libluo_bundle_open_index(OBJECT(fd), &bundle);
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
        return TRY(libluo_bundle_open_index(OBJECT(have.file_fd), NULL));
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

        REQUIRE(libluo_bundle_open(session_fd, &bundle) == 0);
        return bundle;
}

static int take_entry(const struct error_case *c, size_t i, bool again) {
        int session_fd = fcntl(incoming("every-error-full"), F_DUPFD_CLOEXEC, 3), fd;
        libluo_bundle *bundle = open_full(session_fd);

        if (c->object == OUTGOING)
                REQUIRE(dup3(have.outgoing_fd, session_fd, O_CLOEXEC) == session_fd);
        else
                spoil(c, session_fd);

        fd = TRY(again ? libluo_bundle_take_again(bundle, i) : libluo_bundle_take(bundle, i));
        if (fd >= 0)
                close_fd(fd);
        libluo_bundle_free(bundle);
        if (c->object != CLOSED)
                close_fd(session_fd);
        return fd;
}

static int take_finished(bool again) {
        int fd;
        libluo_bundle *bundle = open_full(incoming("every-error-finished"));

        REQUIRE(libluo_bundle_finish(bundle) == 0);
        fd = TRY(again ? libluo_bundle_take_again(bundle, 0) : libluo_bundle_take(bundle, 0));
        libluo_bundle_free(bundle);
        return fd;
}

#define TAKE(name, i)                                                                                        \
        RUN(take_##name) {                                                                                   \
                return take_entry(c, i, false);                                                              \
        }                                                                                                    \
        RUN(again_##name) {                                                                                  \
                return take_entry(c, i, true);                                                               \
        }

TAKE(plain, ENTRY_PLAIN)
TAKE(read_only, ENTRY_READ_ONLY)
TAKE(lost, ENTRY_LOST)
TAKE(shared, ENTRY_SHARED_FILE)
TAKE(none, N_ENTRIES)

RUN(take_after_finish) {
        (void) c;
        return take_finished(false);
}

RUN(again_after_finish) {
        int r;
        libluo_bundle *bundle = NULL;

        /* The same session: finished by the case before, or here */
        (void) c;
        r = libluo_bundle_open(incoming("every-error-finished"), &bundle);
        libluo_bundle_free(bundle);
        return r == 0 ? take_finished(true) : r;
}

RUN(take_all) {
        libluo_bundle *bundle = open_full(incoming("every-error-full"));
        int fds[1], r = TRY(libluo_bundle_take_all(bundle, fds, 1));

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

RUN(drop_taken) {
        libluo_bundle *bundle = open_full(incoming("every-error-full"));
        int fd = libluo_bundle_take(bundle, ENTRY_PLAIN), r = TRY(libluo_bundle_drop(bundle, ENTRY_PLAIN));

        (void) c;
        close_fd(fd);
        libluo_bundle_free(bundle);
        return r;
}

RUN(drop_none) {
        libluo_bundle *bundle = open_full(incoming("every-error-full"));
        int r = TRY(libluo_bundle_drop(bundle, N_ENTRIES));

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

/* ------------------------------------------------------------------------------- preflight and the store ---- */

RUN(preflight) {
        libluo_preflight p;

        return TRY(libluo_fd_preflight(OBJECT(have.file_fd), &p, sizeof(p)));
}

RUN(preflight_nothing) {
        return TRY(libluo_fd_preflight(OBJECT(have.file_fd), NULL, 0));
}

/* A service manager that takes messages and does nothing; its socket is there as long as the case runs. */
static int start_manager(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "@libluo-every-error-%i", (int) getpid());
        memcpy(address.sun_path + 1, path + 1, strlen(path) - 1);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        REQUIRE(fd >= 0);
        REQUIRE(bind(fd, (struct sockaddr *) &address,
                        (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path))) == 0);
        REQUIRE(setenv("NOTIFY_SOCKET", path, 1) == 0);
        return fd;
}

enum manager { NO_MANAGER, MANAGER, VSOCK, NOBODY, NO_ROOM };

/* What is in the store, at the number where file descriptors are passed; a socket is no data */
enum { PASSED = 3 };

static libluo_store *open_store(int fd) {
        libluo_store *store = NULL;
        char pid[32];

        REQUIRE(dup2(fd, PASSED) == PASSED);
        (void) snprintf(pid, sizeof(pid), "%i", (int) getpid());
        REQUIRE(setenv("LISTEN_PID", pid, 1) == 0 && setenv("LISTEN_FDS", "1", 1) == 0 &&
                setenv("LISTEN_FDNAMES", "passed", 1) == 0);
        REQUIRE(libluo_store_open(0, &store) == 0);
        return store;
}

enum store_step {
        PUT,
        PUT_SAME,
        PUT_BAD_NAME,
        PUT_NOTHING,
        PUT_DATA,
        PUT_DATA_BAD_NAME,
        PUT_DATA_BAD_ADDRESS,
        GET,
        GET_NONE,
        GET_NULL,
        GET_DATA,
        GET_DATA_NONE,
        GET_DATA_NULL,
        REMOVE,
        REMOVE_NONE,
        REMOVE_NULL,
        BARRIER,
        BARRIER_NULL,
        NOTIFY,
        NOTIFY_NULL,
        SESSIONS,
        SESSIONS_NONE,
        SESSIONS_NULL,
};

static int run_store_step(libluo_store *store, enum store_step step) {
        int restored, next, fd;
        size_t size;
        void *data;

        switch (step) {
        case PUT:
                return libluo_store_put_fd(store, "name", have.other_fd, 0);
        case PUT_SAME: /* it is what was passed */
                return libluo_store_put_fd(store, "name", have.file_fd, 0);
        case PUT_BAD_NAME:
                return libluo_store_put_fd(store, "a:b", have.file_fd, 0);
        case PUT_NOTHING:
                return libluo_store_put_fd(store, "name", 12345, 0);
        case PUT_DATA:
                return libluo_store_put_data(store, "name", "data", 4);
        case PUT_DATA_BAD_NAME:
                return libluo_store_put_data(store, "", "data", 4);
        case PUT_DATA_BAD_ADDRESS:
                return libluo_store_put_data(store, "name", (void *) 16, 4);
        case GET:
        case GET_NONE:
        case GET_NULL:
                fd = libluo_store_get_fd(store, step == GET ? "passed" : step == GET_NONE ? "none" : NULL);
                if (fd >= 0)
                        close_fd(fd);
                return fd;
        case GET_DATA:
                return libluo_store_get_data(store, "passed", &data, &size);
        case GET_DATA_NONE:
                return libluo_store_get_data(store, "none", &data, &size);
        case GET_DATA_NULL:
                return libluo_store_get_data(store, "passed", NULL, &size);
        case REMOVE:
                return libluo_store_remove(store, "passed");
        case REMOVE_NONE:
                return libluo_store_remove(store, "none");
        case REMOVE_NULL:
                return libluo_store_remove(store, NULL);
        case BARRIER:
                return libluo_store_barrier(store, 0);
        case BARRIER_NULL:
                return libluo_store_barrier(NULL, 0);
        case NOTIFY:
                return libluo_notify("READY=1");
        case NOTIFY_NULL:
                return libluo_notify(NULL);
        case SESSIONS:
                return libluo_store_get_sessions(store, "passed", &restored, &next);
        case SESSIONS_NONE:
                return libluo_store_get_sessions(store, "none", &restored, &next);
        default:
                return libluo_store_get_sessions(store, "passed", NULL, NULL);
        }
}

static int use_store(const struct error_case *c, enum manager manager, enum store_step step, int passed_fd) {
        int manager_fd = -1, r;
        libluo_store *store;

        REQUIRE(setenv("FDSTORE", manager == NO_ROOM ? "1" : "16", 1) == 0);
        if (manager == MANAGER || manager == NO_ROOM)
                manager_fd = start_manager();
        else if (manager == NO_MANAGER)
                REQUIRE(unsetenv("NOTIFY_SOCKET") == 0);
        else
                REQUIRE(setenv("NOTIFY_SOCKET", manager == VSOCK ? "vsock:2:1" : "/nowhere/at/all", 1) == 0);

        store = open_store(passed_fd);
        if (c->object == CLOSED)
                (void) close(PASSED);

        r = TRY(run_store_step(store, step));

        if (c->object == CLOSED)
                REQUIRE(dup2(have.pipe_fd, PASSED) == PASSED);
        libluo_store_free(store);
        close_fd(manager_fd);
        /* Nothing else may come to be where file descriptors are passed */
        REQUIRE(dup2(have.pipe_fd, PASSED) == PASSED);
        return r;
}

#define STORE(name, manager, step, passed_fd)                                                                \
        RUN(store_##name) {                                                                                  \
                return use_store(c, manager, step, passed_fd);                                               \
        }

#define STORE_ALL(name, step)                                                                                \
        STORE(name, MANAGER, step, have.file_fd)                                                             \
        STORE(name##_alone, NO_MANAGER, step, have.file_fd)                                                  \
        STORE(name##_vsock, VSOCK, step, have.file_fd)                                                       \
        STORE(name##_nobody, NOBODY, step, have.file_fd)

STORE_ALL(put, PUT)
STORE_ALL(put_data, PUT_DATA)
STORE_ALL(remove, REMOVE)
STORE_ALL(barrier, BARRIER)
STORE_ALL(notify, NOTIFY)
STORE(put_full, NO_ROOM, PUT, have.file_fd)
STORE(put_data_full, NO_ROOM, PUT_DATA, have.file_fd)
STORE(put_same, MANAGER, PUT_SAME, have.file_fd)
STORE(put_bad_name, MANAGER, PUT_BAD_NAME, have.file_fd)
STORE(put_nothing, MANAGER, PUT_NOTHING, have.file_fd)
STORE(put_data_bad_name, MANAGER, PUT_DATA_BAD_NAME, have.file_fd)
STORE(put_data_bad_address, MANAGER, PUT_DATA_BAD_ADDRESS, have.file_fd)
STORE(get, MANAGER, GET, have.file_fd)
STORE(get_none, MANAGER, GET_NONE, have.file_fd)
STORE(get_null, MANAGER, GET_NULL, have.file_fd)
STORE(get_data, MANAGER, GET_DATA, have.file_fd)
STORE(get_data_none, MANAGER, GET_DATA_NONE, have.file_fd)
STORE(get_data_null, MANAGER, GET_DATA_NULL, have.file_fd)
STORE(get_data_pipe, MANAGER, GET_DATA, have.pipe_fd)
STORE(remove_none, MANAGER, REMOVE_NONE, have.file_fd)
STORE(remove_null, MANAGER, REMOVE_NULL, have.file_fd)
STORE(barrier_null, MANAGER, BARRIER_NULL, have.file_fd)
STORE(notify_null, MANAGER, NOTIFY_NULL, have.file_fd)
STORE(sessions, MANAGER, SESSIONS, have.outgoing_fd)
STORE(sessions_file, MANAGER, SESSIONS, have.file_fd)
STORE(sessions_none, MANAGER, SESSIONS_NONE, have.outgoing_fd)
STORE(sessions_null, MANAGER, SESSIONS_NULL, have.outgoing_fd)

RUN(store_open_environment) {
        libluo_store *store = NULL;
        char pid[32];
        int r;

        (void) snprintf(pid, sizeof(pid), "%i", (int) getpid());
        REQUIRE(setenv("LISTEN_PID", pid, 1) == 0 && setenv("LISTEN_FDS", "many", 1) == 0);
        r = TRY(libluo_store_open(0, &store));
        REQUIRE(unsetenv("LISTEN_PID") == 0);
        (void) c;
        return r;
}

RUN(store_open_flags) {
        libluo_store *store = NULL;

        (void) c;
        return TRY(libluo_store_open(UINT32_MAX, &store));
}

RUN(store_open) {
        libluo_store *store = NULL;

        (void) c;
        return TRY(libluo_store_open(0, &store));
}

/* ------------------------------------------------------------------------------------------------- the cases ---- */

#define CASE_OF(number_of_boot, of_function, of_error, how, ...)                                             \
        { .boot = number_of_boot,                                                                            \
                .function = #of_function,                                                                    \
                .error = of_error,                                                                           \
                .error_name = #of_error,                                                                     \
                .run = how,                                                                                  \
                __VA_ARGS__ },

#define IOCTL_FAILS(number, with) .call = IOCTL, .request = number, .call_error = with
#define FAILS(which, with) .call = which, .call_error = with
#define FCNTL_FAILS(command, with) .call = FCNTL, .request = command, .call_error = with

/* Before Linux 7.2 and without /proc, when the request gives EINVAL */
#define NO_PROC(number)                                                                                      \
        .call = IOCTL, .request = number, .call_error = EINVAL, .old_kernel = true, .proc_error = ENOENT

/* What every use of a session has in common */
#define SESSION_CASES(boot, function, how, number, wrong_direction)                                          \
        CASE_OF(boot, function, EBADF, how, .object = CLOSED)                                                \
        CASE_OF(boot, function, EBADFD, how, .object = wrong_direction)                                      \
        CASE_OF(boot, function, EMEDIUMTYPE, how, .object = OTHER_KIND)                                      \
        CASE_OF(boot, function, ENOMEM, how, IOCTL_FAILS(number, ENOMEM))                                    \
        CASE_OF(boot, function, ENOSYS, how, NO_PROC(number))                                                \
        CASE_OF(boot, function, EPROTO, how, IOCTL_FAILS(number, EXDEV))

#define PRESERVE_CASES(boot, function, how)                                                                  \
        SESSION_CASES(boot, function, how, KERNEL_LUO_PRESERVE_FD, INCOMING)                                 \
        CASE_OF(boot, function, EFBIG, how, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EFBIG))                      \
        CASE_OF(boot, function, ENOSPC, how, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, ENOSPC))

#define RETRIEVE_CASES(boot, function, how)                                                                  \
        SESSION_CASES(boot, function, how, KERNEL_LUO_RETRIEVE_FD, OUTGOING)                                 \
        CASE_OF(boot, function, EIO, how, IOCTL_FAILS(KERNEL_LUO_RETRIEVE_FD, EIO))                          \
        CASE_OF(boot, function, EMFILE, how, IOCTL_FAILS(KERNEL_LUO_RETRIEVE_FD, EMFILE))                    \
        CASE_OF(boot, function, ENFILE, how, IOCTL_FAILS(KERNEL_LUO_RETRIEVE_FD, ENFILE))                    \
        CASE_OF(boot, function, EOPNOTSUPP, how, IOCTL_FAILS(KERNEL_LUO_RETRIEVE_FD, EOPNOTSUPP))

#define NOTIFY_CASES(function, how)                                                                          \
        CASE_OF(0, function, ENOTCONN, how##_alone, .object = GOOD)                                          \
        CASE_OF(0, function, EAFNOSUPPORT, how##_vsock, .object = GOOD)                                      \
        CASE_OF(0, function, ECOMM, how##_nobody, .object = GOOD)                                            \
        CASE_OF(0, function, EMFILE, how, FAILS(SOCKET, EMFILE))                                             \
        CASE_OF(0, function, ENFILE, how, FAILS(SOCKET, ENFILE))                                             \
        CASE_OF(0, function, ENOMEM, how, FAILS(SENDMSG, ENOMEM))                                            \
        CASE_OF(0, function, EPROTO, how, FAILS(SOCKET, EXDEV))

#define DEVICE_CASES(function, how, number)                                                                  \
        CASE_OF(1, function, EBADF, how, .object = CLOSED)                                                   \
        CASE_OF(1, function, EMEDIUMTYPE, how, .object = OTHER_KIND)                                         \
        CASE_OF(1, function, EMFILE, how, IOCTL_FAILS(number, EMFILE))                                       \
        CASE_OF(1, function, ENFILE, how, IOCTL_FAILS(number, ENFILE))                                       \
        CASE_OF(1, function, ENOMEM, how, IOCTL_FAILS(number, ENOMEM))                                       \
        CASE_OF(1, function, EPROTO, how, IOCTL_FAILS(number, EXDEV))

static const struct error_case cases[] = { CASE_OF(0, libluo_device_open, EACCES, device_open,
        FAILS(OPEN, EPERM)) CASE_OF(0, libluo_device_open, EBUSY, device_open_busy, .object = GOOD) CASE_OF(0,
        libluo_device_open, EIO, device_open,
        FAILS(OPEN, EIO)) CASE_OF(0, libluo_device_open, EMFILE, device_open, FAILS(OPEN, EMFILE)) CASE_OF(0,
        libluo_device_open, ENFILE, device_open, FAILS(OPEN, ENFILE)) CASE_OF(0, libluo_device_open, ENODEV,
        device_open, FAILS(OPEN, ENOENT)) CASE_OF(0, libluo_device_open, ENOMEM, device_open,
        FAILS(OPEN, ENOMEM)) CASE_OF(0, libluo_device_open, EPROTO, device_open, FAILS(OPEN, ELOOP))

                DEVICE_CASES(libluo_device_probe, device_probe, KERNEL_LUO_CREATE_SESSION) CASE_OF(
                        1, libluo_device_probe, EBUSY, device_probe_busy, .object = GOOD) CASE_OF(1,
                        libluo_device_probe, EINVAL, device_probe_nothing,
                        .object = GOOD) CASE_OF(1, libluo_device_probe, ENOSPC, device_probe,
                        IOCTL_FAILS(KERNEL_LUO_CREATE_SESSION, ENOSPC))

                        DEVICE_CASES(
                                libluo_session_create, device_create_it, KERNEL_LUO_CREATE_SESSION) CASE_OF(1,
                                libluo_session_create, EEXIST, device_create_existing,
                                .object = GOOD) CASE_OF(1, libluo_session_create, EINVAL, device_create_empty,
                                .object = GOOD) CASE_OF(1, libluo_session_create, ENAMETOOLONG,
                                device_create_long, .object = GOOD) CASE_OF(1, libluo_session_create, ENOSPC,
                                device_create_it, IOCTL_FAILS(KERNEL_LUO_CREATE_SESSION, ENOSPC))

                                DEVICE_CASES(libluo_session_retrieve, device_retrieve_nothing,
                                        KERNEL_LUO_RETRIEVE_SESSION) CASE_OF(1, libluo_session_retrieve,
                                        EBUSY, device_retrieve_again, .object = GOOD) CASE_OF(1,
                                        libluo_session_retrieve, EINVAL, device_retrieve_empty,
                                        .object = GOOD) CASE_OF(1, libluo_session_retrieve, ENAMETOOLONG,
                                        device_retrieve_long, .object = GOOD) CASE_OF(1,
                                        libluo_session_retrieve, ENOENT, device_retrieve_nothing,
                                        .object = GOOD)

                                        PRESERVE_CASES(1, libluo_session_preserve, preserve) CASE_OF(1,
                                                libluo_session_preserve, EBUSY, preserve_again,
                                                .object = GOOD) CASE_OF(1, libluo_session_preserve, EEXIST,
                                                preserve_token_taken, .object = GOOD) CASE_OF(1,
                                                libluo_session_preserve, EOPNOTSUPP, preserve_pipe,
                                                .object = GOOD)

                                                RETRIEVE_CASES(
                                                        1, libluo_session_retrieve_fd, retrieve_fd) CASE_OF(1,
                                                        libluo_session_retrieve_fd, ENOENT,
                                                        retrieve_fd_unknown, .object = GOOD)

                                                        SESSION_CASES(1, libluo_session_finish, finish,
                                                                KERNEL_LUO_FINISH, OUTGOING) CASE_OF(1,
                                                                libluo_session_finish, EBUSY, finish,
                                                                IOCTL_FAILS(KERNEL_LUO_FINISH, EBUSY))

                                                                CASE_OF(0, libluo_session_get_name, EBADF,
                                                                        get_name, .object = CLOSED) CASE_OF(0,
                                                                        libluo_session_get_name, EINVAL,
                                                                        get_name_nothing,
                                                                        .object = GOOD) CASE_OF(0,
                                                                        libluo_session_get_name, EMEDIUMTYPE,
                                                                        get_name,
                                                                        .object = OTHER_KIND) CASE_OF(0,
                                                                        libluo_session_get_name, ENAMETOOLONG,
                                                                        get_name, .old_kernel = true,
                                                                        .proc_error = ENAMETOOLONG) CASE_OF(0,
                                                                        libluo_session_get_name, ENOMEM,
                                                                        get_name,
                                                                        IOCTL_FAILS(KERNEL_LUO_GET_NAME,
                                                                                ENOMEM)) CASE_OF(0,
                                                                        libluo_session_get_name, ENOSYS,
                                                                        get_name, .old_kernel = true,
                                                                        .proc_error = ENOENT) CASE_OF(0,
                                                                        libluo_session_get_name, EPROTO,
                                                                        get_name,
                                                                        IOCTL_FAILS(
                                                                                KERNEL_LUO_GET_NAME, EXDEV))

                                                                        CASE_OF(0, libluo_fd_is_session,
                                                                                EBADF, is_session,
                                                                                .object = CLOSED) CASE_OF(0,
                                                                                libluo_fd_is_session, ENOMEM,
                                                                                is_session,
                                                                                IOCTL_FAILS(
                                                                                        KERNEL_LUO_GET_NAME,
                                                                                        ENOMEM)) CASE_OF(0,
                                                                                libluo_fd_is_session, ENOSYS,
                                                                                is_session,
                                                                                .old_kernel = true,
                                                                                .proc_error =
                                                                                        ENOENT) CASE_OF(0,
                                                                                libluo_fd_is_session, EPROTO,
                                                                                is_session,
                                                                                IOCTL_FAILS(
                                                                                        KERNEL_LUO_GET_NAME,
                                                                                        EXDEV))

                                                                                CASE_OF(1, libluo_bundle_new,
                                                                                        EBADF, bundle_new,
                                                                                        .object =
                                                                                                CLOSED) CASE_OF(1,
                                                                                        libluo_bundle_new,
                                                                                        EBADFD,
                                                                                        bundle_new,
                                                                                        .object =
                                                                                                INCOMING) CASE_OF(1,
                                                                                        libluo_bundle_new,
                                                                                        EINVAL,
                                                                                        bundle_new_nothing,
                                                                                        .object =
                                                                                                GOOD) CASE_OF(1,
                                                                                        libluo_bundle_new,
                                                                                        EMEDIUMTYPE,
                                                                                        bundle_new,
                                                                                        .object =
                                                                                                OTHER_KIND) CASE_OF(1,
                                                                                        libluo_bundle_new,
                                                                                        ENOMEM,
                                                                                        bundle_new,
                                                                                        FAILS(ALLOCATE,
                                                                                                ENOMEM)) CASE_OF(1,
                                                                                        libluo_bundle_new,
                                                                                        ENOSYS,
                                                                                        bundle_new,
                                                                                        .old_kernel = true,
                                                                                        .proc_error =
                                                                                                ENOENT) CASE_OF(1,
                                                                                        libluo_bundle_new,
                                                                                        EPROTO,
                                                                                        bundle_new,
                                                                                        IOCTL_FAILS(
                                                                                                KERNEL_LUO_GET_NAME,
                                                                                                EXDEV))

                                                                                        PRESERVE_CASES(1,
                                                                                                libluo_bundle_add,
                                                                                                bundle_add) CASE_OF(1,
                                                                                                libluo_bundle_add,
                                                                                                E2BIG,
                                                                                                bundle_add_many,
                                                                                                .object =
                                                                                                        GOOD) CASE_OF(1,
                                                                                                libluo_bundle_add,
                                                                                                EBUSY,
                                                                                                bundle_add_preserved,
                                                                                                .object =
                                                                                                        GOOD) CASE_OF(1,
                                                                                                libluo_bundle_add,
                                                                                                EEXIST,
                                                                                                bundle_add,
                                                                                                IOCTL_FAILS(
                                                                                                        KERNEL_LUO_PRESERVE_FD,
                                                                                                        EEXIST))
                                                                                                CASE_OF(1,
                                                                                                        libluo_bundle_add,
                                                                                                        EINVAL,
                                                                                                        bundle_add_bad_name,
                                                                                                        .object =
                                                                                                                GOOD)
                                                                                                        CASE_OF(1,
                                                                                                                libluo_bundle_add,
                                                                                                                EOPNOTSUPP,
                                                                                                                bundle_add_pipe,
                                                                                                                .object =
                                                                                                                        GOOD)

                                                                                                                CASE_OF(1,
                                                                                                                        libluo_bundle_add_shared,
                                                                                                                        E2BIG,
                                                                                                                        shared_add_many,
                                                                                                                        .object =
                                                                                                                                GOOD)
                                                                                                                        CASE_OF(1,
                                                                                                                                libluo_bundle_add_shared,
                                                                                                                                EBADF,
                                                                                                                                shared_add_nothing,
                                                                                                                                .object =
                                                                                                                                        GOOD)
                                                                                                                                CASE_OF(1,
                                                                                                                                        libluo_bundle_add_shared,
                                                                                                                                        EBADFD, shared_add,
                                                                                                                                        .object =
                                                                                                                                                INCOMING)
                                                                                                                                        CASE_OF(1,
                                                                                                                                                libluo_bundle_add_shared,
                                                                                                                                                EBUSY,
                                                                                                                                                shared_add_preserved,
                                                                                                                                                .object = GOOD)
                                                                                                                                                CASE_OF(1,
                                                                                                                                                        libluo_bundle_add_shared,
                                                                                                                                                        EEXIST, shared_add, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EEXIST)) CASE_OF(1, libluo_bundle_add_shared, EFBIG, shared_add, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EFBIG)) CASE_OF(1, libluo_bundle_add_shared, EINVAL, shared_add_bad_name, .object = GOOD) CASE_OF(1, libluo_bundle_add_shared, ELOOP, shared_loop, .object = GOOD) CASE_OF(1, libluo_bundle_add_shared, EMEDIUMTYPE, shared_add, .object = OTHER_KIND) CASE_OF(1, libluo_bundle_add_shared, ENAMETOOLONG, shared_add, .old_kernel = true, .proc_error = ENAMETOOLONG)
                                                                                                                                                        CASE_OF(1, libluo_bundle_add_shared, ENOMEM, shared_add, FAILS(ALLOCATE, ENOMEM)) CASE_OF(1, libluo_bundle_add_shared, ENOSPC, shared_add, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, ENOSPC)) CASE_OF(1, libluo_bundle_add_shared, ENOSYS, shared_add, .old_kernel = true, .proc_error = ENOENT) CASE_OF(1, libluo_bundle_add_shared, EOPNOTSUPP, shared_add_pipe, .object = GOOD) CASE_OF(
                                                                                                                                                                1,
                                                                                                                                                                libluo_bundle_add_shared,
                                                                                                                                                                EPROTO,
                                                                                                                                                                shared_add,
                                                                                                                                                                IOCTL_FAILS(
                                                                                                                                                                        KERNEL_LUO_PRESERVE_FD, EXDEV))

                                                                                                                                                                PRESERVE_CASES(
                                                                                                                                                                        1, libluo_bundle_write, bundle_write) CASE_OF(1, libluo_bundle_write, E2BIG, bundle_write, FAILS(WRITE, EFBIG)) CASE_OF(1, libluo_bundle_write, EBUSY,
                                                                                                                                                                        bundle_write,
                                                                                                                                                                        IOCTL_FAILS(
                                                                                                                                                                                KERNEL_LUO_PRESERVE_FD,
                                                                                                                                                                                EBUSY))
                                                                                                                                                                        CASE_OF(1,
                                                                                                                                                                                libluo_bundle_write, EEXIST, bundle_write_taken, .object = GOOD) CASE_OF(1, libluo_bundle_write, EINVAL, bundle_write_twice,
                                                                                                                                                                                .object =
                                                                                                                                                                                        GOOD) CASE_OF(1, libluo_bundle_write, EMFILE, bundle_write, FAILS(MEMFD, EMFILE)) CASE_OF(1, libluo_bundle_write, ENFILE, bundle_write, FAILS(MEMFD, ENFILE))
                                                                                                                                                                                CASE_OF(1, libluo_bundle_write, EOPNOTSUPP, bundle_write, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EOPNOTSUPP))

                                                                                                                                                                                        RETRIEVE_CASES(
                                                                                                                                                                                                1,
                                                                                                                                                                                                libluo_bundle_open,
                                                                                                                                                                                                bundle_open)
                                                                                                                                                                                                CASE_OF(1,
                                                                                                                                                                                                        libluo_bundle_open,
                                                                                                                                                                                                        EBADMSG,
                                                                                                                                                                                                        bundle_open_junk, .object = GOOD) CASE_OF(1, libluo_bundle_open, EINVAL, bundle_open_nothing,
                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                GOOD)
                                                                                                                                                                                                        CASE_OF(1,
                                                                                                                                                                                                                libluo_bundle_open,
                                                                                                                                                                                                                ENOENT, bundle_open_none,
                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                        GOOD)
                                                                                                                                                                                                                CASE_OF(1, libluo_bundle_open, EPROTONOSUPPORT, bundle_open_future, .object = GOOD)

                                                                                                                                                                                                                        CASE_OF(1,
                                                                                                                                                                                                                                libluo_bundle_open_index,
                                                                                                                                                                                                                                EACCES, index_open_write_only, .object = GOOD) CASE_OF(1, libluo_bundle_open_index, EBADF, index_open, .object = CLOSED)
                                                                                                                                                                                                                                CASE_OF(1,
                                                                                                                                                                                                                                        libluo_bundle_open_index,
                                                                                                                                                                                                                                        EBADMSG,
                                                                                                                                                                                                                                        index_open_junk,
                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                GOOD)
                                                                                                                                                                                                                                        CASE_OF(1, libluo_bundle_open_index, EINVAL, index_open_nothing,
                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                        GOOD)
                                                                                                                                                                                                                                                CASE_OF(1,
                                                                                                                                                                                                                                                        libluo_bundle_open_index, ENOMEM, index_open, FAILS(ALLOCATE, ENOMEM)) CASE_OF(1, libluo_bundle_open_index,
                                                                                                                                                                                                                                                        EPROTONOSUPPORT,
                                                                                                                                                                                                                                                        index_open_future,
                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                GOOD)

                                                                                                                                                                                                                                                        CASE_OF(1,
                                                                                                                                                                                                                                                                libluo_index_features,
                                                                                                                                                                                                                                                                EACCES,
                                                                                                                                                                                                                                                                index_features_write_only,
                                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                                        GOOD) CASE_OF(1,
                                                                                                                                                                                                                                                                libluo_index_features,
                                                                                                                                                                                                                                                                EBADF, index_features, .object = CLOSED) CASE_OF(1, libluo_index_features, EBADMSG, index_features_junk, .object = GOOD) CASE_OF(1, libluo_index_features, ENOMEM, index_features, FAILS(ALLOCATE, ENOMEM))

                                                                                                                                                                                                                                                                RETRIEVE_CASES(1, libluo_bundle_take, take_plain)
                                                                                                                                                                                                                                                                        CASE_OF(1, libluo_bundle_take, EACCES, take_read_only, FAILS(FCHMOD, EPERM)) CASE_OF(1, libluo_bundle_take,
                                                                                                                                                                                                                                                                                EINVAL,
                                                                                                                                                                                                                                                                                take_none,
                                                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                                                        GOOD) CASE_OF(1, libluo_bundle_take, ENODATA, take_lost, .object = GOOD) CASE_OF(1,
                                                                                                                                                                                                                                                                                libluo_bundle_take,
                                                                                                                                                                                                                                                                                ENOENT,
                                                                                                                                                                                                                                                                                take_after_finish,
                                                                                                                                                                                                                                                                                .object = GOOD)
                                                                                                                                                                                                                                                                                CASE_OF(1,
                                                                                                                                                                                                                                                                                        libluo_bundle_take,
                                                                                                                                                                                                                                                                                        ENOLINK, take_shared,
                                                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                                                GOOD)

                                                                                                                                                                                                                                                                                        RETRIEVE_CASES(
                                                                                                                                                                                                                                                                                                1,
                                                                                                                                                                                                                                                                                                libluo_bundle_take_again, again_plain) CASE_OF(1, libluo_bundle_take_again, EACCES, again_read_only, .proc_error = EPERM, FAILS(FCHMOD, EPERM)) CASE_OF(1, libluo_bundle_take_again, EINVAL, again_none,
                                                                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                                                                        GOOD)
                                                                                                                                                                                                                                                                                                CASE_OF(1,
                                                                                                                                                                                                                                                                                                        libluo_bundle_take_again, ENODATA, again_lost, .object = GOOD) CASE_OF(1,
                                                                                                                                                                                                                                                                                                        libluo_bundle_take_again, ENOENT, again_after_finish,
                                                                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                                                                GOOD)
                                                                                                                                                                                                                                                                                                        CASE_OF(1,
                                                                                                                                                                                                                                                                                                                libluo_bundle_take_again,
                                                                                                                                                                                                                                                                                                                ENOLINK,
                                                                                                                                                                                                                                                                                                                again_shared,
                                                                                                                                                                                                                                                                                                                .object = GOOD)

                                                                                                                                                                                                                                                                                                                CASE_OF(1,
                                                                                                                                                                                                                                                                                                                        libluo_bundle_take_all, EINVAL, take_all,
                                                                                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                                                                                GOOD)
                                                                                                                                                                                                                                                                                                                        CASE_OF(1,
                                                                                                                                                                                                                                                                                                                                libluo_bundle_get, EINVAL, get_none,
                                                                                                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                                                                                                        GOOD) CASE_OF(1,
                                                                                                                                                                                                                                                                                                                                libluo_bundle_drop,
                                                                                                                                                                                                                                                                                                                                EBUSY,
                                                                                                                                                                                                                                                                                                                                drop_taken, .object = GOOD) CASE_OF(1,
                                                                                                                                                                                                                                                                                                                                libluo_bundle_drop,
                                                                                                                                                                                                                                                                                                                                EINVAL,
                                                                                                                                                                                                                                                                                                                                drop_none,
                                                                                                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                                                                                                        GOOD)

                                                                                                                                                                                                                                                                                                                                SESSION_CASES(
                                                                                                                                                                                                                                                                                                                                        1,
                                                                                                                                                                                                                                                                                                                                        libluo_bundle_finish,
                                                                                                                                                                                                                                                                                                                                        bundle_finish,
                                                                                                                                                                                                                                                                                                                                        KERNEL_LUO_FINISH, OUTGOING)
                                                                                                                                                                                                                                                                                                                                        CASE_OF(1,
                                                                                                                                                                                                                                                                                                                                                libluo_bundle_finish, EBUSY, bundle_finish,
                                                                                                                                                                                                                                                                                                                                                IOCTL_FAILS(
                                                                                                                                                                                                                                                                                                                                                        KERNEL_LUO_FINISH,
                                                                                                                                                                                                                                                                                                                                                        EBUSY))
                                                                                                                                                                                                                                                                                                                                                CASE_OF(1,
                                                                                                                                                                                                                                                                                                                                                        libluo_bundle_finish, EINVAL, bundle_finish_nothing,
                                                                                                                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                                                                                                                GOOD)

                                                                                                                                                                                                                                                                                                                                                        CASE_OF(1,
                                                                                                                                                                                                                                                                                                                                                                libluo_bundle_set_shared,
                                                                                                                                                                                                                                                                                                                                                                EBADMSG, set_shared_wrong, .object = GOOD)
                                                                                                                                                                                                                                                                                                                                                                CASE_OF(1,
                                                                                                                                                                                                                                                                                                                                                                        libluo_bundle_set_shared,
                                                                                                                                                                                                                                                                                                                                                                        EINVAL, set_shared_nothing, .object = GOOD)
                                                                                                                                                                                                                                                                                                                                                                        CASE_OF(1,
                                                                                                                                                                                                                                                                                                                                                                                libluo_bundle_set_shared, ELOOP, set_shared_self, .object = GOOD)

                                                                                                                                                                                                                                                                                                                                                                                CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                        libluo_fd_preflight,
                                                                                                                                                                                                                                                                                                                                                                                        EBADF, preflight, .object = CLOSED)
                                                                                                                                                                                                                                                                                                                                                                                        CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                libluo_fd_preflight,
                                                                                                                                                                                                                                                                                                                                                                                                EINVAL,
                                                                                                                                                                                                                                                                                                                                                                                                preflight_nothing, .object = GOOD)
                                                                                                                                                                                                                                                                                                                                                                                                CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                        libluo_fd_preflight, EMFILE, preflight, FAILS(OPEN, EMFILE))
                                                                                                                                                                                                                                                                                                                                                                                                        CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                libluo_fd_preflight,
                                                                                                                                                                                                                                                                                                                                                                                                                ENFILE,
                                                                                                                                                                                                                                                                                                                                                                                                                preflight,
                                                                                                                                                                                                                                                                                                                                                                                                                FAILS(OPEN,
                                                                                                                                                                                                                                                                                                                                                                                                                        ENFILE))
                                                                                                                                                                                                                                                                                                                                                                                                                CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_fd_preflight,
                                                                                                                                                                                                                                                                                                                                                                                                                        EPROTO,
                                                                                                                                                                                                                                                                                                                                                                                                                        preflight,
                                                                                                                                                                                                                                                                                                                                                                                                                        FAILS(FSTATFS,
                                                                                                                                                                                                                                                                                                                                                                                                                                EXDEV))

                                                                                                                                                                                                                                                                                                                                                                                                                        CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                libluo_store_put_fd,
                                                                                                                                                                                                                                                                                                                                                                                                                                EEXIST, store_put_same, .object = GOOD) NOTIFY_CASES(libluo_store_put_fd,
                                                                                                                                                                                                                                                                                                                                                                                                                                store_put)
                                                                                                                                                                                                                                                                                                                                                                                                                                CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_put_fd,
                                                                                                                                                                                                                                                                                                                                                                                                                                        EBADF,
                                                                                                                                                                                                                                                                                                                                                                                                                                        store_put_nothing,
                                                                                                                                                                                                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                GOOD)
                                                                                                                                                                                                                                                                                                                                                                                                                                        CASE_OF(0, libluo_store_put_fd,
                                                                                                                                                                                                                                                                                                                                                                                                                                                EINVAL, store_put_bad_name,
                                                                                                                                                                                                                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                        GOOD) CASE_OF(0, libluo_store_put_fd, ENOBUFS, store_put_full, .object = GOOD)

                                                                                                                                                                                                                                                                                                                                                                                                                                                NOTIFY_CASES(
                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_put_data,
                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_put_data) CASE_OF(0, libluo_store_put_data,
                                                                                                                                                                                                                                                                                                                                                                                                                                                        EFAULT,
                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_put_data_bad_address, .object = GOOD) CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_put_data,
                                                                                                                                                                                                                                                                                                                                                                                                                                                        EFBIG,
                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_put_data, FAILS(WRITE, EFBIG))
                                                                                                                                                                                                                                                                                                                                                                                                                                                        CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                libluo_store_put_data, EINVAL, store_put_data_bad_name,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                        GOOD) CASE_OF(0, libluo_store_put_data,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                ENOBUFS, store_put_data_full,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                .object = GOOD)

                                                                                                                                                                                                                                                                                                                                                                                                                                                                NOTIFY_CASES(libluo_store_remove,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_remove) CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_remove,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                        EINVAL,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_remove_null, .object = GOOD) CASE_OF(0, libluo_store_remove,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                        ENOENT,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_remove_none,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                GOOD)

                                                                                                                                                                                                                                                                                                                                                                                                                                                                        NOTIFY_CASES(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                libluo_store_barrier, store_barrier) CASE_OF(0, libluo_store_barrier, EINVAL, store_barrier_null, .object = GOOD) CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                libluo_store_barrier,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                ETIMEDOUT,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                store_barrier, .object = GOOD)

                                                                                                                                                                                                                                                                                                                                                                                                                                                                                NOTIFY_CASES(libluo_notify, store_notify) CASE_OF(0, libluo_notify, EINVAL, store_notify_null, .object = GOOD)

                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                libluo_store_get_fd,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                EBADF,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                store_get,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        CLOSED) CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                libluo_store_get_fd,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                EINVAL,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                store_get_null, .object = GOOD)
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_get_fd,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        EMFILE,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_get, FCNTL_FAILS(F_DUPFD_CLOEXEC, EMFILE)) CASE_OF(0, libluo_store_get_fd,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        ENOENT,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_get_none,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                GOOD) CASE_OF(0, libluo_store_get_fd, ENOMEM, store_get, FCNTL_FAILS(F_DUPFD_CLOEXEC, ENOMEM))

                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                libluo_store_get_data, EBADF, store_get_data, .object = CLOSED) CASE_OF(0, libluo_store_get_data, EINVAL,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                store_get_data_null,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        GOOD)
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_get_data, EISNAM, store_get_data_pipe, .object = GOOD)
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                libluo_store_get_data, ENOENT, store_get_data_none, .object = GOOD) CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                libluo_store_get_data,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                ENOMEM, store_get_data, FAILS(ALLOCATE, ENOMEM))

                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_get_sessions,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        EBADF,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_sessions, .object = CLOSED) CASE_OF(0, libluo_store_get_sessions, EINVAL, store_sessions_null,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                GOOD) CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_get_sessions,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        EMEDIUMTYPE,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_sessions_file, .object = GOOD) CASE_OF(0, libluo_store_get_sessions, EMFILE, store_sessions,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        FCNTL_FAILS(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                F_DUPFD_CLOEXEC,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                EMFILE)) CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_get_sessions,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        ENOENT,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_sessions_none,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                GOOD) CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_get_sessions,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        ENOMEM,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_sessions,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        IOCTL_FAILS(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                KERNEL_LUO_GET_NAME, ENOMEM)) CASE_OF(0, libluo_store_get_sessions, ENOSYS, store_sessions,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        .old_kernel =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                true,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        .proc_error =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                ENOENT) CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_get_sessions,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        EPROTO,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_sessions,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        IOCTL_FAILS(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                KERNEL_LUO_GET_NAME,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                EXDEV))

                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                libluo_store_open,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                EBADMSG,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                store_open_environment,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        GOOD)
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                CASE_OF(0,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        libluo_store_open,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        EINVAL,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        store_open_flags,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        .object =
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                GOOD) CASE_OF(0, libluo_store_open, ENOMEM, store_open,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        FAILS(ALLOCATE,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                ENOMEM)) };

static void leave_bundle(const char *name) {
        int session_fd = create(name), fd = fresh_file(), narrow = reopen(fd, O_RDONLY);
        libluo_bundle *bundle = NULL;

        REQUIRE(fchmod(fd, 0400) == 0);
        REQUIRE(libluo_bundle_new(session_fd, &bundle) == 0);
        REQUIRE(libluo_bundle_add(bundle, fresh_file(), "plain", 0) == 0);
        REQUIRE(libluo_bundle_add(bundle, narrow, "read-only", 0) == 0);
        REQUIRE(libluo_bundle_add(bundle, have.pipe_fd, "lost", 0) == -EOPNOTSUPP);
        if (strcmp(name, "every-error-full") == 0) {
                libluo_bundle *shared = NULL;

                REQUIRE(libluo_bundle_new(create("every-error-others"), &shared) == 0);
                REQUIRE(libluo_bundle_add_shared(bundle, fresh_file(), "shared", 0, shared) == 0);
                REQUIRE(libluo_bundle_write(shared) == 0);
                libluo_bundle_free(shared);
        }
        REQUIRE(libluo_bundle_write(bundle) == 0);
        libluo_bundle_free(bundle);
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
