/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "internal.h"
#include "varlink.h"

#define MESSAGE_MAX 65536

/* More than a client leaves unread that means to read it at all */
#define OUTPUT_MAX ((size_t) 16 << 20)

struct varlink_connection {
        TAILQ_ENTRY(varlink_connection) connections;
        int fd;
        struct ucred peer;
        size_t size;
        bool failed;  /* it is to be closed */
        char *output; /* what the client has not read yet */
        size_t output_size;
        char buffer[MESSAGE_MAX];
};

TAILQ_HEAD(varlink_connection_list, varlink_connection);

struct varlink_server {
        varlink_handler handler;
        void *userdata;
        int epoll;
        int socket;
        struct varlink_connection_list connections;
};

static void close_connection(struct varlink_server *s, struct varlink_connection *c) {
        TAILQ_REMOVE(&s->connections, c, connections);
        close_fd(c->fd);
        free(c->output);
        free(c);
}

struct varlink_server *varlink_server_free(struct varlink_server *s) {
        struct varlink_connection *c;

        if (!s)
                return NULL;

        while ((c = TAILQ_FIRST(&s->connections)))
                close_connection(s, c);
        close_fd(s->socket);
        close_fd(s->epoll);
        free(s);
        return NULL;
}

int varlink_server_new(
        const char *path, varlink_handler handler, void *userdata, struct varlink_server **ret_server) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct varlink_server *s;
        int r = 0;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path));

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (struct varlink_server) {
                .handler = handler,
                .userdata = userdata,
                .connections = TAILQ_HEAD_INITIALIZER(s->connections),
        };

        s->epoll = epoll_create1(EPOLL_CLOEXEC);
        s->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->epoll < 0 || s->socket < 0 ||
                bind(s->socket, (const struct sockaddr *) &address, sizeof(address)) < 0 ||
                listen(s->socket, SOMAXCONN) < 0 ||
                epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->socket, &(struct epoll_event) { .events = EPOLLIN }) <
                        0)
                r = -errno;
        if (r < 0) {
                varlink_server_free(s);
                return r;
        }

        *ret_server = s;
        return 0;
}

int varlink_server_fd(const struct varlink_server *s) {
        return s->epoll;
}

static int accept_connection(struct varlink_server *s) {
        socklen_t size = sizeof(struct ucred);
        struct varlink_connection *c;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;

        c->fd = accept4(s->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (c->fd < 0) {
                r = -errno;
                free(c);
                return r;
        }

        TAILQ_INSERT_TAIL(&s->connections, c, connections);
        if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &c->peer, &size) < 0 ||
                epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd,
                        &(struct epoll_event) { .events = EPOLLIN, .data.ptr = c }) < 0)
                close_connection(s, c);
        return 0;
}

static void queue_output(struct varlink_connection *c, const char *text, size_t size) {
        char *output = size < OUTPUT_MAX - c->output_size ? realloc(c->output, c->output_size + size) : NULL;

        if (!output) {
                c->failed = true;
                return;
        }
        memcpy(output + c->output_size, text, size);
        c->output = output;
        c->output_size += size;
}

static void send_output(struct varlink_connection *c) {
        ssize_t n = send(c->fd, c->output, c->output_size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0)
                c->failed = errno != EAGAIN && errno != EINTR;
        else {
                c->output_size -= (size_t) n;
                memmove(c->output, c->output + n, c->output_size);
        }
}

/* Whoever does not read its replies gets no file descriptors. */
static void send_message(struct varlink_connection *c, struct json_object *message, int fd) {
        const char *text = json_object_to_json_string_ext(message, JSON_C_TO_STRING_PLAIN);
        size_t size = text ? strlen(text) + 1 : 0;
        union {
                struct cmsghdr header;
                uint8_t buffer[CMSG_SPACE(sizeof(int))];
        } control = {
                .header = {
                        .cmsg_len = CMSG_LEN(sizeof(int)),
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                },
        };
        struct msghdr header = { .msg_iov = &(struct iovec) { (char *) text, size }, .msg_iovlen = 1 };
        ssize_t n = 0;

        if (fd >= 0) {
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
                header.msg_control = &control;
                header.msg_controllen = CMSG_SPACE(sizeof(int));
        }

        if (text && c->output_size == 0 && !c->failed) {
                n = sendmsg(c->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EAGAIN)
                        n = 0;
        }
        if (!text || c->failed || n < 0 || (fd >= 0 && n == 0))
                c->failed = true;
        else if ((size_t) n < size)
                queue_output(c, text + n, size - (size_t) n);
}

static void answer(struct varlink_call *call, const char *error, struct json_object *parameters, int fd,
        bool continues) {
        struct json_object *message;

        if (call->oneway) {
                json_object_put(parameters);
                return;
        }

        message = json_object_new_object();
        if (error)
                json_object_object_add(message, "error", json_object_new_string(error));
        json_object_object_add(message, "parameters", parameters ? parameters : json_object_new_object());
        if (continues)
                json_object_object_add(message, "continues", json_object_new_boolean(true));
        send_message(call->connection, message, fd);
        json_object_put(message);
}

void varlink_reply(struct varlink_call *call, struct json_object *parameters, int fd, bool continues) {
        answer(call, NULL, parameters, fd, continues);
}

void varlink_error(struct varlink_call *call, const char *error, struct json_object *parameters) {
        answer(call, error, parameters, -1, false);
}

/* json-c looks at the first bits of each byte only. */
static bool is_utf8(const char *text, size_t length) {
        static const uint32_t minimum[] = { 0, 0x80, 0x800, 0x10000 };

        for (size_t i = 0; i < length;) {
                uint8_t c = (uint8_t) text[i++];
                unsigned n = c < 0x80 ? 0 : c < 0xc0 ? 4 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf8 ? 3 : 4;
                uint32_t code_point = n == 0 ? c : c & (0x3fU >> n);

                if (n > 3 || length - i < n)
                        return false;
                for (unsigned k = 0; k < n; k++, i++) {
                        if (((uint8_t) text[i] & 0xc0) != 0x80)
                                return false;
                        code_point = code_point << 6 | ((uint8_t) text[i] & 0x3f);
                }
                if (code_point < minimum[n] || code_point > 0x10ffff ||
                        (code_point >= 0xd800 && code_point < 0xe000))
                        return false;
        }

        return true;
}

/* JSON only, as sd-json has it: otherwise what is not would come back in replies. */
static struct json_object *parse(const char *text, size_t length) {
        struct json_tokener *tokener;
        struct json_object *root;

        tokener = is_utf8(text, length) ? json_tokener_new() : NULL;
        if (!tokener)
                return NULL;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        root = json_tokener_parse_ex(tokener, text, (int) length);
        json_tokener_free(tokener);
        return root;
}

/* Reads a call. Returns false for what is none: as for sd-varlink, that is also one of which anything is not known. */
static bool read_call(struct json_object *root, struct varlink_call *call) {
        bool has_flag = false;

        if (!json_object_is_type(root, json_type_object))
                return false;

        json_object_object_foreach(root, key, value) {
                if (strcmp(key, "method") == 0) {
                        if (!json_object_is_type(value, json_type_string))
                                return false;
                        call->method = json_object_get_string(value);
                        if (strlen(call->method) != (size_t) json_object_get_string_len(value))
                                return false;
                } else if (strcmp(key, "parameters") == 0) {
                        if (value && !json_object_is_type(value, json_type_object))
                                return false;
                        call->parameters = value;
                } else if (strcmp(key, "oneway") == 0 || strcmp(key, "more") == 0 ||
                        strcmp(key, "upgrade") == 0) {
                        if (has_flag || !json_object_is_type(value, json_type_boolean))
                                return false;
                        has_flag = json_object_get_boolean(value);
                        call->oneway = has_flag && *key == 'o';
                        call->more = has_flag && *key == 'm';
                } else
                        return false;
        }

        return call->method;
}

static void handle_message(
        struct varlink_server *s, struct varlink_connection *c, const char *text, size_t length) {
        struct varlink_call call = { .connection = c, .peer = c->peer.pid, .peer_uid = c->peer.uid };
        struct json_object *root = parse(text, length);

        if (read_call(root, &call))
                s->handler(s->userdata, &call);
        else
                c->failed = true;

        json_object_put(root);
}

static void receive(struct varlink_connection *c) {
        ssize_t n;

        n = recv(c->fd, c->buffer + c->size, sizeof(c->buffer) - c->size, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0)
                c->failed = true;
        else
                c->size += (size_t) n;
}

static void dispatch_connection(struct varlink_server *s, struct varlink_connection *c, uint32_t events) {
        struct epoll_event event = { .data.ptr = c };
        char *end;

        if (events & EPOLLOUT)
                send_output(c);
        if (events & ~(uint32_t) EPOLLOUT && !c->failed)
                receive(c);

        while (!c->failed && (end = memchr(c->buffer, 0, c->size))) {
                size_t length = (size_t) (end - c->buffer) + 1;

                handle_message(s, c, c->buffer, length);
                c->size -= length;
                memmove(c->buffer, c->buffer + length, c->size);
        }

        event.events = EPOLLIN | (c->output_size > 0 ? EPOLLOUT : 0);
        if (c->failed || c->size == sizeof(c->buffer) ||
                epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &event) < 0)
                close_connection(s, c);
}

int varlink_server_dispatch(struct varlink_server *s) {
        struct epoll_event event;
        int r = 0;

        while (r >= 0 && epoll_wait(s->epoll, &event, 1, 0) > 0)
                if (event.data.ptr)
                        dispatch_connection(s, event.data.ptr, event.events);
                else
                        r = accept_connection(s);
        return r;
}
