/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The service that the system tests run many times over: keeps file descriptors in its fd store, and when it is started
 * again checks what it got back. What it found goes to /run/fd-store-report/UNIT: "verified ...", or what is wrong.
 *
 *   fd-store-service UNIT plain COUNT   COUNT memfds with unique names; order and content are checked
 *   fd-store-service UNIT same COUNT    the same with one name for all
 *   fd-store-service UNIT named COUNT   as plain, but in any order: a manager inside another keeps none
 *   fd-store-service UNIT unnamed COUNT the same without the names, which systemd-nspawn does not pass on
 *   fd-store-service UNIT mixed         an eventfd, which LUO refuses, between two memfds
 *   fd-store-service UNIT rights        read-only, append-only, offset, mode and owner
 *   fd-store-service UNIT read-only     a read-only memfd, and nothing else looked at
 *   fd-store-service UNIT owner         the same for mode and owner
 *   fd-store-service UNIT unpolled      a memfd stored with FDPOLL=0
 *   fd-store-service UNIT memory MIB    a memfd of that size with something in each page
 *   fd-store-service UNIT sparse MIB    a memfd of that size that is one hole but for its ends
 *   fd-store-service UNIT preflight     a memfd, a sealed one with holes, and a socket, which LUO refuses
 *   fd-store-service UNIT checked ALL   a file that another service has, too; with ALL=1 also one that LUO refuses
 *   fd-store-service UNIT shared 1      a file that shared 0 stores, too, which reads what this writes into it
 *   fd-store-service UNIT sessions NAME...   a memfd in each of the sessions of LUOSession=NAME..., by way of NAME.next
 *   fd-store-service UNIT hijack        sessions with names that belong to systemd
 *   fd-store-service UNIT transient     a memfd, and one that is stored with FDPRESERVE=0
 *   fd-store-service UNIT commands run  whatever comes in by /run/fd-store-commands/UNIT, see fd-store-commands.c; the
 *                                       report lists what was passed; "exit" in the place of "run" fails after that
 *   fd-store-service UNIT dead-mount    a folder of a file system whose server does not answer, and a memfd
 *   fd-store-service UNIT unanswered    nothing; sends PID 1 two files that it cannot close
 *
 *   fd-store-service leave-newer-map    not a service: before a kexec, what a later systemd might leave
 *   fd-store-service flood NUMBER       not a service: as a part of one, has as many names removed that are not there
 */

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "fd-store-service.h"

#define GENERATION_FOLDER "/var/lib/fd-store-service"
#define NO_ANSWER "/run/fd-store-report.no-answer"

const char *unit;
int generation;
int n_passed_fds;
char **passed_names;

static bool found_wrong;

static const struct {
        const char *name;
        int n_arguments; /* -1: one or more */
        void (*run)(char *arguments[]);
} kinds[] = {
        { "plain", 1, run_plain },
        { "same", 1, run_same },
        { "named", 1, run_named },
        { "unnamed", 1, run_unnamed },
        { "either-order", 1, run_either_order },
        { "mixed", 0, run_mixed },
        { "rights", 0, run_rights },
        { "read-only", 0, run_read_only },
        { "owner", 0, run_owner },
        { "unpolled", 0, run_unpolled },
        { "memory", 1, run_memory },
        { "sparse", 1, run_sparse },
        { "preflight", 0, run_preflight },
        { "checked", 1, run_checked },
        { "shared", 1, run_shared },
        { "sessions", -1, run_sessions },
        { "hijack", 0, run_hijack },
        { "transient", 0, run_transient },
        { "commands", 1, run_commands },
        { "dead-mount", 0, run_dead_mount },
        { "unanswered", 0, run_unanswered },
};

static void report_list(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));

static void report_list(const char *format, va_list ap) {
        char path[400];
        FILE *f;

        (void) mkdir("/run/fd-store-report", 0755);
        (void) snprintf(path, sizeof(path), "/run/fd-store-report/%s", unit);
        f = fopen(path, "ae");
        if (!f)
                return;

        (void) vfprintf(f, format, ap);
        (void) fputc('\n', f);
        (void) fclose(f);
}

void report(const char *format, ...) {
        va_list ap;

        if (found_wrong)
                return;

        va_start(ap, format);
        report_list(format, ap);
        va_end(ap);
}

void report_wrong(const char *format, ...) {
        va_list ap;

        found_wrong = true;
        va_start(ap, format);
        report_list(format, ap);
        va_end(ap);
}

int passed_fd(const char *name) {
        for (int i = 0; i < n_passed_fds; i++)
                if (strcmp(passed_names[i], name) == 0)
                        return SD_LISTEN_FDS_START + i;

        return -1;
}

static size_t content(char *buffer, size_t size, int i, int of_generation) {
        return (size_t) snprintf(buffer, size, "%s fd %i generation %i", unit, i, of_generation);
}

bool write_content(int fd, int i) {
        char buffer[512];
        size_t n = content(buffer, sizeof(buffer), i, generation);

        return ftruncate(fd, 0) >= 0 && pwrite(fd, buffer, n, 0) == (ssize_t) n;
}

bool has_content(int fd, int i, int of_generation) {
        char expected[512], found[512];
        size_t n = content(expected, sizeof(expected), i, of_generation);
        struct stat st;

        return fstat(fd, &st) >= 0 && (size_t) st.st_size == n &&
                pread(fd, found, sizeof(found), 0) == (ssize_t) n && memcmp(expected, found, n) == 0;
}

int new_memfd(int i) {
        int fd;

        fd = memfd_create("test", MFD_CLOEXEC);
        if (fd >= 0 && !write_content(fd, i)) {
                (void) close(fd);
                return -1;
        }

        return fd;
}

void wait_for_manager(void) {
        FILE *f;

        if (sd_notify_barrier(0, FAR_AWAY) > 0)
                return;

        /* Not a finding about fd stores: the test ends here (check() in tap.sh), as all that follows would mislead */
        f = fopen(NO_ANSWER, "we");
        if (f) {
                (void) fprintf(f, "%s: the service manager did not answer within %u minutes", unit,
                        (unsigned) (FAR_AWAY / 60000000));
                (void) fclose(f);
        }
        exit(EXIT_FAILURE);
}

static bool store_with(int fd, const char *name, const char *more) {
        char message[400];

        (void) snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s%s", name, more);
        return fd >= 0 && sd_pid_notify_with_fds(0, 0, message, &fd, 1) > 0;
}

bool store(int fd, const char *name) {
        return store_with(fd, name, "");
}

bool store_unpolled(int fd, const char *name) {
        return store_with(fd, name, "\nFDPOLL=0");
}

bool store_for_this_kernel(int fd, const char *name) {
        return store_with(fd, name, "\nFDPRESERVE=0");
}

/* On disk: how far a unit has come is not for the fd store to tell, or a store that was lost would be a beginning. */
static bool read_generation(void) {
        char path[400];
        FILE *f;
        int n;

        (void) snprintf(path, sizeof(path), GENERATION_FOLDER "/%s", unit);
        f = fopen(path, "re");
        if (!f)
                return true;
        n = fscanf(f, "%i", &generation);
        (void) fclose(f);
        return n == 1;
}

static bool write_generation(int n) {
        char path[400];
        FILE *f;

        (void) mkdir(GENERATION_FOLDER, 0755);
        (void) snprintf(path, sizeof(path), GENERATION_FOLDER "/%s", unit);
        f = fopen(path, "we");
        if (!f)
                return false;
        (void) fprintf(f, "%i\n", n);
        return fclose(f) == 0;
}

static _Noreturn void on_signal(int signal_number __attribute__((unused))) {
        _exit(EXIT_SUCCESS);
}

int main(int argc, char *argv[]) {
        size_t k = 0;

        if (argc == 2 && strcmp(argv[1], "leave-newer-map") == 0)
                return leave_newer_map();
        if (argc == 3 && strcmp(argv[1], "flood") == 0)
                return flood((unsigned) atoi(argv[2]));
        if (argc == 4 && strcmp(argv[1], "be-dead-server") == 0)
                return be_dead_server(atoi(argv[2]), atoi(argv[3]));

        if (argc >= 3)
                while (k < sizeof(kinds) / sizeof(kinds[0]) && strcmp(argv[2], kinds[k].name) != 0)
                        k++;
        if (argc < 3 || k == sizeof(kinds) / sizeof(kinds[0]) ||
                (kinds[k].n_arguments < 0 ? argc < 4 : argc != 3 + kinds[k].n_arguments)) {
                fprintf(stderr, "usage: fd-store-service UNIT KIND [ARGUMENT...]\n");
                return 2;
        }
        unit = argv[1];

        if (!read_generation()) {
                fprintf(stderr, "%s: what is in " GENERATION_FOLDER " is no number\n", unit);
                return EXIT_FAILURE;
        }
        n_passed_fds = sd_listen_fds_with_names(/* unset_environment= */ 1, &passed_names);

        kinds[k].run(argv + 3);

        /* The first process of a container gets no signal that it has no handler for */
        (void) signal(SIGTERM, on_signal);

        /* Everything has to be in the store when the unit counts as started */
        wait_for_manager();
        if (!found_wrong && !write_generation(generation + 1))
                report_wrong("wrong: cannot write to " GENERATION_FOLDER);
        (void) sd_notify(0, "READY=1");

        for (;;)
                (void) pause();
}
