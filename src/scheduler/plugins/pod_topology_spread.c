/*
 * pod_topology_spread.c: PodTopologySpread: hard constraints exclude nodes, soft ones and the
 * cluster's default (nodes, then zones) cost. The default counts the pods of the same controller,
 * which the scheduler keeps count of, so that it costs nothing per pod on the nodes.
 */
#include <math.h>

#include "controllers/labels.h"
#include "scheduler/framework.h"
#include "scheduler/topology.h"

/* Of the default: the number of zones, which nobody counts. */
enum { ZONES = 3 };

struct constraint {
	const struct v1_topology_spread_constraint *c;
	struct meta_v1_label_selector selector; /* with matchLabelKeys worked in */
	bool self;                              /* the pod itself matches */
	int64_t domains;
	int64_t least; /* pods in the emptiest domain; -1 = to be found */
	double weight;
};

struct spread {
	struct constraint *v;
	size_t n;
	struct topology counts;
};

struct spreads {
	struct spread hard, soft;
	double node_weight, zone_weight; /* of the default */
};

static struct meta_v1_label_selector with_keys(struct arena *a,
	const struct v1_topology_spread_constraint *c, const struct str_map *labels)
{
	struct meta_v1_label_selector s = {0};

	if (c->label_selector)
		s = *c->label_selector;
	for (size_t i = 0; i < c->match_label_keys.n; i++) {
		const struct str *v = str_map_get(labels, c->match_label_keys.v[i]);
		struct meta_v1_label_selector_requirement r = {
			.key = c->match_label_keys.v[i], .operator= S("In")};

		if (!v)
			continue;
		ARENA_PUSH(a, &r.values, *v);
		if (i == 0) {
			struct meta_v1_label_selector_requirement_vec copy = {0};

			for (size_t k = 0; k < s.match_expressions.n; k++)
				ARENA_PUSH(a, &copy, s.match_expressions.v[k]);
			s.match_expressions = copy;
		}
		ARENA_PUSH(a, &s.match_expressions, r);
	}
	return s;
}

static void take_constraints(struct cycle *c, struct spread *s, bool hard)
{
	const struct v1_topology_spread_constraint_vec *all =
		&c->pod->pod->spec.topology_spread_constraints;
	const struct str_map *labels = &c->pod->object->labels;

	s->counts.arena = c->arena;
	for (size_t i = 0; i < all->n; i++) {
		struct constraint one = {.c = &all->v[i], .least = -1};

		if (str_eq(all->v[i].when_unsatisfiable, S("DoNotSchedule")) != hard)
			continue;
		one.selector = with_keys(c->arena, one.c, labels);
		one.self = one.c->label_selector && selector_fits(&one.selector, labels);
		ARENA_PUSH(c->arena, s, one);
	}
}

/* Whether the constraint counts this node at all. */
static bool includes(const struct cycle *c, const struct constraint *k, const struct node_info *n)
{
	const struct v1_pod_spec *spec = &c->pod->pod->spec;

	if (!str_eq(k->c->node_affinity_policy, S("Ignore")) && !node_matches_required(n, spec))
		return false;
	return !str_eq(k->c->node_taints_policy, S("Honor")) || !untolerated_taint(n, spec, true);
}

static bool counts(const struct cycle *c, const struct constraint *k, const struct pod_info *p)
{
	return p->object->deletion_ms == 0 && str_eq(p->object->ns, c->pod->object->ns) &&
	       k->c->label_selector && selector_fits(&k->selector, &p->object->labels);
}

static bool has_all_keys(const struct spread *s, const struct node_info *n)
{
	for (size_t i = 0; i < s->n; i++)
		if (!str_map_get(&n->labels, s->v[i].c->topology_key))
			return false;
	return true;
}

static void count_all(struct cycle *c, struct spread *s)
{
	for (size_t i = 0; i < c->nodes->n; i++) {
		const struct node_info *n = c->nodes->v[i];

		if (!has_all_keys(s, n))
			continue;
		for (size_t k = 0; k < s->n; k++) {
			struct constraint *one = &s->v[k];
			const struct str *value = str_map_get(&n->labels, one->c->topology_key);
			size_t before = s->counts.n;

			if (!includes(c, one, n))
				continue;
			struct topology_cell *cell =
				topology_at(&s->counts, k, one->c->topology_key, *value);
			one->domains += s->counts.n > before;
			for (size_t p = 0; p < n->pods.n; p++)
				cell->n += counts(c, one, n->pods.v[p]);
		}
	}
}

static struct spreads *spreads(struct cycle *c)
{
	if (!*cycle_state(c))
		*cycle_state(c) = ARENA_NEW(c->arena, struct spreads);
	return *cycle_state(c);
}

static enum fit pre_filter(struct cycle *c)
{
	if (c->pod->pod->spec.topology_spread_constraints.n == 0)
		return FIT_SKIP;
	struct spread *s = &spreads(c)->hard;

	take_constraints(c, s, true);
	if (s->n == 0)
		return FIT_SKIP;
	count_all(c, s);
	return FIT_OK;
}

static int64_t least(struct spread *s, size_t k)
{
	struct constraint *one = &s->v[k];
	int64_t min = INT64_MAX;

	if (one->c->min_domains && one->domains < *one->c->min_domains)
		return 0;
	if (one->least >= 0)
		return one->least;
	for (size_t i = 0; i < s->counts.cap; i++)
		if (s->counts.cells[i].used && s->counts.cells[i].group == k)
			min = MIN(min, s->counts.cells[i].n);
	return one->least = min == INT64_MAX ? 0 : min;
}

static enum fit filter(struct cycle *c, const struct node_info *n, struct reasons *ret)
{
	struct spread *s = &spreads(c)->hard;

	for (size_t k = 0; k < s->n; k++) {
		const struct constraint *one = &s->v[k];
		const struct str *value = str_map_get(&n->labels, one->c->topology_key);

		if (!value)
			return fit_no(ret, FIT_UNRESOLVABLE,
				"node(s) didn't match pod topology spread constraints (missing "
				"required label)");
		int64_t here = topology_get(&s->counts, k, one->c->topology_key, *value);
		if (here + one->self - least(s, k) > one->c->max_skew)
			return fit_no(ret, FIT_UNSCHEDULABLE,
				"node(s) didn't match pod topology spread constraints");
	}
	return FIT_OK;
}

static void pod_moved(
	struct cycle *c, const struct pod_info *pod, const struct node_info *n, int by)
{
	struct spread *s = &spreads(c)->hard;

	if (!has_all_keys(s, n))
		return;
	for (size_t k = 0; k < s->n; k++) {
		struct constraint *one = &s->v[k];
		struct str key = one->c->topology_key;

		if (!includes(c, one, n) || !counts(c, one, pod))
			continue;
		topology_at(&s->counts, k, key, *str_map_get(&n->labels, key))->n += by;
		one->least = -1;
	}
}

/* --- scoring --- */

static enum fit default_spreading(struct cycle *c)
{
	if (!c->pod->owner)
		return FIT_SKIP;
	spreads(c)->node_weight = log((double)c->nodes->n + 2);
	spreads(c)->zone_weight = log(ZONES + 2);
	return FIT_OK;
}

static enum fit pre_score(struct cycle *c, struct node_info *const *feasible, size_t n)
{
	struct spread *s = &spreads(c)->soft;

	if (c->pod->pod->spec.topology_spread_constraints.n == 0)
		return default_spreading(c);
	take_constraints(c, s, false);
	if (s->n == 0)
		return FIT_SKIP;
	count_all(c, s);
	for (size_t k = 0; k < s->n; k++)
		s->v[k].weight = log((double)s->v[k].domains + 2);
	return FIT_OK;
}

static int64_t default_score(struct cycle *c, const struct spreads *s, const struct node_info *n)
{
	int64_t here = c->siblings_on_node(c->user_data, c->pod, n);
	int64_t near = c->siblings_in_zone(c->user_data, c->pod, n);

	return (int64_t)((double)here * s->node_weight + (double)near * s->zone_weight + 0.5);
}

static int64_t score(struct cycle *c, const struct node_info *n)
{
	const struct spread *s = &spreads(c)->soft;
	double cost = 0;

	if (s->n == 0)
		return default_score(c, spreads(c), n);
	if (!has_all_keys(s, n))
		return -1;
	for (size_t k = 0; k < s->n; k++) {
		struct str key = s->v[k].c->topology_key;

		cost += (double)topology_get(&s->counts, k, key, *str_map_get(&n->labels, key)) *
				s->v[k].weight +
			s->v[k].c->max_skew - 1;
	}
	return (int64_t)round(cost);
}

/* The lowest cost is best; a node that lacks a topology label (-1) gets nothing. */
static void normalize(struct cycle *c, struct node_info *const *feasible, int64_t *scores, size_t n)
{
	int64_t min = INT64_MAX, max = 0;

	for (size_t i = 0; i < n; i++) {
		if (scores[i] < 0)
			continue;
		min = MIN(min, scores[i]);
		max = MAX(max, scores[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (scores[i] < 0)
			scores[i] = 0;
		else if (max == 0)
			scores[i] = SCORE_MAX;
		else
			scores[i] = SCORE_MAX * (max + min - scores[i]) / max;
	}
}

const struct plugin pod_topology_spread_plugin = {
	.name = "PodTopologySpread",
	.weight = 2,
	.events = EVENT_NODE_ADD | EVENT_NODE_LABEL | EVENT_NODE_TAINT | EVENT_POD_ADD |
		  EVENT_POD_UPDATE | EVENT_POD_DELETE,
	.pre_filter = pre_filter,
	.filter = filter,
	.pod_moved = pod_moved,
	.pre_score = pre_score,
	.score = score,
	.normalize = normalize,
};
