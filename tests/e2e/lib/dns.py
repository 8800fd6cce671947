#!/usr/bin/env python3
"""dns.py: a small DNS client and server for tests; standard library only.

  dns.py ask SERVER[:PORT] NAME TYPE [--tcp] [--plain] [--id-too]
      prints the rcode and flags ("NOERROR aa tc ra"), then each record: "answer NAME TTL TYPE DATA", sorted by section
  dns.py serve IP PORT LOG
      a name server for example.test; appends each question to LOG ("udp www.example.test A")
  dns.py throw SERVER[:PORT] SECONDS
      bytes that are no queries; prints nothing, fails when an answer to a response comes
"""
import os, random, socket, struct, sys, threading, time

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "TXT": 16, "AAAA": 28, "SRV": 33, "ANY": 255}
NAMES = {v: k for k, v in TYPES.items()}
RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]


def pack_name(name):
    out = b""
    for label in [x for x in name.rstrip(".").split(".") if x]:
        out += bytes([len(label)]) + label.encode()
    return out + b"\0"


def read_name(m, at):
    labels, end = [], None
    while m[at]:
        if m[at] >= 0xc0:
            end = end or at + 2
            to = (m[at] & 0x3f) << 8 | m[at + 1]
            assert to < at, "a pointer that does not lead back"
            at = to
            continue
        labels.append(m[at + 1:at + 1 + m[at]].decode())
        at += 1 + m[at]
    return ".".join(labels), end or at + 1


def data_text(m, kind, at, size):
    if kind == "A":
        return socket.inet_ntop(socket.AF_INET, m[at:at + 4])
    if kind == "AAAA":
        return socket.inet_ntop(socket.AF_INET6, m[at:at + 16])
    if kind in ("NS", "CNAME", "PTR"):
        return read_name(m, at)[0]
    if kind == "SRV":
        return "%d %d %d " % struct.unpack(">HHH", m[at:at + 6]) + read_name(m, at + 6)[0]
    if kind == "SOA":
        server, at = read_name(m, at)
        box, at = read_name(m, at)
        return "%s %s %d %d %d %d %d" % (server, box, *struct.unpack(">5I", m[at:at + 20]))
    if kind == "TXT":
        return m[at + 1:at + 1 + m[at]].decode()
    return m[at:at + size].hex()


def parse(m):
    ident, flags, qd, *counts = struct.unpack(">6H", m[:12])
    at, question = 12, None
    for _ in range(qd):
        name, at = read_name(m, at)
        question = (name, NAMES.get(struct.unpack(">H", m[at:at + 2])[0], "?"))
        at += 4
    records, edns = [], None
    for section, n in zip(("answer", "authority", "additional"), counts):
        for _ in range(n):
            name, at = read_name(m, at)
            kind, _, ttl, size = struct.unpack(">HHIH", m[at:at + 10])
            at += 10
            if kind == 41:
                edns = ttl >> 24
            else:
                kind = NAMES.get(kind, str(kind))
                records.append((section, name, ttl, kind, data_text(m, kind, at, size)))
            at += size
    assert at == len(m), "bytes behind the message"
    return ident, flags, question, records, edns


def query(name, kind, ident, plain=False):
    m = struct.pack(">6H", ident, 0x100, 1, 0, 0, 0 if plain else 1) + pack_name(name) + struct.pack(">HH", TYPES[kind], 1)
    return m if plain else m + b"\0" + struct.pack(">HHIH", 41, 4096, 0, 0)


def endpoint(text):
    if text.count(":") > 1:
        return text, 53
    host, _, port = text.partition(":")
    return host, int(port or 53)


def receive(s, n):
    out = b""
    while len(out) < n:
        part = s.recv(n - len(out))
        assert part, "the connection ended"
        out += part
    return out


def exchange(server, m, tcp):
    family = socket.AF_INET6 if server.count(":") > 1 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
        s.settimeout(8)
        s.connect(endpoint(server))
        if not tcp:
            s.send(m)
            return s.recv(65535)
        s.sendall(struct.pack(">H", len(m)) + m)
        return receive(s, struct.unpack(">H", receive(s, 2))[0])


def ask(server, name, kind, *flags):
    ident = random.randrange(65536)
    m = exchange(server, query(name, kind, ident, "--plain" in flags), "--tcp" in flags)
    got, bits, question, records, edns = parse(m)
    assert got == ident and bits & 0x8000, "not the answer"
    assert question == (name.rstrip("."), kind), "the question came back as %s" % (question,)  # case preserved, too
    assert (edns is None) == ("--plain" in flags), "EDNS"
    words = [RCODES[bits & 15]] + [w for w, b in (("aa", 0x400), ("tc", 0x200), ("ra", 0x80)) if bits & b]
    print(" ".join(words))
    for r in sorted(records, key=lambda r: (("answer", "authority", "additional").index(r[0]), r[4])):
        print("%s %s %d %s %s" % r)


def upstream_answer(m, log, how):
    ident, flags, (name, kind), _, edns = parse(m)
    with open(log, "a") as f:
        f.write("%s %s %s\n" % (how, name, kind))
    lower, out, rcode = name.lower(), [], 0
    if lower == "www.example.test" and kind == "A":
        out = [(1, 60, socket.inet_aton("198.51.100.7"))]
    elif lower == "alias.example.test" and kind == "A":
        target = pack_name("www.example.test")
        out = [(5, 60, target)]
        m2 = b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, len(target)) + target
        # the address belongs to the name at the end of the chain
        tail = target + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton("198.51.100.7")
        return struct.pack(">6H", ident, 0x8180, 1, 2, 0, 0) + pack_name(name) + struct.pack(">HH", 1, 1) + m2 + tail
    elif lower == "big.example.test" and kind == "A":
        if how == "udp":
            return struct.pack(">6H", ident, 0x8380, 1, 0, 0, 0) + pack_name(name) + struct.pack(">HH", 1, 1)
        out = [(1, 60, bytes([198, 51, 100, i])) for i in range(200)]
    elif lower == "silent.example.test":
        return None
    elif not lower.endswith("example.test"):
        rcode = 5
    else:
        rcode = 3
    body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", t, 1, ttl, len(d)) + d for t, ttl, d in out)
    soa = b""
    if not out and rcode == 3:
        d = pack_name("ns.example.test") + pack_name("root.example.test") + struct.pack(">5I", 1, 2, 3, 4, 20)
        soa = pack_name("example.test") + struct.pack(">HHIH", 6, 1, 20, len(d)) + d
    opt = b"" if edns is None else b"\0" + struct.pack(">HHIH", 41, 4096, 0, 0)
    return (struct.pack(">6H", ident, 0x8180 | rcode, 1, len(out), 1 if soa else 0, 1 if opt else 0) + pack_name(name) +
            struct.pack(">HH", TYPES[kind], 1) + body + soa + opt)


def serve(ip, port, log):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    udp.bind((ip, int(port)))
    tcp.bind((ip, int(port)))
    tcp.listen(16)

    def serve_tcp():
        while True:
            c, _ = tcp.accept()
            with c:
                m = receive(c, struct.unpack(">H", receive(c, 2))[0])
                a = upstream_answer(m, log, "tcp")
                if a:
                    c.sendall(struct.pack(">H", len(a)) + a)

    threading.Thread(target=serve_tcp, daemon=True).start()
    while True:
        m, where = udp.recvfrom(4096)
        a = upstream_answer(m, log, "udp")
        if a:
            udp.sendto(a, where)


def throw(server, seconds):
    rnd = random.Random(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(endpoint(server))
        s.settimeout(0.3)
        end = time.time() + float(seconds)
        while time.time() < end:
            s.send(bytes(rnd.randrange(256) for _ in range(rnd.randrange(64))))
        try:
            while True:
                s.recv(4096)
        except TimeoutError:
            pass
        m = bytearray(query("kubernetes.default.svc.cluster.local", "A", 1))
        m[2] |= 0x80  # an answer: two servers must not begin to talk
        s.send(m)
        try:
            s.recv(4096)
        except TimeoutError:
            return
        sys.exit("an answer to an answer")


if __name__ == "__main__":
    {"ask": ask, "serve": serve, "throw": throw}[sys.argv[1]](*sys.argv[2:])
