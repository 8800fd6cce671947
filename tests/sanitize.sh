#!/bin/bash
# Unit, golden, fuzz-corpus and simulation tests under ASan+UBSan and TSan; any report fails. (Instrumented code confuses
# gcc's warnings, so they are errors in the ordinary build only.)
set -euo pipefail
cd "$(dirname "$0")/.."
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:exitcode=99
for kind in address,undefined thread; do
  dir=build-${kind%%,*}
  echo "--- $kind"
  tools/build.sh "$dir" -Db_sanitize="$kind" -Dwerror=false -Doptimization=1 -Db_lundef=false
  meson test -C "$dir" --print-errorlogs --quiet --timeout-multiplier 4
  if [ -x "$dir/sim" ]; then "$dir/sim" --seeds 20; fi
done
