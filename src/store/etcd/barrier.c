/*
 * barrier.c: reads that must see everything that was committed before them. One linearizable Range
 * of a key that does not exist tells the newest revision, for all who ask meanwhile; then they wait
 * until the watch has come that far.
 *
 * The watch tells of the keys below our prefix only. When the newest revision is of another key
 * (the record of compactions, or some other program's), a request for progress makes etcd say how
 * far it is; where that cannot be trusted, a write of our own does.
 */
#include "store/etcd/etcd_int.h"

enum {
	FUTURE_MS = 3000,   /* how long a read waits for a revision that a client named */
	POKE_FIRST_MS = 10, /* events are on their way, mostly */
	SYNC_FIRST_MS = 50,
	POKE_MS = 100,
	REQUEST_MAX = 8192,
};

static void finish(struct store_barrier *b, int result)
{
	b->result = result;
	loop_post(b->loop, &b->task);
}

static void on_done(struct loop_task *t)
{
	struct store_barrier *b = container_of(t, struct store_barrier, task);

	b->done(b);
}

bool etcd_barrier(struct etcd *e, struct store_barrier *b)
{
	if (b->revision && b->revision <= store_revision(e->store))
		return false;
	b->task.fn = on_done;
	b->result = 0;
	b->deadline_ms = 0;
	pthread_mutex_lock(&e->store->queue_lock);
	if (e->store->crashed) {
		finish(b, -ETIMEDOUT);
	} else {
		b->next = e->barriers;
		e->barriers = b;
		etcd_wake(e);
	}
	pthread_mutex_unlock(&e->store->queue_lock);
	return true;
}

/* --- waiting for a revision --- */

static void push(struct store_barrier **list, struct store_barrier *b)
{
	b->next = *list;
	*list = b;
}

void etcd_barriers_arrive(struct etcd *e)
{
	uint64_t revision = etcd_revision(e);
	struct store_barrier *b, *next, *rest = NULL;

	for (b = e->arriving; b; b = next) {
		next = b->next;
		if (b->revision <= revision)
			finish(b, 0);
		else
			push(&rest, b);
	}
	e->arriving = rest;
	if (e->wanted <= revision)
		loop_timer_stop(&e->poke);
}

void etcd_want(struct etcd *e, uint64_t revision)
{
	e->wanted = MAX(e->wanted, revision);
	if (e->wanted > etcd_revision(e) && !loop_timer_armed(&e->poke))
		loop_timer_start(&e->poke, e->progress_safe ? POKE_FIRST_MS : SYNC_FIRST_MS);
}

static void on_sync(void *user_data, int status, struct str text, struct str message)
{
	struct etcd *e = user_data;

	e->sync_out = false;
}

/* Its event comes behind all that happened before. */
static void write_sync(struct etcd *e)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct buf b CLEANUP(buf_release) = {0};

	if (e->sync_out)
		return;
	e->sync_out = true;
	buf_init(&b, REQUEST_MAX);
	etcd_txn_put(&b, arena_fmt(&a, "%s/sampan/sync", e->prefix), S(""), 0);
	etcd_call(e, "/etcdserverpb.KV/Txn", &b, ETCD_CALL_TIMEOUT_MS, on_sync, e);
}

static void on_poke(struct loop_timer *t)
{
	struct etcd *e = container_of(t, struct etcd, poke);
	struct buf b CLEANUP(buf_release) = {0};

	if (e->wanted <= etcd_revision(e))
		return;
	if (e->state == ETCD_UP && e->progress_safe) {
		buf_init(&b, 64);
		etcd_put_watch_progress(&b);
		grpc_call_send(e->watch, buf_str(&b));
	} else if (e->state == ETCD_UP) {
		write_sync(e);
	}
	loop_timer_start(t, POKE_MS);
}

void etcd_barrier_init(struct etcd *e)
{
	loop_timer_init(&e->poke, e->loop, on_poke);
}

/* --- which revision --- */

static void on_range(void *user_data, int status, struct str text, struct str message)
{
	struct etcd *e = user_data;
	struct arena a CLEANUP(arena_release) = {0};
	struct etcd_range_answer r;
	struct store_barrier *b;

	e->range_out = false;
	if (status != GRPC_OK || etcd_get_range(message, &a, &r) < 0)
		return; /* again with the next tick, or the next connection */
	if ((uint64_t)r.header.revision < e->shown) {
		etcd_went_back(e, (uint64_t)r.header.revision);
		return;
	}
	while ((b = e->asking)) {
		e->asking = b->next;
		b->revision = (uint64_t)r.header.revision;
		push(&e->arriving, b);
	}
	etcd_want(e, (uint64_t)r.header.revision);
	etcd_barriers_arrive(e);
	etcd_barriers_take(e);
}

void etcd_ask_revision(struct etcd *e, etcd_done_fn *done)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct buf b CLEANUP(buf_release) = {0};
	const struct etcd_range r = {.key = arena_fmt(&a, "%s/sampan/none", e->prefix)};

	buf_init(&b, REQUEST_MAX);
	etcd_put_range(&b, &r);
	etcd_call(e, "/etcdserverpb.KV/Range", &b, ETCD_CALL_TIMEOUT_MS, done, e);
}

/* Those that came while a Range was under way wait for the next: it may have been answered before
 * what they must see. */
void etcd_barriers_take(struct etcd *e)
{
	int64_t now_ms = loop_now_ms(e->loop);
	struct store_barrier *list, *next;

	if (e->range_out)
		return;
	pthread_mutex_lock(&e->store->queue_lock);
	list = e->barriers;
	e->barriers = NULL;
	pthread_mutex_unlock(&e->store->queue_lock);
	for (; list; list = next) {
		next = list->next;
		if (list->revision) {
			list->deadline_ms = now_ms + FUTURE_MS;
			push(&e->arriving, list);
			etcd_want(e, list->revision);
		} else {
			list->deadline_ms = now_ms + e->patience_ms;
			push(&e->asking, list);
		}
	}
	if (e->asking && e->state == ETCD_UP) {
		e->range_out = true;
		e->shown = etcd_revision(e);
		etcd_ask_revision(e, on_range);
	}
	etcd_barriers_arrive(e);
}

/* --- the end --- */

static void expire(struct store_barrier **list, int64_t now_ms, int result)
{
	struct store_barrier *b, *next, *rest = NULL;

	for (b = *list; b; b = next) {
		next = b->next;
		if (b->deadline_ms <= now_ms)
			finish(b, result);
		else
			push(&rest, b);
	}
	*list = rest;
}

void etcd_barriers_expire(struct etcd *e)
{
	int64_t now_ms = e->broken ? INT64_MAX : loop_now_ms(e->loop);

	expire(&e->asking, now_ms, -ETIMEDOUT);
	expire(&e->arriving, now_ms, -ERANGE);
	e->wanted = etcd_writes_wanted(e); /* not what never came */
	for (struct store_barrier *b = e->arriving; b; b = b->next)
		e->wanted = MAX(e->wanted, b->revision);
	etcd_barriers_take(e);
}

void etcd_barriers_fail(struct etcd *e)
{
	pthread_mutex_lock(&e->store->queue_lock);
	expire(&e->barriers, INT64_MAX, -ETIMEDOUT);
	pthread_mutex_unlock(&e->store->queue_lock);
	expire(&e->asking, INT64_MAX, -ETIMEDOUT);
	expire(&e->arriving, INT64_MAX, -ETIMEDOUT);
}
