# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# What the demos share. Source scripts/lib.sh first.

# demonstrate NAME SYSTEMD PROVEN LOST LUO-VM-ARGUMENT...: runs it in the machine, says what it has shown, and exits
demonstrate() {
    local name=$1 systemd=$2 proven=$3 lost=$4 status=0
    "$top/tests/vm/luo-vm" --log "$cache/logs/$name-console.log" "${@:5}" || status=$?

    echo
    case $status in
    0)
        echo "Proven: $proven"
        ;;
    1)
        echo "LOST: $lost"
        ;;
    *)
        echo "The demo did not come to its end (status $status)."
        ;;
    esac
    echo "This was $systemd."
    exit "$status"
}
