/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Runs a fuzzer's function once with each file of a folder, so that what fuzzing has found stays found where there is
 * no libFuzzer. Prints TAP.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static int run_file(const char *folder, const char *name) {
        static uint8_t buffer[1 << 20];
        char path[4096];
        uint8_t *exact;
        size_t size;
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        f = fopen(path, "re");
        if (!f) {
                perror(path);
                return -1;
        }
        size = fread(buffer, 1, sizeof(buffer), f);
        (void) fclose(f);

        /* In a buffer of exactly this size, for the address sanitizer */
        exact = malloc(size ? size : 1);
        if (!exact)
                return -1;
        memcpy(exact, buffer, size);
        (void) LLVMFuzzerTestOneInput(exact, size);
        free(exact);
        return 0;
}

int main(int argc, char *argv[]) {
        struct dirent **files;
        int n, n_run = 0, failed = 0;

        if (argc != 2) {
                fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
                return 2;
        }

        n = scandir(argv[1], &files, NULL, alphasort);
        if (n < 0) {
                perror(argv[1]);
                return 1;
        }

        for (int i = 0; i < n; i++) {
                if (files[i]->d_name[0] != '.') {
                        int r = run_file(argv[1], files[i]->d_name);

                        printf("%sok %i - %s\n", r < 0 ? "not " : "", ++n_run, files[i]->d_name);
                        fflush(stdout);
                        failed |= r < 0;
                }
                free(files[i]);
        }
        free(files);

        printf("1..%i\n", n_run);
        return failed || n_run == 0;
}
