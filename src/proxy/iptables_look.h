/*
 * iptables_look.h: what a family's tables hold of ours, in either variant of iptables: the nft
 * variant, whose tables are nftables' (asked over netlink), and the legacy variant (iptables-save).
 */
#ifndef SAMPAN_PROXY_IPTABLES_LOOK_H
#define SAMPAN_PROXY_IPTABLES_LOOK_H

#include "base/map.h"
#include "proxy/iptables_rules.h"

struct nft_socket;

struct iptables_found {
	struct map chains; /* "nat KUBE-SVC-…", "filter KUBE-FORWARD": whose name begins so */
	struct map jumps;  /* what leads to the shared ones: "nat OUTPUT", then the rule's number
			    * (nft  variant) or its words */
	bool missing[IPTABLES_JUMPS];
	int64_t in_use; /* nft variant: of all these chains: a rule counts, and a jump to one */
};
void iptables_found_release(struct iptables_found *f);

/* `socket`: of the nft variant; NULL: legacy. */
int iptables_look(
	struct nft_socket *socket, bool ipv6, struct iptables_found *ret, struct err *err);

/* For each "TABLE REST" in a map: */
struct str iptables_table_of(const struct map_entry *e, struct str *ret_rest);

#endif
