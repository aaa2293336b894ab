/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "luoctl.h"

/* "check --kernel": whether the next kernel would understand what this one hands over. Returns an exit status. */
int check_kernel(const struct arguments *arguments);
