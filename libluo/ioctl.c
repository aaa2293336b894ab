/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/ioctl.h>

#include "internal.h"

int libluo_internal_ioctl(int fd, unsigned long request, void *argument) {
        if (RETRY(ioctl(fd, request, argument)) < 0)
                return -errno;

        return 0;
}

int libluo_internal_closed_set(int result, const int *documented, size_t n_documented) {
        if (result >= 0)
                return result;

        for (size_t i = 0; i < n_documented; i++)
                if (result == -documented[i])
                        return result;

        return -EPROTO;
}
