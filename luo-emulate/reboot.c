/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include <linux/reboot.h>

#include "answers.h"
#include "internal.h"

int64_t answer_reboot(struct supervisor *s, const struct seccomp_notif *request) {
        static const struct {
                uint32_t command;
                const char *name;
                enum boot_end end;
        } commands[] = {
                { LINUX_REBOOT_CMD_KEXEC, "kexec", BOOT_ENDED_BY_KEXEC },
                { LINUX_REBOOT_CMD_RESTART, "restart", BOOT_ENDED_BY_REBOOT },
                { LINUX_REBOOT_CMD_RESTART2, "restart", BOOT_ENDED_BY_REBOOT },
                { LINUX_REBOOT_CMD_HALT, "halt", BOOT_ENDED_BY_REBOOT },
                { LINUX_REBOOT_CMD_POWER_OFF, "power-off", BOOT_ENDED_BY_REBOOT },
                { LINUX_REBOOT_CMD_CAD_ON, "cad-on", BOOT_RUNS },
                { LINUX_REBOOT_CMD_CAD_OFF, "cad-off", BOOT_RUNS },
        };
        uint32_t magic = (uint32_t) request->data.args[1], command = (uint32_t) request->data.args[2];

        if ((uint32_t) request->data.args[0] != LINUX_REBOOT_MAGIC1 ||
                (magic != LINUX_REBOOT_MAGIC2 && magic != LINUX_REBOOT_MAGIC2A &&
                        magic != LINUX_REBOOT_MAGIC2B && magic != LINUX_REBOOT_MAGIC2C))
                return -EINVAL;

        for (size_t i = 0; i < ELEMENTS(commands); i++) {
                if (commands[i].command != command)
                        continue;

                trace_begin(&s->trace);
                trace_process(&s->trace, (pid_t) request->pid);
                trace_word(&s->trace, "operation", "reboot");
                trace_word(&s->trace, "command", commands[i].name);
                trace_result(&s->trace, 0);
                trace_end(&s->trace);

                if (commands[i].end == BOOT_RUNS)
                        return 0;

                s->end = commands[i].end;
                s->reboot_command = commands[i].name;
                return ANSWER_NONE;
        }

        return -EINVAL;
}
