#!/bin/bash
# run.sh [NAME …]: are our programs and upstream's interchangeable? Each part in a network namespace without a way out.
# Needs upstream's programs in $PEERS/bin (default /var/tmp/sampan-peers/bin).
set -u
cd "$(dirname "$0")"
parts=("$@"); [ ${#parts[@]} -gt 0 ] || parts=(ours_below.sh ours_above.sh mixed.sh)
failed=()
for part in "${parts[@]}"; do
  log=$(mktemp)
  timeout 900 "./$part" > "$log" 2>&1; status=$?
  case $status in
  0) echo "ok   $part" ;;
  77) echo "SKIPPED $part: $(tail -1 "$log")" ;;
  *) echo "FAIL $part"; tail -80 "$log"; failed+=("$part") ;;
  esac
  rm -f "$log"
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
