/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The kernel's ABI of LUO, noted down in our own words so that libluo builds where <linux/liveupdate.h> (Linux 6.19)
 * or its newer parts are missing. tests/unit/test-kernel-abi.c compares the two wherever the system has that header.
 *
 * Every request is _IO(0xBA, number), without a size in it: each structure begins with its own size instead, and the
 * kernel takes shorter and longer ones (zero-padded) as long as the tail it does not know is zero.
 */

#include <stdint.h>
#include <sys/ioctl.h>

#define KERNEL_LUO_CREATE_SESSION _IO(0xBA, 0x00)   /* on the device */
#define KERNEL_LUO_RETRIEVE_SESSION _IO(0xBA, 0x01) /* on the device */
#define KERNEL_LUO_PRESERVE_FD _IO(0xBA, 0x40)      /* on an outgoing session */
#define KERNEL_LUO_RETRIEVE_FD _IO(0xBA, 0x41)      /* on an incoming session */
#define KERNEL_LUO_FINISH _IO(0xBA, 0x42)           /* on an incoming session */
#define KERNEL_LUO_GET_NAME _IO(0xBA, 0x43)         /* on any session, since Linux 7.2 */

#define KERNEL_LUO_NAME_SIZE 64 /* with the NUL */

/* CREATE_SESSION and RETRIEVE_SESSION: name in, fd out. */
struct kernel_luo_session {
        uint32_t size;
        int32_t fd;
        uint8_t name[KERNEL_LUO_NAME_SIZE];
};

/* PRESERVE_FD: fd and token in. RETRIEVE_FD: token in, fd out. */
struct kernel_luo_fd {
        uint32_t size;
        int32_t fd;
        uint64_t token __attribute__((aligned(8)));
};

struct kernel_luo_finish {
        uint32_t size;
        uint32_t reserved; /* must be zero */
};

struct kernel_luo_name {
        uint32_t size;
        uint32_t reserved; /* must be zero */
        uint8_t name[KERNEL_LUO_NAME_SIZE];
};
