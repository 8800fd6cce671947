/* loop_int.h: what loop.c shares with the two kinds of loop: the timer heap and the table of
 * functions. Private. */
#ifndef SAMPAN_LOOP_INT_H
#define SAMPAN_LOOP_INT_H

#include "loop/loop.h"

/* A binary heap by (due_ms, seq); slot 0 is unused, so that heap_at == 0 means "not in it". */
struct timer_heap {
	struct loop_timer **v;
	size_t n, cap;
	uint64_t seq;
};

void timer_heap_add(struct timer_heap *h, struct loop_timer *t);
void timer_heap_remove(struct timer_heap *h, struct loop_timer *t);
void timer_heap_release(struct timer_heap *h);
static inline struct loop_timer *timer_heap_first(const struct timer_heap *h)
{
	return h->n ? h->v[1] : NULL;
}

/* A first-in-first-out list of tasks. */
struct task_list {
	struct loop_task *first, **end;
};

void task_list_init(struct task_list *l);
void task_list_add(struct task_list *l, struct loop_task *t);
struct loop_task *task_list_take(struct task_list *l); /* the first, or NULL */
static inline bool task_list_empty(const struct task_list *l)
{
	return !l->first;
}

struct loop_ops {
	int64_t (*now_ms)(struct loop *l);
	int64_t (*wall_ns)(struct loop *l);
	uint64_t (*random)(struct loop *l);
	void (*timers_changed)(struct loop *l); /* the first timer of the heap may be another one */
	void (*post)(struct loop *l, struct loop_task *t);
	void (*stop)(struct loop *l);
	void (*run)(struct loop *l); /* NULL in the simulator */
	uv_loop_t *(*uv)(struct loop *l);
	void (*free)(struct loop *l);
};

struct loop {
	const struct loop_ops *ops;
	struct timer_heap *timers; /* its own, or that of the simulator's clock */
};

#endif
