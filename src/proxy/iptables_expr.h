/* iptables_expr.h: a rule as iptables-nft keeps it: expressions of nftables, and the kernel's
 * modules of iptables where it uses those. Every version of iptables-nft reads this form. */
#ifndef SAMPAN_PROXY_IPTABLES_EXPR_H
#define SAMPAN_PROXY_IPTABLES_EXPR_H

#include "proxy/iptables_parse.h"

struct nlmsghdr;

/* Appends to a message of type NFT_MSG_NEWRULE what the rule does; at most IPTABLES_RULE_BYTES. */
enum { IPTABLES_RULE_BYTES = 4096 };
void iptables_put_rule(struct nlmsghdr *h, const struct iptables_rule *rule, bool ipv6);

#endif
