/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What LUO does, case by case, over two kexecs: on the kernel with "luo-vm --tiny --kexecs 2 conformance", without one
 * with "luo-emulate --kexecs 2 -- conformance". Prints one TAP stream with the result of each case in it as a line of
 * the table that docs/conformance.md has.
 */

#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "conformance.h"

struct conformance_case {
        unsigned boot;
        const char *name;
        void (*run)(void);
        const char *expected;
        bool kernel_only;
};

#define CASE(number_of_boot, function, description, result)                                                  \
        { number_of_boot, description, function, result, false },
#define KERNEL_CASE(number_of_boot, function, description, result)                                           \
        { number_of_boot, description, function, result, true },
static const struct conformance_case cases[] = {
#include "cases.h"
};
#undef KERNEL_CASE
#undef CASE

#define LAST_BOOT 2

/* The result of the running case: what is at its end already, and what may yet be repeated */
static char observed[1024], last_part[256];
static size_t finished_length;
static unsigned repeated;

static struct rlimit fd_limit;

/* What is said several times in a row is written once, and how often. */
void observe(const char *format, ...) {
        char part[256];
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(part, sizeof(part), format, arguments);
        va_end(arguments);
        REQUIRE(n >= 0 && (size_t) n < sizeof(part));

        if (strcmp(part, last_part) == 0)
                repeated++;
        else {
                finished_length = strlen(observed);
                strcpy(last_part, part);
                repeated = 1;
        }

        n = snprintf(observed + finished_length, sizeof(observed) - finished_length,
                repeated > 1 ? "%s%s (%u times)" : "%s%s", finished_length > 0 ? ", " : "", part, repeated);
        REQUIRE(n >= 0 && (size_t) n < sizeof(observed) - finished_length);
}

const char *outcome(int result) {
        const char *name;

        if (result >= 0)
                return "ok";

        name = strerrorname_np(-result);
        return name ? name : "an unknown error";
}

int status_of(long returned) {
        return returned < 0 ? -errno : 0;
}

int open_device(int flags) {
        int fd = open("/dev/liveupdate", flags);

        return fd < 0 ? -errno : fd;
}

int call(int fd, unsigned long request, void *argument) {
        return status_of(ioctl(fd, request, argument));
}

static int call_device(unsigned long request, const char *name) {
        struct kernel_luo_session argument = { .size = sizeof(argument), .fd = -1 };
        int fd, result;

        fd = open_device(O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return fd;

        strncpy((char *) argument.name, name, sizeof(argument.name) - 1);
        result = call(fd, request, &argument);
        close(fd);
        return result < 0 ? result : argument.fd;
}

int create(const char *name) {
        return call_device(KERNEL_LUO_CREATE_SESSION, name);
}

int retrieve_session(const char *name) {
        return call_device(KERNEL_LUO_RETRIEVE_SESSION, name);
}

int preserve(int session_fd, int fd, uint64_t token) {
        struct kernel_luo_fd argument = { .size = sizeof(argument), .fd = fd, .token = token };

        return call(session_fd, KERNEL_LUO_PRESERVE_FD, &argument);
}

int retrieve(int session_fd, uint64_t token) {
        struct kernel_luo_fd argument = { .size = sizeof(argument), .fd = -1, .token = token };
        int result;

        result = call(session_fd, KERNEL_LUO_RETRIEVE_FD, &argument);
        return result < 0 ? result : argument.fd;
}

int finish(int session_fd) {
        struct kernel_luo_finish argument = { .size = sizeof(argument) };

        return call(session_fd, KERNEL_LUO_FINISH, &argument);
}

int get_name(int session_fd, char name[KERNEL_LUO_NAME_SIZE + 1]) {
        struct kernel_luo_name argument = { .size = sizeof(argument) };
        int result;

        result = call(session_fd, KERNEL_LUO_GET_NAME, &argument);
        if (result < 0)
                return result;

        memcpy(name, argument.name, KERNEL_LUO_NAME_SIZE);
        name[KERNEL_LUO_NAME_SIZE] = 0;
        return 0;
}

int memfd_with_flags(const char *content, unsigned flags) {
        int fd;

        fd = memfd_create("conformance", MFD_CLOEXEC | flags);
        REQUIRE(fd >= 0);
        REQUIRE(write(fd, content, strlen(content)) == (ssize_t) strlen(content));
        return fd;
}

int memfd(const char *content) {
        /* MFD_EXEC is the default unless vm.memfd_noexec says otherwise. */
        return memfd_with_flags(content, MFD_ALLOW_SEALING | MFD_EXEC);
}

int reopen(int fd, int flags) {
        char path[64];
        int other_fd;

        snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        other_fd = open(path, flags | O_CLOEXEC);
        return other_fd < 0 ? -errno : other_fd;
}

const char *tmpfs_folder(void) {
        static const char *const folders[] = { "/dev/shm", "/tmp", "/run" };
        struct statfs fs;

        for (size_t i = 0; i < ELEMENTS(folders); i++)
                if (statfs(folders[i], &fs) == 0 && fs.f_type == TMPFS_MAGIC &&
                        access(folders[i], W_OK | X_OK) == 0)
                        return folders[i];

        printf("Bail out! No tmpfs that can be written: /dev/shm, /tmp or /run has to be one\n");
        fflush(stdout);
        _Exit(99);
}

int tmpfs_file(char path[64]) {
        int fd;

        snprintf(path, 64, "%s/luo-conformance-XXXXXX", tmpfs_folder());
        fd = mkostemp(path, O_CLOEXEC);
        REQUIRE(fd >= 0);
        return fd;
}

bool has_cloexec(int fd) {
        int flags = fcntl(fd, F_GETFD);

        return flags >= 0 && (flags & FD_CLOEXEC);
}

const char *size_state(int fd) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return outcome(-errno);
        if (ftruncate(fd, st.st_size + 1) < 0)
                return errno == EPERM ? "frozen" : outcome(-errno);

        REQUIRE(ftruncate(fd, st.st_size) == 0);
        return "not frozen";
}

void observe_content(int fd) {
        char buffer[64];
        ssize_t n;

        n = pread(fd, buffer, sizeof(buffer) - 1, 0);
        if (n < 0)
                observe("reading %s", outcome(-errno));
        else {
                buffer[n] = 0;
                observe("\"%s\"", buffer);
        }
}

unsigned allocated_pages(int fd) {
        struct stat st;

        REQUIRE(fstat(fd, &st) == 0);
        return (unsigned) ((size_t) st.st_blocks * 512 / PAGE);
}

void leave_memfd(const char *session, const char *content) {
        int session_fd = create(session), fd = memfd(content);

        observe("%s", outcome(preserve(session_fd, fd, 1)));
        close(fd);
}

pid_t start_holder(void) {
        pid_t pid;

        fflush(stdout);
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0)
                for (;;)
                        pause();
        return pid;
}

void end_holder(pid_t pid) {
        REQUIRE(kill(pid, SIGKILL) == 0);
        REQUIRE(waitpid(pid, NULL, 0) == pid);
}

int in_child(int (*function)(void)) {
        int fds[2], result;
        pid_t pid;

        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        fflush(stdout);
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
                result = function();
                _exit(write(fds[1], &result, sizeof(result)) == (ssize_t) sizeof(result) ? 0 : 1);
        }
        REQUIRE(waitpid(pid, NULL, 0) == pid);
        REQUIRE(read(fds[0], &result, sizeof(result)) == (ssize_t) sizeof(result));
        close(fds[0]);
        close(fds[1]);
        return result;
}

void forbid_fds(void) {
        struct rlimit limit;
        int lowest_free;

        REQUIRE(getrlimit(RLIMIT_NOFILE, &fd_limit) == 0);
        lowest_free = dup(STDOUT_FILENO);
        REQUIRE(lowest_free >= 0);
        close(lowest_free);
        limit = fd_limit;
        limit.rlim_cur = (rlim_t) lowest_free;
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

void allow_fds(void) {
        REQUIRE(setrlimit(RLIMIT_NOFILE, &fd_limit) == 0);
}

int main(void) {
        const char *text = getenv("LUO_BOOT");
        unsigned long boot = text ? strtoul(text, NULL, 10) : 0;
        int fd, any_failed = 0;

        REQUIRE(boot <= LAST_BOOT);
        fd = open_device(O_RDWR | O_CLOEXEC);
        if (fd < 0) {
                printf("Bail out! Cannot open /dev/liveupdate: %s. This is to be run by luo-vm or luo-emulate.\n",
                        outcome(fd));
                return 99;
        }
        close(fd);

        if (boot == 0)
                printf("1..%zu\n", ELEMENTS(cases));
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                if (cases[i].boot != boot)
                        continue;

                if (cases[i].kernel_only && getenv("LUO_EMULATE")) {
                        printf("ok %zu - %s # SKIP of the kernel alone\n", i + 1, cases[i].name);
                        continue;
                }

                observed[0] = last_part[0] = 0;
                test_failed = 0;
                cases[i].run();
                printf("# table: | %zu | %u | %s | %s |\n", i + 1, cases[i].boot, cases[i].name, observed);
                CHECK_STRING(observed, cases[i].expected);
                printf("%sok %zu - %s\n", test_failed ? "not " : "", i + 1, cases[i].name);
                fflush(stdout);
                any_failed |= test_failed;
        }

        /* Sessions live as long as a process has them open: this one has to be there at the kexec. */
        if (boot < LAST_BOOT)
                start_holder();
        return any_failed;
}
