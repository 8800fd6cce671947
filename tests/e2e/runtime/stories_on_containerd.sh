#!/bin/bash
# The stories once more, with the pods on containerd instead of the built-in runtime (one kubectl will do here).
set -u
cd "$(dirname "$0")/../story"
for story in contents health inside restart objects; do
  log=$(mktemp); start=$SECONDS
  E2E_RUNTIME=containerd E2E_KUBECTLS=one "./$story.sh" > "$log" 2>&1; status=$?
  case $status in
    0) echo "$story on containerd: passed ($((SECONDS - start)) s)"; rm -f "$log" ;;
    77) tail -1 "$log"; rm -f "$log"; exit 77 ;;
    *) tail -50 "$log"; rm -f "$log"; echo "$story on containerd: failed"; exit 1 ;;
  esac
done
