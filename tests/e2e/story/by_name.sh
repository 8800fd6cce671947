#!/bin/bash
# by_name.sh: the programs as the story starts them: the package's units, the files of /etc/kubernetes edited as in 2016, a plain
# port; each says when it is ready, as its unit wants. ReplicationControllers, services in iptables mode, logs and exec.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin by-name
UNITS=$ROOT/packaging/files/units ETC=$E2E_DIR/etc
command -v iptables-restore >/dev/null || { echo "SKIPPED: no iptables"; exit 77; }
mkdir -p "$E2E_DIR/bin" "$E2E_DIR/log"
cp -r "$ROOT/packaging/files/etc" "$ETC"
for p in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do ln -s "$SAMPAN" "$E2E_DIR/bin/$p"; done

# edit FILE NAME VALUE: as one does with an editor
edit() { sed -i -E "s|^#? ?$2=.*|$2=\"$3\"|" "$ETC/$1"; grep -q "^$2=\"$3\"" "$ETC/$1" || fail "$1 has no $2"; }

# start UNIT: what systemd would do with it, until it is ready
start() {
  local unit=$UNITS/$1.service line file
  grep -q '^Type=notify$' "$unit" || fail "$1 does not say when it is ready"
  line=$(sed -n "s|^ExecStart=/usr/bin/|$E2E_DIR/bin/|p" "$unit")
  python3 - "$E2E_DIR/$1.sock" > "$E2E_DIR/$1.ready" <<'PYTHON' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(60)
while b"READY=1" not in s.recv(4096):
    pass
print("ready", flush=True)
PYTHON
  E2E_PIDS+=($!)
  wait_for 10 "a socket" test -S "$E2E_DIR/$1.sock"
  (
    set +u # systemd leaves out what is not set
    for file in $(sed -n 's|^EnvironmentFile=-/etc/kubernetes/||p' "$unit"); do . "$ETC/$file"; done
    # shellcheck disable=SC2086
    eval "set -- $line"
    NOTIFY_SOCKET=$E2E_DIR/$UNIT.sock exec nsenter --net="/run/netns/$E2E_NS" -- "$@"
  ) > "$E2E_DIR/log/$1.log" 2>&1 &
  E2E_PIDS+=($!)
  wait_for 60 "$1 is not ready: $(tail -5 "$E2E_DIR/log/$1.log")" grep -q ready "$E2E_DIR/$1.ready"
}
e2e_evidence() {
  set +e
  { k get nodes,pods -A -o wide; k get events -A | tail -20; } 2>&1
  tail -n 8 "$E2E_DIR"/log/*.log
}

step "the files, edited"
edit config KUBE_MASTER "--master=http://$E2E_IP:8080"
edit apiserver KUBE_API_ADDRESS "--address=0.0.0.0"
edit apiserver KUBE_API_PORT "--port=8080"
edit apiserver KUBELET_PORT "--kubelet-port=10250"
edit apiserver KUBE_SERVICE_ADDRESSES "--service-cluster-ip-range=10.254.0.0/16"
edit apiserver KUBE_ADMISSION_CONTROL "--admission-control=NamespaceLifecycle,NamespaceExists,LimitRanger,SecurityContextDeny,ServiceAccount,ResourceQuota"
edit apiserver KUBE_API_ARGS "--data-dir=$E2E_DIR/data --bind-address=$E2E_IP --advertise-address=$E2E_IP"
edit kubelet KUBELET_ADDRESS "--address=0.0.0.0"
edit kubelet KUBELET_PORT "--port=10250"
edit kubelet KUBELET_HOSTNAME "--hostname-override=centos-minion1"
edit kubelet KUBELET_API_SERVER "--api-servers=http://$E2E_IP:8080"
edit kubelet KUBELET_ARGS "--data-dir=$E2E_DIR/data/node --run-dir=$E2E_DIR/run --pod-logs-dir=$E2E_DIR/podlogs --node-ip=$E2E_IP --configure-cbr0=true"
edit proxy KUBE_PROXY_ARGS "--proxy-mode=iptables --hostname-override=centos-minion1"

step "one service after the other"
for UNIT in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do start $UNIT; done
for UNIT in kube-apiserver kubelet; do
  grep -c "warning: --" "$E2E_DIR/log/$UNIT.log" >/dev/null || fail "$UNIT does not warn of its retired flags"
done
e2e_image busybox --cmd '["sh"]'
cat > "$E2E_DIR/kubeconfig" <<X
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://$E2E_IP:8080"}}]
contexts: [{name: x, context: {cluster: c}}]
current-context: x
X
export KUBECONFIG=$E2E_DIR/kubeconfig

step "kubectl over the plain port; the story's objects"
wait_for 30 "the node is not ready" k wait --for=condition=Ready node/centos-minion1 --timeout=1s
wait_for 20 "no service account" k get serviceaccount default
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
      - {name: c, image: busybox, imagePullPolicy: Never, command: [sh, -c, "echo serving; mkdir /w; echo from web > /w/index.html; httpd -f -p 8080 -h /w"],
         readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, clusterIP: 10.254.1.1, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
EOF
two_run() { [ "$(k get rc web -o jsonpath='{.status.readyReplicas}')" = 2 ]; }
answers() { in_ns curl -s -m 2 "http://$1" | grep -q "from web"; }
wait_for 30 "the pods do not run" two_run
wait_for 10 "the service does not answer" answers 10.254.1.1
wait_for 10 "the node port does not answer" answers "$E2E_IP:30080"
in_ns iptables-save | grep -q KUBE-SERVICES || fail "no rules of iptables"
POD=$(k get pods -l app=web -o jsonpath='{.items[0].metadata.name}')
wait_for 10 "logs" k logs "$POD"
check_eq "$(k logs "$POD")" serving "logs"
check_eq "$(k exec "$POD" -- cat /w/index.html)" "from web" "exec"

step "privileged pods are refused, as the file says"
k run p --image=busybox --privileged 2> "$E2E_DIR/err" && fail "a privileged pod was let in"
grep -q 'spec.containers\[0\].securityContext.privileged: Forbidden: disallowed by cluster policy' "$E2E_DIR/err" || fail "words: $(cat "$E2E_DIR/err")"
k delete rc/web svc/web >/dev/null
wait_for 20 "the pods go" sh -c "[ -z \"\$(nsenter --net=/run/netns/$E2E_NS -- $E2E_KUBECTL --kubeconfig $KUBECONFIG get pods -o name)\" ]"
say "all is well"
