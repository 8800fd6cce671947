/* node_name.c: NodeName: spec.nodeName of a pod that is scheduled nevertheless (a nomination kept
 * from before). */
#include "scheduler/framework.h"

static enum fit pre_filter(struct cycle *c)
{
	return str_empty(c->pod->pod->spec.node_name) ? FIT_SKIP : FIT_OK;
}

static enum fit filter(struct cycle *c, const struct node_info *n, struct reasons *ret)
{
	if (str_eq(c->pod->pod->spec.node_name, n->name))
		return FIT_OK;
	return fit_no(ret, FIT_UNRESOLVABLE, "node(s) didn't match the requested node name");
}

const struct plugin node_name_plugin = {
	.name = "NodeName",
	.events = EVENT_NODE_ADD,
	.pre_filter = pre_filter,
	.filter = filter,
};
