#!/bin/bash
# containers.sh: the built-in container runtime through cri.h, without a kubelet. Every command is a process of its own, so
# every step also shows that containers outlive the program and are found again.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin containers
ninja -C "$ROOT/build" cri_run >/dev/null
# Containers outlive whoever started them: a test that fails must end them itself.
end_containers() {
  for f in "$E2E_DIR"/r/containers/*/pid "$E2E_DIR"/r/containers/*/conmon.pid; do [ -f "$f" ] && kill -9 "$(cat "$f")" 2>/dev/null; done
  e2e_end
}
trap end_containers EXIT
CRI=(in_ns "$ROOT/build/cri_run" --data-dir "$E2E_DIR/d" --run-dir "$E2E_DIR/r")
cri() { "${CRI[@]}" "$@"; }
image() { in_ns "$SAMPAN" image "$@" --data-dir "$E2E_DIR/d"; }
log_has() { grep -q "$2" "$E2E_DIR/d/logs/$1/0.log"; }
is_exited() { [ "$(state "$1")" = exited ]; }
state() { cri ls | awk -v id="$1" '$1 == id {print $3}'; }

step "an image from an archive"
python3 "$ROOT/tests/e2e/lib/mkimage.py" "$E2E_DIR/busybox.tar" busybox --env GREETING=hello --oci "$E2E_DIR/oci" >/dev/null
image import "$E2E_DIR/busybox.tar"
check_eq "$(image ls | awk 'NR == 2 {print $1}')" docker.io/library/busybox:latest "name of the image"

step "broken archives leave nothing behind and say why"
head -c 300000 "$E2E_DIR/busybox.tar" > "$E2E_DIR/cut.tar"
image import "$E2E_DIR/cut.tar" 2> "$E2E_DIR/err" && fail "a cut archive was taken"
[ -s "$E2E_DIR/err" ] || fail "no error for a cut archive"
echo nonsense > "$E2E_DIR/text.tar"
image import "$E2E_DIR/text.tar" 2> "$E2E_DIR/err" && fail "a text was taken for an archive"
check_eq "$(ls "$E2E_DIR/d/runtime/images/tmp" | wc -l)" 0 "files left in tmp"

step "a sandbox and a container in it"
SB=$(cri sandbox pod1)
C=$(cri create "$SB" main busybox env=NAME:world -- sh -c 'echo $GREETING $NAME; echo oops >&2; hostname; sleep 1000')
check_eq "$(state "$C")" created "state after create"
cri start "$C"
check_eq "$(state "$C")" running "state after start"
wait_for 10 "the log" log_has pod1/main 'stdout F pod1'
log_has pod1/main 'stdout F hello world' || fail "environment"
log_has pod1/main 'stderr F oops' || fail "stderr in the log"

step "exec: output, exit code, a command that is not there, a terminal and its size"
check_eq "$(cri exec "$C" sh -c 'echo out; exit 3' || echo "code $?")" "$(printf 'out\ncode 3')" "exec"
cri exec "$C" nosuch 2> "$E2E_DIR/err" && fail "exec of nothing succeeded"
grep -q 'executable file not found' "$E2E_DIR/err" || fail "words of exec: $(cat "$E2E_DIR/err")"
check_eq "$(echo typed | cri stream "$C" cat)" typed "stdin of exec"
# the OCI runtime passes the size on a moment after the process has started
echo 'until stty size 2>/dev/null | grep "40 100"; do :; done; exit 5' | timeout 20 nsenter --net="/run/netns/$E2E_NS" "${CRI[@]:1}" stream "$C" tty sh > "$E2E_DIR/out" && fail "exit code of a terminal"
grep -q '^40 100' "$E2E_DIR/out" || fail "size of the terminal: $(cat "$E2E_DIR/out")"

step "port-forward into the sandbox, and a host port from outside it"
SB2=$(cri sandbox pod2 8080:18080)
W=$(cri create "$SB2" web busybox -- sh -c 'mkdir /w; echo served > /w/f; exec httpd -f -p 8080 -h /w')
cri start "$W"
wait_for 10 "the web server" cri exec "$W" wget -qO- http://127.0.0.1:8080/f
printf 'GET /f HTTP/1.0\r\n\r\n' | cri forward "$SB2" 8080 | grep -q served || fail "port-forward"
IP2=$(cri sandboxes | awk -v id="$SB2" '$1 == id {print $4}')
check_eq "$(cri exec "$C" wget -qO- "http://$IP2:8080/f")" served "one pod reaches another"
check_eq "$(in_ns curl -s "http://$E2E_IP:18080/f")" served "host port"
check_eq "$(in_ns curl -s "http://127.0.0.1:18080/f")" served "host port on localhost"

step "attach with standard input"
A=$(cri create "$SB" reader busybox stdin -- sh -c 'read line; echo got $line')
cri start "$A"
echo attached | cri attach "$A" > "$E2E_DIR/out"
wait_for 10 "the end of the reader" is_exited "$A"
log_has pod1/reader 'got attached' || fail "the reader read nothing"
check_eq "$(cri ls | awk -v id="$A" '$1 == id {print $3, $4, $5}')" "exited code=0 reason=Completed" "end of the reader"

step "how it ended: code, signal, out of memory, a command that is not there"
E=$(cri create "$SB" failing busybox -- sh -c 'exit 7'); cri start "$E"
wait_for 10 "the end" is_exited "$E"
cri ls | grep "$E" | grep -q 'code=7 reason=Error' || fail "exit code: $(cri ls)"
O=$(cri create "$SB" hungry busybox memory=20000000 -- sh -c 'x=0123456789; while :; do x=$x$x; done'); cri start "$O"
wait_for 20 "the end" is_exited "$O"
cri ls | grep "$O" | grep -q 'code=137 reason=OOMKilled' || fail "out of memory: $(cri ls)"
N=$(cri create "$SB" nosuch busybox -- /nosuch)
cri start "$N" 2> "$E2E_DIR/err" && fail "a command that is not there was started"
cri ls | grep "$N" | grep -q 'code=128 reason=StartError.*no such file' || fail "StartError: $(cri ls)"

step "users, read-only root, seccomp, privileges"
U=$(cri create "$SB" user busybox user=1234 readonly seccomp -- sh -c 'id; touch /x || echo cannot write; sleep 1000'); cri start "$U"
wait_for 10 "the log" log_has pod1/user 'cannot write'
log_has pod1/user 'uid=1234(app) gid=1234(app) groups=1234(app),4321(extra)' || fail "user: $(cat "$E2E_DIR/d/logs/pod1/user/0.log")"
cri exec "$U" unshare -m true 2>/dev/null && fail "seccomp lets unshare through"
P=$(cri create "$SB" boss busybox privileged -- sh -c 'mount -t tmpfs t /mnt 2>&1 || mkdir /mnt && mount -t tmpfs t /mnt && echo mounted; sleep 1000'); cri start "$P"
wait_for 10 "the log" log_has pod1/boss mounted

step "limits and statistics"
cri update "$C" 50000000
cri stats | grep -q '^main cpu=[1-9]' || fail "statistics: $(cri stats)"

step "a shared PID namespace"
SB3=$(cri sandbox pod3 shared-pid)
S1=$(cri create "$SB3" one busybox shared-pid -- sleep 1001); cri start "$S1"
S2=$(cri create "$SB3" two busybox shared-pid -- sleep 1002); cri start "$S2"
cri exec "$S2" ps | grep -q 'sleep 1001' || fail "the other container's process is not seen"
cri exec "$S2" ps | grep -qE '^ +1 .*pause' || fail "process 1 is not pause: $(cri exec "$S2" ps)"

step "the log is opened again after it was moved"
R=$(cri create "$SB" talker busybox -- sh -c 'while :; do echo tick; sleep 0.1; done'); cri start "$R"
wait_for 10 "the log" log_has pod1/talker tick
mv "$E2E_DIR/d/logs/pod1/talker/0.log" "$E2E_DIR/moved"
cri reopen "$R"
wait_for 10 "the new log" test -s "$E2E_DIR/d/logs/pod1/talker/0.log"

step "stop: the signal first, then SIGKILL"
T=$(cri create "$SB" graceful busybox -- sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'); cri start "$T"
wait_for 10 "the trap" log_has pod1/graceful ready
cri stop "$T" 20
cri ls | grep "$T" | grep -q 'code=9' || fail "graceful stop: $(cri ls)"
cri stop "$C" 0
cri ls | grep "$C" | grep -q 'code=137' || fail "kill: $(cri ls)"

step "a container whose monitor was killed is ended, not lost"
conmon=$(cat "$E2E_DIR/r/containers/$U/conmon.pid")
kill -9 "$conmon"
unknown() { cri ls | grep "$U" | grep -q 'exited code=255 reason=Unknown'; }
wait_for 10 "the end" unknown

step "an image in use stays whole; one that is not goes"
image rm busybox
cri exec "$W" ls /bin/busybox >/dev/null || fail "the layers of a running container were removed"

if [ -x /usr/lib/cni/bridge ]; then
  step "CNI: the plugins connect the pod and take it away"
  mkdir "$E2E_DIR/cni"
  cat > "$E2E_DIR/cni/10-test.conflist" <<J
{"cniVersion": "0.4.0", "name": "test", "plugins": [
  {"type": "bridge", "bridge": "cnitest0", "isGateway": true, "ipam": {"type": "host-local", "dataDir": "$E2E_DIR/ipam",
   "ranges": [[{"subnet": "10.77.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
J
  SB4=$("${CRI[@]}" --cni-conf-dir "$E2E_DIR/cni" sandbox pod4)
  cri sandboxes | grep "$SB4" | grep -q ' 10.77.0' || fail "no address of CNI: $(cri sandboxes)"
  check_eq "$(ls "$E2E_DIR/ipam/test" | grep -c '^10\.')" 1 "addresses that CNI gave"
  "${CRI[@]}" --cni-conf-dir "$E2E_DIR/cni" stop-sandbox "$SB4"
  check_eq "$(ls "$E2E_DIR/ipam/test" | grep -c '^10\.' || true)" 0 "addresses that CNI gave, after the end"
  cri rm-sandbox "$SB4"
  mv "$E2E_DIR/cni" "$E2E_DIR/bad"
  mkdir "$E2E_DIR/cni"
  echo '{"cniVersion": "0.4.0", "name": "test", "type": "nosuch"}' > "$E2E_DIR/cni/10.conf"
  "${CRI[@]}" --cni-conf-dir "$E2E_DIR/cni" sandbox pod5 2> "$E2E_DIR/err" && fail "a plugin that is not there"
  grep -q 'failed to find plugin "nosuch"' "$E2E_DIR/err" || fail "words: $(cat "$E2E_DIR/err")"
fi

step "removing takes everything away"
for s in "$SB" "$SB2" "$SB3"; do cri stop-sandbox "$s"; cri rm-sandbox "$s"; done
check_eq "$(cri ls | wc -l)" 0 "containers left"
check_eq "$(ls "$E2E_DIR/r/containers" "$E2E_DIR/r/sandboxes" "$E2E_DIR/r/oci" "$E2E_DIR/d/runtime/containers" | grep -vc ':$\|^$' || true)" 0 "files left"
check_eq "$(grep -c "$E2E_DIR" /proc/self/mounts || true)" 0 "mounts left"
check_eq "$(ls "$E2E_DIR/d/network/leases" | wc -l)" 0 "addresses left"
check_eq "$(in_ns ip -o link show type veth | grep -c 'pod' || true)" 0 "interfaces left"
say "passed"
