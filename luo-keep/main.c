/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "internal.h"
#include "keep.h"
#include "program.h"
#include "standard-fds.h"

/* How long the service manager may take: as long as it gives a start by default (DefaultTimeoutStartSec=) */
#define BARRIER_USEC (90 * USEC_PER_SEC)

int fail(const char *format, ...) {
        va_list arguments;

        fprintf(stderr, "luo-keep: ");
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fprintf(stderr, ".\n");
        return EXIT_NOT_KEPT;
}

int fail_store(const char *name, int error) {
        return fail("\"%s\" in the fd store: %s", name, libluo_strerror(error));
}

char *path_with(const char *path, const char *ending) {
        char *result;

        if (asprintf(&result, "%s%s", path, ending) >= 0)
                return result;

        (void) fail("%s", strerror(ENOMEM));
        return NULL;
}

int ask_room(size_t n) {
        int r;

        if (n == 0)
                return 0;

        r = libluo_internal_notify_ask_room(n);
        if (r == -ENOBUFS)
                return fail(
                        "the service manager does not take %zu more: FileDescriptorStoreMax= of the unit is too low, "
                        "or NotifyAccess= does not let luo-keep store",
                        n);
        return r < 0 ? fail("the fd store: %s", libluo_strerror(r)) : 0;
}

int move_into_place(const char *new_path, const char *path) {
        int r;

        if (rename(new_path, path) >= 0)
                return 0;

        r = fail("cannot make %s: %s", path, strerror(errno));
        (void) unlink(new_path);
        return r;
}

/* ------------------------------------------------------------------------------------------- the command line ---- */

static void help(void) {
        printf("luo-keep [OPTION...] [--] PROGRAM [ARGUMENT...]\n"
               "luo-keep --save --file=[NAME=]PATH...\n\n"
               "Become a program whose memory and files are kept in the service manager's fd store.\n\n"
               "Options:\n"
               "  -h --help              Show this help\n"
               "     --version           Show the version\n"
               "     --memory=NAME=PATH[:SIZE]\n"
               "                         A file of memory for the program, at PATH, of SIZE bytes\n"
               "                         (with K, M, G or T) or more\n"
               "     --file=[NAME=]PATH  A file that the program leaves at PATH when it ends\n"
               "     --accept-missing    Start the program though a part of what belongs together is\n"
               "                         missing, as it is new or was lost\n"
               "     --save              As ExecStopPost=: take the files that the program has left\n\n"
               "See the luo-keep(1) man page for details.\n");
}

static int usage_error(const char *option, const char *value, const char *reason) {
        return fail("%s=%s: %s. Try \"luo-keep --help\"", option, value, reason);
}

static bool parse_size(const char *text, uint64_t *ret) {
        static const char units[] = "KMGT";
        const char *unit;
        uint64_t value;
        char *end;

        if (*text < '0' || *text > '9')
                return false;

        errno = 0;
        value = strtoull(text, &end, 10);
        unit = *end ? strchr(units, *end) : NULL;
        if (errno != 0 || value == 0 || (*end && (!unit || end[1])))
                return false;
        if (unit && __builtin_mul_overflow(value, UINT64_C(1) << (10 * (unit - units + 1)), &value))
                return false;

        *ret = value;
        return value <= INT64_MAX;
}

/* What systemd and libluo take for a name of an entry. */
static bool name_is_valid(const char *name) {
        for (const char *p = name; *p; p++)
                if (*p < ' ' || *p > '~' || *p == ':' || *p == '~')
                        return false;

        return *name && strlen(name) <= LIBLUO_STORE_NAME_MAX;
}

static bool is_given(const struct arguments *arguments, const char *name, const char *path) {
        for (size_t i = 0; i < arguments->n_memories; i++)
                if (strcmp(arguments->memories[i].name, name) == 0 ||
                        strcmp(arguments->memories[i].path, path) == 0)
                        return true;
        for (size_t i = 0; i < arguments->n_files; i++)
                if (strcmp(arguments->files[i].name, name) == 0 ||
                        strcmp(arguments->files[i].path, path) == 0)
                        return true;

        return false;
}

/* One that is that of a file, and that no other way of writing it would hide from is_given() */
static bool path_is_plain(const char *path) {
        if (*path != '/')
                return false;

        for (; path; path = strchr(path, '/')) {
                size_t length = strcspn(++path, "/");

                if (length == 0 || (length == 1 && path[0] == '.') ||
                        (length == 2 && path[0] == '.' && path[1] == '.'))
                        return false;
        }

        return true;
}

/* One that luo-keep gives to what it has beside another path: it would remove or replace what is there. */
static bool path_is_taken(const char *path) {
        static const char *const endings[] = { ".luo-keep", ".before" };

        for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
                if (strlen(path) >= strlen(endings[i]) &&
                        strcmp(path + strlen(path) - strlen(endings[i]), endings[i]) == 0)
                        return true;

        return false;
}

/* What is wrong with them, or NULL. */
static const char *check_names(const struct arguments *arguments, const char *name, const char *path) {
        if (!name_is_valid(name))
                return "the name has to be printable ASCII without \":\" and \"~\", of 1 to 238 bytes";
        if (!path_is_plain(path))
                return "the path has to be absolute, without \"//\", \".\" and \"..\", and that of a file";
        if (path_is_taken(path))
                return "paths that end in \".luo-keep\" or \".before\" are luo-keep's own";
        if (is_given(arguments, name, path))
                return "the name or the path was given before";
        return NULL;
}

/* The value is changed: it is split into its parts. */
static int add_memory(struct arguments *arguments, char *value) {
        struct memory memory = { .name = value, .fd = -1 }, *larger;
        char *whole = strdup(value), *separator;
        const char *reason = NULL;
        int r = 0;

        separator = strchr(value, '=');
        if (separator) {
                *separator = 0;
                memory.path = separator + 1;
                separator = strrchr(separator + 1, ':');
        } else
                reason = "not NAME=PATH or NAME=PATH:SIZE";
        if (separator) {
                *separator = 0;
                if (!parse_size(separator + 1, &memory.size))
                        reason = "what follows the last \":\" is not a size, as \"4096\" or \"1G\"";
        }
        if (!reason)
                reason = check_names(arguments, memory.name, memory.path);
        if (reason) {
                r = usage_error("--memory", whole ? whole : value, reason);
                goto finish;
        }

        larger = reallocarray(arguments->memories, arguments->n_memories + 1, sizeof(memory));
        if (!larger) {
                r = fail("%s", strerror(ENOMEM));
                goto finish;
        }
        arguments->memories = larger;
        larger[arguments->n_memories++] = memory;

finish:
        free(whole);
        return r;
}

static int add_file(struct arguments *arguments, char *value) {
        struct file file = { .name = value, .path = value }, *larger;
        char *whole = strdup(value), *separator;
        const char *reason;
        int r = 0;

        separator = value[0] == '/' ? NULL : strchr(value, '=');
        if (separator) {
                *separator = 0;
                file.path = separator + 1;
        }
        reason = check_names(arguments, file.name, file.path);
        if (reason) {
                r = usage_error("--file", whole ? whole : value, reason);
                goto finish;
        }

        larger = reallocarray(arguments->files, arguments->n_files + 1, sizeof(file));
        if (!larger) {
                r = fail("%s", strerror(ENOMEM));
                goto finish;
        }
        arguments->files = larger;
        larger[arguments->n_files++] = file;

finish:
        free(whole);
        return r;
}

/* Returns -1 to go on, or the exit status. */
static int parse_arguments(int argc, char *argv[], struct arguments *arguments) {
        enum {
                ARG_VERSION = 0x100,
                ARG_MEMORY,
                ARG_FILE,
                ARG_ACCEPT_MISSING,
                ARG_SAVE,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "memory", required_argument, NULL, ARG_MEMORY },
                { "file", required_argument, NULL, ARG_FILE },
                { "accept-missing", no_argument, NULL, ARG_ACCEPT_MISSING },
                { "save", no_argument, NULL, ARG_SAVE },
                {},
        };
        int c, r;

        /* "+": options behind the program are the program's */
        while ((c = getopt_long(argc, argv, "+h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return EXIT_SUCCESS;
                case ARG_VERSION:
                        printf("luo-keep %s\n", libluo_version());
                        return EXIT_SUCCESS;
                case ARG_MEMORY:
                        r = add_memory(arguments, optarg);
                        if (r != 0)
                                return r;
                        break;
                case ARG_FILE:
                        r = add_file(arguments, optarg);
                        if (r != 0)
                                return r;
                        break;
                case ARG_ACCEPT_MISSING:
                        arguments->accept_missing = true;
                        break;
                case ARG_SAVE:
                        arguments->save = true;
                        break;
                default:
                        fprintf(stderr, "Try \"luo-keep --help\".\n");
                        return EXIT_NOT_KEPT;
                }

        arguments->program = argv + optind;
        if (arguments->save &&
                (optind < argc || arguments->n_memories > 0 || arguments->n_files == 0 ||
                        arguments->accept_missing))
                return fail("--save goes with --file alone. Try \"luo-keep --help\"");
        if (!arguments->save && optind >= argc)
                return fail("PROGRAM is missing. Try \"luo-keep --help\"");
        if (!arguments->save && arguments->n_memories + arguments->n_files == 0)
                return fail(
                        "there is nothing to keep: --memory and --file are missing. Try \"luo-keep --help\"");
        return -1;
}

/*
 * For root no folder on the way may be another user's to change: whoever can could have it write elsewhere, and what is
 * written is what a process of the service has stored. On the way a sticky one will do, but not as the last one: there
 * others could put a file and its mark, which --save would take for the program's. Who has "/" has all, be it not root
 * (user namespaces).
 */
static int check_folders(const char *path) {
        uid_t owner = 0;
        int r = 0;

        if (geteuid() != 0)
                return 0;

        for (const char *end = path; end && r == 0; end = strchr(end + 1, '/')) {
                char *folder = strndup(path, end == path ? 1 : (size_t) (end - path));
                struct stat st;

                if (!folder)
                        return fail("%s", strerror(ENOMEM));
                if (lstat(folder, &st) < 0)
                        r = fail("%s: %s", folder, strerror(errno));
                else {
                        if (end == path)
                                owner = st.st_uid;
                        if (!S_ISDIR(st.st_mode) || (st.st_uid != 0 && st.st_uid != owner) ||
                                ((st.st_mode & 022) && !(st.st_mode & S_ISVTX && strchr(end + 1, '/'))))
                                r = fail("%s: for root it has to be in folders that root alone can "
                                         "change, and %s is none",
                                        path, folder);
                }
                free(folder);
        }

        return r;
}

static int check_paths(const struct arguments *arguments) {
        int r = 0;

        for (size_t i = 0; i < arguments->n_memories && r == 0; i++)
                r = check_folders(arguments->memories[i].path);
        for (size_t i = 0; i < arguments->n_files && r == 0; i++)
                r = check_folders(arguments->files[i].path);
        return r;
}

/* ------------------------------------------------------------------------------------------------ --save ---- */

static int barrier(const libluo_store *store) {
        int r;

        r = libluo_store_barrier(store, BARRIER_USEC);
        return r < 0 ? fail("the service manager: %s", libluo_strerror(r)) : 0;
}

/*
 * The program has ended, in whatever way. What it has left moves into the store: there is one place at a time for it,
 * so that what was dropped there cannot come back from its path.
 */
static int save(const struct arguments *arguments, libluo_store *store) {
        int status = EXIT_SUCCESS, r;
        bool *saved;

        if (!getenv("NOTIFY_SOCKET"))
                return getenv("INVOCATION_ID")
                        ? fail("there is no $NOTIFY_SOCKET: the unit needs NotifyAccess=exec")
                        : fail("%s", libluo_strerror(-ENOTCONN));

        saved = calloc(arguments->n_files, sizeof(bool));
        if (!saved)
                return fail("%s", strerror(ENOMEM));

        for (size_t i = 0; i < arguments->n_files; i++) {
                r = file_save(store, &arguments->files[i], &saved[i]);
                if (r != 0)
                        status = r;
        }

        r = barrier(store);
        if (r != 0)
                status = r;
        for (size_t i = 0; i < arguments->n_files && r == 0; i++)
                if (saved[i] && file_drop(&arguments->files[i]) != 0)
                        status = EXIT_NOT_KEPT;

        free(saved);
        return status;
}

/* ------------------------------------------------------------------------------------------- the program ---- */

static int cannot_run(const char *program, int error) {
        (void) fail("cannot run %s: %s", program, strerror(-error));
        return error == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

/*
 * What one program has belongs together: a part of another time, or none, is worse for it than nothing. A start that
 * was ended leaves some parts, too, but nothing in them.
 */
static int check_missing(const struct arguments *arguments) {
        const char *missing = NULL, *there = NULL;

        for (size_t i = 0; i < arguments->n_memories; i++) {
                const struct memory *memory = &arguments->memories[i];

                if (memory->fd < 0 && !missing)
                        missing = memory->name;
                if (memory_is_used(memory))
                        there = memory->name;
        }
        for (size_t i = 0; i < arguments->n_files; i++) {
                const struct file *file = &arguments->files[i];

                if (!file->has_place && !file->is_at_path && !missing)
                        missing = file->name;
                if (file->is_stored)
                        there = file->name;
        }
        if (!missing || !there)
                return 0;
        if (!arguments->accept_missing)
                return fail(
                        "\"%s\" is not in the fd store, and \"%s\" is: it was lost, in a kexec perhaps, or is new. "
                        "--accept-missing starts the program without it",
                        missing, there);

        fprintf(stderr,
                "luo-keep: \"%s\" is not in the fd store, and \"%s\" is: it was lost, in a kexec perhaps, or is "
                "new. The program starts without it.\n",
                missing, there);
        return 0;
}

/* Looks before anything is changed. */
static int check(const struct arguments *arguments, const libluo_store *store) {
        int r;

        r = pass_check();
        for (size_t i = 0; i < arguments->n_memories && r == 0; i++)
                r = memory_check(store, &arguments->memories[i]);
        for (size_t i = 0; i < arguments->n_files && r == 0; i++)
                r = file_check(store, &arguments->files[i]);
        return r == 0 ? check_missing(arguments) : r;
}

/* Makes a place for all that has none. It is asked for at once, as the service manager takes its time to answer. */
static int reserve(const struct arguments *arguments, libluo_store *store) {
        size_t n = 0;
        int r;

        for (size_t i = 0; i < arguments->n_memories; i++)
                n += arguments->memories[i].fd < 0;
        for (size_t i = 0; i < arguments->n_files; i++)
                n += !arguments->files[i].has_place;

        r = ask_room(n);
        for (size_t i = 0; i < arguments->n_memories && r == 0; i++)
                r = memory_reserve(store, &arguments->memories[i]);
        for (size_t i = 0; i < arguments->n_files && r == 0; i++)
                r = file_reserve(store, &arguments->files[i]);
        return r == 0 ? barrier(store) : r;
}

/*
 * A file leaves the store when all files are at their paths, and right before the program begins: whatever goes wrong
 * before that has lost nothing. The mark is for --save, which also runs when a start went wrong, and is not told how
 * far it came: what somebody else has at the path must not replace what is stored.
 */
static int provide(const struct arguments *arguments, const struct passed *passed, libluo_store *store) {
        int r;

        r = reserve(arguments, store);
        for (size_t i = 0; i < arguments->n_memories && r == 0; i++)
                r = memory_provide(&arguments->memories[i]);
        for (size_t i = 0; i < arguments->n_memories && r == 0; i++)
                r = memory_link(&arguments->memories[i], FIRST_PASSED_FD + (int) passed->n + (int) i);
        for (size_t i = 0; i < arguments->n_files && r == 0; i++)
                r = file_restore(store, &arguments->files[i]);
        for (size_t i = 0; i < arguments->n_files && r == 0; i++)
                r = file_mark(&arguments->files[i]);
        for (size_t i = 0; i < arguments->n_files && r == 0; i++)
                r = file_release(store, &arguments->files[i]);
        return r == 0 ? reserve(arguments, store) : r;
}

static int become_program(
        const struct arguments *arguments, const struct passed *passed, libluo_store *store) {
        struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
        char *path;
        int r;

        r = program_find(arguments->program[0], &path);
        if (r < 0)
                return cannot_run(arguments->program[0], r);

        /* A limit of file sizes is an error here, and not the end */
        (void) sigaction(SIGXFSZ, &ignore, &before);
        r = check(arguments, store);
        if (r == 0)
                r = provide(arguments, passed, store);
        if (r == 0)
                r = pass_on(arguments, passed);
        (void) sigaction(SIGXFSZ, &before, NULL);
        if (r == 0) {
                /* Not execv(2), which has no shell for scripts without "#!" */
                (void) execvp(path, arguments->program);
                r = cannot_run(path, -errno);
        }

        free(path);
        return r;
}

int main(int argc, char *argv[]) {
        struct arguments arguments = {};
        struct passed passed = {};
        libluo_store *store;
        int status, r;

        status = parse_arguments(argc, argv, &arguments);
        if (status == EXIT_SUCCESS && (fflush(stdout) != 0 || ferror(stdout)))
                status = fail("cannot write: %s", strerror(errno));
        if (status >= 0)
                goto finish;

        r = occupy_standard_fds();
        if (r < 0) {
                status = fail("cannot open /dev/null: %s", strerror(-r));
                goto finish;
        }

        status = check_paths(&arguments);
        if (status != 0)
                goto finish;

        if (!arguments.save)
                status = pass_take(&arguments, &passed);
        if (status != 0)
                goto finish;

        /* systemd before 254 says to nobody how much room there is: ask_room() finds out */
        r = libluo_store_open(LIBLUO_STORE_KEEP_ENVIRONMENT | LIBLUO_STORE_ANY_ROOM, &store);
        if (r < 0) {
                status = fail("the fd store: %s", libluo_strerror(r));
                goto finish;
        }

        status = arguments.save ? save(&arguments, store) : become_program(&arguments, &passed, store);
        libluo_store_free(store);

finish:
        pass_done(&passed);
        free(arguments.memories);
        free(arguments.files);
        return status;
}
