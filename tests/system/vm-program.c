/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* In the tiny machine: what check-luo-vm wants to see. The argument says how to end. */

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/reboot.h>
#include <sys/socket.h>

/* Tells whoever asks at TCP port 7 which boot this is, until somebody has got it and says so. */
static int answer(void) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(7) };
        const char *boot = getenv("LUO_BOOT");
        int fd;

        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 16) < 0)
                return 1;

        for (;;) {
                char word = 0;
                int client;

                client = accept(fd, NULL, NULL);
                if (client < 0)
                        continue;
                (void) send(client, boot, strlen(boot), MSG_NOSIGNAL);
                (void) shutdown(client, SHUT_WR);
                if (read(client, &word, 1) == 1)
                        return 0;
                (void) close(client);
        }
}

int main(int argc, char *argv[]) {
        const char *how = argc > 1 ? argv[1] : "";

        printf("boot %s arguments %i\n", getenv("LUO_BOOT"), argc - 1);
        fflush(stdout);

        if (strcmp(how, "fail") == 0)
                return 7;
        if (strcmp(how, "reset") == 0)
                (void) reboot(RB_AUTOBOOT);
        if (strcmp(how, "panic") == 0) {
                FILE *f = fopen("/proc/sysrq-trigger", "w");

                if (f) {
                        (void) fputs("c", f);
                        (void) fclose(f);
                }
        }
        if (strcmp(how, "off") == 0)
                (void) reboot(RB_POWER_OFF);
        if (strcmp(how, "answer") == 0)
                return answer();
        if (strcmp(how, "hang") == 0)
                for (;;)
                        pause();
        return 0;
}
