#!/bin/bash
# Three machines join a control plane with one command each, and stay: every bad input is one line and changes nothing;
# certificates of half a minute are renewed while pods, leases and exec go on; a node that was asleep past the end of its
# certificate comes back by its token, and one whose token is gone says what to do.
. "$(dirname "$0")/../lib/lib.sh"
LIFE=30s SW= CP=192.0.2.1 D=
# in a process of its own, not below a subshell: whoever kills $! means the command
m() { local i=$1; shift; nsenter --net="/run/netns/$E2E_NS-$i" -- "$@"; }
m_start() { local i=$1; shift; nsenter --net="/run/netns/$E2E_NS-$i" -- "$@" & E2E_PIDS+=($!); }
k() { m cp "$E2E_KUBECTL" "$@"; }
ip_of() { echo "192.0.2.1$1"; }
dir_of() { echo "$D/n$1"; }
log_of() { echo "$D/n$1.log"; }
cert_of() { echo "$(dir_of "$1")/kubelet/pki/kubelet-client-current.pem"; }
serial_of() { openssl x509 -noout -serial -in "$1" 2>/dev/null; }

machine() { # NAME ADDRESS
  ip netns add "$E2E_NS-$1"
  ip -n "$E2E_NS-$1" link set lo up
  ip -n "$E2E_NS-$1" link add eth0 type veth peer name "p$1" netns "$SW"
  ip -n "$SW" link set "p$1" master sw up
  ip -n "$E2E_NS-$1" addr add "$2/24" dev eth0
  ip -n "$E2E_NS-$1" link set eth0 up
}
# Each machine has its own part of the cgroups.
cgroups() { # I
  local c f
  for c in /sys/fs/cgroup/*/ /sys/fs/cgroup/; do
    [ -f "$c/cgroup.procs" ] || continue
    mkdir -p "$c/$E2E_NS-$1"
    for f in cpuset.cpus cpuset.mems; do
      [ ! -f "$c/cgroup.clone_children" ] || [ ! -f "$c/$f" ] || cat "$c/$f" > "$c/$E2E_NS-$1/$f"
    done
  done
}
flags_of() {
  echo --node-name "node-$1" --node-ip "$(ip_of "$1")" --data-dir "$(dir_of "$1")" --run-dir "$D/run$1" \
    --pod-logs-dir "$D/pods$1" --cni-conf-dir "$D/no-cni" --cgroup-root "/$E2E_NS-$1"
}
join() { # I FLAGS: starts the node agent; its pid in PID[I]
  local i=$1; shift
  # shellcheck disable=SC2046
  m_start "$i" "$SAMPAN" node $(flags_of "$i") "$@" >> "$(log_of "$i")" 2>&1
  PID[i]=$!
}
leave() { kill "${PID[$1]}"; wait "${PID[$1]}" 2>/dev/null || true; }
end() {
  set +e
  local i pid c
  for i in "${PID[@]}"; do kill -CONT "$i" 2>/dev/null; kill "$i" 2>/dev/null; done
  for i in 1 2 3 4; do
    for pid in $(find /sys/fs/cgroup -path "*/$E2E_NS-$i/*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un); do
      kill -9 "$pid" 2>/dev/null
    done
  done
  for i in cp 1 2 3 4; do
    for pid in $(ip netns pids "$E2E_NS-$i" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
  done
  e2e_end
  for i in cp 1 2 3 4; do ip netns del "$E2E_NS-$i" 2>/dev/null; done
  ip netns del "$SW" 2>/dev/null
  for i in 1 2 3 4; do find /sys/fs/cgroup -depth -type d -path "*/$E2E_NS-$i*" -exec rmdir {} + 2>/dev/null; done
}
e2e_evidence() {
  set +e
  { k get nodes -o wide; k get csr; k get pods -A -o wide; } 2>&1
  for i in 1 2 3; do echo "== node $i"; tail -15 "$(log_of $i)"; done
  tail -15 "$D/control.log"
}

# Its lease is renewed from now on.
breathes() {
  local was; was=$(k get lease -n kube-node-lease "node-$1" -o jsonpath='{.spec.renewTime}')
  wait_for 60 "node-$1 renews its lease" sh -c "[ \"\$(nsenter --net=/run/netns/$E2E_NS-cp $E2E_KUBECTL get lease -n kube-node-lease node-$1 \
    -o jsonpath='{.spec.renewTime}')\" != '$was' ]"
}

# refused "TEXT" I FLAGS: the command fails with one line that holds the text, and has changed nothing.
refused() {
  local text=$1 i=$2 out rc=0; shift 2
  # shellcheck disable=SC2046
  out=$(m "$i" timeout 60 "$SAMPAN" node $(flags_of "$i") "$@" 2>&1) || rc=$?
  check_eq "$rc" 1 "exit code of a refused join ($text): $out"
  check_eq "$(echo "$out" | wc -l)" 1 "lines of a refused join ($out)"
  case $out in *"$text"*) ;; *) fail "wanted '$text', got: $out" ;; esac
  [ ! -e "$(dir_of "$i")" ] || fail "a refused join ($text) left $(find "$(dir_of "$i")")"
}

e2e_begin join
D=$E2E_DIR SW=$E2E_NS-sw PID=()
trap end EXIT
ip netns add "$SW"
ip -n "$SW" link add sw type bridge
ip -n "$SW" link set sw up
machine cp "$CP"
for i in 1 2 3 4; do machine $i "$(ip_of $i)"; cgroups $i; done
URL=https://$CP:6443
m_start cp "$SAMPAN" control --data-dir "$D/data" --bind-address 0.0.0.0 --advertise-address $CP --cluster-signing-duration $LIFE \
  --kubelet-certificate-authority "$D/data/pki/ca.crt" > "$D/control.log" 2>&1
wait_for 30 "the API" m cp curl -skf "$URL/readyz"
export KUBECONFIG=$D/data/admin.kubeconfig
token() { m cp "$SAMPAN" token "$@"; }

step "ranges that clash are told before anything is made"
out=$(m cp "$SAMPAN" control --data-dir "$D/clash" --cluster-cidr 10.254.0.0/16 2>&1) && fail "clashing ranges"
case $out in *"--cluster-cidr=10.254.0.0/16"*overlap*) ;; *) fail "got: $out" ;; esac
out=$(m cp "$SAMPAN" control --data-dir "$D/clash" --cluster-cidr 192.0.0.0/16 2>&1) && fail "a range with the machine in it"
case $out in *"this machine's address $CP (eth0) lies in the addresses of the cluster's pods"*) ;; *) fail "got: $out" ;; esac
[ ! -e "$D/clash" ] || fail "a refused control plane left $(find "$D/clash")"

step "every bad input is one line that says what is wrong, and changes nothing"
T=$(token create --ttl 1h --description "the first three")
HASH=$(token create --print-join-command | sed 's/.*@//')
refused "not the form" 1 --server $URL --token hello
refused "does not know the token" 1 --server $URL --token aaaaaa.0123456789abcdef
refused "the secret of the token ${T%%.*} is wrong" 1 --server $URL --token "${T%%.*}.0123456789abcdef"
refused "has not the hash" 1 --server $URL --token "$T" --ca-cert-hash "sha256:$(printf '0%.0s' {1..64})"
refused "is not a CA hash" 1 --server $URL --token "$T" --ca-cert-hash sha256:12
refused "cannot reach the API server" 1 --server https://$CP:1 --token "$T"
refused "is not a URL" 1 --server $CP --token "$T"
m_start cp python3 -m http.server 8099 --directory "$D/data" >/dev/null 2>&1; other=$!
wait_for 20 "the other server" m cp curl -s -o "$D/x" http://$CP:8099/
refused "is not a Kubernetes API server" 1 --server https://$CP:8099 --token "$T"
kill $other
refused "has not joined a cluster" 1
touch "$D/file"
refused "cannot be used" 1 --server $URL --token "$T" --data-dir "$D/file/x"
m_start 1 python3 -c 'import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("0.0.0.0", 10250)); s.listen(); time.sleep(600)'; other=$!
wait_for 20 "the port is taken" m 1 sh -c 'ss -ltn | grep -q :10250'
refused "port 10250" 1 --server $URL --token "$T"
kill $other; wait $other 2>/dev/null || true
m 1 ip addr add 10.244.77.1/24 dev eth0
refused "lies in the addresses of the cluster's pods, 10.244.0.0/16" 1 --server $URL --token "$T"
m 1 ip addr del 10.244.77.1/24 dev eth0
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$D/old.key" -subj /CN=old -out "$D/old.csr" 2>/dev/null
openssl x509 -req -in "$D/old.csr" -signkey "$D/old.key" -days -1 -out "$D/old.crt" 2>/dev/null
cp "$KUBECONFIG" "$D/old.kubeconfig"
"$E2E_KUBECTL" --kubeconfig "$D/old.kubeconfig" config set-credentials admin --client-certificate "$D/old.crt" --client-key "$D/old.key" --embed-certs >/dev/null
refused "the client certificate in $D/old.kubeconfig has ended" 1 --kubeconfig "$D/old.kubeconfig"
short=$(token create --ttl 1s)
wait_for 20 "the token has expired" sh -c "! nsenter --net=/run/netns/$E2E_NS-cp $SAMPAN token list | grep -q $short"
refused "does not know the token" 1 --server $URL --token "$short"
nosign=$(token create --usages authentication)
refused "does not know the token" 1 --server $URL --token "$nosign"
noauth=$(token create --usages signing)
refused "does not take the token" 1 --server $URL --token "$noauth"
check_eq "$(k get csr --no-headers 2>/dev/null | wc -l)" 0 "certificate requests of those who were refused"
check_eq "$(k get nodes --no-headers 2>/dev/null | wc -l)" 0 "nodes of those who were refused"

step "three machines join with one command each: hash behind the token, hash as a flag, no hash"
"$ROOT/tests/e2e/lib/mkimage.py" "$D/image.tar" test.local/web:1 >/dev/null
"$SAMPAN" image import --data-dir "$(dir_of 1)" "$D/image.tar" >/dev/null || fail "image import"
join 1 --server $URL --token "$T@$HASH"
join 2 --server $URL --token "$T" --discovery-token-ca-cert-hash "$HASH"
join 3 --server $URL --token "$T"
for i in 1 2 3; do wait_for 60 "node-$i is Ready" sh -c "nsenter --net=/run/netns/$E2E_NS-cp $E2E_KUBECTL get node node-$i | grep -qw Ready"; done
check_eq "$(k get nodes -o jsonpath='{range .items[*]}{.spec.podCIDR}{"\n"}{end}' | sort -u | wc -l)" 3 "pod ranges"
for i in 1 2 3; do
  check_eq "$(openssl x509 -noout -subject -in "$(cert_of $i)" -nameopt RFC2253)" "subject=CN=system:node:node-$i,O=system:nodes" "who node-$i is"
  check_eq "$(stat -c %a "$(cert_of $i)")" 600 "mode of the key"
done
check_eq "$(k get csr -o jsonpath='{range .items[?(@.spec.signerName=="kubernetes.io/kube-apiserver-client-kubelet")]}{.spec.username}{"\n"}{end}' | sort -u | head -1)" "system:bootstrap:${T%%.*}" "who asked"

step "serving certificates are signed by the cluster, with the node's name and address"
served() { m cp openssl s_client -connect "$(ip_of "$1"):10250" -CAfile "$D/data/pki/ca.crt" -verify_ip "$(ip_of "$1")" \
  -verify_return_error </dev/null 2>/dev/null; }
for i in 1 2 3; do wait_for 60 "a serving certificate of node-$i" served $i; done

step "a pod runs on a node that joined"
k create serviceaccount default 2>/dev/null || true
k run p --image=test.local/web:1 --overrides='{"spec":{"nodeName":"node-1"}}' --command -- sleep 100000
k wait --for=condition=Ready pod/p --timeout=60s || fail "the pod"
k exec p -- true || fail "exec"

step "a machine joins with a bootstrap kubeconfig, as kubelets always did"
k config view --raw --minify > "$D/boot.kubeconfig"
m cp "$E2E_KUBECTL" --kubeconfig "$D/boot.kubeconfig" config unset users >/dev/null
m cp "$E2E_KUBECTL" --kubeconfig "$D/boot.kubeconfig" config set-credentials admin --token "$T" >/dev/null
m cp "$E2E_KUBECTL" --kubeconfig "$D/boot.kubeconfig" config set-cluster sampan --server $URL >/dev/null
join 4 --bootstrap-kubeconfig "$D/boot.kubeconfig" --kubeconfig "$D/n4.kubeconfig" --rotate-certificates --rotate-server-certificates
wait_for 60 "node-4 is Ready" sh -c "nsenter --net=/run/netns/$E2E_NS-cp $E2E_KUBECTL get node node-4 | grep -qw Ready"
check_eq "$(stat -c %a "$D/n4.kubeconfig")" 600 "mode of the kubeconfig"
wait_for 60 "a serving certificate of node-4" served 4
leave 4
k delete node node-4 >/dev/null
rm -rf "$(dir_of 4)"

step "a name that another machine has"
refused "the cluster has a node node-1 that is alive" 4 --server $URL --token "$T" --node-name node-1

step "the same command starts a machine that has joined, without its token"
before=$(serial_of "$(cert_of 3)")
leave 3
token delete "${noauth%%.*}" >/dev/null
join 3 --server $URL --token "$noauth" # would be refused if it were looked at
wait_for 60 "node-3 serves again" served 3
grep -q "take the token" "$(log_of 3)" && fail "joined again"
leave 3; join 3 --server $URL --token "$T"
step "client and serving certificates are renewed, twice, while everything goes on"
for round in 1 2; do
  for i in 1 2; do
    c=$(cert_of $i); s=$(dirname "$c")/kubelet-server-current.pem
    eval "c$i='$(serial_of "$c")' s$i='$(serial_of "$s")'"
  done
  for i in 1 2; do
    c=$(cert_of $i); s=$(dirname "$c")/kubelet-server-current.pem
    eval "was=\$c$i was_s=\$s$i"
    # shellcheck disable=SC2154
    wait_for 90 "a new client certificate of node-$i" sh -c "[ \"\$(openssl x509 -noout -serial -in $c)\" != '$was' ]"
    # shellcheck disable=SC2154
    wait_for 90 "a new serving certificate of node-$i" sh -c "[ \"\$(openssl x509 -noout -serial -in $s)\" != '$was_s' ]"
    wait_for 20 "node-$i serves with it" sh -c "nsenter --net=/run/netns/$E2E_NS-cp openssl s_client -connect $(ip_of $i):10250 </dev/null 2>/dev/null |
      openssl x509 -noout -serial | grep -qx \"\$(openssl x509 -noout -serial -in $s)\""
  done
  breathes 1
  k exec p -- true || fail "exec after round $round"
  k logs p >/dev/null || fail "logs after round $round"
  check_eq "$(k get node node-1 -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}')" True "node-1 is Ready"
done
check_eq "$(k get pod p -o jsonpath='{.status.containerStatuses[0].restartCount}')" 0 "restarts of the pod"
grep -q "certificate has ended" "$(log_of 1)" && fail "node-1's certificate ended instead of being renewed"

step "asleep past the end of its certificate: it comes back by its token"
kill -STOP "${PID[2]}"
wait_for 90 "its certificate has ended" sh -c "! openssl x509 -noout -checkend 0 -in $(cert_of 2)"
kill -CONT "${PID[2]}"
wait_for 90 "a new certificate" openssl x509 -noout -checkend 0 -in "$(cert_of 2)"
breathes 2
wait_for 60 "node-2 is Ready" sh -c "nsenter --net=/run/netns/$E2E_NS-cp $E2E_KUBECTL get node node-2 | grep -qw Ready"

step "switched off past the end, and the token is gone, too: one line; with a new token it is back"
leave 3
token delete "${T%%.*}" >/dev/null
wait_for 90 "its certificate has ended" sh -c "! openssl x509 -noout -checkend 0 -in $(cert_of 3)"
# shellcheck disable=SC2046
out=$(m 3 "$SAMPAN" node $(flags_of 3) 2>&1) && fail "a node without a certificate runs"
case $out in *"certificate of node node-3 has ended"*"sampan token create"*) ;; *) fail "got: $out" ;; esac
# shellcheck disable=SC2046
out=$(m 3 "$SAMPAN" node $(flags_of 3) --server $URL --token "$T" 2>&1) && fail "a node with an old token runs"
case $out in *"does not know the token"*) ;; *) fail "got: $out" ;; esac
join 3 --server $URL --token "$(token create)"
wait_for 60 "node-3 has a new certificate" openssl x509 -noout -checkend 0 -in "$(cert_of 3)"
breathes 3
wait_for 60 "node-3 is Ready" sh -c "nsenter --net=/run/netns/$E2E_NS-cp $E2E_KUBECTL get node node-3 | grep -qw Ready"
say "join: passed"
