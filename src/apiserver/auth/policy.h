/*
 * policy.h: the roles and bindings that every cluster has (upstream's bootstrap policy), as data.
 *
 * A list is one string with commas; the core API group is the empty word. Rows of rules follow the
 * row of their role.
 */
#ifndef SAMPAN_AUTH_POLICY_H
#define SAMPAN_AUTH_POLICY_H

#include "client/client.h"
#include "types.gen.h"

struct policy_row {
	/* a role */
	const char *role, *ns;
	const char *part_of; /* its rules go into these aggregated roles: "admin" … */
	const char *made_of; /* it is the sum of the roles that are part of these */
	/* a rule */
	const char *verbs, *groups, *resources, *names, *urls;
};
#define ROLE(n)                                                                                    \
	{                                                                                          \
		.role = n                                                                          \
	}
#define ROLE_IN(space, n)                                                                          \
	{                                                                                          \
		.role = n, .ns = space                                                             \
	}
#define ROLE_AGGREGATE(n, part, made)                                                              \
	{                                                                                          \
		.role = n, .part_of = part, .made_of = made                                        \
	}
#define RULE(v, g, r)                                                                              \
	{                                                                                          \
		.verbs = v, .groups = g, .resources = r                                            \
	}
#define NAMED(v, g, r, n)                                                                          \
	{                                                                                          \
		.verbs = v, .groups = g, .resources = r, .names = n                                \
	}
#define URLS(v, u)                                                                                 \
	{                                                                                          \
		.verbs = v, .urls = u                                                              \
	}

struct policy_binding {
	const char *ns; /* NULL: of a ClusterRole, in the whole cluster; else of a Role */
	const char *name, *role;
	const char *subjects; /* with spaces between: "u:user g:group s:namespace:account" */
};
#define BINDING(space, n, r, s)                                                                    \
	{                                                                                          \
		.ns = space, .name = n, .role = r, .subjects = s                                   \
	}

/* All end with an empty row. */
extern const struct policy_row policy_cluster_roles[], policy_controller_roles[], policy_roles[];
extern const struct policy_binding policy_bindings[];
/* Not upstream's: what `sampan node`, which is kubelet, service proxy and pod network in one, needs
 * beyond a kubelet's rights. */
extern const struct policy_row policy_node_agent_roles[];
extern const struct policy_binding policy_node_agent_bindings[];

/* The rules of a role of the policy, in the arena; empty when there is no such role. */
struct rbac_v1_policy_rule_vec policy_rules(
	struct arena *a, const struct policy_row *rows, const char *role);

enum policy_kind { POLICY_CLUSTER_ROLE, POLICY_CLUSTER_BINDING, POLICY_ROLE, POLICY_BINDING };
/* Makes all objects of the policy, roles before their bindings: visit(kind, object). */
void policy_each(struct arena *a, bool node_agents,
	void (*visit)(void *user_data, enum policy_kind kind, void *object), void *user_data);
const struct schema_resource *policy_resource(enum policy_kind kind);

/* What has to happen to an object that is there, to have all that the policy says (upstream's
 * reconciliation: what was added stays, autoupdate "false" keeps it as it is). */
enum policy_step { POLICY_KEEP, POLICY_UPDATE, POLICY_RECREATE };
/* POLICY_UPDATE: *ret is the object to write. `there` is changed. */
enum policy_step policy_reconcile(
	struct arena *a, enum policy_kind kind, void *there, const void *wanted, void **ret);

/* Brings the store in order by those rules, many objects at once; done is called on the client's
 * loop, once. It tries for ever, and frees itself before it calls done. */
void policy_sync(struct client *client, struct store *store, bool node_agents,
	void (*done)(void *user_data), void *user_data);

#endif
