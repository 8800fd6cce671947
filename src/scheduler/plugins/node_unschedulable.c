/* node_unschedulable.c: NodeUnschedulable: cordoned nodes. */
#include "scheduler/framework.h"

static enum fit filter(struct cycle *c, const struct node_info *n, struct reasons *ret)
{
	const struct v1_taint as_taint = {
		.key = S("node.kubernetes.io/unschedulable"), .effect = S("NoSchedule")};
	const struct v1_toleration_vec *tolerations = &c->pod->pod->spec.tolerations;

	if (!n->unschedulable)
		return FIT_OK;
	for (size_t i = 0; i < tolerations->n; i++)
		if (taint_tolerated(&as_taint, &tolerations->v[i]))
			return FIT_OK;
	return fit_no(ret, FIT_UNRESOLVABLE, "node(s) were unschedulable");
}

const struct plugin node_unschedulable_plugin = {
	.name = "NodeUnschedulable",
	.events = EVENT_NODE_ADD | EVENT_NODE_TAINT,
	.filter = filter,
};
