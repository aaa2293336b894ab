# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# In the machine: faults, as "faults" and "faults-beside" make them.

files=/etc/systemd/system
hook=/run/faults-hook

# service NAME LINE...: one that does what it is told
service() {
    local name=$1
    shift
    printf '%s\n' '[Unit]' StartLimitIntervalSec=0 "${unit_lines[@]}" '[Service]' Type=notify \
        FileDescriptorStoreMax=20 FileDescriptorStorePreserve=yes \
        "ExecStart=/usr/local/bin/fd-store-service $name commands run" "$@" >"$files/$name"
}

with_state() { systemctl start "$1" && tell "$1" "store state ${2:-1} 4 rw"; }

state_of() { equal "$2" "$(property "$1" ActiveState)"; }

install_hook() {
    mkdir -p /usr/lib/systemd/system-shutdown
    printf '%s\n' '#!/bin/sh' "[ ! -x $hook ] || exec $hook" >/usr/lib/systemd/system-shutdown/faults
    chmod +x /usr/lib/systemd/system-shutdown/faults
}

# Once systemd-shutdown is about to preserve: the rest is done, nothing else runs any more
before_preserving() {
    printf '%s\n' '#!/bin/sh' "$@" >"$hook"
    chmod +x "$hook"
    not_foretold
}

# Lines of a hook. What they say on the console is looked for there: without the fault nothing would be shown
fills_run() {
    # shellcheck disable=SC2016 # for the hook
    printf '%s\n' 'head -c 4G /dev/zero >/run/filled 2>/dev/null' \
        'echo "faults: $(stat -f -c %a /run) blocks of /run are free" >/dev/console'
}

# holds_device SECONDS: opened before the hook ends, or the hook fails
holds_device() {
    printf '%s\n' 'exec 3<>/dev/liveupdate' "setsid sleep $1 >/dev/null 2>&1 &" \
        "echo 'faults: /dev/liveupdate is held for $1 s' >/dev/console"
}

fill_run() { ! head -c 4G /dev/zero >/run/filled 2>/dev/null; }

# The exitrd does the last step, and brings the kernel down instead of the kexec
panic_after_preserving() {
    mkdir -p /run/initramfs
    cp /usr/local/bin/exitrd /run/initramfs/shutdown
    : >/run/initramfs/panic
    not_foretold
}

# faults-holder.service has the device open in the middle of the boot, for a while
holder_at_boot() {
    local unit_lines=(After=systemd-journald.service Before=multi-user.target)
    service faults-holder.service NotifyAccess=all ExecStart= \
        "ExecStart=bash -c 'until { exec 3<>/dev/liveupdate; } 2>/dev/null; do sleep 0.1; done; \
            systemd-notify --ready; exec sleep 4'" \
        '[Install]' WantedBy=multi-user.target
}

# kill_executor UNIT BYTES: stops what executes the service and takes its state, when it has taken so much, and kills it
kill_executor() {
    local cgroup=/sys/fs/cgroup/system.slice/$1 pid='' bytes=0 end=$((SECONDS + 120))
    systemctl --no-block start "$1"
    until [ -n "$pid" ] && ((bytes >= $2)); do
        ((SECONDS < end)) || {
            echo "nothing is taken: process ${pid:-none}, $bytes bytes"
            return 1
        }
        read -r pid <"$cgroup/cgroup.procs"
        read -r bytes <"$cgroup/memory.current"
    done 2>/dev/null
    kill -STOP "$pid" && says 'systemd-executor$' readlink "/proc/$pid/exe" && kill -KILL "$pid"
}
