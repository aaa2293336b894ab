/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "internal.h"
#include "listen-stream.h"

struct address {
        union {
                struct sockaddr any;
                struct sockaddr_un un;
                struct sockaddr_storage storage;
        };
        socklen_t size;
};

static int parse_unix(const char *text, struct address *ret) {
        size_t n = strlen(text);

        if (n < 2)
                return -EINVAL;
        if (n >= sizeof(ret->un.sun_path))
                return -ENAMETOOLONG;

        ret->un.sun_family = AF_UNIX;
        memcpy(ret->un.sun_path, text, n);
        /* An abstract name begins with a NUL and ends with the address; a path ends with a NUL */
        if (text[0] == '@')
                ret->un.sun_path[0] = 0;
        ret->size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n + (text[0] == '/'));
        return 0;
}

static int parse_internet(const char *text, struct address *ret) {
        static const struct addrinfo hints = {
                .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                .ai_socktype = SOCK_STREAM,
        };
        char host[64] = "::"; /* as systemd: IPv4 comes in by it, too */
        const char *port = strrchr(text, ':'), *start = text, *end = port;
        struct addrinfo *found;

        if (!port)
                port = text;
        else {
                port++;
                if (*start == '[') {
                        start++;
                        end--;
                        if (end <= start || *end != ']')
                                return -EINVAL;
                }
                if (end <= start || (size_t) (end - start) >= sizeof(host))
                        return -EINVAL;
                memcpy(host, start, (size_t) (end - start));
                host[end - start] = 0;
        }

        if (strspn(port, "0123456789") != strlen(port) || !*port || strlen(port) > 5 || atoi(port) > 65535)
                return -EINVAL;
        if (getaddrinfo(host, port, &hints, &found) != 0)
                return -EINVAL;

        memcpy(&ret->storage, found->ai_addr, found->ai_addrlen);
        ret->size = found->ai_addrlen;
        freeaddrinfo(found);
        return 0;
}

static int parse(const char *text, struct address *ret) {
        *ret = (struct address) {};
        return text[0] == '/' || text[0] == '@' ? parse_unix(text, ret) : parse_internet(text, ret);
}

int listen_stream_check(const char *text) {
        struct address address;

        return parse(text, &address);
}

int listen_stream_open(const char *text) {
        struct address address;
        int fd, r;

        r = parse(text, &address);
        if (r < 0)
                return r;

        fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;

        /* What a previous boot had open is no hindrance; and whoever may get there may connect, as with systemd */
        if ((address.any.sa_family != AF_UNIX &&
                    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int) { 1 }, sizeof(int)) < 0) ||
                bind(fd, &address.any, address.size) < 0 || (text[0] == '/' && chmod(text, 0666) < 0) ||
                listen(fd, SOMAXCONN) < 0) {
                r = -errno;
                close_fd(fd);
                return r;
        }

        return fd;
}

void listen_stream_close(const char *text, int fd) {
        if (text[0] == '/')
                (void) unlink(text);
        close_fd(fd);
}
