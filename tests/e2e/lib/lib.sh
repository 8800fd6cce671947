# lib.sh: what the end-to-end tests share; source it. A test gets a network namespace of its own with one interface and no way
# out, a cluster in it, kubectl that talks to it, and everything it started is ended when it ends.
#
#   e2e_begin NAME            namespace, data directory, traps
#   e2e_up [flags]            sampan up inside the namespace; KUBECONFIG set. With E2E_RUNTIME=containerd its pods run there
#   k ARGS                    kubectl (E2E_KUBECTL chooses which)
#   in_ns CMD                 a command inside the namespace
#   wait_for SECONDS WHAT CMD …     until CMD succeeds; fails the test otherwise
#   step TEXT / fail TEXT / check_eq GOT WANT WHAT

set -eu # no pipefail: `kubectl … | grep -q` ends kubectl early on purpose
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
SAMPAN=$(readlink -f "${SAMPAN:-$ROOT/build/sampan}")
E2E_KUBECTL=${E2E_KUBECTL:-kubectl}
E2E_IP=192.0.2.10

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*"; }
step() { say "--- $*"; }
fail() { say "FAILED: $*"; e2e_evidence; exit 1; }
check_eq() { [ "$1" = "$2" ] || fail "$3: got '$1', want '$2'"; }
in_ns() { nsenter --net="/run/netns/$E2E_NS" -- "$@"; }
k() { in_ns "$E2E_KUBECTL" "$@"; }

# The state of things when a test fails.
e2e_evidence() {
  set +e
  [ -n "${KUBECONFIG:-}" ] && { k get nodes,pods -A -o wide; k get events -A --sort-by=.lastTimestamp | tail -30; } 2>&1
  for f in "$E2E_DIR"/data/log/*.log "$E2E_DIR"/data/server.log "$E2E_DIR"/containerd.log; do [ -f "$f" ] && { echo "== $f"; tail -25 "$f"; }; done
}

e2e_end() {
  set +e
  in_ns "$SAMPAN" down --data-dir "$E2E_DIR/data" >/dev/null 2>&1
  for pid in "${E2E_PIDS[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null; done
  # whatever is left in the namespace was started by this test
  for pid in $(ip netns pids "$E2E_NS" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
  awk -v d="$E2E_DIR" '$2 ~ "^"d {print $2}' /proc/self/mounts | sort -r | while read -r m; do umount -l "$m"; done
  ip netns del "$E2E_NS" 2>/dev/null
  [ -n "${E2E_KEEP:-}" ] || rm -rf "$E2E_DIR"
}

e2e_begin() {
  [ "$(id -u)" = 0 ] || { echo "the end-to-end tests need root"; exit 1; }
  E2E_NS=sampan-e2e-$$; E2E_PIDS=()
  E2E_DIR=$(mktemp -d "${TMPDIR:-/tmp}/sampan-e2e-$1.XXXXXX")
  export KUBECACHEDIR=$E2E_DIR/kubectl-cache # what another cluster at the same address served is of no use
  ip netns add "$E2E_NS"
  trap e2e_end EXIT
  trap 'exit 1' INT TERM
  in_ns ip link set lo up
  # an interface that leads nowhere: its other end is in the same namespace, and there is no route but its own subnet
  in_ns ip link add e2e0 type veth peer name e2e1
  in_ns ip addr add "$E2E_IP/24" dev e2e0
  in_ns ip link set e2e0 up
  in_ns ip link set e2e1 up
}

e2e_up() {
  if [ "${E2E_RUNTIME:-}" = containerd ]; then
    [ -n "${E2E_CRI:-}" ] || e2e_containerd
    set -- --container-runtime-endpoint "unix://$E2E_CRI" "$@"
  fi
  in_ns "$SAMPAN" up --data-dir "$E2E_DIR/data" --node-name node-1 --node-ip "$E2E_IP" "$@" || fail "sampan up"
  export KUBECONFIG=$E2E_DIR/data/admin.kubeconfig
}

# e2e_image NAME [mkimage.py's options …]: a busybox image under that name, imported
e2e_image() {
  local tar=$E2E_DIR/image.tar name=$1; shift
  "$ROOT/tests/e2e/lib/mkimage.py" "$tar" "$name" "$@" >/dev/null
  if [ -n "${E2E_CRI:-}" ]; then
    in_ns ctr --address "$E2E_CRI" -n k8s.io images import --snapshotter native "$tar" >/dev/null || fail "image import"
  else
    in_ns "$SAMPAN" image import --data-dir "$E2E_DIR/data/node" "$tar" >/dev/null || fail "image import"
  fi
  rm -f "$tar"
}

# A containerd of this test's own in its namespace, with the CNI plugins of Debian; E2E_CRI is its socket. CONTAINERD names
# another program than the one on PATH (its shim beside it).
e2e_containerd() {
  local containerd=${CONTAINERD:-$(command -v containerd || true)} cni=${CNI_BIN:-/usr/lib/cni}
  if [ -z "$containerd" ] || ! command -v runc >/dev/null || [ ! -x "$cni/bridge" ]; then
    echo "SKIPPED: containerd, runc and the CNI plugins are not all installed"
    exit 77
  fi
  PATH=$(dirname "$containerd"):$PATH
  E2E_CRI=$E2E_DIR/containerd.sock
  mkdir -p "$E2E_DIR/cni"
  cat > "$E2E_DIR/config.toml" <<EOF
version = 2
root = "$E2E_DIR/root"
state = "$E2E_DIR/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "$E2E_CRI"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "$cni"
  conf_dir = "$E2E_DIR/cni"
EOF
  cat > "$E2E_DIR/cni/10-bridge.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "e2e", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$E2E_DIR/ipam", "ranges": [[{"subnet": "10.88.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF
  in_ns "$containerd" --config "$E2E_DIR/config.toml" > "$E2E_DIR/containerd.log" 2>&1 &
  E2E_PIDS+=($!)
  wait_for 20 "containerd does not answer" in_ns ctr --address "$E2E_CRI" version
  e2e_image localhost/pause:1 --cmd '["sleep","1000000"]'
}

wait_for() { # E2E_PATIENCE: how many times slower the machines are than this one
  local until=$((SECONDS + $1 * ${E2E_PATIENCE:-1})) what=$2; shift 2
  while ! "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || fail "$what"
    sleep 0.1
  done
}

# The processes of a pod, as the machine sees them (from its cgroups).
e2e_pod_pids() {
  local uid; uid=$(k get pod "$1" -o jsonpath='{.metadata.uid}')
  find /sys/fs/cgroup -path "*pod$uid*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un
}

# Every kubectl on this machine: the one on PATH and those beside what it links to. E2E_KUBECTLS=one: the one on PATH.
e2e_kubectls() {
  if [ "${E2E_KUBECTLS:-all}" = one ]; then command -v kubectl; return; fi
  local main; main=$(command -v kubectl)
  { echo "$main"; ls "$(dirname "$(readlink -f "$main")")"/kubectl.1.* 2>/dev/null; } | awk '!seen[$0]++'
}
