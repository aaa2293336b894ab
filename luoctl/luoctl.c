/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libluo.h>

#include "luoctl.h"
#include "standard-fds.h"

/* Options by bit, so that a command can say which ones have a meaning for it */
enum {
        OPTION_HELP = 1 << 0,
        OPTION_VERSION = 1 << 1,
        OPTION_JSON = 1 << 2,
        OPTION_NO_LEGEND = 1 << 3,
        OPTION_ALL = 1 << 4,
        OPTION_PROCESS = 1 << 5,
        OPTION_SESSION = 1 << 6,
        OPTION_FD = 1 << 7,
        OPTION_MEMFD = 1 << 8,
        OPTION_OUTPUT = 1 << 9,
        OPTION_AGAIN = 1 << 10,
        OPTION_ROOT = 1 << 11,
        OPTION_QUIET = 1 << 12,
        OPTION_CHANGE_OWNER = 1 << 13,
        OPTION_KERNEL = 1 << 14,
        OPTION_BOOT = 1 << 15,
        OPTION_DIRECTORY = 1 << 16,
        OPTION_SVG = 1 << 17,
};

static const struct {
        int bit;
        const char *name;
        const char *value; /* NULL: it takes none */
        const char *help;
} options[] = {
        { OPTION_HELP, "help", NULL, "Show this help (-h)" },
        { OPTION_VERSION, "version", NULL, "Show the version" },
        { OPTION_JSON, "json", NULL, "Print JSON" },
        { OPTION_SVG, "svg", NULL, "Print a picture, as SVG" },
        { OPTION_NO_LEGEND, "no-legend", NULL, "Print neither column headers nor a summary" },
        { OPTION_ALL, "all", NULL, "Also what is lost by design, see luoctl(1) (-a)" },
        { OPTION_PROCESS, "process", "PID", "The file descriptors of a process instead" },
        { OPTION_KERNEL, "kernel", "FILE",
                "Whether this kernel understands what the running one hands over" },
        { OPTION_SESSION, "session", "FD", "The session's file descriptor (3)" },
        { OPTION_FD, "fd", "FD", "This file descriptor instead of FILE" },
        { OPTION_MEMFD, "memfd", NULL, "Preserve a copy of the content, in a new memfd" },
        { OPTION_AGAIN, "again", NULL, "They were taken before, perhaps by another program" },
        { OPTION_CHANGE_OWNER, "change-owner", NULL, "Make files your own whose owner cannot be restored" },
        { OPTION_OUTPUT, "output", "FILE", "Write to FILE instead of stdout (-o)" },
        { OPTION_QUIET, "quiet", NULL, "Say nothing if nothing is stored, the exit status is 7 (-q)" },
        { OPTION_BOOT, "boot", "BOOT", "The kexec that led to this boot: an id, or 0, -1 and so on" },
        { OPTION_DIRECTORY, "directory", "FOLDER", "Read journal files in FOLDER instead (-D)" },
        { OPTION_ROOT, "root", "FOLDER", "Look at a system below FOLDER instead" },
};

/* A name of two words is a command of a group. */
static const struct command {
        const char *name;
        const char *operands;
        const char *help;
        int options;
        size_t min_operands, max_operands;
        bool runs_program;
        int (*run)(const struct arguments *arguments);
} commands[] = {
        { "status", "", "Show whether this kernel can keep file descriptors over a kexec", OPTION_JSON, 0, 0,
                false, command_status },
        { "list", "[UNIT...]", "List what is in the fd stores of all or these units",
                OPTION_JSON | OPTION_NO_LEGEND, 0, SIZE_MAX, false, command_list },
        { "show", "UNIT", "Show the fd store of a unit, and its settings", OPTION_JSON | OPTION_NO_LEGEND, 1,
                1, false, command_show },
        { "check", "[UNIT...]", "Tell what would survive a kexec, and what would not and why",
                OPTION_JSON | OPTION_NO_LEGEND | OPTION_ALL | OPTION_PROCESS | OPTION_KERNEL | OPTION_ROOT, 0,
                SIZE_MAX, false, command_check },
        { "timeline", "[UNIT...]", "Show what took how long over the last kexec, and who was away when",
                OPTION_JSON | OPTION_SVG | OPTION_NO_LEGEND | OPTION_BOOT | OPTION_DIRECTORY | OPTION_ROOT, 0,
                SIZE_MAX, false, command_timeline },
        { "dump", "FILE", "Show the index of a bundle, or systemd's map (-: stdin)",
                OPTION_JSON | OPTION_NO_LEGEND, 1, 1, false, command_dump },
        { "store put", "NAME [FILE]", "In a service: keep a copy of a file in its fd store (-: stdin)",
                OPTION_FD, 1, 2, false, command_store_put },
        { "store get", "NAME", "In a service: write the content of what was kept to stdout",
                OPTION_OUTPUT | OPTION_QUIET, 1, 1, false, command_store_get },
        { "store list", "", "In a service: list what it was given of its fd store",
                OPTION_JSON | OPTION_NO_LEGEND, 0, 0, false, command_store_list },
        { "store path", "NAME", "In a service: show a path that opens what was kept", OPTION_QUIET, 1, 1,
                false, command_store_path },
        { "store remove", "NAME", "In a service: remove something from its fd store", 0, 1, 1, false,
                command_store_remove },
        { "bundle create", "NAME ENTRY=FILE... -- PROGRAM...",
                "Run a program with a new bundle of these files", OPTION_MEMFD, 1, SIZE_MAX, true,
                command_bundle_create },
        { "bundle list", "", "List the entries of the bundle in an incoming session",
                OPTION_SESSION | OPTION_JSON | OPTION_NO_LEGEND, 0, 0, false, command_bundle_list },
        { "bundle take", "[ENTRY...] -- PROGRAM...", "Run a program with the files of a bundle, as they were",
                OPTION_SESSION | OPTION_AGAIN | OPTION_CHANGE_OWNER, 0, SIZE_MAX, true, command_bundle_take },
        { "session create", "NAME -- PROGRAM...", "Run a program with a new, outgoing session", 0, 1, 1, true,
                command_session_create },
        { "session retrieve", "NAME -- PROGRAM...", "Run a program with a session of the previous system", 0,
                1, 1, true, command_session_retrieve },
        { "session open", "NAME -- PROGRAM...", "In a service: run a program with its sessions of this name",
                0, 1, 1, true, command_session_open },
        { "session preserve", "TOKEN [FILE]", "Put a file into an outgoing session (-: stdin)",
                OPTION_SESSION | OPTION_FD | OPTION_MEMFD, 1, 2, false, command_session_preserve },
        { "session get", "TOKEN", "Write the content of a file in an incoming session to stdout",
                OPTION_SESSION | OPTION_OUTPUT, 1, 1, false, command_session_get },
        { "session finish", "", "End an incoming session", OPTION_SESSION, 0, 0, false,
                command_session_finish },
        { "session name", "", "Show the name of a session", OPTION_SESSION | OPTION_JSON, 0, 0, false,
                command_session_name },
        { "hand-over mark", "", "Before a kexec: note down on disk what is to survive it", OPTION_ROOT, 0, 0,
                false, command_hand_over_mark },
        { "hand-over check", "", "After it: tell what of that did not survive, and why", OPTION_ROOT, 0, 0,
                false, command_hand_over_check },
};

/* For messages; NULL as long as it is not known */
static const struct command *current_command;

int exit_status(int error) {
        switch (error) {
        case 0:
                return EXIT_SUCCESS;
        case -ENODEV:
                return EXIT_NOT_AVAILABLE;
        case -EBUSY:
                return EXIT_BUSY;
        case -ENOENT:
        case -ESRCH:
                return EXIT_NOT_FOUND;
        default:
                return EXIT_FAILURE;
        }
}

static void complain(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));

static void complain(const char *format, va_list ap) {
        (void) fflush(stdout); /* what was printed before comes before, if both go to one place */
        fputs("luoctl: ", stderr);
        (void) vfprintf(stderr, format, ap);
}

int fail(int error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        complain(format, ap);
        va_end(ap);
        fputs(".\n", stderr);

        return exit_status(error);
}

int usage_error(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        complain(format, ap);
        va_end(ap);
        fprintf(stderr, ". Try \"luoctl %s%s--help\".\n", current_command ? current_command->name : "",
                current_command ? " " : "");

        return EXIT_USAGE;
}

bool parse_number(const char *text, uint64_t maximum, uint64_t *ret) {
        unsigned long long value;
        bool hexadecimal;
        char *end;

        /* strtoull(3) takes signs and white space as well */
        if (*text < '0' || *text > '9')
                return false;

        hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
        errno = 0;
        value = strtoull(text, &end, hexadecimal ? 16 : 10);
        if (errno != 0 || *end != 0 || value > maximum)
                return false;

        *ret = value;
        return true;
}

static void print_options(int bits) {
        printf("Options:\n");
        for (size_t i = 0; i < ELEMENTS(options); i++)
                if (bits & options[i].bit) {
                        char text[32];

                        (void) snprintf(text, sizeof(text), "--%s%s%s", options[i].name,
                                options[i].value ? "=" : "", options[i].value ? options[i].value : "");
                        printf("  %-15s %s\n", text, options[i].help);
                }
}

/* Whether the name is that of a group, and of which commands */
static bool is_in_group(const struct command *command, const char *group) {
        size_t length = strlen(group);

        return strncmp(command->name, group, length) == 0 && command->name[length] == ' ';
}

static bool is_group(const char *name) {
        for (size_t i = 0; i < ELEMENTS(commands); i++)
                if (is_in_group(commands + i, name))
                        return true;

        return false;
}

/* Those of a group, or all if it is NULL */
static void print_commands(const char *group) {
        printf("Commands:\n");
        for (size_t i = 0; i < ELEMENTS(commands); i++) {
                char text[64];

                if (group && !is_in_group(commands + i, group))
                        continue;
                (void) snprintf(text, sizeof(text), "%s %s", commands[i].name, commands[i].operands);
                printf("  %-46s %s\n", text, commands[i].help);
        }
        if (!group)
                printf("  %-46s %s\n", "help [COMMAND]", "Show this help, or that of a command");
        printf("\n");
}

static void print_help(const struct command *command, const char *group) {
        if (command) {
                printf("luoctl %s%s%s%s\n\n%s.\n\n", command->name, command->options ? " [OPTIONS...]" : "",
                        *command->operands ? " " : "", command->operands, command->help);
                print_options(command->options | OPTION_HELP);
        } else if (group) {
                printf("luoctl %s COMMAND\n\n", group);
                print_commands(group);
                print_options(OPTION_HELP);
                printf("\n\"luoctl %s COMMAND --help\" shows the options of a command.\n", group);
        } else {
                printf("luoctl [OPTIONS...] COMMAND\n\n"
                       "Look at the kernel's Live Update Orchestrator, and at what it would keep over a kexec.\n\n");
                print_commands(NULL);
                print_options(OPTION_HELP | OPTION_VERSION | OPTION_JSON | OPTION_NO_LEGEND);
                printf("\n\"luoctl COMMAND --help\" shows the options of a command.\n");
        }

        printf("\nSee the luoctl(1) man page for details.\n");
}

/* Finds the command that the first one or two of the operands name. Returns how many it took, or 0. */
static size_t find_command(char *const *operands, size_t n_operands, const struct command **ret) {
        for (size_t i = 0; n_operands > 0 && i < ELEMENTS(commands); i++) {
                const char *name = commands[i].name, *second = strchr(name, ' ');
                size_t length = second ? (size_t) (second - name) : strlen(name);

                if (strlen(operands[0]) != length || memcmp(operands[0], name, length) != 0)
                        continue;
                if (second && (n_operands < 2 || strcmp(operands[1], second + 1) != 0))
                        continue;

                *ret = commands + i;
                return second ? 2 : 1;
        }

        return 0;
}

static int unknown_command(char *const *operands, size_t n_operands) {
        if (n_operands == 0)
                return usage_error("a command is missing");
        if (!is_group(operands[0]))
                return usage_error("unknown command \"%s\"", operands[0]);
        if (n_operands == 1)
                return usage_error("\"%s\" needs to be followed by what to do with it", operands[0]);
        return usage_error("unknown command \"%s %s\"", operands[0], operands[1]);
}

/* The help of what these operands name: all, a group, or a command */
static int help(char *const *operands, size_t n_operands) {
        const struct command *command = NULL;

        if (n_operands == 0 || find_command(operands, n_operands, &command) > 0 ||
                (n_operands == 1 && strcmp(operands[0], "help") == 0))
                print_help(command, NULL);
        else if (n_operands == 1 && is_group(operands[0]))
                print_help(NULL, operands[0]);
        else
                return unknown_command(operands, n_operands);

        return EXIT_SUCCESS;
}

static int set_option(struct arguments *arguments, int bit, const char *value) {
        uint64_t number;

        switch (bit) {
        case OPTION_JSON:
                arguments->json = true;
                break;
        case OPTION_NO_LEGEND:
                arguments->legend = false;
                break;
        case OPTION_ALL:
                arguments->all = true;
                break;
        case OPTION_PROCESS:
                if (!parse_number(value, INT_MAX, &number) || number == 0)
                        return usage_error("--process takes a process id, not \"%s\"", value);
                arguments->process = (pid_t) number;
                break;
        case OPTION_KERNEL:
                arguments->kernel = value;
                break;
        case OPTION_SESSION:
                if (!parse_number(value, INT_MAX, &number))
                        return usage_error(
                                "--session takes the number of a file descriptor, not \"%s\"", value);
                arguments->session_fd = (int) number;
                break;
        case OPTION_FD:
                if (!parse_number(value, INT_MAX, &number))
                        return usage_error("--fd takes the number of a file descriptor, not \"%s\"", value);
                arguments->fd = (int) number;
                break;
        case OPTION_MEMFD:
                arguments->memfd = true;
                break;
        case OPTION_OUTPUT:
                arguments->output = value;
                break;
        case OPTION_AGAIN:
                arguments->again = true;
                break;
        case OPTION_ROOT:
                arguments->root = value;
                break;
        case OPTION_SVG:
                arguments->svg = true;
                break;
        case OPTION_BOOT:
                arguments->boot = value;
                break;
        case OPTION_DIRECTORY:
                arguments->directory = value;
                break;
        case OPTION_QUIET:
                arguments->quiet = true;
                break;
        case OPTION_CHANGE_OWNER:
                arguments->change_owner = true;
                break;
        }

        return 0;
}

/* Reads the options among the first argc arguments. Returns 0 or an exit status. */
static int parse_options(int argc, char *argv[], struct arguments *ret_arguments, int *ret_given) {
        struct option long_options[ELEMENTS(options) + 1] = {};
        int c, r, given = 0;

        for (size_t i = 0; i < ELEMENTS(options); i++)
                long_options[i] = (struct option) {
                        .name = options[i].name,
                        .has_arg = options[i].value ? required_argument : no_argument,
                        .val = options[i].bit << 8, /* apart from all characters */
                };

        while ((c = getopt_long(argc, argv, "haD:o:q", long_options, NULL)) >= 0) {
                switch (c) {
                case '?':
                        /* getopt_long() has said what is wrong */
                        fprintf(stderr, "Try \"luoctl --help\".\n");
                        return EXIT_USAGE;
                case 'h':
                        c = OPTION_HELP;
                        break;
                case 'a':
                        c = OPTION_ALL;
                        break;
                case 'D':
                        c = OPTION_DIRECTORY;
                        break;
                case 'o':
                        c = OPTION_OUTPUT;
                        break;
                case 'q':
                        c = OPTION_QUIET;
                        break;
                default:
                        c >>= 8;
                }

                given |= c;
                r = set_option(ret_arguments, c, optarg);
                if (r > 0)
                        return r;
        }

        *ret_given = given;
        return 0;
}

static int check_arguments(const struct command *command, const struct arguments *arguments, int given) {
        for (size_t i = 0; i < ELEMENTS(options); i++)
                if (given & options[i].bit & ~command->options)
                        return usage_error("--%s has no meaning for \"%s\"", options[i].name, command->name);

        if (arguments->n_operands < command->min_operands)
                return usage_error("too few arguments");
        if (arguments->n_operands > command->max_operands)
                return usage_error("too many arguments");
        if (command->runs_program && (!arguments->program || !arguments->program[0]))
                return usage_error("a program to run is missing, behind \"--\"");

        return 0;
}

static int run(int argc, char *argv[]) {
        struct arguments arguments = {
                .legend = true,
                .session_fd = FIRST_PASSED_FD,
                .fd = -1,
                .root = "",
        };
        const struct command *command = NULL;
        size_t n_words;
        int r, given, end;

        /* Options end at "--", and what follows is not mixed up with what comes before */
        for (end = 1; end < argc && strcmp(argv[end], "--") != 0; end++)
                ;

        r = parse_options(end, argv, &arguments, &given);
        if (r > 0)
                return r;

        arguments.operands = argv + optind;
        arguments.n_operands = (size_t) (end - optind);

        n_words = find_command(arguments.operands, arguments.n_operands, &command);
        current_command = command;
        if (arguments.n_operands > 0 && strcmp(arguments.operands[0], "help") == 0)
                return help(arguments.operands + 1, arguments.n_operands - 1);
        if (given & OPTION_HELP)
                return help(arguments.operands, arguments.n_operands);
        if (given & OPTION_VERSION) {
                printf("luoctl %s\n", libluo_version());
                return EXIT_SUCCESS;
        }
        if (!command)
                return unknown_command(arguments.operands, arguments.n_operands);

        if (end < argc) {
                if (command->runs_program)
                        arguments.program = argv + end + 1;
                else {
                        /* More operands, that may begin with a dash; argv ends with a NULL that is moved as well */
                        memmove(argv + end, argv + end + 1, (size_t) (argc - end) * sizeof(*argv));
                        arguments.n_operands += (size_t) (argc - end - 1);
                }
        }
        arguments.operands += n_words;
        arguments.n_operands -= n_words;

        r = check_arguments(command, &arguments, given);
        if (r > 0)
                return r;

        return command->run(&arguments);
}

int main(int argc, char *argv[]) {
        int r;

        r = occupy_standard_fds();
        if (r < 0)
                return fail(r, "cannot open /dev/null: %s", strerror(-r));

        r = run(argc, argv);
        if (fflush(stdout) != 0 || ferror(stdout))
                return fail(-EIO, "cannot write to stdout: %s", strerror(errno));

        return r;
}
