/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests and the structures they take: numbers, sizes, reserved fields, pointers. */

#include <sys/eventfd.h>
#include <sys/socket.h>

#include "conformance.h"

union argument {
        uint32_t size;
        struct kernel_luo_session session;
        struct kernel_luo_fd fd;
        struct kernel_luo_finish finish;
        struct kernel_luo_name name;
        uint8_t bytes[3 * PAGE];
};

static const struct request {
        const char *name;
        unsigned long number;
        uint32_t size;
} device_requests[] = {
        { "CREATE_SESSION", KERNEL_LUO_CREATE_SESSION, sizeof(struct kernel_luo_session) },
        { "RETRIEVE_SESSION", KERNEL_LUO_RETRIEVE_SESSION, sizeof(struct kernel_luo_session) },
}, outgoing_requests[] = {
        { "PRESERVE_FD", KERNEL_LUO_PRESERVE_FD, sizeof(struct kernel_luo_fd) },
        { "GET_NAME", KERNEL_LUO_GET_NAME, sizeof(struct kernel_luo_name) },
}, incoming_requests[] = {
        { "RETRIEVE_FD", KERNEL_LUO_RETRIEVE_FD, sizeof(struct kernel_luo_fd) },
        { "FINISH", KERNEL_LUO_FINISH, sizeof(struct kernel_luo_finish) },
        { "GET_NAME", KERNEL_LUO_GET_NAME, sizeof(struct kernel_luo_name) },
};

/* A request that would do, if it were not for what the case changes in it */
static void fill(union argument *argument, const struct request *request, int preserved_fd) {
        memset(argument, 0, sizeof(*argument));
        argument->size = request->size;
        switch (request->number) {
        case KERNEL_LUO_CREATE_SESSION:
        case KERNEL_LUO_RETRIEVE_SESSION:
                strcpy((char *) argument->session.name, "structure");
                break;
        case KERNEL_LUO_PRESERVE_FD:
        case KERNEL_LUO_RETRIEVE_FD:
                argument->fd.fd = preserved_fd;
                argument->fd.token = 1;
                break;
        }
}

static void close_what_came(const union argument *argument, const struct request *request) {
        if (request->number == KERNEL_LUO_CREATE_SESSION || request->number == KERNEL_LUO_RETRIEVE_SESSION)
                close(argument->session.fd);
        else if (request->number == KERNEL_LUO_RETRIEVE_FD)
                close(argument->fd.fd);
}

enum tail {
        ZERO,
        NONZERO_LAST_BYTE,
        NONZERO_BYTE_BEHIND_IT,
};

/* Sends each request with another size. */
static void observe_sized(
        int fd, const struct request *requests, size_t n, int32_t size_change, enum tail tail) {
        for (size_t i = 0; i < n; i++) {
                int preserved_fd = memfd("a"), result;
                union argument argument;

                fill(&argument, &requests[i], preserved_fd);
                argument.size += (uint32_t) size_change;
                if (tail != ZERO)
                        argument.bytes[argument.size - (tail == NONZERO_LAST_BYTE)] = 1;
                result = call(fd, requests[i].number, &argument);
                observe("%s %s", requests[i].name, outcome(result));
                if (result >= 0)
                        close_what_came(&argument, &requests[i]);
                close(preserved_fd);
        }
}

static void observe_device_and_outgoing(int32_t size_change, enum tail tail) {
        int device_fd = open_device(O_RDWR | O_CLOEXEC), session_fd;

        observe_sized(device_fd, device_requests, ELEMENTS(device_requests), size_change, tail);
        close(device_fd);
        session_fd = create("structures");
        observe_sized(session_fd, outgoing_requests, ELEMENTS(outgoing_requests), size_change, tail);
        close(session_fd);
}

void structures_size_exact(void) {
        observe_device_and_outgoing(0, ZERO);
}

void structures_size_one_less(void) {
        observe_device_and_outgoing(-1, ZERO);
}

void structures_size_larger(void) {
        observe_device_and_outgoing(8, ZERO);
}

void structures_size_much_larger(void) {
        observe_device_and_outgoing(2 * (int32_t) PAGE, ZERO);
}

void structures_size_larger_nonzero_tail(void) {
        observe_device_and_outgoing(8, NONZERO_LAST_BYTE);
}

void structures_size_larger_nonzero_behind_tail(void) {
        observe_device_and_outgoing(8, NONZERO_BYTE_BEHIND_IT);
}

void structures_size_zero(void) {
        union argument argument = {};
        int device_fd = open_device(O_RDWR | O_CLOEXEC), session_fd;

        for (size_t i = 0; i < ELEMENTS(device_requests); i++)
                observe("%s %s", device_requests[i].name,
                        outcome(call(device_fd, device_requests[i].number, &argument)));
        close(device_fd);

        session_fd = create("structures");
        for (size_t i = 0; i < ELEMENTS(outgoing_requests); i++)
                observe("%s %s", outgoing_requests[i].name,
                        outcome(call(session_fd, outgoing_requests[i].number, &argument)));
        close(session_fd);
}

void structures_name_reserved(void) {
        struct kernel_luo_name argument = { .size = sizeof(argument), .reserved = 1 };
        int session_fd = create("structures");

        observe("%s", outcome(call(session_fd, KERNEL_LUO_GET_NAME, &argument)));
        close(session_fd);
}

/* What goes in is left as it is, except for what comes out. */
void structures_fields_after_success(void) {
        union argument argument = {};
        int fd = open_device(O_RDWR | O_CLOEXEC), result;

        fill(&argument, &device_requests[0], -1);
        argument.size += 16;
        argument.session.fd = 12345;
        result = call(fd, KERNEL_LUO_CREATE_SESSION, &argument);
        close(fd);
        observe("%s", outcome(result));
        observe("size %+i", (int) (argument.size - device_requests[0].size));
        observe("name \"%s\"", argument.session.name);
        observe("fd %s", argument.session.fd != 12345 ? "set" : "not set");
        if (result >= 0)
                close(argument.session.fd);
}

void structures_fields_after_failure(void) {
        union argument argument = {};
        int session_fd = create("structure"), fd = open_device(O_RDWR | O_CLOEXEC);

        fill(&argument, &device_requests[0], -1);
        argument.session.fd = 12345;
        observe("%s", outcome(call(fd, KERNEL_LUO_CREATE_SESSION, &argument)));
        observe("fd %s", argument.session.fd != 12345 ? "set" : "not set");
        close(fd);
        close(session_fd);
}

/* Two pages, of which the second cannot be accessed */
static uint8_t *page_before_nothing(void) {
        uint8_t *pages;

        pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(pages != MAP_FAILED);
        REQUIRE(mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
        return pages;
}

void structures_pointer_null(void) {
        int device_fd = open_device(O_RDWR | O_CLOEXEC), session_fd;

        for (size_t i = 0; i < ELEMENTS(device_requests); i++)
                observe("%s %s", device_requests[i].name,
                        outcome(call(device_fd, device_requests[i].number, NULL)));
        close(device_fd);

        session_fd = create("structures");
        for (size_t i = 0; i < ELEMENTS(outgoing_requests); i++)
                observe("%s %s", outgoing_requests[i].name,
                        outcome(call(session_fd, outgoing_requests[i].number, NULL)));
        close(session_fd);
}

void structures_pointer_at_end_of_memory(void) {
        uint8_t *pages = page_before_nothing();
        struct kernel_luo_session *argument =
                (struct kernel_luo_session *) (pages + PAGE - sizeof(struct kernel_luo_session));
        int fd = open_device(O_RDWR | O_CLOEXEC), result;

        argument->size = sizeof(*argument);
        strcpy((char *) argument->name, "edge");
        result = call(fd, KERNEL_LUO_CREATE_SESSION, argument);
        observe("all of it there %s", outcome(result));
        if (result >= 0)
                close(argument->fd);

        argument->size = sizeof(*argument) + 8;
        observe("tail missing %s", outcome(call(fd, KERNEL_LUO_CREATE_SESSION, argument)));
        argument->size = UINT32_MAX;
        observe("4 GiB %s", outcome(call(fd, KERNEL_LUO_CREATE_SESSION, argument)));

        argument = (struct kernel_luo_session *) (pages + PAGE - 8);
        argument->size = sizeof(*argument);
        observe("name missing %s", outcome(call(fd, KERNEL_LUO_CREATE_SESSION, argument)));
        argument->size = 8;
        observe("name missing and size too small %s", outcome(call(fd, KERNEL_LUO_CREATE_SESSION, argument)));
        close(fd);
        munmap(pages, 2 * PAGE);
}

void structures_pointer_unaligned(void) {
        uint8_t bytes[sizeof(struct kernel_luo_session) + 1];
        struct kernel_luo_session argument = { .size = sizeof(argument), .fd = -1, .name = "unaligned" };
        int fd = open_device(O_RDWR | O_CLOEXEC), result;

        memcpy(bytes + 1, &argument, sizeof(argument));
        result = call(fd, KERNEL_LUO_CREATE_SESSION, bytes + 1);
        memcpy(&argument, bytes + 1, sizeof(argument));
        observe("%s", outcome(result));
        if (result >= 0)
                close(argument.fd);
        close(fd);
}

/* A structure that can be read but not written */
static int call_read_only(int fd, const struct request *request, int preserved_fd) {
        union argument *argument;
        int result;

        argument = mmap(NULL, sizeof(*argument), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(argument != MAP_FAILED);
        fill(argument, request, preserved_fd);
        REQUIRE(mprotect(argument, sizeof(*argument), PROT_READ) == 0);
        result = call(fd, request->number, argument);
        munmap(argument, sizeof(*argument));
        return result;
}

void structures_read_only_create(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC), session_fd;

        observe("%s", outcome(call_read_only(fd, &device_requests[0], -1)));
        close(fd);
        session_fd = create("structure");
        observe("again %s", outcome(session_fd));
        close(session_fd);
}

/* It fails only when all is done. */
void structures_read_only_preserve(void) {
        int session_fd = create("structures"), fd = memfd("a");

        observe("%s", outcome(call_read_only(session_fd, &outgoing_requests[0], fd)));
        observe("%s", size_state(fd));
        observe("again %s", outcome(preserve(session_fd, fd, 1)));
        close(session_fd);
        close(fd);
}

void structures_read_only_name(void) {
        int session_fd = create("structures");

        observe("%s", outcome(call_read_only(session_fd, &outgoing_requests[1], -1)));
        close(session_fd);
}

static void observe_number(int fd, unsigned long number) {
        union argument argument = { .size = sizeof(struct kernel_luo_session) };

        observe("0x%lx %s", number, outcome(call(fd, number, &argument)));
}

void structures_unknown_numbers_device(void) {
        static const unsigned char numbers[] = { 0x02, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0xff };
        int fd = open_device(O_RDWR | O_CLOEXEC);

        for (size_t i = 0; i < ELEMENTS(numbers); i++)
                observe_number(fd, _IO(0xBA, numbers[i]));
        close(fd);
}

void structures_unknown_numbers_session(void) {
        static const unsigned char numbers[] = { 0x00, 0x01, 0x02, 0x3f, 0x44, 0xff };
        int fd = create("structures");

        for (size_t i = 0; i < ELEMENTS(numbers); i++)
                observe_number(fd, _IO(0xBA, numbers[i]));
        close(fd);
}

/* The number alone is looked up; whether the rest fits comes later. */
void structures_directions_device(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);

        observe_number(fd, _IOWR(0xBA, 0x00, struct kernel_luo_session));
        observe_number(fd, _IOR(0xBA, 0x01, uint32_t));
        observe_number(fd, _IOW(0xBA, 0x02, uint32_t));
        close(fd);
}

void structures_directions_session(void) {
        int fd = create("structures");

        observe_number(fd, _IOWR(0xBA, 0x40, struct kernel_luo_fd));
        observe_number(fd, _IOWR(0xBA, 0x41, struct kernel_luo_fd));
        observe_number(fd, _IOR(0xBA, 0x43, uint32_t));
        observe_number(fd, _IOW(0xBA, 0x44, uint32_t));
        close(fd);
}

void structures_order_of_number_and_pointer(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC), session_fd;

        observe("unknown number on the device %s", outcome(call(fd, _IO(0xBA, 0x02), NULL)));
        observe("wrong direction on the device %s", outcome(call(fd, _IOWR(0xBA, 0x00, uint32_t), NULL)));
        close(fd);
        session_fd = create("structures");
        observe("unknown number on a session %s", outcome(call(session_fd, _IO(0xBA, 0x44), NULL)));
        observe("wrong direction on a session %s",
                outcome(call(session_fd, _IOWR(0xBA, 0x40, uint32_t), NULL)));
        observe("request of incoming sessions %s", outcome(call(session_fd, KERNEL_LUO_RETRIEVE_FD, NULL)));
        close(session_fd);
}

/* Requests of other drivers: a program may ask any file whether it is a terminal, for example. */
void structures_foreign_requests_device(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);

        observe_number(fd, _IO(0xBB, 0x00));
        observe_number(fd, _IO(0xBB, 0x02));
        observe("isatty %s", outcome(isatty(fd) ? 0 : -errno));
        close(fd);
}

void structures_foreign_requests_session(void) {
        int fd = create("structures");

        observe_number(fd, _IO(0xBB, 0x40));
        observe_number(fd, _IO(0xBB, 0x44));
        observe("isatty %s", outcome(isatty(fd) ? 0 : -errno));
        close(fd);
}

static void observe_on_file(const char *what, int fd) {
        union argument argument;
        int result, first = 0;
        bool all_alike = true;

        for (unsigned i = 0; i < 6; i++) {
                const struct request *request = i < 2 ? &device_requests[i]
                        : i < 3                       ? &outgoing_requests[0]
                                                      : &incoming_requests[i - 3];

                fill(&argument, request, fd);
                result = call(fd, request->number, &argument);
                if (i == 0)
                        first = result;
                else
                        all_alike = all_alike && result == first;
        }
        observe("%s %s", what, all_alike ? outcome(first) : "differs");
        close(fd);
}

void structures_other_files(void) {
        int fds[2];

        observe_on_file("memfd", memfd("a"));
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        observe_on_file("pipe", fds[0]);
        close(fds[1]);
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        observe_on_file("socket", fds[0]);
        close(fds[1]);
        observe_on_file("eventfd", eventfd(0, EFD_CLOEXEC));
        observe_on_file("folder", open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        observe_on_file("/dev/null", open("/dev/null", O_RDWR | O_CLOEXEC));
        observe_on_file("O_PATH", open("/proc", O_PATH | O_CLOEXEC));
        observe_on_file("no file", -1);
}

/* --------------------------------------------------------------------------------- boot 1: incoming sessions ---- */

void structures_left(void) {
        static const char *const names[] = { "sizes-exact", "sizes-less", "sizes-larger", "sizes-tail",
                "reserved", "structure", "not-writable" };

        for (size_t i = 0; i < ELEMENTS(names); i++)
                leave_memfd(names[i], names[i]);
}

static void observe_incoming(const char *name, int32_t size_change, enum tail tail) {
        int session_fd = retrieve_session(name);

        observe_sized(session_fd, incoming_requests, ELEMENTS(incoming_requests), size_change, tail);
        close(session_fd);
}

void structures_incoming_size_exact(void) {
        observe_incoming("sizes-exact", 0, ZERO);
}

void structures_incoming_size_one_less(void) {
        observe_incoming("sizes-less", -1, ZERO);
}

void structures_incoming_size_larger(void) {
        observe_incoming("sizes-larger", 8, ZERO);
}

void structures_incoming_size_larger_nonzero_tail(void) {
        observe_incoming("sizes-tail", 8, NONZERO_LAST_BYTE);
}

void structures_incoming_reserved(void) {
        struct kernel_luo_finish finish_argument = { .size = sizeof(finish_argument), .reserved = 1 };
        struct kernel_luo_name name_argument = { .size = sizeof(name_argument), .reserved = 1U << 31 };
        int session_fd = retrieve_session("reserved"), fd;

        observe("FINISH %s", outcome(call(session_fd, KERNEL_LUO_FINISH, &finish_argument)));
        observe("GET_NAME %s", outcome(call(session_fd, KERNEL_LUO_GET_NAME, &name_argument)));
        fd = retrieve(session_fd, 1);
        observe("afterwards RETRIEVE_FD %s", outcome(fd));
        close(fd);
        close(session_fd);
}

/* The kernel takes the session back, and that closes it. */
void structures_read_only_retrieve_session(void) {
        int fd = open_device(O_RDWR | O_CLOEXEC);

        observe("%s", outcome(call_read_only(fd, &device_requests[1], -1)));
        close(fd);
        observe("again %s", outcome(retrieve_session("structure")));
}

void structures_read_only_retrieve_and_finish(void) {
        int session_fd = retrieve_session("not-writable"), fd;

        observe("RETRIEVE_FD %s", outcome(call_read_only(session_fd, &incoming_requests[0], -1)));
        fd = retrieve(session_fd, 1);
        observe("again %s", outcome(fd));
        observe_content(fd);
        observe("FINISH %s", outcome(call_read_only(session_fd, &incoming_requests[1], -1)));
        observe("afterwards RETRIEVE_FD %s", outcome(retrieve(session_fd, 1)));
        close(fd);
        close(session_fd);
}
