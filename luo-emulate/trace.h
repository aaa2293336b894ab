/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * --trace: one line for each operation and event. luo-emulate(1) describes the format.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One line is put together and then written at once. What cannot be written is told once on stderr. */
struct trace {
        int fd;           /* -1: off */
        const char *path; /* or NULL: stderr */
        bool failed;      /* it could not be written, and is off since then */
        unsigned boot;
        char line[2048];
        size_t length;
};

/* A line begins with the boot. Nothing of this does anything if the trace is off. */
void trace_begin(struct trace *trace);
void trace_end(struct trace *trace);

void trace_word(struct trace *trace, const char *key, const char *value);
void trace_string(struct trace *trace, const char *key, const char *value);
void trace_number(struct trace *trace, const char *key, uint64_t value);
void trace_fd(struct trace *trace, const char *key, int fd);

/* "result=ok", or the name of the (negative) error. */
void trace_result(struct trace *trace, int result);

/* Who asked: "pid=... program=...", of a thread's process. */
void trace_process(struct trace *trace, pid_t tid);
