#!/bin/bash
# flags.sh: `sampan up` and `sampan server` take the flags of the programs they run and hand each its own; a wrong one ends the
# server with code 2, by which systemd knows that another try is of no use.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin flags

step "flags of the API server, the controllers, the scheduler and the kubelet, on one command line"
cat > "$E2E_DIR/scheduler.yaml" <<Y
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles: [{schedulerName: another}]
Y
e2e_up --node-monitor-grace-period 14s --controllers=*,-replicaset-controller --scheduler-config "$E2E_DIR/scheduler.yaml" --max-pods 7 \
  --node-labels a=b --service-node-port-range=31000-31001 --disable-admission-plugins=DefaultTolerationSeconds
check_eq "$(k get node node-1 -o 'jsonpath={.status.capacity.pods} {.metadata.labels.a}')" "7 b" "the kubelet's"
k create service nodeport s --tcp=80 --node-port=30000 2>&1 | grep -q "range of valid ports is 31000-31001" || fail "the API server's: ports"
k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {schedulerName: another, terminationGracePeriodSeconds: 0, containers: [{name: c, image: none:1}]}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: r}
spec: {replicas: 1, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: none:1}]}}}
Y
check_eq "$(k get pod p -o 'jsonpath={.spec.tolerations}')" "" "the API server's: tolerations by default"
scheduled() { [ "$(k get pod p -o 'jsonpath={.spec.nodeName}')" = node-1 ]; }
wait_for 20 "the scheduler's: a pod that names it" scheduled
k create deployment d --image=none:1 >/dev/null
wait_for 20 "the deployment's ReplicaSet" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get rs -l app=d -o name | grep -q ."
check_eq "$(k get pods -o name)" pod/p "pods, while there is no controller of ReplicaSets"

step "what only the program itself finds wrong ends the server"
rc=0; in_ns "$SAMPAN" server --data-dir "$E2E_DIR/other" --control-only --secure-port 7443 --cluster-cidr 10.244.0.0/16 --node-cidr-mask-size 8 \
  > "$E2E_DIR/out" 2>&1 || rc=$?
check_eq "$rc" 2 "exit code"
grep -q "control cannot start: .*mask size" "$E2E_DIR/out" || fail "it says: $(cat "$E2E_DIR/out")"
rc=0; in_ns "$SAMPAN" server --max-pod 3 > "$E2E_DIR/out" 2>&1 || rc=$?
check_eq "$rc $(cat "$E2E_DIR/out")" "2 server: unknown flag: --max-pod (did you mean --max-pods?)" "a flag that nobody has"
say "all is well"
