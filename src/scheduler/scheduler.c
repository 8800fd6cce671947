/* scheduler.c: from events to the cache and the queue, and the attempts. What is written is
 * writes.c's. */
#include "scheduler/scheduler.h"

#include "scheduler/scheduler_priv.h"

enum { ATTEMPTS_PER_TURN = 64, IN_FLIGHT_MAX = 500 };

static void wake(struct scheduler *s)
{
	if (s->synced && queue_active(s->queue) && s->in_flight < s->in_flight_max &&
		!loop_timer_armed(&s->work))
		loop_timer_start(&s->work, 0);
}

/* Moves what is due to be tried again, and arms the timer for what comes next. */
static void tick(struct scheduler *s)
{
	int64_t next_ms = queue_tick(s->queue, loop_now_ms(s->loop));

	if (next_ms >= 0)
		loop_timer_start(&s->ticker, MAX(next_ms, 1));
	else
		loop_timer_stop(&s->ticker);
	wake(s);
}

static void on_tick(struct loop_timer *t)
{
	tick(container_of(t, struct scheduler, ticker));
}

void scheduler_changed(struct scheduler *s, uint32_t events)
{
	if (events)
		queue_event(s->queue, events, loop_now_ms(s->loop));
	tick(s);
}

/* --- attempts --- */

static const struct str_map *namespace_labels(void *user_data, struct str ns)
{
	struct scheduler *s = user_data;
	const struct object *o = map_get(&s->namespaces, ns);

	return o ? &o->labels : NULL;
}

static void attempt(struct scheduler *s, struct queued *q)
{
	struct arena a;
	int64_t began_ns = metric_now_ns();
	const struct cycle_opts opts = {
		.meter = s->meter,
		.cache = s->cache,
		.queue = s->queue,
		.percentage_of_nodes = s->percentage_of_nodes,
		.start = &s->start,
		.random = loop_random(s->loop),
		.namespace_labels = namespace_labels,
		.user_data = s,
	};

	arena_init(&a);
	struct verdict v = cycle_run(&opts, q->info, q, &a);
	meter_algorithm(s->meter, began_ns);
	if (v.node)
		scheduler_bind(s, q, v.node, began_ns);
	else
		scheduler_failed(s, q, &v, &a, began_ns);
	arena_release(&a);
}

static void work(struct loop_timer *t)
{
	struct scheduler *s = container_of(t, struct scheduler, work);

	for (int i = 0; i < ATTEMPTS_PER_TURN && s->in_flight < s->in_flight_max; i++) {
		struct queued *q = queue_pop(s->queue);

		if (!q)
			break;
		attempt(s, q);
	}
	tick(s);
}

/* --- events --- */

static void on_node(void *user_data, const struct store_event *ev)
{
	struct scheduler *s = user_data;

	scheduler_changed(s, cache_node_event(s->cache, ev));
}

static void on_namespace(void *user_data, const struct store_event *ev)
{
	struct scheduler *s = user_data;
	const struct object *old =
		ev->type == STORE_DELETED
			? map_remove(&s->namespaces, ev->object->name)
			: map_set(&s->namespaces, ev->object->name, object_ref(ev->object));

	object_unref((struct object *)old);
}

static bool same_spec(const struct object *a, const struct object *b)
{
	if (a->generation != b->generation || a->labels.n != b->labels.n)
		return false;
	for (size_t i = 0; i < a->labels.n; i++)
		if (!str_eq(a->labels.v[i].key, b->labels.v[i].key) ||
			!str_eq(a->labels.v[i].value, b->labels.v[i].value))
			return false;
	return true;
}

/* A pod that waits for a node has come or changed. */
static void pending_changed(struct scheduler *s, const struct object *o)
{
	struct queued *q = queue_find(s->queue, o->uid);

	if (q && !q->info)
		return; /* being bound: its own event will tell */
	struct pod_info *info = pod_info_new(s->cache, o);
	int64_t began_ns = metric_now_ns();
	bool gated = cycle_pre_enqueue(info) != NULL;
	meter_point(
		s->meter, POINT_PRE_ENQUEUE, gated ? POINT_UNRESOLVABLE : POINT_SUCCESS, began_ns);
	if (q && same_spec(q->info->object, o) && gated == (q->state == QUEUED_GATED)) {
		pod_info_free(q->info); /* the queue's order does not depend on what has changed */
		q->info = info;
		return;
	}
	q = queue_put(s->queue, info, gated);
	if (gated)
		scheduler_gated(s, q);
	else if (info->pod->status.nominated_node_name.n)
		queue_nominate(s->queue, q, info->pod->status.nominated_node_name);
}

static void pending_gone(struct scheduler *s, struct str uid)
{
	struct queued *q = queue_find(s->queue, uid);

	if (q)
		queue_remove(s->queue, q);
}

static void on_pod(void *user_data, const struct store_event *ev)
{
	struct scheduler *s = user_data;
	const struct object *o = ev->object;

	if (ev->type == STORE_DELETED) {
		pending_gone(s, o->uid);
		pod_info_free(cache_forget(s->cache, o->uid));
	} else if (!str_empty(object_field(o, S("spec.nodeName")))) {
		pending_gone(s, o->uid);
	} else if (o->deletion_ms || !str_eqc(object_field(o, S("spec.schedulerName")), s->name) ||
		   str_eq(object_field(o, S("status.phase")), S("Failed")) ||
		   str_eq(object_field(o, S("status.phase")), S("Succeeded"))) {
		pending_gone(s, o->uid);
	} else {
		pending_changed(s, o);
	}
	scheduler_changed(s, cache_pod_event(s->cache, ev));
}

static void synced(void *user_data)
{
	struct scheduler *s = user_data;

	s->synced = true;
	tick(s);
}

int scheduler_start(const struct scheduler_opts *opts, struct scheduler **ret, struct err *err)
{
	struct scheduler *s;

	if (opts->percentage_of_nodes_to_score < 0 || opts->percentage_of_nodes_to_score > 100) {
		client_free(opts->client);
		return err_bad_request(err, "percentageOfNodesToScore must be in 0..100");
	}
	s = xcalloc(1, sizeof(*s));
	s->loop = opts->loop;
	s->client = opts->client;
	s->name = xstrdup(opts->name ? opts->name : "default-scheduler");
	s->percentage_of_nodes = opts->percentage_of_nodes_to_score;
	s->in_flight_max = opts->binds_in_flight_max ? opts->binds_in_flight_max : IN_FLIGHT_MAX;
	s->cache = cache_new();
	s->queue = queue_new();
	s->meter = scheduler_meter_new(opts->metrics, s->name);
	queue_set_meter(s->queue, s->meter);
	s->recorder = recorder_new(s->client, s->name, NULL);
	loop_timer_init(&s->work, s->loop, work);
	loop_timer_init(&s->ticker, s->loop, on_tick);
	client_subscribe(s->client, &v1_node_resource, NULL, on_node, s);
	client_subscribe(s->client, &v1_namespace_resource, NULL, on_namespace, s);
	client_subscribe(s->client, &v1_pod_resource, NULL, on_pod, s);
	client_start(s->client, synced, s);
	*ret = s;
	return 0;
}

void scheduler_write_metrics(const struct scheduler *s, struct buf *out)
{
	struct scheduler_numbers n = {.nodes = cache_nodes(s->cache)->n};

	queue_numbers(s->queue, &n);
	cache_count_pods(s->cache, &n.pods, &n.assumed);
	scheduler_numbers_write(&n, out);
}

bool scheduler_synced(const struct scheduler *s)
{
	return s->synced;
}

void scheduler_stop(struct scheduler *s)
{
	if (!s)
		return;
	loop_timer_stop(&s->work);
	loop_timer_stop(&s->ticker);
	client_free(s->client);
	recorder_free(s->recorder);
	queue_free(s->queue);
	scheduler_meter_free(s->meter);
	cache_free(s->cache);
	for (struct map_entry *e = map_first(&s->namespaces); e; e = map_next(&s->namespaces, e))
		object_unref(e->value);
	map_release(&s->namespaces);
	free(s->name);
	free(s);
}
