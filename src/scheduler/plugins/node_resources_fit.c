/* node_resources_fit.c: NodeResourcesFit: requests fit into what is left; the emptiest node is
 * best. */
#include "scheduler/framework.h"

static enum fit filter(struct cycle *c, const struct node_info *n, struct reasons *ret)
{
	const struct resources *want = &c->pod->request;
	enum fit fit = FIT_OK;

	if ((int64_t)n->pods.n + 1 > n->allocatable.v[RES_PODS])
		fit = fit_no(ret, FIT_UNSCHEDULABLE, c->names->insufficient[RES_PODS]);
	for (size_t i = 0; i < c->names->n; i++) {
		if (want->v[i] == 0 || i == RES_PODS ||
			want->v[i] <= n->allocatable.v[i] - n->used.v[i])
			continue;
		/* What the empty node does not have, preemption cannot give. */
		bool never = want->v[i] > n->allocatable.v[i];

		fit = fit_no(ret,
			never || fit == FIT_UNRESOLVABLE ? FIT_UNRESOLVABLE : FIT_UNSCHEDULABLE,
			c->names->insufficient[i]);
	}
	return fit;
}

static int64_t free_part(int64_t used, int64_t capacity)
{
	return capacity == 0 || used > capacity ? 0 : (capacity - used) * SCORE_MAX / capacity;
}

static int64_t score(struct cycle *c, const struct node_info *n)
{
	int64_t cpu = n->allocatable.v[RES_CPU], memory = n->allocatable.v[RES_MEMORY];
	int64_t sum = 0, parts = 0;

	if (cpu) {
		sum += free_part(n->nonzero_cpu + c->pod->nonzero_cpu, cpu);
		parts++;
	}
	if (memory) {
		sum += free_part(n->nonzero_memory + c->pod->nonzero_memory, memory);
		parts++;
	}
	return parts ? sum / parts : 0;
}

const struct plugin node_resources_fit_plugin = {
	.name = "NodeResourcesFit",
	.weight = 1,
	.events = EVENT_NODE_ADD | EVENT_NODE_ALLOCATABLE | EVENT_POD_DELETE | EVENT_POD_UPDATE,
	.filter = filter,
	.score = score,
};
