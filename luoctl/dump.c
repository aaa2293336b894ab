/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <libluo-manager.h>

#include "content.h"
#include "errors.h"
#include "index.h"
#include "luoctl.h"
#include "output.h"

/* Neither an index nor a map is larger */
#define FILE_SIZE_MAX (UINT64_C(512) << 20)

/* Names of feature bits, see docs/format.md; NULL ends each list */
static const char *const compatible_names[] = { "holes", NULL };
static const char *const incompatible_names[] = { "references", NULL };

struct index_features {
        uint32_t compatible, incompatible, unknown;
};

static const char *feature_name(
        unsigned bit, const char *const *names, char ret_buffer[static sizeof("bit 31")]) {
        for (unsigned i = 0; names[i]; i++)
                if (i == bit)
                        return names[i];

        (void) snprintf(ret_buffer, sizeof("bit 31"), "bit %u", bit & 31);
        return ret_buffer;
}

static void print_features(const char *title, uint32_t bits, const char *const *names) {
        char buffer[sizeof("bit 31")];
        const char *separator = "";

        printf("%s: ", title);
        if (bits == 0)
                printf("none");
        for (unsigned i = 0; i < 32; i++)
                if (bits & UINT32_C(1) << i) {
                        printf("%s%s", separator, feature_name(i, names, buffer));
                        separator = ", ";
                }
        printf("\n");
}

static void features_to_json(struct json *json, const char *key, uint32_t bits, const char *const *names) {
        char buffer[sizeof("bit 31")];

        json_begin(json, key, '[');
        for (unsigned i = 0; i < 32; i++)
                if (bits & UINT32_C(1) << i)
                        json_string(json, NULL, feature_name(i, names, buffer));
        json_end(json, '[');
}

static void entry_to_json(struct json *json, const libluo_entry *entry) {
        char mode[16];

        json_begin(json, NULL, '{');
        json_string(json, "name", entry->name);
        if (entry->lost) {
                json_begin(json, "lost", '{');
                json_unsigned(json, "errno", (uint64_t) entry->lost);
                json_string(json, "error", strerrorname_np(entry->lost));
                json_string(json, "reason", error_reason(CALL_PRESERVE, -entry->lost));
                json_end(json, '{');
        } else
                json_unsigned(json, "token", entry->token);
        json_boolean(json, "duplicate", entry->flags & LIBLUO_ENTRY_DUPLICATE);
        json_boolean(json, "shared", entry->flags & LIBLUO_ENTRY_SHARED);
        json_boolean(json, "poll", !(entry->flags & LIBLUO_ENTRY_NO_POLL));
        json_string(json, "access", access_mode(entry->open_flags));
        json_boolean(json, "append", entry->open_flags & O_APPEND);
        (void) snprintf(mode, sizeof(mode), "%04o", (unsigned) entry->mode);
        json_string(json, "mode", mode);
        json_unsigned(json, "uid", entry->uid);
        json_unsigned(json, "gid", entry->gid);
        json_unsigned(json, "offset", entry->offset);
        json_unsigned(json, "size", entry->size);
        json_unsigned(json, "allocated", entry->allocated);
        json_unsigned(json, "holes", entry->holes);
        json_unsigned(json, "memory", entry->memory);
        json_end(json, '{');
}

static int entries_to_json(struct json *json, const libluo_bundle *bundle) {
        json_string(json, "sharedSession", libluo_bundle_get_shared_name(bundle));
        json_begin(json, "entries", '[');
        for (size_t i = 0; i < libluo_bundle_count(bundle); i++) {
                libluo_entry entry;
                int r;

                r = libluo_bundle_get(bundle, i, &entry, sizeof(entry));
                if (r < 0)
                        return r;
                entry_to_json(json, &entry);
        }
        json_end(json, '[');
        return 0;
}

static int print_json(const struct index_features *features, const libluo_bundle *bundle) {
        struct json j = {};
        int r;

        json_begin(&j, NULL, '{');
        json_string(&j, "type", "index");
        json_begin(&j, "features", '{');
        features_to_json(&j, "compatible", features->compatible, compatible_names);
        features_to_json(&j, "incompatible", features->incompatible, incompatible_names);
        features_to_json(&j, "unknown", features->unknown, incompatible_names);
        json_end(&j, '{');

        r = bundle ? entries_to_json(&j, bundle) : 0;
        if (r < 0)
                return r;
        json_end(&j, '{');
        json_finish();
        return 0;
}

/* What there is to say of an entry beyond numbers */
static void add_remarks(struct table *table, const libluo_entry *entry) {
        if (entry->lost)
                table_add(table, "lost: %s", error_reason(CALL_PRESERVE, -entry->lost));
        else if (entry->flags & (LIBLUO_ENTRY_DUPLICATE | LIBLUO_ENTRY_SHARED | LIBLUO_ENTRY_NO_POLL))
                table_add(table, "%s%s%s",
                        entry->flags & LIBLUO_ENTRY_DUPLICATE        ? "duplicate"
                                : entry->flags & LIBLUO_ENTRY_SHARED ? "shared"
                                                                     : "",
                        entry->flags & (LIBLUO_ENTRY_DUPLICATE | LIBLUO_ENTRY_SHARED) &&
                                        entry->flags & LIBLUO_ENTRY_NO_POLL
                                ? ", "
                                : "",
                        entry->flags & LIBLUO_ENTRY_NO_POLL ? "not polled" : "");
        else
                table_add(table, "-");
}

static int print_entries(const libluo_bundle *bundle, bool legend) {
        static const struct column columns[] = { { "TOKEN", true }, { "NAME", false }, { "ACCESS", false },
                { "MODE", false }, { "OWNER", false }, { "OFFSET", true }, { "SIZE", true },
                { "ALLOCATED", true }, { "HOLES", true }, { "MEMORY", true }, { "REMARKS", false } };
        struct table table = { .columns = columns, .n_columns = ELEMENTS(columns) };
        int r;

        for (size_t i = 0; i < libluo_bundle_count(bundle); i++) {
                libluo_entry entry;

                r = libluo_bundle_get(bundle, i, &entry, sizeof(entry));
                if (r < 0)
                        table.failed = true;
                else {
                        if (entry.lost)
                                table_add(&table, "-");
                        else
                                table_add(&table, "%" PRIu64, entry.token);
                        table_add(&table, "%s", *entry.name ? entry.name : "-");
                        table_add(&table, "%s%s", access_mode(entry.open_flags),
                                entry.open_flags & O_APPEND ? ", append" : "");
                        table_add(&table, "%04o", (unsigned) entry.mode);
                        table_add(&table, "%ju:%ju", (uintmax_t) entry.uid, (uintmax_t) entry.gid);
                        table_add(&table, "%" PRIu64, entry.offset);
                        table_add(&table, "%" PRIu64, entry.size);
                        table_add(&table, "%" PRIu64, entry.allocated);
                        table_add(&table, "%" PRIu64, entry.holes);
                        table_add(&table, "%" PRIu64, entry.memory);
                        add_remarks(&table, &entry);
                }
        }

        r = table_finish(&table, legend);
        if (r >= 0 && legend)
                printf("\nEntries: %zu.\n", libluo_bundle_count(bundle));
        return r;
}

int index_print(const libluo_bundle *bundle, bool json, bool legend) {
        struct json j = {};
        int r;

        if (!json)
                r = print_entries(bundle, legend);
        else {
                json_begin(&j, NULL, '{');
                r = entries_to_json(&j, bundle);
                json_end(&j, '{');
                json_finish();
        }

        return r < 0 ? fail(r, "%s", libluo_strerror(r)) : EXIT_SUCCESS;
}

static int print_lines(const struct index_features *features, const libluo_bundle *bundle, bool legend) {
        const char *shared;

        print_features("  Compatible features", features->compatible, compatible_names);
        print_features("Incompatible features", features->incompatible, incompatible_names);
        if (!bundle) {
                print_features("     Unknown features", features->unknown, incompatible_names);
                return 0;
        }

        shared = libluo_bundle_get_shared_name(bundle);
        printf("       Shared session: ");
        print_text(shared ? shared : "none");
        printf("\n\n");

        return print_entries(bundle, legend);
}

static int dump_index(const struct arguments *arguments, const char *name, int fd) {
        struct index_features features;
        libluo_bundle *bundle = NULL;
        int r, printed;

        r = libluo_index_features(fd, &features.compatible, &features.incompatible, &features.unknown);
        if (r == -EBADMSG)
                return fail(r, "%s: it is neither the index of a bundle nor systemd's map, or it is cut off",
                        name);
        if (r >= 0) {
                r = libluo_bundle_open_index(fd, 0, &bundle);
                /* Its features are all that can be told of such a one, and they are worth telling */
                if (r < 0 && r != -EPROTONOSUPPORT)
                        return fail(r, "%s: %s", name, error_reason(CALL_INDEX, r));
        } else
                return fail(r, "%s: %s", name, error_reason(CALL_INDEX, r));

        printed = arguments->json ? print_json(&features, bundle)
                                  : print_lines(&features, bundle, arguments->legend);
        libluo_bundle_free(bundle);

        if (r < 0)
                return fail(r, "%s: %s; a later one is needed", name, error_reason(CALL_INDEX, r));
        return printed < 0 ? fail(printed, "%s", libluo_strerror(printed)) : EXIT_SUCCESS;
}

/* systemd's map is JSON of its own: it is passed on, once it is clear that it is harmless text. */
static int dump_map(const char *name, int fd, uint64_t size) {
        uint32_t code_point;
        char *text;
        ssize_t n;

        if (size >= FILE_SIZE_MAX)
                return fail(-EFBIG, "%s: it is too large", name);

        text = malloc(size);
        if (!text)
                return fail(-ENOMEM, "%s", strerror(ENOMEM));

        n = pread(fd, text, size, 0);
        if (n < 0 || (uint64_t) n != size) {
                int error = n < 0 ? errno : EIO;

                free(text);
                return fail(-error, "%s: %s", name, strerror(error));
        }

        for (size_t i = 0, length; i < size; i += length) {
                length = utf8_decode(text + i, size - i, &code_point);
                if (length == 0 || (code_point < 0x20 && code_point != '\n' && code_point != '\t') ||
                        (code_point >= 0x7f && code_point < 0xa0)) {
                        free(text);
                        return fail(-EBADMSG, "%s: it begins like JSON, but is not text", name);
                }
        }

        (void) fwrite(text, 1, size, stdout);
        if (text[size - 1] != '\n')
                printf("\n");
        free(text);
        return EXIT_SUCCESS;
}

/* A pipe can be read once only. Returns an fd of a regular file, or a negative errno. */
static int as_file(int fd) {
        struct stat st;
        int memfd, r;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISREG(st.st_mode))
                return fcntl(fd, F_DUPFD_CLOEXEC, 0);

        memfd = libluo_memfd_new("luoctl-dump", 0, 0);
        if (memfd < 0)
                return memfd;

        r = copy_content(fd, memfd, FILE_SIZE_MAX);
        if (r < 0) {
                (void) close(memfd);
                return r;
        }

        return memfd;
}

int command_dump(const struct arguments *arguments) {
        const char *name = arguments->operands[0];
        bool is_stdin = strcmp(name, "-") == 0;
        struct stat st;
        char first = 0;
        int fd, r;

        fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return fail(-errno, "%s: %s", name, strerror(errno));
        if (is_stdin)
                name = "stdin";

        r = as_file(fd);
        if (!is_stdin)
                (void) close(fd);
        if (r < 0)
                return fail(r, "%s: %s", name, strerror(-r));
        fd = r;

        if (fstat(fd, &st) < 0 || pread(fd, &first, 1, 0) < 0)
                r = fail(-errno, "%s: %s", name, strerror(errno));
        else if (first == '{')
                r = dump_map(name, fd, (uint64_t) st.st_size);
        else
                r = dump_index(arguments, name, fd);

        (void) close(fd);
        return r;
}
