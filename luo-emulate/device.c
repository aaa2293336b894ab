/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "answers.h"
#include "internal.h"
#include "process.h"

/* The device's file, which is not there, and the links in /proc of what is open of it. */

#define DEVICE_FOLDER "/dev"
#define DEVICE_NAME "liveupdate"
#define DEVICE_PATH DEVICE_FOLDER "/" DEVICE_NAME

#define LINKS_MAX 40 /* as the kernel's */

/* ---------------------------------------------------------------------------------------------------- paths ---- */

/* A path of the caller, as this process has it. False if it is too long. */
static bool path_from_here(pid_t tid, const char *path, char ret[static PATH_MAX]) {
        static const char *const own[] = { "/proc/self/", "/proc/thread-self/" };
        int n;

        for (size_t i = 0; i < ELEMENTS(own); i++)
                if (strncmp(path, own[i], strlen(own[i])) == 0) {
                        n = snprintf(ret, PATH_MAX, "/proc/%i/root/proc/%i/%s", (int) tid, (int) tid,
                                path + strlen(own[i]));
                        return n < PATH_MAX;
                }

        n = snprintf(ret, PATH_MAX, "/proc/%i/root%s", (int) tid, path);
        return n < PATH_MAX;
}

/* Whether the folder of a path is the device's, by another name. */
static bool is_in_device_folder(pid_t tid, const char *path, const char *name) {
        char folder[PATH_MAX], device_folder[PATH_MAX], here[PATH_MAX];
        struct stat a, b;

        memcpy(folder, path, (size_t) (name - path));
        folder[name - path] = 0;
        return path_from_here(tid, folder, here) && path_from_here(tid, DEVICE_FOLDER, device_folder) &&
                stat(here, &a) >= 0 && stat(device_folder, &b) >= 0 && a.st_dev == b.st_dev &&
                a.st_ino == b.st_ino;
}

/* Replaces a path that is a link by where that leads. False if it is none. */
static bool follow_link(pid_t tid, char path[static PATH_MAX]) {
        char here[PATH_MAX], target[PATH_MAX], *name = strrchr(path, '/') + 1;
        ssize_t n;

        if (!path_from_here(tid, path, here))
                return false;

        n = readlink(here, target, sizeof(target) - 1);
        if (n <= 0 || n >= PATH_MAX - 1)
                return false;
        target[n] = 0;

        if (target[0] == '/')
                name = path;
        if ((size_t) (name - path) + (size_t) n >= PATH_MAX)
                return false;
        memcpy(name, target, (size_t) n + 1);
        return true;
}

/*
 * Whether a path of the caller leads to the device, which for the kernel leads nowhere. What opens any other file costs
 * a readlink(2).
 */
static bool leads_to_device(struct supervisor *s, pid_t tid, const char *path, bool follow) {
        char current[PATH_MAX];

        memcpy(current, path, strlen(path) + 1);
        for (int i = 0; i <= LINKS_MAX; i++) {
                const char *name = strrchr(current, '/');
                struct object *object;
                pid_t owner;
                int fd;

                if (strcmp(current, DEVICE_PATH) == 0)
                        return true;
                if (!name)
                        return false;
                name++;
                if (strcmp(name, DEVICE_NAME) == 0 && is_in_device_folder(tid, current, name))
                        return true;
                if (!follow)
                        return false;
                if (!TAILQ_EMPTY(&s->object_list) && request_parse_fd_link(current, tid, &owner, &fd)) {
                        object = object_find(s, owner, fd);
                        return object && !object->session;
                }
                if (!follow_link(tid, current))
                        return false;
        }

        return false;
}

/* Tells once what the emulation does not have. */
static void tell_unsupported(bool *told, pid_t tid, const char *what) {
        char name[PROCESS_NAME_SIZE];

        if (*told)
                return;
        *told = true;
        process_name(tid, name);
        fprintf(stderr, "luo-emulate: warning: %s (process %i) %s.\n", name, (int) process_leader(tid), what);
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
        if (!leads_to_device(s, (pid_t) request->pid, path, !(how.flags & O_NOFOLLOW)))
                return how.flags & O_TRUNC ? answer_open_truncating(s, request, path) : ANSWER_CONTINUE;

        /* What the kernel finds out about the file before it asks the device's driver */
        if (how.flags & O_PATH) {
                static bool told = false;
                pid_t owner;
                int fd;

                if (request_parse_fd_link(path, (pid_t) request->pid, &owner, &fd))
                        return ANSWER_CONTINUE;
                tell_unsupported(&told, (pid_t) request->pid,
                        "opens " DEVICE_PATH
                        " with O_PATH, which luo-emulate cannot do: there is no such file");
                return -ENOENT;
        }
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

        if (size <= 0 || !request_read_path(request, folder_fd, arguments[0], path))
                return ANSWER_CONTINUE;
        if (leads_to_device(s, (pid_t) request->pid, path, false))
                return -EINVAL; /* no link */
        if (TAILQ_EMPTY(&s->object_list) || !request_parse_fd_link(path, (pid_t) request->pid, &tid, &fd))
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

/* ------------------------------------------------------------------------------------------ stat and access ---- */

#define MISC_MAJOR 10
#define MISC_MINOR 255 /* MISC_DYNAMIC_MINOR: what nobody has */
#define DEVICE_MODE (S_IFCHR | 0600)

/* As of a file that the emulator's user has made: whoever runs it has the device. */
static struct stat device_stat(void) {
        struct stat st = {};

        /* Which file system it would be in, and the times that such a file has */
        (void) stat(DEVICE_FOLDER, &st);
        st.st_ino = UINT32_MAX;
        st.st_mode = DEVICE_MODE;
        st.st_nlink = 1;
        st.st_uid = geteuid();
        st.st_gid = getegid();
        st.st_rdev = makedev(MISC_MAJOR, MISC_MINOR);
        st.st_size = 0;
        st.st_blocks = 0;
        return st;
}

static bool names_device(struct supervisor *s, const struct seccomp_notif *request, int folder_fd,
        uint64_t address, int flags) {

        char path[PATH_MAX];

        return request_read_path(request, folder_fd, address, path) &&
                leads_to_device(s, (pid_t) request->pid, path, !(flags & AT_SYMLINK_NOFOLLOW));
}

static int64_t write_answer(struct supervisor *s, const struct seccomp_notif *request, uint64_t address,
        const void *data, size_t size) {

        int r;

        r = request_write(s, request, address, data, size);
        return r == -ENOENT ? ANSWER_NONE : r;
}

#ifdef SYS_newfstatat /* where this is there, struct stat is the same for kernel and C library */
int64_t answer_stat(struct supervisor *s, const struct seccomp_notif *request) {
        const __u64 *arguments = request->data.args;
        struct stat st;
        bool found;

        switch (request->data.nr) {
#ifdef SYS_stat
        case SYS_stat:
                found = names_device(s, request, AT_FDCWD, arguments[0], 0);
                break;
        case SYS_lstat:
                found = names_device(s, request, AT_FDCWD, arguments[0], AT_SYMLINK_NOFOLLOW);
                break;
#endif
        default: /* newfstatat(2) */
                found = names_device(s, request, (int) arguments[0], arguments[1], (int) arguments[3]);
        }
        if (!found)
                return ANSWER_CONTINUE;

        st = device_stat();
        return write_answer(
                s, request, arguments[request->data.nr == SYS_newfstatat ? 2 : 1], &st, sizeof(st));
}
#endif

int64_t answer_statx(struct supervisor *s, const struct seccomp_notif *request) {
        const __u64 *arguments = request->data.args;
        struct statx stx = {};
        struct stat st;

        if (!names_device(s, request, (int) arguments[0], arguments[1], (int) arguments[2]))
                return ANSWER_CONTINUE;

        st = device_stat();
        stx.stx_mask = STATX_BASIC_STATS;
        stx.stx_blksize = (uint32_t) st.st_blksize;
        stx.stx_nlink = (uint32_t) st.st_nlink;
        stx.stx_uid = st.st_uid;
        stx.stx_gid = st.st_gid;
        stx.stx_mode = (uint16_t) st.st_mode;
        stx.stx_ino = st.st_ino;
        stx.stx_atime.tv_sec = st.st_atim.tv_sec;
        stx.stx_mtime.tv_sec = st.st_mtim.tv_sec;
        stx.stx_ctime.tv_sec = st.st_ctim.tv_sec;
        stx.stx_rdev_major = MISC_MAJOR;
        stx.stx_rdev_minor = MISC_MINOR;
        stx.stx_dev_major = major(st.st_dev);
        stx.stx_dev_minor = minor(st.st_dev);
        return write_answer(s, request, arguments[4], &stx, sizeof(stx));
}

int64_t answer_access(struct supervisor *s, const struct seccomp_notif *request) {
        const __u64 *arguments = request->data.args;
        int flags = 0, mode;
        bool found;

        switch (request->data.nr) {
        case SYS_faccessat2:
                flags = (int) arguments[3];
                /* fall through */
        case SYS_faccessat:
                found = names_device(s, request, (int) arguments[0], arguments[1], flags);
                mode = (int) arguments[2];
                break;
        default: /* access(2) */
                found = names_device(s, request, AT_FDCWD, arguments[0], 0);
                mode = (int) arguments[1];
        }

        if (!found || mode & ~(R_OK | W_OK | X_OK))
                return ANSWER_CONTINUE;

        return mode & X_OK ? -EACCES : 0;
}

/* It has no extended attributes, which ls(1) looks for. */
int64_t answer_xattr(struct supervisor *s, const struct seccomp_notif *request) {
        bool is_link = request->data.nr == SYS_lgetxattr || request->data.nr == SYS_llistxattr;
        bool is_list = request->data.nr == SYS_listxattr || request->data.nr == SYS_llistxattr;

        if (!names_device(s, request, AT_FDCWD, request->data.args[0], is_link ? AT_SYMLINK_NOFOLLOW : 0))
                return ANSWER_CONTINUE;

        return is_list ? 0 : -ENODATA;
}

/* --------------------------------------------------------------------------------------------------- epoll ---- */

/* EPOLL_CTL_ADD: LUO's files have no poll(), and are no epolls, though here they are. */
int64_t answer_epoll_ctl(struct supervisor *s, const struct seccomp_notif *request) {
        pid_t tid = (pid_t) request->pid;

        if (TAILQ_EMPTY(&s->object_list))
                return ANSWER_CONTINUE;
        if (object_find(s, tid, (int) request->data.args[2]))
                return -EPERM;

        return object_find(s, tid, (int) request->data.args[0]) ? -EINVAL : ANSWER_CONTINUE;
}

/* ------------------------------------------------------------------------------------------------- io_uring ---- */

int64_t answer_io_uring_setup(struct supervisor *s, const struct seccomp_notif *request) {
        static bool told = false;

        (void) s;
        tell_unsupported(&told, (pid_t) request->pid,
                "uses io_uring, and luo-emulate does not see what it does by it: " DEVICE_PATH
                " is not there, and preserved files are not frozen");
        return ANSWER_CONTINUE;
}
