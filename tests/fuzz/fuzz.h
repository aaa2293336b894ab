/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* What does not hold is a finding, in whatever build. */
#define REQUIRE(expression)                                                                                  \
        do {                                                                                                 \
                if (!(expression))                                                                           \
                        abort();                                                                             \
        } while (0)

/* What libFuzzer calls with each input, https://llvm.org/docs/LibFuzzer.html; run-corpus.c does so with files. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
