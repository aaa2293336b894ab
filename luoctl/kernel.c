/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/utsname.h>

#include <libluo-manager.h>

#include "kernel.h"
#include "luoctl.h"

/* What the kernel takes for a boolean, see kstrtobool() of lib/kstrtox.c. */
static enum command_line_switch parse_switch(const char *value) {
        char second = *value == 'o' || *value == 'O' ? value[1] : 0;

        if (strchr("yYtT1", *value) || second == 'n' || second == 'N')
                return SWITCH_ON;
        if (strchr("nNfF0", *value) || second == 'f' || second == 'F')
                return SWITCH_OFF;
        return SWITCH_NOT_GIVEN; /* the kernel ignores it */
}

const char *switch_to_string(enum command_line_switch value) {
        switch (value) {
        case SWITCH_ON:
                return "on";
        case SWITCH_OFF:
                return "off";
        default:
                return NULL;
        }
}

FILE *open_below(const char *root, const char *path) {
        char full[PATH_MAX];

        if ((size_t) snprintf(full, sizeof(full), "%s%s", root, path) >= sizeof(full)) {
                errno = ENAMETOOLONG;
                return NULL;
        }
        return fopen(full, "re");
}

bool read_line_below(const char *root, const char *path, char *ret, size_t size) {
        bool found;
        FILE *f;

        f = open_below(root, path);
        if (!f)
                return false;

        found = fgets(ret, (int) size, f);
        (void) fclose(f);
        if (found)
                ret[strcspn(ret, "\n")] = 0;
        return found;
}

bool exists_below(const char *root, const char *path) {
        FILE *f = open_below(root, path);

        if (f)
                (void) fclose(f);
        return f;
}

/* The last one counts, and what follows "--" is for the first process. */
static void read_command_line(const char *root, struct kernel_facts *facts) {
        char line[4096], *rest = line;
        const char *word;
        FILE *f;

        f = open_below(root, "/proc/cmdline");
        if (!f)
                return;

        if (!fgets(line, sizeof(line), f))
                rest = NULL;
        while ((word = strsep(&rest, " \n")) && strcmp(word, "--") != 0) {
                if (strncmp(word, "kho=", 4) == 0 && word[4])
                        facts->kho = parse_switch(word + 4);
                else if (strncmp(word, "liveupdate=", 11) == 0 && word[11])
                        facts->liveupdate = parse_switch(word + 11);
        }
        (void) fclose(f);
}

/* Whether a file has a line that contains this. Returns -1 if it is not there, or empty. */
static int has_line(const char *root, const char *path, const char *text) {
        char line[512];
        int found = -1;
        FILE *f;

        f = open_below(root, path);
        if (!f)
                return -1;

        while (found <= 0 && fgets(line, sizeof(line), f))
                found = strstr(line, text) != NULL;
        (void) fclose(f);
        return found;
}

/* The kernel's own list of symbols says it for the kernel that runs; the distribution's files only should. */
static enum configured read_configured(const char *root, const char *release) {
        char path[128];
        int found;

        found = has_line(root, "/proc/kallsyms", " liveupdate_enabled");
        if (found < 0) {
                (void) snprintf(path, sizeof(path), "/boot/config-%s", release);
                found = has_line(root, path, "CONFIG_LIVEUPDATE=y");
        }

        return found < 0 ? CONFIGURED_UNKNOWN : found > 0 ? CONFIGURED_YES : CONFIGURED_NO;
}

void kernel_read_facts(const char *root, struct kernel_facts *ret) {
        struct kernel_facts facts = { .release = "?" };
        struct utsname name;
        FILE *f;

        /* The same as uname(2) says */
        f = open_below(root, "/proc/sys/kernel/osrelease");
        if (f && fgets(facts.release, sizeof(facts.release), f))
                facts.release[strcspn(facts.release, "\n")] = 0;
        else if (uname(&name) >= 0)
                (void) snprintf(facts.release, sizeof(facts.release), "%s", name.release);
        if (f)
                (void) fclose(f);

        read_command_line(root, &facts);
        facts.configured = read_configured(root, facts.release);
        *ret = facts;
}

bool kernel_is_booted_by_kexec(const char *root) {
        char line[64];
        uint64_t type;

        /* The number of kexec in the list of boot loaders is 0xd, see Documentation/arch/x86/boot.rst */
        if (read_line_below(root, "/proc/sys/kernel/bootloader_type", line, sizeof(line)) &&
                parse_number(line, UINT32_MAX, &type))
                return type >> 4 == 0xd;
        /* arm64 and riscv */
        if (exists_below(root, "/proc/device-tree/chosen/linux,initrd-start") ||
                exists_below(root, "/proc/device-tree/compatible"))
                return exists_below(root, "/proc/device-tree/chosen/linux,booted-from-kexec");

        return true;
}

bool kernel_is_at_least(const char *release, const char *version) {
        unsigned have[2] = {}, wanted[2] = {};

        (void) sscanf(version, "%u.%u", wanted, wanted + 1);
        if (sscanf(release, "%u.%u", have, have + 1) != 2)
                return true; /* no number to tell it by */

        return have[0] > wanted[0] || (have[0] == wanted[0] && have[1] >= wanted[1]);
}

struct kernel_reason kernel_reason(const struct kernel_facts *facts) {
        /* A distribution may have put it into an older kernel */
        if (facts->configured != CONFIGURED_YES && !kernel_is_at_least(facts->release, KERNEL_MINIMUM))
                return (struct kernel_reason) {
                        "kernel-too-old",
                        "this kernel is too old: the Live Update Orchestrator (LUO) came with Linux " KERNEL_MINIMUM
                };
        if (facts->configured == CONFIGURED_NO)
                return (struct kernel_reason) { "not-configured",
                        "this kernel was built without CONFIG_LIVEUPDATE" };
        if (facts->kho == SWITCH_OFF)
                return (struct kernel_reason) { "switched-off",
                        "kexec handover is switched off by kho=off on the kernel command line" };
        if (facts->liveupdate == SWITCH_OFF)
                return (struct kernel_reason) { "switched-off",
                        "LUO is switched off by liveupdate=off on the kernel command line" };
        if (facts->liveupdate == SWITCH_NOT_GIVEN)
                return (struct kernel_reason) { "not-switched-on",
                        "LUO is not switched on: the kernel command line lacks liveupdate=on" };
        if (facts->kho == SWITCH_NOT_GIVEN)
                return (struct kernel_reason) { "not-switched-on",
                        "kexec handover is not switched on: the kernel command line lacks kho=on" };
        if (facts->configured == CONFIGURED_UNKNOWN)
                return (struct kernel_reason) {
                        "not-configured",
                        "LUO is switched on, and not there: this kernel was built without CONFIG_LIVEUPDATE"
                };
        return (struct kernel_reason) { "failed", "LUO could not be started, the kernel's log says why" };
}

int device_failed(int error) {
        struct kernel_facts facts;
        char name[64];
        pid_t pid;

        if (error == -ENODEV) {
                kernel_read_facts("", &facts);
                return fail(error, DEVICE ": %s", kernel_reason(&facts).text);
        }
        if (error == -EBUSY) {
                if (libluo_device_holder(&pid, name, sizeof(name)) >= 0) {
                        /* Whoever has it may call itself as it likes */
                        for (char *p = name; *p; p++)
                                if (*p < ' ' || *p >= 127)
                                        *p = '?';
                        return fail(error, DEVICE ": process %ji (%s) has it open", (intmax_t) pid, name);
                }
                return fail(error, DEVICE ": another process has it open");
        }
        if (error == -EIO)
                return fail(error, DEVICE ": the kernel cannot read what its predecessor left");
        if (error == -EACCES)
                return fail(error, DEVICE ": only root may open it");

        return fail(error, DEVICE ": %s", libluo_strerror(error));
}
