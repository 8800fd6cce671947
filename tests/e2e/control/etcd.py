#!/usr/bin/env python3
"""Two API servers on one etcd: what one writes the other shows at once, no update is lost, addresses are given out once;
etcd and the servers are killed, etcd's history is compacted, its disk quota used up, TLS; on every etcd that is there."""
import json, os, shutil, signal, subprocess, sys, tempfile, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control, SAMPAN, free_port
from etcd import Etcd, programs, skip

CM = "/api/v1/namespaces/default/configmaps"
MERGE = {"Content-Type": "application/merge-patch+json"}


def server(etcd, *extra):
    return Control("kube-apiserver", ["--etcd-servers", etcd if isinstance(etcd, str) else etcd.url, *extra])


def check(status_and_body, *wanted):
    status, body = status_and_body
    assert status in wanted, (status, body)
    return body


def config_map(name, **data):
    return {"metadata": {"name": name}, "data": data}


class Watch(threading.Thread):
    """Collects events of a watch until it is stopped; goes on from the last revision when the connection ends."""

    def __init__(self, c, path, revision):
        super().__init__(daemon=True)
        self.c, self.path, self.revision, self.events, self.more = c, path, revision, [], threading.Condition()
        self.errors = []
        self.start()

    def run(self):
        while True:
            try:
                connection = self.c.connect(timeout=120)
                connection.request("GET", f"{self.path}?watch=1&resourceVersion={self.revision}")
                for line in connection.getresponse():
                    e = json.loads(line)
                    with self.more:
                        if e["type"] == "ERROR":
                            self.errors.append(e["object"])
                        else:
                            self.revision = e["object"]["metadata"]["resourceVersion"]
                            self.events.append(e)
                        self.more.notify()
            except (OSError, ValueError):
                time.sleep(0.05)

    def wait_for(self, what, timeout=30):
        with self.more:
            assert self.more.wait_for(lambda: any(map(what, self.events)), timeout), \
                (self.errors, [(e["type"], e["object"]["metadata"]["name"]) for e in self.events[-20:]])


def see_at_once(a, b):
    for i in range(50):
        check(a.ask("POST", CM, config_map(f"c{i}", v="1")), 201)
        o = check(b.ask("GET", f"{CM}/c{i}"), 200)
        o["data"]["v"] = "2"
        o = check(b.ask("PUT", f"{CM}/c{i}", o), 200)
        there = check(a.ask("GET", f"{CM}/c{i}"), 200)
        assert there == o, (there, o)
        check(a.ask("DELETE", f"{CM}/c{i}"), 200)
        check(b.ask("GET", f"{CM}/c{i}"), 404)
        check(b.ask("PUT", f"{CM}/c{i}", o), 404, 409)
    check(a.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "fresh"}}), 201)
    check(b.ask("POST", "/api/v1/namespaces/fresh/configmaps", config_map("in")), 201)
    for i in range(20):  # what admission asks for, too
        check(a.ask("POST", "/api/v1/namespaces/fresh/serviceaccounts", {"metadata": {"name": f"sa{i}"}}), 201)
        check(b.ask("POST", "/api/v1/namespaces/fresh/pods", {"metadata": {"name": f"p{i}"}, "spec": {
            "serviceAccountName": f"sa{i}", "containers": [{"name": "c", "image": "i"}]}}), 201)
    items = check(a.ask("GET", "/api/v1/namespaces/fresh/configmaps"), 200)["items"]
    assert [o["metadata"]["name"] for o in items] == ["in"]


def lose_no_update(a, b):
    check(a.ask("POST", CM, config_map("counter", n="0")), 201)

    def count(c):
        connection = c.connect()
        for _ in range(60):
            while True:
                o = check(c.ask("GET", f"{CM}/counter", None, connection), 200)
                o["data"]["n"] = str(int(o["data"]["n"]) + 1)
                status, body = c.ask("PUT", f"{CM}/counter", o, connection)
                if status == 200:
                    break
                assert status == 409 and "the object has been modified" in body["message"], (status, body)

    in_parallel([lambda c=c: count(c) for c in (a, b, a, b)])
    assert check(a.ask("GET", f"{CM}/counter"), 200)["data"]["n"] == "240"


def in_parallel(jobs):
    failed = []

    def guarded(job):
        try:
            job()
        except BaseException as e:  # noqa: an assertion, too
            failed.append(e)

    threads = [threading.Thread(target=guarded, args=(j,)) for j in jobs]
    [t.start() for t in threads]
    [t.join(120) for t in threads]
    if failed:
        raise failed[0]


def follow_the_other(a, b):
    start = check(a.ask("GET", CM), 200)["metadata"]["resourceVersion"]
    w = Watch(b, CM, start)
    for i in range(30):
        check(a.ask("POST", CM, config_map(f"w{i}")), 201)
        check((b if i % 2 else a).ask("PATCH", f"{CM}/w{i}", {"data": {"x": "y"}}, None, MERGE), 200)
        check(a.ask("DELETE", f"{CM}/w{i}"), 200)
    w.wait_for(lambda e: e["type"] == "DELETED" and e["object"]["metadata"]["name"] == "w29")
    mine = [e for e in w.events if e["object"]["metadata"]["name"].startswith("w")]
    assert [e["type"] for e in mine] == ["ADDED", "MODIFIED", "DELETED"] * 30
    revisions = [int(e["object"]["metadata"]["resourceVersion"]) for e in w.events]
    assert revisions == sorted(set(revisions))


def give_out_once(a, b, etcd):
    """Node ports and cluster IPs by two servers at the same time; what is deleted is free again."""
    made = []

    def create(c, who):
        connection = c.connect(timeout=40)
        for i in range(25):
            made.append(check(c.ask("POST", "/api/v1/namespaces/default/services", {
                "metadata": {"name": f"s{who}-{i}"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}, connection), 201))

    in_parallel([lambda c=c, w=w: create(c, w) for w, c in enumerate((a, b, a, b))])
    ips, ports = [s["spec"]["clusterIP"] for s in made], [s["spec"]["ports"][0]["nodePort"] for s in made]
    assert len(set(ips)) == 100 and len(set(ports)) == 100, "an address or port was given twice"
    assert {o["metadata"]["name"] for o in check(b.ask("GET", "/apis/networking.k8s.io/v1/ipaddresses"), 200)["items"]} >= set(ips)
    taken = {"metadata": {"name": "again"}, "spec": {"clusterIP": ips[0], "ports": [{"port": 80}]}}
    body = check(b.ask("POST", "/api/v1/namespaces/default/services", taken), 422)
    assert "provided IP is already allocated" in body["message"], body
    name = made[0]["metadata"]["name"]
    check(a.ask("DELETE", f"/api/v1/namespaces/default/services/{name}"), 200)
    assert etcd.get(f"/registry/ipaddresses/{ips[0]}") is None
    taken["spec"].update(type="NodePort", ports=[{"port": 80, "nodePort": ports[0]}])
    check(b.ask("POST", "/api/v1/namespaces/default/services", taken), 201)


def keep_foreign_keys(a, etcd):
    """A kind that nobody here knows stays as it is; a value that cannot be read is left out, and the rest is served."""
    etcd.put("/registry/example.com/things/default/one", "whatever")
    etcd.put("/registry/configmaps/default/broken", '{"kind":"ConfigMap","apiVersion":"v9","metadata":{"name":"broken"}}')
    etcd.put("/registry/configmaps/default/foreign", '{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"b"},'
             '"metadata":{"uid":"11111111-2222-3333-4444-555555555555","namespace":"default","name":"foreign"}}')
    assert check(a.ask("GET", f"{CM}/foreign"), 200)["data"] == {"a": "b"}
    check(a.ask("GET", f"{CM}/broken"), 404)
    check(a.ask("DELETE", f"{CM}/foreign"), 200)
    assert etcd.get("/registry/example.com/things/default/one")["value"] == b"whatever"
    assert "cannot be read" in open(a.dir + "/log").read()
    value = json.loads(etcd.get("/registry/configmaps/default/counter")["value"])
    assert value["kind"] == "ConfigMap" and "resourceVersion" not in value["metadata"], value


def expire_events(a, etcd):
    event = {"metadata": {"name": "e.1", "namespace": "default"}, "reason": "R", "message": "m", "type": "Normal",
             "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}}
    check(a.ask("POST", "/api/v1/namespaces/default/events", event), 201)
    event["metadata"]["name"] = "e.2"
    check(a.ask("POST", "/api/v1/namespaces/default/events", event), 201)
    one, two = (etcd.get(f"/registry/events/default/e.{i}")["lease"] for i in (1, 2))
    assert one == two, "events share a lease"
    ttl = int(etcd.rpc("lease/timetolive", {"ID": one})["grantedTTL"])
    assert ttl == 3660, ttl
    assert "lease" not in etcd.get("/registry/configmaps/default/counter")


def list_masters(etcd):
    """The Service kubernetes leads to every API server that is alive, and to no other."""
    def addresses(c):
        o = check(c.ask("GET", "/api/v1/namespaces/default/endpoints/kubernetes"), 200)
        e = [a["ip"] for s in o["subsets"] for a in s["addresses"]]
        o = check(c.ask("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"), 200)
        return e, [a for x in o["endpoints"] for a in x["addresses"]]

    def until(c, wanted):
        end = time.time() + 30
        while addresses(c) != (wanted, wanted):
            assert time.time() < end, (addresses(c), wanted)
            time.sleep(0.1)

    with server(etcd, "--advertise-address=10.9.0.1") as a:
        until(a, ["10.9.0.1"])
        with server(etcd, "--advertise-address=10.9.0.2") as b:
            until(a, ["10.9.0.1", "10.9.0.2"])
            until(b, ["10.9.0.1", "10.9.0.2"])
            record = etcd.get("/registry/masterleases/10.9.0.2")
            assert etcd.rpc("lease/timetolive", {"ID": record["lease"]})["grantedTTL"] == "15"
        until(a, ["10.9.0.1"])


def outlive_etcd(a, b, etcd):
    """Killed and started again: what waits goes on, nothing acknowledged is lost, watches go on."""
    start = check(b.ask("GET", CM), 200)["metadata"]["resourceVersion"]
    w, acked, stop = Watch(b, CM, start), [], threading.Event()

    def write(c, who):
        connection = c.connect(timeout=60)
        i = 0
        while not stop.is_set():
            name = f"k{who}-{i}"
            check(c.ask("POST", CM, config_map(name), connection), 201)
            acked.append(name)
            i += 1

    writers = threading.Thread(target=in_parallel, args=([lambda: write(a, 0), lambda: write(b, 1)],))
    writers.start()
    for _ in range(2):
        time.sleep(0.3)
        etcd.kill()
        while a.ask("GET", "/readyz/etcd")[0] != 500:
            time.sleep(0.02)
        assert a.ask("GET", "/livez/etcd")[0] == 500
        check(a.ask("GET", CM + "?resourceVersion=0"), 200)  # what is shown is still shown
        etcd.start()
    time.sleep(0.3)
    stop.set()
    writers.join(60)
    there = {o["metadata"]["name"] for o in check(b.ask("GET", CM), 200)["items"]}
    assert set(acked) <= there and len(acked) > 10, set(acked) - there
    w.wait_for(lambda e: e["object"]["metadata"]["name"] == acked[-1])
    seen = {e["object"]["metadata"]["name"] for e in w.events}
    assert set(acked) <= seen and not w.errors, (set(acked) - seen, w.errors)
    check(a.ask("GET", "/readyz"), 200)


def outlive_a_server(a, b):
    acked, stop = [], threading.Event()

    def write():
        connection, i = a.connect(), 0
        try:
            while True:
                if a.ask("POST", CM, config_map(f"r{i}"), connection)[0] == 201:
                    acked.append(f"r{i}")
                i += 1
        except Exception:  # noqa: the server is gone
            stop.set()

    t = threading.Thread(target=write, daemon=True)
    t.start()
    time.sleep(0.4)
    a.kill()
    stop.wait(20)
    there = {o["metadata"]["name"] for o in check(b.ask("GET", CM), 200)["items"]}
    assert acked and set(acked) <= there
    a.start()
    again = {o["metadata"]["name"] for o in check(a.ask("GET", CM), 200)["items"]}
    assert again == {o["metadata"]["name"] for o in check(b.ask("GET", CM), 200)["items"]}


def outlive_compaction(a, b, etcd):
    """A server that slept while etcd was restarted and its history compacted finds out what has changed."""
    for name in ("gone", "changed", "replaced", "same"):
        check(a.ask("POST", CM, config_map(name, v="1")), 201)
    start = check(b.ask("GET", CM), 200)["metadata"]["resourceVersion"]
    w = Watch(b, CM, start)
    check(b.ask("POST", CM, config_map("before")), 201)
    w.wait_for(lambda e: e["object"]["metadata"]["name"] == "before")
    b.process.send_signal(signal.SIGSTOP)
    etcd.kill()
    etcd.start()
    check(a.ask("DELETE", f"{CM}/gone"), 200)
    check(a.ask("DELETE", f"{CM}/replaced"), 200)
    check(a.ask("POST", CM, config_map("replaced", v="2")), 201)
    check(a.ask("PATCH", f"{CM}/changed", {"data": {"v": "2"}}, None, MERGE), 200)
    last = check(a.ask("POST", CM, config_map("new")), 201)
    etcd.compact()
    b.process.send_signal(signal.SIGCONT)
    there = check(b.ask("GET", CM, None, b.connect(timeout=40)), 200)
    expected = check(a.ask("GET", CM), 200)
    assert there["items"] == expected["items"]
    w.wait_for(lambda e: e["object"]["metadata"]["name"] == "new" and e["type"] == "ADDED")
    w.wait_for(lambda e: e["object"]["metadata"]["name"] == "gone" and e["type"] == "DELETED")
    after = [(e["type"], e["object"]["metadata"]["name"]) for e in w.events]
    after = after[after.index(("ADDED", "before")) + 1:]
    assert sorted(after) == [("ADDED", "new"), ("ADDED", "replaced"), ("DELETED", "gone"), ("DELETED", "replaced"),
                             ("MODIFIED", "changed")], after
    assert after.index(("DELETED", "replaced")) < after.index(("ADDED", "replaced"))
    assert "loaded anew" in open(b.dir + "/log").read()
    assert int(last["metadata"]["resourceVersion"]) <= int(there["metadata"]["resourceVersion"])


def compact_by_turns(program):
    with Etcd(program) as etcd, server(etcd, "--etcd-compaction-interval=1s") as a, server(etcd, "--etcd-compaction-interval=1s") as b:
        for i in range(20):
            check((a, b)[i % 2].ask("POST", CM, config_map(f"c{i}")), 201)
        until, old = time.time() + 30, None
        while time.time() < until:
            record = etcd.get("compact_rev_key")
            if record and int(record["value"] or b"0") > 20:
                old = int(record["value"])
                break
            time.sleep(0.1)
        assert old, "nobody compacts"
        while True:
            try:
                etcd.rpc("kv/range", {"key": "eA==", "revision": old - 1})
                assert time.time() < until
                time.sleep(0.1)
            except OSError as e:
                assert "compacted" in e.read().decode()
                break
        check(a.ask("POST", CM, config_map("after")), 201)
        check(b.ask("GET", f"{CM}/after"), 200)


def run_out_of_space(program):
    with Etcd(program, extra=["--quota-backend-bytes", str(4 << 20)]) as etcd, server(etcd) as a:
        big = {"x": "y" * 700_000}
        for i in range(20):
            status, body = a.ask("POST", CM, config_map(f"big{i}", **big))
            if status != 201:
                break
        assert (status, body["message"], body.get("reason")) == (500, "etcdserver: mvcc: database space exceeded", None), (status, body)
        check(a.ask("GET", f"{CM}/big0"), 200)
        for n in range(i):
            check(a.ask("DELETE", f"{CM}/big{n}"), 200)
        etcd.compact()
        etcd.rpc("maintenance/defragment", {})
        for alarm in etcd.rpc("maintenance/alarm", {"action": "GET"}).get("alarms", []):
            etcd.rpc("maintenance/alarm", {"action": "DEACTIVATE", "memberID": alarm["memberID"], "alarm": alarm["alarm"]})
        check(a.ask("POST", CM, config_map("small")), 201)


def wait_for_etcd(program):
    """Not there at the start: one line, then it waits; of two servers the one that answers is used."""
    etcd = Etcd(program)
    a = server(f"http://127.0.0.1:{free_port()},{etcd.url}")
    log = open(a.dir + "/log", "wb")
    early = subprocess.Popen([SAMPAN, "kube-apiserver", "--data-dir", a.dir + "/data", "--bind-address", "127.0.0.1",
                              "--secure-port", str(a.port), *a.extra], stdout=log, stderr=log)
    while b"trying again" not in open(a.dir + "/log", "rb").read():
        time.sleep(0.02)
    time.sleep(1)
    lines = open(a.dir + "/log").read().splitlines()
    assert len(lines) == 1 and "Connection refused" in lines[0], lines
    early.send_signal(signal.SIGTERM)
    assert early.wait(10) is not None
    etcd.start()
    with a:
        check(a.ask("POST", CM, config_map("x")), 201)
    etcd.close()


def notice_another_etcd(program):
    """An etcd that forgot: nothing of it is mixed with what was shown; a new start takes it as it is."""
    with Etcd(program) as etcd, server(etcd) as a:
        check(a.ask("POST", CM, config_map("x")), 201)
        etcd.kill()
        shutil.rmtree(etcd.dir + "/data")
        etcd.start()
        assert a.ask("GET", f"{CM}/x", None, a.connect(timeout=60))[0] == 504
        check(a.ask("GET", f"{CM}/x?resourceVersion=0"), 200)
        assert a.ask("GET", "/livez/etcd")[0] == 500
        assert "was a backup restored?" in open(a.dir + "/log").read()
        a.kill(signal.SIGTERM)
        a.start()
        check(a.ask("GET", f"{CM}/x"), 404)


def lose_members(program):
    """Of three members one is killed, another falls silent: what is asked meanwhile waits a little, and nothing is lost."""
    members = Etcd.members(program, 3)
    log_of = lambda c: open(c.dir + "/log").read()
    with server(",".join(m.url for m in members)) as a:
        def in_use():
            """The member whose client port the API server is connected to."""
            for m in members:
                port = f"{m.port:04X}"
                inodes = {line.split()[9] for line in open("/proc/net/tcp") if line.split()[2].endswith(":" + port) and line.split()[3] == "01"}
                for fd in os.listdir(f"/proc/{a.process.pid}/fd"):
                    try:
                        if os.readlink(f"/proc/{a.process.pid}/fd/{fd}")[8:-1] in inodes:
                            return m
                    except OSError:
                        pass

        def write(name):
            check(a.ask("POST", CM, config_map(name), a.connect(timeout=60)), 201)
            check(a.ask("GET", f"{CM}/{name}", None, a.connect(timeout=60)), 200)

        write("before")
        used = in_use()
        used.kill()
        write("one-killed")
        assert in_use() not in (used, None)
        used.start()
        silent = in_use()
        silent.process.send_signal(signal.SIGSTOP)
        write("one-silent")
        assert in_use() not in (silent, None), log_of(a)
        silent.process.send_signal(signal.SIGCONT)
        names = {o["metadata"]["name"] for o in check(a.ask("GET", CM), 200)["items"]}
        assert {"before", "one-killed", "one-silent"} <= names
    for m in members:
        m.close()


def openssl(directory, *args):
    subprocess.run(["openssl", *args], cwd=directory, check=True, capture_output=True)


def speak_tls(program):
    d = tempfile.mkdtemp(prefix="sampan-etcd-tls-")
    for ca in ("ca", "other"):
        openssl(d, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", ca + ".key", "-out", ca + ".crt", "-subj", "/CN=" + ca,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    openssl(d, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "etcd.key", "-out", "etcd.csr", "-subj", "/CN=etcd")
    with open(d + "/ext", "w") as f:
        f.write("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    openssl(d, "x509", "-req", "-in", "etcd.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "etcd.crt", "-extfile", "ext")
    tls = {"ca": d + "/ca.crt", "cert": d + "/etcd.crt", "key": d + "/etcd.key"}
    flags = ["--etcd-cafile", d + "/ca.crt", "--etcd-certfile", d + "/etcd.crt", "--etcd-keyfile", d + "/etcd.key"]
    with Etcd(program, tls=tls) as etcd:
        with server(etcd, *flags) as a:
            check(a.ask("POST", CM, config_map("x")), 201)
        assert first_line(etcd, "--etcd-cafile", d + "/other.crt", *flags[2:]).count("certificate"), "of another CA"
        assert first_line(etcd, *flags[:2]), "no certificate of ours"
    line = first_line(None, "--etcd-cafile", d + "/nothing.crt")
    assert line == f"kube-apiserver: --etcd-cafile: cannot read {d}/nothing.crt: No such file or directory", line
    shutil.rmtree(d)


def first_line(etcd, *flags):
    """What a server that cannot use its etcd says first."""
    d = tempfile.mkdtemp(prefix="sampan-test-")
    with subprocess.Popen([SAMPAN, "kube-apiserver", "--data-dir", d + "/data", "--bind-address", "127.0.0.1", "--secure-port", "0",
                           "--etcd-servers", etcd.url if etcd else "http://127.0.0.1:1", *flags], stderr=subprocess.PIPE, text=True) as p:
        line = p.stderr.readline().strip()
        p.kill()
    shutil.rmtree(d)
    return line


def everything(program):
    with Etcd(program) as etcd:
        list_masters(etcd)
    with Etcd(program) as etcd, server(etcd) as a, server(etcd) as b:
        for step in ((see_at_once, a, b), (lose_no_update, a, b), (follow_the_other, a, b), (give_out_once, a, b, etcd),
                     (keep_foreign_keys, a, etcd), (expire_events, a, etcd), (outlive_etcd, a, b, etcd), (outlive_a_server, a, b),
                     (outlive_compaction, a, b, etcd)):
            t0 = time.time()
            step[0](*step[1:])
            print(f"  {step[0].__name__}: {time.time() - t0:.1f} s", flush=True)
    for step in (compact_by_turns, run_out_of_space, wait_for_etcd, lose_members, notice_another_etcd, speak_tls):
        t0 = time.time()
        step(program)
        print(f"  {step.__name__}: {time.time() - t0:.1f} s", flush=True)


if not programs():
    skip("no etcd in PATH or SAMPAN_ETCD: nothing of the store in etcd was tested")
for p in programs():
    print(p, subprocess.run([p, "--version"], capture_output=True, text=True).stdout.splitlines()[0], flush=True)
    everything(p)
print("ok")
