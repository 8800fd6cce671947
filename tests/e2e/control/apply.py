#!/usr/bin/env python3
"""apply.py: kubectl apply --server-side: conflicts, force, fields that change hands, what is not applied any more goes, the way
over from client-side apply; and who writes what in a cluster whose controllers run. On loopback, needs no root."""
import json, os, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../lib")
import api

KUBECTL = os.environ.get("E2E_KUBECTL", "kubectl")
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web%s}}
spec:%s
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "%s"%s}]}
"""


def web(image="nginx:1", replicas=None, labels="", more=""):
    return WEB % (labels, f"\n  replicas: {replicas}" if replicas is not None else "", image, more)


class Test:
    def __init__(self, kubeconfig):
        self.dir = tempfile.mkdtemp(prefix="sampan-apply-")
        self.env = {**os.environ, "KUBECONFIG": kubeconfig, "HOME": self.dir}

    def k(self, *args, stdin=None, fails=False):
        p = subprocess.run([KUBECTL, *args], input=stdin, text=True, capture_output=True, env=self.env, timeout=60)
        if (p.returncode != 0) != fails:
            sys.exit(f"kubectl {' '.join(args)}: exit {p.returncode}: {p.stdout}{p.stderr}")
        return p.stdout + p.stderr

    def apply(self, text, *args, **kw):
        return self.k("apply", "--server-side", *args, "-f", "-", stdin=text, **kw)

    def get(self, what):
        return json.loads(self.k("get", what, "-o", "json", "--show-managed-fields"))

    def managers(self, what):
        return {(m["manager"], m["operation"], m.get("subresource", "")): m["fieldsV1"]
                for m in self.get(what)["metadata"].get("managedFields", [])}


def check(ok, what):
    if not ok:
        sys.exit("FAILED: " + what)
    print("ok  ", what)


def conflicts(t):
    t.apply(web(replicas=2))
    m = t.managers("deployment/web")
    check("f:replicas" in m[("kubectl", "Apply", "")]["f:spec"], "what is applied is owned")
    check("managedFields" not in t.k("get", "deployment/web", "-o", "yaml"), "kubectl hides managedFields")
    out = t.apply(web(replicas=3), "--field-manager=other", fails=True)
    check('conflict with "kubectl": .spec.replicas' in out, "a conflict is told")
    check(t.get("deployment/web")["spec"]["replicas"] == 2, "… and nothing is changed")
    t.apply(web(replicas=3), "--field-manager=other", "--force-conflicts")
    m = t.managers("deployment/web")
    check(t.get("deployment/web")["spec"]["replicas"] == 3 and "f:replicas" not in m[("kubectl", "Apply", "")]["f:spec"]
          and "f:replicas" in m[("other", "Apply", "")]["f:spec"], "force takes the field over")


def hand_over(t):
    t.apply(web())  # kubectl lets go of what other owns, too
    check(t.get("deployment/web")["spec"]["replicas"] == 3, "what another applies stays when one lets go")
    t.k("scale", "deployment/web", "--replicas=4")
    m = t.managers("deployment/web")
    check(m[("kubectl", "Update", "scale")] == {"f:spec": {"f:replicas": {}}}, "scale has an entry of its own")
    check("f:replicas" not in m[("other", "Apply", "")]["f:spec"], "… and takes the replicas")
    out = t.apply(web(replicas=3), "--field-manager=other", fails=True)
    check('conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in out, "a conflict with scale")


def removal(t):
    t.apply(web(labels=", tier: front", more=", env: [{name: A, value: '1'}, {name: B, value: '2'}]"))
    t.apply(web(more=", env: [{name: B, value: '2'}]"))
    o = t.get("deployment/web")
    env = o["spec"]["template"]["spec"]["containers"][0]["env"]
    check("tier" not in o["metadata"]["labels"] and env == [{"name": "B", "value": "2"}], "what is not applied any more goes")
    before = o["metadata"]["resourceVersion"]
    time.sleep(1.1)  # a second, which is what times of entries are counted in
    for _ in range(50):  # the deployment's controller has its say meanwhile
        settled = t.get("deployment/web")["metadata"]["resourceVersion"]
        if settled == before:
            break
        before = settled
        time.sleep(0.2)
    t.apply(web(more=", env: [{name: B, value: '2'}]"))
    check(t.get("deployment/web")["metadata"]["resourceVersion"] == before, "applying the same again changes nothing")
    t.apply(web(image="nginx:2"), "--dry-run=server", "--force-conflicts")
    check(t.get("deployment/web")["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1", "a dry run changes nothing")
    out = t.apply(web(more=", what: 1"), fails=True)
    check('.spec.template.spec.containers[name="c"].what: field not declared in schema' in out, "an unknown field is refused")


def from_client_side(t):
    cm = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: '%s'%s}\n"
    t.k("apply", "-f", "-", stdin=cm % ("1", ", b: '1'"))
    check(("kubectl-client-side-apply", "Update", "") in t.managers("cm/cm"), "client-side apply is an updater")
    t.apply(cm % ("2", ""))
    check(t.get("cm/cm")["data"] == {"a": "2"}, "server-side apply takes over what was applied client-side")
    check({m for m in t.managers("cm/cm")} == {("kubectl", "Apply", ""), ("kubectl-last-applied", "Apply", "")},
          "… and nothing is left of the updater")


def controllers(t):
    def written():
        return {m for o in ("deployment/web", "rs") for i in ([t.get(o)] if "/" in o else t.get(o)["items"])
                for m in [(e["manager"], e.get("subresource", "")) for e in i["metadata"].get("managedFields", [])]}

    for _ in range(100):
        if {("kube-controller-manager", ""), ("kube-controller-manager", "status")} <= written():
            break
        time.sleep(0.1)
    check({("kube-controller-manager", ""), ("kube-controller-manager", "status")} <= written(),
          "controllers write as kube-controller-manager")
    pods = t.get("pods")["items"]
    check(pods and all(e["manager"] in ("kube-controller-manager", "kube-scheduler") for p in pods
                       for e in p["metadata"]["managedFields"]), "pods are the controllers' and the scheduler's")


with api.Control() as control:
    t = Test(control.dir + "/data/admin.kubeconfig")
    for part in (conflicts, hand_over, removal, from_client_side, controllers):
        part(t)
