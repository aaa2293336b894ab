# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# A systemd for luoctl to ask: source it with $work set and a fake-manager as $fake_manager. $work/state says what it
# has.

: >"$work/state"
"$fake_manager" "$work/bus" "$work/state" &
fake_manager_pid=$!
for _ in {1..100}; do
    [ ! -S "$work/bus" ] || break
    sleep 0.1
done
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/bus

end_fake_manager() { kill "$fake_manager_pid" && wait "$fake_manager_pid"; } 2>/dev/null
