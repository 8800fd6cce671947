/* balanced_allocation.c: NodeResourcesBalancedAllocation: CPU and memory of a node fill up alike.
 */
#include <math.h>

#include "scheduler/framework.h"

static enum fit pre_score(struct cycle *c, struct node_info *const *feasible, size_t n)
{
	const struct resources *want = &c->pod->request;

	return want->v[RES_CPU] || want->v[RES_MEMORY] ? FIT_OK : FIT_SKIP; /* best effort pods */
}

static double part(int64_t used, int64_t capacity)
{
	return MIN((double)used / (double)capacity, 1.0);
}

/* With two resources the standard deviation is half the distance. */
static int64_t balance(const struct node_info *n, int64_t cpu, int64_t memory)
{
	if (!n->allocatable.v[RES_CPU] || !n->allocatable.v[RES_MEMORY])
		return SCORE_MAX;
	double d =
		part(cpu, n->allocatable.v[RES_CPU]) - part(memory, n->allocatable.v[RES_MEMORY]);

	return (int64_t)((1 - fabs(d / 2)) * SCORE_MAX);
}

static int64_t score(struct cycle *c, const struct node_info *n)
{
	int64_t cpu = n->used.v[RES_CPU], memory = n->used.v[RES_MEMORY];
	int64_t with = balance(
		n, cpu + c->pod->request.v[RES_CPU], memory + c->pod->request.v[RES_MEMORY]);

	return SCORE_MAX / 2 + (SCORE_MAX / 2 + with - balance(n, cpu, memory)) / 2;
}

const struct plugin balanced_allocation_plugin = {
	.name = "NodeResourcesBalancedAllocation",
	.weight = 1,
	.pre_score = pre_score,
	.score = score,
};
