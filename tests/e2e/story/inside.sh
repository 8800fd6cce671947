#!/bin/bash
# Looking inside, with every kubectl on this machine: logs, exec (with a terminal), attach, cp, port-forward. kubectl >= 1.31
# speaks WebSocket, <= 1.29 SPDY/3.1. Whatever cuts kubectl's output reads it to the end (sed, not head): a closed pipe would end
# kubectl with an error of its own.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin inside
e2e_up
e2e_image docker.io/library/web:1
cat <<'Y' | k apply -f -
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - name: a
    image: web:1
    command: ["sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; mkdir -p /www; echo hello > /www/index.html; httpd -p 8080 -h /www; while true; do sleep 1; echo tick; done"]
  - name: b
    image: web:1
    stdin: true
    command: ["cat"]
Y
k wait --for=condition=Ready pod/p --timeout=30s
head -c 20000000 /dev/urandom > "$E2E_DIR/big"
mkfifo "$E2E_DIR/typing" # a terminal at which nobody types
exec 9<> "$E2E_DIR/typing"
mapfile -t kubectls < <(e2e_kubectls)
for E2E_KUBECTL in "${kubectls[@]}"; do
  step "$E2E_KUBECTL"
  check_eq "$(k logs p -c a | sed -n 5p)" "line 5" "logs"
  check_eq "$(k logs p -c a --tail=1 | wc -l)" 1 "logs --tail"
  k logs p -c a --timestamps | sed -n 1p | grep -qE '^20[0-9-]+T[0-9:.]+Z line 1$' || fail "logs --timestamps"
  [ "$(k logs p -c a --since=1h | wc -l)" -ge 5 ] || fail "logs --since"
  timeout 3 nsenter --net="/run/netns/$E2E_NS" "$E2E_KUBECTL" logs -f p -c a --tail=0 > "$E2E_DIR/follow" || true
  grep -q tick "$E2E_DIR/follow" || fail "logs -f"
  k logs p > "$E2E_DIR/default" 2>&1 || true
  grep -q "line 1\|container name must be specified\|Defaulted container" "$E2E_DIR/default" || fail "logs of two containers"
  check_eq "$(k exec p -c a -- echo hello)" hello "exec"
  check_eq "$(echo in | k exec -i p -c a -- cat)" in "exec -i"
  rc=0; k exec p -c a -- sh -c 'exit 7' 2>/dev/null || rc=$?
  check_eq $rc 7 "exit code of exec"
  check_eq "$(k exec p -c a -- sh -c 'echo out; echo err >&2' 2>/dev/null)" out "stderr apart"
  check_eq "$(head -c 3000000 /dev/zero | k exec -i p -c a -- wc -c)" 3000000 "3 MB through stdin"
  check_eq "$(k exec p -c a -- head -c 3000000 /dev/zero | wc -c)" 3000000 "3 MB through stdout"
  k exec -i p -c a -- cat < "$E2E_DIR/big" | cmp - "$E2E_DIR/big" || fail "20 MB there and back"
  check_eq "$(k exec p -c a -- head -c 20000000 /dev/zero | { sleep 3; wc -c; })" 20000000 "20 MB to a slow reader"
  # (kubectl sometimes complains of the empty message by which a server says, as upstream's does, that it is there)
  check_eq "$(timeout 3 nsenter --net="/run/netns/$E2E_NS" "$E2E_KUBECTL" exec p -c a -- sh -c 'echo asked >&2; sleep 10' 2>&1 |
    sed -n '/websocket.go.*Unknown stream id 1,/d; p; q')" \
    asked "a prompt, before the command goes on"
  # the size comes a moment after the process: until then busybox says that there is none
  script -qec "stty rows 33 cols 99; nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL exec -it p -c a -- sh -c 'until stty size 2>&1 | grep -v input; do sleep 0.1; done'" /dev/null <&9 > "$E2E_DIR/tty" || true
  grep -q "33 99" "$E2E_DIR/tty" || { cat "$E2E_DIR/tty"; fail "exec -it: size of the terminal"; }
  # (containerd drops the output once its input has ended: so the input stays a moment)
  check_eq "$({ echo echoed; sleep 1; } | timeout 5 nsenter --net="/run/netns/$E2E_NS" "$E2E_KUBECTL" attach -i p -c b 2>/dev/null | head -1)" echoed "attach -i"
  k wait --for=condition=Ready pod/p --timeout=60s >/dev/null
  echo "copied $RANDOM" > "$E2E_DIR/file"
  k cp "$E2E_DIR/file" p:/tmp/file -c a; k cp p:/tmp/file "$E2E_DIR/file2" -c a >/dev/null
  cmp "$E2E_DIR/file" "$E2E_DIR/file2" || fail "cp"
  : > "$E2E_DIR/pf"
  nsenter --net="/run/netns/$E2E_NS" "$E2E_KUBECTL" port-forward pod/p 18080:8080 > "$E2E_DIR/pf" 2>&1 & pf=$!; E2E_PIDS+=($pf)
  wait_for 10 "port-forward: $(cat "$E2E_DIR/pf")" in_ns curl -sf -m 2 http://127.0.0.1:18080/
  for i in 1 2 3; do check_eq "$(in_ns curl -s -m 3 http://127.0.0.1:18080/)" hello "port-forward"; done
  kill $pf; wait $pf 2>/dev/null || true
done
step "logs -p"
for pid in $(e2e_pod_pids p); do
  if grep -q "for i in" "/proc/$pid/cmdline" 2>/dev/null; then kill -9 "$pid"; fi
done
wait_for 30 "restart" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod p -o jsonpath='{.status.containerStatuses[?(@.name==\"a\")].restartCount}' | grep -qx 1"
for E2E_KUBECTL in "${kubectls[@]}"; do
  wait_for 20 "previous log with $E2E_KUBECTL" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL logs -p p -c a | grep 'line 5'"
done
say "inside: passed"
