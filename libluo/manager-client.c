/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "internal.h"

/*
 * The service manager's interface io.systemd.LiveUpdate. Varlink is JSON, each message ends with a NUL, and file
 * descriptors are attached to replies: see varlink.org.
 */

#if HAVE_JSON_C

#include <json-c/json.h>

#define FDS_MAX 4 /* one is expected */

struct reply {
        char *text; /* of LUO_MANAGER_REPLY_MAX bytes */
        int fds[FDS_MAX];
        size_t n_fds;
};

/* What the errors of the interface are here. Who has nothing to offer to us: -EOPNOTSUPP. */
static const struct {
        const char *name;
        int error;
} errors[] = {
        { "io.systemd.LiveUpdate.NoSuchSession", -ENOENT },
        { "io.systemd.LiveUpdate.SessionExists", -EEXIST },
        { "io.systemd.LiveUpdate.TooManySessions", -ENOSPC },
        { "io.systemd.LiveUpdate.Busy", -EBUSY },
        { "io.systemd.LiveUpdate.NameNotValid", -EINVAL },
        { "io.systemd.LiveUpdate.NotAService", -EOPNOTSUPP },
        { "io.systemd.LiveUpdate.UserService", -EOPNOTSUPP },
        { "io.systemd.LiveUpdate.NotEnabled", -EOPNOTSUPP },
        { "io.systemd.LiveUpdate.NotSupported", -EOPNOTSUPP },
        { "org.varlink.service.PermissionDenied",
                -EACCES }, /* sessions are enabled, but not for this process */
        { "org.varlink.service.InterfaceNotFound", -EOPNOTSUPP },
        { "org.varlink.service.MethodNotFound", -EOPNOTSUPP },
        { "org.varlink.service.MethodNotImplemented", -EOPNOTSUPP },
};

static int connect_manager(void) {
        const struct timeval limit = { .tv_sec = (time_t) (LUO_NOTIFY_TIMEOUT_USEC / USEC_PER_SEC) };
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *path = secure_getenv("LIBLUO_MANAGER_SOCKET");
        int fd, r = 0;

        if (!path || !*path)
                path = LUO_MANAGER_SOCKET;
        if (strlen(path) >= sizeof(address.sun_path))
                return -EOPNOTSUPP;
        memcpy(address.sun_path, path, strlen(path));

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -EOPNOTSUPP;

        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
                r = -EPROTO;
        else if (RETRY(connect(fd, (const struct sockaddr *) &address, sizeof(address))) < 0)
                r = errno == EAGAIN ? -ETIMEDOUT : errno == ENOMEM ? -ENOMEM : -EOPNOTSUPP;
        if (r < 0) {
                close_fd(fd);
                return r;
        }

        return fd;
}

static int socket_error(void) {
        return errno == EAGAIN ? -ETIMEDOUT : errno == ENOMEM ? -ENOMEM : -ECOMM;
}

/* With the NUL at its end */
static int send_text(int fd, const char *text) {
        for (size_t size = strlen(text) + 1; size > 0;) {
                ssize_t n = RETRY(send(fd, text, size, MSG_NOSIGNAL));

                if (n < 0)
                        return socket_error();
                text += n;
                size -= (size_t) n;
        }

        return 0;
}

static void close_fds(struct reply *reply) {
        for (size_t i = 0; i < reply->n_fds; i++)
                close_fd(reply->fds[i]);
        reply->n_fds = 0;
}

static int receive_reply(int fd, struct reply *reply) {
        union {
                struct cmsghdr header;
                uint8_t buffer[CMSG_SPACE(sizeof(int) * FDS_MAX)];
        } control;
        size_t size = 0;

        do {
                struct iovec iov = { .iov_base = reply->text + size,
                        .iov_len = LUO_MANAGER_REPLY_MAX - size };
                struct msghdr message = {
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control),
                };
                ssize_t n;

                if (iov.iov_len == 0)
                        return -EPROTO;
                n = RETRY(recvmsg(fd, &message, MSG_CMSG_CLOEXEC));
                if (n < 0)
                        return socket_error();

                for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
                        size_t n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                                continue;
                        for (size_t i = 0; i < n_fds; i++) {
                                int passed;

                                memcpy(&passed, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                                if (reply->n_fds < FDS_MAX)
                                        reply->fds[reply->n_fds++] = passed;
                                else
                                        close_fd(passed);
                        }
                }

                if (n == 0)
                        return -ECOMM;
                if (message.msg_flags & MSG_CTRUNC) /* there was no room for it in this process */
                        return -EMFILE;
                size += (size_t) n;
        } while (reply->text[size - 1] != 0);

        return 0;
}

static struct json_object *make_call(const char *method, const char *name, const char *kind) {
        struct json_object *call = json_object_new_object(), *parameters = json_object_new_object();
        char full[64];
        bool good;

        (void) snprintf(full, sizeof(full), "io.systemd.LiveUpdate.%s", method);
        good = call && parameters &&
                json_object_object_add(parameters, "name", json_object_new_string(name)) >= 0 &&
                (!kind || json_object_object_add(parameters, "kind", json_object_new_string(kind)) >= 0) &&
                json_object_object_add(call, "method", json_object_new_string(full)) >= 0;
        if (good && json_object_object_add(call, "parameters", parameters) >= 0)
                return call;

        json_object_put(parameters);
        json_object_put(call);
        return NULL;
}

/* Returns the session's fd, which is taken out of the reply, or a negative errno. */
static int read_reply(struct reply *reply) {
        struct json_object *root, *value, *parameters;
        int r = -EPROTO, i;

        root = json_tokener_parse(reply->text);
        if (json_object_object_get_ex(root, "error", &value)) {
                for (size_t e = 0; e < ELEMENTS(errors); e++)
                        if (json_object_is_type(value, json_type_string) &&
                                strcmp(json_object_get_string(value), errors[e].name) == 0)
                                r = errors[e].error;
        } else if (json_object_object_get_ex(root, "parameters", &parameters) &&
                json_object_object_get_ex(parameters, "sessionFileDescriptor", &value)) {
                i = json_object_is_type(value, json_type_int) ? json_object_get_int(value) : -1;
                if (i >= 0 && (size_t) i < reply->n_fds) {
                        r = reply->fds[i];
                        reply->fds[i] = -1;
                }
        }

        json_object_put(root);
        return r;
}

int libluo_internal_manager_receive(int fd, char *buffer) {
        struct reply reply = { .text = buffer };
        int r;

        r = receive_reply(fd, &reply);
        if (r >= 0)
                r = read_reply(&reply);

        close_fds(&reply);
        return r;
}

static int call_manager(const char *text) {
        char *buffer;
        int fd, r;

        /* Before anything is asked for: a session that cannot be received would stay with the service manager */
        buffer = malloc(LUO_MANAGER_REPLY_MAX);
        if (!buffer)
                return -ENOMEM;

        fd = connect_manager();
        r = fd < 0 ? fd : send_text(fd, text);
        if (r >= 0)
                r = libluo_internal_manager_receive(fd, buffer);

        close_fd(fd);
        free(buffer);
        return r;
}

int libluo_internal_manager_call(
        const char *method, const char *name, const char *kind, uint64_t until_usec) {
        struct json_object *call;
        const char *text;
        int r;

        call = make_call(method, name, kind);
        text = call ? json_object_to_json_string_ext(call, JSON_C_TO_STRING_PLAIN) : NULL;
        if (!text) {
                json_object_put(call);
                return -ENOMEM;
        }

        /* The service manager waits for nobody who has the device */
        for (;;) {
                r = call_manager(text);
                if (r != -EBUSY || now_usec() >= until_usec)
                        break;
                (void) poll(NULL, 0, 100);
        }

        json_object_put(call);
        return r;
}

#else

int libluo_internal_manager_call(
        const char *method, const char *name, const char *kind, uint64_t until_usec) {
        (void) method;
        (void) name;
        (void) kind;
        (void) until_usec;
        return -EOPNOTSUPP;
}

#endif
