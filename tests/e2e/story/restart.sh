#!/bin/bash
# kill -9 and restart of the node program leaves containers running and picks them up again; kill -9 of the control plane
# disturbs no pod; `sampan down` leaves nothing behind.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin restart
e2e_up
e2e_image docker.io/library/web:1
k run p --image=web:1 --command -- sh -c 'while true; do date +%s; sleep 1; done'
k wait --for=condition=Ready pod/p --timeout=30s
# The process that is PID 1 of the container that runs the loop (its children come and go, and process ids wrap).
container_pid() {
  local pid
  for pid in $(e2e_pod_pids p); do
    if grep -qz '^while true' "/proc/$pid/cmdline" 2>/dev/null && grep -q '^NSpid:.*[[:space:]]1$' "/proc/$pid/status"; then
      echo "$pid"
    fi
  done
}
first=$(container_pid)
[ -n "$first" ] || fail "the pod has no processes"
child() { pgrep -f "^sampan $1 --.*$E2E_DIR"; }
ready_since() { k get node node-1 -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}{.status.conditions[?(@.type=="Ready")].lastTransitionTime}'; }
ready=$(ready_since)
step "kill -9 of the node agent"
for i in 1 2; do
  old=$(child node); kill -9 "$old"
  wait_for 20 "a new node agent" sh -c "p=\$(pgrep -f '^sampan node --.*$E2E_DIR') && [ \"\$p\" != $old ]"
  sleep 2
  check_eq "$(container_pid)" "$first" "the container's process"
  check_eq "$(k get pod p -o jsonpath='{.status.containerStatuses[0].restartCount}')" 0 "restarts"
  check_eq "$(ready_since)" "$ready" "the node is Ready, and was all the time"
  k exec p -- true || fail "exec after the restart"
  k logs p --tail=1 | grep -q . || fail "logs after the restart"
done
step "kill -9 of the control plane"
kill -9 "$(child control)"
wait_for 10 "the API" k get --raw /readyz
check_eq "$(container_pid)" "$first" "the container's process"
step "a container that dies meanwhile is noticed afterwards"
old=$(child node); kill -STOP "$old"; for pid in $(e2e_pod_pids p); do kill -9 "$pid" 2>/dev/null || true; done; kill -9 "$old"
wait_for 40 "restart" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod p -o jsonpath='{.status.containerStatuses[0].restartCount}' | grep -qx 1"
step "down leaves nothing"
uid=$(k get pod p -o jsonpath='{.metadata.uid}')
in_ns "$SAMPAN" down --data-dir "$E2E_DIR/data" || fail "down"
check_eq "$(find /sys/fs/cgroup -path "*pod$uid*" -name cgroup.procs -exec cat {} + 2>/dev/null | wc -l)" 0 "processes of the pod"
check_eq "$(pgrep -f "$E2E_DIR/data" | wc -l)" 0 "processes of the cluster"
check_eq "$(grep -c "$E2E_DIR" /proc/self/mounts)" 0 "mounts"
step "up again with the same state"
e2e_up
wait_for 30 "the pod runs again" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod p | grep -q Running"
say "restart: passed"
