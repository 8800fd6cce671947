/*
 * escalation.h: nobody grants rights that he does not have (registry/rbac: escalation checks),
 * unless he is of system:masters or was given the verbs "escalate" or "bind".
 */
#ifndef SAMPAN_ESCALATION_H
#define SAMPAN_ESCALATION_H

#include "apiserver/strategy.h"

/* 0, or 403: 'user "x" (groups=["g"]) is attempting to grant RBAC permissions not currently
 * held:…'. name: of the role that is written. */
int check_role_escalation(struct strategy_ctx *ctx, struct str name,
	const struct rbac_v1_policy_rule_vec *rules, bool create, struct err *err);
/* To gather rights by an aggregation rule takes all rights. */
int check_aggregation(struct strategy_ctx *ctx, struct str name, bool create, struct err *err);
/* 0, 403 as above, or 404 when there is no such role. ns is empty for a ClusterRoleBinding. */
int check_binding(struct strategy_ctx *ctx, struct str name, struct str ns,
	const struct rbac_v1_role_ref *ref, struct err *err);

#endif
