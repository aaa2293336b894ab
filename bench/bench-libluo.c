/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What libluo costs over raw ioctls, and how its time grows with the number of file descriptors. Run over one kexec, by
 * scripts/bench; the counts of the growth table are its arguments.
 *
 * Raw calls and libluo's take turns in small groups, so that whatever else the machine does meets both.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/resource.h>

#include "internal.h"
#include "kernel-abi.h"

enum {
        N_CALLS = 1000, /* of each kind, in each round */
        GROUP = 50,
        N_ROUNDS = 7, /* of preserving, which can be done again; the median counts */
};

#define MUST(expression)                                                                                     \
        do {                                                                                                 \
                if (!(expression)) {                                                                         \
                        fprintf(stderr, "%s:%i: %s does not hold\n", __FILE__, __LINE__, #expression);       \
                        exit(EXIT_FAILURE);                                                                  \
                }                                                                                            \
        } while (0)

static double now(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double) ts.tv_sec + (double) ts.tv_nsec * 1e-9;
}

static int open_session(bool incoming, const char *name) {
        int device_fd = libluo_device_open(UINT64_C(5000000)), fd;

        MUST(device_fd >= 0);
        fd = incoming ? libluo_session_retrieve(device_fd, name) : libluo_session_create(device_fd, name);
        MUST(fd >= 0);
        close_fd(device_fd);
        return fd;
}

/* What a service keeps is small things, mostly: a page each. */
static int make_memfd(void) {
        int fd = memfd_create("bench", MFD_CLOEXEC);

        MUST(fd >= 0);
        MUST(write(fd, "x", 1) == 1);
        return fd;
}

static int raw_preserve(int session_fd, int fd, uint64_t token) {
        struct kernel_luo_fd argument = { .size = sizeof(argument), .fd = fd, .token = token };

        return ioctl(session_fd, KERNEL_LUO_PRESERVE_FD, &argument);
}

static int raw_retrieve(int session_fd, uint64_t token) {
        struct kernel_luo_fd argument = { .size = sizeof(argument), .fd = -1, .token = token };

        return ioctl(session_fd, KERNEL_LUO_RETRIEVE_FD, &argument) < 0 ? -1 : argument.fd;
}

static int compare(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return x < y ? -1 : x > y;
}

static double smaller(double a, double b) {
        return a < b ? a : b;
}

static double median(double *values, size_t n) {
        qsort(values, n, sizeof(*values), compare);
        return values[n / 2];
}

static void print_ratio(const char *what, double raw, double libluo) {
        printf("%-38s %9.2f us %9.2f us   %.3f\n", what, raw / N_CALLS * 1e6, libluo / N_CALLS * 1e6,
                libluo / raw);
}

/* -------------------------------------------------------------------------------------------------- overhead ---- */

enum kind { RAW, LIBLUO, BUNDLE, N_KINDS };

struct side {
        int session_fd;
        libluo_bundle_writer *writer; /* of BUNDLE */
        libluo_bundle *bundle;
        int fds[N_CALLS];
};

static void preserve_group(enum kind kind, const struct side *side, size_t start) {
        for (size_t i = start; i < start + GROUP; i++)
                switch (kind) {
                case RAW:
                        MUST(raw_preserve(side->session_fd, side->fds[i], i + 1) == 0);
                        break;
                case LIBLUO:
                        MUST(libluo_session_preserve(side->session_fd, side->fds[i], i + 1) == 0);
                        break;
                default:
                        MUST(libluo_bundle_writer_add(side->writer, side->fds[i], "state", 0) == 0);
                }
}

static void retrieve_group(enum kind kind, struct side *side, size_t start, bool again) {
        for (size_t i = start; i < start + GROUP; i++) {
                switch (kind) {
                case RAW:
                        side->fds[i] = raw_retrieve(side->session_fd, i + 1);
                        break;
                case LIBLUO:
                        side->fds[i] = libluo_session_retrieve_fd(side->session_fd, i + 1);
                        break;
                default:
                        side->fds[i] = libluo_bundle_take(side->bundle, i, again ? LIBLUO_TAKE_AGAIN : 0);
                }
                MUST(side->fds[i] >= 0);
        }
}

static const char *const session_names[N_KINDS] = { "bench-raw", "bench-libluo", "bench-bundle" };
static struct side sides[N_KINDS];

static void bench_preserve(void) {
        double times[N_KINDS][N_ROUNDS], raw;

        for (size_t kind = 0; kind < N_KINDS; kind++)
                for (size_t i = 0; i < N_CALLS; i++)
                        sides[kind].fds[i] = make_memfd();

        for (size_t round = 0; round < N_ROUNDS; round++) {
                double sum[N_KINDS] = {};

                for (size_t kind = 0; kind < N_KINDS; kind++)
                        sides[kind].session_fd = open_session(false, session_names[kind]);
                MUST(libluo_bundle_writer_new(sides[BUNDLE].session_fd, 0, &sides[BUNDLE].writer) == 0);

                for (size_t start = 0; start < N_CALLS; start += GROUP)
                        for (size_t turn = 0; turn < N_KINDS; turn++) {
                                /* Who comes first changes each time */
                                enum kind kind = (enum kind)((turn + start / GROUP + round) % N_KINDS);
                                double t = now();

                                preserve_group(kind, sides + kind, start);
                                sum[kind] += now() - t;
                        }

                libluo_bundle_writer_free(sides[BUNDLE].writer);
                for (size_t kind = 0; kind < N_KINDS; kind++) {
                        times[kind][round] = sum[kind];
                        close_fd(sides[kind].session_fd);
                }
        }

        raw = median(times[RAW], N_ROUNDS);
        printf("%-38s %12s %12s   %s\n", "per call, of 1000 memfds of one page", "raw ioctl", "libluo",
                "ratio");
        print_ratio("preserve: libluo_session_preserve()", raw, median(times[LIBLUO], N_ROUNDS));
        print_ratio("preserve: libluo_bundle_writer_add()", raw, median(times[BUNDLE], N_ROUNDS));

        for (size_t kind = 0; kind < N_KINDS; kind++)
                for (size_t i = 0; i < N_CALLS; i++)
                        close_fd(sides[kind].fds[i]);
}

/* For the next boot: one session for each kind of call, with the same in it. */
static void leave_sessions(void) {
        int raw_fd = open_session(false, "bench-raw"), libluo_fd = open_session(false, "bench-libluo"),
            bundle_fd = open_session(false, "bench-bundle");
        libluo_bundle_writer *writer;

        MUST(libluo_bundle_writer_new(bundle_fd, 0, &writer) == 0);
        for (size_t i = 0; i < N_CALLS; i++) {
                int a = make_memfd(), b = make_memfd(), c = make_memfd();

                MUST(raw_preserve(raw_fd, a, i + 1) == 0);
                MUST(libluo_session_preserve(libluo_fd, b, i + 1) == 0);
                MUST(libluo_bundle_writer_add(writer, c, "state", 0) == 0);
                close_fd(a);
                close_fd(b);
                close_fd(c);
        }
        MUST(libluo_bundle_writer_write(writer, 0) == 0);
        libluo_bundle_writer_free(writer);
        /* The sessions stay open */
}

static void bench_retrieve(void) {
        for (size_t kind = 0; kind < N_KINDS; kind++)
                sides[kind].session_fd = open_session(true, session_names[kind]);
        MUST(libluo_bundle_open(sides[BUNDLE].session_fd, 0, &sides[BUNDLE].bundle) == 0);

        /* The first retrieve of a token, which is the dear one, and any later */
        for (int again = 0; again < 2; again++) {
                double sum[N_KINDS] = {};

                for (size_t start = 0; start < N_CALLS; start += GROUP)
                        for (size_t turn = 0; turn < N_KINDS; turn++) {
                                enum kind kind = (enum kind)((turn + start / GROUP) % N_KINDS);
                                double t = now();

                                retrieve_group(kind, sides + kind, start, again);
                                sum[kind] += now() - t;
                        }

                print_ratio(again ? "again: libluo_session_retrieve_fd()"
                                  : "retrieve: libluo_session_retrieve_fd()",
                        sum[RAW], sum[LIBLUO]);
                print_ratio(again ? "again: libluo_bundle_take()" : "retrieve: libluo_bundle_take()",
                        sum[RAW], sum[BUNDLE]);

                for (size_t kind = 0; kind < N_KINDS; kind++)
                        for (size_t i = 0; i < N_CALLS; i++)
                                close_fd(sides[kind].fds[i]);
        }

        libluo_bundle_free(sides[BUNDLE].bundle);
        for (size_t kind = 0; kind < N_KINDS; kind++)
                close_fd(sides[kind].session_fd);
}

/* ---------------------------------------------------------------------------------------------------- growth ---- */

static void session_name(char name[static 64], const char *kind, size_t n) {
        (void) snprintf(name, 64, "growth-%s-%zu", kind, n);
}

/* Preserves n files by raw ioctls, and as many as a bundle, some times over: the difference is what libluo does. */
static void bench_growth_outgoing(size_t n) {
        enum { AS_BUNDLE = 1 }; /* beside RAW */
        double times[2], best[2] = { 1e9, 1e9 };
        int *fds[2], raw_fd, bundle_fd;
        libluo_bundle_writer *writer;
        char name[64];

        for (size_t kind = 0; kind < 2; kind++) {
                fds[kind] = calloc(n, sizeof(*fds[kind]));
                MUST(fds[kind]);
                for (size_t i = 0; i < n; i++)
                        fds[kind][i] = make_memfd();
        }

        for (int round = 0; round < 3; round++) {
                double t;

                session_name(name, "raw", n);
                raw_fd = open_session(false, name);
                session_name(name, "bundle", n);
                bundle_fd = open_session(false, name);

                times[RAW] = 0;
                t = now();
                MUST(libluo_bundle_writer_new(bundle_fd, 0, &writer) == 0);
                times[AS_BUNDLE] = now() - t;
                for (size_t start = 0; start < n; start += GROUP)
                        for (size_t turn = 0; turn < 2; turn++) {
                                size_t kind = (turn + start / GROUP + (size_t) round) % 2;

                                t = now();
                                for (size_t i = start; i < n && i < start + GROUP; i++)
                                        if (kind == RAW)
                                                MUST(raw_preserve(raw_fd, fds[kind][i], i + 1) == 0);
                                        else
                                                MUST(libluo_bundle_writer_add(
                                                             writer, fds[kind][i], "state", 0) == 0);
                                times[kind] += now() - t;
                        }
                t = now();
                MUST(libluo_bundle_writer_write(writer, 0) == 0);
                times[AS_BUNDLE] += now() - t;

                for (size_t kind = 0; kind < 2; kind++)
                        best[kind] = smaller(best[kind], times[kind]);
                libluo_bundle_writer_free(writer);
                close_fd(raw_fd);
                if (round < 2) /* the last one is for the next boot */
                        close_fd(bundle_fd);
        }

        printf("%8zu  %9.1f us %9.1f us %9.1f us\n", n, best[RAW] / (double) n * 1e6,
                best[AS_BUNDLE] / (double) n * 1e6, (best[AS_BUNDLE] - best[RAW]) / (double) n * 1e6);

        for (size_t kind = 0; kind < 2; kind++) {
                for (size_t i = 0; i < n; i++)
                        close_fd(fds[kind][i]);
                free(fds[kind]);
        }
}

static void bench_growth_incoming(size_t n) {
        char name[64];
        int *fds, session_fd;
        double t, take_time, raw;
        libluo_bundle *bundle;

        fds = calloc(n, sizeof(*fds));
        MUST(fds);

        session_name(name, "bundle", n);
        session_fd = open_session(true, name);

        /* The first retrieve is the kernel's own work; what libluo does comes on top, with cheap second references */
        t = now();
        for (size_t i = 0; i < n; i++)
                MUST((fds[i] = raw_retrieve(session_fd, i + 1)) >= 0);
        raw = now() - t;
        for (size_t i = 0; i < n; i++)
                close_fd(fds[i]);

        t = now();
        for (size_t i = 0; i < n; i++)
                MUST((fds[i] = raw_retrieve(session_fd, i + 1)) >= 0);
        double again = now() - t;
        for (size_t i = 0; i < n; i++)
                close_fd(fds[i]);

        t = now();
        MUST(libluo_bundle_open(session_fd, 0, &bundle) == 0);
        MUST(libluo_bundle_take_all(bundle, fds, n, 0) == (ssize_t) n);
        take_time = now() - t;

        printf("%8zu  %9.1f us %9.1f us %9.1f us\n", n, raw / (double) n * 1e6,
                (raw + take_time - again) / (double) n * 1e6, (take_time - again) / (double) n * 1e6);

        for (size_t i = 0; i < n; i++)
                close_fd(fds[i]);
        libluo_bundle_free(bundle);
        free(fds);
        close_fd(session_fd);
}

int main(int argc, char *argv[]) {
        const char *boot = getenv("LUO_BOOT");
        bool incoming = boot && boot[0] == '1';
        struct rlimit limit;

        /* Root may raise it, others take what they have */
        limit = (struct rlimit) { .rlim_cur = 65536, .rlim_max = 65536 };
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
                MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
                limit.rlim_cur = limit.rlim_max;
                MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        }

        if (incoming)
                bench_retrieve();
        else {
                bench_preserve();
                leave_sessions();
        }

        printf("\n%s, per file descriptor:\n%8s  %12s %12s %12s\n",
                incoming ? "taking a bundle" : "building a bundle", "number", "raw ioctls", "libluo",
                "its share");
        for (int i = 1; i < argc; i++) {
                size_t n = strtoul(argv[i], NULL, 10);

                MUST(n > 0);
                if (incoming)
                        bench_growth_incoming(n);
                else
                        bench_growth_outgoing(n);
        }
        printf("\n");
        fflush(stdout);

        if (!incoming && fork() == 0) /* keeps the sessions until the kexec */
                for (;;)
                        pause();
        return EXIT_SUCCESS;
}
