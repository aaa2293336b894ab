# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# In the machine: what PID 1 says of a kexec right before it (io.systemd.LiveUpdate.Check), and whether it has come true
# after it. A PID 1 without this interface is not asked. A test that itself changes what systemd-shutdown does, behind
# PID 1's back, says so by "not_foretold".

foretold=/var/lib/luo-test/foretold
foretold_socket=/run/systemd/io.systemd.Manager
# Gone in the next boot
foretold_not=/run/luo-test/not-foretold

not_foretold() { mkdir -p "${foretold_not%/*}" && : >"$foretold_not"; }

# foretell: what is said is kept on disk, or why nothing was said
foretell() {
    rm -f "$foretold"
    [ -S "$foretold_socket" ] && [ ! -e "$foretold_not" ] || return 0
    varlinkctl list-interfaces "$foretold_socket" 2>/dev/null | grep -x io.systemd.LiveUpdate >/dev/null || return 0
    varlinkctl call --more --json=short "$foretold_socket" io.systemd.LiveUpdate.Check '{}' 2>&1 |
        tr -d '\036' >"$foretold"
}

# "UNIT<tab>NUMBER" of what is there of each unit that was not started since, in its store or pending
foretold_units() {
    local units
    mapfile -t units < <(jq -r '.entry.unit // empty' "$foretold" | sort -u)
    [ ${#units[@]} -eq 0 ] ||
        paste <(printf '%s\n' "${units[@]}") <(
            systemctl show -p NFileDescriptorStore,NFileDescriptorStorePending,InvocationID -- "${units[@]}" |
                awk -v RS= -v FS='\n' '{
                    for (i = 1; i <= NF; i++) { split($i, pair, "="); value[pair[1]] = pair[2] }
                    number = value["NFileDescriptorStore"] + value["NFileDescriptorStorePending"]
                    print value["InvocationID"] ? "" : number
                }'
        )
}

# What is said to survive is there and not told as lost, and what is said to be lost is told. Nothing is known before of
# what depends on how the service ends.
foretold_wrong() {
    # shellcheck disable=SC2016 # variables of jq
    jq -n -r --slurpfile said "$foretold" --argjson now "$1" --arg units "$(foretold_units)" '
        def key: [.unit, .name];
        def certain: .verdict == "survives" and (.reason // "" | startswith("if the service succeeds") | not);
        def tells($entry): key == ($entry | key) or (.unit == $entry.unit and .name == null);

        ($now.runtime.LiveUpdateLosses // []) as $losses |
        [$units | split("\n")[] | split("\t") | select((.[1] // "") != "") | {(.[0]): .[1] | tonumber}] as $numbers |
        ($numbers | add // {}) as $numbers |
        [$said[].entry | values | select(.unit)] as $entries |
        [$entries[] | select(certain | not)] as $others |
        ([$said[].summary | values][0] // "nothing was said" | objects.liveUpdateAvailable) as $available |

        ([$entries[] | select(certain)] | group_by(key)[] | .[0] as $first |
            [$losses[] | select(tells($first))] as $told |
            select(($told | length) > ([$others[] | select(tells($first))] | length)) |
            "\($first.unit) \($first.name // "-") was said to survive, and is lost: \($told[0].reason)"),
        ([$entries[] | select(certain)] | group_by(.unit)[] | .[0].unit as $unit |
            (map(.fileDescriptors // 0) | add) as $number |
            select($numbers[$unit] != null and $numbers[$unit] < $number) |
            "\($unit): of \($number) that were said to survive there are \($numbers[$unit])"),
        # There may be more than PID 1 keeps
        ([$entries[] | select(.verdict == "lost" and $available and ($losses | length) < 1000)] | group_by(key)[] |
            .[0] as $first | [$losses[] | select(tells($first))] as $told |
            select(($told | length) < length and all($told[]; .name != null)) |
            "\($first.unit) \($first.name // "-") was said to be lost (\($first.reason)), and is not told")'
}

come_true() {
    local now
    jq -e -s 'any(.[]; .summary)' "$foretold" >/dev/null || {
        cat "$foretold"
        return 1
    }
    now=$(varlinkctl call --json=short "$foretold_socket" io.systemd.Manager.Describe '{}') || return
    # Another systemd than the one that has said it
    [ "$(jq '.runtime | has("LiveUpdateAvailable")' <<<"$now")" = true ] || return 0
    equal "" "$(foretold_wrong "$now")"
}

# check_foretold: after a kexec, before anything is started; a test case if something was said
check_foretold() {
    [ -e "$foretold" ] || return 0
    LUO_TEST=kexec check "what was said to survive has survived, and what was said to be lost is told" come_true
    rm -f "$foretold"
}
