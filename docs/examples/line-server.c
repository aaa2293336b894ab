/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <libluo.h>

#include "line-server.h"

#define LINE_SIZE 4096

static volatile sig_atomic_t stop_requested;

static void on_signal(int number) {
        (void) number;
        stop_requested = 1;
}

static int make_address(const char *path, struct sockaddr_un *ret) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;

        memcpy(address.sun_path, path, strlen(path) + 1);
        *ret = address;
        return 0;
}

/* Reads up to the line break, or the end. */
static int read_line(int fd, char line[LINE_SIZE]) {
        size_t n = 0;

        while (n < LINE_SIZE - 1) {
                ssize_t k;

                k = read(fd, line + n, LINE_SIZE - 1 - n);
                if (k < 0)
                        return -errno;
                n += (size_t) k;
                line[n] = 0;
                if (k == 0 || strchr(line, '\n'))
                        break;
        }

        line[strcspn(line, "\n")] = 0;
        return 0;
}

static int listen_at(const struct sockaddr *address, socklen_t size) {
        int fd, yes = 1;

        fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;

        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 || bind(fd, address, size) < 0 ||
                listen(fd, SOMAXCONN) < 0) {
                int r = -errno;

                (void) close(fd);
                return r;
        }

        return fd;
}

static void answer_one(int listener, line_handler handle) {
        /* One that says nothing must not keep the others waiting for ever */
        const struct timeval patience = { .tv_sec = 2 };
        char request[LINE_SIZE], answer[LINE_SIZE] = "";
        int client;

        client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
                return;

        (void) setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        if (read_line(client, request) >= 0) {
                handle(request, answer, sizeof(answer) - 1);
                strcat(answer, "\n");
                (void) send(client, answer, strlen(answer), MSG_NOSIGNAL);
        }
        (void) close(client);
}

static int serve(const char *socket_path, unsigned port, line_handler handle) {
        struct sigaction action = { .sa_handler = on_signal };
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
        struct sockaddr_un address;
        struct pollfd listeners[2];
        nfds_t n = 0;

        /* Without SA_RESTART: poll(2) has to return */
        (void) sigaction(SIGTERM, &action, NULL);
        (void) signal(SIGPIPE, SIG_IGN);

        if (make_address(socket_path, &address) < 0)
                return EXIT_FAILURE;

        (void) unlink(socket_path);
        listeners[n++] = (struct pollfd) {
                .fd = listen_at((struct sockaddr *) &address, sizeof(address)),
                .events = POLLIN,
        };
        if (port > 0)
                listeners[n++] = (struct pollfd) {
                        .fd = listen_at((struct sockaddr *) &any, sizeof(any)),
                        .events = POLLIN,
                };
        for (nfds_t i = 0; i < n; i++)
                if (listeners[i].fd < 0) {
                        fprintf(stderr, "Cannot listen at %s: %s\n", i == 0 ? socket_path : "the TCP port",
                                strerror(-listeners[i].fd));
                        return EXIT_FAILURE;
                }

        (void) libluo_notify("READY=1");

        while (!stop_requested)
                if (poll(listeners, n, -1) > 0)
                        for (nfds_t i = 0; i < n; i++)
                                if (listeners[i].revents & POLLIN)
                                        answer_one(listeners[i].fd, handle);

        return EXIT_SUCCESS;
}

static int ask(const char *socket_path, int n_words, char *words[]) {
        char line[LINE_SIZE] = "";
        struct sockaddr_un address;
        int fd;

        for (int i = 0; i < n_words; i++) {
                if (strlen(line) + strlen(words[i]) + 2 >= sizeof(line)) {
                        fprintf(stderr, "The request is too long.\n");
                        return EXIT_FAILURE;
                }
                strcat(line, words[i]);
                strcat(line, i + 1 < n_words ? " " : "\n");
        }

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || make_address(socket_path, &address) < 0 ||
                connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
                send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 || read_line(fd, line) < 0) {
                fprintf(stderr, "%s: %s\n", socket_path, strerror(errno));
                return EXIT_FAILURE;
        }
        (void) close(fd);

        puts(line);
        return strncmp(line, "error", 5) == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Where the socket is; only the service manager tells, and only the service. */
static void find_socket(const char *name, char path[LINE_SIZE]) {
        const char *folder = getenv("RUNTIME_DIRECTORY");
        char of_unit[128];

        (void) snprintf(of_unit, sizeof(of_unit), "/run/%s", name);
        if (!folder)
                folder = access(of_unit, F_OK) == 0 ? of_unit : "/run";
        (void) snprintf(path, LINE_SIZE, "%s/%s.socket", folder, name);
}

/* A port of TCP, 0 if there is none in the string. */
static unsigned parse_port(const char *text) {
        char *end;
        unsigned long port;

        port = strtoul(text, &end, 10);
        return *end == 0 && port < 65536 ? (unsigned) port : 0;
}

int line_main(int argc, char *argv[], const char *name, const char *requests, int (*start)(void),
        line_handler handle) {
        char socket_path[LINE_SIZE];
        unsigned port = 0;
        bool serves;

        serves = argc > 1 && strcmp(argv[1], "serve") == 0;
        if (serves && argc > 2)
                port = parse_port(argv[2]);

        if (argc < 2 || (serves && argc > 2 && (port == 0 || argc > 3))) {
                fprintf(stderr, "usage: %s serve [PORT] | %s\n", name, requests);
                return 2;
        }

        find_socket(name, socket_path);
        if (!serves)
                return ask(socket_path, argc - 1, argv + 1);

        return start() < 0 ? EXIT_FAILURE : serve(socket_path, port, handle);
}

uint64_t digest_add(uint64_t digest, const void *data, size_t size) {
        const uint8_t *p = data;

        if (digest == 0)
                digest = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < size; i++)
                digest = (digest ^ p[i]) * UINT64_C(0x100000001b3);

        return digest;
}
