#!/usr/bin/env python3
"""Admission webhooks against a small TLS server: mutating, validating, failures, dry run, services, nothing blocked."""
import base64, http.server, json, os, shutil, ssl, subprocess, sys, tempfile, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control, free_port

ADDRESS = "10.98.0.1"  # on the loopback of a namespace of its own: endpoints may not be 127.0.0.1
if "WEBHOOKS_INSIDE" not in os.environ:
    if os.geteuid() != 0:
        print("needs root for a network namespace")
        sys.exit(77)
    script = f'ip link set lo up && ip addr add {ADDRESS}/32 dev lo && exec "$0" "$@"'
    sys.exit(subprocess.call(["unshare", "-n", "sh", "-c", script, sys.executable, os.path.abspath(__file__)],
                             env={**os.environ, "WEBHOOKS_INSIDE": "1"}))

failures, seen = [], []
entered, release = threading.Event(), threading.Event()


def check(what, ok, got=""):
    if not ok:
        failures.append(what)
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:600]}"), flush=True)


def patch(*ops):
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(ops).encode()).decode()}


def add_data(r, key, value="1"):
    base = [] if r["object"].get("data") else [{"op": "add", "path": "/data", "value": {}}]
    return patch(*base, {"op": "add", "path": "/data/" + key, "value": value})


class Hook(http.server.BaseHTTPRequestHandler):
    """/NAME answers as the function of that name below says."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, r = self.path.split("?")[0].strip("/"), review["request"]
        seen.append((name, self.path, review))
        answer = {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": {"uid": r["uid"], "allowed": True}}
        status, response = 200, None
        if name == "deny":
            response = {"allowed": False, "status": {"message": "not like this", "code": 403, "reason": "Forbidden"}}
        elif name == "deny-silently":
            response = {"allowed": False}
        elif name in ("one", "two"):
            response = add_data(r, name)
        elif name == "count":
            response = add_data(r, "count", str(int((r["object"].get("data") or {}).get("count", 0)) + 1))
        elif name == "label-pod":
            response = patch({"op": "add", "path": "/spec/containers/0/env", "value": [{"name": "FROM", "value": "hook"}]})
        elif name == "warn":
            response = {"allowed": True, "warnings": ["mind the gap"], "auditAnnotations": {"k": "v"}}
        elif name == "wrong-uid":
            response = {"allowed": True, "uid": "other"}
        elif name == "bad-patch":
            response = patch({"op": "remove", "path": "/nowhere"})
        elif name == "patching-validator":
            response = add_data(r, "x")
        elif name == "garbage":
            answer = None
        elif name == "error":
            status = 500
        elif name == "hang":
            entered.set()
            release.wait(60)
        if response and answer:
            answer["response"].update(response)
        body = b"no json" if answer is None else json.dumps(answer).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # the caller's time was over


work = tempfile.mkdtemp(prefix="sampan-hooks-")


def openssl(*args):
    subprocess.run(["openssl", *args], cwd=work, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=hook ca", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2")
openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=hook", "-keyout", "hook.key", "-out", "hook.csr")
with open(work + "/ext", "w") as f:
    f.write("subjectAltName=IP:127.0.0.1,DNS:hook.default.svc\n")
openssl("x509", "-req", "-in", "hook.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext", "-out", "hook.crt")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(work + "/hook.crt", work + "/hook.key")
server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Hook)
server.daemon_threads = True
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
PORT = server.server_port
CA = base64.b64encode(open(work + "/ca.crt", "rb").read()).decode()
API = "/apis/admissionregistration.k8s.io/v1/"
CM = "/api/v1/namespaces/default/configmaps"


def hook(path, **more):
    h = {"name": path + ".example.com", "clientConfig": {"url": f"https://127.0.0.1:{PORT}/{path}", "caBundle": CA}, "sideEffects": "None",
         "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
         "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]}
    h.update(more)
    return h


with Control(extra=["--io-threads=1", "--advertise-address=" + ADDRESS]) as c:
    def configure(kind, *hooks):
        """One configuration per call; gone at the end of the with block."""
        class Configured:
            def __enter__(self):
                status, o = c.ask("POST", API + kind, {"metadata": {"name": "test"}, "webhooks": list(hooks)})
                check(f"{kind} is taken", status == 201, o)
                seen.clear()

            def __exit__(self, *_):
                c.ask("DELETE", API + kind + "/test")
        return Configured()

    def mutating(*hooks):
        return configure("mutatingwebhookconfigurations", *hooks)

    def validating(*hooks):
        return configure("validatingwebhookconfigurations", *hooks)

    names = iter(f"m{i}" for i in range(1000))

    def create(body=None, query="", **meta):
        return c.ask("POST", CM + query, {"metadata": {"name": next(names), **meta}, **(body or {})})

    with mutating(hook("one"), hook("two")):
        status, o = create({"data": {"mine": "x"}})
        check("two mutating webhooks, one after the other", status == 201 and o["data"] == {"mine": "x", "one": "1", "two": "1"}, o)
        check("each was called once", [s[0] for s in seen] == ["one", "two"], [s[0] for s in seen])
        r = seen[1][2]["request"]
        check("the second sees what the first made", r["object"]["data"].get("one") == "1", r)
        check("what a webhook is told", r["operation"] == "CREATE" and r["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
              and r["resource"] == {"group": "", "version": "v1", "resource": "configmaps"} and r["namespace"] == "default"
              and r["userInfo"]["username"] == "kubernetes-admin" and "system:masters" in r["userInfo"]["groups"] and r["dryRun"] is False
              and r["oldObject"] is None and r["object"]["kind"] == "ConfigMap" and r["options"]["kind"] == "CreateOptions", r)
        check("its time is in the query", seen[0][1] == "/one?timeout=5s", seen[0][1])
        status, got = c.ask("GET", CM + "/" + o["metadata"]["name"])
        check("what was stored", got["data"] == o["data"], got)

    with mutating(hook("count", reinvocationPolicy="IfNeeded"), hook("one")):
        status, o = create()
        check("called again after another one's change", o["data"] == {"count": "2", "one": "1"}, o)
    with mutating(hook("count"), hook("one")):
        status, o = create()
        check("not called again without IfNeeded", o["data"] == {"count": "1", "one": "1"}, o)

    pods = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    with mutating(hook("label-pod", rules=pods)):
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False, "nodeName": "none"}}
        c.ask("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        status, o = c.ask("POST", "/api/v1/namespaces/default/pods?dryRun=All", pod)
        check("a pod is changed and defaulted", status == 201 and o["spec"]["containers"][0]["env"] == [{"name": "FROM", "value": "hook"}], o)

    with validating(hook("warn"), hook("deny")):
        status, o = create()
        check("one that denies is enough", status == 403 and o["reason"] == "Forbidden"
              and o["message"] == 'admission webhook "deny.example.com" denied the request: not like this', o)
        check("all were asked", sorted(s[0] for s in seen) == ["deny", "warn"], seen)
    with validating(hook("deny-silently")):
        status, o = create()
        check("a denial without a word", status == 400 and o["message"] == 'admission webhook "deny-silently.example.com" denied the request without explanation', o)
    with validating(hook("warn")):
        connection = c.connect()
        connection.request("POST", CM, json.dumps({"metadata": {"name": next(names)}}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        check("a warning comes along", answer.status == 201 and answer.getheader("Warning") == '299 - "mind the gap"', answer.getheader("Warning"))

    everything = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}]
    with validating(hook("note", rules=[{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE", "DELETE"], "resources": ["configmaps"]}])):
        status, o = create()
        path = CM + "/" + o["metadata"]["name"]
        check("an operation that no rule names is none of its business", not seen, seen)
        c.ask("PATCH", path, '{"data":{"a":"b"}}', headers={"Content-Type": "application/merge-patch+json"})
        r = seen[-1][2]["request"]
        check("an update has both objects", r["operation"] == "UPDATE" and r["object"]["data"] == {"a": "b"} and "data" not in r["oldObject"], r)
        c.ask("DELETE", path)
        r = seen[-1][2]["request"]
        check("a deletion has the old one", r["operation"] == "DELETE" and r["object"] is None and r["oldObject"]["data"] == {"a": "b"}
              and r["name"] == path.split("/")[-1], r)
    with validating(hook("deny", objectSelector={"matchLabels": {"deny": "me"}})):
        check("objectSelector: not chosen", create()[0] == 201)
        check("objectSelector: chosen", create(labels={"deny": "me"})[0] == 403)
    with validating(hook("deny", namespaceSelector={"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["default"]}]})):
        check("namespaceSelector: not chosen", create()[0] == 201)
        c.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
        check("namespaceSelector: chosen", c.ask("POST", "/api/v1/namespaces/other/configmaps", {"metadata": {"name": "x"}})[0] == 403)
    with validating(hook("deny", rules=everything)):
        status, o = c.ask("DELETE", API + "validatingwebhookconfigurations/test")
        check("configurations cannot be locked in", status == 200, o)

    for name, words in (("wrong-uid", "received invalid webhook response: expected response.uid="), ("garbage", "received invalid webhook response"),
                        ("error", "failed to call webhook"), ("patching-validator", "validating webhook may not return response.patch")):
        with validating(hook(name, failurePolicy="Fail")):
            status, o = create()
            check(f"{name}: Fail", status == 500 and f'failed calling webhook "{name}.example.com": ' in o["message"] and words in o["message"], o)
        with validating(hook(name, failurePolicy="Ignore")):
            check(f"{name}: Ignore", create()[0] == 201)
    with mutating(hook("bad-patch", failurePolicy="Ignore")):
        status, o = create()
        check("a patch that does not apply", status == 500, o)
    closed = {"url": f"https://127.0.0.1:{free_port()}/x"}
    with validating(hook("closed", clientConfig=closed)):
        status, o = create()
        check("nobody there", status == 500 and "connect: connection refused" in o["message"], o)
    with validating(hook("untrusted", clientConfig={"url": f"https://127.0.0.1:{PORT}/ok"})):
        status, o = create()
        check("a certificate that nobody vouches for", status == 500 and "x509" in o["message"] and not seen, o)
    def conditional(path, *expressions, **more):
        return hook(path, matchConditions=[{"name": f"c{i}", "expression": e} for i, e in enumerate(expressions)], **more)

    with validating(conditional("deny", "object.data.call == 'yes'", "request.operation == 'CREATE'")):
        check("conditions that hold", create({"data": {"call": "yes"}})[0] == 403 and len(seen) == 1)
        check("a condition that does not", create({"data": {"call": "no"}})[0] == 201 and len(seen) == 1)
        status, o = create()
        check("one that cannot be evaluated fails closed", status == 403 and o["reason"] == "Forbidden" and len(seen) == 1 and o["message"].endswith(
            " is forbidden: expression 'object.data.call == 'yes'' resulted in error: no such key: data"), o)
    with validating(conditional("deny", "object.data.call == 'yes'", failurePolicy="Ignore")):
        check("or is left out when its failure is ignored", create()[0] == 201 and not seen)
    with validating(conditional("deny", "object.data.call == 'yes'", "false")):
        check("an error does not matter when another one does not hold", create()[0] == 201 and not seen)
    with validating(conditional("deny", "authorizer.group('').resource('configmaps').namespace('default').check('create').allowed()",
                                "authorizer.requestResource.check('create').allowed()", "request.userInfo.username == 'kubernetes-admin'")):
        check("conditions ask the authorizer", create()[0] == 403)
    with validating(conditional("deny", "!authorizer.serviceAccount('default', 'nobody').group('').resource('secrets').check('get').allowed()")):
        check("also for a service account", create()[0] == 403)
    with validating(conditional("deny", "object.data.call == 'yes'", objectSelector={"matchLabels": {"deny": "me"}})):
        check("conditions are evaluated only for what the rest matches", create()[0] == 201)
    with mutating(hook("one"), conditional("two", "object.data.one == '1'")):
        status, o = create()
        check("conditions see what the webhook before has made", status == 201 and o["data"] == {"one": "1", "two": "1"}, o)
    for expression, words in (("1", "must evaluate to bool but got int"), ("object.", "compilation failed: ERROR: <input>:1:8: Syntax error"),
                              ("params == 1", "undeclared reference to 'params'"), ("variables.x == 1", "undeclared reference to 'variables'")):
        status, o = c.ask("POST", API + "validatingwebhookconfigurations", {"metadata": {"name": "x"}, "webhooks": [conditional("ok", expression)]})
        check(f"not taken: {expression}", status == 422 and words in o["message"]
              and o["details"]["causes"][0]["field"] == "webhooks[0].matchConditions[0].expression", o)
    with validating(conditional("deny", "false")):
        check("before a change", create()[0] == 201)
        status, o = c.ask("PATCH", API + "validatingwebhookconfigurations/test", json.dumps(
            [{"op": "replace", "path": "/webhooks/0/matchConditions/0/expression", "value": "true"}]), headers={"Content-Type": "application/json-patch+json"})
        check("a changed condition counts at once", status == 200 and create()[0] == 403, o)

    with mutating(hook("one", sideEffects="NoneOnDryRun")):
        status, o = create(query="?dryRun=All")
        check("a dry run is told", status == 201 and o["data"]["one"] == "1" and seen[0][2]["request"]["dryRun"] is True, o)
        check("and stores nothing", c.ask("GET", CM + "/" + o["metadata"]["name"])[0] == 404)
    status, o = c.ask("POST", API + "validatingwebhookconfigurations", {"metadata": {"name": "x"}, "webhooks": [hook("ok", sideEffects="Some")]})
    check("sideEffects Some is refused", status == 422 and "sideEffects" in o["message"], o)

    c.ask("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 443, "name": "https"}]}})
    by_service = {"service": {"namespace": "default", "name": "hook", "path": "/deny"}, "caBundle": CA}
    with validating(hook("deny", clientConfig=by_service)):
        status, o = create()
        check("a service without endpoints", status == 500 and 'no endpoints available for service "hook"' in o["message"], o)
        status, o = c.ask("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
                          {"metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}}, "addressType": "IPv4",
                           "ports": [{"name": "https", "port": PORT, "protocol": "TCP"}], "endpoints": [{"addresses": [ADDRESS]}]})
        check("an endpoint slice", status == 201, o)
        status, o = create()
        check("a service resolves to its endpoint, its name is what TLS checks", status == 403 and "not like this" in o["message"], o)

    with validating(hook("hang", timeoutSeconds=30, objectSelector={"matchLabels": {"hang": "yes"}})):
        result = {}
        t = threading.Thread(target=lambda: result.update(answer=create(labels={"hang": "yes"})))
        t.start()
        check("a slow webhook was asked", entered.wait(20))
        check("others are not kept waiting", create()[0] == 201 and c.ask("GET", CM)[0] == 200)
        check("while it still hangs", t.is_alive())
        release.set()
        t.join(30)
        check("then the write goes on", result["answer"][0] == 201, result)
        release.clear()
        entered.clear()
        gone = c.connect()
        name = next(names)
        gone.request("POST", CM, json.dumps({"metadata": {"name": name, "labels": {"hang": "yes"}}}), {"Content-Type": "application/json"})
        check("asked once more", entered.wait(20))
        gone.sock.close()
        release.set()
        status = 404
        while status == 404:
            status, o = c.ask("GET", CM + "/" + name)
        check("a write whose peer went away is not undone", status == 200, o)
    release.clear()
    with validating(hook("hang", timeoutSeconds=1)):
        status, o = create()
        check("a timeout", status == 500 and "context deadline exceeded" in o["message"], o)
    with validating(hook("hang", timeoutSeconds=1, failurePolicy="Ignore")):
        check("a timeout, ignored", create()[0] == 201)
    release.set()
    check("the server lives", c.alive() and c.ask("GET", "/readyz")[1] == "ok")

shutil.rmtree(work)
sys.exit(f"{len(failures)} failed: {failures}" if failures else 0)
