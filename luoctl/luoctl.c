/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libluo.h>

/* Exit codes, see luoctl(1). */
enum {
        EXIT_NOT_AVAILABLE = 3, /* no LUO in this kernel */
        EXIT_BUSY = 4,
        EXIT_USAGE = 2,
};

static bool arg_json = false;

/* Finds out who holds the device: at most one process can. Returns false if nobody is seen to. */
static bool find_holder(pid_t *ret_pid, char ret_name[static 64]) {
        struct dirent *process;
        bool found = false;
        DIR *proc;

        proc = opendir("/proc");
        if (!proc)
                return false;

        while (!found && (process = readdir(proc))) {
                char path[300];
                struct dirent *entry;
                DIR *fds;

                if (process->d_name[0] < '1' || process->d_name[0] > '9')
                        continue;

                (void) snprintf(path, sizeof(path), "/proc/%s/fd", process->d_name);
                fds = opendir(path);
                if (!fds)
                        continue;

                while (!found && (entry = readdir(fds))) {
                        char target[64];
                        ssize_t n;

                        n = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);
                        if (n < 0)
                                continue;
                        target[n] = 0;
                        found = strcmp(target, "/dev/liveupdate") == 0;
                }

                (void) closedir(fds);

                if (found) {
                        FILE *f;

                        *ret_pid = (pid_t) strtol(process->d_name, NULL, 10);
                        (void) snprintf(path, sizeof(path), "/proc/%s/comm", process->d_name);
                        (void) snprintf(ret_name, 64, "?");

                        f = fopen(path, "re");
                        if (f) {
                                if (fgets(ret_name, 64, f))
                                        ret_name[strcspn(ret_name, "\n")] = 0;
                                (void) fclose(f);
                        }
                }
        }

        (void) closedir(proc);
        return found;
}

static void print_json_string(const char *s) {
        putchar('"');
        for (; *s; s++)
                if (*s == '"' || *s == '\\')
                        printf("\\%c", *s);
                else if ((unsigned char) *s < 0x20 || (unsigned char) *s >= 0x7f)
                        printf("\\u%04x", (unsigned char) *s);
                else
                        putchar(*s);
        putchar('"');
}

static int verb_status(void) {
        char holder_name[64];
        pid_t holder_pid = 0;
        uint64_t features = 0;
        const char *state;
        bool holder = false;
        int fd, r = 0;

        fd = libluo_device_open(0);
        if (fd >= 0) {
                r = libluo_device_probe(fd, &features);
                (void) close(fd);
        } else
                r = fd;

        switch (r) {
        case 0:
                state = "available";
                break;
        case -ENODEV:
                state = "not available";
                break;
        case -EBUSY:
                state = "busy";
                holder = find_holder(&holder_pid, holder_name);
                break;
        case -EIO:
                state = "broken";
                break;
        default:
                fprintf(stderr, "luoctl: /dev/liveupdate: %s.\n", libluo_strerror(r));
                return EXIT_FAILURE;
        }

        if (arg_json) {
                printf("{\"device\":\"/dev/liveupdate\",\"state\":");
                print_json_string(state);
                if (r == 0)
                        printf(",\"features\":[%s]",
                                features & LIBLUO_FEATURE_SESSION_GET_NAME ? "\"session-get-name\"" : "");
                if (holder) {
                        printf(",\"holder\":{\"pid\":%" PRIiMAX ",\"name\":", (intmax_t) holder_pid);
                        print_json_string(holder_name);
                        printf("}");
                }
                printf("}\n");
        } else {
                printf("  Device: /dev/liveupdate\n");
                printf("   State: %s\n", state);
                if (r < 0)
                        printf("  Reason: %s\n", libluo_strerror(r));
                if (r == 0)
                        printf("Features: %s\n",
                                features & LIBLUO_FEATURE_SESSION_GET_NAME ? "session-get-name" : "-");
                if (holder)
                        printf("  Holder: %s (PID %" PRIiMAX ")\n", holder_name, (intmax_t) holder_pid);
        }

        switch (r) {
        case 0:
                return EXIT_SUCCESS;
        case -ENODEV:
                return EXIT_NOT_AVAILABLE;
        case -EBUSY:
                return EXIT_BUSY;
        default:
                return EXIT_FAILURE;
        }
}

static const struct verb {
        const char *name;
        int (*run)(void);
        const char *help;
} verbs[] = {
        { "status", verb_status, "Show whether this kernel can keep file descriptors over a kexec" },
};

static void help(void) {
        printf("luoctl [OPTIONS...] COMMAND\n\n"
               "Look at the kernel's Live Update Orchestrator.\n\n"
               "Commands:\n");
        for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
                printf("  %-10s %s\n", verbs[i].name, verbs[i].help);
        printf("\nOptions:\n"
               "  -h --help     Show this help\n"
               "     --version  Show the version\n"
               "     --json     Print JSON\n\n"
               "See the luoctl(1) man page for details.\n");
}

int main(int argc, char *argv[]) {
        enum {
                ARG_VERSION = 0x100,
                ARG_JSON,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "json", no_argument, NULL, ARG_JSON },
                {},
        };
        int c, r = -1;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return EXIT_SUCCESS;
                case ARG_VERSION:
                        printf("luoctl %s\n", libluo_version());
                        return EXIT_SUCCESS;
                case ARG_JSON:
                        arg_json = true;
                        break;
                default:
                        fprintf(stderr, "Try \"luoctl --help\".\n");
                        return EXIT_USAGE;
                }

        if (argc - optind != 1) {
                fprintf(stderr, "luoctl: %s. Try \"luoctl --help\".\n",
                        argc == optind ? "a command is missing" : "too many arguments");
                return EXIT_USAGE;
        }

        for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
                if (strcmp(argv[optind], verbs[i].name) == 0)
                        r = verbs[i].run();
        if (r < 0) {
                fprintf(stderr, "luoctl: unknown command \"%s\". Try \"luoctl --help\".\n", argv[optind]);
                return EXIT_USAGE;
        }

        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "luoctl: cannot write: %s\n", strerror(errno));
                return EXIT_FAILURE;
        }

        return r;
}
