/*
 * ruleset.h: what one service is in nftables, and how to get there from what it was: pure text, no
 * kernel.
 *
 * Everything lives in the tables `ip sampan_proxy` and `ip6 sampan_proxy`. A packet to a service
 * address finds its chain in one map lookup, however many services there are; a chain spreads over
 * its endpoints by one more. A service is a list of items (chains, sets, map elements); a change is
 * the difference of two lists, so one endpoint more or less rewrites one chain and nothing else.
 */
#ifndef SAMPAN_PROXY_RULESET_H
#define SAMPAN_PROXY_RULESET_H

#include "base/map.h"
#include "proxy/service.h"

enum ruleset_kind { RULESET_SET, RULESET_CHAIN, RULESET_ELEMENT, RULESET_HAIRPIN };

struct ruleset_item {
	enum ruleset_kind kind;
	bool ipv6;
	struct str
		name; /* of the chain or set; "map key" of an element; the address of a hairpin */
	struct str body; /* rules, one per line; the set's type; the element's verdict */
};

struct ruleset {
	struct ruleset_item *v; /* sorted by kind, family, name */
	size_t n;
};

/* The items of one service (of one family), appended. ruleset_sort before comparing. */
void ruleset_add_service(struct ruleset *r, const struct proxy_service *svc, struct arena *a);
void ruleset_sort(struct ruleset *r);

/* Hairpin addresses (a pod that reaches itself through a service) are shared between services: how
 * many use each. */
struct ruleset_shared {
	struct map hairpins;
};

/* nft commands that make `before` into `after`; nothing when they are equal. */
void ruleset_diff(const struct ruleset *before, const struct ruleset *after,
	struct ruleset_shared *shared, struct buf *nft);
/* The tables, maps and base chains, replacing whatever an earlier run left. */
void ruleset_base(bool ipv6, struct buf *nft);

#endif
