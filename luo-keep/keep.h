/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the parts of luo-keep share. What can fail says on stderr why, and returns an exit status; 0 is success.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libluo.h"

/* Exit statuses of luo-keep itself, as those of env(1). */
enum {
        EXIT_NOT_KEPT = 125,
        EXIT_NOT_EXECUTABLE = 126,
        EXIT_NOT_FOUND = 127,
};

/* The first file descriptor that is passed, SD_LISTEN_FDS_START of sd_listen_fds(3) */
#define FIRST_PASSED_FD 3

/* --memory: a file of memory in the fd store, which the program finds by a link. */
struct memory {
        const char *name;
        const char *path;
        uint64_t size; /* at least; 0: whatever it is */
        int fd;        /* -1: not there yet */
};

/* --file: a file that the program leaves when it ends. */
struct file {
        const char *name;
        const char *path;
        bool has_place; /* something is stored: it, or what keeps its place */
        bool is_stored;
        bool is_at_path;
};

/* What the service manager has passed, and is not for luo-keep but for the program. */
struct passed {
        int *fds;
        size_t n;
        char *names; /* as in $LISTEN_FDNAMES */
};

/* What the command line says. */
struct arguments {
        struct memory *memories;
        size_t n_memories;
        struct file *files;
        size_t n_files;
        bool save;
        bool accept_missing;
        char **program;
};

/* Says what is wrong. Returns EXIT_NOT_KEPT. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* fail() for an operation on an entry of the store. */
int fail_store(const char *name, int error);

/* The path with an ending: for the caller to free. NULL if there is no memory for it, and then it was told. */
char *path_with(const char *path, const char *ending);

/*
 * Asks the service manager whether it takes n entries more: what it refuses (NotifyAccess=, a store that is full by
 * now) it refuses without a word.
 */
int ask_room(size_t n);

/* Gives the file at path_with(path, ".luo-keep") its name, in the place of what had it. */
int move_into_place(const char *new_path, const char *path);

/* memory.c: looks whether what is stored can be used, and takes it, and whether the link can be made. */
int memory_check(const libluo_store *store, struct memory *memory);

/* memory.c: whether anything was ever written into what is stored. */
bool memory_is_used(const struct memory *memory);

/* memory.c: makes what is not there yet, and stores it. */
int memory_reserve(libluo_store *store, struct memory *memory);

/* memory.c: makes what is too small larger, and looks whether the program can open it. */
int memory_provide(const struct memory *memory);

/* memory.c: makes the link for the program, which has the memory as this file descriptor. */
int memory_link(const struct memory *memory, int program_fd);

/* file.c: looks whether what is stored can be restored, and whether what is at its path could be saved. */
int file_check(const libluo_store *store, struct file *file);

/* file.c: makes a place for it in the store, where there is none. */
int file_reserve(libluo_store *store, struct file *file);

/* file.c: writes what is stored to its path. It remains stored. */
int file_restore(const libluo_store *store, const struct file *file);

/* file.c: notes that from here on what is at its path counts. Without that, file_save() leaves all as it is. */
int file_mark(const struct file *file);

/* file.c: removes what counts no more from the store, and with it its place. */
int file_release(libluo_store *store, struct file *file);

/* file.c: stores what is at its path, if it counts, and something is there. */
int file_save(libluo_store *store, const struct file *file, bool *ret_is_saved);

/* file.c: removes what was saved from its path. */
int file_drop(const struct file *file);

/* pass.c: duplicates what is for the program, before a store is opened, which would let go of some of it. */
int pass_take(const struct arguments *arguments, struct passed *passed);

void pass_done(struct passed *passed);

/*
 * pass.c: passes it on, under the numbers from 3 up, and after it the memories. The store is of no use afterwards: its
 * file descriptors were in the way.
 */
int pass_on(const struct arguments *arguments, const struct passed *passed);

/* pass.c: looks whether file descriptors were passed to another process, and not to this one. */
int pass_check(void);
