#!/bin/bash
# Makes a Debian sid root that holds a current Nix, for the tests that want a second, newer Nix.
#
#   tests/setup/sid-root.sh [DIR]        default: $NANNA_SID_ROOT, else target/sid-root of this clone
#
# Does nothing when DIR already holds a Nix that starts. Exit codes:
#   0   DIR is ready
#   1   making it failed although the kernel allows it
#   75  this kernel or this user may not mount and chroot: tests that want it skip, visibly
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
dir=${1:-${NANNA_SID_ROOT:-${CARGO_TARGET_DIR:-$repo/target}/sid-root}}

# Refs: the three packages are the smallest set that starts; git is wanted by `nix flake` in a work tree.
readonly suite=${NANNA_SID_SUITE:-sid} packages=nix-bin,libdbi-perl,git,zstd,xz-utils

forbidden() {
  printf '\n%s\n' "################ NO CURRENT NIX HERE: $1" \
    "################ Tests against a current Nix are SKIPPED on this machine." >&2
  exit 75
}

works() { NANNA_SID_ROOT=$dir "$here/sid-nix" nix --version 2>/dev/null | grep -q '^nix (Nix)'; }

[ "$(uname -s)" = Linux ] || forbidden "this is not Linux"
[ "$(id -u)" = 0 ] || forbidden "mount and chroot need root"
# shellcheck disable=SC2016  # expanded by the inner shell
unshare -m sh -c 'd=$(mktemp -d) && mount -t tmpfs none "$d" && chroot / true; s=$?; umount "$d" 2>/dev/null; rmdir "$d"; exit $s' 2>/dev/null ||
  forbidden "this kernel does not let us mount in a namespace of our own"

mkdir -p "$(dirname "$dir")"
exec 9>"$dir.lock"                     # several test processes may ask at once
flock 9
if [ -e "$dir/.ready" ] && works; then exit 0; fi

command -v debootstrap >/dev/null || { echo "sid-root: debootstrap is missing; run tests/setup/install.sh" >&2; exit 1; }
mirror=${NANNA_DEBIAN_MIRROR:-}
if [ -z "$mirror" ]; then              # the mirror that this machine already uses
  mirror=$(sed -nE 's/^deb +(\[[^]]*\] +)?(https?:[^ ]+) .*/\2/p; s/^URIs: *(https?:[^ ]+).*/\1/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -v security | head -n 1 || true)
fi
echo "sid-root: making $dir (about 40 s, 420 MB)" >&2
rm -rf --one-file-system "$dir" "$dir.part"
if ! debootstrap --variant=minbase --include="$packages" "$suite" "$dir.part" ${mirror:+"$mirror"} >"$dir.log" 2>&1; then
  tail -n 20 "$dir.log" >&2
  echo "sid-root: debootstrap failed; the whole log is $dir.log" >&2
  exit 1
fi
rm -rf "$dir.part/var/cache/apt/archives" "$dir.part/usr/share/doc" "$dir.part/usr/share/man"
touch "$dir.part/.ready"
mv "$dir.part" "$dir"
works || { echo "sid-root: the Nix in $dir does not start:" >&2; NANNA_SID_ROOT=$dir "$here/sid-nix" nix --version >&2 || true; exit 1; }
