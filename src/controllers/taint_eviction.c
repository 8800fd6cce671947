/*
 * taint_eviction.c: taint-eviction-controller: pods that do not tolerate a NoExecute taint of their
 * node go, at once or after the toleration's seconds, counted from when the taint was set. A taint
 * that is taken away cancels it.
 */
#include "base/map.h"
#include "controllers/metrics.h"
#include "controllers/util.h"

struct eviction {
	struct map tainted; /* names of nodes with a NoExecute taint */
	struct map waiting; /* uid of a pod whose time runs -> since when, Unix ms, as a pointer */
};

static void *init(const struct controllers_opts *opts)
{
	return xcalloc(1, sizeof(struct eviction));
}

static void release(void *state)
{
	struct eviction *s = state;

	map_release(&s->tainted);
	map_release(&s->waiting);
	free(s);
}

static bool is_tainted(const struct object *node, struct arena *a)
{
	const struct v1_node *n = object_decode(node, a);

	for (size_t i = 0; i < n->spec.taints.n; i++)
		if (str_eq(n->spec.taints.v[i].effect, S("NoExecute")))
			return true;
	return false;
}

static void node_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct eviction *s = v->state;
	struct str name = ev->object->name;
	bool was = map_get(&s->tainted, name);
	bool is = ev->type != STORE_DELETED && is_tainted(ev->object, v->arena);
	struct snapshot_iter it;
	const struct object *o;

	if (is && !was)
		map_set(&s->tainted, name, s);
	else if (was && !is)
		map_remove(&s->tainted, name);
	if (!was && !is)
		return;
	snapshot_iter_init(&it, view_snapshot(v, &v1_pod_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (str_eq(pod_node(o), name))
			enqueue(user_data, o->ns, o->name);
}

static void pod_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct eviction *s = v->state;
	struct str node = pod_node(ev->object);

	if (ev->type == STORE_DELETED)
		map_remove(&s->waiting, ev->object->uid);
	else if (!str_empty(node) && map_get(&s->tainted, node))
		enqueue(user_data, ev->object->ns, ev->object->name);
}

static bool tolerates(const struct v1_toleration *t, const struct v1_taint *taint)
{
	if (t->effect.n && !str_eq(t->effect, taint->effect))
		return false;
	if (t->key.n && !str_eq(t->key, taint->key))
		return false;
	return str_eq(t->operator, S("Exists")) || (t->key.n && str_eq(t->value, taint->value));
}

/* When the pod has to go because of this taint, Unix ms; INT64_MAX: never. */
static int64_t due(const struct v1_pod *pod, const struct v1_taint *taint, int64_t first_seen_ms)
{
	int64_t due_ms = 0;
	int64_t since_ms = taint->time_added.set ? taint->time_added.sec * 1000 : first_seen_ms;

	for (size_t i = 0; i < pod->spec.tolerations.n; i++) {
		const struct v1_toleration *t = &pod->spec.tolerations.v[i];
		int64_t until = INT64_MAX;

		if (!tolerates(t, taint))
			continue;
		if (t->toleration_seconds)
			until = since_ms + MAX(*t->toleration_seconds, 0) * 1000;
		/* Of several tolerations the shortest counts, as upstream. */
		due_ms = due_ms == 0 ? until : MIN(due_ms, until);
	}
	return due_ms;
}

static void plan_eviction(struct view *v, struct plan *p, const struct object *o)
{
	struct plan_write *w;

	plan_disruption(v, p, o, NULL, "DeletionByTaintManager",
		"Taint manager: deleting due to NoExecute taint");
	plan_next_wave(p);
	w = plan_add(p, PLAN_DELETE, o->resource, o->ns, o->name);
	w->uid = o->uid;
	w->ignore_not_found = true;
	plan_event(p, o, "Normal", "TaintManagerEviction",
		"Marking for deletion Pod " STR_FMT "/" STR_FMT, STR_ARG(o->ns), STR_ARG(o->name));
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	struct eviction *s = v->state;
	const struct object *o = view_get(v, &v1_pod_resource, key.ns, key.name);
	int64_t due_ms = INT64_MAX, now_ms = v->now_ns / 1000000;

	if (!o || o->deletion_ms)
		return 0;
	const struct v1_pod *pod = object_decode(o, v->arena);
	intptr_t since_ms = (intptr_t)map_get(&s->waiting, o->uid);
	const struct v1_node *n = view_decode(v, &v1_node_resource, S(""), pod->spec.node_name);
	for (size_t i = 0; n && i < n->spec.taints.n; i++)
		if (str_eq(n->spec.taints.v[i].effect, S("NoExecute")))
			due_ms = MIN(due_ms,
				due(pod, &n->spec.taints.v[i], since_ms ? since_ms : now_ms));
	if (due_ms == INT64_MAX) {
		if (map_remove(&s->waiting, o->uid))
			plan_event(p, o, "Normal", "TaintManagerEviction",
				"Cancelling deletion of Pod " STR_FMT "/" STR_FMT, STR_ARG(o->ns),
				STR_ARG(o->name));
		return 0;
	}
	if (due_ms > now_ms) {
		if (!since_ms)
			map_set(&s->waiting, o->uid, (void *)(intptr_t)now_ms);
		plan_requeue(p, due_ms - now_ms);
		return 0;
	}
	map_remove(&s->waiting, o->uid);
	count_pod_eviction(v->opts->metrics, due_ms ? now_ms - due_ms : 0);
	plan_eviction(v, p, o);
	return 0;
}

static const struct plan_watch watches[] = {
	{.resource = &v1_node_resource, .keys = node_keys},
	{.resource = &v1_pod_resource, .keys = pod_keys},
	{0},
};

const struct planner taint_eviction_planner = {
	.name = "taint-eviction-controller",
	.user = "node-controller",
	.watches = watches,
	.init = init,
	.free = release,
	.reconcile = reconcile,
};
