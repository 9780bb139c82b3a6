#!/bin/bash
# Makes the pictures of the page in docs/pictures/ anew, of the made-up week in tests/browser/week.rs: bash tests/browser/pictures.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
bash tests/setup/browser.sh
pictures=$(mktemp -d)
trap 'rm -rf "$pictures"' EXIT
NANNA_REQUIRE_BROWSER=1 NANNA_PICTURES=$pictures cargo test --quiet --test browser the_overview_is_fine_for_everybody
mkdir -p docs/pictures
for look in light dark print; do
  picture=$pictures/overview-$look-top.png
  size=$(stat -c %s "$picture")
  if [ "$size" -gt 150000 ]; then
    echo "pictures: the page in $look has $size bytes, more than 150 kB" >&2
    exit 1
  fi
  cp "$picture" "docs/pictures/page-$look.png"
done
