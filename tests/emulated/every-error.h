/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the parts of test-every-error have in common: every-error-cases.h is the table of cases, every-error-calls.c
 * makes system calls fail, and what the cases call is in a file for each layer of the library.
 */

#include "boots.h"
#include "kernel-abi.h"

enum call {
        NONE,
        OPEN,
        IOCTL,
        FSTATFS,
        READLINK,
        FCNTL,
        MEMFD,
        WRITE,
        PWRITE,
        FCHMOD,
        SOCKET,
        SENDMSG,
        PIPE,
        POLL,
        MMAP,
        OPENDIR,
        ALLOCATE
};

struct broken {
        enum call call;
        unsigned long request; /* of IOCTL and FCNTL */
        int error;
        bool old_kernel; /* before 7.2: no GET_NAME */
        int proc_error;  /* of readlink(2) and open(2) in /proc; 0: none */
};
extern struct broken broken;

/* Valid in boot 0: a session to preserve in. In boot 1: incoming ones. */
struct have {
        int outgoing_fd, incoming_fd, file_fd, other_fd, pipe_fd;
};
extern struct have have;

/* What a function is called with in the place of a good session, device or file */
enum object { GOOD, CLOSED, OTHER_KIND, OUTGOING, INCOMING };
int object_fd(enum object object, int good_fd);

/* A memfd that is in no session yet */
int fresh_file(void);

/* An incoming session of this name. It stays open: closing it would finish it. */
int incoming(const char *name);

/* The number where file descriptors are passed */
enum { PASSED = 3 };

struct error_case {
        unsigned boot;
        const char *function;
        int error;
        const char *error_name;
        int (*run)(const struct error_case *c);
        enum object object;
        enum call call;
        unsigned long request;
        int call_error;
        bool old_kernel;
        int proc_error;
};

/* Between these two things are broken as the case says. */
void break_now(void);
void mend(void);

#define RUN(name)                                                                                            \
        int name(const struct error_case *c);                                                                \
        int name(const struct error_case *c)
#define OBJECT(good_fd) object_fd(c->object, (good_fd))

/* Calls with things broken, and mends them before anything else happens */
#define TRY(expression)                                                                                      \
        ({                                                                                                   \
                int try_result;                                                                              \
                break_now();                                                                                 \
                try_result = (int) (expression);                                                             \
                mend();                                                                                      \
                try_result;                                                                                  \
        })

/* ---- what is wrong in a case, and groups of cases, for every-error-cases.h ---- */

#define IOCTL_FAILS(number, with) .call = IOCTL, .request = number, .call_error = with
#define FAILS(which, with) .call = which, .call_error = with
#define FCNTL_FAILS(command, with) .call = FCNTL, .request = command, .call_error = with

/* Before Linux 7.2 and without /proc, when the request gives EINVAL */
#define NO_PROC(number)                                                                                      \
        .call = IOCTL, .request = number, .call_error = EINVAL, .old_kernel = true, .proc_error = ENOENT

/* What every use of a session has in common */
#define SESSION_CASES(boot, function, how, number, wrong_direction)                                          \
        CASE(boot, function, EBADF, how, .object = CLOSED)                                                   \
        CASE(boot, function, EBADFD, how, .object = wrong_direction)                                         \
        CASE(boot, function, EMEDIUMTYPE, how, .object = OTHER_KIND)                                         \
        CASE(boot, function, ENOMEM, how, IOCTL_FAILS(number, ENOMEM))                                       \
        CASE(boot, function, ENOSYS, how, NO_PROC(number))                                                   \
        CASE(boot, function, EPROTO, how, IOCTL_FAILS(number, EXDEV))

#define PRESERVE_CASES(boot, function, how)                                                                  \
        SESSION_CASES(boot, function, how, KERNEL_LUO_PRESERVE_FD, INCOMING)                                 \
        CASE(boot, function, EFBIG, how, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, EFBIG))                         \
        CASE(boot, function, ENOSPC, how, IOCTL_FAILS(KERNEL_LUO_PRESERVE_FD, ENOSPC))

#define RETRIEVE_CASES(boot, function, how)                                                                  \
        SESSION_CASES(boot, function, how, KERNEL_LUO_RETRIEVE_FD, OUTGOING)                                 \
        CASE(boot, function, EIO, how, IOCTL_FAILS(KERNEL_LUO_RETRIEVE_FD, EIO))                             \
        CASE(boot, function, EMFILE, how, IOCTL_FAILS(KERNEL_LUO_RETRIEVE_FD, EMFILE))                       \
        CASE(boot, function, ENFILE, how, IOCTL_FAILS(KERNEL_LUO_RETRIEVE_FD, ENFILE))                       \
        CASE(boot, function, EOPNOTSUPP, how, IOCTL_FAILS(KERNEL_LUO_RETRIEVE_FD, EOPNOTSUPP))

#define NOTIFY_CASES(function, how)                                                                          \
        CASE(0, function, ENOTCONN, how##_alone, .object = GOOD)                                             \
        CASE(0, function, EAFNOSUPPORT, how##_vsock, .object = GOOD)                                         \
        CASE(0, function, ECOMM, how##_nobody, .object = GOOD)                                               \
        CASE(0, function, EMFILE, how, FAILS(SOCKET, EMFILE))                                                \
        CASE(0, function, ENFILE, how, FAILS(SOCKET, ENFILE))                                                \
        CASE(0, function, ENOMEM, how, FAILS(SENDMSG, ENOMEM))                                               \
        CASE(0, function, EPROTO, how, FAILS(SOCKET, EXDEV))                                                 \
        CASE(0, function, ETIMEDOUT, how, FAILS(SENDMSG, EAGAIN))

#define DEVICE_CASES(function, how, number)                                                                  \
        CASE(1, function, EBADF, how, .object = CLOSED)                                                      \
        CASE(1, function, EMEDIUMTYPE, how, .object = OTHER_KIND)                                            \
        CASE(1, function, EMFILE, how, IOCTL_FAILS(number, EMFILE))                                          \
        CASE(1, function, ENFILE, how, IOCTL_FAILS(number, ENFILE))                                          \
        CASE(1, function, ENOMEM, how, IOCTL_FAILS(number, ENOMEM))                                          \
        CASE(1, function, EPROTO, how, IOCTL_FAILS(number, EXDEV))
