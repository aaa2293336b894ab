/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process.h"
#include "trace.h"

/* Room for the keys behind a string */
#define RESERVED 128

static void append(struct trace *trace, const char *text) {
        size_t n = strlen(text);

        if (trace->length + n < sizeof(trace->line)) {
                memcpy(trace->line + trace->length, text, n);
                trace->length += n;
        }
}

static void key(struct trace *trace, const char *name) {
        append(trace, " ");
        append(trace, name);
        append(trace, "=");
}

void trace_begin(struct trace *trace) {
        char text[32];

        if (trace->fd < 0)
                return;

        trace->length = 0;
        (void) snprintf(text, sizeof(text), "boot=%u", trace->boot);
        append(trace, text);
}

void trace_end(struct trace *trace) {
        size_t done = 0;

        if (trace->fd < 0)
                return;

        trace->line[trace->length++] = '\n';
        while (done < trace->length) {
                ssize_t n = write(trace->fd, trace->line + done, trace->length - done);

                if (n < 0 && errno != EINTR) {
                        fprintf(stderr, "luo-emulate: cannot write the trace to %s: %s.\n",
                                trace->path ? trace->path : "stderr", strerror(errno));
                        trace->failed = true;
                        trace->fd = -1;
                        return;
                }
                if (n > 0)
                        done += (size_t) n;
        }
}

void trace_word(struct trace *trace, const char *name, const char *value) {
        if (trace->fd < 0)
                return;

        key(trace, name);
        append(trace, value);
}

void trace_string(struct trace *trace, const char *name, const char *value) {
        if (trace->fd < 0)
                return;

        key(trace, name);
        append(trace, "\"");
        /* Only a service's STATUS= can be longer than there is room, and what comes behind it has to be there */
        for (; *value && trace->length < sizeof(trace->line) - RESERVED; value++) {
                char text[8];

                if (*value == '"' || *value == '\\' || (unsigned char) *value < 0x20 ||
                        (unsigned char) *value >= 0x7f)
                        (void) snprintf(text, sizeof(text), "\\x%02x", (unsigned char) *value);
                else
                        (void) snprintf(text, sizeof(text), "%c", *value);
                append(trace, text);
        }
        append(trace, "\"");
}

void trace_number(struct trace *trace, const char *name, uint64_t value) {
        char text[32];

        if (trace->fd < 0)
                return;

        (void) snprintf(text, sizeof(text), "%" PRIu64, value);
        trace_word(trace, name, text);
}

void trace_fd(struct trace *trace, const char *name, int fd) {
        char text[32];

        if (trace->fd < 0)
                return;

        (void) snprintf(text, sizeof(text), "%i", fd);
        trace_word(trace, name, text);
}

void trace_result(struct trace *trace, int result) {
        const char *name = result < 0 ? strerrorname_np(-result) : "ok";
        char text[32];

        if (trace->fd < 0)
                return;

        (void) snprintf(text, sizeof(text), "%i", -result);
        trace_word(trace, "result", name ? name : text);
}

void trace_process(struct trace *trace, pid_t tid) {
        char name[PROCESS_NAME_SIZE];

        if (trace->fd < 0)
                return;

        process_name(tid, name);
        trace_number(trace, "pid", (uint64_t) process_leader(tid));
        trace_string(trace, "program", name);
}
