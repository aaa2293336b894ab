/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How libluo turns what the kernel says into its closed set of errors. The linker puts the functions below in the
 * place of open(2), ioctl(2) and readlink(2): each test says what the kernel answers.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/resource.h>

#include "dead-file.h"
#include "internal.h"
#include "kernel-abi.h"
#include "test.h"

/* What the pretended kernel answers: a negative errno, or a file descriptor. */
static struct {
        int open_result;
        unsigned n_open, n_busy; /* calls, and how many of them say EBUSY first */
        int result;              /* of the request under test */
        unsigned long request;
        bool is_session, is_outgoing, knows_get_name;
} kernel;

static bool real_open;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
ssize_t __wrap_readlink(const char *path, char *ret, size_t size);

/* What the C library makes of it with 64-bit file offsets */
int __wrap_open64(const char *path, int flags, ...) __attribute__((alias("__wrap_open")));

static int answer(int result) {
        if (result < 0) {
                errno = -result;
                return -1;
        }
        return 0;
}

int __wrap_open(const char *path, int flags, ...) {
        if (real_open)
                return __real_open(path, flags);

        CHECK_STRING(path, "/dev/liveupdate");
        CHECK(flags & O_CLOEXEC);

        if (kernel.n_open++ < kernel.n_busy) {
                errno = EBUSY;
                return -1;
        }
        if (kernel.open_result < 0) {
                errno = -kernel.open_result;
                return -1;
        }
        return kernel.open_result;
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
        void *argument;
        va_list ap;

        (void) fd;
        va_start(ap, request);
        argument = va_arg(ap, void *);
        va_end(ap);

        CHECK(*(uint32_t *) argument >= 8);

        if (request == KERNEL_LUO_GET_NAME && kernel.request != KERNEL_LUO_GET_NAME) {
                if (!kernel.is_session)
                        return answer(-ENOTTY);
                if (!kernel.knows_get_name)
                        return answer(-EINVAL);
                memcpy(((struct kernel_luo_name *) argument)->name, "name", 5);
                return 0;
        }
        if (request == KERNEL_LUO_PRESERVE_FD && ((struct kernel_luo_fd *) argument)->fd < 0)
                return answer(kernel.is_outgoing ? -EBADF : -EINVAL);

        CHECK_EQUAL(request, kernel.request);
        if (kernel.result >= 0 &&
                (request == KERNEL_LUO_CREATE_SESSION || request == KERNEL_LUO_RETRIEVE_SESSION ||
                        request == KERNEL_LUO_RETRIEVE_FD))
                ((struct kernel_luo_session *) argument)->fd = kernel.result;
        return answer(kernel.result);
}

ssize_t __wrap_readlink(const char *path, char *ret, size_t size) {
        const char *link = kernel.is_session ? "anon_inode:[luo_session] name" : "/a/file";

        CHECK(strncmp(path, "/proc/self/fd/", strlen("/proc/self/fd/")) == 0);
        REQUIRE(strlen(link) <= size);
        memcpy(ret, link, strlen(link));
        return (ssize_t) strlen(link);
}

static int open_device(int result, unsigned n_busy, uint64_t timeout) {
        memset(&kernel, 0, sizeof(kernel));
        kernel.open_result = result;
        kernel.n_busy = n_busy;
        return libluo_device_open(timeout);
}

static void test_device_open(void) {
        CHECK_EQUAL(open_device(77, 0, 0), 77);
        CHECK_EQUAL(open_device(-ENOENT, 0, 0), -ENODEV);
        CHECK_EQUAL(open_device(-ENXIO, 0, 0), -ENODEV);
        CHECK_EQUAL(open_device(-ENODEV, 0, 0), -ENODEV);
        CHECK_EQUAL(open_device(-EACCES, 0, 0), -EACCES);
        CHECK_EQUAL(open_device(-EPERM, 0, 0), -EACCES);
        CHECK_EQUAL(open_device(-EIO, 0, 0), -EIO);
        CHECK_EQUAL(open_device(-EMFILE, 0, 0), -EMFILE);
        CHECK_EQUAL(open_device(-ENFILE, 0, 0), -ENFILE);
        CHECK_EQUAL(open_device(-ENOMEM, 0, 0), -ENOMEM);
        CHECK_EQUAL(open_device(-ELOOP, 0, 0), -EPROTO);
}

static void test_device_busy(void) {
        CHECK_EQUAL(open_device(77, 1, 0), -EBUSY);
        CHECK_EQUAL(kernel.n_open, 1); /* no waiting unless asked for */
        CHECK_EQUAL(open_device(77, 3, 10000000), 77);
        CHECK_EQUAL(kernel.n_open, 4);
        CHECK_EQUAL(open_device(77, 1000000, 20000), -EBUSY);
        CHECK(kernel.n_open > 2 && kernel.n_open < 30);
}

static void set_session(unsigned long request, int result, bool is_outgoing) {
        memset(&kernel, 0, sizeof(kernel));
        kernel.request = request;
        kernel.result = result;
        kernel.is_session = true;
        kernel.is_outgoing = is_outgoing;
        kernel.knows_get_name = true;
}

static int create(int result, const char *name) {
        set_session(KERNEL_LUO_CREATE_SESSION, result, true);
        kernel.is_session = false; /* it is the device */
        return libluo_session_create(5, name);
}

static int retrieve(int result, const char *name) {
        set_session(KERNEL_LUO_RETRIEVE_SESSION, result, true);
        kernel.is_session = false;
        return libluo_session_retrieve(5, name);
}

static void test_session_names(void) {
        char name[66];

        memset(name, 'n', sizeof(name));
        name[63] = 0;
        CHECK_EQUAL(libluo_session_name_is_valid(name), 1);
        CHECK_EQUAL(create(9, name), 9);
        CHECK_EQUAL(retrieve(9, name), 9);

        name[63] = 'n';
        name[64] = 0;
        CHECK_EQUAL(libluo_session_name_is_valid(name), 0);
        CHECK_EQUAL(create(9, name), -ENAMETOOLONG);
        CHECK_EQUAL(retrieve(9, name), -ENAMETOOLONG);

        CHECK_EQUAL(libluo_session_name_is_valid(""), 0);
        CHECK_EQUAL(libluo_session_name_is_valid(NULL), 0);
        CHECK_EQUAL(create(9, ""), -EINVAL);
        CHECK_EQUAL(create(9, NULL), -EINVAL);
        CHECK_EQUAL(retrieve(9, ""), -EINVAL);
        CHECK_EQUAL(retrieve(9, NULL), -EINVAL);
}

static void test_create(void) {
        CHECK_EQUAL(create(-EEXIST, "n"), -EEXIST);
        CHECK_EQUAL(create(-ENOTTY, "n"), -EMEDIUMTYPE);
        CHECK_EQUAL(create(-ENOSPC, "n"), -ENOSPC);
        CHECK_EQUAL(create(-EMFILE, "n"), -EMFILE);
        CHECK_EQUAL(create(-EBADF, "n"), -EBADF);
        CHECK_EQUAL(create(-ENOMEM, "n"), -ENOMEM);
        CHECK_EQUAL(
                create(-EINVAL, "n"), -EMEDIUMTYPE); /* what is neither device nor session may say so, too */
        CHECK_EQUAL(create(-EXDEV, "n"), -EPROTO);
        CHECK_EQUAL(create(-EFAULT, "n"), -EPROTO); /* no address in it is the caller's */
}

static void test_retrieve(void) {
        CHECK_EQUAL(retrieve(-ENOENT, "n"), -ENOENT);
        CHECK_EQUAL(retrieve(-EINVAL, "n"), -EBUSY);
        CHECK_EQUAL(retrieve(-ENOTTY, "n"), -EMEDIUMTYPE);
        CHECK_EQUAL(retrieve(-ENFILE, "n"), -ENFILE);
        CHECK_EQUAL(retrieve(-EEXIST, "n"), -EPROTO);
}

static void test_not_the_device(void) {
        set_session(KERNEL_LUO_CREATE_SESSION, -EINVAL, true);
        CHECK_EQUAL(libluo_session_create(5, "n"), -EMEDIUMTYPE);
        set_session(KERNEL_LUO_RETRIEVE_SESSION, -EINVAL, true);
        CHECK_EQUAL(libluo_session_retrieve(5, "n"), -EMEDIUMTYPE);
}

static int preserve(int result, bool is_outgoing) {
        set_session(KERNEL_LUO_PRESERVE_FD, result, is_outgoing);
        return libluo_session_preserve(5, 6, 7);
}

static void test_preserve(void) {
        CHECK_EQUAL(preserve(0, true), 0);
        CHECK_EQUAL(preserve(-ENOENT, true), -EOPNOTSUPP);
        CHECK_EQUAL(preserve(-EOPNOTSUPP, true), -EOPNOTSUPP);
        CHECK_EQUAL(preserve(-EINVAL, true), -EOPNOTSUPP);
        CHECK_EQUAL(preserve(-EINVAL, false), -EBADFD);
        CHECK_EQUAL(preserve(-EBUSY, true), -EBUSY);
        CHECK_EQUAL(preserve(-EEXIST, true), -EEXIST);
        CHECK_EQUAL(preserve(-EFBIG, true), -EFBIG);
        CHECK_EQUAL(preserve(-ENOSPC, true), -ENOSPC);
        CHECK_EQUAL(preserve(-EBADF, true), -EBADF);
        CHECK_EQUAL(preserve(-ETXTBSY, true), -EPROTO);
        CHECK_EQUAL(libluo_session_preserve(5, -1, 7), -EBADF);

        set_session(KERNEL_LUO_PRESERVE_FD, -ENOTTY, true);
        kernel.is_session = false;
        CHECK_EQUAL(libluo_session_preserve(5, 6, 7), -EMEDIUMTYPE);
}

static int retrieve_fd(int result, bool is_outgoing) {
        set_session(KERNEL_LUO_RETRIEVE_FD, result, is_outgoing);
        return libluo_session_retrieve_fd(5, 7);
}

static void test_retrieve_fd(void) {
        CHECK_EQUAL(retrieve_fd(8, false), 8);
        CHECK_EQUAL(retrieve_fd(-ENOENT, false), -ENOENT);
        CHECK_EQUAL(retrieve_fd(-EINVAL, false), -EIO);
        CHECK_EQUAL(retrieve_fd(-EINVAL, true), -EBADFD);
        CHECK_EQUAL(retrieve_fd(-ENOMEM, false), -ENOMEM);
        CHECK_EQUAL(retrieve_fd(-EMFILE, false), -EMFILE);
        CHECK_EQUAL(retrieve_fd(-EOPNOTSUPP, false), -EOPNOTSUPP);
        CHECK_EQUAL(retrieve_fd(-ENOSPC, false), -ENOMEM); /* vm.overcommit_memory=2 */
        CHECK_EQUAL(retrieve_fd(-EIO, false), -EIO);
        CHECK_EQUAL(retrieve_fd(-ELOOP, false), -EPROTO);
}

static int finish(int result, bool is_outgoing) {
        set_session(KERNEL_LUO_FINISH, result, is_outgoing);
        return libluo_session_finish(5);
}

static void test_finish(void) {
        CHECK_EQUAL(finish(0, false), 0);
        CHECK_EQUAL(finish(-EBUSY, false), -EBUSY);
        CHECK_EQUAL(finish(-EINVAL, true), -EBADFD);
        CHECK_EQUAL(finish(-EINVAL, false), -EPROTO);
        CHECK_EQUAL(finish(-EBADF, false), -EBADF);
        CHECK_EQUAL(finish(-ENOMEM, false), -ENOMEM);
        CHECK_EQUAL(finish(-EFAULT, false), -EPROTO);

        set_session(KERNEL_LUO_FINISH, -ENOTTY, false);
        kernel.is_session = false;
        CHECK_EQUAL(libluo_session_finish(5), -EMEDIUMTYPE);
}

static void test_get_name(void) {
        char name[LIBLUO_SESSION_NAME_MAX + 1] = "untouched";

        set_session(0, 0, true);
        CHECK_EQUAL(libluo_session_get_name(5, name), 0);
        CHECK_STRING(name, "name");
        CHECK_EQUAL(libluo_session_get_name(5, NULL), -EINVAL);
        CHECK_EQUAL(libluo_fd_is_session(5), 1);

        /* Before 7.2 the link tells */
        kernel.knows_get_name = false;
        memcpy(name, "untouched", 10);
        CHECK_EQUAL(libluo_session_get_name(5, name), 0);
        CHECK_STRING(name, "name");
        CHECK_EQUAL(libluo_fd_is_session(5), 1);
        memcpy(name, "untouched", 10);

        kernel.is_session = false;
        CHECK_EQUAL(libluo_session_get_name(5, name), -EMEDIUMTYPE);
        CHECK_EQUAL(libluo_fd_is_session(5), 0);
        CHECK_STRING(name, "untouched");
}

/* References from bundle to bundle are one deep, whichever of the two is made first. */
static void test_shared_of_shared(void) {
        libluo_bundle_writer *a = NULL, *b = NULL, *c = NULL;
        int fd;

        fd = memfd_create("test", MFD_CLOEXEC);
        REQUIRE(fd >= 0);

        set_session(KERNEL_LUO_PRESERVE_FD, 0, true);
        REQUIRE(libluo_bundle_writer_new(5, 0, &a) >= 0);
        REQUIRE(libluo_bundle_writer_new(5, 0, &b) >= 0);
        REQUIRE(libluo_bundle_writer_new(5, 0, &c) >= 0);

        CHECK_EQUAL(libluo_bundle_writer_add_shared(a, fd, "a", 0, a), -ELOOP);
        CHECK_EQUAL(libluo_bundle_writer_add_shared(a, fd, "a", 0, b), 0);
        CHECK_EQUAL(libluo_bundle_writer_add_shared(c, fd, "c", 0, a), -ELOOP); /* refers to b */
        CHECK_EQUAL(libluo_bundle_writer_add_shared(b, fd, "b", 0, c), -ELOOP); /* a refers to it */
        CHECK_EQUAL(libluo_bundle_writer_add_shared(a, fd, "a", 0, c),
                -EINVAL); /* not the one that a refers to */
        CHECK_EQUAL(libluo_bundle_writer_count(a), 1);
        CHECK_EQUAL(libluo_bundle_writer_count(b), 1);
        CHECK_EQUAL(libluo_bundle_writer_count(c), 0);

        libluo_bundle_writer_free(a);
        libluo_bundle_writer_free(b);
        libluo_bundle_writer_free(c);
        close_fd(fd);
}

/* Nothing is asked of it: it is given to the kernel as it is. */
static void test_dead_file(void) {
        libluo_bundle_writer *writer = NULL;
        pid_t server;
        int fd;

        memset(&kernel, 0, sizeof(kernel));
        set_session(KERNEL_LUO_PRESERVE_FD, -ENOENT, true); /* no handler takes it */
        REQUIRE(libluo_bundle_writer_new(5, 0, &writer) >= 0);

        real_open = true;
        fd = open_dead_file(&server);
        real_open = false;
        if (fd >= 0) {
                CHECK_EQUAL(libluo_bundle_writer_add(writer, fd, "dead", 0), -EOPNOTSUPP);
                CHECK_EQUAL(libluo_bundle_writer_count(writer), 1);
                end_dead_file(fd, server);
        }
        libluo_bundle_writer_free(writer);
}

/* The store, in a process that no service manager started. */
static void test_store(void) {
        struct rlimit before, none;
        libluo_store *store = NULL;
        void *data = NULL;
        size_t size;

        (void) unsetenv("LISTEN_PID");
        (void) unsetenv("NOTIFY_SOCKET");
        (void) setenv("FDSTORE", "16", 1);
        REQUIRE(libluo_store_open(0, &store) >= 0);

        CHECK_EQUAL(libluo_store_put_data(store, "state", "text", 4, 0), -ENOTCONN);
        CHECK_EQUAL(libluo_store_put_data(store, "state", (const void *) 8, 4, 0), -EFAULT);
        CHECK_EQUAL(libluo_store_get_data(store, "state", 0, &data, &size), -ENOENT);

        /* Also a limit that leaves no room for any file descriptor of a store */
        (void) setenv("NOTIFY_SOCKET", "/nowhere", 1);
        REQUIRE(getrlimit(RLIMIT_NOFILE, &before) >= 0);
        none = (struct rlimit) { .rlim_cur = 3, .rlim_max = before.rlim_max };
        REQUIRE(setrlimit(RLIMIT_NOFILE, &none) >= 0);
        CHECK_EQUAL(libluo_store_put_fd(store, "state", 1, 0), -EMFILE);
        CHECK_EQUAL(libluo_store_put_data(store, "state", "text", 4, 0), -EMFILE);
        REQUIRE(setrlimit(RLIMIT_NOFILE, &before) >= 0);

        (void) setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
        CHECK_EQUAL(libluo_notify("READY=1"), -EAFNOSUPPORT);
        (void) unsetenv("NOTIFY_SOCKET");

        libluo_store_free(store);
}

/* Every error has a sentence of its own; what is not an error of this library has none. */
static void test_strerror(void) {
        /* An errno alone does not say which of several reasons holds, so that none is named then */
        static const char *const lists[] = { " or ", " and/or ", " perhaps ", " may be " };
        static const int errors[] = { E2BIG, EACCES, EAFNOSUPPORT, EAGAIN, EBADF, EBADFD, EBADMSG, EBADR,
                EBUSY, ECOMM, EEXIST, EFAULT, EFBIG, EINVAL, EIO, EISNAM, ELOOP, EMEDIUMTYPE, EMFILE,
                ENAMETOOLONG, ENOBUFS, ENODATA, ENODEV, ENOENT, ENOLINK, ENOMEM, ENOSPC, ENOSYS, ENOTCONN,
                EOPNOTSUPP, EOVERFLOW, EPERM, EPROTO, EPROTONOSUPPORT, ETIMEDOUT };

        for (int i = 0; i < 4096; i++)
                for (size_t j = 0; j < ELEMENTS(lists); j++)
                        CHECK(!strstr(libluo_strerror(i), lists[j]));
        for (size_t i = 0; i < ELEMENTS(errors); i++) {
                CHECK(strcmp(libluo_strerror(-errors[i]), libluo_strerror(EXDEV)) != 0);
                CHECK(libluo_strerror(errors[i]) == libluo_strerror(-errors[i]));
                for (size_t j = 0; j < i; j++)
                        CHECK(strcmp(libluo_strerror(errors[i]), libluo_strerror(errors[j])) != 0);
        }
        /* Nor is what is true of one of them, though of most */
        CHECK(!strstr(libluo_strerror(ENOBUFS), "FileDescriptorStoreMax="));           /* or NotifyAccess= */
        CHECK(!strstr(libluo_strerror(EISNAM), "read"));                               /* or sealed */
        CHECK(strcmp(libluo_strerror(EBADF), "the file descriptor is not open") != 0); /* or O_PATH */
        CHECK(!strstr(libluo_strerror(ECOMM), "socket does not take"));                /* or nobody replies */
        CHECK(strcmp(libluo_strerror(ENOMEM), "out of memory") != 0); /* or in a table of the kernel's */
        CHECK(!strstr(libluo_strerror(EOPNOTSUPP), "preserve"));      /* or retrieve */

        CHECK_STRING(libluo_strerror(-EXDEV), "unknown error");
        CHECK_STRING(libluo_strerror(INT_MIN), "unknown error");
        CHECK_STRING(libluo_strerror(0), "success");
}

static const struct test_case cases[] = {
        { "opening the device", test_device_open },
        { "waiting for the device", test_device_busy },
        { "session names", test_session_names },
        { "creating a session", test_create },
        { "retrieving a session", test_retrieve },
        { "a session in the place of the device", test_not_the_device },
        { "preserving", test_preserve },
        { "retrieving an fd", test_retrieve_fd },
        { "finishing", test_finish },
        { "reading a session's name", test_get_name },
        { "bundles that are shared refer to no other", test_shared_of_shared },
        { "a file on a server that does not answer", test_dead_file },
        { "a store without service manager", test_store },
        { "error texts", test_strerror },
};

TEST_MAIN(cases)
