/*
 * rules.h: the nftables text of the pod network: masquerading and host ports, in the tables
 * `ip sampan_net` and `ip6 sampan_net`. Pure text.
 */
#ifndef SAMPAN_NETWORK_RULES_H
#define SAMPAN_NETWORK_RULES_H

#include "network/leases.h"
#include "network/network.h"

/* The table of a range's family, replacing whatever was there: what pods send to the outside gets
 * the node's address; what they send to pods and nodes of the cluster keeps theirs. */
void rules_base(const char *bridge, const struct ip_prefix *own, const struct network_cluster *c,
	struct buf *nft);
/* What one port of the bridge sends to another must have passed the rules for IP packets: it is
 * routed, or, where br_netfilter is on, shown to them on the way. What neither happens to is
 * dropped: the tables `inet sampan_guard` and `bridge sampan_guard`. */
void rules_guard(const char *bridge, struct buf *nft);
/* Only the sets of the cluster's pods and nodes. */
void rules_cluster(int family, const struct network_cluster *c, struct buf *nft);
/* The host ports of one pod; verb: "add" or "delete". */
void rules_ports(const struct lease *lease, const char *verb, struct buf *nft);

#endif
