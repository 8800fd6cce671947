/*
 * The real loop, on libuv.
 *
 * One uv_timer stands for the whole timer heap and is armed, just before the loop waits, for the
 * earliest timer; so starting and stopping timers costs no call into libuv, and an idle loop sleeps
 * until something is due. A post from another thread takes a lock and wakes the loop through
 * uv_async, once per batch; a post from the loop's own thread does neither, its task runs before
 * the loop waits again.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>
#include <uv.h>

#include "loop/loop_int.h"

struct uv_kind {
	struct loop base;
	uv_loop_t uv;
	uv_timer_t timer;
	uv_async_t wake;
	uv_prepare_t before_wait;
	struct timer_heap heap;
	int64_t armed_ms;     /* what `timer` is armed for, -1 = not */
	struct task_list own; /* posted by this thread */
	pthread_mutex_t lock;
	struct task_list others; /* posted by other threads; under `lock` */
	_Atomic bool running, stopping;
	pthread_t thread; /* valid while running */
};

static struct uv_kind *kind_of(struct loop *l)
{
	return container_of(l, struct uv_kind, base);
}

static int64_t uv_kind_now_ms(struct loop *l)
{
	return (int64_t)uv_now(&kind_of(l)->uv);
}

static int64_t uv_kind_wall_ns(struct loop *l)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static uint64_t uv_kind_random(struct loop *l)
{
	uint64_t v;
	ssize_t n;

	do
		n = getrandom(&v, sizeof(v), 0);
	while (n < 0 && errno == EINTR);
	assert(n == sizeof(v));
	return v;
}

static void on_timer(uv_timer_t *handle)
{
	struct uv_kind *k = handle->data;
	int64_t now = (int64_t)uv_now(&k->uv);
	uint64_t seq = k->heap.seq; /* timers started from here on wait for the next turn */
	struct loop_timer *t;

	k->armed_ms = -1;
	while ((t = timer_heap_first(&k->heap)) && t->due_ms <= now && t->seq <= seq) {
		timer_heap_remove(&k->heap, t);
		t->fn(t);
	}
}

static void arm(struct uv_kind *k)
{
	struct loop_timer *t = timer_heap_first(&k->heap);
	int64_t due = t ? t->due_ms : -1, now = (int64_t)uv_now(&k->uv);

	if (due == k->armed_ms)
		return;
	k->armed_ms = due;
	if (t)
		uv_timer_start(&k->timer, on_timer, (uint64_t)MAX(due - now, (int64_t)0), 0);
	else
		uv_timer_stop(&k->timer);
}

/* Nothing to do at once: before_wait arms the timer. */
static void uv_kind_timers_changed(struct loop *l)
{
}

static bool on_own_thread(struct uv_kind *k)
{
	return atomic_load_explicit(&k->running, memory_order_acquire) &&
	       pthread_equal(pthread_self(), k->thread);
}

static void uv_kind_post(struct loop *l, struct loop_task *t)
{
	struct uv_kind *k = kind_of(l);
	bool first;

	if (on_own_thread(k)) {
		task_list_add(&k->own, t);
		return;
	}
	pthread_mutex_lock(&k->lock);
	first = task_list_empty(&k->others);
	task_list_add(&k->others, t);
	pthread_mutex_unlock(&k->lock);
	if (first)
		uv_async_send(&k->wake);
}

static void run_batch(struct task_list *batch)
{
	struct loop_task *t;

	while ((t = task_list_take(batch)))
		t->fn(t);
}

static void move_tasks(struct task_list *to, struct task_list *from)
{
	if (task_list_empty(from)) {
		task_list_init(to);
		return;
	}
	*to = *from;
	task_list_init(from);
}

static void on_wake(uv_async_t *handle)
{
	struct uv_kind *k = handle->data;
	struct task_list batch;

	pthread_mutex_lock(&k->lock);
	move_tasks(&batch, &k->others);
	pthread_mutex_unlock(&k->lock);
	run_batch(&batch);
	if (atomic_load(&k->stopping))
		uv_stop(&k->uv);
}

/* Runs what this thread posted to itself, then arms the timer. Tasks that post again get their turn
 * after the next look at the sockets, so that they cannot shut input out. */
static void on_before_wait(uv_prepare_t *handle)
{
	struct uv_kind *k = handle->data;
	struct task_list batch;

	move_tasks(&batch, &k->own);
	run_batch(&batch);
	if (!task_list_empty(&k->own))
		uv_async_send(&k->wake);
	arm(k);
}

static void uv_kind_stop(struct loop *l)
{
	struct uv_kind *k = kind_of(l);

	atomic_store(&k->stopping, true);
	uv_async_send(&k->wake);
}

static void uv_kind_run(struct loop *l)
{
	struct uv_kind *k = kind_of(l);

	assert(!atomic_load(&k->running));
	k->thread = pthread_self();
	atomic_store_explicit(&k->running, true, memory_order_release);
	while (!atomic_load(&k->stopping))
		uv_run(&k->uv, UV_RUN_DEFAULT);
	atomic_store(&k->stopping, false);
	atomic_store(&k->running, false);
}

static uv_loop_t *uv_kind_uv(struct loop *l)
{
	return &kind_of(l)->uv;
}

static void uv_kind_free(struct loop *l)
{
	struct uv_kind *k = kind_of(l);
	int rc;

	assert(!atomic_load(&k->running));
	uv_close((uv_handle_t *)&k->timer, NULL);
	uv_close((uv_handle_t *)&k->wake, NULL);
	uv_prepare_stop(&k->before_wait);
	uv_close((uv_handle_t *)&k->before_wait, NULL);
	uv_run(&k->uv,
		UV_RUN_NOWAIT); /* close callbacks, also those of sockets closed just before */
	rc = uv_loop_close(&k->uv);
	assert(rc == 0); /* a handle that somebody forgot to close */
	(void)rc;
	pthread_mutex_destroy(&k->lock);
	timer_heap_release(&k->heap);
	free(k);
}

static const struct loop_ops uv_kind_ops = {
	.now_ms = uv_kind_now_ms,
	.wall_ns = uv_kind_wall_ns,
	.random = uv_kind_random,
	.timers_changed = uv_kind_timers_changed,
	.post = uv_kind_post,
	.stop = uv_kind_stop,
	.run = uv_kind_run,
	.uv = uv_kind_uv,
	.free = uv_kind_free,
};

struct loop *loop_new_uv(void)
{
	struct uv_kind *k = xcalloc(1, sizeof(*k));
	int rc = uv_loop_init(&k->uv);

	assert(rc == 0); /* out of descriptors at start: nothing can work */
	k->base = (struct loop){.ops = &uv_kind_ops, .timers = &k->heap};
	k->armed_ms = -1;
	task_list_init(&k->own);
	task_list_init(&k->others);
	pthread_mutex_init(&k->lock, NULL);
	uv_timer_init(&k->uv, &k->timer);
	rc = uv_async_init(&k->uv, &k->wake, on_wake);
	assert(rc == 0);
	uv_prepare_init(&k->uv, &k->before_wait);
	uv_prepare_start(&k->before_wait, on_before_wait);
	k->timer.data = k->wake.data = k->before_wait.data = k;
	return &k->base;
}
