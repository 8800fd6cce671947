/*
 * policy_node_agent.c: what the nodes of a whole cluster need beyond upstream's policy.
 *
 * To join: the rights that kubeadm gives to bootstrap tokens, under kubeadm's names.
 *
 * `sampan node` is not only a kubelet but also the service proxy and the pod network of its
 * machine: it sees services' endpoints, the other machines, and whom network policies select. It
 * gets nothing to write, and no secrets.
 */
#include "apiserver/auth/policy.h"

#define JOINING "system:bootstrappers:kubeadm:default-node-token"
#define CSR "system:certificates.k8s.io:certificatesigningrequests:"

const struct policy_row policy_node_agent_roles[] = {
	ROLE("system:sampan:node-agent"),
	RULE("get,list,watch", "", "endpoints,namespaces,nodes,pods,services"),
	RULE("get,list,watch", "discovery.k8s.io", "endpointslices"),
	RULE("get,list,watch", "networking.k8s.io", "networkpolicies,servicecidrs"),
	/* docs/joining.md: serving certificates of nodes are approved, too, when all their names
	 * are the node's own */
	ROLE("system:sampan:kubelet-serving-approver"),
	NAMED("approve", "certificates.k8s.io", "signers", "kubernetes.io/kubelet-serving"),
	ROLE("kubeadm:get-nodes"),
	RULE("get", "", "nodes"),
	ROLE_IN("kube-public", "kubeadm:bootstrap-signer-clusterinfo"),
	NAMED("get", "", "configmaps", "cluster-info"),
	{0},
};

const struct policy_binding policy_node_agent_bindings[] = {
	BINDING(NULL, "system:sampan:node-agent", "system:sampan:node-agent", "g:system:nodes"),
	BINDING(NULL, "system:sampan:kubelet-serving-approver",
		"system:sampan:kubelet-serving-approver", "s:kube-system:certificate-controller"),
	BINDING(NULL, "kubeadm:get-nodes", "kubeadm:get-nodes", "g:" JOINING),
	BINDING(NULL, "kubeadm:kubelet-bootstrap", "system:node-bootstrapper", "g:" JOINING),
	BINDING(NULL, "kubeadm:node-autoapprove-bootstrap", CSR "nodeclient", "g:" JOINING),
	BINDING(NULL, "kubeadm:node-autoapprove-certificate-rotation", CSR "selfnodeclient",
		"g:system:nodes"),
	BINDING("kube-public", "kubeadm:bootstrap-signer-clusterinfo",
		"kubeadm:bootstrap-signer-clusterinfo", "u:system:anonymous"),
	{0},
};
