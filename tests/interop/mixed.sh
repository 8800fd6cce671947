#!/bin/bash
# mixed.sh: upstream's API server and one of each kind of the others; then each of these gives place to the other kind's.
. "$(dirname "$0")/lib.sh"
interop_begin mixed
pki
upstream_apiserver
upstream_kcm
our_scheduler
our_kubelet
e2e_image busybox --cmd '["sh"]'
upstream_proxy
story
step "our controller manager stands by and takes over from upstream's"
holder() { k get lease -n kube-system "$1" -o jsonpath='{.spec.holderIdentity}'; }
took_over() { local h; h=$(holder "$1"); [ -n "$h" ] && [ "$h" != "$2" ]; }
theirs=$(holder kube-controller-manager)
run kcm2 "$SAMPAN" kube-controller-manager --kubeconfig "$PKI/kcm.kubeconfig" --root-ca-file "$PKI/ca.crt" --cluster-cidr=10.88.0.0/16 \
  --use-service-account-credentials=true --secure-port=20257
stop kcm
wait_for 30 "our controller manager does not take over" took_over kube-controller-manager "$theirs"
step "upstream's scheduler takes over from ours, and our service proxy from upstream's"
ours=$(holder kube-scheduler)
mv "$E2E_DIR/log/scheduler.log" "$E2E_DIR/log/scheduler-ours.log"
stop scheduler
upstream_scheduler
stop proxy
in_ns nft flush ruleset
our_proxy
wait_for 30 "upstream's scheduler does not take over" took_over kube-scheduler "$ours"
story
say "all is well"
