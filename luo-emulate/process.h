/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the emulator sees of the processes that it emulates for: their memory, their file descriptors, their names.
 * Processes are given by the id of any of their threads, which is what the kernel's notifications have.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define PROCESS_NAME_SIZE 64

/* Memory. Return 0 or -EFAULT, or another errno if the process cannot be accessed. */
int process_read(pid_t tid, uint64_t address, void *buffer, size_t size);
int process_write(pid_t tid, uint64_t address, const void *buffer, size_t size);

/* Reads a string into ret, with its NUL. Returns its length, -EFAULT, or -ENAMETOOLONG. */
ssize_t process_read_string(pid_t tid, uint64_t address, char *ret, size_t size);

/*
 * -E2BIG if the memory is not all zero, -EFAULT if it cannot be read up to there, as check_zeroed_user() of the
 * kernel.
 */
int process_check_zeroed(pid_t tid, uint64_t address, uint64_t size);

/* What /proc/PID/fdinfo knows of a file descriptor. */
struct fd_info {
        uint64_t position;
        int flags;
        bool is_epoll; /* that waits for anything */
        uint64_t epoll_data;
};

/*
 * Return 0 or a negative errno. The status is type, mode, links, size and which inode it is, as far as the kernel knows
 * without asking whoever serves the file system (FUSE, network), who may not answer.
 */
int process_fd_info(pid_t tid, int fd, struct fd_info *ret);
int process_fd_stat(pid_t tid, int fd, struct stat *ret);

/* What shared and writable mapping of a file is at an address. Returns 0, or -ENOENT if it is not one. */
int process_mapped_file(pid_t tid, uint64_t address, dev_t *ret_device, ino_t *ret_inode);

/* A file descriptor of our own for the same open file, or a negative errno. */
int process_get_fd(pid_t tid, int fd);

/* The same file opened once more: with the offset that it has now, which nobody else moves. */
int process_reopen_fd(pid_t tid, int fd);

/* False if the process would get EMFILE now. */
bool process_has_free_fd(pid_t tid);

/* What new files of this thread are owned by. */
int process_owner(pid_t tid, uid_t *ret_uid, gid_t *ret_gid);

/* $LISTEN_PID as the process was started with. Returns 0, or a negative errno: -ENOENT if there is none. */
int process_listen_pid(pid_t tid, pid_t *ret_pid);

/* The process of a thread; the thread itself if that cannot be found out. */
pid_t process_leader(pid_t tid);
void process_name(pid_t tid, char ret[static PROCESS_NAME_SIZE]);

/*
 * Sends a signal to all descendants of the calling process, also those that are forked meanwhile, and lets them go on
 * if they were stopped.
 */
void process_signal_descendants(int signal);

/* Kills all descendants of the calling process, which has to be their subreaper, and waits until none is left. */
void process_kill_descendants(void);
