#!/usr/bin/env python3
"""Bad input on the wire and in bodies: each gets a clear error, the server lives on and nothing is lost."""
import json, os, random, socket, ssl, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control

failures = []


def check(what, ok, got=""):
    if not ok:
        failures.append(what)
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:300]}"))


with Control() as c:
    CM = "/api/v1/namespaces/default/configmaps"
    status, _ = c.ask("POST", CM, {"metadata": {"name": "keep"}, "data": {"a": "1"}})
    check("a good object", status == 201, status)

    def post(what, body, want, words, path=CM, headers=None):
        status, o = c.ask("POST", path, body, headers=headers)
        message = o.get("message", "") if isinstance(o, dict) else o
        check(what, status == want and all(w in message for w in words) and (status < 400 or not isinstance(o, dict) or o.get("kind") == "Status"), (status, message))

    post("malformed JSON", "{", 400, [])
    post("trailing garbage", '{"metadata":{"name":"x"}} y', 400, [])
    post("wrong type", '{"metadata":{"name":"x"},"data":[1]}', 400, ["json: cannot unmarshal array"])
    post("unknown field, strict", '{"metadata":{"name":"x"},"nope":1}', 400, ['unknown field "nope"'], CM + "?fieldValidation=Strict")
    post("duplicate field, strict", '{"metadata":{"name":"x","name":"y"}}', 400, ["duplicate field"], CM + "?fieldValidation=Strict")
    post("invalid name", '{"metadata":{"name":"UPPER_case"}}', 422, ["metadata.name", "RFC 1123"])
    post("invalid label", '{"metadata":{"name":"x","labels":{"a b":"c"}}}', 422, ["metadata.labels"])
    post("invalid quantity", {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1x"}}}]}}, 400, ["quantities must match"], "/api/v1/namespaces/default/pods")
    post("deep nesting", "[" * 20000, 400, [])
    post("deep nesting in a field", '{"metadata":{"name":"x"},"data":' + '{"a":' * 20000, 400, [])
    post("an oversized body", '{"metadata":{"name":"x"},"data":{"a":"' + "x" * 3_200_000 + '"}}', 413, [])
    post("broken YAML", "a: [b", 400, [], headers={"Content-Type": "application/yaml"})
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9))
    t0 = time.time()
    post("an alias bomb", bomb, 400, [], headers={"Content-Type": "application/yaml"})
    post("an unknown media type", "x", 415, ["unknown format"], headers={"Content-Type": "text/plain"})
    status, o = c.ask("POST", CM, b'{"metadata":{"name":"utf8"},"data":{"a":"\xff\xfe"}}')
    check("broken UTF-8 does not come back broken", status in (201, 400) and json.dumps(o), status)
    status, o = c.ask("GET", CM + "/keep")
    rv = o["metadata"]["resourceVersion"]
    c.ask("PATCH", CM + "/keep", '{"data":{"b":"2"}}', headers={"Content-Type": "application/merge-patch+json"})
    o["metadata"]["resourceVersion"] = rv
    status, o = c.ask("PUT", CM + "/keep", o)
    check("a stale resourceVersion", status == 409 and "the object has been modified" in o["message"], o)
    status, o = c.ask("GET", "/api/v1/namespaces/default/configmaps?labelSelector=a%20in%20(")
    check("a broken selector", status == 400, o)
    status, o = c.ask("GET", "/api/v1/namespaces/default/configmaps?limit=x")
    check("a broken limit", status == 400, o)
    status, o = c.ask("GET", "/api/v1/namespaces/default/configmaps?continue=AAAA&limit=1")
    check("a broken continue token", status == 400, o)
    bare = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", c.port)) as s, bare.wrap_socket(s) as t:
        t.sendall(b"GET /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        while chunk := t.recv(65536):
            data += chunk
        check("anonymous is forbidden", b" 403 " in data and b'system:anonymous' in data, data)
    for auth, want in (("Bearer wrong", b" 401 "),):
        with socket.create_connection(("127.0.0.1", c.port)) as s, bare.wrap_socket(s) as t:
            t.sendall(f"GET /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\nConnection: close\r\n\r\n".encode())
            check("a wrong token is 401", want in t.recv(65536))

    def raw(what, data, want=None, tls=True, wait=2):
        """Sends bytes and expects an answer that begins like `want`, or that the connection is closed."""
        with socket.create_connection(("127.0.0.1", c.port), timeout=wait) as s:
            t = c.context.wrap_socket(s) if tls else s
            try:
                t.sendall(data)
                got = t.recv(4096)
            except (OSError, ssl.SSLError) as e:
                got = b"" if not isinstance(e, TimeoutError) else b"(still open)"
            check(what, got.startswith(want) if want else got != b"(still open)" or want is None, got)

    random.seed(1)
    raw("TLS garbage", bytes(random.randrange(256) for _ in range(500)), tls=False)
    raw("plain HTTP on the TLS port", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", tls=False)
    raw("a garbage request line", b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 400")
    raw("a bare LF request", b"GET / HTTP/1.1\nHost: x\n\n")
    raw("a head that never ends", b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 2_000_000, b"HTTP/1.1 431")
    raw("two lengths", b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", b"HTTP/1.1 400")
    raw("length and chunks", b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"HTTP/1.1 400")
    raw("a negative length", b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 400")
    raw("a broken chunk", b"POST /api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 400")
    for _ in range(50):  # half requests: dropped in the middle
        with socket.create_connection(("127.0.0.1", c.port)) as s:
            t = c.context.wrap_socket(s)
            t.sendall(b"POST " + CM.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"metadata\":{\"name\":\"half\"}"[: random.randrange(10, 140)])
    slow = [socket.create_connection(("127.0.0.1", c.port)) for _ in range(20)]  # slow clients hold no one up
    t0 = time.time()
    status, o = c.ask("GET", CM + "/keep")
    check("others are served meanwhile", status == 200 and o["data"] == {"a": "1", "b": "2"}, o)
    status, o = c.ask("GET", CM + "/half")
    check("half a request made nothing", status == 404, o)
    for s in slow:
        s.close()
    check("the server lives", c.alive())
sys.exit("failed: " + ", ".join(failures) if failures else 0)
