/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "internal.h"
#include "test.h"

/* See docs/format.md */
enum {
        CHECKSUM = 64,
        NEXT_SEQUENCE = 128,
        MISSED = 136,
        OVERWRITTEN = 144,
        BEGIN = 152,
        END = 160,
        HEADER = 4096,
        RECORD = 32
};

/* With the NUL: 16 bytes */
static const uint8_t machine_id[16] = "a machine's id.", boot_id[16] = "a boot's own id";

/* The kernel's end and ours of what is read like /dev/kmsg: one record at a time, without blocking */
struct kmsg {
        int kernel, reader;
};

static struct kmsg kmsg_open(void) {
        int fds[2], size = 4 << 20;

        REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) >= 0);
        REQUIRE(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) >= 0);
        return (struct kmsg) { fds[0], fds[1] };
}

static void kmsg_close(struct kmsg k) {
        close_fd(k.kernel);
        close_fd(k.reader);
}

static void kmsg_send(struct kmsg k, const char *data, size_t size) {
        REQUIRE(send(k.kernel, data, size, 0) == (ssize_t) size);
}

/* A record of the kernel's, with text of that many bytes, which depends on its number. Returns its size. */
static size_t kmsg_record(uint64_t sequence, size_t text_size, char ret[LIBLUO_LOG_RECORD_MAX]) {
        int n = snprintf(ret, 100, "6,%llu,%llu,-;", (unsigned long long) sequence,
                (unsigned long long) sequence * 10);

        for (size_t i = 0; i < text_size; i++)
                ret[(size_t) n + i] = (char) ('a' + (sequence + i) % 26);
        return (size_t) n + text_size;
}

static void kmsg_log(struct kmsg k, uint64_t sequence, size_t text_size) {
        static char record[LIBLUO_LOG_RECORD_MAX];

        kmsg_send(k, record, kmsg_record(sequence, text_size, record));
}

static libluo_log *new_log(uint64_t first_sequence) {
        libluo_log *log;

        REQUIRE(libluo_log_new(machine_id, boot_id, first_sequence, LIBLUO_LOG_SIZE_MIN, &log) == 0);
        return log;
}

static libluo_log_info info_of(const libluo_log *log) {
        libluo_log_info info;

        REQUIRE(libluo_log_get_info(log, &info, sizeof(info)) == 0);
        return info;
}

static libluo_log *reopen(const libluo_log *log) {
        libluo_log *read;

        REQUIRE(libluo_log_open(libluo_log_get_fd(log), UINT64_MAX, &read) == 0);
        return read;
}

/* The next record is that one, whole. */
static bool is_next(libluo_log *log, uint64_t sequence, size_t text_size) {
        static char expected[LIBLUO_LOG_RECORD_MAX];
        size_t size = kmsg_record(sequence, text_size, expected);
        libluo_log_record r = {};

        return libluo_log_next(log, &r) == 1 && r.sequence == sequence && r.size == size &&
                memcmp(r.data, expected, size) == 0 && r.realtime_usec > 0 && r.monotonic_usec > 0;
}

static void test_new(void) {
        libluo_log *log = NULL;
        libluo_log_info info;

        CHECK_EQUAL(libluo_log_new(machine_id, boot_id, 0, LIBLUO_LOG_SIZE_MIN - 4096, &log), -EINVAL);
        CHECK_EQUAL(libluo_log_new(machine_id, boot_id, 0, LIBLUO_LOG_SIZE_MAX + 4096, &log), -EINVAL);
        CHECK_EQUAL(libluo_log_new(machine_id, boot_id, 0, LIBLUO_LOG_SIZE_MIN + 1, &log), -EINVAL);
        CHECK_EQUAL(libluo_log_new(NULL, boot_id, 0, LIBLUO_LOG_SIZE_MIN, &log), -EINVAL);
        CHECK_EQUAL(libluo_log_new(machine_id, NULL, 0, LIBLUO_LOG_SIZE_MIN, &log), -EINVAL);
        CHECK_EQUAL(libluo_log_new(machine_id, boot_id, 0, LIBLUO_LOG_SIZE_MIN, NULL), -EINVAL);
        CHECK(!log);

        log = new_log(77);
        info = info_of(log);
        CHECK(memcmp(info.machine_id, machine_id, 16) == 0 && memcmp(info.boot_id, boot_id, 16) == 0);
        CHECK_EQUAL(info.size, LIBLUO_LOG_SIZE_MIN);
        CHECK_EQUAL(info.first_sequence, 77);
        CHECK_EQUAL(info.next_sequence, 77);
        CHECK_EQUAL(info.n_missed + info.n_overwritten + info.n_damaged, 0);
        CHECK(fcntl(libluo_log_get_fd(log), F_GETFD) & FD_CLOEXEC);
        CHECK(!libluo_log_free(log));
        CHECK(!libluo_log_free(NULL));
}

static void test_memory_is_there(void) {
        libluo_log *log = new_log(0);
        struct stat st;

        REQUIRE(fstat(libluo_log_get_fd(log), &st) >= 0);
        CHECK_EQUAL(st.st_size, LIBLUO_LOG_SIZE_MIN);
        CHECK(st.st_blocks * 512 >= (long long) LIBLUO_LOG_SIZE_MIN);
        (void) libluo_log_free(log);
}

static void test_records(void) {
        libluo_log *log = new_log(10), *read;
        struct kmsg k = kmsg_open();
        libluo_log_record r;

        /* Before the first; a gap; none of text; the longest that there can be */
        kmsg_log(k, 8, 5);
        kmsg_log(k, 9, 5);
        kmsg_log(k, 10, 5);
        kmsg_log(k, 14, 0);
        CHECK_EQUAL(libluo_log_drain(log, k.reader), 0);
        CHECK_EQUAL(libluo_log_drain(log, k.reader), 0);
        kmsg_log(k, 15, LIBLUO_LOG_RECORD_MAX - 12);
        CHECK_EQUAL(libluo_log_drain(log, k.reader), 0);
        CHECK_EQUAL(info_of(log).n_missed, 3);
        CHECK_EQUAL(info_of(log).next_sequence, 16);

        read = reopen(log);
        CHECK(memcmp(info_of(read).boot_id, boot_id, 16) == 0);
        CHECK_EQUAL(info_of(read).n_missed, 3);
        CHECK(is_next(read, 10, 5));
        CHECK(is_next(read, 14, 0));
        CHECK(is_next(read, 15, LIBLUO_LOG_RECORD_MAX - 12));
        CHECK_EQUAL(libluo_log_next(read, &r), 0);
        CHECK_EQUAL(libluo_log_next(read, &r), 0);
        CHECK_EQUAL(info_of(read).n_damaged, 0);

        (void) libluo_log_free(read);
        (void) libluo_log_free(log);
        kmsg_close(k);
}

static void test_newest_are_kept(void) {
        libluo_log *log = new_log(0);
        struct kmsg k = kmsg_open();
        const uint64_t n = 20000;
        size_t n_read = 0;

        for (uint64_t i = 0; i < n; i++) {
                kmsg_log(k, i, (i * 7919) % 1500);
                CHECK_EQUAL(libluo_log_drain(log, k.reader), 0);

                /* Wherever it is cut off, what is there can be read. */
                if (i % 500 == 499 || i == n - 1) {
                        libluo_log *read = reopen(log);
                        uint64_t first = info_of(log).n_overwritten;

                        n_read = 0;
                        for (uint64_t at = first; at <= i; at++, n_read++)
                                CHECK(is_next(read, at, (at * 7919) % 1500));
                        CHECK_EQUAL(libluo_log_next(read, &(libluo_log_record) {}), 0);
                        CHECK_EQUAL(info_of(read).n_damaged, 0);
                        (void) libluo_log_free(read);
                }
        }
        /* As many as there is room for: 64 KiB, at about 780 bytes */
        CHECK(n_read > 60);
        CHECK_EQUAL(info_of(log).n_missed, 0);

        (void) libluo_log_free(log);
        kmsg_close(k);
}

static void test_child_and_parent(void) {
        libluo_log *log = new_log(1), *read;
        struct kmsg k = kmsg_open(), again = kmsg_open();
        int status;
        pid_t pid;

        for (uint64_t i = 1; i <= 20; i++)
                kmsg_log(k, i, 10);

        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0)
                _exit(libluo_log_drain(log, k.reader) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
        REQUIRE(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);

        /* The parent's own file description begins with what the child has had. */
        for (uint64_t i = 1; i <= 30; i++)
                kmsg_log(again, i, 10);
        CHECK_EQUAL(libluo_log_drain(log, again.reader), 0);

        read = reopen(log);
        for (uint64_t i = 1; i <= 30; i++)
                CHECK(is_next(read, i, 10));
        CHECK_EQUAL(libluo_log_next(read, &(libluo_log_record) {}), 0);
        CHECK_EQUAL(info_of(log).n_missed, 0);

        (void) libluo_log_free(read);
        (void) libluo_log_free(log);
        kmsg_close(k);
        kmsg_close(again);
}

static void test_skipped(void) {
        libluo_log *log = new_log(10), *read;
        struct kmsg k = kmsg_open();
        libluo_log_record record;
        uint64_t skipped_at;

        for (uint64_t i = 10; i < 20; i++)
                kmsg_log(k, i, 5);
        CHECK_EQUAL(libluo_log_drain(log, k.reader), 0);
        skipped_at = now_usec();
        while (now_usec() <= skipped_at)
                ;
        CHECK_EQUAL(libluo_log_skip(log, 12), 0);
        CHECK_EQUAL(libluo_log_skip(log, 16), 0);
        CHECK_EQUAL(libluo_log_skip(log, 12), 0);
        CHECK_EQUAL(info_of(log).first_sequence, 16);

        /* What somebody else has logged until then is older than what is left. */
        read = reopen(log);
        CHECK_EQUAL(libluo_log_next(read, &record), 1);
        CHECK_EQUAL(record.sequence, 16);
        CHECK(record.monotonic_usec > skipped_at && record.monotonic_usec <= now_usec());
        (void) libluo_log_free(read);

        read = reopen(log);
        for (uint64_t i = 16; i < 20; i++)
                CHECK(is_next(read, i, 5));
        CHECK_EQUAL(libluo_log_next(read, &(libluo_log_record) {}), 0);
        CHECK_EQUAL(info_of(read).n_damaged, 0);
        (void) libluo_log_free(read);

        /* Somebody else was faster: nothing of it is missing. */
        CHECK_EQUAL(libluo_log_skip(log, 30), 0);
        kmsg_log(k, 29, 5);
        kmsg_log(k, 30, 5);
        CHECK_EQUAL(libluo_log_drain(log, k.reader), 0);
        CHECK_EQUAL(info_of(log).n_missed, 0);
        read = reopen(log);
        CHECK(is_next(read, 30, 5));
        CHECK_EQUAL(libluo_log_skip(read, 31), -EINVAL);
        CHECK_EQUAL(libluo_log_skip(NULL, 31), -EINVAL);
        (void) libluo_log_free(read);

        (void) libluo_log_free(log);
        kmsg_close(k);
}

static void test_not_a_record(void) {
        static const char *const bad[] = {
                "no record",
                "6",
                "6,",
                "6,7",
                "6,7,1,-",
                "6,,1,-;x",
                "6,x,1,-;x",
                "6,-7,1,-;x",
                "6,7x,1,-;x",
                "6,18446744073709551615,1,-;x",
                "6,18446744073709551616,1,-;x",
                "6,99999999999999999999,1,-;x",
                ";6,7",
        };
        libluo_log *log = new_log(0), *read;
        struct kmsg k = kmsg_open();

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                kmsg_send(k, bad[i], strlen(bad[i]));
                CHECK_EQUAL(libluo_log_drain(log, k.reader), -EIO);
        }

        /* What comes behind it is not lost. */
        kmsg_send(k, bad[0], strlen(bad[0]));
        kmsg_log(k, 0, 4);
        CHECK_EQUAL(libluo_log_drain(log, k.reader), -EIO);
        read = reopen(log);
        CHECK(is_next(read, 0, 4));
        CHECK_EQUAL(libluo_log_next(read, &(libluo_log_record) {}), 0);

        (void) libluo_log_free(read);
        (void) libluo_log_free(log);
        kmsg_close(k);
}

/* A file with so many records of SAMPLE bytes in it, SAMPLE_DATA of them data; to be changed and opened */
enum { SAMPLE_DATA = 53, SAMPLE = 88 };

static uint8_t *sample(unsigned n, size_t *ret_size) {
        libluo_log *log = new_log(100);
        struct kmsg k = kmsg_open();
        uint8_t *data;

        for (unsigned i = 0; i < n; i++)
                kmsg_log(k, 100 + i, 40);
        REQUIRE(libluo_log_drain(log, k.reader) == 0);
        REQUIRE(libluo_internal_read_file(libluo_log_get_fd(log), LIBLUO_LOG_SIZE_MAX, &data, ret_size) == 0);
        (void) libluo_log_free(log);
        kmsg_close(k);
        return data;
}

static int open_data(const uint8_t *data, size_t size, libluo_log **ret) {
        int fd, r;

        fd = libluo_internal_sealed_memfd("log", data, size);
        REQUIRE(fd >= 0);
        r = libluo_log_open(fd, LIBLUO_LOG_SIZE_MAX, ret);
        close_fd(fd);
        return r;
}

static unsigned count(libluo_log *log) {
        libluo_log_record r;
        unsigned n = 0;

        while (libluo_log_next(log, &r) > 0)
                n++;
        return n;
}

static void test_damaged_record(void) {
        size_t size;
        uint8_t *data = sample(20, &size);

        /* Whatever bit of one record is wrong: the others are there, or at least those before it. */
        for (size_t at = 0; at < SAMPLE; at++) {
                size_t record = HEADER + 3 * (size_t) SAMPLE;
                libluo_log *log;
                unsigned n;

                data[record + at] ^= 0x40;
                REQUIRE(open_data(data, size, &log) == 0);
                n = count(log);
                if (at >= 4 && at < 8) /* its size */
                        CHECK(n >= 3 && n < 20);
                else
                        CHECK(n == 19 || (at >= RECORD + SAMPLE_DATA && n == 20)); /* padding */
                CHECK((n == 20) == (info_of(log).n_damaged == 0));
                (void) libluo_log_free(log);
                data[record + at] ^= 0x40;
        }
        free(data);
}

static void test_bad_header(void) {
        size_t size;
        uint8_t *data = sample(20, &size);
        libluo_log *log = NULL;

        for (size_t at = 0; at < CHECKSUM + 4; at++) {
                data[at] ^= 0x40;
                CHECK_EQUAL(open_data(data, size, &log), at >= 12 && at < 16 ? -EPROTONOSUPPORT : -EBADMSG);
                data[at] ^= 0x40;
        }

        CHECK_EQUAL(open_data(data, size - 1, &log), -EBADMSG);
        CHECK_EQUAL(open_data(data, 100, &log), -EBADMSG);
        CHECK_EQUAL(open_data(data, 0, &log), -EBADMSG);

        put_u64(data + END, get_u64(data + BEGIN) + size);
        CHECK_EQUAL(open_data(data, size, &log), -EBADMSG);
        put_u64(data + BEGIN, 8);
        put_u64(data + END, 0);
        CHECK_EQUAL(open_data(data, size, &log), -EBADMSG);
        CHECK(!log);

        /* Far behind everything: the sums must not overflow */
        put_u64(data + BEGIN, UINT64_MAX - 100);
        put_u64(data + END, UINT64_MAX);
        CHECK_EQUAL(open_data(data, size, &log), 0);
        CHECK(count(log) <= 1);
        (void) libluo_log_free(log);
        free(data);
}

static void test_repeated_records(void) {
        size_t size;
        uint8_t *data = sample(2, &size);
        libluo_log *log;

        /* The first one again in the place of the second: its checksum is good, its number is not. */
        memcpy(data + HEADER + SAMPLE, data + HEADER, SAMPLE);
        CHECK_EQUAL(open_data(data, size, &log), 0);
        CHECK_EQUAL(count(log), 1);
        CHECK_EQUAL(info_of(log).n_damaged, 1);
        (void) libluo_log_free(log);
        free(data);
}

static void test_later_version(void) {
        size_t size;
        uint8_t *data = sample(20, &size);
        libluo_log *log;

        data[8] = 0xff; /* features that a reader may ignore */
        put_u32(data + CHECKSUM, libluo_internal_crc32c(0, data, CHECKSUM));
        CHECK_EQUAL(open_data(data, size, &log), 0);
        CHECK_EQUAL(count(log), 20);
        (void) libluo_log_free(log);
        free(data);
}

static void test_wrong_use(void) {
        libluo_log *log = new_log(0), *read = reopen(log), *none = NULL;
        libluo_log_record r;
        libluo_log_info info;
        struct kmsg k = kmsg_open();
        uint8_t small[20], large[sizeof(info) + 8];

        CHECK_EQUAL(libluo_log_get_fd(read), -EINVAL);
        CHECK_EQUAL(libluo_log_get_fd(NULL), -EINVAL);
        CHECK_EQUAL(libluo_log_drain(read, k.reader), -EINVAL);
        CHECK_EQUAL(libluo_log_drain(NULL, k.reader), -EINVAL);
        CHECK_EQUAL(libluo_log_drain(log, -1), -EBADF);
        CHECK_EQUAL(libluo_log_next(log, &r), -EINVAL);
        CHECK_EQUAL(libluo_log_next(NULL, &r), -EINVAL);
        CHECK_EQUAL(libluo_log_next(read, NULL), -EINVAL);
        CHECK_EQUAL(libluo_log_get_info(NULL, &info, sizeof(info)), -EINVAL);
        CHECK_EQUAL(libluo_log_get_info(log, NULL, sizeof(info)), -EINVAL);
        CHECK_EQUAL(libluo_log_open(-1, UINT64_MAX, &none), -EBADF);
        CHECK_EQUAL(libluo_log_open(libluo_log_get_fd(log), UINT64_MAX, NULL), -EINVAL);
        CHECK_EQUAL(libluo_log_open(libluo_log_get_fd(log), LIBLUO_LOG_SIZE_MIN - 1, &none), -EBADMSG);
        CHECK_EQUAL(libluo_log_open(k.reader, UINT64_MAX, &none), -EBADMSG);
        CHECK(!none);

        /* Who has another header */
        memset(large, 0xff, sizeof(large));
        CHECK_EQUAL(libluo_log_get_info(log, (libluo_log_info *) large, sizeof(large)), 0);
        CHECK_EQUAL(get_u64(large + sizeof(info)), 0);
        CHECK_EQUAL(libluo_log_get_info(log, (libluo_log_info *) small, sizeof(small)), 0);
        CHECK(memcmp(small, machine_id, 16) == 0);

        (void) libluo_log_free(read);
        (void) libluo_log_free(log);
        kmsg_close(k);
}

static const struct test_case cases[] = {
        { "an empty log", test_new },
        { "all memory is allocated", test_memory_is_there },
        { "records come back, gaps are counted", test_records },
        { "the newest are kept, the others counted", test_newest_are_kept },
        { "a child and then its parent write", test_child_and_parent },
        { "what somebody else has read", test_skipped },
        { "what is no record of the kernel", test_not_a_record },
        { "a damaged record costs itself", test_damaged_record },
        { "a damaged header is refused", test_bad_header },
        { "a record that is there twice", test_repeated_records },
        { "a later version's log", test_later_version },
        { "wrong use", test_wrong_use },
};

TEST_MAIN(cases)
