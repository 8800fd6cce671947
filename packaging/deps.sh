#!/bin/bash
# deps.sh build|run|test …: installs the Debian packages of each group that are missing. sudo when not root.
set -euo pipefail
build="build-essential meson ninja-build pkg-config python3 libuv1-dev libnghttp2-dev libsqlite3-dev libyaml-dev
 libmnl-dev libnftables-dev libarchive-dev libcurl4-openssl-dev libssl-dev libwslay-dev libcmocka-dev zlib1g-dev libzstd-dev"
run="runc conmon nftables iproute2 ca-certificates"
test="busybox-static docker-registry python3-yaml etcd-server curl openssl libjansson-dev clang-14 libclang-rt-14-dev util-linux procps
 openvswitch-switch containernetworking-plugins iptables iproute2 iputils-ping tcpdump socat"
missing=()
for group in "$@"; do
  for p in ${!group}; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
done
# a kubectl of any kind will do for the tests; Debian's only where there is none
case " $* " in *" test "*) command -v kubectl >/dev/null || missing+=(kubernetes-client);; esac
[ ${#missing[@]} -gt 0 ] || exit 0
sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
