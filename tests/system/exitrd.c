/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What an initramfs leaves in /run/initramfs/shutdown to take the root file system apart, as far as a test needs it:
 * does the kexec, and knows nothing of LUO. Static, as there are no libraries where it runs.
 */

#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <linux/reboot.h>

int main(int argc, char *argv[]) {
        if (argc < 2 || strcmp(argv[1], "kexec") != 0) {
                fprintf(stderr, "exitrd: this is for a kexec only\n");
                return 1;
        }

        fprintf(stderr, "exitrd: kexec\n");
        sync();
        (void) reboot(LINUX_REBOOT_CMD_KEXEC);
        perror("exitrd: kexec");
        return 1;
}
