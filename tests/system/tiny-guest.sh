# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# In the machine: the virtual machine of luo-example-vm@.service whose guest is the boot sector of
# tests/vm/tiny-guest.S. Source tap.sh and state.sh first.

guest=luo-example-vm@tiny.service
guest_serial=/var/lib/luo-example-vm/tiny/serial
guest_memory=$((16 * 1048576))

configure_guest() {
    mkdir -p /etc/luo-example-vm
    cat >/etc/luo-example-vm/tiny.conf <<'END'
MEMORY=16M
ARGUMENTS=-machine pc,accel=tcg -nodefaults -display none \
    -drive file=/usr/local/lib/luo-test/tiny-guest,format=raw,if=floppy,readonly=on \
    -chardev file,id=serial,path=serial,append=on -serial chardev:serial
END
}

guest_rounds() { grep -c ^count "$guest_serial"; }

guest_has_counted_to() { (($(guest_rounds) >= $1)); }

# It is at work, and not only there
guest_counts() { eventually guest_has_counted_to $(($(guest_rounds) + 3)); }

# guest_booted TIMES: and each round follows from the one before
guest_booted() { /usr/local/lib/luo-test/read-tiny-guest "$guest_serial" "$1"; }

# charged_for_guest SPARE: all of its memory, and at most so many bytes more
charged_for_guest() { between "$guest_memory" $((guest_memory + $1)) "$(shared_memory "$guest")"; }
