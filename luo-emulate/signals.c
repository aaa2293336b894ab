/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "signals.h"

static bool is_real_time(int number) {
        return number >= SIGRTMIN && number <= SIGRTMAX;
}

/* "RTMIN", "RTMIN+1" and so on, "RTMAX", "RTMAX-1" and so on */
static bool parse_real_time(const char *text, int *ret) {
        const bool from_min = strncmp(text, "RTMIN", strlen("RTMIN")) == 0;
        uint64_t distance = 0;

        if (!from_min && strncmp(text, "RTMAX", strlen("RTMAX")) != 0)
                return false;
        text += strlen("RTMIN");
        if (*text &&
                (*text != (from_min ? '+' : '-') ||
                        !parse_decimal(text + 1, (uint64_t) (SIGRTMAX - SIGRTMIN), &distance)))
                return false;

        *ret = from_min ? SIGRTMIN + (int) distance : SIGRTMAX - (int) distance;
        return true;
}

bool signal_parse(const char *text, int *ret) {
        uint64_t number;

        if (parse_decimal(text, (uint64_t) SIGRTMAX, &number) &&
                (sigabbrev_np((int) number) || is_real_time((int) number))) {
                *ret = (int) number;
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
