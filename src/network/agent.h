/*
 * agent.h: the part of a node that follows the cluster's machines: it keeps the overlay between
 * them (overlay.h) and the pod network's knowledge of the cluster and its MTU (pod_network.h) right
 * as nodes and this machine's links change. policy_agent.h does the same for network policies.
 *
 * Blocks for milliseconds (netlink, nftables, Open vSwitch's tools), so it runs on a loop of its
 * own. One thread: the loop's.
 */
#ifndef SAMPAN_NETWORK_AGENT_H
#define SAMPAN_NETWORK_AGENT_H

#include "client/client.h"
#include "network/overlay.h"
#include "network/pod_network.h"

struct network_agent_opts {
	struct loop *loop;
	struct client *client; /* taken over; not started yet: for nodes */
	struct str node_name;
	struct overlay_opts overlay; /* strings are borrowed */
	struct pod_network *network; /* borrowed: lives longer */
};

/* It lives as long as the program; routes, tunnels and rules live longer. On failure the client is
 * freed. */
int network_agent_start(const struct network_agent_opts *opts, struct err *err);

#endif
