/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <libluo.h>

#include "judge.h"
#include "kernel.h"
#include "luoctl.h"
#include "manager.h"

/*
 * A hand-over that does not happen leaves nothing that could tell of it: so what is to survive is noted down on disk
 * before the kexec, and compared after it.
 */

#define FOLDER "/var/lib/libluo"
#define MARKER FOLDER "/hand-over"
#define FIRST_LINE "libluo hand-over 1\n"

/* journalctl MESSAGE_ID=…, see luoctl(1) */
#define MESSAGE_ID_LOST "e644a4ba15874a99b332e79309dcf763"
#define MESSAGE_ID_HOPELESS "e40d8e40e2f94d62a76225025d6b3705"

/* Whoever has the device has it for one operation */
#define DEVICE_TIMEOUT_USEC UINT64_C(5000000)

struct noted_unit {
        char name[256];
        uint64_t n_fds, bytes;
};

struct marker {
        char boot_id[64];
        uint64_t kexec_count;
        char reason[256]; /* why it could not work, if that was known before; or "" */
        struct noted_unit *units;
        size_t n_units;
};

static void marker_done(struct marker *m) {
        free(m->units);
        *m = (struct marker) {};
}

/* ---- what this kernel can say ---- */

/* Why this kernel cannot hand over, or take over, or NULL */
static const char *kernel_obstacle(const char *root) {
        struct kernel_facts facts;
        int fd;

        fd = libluo_device_open(DEVICE_TIMEOUT_USEC);
        if (fd >= 0)
                (void) close(fd);
        else if (fd == -ENODEV) {
                kernel_read_facts(root, &facts);
                return kernel_reason(&facts).text;
        } else if (fd == -EIO)
                return "the kernel cannot read what its predecessor left";

        return NULL;
}

/* Whether the kernel before gave this one anything by kexec handover; true also where that cannot be found out. */
static bool is_handed_over(const char *root) {
        bool any = false;
        char line[64];
        uint64_t type;

        if (exists_below(root, "/proc/device-tree/chosen/linux,kho-fdt"))
                return true;

        for (unsigned i = 0; i < 256; i++) {
                char path[64];

                (void) snprintf(path, sizeof(path), "/sys/kernel/boot_params/setup_data/%u/type", i);
                if (!read_line_below(root, path, line, sizeof(line)))
                        break;
                any = true;
                /* SETUP_KEXEC_KHO of <asm/setup_data.h> */
                if (parse_number(line, UINT32_MAX, &type) && type == 10)
                        return true;
        }

        /* Without any, the folder is not there; version has been there as long as it */
        return !any && !exists_below(root, "/sys/kernel/boot_params/version");
}

/* ---- the marker ---- */

/* One of ours, from a system that may have been another one: everything in it is checked. */
static int read_marker(const char *root, struct marker *ret) {
        struct marker m = {};
        bool complete = false;
        char line[1024];
        int r = -EBADMSG;
        FILE *f;

        f = open_below(root, MARKER);
        if (!f)
                return -errno;

        if (!fgets(line, sizeof(line), f) || strcmp(line, FIRST_LINE) != 0)
                goto finish;

        while (!complete && fgets(line, sizeof(line), f)) {
                struct noted_unit unit, *units;
                int end = 0;

                if (!strchr(line, '\n'))
                        goto finish;
                line[strcspn(line, "\n")] = 0;
                for (const char *p = line; *p; p++)
                        if (*p < ' ' || *p >= 127)
                                goto finish;

                if (strcmp(line, "end") == 0)
                        complete = true;
                else if (sscanf(line, "boot-id %63s%n", m.boot_id, &end) == 1 && line[end] == 0)
                        continue;
                else if (sscanf(line, "kexec-count %" SCNu64 "%n", &m.kexec_count, &end) == 1 &&
                        line[end] == 0)
                        continue;
                else if (strncmp(line, "reason ", strlen("reason ")) == 0)
                        (void) snprintf(m.reason, sizeof(m.reason), "%.*s", (int) sizeof(m.reason) - 1,
                                line + strlen("reason "));
                else if (sscanf(line, "unit %255s %" SCNu64 " %" SCNu64 "%n", unit.name, &unit.n_fds,
                                 &unit.bytes, &end) == 3 &&
                        line[end] == 0) {
                        units = reallocarray(m.units, m.n_units + 1, sizeof(*units));
                        if (!units) {
                                r = -ENOMEM;
                                goto finish;
                        }
                        m.units = units;
                        units[m.n_units++] = unit;
                } else
                        goto finish;
        }
        if (complete)
                r = 0;

finish:
        (void) fclose(f);
        if (r < 0)
                marker_done(&m);
        else
                *ret = m;
        return r;
}

static int write_content(int fd, const struct marker *m) {
        FILE *f;

        f = fdopen(fd, "we");
        if (!f) {
                (void) close(fd);
                return -errno;
        }

        fprintf(f, FIRST_LINE "boot-id %s\nkexec-count %" PRIu64 "\n", m->boot_id, m->kexec_count);
        if (*m->reason)
                fprintf(f, "reason %s\n", m->reason);
        for (size_t i = 0; i < m->n_units; i++)
                fprintf(f, "unit %s %" PRIu64 " %" PRIu64 "\n", m->units[i].name, m->units[i].n_fds,
                        m->units[i].bytes);
        fputs("end\n", f);

        if (fflush(f) != 0 || fsync(fileno(f)) < 0) {
                int error = errno;

                (void) fclose(f);
                return -error;
        }
        return fclose(f) != 0 ? -errno : 0;
}

/* There is the old one, or the whole new one, whatever happens. */
static int write_marker(const char *root, const struct marker *m) {
        char folder[PATH_MAX];
        int folder_fd, fd, r;

        if ((size_t) snprintf(folder, sizeof(folder), "%s" FOLDER, root) >= sizeof(folder))
                return -ENAMETOOLONG;
        if (mkdir(folder, 0755) < 0 && errno != EEXIST)
                return -errno;

        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder_fd < 0)
                return -errno;

        fd = openat(folder_fd, "hand-over.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        r = fd < 0 ? -errno : write_content(fd, m);
        if (r >= 0 &&
                (renameat(folder_fd, "hand-over.new", folder_fd, "hand-over") < 0 || fsync(folder_fd) < 0))
                r = -errno;

        (void) close(folder_fd);
        return r;
}

static int remove_marker(const char *root) {
        char path[PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s" MARKER, root);
        return unlink(path) < 0 && errno != ENOENT
                ? fail(-errno, "cannot remove %s: %s", path, strerror(errno))
                : EXIT_SUCCESS;
}

/* ---- before the kexec ---- */

/* What is to survive, by what can be seen of it. Returns 0 or an exit status. */
static int note_units(struct marker *m) {
        struct unit_store *stores;
        const struct verdict *v;
        struct verdict *verdicts;
        struct tally tally = {};
        size_t n_stores;
        int r;

        r = manager_read_stores(NULL, 0, /* numbers= */ false, &stores, &n_stores);
        if (r > 0)
                return r;

        verdicts = judge_stores(stores, n_stores, /* all= */ true, &tally);
        m->units = calloc(n_stores + 1, sizeof(*m->units));
        if (!verdicts || !m->units)
                r = fail(-ENOMEM, "%s", strerror(ENOMEM));

        v = verdicts;
        for (size_t i = 0; r == 0 && i < n_stores; i++) {
                struct noted_unit unit = { .n_fds = stores[i].n_pending, .bytes = stores[i].pending_bytes };

                for (size_t k = 0; k < stores[i].n_fds; k++, v++)
                        if (v->survival != SURVIVAL_NO) {
                                unit.n_fds++;
                                unit.bytes += v->size;
                        }
                /* systemd's own services take theirs before anything could look */
                if (unit.n_fds == 0 || strncmp(stores[i].unit, "systemd-", strlen("systemd-")) == 0 ||
                        (size_t) snprintf(unit.name, sizeof(unit.name), "%s", stores[i].unit) >=
                                sizeof(unit.name))
                        continue;
                m->units[m->n_units++] = unit;
        }

        free(verdicts);
        unit_stores_free(stores, n_stores);
        return r;
}

int command_hand_over_mark(const struct arguments *arguments) {
        const char *root = arguments->root, *obstacle;
        struct manager_state state;
        struct marker m = {};
        uint64_t n_fds = 0;
        char line[64];
        int r;

        r = manager_read_state(&state);
        if (r > 0)
                return r;
        if (!state.kexec_is_due)
                return EXIT_SUCCESS;

        r = note_units(&m);
        if (r == 0 && m.n_units == 0)
                r = remove_marker(root);
        if (r > 0 || m.n_units == 0)
                goto finish;
        for (size_t i = 0; i < m.n_units; i++)
                n_fds += m.units[i].n_fds;

        if (!read_line_below(root, "/proc/sys/kernel/random/boot_id", m.boot_id, sizeof(m.boot_id))) {
                r = fail(-EIO, "cannot read the id of this boot");
                goto finish;
        }
        m.kexec_count = state.kexec_count;

        obstacle = kernel_obstacle(root);
        if (!obstacle && read_line_below(root, "/sys/kernel/kexec_loaded", line, sizeof(line)) &&
                strcmp(line, "0") == 0)
                obstacle = "no kernel is loaded for the kexec";
        if (!obstacle && !state.has_kexec_count)
                obstacle = "this systemd hands nothing over";
        if (obstacle) {
                (void) snprintf(m.reason, sizeof(m.reason), "%s", obstacle);
                manager_warn(MESSAGE_ID_HOPELESS, NULL, obstacle, /* on_console= */ true,
                        "%" PRIu64
                        " stored file descriptors of %zu units will not come through this kexec: %s.",
                        n_fds, m.n_units, obstacle);
        }

        r = write_marker(root, &m);
        if (r < 0)
                r = fail(r, "cannot note down what is to survive the kexec: %s", strerror(-r));

finish:
        marker_done(&m);
        return r;
}

/* ---- after it ---- */

/* Why nothing came through */
static const char *find_reason(const char *root, const struct marker *m) {
        const char *obstacle;

        if (!kernel_is_booted_by_kexec(root))
                return "the machine was rebooted, without a kexec";
        if (*m->reason)
                return m->reason;
        obstacle = kernel_obstacle(root);
        if (obstacle)
                return obstacle;
        if (!is_handed_over(root))
                return "this kernel was loaded by kexec_load(2), which cannot hand over (kexec -s -l can)";
        return "the previous system had not handed it over to the kernel";
}

/* How many file descriptors a unit has, in its store and pending; 0 if there is no such unit. */
static uint64_t count_fds(const struct noted_unit *unit) {
        char *name = (char *) unit->name;
        struct unit_store *stores;
        uint64_t n = 0;
        size_t n_stores;

        if (manager_read_stores(&name, 1, /* numbers= */ false, &stores, &n_stores) > 0)
                return 0;

        for (size_t i = 0; i < n_stores; i++)
                n += stores[i].n_fds + stores[i].n_pending;
        unit_stores_free(stores, n_stores);
        return n;
}

/* Says of each unit what is missing. Returns whether anything is. */
static bool compare(const struct marker *m, bool handed_over, const char *reason) {
        bool missing = false;

        for (size_t i = 0; i < m->n_units; i++) {
                const struct noted_unit *unit = m->units + i;
                uint64_t found = handed_over ? count_fds(unit) : 0;

                if (found >= unit->n_fds)
                        continue;

                missing = true;
                manager_warn(MESSAGE_ID_LOST, unit->name, reason, /* on_console= */ false,
                        "%s: %" PRIu64 " of %" PRIu64 " stored file descriptors (%" PRIu64
                        " bytes in all) did not come through the kexec: %s.",
                        unit->name, unit->n_fds - found, unit->n_fds, unit->bytes, reason);
        }

        return missing;
}

int command_hand_over_check(const struct arguments *arguments) {
        const char *root = arguments->root;
        struct manager_state state;
        struct marker m;
        bool handed_over, missing = false;
        char boot_id[64];
        int r;

        r = read_marker(root, &m);
        if (r == -ENOENT)
                return EXIT_SUCCESS;
        if (r < 0) {
                (void) remove_marker(root);
                return fail(r, "cannot read what was to survive the kexec: %s",
                        r == -EBADMSG ? "the file is damaged" : strerror(-r));
        }

        if (!read_line_below(root, "/proc/sys/kernel/random/boot_id", boot_id, sizeof(boot_id)))
                r = fail(-EIO, "cannot read the id of this boot");
        else
                r = manager_read_state(&state);

        /* The same boot: the shutdown was given up */
        if (r == 0 && strcmp(boot_id, m.boot_id) != 0) {
                handed_over = state.has_kexec_count && state.kexec_count == m.kexec_count + 1;
                missing = compare(&m, handed_over,
                        handed_over ? "the service manager's own messages say why" : find_reason(root, &m));
        }

        marker_done(&m);
        if (r == 0)
                r = remove_marker(root);
        return r > 0 ? r : missing ? EXIT_LOSSES : EXIT_SUCCESS;
}
