#!/bin/bash
# node.sh: figures that need a node: time to Ready, pod start, what the node agent costs. In a network namespace of its own.
. "$(dirname "$0")/../tests/e2e/lib/lib.sh"
row() { printf '%-44s %-34s %-22s %-34s %s\n' "$@"; }
e2e_begin bench
t0=$(date +%s%N); e2e_up >/dev/null; t1=$(date +%s%N)
row "sampan up to node Ready" "$(( (t1 - t0) / 1000000 )) ms" "<= 2 s (make up, built)" "-" "new data directory"
e2e_image docker.io/library/web:1
python3 - "$KUBECONFIG" "$E2E_NS" <<'P'
import base64, ctypes, http.client, json, os, ssl, sys, tempfile, time, yaml
conf = yaml.safe_load(open(sys.argv[1])); u = conf["users"][0]["user"]
fd = os.open("/run/netns/" + sys.argv[2], os.O_RDONLY)
if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000): sys.exit("setns")
files = []
for k in ("client-certificate-data", "client-key-data"):
    f = tempfile.NamedTemporaryFile(delete=False); f.write(base64.b64decode(u[k])); f.close(); files.append(f.name)
ctx = ssl._create_unverified_context(); ctx.load_cert_chain(*files)
host = conf["clusters"][0]["cluster"]["server"].split("//")[1]
def conn(): return http.client.HTTPSConnection(host, context=ctx, timeout=60)
c = conn()
def ask(method, path, body=None):
    c.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"}); r = c.getresponse(); return json.loads(r.read())
def pod(n): return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": n, "labels": {"bench": "y"}}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "docker.io/library/web:1", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "3600"]}]}}
def start(names):
    rv = ask("GET", "/api/v1/namespaces/default/pods?limit=1")["metadata"]["resourceVersion"]
    w = conn(); w.request("GET", f"/api/v1/namespaces/default/pods?watch=1&resourceVersion={rv}"); r = w.getresponse()
    t0 = time.time(); done = {}
    for n in names: ask("POST", "/api/v1/namespaces/default/pods", pod(n))
    while len(done) < len(names):
        o = json.loads(r.readline())["object"]
        if o["status"].get("phase") == "Running": done.setdefault(o["metadata"]["name"], time.time() - t0)
    w.close(); return max(done.values())
def delete(names):
    for n in names: ask("DELETE", f"/api/v1/namespaces/default/pods/{n}?gracePeriodSeconds=0")
one = []
for i in range(15):
    one.append(start([f"one-{i}"])); delete([f"one-{i}"])
one.sort()
print("%-44s %-34s %-22s %-34s %s" % ("pod start, image present, p50 / max of 15", f"{one[7]*1000:.0f} / {one[-1]*1000:.0f} ms", "<= 300 ms", "580 ms (earlier run)", "POST to Running seen by a watch"))
names = [f"many-{i}" for i in range(40)]
print("%-44s %-34s %-22s %-34s %s" % ("40 pods at once", f"{start(names)*1000:.0f} ms", "<= 3 s", "9.3 s (earlier run)", "until the last runs"))
P
node=$(pgrep -f "sampan node.*$E2E_DIR" | head -1 || true)
[ -z "$node" ] || row "node agent with 40 pods, PSS" "$(awk '/^Pss:/{printf "%.1f MB", $2/1024}' "/proc/$node/smaps_rollup")" "<= 8 MB + 1.5 a pod" "100 MB + containerd 89" "smaps_rollup"
