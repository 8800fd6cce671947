/* Both kinds of loop: timers in order, tasks from this and from other threads, determinism of the
 * simulator. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/resource.h>
#include <uv.h>

#include "loop/loop_int.h"

struct probe {
	struct loop_timer timer;
	struct loop_task task;
	int id;
	int *log, *log_n;
	struct loop *stop;
};

static void note(struct probe *p)
{
	p->log[(*p->log_n)++] = p->id;
	if (p->stop)
		loop_stop(p->stop);
}

static void on_timer(struct loop_timer *t)
{
	note(container_of(t, struct probe, timer));
}

static void on_task(struct loop_task *t)
{
	note(container_of(t, struct probe, task));
}

static void probe_init(struct probe *p, struct loop *l, int id, int *log, int *log_n)
{
	*p = (struct probe){.id = id, .log = log, .log_n = log_n, .task.fn = on_task};
	loop_timer_init(&p->timer, l, on_timer);
}

static void heap_keeps_order(void **state)
{
	enum { N = 500 };
	struct sim_clock *c = sim_clock_new(7, 0);
	struct loop *l = loop_new_sim(c);
	struct loop_timer t[N];
	int64_t last = 0;
	int armed = 0;

	for (int i = 0; i < N; i++) {
		loop_timer_init(&t[i], l, on_timer);
		loop_timer_start(&t[i], sim_clock_random(c) % 1000);
	}
	for (int i = 0; i < N; i += 3)
		loop_timer_stop(&t[i]);
	for (int i = 0; i < N; i += 7)
		loop_timer_start(&t[i], sim_clock_random(c) % 1000);
	for (int i = 0; i < N; i++)
		armed += loop_timer_armed(&t[i]);
	for (struct loop_timer *first; (first = timer_heap_first(l->timers)); armed--) {
		assert_true(first->due_ms >= last);
		last = first->due_ms;
		loop_timer_stop(first);
	}
	assert_int_equal(armed, 0);
	loop_free(l);
	sim_clock_free(c);
}

static void sim_time_jumps_to_timers(void **state)
{
	struct sim_clock *c = sim_clock_new(1, 1000000000);
	struct loop *l = loop_new_sim(c);
	int log[8], n = 0;
	struct probe a, b, d;

	probe_init(&a, l, 1, log, &n);
	probe_init(&b, l, 2, log, &n);
	probe_init(&d, l, 3, log, &n);
	loop_timer_start(&a.timer, 5000);
	loop_timer_start(&b.timer, 10);
	loop_timer_start(&d.timer, 10);
	assert_true(sim_clock_step(c, 6000));
	assert_int_equal(loop_now_ms(l), 10);
	assert_int_equal(loop_wall_ns(l), 1010000000);
	assert_true(sim_clock_step(c, 6000));
	assert_false(sim_clock_step(c, 4999));
	assert_int_equal(sim_clock_now_ms(c), 4999);
	assert_true(sim_clock_step(c, 6000));
	assert_int_equal(sim_clock_now_ms(c), 5000);
	assert_false(sim_clock_step(c, 6000));
	assert_int_equal(n, 3);
	assert_int_equal(log[0], 2);
	assert_int_equal(log[1], 3);
	assert_int_equal(log[2], 1);
	loop_free(l);
	sim_clock_free(c);
}

/* The order in which 3 loops ran 4 tasks each. */
static void run_seed(uint64_t seed, int *log)
{
	struct sim_clock *c = sim_clock_new(seed, 0);
	struct loop *l[3];
	struct probe p[12];
	int n = 0;

	for (int i = 0; i < 3; i++)
		l[i] = loop_new_sim(c);
	for (int i = 0; i < 12; i++) {
		probe_init(&p[i], l[i % 3], i, log, &n);
		loop_post(l[i % 3], &p[i].task);
	}
	while (sim_clock_step(c, 0))
		;
	assert_int_equal(n, 12);
	for (int i = 0; i < 3; i++)
		loop_free(l[i]);
	sim_clock_free(c);
}

static void sim_order_comes_from_the_seed(void **state)
{
	int a[12], b[12], other[12], different = 0, last[3] = {-1, -1, -1};

	run_seed(42, a);
	run_seed(42, b);
	assert_memory_equal(a, b, sizeof(a));
	for (int i = 0; i < 12; i++) { /* per loop: as posted */
		assert_true(a[i] > last[a[i] % 3]);
		last[a[i] % 3] = a[i];
	}
	for (uint64_t seed = 1; seed <= 5; seed++) {
		run_seed(seed, other);
		different += memcmp(a, other, sizeof(a)) != 0;
	}
	assert_true(different > 0);
}

static void sim_free_takes_timers_along(void **state)
{
	struct sim_clock *c = sim_clock_new(1, 0);
	struct loop *gone = loop_new_sim(c), *stays = loop_new_sim(c);
	int log[4], n = 0;
	struct probe a, b, d;

	probe_init(&a, gone, 1, log, &n);
	probe_init(&b, stays, 2, log, &n);
	probe_init(&d, gone, 3, log, &n);
	loop_timer_start(&a.timer, 1);
	loop_timer_start(&b.timer, 2);
	loop_timer_start(&d.timer, 3);
	loop_post(gone, &d.task);
	loop_free(gone);
	while (sim_clock_step(c, 10))
		;
	assert_int_equal(n, 1);
	assert_int_equal(log[0], 2);
	loop_free(stays);
	sim_clock_free(c);
}

static void uv_timers_fire_in_order(void **state)
{
	struct loop *l = loop_new_uv();
	int log[8], n = 0;
	struct probe p[4];

	for (int i = 0; i < 4; i++)
		probe_init(&p[i], l, i, log, &n);
	loop_timer_start(&p[0].timer, 30);
	loop_timer_start(&p[1].timer, 10);
	loop_timer_start(&p[2].timer, 20);
	loop_timer_start(&p[3].timer, 15);
	loop_timer_stop(&p[3].timer);
	p[0].stop = l;
	loop_run(l);
	assert_int_equal(n, 3);
	assert_int_equal(log[0], 1);
	assert_int_equal(log[1], 2);
	assert_int_equal(log[2], 0);
	loop_free(l);
}

struct chain {
	struct loop_task task;
	struct loop *loop;
	int left;
};

static void again(struct loop_task *t)
{
	struct chain *c = container_of(t, struct chain, task);

	if (c->left-- > 0)
		loop_post(c->loop, t);
	else
		loop_stop(c->loop);
}

static void uv_task_may_post_itself_again(void **state)
{
	struct loop *l = loop_new_uv();
	struct chain c = {.task.fn = again, .loop = l, .left = 100};

	loop_post(l, &c.task);
	loop_run(l);
	assert_int_equal(c.left, -1);
	loop_free(l);
}

enum { THREADS = 4, TASKS = 5000 };

struct sender {
	pthread_t thread;
	struct loop *loop;
	struct counted {
		struct loop_task task;
		int seq, *next, *left;
		struct loop *loop;
	} tasks[TASKS];
	int next;
};

static void count(struct loop_task *t)
{
	struct counted *c = container_of(t, struct counted, task);

	assert_int_equal(c->seq, (*c->next)++);
	if (--*c->left == 0)
		loop_stop(c->loop);
}

static void *send_all(void *arg)
{
	struct sender *s = arg;

	for (int i = 0; i < TASKS; i++)
		loop_post(s->loop, &s->tasks[i].task);
	return NULL;
}

static void uv_mailbox_keeps_each_threads_order(void **state)
{
	struct loop *l = loop_new_uv();
	struct sender *s = xcalloc(THREADS, sizeof(*s));
	int left = THREADS * TASKS;

	for (int i = 0; i < THREADS; i++) {
		s[i].loop = l;
		for (int j = 0; j < TASKS; j++)
			s[i].tasks[j] = (struct counted){.task.fn = count,
				.seq = j,
				.next = &s[i].next,
				.left = &left,
				.loop = l};
		pthread_create(&s[i].thread, NULL, send_all, &s[i]);
	}
	loop_run(l);
	for (int i = 0; i < THREADS; i++)
		pthread_join(s[i].thread, NULL);
	assert_int_equal(left, 0);
	free(s);
	loop_free(l);
}

static void count_turn(uv_check_t *h)
{
	++*(int *)h->data;
}

/* A loop with nothing to do sleeps: between start and a timer 50 ms later it turns a fixed few
 * times. */
static void uv_idle_does_not_wake_up(void **state)
{
	struct loop *l = loop_new_uv();
	int log[2], n = 0, turns = 0;
	uv_check_t check;
	struct probe p;

	uv_check_init(loop_uv(l), &check);
	check.data = &turns;
	uv_check_start(&check, count_turn);
	probe_init(&p, l, 1, log, &n);
	p.stop = l;
	loop_timer_start(&p.timer, 50);
	loop_run(l);
	assert_true(turns <= 3);
	uv_close((uv_handle_t *)&check, NULL);
	loop_free(l);
}

static void uv_random_and_clock_move(void **state)
{
	struct loop *l = loop_new_uv();

	assert_true(loop_random(l) != loop_random(l));
	assert_true(loop_wall_ns(l) > INT64_C(1700000000) * 1000000000);
	assert_non_null(loop_uv(l));
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap_keeps_order),
		cmocka_unit_test(sim_time_jumps_to_timers),
		cmocka_unit_test(sim_order_comes_from_the_seed),
		cmocka_unit_test(sim_free_takes_timers_along),
		cmocka_unit_test(uv_timers_fire_in_order),
		cmocka_unit_test(uv_task_may_post_itself_again),
		cmocka_unit_test(uv_mailbox_keeps_each_threads_order),
		cmocka_unit_test(uv_idle_does_not_wake_up),
		cmocka_unit_test(uv_random_and_clock_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
