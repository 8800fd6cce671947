#!/usr/bin/env python3
"""ResourceQuota under many writers at once: never exceeded, used up exactly, given back."""
import os, sys, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control

failures = []
NS = "/api/v1/namespaces/q"
HARD, WRITERS, EACH = 40, 8, 20


def check(what, ok, got=""):
    if not ok:
        failures.append(what)
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:400]}"), flush=True)


with Control() as c:
    c.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "q"}})
    c.ask("POST", NS + "/resourcequotas", {"metadata": {"name": "one"}, "spec": {"hard": {"secrets": str(HARD), "count/configmaps": "100"}}})
    c.ask("POST", NS + "/resourcequotas", {"metadata": {"name": "two"}, "spec": {"hard": {"count/secrets": str(HARD + 10)}}})

    def used(quota, resource):
        status = c.ask("GET", NS + "/resourcequotas/" + quota)[1].get("status", {})
        return status.get("used", {}).get(resource)

    def until(quota, resource, value):
        while used(quota, resource) != value:
            pass

    until("one", "secrets", "0")
    until("two", "count/secrets", "0")
    codes, lock = [], threading.Lock()

    def write(writer):
        connection = c.connect(60)
        for i in range(EACH):
            status, o = c.ask("POST", NS + "/secrets", {"metadata": {"name": f"s-{writer}-{i}"}}, connection=connection)
            with lock:
                codes.append((status, o.get("message", "")))

    threads = [threading.Thread(target=write, args=(w,)) for w in range(WRITERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    made = [s for s, _ in codes if s == 201]
    refused = [m for s, m in codes if s == 403 and "exceeded quota: one, requested: secrets=1, used: secrets=40, limited: secrets=40" in m]
    there = len(c.ask("GET", NS + "/secrets")[1]["items"])
    check("as many as the quota allows were made", len(made) == HARD, len(made))
    check("all others were refused", len(refused) == WRITERS * EACH - HARD, [x for x in codes if x[0] not in (201, 403)][:3])
    check("as many are there", there == HARD, there)
    check("as many were charged", used("one", "secrets") == str(HARD), used("one", "secrets"))
    check("the other quota, too", used("two", "count/secrets") == str(HARD), used("two", "count/secrets"))
    status, o = c.ask("POST", NS + "/secrets?dryRun=All", {"metadata": {"name": "dry"}})
    check("a dry run is refused, too", status == 403, o)
    for name in [i["metadata"]["name"] for i in c.ask("GET", NS + "/secrets")[1]["items"]][:5]:
        c.ask("DELETE", NS + "/secrets/" + name)
    until("one", "secrets", str(HARD - 5))
    check("what is deleted is given back", c.ask("POST", NS + "/secrets", {"metadata": {"name": "again"}})[0] == 201)
    check("and charged again", used("one", "secrets") == str(HARD - 4), used("one", "secrets"))

sys.exit(f"{len(failures)} failed: {failures}" if failures else 0)
