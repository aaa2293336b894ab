/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signals.h"

static bool parse_number(const char *text, int max, int *ret) {
        unsigned long value;
        char *end;

        if (*text < '0' || *text > '9')
                return false;

        errno = 0;
        value = strtoul(text, &end, 10);
        if (errno != 0 || *end || value > (unsigned long) max)
                return false;

        *ret = (int) value;
        return true;
}

static bool is_real_time(int number) {
        return number >= SIGRTMIN && number <= SIGRTMAX;
}

/* "RTMIN", "RTMIN+1" and so on, "RTMAX", "RTMAX-1" and so on */
static bool parse_real_time(const char *text, int *ret) {
        const bool from_min = strncmp(text, "RTMIN", strlen("RTMIN")) == 0;
        int distance = 0;

        if (!from_min && strncmp(text, "RTMAX", strlen("RTMAX")) != 0)
                return false;
        text += strlen("RTMIN");
        if (*text &&
                (*text != (from_min ? '+' : '-') || !parse_number(text + 1, SIGRTMAX - SIGRTMIN, &distance)))
                return false;

        *ret = from_min ? SIGRTMIN + distance : SIGRTMAX - distance;
        return true;
}

bool signal_parse(const char *text, int *ret) {
        int number;

        if (parse_number(text, SIGRTMAX, &number) && (sigabbrev_np(number) || is_real_time(number))) {
                *ret = number;
                return true;
        }

        if (strncmp(text, "SIG", strlen("SIG")) == 0)
                text += strlen("SIG");
        for (int i = 1; i < _NSIG; i++) {
                const char *name = sigabbrev_np(i);

                if (name && strcmp(name, text) == 0) {
                        *ret = i;
                        return true;
                }
        }

        return parse_real_time(text, ret);
}

const char *signal_to_string(int number) {
        static char text[sizeof("RTMIN+") + 10];
        const char *name = sigabbrev_np(number);

        if (name)
                return name;

        (void) snprintf(text, sizeof(text), is_real_time(number) ? "RTMIN+%i" : "%i",
                is_real_time(number) ? number - SIGRTMIN : number);
        return text;
}
