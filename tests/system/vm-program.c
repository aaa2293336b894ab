/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* In the tiny machine: what check-luo-vm wants to see. The argument says how to end. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/reboot.h>

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
        if (strcmp(how, "hang") == 0)
                for (;;)
                        pause();
        return 0;
}
