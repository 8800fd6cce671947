# lib.sh: the machines of the walk-through as virtual ones; source it after tests/e2e/lib/lib.sh and instead of machines.sh, whose
# functions it offers. A machine is a QEMU with an overlay over the root file system that build.sh made; machines meet on a bridge
# in a network namespace of its own that leads nowhere else, and the test enters that namespace to talk to them by ssh. Switching
# a machine off kills its QEMU: what its kernel had not written yet is lost, as when the plug is pulled.
#
#   machines_begin NAME BASE        BASE: what build.sh printed
#   machine_boot HOST IP, machine_off HOST, machine_reboot HOST, machine_cut HOST, machine_join HOST, on HOST CMD …, put HOST FILE PATH
#   start_unit HOST UNIT            systemctl restart, and enable: after machine_off the machine starts it by itself
#   stop_program HOST UNIT

. "$ROOT/tests/e2e/lib/switch.sh"

MACHINE_MEMORY=${MACHINE_MEMORY:-1024} # MB
# An emulated processor that others starve is no broken one: no check of its timer, no unit given up after seconds.
MACHINE_APPEND="quiet panic=1 no_timer_check net.ifnames=0 systemd.default_timeout_start_sec=900 systemd.default_device_timeout_sec=900
 systemd.getty_auto=no"
MACHINE_SSH="-F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
 -o ConnectTimeout=20 -o ServerAliveInterval=30"

machines_begin() {
  [ "$(id -u)" = 0 ] || { echo "the virtual machines need root (for tap devices)"; exit 1; }
  declare -gA MACHINE_PID=() MACHINE_MUX=() MACHINE_IP=()
  MACHINE_BASE=$2
  E2E_DIR=$(mktemp -d "${TMPDIR:-/tmp}/sampan-$1.XXXXXX")
  export KUBECACHEDIR=$E2E_DIR/kubectl-cache
  E2E_SWITCH=sampan-vms-$$
  switch_make "$E2E_SWITCH"
  trap machines_end EXIT
  trap 'exit 1' INT TERM
  in_switch ip link set lo up
  in_switch ip addr add 192.168.50.1/24 dev switch
}

machines_end() {
  set +e
  local h
  for h in "${!MACHINE_PID[@]}"; do machine_off "$h"; done
  ip netns del "$E2E_SWITCH"
  [ -n "${E2E_KEEP:-}" ] && echo "kept: $E2E_DIR" || rm -rf "$E2E_DIR"
}

in_switch() { nsenter --net="/run/netns/$E2E_SWITCH" -- "$@"; }

# What virtual machines have at once: a disk and a cable; it can be asked for while others boot.
machine_power() {
  local host=$1 ip=$2 dir=$E2E_DIR/$1 tap=p-${1##*-} mac
  mkdir -p "$dir"
  # shellcheck disable=SC2086 # the parts of the address; a machine keeps its hardware address
  mac=$(printf "02:00:%02x:%02x:%02x:%02x" ${ip//./ })
  [ -f "$dir/disk.qcow2" ] || qemu-img create -q -f qcow2 -F raw -b "$MACHINE_BASE/root.ext4" "$dir/disk.qcow2"
  in_switch ip link show "$tap" >/dev/null 2>&1 || in_switch ip tuntap add "$tap" mode tap
  in_switch ip link set "$tap" master switch up
  MACHINE_IP[$host]=$ip
  nsenter --net="/run/netns/$E2E_SWITCH" -- \
    setpriv --pdeathsig KILL nice -n "${MACHINE_NICE:-10}" qemu-system-x86_64 -name "$host" -machine q35 -accel tcg -cpu max,la57=off -smp 1 -m "$MACHINE_MEMORY" \
    -nodefaults -no-reboot -display none -serial "file:$dir/console.$(date +%s)" \
    -kernel "$MACHINE_BASE/vmlinuz" -initrd "$MACHINE_BASE/initrd.img" \
    -append "root=/dev/vda rw console=ttyS0 $(echo $MACHINE_APPEND) systemd.hostname=$host ip=$ip:::255.255.255.0::eth0:off" \
    -drive "file=$dir/disk.qcow2,if=virtio,format=qcow2" -device virtio-rng-pci \
    -netdev "tap,id=n0,ifname=$tap,script=no,downscript=no" -device "virtio-net-pci,netdev=n0,mac=$mac" \
    < /dev/null >> "$dir/qemu.log" 2>&1 &
  MACHINE_PID[$host]=$!
}

# One connection that the commands share: a handshake takes an emulated processor seconds.
machine_reach() {
  local host=$1 mux=$E2E_DIR/$1/ssh
  kill -0 "${MACHINE_PID[$host]}" 2>/dev/null || fail "QEMU of $host ended: $(tail -3 "$E2E_DIR/$host/qemu.log")"
  machine_unreach "$host"
  # shellcheck disable=SC2086 # options
  nsenter --net="/run/netns/$E2E_SWITCH" -- setpriv --pdeathsig KILL \
    ssh $MACHINE_SSH -i "$MACHINE_BASE/key" -M -S "$mux" -N "root@${MACHINE_IP[$host]}" < /dev/null > "$E2E_DIR/$host/ssh.log" 2>&1 &
  MACHINE_MUX[$host]=$!
  local until=$((SECONDS + 40))
  until ssh -F none -S "$mux" -O check machine >/dev/null 2>&1; do
    kill -0 "${MACHINE_MUX[$host]}" 2>/dev/null && [ $SECONDS -lt $until ] || return 1
    sleep 0.3
  done
}
machine_unreach() {
  [ -n "${MACHINE_MUX[$1]:-}" ] || return 0
  kill "${MACHINE_MUX[$1]}" 2>/dev/null || true
  wait "${MACHINE_MUX[$1]}" 2>/dev/null || true
  unset "MACHINE_MUX[$1]"
  rm -f "$E2E_DIR/$1/ssh"
}

machine_boot() {
  local begun=$SECONDS
  [ -n "${MACHINE_PID[$1]:-}" ] || machine_power "$1" "$2"
  until machine_reach "$1"; do
    [ $((SECONDS - begun)) -lt $((60 * E2E_PATIENCE)) ] || fail "$1 does not boot: $(tail -n 5 "$E2E_DIR/$1"/console.*; cat "$E2E_DIR/$1/ssh.log")"
    sleep 1
  done
  # it is up when its units are: those of the package are never enabled by themselves
  on "$1" systemctl is-system-running --wait >/dev/null || say "$1 is $(on "$1" systemctl is-system-running || true): $(on "$1" systemctl --failed --no-legend)"
  say "$1 is up after $((SECONDS - begun)) s"
}

machine_off() {
  local pid=${MACHINE_PID[$1]:-}
  [ -n "$pid" ] || return 0
  kill -9 "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null || true
  unset "MACHINE_PID[$1]"
  machine_unreach "$1"
  return 0
}

# As its administrator does it. QEMU ends with the kernel that reboots (a kernel given by -kernel is loaded once).
machine_reboot() {
  local begun=$SECONDS pid=${MACHINE_PID[$1]}
  on "$1" systemctl reboot || true
  machine_unreach "$1"
  wait_for 60 "$1 does not go down: $(tail -n 3 "$E2E_DIR/$1"/console.*)" eval "! kill -0 $pid"
  wait "$pid" || true
  unset "MACHINE_PID[$1]"
  say "$1 went down in $((SECONDS - begun)) s"
  machine_boot "$1" "${MACHINE_IP[$1]}"
}

machine_cut() { in_switch ip link set "p-${1##*-}" down; }
machine_join() { in_switch ip link set "p-${1##*-}" up; }

on() {
  local host=$1; shift
  [ -n "${MACHINE_PID[$host]:-}" ] || { echo "$host is off" >&2; return 255; }
  # shellcheck disable=SC2086 # options
  in_switch ssh $MACHINE_SSH -i "$MACHINE_BASE/key" -S "$E2E_DIR/$host/ssh" "root@${MACHINE_IP[$host]}" "$(printf '%q ' "$@")"
}
put() { on "$1" sh -c 'mkdir -p "$(dirname "$0")"; cat > "$0"' "/$3" < "$2"; } # put HOST FILE PATH

start_unit() {
  on "$1" sh -c 'if systemctl is-enabled -q "$0"; then systemctl start "$0"; else systemctl restart "$0" && systemctl -q enable "$0"; fi' "$2" ||
    fail "$2 does not start on $1: $(on "$1" systemctl status --no-pager "$2")"
}
stop_program() { on "$1" systemctl stop "$2"; }
