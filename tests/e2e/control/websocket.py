#!/usr/bin/env python3
"""Watches over WebSocket, by a client of a few lines: one event, one message; errors are plain answers."""
import base64, json, os, socket, struct, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import Control

failures = []
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def check(what, ok, got=""):
    if not ok:
        failures.append(what)
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:400]}"), flush=True)


class WebSocket:
    def __init__(self, control, path, protocols=()):
        self.s = control.context.wrap_socket(socket.create_connection(("127.0.0.1", control.port), 20))
        offered = f"Sec-WebSocket-Protocol: {', '.join(protocols)}\r\n" if protocols else ""
        self.s.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
                        f"{offered}\r\n").encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.more()
        self.head, self.data = self.data.split(b"\r\n\r\n", 1)
        self.status = int(self.head.split()[1])

    def more(self):
        got = self.s.recv(65536)
        if not got:
            raise EOFError("the server closed the connection")
        self.data += got

    def take(self, n):
        while len(self.data) < n:
            self.more()
        got, self.data = self.data[:n], self.data[n:]
        return got

    def message(self):
        """(opcode, payload); a close frame is (8, code and reason)"""
        first, length = self.take(2)
        if length == 126:
            length, = struct.unpack(">H", self.take(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.take(8))
        return first & 15, self.take(length)

    def event(self):
        opcode, payload = self.message()
        assert opcode == 1 and payload.endswith(b"\n"), (opcode, payload)
        return json.loads(payload)


with Control() as c:
    version = c.ask("GET", CONFIG_MAPS)[1]["metadata"]["resourceVersion"]
    w = WebSocket(c, f"{CONFIG_MAPS}?watch=1&resourceVersion={version}&fieldSelector=metadata.name%3Dw", ["any"])
    check("a watch is upgraded", w.status == 101 and b"Sec-WebSocket-Protocol: any" in w.head, w.head)
    for data in ("one", "two"):
        body = {"metadata": {"name": "w"}, "data": {"k": data}}
        c.ask("POST" if data == "one" else "PUT", CONFIG_MAPS + ("" if data == "one" else "/w"), body)
    c.ask("DELETE", CONFIG_MAPS + "/w")
    events = [w.event() for _ in range(3)]
    check("an event is a message", [e["type"] for e in events] == ["ADDED", "MODIFIED", "DELETED"], events)
    check("with its object", events[1]["object"]["data"] == {"k": "two"}, events)
    w = WebSocket(c, f"{CONFIG_MAPS}?watch=1&resourceVersion={version}&timeoutSeconds=1&fieldSelector=metadata.name%3Dnone")
    opcode, payload = w.message()
    check("its end is an orderly one", opcode == 8 and payload[:2] == struct.pack(">H", 1000), (opcode, payload))
    w = WebSocket(c, f"{CONFIG_MAPS}?watch=1&resourceVersion=x")
    check("what cannot be watched is said plainly", w.status == 500 and b"Sec-WebSocket-Accept" not in w.head, w.head)
    w = WebSocket(c, "/api/v1/namespaces/default/pods/none/log", ["binary.k8s.io"])
    check("nor is a log that is not there upgraded", w.status == 404, w.head)
    w = WebSocket(c, CONFIG_MAPS)
    check("a list is a list", w.status == 200, w.head)

sys.exit(1 if failures else 0)
