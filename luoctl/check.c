/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check-kernel.h"
#include "fd-store.h"
#include "judge.h"
#include "luoctl.h"
#include "manager-live-update.h"
#include "manager.h"
#include "process.h"
#include "verdict.h"

/* Judges by the file if it can be taken, otherwise by what is known of it from outside. */
static void judge(const struct process *process, const struct process_fd *fd, struct verdict *ret) {
        int taken, r = -EACCES;

        taken = process_take_fd(process, fd);
        if (taken >= 0) {
                r = verdict_of_fd(taken, ret);
                (void) close(taken);
        }
        if (r < 0)
                verdict_of_metadata(fd->mode, fd->path, ret);
}

/* ---- a process ---- */

static int print_process_table(const struct process *process, const struct verdict *verdicts, bool legend) {
        static const struct column columns[] = { { "FD", true }, { "PATH", false }, { "SURVIVES", false },
                { "SIZE", true }, { "SPARSE COST", true }, { "WHY", false } };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };

        for (size_t i = 0; i < process->n_fds; i++) {
                table_add(&table, "%i", process->fds[i].number);
                table_add(&table, "%s", process->fds[i].path);
                verdict_add_cells(verdicts + i, &table);
        }

        return table_finish(&table, legend);
}

static void print_process_json(
        const struct process *process, const struct verdict *verdicts, const struct tally *tally) {
        struct json j = {};

        json_begin(&j, NULL, '{');
        json_string(&j, "survives", survival_to_string(tally_survival(tally)));
        json_unsigned(&j, "process", (uint64_t) process->pid);
        json_begin(&j, "fds", '[');
        for (size_t i = 0; i < process->n_fds; i++) {
                json_begin(&j, NULL, '{');
                json_unsigned(&j, "fd", (uint64_t) process->fds[i].number);
                json_string(&j, "path", process->fds[i].path);
                verdict_print_json(verdicts + i, &j);
                json_end(&j, '{');
        }
        json_end(&j, '[');
        json_end(&j, '{');
        json_finish();
}

static int check_process(const struct arguments *arguments) {
        struct verdict *verdicts;
        struct tally tally = {};
        struct process process;
        int r;

        r = process_open(arguments->process, &process);
        if (r < 0)
                return fail(r, "cannot look at the file descriptors of process %ji: %s",
                        (intmax_t) arguments->process, strerror(-r));

        verdicts = calloc(process.n_fds ? process.n_fds : 1, sizeof(*verdicts));
        if (!verdicts) {
                process_close(&process);
                return fail(-ENOMEM, "%s", strerror(ENOMEM));
        }

        for (size_t i = 0; i < process.n_fds; i++) {
                judge(&process, process.fds + i, verdicts + i);
                tally_add(&tally, verdicts + i);
        }

        if (arguments->json)
                print_process_json(&process, verdicts, &tally);
        else {
                r = print_process_table(&process, verdicts, arguments->legend);
                if (r >= 0 && arguments->legend) {
                        printf("\n");
                        tally_print(&tally);
                }
        }

        free(verdicts);
        process_close(&process);
        return r < 0 ? fail(r, "%s", strerror(-r)) : tally_exit_status(&tally);
}

/* ---- fd stores ---- */

/*
 * Of the two sessions of a LUOSession=NAME one came from the previous system, and the other, NAME.next, goes into the
 * next. Which of them it is, if it is one.
 */
static enum survival session_of_setting(const struct unit_store *store, const char *name) {
        for (char **session = store->sessions; session && *session; session++) {
                size_t length = strlen(*session);

                if (strncmp(name, *session, length) != 0)
                        continue;
                if (name[length] == 0)
                        return SURVIVAL_NO;
                if (strcmp(name + length, ".next") == 0)
                        return SURVIVAL_YES;
        }

        return SURVIVAL_UNKNOWN;
}

/* systemd says what is in a fd store, and PID 1 has it: finds it among its file descriptors. */
static void judge_stored(const struct process *manager, const struct unit_store *store,
        const struct stored_fd *stored, struct verdict *ret) {
        bool is_session = path_is_session(stored->path), found = false;
        struct verdict verdict;

        for (size_t i = 0; i < manager->n_fds; i++) {
                const struct process_fd *fd = manager->fds + i;

                if (fd->inode != stored->inode || fd->device != stored->device ||
                        strcmp(fd->path, stored->path) != 0)
                        continue;

                judge(manager, fd, &verdict);
                if (!verdict.looked_into)
                        continue;

                /* All sessions have the same inode, and an outgoing and an incoming one may have the same name */
                if (found && verdict.survival != ret->survival) {
                        enum survival wanted = session_of_setting(store, stored->name);

                        if (wanted == verdict.survival)
                                *ret = verdict;
                        if (wanted == ret->survival)
                                return;

                        *ret = (struct verdict) { .survival = SURVIVAL_UNKNOWN };
                        verdict_add(ret,
                                "there are two LUO sessions of this name, one of which goes into the next system");
                        return;
                }

                *ret = verdict;
                found = true;
                if (!is_session)
                        return;
        }

        if (!found)
                verdict_of_metadata(stored->mode, stored->path, ret);
}

/* Whether another unit has the same file; sessions share an inode and are not files */
static bool is_shared(
        const struct unit_store *stores, size_t n_stores, size_t unit, const struct stored_fd *fd) {
        if (path_is_session(fd->path))
                return false;

        for (size_t i = 0; i < n_stores; i++)
                for (size_t k = 0; i != unit && k < stores[i].n_fds; k++)
                        if (stores[i].fds[k].inode == fd->inode && stores[i].fds[k].device == fd->device)
                                return true;

        return false;
}

/*
 * journald and udevd of systemd ask for FileDescriptorStorePreserve=yes to get sockets and the like through a
 * soft-reboot. Over a kexec these are lost by design, on every system: saying so would drown what matters.
 */
static bool is_expected(const struct unit_store *store, const struct verdict *verdict) {
        static const char prefix[] = "systemd-";

        return verdict->by_type && strncmp(store->unit, prefix, strlen(prefix)) == 0;
}

/* Of what systemd tells nothing but how many there are */
static enum survival survival_of_not_told(const struct unit_store *store) {
        return unit_store_is_preserved(store) ? SURVIVAL_UNKNOWN : SURVIVAL_NO;
}

struct verdict *judge_stores(struct unit_store *stores, size_t n_stores, bool all, struct tally *tally) {
        struct process manager;
        struct verdict *verdicts;
        size_t n = 0, v = 0;

        for (size_t i = 0; i < n_stores; i++)
                n += stores[i].n_fds;
        verdicts = calloc(n ? n : 1, sizeof(*verdicts));
        if (!verdicts)
                return NULL;

        /* Not permitted, most often: then there is the metadata */
        if (process_open(1, &manager) < 0)
                manager = (struct process) { .pidfd = -1 };

        for (size_t i = 0; i < n_stores; i++) {
                struct unit_store *store = stores + i;
                size_t n_kept = 0;

                for (size_t k = 0; k < store->n_fds; k++) {
                        judge_stored(&manager, store, store->fds + k, verdicts + v);
                        if (!all && is_expected(store, verdicts + v)) {
                                stored_fd_done(store->fds + k);
                                continue;
                        }

                        store->fds[n_kept++] = store->fds[k];
                        v++;
                }
                store->n_fds = n_kept;
        }
        process_close(&manager);

        v = 0;
        for (size_t i = 0; i < n_stores; i++) {
                tally->n[SURVIVAL_YES] += stores[i].n_pending;
                tally->n[survival_of_not_told(stores + i)] += stores[i].n_not_told;
                for (size_t k = 0; k < stores[i].n_fds; k++, v++) {
                        if (verdicts[v].survival != SURVIVAL_NO &&
                                is_shared(stores, n_stores, i, stores[i].fds + k))
                                verdict_add(verdicts + v, "another unit has the same file");
                        if (!unit_store_is_preserved(stores + i)) {
                                verdicts[v].survival = SURVIVAL_NO;
                                verdict_add(verdicts + v, "the unit lacks FileDescriptorStorePreserve=yes");
                        }
                        tally_add(tally, verdicts + v);
                }
        }

        return verdicts;
}

static int print_stores_table(
        const struct unit_store *stores, size_t n_stores, const struct verdict *verdict, bool legend) {
        static const struct column columns[] = { { "UNIT", false }, { "NAME", false }, { "SURVIVES", false },
                { "SIZE", true }, { "SPARSE COST", true }, { "WHY", false } };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };

        for (size_t i = 0; i < n_stores; i++)
                for (size_t k = 0; k < stores[i].n_fds; k++) {
                        table_add(&table, "%s", stores[i].unit);
                        table_add(&table, "%s", stores[i].fds[k].name);
                        verdict_add_cells(verdict++, &table);
                }

        for (size_t i = 0; i < n_stores; i++)
                if (stores[i].n_not_told > 0) {
                        table_add(&table, "%s", stores[i].unit);
                        table_add(&table, "-");
                        table_add(&table, "%s", survival_to_string(survival_of_not_told(stores + i)));
                        table_add(&table, "-");
                        table_add(&table, "-");
                        table_add(&table, NOT_TOLD "%s", stores[i].n_not_told,
                                unit_store_is_preserved(stores + i)
                                        ? ""
                                        : "; the unit lacks FileDescriptorStorePreserve=yes");
                }

        /* systemd carries it on, whatever the unit's settings are */
        for (size_t i = 0; i < n_stores; i++)
                if (stores[i].n_pending > 0) {
                        table_add(&table, "%s", stores[i].unit);
                        table_add(&table, "-");
                        table_add(&table, "yes");
                        table_add(&table, "%" PRIu64, stores[i].pending_bytes);
                        table_add(&table, "0");
                        table_add(&table,
                                "%" PRIu64 " fds are pending until the unit is started, and are carried on",
                                stores[i].n_pending);
                }

        return table_finish(&table, legend);
}

static void print_fd_json(
        const struct stored_fd *fd, size_t number, const void *userdata, struct json *json) {
        const struct verdict *verdicts = userdata;

        json_string(json, "name", fd->name);
        json_string(json, "path", *fd->path ? fd->path : NULL);
        verdict_print_json(verdicts + number, json);
}

static void print_stores_json(const struct unit_store *stores, size_t n_stores,
        const struct verdict *verdicts, const struct tally *tally) {
        struct json j = {};

        json_begin(&j, NULL, '{');
        json_string(&j, "survives", survival_to_string(tally_survival(tally)));
        unit_stores_print_json(stores, n_stores, print_fd_json, verdicts, &j);
        json_end(&j, '{');
        json_finish();
}

/* ---- what systemd itself says ---- */

static enum survival survival_from_string(const char *verdict) {
        return strcmp(verdict, "survives") == 0 ? SURVIVAL_YES
                : strcmp(verdict, "lost") == 0  ? SURVIVAL_NO
                                                : SURVIVAL_UNKNOWN;
}

static void add_checked(struct table *table, const struct checked *c, enum survival survival) {
        uint64_t holes = c->holes_bytes == UINT64_MAX ? 0 : c->holes_bytes;
        const char *separator = *c->reason ? "; " : "";

        table_add(table, "%s", *c->unit ? c->unit : "-");
        table_add(table, "%s", *c->name ? c->name : "-");
        table_add(table, "%s", survival_to_string(survival));
        if (c->bytes == UINT64_MAX)
                table_add(table, "-");
        else
                table_add(table, "%" PRIu64, c->bytes + holes);
        table_add(table, "%" PRIu64, holes);

        if (*c->limit_unit)
                table_add(table, "%s%sit cannot be restored below the MemoryMax= of %s", c->reason, separator,
                        c->limit_unit);
        else if (survival == SURVIVAL_YES && strcmp(c->kind, "pending") == 0 && c->n_fds != UINT64_MAX)
                table_add(table, "%" PRIu64 " fds are pending until the unit is started, and are carried on",
                        c->n_fds);
        else if (survival == SURVIVAL_YES && strcmp(c->kind, "session") == 0 && !*c->reason)
                table_add(table, "it is a LUO session, which survives by itself");
        else
                table_add(table, "%s", *c->reason ? c->reason : "-");
}

static int print_checked(const struct checked *checked, size_t n, bool legend) {
        static const struct column columns[] = { { "UNIT", false }, { "NAME", false }, { "SURVIVES", false },
                { "SIZE", true }, { "SPARSE COST", true }, { "WHY", false } };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };
        struct tally tally = {};
        int r;

        for (size_t i = 0; i < n; i++) {
                enum survival survival = survival_from_string(checked[i].verdict);
                bool pending = strcmp(checked[i].kind, "pending") == 0;

                add_checked(&table, checked + i, survival);
                tally.n[survival] += pending && checked[i].n_fds != UINT64_MAX ? checked[i].n_fds : 1;
                if (survival == SURVIVAL_YES && checked[i].holes_bytes != UINT64_MAX)
                        tally.sparse_cost += checked[i].holes_bytes;
        }

        r = table_finish(&table, legend);
        if (r >= 0 && legend) {
                printf("\n");
                tally_print(&tally);
        }
        return r < 0 ? fail(r, "%s", strerror(-r)) : tally_exit_status(&tally);
}

/*
 * Asks for each of the units, or for all. Returns 0, or -EOPNOTSUPP if nothing is said of one: it may not be there, or
 * keep nothing over a kexec.
 */
static int ask_manager(const struct arguments *arguments, struct checked **checked, size_t *n) {
        int r = 0;

        if (arguments->n_operands == 0)
                return live_update_check(NULL, checked, n);

        for (size_t i = 0; r >= 0 && i < arguments->n_operands; i++) {
                char *unit = unit_name(arguments->operands[i]);
                size_t n_before = *n;

                r = unit ? live_update_check(unit, checked, n) : -ENOMEM;
                free(unit);
                if (r >= 0 && *n == n_before)
                        r = -EOPNOTSUPP;
        }

        return r;
}

/* Returns an exit status, or -EOPNOTSUPP if systemd does not say. */
static int check_by_manager(const struct arguments *arguments) {
        struct checked *checked = NULL;
        size_t n = 0;
        int r;

        r = ask_manager(arguments, &checked, &n);
        if (r >= 0) {
                r = print_checked(checked, n, arguments->legend);
                if (arguments->legend && geteuid() != 0)
                        printf("This is what is of this service: systemd tells only root of others.\n");
        } else if (r == -EBUSY || r == -ETIMEDOUT)
                r = fail(r, "systemd came to no end: a service keeps it from looking at what it stored");
        else if (r != -EOPNOTSUPP)
                r = fail(r, "%s", strerror(-r));

        checked_free(checked, n);
        return r;
}

int command_check(const struct arguments *arguments) {
        struct unit_store *stores;
        struct verdict *verdicts;
        struct tally tally = {};
        size_t n_stores, n_kept = 0;
        int r;

        if (arguments->kernel) {
                if (arguments->n_operands > 0 || arguments->all || arguments->process > 0)
                        return usage_error("--kernel cannot be combined with units, --all or --process");
                return check_kernel(arguments);
        }
        if (*arguments->root)
                return usage_error("--root has a meaning for --kernel only");
        if (arguments->process > 0) {
                if (arguments->n_operands > 0 || arguments->all)
                        return usage_error("--process cannot be combined with units");
                return check_process(arguments);
        }

        /* It knows what is meant to survive, and has the files. But it says nothing of anything else. */
        if (!arguments->all && !arguments->json) {
                r = check_by_manager(arguments);
                if (r >= 0)
                        return r;
        }

        r = manager_read_stores(
                arguments->operands, arguments->n_operands, /* numbers= */ true, &stores, &n_stores);
        if (r > 0)
                return r;

        /* Units that do not ask for it have nothing to lose, unless somebody asks for them */
        for (size_t i = 0; i < n_stores; i++)
                if (arguments->all || arguments->n_operands > 0 || unit_store_is_preserved(stores + i) ||
                        stores[i].n_pending > 0)
                        stores[n_kept++] = stores[i];
                else
                        unit_store_done(stores + i);

        verdicts = judge_stores(stores, n_kept, arguments->all || arguments->n_operands > 0, &tally);
        if (!verdicts)
                r = -ENOMEM;
        else if (arguments->json)
                print_stores_json(stores, n_kept, verdicts, &tally);
        else {
                r = print_stores_table(stores, n_kept, verdicts, arguments->legend);
                if (r >= 0 && arguments->legend) {
                        printf("\n");
                        tally_print(&tally);
                }
        }

        free(verdicts);
        unit_stores_free(stores, n_kept);
        return r < 0 ? fail(r, "%s", strerror(-r)) : tally_exit_status(&tally);
}
