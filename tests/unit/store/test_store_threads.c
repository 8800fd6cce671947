/* Writers, readers and watchers on threads of their own (the test that TSan looks at). */
#include "store_test.h"

#include <pthread.h>

enum { SLOTS = 16, KEYS = 40, WRITES = 4000, WATCHERS = 5, WATCH_THREADS = 2, READERS = 2 };

static struct store *store;

/* --- writing: each slot goes through its keys --- */

struct slot {
	struct test_write t;
	struct loop *loop;
	char name[16];
	unsigned seed;
	int *left;
};

static void slot_done(struct store_write *w);

static void slot_next(struct slot *s)
{
	enum store_op op = (enum store_op)(rand_r(&s->seed) % 3);
	bool elsewhere = rand_r(&s->seed) % 8 == 0; /* moves the revision on, not what is watched */

	snprintf(s->name, sizeof(s->name), "k%d", rand_r(&s->seed) % KEYS);
	s->t = test_write(op, elsewhere ? LEASES : CONFIG_MAPS, "default", s->name,
		op == STORE_DELETE ? NULL : "x", 0);
	s->t.w.loop = s->loop;
	s->t.w.done = slot_done;
	store_submit(store, &s->t.w);
}

static void slot_done(struct store_write *w)
{
	struct slot *s = container_of(w, struct slot, t.w);
	uint64_t revision = w->object ? w->object->revision : 0;

	assert_true(w->result == 0 || w->result == -EEXIST || w->result == -ENOENT);
	assert_true(w->result == -ENOENT || revision > 0);
	assert_true(store_revision(store) >= revision); /* what was acknowledged can be seen */
	object_unref(w->object);
	if (*s->left > 0)
		slot_next(s);
	if (--*s->left == -SLOTS) /* the last one that was under way */
		loop_stop(s->loop);
}

static void write_all(struct loop *loop)
{
	struct slot slots[SLOTS];
	int left = WRITES;

	for (int i = 0; i < SLOTS; i++) {
		slots[i].loop = loop;
		slots[i].seed = i;
		slots[i].left = &left;
		slot_next(&slots[i]);
	}
	loop_run(loop);
}

/* --- reading --- */

static _Atomic bool finished;

static void *read_all(void *arg)
{
	uint64_t last = 0;

	while (!atomic_load(&finished)) {
		struct snapshot *s = store_snapshot(store, CONFIG_MAPS);
		struct snapshot_iter it;
		const struct object *o;
		size_t n = 0;

		assert_true(snapshot_revision(s) >= last);
		last = snapshot_revision(s);
		snapshot_iter_init(&it, s, S("default"), S(""), S(""));
		for (; (o = snapshot_next(&it)); n++)
			assert_true(o->revision <= last);
		assert_int_equal(n, snapshot_count(s));
		snapshot_unref(s);
		object_unref(store_get(store, CONFIG_MAPS, S("default"), S("k7")));
	}
	return NULL;
}

/* --- watching: every watcher's own copy ends up as the store's --- */

struct watcher {
	struct watch_thread *thread;
	struct store_watch *w;
	struct snapshot *copy;
	bool done;
};

struct watch_thread {
	pthread_t thread;
	struct loop *loop;
	struct watcher watchers[WATCHERS];
	struct loop_task last_look;
	int n_done;
};

static void follow(struct watcher *me, const struct store_event *ev)
{
	const struct object *had = snapshot_get(me->copy, ev->object->ns, ev->object->name);
	struct snapshot *next;

	assert_true(ev->revision > snapshot_revision(me->copy));
	assert_int_equal(ev->prev != NULL, ev->type != STORE_ADDED);
	assert_ptr_equal(had, ev->prev); /* nothing was missed, nothing came twice */
	if (ev->type == STORE_DELETED)
		next = snapshot_without(me->copy, ev->object->ns, ev->object->name, ev->revision);
	else
		next = snapshot_with(me->copy, ev->object, ev->revision);
	snapshot_unref(me->copy);
	me->copy = next;
}

static void on_wake(struct store_watch *w, void *user_data)
{
	struct watcher *me = user_data;
	struct store_event ev;
	int r;

	while ((r = store_watch_next(w, &ev)) == 1)
		follow(me, &ev);
	assert_int_equal(r, 0);
	assert_true(store_watch_revision(w) >= snapshot_revision(me->copy));
}

/* Posted after the last write: whatever is to be seen can be seen now. */
static void last_look(struct loop_task *task)
{
	struct watch_thread *t = container_of(task, struct watch_thread, last_look);

	for (int i = 0; i < WATCHERS; i++)
		on_wake(t->watchers[i].w, &t->watchers[i]);
	loop_stop(t->loop);
}

static void *watch_all(void *arg)
{
	struct watch_thread *t = arg;

	loop_run(t->loop);
	return NULL;
}

static void start_watching(struct watch_thread *t)
{
	t->loop = loop_new_uv();
	t->last_look.fn = last_look;
	for (int i = 0; i < WATCHERS; i++) {
		t->watchers[i].copy = snapshot_new(CONFIG_MAPS);
		assert_int_equal(store_watch_open(store, CONFIG_MAPS, store_revision(store),
					 t->loop, on_wake, &t->watchers[i], &t->watchers[i].w),
			0);
	}
	pthread_create(&t->thread, NULL, watch_all, t);
}

static void assert_same(struct snapshot *a, struct snapshot *b)
{
	struct snapshot_iter ia, ib;
	const struct object *o;

	snapshot_iter_init(&ia, a, S(""), S(""), S(""));
	snapshot_iter_init(&ib, b, S(""), S(""), S(""));
	while ((o = snapshot_next(&ia)))
		assert_ptr_equal(o, snapshot_next(&ib));
	assert_null(snapshot_next(&ib));
}

static void stop_watching(struct watch_thread *t)
{
	struct snapshot *now = store_snapshot(store, CONFIG_MAPS);

	loop_post(t->loop, &t->last_look);
	pthread_join(t->thread, NULL);
	for (int i = 0; i < WATCHERS; i++) {
		assert_same(t->watchers[i].copy, now);
		snapshot_unref(t->watchers[i].copy);
		store_watch_close(t->watchers[i].w);
	}
	snapshot_unref(now);
}

static void test_threads(void **state)
{
	struct store_opts opts = {
		.backend = backend_memory_new(), .history_events_max = 2 * WRITES};
	struct watch_thread watch[WATCH_THREADS] = {0};
	struct loop *loop = loop_new_uv();
	pthread_t readers[READERS];

	assert_int_equal(store_open(&opts, &store, NULL), 0);
	for (int i = 0; i < WATCH_THREADS; i++)
		start_watching(&watch[i]);
	for (int i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, read_all, NULL);
	write_all(loop);
	atomic_store(&finished, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	for (int i = 0; i < WATCH_THREADS; i++)
		stop_watching(&watch[i]);
	store_close(store); /* before the loops: its thread may still be about to wake one */
	for (int i = 0; i < WATCH_THREADS; i++)
		loop_free(watch[i].loop);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
