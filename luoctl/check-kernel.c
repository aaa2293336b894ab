/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check-kernel.h"
#include "kernel-image.h"
#include "luoctl.h"
#include "output.h"
#include "verdict.h"

/* What comes of it if the next kernel has another string, or none. A mismatch of the first ones hides those below. */
static const struct {
        const char *different, *missing;
} outcomes[ABI_MAX] = {
        /* kho_populate() of kernel/liveupdate/kexec_handover.c */
        [ABI_KHO] = { "the next kernel would start without all that is handed over",
                "the next kernel has no kexec handover" },
        /* liveupdate_early_init() of kernel/liveupdate/luo_core.c */
        [ABI_LUO] = { "the next kernel would panic as it starts", "the next kernel has no LUO" },
        [ABI_SESSION] = { "the next kernel would panic as it starts", NULL },
        [ABI_FLB] = { "the next kernel would panic as it starts", NULL },
        /* luo_file_deserialize() of kernel/liveupdate/luo_file.c, and luo_open() of luo_core.c */
        [ABI_MEMFD] = { "with any memfd, all sessions would be lost: opening /dev/liveupdate would fail",
                "with any memfd, all sessions would be lost: opening /dev/liveupdate would fail" },
};

struct row {
        const char *name;
        const struct abi_versions *running, *next;
        enum survival survival;
        const char *reason; /* NULL: it survives */
};

/* Whether there is anything to say of it. */
static bool compare(
        enum abi abi, const struct kernel_abi *running, const struct kernel_abi *next, struct row *ret) {
        const struct abi_versions *r = running->versions + abi, *n = next->versions + abi;
        bool needed = abi == ABI_KHO || abi == ABI_LUO;
        size_t n_common = 0;

        for (size_t i = 0; i < r->n; i++)
                for (size_t k = 0; k < n->n; k++)
                        n_common += strcmp(r->strings[i], n->strings[k]) == 0;

        *ret = (struct row) { abi_names[abi], r, n, SURVIVAL_NO, NULL };
        if (n->known && n->n == 0 && (needed || r->n > 0))
                ret->reason = outcomes[abi].missing ?: outcomes[abi].different;
        else if (r->known && r->n == 0) {
                ret->reason = "this kernel has none, and hands nothing over";
                return needed;
        } else if (!r->known || !n->known) {
                ret->survival = SURVIVAL_UNKNOWN;
                ret->reason = r->known ? next->reason : running->reason;
                return needed || r->n + n->n > 0;
        } else if (n_common == r->n)
                ret->survival = SURVIVAL_YES;
        else if (n_common > 0) {
                ret->survival = SURVIVAL_UNKNOWN;
                ret->reason = "this kernel has several, and the next one not all of them";
        } else
                ret->reason = outcomes[abi].different;

        return true;
}

static void add_versions(struct table *table, const struct abi_versions *versions) {
        char text[256] = "";

        for (size_t i = 0; i < versions->n; i++) {
                size_t length = strlen(text);

                (void) snprintf(
                        text + length, sizeof(text) - length, "%s%s", i > 0 ? " " : "", versions->strings[i]);
        }
        table_add(table, "%s", *text ? text : versions->known ? "none" : "unknown");
}

static int print_table(const struct row *rows, size_t n_rows, enum survival survival,
        const struct kernel_abi *running, const struct kernel_abi *next, bool legend) {
        static const struct column columns[] = { { "ABI", false }, { "THIS KERNEL", false },
                { "NEXT KERNEL", false }, { "FITS", false }, { "WHY", false } };
        static const char *const summaries[SURVIVAL_MAX] = {
                [SURVIVAL_YES] = "it takes over what this one hands over",
                [SURVIVAL_NO] = "it does not take over what this one hands over",
                [SURVIVAL_UNKNOWN] = "it is not known whether it takes over what this one hands over",
        };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };
        int r;

        for (size_t i = 0; i < n_rows; i++) {
                table_add(&table, "%s", rows[i].name);
                add_versions(&table, rows[i].running);
                add_versions(&table, rows[i].next);
                table_add(&table, "%s", survival_to_string(rows[i].survival));
                table_add(&table, "%s", rows[i].reason ?: "-");
        }

        r = table_finish(&table, legend);
        if (r >= 0 && legend)
                printf("\nThis kernel is Linux %s, the next one is %s%s: %s.\n", running->release,
                        *next->release ? "Linux " : "not known", next->release, summaries[survival]);
        return r;
}

static void print_versions_json(struct json *j, const char *key, const struct abi_versions *versions) {
        if (!versions->known && versions->n == 0) {
                json_string(j, key, NULL);
                return;
        }

        json_begin(j, key, '[');
        for (size_t i = 0; i < versions->n; i++)
                json_string(j, NULL, versions->strings[i]);
        json_end(j, '[');
}

static void print_json(const struct row *rows, size_t n_rows, enum survival survival,
        const struct kernel_abi *running, const struct kernel_abi *next) {
        struct json j = {};

        json_begin(&j, NULL, '{');
        json_string(&j, "fits", survival_to_string(survival));
        json_string(&j, "thisKernel", running->release);
        json_string(&j, "nextKernel", *next->release ? next->release : NULL);
        json_begin(&j, "abis", '[');
        for (size_t i = 0; i < n_rows; i++) {
                json_begin(&j, NULL, '{');
                json_string(&j, "name", rows[i].name);
                print_versions_json(&j, "thisKernel", rows[i].running);
                print_versions_json(&j, "nextKernel", rows[i].next);
                json_string(&j, "fits", survival_to_string(rows[i].survival));
                json_string(&j, "reason", rows[i].reason);
                json_end(&j, '{');
        }
        json_end(&j, '[');
        json_end(&j, '{');
        json_finish();
}

int check_kernel(const struct arguments *arguments) {
        struct kernel_abi running, next;
        struct row rows[ABI_MAX];
        struct tally tally = {};
        enum survival survival;
        size_t n_rows = 0;
        int r;

        r = kernel_abi_read(arguments->kernel, &next);
        if (r < 0 && r != -ENOPKG)
                return fail(r, "%s: %s", arguments->kernel, next.reason);
        kernel_abi_read_running(arguments->root, &running);

        for (size_t i = 0; i < ABI_MAX; i++)
                if (compare(i, &running, &next, rows + n_rows))
                        tally.n[rows[n_rows++].survival]++;
        survival = tally_survival(&tally);

        r = 0;
        if (arguments->json)
                print_json(rows, n_rows, survival, &running, &next);
        else
                r = print_table(rows, n_rows, survival, &running, &next, arguments->legend);

        return r < 0 ? fail(r, "%s", strerror(-r)) : tally_exit_status(&tally);
}
