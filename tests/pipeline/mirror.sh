# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# A Debian mirror of a handful of packages, as a folder that apt reads, signed with a key of its own. Source it; $work
# is where all is made.

mirror=$work/mirror
architecture=$(dpkg --print-architecture)

make_key() {
    export GNUPGHOME=$work/gnupg
    mkdir -m 0700 "$GNUPGHOME"
    gpg --batch --quiet --passphrase '' --quick-generate-key mirror@localhost ed25519 sign never
    gpg --batch --quiet --export >"$work/keyring.gpg"
}

# kernel_source RELEASE VERSION [OPTION]: a package with a source that takes a moment to build, and lacks this option
kernel_source() {
    local folder=$work/package-$1 archive
    archive=$folder/usr/src/linux-source-$1.tar.xz
    rm -rf "$folder"
    mkdir -p "$folder/DEBIAN" "$folder/usr/src" "$work/source/linux-source-$1" "$mirror/pool/main/l/linux"
    cat >"$work/source/linux-source-$1/Makefile" <<END
allnoconfig:
	grep '^CONFIG' "\$(KCONFIG_ALLCONFIG)" | grep -v '^CONFIG_${3:-NONE}=' >.config
bzImage:
	mkdir -p arch/x86/boot
	echo 'Linux $1' >arch/x86/boot/bzImage
kernelversion:
	@echo $1.0
END
    tar -C "$work/source" -cJf "$archive" "linux-source-$1"
    printf '%s\n' "Package: linux-source-$1" "Version: $2" "Architecture: all" "Maintainer: nobody <nobody@localhost>" \
        "Description: Linux $1" >"$folder/DEBIAN/control"
    dpkg-deb -Znone --root-owner-group --build "$folder" \
        "$mirror/pool/main/l/linux/linux-source-$1_${2}_all.deb" >/dev/null
}

# publish SUITE SYSTEMD KERNEL...: a release with this version of systemd (- for none), and with these kernels, each as
# RELEASE=VERSION; they are made if they are not there
publish() {
    local suite=$1 systemd=$2 dist=$mirror/dists/$1 kernel deb
    shift 2
    rm -rf "$dist"
    mkdir -p "$dist/main/binary-$architecture" "$dist/main/source"
    : >"$dist/main/source/Sources"
    {
        [ "$systemd" = - ] || printf '%s\n' "Package: systemd" "Version: $systemd" "Architecture: $architecture" \
            "Maintainer: nobody <nobody@localhost>" "Description: system and service manager" \
            "Filename: pool/main/s/systemd/systemd_${systemd}_$architecture.deb" "Size: 1" \
            "SHA256: $(printf '%064d' 0)" ""
        for kernel; do
            deb=pool/main/l/linux/linux-source-${kernel%%=*}_${kernel#*=}_all.deb
            [ -e "$mirror/$deb" ] || kernel_source "${kernel%%=*}" "${kernel#*=}"
            dpkg-deb -f "$mirror/$deb"
            printf '%s\n' "Filename: $deb" "Size: $(stat -c %s "$mirror/$deb")" \
                "SHA256: $(sha256sum "$mirror/$deb" | cut -d' ' -f1)" ""
        done
    } >"$dist/main/binary-$architecture/Packages"
    (
        cd "$dist" || exit
        printf '%s\n' "Origin: Debian" "Label: Debian" "Suite: $suite" "Codename: $suite" \
            "Date: $(LC_ALL=C date -u -R)" \
            "Architectures: $architecture" "Components: main" "SHA256:" >Release
        sha256sum main/*/* | while read -r sum file; do
            echo " $sum $(stat -c %s "$file") $file"
        done >>Release
        gpg --batch --quiet --clearsign -o InRelease Release
    )
}
