/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include <libluo.h>

/* Prints the entries of a bundle that was opened. Returns an exit status. */
int index_print(const libluo_bundle *bundle, bool json, bool legend);
