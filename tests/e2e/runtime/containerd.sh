#!/bin/bash
# containerd.sh: the other backend of cri.h: CRI over gRPC, with a containerd of this test's own. First through cri.h without
# a kubelet, then a cluster whose node uses it.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin ctrd
CRI=(in_ns "$ROOT/build/cri_run" --data-dir "$E2E_DIR/d" --endpoint "unix://$E2E_DIR/containerd.sock")
cri() { "${CRI[@]}" "$@"; }
state() { cri ls | awk -v id="$1" '$1 == id {print $3}'; }
is_exited() { [ "$(state "$1")" = exited ]; }
log_has() { grep -q "$2" "$E2E_DIR/d/logs/$1/0.log"; }

# Pods live in namespaces of their own, so the runtime has to end them.
end() {
  local status=$?
  set +e
  [ $status = 0 ] || [ $status = 77 ] || tail -30 "$E2E_DIR/containerd.log"
  in_ns "$SAMPAN" down --data-dir "$E2E_DIR/data" >/dev/null 2>&1
  for s in $(cri sandboxes 2>/dev/null | awk '{print $1}'); do cri stop-sandbox "$s"; cri rm-sandbox "$s"; done >/dev/null 2>&1
  e2e_end
}
trap end EXIT

ninja -C "$ROOT/build" cri_run >/dev/null
mkdir -p "$E2E_DIR"/d/logs/{main,web,reader} # the folders are the kubelet's to make
e2e_containerd
e2e_image busybox --cmd '["sh"]'

step "images: the list, and the registry's words when there is none"
cri images | grep -q 'docker.io/library/busybox:latest' || fail "images: $(cri images)"
cri pull 127.0.0.1:1/no/such:1 2> "$E2E_DIR/err" && fail "a pull from nowhere succeeded"
grep -q 'rpc error: code = .* desc = failed to pull and unpack image "127.0.0.1:1/no/such:1": .*connection refused' "$E2E_DIR/err" ||
  fail "words of the pull: $(cat "$E2E_DIR/err")"

step "a sandbox and a container in it"
SB=$(cri sandbox pod1)
C=$(cri create "$SB" main docker.io/library/busybox:latest env=NAME:world -- sh -c 'echo hello $NAME; echo oops >&2; hostname; sleep 1000')
check_eq "$(state "$C")" created "state after create"
cri start "$C"
check_eq "$(state "$C")" running "state after start"
wait_for 10 "the log" log_has main 'stdout F pod1'
log_has main 'stdout F hello world' || fail "environment"
log_has main 'stderr F oops' || fail "stderr in the log"

step "exec: output, exit code, a command that is not there, standard input and its end, a terminal and its size"
check_eq "$(cri exec "$C" sh -c 'echo out; exit 3' || echo "code $?")" "$(printf 'out\ncode 3')" "exec"
cri exec "$C" nosuch 2> "$E2E_DIR/err" && fail "exec of nothing succeeded"
grep -q 'executable file not found' "$E2E_DIR/err" || fail "words of exec: $(cat "$E2E_DIR/err")"
check_eq "$(echo typed | cri stream "$C" cat)" typed "stdin of exec"
check_eq "$(cri stream "$C" head -c 3000000 /dev/zero < /dev/null | wc -c)" 3000000 "much output"
echo 'stty size; exit 5' | cri stream "$C" tty sh > "$E2E_DIR/out" && fail "exit code of a terminal"
grep -q '40 100' "$E2E_DIR/out" || fail "size of the terminal: $(cat "$E2E_DIR/out")"

step "attach with standard input; how it ended"
A=$(cri create "$SB" reader docker.io/library/busybox:latest stdin -- sh -c 'read line; echo got $line; exit 7')
cri start "$A"
echo attached | cri attach "$A" > "$E2E_DIR/out" || true
wait_for 10 "the end of the reader" is_exited "$A"
log_has reader 'got attached' || fail "the reader read nothing"
cri ls | grep "$A" | grep -q 'code=7 reason=Error' || fail "exit code: $(cri ls)"
cri stats | grep -q "^main cpu=[1-9]" || fail "stats: $(cri stats)"

step "stopping and removing"
cri stop "$C"; cri rm "$C"
[ -z "$(state "$C")" ] || fail "the container is still there"
cri stop-sandbox "$SB"; cri rm-sandbox "$SB"; cri rm-sandbox "$SB"
check_eq "$(cri sandboxes)" "" "sandboxes"

step "a cluster whose node uses containerd"
E2E_RUNTIME=containerd
e2e_up
wait_for 30 "the node is not ready" k wait --for=condition=Ready node/node-1 --timeout=1s
k get node node-1 -o jsonpath='{.status.nodeInfo.containerRuntimeVersion}' | grep -q '^containerd://' || fail "runtime version"
k create configmap words --from-literal=greeting=hello >/dev/null
cat <<EOF | k apply -f - >/dev/null
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [
  {"name": "c", "image": "busybox", "imagePullPolicy": "Never",
   "command": ["sh", "-c", "echo \$GREETING; mkdir /w; echo served > /w/f; httpd -p 8080 -h /w; sleep 1000"],
   "env": [{"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "words", "key": "greeting"}}}],
   "readinessProbe": {"exec": {"command": ["test", "-f", "/w/f"]}, "periodSeconds": 1}}]}}
EOF
k wait --for=condition=Ready pod/p --timeout=30s >/dev/null || fail "the pod is not ready"
check_eq "$(k logs p)" hello "logs"
check_eq "$(echo typed | k exec -i p -- cat)" typed "exec"
check_eq "$(head -c 9000000 /dev/zero | k exec -i p -- wc -c)" 9000000 "much stdin"
k exec p -- sh -c 'exit 4' 2>/dev/null && fail "exit code of exec" || check_eq $? 4 "exit code of exec"
IP=$(k get pod p -o jsonpath='{.status.podIP}')
check_eq "$(in_ns curl -s "http://$IP:8080/f")" served "the pod's address"
k get pod p -o jsonpath='{.status.containerStatuses[0].containerID}' | grep -q '^containerd://' || fail "container id"
k port-forward p 18081:8080 > "$E2E_DIR/pf.log" &
E2E_PIDS+=($!)
wait_for 10 "port-forward" in_ns curl -sf -o "$E2E_DIR/out" http://127.0.0.1:18081/f
check_eq "$(cat "$E2E_DIR/out")" served "port-forward"
k run nopull --image=127.0.0.1:1/no/such:1 --restart=Never >/dev/null
wait_for 20 "no event about the pull" sh -c "nsenter --net=/run/netns/$E2E_NS -- $E2E_KUBECTL get events | grep -q 'failed to pull and unpack image'"
k delete pod p nopull --timeout=30s >/dev/null || fail "delete"
wait_for 20 "sandboxes are left" sh -c "[ -z \"\$(${CRI[*]@Q} sandboxes 2>/dev/null)\" ]"
say "containerd: all well"
