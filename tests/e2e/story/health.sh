#!/bin/bash
# Health checks: HTTP, TCP and exec; liveness restarts, readiness gates the service, startup delays the others.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin health
e2e_up
e2e_image docker.io/library/web:1
cat <<'Y' | k apply -f -
apiVersion: v1
kind: Pod
metadata: {name: live-exec}
spec:
  containers:
  - name: c
    image: web:1
    command: ["sh", "-c", "touch /tmp/ok; sleep 3; rm /tmp/ok; sleep 600"]
    livenessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1, failureThreshold: 2}
---
apiVersion: v1
kind: Pod
metadata: {name: live-tcp}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: web:1
    command: [sleep, "600"]
    livenessProbe: {tcpSocket: {port: 9}, periodSeconds: 1, failureThreshold: 2}
---
apiVersion: v1
kind: Pod
metadata: {name: ready, labels: {app: ready}}
spec:
  containers:
  - name: c
    image: web:1
    command: ["sh", "-c", "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www"]
    readinessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Service
metadata: {name: ready}
spec: {selector: {app: ready}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: startup}
spec:
  containers:
  - name: c
    image: web:1
    command: ["sh", "-c", "sleep 4; touch /tmp/up; sleep 600"]
    startupProbe: {exec: {command: [cat, /tmp/up]}, periodSeconds: 1, failureThreshold: 30}
    livenessProbe: {exec: {command: [cat, /tmp/up]}, periodSeconds: 1, failureThreshold: 1}
Y
get() { k get pod "$1" -o jsonpath="$2"; }
step "readiness gates the service, and a pod that leaves Ready leaves it within a second"
k wait --for=condition=Ready pod/ready --timeout=30s
ip=$(k get svc ready -o jsonpath='{.spec.clusterIP}')
wait_for 5 "service" in_ns curl -sf -m 1 "http://$ip/"
k exec ready -- rm /www/index.html
wait_for 10 "not ready" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod ready -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].status}' | grep -qx False"
wait_for 2 "out of the service" sh -c "! nsenter --net=/run/netns/$E2E_NS curl -s -m 1 http://$ip/"
check_eq "$(k get endpoints ready -o jsonpath='{.subsets[0].notReadyAddresses[0].targetRef.name}')" ready "not-ready address"
k exec ready -- sh -c 'echo back > /www/index.html'
wait_for 5 "back in the service" sh -c "nsenter --net=/run/netns/$E2E_NS curl -s -m 1 http://$ip/ | grep -qx back"
step "liveness restarts"
for p in live-exec live-tcp; do
  wait_for 45 "$p restarted" sh -c "[ \$(nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod $p -o jsonpath='{.status.containerStatuses[0].restartCount}') -ge 1 ]"
done
k describe pod live-exec | grep -q "Liveness probe failed" || fail "no event about the failed probe"
step "startup delays the others"
wait_for 30 "started" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod startup -o jsonpath='{.status.containerStatuses[0].started}' | grep -qx true"
check_eq "$(get startup '{.status.containerStatuses[0].restartCount}')" 0 "restarts of the slow starter"
step "back-off"
k run crash --image=web:1 --command -- sh -c 'exit 3'
wait_for 60 "CrashLoopBackOff" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod crash | grep -q CrashLoopBackOff"
check_eq "$(get crash '{.status.containerStatuses[0].lastState.terminated.exitCode}')" 3 "exit code"
say "health: passed"
