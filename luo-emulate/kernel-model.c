/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "internal.h"
#include "kernel-model.h"
#include "memory.h"

void kernel_model_init(struct kernel_model *kernel, struct faults *faults) {
        *kernel = (struct kernel_model) { .faults = faults };
        TAILQ_INIT(&kernel->sessions);
}

static bool fault_injected(struct kernel_model *kernel, enum operation operation,
        const struct session *session, uint64_t token, int *ret_error) {

        int r;

        r = faults_check(kernel->faults, kernel->boot, operation, session ? session->name : NULL, token);
        kernel->fault_injected = r < 0;
        if (r < 0)
                *ret_error = r;
        return r < 0;
}

/* --------------------------------------------------------------------------------------------------- device ---- */

int kernel_open_device(struct kernel_model *kernel) {
        int r;

        kernel->fault_injected = false;
        if (kernel->device_is_open)
                return -EBUSY;

        if (fault_injected(kernel, OPERATION_OPEN, NULL, 0, &r))
                return r;

        kernel->device_is_open = true;
        return 0;
}

void kernel_close_device(struct kernel_model *kernel) {
        kernel->device_is_open = false;
}

/* ------------------------------------------------------------------------------------------------- sessions ---- */

static struct session *find_session(const struct hash_table *table, const char *name) {
        for (struct hash_item *item = hash_table_find(table, hash_string(name)); item;
                item = hash_item_next(item)) {

                struct session *session = HASH_CONTAINER(item, struct session, by_name);

                if (strcmp(session->name, name) == 0)
                        return session;
        }

        return NULL;
}

static struct hash_table *table_of(struct kernel_model *kernel, const struct session *session) {
        return session->incoming ? &kernel->incoming : &kernel->outgoing;
}

static void remove_inode(struct kernel_model *kernel, struct preserved_file *file) {
        if (!file->session->incoming)
                kernel->n_frozen--;
        else if (file->retrieve_status <= 0)
                return;

        hash_table_remove(&kernel->inodes, &file->by_inode);
}

static void remove_files(struct kernel_model *kernel, struct session *session) {
        /* The last first, as in the kernel */
        while (session->n_files > 0) {
                struct preserved_file *file = session->files[--session->n_files];

                remove_inode(kernel, file);
                close_fd(file->fd);
                free(file);
        }

        free(session->files);
        session->files = NULL;
        session->n_allocated = 0;
        hash_table_done(&session->tokens);
}

static void free_session(struct kernel_model *kernel, struct session *session) {
        remove_files(kernel, session);
        hash_table_remove(table_of(kernel, session), &session->by_name);
        TAILQ_REMOVE(&kernel->sessions, session, sessions);
        free(session);
}

void kernel_model_done(struct kernel_model *kernel) {
        struct session *session;

        while ((session = TAILQ_FIRST(&kernel->sessions)))
                free_session(kernel, session);

        hash_table_done(&kernel->outgoing);
        hash_table_done(&kernel->incoming);
        hash_table_done(&kernel->inodes);
}

int kernel_create_session(
        struct kernel_model *kernel, const uint8_t name[KERNEL_LUO_NAME_SIZE], struct session **ret_session) {

        struct session *session;
        int r;

        kernel->fault_injected = false;
        if (name[0] == 0 || !memchr(name, 0, KERNEL_LUO_NAME_SIZE))
                return -EINVAL;

        session = calloc(1, sizeof(*session));
        if (!session)
                return -ENOMEM;
        memcpy(session->name, name, strlen((const char *) name));

        if (find_session(&kernel->outgoing, session->name))
                r = -EEXIST;
        else if (!fault_injected(kernel, OPERATION_CREATE, session, 0, &r))
                r = hash_table_add(&kernel->outgoing, &session->by_name, hash_string(session->name));
        if (r < 0) {
                free(session);
                return r;
        }

        TAILQ_INSERT_TAIL(&kernel->sessions, session, sessions);
        *ret_session = session;
        return 0;
}

int kernel_retrieve_session(
        struct kernel_model *kernel, const uint8_t name[KERNEL_LUO_NAME_SIZE], struct session **ret_session) {

        struct session *session = NULL;
        int r;

        kernel->fault_injected = false;
        /* A name without an end is nobody's, and neither is the empty one */
        if (memchr(name, 0, KERNEL_LUO_NAME_SIZE))
                session = find_session(&kernel->incoming, (const char *) name);
        if (!session)
                return -ENOENT;
        if (session->retrieved)
                return -EINVAL;
        if (fault_injected(kernel, OPERATION_RETRIEVE_SESSION, session, 0, &r))
                return r;

        session->retrieved = true;
        *ret_session = session;
        return 0;
}

int kernel_close_session(struct kernel_model *kernel, struct session *session) {
        int r;

        kernel->fault_injected = false;
        if (session->incoming && fault_injected(kernel, OPERATION_FINISH, session, 0, &r))
                return r;

        free_session(kernel, session);
        return 0;
}

int kernel_finish(struct kernel_model *kernel, struct session *session) {
        int r;

        if (fault_injected(kernel, OPERATION_FINISH, session, 0, &r))
                return r;

        remove_files(kernel, session);
        return 0;
}

int kernel_get_name(struct kernel_model *kernel, const struct session *session) {
        int r;

        return fault_injected(kernel, OPERATION_GET_NAME, session, 0, &r) ? r : 0;
}

/* ---------------------------------------------------------------------------------------------------- files ---- */

static struct preserved_file *find_token(const struct session *session, uint64_t token) {
        struct hash_item *item = hash_table_find(&session->tokens, token);

        return item ? HASH_CONTAINER(item, struct preserved_file, by_token) : NULL;
}

static struct preserved_file *find_inode(const struct kernel_model *kernel, dev_t device, ino_t inode) {
        for (struct hash_item *item = hash_table_find(&kernel->inodes, hash_pair(device, inode)); item;
                item = hash_item_next(item)) {

                struct preserved_file *file = HASH_CONTAINER(item, struct preserved_file, by_inode);

                if (file->device == device && file->inode == inode)
                        return file;
        }

        return NULL;
}

const struct preserved_file *kernel_find_frozen(
        const struct kernel_model *kernel, dev_t device, ino_t inode) {

        const struct preserved_file *file = find_inode(kernel, device, inode);

        return file && !file->session->incoming ? file : NULL;
}

bool kernel_token_is_used(const struct session *session, uint64_t token) {
        return find_token(session, token);
}

static int make_room(struct session *session) {
        size_t n = session->n_allocated ? session->n_allocated * 2 : 8;
        struct preserved_file **files;

        if (session->n_files < session->n_allocated)
                return 0;

        files = reallocarray(session->files, n, sizeof(struct preserved_file *));
        if (!files)
                return -ENOMEM;

        session->files = files;
        session->n_allocated = n;
        return 0;
}

/* What memfd_luo_preserve() finds fault with, and then does. */
static int freeze_content(int fd, const struct stat *st, int *ret_seals) {
        uint64_t page_size = (uint64_t) sysconf(_SC_PAGESIZE);
        int seals, r;

        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0)
                return -errno;
        if (seals & ~MEMORY_SEALS_KNOWN)
                return -EOPNOTSUPP;
        if (((uint64_t) st->st_size + page_size - 1) / page_size > UINT_MAX)
                return -EFBIG;

        /* The kernel would fill all the memory that there is, and fail then */
        if (libluo_internal_holes_fit(fd, st) < 0)
                return -ENOMEM;
        r = memory_allocate(fd, st->st_size);
        if (r < 0)
                return r;

        *ret_seals = seals;
        return 0;
}

int kernel_preserve(struct kernel_model *kernel, struct session *session, uint64_t token, int fd) {
        struct preserved_file *file;
        struct stat st;
        int flags, seals = 0, r;

        kernel->fault_injected = false;
        if (find_token(session, token))
                return -EEXIST;

        if (fd == -ENOENT)
                return fd;
        /* The kernel does not see files that were opened with O_PATH */
        flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;
        if (flags < 0 || flags & O_PATH)
                return -EBADF;
        if (!memory_can_be_preserved(fd, &st))
                return -ENOENT;
        if (find_inode(kernel, st.st_dev, st.st_ino))
                return -EBUSY;
        if (fault_injected(kernel, OPERATION_PRESERVE, session, token, &r))
                return r;

        r = make_room(session);
        if (r < 0)
                return r;

        r = freeze_content(fd, &st, &seals);
        if (r < 0)
                return r;

        file = malloc(sizeof(*file));
        if (!file)
                return -ENOMEM;
        *file = (struct preserved_file) {
                .session = session,
                .token = token,
                .fd = -1,
                .device = st.st_dev,
                .inode = st.st_ino,
                .size = st.st_size,
                .seals = seals,
        };

        r = hash_table_add(&session->tokens, &file->by_token, token);
        if (r < 0) {
                free(file);
                return r;
        }
        r = hash_table_add(&kernel->inodes, &file->by_inode, hash_pair(st.st_dev, st.st_ino));
        if (r < 0) {
                hash_table_remove(&session->tokens, &file->by_token);
                free(file);
                return r;
        }

        file->fd = fd;
        session->files[session->n_files++] = file;
        kernel->n_frozen++;
        return 0;
}

static int restore(struct kernel_model *kernel, struct preserved_file *file, uid_t uid, gid_t gid) {
        struct stat st;
        int r;

        if (fstat(file->fd, &st) < 0)
                return -errno;
        /* The emulator makes memfds as itself. Where it may not give them away, it is not privileged, and neither is
         * the program: then both are the same user, or the program has a user namespace of its own. */
        if ((st.st_uid != uid || st.st_gid != gid) && fchown(file->fd, uid, gid) < 0 && errno != EPERM)
                return -errno;

        r = hash_table_add(&kernel->inodes, &file->by_inode, hash_pair(st.st_dev, st.st_ino));
        if (r < 0)
                return r;

        file->device = st.st_dev;
        file->inode = st.st_ino;
        return 0;
}

int kernel_retrieve(struct kernel_model *kernel, struct session *session, uint64_t token, uid_t uid,
        gid_t gid, int *ret_fd) {

        struct preserved_file *file = find_token(session, token);
        int r;

        kernel->fault_injected = false;
        if (!file)
                return -ENOENT;

        if (file->retrieve_status == 0) {
                if (fault_injected(kernel, OPERATION_RETRIEVE, session, token, &r)) {
                        /* The kernel gives these before it touches the file, and does not remember them */
                        if (r == -EMFILE || r == -ENFILE)
                                return r;
                } else
                        r = restore(kernel, file, uid, gid);

                file->retrieve_status = r < 0 ? r : 1;
        }
        if (file->retrieve_status < 0)
                return file->retrieve_status;

        *ret_fd = file->fd;
        return 0;
}

/* ---------------------------------------------------------------------------------------------------- kexec ---- */

void kernel_freeze(struct kernel_model *kernel) {
        struct session *session;

        TAILQ_FOREACH (session, &kernel->sessions, sessions)
                if (!session->incoming)
                        for (size_t i = 0; i < session->n_files; i++) {
                                off_t offset = lseek(session->files[i]->fd, 0, SEEK_CUR);

                                session->files[i]->offset = offset > 0 ? offset : 0;
                        }
}

/* A failure is what the next boot gets when it retrieves the file. */
static bool carry_over(struct kernel_model *kernel, struct preserved_file *file) {
        int fd;

        remove_inode(kernel, file);
        fd = memory_copy(file->fd, file->size, file->seals, file->offset);
        close_fd(file->fd);
        file->fd = fd >= 0 ? fd : -1;
        file->retrieve_status = fd >= 0 ? 0 : fd;
        return fd >= 0;
}

size_t kernel_kexec(struct kernel_model *kernel, int *ret_error) {
        struct hash_table empty = kernel->incoming;
        struct session *session, *next;
        size_t n_lost = 0;

        for (session = TAILQ_FIRST(&kernel->sessions); session; session = next) {
                next = TAILQ_NEXT(session, sessions);
                if (session->incoming)
                        free_session(kernel, session);
        }

        TAILQ_FOREACH (session, &kernel->sessions, sessions) {
                for (size_t i = 0; i < session->n_files; i++)
                        if (!carry_over(kernel, session->files[i])) {
                                *ret_error = session->files[i]->retrieve_status;
                                n_lost++;
                        }
                session->incoming = true;
        }

        /* All outgoing sessions are incoming ones now, under the same names; the other table became empty */
        empty = kernel->incoming;
        kernel->incoming = kernel->outgoing;
        kernel->outgoing = empty;
        kernel->device_is_open = false;
        kernel->boot++;

        return n_lost;
}
