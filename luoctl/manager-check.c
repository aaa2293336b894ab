/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "manager-check.h"

#if HAVE_VARLINK

#include <systemd/sd-json.h>
#include <systemd/sd-varlink.h>

#define MANAGER_SOCKET "/run/systemd/io.systemd.Manager"

struct answer {
        struct checked *checked;
        size_t n;
        int error;
        bool done;
};

/* Returns a copy of a string of the object, "" if there is none, NULL if there is no memory for it. */
static char *string_of(sd_json_variant *object, const char *key) {
        sd_json_variant *v = sd_json_variant_by_key(object, key);

        return strdup(sd_json_variant_is_string(v) ? sd_json_variant_string(v) : "");
}

static uint64_t number_of(sd_json_variant *object, const char *key) {
        sd_json_variant *v = sd_json_variant_by_key(object, key);

        return sd_json_variant_is_unsigned(v) ? sd_json_variant_unsigned(v) : UINT64_MAX;
}

static int add_entry(struct answer *answer, sd_json_variant *entry) {
        struct checked *more, *c;

        more = reallocarray(answer->checked, answer->n + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        answer->checked = more;

        c = more + answer->n++;
        *c = (struct checked) {
                .unit = string_of(entry, "unit"),
                .name = string_of(entry, "name"),
                .kind = string_of(entry, "kind"),
                .verdict = string_of(entry, "verdict"),
                .reason = string_of(entry, "reason"),
                .limit_unit = string_of(entry, "limitUnit"),
                .n_fds = number_of(entry, "fileDescriptors"),
                .bytes = number_of(entry, "bytes"),
                .holes_bytes = number_of(entry, "holesBytes"),
        };

        return c->unit && c->name && c->kind && c->verdict && c->reason && c->limit_unit ? 0 : -ENOMEM;
}

static int on_reply(sd_varlink *link, sd_json_variant *parameters, const char *error,
        sd_varlink_reply_flags_t flags, void *userdata) {
        struct answer *answer = userdata;
        sd_json_variant *entry = sd_json_variant_by_key(parameters, "entry");

        (void) link;

        /* What keeps PID 1's child waiting would keep us, too. Where there is another reason there is another way. */
        if (error)
                answer->error = strcmp(error, "io.systemd.LiveUpdate.TooManyChecks") == 0 ? -EBUSY
                        : strcmp(error, "io.systemd.LiveUpdate.CheckFailed") == 0 ||
                                strcmp(error, SD_VARLINK_ERROR_TIMEOUT) == 0
                        ? -ETIMEDOUT
                        : -EOPNOTSUPP;
        else if (sd_json_variant_is_object(entry))
                answer->error = add_entry(answer, entry);

        answer->done = answer->error < 0 || !(flags & SD_VARLINK_REPLY_CONTINUES);
        return 0;
}

int manager_check(struct checked **ret, size_t *ret_n) {
        struct answer answer = {};
        sd_varlink *link = NULL;
        int r;

        if (geteuid() != 0 || getenv("DBUS_SYSTEM_BUS_ADDRESS"))
                return -EOPNOTSUPP;

        r = sd_varlink_connect_address(&link, MANAGER_SOCKET);
        if (r < 0)
                return -EOPNOTSUPP;

        (void) sd_varlink_set_userdata(link, &answer);
        r = sd_varlink_bind_reply(link, on_reply);
        if (r >= 0)
                r = sd_varlink_observe(link, "io.systemd.LiveUpdate.Check", NULL);
        while (r >= 0 && !answer.done) {
                r = sd_varlink_process(link);
                if (r == 0)
                        r = sd_varlink_wait(link, UINT64_MAX);
        }
        sd_varlink_close_unref(link);

        if (r >= 0)
                r = answer.error;
        if (r < 0) {
                checked_free(answer.checked, answer.n);
                return r == -ENOMEM || r == -EBUSY || r == -ETIMEDOUT ? r : -EOPNOTSUPP;
        }

        *ret = answer.checked;
        *ret_n = answer.n;
        return 0;
}

#else

int manager_check(struct checked **ret, size_t *ret_n) {
        (void) ret;
        (void) ret_n;
        return -EOPNOTSUPP;
}

#endif

void checked_free(struct checked *checked, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(checked[i].unit);
                free(checked[i].name);
                free(checked[i].kind);
                free(checked[i].verdict);
                free(checked[i].reason);
                free(checked[i].limit_unit);
        }
        free(checked);
}
