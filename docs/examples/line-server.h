/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the example services share and what has nothing to do with live update: a socket that takes one line and
 * answers with one line, a client for it, and a digest.
 */

#include <stddef.h>
#include <stdint.h>

/* Answers one request; both are lines without line break. */
typedef void (*line_handler)(char *request, char *answer, size_t answer_size);

/*
 * "NAME serve [PORT]" gets the state with start(), which returns a negative errno if it cannot, tells the service
 * manager that it is ready, and serves until SIGTERM: on a UNIX socket, and on that TCP port whoever asks there. Any
 * other words are sent to the UNIX socket as one line, and the answer is printed. It is NAME.socket in
 * $RUNTIME_DIRECTORY, which the client looks for in /run/NAME, or else in /run. Returns an exit status: 0 unless an
 * answer begins with "error".
 */
int line_main(int argc, char *argv[], const char *name, const char *requests, int (*start)(void),
        line_handler handle);

/* FNV-1a, for telling whether content is what it was. Start with digest 0. */
uint64_t digest_add(uint64_t digest, const void *data, size_t size);
