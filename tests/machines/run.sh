#!/bin/bash
# run.sh [--work DIR] [STORY …]: the walk-through on three virtual machines that boot Debian's cloud kernel, with the units of the
# package that `make deb` built. Stories: 2016 (etcd, the five programs by name and their files, Open vSwitch with GRE in the
# kernel, iptables), today (one command to join, VXLAN, nftables), one (a single machine: limits and statistics, SCTP, reboot, the
# plug); all without arguments. Emulated: some twenty-five minutes.
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../e2e/lib/lib.sh"
. "$HERE/../e2e/lib/walk_through.sh"
. "$HERE/lib.sh"
. "$HERE/one_machine.sh"
E2E_PATIENCE=${E2E_PATIENCE:-5} E2E_GRACE=${E2E_GRACE:-40s} # an emulated processor's second is short
WORK=${TMPDIR:-/tmp}/sampan-machines
[ "${1:-}" != --work ] || { WORK=$2; shift 2; }
[ $# -gt 0 ] || set -- one today 2016

nothing_stands() { # nothing_stands HOST FLAGS …: sampan check finds nothing wrong and nothing doubtful
  local host=$1; shift
  check_eq "$(on "$host" sampan check "$@" 2>&1)" "Nothing stands in the way." "sampan check $* on $host"
}

# The story of 2016: what was typed on each machine.
story_2016() {
  KUBECTL="kubectl -s http://$MASTER:8080"
  kc() { in_switch "$E2E_KUBECTL" -s "http://${IP[$MASTER]}:8080" "$@"; }
  etcd_start() { start_unit "$MASTER" etcd; }
  master_start() {
    local s
    for s in etcd kube-apiserver kube-controller-manager kube-scheduler; do start_unit "$MASTER" $s; done
    wait_for 30 "the API" kc get --raw /readyz
  }
  minion_start() {
    local s
    for s in openvswitch-switch kubelet kube-proxy; do start_unit "$1" $s; done
  }
  on "$MASTER" sh -c 'printf "%s\n" ETCD_NAME=default ETCD_DATA_DIR=/var/lib/etcd/default.etcd \
    ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379 "ETCD_ADVERTISE_CLIENT_URLS=http://$0:2379" > /etc/default/etcd' "$MASTER"
  story_files
  etcd_start
  nothing_stands "$MASTER" --control-only --etcd-servers "http://$MASTER:2379" --insecure-port 8080
  for h in $MINIONS; do
    on "$h" systemctl start openvswitch-switch
    nothing_stands "$h" --node-only --network-backend ovs --proxy-mode iptables
  done
  master_start
  for h in $MINIONS; do minion_start "$h"; done
  step_nodes
  images_import
  step_objects
  step_mesh
  for h in $MINIONS; do on "$h" ovs-dpctl show | grep -q gre_sys || fail "no GRE port in the kernel of $h"; done
  step_network
  step_dns
  step_look_inside
  step_etcd
  step_minion_off
  step_master_off
}

# The same cluster as one makes it today: one unit on the master, one line for each machine that joins.
story_today() {
  local h line admin=/var/lib/sampan/admin.kubeconfig
  KUBECTL="kubectl --kubeconfig $admin"
  kc() { in_switch "$E2E_KUBECTL" --kubeconfig "$E2E_DIR/admin.kubeconfig" "$@"; }
  master_start() {
    start_unit "$MASTER" sampan
    on "$MASTER" cat $admin | sed "s|server: .*|server: https://${IP[$MASTER]}:6443|" > "$E2E_DIR/admin.kubeconfig"
    wait_for 20 "the API" kc get --raw /readyz
  }
  minion_start() { start_unit "$1" sampan-node; }
  on "$MASTER" sh -c 'echo "SAMPAN_ARGS=\"$0\"" > /etc/kubernetes/sampan' "--control-only --node-ip ${IP[$MASTER]} --node-monitor-grace-period $E2E_GRACE"
  master_start
  line="$(on "$MASTER" sampan token create --print-join-command --kubeconfig $admin) --network-backend vxlan"
  for h in $MINIONS; do
    nothing_stands "$h" --node-only --server "https://$MASTER:6443"
    on "$h" sh -c 'echo "SAMPAN_NODE_ARGS=\"$0\"" > /etc/kubernetes/node' "${line#sampan node }"
    minion_start "$h"
  done
  step_nodes
  images_import
  step_objects
  step_network
  step_dns
  step_look_inside
  step_minion_off
  step_minion_cut
  step_master_off
}

# A single machine with control plane and node; no walk-through, but what namespaces cannot show.
story_one() {
  ONE=$MASTER
  kc() { in_switch "$E2E_KUBECTL" --kubeconfig "$E2E_DIR/admin.kubeconfig" "$@"; }
  cc -O2 -static -Wall -Wextra -o "$E2E_DIR/sctp" "$HERE/sctp.c"
  step_check
  step_by_hand
  step_by_systemd
  image_import "$ONE" /var/lib/sampan/node docker.io/library/web:1
  step_limits
  step_stats
  step_workload
  step_sctp nftables
  step_proxy_mode iptables
  step_sctp iptables
  step_reboot
  step_plug
  step_proxy_mode nftables
}

e2e_evidence() {
  set +e
  local h
  { kc get nodes,pods -A -o wide; kc get events -A --sort-by=.lastTimestamp | tail -30; } 2>&1
  for h in "${!MACHINE_PID[@]}"; do
    echo "== $h"
    on "$h" sh -c 'systemctl --failed --no-legend; free -m; uptime
      journalctl --no-pager -q -n 60 -u "kube*" -u "sampan*" -u etcd; dmesg --level=err,crit,alert,emerg | tail -5' 2>&1
  done
}

# machines_install HOST …: booted side by side, with the package, and on the master kubectl.
machines_install() {
  local h
  for h in "$@"; do machine_power "$h" "${IP[$h]}"; done
  for h in "$@"; do
    machine_boot "$h" "${IP[$h]}"
    put "$h" "$DEB" tmp/sampan.deb
    on "$h" env DEBIAN_FRONTEND=noninteractive apt-get -qq install /tmp/sampan.deb >/dev/null 2>&1 || fail "the package on $h"
  done
  put "$MASTER" "$(readlink -f "$(command -v "$E2E_KUBECTL")")" usr/local/bin/kubectl
  on "$MASTER" chmod 755 /usr/local/bin/kubectl
}

missing=
for p in qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils mmdebstrap:mmdebstrap ssh:openssh-client mke2fs:e2fsprogs; do
  PATH=$PATH:/usr/sbin command -v "${p%%:*}" >/dev/null || missing+=" ${p#*:}"
done
# shellcheck disable=SC2086 # names of packages
[ -z "$missing" ] || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; }
mkdir -p "$WORK"
build=$(dirname "$SAMPAN")
DEB=$("$ROOT/packaging/deb.sh" "$build" "$WORK" | sed 's/ (.*//')
BASE=$("$HERE/build.sh" "$WORK" "$DEB")
SAMPAN=sampan # from here on the one that is installed in the machines
running=
trap 'kill $running; wait $running; exit 1' INT TERM # it takes its machines with it
for story in "$@"; do
  (
    machines_begin "machines-$story" "$BASE"
    [ "$story" != today ] || MACHINE_APPEND+=" systemd.mask=openvswitch-switch.service systemd.mask=ovsdb-server.service systemd.mask=ovs-vswitchd.service"
    say "=== $story, on virtual machines"
    begun=$SECONDS
    # shellcheck disable=SC2086 # names
    case $story in one) machines_install $MASTER ;; *) machines_install $MASTER $MINIONS ;; esac
    "story_$story"
    say "$story, on virtual machines: passed in $((SECONDS - begun)) s"
  ) & running=$!
  wait $running || exit 1
done
