#!/bin/bash
# Installs what the tests need and this machine lacks. Quick when everything is there; safe to run again.
#
# On Debian and its kin it uses apt-get, as root or through sudo; elsewhere it says what to install. cargo-nextest goes to
# cargo's own folder, the editor's language server to target/tools/. Nothing else is written.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
tools=${CARGO_TARGET_DIR:-$repo/target}/tools
readonly nextest=0.9.143 language_server=1.25.0

# command → Debian package
packages=(nix:nix-bin zstd:zstd xz:xz-utils sqlite3:sqlite3 python3:python3 git:git cc:gcc
  debootstrap:debootstrap node:nodejs npm:npm unshare:util-linux)
missing=()
for pair in "${packages[@]}"; do
  PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done

# Debian has a part of Python, which the servers for object storage are installed with, in a package of its own.
if command -v apt-get >/dev/null && [ "$(command -v python3)" = /usr/bin/python3 ]; then
  python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
elif ! command -v python3 >/dev/null; then
  missing+=(python3-venv)
fi

if [ ${#missing[@]} -gt 0 ]; then
  sudo=()
  if [ "$(id -u)" != 0 ]; then sudo=(sudo); fi
  if ! command -v apt-get >/dev/null || { [ ${#sudo[@]} -gt 0 ] && ! sudo -n true 2>/dev/null; }; then
    echo "install: please install: ${missing[*]} (names of Debian's packages); without them some tests are skipped" >&2
  else
    echo "install: apt-get install ${missing[*]}" >&2
    log=$(mktemp)
    apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1; }
    # Without lists, or with old ones, the first try fails; one package may fail alone, and then only its tests do.
    apt install -y --no-install-recommends "${missing[@]}" || { apt update && apt install -y --no-install-recommends "${missing[@]}"; } || {
      cat "$log" >&2
      exit 1
    }
    rm -f "$log"
  fi
fi

if ! cargo nextest --version >/dev/null 2>&1; then
  echo "install: cargo-nextest $nextest (some minutes, once)" >&2
  cargo install --locked --quiet cargo-nextest --version "$nextest" ||
    echo "install: cargo-nextest could not be built; tests/run falls back to cargo test" >&2
fi

server=$tools/node_modules/.bin/yaml-language-server
if command -v npm >/dev/null && ! "$server" --version 2>/dev/null | grep -qF "$language_server" &&
  ! grep -qsF "\"version\": \"$language_server\"" "$tools/node_modules/yaml-language-server/package.json"; then
  echo "install: yaml-language-server $language_server" >&2
  mkdir -p "$tools"
  npm install --silent --fetch-retries 1 --fetch-timeout 20000 --no-audit --no-fund --no-save --ignore-scripts --prefix "$tools" "yaml-language-server@$language_server" >&2 ||
    echo "install: yaml-language-server could not be installed; the tests in an editor's engine will say so" >&2
fi
