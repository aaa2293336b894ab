/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every documented error of the device and of sessions */

#include "every-error.h"

RUN(device_open) {
        (void) c;
        return TRY(libluo_device_open(0));
}

RUN(device_open_busy) {
        int fd = device(), r = TRY(libluo_device_open(0));

        (void) c;
        close_fd(fd);
        return r;
}

RUN(device_holder) {
        char name[16];
        pid_t pid;

        (void) c;
        return TRY(libluo_device_holder(&pid, name, sizeof(name)));
}

RUN(device_holder_nothing) {
        (void) c;
        return TRY(libluo_device_holder(NULL, NULL, 0));
}

static int with_device(const struct error_case *c, int (*run)(int fd)) {
        int device_fd = device(), fd = OBJECT(device_fd), r;

        r = TRY(run(fd));
        close_fd(device_fd);
        return r;
}

static int probe(int fd) {
        uint64_t features;

        return libluo_device_probe(fd, &features);
}

static int probe_nothing(int fd) {
        return libluo_device_probe(fd, NULL);
}

static int create_it(int fd) {
        int session_fd = libluo_session_create(fd, "every-error");

        if (session_fd >= 0)
                close_fd(session_fd);
        return session_fd;
}

static int create_empty(int fd) {
        return libluo_session_create(fd, "");
}

#define TOO_LONG "0123456789012345678901234567890123456789012345678901234567890123"

static int create_long(int fd) {
        return libluo_session_create(fd, TOO_LONG);
}

static int create_existing(int fd) {
        return libluo_session_create(fd, "every-error-outgoing");
}

static int retrieve_nothing(int fd) {
        return libluo_session_retrieve(fd, "every-error-nothing");
}

static int retrieve_again(int fd) {
        return libluo_session_retrieve(fd, "every-error-incoming");
}

static int retrieve_empty(int fd) {
        return libluo_session_retrieve(fd, "");
}

static int retrieve_long(int fd) {
        return libluo_session_retrieve(fd, TOO_LONG);
}

#define WITH_DEVICE(name)                                                                                    \
        RUN(device_##name) {                                                                                 \
                return with_device(c, name);                                                                 \
        }

WITH_DEVICE(probe)
WITH_DEVICE(probe_nothing)
WITH_DEVICE(create_it)
WITH_DEVICE(create_empty)
WITH_DEVICE(create_long)
WITH_DEVICE(create_existing)
WITH_DEVICE(retrieve_nothing)
WITH_DEVICE(retrieve_again)
WITH_DEVICE(retrieve_empty)
WITH_DEVICE(retrieve_long)

RUN(device_probe_busy) {
        int session_fd = create("libluo-probe"), r = with_device(c, probe);

        close_fd(session_fd);
        return r;
}

RUN(preserve) {
        int fd = fresh_file(), r = TRY(libluo_session_preserve(OBJECT(have.outgoing_fd), fd, 1000));

        close_fd(fd);
        return r;
}

RUN(preserve_token_taken) {
        int fd = fresh_file(), r = TRY(libluo_session_preserve(OBJECT(have.outgoing_fd), fd, 1));

        close_fd(fd);
        return r;
}

RUN(preserve_again) {
        return TRY(libluo_session_preserve(OBJECT(have.outgoing_fd), have.file_fd, 1001));
}

RUN(preserve_pipe) {
        return TRY(libluo_session_preserve(OBJECT(have.outgoing_fd), have.pipe_fd, 1001));
}

RUN(retrieve_fd) {
        int fd = TRY(libluo_session_retrieve_fd(OBJECT(have.incoming_fd), 1));

        if (fd >= 0)
                close_fd(fd);
        return fd;
}

RUN(retrieve_fd_unknown) {
        return TRY(libluo_session_retrieve_fd(OBJECT(have.incoming_fd), 77));
}

RUN(finish) {
        return TRY(libluo_session_finish(OBJECT(have.incoming_fd)));
}

RUN(get_name) {
        char name[LIBLUO_SESSION_NAME_MAX + 1];

        return TRY(libluo_session_get_name(OBJECT(have.outgoing_fd), name));
}

RUN(get_name_nothing) {
        return TRY(libluo_session_get_name(OBJECT(have.outgoing_fd), NULL));
}

RUN(is_session) {
        return TRY(libluo_fd_is_session(OBJECT(have.outgoing_fd)));
}
