#include "store/etcd/etcd_int.h"
#include "store/store_int.h"

#include <signal.h>
#include <time.h>

enum {
	HISTORY_EVENTS_DEFAULT = 4096,
	QUEUE_DEFAULT = 8192,
	THREAD_STACK_BYTES = 512 * 1024,
	SIM_COMMIT_MS = 8, /* a simulated commit takes less than that */
};

int64_t store_now_ms(struct store *s)
{
	struct timespec ts;

	if (s->sim_loop)
		return loop_now_ms(s->sim_loop);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- the queue --- */

static void on_done(struct loop_task *t)
{
	struct store_write *w = container_of(t, struct store_write, task);

	w->done(w);
}

static void refuse(struct store_write *w, int result)
{
	w->result = result;
	w->draft = object_unref(w->draft);
	loop_post(w->loop, &w->task);
}

void store_submit(struct store *s, struct store_write *w)
{
	bool first;

	assert(w->op == STORE_DELETE || w->draft);
	w->task.fn = on_done;
	w->next = NULL;
	w->object = NULL;
	w->result = 0;
	w->why[0] = 0;
	pthread_mutex_lock(&s->queue_lock);
	if (s->crashed || s->n_queued >= s->queue_max) {
		refuse(w, s->crashed ? -EIO : -EAGAIN);
		pthread_mutex_unlock(&s->queue_lock);
		return;
	}
	first = s->n_queued++ == 0;
	*s->tail = w;
	s->tail = &w->next;
	if (first && s->etcd)
		etcd_wake(s->etcd);
	else if (first && !s->sim_loop)
		pthread_cond_signal(&s->queue_cond);
	pthread_mutex_unlock(&s->queue_lock);
	if (first && s->sim_loop)
		loop_timer_start(&s->sim_timer, loop_random(s->sim_loop) % SIM_COMMIT_MS);
}

struct store_write *store_take(struct store *s, size_t max)
{
	struct store_write *list = s->head, **end = &s->head;
	size_t n = 0;

	for (; *end && n < max; n++)
		end = &(*end)->next;
	s->head = *end;
	if (!s->head)
		s->tail = &s->head;
	*end = NULL;
	s->n_queued -= n;
	return n ? list : NULL;
}

static struct store_write *take(struct store *s)
{
	return store_take(s, COMMIT_BATCH_MAX);
}

/* Under the queue's lock: until there are writes, or lazy ones are due, or the end has come. */
static void wait_for_work(struct store *s)
{
	while (!s->head && !s->stop) {
		struct timespec ts = {s->lazy_due_ms / 1000, s->lazy_due_ms % 1000 * 1000000};

		if (s->lazy_due_ms == 0)
			pthread_cond_wait(&s->queue_cond, &s->queue_lock);
		else if (pthread_cond_timedwait(&s->queue_cond, &s->queue_lock, &ts) == ETIMEDOUT)
			return;
	}
}

static void *commit_thread(void *arg)
{
	struct store *s = arg;
	struct store_write *list;
	bool stop = false;

	while (!stop) {
		pthread_mutex_lock(&s->queue_lock);
		wait_for_work(s);
		list = take(s);
		stop = s->stop && !list;
		pthread_mutex_unlock(&s->queue_lock);
		if (list)
			commit_run(s, list);
		if (s->lazy_due_ms && store_now_ms(s) >= s->lazy_due_ms)
			lazy_flush(s);
	}
	return NULL;
}

/* --- the same on a simulated loop --- */

static void sim_arm_flush(struct store *s)
{
	if (s->lazy_due_ms)
		loop_timer_start(&s->sim_flush_timer, MAX(s->lazy_due_ms - store_now_ms(s), 0));
}

static void sim_commit(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, sim_timer);
	struct store_write *list = take(s);

	if (list)
		commit_run(s, list);
	if (s->head)
		loop_timer_start(&s->sim_timer, 0);
	sim_arm_flush(s);
}

static void sim_flush(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, sim_flush_timer);

	lazy_flush(s);
	sim_arm_flush(s);
}

/* --- opening --- */

struct load {
	struct backend_loader loader;
	struct store *s;
	struct store_resource *last; /* rows of a kind stand together mostly */
	uint64_t revision;
};

static struct store_resource *find_resource(struct load *l, struct str group, struct str plural)
{
	struct store *s = l->s;

	if (l->last && str_eqc(plural, l->last->resource->plural) &&
		str_eqc(group, l->last->resource->group))
		return l->last;
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];

		if (res->storage && str_eqc(plural, res->plural) && str_eqc(group, res->group))
			return l->last = &s->resources[i];
	}
	return NULL;
}

static void saw_revision(struct load *l, struct store_resource *rs, uint64_t revision)
{
	l->revision = MAX(l->revision, revision);
	if (rs)
		rs->history.floor = MAX(rs->history.floor, revision);
}

static int load_object(struct backend_loader *loader, uint64_t created, struct str group,
	struct str plural, struct str json, struct err *err)
{
	struct load *l = container_of(loader, struct load, loader);
	struct store_resource *rs = find_resource(l, group, plural);
	struct object *o;
	int r;

	if (!rs)
		return 0; /* of a kind that this program does not know: it stays where it is */
	r = object_parse(rs->resource, json, &o, err);
	if (r < 0)
		return r;
	o->created = created;
	saw_revision(l, rs, MAX(o->revision, created));
	if (tree_get(&rs->work, o->ns, o->name))
		r = err_fmt(err, 500, "InternalError",
			"store: two rows hold " STR_FMT " " STR_FMT "/" STR_FMT, STR_ARG(plural),
			STR_ARG(o->ns), STR_ARG(o->name));
	else
		tree_put(&rs->work, o);
	object_unref(o);
	return r;
}

static void load_deleted(
	struct backend_loader *loader, struct str group, struct str plural, uint64_t revision)
{
	struct load *l = container_of(loader, struct load, loader);

	saw_revision(l, find_resource(l, group, plural), revision);
}

/* Everything up to here may have happened to a lazy resource without leaving a trace; of the
 * others, every change left a row or a note of its deletion, so a watcher that has seen those
 * misses nothing. */
static void set_floors(struct store *s, uint64_t revision)
{
	for (size_t i = 0; i < schema_n_resources; i++) {
		struct store_resource *rs = &s->resources[i];

		if (rs->resource->lazy)
			rs->history.floor = revision;
		rs->current = snapshot_of(rs->resource, &rs->work, revision);
		tree_release(&rs->work);
	}
}

static int load(struct store *s, struct err *err)
{
	struct load l = {.loader = {load_object, load_deleted}, .s = s};
	uint64_t reserved = 0;
	int r;

	r = s->backend->ops->load(s->backend, &l.loader, &reserved, err);
	if (r < 0) {
		set_floors(s, 0);
		return r;
	}
	s->reserved = reserved;
	s->next_revision = MAX(MAX(l.revision, reserved), 1u); /* clients take 0 for "any" */
	atomic_init(&s->revision, s->next_revision);
	set_floors(s, s->next_revision);
	return 0;
}

static void init_resources(struct store *s, size_t history_events_max)
{
	s->resources = xcalloc(schema_n_resources, sizeof(*s->resources));
	for (size_t i = 0; i < schema_n_resources; i++) {
		struct store_resource *rs = &s->resources[i];

		rs->resource = schema_resources[i];
		rs->store = s;
		rs->history.cap_max =
			history_events_max ? history_events_max : HISTORY_EVENTS_DEFAULT;
		pthread_mutex_init(&rs->lock, NULL);
	}
}

static int start_thread(struct store *s, struct err *err)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	sigfillset(&all); /* signals are for the main thread */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&s->thread, &attr, commit_thread, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return r ? err_errno(err, r, "store: commit thread") : 0;
}

static void store_free(struct store *s)
{
	for (size_t i = 0; i < schema_n_resources; i++) {
		struct store_resource *rs = &s->resources[i];

		for (struct watch_group *g = rs->groups, *next; g; g = next) {
			next = g->next;
			if (!g->watches)
				free(g);
		}
		snapshot_unref(rs->current);
		history_release(&rs->history);
		lazy_release(rs);
		pthread_mutex_destroy(&rs->lock);
	}
	if (s->backend)
		s->backend->ops->close(s->backend);
	pthread_mutex_destroy(&s->queue_lock);
	pthread_cond_destroy(&s->queue_cond);
	commit_batch_free(s->batch);
	free(s->resources);
	free(s);
}

static struct store *store_new(const struct store_opts *opts)
{
	struct store *s = xcalloc(1, sizeof(*s));
	pthread_condattr_t attr;

	s->backend = opts->backend;
	s->sim_loop = opts->sim_loop;
	s->queue_max = opts->queue_max ? opts->queue_max : QUEUE_DEFAULT;
	s->tail = &s->head;
	s->batch = commit_batch_new();
	pthread_mutex_init(&s->queue_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->queue_cond, &attr);
	pthread_condattr_destroy(&attr);
	init_resources(s, opts->history_events_max);
	return s;
}

int store_open(const struct store_opts *opts, struct store **ret, struct err *err)
{
	struct store *s = store_new(opts);
	int r;

	if (opts->etcd) {
		set_floors(s, 0);
		r = etcd_open(s, opts->etcd, &s->etcd, err);
		if (r < 0)
			store_free(s);
		else
			*ret = s;
		return r;
	}
	r = load(s, err);
	if (r == 0 && s->sim_loop) {
		loop_timer_init(&s->sim_timer, s->sim_loop, sim_commit);
		loop_timer_init(&s->sim_flush_timer, s->sim_loop, sim_flush);
	} else if (r == 0) {
		r = start_thread(s, err);
	}
	if (r < 0) {
		store_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static void stop(struct store *s)
{
	if (s->sim_loop) {
		loop_timer_stop(&s->sim_timer);
		loop_timer_stop(&s->sim_flush_timer);
		return;
	}
	pthread_mutex_lock(&s->queue_lock);
	s->stop = true;
	pthread_cond_signal(&s->queue_cond);
	pthread_mutex_unlock(&s->queue_lock);
	pthread_join(s->thread, NULL);
}

void store_close(struct store *s)
{
	struct store_write *list;

	if (s->etcd) {
		etcd_close(s->etcd, ETCD_FINISH);
		store_free(s);
		return;
	}
	stop(s);
	while ((list = take(s)))
		commit_run(s, list);
	/* With everything on disk the exact revision replaces the reserved one: watches can be
	 * resumed. */
	if (lazy_flush(s) == 0 && s->reserved)
		s->backend->ops->reserve(s->backend, atomic_load(&s->revision), NULL);
	store_free(s);
}

/* The queue's writes, out of it. */
static struct store_write *take_all(struct store *s)
{
	struct store_write *list = s->head;

	s->head = NULL;
	s->tail = &s->head;
	s->n_queued = 0;
	return list;
}

void store_crash(struct store *s)
{
	struct store_write *next;

	pthread_mutex_lock(&s->queue_lock);
	s->crashed = true;
	for (struct store_write *w = take_all(s); w; w = next) {
		next = w->next;
		refuse(w, -EIO);
	}
	pthread_mutex_unlock(&s->queue_lock);
	if (s->etcd)
		etcd_crash(s->etcd);
	else
		stop(s);
}

void store_abandon(struct store *s)
{
	pthread_mutex_lock(&s->queue_lock);
	for (struct store_write *w = take_all(s); w; w = w->next)
		w->draft = object_unref(w->draft);
	pthread_mutex_unlock(&s->queue_lock);
	if (s->etcd)
		etcd_close(s->etcd, ETCD_DROP);
	else if (!s->crashed)
		stop(s);
	store_free(s);
}

/* --- reading --- */

uint64_t store_revision(struct store *s)
{
	return atomic_load_explicit(&s->revision, memory_order_acquire);
}

bool store_healthy(struct store *s)
{
	return s->etcd ? etcd_healthy(s->etcd) : store_revision(s) > 0;
}

bool store_is_shared(const struct store *s)
{
	return s->etcd != NULL;
}

void store_announce(struct store *s, struct str address)
{
	if (s->etcd)
		etcd_announce(s->etcd, address);
}

struct str_vec store_servers(struct store *s, struct arena *a)
{
	return s->etcd ? etcd_servers(s->etcd, a) : (struct str_vec){0};
}

bool store_barrier(struct store *s, struct store_barrier *b)
{
	return s->etcd && etcd_barrier(s->etcd, b);
}

/* A snapshot stands for the whole store's revision, also when the last changes were of other
 * resources. */
struct snapshot *store_snapshot(struct store *s, const struct schema_resource *res)
{
	struct store_resource *rs = store_resource(s, res);
	uint64_t revision = store_revision(s);
	struct snapshot *out, *old = NULL;

	pthread_mutex_lock(&rs->lock);
	out = rs->current;
	if (out->revision < revision) {
		if (atomic_load_explicit(&out->refs, memory_order_acquire) == 1) {
			out->revision = revision;
		} else {
			old = out;
			out = rs->current = snapshot_of(rs->resource, &old->tree, revision);
		}
	}
	snapshot_ref(out);
	pthread_mutex_unlock(&rs->lock);
	snapshot_unref(old);
	return out;
}

const struct object *store_get(
	struct store *s, const struct schema_resource *res, struct str ns, struct str name)
{
	struct store_resource *rs = store_resource(s, res);
	struct snapshot *snap;
	const struct object *o;

	pthread_mutex_lock(&rs->lock);
	snap = snapshot_ref(rs->current);
	pthread_mutex_unlock(&rs->lock);
	o = snapshot_get(snap, ns, name);
	if (o)
		object_ref(o);
	snapshot_unref(snap);
	return o;
}
