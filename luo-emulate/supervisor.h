/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The process that stands for the kernel: it starts the program, answers its requests, and lives on over the kexec.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "hash.h"
#include "kernel-model.h"
#include "program.h"
#include "trace.h"

struct service_manager;
struct seccomp_notif;

/* The device or a session, as long as anybody has it open. */
struct object {
        struct hash_item by_id; /* of the epoll that stands for it: what the data of its file is */
        TAILQ_ENTRY(object) objects;
        struct session *session; /* NULL: this is the device */
        bool seen_open;
};

TAILQ_HEAD(object_list, object);

/* What is run. */
struct plan {
        char *const *argv;
        unsigned kexecs;
        unsigned restarts;    /* in each boot */
        char *driver;         /* a command for sh, or NULL */
        char *stop_post;      /* the same */
        bool waits_for_ready; /* READY=1 */
        int stop_signal;      /* 0: the program ends by itself */
        uint64_t start_timeout_usec;
        uint64_t stop_timeout_usec;
        int lifeline; /* hangs up when the run is to end; -1 if there is none */
};

/* Why a boot ended, or a start in it. */
enum boot_end {
        BOOT_RUNS,
        BOOT_ENDED_BY_EXIT,   /* of the main program, or its driver */
        BOOT_ENDED_BY_KEXEC,  /* reboot(2) */
        BOOT_ENDED_BY_REBOOT, /* reboot(2) with another command that ends the machine's run */
        BOOT_ENDED_BY_SIGNAL, /* to the emulator */
        BOOT_FAILED,          /* could not be started, or not be emulated any more */
};

/* How far a start of the program has come. */
enum phase {
        PHASE_STARTING, /* it is not ready yet */
        PHASE_RUNNING,
        PHASE_STOPPING, /* it was told to end */
        PHASE_ENDED,    /* and what is to run then does */
};

struct supervisor {
        struct kernel_model kernel;
        struct trace trace;
        struct service_manager *manager; /* NULL without --fd-store */

        struct hash_table objects;
        struct object_list object_list;
        int objects_epoll;
        int *objects_sources; /* what the objects' own epolls wait for */
        size_t n_objects_sources;
        uint64_t objects_last_id;

        const struct plan *plan;
        unsigned restart;            /* how often the program was started in this boot before */
        struct program main, driver; /* after the service's end, the second one is what runs then */
        enum phase phase;
        uint64_t start_deadline_usec;
        uint64_t stop_deadline_usec;
        bool anybody_left; /* of all processes of the program */
        const char
                *result; /* of this start, in systemd's words, where main_status does not say it; or NULL */
        int main_status; /* as wait(2) has it */

        int listener;  /* of the request that is being answered; borrowed */
        int files_max; /* what is to be kept open has a smaller file descriptor */
        enum boot_end end;
        int status; /* exit status that goes with the end */
        const char *reboot_command;
};

/* supervisor.c */
int supervisor_init(
        struct supervisor *supervisor, struct faults *faults, int trace_fd, const char *trace_path);
void supervisor_done(struct supervisor *supervisor);

/* Runs the program. Returns the exit status of the emulator. */
int supervisor_run(struct supervisor *supervisor, const struct plan *plan);

/* Says that the emulator has no room for more open files, and ends the run. */
void supervisor_out_of_files(struct supervisor *supervisor);

/* objects.c: makes the file that stands for the device (session NULL) or a session. Returns its file descriptor. */
int object_new(struct supervisor *supervisor, struct session *session, int flags, struct object **ret_object);

/* objects.c: takes it back before anybody got it; the session remains. */
void object_cancel(struct supervisor *supervisor, struct object *object, int fd);

/* objects.c: what a file descriptor of the program stands for, or NULL. */
struct object *object_find(struct supervisor *supervisor, pid_t tid, int fd);

/* objects.c: finds out what is closed, and closes it in the model. Returns how many objects. */
size_t objects_sweep(struct supervisor *supervisor);

/* objects.c: forgets all objects; nobody has any open. */
void objects_forget(struct supervisor *supervisor);

/* requests.c: answers one system call of the program. */
void request_answer(struct supervisor *supervisor, const struct seccomp_notif *request);
