/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Kinds of fd-store-service with many small files, or with sessions. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include <libluo.h>

#include "fd-store-service.h"

static void fd_name(char name[32], int i, bool same) {
        if (same)
                (void) snprintf(name, 32, "same");
        else
                (void) snprintf(name, 32, "fd-%06i", i);
}

/* How a service knows its fds again */
typedef enum KnownBy {
        KNOWN_BY_ORDER, /* newest first, as after any restart of the service */
        KNOWN_BY_NAME,
        KNOWN_BY_CONTENT,
        KNOWN_BY_EITHER_ORDER, /* that, or oldest first, as stock systemd 262 has them after a kexec */
} KnownBy;

static int passed_fd_with_content(int i) {
        for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n_passed_fds; fd++)
                if (has_content(fd, i, generation - 1))
                        return fd;

        return -1;
}

static void run_many(int count, bool same, KnownBy known_by) {
        char name[32];

        if (generation == 0)
                for (int i = 0; i < count; i++) {
                        int fd = new_memfd(i);

                        fd_name(name, i, same);
                        if (!store(fd, name))
                                WRONG("cannot store fd %i", i);
                        (void) close(fd);

                        /* The receive queue of the manager has its limits */
                        if (i % 64 == 63)
                                wait_for_manager();
                }
        else {
                bool oldest_first = known_by == KNOWN_BY_EITHER_ORDER && n_passed_fds > 0 &&
                        has_content(SD_LISTEN_FDS_START, 0, generation - 1);

                if (n_passed_fds != count)
                        WRONG("got %i fds, not %i", n_passed_fds, count);

                for (int p = 0; p < count; p++) {
                        int i = oldest_first ? p : count - 1 - p, fd = SD_LISTEN_FDS_START + p;

                        fd_name(name, i, same);
                        if (known_by == KNOWN_BY_NAME)
                                fd = passed_fd(name);
                        else if (known_by == KNOWN_BY_CONTENT)
                                fd = passed_fd_with_content(i);
                        else if (p != i && has_content(fd, p, generation - 1))
                                WRONG("reversed");
                        else if (strcmp(passed_names[p], name) != 0)
                                WRONG("fd %i is named %s, not %s", p, passed_names[p], name);
                        if (!has_content(fd, i, generation - 1))
                                WRONG("fd %s at %i has another content", name, p);
                        if (!write_content(fd, i))
                                WRONG("fd %s cannot be written", name);
                }
        }

        report("verified %i fds", count);
}

void run_plain(char *arguments[]) {
        run_many(atoi(arguments[0]), /* same= */ false, KNOWN_BY_ORDER);
}

void run_same(char *arguments[]) {
        run_many(atoi(arguments[0]), /* same= */ true, KNOWN_BY_ORDER);
}

void run_named(char *arguments[]) {
        run_many(atoi(arguments[0]), /* same= */ false, KNOWN_BY_NAME);
}

void run_either_order(char *arguments[]) {
        run_many(atoi(arguments[0]), /* same= */ false, KNOWN_BY_EITHER_ORDER);
}

void run_unnamed(char *arguments[]) {
        run_many(atoi(arguments[0]), /* same= */ false, KNOWN_BY_CONTENT);
}

void run_mixed(char *arguments[] __attribute__((unused))) {
        if (generation == 0) {
                if (!store(new_memfd(0), "before") || !store(eventfd(0, EFD_CLOEXEC), "an eventfd") ||
                        !store(new_memfd(1), "after"))
                        WRONG("cannot store");
        } else {
                if (n_passed_fds != 2)
                        WRONG("got %i fds, not 2", n_passed_fds);
                if (!has_content(passed_fd("before"), 0, generation - 1) ||
                        !has_content(passed_fd("after"), 1, generation - 1))
                        WRONG("another content");
                if (!write_content(passed_fd("before"), 0) || !write_content(passed_fd("after"), 1))
                        WRONG("cannot write");
        }

        report("verified 2 fds");
}

void run_rights(char *arguments[] __attribute__((unused))) {
        struct stat st;
        char path[64];
        int fd, narrow;

        if (generation == 0) {
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

void run_preflight(char *arguments[] __attribute__((unused))) {
        int fd;

        if (generation == 0) {
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

        report("verified %i fds", generation == 0 ? 3 : 2);
}

/*
 * One of each thing that check-before-kexec is to tell apart. The file that two services have is in /dev/shm until the
 * test unlinks it. Whatever comes back is taken as it is.
 */
void run_checked(char *arguments[]) {
        int fd;

        if (generation > 0) {
                report("verified %i fds", n_passed_fds);
                return;
        }

        fd = open("/dev/shm/checked", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (!write_content(fd, 0) || !store(fd, "shared"))
                WRONG("cannot store");
        if (atoi(arguments[0]) == 0) {
                report("verified 1 fds");
                return;
        }

        if (!store(new_memfd(0), "plain") || !store(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"))
                WRONG("cannot store");

        fd = memfd_create("test", MFD_CLOEXEC);
        if (ftruncate(fd, (off_t) 1 << 36) < 0 || !store(fd, "giant"))
                WRONG("cannot store");

        /* Not if the kernel has no huge pages */
        fd = memfd_create("test", MFD_CLOEXEC | MFD_HUGETLB);
        if (fd >= 0 && !store(fd, "huge"))
                WRONG("cannot store");

        report("verified %i fds", fd >= 0 ? 5 : 4);
}

/* One file in the stores of two services: read-write in one of them, read-only in the other. */
void run_shared(char *arguments[]) {
        bool writes = atoi(arguments[0]) != 0;
        int fd, found = -1;

        fd = generation == 0
                ? open("/dev/shm/shared", writes ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600)
                : passed_fd("shared");
        if (fd < 0)
                WRONG("no shared fd");
        if ((fcntl(fd, F_GETFL) & O_ACCMODE) != (writes ? O_RDWR : O_RDONLY))
                WRONG("another access mode");

        if (writes && pwrite(fd, &generation, sizeof(generation), 1000) != sizeof(generation))
                WRONG("cannot write");
        if (pread(fd, &found, sizeof(found), 1000) != sizeof(found) || found != generation)
                WRONG("what the other has written in this generation is not there");
        if (!writes && pwrite(fd, "x", 1, 0) >= 0)
                WRONG("the read-only fd can be written");

        if (generation == 0 && !store(fd, "shared"))
                WRONG("cannot store");

        report("verified 1 fds");
}

/* The state of each session goes on in NAME.next, which is NAME after the kexec. */
static void run_session(const char *name) {
        char next_name[64];
        int session_fd, next_fd, fd, r;

        session_fd = passed_fd(name);
        if (session_fd < 0 || libluo_fd_is_session(session_fd) <= 0)
                WRONG("no session %s", name);

        (void) snprintf(next_name, sizeof(next_name), "%s.next", name);
        next_fd = passed_fd(next_name);

        if (generation == 0) {
                if (next_fd >= 0)
                        WRONG("session %s is there although %s is fresh", next_name, name);
                next_fd = session_fd;
        } else {
                fd = libluo_session_retrieve_fd(session_fd, 42);
                if (fd < 0)
                        WRONG("cannot retrieve: %s", libluo_strerror(fd));
                if (!has_content(fd, 0, generation - 1))
                        WRONG("another content");
                r = libluo_session_finish(session_fd);
                if (r < 0)
                        WRONG("cannot finish: %s", libluo_strerror(r));
                if (next_fd < 0)
                        WRONG("no session for the next kexec");
        }

        r = libluo_session_preserve(next_fd, new_memfd(0), 42);
        if (r < 0)
                WRONG("cannot preserve: %s", libluo_strerror(r));
}

void run_sessions(char *arguments[]) {
        int n = 0;

        for (; arguments[n]; n++)
                run_session(arguments[n]);

        report("verified %i sessions", n);
}

/*
 * Not a service: leaves a process that holds what a later systemd might write, as PID 1 does it before a kexec. Has to
 * be the last to open the device.
 */
int leave_newer_map(void) {
        static const char map[] =
                "{\"version\":1,\"writer\":\"999\",\"incompatibleFeatures\":[\"tomorrow\"],\"units\":{}}";
        int device_fd, session_fd, fd;

        device_fd = libluo_device_open(FAR_AWAY);
        session_fd = libluo_session_create(device_fd, "systemd");
        fd = memfd_create("test", MFD_CLOEXEC);
        if (session_fd < 0 || write(fd, map, sizeof(map) - 1) != sizeof(map) - 1 ||
                libluo_session_preserve(session_fd, fd, 0) < 0)
                return EXIT_FAILURE;
        (void) close(device_fd);

        /* Whoever runs this waits for its end, not for that of its child */
        if (fork() != 0)
                return EXIT_SUCCESS;
        (void) setsid();
        for (;;)
                (void) pause();
}

void run_hijack(char *arguments[] __attribute__((unused))) {
        static const char *const names[] = { "systemd", "fds-0123456789abcdef0123456789abcdef" };
        int device_fd, session_fd;

        if (generation > 0) {
                if (n_passed_fds != 0)
                        WRONG("got %i fds", n_passed_fds);
        } else
                for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                        device_fd = libluo_device_open(FAR_AWAY);
                        session_fd = libluo_session_create(device_fd, names[i]);
                        (void) close(device_fd);
                        if (session_fd < 0 || libluo_session_preserve(session_fd, new_memfd(0), 1) < 0 ||
                                !store(session_fd, "hijack"))
                                WRONG("cannot store session %s", names[i]);
                        (void) close(session_fd);
                }

        report("verified 0 fds");
}

void run_transient(char *arguments[] __attribute__((unused))) {
        if (generation == 0) {
                if (!store(new_memfd(0), "kept") || !store_for_this_kernel(new_memfd(1), "dropped"))
                        WRONG("cannot store");
        } else {
                int fd = passed_fd("kept");

                if (n_passed_fds != 1 || !has_content(fd, 0, generation - 1))
                        WRONG("got %i fds, or another content", n_passed_fds);
                if (!write_content(fd, 0))
                        WRONG("cannot write");
        }

        report("verified %i fds", generation == 0 ? 2 : 1);
}
