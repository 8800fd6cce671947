#!/usr/bin/env python3
"""kill -9 of the control plane at random moments under load: no acknowledged write is lost, revisions only grow, and it
serves again (the time is printed; make bench judges it)."""
import http.client, os, random, sys, threading, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control

seed = int(os.environ.get("SEED", time.time()))
print("seed", seed)
random.seed(seed)
acked, lock, stop = {}, threading.Lock(), threading.Event()   # name -> (value, revision); None: deleted


def writer(c, who, round_):
    connection, i = c.connect(), 0
    while not stop.is_set():
        name = f"w{who}-{round_}-{i % 40}"
        path = "/api/v1/namespaces/default/configmaps"
        try:
            if name not in acked or acked[name] is None:
                status, o = c.ask("POST", path, {"metadata": {"name": name}, "data": {"v": str(i)}}, connection)
            elif i % 7 == 0:
                status, o = c.ask("DELETE", f"{path}/{name}", None, connection)
                if status == 200:
                    acked[name] = None
                i += 1
                continue
            else:
                status, o = c.ask("PATCH", f"{path}/{name}", {"data": {"v": str(i)}}, connection, {"Content-Type": "application/merge-patch+json"})
            if status in (200, 201):
                acked[name] = (str(i), int(o["metadata"]["resourceVersion"]))
        except (OSError, http.client.HTTPException, ValueError):
            # the write may or may not have happened: this name tells nothing any more
            acked.pop(name, None)
            acked[name + "?"] = None
            return
        i += 1


worst, last_revision = 0, 0
c = Control()
c.start()
for round_ in range(8):
    stop.clear()
    threads = [threading.Thread(target=writer, args=(c, w, round_), daemon=True) for w in range(8)]
    for t in threads:
        t.start()
    time.sleep(random.uniform(0.05, 0.6))
    c.kill()
    stop.set()
    for t in threads:
        t.join(20)
    seconds = c.start()
    worst = max(worst, seconds)
    status, all_ = c.ask("GET", "/api/v1/namespaces/default/configmaps")
    assert status == 200, (status, all_)
    there = {o["metadata"]["name"]: o for o in all_["items"]}
    revision = int(all_["metadata"]["resourceVersion"])
    known = {n: v for n, v in acked.items() if not n.endswith("?")}
    highest = max([v[1] for v in known.values() if v] or [0])
    assert revision >= highest and revision >= last_revision, f"revision went back: {revision}, {highest}, {last_revision}"
    last_revision = revision
    for name, want in known.items():
        if want is None:
            assert name not in there, f"{name} was deleted and is back (seed {seed})"
        else:
            assert name in there, f"{name} was acknowledged and is lost (seed {seed})"
            assert there[name]["data"]["v"] == want[0], f"{name}: {there[name]['data']} is not {want} (seed {seed})"
    print(f"round {round_}: {len(known)} acknowledged names are right, ready again after {seconds * 1000:.0f} ms")
assert len(acked) > 100, "too few writes to tell anything"
c.__exit__(None)
print(f"crash: passed; slowest restart {worst * 1000:.0f} ms")
