#!/usr/bin/env python3
"""Where cluster IPs come from: the default ServiceCIDR and others, who has which address, and what repairs it."""
import os, signal, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control

failures = []
NET = "/apis/networking.k8s.io/v1"
SERVICES = "/api/v1/namespaces/default/services"
PATIENCE_S = 60


def check(what, ok, got=""):
    if not ok:
        failures.append(what)
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:600]}"), flush=True)


def until(what, get, good):
    end = time.time() + PATIENCE_S
    while not good(got := get()):
        if time.time() > end:
            break
        time.sleep(0.05)
    check(what, good(got), got)
    return got


def ready(o):
    return [(c["status"], c["reason"]) for c in o.get("status", {}).get("conditions", []) if c["type"] == "Ready"]


with Control(extra=["--service-cluster-ip-range", "10.99.0.0/29"]) as c:
    def cidr(name):
        status, o = c.ask("GET", f"{NET}/servicecidrs/{name}")
        return o if status == 200 else {}

    def addresses():
        return {i["metadata"]["name"]: i["spec"]["parentRef"]["name"] for i in c.ask("GET", NET + "/ipaddresses")[1]["items"]}

    def service(name, **spec):
        return c.ask("POST", SERVICES, {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}})

    until("the default range is ready and protected", lambda: cidr("kubernetes"),
          lambda o: ready(o) == [("True", "")] and o["spec"]["cidrs"] == ["10.99.0.0/29"]
          and o["metadata"].get("finalizers") == ["networking.k8s.io/service-cidr-finalizer"])
    check("the first Service has an IPAddress", addresses() == {"10.99.0.1": "kubernetes"}, addresses())
    made = [service(f"s{i}") for i in range(6)]
    check("a range of six addresses has five more", [s for s, _ in made] == [201] * 5 + [500], made[-1])
    check("and then it is full", "range is full" in made[-1][1].get("message", ""), made[-1])
    check("each has an IPAddress", sorted(addresses().values()) == ["kubernetes"] + [f"s{i}" for i in range(5)], addresses())

    status, o = c.ask("POST", NET + "/servicecidrs", {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.98.0.0/28"]}})
    check("another range", status == 201, o)
    until("becomes ready", lambda: cidr("more"), lambda o: ready(o) == [("True", "")])
    status, o = service("more-0")
    check("Services get addresses from it", status == 201 and o["spec"]["clusterIP"].startswith("10.98.0."), o)
    status, o = service("more-1", clusterIP="10.98.0.3")
    check("asked for, too", status == 201 or "already allocated" in o["message"], o)
    status, o = service("none", clusterIP="10.97.0.3")
    check("of no other network", status == 422, o)

    c.ask("DELETE", NET + "/ipaddresses/10.99.0.1")
    until("an IPAddress that somebody deletes comes back", addresses, lambda a: a.get("10.99.0.1") == "kubernetes")
    c.ask("POST", NET + "/ipaddresses", {"metadata": {"name": "10.98.0.9"}, "spec": {"parentRef": {"resource": "things", "name": "t"}}})
    check("an address that somebody else has is not given away", service("more-2", clusterIP="10.98.0.9")[0] == 422)

    c.kill(signal.SIGTERM)
    c.start()
    check("a restart forgets none of them", addresses().get("10.99.0.1") == "kubernetes" and len(addresses()) >= 8, addresses())
    check("nor that they are taken", service("again", clusterIP="10.99.0.1")[0] == 422)

    c.ask("DELETE", NET + "/servicecidrs/more")
    until("a range in use stays", lambda: cidr("more"), lambda o: ready(o) == [("False", "Terminating")])
    check("and gives no more addresses", service("late")[0] == 500)
    c.ask("DELETE", NET + "/servicecidrs/kubernetes")
    until("the default one, too", lambda: cidr("kubernetes"), lambda o: ready(o) == [("False", "Terminating")])
    for name in ("more-0", "more-1"):
        c.ask("DELETE", f"{SERVICES}/{name}")
    until("nobody's range goes", lambda: cidr("more"), lambda o: not o)
    for i in range(5):
        c.ask("DELETE", f"{SERVICES}/s{i}")
    until("addresses go with their Services", addresses, lambda a: sorted(a.values()) == ["kubernetes", "t"])

sys.exit(1 if failures else 0)
