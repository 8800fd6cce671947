# overlay.sh BACKEND: sourced by one test per backend. Pods of three machines reach each other, the machines and back: machines
# come, go and change their address; packets of the full size pass; nothing runs in circles.
. "$(dirname "${BASH_SOURCE[0]}")/network.sh"

# reach POD IP: TCP from a pod; the answer is the other pod's name
reach() { [ "$(in_pod "$1" curl -s -m 2 "http://$2:8080/index.html" 2>/dev/null)" = "$3" ]; }
full_mesh() {
  local a b ip
  for b in "$@"; do
    ip=$(pod_ip "$b")
    for a in "$@"; do netns_of "$a" >/dev/null; wait_for 10 "$a reaches $b at $ip" reach "$a" "$ip" "$b"; done
  done
}
# full_size POD IP MTU: what fits the MTU passes in one piece, what does not is refused by the sender
ping_df() { in_pod "$1" ping -q -c 2 -i 0.2 -W 2 -M do -s "$3" "$2" >/dev/null 2>&1; }
pod_mtu() { in_pod "$1" ip -o link show eth0 | sed 's/.*mtu \([0-9]*\).*/\1/'; }
full_size() {
  check_eq "$(pod_mtu "$1")" "$3" "MTU of $1"
  wait_for 10 "$(($3 - 28)) bytes from $1 to $2 in one piece" ping_df "$1" "$2" $(($3 - 28))
  ! ping_df "$1" "$2" $(($3 - 27)) || fail "a packet above the MTU of $3 passed"
}
# big POD IP: 8 MB over TCP
big() { [ "$(in_pod "$1" curl -s -m 8 "http://$2:8080/big" | md5sum)" = "$3" ]; }
# from_node I IP: a machine itself reaches a pod
from_node() { in_m "$1" curl -sf -m 2 "http://$2:8080/index.html" >/dev/null; }
# sees POD: the address that a machine sees when the pod calls it
node_sees() { # node_sees POD I: "address"
  in_m "$2" timeout 5 socat -u TCP-LISTEN:9099,reuseaddr SYSTEM:'echo $SOCAT_PEERADDR' > "$E2E_DIR/seen" 2>/dev/null &
  local s=$!
  for _ in $(seq 50); do in_m "$2" ss -ltnH 2>/dev/null | grep -q :9099 && break; sleep 0.05; done
  in_pod "$1" socat -u OPEN:/dev/null "TCP:$(m_ip "$2"):9099,connect-timeout=3" 2>/dev/null
  wait $s
  cat "$E2E_DIR/seen"
}

overlay_test() { # MTU
  local mtu=$1
  step "three machines, a pod each: everything reaches everything"
  for i in 1 2 3; do pod_on $i "pod-$i"; done
  pods_ready pod-1 pod-2 pod-3
  full_mesh pod-1 pod-2 pod-3
  for i in 1 2 3; do for j in 1 2 3; do
    wait_for 5 "machine $i reaches pod-$j" from_node $i "$(pod_ip pod-$j)"
  done; done

  step "pods keep their addresses towards pods and machines"
  for j in 2 3; do check_eq "$(node_sees pod-1 $j)" "$(pod_ip pod-1)" "what machine $j sees of pod-1"; done

  step "MTU $mtu end to end"
  full_size pod-1 "$(pod_ip pod-2)" "$mtu"
  full_size pod-3 "$(pod_ip pod-1)" "$mtu"
  pod_exec pod-2 sh -c 'head -c 8000000 /dev/urandom > /tmp/big'
  local sum; sum=$(pod_exec pod-2 md5sum /tmp/big)
  wait_for 20 "8 MB from pod-2 to pod-1" big pod-1 "$(pod_ip pod-2)" "${sum%% *}  -"

  step "a machine's link changes its MTU"
  ip -n "$SWITCH" link set switch mtu 1400
  for i in 1 2 3; do ip -n "$(m_ns $i)" link set eth0 mtu 1400; ip -n "$SWITCH" link set "p$i" mtu 1400; done
  has_mtu() { [ "$(pod_mtu "$1")" = "$2" ]; }
  for i in 1 2 3; do wait_for 10 "MTU of pod-$i follows" has_mtu "pod-$i" $((mtu - 100)); done
  full_size pod-1 "$(pod_ip pod-2)" $((mtu - 100))
  for i in 1 2 3; do ip -n "$SWITCH" link set "p$i" mtu 1500; ip -n "$(m_ns $i)" link set eth0 mtu 1500; done
  for i in 1 2 3; do wait_for 10 "MTU of pod-$i follows back" has_mtu "pod-$i" "$mtu"; done

  step "a machine changes its address"
  machine_stop 3
  ip -n "$(m_ns 3)" addr flush dev eth0
  m_ip() { [ "$1" = 3 ] && echo 192.0.2.33 || echo "192.0.2.1$1"; }
  ip -n "$(m_ns 3)" addr add 192.0.2.33/24 dev eth0
  machine_start 3
  has_ip() { [ "$(k get node node-3 -o jsonpath='{.status.addresses[0].address}')" = "$1" ]; }
  wait_for 20 "node-3 has its new address" has_ip 192.0.2.33
  shows_host() { [ "$(k get pod pod-3 -o jsonpath='{.status.hostIP} {.status.hostIPs[*].ip}')" = "$1 $1" ]; }
  wait_for 20 "its pod shows it" shows_host 192.0.2.33
  full_mesh pod-1 pod-2 pod-3

  step "a machine goes: nothing of it stays"
  machine_stop 3
  local cidr; cidr=$(k get node node-3 -o jsonpath='{.spec.podCIDR}')
  k delete node node-3 >/dev/null
  no_route() { ! in_m 1 ip route show table all | grep -q "$1"; }
  wait_for 10 "machine 1 forgets the way to $cidr" no_route "$cidr"
  wait_for 10 "machine 1 forgets the address" no_route 192.0.2.33
  full_mesh pod-1 pod-2

  step "and comes again"
  machine_start 3
  nodes_ready 3
  pod_on 3 pod-4
  pods_ready pod-4
  full_mesh pod-1 pod-2 pod-4

  step "the node agent restarts: connections go on"
  machine_stop 2
  full_mesh pod-1 pod-4
  reach pod-1 "$(pod_ip pod-2)" pod-2 || fail "pod-2 is not reached while its machine's agent is away"
  machine_start 2
  full_mesh pod-1 pod-2 pod-4
}
