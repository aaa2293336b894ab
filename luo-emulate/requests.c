/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/openat2.h>
#include <linux/reboot.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "internal.h"
#include "process.h"
#include "requests.h"

#define DEVICE_PATH "/dev/liveupdate"

bool request_is_valid(struct supervisor *s, const struct seccomp_notif *request) {
        uint64_t id = request->id;

        return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) >= 0;
}

int request_get_fd(struct supervisor *s, const struct seccomp_notif *request, int fd) {
        int r;

        r = process_get_fd((pid_t) request->pid, fd);
        if (r >= 0 && !request_is_valid(s, request)) {
                close_fd(r);
                return -ENOENT;
        }

        return r;
}

int request_write(struct supervisor *s, const struct seccomp_notif *request, uint64_t address,
        const void *buffer, size_t size) {

        if (!request_is_valid(s, request))
                return -ENOENT;

        return process_write((pid_t) request->pid, address, buffer, size);
}

int request_install_fd(
        struct supervisor *s, const struct seccomp_notif *request, int fd, int flags, bool answer) {

        struct seccomp_notif_addfd argument = {
                .id = request->id,
                .flags = answer ? SECCOMP_ADDFD_FLAG_SEND : 0,
                .srcfd = (uint32_t) fd,
                .newfd_flags = (uint32_t) flags & O_CLOEXEC,
        };
        int r;

        r = ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &argument);
        return r < 0 ? -errno : r;
}

/* ---------------------------------------------------------------------------------------------------- paths ---- */

/* Drops what says nothing: "//" and "/./". */
static void simplify(char *path) {
        char *to = path;

        for (const char *from = path; *from; from++) {
                while (from[0] == '/' &&
                        (from[1] == '/' || (from[1] == '.' && (from[2] == '/' || from[2] == 0))))
                        from += from[1] == '/' ? 1 : 2;
                if (!*from)
                        break;
                *to++ = *from;
        }
        *to = 0;
}

bool request_read_path(
        const struct seccomp_notif *request, int folder_fd, uint64_t address, char ret[static PATH_MAX]) {

        char link[64], path[PATH_MAX];
        ssize_t n;

        if (process_read_string((pid_t) request->pid, address, path, sizeof(path)) <= 0)
                return false;

        if (path[0] == '/')
                memcpy(ret, path, strlen(path) + 1);
        else {
                if (folder_fd == AT_FDCWD)
                        (void) snprintf(link, sizeof(link), "/proc/%u/cwd", request->pid);
                else
                        (void) snprintf(link, sizeof(link), "/proc/%u/fd/%i", request->pid, folder_fd);

                n = readlink(link, ret, PATH_MAX - 1);
                if (n <= 0 || (size_t) n + 1 + strlen(path) >= PATH_MAX)
                        return false;

                ret[n] = '/';
                memcpy(ret + n + 1, path, strlen(path) + 1);
        }

        simplify(ret);
        return true;
}

/* ----------------------------------------------------------------------------------------------------- open ---- */

static int64_t open_device(struct supervisor *s, const struct seccomp_notif *request, int flags) {
        pid_t tid = (pid_t) request->pid;
        struct object *object;
        bool injected;
        int fd, r;

        r = kernel_open_device(&s->kernel);
        if (r == -EBUSY && !s->kernel.fault_injected && objects_sweep(s) > 0)
                r = kernel_open_device(&s->kernel);
        injected = s->kernel.fault_injected;

        if (r >= 0) {
                fd = object_new(s, NULL, flags, &object);
                r = fd;
                if (fd >= 0) {
                        r = request_install_fd(s, request, fd, flags, true);
                        if (r < 0)
                                object_cancel(s, object, fd);
                        else
                                close_fd(fd);
                }
                if (r < 0)
                        kernel_close_device(&s->kernel);
        } else if (!process_has_free_fd(tid)) /* which the kernel looks for first */
                r = -EMFILE;

        trace_begin(&s->trace);
        trace_process(&s->trace, tid);
        trace_word(&s->trace, "operation", operation_name(OPERATION_OPEN));
        if (r >= 0)
                trace_fd(&s->trace, "fd", r);
        trace_result(&s->trace, r);
        if (injected)
                trace_word(&s->trace, "injected", "yes");
        trace_end(&s->trace);

        return r >= 0 ? ANSWER_NONE : r;
}

int64_t answer_open(struct supervisor *s, const struct seccomp_notif *request) {
        const __u64 *arguments = request->data.args;
        /* openat(2) and openat2(2) have the folder in front */
        bool at = request->data.nr == SYS_openat || request->data.nr == SYS_openat2;
        int folder_fd = at ? (int) arguments[0] : AT_FDCWD;
        struct open_how how = { .flags = arguments[at ? 2 : 1] };
        char path[PATH_MAX];

        /* What of this the kernel refuses is left to it, and an absolute path leads nowhere with some flags */
        if (request->data.nr == SYS_openat2 &&
                (arguments[3] < sizeof(how) ||
                        process_read((pid_t) request->pid, arguments[2], &how, sizeof(how)) < 0 ||
                        how.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)))
                return ANSWER_CONTINUE;

        if (!request_read_path(request, folder_fd, arguments[at ? 1 : 0], path))
                return ANSWER_CONTINUE;
        if (strcmp(path, DEVICE_PATH) != 0)
                return how.flags & O_TRUNC ? answer_open_truncating(s, request, path) : ANSWER_CONTINUE;

        /* What the kernel finds out about the file before it asks the device's driver */
        if (how.flags & O_PATH)
                return ANSWER_CONTINUE;
        if ((how.flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
                return -EEXIST;
        if (how.flags & O_DIRECTORY)
                return -ENOTDIR;

        if (!request_is_valid(s, request))
                return ANSWER_NONE;

        return open_device(s, request, (int) how.flags);
}

/* ------------------------------------------------------------------------------------------------- readlink ---- */

/* Takes a number off the front of a path. */
static bool take_number(const char **path, long *ret) {
        char *end;

        if (!isdigit((unsigned char) **path))
                return false;

        errno = 0;
        *ret = strtol(*path, &end, 10);
        *path = end;
        return errno == 0 && *ret <= INT_MAX;
}

static bool take_prefix(const char **path, const char *prefix) {
        size_t n = strlen(prefix);

        if (strncmp(*path, prefix, n) != 0)
                return false;

        *path += n;
        return true;
}

bool request_parse_fd_link(const char *path, pid_t tid, pid_t *ret_tid, int *ret_fd) {
        long number = 0, fd;

        if (!take_prefix(&path, "/proc/self/fd/") && !take_prefix(&path, "/proc/thread-self/fd/") &&
                !take_prefix(&path, "/dev/fd/")) {
                if (!take_prefix(&path, "/proc/") || !take_number(&path, &number))
                        return false;
                if (take_prefix(&path, "/task/") && !take_number(&path, &number))
                        return false;
                if (!take_prefix(&path, "/fd/"))
                        return false;
                tid = (pid_t) number;
        }

        if (!take_number(&path, &fd) || *path)
                return false;

        *ret_tid = tid;
        *ret_fd = (int) fd;
        return true;
}

int64_t answer_readlink(struct supervisor *s, const struct seccomp_notif *request) {
        /* readlinkat(2) has the folder in front */
        bool at = request->data.nr == SYS_readlinkat;
        const __u64 *arguments = request->data.args + (at ? 1 : 0);
        char path[PATH_MAX], target[sizeof("anon_inode:[luo_session] ") + KERNEL_LUO_NAME_SIZE];
        int folder_fd = at ? (int) request->data.args[0] : AT_FDCWD, fd, size = (int) arguments[2], r;
        struct object *object;
        size_t length;
        pid_t tid;

        if (TAILQ_EMPTY(&s->object_list) || size <= 0 ||
                !request_read_path(request, folder_fd, arguments[0], path) ||
                !request_parse_fd_link(path, (pid_t) request->pid, &tid, &fd))
                return ANSWER_CONTINUE;

        object = object_find(s, tid, fd);
        if (!object)
                return ANSWER_CONTINUE;

        if (object->session)
                (void) snprintf(target, sizeof(target), "anon_inode:[luo_session] %s", object->session->name);
        else
                (void) snprintf(target, sizeof(target), DEVICE_PATH);

        length = strlen(target);
        if (length > (size_t) size)
                length = (size_t) size;
        r = request_write(s, request, arguments[1], target, length);
        return r < 0 ? r : (int64_t) length;
}

/* --------------------------------------------------------------------------------------------------- reboot ---- */

int64_t answer_reboot(struct supervisor *s, const struct seccomp_notif *request) {
        static const struct {
                uint32_t command;
                const char *name;
                enum boot_end end;
        } commands[] = {
                { LINUX_REBOOT_CMD_KEXEC, "kexec", BOOT_ENDED_BY_KEXEC },
                { LINUX_REBOOT_CMD_RESTART, "restart", BOOT_ENDED_BY_REBOOT },
                { LINUX_REBOOT_CMD_RESTART2, "restart", BOOT_ENDED_BY_REBOOT },
                { LINUX_REBOOT_CMD_HALT, "halt", BOOT_ENDED_BY_REBOOT },
                { LINUX_REBOOT_CMD_POWER_OFF, "power-off", BOOT_ENDED_BY_REBOOT },
                { LINUX_REBOOT_CMD_CAD_ON, "cad-on", BOOT_RUNS },
                { LINUX_REBOOT_CMD_CAD_OFF, "cad-off", BOOT_RUNS },
        };
        uint32_t magic = (uint32_t) request->data.args[1], command = (uint32_t) request->data.args[2];

        if ((uint32_t) request->data.args[0] != LINUX_REBOOT_MAGIC1 ||
                (magic != LINUX_REBOOT_MAGIC2 && magic != LINUX_REBOOT_MAGIC2A &&
                        magic != LINUX_REBOOT_MAGIC2B && magic != LINUX_REBOOT_MAGIC2C))
                return -EINVAL;

        for (size_t i = 0; i < ELEMENTS(commands); i++) {
                if (commands[i].command != command)
                        continue;

                trace_begin(&s->trace);
                trace_process(&s->trace, (pid_t) request->pid);
                trace_word(&s->trace, "operation", "reboot");
                trace_word(&s->trace, "command", commands[i].name);
                trace_result(&s->trace, 0);
                trace_end(&s->trace);

                if (commands[i].end == BOOT_RUNS)
                        return 0;

                s->end = commands[i].end;
                s->reboot_command = commands[i].name;
                return ANSWER_NONE;
        }

        return -EINVAL;
}

/* -------------------------------------------------------------------------------------------------- answers ---- */

static int64_t answer(struct supervisor *s, const struct seccomp_notif *request) {
        switch (request->data.nr) {
        case SYS_write:
        case SYS_pwrite64:
        case SYS_writev:
        case SYS_pwritev:
        case SYS_pwritev2:
                return answer_write(s, request);
#ifdef SYS_open
        case SYS_open:
#endif
        case SYS_openat:
        case SYS_openat2:
                return answer_open(s, request);
        case SYS_ioctl:
                return answer_ioctl(s, request);
#ifdef SYS_readlink
        case SYS_readlink:
#endif
        case SYS_readlinkat:
                return answer_readlink(s, request);
        case SYS_reboot:
                return answer_reboot(s, request);
        case SYS_truncate:
                return answer_truncate(s, request);
        case SYS_madvise:
                return answer_madvise(s, request);
        case SYS_ftruncate:
                return answer_ftruncate(s, request);
        case SYS_fallocate:
                return answer_fallocate(s, request);
        case SYS_fcntl:
                return answer_add_seals(s, request);
        default:
                return ANSWER_CONTINUE;
        }
}

void request_answer(struct supervisor *s, const struct seccomp_notif *request) {
        struct seccomp_notif_resp response = { .id = request->id };
        int64_t result;

        result = answer(s, request);
        if (result == ANSWER_NONE)
                return;

        if (result == ANSWER_CONTINUE)
                response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        else if (result < 0)
                response.error = (int32_t) result;
        else
                response.val = result;

        /* This fails if the caller was killed meanwhile, and then nobody waits for it */
        (void) ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}
