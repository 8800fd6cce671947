#!/usr/bin/env python3
"""auth.py: who may do what, through real kubectl: roles, escalation, impersonation, tokens, proxies, nodes, the audit log."""
import http.client, json, os, re, shutil, ssl, subprocess, sys, tempfile

import yaml
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control

KUBECTL = os.environ.get("KUBECTL", "kubectl")
if not shutil.which(KUBECTL):
    print("no kubectl")
    sys.exit(77)
failures = 0
work = tempfile.mkdtemp(prefix="sampan-auth-")


def check(what, ok, got=""):
    global failures
    failures += not ok
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:600]}"))


def write(name, text):
    with open(f"{work}/{name}", "w") as f:
        f.write(text)
    return f"{work}/{name}"


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=work)


def proxy_certs():
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "fp-ca.key", "-out", "fp-ca.crt",
            "-days", "2", "-subj", "/CN=fp-ca")
    for name in ("front-proxy", "stranger"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out", name + ".csr",
                "-subj", f"/O=system:masters/CN={name}")
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "fp-ca.crt", "-CAkey", "fp-ca.key", "-CAcreateserial", "-days", "2", "-out", name + ".crt")


write("tokens", 'jane-token,jane,j1,"devs"\nkate-token,kate,k1\n')
write("policy", """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ["system:kube-scheduler"], userGroups: []}
- {level: None, nonResourceURLs: ["/readyz*", "/openapi/*", "/api*"]}
- {level: RequestResponse, resources: [{group: "", resources: [configmaps]}], namespaces: [default]}
- {level: Request, resources: [{group: rbac.authorization.k8s.io}], verbs: [create], users: [jane, kubernetes-admin]}
- {level: Metadata, resources: [{group: "", resources: [secrets, pods]}]}
""")
proxy_certs()
flags = ["--token-auth-file", f"{work}/tokens", "--audit-policy-file", f"{work}/policy", "--audit-log-path", f"{work}/audit.log",
         "--requestheader-client-ca-file", f"{work}/fp-ca.crt", "--requestheader-allowed-names", "front-proxy"]

with Control(extra=flags) as c:
    config = c.dir + "/data/admin.kubeconfig"

    def kubectl(*args, stdin=None, token=None):
        cmd = [KUBECTL, "--kubeconfig", config]
        if token:
            cmd = [KUBECTL, "--kubeconfig", "/dev/null", "--server", f"https://127.0.0.1:{c.port}", "--insecure-skip-tls-verify", "--token", token]
        if stdin:  # some kubectls take what begins with a brace for JSON, whatever it is
            stdin = json.dumps(yaml.safe_load(stdin))
        p = subprocess.run(cmd + list(args), input=stdin, capture_output=True, text=True, env={**os.environ, "HOME": work})
        return p.returncode, p.stdout + p.stderr

    def says(what, args, words, code=0, **more):
        got, out = kubectl(*args, **more)
        words = [words] if isinstance(words, str) else words
        check(what, got == code and all(re.search(w, out) for w in words), (got, out))

    # --- roles and bindings
    says("nothing without a binding", ["get", "pods", "--as=jane"],
         r'^Error from server \(Forbidden\): pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"$', 1)
    says("not even elsewhere", ["get", "nodes", "--as=jane"], r'cannot list resource "nodes" in API group "" at the cluster scope$', 1)
    says("paths", ["get", "--raw", "/metrics", "--as=jane"], r'forbidden: User \\?"jane\\?" cannot get path \\?"/metrics\\?"', 1)
    says("can-i", ["auth", "can-i", "get", "pods", "--as=jane"], "^no$", 1)
    says("a role", ["create", "role", "r", "--verb=get,list,watch", "--resource=pods"], "created")
    says("a binding", ["create", "rolebinding", "b", "--role=r", "--user=jane", "--group=ops"], "created")
    says("can-i now", ["auth", "can-i", "list", "pods", "--as=jane"], "^yes$")
    says("can-i in another namespace", ["auth", "can-i", "list", "pods", "--as=jane", "-n", "kube-system"], "^no$", 1)
    says("by group", ["auth", "can-i", "list", "pods", "--as=x", "--as-group=ops"], "^yes$")
    says("can-i --list", ["auth", "can-i", "--list", "--as=jane"],
         [r"pods +\[\] +\[\] +\[get list watch\]", r"selfsubjectreviews.authentication.k8s.io +\[\] +\[\] +\[create\]", r"\[/healthz\] +\[\] +\[get\]"])
    says("the admin", ["auth", "can-i", "--list"], r"\*\.\* +\[\] +\[\] +\[\*\]")
    says("a binding without its role", ["create", "clusterrolebinding", "lost", "--clusterrole=gone", "--user=lost"], "created")
    says("tells that it is missing", ["get", "pods", "--as=lost"], r': RBAC: clusterrole\.rbac\.authorization\.k8s\.io "gone" not found$', 1)
    says("whoami", ["auth", "whoami", "--as=jane", "--as-group=ops", "--as-uid=7"], ["Username +jane", "UID +7", r"Groups +\[ops system:authenticated\]"])
    says("tables", ["get", "clusterrolebinding", "cluster-admin", "-o", "wide"], r"cluster-admin +ClusterRole/cluster-admin +\S+ +system:masters")
    says("describe", ["describe", "clusterrole", "system:discovery"], r"\[/version/\] +\[\] +\[get\]")

    # --- aggregation, reconciliation
    for i in range(50):
        if kubectl("auth", "can-i", "list", "pods", "--as=eve")[0] == 0:
            break
        kubectl("create", "clusterrolebinding", "eve", "--clusterrole=view", "--user=eve")
    says("view is the sum of its parts", ["auth", "can-i", "list", "deployments.apps", "--as=eve"], "^yes$")
    says("and shows no secrets", ["auth", "can-i", "list", "secrets", "--as=eve"], "^no$", 1)
    widgets = """{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: widgets, labels: {rbac.authorization.k8s.io/aggregate-to-view: "true"}},
rules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]}"""
    says("auth reconcile", ["auth", "reconcile", "-f", "-"], "reconciled", stdin=widgets)
    says("its own words twice", ["auth", "reconcile", "-f", "-"], "reconciled", stdin=widgets)
    for i in range(50):
        if kubectl("get", "clusterrole", "view", "-o", "yaml")[1].count("- nodes"):
            break
    says("view grows", ["auth", "can-i", "get", "nodes", "--as=eve"], "^yes")

    # --- nobody grants what he does not have
    says("jane may write roles", ["create", "clusterrole", "roles", "--verb=create,update,patch", "--resource=roles,rolebindings"], "created")
    says("bound", ["create", "rolebinding", "roles", "--clusterrole=roles", "--user=jane"], "created")
    says("what she has", ["create", "role", "mine", "--verb=get", "--resource=pods", "--as=jane"], "created")
    says("what she has not", ["create", "role", "more", "--verb=get,delete", "--resource=secrets", "--as=jane"],
         [r'roles\.rbac\.authorization\.k8s\.io "more" is forbidden: user "jane" \(groups=\["system:authenticated"\]\) is attempting to grant RBAC permissions not currently held:',
          r'\{APIGroups:\[""\], Resources:\["secrets"\], Verbs:\["get" "delete"\]\}'], 1)
    says("nor by a binding", ["create", "rolebinding", "edit", "--clusterrole=edit", "--user=jane", "--as=jane"],
         r'rolebindings\.rbac\.authorization\.k8s\.io "edit" is forbidden: user "jane" .* is attempting to grant RBAC permissions not currently held', 1)
    says("the verb bind lets her", ["create", "role", "binder", "--verb=bind", "--resource=clusterroles.rbac.authorization.k8s.io", "--resource-name=edit"], "created")
    says("it does", ["create", "rolebinding", "binder", "--role=binder", "--user=jane"], "created")
    says("bind", ["create", "rolebinding", "edit", "--clusterrole=edit", "--user=kate", "--as=jane"], "created")
    says("roleRef stays", ["patch", "rolebinding", "edit", "-p", '{"roleRef":{"name":"view"}}'], "cannot change roleRef", 1)
    says("a bad role", ["apply", "-f", "-", "--server-side=false"], r"rules\[0\]\.verbs: Required value: verbs must contain at least one value", 1,
         stdin="{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: bad}, rules: [{apiGroups: [''], resources: [pods]}]}")

    # --- credentials
    says("a static token", ["auth", "whoami"], ["Username +jane", r"Groups +\[devs system:authenticated\]"], token="jane-token")
    says("a wrong token", ["get", "pods"], r"You must be logged in to the server|Unauthorized", 1, token="wrong")
    says("a service account", ["create", "serviceaccount", "robot"], "created")
    token = kubectl("create", "token", "robot")[1].strip()
    says("its token", ["auth", "whoami"], ["system:serviceaccount:default:robot", "system:serviceaccounts:default", "credential-id"], token=token)
    says("it may not", ["get", "pods"], r'User "system:serviceaccount:default:robot" cannot list resource "pods"', 1, token=token)
    says("until it may", ["create", "rolebinding", "robot", "--clusterrole=view", "--serviceaccount=default:robot"], "created")
    says("now", ["get", "pods"], "No resources found", token=token)
    says("a token for another audience", ["get", "pods"], r"logged in|Unauthorized", 1, token=kubectl("create", "token", "robot", "--audience=x")[1].strip())
    says("the account goes", ["delete", "serviceaccount", "robot"], "deleted")
    says("its token with it", ["get", "pods"], r"logged in|Unauthorized", 1, token=token)

    def proxied(cert, headers):
        context = ssl._create_unverified_context()
        context.load_cert_chain(f"{work}/{cert}.crt", f"{work}/{cert}.key")
        h = http.client.HTTPSConnection("127.0.0.1", c.port, context=context, timeout=10)
        h.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                  '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}', {"Content-Type": "application/json", **headers})
        r = h.getresponse()
        return r.status, json.loads(r.read()).get("status", {})

    status, review = proxied("front-proxy", {"X-Remote-User": "ann", "X-Remote-Group": "g", "X-Remote-Extra-a%2Fb": "c"})
    check("a front proxy", status == 201 and review["userInfo"] == {"username": "ann", "groups": ["g", "system:authenticated"], "extra": {"a/b": ["c"]}},
          (status, review))
    check("a proxy that nobody named", proxied("stranger", {"X-Remote-User": "ann"})[0] == 401, proxied("stranger", {"X-Remote-User": "ann"}))
    status, review = proxied("front-proxy", {})
    check("a proxy's own certificate makes no user", status in (401, 403), (status, review))

    # --- impersonation
    code, out = kubectl("get", "pods", "--as=kate", token="jane-token")
    check("nobody acts as another without the right", code == 1 and 'User "jane" cannot impersonate-on:user-info:list resource "pods"' in out, out)
    says("the old right", ["create", "clusterrole", "sudo", "--verb=impersonate", "--resource=users", "--resource-name=kate"], "created")
    says("bound", ["create", "clusterrolebinding", "sudo", "--clusterrole=sudo", "--user=jane"], "created")
    says("as kate", ["auth", "whoami", "--as=kate"], "Username +kate", token="jane-token")
    code, out = kubectl("get", "pods", "--as=kate", "--as-group=system:masters", token="jane-token")
    check("but not in another group", code == 1 and "impersonate-on:user-info:list" in out, out)

    # --- nodes
    node = ["--as=system:node:n1"]
    says("a node registers", ["create", "-f", "-"] + node, "node/n1 created", stdin='{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}')
    says("itself alone", ["create", "-f", "-"] + node, r'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"', 1,
         stdin='{"apiVersion":"v1","kind":"Node","metadata":{"name":"n2"}}')
    says("without others' labels", ["label", "node", "n1", "node-restriction.kubernetes.io/x=y"] + node,
         "is not allowed to modify labels: node-restriction.kubernetes.io/x", 1)
    says("with its own", ["label", "node", "n1", "mine=1"] + node, "labeled")
    says("no taints", ["taint", "node", "n1", "a=b:NoSchedule"] + node, 'node "n1" is not allowed to modify taints', 1)
    kubectl("create", "secret", "generic", "s1", "--from-literal=a=b")
    says("no secrets", ["get", "secret", "s1"] + node, "no relationship found between node 'n1' and this object", 1)
    says("a pod brings one", ["create", "-f", "-"], "pod/p1 created", stdin="""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p1"},
"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i","envFrom":[{"secretRef":{"name":"s1"}}]}]}}""")
    says("then it may", ["get", "secret", "s1"] + node, "Opaque")
    says("another may not", ["get", "secret", "s1", "--as=system:node:n2"], "no relationship found between node 'n2' and this object", 1)
    says("no tokens for nobody", ["create", "token", "default"] + node, "node requested token not bound to a pod", 1)
    uid = kubectl("get", "pod", "p1", "-o", "jsonpath={.metadata.uid}")[1]
    bound = ["create", "token", "default", "--bound-object-kind=Pod", "--bound-object-name=p1", "--bound-object-uid=" + uid]
    says("a token for its pod", bound + node, r"^eyJ")
    says("for its pod's audiences", bound + ["--audience=other"] + node,
         r'audience "other" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience', 1)
    says("no pods of its own making", ["create", "-f", "-"] + node, "can only create mirror pods", 1,
         stdin='{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p2"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]}}')

    # --- the audit log
    kubectl("create", "configmap", "noted", "--from-literal=a=b")
    kubectl("get", "secrets", "--as=jane")
    events = [json.loads(line) for line in open(f"{work}/audit.log")]

    def find(**want):
        return [e for e in events if all(e.get(k) == v or e.get("objectRef", {}).get(k) == v for k, v in want.items())]

    made = find(verb="create", name="noted")
    check("one line of a request", len(made) == 1, made)
    e = made[0] if made else {}
    check("its order is upstream's", list(e)[:5] == ["kind", "apiVersion", "level", "auditID", "stage"], list(e))
    check("what was sent and answered", e.get("requestObject", {}).get("data") == {"a": "b"} and e["responseObject"]["metadata"]["uid"]
          and e["responseStatus"] == {"metadata": {}, "code": 201}, e)
    check("why", e.get("annotations") == {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}, e)
    check("who", e.get("user") == {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]} and e["sourceIPs"] == ["127.0.0.1"], e)
    refused = [e for e in find(verb="list", resource="secrets") if e["responseStatus"]["code"] == 403]
    check("a refusal, without bodies", refused and "responseObject" not in refused[0] and refused[0]["responseStatus"]["reason"] == "Forbidden"
          and refused[0]["impersonatedUser"]["username"] == "jane" and refused[0]["annotations"]["authorization.k8s.io/decision"] == "forbid", refused)
    check("levels", {e["level"] for e in find(resource="secrets")} == {"Metadata"} and {e["level"] for e in find(resource="roles", verb="create")} == {"Request"},
          {e["level"] for e in events})
    check("nothing that the policy leaves out", not find(stage="RequestReceived") and not [e for e in events if e["requestURI"].startswith(("/readyz", "/openapi"))])
    failed = [e for e in events if e["responseStatus"].get("message", "").startswith("Authentication failed, attempted: bearer")]
    check("failed logins", failed and failed[0]["stage"] == "ResponseStarted" and failed[0]["user"] == {} and failed[0]["responseStatus"]["code"] == 401, failed[:1])

# --- flags
for what, args, words in (
        ("an unknown mode", ["--authorization-mode=Magic"], 'authorization-mode "Magic" is not a valid mode'),
        ("a policy without rules", ["--audit-policy-file", write("empty", "apiVersion: audit.k8s.io/v1\nkind: Policy\n"), "--audit-log-path", f"{work}/x"],
         "loaded illegal policy with 0 rules"),
        ("a policy with a wrong level", ["--audit-policy-file", write("level", "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]\n"),
                                         "--audit-log-path", f"{work}/x"],
         'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", "Request", "RequestResponse"'),
        ("a broken token file", ["--token-auth-file", write("broken", "a,b\n")], "must have at least 3 columns")):
    d = tempfile.mkdtemp(dir=work)
    p = subprocess.run([os.environ.get("SAMPAN", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../build/sampan")), "kube-apiserver", "--data-dir", d,
                        "--bind-address", "127.0.0.1", "--secure-port", "0", *args], capture_output=True, text=True, timeout=30)
    check(what, p.returncode != 0 and words in p.stderr, (p.returncode, p.stderr))

shutil.rmtree(work, ignore_errors=True)
print(f"{failures} failed")
sys.exit(failures > 0)
