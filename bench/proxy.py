#!/usr/bin/env python3
"""proxy.py: rows of the bench about the service proxy, each mode in a network namespace of its own against one control plane:
all services programmed (the program's own figure and the time from start), then one endpoint changed, as seen by the proxy
(write to rules) and end to end (PATCH sent to rules in the kernel). Upstream's kube-proxy beside it where it is installed.

then one service more. Sizes: PROXY_SIZES (one hundredth, one tenth and all of PROXY_SERVICES=10000), PROXY_MODES="nftables iptables"
("iptables-legacy" puts the legacy variant in the place of the one installed), PROXY_UPSTREAM=path of kube-proxy, PROXY_CHANGES=20.
Sets of rules that stand beside iptables' own for a moment (iptables mode, many services) are waited for before the changes."""
import base64, concurrent.futures, http.client, json, os, re, signal, ssl, statistics, subprocess, sys, tempfile, time
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT + "/tests/e2e/lib")
from machines import sh, within

N = int(os.environ.get("PROXY_SERVICES", "10000"))
CHANGES = int(os.environ.get("PROXY_CHANGES", "20"))
MODES = os.environ.get("PROXY_MODES", "nftables iptables").split()
UPSTREAM = os.environ.get("PROXY_UPSTREAM", "")
SAMPAN = os.environ.get("SAMPAN", ROOT + "/build/sampan")


def row(*words):
    print("%-44s %-34s %-22s %-34s %s" % words, flush=True)


class Bench:
    def __init__(self):
        self.dir, self.ns = tempfile.mkdtemp(prefix="sampan-bench-proxy-"), f"bench-proxy-{os.getpid()}"
        sh("ip", "netns", "add", self.ns)
        sh("ip", "-n", self.ns, "link", "set", "lo", "up")
        sh("ip", "-n", self.ns, "link", "add", "e0", "type", "veth", "peer", "name", "e1")
        sh("ip", "-n", self.ns, "addr", "add", "192.0.2.10/24", "dev", "e0")
        for end in ("e0", "e1"):
            sh("ip", "-n", self.ns, "link", "set", end, "up")
        self.inside = ["nsenter", "--net=/run/netns/" + self.ns]
        self.control = subprocess.Popen([*self.inside, SAMPAN, "control", "--data-dir", self.dir + "/data", "--bind-address", "192.0.2.10",
                                         "--secure-port", "6443", "--service-cluster-ip-range", "10.254.0.0/16"],
                                        stdout=open(self.dir + "/log", "w"), stderr=subprocess.STDOUT)
        kubeconfig = self.dir + "/data/admin.kubeconfig"
        end = time.time() + 20
        while not os.path.exists(kubeconfig) or self.ask("GET", "/readyz", None, plain=True) != "ok":
            if time.time() > end:
                sys.exit(open(self.dir + "/log").read())
            time.sleep(0.05)

    def connection(self):
        if not hasattr(self, "context"):
            user = yaml.safe_load(open(self.dir + "/data/admin.kubeconfig"))["users"][0]["user"]
            for key, name in (("client-certificate-data", "crt"), ("client-key-data", "key")):
                open(f"{self.dir}/{name}", "wb").write(base64.b64decode(user[key]))
            self.context = ssl._create_unverified_context()
            self.context.load_cert_chain(self.dir + "/crt", self.dir + "/key")

        def go():
            c = http.client.HTTPSConnection("192.0.2.10", 6443, context=self.context, timeout=30)
            c.connect()
            return c
        return within(self.ns, go)

    def ask(self, method, path, body, c=None, plain=False):
        try:
            c = c or self.connection()
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            c.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": kind})
            r = c.getresponse()
            text = r.read().decode()
        except OSError:
            if plain:
                return ""
            raise
        if plain:
            return text
        if r.status not in (200, 201):
            sys.exit(f"{method} {path}: {r.status} {text[:300]}")
        return text

    def fill(self, first, last):
        """Services with two endpoints each."""
        def some(numbers):
            c = self.connection()
            for i in numbers:
                self.ask("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": f"s{i}"}, "spec": {
                    "clusterIP": f"10.254.{100 + i // 250}.{i % 250}", "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}, c)
                self.ask("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_of(i, ["10.1.%d.%d" % (i // 250, i % 250), "10.2.%d.%d" % (i // 250, i % 250)]), c)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(some, [range(first + k, last, 8) for k in range(8)]))

    def metrics(self):
        def go():
            try:
                c = http.client.HTTPConnection("127.0.0.1", 10249, timeout=60)
                c.request("GET", "/metrics")
                return c.getresponse().read().decode()
            except OSError:
                return ""
        return within(self.ns, go)

    def timing(self, kind=""):
        """(how often, seconds in all) of a sync, of IPv4."""
        text = self.metrics()
        name = f"kubeproxy_sync_{kind}proxy_rules_duration_seconds"
        value = lambda what: sum(float(v) for v in re.findall(rf'^{name}_{what}\{{[^}}]*IPv4[^}}]*\}} (\S+)', text, re.M))
        return value("count"), value("sum")

    def until(self, fn, seconds=int(os.environ.get("PROXY_WAIT_S", "300"))):
        end = time.time() + seconds
        while not fn():
            if time.time() > end:
                raise TimeoutError
            time.sleep(0.005)

    def run(self, words, mode, n):
        log = open(f"{self.dir}/proxy.log", "a")
        legacy, mode = mode.endswith("-legacy"), mode.split("-")[0]
        self.legacy = "-legacy" if legacy else ""
        swap = ["unshare", "-m", "sh", "-c", 'mount --bind /usr/sbin/xtables-legacy-multi "$(readlink -f /usr/sbin/iptables-restore)" && exec "$@"', "-"]
        inside = [*self.inside, *(swap if legacy else [])]
        start = time.time()
        p = subprocess.Popen([*inside, *words, "--kubeconfig", self.dir + "/data/admin.kubeconfig", "--hostname-override", "n0", "--proxy-mode", mode,
                              "--iptables-min-sync-period", "0s"], stdout=log, stderr=log)
        try:
            last = f"10.254.{100 + (n - 1) // 250}.{(n - 1) % 250}"
            self.until(lambda: self.timing()[0] >= 1 and p.poll() is None and self.has(mode, last))
            whole = time.time() - start
            count, total = self.timing("full_")
            full = total / count if count else float("nan")
            syncs, ends = [], []
            c = self.connection()
            time.sleep(1.5)
            for k in range(CHANGES):
                before = self.timing()
                t = time.time()
                eps = ["10.1.9.%d" % (k + 1), "10.2.0.7"] + (["10.3.0.7"] if k % 2 else [])
                self.ask("PATCH", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/s7-x", slice_of(7, eps), c)
                self.until(lambda: self.timing()[0] > before[0], 60)
                ends.append(time.time() - t)
                after = self.timing()
                syncs.append((after[1] - before[1]) / (after[0] - before[0]))
                time.sleep(0.05)
            added = [self.add_one(c, k) for k in range(5)]
            return whole, full, syncs, ends, added
        finally:
            p.send_signal(signal.SIGTERM)
            p.wait(20)
            subprocess.run([*inside, SAMPAN, "kube-proxy", "--cleanup"], check=False)
            subprocess.run([*self.inside, "nft", "flush", "ruleset"], check=False)

    def patient(self, *args):
        """None when a change takes too long."""
        try:
            return self.run(*args)
        except TimeoutError:
            return None

    def add_one(self, c, k):
        """Seconds of the sync that writes a new service with an endpoint; it goes again."""
        def change(method, kind, path, body):
            before = self.timing()
            self.ask(method, f"{kind}/namespaces/default/{path}", body, c)
            self.until(lambda: self.timing()[0] > before[0], 60)
            time.sleep(0.05)
            after = self.timing()
            return (after[1] - before[1]) / (after[0] - before[0])
        eps = slice_of(99999, ["10.1.9.%d" % (k + 1)])
        change("POST", "/apis/discovery.k8s.io/v1", "endpointslices", eps)
        seconds = change("POST", "/api/v1", "services", {"metadata": {"name": "s99999"}, "spec": {"clusterIP": "10.254.99.9", "ports": [
            {"name": "http", "port": 80, "targetPort": 8080}]}})
        change("DELETE", "/api/v1", "services/s99999", None)
        change("DELETE", "/apis/discovery.k8s.io/v1", "endpointslices/s99999-x", None)
        return seconds

    def has(self, mode, address):
        """Whether the last service's address is in the kernel."""
        if mode == "iptables":
            return subprocess.run([*self.inside, "sh", "-c", f"iptables{self.legacy}-save -t nat | grep -q 'd {address}/32'"]).returncode == 0
        return subprocess.run([*self.inside, "sh", "-c", f"nft list ruleset | grep -q '{address} '"]).returncode == 0

    def close(self):
        self.control.terminate()
        self.control.wait(20)
        sh("ip", "netns", "del", self.ns, ok=True)
        subprocess.run(["rm", "-rf", self.dir])


def slice_of(i, ips):
    return {"metadata": {"name": f"s{i}-x", "labels": {"kubernetes.io/service-name": f"s{i}"}}, "addressType": "IPv4", "ports": [
        {"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": [{"addresses": [ip], "nodeName": "n0", "conditions": {"ready": True}} for ip in ips]}


def ms(values):
    return "%.1f ms [%.1f..%.1f]" % tuple(1e3 * v for v in (statistics.median(values), min(values), max(values)))


def main():
    b = Bench()
    try:
        b.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n0"}})
        b.ask("PATCH", "/api/v1/nodes/n0/status", {"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.10"}]}})
        sizes, done = [int(s) for s in os.environ.get("PROXY_SIZES", f"{max(1, N // 100)} {max(1, N // 10)} {N}").split()], 0
        for n in sizes:
            b.fill(done, n)
            done = n
            for mode in MODES:
                ours = b.run([SAMPAN, "kube-proxy"], mode, n)
                theirs, late = None, "-"
                if os.access(UPSTREAM, os.X_OK) and n <= int(os.environ.get("PROXY_UPSTREAM_MAX", "10000")):
                    late = "none within a minute"
                    theirs = b.patient([UPSTREAM, "--bind-address", "192.0.2.10", "--conntrack-max-per-core", "0", "--conntrack-min", "0",
                                     "--conntrack-tcp-timeout-established", "0", "--conntrack-tcp-timeout-close-wait", "0"], mode, n)
                pick = lambda f: f(theirs) if theirs else late
                full = lambda r: "%.2f s (from start %.2f s)" % (r[1], r[0])
                row(f"{n} services, {mode}: all programmed", full(ours), "<= 1 s" if n == N and not mode.endswith("-legacy") else "-", pick(full), "2 endpoints each; full sync; until the last is seen")
                row(f"{n} services, {mode}: one endpoint, sync", ms(ours[2]), "-" if mode.endswith("-legacy") else "<= 10 ms", pick(lambda r: ms(r[2])), "the proxy's own histogram")
                row(f"{n} services, {mode}: one service added, sync", ms(ours[4]), "-", pick(lambda r: ms(r[4])), "the same; with an endpoint")
                row(f"{n} services, {mode}: one endpoint, all", ms(ours[3]), "-", pick(lambda r: ms(r[3])), "PATCH sent to metric moved")
    finally:
        b.close()


main()
