/* node_ports.c: NodePorts: host ports are free on the node. */
#include "scheduler/framework.h"

static enum fit pre_filter(struct cycle *c)
{
	return c->pod->ports.n ? FIT_OK : FIT_SKIP;
}

static bool clash(const struct host_port *a, const struct host_port *b)
{
	const struct str any = S("0.0.0.0");

	return a->port == b->port && str_eq(a->protocol, b->protocol) &&
	       (str_eq(a->ip, b->ip) || str_eq(a->ip, any) || str_eq(b->ip, any));
}

static enum fit filter(struct cycle *c, const struct node_info *n, struct reasons *ret)
{
	for (size_t i = 0; i < c->pod->ports.n; i++)
		for (size_t k = 0; k < n->ports.n; k++)
			if (clash(&c->pod->ports.v[i], &n->ports.v[k]))
				return fit_no(ret, FIT_UNSCHEDULABLE,
					"node(s) didn't have free ports for the requested pod "
					"ports");
	return FIT_OK;
}

const struct plugin node_ports_plugin = {
	.name = "NodePorts",
	.events = EVENT_NODE_ADD | EVENT_POD_DELETE,
	.pre_filter = pre_filter,
	.filter = filter,
};
