/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* luoctl: of all reasons why a kernel has no LUO, the one that holds */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "../luoctl/kernel.h"
#include "../luoctl/luoctl.h"
#include "test.h"

/* Used by kernel.c for what these tests do not ask for */
int fail(int error, const char *format, ...) {
        (void) error;
        (void) format;
        abort();
}

bool parse_number(const char *text, uint64_t maximum, uint64_t *ret) {
        (void) text;
        (void) maximum;
        (void) ret;
        abort();
}

static char root[] = "/tmp/test-kernel-reason-XXXXXX";

static void write_file(const char *path, const char *text) {
        char full[256];
        FILE *f;

        (void) snprintf(full, sizeof(full), "%s%s", root, path);
        if (!text) {
                (void) unlink(full);
                return;
        }

        f = fopen(full, "we");
        REQUIRE(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void make_folders(void) {
        static const char *const folders[] = { "", "/proc", "/proc/sys", "/proc/sys/kernel", "/boot" };
        char full[256];

        REQUIRE(mkdtemp(root));
        for (size_t i = 1; i < ELEMENTS(folders); i++) {
                (void) snprintf(full, sizeof(full), "%s%s", root, folders[i]);
                REQUIRE(mkdir(full, 0700) >= 0);
        }
}

#define SYMBOLS "0000000000000000 T start_kernel\n"
#define WITH_LUO SYMBOLS "0000000000000000 T liveupdate_enabled\n"

static const struct {
        const char *release, *command_line, *symbols, *configuration, *id, *part;
} machines[] = {
        { "6.18.44-cloud", "quiet", SYMBOLS, NULL, "kernel-too-old", "Linux 6.19" },
        { "6.18.44-cloud", "kho=on liveupdate=on", NULL, NULL, "kernel-too-old", "Linux 6.19" },
        { "6.2.0", "quiet", SYMBOLS, NULL, "kernel-too-old", "Linux 6.19" },
        { "6.12.0-with-backports", "liveupdate=on kho=0", WITH_LUO, NULL, "switched-off", "kho=off" },
        { "6.19.0", "kho=on liveupdate=on", SYMBOLS, NULL, "not-configured", "without CONFIG_LIVEUPDATE" },
        { "7.3.4", "kho=on liveupdate=on", "", "CONFIG_LIVEUPDATE=y\n", "failed", "kernel's log" },
        { "7.3.4", "kho=on liveupdate=on", NULL, "# CONFIG_LIVEUPDATE is not set\n", "not-configured",
                "without" },
        { "7.3.4", "kho=on liveupdate=on", NULL, NULL, "not-configured", "without CONFIG_LIVEUPDATE" },
        { "7.3.4", "quiet", WITH_LUO, NULL, "not-switched-on", "lacks liveupdate=on" },
        { "7.3.4", "quiet", NULL, NULL, "not-switched-on", "lacks liveupdate=on" },
        { "7.3.4", "liveupdate=1", WITH_LUO, NULL, "not-switched-on", "lacks kho=on" },
        { "7.3.4", "kho=on liveupdate=off", WITH_LUO, NULL, "switched-off", "liveupdate=off" },
        { "7.3.4", "kho=n liveupdate=on", WITH_LUO, NULL, "switched-off", "kho=off" },
        { "7.3.4", "kho=off kho=on liveupdate=off liveupdate=on", WITH_LUO, NULL, "failed", "kernel's log" },
        { "7.3.4", "kho=on -- liveupdate=on", WITH_LUO, NULL, "not-switched-on", "lacks liveupdate=on" },
        { "10.0", "kho=on liveupdate=off", WITH_LUO, NULL, "switched-off", "liveupdate=off" },
};

static void remove_folders(void) {
        static const char *const paths[] = { "/proc/sys/kernel/osrelease", "/proc/sys/kernel", "/proc/sys",
                "/proc/cmdline", "/proc", "/boot", "" };
        char full[256];

        for (size_t i = 0; i < ELEMENTS(paths); i++) {
                (void) snprintf(full, sizeof(full), "%s%s", root, paths[i]);
                REQUIRE(remove(full) == 0);
        }
}

static void test_reasons(void) {
        make_folders();

        for (size_t i = 0; i < ELEMENTS(machines); i++) {
                struct kernel_facts facts;
                struct kernel_reason reason;
                char path[64];

                (void) snprintf(path, sizeof(path), "/boot/config-%s", machines[i].release);
                write_file("/proc/sys/kernel/osrelease", machines[i].release);
                write_file("/proc/cmdline", machines[i].command_line);
                write_file("/proc/kallsyms", machines[i].symbols);
                write_file(path, machines[i].configuration);

                kernel_read_facts(root, &facts);
                reason = kernel_reason(&facts);
                if (strcmp(reason.id, machines[i].id) != 0 || !strstr(reason.text, machines[i].part))
                        printf("# machine %zu: %s, %s\n", i, reason.id, reason.text);
                CHECK(strcmp(facts.release, machines[i].release) == 0);
                CHECK(strcmp(reason.id, machines[i].id) == 0);
                CHECK(strstr(reason.text, machines[i].part) != NULL);

                write_file(path, NULL);
                write_file("/proc/kallsyms", NULL);
        }

        remove_folders();
}

static void test_versions(void) {
        CHECK(kernel_is_at_least("7.2.12", "7.2"));
        CHECK(kernel_is_at_least("7.10", "7.2"));
        CHECK(kernel_is_at_least("10.0-rc1", "7.2"));
        CHECK(!kernel_is_at_least("7.1.99", "7.2"));
        CHECK(!kernel_is_at_least("6.20", "7.2"));
        CHECK(kernel_is_at_least("next", "7.2"));
}

static const struct test_case cases[] = {
        { "the reason that holds", test_reasons },
        { "versions", test_versions },
};

TEST_MAIN(cases)
