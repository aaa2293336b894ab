# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# In the machine: questions about units and what they have stored.

# verified UNIT TEXT: what its fd-store-service said of the fds it got, at its last start
verified() { equal "verified $2" "$(cat "/run/fd-store-report/$1")"; }

# The report of a start that is to come has to be the first line
start_anew() {
    local unit
    for unit; do
        rm -f "/run/fd-store-report/$unit"
    done
    systemctl start "$@"
}

property() { systemctl show -P "$2" "$1"; }

# stored UNIT STORED PENDING: numbers of fds in its store, and of those that are still in the kernel
stored() { equal "$2 $3" "$(property "$1" NFileDescriptorStore) $(property "$1" NFileDescriptorStorePending)"; }

# pending UNIT NUMBER: that many, and nothing in its store
pending() { stored "$1" 0 "$2"; }

# says PATTERN COMMAND...: whatever its exit status, as "systemctl status" has one for each state
says() {
    local pattern=$1 output
    shift
    output=$("$@" 2>&1)
    grep -E -- "$pattern" <<<"$output" >/dev/null || {
        echo "$*: does not say \"$pattern\" but: $output"
        return 1
    }
}

# in_journal PATTERN UNIT: by PID 1 or the unit, in this boot
in_journal() { says "$1" journalctl -b --no-pager -o cat -u "$2"; }

# drop_in UNIT LINE...: for [Service]; without lines it goes away
drop_in() {
    local folder=/etc/systemd/system/$1.d
    shift
    rm -rf "$folder"
    if [ $# -gt 0 ]; then
        mkdir -p "$folder"
        printf '%s\n' '[Service]' "$@" >"$folder/test.conf"
    fi
}

reload_with() { drop_in "$@" && systemctl daemon-reload; }

# between LOW HIGH NUMBER
between() {
    (($1 <= $3 && $3 <= $2)) || {
        echo "$3 is not between $1 and $2"
        return 1
    }
}

# charged UNIT MIB: within 5 %
charged() { between $(($2 * 1048576 * 95 / 100)) $(($2 * 1048576 * 105 / 100)) "$(property "$1" MemoryCurrent)"; }

# Shared memory, of memfds above all, that is charged to a unit, in bytes
shared_memory() { awk '$1 == "shmem" { print $2 }' "/sys/fs/cgroup$(property "$1" ControlGroup)/memory.stat"; }

# available KIB: so much memory at least
available() {
    local found
    found=$(meminfo MemAvailable)
    ((found >= $1)) || {
        echo "$found KiB are available, not $1"
        return 1
    }
}

# frees MIB COMMAND...: the machine has that much more memory afterwards, or most of it
frees() {
    local mib=$1 before
    shift
    before=$(meminfo MemAvailable)
    # Freeing is done when the last reference is gone, which may be a moment later
    "$@" && eventually available $((before + mib * 1024 * 8 / 10))
}

# refused COMMAND...: it has to fail
refused() {
    ! "$@" || {
        echo "$*: was not refused"
        return 1
    }
}

commands=/run/fd-store-commands
# As long as no machine takes that works
answer_time=900

# ask UNIT COMMAND: has a running "commands" service do something, waits until it is done, and prints the answer
ask() {
    local unit answer=
    unit=$(property "$1" Id)
    timeout "$answer_time" sh -c 'echo "$2" >"$1"' sh "$commands/$unit" "$2" &&
        read -r -t "$answer_time" answer <"$commands/$unit.answer"
    printf '%s\n' "$answer"
}

# tell UNIT COMMAND: and the answer has to be that it is done
tell() { equal "done" "$(ask "$@")"; }

# passed UNIT ENTRY...: what a "commands" service got at its last start, as "NAME NUMBER KIB ACCESS"
passed() {
    local unit
    unit=$(property "$1" Id)
    shift
    equal "$(printf '%s\n' "$@" end)" "$(cat "/run/fd-store-report/$unit")"
}

# told_losses PREFIX: "UNIT NAME" of each fd that this boot tells as lost, of units whose names begin so; "-" for a
# whole store
told_losses() {
    journalctl --sync
    journalctl -b -q -o json MESSAGE_ID=8325b9dc7cfd4cd282d9e5a783200ab7 |
        jq -r --arg prefix "$1" 'select(.UNIT | startswith($prefix)) | "\(.UNIT) \(.FD_NAME // "-")"' | sort
}

# The shutdown before this boot is in the journal to its end
last_words() { journalctl -b -1 -q -o cat --no-pager | grep -x "Rebooting with kexec\." >/dev/null; }
