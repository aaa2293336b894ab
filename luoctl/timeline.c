/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel.h"
#include "luoctl.h"
#include "manager.h"
#include "output.h"
#include "timeline.h"

/* Longer than a kexec's jump, but for machines that nobody waits for */
#define JUMP_USUAL_MAX UINT64_C(60000000)

static const struct {
        const char *name, *text;
} steps[STEPS] = {
        [STEP_STOP] = { "stop", "PID 1 stops units" },
        [STEP_SHUTDOWN] = { "shutdown", "systemd-shutdown is started" },
        [STEP_SYNC] = { "sync", "file systems are synced" },
        [STEP_TERMINATE] = { "terminate", "what is left gets SIGTERM" },
        [STEP_KILL] = { "kill", "what is left gets SIGKILL" },
        [STEP_UNMOUNT] = { "unmount", "file systems are unmounted" },
        [STEP_DETACH] = { "detach", "swaps and block devices are detached" },
        [STEP_PRESERVE] = { "preserve", "state is preserved" },
        [STEP_EXITRD] = { "exitrd", "the exitrd runs" },
        [STEP_CALL] = { "call", "kexec is called" },
        [STEP_JUMP] = { "jump", "the jump, until the kernel's clock runs" },
        [STEP_KERNEL] = { "kernel", "the kernel starts" },
        [STEP_INITRD] = { "initrd", "the initrd runs" },
        [STEP_MANAGER] = { "manager", "PID 1 starts, and loads units" },
        [STEP_LOADED] = { "loaded", "PID 1 comes to its first unit" },
        [STEP_UNITS] = { "units", "PID 1 starts units" },
        [STEP_READY] = { "ready", "all is started" },
};

const char *timeline_step_name(enum timeline_step step) {
        return steps[step].name;
}

const char *timeline_step_text(enum timeline_step step) {
        return steps[step].text;
}

uint64_t timeline_step_duration(const struct timeline *t, enum timeline_step step) {
        for (size_t next = (size_t) step + 1; next < STEPS; next++)
                if (t->steps[next] != TIME_UNKNOWN)
                        return t->steps[next] - t->steps[step];
        return TIME_UNKNOWN;
}

bool timeline_is_service(const char *unit) {
        size_t length = strlen(unit), suffix = strlen(".service");

        return length > suffix && strcmp(unit + length - suffix, ".service") == 0;
}

bool timeline_was_started(const struct timeline_unit *unit) {
        return unit->times[EVENT_STARTED] != TIME_UNKNOWN || unit->failed != TIME_UNKNOWN;
}

/* When those are ended that PID 1 has not stopped */
static uint64_t time_of_kill(const struct timeline *t) {
        return t->steps[STEP_TERMINATE] != TIME_UNKNOWN   ? t->steps[STEP_TERMINATE]
                : t->steps[STEP_SHUTDOWN] != TIME_UNKNOWN ? t->steps[STEP_SHUTDOWN]
                                                          : t->steps[STEP_JUMP];
}

/* Up when the shutdown began, and not stopped by PID 1 */
static bool is_left(const struct timeline_unit *unit) {
        return unit->was_up && unit->times[EVENT_STOPPING] == TIME_UNKNOWN &&
                unit->times[EVENT_STOPPED] == TIME_UNKNOWN;
}

static uint64_t time_of_end(const struct timeline *t, const struct timeline_unit *unit) {
        return unit->survives_kill ? t->steps[STEP_JUMP] : time_of_kill(t);
}

bool timeline_blackout(const struct timeline *t, uint64_t *ret_from, uint64_t *ret_to) {
        uint64_t from = time_of_kill(t), to = TIME_UNKNOWN;

        for (size_t i = 0; i < t->n_units; i++) {
                const struct timeline_unit *unit = t->units[i];

                if (!timeline_is_service(unit->name) || unit->is_oneshot)
                        continue;
                if (unit->times[EVENT_STARTED] < to)
                        to = unit->times[EVENT_STARTED];
                if (is_left(unit) && time_of_end(t, unit) > from)
                        from = time_of_end(t, unit);
        }
        if (to == TIME_UNKNOWN)
                return false;

        *ret_from = from;
        *ret_to = to;
        return true;
}

bool timeline_away(
        const struct timeline *t, const struct timeline_unit *unit, uint64_t *ret_from, uint64_t *ret_to) {
        const uint64_t *times = unit->times;
        uint64_t from;

        from = times[EVENT_STOPPING] != TIME_UNKNOWN ? times[EVENT_STOPPING] : times[EVENT_STOPPED];
        if (is_left(unit))
                from = time_of_end(t, unit);
        if (!timeline_is_service(unit->name) || unit->is_oneshot || from == TIME_UNKNOWN)
                return false;

        *ret_from = from;
        *ret_to = times[EVENT_STARTED];
        return true;
}

void timeline_unit_free(struct timeline_unit *unit) {
        free(unit->name);
        free(unit);
}

void timeline_done(struct timeline *t) {
        for (size_t i = 0; i < t->n_units; i++)
                timeline_unit_free(t->units[i]);
        free(t->units);
        *t = (struct timeline) {};
}

/* ---- what the journal does not tell ---- */

/* PID 1 knows of each service how it was started the last time: if that was after the kexec. */
static int ask_manager(struct timeline *t) {
        struct service_start *starts;
        char **names;
        size_t n = 0;
        int r = 0;

        names = calloc(t->n_units + 1, sizeof(*names));
        starts = calloc(t->n_units + 1, sizeof(*starts));
        for (size_t i = 0; names && i < t->n_units; i++)
                if (timeline_is_service(t->units[i]->name) && timeline_was_started(t->units[i]))
                        names[n++] = t->units[i]->name;

        if (!names || !starts)
                r = -ENOMEM;
        else
                /* It has said what is wrong, and the journal is what most is from. */
                (void) manager_read_starts(names, n, starts);

        for (size_t i = 0, k = 0; r == 0 && k < n; i++) {
                struct timeline_unit *unit = t->units[i];
                struct service_start start;

                if (unit->name != names[k])
                        continue;
                start = starts[k++];
                unit->survives_kill = start.survives_kill;
                if (start.forked == 0 || start.handed_over < start.forked ||
                        start.handed_over > t->steps[STEP_READY] - t->steps[STEP_KERNEL])
                        continue;
                unit->forked = t->steps[STEP_KERNEL] + start.forked;
                unit->handed_over = t->steps[STEP_KERNEL] + start.handed_over;
        }

        free(names);
        free(starts);
        return r;
}

/* ---- which units ---- */

/* Names as elsewhere, "*" and the like in them, or all services */
static bool is_wanted(const struct arguments *arguments, const char *unit) {
        if (arguments->n_operands == 0)
                return timeline_is_service(unit);

        for (size_t i = 0; i < arguments->n_operands; i++) {
                const char *pattern = arguments->operands[i];

                if (fnmatch(pattern, unit, FNM_NOESCAPE) == 0)
                        return true;
                if (timeline_is_service(unit) && !strchr(pattern, '.')) {
                        char name[256];

                        (void) snprintf(
                                name, sizeof(name), "%.*s", (int) (strlen(unit) - strlen(".service")), unit);
                        if (fnmatch(pattern, name, FNM_NOESCAPE) == 0)
                                return true;
                }
        }
        return false;
}

/* ---- as a table ---- */

static void add_seconds(struct table *table, uint64_t time) {
        if (time == TIME_UNKNOWN)
                table_add(table, "-");
        else
                table_add(table, "%.3f", (double) time / 1e6);
}

static int print_steps(const struct timeline *t, bool legend) {
        static const struct column columns[] = { { "AT", true }, { "TOOK", true }, { "STEP", false } };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };

        for (size_t i = 0; i < STEPS; i++)
                if (t->steps[i] != TIME_UNKNOWN) {
                        add_seconds(&table, t->steps[i]);
                        add_seconds(&table, timeline_step_duration(t, i));
                        table_add(&table, "%s", steps[i].text);
                }
        return table_finish(&table, legend);
}

static int print_units(
        const struct timeline *t, struct timeline_unit *const *units, size_t n_units, bool legend) {
        static const struct column columns[] = { { "UNIT", false }, { "STOPPING", true }, { "STOPPED", true },
                { "STARTING", true }, { "STARTED", true }, { "SET-UP", true }, { "AWAY", true } };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };

        for (size_t i = 0; i < n_units; i++) {
                uint64_t from, to, away = TIME_UNKNOWN;
                bool is_away = timeline_away(t, units[i], &from, &to);

                if (is_away && to != TIME_UNKNOWN)
                        away = to > from ? to - from : 0;
                table_add(&table, "%s", units[i]->name);
                for (size_t k = 0; k < EVENTS; k++)
                        add_seconds(&table, units[i]->times[k]);
                add_seconds(&table,
                        units[i]->forked == TIME_UNKNOWN ? TIME_UNKNOWN
                                                         : units[i]->handed_over - units[i]->forked);
                if (is_away && to == TIME_UNKNOWN)
                        table_add(&table, "not back");
                else
                        add_seconds(&table, away);
        }
        return table_finish(&table, legend);
}

static void print_remarks(const struct timeline *t) {
        uint64_t jump = timeline_step_duration(t, STEP_JUMP);

        if (t->is_reboot)
                printf("This boot was not started by a kexec: the call failed, or the machine was reset. The jump is "
                       "firmware and boot loader, too.\n");
        if (!t->has_shutdown_log)
                printf("What systemd-shutdown did last is not in the journal, and part of the jump.\n");
        if (t->clock_was_set)
                printf("The clock was set meanwhile: how long the jump took is not known, and not counted.\n");
        else if (jump == 0)
                printf("The jump is not known: the clock that a kernel starts with has but seconds.\n");
        if (!t->is_reboot && jump != TIME_UNKNOWN && jump > JUMP_USUAL_MAX)
                printf("The jump took more than a minute: the clock may have been set meanwhile, or it was a reboot "
                       "without a kexec.\n");
        if (t->steps[STEP_READY] == TIME_UNKNOWN)
                printf("PID 1 has not said that all is started.\n");
        if (t->steps_left_out)
                printf("The times of some steps contradict each other: not all of these are listed.\n");
        if (t->units_left_out)
                printf("There are more units than are listed.\n");
}

static int print_tables(const struct arguments *arguments, const struct timeline *t,
        struct timeline_unit *const *units, size_t n_units, const char *title) {
        uint64_t from, to;
        int r;

        if (arguments->legend)
                printf("%s\n\n", title);
        r = print_steps(t, arguments->legend);
        if (r < 0)
                return r;
        printf("\n");
        r = print_units(t, units, n_units, arguments->legend);
        if (r < 0 || !arguments->legend)
                return r;

        printf("\n");
        if (timeline_blackout(t, &from, &to))
                printf("No service was up from %.3f to %.3f: %.3f seconds.\n", (double) from / 1e6,
                        (double) to / 1e6, to > from ? (double) (to - from) / 1e6 : 0.0);
        print_remarks(t);
        return 0;
}

/* ---- as JSON ---- */

static void json_time(struct json *json, const char *key, uint64_t time) {
        if (time == TIME_UNKNOWN)
                json_string(json, key, NULL);
        else
                json_unsigned(json, key, time);
}

static void json_span(struct json *json, const char *key, bool is_known, uint64_t from, uint64_t to) {
        if (!is_known) {
                json_string(json, key, NULL);
                return;
        }
        json_begin(json, key, '{');
        json_unsigned(json, "atUSec", from);
        json_time(json, "durationUSec", to == TIME_UNKNOWN ? TIME_UNKNOWN : to > from ? to - from : 0);
        json_end(json, '{');
}

static void print_json(const struct timeline *t, struct timeline_unit *const *units, size_t n_units) {
        uint64_t from = 0, to = 0;
        struct json j = {};
        bool is_known;

        json_begin(&j, NULL, '{');
        json_string(&j, "previousBootId", t->previous_boot_id);
        json_string(&j, "bootId", t->boot_id);
        json_unsigned(&j, "realtimeUSec", t->realtime);
        json_boolean(&j, "hasShutdownLog", t->has_shutdown_log);
        json_boolean(&j, "clockWasSet", t->clock_was_set);
        if (t->is_running)
                json_boolean(&j, "isReboot", t->is_reboot);
        else
                json_string(&j, "isReboot", NULL);
        json_boolean(&j, "unitsLeftOut", t->units_left_out);
        json_boolean(&j, "stepsLeftOut", t->steps_left_out);

        json_begin(&j, "steps", '[');
        for (size_t i = 0; i < STEPS; i++)
                if (t->steps[i] != TIME_UNKNOWN) {
                        json_begin(&j, NULL, '{');
                        json_string(&j, "name", steps[i].name);
                        json_string(&j, "text", steps[i].text);
                        json_unsigned(&j, "atUSec", t->steps[i]);
                        json_time(&j, "durationUSec", timeline_step_duration(t, i));
                        json_end(&j, '{');
                }
        json_end(&j, '[');

        is_known = timeline_blackout(t, &from, &to);
        json_span(&j, "blackout", is_known, from, to);

        json_begin(&j, "units", '[');
        for (size_t i = 0; i < n_units; i++) {
                json_begin(&j, NULL, '{');
                json_string(&j, "unit", units[i]->name);
                json_time(&j, "stoppingUSec", units[i]->times[EVENT_STOPPING]);
                json_time(&j, "stoppedUSec", units[i]->times[EVENT_STOPPED]);
                json_time(&j, "startingUSec", units[i]->times[EVENT_STARTING]);
                json_time(&j, "startedUSec", units[i]->times[EVENT_STARTED]);
                json_span(&j, "setUp", units[i]->forked != TIME_UNKNOWN, units[i]->forked,
                        units[i]->handed_over);
                is_known = timeline_away(t, units[i], &from, &to);
                json_span(&j, "away", is_known, from, to);
                json_end(&j, '{');
        }
        json_end(&j, '[');
        json_end(&j, '{');
        json_finish();
}

/* ---- the command ---- */

static void format_title(const struct timeline *t, char *ret, size_t size) {
        time_t seconds = (time_t) (t->realtime / 1000000);
        char date[64] = "an unknown time";
        struct tm tm;

        if (gmtime_r(&seconds, &tm))
                (void) strftime(date, sizeof(date), "%F %T UTC", &tm);
        (void) snprintf(ret, size, "%s of %s, from boot %s to boot %s. Seconds since the shutdown began.",
                t->is_reboot ? "Reboot in place of a kexec" : "Kexec", date, t->previous_boot_id, t->boot_id);
}

int command_timeline(const struct arguments *arguments) {
        struct timeline_unit **units = NULL;
        struct timeline t;
        size_t n_units = 0;
        char title[256];
        int r;

        if (arguments->json && arguments->svg)
                return usage_error("it is either --json or --svg");

        r = timeline_read(arguments->directory, arguments->boot, &t);
        if (r > 0)
                return r;

        t.is_reboot = t.is_running && !kernel_is_booted_by_kexec(arguments->root);
        r = t.is_running ? ask_manager(&t) : 0;
        units = calloc(t.n_units + 1, sizeof(*units));
        for (size_t i = 0; units && i < t.n_units; i++)
                if (is_wanted(arguments, t.units[i]->name))
                        units[n_units++] = t.units[i];
        format_title(&t, title, sizeof(title));

        if (!units)
                r = -ENOMEM;
        if (r < 0)
                ;
        else if (arguments->json)
                print_json(&t, units, n_units);
        else if (arguments->svg)
                timeline_print_svg(&t, units, n_units, title);
        else
                r = print_tables(arguments, &t, units, n_units, title);

        free(units);
        timeline_done(&t);
        return r < 0 ? fail(r, "cannot show the timeline: %s", strerror(-r)) : EXIT_SUCCESS;
}
