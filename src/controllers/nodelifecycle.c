/*
 * nodelifecycle.c: node-lifecycle-controller: a node that has been silent for too long is Unknown;
 * conditions become taints; pods on a node that is not ready are not ready. taint_eviction.c acts
 * on the taints.
 *
 * When a node was last heard of is kept here, by our own clock: what the node writes (its Lease,
 * its heartbeats) only counts as a sign of life when it changes. After a restart every node has the
 * full grace period again, as upstream.
 */
#include <inttypes.h>

#include "base/map.h"
#include "controllers/metrics.h"
#include "controllers/util.h"

#define TAINT_NOT_READY "node.kubernetes.io/not-ready"
#define TAINT_UNREACHABLE "node.kubernetes.io/unreachable"
#define LEASE_NAMESPACE "kube-node-lease"

enum {
	EVICTION_INTERVAL_MS = 10 * 1000
}; /* upstream's --node-eviction-rate of 0.1 nodes per second */

enum ready { READY_UNSEEN, READY_TRUE, READY_FALSE, READY_UNKNOWN };

struct heard {
	int64_t seen_ns;     /* by our clock */
	uint64_t ready_hash; /* of the heartbeat times */
	enum ready ready;    /* as found last */
};

struct lifecycle {
	struct map nodes; /* name -> struct heard */
	size_t n, n_ready;
	int64_t next_eviction_ns; /* when the next node may get a NoExecute taint */
};

static void *init(const struct controllers_opts *opts)
{
	return xcalloc(1, sizeof(struct lifecycle));
}

static void release(void *state)
{
	struct lifecycle *s = state;

	for (struct map_entry *e = map_first(&s->nodes); e; e = map_next(&s->nodes, e))
		free(e->value);
	map_release(&s->nodes);
	free(s);
}

/* --- signs of life --- */

static struct heard *heard_of(struct lifecycle *s, struct str node, int64_t now_ns)
{
	struct heard *h = map_get(&s->nodes, node);

	if (!h) {
		h = xcalloc(1, sizeof(*h));
		h->seen_ns = now_ns;
		map_set(&s->nodes, node, h);
		s->n++;
	}
	return h;
}

static void set_ready(struct lifecycle *s, struct heard *h, enum ready ready)
{
	s->n_ready += (ready == READY_TRUE) - (h->ready == READY_TRUE);
	h->ready = ready;
}

static const struct v1_node_condition *condition(const struct v1_node *n, const char *type)
{
	for (size_t i = 0; i < n->status.conditions.n; i++)
		if (str_eqc(n->status.conditions.v[i].type, type))
			return &n->status.conditions.v[i];
	return NULL;
}

static uint64_t heartbeat(const struct v1_node *n)
{
	const struct v1_node_condition *c = condition(n, "Ready");

	return c ? (uint64_t)c->last_heartbeat_time.sec * 31 + (uint64_t)str_hash(c->status) : 0;
}

static void node_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct lifecycle *s = v->state;
	struct heard *h;

	if (ev->type == STORE_DELETED) {
		h = map_remove(&s->nodes, ev->object->name);
		if (h) {
			set_ready(s, h, READY_UNSEEN);
			s->n--;
			free(h);
		}
		return;
	}
	h = heard_of(s, ev->object->name, v->now_ns);
	uint64_t beat = heartbeat(object_decode(ev->object, v->arena));
	if (beat != h->ready_hash)
		h->seen_ns = v->now_ns;
	h->ready_hash = beat;
	enqueue(user_data, S(""), ev->object->name);
}

static void lease_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data)
{
	struct lifecycle *s = v->state;
	const struct object *o = ev->object;

	if (!str_eq(o->ns, S(LEASE_NAMESPACE)) || ev->type == STORE_DELETED)
		return;
	struct heard *h = heard_of(s, o->name, v->now_ns);
	h->seen_ns = v->now_ns;
	/* A node that was given up: look again now. The others' timers find the new time by
	 * themselves. */
	if (h->ready == READY_UNKNOWN)
		enqueue(user_data, S(""), o->name);
}

/* --- a silent node --- */

static bool make_unknown(struct view *v, struct v1_node *n, const char *type)
{
	for (size_t i = 0; i < n->status.conditions.n; i++) {
		struct v1_node_condition *c = &n->status.conditions.v[i];

		if (!str_eqc(c->type, type))
			continue;
		if (str_eq(c->status, S("Unknown")))
			return false;
		c->status = S("Unknown");
		c->reason = S("NodeStatusUnknown");
		c->message = S("Kubelet stopped posting node status.");
		c->last_transition_time = view_now(v);
		return true;
	}
	const struct v1_node_condition c = {
		.type = str_c(type),
		.status = S("Unknown"),
		.reason = S("NodeStatusNeverUpdated"),
		.message = S("Kubelet never posted node status."),
		.last_heartbeat_time = n->metadata.creation_timestamp,
		.last_transition_time = view_now(v),
	};
	ARENA_PUSH(v->arena, &n->status.conditions, c);
	return true;
}

static void plan_unknown(struct view *v, struct plan *p, const struct object *o, struct v1_node *n)
{
	static const char *const types[] = {
		"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
	bool changed = false;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		changed |= make_unknown(v, n, types[i]);
	if (!changed)
		return;
	struct plan_write *w = plan_add(p, PLAN_UPDATE_STATUS, o->resource, S(""), o->name);
	w->object = n;
	w->ignore_not_found = true;
	plan_next_wave(p);
}

static enum ready ready_of(const struct v1_node *n)
{
	const struct v1_node_condition *c = condition(n, "Ready");

	if (!c)
		return READY_UNSEEN;
	if (str_eq(c->status, S("True")))
		return READY_TRUE;
	return str_eq(c->status, S("False")) ? READY_FALSE : READY_UNKNOWN;
}

/* --- pods of a node that is not ready --- */

static void plan_pod_not_ready(struct view *v, struct plan *p, const struct object *o)
{
	const struct v1_pod *pod = object_decode(o, v->arena);

	if (!pod_ready(pod))
		return;
	struct plan_write *w = plan_add(p, PLAN_PATCH, o->resource, o->ns, o->name);
	w->subresource = S("status");
	w->patch_type = "application/strategic-merge-patch+json";
	w->ignore_not_found = true;
	w->patch = arena_fmt(v->arena,
		"{\"metadata\":{\"uid\":\"" STR_FMT
		"\"},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\","
		"\"lastTransitionTime\":\"" STR_FMT "\"}]}}",
		STR_ARG(o->uid), STR_ARG(time_format(view_now(v), v->arena)));
	w->event.about = o;
	w->event.reason = "NodeNotReady";
	w->event.message = S("Node is not ready");
}

static void plan_pods_not_ready(struct view *v, struct plan *p, struct str node)
{
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, view_snapshot(v, &v1_pod_resource), S(""), S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (str_eq(pod_node(o), node) && str_eq(pod_phase(o), S("Running")))
			plan_pod_not_ready(v, p, o);
}

/* --- taints --- */

struct wanted_taint {
	const char *key;
	bool execute, on;
};

static bool is_true(const struct v1_node *n, const char *type)
{
	const struct v1_node_condition *c = condition(n, type);

	return c && str_eq(c->status, S("True"));
}

/* NoExecute comes at a limited rate, and not at all when no node is ready: then the fault is
 * probably ours. */
static bool may_evict(struct lifecycle *s, struct view *v, struct plan *p)
{
	if (s->n_ready == 0) {
		plan_requeue(p, EVICTION_INTERVAL_MS);
		return false;
	}
	if (v->now_ns < s->next_eviction_ns) {
		plan_requeue(p, (s->next_eviction_ns - v->now_ns) / 1000000 + 1);
		return false;
	}
	s->next_eviction_ns = v->now_ns + (int64_t)EVICTION_INTERVAL_MS * 1000000;
	return true;
}

static bool is_taint(const struct v1_taint *t, const char *key, bool execute)
{
	return str_eqc(t->key, key) &&
	       str_eq(t->effect, execute ? S("NoExecute") : S("NoSchedule"));
}

static bool has_taint(const struct v1_node *n, const char *key, bool execute)
{
	for (size_t i = 0; i < n->spec.taints.n; i++)
		if (is_taint(&n->spec.taints.v[i], key, execute))
			return true;
	return false;
}

static void plan_taints(
	struct view *v, struct plan *p, const struct object *o, struct v1_node *n, enum ready ready)
{
	bool not_ready = ready == READY_FALSE || ready == READY_UNSEEN;
	struct wanted_taint all[] = {
		{TAINT_NOT_READY, false, not_ready},
		{TAINT_UNREACHABLE, false, ready == READY_UNKNOWN},
		{"node.kubernetes.io/memory-pressure", false, is_true(n, "MemoryPressure")},
		{"node.kubernetes.io/disk-pressure", false, is_true(n, "DiskPressure")},
		{"node.kubernetes.io/pid-pressure", false, is_true(n, "PIDPressure")},
		{"node.kubernetes.io/network-unavailable", false, is_true(n, "NetworkUnavailable")},
		{"node.kubernetes.io/unschedulable", false, n->spec.unschedulable},
		{TAINT_NOT_READY, true, ready == READY_FALSE},
		{TAINT_UNREACHABLE, true, ready == READY_UNKNOWN},
	};
	bool tainted = has_taint(n, TAINT_NOT_READY, true) || has_taint(n, TAINT_UNREACHABLE, true);
	struct v1_taint_vec taints = {0};
	bool changed = false;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].execute && all[i].on && !has_taint(n, all[i].key, true) && !tainted)
			all[i].on = may_evict(v->state, v, p);
	for (size_t i = 0; i < n->spec.taints.n; i++) {
		bool drop = false;

		for (size_t k = 0; k < ARRAY_SIZE(all); k++)
			drop |= !all[k].on &&
				is_taint(&n->spec.taints.v[i], all[k].key, all[k].execute);
		if (!drop)
			ARENA_PUSH(v->arena, &taints, n->spec.taints.v[i]);
		changed |= drop;
	}
	for (size_t k = 0; k < ARRAY_SIZE(all); k++) {
		const struct v1_taint t = {
			.key = str_c(all[k].key),
			.effect = all[k].execute ? S("NoExecute") : S("NoSchedule"),
			.time_added = view_now(v),
		};

		if (!all[k].on || has_taint(n, all[k].key, all[k].execute))
			continue;
		ARENA_PUSH(v->arena, &taints, t);
		if (all[k].execute)
			count_node_eviction(v->opts->metrics, o);
		changed = true;
	}
	if (!changed)
		return;
	n->spec.taints = taints;
	struct plan_write *w = plan_add(p, PLAN_PATCH, o->resource, S(""), o->name);
	struct buf b;
	buf_init(&b, 256 * 1024);
	buf_fmt(&b, "{\"metadata\":{\"uid\":\"" STR_FMT "\"},\"spec\":{\"taints\":[",
		STR_ARG(o->uid));
	for (size_t i = 0; i < taints.n; i++) {
		if (i)
			buf_add_char(&b, ',');
		schema_encode_json(&v1_taint_schema, &taints.v[i], &b);
	}
	buf_add_c(&b, "]}}");
	w->patch = arena_str(v->arena, buf_str(&b));
	w->ignore_not_found = true;
	buf_release(&b);
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	struct lifecycle *s = v->state;
	const struct object *o = view_get(v, &v1_node_resource, S(""), key.name);

	if (!o || o->deletion_ms)
		return 0;
	struct heard *h = heard_of(s, key.name, v->now_ns);
	struct v1_node *n = object_decode(o, v->arena);
	enum ready was = ready_of(n), found = h->ready;
	int64_t grace_ms = was == READY_UNSEEN ? v->opts->node_startup_grace_ms
					       : v->opts->node_monitor_grace_ms;
	int64_t left_ms = grace_ms - (v->now_ns - h->seen_ns) / 1000000;

	if (left_ms > 0) {
		plan_requeue(p, left_ms);
	} else {
		plan_unknown(v, p, o, n);
	}
	enum ready ready = ready_of(n);
	set_ready(s, h, ready);
	plan_taints(v, p, o, n, ready);
	if (ready == READY_TRUE || ready == READY_UNSEEN || ready == found)
		return 0;
	if (found == READY_TRUE)
		plan_event(p, o, "Normal", "NodeNotReady",
			"Node " STR_FMT " status is now: NodeNotReady", STR_ARG(key.name));
	plan_pods_not_ready(v, p, key.name);
	return 0;
}

static const struct plan_watch watches[] = {
	{.resource = &v1_node_resource, .keys = node_keys},
	{.resource = &coordination_v1_lease_resource, .keys = lease_keys},
	{.resource = &v1_pod_resource, .silent = true},
	{0},
};

const struct planner nodelifecycle_planner = {
	.name = "node-lifecycle-controller",
	.source = "node-controller",
	.user = "node-controller",
	.watches = watches,
	.init = init,
	.free = release,
	.reconcile = reconcile,
};
