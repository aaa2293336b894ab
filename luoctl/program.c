/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "program.h"

/* Where execvp(3) looks without a PATH */
#define DEFAULT_PATH "/bin:/usr/bin"

static int check_executable(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EACCES;

        return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int search(const char *name, char **ret_path) {
        const char *folder = getenv("PATH"), *end;
        int error = -ENOENT;

        for (folder = folder ? folder : DEFAULT_PATH;; folder = end + 1) {
                char *path;
                int r;

                end = strchrnul(folder, ':');
                /* An empty one is the current folder */
                if (asprintf(&path, "%.*s/%s", end > folder ? (int) (end - folder) : 1,
                            end > folder ? folder : ".", name) < 0)
                        return -ENOMEM;

                r = check_executable(path);
                if (r >= 0) {
                        *ret_path = path;
                        return 0;
                }

                free(path);
                if (r == -EACCES)
                        error = r;
                if (!*end)
                        return error;
        }
}

int program_find(const char *name, char **ret_path) {
        char *path;
        int r;

        if (!strchr(name, '/'))
                return *name ? search(name, ret_path) : -ENOENT;

        r = check_executable(name);
        if (r < 0)
                return r;

        path = strdup(name);
        if (!path)
                return -ENOMEM;

        *ret_path = path;
        return 0;
}
