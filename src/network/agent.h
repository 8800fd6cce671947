/*
 * agent.h: the part of a node that follows the cluster: it keeps the overlay between machines
 * (overlay.h), the pod network's knowledge of the cluster and its MTU (pod_network.h), and network
 * policies (policy.h) right as nodes, pods, namespaces, policies and this machine's links change.
 *
 * Blocks for milliseconds (netlink, nftables, Open vSwitch's tools), so it runs on a loop of its
 * own. One thread: the loop's.
 */
#ifndef SAMPAN_NETWORK_AGENT_H
#define SAMPAN_NETWORK_AGENT_H

#include "client/client.h"
#include "network/overlay.h"
#include "network/pod_network.h"

struct network_agent;

struct network_agent_opts {
	struct loop *loop;
	/* Taken over; not started yet: for nodes; for network policies, which a server may keep
	 * from this node while its way to other machines still matters; and for pods and
	 * namespaces, which begins with the first policy: without one, a node need not hear of
	 * everybody's pods. */
	struct client *client, *policy_client, *pod_client;
	struct str node_name;
	struct overlay_opts overlay; /* strings are borrowed */
	struct pod_network *network; /* borrowed: lives longer */
};

/* On failure the clients are freed, too. */
int network_agent_start(
	const struct network_agent_opts *opts, struct network_agent **ret, struct err *err);
void network_agent_stop(struct network_agent *n); /* routes, tunnels and rules stay */

#endif
