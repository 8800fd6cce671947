/*
 * policy_node_agent.c: what `sampan node` needs beyond a kubelet's rights, because it is also the
 * service proxy and the pod network of its machine: to see services' endpoints, the other machines,
 * and whom network policies select. It gives nothing to write, and no secrets.
 */
#include "apiserver/auth/policy.h"

const struct policy_row policy_node_agent_roles[] = {
	ROLE("system:sampan:node-agent"),
	RULE("get,list,watch", "", "endpoints,namespaces,nodes,pods,services"),
	RULE("get,list,watch", "discovery.k8s.io", "endpointslices"),
	RULE("get,list,watch", "networking.k8s.io", "networkpolicies,servicecidrs"),
	{0},
};

const struct policy_binding policy_node_agent_bindings[] = {
	BINDING(NULL, "system:sampan:node-agent", "system:sampan:node-agent", "g:system:nodes"),
	{0},
};
