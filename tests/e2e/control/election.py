#!/usr/bin/env python3
"""Two controller managers and two schedulers beside one API server: one of each works; when the leaders die or stop, the others go
on, and nothing is done twice. Nodes are simulated."""
import os, signal, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control, SAMPAN

failures = []


def check(what, ok, got=""):
    if not ok:
        failures.append(what)
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:500]}"))


def until(what, condition, seconds=60):
    """Waits for it; the seconds it took."""
    t0 = time.time()
    while not condition():
        if time.time() - t0 > seconds:
            check(what, False, f"not after {seconds} s")
            return None
        time.sleep(0.05)
    return time.time() - t0


DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
    "replicas": 20, "selector": {"matchLabels": {"a": "d"}},
    "template": {"metadata": {"labels": {"a": "d"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}
processes = []

with Control("kube-apiserver") as c:
    def start(program, n):
        short = {"kube-controller-manager": "controller-manager", "kube-scheduler": "scheduler"}[program]
        log = open(f"{c.dir}/{program}-{n}.log", "wb")
        p = subprocess.Popen([SAMPAN, program, "--kubeconfig", f"{c.dir}/data/{short}.kubeconfig", "--secure-port=0"], stdout=log, stderr=log)
        processes.append(p)
        return p, log.name

    def lease(program):
        status, o = c.ask("GET", f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{program}")
        return o["spec"] if status == 200 else {}

    def leader(pairs):
        """The one whose log says last that it leads."""
        for p, log in pairs:
            lines = [l for l in open(log).read().splitlines() if l.endswith(("became leader", "stopped leading"))]
            if p.poll() is None and lines and lines[-1].endswith("became leader"):
                return p
        return None

    def pods():
        return c.ask("GET", "/api/v1/namespaces/default/pods")[1]["items"]

    def running(n):
        items = pods()
        return len(items) == n and all(p["status"].get("phase") == "Running" for p in items)

    try:
        programs = ("kube-controller-manager", "kube-scheduler")
        members = {program: [start(program, n) for n in range(2)] for program in programs}
        processes.append(subprocess.Popen([SAMPAN, "hollow", "--kubeconfig", f"{c.dir}/data/admin.kubeconfig", "--nodes", "3"],
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until("one of each leads", lambda: all(leader(members[p]) for p in programs))
        until("a service account", lambda: c.ask("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200)
        c.ask("POST", "/apis/apps/v1/namespaces/default/deployments", DEPLOYMENT)
        until("20 pods run", lambda: running(20))
        check("one of each leads", all(sum(leader([m]) is not None for m in members[p]) == 1 for p in programs))
        for how, sig, grown in (("killed", signal.SIGKILL, 40), ("stopped", signal.SIGTERM, 60)):
            before = {p: lease(p) for p in programs}
            for p in programs:
                old = leader(members[p])
                old.send_signal(sig)
                old.wait(20)
                members[p].append(start(p, len(members[p])))
            status, o = c.ask("PATCH", "/apis/apps/v1/namespaces/default/deployments/d", {"spec": {"replicas": grown}},
                              headers={"Content-Type": "application/merge-patch+json"})
            check(f"scaled while the leaders are {how}", status == 200, o)
            took = until(f"{grown} pods run after the leaders were {how}", lambda: running(grown))
            print(f"     the leaders were {how}; {grown} pods ran {took or -1:.1f} s later")
            for p in programs:
                now = lease(p)
                check(f"{p}: the lease has gone to another, once", now["leaseTransitions"] == before[p]["leaseTransitions"] + 1 and
                      now["holderIdentity"] not in ("", before[p]["holderIdentity"]), (before[p], now))
                check(f"{p}: one leads", sum(leader([m]) is not None for m in members[p]) == 1)
        events = [e for e in c.ask("GET", "/api/v1/namespaces/default/events")[1]["items"]]
        made = sum(e.get("count", 1) or 1 for e in events if e["reason"] == "SuccessfulCreate")
        check("no pod was made that had to go again", not [e for e in events if e["reason"] == "SuccessfulDelete"] and len(pods()) == 60, made)
        nodes = [p["spec"].get("nodeName") for p in pods()]
        check("every pod is bound", all(nodes), nodes)
    finally:
        for p in processes:
            if p.poll() is None:
                p.terminate()
        for p in processes:
            p.wait(20)

sys.exit(1 if failures else 0)
