/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program for the first header, first-libluo.h: a bundle over a kexec, for luo-emulate. It is run in each boot, and
 * says in the second one what it took.
 */

#include <libluo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_TIMEOUT_USEC UINT64_C(10000000)

static const char *const texts[] = { "first", "second" };

#define N_TEXTS (sizeof(texts) / sizeof(texts[0]))

static int failed(const char *what, int error) {
        fprintf(stderr, "%s: %s\n", what, libluo_strerror(error));
        return EXIT_FAILURE;
}

static int write_bundle(int device_fd) {
        libluo_bundle_writer *writer;
        int session_fd, r;

        r = session_fd = libluo_session_create(device_fd, "bundle");
        if (r >= 0)
                r = libluo_bundle_writer_new(session_fd, 0, &writer);
        if (r < 0)
                return failed("cannot begin", r);

        for (size_t i = 0; i < N_TEXTS; i++) {
                int fd = libluo_memfd_new(texts[i], 0, 0);

                if (fd < 0 || write(fd, texts[i], strlen(texts[i])) < 0)
                        return failed("cannot make memory", fd);
                r = libluo_bundle_writer_add(writer, fd, texts[i], 0);
                if (r < 0)
                        return failed("cannot add", r);
                close(fd);
        }
        if (libluo_bundle_writer_count(writer) != N_TEXTS)
                return failed("has not as many as it was given", 0);
        r = libluo_bundle_writer_write(writer, 0);
        libluo_bundle_writer_free(writer);
        if (r < 0)
                return failed("cannot write", r);

        /* The session is this process: it has to be there at the kexec */
        if (fork() == 0)
                for (;;)
                        pause();
        return EXIT_SUCCESS;
}

static int take_bundle(int device_fd) {
        libluo_bundle *bundle;
        int session_fd, r;

        r = session_fd = libluo_session_retrieve(device_fd, "bundle");
        if (r >= 0)
                r = libluo_bundle_open(session_fd, 0, &bundle);
        if (r < 0)
                return failed("cannot open", r);

        for (size_t i = 0; i < libluo_bundle_count(bundle); i++) {
                libluo_entry entry;
                char text[32];
                ssize_t n;
                int fd;

                r = libluo_bundle_get(bundle, i, &entry, sizeof(entry));
                if (r < 0)
                        return failed("cannot get", r);
                r = fd = libluo_bundle_take(bundle, i, 0);
                if (r < 0)
                        return failed("cannot take", r);
                n = pread(fd, text, sizeof(text), 0);
                printf("%s %jd: %.*s\n", entry.name, (intmax_t) lseek(fd, 0, SEEK_CUR), (int) n, text);
                close(fd);
        }

        r = libluo_bundle_finish(bundle);
        libluo_bundle_free(bundle);
        if (r < 0)
                return failed("cannot finish", r);
        close(session_fd);
        return EXIT_SUCCESS;
}

int main(void) {
        int device_fd;

        device_fd = libluo_device_open(BUSY_TIMEOUT_USEC);
        if (device_fd < 0)
                return failed("cannot open the device", device_fd);

        return strcmp(getenv("LUO_BOOT"), "0") == 0 ? write_bundle(device_fd) : take_bundle(device_fd);
}
