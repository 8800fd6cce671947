#!/usr/bin/env python3
"""tls.py: what the API server's TLS is told by flags: versions, ciphers, curves, certificates by the name that is asked for."""
import os, shutil, socket, ssl, subprocess, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from api import SAMPAN, Control, free_port

failures = 0
work = tempfile.mkdtemp(prefix="sampan-tls-")


def check(what, ok, got=""):
    global failures
    failures += not ok
    print(("ok   " if ok else "FAIL ") + what + ("" if ok else f": {str(got)[:600]}"), flush=True)


def cert(name, *sans):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out", name + ".crt",
                    "-days", "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=" + ",".join("DNS:" + s for s in sans)], check=True, capture_output=True, cwd=work)


def hello(c, name=None, **how):
    """(subject's name, version, cipher), or what went wrong."""
    ctx = ssl._create_unverified_context()
    for k, v in how.items():
        if k == "ciphers":
            ctx.set_ciphers(v)
        elif k == "curve":
            ctx.set_ecdh_curve(v)
        else:
            setattr(ctx, k, v)
    try:
        with socket.create_connection(("127.0.0.1", c.port), 10) as s, ctx.wrap_socket(s, server_hostname=name) as t:
            pem = ssl.DER_cert_to_PEM_cert(t.getpeercert(True))
            text = subprocess.run(["openssl", "x509", "-noout", "-subject", "-nameopt", "multiline"], input=pem, capture_output=True, text=True).stdout
            return text.split("commonName")[1].split("=")[1].split("\n")[0].strip(), t.version(), t.cipher()[0]
    except (ssl.SSLError, OSError) as e:
        return str(e)


def refused(what, args, words):
    p = subprocess.run([SAMPAN, "kube-apiserver", "--data-dir", work + "/d", "--bind-address", "127.0.0.1", "--secure-port", str(free_port()), *args],
                       capture_output=True, text=True, timeout=30)
    check(what, p.returncode != 0 and words in p.stderr, p.stderr)


cert("one", "one.example.com", "*.one.example.com")
cert("two", "unused.example.com")
refused("a version", ["--tls-min-version=Foo"], 'unknown tls version "Foo"')
refused("a cipher", ["--tls-cipher-suites=TLS_FOO"], "Cipher suite TLS_FOO not supported or doesn't exist")
refused("half a pair", ["--tls-sni-cert-key=a"], 'invalid argument "a" for "--tls-sni-cert-key" flag: expected comma separated certificate and key file paths')
refused("no such file", ["--tls-sni-cert-key=/nonexist,/tmp/x"], "failed to load SNI cert and key: open /nonexist: no such file or directory")
refused("a curve", ["--tls-curve-preferences=1"], "curve preference 1 is not supported")
with Control("kube-apiserver", ["--tls-sni-cert-key", f"{work}/one.crt,{work}/one.key", "--tls-sni-cert-key",
                                f"{work}/two.crt,{work}/two.key:*.two.example.com,three.example.com", "--tls-curve-preferences=24,25"]) as c:
    own = hello(c)[0]
    for name, want in (("one.example.com", "one"), ("a.one.example.com", "one"), ("a.two.example.com", "two"), ("three.example.com", "two"),
                       ("THREE.example.com", "two"), ("two.example.com", own), ("a.b.two.example.com", own), ("unused.example.com", own), ("kubernetes", own)):
        got = hello(c, name)
        check(f"{name}: {want}", got[0] == want, got)
    check("the server's own is another", own not in ("one", "two"), own)
    check("a client's certificate is known behind each", c.ask("GET", "/api/v1/nodes")[0] == 200)
    check("a curve that is not wanted", isinstance(hello(c, curve="prime256v1"), str))
    check("one that is", hello(c, curve="secp384r1")[1] == "TLSv1.3")
with Control("kube-apiserver", ["--tls-min-version=VersionTLS13"]) as c:
    check("TLS 1.3", hello(c)[1] == "TLSv1.3")
    check("nothing below", isinstance(hello(c, maximum_version=ssl.TLSVersion.TLSv1_2), str))
with Control("kube-apiserver", ["--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_AES_128_GCM_SHA256"]) as c:
    got = hello(c, maximum_version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE+AESGCM")
    check("a chosen cipher", got[2] == "ECDHE-ECDSA-AES256-GCM-SHA384", got)
    check("by its old name, too", hello(c, maximum_version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE+CHACHA20")[2] == "ECDHE-ECDSA-CHACHA20-POLY1305")
    check("not another", isinstance(hello(c, maximum_version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"), str))
shutil.rmtree(work, ignore_errors=True)
print(f"{failures} failures")
sys.exit(1 if failures else 0)
