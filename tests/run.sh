#!/bin/bash
# Everything a change must pass (make test): unit, golden and fuzz-corpus tests; the simulator; fidelity where the recordings
# are found; end to end; the first three again under the sanitizers; a short run of each fuzz target.
set -euo pipefail
cd "$(dirname "$0")/.."
part() { echo; echo "=== $* (${SECONDS} s)"; }
part "unit, golden, fuzz corpora"
meson test -C build --print-errorlogs --quiet
part "simulator"
build/sim --seeds 300
part "fidelity"
tests/fidelity.sh
part "end to end"
if [ "$(id -u)" = 0 ]; then tests/e2e/run.sh; else sudo tests/e2e/run.sh; fi
part "the package"
if [ "$(id -u)" = 0 ]; then packaging/test_deb.sh build; else sudo packaging/test_deb.sh build; fi
part "sanitizers"
tests/sanitize.sh
part "fuzz targets, briefly"
FUZZ_SEED=1 tests/fuzz/run.sh "${FUZZ_SECONDS:-3}"
part "passed"
