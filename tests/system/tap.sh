# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Test cases of a script that luo-vm runs once per boot, as one TAP stream: the numbers go on from boot to boot.

tap_folder=/var/lib/luo-test
mkdir -p "$tap_folder"
[ -e "$tap_folder/number" ] || echo 0 >"$tap_folder/number"

no_answer=/run/fd-store-report.no-answer

# give_up REASON: the test ends here and now, as nothing that followed would be a finding. The machine goes off, which no
# busy PID 1 is asked for, and luo-vm runs no further boot.
give_up() {
    echo "Bail out! boot $LUO_BOOT: $1"
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
    local name="boot $LUO_BOOT: $1" number output
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

# finish KEXECS: the plan, in the last boot; the exit status in each
finish() {
    [ "$LUO_BOOT" -lt "$1" ] || echo "1..$(<"$tap_folder/number")"
    [ ! -e "$tap_folder/failed" ]
    exit
}
