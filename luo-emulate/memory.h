/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The content of preserved files: what mm/memfd_luo.c does with pages, done with copies.
 */

#include <stdbool.h>

#include <sys/stat.h>

/* All seals that the kernel's LUO can preserve. */
#define MEMORY_SEALS_KNOWN 0x3f /* F_SEAL_SEAL to F_SEAL_EXEC */

/* True for a regular shmem file without a name, which is what LUO takes; fills *ret_stat. fd is open. */
bool memory_can_be_preserved(int fd, struct stat *ret_stat);

/* Allocates the holes of a file of this size. Returns 0 or a negative errno. */
int memory_allocate(int fd, off_t size);

/*
 * Makes a memfd as LUO restores it, with the content that fd has now, whatever fd may be open for. Returns its file
 * descriptor or a negative errno.
 */
int memory_copy(int fd, off_t size, int seals, off_t offset);
