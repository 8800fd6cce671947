#!/bin/bash
# How much is used: kubectl top with no other step, the metrics API, the kubelet's statistics and metrics.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin top
e2e_up
e2e_image docker.io/library/box:1
cat <<'Y' | k apply -f - >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: busy, labels: {app: busy}}
spec:
  containers:
  - {name: spin, image: "box:1", command: [sh, -c, "while true; do :; done"], resources: {limits: {cpu: 200m}}}
  - {name: rest, image: "box:1", command: [sleep, "3600"]}
---
apiVersion: v1
kind: Pod
metadata: {name: store, labels: {app: store}}
spec:
  containers:
  - name: c
    image: box:1
    command: [sh, -c, "dd if=/dev/zero of=/written bs=1M count=5; dd if=/dev/zero of=/data/kept bs=1M count=7; mkdir /www; echo hi > /www/index.html; yes line | head -100000; exec httpd -f -p 8080 -h /www"]
    volumeMounts: [{name: data, mountPath: /data}]
    readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
  volumes: [{name: data, emptyDir: {}}]
Y
k wait --for=condition=Ready pod/busy pod/store --timeout=60s >/dev/null
get() { k get --raw "$1"; }
# value JSON-PATH-IN-PYTHON: of the document on standard input
value() { python3 -c "import json,sys; d=json.load(sys.stdin); print(($1))"; }

step "kubectl top"
k top nodes | tee "$E2E_DIR/nodes"
sed -n 2p "$E2E_DIR/nodes" | grep -qE '^node-1 +[0-9]+m +[0-9]+% +[0-9]+Mi +[0-9]+%' || fail "top nodes"
k top pods | tee "$E2E_DIR/pods"
grep -qE '^busy +[0-9]+m +[0-9]+Mi' "$E2E_DIR/pods" && grep -qE '^store ' "$E2E_DIR/pods" || fail "top pods"
k top pods --containers | tee "$E2E_DIR/containers"
[ "$(tail -n +2 "$E2E_DIR/containers" | wc -l)" = 3 ] || fail "top pods --containers"
check_eq "$(k top pods -l app=busy --no-headers | awk '{print $1}')" busy "top pods -l"
milli=$(k top pods --containers --no-headers | awk '$2 == "spin" {sub("m", "", $3); print $3}')
[ "$milli" -ge 100 ] && [ "$milli" -le 260 ] || fail "a container held to 200m uses ${milli}m"
k top pod nothing 2> "$E2E_DIR/said" && fail "top of a pod that is not there"
grep -q 'pods "default/nothing" not found' "$E2E_DIR/said" || { cat "$E2E_DIR/said"; fail "top of a pod that is not there"; }
k top nodes nothing 2>&1 | grep -q 'nodes "nothing" not found' || fail "top of a node that is not there"

step "the metrics API"
api=/apis/metrics.k8s.io/v1beta1
check_eq "$(get $api | value "sorted((r['name'], r['kind'], r['namespaced'], tuple(r['verbs'])) for r in d['resources'])")" \
  "[('nodes', 'NodeMetrics', False, ('get', 'list')), ('pods', 'PodMetrics', True, ('get', 'list'))]" "discovery"
check_eq "$(get $api/nodes | value "(d['kind'], d['apiVersion'], [i['metadata']['name'] for i in d['items']])")" \
  "('NodeMetricsList', 'metrics.k8s.io/v1beta1', ['node-1'])" "nodes"
get $api/nodes/node-1 | value "d['usage']['cpu'][-1], d['usage']['memory'][-2:], d['window'][-1], d['timestamp'][-1]" | grep -qx "('n', 'Ki', 's', 'Z')" ||
  fail "a node: $(get $api/nodes/node-1)"
check_eq "$(get $api/namespaces/default/pods/busy | value "(d['kind'], sorted(c['name'] for c in d['containers']), d['metadata']['labels'])")" \
  "('PodMetrics', ['rest', 'spin'], {'app': 'busy'})" "a pod"
check_eq "$(get "$api/pods?labelSelector=app%3Dstore" | value "[i['metadata']['name'] for i in d['items']]")" "['store']" "selected"
check_eq "$(get "$api/namespaces/kube-system/pods" | value "d['items']")" "[]" "none there"
k get pods.metrics.k8s.io > "$E2E_DIR/table"
grep -qE '^NAME +CPU +MEMORY +WINDOW$' "$E2E_DIR/table" || { cat "$E2E_DIR/table"; fail "a table"; }

step "the kubelet's statistics"
node=/api/v1/nodes/node-1/proxy
get $node/stats/summary > "$E2E_DIR/summary"
pod() { value "[p for p in d['pods'] if p['podRef']['name'] == '$1'][0]$2" < "$E2E_DIR/summary"; }
between() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ] || fail "$4: $1 is not between $2 and $3"; }
between "$(pod store "['containers'][0]['rootfs']['usedBytes']")" 5000000 6500000 "the writable layer"
between "$(pod store "['containers'][0]['logs']['usedBytes']")" 1000000 12000000 "the log"
between "$(pod store "['volume'][0]['usedBytes']")" 7000000 8500000 "the volume"
check_eq "$(pod store "['network']['name']")" eth0 "the pod's interface"
before=$(pod store "['network']['rxBytes']")
in_ns curl -s "http://$(k get pod store -o jsonpath='{.status.podIP}'):8080/" >/dev/null
get $node/stats/summary > "$E2E_DIR/summary"
[ "$(pod store "['network']['rxBytes']")" -gt "$before" ] || fail "the pod's network does not count"
value "d['node']['nodeName'], d['node']['fs']['capacityBytes'] > 0, d['node']['runtime']['imageFs']['inodes'] > 0, d['node']['network']['name']" < "$E2E_DIR/summary" |
  grep -qx "('node-1', True, True, 'e2e0')" || fail "the node"
value "[(c['name'], c['cpu']['usageCoreNanoSeconds'] > 0, c['memory']['usageBytes'] > 0) for c in d['node']['systemContainers']]" < "$E2E_DIR/summary" |
  grep -qx "\[('pods', True, True)\]" || fail "the group of all pods"
value "d['node']['rlimit']['maxpid'] > d['node']['rlimit']['curproc'] > 1" < "$E2E_DIR/summary" | grep -qx True || fail "processes"
get "$node/stats/summary?only_cpu_and_memory=true" | value "'fs' in d['node'], 'network' in d['pods'][0], d['node']['cpu']['usageNanoCores'] > 0" |
  grep -qx "(False, False, True)" || fail "only_cpu_and_memory"

step "metrics"
get $node/metrics/resource > "$E2E_DIR/resource"
grep -q '^container_cpu_usage_seconds_total{container="spin",namespace="default",pod="busy"} ' "$E2E_DIR/resource" || fail "metrics/resource"
grep -q '^pod_memory_working_set_bytes{namespace="default",pod="store"} ' "$E2E_DIR/resource" || fail "metrics/resource of pods"
grep -q '^node_cpu_usage_seconds_total [0-9.]* [0-9]*$' "$E2E_DIR/resource" || fail "metrics/resource of the node"
get $node/metrics/cadvisor > "$E2E_DIR/cadvisor"
grep -q '^container_network_receive_bytes_total{interface="eth0",namespace="default",pod="store"} ' "$E2E_DIR/cadvisor" || fail "metrics/cadvisor"
for m in periods_total throttled_periods_total throttled_seconds_total; do
  grep -qE "^container_cpu_cfs_$m\{container=\"spin\",namespace=\"default\",pod=\"busy\"\} [0-9.]*[1-9]" "$E2E_DIR/cadvisor" || fail "container_cpu_cfs_$m"
  grep -q "^container_cpu_cfs_$m{container=\"rest\"" "$E2E_DIR/cadvisor" && fail "throttling of what has no limit"
done
get $node/metrics/probes | grep -q '^prober_probe_total{container="c",namespace="default",pod="store",.*probe_type="Readiness",result="successful"} ' || fail "metrics/probes"
get $node/metrics > "$E2E_DIR/metrics"
grep -qx 'kubelet_running_pods 2' "$E2E_DIR/metrics" || fail "kubelet_running_pods"
grep -qx 'kubelet_pod_start_duration_seconds_count 2' "$E2E_DIR/metrics" || fail "kubelet_pod_start_duration_seconds"
get /metrics > "$E2E_DIR/metrics"
grep -q '^apiserver_request_total{code="200",.*resource="pods",scope="namespace",.*verb="LIST",version="v1"} ' "$E2E_DIR/metrics" || fail "apiserver_request_total"
grep -q '^apiserver_request_duration_seconds_bucket{.*resource="nodes".*,le="0.1"} ' "$E2E_DIR/metrics" || fail "apiserver_request_duration_seconds"
say "top: passed"
