#include "scheduler/cycle.h"

#include <inttypes.h>

/* As upstream: in a large cluster the first so many nodes that fit are good enough to choose from.
 */
enum { FEASIBLE_MIN = 100, PERCENTAGE_MIN = 5, HISTOGRAM_MAX = 64, MESSAGE_MAX = 16 * 1024 };

struct histogram {
	struct {
		const char *reason;
		size_t n;
	} v[HISTOGRAM_MAX];
	size_t n;
};

static void count_reasons(struct histogram *h, const struct reasons *r)
{
	for (size_t i = 0; i < r->n; i++) {
		size_t k = 0;

		while (k < h->n && h->v[k].reason != r->v[i] &&
			strcmp(h->v[k].reason, r->v[i]) != 0)
			k++;
		if (k == HISTOGRAM_MAX)
			continue;
		if (k == h->n) {
			h->v[h->n].reason = r->v[i];
			h->v[h->n++].n = 0;
		}
		h->v[k].n++;
	}
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "2 Insufficient cpu, 1 node(s) were unschedulable", sorted as text. */
static void write_histogram(const struct histogram *h, struct arena *a, struct buf *out)
{
	const char *lines[HISTOGRAM_MAX];

	for (size_t i = 0; i < h->n; i++)
		lines[i] = arena_fmt(a, "%zu %s", h->v[i].n, h->v[i].reason).p;
	qsort(lines, h->n, sizeof(*lines), compare_text);
	for (size_t i = 0; i < h->n; i++)
		buf_fmt(out, "%s%s", i ? ", " : "", lines[i]);
}

const char *cycle_pre_enqueue(const struct pod_info *pod)
{
	for (size_t i = 0; plugins[i]; i++) {
		const char *why = plugins[i]->pre_enqueue ? plugins[i]->pre_enqueue(pod) : NULL;

		if (why)
			return why;
	}
	return NULL;
}

static int64_t siblings_on_node(
	void *user_data, const struct pod_info *pod, const struct node_info *n)
{
	const struct attempt *at = user_data;

	return cache_siblings_on_node(at->opts->cache, pod, n);
}

static int64_t siblings_in_zone(
	void *user_data, const struct pod_info *pod, const struct node_info *n)
{
	const struct attempt *at = user_data;

	return cache_siblings_in_zone(at->opts->cache, pod, n);
}

static const struct str_map *namespace_labels(void *user_data, struct str ns)
{
	const struct attempt *at = user_data;

	return at->opts->namespace_labels ? at->opts->namespace_labels(at->opts->user_data, ns)
					  : NULL;
}

enum fit attempt_filter(
	struct attempt *at, const struct node_info *n, struct reasons *ret, size_t *ret_plugin)
{
	ret->n = 0;
	for (size_t i = 0; plugins[i]; i++) {
		if (at->skip_filter[i])
			continue;
		at->c.plugin = i;
		enum fit fit = plugins[i]->filter(&at->c, n, ret);

		if (fit != FIT_OK) {
			*ret_plugin = i;
			return fit;
		}
	}
	return FIT_OK;
}

void attempt_pod_moved(
	struct attempt *at, const struct pod_info *pod, const struct node_info *n, int by)
{
	for (size_t i = 0; plugins[i]; i++) {
		if (at->skip_filter[i] || !plugins[i]->pod_moved)
			continue;
		at->c.plugin = i;
		plugins[i]->pod_moved(&at->c, pod, n, by);
	}
}

/* Pods that preemption made room for count as if they were there, for pods that are not more
 * important. */
static enum fit filter_with_nominated(
	struct attempt *at, struct node_info *n, struct reasons *ret, size_t *ret_plugin)
{
	size_t n_nominated;
	struct queued *const *nominated = queue_nominated(at->opts->queue, &n_nominated);
	struct node_info *with = NULL;

	for (size_t i = 0; i < n_nominated; i++) {
		const struct queued *q = nominated[i];

		if (q == at->self || !q->info || q->info->priority < at->c.pod->priority ||
			!str_eqc(n->name, q->nominated))
			continue;
		if (!with)
			with = node_copy(n);
		node_add_pod(with, q->info);
	}
	enum fit fit = attempt_filter(at, with ? with : n, ret, ret_plugin);
	if (with)
		node_copy_free(with);
	return fit;
}

static size_t wanted_nodes(const struct attempt *at)
{
	size_t all = at->c.nodes->n;
	int percentage = at->opts->percentage_of_nodes;

	if (all < FEASIBLE_MIN)
		return all;
	if (percentage == 0)
		percentage = MAX(50 - (int)(all / 125), PERCENTAGE_MIN);
	return MAX(all * (size_t)percentage / 100, (size_t)FEASIBLE_MIN);
}

struct feasible {
	struct node_info **v;
	size_t n;
};

static struct feasible find_feasible(struct attempt *at, struct verdict *v, struct histogram *h)
{
	const struct nodes *nodes = at->c.nodes;
	size_t want = wanted_nodes(at), start = *at->opts->start % nodes->n, i;
	struct feasible f = {ARENA_ARRAY(at->c.arena, struct node_info *, want), 0};
	int64_t began_ns = metric_now_ns();

	for (i = 0; i < nodes->n && f.n < want; i++) {
		struct node_info *n = nodes->v[(start + i) % nodes->n];
		struct reasons why;
		size_t plugin;
		enum fit fit = filter_with_nominated(at, n, &why, &plugin);

		if (fit == FIT_OK) {
			f.v[f.n++] = n;
			continue;
		}
		if (!at->fits)
			at->fits = ARENA_ARRAY(at->c.arena, uint8_t, nodes->n);
		at->fits[n->index] = (uint8_t)fit;
		count_reasons(h, &why);
		v->events |= plugins[plugin]->events;
	}
	*at->opts->start = start + i;
	v->evaluated = i;
	v->feasible = f.n;
	meter_point(
		at->opts->meter, POINT_FILTER, f.n ? POINT_SUCCESS : POINT_UNSCHEDULABLE, began_ns);
	return f;
}

static bool pre_filter(struct attempt *at, struct verdict *v, struct buf *message)
{
	int64_t began_ns = metric_now_ns();

	for (size_t i = 0; plugins[i]; i++) {
		at->skip_filter[i] = !plugins[i]->filter;
		if (!plugins[i]->pre_filter)
			continue;
		at->c.plugin = i;
		enum fit fit = plugins[i]->pre_filter(&at->c);

		if (fit == FIT_SKIP)
			at->skip_filter[i] = true;
		if (fit == FIT_OK || fit == FIT_SKIP)
			continue;
		buf_fmt(message, " %s.", at->c.message ? at->c.message : plugins[i]->name);
		v->events |= plugins[i]->events;
		meter_point(at->opts->meter, POINT_PRE_FILTER,
			fit == FIT_UNRESOLVABLE ? POINT_UNRESOLVABLE : POINT_UNSCHEDULABLE,
			began_ns);
		return false;
	}
	meter_point(at->opts->meter, POINT_PRE_FILTER, POINT_SUCCESS, began_ns);
	return true;
}

static void add_scores(struct attempt *at, const struct feasible *f, int64_t *total)
{
	int64_t *scores = ARENA_ARRAY(at->c.arena, int64_t, f->n), began_ns = metric_now_ns();

	for (size_t i = 0; plugins[i]; i++) {
		const struct plugin *p = plugins[i];

		if (!p->score)
			continue;
		at->c.plugin = i;
		if (p->pre_score && p->pre_score(&at->c, f->v, f->n) == FIT_SKIP)
			continue;
		for (size_t k = 0; k < f->n; k++)
			scores[k] = p->score(&at->c, f->v[k]);
		if (p->normalize)
			p->normalize(&at->c, f->v, scores, f->n);
		for (size_t k = 0; k < f->n; k++)
			total[k] += scores[k] * p->weight;
	}
	meter_point(at->opts->meter, POINT_SCORE, POINT_SUCCESS, began_ns);
}

/* One of the best, by chance. */
static struct node_info *choose(struct attempt *at, const struct feasible *f)
{
	int64_t *total = ARENA_ARRAY(at->c.arena, int64_t, f->n);
	size_t best = 0, ties = 0;
	uint64_t random = at->opts->random;

	if (f->n == 1)
		return f->v[0];
	add_scores(at, f, total);
	for (size_t i = 0; i < f->n; i++) {
		if (total[i] > total[best]) {
			best = i;
			ties = 1;
		} else if (total[i] == total[best]) {
			random = random * 6364136223846793005 + 1442695040888963407;
			if ((random >> 33) % ++ties == 0)
				best = i;
		}
	}
	return f->v[best];
}

struct verdict cycle_run(const struct cycle_opts *opts, const struct pod_info *pod,
	const struct queued *self, struct arena *a)
{
	struct attempt at = {.opts = opts, .self = self};
	struct verdict v = {0};
	struct histogram h = {.n = 0};
	struct buf message;
	int64_t began_ns;

	at.c = (struct cycle){
		.arena = a,
		.pod = pod,
		.nodes = cache_nodes(opts->cache),
		.names = cache_names(opts->cache),
		.any_affinity = cache_has_affinity(opts->cache),
		.siblings_on_node = siblings_on_node,
		.siblings_in_zone = siblings_in_zone,
		.namespace_labels = namespace_labels,
		.user_data = &at,
	};
	if (at.c.nodes->n == 0) {
		v.message = S("no nodes available to schedule pods");
		v.events = EVENT_NODE_ADD;
		return v;
	}
	buf_init(&message, MESSAGE_MAX);
	if (pre_filter(&at, &v, &message)) {
		struct feasible f = find_feasible(&at, &v, &h);

		if (f.n) {
			v.node = choose(&at, &f);
			buf_release(&message);
			return v;
		}
		buf_add_char(&message, ' ');
		write_histogram(&h, a, &message);
		buf_add_char(&message, '.');
		began_ns = metric_now_ns();
		attempt_preempt(&at, &v, &message);
		meter_point(opts->meter, POINT_POST_FILTER,
			v.nominated ? POINT_SUCCESS : POINT_UNSCHEDULABLE, began_ns);
		meter_preemption(opts->meter, v.victims.n);
	}
	v.message = arena_fmt(
		a, "0/%zu nodes are available:" STR_FMT, at.c.nodes->n, STR_ARG(buf_str(&message)));
	buf_release(&message);
	return v;
}
