/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "internal.h"
#include "process.h"

#define PIDFD_OF_THREAD O_EXCL /* PIDFD_THREAD, Linux 6.9 */

/* --------------------------------------------------------------------------------------------------- memory ---- */

/* The kernel moves all or nothing of what is given as one piece, so that pieces must not cross pages. */
static size_t piece(uint64_t address, size_t size) {
        static size_t page_size = 0;
        size_t rest;

        if (page_size == 0)
                page_size = (size_t) sysconf(_SC_PAGESIZE);

        rest = page_size - (size_t) (address % page_size);
        return size < rest ? size : rest;
}

/* process_vm_readv(2) takes numbers, which are addresses elsewhere, as pointers. */
static void *foreign(uint64_t address) {
        return (void *) (uintptr_t) address;
}

int process_read(pid_t tid, uint64_t address, void *buffer, size_t size) {
        char *to = buffer;

        while (size > 0) {
                size_t n = piece(address, size);

                ssize_t moved;

                moved = process_vm_readv(
                        tid, &(struct iovec) { to, n }, 1, &(struct iovec) { foreign(address), n }, 1, 0);
                if (moved != (ssize_t) n)
                        return moved < 0 ? -errno : -EFAULT;

                to += n;
                address += n;
                size -= n;
        }

        return 0;
}

int process_write(pid_t tid, uint64_t address, const void *buffer, size_t size) {
        const char *from = buffer;

        while (size > 0) {
                size_t n = piece(address, size);

                ssize_t moved;

                moved = process_vm_writev(tid, &(struct iovec) { (char *) from, n }, 1,
                        &(struct iovec) { foreign(address), n }, 1, 0);
                if (moved != (ssize_t) n)
                        return moved < 0 ? -errno : -EFAULT;

                from += n;
                address += n;
                size -= n;
        }

        return 0;
}

ssize_t process_read_string(pid_t tid, uint64_t address, char *ret, size_t size) {
        size_t done = 0;

        while (done < size) {
                size_t n = piece(address + done, size - done);
                char *end;
                int r;

                r = process_read(tid, address + done, ret + done, n);
                if (r < 0)
                        return r;

                end = memchr(ret + done, 0, n);
                if (end)
                        return end - ret;
                done += n;
        }

        return -ENAMETOOLONG;
}

int process_check_zeroed(pid_t tid, uint64_t address, uint64_t size) {
        char page[4096];

        while (size > 0) {
                size_t n = piece(address, size < sizeof(page) ? (size_t) size : sizeof(page));
                int r;

                r = process_read(tid, address, page, n);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < n; i++)
                        if (page[i] != 0)
                                return -E2BIG;

                address += n;
                size -= n;
        }

        return 0;
}

/* ----------------------------------------------------------------------------------------- file descriptors ---- */

/* Reads a small file of /proc. Returns 0 or a negative errno. */
static int read_proc(const char *path, char *ret, size_t size) {
        size_t done = 0;
        ssize_t n;
        int fd;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;

        while (done < size - 1) {
                n = read(fd, ret + done, size - 1 - done);
                if (n < 0) {
                        int r = -errno;

                        close_fd(fd);
                        return r;
                }
                if (n == 0)
                        break;
                done += (size_t) n;
        }

        close_fd(fd);
        ret[done] = 0;
        return 0;
}

/* Finds "KEY" at the beginning of a line, and returns what follows. */
static const char *find_line(const char *text, const char *key) {
        size_t length = strlen(key);

        while (text) {
                if (strncmp(text, key, length) == 0)
                        return text + length;
                text = strchr(text, '\n');
                if (text)
                        text++;
        }

        return NULL;
}

int process_fd_info(pid_t tid, int fd, struct fd_info *ret) {
        const char *position, *flags, *target, *data;
        char path[64], text[1024];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%i/fdinfo/%i", (int) tid, fd);
        r = read_proc(path, text, sizeof(text));
        if (r < 0)
                return r;

        position = find_line(text, "pos:");
        flags = find_line(text, "flags:");
        if (!position || !flags)
                return -EPROTO;

        /* "tfd: FD events: MASK data: DATA ..." */
        target = find_line(text, "tfd:");
        data = target ? strstr(target, "data:") : NULL;
        *ret = (struct fd_info) {
                .position = strtoull(position, NULL, 10),
                .flags = (int) strtol(flags, NULL, 8),
                .is_epoll = data,
                .epoll_data = data ? strtoull(data + strlen("data:"), NULL, 16) : 0,
        };
        return 0;
}

int process_fd_stat(pid_t tid, int fd, struct stat *ret) {
        struct statx stx;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%i/fd/%i", (int) tid, fd);
        if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &stx) < 0)
                return -errno;

        *ret = (struct stat) {
                .st_dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
                .st_ino = (ino_t) stx.stx_ino,
                .st_mode = stx.stx_mode,
                .st_nlink = stx.stx_nlink,
                .st_size = (off_t) stx.stx_size,
        };
        return 0;
}

int process_mapped_file(pid_t tid, uint64_t address, dev_t *ret_device, ino_t *ret_inode) {
        char path[64], *line = NULL;
        size_t size = 0;
        int r = -ENOENT;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%i/maps", (int) tid);
        f = fopen(path, "re");
        if (!f)
                return -errno;

        while (getline(&line, &size, f) >= 0) {
                unsigned major_number, minor_number;
                uint64_t start, end, inode;
                char permissions[5];

                if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %x:%x %" SCNu64, &start, &end, permissions,
                            &major_number, &minor_number, &inode) != 6 ||
                        address < start || address >= end)
                        continue;

                if (permissions[1] == 'w' && permissions[3] == 's' && inode != 0) {
                        *ret_device = makedev(major_number, minor_number);
                        *ret_inode = (ino_t) inode;
                        r = 0;
                }
                break;
        }

        free(line);
        (void) fclose(f);
        return r;
}

int process_get_fd(pid_t tid, int fd) {
        int pidfd, r;

        /* Not kept for later: an id may become another process's, and opening it costs next to nothing. */
        pidfd = (int) syscall(SYS_pidfd_open, tid, PIDFD_OF_THREAD);
        if (pidfd < 0 && errno == EINVAL)
                pidfd = (int) syscall(SYS_pidfd_open, process_leader(tid), 0);
        if (pidfd < 0)
                return -errno;

        r = (int) syscall(SYS_pidfd_getfd, pidfd, fd, 0);
        if (r < 0)
                r = -errno;
        close_fd(pidfd);
        return r;
}

int process_reopen_fd(pid_t tid, int fd) {
        struct fd_info info;
        char path[64];
        int r;

        r = process_fd_info(tid, fd, &info);
        if (r < 0)
                return r == -ENOENT ? -EBADF : r;

        (void) snprintf(path, sizeof(path), "/proc/%i/fd/%i", (int) tid, fd);
        r = open(path, (info.flags & (O_ACCMODE | O_PATH)) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (r < 0)
                return errno == ENOENT ? -EBADF : -errno;

        (void) lseek(r, (off_t) info.position, SEEK_SET);
        return r;
}

bool process_has_free_fd(pid_t tid) {
        struct dirent *entry;
        struct rlimit limit;
        rlim_t n = 0;
        char path[64];
        DIR *fds;

        if (prlimit(process_leader(tid), RLIMIT_NOFILE, NULL, &limit) < 0)
                return true;

        (void) snprintf(path, sizeof(path), "/proc/%i/fd", (int) tid);
        fds = opendir(path);
        if (!fds)
                return true;

        while ((entry = readdir(fds)))
                if (isdigit((unsigned char) entry->d_name[0]) &&
                        strtoull(entry->d_name, NULL, 10) < limit.rlim_cur)
                        n++;

        (void) closedir(fds);
        return n < limit.rlim_cur;
}

/* --------------------------------------------------------------------------------------------------- status ---- */

static int read_status(pid_t tid, char *ret, size_t size) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%i/status", (int) tid);
        return read_proc(path, ret, size);
}

pid_t process_leader(pid_t tid) {
        char text[2048];
        const char *leader = NULL;

        if (read_status(tid, text, sizeof(text)) >= 0)
                leader = find_line(text, "Tgid:");

        return leader ? (pid_t) strtol(leader, NULL, 10) : tid;
}

int process_owner(pid_t tid, uid_t *ret_uid, gid_t *ret_gid) {
        const char *uids, *gids;
        uintmax_t uid, gid;
        char text[2048];
        int r;

        r = read_status(tid, text, sizeof(text));
        if (r < 0)
                return r;

        /* Real, effective, saved, and that for files */
        uids = find_line(text, "Uid:");
        gids = find_line(text, "Gid:");
        if (!uids || !gids || sscanf(uids, "%*u %*u %*u %" SCNuMAX, &uid) != 1 ||
                sscanf(gids, "%*u %*u %*u %" SCNuMAX, &gid) != 1)
                return -EPROTO;

        *ret_uid = (uid_t) uid;
        *ret_gid = (gid_t) gid;
        return 0;
}

int process_listen_pid(pid_t tid, pid_t *ret_pid) {
        char path[64], *variable = NULL;
        size_t size = 0;
        int r = -ENOENT;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%i/environ", (int) tid);
        f = fopen(path, "re");
        if (!f)
                return -errno;

        while (r < 0 && getdelim(&variable, &size, 0, f) > 0)
                if (sscanf(variable, "LISTEN_PID=%i", ret_pid) == 1)
                        r = 0;

        free(variable);
        (void) fclose(f);
        return r;
}

void process_name(pid_t tid, char ret[static PROCESS_NAME_SIZE]) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%i/comm", (int) process_leader(tid));
        if (read_proc(path, ret, PROCESS_NAME_SIZE) < 0)
                (void) snprintf(ret, PROCESS_NAME_SIZE, "?");
        ret[strcspn(ret, "\n")] = 0;
}

/* ------------------------------------------------------------------------------------------------ processes ---- */

struct relation {
        pid_t pid;
        pid_t parent;
        bool is_descendant;
};

/* Lists all processes there are. Returns how many, or a negative errno. */
static ssize_t list_processes(struct relation **ret) {
        struct relation *list = NULL;
        size_t n = 0, n_allocated = 0;
        struct dirent *entry;
        DIR *proc;

        proc = opendir("/proc");
        if (!proc)
                return -errno;

        while ((entry = readdir(proc))) {
                char path[300], text[512];
                const char *rest;

                if (!isdigit((unsigned char) entry->d_name[0]))
                        continue;

                /* "PID (NAME) STATE PARENT ...", where the name may have brackets in it */
                (void) snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
                if (read_proc(path, text, sizeof(text)) < 0)
                        continue;
                rest = strrchr(text, ')');
                if (!rest || strlen(rest) < 4)
                        continue;

                if (n >= n_allocated) {
                        struct relation *larger;

                        n_allocated = n_allocated ? n_allocated * 2 : 256;
                        larger = reallocarray(list, n_allocated, sizeof(*list));
                        if (!larger) {
                                free(list);
                                (void) closedir(proc);
                                return -ENOMEM;
                        }
                        list = larger;
                }

                list[n++] = (struct relation) {
                        .pid = (pid_t) strtol(entry->d_name, NULL, 10),
                        .parent = (pid_t) strtol(rest + 4, NULL, 10),
                };
        }

        (void) closedir(proc);
        *ret = list;
        return (ssize_t) n;
}

static int compare_pids(const void *a, const void *b) {
        const struct relation *x = a, *y = b;

        return (x->pid > y->pid) - (x->pid < y->pid);
}

struct pid_list {
        pid_t *list;
        size_t n;
};

static bool has_pid(const struct pid_list *pids, pid_t pid) {
        for (size_t i = 0; i < pids->n; i++)
                if (pids->list[i] == pid)
                        return true;

        return false;
}

/* Returns whether it was not in there. */
static bool add_pid(struct pid_list *pids, pid_t pid) {
        pid_t *larger;

        if (has_pid(pids, pid))
                return false;

        larger = reallocarray(pids->list, pids->n + 1, sizeof(pid_t));
        if (!larger)
                return false;

        pids->list = larger;
        pids->list[pids->n++] = pid;
        return true;
}

/* Sends a signal to each descendant that there is now, and is not in done (NULL: to all). Returns how many. */
static size_t signal_descendants_once(int signal, struct pid_list *done) {
        struct relation *list = NULL;
        bool found = true;
        pid_t self = getpid();
        size_t n_signalled = 0;
        ssize_t n;

        n = list_processes(&list);
        if (n <= 0)
                return 0;
        qsort(list, (size_t) n, sizeof(*list), compare_pids);

        /* Parents mostly have the smaller id, so that few rounds are needed */
        while (found) {
                found = false;
                for (ssize_t i = 0; i < n; i++) {
                        const struct relation *parent;

                        if (list[i].is_descendant)
                                continue;

                        parent = bsearch(&(struct relation) { .pid = list[i].parent }, list, (size_t) n,
                                sizeof(*list), compare_pids);
                        if (list[i].parent != self && !(parent && parent->is_descendant))
                                continue;

                        list[i].is_descendant = true;
                        found = true;
                        if (done && !add_pid(done, list[i].pid))
                                continue;

                        n_signalled++;
                        (void) kill(list[i].pid, signal);
                        if (signal != SIGKILL)
                                (void) kill(list[i].pid, SIGCONT);
                }
        }

        free(list);
        return n_signalled;
}

void process_signal_descendants(int signal) {
        struct pid_list done = {};

        /* Those that are forked without end are for process_kill_descendants() */
        for (int i = 0; i < 100 && signal_descendants_once(signal, &done) > 0; i++)
                ;
        free(done.list);
}

void process_kill_descendants(void) {
        for (;;) {
                pid_t pid;

                /* Whoever was not seen because it was just being forked becomes our child when its parent is gone */
                (void) signal_descendants_once(SIGKILL, NULL);

                while ((pid = waitpid(-1, NULL, WNOHANG | __WALL)) > 0)
                        ;
                if (pid < 0 && errno == ECHILD)
                        return;

                (void) nanosleep(&(struct timespec) { .tv_nsec = 1000000 }, NULL);
        }
}
