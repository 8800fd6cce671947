#!/bin/bash
# ours_above.sh: upstream's API server (RBAC, Node authorizer, NodeRestriction) and etcd under all of ours.
. "$(dirname "$0")/lib.sh"
interop_begin above
pki
upstream_apiserver
our_kcm
our_scheduler
our_kubelet
e2e_image busybox --cmd '["sh"]'
our_proxy
story
step "nothing was forbidden to ours"
# but one thing: to reach pods of other machines our network asks for all nodes, which upstream's authorizer tells no kubelet
if grep -hiE "forbidden|could not find the requested resource" "$E2E_DIR"/log/{kcm,scheduler,kubelet,proxy}.log | grep -v "listing nodes: nodes is forbidden" | cut -c1-300 | sort | uniq -c | sort -rn | head -20 |
  grep .; then fail "see above"; fi
say "all is well"
