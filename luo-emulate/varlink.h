/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A socket that answers Varlink calls: JSON, each message ends with a NUL, file descriptors are attached to replies.
 * Without json-c there is none.
 */

#include <stdbool.h>
#include <sys/types.h>

struct json_object;
struct varlink_call;
struct varlink_server;

/* Answers a call, once; varlink_reply() with continues any number of times before. */
typedef void (*varlink_handler)(void *userdata, struct varlink_call *call);

struct varlink_call {
        struct varlink_connection *connection;
        const char *method;
        struct json_object *parameters; /* NULL: none */
        pid_t peer;                     /* who has opened the connection */
        uid_t peer_uid;
        bool more;
        bool oneway; /* no reply is wanted, and none is sent */
};

/* The socket has this path. Returns 0 or a negative errno; *ret_server is NULL without json-c. */
int varlink_server_new(
        const char *path, varlink_handler handler, void *userdata, struct varlink_server **ret_server);
struct varlink_server *varlink_server_free(struct varlink_server *server);

/* Readable when there is something to dispatch, which returns 0, or why it cannot accept a connection. */
int varlink_server_fd(const struct varlink_server *server);
int varlink_server_dispatch(struct varlink_server *server);

/* Takes parameters (NULL: none). fd is borrowed; negative: none. */
void varlink_reply(struct varlink_call *call, struct json_object *parameters, int fd, bool continues);
void varlink_error(struct varlink_call *call, const char *error, struct json_object *parameters);
