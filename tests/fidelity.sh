#!/bin/bash
# Replays recorded conversations with upstream's API server against ours, where they are found; prints the score and fails
# when fewer steps than the last known good share are equal.
set -euo pipefail
cd "$(dirname "$0")/.."
recordings=${SAMPAN_EXCHANGES:-../shared/exchanges}
least=${SAMPAN_FIDELITY_MIN:-90}
if [ ! -f "$recordings/exchange.py" ]; then echo "SKIPPED: no recordings at $recordings"; exit 0; fi
dir=$(mktemp -d); trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
printf 'admin-token-0123456789,admin,admin,system:masters\n' > "$dir/tokens.csv"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
build/sampan kube-apiserver --data-dir "$dir/data" --bind-address 127.0.0.1 --secure-port "$port" \
  --service-cluster-ip-range 10.254.0.0/16 --token-auth-file "$dir/tokens.csv" > "$dir/log" 2>&1 & pid=$!
for _ in $(seq 100); do
  curl -sk -m 2 "https://127.0.0.1:$port/readyz" 2>/dev/null | grep -qx ok && break
  kill -0 $pid || { cat "$dir/log"; exit 1; }
  sleep 0.1
done
kinds=namespaces,nodes,pods,services,endpoints,endpointslices,configmaps,secrets,serviceaccounts,events,leases,replicationcontrollers,replicasets,deployments
files=(); for f in apply bodies crud full lists minimal patch services subresources validation-apps validation-core validation-networking \
  validation-pods watch; do files+=("$recordings/api/$f.json"); done
set +e
python3 "$recordings/exchange.py" replay "$dir/data/admin.kubeconfig" "${files[@]}" --resources "$kinds" \
  > "${SAMPAN_FIDELITY_OUT:-$dir/out}" 2>&1
set -e
tail -25 "${SAMPAN_FIDELITY_OUT:-$dir/out}"
kill -0 $pid || { echo "the server died"; tail "$dir/log"; exit 1; }
python3 - "$least" "${SAMPAN_FIDELITY_OUT:-$dir/out}" <<'P'
import re, sys
text = open(sys.argv[2]).read()
m = re.findall(r"^all +(\d+) +(\d+) +(\d+)", text, re.M)
if not m:
    sys.exit("no score found")
got, _, of = map(int, m[-1])
print(f"fidelity: {got} of {of} steps equal, {100 * got / of:.1f} %")
sys.exit(0 if 100 * got / of >= float(sys.argv[1]) else "below " + sys.argv[1] + " %")
P
