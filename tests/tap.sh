# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Test cases in bash, as TAP. Source it, call check or skip for each, and finish at the end.

tap_number=0
tap_failed=0

# check NAME COMMAND...: a test case; what the command prints is shown if it fails
check() {
    local name=$1 output
    shift
    tap_number=$((tap_number + 1))
    if output=$("$@" 2>&1); then
        echo "ok $tap_number - $name"
    else
        echo "not ok $tap_number - $name"
        # On stderr, too: meson shows that of a test that failed
        sed 's/^/# /' <<<"$name: $output" | tee /dev/stderr
        tap_failed=1
    fi
}

# skip NAME WHY
skip() {
    tap_number=$((tap_number + 1))
    echo "ok $tap_number - $1 # SKIP $2"
}

# fails STATUS PATTERN COMMAND...: the command has to fail with this status and say something that matches
fails() {
    local expected=$1 pattern=$2 output status=0
    shift 2
    output=$("$@" 2>&1) || status=$?
    [ "$status" -eq "$expected" ] || {
        echo "$*: status $status, not $expected: $output"
        return 1
    }
    grep -E -- "$pattern" <<<"$output" >/dev/null || {
        echo "$*: does not say \"$pattern\" but: $output"
        return 1
    }
}

# equal EXPECTED FOUND
equal() {
    [ "$1" = "$2" ] || {
        echo "found \"$2\", expected \"$1\""
        return 1
    }
}

finish() {
    echo "1..$tap_number"
    exit "$tap_failed"
}
