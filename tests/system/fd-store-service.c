/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The service that the system tests run many times over: keeps file descriptors in its fd store, and after each kexec
 * checks what it got back. What it found goes to /run/fd-store-report/UNIT: "verified N fds", or what is wrong.
 *
 *   fd-store-service UNIT plain COUNT   COUNT memfds with unique names; order and content are checked
 *   fd-store-service UNIT same COUNT    the same with one name for all
 *   fd-store-service UNIT mixed         an eventfd, which LUO refuses, between two memfds
 *   fd-store-service UNIT rights        read-only, append-only, offset, mode and owner
 *   fd-store-service UNIT preflight     a memfd, a sealed one with holes, and a socket, which LUO refuses
 *   fd-store-service UNIT shared 1      a file that shared 0 stores, too, which reads what this writes into it
 *   fd-store-service UNIT session       a memfd in the session of LUOSession=s1, over one kexec
 *   fd-store-service UNIT hijack        sessions with names that belong to systemd
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <systemd/sd-daemon.h>

#include <libluo.h>

static const char *unit;
static int boot;
static int n_passed_fds;
static char **passed_names;

static void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void report(const char *format, ...) {
        char path[400];
        va_list ap;
        FILE *f;

        (void) mkdir("/run/fd-store-report", 0755);
        (void) snprintf(path, sizeof(path), "/run/fd-store-report/%s", unit);
        f = fopen(path, "ae");
        if (!f)
                return;

        va_start(ap, format);
        (void) vfprintf(f, format, ap);
        va_end(ap);
        (void) fputc('\n', f);
        (void) fclose(f);
}

#define WRONG(...)                                                                                           \
        do {                                                                                                 \
                report("wrong: " __VA_ARGS__);                                                               \
                return;                                                                                      \
        } while (0)

static int passed_fd(const char *name) {
        for (int i = 0; i < n_passed_fds; i++)
                if (strcmp(passed_names[i], name) == 0)
                        return SD_LISTEN_FDS_START + i;

        return -1;
}

/* What fd i of this unit holds after the service ran in a boot. */
static size_t content(char *buffer, size_t size, int i, int of_boot) {
        return (size_t) snprintf(buffer, size, "%s fd %i boot %i", unit, i, of_boot);
}

static bool write_content(int fd, int i) {
        char buffer[512];
        size_t n = content(buffer, sizeof(buffer), i, boot);

        return ftruncate(fd, 0) >= 0 && pwrite(fd, buffer, n, 0) == (ssize_t) n;
}

static bool has_content(int fd, int i, int of_boot) {
        char expected[512], found[512];
        size_t n = content(expected, sizeof(expected), i, of_boot);
        struct stat st;

        return fstat(fd, &st) >= 0 && (size_t) st.st_size == n &&
                pread(fd, found, sizeof(found), 0) == (ssize_t) n && memcmp(expected, found, n) == 0;
}

static int new_memfd(int i) {
        int fd;

        fd = memfd_create("test", MFD_CLOEXEC);
        if (fd >= 0 && !write_content(fd, i)) {
                (void) close(fd);
                return -1;
        }

        return fd;
}

static bool store(int fd, const char *name) {
        char message[400];

        (void) snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s", name);
        return fd >= 0 && sd_pid_notify_with_fds(0, 0, message, &fd, 1) > 0;
}

static void fd_name(char name[32], int i, bool same) {
        if (same)
                (void) snprintf(name, 32, "same");
        else
                (void) snprintf(name, 32, "fd-%06i", i);
}

static void run_many(int count, bool same) {
        char name[32];

        if (boot == 0)
                for (int i = 0; i < count; i++) {
                        int fd = new_memfd(i);

                        fd_name(name, i, same);
                        if (!store(fd, name))
                                WRONG("cannot store fd %i", i);
                        (void) close(fd);

                        /* The receive queue of the manager has its limits */
                        if (i % 64 == 63 && sd_notify_barrier(0, UINT64_C(60000000)) <= 0)
                                WRONG("no answer from the manager");
                }
        else {
                if (n_passed_fds != count)
                        WRONG("got %i fds, not %i", n_passed_fds, count);

                /* The newest comes first, as after any restart of the service */
                for (int p = 0; p < count; p++) {
                        int i = count - 1 - p, fd = SD_LISTEN_FDS_START + p;

                        fd_name(name, i, same);
                        if (strcmp(passed_names[p], name) != 0)
                                WRONG("fd %i is named %s, not %s", p, passed_names[p], name);
                        if (!has_content(fd, i, boot - 1))
                                WRONG("fd %s at %i has another content", name, p);
                        if (!write_content(fd, i))
                                WRONG("fd %s cannot be written", name);
                }
        }

        report("verified %i fds", count);
}

static void run_mixed(void) {
        if (boot == 0) {
                if (!store(new_memfd(0), "before") || !store(eventfd(0, EFD_CLOEXEC), "an eventfd") ||
                        !store(new_memfd(1), "after"))
                        WRONG("cannot store");
        } else {
                if (n_passed_fds != 2)
                        WRONG("got %i fds, not 2", n_passed_fds);
                if (!has_content(passed_fd("before"), 0, boot - 1) ||
                        !has_content(passed_fd("after"), 1, boot - 1))
                        WRONG("another content");
                if (!write_content(passed_fd("before"), 0) || !write_content(passed_fd("after"), 1))
                        WRONG("cannot write");
        }

        report("verified 2 fds");
}

static void run_rights(void) {
        struct stat st;
        char path[64];
        int fd, narrow;

        if (boot == 0) {
                fd = new_memfd(0);
                (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
                narrow = open(path, O_RDONLY | O_CLOEXEC);
                if (fchown(fd, 1000, 1001) < 0 || fchmod(fd, 0640) < 0 || lseek(narrow, 3, SEEK_SET) != 3 ||
                        !store(narrow, "read-only"))
                        WRONG("cannot store");

                fd = new_memfd(1);
                if (fcntl(fd, F_SETFL, O_APPEND) < 0 || !store(fd, "append"))
                        WRONG("cannot store");
        } else {
                fd = passed_fd("read-only");
                if (fd < 0 || fstat(fd, &st) < 0)
                        WRONG("no read-only fd");
                if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY || write(fd, "x", 1) >= 0 ||
                        ftruncate(fd, 0) >= 0)
                        WRONG("the read-only fd can be written");
                if (st.st_uid != 1000 || st.st_gid != 1001 || (st.st_mode & 07777) != 0640)
                        WRONG("owner %i:%i, mode %o", (int) st.st_uid, (int) st.st_gid, st.st_mode & 07777);
                if (lseek(fd, 0, SEEK_CUR) != 3)
                        WRONG("another offset");
                if (!has_content(fd, 0, 0))
                        WRONG("another content");

                fd = passed_fd("append");
                if ((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND)) != (O_RDWR | O_APPEND))
                        WRONG("the append flag is gone");
        }

        report("verified 2 fds");
}

static void run_preflight(void) {
        int fd;

        if (boot == 0) {
                if (!store(new_memfd(0), "plain"))
                        WRONG("cannot store");

                fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
                if (ftruncate(fd, 1024 * 1024) < 0 || pwrite(fd, "x", 1, 0) != 1 ||
                        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ||
                        !store(fd, "sparse"))
                        WRONG("cannot store");

                if (!store(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"))
                        WRONG("cannot store");
        } else if (n_passed_fds != 2)
                WRONG("got %i fds, not 2", n_passed_fds);
        else if (!has_content(passed_fd("plain"), 0, 0) || passed_fd("sparse") < 0)
                WRONG("another content");

        report("verified %i fds", boot == 0 ? 3 : 2);
}

/* One file in the stores of two services: read-write in one of them, read-only in the other. */
static void run_shared(bool writes) {
        int fd, found = -1;

        fd = boot == 0
                ? open("/dev/shm/shared", writes ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600)
                : passed_fd("shared");
        if (fd < 0)
                WRONG("no shared fd");
        if ((fcntl(fd, F_GETFL) & O_ACCMODE) != (writes ? O_RDWR : O_RDONLY))
                WRONG("another access mode");

        if (writes && pwrite(fd, &boot, sizeof(boot), 1000) != sizeof(boot))
                WRONG("cannot write");
        if (pread(fd, &found, sizeof(found), 1000) != sizeof(found) || found != boot)
                WRONG("what the other has written in this boot is not there");
        if (!writes && pwrite(fd, "x", 1, 0) >= 0)
                WRONG("the read-only fd can be written");

        if (boot == 0 && !store(fd, "shared"))
                WRONG("cannot store");

        report("verified 1 fds");
}

static void run_session(void) {
        int session_fd, fd, r;

        session_fd = passed_fd("s1");
        if (session_fd < 0 || libluo_fd_is_session(session_fd) <= 0)
                WRONG("no session s1");

        if (boot != 1) {
                r = libluo_session_preserve(session_fd, new_memfd(0), 42);
                if (r < 0)
                        WRONG("cannot preserve: %s", libluo_strerror(r));
        } else {
                fd = libluo_session_retrieve_fd(session_fd, 42);
                if (fd < 0)
                        WRONG("cannot retrieve: %s", libluo_strerror(fd));
                if (!has_content(fd, 0, 0))
                        WRONG("another content");
                r = libluo_session_finish(session_fd);
                if (r < 0)
                        WRONG("cannot finish: %s", libluo_strerror(r));
                /* An incoming session does not go into the next kernel: have the next boot begin with a fresh one */
                if (sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=s1") <= 0)
                        WRONG("cannot remove the session");
        }

        report(boot <= 1 ? "verified 1 fds" : "verified a fresh session");
}

static void run_hijack(void) {
        static const char *const names[] = { "systemd", "fds-hijack" };
        int device_fd, session_fd;

        if (boot > 0) {
                if (n_passed_fds != 0)
                        WRONG("got %i fds", n_passed_fds);
        } else
                for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                        device_fd = libluo_device_open(UINT64_C(5000000));
                        session_fd = libluo_session_create(device_fd, names[i]);
                        (void) close(device_fd);
                        if (session_fd < 0 || libluo_session_preserve(session_fd, new_memfd(0), 1) < 0 ||
                                !store(session_fd, "hijack"))
                                WRONG("cannot store session %s", names[i]);
                        (void) close(session_fd);
                }

        report("verified 0 fds");
}

int main(int argc, char *argv[]) {
        char line[4096] = "", *p;
        int fd;

        if (argc < 3) {
                fprintf(stderr, "usage: fd-store-service UNIT KIND [COUNT]\n");
                return 2;
        }
        unit = argv[1];

        fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, line, sizeof(line) - 1) < 0)
                return EXIT_FAILURE;
        (void) close(fd);
        p = strstr(line, " luo_vm.boot=");
        boot = p ? atoi(p + strlen(" luo_vm.boot=")) : 0;

        n_passed_fds = sd_listen_fds_with_names(/* unset_environment= */ 1, &passed_names);

        if (strcmp(argv[2], "plain") == 0 && argc == 4)
                run_many(atoi(argv[3]), false);
        else if (strcmp(argv[2], "same") == 0 && argc == 4)
                run_many(atoi(argv[3]), true);
        else if (strcmp(argv[2], "mixed") == 0)
                run_mixed();
        else if (strcmp(argv[2], "rights") == 0)
                run_rights();
        else if (strcmp(argv[2], "preflight") == 0)
                run_preflight();
        else if (strcmp(argv[2], "shared") == 0 && argc == 4)
                run_shared(atoi(argv[3]) != 0);
        else if (strcmp(argv[2], "session") == 0)
                run_session();
        else if (strcmp(argv[2], "hijack") == 0)
                run_hijack();
        else {
                fprintf(stderr, "unknown kind %s\n", argv[2]);
                return 2;
        }

        /* Everything has to be in the store when the unit counts as started */
        if (sd_notify_barrier(0, UINT64_C(60000000)) <= 0)
                report("wrong: no answer from the manager");
        (void) sd_notify(0, "READY=1");

        for (;;)
                (void) pause();
}
