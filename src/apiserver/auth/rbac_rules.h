/*
 * rbac_rules.h: what a rule allows, and whether some rules cover others (rbac.authorization.k8s.io;
 * component-helpers auth/rbac/validation). Pure functions.
 */
#ifndef SAMPAN_RBAC_RULES_H
#define SAMPAN_RBAC_RULES_H

#include "apiserver/request.h"
#include "types.gen.h"

bool rbac_rule_allows(const struct rbac_v1_policy_rule *r, const struct request_info *info);

/* What `want` has beyond `have`, taken apart into rules of one verb, group, resource and name each;
 * in the arena. Empty: covered. */
struct rbac_v1_policy_rule_vec rbac_missing(struct arena *a,
	const struct rbac_v1_policy_rule_vec *have, const struct rbac_v1_policy_rule_vec *want);
/* Rules that differ by verb alone, put together again. */
struct rbac_v1_policy_rule_vec rbac_compact(
	struct arena *a, const struct rbac_v1_policy_rule_vec *rules);
/* {APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]} */
struct str rbac_rule_text(struct arena *a, const struct rbac_v1_policy_rule *r);
/* Go's %q of a list: ["a" "b"] */
struct str go_quote_list(struct arena *a, const struct str_vec *v);

#endif
