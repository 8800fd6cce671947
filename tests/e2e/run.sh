#!/bin/bash
# run.sh [NAME …]: the end-to-end tests, a few side by side (they mostly wait); each makes its own network namespace without a
# way out. E2E_JOBS: how many at once. A test that fails is tried once more when all others are done, alone, and told as flaky
# when it passes then.
set -uo pipefail
cd "$(dirname "$0")"
tests=("$@"); [ ${#tests[@]} -gt 0 ] || tests=(story/*.sh runtime/*.sh network/*.sh network/*.py walk-through/*.sh control/*.py)
logs=$(mktemp -d); trap 'rm -rf "$logs"' EXIT

# run_one TEST: its status in $logs/NAME.status, one line on standard output.
run_one() {
  local t=$1 name=${1//\//_} start=$SECONDS status
  timeout 600 "./$t" > "$logs/$name.log" 2>&1; status=$?
  echo $status > "$logs/$name.status"
  case $status in
    0) echo "ok   $t ($((SECONDS - start)) s)" ;;
    77) echo "SKIP $t: $(tail -1 "$logs/$name.log")" ;;
    *) printf 'FAIL %s (%s s)\n%s\n' "$t" $((SECONDS - start)) "$(tail -60 "$logs/$name.log")" ;;
  esac
}

jobs=${E2E_JOBS:-3}
for t in "${tests[@]}"; do
  [ -f "$t" ] || continue
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
  run_one "$t" &
done
wait
again=(); failed=()
for t in "${tests[@]}"; do
  status=$(cat "$logs/${t//\//_}.status" 2>/dev/null || echo 0)
  [ "$status" = 0 ] || [ "$status" = 77 ] || again+=("$t")
done
for t in "${again[@]}"; do
  echo "again: $t"; run_one "$t"
  if [ "$(cat "$logs/${t//\//_}.status")" = 0 ]; then echo "FLAKY $t: the first attempt failed"; else failed+=("$t"); fi
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
