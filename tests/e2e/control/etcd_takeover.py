#!/usr/bin/env python3
"""Takeover, there and back: an etcd written by upstream's kube-apiserver is served by ours, every kind that we know, and
upstream's serves what ours wrote. Needs upstream's programs: a directory with kube-apiserver and etcd in PEERS/bin."""
import base64, json, os, shutil, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control
from etcd import Etcd, programs, skip
from samples import sample
from upstream import CIDR, Upstream, peers

MERGE = {"Content-Type": "application/merge-patch+json"}


def kinds(c):
    """(collection, kind) of everything that is stored: its path, in the namespace default where there is one."""
    out = []
    groups = [("/api/v1", c.ask("GET", "/api/v1")[1])]
    for g in c.ask("GET", "/apis")[1]["groups"]:
        path = "/apis/" + g["preferredVersion"]["groupVersion"]
        groups.append((path, c.ask("GET", path)[1]))
    for path, found in groups:
        for r in found["resources"]:
            if "/" not in r["name"] and {"create", "get", "list"} <= set(r["verbs"]) and (path, r["kind"]) != ("/apis/events.k8s.io/v1", "Event"):
                out.append((f"{path}/namespaces/default/{r['name']}" if r["namespaced"] else f"{path}/{r['name']}", r["kind"]))
    return out


def plain(o):
    """Without what the two do not mean to have in common."""
    o = json.loads(json.dumps(o))
    o["metadata"].pop("managedFields", None)
    return o


def make_all(c, stored, name, csr):
    made, refused = {}, []
    for collection, kind in stored:
        o = sample(kind, name, csr)
        assert o, f"no sample of {kind} ({collection}): add one to lib/samples.py"
        status, answer = c.ask("POST", collection, o)
        if status == 201:
            made[f"{collection}/{answer['metadata']['name']}"] = answer
        else:
            refused.append((collection, status, answer))
    assert not refused, refused
    return made


# Kinds that have no rules of their own here yet: upstream fills in defaults that we do not.
FEWER_DEFAULTS = {"customresourcedefinitions", "resourceclaims", "resourceclaimtemplates"}


def holds(got, want):
    """Whether everything in `want` is in `got`."""
    if isinstance(want, dict):
        return isinstance(got, dict) and all(k in got and holds(got[k], v) for k, v in want.items())
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(holds, got, want))
    return got == want


def same(path, got, want):
    if path.split("/")[-2] in FEWER_DEFAULTS:
        return holds(plain(got), plain(want))
    return plain(got) == plain(want)


def compare(c, made, who):
    wrong = []
    for path, want in made.items():
        status, got = c.ask("GET", path)
        if status != 200 or not same(path, got, want):
            wrong.append((path, json.dumps(plain(want)), json.dumps(plain(got) if status == 200 else got)))
    for path, want, got in wrong:
        print(f"{who}: {path}\n  want {want}\n  got  {got}")
    assert not wrong, f"{len(wrong)} of {len(made)} objects differ"
    print(f"  {who} serves all {len(made)} objects as they were written", flush=True)


def certificate_request():
    with tempfile.TemporaryDirectory(prefix="sampan-csr-") as d:
        subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-out", "r", "-subj", "/CN=x"], cwd=d,
                       check=True, capture_output=True)
        return base64.b64encode(open(d + "/r", "rb").read()).decode()


def names(c, collection):
    return {o["metadata"]["name"] for o in c.ask("GET", collection)[1]["items"]}


GO_ON = {"customresourcedefinitions", "apiservices", "flowschemas", "prioritylevelconfigurations", "servicecidrs", "namespaces"}


def takeover(etcd, program):
    csr, by_upstream, by_ours, all_names = certificate_request(), {}, {}, {}
    ours = Control("kube-apiserver", ["--etcd-servers", etcd.url, "--service-cluster-ip-range", CIDR,
                                      "--disable-admission-plugins", "ServiceAccount,PodSecurity,ResourceQuota"])
    # what there is: asked of ours, on an etcd of its own
    with Etcd(etcd.program) as other, Control("kube-apiserver", ["--etcd-servers", other.url]) as c:
        stored = kinds(c)
    upstream = Upstream(program, etcd)
    with upstream:
        make_all(upstream, stored, "one", csr)
        time.sleep(3)  # upstream's own controllers add to what is made (status of policies and definitions)
        for collection, kind in stored:
            all_names[collection] = names(upstream, collection)
            name = sample(kind, "one", csr)["metadata"]["name"]
            by_upstream[f"{collection}/{name}"] = upstream.ask("GET", f"{collection}/{name}")[1]
    with ours:
        compare(ours, by_upstream, "ours")
        for collection, there in all_names.items():
            assert there <= names(ours, collection), (collection, there - names(ours, collection))
        taken = by_upstream["/api/v1/namespaces/default/services/one"]["spec"]
        for claim in ({"clusterIP": taken["clusterIP"]}, {"type": "NodePort"}):
            port = {"port": 80, **({"nodePort": taken["ports"][0]["nodePort"]} if "type" in claim else {})}
            status, body = ours.ask("POST", "/api/v1/namespaces/default/services",
                                    {"metadata": {"name": "thief"}, "spec": {**claim, "ports": [port]}})
            assert status == 422 and "provided" in body["message"], body
        for path in by_upstream:
            status, o = ours.ask("PATCH", path, {"metadata": {"annotations": {"by": "ours"}}}, None, MERGE)
            assert status == 200, (path, status, o)
            by_ours[path] = o
        by_ours.update(make_all(ours, stored, "two", csr))
        log = open(ours.dir + "/log").read()
        assert "cannot be read" not in log, log
    with upstream:
        time.sleep(1)
        class Theirs:
            """Upstream's answers; what its controllers make of these kinds at once is theirs."""
            @staticmethod
            def ask(_, path):
                status, o = upstream.ask("GET", path)
                if path.split("/")[-2] in GO_ON and status == 200:
                    o["status"] = by_ours[path].get("status")
                    o["metadata"]["resourceVersion"] = by_ours[path]["metadata"]["resourceVersion"]
                    if o["status"] is None:
                        del o["status"]
                return status, o

        compare(Theirs, by_ours, "upstream's")
        service = by_ours["/api/v1/namespaces/default/services/two"]["spec"]
        status, body = upstream.ask("POST", "/api/v1/namespaces/default/services", {
            "metadata": {"name": "thief"}, "spec": {"clusterIP": service["clusterIP"], "ports": [{"port": 80}]}})
        assert status == 422 and "provided IP is already allocated" in body["message"], body
    shutil.rmtree(upstream.dir)


bin_ = peers()
if not os.access(bin_ + "/kube-apiserver", os.X_OK):
    skip("no upstream kube-apiserver in PEERS/bin: takeover was not tested")
etcds = ([bin_ + "/etcd"] if os.access(bin_ + "/etcd", os.X_OK) else []) + programs()
if not etcds:
    skip("no etcd in PATH, SAMPAN_ETCD or PEERS/bin: takeover was not tested")
with Etcd(etcds[0]) as e:
    takeover(e, bin_ + "/kube-apiserver")
print("ok")
