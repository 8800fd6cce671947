#!/bin/bash
# run.sh [NAME …]: the end-to-end tests, one after the other; each makes its own network namespace without a way out.
set -uo pipefail
cd "$(dirname "$0")"
failed=()
tests=("$@"); [ ${#tests[@]} -gt 0 ] || tests=(story/*.sh runtime/*.sh control/*.py)
for t in "${tests[@]}"; do
  [ -f "$t" ] || continue
  log=$(mktemp)
  for attempt in 1 2; do
    start=$SECONDS
    timeout 600 "./$t" > "$log" 2>&1; status=$?
    if [ $status = 77 ]; then
      echo "SKIP $t: $(tail -1 "$log")"
      continue 2
    fi
    if [ $status = 0 ]; then
      echo "ok   $t ($((SECONDS - start)) s)$([ $attempt = 1 ] || echo "  FLAKY: the first attempt failed")"
      continue 2
    fi
    echo "FAIL $t ($((SECONDS - start)) s), attempt $attempt"; tail -60 "$log"
  done
  failed+=("$t")
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
