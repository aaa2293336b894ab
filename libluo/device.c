/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "internal.h"
#include "kernel-abi.h"

static void sleep_usec(uint64_t usec) {
        struct timespec ts = {
                .tv_sec = (time_t) (usec / USEC_PER_SEC),
                .tv_nsec = (long) (usec % USEC_PER_SEC) * 1000,
        };

        (void) nanosleep(&ts, NULL);
}

LIBLUO_PUBLIC int libluo_device_open(uint64_t busy_timeout_usec) {
        uint64_t start = now_usec(), pause_usec = 1000;

        for (;;) {
                uint64_t elapsed;
                int fd;

                fd = RETRY(open(LUO_DEVICE, O_RDWR | O_CLOEXEC | O_NOCTTY));
                if (fd >= 0)
                        return fd;

                switch (errno) {
                case ENOENT:
                case ENXIO:
                case ENODEV:
                case ENOTDIR:
                        return -ENODEV;
                case EACCES:
                case EPERM:
                        return -EACCES;
                case EBUSY:
                        break;
                default:
                        return LUO_CLOSED_SET(-errno, EIO, EMFILE, ENFILE, ENOMEM);
                }

                /* The kernel offers nothing to wait on for the device's release. */
                elapsed = now_usec() - start;
                if (elapsed >= busy_timeout_usec)
                        return -EBUSY;

                if (pause_usec > busy_timeout_usec - elapsed)
                        pause_usec = busy_timeout_usec - elapsed;
                sleep_usec(pause_usec);
                if (pause_usec < 50000)
                        pause_usec *= 2;
        }
}

LIBLUO_PUBLIC int libluo_device_probe(int device_fd, uint64_t *ret_features) {
        struct kernel_luo_name name = { .size = sizeof(name) };
        uint64_t features = 0;
        int session_fd, r;

        if (!ret_features)
                return -EINVAL;

        session_fd = libluo_session_create(device_fd, "libluo-probe");
        if (session_fd == -EEXIST)
                return -EBUSY;
        if (session_fd < 0)
                return session_fd;

        r = libluo_internal_ioctl(session_fd, KERNEL_LUO_GET_NAME, &name);
        if (r >= 0)
                features |= LIBLUO_FEATURE_SESSION_GET_NAME;

        close_fd(session_fd);

        *ret_features = features;
        return 0;
}
