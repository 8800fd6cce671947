#!/bin/bash
# ours_below.sh: our API server under upstream's controller manager, scheduler, kubelet (on containerd) and kube-proxy.
. "$(dirname "$0")/lib.sh"
interop_begin below
our_apiserver
pki
wait_for 20 "our API server is not ready" k get --raw /readyz
e2e_containerd
e2e_image busybox --cmd '["sh"]'
upstream_kcm
upstream_scheduler
upstream_kubelet
upstream_proxy
story
step "nothing that upstream's programs ask for is missing"
if grep -hE "Failed to watch|could not find the requested resource|is forbidden: User|extension-apiserver-authentication.* not found" "$E2E_DIR"/log/{kcm,scheduler,kubelet,proxy}.log | grep -vE "connection refused|not yet" |
  sed -E 's/.*reflector[^ ]*] //' | sort | uniq -c | sort -rn | head -20 | grep .; then fail "see above"; fi
say "all is well"
