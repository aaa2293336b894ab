/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/utsname.h>

#include <libluo.h>

#include "luoctl.h"
#include "output.h"

#define DEVICE "/dev/liveupdate"

/* What the kernel's command line says about a switch */
enum command_line_switch {
        SWITCH_NOT_GIVEN,
        SWITCH_OFF,
        SWITCH_ON,
};

struct status {
        const char *state;
        int error; /* of opening the device, or of trying it out: negative, or 0 */
        bool device_exists;
        uint64_t features;
        struct utsname kernel;
        enum command_line_switch kho, liveupdate;
        bool has_holder;
        pid_t holder_pid;
        char holder_name[64];
};

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
                        found = strcmp(target, DEVICE) == 0;
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

/* What the kernel takes for a boolean, see kstrtobool() of lib/kstrtox.c. */
static enum command_line_switch parse_switch(const char *value) {
        char second = *value == 'o' || *value == 'O' ? value[1] : 0;

        if (strchr("yYtT1", *value) || second == 'n' || second == 'N')
                return SWITCH_ON;
        if (strchr("nNfF0", *value) || second == 'f' || second == 'F')
                return SWITCH_OFF;
        return SWITCH_NOT_GIVEN; /* the kernel ignores it */
}

/* The last one counts, and what follows "--" is for the first process. */
static void read_command_line(enum command_line_switch *ret_kho, enum command_line_switch *ret_liveupdate) {
        enum command_line_switch kho = SWITCH_NOT_GIVEN, liveupdate = SWITCH_NOT_GIVEN;
        char line[4096], *rest = line;
        const char *word;
        FILE *f;

        f = fopen("/proc/cmdline", "re");
        if (f) {
                if (fgets(line, sizeof(line), f)) {
                        while ((word = strsep(&rest, " \n")) && strcmp(word, "--") != 0)
                                if (strncmp(word, "kho=", 4) == 0 && word[4])
                                        kho = parse_switch(word + 4);
                                else if (strncmp(word, "liveupdate=", 11) == 0 && word[11])
                                        liveupdate = parse_switch(word + 11);
                }
                (void) fclose(f);
        }

        *ret_kho = kho;
        *ret_liveupdate = liveupdate;
}

static const char *switch_to_string(enum command_line_switch value) {
        switch (value) {
        case SWITCH_ON:
                return "on";
        case SWITCH_OFF:
                return "off";
        default:
                return NULL;
        }
}

static const char *advice(const struct status *s) {
        if (s->error == -ENODEV && s->device_exists)
                return "the device node is left over or made by hand: the kernel has no driver for it";
        if (s->error == -ENODEV && (s->kho != SWITCH_ON || s->liveupdate != SWITCH_ON))
                return "boot with kho=on liveupdate=on on the kernel command line";
        if (s->error == -ENODEV)
                return "LUO is asked for, so the kernel lacks it: CONFIG_LIVEUPDATE, of Linux 6.19 and later";
        if (s->error == -EIO)
                return "see the kernel's log; the next boot begins anew";
        return NULL;
}

static void print_json(const struct status *s) {
        struct json j = {};

        json_begin(&j, NULL, '{');
        json_string(&j, "device", DEVICE);
        json_boolean(&j, "deviceExists", s->device_exists);
        json_string(&j, "state", s->state);
        json_string(&j, "kernel", s->kernel.release);
        json_begin(&j, "commandLine", '{');
        json_string(&j, "kho", switch_to_string(s->kho));
        json_string(&j, "liveupdate", switch_to_string(s->liveupdate));
        json_end(&j, '{');

        if (s->error == 0) {
                json_begin(&j, "features", '[');
                if (s->features & LIBLUO_FEATURE_SESSION_GET_NAME)
                        json_string(&j, NULL, "session-get-name");
                json_end(&j, '[');
                json_begin(&j, "limits", '{');
                json_unsigned(&j, "sessionName", LIBLUO_SESSION_NAME_MAX);
                json_unsigned(&j, "sessionNameReadable",
                        s->features & LIBLUO_FEATURE_SESSION_GET_NAME ? LIBLUO_SESSION_NAME_MAX
                                                                      : LIBLUO_SESSION_NAME_READABLE_MAX);
                json_boolean(&j, "counts", !(s->features & LIBLUO_FEATURE_SESSION_GET_NAME));
                json_end(&j, '{');
        }

        if (s->has_holder) {
                json_begin(&j, "holder", '{');
                json_unsigned(&j, "pid", (uint64_t) s->holder_pid);
                json_string(&j, "name", s->holder_name);
                json_end(&j, '{');
        }
        json_end(&j, '{');
        json_finish();
}

static void print_switch(const char *name, enum command_line_switch value) {
        if (value != SWITCH_NOT_GIVEN)
                printf("%s=%s", name, switch_to_string(value));
        else
                printf("%s not given", name);
}

static void print_lines(const struct status *s) {
        const char *hint = advice(s);

        printf("      Device: " DEVICE "%s\n", s->device_exists ? "" : " (is not there)");
        printf("       State: %s\n", s->state);
        if (s->error < 0)
                printf("      Reason: %s\n", libluo_strerror(s->error));
        if (hint)
                printf("      Advice: %s\n", hint);
        if (s->has_holder) {
                printf("      Holder: ");
                print_text(s->holder_name);
                printf(" (PID %" PRIiMAX ")\n", (intmax_t) s->holder_pid);
        }
        printf("      Kernel: Linux ");
        print_text(s->kernel.release);
        printf("\nCommand line: ");
        print_switch("kho", s->kho);
        printf(", ");
        print_switch("liveupdate", s->liveupdate);
        printf("\n");

        if (s->error == 0) {
                bool get_name = s->features & LIBLUO_FEATURE_SESSION_GET_NAME;

                printf("    Features: %s\n", get_name ? "session-get-name" : "none beyond Linux 6.19");
                if (get_name)
                        printf("      Limits: names of sessions up to %i bytes, no limits on counts\n",
                                LIBLUO_SESSION_NAME_MAX);
                else
                        printf("      Limits: names of sessions up to %i bytes, readable up to %i; counts are limited\n",
                                LIBLUO_SESSION_NAME_MAX, LIBLUO_SESSION_NAME_READABLE_MAX);
        }
}

int command_status(const struct arguments *arguments) {
        struct status s = {};
        int fd;

        fd = libluo_device_open(0);
        if (fd >= 0) {
                s.error = libluo_device_probe(fd, &s.features);
                (void) close(fd);
        } else
                s.error = fd;

        switch (s.error) {
        case 0:
                s.state = "available";
                break;
        case -ENODEV:
                s.state = "not available";
                break;
        case -EBUSY:
                s.state = "busy";
                s.has_holder = find_holder(&s.holder_pid, s.holder_name);
                break;
        case -EIO:
                s.state = "broken";
                break;
        default:
                return fail(s.error, DEVICE ": %s", libluo_strerror(s.error));
        }

        s.device_exists = access(DEVICE, F_OK) >= 0;
        read_command_line(&s.kho, &s.liveupdate);
        if (uname(&s.kernel) < 0)
                return fail(-errno, "uname() failed: %s", strerror(errno));

        if (arguments->json)
                print_json(&s);
        else
                print_lines(&s);

        return exit_status(s.error);
}
