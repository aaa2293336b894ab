/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "answers.h"
#include "internal.h"
#include "kernel-abi.h"
#include "process.h"

/* A request that is being answered. */
struct call {
        struct supervisor *s;
        const struct seccomp_notif *request;
        pid_t tid;
        uint64_t address; /* of the argument */
        uint32_t user_size;
        size_t size; /* of what the kernel knows of the argument */
        struct session *session;
        union {
                struct kernel_luo_session session;
                struct kernel_luo_fd fd;
                struct kernel_luo_finish finish;
                struct kernel_luo_name name;
        } argument;
};

enum direction {
        DIRECTION_ANY,
        DIRECTION_OUTGOING,
        DIRECTION_INCOMING,
};

/* Writes the argument back, as much of it as the caller has. */
static int respond(const struct call *call) {
        return request_write(call->s, call->request, call->address, &call->argument,
                call->user_size < call->size ? call->user_size : call->size);
}

/*
 * Gives the caller an fd in the argument. Whether the argument can be written is found out first, as an fd cannot be
 * taken back. Returns 0, -EFAULT with nothing done, or another errno with nothing done.
 */
static int respond_with_fd(struct call *call, int32_t *ret_argument_fd, int fd) {
        int r;

        r = respond(call);
        if (r < 0)
                return r;

        r = request_install_fd(call->s, call->request, fd, O_CLOEXEC, false);
        if (r < 0)
                return r;

        *ret_argument_fd = r;
        return respond(call);
}

/* The kernel reserves a file descriptor first, so that wanting one is found out before any other mistake. */
static int prefer_no_free_fd(const struct call *call, int error) {
        return process_has_free_fd(call->tid) ? error : -EMFILE;
}

static void trace_call(
        const struct call *call, enum operation operation, const char *session, int result, bool injected) {

        struct trace *trace = &call->s->trace;

        trace_begin(trace);
        trace_process(trace, call->tid);
        trace_word(trace, "operation", operation_name(operation));
        trace_string(trace, "session", session);
        if (operation == OPERATION_PRESERVE || operation == OPERATION_RETRIEVE)
                trace_number(trace, "token", call->argument.fd.token);
        if (operation == OPERATION_PRESERVE || (operation == OPERATION_RETRIEVE && result >= 0))
                trace_fd(trace, "fd", call->argument.fd.fd);
        if ((operation == OPERATION_CREATE || operation == OPERATION_RETRIEVE_SESSION) && result >= 0)
                trace_fd(trace, "fd", call->argument.session.fd);
        trace_result(trace, result);
        if (injected)
                trace_word(trace, "injected", "yes");
        trace_end(trace);
}

static int make_session(struct call *call, enum operation operation,
        int (*make)(struct kernel_model *, const uint8_t[KERNEL_LUO_NAME_SIZE], struct session **)) {

        struct supervisor *s = call->s;
        const uint8_t *wanted = call->argument.session.name;
        char name[KERNEL_LUO_NAME_SIZE + 1] = {};
        struct session *session = NULL;
        struct object *object;
        bool injected;
        int fd, r;

        r = make(&s->kernel, wanted, &session);
        /* Whoever has the name may be closed by now */
        if ((r == -EEXIST || r == -EINVAL) && !s->kernel.fault_injected && objects_sweep(s) > 0)
                r = make(&s->kernel, wanted, &session);
        injected = s->kernel.fault_injected;

        if (r < 0)
                r = prefer_no_free_fd(call, r);
        else {
                fd = object_new(s, session, 0, &object);
                r = fd;
                if (fd >= 0) {
                        r = respond_with_fd(call, &call->argument.session.fd, fd);
                        if (r < 0)
                                object_cancel(s, object, fd);
                        else
                                close_fd(fd);
                }

                if (r < 0 && session->incoming && r != -EFAULT)
                        session->retrieved = false;
                else if (r < 0)
                        /* What the kernel cannot tell the caller of, it closes */
                        (void) kernel_close_session(&s->kernel, session);
        }

        memcpy(name, wanted, KERNEL_LUO_NAME_SIZE);
        trace_call(call, operation, name, r, injected);
        return r < 0 ? r : 0;
}

static int create_session(struct call *call) {
        return make_session(call, OPERATION_CREATE, kernel_create_session);
}

static int retrieve_session(struct call *call) {
        return make_session(call, OPERATION_RETRIEVE_SESSION, kernel_retrieve_session);
}

/*
 * A file descriptor of our own for the file that is to be preserved; -EBADF as the kernel has it, or -ENOENT for what
 * LUO does not take in any case. That is left alone: to close it can mean to ask a server that does not answer (FUSE).
 */
static int get_fd_to_preserve(const struct call *call) {
        int fd = call->argument.fd.fd;
        struct fd_info info;
        struct stat st;

        if (process_fd_info(call->tid, fd, &info) >= 0 && !(info.flags & O_PATH) &&
                process_fd_stat(call->tid, fd, &st) >= 0 && (!S_ISREG(st.st_mode) || st.st_nlink > 0))
                return request_is_valid(call->s, call->request) ? -ENOENT : -ESRCH;

        fd = request_get_file(call->s, call->request, fd);
        return fd == -ENOENT ? -ESRCH : fd;
}

static int preserve(struct call *call) {
        struct supervisor *s = call->s;
        uint64_t token = call->argument.fd.token;
        int fd = -EBADF, r;

        if (!kernel_token_is_used(call->session, token)) {
                fd = get_fd_to_preserve(call);
                /* The kernel needs none for a file that it has preserved, and has no error for that */
                if (fd >= s->files_max || fd == -EMFILE || fd == -ENFILE) {
                        close_fd(fd);
                        supervisor_out_of_files(s);
                        fd = -ENOMEM;
                }
                if (fd < 0 && fd != -EBADF && fd != -ENOENT) {
                        r = fd;
                        goto finish;
                }
        }

        r = kernel_preserve(&s->kernel, call->session, token, fd);
        if (r == -EBUSY && !s->kernel.fault_injected && objects_sweep(s) > 0)
                r = kernel_preserve(&s->kernel, call->session, token, fd);
        if (r < 0)
                close_fd(fd);
        else
                r = respond(call);

finish:
        trace_call(call, OPERATION_PRESERVE, call->session->name, r, r < 0 && s->kernel.fault_injected);
        return r;
}

static int retrieve(struct call *call) {
        struct supervisor *s = call->s;
        uid_t uid;
        gid_t gid;
        int fd, r;

        r = process_owner(call->tid, &uid, &gid);
        if (r >= 0)
                r = kernel_retrieve(&s->kernel, call->session, call->argument.fd.token, uid, gid, &fd);
        if (r < 0)
                r = prefer_no_free_fd(call, r);
        else
                r = respond_with_fd(call, &call->argument.fd.fd, fd);

        trace_call(call, OPERATION_RETRIEVE, call->session->name, r, r < 0 && s->kernel.fault_injected);
        return r;
}

static int finish(struct call *call) {
        struct supervisor *s = call->s;
        int r;

        if (call->argument.finish.reserved != 0)
                return -EINVAL;

        r = kernel_finish(&s->kernel, call->session);
        if (r >= 0)
                r = respond(call);

        trace_call(call, OPERATION_FINISH, call->session->name, r, s->kernel.fault_injected);
        return r;
}

static int get_name(struct call *call) {
        struct supervisor *s = call->s;
        int r;

        if (call->argument.name.reserved != 0)
                return -EINVAL;

        r = kernel_get_name(&s->kernel, call->session);
        if (r >= 0) {
                memcpy(call->argument.name.name, call->session->name, strlen(call->session->name) + 1);
                r = respond(call);
        }

        trace_call(call, OPERATION_GET_NAME, call->session->name, r, s->kernel.fault_injected);
        return r;
}

struct entry {
        uint32_t number; /* the request's, without its type */
        unsigned request;
        size_t size; /* all fields of today have been there from the beginning, so that less is never enough */
        enum direction direction;
        int (*run)(struct call *call);
};

static const struct entry device_entries[] = {
        { 0x00, KERNEL_LUO_CREATE_SESSION, sizeof(struct kernel_luo_session), DIRECTION_ANY, create_session },
        { 0x01, KERNEL_LUO_RETRIEVE_SESSION, sizeof(struct kernel_luo_session), DIRECTION_ANY,
                retrieve_session },
};

static const struct entry session_entries[] = {
        { 0x40, KERNEL_LUO_PRESERVE_FD, sizeof(struct kernel_luo_fd), DIRECTION_OUTGOING, preserve },
        { 0x41, KERNEL_LUO_RETRIEVE_FD, sizeof(struct kernel_luo_fd), DIRECTION_INCOMING, retrieve },
        { 0x42, KERNEL_LUO_FINISH, sizeof(struct kernel_luo_finish), DIRECTION_INCOMING, finish },
        { 0x43, KERNEL_LUO_GET_NAME, sizeof(struct kernel_luo_name), DIRECTION_ANY, get_name },
};

static const struct entry *find_entry(const struct entry *entries, size_t n, uint32_t number) {
        for (size_t i = 0; i < n; i++)
                if (entries[i].number == number)
                        return entries + i;

        return NULL;
}

/* The checks that the kernel does before a request is looked at, in its order. */
int64_t answer_ioctl(struct supervisor *s, const struct seccomp_notif *request) {
        struct call call = {
                .s = s,
                .request = request,
                .tid = (pid_t) request->pid,
                .address = request->data.args[2],
        };
        unsigned command = (unsigned) request->data.args[1];
        const struct entry *entry;
        struct object *object;
        int r;

        object = object_find(s, call.tid, (int) request->data.args[0]);
        if (!object)
                return ANSWER_CONTINUE;

        call.session = object->session;
        entry = call.session ? find_entry(session_entries, ELEMENTS(session_entries), _IOC_NR(command))
                             : find_entry(device_entries, ELEMENTS(device_entries), _IOC_NR(command));
        if (!entry)
                return -EINVAL;

        r = process_read(call.tid, call.address, &call.user_size, sizeof(call.user_size));
        if (r < 0)
                return r;
        if (entry->request != command)
                return -ENOTTY;
        if (entry->direction != DIRECTION_ANY &&
                call.session->incoming != (entry->direction == DIRECTION_INCOMING))
                return -EINVAL;
        if (call.user_size < entry->size)
                return -EINVAL;

        call.size = entry->size;
        if (call.user_size > call.size) {
                r = process_check_zeroed(call.tid, call.address + call.size, call.user_size - call.size);
                if (r < 0)
                        return r;
        }

        r = process_read(call.tid, call.address, &call.argument, call.size);
        if (r < 0)
                return r;

        if (!request_is_valid(s, request))
                return ANSWER_NONE;

        return entry->run(&call);
}
