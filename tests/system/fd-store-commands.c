/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Kinds of fd-store-service that do what a test tells them, or leave behind what a shutdown may meet. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "fd-store-service.h"
#include "libluo.h"

#define COMMAND_FOLDER "/run/fd-store-commands"
#define PAGE_BYTES ((size_t) 4096)

/* Each page begins with the number that the content is told by. */
static bool fill(int fd, uint64_t number, size_t size) {
        char *p;

        if (ftruncate(fd, (off_t) size) < 0)
                return false;
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
                return false;
        for (size_t i = 0; i < size; i += PAGE_BYTES)
                memcpy(p + i, &number, sizeof(number));
        return munmap(p, size) >= 0;
}

static bool read_number(int fd, size_t size, uint64_t *ret) {
        uint64_t first = 0, word;
        bool same = true;
        char *p;

        p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
                return false;
        for (size_t i = 0; i < size; i += PAGE_BYTES) {
                memcpy(&word, p + i, sizeof(word));
                if (i == 0)
                        first = word;
                same = same && word == first;
        }
        (void) munmap(p, size);
        if (same)
                *ret = first;
        return same;
}

static const char *access_name(int fd) {
        return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY ? "ro" : "rw";
}

/* "NAME NUMBER KIB ACCESS" for each fd that was passed, in order. */
static void report_passed(void) {
        for (int i = 0; i < n_passed_fds; i++) {
                int fd = SD_LISTEN_FDS_START + i;
                uint64_t number;
                struct stat st;

                if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                        report("%s other", passed_names[i]);
                else if (st.st_size == 0 || !read_number(fd, (size_t) st.st_size, &number))
                        report("%s damaged", passed_names[i]);
                else
                        report("%s %" PRIu64 " %zu %s", passed_names[i], number, (size_t) st.st_size / 1024,
                                access_name(fd));
        }
        report("end");
}

/* Whoever opens it has to wait for us; and one that is a hole has to be opened to be preserved. */
static int open_leased(const char *path) {
        int fd = open(path, O_RDWR | O_CLOEXEC);

        (void) signal(SIGIO, SIG_IGN);
        return fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) < 0 ? -1 : fd;
}

static bool store_new(const char *name, uint64_t number, size_t kib, const char *access) {
        bool leased = strcmp(access, "leased") == 0, ok;
        char path[64];
        int fd, stored;

        fd = libluo_memfd_new("walk", 0, 0);
        if (fd < 0)
                return false;
        ok = leased ? ftruncate(fd, (off_t) kib * 1024) >= 0 : fill(fd, number, kib * 1024);
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        stored = leased                     ? open_leased(path)
                : strcmp(access, "ro") == 0 ? open(path, O_RDONLY | O_CLOEXEC)
                                            : fd;
        ok = ok && store(stored, name);
        if (stored >= 0 && stored != fd)
                (void) close(stored);
        (void) close(fd);
        return ok;
}

/* A second description of a stored file, as another service might have one: it is no duplicate. */
static bool store_opened(const char *name, const char *path) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        bool ok = store(fd, name);

        if (fd >= 0)
                (void) close(fd);
        return ok;
}

static bool remove_named(const char *name) {
        char message[300];

        (void) snprintf(message, sizeof(message), "FDSTOREREMOVE=1\nFDNAME=%s", name);
        return sd_notify(0, message) > 0;
}

int flood(unsigned number) {
        char name[256];

        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        for (unsigned i = 0; i < number; i++) {
                (void) snprintf(name, sizeof(name), "%u", i);
                name[strlen(name)] = 'x';
                if (!remove_named(name))
                        return EXIT_FAILURE;
        }
        return sd_notify_barrier(0, FAR_AWAY) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const char *preserve_again(const char *name, const char *session) {
        int fd = passed_fd(name), session_fd = passed_fd(session), r;

        if (fd < 0 || session_fd < 0)
                return "no such fd";
        r = libluo_session_preserve(session_fd, fd, 1);
        return r < 0 ? libluo_strerror(r) : "done";
}

static uint64_t now_usec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

/* For so many milliseconds: the longest time that the manager took to answer, in microseconds */
static const char *longest_answer(unsigned milliseconds) {
        uint64_t end = now_usec() + (uint64_t) milliseconds * 1000, longest = 0;
        static char text[32];

        do {
                uint64_t asked = now_usec(), took;

                if (sd_notify_barrier(0, FAR_AWAY) <= 0)
                        return "no answer";
                took = now_usec() - asked;
                longest = took > longest ? took : longest;
                (void) usleep(1000);
        } while (now_usec() < end);

        (void) snprintf(text, sizeof(text), "%" PRIu64, longest);
        return text;
}

static const char *do_command(char *line) {
        char *word[5] = { NULL }, *save = NULL;
        size_t n = 0;

        for (char *w = strtok_r(line, " \n", &save); w && n < 5; w = strtok_r(NULL, " \n", &save))
                word[n++] = w;

        if (n == 5 && strcmp(word[0], "store") == 0)
                return store_new(word[1], strtoull(word[2], NULL, 10), strtoul(word[3], NULL, 10), word[4])
                        ? "done"
                        : "failed";
        if (n == 3 && strcmp(word[0], "open") == 0)
                return store_opened(word[1], word[2]) ? "done" : "failed";
        if (n == 2 && strcmp(word[0], "longest-answer") == 0)
                return longest_answer((unsigned) atoi(word[1]));
        if (n == 2 && strcmp(word[0], "remove") == 0)
                return remove_named(word[1]) ? "done" : "failed";
        if (n == 3 && strcmp(word[0], "preserve") == 0)
                return preserve_again(word[1], word[2]);
        return "unknown command";
}

/* Commands come in a FIFO, and the answer to each goes into another when PID 1 has done what it asked for. */
static void serve_commands(void) {
        char path[400], line[512];
        FILE *commands;
        int fd, answers;

        (void) mkdir(COMMAND_FOLDER, 0755);
        (void) snprintf(path, sizeof(path), COMMAND_FOLDER "/%s.answer", unit);
        (void) unlink(path);
        answers = mkfifo(path, 0600) < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
        (void) snprintf(path, sizeof(path), COMMAND_FOLDER "/%s", unit);
        (void) unlink(path);
        fd = mkfifo(path, 0600) < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
        commands = fd < 0 ? NULL : fdopen(fd, "r");
        if (answers < 0 || !commands)
                WRONG("cannot make FIFOs in " COMMAND_FOLDER);

        (void) signal(SIGTERM, SIG_DFL);
        wait_for_manager();
        (void) sd_notify(0, "READY=1");

        while (fgets(line, sizeof(line), commands)) {
                const char *answer;

                if (strncmp(line, "exit ", 5) == 0)
                        _exit(atoi(line + 5));
                answer = do_command(line);
                wait_for_manager();
                (void) dprintf(answers, "%s\n", answer);
        }
}

void run_commands(char *arguments[]) {
        report_passed();
        if (strcmp(arguments[0], "exit") == 0)
                _exit(EXIT_FAILURE);
        serve_commands();
}

/* ---- a file system that nobody answers for anymore ---- */

static bool reply(int fuse, uint64_t unique, int error, const void *data, size_t size) {
        struct fuse_out_header header = {
                .len = (uint32_t) (sizeof(header) + size),
                .error = error,
                .unique = unique,
        };
        char buffer[512];

        memcpy(buffer, &header, sizeof(header));
        if (size > 0)
                memcpy(buffer + sizeof(header), data, size);
        return write(fuse, buffer, header.len) == (ssize_t) header.len;
}

/* As much of a FUSE server as it takes to open its root folder, and files in it, for as long as the other end of
 * "alive" is open. That a file is closed is answered to who opened it, and to nobody else. */
static _Noreturn void serve_fuse(int fuse, int alive) {
        static char request[1 << 20];
        const struct fuse_attr folder = { .ino = FUSE_ROOT_ID, .mode = S_IFDIR | 0755, .nlink = 2 };
        const struct fuse_attr file = { .ino = FUSE_ROOT_ID + 1, .mode = S_IFREG | 0644, .nlink = 1 };
        uint32_t opener = 0;

        (void) fcntl(alive, F_SETFL, O_NONBLOCK);
        for (;;) {
                const struct fuse_in_header *header = (const void *) request;
                char byte;

                if (read(fuse, request, sizeof(request)) < (ssize_t) sizeof(*header))
                        continue;
                /* Whoever asks from now on waits for good. */
                if (read(alive, &byte, 1) == 0)
                        for (;;)
                                (void) pause();

                switch (header->opcode) {
                case FUSE_INIT: {
                        struct fuse_init_out out = {
                                .major = FUSE_KERNEL_VERSION,
                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                .max_write = 4096,
                        };
                        (void) reply(fuse, header->unique, 0, &out, sizeof(out));
                        break;
                }
                case FUSE_GETATTR: {
                        struct fuse_attr_out out = { .attr = header->nodeid == FUSE_ROOT_ID ? folder : file };
                        (void) reply(fuse, header->unique, 0, &out, sizeof(out));
                        break;
                }
                case FUSE_LOOKUP: {
                        struct fuse_entry_out out = { .nodeid = file.ino, .attr = file };
                        (void) reply(fuse, header->unique, 0, &out, sizeof(out));
                        break;
                }
                case FUSE_OPEN:
                case FUSE_OPENDIR: {
                        struct fuse_open_out out = { .fh = 1 };
                        opener = header->pid;
                        (void) reply(fuse, header->unique, 0, &out, sizeof(out));
                        break;
                }
                case FUSE_FLUSH:
                        if (header->pid == opener)
                                (void) reply(fuse, header->unique, 0, NULL, 0);
                        break;
                default:
                        (void) reply(fuse, header->unique, -ENOSYS, NULL, 0);
                }
        }
}

/* Its server is named so that systemd-shutdown does not kill it: it lives, and answers nothing. */
int be_dead_server(int fuse, int alive) {
        serve_fuse(fuse, alive);
}

/* Returns what keeps its server alive, or -1. */
static int mount_fuse(const char *folder, const char *server_name) {
        int fuse, alive[2];
        char options[128], fuse_number[16], alive_number[16];

        fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        (void) mkdir(folder, 0755);
        (void) snprintf(options, sizeof(options), "fd=%i,rootmode=40000,user_id=0,group_id=0", fuse);
        if (fuse < 0 || pipe2(alive, O_CLOEXEC) < 0 ||
                mount(server_name, folder, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
                return -1;

        switch (fork()) {
        case -1:
                return -1;
        case 0:
                (void) fcntl(fuse, F_SETFD, 0);
                (void) fcntl(alive[0], F_SETFD, 0);
                (void) snprintf(fuse_number, sizeof(fuse_number), "%i", fuse);
                (void) snprintf(alive_number, sizeof(alive_number), "%i", alive[0]);
                (void) execl(
                        "/proc/self/exe", server_name, "be-dead-server", fuse_number, alive_number, NULL);
                _exit(EXIT_FAILURE);
        }
        (void) close(fuse);
        (void) close(alive[0]);
        return alive[1];
}

void run_dead_mount(char *arguments[] __attribute__((unused))) {
        int alive, fd;

        if (generation > 0) {
                report("verified %i fds", n_passed_fds);
                return;
        }

        alive = mount_fuse("/run/dead-mount", "@dead-server");
        if (alive < 0)
                WRONG("cannot mount: %s", strerror(errno));

        fd = open("/run/dead-mount", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (!store(fd, "dead"))
                WRONG("cannot store");
        if (!store(new_memfd(0), "alive"))
                WRONG("cannot store");
        wait_for_manager();
        (void) close(alive);
        report("verified 2 fds");
}

/* Two files that only this process gets closed, sent to PID 1 by a message as anybody could send it. */
void run_unanswered(char *arguments[] __attribute__((unused))) {
        int fds[2];

        if (mount_fuse("/run/unanswered", "unanswered") < 0)
                WRONG("cannot mount: %s", strerror(errno));

        fds[0] = open("/run/unanswered/file", O_RDONLY | O_CLOEXEC);
        fds[1] = open("/run/unanswered/file", O_RDONLY | O_CLOEXEC);
        if (fds[0] < 0 || fds[1] < 0 || sd_pid_notify_with_fds(0, false, "X_UNKNOWN=1", fds, 2) <= 0)
                WRONG("cannot send: %s", strerror(errno));
        wait_for_manager();
        (void) close(fds[0]);
        (void) close(fds[1]);
        report("verified %i fds", n_passed_fds);
}
