# machines.sh: several machines on one, for end-to-end tests; source it after lib.sh. A machine is a set of namespaces (network,
# mount, UTS, PID, cgroup) around a directory that is its disk; machines meet on a switch (a bridge in a network namespace of its
# own) that leads nowhere else. Switching a machine off kills its PID 1, so everything in it ends at once, as when the plug is
# pulled; its disk stays.
#
#   machines_begin NAME             directory, switch, traps
#   machine_boot HOST IP            the first time, or again after machine_off
#   machine_off HOST                the plug is pulled
#   machine_cut HOST / machine_join HOST     its cable
#   on HOST CMD …                   a command in it;  start HOST NAME CMD …   in the background, output in HOST/log/NAME
#   stop_program HOST NAME          ends what start began
#   put HOST FILE PATH              copies a file into it
#   file HOST PATH                  where a path below /etc/kubernetes, /var/lib, /var/log of the machine is on this one

. "$ROOT/tests/e2e/lib/switch.sh"

MACHINE_DIRS="etc/kubernetes etc/cni etc/openvswitch var/lib/sampan var/lib/kubelet var/lib/etcd var/lib/openvswitch var/log"

machines_begin() {
  [ "$(id -u)" = 0 ] || { echo "the end-to-end tests need root"; exit 1; }
  E2E_PIDS=(); declare -gA MACHINE_PID=() MACHINE_IP=()
  E2E_DIR=$(mktemp -d "${TMPDIR:-/tmp}/sampan-e2e-$1.XXXXXX")
  E2E_SWITCH=sampan-switch-$$
  switch_make "$E2E_SWITCH"
  trap machines_end EXIT
  trap 'exit 1' INT TERM
}

machines_end() {
  set +e
  local h d
  for h in "${!MACHINE_PID[@]}"; do machine_off "$h"; done
  for d in "$E2E_DIR"/*/cgroup; do [ -f "$d" ] && cgroup_remove "$(cat "$d")"; done
  ip netns del "$E2E_SWITCH" 2>/dev/null
  [ -n "${E2E_KEEP:-}" ] || rm -rf "$E2E_DIR"
}

# A shell in the machine's cgroups that goes on as the rest of the command line.
cgroup_enter='for m in $(awk "(\$3 == \"cgroup\" || \$3 == \"cgroup2\") {print \$2}" /proc/self/mounts); do echo $$ > "$m/$CG/cgroup.procs"; done; exec "$@"'

# What PID 1 of a machine does: file systems of its own, then it waits.
machine_init='
set -e
hostname "$HOST"
ip link set lo up
for d in $DIRS; do mkdir -p "$DISK/$d" "/$d"; mount --bind "$DISK/$d" "/$d"; done
mount -t tmpfs run /run
mount --bind "$DISK/hosts" /etc/hosts
mount --bind "$DISK/resolv.conf" /etc/resolv.conf
for m in $(awk "\$3 == \"cgroup\" {print \$2 \":\" \$4}" /proc/self/mounts); do
  dir=${m%%:*}; opts=$(echo "${m#*:}" | sed "s/^rw,//; s/relatime,//; s/,xattr//")
  umount "$dir"; mount -t cgroup -o "$opts" cgroup "$dir"
done
for dir in $(awk "\$3 == \"cgroup2\" {print \$2}" /proc/self/mounts); do umount "$dir"; mount -t cgroup2 cgroup2 "$dir"; done
touch "$DISK/booted"
exec sleep infinity <&- >/dev/null 2>&1'

machine_boot() {
  local host=$1 ip=$2 disk=$E2E_DIR/$1 cg=e2e-$$-$1 port=p-${1##*-} pid
  mkdir -p "$disk/log"
  echo "$cg" > "$disk/cgroup"; rm -f "$disk/booted"
  [ -f "$disk/hosts" ] || echo "127.0.0.1 localhost" > "$disk/hosts"
  : > "$disk/resolv.conf"
  cgroup_make "$cg"
  MACHINE_IP[$host]=$ip
  CG=$cg HOST=$host DISK=$disk DIRS=$MACHINE_DIRS \
    sh -c "$cgroup_enter" sh unshare --mount --uts --pid --net --cgroup --ipc --fork --kill-child --mount-proc --propagation private \
    sh -c "$machine_init" > "$disk/log/boot" 2>&1 &
  pid=$!
  wait_for 10 "$host does not boot: $(cat "$disk/log/boot")" test -f "$disk/booted"
  MACHINE_PID[$host]=$(pgrep -P "$pid")
  echo "$pid" > "$disk/unshare.pid"
  switch_plug "$E2E_SWITCH" "$port" "${MACHINE_PID[$host]}"
  # shellcheck disable=SC2046 # a machine keeps its hardware address
  on "$host" ip link set eth0 address $(printf "02:00:%02x:%02x:%02x:%02x" ${ip//./ })
  on "$host" ip addr add "$ip/24" dev eth0
  on "$host" ip link set eth0 up
}

machine_off() {
  local pid=${MACHINE_PID[$1]:-}
  [ -n "$pid" ] || return 0
  machine_cut "$1" # first: a machine without power says nothing, and the kernel would end its connections
  kill -9 "$pid" 2>/dev/null
  wait "$(cat "$E2E_DIR/$1/unshare.pid")" 2>/dev/null || true
  unset "MACHINE_PID[$1]"
  return 0
}

machine_cut() { ip -n "$E2E_SWITCH" link set "p-${1##*-}" down; }
machine_join() { ip -n "$E2E_SWITCH" link set "p-${1##*-}" up; }

on() {
  local host=$1; shift
  CG=$(cat "$E2E_DIR/$host/cgroup") sh -c "$cgroup_enter" sh \
    nsenter -t "${MACHINE_PID[$host]:?$host is off}" --mount --uts --pid --net --cgroup --ipc -- "$@"
}

start() {
  local host=$1 name=$2; shift 2
  on "$host" sh -c 'echo $$ > "/run/$0.pid"; exec "$@"' "$name" "$@" >> "$E2E_DIR/$host/log/$name" 2>&1 &
}

stop_program() {
  on "$1" sh -c 'kill "$(cat /run/$0.pid)"; while kill -0 "$(cat /run/$0.pid)" 2>/dev/null; do sleep 0.05; done' "$2"
}

file() { echo "$E2E_DIR/$1/$2"; }
put() { cp "$2" "$(file "$1" "$3")"; }

# What all machines know of each other by name (the story's /etc/hosts): machine_hosts HOST=IP …
machine_hosts() {
  local m h
  for m in "$@"; do
    mkdir -p "$E2E_DIR/${m%%=*}"
    { echo "127.0.0.1 localhost"; for h in "$@"; do echo "${h#*=} ${h%%=*}"; done; } > "$E2E_DIR/${m%%=*}/hosts"
  done
}
