/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An outgoing session lasts as long as anybody has it open, whoever that is. */

#include <sys/socket.h>

#include "conformance.h"

/* A session with one preserved memfd */
static void begin(int *session_fd, int *fd) {
        *session_fd = create("lifetime");
        *fd = memfd("a");
        observe("%s", outcome(preserve(*session_fd, *fd, 1)));
}

static void observe_frozen(const char *when, int fd) {
        observe("%s %s", when, size_state(fd));
}

/* Sends an fd into a pair of sockets, and closes it. */
static void send_away(int fd, int sockets[2]) {
        char control[CMSG_SPACE(sizeof(int))] = "", byte = 0;
        struct iovec data = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr message = {
                .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
        };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);

        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
        REQUIRE(sendmsg(sockets[0], &message, 0) == 1);
        close(fd);
}

static int receive(int socket_fd) {
        char control[CMSG_SPACE(sizeof(int))], byte;
        struct iovec data = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr message = {
                .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
        };
        int fd = -1;

        REQUIRE(recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC) == 1);
        if (CMSG_FIRSTHDR(&message))
                memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
        return fd;
}

void lifetimes_close(void) {
        int session_fd, other_session_fd, fd;

        begin(&session_fd, &fd);
        observe_frozen("open", fd);
        close(session_fd);
        observe_frozen("closed", fd);
        other_session_fd = create("lifetime-other");
        observe("preserved again %s", outcome(preserve(other_session_fd, fd, 1)));
        close(other_session_fd);
        close(fd);
}

void lifetimes_duplicate(void) {
        int session_fd, duplicate_fd, fd;

        begin(&session_fd, &fd);
        duplicate_fd = fcntl(session_fd, F_DUPFD_CLOEXEC, 0);
        close(session_fd);
        observe_frozen("one open", fd);
        observe("its name %s", outcome(create("lifetime")));
        close(duplicate_fd);
        observe_frozen("none open", fd);
        close(fd);
}

void lifetimes_forked(void) {
        int session_fd, fd;
        pid_t pid;

        begin(&session_fd, &fd);
        pid = start_holder();
        close(session_fd);
        observe_frozen("child has it", fd);
        observe("its name %s", outcome(create("lifetime")));
        end_holder(pid);
        observe_frozen("child ended", fd);
        session_fd = create("lifetime");
        observe("its name %s", outcome(session_fd));
        close(session_fd);
        close(fd);
}

static int create_and_exit(void) {
        return create("lifetime");
}

void lifetimes_creator_ended(void) {
        int fd;

        observe("in the child %s", outcome(in_child(create_and_exit)));
        fd = create("lifetime");
        observe("afterwards %s", outcome(fd));
        close(fd);
}

static int session_of_parent, file_of_parent;

static int preserve_in_child(void) {
        return preserve(session_of_parent, file_of_parent, 1);
}

/* Who preserves is of no importance. */
void lifetimes_preserved_by_child(void) {
        session_of_parent = create("lifetime");
        file_of_parent = memfd("a");
        observe("%s", outcome(in_child(preserve_in_child)));
        observe_frozen("child ended", file_of_parent);
        observe("again %s", outcome(preserve(session_of_parent, file_of_parent, 1)));
        close(session_of_parent);
        observe_frozen("closed", file_of_parent);
        close(file_of_parent);
}

void lifetimes_in_flight(void) {
        int session_fd, fd, sockets[2];

        begin(&session_fd, &fd);
        send_away(session_fd, sockets);
        observe_frozen("in flight", fd);
        observe("its name %s", outcome(create("lifetime")));
        close(sockets[0]);
        close(sockets[1]);
        observe_frozen("sockets closed", fd);
        close(fd);
}

void lifetimes_received(void) {
        int session_fd, fd, other_fd = memfd("b"), sockets[2];

        begin(&session_fd, &fd);
        send_away(session_fd, sockets);
        session_fd = receive(sockets[1]);
        observe_frozen("received", fd);
        observe("PRESERVE_FD %s", outcome(preserve(session_fd, other_fd, 2)));
        close(session_fd);
        observe_frozen("closed", fd);
        close(sockets[0]);
        close(sockets[1]);
        close(fd);
        close(other_fd);
}

void lifetimes_preserved_file_closed(void) {
        int session_fd, fd, other_fd = memfd("b");

        begin(&session_fd, &fd);
        close(fd);
        observe("its token %s", outcome(preserve(session_fd, other_fd, 1)));
        observe("another file %s", outcome(preserve(session_fd, other_fd, 2)));
        close(session_fd);
        close(other_fd);
}

/* The number of a closed fd is used again at once. */
void lifetimes_fd_number_reused(void) {
        int session_fd, fd, other_fd;

        begin(&session_fd, &fd);
        close(fd);
        other_fd = memfd("b");
        observe("%s", other_fd == fd ? "same number" : "other number");
        observe_frozen("other file", other_fd);
        observe("%s", outcome(preserve(session_fd, other_fd, 2)));
        close(session_fd);
        observe_frozen("closed", other_fd);
        close(other_fd);
}

void lifetimes_one_of_two_sessions_closed(void) {
        int session_fd, other_session_fd = create("lifetime-other"), fd, other_fd = memfd("b");

        begin(&session_fd, &fd);
        observe("%s", outcome(preserve(other_session_fd, other_fd, 1)));
        close(session_fd);
        observe_frozen("of the closed one", fd);
        observe_frozen("of the other", other_fd);
        close(other_session_fd);
        observe_frozen("both closed", other_fd);
        close(fd);
        close(other_fd);
}

/* -------------------------------------------------------------------------- what is open at the kexec, and how ---- */

void lifetimes_left(void) {
        int session_fd, fd = memfd("content"), sockets[2];
        pid_t pid;

        /* Closed in time: there will be nothing. */
        session_fd = create("left-closed");
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        close(session_fd);

        session_fd = create("left-duplicate");
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        close(fd);
        REQUIRE(fcntl(session_fd, F_DUPFD_CLOEXEC, 0) >= 0);
        close(session_fd);

        session_fd = create("left-in-flight");
        fd = memfd("content");
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        close(fd);
        send_away(session_fd, sockets);

        session_fd = create("left-to-child");
        fd = memfd("content");
        observe("%s", outcome(preserve(session_fd, fd, 1)));
        close(fd);
        pid = start_holder();
        REQUIRE(pid > 0);
        close(session_fd);
}

static void observe_left(const char *name) {
        int session_fd = retrieve_session(name), fd;

        observe("%s", outcome(session_fd));
        fd = retrieve(session_fd, 1);
        observe_content(fd);
        close(fd);
        close(session_fd);
}

void lifetimes_closed_before_kexec(void) {
        observe("%s", outcome(retrieve_session("left-closed")));
        observe("%s", outcome(retrieve_session("lifetime")));
}

void lifetimes_duplicate_at_kexec(void) {
        observe_left("left-duplicate");
}

void lifetimes_in_flight_at_kexec(void) {
        observe_left("left-in-flight");
}

void lifetimes_held_by_child_at_kexec(void) {
        observe_left("left-to-child");
}
