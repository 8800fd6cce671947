#!/bin/bash
# The seed story: a ReplicationController and a Deployment with three replicas, a Service for each; desired state; a rolling
# update under load.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin story
step "up"
e2e_up
e2e_image docker.io/library/web:1
e2e_image docker.io/library/web:2
k get nodes | tee "$E2E_DIR/out"
grep -qE '^node-1 +Ready' "$E2E_DIR/out" || fail "the node is not Ready"

manifest() { cat <<Y
apiVersion: v1
kind: ReplicationController
metadata: {name: rc}
spec:
  replicas: 3
  selector: {app: rc}
  template:
    metadata: {labels: {app: rc}}
    spec:
      containers:
      - name: web
        image: web:1
        command: ["sh", "-c", "mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: rc}
spec:
  selector: {app: rc}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 10
      containers:
      - name: web
        image: web:1
        command: ["sh", "-c", "mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        lifecycle: {preStop: {exec: {command: ["sleep", "2"]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
Y
}
manifest | k apply -f -
step "pods run and are ready"
k rollout status deployment/web --timeout=60s
wait_for 60 "rc ready" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get rc rc -o jsonpath={.status.readyReplicas} | grep -qx 3"
k get rc,deploy,rs,svc,pods -o wide
check_eq "$(k get pods -l app=web --no-headers | awk '{print $2, $3}' | sort -u)" "1/1 Running" "pods of the deployment"
check_eq "$(k get endpoints web -o jsonpath='{.subsets[0].addresses[*].ip}' | wc -w)" 3 "endpoints"

step "the service answers: cluster IP from the machine and from a pod, node port, spread over the pods"
ip=$(k get svc web -o jsonpath='{.spec.clusterIP}')
fetch() { in_ns curl -sS -m 3 "$1"; }
for i in $(seq 60); do fetch "http://$ip/"; done | sort | uniq -c | tee "$E2E_DIR/spread"
check_eq "$(wc -l < "$E2E_DIR/spread")" 3 "pods that answered"
fetch "http://$E2E_IP:30080/" >/dev/null || fail "node port"
fetch "http://127.0.0.1:30080/" >/dev/null || fail "node port on the loopback address"
pod=$(k get pods -l app=rc -o jsonpath='{.items[0].metadata.name}')
k exec "$pod" -- wget -q -O - "http://$ip/" >/dev/null || fail "cluster IP from a pod"
own=$(k get pods -l app=web -o jsonpath='{.items[0].metadata.name}')
for i in $(seq 9); do k exec "$own" -- wget -q -O - "http://$ip/" >/dev/null || fail "hairpin"; done

step "desired state: a container killed comes back, a pod deleted is replaced"
cid=$(k get pod "$pod" -o jsonpath='{.status.containerStatuses[0].containerID}')
for pid in $(e2e_pod_pids "$pod"); do kill -9 "$pid"; done
wait_for 30 "restart count" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod $pod -o jsonpath='{.status.containerStatuses[0].restartCount}' | grep -qx 1"
wait_for 30 "running again" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod $pod -o jsonpath='{.status.containerStatuses[0].ready}' | grep -qx true"
[ "$(k get pod "$pod" -o jsonpath='{.status.containerStatuses[0].containerID}')" != "$cid" ] || fail "same container"
k delete pod "$pod" --wait=true --timeout=60s
wait_for 30 "replacement" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get rc rc -o jsonpath={.status.readyReplicas} | grep -qx 3"

step "scale, edit, label, annotate, set image, history, undo, pause, resume, restart"
k scale deployment/web --replicas=4
k rollout status deployment/web --timeout=60s
check_eq "$(k get deploy web -o jsonpath='{.status.readyReplicas}')" 4 "scaled"
k label deploy web tier=front
k annotate deploy web kubernetes.io/change-cause="first"
EDITOR="sed -i s/tier:.front/tier:\ back/" k edit deploy web
check_eq "$(k get deploy web -o jsonpath='{.metadata.labels.tier}')" back "edit"

step "a rolling update under load drops no request"
( n=0; bad=0; while [ ! -e "$E2E_DIR/stop" ]; do in_ns curl -sS -m 3 -o /dev/null -f "http://$ip/" 2>>"$E2E_DIR/load.err" || bad=$((bad+1)); n=$((n+1)); done; echo "$n $bad" > "$E2E_DIR/load" ) &
load=$!
k set image deployment/web web=web:2
k rollout status deployment/web --timeout=120s
k rollout history deployment/web
k rollout undo deployment/web
k rollout status deployment/web --timeout=120s
touch "$E2E_DIR/stop"; wait $load
read -r n bad < "$E2E_DIR/load"
say "$n requests, $bad failed"
[ "$n" -gt 50 ] || fail "too little load"
[ "$bad" = 0 ] || { cat "$E2E_DIR/load.err"; fail "dropped requests"; }
check_eq "$(k get deploy web -o jsonpath='{.spec.template.spec.containers[0].image}')" web:1 "undone"
k rollout pause deployment/web; k rollout resume deployment/web; k rollout restart deployment/web
k rollout status deployment/web --timeout=120s

step "describe, events, explain, api-resources, cluster-info, cordon, taint, run, expose, wait"
k describe deploy web >/dev/null; k describe pod -l app=web >/dev/null; k describe node node-1 >/dev/null; k describe svc web >/dev/null
k events >/dev/null 2>&1 || k get events >/dev/null
k explain deployment.spec.template.spec.containers | grep -q image || fail "explain"
k api-resources | grep -qE '^pods +po ' || fail "api-resources"
k cluster-info | grep -q "control plane" || fail "cluster-info"
k cordon node-1; k get node node-1 | grep -q SchedulingDisabled || fail cordon; k uncordon node-1
k taint node node-1 a=b:NoSchedule; k taint node node-1 a-
k run one --image=web:1 --port=8080 --command -- sleep 1000
k expose pod one --name=one
k wait --for=condition=Ready pod/one --timeout=30s
k patch pod one -p '{"metadata":{"labels":{"x":"y"}}}'

step "delete: cascading, orphan, foreground"
k delete deploy web --cascade=orphan
sleep 1
[ "$(k get rs -l app=web --no-headers | wc -l)" -gt 0 ] || fail "orphan deleted the replica sets"
k delete rs -l app=web --cascade=foreground --timeout=60s
wait_for 60 "pods gone" sh -c "[ -z \"\$(nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pods -l app=web -o name)\" ]"
k delete rc/rc svc/rc svc/web pod/one svc/one --timeout=60s
say "story: passed"
