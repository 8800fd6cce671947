"""etcd.py: an etcd of a test's own on loopback: the one in PATH, or the program that SAMPAN_ETCD names; and its JSON
gateway, to look and to break things behind the API server's back."""
import base64, json, os, shutil, signal, ssl, subprocess, sys, tempfile, time, urllib.error, urllib.request
from api import free_port


def programs():
    """Every etcd that is there: those that SAMPAN_ETCD names (a colon between), then the one in PATH."""
    found = [p for p in os.environ.get("SAMPAN_ETCD", "").split(":") if p and os.access(p, os.X_OK)]
    path = shutil.which("etcd")
    return found + [p for p in [path] if p and p not in found]


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


class Etcd:
    def __init__(self, program, tls=None, extra=(), name="t"):
        """tls: {"ca": file, "cert": file, "key": file}; clients have to show a certificate of the CA then."""
        self.program, self.tls, self.extra, self.name, self.cluster = program, tls, list(extra), name, None
        self.dir = tempfile.mkdtemp(prefix="sampan-etcd-")
        self.port, self.peer = free_port(), free_port()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.process = None

    def start(self, wait=True):
        flags = ["--name", self.name, "--data-dir", self.dir + "/data", "--log-level=error",
                 "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                 "--listen-peer-urls", f"http://127.0.0.1:{self.peer}",
                 "--initial-advertise-peer-urls", f"http://127.0.0.1:{self.peer}",
                 "--initial-cluster", self.cluster or f"{self.name}=http://127.0.0.1:{self.peer}", *self.extra]
        if self.tls:
            flags += ["--cert-file", self.tls["cert"], "--key-file", self.tls["key"],
                      "--trusted-ca-file", self.tls["ca"], "--client-cert-auth"]
        self.log = open(self.dir + "/log", "ab")
        self.process = subprocess.Popen([self.program, *flags], stdout=self.log, stderr=self.log)
        return self.wait() if wait else self

    def wait(self):
        until = time.time() + 30
        while time.time() < until:
            try:
                self.rpc("kv/range", {"key": b64("x")})
                return self
            except (OSError, urllib.error.URLError):
                if self.process.poll() is not None:
                    sys.exit("etcd ended: " + open(self.dir + "/log").read()[-2000:])
                time.sleep(0.02)
        sys.exit("etcd does not answer")

    def rpc(self, what, body):
        context = None
        if self.tls:
            context = ssl.create_default_context(cafile=self.tls["ca"])
            context.load_cert_chain(self.tls["cert"], self.tls["key"])
        request = urllib.request.Request(f"{self.url}/v3/{what}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=10, context=context))

    def revision(self):
        return int(self.rpc("kv/range", {"key": b64("x")})["header"]["revision"])

    def get(self, key):
        kvs = self.rpc("kv/range", {"key": b64(key)}).get("kvs", [])
        return {**kvs[0], "value": base64.b64decode(kvs[0].get("value", ""))} if kvs else None

    def put(self, key, value):
        return self.rpc("kv/put", {"key": b64(key), "value": b64(value)})

    def compact(self, revision=None):
        return self.rpc("kv/compaction", {"revision": revision or self.revision(), "physical": True})

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)
        self.process.wait(30)

    @staticmethod
    def members(program, n):
        """A cluster, started."""
        all_ = [Etcd(program, name=f"m{i}") for i in range(n)]
        for e in all_:
            e.cluster = ",".join(f"{m.name}=http://127.0.0.1:{m.peer}" for m in all_)
            e.start(wait=False)
        return [e.wait() for e in all_]

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()
