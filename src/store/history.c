#include "store/store_int.h"

enum {
	HISTORY_CAP_MIN = 16,
	HISTORY_KEEP = 128, /* events younger or older, these stay: quiet resources cost little */
	HISTORY_AGE_MAX_MS = 5 * 60 * 1000, /* as long as upstream's etcd keeps its own */
	HISTORY_BYTES_MAX = 32 << 20,
};

static struct history_entry *entry(struct history *h, uint64_t seq)
{
	return &h->v[seq & (h->cap - 1)];
}

static size_t entry_bytes(const struct history_entry *e)
{
	return e->event.object->json.n;
}

static void forget_first(struct history *h)
{
	struct history_entry *e = entry(h, h->first++);

	h->floor = e->event.revision;
	h->bytes -= entry_bytes(e);
	object_unref((struct object *)e->event.object);
	object_unref((struct object *)e->event.prev);
	*e = (struct history_entry){0};
}

static void grow(struct history *h)
{
	struct history old = *h;

	h->cap = MAX(old.cap * 2, (size_t)HISTORY_CAP_MIN);
	h->v = xcalloc(h->cap, sizeof(*h->v));
	for (uint64_t seq = old.first; seq < old.next; seq++)
		*entry(h, seq) = *entry(&old, seq);
	free(old.v);
}

static size_t length(const struct history *h)
{
	return h->next - h->first;
}

void history_expire(struct history *h, int64_t now_ms)
{
	while (length(h) > HISTORY_KEEP && now_ms - entry(h, h->first)->at_ms > HISTORY_AGE_MAX_MS)
		forget_first(h);
}

void history_add(struct history *h, const struct store_event *ev, int64_t now_ms)
{
	struct history_entry *e;

	history_expire(h, now_ms);
	while (length(h) > 0 &&
		(length(h) >= h->cap_max || h->bytes + ev->object->json.n > HISTORY_BYTES_MAX))
		forget_first(h);
	if (h->next - h->first == h->cap)
		grow(h);
	e = entry(h, h->next++);
	e->event = *ev;
	e->at_ms = now_ms;
	object_ref(ev->object);
	if (ev->prev)
		object_ref(ev->prev);
	h->bytes += entry_bytes(e);
}

void history_release(struct history *h)
{
	while (h->first < h->next)
		forget_first(h);
	free(h->v);
	h->v = NULL;
	h->cap = 0;
}

/* The sequence number of the first event with a revision above `after`. */
static uint64_t history_find(struct history *h, uint64_t after)
{
	uint64_t lo = h->first, hi = h->next;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (entry(h, mid)->event.revision <= after)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct store_watch {
	struct watch_group *group;
	struct store_watch *prev, *next; /* in the group */
	void (*wake)(struct store_watch *w, void *user_data);
	void *user_data;
	struct store_event event; /* the last that was read, with references */
	uint64_t seq;             /* of the next event to read */
	uint64_t revision;        /* everything up to it was seen */
	bool armed;               /* under the resource's lock: wants to be woken */
	bool woken;
};

static void group_run(struct loop_task *task)
{
	struct watch_group *g = container_of(task, struct watch_group, task);
	struct store_watch *w;

	pthread_mutex_lock(&g->rs->lock);
	for (w = g->watches; w; w = w->next) {
		w->woken = w->armed;
		w->armed = false;
	}
	g->n_armed = 0;
	g->posted = false;
	pthread_mutex_unlock(&g->rs->lock);

	g->cursor = g->watches;
	while ((w = g->cursor)) {
		g->cursor = w->next;
		if (!w->woken)
			continue;
		w->woken = false;
		w->wake(w, w->user_data);
	}
}

void history_wake(struct store_resource *rs)
{
	pthread_mutex_lock(&rs->lock);
	for (struct watch_group *g = rs->groups; g; g = g->next) {
		if (g->n_armed == 0 || g->posted)
			continue;
		g->posted = true;
		loop_post(g->loop, &g->task);
	}
	pthread_mutex_unlock(&rs->lock);
}

/* Groups are few, one per loop, and stay until the store is closed. Under the lock. */
static struct watch_group *group_for(struct store_resource *rs, struct loop *loop)
{
	struct watch_group *g;

	for (g = rs->groups; g; g = g->next)
		if (g->loop == loop)
			return g;
	g = xcalloc(1, sizeof(*g));
	g->rs = rs;
	g->loop = loop;
	g->task.fn = group_run;
	g->next = rs->groups;
	rs->groups = g;
	return g;
}

static void arm(struct store_watch *w)
{
	if (!w->armed)
		w->group->n_armed++;
	w->armed = true;
}

int store_watch_open(struct store *s, const struct schema_resource *res, uint64_t after,
	struct loop *loop, void (*wake)(struct store_watch *w, void *user_data), void *user_data,
	struct store_watch **ret)
{
	struct store_resource *rs = store_resource(s, res);
	uint64_t revision = atomic_load_explicit(&s->revision, memory_order_acquire);
	struct store_watch *w;
	int r = 0;

	w = xcalloc(1, sizeof(*w));
	w->wake = wake;
	w->user_data = user_data;
	w->revision = after;
	pthread_mutex_lock(&rs->lock);
	if (after > MAX(revision, rs->current->revision))
		r = -ERANGE;
	else if (after < rs->history.floor)
		r = -ESTALE;
	else {
		w->seq = history_find(&rs->history, after);
		w->group = group_for(rs, loop);
		arm(w);
	}
	pthread_mutex_unlock(&rs->lock);
	if (r < 0) {
		free(w);
		return r;
	}
	w->next = w->group->watches;
	if (w->next)
		w->next->prev = w;
	w->group->watches = w;
	*ret = w;
	return 0;
}

static void drop_event(struct store_watch *w)
{
	object_unref((struct object *)w->event.object);
	object_unref((struct object *)w->event.prev);
	w->event = (struct store_event){0};
}

int store_watch_next(struct store_watch *w, struct store_event *ret)
{
	struct store_resource *rs = w->group->rs;
	struct history *h = &rs->history;
	/* before the lock: what is visible up to here is in the history by now */
	uint64_t revision = atomic_load_explicit(&rs->store->revision, memory_order_acquire);
	int r;

	drop_event(w);
	pthread_mutex_lock(&rs->lock);
	if (w->seq < h->first) {
		r = -ESTALE;
	} else if (w->seq == h->next) {
		arm(w);
		w->revision = MAX(w->revision, revision);
		r = 0;
	} else {
		w->event = entry(h, w->seq++)->event;
		object_ref(w->event.object);
		if (w->event.prev)
			object_ref(w->event.prev);
		w->revision = w->event.revision;
		r = 1;
	}
	pthread_mutex_unlock(&rs->lock);
	if (r == 1)
		*ret = w->event;
	return r;
}

uint64_t store_watch_revision(const struct store_watch *w)
{
	return w->revision;
}

void store_watch_close(struct store_watch *w)
{
	struct watch_group *g = w->group;

	drop_event(w);
	pthread_mutex_lock(&g->rs->lock);
	if (w->armed)
		g->n_armed--;
	pthread_mutex_unlock(&g->rs->lock);
	if (g->cursor == w)
		g->cursor = w->next;
	if (w->next)
		w->next->prev = w->prev;
	if (w->prev)
		w->prev->next = w->next;
	else
		g->watches = w->next;
	free(w);
}

enum { READ_BATCH = 64 };

/* Up to READ_BATCH events with references; -ESTALE. */
static int read_batch(
	struct store_resource *rs, uint64_t after, struct store_event batch[READ_BATCH])
{
	struct history *h = &rs->history;
	uint64_t seq;
	int n = 0;

	pthread_mutex_lock(&rs->lock);
	if (after < h->floor) {
		pthread_mutex_unlock(&rs->lock);
		return -ESTALE;
	}
	for (seq = history_find(h, after); seq < h->next && n < READ_BATCH; seq++) {
		batch[n] = entry(h, seq)->event;
		object_ref(batch[n].object);
		if (batch[n].prev)
			object_ref(batch[n].prev);
		n++;
	}
	pthread_mutex_unlock(&rs->lock);
	return n;
}

int store_read_events(struct store *s, const struct schema_resource *res, uint64_t *after,
	void (*fn)(void *user_data, const struct store_event *ev), void *user_data)
{
	struct store_event batch[READ_BATCH];
	int n;

	do {
		n = read_batch(store_resource(s, res), *after, batch);
		for (int i = 0; i < n; i++) {
			fn(user_data, &batch[i]);
			*after = batch[i].revision;
			object_unref((struct object *)batch[i].object);
			object_unref((struct object *)batch[i].prev);
		}
	} while (n == READ_BATCH);
	return n < 0 ? n : 0;
}
