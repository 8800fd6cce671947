/*
 * ruleset.h: the rules of one service as a list of items, and the difference of two such lists:
 * pure text, no kernel. What kinds there are and what name and body mean is the mode's business
 * (nft_rules.h, iptables_rules.h).
 */
#ifndef SAMPAN_PROXY_RULESET_H
#define SAMPAN_PROXY_RULESET_H

#include "base/map.h"

struct ruleset_item {
	int kind;
	bool ipv6;
	const char *table; /* nftables: static */
	struct str name;   /* unique with kind and family */
	struct str body;
};

struct ruleset {
	struct ruleset_item *v; /* sorted by kind, family, name */
	size_t n;
};

/* Sorts, and drops what stands twice. Before comparing. */
void ruleset_sort(struct ruleset *r);
struct ruleset ruleset_copy(const struct ruleset *r, struct arena *a);

/* Visits both lists in order; what stands in both is visited once, with both. */
typedef void ruleset_visit_fn(
	void *user_data, const struct ruleset_item *before, const struct ruleset_item *after);
void ruleset_compare(const struct ruleset *before, const struct ruleset *after,
	ruleset_visit_fn *visit, void *user_data);

#endif
