#!/usr/bin/env python3
"""node_ports.py: node ports where several API servers share an etcd: two of ours, and one of ours beside upstream's (when PEERS
has it). No port is given twice, what one frees the other may have, and nobody's repair takes what another gave away."""
import base64, json, os, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control
from etcd import Etcd, b64, programs, skip
from upstream import CIDR, Upstream, peers

SERVICES, RECORD = "/api/v1/namespaces/default/services", "/registry/ranges/servicenodeports"
RANGE = ["--service-node-port-range=30000-30255"]


def node_port(name, port=None):
    return {"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": [{"port": 80, **({"nodePort": port} if port else {})}]}}


def check(answer, *codes):
    assert answer[0] in codes, answer
    return answer[1]


def recorded(etcd):
    """The ports in the record, whoever wrote it: JSON, or upstream's protobuf (the bytes are field 3)."""
    value = etcd.get(RECORD)["value"]
    if value[:1] == b"{":
        data = base64.b64decode(json.loads(value)["data"])
    else:
        def fields(m):
            at = 0
            while at < len(m):
                key, n, shift = m[at], 0, 0
                at += 1
                while True:
                    n |= (m[at] & 127) << shift
                    at, shift = at + 1, shift + 7
                    if m[at - 1] < 128:
                        break
                if key & 7 == 2:
                    yield key >> 3, m[at:at + n]
                    at += n
        raw = dict(fields(value[4:]))[2]
        data = dict(fields(raw)).get(3, b"")
    bits = int.from_bytes(data, "big")
    return {30000 + i for i in range(256) if bits >> i & 1}


def ports_of(c):
    items = check(c.ask("GET", "/api/v1/services"), 200)["items"]
    return sorted(p["nodePort"] for s in items for p in s["spec"]["ports"] if p.get("nodePort"))


def give_out_once(a, b, etcd):
    made, errors = [], []

    def create(c, who):
        try:
            for i in range(20):
                made.append(check(c.ask("POST", SERVICES, node_port(f"s{who}-{i}")), 201))
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=create, args=(c, w)) for w, c in enumerate((a, b, a, b))]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not errors, errors
    ports = [s["spec"]["ports"][0]["nodePort"] for s in made]
    assert len(set(ports)) == 80, "a port was given twice"
    assert recorded(etcd) == set(ports), (recorded(etcd) ^ set(ports))
    return made


def refuse_what_is_taken(a, b, made):
    port = made[0]["spec"]["ports"][0]["nodePort"]
    for c in (a, b):
        body = check(c.ask("POST", SERVICES, node_port("twice", port)), 422)
        assert "provided port is already allocated" in body["message"], body


def free_and_take_again(a, b, etcd, made):
    for one, other in ((a, b), (b, a)):
        s = made.pop()
        port = s["spec"]["ports"][0]["nodePort"]
        check(one.ask("DELETE", f"{SERVICES}/{s['metadata']['name']}"), 200)
        for _ in range(100):  # upstream frees it after the Service is gone
            if port not in recorded(etcd):
                break
            time.sleep(0.05)
        made.insert(0, check(other.ask("POST", SERVICES, node_port(s["metadata"]["name"], port)), 201))
        assert port in recorded(etcd)


def share_the_rest(a, b, etcd):
    """Down to the last port."""
    n = 0
    for c in (a, b) * 200:
        status, body = c.ask("POST", SERVICES, node_port(f"rest-{n}"))
        if status != 201:
            assert status in (422, 500) and "range is full" in body["message"], body
            break
        n += 1
    ports = ports_of(a)
    assert len(ports) == len(set(ports)) == 256 and len(recorded(etcd)) == 256, (len(ports), len(set(ports)), len(recorded(etcd)))


def stories(a, b, etcd):
    made = give_out_once(a, b, etcd)
    refuse_what_is_taken(a, b, made)
    free_and_take_again(a, b, etcd, made)
    share_the_rest(a, b, etcd)


def ours(etcd, *extra):
    return Control("kube-apiserver", ["--etcd-servers", etcd.url, "--service-cluster-ip-range", CIDR, *RANGE, *extra])


def put(etcd, bits):
    o = {"kind": "RangeAllocation", "apiVersion": "v1", "metadata": {"creationTimestamp": None}, "range": "30000-30255", "data": b64(bits)}
    etcd.put(RECORD, json.dumps(o, separators=(",", ":")))


def two_of_ours(program):
    with Etcd(program) as etcd, ours(etcd) as a, ours(etcd) as b:
        # another server has taken a port and not yet written its Service: nobody else gets it
        for _ in range(100):
            if etcd.get(RECORD):
                break
            time.sleep(0.05)
        put(etcd, b"\x01")
        for _ in range(100):
            status, body = a.ask("POST", SERVICES, node_port("under-way", 30000))
            if status == 422:
                break
            check((status, body), 201)
            check(a.ask("DELETE", SERVICES + "/under-way"), 200)
            put(etcd, b"\x01")
            time.sleep(0.05)
        assert "provided port is already allocated" in body["message"], body
        check(a.ask("POST", SERVICES, node_port("beside", 30001)), 201)
        assert recorded(etcd) == {30000, 30001}, recorded(etcd)
        check(b.ask("DELETE", SERVICES + "/beside"), 200)
        put(etcd, b"")
        for path in ("/api/v1/ranges", "/api/v1/ranges/servicenodeports"):
            assert a.ask("GET", path)[0] == 404
        assert not any(r["name"] == "ranges" for r in a.ask("GET", "/api/v1")[1]["resources"])
        stories(a, b, etcd)


def beside_upstream(program):
    api = peers() + "/kube-apiserver"
    if not os.access(api, os.X_OK):
        print("  upstream's kube-apiserver is not there: left out")
        return
    with Etcd(program) as etcd, Upstream(api, etcd, RANGE) as up, ours(etcd) as a:
        stories(a, up, etcd)
        before = ports_of(a)
    # the repair of either at its start takes nothing away
        with ours(etcd):
            time.sleep(1)
            assert recorded(etcd) == set(before)
        up.stop()
        up.start()
        time.sleep(2)
        assert recorded(etcd) == set(before)


found = programs() or skip("no etcd")
peer_etcd = peers() + "/etcd"
two_of_ours(found[0])
print("  two of ours")
beside_upstream(peer_etcd if os.access(peer_etcd, os.X_OK) else found[0])
print("  beside upstream's")
print("ok")
