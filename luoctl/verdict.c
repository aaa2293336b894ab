/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include <libluo.h>

#include "luoctl.h"
#include "verdict.h"

#define SESSION_PATH "anon_inode:[luo_session] "

const char *survival_to_string(enum survival survival) {
        switch (survival) {
        case SURVIVAL_YES:
                return "yes";
        case SURVIVAL_NO:
                return "no";
        default:
                return "unknown";
        }
}

bool path_is_session(const char *path) {
        return strncmp(path, SESSION_PATH, strlen(SESSION_PATH)) == 0;
}

void verdict_add(struct verdict *verdict, const char *reason) {
        if (verdict->n_reasons < ELEMENTS(verdict->reasons))
                verdict->reasons[verdict->n_reasons++] = reason;
}

static void refuse(struct verdict *verdict, const char *reason) {
        verdict->survival = SURVIVAL_NO;
        verdict_add(verdict, reason);
}

/* What systemd takes for its own: see LIBLUO_SESSION_SYSTEMD */
static bool is_reserved(const char *name) {
        return strcmp(name, LIBLUO_SESSION_SYSTEMD) == 0 ||
                strncmp(name, LIBLUO_SESSION_UNIT_PREFIX, strlen(LIBLUO_SESSION_UNIT_PREFIX)) == 0;
}

/* A session that is open at the kexec goes into the next system by itself, but only if it is outgoing. */
static int verdict_of_session(int fd, struct verdict *verdict) {
        char name[LIBLUO_SESSION_NAME_MAX + 1];
        libluo_bundle_writer *writer;
        int r;

        /* Starting a bundle does nothing to the session, and tells its direction */
        r = libluo_bundle_writer_new(fd, 0, &writer);
        if (r < 0 && r != -EBADFD)
                return r;

        if (r < 0)
                refuse(verdict,
                        "it is a LUO session that came from the previous system, and does not go into the next");
        else {
                libluo_bundle_writer_free(writer);
                verdict_add(verdict, "it is a LUO session, which survives by itself");
        }

        /* A name that cannot be read back is longer than those */
        if (libluo_session_get_name(fd, name) >= 0 && is_reserved(name))
                refuse(verdict, "the session has a name that belongs to systemd, which leaves it out");

        return 0;
}

int verdict_of_fd(int fd, struct verdict *ret_verdict) {
        struct verdict v = { .survival = SURVIVAL_YES, .looked_into = true };
        libluo_preflight p;
        int flags, r;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0)
                return -errno;
        if (flags & O_PATH) {
                refuse(&v, "it was opened with O_PATH");
                *ret_verdict = v;
                return 0;
        }

        r = libluo_fd_preflight(fd, &p, sizeof(p));
        if (r < 0)
                return r;

        v.size = p.size;
        v.allocated = p.allocated;
        v.sparse_cost = p.sparse_cost;

        if (p.verdict == LIBLUO_VERDICT_SESSION) {
                r = verdict_of_session(fd, &v);
                if (r < 0)
                        return r;
        } else if (p.verdict != LIBLUO_VERDICT_FINE) {
                v.by_type = p.verdict == LIBLUO_VERDICT_TYPE;
                refuse(&v, libluo_verdict_to_string(p.verdict));
        } else {
                if (p.losses & LIBLUO_LOSS_WRITING) {
                        v.losses = true;
                        verdict_add(&v,
                                "it cannot be written to any more afterwards (it was made with MFD_NOEXEC_SEAL)");
                }
                if (!p.certain)
                        verdict_add(&v, "whether it is preserved already could not be found out");
        }

        *ret_verdict = v;
        return 0;
}

void verdict_of_metadata(mode_t mode, const char *path, struct verdict *ret_verdict) {
        static const char suffix[] = " (deleted)";
        size_t length = strlen(path);
        struct verdict v = { .survival = SURVIVAL_UNKNOWN };

        if (path_is_session(path))
                verdict_add(&v,
                        "it is a LUO session: whether it goes into the next system could not be found out");
        else if (strncmp(path, "anon_inode:", strlen("anon_inode:")) == 0 || !S_ISREG(mode)) {
                v.by_type = true;
                refuse(&v, libluo_verdict_to_string(LIBLUO_VERDICT_TYPE));
        } else if (length == 0)
                verdict_add(&v, "it is a file, which could not be looked into");
        else if (length < strlen(suffix) || strcmp(path + length - strlen(suffix), suffix) != 0)
                refuse(&v, "it is a file that has a name");
        else if (strncmp(path, "/memfd:", strlen("/memfd:")) == 0)
                verdict_add(&v, "it is a memfd, which could not be looked into");
        else
                verdict_add(&v, "it is a file without a name, which could not be looked into");

        *ret_verdict = v;
}

void verdict_add_cells(const struct verdict *verdict, struct table *table) {
        char *text = NULL;
        size_t size = 0;
        FILE *f;

        table_add(table, "%s", survival_to_string(verdict->survival));
        if (verdict->looked_into) {
                table_add(table, "%" PRIu64, verdict->size);
                table_add(table, "%" PRIu64, verdict->sparse_cost);
        } else {
                table_add(table, "-");
                table_add(table, "-");
        }

        f = open_memstream(&text, &size);
        if (!f) {
                table->failed = true;
                return;
        }
        for (size_t i = 0; i < verdict->n_reasons; i++)
                fprintf(f, "%s%s", i > 0 ? "; " : "", verdict->reasons[i]);
        if (fclose(f) != 0)
                table->failed = true;
        else
                table_add(table, "%s", *text ? text : "-");
        free(text);
}

void verdict_print_json(const struct verdict *verdict, struct json *json) {
        json_string(json, "survives", survival_to_string(verdict->survival));
        json_begin(json, "reasons", '[');
        for (size_t i = 0; i < verdict->n_reasons; i++)
                json_string(json, NULL, verdict->reasons[i]);
        json_end(json, '[');
        json_boolean(json, "lookedInto", verdict->looked_into);
        if (verdict->looked_into) {
                json_unsigned(json, "size", verdict->size);
                json_unsigned(json, "allocated", verdict->allocated);
                json_unsigned(json, "sparseCost", verdict->sparse_cost);
                json_boolean(json, "losesWriting", verdict->losses);
        }
}

void tally_add(struct tally *tally, const struct verdict *verdict) {
        tally->n[verdict->survival]++;
        if (verdict->survival == SURVIVAL_YES)
                tally->sparse_cost += verdict->sparse_cost;
}

void tally_print(const struct tally *tally) {
        printf("%" PRIu64 " would survive, %" PRIu64 " would be lost, %" PRIu64
               " unknown; holes take %" PRIu64 " bytes.\n",
                tally->n[SURVIVAL_YES], tally->n[SURVIVAL_NO], tally->n[SURVIVAL_UNKNOWN],
                tally->sparse_cost);
}

enum survival tally_survival(const struct tally *tally) {
        if (tally->n[SURVIVAL_NO] > 0)
                return SURVIVAL_NO;
        if (tally->n[SURVIVAL_UNKNOWN] > 0)
                return SURVIVAL_UNKNOWN;
        return SURVIVAL_YES;
}

int tally_exit_status(const struct tally *tally) {
        switch (tally_survival(tally)) {
        case SURVIVAL_NO:
                return EXIT_LOSSES;
        case SURVIVAL_UNKNOWN:
                return EXIT_UNCERTAIN;
        default:
                return EXIT_SUCCESS;
        }
}
