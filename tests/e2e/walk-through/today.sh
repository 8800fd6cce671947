#!/bin/bash
# The walk-through as one sets it up today: a control plane on the master (SQLite), two machines that join with one command each,
# VXLAN between them, services by nftables.
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/machines.sh"
. "$(dirname "$0")/../lib/walk_through.sh"
machines_begin today
KUBECTL="$E2E_KUBECTL --kubeconfig /var/lib/sampan/admin.kubeconfig"
kc() { on "$MASTER" $KUBECTL "$@"; }
master_start() {
  start "$MASTER" server "$SAMPAN" server --control-only --node-ip "${IP[$MASTER]}" --node-monitor-grace-period 14s
  wait_for 20 "the API" kc get --raw /readyz
}
minion_start() {
  # the same line whenever the machine comes up: once joined, the token is not needed any more
  start "$1" node "$SAMPAN" node --server "https://$MASTER:6443" --token "$TOKEN" --network-backend vxlan
}
machines_boot
master_start
TOKEN=$(on "$MASTER" "$SAMPAN" token create --kubeconfig /var/lib/sampan/admin.kubeconfig)
for h in $MINIONS; do minion_start "$h"; done
step_nodes
images_import
step_objects
step_network
step_dns
step_look_inside
step_minion_off
step_minion_cut
step_master_off
say "walk-through, today: passed"
