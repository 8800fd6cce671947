# one_machine.sh: the steps on a single machine that show what only a whole one can: systemd, cgroup v2, a kernel with its modules,
# a reboot, the plug. Source it after lib.sh; kc is kubectl, ONE the machine.

ADMIN=/var/lib/sampan/admin.kubeconfig
one_is_ready() { [ "$(kc get nodes --no-headers 2>/dev/null | awk '{print $2}')" = Ready ]; }
one_kubeconfig() { on "$ONE" cat $ADMIN | sed "s|server: .*|server: https://${IP[$ONE]}:6443|" > "$E2E_DIR/admin.kubeconfig"; }
one_pods() { kc get pods -l app -o 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\n"}{end}' | sort; }
# one_started SECONDS-AT-THE-BEGINNING: until the node is Ready
one_started() {
  wait_for 60 "the node is Ready" one_is_ready
  say "Ready after $((SECONDS - $1)) s"
}
one_args() { # what systemd runs the server with from now on
  on "$ONE" sh -c 'echo "SAMPAN_ARGS=\"$0\"" > /etc/kubernetes/sampan' "$*"
}

step_check() {
  step "nothing stands in the way, and nothing is in doubt"
  nothing_stands "$ONE"
  on "$ONE" systemctl start openvswitch-switch
  nothing_stands "$ONE" --network-backend ovs --proxy-mode iptables
  on "$ONE" systemctl stop openvswitch-switch
}

step_by_hand() {
  local begun=$SECONDS
  step "two commands by hand"
  on "$ONE" sampan up || fail "sampan up"
  say "up after $((SECONDS - begun)) s"
  one_kubeconfig
  one_started $SECONDS
  on "$ONE" sampan down >/dev/null || fail "sampan down"
  check_eq "$(on "$ONE" sh -c 'pgrep -x sampan; pgrep conmon' || true)" "" "processes after down"
}

step_by_systemd() {
  local begun
  step "by systemd: a command line that is wrong is tried once"
  one_args --max-pod 7
  on "$ONE" systemctl start sampan 2>/dev/null && fail "it starts with a flag that nobody has"
  check_eq "$(on "$ONE" systemctl show -p ActiveState -p NRestarts sampan | sort | paste -sd " ")" "ActiveState=failed NRestarts=0" "the unit"
  step "and a good one comes up"
  one_args
  on "$ONE" systemctl reset-failed sampan
  begun=$SECONDS
  start_unit "$ONE" sampan
  one_kubeconfig
  one_started "$begun"
}

step_limits() {
  step "limits: what takes more memory than it may is ended, what takes more time than it may waits"
  kc apply -f - <<Y
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  restartPolicy: Never
  containers: [{name: c, image: "web:1", command: [sh, -c, "tail /dev/zero"], resources: {limits: {memory: 24Mi}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: busy}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "web:1", command: [sh, -c, "while :; do :; done"], resources: {limits: {cpu: 100m, memory: 32Mi}}}]
Y
  wait_for 60 "the pod that took too much is ended" holds = "OOMKilled 137" kc get pod greedy \
    -o 'jsonpath={.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}'
  wait_for 60 "the busy pod runs" holds = Running kc get pod busy -o 'jsonpath={.status.phase}'
  local uid group
  uid=$(kc get pod busy -o 'jsonpath={.metadata.uid}')
  group=$(on "$ONE" sh -c 'find /sys/fs/cgroup -type d -path "*pod$0/*" | head -1' "$uid")
  check_eq "$(on "$ONE" cat "$group/cpu.max" "$group/memory.max" | paste -sd ' ')" "10000 100000 33554432" "limits in $group"
  throttled() { [ "$(on "$ONE" awk '$1 == "nr_throttled" {print $2}' "$group/cpu.stat")" -gt 0 ]; }
  wait_for 30 "the busy pod is held back" throttled
}

step_stats() {
  local node=/api/v1/nodes/$ONE/proxy
  step "how much is used: kubectl top, the kubelet's statistics and metrics, from cgroup v2"
  topped() { kc top pods --no-headers | grep -qE '^busy +[1-9][0-9]*m +[0-9]+Mi'; }
  wait_for 30 "kubectl top pods" topped
  kc top nodes --no-headers > "$E2E_DIR/top"
  kc top pods --no-headers >> "$E2E_DIR/top"
  cat "$E2E_DIR/top"
  grep -qE "^$ONE +[1-9][0-9]*m +[0-9]+% +[1-9][0-9]*Mi +[0-9]+%" "$E2E_DIR/top" || fail "kubectl top nodes"
  awk '$1 == "busy" {exit !($2 + 0 <= 130)}' "$E2E_DIR/top" || fail "a pod held to 100m uses more"
  kc get --raw "$node/stats/summary" > "$E2E_DIR/summary"
  python3 - "$E2E_DIR/summary" <<P || fail "stats/summary: $(cat "$E2E_DIR/summary")"
import json, sys
d = json.load(open(sys.argv[1]))
n, p = d["node"], [p for p in d["pods"] if p["podRef"]["name"] == "busy"][0]
c = p["containers"][0]
assert n["cpu"]["usageNanoCores"] > 0 and n["memory"]["workingSetBytes"] > 1 << 24 and n["fs"]["capacityBytes"] > 1 << 30
assert n["memory"]["availableBytes"] > 1 << 24 and n["network"]["name"] == "eth0"
assert [s["name"] for s in n["systemContainers"]] == ["pods"] and n["systemContainers"][0]["cpu"]["usageCoreNanoSeconds"] > 0
assert 0 < c["memory"]["workingSetBytes"] < 32 << 20 and c["cpu"]["usageCoreNanoSeconds"] > 0
P
  kc get --raw "$node/metrics/cadvisor" > "$E2E_DIR/cadvisor"
  for m in container_cpu_cfs_throttled_periods_total container_cpu_usage_seconds_total container_memory_working_set_bytes container_memory_rss; do
    grep -E "^$m\{container=\"c\",.*pod=\"busy\"" "$E2E_DIR/cadvisor" | grep -qE ' [0-9.e+]*[1-9]' || fail "$m of the pod: $(grep "^$m" "$E2E_DIR/cadvisor")"
  done
  kc get --raw "$node/metrics/resource" | grep -qE '^container_memory_working_set_bytes\{.*pod="busy"\} [1-9]' || fail "metrics/resource"
  kc delete pod busy greedy --wait=true >/dev/null
}

# A Deployment that serves HTTP and SCTP, with a Service of both.
step_workload() {
  step "a Deployment and its Service"
  kc apply -f - <<Y
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: web:1
        command: ["sh", "-c", "mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 8080, nodePort: 30080}
  - {name: sctp, port: 9000, targetPort: 9000, nodePort: 30090, protocol: SCTP}
Y
  wait_for 90 "deployment ready" holds = 2 ready_of deployment/web
}

step_sctp() { # step_sctp MODE: with the service proxy in that mode
  local pod ip
  step "SCTP in a Service, by $1"
  on "$ONE" modprobe sctp || { say "(the kernel has no SCTP)"; return 0; }
  for pod in $(kc get pods -l app=web -o 'jsonpath={.items[*].metadata.name}'); do
    kc exec "$pod" -- sh -c 'test -x /sctp' 2>/dev/null ||
      kc exec -i "$pod" -- sh -c 'cat > /sctp; chmod 755 /sctp' < "$E2E_DIR/sctp" || fail "a program in $pod"
    kc exec "$pod" -- sh -c 'test -e /serves || { /sctp serve 9000 $(hostname) > /dev/null 2>&1 < /dev/null & touch /serves; }' || fail "a server in $pod"
  done
  put "$ONE" "$E2E_DIR/sctp" tmp/sctp; on "$ONE" chmod 755 /tmp/sctp
  ip=$(kc get pods -l app=web -o 'jsonpath={.items[0].status.podIP}')
  on "$ONE" /tmp/sctp ask "$ip" 9000 >/dev/null || fail "SCTP to a pod"
  ip=$(kc get svc web -o 'jsonpath={.spec.clusterIP}')
  for _ in $(seq 20); do on "$ONE" /tmp/sctp ask "$ip" 9000 || fail "SCTP to the cluster IP"; done | sort -u > "$E2E_DIR/spread"
  check_eq "$(wc -l < "$E2E_DIR/spread")" 2 "pods that answered"
  on "$ONE" /tmp/sctp ask "${IP[$ONE]}" 30090 | grep -q ^web || fail "SCTP to the node port"
  kc exec "$pod" -- /sctp ask "$ip" 9000 | grep -q ^web || fail "SCTP to the cluster IP from a pod"
}

# The service proxy of systemd's server in the other mode: its pods go on meanwhile.
step_proxy_mode() {
  step "the server is restarted with --proxy-mode=$1; its pods go on"
  one_pods > "$E2E_DIR/before"
  one_args --proxy-mode "$1"
  on "$ONE" systemctl restart sampan || fail "systemctl restart"
  one_started $SECONDS
  wait_for 60 "deployment ready" holds = 2 ready_of deployment/web
  check_eq "$(one_pods)" "$(cat "$E2E_DIR/before")" "pods and restarts"
  fetch "$ONE" "http://${IP[$ONE]}:30080/" >/dev/null || fail "the node port by $1"
  case $1 in
    iptables) on "$ONE" iptables-save -t nat | grep -q 'KUBE-SVC-.*default/web:http' ;;
    nftables) on "$ONE" nft list ruleset | grep -q "$(kc get svc web -o 'jsonpath={.spec.clusterIP}') " ;;
  esac || fail "no rules of $1"
}

one_back() { # one_back WHAT: after a boot everything is there again by itself, pods under their old UIDs
  wait_for 60 "the API after $1" kc get --raw /readyz
  wait_for 60 "the node is Ready after $1" one_is_ready
  say "Ready $((SECONDS - $2)) s after $1"
  wait_for 90 "the pods after $1" holds -eq 2 running_on "$ONE"
  check_eq "$(one_pods | cut -d ' ' -f 1)" "$(cut -d ' ' -f 1 "$E2E_DIR/before")" "pods after $1"
  fetch "$ONE" "http://$(kc get svc web -o 'jsonpath={.spec.clusterIP}')/" >/dev/null || fail "the service after $1"
  say "all pods serve $((SECONDS - $2)) s after $1"
}

step_reboot() {
  local begun=$SECONDS
  step "systemctl reboot: everything comes back by itself"
  one_pods > "$E2E_DIR/before"
  machine_reboot "$ONE"
  one_back "the reboot" "$begun"
}

# 300 objects are made one after the other; the plug is pulled while they are; what kubectl heard of is there afterwards, and so
# is an image that was imported the moment before.
step_plug() {
  local i pid n begun
  step "the plug is pulled: nothing that was acknowledged is lost"
  one_pods > "$E2E_DIR/before"
  for i in $(seq 300); do printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: plug-%s}\ndata: {n: "%s"}\n' "$i" "$i"; done > "$E2E_DIR/plug.yaml"
  image_import "$ONE" /var/lib/sampan/node docker.io/library/late:1 --file /late=late
  kc create -f "$E2E_DIR/plug.yaml" > "$E2E_DIR/acked" 2>/dev/null & pid=$!
  wait_for 60 "objects are made" sh -c "[ \$(wc -l < $E2E_DIR/acked) -ge 40 ]"
  machine_off "$ONE"
  kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null || true
  n=$(wc -l < "$E2E_DIR/acked")
  [ "$n" -lt 300 ] || fail "all were made before the plug was pulled"
  begun=$SECONDS
  machine_boot "$ONE" "${IP[$ONE]}"
  one_back "the power is on" "$begun"
  kc get configmap -o name > "$E2E_DIR/kept"
  sed 's/ created//' "$E2E_DIR/acked" | grep -vxFf "$E2E_DIR/kept" > "$E2E_DIR/lost" && fail "acknowledged and lost: $(cat "$E2E_DIR/lost")"
  say "$n of 300 were acknowledged, $(grep -c plug- "$E2E_DIR/kept") are there"
  kc run late --image=late:1 --restart=Never --command -- cat /late
  wait_for 60 "a pod of the image" holds = Succeeded kc get pod late -o 'jsonpath={.status.phase}'
  check_eq "$(kc logs late)" late "its log"
  on "$ONE" sh -c 'journalctl -k -q -p err -b --no-pager | grep -i ext4' && fail "the file system is not well"
  return 0
}
