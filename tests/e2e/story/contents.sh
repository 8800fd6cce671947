#!/bin/bash
# Pod contents: init containers, shared namespaces and volumes, every kind of volume and of environment, users, limits, hooks,
# restart policies.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin contents
e2e_up
e2e_image docker.io/library/web:1
k create configmap cm --from-literal=key=value --from-literal=other=thing
k create secret generic sec --from-literal=password=hidden
cat <<'Y' | k apply -f -
apiVersion: v1
kind: Pod
metadata: {name: all, labels: {l: x}, annotations: {note: hey}}
spec:
  terminationGracePeriodSeconds: 3
  initContainers:
  - {name: i1, image: "web:1", command: [sh, -c, "echo one > /shared/order"], volumeMounts: [{name: disk, mountPath: /shared}]}
  - {name: i2, image: "web:1", command: [sh, -c, "echo two >> /shared/order"], volumeMounts: [{name: disk, mountPath: /shared}]}
  securityContext: {fsGroup: 4000}
  containers:
  - name: a
    image: web:1
    command: [sh, -c]
    args: ["httpd -p 9090 -h /etc; sleep 3600"]
    workingDir: /tmp
    env:
    - {name: PLAIN, value: "x-$(BASE)"}
    - {name: BASE, value: base}
    - {name: COMPOSED, value: "$(BASE)-$$(BASE)"}
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
    - {name: CM, valueFrom: {configMapKeyRef: {name: cm, key: key}}}
    - {name: SEC, valueFrom: {secretKeyRef: {name: sec, key: password}}}
    - {name: GONE, valueFrom: {configMapKeyRef: {name: none, key: key, optional: true}}}
    envFrom: [{configMapRef: {name: cm}, prefix: P_}]
    resources: {requests: {cpu: 50m, memory: 16Mi}, limits: {cpu: 200m, memory: 64Mi}}
    lifecycle: {postStart: {exec: {command: [touch, /shared/started]}}}
    volumeMounts:
    - {name: disk, mountPath: /shared}
    - {name: mem, mountPath: /mem}
    - {name: cm, mountPath: /cm}
    - {name: sec, mountPath: /sec, readOnly: true}
    - {name: down, mountPath: /down}
    - {name: host, mountPath: /host}
  - name: b
    image: web:1
    command: [sleep, "3600"]
    securityContext: {runAsUser: 1000, runAsGroup: 2000, readOnlyRootFilesystem: true}
    volumeMounts: [{name: disk, mountPath: /shared}]
  volumes:
  - {name: disk, emptyDir: {}}
  - {name: mem, emptyDir: {medium: Memory}}
  - {name: cm, configMap: {name: cm, items: [{key: key, path: sub/k, mode: 0400}]}}
  - {name: sec, secret: {secretName: sec}}
  - {name: down, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - {name: host, hostPath: {path: /etc, type: Directory}}
Y
k wait --for=condition=Ready pod/all --timeout=60s
a() { k exec all -c a -- "$@"; }
b() { k exec all -c b -- "$@"; }
step "init containers in order, shared volume and network"
check_eq "$(a cat /shared/order | tr '\n' ' ')" "one two " "init order"
a test -e /shared/started || fail "postStart"
b wget -q -O /dev/null http://127.0.0.1:9090/hostname || fail "shared network"
step "environment"
for want in 'PLAIN=x-$(BASE)' BASE=base 'COMPOSED=base-$(BASE)' POD=all CPU=200 CM=value SEC=hidden P_key=value P_other=thing; do
  a env | grep -qxF "$want" || fail "environment: $want"
done
a env | grep -q '^KUBERNETES_SERVICE_HOST=' || fail "service variables"
check_eq "$(a sh -c 'echo $IP')" "$(k get pod all -o jsonpath='{.status.podIP}')" "pod IP"
a env | grep -q '^GONE=' && fail "optional key"
check_eq "$(a pwd)" /tmp "working directory"
step "volumes"
check_eq "$(a cat /cm/sub/k)" value "configMap"; check_eq "$(a stat -L -c %a /cm/sub/k)" 440 "its mode (with fsGroup)"
check_eq "$(a cat /sec/password)" hidden "secret"
check_eq "$(a cat /down/labels)" 'l="x"' "downwardAPI"
a sh -c 'mount | grep -q "on /mem type tmpfs"' || fail "memory emptyDir"
check_eq "$(a cat /host/hostname)" "$(cat /etc/hostname)" "hostPath"
check_eq "$(a stat -c %g /shared)" 4000 "fsGroup"
check_eq "$(b id -u):$(b id -g)" 1000:2000 "user"
b touch /x 2>/dev/null && fail "read-only root"
a sh -c 'cat /var/run/secrets/kubernetes.io/serviceaccount/namespace' | grep -qx default || fail "kube-api-access"
a sh -c 'test -s /var/run/secrets/kubernetes.io/serviceaccount/token -a -s /var/run/secrets/kubernetes.io/serviceaccount/ca.crt' || fail "token"
k create configmap cm --from-literal=key=changed -o yaml --dry-run=client | k replace -f -
wait_for 90 "live update of the configMap" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL exec all -c a -- cat /cm/sub/k | grep -qx changed"
step "limits"
k run oom --image=web:1 --restart=Never --overrides='{"spec":{"containers":[{"name":"oom","image":"web:1","command":["sh","-c","head -c 100000000 /dev/zero | tail"],"resources":{"limits":{"memory":"20Mi"}}}]}}'
wait_for 30 "OOMKilled" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod oom -o jsonpath='{.status.containerStatuses[0].state.terminated.reason}' | grep -qx OOMKilled"
step "restart policies"
k run never --image=web:1 --restart=Never --command -- sh -c 'exit 1'
k run onfail --image=web:1 --restart=OnFailure --command -- sh -c 'exit 0'
wait_for 20 "Failed" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod never -o jsonpath={.status.phase} | grep -qx Failed"
wait_for 20 "Succeeded" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod onfail -o jsonpath={.status.phase} | grep -qx Succeeded"
step "termination: grace and preStop"
cat <<Y | k apply -f -
apiVersion: v1
kind: Pod
metadata: {name: stop}
spec:
  terminationGracePeriodSeconds: 20
  containers:
  - name: c
    image: web:1
    command: [sh, -c, "trap 'echo term >> /out/log; exit 0' TERM; while true; do sleep 0.1; done"]
    lifecycle: {preStop: {exec: {command: [sh, -c, "echo pre >> /out/log"]}}}
    volumeMounts: [{name: out, mountPath: /out}]
  volumes: [{name: out, hostPath: {path: "$E2E_DIR/out.d", type: DirectoryOrCreate}}]
Y
k wait --for=condition=Ready pod/stop --timeout=30s
k delete pod stop --timeout=30s
check_eq "$(tr '\n' ' ' < "$E2E_DIR/out.d/log")" "pre term " "hooks and signal"
say "contents: passed"
