"""api.py: a control plane of ours for tests, on loopback, and a client for it; standard library and PyYAML only."""
import base64, http.client, json, os, shutil, signal, socket, ssl, subprocess, sys, tempfile, time
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SAMPAN = os.environ.get("SAMPAN", ROOT + "/build/sampan")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Control:
    """with Control() as c: c.ask("GET", "/api/v1/namespaces")"""

    def __init__(self, program="control", extra=()):
        self.dir, self.port, self.program, self.extra = tempfile.mkdtemp(prefix="sampan-test-"), free_port(), program, list(extra)
        self.process = self.context = None

    def start(self):
        """Starts it and returns the seconds until /readyz."""
        t0 = time.time()
        self.log = open(self.dir + "/log", "ab")
        self.process = subprocess.Popen([SAMPAN, self.program, "--data-dir", self.dir + "/data", "--bind-address", "127.0.0.1",
                                         "--secure-port", str(self.port), *self.extra], stdout=self.log, stderr=self.log)
        insecure = ssl._create_unverified_context()
        self.context = None
        while True:
            try:
                c = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context or insecure, timeout=5)
                c.request("GET", "/readyz")
                r = c.getresponse()
                if r.read() == b"ok":
                    break
                if r.status in (401, 403, 500) and os.path.exists(self.dir + "/data/admin.kubeconfig"):
                    self._take_admin()  # nobody but he may look
            except OSError:
                pass
            if self.process.poll() is not None:
                sys.exit("the server ended: " + open(self.dir + "/log").read()[-2000:])
            if time.time() - t0 > 20:
                sys.exit("not ready after 20 s: " + open(self.dir + "/log").read()[-2000:])
            time.sleep(0.002)
        seconds = time.time() - t0
        self._take_admin()
        return seconds

    def _take_admin(self):
        self.context = ssl._create_unverified_context()
        user = yaml.safe_load(open(self.dir + "/data/admin.kubeconfig"))["users"][0]["user"]
        for key, name in (("client-certificate-data", "crt"), ("client-key-data", "key")):
            with open(f"{self.dir}/{name}", "wb") as f:
                f.write(base64.b64decode(user[key]))
        self.context.load_cert_chain(self.dir + "/crt", self.dir + "/key")

    def connect(self, timeout=10):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=timeout)

    def ask(self, method, path, body=None, connection=None, headers=None):
        c = connection or self.connect()
        c.request(method, path, body if isinstance(body, (bytes, str, type(None))) else json.dumps(body),
                  {"Content-Type": "application/json", **(headers or {})})
        r = c.getresponse()
        data = r.read()
        if not connection:
            c.close()
        return r.status, json.loads(data) if data[:1] in (b"{", b"[") else data.decode(errors="replace")

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)
        self.process.wait(20)

    def alive(self):
        return self.process.poll() is None

    def __enter__(self):
        try:
            self.start()
        except BaseException:  # what was started does not outlive us
            self.__exit__(True)
            raise
        return self

    def __exit__(self, kind, *_):
        if self.alive():
            self.kill(signal.SIGTERM)
        if kind:
            sys.stderr.write(open(self.dir + "/log").read()[-3000:])
        shutil.rmtree(self.dir, ignore_errors=True)
