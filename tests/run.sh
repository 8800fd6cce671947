#!/bin/bash
# Everything a change must pass (make test): unit, golden and fuzz-corpus tests; the same under the sanitizers with a short
# run of each fuzz target; the simulator; end to end; fidelity where the recordings are found.
set -euo pipefail
cd "$(dirname "$0")/.."
part() { echo; echo "=== $* (${SECONDS} s)"; }
part "unit, golden, fuzz corpora"
meson test -C build --print-errorlogs --quiet
part "simulator"
if [ -x build/sim ]; then build/sim --seeds 300; fi
part "fidelity"
tests/fidelity.sh
part "end to end"
if [ "$(id -u)" = 0 ]; then tests/e2e/run.sh; else sudo tests/e2e/run.sh; fi
part "sanitizers"
tests/sanitize.sh
part "passed"
