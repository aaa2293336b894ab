/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every documented error of the preflight and of a service's store */

#include <fcntl.h>
#include <signal.h>

#include <sys/socket.h>
#include <sys/wait.h>

#include "every-error.h"
#include "manager.h"

RUN(preflight) {
        libluo_preflight p;

        return TRY(libluo_fd_preflight(OBJECT(have.file_fd), &p, sizeof(p)));
}

RUN(preflight_nothing) {
        return TRY(libluo_fd_preflight(OBJECT(have.file_fd), NULL, 0));
}

RUN(memfd_new) {
        (void) c;
        return TRY(libluo_memfd_new("name", 0, 0));
}

RUN(memfd_new_large) {
        (void) c;
        return TRY(libluo_memfd_new("name", UINT64_MAX, 0));
}

RUN(memfd_new_nothing) {
        (void) c;
        return TRY(libluo_memfd_new(NULL, 0, 0));
}

/* SHARED: there is a service manager that answers, too. REFUSING: and takes nothing. */
enum manager { NO_MANAGER, MANAGER, VSOCK, NOBODY, NO_ROOM, NO_STORE, SHARED, REFUSING };

/*
 * Keeps file descriptors, but of barriers, until the next message without one: like a service manager with room. Or
 * keeps none, like one without.
 */
static pid_t start_keeper(int manager_fd, bool has_room) {
        pid_t pid = fork();
        int kept[16];
        size_t n = 0;

        REQUIRE(pid >= 0);
        while (pid == 0) {
                union {
                        struct cmsghdr header;
                        uint8_t buffer[CMSG_SPACE(sizeof(int))];
                } control;
                char text[512] = "";
                struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) };
                struct msghdr message = {
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control),
                };

                REQUIRE(recvmsg(manager_fd, &message, MSG_CMSG_CLOEXEC) >= 0 && n < ELEMENTS(kept));
                if (CMSG_FIRSTHDR(&message))
                        memcpy(kept + n++, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
                if (strncmp(text, "BARRIER=1", strlen("BARRIER=1")) == 0 || (n > 0 && !has_room))
                        close_fd(kept[--n]);
                else if (!CMSG_FIRSTHDR(&message))
                        while (n > 0)
                                close_fd(kept[--n]);
        }
        return pid;
}

/* A store with this file descriptor in it */
static libluo_store *open_store(int fd, uint32_t flags) {
        libluo_store *store = NULL;
        char pid[32];

        REQUIRE(dup2(fd, PASSED) == PASSED);
        (void) snprintf(pid, sizeof(pid), "%i", (int) getpid());
        REQUIRE(setenv("LISTEN_PID", pid, 1) == 0 && setenv("LISTEN_FDS", "1", 1) == 0 &&
                setenv("LISTEN_FDNAMES", "passed", 1) == 0);
        REQUIRE(libluo_store_open(flags, &store) == 0);
        return store;
}

enum store_step {
        PUT,
        PUT_SAME,
        PUT_ONE_OF_TWO,
        PUT_FILE_OF_TWO,
        PUT_BAD_NAME,
        PUT_NOTHING,
        PUT_PATH,
        PUT_DATA,
        PUT_DATA_BAD_NAME,
        PUT_DATA_BAD_ADDRESS,
        GET,
        GET_NONE,
        GET_NULL,
        GET_TWO,
        GET_ENTRY_NONE,
        MAP,
        MAP_PASSED,
        MAP_LARGE,
        MAP_SMALL,
        MAP_OTHER_SIZE,
        MAP_TWO,
        MAP_DATA,
        MAP_DATA_NONE,
        MAP_DATA_NULL,
        MAP_DATA_TWO,
        GET_DATA,
        GET_DATA_NONE,
        GET_DATA_NULL,
        GET_DATA_TWO,
        REMOVE,
        REMOVE_NONE,
        REMOVE_NULL,
        BARRIER,
        BARRIER_NULL,
        BARRIER_FD,
        BARRIER_FD_NULL,
        NOTIFY,
        NOTIFY_NULL,
        SESSIONS,
        SESSIONS_NONE,
        SESSIONS_NULL,
        SESSION,
        SESSION_PASSED,
        SESSION_BAD_NAME,
};

static int run_store_step(libluo_store *store, enum store_step step) {
        libluo_store_entry entry;
        int restored, next, fd;
        const void *mapped;
        size_t size;
        void *data;

        if (step == PUT_ONE_OF_TWO || step == PUT_FILE_OF_TWO || step == GET_TWO || step == GET_DATA_TWO ||
                step == MAP_TWO || step == MAP_DATA_TWO)
                REQUIRE(libluo_store_put_fd(store, "passed", have.other_fd, LIBLUO_STORE_ADD) == 0);

        switch (step) {
        case PUT:
                return libluo_store_put_fd(store, "name", have.other_fd, 0);
        case PUT_SAME: /* it is what was passed */
                return libluo_store_put_fd(store, "name", have.file_fd, 0);
        case PUT_ONE_OF_TWO:
                return libluo_store_put_fd(store, "passed", have.pipe_fd, 0);
        case PUT_FILE_OF_TWO: /* it is what was passed */
                return libluo_store_put_fd(store, "passed", PASSED, 0);
        case GET_ENTRY_NONE:
                return libluo_store_get_entry(store, 1, &entry, sizeof(entry));
        case MAP:
                return libluo_store_map(store, "name", 4, 1, 0, &data);
        case MAP_PASSED:
        case MAP_TWO:
                return libluo_store_map(store, "passed", 4, 1, 0, &data);
        case MAP_LARGE:
                return libluo_store_map(store, "name", SIZE_MAX, 1, 0, &data);
        case MAP_SMALL:
                return libluo_store_map(store, "name", 3, 1, 0, &data);
        case MAP_OTHER_SIZE:
                return libluo_store_map(store, "passed", 5, 1, 0, &data);
        case MAP_DATA:
        case MAP_DATA_TWO:
                return libluo_store_map_data(store, "passed", 0, &mapped, &size);
        case MAP_DATA_NONE:
                return libluo_store_map_data(store, "none", 0, &mapped, &size);
        case MAP_DATA_NULL:
                return libluo_store_map_data(store, "passed", 0, NULL, &size);
        case PUT_BAD_NAME:
                return libluo_store_put_fd(store, "a:b", have.file_fd, 0);
        case PUT_NOTHING:
                return libluo_store_put_fd(store, "name", 12345, 0);
        case PUT_PATH:
                return libluo_store_put_fd(store, "name", open("/", O_PATH | O_CLOEXEC), 0);
        case PUT_DATA:
                return libluo_store_put_data(store, "name", "data", 4, 0);
        case PUT_DATA_BAD_NAME:
                return libluo_store_put_data(store, "", "data", 4, 0);
        case PUT_DATA_BAD_ADDRESS:
                return libluo_store_put_data(store, "name", (void *) 16, 4, 0);
        case GET:
        case GET_NONE:
        case GET_NULL:
        case GET_TWO:
                fd = libluo_store_get_fd(store,
                        step == GET_NONE           ? "none"
                                : step == GET_NULL ? NULL
                                                   : "passed",
                        0);
                if (fd >= 0)
                        close_fd(fd);
                return fd;
        case GET_DATA:
        case GET_DATA_TWO:
                return libluo_store_get_data(store, "passed", 0, &data, &size);
        case GET_DATA_NONE:
                return libluo_store_get_data(store, "none", 0, &data, &size);
        case GET_DATA_NULL:
                return libluo_store_get_data(store, "passed", 0, NULL, &size);
        case REMOVE:
                return libluo_store_remove(store, "passed");
        case REMOVE_NONE:
                return libluo_store_remove(store, "none");
        case REMOVE_NULL:
                return libluo_store_remove(store, NULL);
        case BARRIER:
                return libluo_store_barrier(store, 0);
        case BARRIER_NULL:
                return libluo_store_barrier(NULL, 0);
        case BARRIER_FD:
        case BARRIER_FD_NULL:
                fd = libluo_store_barrier_fd(step == BARRIER_FD ? store : NULL, 0);
                if (fd >= 0)
                        close_fd(fd);
                return fd;
        case NOTIFY:
                return libluo_notify("READY=1");
        case NOTIFY_NULL:
                return libluo_notify(NULL);
        case SESSIONS:
                return libluo_store_get_sessions(store, "passed", 0, &restored, &next);
        case SESSIONS_NONE:
                return libluo_store_get_sessions(store, "none", 0, &restored, &next);
        case SESSION:
        case SESSION_PASSED:
        case SESSION_BAD_NAME:
                return libluo_store_open_session(store,
                        step == SESSION                  ? "name"
                                : step == SESSION_PASSED ? "passed"
                                                         : "a:b",
                        0, 0, &restored, &next);
        default:
                return libluo_store_get_sessions(store, "passed", 0, NULL, NULL);
        }
}

static int use_store(const struct error_case *c, enum manager manager, enum store_step step, int passed_fd) {
        int manager_fd = -1, r;
        libluo_store *store;
        pid_t keeper = 0;

        REQUIRE((manager == NO_STORE ? unsetenv("FDSTORE")
                                     : setenv("FDSTORE", manager == NO_ROOM ? "1" : "16", 1)) == 0);
        if (manager == MANAGER || manager == NO_ROOM || manager == NO_STORE || manager == SHARED ||
                manager == REFUSING)
                manager_fd = start_manager();
        else if (manager == NO_MANAGER)
                REQUIRE(unsetenv("NOTIFY_SOCKET") == 0);
        else
                REQUIRE(setenv("NOTIFY_SOCKET", manager == VSOCK ? "vsock:2:1" : "/nowhere/at/all", 1) == 0);

        /* Not that of a systemd which this may be run under */
        REQUIRE(setenv("LIBLUO_MANAGER_SOCKET", "/nowhere/at/all", 1) == 0);
        if (manager == SHARED || manager == REFUSING)
                keeper = start_keeper(manager_fd, manager == SHARED);
        store = open_store(passed_fd, manager == SHARED ? LIBLUO_STORE_SHARED : 0);
        if (c->object == CLOSED)
                (void) close(PASSED);

        r = TRY(run_store_step(store, step));

        if (c->object == CLOSED)
                REQUIRE(dup2(have.pipe_fd, PASSED) == PASSED);
        libluo_store_free(store);
        if (keeper > 0)
                REQUIRE(kill(keeper, SIGKILL) == 0 && waitpid(keeper, NULL, 0) == keeper);
        close_fd(manager_fd);
        /* Nothing else may come to be where file descriptors are passed */
        REQUIRE(dup2(have.pipe_fd, PASSED) == PASSED);
        return r;
}

#define STORE(name, manager, step, passed_fd)                                                                \
        RUN(store_##name) {                                                                                  \
                return use_store(c, manager, step, passed_fd);                                               \
        }

#define STORE_ALL(name, step)                                                                                \
        STORE(name, MANAGER, step, have.file_fd)                                                             \
        STORE(name##_alone, NO_MANAGER, step, have.file_fd)                                                  \
        STORE(name##_vsock, VSOCK, step, have.file_fd)                                                       \
        STORE(name##_nobody, NOBODY, step, have.file_fd)

STORE_ALL(put, PUT)
STORE_ALL(put_data, PUT_DATA)
STORE_ALL(remove, REMOVE)
STORE_ALL(barrier, BARRIER)
STORE_ALL(barrier_fd, BARRIER_FD)
STORE_ALL(notify, NOTIFY)
STORE_ALL(map, MAP)
STORE(map_full, NO_ROOM, MAP, have.file_fd)
STORE(map_off, NO_STORE, MAP, have.file_fd)
STORE(map_passed, MANAGER, MAP_PASSED, have.file_fd)
STORE(map_large, MANAGER, MAP_LARGE, have.file_fd)
STORE(map_small, MANAGER, MAP_SMALL, have.file_fd)
STORE(map_other_size, MANAGER, MAP_OTHER_SIZE, have.file_fd)
STORE(map_two, MANAGER, MAP_TWO, have.file_fd)
STORE(map_pipe, MANAGER, MAP_PASSED, have.pipe_fd)
STORE(map_data_unsealed, MANAGER, MAP_DATA, have.file_fd)
STORE(map_data_none, MANAGER, MAP_DATA_NONE, have.file_fd)
STORE(map_data_null, MANAGER, MAP_DATA_NULL, have.file_fd)
STORE(map_data_two, MANAGER, MAP_DATA_TWO, have.file_fd)
STORE(get_two, MANAGER, GET_TWO, have.file_fd)
STORE(get_data_two, MANAGER, GET_DATA_TWO, have.file_fd)
STORE(get_entry_none, MANAGER, GET_ENTRY_NONE, have.file_fd)
STORE(put_one_of_two, MANAGER, PUT_ONE_OF_TWO, have.pipe_fd)
STORE(barrier_fd_null, MANAGER, BARRIER_FD_NULL, have.file_fd)

STORE(put_of_two, MANAGER, PUT_FILE_OF_TWO, have.file_fd)
STORE(put_data_shared, SHARED, PUT_DATA, have.file_fd)
STORE(map_shared, SHARED, MAP, have.file_fd)

static int use_another(const struct error_case *c, enum store_step step, int passed_fd) {
        int r = use_store(c, MANAGER, step, passed_fd);

        close_fd(passed_fd);
        return r;
}

RUN(store_map_read_only) {
        return use_another(c, MAP_PASSED, reopen(have.file_fd, O_RDONLY));
}

RUN(store_put_leased) {
        int file_fd = fresh_file(), fd = reopen(file_fd, O_RDWR);

        close_fd(file_fd);
        (void) signal(SIGIO, SIG_IGN); /* which tells that somebody waits */
        REQUIRE(fcntl(fd, F_SETLEASE, F_WRLCK) == 0);
        return use_another(c, PUT_FILE_OF_TWO, fd);
}

RUN(store_map_data) {
        return use_another(c, MAP_DATA, libluo_internal_sealed_memfd("sealed", "data", 4));
}
STORE(put_full, NO_ROOM, PUT, have.file_fd)
STORE(put_data_full, NO_ROOM, PUT_DATA, have.file_fd)
STORE(put_off, NO_STORE, PUT, have.file_fd)
STORE(put_data_off, NO_STORE, PUT_DATA, have.file_fd)
STORE(put_same, MANAGER, PUT_SAME, have.file_fd)
STORE(put_bad_name, MANAGER, PUT_BAD_NAME, have.file_fd)
STORE(put_nothing, MANAGER, PUT_NOTHING, have.file_fd)
STORE(put_path, MANAGER, PUT_PATH, have.file_fd)
STORE(put_data_bad_name, MANAGER, PUT_DATA_BAD_NAME, have.file_fd)
STORE(put_data_bad_address, MANAGER, PUT_DATA_BAD_ADDRESS, have.file_fd)
STORE(get, MANAGER, GET, have.file_fd)
STORE(get_none, MANAGER, GET_NONE, have.file_fd)
STORE(get_null, MANAGER, GET_NULL, have.file_fd)
STORE(get_data, MANAGER, GET_DATA, have.file_fd)
STORE(get_data_none, MANAGER, GET_DATA_NONE, have.file_fd)
STORE(get_data_null, MANAGER, GET_DATA_NULL, have.file_fd)
STORE(get_data_pipe, MANAGER, GET_DATA, have.pipe_fd)
STORE(remove_none, MANAGER, REMOVE_NONE, have.file_fd)
STORE(remove_null, MANAGER, REMOVE_NULL, have.file_fd)
STORE(barrier_null, MANAGER, BARRIER_NULL, have.file_fd)
STORE(notify_null, MANAGER, NOTIFY_NULL, have.file_fd)
STORE(sessions, MANAGER, SESSIONS, have.outgoing_fd)
STORE(sessions_file, MANAGER, SESSIONS, have.file_fd)
STORE(sessions_none, MANAGER, SESSIONS_NONE, have.outgoing_fd)
STORE(sessions_null, MANAGER, SESSIONS_NULL, have.outgoing_fd)
STORE(session, MANAGER, SESSION, have.file_fd)
STORE(session_vsock, VSOCK, SESSION, have.file_fd)
STORE(session_nobody, NOBODY, SESSION, have.file_fd)
STORE(session_alone, NO_MANAGER, SESSION, have.file_fd)
STORE(session_refused, REFUSING, SESSION, have.file_fd)
STORE(session_answered, SHARED, SESSION, have.file_fd)
STORE(session_passed, MANAGER, SESSION_PASSED, have.file_fd)
STORE(session_bad_name, MANAGER, SESSION_BAD_NAME, have.file_fd)

RUN(store_open_environment) {
        libluo_store *store = NULL;
        char pid[32];
        int r;

        (void) snprintf(pid, sizeof(pid), "%i", (int) getpid());
        REQUIRE(setenv("LISTEN_PID", pid, 1) == 0 && setenv("LISTEN_FDS", "many", 1) == 0);
        r = TRY(libluo_store_open(0, &store));
        REQUIRE(unsetenv("LISTEN_PID") == 0);
        (void) c;
        return r;
}

RUN(store_open_flags) {
        libluo_store *store = NULL;

        (void) c;
        return TRY(libluo_store_open(UINT32_MAX, &store));
}

RUN(store_open) {
        libluo_store *store = NULL;

        (void) c;
        return TRY(libluo_store_open(0, &store));
}
