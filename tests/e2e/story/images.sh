#!/bin/bash
# Images: import of docker and OCI archives, pull from a registry over HTTP and HTTPS, pull secrets, and what a missing image
# shows. The registry is Debian's docker-registry on the namespace's loopback.
. "$(dirname "$0")/../lib/lib.sh"
e2e_begin images
command -v docker-registry >/dev/null || fail "docker-registry is not installed"
registry() { # NAME PORT extra…: a registry with its own folder
  local name=$1 port=$2; shift 2
  mkdir -p "$E2E_DIR/$name"
  printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"%s}\n%s\n' "$E2E_DIR/$name" "$port" "${1:-}" "${2:-}" > "$E2E_DIR/$name.yml"
  in_ns docker-registry serve "$E2E_DIR/$name.yml" > "$E2E_DIR/$name.log" 2>&1 & E2E_PIDS+=($!)
}
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$E2E_DIR/reg.key" -out "$E2E_DIR/reg.crt" -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2>/dev/null
registry open 5000
e2e_up
wait_for 10 "registry" in_ns curl -s http://127.0.0.1:5000/v2/
push() { in_ns "$ROOT/tests/e2e/lib/mkimage.py" "$E2E_DIR/pushed.tar" x:1 --push "$1" >/dev/null || fail "push to $1"; }
push http://127.0.0.1:5000/team/app:1
step "pull over HTTP"
k run pulled --image=127.0.0.1:5000/team/app:1 --command -- sleep 600
k wait --for=condition=Ready pod/pulled --timeout=40s
k get events | grep -q "Successfully pulled image" || fail "no Pulled event"
step "pull over HTTPS with a pull secret"
python3 -c 'import crypt; print("u:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH)))' 2>/dev/null > "$E2E_DIR/htpasswd"
registry closed 5001 ", tls: {certificate: $E2E_DIR/reg.crt, key: $E2E_DIR/reg.key}" "auth: {htpasswd: {realm: test, path: $E2E_DIR/htpasswd}}"
wait_for 10 "registry" in_ns curl -sk https://127.0.0.1:5001/v2/
push https://u:secret@127.0.0.1:5001/team/private:1
echo "ca $E2E_DIR/reg.crt" >> "$E2E_DIR/data/node/registries.conf"
k run denied --image=127.0.0.1:5001/team/private:1
wait_for 30 "the registry's refusal" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get events | grep denied | grep -qiE 'unauthorized|authentication required|401'"
k create secret docker-registry regcred --docker-server=127.0.0.1:5001 --docker-username=u --docker-password=secret
k run private --image=127.0.0.1:5001/team/private:1 --overrides='{"spec":{"imagePullSecrets":[{"name":"regcred"}]}}' --command -- sleep 600
k wait --for=condition=Ready pod/private --timeout=40s
step "import of a docker archive and of an OCI archive"
"$ROOT/tests/e2e/lib/mkimage.py" "$E2E_DIR/d.tar" docker.io/library/d:1 >/dev/null
"$ROOT/tests/e2e/lib/mkimage.py" "$E2E_DIR/unused.tar" docker.io/library/o:1 --oci-archive "$E2E_DIR/o.tar" >/dev/null
for f in d o; do in_ns "$SAMPAN" image import --data-dir "$E2E_DIR/data/node" "$E2E_DIR/$f.tar" || fail "import $f"; done
in_ns "$SAMPAN" image ls --data-dir "$E2E_DIR/data/node" | grep -q library/o || fail "image ls"
for f in d o; do k run $f --image=$f:1 --command -- sleep 600; k wait --for=condition=Ready pod/$f --timeout=30s; done
head -c 100000 "$E2E_DIR/d.tar" > "$E2E_DIR/cut.tar"
in_ns "$SAMPAN" image import --data-dir "$E2E_DIR/data/node" "$E2E_DIR/cut.tar" && fail "a cut archive was taken"
step "a missing image"
k run missing --image=127.0.0.1:5000/team/none:1
wait_for 30 "ErrImagePull" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod missing | grep -qE 'ErrImagePull|ImagePullBackOff'"
wait_for 60 "ImagePullBackOff" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod missing | grep -q ImagePullBackOff"
k get events | grep missing | grep -qi "manifest unknown\|not found" || { k get events; fail "the registry's words are not in the event"; }
k run never --image=nowhere:1 --image-pull-policy=Never
wait_for 20 "ErrImageNeverPull" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod never | grep -q ErrImageNeverPull"
say "images: passed"
