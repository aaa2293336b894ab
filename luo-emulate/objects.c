/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "internal.h"
#include "process.h"
#include "supervisor.h"

/*
 * The device and the sessions are epolls in the program: files of the kernel's that are like LUO's (anonymous inodes
 * that can neither be read nor written), and that /proc tells apart by the data of the one file that each of them waits
 * for. They end with the last reference to the open file, wherever that was (fork, dup, SCM_RIGHTS). Nothing tells the
 * emulator when this happens; but an epoll has the files that were added to it for as long as they are open anywhere,
 * without holding them open. So all are in one epoll, and which are still in there is looked up whenever an answer
 * depends on it.
 */

static struct object *find_id(const struct supervisor *supervisor, uint64_t id) {
        struct hash_item *item = hash_table_find(&supervisor->objects, id);

        return item ? HASH_CONTAINER(item, struct object, by_id) : NULL;
}

static void remove_object(struct supervisor *supervisor, struct object *object) {
        hash_table_remove(&supervisor->objects, &object->by_id);
        TAILQ_REMOVE(&supervisor->object_list, object, objects);
        free(object);
}

static void close_object(struct supervisor *supervisor, struct object *object) {
        struct session *session = object->session;

        if (session) {
                struct trace *trace = &supervisor->trace;
                int r;

                trace_begin(trace);
                trace_word(trace, "event", session->incoming ? "finish" : "unpreserve");
                trace_string(trace, "session", session->name);
                trace_number(trace, "files", session->n_files);
                r = kernel_close_session(&supervisor->kernel, session);
                trace_result(trace, r);
                if (supervisor->kernel.fault_injected)
                        trace_word(trace, "injected", "yes");
                trace_end(trace);
        } else
                kernel_close_device(&supervisor->kernel);

        remove_object(supervisor, object);
}

/* Notes which objects are open, by the lines of fdinfo: "tfd: FD events: MASK data: ID ..." */
static int find_open(struct supervisor *supervisor) {
        char path[64], *line = NULL;
        size_t size = 0;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%i", supervisor->objects_epoll);
        f = fopen(path, "re");
        if (!f)
                return -errno;

        while (getline(&line, &size, f) >= 0) {
                const char *data = strstr(line, "data:");
                struct object *object;

                if (strncmp(line, "tfd:", strlen("tfd:")) != 0 || !data)
                        continue;

                object = find_id(supervisor, ~strtoull(data + strlen("data:"), NULL, 16));
                if (object)
                        object->seen_open = true;
        }

        free(line);
        (void) fclose(f);
        return 0;
}

size_t objects_sweep(struct supervisor *supervisor) {
        struct object *object, *next;
        size_t n = 0;

        if (TAILQ_EMPTY(&supervisor->object_list))
                return 0;

        TAILQ_FOREACH (object, &supervisor->object_list, objects)
                object->seen_open = false;

        if (find_open(supervisor) < 0)
                return 0;

        for (object = TAILQ_FIRST(&supervisor->object_list); object; object = next) {
                next = TAILQ_NEXT(object, objects);
                if (!object->seen_open) {
                        close_object(supervisor, object);
                        n++;
                }
        }

        return n;
}

void objects_forget(struct supervisor *supervisor) {
        struct object *object;

        while ((object = TAILQ_FIRST(&supervisor->object_list)))
                remove_object(supervisor, object);
}

/* A file that is always ready, as LUO's files are for poll(2). */
static int add_source(struct supervisor *supervisor) {
        int *larger, fd;

        larger = reallocarray(supervisor->objects_sources, supervisor->n_objects_sources + 1, sizeof(int));
        if (!larger)
                return -ENOMEM;
        supervisor->objects_sources = larger;

        fd = eventfd(1, EFD_CLOEXEC);
        if (fd < 0)
                return -errno;

        larger[supervisor->n_objects_sources++] = fd;
        return 0;
}

/* Lets the epoll of an object wait for the newest of these files, with its id, and the epoll of all for it. */
static int watch_source(struct supervisor *supervisor, int fd, uint64_t id) {
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = id }, other = { .data.u64 = ~id };
        int source = supervisor->objects_sources[supervisor->n_objects_sources - 1], r;

        if (epoll_ctl(fd, EPOLL_CTL_ADD, source, &event) < 0)
                return -errno;
        /* With other data, so that it looks like none of them */
        if (epoll_ctl(supervisor->objects_epoll, EPOLL_CTL_ADD, fd, &other) >= 0)
                return 0;

        r = -errno;
        (void) epoll_ctl(fd, EPOLL_CTL_DEL, source, NULL);
        return r;
}

static int watch(struct supervisor *supervisor, int fd, uint64_t id) {
        int r = -EINVAL;

        if (supervisor->n_objects_sources > 0)
                r = watch_source(supervisor, fd, id);
        if (r != -EINVAL)
                return r;

        /* No more than 500 epolls that are in an epoll may wait for the same file */
        r = add_source(supervisor);
        return r < 0 ? r : watch_source(supervisor, fd, id);
}

int object_new(
        struct supervisor *supervisor, struct session *session, int flags, struct object **ret_object) {
        struct object *object;
        uint64_t id = ++supervisor->objects_last_id;
        int fd, r;

        object = calloc(1, sizeof(*object));
        if (!object)
                return -ENOMEM;
        object->session = session;

        fd = epoll_create1(EPOLL_CLOEXEC);
        if (fd < 0 || (flags & O_NONBLOCK && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)) {
                r = -errno;
                goto fail;
        }

        r = watch(supervisor, fd, id);
        if (r < 0)
                goto fail;

        r = hash_table_add(&supervisor->objects, &object->by_id, id);
        if (r < 0)
                goto fail;

        TAILQ_INSERT_TAIL(&supervisor->object_list, object, objects);
        *ret_object = object;
        return fd;

fail:
        close_fd(fd);
        free(object);
        return r;
}

void object_cancel(struct supervisor *supervisor, struct object *object, int fd) {
        remove_object(supervisor, object);
        close_fd(fd);
}

struct object *object_find(struct supervisor *supervisor, pid_t tid, int fd) {
        struct fd_info info;

        if (process_fd_info(tid, fd, &info) < 0 || !info.is_epoll)
                return NULL;

        return find_id(supervisor, info.epoll_data);
}
