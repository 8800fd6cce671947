/* TaintNodesByCondition: a new node takes no pods until the node lifecycle controller has seen it
 * ready. */
#include "apiserver/admission/plugins.h"

static int admit(struct admission_attrs *attrs, struct err *err)
{
	const struct v1_taint taint = {
		.key = S("node.kubernetes.io/not-ready"), .effect = S("NoSchedule")};
	struct v1_node *node = attrs->obj;

	if (attrs->resource != &v1_node_resource || attrs->subresource.n)
		return 0;
	for (size_t i = 0; i < node->spec.taints.n; i++)
		if (str_eq(node->spec.taints.v[i].key, taint.key) &&
			str_eq(node->spec.taints.v[i].effect, taint.effect))
			return 0;
	ARENA_PUSH(attrs->arena, &node->spec.taints, taint);
	return 0;
}

const struct admission_plugin admission_taint_nodes_by_condition = {
	.name = "TaintNodesByCondition",
	.ops = ADMIT_CREATE,
	.admit = admit,
};
