/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "manager-live-update.h"
#include "verdict.h"

#if HAVE_JSON_C

#include <json-c/json.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define INTERFACE "io.systemd.LiveUpdate."
#define MANAGER_SOCKET "/run/systemd/io.systemd.Manager"
#define REPLY_MAX ((size_t) 1 << 20)

/* Of all replies together: more than there is to say of all fd stores that a machine has */
#define REPLIES_MAX ((size_t) 64 << 20)

/* For all of them: systemd's child that looks at files gives up after a minute */
#define TIMEOUT_SEC 90

struct call {
        const char *method;
        const char *unit, *name, *kind; /* parameters, or NULL */
        bool more;                      /* it has any number of replies */
        bool of_caller;                 /* libluo has asked the same, for this process */
};

static int connect_manager(const struct call *c) {
        const char *path = secure_getenv("LIBLUO_MANAGER_SOCKET");
        const struct timeval limit = { .tv_sec = TIMEOUT_SEC };
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd;

        if (!path || !*path) {
                /* Who asks another systemd is not to hear of this one */
                if (!c->of_caller && getenv("DBUS_SYSTEM_BUS_ADDRESS"))
                        return -EOPNOTSUPP;
                path = MANAGER_SOCKET;
        }
        if (strlen(path) >= sizeof(address.sun_path))
                return -EOPNOTSUPP;
        memcpy(address.sun_path, path, strlen(path));

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -EOPNOTSUPP;
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
                connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0) {
                (void) close(fd);
                return -EOPNOTSUPP;
        }

        return fd;
}

static void add_parameter(struct json_object *parameters, const char *key, const char *value) {
        if (value)
                json_object_object_add(parameters, key, json_object_new_string(value));
}

static int send_call(int fd, const struct call *c) {
        struct json_object *call = json_object_new_object(), *parameters = json_object_new_object();
        const char *text;
        int r = 0;

        json_object_object_add(call, "method", json_object_new_string(c->method));
        if (c->more)
                json_object_object_add(call, "more", json_object_new_boolean(true));
        add_parameter(parameters, "unit", c->unit);
        add_parameter(parameters, "name", c->name);
        add_parameter(parameters, "kind", c->kind);
        json_object_object_add(call, "parameters", parameters);

        text = json_object_to_json_string_ext(call, JSON_C_TO_STRING_PLAIN);
        if (!text)
                r = -ENOMEM;
        else if (send(fd, text, strlen(text) + 1, MSG_NOSIGNAL) != (ssize_t) strlen(text) + 1)
                r = -EOPNOTSUPP;
        json_object_put(call);
        return r;
}

/* "" if there is none */
static const char *string_of(struct json_object *object, const char *key) {
        struct json_object *value;

        return json_object_object_get_ex(object, key, &value) && json_object_is_type(value, json_type_string)
                ? json_object_get_string(value)
                : "";
}

/* What keeps systemd's child waiting would keep us, too. Where there is another reason there is another way. */
static int check_error(const char *error) {
        return strcmp(error, INTERFACE "TooManyChecks") == 0    ? -EBUSY
                : strcmp(error, INTERFACE "CheckFailed") == 0   ? -ETIMEDOUT
                : strcmp(error, INTERFACE "NoSuchSession") == 0 ? -ENOENT
                                                                : -EOPNOTSUPP;
}

/* error is NULL, or its name */
typedef int (*reply_handler)(const char *error, struct json_object *parameters, void *userdata);

/* Returns 1 if there are more to come, 0 after the last one, or a negative errno. */
static int handle_reply(const char *text, reply_handler handler, void *userdata) {
        struct json_object *root = json_tokener_parse(text), *value, *parameters = NULL;
        int r = -EOPNOTSUPP;

        (void) json_object_object_get_ex(root, "parameters", &parameters);
        if (json_object_object_get_ex(root, "error", &value))
                r = handler(string_of(root, "error"), parameters, userdata);
        else if (json_object_is_type(root, json_type_object)) {
                bool continues = json_object_object_get_ex(root, "continues", &value) &&
                        json_object_get_boolean(value);

                r = parameters ? handler(NULL, parameters, userdata) : 0;
                if (r >= 0)
                        r = continues;
        }

        json_object_put(root);
        return r;
}

static time_t now_sec(void) {
        struct timespec now = {};

        (void) clock_gettime(CLOCK_BOOTTIME, &now);
        return now.tv_sec;
}

static int receive_replies(int fd, reply_handler handler, void *userdata) {
        size_t size = 0, allocated = 0, received = 0;
        time_t until = now_sec() + TIMEOUT_SEC;
        char *buffer = NULL, *end;
        int r = 1;

        while (r > 0) {
                ssize_t n;

                if (received > REPLIES_MAX || now_sec() > until) {
                        r = received > REPLIES_MAX ? -EOPNOTSUPP : -ETIMEDOUT;
                        break;
                }

                if (size == allocated) {
                        char *larger = allocated < REPLY_MAX ? realloc(buffer, allocated + 16384) : NULL;

                        if (!larger) {
                                r = allocated < REPLY_MAX ? -ENOMEM : -EOPNOTSUPP;
                                break;
                        }
                        buffer = larger;
                        allocated += 16384;
                }

                n = recv(fd, buffer + size, allocated - size, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        r = n < 0 && errno == EAGAIN ? -ETIMEDOUT : -EOPNOTSUPP;
                        break;
                }
                size += (size_t) n;
                received += (size_t) n;

                while (r > 0 && (end = memchr(buffer, 0, size))) {
                        size_t length = (size_t) (end - buffer) + 1;

                        r = handle_reply(buffer, handler, userdata);
                        size -= length;
                        memmove(buffer, buffer + length, size);
                }
        }

        free(buffer);
        return r;
}

static int call_manager(const struct call *call, reply_handler handler, void *userdata) {
        int fd, r;

        fd = connect_manager(call);
        if (fd < 0)
                return fd;

        r = send_call(fd, call);
        if (r >= 0)
                r = receive_replies(fd, handler, userdata);
        (void) close(fd);
        return r;
}

static uint64_t number_of(struct json_object *object, const char *key) {
        struct json_object *value;

        return json_object_object_get_ex(object, key, &value) && json_object_is_type(value, json_type_int) &&
                        json_object_get_int64(value) >= 0
                ? json_object_get_uint64(value)
                : UINT64_MAX;
}

struct checked_list {
        struct checked *checked;
        size_t n;
};

static int add_checked(const char *error, struct json_object *parameters, void *userdata) {
        struct checked_list *list = userdata;
        struct checked *more, *c;
        struct json_object *entry;

        if (error)
                return check_error(error);

        /* The first and the last reply have none */
        if (!json_object_object_get_ex(parameters, "entry", &entry) ||
                !json_object_is_type(entry, json_type_object))
                return 0;

        more = reallocarray(list->checked, list->n + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        list->checked = more;

        c = more + list->n++;
        *c = (struct checked) {
                .unit = strdup(string_of(entry, "unit")),
                .name = strdup(string_of(entry, "name")),
                .kind = strdup(string_of(entry, "kind")),
                .verdict = strdup(string_of(entry, "verdict")),
                .reason = strdup(string_of(entry, "reason")),
                .limit_unit = strdup(string_of(entry, "limitUnit")),
                .n_fds = number_of(entry, "fileDescriptors"),
                .bytes = number_of(entry, "bytes"),
                .holes_bytes = number_of(entry, "holesBytes"),
        };
        return c->unit && c->name && c->kind && c->verdict && c->reason && c->limit_unit ? 0 : -ENOMEM;
}

int live_update_check(const char *unit, struct checked **checked, size_t *n_checked) {
        struct checked_list list = {};
        struct checked *all;
        int r;

        r = call_manager(&(struct call) { .method = INTERFACE "Check", .unit = unit, .more = true },
                add_checked, &list);
        if (r == -ENOENT)
                r = -EOPNOTSUPP;
        if (r >= 0 && list.n > 0) {
                all = reallocarray(*checked, *n_checked + list.n, sizeof(*all));
                if (all) {
                        memcpy(all + *n_checked, list.checked, list.n * sizeof(*all));
                        *checked = all;
                        *n_checked += list.n;
                        free(list.checked);
                        return 0;
                }
                r = -ENOMEM;
        }

        checked_free(list.checked, list.n);
        return r;
}

struct noted_stores {
        struct unit_store *stores;
        size_t n;
};

/* After a kexec the new one of two sessions of the same name has a suffix in the store. */
static bool is_named(const struct stored_fd *fd, const char *name, bool restored) {
        size_t length = strlen(name);

        return path_is_session(fd->path) && !fd->session && strncmp(fd->name, name, length) == 0 &&
                (fd->name[length] == 0 || (!restored && strcmp(fd->name + length, ".next") == 0));
}

static int note_session(const char *error, struct json_object *parameters, void *userdata) {
        const char *unit = string_of(parameters, "unit"), *name = string_of(parameters, "name");
        bool restored = strcmp(string_of(parameters, "kind"), "restored") == 0;
        const struct noted_stores *noted = userdata;
        struct unit_store *store = NULL;

        if (error)
                return check_error(error);

        for (size_t i = 0; i < noted->n; i++)
                if (strcmp(noted->stores[i].unit, unit) == 0)
                        store = noted->stores + i;
        if (!store)
                return 0;

        for (size_t i = 0; i < store->n_fds; i++)
                if (is_named(store->fds + i, name, restored)) {
                        store->fds[i].session = restored ? "restored" : "outgoing";
                        return 0;
                }
        if (store->n_not_told == 0)
                return 0;

        store->n_not_told--;
        return unit_store_add_fd(store,
                &(struct stored_fd) {
                        .open_flags = O_RDWR,
                        .session = restored ? "restored" : "outgoing",
                },
                name, "");
}

int live_update_note_sessions(struct unit_store *stores, size_t n_stores) {
        struct noted_stores noted = { stores, n_stores };

        const struct call call = { .method = INTERFACE "ListSessions", .more = true };

        return call_manager(&call, note_session, &noted) == -ENOMEM ? -ENOMEM : 0;
}

/* What follows from an error. Without one, and where there is no such session, they are offered. */
static int note_offer(const char *error, struct json_object *parameters, void *userdata) {
        enum session_offer *offer = userdata;

        if (!error || strcmp(error, INTERFACE "NoSuchSession") == 0)
                *offer = OFFER_YES;
        else if (strcmp(error, "org.varlink.service.PermissionDenied") == 0)
                *offer = OFFER_NOT_TO_PROCESS;
        else if (strcmp(error, INTERFACE "NotEnabled") == 0)
                *offer = strcmp(string_of(parameters, "setting"), "FileDescriptorStorePreserve") == 0
                        ? OFFER_NOT_PRESERVED
                        : OFFER_NOT_ENABLED;
        else if (strcmp(error, INTERFACE "NotAService") == 0)
                *offer = OFFER_NOT_A_SERVICE;
        return 0;
}

enum session_offer live_update_session_offer(const char *name) {
        const struct call call = {
                .method = INTERFACE "GetSession",
                .name = name,
                .kind = "outgoing",
                .of_caller = true,
        };
        enum session_offer offer = OFFER_NONE;

        (void) call_manager(&call, note_offer, &offer);
        return offer;
}

#else

int live_update_check(const char *unit, struct checked **checked, size_t *n_checked) {
        (void) unit;
        (void) checked;
        (void) n_checked;
        return -EOPNOTSUPP;
}

int live_update_note_sessions(struct unit_store *stores, size_t n_stores) {
        (void) stores;
        (void) n_stores;
        return 0;
}

enum session_offer live_update_session_offer(const char *name) {
        (void) name;
        return OFFER_NONE;
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
