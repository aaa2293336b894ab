/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kernel-image.h"
#include "kernel.h"
#include "luoctl.h"
#include "program.h"

/* No kernel is larger, compressed and as it is */
#define PAYLOAD_MAX (UINT64_C(256) << 20)
#define CONTENT_MAX (UINT64_C(512) << 20)

/* What a program may take to decompress it: the largest window of xz(1) and zstd(1) that kernels use is 128 MiB */
#define MEMORY_MAX (UINT64_C(1) << 30)

#define BANNER "Linux version "

/*
 * KHO_FDT_COMPATIBLE of include/linux/kho/abi/kexec_handover.h; LUO_ABI_COMPATIBLE of include/linux/kho/abi/luo.h,
 * which before luo-v3 was LUO_FDT_COMPATIBLE, in luo-v1 beside LUO_FDT_SESSION_COMPATIBLE and LUO_FDT_FLB_COMPATIBLE;
 * MEMFD_LUO_FH_COMPATIBLE of include/linux/kho/abi/memfd.h
 */
const char *const abi_names[ABI_MAX] = {
        [ABI_KHO] = "kho",
        [ABI_LUO] = "luo",
        [ABI_SESSION] = "luo-session",
        [ABI_FLB] = "luo-flb",
        [ABI_MEMFD] = "memfd",
};

/* ---- strings ---- */

struct scan {
        struct kernel_abi *abi;
        const char *banner; /* that of the kernel that is looked for, or NULL */
        bool has_banner;
        bool in_device_tree;
        char text[1024]; /* a string that may go on */
        size_t length;   /* of text, or its size: the string is too long for all that is looked for */
        uint64_t n_bytes;
        bool has_device; /* the name of LUO's device is there */
};

/* "memfd-v2": whatever follows the number is part of it */
static void add_version(struct abi_versions *versions, const char *name, const char *text) {
        const char *version = text + strlen(name);

        if (strncmp(text, name, strlen(name)) != 0 || strncmp(version, "-v", 2) != 0 || version[2] < '0' ||
                version[2] > '9' || strlen(text) >= sizeof(versions->strings[0]))
                return;

        for (size_t i = 0; i < versions->n; i++)
                if (strcmp(versions->strings[i], text) == 0)
                        return;
        if (versions->n < ELEMENTS(versions->strings))
                strcpy(versions->strings[versions->n++], text);
}

/*
 * Each one ends with a NUL, and does not follow a character: it stands among other constants, in a device tree, at the
 * beginning of struct luo_ser (include/linux/kho/abi/luo.h) or, that of memfds, behind an address in the kernel (struct
 * liveupdate_file_handler of include/linux/liveupdate.h). In a device tree the byte before it may be any, but not the
 * one before that: it is an offset into a page. The banner is a line, linux_banner of init/version-timestamp.c, may
 * follow anything, and is there twice: init/version.c has one without the number of the build.
 */
static void end_string(struct scan *scan, char end) {
        struct kernel_abi *abi = scan->abi;
        const char *banner;

        scan->text[scan->length] = 0;
        banner = end == '\n' ? strstr(scan->text, BANNER) : NULL;
        if (banner) {
                (void) sscanf(banner, BANNER "%64[0-9A-Za-z.+~_-]", abi->release);
                if (scan->banner && strcmp(banner, scan->banner) == 0)
                        scan->has_banner = true;
        }

        for (size_t i = 0; end == 0 && i < ABI_MAX; i++) {
                add_version(abi->versions + i, abi_names[i], scan->text);
                if (scan->in_device_tree)
                        add_version(abi->versions + i, abi_names[i], scan->text + 1);
        }
        if (end == 0 && strcmp(scan->text, "liveupdate") == 0) /* luo_dev of kernel/liveupdate/luo_core.c */
                scan->has_device = true;
}

static int bad(struct scan *scan, const char *reason) {
        (void) snprintf(scan->abi->reason, sizeof(scan->abi->reason), "%s", reason);
        return -EBADMSG;
}

static int scan_file(struct scan *scan, int fd) {
        char buffer[65536];
        ssize_t n;

        while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
                for (ssize_t i = 0; i < n; i++)
                        if (buffer[i] < ' ' || buffer[i] > '~') {
                                if (scan->length > 0 && scan->length < sizeof(scan->text))
                                        end_string(scan, buffer[i]);
                                scan->length = 0;
                        } else if (scan->length < sizeof(scan->text))
                                scan->text[scan->length++] = buffer[i];

                scan->n_bytes += (uint64_t) n;
                if (scan->n_bytes > CONTENT_MAX)
                        return bad(scan, "it is larger than any kernel");
        }

        return n < 0 ? -errno : 0;
}

/* ---- images ---- */

struct part {
        int fd;
        uint64_t offset, size;
};

/* Reads at an offset of the part; what lies outside of it is not read. */
static bool part_read(const struct part *part, uint64_t offset, void *ret, size_t size) {
        return offset <= part->size && size <= part->size - offset &&
                pread(part->fd, ret, size, (off_t) (part->offset + offset)) == (ssize_t) size;
}

/* Little endian, and at most four bytes; 0 outside of the part */
static uint64_t part_number(const struct part *part, uint64_t offset, size_t size) {
        uint32_t number = 0;

        return part_read(part, offset, &number, size) ? le32toh(number) : 0;
}

static bool part_has(const struct part *part, uint64_t offset, const char *text, size_t size) {
        char found[8];

        return part_read(part, offset, found, size) && memcmp(found, text, size) == 0;
}

static bool part_of(const struct part *part, uint64_t offset, uint64_t size, struct part *ret) {
        if (size == 0 || offset > part->size || size > part->size - offset)
                return false;

        *ret = (struct part) { part->fd, part->offset + offset, size };
        return true;
}

static _Noreturn void become_decompressor(const char *program, int in, int out) {
        struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (null >= 0 && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
                dup2(null, STDERR_FILENO) >= 0 && setrlimit(RLIMIT_AS, &memory) >= 0)
                (void) execl(program, program, "-dc", (char *) NULL);
        _exit(EXIT_CANNOT_EXECUTE);
}

static int scan_output(struct scan *scan, const char *program, int in) {
        int out[2], status, r;
        pid_t pid;

        if (pipe2(out, O_CLOEXEC) < 0)
                return -errno;

        pid = fork();
        if (pid == 0)
                become_decompressor(program, in, out[1]);
        r = pid < 0 ? -errno : 0;
        (void) close(out[1]);
        if (r >= 0)
                r = scan_file(scan, out[0]);
        (void) close(out[0]); /* which ends it, if there was too much */
        while (pid > 0 && waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;

        return r >= 0 && status != 0 ? bad(scan, "it cannot be decompressed: it is damaged") : r;
}

/* What scripts/Makefile.lib of the kernel compresses with; xz also takes the format of lzma. */
static const char *find_decompressor(const struct part *part) {
        static const struct {
                const char *program, *magic;
                size_t size;
        } formats[] = {
                { "gzip", "\x1f\x8b", 2 },
                { "zstd", "\x28\xb5\x2f\xfd", 4 },
                { "xz", "\xfd\x37zXZ", 6 },
                { "xz", "\x5d\0\0", 3 },
                { "bzip2", "BZh", 3 },
                { "lz4", "\x02\x21\x4c\x18", 4 },
                { "lzop", "\x89LZO", 5 },
        };

        for (size_t i = 0; i < ELEMENTS(formats); i++)
                if (part_has(part, 0, formats[i].magic, formats[i].size))
                        return formats[i].program;
        return NULL;
}

static int scan_compressed(struct scan *scan, const struct part *part) {
        const char *name = find_decompressor(part);
        off_t offset = (off_t) part->offset;
        char *program;
        int fd, r;

        if (!name)
                return bad(scan, "it is compressed in a way that is not known here");
        if (part->size > PAYLOAD_MAX)
                return bad(scan, "its payload is larger than that of any kernel");
        r = program_find(name, &program);
        if (r == -ENOENT || r == -EACCES) {
                (void) snprintf(scan->abi->reason, sizeof(scan->abi->reason),
                        "it cannot be decompressed: %s is not installed", name);
                return -ENOPKG;
        }
        if (r < 0)
                return r;

        /* Programs know by the end of a file that the payload is at its end */
        fd = memfd_create("payload", MFD_CLOEXEC);
        for (uint64_t left = part->size; fd >= 0 && left > 0;) {
                ssize_t n = sendfile(fd, part->fd, &offset, left);

                if (n <= 0)
                        break; /* it will be found damaged */
                left -= (uint64_t) n;
        }
        r = fd < 0 || lseek(fd, 0, SEEK_SET) < 0 ? -errno : scan_output(scan, program, fd);
        if (fd >= 0)
                (void) close(fd);
        free(program);
        return r;
}

/* See "Details of Header Fields" in Documentation/arch/x86/boot.rst. */
static int scan_bzimage(struct scan *scan, const struct part *part) {
        uint64_t setup_size = (part_number(part, 0x1f1, 1) ?: 4) + 1, expected;
        struct part payload;
        int r;

        if (part_number(part, 0x206, 2) < 0x208)
                return bad(
                        scan, "its boot protocol, of before Linux 2.6.26, does not say where the payload is");
        if (!part_of(part, setup_size * 512 + part_number(part, 0x248, 4), part_number(part, 0x24c, 4),
                    &payload) ||
                payload.size < 8)
                return bad(scan, "it has no payload, or not all of it: it is damaged");

        /* It ends with the size of its content (arch/x86/boot/compressed/mkpiggy.c), as what gzip makes does anyway. */
        expected = part_number(&payload, payload.size - 4, 4);
        if (strcmp(find_decompressor(&payload) ?: "", "gzip") != 0)
                payload.size -= 4;
        r = scan_compressed(scan, &payload);
        return r >= 0 && scan->n_bytes != expected
                ? bad(scan, "its content has another size than it should: it is damaged")
                : r;
}

/* The section .linux of a unified kernel image, see struct pe_hdr and section_header of include/linux/pe.h. */
static bool find_section(const struct part *part, struct part *ret) {
        uint64_t header = part_number(part, 0x3c, 4), n = part_number(part, header + 6, 2),
                 section = header + 24 + part_number(part, header + 20, 2);

        for (; n > 0 && part_has(part, header, "PE\0", 4); n--, section += 40)
                if (part_has(part, section, ".linux\0", 8))
                        return part_of(part, part_number(part, section + 20, 4),
                                part_number(part, section + 16, 4), ret);
        return false;
}

static int scan_image(struct scan *scan, const struct part *part) {
        struct part inner;

        if (part_has(part, 0x202, "HdrS", 4))
                return scan_bzimage(scan, part);
        /* drivers/firmware/efi/libstub/zboot-header.S */
        if (part_has(part, 0, "MZ\0\0zimg", 8))
                return part_of(part, part_number(part, 8, 4), part_number(part, 12, 4), &inner)
                        ? scan_compressed(scan, &inner)
                        : bad(scan, "it has no payload, or not all of it: it is damaged");
        /* In a section there are no sections; an image that is not compressed may begin like one that has some */
        if (part_has(part, 0, "MZ", 2) && part->offset == 0 && find_section(part, &inner))
                return scan_image(scan, &inner);
        if (find_decompressor(part))
                return scan_compressed(scan, part);
        /* Documentation/arch/arm64/booting.rst, Documentation/arch/riscv/boot-image-header.rst; as far as the file
         * goes */
        if (part_has(part, 0, "\x7f\x45LF", 4) || part_has(part, 56, "ARM\x64", 4) ||
                part_has(part, 56, "RSC\x05", 4))
                return lseek(part->fd, (off_t) part->offset, SEEK_SET) < 0 ? -errno
                                                                           : scan_file(scan, part->fd);

        return bad(scan, "it is no image of a kernel, or one of a kind that is not known here");
}

/* ret_has_banner is set if the image has this one. */
static int read_image(
        const char *path, const char *banner, struct kernel_abi *ret_abi, bool *ret_has_banner) {
        struct kernel_abi abi = {};
        struct scan scan = { .abi = &abi, .banner = banner };
        struct stat st;
        int fd, r;

        /* Not to wait for what is no file */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0)
                r = -errno;
        else if (!S_ISREG(st.st_mode))
                r = bad(&scan, "it is no regular file");
        else
                r = scan_image(&scan, &(struct part) { fd, 0, (uint64_t) st.st_size });
        if (fd >= 0)
                (void) close(fd);
        if (r >= 0 && !*abi.release)
                r = bad(&scan, "there is no Linux kernel in it");

        for (size_t i = 0; r >= 0 && i < ABI_MAX; i++)
                abi.versions[i].known = i != ABI_LUO || abi.versions[i].n > 0 || !scan.has_device;
        if (r >= 0 && !abi.versions[ABI_LUO].known)
                (void) bad(&scan, "it has LUO, but no ABI string that is known here");
        else if (r < 0 && !*abi.reason)
                (void) bad(&scan, strerror(-r));

        *ret_abi = abi;
        *ret_has_banner = scan.has_banner;
        return r;
}

int kernel_abi_read(const char *path, struct kernel_abi *ret_abi) {
        bool has_banner;

        return read_image(path, NULL, ret_abi, &has_banner);
}

/* ---- the kernel that runs ---- */

/*
 * What the next kernel gets: KHO's device tree, and what LUO adds. See kernel/liveupdate/kexec_handover_debugfs.c. A
 * kernel that was itself handed something does not show the former (kho_init() of kernel/liveupdate/kexec_handover.c),
 * but what it got, which it takes only if it is of its own version (kho_populate()).
 */
static void read_debugfs(const char *root, struct kernel_abi *abi) {
        static const char *const files[] = { "out/fdt", "in/fdt", "out/sub_fdts/LUO" };

        for (size_t i = 0; i < ELEMENTS(files); i++) {
                struct scan scan = { .abi = abi, .in_device_tree = true };
                char path[PATH_MAX];
                int fd;

                (void) snprintf(path, sizeof(path), "%s/sys/kernel/debug/kho/%s", root, files[i]);
                fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                if (fd < 0)
                        continue;
                (void) scan_file(&scan, fd);
                (void) close(fd);
        }

        for (size_t i = 0; i <= ABI_FLB; i++)
                abi->versions[i].known = abi->versions[i == ABI_KHO ? ABI_KHO : ABI_LUO].n > 0;
}

void kernel_abi_read_running(const char *root, struct kernel_abi *ret_abi) {
        /* Where distributions have it, with the release in between */
        static const struct {
                const char *before, *after;
        } images[] = { { "/boot/vmlinuz-", "" }, { "/usr/lib/modules/", "/vmlinuz" },
                { "/boot/vmlinuz", NULL } };
        char path[PATH_MAX], banner[512] = "";
        struct kernel_abi abi = {}, image;
        struct kernel_facts facts;
        bool found = false;
        FILE *f;

        kernel_read_facts(root, &facts);
        memcpy(abi.release, facts.release, sizeof(abi.release));
        read_debugfs(root, &abi);

        (void) snprintf(path, sizeof(path), "%s/proc/version", root);
        f = fopen(path, "re");
        if (f && fgets(banner, sizeof(banner), f))
                banner[strcspn(banner, "\n")] = 0;
        if (f)
                (void) fclose(f);

        for (size_t i = 0; !found && i < ELEMENTS(images); i++) {
                char name[128];
                int r;

                (void) snprintf(name, sizeof(name), "%s%s%s", images[i].before,
                        images[i].after ? facts.release : "", images[i].after ?: "");
                (void) snprintf(path, sizeof(path), "%s%s", root, name);
                r = read_image(path, banner, &image, &found);
                found = found && r >= 0; /* whatever its name says */
                if (found ? *image.reason : r != -ENOENT && !*abi.reason)
                        (void) snprintf(abi.reason, sizeof(abi.reason), "%s: %.256s", name,
                                found || r < 0 ? image.reason : "it is not the kernel that runs");
        }

        for (size_t i = 0; found && i < ABI_MAX; i++)
                if (!abi.versions[i].known)
                        abi.versions[i] = image.versions[i];
        if (!*abi.reason)
                (void) snprintf(
                        abi.reason, sizeof(abi.reason), "there is no /boot/vmlinuz-%s", facts.release);

        *ret_abi = abi;
}
