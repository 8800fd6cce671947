/* What both kinds of loop have in common: the timer heap, task lists, and passing calls on. */
#include "loop/loop_int.h"

void task_list_init(struct task_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

void task_list_add(struct task_list *l, struct loop_task *t)
{
	t->next = NULL;
	*l->end = t;
	l->end = &t->next;
}

struct loop_task *task_list_take(struct task_list *l)
{
	struct loop_task *t = l->first;

	if (!t)
		return NULL;
	l->first = t->next;
	if (!l->first)
		l->end = &l->first;
	return t;
}

static bool before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

static void place(struct timer_heap *h, size_t at, struct loop_timer *t)
{
	h->v[at] = t;
	t->heap_at = at;
}

static void sift_up(struct timer_heap *h, size_t at, struct loop_timer *t)
{
	while (at > 1 && before(t, h->v[at / 2])) {
		place(h, at, h->v[at / 2]);
		at /= 2;
	}
	place(h, at, t);
}

static void sift_down(struct timer_heap *h, size_t at, struct loop_timer *t)
{
	size_t child;

	while ((child = at * 2) <= h->n) {
		if (child < h->n && before(h->v[child + 1], h->v[child]))
			child++;
		if (!before(h->v[child], t))
			break;
		place(h, at, h->v[child]);
		at = child;
	}
	place(h, at, t);
}

void timer_heap_add(struct timer_heap *h, struct loop_timer *t)
{
	assert(t->heap_at == 0);
	if (h->n + 2 > h->cap) {
		h->cap = MAX(h->cap * 2, (size_t)16);
		h->v = xrealloc(h->v, h->cap * sizeof(h->v[0]));
	}
	t->seq = ++h->seq;
	sift_up(h, ++h->n, t);
}

void timer_heap_remove(struct timer_heap *h, struct loop_timer *t)
{
	size_t at = t->heap_at;
	struct loop_timer *last;

	assert(at >= 1 && at <= h->n && h->v[at] == t);
	t->heap_at = 0;
	last = h->v[h->n--];
	if (last == t)
		return;
	if (at > 1 && before(last, h->v[at / 2]))
		sift_up(h, at, last);
	else
		sift_down(h, at, last);
}

void timer_heap_release(struct timer_heap *h)
{
	free(h->v);
	*h = (struct timer_heap){0};
}

void loop_timer_init(struct loop_timer *t, struct loop *loop, void (*fn)(struct loop_timer *t))
{
	*t = (struct loop_timer){.loop = loop, .fn = fn};
}

void loop_timer_start(struct loop_timer *t, int64_t delay_ms)
{
	struct loop *l = t->loop;

	if (t->heap_at)
		timer_heap_remove(l->timers, t);
	t->due_ms = l->ops->now_ms(l) + MAX(delay_ms, (int64_t)0);
	timer_heap_add(l->timers, t);
	l->ops->timers_changed(l);
}

void loop_timer_stop(struct loop_timer *t)
{
	if (!t->heap_at)
		return;
	timer_heap_remove(t->loop->timers, t);
	t->loop->ops->timers_changed(t->loop);
}

void loop_post(struct loop *loop, struct loop_task *t)
{
	loop->ops->post(loop, t);
}

void loop_stop(struct loop *loop)
{
	loop->ops->stop(loop);
}

void loop_run(struct loop *loop)
{
	assert(loop->ops->run); /* a simulated loop is driven by sim_clock_step */
	loop->ops->run(loop);
}

uv_loop_t *loop_uv(struct loop *loop)
{
	return loop->ops->uv(loop);
}

int64_t loop_now_ms(struct loop *loop)
{
	return loop->ops->now_ms(loop);
}

int64_t loop_wall_ns(struct loop *loop)
{
	return loop->ops->wall_ns(loop);
}

uint64_t loop_random(struct loop *loop)
{
	return loop->ops->random(loop);
}

void loop_free(struct loop *loop)
{
	if (loop)
		loop->ops->free(loop);
}
