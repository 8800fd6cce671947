#!/bin/bash
# Every component of a running cluster tells its metrics in a format that Prometheus takes, under upstream's names, and shows
# health, configuration and flags where upstream's does.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin metrics
e2e_up
e2e_image busybox --cmd '["sh"]'
wait_for 20 "the service account" k get serviceaccount default
k apply -f - <<'X'
apiVersion: v1
kind: Pod
metadata: {name: runs}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c, "sleep 1000"]
    readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {selector: {a: b}, ports: [{port: 80}]}
X
k wait --for=condition=Ready pod/runs --timeout=30s || fail "the pod does not run"
in_ns python3 "$(dirname "$0")/../lib/scrape.py" "$KUBECONFIG" || fail "metrics are not as they have to be"
step "done"
