#!/bin/bash
# conformance.sh [FOCUS]: upstream's conformance suite on a one-machine cluster of ours, where the suite is built. FOCUS is
# what its run.sh takes (a file of test names, "--class C", "--all-conformance"); default: [sig-node] and [sig-storage].
# Results go to ${OUT:-build/conformance}.
. "$(dirname "$0")/e2e/lib/lib.sh"
suite=${SAMPAN_E2E:-$ROOT/../shared/e2e}
[ -f "$suite/run.sh" ] || { echo "SKIPPED: no suite at $suite"; exit 0; }
. "$suite/env.sh"
images=${W:?}/images
[ -x "$W/bin/e2e.test" ] || { echo "SKIPPED: the suite is not built ($W/bin/e2e.test)"; exit 0; }
out=${OUT:-$ROOT/build/conformance}; mkdir -p "$out"
e2e_begin conf
# the suite pulls some images with policy Always: its registry serves the same archives inside the namespace
in_ns python3 "$suite/registry.py" 127.0.0.1 5000 "$images" > "$out/registry.log" 2>&1 & E2E_PIDS+=($!)
mirror=http://127.0.0.1:5000
e2e_up "--registry-mirror=registry.k8s.io=$mirror,docker.io=$mirror" ${UPFLAGS:-}
for tar in "$images"/*.tar; do in_ns "$SAMPAN" image import --data-dir "$E2E_DIR/data/node" "$tar" || fail "import $tar"; done
case "${1:-}" in
  "") awk -F'\t' '$1 ~ /^\[sig-(node|storage)\]/ {print $1}' "$suite/conformance.tsv" > "$out/focus.list"; focus=("$out/focus.list");;
  *) read -ra focus <<< "$1";;
esac
EXTRA="--kube-api-content-type=application/json ${EXTRA:-}" in_ns "$suite/run.sh" "$KUBECONFIG" "$out" "${focus[@]}" "${WORKERS:-6}"
cut -f2 "$out/results.tsv" | sort | uniq -c
