#!/bin/bash
# power_cut.sh: the data directory is on a file system of its own, which stops from one moment to the next without writing what it
# still holds, as when the power fails. What was acknowledged before is there afterwards: objects, keys, an image.
. "$(dirname "$0")/../lib/lib.sh"
command -v mke2fs >/dev/null || PATH=$PATH:/usr/sbin
e2e_begin power-cut
mkdir "$E2E_DIR/data"
truncate -s 2G "$E2E_DIR/disk"
mke2fs -q -t ext4 "$E2E_DIR/disk"
disk_on() { mount -o loop "$E2E_DIR/disk" "$E2E_DIR/data"; }
disk_on || { echo "SKIPPED: no loop device"; exit 77; }
# EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: nothing reaches the disk any more
cut() { python3 -c 'import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))' "$E2E_DIR/data"; }

e2e_up --control-only >/dev/null
cp "$KUBECONFIG" "$E2E_DIR/kubeconfig"
export KUBECONFIG=$E2E_DIR/kubeconfig
for i in $(seq 2000); do printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: cut-%s}\ndata: {n: "%s"}\n' "$i" "$i"; done > "$E2E_DIR/objects.yaml"

step "the power fails while objects are made, right after an image was imported"
k create -f "$E2E_DIR/objects.yaml" > "$E2E_DIR/acked" 2>/dev/null & maker=$!
wait_for 20 "objects are made" sh -c "[ \$(wc -l < $E2E_DIR/acked) -ge 30 ]"
mkdir -p "$E2E_DIR/data/node"
e2e_image docker.io/library/late:1 --file /late=late
cut
for pid in $(ip netns pids "$E2E_NS"); do kill -9 "$pid" 2>/dev/null || true; done
wait $maker 2>/dev/null || true
umount "$E2E_DIR/data"
n=$(wc -l < "$E2E_DIR/acked")
[ "$n" -lt 2000 ] || fail "all objects were made before the power failed"

step "it is back"
disk_on
e2e_up >/dev/null
k get configmaps -o name > "$E2E_DIR/kept"
sed 's/ created//' "$E2E_DIR/acked" | grep -vxFf "$E2E_DIR/kept" > "$E2E_DIR/lost" && fail "acknowledged and lost: $(cat "$E2E_DIR/lost")"
say "$n objects were acknowledged, $(grep -c cut- "$E2E_DIR/kept") are there"
k run late --image=late:1 --image-pull-policy=Never --restart=Never --command -- cat /late >/dev/null
wait_for 20 "a pod of the image: $(k get events)" sh -c "nsenter --net=/run/netns/$E2E_NS $E2E_KUBECTL get pod late | grep -q Completed"
check_eq "$(k logs late)" late "its log"
in_ns "$SAMPAN" down --data-dir "$E2E_DIR/data" >/dev/null
umount "$E2E_DIR/data"
say "power cut: passed"
