#!/bin/bash
# deb.sh BUILD [OUT]: a Debian package of BUILD/sampan in OUT (default BUILD): sampan_VERSION_ARCH.deb. Needs dpkg-dev and
# python3; no root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(readlink -f "$1") out=$(readlink -f "${2:-$1}")
names="kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy"
version=${DEB_VERSION:-$("$build/sampan" version | sed -E 's/^sampan (\S+).*/\1/')-1}
arch=$(dpkg --print-architecture)
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
root=$work/root
umask 022

install -d "$root/usr/bin" "$root/lib/systemd/system" "$root/etc/kubernetes" "$root/usr/share/man/man1" "$root/usr/share/doc/sampan" \
  "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions" "$root/DEBIAN" "$work/debian"
install -m 755 "$build/sampan" "$root/usr/bin/sampan"
strip --strip-all --remove-section=.comment "$root/usr/bin/sampan"
size=$(stat -c %s "$root/usr/bin/sampan")
[ "$size" -le $((5 * 1024 * 1024)) ] || { echo "deb.sh: sampan has $size bytes stripped; 5 MiB is the most" >&2; exit 1; }
for n in $names; do ln -s sampan "$root/usr/bin/$n"; done
install -m 644 "$here"/files/units/*.service "$root/lib/systemd/system"
install -m 644 "$here"/files/etc/* "$root/etc/kubernetes"
install -m 644 "$here/../LICENSE" "$root/usr/share/doc/sampan/copyright"

"$here/gen_docs.py" "$build/sampan" "$work/docs"
for page in "$work"/docs/man/*.1; do gzip -9n < "$page" > "$root/usr/share/man/man1/$(basename "$page").gz"; done
install -m 644 "$work/docs/bash/sampan" "$root/usr/share/bash-completion/completions/sampan"
for n in $names; do ln -s sampan "$root/usr/share/bash-completion/completions/$n"; done
install -m 644 "$work/docs/zsh/_sampan" "$root/usr/share/zsh/vendor-completions/_sampan"

# shared libraries: which packages, from which version on
cp "$here/debian/control.in" "$work/debian/control"
sed -i '1i Source: sampan\n' "$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info "$root/usr/bin/sampan" 2>/dev/null | sed 's/^shlibs:Depends=//')
[ -n "$depends" ] || { echo "deb.sh: dpkg-shlibdeps found nothing" >&2; exit 1; }
# those that are opened when first needed (base/library.h) do not show there
opened=$(cd "$here/.." && grep -rhoE '"lib[a-z0-9+-]+\.so\.[0-9]+"' src --include=*.c --include=*.h | tr -d '"' | sort -u)
for so in $opened; do
  p=$(dpkg -S "*/$so" 2>/dev/null | head -1 | cut -d: -f1)
  [ -n "$p" ] && case ", $depends, " in *", $p "*|*", $p,"*) ;; *) depends="$depends, $p" ;; esac
done
installed=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@SIZE@/$installed/; s/@DEPENDS@/$depends/" "$here/debian/control.in" > "$root/DEBIAN/control"
for s in postinst prerm postrm; do install -m 755 "$here/debian/$s" "$root/DEBIAN/$s"; done
(cd "$root" && find etc -type f -printf '/%p\n' | sort) > "$root/DEBIAN/conffiles"
(cd "$root" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
dpkg-deb --root-owner-group -Zxz --build "$root" "$out/sampan_${version}_$arch.deb" >/dev/null
echo "$out/sampan_${version}_$arch.deb ($(stat -c %s "$out/sampan_${version}_$arch.deb") bytes; sampan stripped: $size)"
