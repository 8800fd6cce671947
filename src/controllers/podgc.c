/*
 * podgc.c: pod-garbage-collector-controller: pods that nobody else would remove: on nodes that are
 * gone, never scheduled and deleted, and the oldest of too many finished ones.
 */
#include "base/map.h"
#include "controllers/util.h"

/* A node's object may be missing for a moment only. */
enum { QUARANTINE_MS = 40 * 1000 };
#define KEY_FINISHED "finished"
#define KEY_NODE "node/"

struct gone {
	int64_t since_ns;
};

struct podgc {
	int64_t finished; /* how many there are */
	struct map gone;  /* node name -> struct gone */
};

static void *init(const struct controllers_opts *opts)
{
	return xcalloc(1, sizeof(struct podgc));
}

static void release(void *state)
{
	struct podgc *s = state;

	for (struct map_entry *e = map_first(&s->gone); e; e = map_next(&s->gone, e))
		free(e->value);
	map_release(&s->gone);
	free(s);
}

static bool counts_finished(const struct object *o)
{
	return o && pod_finished(o) && !o->deletion_ms;
}

static void enqueue_node(struct view *v, struct str node, plan_enqueue_fn *enqueue, void *user_data)
{
	enqueue(user_data, S(""), arena_fmt(v->arena, KEY_NODE STR_FMT, STR_ARG(node)));
}

static void pod_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct podgc *s = v->state;
	const struct object *o = ev->object;
	struct str node = pod_node(o);
	int max = v->opts->terminated_pod_gc_threshold;

	s->finished -= counts_finished(ev->prev ? ev->prev : ev->type == STORE_DELETED ? o : NULL);
	if (ev->type == STORE_DELETED)
		return;
	s->finished += counts_finished(o);
	if (max > 0 && s->finished > max)
		enqueue(user_data, S(""), S(KEY_FINISHED));
	if (str_empty(node)) {
		if (o->deletion_ms)
			enqueue(user_data, o->ns, o->name);
		return;
	}
	if (!ev->prev && !view_get(v, &v1_node_resource, S(""), node))
		enqueue_node(v, node, enqueue, user_data);
}

static void node_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct podgc *s = v->state;

	if (ev->type == STORE_DELETED || map_get(&s->gone, ev->object->name))
		enqueue_node(v, ev->object->name, enqueue, user_data);
}

static void plan_force_delete(struct plan *p, const struct object *o)
{
	struct plan_write *w = plan_add(p, PLAN_DELETE, o->resource, o->ns, o->name);

	w->grace_s = 0;
	w->uid = o->uid;
	w->ignore_not_found = true;
}

static void reconcile_node(struct view *v, struct plan *p, struct str node)
{
	struct podgc *s = v->state;
	struct gone *g = map_get(&s->gone, node);
	struct snapshot_iter it;
	const struct object *o;

	if (view_get(v, &v1_node_resource, S(""), node)) {
		free(map_remove(&s->gone, node));
		return;
	}
	if (!g) {
		g = xcalloc(1, sizeof(*g));
		g->since_ns = v->now_ns;
		map_set(&s->gone, node, g);
	}
	int64_t left_ms = QUARANTINE_MS - (v->now_ns - g->since_ns) / 1000000;
	if (left_ms > 0) {
		plan_requeue(p, left_ms);
		return;
	}
	free(map_remove(&s->gone, node));
	snapshot_iter_init(&it, view_snapshot(v, &v1_pod_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (str_eq(pod_node(o), node) && !pod_finished(o))
			plan_disruption(v, p, o, "Failed", "DeletionByPodGC",
				"PodGC: node no longer exists");
	plan_next_wave(p); /* their status says why before they go */
	snapshot_iter_init(&it, view_snapshot(v, &v1_pod_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (str_eq(pod_node(o), node))
			plan_force_delete(p, o);
}

struct aged {
	const struct object *o;
	int64_t created;
};

static int by_age(const void *va, const void *vb)
{
	const struct aged *a = va, *b = vb;

	if (a->created != b->created)
		return a->created < b->created ? -1 : 1;
	return str_cmp(a->o->name, b->o->name);
}

static void reconcile_finished(struct view *v, struct plan *p)
{
	struct {
		struct aged *v;
		size_t n;
	} all = {0};
	struct snapshot_iter it;
	const struct object *o;
	size_t max = (size_t)v->opts->terminated_pod_gc_threshold;

	snapshot_iter_init(&it, view_snapshot(v, &v1_pod_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it))) {
		if (!counts_finished(o))
			continue;
		const struct aged a = {o, object_meta(o, v->arena)->creation_timestamp.sec};
		ARENA_PUSH(v->arena, &all, a);
	}
	if (all.n <= max)
		return;
	qsort(all.v, all.n, sizeof(*all.v), by_age);
	for (size_t i = 0; i < all.n - max; i++)
		plan_force_delete(p, all.v[i].o);
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	if (!str_empty(key.ns)) {
		const struct object *o = view_get(v, &v1_pod_resource, key.ns, key.name);

		if (o && o->deletion_ms && str_empty(pod_node(o)))
			plan_force_delete(p, o);
	} else if (str_eq(key.name, S(KEY_FINISHED))) {
		reconcile_finished(v, p);
	} else {
		reconcile_node(v, p, str_sub(key.name, sizeof(KEY_NODE) - 1, key.name.n));
	}
	return 0;
}

static const struct plan_watch watches[] = {
	{.resource = &v1_node_resource, .keys = node_keys},
	{.resource = &v1_pod_resource, .keys = pod_keys},
	{0},
};

const struct planner podgc_planner = {
	.name = "pod-garbage-collector-controller",
	.source = "pod-garbage-collector",
	.user = "pod-garbage-collector",
	.watches = watches,
	.init = init,
	.free = release,
	.reconcile = reconcile,
};
