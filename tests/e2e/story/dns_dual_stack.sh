#!/bin/bash
# The cluster's DNS where services have addresses of both families: it answers at both of its own.
. "$(dirname "$0")/../lib/lib.sh"
dns() { in_ns "$ROOT/tests/e2e/lib/dns.py" "$@"; }
e2e_begin dns6
e2e_up --service-cluster-ip-range 10.96.0.0/16,fd00:96::/112
check_eq "$(k -n kube-system get service kube-dns -o jsonpath='{.spec.clusterIPs}')" '["10.96.0.10","fd00:96::a"]' "its addresses"
name=kube-dns.kube-system.svc.cluster.local
for server in 10.96.0.10 fd00:96::a; do
  wait_for 10 "an answer from $server" in_ns "$ROOT/tests/e2e/lib/dns.py" ask $server $name A
  for how in "" --tcp; do
    check_eq "$(dns ask $server $name A $how | sed -n 2p)" "answer $name 5 A 10.96.0.10" "A from $server $how"
    check_eq "$(dns ask $server $name AAAA $how | sed -n 2p)" "answer $name 5 AAAA fd00:96::a" "AAAA from $server $how"
  done
done
reverse=a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa
check_eq "$(dns ask fd00:96::a $reverse PTR | sed -n 2p)" "answer $reverse 5 PTR $name" "PTR"
say "dns_dual_stack: passed"
