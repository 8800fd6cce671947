#include "scheduler/queue.h"

#include "base/map.h"
#include "scheduler/cache.h"

enum { BACKOFF_MIN_MS = 1000, BACKOFF_MAX_MS = 10 * 1000, UNSCHEDULABLE_MAX_MS = 5 * 60 * 1000 };

struct heap {
	struct queued **v; /* v[0] is not used */
	size_t n, cap;
	bool (*before)(const struct queued *a, const struct queued *b);
};

struct queue {
	struct map by_uid;
	struct heap active, backoff;
	struct queued unschedulable, gated; /* list heads, oldest first */
	uint64_t seq;
	struct {
		struct queued **v;
		size_t n, cap;
	} nominated;
	struct scheduler_meter *meter; /* or NULL */
};

/* --- heaps --- */

static void heap_set(struct heap *h, size_t i, struct queued *p)
{
	h->v[i] = p;
	p->at = i;
}

static void heap_up(struct heap *h, size_t i)
{
	struct queued *p = h->v[i];

	for (; i > 1 && h->before(p, h->v[i / 2]); i /= 2)
		heap_set(h, i, h->v[i / 2]);
	heap_set(h, i, p);
}

static void heap_down(struct heap *h, size_t i)
{
	struct queued *p = h->v[i];

	for (size_t child; (child = i * 2) <= h->n; i = child) {
		if (child < h->n && h->before(h->v[child + 1], h->v[child]))
			child++;
		if (!h->before(h->v[child], p))
			break;
		heap_set(h, i, h->v[child]);
	}
	heap_set(h, i, p);
}

static void heap_push(struct heap *h, struct queued *p)
{
	if (h->n + 2 > h->cap) {
		h->cap = h->cap ? h->cap * 2 : 64;
		h->v = xrealloc(h->v, h->cap * sizeof(*h->v));
	}
	h->v[++h->n] = p;
	heap_up(h, h->n);
}

static void heap_remove(struct heap *h, size_t i)
{
	struct queued *last = h->v[h->n--];

	if (i > h->n)
		return;
	heap_set(h, i, last);
	heap_up(h, i);
	heap_down(h, last->at);
}

static bool active_before(const struct queued *a, const struct queued *b)
{
	if (a->info->priority != b->info->priority)
		return a->info->priority > b->info->priority;
	return a->seq < b->seq;
}

static bool backoff_before(const struct queued *a, const struct queued *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

/* --- lists --- */

static void list_push(struct queued *head, struct queued *p)
{
	p->prev = head->prev;
	p->next = head;
	head->prev->next = p;
	head->prev = p;
}

static void list_remove(struct queued *p)
{
	p->prev->next = p->next;
	p->next->prev = p->prev;
}

/* --- the queue --- */

struct queue *queue_new(void)
{
	struct queue *q = xcalloc(1, sizeof(*q));

	q->active.before = active_before;
	q->backoff.before = backoff_before;
	q->unschedulable.prev = q->unschedulable.next = &q->unschedulable;
	q->gated.prev = q->gated.next = &q->gated;
	return q;
}

void queue_free(struct queue *q)
{
	struct map_entry *e;

	if (!q)
		return;
	while ((e = map_first(&q->by_uid)))
		queue_remove(q, e->value);
	map_release(&q->by_uid);
	free(q->active.v);
	free(q->backoff.v);
	free(q->nominated.v);
	free(q);
}

void queue_set_meter(struct queue *q, struct scheduler_meter *meter)
{
	q->meter = meter;
}

static size_t list_length(const struct queued *head)
{
	size_t n = 0;

	for (const struct queued *p = head->next; p != head; p = p->next)
		n++;
	return n;
}

void queue_numbers(const struct queue *q, struct scheduler_numbers *ret)
{
	ret->active = q->active.n;
	ret->backoff = q->backoff.n;
	ret->unschedulable = list_length(&q->unschedulable);
	ret->gated = list_length(&q->gated);
}

size_t queue_active(const struct queue *q)
{
	return q->active.n;
}

struct queued *queue_find(const struct queue *q, struct str uid)
{
	return map_get(&q->by_uid, uid);
}

static void leave(struct queue *q, struct queued *p)
{
	if (p->state == QUEUED_ACTIVE)
		heap_remove(&q->active, p->at);
	else if (p->state == QUEUED_BACKOFF)
		heap_remove(&q->backoff, p->at);
	else if (p->state != QUEUED_NONE)
		list_remove(p);
	p->state = QUEUED_NONE;
}

static void enter(struct queue *q, struct queued *p, enum queued_state state, enum meter_event why)
{
	static const enum meter_queue names[] = {[QUEUED_ACTIVE] = QUEUE_ACTIVE,
		[QUEUED_BACKOFF] = QUEUE_BACKOFF,
		[QUEUED_UNSCHEDULABLE] = QUEUE_UNSCHEDULABLE,
		[QUEUED_GATED] = QUEUE_UNSCHEDULABLE};

	leave(q, p);
	meter_incoming(q->meter, why, names[state]);
	if (state == QUEUED_ACTIVE && !p->queued_ns)
		p->queued_ns = metric_now_ns();
	p->state = state;
	if (state == QUEUED_ACTIVE)
		heap_push(&q->active, p);
	else if (state == QUEUED_BACKOFF)
		heap_push(&q->backoff, p);
	else
		list_push(state == QUEUED_GATED ? &q->gated : &q->unschedulable, p);
}

struct queued *queue_put(struct queue *q, struct pod_info *info, bool gated)
{
	struct queued *p = queue_find(q, info->object->uid);
	enum meter_event why = p ? INCOMING_CHANGED : INCOMING_NEW;

	if (!p) {
		struct str uid = info->object->uid;

		p = xcalloc(1, sizeof(*p) + uid.n + 1);
		memcpy(p + 1, uid.p, uid.n);
		p->uid = str_n((char *)(p + 1), uid.n);
		p->seq = ++q->seq;
		map_set(&q->by_uid, p->uid, p);
	}
	leave(q, p);
	pod_info_free(p->info);
	p->info = info;
	p->attempts = 0;
	enter(q, p, gated ? QUEUED_GATED : QUEUED_ACTIVE, why);
	return p;
}

void queue_remove(struct queue *q, struct queued *p)
{
	leave(q, p);
	queue_nominate(q, p, S(""));
	map_remove(&q->by_uid, p->uid);
	pod_info_free(p->info);
	free(p);
}

struct queued *queue_pop(struct queue *q)
{
	struct queued *p;

	if (q->active.n == 0)
		return NULL;
	p = q->active.v[1];
	leave(q, p);
	p->attempts++;
	return p;
}

static int64_t backoff_ms(const struct queued *p)
{
	unsigned shift = MIN(p->attempts ? p->attempts - 1 : 0, 10U);

	return MIN((int64_t)BACKOFF_MIN_MS << shift, (int64_t)BACKOFF_MAX_MS);
}

void queue_failed(struct queue *q, struct queued *p, uint32_t events, int64_t now_ms)
{
	p->events = events;
	p->since_ms = now_ms;
	p->due_ms = now_ms + backoff_ms(p);
	enter(q, p, events ? QUEUED_UNSCHEDULABLE : QUEUED_BACKOFF, INCOMING_FAILED);
}

void queue_activate(struct queue *q, struct queued *p, uint32_t events, int64_t now_ms)
{
	enter(q, p, p->due_ms > now_ms ? QUEUED_BACKOFF : QUEUED_ACTIVE,
		(enum meter_event)__builtin_ctz(events & EVENT_ALL));
}

void queue_event(struct queue *q, uint32_t events, int64_t now_ms)
{
	for (struct queued *p = q->unschedulable.next, *next; p != &q->unschedulable; p = next) {
		next = p->next;
		if (p->events & events)
			queue_activate(q, p, p->events & events, now_ms);
	}
}

int64_t queue_tick(struct queue *q, int64_t now_ms)
{
	int64_t next_ms = -1;

	while (q->backoff.n && q->backoff.v[1]->due_ms <= now_ms)
		enter(q, q->backoff.v[1], QUEUED_ACTIVE, INCOMING_BACKOFF_OVER);
	/* In order of since_ms, as they came. */
	while (q->unschedulable.next != &q->unschedulable &&
		q->unschedulable.next->since_ms + UNSCHEDULABLE_MAX_MS <= now_ms)
		enter(q, q->unschedulable.next, QUEUED_ACTIVE, INCOMING_WAITED);
	if (q->backoff.n)
		next_ms = q->backoff.v[1]->due_ms - now_ms;
	if (q->unschedulable.next != &q->unschedulable) {
		int64_t ms = q->unschedulable.next->since_ms + UNSCHEDULABLE_MAX_MS - now_ms;

		next_ms = next_ms < 0 ? ms : MIN(next_ms, ms);
	}
	return next_ms;
}

void queue_nominate(struct queue *q, struct queued *p, struct str node)
{
	size_t i = 0;

	if (str_empty(node) && !p->nominated)
		return;
	while (i < q->nominated.n && q->nominated.v[i] != p)
		i++;
	free(p->nominated);
	p->nominated = str_empty(node) ? NULL : xasprintf(STR_FMT, STR_ARG(node));
	if (!p->nominated && i < q->nominated.n)
		q->nominated.v[i] = q->nominated.v[--q->nominated.n];
	if (!p->nominated || i < q->nominated.n)
		return;
	if (q->nominated.n == q->nominated.cap) {
		q->nominated.cap = q->nominated.cap ? q->nominated.cap * 2 : 16;
		q->nominated.v =
			xrealloc(q->nominated.v, q->nominated.cap * sizeof(*q->nominated.v));
	}
	q->nominated.v[q->nominated.n++] = p;
}

struct queued *const *queue_nominated(const struct queue *q, size_t *ret_n)
{
	*ret_n = q->nominated.n;
	return q->nominated.v;
}
