/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Whether the kernel has LUO, and the one reason why it has not */

/* What is needed at least: by libluo, and by systemd with this project's patches */
#define KERNEL_MINIMUM "6.19"
#define KERNEL_MINIMUM_SYSTEMD "7.2"

#define DEVICE "/dev/liveupdate"

/* What the kernel's command line says about a switch */
enum command_line_switch {
        SWITCH_NOT_GIVEN,
        SWITCH_OFF,
        SWITCH_ON,
};

/* Whether LUO was built into the kernel */
enum configured {
        CONFIGURED_UNKNOWN,
        CONFIGURED_NO,
        CONFIGURED_YES,
};

struct kernel_facts {
        char release[65];
        enum command_line_switch kho, liveupdate;
        enum configured configured;
};

struct kernel_reason {
        const char *id;   /* for programs */
        const char *text; /* a sentence without a full stop */
};

/* Files of the system below root, "" for this machine */
FILE *open_below(const char *root, const char *path);
bool exists_below(const char *root, const char *path);
/* Reads a line, without its end. Returns false if there is none. */
bool read_line_below(const char *root, const char *path, char *ret, size_t size);

/* Whether this kernel was started by a kexec; true also where that cannot be found out. */
bool kernel_is_booted_by_kexec(const char *root);

/* Looks below root, "" for this machine, for /proc and /boot. */
void kernel_read_facts(const char *root, struct kernel_facts *ret);

/* The reason why there is no device. Never NULL. */
struct kernel_reason kernel_reason(const struct kernel_facts *facts);

/* Whether a release like "6.19.3-amd64" is at least a version like "6.19" */
bool kernel_is_at_least(const char *release, const char *version);

/* Says why the device cannot be opened. Returns an exit status. */
int device_failed(int error);

const char *switch_to_string(enum command_line_switch value);
