#!/bin/bash
# test_deb.sh BUILD: the package is installed, upgraded, removed and purged in a root of its own: this machine's files under an
# overlay that is thrown away, in a mount namespace. dpkg checks dependencies against what is installed. Root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(readlink -f "$1")
[ "$(id -u)" = 0 ] || { echo "test_deb.sh needs root"; exit 1; }
if [ -z "${IN_NAMESPACE:-}" ]; then IN_NAMESPACE=1 exec unshare -m --propagation private "$0" "$build"; fi
fail() { echo "FAILED: $*"; exit 1; }
step() { echo "--- $*"; }

work=$(mktemp -d)
mount -t tmpfs -o size=1g tmpfs "$work"
mkdir "$work"/{upper,work,root,debs}
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
for d in proc dev sys; do mount --rbind "/$d" "$work/root/$d"; done
mount -t tmpfs tmpfs "$work/root/run" # no systemd to talk to
mount -t tmpfs tmpfs "$work/root/tmp"
in_root() { DEBIAN_FRONTEND=noninteractive chroot "$work/root" "$@"; }
files() { in_root find /etc /usr /var /opt /srv -xdev \( -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /var/tmp \) -prune -o -print | sort; }
for v in 1 2; do DEB_VERSION=0.0.$v "$here/deb.sh" "$build" "$work/debs" >/dev/null; done
deb() { cp "$work/debs/"sampan_0.0."$1"_*.deb "$work/root/tmp/sampan.deb"; echo /tmp/sampan.deb; }

step "what is in it"
dpkg-deb -f "$work"/debs/sampan_0.0.1_*.deb Depends | grep -q libuv1 || fail "Depends: $(dpkg-deb -f "$work"/debs/sampan_0.0.1_*.deb Depends)"
in_root dpkg -s sampan >/dev/null 2>&1 && in_root dpkg --purge sampan >/dev/null
in_root dpkg -s sampan >/dev/null 2>&1 && fail "it is installed here and cannot be removed"
before=$(files)

step "installing"
in_root dpkg -i "$(deb 1)" >/dev/null || fail "dpkg -i"
in_root sampan version | grep -q '^sampan ' || fail "sampan version"
for p in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do
  in_root "$p" --version | grep -q '^Kubernetes v1.36' || fail "$p --version"
  said=$(in_root "$p" --no-such-flag 2>&1 || true)
  [[ $said == "$p: unknown flag"* ]] || fail "$p does not know its name: $said"
done
for f in config apiserver controller-manager scheduler kubelet proxy; do [ -f "$work/root/etc/kubernetes/$f" ] || fail "/etc/kubernetes/$f"; done
for page in sampan kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do
  [ -f "$work/root/usr/share/man/man1/$page.1.gz" ] || fail "man page $page"
  ! command -v man >/dev/null || [ -z "$(in_root man --warnings -l "/usr/share/man/man1/$page.1.gz" 2>&1 >/dev/null)" ] ||
    fail "man page $page: $(in_root man --warnings -l "/usr/share/man/man1/$page.1.gz" 2>&1 >/dev/null | head -3)"
done
in_root bash -c 'source /usr/share/bash-completion/completions/sampan; COMP_WORDS=(kubelet --node-l) COMP_CWORD=1; _sampan; echo "${COMPREPLY[@]}"' |
  grep -q -- --node-labels || fail "bash completion"
if command -v systemd-analyze >/dev/null; then
  said=$(in_root systemd-analyze verify --man=no /lib/systemd/system/{sampan,sampan-node,kube-apiserver,kube-controller-manager,kube-scheduler,kubelet,kube-proxy}.service 2>&1 |
    grep -E "sampan|kube" || true)
  [ -z "$said" ] || fail "units: $said"
fi

step "upgrading keeps what was edited"
echo 'KUBE_MASTER="--master=http://centos-master:8080"' > "$work/root/etc/kubernetes/config"
mkdir -p "$work/root/var/lib/sampan" && echo state > "$work/root/var/lib/sampan/state.db"
in_root dpkg -i "$(deb 2)" >/dev/null || fail "upgrade"
grep -q centos-master "$work/root/etc/kubernetes/config" || fail "an edited file was overwritten"
[ "$(in_root dpkg-query -W -f '${Version}' sampan)" = 0.0.2 ] || fail "version after the upgrade"

step "removing keeps files and state, purging does not"
in_root dpkg -r sampan >/dev/null || fail "remove"
[ ! -e "$work/root/usr/bin/kubelet" ] && [ ! -e "$work/root/usr/bin/sampan" ] || fail "programs are left"
grep -q centos-master "$work/root/etc/kubernetes/config" || fail "removing took the files"
[ -f "$work/root/var/lib/sampan/state.db" ] || fail "removing took the state"
in_root dpkg -i "$(deb 2)" >/dev/null || fail "installing again"
in_root dpkg --purge sampan >/dev/null || fail "purge"
left=$(comm -13 <(echo "$before") <(files))
[ -z "$left" ] || fail "left after purging: $left"
echo "the package installs, upgrades, removes and purges cleanly"
