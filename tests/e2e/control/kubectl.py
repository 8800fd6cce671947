#!/usr/bin/env python3
"""kubectl.py: every verb of unmodified kubectls against the control plane with simulated nodes, on loopback.

KUBECTLS (space-separated programs) or all that stand beside `kubectl` on the PATH (kubectl, kubectl.1.27 …). For each
version: its own namespace, one line per failed check; the end says how many there were. Needs no root."""
import concurrent.futures, glob, os, re, shutil, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../lib")
import api

PODS = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: one, labels: {app: x, num: "1"}}, spec: {containers: [{name: c, image: busybox}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: two, labels: {app: x, num: "2"}}, spec: {containers: [{name: c, image: busybox}]}}
"""
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: applied, labels: {app: applied}}
spec:
  replicas: 1
  selector: {matchLabels: {app: applied}}
  template:
    metadata: {labels: {app: applied}}
    spec: {containers: [{name: web, image: "nginx:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: applied}
spec: {selector: {app: applied}, ports: [{port: 80}]}
"""
ALL_KINDS = [  # kubectl create …: what it takes, and what must be there then
    ("namespace {ns}-sub", "namespace/{ns}-sub"),
    ("configmap cm --from-literal=a=b --from-literal=c=d", "configmap/cm"),
    ("secret generic sec --from-literal=a=b", "secret/sec"),
    ("secret docker-registry reg --docker-username=u --docker-password=p", "secret/reg"),
    ("serviceaccount robot", "serviceaccount/robot"),
    ("service clusterip cip --tcp=80:8080", "service/cip"),
    ("service nodeport np --tcp=80", "service/np"),
    ("service loadbalancer lb --tcp=80", "service/lb"),
    ("service externalname en --external-name=example.com", "service/en"),
    ("deployment web --image=nginx:1 --replicas=2 --port=80", "deployment.apps/web"),
    ("job j --image=busybox -- true", "job.batch/j"),
    ("cronjob cj --image=busybox --schedule=@hourly -- true", "cronjob.batch/cj"),
    ("role r --verb=get,list --resource=pods", "role.rbac.authorization.k8s.io/r"),
    ("rolebinding rb --role=r --serviceaccount={ns}:robot", "rolebinding.rbac.authorization.k8s.io/rb"),
    ("clusterrole {ns}-cr --verb=get --resource=nodes", "clusterrole.rbac.authorization.k8s.io/{ns}-cr"),
    ("clusterrolebinding {ns}-crb --clusterrole=view --user=u", "clusterrolebinding.rbac.authorization.k8s.io/{ns}-crb"),
    ("quota q --hard=configmaps=100", "resourcequota/q"),
    ("poddisruptionbudget pdb --selector=app=none --min-available=1", "poddisruptionbudget.policy/pdb"),
    ("priorityclass {ns}-pc --value=10", "priorityclass.scheduling.k8s.io/{ns}-pc"),
    ("ingress ing --rule=a.example/x=cip:80", "ingress.networking.k8s.io/ing"),
]


class Kubectl:
    def __init__(self, program, kubeconfig, ns):
        self.program, self.ns, self.failed, self.n = program, ns, [], 0
        self.dir = tempfile.mkdtemp(prefix="sampan-kubectl-")
        self.env = {**os.environ, "KUBECONFIG": kubeconfig, "HOME": self.dir, "EDITOR": "true"}

    def run(self, line, stdin=None, timeout=30, **env):
        """The exit code, and what it wrote to both."""
        args = line.format(ns=self.ns) if isinstance(line, str) else line
        words = __import__("shlex").split(args) if isinstance(args, str) else args
        p = subprocess.run([self.program, "-n", self.ns, *words], input=stdin, text=True, timeout=timeout, capture_output=True,
                           env={**self.env, **env})
        return p.returncode, p.stdout + p.stderr

    def ok(self, line, *wants, stdin=None, code=0, **env):
        """Runs it; each of `wants` is a regular expression the output must have ('!' in front: must not)."""
        self.n += 1
        t0 = time.time()
        try:
            got, out = self.run(line, stdin, **env)
        except subprocess.TimeoutExpired:
            got, out = "no end", ""
        if os.environ.get("VERBOSE"):
            print(f"{time.time() - t0:5.1f} {line}", flush=True)
        missing = [w for w in wants if bool(re.search(w.lstrip("!").format(ns=self.ns) if "{ns}" in w else w.lstrip("!"), out, re.M)) == w.startswith("!")]
        if got != code or missing:
            self.failed.append(f"{line}\n    exit {got}, missing {missing}\n    " + out.strip()[:1500].replace("\n", "\n    "))
        return out


def creating(k):
    k.ok("create namespace {ns}", "namespace/{ns} created")
    k.ok("wait --for=jsonpath='{{.metadata.name}}'=default serviceaccount/default --timeout=20s")
    for line, name in ALL_KINDS:
        k.ok("create " + line, "created")
        k.ok("get " + name.replace("{ns}", k.ns) + " -o name", name.replace("{ns}", k.ns))
    k.ok("create token robot", "^ey")
    k.ok("create configmap cm", "already exists", code=1)
    k.ok("create configmap dry --from-literal=a=b --dry-run=server -o yaml", "a: b", "uid:")
    k.ok("get configmap dry", "NotFound", code=1)
    k.ok("create -f -", "pod/one created", "pod/two created", stdin=PODS)
    k.ok("create job jj --from=cronjob/cj", "job.batch/jj created")
    k.ok("create -f -", "unknown field \"spec.foo\"", code=1, stdin="apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {foo: 1, containers: [{name: a, image: b}]}")


def applying(k):
    k.ok("apply -f -", "deployment.apps/applied created", "service/applied created", stdin=WEB)
    k.ok("apply -f -", "deployment.apps/applied unchanged", "service/applied unchanged", stdin=WEB)
    k.ok("diff -f -", stdin=WEB)
    changed = WEB.replace("nginx:1", "nginx:2")
    k.ok("diff -f -", r"^-.*nginx:1", r"^\+.*nginx:2", code=1, stdin=changed)
    k.ok("apply -f -", "deployment.apps/applied configured", "service/applied unchanged", stdin=changed)
    k.ok("apply -f - --dry-run=server", "unchanged \\(server dry run\\)", stdin=changed)
    k.ok("apply view-last-applied deployment/applied", "nginx:2")
    k.ok("apply -f -", "unknown field \"spec.replica\"", code=1, stdin=WEB.replace("replicas:", "replica:"))
    k.ok("rollout status deployment/applied --timeout=20s", "successfully rolled out")
    k.ok("replace -f -", "service/applied replaced", stdin=WEB[WEB.index("---"):])
    k.ok("delete -f -", "deployment.apps \"applied\".* deleted", "service \"applied\".* deleted", stdin=WEB)


def reading(k):
    k.ok("wait --for=condition=Ready pod/one pod/two --timeout=20s", "pod/one condition met")
    k.ok("get pods", r"^NAME +READY +STATUS +RESTARTS +AGE", r"^one +1/1 +Running +0 ")
    k.ok("get pods -o wide", r"NODE +NOMINATED NODE +READINESS GATES", r"^one .*hollow-\d")
    k.ok("get pod one -o yaml", "^kind: Pod", "nodeName: hollow")
    k.ok("get pods -o json", '"kind": "List"', '"kind": "Pod"')
    k.ok("get pods -l app=x -o name", "^pod/one$", "^pod/two$", "!web")
    k.ok("get pods -l 'num in (2,3)' -o name", "!one", "^pod/two$")
    k.ok("get pods --field-selector metadata.name=one -o name", "^pod/one$", "!two")
    k.ok("get pods --field-selector status.phase=Running,metadata.name!=one -o name", "^pod/two$", "!one")
    k.ok("get pods -o custom-columns=A:.metadata.name,B:.spec.containers[*].image", r"^A +B", r"^one +busybox")
    k.ok(["get", "pods", "-l", "app=x", "-o", "jsonpath={range .items[*]}{.metadata.name},{end}"], "^one,two,$")
    k.ok(["get", "pod", "one", "-o", "go-template={{.metadata.name}}{{len .spec.containers}}"], "^one1$")
    k.ok("get pods -l app=x --sort-by=.metadata.labels.num --no-headers", r"^one[^\n]*\n^two")
    k.ok("get pods -l app=x --show-labels -L num", r"AGE +NUM +LABELS", "app=x,num=1")
    k.ok("get pods -A", "^NAMESPACE", "^{ns} +one")
    k.ok("get all", "^pod/one", "^deployment.apps/web", "^replicaset.apps/web-", "^job.batch/j", "^cronjob.batch/cj", "^service/cip")
    k.ok("get pods nothere", "Error from server \\(NotFound\\): pods \"nothere\" not found", code=1)
    k.ok("get nonsense", "the server doesn't have a resource type \"nonsense\"", code=1)
    k.ok("get po,svc,cm", "^pod/one", "^service/cip", "^configmap/cm")
    k.ok("get services", r"^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE", r"^cip +ClusterIP +10\.\d+\.\d+\.\d+ +<none> +80/TCP",
         r"^en +ExternalName +<none> +example.com", r"^np +NodePort .* 80:3\d+/TCP", r"^lb +LoadBalancer +\S+ +<pending>")
    k.ok("get nodes -o wide", r"^hollow-0 +Ready +<none> .* v1.36", "CONTAINER-RUNTIME")
    k.ok("get pods --chunk-size=1 -o name", "^pod/one$", "^pod/two$")
    k.ok("get --raw /version", '"gitVersion": *"v1.36')
    k.ok("get ns {ns} -o yaml", "phase: Active")
    k.ok("get events", "^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE", "Scheduled|SuccessfulCreate")
    k.ok("events --types=Normal", "SuccessfulCreate")
    k.ok("get cm,secret,sa,quota,role,rolebinding,ingress,pdb,cronjob,job,endpoints,endpointslices,leases,hpa,pvc,limitrange,networkpolicy,statefulset,daemonset,rc,controllerrevisions,podtemplates", "^configmap/cm")
    k.ok("get clusterrole,clusterrolebinding,priorityclass,storageclass,pv,ingressclass,runtimeclass,csidrivers,csinodes,csr,validatingwebhookconfigurations,mutatingwebhookconfigurations,flowschemas,prioritylevelconfigurations,apiservices,crd", "{ns}-cr")


def watching(k):
    p = subprocess.Popen([k.program, "-n", k.ns, "get", "configmap", "-w", "--output-watch-events"], stdout=subprocess.PIPE, text=True, env=k.env)
    guard = threading.Timer(20, p.kill)  # a watch that says nothing must not keep us
    guard.start()
    seen = ""
    while " cm " not in seen:
        line = p.stdout.readline()
        if not line:
            break
        seen += line
    k.ok("create configmap watched")
    k.ok("delete configmap watched")
    while "DELETED" not in seen:
        line = p.stdout.readline()
        if not line:
            break
        seen += line
    p.terminate()
    p.wait()
    guard.cancel()
    k.n += 1
    if not re.search(r"ADDED +watched[\s\S]*DELETED +watched", seen):
        k.failed.append("get -w\n    " + seen)


def explaining(k):
    k.ok("explain pod", "KIND: +Pod", "VERSION: +v1", "spec")
    k.ok("explain pod.spec.containers.livenessProbe.httpGet", "path", "port.*-required-")
    k.ok("explain deployments.spec.strategy --recursive", "rollingUpdate", "maxSurge")
    k.ok("explain deployment --recursive", "KIND: +Deployment", "matchLabels")
    k.ok("explain cronjob.spec.jobTemplate.spec.template.spec.volumes.configMap", "items", "optional")
    k.ok("explain hpa --api-version=autoscaling/v1", "HorizontalPodAutoscaler")
    k.ok("explain pod.spec.nonsense", "field \"nonsense\" does not exist", code=1)
    k.ok("api-resources", r"^pods +po +v1 +true +Pod", r"^deployments +deploy +apps/v1 +true +Deployment")
    k.ok("api-resources --namespaced=false -o wide", "^nodes", "!^pods ", "create,delete,deletecollection,get,list,patch,update,watch")
    k.ok("api-resources --api-group=batch --verbs=list -o name", "^cronjobs.batch", "^jobs.batch", "!pods")
    k.ok("api-versions", "^apps/v1$", "^v1$", "^batch/v1$")
    k.ok("version", "Server Version: .*v1.36")
    k.ok("cluster-info", "is running at")


def changing(k):
    k.ok("label pod one color=red", "pod/one labeled")
    k.ok("label pod one color=blue", "already has a value", code=1)
    k.ok("label pod one color=blue --overwrite", "pod/one labeled")
    k.ok("label pods -l app=x extra=1", "pod/one labeled", "pod/two labeled")
    k.ok("label pod one color-", "pod/one unlabeled")
    k.ok("annotate pod one note='two words'", "pod/one annotated?$")
    k.ok(["get", "pod", "one", "-o", "jsonpath={.metadata.annotations.note}"], "^two words$")
    k.ok("annotate pod one note-", "pod/one annotated?$")
    k.ok("edit configmap cm", "configmap/cm edited", EDITOR="sed -i s/a:.b/a:\\ edited/")
    k.ok("get configmap cm -o yaml", "a: edited")
    k.ok("edit configmap cm", "Edit cancelled, no changes made", EDITOR="true")
    k.ok(["patch", "configmap", "cm", "-p", '{"data":{"p":"1"}}'], "configmap/cm patched")
    k.ok(["patch", "configmap", "cm", "--type=merge", "-p", '{"data":{"p":null,"q":"2"}}'], "configmap/cm patched")
    k.ok(["patch", "configmap", "cm", "--type=json", "-p", '[{"op":"replace","path":"/data/q","value":"3"}]'], "configmap/cm patched")
    k.ok(["get", "configmap", "cm", "-o", "jsonpath={.data}"], '"q":"3"', '!"p"')
    k.ok(["patch", "configmap", "cm", "-p", '{"data":{"q":"3"}}'], "configmap/cm patched \\(no change\\)")
    k.ok(["patch", "deployment", "web", "-p", '{"spec":{"replicas":"many"}}'], "invalid|Invalid", code=1)
    k.ok("set image deployment/web nginx=nginx:3", "image updated")
    k.ok("set env deployment/web A=1 B=2", "env updated")
    k.ok("set env deployment/web --list", "A=1")
    k.ok("set resources deployment/web --limits=cpu=200m,memory=64Mi --requests=cpu=100m", "resource requirements updated")
    k.ok("set serviceaccount deployment/web robot", "serviceaccount updated")
    k.ok("set selector service/cip app=web", "selector updated")
    k.ok("set subject rolebinding rb --user=jane", "subjects updated")


def rolling(k):
    k.ok("rollout status deployment/web --timeout=25s", "successfully rolled out")
    k.ok("rollout history deployment/web", "^REVISION +CHANGE-CAUSE", "^2 ")
    k.ok("rollout history deployment/web --revision=1", "nginx:1")
    k.ok("rollout undo deployment/web --to-revision=1", "rolled back")
    k.ok("rollout status deployment/web --timeout=25s", "successfully rolled out")
    k.ok(["get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"], "^nginx:1$")
    k.ok("rollout pause deployment/web", "paused")
    k.ok("rollout restart deployment/web", "paused", code=1)
    k.ok("rollout resume deployment/web", "resumed")
    k.ok("rollout restart deployment/web", "restarted")
    k.ok("rollout status deployment/web --timeout=25s", "successfully rolled out")
    k.ok("scale deployment/web --replicas=3", "scaled")
    k.ok("scale deployment/web --replicas=1 --current-replicas=7", "Expected replicas to be 7, was 3", code=1)
    k.ok("wait deployment/web --for=jsonpath='{{.status.readyReplicas}}'=3 --timeout=25s", "condition met")
    scaling_itself(k)
    k.ok("expose deployment web --port=80 --name=exposed", "service/exposed exposed")
    k.ok("get endpoints exposed", r"exposed +\d+\.\d+\.\d+\.\d+:80")
    k.ok("run solo --image=busybox --restart=Never --labels=run=solo", "pod/solo created")
    k.ok("wait pod/solo --for=condition=PodScheduled --timeout=20s", "condition met")


def scaling_itself(k):
    if k.run("get --raw /apis/autoscaling/v1")[0]:
        print("SKIPPED: autoscale: this server does not serve autoscaling/v1", flush=True)
        return
    k.ok("autoscale deployment/web --min=1 --max=3 --cpu-percent=80" if "--cpu-percent" in k.run("autoscale -h")[1] else
         "autoscale deployment/web --min=1 --max=3 --cpu=80%", "autoscaled")
    k.ok("get hpa web", r"^web +Deployment/web +cpu: \S+/80% +1 +3 +\d")
    k.ok("delete hpa web", "deleted")


def describing(k):
    k.ok("describe pod one", "^Name: +one", "^Node: +hollow-", "^Events:", "Successfully assigned {ns}/one to hollow")
    k.ok("describe deployment web", r"^Replicas: +3 desired", "^OldReplicaSets:", "ScalingReplicaSet")
    k.ok("describe node hollow-0", "^Capacity:", "^Conditions:", "^Allocated resources:")
    k.ok("describe namespace {ns}", "^Status: +Active", "Resource Quotas")
    for kind in ("service/cip", "configmap/cm", "secret/sec", "serviceaccount/robot", "job/j", "cronjob/cj", "role/r", "rolebinding/rb",
                 "clusterrole/{ns}-cr", "clusterrolebinding/{ns}-crb", "quota/q", "pdb/pdb", "priorityclass/{ns}-pc", "ingress/ing", "replicaset",
                 "endpoints/cip", "endpointslice"):
        k.ok("describe " + kind, "^Name:")


def governing(k):
    k.ok("auth can-i create pods", "^yes$")
    if not k.program.endswith("1.27"):  # asks for v1beta1 alone, which 1.36 does not serve
        k.ok("auth whoami", "^Username")
    k.ok("top pods", "metrics not available yet", code=1)
    if k.run("get clusterrole view")[0]:
        print("SKIPPED: what --as may do: this server has no RBAC", flush=True)
        return
    k.ok("auth can-i create pods --as=system:serviceaccount:{ns}:robot", "^no", code=1)
    k.ok("auth can-i --list --as=system:serviceaccount:{ns}:robot", "pods ", r"get list")
    k.ok("get pods --as=jane", "^one")  # by the role binding above
    k.ok("get secrets --as=jane", "secrets is forbidden: User \"jane\" cannot list resource \"secrets\"", code=1)
    k.ok("get nodes --as=jane", "nodes is forbidden: User \"jane\" cannot list resource \"nodes\" in API group \"\" at the cluster scope", code=1)


def removing(k):
    k.ok("delete pod solo --wait=false", "pod \"solo\".* deleted")
    k.ok("delete pod two --grace-period=0 --force", "force deleted")
    k.ok("delete pods -l app=x", "pod \"one\".* deleted", "!two")
    k.ok("get pods -l app=x", "No resources found")
    k.ok("delete deployment web --cascade=orphan", "deleted")
    k.ok("get rs -l app=web -o name", "replicaset.apps/web-")
    k.ok("delete rs -l app=web --cascade=foreground", "deleted")
    k.ok("wait pod -l app=web --for=delete --timeout=25s")
    k.ok("get pods -l app=web -o name", "!pod/")
    k.ok("delete job --all --cascade=background", "\"j\".* deleted")
    k.ok("delete configmap --all", "configmap \"cm\".* deleted")
    k.ok("delete configmap nothere", "NotFound", code=1)
    k.ok("delete configmap nothere --ignore-not-found", "!Error")
    k.ok("delete clusterrole/{ns}-cr clusterrolebinding/{ns}-crb priorityclass/{ns}-pc", "deleted")
    k.ok("delete namespace {ns}-sub {ns}", "namespace \"{ns}\" deleted")
    k.ok("get namespace {ns}", "NotFound", code=1)


def nodes(k):
    """One at a time: the nodes are common to all."""
    k.ok("create namespace {ns}")
    k.ok("wait --for=jsonpath='{{.metadata.name}}'=default serviceaccount/default --timeout=20s")
    k.ok("create deployment d --image=busybox --replicas=6")
    k.ok("rollout status deployment/d --timeout=25s")
    k.ok("cordon hollow-0", "node/hollow-0 cordoned")
    k.ok("get node hollow-0", "Ready,SchedulingDisabled")
    k.ok("cordon hollow-0", "already cordoned")
    k.ok("drain hollow-0 --ignore-daemonsets --delete-emptydir-data --force --timeout=25s", "evicting pod|drained")
    k.ok("get pods --field-selector spec.nodeName=hollow-0 -o name", "!pod/")
    k.ok("uncordon hollow-0", "node/hollow-0 uncordoned")
    k.ok("taint node hollow-1 key=value:NoExecute", "node/hollow-1 tainted")
    k.ok("taint node hollow-1 key:NoExecute-", "untainted")
    k.ok("label node hollow-2 disk=ssd", "labeled")
    k.ok("get nodes -l disk=ssd -o name", "^node/hollow-2$", "!hollow-1")
    k.ok("label node hollow-2 disk-", "unlabeled")
    k.ok("rollout status deployment/d --timeout=25s", "successfully rolled out")
    k.ok("delete namespace {ns}", "deleted")


PARTS = [creating, applying, reading, watching, explaining, changing, rolling, describing, governing, removing]


def programs():
    if os.environ.get("KUBECTLS"):
        return os.environ["KUBECTLS"].split()
    first = shutil.which("kubectl")
    if not first:
        sys.exit("no kubectl found")
    beside = glob.glob(os.path.dirname(os.path.realpath(first)) + "/kubectl.1.[0-9]*")
    return sorted(p for p in beside if p[-1].isdigit()) or [first]


def check(program, kubeconfig):
    name = os.path.basename(program).replace(".", "-")
    k = Kubectl(program, kubeconfig, name)
    t0 = time.time()
    for part in PARTS:
        part(k)
    shutil.rmtree(k.dir, ignore_errors=True)
    return program, k, time.time() - t0


def main():
    failed = 0
    with api.Control() as c:
        kubeconfig = c.dir + "/data/admin.kubeconfig"
        hollow = subprocess.Popen([api.SAMPAN, "hollow", "--kubeconfig", kubeconfig, "--nodes", "3"], stdout=c.log, stderr=c.log)
        try:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                results = list(pool.map(lambda p: check(p, kubeconfig), programs()))
            k = Kubectl(programs()[-1], kubeconfig, "nodes")
            t0 = time.time()
            nodes(k)
            for program, k, seconds in results + [("nodes", k, time.time() - t0)]:
                print(f"{program}: {k.n} checks, {len(k.failed)} failed, {seconds:.1f} s")
                for text in k.failed:
                    print("  FAIL " + text)
                failed += len(k.failed)
        finally:
            hollow.terminate()
            hollow.wait(10)
    sys.exit(f"{failed} failed" if failed else 0)


if __name__ == "__main__":
    main()
