#!/bin/bash
# run.sh [SECONDS]: builds every fuzz target with libFuzzer and runs each that long (default 300), on its corpus. FUZZ_SEED: where
# chance begins (make test fixes it, so that a change fails by its own doing); else it differs from run to run.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-${FUZZ_SECONDS:-300}}
export CC=clang-14
mapfile -t targets < <(python3 tools/sources.py tests/fuzz | sed 's#.*/##; s#\.c$##')
TARGETS="${targets[*]}" tools/build.sh build-fuzz -Dfuzz=true -Dwerror=false -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1
for t in "${targets[@]}"; do
  corpus=tests/fuzz/corpus/${t#fuzz_}; found=build-fuzz/found/$t; mkdir -p "$found"
  echo "--- $t"
  build-fuzz/"$t" -max_total_time="$seconds" ${FUZZ_SEED:+-seed="$FUZZ_SEED"} -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$found/" -print_final_stats=0 \
    "$found" "$corpus" 2>&1 | tail -2
done
