# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# In the machine: what comparison and benchmark measure.

# Microseconds from the start of PID 1 to that of the first service's first process
start_time() {
    local first
    first=$(systemctl show '*.service' -p ExecMainStartTimestampMonotonic --value |
        grep -E '^[1-9]' | sort -n | head -n 1)
    echo $((first - $(systemctl show -P UserspaceTimestampMonotonic)))
}

# KiB of "Shmem", "MemAvailable" and the like
meminfo() { awk -v name="$1:" '$1 == name {print $2}' /proc/meminfo; }
