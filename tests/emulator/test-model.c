/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The parts of the emulator that need no program to emulate for: hash table, faults, and the rules of LUO. */

#include <fcntl.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include "faults.h"
#include "hash.h"
#include "internal.h"
#include "kernel-model.h"
#include "memory.h"
#include "test.h"

static int memfd(const char *text) {
        int fd;

        fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        REQUIRE(fd >= 0);
        REQUIRE(write(fd, text, strlen(text)) == (ssize_t) strlen(text));
        return fd;
}

static void test_hash_table(void) {
        static struct hash_item items[1000], same[3];
        struct hash_table table = {};
        const struct hash_item *item;
        size_t n = 0;

        CHECK(!hash_table_find(&table, 5));
        for (uint64_t i = 0; i < ELEMENTS(items); i++)
                REQUIRE(hash_table_add(&table, items + i, i << 40) == 0);
        for (size_t i = 0; i < ELEMENTS(same); i++)
                REQUIRE(hash_table_add(&table, same + i, 5) == 0);
        CHECK_EQUAL(table.n_items, 1003);

        for (uint64_t i = 0; i < ELEMENTS(items); i++)
                CHECK(hash_table_find(&table, i << 40) == items + i);
        hash_table_remove(&table, same + 1);
        for (item = hash_table_find(&table, 5); item; item = hash_item_next(item)) {
                CHECK(item == same || item == same + 2);
                n++;
        }
        CHECK_EQUAL(n, 2);

        for (size_t i = 0; i < ELEMENTS(items); i++)
                hash_table_remove(&table, items + i);
        CHECK(!hash_table_find(&table, UINT64_C(7) << 40));
        hash_table_done(&table);
        CHECK(!hash_table_find(&table, 5));
}

static void add_fault(struct faults *faults, const char *specification) {
        const char *reason;

        CHECK_EQUAL(faults_add(faults, specification, &reason), 0);
}

static void test_faults(void) {
        struct faults faults = {};

        add_fault(&faults, "preserve:a:b:7=EIO");
        add_fault(&faults, "preserve:a:b=ENOSPC*2");
        add_fault(&faults, "1/retrieve:*:0x10=5");
        add_fault(&faults, "create:x=y=EEXIST");
        add_fault(&faults, "retrieve-session:n:1=EIO");

        /* A colon belongs to the name unless a number follows the last one */
        CHECK_EQUAL(faults_check(&faults, 0, OPERATION_PRESERVE, "a:b", 7), -EIO);
        CHECK_EQUAL(faults_check(&faults, 0, OPERATION_PRESERVE, "a:b", 8), -ENOSPC);
        CHECK_EQUAL(faults_check(&faults, 0, OPERATION_PRESERVE, "a", 8), 0);
        CHECK_EQUAL(faults_check(&faults, 3, OPERATION_PRESERVE, "a:b", 8), -ENOSPC);
        CHECK_EQUAL(faults_check(&faults, 3, OPERATION_PRESERVE, "a:b", 8), 0);
        CHECK_EQUAL(faults_check(&faults, 1, OPERATION_RETRIEVE, "any", 16), -EIO);
        CHECK_EQUAL(faults_check(&faults, 1, OPERATION_RETRIEVE, "any", 17), 0);
        CHECK_EQUAL(faults_check(&faults, 2, OPERATION_RETRIEVE, "any", 16), 0);
        CHECK_EQUAL(faults_check(&faults, 0, OPERATION_CREATE, "x=y", 0), -EEXIST);
        CHECK_EQUAL(faults_check(&faults, 0, OPERATION_OPEN, NULL, 0), 0);
        /* Where there is no token, a number is part of the name */
        CHECK_EQUAL(faults_check(&faults, 0, OPERATION_RETRIEVE_SESSION, "n:1", 0), -EIO);

        faults_done(&faults);
        CHECK_EQUAL(error_from_string("EOPNOTSUPP"), EOPNOTSUPP);
        CHECK_EQUAL(error_from_string("-5"), 0);
        CHECK_EQUAL(error_from_string(""), 0);
}

static struct session *create(struct kernel_model *kernel, const char *text) {
        uint8_t name[KERNEL_LUO_NAME_SIZE] = {};
        struct session *session = NULL;

        memcpy(name, text, strlen(text));
        REQUIRE(kernel_create_session(kernel, name, &session) == 0);
        return session;
}

static void test_order_of_errors(void) {
        struct faults faults = {};
        struct kernel_model kernel;
        struct session *session;
        int fd = memfd("x"), path_fd, fds[2];

        add_fault(&faults, "preserve=ENOMEM*1");
        kernel_model_init(&kernel, &faults);
        session = create(&kernel, "a");
        REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
        path_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
        REQUIRE(path_fd >= 0);

        CHECK_EQUAL(kernel_preserve(&kernel, session, 1, -1), -EBADF);
        CHECK_EQUAL(kernel_preserve(&kernel, session, 1, path_fd), -EBADF);
        CHECK_EQUAL(kernel_preserve(&kernel, session, 1, fds[0]), -ENOENT);
        CHECK(!kernel.fault_injected);
        CHECK_EQUAL(kernel_preserve(&kernel, session, 1, fd), -ENOMEM);
        CHECK(kernel.fault_injected);
        CHECK_EQUAL(kernel_preserve(&kernel, session, 1, fd), 0);
        CHECK_EQUAL(kernel_preserve(&kernel, session, 1, -1), -EEXIST);
        CHECK_EQUAL(kernel_preserve(&kernel, session, 2, fd), -EBUSY);

        kernel_model_done(&kernel);
        faults_done(&faults);
        close_fd(path_fd);
        close_fd(fds[0]);
        close_fd(fds[1]);
}

static void test_kexec(void) {
        int fd = memfd("before"), back = -1, again = -1;
        uint8_t name[KERNEL_LUO_NAME_SIZE] = "a";
        struct session *session, *outgoing;
        struct faults faults = {};
        struct kernel_model kernel;
        int error = 0;
        struct stat st;
        char text[8] = {}, *mapped;

        kernel_model_init(&kernel, &faults);
        session = create(&kernel, "a");
        mapped = mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        REQUIRE(mapped != MAP_FAILED);
        REQUIRE(fstat(fd, &st) == 0 && lseek(fd, 4, SEEK_SET) == 4);
        CHECK_EQUAL(kernel_preserve(&kernel, session, 1, fd), 0);
        CHECK(kernel_find_frozen(&kernel, st.st_dev, st.st_ino));

        kernel_freeze(&kernel);
        CHECK_EQUAL(kernel_kexec(&kernel, &error), 0);
        CHECK_EQUAL(kernel.boot, 1);
        CHECK(!kernel_find_frozen(&kernel, st.st_dev, st.st_ino));

        /* Who still has the old memory mapped does not reach the new one */
        memcpy(mapped, "behind", 6);
        outgoing = create(&kernel, "a");
        CHECK_EQUAL(kernel_retrieve_session(&kernel, name, &session), 0);
        CHECK_EQUAL(kernel_retrieve_session(&kernel, name, &session), -EINVAL);
        CHECK_EQUAL(kernel_retrieve(&kernel, session, 2, geteuid(), getegid(), &back), -ENOENT);
        CHECK_EQUAL(kernel_retrieve(&kernel, session, 1, geteuid(), getegid(), &back), 0);
        CHECK_EQUAL(kernel_retrieve(&kernel, session, 1, geteuid(), getegid(), &again), 0);
        CHECK_EQUAL(back, again);
        CHECK(pread(back, text, sizeof(text), 0) == 6);
        CHECK_STRING(text, "before");
        CHECK_EQUAL(lseek(back, 0, SEEK_CUR), 4);
        CHECK_EQUAL(kernel_preserve(&kernel, outgoing, 1, back), -EBUSY);

        back = dup(back);
        CHECK_EQUAL(kernel_finish(&kernel, session), 0);
        CHECK_EQUAL(kernel_preserve(&kernel, outgoing, 1, back), 0);
        CHECK_EQUAL(kernel_kexec(&kernel, &error), 0);
        CHECK_EQUAL(kernel_retrieve_session(&kernel, name, &session), 0);
        CHECK_EQUAL(session->n_files, 1);

        kernel_model_done(&kernel);
        (void) munmap(mapped, 6);
}

static void test_copy(void) {
        int seals = F_SEAL_WRITE | F_SEAL_SHRINK, fd = memfd("sealed"), narrow, copy;
        char path[64], text[8] = {};
        struct stat st;

        /* Open for writing only, and with a mode that lets nobody read */
        REQUIRE(fchmod(fd, 0200) == 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        narrow = open(path, O_WRONLY | O_CLOEXEC);
        REQUIRE(narrow >= 0);

        copy = memory_copy(narrow, 6, seals, 3);
        REQUIRE(copy >= 0);
        CHECK(pread(copy, text, sizeof(text), 0) == 6);
        CHECK_STRING(text, "sealed");
        CHECK_EQUAL(fcntl(copy, F_GET_SEALS), seals);
        CHECK_EQUAL(lseek(copy, 0, SEEK_CUR), 3);
        CHECK(fstat(copy, &st) == 0 && (st.st_mode & 07777) == 0777);
        CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0200);
        close_fd(copy);
        close_fd(narrow);
        close_fd(fd);
}

static const struct test_case cases[] = {
        { "hash table", test_hash_table },
        { "faults", test_faults },
        { "order of errors", test_order_of_errors },
        { "kexec", test_kexec },
        { "copies", test_copy },
};

TEST_MAIN(cases)
