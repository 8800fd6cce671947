"""upstream.py: upstream's kube-apiserver on an etcd of the test's: a directory with kube-apiserver and etcd in PEERS/bin."""
import http.client, json, os, ssl, subprocess, sys, tempfile, time
from api import ROOT, free_port

CIDR = "10.254.0.0/16"


def peers():
    env = os.environ.get("PEERS")
    script = os.environ.get("SAMPAN_PEERS", ROOT + "/../shared/peers") + "/env.sh"
    if not env and os.path.exists(script):
        env = subprocess.run(["bash", "-c", f'. "{script}"; echo "$PEERS"'], capture_output=True, text=True).stdout.strip()
    return (env or "") + "/bin"


class Upstream:
    """The same to use as Control."""

    def __init__(self, program, etcd, extra=()):
        self.program, self.etcd, self.port, self.extra = program, etcd, free_port(), list(extra)
        self.dir = tempfile.mkdtemp(prefix="sampan-upstream-")
        subprocess.run(["openssl", "genrsa", "-out", "sa.key", "2048"], cwd=self.dir, check=True, capture_output=True)
        with open(self.dir + "/tokens.csv", "w") as f:
            f.write("secret,admin,admin,system:masters\n")
        self.context = ssl._create_unverified_context()

    def start(self):
        self.log = open(self.dir + "/log", "ab")
        self.process = subprocess.Popen([
            self.program, f"--etcd-servers={self.etcd.url}", "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--cert-dir={self.dir}", f"--token-auth-file={self.dir}/tokens.csv", "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={CIDR}", f"--service-account-key-file={self.dir}/sa.key",
            f"--service-account-signing-key-file={self.dir}/sa.key", "--service-account-issuer=https://kubernetes.default.svc",
            "--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount,PodSecurity,ResourceQuota", *self.extra],
            stdout=self.log, stderr=self.log)
        until = time.time() + 90
        while True:
            try:
                if self.ask("GET", "/readyz") == (200, "ok"):
                    return self
            except OSError:
                pass
            if self.process.poll() is not None or time.time() > until:
                sys.exit("upstream does not serve: " + open(self.dir + "/log").read()[-2000:])
            time.sleep(0.1)

    def ask(self, method, path, body=None, connection=None, headers=None):
        c = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=40)
        c.request(method, path, json.dumps(body) if body is not None else None,
                  {"Content-Type": "application/json", "Authorization": "Bearer secret", **(headers or {})})
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, json.loads(data) if data[:1] == b"{" else data.decode()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
