/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The ABI strings of a kernel: what one writes into a hand-over, the next one compares with its own. Everything that is
 * read may be damaged, or made to do harm.
 */

/* In the order of abi_names */
enum abi {
        ABI_KHO,
        ABI_LUO,
        ABI_SESSION,
        ABI_FLB,
        ABI_MEMFD,
        ABI_MAX,
};

extern const char *const abi_names[ABI_MAX];

struct abi_versions {
        char strings[4][48]; /* 48: LIVEUPDATE_HNDL_COMPAT_LENGTH of include/linux/kho/abi/luo.h */
        size_t n;
        bool known; /* if there is none, the kernel has none */
};

struct kernel_abi {
        struct abi_versions versions[ABI_MAX];
        char release[65]; /* "": not known */
        char reason[512]; /* why something is not known, or "" */
};

/*
 * Reads the image of a kernel. Returns 0, or a negative errno, with ret_abi->reason: -EBADMSG it is none, or damaged,
 * -ENOPKG the program that could decompress it is not there, or that of opening and reading it.
 */
int kernel_abi_read(const char *path, struct kernel_abi *ret_abi);

/* What can be found out of the kernel that runs, below root, "" for this machine. */
void kernel_abi_read_running(const char *root, struct kernel_abi *ret_abi);
