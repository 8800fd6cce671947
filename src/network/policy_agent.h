/*
 * policy_agent.h: follows the cluster's network policies, and the pods and namespaces that they
 * speak of, and keeps this node's rules (policy.h) right.
 *
 * It is the guard of the pod network (pod_network.h): a new pod's rules stand before anything in it
 * starts, as the NetworkPolicy API promises of policies that were there before the pod. Where that
 * cannot be known the pod goes on after a while: policies that cannot be read must not keep a
 * machine from starting.
 *
 * Blocks for milliseconds (nftables), so it runs on a loop of its own. One thread: the loop's.
 */
#ifndef SAMPAN_NETWORK_POLICY_AGENT_H
#define SAMPAN_NETWORK_POLICY_AGENT_H

#include "client/client.h"
#include "network/pod_network.h"

struct policy_agent_opts {
	struct loop *loop;
	/* Taken over; not started yet: for policies, which a server may keep from this node; and
	 * for pods and namespaces, which begins with the first policy: without one, a node need not
	 * hear of everybody's pods. */
	struct client *policy_client, *pod_client;
	struct str node_name;
	struct pod_network *network; /* borrowed: lives longer */
};

/* It lives as long as the program. On failure the clients are freed. */
int policy_agent_start(const struct policy_agent_opts *opts, struct err *err);

#endif
