/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * PID 1 of "luo-vm --tiny": runs one program per boot, tells the host how it went, and does a kexec to the next boot
 * or powers off. Processes that the program leaves behind stay until then, with the LUO sessions they hold.
 *
 * The host provides four virtio devices: the ports luo-vm.output and luo-vm.control, and two disks, /dev/vda with the
 * initramfs and /dev/vdb with the kernel for the next boot.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int control_fd = -1;
static char command_line[4096];

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        if (control_fd >= 0)
                (void) vdprintf(control_fd, format, ap);
        va_end(ap);
}

static _Noreturn void power_off(void) {
        sync();
        (void) reboot(RB_POWER_OFF);
        for (;;)
                pause();
}

static _Noreturn void fail(const char *what) {
        tell("error %s: %s\n", what, strerror(errno));
        fprintf(stderr, "tiny-init: %s: %s\n", what, strerror(errno));
        power_off();
}

/* Opens the virtio port of that name; without udev there are no symbolic links to find it by. */
static int open_port(const char *wanted) {
        for (unsigned attempt = 0; attempt < 90000; attempt++) {
                DIR *ports = opendir("/sys/class/virtio-ports");
                struct dirent *entry;

                while (ports && (entry = readdir(ports))) {
                        char path[600], name[64] = "";
                        int fd;

                        if (entry->d_name[0] == '.')
                                continue;
                        (void) snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
                        fd = open(path, O_RDONLY | O_CLOEXEC);
                        if (fd < 0)
                                continue;
                        if (read(fd, name, sizeof(name) - 1) < 0)
                                name[0] = 0;
                        (void) close(fd);
                        name[strcspn(name, "\n")] = 0;
                        if (strcmp(name, wanted) != 0)
                                continue;

                        (void) snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
                        fd = open(path, O_RDWR | O_CLOEXEC);
                        if (fd >= 0) {
                                (void) closedir(ports);
                                return fd;
                        }
                }

                if (ports)
                        (void) closedir(ports);
                (void) usleep(10000);
        }

        errno = ENODEV;
        return -1;
}

/* The last one counts: the command line of a later boot ends with its own. */
static int number_from_command_line(const char *key) {
        int value = 0;

        for (char *p = command_line; (p = strstr(p, key)); p += strlen(key))
                value = atoi(p + strlen(key));

        return value;
}

/* kexec_file_load(2) wants regular files. */
static int copy_to_file(const char *device, const char *file) {
        int in, out;
        ssize_t n;

        in = open(device, O_RDONLY | O_CLOEXEC);
        if (in < 0)
                return -1;
        out = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (out < 0)
                return -1;

        do
                n = sendfile(out, in, NULL, 16 << 20);
        while (n > 0);
        (void) close(in);
        (void) close(out);
        if (n < 0)
                return -1;

        /* Not open for writing any more, or the kernel says ETXTBSY */
        return open(file, O_RDONLY | O_CLOEXEC);
}

static int run_program(int output_fd, int boot) {
        static char buffer[65536];
        char *arguments[256], boot_variable[32];
        size_t n = 0;
        ssize_t size;
        int fd, status;
        pid_t pid;

        fd = open("/command", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                fail("/command");
        size = read(fd, buffer, sizeof(buffer) - 1);
        (void) close(fd);
        if (size <= 0)
                fail("/command");
        for (char *p = buffer; p < buffer + size && n < sizeof(arguments) / sizeof(arguments[0]) - 1;
                p += strlen(p) + 1)
                arguments[n++] = p;
        arguments[n] = NULL;

        (void) snprintf(boot_variable, sizeof(boot_variable), "LUO_BOOT=%i", boot);

        pid = fork();
        if (pid < 0)
                fail("fork");
        if (pid == 0) {
                char *environment[] = { boot_variable, (char *) "PATH=/program", (char *) "HOME=/", NULL };

                if (dup2(output_fd, STDOUT_FILENO) < 0 || dup2(output_fd, STDERR_FILENO) < 0 || setsid() < 0)
                        _exit(126);
                execve(arguments[0], arguments, environment);
                fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
                _exit(127);
        }

        for (;;) {
                pid_t ended = waitpid(-1, &status, 0);

                if (ended == pid)
                        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                if (ended < 0 && errno != EINTR)
                        fail("waitpid");
        }
}

int main(void) {
        int boot, kexecs, output_fd, kernel_fd, initramfs_fd, fd;
        char *last;
        ssize_t n;

        (void) mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, NULL);
        (void) mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        (void) mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        (void) mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, NULL);
        (void) mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);

        fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
        n = fd >= 0 ? read(fd, command_line, sizeof(command_line) - 1) : -1;
        if (n < 0)
                fail("/proc/cmdline");
        (void) close(fd);
        command_line[strcspn(command_line, "\n")] = 0;
        boot = number_from_command_line(" luo_vm.boot=");
        kexecs = number_from_command_line(" luo_vm.kexecs=");

        control_fd = open_port("luo-vm.control");
        if (control_fd < 0)
                fail("luo-vm.control");
        output_fd = open_port("luo-vm.output");
        if (output_fd < 0)
                fail("luo-vm.output");

        tell("boot %i\n", boot);
        tell("status %i\n", run_program(output_fd, boot));

        if (boot >= kexecs) {
                tell("end\n");
                power_off();
        }

        initramfs_fd = copy_to_file("/dev/vda", "/tmp/initramfs");
        kernel_fd = copy_to_file("/dev/vdb", "/tmp/vmlinuz");
        if (initramfs_fd < 0 || kernel_fd < 0)
                fail("cannot read the next kernel");

        last = strstr(command_line, " luo_vm.boot=");
        if (!last)
                fail("luo_vm.boot=");
        (void) snprintf(
                last, sizeof(command_line) - (size_t) (last - command_line), " luo_vm.boot=%i", boot + 1);

        if (syscall(SYS_kexec_file_load, kernel_fd, initramfs_fd, strlen(command_line) + 1, command_line,
                    0UL) < 0)
                fail("kexec_file_load");
        (void) unlink("/tmp/initramfs");
        (void) unlink("/tmp/vmlinuz");

        (void) reboot((int) LINUX_REBOOT_CMD_KEXEC);
        fail("kexec");
}
