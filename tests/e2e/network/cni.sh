#!/bin/bash
# A CNI configuration in the node's directory is used instead of our own network: Debian's bridge, host-local, portmap and tuning
# plugins chained; STATUS and GC of the specification 1.1; nothing stays when pods go, also when the agent did not run.
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/network.sh"
for p in bridge host-local portmap; do
  [ -x /usr/lib/cni/$p ] || { echo "no CNI plugin $p: packaging/deps.sh test installs it"; exit 77; }
done
machines_begin cni 1

CONF=$E2E_DIR/net.d; BIN=$E2E_DIR/bin; IPAM=$E2E_DIR/ipam
mkdir -p "$CONF" "$BIN"
# a plugin that writes down what it is asked, and passes results on
cat > "$BIN/witness" <<SH
#!/bin/sh
input=\$(cat)
echo "\$CNI_COMMAND \$CNI_CONTAINERID" >> "$E2E_DIR/witness"
case \$CNI_COMMAND in
ADD) printf '%s' "\$input" | python3 -c 'import json,sys; print(json.dumps(json.load(sys.stdin)["prevResult"]))' ;;
GC) printf '%s' "\$input" > "$E2E_DIR/gc.json" ;;
STATUS) [ ! -e "$E2E_DIR/not-ready" ] || { echo '{"cniVersion": "1.1.0", "code": 50, "msg": "the test says no"}'; exit 1; } ;;
esac
SH
chmod +x "$BIN/witness"
conflist() { # cniVersion
  cat > "$CONF/10-test.conflist" <<JSON
{"cniVersion": "$1", "name": "test-$$", "plugins": [
  {"type": "bridge", "bridge": "cnitest0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$IPAM", "ranges": [[{"subnet": "10.99.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}, "backend": "iptables"},
  {"type": "witness"}]}
JSON
}
machine_new 2
NODE_FLAGS=(--cni-conf-dir="$CONF" --cni-bin-dir="$BIN:/usr/lib/cni")
"$SAMPAN" image import --data-dir "$E2E_DIR/m2" "$E2E_DIR/image.tar" >/dev/null

step "pods get what the plugins give"
conflist 1.0.0
machine_start 2
nodes_ready 2
pod_on 2 pod-a; pod_on 2 pod-b
pods_ready pod-a pod-b
for p in pod-a pod-b; do [[ $(pod_ip $p) = 10.99.0.* ]] || fail "$p has $(pod_ip $p)"; done
check_eq "$(in_pod pod-a curl -s -m 2 "http://$(pod_ip pod-b):8080/index.html")" pod-b "pod-a reads pod-b"
in_m 2 ip link show cnitest0 >/dev/null || fail "no bridge of the plugin"
! in_m 2 ip link show sampan0 >/dev/null 2>&1 || fail "our own bridge is there, too"

step "host ports"
k create -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: pod-c}
spec:
  nodeName: node-2
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: "test.local/busybox:1", imagePullPolicy: Never, command: [sh, -c, "echo c > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"],
     ports: [{containerPort: 8080, hostPort: 18080}]}
YAML
pods_ready pod-c
host_port() { [ "$(in_m 1 curl -s -m 2 "http://$(m_ip 2):18080/index.html")" = c ]; }
wait_for 5 "the host port from the other machine" host_port

step "a pod goes: its address is free, by the configuration that it was made with"
addresses() { find "$IPAM" -name '10.99.*' | wc -l; }
check_eq "$(addresses)" 3 "addresses in use"
mv "$CONF/10-test.conflist" "$E2E_DIR/away"
k delete pod pod-c --now >/dev/null
is_addresses() { [ "$(addresses)" = "$1" ]; }
wait_for 10 "its address is free" is_addresses 2
mv "$E2E_DIR/away" "$CONF/10-test.conflist"

step "a network of version 1.1.0 is asked for its status"
machine_stop 2
sed -i 's/"1.0.0"/"1.1.0"/' "$CONF/10-test.conflist"
# Debian's plugins do not know it: the witness alone
python3 - "$CONF/10-test.conflist" <<'PY'
import json, sys
conf = json.load(open(sys.argv[1])); conf["plugins"] = conf["plugins"][-1:]
json.dump(conf, open(sys.argv[1], "w"))
PY
touch "$E2E_DIR/not-ready"
machine_start 2
not_ready() { k get node node-2 -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}' | grep -q 'cni plugin not initialized'; }
wait_for 20 "node-2 says that its network is not ready" not_ready
rm "$E2E_DIR/not-ready"
nodes_ready 2
grep -q '^GC' "$E2E_DIR/witness" || fail "the network was not told which sandboxes are there"
check_eq "$(python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))["cni.dev/valid-attachments"]))' "$E2E_DIR/gc.json")" 2 "attachments"
k delete pod pod-a pod-b --now >/dev/null
wait_for 10 "addresses are free" is_addresses 0
