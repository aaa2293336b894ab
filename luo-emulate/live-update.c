/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "fd-store.h"
#include "internal.h"
#include "live-update-interface.h"
#include "live-update.h"
#include "varlink.h"
#include "version.h"

#define INTERFACE "io.systemd.LiveUpdate."
#define UNIT_NAME "emulated.service"

enum kind { KIND_ANY, KIND_RESTORED, KIND_OUTGOING };

static void invalid_parameter(struct varlink_call *call, const char *parameter) {
        struct json_object *parameters = json_object_new_object();

        json_object_object_add(parameters, "parameter", json_object_new_string(parameter));
        varlink_error(call, "org.varlink.service.InvalidParameter", parameters);
}

/* Checks that a parameter is a string. *ret is NULL if it is not there. */
static bool get_string(struct varlink_call *call, const char *name, bool mandatory, const char **ret) {
        struct json_object *value = NULL;

        *ret = NULL;
        if (!call->parameters || !json_object_object_get_ex(call->parameters, name, &value) || !value) {
                if (mandatory)
                        invalid_parameter(call, name);
                return !mandatory;
        }
        if (!json_object_is_type(value, json_type_string) ||
                strlen(json_object_get_string(value)) != (size_t) json_object_get_string_len(value)) {
                invalid_parameter(call, name);
                return false;
        }

        *ret = json_object_get_string(value);
        return true;
}

static bool unit_is_valid(const char *name) {
        static const char *const types[] = { ".service", ".socket", ".target", ".device", ".mount",
                ".automount", ".swap", ".timer", ".path", ".slice", ".scope" };
        static const char characters[] =
                "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:-_.\\@";
        const char *type = strrchr(name, '.');

        if (!type || type == name || *name == '@' || strlen(name) > 255 || name[strspn(name, characters)])
                return false;
        if (strchr(name, '@') == type - 1) /* a template */
                return false;
        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (strcmp(type, types[i]) == 0)
                        return true;
        return false;
}

/* Checks that it is a name of a unit, if it is there. */
static bool get_unit(struct varlink_call *call, const char **ret) {
        if (!get_string(call, "unit", false, ret))
                return false;
        if (!*ret || unit_is_valid(*ret))
                return true;

        invalid_parameter(call, "unit");
        return false;
}

static bool get_kind(struct varlink_call *call, enum kind *ret) {
        const char *kind;

        if (!get_string(call, "kind", false, &kind))
                return false;
        if (!kind)
                *ret = KIND_ANY;
        else if (strcmp(kind, "restored") == 0)
                *ret = KIND_RESTORED;
        else if (strcmp(kind, "outgoing") == 0)
                *ret = KIND_OUTGOING;
        else {
                invalid_parameter(call, "kind");
                return false;
        }

        return true;
}

/* Checks that a parameter is a truth value, if it is there. */
static bool get_boolean(struct varlink_call *call, const char *name, bool *ret) {
        struct json_object *value = NULL;

        *ret = false;
        if (!call->parameters || !json_object_object_get_ex(call->parameters, name, &value) || !value)
                return true;
        if (!json_object_is_type(value, json_type_boolean)) {
                invalid_parameter(call, name);
                return false;
        }

        *ret = json_object_get_boolean(value);
        return true;
}

/* systemd refuses what it does not know, too. */
static bool knows_parameters(struct varlink_call *call, const char *const known[]) {
        if (!call->parameters)
                return true;

        json_object_object_foreach(call->parameters, name, value) {
                size_t i = 0;

                (void) value;
                while (known[i] && strcmp(known[i], name) != 0)
                        i++;
                if (!known[i]) {
                        invalid_parameter(call, name);
                        return false;
                }
        }

        return true;
}

static bool name_is_valid(const char *name) {
        size_t length = strlen(name), suffix = strlen(".next");

        return length > 0 && length <= LIBLUO_ENTRY_NAME_MAX - suffix &&
                libluo_internal_entry_name_is_valid(name, length) && !strpbrk(name, " \\\"'*?[") &&
                (length < suffix || strcmp(name + length - suffix, ".next") != 0);
}

static bool check_caller(struct service_manager *m, struct varlink_call *call) {
        if (service_manager_is_caller(m, call->peer))
                return true;

        varlink_error(call, INTERFACE "NotAService", NULL);
        return false;
}

static bool check_call(struct service_manager *m, struct varlink_call *call, const char *name) {
        struct json_object *parameters;

        if (!check_caller(m, call))
                return false;
        if (service_manager_sessions_max(m) == 0) {
                parameters = json_object_new_object();
                json_object_object_add(
                        parameters, "setting", json_object_new_string("LiveUpdateSessionsMax"));
                varlink_error(call, INTERFACE "NotEnabled", parameters);
                return false;
        }
        if (!name_is_valid(name)) {
                varlink_error(call, INTERFACE "NameNotValid", NULL);
                return false;
        }

        return true;
}

static void reply_session(struct varlink_call *call, const struct stored_fd *entry) {
        struct json_object *parameters = json_object_new_object();

        json_object_object_add(parameters, "sessionFileDescriptor", json_object_new_int(0));
        varlink_reply(call, parameters, entry->fd, false);
}

static void create_session(struct service_manager *m, struct varlink_call *call) {
        struct unit_sessions sessions;
        const char *name;
        int r;

        if (!get_string(call, "name", true, &name) || !check_call(m, call, name))
                return;

        service_manager_find_sessions(m, name, &sessions);
        if (sessions.outgoing) {
                varlink_error(call, INTERFACE "SessionExists", NULL);
                return;
        }
        if (service_manager_count_sessions(m) >= service_manager_sessions_max(m)) {
                varlink_error(call, INTERFACE "TooManySessions", NULL);
                return;
        }

        r = service_manager_create_session(m, name);
        if (r == -EBUSY)
                varlink_error(call, INTERFACE "Busy", NULL);
        else if (r == -ENODEV || r == -ENOENT || r == -ENXIO)
                varlink_error(call, INTERFACE "NotSupported", NULL);
        else if (r < 0)
                varlink_error(call, INTERFACE "TooManySessions", NULL);
        else {
                service_manager_find_sessions(m, name, &sessions);
                if (call->oneway) /* as with systemd: nobody is to have it */
                        service_manager_remove_session(m, sessions.outgoing);
                else
                        reply_session(call, sessions.outgoing);
        }
}

static void get_session(struct service_manager *m, struct varlink_call *call) {
        struct unit_sessions sessions;
        const struct stored_fd *entry;
        const char *name;
        enum kind kind;

        if (!get_string(call, "name", true, &name) || !get_kind(call, &kind) || !check_call(m, call, name))
                return;

        service_manager_find_sessions(m, name, &sessions);
        entry = kind == KIND_OUTGOING ? sessions.outgoing : sessions.restored;
        if (entry)
                reply_session(call, entry);
        else
                varlink_error(call, INTERFACE "NoSuchSession", NULL);
}

static void remove_session(struct service_manager *m, struct varlink_call *call) {
        struct unit_sessions sessions = {};
        const char *name, *unit;
        bool interactive;
        enum kind kind;

        if (!get_string(call, "name", true, &name) || !get_kind(call, &kind) || !get_unit(call, &unit) ||
                !get_boolean(call, "allowInteractiveAuthentication", &interactive))
                return;
        if (unit && call->peer_uid != 0) {
                varlink_error(call, "org.varlink.service.PermissionDenied", NULL);
                return;
        }
        if (!unit && !check_call(m, call, name))
                return;

        if (!unit || strcmp(unit, UNIT_NAME) == 0)
                service_manager_find_sessions(m, name, &sessions);
        if (kind == KIND_RESTORED)
                sessions.outgoing = NULL;
        if (kind == KIND_OUTGOING)
                sessions.restored = NULL;
        if (!sessions.restored && !sessions.outgoing) {
                varlink_error(call, INTERFACE "NoSuchSession", NULL);
                return;
        }

        if (sessions.restored)
                service_manager_remove_session(m, sessions.restored);
        if (sessions.outgoing)
                service_manager_remove_session(m, sessions.outgoing);
        varlink_reply(call, NULL, -1, false);
}

/* root sees all units, a service itself only */
static bool may_look_at(struct service_manager *m, struct varlink_call *call, const char *unit) {
        if (call->peer_uid == 0)
                return true;
        if (!check_caller(m, call))
                return false;
        if (!unit || strcmp(unit, UNIT_NAME) == 0)
                return true;

        varlink_error(call, "org.varlink.service.PermissionDenied", NULL);
        return false;
}

static struct json_object *describe_session(const struct session_description *description) {
        struct json_object *parameters = json_object_new_object();

        json_object_object_add(parameters, "unit", json_object_new_string(UNIT_NAME));
        json_object_object_add(parameters, "name", json_object_new_string(description->name));
        json_object_object_add(
                parameters, "kind", json_object_new_string(description->restored ? "restored" : "outgoing"));
        return parameters;
}

static void list_sessions(struct service_manager *m, struct varlink_call *call) {
        struct session_description description;
        struct json_object *last = NULL;
        struct stored_fd *entry = NULL;
        const char *unit;

        if (!get_unit(call, &unit) || !may_look_at(m, call, unit))
                return;

        while ((!unit || strcmp(unit, UNIT_NAME) == 0) &&
                service_manager_next_session(m, &entry, &description)) {
                if (last)
                        varlink_reply(call, last, -1, true);
                last = describe_session(&description);
        }

        if (last)
                varlink_reply(call, last, -1, false);
        else
                varlink_error(call, INTERFACE "NoSuchSession", NULL);
}

static void describe(struct service_manager *m, struct varlink_call *call) {
        struct json_object *parameters = json_object_new_object();

        json_object_object_add(parameters, "available", json_object_new_boolean(true));
        json_object_object_add(parameters, "kexecCount", json_object_new_int((int) service_manager_boot(m)));
        varlink_reply(call, parameters, -1, false);
}

static void check(struct service_manager *m, struct varlink_call *call) {
        struct json_object *parameters;
        bool only_required;
        const char *unit;

        if (!get_unit(call, &unit) || !get_boolean(call, "onlyRequired", &only_required) ||
                !may_look_at(m, call, unit))
                return;
        if (unit && strcmp(unit, UNIT_NAME) != 0) {
                varlink_error(call, INTERFACE "NotAService", NULL);
                return;
        }

        /* There is no unit with LiveUpdateRequired= here */
        parameters = json_object_new_object();
        json_object_object_add(parameters, "required", json_object_new_boolean(false));
        varlink_reply(call, parameters, -1, true);
        live_update_check(m, call, only_required ? NULL : UNIT_NAME);
}

static void get_info(struct service_manager *m, struct varlink_call *call) {
        struct json_object *parameters = json_object_new_object(), *interfaces = json_object_new_array();

        (void) m;
        json_object_array_add(interfaces, json_object_new_string("io.systemd.LiveUpdate"));
        json_object_object_add(parameters, "vendor", json_object_new_string("libluo"));
        json_object_object_add(parameters, "product", json_object_new_string("luo-emulate"));
        json_object_object_add(parameters, "version", json_object_new_string(LIBLUO_VERSION));
        json_object_object_add(parameters, "url", json_object_new_string(""));
        json_object_object_add(parameters, "interfaces", interfaces);
        varlink_reply(call, parameters, -1, false);
}

static void get_interface_description(struct service_manager *m, struct varlink_call *call) {
        static const char *const lines[] = { LIVE_UPDATE_INTERFACE };
        struct json_object *parameters;
        size_t size = 0;
        const char *name;
        char *text, *end;

        (void) m;
        if (!get_string(call, "interface", true, &name))
                return;
        parameters = json_object_new_object();
        if (strcmp(name, "io.systemd.LiveUpdate") != 0) {
                json_object_object_add(parameters, "interface", json_object_new_string(name));
                varlink_error(call, "org.varlink.service.InterfaceNotFound", parameters);
                return;
        }

        for (size_t i = 0; i < ELEMENTS(lines); i++)
                size += strlen(lines[i]);
        text = end = malloc(size + 1);
        for (size_t i = 0; text && i < ELEMENTS(lines); i++)
                end = stpcpy(end, lines[i]);
        json_object_object_add(parameters, "description", text ? json_object_new_string(text) : NULL);
        varlink_reply(call, parameters, -1, false);
        free(text);
}

void live_update_call(void *userdata, struct varlink_call *call) {
        static const struct {
                const char *name;
                void (*run)(struct service_manager *m, struct varlink_call *call);
                bool needs_more;
                const char *parameters[5];
        } methods[] = {
                { INTERFACE "CreateSession", create_session, false, { "name" } },
                { INTERFACE "GetSession", get_session, false, { "name", "kind" } },
                { INTERFACE "RemoveSession", remove_session, false,
                        { "name", "kind", "unit", "allowInteractiveAuthentication" } },
                { INTERFACE "ListSessions", list_sessions, true, { "unit" } },
                { INTERFACE "Describe", describe, false, {} },
                { INTERFACE "Check", check, true, { "unit", "onlyRequired" } },
                { "org.varlink.service.GetInfo", get_info, false, {} },
                { "org.varlink.service.GetInterfaceDescription", get_interface_description, false,
                        { "interface" } },
        };
        struct json_object *parameters;

        for (size_t i = 0; i < ELEMENTS(methods); i++) {
                if (strcmp(call->method, methods[i].name) != 0)
                        continue;
                if (methods[i].needs_more && !call->more)
                        varlink_error(call, "org.varlink.service.ExpectedMore", NULL);
                else if (knows_parameters(call, methods[i].parameters))
                        methods[i].run(userdata, call);
                return;
        }

        parameters = json_object_new_object();
        json_object_object_add(parameters, "method", json_object_new_string(call->method));
        varlink_error(call, "org.varlink.service.MethodNotFound", parameters);
}
