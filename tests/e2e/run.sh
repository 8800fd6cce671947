#!/bin/bash
# run.sh [NAME …]: the end-to-end tests, one after the other; each makes its own network namespace without a way out.
set -uo pipefail
cd "$(dirname "$0")"
failed=()
tests=("$@"); [ ${#tests[@]} -gt 0 ] || tests=(story/*.sh runtime/*.sh control/*.py)
for t in "${tests[@]}"; do
  [ -f "$t" ] || continue
  start=$SECONDS; log=$(mktemp)
  if timeout 600 "./$t" > "$log" 2>&1; then
    echo "ok   $t ($((SECONDS - start)) s)"
  else
    echo "FAIL $t ($((SECONDS - start)) s)"; tail -60 "$log"; failed+=("$t")
  fi
  rm -f "$log"
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
