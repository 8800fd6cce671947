#!/usr/bin/env python3
"""services.py [MODE …]: services across three machines, the same behaviour in each mode of the proxy.

Machines are network namespaces on a switch with no way out, each with its own `sampan kube-proxy`, against one control
plane; endpoints are plain servers in namespaces of their own, told to the cluster by EndpointSlices, so no container is needed.
Modes: nftables, iptables (the variant that is installed), iptables-legacy (the other one, put in its place for the proxies alone) and
iptables-many (with so many services that changes take effect beside iptables' tables first).
SERVICES_ONLY=word runs the cases whose name has the word."""
import base64, fcntl, http.client, ipaddress, json, os, shutil, signal, socket, ssl, subprocess, sys, tempfile, threading, time
import yaml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../lib")
from machines import *

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SAMPAN = os.environ.get("SAMPAN", ROOT + "/build/sampan")
PORT = 6443
PODS = {"a0": (0, 2), "b0": (0, 3), "a1": (1, 2), "a2": (2, 2)}


class Skipped(Exception):
    pass


class Cluster:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="sampan-services-")
        self.net = Machines(f"svc{os.getpid()}")
        self.servers, self.proxies, self.pods, self.serial, self.made = Servers(), {}, {}, 0, []
        self.legacy = self.many = self.hide_sctp = False
        for name, (machine, number) in PODS.items():
            v4, v6 = self.net.pod(name, machine, number)
            self.pods[name] = (v4, v6, f"m{machine}")
            self.servers.add(self.ns(name), name, v4, 8080)
            self.servers.add(self.ns(name), name, v6, 8080)
        # outside addresses reach the cluster through machine 1, cluster addresses too
        for cidr in ("192.0.2.0/24", "198.51.100.0/24", "10.254.0.0/16"):
            sh("ip", "-n", self.ns("out"), "route", "add", cidr, "via", "10.77.0.11")
        for cidr in ("192.0.2.0/24", "198.51.100.0/24", "fd25::/112"):  # as a default route would do
            for i in range(3):
                sh("ip", "-n", self.ns(f"m{i}"), "route", "add", cidr, "dev", "eth0")
        self.start_control()

    def ns(self, name):
        return self.net.ns(name)

    def start_control(self):
        log = open(self.dir + "/control.log", "ab")
        self.control = subprocess.Popen(["nsenter", "--net=/run/netns/" + self.ns("m0"), SAMPAN, "control", "--data-dir", self.dir + "/data",
                                         "--bind-address", "10.77.0.10", "--secure-port", str(PORT), "--service-cluster-ip-range",
                                         "10.254.0.0/16,fd25::/112"], stdout=log, stderr=log)
        wait_for("control plane", self.ready, True, 20)
        user = yaml.safe_load(open(self.dir + "/data/admin.kubeconfig"))["users"][0]["user"]
        for key, name in (("client-certificate-data", "crt"), ("client-key-data", "key")):
            with open(f"{self.dir}/{name}", "wb") as f:
                f.write(base64.b64decode(user[key]))
        self.context = ssl._create_unverified_context()
        self.context.load_cert_chain(self.dir + "/crt", self.dir + "/key")
        kubeconfig = yaml.safe_load(open(self.dir + "/data/admin.kubeconfig"))
        kubeconfig["clusters"][0]["cluster"]["server"] = f"https://10.77.0.10:{PORT}"
        yaml.safe_dump(kubeconfig, open(self.dir + "/kubeconfig", "w"))
        for i in range(3):
            self.ask("POST", "/api/v1/nodes", {"metadata": {"name": f"m{i}", "labels": {"topology.kubernetes.io/zone": f"z{i % 2}"}},
                                               "spec": {"podCIDR": f"10.244.{i}.0/24", "podCIDRs": [f"10.244.{i}.0/24"]}})
            self.ask("PATCH", f"/api/v1/nodes/m{i}/status", {"status": {"addresses": [
                {"type": "InternalIP", "address": f"10.77.0.{i + 10}"}, {"type": "InternalIP", "address": f"fd77::{i + 10}"}]}})

    def ready(self):
        if self.control.poll() is not None:
            sys.exit("the control plane ended: " + open(self.dir + "/control.log").read()[-2000:])
        return self.http("10.77.0.10", PORT, "/readyz", tls=ssl._create_unverified_context())[1] == "ok"

    def http(self, ip, port, path, ns="m0", tls=None, method="GET", body=None, headers={}):
        def go():
            try:
                c = http.client.HTTPSConnection(ip, port, context=tls, timeout=5) if tls else http.client.HTTPConnection(ip, port, timeout=2)
                c.request(method, path, body, headers)
                r = c.getresponse()
                self.headers = r.headers
                return r.status, r.read().decode()
            except OSError as e:
                return 0, str(e)

        return within(self.ns(ns), go)

    def ask(self, method, path, body=None, want=(200, 201)):
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        status, text = self.http("10.77.0.10", PORT, path, tls=self.context, method=method,
                                 body=json.dumps(body) if body is not None else None, headers={"Content-Type": kind})
        assert status in want, f"{method} {path}: {status} {text}"
        return json.loads(text)

    # --- services ---

    def service(self, ports=None, status=None, **spec):
        """Its name and cluster address; a fresh one each time."""
        self.serial += 1
        name = f"s{self.serial}"
        spec["ports"] = ports or [{"name": "p", "port": 80, "targetPort": 8080}]
        s = self.ask("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": name}, "spec": spec})
        self.made.append("/api/v1/namespaces/default/services/" + name)
        if status:
            self.ask("PATCH", f"/api/v1/namespaces/default/services/{name}/status", {"status": status})
        return name, s["spec"].get("clusterIP", ""), s

    def change(self, name, **spec):
        self.ask("PATCH", f"/api/v1/namespaces/default/services/{name}", {"spec": spec})

    def endpoints(self, name, pods, protocol="TCP", v6=False):
        """pods: names, or {name: {"ready": …, "hints": …}}; replaces what was there."""
        pods = pods if isinstance(pods, dict) else {p: {} for p in pods}
        eps = []
        for p, more in pods.items():
            e = {"addresses": [self.pods[p][1 if v6 else 0]], "nodeName": self.pods[p][2], "conditions": {"ready": True}}
            e.update({k: v for k, v in more.items() if k == "hints"})
            e["conditions"].update({k: v for k, v in more.items() if k != "hints"})
            eps.append(e)
        slice_name = f"{name}-{'6' if v6 else '4'}{protocol.lower()}"
        body = {"metadata": {"name": slice_name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv6" if v6 else "IPv4",
                "ports": [{"name": "p", "port": 8080, "protocol": protocol}], "endpoints": eps}
        base = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        if self.http("10.77.0.10", PORT, f"{base}/{slice_name}", tls=self.context)[0] == 200:
            self.ask("PATCH", f"{base}/{slice_name}", body)
        else:
            self.ask("POST", base, body)
            self.made.append(f"{base}/{slice_name}")

    def forget(self):
        for path in self.made:
            self.ask("DELETE", path, want=(200, 404))
        self.made = []

    def fill(self):
        """Services that nobody asks for, enough of them to be many."""
        self.many = True
        for i in range(700):
            name = f"many{i}"
            self.ask("POST", "/api/v1/namespaces/kube-public/services", {"metadata": {"name": name}, "spec": {
                "ports": [{"name": "p", "port": 80, "targetPort": 8080}]}})
            self.ask("POST", "/apis/discovery.k8s.io/v1/namespaces/kube-public/endpointslices", {
                "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
                "ports": [{"name": "p", "port": 8080, "protocol": "TCP"}],
                "endpoints": [{"addresses": [f"10.244.9.{i % 250}"], "conditions": {"ready": True}}]})

    # --- proxies ---

    def inside(self, machine, *words):
        """A command of ours on a machine, with the variant of iptables that is asked for."""
        steps = ['mount --bind /usr/sbin/xtables-legacy-multi "$(readlink -f /usr/sbin/iptables-restore)"'] if self.legacy else []
        if self.hide_sctp:  # as a kernel shows itself that has none
            steps += ["mount -t tmpfs none /proc/sys/net/netfilter", "touch /proc/sys/net/netfilter/nf_conntrack_max"]
        private = ["unshare", "-m", "sh", "-c", " && ".join([*steps, 'exec "$@"']), "-"]
        return ["nsenter", "--net=/run/netns/" + self.ns(machine), *(private if steps else []), *words]

    def start_proxy(self, machine, mode, *more):
        log = open(f"{self.dir}/proxy-{machine}.log", "ab")
        self.proxies[machine] = subprocess.Popen([*self.inside(machine, SAMPAN), "kube-proxy", "--kubeconfig",
                                                  self.dir + "/kubeconfig", "--hostname-override", machine, "--proxy-mode", mode,
                                                  "--cluster-cidr", "10.244.0.0/16,fd44::/48", *more], stdout=log, stderr=log)

    def stop_proxy(self, machine, sig=signal.SIGTERM):
        p = self.proxies.pop(machine)
        p.send_signal(sig)
        p.wait(10)

    def restart_proxy(self, machine, mode, *more):
        self.stop_proxy(machine)
        mark = os.path.getsize(f"{self.dir}/proxy-{machine}.log")
        self.start_proxy(machine, mode, *more)
        self.await_proxy(machine, mark)

    def await_proxy(self, machine, mark=0):
        def there():
            assert self.proxies[machine].poll() is None, open(f"{self.dir}/proxy-{machine}.log").read()[-2000:]
            with open(f"{self.dir}/proxy-{machine}.log") as f:
                f.seek(mark)
                return "rules are in place" in f.read()
        wait_for(f"the proxy of {machine}", there, True, 15)

    def rules(self, machine):
        """Everything that the kernel has of both modes."""
        ns = self.ns(machine)
        out = sh("nsenter", "--net=/run/netns/" + ns, "nft", "list", "ruleset", ok=True)
        for p in ("iptables-legacy-save", "ip6tables-legacy-save") if self.legacy else ("iptables-save", "ip6tables-save"):
            out += sh("nsenter", "--net=/run/netns/" + ns, p, ok=True)
        return out

    def flush(self, machine):
        """Everything of both modes."""
        at = ("nsenter", "--net=/run/netns/" + self.ns(machine))
        sh(*at, "nft", "flush", "ruleset")
        for table in ("nat", "filter", "mangle") if self.legacy else ():
            sh(*at, "iptables-legacy", "-t", table, "-F")
            sh(*at, "iptables-legacy", "-t", table, "-X")

    # --- questions ---

    def who(self, where, ip, port, n=24, **kw):
        """The set of servers that answer."""
        return {self.one(where, ip, port, **kw).split()[0] for _ in range(n)}

    def one(self, where, ip, port, **kw):
        return ask(self.ns(where), ip, port, **kw)

    def close(self, failed):
        for m in list(self.proxies):
            self.stop_proxy(m)
        self.control.terminate()
        self.control.wait(10)
        if failed:
            for f in sorted(os.listdir(self.dir)):
                if f.endswith(".log"):
                    print(f"== {f}\n{open(self.dir + '/' + f).read()[-3000:]}")
        self.servers.close()
        self.net.close()
        shutil.rmtree(self.dir, ignore_errors=True)


# --- behaviours: each a function of the cluster; proxies of all machines run in one mode ---


def cluster_ip(c, mode):
    name, ip, _ = c.service()
    c.endpoints(name, ["a1", "a2"])
    for where in ("a0", "m0", "m1", "a1"):
        wait_for(f"cluster address from {where}", lambda: c.who(where, ip, 80), {"a1", "a2"})
    wait_for("a pod keeps its address", lambda: c.one("a0", ip, 80).split()[1], c.pods["a0"][0])
    peers = {c.one("out", ip, 80).split()[1] for _ in range(8)}
    assert "10.77.0.100" not in peers and "timeout" not in peers, f"from outside the cluster it is masqueraded: {peers}"
    c.endpoints(name, ["a2"])
    wait_for("an endpoint that went", lambda: c.who("a0", ip, 80), {"a2"})


def node_port(c, mode):
    name, _, s = c.service(type="NodePort")
    port = s["spec"]["ports"][0]["nodePort"]
    c.endpoints(name, ["a1", "a2"])
    for i in range(3):
        wait_for(f"node port of m{i} from outside", lambda: c.who("out", f"10.77.0.{10 + i}", port), {"a1", "a2"})
        wait_for(f"node port of m{i} from a pod", lambda: c.who("a0", f"10.77.0.{10 + i}", port), {"a1", "a2"})
        wait_for(f"node port of m{i} from itself", lambda: c.who(f"m{i}", f"10.77.0.{10 + i}", port), {"a1", "a2"})
        wait_for(f"node port of m{i} on the loopback", lambda: c.who(f"m{i}", "127.0.0.1", port), {"a1", "a2"})
    assert c.one("out", "10.77.0.10", port).split()[1] != "10.77.0.100", "node ports are masqueraded"


def external_policy_local(c, mode):
    name, _, s = c.service(type="NodePort", externalTrafficPolicy="Local")
    port = s["spec"]["ports"][0]["nodePort"]
    c.endpoints(name, ["a1"])
    wait_for("the client's address is kept", lambda: c.one("out", "10.77.0.11", port), "a1 10.77.0.100")
    wait_for("no endpoint here: dropped", lambda: c.one("out", "10.77.0.10", port, timeout=0.5), "timeout")
    wait_for("from a pod it is inside traffic", lambda: c.one("a0", "10.77.0.10", port).split()[0], "a1")
    wait_for("from the machine itself, too", lambda: c.one("m0", "10.77.0.10", port).split()[0], "a1")
    c.change(name, externalTrafficPolicy="Cluster")
    wait_for("policy Cluster", lambda: c.one("out", "10.77.0.10", port).split()[0], "a1")


def internal_policy_local(c, mode):
    name, ip, _ = c.service(internalTrafficPolicy="Local")
    c.endpoints(name, ["a1", "a2"])
    wait_for("only the machine's own", lambda: c.who("a1", ip, 80), {"a1"})
    wait_for("only the machine's own", lambda: c.who("m2", ip, 80), {"a2"})
    wait_for("none here: dropped", lambda: c.one("a0", ip, 80, timeout=0.5), "timeout")


def session_affinity(c, mode):
    name, ip, _ = c.service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 2}})
    c.endpoints(name, ["a0", "a1", "a2"])
    wait_for("an answer", lambda: c.one("b0", ip, 80).split()[0], {"a0", "a1", "a2"})
    assert len(c.who("b0", ip, 80)) == 1, "a client stays with its endpoint"
    chosen = c.who("b0", ip, 80).pop()

    def others():  # each draws anew after it was forgotten
        time.sleep(2.2)
        return c.one("b0", ip, 80).split()[0] != chosen
    wait_for("it is forgotten", others, True, 60)
    chosen = c.who("b0", ip, 80).pop()
    c.endpoints(name, [p for p in ("a0", "a1", "a2") if p != chosen])
    wait_for("its endpoint went", lambda: chosen in c.who("b0", ip, 80) or "timeout" in c.who("b0", ip, 80), False)


def headless_and_external_name(c, mode):
    headless, _, _ = c.service(clusterIP="None")
    c.endpoints(headless, ["a1"])
    self_made, _, _ = c.service(type="ExternalName", externalName="example.com")
    marker, ip, _ = c.service()
    c.endpoints(marker, ["a1"])
    wait_for("the marker", lambda: c.one("a0", ip, 80).split()[0], "a1")
    for name in (headless, self_made):
        assert f"default/{name}" not in c.rules("m0").replace(f"default/{name}0", ""), f"rules of {name}"


def external_ips(c, mode):
    name, _, _ = c.service(externalIPs=["192.0.2.7"])
    c.endpoints(name, ["a1", "a2"])
    wait_for("externalIPs from outside", lambda: c.who("out", "192.0.2.7", 80), {"a1", "a2"})
    c.endpoints(name, [])
    wait_for("nobody answers: refused", lambda: c.one("out", "192.0.2.7", 80), "refused")


def load_balancer(c, mode):
    name, _, s = c.service(type="LoadBalancer", status={"loadBalancer": {"ingress": [
        {"ip": "198.51.100.7"}, {"ip": "198.51.100.8", "ipMode": "Proxy"}]}})
    port = s["spec"]["ports"][0]["nodePort"]
    c.endpoints(name, ["a1", "a2"])
    wait_for("its address", lambda: c.who("out", "198.51.100.7", 80), {"a1", "a2"})
    assert "198.51.100.8" not in c.rules("m1"), "ipMode Proxy is not captured"
    c.change(name, loadBalancerSourceRanges=["203.0.113.0/24"])
    wait_for("not from here", lambda: c.one("out", "198.51.100.7", 80, timeout=0.5), "timeout")
    wait_for("node ports know no ranges", lambda: c.who("out", "10.77.0.10", port), {"a1", "a2"})
    c.change(name, loadBalancerSourceRanges=["203.0.113.0/24", "10.77.0.100/32"])
    wait_for("from here again", lambda: c.who("out", "198.51.100.7", 80), {"a1", "a2"})


def health_check_node_port(c, mode):
    name, _, s = c.service(type="LoadBalancer", externalTrafficPolicy="Local")
    port = s["spec"]["healthCheckNodePort"]
    c.endpoints(name, ["a1"])
    wait_for("healthy where an endpoint is", lambda: c.http("10.77.0.11", port, "/", ns="out")[0], 200)
    text = c.http("10.77.0.11", port, "/", ns="out")[1]
    assert text == f'{{\n\t"service": {{\n\t\t"namespace": "default",\n\t\t"name": "{name}"\n\t}},\n\t"localEndpoints": 1,\n\t"serviceProxyHealthy": true\n}}', text
    assert c.headers["X-Load-Balancing-Endpoint-Weight"] == "1"
    wait_for("not elsewhere", lambda: c.http("10.77.0.10", port, "/", ns="out")[0], 503)
    c.endpoints(name, ["a0", "b0"])
    wait_for("it moved", lambda: c.http("10.77.0.11", port, "/", ns="out")[0], 503)
    wait_for("it moved", lambda: json.loads(c.http("10.77.0.10", port, "/", ns="out")[1])["localEndpoints"], 2)
    c.ask("DELETE", f"/api/v1/namespaces/default/services/{name}")
    wait_for("closed", lambda: c.http("10.77.0.11", port, "/", ns="out")[0], 0)


def health_and_metrics(c, mode):
    for path in ("/healthz", "/livez"):
        status, text = c.http("10.77.0.12", 10256, path, ns="out")
        assert status == 200 and json.loads(text)["healthy"] is True, text
    assert json.loads(c.http("10.77.0.12", 10256, "/healthz", ns="out")[1])["nodeEligible"] is True
    assert c.http("127.0.0.1", 10249, "/proxyMode", ns="m2") == (200, mode)
    text = c.http("127.0.0.1", 10249, "/metrics", ns="m2")[1]
    for word in ("kubeproxy_sync_proxy_rules_duration_seconds_bucket", "kubeproxy_sync_proxy_rules_last_timestamp_seconds"):
        assert word in text, word
    c.ask("PATCH", "/api/v1/nodes/m2", {"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}})
    wait_for("a node that leaves takes no more", lambda: c.http("10.77.0.12", 10256, "/healthz", ns="out")[0], 503)
    assert c.http("10.77.0.12", 10256, "/livez", ns="out")[0] == 200
    c.ask("PATCH", "/api/v1/nodes/m2", {"spec": {"taints": None}})
    wait_for("it stays", lambda: c.http("10.77.0.12", 10256, "/healthz", ns="out")[0], 200)


def udp(c, mode):
    name, ip, s = c.service(ports=[{"name": "p", "port": 53, "protocol": "UDP", "targetPort": 8080}], type="NodePort")
    port = s["spec"]["ports"][0]["nodePort"]
    wait_for("nobody answers: refused", lambda: c.one("a0", ip, 53, udp=True), "refused")
    inside, outside = connect(c.ns("a0"), ip, 53, udp=True), connect(c.ns("out"), "10.77.0.10", port, udp=True)
    for s in (inside, outside):
        s.settimeout(0.3)
        say(s)
    c.endpoints(name, ["a1"], "UDP")
    wait_for("endpoints appear", lambda: say(inside).split()[0], "a1")
    wait_for("endpoints appear, node port", lambda: say(outside).split()[0], "a1")
    c.endpoints(name, ["a2"], "UDP")
    wait_for("endpoints change under a client that keeps its port", lambda: say(inside).split()[0], "a2")
    wait_for("and at the node port", lambda: say(outside).split()[0], "a2")
    inside.close()
    outside.close()


def sctp(c, mode):
    name, ip, _ = c.service(ports=[{"name": "p", "port": 36412, "protocol": "SCTP", "targetPort": 8080}])
    c.endpoints(name, ["a1"], "SCTP")
    rules = lambda: f"{ip} . sctp . 36412" in c.rules("m0") or f"-d {ip}/32 -p sctp" in c.rules("m0")
    wait_for("rules for SCTP", rules, True)
    # a kernel without it: two services, of which one has another port, too
    both, ip2, _ = c.service(ports=[{"name": "p", "port": 80, "targetPort": 8080}, {"name": "s", "port": 36413, "protocol": "SCTP", "targetPort": 8080}])
    c.endpoints(both, ["a1"])
    c.stop_proxy("m0")
    mark = os.path.getsize(c.dir + "/proxy-m0.log")
    c.hide_sctp = True
    c.start_proxy("m0", mode)
    c.await_proxy("m0", mark)
    wait_for("the other port", lambda: c.one("a0", ip2, 80).split()[0], "a1")
    c.endpoints(name, ["a1", "a2"], "SCTP")
    c.endpoints(both, ["a2"])
    wait_for("the other port", lambda: c.one("a0", ip2, 80).split()[0], "a2")
    said = [l for l in open(c.dir + "/proxy-m0.log").read()[mark:].splitlines() if "SCTP" in l]
    assert len(said) == 2 and not rules(), f"a kernel without SCTP: {said}"
    c.hide_sctp = False
    c.restart_proxy("m0", mode)
    wait_for("rules for SCTP", rules, True)
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
    except OSError:
        raise Skipped("this kernel has no SCTP sockets: rules alone were checked")

    def listen():
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
        s.bind((c.pods["a1"][0], 8080))
        s.listen()
        return s

    def call():
        try:
            s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
            s.settimeout(1)
            s.connect((ip, 36412))
            return "connected"
        except OSError as e:
            return wrong(e)
    with within(c.ns("a1"), listen):
        wait_for("SCTP", lambda: within(c.ns("a0"), call), "connected")


def hairpin(c, mode):
    name, ip, s = c.service(type="NodePort")
    c.endpoints(name, ["a0"])
    wait_for("a pod reaches itself", lambda: c.one("a0", ip, 80).split()[0], "a0")
    assert c.one("a0", ip, 80).split()[1] != c.pods["a0"][0], "and sees another address than its own"
    wait_for("through a node port", lambda: c.one("a0", "10.77.0.10", s["spec"]["ports"][0]["nodePort"]).split()[0], "a0")


def terminating_endpoints(c, mode):
    name, ip, _ = c.service()
    ending = {"ready": False, "serving": True, "terminating": True}
    c.endpoints(name, {"a1": ending, "a2": {"ready": False, "serving": False, "terminating": True}})
    wait_for("those that end and still serve", lambda: c.who("a0", ip, 80), {"a1"})
    c.endpoints(name, {"a1": ending, "a2": {"ready": True}})
    wait_for("ready ones first", lambda: c.who("a0", ip, 80), {"a2"})


def topology(c, mode):
    name, ip, _ = c.service(trafficDistribution="PreferSameZone")
    zone = lambda z: {"hints": {"forZones": [{"name": z}]}}
    c.endpoints(name, {"a0": zone("z0"), "a1": zone("z1"), "a2": zone("z0")})
    wait_for("zone z0", lambda: c.who("b0", ip, 80), {"a0", "a2"})
    wait_for("zone z1", lambda: c.who("a1", ip, 80), {"a1"})
    node = lambda z, n: {"hints": {"forZones": [{"name": z}], "forNodes": [{"name": n}]}}
    c.endpoints(name, {"a0": node("z0", "m0"), "a1": node("z1", "m1"), "a2": node("z0", "m2")})
    wait_for("the same node", lambda: c.who("b0", ip, 80), {"a0"})
    c.endpoints(name, {"a1": node("z1", "m1"), "a2": node("z0", "m2")})
    wait_for("no endpoint on the node: the zone", lambda: c.who("b0", ip, 80), {"a2"})
    c.endpoints(name, {"a1": zone("z1"), "a2": {}})
    wait_for("one without hints: none count", lambda: c.who("b0", ip, 80), {"a1", "a2"})
    c.ask("PATCH", "/api/v1/nodes/m0", {"metadata": {"labels": {"topology.kubernetes.io/zone": "z1"}}})
    c.endpoints(name, {"a1": zone("z1"), "a2": zone("z0")})
    wait_for("the node moved to another zone", lambda: c.who("b0", ip, 80), {"a1"})
    c.ask("PATCH", "/api/v1/nodes/m0", {"metadata": {"labels": {"topology.kubernetes.io/zone": "z0"}}})


def dual_stack(c, mode):
    name, _, s = c.service(type="NodePort", ipFamilyPolicy="RequireDualStack")
    v4, v6 = s["spec"]["clusterIPs"]
    port = s["spec"]["ports"][0]["nodePort"]
    wait_for("nobody answers: refused", lambda: c.one("a0", v6, 80), "refused")
    c.endpoints(name, ["a1", "a2"])
    c.endpoints(name, ["a1", "a2"], v6=True)
    wait_for("IPv4", lambda: c.who("a0", v4, 80), {"a1", "a2"})
    wait_for("IPv6", lambda: c.who("a0", v6, 80), {"a1", "a2"})
    wait_for("IPv6 from a machine", lambda: c.who("m0", v6, 80), {"a1", "a2"})
    wait_for("IPv6 node port", lambda: c.who("out", "fd77::10", port), {"a1", "a2"})
    assert c.one("a0", v6, 80).split()[1] == str(ipaddress.ip_address(c.pods["a0"][1])), "a pod keeps its IPv6 address"


def nobody_answers(c, mode):
    for i in range(3):  # as a default route would do: over the loopback device the kernel sends no ICMP message
        sh("ip", "-n", c.ns(f"m{i}"), "route", "replace", "10.254.0.0/16", "dev", "eth0")
    name, ip, s = c.service(type="NodePort")
    port = s["spec"]["ports"][0]["nodePort"]
    for what, where, at in (("a pod", "a0", (ip, 80)), ("a machine", "m1", (ip, 80)), ("outside", "out", ("10.77.0.12", port)), ("a pod, node port", "a0", ("10.77.0.10", port))):
        wait_for(f"refused from {what}", lambda: c.one(where, *at), "refused")
    c.endpoints(name, {"a1": {"ready": False}})
    time.sleep(0.2)
    wait_for("not ready: refused", lambda: c.one("a0", ip, 80), "refused")
    c.endpoints(name, ["a1"])
    wait_for("answered", lambda: c.one("a0", ip, 80).split()[0], "a1")
    c.ask("DELETE", f"/api/v1/namespaces/default/services/{name}")
    wait_for("gone", lambda: c.one("out", "10.77.0.12", port), "refused")  # by the machine itself
    wait_for("no rule is left", lambda: f"default/{name}/" in c.rules("m0") or f"default/{name}:" in c.rules("m0"), False, 10)
    for i in range(3):
        sh("ip", "-n", c.ns(f"m{i}"), "route", "del", "10.254.0.0/16", "dev", "eth0")


def two_ports(c, mode):
    name, ip, _ = c.service(ports=[{"name": "p", "port": 80, "targetPort": 8080}, {"name": "q", "port": 81, "targetPort": 8080},
                                   {"name": "p2", "port": 80, "protocol": "UDP", "targetPort": 8080}])
    c.endpoints(name, ["a1"])
    wait_for("its own port", lambda: c.one("a0", ip, 80).split()[0], "a1")
    wait_for("a port without endpoints", lambda: c.one("a0", ip, 81), "refused")
    wait_for("the same number of another protocol", lambda: c.one("a0", ip, 80, udp=True), "refused")


def one_address_of_two(c, mode):
    first, _, _ = c.service(externalIPs=["192.0.2.9"])
    c.endpoints(first, ["a1"])
    wait_for("the first has it", lambda: c.who("out", "192.0.2.9", 80), {"a1"})
    second, _, _ = c.service(externalIPs=["192.0.2.9"])
    c.endpoints(second, ["a2"])
    marker, ip, _ = c.service()
    c.endpoints(marker, ["a0"])
    wait_for("the proxy goes on", lambda: c.who("out", ip, 80), {"a0"})
    c.restart_proxy("m1", mode)
    wait_for("after a restart, too", lambda: c.one("out", "192.0.2.9", 80).split()[0], {"a1", "a2"})
    c.ask("DELETE", f"/api/v1/namespaces/default/services/{first}")
    wait_for("the other takes it over", lambda: c.who("out", "192.0.2.9", 80), {"a2"})


class Hammer(threading.Thread):
    """New connections all the time, and one that stays."""

    def __init__(self, c, where, at):
        super().__init__(daemon=True)
        self.c, self.where, self.at, self.n, self.wrong, self.stop = c, where, at, 0, [], False
        self.kept = connect(c.ns(where), *at)
        self.start()

    def run(self):
        while not self.stop:
            got = self.c.one(self.where, *self.at)
            self.n += 1
            if not got.startswith("a"):
                self.wrong.append(got)

    def done(self, what):
        self.stop = True
        self.join()
        assert say(self.kept).startswith("a"), f"{what}: the old connection broke"
        self.kept.close()
        assert self.n > 10 and not self.wrong, f"{what}: {len(self.wrong)} of {self.n} failed: {self.wrong[:5]}"


def restart_without_a_gap(c, mode):
    name, ip, _ = c.service()
    affine, aip, _ = c.service(sessionAffinity="ClientIP")
    for n in (name, affine):
        c.endpoints(n, ["a1", "a2"])
    wait_for("it is there", lambda: c.who("a0", ip, 80) | c.who("b0", aip, 80, n=2), {"a1", "a2"})
    chosen = c.who("b0", aip, 80)
    h = Hammer(c, "a0", (ip, 80))
    gone, gip, _ = c.service()
    c.endpoints(gone, ["a1"])
    wait_for("another one", lambda: c.one("a0", gip, 80).split()[0], "a1")
    for sig in (signal.SIGTERM, signal.SIGKILL):
        c.stop_proxy("m0", sig)
        if sig == signal.SIGKILL:
            c.ask("DELETE", f"/api/v1/namespaces/default/services/{gone}")
        mark = os.path.getsize(c.dir + "/proxy-m0.log")
        c.start_proxy("m0", mode)
        c.await_proxy("m0", mark)
    h.done("restart of the proxy")
    assert c.who("b0", aip, 80) == chosen, "affinity outlives a restart"
    wait_for("what went meanwhile is gone", lambda: f"default/{gone}/" in c.rules("m0") or f"default/{gone}:" in c.rules("m0"), False, 10)


def switch_modes(c, mode):
    other = "iptables" if mode == "nftables" else "nftables"
    name, ip, _ = c.service()
    c.endpoints(name, ["a1", "a2"])
    wait_for("it is there", lambda: c.who("a0", ip, 80), {"a1", "a2"})
    h = Hammer(c, "a0", (ip, 80))
    for m in (other, mode):
        c.restart_proxy("m0", m)
        marks = {"nftables": f"svc-default/{name}/" if c.many else "sampan_proxy", "iptables": "KUBE-SVC-"}
        wait_for(f"{m}: the other's rules are gone", lambda: {k: v in c.rules("m0") for k, v in marks.items()},
                 {k: k == m for k in marks}, 10)
    h.done("switching the mode")


def rules_come_back(c, mode):
    name, ip, _ = c.service()
    c.endpoints(name, ["a1"])
    c.restart_proxy("m0", mode, "--iptables-sync-period", "300ms")
    wait_for("it is there", lambda: c.one("a0", ip, 80).split()[0], "a1")
    c.flush("m0")
    wait_for("somebody flushed the rules", lambda: c.one("a0", ip, 80, timeout=0.5).split()[0], "a1", 15)
    c.restart_proxy("m0", mode)


def settings(c, mode):
    name, ip, s = c.service(type="NodePort")
    port = s["spec"]["ports"][0]["nodePort"]
    c.endpoints(name, ["a1"])
    c.restart_proxy("m0", mode, "--masquerade-all")
    wait_for("--masquerade-all", lambda: c.one("a0", ip, 80).split()[1] != c.pods["a0"][0], True)
    sh("ip", "-n", c.ns("m0"), "addr", "replace", "10.99.0.1/32", "dev", "lo")
    sh("ip", "-n", c.ns("out"), "route", "replace", "10.99.0.1", "via", "10.77.0.10")
    c.restart_proxy("m0", mode, "--nodeport-addresses", "10.99.0.0/24")
    wait_for("--nodeport-addresses: this one", lambda: c.one("out", "10.99.0.1", port).split()[0], "a1")
    wait_for("--nodeport-addresses: not that one", lambda: c.one("out", "10.77.0.10", port), "refused")
    c.restart_proxy("m0", mode, "--nodeport-addresses", "primary")
    wait_for("--nodeport-addresses primary", lambda: c.one("out", "10.77.0.10", port).split()[0], "a1")
    wait_for("--nodeport-addresses primary: not that one", lambda: c.one("out", "10.99.0.1", port), "refused")
    c.restart_proxy("m0", mode, "--iptables-localhost-nodeports=false")
    wait_for("not on the loopback", lambda: c.one("m0", "127.0.0.1", port), "refused")
    sh("ip", "-n", c.ns("out"), "route", "replace", "10.254.0.0/16", "via", "10.77.0.10")
    for flags in (["--detect-local-mode", "InterfaceNamePrefix", "--pod-interface-name-prefix", "veth-"],
                  ["--detect-local-mode", "BridgeInterface", "--pod-bridge-interface", "veth-a0"],
                  ["--detect-local-mode", "NodeCIDR"]):
        c.restart_proxy("m0", mode, *flags)
        wait_for(f"{flags[1]}: a pod", lambda: c.one("a0", ip, 80), "a1 " + c.pods["a0"][0])
        wait_for(f"{flags[1]}: outside", lambda: c.one("out", ip, 80).split()[1] != "10.77.0.100", True)
    sh("ip", "-n", c.ns("out"), "route", "replace", "10.254.0.0/16", "via", "10.77.0.11")
    with open(c.dir + "/config.yaml", "w") as f:
        yaml.safe_dump({"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": mode, "hostnameOverride": "m0",
                        "clientConnection": {"kubeconfig": c.dir + "/kubeconfig"}, "clusterCIDR": "10.244.0.0/16",
                        mode: {"masqueradeBit": 9}}, f)
    c.stop_proxy("m0")
    mark = os.path.getsize(c.dir + "/proxy-m0.log")
    c.proxies["m0"] = subprocess.Popen([*c.inside("m0", SAMPAN), "kube-proxy", "--config", c.dir + "/config.yaml"],
                                       stdout=open(c.dir + "/proxy-m0.log", "ab"), stderr=subprocess.STDOUT)
    c.await_proxy("m0", mark)
    wait_for("--config", lambda: "0x00000200" in c.rules("m0") or "0x200" in c.rules("m0"), True)
    wait_for("--config", lambda: c.one("out", "10.77.0.10", port).split()[0], "a1")
    c.restart_proxy("m0", mode)


def cleanup(c, mode):
    c.service(clusterIPs=["10.254.7.7"], clusterIP="10.254.7.7")
    sh("ip", "-n", c.ns("m0"), "route", "add", "10.254.7.8", "dev", "lo")  # somebody else's
    routes = lambda: [r.split()[0] for r in sh("ip", "-n", c.ns("m0"), "route", "show", "table", "main", "dev", "lo").splitlines()]
    wait_for("a route to a service", lambda: "10.254.7.7" in routes(), True)
    c.stop_proxy("m0")
    sh(*c.inside("m0", SAMPAN), "kube-proxy", "--cleanup")
    left = [l for l in c.rules("m0").splitlines() if "sampan_proxy" in l or "KUBE-" in l]
    assert not left, f"left after --cleanup: {left[:5]}"
    assert routes() == ["10.254.7.8"], f"routes after --cleanup: {routes()}"
    assert "proto 75" not in sh("ip", "-n", c.ns("m0"), "-6", "route"), "IPv6 routes after --cleanup"
    sh("ip", "-n", c.ns("m0"), "route", "del", "10.254.7.8", "dev", "lo")
    c.start_proxy("m0", mode)
    wait_for("it is back", lambda: "sampan_proxy" in c.rules("m0") or "KUBE-SERVICES" in c.rules("m0"), True)


def moves_back(c, mode):
    """With many services a change takes effect beside iptables' tables, and stands in them later; no connection notices."""
    if not c.many:
        return
    name, ip, _ = c.service()
    c.endpoints(name, ["a1"])
    wait_for("it is there", lambda: c.one("a0", ip, 80).split()[0], "a1")
    wait_for("it moved back", lambda: (f"svc-default/{name}/" in c.rules("m0"), f"default/{name}:p -> 10.244.1.2:8080" in c.rules("m0")), (False, True), 60)
    h = Hammer(c, "a0", (ip, 80))
    c.endpoints(name, ["a1", "a2"])
    def beside(rules):
        return f"svc-default/{name}/" in rules and f"{name}:p -> 10.244.2.2:8080" not in rules
    wait_for("beside, and not in iptables' tables yet", lambda: beside(c.rules("m0")), True)
    wait_for("both answer", lambda: c.who("a0", ip, 80), {"a1", "a2"})
    wait_for("it moved back", lambda: (f"svc-default/{name}/" in c.rules("m0"), f"{name}:p -> 10.244.2.2:8080" in c.rules("m0")), (False, True), 60)
    h.done("moving back")
    assert c.who("a0", ip, 80) == {"a1", "a2"}, "both answer"
    c.endpoints(name, ["a2"])
    wait_for("one alone", lambda: c.who("a0", ip, 80), {"a2"})
    c.ask("DELETE", f"/api/v1/namespaces/default/services/{name}")
    wait_for("it went", lambda: f"default/{name}" in c.rules("m0"), False, 60)


BEHAVIOURS = [cluster_ip, node_port, external_policy_local, internal_policy_local, session_affinity, headless_and_external_name, external_ips,
              load_balancer, health_check_node_port, health_and_metrics, udp, sctp, hairpin, terminating_endpoints, topology, dual_stack,
              nobody_answers, two_ports, one_address_of_two, restart_without_a_gap, switch_modes, rules_come_back, moves_back, settings, cleanup]


def bad_input(c):
    def run(*args, env=None):
        r = subprocess.run([SAMPAN, "kube-proxy", *args], capture_output=True, text=True, timeout=20, env=env)
        return r.returncode, r.stderr.strip()
    for args, words in ((["--proxy-mode", "userspace"], "is gone"), (["--proxy-mode", "ipvs"], "nftables"), (["--proxy-mode", "x"], "unknown"),
                        ([], "--kubeconfig"), (["--cluster-cidr", "x"], "CIDR"), (["--config", "/nonexistent"], "/nonexistent")):
        code, text = run(*args)
        assert code == 2 and words in text and len(text.splitlines()) == 1, f"{args}: {code} {text}"


def not_allowed(c, mode):
    """Without the right, or without the programs: one line says so."""
    def run(*words):
        r = subprocess.run([*c.inside("m0", *words), SAMPAN, "kube-proxy", "--kubeconfig", c.dir + "/kubeconfig", "--proxy-mode", mode,
                            "--hostname-override", "m0"], capture_output=True, text=True, timeout=20)
        return r.returncode, [l for l in r.stderr.splitlines() if "/proc/sys" not in l]
    code, said = run("setpriv", "--bounding-set=-net_admin")
    assert code == 1 and len(said) == 1 and "CAP_NET_ADMIN" in said[0], f"without CAP_NET_ADMIN: {code} {said}"
    if mode == "iptables":
        code, said = run("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /etc/alternatives && exec "$@"', "-")
        assert code == 1 and len(said) == 1 and "iptables-restore is not installed" in said[0], f"without iptables: {code} {said}"


def lock(c, mode):
    """The legacy variant's lock, held by somebody else: said in one line, and done afterwards."""
    if not c.legacy:
        return
    name, ip, _ = c.service()
    mark = os.path.getsize(c.dir + "/proxy-m0.log")
    with open("/run/xtables.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        c.endpoints(name, ["a1"])
        wait_for("it says so", lambda: [l for l in open(c.dir + "/proxy-m0.log").read()[mark:].splitlines() if "holding the xtables lock" in l] != [], True, 15)
    wait_for("afterwards", lambda: c.one("a0", ip, 80).split()[0], "a1", 20)


BEHAVIOURS += [not_allowed, lock]


def main():
    if os.geteuid() != 0:
        print("this test needs root")
        sys.exit(77)
    modes = sys.argv[1:] or ["nftables", "iptables", "iptables-legacy", "iptables-many"]
    if not shutil.which("iptables-restore"):
        sys.exit("iptables is not installed: packaging/deps.sh test")
    legacy = subprocess.run(["iptables-legacy", "-t", "nat", "-S"], capture_output=True).returncode == 0
    if "iptables-legacy" in modes and not legacy:
        print("     SKIPPED: iptables-legacy: this kernel has no ip_tables")
        modes.remove("iptables-legacy")
    only, failed = os.environ.get("SERVICES_ONLY", ""), []
    c = Cluster()
    try:
        bad_input(c)
        for variant in modes:
            for m in [m for m in c.proxies if variant.startswith("iptables-")]:  # the variants do not know of each other
                c.stop_proxy(m)
                sh(*c.inside(m, SAMPAN), "kube-proxy", "--cleanup")
            mode = variant.split("-")[0]
            c.legacy = variant == "iptables-legacy"
            if variant == "iptables-many":
                c.fill()
            for i in range(3):
                if f"m{i}" in c.proxies:
                    c.stop_proxy(f"m{i}")
                c.start_proxy(f"m{i}", mode)
            for i in range(3):
                c.await_proxy(f"m{i}")
            for b in BEHAVIOURS:
                if only not in b.__name__:
                    continue
                start = time.time()
                try:
                    b(c, mode)
                    print(f"ok   {variant} {b.__name__} ({time.time() - start:.1f} s)", flush=True)
                except Skipped as e:
                    print(f"SKIPPED {variant} {b.__name__}: {e}", flush=True)
                except (AssertionError, OSError, IndexError) as e:
                    failed.append(f"{variant} {b.__name__}")
                    print(f"FAIL {variant} {b.__name__}: {e!r}", flush=True)
                    if os.environ.get("SERVICES_STOP"):
                        print(c.rules("m0"))
                        input("stopped; Enter to go on ")
                    for i in range(3):
                        if f"m{i}" not in c.proxies:
                            c.start_proxy(f"m{i}", mode)
                c.forget()
    finally:
        c.close(failed or sys.exc_info()[0])
    if failed:
        sys.exit("failed: " + ", ".join(failed))


main()
