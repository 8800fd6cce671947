#!/usr/bin/env python3
"""mkimage.py OUT.tar NAME [--cmd JSON] [--entrypoint JSON] [--env K=V]... [--user U] [--workdir D] [--file PATH=TEXT]...
             [--oci DIR] [--oci-archive FILE] [--push URL]

Writes a `docker save` archive of a busybox image, made of Debian's busybox-static: the applets as links, /etc/passwd,
/etc/group, /tmp. --oci DIR: an OCI image layout in DIR as well (gzip layers); --oci-archive FILE: the same as one tar.
--push http[s]://[USER:PASSWORD@]HOST/REPOSITORY:TAG: to a registry (certificates are not checked). Reproducible."""
import argparse, base64, gzip, hashlib, http.client, io, json, os, ssl, subprocess, sys, tarfile, tempfile, urllib.parse

BUSYBOX = "/bin/busybox"


def entry(tar, name, mode=0o755, data=None, link=None, kind=None):
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = mode, 1700000000
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    elif kind:
        info.type = kind
    if data is not None:
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    else:
        tar.addfile(info)


def layer(extra):
    out = io.BytesIO()
    busybox = open(BUSYBOX, "rb").read()
    applets = subprocess.check_output([BUSYBOX, "--list"], text=True).split()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("usr", 0o755),
                           ("usr/bin", 0o755), ("var", 0o755), ("home", 0o755)):
            entry(tar, name, mode, kind=tarfile.DIRTYPE)
        entry(tar, "bin/busybox", 0o755, busybox)
        for applet in applets:
            if applet != "busybox":
                entry(tar, "bin/" + applet, 0o777, link="busybox")
        entry(tar, "usr/bin/env", 0o777, link="../../bin/busybox")
        entry(tar, "etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"
              b"app:x:1234:1234:app:/home:/bin/sh\n")
        entry(tar, "etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\napp:x:1234:\nextra:x:4321:app\n")
        for item in extra:
            path, text = item.split("=", 1)
            entry(tar, path.lstrip("/"), 0o644, text.encode())
    return out.getvalue()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def docker_archive(path, name, config, content):
    def put(tar, member, data):
        info = tarfile.TarInfo(member)
        info.size, info.mode = len(data), 0o644
        tar.addfile(info, io.BytesIO(data))

    tag = name if ":" in name.split("/")[-1] else name + ":latest"
    with tarfile.open(path, "w") as tar:
        put(tar, sha(config) + ".json", config)
        put(tar, sha(content) + "/layer.tar", content)
        put(tar, "manifest.json", json.dumps([{"Config": sha(config) + ".json", "RepoTags": [tag],
                                               "Layers": [sha(content) + "/layer.tar"]}]).encode())


def push(url, config, content):
    to = urllib.parse.urlsplit(url)
    repository, tag = to.path.lstrip("/").rsplit(":", 1)
    netloc = to.netloc.split("@")[-1]
    connection = (http.client.HTTPSConnection(netloc, context=ssl._create_unverified_context()) if to.scheme == "https"
                  else http.client.HTTPConnection(netloc))
    headers = {}
    if to.username:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{to.username}:{to.password}".encode()).decode()

    def ask(method, path, body=None, media="application/octet-stream", want=(200, 201, 202)):
        connection.request(method, path, body, {"Content-Type": media, **headers})
        r = connection.getresponse()
        text = r.read()
        if r.status not in want:
            sys.exit(f"{method} {path}: {r.status} {text[:300]}")
        return r

    def put(data, media):
        digest = "sha256:" + sha(data)
        at = urllib.parse.urlsplit(ask("POST", f"/v2/{repository}/blobs/uploads/", b"").headers["Location"])
        ask("PUT", f"{at.path}?{at.query + '&' if at.query else ''}digest={digest}", data)
        return {"mediaType": media, "digest": digest, "size": len(data)}

    vnd = "application/vnd.oci.image."
    manifest = {"schemaVersion": 2, "mediaType": vnd + "manifest.v1+json", "config": put(config, vnd + "config.v1+json"),
                "layers": [put(gzip.compress(content, 6, mtime=0), vnd + "layer.v1.tar+gzip")]}
    ask("PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(manifest).encode(), manifest["mediaType"])


def oci_layout(root, name, config, content):
    blobs = os.path.join(root, "blobs", "sha256")
    os.makedirs(blobs, exist_ok=True)

    def put(data, media):
        with open(os.path.join(blobs, sha(data)), "wb") as f:
            f.write(data)
        return {"mediaType": media, "digest": "sha256:" + sha(data), "size": len(data)}

    vnd = "application/vnd.oci.image."
    manifest = {"schemaVersion": 2, "mediaType": vnd + "manifest.v1+json", "config": put(config, vnd + "config.v1+json"),
                "layers": [put(gzip.compress(content, 6, mtime=0), vnd + "layer.v1.tar+gzip")]}
    entry_ = put(json.dumps(manifest).encode(), vnd + "manifest.v1+json")
    entry_["platform"] = {"os": "linux", "architecture": json.loads(config)["architecture"]}
    entry_["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[-1]}
    with open(os.path.join(root, "index.json"), "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [entry_]}, f)
    with open(os.path.join(root, "oci-layout"), "w") as f:
        json.dump({"imageLayoutVersion": "1.0.0"}, f)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out")
    p.add_argument("name")
    p.add_argument("--cmd", default='["sh"]')
    p.add_argument("--entrypoint")
    p.add_argument("--env", action="append", default=[])
    p.add_argument("--user", default="")
    p.add_argument("--workdir", default="")
    p.add_argument("--file", action="append", default=[])
    p.add_argument("--oci")
    p.add_argument("--oci-archive")
    p.add_argument("--push")
    a = p.parse_args()
    content = layer(a.file)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] + a.env,
              "Cmd": json.loads(a.cmd), "User": a.user, "WorkingDir": a.workdir}
    if a.entrypoint:
        config["Entrypoint"] = json.loads(a.entrypoint)
    text = json.dumps({"architecture": machine, "os": "linux", "config": config,
                       "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(content)]}}).encode()
    docker_archive(a.out, a.name, text, content)
    if a.oci:
        oci_layout(a.oci, a.name, text, content)
    if a.oci_archive:
        with tempfile.TemporaryDirectory() as root, tarfile.open(a.oci_archive, "w") as tar:
            oci_layout(root, a.name, text, content)
            tar.add(root, ".")
    if a.push:
        push(a.push, text, content)
    print("sha256:" + sha(text))


main()
