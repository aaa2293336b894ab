/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-journal.h>

#include "luoctl.h"
#include "manager.h"

#define SERVICE "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"
#define SERVICE_INTERFACE "org.freedesktop.systemd1.Service"

/* PID 1's own socket, for root: there when no bus is, early at boot and late in a shutdown */
#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"

struct stores {
        struct unit_store *stores;
        size_t n;
};

static const char *reason(const sd_bus_error *error, int r) {
        return error->message ? error->message : strerror(-r);
}

/* Reads a property of a unit; one that this systemd does not know is left as it is. */
static int read_property_of(
        sd_bus *bus, const char *path, const char *interface, const char *name, char type, void *ret) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        switch (type) {
        case 'u':
        case 't':
        case 'b':
                r = sd_bus_get_property_trivial(bus, SERVICE, path, interface, name, &error, type, ret);
                break;
        case 's':
                r = sd_bus_get_property_string(bus, SERVICE, path, interface, name, &error, ret);
                break;
        default:
                r = sd_bus_get_property_strv(bus, SERVICE, path, interface, name, &error, ret);
        }

        if (r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_PROPERTY))
                r = 0;
        sd_bus_error_free(&error);
        return r;
}

static int read_property(sd_bus *bus, const char *path, const char *name, char type, void *ret) {
        return read_property_of(bus, path, SERVICE_INTERFACE, name, type, ret);
}

/*
 * What the kernel still has for a unit is no entry of the store, but has a row for each unit id that it was stored
 * under: "pending:[3 fds, 4096 bytes]", under the name "pending".
 */
static bool parse_pending(const char *name, const char *path, uint64_t *ret_n, uint64_t *ret_bytes) {
        uint64_t n, bytes;
        int end = 0;

        if (strcmp(name, "pending") != 0 ||
                sscanf(path, "pending:[%" SCNu64 " fds, %" SCNu64 " bytes]%n", &n, &bytes, &end) != 2 ||
                end == 0 || path[end] != 0)
                return false;

        *ret_n = n;
        *ret_bytes = bytes;
        return true;
}

static int read_entries(sd_bus_message *reply, struct unit_store *store) {
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(suuutuusu)");
        if (r < 0)
                return r;

        for (;;) {
                uint32_t mode, major, minor, represented_major, represented_minor, flags;
                const char *name, *path;
                uint64_t inode, n_pending, pending_bytes;

                r = sd_bus_message_read(reply, "(suuutuusu)", &name, &mode, &major, &minor, &inode,
                        &represented_major, &represented_minor, &path, &flags);
                if (r <= 0)
                        return r;

                if (parse_pending(name, path, &n_pending, &pending_bytes)) {
                        store->n_pending += n_pending;
                        store->pending_bytes += pending_bytes;
                        continue;
                }

                r = unit_store_add_fd(store,
                        &(struct stored_fd) {
                                .mode = mode,
                                .device = makedev(major, minor),
                                .inode = inode,
                                .represented_device = makedev(represented_major, represented_minor),
                                .open_flags = (int) flags,
                        },
                        name, path);
                if (r < 0)
                        return r;
        }
}

/* Returns 0, or a negative errno with *ret_error filled in. -ENOENT: there is no such unit. */
static int dump_store(sd_bus *bus, struct unit_store *store, sd_bus_error *ret_error) {
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_call_method(bus, SERVICE, MANAGER_PATH, MANAGER_INTERFACE, "DumpUnitFileDescriptorStore",
                ret_error, &reply, "s", store->unit);
        if (r < 0) {
                if (sd_bus_error_has_name(ret_error, "org.freedesktop.systemd1.FileDescriptorStoreDisabled"))
                        return 0;
                if (sd_bus_error_has_name(ret_error, "org.freedesktop.systemd1.NoSuchUnit"))
                        return -ENOENT;
                /* By the policy of the bus, whose own words do not help */
                if (sd_bus_error_has_name(ret_error, SD_BUS_ERROR_ACCESS_DENIED)) {
                        sd_bus_error_free(ret_error);
                        (void) sd_bus_error_set(ret_error, SD_BUS_ERROR_ACCESS_DENIED,
                                "systemd tells only root what is in fd stores");
                        return -EACCES;
                }
                if (sd_bus_error_has_name(ret_error, SD_BUS_ERROR_UNKNOWN_METHOD)) {
                        sd_bus_error_free(ret_error);
                        (void) sd_bus_error_set(ret_error, SD_BUS_ERROR_NOT_SUPPORTED,
                                "this systemd does not tell what is in fd stores, systemd 254 and later do");
                        return -EOPNOTSUPP;
                }
                return r;
        }

        r = read_entries(reply, store);
        sd_bus_message_unref(reply);
        return r;
}

static int read_numbers(sd_bus *bus, const char *path, uint32_t *n_stored, uint32_t *n_pending) {
        int r;

        r = read_property(bus, path, "NFileDescriptorStore", 'u', n_stored);
        return r < 0 ? r : read_property(bus, path, "NFileDescriptorStorePending", 'u', n_pending);
}

/*
 * Reads the store of one unit. A unit that is not named by the user may be gone, or have an empty store: it is left
 * out.
 */
static int read_store(sd_bus *bus, const char *unit, bool named, bool numbers, struct stores *stores) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        struct unit_store store = {}, *all;
        uint32_t n_stored = 0, n_pending = 0;
        char *path = NULL;
        int r, status = 0;

        store.unit = unit_name(unit);
        if (!store.unit) {
                r = -ENOMEM;
                goto failed;
        }

        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", store.unit, &path);
        if (r < 0)
                goto failed;

        if (!named) {
                r = read_numbers(bus, path, &n_stored, &n_pending);
                if (r < 0)
                        goto failed;
                if (n_stored == 0 && n_pending == 0)
                        goto leave_out;
        }

        r = dump_store(bus, &store, &error);
        if (r == -ENOENT && !named)
                goto leave_out;
        if (r == -EACCES && numbers && read_numbers(bus, path, &n_stored, &n_pending) >= 0) {
                sd_bus_error_free(&error);
                store.n_not_told = n_stored;
                store.n_pending = n_pending;
                r = read_property(bus, path, "FileDescriptorStorePendingBytes", 't', &store.pending_bytes);
        }
        if (r < 0)
                goto failed;

        r = read_property(bus, path, "FileDescriptorStorePreserve", 's', &store.preserve);
        if (r >= 0)
                r = read_property(bus, path, "FileDescriptorStoreMax", 'u', &store.maximum);
        if (r >= 0)
                r = read_property(bus, path, "LUOSession", 'a', &store.sessions);
        if (r >= 0 && !store.preserve) {
                store.preserve = strdup("no");
                r = store.preserve ? 0 : -ENOMEM;
        }
        if (r < 0)
                goto failed;

        all = reallocarray(stores->stores, stores->n + 1, sizeof(*all));
        if (!all) {
                r = -ENOMEM;
                goto failed;
        }
        stores->stores = all;
        all[stores->n++] = store;

        free(path);
        sd_bus_error_free(&error);
        return 0;

failed:
        status = fail(r, "%s: %s", store.unit ? store.unit : unit, reason(&error, r));

leave_out:
        unit_store_done(&store);
        free(path);
        sd_bus_error_free(&error);
        return status;
}

/* Reads the stores of all services. Returns 0 or an exit status. */
static int read_all_stores(sd_bus *bus, bool numbers, struct stores *stores) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        int r, status = 0;

        r = sd_bus_call_method(bus, SERVICE, MANAGER_PATH, MANAGER_INTERFACE, "ListUnitsByPatterns", &error,
                &reply, "asas", 0, 1, "*.service");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");

        while (r >= 0 && status == 0) {
                const char *unit;

                r = sd_bus_message_read(
                        reply, "(ssssssouso)", &unit, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
                if (r <= 0)
                        break;

                status = read_store(bus, unit, /* named= */ false, numbers, stores);
        }

        if (r < 0)
                status = fail(r, "cannot list the units of systemd: %s", reason(&error, r));

        sd_bus_message_unref(reply);
        sd_bus_error_free(&error);
        return status;
}

static int compare_units(const void *a, const void *b) {
        return strcmp(((const struct unit_store *) a)->unit, ((const struct unit_store *) b)->unit);
}

/* Returns 0 or an exit status. */
static int connect_to_manager(sd_bus **ret) {
        sd_bus *bus = NULL;
        int r;

        if (geteuid() == 0 && !getenv("DBUS_SYSTEM_BUS_ADDRESS") &&
                access("/run/systemd/private", F_OK) >= 0) {
                r = sd_bus_new(&bus);
                if (r >= 0)
                        r = sd_bus_set_address(bus, PRIVATE_ADDRESS);
                if (r >= 0)
                        r = sd_bus_start(bus);
                if (r < 0) {
                        sd_bus_unref(bus);
                        return fail(r == -ENOENT ? -EIO : r, "cannot connect to systemd: %s", strerror(-r));
                }
        } else {
                r = sd_bus_open_system(&bus);
                if (r < 0)
                        return fail(r == -ENOENT ? -EIO : r,
                                "cannot connect to systemd by the system bus: %s", strerror(-r));
        }

        *ret = bus;
        return 0;
}

int manager_read_stores(char *const *units, size_t n_units, bool numbers, struct unit_store **ret_stores,
        size_t *ret_n_stores) {
        struct stores stores = {};
        sd_bus *bus = NULL;
        int status;

        status = connect_to_manager(&bus);
        if (status > 0)
                return status;

        for (size_t i = 0; status == 0 && i < n_units; i++)
                status = read_store(bus, units[i], /* named= */ true, numbers, &stores);
        if (n_units == 0) {
                status = read_all_stores(bus, numbers, &stores);
                if (stores.n > 1)
                        qsort(stores.stores, stores.n, sizeof(*stores.stores), compare_units);
        }

        sd_bus_flush_close_unref(bus);

        if (status != 0) {
                unit_stores_free(stores.stores, stores.n);
                return status;
        }

        *ret_stores = stores.stores;
        *ret_n_stores = stores.n;
        return 0;
}

/* Returns 0 or a negative errno. */
static int find_kexec_job(sd_bus *bus, bool *ret, sd_bus_error *ret_error) {
        sd_bus_message *reply = NULL;
        const char *unit, *type;
        bool found = false;
        int r;

        r = sd_bus_call_method(
                bus, SERVICE, MANAGER_PATH, MANAGER_INTERFACE, "ListJobs", ret_error, &reply, NULL);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(usssoo)");
        while (r >= 0) {
                r = sd_bus_message_read(reply, "(usssoo)", NULL, &unit, &type, NULL, NULL, NULL);
                if (r <= 0)
                        break;
                found = found || (strcmp(unit, "kexec.target") == 0 && strcmp(type, "start") == 0);
        }

        sd_bus_message_unref(reply);
        if (r >= 0)
                *ret = found;
        return r;
}

int manager_read_state(struct manager_state *ret) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        struct manager_state state = {};
        sd_bus *bus;
        int r, status;

        status = connect_to_manager(&bus);
        if (status > 0)
                return status;

        r = sd_bus_get_property_trivial(
                bus, SERVICE, MANAGER_PATH, MANAGER_INTERFACE, "KExecCount", &error, 'u', &state.kexec_count);
        state.has_kexec_count = r >= 0;
        if (r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_PROPERTY)) {
                sd_bus_error_free(&error);
                r = 0;
        }
        if (r >= 0)
                r = find_kexec_job(bus, &state.kexec_is_due, &error);
        status = r < 0 ? fail(r, "cannot ask systemd: %s", reason(&error, r)) : 0;

        sd_bus_error_free(&error);
        sd_bus_flush_close_unref(bus);
        if (status == 0)
                *ret = state;
        return status;
}

int manager_read_starts(char *const *services, size_t n_services, struct service_start *ret) {
        sd_bus *bus;
        int r, status;

        status = connect_to_manager(&bus);
        if (status > 0)
                return status;

        for (size_t i = 0; i < n_services && status == 0; i++) {
                struct service_start start = {};
                int survives_kill = 0;
                char *path = NULL;

                r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", services[i], &path);
                if (r < 0)
                        status = fail(r, "%s: %s", services[i], strerror(-r));
                else if (read_property(bus, path, "ExecMainStartTimestampMonotonic", 't', &start.forked) >=
                                0 &&
                        read_property(bus, path, "ExecMainHandoffTimestampMonotonic", 't',
                                &start.handed_over) >= 0 &&
                        read_property_of(bus, path, UNIT_INTERFACE, "SurviveFinalKillSignal", 'b',
                                &survives_kill) >= 0)
                        start.survives_kill = survives_kill;
                free(path);
                ret[i] = start;
        }

        sd_bus_flush_close_unref(bus);
        return status;
}

/* Whether stderr goes to the journal, as systemd.exec(5) says it can be found out */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        uintmax_t device, inode;
        struct stat st;

        return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) >= 0 &&
                st.st_dev == device && st.st_ino == inode;
}

void manager_warn(
        const char *message_id, const char *unit, const char *why, bool on_console, const char *format, ...) {
        char *message;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&message, format, ap);
        va_end(ap);
        if (r < 0)
                return;

        if (!stderr_is_journal())
                fprintf(stderr, "%s\n", message);
        else
                (void) sd_journal_send("MESSAGE=%s", message, "MESSAGE_ID=%s", message_id, "PRIORITY=%i",
                        LOG_WARNING, "REASON=%s", why ? why : "", unit ? "UNIT=%s" : NULL, unit, NULL);

        if (on_console && stderr_is_journal()) {
                int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);

                if (fd >= 0) {
                        (void) dprintf(fd, "luoctl: %s\n", message);
                        (void) close(fd);
                }
        }

        free(message);
}
