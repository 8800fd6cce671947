/*
 * network.h: the pod network of one node: an address and an interface for each pod, joined by a
 * Linux bridge.
 *
 * A pod's interface has its address as a /32 and the bridge as its gateway, so that traffic between
 * two pods of a node is routed by the node, too, and service addresses work without br_netfilter.
 * Addresses come from the node's pod CIDR and are kept on disk: they survive a restart of the
 * program, and none leaks. Host ports and masquerading live in the nftables table `ip sampan_net`.
 * Works in a network namespace without a default route.
 *
 * Functions block (netlink, nftables) for a millisecond or a few: call them from worker threads.
 * They lock; any thread.
 */
#ifndef SAMPAN_NETWORK_H
#define SAMPAN_NETWORK_H

#include "base/base.h"

struct network;

struct network_opts {
	const char *state_dir; /* <data-dir>/network: survives reboots */
	const char *bridge;    /* NULL = "sampan0" */
	int mtu;               /* 0 = that of the default route's interface, else 1500 */
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
/* The addresses that this node gives to pods ("10.244.0.0/24"). Makes the bridge. Pods that have
 * addresses already keep them. Until it is called no pod can be attached. */
int network_set_pod_cidr(struct network *n, struct str cidr, struct err *err);
bool network_ready(struct network *n);

/* Gives the pod its interface eth0 (and an lo that is up) and its address. Idempotent: a pod that
 * is attached gets the same answer again. Errors: 503 when there is no pod CIDR yet or no address
 * left; nothing is left behind then. */
int network_attach(struct network *n, const struct network_pod *pod, struct arena *a,
	struct str *ret_ip, struct err *err);
/* Takes interface, address and host ports back; 0 also when there was nothing. The namespace may be
 * gone already. */
int network_detach(struct network *n, struct str id, struct err *err);
/* Detaches every pod that is not in `live`: those that went while the program did not run. */
void network_collect(struct network *n, const struct str_vec *live);

#endif
