/* plugins.c: the plugins in the order in which they run, and what several of them use. */
#include "schema/quantity.h"
#include "scheduler/framework.h"

extern const struct plugin scheduling_gates_plugin, node_unschedulable_plugin, node_name_plugin,
	taint_toleration_plugin, node_affinity_plugin, node_ports_plugin, node_resources_fit_plugin,
	pod_topology_spread_plugin, inter_pod_affinity_plugin, balanced_allocation_plugin,
	image_locality_plugin;

const struct plugin *const plugins[] = {
	&scheduling_gates_plugin,
	&node_unschedulable_plugin,
	&node_name_plugin,
	&taint_toleration_plugin,
	&node_affinity_plugin,
	&node_ports_plugin,
	&node_resources_fit_plugin,
	&pod_topology_spread_plugin,
	&inter_pod_affinity_plugin,
	&balanced_allocation_plugin,
	&image_locality_plugin,
	NULL,
};

void normalize_by_max(int64_t *scores, size_t n, bool reverse)
{
	int64_t max = 0;

	for (size_t i = 0; i < n; i++)
		max = MAX(max, scores[i]);
	for (size_t i = 0; i < n; i++) {
		int64_t s = max ? SCORE_MAX * scores[i] / max : 0;

		scores[i] = reverse ? SCORE_MAX - s : s;
	}
}

static bool compare_numbers(struct str label, struct str_vec values, bool greater)
{
	int64_t a, b;

	if (values.n != 1 || str_to_i64(label, &a) < 0 || str_to_i64(values.v[0], &b) < 0)
		return false;
	return greater ? a > b : a < b;
}

static bool requirement_matches(
	const struct v1_node_selector_requirement *r, const struct str *label)
{
	if (str_eq(r->operator, S("In")))
		return label && str_vec_has(&r->values, *label);
	if (str_eq(r->operator, S("NotIn")))
		return !label || !str_vec_has(&r->values, *label);
	if (str_eq(r->operator, S("Exists")))
		return label;
	if (str_eq(r->operator, S("DoesNotExist")))
		return !label;
	if (str_eq(r->operator, S("Gt")) || str_eq(r->operator, S("Lt")))
		return label && compare_numbers(*label, r->values, r->operator.p[0] == 'G');
	return false;
}

bool node_term_matches(const struct node_info *n, const struct v1_node_selector_term *term)
{
	if (term->match_expressions.n == 0 && term->match_fields.n == 0)
		return false;
	for (size_t i = 0; i < term->match_expressions.n; i++) {
		const struct v1_node_selector_requirement *r = &term->match_expressions.v[i];

		if (!requirement_matches(r, str_map_get(&n->labels, r->key)))
			return false;
	}
	for (size_t i = 0; i < term->match_fields.n; i++) {
		const struct v1_node_selector_requirement *r = &term->match_fields.v[i];

		if (!str_eq(r->key, S("metadata.name")) || !requirement_matches(r, &n->name))
			return false;
	}
	return true;
}

bool node_matches_required(const struct node_info *n, const struct v1_pod_spec *spec)
{
	const struct v1_node_affinity *na = spec->affinity ? spec->affinity->node_affinity : NULL;
	const struct v1_node_selector *required =
		na ? na->required_during_scheduling_ignored_during_execution : NULL;

	for (size_t i = 0; i < spec->node_selector.n; i++) {
		const struct str *v = str_map_get(&n->labels, spec->node_selector.v[i].key);

		if (!v || !str_eq(*v, spec->node_selector.v[i].value))
			return false;
	}
	if (!required)
		return true;
	for (size_t i = 0; i < required->node_selector_terms.n; i++)
		if (node_term_matches(n, &required->node_selector_terms.v[i]))
			return true;
	return false;
}

bool taint_tolerated(const struct v1_taint *taint, const struct v1_toleration *t)
{
	if (t->effect.n && !str_eq(t->effect, taint->effect))
		return false;
	if (t->key.n && !str_eq(t->key, taint->key))
		return false;
	if (str_eq(t->operator, S("Exists")))
		return true;
	if (str_eq(t->operator, S("Gt")) || str_eq(t->operator, S("Lt")))
		return compare_numbers(taint->value, (struct str_vec){(struct str *)&t->value, 1},
			t->operator.p[0] == 'G');
	return (str_empty(t->operator) || str_eq(t->operator, S("Equal"))) && t->key.n &&
	       str_eq(t->value, taint->value);
}

const struct v1_taint *untolerated_taint(
	const struct node_info *n, const struct v1_pod_spec *spec, bool hard)
{
	for (size_t i = 0; i < n->taints.n; i++) {
		const struct v1_taint *taint = &n->taints.v[i];
		bool soft = str_eq(taint->effect, S("PreferNoSchedule"));
		bool tolerated = false;

		if (soft == hard)
			continue;
		for (size_t k = 0; k < spec->tolerations.n && !tolerated; k++)
			tolerated = taint_tolerated(taint, &spec->tolerations.v[k]);
		if (!tolerated)
			return taint;
	}
	return NULL;
}
