/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "fd-store.h"
#include "internal.h"
#include "listen-stream.h"
#include "live-update.h"
#include "process.h"
#include "service-manager.h"
#include "supervisor.h"
#include "varlink.h"

#define LISTEN_FDS_START 3
#define MESSAGE_MAX 4096    /* PIPE_BUF, which is systemd's limit */
#define MESSAGE_FDS_MAX 253 /* SCM_MAX_FD of the kernel */
#define NAME_DEFAULT "stored"
#define SOCKET_NAME "notify"
#define VARLINK_SOCKET_NAME "io.systemd.Manager"
#define SESSION_NUMBERS 10000U
#define UNIT_NAME "emulated.service"
#define SOCKET_UNIT_NAME "emulated.socket"

struct service_manager {
        struct supervisor *supervisor; /* borrowed */
        struct fd_store store;
        const struct unit_setting *unit; /* borrowed */
        int *listen_fds;                 /* one for each of unit->listen_streams; -1: is to be made */
        bool is_ready;
        bool told_who_misses_fds;
        int epoll;
        int socket;
        struct sockaddr_un address;
        struct varlink_server *varlink; /* NULL without json-c */
        char varlink_path[PATH_MAX];
};

/* ---------------------------------------------------------------------------------------------------- setup ---- */

int service_manager_make_folder(char **ret) {
        const char *temporary = getenv("TMPDIR");
        char *folder;
        int r = 0;

        if (!temporary || !*temporary)
                temporary = "/tmp";
        if (asprintf(&folder, "%s/luo-emulate-XXXXXX", temporary) < 0)
                r = -ENOMEM;
        else if (!mkdtemp(folder)) {
                r = -errno;
                free(folder);
        }
        if (r < 0) {
                fprintf(stderr, "luo-emulate: cannot make a folder for the NOTIFY_SOCKET in %s: %s.\n",
                        temporary, strerror(-r));
                return r;
        }

        *ret = folder;
        return 0;
}

void service_manager_remove_folder(const char *folder) {
        char path[PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s/" SOCKET_NAME, folder);
        (void) unlink(path);
        (void) snprintf(path, sizeof(path), "%s/" VARLINK_SOCKET_NAME, folder);
        (void) unlink(path);
        (void) rmdir(folder);
}

static int make_socket(struct service_manager *m, const char *folder) {
        int n;

        m->address.sun_family = AF_UNIX;
        n = snprintf(m->address.sun_path, sizeof(m->address.sun_path), "%s/" SOCKET_NAME, folder);
        if (n < 0 || (size_t) n >= sizeof(m->address.sun_path))
                return -ENAMETOOLONG;

        m->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (m->socket < 0 || setsockopt(m->socket, SOL_SOCKET, SO_PASSCRED, &(int) { 1 }, sizeof(int)) < 0 ||
                bind(m->socket, (const struct sockaddr *) &m->address, sizeof(m->address)) < 0)
                return -errno;

        /* A program that starts as root may become somebody else, who can get at systemd's socket, too */
        if (geteuid() == 0 && (chmod(folder, 0711) < 0 || chmod(m->address.sun_path, 0777) < 0))
                return -errno;

        if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->socket, &(struct epoll_event) { .events = EPOLLIN }) < 0)
                return -errno;

        return 0;
}

static int make_varlink(struct service_manager *m, const char *folder) {
        struct epoll_event event = { .events = EPOLLIN };
        int r;

        (void) snprintf(m->varlink_path, sizeof(m->varlink_path), "%s/" VARLINK_SOCKET_NAME, folder);
        r = varlink_server_new(m->varlink_path, live_update_call, m, &m->varlink);
        if (r < 0 || !m->varlink)
                return r;

        event.data.ptr = m->varlink;
        if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, varlink_server_fd(m->varlink), &event) < 0)
                return -errno;
        if (geteuid() == 0 && chmod(m->varlink_path, 0666) < 0)
                return -errno;

        return 0;
}

int service_manager_new(struct supervisor *supervisor, const struct unit_setting *unit, const char *folder,
        struct service_manager **ret) {

        struct service_manager *m;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m) {
                fprintf(stderr, "luo-emulate: out of memory.\n");
                return -ENOMEM;
        }
        *m = (struct service_manager) {
                .supervisor = supervisor,
                .unit = unit,
                .socket = -1,
        };

        m->epoll = epoll_create1(EPOLL_CLOEXEC);
        r = m->epoll < 0 ? -errno : 0;
        fd_store_init(&m->store, unit->fd_store_max, m->epoll);
        if (r >= 0 && unit->n_listen_streams > 0) {
                m->listen_fds = reallocarray(NULL, unit->n_listen_streams, sizeof(int));
                r = m->listen_fds ? 0 : -ENOMEM;
                for (size_t i = 0; r >= 0 && i < unit->n_listen_streams; i++)
                        m->listen_fds[i] = -1;
        }
        if (r >= 0)
                r = make_socket(m, folder);
        if (r >= 0)
                r = make_varlink(m, folder);
        if (r < 0) {
                fprintf(stderr, "luo-emulate: cannot make the NOTIFY_SOCKET %s/" SOCKET_NAME ": %s.\n",
                        folder, strerror(-r));
                service_manager_free(m);
                return r;
        }

        *ret = m;
        return 0;
}

static void close_listen_fds(struct service_manager *m) {
        if (!m->listen_fds)
                return;

        for (size_t i = 0; i < m->unit->n_listen_streams; i++) {
                if (m->listen_fds[i] >= 0)
                        listen_stream_close(m->unit->listen_streams[i], m->listen_fds[i]);
                m->listen_fds[i] = -1;
        }
}

struct service_manager *service_manager_free(struct service_manager *m) {
        if (!m)
                return NULL;

        close_listen_fds(m);
        free(m->listen_fds);
        varlink_server_free(m->varlink);
        fd_store_done(&m->store);
        close_fd(m->socket);
        close_fd(m->epoll);
        free(m);
        return NULL;
}

int service_manager_fd(const struct service_manager *m) {
        return m->epoll;
}

static void trace_entry(struct service_manager *m, const char *event, const char *name, int result) {
        struct trace *trace = &m->supervisor->trace;

        trace_begin(trace);
        trace_word(trace, "event", event);
        trace_string(trace, "name", name);
        trace_result(trace, result);
        trace_end(trace);
}

/* ------------------------------------------------------------------------------------------------- sessions ---- */

/* The session that a stored file descriptor is, or NULL. */
static struct session *session_of(struct service_manager *m, const struct stored_fd *entry) {
        struct object *object = object_find(m->supervisor, getpid(), entry->fd);

        return object ? object->session : NULL;
}

/* The file for a session that the manager itself has open. */
static int open_session(struct service_manager *m, struct session *session) {
        struct object *object;
        int fd;

        fd = object_new(m->supervisor, session, 0, &object);
        if (fd < 0)
                (void) kernel_close_session(&m->supervisor->kernel, session);

        return fd;
}

/* In the kernel the unit's sessions have numbers: n_max of them means that there are as many, whoever has them open. */
static int make_session(struct service_manager *m, const char *name, size_t n_max, bool beside_incoming) {
        char entry_name[LIBLUO_ENTRY_NAME_MAX + 1];
        uint8_t session_name[KERNEL_LUO_NAME_SIZE];
        struct session *session;
        int fd, r = -EEXIST;

        for (size_t number = 0; r == -EEXIST && number < n_max && number < SESSION_NUMBERS; number++) {
                memset(session_name, 0, sizeof(session_name));
                (void) snprintf((char *) session_name, sizeof(session_name), UNIT_NAME "-%zu", number);
                r = kernel_create_session(&m->supervisor->kernel, session_name, &session);
        }
        if (r < 0)
                return r;

        fd = open_session(m, session);
        if (fd < 0)
                return fd;

        (void) snprintf(entry_name, sizeof(entry_name), "%s%s", name, beside_incoming ? ".next" : "");
        r = fd_store_add(&m->store, fd, entry_name, false, true);
        if (r < 0)
                close_fd(fd);
        return r < 0 ? r : 0;
}

static bool is_named(const struct stored_fd *entry, const char *name) {
        size_t length = strlen(name);

        return strncmp(entry->name, name, length) == 0 &&
                (entry->name[length] == 0 || strcmp(entry->name + length, ".next") == 0);
}

void service_manager_find_sessions(struct service_manager *m, const char *name, struct unit_sessions *ret) {
        struct stored_fd *entry;

        *ret = (struct unit_sessions) {};
        TAILQ_FOREACH (entry, &m->store.list, entries) {
                const struct session *session = is_named(entry, name) ? session_of(m, entry) : NULL;

                if (session)
                        *(session->incoming ? &ret->restored : &ret->outgoing) = entry;
        }
}

static void make_sessions(struct service_manager *m) {
        for (size_t i = 0; i < m->unit->n_luo_sessions; i++) {
                struct unit_sessions sessions;
                int r;

                service_manager_find_sessions(m, m->unit->luo_sessions[i], &sessions);
                if (sessions.outgoing)
                        continue;

                r = make_session(m, m->unit->luo_sessions[i], SESSION_NUMBERS, sessions.restored);
                if (r < 0)
                        fprintf(stderr, "luo-emulate: cannot make the unit's LUO session \"%s\": %s.\n",
                                m->unit->luo_sessions[i], libluo_strerror(r));
        }
}

int service_manager_create_session(struct service_manager *m, const char *name) {
        struct kernel_model *kernel = &m->supervisor->kernel;
        size_t n_max = 2 * (m->unit->sessions_max + m->unit->n_luo_sessions);
        struct unit_sessions sessions;
        int r;

        r = kernel_open_device(kernel);
        if (r == -EBUSY && objects_sweep(m->supervisor) > 0)
                r = kernel_open_device(kernel);
        if (r < 0)
                return r;

        service_manager_find_sessions(m, name, &sessions);
        r = make_session(m, name, n_max, sessions.restored);
        if (r == -EEXIST && objects_sweep(m->supervisor) > 0)
                r = make_session(m, name, n_max, sessions.restored);
        kernel_close_device(kernel);
        trace_entry(m, "session-create", name, r);
        return r;
}

void service_manager_remove_session(struct service_manager *m, struct stored_fd *entry) {
        trace_entry(m, "session-remove", entry->name, 0);
        fd_store_remove(&m->store, entry);
        (void) objects_sweep(m->supervisor);
}

bool service_manager_is_caller(const struct service_manager *m, int pid) {
        /* Whatever else there is descends from the program, as far as can be told */
        return pid > 0 && pid != m->supervisor->driver.pid;
}

unsigned service_manager_boot(const struct service_manager *m) {
        return m->supervisor->kernel.boot;
}

size_t service_manager_count_sessions(struct service_manager *m) {
        struct stored_fd *entry;
        size_t n = 0;

        TAILQ_FOREACH (entry, &m->store.list, entries) {
                const struct session *session = session_of(m, entry);
                bool is_configured = false;

                for (size_t i = 0; i < m->unit->n_luo_sessions; i++)
                        is_configured = is_configured || is_named(entry, m->unit->luo_sessions[i]);
                n += session && !session->incoming && !is_configured;
        }

        return n;
}

size_t service_manager_sessions_max(const struct service_manager *m) {
        return m->unit->sessions_max;
}

bool service_manager_next_session(
        struct service_manager *m, struct stored_fd **entry, struct session_description *ret) {
        static char name[LIBLUO_ENTRY_NAME_MAX + 1]; /* belongs to the caller until the next call */
        struct stored_fd *e = *entry ? TAILQ_NEXT(*entry, entries) : TAILQ_FIRST(&m->store.list);
        const struct session *session = NULL;
        char *suffix;

        while (e && !(session = session_of(m, e)))
                e = TAILQ_NEXT(e, entries);
        if (!e)
                return false;

        (void) snprintf(name, sizeof(name), "%s", e->name);
        suffix = session->incoming ? NULL : strrchr(name, '.');
        if (suffix && strcmp(suffix, ".next") == 0)
                *suffix = 0;

        *entry = e;
        *ret = (struct session_description) { .name = name, .restored = session->incoming };
        return true;
}

static bool is_preserved(void *userdata, int fd) {
        struct service_manager *m = userdata;
        struct stat st;

        return process_fd_stat(getpid(), fd, &st) >= 0 &&
                kernel_find_frozen(&m->supervisor->kernel, st.st_dev, st.st_ino);
}

bool service_manager_next_entry(
        struct service_manager *m, struct stored_fd **entry, struct entry_description *ret) {
        struct stored_fd *e = *entry ? TAILQ_NEXT(*entry, entries) : TAILQ_FIRST(&m->store.list);
        const struct session *session;

        if (!e)
                return false;

        session = session_of(m, e);
        *entry = e;
        *ret = (struct entry_description) {
                .name = e->name,
                .fd = e->fd,
                .is_session = session,
                .is_restored = session && session->incoming,
                .is_preserved = !session && is_preserved(m, e->fd),
        };
        return true;
}

/* ----------------------------------------------------------------------------------------------- the program ---- */

int service_manager_begin(struct service_manager *m) {
        int r;

        m->is_ready = false;
        m->told_who_misses_fds = false;
        make_sessions(m);

        for (size_t i = 0; i < m->unit->n_listen_streams; i++) {
                if (m->listen_fds[i] >= 0)
                        continue;

                r = listen_stream_open(m->unit->listen_streams[i]);
                if (r < 0) {
                        fprintf(stderr, "luo-emulate: cannot listen on %s: %s.\n", m->unit->listen_streams[i],
                                strerror(-r));
                        return r;
                }
                m->listen_fds[i] = r;
        }

        return 0;
}

bool service_manager_is_ready(const struct service_manager *m) {
        return m->is_ready;
}

static size_t count_passed(const struct service_manager *m) {
        return m->unit->n_listen_streams + m->store.n;
}

/* Sockets come first, and all have the name of their unit. */
static char *join_names(const struct service_manager *m) {
        const struct stored_fd *entry;
        const char *separator = "";
        char *text = NULL;
        size_t size = 0;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;

        for (size_t i = 0; i < m->unit->n_listen_streams; i++) {
                fprintf(f, "%s%s", separator, SOCKET_UNIT_NAME);
                separator = ":";
        }
        TAILQ_FOREACH (entry, &m->store.list, entries) {
                fprintf(f, "%s%s", separator, entry->name);
                separator = ":";
        }

        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

/*
 * Descriptors from LISTEN_FDS_START up. Who is where another one belongs moves out of the way first, so that one more
 * is needed at most.
 */
static int move_fds(int fds[], size_t n) {
        size_t *owners; /* of each place: the index of the one that is there now, plus one */
        int r = 0;

        owners = calloc(n, sizeof(*owners));
        if (!owners)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if ((size_t) (fds[i] - LISTEN_FDS_START) < n)
                        owners[fds[i] - LISTEN_FDS_START] = i + 1;

        for (size_t i = 0; i < n && r >= 0; i++) {
                int place = LISTEN_FDS_START + (int) i, moved;

                if (fds[i] == place) {
                        r = fcntl(place, F_SETFD, 0) < 0 ? -errno : 0;
                        continue;
                }

                if (owners[i] > i + 1) {
                        /* All places before this one are taken, so that it moves to one that comes later, or behind */
                        moved = fcntl(place, F_DUPFD_CLOEXEC, LISTEN_FDS_START);
                        if (moved < 0) {
                                r = -errno;
                                break;
                        }
                        fds[owners[i] - 1] = moved;
                        if ((size_t) (moved - LISTEN_FDS_START) < n)
                                owners[moved - LISTEN_FDS_START] = owners[i];
                }

                r = dup2(fds[i], place) < 0 ? -errno : 0;
                close_fd(fds[i]);
        }

        free(owners);
        return r;
}

static int place_fds(const struct service_manager *m) {
        const struct stored_fd *entry;
        size_t n = 0;
        int *fds, r;

        fds = reallocarray(NULL, count_passed(m), sizeof(*fds));
        if (!fds)
                return -ENOMEM;

        for (size_t i = 0; i < m->unit->n_listen_streams; i++)
                fds[n++] = m->listen_fds[i];
        TAILQ_FOREACH (entry, &m->store.list, entries)
                fds[n++] = entry->fd;

        r = move_fds(fds, n);
        free(fds);
        return r;
}

/* The store's maximum, which as systemd's has the unit's sessions in it: they come on top of what may be stored. */
static int set_maximum(const struct service_manager *m) {
        size_t maximum = m->store.max + (m->store.n - m->store.n_counted);
        char number[32];

        if (maximum == 0)
                return 0;

        (void) snprintf(number, sizeof(number), "%zu", maximum);
        return setenv("FDSTORE", number, 1) < 0 ? -errno : 0;
}

void service_manager_unset(void) {
        static const char *const names[] = { "NOTIFY_SOCKET", "FDSTORE", "LISTEN_FDS", "LISTEN_FDNAMES",
                "LISTEN_PID", "LISTEN_PIDFDID", "LIBLUO_MANAGER_SOCKET", "MAINPID", "SERVICE_RESULT",
                "EXIT_CODE", "EXIT_STATUS" };

        for (size_t i = 0; i < ELEMENTS(names); i++)
                (void) unsetenv(names[i]);
}

int service_manager_pass_socket(const struct service_manager *m) {
        if (m->varlink && setenv("LIBLUO_MANAGER_SOCKET", m->varlink_path, 1) < 0)
                return -errno;
        return setenv("NOTIFY_SOCKET", m->address.sun_path, 1) < 0 ? -errno : set_maximum(m);
}

int service_manager_pass(const struct service_manager *m, int *fd) {
        size_t n = count_passed(m);
        char number[32], pid[32], *names;
        int r, moved;

        r = service_manager_pass_socket(m);
        if (r < 0)
                return r;
        if (n == 0)
                return 0;

        moved = fcntl(*fd, F_DUPFD_CLOEXEC, LISTEN_FDS_START + (int) n);
        if (moved < 0)
                return -errno;
        *fd = moved;

        r = place_fds(m);
        if (r < 0)
                return r;

        names = join_names(m);
        if (!names)
                return -ENOMEM;

        (void) snprintf(number, sizeof(number), "%zu", n);
        (void) snprintf(pid, sizeof(pid), "%i", (int) getpid());
        if (setenv("LISTEN_FDS", number, 1) < 0 || setenv("LISTEN_FDNAMES", names, 1) < 0 ||
                setenv("LISTEN_PID", pid, 1) < 0)
                r = -errno;
        free(names);
        return r;
}

/* ------------------------------------------------------------------------------------------------- messages ---- */

/* The value of a "KEY=" in a message of lines, or NULL. Lines end with NULs here. */
static const char *find_tag(const char *message, size_t size, const char *key) {
        for (const char *line = message; line < message + size; line += strlen(line) + 1)
                if (strncmp(line, key, strlen(key)) == 0)
                        return line + strlen(key);

        return NULL;
}

static bool has_tag(const char *message, size_t size, const char *tag) {
        for (const char *line = message; line < message + size; line += strlen(line) + 1)
                if (strcmp(line, tag) == 0)
                        return true;

        return false;
}

static void remove_by_name(struct service_manager *m, const char *name) {
        struct stored_fd *entry, *next;

        for (entry = TAILQ_FIRST(&m->store.list); entry; entry = next) {
                next = TAILQ_NEXT(entry, entries);
                if (strcmp(entry->name, name) == 0)
                        fd_store_remove(&m->store, entry);
        }

        trace_entry(m, "fdstore-remove", name, 0);
}

/* Takes the fds that it stores out of the array, by -1. */
static void store(struct service_manager *m, int fds[], size_t n_fds, const char *name, bool poll) {
        for (size_t i = 0; i < n_fds; i++) {
                /* LUO's files cannot be polled */
                bool is_pollable = poll && !object_find(m->supervisor, getpid(), fds[i]);
                int r;

                r = fd_store_add(&m->store, fds[i], name, is_pollable, false);
                trace_entry(m, r == 0 ? "fdstore-duplicate" : "fdstore-add", name, r);
                if (r > 0)
                        fds[i] = -1;
                if (r < 0) {
                        fprintf(stderr, "luo-emulate: fd store: cannot store \"%s\": %s.\n", name,
                                r == -EXFULL ? "the store is full (see --fd-store=MAX)" : strerror(-r));
                        return;
                }
        }
}

static void handle_message(struct service_manager *m, char *message, size_t size, int fds[], size_t n_fds) {
        const char *name, *status;
        bool name_is_valid;

        if (memchr(message, 0, size)) {
                fprintf(stderr, "luo-emulate: a notification message with a NUL in it was ignored.\n");
                return;
        }

        for (size_t i = 0; i < size; i++)
                if (message[i] == '\n')
                        message[i] = 0;
        message[size] = 0;
        size++;

        /* Its meaning is that its fd is closed when everything sent before has been handled */
        if (has_tag(message, size, "BARRIER=1"))
                return;

        status = find_tag(message, size, "STATUS=");
        if (status)
                trace_entry(m, "status", status, 0);
        if (has_tag(message, size, "READY=1")) {
                m->is_ready = true;
                trace_entry(m, "ready", UNIT_NAME, 0);
        }

        name = find_tag(message, size, "FDNAME=");
        name_is_valid =
                name && libluo_internal_entry_name_is_valid(name, strnlen(name, LIBLUO_ENTRY_NAME_MAX + 1));

        if (has_tag(message, size, "FDSTOREREMOVE=1")) {
                if (name_is_valid)
                        remove_by_name(m, name);
                else
                        fprintf(stderr,
                                "luo-emulate: FDSTOREREMOVE=1 without a valid FDNAME= was ignored.\n");
        } else if (has_tag(message, size, "FDSTORE=1")) {
                if (name && !name_is_valid)
                        fprintf(stderr, "luo-emulate: an FDNAME= that is not valid was ignored.\n");
                store(m, fds, n_fds, name_is_valid ? name : NAME_DEFAULT,
                        !has_tag(message, size, "FDPOLL=0"));
        }
}

/*
 * sd_listen_fds(3) finds nothing in any other process than $LISTEN_PID, and says nothing about it. Who sends messages
 * and was meant to have the file descriptors, by the look of its environment, hears it here, once for a start. Commands
 * that speak for a shell script are not meant.
 */
static void look_for_missed_fds(struct service_manager *m, pid_t sender) {
        static const char *const commands[] = { "systemd-notify", "luoctl" };
        pid_t main_pid = m->supervisor->main.pid, listen_pid = 0;
        char name[PROCESS_NAME_SIZE];
        struct fd_info info;

        if (m->told_who_misses_fds || main_pid == 0 || sender == main_pid || count_passed(m) == 0 ||
                process_listen_pid(sender, &listen_pid) < 0 || listen_pid == sender)
                return;

        /* Whoever is forked from the program that took them has them with this flag */
        if (process_fd_info(sender, LISTEN_FDS_START, &info) < 0 || info.flags & O_CLOEXEC)
                return;

        process_name(sender, name);
        for (size_t i = 0; i < ELEMENTS(commands); i++)
                if (strcmp(name, commands[i]) == 0)
                        return;

        fprintf(stderr,
                "luo-emulate: warning: %s (process %i) cannot see what was passed to process %i "
                "($LISTEN_PID), which has started it: sd_listen_fds(3) finds nothing. Start it with exec, or make "
                "it the program itself and what tests it the --driver.\n",
                name, (int) sender, (int) listen_pid);
        m->told_who_misses_fds = true;
}

/* Receives and handles one message. Returns false if there was none. */
static bool receive_message(struct service_manager *m) {
        char message[MESSAGE_MAX + 1];
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
        } control;
        struct msghdr header = {
                .msg_iov = &(struct iovec) { message, sizeof(message) },
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        bool out_of_files;
        int fds[MESSAGE_FDS_MAX];
        struct ucred sender = {};
        size_t n_fds = 0;
        ssize_t n;

        n = recvmsg(m->socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EINTR;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
                if (c->cmsg_level != SOL_SOCKET)
                        continue;
                else if (c->cmsg_type == SCM_RIGHTS) {
                        n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                        memcpy(fds, CMSG_DATA(c), n_fds * sizeof(int));
                } else if (c->cmsg_type == SCM_CREDENTIALS)
                        memcpy(&sender, CMSG_DATA(c), sizeof(sender));

        /* There is room for all that a message can have, so that only what cannot be opened is missing */
        out_of_files = header.msg_flags & MSG_CTRUNC;
        for (size_t i = 0; i < n_fds; i++)
                if (fds[i] >= m->supervisor->files_max)
                        out_of_files = true;

        if (out_of_files)
                supervisor_out_of_files(m->supervisor);
        else if (header.msg_flags & MSG_TRUNC || n > MESSAGE_MAX)
                fprintf(stderr, "luo-emulate: a notification message that is too long was ignored.\n");
        else {
                look_for_missed_fds(m, sender.pid);
                handle_message(m, message, (size_t) n, fds, n_fds);
        }

        for (size_t i = 0; i < n_fds; i++)
                close_fd(fds[i]);
        return true;
}

void service_manager_dispatch(struct service_manager *m) {
        struct epoll_event event;

        while (receive_message(m))
                ;

        /* One at a time: an entry that is removed must not be in a list of events */
        while (epoll_wait(m->epoll, &event, 1, 0) > 0 && event.data.ptr) {
                struct stored_fd *entry = event.data.ptr;

                if (event.data.ptr == m->varlink) {
                        if (varlink_server_dispatch(m->varlink) < 0) {
                                supervisor_out_of_files(m->supervisor);
                                return;
                        }
                        continue;
                }
                trace_entry(m, "fdstore-hang-up", entry->name, 0);
                fd_store_remove(&m->store, entry);
        }
}

/* ---------------------------------------------------------------------------------------------------- kexec ---- */

/* A session that comes back is an entry without a file meanwhile. Returns false if it does not. */
static bool put_session_aside(
        struct service_manager *m, struct stored_fd *entry, const struct session *session) {
        char *suffix = strrchr(entry->name, '.');

        if (session->incoming) {
                /* There is nothing in one that was finished */
                if (!entry->is_unit_session && session->n_files > 0)
                        fprintf(stderr,
                                "luo-emulate: fd store: \"%s\" is lost in the kexec: the session \"%s\" came "
                                "from the previous boot, and only new ones are preserved.\n",
                                entry->name, session->name);
                return false;
        }

        entry->session_name = strdup(session->name);
        if (!entry->session_name)
                return false;

        /* The unit's next session becomes its present one */
        if (entry->is_unit_session && suffix && strcmp(suffix, ".next") == 0)
                *suffix = 0;

        (void) epoll_ctl(m->epoll, EPOLL_CTL_DEL, entry->fd, NULL);
        close_fd(entry->fd);
        entry->fd = -1;
        return true;
}

void service_manager_before_kexec(struct service_manager *m) {
        struct stored_fd *entry, *next;

        service_manager_dispatch(m);

        for (entry = TAILQ_FIRST(&m->store.list); entry; entry = next) {
                const struct session *session = session_of(m, entry);

                next = TAILQ_NEXT(entry, entries);
                if (session && !put_session_aside(m, entry, session))
                        fd_store_remove(&m->store, entry);
        }

        fd_store_copy(&m->store, is_preserved, m);

        /* The machine goes down; those of the next one are new */
        close_listen_fds(m);
}

/* Returns 0, or a negative errno, and then it was told on stderr what is lost. */
static int restore_session(struct service_manager *m, struct stored_fd *entry) {
        uint8_t name[KERNEL_LUO_NAME_SIZE] = {};
        struct session *session;
        int r;

        memcpy(name, entry->session_name, strlen(entry->session_name));
        free(entry->session_name);
        entry->session_name = NULL;

        r = kernel_retrieve_session(&m->supervisor->kernel, name, &session);
        if (r >= 0)
                r = open_session(m, session);
        if (r < 0) {
                fprintf(stderr, "luo-emulate: fd store: the session \"%s\" is lost: %s.\n",
                        (const char *) name, libluo_strerror(r));
                return r;
        }

        entry->fd = r;
        return 0;
}

void service_manager_after_kexec(struct service_manager *m) {
        struct kernel_model *kernel = &m->supervisor->kernel;
        struct trace *trace = &m->supervisor->trace;
        struct stored_fd *entry, *next;

        for (entry = TAILQ_FIRST(&m->store.list); entry; entry = next) {
                bool injected;
                int r;

                next = TAILQ_NEXT(entry, entries);
                r = faults_check(kernel->faults, kernel->boot, OPERATION_FDSTORE_RESTORE, entry->name, 0);
                injected = r < 0;
                if (injected)
                        fprintf(stderr,
                                "luo-emulate: fd store: \"%s\" is lost in the kexec, by --fail: %s.\n",
                                entry->name, strerror(-r));
                else if (entry->session_name)
                        r = restore_session(m, entry);

                trace_begin(trace);
                trace_word(trace, "event", "fdstore-restore");
                trace_string(trace, "name", entry->name);
                trace_result(trace, r);
                if (injected)
                        trace_word(trace, "injected", "yes");
                trace_end(trace);

                if (r < 0)
                        fd_store_remove(&m->store, entry);
        }
}
