# lib.sh: what the parts of `make interop` share, on top of the end-to-end tests' own: upstream's programs, keys for every
# component, and the story's objects. Source it.
#
#   interop_begin NAME        namespace and directory; skips loudly when upstream's programs are not built
#   pki                       a CA and, in $PKI, a certificate and kubeconfig for each component (SERVER first)
#   run NAME PROGRAM ARGS     in the background inside the namespace, with a log of its own; `ended NAME` when it should not be
#   stop NAME
#   story                     a ReplicationController, a Deployment and Services; their pods run and the services answer
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib/lib.sh"
UPSTREAM=${PEERS:-/var/tmp/sampan-peers}/bin
declare -A RUNS=()

interop_end() {
  set +e
  for name in "${!RUNS[@]}"; do kill "${RUNS[$name]}" 2>/dev/null; done
  sleep 1
  [ -z "${E2E_CRI:-}" ] || for s in $(in_ns ctr --address "$E2E_CRI" -n k8s.io tasks ls -q 2>/dev/null); do
    in_ns ctr --address "$E2E_CRI" -n k8s.io tasks kill -s KILL "$s" 2>/dev/null; done
  # pods live in namespaces of their own: end them by their group
  for g in /sys/fs/cgroup/*/"$GROUP" /sys/fs/cgroup/"$GROUP"; do
    [ -d "$g" ] || continue
    find "$g" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un | xargs -r kill -9 2>/dev/null
    sleep 0.2
    find "$g" -depth -type d -exec rmdir {} \; 2>/dev/null
  done
  e2e_end
}

interop_begin() {
  for p in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy etcd; do
    [ -x "$UPSTREAM/$p" ] || { echo "SKIPPED: upstream's $p is not in $UPSTREAM"; exit 77; }
  done
  e2e_begin "interop-$1"
  GROUP=interop-$$
  trap interop_end EXIT
  in_ns ip route add default dev e2e0 # kube-proxy and kubelet want one; it leads to a cable whose other end is here
  PKI=$E2E_DIR/pki D=$E2E_DIR/data
  mkdir -p "$PKI" "$D" "$E2E_DIR/log"
}

# A group of this test's own for a kubelet: upstream's ends every pod in the group that it does not know.
make_group() {
  local g
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then mkdir -p "/sys/fs/cgroup/$GROUP"; return; fi
  for g in /sys/fs/cgroup/*/; do
    mkdir -p "$g$GROUP"
    [ ! -f "${g}cpuset.cpus" ] || { cat "${g}cpuset.cpus" > "$g$GROUP/cpuset.cpus"; cat "${g}cpuset.mems" > "$g$GROUP/cpuset.mems"; }
  done
}

# certificate NAME SUBJECT [SANS]
certificate() {
  openssl req -newkey rsa:2048 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial -days 2 -out "$PKI/$1.crt" 2>/dev/null \
    -extfile <(echo "extendedKeyUsage=serverAuth,clientAuth"; [ -z "${3:-}" ] || echo "subjectAltName=$3")
  cat > "$PKI/$1.kubeconfig" <<X
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "$SERVER", certificate-authority: $PKI/ca.crt}}]
users: [{name: u, user: {client-certificate: $PKI/$1.crt, client-key: $PKI/$1.key}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
X
}

pki() {
  SERVER=https://$E2E_IP:6443
  if [ -f "$D/pki/ca.crt" ]; then
    cp "$D"/pki/{ca.crt,ca.key,sa.key} "$PKI"
  else
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$PKI/ca.key" -out "$PKI/ca.crt" -days 2 -subj /CN=interop-ca \
      -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,digitalSignature,keyCertSign,cRLSign 2>/dev/null
    openssl genrsa -out "$PKI/sa.key" 2048 2>/dev/null
  fi
  certificate admin /O=system:masters/CN=admin
  certificate kcm /CN=system:kube-controller-manager
  certificate scheduler /CN=system:kube-scheduler
  certificate node /O=system:nodes/CN=system:node:node-1
  certificate proxy /CN=system:kube-proxy
  certificate server /CN=kube-apiserver "DNS:kubernetes.default.svc,DNS:kubernetes,DNS:localhost,IP:$E2E_IP,IP:127.0.0.1,IP:10.254.0.1"
  certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  export KUBECONFIG=$PKI/admin.kubeconfig
}

run() {
  local name=$1; shift
  nsenter --net="/run/netns/$E2E_NS" -- "$@" > "$E2E_DIR/log/$name.log" 2>&1 & # no function: its subshell would be what is killed
  RUNS[$name]=$!
}
stop() { kill "${RUNS[$1]}"; wait "${RUNS[$1]}" || true; unset "RUNS[$1]"; }
running() {
  local name
  for name in "${!RUNS[@]}"; do kill -0 "${RUNS[$name]}" 2>/dev/null || fail "$name has ended: $(tail -5 "$E2E_DIR/log/$name.log")"; done
}
e2e_evidence() {
  set +e
  { k get nodes,pods,svc -A -o wide; k get events -A --sort-by=.lastTimestamp | tail -20; } 2>&1
  for f in "$E2E_DIR"/log/*.log; do echo "== $f"; grep -vE "^I[0-9]{4}" "$f" | cut -c1-300 | tail -12; done
}

# --- upstream's ---

upstream_apiserver() {
  run etcd "$UPSTREAM/etcd" --name p --data-dir "$E2E_DIR/etcd" --listen-client-urls http://127.0.0.1:2379 --log-level warn \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 \
    --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster p=http://127.0.0.1:2380
  run apiserver "$UPSTREAM/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address="$E2E_IP" --secure-port=6443 \
    --advertise-address="$E2E_IP" --tls-cert-file="$PKI/server.crt" --tls-private-key-file="$PKI/server.key" --client-ca-file="$PKI/ca.crt" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --service-cluster-ip-range=10.254.0.0/16 \
    --service-account-key-file="$PKI/sa.key" --service-account-signing-key-file="$PKI/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc --allow-privileged=true \
    --kubelet-client-certificate="$PKI/kubelet-client.crt" --kubelet-client-key="$PKI/kubelet-client.key" \
    --kubelet-preferred-address-types=InternalIP
  wait_for 60 "upstream's API server is not ready" k get --raw /readyz
  # built from OpenShift's tree, it mounts a ConfigMap into every pod that an operator of theirs would make
  wait_for 30 "a ConfigMap" k create configmap -n default openshift-service-ca.crt --from-literal=service-ca.crt=none
}
upstream_kcm() {
  run kcm "$UPSTREAM/kube-controller-manager" --kubeconfig="$PKI/kcm.kubeconfig" --authentication-kubeconfig="$PKI/kcm.kubeconfig" \
    --authorization-kubeconfig="$PKI/kcm.kubeconfig" --bind-address=127.0.0.1 --service-account-private-key-file="$PKI/sa.key" \
    --root-ca-file="$PKI/ca.crt" --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --use-service-account-credentials=true --allocate-node-cidrs --cluster-cidr=10.88.0.0/16 \
    --flex-volume-plugin-dir="$E2E_DIR/flex"
}
upstream_scheduler() {
  run scheduler "$UPSTREAM/kube-scheduler" --kubeconfig="$PKI/scheduler.kubeconfig" --bind-address=127.0.0.1 \
    --authentication-kubeconfig="$PKI/scheduler.kubeconfig" --authorization-kubeconfig="$PKI/scheduler.kubeconfig"
}
upstream_kubelet() {
  make_group
  cat > "$E2E_DIR/kubelet.yaml" <<X
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /$GROUP
containerRuntimeEndpoint: unix://$E2E_CRI
failCgroupV1: false
failSwapOn: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 1Mi, nodefs.available: "0%", imagefs.available: "0%"}
podLogsDir: $E2E_DIR/podlogs
clusterDNS: [10.254.0.10]
clusterDomain: cluster.local
localStorageCapacityIsolation: false
volumePluginDir: $E2E_DIR/flex
X
  run kubelet "$UPSTREAM/kubelet" --config "$E2E_DIR/kubelet.yaml" --kubeconfig "$PKI/node.kubeconfig" --hostname-override node-1 \
    --node-ip "$E2E_IP" --root-dir "$E2E_DIR/kubelet" --cert-dir "$E2E_DIR/kubelet-pki"
}
upstream_proxy() {
  run proxy "$UPSTREAM/kube-proxy" --kubeconfig "$PKI/proxy.kubeconfig" --hostname-override node-1 --proxy-mode "${1:-nftables}" \
    --conntrack-max-per-core 0 --bind-address "$E2E_IP"
}

# --- ours ---

our_apiserver() {
  run apiserver "$SAMPAN" kube-apiserver --data-dir "$D" --bind-address "$E2E_IP" --advertise-address "$E2E_IP" --secure-port 6443 --allow-privileged=true
  wait_for 20 "our API server is not ready" test -f "$D/admin.kubeconfig"
}
our_kcm() {
  # shellcheck disable=SC2086
  run kcm "$SAMPAN" kube-controller-manager --kubeconfig "$PKI/kcm.kubeconfig" --v=${V:-0} --root-ca-file "$PKI/ca.crt" --cluster-cidr=10.88.0.0/16 \
    --use-service-account-credentials=true
}
our_scheduler() { run scheduler "$SAMPAN" kube-scheduler --kubeconfig "$PKI/scheduler.kubeconfig"; }
our_kubelet() {
  make_group
  run kubelet "$SAMPAN" kubelet --kubeconfig "$PKI/node.kubeconfig" --hostname-override node-1 --node-ip "$E2E_IP" --cgroup-root "/$GROUP" \
    --data-dir "$D/node" --run-dir "$E2E_DIR/run" --pod-logs-dir "$E2E_DIR/podlogs" --client-ca-file "$PKI/ca.crt" "$@"
}
our_proxy() { run proxy "$SAMPAN" kube-proxy --kubeconfig "$PKI/proxy.kubeconfig" --hostname-override node-1 "$@"; }

# --- the story ---

# pods_ready SELECTOR N: N pods run and are ready
pods_ready() {
  [ "$(k get pods -l "$1" -o jsonpath='{range .items[*]}{.status.phase}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' | grep -c RunningTrue)" = "$2" ]
}
answers() { in_ns curl -s -m 2 "http://$1" | grep -q "$2"; }

story() {
  step "the node is ready"
  wait_for 90 "the node is not ready" k wait --for=condition=Ready node/node-1 --timeout=1s
  wait_for 60 "no service account" k get serviceaccount default
  step "a ReplicationController, a Deployment and Services"
  cat <<EOF | k apply -f - >/dev/null
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 2
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: c, image: busybox, imagePullPolicy: Never, command: [sh, -c, "mkdir /w; echo from web > /w/index.html; httpd -f -p 8080 -h /w"],
         ports: [{containerPort: 8080}], readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  replicas: 2
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: c, image: busybox, imagePullPolicy: Never, command: [sh, -c, "mkdir /w; echo from front > /w/index.html; httpd -f -p 8080 -h /w"],
         livenessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 2}, readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, clusterIP: 10.254.1.1, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {type: NodePort, selector: {app: front}, clusterIP: 10.254.1.2, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
EOF
  wait_for 90 "the pods of the ReplicationController do not run" pods_ready app=web 2
  wait_for 90 "the pods of the Deployment do not run" pods_ready app=front 2
  step "the services answer"
  wait_for 30 "the service web does not answer" answers 10.254.1.1 "from web"
  wait_for 30 "the service front does not answer" answers 10.254.1.2 "from front"
  wait_for 30 "the node port does not answer" answers "$E2E_IP:30080" "from front"
  step "logs and exec through the API server"
  local pod; pod=$(k get pods -l app=web -o jsonpath='{.items[0].metadata.name}')
  wait_for 20 "exec" k exec "$pod" -- true
  check_eq "$(k exec "$pod" -- cat /w/index.html)" "from web" "exec"
  k logs "$pod" >/dev/null || fail "logs"
  step "scaling, rolling, deleting"
  k scale rc web --replicas=3 >/dev/null
  wait_for 60 "scaling up" pods_ready app=web 3
  k set env deployment/front GENERATION=2 >/dev/null
  wait_for 90 "the rollout" k rollout status deployment/front --timeout=1s
  k delete pod -l app=web --wait=false >/dev/null
  wait_for 60 "deleted pods are replaced" pods_ready app=web 3
  wait_for 30 "the service web does not answer any more" answers 10.254.1.1 "from web"
  k delete rc/web deployment/front svc/web svc/front >/dev/null
  wait_for 60 "everything goes" sh -c "[ -z \"\$(nsenter --net=/run/netns/$E2E_NS -- $E2E_KUBECTL get pods -o name)\" ]"
  running
}
