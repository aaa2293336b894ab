/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "internal.h"
#include "keep.h"

/*
 * What is stored: a header, and the content of the file; numbers are little endian. Only the header, with state 0, is
 * what keeps the place of a file that is at its path, so that a full store cannot refuse it in the end.
 *
 *    0  "luo-keep"
 *    8  version, 1
 *   12  CRC-32C of all, with these four bytes zero
 *   16  state: 1 if there is a file, 0 if not
 *   20  mode
 *   24  user
 *   28  group
 */
enum {
        HEADER_VERSION = 8,
        HEADER_CHECKSUM = 12,
        HEADER_STATE = 16,
        HEADER_MODE = 20,
        HEADER_USER = 24,
        HEADER_GROUP = 28,
        HEADER_SIZE = 32,
};

static const char magic[] = "luo-keep";

/* A file is copied as a whole; what is larger than this is a case for --memory. */
#define FILE_SIZE_MAX (64U << 20)

struct content {
        uint8_t *data; /* with its header */
        size_t size;   /* the header included */
};

static void content_done(struct content *content) {
        free(content->data);
        *content = (struct content) {};
}

static uint32_t checksum(const struct content *content) {
        const uint8_t zero[4] = {};
        uint32_t crc;

        crc = libluo_internal_crc32c(0, content->data, HEADER_CHECKSUM);
        crc = libluo_internal_crc32c(crc, zero, sizeof(zero));
        return libluo_internal_crc32c(
                crc, content->data + HEADER_CHECKSUM + 4, content->size - HEADER_CHECKSUM - 4);
}

static bool is_there(const struct content *content) {
        return get_u32(content->data + HEADER_STATE) == 1;
}

/* -------------------------------------------------------------------------------------------- what is stored ---- */

/* Too large a thing is not even read. */
static int check_size(const libluo_store *store, const struct file *file) {
        libluo_store_entry entry;
        struct stat st;

        for (size_t i = 0; libluo_store_get_entry(store, i, &entry, sizeof(entry)) >= 0; i++)
                if (strcmp(entry.name, file->name) == 0 && libluo_internal_is_memory(entry.fd) > 0 &&
                        fstat(entry.fd, &st) >= 0 && st.st_size > (off_t) (HEADER_SIZE + FILE_SIZE_MAX))
                        return -EFBIG;

        return 0;
}

static bool is_valid(const struct content *content) {
        return content->size >= HEADER_SIZE && memcmp(content->data, magic, strlen(magic)) == 0 &&
                get_u32(content->data + HEADER_VERSION) == 1 &&
                get_u32(content->data + HEADER_CHECKSUM) == checksum(content) &&
                get_u32(content->data + HEADER_STATE) <= 1;
}

/* Its checksum may be elsewhere. Text is not a version. */
static bool is_later(const struct content *content) {
        return content->size >= HEADER_SIZE && memcmp(content->data, magic, strlen(magic)) == 0 &&
                get_u32(content->data + HEADER_VERSION) > 1 && get_u32(content->data + HEADER_VERSION) < 256;
}

/* *ret has no data if nothing is stored, and is untouched on failure. */
static int read_stored(const libluo_store *store, const struct file *file, struct content *ret) {
        struct content content;
        void *data;
        int r;

        r = check_size(store, file);
        if (r >= 0)
                r = libluo_store_get_data(store, file->name, 0, &data, &content.size);
        if (r == -ENOENT) {
                *ret = (struct content) {};
                return 0;
        }
        if (r < 0)
                return fail_store(file->name, r);

        content.data = data;
        if (!is_valid(&content)) {
                r = is_later(&content)
                        ? fail("what the fd store has as \"%s\" is from a later luo-keep", file->name)
                        : fail("what the fd store has as \"%s\" is damaged, or not from luo-keep",
                                  file->name);
                content_done(&content);
                return r;
        }

        *ret = content;
        return 0;
}

/* ---------------------------------------------------------------------------------------- what is at its path ---- */

static int read_all(int fd, uint8_t *data, size_t size) {
        while (size > 0) {
                ssize_t n;

                n = read(fd, data, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;

                data += n;
                size -= (size_t) n;
        }

        return 0;
}

static int write_all(int fd, const uint8_t *data, size_t size) {
        while (size > 0) {
                ssize_t n;

                n = write(fd, data, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;

                data += n;
                size -= (size_t) n;
        }

        return 0;
}

/*
 * Opens what could be saved. The folder may be the program's to change. Returns a file descriptor, -ENOENT, or another
 * error that was told.
 */
static int open_path(const struct file *file, struct stat *ret_stat) {
        int fd;

        fd = open(file->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return -ENOENT;
        if (fd < 0 && errno != ELOOP) {
                (void) fail("%s: %s", file->path, strerror(errno));
                return -EIO;
        }
        if (fd < 0 || fstat(fd, ret_stat) < 0 || !S_ISREG(ret_stat->st_mode)) {
                (void) fail("%s is not a regular file", file->path);
                close_fd(fd);
                return -EISNAM;
        }
        if (ret_stat->st_size > (off_t) FILE_SIZE_MAX) {
                (void) fail("%s is too large: it has %ju bytes, and may have %u", file->path,
                        (uintmax_t) ret_stat->st_size, FILE_SIZE_MAX);
                close_fd(fd);
                return -EFBIG;
        }

        return fd;
}

/* *ret has no data if nothing is there, and is untouched on failure. */
static int read_path(const struct file *file, struct content *ret) {
        struct content content;
        struct stat st;
        int fd, r;

        fd = open_path(file, &st);
        if (fd == -ENOENT) {
                *ret = (struct content) {};
                return 0;
        }
        if (fd < 0)
                return EXIT_NOT_KEPT;

        content.size = HEADER_SIZE + (size_t) st.st_size;
        content.data = calloc(1, content.size);
        r = content.data ? read_all(fd, content.data + HEADER_SIZE, content.size - HEADER_SIZE) : -ENOMEM;
        close_fd(fd);
        if (r < 0) {
                content_done(&content);
                return fail("cannot read %s: %s", file->path, strerror(-r));
        }

        memcpy(content.data, magic, strlen(magic));
        put_u32(content.data + HEADER_VERSION, 1);
        put_u32(content.data + HEADER_STATE, 1);
        put_u32(content.data + HEADER_MODE, st.st_mode & 0777);
        put_u32(content.data + HEADER_USER, st.st_uid);
        put_u32(content.data + HEADER_GROUP, st.st_gid);
        put_u32(content.data + HEADER_CHECKSUM, checksum(&content));
        *ret = content;
        return 0;
}

/* Writes it under another name. Nothing is left of it on failure: it may be the disk that is full. */
static int write_beside(const char *path, const struct content *content) {
        uid_t user = get_u32(content->data + HEADER_USER);
        gid_t group = get_u32(content->data + HEADER_GROUP);
        int fd, r;

        (void) unlink(path);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;

        r = write_all(fd, content->data + HEADER_SIZE, content->size - HEADER_SIZE);

        /* Who may not give files away is no other user than the program, whose user may have another number by now */
        if (r >= 0 && geteuid() == 0 && fchown(fd, user, group) < 0)
                r = -errno;
        if (r >= 0 && fchmod(fd, get_u32(content->data + HEADER_MODE) & 0777) < 0)
                r = -errno;
        close_fd(fd);
        if (r < 0)
                (void) unlink(path);
        return r;
}

/*
 * The path of what says that the file at its path counts, and not the one in the store; hidden, as it is not the
 * program's.
 */
static char *mark_of(const struct file *file) {
        const char *name = strrchr(file->path, '/') + 1;
        char *mark;

        if (asprintf(&mark, "%.*s.%s.luo-keep", (int) (name - file->path), file->path, name) >= 0)
                return mark;

        (void) fail("%s", strerror(ENOMEM));
        return NULL;
}

static int set_aside(const struct file *file) {
        const char *replaced = "";
        struct stat st;
        char *aside;
        int r;

        aside = path_with(file->path, ".before");
        if (!aside)
                return EXIT_NOT_KEPT;

        if (lstat(aside, &st) >= 0)
                replaced = ", in the place of an earlier one";
        r = rename(file->path, aside) < 0
                ? fail("cannot rename %s to %s: %s", file->path, aside, strerror(errno))
                : 0;
        if (r == 0)
                fprintf(stderr, "luo-keep: %s was there already, with another content; it is %s now%s.\n",
                        file->path, aside, replaced);
        free(aside);
        return r;
}

/* ---------------------------------------------------------------------------------------------- the life of it ---- */

int file_check(const libluo_store *store, struct file *file) {
        struct content content = {};
        struct stat st;
        int fd, r;

        r = read_stored(store, file, &content);
        if (r != 0)
                return r;
        file->has_place = content.data;
        file->is_stored = content.data && is_there(&content);
        content_done(&content);

        fd = open_path(file, &st);
        close_fd(fd);
        file->is_at_path = fd >= 0;
        return fd >= 0 || fd == -ENOENT ? 0 : EXIT_NOT_KEPT;
}

int file_reserve(libluo_store *store, struct file *file) {
        uint8_t header[HEADER_SIZE] = {};
        struct content content = { header, sizeof(header) };
        int r;

        if (file->has_place)
                return 0;

        memcpy(header, magic, strlen(magic));
        put_u32(header + HEADER_VERSION, 1);
        put_u32(header + HEADER_CHECKSUM, checksum(&content));
        r = libluo_store_put_data(store, file->name, header, sizeof(header), 0);
        if (r < 0)
                return fail_store(file->name, r);

        file->has_place = true;
        return 0;
}

int file_restore(const libluo_store *store, const struct file *file) {
        struct content stored = {}, found = {};
        char *new_path = NULL;
        int r;

        r = read_stored(store, file, &stored);
        if (r != 0 || !stored.data || !is_there(&stored))
                goto finish;

        r = read_path(file, &found);
        if (r != 0)
                goto finish;

        /* A start that came as far as this, and no further */
        if (found.data && found.size == stored.size && memcmp(found.data, stored.data, stored.size) == 0)
                goto finish;
        if (found.data)
                r = set_aside(file);
        if (r != 0)
                goto finish;

        r = EXIT_NOT_KEPT;
        new_path = path_with(file->path, ".luo-keep");
        if (!new_path)
                goto finish;
        r = write_beside(new_path, &stored);
        r = r < 0 ? fail("cannot write %s: %s", file->path, strerror(-r))
                  : move_into_place(new_path, file->path);

finish:
        free(new_path);
        content_done(&stored);
        content_done(&found);
        return r;
}

int file_release(libluo_store *store, struct file *file) {
        int r;

        if (!file->is_stored)
                return 0;

        r = libluo_store_remove(store, file->name);
        if (r < 0)
                return fail_store(file->name, r);

        file->has_place = file->is_stored = false;
        return 0;
}

int file_mark(const struct file *file) {
        char *mark;
        int fd, r = 0;

        mark = mark_of(file);
        if (!mark)
                return EXIT_NOT_KEPT;

        fd = open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
        if (fd < 0)
                r = fail("cannot make %s: %s", mark, strerror(errno));
        close_fd(fd);
        free(mark);
        return r;
}

int file_save(libluo_store *store, const struct file *file, bool *ret_is_saved) {
        char message[64 + LIBLUO_STORE_NAME_MAX], *mark;
        struct content content = {};
        struct stat st;
        int r;

        *ret_is_saved = false;

        mark = mark_of(file);
        if (!mark)
                return EXIT_NOT_KEPT;
        r = lstat(mark, &st) < 0 ? -errno : 0;
        free(mark);
        if (r < 0)
                return r == -ENOENT ? 0 : fail("%s: %s", file->path, strerror(-r));

        r = read_path(file, &content);
        if (r != 0 || !content.data)
                return r;

        /* What keeps the place. It is not passed to this process, which has to know by itself that it is there. */
        (void) snprintf(message, sizeof(message), "FDSTOREREMOVE=1\nFDNAME=%s", file->name);
        r = libluo_notify(message);
        r = r < 0 ? fail_store(file->name, r) : ask_room(1);
        if (r == 0) {
                r = libluo_store_put_data(store, file->name, content.data, content.size, 0);
                r = r < 0 ? fail_store(file->name, r) : 0;
        }
        content_done(&content);
        *ret_is_saved = r == 0;
        return r;
}

int file_drop(const struct file *file) {
        char *mark;
        int r;

        mark = mark_of(file);
        if (!mark)
                return EXIT_NOT_KEPT;

        /* In this order: a mark that is left would let something else replace what is stored */
        r = unlink(mark) < 0 || unlink(file->path) < 0
                ? fail("cannot remove %s: %s", file->path, strerror(errno))
                : 0;
        free(mark);
        return r;
}
