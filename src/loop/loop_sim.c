/*
 * The simulated loop: no threads, no real time. The clock owns one timer heap for all its loops and
 * knows which loops have tasks; sim_clock_step runs one thing. Tasks go before timers, because time
 * stands still while there is work.
 */
#include "loop/loop_int.h"

struct sim_loop {
	struct loop base;
	struct sim_clock *clock;
	struct task_list tasks;
	size_t ready_at; /* index in clock->ready, or SIZE_MAX */
};

struct sim_clock {
	int64_t now_ms, wall_start_ns;
	uint64_t random[4];
	struct timer_heap heap;
	struct sim_loop **ready; /* loops that have tasks, in no order */
	size_t ready_n, ready_cap;
	size_t loops; /* alive */
};

/* splitmix64, to spread the seed over the state of the generator below. */
static uint64_t spread(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

/* xoshiro256** (Blackman and Vigna). */
uint64_t sim_clock_random(struct sim_clock *c)
{
	uint64_t *s = c->random, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

struct sim_clock *sim_clock_new(uint64_t seed, int64_t wall_start_ns)
{
	struct sim_clock *c = xcalloc(1, sizeof(*c));

	c->wall_start_ns = wall_start_ns;
	for (size_t i = 0; i < ARRAY_SIZE(c->random); i++)
		c->random[i] = spread(&seed);
	return c;
}

void sim_clock_free(struct sim_clock *c)
{
	if (!c)
		return;
	assert(c->loops == 0);
	timer_heap_release(&c->heap);
	free(c->ready);
	free(c);
}

int64_t sim_clock_now_ms(struct sim_clock *c)
{
	return c->now_ms;
}

static struct sim_loop *sim_of(struct loop *l)
{
	return container_of(l, struct sim_loop, base);
}

static void ready_remove(struct sim_loop *s)
{
	struct sim_clock *c = s->clock;
	struct sim_loop *last = c->ready[--c->ready_n];

	c->ready[s->ready_at] = last;
	last->ready_at = s->ready_at;
	s->ready_at = SIZE_MAX;
}

static void ready_add(struct sim_loop *s)
{
	struct sim_clock *c = s->clock;

	if (c->ready_n == c->ready_cap) {
		c->ready_cap = MAX(c->ready_cap * 2, (size_t)8);
		c->ready = xrealloc(c->ready, c->ready_cap * sizeof(c->ready[0]));
	}
	s->ready_at = c->ready_n;
	c->ready[c->ready_n++] = s;
}

bool sim_clock_step(struct sim_clock *c, int64_t until_ms)
{
	struct loop_timer *t;

	if (c->ready_n) {
		struct sim_loop *s =
			c->ready[c->ready_n == 1 ? 0 : sim_clock_random(c) % c->ready_n];
		struct loop_task *task = task_list_take(&s->tasks);

		if (task_list_empty(&s->tasks))
			ready_remove(s);
		task->fn(task);
		return true;
	}
	t = timer_heap_first(&c->heap);
	if (!t || t->due_ms > until_ms) {
		c->now_ms = MAX(c->now_ms, until_ms);
		return false;
	}
	c->now_ms = MAX(c->now_ms, t->due_ms);
	timer_heap_remove(&c->heap, t);
	t->fn(t);
	return true;
}

static int64_t sim_now_ms(struct loop *l)
{
	return sim_of(l)->clock->now_ms;
}

static int64_t sim_wall_ns(struct loop *l)
{
	struct sim_clock *c = sim_of(l)->clock;

	return c->wall_start_ns + c->now_ms * 1000000;
}

static uint64_t sim_random(struct loop *l)
{
	return sim_clock_random(sim_of(l)->clock);
}

static void sim_timers_changed(struct loop *l)
{
}

static void sim_post(struct loop *l, struct loop_task *t)
{
	struct sim_loop *s = sim_of(l);

	task_list_add(&s->tasks, t);
	if (s->ready_at == SIZE_MAX)
		ready_add(s);
}

/* Nobody runs a simulated loop, so there is nothing to stop. */
static void sim_stop(struct loop *l)
{
}

static uv_loop_t *sim_uv(struct loop *l)
{
	return NULL;
}

/* Takes the loop's timers off the clock, or they would fire for an owner that is gone. */
static void sim_free(struct loop *l)
{
	struct sim_loop *s = sim_of(l);
	struct timer_heap *h = &s->clock->heap;

	if (s->ready_at != SIZE_MAX)
		ready_remove(s);
	for (size_t i = 1; i <= h->n;) {
		if (h->v[i]->loop == l) {
			timer_heap_remove(h, h->v[i]);
			i = 1; /* the heap was rearranged */
		} else {
			i++;
		}
	}
	s->clock->loops--;
	free(s);
}

static const struct loop_ops sim_ops = {
	.now_ms = sim_now_ms,
	.wall_ns = sim_wall_ns,
	.random = sim_random,
	.timers_changed = sim_timers_changed,
	.post = sim_post,
	.stop = sim_stop,
	.uv = sim_uv,
	.free = sim_free,
};

struct loop *loop_new_sim(struct sim_clock *clock)
{
	struct sim_loop *s = xcalloc(1, sizeof(*s));

	s->base = (struct loop){.ops = &sim_ops, .timers = &clock->heap};
	s->clock = clock;
	s->ready_at = SIZE_MAX;
	task_list_init(&s->tasks);
	clock->loops++;
	return &s->base;
}
