/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "output.h"

size_t utf8_decode(const char *text, size_t size, uint32_t *ret_code_point) {
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        const unsigned char *p = (const unsigned char *) text;
        uint32_t code_point;
        size_t length;

        if (size == 0)
                return 0;

        if (p[0] < 0x80) {
                *ret_code_point = p[0];
                return 1;
        }
        if (p[0] >= 0xc0 && p[0] < 0xe0) {
                length = 2;
                code_point = p[0] & 0x1f;
        } else if (p[0] >= 0xe0 && p[0] < 0xf0) {
                length = 3;
                code_point = p[0] & 0x0f;
        } else if (p[0] >= 0xf0 && p[0] < 0xf8) {
                length = 4;
                code_point = p[0] & 0x07;
        } else
                return 0;

        if (length > size)
                return 0;
        for (size_t i = 1; i < length; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                code_point = code_point << 6 | (p[i] & 0x3f);
        }

        /* Longer than need be, a surrogate, or out of range */
        if (code_point < smallest[length] || (code_point >= 0xd800 && code_point < 0xe000) ||
                code_point > 0x10ffff)
                return 0;

        *ret_code_point = code_point;
        return length;
}

/* The next character that can be printed as it is: its length in bytes, or 0. */
static size_t printable(const char *text) {
        uint32_t code_point;
        size_t length;

        length = utf8_decode(text, strlen(text), &code_point);
        if (length == 0 || code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0))
                return 0;

        return length;
}

/* How many columns print_text() fills; every character counts as one. */
static size_t text_width(const char *text) {
        size_t width = 0;

        while (*text) {
                size_t length = printable(text);

                width += length > 0 ? 1 : strlen("\\xHH");
                text += length > 0 ? length : 1;
        }

        return width;
}

void print_text(const char *text) {
        while (*text) {
                size_t length = printable(text);

                if (length > 0)
                        (void) fwrite(text, 1, length, stdout);
                else
                        printf("\\x%02x", (unsigned char) *text);
                text += length > 0 ? length : 1;
        }
}

const char *file_type(mode_t mode) {
        switch (mode & S_IFMT) {
        case S_IFREG:
                return "file";
        case S_IFDIR:
                return "folder";
        case S_IFSOCK:
                return "socket";
        case S_IFIFO:
                return "pipe";
        case S_IFCHR:
                return "character device";
        case S_IFBLK:
                return "block device";
        case S_IFLNK:
                return "symbolic link";
        default:
                return "other";
        }
}

const char *access_mode(int open_flags) {
        if (open_flags & O_PATH)
                return "path";

        switch (open_flags & O_ACCMODE) {
        case O_RDONLY:
                return "read-only";
        case O_WRONLY:
                return "write-only";
        default:
                return "read-write";
        }
}

void table_add(struct table *table, const char *format, ...) {
        va_list ap;
        char *text;
        int r;

        if (table->failed)
                return;

        if (table->n_cells >= table->n_allocated) {
                size_t n = table->n_allocated ? table->n_allocated * 2 : 64;
                char **cells;

                cells = reallocarray(table->cells, n, sizeof(*cells));
                if (!cells) {
                        table->failed = true;
                        return;
                }
                table->cells = cells;
                table->n_allocated = n;
        }

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                table->failed = true;
                return;
        }

        table->cells[table->n_cells++] = text;
}

/* No line ends with white space */
static void print_cell(const struct table *table, size_t column, const char *text, size_t width) {
        size_t fill = width - text_width(text);

        if (table->columns[column].right)
                printf("%*s", (int) fill, "");
        print_text(text);

        if (column + 1 == table->n_columns)
                putchar('\n');
        else
                printf("%*s", (int) (table->columns[column].right ? 1 : fill + 1), "");
}

static void print_table(const struct table *table, size_t *widths, bool legend) {
        for (size_t i = 0; i < table->n_columns; i++)
                widths[i] = legend ? text_width(table->columns[i].title) : 0;
        for (size_t i = 0; i < table->n_cells; i++) {
                size_t width = text_width(table->cells[i]);

                if (width > widths[i % table->n_columns])
                        widths[i % table->n_columns] = width;
        }

        for (size_t i = 0; legend && i < table->n_columns; i++)
                print_cell(table, i, table->columns[i].title, widths[i]);
        for (size_t i = 0; i < table->n_cells; i++)
                print_cell(table, i % table->n_columns, table->cells[i], widths[i % table->n_columns]);
}

int table_finish(struct table *table, bool legend) {
        int r = table->failed ? -ENOMEM : 0;
        size_t *widths = NULL;

        if (r == 0) {
                widths = calloc(table->n_columns, sizeof(*widths));
                if (widths)
                        print_table(table, widths, legend);
                else
                        r = -ENOMEM;
        }

        for (size_t i = 0; i < table->n_cells; i++)
                free(table->cells[i]);
        free(table->cells);
        free(widths);
        *table = (struct table) {};
        return r;
}

static void json_print_string(const char *text) {
        size_t left = strlen(text);

        putchar('"');
        while (left > 0) {
                uint32_t code_point;
                size_t length;

                length = utf8_decode(text, left, &code_point);
                if (length == 0) {
                        /* Not valid: U+FFFD stands for it */
                        fputs("\\ufffd", stdout);
                        length = 1;
                } else if (code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0))
                        printf("\\u%04" PRIx32, code_point);
                else {
                        if (code_point == '"' || code_point == '\\')
                                putchar('\\');
                        (void) fwrite(text, 1, length, stdout);
                }
                text += length;
                left -= length;
        }
        putchar('"');
}

static void json_start(struct json *json, const char *key) {
        if (json->comma)
                putchar(',');
        json->comma = true;

        if (key) {
                json_print_string(key);
                putchar(':');
        }
}

void json_begin(struct json *json, const char *key, char kind) {
        json_start(json, key);
        putchar(kind);
        json->comma = false;
}

void json_end(struct json *json, char kind) {
        putchar(kind == '{' ? '}' : ']');
        json->comma = true;
}

void json_string(struct json *json, const char *key, const char *value) {
        json_start(json, key);
        if (value)
                json_print_string(value);
        else
                fputs("null", stdout);
}

void json_unsigned(struct json *json, const char *key, uint64_t value) {
        json_start(json, key);
        printf("%" PRIu64, value);
}

void json_boolean(struct json *json, const char *key, bool value) {
        json_start(json, key);
        fputs(value ? "true" : "false", stdout);
}

void json_finish(void) {
        putchar('\n');
}
