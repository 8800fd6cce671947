/*
 * nodeipam.c: node-ipam-controller: each node gets a range of pod addresses out of the cluster's.
 *
 * Which ranges are in use is kept from the nodes' events, plus what was handed out and is not seen
 * yet, so that two nodes that come at the same time never get the same range.
 */
#include <arpa/inet.h>

#include "controllers/cidr.h"
#include "controllers/util.h"

struct range {
	struct cidr cidr;
	int bits; /* of a node's part */
	uint32_t n, next;
	uint16_t *uses; /* nodes that have each part; 2 after a clash that somebody made by hand */
};

struct given { /* a part handed out to a node whose event has not come yet */
	struct given *next;
	char *node;
	int64_t index[CIDRS_MAX];
};

struct ipam {
	struct range ranges[CIDRS_MAX];
	int n;
	struct given *given;
};

/* Every node's part that has addresses of this range, whatever its size. */
static void count_range(struct ipam *s, const struct cidr *c, int by)
{
	uint32_t first, last;

	for (int k = 0; k < s->n; k++) {
		struct range *r = &s->ranges[k];

		if (cidr_span(&r->cidr, c, r->bits, &first, &last))
			for (uint32_t at = first; at <= last && at < r->n; at++)
				r->uses[at] += by;
	}
}

static void *init(const struct controllers_opts *opts)
{
	struct ipam *s = xcalloc(1, sizeof(*s));
	struct cidr c[CIDRS_MAX];

	s->n = cidrs_parse(str_c(opts->cluster_cidr), c, NULL);
	assert(s->n > 0); /* controllers_start has looked */
	for (int i = 0; i < s->n; i++) {
		struct range *r = &s->ranges[i];

		r->cidr = c[i];
		r->bits = c[i].family == AF_INET ? opts->node_cidr_mask_ipv4
						 : opts->node_cidr_mask_ipv6;
		r->n = cidr_count(&c[i], r->bits);
		r->uses = xcalloc(MAX(r->n, 1), sizeof(*r->uses));
	}
	/* addresses of services are never pods' */
	int n_services = opts->service_cidr ? cidrs_parse(str_c(opts->service_cidr), c, NULL) : 0;
	for (int i = 0; i < n_services; i++)
		count_range(s, &c[i], 1);
	return s;
}

static void given_free(struct given *g)
{
	free(g->node);
	free(g);
}

static void release(void *state)
{
	struct ipam *s = state;

	while (s->given) {
		struct given *g = s->given;

		s->given = g->next;
		given_free(g);
	}
	for (int i = 0; i < s->n; i++)
		free(s->ranges[i].uses);
	free(s);
}

static struct str_vec cidrs_of(const struct object *node, struct arena *a)
{
	const struct v1_node *n = object_decode(node, a);
	struct str_vec v = n->spec.pod_cidrs;

	if (v.n == 0 && n->spec.pod_cidr.n)
		ARENA_PUSH(a, &v, n->spec.pod_cidr);
	return v;
}


/* Takes back what was handed out to a node, now that its object says what it has. */
static void settle(struct ipam *s, struct str node)
{
	for (struct given **at = &s->given; *at; at = &(*at)->next) {
		struct given *g = *at;

		if (!str_eqc(node, g->node))
			continue;
		for (int i = 0; i < s->n; i++)
			s->ranges[i].uses[g->index[i]]--;
		*at = g->next;
		given_free(g);
		return;
	}
}

static void count(struct ipam *s, const struct object *node, int by, struct arena *a)
{
	struct str_vec texts = cidrs_of(node, a);
	struct cidr c;

	for (size_t i = 0; i < texts.n; i++)
		if (cidr_parse(texts.v[i], &c) == 0)
			count_range(s, &c, by);
}

static void node_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct ipam *s = v->state;

	if (ev->type == STORE_MODIFIED && ev->prev &&
		ev->prev->generation == ev->object->generation && ev->object->generation)
		return; /* a heartbeat */
	if (ev->prev)
		count(s, ev->prev, -1, v->arena);
	else if (ev->type == STORE_DELETED)
		count(s, ev->object, -1, v->arena);
	if (ev->type != STORE_DELETED)
		count(s, ev->object, 1, v->arena);
	if (ev->type == STORE_DELETED || cidrs_of(ev->object, v->arena).n)
		settle(s, ev->object->name);
	enqueue(user_data, S(""), ev->object->name);
}

static int64_t take(struct range *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		uint32_t at = (r->next + i) % r->n;

		if (r->uses[at])
			continue;
		r->uses[at]++;
		r->next = at + 1;
		return at;
	}
	return -1;
}

static struct given *give(struct ipam *s, struct str node)
{
	struct given *g = xcalloc(1, sizeof(*g));

	for (int i = 0; i < s->n; i++) {
		g->index[i] = take(&s->ranges[i]);
		if (g->index[i] >= 0)
			continue;
		while (i-- > 0)
			s->ranges[i].uses[g->index[i]]--;
		free(g);
		return NULL;
	}
	g->node = xmalloc(node.n + 1);
	memcpy(g->node, node.p, node.n);
	g->node[node.n] = 0;
	g->next = s->given;
	s->given = g;
	return g;
}

static const struct given *find_given(const struct ipam *s, struct str node)
{
	const struct given *g = s->given;

	while (g && !str_eqc(node, g->node))
		g = g->next;
	return g;
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	struct ipam *s = v->state;
	const struct object *o = view_get(v, &v1_node_resource, S(""), key.name);
	struct arena *a = v->arena;

	if (!o) {
		settle(s, key.name);
		return 0;
	}
	if (o->deletion_ms || cidrs_of(o, a).n)
		return 0;
	const struct given *g = find_given(s, key.name);
	if (!g)
		g = give(s, key.name);
	if (!g) {
		plan_event(p, o, "Normal", "CIDRNotAvailable",
			"Node " STR_FMT " status is now: CIDRNotAvailable", STR_ARG(key.name));
		plan_requeue(p, 60 * 1000);
		return 0;
	}
	struct str first = S(""), second = S("");
	for (int i = 0; i < s->n; i++) {
		struct cidr c =
			cidr_sub(&s->ranges[i].cidr, s->ranges[i].bits, (uint32_t)g->index[i]);
		struct str text = cidr_format(&c, a);

		if (i == 0)
			first = text;
		else
			second = arena_fmt(a, ",\"" STR_FMT "\"", STR_ARG(text));
	}
	struct plan_write *w = plan_add(p, PLAN_PATCH, o->resource, S(""), key.name);
	w->patch = arena_fmt(a,
		"{\"spec\":{\"podCIDR\":\"" STR_FMT "\",\"podCIDRs\":[\"" STR_FMT "\"" STR_FMT
		"]}}",
		STR_ARG(first), STR_ARG(first), STR_ARG(second));
	w->patch_type = "application/strategic-merge-patch+json";
	w->ignore_not_found = true;
	return 0;
}

static const struct plan_watch watches[] = {
	{.resource = &v1_node_resource, .keys = node_keys},
	{0},
};

const struct planner nodeipam_planner = {
	.name = "node-ipam-controller",
	.source = "cidrAllocator",
	.user = "node-controller",
	.watches = watches,
	.init = init,
	.free = release,
	.reconcile = reconcile,
};
