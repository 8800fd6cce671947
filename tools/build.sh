#!/bin/bash
# build.sh BUILDDIR [meson options …]: configures when needed (also when a source file appeared or went) and builds.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1; shift
[ -f "$dir/build.ninja" ] || meson setup "$dir" "$@" >/dev/null
for what in src tests/unit tests/fuzz schema; do python3 tools/sources.py "$what"; done > "$dir/.sources.new"
if ! cmp -s "$dir/.sources.new" "$dir/.sources"; then
  meson setup --reconfigure "$dir" >/dev/null
  mv "$dir/.sources.new" "$dir/.sources"
fi
ninja -C "$dir" --quiet ${TARGETS:-} || ninja -C "$dir" ${TARGETS:-} | tail -40
