#!/bin/bash
# Installs what the tests of pages need: Chromium from Debian, and what drives it (Playwright's core and axe, at fixed versions) from npm,
# into target/tools/browser. Quick when they are there.
set -uo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
folder=${CARGO_TARGET_DIR:-$repo/target}/tools/browser
readonly pins='playwright-core@1.65.1 @axe-core/playwright@4.14.0'

if ! command -v chromium >/dev/null; then
  sudo=()
  if [ "$(id -u)" != 0 ]; then sudo=(sudo -n); fi
  echo "install: chromium" >&2
  apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >/dev/null 2>&1; }
  apt install -y --no-install-recommends chromium fonts-dejavu-core \
    || { apt update && apt install -y --no-install-recommends chromium fonts-dejavu-core; } \
    || { echo "install: chromium could not be installed; the tests of pages will say so" >&2; exit 0; }
fi
if [ "$(cat "$folder/pins" 2>/dev/null)" != "$pins" ]; then
  echo "install: what drives the browser ($pins)" >&2
  mkdir -p "$folder" && echo '{"private":true}' >"$folder/package.json"
  # shellcheck disable=SC2086  # one word for each package
  if npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$folder" $pins >&2; then
    printf '%s' "$pins" >"$folder/pins"
  else
    echo "install: it could not be installed; the tests of pages will say so" >&2
  fi
fi
