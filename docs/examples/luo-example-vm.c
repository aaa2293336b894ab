/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A virtual machine that lives through restarts of its service and through kexecs of its host. QEMU (9.1 or later) is
 * as it is; this program is its parent and talks QMP with it.
 *
 *   luo-example-vm --memory=SIZE [--sparse] [--accept-changes] -- QEMU [ARGUMENT...]
 *
 * Three things are in the fd store: the guest's memory, which QEMU maps and nobody copies; the state of the devices,
 * which QEMU writes on SIGTERM and reads at the next start; and a description of both, which this program alone writes.
 * The guest is saved from the moment in which QEMU has stopped it and has written all, until right before it runs
 * again: memory and devices belong together then, and whatever goes wrong meanwhile can be tried again.
 *
 *   first start              the guest boots
 *   restart, kexec           it goes on at its next instruction, or stands still as before
 *   it shuts itself down     the service ends, and the memory is given back
 *   QEMU or this program     the guest is lost as by a power failure, and boots at the next start; memory that was
 *     crashes                written by a guest that runs fits to no device state
 *   saving fails             so it says, presses the guest's power button and waits; TimeoutStopSec= ends that
 *   the guest cannot be      (a device that QEMU cannot save) it is not started
 *     saved
 *   a part did not come      so it says, and the guest boots
 *     over the kexec
 *   another command line or  the guest is not started and stays saved. With --accept-changes another command line is
 *     size of memory         tried, and QEMU has the say
 *   QEMU cannot load it      (another version, without this machine type) it is not started and stays saved
 *   QEMU cannot let it go on (somebody else has its disk open at that moment) the same
 *   -daemonize, -snapshot    it is not started, as it would end with its first start, or go on with other disks
 *   full or no fd store, no  it is not started
 *     service manager
 *
 * What stays saved though the start failed is told by the exit status, 78. "systemctl clean --what=fdstore UNIT" drops
 * it.
 *
 * A kexec takes memory for all of the guest's, touched or not: all of it is allocated before the guest starts, which
 * is refused where there is not that much. With --sparse it is allocated as the guest touches it. Where there is not
 * enough for the rest this is told at the start and before saving, as the guest would live through a restart, and
 * be lost in a kexec. MemoryMax= has to permit it, and what QEMU takes on top; it is looked at in the same way.
 *
 * The unit needs FileDescriptorStoreMax=3 and FileDescriptorStorePreserve=yes.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <libluo.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define VERSION 1
#define TIMEOUT_USEC UINT64_C(90000000)
#define EXIT_STILL_SAVED 78
#define MIB (UINT64_C(1) << 20)
#define MEMORY_ID "luo-memory"

/* Whether the guest is saved, and what it did then: a guest that stood still does not go on */
enum {
        NOT_SAVED,
        SAVED_RUNNING,
        SAVED_STANDING,
};

/* What is stored as "machine" */
struct machine {
        uint32_t version;
        uint32_t saved; /* what follows is valid if the guest is */
        uint64_t memory_size;
        uint64_t devices_size;
        uint64_t saved_usec; /* when the guest was stopped, by the clock */
        uint64_t n_resumed;
        char qemu_version[64];
        uint32_t command_size;
        char command[16384 - 108]; /* what was behind "--", each with its NUL */
};
_Static_assert(sizeof(struct machine) == 16384, "the layout of what is stored");

static libluo_store *store;
static struct machine *machine;
static int memory_fd = -1, devices_fd = -1;

static uint64_t memory_size;
static bool sparse, accept_changes;
static char **command;
static char joined[sizeof(((struct machine *) NULL)->command)]; /* the same, as it is stored */
static size_t joined_size;

static pid_t qemu;
static int qmp_fd = -1;
static FILE *qmp;
static char qemu_version[sizeof(machine->qemu_version)], migration[16];

/* Says what is wrong. Returns -1. */
__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...) {
        va_list arguments;

        fprintf(stderr, "luo-example-vm: ");
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fprintf(stderr, ".\n");
        return -1;
}

static uint64_t now_usec(void) {
        struct timespec now = {};

        (void) clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...) {
        char status[512] = "STATUS=";
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(status + strlen("STATUS="), sizeof(status) - strlen("STATUS="), format, arguments);
        va_end(arguments);
        printf("%s\n", status + strlen("STATUS="));
        (void) fflush(stdout);
        (void) libluo_notify(status);
}

/* ---------------------------------------------------------------------------------------- what is in the store ---- */

static void set_saved(uint32_t saved) {
        __atomic_store_n(&machine->saved, saved, __ATOMIC_SEQ_CST);
}

/* The file of memory that is stored under the name, or a new one. Returns 1 if it was there, 0 if not. */
static int get_file(const char *name, int *ret_fd) {
        int fd, r = 1;

        fd = libluo_store_get_fd(store, name, 0);
        if (fd == -ENOENT) {
                fd = libluo_memfd_new(name, 0, 0);
                r = fd < 0 ? fd : libluo_store_put_fd(store, name, fd, 0);
        }
        if (fd < 0 || r < 0)
                return fail("\"%s\" in the fd store: %s", name, libluo_strerror(fd < 0 ? fd : r));

        *ret_fd = fd;
        return r;
}

/* Empties what a guest has left that is gone, and gives its memory back. */
static int forget_guest(void) {
        set_saved(NOT_SAVED);
        if (ftruncate(memory_fd, 0) < 0 || ftruncate(devices_fd, 0) < 0)
                return fail("cannot empty the memory of the guest: %s", strerror(errno));
        return 0;
}

static int open_store(void) {
        int has_machine, has_memory, has_devices, r;
        void *memory;

        r = libluo_store_open(0, &store);
        if (r < 0)
                return fail("the fd store: %s", libluo_strerror(r));

        has_machine = libluo_store_map(store, "machine", sizeof(*machine), VERSION, 0, &memory);
        if (has_machine < 0)
                return fail("\"machine\" in the fd store: %s", libluo_strerror(has_machine));
        machine = (struct machine *) memory;

        has_memory = get_file("memory", &memory_fd);
        has_devices = has_memory < 0 ? -1 : get_file("devices", &devices_fd);
        if (has_devices < 0)
                return -1;

        if (has_machine ? machine->saved && !(has_memory && has_devices) : has_memory || has_devices) {
                (void) fail("a part of what was stored is lost, and the guest with it: it boots");
                set_saved(NOT_SAVED);
        }

        r = libluo_store_barrier(store, TIMEOUT_USEC);
        return r < 0 ? fail("the service manager: %s", libluo_strerror(r)) : 0;
}

/* Looks whether the guest that is saved is the one that is asked for. */
static int check_saved(void) {
        struct stat memory, devices;

        if (fstat(memory_fd, &memory) < 0 || fstat(devices_fd, &devices) < 0)
                return fail("cannot look at what was saved: %s", strerror(errno));
        if ((uint64_t) memory.st_size != machine->memory_size ||
                (uint64_t) devices.st_size != machine->devices_size)
                return fail("what was saved is damaged: it has %jd bytes of memory and %jd of devices, not "
                            "%" PRIu64 " and %" PRIu64,
                        (intmax_t) memory.st_size, (intmax_t) devices.st_size, machine->memory_size,
                        machine->devices_size);
        if (machine->memory_size != memory_size)
                return fail("a guest with %" PRIu64 " MiB of memory is saved, and --memory= says %" PRIu64,
                        machine->memory_size / MIB, memory_size / MIB);
        if (!accept_changes &&
                (machine->command_size != joined_size ||
                        memcmp(machine->command, joined, joined_size) != 0)) {
                fprintf(stderr, "luo-example-vm: a guest with another command line is saved:");
                for (size_t i = 0; i < machine->command_size && i < sizeof(machine->command);
                        i += strnlen(machine->command + i, sizeof(machine->command) - i) + 1)
                        fprintf(stderr, " %.*s", (int) (sizeof(machine->command) - i), machine->command + i);
                fprintf(stderr, ".\n");
                return fail("--accept-changes lets QEMU try it with this one");
        }
        return 0;
}

/* The number behind the key of this file of a control group, or what is said otherwise ("max", no such file). */
static uint64_t read_group(const char *group, const char *file, const char *key, uint64_t otherwise) {
        char path[4200], line[256];
        uint64_t value = otherwise;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", group, file);
        f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, key, strlen(key)) == 0) {
                        (void) sscanf(line + strlen(key), "%" SCNu64, &value);
                        break;
                }
        if (f)
                (void) fclose(f);
        return value;
}

/*
 * How much more this program's control group may have, by its own limit and those above it. What goes over it ends a
 * process, without a word.
 */
static uint64_t group_room(void) {
        uint64_t room = UINT64_MAX;
        char group[4096] = "";
        FILE *f;

        f = fopen("/proc/self/cgroup", "re");
        while (f && fgets(group, sizeof(group), f) && strncmp(group, "0::", 3) != 0)
                *group = 0;
        if (f)
                (void) fclose(f);

        for (char *path = *group ? group + 3 : group, *end = path + strcspn(path, "\n"); end;
                end = strrchr(path, '/')) {
                uint64_t limit, used, cache;

                *end = 0;
                limit = read_group(path, "memory.max", "", UINT64_MAX);
                if (limit == UINT64_MAX)
                        continue;
                used = read_group(path, "memory.current", "", 0);
                /* The kernel takes that from it before it ends anybody */
                cache = read_group(path, "memory.stat", "active_file ", 0) +
                        read_group(path, "memory.stat", "inactive_file ", 0);
                used = used > cache ? used - cache : 0;
                limit = limit > used ? limit - used : 0;
                if (limit < room)
                        room = limit;
        }
        return room;
}

/* Allocates all of the memory, or says what it would cost to preserve it. */
static int check_memory(void) {
        libluo_preflight preflight;
        uint64_t room, missing;
        int r;

        r = libluo_fd_preflight(memory_fd, &preflight, sizeof(preflight));
        if (r < 0)
                return fail("\"memory\" in the fd store: %s", libluo_strerror(r));
        if (preflight.verdict != LIBLUO_VERDICT_FINE) {
                r = fail("a kexec would lose the memory of the guest: %s (%" PRIu64 " of %" PRIu64
                         " MiB are allocated)",
                        libluo_verdict_to_string(preflight.verdict), preflight.allocated / MIB,
                        preflight.size / MIB);
                return sparse && preflight.verdict == LIBLUO_VERDICT_HOLES ? 0 : r;
        }
        room = group_room();
        missing = preflight.size - preflight.allocated;
        if (missing > room) {
                r = fail("MemoryMax= is too low for the memory of the guest: %" PRIu64
                         " MiB are left, and %" PRIu64 " more are to be allocated",
                        room / MIB, missing / MIB);
                return sparse ? 0 : r;
        }
        if (!sparse && fallocate(memory_fd, 0, 0, (off_t) memory_size) < 0)
                return fail("cannot allocate the memory of the guest: %s", strerror(errno));
        return 0;
}

static int prepare_guest(void) {
        if (forget_guest() < 0)
                return -1;

        machine->memory_size = memory_size;
        machine->n_resumed = 0;
        if (ftruncate(memory_fd, (off_t) memory_size) < 0)
                return fail("cannot make the memory of the guest: %s", strerror(errno));
        return 0;
}

/* ------------------------------------------------------------------------------------------------------- QEMU ---- */

static void become_qemu(int socket_fd) {
        char size[32], object[128], connection[64];
        const char *more[] = { "-m", size, "-object", object, "-machine",
                "memory-backend=" MEMORY_ID,                             /* QEMU merges them */
                "-chardev", connection, "-qmp", "chardev:luo-qmp", "-S", /* stopped at first */
                "-incoming", "defer", NULL };
        const int fds[] = { memory_fd, devices_fd, socket_fd };
        size_t n = 0, n_more = sizeof(more) / sizeof(*more);
        sigset_t mask;
        char **all;

        /* Without this program nobody would save the guest. What is to end it is for this program, too */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGHUP);
        (void) sigprocmask(SIG_SETMASK, &mask, NULL);

        (void) snprintf(size, sizeof(size), "%" PRIu64 "M", memory_size / MIB);
        (void) snprintf(object, sizeof(object),
                "memory-backend-file,id=" MEMORY_ID ",share=on,size=%s,mem-path=/proc/self/fd/%i", size,
                memory_fd);
        (void) snprintf(connection, sizeof(connection), "socket,id=luo-qmp,fd=%i", socket_fd);

        while (command[n])
                n++;
        all = calloc(n + n_more, sizeof(*all));
        if (!all)
                _exit(EXIT_FAILURE);
        memcpy(all, command, n * sizeof(*all));
        memcpy(all + n, more, n_more * sizeof(*all));
        if (!machine->saved)
                all[n + n_more - 3] = NULL;

        for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
                (void) fcntl(fds[i], F_SETFD, 0);
        (void) execvp(all[0], all);
        (void) fail("cannot run %s: %s", all[0], strerror(errno));
        _exit(127);
}

/* Its end is told by wait_qemu() alone, and by itself. */
static bool qemu_is_gone(void) {
        return qmp && (feof(qmp) || ferror(qmp));
}

/*
 * Reads until the answer to a command comes, and notes what events say. Returns what it returned, or NULL on failure,
 * which was told if QEMU is not gone.
 */
static json_object *read_answer(const char *name) {
        char *line = NULL;
        size_t size = 0;

        while (getline(&line, &size, qmp) > 0) {
                json_object *message = json_tokener_parse(line), *value, *status;

                if (json_object_object_get_ex(message, "return", &value) ||
                        json_object_object_get_ex(message, "QMP", &value)) {
                        value = json_object_get(value);
                        json_object_put(message);
                        free(line);
                        return value;
                }
                if (name && json_object_object_get_ex(message, "error", &value)) {
                        (void) fail("QEMU refuses \"%s\": %s", name,
                                json_object_object_get_ex(value, "desc", &value)
                                        ? json_object_get_string(value)
                                        : "no reason");
                        json_object_put(message);
                        free(line);
                        return NULL;
                }
                if (json_object_object_get_ex(message, "event", &value) &&
                        strcmp(json_object_get_string(value), "MIGRATION") == 0 &&
                        json_object_object_get_ex(message, "data", &value) &&
                        json_object_object_get_ex(value, "status", &status))
                        (void) snprintf(migration, sizeof(migration), "%s", json_object_get_string(status));
                json_object_put(message);
                if (!name)
                        break;
        }

        free(line);
        return NULL;
}

/* Takes what QEMU says by itself, so that it can say more. */
static void read_event(void) {
        (void) read_answer(NULL);
}

/* arguments are JSON, or NULL. Returns what read_answer() does. */
static json_object *ask(const char *name, const char *arguments) {
        /* If QEMU is gone, reading finds that out */
        if (dprintf(qmp_fd, "{\"execute\":\"%s\"%s%s}\n", name, arguments ? ",\"arguments\":" : "",
                    arguments ? arguments : "") < 0 &&
                errno != EPIPE) {
                (void) fail("QEMU cannot be asked for \"%s\": %s", name, strerror(errno));
                return NULL;
        }
        return read_answer(name);
}

static int order(const char *name, const char *arguments) {
        json_object *answer = ask(name, arguments);

        json_object_put(answer);
        return answer ? 0 : -1;
}

/* Saves or loads, and waits until this is done. What is what it does then. */
static int migrate(const char *name, const char *more, const char *what) {
        json_object *answer, *reason;
        char arguments[128];

        (void) snprintf(
                arguments, sizeof(arguments), "{\"uri\":\"file:/proc/self/fd/%i\"%s}", devices_fd, more);
        *migration = 0;
        if (order(name, arguments) < 0)
                return -1;
        /* Who has its monitor can cancel it */
        while (strcmp(migration, "completed") != 0 && strcmp(migration, "failed") != 0 &&
                strcmp(migration, "cancelled") != 0 && !qemu_is_gone())
                read_event();
        if (strcmp(migration, "completed") == 0)
                return 0;

        answer = ask("query-migrate", NULL);
        if (answer)
                (void) fail("QEMU %s cannot %s: %s", qemu_version, what,
                        json_object_object_get_ex(answer, "error-desc", &reason)
                                ? json_object_get_string(reason)
                                : migration);
        json_object_put(answer);
        return -1;
}

/* QEMU leaves out what is in shared files, whoever has them. */
static int check_backends(void) {
        json_object *backends = ask("query-memdev", NULL), *backend, *value;
        const char *other = NULL;
        size_t n = json_object_is_type(backends, json_type_array) ? json_object_array_length(backends) : 0;
        int r = backends ? 0 : -1;

        for (size_t i = 0; i < n && !other; i++) {
                backend = json_object_array_get_idx(backends, i);
                if (json_object_object_get_ex(backend, "share", &value) && json_object_get_boolean(value))
                        other = json_object_object_get_ex(backend, "id", &value)
                                ? json_object_get_string(value)
                                : "";
                if (other && strcmp(other, MEMORY_ID) == 0)
                        other = NULL;
        }
        if (other)
                r = fail(
                        "the guest cannot be saved: QEMU's memory backend \"%s\" is shared, and nobody keeps it",
                        other);
        json_object_put(backends);
        return r;
}

/* What saving takes is asked for at the start, too, so that no guest runs that cannot be saved. */
static int set_up_migration(void) {
        json_object *answer, *reasons;
        int r;

        r = check_backends();
        if (r >= 0)
                r = order("migrate-set-capabilities",
                        "{\"capabilities\":[{\"capability\":\"x-ignore-shared\",\"state\":true},"
                        "{\"capability\":\"events\",\"state\":true}]}");
        if (r >= 0)
                r = order("migrate-set-parameters", "{\"mode\":\"cpr-reboot\"}");
        answer = r < 0 ? NULL : ask("query-migrate", NULL);
        if (!answer)
                return -1;
        if (json_object_object_get_ex(answer, "blocked-reasons", &reasons))
                r = fail("the guest cannot be saved: %s", json_object_to_json_string(reasons));
        json_object_put(answer);
        return r;
}

static int get_int(json_object *object, const char *name) {
        json_object *value;

        return json_object_object_get_ex(object, name, &value) ? json_object_get_int(value) : 0;
}

static int start_qemu(void) {
        json_object *greeting, *version;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return fail("cannot make a socket: %s", strerror(errno));
        qemu = fork();
        if (qemu < 0)
                return fail("cannot fork: %s", strerror(errno));
        if (qemu == 0)
                become_qemu(fds[1]);
        close(fds[1]);
        qmp_fd = fds[0];
        qmp = fdopen(qmp_fd, "r");
        if (!qmp)
                return fail("%s", strerror(ENOMEM));

        greeting = read_answer("greeting");
        if (!greeting)
                return -1;
        if (json_object_object_get_ex(greeting, "version", &version) &&
                json_object_object_get_ex(version, "qemu", &version))
                (void) snprintf(qemu_version, sizeof(qemu_version), "%i.%i.%i", get_int(version, "major"),
                        get_int(version, "minor"), get_int(version, "micro"));
        json_object_put(greeting);
        return order("qmp_capabilities", NULL);
}

/* From here on the guest runs, or whoever has stopped it can let it; or it has not run, and stays saved if it was. */
static int run_guest(void) {
        uint32_t saved = machine->saved;

        set_saved(NOT_SAVED);
        if (saved != SAVED_STANDING && order("cont", NULL) < 0) {
                /* Disks are not locked before this, for example, and may be in use. Without an answer nobody knows
                 * whether it has run */
                if (!qemu_is_gone())
                        set_saved(saved);
                else if (saved)
                        (void) fail("the guest that was saved is lost with QEMU, as it may have gone on");
                return -1;
        }
        memcpy(machine->command, joined, joined_size);
        machine->command_size = (uint32_t) joined_size;
        (void) snprintf(machine->qemu_version, sizeof(machine->qemu_version), "%s", qemu_version);
        return 0;
}

static int resume_guest(void) {
        bool stands = machine->saved == SAVED_STANDING;
        uint64_t paused_usec, now;
        char what[128];

        (void) snprintf(what, sizeof(what), "load what QEMU %.*s has saved",
                (int) sizeof(machine->qemu_version), machine->qemu_version);
        if (migrate("migrate-incoming", ",\"exit-on-error\":false", what) < 0 || run_guest() < 0)
                return -1;

        now = now_usec();
        paused_usec = now > machine->saved_usec ? now - machine->saved_usec : 0; /* clocks are set */
        machine->n_resumed++;
        tell("The guest %s, saved and resumed %" PRIu64 " times: %" PRIu64
             " MiB of memory kept, none copied, %" PRIu64 " KiB of devices read, paused for %" PRIu64
             ".%03" PRIu64 " s",
                stands ? "is there again, and stands still as before" : "goes on", machine->n_resumed,
                machine->memory_size / MIB, (machine->devices_size + 1023) / 1024, paused_usec / 1000000,
                paused_usec / 1000 % 1000);
        return 0;
}

/* With accel=kvm:tcg and no right to /dev/kvm it is emulated, which is slow, and never goes on with KVM. */
static bool has_kvm(void) {
        json_object *answer = ask("query-kvm", NULL), *value;
        bool has = json_object_object_get_ex(answer, "enabled", &value) && json_object_get_boolean(value);

        json_object_put(answer);
        return has;
}

static int boot_guest(void) {
        bool kvm = has_kvm();

        if (run_guest() < 0)
                return -1;
        tell("The guest boots, with %" PRIu64 " MiB of memory, %s KVM", machine->memory_size / MIB,
                kvm ? "with" : "without");
        return 0;
}

/*
 * Returns its exit status, -1 if it was killed, or with WNOHANG -EAGAIN if it is still there. What ends it with another
 * status than 0 it has told itself.
 */
static int wait_qemu(int flags) {
        int status;
        pid_t pid;

        pid = waitpid(qemu, &status, flags);
        if (pid == 0)
                return -EAGAIN;
        qemu = 0;
        if (pid < 0)
                return fail("cannot wait for QEMU: %s", strerror(errno));
        if (WIFSIGNALED(status))
                return fail("QEMU was killed by signal %i", WTERMSIG(status));
        return WEXITSTATUS(status);
}

/* A guest that sleeps goes on sleeping. All else has stopped it: its operator, a disk that is full. */
static int get_state(uint32_t *ret) {
        json_object *answer = ask("query-status", NULL), *value;
        const char *status;

        if (!answer)
                return -1;
        status = json_object_object_get_ex(answer, "status", &value) ? json_object_get_string(value) : "";
        *ret = strcmp(status, "running") == 0 || strcmp(status, "suspended") == 0 ? SAVED_RUNNING
                                                                                  : SAVED_STANDING;
        json_object_put(answer);
        return 0;
}

/* Stops the guest for good, with all that the next start needs. */
static int save_guest(void) {
        uint64_t begin_usec = now_usec();
        uint32_t state;
        struct stat st;

        (void) check_memory();
        if (get_state(&state) < 0 || set_up_migration() < 0 || migrate("migrate", "", "save the guest") < 0)
                return -1;
        if (fstat(devices_fd, &st) < 0)
                return fail("cannot look at what was saved: %s", strerror(errno));

        machine->saved_usec = begin_usec;
        machine->devices_size = (uint64_t) st.st_size;
        set_saved(state);
        tell("The guest is saved, in %" PRIu64 " ms: %" PRIu64 " KiB of devices written",
                (now_usec() - begin_usec) / 1000, (machine->devices_size + 1023) / 1024);
        return 0;
}

/* --------------------------------------------------------------------------------------------- the life of it ---- */

/* Until the guest is saved or gone. Returns an exit status. */
static int stay(int signals_fd) {
        struct pollfd fds[] = { { .fd = signals_fd, .events = POLLIN }, { .fd = qmp_fd, .events = POLLIN } };
        struct signalfd_siginfo info;
        bool is_ending = false;

        for (;;) {
                if (poll(fds, 2, -1) < 0)
                        return fail("poll: %s", strerror(errno)), EXIT_FAILURE;
                if (fds[1].revents & POLLIN)
                        read_event();
                if (qemu_is_gone() || (fds[1].revents & ~POLLIN))
                        fds[1].fd = -1; /* poll(2) leaves it out; SIGCHLD follows */
                if (!fds[0].revents || read(signals_fd, &info, sizeof(info)) != (ssize_t) sizeof(info))
                        continue;

                if (info.ssi_signo == SIGCHLD) {
                        int status = wait_qemu(WNOHANG);

                        if (status == -EAGAIN) /* it was stopped, by a debugger perhaps */
                                continue;
                        if (status == 0)
                                tell("The guest is off");
                        return status == 0 && !is_ending ? EXIT_SUCCESS : EXIT_FAILURE;
                }
                if (is_ending)
                        continue;
                if (save_guest() >= 0) {
                        (void) order("quit", NULL);
                        (void) wait_qemu(0);
                        return EXIT_SUCCESS;
                }
                if (qemu_is_gone())
                        continue; /* the guest was shut down at that moment, perhaps */

                is_ending = true;
                tell("The guest could not be saved, and is asked to shut down");
                (void) order("cont", NULL);
                (void) order("system_powerdown", NULL);
        }
}

static int start_guest(void) {
        if (machine->saved ? check_saved() < 0 : prepare_guest() < 0)
                return -1;
        if (check_memory() < 0 || start_qemu() < 0 || set_up_migration() < 0)
                return -1;
        return machine->saved ? resume_guest() : boot_guest();
}

/* What QEMU takes and saves, and what would not be the same guest afterwards. */
static int check_word(const char *word) {
        const char *option = *word == '-' ? word + 1 + (word[1] == '-') : "";

        if (strcmp(option, "daemonize") == 0)
                return fail("%s: QEMU has to stay where its end can be seen", word);
        if (strcmp(option, "snapshot") == 0 || strstr(word, "snapshot=on"))
                return fail(
                        "%s: the guest cannot be saved, as what it has written to its disks ends with QEMU",
                        word);
        return 0;
}

static int parse_arguments(int argc, char *argv[]) {
        static const struct option options[] = {
                { "memory", required_argument, NULL, 'm' },
                { "sparse", no_argument, NULL, 's' },
                { "accept-changes", no_argument, NULL, 'a' },
                {},
        };
        char *end = NULL;
        int c;

        while ((c = getopt_long(argc, argv, "+", options, NULL)) >= 0)
                switch (c) {
                case 'm':
                        memory_size = strtoull(optarg, &end, 10);
                        if (memory_size == 0 || memory_size > UINT32_MAX || (*end != 'M' && *end != 'G') ||
                                end[1])
                                return fail("--memory=%s: not a size, as 512M or 2G", optarg);
                        memory_size *= *end == 'M' ? MIB : 1024 * MIB;
                        break;
                case 's':
                        sparse = true;
                        break;
                case 'a':
                        accept_changes = true;
                        break;
                default:
                        return -1;
                }

        command = argv + optind;
        if (memory_size == 0 || !*command)
                return fail("usage: luo-example-vm --memory=SIZE [--sparse] [--accept-changes] -- QEMU "
                            "[ARGUMENT...]");
        for (char **word = command; *word; word++) {
                size_t size = strlen(*word) + 1;

                if (check_word(*word) < 0)
                        return -1;
                if (size > sizeof(joined) - joined_size)
                        return fail("the command line of QEMU is too long");
                memcpy(joined + joined_size, *word, size);
                joined_size += size;
        }
        return 0;
}

int main(int argc, char *argv[]) {
        int signals_fd, status = EXIT_FAILURE;
        sigset_t mask;

        if (parse_arguments(argc, argv) < 0)
                return EXIT_FAILURE;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        /* For QEMU, too: a limit of file sizes is an error, and not the end */
        (void) signal(SIGXFSZ, SIG_IGN);
        signals_fd = signalfd(-1, &mask, SFD_CLOEXEC);
        if (signals_fd < 0)
                return fail("signalfd: %s", strerror(errno)), EXIT_FAILURE;

        if (open_store() < 0)
                return EXIT_FAILURE;

        if (start_guest() >= 0) {
                (void) libluo_notify("READY=1");
                status = stay(signals_fd);
        }
        if (qemu > 0 && qemu_is_gone() && wait_qemu(0) == 0)
                (void) fail("QEMU has ended, and has not run the guest");
        if (qemu > 0) {
                (void) kill(qemu, SIGKILL);
                (void) waitpid(qemu, NULL, 0);
        }

        if (machine->saved && status != EXIT_SUCCESS) {
                (void) fail("the guest stays saved: start it again when this is mended, or drop it with "
                            "\"systemctl clean --what=fdstore UNIT\"");
                return EXIT_STILL_SAVED;
        }
        if (machine->saved)
                return status;
        (void) forget_guest(); /* nobody needs its memory */
        return status;
}
