/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * PID 1 of the Linux guest of "make demo-vm". Each round it finds its memory to be what it left there, changes all of
 * it, and says on the serial port what the guest knows of itself:
 *
 *   round N boot-id ID uptime SECONDS clock SECONDS longest MILLISECONDS memory MIB verified
 *
 * longest is the longest time between two rounds, by the guest's monotonic clock. With "CORRUPTED" in the place of
 * "verified" it ends.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#define MIB 32
#define WORDS ((size_t) MIB << 17)
#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

static double seconds(clockid_t clock) {
        struct timespec now = {};

        (void) clock_gettime(clock, &now);
        return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

int main(void) {
        double last = 0, longest = 0;
        uint64_t round = 0, *memory;
        const char *verdict;
        char boot_id[9] = "";
        FILE *serial;
        int fd;

        if (mount("none", "/dev", "devtmpfs", 0, NULL) < 0 || mount("none", "/proc", "proc", 0, NULL) < 0)
                return EXIT_FAILURE;
        serial = fopen("/dev/ttyS0", "w");
        fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        memory = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (!serial || fd < 0 || read(fd, boot_id, 8) != 8 || memory == MAP_FAILED)
                return EXIT_FAILURE;

        for (size_t i = 0; i < WORDS; i++)
                memory[i] = i * FACTOR;
        do {
                double now;

                verdict = "verified";
                for (size_t i = 0; i < WORDS; i++)
                        if (memory[i]++ != i * FACTOR + round)
                                verdict = "CORRUPTED";

                now = seconds(CLOCK_MONOTONIC);
                if (round++ > 0 && now - last > longest)
                        longest = now - last;
                last = now;
                fprintf(serial, "round %ju boot-id %s uptime %.1f clock %.1f longest %.0f memory %i %s\n",
                        (uintmax_t) round, boot_id, seconds(CLOCK_BOOTTIME), seconds(CLOCK_REALTIME),
                        longest * 1000, MIB, verdict);
                (void) fflush(serial);
        } while (strcmp(verdict, "verified") == 0);

        (void) reboot(RB_POWER_OFF);
        return EXIT_FAILURE;
}
