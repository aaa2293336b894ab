/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A message spool: accepts messages, and keeps each in a memfd of its own in the fd store until all are delivered. All
 * have the same name; what tells their order is the order of the fd store, which hands back the newest first.
 *
 *   luo-example-spool serve
 *   luo-example-spool push MESSAGE | list | deliver | status
 *
 * The unit needs FileDescriptorStoreMax=64 and FileDescriptorStorePreserve=yes.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include <systemd/sd-daemon.h>

#include "line-server.h"

#define MESSAGES_MAX 64
#define MESSAGE_SIZE 256

/* Oldest first */
static int message_fds[MESSAGES_MAX];
static size_t n_messages;

static int take_messages(void) {
        char **names = NULL;
        int n;

        n = sd_listen_fds_with_names(/* unset_environment= */ 1, &names);
        for (int i = n - 1; i >= 0; i--) {
                if (strcmp(names[i], "message") == 0 && n_messages < MESSAGES_MAX)
                        message_fds[n_messages++] = SD_LISTEN_FDS_START + i;
                free(names[i]);
        }
        free(names);
        return 0;
}

static int read_message(size_t i, char message[MESSAGE_SIZE]) {
        ssize_t n;

        n = pread(message_fds[i], message, MESSAGE_SIZE - 1, 0);
        if (n < 0)
                return -errno;

        message[n] = 0;
        return 0;
}

static int push(const char *message) {
        int fd;

        if (n_messages >= MESSAGES_MAX)
                return -ENOSPC;

        fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;

        if (write(fd, message, strlen(message)) != (ssize_t) strlen(message) ||
                fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ||
                sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=message", &fd, 1) <= 0 ||
                sd_notify_barrier(0, UINT64_C(5000000)) <= 0) {
                (void) close(fd);
                return -EIO;
        }

        message_fds[n_messages++] = fd;
        return 0;
}

static void handle(char *request, char *answer, size_t answer_size) {
        char message[MESSAGE_SIZE], *verb;
        uint64_t digest = 0, bytes = 0;

        verb = strsep(&request, " ");

        if (strcmp(verb, "push") == 0) {
                if (!request || !*request || strlen(request) >= MESSAGE_SIZE)
                        (void) snprintf(answer, answer_size, "error: a message of 1 to %i bytes is needed",
                                MESSAGE_SIZE - 1);
                else {
                        int r = push(request);

                        (void) snprintf(answer, answer_size, "%s%s", r < 0 ? "error: " : "ok",
                                r < 0 ? strerror(-r) : "");
                }
        } else if (strcmp(verb, "list") == 0 || strcmp(verb, "status") == 0) {
                for (size_t i = 0; i < n_messages; i++) {
                        if (read_message(i, message) < 0) {
                                (void) snprintf(answer, answer_size, "error: message %zu cannot be read", i);
                                return;
                        }
                        /* The NUL is part of it, as a separator */
                        digest = digest_add(digest, message, strlen(message) + 1);
                        bytes += strlen(message);
                        if (strcmp(verb, "list") == 0 && strlen(answer) + strlen(message) + 2 < answer_size) {
                                strcat(answer, message);
                                strcat(answer, ";");
                        }
                }
                if (strcmp(verb, "status") == 0)
                        (void) snprintf(answer, answer_size,
                                "fds=%zu bytes=%" PRIu64 " digest=%016" PRIx64 " content=%zu-messages",
                                n_messages, bytes, digest, n_messages);
        } else if (strcmp(verb, "deliver") == 0) {
                (void) snprintf(answer, answer_size, "ok: %zu messages", n_messages);
                (void) sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=message");
                while (n_messages > 0)
                        (void) close(message_fds[--n_messages]);
        } else
                (void) snprintf(answer, answer_size, "error: unknown request");
}

int main(int argc, char *argv[]) {
        return line_main(argc, argv, "luo-example-spool", "push MESSAGE | list | deliver | status",
                take_messages, handle);
}
