# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034
#
# What all build scripts share. Source it; it sets $top (the checkout) and $cache (everything dear, outside of it).

set -euo pipefail
shopt -s inherit_errexit
umask 022
# What tools say is read here and there
export LC_ALL=C.UTF-8 LANGUAGE=

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${LUO_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/libluo}

# Progress goes to stderr, so that a script's stdout is its result (often one path).
say() {
    printf '%s\n' "$*" >&2
}

die() {
    printf 'error: %s\n' "$1" >&2
    shift
    if [ $# -gt 0 ]; then
        printf '       %s\n' "$@" >&2
    fi
    exit 1
}

# The same folder for all scripts, wherever they run; make and PATH know no such characters in it
[[ $cache == /* ]] || cache=$PWD/$cache
[[ $cache != *[[:space:]:]* ]] ||
    die "The cache's path has a space or a colon in it, with which no kernel can be built: $cache" \
        "Set LUO_CACHE to a folder whose path has neither."
export LUO_CACHE=$cache
mkdir -p "$cache/logs"
[[ ${LUO_KEEP:-0} =~ ^(0|[1-9][0-9]*)$ ]] || die "LUO_KEEP is \"$LUO_KEEP\"; it has to be a number."

# The Debian releases that packages are taken from: images, tools; the kernel may come from either of the last. Tools
# stay what they are when images are of unstable, where packages to build with cannot be installed on many a day.
debian_release=${LUO_DEBIAN_RELEASE:-forky}
tools_release=${LUO_TOOLS_RELEASE:-forky}
debian_kernel_releases="$debian_release trixie-backports"
for name in "$debian_release" "$tools_release"; do
    [[ $name =~ ^[a-z][a-z0-9-]*$ ]] || die "\"$name\" is not the name of a Debian release." \
        "Set LUO_DEBIAN_RELEASE and LUO_TOOLS_RELEASE to such names."
done

# The systemd release that is built: a line of the table
read -r systemd_version systemd_sha256 systemd_state < <(
    awk -v wanted="${LUO_SYSTEMD:-}" '!/^#/ && (wanted == "" || $1 == wanted) { print; exit }' \
        "$top/scripts/systemd-releases"
) || die "LUO_SYSTEMD is $LUO_SYSTEMD, which scripts/systemd-releases does not have."

# content_key: a short name for whatever comes in on stdin
content_key() {
    sha256sum | cut -c1-16
}

# files_key FILE|DIR...: a short name for the names (relative to the checkout) and content of these files
files_key() {
    (cd "$top" && find "$@" ! -type d ! -name '*~' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | content_key
}

# run_logged WHAT LOG COMMAND...: run a long step with its output in a log; say what it does, how far it is, and, when
# it fails, show the end of the log.
run_logged() {
    local what=$1 log=$2 pid start=$SECONDS status=0 shown=0
    shift 2
    mkdir -p "$(dirname "$log")"
    say "==> $what (log: $log)"
    # In a process group of its own, so that an interrupt can end all of it
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    set +m
    trap 'kill -TERM -- "-$pid" 2>/dev/null; exit 130' INT TERM HUP QUIT
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - start >= shown + 20)); then
            shown=$((SECONDS - start))
            say "    $(printf '%3d s' "$shown")  $(tail -c 4000 "$log" | tr '\r' '\n' | tr -cd '[:print:]\n' |
                tail -n 1 | cut -c1-100)"
        fi
    done
    wait "$pid" || status=$?
    trap - INT TERM HUP QUIT
    if [ "$status" -ne 0 ]; then
        say "--- the end of $log:"
        tail -n 30 "$log" >&2
        die "$what failed with status $status." "The whole log is in $log"
    fi
    say "    done after $((SECONDS - start)) s"
}

# prune NUMBER FOLDER...: of folders made for different content, keep the newest. LUO_KEEP=NUMBER keeps more: for
# several checkouts at work on one cache.
prune() {
    local number=$1
    shift
    [ "${LUO_KEEP:-0}" -le "$number" ] || number=$LUO_KEEP
    # shellcheck disable=SC2012 # names are of our own making
    { ls -dt "$@" 2>/dev/null || true; } | tail -n "+$((number + 1))" | xargs -r -d '\n' rm -rf --
}

# locked NAME: hold a lock in the cache until this shell ends, so that two builds of one thing do not meet
locked() {
    exec 9>"$cache/$1.lock"
    if ! flock -n 9; then
        say "waiting for another build of $1 to end"
        flock 9
    fi
}

# host_packages COMMAND=PACKAGE|NAME.pc=PACKAGE|NAME.py=PACKAGE...: install what the host lacks; NAME.pc is a library
# for pkg-config, NAME.py a module of Debian's python3
host_packages() {
    local pair missing=()
    for pair; do
        case ${pair%%=*} in
        *.pc) pkg-config --exists "$(basename "${pair%%=*}" .pc)" 2>/dev/null ;;
        *.py) /usr/bin/python3 -c "import $(basename "${pair%%=*}" .py)" 2>/dev/null ;;
        *) [ -n "$(PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}")" ] ;;
        esac || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        die "This host lacks: ${missing[*]}." "Install these (names are Debian's) and try again."
    [ "$(id -u)" -eq 0 ] || die "This host lacks: ${missing[*]}." "Install them with: apt-get install ${missing[*]}"
    if ! apt-get install -s -qq "${missing[@]}" >/dev/null 2>&1; then
        run_logged "Reading the host's package lists" "$cache/logs/host-update.log" apt-get update
    fi
    run_logged "Installing on this host: ${missing[*]}" "$cache/logs/host-packages.log" \
        env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}
