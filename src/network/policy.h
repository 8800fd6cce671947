/*
 * policy.h: network policies (networking.k8s.io/v1) of this node's pods, as nftables.
 *
 * Told of every pod, namespace and policy of the cluster, it keeps the table `inet sampan_policy`:
 *
 *   a set per peer (namespace and pod selector, whoever names it) with the addresses of its pods
 *   a set per named port and protocol: address . port of the pods that have it
 *   a chain per policy and direction: what it allows
 *   a chain per pod of this node that a policy selects, and direction: its policies, then drop
 *   a map per direction from such a pod's address to its chain
 *
 * So a packet finds its chain in one lookup, a pod that comes or goes anywhere changes elements of
 * sets, and a policy rewrites its own chains. Rules see addresses after a service's were replaced.
 * Connections that were allowed go on; what the node itself sends to its pods (the kubelet's
 * probes) is not filtered; pods in the node's own network are neither restricted nor selected as
 * peers, as upstream leaves it open. Pure: text comes out. One thread.
 */
#ifndef SAMPAN_NETWORK_POLICY_H
#define SAMPAN_NETWORK_POLICY_H

#include "base/base.h"

struct policies;
struct v1_pod;
struct networking_v1_network_policy;

struct policies *policies_new(struct str node_name);
void policies_free(struct policies *p);

/* Each is copied. gone: it was deleted (only its names count). */
void policies_pod(struct policies *p, const struct v1_pod *pod, bool gone);
/* A pod of this node is about to start with the addresses in its status: those hold for it from now
 * on, whatever later statuses say, until it is gone or starts with others. */
void policies_starts(struct policies *p, const struct v1_pod *pod);
void policies_namespace(
	struct policies *p, struct str name, const struct str_map *labels, bool gone);
void policies_policy(
	struct policies *p, const struct networking_v1_network_policy *policy, bool gone);

/* Appends the nft commands for what has changed since the last time; see nft_table.h. */
void policies_changes(struct policies *p, struct buf *nft);
void policies_forget(struct policies *p); /* they were not carried out: all again */

#endif
