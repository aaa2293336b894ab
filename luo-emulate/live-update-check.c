/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include <json-c/json.h>

#include <sys/stat.h>

#include "internal.h"
#include "live-update.h"
#include "process.h"
#include "varlink.h"

/*
 * Check() of io.systemd.LiveUpdate: what would come of each entry of the store in a kexec, as the patched systemd says.
 */

/* Keep in sync with CheckVerdict of the interface; the worst is the last */
enum verdict { VERDICT_SURVIVES, VERDICT_UNKNOWN, VERDICT_LOST };
static const char *const verdict_names[] = { "survives", "unknown", "lost" };

struct check_entry {
        enum verdict verdict;
        const char *reason; /* NULL: none */
        uint64_t bytes;     /* UINT64_MAX: not known */
        uint64_t holes;
};

struct check_sum {
        enum verdict verdict;
        uint64_t n, bytes, holes, available;
        struct stat *files; /* that were counted */
        size_t n_files;
};

/* Whether an entry before this one has the same file: what is stored several times is counted once. */
static bool was_counted(struct check_sum *sum, int fd) {
        struct stat *files, st;

        if (process_fd_stat(getpid(), fd, &st) < 0)
                return false;
        for (size_t i = 0; i < sum->n_files; i++)
                if (sum->files[i].st_dev == st.st_dev && sum->files[i].st_ino == st.st_ino)
                        return true;

        files = reallocarray(sum->files, sum->n_files + 1, sizeof(*files));
        if (files) {
                sum->files = files;
                files[sum->n_files++] = st;
        }
        return false;
}

static void check_file(
        const struct entry_description *description, struct check_sum *sum, struct check_entry *ret) {
        libluo_preflight p;
        int r;

        r = libluo_fd_preflight(description->fd, &p, sizeof(p));
        if (r < 0) {
                *ret = (struct check_entry) { VERDICT_UNKNOWN, libluo_strerror(r), UINT64_MAX, 0 };
                return;
        }

        /* The kernel that has it is a model, which libluo does not see from here */
        if (p.verdict == LIBLUO_VERDICT_FINE && description->is_preserved) {
                p.verdict = LIBLUO_VERDICT_PRESERVED;
                p.sparse_cost = 0;
        }

        *ret = (struct check_entry) { VERDICT_SURVIVES, NULL, p.allocated, p.sparse_cost };
        if (p.verdict != LIBLUO_VERDICT_FINE) {
                ret->verdict = VERDICT_LOST;
                ret->reason = libluo_verdict_to_string(p.verdict);
                if (p.verdict == LIBLUO_VERDICT_TYPE)
                        ret->bytes = UINT64_MAX;
                return;
        }

        if (p.losses & LIBLUO_LOSS_WRITING)
                ret->reason = "nobody can write to it after the kexec (F_SEAL_EXEC)";
        if (was_counted(sum, description->fd)) {
                ret->bytes = ret->holes = 0;
                return;
        }
        if (p.sparse_cost > 0 &&
                (sum->holes > sum->available || p.sparse_cost > sum->available - sum->holes)) {
                ret->verdict = VERDICT_UNKNOWN;
                ret->reason = "the holes of all files together need more memory than is available now";
        }
        sum->holes += p.sparse_cost;
}

static void add_unsigned(struct json_object *object, const char *name, uint64_t value) {
        json_object_object_add(object, name, json_object_new_uint64(value));
}

static void reply_entry(struct varlink_call *call, const char *unit,
        const struct entry_description *description, const struct check_entry *entry) {
        struct json_object *parameters = json_object_new_object(), *o = json_object_new_object();

        json_object_object_add(o, "unit", json_object_new_string(unit));
        json_object_object_add(o, "name", json_object_new_string(description->name));
        json_object_object_add(o, "kind", json_object_new_string(description->is_session ? "session" : "fd"));
        json_object_object_add(o, "verdict", json_object_new_string(verdict_names[entry->verdict]));
        if (entry->reason)
                json_object_object_add(o, "reason", json_object_new_string(entry->reason));
        add_unsigned(o, "fileDescriptors", 1);
        if (entry->bytes != UINT64_MAX)
                add_unsigned(o, "bytes", entry->bytes);
        add_unsigned(o, "holesBytes", entry->holes);
        json_object_object_add(parameters, "entry", o);
        varlink_reply(call, parameters, -1, true);
}

static void reply_sum(struct varlink_call *call, const struct check_sum *sum) {
        struct json_object *parameters = json_object_new_object(), *o = json_object_new_object();

        json_object_object_add(o, "verdict", json_object_new_string(verdict_names[sum->verdict]));
        add_unsigned(o, "fileDescriptors", sum->n);
        add_unsigned(o, "bytes", sum->bytes);
        add_unsigned(o, "holesBytes", sum->holes);
        add_unsigned(o, "availableBytes", sum->available);
        json_object_object_add(o, "sufficientMemory", json_object_new_boolean(sum->holes <= sum->available));
        json_object_object_add(o, "liveUpdateAvailable", json_object_new_boolean(true));
        /* Here a kexec needs no kernel */
        json_object_object_add(o, "kernelLoaded", json_object_new_boolean(true));
        json_object_object_add(o, "exitrd", json_object_new_boolean(false));
        json_object_object_add(parameters, "summary", o);
        varlink_reply(call, parameters, -1, false);
}

void live_update_check(struct service_manager *m, struct varlink_call *call, const char *unit) {
        struct check_sum sum = { .available = libluo_memory_for_holes() };
        struct entry_description description;
        struct stored_fd *entry = NULL;

        while (unit && service_manager_next_entry(m, &entry, &description)) {
                struct check_entry found = { .bytes = UINT64_MAX };

                if (description.is_restored) /* the service had its chance to take what it needs */
                        continue;
                if (!description.is_session)
                        check_file(&description, &sum, &found);

                if (found.verdict > sum.verdict)
                        sum.verdict = found.verdict;
                sum.n++;
                sum.bytes += found.bytes != UINT64_MAX ? found.bytes : 0;
                reply_entry(call, unit, &description, &found);
        }

        reply_sum(call, &sum);
        free(sum.files);
}
