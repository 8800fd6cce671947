# walk_through.sh: the steps of the walk-through that do not depend on how the machines were set up; source it. Needs the machines
# MASTER and MINIONS (two), `kc` (kubectl as the administrator types it), and the functions that a test defines:
#   master_stop, master_start       the control plane's programs
#   minion_start HOST               the node's programs, after the machine was switched on
#   etcd_start                      etcd on the master (the story of 2016 alone)

MASTER=centos-master MINION1=centos-minion-1 MINION2=centos-minion-2
MINIONS="$MINION1 $MINION2"
declare -A IP=([$MASTER]=192.168.50.130 [$MINION1]=192.168.50.131 [$MINION2]=192.168.50.132)

e2e_evidence() {
  set +e
  { kc get nodes,pods -A -o wide; kc get events -A --sort-by=.lastTimestamp | tail -30; } 2>&1
  for f in "$E2E_DIR"/*/log/* "$E2E_DIR"/*/var/log/*.log; do [ -f "$f" ] && { echo "== ${f#"$E2E_DIR"/}"; tail -15 "$f"; }; done
}

machines_boot() {
  local h
  machine_hosts "$MASTER=${IP[$MASTER]}" "$MINION1=${IP[$MINION1]}" "$MINION2=${IP[$MINION2]}"
  for h in $MASTER $MINIONS; do machine_boot "$h" "${IP[$h]}"; done
}

image_import() { # image_import HOST DATA-DIR NAME [mkimage.py's options …]
  local host=$1 dir=$2; shift 2
  "$ROOT/tests/e2e/lib/mkimage.py" "$E2E_DIR/image.tar" "$@" >/dev/null
  put "$host" "$E2E_DIR/image.tar" var/log/image.tar
  on "$host" "$SAMPAN" image import --data-dir "$dir" /var/log/image.tar >/dev/null || fail "image import on $host"
}
images_import() {
  local h
  for h in $MINIONS; do image_import "$h" /var/lib/sampan docker.io/library/web:1; done
}

# What the story's reader changes in the files that the package installs.
config_edit() { # config_edit HOST FILE VARIABLE VALUE
  on "$1" sh -c 'sed -i "/^#\? *$1=/d" "/etc/kubernetes/$0"; echo "$1=\"$2\"" >> "/etc/kubernetes/$0"' "$2" "$3" "$4"
}
story_files() {
  local h
  step "the files of the story"
  for h in $MASTER $MINIONS; do config_edit "$h" config KUBE_MASTER "--master=http://centos-master:8080"; done
  config_edit "$MASTER" apiserver KUBE_API_ADDRESS "--address=0.0.0.0"
  config_edit "$MASTER" apiserver KUBE_API_PORT "--port=8080"
  config_edit "$MASTER" apiserver KUBELET_PORT "--kubelet-port=10250"
  config_edit "$MASTER" apiserver KUBE_ETCD_SERVERS "--etcd-servers=http://centos-master:2379"
  config_edit "$MASTER" apiserver KUBE_SERVICE_ADDRESSES "--service-cluster-ip-range=10.254.0.0/16"
  config_edit "$MASTER" apiserver KUBE_ADMISSION_CONTROL "--admission-control=NamespaceLifecycle,NamespaceExists,LimitRanger,SecurityContextDeny,ServiceAccount,ResourceQuota"
  config_edit "$MASTER" apiserver KUBE_API_ARGS ""
  config_edit "$MASTER" controller-manager KUBE_CONTROLLER_MANAGER_ARGS "--cluster-cidr=172.17.0.0/16 --node-monitor-grace-period=${E2E_GRACE:-14s}"
  for h in $MINIONS; do
    config_edit "$h" kubelet KUBELET_ADDRESS "--address=0.0.0.0"
    config_edit "$h" kubelet KUBELET_PORT "--port=10250"
    config_edit "$h" kubelet KUBELET_HOSTNAME "--hostname-override=$h"
    config_edit "$h" kubelet KUBELET_API_SERVER "--api-servers=http://centos-master:8080"
    config_edit "$h" kubelet KUBELET_ARGS "--network-backend=ovs"
    config_edit "$h" proxy KUBE_PROXY_ARGS "--proxy-mode=iptables --hostname-override=$h"
  done
}

holds() { [ "$("${@:3}" 2>/dev/null)" "$1" "$2" ]; } # holds OP VALUE CMD …
nodes_ready() { kc get nodes --no-headers 2>/dev/null | awk '$2 == "Ready"' | wc -l; }
ready_of() { kc get "$1" -o 'jsonpath={.status.readyReplicas}'; }

step_nodes() {
  step "both minions register and are Ready"
  wait_for 60 "two nodes Ready" holds -eq 2 nodes_ready
  kc get nodes -o wide
  check_eq "$(kc get nodes -o jsonpath='{.items[*].spec.podCIDR}' | tr ' ' '\n' | sort -u | wc -l)" 2 "a pod CIDR of its own each"
}

step_objects() {
  step "a ReplicationController, a Deployment, a Service for each"
  local pod='
      terminationGracePeriodSeconds: 1
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      containers:
      - name: web
        image: web:1
        command: ["sh", "-c", "mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 2}'
  kc apply -f - <<Y
apiVersion: v1
kind: ReplicationController
metadata: {name: rc}
spec:
  replicas: 4
  selector: {app: rc}
  template:
    metadata: {labels: {app: rc}}
    spec: $pod
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: $pod
---
apiVersion: v1
kind: Service
metadata: {name: rc}
spec: {selector: {app: rc}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]}
Y
  wait_for 90 "rc ready" holds = 4 ready_of rc/rc
  wait_for 90 "deployment ready" holds = 4 ready_of deployment/web
  kc get pods -o wide
  check_eq "$(kc get pods -l app=web -o jsonpath='{.items[*].spec.nodeName}' | tr ' ' '\n' | sort -u | wc -l)" 2 "machines with pods"
}

step_mesh() {
  local h
  step "the mesh of the story: obr0 with a GRE port to the other minion, under kbr0"
  for h in $MINIONS; do
    on "$h" ovs-vsctl list-ports obr0 | grep -qx gre0 || fail "obr0 on $h: $(on "$h" ovs-vsctl show)"
    check_eq "$(on "$h" ovs-vsctl get interface gre0 type)" gre "type of gre0"
    on "$h" ip link show kbr0 >/dev/null || fail "no kbr0 on $h"
    on "$h" iptables-save -t nat | grep -q 'KUBE-SVC-.*default/web:http' || fail "no rules of the story's proxy on $h"
  done
}

step_etcd() {
  step "etcd is restarted: everything waits and goes on"
  kc get pods -o 'jsonpath={.items[*].metadata.uid}' > "$E2E_DIR/before"
  stop_program "$MASTER" etcd
  kc get pods --request-timeout=2s >/dev/null 2>&1 || say "(reads fail while etcd is away)"
  etcd_start
  wait_for 30 "writes go on" kc annotate --overwrite rc/rc "etcd=restarted"
  check_eq "$(kc get pods -o 'jsonpath={.items[*].metadata.uid}')" "$(cat "$E2E_DIR/before")" "pods"
}

pod_on() { # pod_on APP HOST [JSONPATH]: a pod of the app on that machine
  kc get pods -l "app=$1" --field-selector "spec.nodeName=$2,status.phase=Running" -o "jsonpath={.items[0]${3:-.metadata.name}}"
}
fetch() { on "$1" curl -sS -m $((3 * ${E2E_PATIENCE:-1})) "$2"; }

step_network() {
  local from to h ip
  step "pods on different machines reach each other, with packets of every size"
  for from in $MINIONS; do
    for to in $MINIONS; do
      ip=$(pod_on rc "$to" .status.podIP)
      kc exec "$(pod_on web "$from")" -- ping -c 1 -W 2 "$ip" >/dev/null || fail "ping from $from to $to ($ip)"
      kc exec "$(pod_on web "$from")" -- ping -c 1 -W 2 -s 4000 "$ip" >/dev/null || fail "a long ping from $from to $to"
      check_eq "$(kc exec "$(pod_on web "$from")" -- wget -q -O - "http://$ip:8080/")" "$(pod_on rc "$to")" "HTTP from $from to $to"
    done
    kc exec "$(pod_on web "$from")" -- ping -c 1 -W 2 "${IP[$MASTER]}" >/dev/null || fail "ping from a pod on $from to the master"
  done
  step "services: from pods and machines, by cluster IP and node port, spread over both machines"
  ip=$(kc get svc web -o jsonpath='{.spec.clusterIP}')
  for h in $MINIONS; do
    for _ in $(seq 40); do fetch "$h" "http://$ip/"; done | sort -u > "$E2E_DIR/spread"
    check_eq "$(wc -l < "$E2E_DIR/spread")" 4 "pods that answered $h"
    kc exec "$(pod_on rc "$h")" -- wget -q -O - "http://$ip/" >/dev/null || fail "the service from a pod on $h"
    for to in $MINIONS; do
      fetch "$h" "http://${IP[$to]}:30080/" >/dev/null || fail "node port of $to from $h"
    done
  done
  fetch "$MASTER" "http://${IP[$MINION1]}:30080/" >/dev/null || fail "node port from the master"
}

step_dns() {
  local h pod
  step "services have names, on every machine"
  for h in $MINIONS; do
    pod=$(pod_on rc "$h")
    kc exec "$pod" -- wget -q -O - http://web/ >/dev/null || fail "http://web/ from a pod on $h: $(kc exec "$pod" -- cat /etc/resolv.conf)"
    kc exec "$pod" -- wget -q -O - http://rc.default.svc.cluster.local/ >/dev/null || fail "the full name from $h"
    kc exec "$pod" -- nslookup -type=srv _http._tcp.web.default.svc.cluster.local >/dev/null || fail "SRV from $h"
  done
}

step_look_inside() {
  local pod; pod=$(pod_on web "$MINION2")
  step "logs, exec and port-forward through the API server"
  kc exec "$pod" -- hostname | grep -qx "$pod" || fail "exec"
  kc logs "$pod" >/dev/null || fail "logs"
  on "$MASTER" sh -c "$KUBECTL port-forward $pod 18080:8080 >/dev/null & p=\$!; for i in \$(seq $((9 * ${E2E_PATIENCE:-1}))); do
    curl -s -m 2 http://127.0.0.1:18080/ && break; sleep 0.3; done; kill \$p" | grep -qx "$pod" || fail "port-forward"
}

uids_on() { kc get pods -l 'app in (web, rc)' --field-selector "spec.nodeName=$1" -o 'jsonpath={.items[*].metadata.uid}'; }
node_status() { kc get node "$1" --no-headers | awk '{print $2}'; }
running_on() {
  kc get pods -l 'app in (web, rc)' --field-selector "spec.nodeName=$1,status.phase=Running" --no-headers 2>/dev/null | awk '$2 == "1/1"' | wc -l
}

step_minion_off() {
  local before uid
  step "a minion is switched off: its pods are replaced elsewhere, under new UIDs; services go on"
  before=$(uids_on "$MINION2")
  machine_off "$MINION2"
  wait_for 60 "the node is not noticed" holds = NotReady node_status "$MINION2"
  kc get node "$MINION2" -o jsonpath='{.spec.taints[*].key}' | grep -q node.kubernetes.io/unreachable || fail "no taint"
  wait_for 60 "eight pods on the other machine" holds -eq 8 running_on "$MINION1"
  for uid in $before; do kc get pods --field-selector "spec.nodeName=$MINION1" -o jsonpath='{.items[*].metadata.uid}' | grep -q "$uid" && fail "an old UID"; done
  ip=$(kc get svc web -o jsonpath='{.spec.clusterIP}')
  for _ in $(seq 20); do fetch "$MINION1" "http://$ip/" >/dev/null || { kc get endpointslices -l kubernetes.io/service-name=web -o yaml; fail "the service while a machine is off"; }; done
  step "it comes back: its old pods are gone, and it serves again"
  machine_boot "$MINION2" "${IP[$MINION2]}"
  minion_start "$MINION2"
  wait_for 60 "the node is Ready again" holds = Ready node_status "$MINION2"
  wait_for 60 "the old pods go" holds = "" uids_on "$MINION2"
  kc scale rc/rc --replicas=8 >/dev/null
  wait_for 60 "pods run there again" holds -ge 1 running_on "$MINION2"
  wait_for 60 "rc ready" holds = 8 ready_of rc/rc
  fetch "$MINION2" "http://$ip/" >/dev/null || fail "the service from the machine that came back"
}

step_minion_cut() {
  step "a minion's cable is pulled for a while: its pods are replaced, and the old ones go when it is back"
  local before; before=$(kc get pods -l app=rc --field-selector "spec.nodeName=$MINION1" -o 'jsonpath={.items[*].metadata.name}')
  machine_cut "$MINION1"
  wait_for 60 "the node is not noticed" holds = NotReady node_status "$MINION1"
  wait_for 60 "pods on the other machine" holds -ge 8 running_on "$MINION2"
  machine_join "$MINION1"
  wait_for 60 "the node is Ready again" holds = Ready node_status "$MINION1"
  for pod in $before; do wait_for 60 "pod $pod is still there" holds = "" kc get pod "$pod" --ignore-not-found -o name; done
}

step_master_off() {
  local ip h
  step "the master is switched off: workloads and services go on; it comes back, and nothing was lost"
  ip=$(kc get svc web -o jsonpath='{.spec.clusterIP}')
  kc get pods -o 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\n"}{end}' | sort > "$E2E_DIR/before"
  machine_off "$MASTER"
  for h in $MINIONS; do
    for _ in $(seq 10); do fetch "$h" "http://$ip/" >/dev/null || fail "the service on $h while the master is off"; done
  done
  machine_boot "$MASTER" "${IP[$MASTER]}"
  master_start
  wait_for 60 "the API" kc get --raw /readyz
  wait_for 60 "two nodes Ready" holds -eq 2 nodes_ready
  kc get pods -o 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\n"}{end}' | sort > "$E2E_DIR/after"
  cmp -s "$E2E_DIR/before" "$E2E_DIR/after" || { diff "$E2E_DIR/before" "$E2E_DIR/after"; fail "pods changed"; }
  kc scale deployment/web --replicas=5 >/dev/null
  wait_for 60 "the deployment grows" holds = 5 ready_of deployment/web
}
