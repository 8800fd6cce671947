"""machines.py: machines as network namespaces on one switch with no way out, "pods" as namespaces behind them, servers and
clients in any of them, all from one process: a thread enters a namespace (setns), makes its socket there and comes back with it."""
import ctypes, os, selectors, socket, subprocess, sys, threading, time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def sh(*words, ok=False):
    r = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if r.returncode and not ok:
        sys.exit(f"{' '.join(map(str, words))}: {r.stderr}")
    return r.stdout


def within(ns, fn, *args, **kw):
    """fn(*args) on a thread of its own inside a network namespace."""
    out = {}

    def body():
        try:
            fd = os.open("/run/netns/" + ns, os.O_RDONLY | os.O_CLOEXEC)
            if LIBC.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            os.close(fd)
            out["value"] = fn(*args, **kw)
        except BaseException as e:  # handed to the caller
            out["error"] = e

    t = threading.Thread(target=body)
    t.start()
    t.join()
    if "error" in out:
        raise out["error"]
    return out["value"]


class Servers:
    """Echoes "NAME PEER" to whatever comes, over TCP (as often as asked) and UDP."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def add(self, ns, name, ip, port):
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET

        def make():
            t = socket.socket(family, socket.SOCK_STREAM)
            t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            t.bind((ip, port))
            t.listen(64)
            u = socket.socket(family, socket.SOCK_DGRAM)
            u.bind((ip, port))
            return t, u

        t, u = within(ns, make)
        self.selector.register(t, selectors.EVENT_READ, ("accept", name))
        self.selector.register(u, selectors.EVENT_READ, ("udp", name))

    def run(self):
        while not self.stopping:
            for key, _ in self.selector.select(0.2):
                try:
                    self.serve(key.fileobj, *key.data)
                except OSError:
                    pass

    def serve(self, s, what, name):
        if what == "accept":
            c, _ = s.accept()
            self.selector.register(c, selectors.EVENT_READ, ("tcp", name))
        elif what == "udp":
            _, peer = s.recvfrom(2000)
            s.sendto(f"{name} {peer[0]}".encode(), peer)
        else:
            data = b""
            try:
                data = s.recv(2000)
                if data:
                    s.sendall(f"{name} {s.getpeername()[0]}".encode())
            finally:
                if not data:
                    self.selector.unregister(s)
                    s.close()

    def close(self):
        self.stopping = True
        self.thread.join()


# A refusal that arrives while connect(2) still holds the socket counts for the kernel's next try alone, a second later.
def connect(ns, ip, port, udp=False, source_port=0, timeout=4.0):
    def make():
        s = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        s.settimeout(timeout)
        if source_port:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("", source_port))
        s.connect((ip, port))
        return s

    return within(ns, make)


def say(s):
    """One question on a connected socket: "NAME PEER", or what went wrong in one word."""
    try:
        s.send(b"?")
        return s.recv(2000).decode() or "closed"
    except OSError as e:
        return wrong(e)


def wrong(e):
    if isinstance(e, (socket.timeout, TimeoutError)):
        return "timeout"
    return {111: "refused", 113: "unreachable", 101: "unreachable", 104: "reset", 1: "forbidden"}.get(e.errno, str(e))


def ask(ns, ip, port, **kw):
    try:
        s = connect(ns, ip, port, **kw)
    except OSError as e:
        return wrong(e)
    with s:
        return say(s)


class Machines:
    """A switch, machines m0… (10.77.0.10+n), pods behind them, and `out`, which is no machine of the cluster."""

    def __init__(self, prefix, n=3):
        self.prefix, self.n, self.made = prefix, n, []
        hub = self.add("hub")
        sh("ip", "-n", hub, "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", hub, "link", "set", "br0", "up")
        for i in range(n):
            self.plug(f"m{i}", i + 10)
        self.plug("out", 100)
        for i in range(n):
            for k in range(n):
                if k != i:
                    sh("ip", "-n", self.ns(f"m{i}"), "route", "add", f"10.244.{k}.0/24", "via", f"10.77.0.{k + 10}")
                    sh("ip", "-n", self.ns(f"m{i}"), "-6", "route", "add", f"fd44:0:0:{k}::/64", "via", f"fd77::{k + 10}")

    def ns(self, name):
        return f"{self.prefix}-{name}"

    def add(self, name):
        ns = self.ns(name)
        sh("ip", "netns", "add", ns)
        self.made.append(ns)
        sh("ip", "-n", ns, "link", "set", "lo", "up")
        # a refusal is an ICMP message, of which the kernel sends one a second to a peer unless told otherwise
        for key in ("ipv6/conf/all/accept_dad=0", "ipv6/conf/default/accept_dad=0", "ipv6/conf/all/forwarding=1", "ipv4/ip_forward=1",
                    "ipv4/icmp_ratelimit=0", "ipv6/icmp/ratelimit=0"):
            path, value = key.split("=")
            within(ns, lambda: open("/proc/sys/net/" + path, "w").write(value))
        return ns

    def plug(self, name, number):
        ns, hub = self.add(name), self.ns("hub")
        sh("ip", "-n", ns, "link", "add", "eth0", "type", "veth", "peer", "name", f"p-{name}", "netns", hub)
        sh("ip", "-n", hub, "link", "set", f"p-{name}", "master", "br0", "up")
        sh("ip", "-n", ns, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
        sh("ip", "-n", ns, "addr", "add", f"fd77::{number}/64", "dev", "eth0", "nodad")
        sh("ip", "-n", ns, "link", "set", "eth0", "up")

    def pod(self, name, machine, number):
        """A pod has a /32 and its machine as gateway, so everything between pods is routed."""
        ns, host, veth = self.add(name), self.ns(f"m{machine}"), f"veth-{name}"
        v4, v6 = f"10.244.{machine}.{number}", f"fd44:0:0:{machine}::{number}"
        sh("ip", "-n", ns, "link", "add", "eth0", "type", "veth", "peer", "name", veth, "netns", host)
        sh("ip", "-n", host, "addr", "add", "169.254.1.1/32", "dev", veth)
        sh("ip", "-n", host, "addr", "add", "fe80::1/64", "dev", veth, "nodad")
        sh("ip", "-n", host, "link", "set", veth, "up")
        sh("ip", "-n", ns, "addr", "add", v4 + "/32", "dev", "eth0")
        sh("ip", "-n", ns, "addr", "add", v6 + "/128", "dev", "eth0", "nodad")
        sh("ip", "-n", ns, "link", "set", "eth0", "up")
        sh("ip", "-n", host, "route", "add", v4, "dev", veth)
        sh("ip", "-n", host, "-6", "route", "add", v6, "dev", veth)
        sh("ip", "-n", ns, "route", "add", "169.254.1.1", "dev", "eth0")
        sh("ip", "-n", ns, "route", "add", "default", "via", "169.254.1.1")
        sh("ip", "-n", ns, "-6", "route", "add", "default", "via", "fe80::1", "dev", "eth0")
        return v4, v6

    def close(self):
        for ns in reversed(self.made):
            for pid in sh("ip", "netns", "pids", ns, ok=True).split():
                if int(pid) != os.getpid():
                    try:
                        os.kill(int(pid), 9)
                    except ProcessLookupError:
                        pass
            sh("ip", "netns", "del", ns, ok=True)


def wait_for(what, fn, want, seconds=10.0):
    """Until fn() is what is wanted (or in a set of wanted ones)."""
    end = time.time() + seconds
    while True:
        got = fn()
        if got == want or (isinstance(want, set) and not isinstance(got, set) and got in want):
            return got
        if time.time() > end:
            raise AssertionError(f"{what}: got {got!r}, want {want!r}")
        time.sleep(0.02)
