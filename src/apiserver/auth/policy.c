/* policy.c: the objects of the bootstrap policy, from its tables. */
#include "apiserver/auth/policy.h"

#define API_GROUP "rbac.authorization.k8s.io"

static struct str_vec words(struct arena *a, const char *list, char sep)
{
	struct str rest = str_c(list), one;
	struct str_vec out = {0};
	bool more = list;

	while (more) {
		more = str_cut(rest, sep, &one, &rest);
		ARENA_PUSH(a, &out, one);
	}
	return out;
}

static struct rbac_v1_policy_rule rule_of(struct arena *a, const struct policy_row *row)
{
	return (struct rbac_v1_policy_rule){.verbs = words(a, row->verbs, ','),
		.api_groups = words(a, row->groups, ','),
		.resources = words(a, row->resources, ','),
		.resource_names = words(a, row->names, ','),
		.non_resource_urls = words(a, row->urls, ',')};
}

static struct rbac_v1_policy_rule_vec rules_after(struct arena *a, const struct policy_row *row)
{
	struct rbac_v1_policy_rule_vec out = {0};

	for (row++; row->verbs; row++)
		ARENA_PUSH(a, &out, rule_of(a, row));
	return out;
}

struct rbac_v1_policy_rule_vec policy_rules(
	struct arena *a, const struct policy_row *rows, const char *role)
{
	for (; rows->role || rows->verbs; rows++)
		if (rows->role && !strcmp(rows->role, role))
			return rules_after(a, rows);
	return (struct rbac_v1_policy_rule_vec){0};
}

static struct str_map pair(struct arena *a, const char *key, const char *value)
{
	struct str_map m = {0};

	ARENA_PUSH(a, &m, ((struct str_pair){str_c(key), str_c(value)}));
	return m;
}

static struct meta_v1_object_meta meta(struct arena *a, const char *ns, const char *name)
{
	return (struct meta_v1_object_meta){.name = str_c(name),
		.namespace = str_c(ns),
		.labels = pair(a, "kubernetes.io/bootstrapping", "rbac-defaults"),
		.annotations = pair(a, "rbac.authorization.kubernetes.io/autoupdate", "true")};
}

static const char *aggregate_label(struct arena *a, const char *role)
{
	return arena_fmt(a, API_GROUP "/aggregate-to-%s", role).p;
}

static struct rbac_v1_aggregation_rule *aggregation(struct arena *a, const char *role)
{
	struct rbac_v1_aggregation_rule *r = ARENA_NEW(a, struct rbac_v1_aggregation_rule);
	struct meta_v1_label_selector s = {
		.match_labels = pair(a, aggregate_label(a, role), "true")};

	ARENA_PUSH(a, &r->cluster_role_selectors, s);
	return r;
}

static void *cluster_role(struct arena *a, const struct policy_row *row)
{
	struct rbac_v1_cluster_role *r = ARENA_NEW(a, struct rbac_v1_cluster_role);

	r->metadata = meta(a, NULL, row->role);
	r->rules = rules_after(a, row);
	if (row->part_of)
		ARENA_PUSH(a, &r->metadata.labels,
			((struct str_pair){str_c(aggregate_label(a, row->part_of)), S("true")}));
	if (row->made_of)
		r->aggregation_rule = aggregation(a, row->made_of);
	return r;
}

static void *role(struct arena *a, const struct policy_row *row)
{
	struct rbac_v1_role *r = ARENA_NEW(a, struct rbac_v1_role);

	r->metadata = meta(a, row->ns, row->role);
	r->rules = rules_after(a, row);
	return r;
}

/* "u:name", "g:name", "s:namespace:name" */
static struct rbac_v1_subject subject(struct str text)
{
	struct str rest = str_sub(text, 2, text.n), ns;
	struct rbac_v1_subject s = {.kind = text.p[0] == 'u' ? S("User") : S("Group"),
		.api_group = S(API_GROUP),
		.name = rest};

	if (text.p[0] != 's')
		return s;
	str_cut(rest, ':', &ns, &rest);
	return (struct rbac_v1_subject){.kind = S("ServiceAccount"), .name = rest, .namespace = ns};
}

static struct rbac_v1_subject_vec subjects(struct arena *a, const char *list)
{
	struct str_vec all = words(a, list, ' ');
	struct rbac_v1_subject_vec out = {0};

	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].n)
			ARENA_PUSH(a, &out, subject(all.v[i]));
	return out;
}

static void *binding(struct arena *a, const struct policy_binding *row)
{
	struct rbac_v1_role_binding *b = ARENA_NEW(a, struct rbac_v1_role_binding);

	b->metadata = meta(a, row->ns, row->name);
	b->subjects = subjects(a, row->subjects);
	b->role_ref = (struct rbac_v1_role_ref){S(API_GROUP), S("Role"), str_c(row->role)};
	return b;
}

static void *cluster_binding(struct arena *a, const struct policy_binding *row)
{
	struct rbac_v1_cluster_role_binding *b = ARENA_NEW(a, struct rbac_v1_cluster_role_binding);

	b->metadata = meta(a, NULL, row->name);
	b->subjects = subjects(a, row->subjects);
	b->role_ref = (struct rbac_v1_role_ref){S(API_GROUP), S("ClusterRole"), str_c(row->role)};
	return b;
}

struct visitor {
	struct arena *arena;
	void (*visit)(void *user_data, enum policy_kind kind, void *object);
	void *user_data;
};

static void visit_roles(const struct visitor *v, const struct policy_row *r)
{
	for (; r->role || r->verbs; r++) {
		if (r->role && r->ns)
			v->visit(v->user_data, POLICY_ROLE, role(v->arena, r));
		else if (r->role)
			v->visit(v->user_data, POLICY_CLUSTER_ROLE, cluster_role(v->arena, r));
	}
}

static void visit_bindings(const struct visitor *v, const struct policy_binding *b)
{
	for (; b->name; b++) {
		if (b->ns)
			v->visit(v->user_data, POLICY_BINDING, binding(v->arena, b));
		else
			v->visit(
				v->user_data, POLICY_CLUSTER_BINDING, cluster_binding(v->arena, b));
	}
}

void policy_each(struct arena *a, bool node_agents,
	void (*visit)(void *user_data, enum policy_kind kind, void *object), void *user_data)
{
	const struct visitor v = {a, visit, user_data};

	visit_roles(&v, policy_cluster_roles);
	visit_roles(&v, policy_controller_roles);
	visit_roles(&v, policy_roles);
	visit_bindings(&v, policy_bindings);
	if (node_agents) {
		visit_roles(&v, policy_node_agent_roles);
		visit_bindings(&v, policy_node_agent_bindings);
	}
}

const struct schema_resource *policy_resource(enum policy_kind kind)
{
	static const struct schema_resource *const all[] = {
		[POLICY_CLUSTER_ROLE] = &rbac_v1_cluster_role_resource,
		[POLICY_CLUSTER_BINDING] = &rbac_v1_cluster_role_binding_resource,
		[POLICY_ROLE] = &rbac_v1_role_resource,
		[POLICY_BINDING] = &rbac_v1_role_binding_resource,
	};

	return all[kind];
}
