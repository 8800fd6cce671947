#!/bin/bash
# Pods between machines with --network-backend=ovs: the story's picture, obr0 with gre0… below kbr0. Open vSwitch runs on each
# machine by itself; without the kernel's module in user space.
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/overlay.sh"
for tool in ovsdb-server ovs-vswitchd ovs-vsctl; do
  command -v $tool >/dev/null || { echo "no $tool: packaging/deps.sh test installs it"; exit 77; }
done
TUNNEL=${TUNNEL:-gre}
NODE_FLAGS=(--network-backend=ovs --ovs-tunnel="$TUNNEL")

ovs_start() { # I
  local i=$1 d=$E2E_DIR/ovs$1
  mkdir -p "$d"
  [ -f "$d/conf.db" ] || ovsdb-tool create "$d/conf.db" /usr/share/openvswitch/vswitch.ovsschema
  OVS_RUNDIR=$d in_m "$i" ovsdb-server "$d/conf.db" --remote="punix:$d/db.sock" --pidfile --detach --no-chdir --log-file="$d/db.log" \
    -vconsole:off
  OVS_RUNDIR=$d ovs-vsctl --no-wait init
  vswitchd_start "$i"
}
vswitchd_start() {
  local d=$E2E_DIR/ovs$1
  OVS_RUNDIR=$d OVS_DBDIR=$d in_m "$1" ovs-vswitchd "unix:$d/db.sock" --pidfile --detach --no-chdir --log-file="$d/vs.log" -vconsole:off
}
vsctl() { local i=$1; shift; OVS_RUNDIR=$E2E_DIR/ovs$i in_m "$i" ovs-vsctl --timeout=10 "$@"; }
machines_prepare() { for i in 1 2 3; do ovs_start $i; done; }
machine_env() { echo "OVS_RUNDIR=$E2E_DIR/ovs$1"; }
machines_clean() {
  local f
  for f in "$E2E_DIR"/ovs*/*.pid; do [ ! -f "$f" ] || kill "$(cat "$f")"; done
}
machines_begin ovs 3
MTU=1462; [ "$TUNNEL" = gre ] || MTU=1450

step "the picture: obr0 with n - 1 ports below kbr0, remote_ip the machines' addresses"
tunnels() { vsctl "$1" list-ports obr0 | grep -c '^gre'; }
for i in 1 2 3; do
  wait_for 15 "two tunnels on machine $i" sh -c "[ \"\$(OVS_RUNDIR=$E2E_DIR/ovs$i ovs-vsctl list-ports obr0 | grep -c '^gre')\" = 2 ]"
  in_m "$i" ip link show obr0 | grep -q 'master kbr0' || fail "obr0 is no port of kbr0 on machine $i"
done
check_eq "$(for g in gre0 gre1; do vsctl 1 get interface $g options:remote_ip; done | tr -d '"' | sort | xargs)" "192.0.2.12 192.0.2.13" \
  "tunnels of machine 1"
check_eq "$(vsctl 1 get interface gre0 type)" "$TUNNEL" "type of gre0"

overlay_test $MTU

step "no loop: one broadcast of machine 1 reaches each other machine once"
for i in 1 2 3; do
  nsenter --net="/run/netns/$(m_ns $i)" -- tcpdump -l -n -i kbr0 "arp host 10.244.255.254" > "$E2E_DIR/copies$i" 2> "$E2E_DIR/tcpdump$i" &
  E2E_PIDS+=($!)
done
for i in 1 2 3; do wait_for 5 "tcpdump on machine $i" grep -q listening "$E2E_DIR/tcpdump$i"; done
in_m 1 python3 - <<'PY'
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("kbr0", 0))
mac = s.getsockname()[4]
request = bytes.fromhex("0001080006040001") + mac + bytes([10, 244, 0, 1]) + bytes(6) + bytes([10, 244, 255, 254])
s.send(bytes([255] * 6) + mac + bytes.fromhex("0806") + request)
PY
for i in 2 3; do wait_for 5 "the broadcast arrives on machine $i" grep -q 10.244.255.254 "$E2E_DIR/copies$i"; done
# what goes round would overtake nothing: these packets come after any copy
for j in 1 2 3; do
  gateway=$(k get node node-$j -o jsonpath='{.spec.podCIDR}' | sed 's#0/24#1#')
  for i in 1 2 3; do in_m $i ping -q -c 3 -i 0.1 -W 2 "$gateway" >/dev/null || fail "machine $i does not reach $gateway"; done
done
for i in 1 2 3; do check_eq "$(grep -c 10.244.255.254 "$E2E_DIR/copies$i")" 1 "copies of one broadcast on machine $i"; done

step "when nothing changes, nothing is written"
at_rest() { local log=$E2E_DIR/ovs1/vs.log n; n=$(grep -c flow_mods "$log"); sleep 3; [ "$(grep -c flow_mods "$log")" = "$n" ]; }
wait_for 30 "the overlay does not come to rest" at_rest

step "Open vSwitch restarts on machine 2: its flows are written again"
kill "$(cat "$E2E_DIR/ovs2/ovs-vswitchd.pid")"
wait_for 5 "it has ended" sh -c "! [ -f $E2E_DIR/ovs2/ovs-vswitchd.pid ]"
vswitchd_start 2
wait_for 40 "pod-1 reaches pod-2 again" reach pod-1 "$(pod_ip pod-2)" pod-2
