/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Signals by name, with or without "SIG", as "TERM" or "RTMIN+3", or by number. */
bool signal_parse(const char *text, int *ret);

/* Without "SIG"; until the next call. */
const char *signal_to_string(int number);
