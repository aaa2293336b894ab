/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libluo-manager.h>

#include "kernel.h"
#include "luoctl.h"
#include "output.h"

struct status {
        const char *state;
        int error;                   /* of opening the device, or of trying it out: negative, or 0 */
        struct kernel_reason reason; /* if there is an error */
        bool device_exists;
        uint64_t features;
        struct kernel_facts kernel;
        bool has_holder;
        pid_t holder_pid;
        char holder_name[64];
};

/* systemd's sessions have longer names than can be read back before that */
static bool is_enough_for_systemd(const struct status *s) {
        return s->error == 0 && s->features & LIBLUO_FEATURE_SESSION_GET_NAME;
}

static void print_json(const struct status *s) {
        struct json j = {};

        json_begin(&j, NULL, '{');
        json_string(&j, "device", DEVICE);
        json_boolean(&j, "deviceExists", s->device_exists);
        json_string(&j, "state", s->state);
        if (s->error < 0) {
                json_string(&j, "reason", s->reason.id);
                json_string(&j, "reasonText", s->reason.text);
        }
        json_string(&j, "kernel", s->kernel.release);
        json_begin(&j, "minimumKernel", '{');
        json_string(&j, "libluo", KERNEL_MINIMUM);
        json_string(&j, "systemd", KERNEL_MINIMUM_SYSTEMD);
        json_end(&j, '{');
        json_begin(&j, "commandLine", '{');
        json_string(&j, "kho", switch_to_string(s->kernel.kho));
        json_string(&j, "liveupdate", switch_to_string(s->kernel.liveupdate));
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
        printf("      Device: " DEVICE "%s\n",
                !s->device_exists             ? " (is not there)"
                        : s->error == -ENODEV ? " (a left-over: no driver has it)"
                                              : "");
        printf("       State: %s\n", s->state);
        if (s->error < 0)
                printf("      Reason: %s\n", s->reason.text);
        if (s->has_holder) {
                printf("      Holder: ");
                print_text(s->holder_name);
                printf(" (PID %" PRIiMAX ")\n", (intmax_t) s->holder_pid);
        }
        printf("      Kernel: Linux ");
        print_text(s->kernel.release);
        printf(" (needed: " KERNEL_MINIMUM " for libluo, " KERNEL_MINIMUM_SYSTEMD
               " for systemd with libluo%s)\n",
                s->error == 0 && !is_enough_for_systemd(s) ? ", which this one is too old for" : "");
        printf("Command line: ");
        print_switch("kho", s->kernel.kho);
        printf(", ");
        print_switch("liveupdate", s->kernel.liveupdate);
        printf("\n");

        if (s->error == 0) {
                bool get_name = s->features & LIBLUO_FEATURE_SESSION_GET_NAME;

                printf("    Features: %s\n", get_name ? "session-get-name" : "none beyond Linux 6.19");
                if (get_name)
                        printf("      Limits: names of sessions up to %i bytes, no limits on counts\n",
                                LIBLUO_SESSION_NAME_MAX);
                else
                        printf("      Limits: names of sessions up to %i bytes, readable up to %i; "
                               "counts are limited\n",
                                LIBLUO_SESSION_NAME_MAX, LIBLUO_SESSION_NAME_READABLE_MAX);
        }
}

static void find_reason(struct status *s) {
        switch (s->error) {
        case 0:
                s->state = "available";
                break;
        case -ENODEV:
                s->state = "not available";
                s->reason = kernel_reason(&s->kernel);
                break;
        case -EBUSY:
                s->state = "busy";
                s->has_holder =
                        libluo_device_holder(&s->holder_pid, s->holder_name, sizeof(s->holder_name)) >= 0;
                s->reason = s->has_holder
                        ? (struct kernel_reason) { "busy", "another process has the device open" }
                        : (struct kernel_reason) { "busy",
                                  "a process that this user may not look into has the device open" };
                break;
        case -EIO:
                s->state = "broken";
                s->reason = (struct kernel_reason) { "broken",
                        "the kernel cannot read what its predecessor left; the next boot begins anew" };
                break;
        case -EACCES:
                s->state = "not permitted";
                s->reason = (struct kernel_reason) { "not-permitted", "only root may open the device" };
                break;
        default:
                s->state = "failed";
                s->reason = (struct kernel_reason) { "failed", libluo_strerror(s->error) };
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

        s.device_exists = access(DEVICE, F_OK) >= 0;
        kernel_read_facts("", &s.kernel);
        find_reason(&s);

        if (arguments->json)
                print_json(&s);
        else
                print_lines(&s);

        return exit_status(s.error);
}
