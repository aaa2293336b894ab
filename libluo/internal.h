/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "libluo.h"

#define LIBLUO_PUBLIC __attribute__((visibility("default")))
/*
 * What more than one file of libluo needs and nobody else may use. All global symbols begin with libluo_, so that the
 * static library clashes with nothing: systemd and the kernel selftests have functions that begin with luo_.
 */

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* ioctl.c: the only place that calls ioctl(2). Returns 0 or a negative errno, straight from the kernel. */
int libluo_internal_ioctl(int fd, unsigned long request, void *argument);

/* Every error that the header documents is in the list of the function that returns it; others become -EPROTO. */
int libluo_internal_closed_set(int result, const int *documented, size_t n_documented);
#define LUO_CLOSED_SET(result, ...)                                                                          \
        libluo_internal_closed_set(                                                                          \
                (result), (const int[]) { __VA_ARGS__ }, ELEMENTS(((const int[]) { __VA_ARGS__ })))

/* session.c: 1 if a session is outgoing, 0 if it is incoming, or -EMEDIUMTYPE, -EBADF, -ENOSYS. */
int libluo_internal_session_is_outgoing(int session_fd);

/* session.c: the name as the link in /proc/self/fd shows it, for kernels before 7.2. */
int libluo_internal_session_name_from_proc(int fd, char ret_name[LIBLUO_SESSION_NAME_MAX + 1]);

/* close(2) that keeps errno, and does nothing for a negative fd. */
static inline void close_fd(int fd) {
        int saved_errno = errno;

        if (fd >= 0)
                (void) close(fd);
        errno = saved_errno;
}

/* index.c: the index of a bundle, as it is in token 0. docs/format.md describes it byte by byte. */
#define LUO_INDEX_TOKEN UINT64_C(0)
#define LUO_INDEX_SIZE_MAX (UINT64_C(512) << 20)

struct luo_index {
        libluo_entry *entries; /* names point into this structure's own memory */
        size_t n_entries;
        char *names;
};

/* Writes an index; *ret_data is for free(3). Returns 0, -ENOMEM, or -E2BIG. */
int libluo_internal_index_encode(
        const libluo_entry *entries, size_t n_entries, uint8_t **ret_data, size_t *ret_size);

/* Reads one; every byte of it is hostile. Returns 0, -ENOMEM, -EBADMSG or -EPROTONOSUPPORT. */
int libluo_internal_index_decode(const uint8_t *data, size_t size, struct luo_index *ret_index);
void libluo_internal_index_done(struct luo_index *index);

/* True for what FDNAME= of systemd takes: printable ASCII without ":", up to LIBLUO_ENTRY_NAME_MAX bytes. */
bool libluo_internal_entry_name_is_valid(const char *name, size_t length);

uint32_t libluo_internal_crc32c(uint32_t crc, const uint8_t *data, size_t size);
