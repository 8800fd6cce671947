/*
 * network.h: the pod network of one node: addresses and an interface for each pod, joined by a
 * Linux bridge.
 *
 * A pod's interface has its address as a /32 (/128) and the bridge as its gateway, so that traffic
 * between two pods of a node is routed by the node, too: service addresses work without
 * br_netfilter, and network policies see it (rules_guard() closes the ways round). Addresses come
 * from the node's pod CIDRs and are kept on disk: they survive a restart of the program, and none
 * leaks. Host ports and masquerading live in the nftables tables `ip sampan_net` and `ip6
 * sampan_net`. Works in a network namespace without a default route.
 *
 * Functions block (netlink, nftables) for a millisecond or a few: call them from worker threads.
 * They lock; any thread.
 */
#ifndef SAMPAN_NETWORK_H
#define SAMPAN_NETWORK_H

#include "network/address.h"

struct network;

#define NETWORK_BRIDGE "sampan0"
#define NETWORK_BRIDGE_OVS "kbr0" /* with the ovs backend, as the story calls it */

struct network_opts {
	const char *state_dir; /* <data-dir>/network: survives reboots */
	const char *bridge;    /* NULL = NETWORK_BRIDGE */
	int mtu;               /* of bridge and pods; 0 = 1500 */
};

struct network_port {
	const char *protocol; /* "tcp", "udp", "sctp" */
	int host_port, container_port;
	struct str host_ip; /* empty or 0.0.0.0: every address */
};

struct network_pod {
	struct str id; /* of the sandbox */
	const char *netns_path;
	const struct network_port *ports;
	size_t n_ports;
};

int network_new(const struct network_opts *opts, struct network **ret, struct err *err);
void network_free(struct network *n); /* pods keep their interfaces */
/* The addresses that this node gives to pods ("10.244.0.0/24", or one of each family with a comma).
 * Makes the bridge and joins the pods that are there to it; they keep their addresses. Until it is
 * called no pod can be attached. Fails when a network of this machine has such addresses, too. */
int network_set_pod_cidrs(struct network *n, struct str cidrs, struct err *err);
/* Of the bridge and of every pod, now and later. */
void network_set_mtu(struct network *n, int mtu);

/* Where pods go under their own addresses. */
struct network_cluster {
	const struct ip_prefix *pods; /* pod CIDRs of all nodes */
	size_t n_pods;
	const struct ip_addr *nodes; /* their addresses */
	size_t n_nodes;
};
int network_set_cluster(struct network *n, const struct network_cluster *c, struct err *err);
bool network_ready(struct network *n);

/* Gives the pod its interface eth0 (and an lo that is up) and its addresses. Idempotent: a pod that
 * is attached gets the same answer again. Errors: 503 when there is no pod CIDR yet or no address
 * left; nothing is left behind then. */
int network_attach(struct network *n, const struct network_pod *pod, struct arena *a,
	struct str_vec *ret_ips, struct err *err);
/* Takes interface, address and host ports back; 0 also when there was nothing. The namespace may be
 * gone already. */
int network_detach(struct network *n, struct str id, struct err *err);
/* Detaches every pod that is not in `live`: those that went while the program did not run. */
void network_collect(struct network *n, const struct str_vec *live);

#endif
