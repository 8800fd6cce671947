/*
 * inter_pod_affinity.c: InterPodAffinity: near to or away from other pods, both ways: the terms of
 * the pod about those that run, and the terms of those that run about the pod.
 */
#include "controllers/labels.h"
#include "scheduler/framework.h"
#include "scheduler/topology.h"

enum group { EXISTING_ANTI, AFFINITY, ANTI, SCORES };
enum { HARD_AFFINITY_WEIGHT = 1 };

struct state {
	struct topology counts;
	const struct v1_pod_affinity_term_vec *affinity, *anti; /* required; NULL: none */
	const struct v1_weighted_pod_affinity_term_vec *soft_affinity, *soft_anti;
};

static struct state *state_of(struct cycle *c)
{
	struct state *s = *cycle_state(c);

	if (s)
		return s;
	const struct v1_affinity *a = c->pod->pod->spec.affinity;
	*cycle_state(c) = s = ARENA_NEW(c->arena, struct state);
	s->counts.arena = c->arena;
	if (a && a->pod_affinity) {
		s->affinity = &a->pod_affinity->required_during_scheduling_ignored_during_execution;
		s->soft_affinity =
			&a->pod_affinity->preferred_during_scheduling_ignored_during_execution;
	}
	if (a && a->pod_anti_affinity) {
		s->anti =
			&a->pod_anti_affinity->required_during_scheduling_ignored_during_execution;
		s->soft_anti =
			&a->pod_anti_affinity->preferred_during_scheduling_ignored_during_execution;
	}
	return s;
}

static bool namespace_fits(
	const struct cycle *c, const struct v1_pod_affinity_term *t, struct str own, struct str ns)
{
	if (!t->namespace_selector && t->namespaces.n == 0)
		return str_eq(own, ns);
	if (str_vec_has(&t->namespaces, ns))
		return true;
	if (!t->namespace_selector)
		return false;
	const struct str_map *labels = c->namespace_labels(c->user_data, ns);

	return labels && selector_fits(t->namespace_selector, labels);
}

/* matchLabelKeys and mismatchLabelKeys compare with the pod that has the term. */
static bool keys_fit(const struct v1_pod_affinity_term *t, const struct str_map *own,
	const struct str_map *labels)
{
	for (size_t i = 0; i < t->match_label_keys.n; i++) {
		const struct str *a = str_map_get(own, t->match_label_keys.v[i]);
		const struct str *b = str_map_get(labels, t->match_label_keys.v[i]);

		if (a && !(b && str_eq(*a, *b)))
			return false;
	}
	for (size_t i = 0; i < t->mismatch_label_keys.n; i++) {
		const struct str *a = str_map_get(own, t->mismatch_label_keys.v[i]);
		const struct str *b = str_map_get(labels, t->mismatch_label_keys.v[i]);

		if (a && b && str_eq(*a, *b))
			return false;
	}
	return true;
}

/* Does the term, which `owner` has, mean `other`? */
static bool term_fits(const struct cycle *c, const struct v1_pod_affinity_term *t,
	const struct pod_info *owner, const struct pod_info *other)
{
	const struct object *o = owner->object, *p = other->object;

	return namespace_fits(c, t, o->ns, p->ns) && selector_fits(t->label_selector, &p->labels) &&
	       keys_fit(t, &o->labels, &p->labels);
}

static void add(
	struct state *s, enum group group, struct str key, const struct node_info *n, int64_t by)
{
	const struct str *value = str_map_get(&n->labels, key);

	if (value && by)
		topology_at(&s->counts, group, key, *value)->n += by;
}

static const struct v1_pod_affinity_term_vec *anti_terms(const struct pod_info *p)
{
	return &p->pod->spec.affinity->pod_anti_affinity
			->required_during_scheduling_ignored_during_execution;
}

/* All terms must mean the pod for it to count as one to be near to. */
static bool all_fit(const struct cycle *c, const struct v1_pod_affinity_term_vec *terms,
	const struct pod_info *other)
{
	for (size_t i = 0; i < terms->n; i++)
		if (!term_fits(c, &terms->v[i], c->pod, other))
			return false;
	return terms->n > 0;
}

static void count_pod(struct cycle *c, const struct pod_info *p, const struct node_info *n, int by)
{
	struct state *s = state_of(c);

	if (p->has_required_anti_affinity)
		for (size_t i = 0; i < anti_terms(p)->n; i++)
			if (term_fits(c, &anti_terms(p)->v[i], p, c->pod))
				add(s, EXISTING_ANTI, anti_terms(p)->v[i].topology_key, n, by);
	if (s->affinity && all_fit(c, s->affinity, p))
		for (size_t i = 0; i < s->affinity->n; i++)
			add(s, AFFINITY, s->affinity->v[i].topology_key, n, by);
	for (size_t i = 0; s->anti && i < s->anti->n; i++)
		if (term_fits(c, &s->anti->v[i], c->pod, p))
			add(s, ANTI, s->anti->v[i].topology_key, n, by);
}

static enum fit pre_filter(struct cycle *c)
{
	bool own = c->pod->has_affinity;

	if (!own && !c->any_affinity)
		return FIT_SKIP;
	struct state *s = state_of(c);
	own = (s->affinity && s->affinity->n) || (s->anti && s->anti->n);
	for (size_t i = 0; i < c->nodes->n; i++) {
		const struct node_info *n = c->nodes->v[i];

		for (size_t k = 0; (own || n->n_anti_affinity) && k < n->pods.n; k++)
			if (own || n->pods.v[k]->has_required_anti_affinity)
				count_pod(c, n->pods.v[k], n, 1);
	}
	return own || s->counts.n ? FIT_OK : FIT_SKIP;
}

static bool refused_by_existing(const struct state *s, const struct node_info *n)
{
	for (size_t i = 0; i < n->labels.n; i++)
		if (topology_get(&s->counts, EXISTING_ANTI, n->labels.v[i].key,
			    n->labels.v[i].value) > 0)
			return true;
	return false;
}

static bool affinity_holds(const struct cycle *c, const struct state *s, const struct node_info *n)
{
	bool near_all = true, none = true;

	for (size_t i = 0; i < s->affinity->n; i++) {
		struct str key = s->affinity->v[i].topology_key;
		const struct str *value = str_map_get(&n->labels, key);

		if (!value)
			return false;
		near_all &= topology_get(&s->counts, AFFINITY, key, *value) > 0;
	}
	if (near_all)
		return true;
	/* The first of a group that wants to be together has nobody to be near to. */
	for (size_t i = 0; i < s->counts.cap && none; i++)
		none = !(s->counts.cells[i].used && s->counts.cells[i].group == AFFINITY &&
			 s->counts.cells[i].n > 0);
	return none && all_fit(c, s->affinity, c->pod);
}

static bool anti_affinity_holds(const struct state *s, const struct node_info *n)
{
	for (size_t i = 0; i < s->anti->n; i++) {
		struct str key = s->anti->v[i].topology_key;
		const struct str *value = str_map_get(&n->labels, key);

		if (value && topology_get(&s->counts, ANTI, key, *value) > 0)
			return false;
	}
	return true;
}

static enum fit filter(struct cycle *c, const struct node_info *n, struct reasons *ret)
{
	struct state *s = state_of(c);

	if (s->affinity && s->affinity->n && !affinity_holds(c, s, n))
		return fit_no(ret, FIT_UNRESOLVABLE, "node(s) didn't match pod affinity rules");
	if (s->anti && !anti_affinity_holds(s, n))
		return fit_no(
			ret, FIT_UNSCHEDULABLE, "node(s) didn't match pod anti-affinity rules");
	if (refused_by_existing(s, n))
		return fit_no(ret, FIT_UNSCHEDULABLE,
			"node(s) didn't satisfy existing pods anti-affinity rules");
	return FIT_OK;
}

/* --- scoring --- */

static void score_terms(struct cycle *c, const struct v1_weighted_pod_affinity_term_vec *terms,
	const struct pod_info *owner, const struct pod_info *other, const struct node_info *n,
	int sign)
{
	for (size_t i = 0; terms && i < terms->n; i++)
		if (term_fits(c, &terms->v[i].pod_affinity_term, owner, other))
			add(state_of(c), SCORES, terms->v[i].pod_affinity_term.topology_key, n,
				(int64_t)sign * terms->v[i].weight);
}

static void score_existing(struct cycle *c, const struct pod_info *p, const struct node_info *n)
{
	const struct v1_affinity *a = p->pod->spec.affinity;

	if (a->pod_affinity) {
		const struct v1_pod_affinity_term_vec *hard =
			&a->pod_affinity->required_during_scheduling_ignored_during_execution;

		for (size_t i = 0; i < hard->n; i++)
			if (term_fits(c, &hard->v[i], p, c->pod))
				add(state_of(c), SCORES, hard->v[i].topology_key, n,
					HARD_AFFINITY_WEIGHT);
		score_terms(c,
			&a->pod_affinity->preferred_during_scheduling_ignored_during_execution, p,
			c->pod, n, 1);
	}
	if (a->pod_anti_affinity)
		score_terms(c,
			&a->pod_anti_affinity->preferred_during_scheduling_ignored_during_execution,
			p, c->pod, n, -1);
}

static enum fit pre_score(struct cycle *c, struct node_info *const *feasible, size_t n_feasible)
{
	if (!c->pod->has_affinity && !c->any_affinity)
		return FIT_SKIP;
	struct state *s = state_of(c);
	bool own = (s->soft_affinity && s->soft_affinity->n) || (s->soft_anti && s->soft_anti->n);
	size_t before = s->counts.n;

	for (size_t i = 0; i < c->nodes->n; i++) {
		const struct node_info *n = c->nodes->v[i];

		for (size_t k = 0; (own || n->n_affinity) && k < n->pods.n; k++) {
			const struct pod_info *p = n->pods.v[k];

			score_terms(c, s->soft_affinity, c->pod, p, n, 1);
			score_terms(c, s->soft_anti, c->pod, p, n, -1);
			if (p->has_affinity)
				score_existing(c, p, n);
		}
	}
	return s->counts.n > before ? FIT_OK : FIT_SKIP;
}

static int64_t score(struct cycle *c, const struct node_info *n)
{
	const struct state *s = state_of(c);
	int64_t sum = 0;

	for (size_t i = 0; i < n->labels.n; i++)
		sum += topology_get(&s->counts, SCORES, n->labels.v[i].key, n->labels.v[i].value);
	return sum;
}

static void normalize(struct cycle *c, struct node_info *const *feasible, int64_t *scores, size_t n)
{
	int64_t min = INT64_MAX, max = INT64_MIN;

	for (size_t i = 0; i < n; i++) {
		min = MIN(min, scores[i]);
		max = MAX(max, scores[i]);
	}
	for (size_t i = 0; i < n; i++)
		scores[i] = max > min ? SCORE_MAX * (scores[i] - min) / (max - min) : 0;
}

const struct plugin inter_pod_affinity_plugin = {
	.name = "InterPodAffinity",
	.weight = 2,
	.events = EVENT_NODE_ADD | EVENT_NODE_LABEL | EVENT_POD_ADD | EVENT_POD_UPDATE |
		  EVENT_POD_DELETE,
	.pre_filter = pre_filter,
	.filter = filter,
	.pod_moved = count_pod,
	.pre_score = pre_score,
	.score = score,
	.normalize = normalize,
};
