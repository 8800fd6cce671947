#!/bin/bash
# run.sh: the figures of the design, one table: figure, ours, budget, upstream's in the same run where it is installed, method.
# Machines differ and are noisy: CPU-ms before rates, ratios before absolute values. BENCH_IDLE_S: how long idle is watched.
set -euo pipefail
cd "$(dirname "$0")/.."
idle_s=${BENCH_IDLE_S:-60}
TARGETS="load sampan" tools/build.sh build
dir=$(mktemp -d); pids=()
finish() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; [ -z "${peers:-}" ] || "$peers/control-plane.sh" stop >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap finish EXIT
row() { printf '%-44s %-34s %-22s %-34s %s\n' "$@"; }
pss() { awk '/^Pss:/{s+=$2} END{printf "%.1f", s/1024}' "/proc/$1/smaps_rollup"; }
ticks() { awk '{gsub(/.*\) /, ""); print $12 + $13}' "/proc/$1/stat"; }
now() { date +%s%N; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
start_ours() { # [FLAG …]
  local t0; t0=$(now)
  build/sampan control --data-dir "$dir/data" --bind-address 127.0.0.1 --secure-port "$port" "$@" > "$dir/log" 2>&1 & pid=$!
  pids+=("$pid")
  until curl -sk -m 1 "https://127.0.0.1:$port/readyz" 2>/dev/null | grep -qx ok; do kill -0 "$pid"; done
  ready_ms=$(( ($(now) - t0) / 1000000 ))
}
keys() { python3 - "$dir/data/admin.kubeconfig" "$dir" <<'P'
import base64, sys, yaml
u = yaml.safe_load(open(sys.argv[1]))["users"][0]["user"]
for k, f in (("client-certificate-data", "crt"), ("client-key-data", "key")):
    open(f"{sys.argv[2]}/{f}", "wb").write(base64.b64decode(u[k]))
P
}
ours() { build/load --port "$port" --cert "$dir/crt" --key "$dir/key" --pid "$pid" "$@" 2>&1 || true; }
theirs() { [ -n "${peers:-}" ] && build/load --port 16443 --token admin-token-0123456789 "${upids[@]}" "$@" 2>&1 || echo "-"; }

peers=${SAMPAN_PEERS:-../shared/peers}; upids=()
[ ! -f "$peers/env.sh" ] || . "$peers/env.sh"
if [ -x "$peers/control-plane.sh" ] && [ -x "${PEERS:-}/bin/kube-apiserver" ]; then
  "$peers/control-plane.sh" wipe; theirs_ready=$(NO_KCM=1 NO_SCHED=1 "$peers/control-plane.sh" start | awk '/ready_s/{print $2}')
  while read -r _ p _; do upids+=(--pid "$p"); done < <("$peers/control-plane.sh" status)
else
  peers=; theirs_ready=-; echo "upstream is not installed here: its column stays empty"
fi

row figure ours budget upstream method
cp build/sampan "$dir/stripped"; strip "$dir/stripped"
row "program, stripped" "$(stat -c %s "$dir/stripped" | awk '{printf "%.2f MB", $1/1e6}')" "<= 5 MB" "-" "strip"
start_ours; first=$ready_ms; kill "$pid"; wait "$pid" 2>/dev/null || true
start_ours; keys
row "exec to /readyz, new / existing data" "$first / $ready_ms ms" "<= 100 ms" "$theirs_ready / -" "curl until ok"
sleep 2
before=$(ticks "$pid"); sleep "$idle_s"; after=$(ticks "$pid")
row "control plane empty, PSS" "$(pss "$pid") MB" "<= 12 MB" \
  "$([ -z "$peers" ] || "$peers/control-plane.sh" status | awk '{s+=$6} END{printf "%.0f MB", s/1024}')" "smaps_rollup (upstream: API server and etcd alone)"
row "control plane idle, CPU of a core" "$(awk -v a="$before" -v b="$after" -v s="$idle_s" 'BEGIN{printf "%.2f %%", (b-a)/s}')" "<= 0.2 %" "-" "/proc/PID/stat over $idle_s s"

create() { printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"},"data":{"k":"%s"}}' "$(head -c 700 /dev/zero | tr '\0' x)"; }
curl_ours() { curl -sk --cert "$dir/crt" --key "$dir/key" -H 'Content-Type: application/json' "$@"; }
curl_theirs() { curl -sk -H "Authorization: Bearer admin-token-0123456789" -H 'Content-Type: application/json' "$@"; }
both() { curl_ours "https://127.0.0.1:$port$1" -d "$2" >/dev/null; [ -z "$peers" ] || curl_theirs "https://127.0.0.1:16443$1" -d "$2" >/dev/null; }
both /api/v1/namespaces/default/configmaps "$(create)"
for c in 1 32; do
  a=(-c $c -n 20000 get /api/v1/namespaces/default/configmaps/one)
  row "GET 1 kB, $c connections" "$(ours "${a[@]}")" "<= 0.02 CPU-ms" "$(theirs -c $c -n 4000 get "${a[5]}")" "bench/load, keep-alive TLS"
done
for c in 1 32; do
  row "CREATE 1 kB, $c connections" "$(ours -c $c -n $((c * 300 + 1000)) create default)" "<= 0.1 CPU-ms, >= 4000/s at 32" "$(theirs -c $c -n $((c * 60 + 300)) create default)" "durable"
done
row "event to 100 watchers, reply to last" "$(ours -c 100 -n 200 fanout default)" "<= 1 ms" "$(theirs -c 100 -n 100 fanout default)" "time after the PATCH's reply"
both /api/v1/namespaces '{"metadata":{"name":"pods"}}'
python3 - "$port" "$dir" "${peers:+16443}" <<'P'
import http.client, json, ssl, sys
port, d, up = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""
ctx = ssl._create_unverified_context(); ctx.load_cert_chain(d + "/crt", d + "/key")
pod = lambda i: json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{i}", "labels": {"app": "x", "n": str(i)}, "annotations": {"a": "x" * 220}},
    "spec": {"automountServiceAccountToken": False, "containers": [{"name": "c", "image": "registry.example.com/some/image:1.2.3", "env": [{"name": f"E{k}", "value": "v" * 20} for k in range(8)],
    "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}]}})
for p, headers in [(port, {})] + ([(up, {"Authorization": "Bearer admin-token-0123456789"})] if up else []):
    c = http.client.HTTPSConnection("127.0.0.1", int(p), context=ctx)
    def post(path, body):
        c.request("POST", path, body, {"Content-Type": "application/json", **headers}); r = c.getresponse(); t = r.read()
        return r.status, t
    post("/api/v1/namespaces/pods/serviceaccounts", '{"metadata":{"name":"default"}}')
    for i in range(1000):
        s, t = post("/api/v1/namespaces/pods/pods", pod(i))
        if s != 201: sys.exit(f"pod: {s} {t[:300]}")
P
row "LIST 1,000 pods" "$(ours -c 1 -n 200 get /api/v1/namespaces/pods/pods)" "<= 2.5 CPU-ms" "$(theirs -c 1 -n 40 get /api/v1/namespaces/pods/pods)" "$(curl_ours "https://127.0.0.1:$port/api/v1/namespaces/pods/pods" | wc -c) bytes"
row "with 1,000 pods, PSS" "$(pss "$pid") MB" "<= 8 kB a pod" "-" "smaps_rollup"
kill "$pid"; wait "$pid" 2>/dev/null || true

etcd=${SAMPAN_ETCD:-$(command -v etcd || true)}
if [ -x "$etcd" ]; then # upstream's figures above are with etcd, too
  url=http://127.0.0.1:$((port % 20000 + 30000)) peer=http://127.0.0.1:$((port % 20000 + 30001))
  "$etcd" --name b --data-dir "$dir/etcd" --listen-client-urls "$url" --advertise-client-urls "$url" --listen-peer-urls "$peer" \
    --initial-advertise-peer-urls "$peer" --initial-cluster "b=$peer" --log-level error > "$dir/etcd.log" 2>&1 & pids+=($!)
  rm -rf "$dir/data"; start_ours --etcd-servers "$url"; keys
  for c in 1 32; do
    row "on etcd: CREATE 1 kB, $c connections" "$(ours -c $c -n $((c * 100 + 500)) create default)" "-" "as above" "durable; without etcd's own CPU"
  done
  kill "$pid"; wait "$pid" 2>/dev/null || true
else
  echo "etcd is not installed here: its rows are left out"
fi
[ "$(id -u)" != 0 ] || bench/node.sh
[ "$(id -u)" != 0 ] || PROXY_UPSTREAM="${PEERS:+$PEERS/bin/kube-proxy}" bench/proxy.py
