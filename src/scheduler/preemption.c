/*
 * preemption.c: DefaultPreemption: on which node would the pod fit if pods of lower priority went,
 * and which of these nodes loses least?
 */
#include "scheduler/cycle.h"

enum { CANDIDATES_MIN = 100, CANDIDATES_PERCENT = 10, REASON_KINDS_MAX = 32 };

struct victim {
	struct pod_info *pod;
	int64_t started; /* Unix seconds */
};

struct victims {
	struct victim *v;
	size_t n;
};

struct candidate {
	struct node_info *node;
	struct victims victims; /* the most important first */
	int64_t priority_sum;
};

struct counted {
	const char *reason;
	size_t n;
};

struct tally {
	struct counted v[REASON_KINDS_MAX];
	size_t n;
};

static void tally_add(struct tally *t, const char *reason)
{
	size_t i = 0;

	while (i < t->n && strcmp(t->v[i].reason, reason) != 0)
		i++;
	if (i == REASON_KINDS_MAX)
		return;
	if (i == t->n)
		t->v[t->n++] = (struct counted){reason, 0};
	t->v[i].n++;
}

static int64_t start_time(const struct pod_info *p, struct arena *a)
{
	const struct v1_pod *pod = object_decode(p->object, a);

	if (pod->status.start_time.set)
		return pod->status.start_time.sec;
	return pod->metadata.creation_timestamp.sec;
}

static int by_importance(const void *va, const void *vb)
{
	const struct victim *a = va, *b = vb;

	if (a->pod->priority != b->pod->priority)
		return a->pod->priority > b->pod->priority ? -1 : 1;
	if (a->started != b->started)
		return a->started < b->started ? -1 : 1;
	return str_cmp(a->pod->object->name, b->pod->object->name);
}

static void move(struct attempt *at, struct node_info *n, struct pod_info *p, int by)
{
	if (by > 0)
		node_add_pod(n, p);
	else
		node_remove_pod(n, p);
	attempt_pod_moved(at, p, n, by);
}

/* Takes all less important pods away, then gives back as many as still fit, the most important
 * first. */
static bool try_node(
	struct attempt *at, struct node_info *n, struct candidate *ret, struct tally *tally)
{
	struct victims lesser = {0};
	struct arena *a = at->c.arena;
	struct reasons why = {.n = 0};
	size_t plugin;

	for (size_t i = 0; i < n->pods.n; i++) {
		struct victim v = {.pod = n->pods.v[i]};

		if (v.pod->priority < at->c.pod->priority)
			ARENA_PUSH(a, &lesser, v);
	}
	if (lesser.n == 0) {
		tally_add(tally, "No preemption victims found for incoming pod");
		return false;
	}
	*ret = (struct candidate){.node = n};
	struct node_info *copy = node_copy(n);
	for (size_t i = 0; i < lesser.n; i++)
		move(at, copy, lesser.v[i].pod, -1);
	bool fits = attempt_filter(at, copy, &why, &plugin) == FIT_OK;
	for (size_t i = 0; fits && i < lesser.n; i++)
		lesser.v[i].started = start_time(lesser.v[i].pod, a);
	if (fits)
		qsort(lesser.v, lesser.n, sizeof(*lesser.v), by_importance);
	size_t moved = 0;
	for (size_t i = 0; fits && i < lesser.n; i++) {
		struct reasons ignored;

		move(at, copy, lesser.v[i].pod, 1);
		if (attempt_filter(at, copy, &ignored, &plugin) == FIT_OK)
			continue;
		move(at, copy, lesser.v[i].pod, -1);
		ARENA_PUSH(a, &ret->victims, lesser.v[i]);
		ret->priority_sum += (int64_t)lesser.v[i].pod->priority + INT32_MAX + 1LL;
		moved++;
	}
	/* What plugins counted goes back to how it is. */
	for (size_t i = 0; i < (fits ? moved : lesser.n); i++)
		attempt_pod_moved(at, fits ? ret->victims.v[i].pod : lesser.v[i].pod, n, 1);
	node_copy_free(copy);
	for (size_t i = 0; i < why.n; i++)
		tally_add(tally, why.v[i]);
	return fits;
}

static int64_t first_start(const struct candidate *c)
{
	int64_t t = INT64_MAX;

	for (size_t i = 0; i < c->victims.n; i++)
		if (c->victims.v[i].pod->priority == c->victims.v[0].pod->priority)
			t = MIN(t, c->victims.v[i].started);
	return t;
}

/* Whether a loses less than b: the least important most important victim, then the smallest sum,
 * the fewest, the youngest. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
	if (!a->victims.n || !b->victims.n)
		return a->victims.n < b->victims.n;
	if (a->victims.v[0].pod->priority != b->victims.v[0].pod->priority)
		return a->victims.v[0].pod->priority < b->victims.v[0].pod->priority;
	if (a->priority_sum != b->priority_sum)
		return a->priority_sum < b->priority_sum;
	if (a->victims.n != b->victims.n)
		return a->victims.n < b->victims.n;
	return first_start(a) > first_start(b);
}

/* NULL, or why this pod may not push others away. */
static const char *ineligible(const struct attempt *at)
{
	const char *nominated = at->self ? at->self->nominated : NULL;
	const struct node_info *n =
		nominated ? cache_node(at->opts->cache, str_c(nominated)) : NULL;

	if (str_eq(at->c.pod->pod->spec.preemption_policy, S("Never")))
		return "not eligible due to preemptionPolicy=Never.";
	if (!n || (n->object && at->fits && at->fits[n->index] == FIT_UNRESOLVABLE))
		return NULL;
	for (size_t i = 0; i < n->pods.n; i++)
		if (n->pods.v[i]->priority < at->c.pod->priority &&
			n->pods.v[i]->object->deletion_ms)
			return "not eligible due to a terminating pod on the nominated node.";
	return NULL;
}

static void write_tally(const struct tally *t, size_t nodes, struct arena *a, struct buf *out)
{
	struct str lines[REASON_KINDS_MAX];

	for (size_t i = 0; i < t->n; i++) {
		struct str line = arena_fmt(a, "%zu %s", t->v[i].n, t->v[i].reason);
		size_t k = i;

		for (; k > 0 && str_cmp(lines[k - 1], line) > 0; k--)
			lines[k] = lines[k - 1];
		lines[k] = line;
	}
	buf_fmt(out, " preemption: 0/%zu nodes are available:", nodes);
	for (size_t i = 0; i < t->n; i++)
		buf_fmt(out, "%s " STR_FMT, i ? "," : "", STR_ARG(lines[i]));
	buf_add_char(out, '.');
}

void attempt_preempt(struct attempt *at, struct verdict *v, struct buf *message)
{
	const struct nodes *nodes = at->c.nodes;
	const char *why_not = ineligible(at);
	size_t max = MAX(nodes->n * CANDIDATES_PERCENT / 100, (size_t)CANDIDATES_MIN), found = 0;
	size_t first = nodes->n ? at->opts->random % nodes->n : 0;
	struct candidate best = {0};
	struct tally tally = {.n = 0};

	if (why_not) {
		buf_fmt(message, " preemption: %s", why_not);
		return;
	}
	for (size_t i = 0; i < nodes->n && found < max; i++) {
		struct node_info *n = nodes->v[(first + i) % nodes->n];
		struct candidate c;

		if (!at->fits || at->fits[n->index] != FIT_UNSCHEDULABLE) {
			tally_add(&tally, "Preemption is not helpful for scheduling");
			continue;
		}
		if (!try_node(at, n, &c, &tally))
			continue;
		if (!best.node || is_better(&c, &best))
			best = c;
		found++;
	}
	if (!best.node) {
		write_tally(&tally, nodes->n, at->c.arena, message);
		return;
	}
	v->nominated = best.node;
	v->events |= EVENT_POD_DELETE;
	for (size_t i = 0; i < best.victims.n; i++)
		ARENA_PUSH(at->c.arena, &v->victims, best.victims.v[i].pod);
}
