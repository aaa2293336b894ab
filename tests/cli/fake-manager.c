/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * fake-manager SOCKET STATE: answers what luoctl asks systemd, on a socket, from a file that is read for each question:
 *   kexec-count N              KExecCount
 *   kexec-due                  kexec.target is to be started
 *   private                    what is in fd stores is not for who asks
 *   unit NAME PRESERVE         a unit, to which what follows belongs
 *   fd NAME PATH               an entry of its fd store: a file without a name
 *   pending N BYTES            what is pending
 *   started FORKED HANDED-OVER SURVIVES   how it was started
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <systemd/sd-bus.h>

enum { UNITS_MAX = 8, FDS_MAX = 8 };

struct unit {
        char name[64], preserve[16];
        char fds[FDS_MAX][2][64];
        unsigned n_fds, n_pending;
        unsigned long long pending_bytes, forked, handed_over;
        int survives_kill;
};

static struct state {
        unsigned kexec_count;
        int kexec_is_due, is_private;
        struct unit units[UNITS_MAX];
        unsigned n_units;
} state;

static const char *state_path;

static void read_state(void) {
        char line[256];
        struct unit *unit = NULL;
        FILE *f;

        state = (struct state) {};
        f = fopen(state_path, "re");
        if (!f)
                abort();

        while (fgets(line, sizeof(line), f)) {
                if (strcmp(line, "kexec-due\n") == 0)
                        state.kexec_is_due = 1;
                else if (strcmp(line, "private\n") == 0)
                        state.is_private = 1;
                else if (sscanf(line, "kexec-count %u", &state.kexec_count) == 1)
                        continue;
                else if (strncmp(line, "unit ", 5) == 0 && state.n_units < UNITS_MAX) {
                        unit = state.units + state.n_units++;
                        if (sscanf(line, "unit %63s %15s", unit->name, unit->preserve) != 2)
                                abort();
                } else if (unit && strncmp(line, "fd ", 3) == 0 && unit->n_fds < FDS_MAX) {
                        if (sscanf(line, "fd %63s %63[^\n]", unit->fds[unit->n_fds][0],
                                    unit->fds[unit->n_fds][1]) != 2)
                                abort();
                        unit->n_fds++;
                } else if (unit && strncmp(line, "started ", 8) == 0) {
                        if (sscanf(line, "started %llu %llu %d", &unit->forked, &unit->handed_over,
                                    &unit->survives_kill) != 3)
                                abort();
                } else if (!unit ||
                        sscanf(line, "pending %u %llu", &unit->n_pending, &unit->pending_bytes) != 2)
                        abort();
        }
        (void) fclose(f);
}

static struct unit *find_unit(const char *name) {
        for (unsigned i = 0; i < state.n_units; i++)
                if (strcmp(state.units[i].name, name) == 0)
                        return state.units + i;
        return NULL;
}

static int on_hello(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) userdata;
        (void) error;
        return sd_bus_reply_method_return(m, "s", ":1.1");
}

static int on_list_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) userdata;
        (void) error;
        read_state();
        if (!state.kexec_is_due)
                return sd_bus_reply_method_return(
                        m, "a(usssoo)", 1, 1, "a.service", "stop", "running", "/a", "/b");
        return sd_bus_reply_method_return(m, "a(usssoo)", 2, 1, "a.service", "stop", "running", "/a", "/b", 2,
                "kexec.target", "start", "waiting", "/a", "/b");
}

/* An answer that is an array of a type. */
static int begin_array(sd_bus_message *m, const char *type, sd_bus_message **reply) {
        int r;

        r = sd_bus_message_new_method_return(m, reply);
        return r < 0 ? r : sd_bus_message_open_container(*reply, 'a', type);
}

/* Sends it if nothing went wrong so far. */
static int end_array(sd_bus_message *reply, int r) {
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int on_list_units(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message *reply = NULL;
        int r;

        (void) userdata;
        (void) error;
        read_state();
        r = begin_array(m, "(ssssssouso)", &reply);
        for (unsigned i = 0; r >= 0 && i < state.n_units; i++)
                r = sd_bus_message_append(reply, "(ssssssouso)", state.units[i].name, "", "loaded", "active",
                        "running", "", "/a", 0, "", "/b");
        return end_array(reply, r);
}

static int on_dump(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message *reply = NULL;
        const struct unit *unit;
        const char *name;
        char path[64];
        int r;

        (void) userdata;
        read_state();
        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        unit = find_unit(name);
        if (!unit)
                return sd_bus_error_set(
                        error, "org.freedesktop.systemd1.NoSuchUnit", "there is no such unit");
        if (state.is_private)
                return sd_bus_error_set(
                        error, SD_BUS_ERROR_ACCESS_DENIED, "Sender is not authorized to send message");

        r = begin_array(m, "(suuutuusu)", &reply);
        for (unsigned i = 0; r >= 0 && i < unit->n_fds; i++)
                r = sd_bus_message_append(reply, "(suuutuusu)", unit->fds[i][0], S_IFREG | 0600, 0, 1,
                        (uint64_t) 1000 + i, 0, 0, unit->fds[i][1], O_RDWR);
        (void) snprintf(
                path, sizeof(path), "pending:[%u fds, %llu bytes]", unit->n_pending, unit->pending_bytes);
        if (r >= 0 && unit->n_pending > 0)
                r = sd_bus_message_append(
                        reply, "(suuutuusu)", "pending", 0, 0, 0, (uint64_t) 0, 0, 0, path, 0);
        return end_array(reply, r);
}

static int get_count(sd_bus *bus, const char *path, const char *interface, const char *property,
        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        (void) bus;
        (void) path;
        (void) interface;
        (void) property;
        (void) userdata;
        (void) error;
        read_state();
        return sd_bus_message_append(reply, "u", state.kexec_count);
}

static int get_of_unit(sd_bus *bus, const char *path, const char *interface, const char *property,
        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct unit *unit = userdata;

        (void) bus;
        (void) path;
        (void) interface;
        (void) error;
        if (strcmp(property, "NFileDescriptorStore") == 0)
                return sd_bus_message_append(reply, "u", unit->n_fds);
        if (strcmp(property, "NFileDescriptorStorePending") == 0)
                return sd_bus_message_append(reply, "u", unit->n_pending);
        if (strcmp(property, "FileDescriptorStorePendingBytes") == 0)
                return sd_bus_message_append(reply, "t", (uint64_t) unit->pending_bytes);
        if (strcmp(property, "FileDescriptorStoreMax") == 0)
                return sd_bus_message_append(reply, "u", 8);
        if (strcmp(property, "ExecMainStartTimestampMonotonic") == 0)
                return sd_bus_message_append(reply, "t", (uint64_t) unit->forked);
        if (strcmp(property, "ExecMainHandoffTimestampMonotonic") == 0)
                return sd_bus_message_append(reply, "t", (uint64_t) unit->handed_over);
        if (strcmp(property, "SurviveFinalKillSignal") == 0)
                return sd_bus_message_append(reply, "b", unit->survives_kill);
        return sd_bus_message_append(reply, "s", unit->preserve);
}

static int find_of_unit(sd_bus *bus, const char *path, const char *interface, void *userdata,
        void **ret_found, sd_bus_error *error) {
        char *name = NULL;
        int r;

        (void) bus;
        (void) interface;
        (void) userdata;
        (void) error;
        read_state();
        r = sd_bus_path_decode(path, "/org/freedesktop/systemd1/unit", &name);
        if (r <= 0)
                return r;
        *ret_found = find_unit(name);
        free(name);
        return *ret_found != NULL;
}

static const sd_bus_vtable bus_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Hello", NULL, "s", on_hello, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("KExecCount", "u", get_count, 0, 0),
        SD_BUS_METHOD("ListJobs", NULL, "a(usssoo)", on_list_jobs, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD(
                "ListUnitsByPatterns", "asas", "a(ssssssouso)", on_list_units, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD(
                "DumpUnitFileDescriptorStore", "s", "a(suuutuusu)", on_dump, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable unit_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("SurviveFinalKillSignal", "b", get_of_unit, 0, 0),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable service_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("NFileDescriptorStore", "u", get_of_unit, 0, 0),
        SD_BUS_PROPERTY("NFileDescriptorStorePending", "u", get_of_unit, 0, 0),
        SD_BUS_PROPERTY("FileDescriptorStorePendingBytes", "t", get_of_unit, 0, 0),
        SD_BUS_PROPERTY("FileDescriptorStoreMax", "u", get_of_unit, 0, 0),
        SD_BUS_PROPERTY("FileDescriptorStorePreserve", "s", get_of_unit, 0, 0),
        SD_BUS_PROPERTY("ExecMainStartTimestampMonotonic", "t", get_of_unit, 0, 0),
        SD_BUS_PROPERTY("ExecMainHandoffTimestampMonotonic", "t", get_of_unit, 0, 0),
        SD_BUS_VTABLE_END,
};

/* Serves one connection to its end. */
static int serve(int fd) {
        sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_fd(bus, fd, fd);
        if (r >= 0)
                r = sd_bus_set_server(bus, 1, (sd_id128_t) { .bytes = { 1 } });
        if (r >= 0)
                r = sd_bus_set_anonymous(bus, 1);
        if (r >= 0)
                r = sd_bus_set_trusted(bus, 1);
        if (r >= 0)
                r = sd_bus_add_object_vtable(
                        bus, NULL, "/org/freedesktop/DBus", "org.freedesktop.DBus", bus_vtable, NULL);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/systemd1",
                        "org.freedesktop.systemd1.Manager", manager_vtable, NULL);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, NULL, "/org/freedesktop/systemd1/unit",
                        "org.freedesktop.systemd1.Unit", unit_vtable, find_of_unit, NULL);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, NULL, "/org/freedesktop/systemd1/unit",
                        "org.freedesktop.systemd1.Service", service_vtable, find_of_unit, NULL);
        if (r >= 0)
                r = sd_bus_start(bus);
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }

        sd_bus_close_unref(bus);
        return r == -ECONNRESET || r == -ENOTCONN ? 0 : r;
}

int main(int argc, char *argv[]) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd, connection;

        if (argc != 3 || strlen(argv[1]) >= sizeof(address.sun_path))
                return 2;
        strcpy(address.sun_path, argv[1]);
        state_path = argv[2];

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 8) < 0)
                return 1;

        while ((connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
                if (serve(connection) < 0)
                        return 1;
        return 1;
}
