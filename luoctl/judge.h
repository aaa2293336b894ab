/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager.h"
#include "verdict.h"

/*
 * Returns a verdict for each fd of the units, one unit behind the other, for free(3). NULL: out of memory. Unless all
 * is asked for, file descriptors whose loss is expected are taken out of the stores.
 */
struct verdict *judge_stores(struct unit_store *stores, size_t n_stores, bool all, struct tally *tally);
