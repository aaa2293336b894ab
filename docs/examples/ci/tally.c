/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Counts how often each name was asked for, in memory that lives through restarts and kexecs.
 *
 *   tally --serve      is the service
 *   tally NAME         counts the name once more, and prints how often that is
 */

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <libluo.h>

#define N_NAMES 256

struct name {
        uint64_t count; /* 0: free */
        char text[56];
};

struct state {
        uint32_t version; /* of this layout */
        struct name names[N_NAMES];
};

static struct state *state;

/* The next start, which may be in another kernel, finds the memory as this process leaves it, wherever that ends. */
static int open_state(void) {
        libluo_store *store;
        void *memory;
        int r;

        r = libluo_store_open(0, &store);
        if (r >= 0)
                r = libluo_store_map(store, "state", sizeof(struct state), 1, 0, &memory);
        if (r >= 0)
                r = libluo_store_barrier(store, UINT64_C(5000000));
        if (r < 0)
                return r;

        state = memory;
        return 0;
}

/* 0 if there is no room for another name. */
static uint64_t count(const char *text) {
        for (struct name *n = state->names; n < state->names + N_NAMES; n++) {
                if (n->count > 0 && strcmp(n->text, text) != 0)
                        continue;
                if (n->count == 0)
                        (void) snprintf(n->text, sizeof(n->text), "%s", text);

                /* Last: what has a count is complete */
                return __atomic_add_fetch(&n->count, 1, __ATOMIC_RELEASE);
        }

        return 0;
}

static int open_socket(int (*use)(int fd, const struct sockaddr *address, socklen_t size)) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *folder = getenv("RUNTIME_DIRECTORY");
        size_t size = sizeof(address.sun_path);
        int fd, n;

        n = snprintf(address.sun_path, size, "%s/socket", folder ? folder : "/run/tally");
        if (n < 0 || (size_t) n >= size) {
                errno = ENAMETOOLONG;
                return -1;
        }

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (use == bind)
                (void) unlink(address.sun_path);
        if (fd < 0 || use(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -1;

        return fd;
}

/* Ends by SIGTERM, which needs no handler: there is nothing to be saved. */
static int serve(void) {
        int fd, r;

        r = open_state();
        if (r < 0) {
                fprintf(stderr, "No state: %s\n", libluo_strerror(r));
                return EXIT_FAILURE;
        }

        fd = open_socket(bind);
        if (fd < 0 || listen(fd, SOMAXCONN) < 0) {
                perror("No socket");
                return EXIT_FAILURE;
        }

        r = libluo_notify("READY=1");
        if (r < 0) {
                fprintf(stderr, "Nobody to tell: %s\n", libluo_strerror(r));
                return EXIT_FAILURE;
        }

        for (;;) {
                struct timeval second = { .tv_sec = 1 };
                char text[sizeof(state->names->text)];
                ssize_t size;
                int client;

                client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
                if (client < 0)
                        continue;

                (void) setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
                size = recv(client, text, sizeof(text), MSG_TRUNC);
                if (size > 0 && size < (ssize_t) sizeof(text)) {
                        uint64_t answer;

                        text[size] = 0;
                        answer = count(text);
                        (void) send(client, &answer, sizeof(answer), MSG_NOSIGNAL);
                }
                (void) close(client);
        }
}

static int ask(const char *text) {
        uint64_t answer;
        int fd;

        fd = open_socket(connect);
        if (fd < 0 || send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) {
                perror("No service");
                return EXIT_FAILURE;
        }

        if (recv(fd, &answer, sizeof(answer), 0) != sizeof(answer) || answer == 0) {
                fprintf(stderr, "Refused\n");
                return EXIT_FAILURE;
        }

        printf("%" PRIu64 "\n", answer);
        return EXIT_SUCCESS;
}

int main(int argc, char *argv[]) {
        if (argc != 2) {
                fprintf(stderr, "usage: tally --serve | tally NAME\n");
                return 2;
        }

        return strcmp(argv[1], "--serve") == 0 ? serve() : ask(argv[1]);
}
