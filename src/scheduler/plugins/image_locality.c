/* image_locality.c: ImageLocality: nodes that have the (large) images already. */
#include "scheduler/framework.h"

#define MIB (1024LL * 1024)

struct wanted {
	struct str name;
	int64_t nodes; /* of the feasible ones that have it */
};

struct wanteds {
	struct wanted *v;
	size_t n, containers, feasible;
};

/* A name without a tag means :latest; nodes list images with a tag or digest. */
static struct str normal_name(struct arena *a, struct str image)
{
	ssize_t colon = str_rchr(image, ':'), slash = str_rchr(image, '/');

	return colon > slash ? image : arena_fmt(a, STR_FMT ":latest", STR_ARG(image));
}

static int64_t size_on(const struct node_info *n, struct str image)
{
	for (size_t i = 0; i < n->images.n; i++)
		if (str_eq(n->images.v[i].name, image))
			return n->images.v[i].size;
	return -1;
}

static enum fit pre_score(struct cycle *c, struct node_info *const *feasible, size_t n)
{
	const struct v1_pod_spec *spec = &c->pod->pod->spec;
	struct wanteds *w;
	bool any = false;

	for (size_t i = 0; i < n && !any; i++)
		any = feasible[i]->images.n > 0;
	if (!any)
		return FIT_SKIP;
	w = ARENA_NEW(c->arena, struct wanteds);
	w->feasible = n;
	w->containers = spec->containers.n + spec->init_containers.n;
	for (size_t i = 0; i < w->containers; i++) {
		const struct v1_container *ct =
			i < spec->containers.n ? &spec->containers.v[i]
					       : &spec->init_containers.v[i - spec->containers.n];
		struct wanted one = {normal_name(c->arena, ct->image), 0};

		for (size_t k = 0; k < n; k++)
			one.nodes += feasible[k]->images.n && size_on(feasible[k], one.name) >= 0;
		if (one.nodes)
			ARENA_PUSH(c->arena, w, one);
	}
	*cycle_state(c) = w;
	return w->n ? FIT_OK : FIT_SKIP;
}

static int64_t score(struct cycle *c, const struct node_info *n)
{
	const struct wanteds *w = *cycle_state(c);
	int64_t sum = 0, min = 23 * MIB, max = 1000 * MIB * (int64_t)w->containers;

	for (size_t i = 0; i < w->n && n->images.n; i++) {
		int64_t size = size_on(n, w->v[i].name);

		/* The more nodes have it, the more it counts: else all pods would flock to one
		 * node. */
		if (size > 0)
			sum += size * w->v[i].nodes / (int64_t)w->feasible;
	}
	sum = MAX(min, MIN(sum, max));
	return SCORE_MAX * (sum - min) / (max - min);
}

const struct plugin image_locality_plugin = {
	.name = "ImageLocality",
	.weight = 1,
	.pre_score = pre_score,
	.score = score,
};
