#!/bin/bash
# registry.sh: pulls from a registry on loopback: by tag and digest, with and without credentials, through a mirror, broken
# ones; what is cut off goes on.
. "$(dirname "$0")/../lib/lib.sh"
command -v docker-registry >/dev/null || { echo "docker-registry is not installed: skipped"; exit 0; }
e2e_begin registry
image() { in_ns "$SAMPAN" image "$@" --data-dir "$E2E_DIR/d"; }

# The files of a registry's storage, out of an OCI layout.
fill_registry() {
  python3 - "$1" "$2" "$3" "$4" <<'P'
import json, os, shutil, sys
oci, root, repo, tag = sys.argv[1:]
base = os.path.join(root, "docker/registry/v2")
digest = json.load(open(oci + "/index.json"))["manifests"][0]["digest"].split(":")[1]
for name in os.listdir(oci + "/blobs/sha256"):
    to = f"{base}/blobs/sha256/{name[:2]}/{name}"
    os.makedirs(to, exist_ok=True)
    shutil.copy(f"{oci}/blobs/sha256/{name}", to + "/data")
    for kind in ("_layers", "_manifests/revisions"):
        link = f"{base}/repositories/{repo}/{kind}/sha256/{name}"
        os.makedirs(link, exist_ok=True)
        open(link + "/link", "w").write("sha256:" + name)
for where in ("current", f"index/sha256/{digest}"):
    link = f"{base}/repositories/{repo}/_manifests/tags/{tag}/{where}"
    os.makedirs(link, exist_ok=True)
    open(link + "/link", "w").write("sha256:" + digest)
print("sha256:" + digest)
P
}

# registry PORT [auth]
registry() {
  cat > "$E2E_DIR/registry$1.yml" <<Y
version: 0.1
storage: {filesystem: {rootdirectory: $E2E_DIR/storage}}
http: {addr: "127.0.0.1:$1"}
${2:+auth: {htpasswd: {realm: test, path: $E2E_DIR/htpasswd\}\}}
Y
  in_ns docker-registry serve "$E2E_DIR/registry$1.yml" > "$E2E_DIR/registry$1.log" 2>&1 &
  E2E_PIDS+=($!)
  wait_for 20 "registry $1" in_ns curl -s -o /dev/null "http://127.0.0.1:$1/v2/"
}

python3 "$ROOT/tests/e2e/lib/mkimage.py" "$E2E_DIR/b.tar" x --oci "$E2E_DIR/oci" > "$E2E_DIR/id"
DIGEST=$(fill_registry "$E2E_DIR/oci" "$E2E_DIR/storage" library/busybox 1.0)
# htpasswd wants bcrypt: user "jane", password "secret"
python3 - "$E2E_DIR/htpasswd" <<'P'
import sys
try:
    import crypt
    h = crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)) if hasattr(crypt, "METHOD_BLOWFISH") else None
except Exception:
    h = None
open(sys.argv[1], "w").write("jane:%s\n" % h if h else "")
P
registry 5000

step "by tag, over plain HTTP on loopback"
check_eq "$(image pull 127.0.0.1:5000/library/busybox:1.0)" "$(cat "$E2E_DIR/id")" "id of the image"
image ls | grep -q '^127.0.0.1:5000/library/busybox:1.0 ' || fail "not listed: $(image ls)"
check_eq "$(ls "$E2E_DIR/d/runtime/images/ingest" | wc -l)" 0 "downloads left"

step "by digest; a wrong one is told"
image rm 127.0.0.1:5000/library/busybox:1.0
image pull "127.0.0.1:5000/library/busybox@$DIGEST" >/dev/null
image pull "127.0.0.1:5000/library/busybox@sha256:$(printf '0%.0s' {1..64})" 2> "$E2E_DIR/err" && fail "a wrong digest was pulled"
grep -q 'not found' "$E2E_DIR/err" || fail "words: $(cat "$E2E_DIR/err")"

step "what is not there, in the registry's words"
image pull 127.0.0.1:5000/library/busybox:2.0 2> "$E2E_DIR/err" && fail "a missing tag was pulled"
grep -q 'MANIFEST_UNKNOWN' "$E2E_DIR/err" || fail "words: $(cat "$E2E_DIR/err")"
image pull 127.0.0.1:5999/x 2> "$E2E_DIR/err" && fail "pulled from nobody"
image pull 'Bad//Name' 2> "$E2E_DIR/err" && fail "a bad name was pulled"
grep -q 'invalid reference format' "$E2E_DIR/err" || fail "words: $(cat "$E2E_DIR/err")"

step "through a mirror, by flag and by file"
check_eq "$(image pull busybox:1.0 --registry-mirror docker.io=http://127.0.0.1:5000)" "$(cat "$E2E_DIR/id")" "mirror by flag"
image ls | grep -q '^docker.io/library/busybox:1.0 ' || fail "not listed under its own name: $(image ls)"
echo 'mirror docker.io http://127.0.0.1:5000' > "$E2E_DIR/d/registries.conf"
check_eq "$(image pull busybox:1.0)" "$(cat "$E2E_DIR/id")" "mirror by file"

step "through cri.h, as the kubelet pulls"
ninja -C "$ROOT/build" cri_run >/dev/null
rm "$E2E_DIR/d/registries.conf"
cri() { in_ns "$ROOT/build/cri_run" --data-dir "$E2E_DIR/d" --run-dir "$E2E_DIR/r" --registry-mirror docker.io=http://127.0.0.1:5000 "$@"; }
check_eq "$(cri pull busybox:1.0)" "$(cat "$E2E_DIR/id")" "pull through cri.h"
cri pull busybox:3.0 2> "$E2E_DIR/err" && fail "a missing tag was pulled"
grep -q 'MANIFEST_UNKNOWN' "$E2E_DIR/err" || fail "words: $(cat "$E2E_DIR/err")"
echo 'mirror docker.io http://127.0.0.1:5000' > "$E2E_DIR/d/registries.conf"

step "a download that was cut off goes on"
for ref in $(image ls | awk 'NR > 1 {print $2}' | sort -u); do image rm "$ref"; done
LAYER=$(python3 -c "import json,sys; d=sys.argv[1]; m=json.load(open(d+'/index.json'))['manifests'][0]['digest'][7:]; print(json.load(open(d+'/blobs/sha256/'+m))['layers'][0]['digest'][7:])" "$E2E_DIR/oci")
head -c 100000 "$E2E_DIR/oci/blobs/sha256/$LAYER" > "$E2E_DIR/d/runtime/images/ingest/$LAYER"
image pull busybox:1.0 >/dev/null
grep -q "GET.*blobs/sha256:$LAYER.* 206 " "$E2E_DIR/registry5000.log" || fail "the download began anew: $(tail -3 "$E2E_DIR/registry5000.log")"

step "bytes that are not what the digest says are refused"
for ref in $(image ls | awk 'NR > 1 {print $2}' | sort -u); do image rm "$ref"; done
BLOB="$E2E_DIR/storage/docker/registry/v2/blobs/sha256/${LAYER:0:2}/$LAYER/data"
cp "$BLOB" "$E2E_DIR/good"
printf 'X' | dd of="$BLOB" bs=1 seek=5000 conv=notrunc status=none
image pull busybox:1.0 2> "$E2E_DIR/err" && fail "a broken layer was taken"
grep -q 'digest' "$E2E_DIR/err" || fail "words: $(cat "$E2E_DIR/err")"
cp "$E2E_DIR/good" "$BLOB"
check_eq "$(image pull busybox:1.0)" "$(cat "$E2E_DIR/id")" "and it works again"

if [ -s "$E2E_DIR/htpasswd" ]; then
  step "with credentials"
  registry 5001 auth
  image pull 127.0.0.1:5001/library/busybox:1.0 2> "$E2E_DIR/err" && fail "pulled without credentials"
  grep -q 'pull access denied' "$E2E_DIR/err" || fail "words: $(cat "$E2E_DIR/err")"
  echo '{"username": "jane", "password": "wrong"}' | image pull --auth-stdin 127.0.0.1:5001/library/busybox:1.0 2>/dev/null &&
    fail "pulled with a wrong password"
  echo '{"auth": "amFuZTpzZWNyZXQ="}' | image pull --auth-stdin 127.0.0.1:5001/library/busybox:1.0 >/dev/null
fi
say "passed"
