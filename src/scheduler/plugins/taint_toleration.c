/* taint_toleration.c: TaintToleration: hard taints exclude, soft ones cost. */
#include "scheduler/framework.h"

static enum fit filter(struct cycle *c, const struct node_info *n, struct reasons *ret)
{
	if (n->taints.n == 0 || !untolerated_taint(n, &c->pod->pod->spec, true))
		return FIT_OK;
	return fit_no(ret, FIT_UNRESOLVABLE, "node(s) had untolerated taint(s)");
}

static enum fit pre_score(struct cycle *c, struct node_info *const *feasible, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (feasible[i]->has_soft_taints)
			return FIT_OK;
	return FIT_SKIP;
}

static int64_t score(struct cycle *c, const struct node_info *n)
{
	const struct v1_toleration_vec *tolerations = &c->pod->pod->spec.tolerations;
	int64_t count = 0;

	for (size_t i = 0; i < n->taints.n; i++) {
		const struct v1_taint *taint = &n->taints.v[i];
		bool tolerated = !str_eq(taint->effect, S("PreferNoSchedule"));

		for (size_t k = 0; k < tolerations->n && !tolerated; k++)
			tolerated = taint_tolerated(taint, &tolerations->v[k]);
		count += !tolerated;
	}
	return count;
}

static void normalize(struct cycle *c, struct node_info *const *feasible, int64_t *scores, size_t n)
{
	normalize_by_max(scores, n, true);
}

const struct plugin taint_toleration_plugin = {
	.name = "TaintToleration",
	.weight = 3,
	.events = EVENT_NODE_ADD | EVENT_NODE_TAINT,
	.filter = filter,
	.pre_score = pre_score,
	.score = score,
	.normalize = normalize,
};
