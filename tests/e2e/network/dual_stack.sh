#!/bin/bash
# Pods with addresses of both families on two machines, with each backend that needs nothing else.
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/network.sh"
NODE_FLAGS=(--network-backend="${BACKEND:-vxlan}")
m_ips() { echo "$(m_ip "$1"),$(m_ip6 "$1")"; }
machines_begin dual 2 --cluster-cidr=10.244.0.0/16,fd44::/48

step "both nodes have both, and so have their pods"
for i in 1 2; do
  check_eq "$(k get node node-$i -o jsonpath='{.spec.podCIDRs[*]}' | wc -w)" 2 "pod CIDRs of node-$i"
  pod_on $i "pod-$i"
done
pods_ready pod-1 pod-2
for i in 1 2; do check_eq "$(k get pod pod-$i -o jsonpath='{.status.podIPs[*].ip}' | wc -w)" 2 "addresses of pod-$i"; done

step "they reach each other and the other machine by both"
ping6() { in_pod "$1" ping -6 -q -c 2 -i 0.2 -W 2 "$2" >/dev/null; }
wait_for 10 "pod-1 reaches pod-2 by IPv6" ping6 pod-1 "$(pod_ip6 pod-2)"
wait_for 10 "pod-2 reaches pod-1 by IPv6" ping6 pod-2 "$(pod_ip6 pod-1)"
wait_for 10 "pod-1 reaches machine 2 by IPv6" ping6 pod-1 "$(m_ip6 2)"
wait_for 10 "machine 2 reaches pod-1 by IPv6" in_m 2 ping -6 -q -c 1 -W 2 "$(pod_ip6 pod-1)"
reach() { in_pod "$1" curl -s -m 2 "http://$2:8080/index.html" 2>/dev/null | grep -q "$3"; }
wait_for 10 "pod-1 reaches pod-2 by IPv4" reach pod-1 "$(pod_ip pod-2)" pod-2
wait_for 10 "pod-1 reaches pod-2 by TCP over IPv6" reach pod-1 "[$(pod_ip6 pod-2)]" pod-2

step "a policy holds for both"
k apply -f - >/dev/null <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}}
YAML
cannot() { ! reach "$@"; }
wait_for 10 "IPv6 is closed" cannot pod-1 "[$(pod_ip6 pod-2)]" pod-2
wait_for 10 "IPv4 is closed" cannot pod-1 "$(pod_ip pod-2)" pod-2
