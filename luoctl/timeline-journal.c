/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>
#include <systemd/sd-messages.h>

#include "luoctl.h"
#include "timeline.h"

/*
 * Anybody may log anything. What counts are entries of PID 1, and what it wrote to the kernel's log: fields that begin
 * with "_" are journald's. The journal's index finds these, so that what others log costs nothing.
 *
 * Only root writes to the kernel's log, but journald does so for anybody who asks (StandardOutput=kmsg): under any
 * name, which may look like "systemd[1]: Started ..." itself. What it adds is "[PID]: ", see is_forwarded().
 */

/* Not in the headers of all versions that this is built with */
#define MESSAGE_UNIT_SUCCESS "7ad2d189f7e94e70a38c781354912448"
#define MESSAGE_UNIT_FAILURE_RESULT "d9b373ed55a64feb8242e02dbe79a49c"

/* More than any machine has; and an unprivileged user's units are of another manager. */
#define UNITS_MAX 10000

/* Later than that nothing has to do with the kexec any more. */
#define START_MAX (UINT64_C(3600) * 1000000)

/* A greater difference between the clocks of two boots is no jump. The clock that a kernel starts with has seconds. */
#define JUMP_MAX (UINT64_C(1800) * 1000000)
#define CLOCK_PRECISION UINT64_C(1000000)

/* 285 years: no sum of two overflows */
#define TIME_MAX (UINT64_C(1) << 53)

/* How much later than it was sent journald may have read an entry, on a machine that is very busy. Entries are in the
 * order in which it has read them, but for those of other files. */
#define DELAY_MAX UINT64_C(60000000)

/* How many boots are looked at */
#define BOOTS_MAX 10000

#define UNIT_NAME_SIZE 256

/* A line has up to 1024 bytes, which are up to 4096 when they are escaped, and are cut off at 2048 then: none of fewer
 * bytes than this, behind a name, has lost its end. */
#define KERNEL_MESSAGE_MAX 300

/* Parts of a disjunction are separated by this. */
#define OR "|"

#define LOGIND_ENTRIES "_SYSTEMD_UNIT=systemd-logind.service", "MESSAGE_ID=" SD_MESSAGE_SHUTDOWN_STR

/* How boots end: of each the last one tells. The stop of basic.target tells that what logind asked for is done. */
static const char *const end_entries[] = { "_TRANSPORT=kernel", "SYSLOG_PID=1",
        "SYSLOG_IDENTIFIER=systemd-shutdown", "MESSAGE=Rebooting with kexec.",
        "MESSAGE=Preserved fd stores in LUO session 'systemd' for kexec.", OR, /* */
        "_PID=1", "UNIT=kexec.target", "UNIT=systemd-kexec.service", "UNIT=reboot.target",
        "UNIT=systemd-reboot.service", "UNIT=poweroff.target", "UNIT=systemd-poweroff.service",
        "UNIT=halt.target", "UNIT=systemd-halt.service", "MESSAGE_ID=" SD_MESSAGE_UNIT_STARTING_STR,
        "MESSAGE_ID=" SD_MESSAGE_UNIT_STARTED_STR, OR,                                /* */
        "_PID=1", "UNIT=basic.target", "MESSAGE_ID=" SD_MESSAGE_UNIT_STOPPED_STR, OR, /* */
        LOGIND_ENTRIES, NULL };

/* The first job of the shutdown, from which the others come, or the one behind it */
static const char *const job_entries[] = { "_PID=1", "UNIT=kexec.target", "UNIT=systemd-kexec.service",
        "MESSAGE_ID=" SD_MESSAGE_UNIT_STARTING_STR, "MESSAGE_ID=" SD_MESSAGE_UNIT_STARTED_STR, NULL };

/* "reboot" is one, too, if a kernel is loaded. A soft-reboot is no end of the boot. */
#define REQUEST_ENTRIES LOGIND_ENTRIES, "SHUTDOWN=kexec", "SHUTDOWN=reboot"

static const char *const request_entries[] = { REQUEST_ENTRIES, NULL };

/* PID 1 writes to the kernel's log while there is no journald. */
static const char *const manager_entries[] = { "_PID=1", "SYSLOG_IDENTIFIER=systemd", OR, "_TRANSPORT=kernel",
        "SYSLOG_PID=1", "SYSLOG_IDENTIFIER=systemd", "SYSLOG_IDENTIFIER=systemd-shutdown", NULL };

static const char *const shutdown_entries[] = { "_PID=1", "SYSLOG_IDENTIFIER=systemd", OR,
        "_TRANSPORT=kernel", "SYSLOG_PID=1", "SYSLOG_IDENTIFIER=systemd",
        "SYSLOG_IDENTIFIER=systemd-shutdown", OR, REQUEST_ENTRIES, NULL };

static const char *const manager_kernel_entries[] = { "_TRANSPORT=kernel", "SYSLOG_PID=1",
        "SYSLOG_IDENTIFIER=systemd", NULL };

struct reader {
        sd_journal *journal;
        struct timeline *timeline;
        sd_id128_t previous_boot, boot;
        void *index;                /* of the timeline's units, by name */
        uint64_t begin;             /* of the shutdown, by the clock of the previous boot */
        uint64_t end, end_realtime; /* of the previous boot */
        uint64_t kernel;            /* the next one's start, since begin */
        uint64_t first_unit;        /* by the clock of the next boot */
        uint64_t job;               /* PID 1's number of the first one of the shutdown, or 0 */
        bool is_shutdown_known;     /* when it began; if not, this is found as it is read */
};

/* ---- the journal ---- */

/* What is looked for: these entries, of a boot unless that is null */
static int set_matches(sd_journal *journal, sd_id128_t boot, const char *const *matches) {
        char boot_match[] = "_BOOT_ID=00112233445566778899aabbccddeeff";
        int r = 0;

        sd_journal_flush_matches(journal);
        if (!sd_id128_equal(boot, SD_ID128_NULL)) {
                sd_id128_to_string(boot, boot_match + strlen("_BOOT_ID="));
                r = sd_journal_add_match(journal, boot_match, 0);
                if (r >= 0)
                        r = sd_journal_add_conjunction(journal);
        }
        for (; r >= 0 && matches && *matches; matches++)
                r = strcmp(*matches, OR) == 0 ? sd_journal_add_disjunction(journal)
                                              : sd_journal_add_match(journal, *matches, 0);
        return r;
}

/* The last one of these entries. Returns 1, or 0 if there is none. */
static int find_last(sd_journal *journal, sd_id128_t boot, const char *const *matches) {
        int r;

        r = set_matches(journal, boot, matches);
        if (r >= 0)
                r = sd_journal_seek_tail(journal);
        return r < 0 ? r : sd_journal_previous(journal);
}

static int get_boot(sd_journal *journal, sd_id128_t *ret) {
        uint64_t monotonic;

        return sd_journal_get_monotonic_usec(journal, &monotonic, ret);
}

/* When an entry was written, by the clock of its boot, which is at 0 when the kernel starts */
static int get_monotonic(sd_journal *journal, uint64_t *ret) {
        sd_id128_t boot;

        return sd_journal_get_monotonic_usec(journal, ret, &boot);
}

/* The boot before another one, or behind it. Returns 1, or 0 if there is none. */
static int find_next_boot(
        sd_journal *journal, sd_id128_t boot, int (*step)(sd_journal *journal), sd_id128_t *ret) {
        sd_id128_t found;
        int r;

        r = set_matches(journal, boot, NULL);
        if (r >= 0)
                r = step == sd_journal_next ? sd_journal_seek_tail(journal) : sd_journal_seek_head(journal);
        if (r >= 0)
                r = step == sd_journal_next ? sd_journal_previous(journal) : sd_journal_next(journal);
        if (r <= 0)
                return r;

        sd_journal_flush_matches(journal);
        while ((r = step(journal)) > 0) {
                r = get_boot(journal, &found);
                if (r < 0)
                        return r;
                if (!sd_id128_equal(found, boot)) {
                        *ret = found;
                        return 1;
                }
        }
        return r;
}

/* The value of a field as a string. What does not fit, or has a zero in it, is not there. */
static bool get_field(sd_journal *journal, const char *name, char *ret, size_t size) {
        const void *data;
        size_t length, prefix = strlen(name) + 1;

        if (sd_journal_get_data(journal, name, &data, &length) < 0 || length < prefix)
                return false;
        length -= prefix;
        if (length >= size || memchr((const char *) data + prefix, 0, length))
                return false;

        memcpy(ret, (const char *) data + prefix, length);
        ret[length] = 0;
        return true;
}

/* How the message begins: descriptions of units may be long. */
static void get_message(sd_journal *journal, char *ret, size_t size) {
        const void *data;
        size_t length, prefix = strlen("MESSAGE=");

        if (sd_journal_get_data(journal, "MESSAGE", &data, &length) < 0 || length < prefix)
                length = prefix;
        (void) snprintf(ret, size, "%.*s", length - prefix < size ? (int) (length - prefix) : (int) size - 1,
                length > prefix ? (const char *) data + prefix : "");
}

/* Whether the current entry, of the kernel's log, may be another's than it says. */
static bool is_forwarded(sd_journal *journal) {
        char text[KERNEL_MESSAGE_MAX];

        if (!get_field(journal, "MESSAGE", text, sizeof(text)))
                return true;

        for (const char *p = text; (p = strchr(p, '[')); p++) {
                size_t n_digits = strspn(p + 1, "0123456789");

                if (n_digits > 0 && strncmp(p + 1 + n_digits, "]: ", 3) == 0)
                        return true;
        }
        return false;
}

static bool get_number(sd_journal *journal, const char *name, uint64_t maximum, uint64_t *ret) {
        char text[24];

        return get_field(journal, name, text, sizeof(text)) && parse_number(text, maximum, ret);
}

static bool get_time(sd_journal *journal, const char *name, uint64_t *ret) {
        return get_number(journal, name, TIME_MAX, ret);
}

/*
 * When an entry was made, by the clock of its boot. journald may have come to it later: to the kernel's log when it was
 * started, and to what it is sent when it had the time.
 */
static int get_entry_time(sd_journal *journal, bool is_kernel, uint64_t *ret) {
        uint64_t time, realtime, source;
        int r;

        r = get_monotonic(journal, &time);
        if (r < 0)
                return r;
        r = sd_journal_get_realtime_usec(journal, &realtime);
        if (r < 0)
                return r;

        if (is_kernel) {
                if (get_time(journal, "_SOURCE_MONOTONIC_TIMESTAMP", &source) && source < time)
                        time = source;
        } else if (get_time(journal, "_SOURCE_REALTIME_TIMESTAMP", &source) && source < realtime &&
                realtime - source <= DELAY_MAX && realtime - source <= time)
                time -= realtime - source;

        *ret = time;
        return 0;
}

static bool has_field(sd_journal *journal, const char *name, const char *value) {
        char text[64];

        return get_field(journal, name, text, sizeof(text)) && strcmp(text, value) == 0;
}

/* ---- which boots ---- */

/*
 * The last boot that was ended by a kexec, as far as its journal tells: this boot, or, if it is null, any but one.
 * logind tells what it asks for, which may come to nothing: that counts only where the stop of basic.target follows,
 * and nothing that tells more, as what comes behind the unmounting of /var is lost.
 */
static int find_ended_by_kexec(sd_journal *journal, sd_id128_t boot, sd_id128_t but, sd_id128_t *ret) {
        sd_id128_t found, last = SD_ID128_NULL;
        bool is_stopped = false;
        int r;

        for (r = find_last(journal, boot, end_entries); r > 0; r = sd_journal_previous(journal)) {
                r = get_boot(journal, &found);
                if (r < 0)
                        return r;
                if (!sd_id128_equal(found, last))
                        is_stopped = false;
                else if (!is_stopped)
                        continue; /* it is the last one that counts */
                last = found;
                if (sd_id128_equal(found, but))
                        continue;

                if (has_field(journal, "UNIT", "kexec.target") ||
                        has_field(journal, "UNIT", "systemd-kexec.service") ||
                        has_field(journal, "SYSLOG_IDENTIFIER", "systemd-shutdown") ||
                        (is_stopped && has_field(journal, "SHUTDOWN", "kexec"))) {
                        *ret = found;
                        return 1;
                }
                is_stopped = has_field(journal, "UNIT", "basic.target");
        }
        return r;
}

/* The boot that runs, or the last one in a folder */
static int find_last_boot(struct reader *reader, bool is_here, sd_id128_t *ret) {
        int r;

        if (is_here)
                return sd_id128_get_boot(ret) < 0 ? 0 : 1;

        r = find_last(reader->journal, SD_ID128_NULL, NULL);
        return r <= 0 ? r : get_boot(reader->journal, ret) < 0 ? 0 : 1;
}

/* The last kexec. Returns 1, or 0 if there is none. */
static int find_last_kexec(struct reader *reader, bool is_here) {
        sd_id128_t last = SD_ID128_NULL;
        int r;

        r = find_last_boot(reader, is_here, &last);
        if (r <= 0)
                return r;
        reader->boot = last;
        r = find_next_boot(reader->journal, last, sd_journal_previous, &reader->previous_boot);
        if (r > 0)
                r = find_ended_by_kexec(
                        reader->journal, reader->previous_boot, SD_ID128_NULL, &reader->previous_boot);
        if (r != 0)
                return r;

        /* Others came between, or the clock was set back, and what is older looks newer. A shutdown that goes on right
         * now is not over. */
        r = find_ended_by_kexec(reader->journal, SD_ID128_NULL, last, &reader->previous_boot);
        if (r <= 0)
                return r;
        r = find_next_boot(reader->journal, reader->previous_boot, sd_journal_next, &reader->boot);
        if (r == 0)
                reader->boot = last;
        return r < 0 ? r : 1;
}

/* The kexec that led to a boot. Returns 1, 0 if there was none, or -EINVAL if this is no name of a boot. */
static int find_kexec(struct reader *reader, bool is_here, const char *boot) {
        uint64_t n = 0;
        int r;

        if (sd_id128_from_string(boot, &reader->boot) < 0) {
                if (strcmp(boot, "0") != 0 && (*boot != '-' || !parse_number(boot + 1, BOOTS_MAX, &n)))
                        return -EINVAL;
                r = find_last_boot(reader, is_here, &reader->boot);
                for (; r > 0 && n > 0; n--)
                        r = find_next_boot(reader->journal, reader->boot, sd_journal_previous, &reader->boot);
                if (r <= 0)
                        return r;
        }

        r = find_next_boot(reader->journal, reader->boot, sd_journal_previous, &reader->previous_boot);
        return r <= 0 ? r
                      : find_ended_by_kexec(reader->journal, reader->previous_boot, SD_ID128_NULL,
                                &reader->previous_boot);
}

/* ---- units ---- */

static int compare_names(const void *a, const void *b) {
        return strcmp(((const struct timeline_unit *) a)->name, ((const struct timeline_unit *) b)->name);
}

static struct timeline_unit *find_unit(struct reader *reader, char *name) {
        struct timeline_unit key = { .name = name };
        void *node = tfind(&key, &reader->index, compare_names);

        return node ? *(struct timeline_unit **) node : NULL;
}

static int add_unit(struct reader *reader, const char *name, struct timeline_unit **ret) {
        struct timeline *t = reader->timeline;
        struct timeline_unit *unit;

        /* Room for them is made in steps of a power of two. */
        if (t->n_units >= 64 ? (t->n_units & (t->n_units - 1)) == 0 : t->n_units == 0) {
                struct timeline_unit **units;

                units = reallocarray(t->units, t->n_units ? t->n_units * 2 : 64, sizeof(*units));
                if (!units)
                        return -ENOMEM;
                t->units = units;
        }

        unit = malloc(sizeof(*unit));
        if (!unit)
                return -ENOMEM;
        *unit = (struct timeline_unit) {
                .name = strdup(name),
                .times = { TIME_UNKNOWN, TIME_UNKNOWN, TIME_UNKNOWN, TIME_UNKNOWN },
                .forked = TIME_UNKNOWN,
                .handed_over = TIME_UNKNOWN,
                .failed = TIME_UNKNOWN,
        };
        if (!unit->name || !tsearch(unit, &reader->index, compare_names)) {
                timeline_unit_free(unit);
                return -ENOMEM;
        }

        t->units[t->n_units++] = unit;
        *ret = unit;
        return 0;
}

/* Started before PID 1 of the host has loaded units, by the one of the initrd */
static bool is_of_initrd(
        const struct timeline *t, const struct timeline_unit *unit, enum timeline_event event) {
        return (event == EVENT_STARTING || event == EVENT_STARTED) && t->steps[STEP_LOADED] != TIME_UNKNOWN &&
                unit->times[event] < t->steps[STEP_LOADED];
}

/* What PID 1 says of a unit */
struct event {
        char unit[UNIT_NAME_SIZE];
        enum timeline_event type;
        bool is_end; /* of a service that has nothing that runs on */
};

static int note_event(struct reader *reader, struct event *event, uint64_t time) {
        struct timeline_unit *unit;
        int r;

        if (!strchr(event->unit, '.'))
                return 0;

        unit = find_unit(reader, event->unit);
        if (!unit) {
                if (reader->timeline->n_units >= UNITS_MAX) {
                        reader->timeline->units_left_out = true;
                        return 0;
                }
                r = add_unit(reader, event->unit, &unit);
                if (r < 0)
                        return r;
        }

        /* The first of several, but for the end, and for what was in the initrd */
        if (unit->times[event->type] == TIME_UNKNOWN || is_of_initrd(reader->timeline, unit, event->type) ||
                (event->type == EVENT_STOPPED) == (time > unit->times[event->type])) {
                unit->times[event->type] = time;
                if (event->type == EVENT_STARTED)
                        unit->is_oneshot = event->is_end;
        }
        if (event->type == EVENT_STARTED && time > unit->last_started)
                unit->last_started = time;
        return 0;
}

/*
 * With the id of the message or, in the kernel's log, in its text. The first of the ids also comes with units that are
 * skipped, as a condition does not hold: the text does not begin so then.
 */
static const struct {
        const char *id, *verb;
        enum timeline_event event;
        bool is_end;
} messages[] = {
        { SD_MESSAGE_UNIT_STARTED_STR, "Started ", EVENT_STARTED, false },
        { SD_MESSAGE_UNIT_STARTED_STR, "Finished ", EVENT_STARTED, true },
        { SD_MESSAGE_UNIT_STARTING_STR, "Starting ", EVENT_STARTING, false },
        { SD_MESSAGE_UNIT_STOPPING_STR, "Stopping ", EVENT_STOPPING, false },
        { SD_MESSAGE_UNIT_STOPPED_STR, "Stopped ", EVENT_STOPPED, false },
};

/* The service that a line of text names: "Started NAME.service - Description.", or without the description */
static bool parse_service(const char *text, char *ret) {
        static const char suffix[] = ".service";
        const char *end = strstr(text, suffix);

        if (!end || end == text || end + strlen(suffix) - text >= UNIT_NAME_SIZE)
                return false;
        end += strlen(suffix);
        if (strcspn(text, " ") < (size_t) (end - text))
                return false;
        if (strncmp(end, " - ", 3) != 0 && strcmp(end, ".") != 0 && strcmp(end, "...") != 0)
                return false;

        memcpy(ret, text, (size_t) (end - text));
        ret[end - text] = 0;
        return true;
}

/* Whether the current entry, which PID 1 wrote, is about a unit */
static bool get_event(sd_journal *journal, bool is_kernel, struct event *ret) {
        char text[512], id[33];

        if (!is_kernel &&
                (!get_field(journal, "MESSAGE_ID", id, sizeof(id)) ||
                        !get_field(journal, "UNIT", ret->unit, sizeof(ret->unit))))
                return false;
        get_message(journal, text, sizeof(text));

        for (size_t i = 0; i < ELEMENTS(messages); i++) {
                size_t length = strlen(messages[i].verb);
                bool begins_so = strncmp(text, messages[i].verb, length) == 0;

                ret->type = messages[i].event;
                ret->is_end = messages[i].is_end;
                if (is_kernel && begins_so)
                        return parse_service(text + length, ret->unit);
                if (!is_kernel && strcmp(id, messages[i].id) == 0 &&
                        (begins_so || ret->type != EVENT_STARTED || !timeline_is_service(ret->unit)))
                        return true;
        }
        return false;
}

/* ---- the boot that the kexec ended ---- */

static const struct {
        const char *prefix;
        enum timeline_step step;
} shutdown_messages[] = {
        { "Syncing ", STEP_SYNC },
        { "Sending SIGTERM to remaining processes", STEP_TERMINATE },
        { "Sending SIGKILL to remaining processes", STEP_KILL },
        { "Unmounting file systems.", STEP_UNMOUNT },
        { "Deactivating swaps.", STEP_DETACH },
        { "Detaching ", STEP_DETACH },
        { "Stopping MD devices.", STEP_DETACH },
        { "Preserving the log of the shutdown", STEP_PRESERVE },
        { "Successfully changed into root pivot.", STEP_EXITRD },
        { "Preserved fd stores ", STEP_CALL },
        { "Rebooting with kexec.", STEP_CALL },
};

/* Until it is known when the shutdown began, with the first that is found of it */
static void note_begin(struct reader *reader, uint64_t time) {
        uint64_t realtime;

        if (reader->is_shutdown_known || time >= reader->begin)
                return;
        reader->begin = time;
        if (sd_journal_get_realtime_usec(reader->journal, &realtime) >= 0)
                reader->timeline->realtime = realtime;
}

/* What systemd-shutdown says: the first time of each, as it does things again that failed */
static void note_shutdown(struct reader *reader, uint64_t time) {
        uint64_t *steps = reader->timeline->steps;
        char text[512];

        get_message(reader->journal, text, sizeof(text));
        for (size_t i = 0; i < ELEMENTS(shutdown_messages); i++)
                if (strncmp(text, shutdown_messages[i].prefix, strlen(shutdown_messages[i].prefix)) == 0 &&
                        time < steps[shutdown_messages[i].step])
                        steps[shutdown_messages[i].step] = time;
}

/* Notes down, in the clock of its boot, what the current entry says. Returns 0 where the shutdown began. */
static int read_shutdown_entry(struct reader *reader) {
        sd_journal *journal = reader->journal;
        struct event event;
        uint64_t time, job;
        bool is_kernel, has_job;
        int r;

        /* After a long time the kernel's log has a time of its own. */
        is_kernel = has_field(journal, "_TRANSPORT", "kernel");
        if (is_kernel && is_forwarded(journal))
                return 1;
        r = is_kernel ? get_monotonic(journal, &time) : get_entry_time(journal, false, &time);
        if (r < 0)
                return r;
        if (time > TIME_MAX)
                return 1;
        if (time > reader->end)
                reader->end = time; /* the last entry need not be the latest one */
        if (reader->is_shutdown_known && time < reader->begin)
                return time + DELAY_MAX >= reader->begin;

        if (is_kernel && has_field(journal, "SYSLOG_IDENTIFIER", "systemd-shutdown")) {
                note_begin(reader, time);
                note_shutdown(reader, time);
                return 1;
        }
        if (has_field(journal, "MESSAGE", "Shutting down.")) {
                note_begin(reader, time);
                reader->timeline->steps[STEP_SHUTDOWN] = time;
                return 1;
        }
        if (has_field(journal, "MESSAGE_ID", SD_MESSAGE_SHUTDOWN_STR)) {
                if (reader->job > 0 && time + DELAY_MAX < reader->begin)
                        return 0; /* it came to nothing, and the shutdown is another one */
                reader->is_shutdown_known = true;
                reader->begin = time;
                r = sd_journal_get_realtime_usec(journal, &reader->timeline->realtime);
                return r < 0 ? r : 1;
        }
        if (!get_event(journal, is_kernel, &event) || event.type == EVENT_STARTING)
                return 1;
        has_job = !is_kernel && get_number(journal, "JOB_ID", UINT32_MAX, &job);
        if (event.type == EVENT_STARTED)
                return is_kernel || reader->is_shutdown_known || (has_job && job >= reader->job);

        if (has_job && job < reader->job)
                return 1; /* somebody had it stopped before */
        if (has_job)
                note_begin(reader, time);
        r = note_event(reader, &event, time);
        return r < 0 ? r : 1;
}

/* What was before is not of the shutdown, as the stop of a unit before it that came late */
static uint64_t since(uint64_t time, uint64_t begin) {
        return time == TIME_UNKNOWN || time < begin ? TIME_UNKNOWN : time - begin;
}

/* From its end back to the begin of the shutdown */
static int read_shutdown(struct reader *reader) {
        struct timeline *t = reader->timeline;
        sd_journal *journal = reader->journal;
        int r;

        r = find_last(journal, reader->previous_boot, NULL);
        if (r <= 0)
                return r < 0 ? r : -ENODATA;
        r = get_monotonic(journal, &reader->end);
        if (r >= 0)
                r = sd_journal_get_realtime_usec(journal, &reader->end_realtime);
        if (r < 0)
                return r;
        if (reader->end > TIME_MAX || reader->end_realtime > TIME_MAX)
                return -EBADMSG;
        reader->begin = reader->end;
        t->realtime = reader->end_realtime;

        /* Without a job it is all that PID 1 did after logind's request, if there was one. */
        r = find_last(journal, reader->previous_boot, job_entries);
        if (r > 0 && !get_number(journal, "JOB_ID", UINT32_MAX, &reader->job))
                r = 0;
        if (r == 0) {
                r = find_last(journal, reader->previous_boot, request_entries);
                reader->job = r > 0 ? 0 : UINT64_MAX;
        }
        if (r < 0)
                return r;

        r = find_last(journal, reader->previous_boot, shutdown_entries);
        while (r > 0) {
                r = read_shutdown_entry(reader);
                if (r > 0)
                        r = sd_journal_previous(journal);
        }
        if (r < 0)
                return r;

        /* From here on all times are those since it began. */
        t->steps[STEP_STOP] = reader->begin;
        t->steps[STEP_JUMP] = reader->end;
        t->has_shutdown_log = t->steps[STEP_CALL] != TIME_UNKNOWN || t->steps[STEP_EXITRD] != TIME_UNKNOWN;
        for (size_t i = 0; i < STEPS; i++)
                t->steps[i] = since(t->steps[i], reader->begin);
        for (size_t i = 0; i < t->n_units; i++)
                for (size_t k = 0; k < EVENTS; k++)
                        t->units[i]->times[k] = since(t->units[i]->times[k], reader->begin);
        return 0;
}

/* ---- the boot that it led to ---- */

/* How long it took from the last entry of the one to the kernel's start, by the clocks of both */
static int find_jump(struct reader *reader) {
        uint64_t realtime, monotonic, start;
        int r;

        r = set_matches(reader->journal, reader->boot, NULL);
        if (r >= 0)
                r = sd_journal_seek_head(reader->journal);
        if (r >= 0)
                r = sd_journal_next(reader->journal);
        if (r <= 0)
                return r < 0 ? r : -ENODATA;
        r = sd_journal_get_realtime_usec(reader->journal, &realtime);
        if (r >= 0)
                r = get_monotonic(reader->journal, &monotonic);
        if (r < 0)
                return r;

        reader->kernel = reader->end - reader->begin;
        start = realtime - monotonic;
        if (monotonic > realtime || realtime > TIME_MAX || start + CLOCK_PRECISION < reader->end_realtime ||
                start > reader->end_realtime + JUMP_MAX)
                reader->timeline->clock_was_set = true;
        else if (start > reader->end_realtime)
                reader->kernel += start - reader->end_realtime;
        return 0;
}

static void note_startup(struct reader *reader, uint64_t time) {
        uint64_t *steps = reader->timeline->steps, kernel, initrd;

        steps[STEP_READY] = reader->kernel + time;
        if (!get_time(reader->journal, "KERNEL_USEC", &kernel) || kernel > time)
                return;
        steps[STEP_MANAGER] = reader->kernel + kernel;
        if (get_time(reader->journal, "INITRD_USEC", &initrd) && initrd <= time - kernel) {
                steps[STEP_INITRD] = reader->kernel + kernel;
                steps[STEP_MANAGER] += initrd;
        }
}

/* What PID 1 says, at first into the kernel's log */
static void note_manager(struct reader *reader, bool is_kernel, uint64_t time) {
        static const char *const unit_messages[] = { "Created slice ", "Expecting device ", "Listening on ",
                "Mounting ", "Reached target ", "Set up automount ", "Started ", "Starting " };
        struct timeline *t = reader->timeline;
        char text[512];

        if (is_kernel && reader->kernel + time < t->steps[STEP_MANAGER])
                t->steps[STEP_MANAGER] = reader->kernel + time;
        get_message(reader->journal, text, sizeof(text));
        if (strncmp(text, "Queued ", strlen("Queued ")) == 0 && strstr(text, " for default target ")) {
                /* What was before the last one was the initrd, with units of its own. */
                t->steps[STEP_LOADED] = reader->kernel + time;
                reader->first_unit = TIME_UNKNOWN;
        }
        for (size_t i = 0; i < ELEMENTS(unit_messages); i++)
                if (strncmp(text, unit_messages[i], strlen(unit_messages[i])) == 0 &&
                        time < reader->first_unit)
                        reader->first_unit = time;
}

/* Of a service of which anything else is known */
static void note_failure(struct reader *reader, bool is_kernel, uint64_t time) {
        static const char failed[] = ": Failed with result ";
        char name[UNIT_NAME_SIZE + sizeof(failed)];
        struct timeline_unit *unit;
        char *end;

        if (is_kernel) {
                get_message(reader->journal, name, sizeof(name));
                end = strstr(name, failed);
                if (!end)
                        return;
                *end = 0;
        } else if (!has_field(reader->journal, "MESSAGE_ID", MESSAGE_UNIT_FAILURE_RESULT) ||
                !get_field(reader->journal, "UNIT", name, sizeof(name)))
                return;

        unit = find_unit(reader, name);
        if (unit && (unit->failed == TIME_UNKNOWN || time > unit->failed))
                unit->failed = time;
}

/* A service that failed is not back before it is started once more, in whatever order the journal has that. */
static void leave_out_starts(const struct timeline *t, struct timeline_unit *unit) {
        for (size_t i = EVENT_STARTING; i <= EVENT_STARTED; i++)
                if (is_of_initrd(t, unit, i))
                        unit->times[i] = TIME_UNKNOWN;

        if (t->steps[STEP_LOADED] != TIME_UNKNOWN && unit->failed < t->steps[STEP_LOADED])
                unit->failed = TIME_UNKNOWN; /* in the initrd */
        if (unit->failed != TIME_UNKNOWN)
                unit->times[EVENT_STARTED] =
                        unit->last_started > unit->failed ? unit->last_started : TIME_UNKNOWN;
}

/* Returns 0 where the start is over. */
static int read_start_entry(struct reader *reader) {
        sd_journal *journal = reader->journal;
        struct event event;
        bool is_kernel;
        uint64_t time;
        int r;

        is_kernel = has_field(journal, "_TRANSPORT", "kernel");
        if (is_kernel && is_forwarded(journal))
                return 1;
        r = get_entry_time(journal, is_kernel, &time);
        if (r < 0)
                return r;
        if (time > START_MAX)
                return 0;
        if (!is_kernel && has_field(journal, "MESSAGE_ID", SD_MESSAGE_STARTUP_FINISHED_STR)) {
                note_startup(reader, time);
                return 0;
        }

        note_manager(reader, is_kernel, time);
        note_failure(reader, is_kernel, reader->kernel + time);
        if (!get_event(journal, is_kernel, &event) || event.type == EVENT_STOPPING ||
                event.type == EVENT_STOPPED)
                return 1;
        reader->first_unit = time < reader->first_unit ? time : reader->first_unit;
        r = note_event(reader, &event, reader->kernel + time);
        return r < 0 ? r : 1;
}

static int read_start(struct reader *reader) {
        struct timeline *t = reader->timeline;
        int r;

        r = find_jump(reader);
        if (r < 0)
                return r;
        t->steps[STEP_KERNEL] = reader->kernel;

        r = set_matches(reader->journal, reader->boot, manager_entries);
        if (r >= 0)
                r = sd_journal_seek_head(reader->journal);
        if (r >= 0)
                r = sd_journal_next(reader->journal);
        while (r > 0) {
                r = read_start_entry(reader);
                if (r > 0)
                        r = sd_journal_next(reader->journal);
        }
        if (r >= 0 && reader->first_unit != TIME_UNKNOWN)
                t->steps[STEP_UNITS] = reader->kernel + reader->first_unit;
        for (size_t i = 0; i < t->n_units; i++)
                leave_out_starts(t, t->units[i]);
        return r;
}

/* ---- services that stay up until the kexec ---- */

static bool is_to_be_looked_for(const struct timeline_unit *unit) {
        return timeline_was_started(unit) && !unit->is_oneshot &&
                unit->times[EVENT_STOPPING] == TIME_UNKNOWN && unit->times[EVENT_STOPPED] == TIME_UNKNOWN &&
                timeline_is_service(unit->name);
}

/* What the current entry says of it holds, if it is the last one that does. */
static int note_state(struct reader *reader, bool is_kernel, struct timeline_unit *unit, bool is_up) {
        uint64_t time;
        int r;

        r = get_entry_time(reader->journal, is_kernel, &time);
        if (r >= 0 && time >= unit->last_change) {
                unit->last_change = time;
                unit->was_up = is_up;
        }
        return r;
}

/* They were started before there was a journald, or after that. */
static int find_services_up(struct reader *reader) {
        struct timeline *t = reader->timeline;
        char match[UNIT_NAME_SIZE + 8];
        struct event event;
        int r;

        r = set_matches(reader->journal, reader->previous_boot, manager_kernel_entries);
        if (r >= 0)
                r = sd_journal_seek_head(reader->journal);
        while (r >= 0 && (r = sd_journal_next(reader->journal)) > 0) {
                struct timeline_unit *unit = NULL;

                if (!is_forwarded(reader->journal) && get_event(reader->journal, true, &event))
                        unit = find_unit(reader, event.unit);
                if (unit && is_to_be_looked_for(unit))
                        r = note_state(reader, true, unit, event.type == EVENT_STARTED);
        }

        for (size_t i = 0; r >= 0 && i < t->n_units; i++) {
                const char *const last_state[] = { "_PID=1", match, "MESSAGE_ID=" SD_MESSAGE_UNIT_STARTED_STR,
                        "MESSAGE_ID=" SD_MESSAGE_UNIT_STOPPED_STR, "MESSAGE_ID=" MESSAGE_UNIT_SUCCESS,
                        "MESSAGE_ID=" MESSAGE_UNIT_FAILURE_RESULT, NULL };

                if (!is_to_be_looked_for(t->units[i]))
                        continue;
                (void) snprintf(match, sizeof(match), "UNIT=%s", t->units[i]->name);
                r = find_last(reader->journal, reader->previous_boot, last_state);
                if (r > 0)
                        r = note_state(reader, false, t->units[i],
                                get_event(reader->journal, false, &event) && event.type == EVENT_STARTED);
        }
        return r;
}

/* ---- all of it ---- */

/* A step that begins after the next one has a wrong time, or that one has. */
static void leave_out_steps(struct timeline *t) {
        uint64_t next = TIME_UNKNOWN;

        for (size_t i = STEPS; i-- > 0;)
                if (t->steps[i] <= next)
                        next = t->steps[i];
                else if (t->steps[i] != TIME_UNKNOWN) {
                        t->steps[i] = TIME_UNKNOWN;
                        t->steps_left_out = true;
                }
}

static uint64_t first_time(const struct timeline_unit *unit) {
        uint64_t first = unit->failed;

        for (size_t i = 0; i < EVENTS; i++)
                if (unit->times[i] < first)
                        first = unit->times[i];
        return first;
}

static int compare_units(const void *a, const void *b) {
        const struct timeline_unit *x = *(struct timeline_unit *const *) a,
                                   *y = *(struct timeline_unit *const *) b;
        uint64_t first_x = first_time(x), first_y = first_time(y);

        return first_x != first_y ? (first_x < first_y ? -1 : 1) : strcmp(x->name, y->name);
}

static int read_all(struct reader *reader) {
        struct timeline *t = reader->timeline;
        sd_id128_t running;
        int r;

        t->is_running = sd_id128_get_boot(&running) >= 0 && sd_id128_equal(reader->boot, running);

        sd_id128_to_string(reader->previous_boot, t->previous_boot_id);
        sd_id128_to_string(reader->boot, t->boot_id);

        r = read_shutdown(reader);
        if (r >= 0)
                r = read_start(reader);
        if (r >= 0)
                r = find_services_up(reader);
        if (r < 0)
                return r;

        leave_out_steps(t);
        if (t->n_units > 0)
                qsort(t->units, t->n_units, sizeof(*t->units), compare_units);
        /* Those of the initrd alone come last. */
        while (t->n_units > 0 && first_time(t->units[t->n_units - 1]) == TIME_UNKNOWN)
                timeline_unit_free(t->units[--t->n_units]);
        return 0;
}

static void keep(void *unit) {
        (void) unit; /* the timeline has it */
}

int timeline_read(const char *directory, const char *boot, struct timeline *ret) {
        struct timeline t = {};
        struct reader reader = { .timeline = &t, .first_unit = TIME_UNKNOWN };
        const char *where = directory ? directory : "the journal";
        int r;

        for (size_t i = 0; i < STEPS; i++)
                t.steps[i] = TIME_UNKNOWN;

        r = directory ? sd_journal_open_directory(&reader.journal, directory, 0)
                      : sd_journal_open(&reader.journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
        if (r < 0)
                return fail(r, "cannot open %s: %s", where, strerror(-r));

        r = boot ? find_kexec(&reader, !directory, boot) : find_last_kexec(&reader, !directory);
        if (r == 0 && boot)
                r = fail(-ENOENT, "%s has no kexec that led to boot %s", where, boot);
        else if (r == 0)
                r = fail(-ENOENT, "%s has no kexec with the boots before and behind it%s", where,
                        directory ? "" : "; it has to be persistent, and readable (by root, or group adm)");
        else if (r == -EINVAL && boot)
                r = usage_error("--boot takes the id of a boot, or 0, -1 and so on, not \"%s\"", boot);
        else {
                if (r > 0)
                        r = read_all(&reader);
                if (r < 0)
                        r = fail(r, "cannot read %s: %s", where, strerror(-r));
        }

        tdestroy(reader.index, keep);
        sd_journal_close(reader.journal);
        if (r > 0)
                timeline_done(&t);
        else
                *ret = t;
        return r;
}
