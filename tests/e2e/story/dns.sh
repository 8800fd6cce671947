#!/bin/bash
# The cluster's DNS: every kind of record, from pods and from the machine, over UDP and TCP; other names from a name server in
# the test's namespace; every dnsPolicy.
. "$(dirname "$0")/../lib/lib.sh"
dns() { in_ns "$ROOT/tests/e2e/lib/dns.py" "$@"; }
ask() { dns ask "$DNS" "$@"; }
# data NAME TYPE …: only the data of the answers
data() { ask "$@" | sed -n 's/^answer [^ ]* [0-9]* [A-Z]* //p' | sort | tr '\n' ' ' | sed 's/ $//'; }
rcode() { ask "$@" | sed -n '1s/ .*//p'; }

e2e_begin dns
in_ns "$ROOT/tests/e2e/lib/dns.py" serve "$E2E_IP" 5300 "$E2E_DIR/asked" & E2E_PIDS+=($!)
: > "$E2E_DIR/asked"
e2e_up --dns-upstream "$E2E_IP:5300" --dns-stub-domain "stub.example.test=$E2E_IP:5300,nowhere.test=$E2E_IP:5399"
e2e_image docker.io/library/box:1
DNS=$(k -n kube-system get service kube-dns -o jsonpath='{.spec.clusterIP}')
check_eq "$DNS" 10.254.0.10 "the cluster's DNS address"
cat <<'Y' | k apply -f - >/dev/null
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: metrics, port: 53, targetPort: 9153, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: heads}
spec:
  clusterIP: None
  selector: {app: heads}
  ports: [{name: http, port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: unready}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {app: heads}
  ports: [{name: http, port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: alias.example.test}
---
apiVersion: v1
kind: Service
metadata: {name: inside}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - {name: web, image: "box:1", command: [sh, -c, "mkdir /www; echo served > /www/index.html; exec httpd -f -p 8080 -h /www"]}
---
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: heads}}
spec:
  hostname: first
  subdomain: heads
  # busybox-static cannot resolve names (glibc needs its libraries for that): the machine's curl and getent
  containers:
  - name: c
    image: box:1
    command: [sleep, "3600"]
    volumeMounts: [{name: usr, mountPath: /usr}, {name: lib, mountPath: /lib}, {name: lib64, mountPath: /lib64}]
  volumes: [{name: usr, hostPath: {path: /usr}}, {name: lib, hostPath: {path: /usr/lib}}, {name: lib64, hostPath: {path: /usr/lib64}}]
---
apiVersion: v1
kind: Pod
metadata: {name: two, labels: {app: heads}}
spec:
  containers:
  - name: c
    image: box:1
    command: [sleep, "3600"]
    readinessProbe: {exec: {command: [test, -f, /tmp/ready]}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: host}
spec:
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  containers:
  - name: c
    image: box:1
    command: [sleep, "3600"]
    volumeMounts: [{name: usr, mountPath: /usr}, {name: lib, mountPath: /lib}, {name: lib64, mountPath: /lib64}]
  volumes: [{name: usr, hostPath: {path: /usr}}, {name: lib, hostPath: {path: /usr/lib}}, {name: lib64, hostPath: {path: /usr/lib64}}]
---
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  dnsPolicy: None
  dnsConfig:
    nameservers: [192.0.2.1, 192.0.2.2, 192.0.2.3]
    searches: [a.test, b.test.]
    options: [{name: ndots, value: "2"}, {name: edns0}]
  containers: [{name: c, image: "box:1", command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: added}
spec:
  dnsConfig:
    nameservers: [192.0.2.1]
    searches: [a.test]
    options: [{name: ndots, value: "3"}]
  containers: [{name: c, image: "box:1", command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: default}
spec:
  dnsPolicy: Default
  containers: [{name: c, image: "box:1", command: [sleep, "3600"]}]
Y
k wait --for=condition=Ready pod/web pod/one pod/host pod/own pod/added pod/default --timeout=60s >/dev/null
k wait --for=jsonpath='{.status.phase}'=Running pod/two --timeout=60s >/dev/null
ip_of() { k get pod "$1" -o jsonpath='{.status.podIP}'; }
web=$(k get service web -o jsonpath='{.spec.clusterIP}')
one=$(ip_of one); two=$(ip_of two)
zone=default.svc.cluster.local

step "services with an address"
wait_for 10 "web in the DNS" sh -c "nsenter --net=/run/netns/$E2E_NS $ROOT/tests/e2e/lib/dns.py ask $DNS web.$zone A | grep -q '^answer'"
for how in "" --tcp --plain; do
  check_eq "$(ask "web.$zone" A $how)" "NOERROR aa ra
answer web.$zone 5 A $web" "A $how"
done
check_eq "$(ask "WeB.Default.SVC.cluster.LOCAL" A | sed -n 2p)" "answer WeB.Default.SVC.cluster.LOCAL 5 A $web" "the client's spelling"
check_eq "$(rcode "web.$zone" AAAA)" NOERROR "no AAAA"
ask "web.$zone" AAAA | grep -q '^authority cluster.local 5 SOA ns.dns.cluster.local hostmaster.cluster.local' || fail "SOA with no data"
check_eq "$(rcode "none.$zone" A)" NXDOMAIN "a service that is not there"
ask "none.$zone" A | grep -q '^authority cluster.local 5 SOA' || fail "SOA with NXDOMAIN"
check_eq "$(ask "_http._tcp.web.$zone" SRV)" "NOERROR aa ra
answer _http._tcp.web.$zone 5 SRV 0 100 80 web.$zone
additional web.$zone 5 A $web" "SRV"
check_eq "$(data "_metrics._udp.web.$zone" SRV)" "0 100 53 web.$zone" "SRV over UDP"
check_eq "$(rcode "_metrics._tcp.web.$zone" SRV)" NXDOMAIN "SRV of the wrong protocol"
reverse() { echo "$1" | awk -F. '{print $4"."$3"."$2"."$1".in-addr.arpa"}'; }
check_eq "$(data "$(reverse "$web")" PTR)" "web.$zone" "PTR of a service"
check_eq "$(data kubernetes.$zone A)" 10.254.0.1 "the API"
check_eq "$(data dns-version.cluster.local TXT)" 1.1.0 "version"
check_eq "$(data cluster.local NS)" ns.dns.cluster.local "NS"
check_eq "$(data ns.dns.cluster.local A)" "$DNS" "the name server itself"
check_eq "$(data 10-1-2-3.default.pod.cluster.local A)" 10.1.2.3 "pod record"

step "headless services"
check_eq "$(data "heads.$zone" A)" "$one" "only what is ready"
check_eq "$(data "unready.$zone" A)" "$(printf '%s\n%s' "$one" "$two" | sort | tr '\n' ' ' | sed 's/ $//')" "publishNotReadyAddresses"
check_eq "$(data "first.heads.$zone" A)" "$one" "hostname.subdomain"
check_eq "$(data "$(reverse "$one")" PTR)" "first.heads.$zone" "PTR of a pod with a hostname"
check_eq "$(data "_http._tcp.heads.$zone" SRV)" "0 100 8080 first.heads.$zone" "SRV of a headless service"
k exec two -- touch /tmp/ready
dashed=$(echo "$two" | tr . -)
wait_for 15 "the second one is ready" sh -c "nsenter --net=/run/netns/$E2E_NS $ROOT/tests/e2e/lib/dns.py ask $DNS heads.$zone A | grep -q ' $two$'"
check_eq "$(data "$dashed.heads.$zone" A)" "$two" "an endpoint without hostname"
check_eq "$(k exec one -- hostname -f)" "first.heads.$zone" "the pod's own full name"

step "in the pods"
k exec web -- cat /etc/resolv.conf > "$E2E_DIR/resolv"
grep -qx "nameserver $DNS" "$E2E_DIR/resolv" && grep -q "^search default.svc.cluster.local svc.cluster.local cluster.local" "$E2E_DIR/resolv" &&
  grep -qx "options ndots:5" "$E2E_DIR/resolv" || { cat "$E2E_DIR/resolv"; fail "resolv.conf by ClusterFirst"; }
check_eq "$(k exec one -- curl -s -m 5 http://web/)" served "curl http://web/"
check_eq "$(k exec one -- curl -s -m 5 http://web.default.svc/)" served "curl http://web.default.svc/"
check_eq "$(k exec one -- curl -s -m 5 http://inside/)" served "an ExternalName that stays inside"
check_eq "$(k exec one -- getent ahostsv4 web | sed -n 's/ .*STREAM.*//p')" "$web" "getent"
k exec two -- nslookup "web.$zone" | grep -q "$web" || fail "nslookup"
check_eq "$(k exec host -- curl -s -m 5 http://web/)" served "hostNetwork with ClusterFirstWithHostNet"
k exec own -- cat /etc/resolv.conf | grep -v '^$' > "$E2E_DIR/resolv"
check_eq "$(cat "$E2E_DIR/resolv")" "search a.test b.test.
nameserver 192.0.2.1
nameserver 192.0.2.2
nameserver 192.0.2.3
options ndots:2 edns0" "dnsPolicy None"
k exec added -- cat /etc/resolv.conf > "$E2E_DIR/resolv"
grep -qx "nameserver $DNS" "$E2E_DIR/resolv" && grep -qx "nameserver 192.0.2.1" "$E2E_DIR/resolv" && grep -q "^search default.svc.*a.test" "$E2E_DIR/resolv" &&
  grep -qx "options ndots:3" "$E2E_DIR/resolv" || { cat "$E2E_DIR/resolv"; fail "dnsConfig beside ClusterFirst"; }
if k exec default -- grep "nameserver $DNS" /etc/resolv.conf; then fail "dnsPolicy Default has the cluster's DNS"; fi
if k get events | grep MissingClusterDNS; then fail "MissingClusterDNS"; fi

step "other names"
check_eq "$(ask www.example.test A)" "NOERROR ra
answer www.example.test 30 A 198.51.100.7" "an outside name"
ask www.example.test A >/dev/null; ask WWW.example.test A >/dev/null
check_eq "$(grep -c ' www.example.test A' "$E2E_DIR/asked")" 1 "asked once: the cache"
check_eq "$(rcode gone.example.test A)$(rcode gone.example.test A)" NXDOMAINNXDOMAIN "not there"
check_eq "$(grep -c ' gone.example.test A' "$E2E_DIR/asked")" 1 "asked once for what is not there"
check_eq "$(ask big.example.test A | sed -n 1p)" "NOERROR tc ra" "cut over UDP"
check_eq "$(data big.example.test A --tcp | wc -w)" 200 "whole over TCP"
grep -q "tcp big.example.test" "$E2E_DIR/asked" || fail "the upstream was not asked over TCP"
check_eq "$(data "outside.$zone" A)" "198.51.100.7 alias.example.test www.example.test" "ExternalName: CNAME, and the chain behind it"
check_eq "$(rcode x.nowhere.test A)" SERVFAIL "a stub domain whose server is not there"
check_eq "$(rcode silent.example.test A)" SERVFAIL "a server that says nothing"
check_eq "$(k exec one -- getent ahostsv4 www.example.test | grep -c STREAM)" 1 "from a pod"

step "nonsense"
dns throw "$DNS" 1
check_eq "$(data "web.$zone" A)" "$web" "it still answers"

step "gone is gone"
k delete service web >/dev/null
wait_for 10 "web leaves the DNS" sh -c "nsenter --net=/run/netns/$E2E_NS $ROOT/tests/e2e/lib/dns.py ask $DNS web.$zone A | grep -q NXDOMAIN"

step "a DNS of the user's own wins"
k -n kube-system patch service kube-dns -p '{"spec":{"selector":{"k8s-app":"mine"}}}' >/dev/null
check_eq "$(data kubernetes.$zone A)" 10.254.0.1 "while it has no pods, ours answers"
cat <<Y | k apply -f - >/dev/null
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: mine, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 5300, protocol: UDP}, {name: dns-tcp, port: 5300, protocol: TCP}]
endpoints: [{addresses: [$E2E_IP], conditions: {ready: true}}]
Y
wait_for 10 "the other DNS" sh -c "nsenter --net=/run/netns/$E2E_NS $ROOT/tests/e2e/lib/dns.py ask $DNS kubernetes.$zone A | grep -q REFUSED"
k -n kube-system delete endpointslice mine >/dev/null
wait_for 10 "ours again" sh -c "nsenter --net=/run/netns/$E2E_NS $ROOT/tests/e2e/lib/dns.py ask $DNS kubernetes.$zone A | grep -q 10.254.0.1"
say "dns: passed"
