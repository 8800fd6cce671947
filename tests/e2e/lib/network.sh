# network.sh: several machines of one cluster, each a network namespace with a node agent of its own, on a switch (a bridge in
# a namespace of its own) with no way out. Source it after lib.sh.
#
#   machines_begin NAME N [server flags]   m1 runs the control plane and a node, m2 … mN nodes; waits until all are Ready
#   machine_start I [flags] / machine_stop I     the node agent of machine I (≥ 2); its containers go on
#   in_m I CMD                             a command on machine I
#   pod_on I NAME [labels]                 a pod that serves its name on TCP 8080 and UDP 8081; waits for nothing
#   pods_ready NAME …                      until they are Ready
#   pod_ip NAME / pod_exec NAME CMD

. "$ROOT/tests/e2e/lib/switch.sh"

SWITCH= ; MACHINES=0; NODE_FLAGS=()

m_ns() { echo "$E2E_NS-m$1"; }
in_m() { local i=$1; shift; nsenter --net="/run/netns/$(m_ns "$i")" -- "$@"; }
m_ip() { echo "192.0.2.1$1"; }
m_ip6() { echo "fd00:2::1$1"; }
m_ips() { m_ip "$1"; } # what its node agent is told; a test may say both
k() { in_m 1 "$E2E_KUBECTL" "$@"; }

machine_new() {
  local ns; ns=$(m_ns "$1")
  ip netns add "$ns"
  ip -n "$ns" link set lo up
  switch_plug "$SWITCH" "p$1" "$ns"
  ip -n "$ns" addr add "$(m_ip "$1")/24" dev eth0
  ip -n "$ns" addr add "$(m_ip6 "$1")/64" dev eth0 nodad
  ip -n "$ns" link set eth0 up
  MACHINES=$(($1 > MACHINES ? $1 : MACHINES))
  cgroup_make "$ns"
}

machine_env() { echo "SAMPAN_MACHINE=$1"; } # VAR=VALUE for what runs on it
machines_prepare() { :; }                   # what has to be there before the cluster
machines_clean() { :; }
machine_start() {
  local i=$1 d=$E2E_DIR/m$1; shift
  mkdir -p "$d"
  nsenter --net="/run/netns/$(m_ns "$i")" -- env "$(machine_env "$i")" "$SAMPAN" node --kubeconfig "$KUBECONFIG" --data-dir "$d" --run-dir "$d/run" \
    --pod-logs-dir "$d/pods" --node-name "node-$i" --node-ip "$(m_ips "$i")" --cgroup-root "/$E2E_NS-m$i" \
    "${NODE_FLAGS[@]}" "$@" >> "$d/node.log" 2>&1 &
  echo $! > "$d/pid"; E2E_PIDS+=($!)
}

machine_stop() {
  local pid; pid=$(cat "$E2E_DIR/m$1/pid")
  kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

machines_end() {
  set +e
  [ -z "${KUBECONFIG:-}" ] || timeout 60 "$SAMPAN_DOWN" >/dev/null 2>&1
  for pid in "${E2E_PIDS[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null; done
  local i ns
  for ((i = 1; i <= MACHINES; i++)); do
    ns=$(m_ns "$i")
    for pid in $(ip netns pids "$ns" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
    for pid in $(find /sys/fs/cgroup -path "*/$ns/*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un); do
      kill -9 "$pid" 2>/dev/null
    done
  done
  awk -v d="$E2E_DIR" '$2 ~ "^"d {print $2}' /proc/self/mounts | sort -r | while read -r m; do umount -l "$m"; done
  for ((i = 1; i <= MACHINES; i++)); do
    ns=$(m_ns "$i")
    ip netns del "$ns" 2>/dev/null
    cgroup_remove "$ns"
  done
  ip netns del "$SWITCH" 2>/dev/null
  machines_clean
  e2e_end
}

e2e_evidence() {
  set +e
  [ -n "${KUBECONFIG:-}" ] && { k get nodes,pods,netpol -A -o wide; k get events -A --sort-by=.lastTimestamp | tail -15; } 2>&1
  local i; tail -n 15 "$E2E_DIR/data/log/node.log"
  for ((i = 1; i <= MACHINES; i++)); do
    echo "== machine $i"; in_m "$i" ip -br addr; in_m "$i" ip route
    tail -n 15 "$E2E_DIR/m$i/node.log"
  done
}

machines_begin() {
  local name=$1 n=$2 i; shift 2
  e2e_begin "$name"
  trap machines_end EXIT
  SAMPAN_DOWN=$E2E_DIR/down
  SWITCH=$E2E_NS-sw
  switch_make "$SWITCH"
  for ((i = 1; i <= n; i++)); do machine_new "$i"; done
  machines_prepare
  printf '#!/bin/sh\nexec nsenter --net=/run/netns/%s -- %s down --data-dir %s/data\n' "$(m_ns 1)" "$SAMPAN" "$E2E_DIR" > "$SAMPAN_DOWN"
  chmod +x "$SAMPAN_DOWN"
  in_m 1 env "$(machine_env 1)" "$SAMPAN" up --data-dir "$E2E_DIR/data" --node-name node-1 --node-ip "$(m_ips 1)" \
    "${NODE_FLAGS[@]}" "$@" || fail "sampan up"
  export KUBECONFIG=$E2E_DIR/kubeconfig
  sed "s#https://127.0.0.1:6443#https://$(m_ip 1):6443#" "$E2E_DIR/data/admin.kubeconfig" > "$KUBECONFIG"
  "$ROOT/tests/e2e/lib/mkimage.py" "$E2E_DIR/image.tar" test.local/busybox:1
  "$SAMPAN" image import --data-dir "$E2E_DIR/data/node" "$E2E_DIR/image.tar" >/dev/null || fail "image import"
  for ((i = 2; i <= n; i++)); do
    "$SAMPAN" image import --data-dir "$E2E_DIR/m$i" "$E2E_DIR/image.tar" >/dev/null || fail "image import"
    machine_start "$i"
  done
  nodes_ready "$n"
}

ready_count() { [ "$(k get nodes --no-headers | awk '$2 == "Ready"' | wc -l)" = "$1" ]; }
nodes_ready() { wait_for 30 "$1 nodes are Ready" ready_count "$1"; }

pod_on() {
  local i=$1 name=$2 labels=${3:-app: $2} ns=${4:-default}
  POD_NS[$name]=$ns
  k -n "$ns" create -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $name, labels: {$labels}}
spec:
  nodeName: node-$i
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: test.local/busybox:1
    imagePullPolicy: Never
    command: [sh, -c, "echo $name > /tmp/index.html; httpd -p 8080 -h /tmp; httpd -p 8082 -h /tmp; exec sleep 100000"]
    ports: [{name: web, containerPort: 8080}, {name: other, containerPort: 8082}]
YAML
}
pods_ready() {
  local p
  for p in "$@"; do
    k wait -n "${POD_NS[$p]:-default}" --for=condition=Ready --timeout=60s "pod/$p" >/dev/null || fail "pod $p Ready"
  done
}
pod_ip() { k get pod "$1" -n "${POD_NS[$1]:-default}" -o jsonpath='{.status.podIP}'; }
pod_ip6() { k get pod "$1" -o jsonpath='{.status.podIPs[1].ip}'; }
pod_exec() { local p=$1; shift; k exec "$p" -- "$@"; }
# in_pod POD CMD: a command of this machine in a pod's network namespace. POD_NS[POD]: its namespace, if not default
declare -A POD_NETNS POD_NS
netns_of() {
  local p=$1 pid
  [ -n "${POD_NETNS[$p]:-}" ] && [ -e "${POD_NETNS[$p]}" ] || {
    pid=$(find /sys/fs/cgroup -path "*pod$(k get pod "$p" -n "${POD_NS[$p]:-default}" -o jsonpath='{.metadata.uid}')*" -name cgroup.procs \
      -exec cat {} + | head -1)
    POD_NETNS[$p]=/proc/$pid/ns/net
  }
  echo "${POD_NETNS[$p]}"
}
in_pod() { local p=$1; shift; netns_of "$p" >/dev/null; nsenter --net="${POD_NETNS[$p]}" -- "$@"; }
