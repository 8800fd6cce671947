#!/bin/bash
# build.sh WORK SAMPAN.deb: what the virtual machines boot, in WORK/base-HASH (printed): vmlinuz, initrd.img, root.ext4 and the key
# that opens them. Made of Debian packages of this machine's release (so that the package built here fits), once for each list of
# packages; MIRROR is where they come from. Root.
set -euo pipefail
work=$1 deb=$2
MIRROR=${MIRROR:-http://deb.debian.org/debian}
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
packages="linux-image-cloud-amd64 initramfs-tools zstd systemd-sysv udev dbus kmod procps openssh-server iproute2 iputils-ping curl
 ca-certificates openvswitch-switch iptables nftables conntrack etcd-server crun conmon"
depends=$(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/[ ,]\+/ /g')
include=$(echo $packages $depends | tr ' ' '\n' | sort -u | paste -sd,)
hash=$({ echo "$suite $include"; cat "$0"; } | sha256sum | cut -c 1-16)
base=$work/base-$hash
[ -f "$base/root.ext4" ] && { echo "$base"; exit 0; }

mkdir -p "$base"
part=$(mktemp -d "$work/part.XXXXXX") && trap 'rm -rf "$part"' EXIT
[ -f "$base/key" ] || ssh-keygen -q -t ed25519 -N '' -C machines -f "$base/key"
mkdir -p "$part/files/root/.ssh" "$part/files/etc/initramfs-tools/conf.d" "$part/files/etc/ssh/sshd_config.d"
cp "$base/key.pub" "$part/files/root/.ssh/authorized_keys"
# an initrd with only what a machine of QEMU needs is unpacked in a tenth of the time
echo MODULES=list > "$part/files/etc/initramfs-tools/conf.d/machines"
printf '%s\n' virtio_pci virtio_blk ext4 > "$part/files/etc/initramfs-tools/modules"
printf 'MaxSessions 60\nUseDNS no\n' > "$part/files/etc/ssh/sshd_config.d/machines.conf"
cat > "$part/files/etc/hosts" <<H
127.0.0.1 localhost
192.168.50.130 centos-master
192.168.50.131 centos-minion-1
192.168.50.132 centos-minion-2
H

echo "building $base (some minutes)" >&2
# the address comes on the kernel's command line; which services run is each machine's business
nice -n 19 mmdebstrap --quiet --variant=minbase --include="$include" --essential-hook="sync-in $part/files /" \
  --customize-hook='chmod 700 "$1/root" "$1/root/.ssh"; chown -R 0:0 "$1/root" "$1/etc/hosts"; chmod 644 "$1/etc/hosts"' \
  --customize-hook="copy-in $part/files/etc/hosts /etc" \
  --customize-hook='chroot "$1" systemctl -q enable systemd-networkd systemd-network-generator' \
  --customize-hook='chroot "$1" systemctl -q disable etcd apt-daily.timer apt-daily-upgrade.timer' \
  --customize-hook='chroot "$1" systemctl -q mask systemd-networkd-wait-online e2scrub_reap' \
  "$suite" "$part/root" "$MIRROR" >&2
cp "$part"/root/boot/vmlinuz-* "$base/vmlinuz"
cp "$part"/root/boot/initrd.img-* "$base/initrd.img"
mke2fs -q -t ext4 -d "$part/root" "$part/root.ext4" 4G
mv "$part/root.ext4" "$base/root.ext4"
echo "$base"
