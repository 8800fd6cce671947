#!/usr/bin/env python3
"""join.py: bootstrap tokens and certificate requests on loopback: `sampan token` as kubeadm prints it, kubectl's view of
requests (get, approve, deny) with every version found, what a token may and may not do. Needs no root."""
import glob, json, os, re, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../lib")
import api

failed = []


def check(ok, what):
    if not ok:
        failed.append(what)
        print("FAIL " + what)


def run(*argv, **kw):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=60, **kw)
    return r.returncode, r.stdout, r.stderr


def until(f, what, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        got = f()
        if got:
            return got
        time.sleep(0.05)
    check(False, what)


def kubectls():
    first = shutil.which("kubectl") or sys.exit("no kubectl found")
    beside = glob.glob(os.path.dirname(os.path.realpath(first)) + "/kubectl.1.[0-9]*")
    return sorted(p for p in beside if p[-1].isdigit()) or [first]


def tokens(c, kubeconfig):
    def token(*args):
        return run(api.SAMPAN, "token", *args, "--kubeconfig", kubeconfig)

    code, out, _ = token("create", "--ttl", "2h", "--description", "a b c")
    mine = out.strip()
    check(code == 0 and re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", mine), "token create prints the token alone: " + out)
    s, secret = c.ask("GET", "/api/v1/namespaces/kube-system/secrets/bootstrap-token-" + mine[:6])
    check(s == 200 and secret["type"] == "bootstrap.kubernetes.io/token" and sorted(secret["data"]) == [
        "auth-extra-groups", "description", "expiration", "token-id", "token-secret", "usage-bootstrap-authentication",
        "usage-bootstrap-signing"], "the token's secret has kubeadm's keys: %s" % secret)
    code, out, _ = token("list")
    lines = out.splitlines()
    check(lines[0].split() == ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA", "GROUPS"] and
          re.match(mine + r"   1h +20\S+Z   authentication,signing   a b c {51,} +system:bootstrappers:kubeadm:default-node-token$",
                   lines[1]), "token list: " + out)
    code, out, _ = token("create", "--print-join-command", "--ttl", "0")
    m = re.fullmatch(r"sampan node --server (https://\S+) --token ([a-z0-9.]+)@(sha256:[0-9a-f]{64})\n", out)
    check(m, "the join command: " + out)
    check("<forever>   <never>" in token("list")[1], "a token without an end")
    for args, text in ((("create", "abc"), "was not of the form"), (("create", mine), "already exists"),
                       (("create", "--usages", "flying"), "flying"), (("create", "--groups", "system:masters"), "is invalid"),
                       (("delete",), "missing argument"), (("delete", "UPPER1"), "didn't match pattern"),
                       (("delete", "zzzzzz"), "not found")):
        code, out, err = token(*args)
        check(code == 1 and text in err and err.count("\n") == 1 and not out, "token %s: %s%s" % (" ".join(args), out, err))
    check(token("delete", mine)[1] == 'bootstrap token "%s" deleted\n' % mine[:6], "token delete by the whole token")
    check(token("delete", m.group(2)[:6])[1] == 'bootstrap token "%s" deleted\n' % m.group(2)[:6], "token delete by id")
    check(token("list")[1] == "", "no tokens, no list")
    check(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}\n", token("generate")[1]), "token generate")
    return token


def bearer(c, path, token, method="GET", body=None):
    import http.client, ssl
    x = http.client.HTTPSConnection("127.0.0.1", c.port, context=ssl._create_unverified_context(), timeout=20)
    x.request(method, path, json.dumps(body) if body else None,
              {"Content-Type": "application/json", **({"Authorization": "Bearer " + token} if token else {})})
    r = x.getresponse()
    return r.status, json.loads(r.read() or "{}")


def what_a_token_may(c, token):
    mine = token("create")[1].strip()
    info = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
    until(lambda: "jws-kubeconfig-" + mine[:6] in bearer(c, info, None)[1].get("data", {}), "cluster-info is signed, anybody may read it")
    check(bearer(c, "/api/v1/namespaces/kube-public/configmaps", None)[0] == 403, "anybody reads nothing else")
    check(bearer(c, "/api/v1/nodes/none", mine)[0] == 404, "a token may look for nodes")
    for path in ("/api/v1/secrets", "/api/v1/pods", "/api/v1/namespaces/kube-system/secrets/bootstrap-token-" + mine[:6]):
        check(bearer(c, path, mine)[0] == 403, "a token may not read " + path)
    check(bearer(c, "/api/v1/nodes/none", mine[:-1] + ("a" if mine[-1] != "a" else "b"))[0] == 401, "another secret is refused")
    short = token("create", "--ttl", "1s")[1].strip()
    until(lambda: bearer(c, "/api/v1/nodes/none", short)[0] == 401, "an expired token is refused")
    until(lambda: short[:6] not in token("list")[1], "an expired token is removed")
    until(lambda: "jws-kubeconfig-" + short[:6] not in bearer(c, info, None)[1]["data"], "and its signature")
    token("delete", mine)
    check(bearer(c, "/api/v1/nodes/none", mine)[0] == 401, "a deleted token is refused at once")


def follows_the_address(c, token):
    """cluster-info says where the API server is after it has moved, signed anew; what a person wrote there stays."""
    import signal
    info = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
    mine = token("create")[1].strip()
    data = lambda: bearer(c, info, None)[1].get("data", {})
    sig = "jws-kubeconfig-" + mine[:6]
    before = until(lambda: sig in data() and data(), "signed")
    c.kill(signal.SIGTERM)
    c.extra = ["--advertise-address", "192.0.2.77"]
    c.start()
    check("server: https://192.0.2.77:%d" % c.port in data()["kubeconfig"], "the new address: %s" % data()["kubeconfig"])
    until(lambda: data().get(sig) not in (None, before[sig]), "signed anew")
    own = "apiVersion: v1\nkind: Config\nclusters: [{name: \"\", cluster: {server: 'https://balancer:443'}}]\n"
    c.ask("PATCH", info, {"data": {"kubeconfig": own}}, headers={"Content-Type": "application/merge-patch+json"})
    c.kill(signal.SIGTERM)
    c.extra = []
    c.start()
    check(data()["kubeconfig"] == own, "what a person wrote stays")
    token("delete", mine)


def request(tmp, subject):
    key, csr = tmp + "/key", tmp + "/csr"
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key, check=True)
    run("openssl", "req", "-new", "-key", key, "-subj", subject, "-out", csr, check=True)
    return run("base64", "-w0", csr)[1]


def requests(c, kubectl, kubeconfig, tmp):
    def k(*args, stdin=None):
        return run(kubectl, "--kubeconfig", kubeconfig, *args, input=stdin)

    v = os.path.basename(kubectl).replace(".", "-")

    def make(name, signer, seconds):
        body = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
                "spec": {"request": request(tmp, "/O=dev/CN=jane"), "signerName": signer, "expirationSeconds": seconds,
                         "usages": ["client auth"]}}
        code, out, err = k("create", "-f", "-", stdin=json.dumps(body))
        check(code == 0, f"{v}: create: {err}")

    def row(name):
        return re.split(r"\s{2,}", k("get", "csr", name).__getitem__(1).splitlines()[1].strip())

    yes, no, other = v + "-yes", v + "-no", v + "-other"
    make(yes, "kubernetes.io/kube-apiserver-client", 3600)
    make(no, "kubernetes.io/kube-apiserver-client", 864000)
    make(other, "example.com/signer", 600)
    head = k("get", "csr", yes)[1].splitlines()[0].split()
    check(head == ["NAME", "AGE", "SIGNERNAME", "REQUESTOR", "REQUESTEDDURATION", "CONDITION"], f"{v}: columns {head}")
    check(row(yes)[2:] == ["kubernetes.io/kube-apiserver-client", "kubernetes-admin", "60m", "Pending"], f"{v}: {row(yes)}")
    for name, verb in ((yes, "approve"), (no, "deny"), (other, "approve")):
        out = k("certificate", verb, name)[1]
        check("certificatesigningrequest.certificates.k8s.io/%s %s" % (name, "denied" if verb == "deny" else "approved") in out, f"{v}: {out}")
    until(lambda: row(yes)[-1] == "Approved,Issued", f"{v}: the certificate is made")
    check(row(no)[-2:] == ["10d", "Denied"], f"{v}: {row(no)}")
    check(row(other)[-1] == "Approved", f"{v}: other signers are not ours: {row(other)}")
    check(k("certificate", "deny", yes)[0] != 0, f"{v}: what is approved cannot be denied")
    pem = k("get", "csr", yes, "-o", "jsonpath={.status.certificate}")[1]
    with open(tmp + "/pem", "wb") as f:
        import base64
        f.write(base64.b64decode(pem))
    out = run("openssl", "x509", "-in", tmp + "/pem", "-noout", "-subject", "-nameopt", "RFC2253", "-purpose")[1]
    check("CN=jane,O=dev" in out and "SSL client : Yes" in out and "SSL server : No" in out, f"{v}: {out}")
    check(run("openssl", "verify", "-CAfile", c.dir + "/data/pki/ca.crt", tmp + "/pem")[0] == 0, f"{v}: signed by the CA")
    check("Approved" in k("describe", "csr", yes)[1], f"{v}: describe")
    check(k("delete", "csr", yes, no, other)[0] == 0, f"{v}: delete")


def main():
    with api.Control() as c, tempfile.TemporaryDirectory() as tmp:
        kubeconfig = c.dir + "/data/admin.kubeconfig"
        token = tokens(c, kubeconfig)
        what_a_token_may(c, token)
        for kubectl in kubectls():
            requests(c, kubectl, kubeconfig, tmp)
            print(kubectl, "done")
        follows_the_address(c, token)
    sys.exit(f"{len(failed)} failed" if failed else 0)


if __name__ == "__main__":
    main()
