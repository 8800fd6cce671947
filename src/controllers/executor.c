/* executor.c: from events to keys, the queue, and calling the planners. The writes are carry.c's.
 */
#include "controllers/executor.h"

#include <inttypes.h>

#include "controllers/executor_priv.h"

static void work(struct loop_timer *t);

enum {
	BACKOFF_MIN_MS = 5,
	BACKOFF_MAX_MS = 1000 * 1000,
	WRITES_IN_FLIGHT_MAX = 500,
	KEYS_PER_TURN = 64,
	WAIT_MAX_MS = 10 * 1000, /* for the event of an own write, should it never come */
	SLOTS_MIN = 256,
};

struct watcher {
	struct worker *worker;
	plan_keys_fn *keys;
};

/* A resource that at least one planner wants to hear of. */
struct watched {
	struct executor *executor;
	const struct schema_resource *resource;
	struct watcher *v;
	size_t n;
	bool subscribed, indexed;
	uint64_t seen; /* the newest event's revision */
};

struct executor *executor_new(struct client *reader, const struct controllers_opts *opts)
{
	struct executor *x = xcalloc(1, sizeof(*x));

	x->loop = client_loop(reader);
	x->reader = reader;
	loop_timer_init(&x->work, x->loop, work);
	x->opts = opts;
	x->owners = owner_index_new();
	x->watched = xcalloc(schema_n_resources, sizeof(*x->watched));
	x->snapshots = xcalloc(schema_n_resources, sizeof(struct snapshot *));
	x->n_slots = SLOTS_MIN;
	x->slots = xcalloc(x->n_slots, sizeof(*x->slots));
	x->in_flight_max =
		opts->writes_in_flight_max ? opts->writes_in_flight_max : WRITES_IN_FLIGHT_MAX;
	return x;
}

/* --- items --- */

static size_t item_slot(const struct executor *x, const struct worker *w, struct plan_key key)
{
	uint64_t h = str_hash(key.name) * 31 + str_hash(key.ns);

	return (h * 31 + (uintptr_t)w->planner / sizeof(*w->planner)) & (x->n_slots - 1);
}

static void items_grow(struct executor *x)
{
	struct item **old = x->slots;
	size_t n_old = x->n_slots;

	x->n_slots *= 2;
	x->slots = xcalloc(x->n_slots, sizeof(*x->slots));
	for (size_t i = 0; i < n_old; i++) {
		while (old[i]) {
			struct item *item = old[i];
			size_t s = item_slot(x, item->worker, item->key);

			old[i] = item->hash_next;
			item->hash_next = x->slots[s];
			x->slots[s] = item;
		}
	}
	free(old);
}

static void item_due(struct loop_timer *t);

static struct item *item_get(struct worker *w, struct str ns, struct str name)
{
	struct executor *x = w->executor;
	struct plan_key key = {ns, name};
	struct item *item = x->slots[item_slot(x, w, key)];

	while (item &&
		!(item->worker == w && str_eq(item->key.name, name) && str_eq(item->key.ns, ns)))
		item = item->hash_next;
	if (item)
		return item;
	if (++x->n_items > x->n_slots)
		items_grow(x);
	item = xcalloc(1, sizeof(*item) + ns.n + name.n + 2);
	item->worker = w;
	if (ns.n)
		memcpy(item->bytes, ns.p, ns.n);
	if (name.n)
		memcpy(item->bytes + ns.n + 1, name.p, name.n);
	item->key.ns = str_n(item->bytes, ns.n);
	item->key.name = str_n(item->bytes + ns.n + 1, name.n);
	loop_timer_init(&item->timer, x->loop, item_due);
	size_t s = item_slot(x, w, key);
	item->hash_next = x->slots[s];
	x->slots[s] = item;
	return item;
}

static void failure_clear(struct item *item)
{
	free((char *)item->failure.name.p);
	free((char *)item->failure.reason.p);
	free((char *)item->failure.message.p);
	item->failure = (struct plan_failure){0};
}

static void item_free(struct item *item)
{
	loop_timer_stop(&item->timer);
	failure_clear(item);
	free((char *)item->answer.p);
	if (item->carry)
		arena_release(&item->carry->arena);
	free(item->carry);
	free(item);
}

/* Forgets an item that has nothing left to do or to remember. */
static void item_drop_if_done(struct executor *x, struct item *item)
{
	if (item->state != ITEM_IDLE || loop_timer_armed(&item->timer) || item->failures ||
		item->n_waits)
		return;
	struct item **at = &x->slots[item_slot(x, item->worker, item->key)];

	while (*at != item)
		at = &(*at)->hash_next;
	*at = item->hash_next;
	x->n_items--;
	item_free(item);
}

static bool item_caught_up(struct executor *x, struct item *item)
{
	size_t n = 0;

	for (size_t i = 0; i < item->n_waits; i++)
		if (x->watched[item->waits[i].resource->index].seen < item->waits[i].revision)
			item->waits[n++] = item->waits[i];
	item->n_waits = n;
	return n == 0;
}

void item_wait_for(
	struct executor *x, struct item *item, const struct schema_resource *res, uint64_t revision)
{
	size_t i = 0;

	if (!x->watched[res->index].subscribed || x->watched[res->index].seen >= revision)
		return;
	while (i < item->n_waits && item->waits[i].resource != res)
		i++;
	if (i == WAITS_MAX)
		return;
	if (i == item->n_waits)
		item->waits[item->n_waits++] = (struct wait){res, 0};
	item->waits[i].revision = MAX(item->waits[i].revision, revision);
}

static struct str str_own(struct str s)
{
	char *p = xmalloc(s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = 0;
	return str_n(p, s.n);
}

void item_set_failure(struct item *item, const struct plan_write *w, const struct client_call *call)
{
	failure_clear(item);
	item->failure = (struct plan_failure){
		.op = w->op,
		.resource = w->resource,
		.name = str_own(w->name),
		.code = call->status ? call->status : 500,
		.reason = str_own(call->err.reason),
		.message = str_own(call->err.message),
	};
}

void item_set_answer(struct item *item, struct str answer)
{
	free((char *)item->answer.p);
	item->answer = str_own(answer);
	item->dirty = true; /* planned again when this round is over */
}

/* --- the queue --- */

void executor_wake(struct executor *x)
{
	if (x->running && !loop_timer_armed(&x->work))
		loop_timer_start(&x->work, 0);
}

static void item_push(struct executor *x, struct item *item)
{
	if (item->state != ITEM_PARKED) {
		item->since_ns = metric_now_ns();
		metric_add(item->worker->meter.adds, 1);
	}
	item->state = ITEM_QUEUED;
	item->next = NULL;
	if (x->ready.tail)
		x->ready.tail->next = item;
	else
		x->ready.head = item;
	x->ready.tail = item;
	executor_wake(x);
}

static void item_enqueue(struct executor *x, struct item *item)
{
	if (item->state == ITEM_RUNNING)
		item->dirty = true;
	else if (item->state == ITEM_IDLE)
		item_push(x, item);
}

static void item_unpark(struct executor *x, struct item *item)
{
	struct item **at = &x->parked;

	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
	loop_timer_stop(&item->timer);
	item_push(x, item);
}

static void unpark_ready(struct executor *x)
{
	for (struct item *item = x->parked, *next; item; item = next) {
		next = item->next;
		if (item_caught_up(x, item))
			item_unpark(x, item);
	}
}

static void item_due(struct loop_timer *t)
{
	struct item *item = container_of(t, struct item, timer);
	struct executor *x = item->worker->executor;

	if (item->state != ITEM_PARKED) {
		item_enqueue(x, item);
		return;
	}
	item->n_waits = 0;
	item_unpark(x, item);
}

static void enqueue(void *user_data, struct str ns, struct str name)
{
	struct worker *w = user_data;

	item_enqueue(w->executor, item_get(w, ns, name));
}

void item_finished(struct executor *x, struct item *item, bool failed, int64_t requeue_ms)
{
	item->state = ITEM_IDLE;
	item->carry = NULL;
	metric_observe_since(item->worker->meter.worked, item->since_ns);
	if (failed) {
		metric_add(item->worker->meter.retries, 1);
		unsigned shift = MIN(item->failures, 18U);

		item->failures++;
		requeue_ms = MIN((int64_t)BACKOFF_MIN_MS << shift, (int64_t)BACKOFF_MAX_MS);
	} else {
		item->failures = 0;
		failure_clear(item);
	}
	if (requeue_ms)
		loop_timer_start(&item->timer, requeue_ms);
	if (item->dirty)
		item_push(x, item);
	item->dirty = false;
	item_caught_up(x, item);
	item_drop_if_done(x, item);
	if (x->ready.head)
		executor_wake(x);
}

/* --- planning --- */

static struct view view_of(struct executor *x, struct worker *w, struct arena *a)
{
	return (struct view){
		.arena = a,
		.opts = x->opts,
		.state = w->state,
		.now_ns = loop_wall_ns(x->loop),
		.client = x->reader,
		.snapshots = x->snapshots,
		.owners = x->owners,
	};
}

static void drop_snapshots(struct executor *x)
{
	for (size_t i = 0; i < schema_n_resources; i++)
		if (x->snapshots[i])
			x->snapshots[i] = snapshot_unref(x->snapshots[i]);
}

static void release_snapshot(void *p)
{
	snapshot_unref(p);
}

static void record_events(struct worker *w, const struct plan *p)
{
	for (size_t i = 0; i < p->events.n; i++) {
		const struct plan_event *e = &p->events.v[i];

		recorder_event_object(w->recorder, e->about, e->type, e->reason.p, e->message);
	}
}

/* The reconcile's objects must outlive it while its writes are under way: the arena holds
 * references on what the planner keeps (view_controlled), and everything it decoded. Snapshots are
 * let go. */
static void item_run(struct executor *x, struct item *item)
{
	struct worker *w = item->worker;
	struct carry *c = xcalloc(1, sizeof(*c));
	struct err err CLEANUP(err_release) = {0};

	loop_timer_stop(&item->timer);
	metric_observe_since(w->meter.waited, item->since_ns);
	item->since_ns = metric_now_ns();
	item->state = ITEM_RUNNING;
	item->dirty = false;
	arena_init(&c->arena);
	c->item = item;
	item->carry = c;
	c->plan.arena = &c->arena;
	struct view v = view_of(x, w, &c->arena);
	v.random_state = loop_random(x->loop);
	v.failure = item->failure.code ? &item->failure : NULL;
	v.answer = arena_str(&c->arena, item->answer);
	free((char *)item->answer.p);
	item->answer = (struct str){0};
	int r = w->planner->reconcile(&v, item->key, &c->plan, &err);
	for (size_t i = 0; i < schema_n_resources; i++) {
		if (!x->snapshots[i])
			continue;
		arena_ref(&c->arena, release_snapshot, x->snapshots[i]);
		x->snapshots[i] = NULL;
	}
	if (r < 0) {
		c->failed = true;
		log_warn("%s: " STR_FMT "/" STR_FMT ": %s", w->planner->name, STR_ARG(item->key.ns),
			STR_ARG(item->key.name), err_text(&err));
	}
	record_events(w, &c->plan);
	carry_start(x, c);
}

static void work(struct loop_timer *t)
{
	struct executor *x = container_of(t, struct executor, work);

	for (int n = 0; x->ready.head && n < KEYS_PER_TURN; n++) {
		struct item *item = x->ready.head;

		if (x->in_flight >= x->in_flight_max)
			return; /* the next answer wakes us */
		x->ready.head = item->next;
		if (!x->ready.head)
			x->ready.tail = NULL;
		if (item_caught_up(x, item)) {
			item_run(x, item);
			continue;
		}
		item->state = ITEM_PARKED;
		item->next = x->parked;
		x->parked = item;
		loop_timer_start(&item->timer, WAIT_MAX_MS);
	}
	if (x->ready.head)
		executor_wake(x);
}

/* --- events --- */

static void on_event(void *user_data, const struct store_event *ev)
{
	struct watched *wd = user_data;
	struct executor *x = wd->executor;
	struct arena a;

	wd->seen = MAX(wd->seen, ev->revision);
	if (wd->indexed)
		owner_index_apply(x->owners, ev);
	arena_init(&a);
	for (size_t i = 0; i < wd->n; i++) {
		struct worker *w = wd->v[i].worker;
		struct view v = view_of(x, w, &a);

		if (wd->v[i].keys)
			wd->v[i].keys(&v, ev, enqueue, w);
		else
			enqueue(w, ev->object->ns, ev->object->name);
	}
	drop_snapshots(x);
	arena_release(&a);
	unpark_ready(x);
}

static struct watched *watch(struct executor *x, const struct schema_resource *res)
{
	struct watched *wd = &x->watched[res->index];

	if (!wd->subscribed) {
		wd->executor = x;
		wd->resource = res;
		wd->subscribed = true;
		client_subscribe(x->reader, res, NULL, on_event, wd);
	}
	return wd;
}

static void add_watcher(struct worker *w, const struct schema_resource *res, plan_keys_fn *keys)
{
	struct watched *wd = watch(w->executor, res);

	wd->v = xrealloc(wd->v, (wd->n + 1) * sizeof(*wd->v));
	wd->v[wd->n++] = (struct watcher){w, keys};
}

static bool watches(const struct planner *p, const struct schema_resource *res)
{
	for (const struct plan_watch *pw = p->watches; pw->resource; pw++)
		if (pw->resource == res)
			return true;
	return false;
}

void executor_add(struct executor *x, const struct planner *p, struct client *writer)
{
	const uint32_t verbs = VERB_LIST | VERB_WATCH | VERB_DELETE;
	struct worker *w = xcalloc(1, sizeof(*w)), **at = &x->workers;

	*w = (struct worker){.executor = x, .planner = p, .client = writer};
	w->recorder = recorder_new(writer, p->source ? p->source : p->name, NULL);
	w->meter = queue_meter_new(x->opts->metrics, p->name);
	w->state = p->init ? p->init(x->opts) : NULL;
	while (*at)
		at = &(*at)->next;
	*at = w;
	for (const struct plan_watch *pw = p->watches; pw->resource; pw++) {
		if (pw->silent)
			watch(x, pw->resource);
		else
			add_watcher(w, pw->resource, pw->keys);
		x->watched[pw->resource->index].indexed |= pw->indexed;
	}
	for (size_t i = 0; p->watch_all && i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];

		if (res->storage && (res->verbs & verbs) == verbs && !watches(p, res))
			add_watcher(w, res, p->watch_all);
	}
}

void executor_run(struct executor *x)
{
	x->running = true;
	executor_wake(x);
}

const char *executor_planner(const struct executor *x, size_t i)
{
	const struct worker *w = x->workers;

	while (w && i--)
		w = w->next;
	return w ? w->planner->name : NULL;
}

static void add_item(struct queue_state *s, const struct item *item, int64_t now_ns)
{
	double age_s = (double)(now_ns - item->since_ns) / 1e9;

	if (item->state == ITEM_QUEUED || item->state == ITEM_PARKED) {
		s->depth++;
	} else if (item->state == ITEM_RUNNING) {
		s->unfinished_s += age_s;
		s->longest_s = MAX(s->longest_s, age_s);
	}
}

void executor_write_metrics(struct executor *x, struct buf *out)
{
	struct queue_state *states;
	int64_t now_ns = metric_now_ns();
	size_t n = 0;

	for (struct worker *w = x->workers; w; w = w->next)
		w->at = n++;
	states = xcalloc(n + 1, sizeof(*states));
	for (struct worker *w = x->workers; w; w = w->next)
		states[w->at].planner = w->planner->name;
	for (size_t i = 0; i < x->n_slots; i++)
		for (const struct item *item = x->slots[i]; item; item = item->hash_next)
			add_item(&states[item->worker->at], item, now_ns);
	queue_states_write(states, n, out);
	free(states);
}

void executor_free(struct executor *x)
{
	if (!x)
		return;
	loop_timer_stop(&x->work);
	for (size_t i = 0; i < x->n_slots; i++) {
		while (x->slots[i]) {
			struct item *item = x->slots[i];

			x->slots[i] = item->hash_next;
			item_free(item);
		}
	}
	while (x->workers) {
		struct worker *w = x->workers;

		x->workers = w->next;
		recorder_free(w->recorder);
		if (w->planner->free)
			w->planner->free(w->state);
		free(w);
	}
	for (size_t i = 0; i < schema_n_resources; i++)
		free(x->watched[i].v);
	owner_index_free(x->owners);
	free(x->watched);
	free(x->snapshots);
	free(x->slots);
	free(x);
}
