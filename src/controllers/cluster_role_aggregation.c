/* cluster_role_aggregation.c: clusterrole-aggregation-controller: the rules of a ClusterRole with
 * an aggregationRule are those of all roles that its selectors match. */
#include "api/selector.h"
#include "controllers/util.h"

static bool has_rule(
	const struct rbac_v1_policy_rule_vec *rules, const struct rbac_v1_policy_rule *r)
{
	for (size_t i = 0; i < rules->n; i++)
		if (schema_equal(&rbac_v1_policy_rule_schema, &rules->v[i], r))
			return true;
	return false;
}

static void gather(struct view *v, struct str self, const struct label_selector *selector,
	struct rbac_v1_policy_rule_vec *ret)
{
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(
		&it, view_snapshot(v, &rbac_v1_cluster_role_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		const struct rbac_v1_cluster_role *role;

		if (str_eq(o->name, self) || !label_selector_matches(selector, &o->labels))
			continue;
		role = object_decode(o, v->arena);
		for (size_t i = 0; i < role->rules.n; i++)
			if (!has_rule(ret, &role->rules.v[i]))
				ARENA_PUSH(v->arena, ret, role->rules.v[i]);
	}
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	struct rbac_v1_cluster_role *role =
		view_decode(v, &rbac_v1_cluster_role_resource, S(""), key.name);
	struct rbac_v1_policy_rule_vec rules = {0};
	const struct rbac_v1_cluster_role now = {0};
	struct rbac_v1_cluster_role a = now, b = now;

	if (!role || !role->aggregation_rule)
		return 0;
	for (size_t i = 0; i < role->aggregation_rule->cluster_role_selectors.n; i++) {
		struct label_selector selector;
		int r = label_selector_from(&role->aggregation_rule->cluster_role_selectors.v[i],
			v->arena, &selector, err);

		if (r < 0)
			return r;
		gather(v, key.name, &selector, &rules);
	}
	a.rules = rules;
	b.rules = role->rules;
	if (schema_equal(&rbac_v1_cluster_role_schema, &a, &b))
		return 0;
	role->rules = rules;
	struct plan_write *w =
		plan_add(p, PLAN_UPDATE, &rbac_v1_cluster_role_resource, S(""), key.name);
	w->object = role;
	w->ignore_not_found = true;
	return 0;
}

/* Any role may be part of any aggregated one, or have been. */
static void keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(
		&it, view_snapshot(v, &rbac_v1_cluster_role_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (str_find(o->json, S("\"aggregationRule\":")) >= 0)
			enqueue(user_data, S(""), o->name);
}

static const struct plan_watch watches[] = {
	{.resource = &rbac_v1_cluster_role_resource, .keys = keys},
	{0},
};

const struct planner cluster_role_aggregation_planner = {
	.name = "clusterrole-aggregation-controller",
	.user = "clusterrole-aggregation-controller",
	.watches = watches,
	.reconcile = reconcile,
};
