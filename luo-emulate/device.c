/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/openat2.h>
#include <sys/syscall.h>

#include "answers.h"
#include "internal.h"
#include "process.h"

/* The device's file, and the links in /proc of what is open of it. */

#define DEVICE_PATH "/dev/liveupdate"

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
