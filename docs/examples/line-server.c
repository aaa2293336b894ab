/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
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

static int serve(const char *socket_path, line_handler handle) {
        struct sigaction action = { .sa_handler = on_signal };
        struct sockaddr_un address;
        int fd;

        /* Without SA_RESTART: accept(2) has to return */
        (void) sigaction(SIGTERM, &action, NULL);
        (void) signal(SIGPIPE, SIG_IGN);

        if (make_address(socket_path, &address) < 0)
                return EXIT_FAILURE;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void) unlink(socket_path);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
                listen(fd, SOMAXCONN) < 0) {
                fprintf(stderr, "%s: %s\n", socket_path, strerror(errno));
                return EXIT_FAILURE;
        }

        (void) libluo_notify("READY=1");

        while (!stop_requested) {
                char request[LINE_SIZE], answer[LINE_SIZE] = "";
                int client;

                client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
                if (client < 0)
                        continue;

                if (read_line(client, request) >= 0) {
                        handle(request, answer, sizeof(answer) - 1);
                        strcat(answer, "\n");
                        (void) send(client, answer, strlen(answer), MSG_NOSIGNAL);
                }
                (void) close(client);
        }

        (void) close(fd);
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

int line_main(int argc, char *argv[], const char *name, const char *requests, int (*start)(void),
        line_handler handle) {
        const char *folder = getenv("RUNTIME_DIRECTORY");
        char socket_path[LINE_SIZE];

        if (argc < 2) {
                fprintf(stderr, "usage: %s serve | %s\n", name, requests);
                return 2;
        }

        (void) snprintf(socket_path, sizeof(socket_path), "%s/%s.socket", folder ? folder : "/run", name);

        if (strcmp(argv[1], "serve") != 0)
                return ask(socket_path, argc - 1, argv + 1);

        return start() < 0 ? EXIT_FAILURE : serve(socket_path, handle);
}

uint64_t digest_add(uint64_t digest, const void *data, size_t size) {
        const uint8_t *p = data;

        if (digest == 0)
                digest = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < size; i++)
                digest = (digest ^ p[i]) * UINT64_C(0x100000001b3);

        return digest;
}
