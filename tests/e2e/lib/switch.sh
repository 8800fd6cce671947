# switch.sh: what machines made of namespaces and virtual ones have in common: a switch (a bridge in a network namespace of its
# own) with no way out, cables, and the control groups of a machine. machines.sh, network.sh and tests/machines/lib.sh source it.
#
#   switch_make NS                  the switch; its namespace
#   switch_plug NS PORT PEER        a cable from PORT of the switch to eth0 of PEER, a namespace or the pid of one in it
#   cgroup_make NAME / cgroup_remove NAME     NAME below every hierarchy of control groups, and what is below it

switch_make() {
  ip netns add "$1"
  ip -n "$1" link add switch type bridge
  ip -n "$1" link set switch up
}

switch_plug() {
  ip -n "$1" link del "$2" 2>/dev/null || true
  ip -n "$1" link add "$2" type veth peer name eth0 netns "$3"
  ip -n "$1" link set "$2" master switch up
}

cgroup_mounts() { awk '($3 == "cgroup" || $3 == "cgroup2") {print $2}' /proc/self/mounts; }
cgroup_make() {
  local m
  for m in $(cgroup_mounts); do
    mkdir -p "$m/$1"
    case $m in
      */cpuset) cat "$m/cpuset.cpus" > "$m/$1/cpuset.cpus"; cat "$m/cpuset.mems" > "$m/$1/cpuset.mems" ;;
      */memory) { echo 1 > "$m/$1/memory.use_hierarchy"; } 2>/dev/null || true ;;
    esac
  done
}
cgroup_remove() {
  local m
  for m in $(cgroup_mounts); do
    [ -d "$m/$1" ] && find "$m/$1" -depth -type d -exec rmdir {} + 2>/dev/null
  done
  return 0
}
