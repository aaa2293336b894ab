/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the example services share and what has nothing to do with live update: a UNIX socket that takes one line and
 * answers with one line, a client for it, and a digest.
 */

#include <stddef.h>
#include <stdint.h>

/* Answers one request; both are lines without line break. */
typedef void (*line_handler)(char *request, char *answer, size_t answer_size);

/* Serves until SIGTERM; tells the service manager when it is ready. Returns an exit status. */
int line_serve(const char *socket_path, line_handler handle);

/* Sends the words as one line, prints the answer. Returns an exit status: 0 unless the answer begins with "error". */
int line_ask(const char *socket_path, int n_words, char *words[]);

/* FNV-1a, for telling whether content is what it was. Start with digest 0. */
uint64_t digest_add(uint64_t digest, const void *data, size_t size);
