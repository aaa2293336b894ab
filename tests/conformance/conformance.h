/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the cases of the conformance suite share. A case does something to LUO, notes down with observe() what it sees,
 * and the runner compares that with what the table in cases.h says. The cases call ioctl(2) themselves and not
 * libluo, as the kernel's ABI is what is tested.
 *
 * All functions that call LUO return a file descriptor, 0, or a negative errno.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "kernel-abi.h"
#include "test.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define PAGE ((size_t) 4096)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3, glibc 2.38 */
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020 /* Linux 6.3, glibc 2.38 */
#endif

#define CASE(boot, function, name, expected) void function(void);
#define KERNEL_CASE CASE
#include "cases.h"
#undef KERNEL_CASE
#undef CASE

/* Adds to the result of the case; what is added is separated by commas. */
void observe(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "ok", or the error's name */
const char *outcome(int result);

/* What a system call returned, as our functions return it */
int status_of(long returned);

int open_device(int flags);
int call(int fd, unsigned long request, void *argument);
int create(const char *name);
int retrieve_session(const char *name);
int preserve(int session_fd, int fd, uint64_t token);
int retrieve(int session_fd, uint64_t token);
int finish(int session_fd);
int get_name(int session_fd, char name[KERNEL_LUO_NAME_SIZE + 1]);

/* A memfd with this text as its content, and the offset at its end */
int memfd(const char *content);
int memfd_with_flags(const char *content, unsigned flags);
/* Another open file description of the same file */
int reopen(int fd, int flags);
/* A file on a tmpfs that has a name, to be unlinked by the caller */
int tmpfs_file(char path[64]);
const char *tmpfs_folder(void);

bool has_cloexec(int fd);
/* "frozen", as the size of a file is while the file is preserved, or "not frozen" */
const char *size_state(int fd);
void observe_content(int fd);
unsigned allocated_pages(int fd);

/* Preserves one new memfd in a new session that is there until the kexec. */
void leave_memfd(const char *session, const char *content);

/* A child that has all file descriptors of ours, and does nothing */
pid_t start_holder(void);
void end_holder(pid_t pid);
/* What a function returns in a child */
int in_child(int (*function)(void));

/* Until allow_fds() no new file descriptor can be had. */
void forbid_fds(void);
void allow_fds(void);
