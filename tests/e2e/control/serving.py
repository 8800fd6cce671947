#!/usr/bin/env python3
"""The HTTPS ports of kube-controller-manager and kube-scheduler, alone and inside `control`: who may ask (delegated authentication
and authorization), health, metrics in a format that Prometheus takes, flags that do not go."""
import http.client, json, os, socket, ssl, subprocess, sys, tempfile, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import exposition
from api import SAMPAN, Control, free_port

failures = []
processes = []


def check(what, ok, got=""):
    if not ok:
        failures.append(what)
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:600]}"))


def until(what, ok, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        try:
            if ok():
                return True
        except OSError:
            pass
        time.sleep(0.05)
    check(what, False, "not in time")
    return False


def get(port, path, token=None, context=None, method="GET"):
    c = http.client.HTTPSConnection("127.0.0.1", port, context=context or ssl._create_unverified_context(), timeout=10)
    c.request(method, path, headers={"Authorization": "Bearer " + token} if token else {})
    r = c.getresponse()
    text = r.read().decode()
    c.close()
    return r.status, text


def account(c, name, allowed):
    """A service account's token; `allowed`: it may get /metrics."""
    c.ask("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": name}})
    if allowed:
        c.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles",
              {"metadata": {"name": "scraper"}, "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]})
        c.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
              {"metadata": {"name": "scraper"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "scraper"},
               "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}]})
    s, o = c.ask("POST", f"/api/v1/namespaces/default/serviceaccounts/{name}/token", {"spec": {}})
    assert s == 201, o
    return o["status"]["token"]


def check_who(what, c, port, scraper, nobody):
    s, t = get(port, "/healthz")
    check(f"{what}: /healthz is for everybody", (s, t) == (200, "ok"), (s, t))
    s, t = get(port, "/metrics")
    check(f"{what}: /metrics is not", s == 403 and json.loads(t)["message"] ==
          'forbidden: User "system:anonymous" cannot get path "/metrics"', (s, t))
    s, t = get(port, "/metrics", token=nobody)
    check(f"{what}: a token without the right", s == 403 and "system:serviceaccount:default:nobody" in t, (s, t))
    s, t = get(port, "/metrics", token="not.a.token")
    check(f"{what}: a wrong token", s == 401 and json.loads(t)["reason"] == "Unauthorized", (s, t))
    s, t = get(port, "/healthz", token="not.a.token")
    check(f"{what}: a wrong token even where everybody may", s == 401, (s, t))
    s, t = get(port, "/metrics", token=scraper)
    check(f"{what}: a token with the right", s == 200, (s, t))
    s, t = get(port, "/metrics", token=scraper, method="POST")
    check(f"{what}: the right is for one verb", s == 403 and "cannot post path" in t, (s, t))
    s, t = get(port, "/configz", token=scraper)
    check(f"{what}: … and one path", s == 403, (s, t))


def check_pages(what, port, context, component, health):
    for path in ("/healthz", "/livez", "/readyz"):
        s, t = get(port, path + "?verbose", context=context)
        want = 200 if path in health else 404
        check(f"{what}: {path}?verbose", s == want and (want == 404 or t.endswith(path[1:] + " check passed\n")), (s, t))
    s, t = get(port, "/statusz", context=context)
    check(f"{what}: /statusz", s == 200 and t.startswith(f"\n{component} statusz\nWarning: ") and "Binary version: 1.36.2" in t, (s, t))
    s, t = get(port, "/flagz", context=context)
    check(f"{what}: /flagz", s == 200 and t.startswith(f"\n{component} flagz\n") and "\nleader-elect: " in t, (s, t))
    s, t = get(port, "/configz", context=context)
    check(f"{what}: /configz", s == 200 and len(json.loads(t)) == 1, (s, t))
    s, t = get(port, "/debug/pprof/", context=context)
    check(f"{what}: /debug/pprof says why not", s == 404 and "perf(1)" in t, (s, t))
    s, t = get(port, "/nothing", context=context)
    check(f"{what}: what is not there", (s, t) == (404, "404 page not found\n"), (s, t))
    s, t = get(port, "/metrics/slis", context=context)
    slis = exposition.parse(t)
    check(f"{what}: /metrics/slis", set(slis) == {"kubernetes_healthcheck", "kubernetes_healthchecks_total", "process_start_time_seconds"}, slis)


ALL = {"kubernetes_build_info", "version_info", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
       "process_max_fds", "process_start_time_seconds"}
CONTROLLERS = ALL | {"workqueue_adds_total", "workqueue_depth", "workqueue_queue_duration_seconds", "workqueue_work_duration_seconds",
                     "workqueue_retries_total", "workqueue_unfinished_work_seconds", "workqueue_longest_running_processor_seconds",
                     "node_collector_zone_size", "node_collector_zone_health", "node_collector_unhealthy_nodes_in_zone"}
SCHEDULER = ALL | {"scheduler_schedule_attempts_total", "scheduler_scheduling_attempt_duration_seconds", "scheduler_pending_pods",
                   "scheduler_pod_scheduling_sli_duration_seconds", "scheduler_pod_scheduling_attempts", "scheduler_cache_size",
                   "scheduler_queue_incoming_pods_total", "scheduler_framework_extension_point_duration_seconds",
                   "scheduler_preemption_attempts_total", "scheduler_preemption_victims"}
CLIENT = {"rest_client_requests_total", "rest_client_request_duration_seconds", "leader_election_master_status"}

NODE = {"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z1"}}, "status": {
    "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "2"}, "capacity": {"cpu": "4", "memory": "8Gi", "pods": "2"},
    "conditions": [{"type": "Ready", "status": "True"}]}}
SET = {"metadata": {"name": "r"}, "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "r"}}, "template": {
    "metadata": {"labels": {"a": "r"}}, "spec": {"tolerations": [{"operator": "Exists"}], "containers": [{"name": "c", "image": "i"}]}}}}


def make_work(c):
    """One node with room for two pods, and a set of three."""
    c.ask("POST", "/api/v1/nodes", NODE)
    until("a service account", lambda: c.ask("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200)
    c.ask("POST", "/apis/apps/v1/namespaces/default/replicasets", SET)

    def placed():
        pods = c.ask("GET", "/api/v1/namespaces/default/pods")[1]["items"]
        refused = [p for p in pods if any(d.get("reason") == "Unschedulable" for d in p["status"].get("conditions", []))]
        return len([p for p in pods if p["spec"].get("nodeName")]) == 2 and len(refused) == 1
    until("two pods have a node, one cannot", placed)


def check_numbers(what, c, kcm_port, scheduler_port, extra=frozenset()):
    s, t = get(kcm_port, "/metrics", context=c.context)
    m = exposition.parse(t)
    check(f"{what}: the controllers' metrics are as upstream's", not exposition.differences(m), exposition.differences(m))
    check(f"{what}: the controllers' metrics", CONTROLLERS | extra <= set(m), (CONTROLLERS | extra) - set(m))
    check(f"{what}: the queue of replica sets", m["workqueue_adds_total"].value(name="replicaset") >= 1)
    check(f"{what}: a zone of one healthy node", m["node_collector_zone_size"].value(zone="::z1") == 1 and
          m["node_collector_zone_health"].value(zone="::z1") == 100, m["node_collector_zone_size"].samples)
    s, t = get(scheduler_port, "/metrics", context=c.context)
    m = exposition.parse(t)
    check(f"{what}: the scheduler's metrics are as upstream's", not exposition.differences(m), exposition.differences(m))
    check(f"{what}: the scheduler's metrics", SCHEDULER | extra <= set(m), (SCHEDULER | extra) - set(m))
    check(f"{what}: two attempts succeeded", m["scheduler_schedule_attempts_total"].value(result="scheduled") == 2)
    check(f"{what}: one did not", m["scheduler_schedule_attempts_total"].value(result="unschedulable") >= 1)
    waits = m["scheduler_pending_pods"]
    check(f"{what}: one pod waits", sum(waits.value(queue=q) for q in ("active", "backoff", "unschedulable")) == 1, waits.samples)
    check(f"{what}: labels", m["scheduler_framework_extension_point_duration_seconds"].labels() == {"extension_point", "profile", "status"})
    return m


kcm_port, scheduler_port = free_port(), free_port()
with Control(extra=[f"--controllers-secure-port={kcm_port}", f"--scheduler-secure-port={scheduler_port}"]) as c:
    scraper, nobody = account(c, "scraper", True), account(c, "nobody", False)
    make_work(c)
    for what, port in (("control's controllers", kcm_port), ("control's scheduler", scheduler_port)):
        check_who(what, c, port, scraper, nobody)
    check_pages("control's controllers", kcm_port, c.context, "kube-controller-manager", {"/healthz"})
    check_pages("control's scheduler", scheduler_port, c.context, "kube-scheduler", {"/healthz", "/livez", "/readyz"})
    check_numbers("control", c, kcm_port, scheduler_port)
    s, t = get(kcm_port, "/healthz?verbose", context=c.context)
    check("control's controllers: a check each", "[+]deployment-controller ok\n" in t and "[+]garbage-collector-controller ok\n" in t, t)
    p = subprocess.run([SAMPAN, "control", "--data-dir", c.dir + "/other", "--bind-address=127.0.0.1", "--secure-port=0",
                        f"--scheduler-secure-port={scheduler_port}"], capture_output=True, text=True, timeout=20)
    check("control: a port in use", p.returncode == 1 and "--scheduler-secure-port" in p.stderr and
          len(p.stderr.strip().splitlines()) == 1, (p.returncode, p.stderr))


def start(c, program, kubeconfig, *flags):
    log = open(f"{c.dir}/{program}.log", "ab")
    path = f"{c.dir}/data/{kubeconfig}.kubeconfig"
    p = subprocess.Popen([SAMPAN, program, "--kubeconfig", path, f"--authentication-kubeconfig={path}", f"--authorization-kubeconfig={path}",
                          "--bind-address=127.0.0.1", *flags], stdout=log, stderr=log)
    processes.append(p)
    return p


with Control("kube-apiserver") as c:
    kcm_port, scheduler_port = free_port(), free_port()
    try:
        kept = c.dir + "/kept"
        os.mkdir(kept)
        start(c, "kube-controller-manager", "controller-manager", f"--secure-port={kcm_port}", f"--cert-dir={kept}")
        start(c, "kube-scheduler", "scheduler", f"--secure-port={scheduler_port}")
        for port in (kcm_port, scheduler_port):
            until("it serves", lambda: get(port, "/healthz")[0] == 200)
        check("--cert-dir keeps the certificate", sorted(os.listdir(kept)) == ["kube-controller-manager.crt", "kube-controller-manager.key"],
              os.listdir(kept))
        pinned = ssl.create_default_context(cafile=kept + "/kube-controller-manager.crt")
        s, t = get(kcm_port, "/healthz", context=pinned)
        check("… and it is the one that is shown", s == 200, (s, t))
        scraper, nobody = account(c, "scraper", True), account(c, "nobody", False)
        make_work(c)
        for what, port in (("kube-controller-manager", kcm_port), ("kube-scheduler", scheduler_port)):
            check_who(what, c, port, scraper, nobody)
            # the client CA is looked up in kube-system/extension-apiserver-authentication
            until(f"{what}: an administrator's certificate", lambda: get(port, "/metrics", context=c.context)[0] == 200)
        check_pages("kube-controller-manager", kcm_port, c.context, "kube-controller-manager", {"/healthz"})
        check_pages("kube-scheduler", scheduler_port, c.context, "kube-scheduler", {"/healthz", "/livez", "/readyz"})
        m = check_numbers("alone", c, kcm_port, scheduler_port, CLIENT)
        check("the scheduler leads", m["leader_election_master_status"].value(name="kube-scheduler") == 1)
        check("requests are counted", m["rest_client_requests_total"].value(method="POST", code="201", host=f"127.0.0.1:{c.port}") >= 2,
              m["rest_client_requests_total"].samples)
        s, t = get(scheduler_port, "/readyz?verbose", context=c.context)
        check("readyz tells of the election", "[+]leaderElection ok\n[+]sched-handler-sync ok\n" in t, t)
        s, t = get(scheduler_port, "/readyz/leaderElection", context=c.context)
        check("one check alone", (s, t) == (200, "ok"), (s, t))
        s, t = get(scheduler_port, "/readyz?exclude=leaderElection&verbose", context=c.context)
        check("… and all but one", "[+]leaderElection excluded: ok\n" in t, t)

        def fails(what, say, *flags):
            path = c.dir + "/data/scheduler.kubeconfig"
            p = subprocess.run([SAMPAN, "kube-scheduler", "--kubeconfig", path, "--bind-address=127.0.0.1", *flags],
                               capture_output=True, text=True, timeout=20)
            lines = p.stderr.strip().splitlines()
            check(what, p.returncode == 1 and len(lines) == 1 and say in lines[0], (p.returncode, p.stderr))

        fails("a port in use", "--secure-port", f"--secure-port={scheduler_port}")
        fails("a port that is none", "--secure-port 70000 must be between 0 and 65535", "--secure-port=70000")
        fails("a certificate that is not there", "/nowhere.crt", "--tls-cert-file=/nowhere.crt", "--tls-private-key-file=/nowhere.key")
        fails("a certificate without its key", "come together", "--tls-cert-file=/nowhere.crt")
        fails("a certificate that is none", "certificate", f"--tls-cert-file={c.dir}/log", f"--tls-private-key-file={c.dir}/log")
        fails("an address that is none", "--bind-address", "--bind-address=nowhere", f"--secure-port={free_port()}")
        fails("a kubeconfig that is not there", "/nowhere.kubeconfig", "--authentication-kubeconfig=/nowhere.kubeconfig",
              f"--secure-port={free_port()}")
    finally:
        for p in processes:
            p.terminate()
        for p in processes:
            p.wait(20)

# who has nobody to ask shows what is open to all, and nothing else
with tempfile.TemporaryDirectory() as d:
    port = free_port()
    log = open(d + "/log", "ab")
    p = subprocess.Popen([SAMPAN, "kube-scheduler", "--master=http://127.0.0.1:1", "--bind-address=127.0.0.1", f"--secure-port={port}",
                          "--leader-elect=false", "--authorization-always-allow-paths=/healthz,/metrics*"], stdout=log, stderr=log)
    try:
        until("it serves", lambda: get(port, "/healthz")[0] == 200)
        check("paths that a flag opens", get(port, "/metrics")[0] == 200 and get(port, "/metrics/slis")[0] == 200)
        check("… and those it does not", get(port, "/readyz")[0] == 403 and get(port, "/statusz", token="x")[0] == 403)
    finally:
        p.terminate()
        p.wait(20)
sys.exit(1 if failures else 0)
