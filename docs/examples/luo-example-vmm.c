/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a virtual machine monitor does with its guest's memory: it is in memfds of the process's own, preserved in LUO
 * sessions while the guest runs. Nothing of it is passed over a socket, as with file descriptors that cannot be;
 * the service manager keeps the sessions. Needs neither privileges nor /dev/liveupdate.
 *
 *   luo-example-vmm [MEBIBYTES]
 *
 * SIGUSR1 plugs in a further bank of memory, in a session that is created at that moment. The "guest" writes all the
 * time. It is paused on SIGTERM, when it notes down checksums; after a kexec these are verified before it goes on.
 *
 * The unit needs LiveUpdateSessionsMax= and FileDescriptorStorePreserve=yes.
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>

#include <libluo.h>

#define VERSION 1
#define BANKS_MAX 8
#define BANK_TOKEN 1
#define TIMEOUT_USEC UINT64_C(30000000)

/* The beginning of each bank. Numbers in the first one are those of the machine. */
struct header {
        uint32_t version;
        uint32_t n_banks;
        uint64_t size;
        uint64_t checksum; /* of what follows, while the guest is paused */
        uint64_t n_writes;
};

static libluo_store *store;
static struct header *banks[BANKS_MAX];
static size_t n_banks;

static int fail(int error, const char *what) {
        fprintf(stderr, "%s: %s\n", what, libluo_strerror(error));
        return error;
}

static uint64_t *words(struct header *bank, size_t *ret_n) {
        *ret_n = (bank->size - sizeof(*bank)) / sizeof(uint64_t);
        return (uint64_t *) (bank + 1);
}

static uint64_t checksum(struct header *bank) {
        uint64_t sum = UINT64_C(0xcbf29ce484222325);
        size_t n;
        const uint64_t *w = words(bank, &n);

        for (size_t i = 0; i < n; i++)
                sum = (sum ^ w[i]) * UINT64_C(0x100000001b3);
        return sum;
}

/* NULL if it cannot be mapped */
static struct header *map(int fd, size_t size) {
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        return memory == MAP_FAILED ? NULL : memory;
}

/*
 * What the last kernel has of a bank. The session is finished: only then can the memory be preserved again. -ENOENT: an
 * earlier process of this service did so, and the guest ended with it.
 */
static int restore_bank(int session_fd, struct header **ret_bank) {
        struct header *bank = NULL;
        off_t size;
        int fd, r = 0;

        fd = libluo_session_retrieve_fd(session_fd, BANK_TOKEN);
        if (fd < 0)
                return fd == -ENOENT ? fd : fail(fd, "cannot retrieve memory");

        size = lseek(fd, 0, SEEK_END);
        if (size >= (off_t) sizeof(*bank))
                bank = map(fd, (size_t) size);
        if (!bank || bank->version != VERSION || bank->size != (uint64_t) size ||
                bank->checksum != checksum(bank))
                r = -EBADMSG;
        if (r >= 0)
                r = libluo_session_finish(session_fd);
        if (r < 0) {
                close(fd);
                return fail(r, "cannot use the memory of the last kernel");
        }

        *ret_bank = bank;
        return fd;
}

static int new_bank(size_t size, struct header **ret_bank) {
        struct header *bank;
        uint64_t *w;
        size_t n;
        int fd;

        fd = libluo_memfd_new("guest-memory", size, 0);
        if (fd < 0)
                return fail(fd, "cannot make memory");
        bank = map(fd, size);
        if (!bank) {
                close(fd);
                return fail(-ENOMEM, "cannot map memory");
        }

        *bank = (struct header) { .version = VERSION, .size = size };
        w = words(bank, &n);
        for (size_t i = 0; i < n; i++)
                w[i] = i * UINT64_C(0x9e3779b97f4a7c15);

        *ret_bank = bank;
        return fd;
}

/*
 * Preserves a bank for the next kernel. What an earlier process of this service has preserved under the name is of a
 * guest that ended with it.
 */
static int preserve_bank(const char *name, int next_fd, int memory_fd) {
        char remove[64];
        int restored_fd, r;

        r = libluo_session_preserve(next_fd, memory_fd, BANK_TOKEN);
        close(next_fd);
        if (r != -EEXIST)
                return r < 0 ? fail(r, "cannot preserve memory") : 0;

        for (int i = 0; i < 2; i++) {
                (void) snprintf(
                        remove, sizeof(remove), "FDSTOREREMOVE=1\nFDNAME=%s%s", name, i == 0 ? "" : ".next");
                r = libluo_notify(remove);
                if (r < 0)
                        return fail(r, "cannot drop the session of an earlier guest");
        }
        r = libluo_store_barrier(store, TIMEOUT_USEC);
        if (r >= 0)
                r = libluo_store_open_session(store, name, 0, TIMEOUT_USEC, &restored_fd, &next_fd);
        if (r < 0)
                return fail(r, "cannot open a session");
        if (restored_fd >= 0)
                close(restored_fd);
        r = libluo_session_preserve(next_fd, memory_fd, BANK_TOKEN);
        close(next_fd);
        return r < 0 ? fail(r, "cannot preserve memory") : 0;
}

/* The next bank: that of the last kernel if there is one, else a new one. Returns 1 if it was restored, 0 if not. */
static int plug_in(size_t size) {
        int restored_fd, next_fd, memory_fd = -ENOENT, r;
        bool restored;
        char name[32];

        if (n_banks == BANKS_MAX)
                return 0;

        (void) snprintf(name, sizeof(name), "guest/bank-%zu", n_banks);
        r = libluo_store_open_session(store, name, 0, TIMEOUT_USEC, &restored_fd, &next_fd);
        if (r < 0)
                return fail(r, "cannot open a session");

        if (restored_fd >= 0) {
                memory_fd = restore_bank(restored_fd, banks + n_banks);
                close(restored_fd);
        }
        restored = memory_fd >= 0;
        if (memory_fd == -ENOENT)
                memory_fd = new_bank(size, banks + n_banks);
        if (memory_fd < 0) {
                close(next_fd);
                return memory_fd;
        }

        r = preserve_bank(name, next_fd, memory_fd);
        close(memory_fd); /* the mapping stays */
        if (r < 0)
                return r;

        n_banks++;
        return restored;
}

static void tell(const char *what) {
        char status[256];

        (void) snprintf(status, sizeof(status),
                "STATUS=%s: %zu banks, %" PRIu64 " MiB in the first, %" PRIu64 " writes", what, n_banks,
                banks[0]->size >> 20, banks[0]->n_writes);
        (void) libluo_notify(status);
        printf("%s\n", status + strlen("STATUS="));
        (void) fflush(stdout);
}

/* A virtual processor at work */
static void run_guest(void) {
        for (size_t b = 0; b < n_banks; b++) {
                size_t n;
                uint64_t *w = words(banks[b], &n);

                for (size_t i = banks[0]->n_writes % 512; i < n; i += 4096)
                        w[i]++;
        }
        banks[0]->n_writes++;
}

static void pause_guest(void) {
        for (size_t b = 0; b < n_banks; b++)
                banks[b]->checksum = checksum(banks[b]);
}

static int start_guest(size_t size) {
        int r;

        r = plug_in(size);
        if (r <= 0) {
                if (r == 0)
                        tell("started");
                return r;
        }
        for (uint32_t b = 1; b < banks[0]->n_banks; b++) {
                r = plug_in(size);
                if (r < 0)
                        return r;
        }

        tell("resumed, checksums are right");
        return 0;
}

int main(int argc, char *argv[]) {
        size_t size = (size_t) (argc > 1 ? strtoul(argv[1], NULL, 10) : 16) << 20;
        struct pollfd signals = { .events = POLLIN };
        struct signalfd_siginfo info;
        sigset_t mask;
        int r;

        r = size == 0 ? -EINVAL : libluo_store_open(0, &store);
        if (r < 0)
                return fail(r, "cannot open the store") ? EXIT_FAILURE : EXIT_SUCCESS;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGUSR1);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        signals.fd = signalfd(-1, &mask, SFD_CLOEXEC);
        if (signals.fd < 0 || start_guest(size) < 0)
                return EXIT_FAILURE;

        banks[0]->n_banks = (uint32_t) n_banks;
        (void) libluo_notify("READY=1");
        for (;;) {
                if (poll(&signals, 1, 10) <= 0) {
                        run_guest();
                        continue;
                }
                if (read(signals.fd, &info, sizeof(info)) != (ssize_t) sizeof(info) ||
                        info.ssi_signo == SIGTERM)
                        break;
                if (plug_in(size) < 0)
                        tell("cannot plug in a bank");
                else {
                        banks[0]->n_banks = (uint32_t) n_banks;
                        tell("plugged in a bank");
                }
        }

        pause_guest();
        tell("paused");
        return EXIT_SUCCESS;
}
