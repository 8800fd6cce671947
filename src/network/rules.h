/* rules.h: the nftables text of the pod network: masquerading and host ports. Pure text. */
#ifndef SAMPAN_NETWORK_RULES_H
#define SAMPAN_NETWORK_RULES_H

#include "network/leases.h"

/* The table, replacing whatever was there: pods that talk to the outside get the node's address. */
void rules_base(const char *bridge, struct in_addr first, int prefix, struct buf *nft);
/* The host ports of one pod; verb: "add" or "delete". */
void rules_ports(const struct lease *lease, const char *verb, struct buf *nft);

#endif
