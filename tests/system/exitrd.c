/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What an initramfs leaves in /run/initramfs/shutdown to take the root file system apart, as far as a test needs it:
 * does the kexec, or brings the kernel down where there is a file /panic, and knows nothing of LUO. Like a
 * systemd-shutdown in its place it closes all file descriptors but those it is told of, and leaves these alone. Static,
 * as there are no libraries where it runs.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/reboot.h>

#include <linux/reboot.h>

enum { FDS_MAX = 65536 };

/* "fd":NUMBER, each time it is in the memfd of $SYSTEMD_LUO_SERIALIZE_FD */
static void close_others(void) {
        static bool keep[FDS_MAX];
        static char text[1 << 20];
        const char *number = getenv("SYSTEMD_LUO_SERIALIZE_FD");
        ssize_t n = number ? pread(atoi(number), text, sizeof(text) - 1, 0) : 0;

        if (n < 0) {
                perror("exitrd: cannot read what it is told");
                return;
        }
        text[n] = 0;
        for (const char *p = text; (p = strstr(p, "\"fd\":")); p++) {
                long fd = strtol(p + strlen("\"fd\":"), NULL, 10);

                if (fd >= 0 && fd < FDS_MAX)
                        keep[fd] = true;
        }

        for (int fd = STDERR_FILENO + 1; fd < FDS_MAX; fd++)
                if (!keep[fd])
                        (void) close(fd);
}

int main(int argc, char *argv[]) {
        if (argc < 2 || strcmp(argv[1], "kexec") != 0) {
                fprintf(stderr, "exitrd: this is for a kexec only\n");
                return 1;
        }

        /* The end of the first process is a panic of the kernel. */
        if (access("/panic", F_OK) == 0) {
                fprintf(stderr, "exitrd: panic\n");
                return 1;
        }

        /* Whatever was handed on must leave room: a program that is linked dynamically would not even start. */
        if (dup(STDERR_FILENO) < 0) {
                perror("exitrd: no file can be opened");
                return 1;
        }

        close_others();
        fprintf(stderr, "exitrd: kexec\n");
        sync();
        (void) reboot(LINUX_REBOOT_CMD_KEXEC);
        perror("exitrd: kexec");
        return 1;
}
