#!/bin/bash
# The walk-through as it was told in 2016: a master with etcd and the four programs by name, two minions with kubelet and
# kube-proxy, the files below /etc/kubernetes edited as the story says; iptables, and Open vSwitch with GRE between the machines.
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/machines.sh"
. "$(dirname "$0")/../lib/walk_through.sh"
for p in etcd ovs-vswitchd ovsdb-server iptables-restore; do
  PATH=$PATH:/usr/sbin command -v $p >/dev/null || { echo "SKIPPED: $p is not installed"; exit 77; }
done
machines_begin 2016
KUBECTL="$E2E_KUBECTL -s http://$MASTER:8080"
kc() { on "$MASTER" $KUBECTL "$@"; }

# What the package installs below /etc/kubernetes, and what the story's reader changes in it.
config_edit() { # config_edit HOST FILE VARIABLE VALUE
  local f; f=$(file "$1" "etc/kubernetes/$2")
  sed -i "/^#\? *$3=/d" "$f"
  echo "$3=\"$4\"" >> "$f"
}
config_install() {
  cp "$ROOT"/packaging/files/etc/* "$(file "$1" etc/kubernetes)/"
  config_edit "$1" config KUBE_MASTER "--master=http://centos-master:8080"
}

# service HOST NAME: what `systemctl restart NAME` does, from the unit that the package installs: its environment files, then
# its command line with their variables.
service() {
  local unit=$ROOT/packaging/files/units/$2.service command
  command=$(sed -n 's/^ExecStart=//p' "$unit" | sed "s|/usr/bin/$2|exec /run/bin/$2|")
  on "$1" sh -c 'mkdir -p /run/bin; ln -sf "$0" "/run/bin/$1"' "$SAMPAN" "$2"
  start "$1" "$2" sh -c "set -a; for f in $(sed -n 's/^EnvironmentFile=-\?//p' "$unit" | tr '\n' ' '); do if [ -f \$f ]; then . \$f; fi; done; $command"
}

etcd_start() {
  start "$MASTER" etcd etcd --name default --data-dir /var/lib/etcd/default.etcd --listen-client-urls http://0.0.0.0:2379 \
    --advertise-client-urls "http://$MASTER:2379"
}
master_start() {
  local s
  etcd_start
  for s in kube-apiserver kube-controller-manager kube-scheduler; do service "$MASTER" $s; done
  wait_for 30 "the API" kc get --raw /readyz
}
ovs_start() {
  on "$1" sh -c '[ -f /etc/openvswitch/conf.db ] || ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
    mkdir -p /run/openvswitch'
  start "$1" ovsdb-server ovsdb-server --pidfile --remote=punix:/run/openvswitch/db.sock /etc/openvswitch/conf.db
  wait_for 10 "ovsdb-server on $1" on "$1" ovs-vsctl --timeout=2 --no-wait init
  start "$1" ovs-vswitchd ovs-vswitchd --pidfile unix:/run/openvswitch/db.sock
}
minion_start() {
  ovs_start "$1"
  service "$1" kubelet
  service "$1" kube-proxy
}

machines_boot
step "the files of the story"
for h in $MASTER $MINIONS; do config_install "$h"; done
config_edit "$MASTER" apiserver KUBE_API_ADDRESS "--address=0.0.0.0"
config_edit "$MASTER" apiserver KUBE_API_PORT "--port=8080"
config_edit "$MASTER" apiserver KUBELET_PORT "--kubelet-port=10250"
config_edit "$MASTER" apiserver KUBE_ETCD_SERVERS "--etcd-servers=http://centos-master:2379"
config_edit "$MASTER" apiserver KUBE_SERVICE_ADDRESSES "--service-cluster-ip-range=10.254.0.0/16"
config_edit "$MASTER" apiserver KUBE_ADMISSION_CONTROL "--admission-control=NamespaceLifecycle,NamespaceExists,LimitRanger,SecurityContextDeny,ServiceAccount,ResourceQuota"
config_edit "$MASTER" apiserver KUBE_API_ARGS ""
config_edit "$MASTER" controller-manager KUBE_CONTROLLER_MANAGER_ARGS "--cluster-cidr=172.17.0.0/16 --node-monitor-grace-period=14s"
for h in $MINIONS; do
  config_edit "$h" kubelet KUBELET_ADDRESS "--address=0.0.0.0"
  config_edit "$h" kubelet KUBELET_PORT "--port=10250"
  config_edit "$h" kubelet KUBELET_HOSTNAME "--hostname-override=$h"
  config_edit "$h" kubelet KUBELET_API_SERVER "--api-servers=http://centos-master:8080"
  config_edit "$h" kubelet KUBELET_ARGS "--network-backend=ovs"
  config_edit "$h" proxy KUBE_PROXY_ARGS "--proxy-mode=iptables --hostname-override=$h"
done
master_start
for h in $MINIONS; do minion_start "$h"; done
step_nodes
images_import
step_objects
step "the mesh of the story: obr0 with a GRE port to the other minion, under kbr0"
for h in $MINIONS; do
  on "$h" ovs-vsctl list-ports obr0 | grep -qx gre0 || fail "obr0 on $h: $(on "$h" ovs-vsctl show)"
  check_eq "$(on "$h" ovs-vsctl get interface gre0 type)" gre "type of gre0"
  on "$h" ip link show kbr0 >/dev/null || fail "no kbr0 on $h"
  on "$h" iptables-save -t nat | grep -q 'KUBE-SVC-.*default/web:http' || fail "no rules of the story's proxy on $h"
done
step_network
step_dns
step_look_inside
step "etcd is restarted: everything waits and goes on"
kc get pods -o 'jsonpath={.items[*].metadata.uid}' > "$E2E_DIR/before"
stop_program "$MASTER" etcd
kc get pods --request-timeout=2s >/dev/null 2>&1 || say "(reads fail while etcd is away)"
etcd_start
wait_for 30 "writes go on" kc annotate --overwrite rc/rc "etcd=restarted"
check_eq "$(kc get pods -o 'jsonpath={.items[*].metadata.uid}')" "$(cat "$E2E_DIR/before")" "pods"
step_minion_off
step_master_off
say "walk-through, as in 2016: passed"
