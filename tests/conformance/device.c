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

static const char *type_of(mode_t mode) {
        return S_ISCHR(mode) ? "character device" : "something else";
}

void device_is_character_device(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);
        struct stat st = {};

        observe("%s", fstat(fd, &st) == 0 ? type_of(st.st_mode) : "nothing");
        close(fd);
}

void device_stat(void) {
        struct statx stx = {};
        struct stat st = {};
        int r;

        r = status_of(stat("/dev/liveupdate", &st));
        observe("stat %s", r < 0 ? outcome(r) : type_of(st.st_mode));
        r = status_of(lstat("/dev/liveupdate", &st));
        observe("lstat %s", r < 0 ? outcome(r) : type_of(st.st_mode));
        r = status_of(statx(AT_FDCWD, "/dev/liveupdate", 0, STATX_BASIC_STATS, &stx));
        observe("statx %s", r < 0 ? outcome(r) : type_of(stx.stx_mode));
        observe("mode %03o", (unsigned) st.st_mode & 07777);
        observe("links %ju", (uintmax_t) st.st_nlink);
        observe("access F_OK %s", outcome(status_of(access("/dev/liveupdate", F_OK))));
        observe("R_OK and W_OK %s", outcome(status_of(access("/dev/liveupdate", R_OK | W_OK))));
        observe("X_OK %s", outcome(status_of(access("/dev/liveupdate", X_OK))));
        observe("readlink %s", outcome(status_of(readlink("/dev/liveupdate", (char[1]) {}, 1))));
}

static void try_path(const char *what, const char *path, int flags) {
        int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);

        observe("%s %s", what, outcome(status_of(fd)));
        if (fd >= 0)
                close(fd);
}

void device_other_paths(void) {
        char folder[64], link[80], other_link[80];
        int fd, folder_fd = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct stat st = {};

        snprintf(folder, sizeof(folder), "%s/luo-conformance-XXXXXX", tmpfs_folder());
        REQUIRE(folder_fd >= 0 && mkdtemp(folder));
        snprintf(link, sizeof(link), "%s/link", folder);
        snprintf(other_link, sizeof(other_link), "%s/other", folder);
        REQUIRE(symlink("/dev/liveupdate", link) == 0 && symlink("link", other_link) == 0);

        try_path("by ..", "/dev/../dev/liveupdate", 0);
        try_path("link", link, 0);
        try_path("link of a link", other_link, 0);
        observe("stat of it %s", stat(other_link, &st) == 0 ? type_of(st.st_mode) : "nothing");
        observe("access of it %s", outcome(status_of(access(other_link, R_OK))));
        try_path("link with O_NOFOLLOW", link, O_NOFOLLOW);
        try_path("with O_NOFOLLOW", "/dev/liveupdate", O_NOFOLLOW);
        try_path("with O_DIRECTORY", "/dev/liveupdate", O_DIRECTORY);
        try_path("with O_CREAT", "/dev/liveupdate", O_CREAT);
        try_path("with O_EXCL", "/dev/liveupdate", O_CREAT | O_EXCL);

        fd = openat(folder_fd, "liveupdate", O_RDWR | O_CLOEXEC);
        observe("in a folder %s", outcome(status_of(fd)));
        if (fd >= 0) {
                char path[64];

                snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
                try_path("by what is open of it", path, 0);
                close(fd);
        }

        close(folder_fd);
        unlink(other_link);
        unlink(link);
        rmdir(folder);
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
