#!/bin/bash
# conformance.sh [FOCUS]: upstream's conformance suite on a cluster of ours, where the suite is built. FOCUS is what its run.sh
# takes (a file of test names, "--class C", "--all-conformance"); default: [sig-network], [sig-node] and [sig-storage].
# NODES (1) machines: `sampan server` on the first, `sampan node` on the others; WORKERS (6) tests at a time.
# Results go to ${OUT:-build/conformance}.
. "$(dirname "$0")/e2e/lib/lib.sh"
. "$(dirname "$0")/e2e/lib/machines.sh"
suite=${SAMPAN_E2E:-$ROOT/../shared/e2e}
[ -f "$suite/run.sh" ] || { echo "SKIPPED: no suite at $suite"; exit 0; }
. "$suite/env.sh"
images=${W:?}/images
[ -x "$W/bin/e2e.test" ] || { echo "SKIPPED: the suite is not built ($W/bin/e2e.test)"; exit 0; }
out=$(readlink -m "${OUT:-$ROOT/build/conformance}"); mkdir -p "$out"
first=node-1 address=192.168.50.10

e2e_evidence() { tail -n 20 "$E2E_DIR"/*/log/*; }
kc() { on "$first" "$E2E_KUBECTL" --kubeconfig /var/lib/sampan/admin.kubeconfig "$@"; }
nodes_ready() { [ "$(kc get nodes --no-headers | awk '$2 == "Ready"' | wc -l)" = "${NODES:-1}" ]; }

machines_begin conformance
mirror=--registry-mirror=registry.k8s.io=http://127.0.0.1:5000,docker.io=http://127.0.0.1:5000
for ((i = 1; i <= ${NODES:-1}; i++)); do
  node=node-$i
  machine_boot "$node" "$address$i"
  # the suite pulls some images with policy Always: this registry serves the same archives
  start "$node" registry python3 "$suite/registry.py" 127.0.0.1 5000 "$images"
  if [ "$node" = "$first" ]; then
    # shellcheck disable=SC2086 # several flags
    start "$node" server "$SAMPAN" server --data-dir /var/lib/sampan --node-ip "$address$i" $mirror ${UPFLAGS:-}
    wait_for 20 "the API does not answer" kc get --raw /readyz
    token=$(on "$node" "$SAMPAN" token create --kubeconfig /var/lib/sampan/admin.kubeconfig)
  else
    # shellcheck disable=SC2086
    start "$node" node "$SAMPAN" node --server "https://$address"1:6443 --token "$token" --node-ip "$address$i" $mirror ${UPFLAGS:-}
  fi
done
wait_for 60 "the nodes are not Ready" nodes_ready
for ((i = 1; i <= ${NODES:-1}; i++)); do
  dir=/var/lib/sampan; [ $i -gt 1 ] || dir=$dir/node
  for tar in "$images"/*.tar; do on "node-$i" "$SAMPAN" image import --data-dir $dir "$tar" > /dev/null || fail "import $tar"; done
done
kc get nodes -o wide
case "${1:-}" in
  "") awk -F'\t' '$1 ~ /^\[sig-(network|node|storage)\]/ {print $1}' "$suite/conformance.tsv" > "$out/focus.list"; focus=("$out/focus.list");;
  *) read -ra focus <<< "$1";;
esac
# the suite runs beside the first machine's programs, with this machine's files
EXTRA="--kube-api-content-type=application/json ${EXTRA:-}" nsenter -t "${MACHINE_PID[$first]}" --net -- \
  "$suite/run.sh" "$(file $first var/lib/sampan/admin.kubeconfig)" "$out" "${focus[@]}" "${WORKERS:-6}"
for n in "$E2E_DIR"/*/log "$E2E_DIR"/*/var/lib/sampan/log; do [ -d "$n" ] && cp -r "$n" "$out/logs-$(echo "${n#"$E2E_DIR"/}" | tr / -)"; done
cut -f2 "$out/results.tsv" | sort | uniq -c
