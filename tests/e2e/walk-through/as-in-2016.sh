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

# What the package installs below /etc/kubernetes.
config_install() {
  cp "$ROOT"/packaging/files/etc/* "$(file "$1" etc/kubernetes)/"
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
for h in $MASTER $MINIONS; do config_install "$h"; done
story_files
master_start
for h in $MINIONS; do minion_start "$h"; done
step_nodes
images_import
step_objects
step_mesh
step_network
step_dns
step_look_inside
step_etcd
step_minion_off
step_master_off
say "walk-through, as in 2016: passed"
