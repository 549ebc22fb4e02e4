# Shared by the scripts beside it: what must be installed, and how a build directory is set up. Sourced, not run.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Debian's Python: the one that its pytest belongs to, whatever else is first on PATH.
# shellcheck disable=SC2034 # used by those who source this
python=/usr/bin/python3

packages=(meson ninja-build gcc pkg-config libfuse3-dev fuse3 libcjson-dev libgit2-dev uthash-dev libcmocka-dev python3 python3-pytest
          rsync git gnuplot-nox attr acl jq scdoc strace)
# shellcheck disable=SC2034
fuzzing_packages=(clang libclang-rt-14-dev)

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# Of the packages named, those that are not installed, one a line.
missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
    done
}

# Installs the packages named that are missing: as root, or by sudo where it asks for no password. 1 where neither will do.
install_packages() {
    local missing as_root=()
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    printf 'Installing %s\n' "${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null
}

# Everything that building and testing need, and what is named besides.
need_packages() {
    command -v dpkg-query >/dev/null || die "needs Debian or one of its kin; elsewhere install what corresponds to: ${packages[*]} $*"
    install_packages "${packages[@]}" "$@" ||
        die "cannot install packages here; as root: apt-get install $(missing_packages "${packages[@]}" "$@" | paste -sd ' ')"
}

need_fuse() {
    [ -e /dev/fuse ] || die "there is no /dev/fuse: load the module (modprobe fuse) or give the container the device"
    { [ -r /dev/fuse ] && [ -w /dev/fuse ]; } || die "/dev/fuse is not open to $(id -un): run as root, or chmod 666 /dev/fuse"
}

# build_in DIRECTORY MESON-OPTION...: sets the directory up, anew with other options where it was set up before, and builds.
build_in() {
    local directory=$1 again=()
    shift
    [ -e "$directory/meson-private/coredata.dat" ] && again=(--reconfigure)
    meson setup "${again[@]}" "$@" "$directory" "$top" >/dev/null || {
        tail -n 20 "$directory/meson-logs/meson-log.txt" >&2
        return 1
    }
    ninja --quiet -C "$directory"
}

# The programs as users have them: sets $build, to RUNSFS_BUILD where that names a build directory already.
need_release_build() {
    build=${RUNSFS_BUILD:-$top/build-release}
    [ -n "${RUNSFS_BUILD:-}" ] || build_in "$build" --buildtype=release || die "the build failed"
    [ -x "$build/runsfs" ] || die "$build holds no runsfs: build there, or unset RUNSFS_BUILD"
}

# wait_until SECONDS COMMAND...: until it succeeds; 1 where it does not in time.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.02
    done
}

# mount_runsfs OPTIONS SOURCE MOUNTPOINT: starts $build/runsfs in the foreground of a job of its own, so that its end can be
# waited for, and returns when it is mounted. OPTIONS is a comma list for -o, or empty. Sets $mounted_at and $daemon.
mount_runsfs() {
    "$build/runsfs" -f ${1:+-o "$1"} "$2" "$3" &
    daemon=$! mounted_at=$3
    wait_until 10 mounted_or_over || return 1
    mountpoint -q "$mounted_at"
}

mounted_or_over() {
    mountpoint -q "$mounted_at" || ! kill -0 "$daemon" 2>/dev/null
}

# Unmounts what mount_runsfs mounted and waits for its daemon, which writes the manifest before it ends. Harmless where nothing is.
unmount_runsfs() {
    [ -n "${mounted_at:-}" ] || return 0
    if mountpoint -q "$mounted_at"; then
        fusermount3 -u "$mounted_at" || fusermount3 -uz "$mounted_at"
    fi
    wait_until 10 eval '! kill -0 "$daemon" 2>/dev/null' || kill "$daemon"
    wait "$daemon"
    local status=$?
    mounted_at=
    return "$status"
}
