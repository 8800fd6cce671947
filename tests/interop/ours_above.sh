#!/bin/bash
# ours_above.sh: upstream's API server (RBAC, Node authorizer, NodeRestriction) and etcd under all of ours.
. "$(dirname "$0")/lib.sh"
interop_begin above
pki
upstream_apiserver
# routes to other machines' pods and NetworkPolicy are our kubelet's work, and upstream's authorizer tells kubelets only of themselves
k create clusterrole sampan-network --verb=get,list,watch --resource=nodes,pods,namespaces,networkpolicies.networking.k8s.io >/dev/null
k create clusterrolebinding sampan-network --clusterrole=sampan-network --group=system:nodes >/dev/null
our_kcm
our_scheduler
our_kubelet
e2e_image busybox --cmd '["sh"]'
our_proxy
story
step "nothing was forbidden to ours"
if grep -hiE "forbidden|could not find the requested resource" "$E2E_DIR"/log/{kcm,scheduler,kubelet,proxy}.log | cut -c1-300 | sort | uniq -c | sort -rn | head -20 |
  grep .; then fail "see above"; fi
say "all is well"
