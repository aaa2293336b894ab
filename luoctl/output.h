/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Printing for people and for programs, to stdout. Strings come from other processes and other systems: whatever bytes
 * they have, what is printed is valid UTF-8, and has no control characters that a terminal would act upon.
 */

/* The length of the UTF-8 sequence that a string begins with, at most size bytes long; 0 if it is not valid. */
size_t utf8_decode(const char *text, size_t size, uint32_t *ret_code_point);

/* Prints a string; what cannot be printed as \xHH. */
void print_text(const char *text);

/* What kind of file it is, and how it was opened */
const char *file_type(mode_t mode);
const char *access_mode(int open_flags);

/* ---- tables ---- */

struct column {
        const char *title;
        bool right; /* aligned to the right */
};

struct table {
        const struct column *columns;
        size_t n_columns;
        char **cells;
        size_t n_cells, n_allocated;
        bool failed; /* out of memory */
};

/* Adds the next cell. */
void table_add(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints and frees it; with legend column headers, too. Returns 0 or -ENOMEM. */
int table_finish(struct table *table, bool legend);

/* ---- JSON ---- */

/*
 * A JSON text, on one line. key is NULL for the elements of an array, and at the top; a string that is NULL becomes
 * null. kind is '{' or '['.
 */
struct json {
        bool comma; /* is due before the next element */
};

void json_begin(struct json *json, const char *key, char kind);
void json_end(struct json *json, char kind);
void json_string(struct json *json, const char *key, const char *value);
void json_unsigned(struct json *json, const char *key, uint64_t value);
void json_boolean(struct json *json, const char *key, bool value);

/* The line's end */
void json_finish(void);
