/* node_affinity.c: NodeAffinity: nodeSelector, required and preferred node affinity. */
#include "scheduler/framework.h"

static const struct v1_node_affinity *affinity(const struct cycle *c)
{
	const struct v1_affinity *a = c->pod->pod->spec.affinity;

	return a ? a->node_affinity : NULL;
}

static enum fit pre_filter(struct cycle *c)
{
	const struct v1_node_affinity *na = affinity(c);

	if (c->pod->pod->spec.node_selector.n == 0 &&
		!(na && na->required_during_scheduling_ignored_during_execution))
		return FIT_SKIP;
	return FIT_OK;
}

static enum fit filter(struct cycle *c, const struct node_info *n, struct reasons *ret)
{
	if (node_matches_required(n, &c->pod->pod->spec))
		return FIT_OK;
	return fit_no(ret, FIT_UNRESOLVABLE, "node(s) didn't match Pod's node affinity/selector");
}

static enum fit pre_score(struct cycle *c, struct node_info *const *feasible, size_t n)
{
	const struct v1_node_affinity *na = affinity(c);

	return na && na->preferred_during_scheduling_ignored_during_execution.n ? FIT_OK : FIT_SKIP;
}

static int64_t score(struct cycle *c, const struct node_info *n)
{
	const struct v1_preferred_scheduling_term_vec *terms =
		&affinity(c)->preferred_during_scheduling_ignored_during_execution;
	int64_t sum = 0;

	for (size_t i = 0; i < terms->n; i++)
		if (terms->v[i].weight && node_term_matches(n, &terms->v[i].preference))
			sum += terms->v[i].weight;
	return sum;
}

static void normalize(struct cycle *c, struct node_info *const *feasible, int64_t *scores, size_t n)
{
	normalize_by_max(scores, n, false);
}

const struct plugin node_affinity_plugin = {
	.name = "NodeAffinity",
	.weight = 2,
	.events = EVENT_NODE_ADD | EVENT_NODE_LABEL,
	.pre_filter = pre_filter,
	.filter = filter,
	.pre_score = pre_score,
	.score = score,
	.normalize = normalize,
};
