/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The device: who can open it, and when. */

#include "conformance.h"

static int try_device(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return fd;
        close(fd);
        return 0;
}

void device_cloexec(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);

        observe("%s", outcome(fd));
        observe("FD_CLOEXEC %s", has_cloexec(fd) ? "set" : "not set");
        close(fd);
}

void device_without_cloexec(void) {
        int fd = open_device(O_RDWR);

        observe("%s", outcome(fd));
        observe("FD_CLOEXEC %s", has_cloexec(fd) ? "set" : "not set");
        close(fd);
}

void device_is_character_device(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);
        struct stat st = {};

        observe("%s", fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) ? "character device" : "something else");
        close(fd);
}

void device_opened_twice(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);

        observe("%s", outcome(try_device()));
        observe("%s", outcome(try_device()));
        close(fd);
}

void device_opened_after_close(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);

        close(fd);
        observe("%s", outcome(try_device()));
        observe("%s", outcome(try_device()));
}

void device_opened_by_child(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);

        observe("while the parent has it %s", outcome(in_child(try_device)));
        close(fd);
        observe("afterwards %s", outcome(in_child(try_device)));
}

void device_inherited(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);
        pid_t pid = start_holder();

        close(fd);
        observe("while the child has it %s", outcome(try_device()));
        end_holder(pid);
        observe("afterwards %s", outcome(try_device()));
}

void device_duplicated(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC), other_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);

        close(fd);
        observe("with the duplicate open %s", outcome(try_device()));
        close(other_fd);
        observe("afterwards %s", outcome(try_device()));
}

/* What a device opened in some way lets one do */
static void observe_create(const char *what, int flags) {
        struct kernel_luo_session argument = { .size = sizeof(argument), .fd = -1, .name = "device-mode" };
        int fd = open_device(flags | O_CLOEXEC), result;

        result = fd < 0 ? fd : call(fd, KERNEL_LUO_CREATE_SESSION, &argument);
        observe("%s %s", what, outcome(result));
        if (result >= 0)
                close(argument.fd);
        close(fd);
}

void device_access_modes(void) {
        observe_create("O_RDONLY", O_RDONLY);
        observe_create("O_WRONLY", O_WRONLY);
        observe_create("O_RDWR", O_RDWR);
}

void device_by_relative_path(void) {
        int folder_fd = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

        REQUIRE(folder_fd >= 0);
        fd = openat(folder_fd, "liveupdate", O_RDWR | O_CLOEXEC);
        observe("%s", outcome(fd < 0 ? -errno : fd));
        observe("again %s", outcome(try_device()));
        if (fd >= 0)
                close(fd);
        close(folder_fd);
}

void device_failed_open_keeps_it_busy(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC), other_fd = open_device(O_RDWR | O_CLOEXEC);

        observe("second %s", outcome(other_fd));
        observe_create("third", O_RDWR);
        close(fd);
        observe("afterwards %s", outcome(try_device()));
}

void device_read_and_write(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);
        char byte = 0;

        observe("read %s", outcome(status_of(read(fd, &byte, 1))));
        observe("write %s", outcome(status_of(write(fd, &byte, 1))));
        close(fd);
}

/* The device is needed to get at sessions, not to use them. */
void device_not_needed_by_sessions(void) {
        struct kernel_luo_session argument = { .size = sizeof(argument), .fd = -1, .name = "device-closed" };
        char name[KERNEL_LUO_NAME_SIZE + 1] = "";
        int fd = open_device(O_RDWR | O_CLOEXEC), file_fd = memfd("a");

        observe("CREATE_SESSION %s", outcome(call(fd, KERNEL_LUO_CREATE_SESSION, &argument)));
        close(fd);
        observe("GET_NAME %s", outcome(get_name(argument.fd, name)));
        observe("PRESERVE_FD %s", outcome(preserve(argument.fd, file_fd, 1)));
        close(argument.fd);
        close(file_fd);
}

void device_cold_boot(void) {
        observe("%s", outcome(retrieve_session("empty")));
}
