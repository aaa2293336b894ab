/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names of sessions. */

#include "conformance.h"

#define NAME_OF_63 "012345678901234567890123456789012345678901234567890123456789012"
#define ODD_NAME "\x01\xff\xfe/../ \n\"caf\xc3\xa9\" %s"

/* Takes all 64 bytes, whether there is a NUL in them or not. */
static int call_with_bytes(unsigned long request, const void *name) {
        struct kernel_luo_session argument = { .size = sizeof(argument), .fd = -1 };
        int fd = open_device(O_RDWR | O_CLOEXEC), result;

        memcpy(argument.name, name, sizeof(argument.name));
        result = call(fd, request, &argument);
        close(fd);
        return result < 0 ? result : argument.fd;
}

static void observe_name(const char *what, int session_fd, const char *expected) {
        char name[KERNEL_LUO_NAME_SIZE + 1] = "";
        int result;

        result = get_name(session_fd, name);
        observe("%s %s", what,
                result < 0                            ? outcome(result)
                        : strcmp(name, expected) == 0 ? "the same"
                                                      : "another");
}

void names_empty(void) {
        observe("CREATE_SESSION %s", outcome(create("")));
        observe("RETRIEVE_SESSION %s", outcome(retrieve_session("")));
}

void names_without_nul(void) {
        char name[KERNEL_LUO_NAME_SIZE];

        memset(name, 'n', sizeof(name));
        observe("CREATE_SESSION %s", outcome(call_with_bytes(KERNEL_LUO_CREATE_SESSION, name)));
        observe("RETRIEVE_SESSION %s", outcome(call_with_bytes(KERNEL_LUO_RETRIEVE_SESSION, name)));
}

void names_of_one_byte(void) {
        int fd = create("1");

        observe("%s", outcome(fd));
        observe_name("GET_NAME", fd, "1");
        close(fd);
}

void names_of_63_bytes(void) {
        int fd = create(NAME_OF_63);

        observe("%s", outcome(fd));
        observe_name("GET_NAME", fd, NAME_OF_63);
        close(fd);
}

void names_with_any_bytes(void) {
        int fd = create(ODD_NAME);

        observe("%s", outcome(fd));
        observe_name("GET_NAME", fd, ODD_NAME);
        close(fd);
}

void names_end_at_nul(void) {
        char name[KERNEL_LUO_NAME_SIZE] = "end\0one", other_name[KERNEL_LUO_NAME_SIZE] = "end\0other";
        int fd = call_with_bytes(KERNEL_LUO_CREATE_SESSION, name);

        observe("%s", outcome(fd));
        observe_name("GET_NAME", fd, "end");
        observe("with other bytes behind the NUL %s",
                outcome(call_with_bytes(KERNEL_LUO_CREATE_SESSION, other_name)));
        close(fd);
}

void names_taken(void) {
        int fd = create("taken");

        observe("%s", outcome(fd));
        observe("%s", outcome(create("taken")));
        observe("%s", outcome(create("taken")));
        close(fd);
}

void names_alike(void) {
        int fds[] = { create("alike"), create("alik"), create("alike "), create("Alike") };

        for (size_t i = 0; i < ELEMENTS(fds); i++)
                observe("%s", outcome(fds[i]));
        for (size_t i = 0; i < ELEMENTS(fds); i++)
                close(fds[i]);
}

void names_free_after_close(void) {
        for (unsigned i = 0; i < 3; i++) {
                int fd = create("reused");

                observe("%s", outcome(fd));
                close(fd);
        }
}

void names_of_outgoing_not_retrieved(void) {
        int fd = create("outgoing-name");

        observe("%s", outcome(retrieve_session("outgoing-name")));
        close(fd);
}

void names_session_cloexec(void) {
        int fd = create("cloexec");

        observe("FD_CLOEXEC %s", has_cloexec(fd) ? "set" : "not set");
        close(fd);
}

void names_session_read_and_write(void) {
        int fd = create("read-and-write");
        char byte = 0;

        observe("read %s", outcome(status_of(read(fd, &byte, 1))));
        observe("write %s", outcome(status_of(write(fd, &byte, 1))));
        close(fd);
}

/* The fd is allocated before the name is looked at. */
void names_without_fds(void) {
        struct kernel_luo_session argument = { .size = sizeof(argument), .fd = -1 };
        int fd = open_device(O_RDWR | O_CLOEXEC), good_result, empty_result, unknown_result;

        forbid_fds();
        empty_result = call(fd, KERNEL_LUO_CREATE_SESSION, &argument);
        strcpy((char *) argument.name, "no-fds");
        good_result = call(fd, KERNEL_LUO_CREATE_SESSION, &argument);
        unknown_result = call(fd, KERNEL_LUO_RETRIEVE_SESSION, &argument);
        allow_fds();
        close(fd);
        observe("good name %s", outcome(good_result));
        observe("empty name %s", outcome(empty_result));
        observe("RETRIEVE_SESSION %s", outcome(unknown_result));

        fd = create("no-fds");
        observe("with fds %s", outcome(fd));
        close(fd);
}

void names_left(void) {
        observe("%s", outcome(create(NAME_OF_63)));
        observe("%s", outcome(create(ODD_NAME)));
        observe("%s", outcome(create("beside")));
        observe("%s", outcome(create("no-fds-incoming")));
}

void names_after_kexec(void) {
        int fd = retrieve_session(NAME_OF_63), other_fd = retrieve_session(ODD_NAME);

        observe("63 bytes %s", outcome(fd));
        observe_name("GET_NAME", fd, NAME_OF_63);
        observe("any bytes %s", outcome(other_fd));
        observe_name("GET_NAME", other_fd, ODD_NAME);
        close(fd);
        close(other_fd);
}

void names_prefix_after_kexec(void) {
        char prefix[] = NAME_OF_63;

        prefix[62] = 0;
        observe("one byte less %s", outcome(retrieve_session(prefix)));
        observe("one byte more %s", outcome(retrieve_session("beside ")));
}

void names_outgoing_beside_incoming(void) {
        int outgoing_fd = create("beside"), incoming_fd = retrieve_session("beside");

        observe("CREATE_SESSION %s", outcome(outgoing_fd));
        observe("RETRIEVE_SESSION %s", outcome(incoming_fd));
        observe_name("GET_NAME of the outgoing one", outgoing_fd, "beside");
        observe_name("GET_NAME of the incoming one", incoming_fd, "beside");
        observe("CREATE_SESSION again %s", outcome(create("beside")));
        close(outgoing_fd);
        close(incoming_fd);
}

void names_retrieved_without_fds(void) {
        struct kernel_luo_session argument = {
                .size = sizeof(argument), .fd = -1, .name = "no-fds-incoming"
        };
        int fd = open_device(O_RDWR | O_CLOEXEC), result;

        forbid_fds();
        result = call(fd, KERNEL_LUO_RETRIEVE_SESSION, &argument);
        allow_fds();
        close(fd);
        observe("%s", outcome(result));

        fd = retrieve_session("no-fds-incoming");
        observe("with fds %s", outcome(fd));
        close(fd);
}
