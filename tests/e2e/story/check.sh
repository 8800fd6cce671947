#!/bin/bash
# check.sh: what stands in the way is found before anything is changed: one line that says what is wrong and what to do.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin check
DATA=$E2E_DIR/none/yet
check() { in_ns "$SAMPAN" check --data-dir "$DATA" "$@"; }

# finds WORDS ARGS …: check says so in one line, up says the same and changes nothing; QUICK= where up does not look
finds() {
  local words=$1; shift
  check "$@" > "$E2E_DIR/out" 2>&1 && fail "check found nothing of: $words"
  check_eq "$(grep -cE "^check: [a-zA-Z ]+: .*$words" "$E2E_DIR/out")" 1 "lines that say '$words' in: $(cat "$E2E_DIR/out")"
  [ -n "${QUICK-yes}" ] || return 0
  in_ns "$SAMPAN" up --data-dir "$DATA" "$@" > "$E2E_DIR/out" 2>&1 && fail "up started in spite of: $words"
  grep -qE "^check: .*$words" "$E2E_DIR/out" || fail "up does not say '$words': $(cat "$E2E_DIR/out")"
  [ ! -e "$E2E_DIR/none" ] || fail "up changed something: $words"
}
# in a mount namespace where these programs are not to be had
without() {
  local names=$1; shift
  nsenter --net="/run/netns/$E2E_NS" unshare -m sh -c 'for n in $0; do for d in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do
    [ ! -e $d/$n ] || mount --bind /dev/null $(readlink -f $d/$n); done; done; exec "$@"' "$names" "$SAMPAN" check --data-dir "$DATA" "$@" > "$E2E_DIR/out" 2>&1 &&
    fail "check found nothing without $names"
  return 0
}
says() { grep -qE "$1" "$E2E_DIR/out" || fail "check does not say '$1': $(cat "$E2E_DIR/out")"; }

step "nothing wrong"
check || fail "check found something"
[ ! -e "$E2E_DIR/none" ] || fail "check made the data directory"

step "ports, ranges, directories"
nsenter --net="/run/netns/$E2E_NS" -- busybox nc -l -p 6443 & E2E_PIDS+=($!)
wait_for 5 "nc listens" sh -c "nsenter --net=/run/netns/$E2E_NS ss -ltn | grep -q :6443"
finds "port 6443 is in use"
kill "${E2E_PIDS[-1]}"; wait "${E2E_PIDS[-1]}" 2>/dev/null || true
finds "overlap" --cluster-cidr 10.254.128.0/17
finds "is not a range such as 10.0.0.0.16" --service-cluster-ip-range 10.254.0.0
in_ns ip addr add 10.244.7.1/24 dev e2e1
finds "clashes with this machine's route to 10.244.7.0/24 by e2e1"
finds "clashes with this machine's route to 192.0.2.0/24 by e2e0" --cluster-cidr 192.0.2.128/25
in_ns ip addr del 10.244.7.1/24 dev e2e1
echo x > "$E2E_DIR/file"
DATA=$E2E_DIR/file finds "is not a directory"
mkdir "$E2E_DIR/ro"; mount -t tmpfs -o ro tmpfs "$E2E_DIR/ro"
DATA=$E2E_DIR/ro/data finds "cannot be written to .Read-only file system"

step "servers"
QUICK= finds "http://127.0.0.1:2379 cannot be reached .Connection refused" --etcd-servers http://127.0.0.1:2379
QUICK= finds "https://127.0.0.1:6443 cannot be reached" --node-only --server https://127.0.0.1:6443

step "certificates"
mkdir -p "$E2E_DIR/old/pki"
openssl req -newkey rsa:2048 -nodes -keyout "$E2E_DIR/old/pki/ca.key" -out "$E2E_DIR/csr" -subj /CN=old 2>/dev/null
openssl x509 -req -in "$E2E_DIR/csr" -signkey "$E2E_DIR/old/pki/ca.key" -days 0 -out "$E2E_DIR/old/pki/ca.crt" 2>/dev/null
DATA=$E2E_DIR/old finds "pki/ca.crt ended 0 days ago"
[ ! -e "$E2E_DIR/old/state.db" ] || fail "up changed something"

step "programs"
without "crun runc"; says "neither crun nor runc is there: apt-get install"
without conmon; says "conmon is not there: apt-get install conmon"
without "iptables-restore iptables-nft-restore xtables-nft-multi" --proxy-mode iptables; says "iptables is not there: "
without ovs-vsctl --network-backend ovs; says "needs Open vSwitch: install openvswitch-switch"
finds "userspace" --proxy-mode userspace
finds "ipvs" --proxy-mode ipvs
finds "is no socket" --container-runtime-endpoint unix:///nowhere.sock
step "what only the programs themselves find: up says it at once, and nothing goes on"
in_ns "$SAMPAN" up --data-dir "$E2E_DIR/data" --node-ip "$E2E_IP" --cluster-cidr 10.244.0.0/16 --node-cidr-mask-size 8 > "$E2E_DIR/out" 2>&1 &&
  fail "up started"
says "control cannot start: .*mask size of cluster CIDR must be less than or equal"
in_ns "$SAMPAN" status --data-dir "$E2E_DIR/data" > "$E2E_DIR/out" && fail "the server goes on: $(cat "$E2E_DIR/out")"
say "all is well"
