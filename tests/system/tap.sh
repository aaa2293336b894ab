# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Test cases of scripts that luo-vm runs once per boot, as one TAP stream: the numbers go on from script to script and
# from boot to boot. LUO_TEST is the script's name, LUO_BOOT the number of its boot.

tap_folder=/var/lib/luo-test
mkdir -p "$tap_folder"
[ -e "$tap_folder/number" ] || echo 0 >"$tap_folder/number"

no_answer=/run/fd-store-report.no-answer

# give_up REASON: the test ends here and now, as nothing that followed would be a finding. The machine goes off, which
# no busy PID 1 is asked for, and luo-vm runs no further boot.
give_up() {
    echo "Bail out! $LUO_TEST, boot $LUO_BOOT: $1"
    systemctl poweroff --force --force
    sleep infinity
}

# eventually COMMAND...: until it succeeds, or for as long as no machine takes that works
eventually() {
    local output end=$((SECONDS + 900))
    until output=$("$@" 2>&1); do
        ((SECONDS < end)) || {
            echo "not within 15 minutes: $*"
            echo "$output"
            return 1
        }
        sleep 0.1
    done
}

# check NAME COMMAND...: a test case; what the command prints is shown if it fails
check() {
    local name="$LUO_TEST, boot $LUO_BOOT: $1" number output
    shift
    number=$(($(<"$tap_folder/number") + 1))
    echo "$number" >"$tap_folder/number"
    if output=$("$@" 2>&1); then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' <<<"$*
$output"
        : >"$tap_folder/failed"
    fi
    [ ! -e "$no_answer" ] || give_up "$(<"$no_answer")"
}

# equal EXPECTED FOUND
equal() {
    [ "$1" = "$2" ] || {
        echo "found \"$2\", expected \"$1\""
        return 1
    }
}

# finish KEXECS [UNIT...]: the test ends in its last boot, and leaves nothing of the units to the tests that go on
finish() {
    if [ "$LUO_BOOT" -ge "$1" ]; then
        [ $# -eq 1 ] || check "nothing is left for other tests" forget "${@:2}"
        : >"$tap_folder/finished-$LUO_TEST"
    fi
    exit
}

forget() { systemctl stop "$@" && systemctl clean --what=fdstore "$@"; }
