#!/bin/bash
# Network policies on two machines: who reaches whom, after the model of upstream's end-to-end matrix.
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/network.sh"
machines_begin policy 2

PODS=(xa xb ya yb)
declare -A IP
for ns in x y; do k create namespace $ns >/dev/null; k label namespace $ns ns=$ns >/dev/null; done
# until the namespace has its service account
for ns in x y; do wait_for 10 "service account of $ns" k get -n $ns serviceaccount default; done
pod_on 1 xa "pod: a" x; pod_on 2 xb "pod: b" x; pod_on 1 ya "pod: a" y; pod_on 2 yb "pod: b" y
pods_ready "${PODS[@]}"
for p in "${PODS[@]}"; do IP[$p]=$(pod_ip $p); netns_of $p > /dev/null; done

# reaches FROM IP PORT
reaches() { in_pod "$1" curl -s -o /dev/null --connect-timeout 0.7 -m 2 "http://$2:$3/index.html"; }
# who IP PORT: the pods that reach it
who() {
  local p out=$E2E_DIR/who; rm -rf "$out"; mkdir "$out"
  local jobs=()
  for p in "${PODS[@]}"; do { reaches "$p" "$1" "$2" && : > "$out/$p"; true; } & jobs+=($!); done
  wait "${jobs[@]}"
  (cd "$out" && echo *)
}
is_who() { [ "$(who "$1" "$2")" = "$3" ]; }
# only TO PORT "FROM …": exactly these reach it
only() { wait_for 8 "only '$3' reach $1:$2; now: $(who "${IP[$1]:-$1}" "$2")" is_who "${IP[$1]:-$1}" "$2" "$3"; }
policy() { # NAME NS, then the spec on standard input
  { printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: "%s", namespace: "%s"}\nspec:\n' "$1" "$2"; cat; } \
    | k apply -f - >/dev/null || fail "policy $1"
}
none() { k delete networkpolicy --all -A >/dev/null; for p in "${PODS[@]}"; do only "$p" 8080 "xa xb ya yb"; done; }
ALL="xa xb ya yb"

step "no policy: everything"
for p in "${PODS[@]}"; do only $p 8080 "$ALL"; done

step "deny all ingress in x: only oneself; the machine itself and its probes pass"
policy deny x <<< '  {podSelector: {}}'
only xa 8080 xa; only xb 8080 xb; only ya 8080 "$ALL"
in_m 1 curl -sf -m 2 "http://${IP[xa]}:8080/index.html" >/dev/null || fail "machine 1 does not reach its own pod"
k -n x create -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  nodeName: node-2
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: "test.local/busybox:1", imagePullPolicy: Never, command: [httpd, -f, -p, "8080"],
     readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}}
YAML
POD_NS[probed]=x; pods_ready probed; k -n x delete pod probed --now >/dev/null

step "ingress from pods of the namespace by label, on both machines"
policy deny x <<< '  {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]}'
only xa 8080 "xa xb"; only xb 8080 "$ALL"

step "by namespace; both; either"
policy deny x <<< '  {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}]}]}'
only xa 8080 "xa ya yb"
policy deny x <<< '  {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}, podSelector: {matchLabels: {pod: b}}}]}]}'
only xa 8080 "xa yb"
policy deny x <<< '  {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}, {podSelector: {matchLabels: {pod: b}}}]}]}'
only xa 8080 "$ALL"
policy deny x <<< '  {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: ns, operator: NotIn, values: ["x"]}]}, podSelector: {matchExpressions: [{key: pod, operator: In, values: [a, c]}]}}]}]}'
only xa 8080 "xa ya"

step "labels of pods and namespaces change"
k -n y label pod yb pod=c --overwrite >/dev/null
only xa 8080 "xa ya yb"
k label namespace y ns=x --overwrite >/dev/null
only xa 8080 xa
k label namespace y ns=y --overwrite >/dev/null; k -n y label pod yb pod=b --overwrite >/dev/null
only xa 8080 "xa ya"

step "ports: a number, a name, a range, another protocol"
policy deny x <<< '  {podSelector: {}, ingress: [{ports: [{port: 8080}]}]}'
only xa 8080 "$ALL"; only xa 8082 xa
policy deny x <<< '  {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}], ports: [{port: other}]}]}'
only xa 8080 xa; only xa 8082 "xa ya yb"; only xb 8082 "xb ya yb"
policy deny x <<< '  {podSelector: {}, ingress: [{ports: [{port: 8081, endPort: 8090}]}]}'
only xa 8080 xa; only xa 8082 "$ALL"
policy deny x <<< '  {podSelector: {}, ingress: [{ports: [{port: 8080, protocol: UDP}, {port: 8080, protocol: SCTP}]}]}'
only xa 8080 xa
in_m 1 nft list table inet sampan_policy | grep -q 'sctp dport 8080' || fail "no rule for SCTP"

step "policies add up"
policy deny x <<< '  {podSelector: {}}'
policy more x <<< '  {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]}'
policy yet-more x <<< '  {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}, podSelector: {matchLabels: {pod: a}}}]}]}'
only xa 8080 "xa xb ya"; only xb 8080 xb
k -n x delete networkpolicy more >/dev/null
only xa 8080 "xa ya"
none

step "address blocks with exceptions"
net1=$(k get node node-1 -o jsonpath='{.spec.podCIDR}')
policy block x <<< "  {podSelector: {matchLabels: {pod: b}}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/16, except: [$net1]}}]}]}"
only xb 8080 "xb yb"
policy block x <<< "  {podSelector: {matchLabels: {pod: b}}, ingress: [{from: [{ipBlock: {cidr: ${IP[ya]}/32}}]}]}"
only xb 8080 "xb ya"
none

step "egress: nothing; by namespace, label and port; answers come back"
policy out x <<< '  {podSelector: {}, policyTypes: [Egress]}'
only ya 8080 "ya yb"; only xb 8080 "xb ya yb"
policy out x <<< '  {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {ns: "y"}}, podSelector: {matchLabels: {pod: b}}}], ports: [{port: web}]}]}'
only yb 8080 "$ALL"; only yb 8082 "xb ya yb"; only ya 8080 "xb ya yb"; only xb 8080 "xb ya yb"
step "what may leave must also be let in"
policy in y <<< '  {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}'
only yb 8080 "ya yb"
k -n y delete networkpolicy in >/dev/null
only yb 8080 "$ALL"

step "through a service the policy sees the pod"
k -n y expose pod yb --port=80 --target-port=8080 --name=svc >/dev/null
svc=$(k -n y get service svc -o jsonpath='{.spec.clusterIP}')
only "$svc" 80 "$ALL"
policy out x <<< '  {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}'
only "$svc" 80 "xb ya yb"; only xb 8080 "$ALL"
none

step "a connection that was allowed goes on"
in_pod xa timeout 20 sh -c "(sleep 6; echo done) | socat -t 1 - TCP:${IP[yb]}:8080" >/dev/null 2>&1 & conn=$!
established() { in_pod xa sh -c "ss -tnH state established dst ${IP[yb]} | grep -q ."; }
wait_for 5 "the connection" established
policy in y <<< '  {podSelector: {}}'
only yb 8080 yb
established || fail "the connection was cut"
kill $conn 2>/dev/null || true
none

step "a pod that a policy selects is isolated before it starts"
policy out x <<< '  {podSelector: {}, policyTypes: [Egress]}'
only ya 8080 "ya yb"
for j in 1 2 3; do
  k -n x create -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: early-$j}
spec:
  restartPolicy: Never
  containers:
  - {name: c, image: "test.local/busybox:1", imagePullPolicy: Never,
     command: [sh, -c, "nc -w 2 ${IP[ya]} 8080 < /dev/null > /dev/null 2>&1 && echo got out || echo kept in"]}
YAML
done
for j in 1 2 3; do
  k -n x wait --for=jsonpath='{.status.phase}'=Succeeded pod/early-$j --timeout=30s >/dev/null || fail "early-$j does not end"
  check_eq "$(k -n x logs early-$j)" "kept in" "early-$j"
done
k -n x delete pod early-1 early-2 early-3 --now >/dev/null
none

step "the node agent restarts: rules stay, and are right afterwards"
policy deny x <<< '  {podSelector: {}}'
only xb 8080 xb
machine_stop 2
is_who "${IP[xb]}" 8080 xb || fail "rules went with the agent"
k -n x delete networkpolicy deny >/dev/null
policy deny x <<< '  {podSelector: {matchLabels: {pod: a}}}'
machine_start 2
only xb 8080 "$ALL"; only xa 8080 xa
none
