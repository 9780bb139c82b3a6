#!/bin/bash
# Installs what judges our documents for other programs: validators of OpenAPI and of the text format of Prometheus, at
# fixed versions, from PyPI into target/tools/python. Quick when they are there.
set -uo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
folder=${CARGO_TARGET_DIR:-$repo/target}/tools/python
readonly pins='openapi-spec-validator==0.7.2 prometheus-client==0.22.1'

if [ "$(cat "$folder/pins" 2>/dev/null)" != "$pins" ]; then
  echo "install: validators ($pins)" >&2
  mkdir -p "$(dirname "$folder")"
  # shellcheck disable=SC2086  # one word for each package
  if python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check $pins >&2; then
    printf '%s' "$pins" >"$folder/pins"
  else
    echo "install: they could not be installed; the tests that need them will say so" >&2
  fi
fi
