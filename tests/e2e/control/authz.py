#!/usr/bin/env python3
"""authz.py: who decides and whose tokens are taken by flags and files: ABAC, webhooks, AuthorizationConfiguration, OpenID Connect,
AuthenticationConfiguration; what is wrong in them, in upstream's words (run against upstream's kube-apiserver 1.36.2)."""
import base64, http.client, http.server, json, os, shutil, ssl, subprocess, sys, tempfile, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import SAMPAN, Control, free_port

failures = 0
work = tempfile.mkdtemp(prefix="sampan-authz-")


def check(what, ok, got=""):
    global failures
    failures += not ok
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:900]}"), flush=True)


def write(name, text):
    tmp = f"{work}/.{name}"
    with open(tmp, "w") as f:
        f.write(text)
    os.rename(tmp, f"{work}/{name}")
    return f"{work}/{name}"


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=work, input=stdin).stdout


# --- a server outside: /authz, /token, and an identity provider

def make_cert():
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "srv.key", "-out", "srv.crt", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """One of the provider's keys: RSA or a curve."""

    def __init__(self, kid, kind):
        self.kid, self.kind, self.file = kid, kind, f"{work}/{kid}.pem"
        alg = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if kind == "RSA" else ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{kind}"]
        openssl("genpkey", *alg, "-out", self.file)
        text = openssl("pkey", "-in", self.file, "-noout", "-text").decode()
        if kind == "RSA":
            n = text.split("modulus:")[1].split("publicExponent")[0]
            n = bytes.fromhex("".join(n.split()).replace(":", "")).lstrip(b"\0")
            self.jwk = {"kty": "RSA", "kid": kid, "n": b64u(n), "e": "AQAB"}
        else:
            point = bytes.fromhex("".join(text.split("pub:")[1].split("ASN1")[0].split()).replace(":", ""))[1:]
            half = len(point) // 2
            self.half = half
            self.jwk = {"kty": "EC", "kid": kid, "crv": kind, "x": b64u(point[:half]), "y": b64u(point[half:])}

    def sign(self, alg, claims, **header):
        text = b64u(json.dumps({"alg": alg, "kid": self.kid, **header}).encode()) + "." + b64u(json.dumps(claims).encode())
        pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if alg[0] == "P" else []
        sig = openssl("dgst", "-sha" + alg[2:], "-sign", self.file, *pss, stdin=text.encode())
        if alg[0] == "E":  # DER: two numbers
            at, numbers = 3 if sig[1] & 0x80 else 2, []
            for _ in range(2):
                n = sig[at + 1]
                numbers.append(int.from_bytes(sig[at + 2:at + 2 + n], "big").to_bytes(self.half, "big"))
                at += 2 + n
            sig = b"".join(numbers)
        return text + "." + b64u(sig)


class Outside(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        seen.append(("GET", self.path, None))
        if self.path in ("/.well-known/openid-configuration", "/other/discovery"):
            self.answer(200, {"issuer": issuer if self.path[1] == "." else "https://elsewhere.example", "jwks_uri": issuer + "/keys"})
        elif self.path == "/keys":
            self.answer(200, {"keys": [k.jwk for k in keys]})
        else:
            self.answer(404, {})

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seen.append(("POST", self.path, review))
        name, spec = self.path.split("?")[0], review["spec"]
        if name == "/broken":
            self.answer(400, b"no")
        elif name == "/flaky":
            tries.append(1)
            self.answer(*((500, b"busy") if len(tries) % 2 else (200, {**review, "status": {"allowed": True}})))
        elif name == "/token":
            good = spec["token"].startswith("good-")
            self.answer(200, {**review, "status": {"authenticated": good, "error": "" if good else "never heard of it", "user": {
                "username": spec["token"][5:], "uid": "u1", "groups": ["outside"], "extra": {"k": ["v"]}}} if good else {
                    "authenticated": False, "error": "never heard of it"}})
        else:
            if spec.get("user") == "slow":
                entered.set()
                release.wait(20)
            self.answer(200, {"apiVersion": review["apiVersion"], "kind": review["kind"], "status": rules[name](spec)})


def yes(spec):
    return {"allowed": spec["user"] in ("anna", "slow"), "reason": "it is anna" if spec["user"] == "anna" else ""}


def firm(spec):
    return {"allowed": False, "denied": spec["user"] == "dora", "reason": "not dora"}


seen, tries, keys = [], [], []
rules = {"/authz": yes, "/firm": firm, "/asks": lambda spec: yes(spec) if spec.get("resourceAttributes", {}).get("verb") not in ("escalate", "bind") else
         {"allowed": spec["user"] == "anna" and spec["resourceAttributes"].get("name", "") == "free"}}
entered, release = threading.Event(), threading.Event()
make_cert()
outside_port = free_port()
issuer = f"https://127.0.0.1:{outside_port}"
server = http.server.ThreadingHTTPServer(("127.0.0.1", outside_port), Outside)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(work + "/srv.crt", work + "/srv.key")
server.socket = tls.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()


def kubeconfig(name, path, port=outside_port):
    return write(name, f"""apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:{port}{path}", certificate-authority: {work}/srv.crt}}}}]
users: [{{name: u, user: {{token: "s3cret"}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
""")


write("tokens", "".join(f'{n}-token,{n},{n[0]}1,"devs"\n' for n in ("anna", "dora", "ellen", "slow")))
TOKENS = ["--token-auth-file", work + "/tokens"]


def ask(c, method, path, who=None, body=None, token=None, headers=None):
    """As the user of a static token, or nobody."""
    token = token or (who and who + "-token")
    conn = http.client.HTTPSConnection("127.0.0.1", c.port, context=ssl._create_unverified_context(), timeout=20)
    h = {"Content-Type": "application/json", **({"Authorization": "Bearer " + token} if token else {}), **(headers or {})}
    conn.request(method, path, json.dumps(body) if body is not None else None, h)
    r = conn.getresponse()
    data = r.read()
    conn.close()
    return r.status, json.loads(data) if data[:1] == b"{" else data.decode()


def message(answer):
    return answer[1].get("message", "") if isinstance(answer[1], dict) else answer[1]


# --- what is refused at start, and how

def refused(what, args, words, program="kube-apiserver"):
    d = tempfile.mkdtemp(prefix="sampan-authz-")
    p = subprocess.run([SAMPAN, program, "--data-dir", d, "--bind-address", "127.0.0.1", "--secure-port", str(free_port()), *args],
                       capture_output=True, text=True, timeout=30)
    shutil.rmtree(d, ignore_errors=True)
    check(what, p.returncode != 0 and words in p.stderr, p.stderr)


V1 = '"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":'
for line, words in {
    "garbage": "couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct { APIVersion string "
               '"json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
    "{%s\"Policy\",\"spec\":{\"user\":7}}" % V1: "json: cannot unmarshal number into Go struct field PolicySpec.spec.user of type string",
    "{": "couldn't get version/kind; json parse error: unexpected end of JSON input",
    '{"user":7}': "json: cannot unmarshal number into Go struct field Policy.user of type string",
    '{"apiVersion":"v1","kind":"Pod"}': 'no kind "Pod" is registered for version "v1" in scheme "kubernetes/pkg/apis/abac/register.go:33"',
    '{"kind":"Policy","user":"a"} trailing': "couldn't get version/kind; json parse error: invalid character 't' after top-level value",
}.items():
    path = write("bad-policy", "# a comment\n" + line + "\n")
    refused("policy " + line[:40], ["--authorization-mode=ABAC", "--authorization-policy-file=" + path],
            f"invalid authorization config: error reading policy file {path}, line 2: {line}: {words}")
refused("no policy file", ["--authorization-mode=ABAC"], "authorization-mode ABAC's authorization policy file not passed")
refused("a policy file that is not there", ["--authorization-mode=ABAC", "--authorization-policy-file=/nonexist"],
        "invalid authorization config: open /nonexist: no such file or directory")
refused("modes", ["--authorization-mode=RBAC,RBAC,Foo", "--authorization-policy-file=x", "--authorization-webhook-config-file=y"],
        '[authorization-mode "Foo" is not a valid mode, cannot specify --authorization-policy-file without mode ABAC, cannot specify '
        '--authorization-webhook-config-file without mode Webhook, authorization-mode ["RBAC" "RBAC" "Foo"] has mode specified more than once]')
refused("a webhook without its file", ["--authorization-mode=Webhook", "--authorization-webhook-config-file=/nonexist"],
        "invalid authorization config: stat /nonexist: no such file or directory")
hook = kubeconfig("hook", "/authz")
refused("a review of no version", ["--authorization-mode=Webhook", "--authorization-webhook-config-file=" + hook, "--authorization-webhook-version=v3"],
        'invalid authorization config: unsupported webhook authorizer version "v3", supported versions are "v1", "v1beta1"')
refused("a token review of no version", ["--authentication-token-webhook-config-file=" + hook, "--authentication-token-webhook-version=v3"],
        'unsupported authentication webhook version "v3", supported versions are "v1", "v1beta1"')
refused("issuers of service accounts", ["--service-account-issuer=a", "--service-account-issuer=a", "--service-account-jwks-uri=http://z"],
        '[service-account-issuer "a" is already specified, service-account-jwks-uri requires https scheme, parsed as: http://z]')
refused("oidc flags", ["--oidc-client-id=x"], "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set")
refused("an issuer's URL", ["--oidc-client-id=x", "--oidc-issuer-url=http://x?a=b"],
        'invalid authentication configuration: [jwt[0].issuer.url: Invalid value: "http://x?a=b": URL scheme must be https, jwt[0].issuer.url: Invalid '
        'value: "http://x?a=b": URL must not contain a query]')
refused("an algorithm", ["--oidc-client-id=x", "--oidc-issuer-url=https://x", "--oidc-signing-algs=HS256"], 'oidc: unsupported signing alg: "HS256"')
refused("a claim", ["--oidc-client-id=x", "--oidc-issuer-url=https://x", "--oidc-required-claim=x"], "malformed pair, expect string=string")
HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n"
for text, words in {
    "": "authorizers: Required value: at least one authorization mode must be defined",
    "garbage: [": "failed to load AuthorizationConfiguration from file: yaml: line 1: did not find expected node content",
    HEAD + "authorizers:\n- {type: Foo}\n- {type: RBAC}\n- {type: RBAC, name: rbac2}\n- {name: x}\n- {type: Webhook, name: w}\n":
        'authorizers[1].name: Required value, authorizers[2].type: Duplicate value: "RBAC", authorizers[3].type: Required value, '
        "authorizers[4].webhook: Required value: required when type=Webhook]",
    HEAD + "authorizers: [{type: RBAC, name: other, foo: bar}]": 'failed to load AuthorizationConfiguration from file: strict decoding error: unknown field '
        '"authorizers[0].foo"',
    HEAD + "authorizers: [{type: RBAC, name: other}, {type: Node, name: nodes}]":
        "[expected name rbac for authorizer RBAC instead of other, expected name node for authorizer Node instead of nodes]",
    HEAD.replace("v1", "v2") + "authorizers: []": 'failed to load AuthorizationConfiguration from file: no kind "AuthorizationConfiguration" is registered for '
        'version "apiserver.config.k8s.io/v2" in scheme "k8s.io/apiserver/pkg/apis/apiserver/load/load.go:32"',
    HEAD + "authorizers: [{type: Webhook, name: w, webhook: {timeout: x}}]":
        'failed to load AuthorizationConfiguration from file: time: invalid duration "x"',
    HEAD + "authorizers: [{type: Webhook, name: w, webhook: {timeout: 31s, authorizedTTL: -1s}}]":
        '[authorizers[0].timeout: Invalid value: "31s": must be > 0s and <= 30s, authorizers[0].authorizedTTL: Invalid value: "-1s": must be > 0s, '
        "authorizers[0].subjectAccessReviewVersion: Required value, authorizers[0].failurePolicy: Required value, authorizers[0].connectionInfo.type: "
        "Required value]",
}.items():
    refused("authorization configuration " + repr(text[-40:]), ["--authorization-config=" + write("bad.yaml", text)], words)
refused("both", ["--authorization-config=/x", "--authorization-mode=RBAC"],
        "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined")
refused("conditions", ["--authorization-config=" + write("bad.yaml", HEAD + f"""authorizers:
- {{type: Webhook, name: w, webhook: {{timeout: 3s, subjectAccessReviewVersion: v1, matchConditionSubjectAccessReviewVersion: v1, failurePolicy: Deny,
    connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {hook}}}, matchConditions: [{{expression: ""}}, {{expression: "a"}}, {{expression: "true"}},
    {{expression: "true"}}, {{expression: "1"}}]}}}}
""")], """[authorizers[0].matchConditions[0].expression: Required value, authorizers[0].matchConditions[1].expression: Invalid value: "a": compilation failed: \
ERROR: <input>:1:1: undeclared reference to 'a' (in container '')
 | a
 | ^, authorizers[0].matchConditions[3].expression: Duplicate value: "true", authorizers[0].matchConditions[4].expression: Invalid value: "1": must \
evaluate to bool but got int]""")
HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
for text, words in {
    "": "empty config data",
    HEAD + "jwt: 7\n": "json: cannot unmarshal number into Go struct field AuthenticationConfiguration.jwt of type []v1.JWTAuthenticator",
    HEAD + "jwt: [{}]\n": "invalid authentication configuration: [jwt[0].issuer.url: Required value, jwt[0].issuer.audiences: Required value: at least one "
        "jwt[0].issuer.audiences is required, jwt[0].claimMappings.username: Required value: claim or expression is required]",
    HEAD + "jwt:\n- issuer: {url: 'https://x', discoveryURL: 'https://x/', audiences: [a]}\n  claimMappings: {username: {claim: a, prefix: ''}}\n"
        "- issuer: {url: 'https://x',  audiences: [a, b]}\n  claimMappings: {username: {claim: a, prefix: ''}}\n":
        'invalid authentication configuration: [jwt[0].issuer.discoveryURL: Invalid value: "https://x/": discoveryURL must be different from URL, '
        'jwt[1].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences, jwt[1].issuer.url: Duplicate '
        'value: "https://x"]',
    HEAD + "anonymous: {enabled: false, conditions: [{path: /x}]}\n": 'invalid authentication configuration: anonymous.conditions: Invalid value: '
        '[{"Path":"/x"}]: enabled should be set to true when conditions are defined',
}.items():
    refused("authentication configuration " + repr(text[-40:]), ["--authentication-config=" + write("bad.yaml", text)], words)
refused("anonymous twice", ["--authentication-config=" + write("bad.yaml", HEAD + "anonymous: {enabled: true}\n"), "--anonymous-auth=true"],
        "anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file")
refused("columns of a token file", ["--token-auth-file=" + write("bad-tokens", "a,b\n")],
        f"token file '{work}/bad-tokens' must have at least 3 columns (token, user name, user uid), found 2")

# --- ABAC

write("policy", """
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"anna","namespace":"default","resource":"configmaps","apiGroup":""}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"devs","readonly":true,"namespace":"*","resource":"pods","apiGroup":"*"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"*","nonResourcePath":"/version*","readonly":true}}
# before versions
{"user":"ellen","resource":"secrets"}
""")
CM = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
with Control("kube-apiserver", ["--authorization-mode=ABAC", "--authorization-policy-file", work + "/policy", *TOKENS]) as c:
    check("ABAC: a resource in a namespace", ask(c, "POST", "/api/v1/namespaces/default/configmaps", "anna", CM)[0] == 201)
    got = ask(c, "POST", "/api/v1/namespaces/kube-system/configmaps", "anna", CM)
    check("not in another", got[0] == 403 and message(got).endswith('in API group "" in the namespace "kube-system": No policy matched.'), got)
    check("a group may read", ask(c, "GET", "/api/v1/pods", "dora")[0] == 200)
    check("but not write", ask(c, "DELETE", "/api/v1/namespaces/default/pods/x", "dora")[0] == 403)
    check("a path with a star, for all who are somebody", ask(c, "GET", "/version", "dora")[0] == 200 and ask(c, "GET", "/metrics", "dora")[0] == 403)
    check("not for nobody", ask(c, "GET", "/version")[0] == 403)
    check("a line without a version", ask(c, "GET", "/api/v1/namespaces/default/secrets", "ellen")[0] == 200)
    check("of one resource", ask(c, "GET", "/api/v1/namespaces/default/services", "ellen")[0] == 403)
    got = ask(c, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "anna", {"spec": {"namespace": "default"}})
    check("a review is a request like any other", got[0] == 403, got)
    got = c.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "default"}},
                headers={"Impersonate-User": "ellen", "Impersonate-Group": "system:masters"})
    check("rules", got[0] == 201 and not got[1]["status"]["incomplete"], got)

# --- a webhook

with Control("kube-apiserver", ["--authorization-mode=RBAC,Webhook", "--authorization-webhook-config-file", hook, *TOKENS,
                                "--authorization-webhook-cache-unauthorized-ttl=0"]) as c:
    seen.clear()
    check("a webhook allows", ask(c, "GET", "/api/v1/namespaces/default/pods?labelSelector=a%3Db,!c&fieldSelector=metadata.name%3Dx", "anna")[0] == 200)
    post = seen[-1][2] if seen else {}
    check("what it is asked", seen and seen[-1][1] == "/authz?timeout=30s" and post["apiVersion"] == "authorization.k8s.io/v1beta1" and post["spec"] == {
        "resourceAttributes": {"namespace": "default", "verb": "list", "version": "v1", "resource": "pods", "name": "x",
                               "fieldSelector": {"requirements": [{"key": "metadata.name", "operator": "In", "values": ["x"]}]},
                               "labelSelector": {"requirements": [{"key": "a", "operator": "In", "values": ["b"]}, {"key": "c", "operator": "DoesNotExist"}]}},
        "user": "anna", "uid": "a1", "group": ["devs", "system:authenticated"]}, seen[-1:])
    n = len(seen)
    ask(c, "GET", "/api/v1/namespaces/default/pods?labelSelector=a%3Db,!c&fieldSelector=metadata.name%3Dx", "anna")
    check("its yes is kept", len(seen) == n, seen[n:])
    got = ask(c, "GET", "/api/v1/namespaces/default/pods", "dora")
    check("no opinion is no", got[0] == 403 and "dora" in message(got), got)
    n = len(seen)
    ask(c, "GET", "/api/v1/namespaces/default/pods", "dora")
    check("with a time of 0 its no is not kept", len(seen) == n + 1)
    check("the admin asks nobody", c.ask("GET", "/api/v1/pods")[0] == 200 and len(seen) == n + 1)
    check("a write", ask(c, "POST", "/api/v1/namespaces/default/configmaps", "anna", CM)[0] == 201)
    got = ask(c, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", "anna",
              {"spec": {"user": "anna", "resourceAttributes": {"verb": "get", "resource": "nodes"}}})
    check("a review asks it, too", got[0] == 201 and got[1]["status"] == {"allowed": True, "reason": "it is anna"}, got)
    got = ask(c, "GET", "/api/v1/namespaces/default/pods", "anna", headers={"Impersonate-User": "dora"})
    check("who may impersonate", got[0] == 403 and 'User "dora" cannot list' in message(got), got)
    got = ask(c, "GET", "/api/v1/namespaces/default/pods", "dora", headers={"Impersonate-User": "anna"})
    check("and who may not", got[0] == 403 and 'User "dora" cannot' in message(got), got)
    got = ask(c, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "anna", {"spec": {"namespace": "default"}})
    check("it lists no rules", got[0] == 201 and got[1]["status"]["incomplete"] and
          "webhook authorizer does not support user rule resolution" in got[1]["status"]["evaluationError"], got)
    # nothing waits but the one request
    results = []
    thread = threading.Thread(target=lambda: results.append(ask(c, "GET", "/api/v1/nodes", "slow")))
    thread.start()
    entered.wait(10)
    check("others are answered meanwhile", all(c.ask("GET", "/api/v1/nodes")[0] == 200 for _ in range(40)) and not results)
    release.set()
    thread.join(10)
    check("the slow one is, too", results and results[0][0] == 200, results)

with Control("kube-apiserver", ["--authorization-mode=RBAC,Webhook", "--authorization-webhook-config-file", kubeconfig("asks", "/asks"),
                                "--authorization-webhook-version=v1", *TOKENS]) as c:
    seen.clear()
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "free"},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    got = ask(c, "POST", roles, "anna", role)
    check("who grants what he has not", got[0] == 403 and "attempting to grant" in message(got), got)
    check("in v1", seen and seen[-1][2]["apiVersion"] == "authorization.k8s.io/v1" and seen[-1][2]["spec"]["groups"], seen[-1:])
    check("the admin makes it", c.ask("POST", roles, role)[0] == 201)
    got = ask(c, "PUT", roles + "/free", "anna", {**role, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]})
    check("the webhook lets her escalate one by name", got[0] == 200, got)
    got = ask(c, "PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/new", "anna",
              {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "new"}})
    check("an update that creates asks for both", got[0] == 201 and {"update", "create"} <= {s[2]["spec"]["resourceAttributes"]["verb"] for s in seen if s[2][
        "spec"].get("resourceAttributes", {}).get("resource") == "leases"}, got)

dead = free_port()
with Control("kube-apiserver", ["--authorization-mode=Webhook", "--authorization-webhook-config-file", kubeconfig("dead", "/authz", dead), *TOKENS]) as c:
    got = ask(c, "GET", "/api/v1/pods?limit=1", "anna")
    check("nobody there", got == (500, f'Internal Server Error: "/api/v1/pods?limit=1": Post "https://127.0.0.1:{dead}/authz?timeout=30s": dial tcp '
                                       f"127.0.0.1:{dead}: connect: connection refused\n"), got)
    got = c.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {"user": "anna", "nonResourceAttributes": {"verb": "get", "path": "/x"}}})
    check("a review tells it", got[0] == 201 and "connection refused" in got[1]["status"].get("evaluationError", ""), got)

# --- AuthorizationConfiguration


def authz_config(*webhooks, more=""):
    text = "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthorizationConfiguration\nauthorizers:\n- {type: Node, name: node}\n- {type: RBAC, name: rbac}\n"
    for name, path, policy in webhooks:
        text += f"""- type: Webhook
  name: {name}
  webhook: {{timeout: 3s, subjectAccessReviewVersion: v1, failurePolicy: {policy}, connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {path}}}}}
"""
    return write("authz.yaml", text + more)


firm_file, flaky = kubeconfig("firm", "/firm"), kubeconfig("flaky", "/flaky")
with Control("kube-apiserver", ["--authorization-config", authz_config(("firm", firm_file, "Deny"), ("soft", hook, "NoOpinion")), *TOKENS]) as c:
    check("the second of two", ask(c, "GET", "/api/v1/pods", "anna")[0] == 200)
    got = ask(c, "GET", "/api/v1/pods", "dora")
    check("the first denies", got[0] == 403 and message(got).endswith(": not dora"), got)
    check("its timeout in the URL", any(s[1] == "/firm?timeout=3s" for s in seen))
    authz_config(("flaky", flaky, "Deny"))
    for i in range(100):
        if ask(c, "GET", f"/api/v1/namespaces/n{i}/pods", "dora")[0] == 200:
            break
        time.sleep(0.1)
    check("the file is read again; a 500 is tried again", ask(c, "GET", "/api/v1/namespaces/again/pods", "dora")[0] == 200)
    write("authz.yaml", "kind: [")
    time.sleep(1.2)
    check("a broken one changes nothing", ask(c, "GET", "/api/v1/namespaces/broken/pods", "dora")[0] == 200)
    authz_config(("broken", kubeconfig("broken", "/broken"), "Deny"))
    for i in range(100):
        got = ask(c, "GET", f"/api/v1/namespaces/m{i}/pods", "dora")
        if got[0] != 200:
            break
        time.sleep(0.1)
    check("failurePolicy Deny", got[0] == 500 and "the server rejected our request for an unknown reason" in got[1], got)

def conditions(*expressions):
    return authz_config(more=f"""- type: Webhook
  name: some
  webhook:
    timeout: 3s
    subjectAccessReviewVersion: v1
    matchConditionSubjectAccessReviewVersion: v1
    failurePolicy: Deny
    connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {hook}}}
    matchConditions: {json.dumps([{"expression": e} for e in expressions])}
""")


with Control("kube-apiserver", ["--authorization-config", conditions(
        "has(request.resourceAttributes)", "request.resourceAttributes.namespace == 'default' && !('ops' in request.groups)",
        "request.user != 'ellen' || request.extra['k'][0] == 'v'"), *TOKENS]) as c:
    n = len(seen)
    check("conditions that hold", ask(c, "GET", "/api/v1/namespaces/default/pods", "anna")[0] == 200 and len(seen) == n + 1)
    check("one that does not", ask(c, "GET", "/api/v1/namespaces/other/pods", "anna")[0] == 403 and ask(c, "GET", "/x", "anna")[0] == 403 and len(seen) == n + 1)
    got = ask(c, "GET", "/api/v1/namespaces/default/pods", "ellen")
    check("one that cannot be said", got[0] == 500 and "cel evaluation error: expression 'request.user != 'ellen' || request.extra['k'][0] == 'v'' resulted in "
          "error: no such key: k" in got[1] and len(seen) == n + 1, got)

# --- tokens that others know

with Control("kube-apiserver", ["--authentication-token-webhook-config-file", kubeconfig("token", "/token"), "--authentication-token-webhook-version=v1"]) as c:
    seen.clear()
    got = ask(c, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", token="good-frida", body={})
    check("a token webhook", got[0] == 201 and got[1]["status"]["userInfo"] == {"username": "frida", "uid": "u1", "groups": ["outside", "system:authenticated"],
                                                                               "extra": {"k": ["v"]}}, got)
    check("what it was asked", seen and seen[-1][2]["spec"] == {"token": "good-frida", "audiences": ["https://kubernetes.default.svc.cluster.local"]} or
          seen and seen[-1][2]["spec"]["token"] == "good-frida", seen[-1:])
    n = len(seen)
    ask(c, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", token="good-frida", body={})
    check("its answer is kept", len(seen) == n)
    check("a wrong token", ask(c, "GET", "/api/v1/pods", token="bad")[0] == 401)
    got = c.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "bad"}})
    check("a token review tells why", got[1]["status"] == {"user": {}, "error": "[invalid bearer token, never heard of it]"}, got)
    check("service accounts need nobody", c.ask("GET", "/api/v1/pods")[0] == 200)

# --- OpenID Connect

rsa, ec = Key("rsa", "RSA"), Key("ec", "P-256")
keys.append(rsa)
now = int(time.time())
CLAIMS = {"iss": issuer, "aud": "sampan", "sub": "greta", "exp": now + 3600, "groups": ["a", "b"], "jti": "j1", "hd": "example.com"}


def who(c, token):
    got = ask(c, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", token=token, body={})
    return got[1]["status"]["userInfo"] if got[0] == 201 else got[0]


def why(c, token):
    return c.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}})[1]["status"].get("error")


with Control("kube-apiserver", ["--oidc-issuer-url", issuer, "--oidc-client-id=sampan", "--oidc-ca-file", work + "/srv.crt", "--oidc-groups-claim=groups",
                                "--oidc-groups-prefix=g:", "--oidc-required-claim=hd=example.com"]) as c:
    got = who(c, rsa.sign("RS256", CLAIMS))
    check("OpenID Connect", got == {"username": issuer + "#greta", "groups": ["g:a", "g:b", "system:authenticated"],
                                    "extra": {"authentication.kubernetes.io/credential-id": ["JTI=j1"]}}, got)
    for what, token, words in (
            ("an algorithm that is not taken", rsa.sign("RS512", CLAIMS), 'id token signed with unsupported algorithm, expected ["RS256"] got "RS512"'),
            ("expired", rsa.sign("RS256", {**CLAIMS, "exp": now - 10}), "token is expired"),
            ("not yet", rsa.sign("RS256", {**CLAIMS, "nbf": now + 600}), "before the nbf (not before) time"),
            ("for others", rsa.sign("RS256", {**CLAIMS, "aud": ["x"]}), 'expected audience "sampan" got ["x"]'),
            ("without a name", rsa.sign("RS256", {k: v for k, v in CLAIMS.items() if k != "sub"}), 'oidc: parse username claims "sub": claim not present'),
            ("a name that is none", rsa.sign("RS256", {**CLAIMS, "sub": 7}), "json: cannot unmarshal number into Go value of type string"),
            ("a required claim", rsa.sign("RS256", {**CLAIMS, "hd": "x"}), "oidc: required claim hd value does not match. Got = x, want = example.com"),
            ("a signature that is not", rsa.sign("RS256", CLAIMS)[:-8] + "AAAAAAAA", "failed to verify id token signature"),
            ("another's", rsa.sign("RS256", {**CLAIMS, "iss": "https://x"}), "[invalid bearer token]" and "invalid bearer token")):
        check(what + " is refused", who(c, token) == 401 and words in (why(c, token) or ""), (who(c, token), why(c, token)))
    keys[0] = Key("rsa2", "RSA")
    time.sleep(1.1)  # keys are not asked for more often
    check("a key that is new", who(c, keys[0].sign("RS256", CLAIMS)) == got, who(c, keys[0].sign("RS256", CLAIMS)))
    check("the old one has gone", who(c, rsa.sign("RS256", CLAIMS)) == 401)
    keys[:] = [rsa]

HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\nanonymous: {enabled: true, conditions: [{path: /livez}, {path: /readyz}]}\n"
CA = "".join("      " + line for line in open(work + "/srv.crt").readlines())


def authn_config(username, audiences="[sampan, other]", extra=""):
    return write("authn.yaml", HEAD + f"""jwt:
- issuer:
    url: {issuer}
    audiences: {audiences}
    audienceMatchPolicy: MatchAny
    certificateAuthority: |
{CA}{extra}
  claimMappings:
    username: {{claim: {username}, prefix: ""}}
    groups: {{claim: groups, prefix: ""}}
    uid: {{claim: sub}}
""")


keys[:] = [rsa, ec, Key("ec384", "P-384"), Key("ec521", "P-521")]
MAIL = {**CLAIMS, "email": "greta@example.com", "aud": ["x", "other"], "groups": "solo"}
with Control("kube-apiserver", ["--authentication-config", authn_config("email")]) as c:
    for key, alg in ((rsa, "RS256"), (rsa, "RS384"), (rsa, "RS512"), (rsa, "PS256"), (rsa, "PS384"), (rsa, "PS512"), (ec, "ES256"), (keys[2], "ES384"),
                     (keys[3], "ES512")):
        got = who(c, key.sign(alg, MAIL))
        check(alg, got != 401 and got["username"] == "greta@example.com" and got["uid"] == "greta" and got["groups"] == ["solo", "system:authenticated"], got)
    check("an algorithm for another key", who(c, ec.sign("ES256", MAIL, kid="rsa")) == 401)
    check("no signature at all", who(c, b64u(b'{"alg":"none"}') + "." + b64u(json.dumps(MAIL).encode()) + ".") == 401)
    check("an address that was not verified", who(c, rsa.sign("RS256", {**MAIL, "email_verified": False})) == 401 and
          "oidc: email not verified" in why(c, rsa.sign("RS256", {**MAIL, "email_verified": False})))
    check("anonymous where it may", ask(c, "GET", "/livez")[0] == 200)
    check("not elsewhere", ask(c, "GET", "/version")[0] == 401)
    authn_config("sub")
    for i in range(100):
        got = who(c, rsa.sign("RS256", MAIL))
        if got != 401 and got["username"] == "greta":
            break
        time.sleep(0.1)
    check("the file is read again", got != 401 and got["username"] == "greta", got)

with Control("kube-apiserver", ["--authentication-config", authn_config("sub", extra=f"    discoveryURL: {issuer}/other/discovery\n")]) as c:
    check("a document about another issuer", who(c, rsa.sign("RS256", MAIL)) == 401 and "oidc: authenticator not initialized" in why(c, rsa.sign("RS256", MAIL)))

with Control("kube-apiserver", ["--authorization-mode=AlwaysAllow", *TOKENS]) as c:
    check("AlwaysAllow", ask(c, "DELETE", "/api/v1/namespaces/default/pods/x", "dora")[0] == 404)
    check("lets nobody in who says nothing", ask(c, "GET", "/api/v1/pods")[0] == 401)

server.shutdown()
shutil.rmtree(work, ignore_errors=True)
print(f"{failures} failures")
sys.exit(1 if failures else 0)
