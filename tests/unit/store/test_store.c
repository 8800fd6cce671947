/*
 * The contract of the store, on every backend: run on a simulated loop, so that what ends up in one
 * batch is known.
 */
#include "etcd_process.h"
#include "store_test.h"

#include <dirent.h>
#include <sys/stat.h>

/* --- a store on a disk that outlives it --- */

struct fixture {
	struct sim_clock *clock; /* NULL with etcd, which has threads and time of its own */
	struct etcd_process *etcd;
	char prefix[32];
	int pending; /* writes that are not done */
	struct loop *loop;
	struct store *store;
	const struct disk_kind *kind;
	struct memory_disk *disk; /* memory */
	char dir[64];             /* sqlite */
	int fail;                 /* faulty: what the next commits return */
	size_t history_max, queue_max;
};

struct disk_kind {
	const char *name;
	struct store_backend *(*open)(struct fixture *f); /* NULL: etcd */
	const char *program;
};

static struct store_backend *open_memory(struct fixture *f)
{
	return backend_memory_on(f->disk);
}

static struct store_backend *open_sqlite(struct fixture *f)
{
	struct err err CLEANUP(err_release) = {0};
	char *path = xasprintf("%s/state.db", f->dir);
	struct store_backend *b;

	if (backend_sqlite_open(path, &b, &err) < 0)
		fail_msg("%s", err_text(&err));
	free(path);
	return b;
}

static int told_to_fail(void *user_data)
{
	return ((struct fixture *)user_data)->fail;
}

static struct store_backend *open_faulty(struct fixture *f)
{
	return backend_faulty_new(open_sqlite(f), told_to_fail, f);
}

static const struct disk_kind disk_memory = {"memory", open_memory};
static const struct disk_kind disk_sqlite = {"sqlite", open_sqlite};
static const struct disk_kind disk_faulty = {"faulty", open_faulty};

static struct disk_kind disk_etcd[ETCD_PROGRAMS_MAX];

static void open_store(struct fixture *f)
{
	struct err err CLEANUP(err_release) = {0};
	struct str url = str_c(f->etcd ? etcd_process_url(f->etcd) : NULL);
	struct etcd_opts etcd = {.servers = {&url, 1}, .prefix = str_c(f->prefix)};
	struct store_opts opts = {
		.backend = f->etcd ? NULL : f->kind->open(f),
		.etcd = f->etcd ? &etcd : NULL,
		.sim_loop = f->etcd ? NULL : f->loop,
		.history_events_max = f->history_max,
		.queue_max = f->queue_max,
	};

	if (store_open(&opts, &f->store, &err) < 0)
		fail_msg("%s", err_text(&err));
}

static void run(struct fixture *f)
{
	if (f->etcd && f->pending)
		loop_run(f->loop);
	while (!f->etcd && sim_clock_step(f->clock, sim_clock_now_ms(f->clock) + 50))
		;
}

static void reopen(struct fixture *f)
{
	run(f);
	store_close(f->store);
	open_store(f);
}

static void crash(struct fixture *f)
{
	run(f);
	store_abandon(f->store);
	open_store(f);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->kind = *state;
	if (f->kind->program) {
		static int n;

		f->etcd = etcd_process(f->kind->program);
		f->loop = loop_new_uv();
		snprintf(f->prefix, sizeof(f->prefix), "/contract%d", n++);
	} else {
		f->clock = sim_clock_new(1, 1700000000 * INT64_C(1000000000));
		f->loop = loop_new_sim(f->clock);
	}
	f->disk = memory_disk_new();
	strcpy(f->dir, "/tmp/sampan-test-store.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	open_store(f);
	*state = f;
	return 0;
}

static void remove_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	rmdir(dir);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	loop_free(f->loop);
	if (f->clock)
		sim_clock_free(f->clock);
	memory_disk_free(f->disk);
	remove_dir(f->dir);
	*state = (void *)f->kind;
	free(f);
	return 0;
}

static struct fixture *waiting;

static void one_done(struct store_write *w)
{
	test_write_done(w);
	if (--waiting->pending == 0 && waiting->etcd)
		loop_stop(waiting->loop);
}

static void submit(struct fixture *f, struct test_write *t)
{
	t->w.loop = f->loop;
	t->w.done = one_done;
	waiting = f;
	f->pending++;
	store_submit(f->store, &t->w);
}

/* One write from beginning to end; the result, and the revision it got. */
static int write_one(struct fixture *f, enum store_op op, const struct schema_resource *res,
	const char *name, const char *value, uint64_t expect, uint64_t *ret_revision)
{
	struct test_write t = test_write(op, res, "default", name, value, expect);

	submit(f, &t);
	run(f);
	assert_true(t.done);
	if (ret_revision)
		*ret_revision = t.w.object ? t.w.object->revision : 0;
	object_unref(t.w.object);
	return t.w.result;
}

static uint64_t create(
	struct fixture *f, const struct schema_resource *res, const char *name, const char *value)
{
	uint64_t revision;

	assert_int_equal(write_one(f, STORE_CREATE, res, name, value, 0, &revision), 0);
	return revision;
}

static void assert_value(struct fixture *f, const struct schema_resource *res, const char *name,
	const char *value, uint64_t revision)
{
	const struct object *o = store_get(f->store, res, S("default"), str_c(name));

	assert_non_null(o);
	assert_true(has_value(o, value));
	assert_int_equal(o->revision, revision);
	object_unref(o);
}

static void assert_gone(struct fixture *f, const struct schema_resource *res, const char *name)
{
	assert_null(store_get(f->store, res, S("default"), str_c(name)));
}

/* --- writes --- */

static void test_crud(void **state)
{
	struct fixture *f = *state;
	uint64_t r1, r2, r3, seen;

	r1 = create(f, CONFIG_MAPS, "a", "1");
	assert_value(f, CONFIG_MAPS, "a", "1", r1);
	assert_int_equal(write_one(f, STORE_CREATE, CONFIG_MAPS, "a", "2", 0, &seen), -EEXIST);
	assert_int_equal(seen, r1);
	assert_int_equal(write_one(f, STORE_UPDATE, CONFIG_MAPS, "b", "2", 0, NULL), -ENOENT);
	assert_int_equal(write_one(f, STORE_DELETE, CONFIG_MAPS, "b", NULL, 0, NULL), -ENOENT);
	assert_int_equal(write_one(f, STORE_UPDATE, CONFIG_MAPS, "a", "2", r1, &r2), 0);
	assert_true(r2 > r1);
	assert_int_equal(write_one(f, STORE_UPDATE, CONFIG_MAPS, "a", "3", r1, &seen), -EBUSY);
	assert_int_equal(seen, r2);
	assert_int_equal(write_one(f, STORE_DELETE, CONFIG_MAPS, "a", NULL, r1, NULL), -EBUSY);
	assert_value(f, CONFIG_MAPS, "a", "2", r2);
	assert_int_equal(write_one(f, STORE_DELETE, CONFIG_MAPS, "a", NULL, r2, &r3), 0);
	assert_true(r3 > r2);
	assert_gone(f, CONFIG_MAPS, "a");
	assert_int_equal(store_revision(f->store), r3);
}

static void test_same_batch(void **state)
{
	struct fixture *f = *state;
	struct test_write t[] = {
		test_write(STORE_CREATE, CONFIG_MAPS, "default", "a", "1", 0),
		test_write(STORE_CREATE, CONFIG_MAPS, "default", "a", "2", 0),
		test_write(STORE_UPDATE, CONFIG_MAPS, "default", "a", "3", 0),
		test_write(STORE_DELETE, CONFIG_MAPS, "default", "a", "last words", 0),
		test_write(STORE_CREATE, CONFIG_MAPS, "default", "a", "4", 0),
	};
	static const int want[] = {0, -EEXIST, 0, 0, 0};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		submit(f, &t[i]);
	run(f);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(t[i].w.result, want[i]);
	assert_true(has_value(t[3].w.object, "last words"));
	assert_true(t[3].w.object->revision > t[2].w.object->revision);
	assert_value(f, CONFIG_MAPS, "a", "4", t[4].w.object->revision);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		object_unref(t[i].w.object);
	crash(f);
	assert_value(f, CONFIG_MAPS, "a", "4", store_revision(f->store));
}

static int write_along(struct fixture *f, enum store_op op, const char *name, const char *other)
{
	struct test_write t =
		test_write(op, CONFIG_MAPS, "default", name, op == STORE_DELETE ? NULL : "1", 0);
	struct object *draft =
		op == STORE_DELETE ? NULL : make_draft(CONFIG_MAPS, "default", other, name);
	struct store_along along = {
		.resource = CONFIG_MAPS, .ns = S("default"), .name = str_c(other), .draft = draft};

	t.w.along = &along;
	t.w.n_along = 1;
	submit(f, &t);
	run(f);
	assert_true(t.done);
	object_unref(t.w.object);
	object_unref(draft);
	return t.w.result;
}

static void assert_both(struct fixture *f, const char *name, const char *other)
{
	const struct object *o = store_get(f->store, CONFIG_MAPS, S("default"), str_c(name));
	const struct object *with = store_get(f->store, CONFIG_MAPS, S("default"), str_c(other));

	assert_non_null(o);
	assert_non_null(with);
	assert_true(has_value(with, name)); /* it was this one that brought it */
	object_unref(o);
	object_unref(with);
}

/* What a write brings along comes and goes with it, and belongs to one write alone. */
static void test_along(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(write_along(f, STORE_CREATE, "a", "address"), 0);
	assert_both(f, "a", "address");
	assert_int_equal(write_along(f, STORE_CREATE, "b", "address"), -EADDRINUSE);
	assert_gone(f, CONFIG_MAPS, "b");
	assert_int_equal(write_along(f, STORE_CREATE, "a", "another"), -EEXIST);
	assert_gone(f, CONFIG_MAPS, "another");
	crash(f);
	assert_both(f, "a", "address");
	assert_int_equal(write_along(f, STORE_DELETE, "a", "address"), 0);
	assert_gone(f, CONFIG_MAPS, "a");
	assert_gone(f, CONFIG_MAPS, "address");
	assert_int_equal(write_along(f, STORE_DELETE, "a", "address"), -ENOENT);
	assert_int_equal(write_along(f, STORE_CREATE, "b", "address"), 0);
	crash(f);
	assert_both(f, "b", "address");
	assert_gone(f, CONFIG_MAPS, "a");
}

/* "the letters of those who were here"; none twice. */
struct guest {
	struct store_beside beside;
	char letter;
	int calls;
};

static int sign(const struct store_beside *b, const struct object *current, struct object **ret)
{
	struct guest *g = container_of(b, struct guest, beside);
	char text[64] = "";
	size_t n;

	g->calls++;
	for (char c = 'a'; current && c <= 'z'; c++) {
		n = strlen(text);
		if (str_find(current->json, str_n((char[]){'~', c}, 2)) >= 0)
			snprintf(text + n, sizeof(text) - n, "~%c", c);
	}
	if (strchr(text, g->letter))
		return -EADDRINUSE;
	n = strlen(text);
	snprintf(text + n, sizeof(text) - n, "~%c", g->letter);
	*ret = make_draft(CONFIG_MAPS, "default", "book", text);
	return 0;
}

static void test_beside(void **state)
{
	struct fixture *f = *state;
	struct test_write t[4];
	struct guest g[4];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%zu", i);
		g[i] = (struct guest){.beside = {CONFIG_MAPS, S("default"), S("book"), sign},
			.letter = "abca"[i]};
		t[i] = test_write(STORE_CREATE, CONFIG_MAPS, "default", name, "x", 0);
		t[i].w.name = t[i].w.draft->name;
		t[i].w.ns = S("default");
		t[i].w.beside = &g[i].beside;
		submit(f, &t[i]);
	}
	run(f);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_true(t[i].done && g[i].calls >= 1);
		assert_int_equal(t[i].w.result, i < 3 ? 0 : -EADDRINUSE);
		object_unref(t[i].w.object);
	}
	assert_gone(f, CONFIG_MAPS, "n3");
	crash(f);
	for (const char *c = "abc"; *c; c++) {
		const struct object *o = store_get(f->store, CONFIG_MAPS, S("default"), S("book"));

		assert_non_null(o);
		assert_true(str_find(o->json, str_n((char[]){'~', *c}, 2)) >= 0);
		object_unref(o);
	}
}

static void test_queue_limit(void **state)
{
	struct fixture *f = *state;
	struct test_write t[12];
	int ok = 0;

	f->queue_max = 8;
	reopen(f);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%zu", i);
		t[i] = test_write(STORE_CREATE, CONFIG_MAPS, "default", name, "x", 0);
		t[i].w.name = t[i].w.draft->name;
		t[i].w.ns = S("default");
		submit(f, &t[i]);
	}
	run(f);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_true(t[i].done);
		assert_int_equal(t[i].w.result, i < 8 ? 0 : -EAGAIN);
		ok += t[i].w.result == 0;
		object_unref(t[i].w.object);
	}
	assert_int_equal(ok, 8);
}

/* --- what a disk keeps --- */

static void test_reopen(void **state)
{
	struct fixture *f = *state;
	uint64_t ra, rb, rl, revision;

	ra = create(f, CONFIG_MAPS, "a", "1");
	rb = create(f, CONFIG_MAPS, "b", "1");
	assert_int_equal(write_one(f, STORE_UPDATE, CONFIG_MAPS, "a", "2", 0, &ra), 0);
	rl = create(f, LEASES, "l", "1");
	assert_int_equal(write_one(f, STORE_DELETE, CONFIG_MAPS, "b", NULL, rb, &revision), 0);
	reopen(f);
	assert_int_equal(store_revision(f->store), revision);
	assert_value(f, CONFIG_MAPS, "a", "2", ra);
	assert_gone(f, CONFIG_MAPS, "b");
	assert_value(f, LEASES, "l", "1", rl);
	assert_true(create(f, CONFIG_MAPS, "b", "3") > revision);
}

static void test_crash(void **state)
{
	struct fixture *f = *state;
	uint64_t ra, revision;

	ra = create(f, CONFIG_MAPS, "a", "1");
	create(f, CONFIG_MAPS, "b", "1");
	assert_int_equal(write_one(f, STORE_DELETE, CONFIG_MAPS, "b", NULL, 0, &revision), 0);
	crash(f);
	assert_true(store_revision(f->store) >= revision);
	assert_value(f, CONFIG_MAPS, "a", "1", ra);
	assert_gone(f, CONFIG_MAPS, "b");
	assert_int_equal(create(f, CONFIG_MAPS, "b", "2"), revision + 1);
}

static void test_lazy_crash(void **state)
{
	struct fixture *f = *state;
	uint64_t kept, lost, after;

	kept = create(f, LEASES, "kept", "1");
	while (sim_clock_step(
		f->clock, sim_clock_now_ms(f->clock) + 6000)) /* past the flush of new ones */
		;
	lost = create(f, LEASES, "lost", "1");
	assert_value(f, LEASES, "lost", "1", lost);
	crash(f);
	assert_value(f, LEASES, "kept", "1", kept);
	assert_gone(f, LEASES, "lost");
	after = create(f, CONFIG_MAPS, "a", "1");
	assert_true(after > lost);
	assert_int_equal(write_one(f, STORE_DELETE, LEASES, "kept", NULL, 0, NULL), 0);
	reopen(f);
	assert_gone(f, LEASES, "kept");
	assert_value(f, CONFIG_MAPS, "a", "1", after);
}

static void test_many(void **state)
{
	struct fixture *f = *state;
	struct test_write *t = xcalloc(3000, sizeof(*t));
	struct snapshot *s;
	uint64_t last = 0;

	for (int i = 0; i < 3000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		t[i] = test_write(
			STORE_CREATE, i % 2 ? CONFIG_MAPS : LEASES, "default", name, "x", 0);
		t[i].w.ns = t[i].w.draft->ns;
		t[i].w.name = t[i].w.draft->name;
		submit(f, &t[i]);
	}
	run(f);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(t[i].w.result, 0);
		if (!f->etcd) /* there writes on different keys run side by side */
			assert_true(t[i].w.object->revision > last);
		last = MAX(last, t[i].w.object->revision);
		object_unref(t[i].w.object);
	}
	free(t);
	reopen(f);
	assert_int_equal(store_revision(f->store), last);
	s = store_snapshot(f->store, CONFIG_MAPS);
	assert_int_equal(snapshot_count(s), 1500);
	snapshot_unref(s);
	s = store_snapshot(f->store, LEASES);
	assert_int_equal(snapshot_count(s), 1500);
	snapshot_unref(s);
}

/* --- snapshots and watches --- */

static void test_snapshot(void **state)
{
	struct fixture *f = *state;
	struct snapshot *before, *after;
	uint64_t revision;

	create(f, CONFIG_MAPS, "a", "1");
	before = store_snapshot(f->store, CONFIG_MAPS);
	assert_int_equal(write_one(f, STORE_UPDATE, CONFIG_MAPS, "a", "2", 0, NULL), 0);
	revision = create(f, LEASES, "elsewhere", "1");
	after = store_snapshot(f->store, CONFIG_MAPS);
	assert_true(has_value(snapshot_get(before, S("default"), S("a")), "1"));
	assert_true(has_value(snapshot_get(after, S("default"), S("a")), "2"));
	assert_int_equal(snapshot_revision(after), revision); /* the store's, not the resource's */
	snapshot_unref(before);
	snapshot_unref(after);
}

static void count_wake(struct store_watch *w, void *user_data)
{
	++*(int *)user_data;
}

static void expect_event(struct store_watch *w, enum store_event_type type, const char *name,
	const char *value, const char *prev_value, uint64_t revision)
{
	struct store_event ev;

	assert_int_equal(store_watch_next(w, &ev), 1);
	assert_int_equal(ev.type, type);
	assert_true(str_eqc(ev.object->name, name));
	assert_true(has_value(ev.object, value));
	assert_int_equal(ev.revision, revision);
	assert_int_equal(ev.object->revision, revision);
	if (prev_value)
		assert_true(has_value(ev.prev, prev_value));
	else
		assert_null(ev.prev);
}

static void test_watch(void **state)
{
	struct fixture *f = *state;
	struct store_watch *w, *late;
	struct store_event ev;
	uint64_t start = store_revision(f->store), r1, r2, r3, other;
	int wakes = 0, late_wakes = 0;

	assert_int_equal(
		store_watch_open(f->store, CONFIG_MAPS, start + 1, f->loop, count_wake, &wakes, &w),
		-ERANGE);
	assert_int_equal(
		store_watch_open(f->store, CONFIG_MAPS, start, f->loop, count_wake, &wakes, &w), 0);
	assert_int_equal(store_watch_next(w, &ev), 0);
	r1 = create(f, CONFIG_MAPS, "a", "1");
	assert_int_equal(wakes, 1);
	assert_int_equal(write_one(f, STORE_UPDATE, CONFIG_MAPS, "a", "2", 0, &r2), 0);
	assert_int_equal(wakes, 1); /* once until next() returned 0 again */
	assert_int_equal(write_one(f, STORE_DELETE, CONFIG_MAPS, "a", NULL, 0, &r3), 0);
	other = create(f, LEASES, "l", "1");
	expect_event(w, STORE_ADDED, "a", "1", NULL, r1);
	assert_int_equal(store_watch_revision(w), r1);
	expect_event(w, STORE_MODIFIED, "a", "2", "1", r2);
	expect_event(w, STORE_DELETED, "a", "2", "2", r3);
	assert_int_equal(store_watch_next(w, &ev), 0);
	assert_int_equal(store_watch_revision(w), other);
	create(f, LEASES, "m", "1");
	assert_int_equal(wakes, 1); /* not this one's resource */

	assert_int_equal(store_watch_open(f->store, CONFIG_MAPS, r1, f->loop, count_wake,
				 &late_wakes, &late),
		0);
	expect_event(late, STORE_MODIFIED, "a", "2", "1", r2);
	create(f, CONFIG_MAPS, "b", "1");
	assert_int_equal(wakes, 2);
	store_watch_close(late);
	store_watch_close(w);
}

static void test_slow_watcher(void **state)
{
	struct fixture *f = *state;
	struct store_watch *w, *old;
	struct store_event ev;
	uint64_t start;
	int wakes = 0;

	f->history_max = 16;
	reopen(f);
	start = store_revision(f->store);
	assert_int_equal(
		store_watch_open(f->store, CONFIG_MAPS, start, f->loop, count_wake, &wakes, &w), 0);
	create(f, CONFIG_MAPS, "a", "0");
	assert_int_equal(store_watch_next(w, &ev), 1);
	for (int i = 0; i < 16; i++)
		assert_int_equal(write_one(f, STORE_UPDATE, CONFIG_MAPS, "a", "x", 0, NULL), 0);
	assert_int_equal(store_watch_next(w, &ev), 1); /* exactly as many as there is room for */
	assert_int_equal(write_one(f, STORE_UPDATE, CONFIG_MAPS, "a", "y", 0, NULL), 0);
	assert_int_equal(write_one(f, STORE_UPDATE, CONFIG_MAPS, "a", "y", 0, NULL), 0);
	assert_int_equal(store_watch_next(w, &ev), -ESTALE);
	assert_int_equal(store_watch_next(w, &ev), -ESTALE);
	assert_int_equal(
		store_watch_open(f->store, CONFIG_MAPS, start, f->loop, count_wake, &wakes, &old),
		-ESTALE);
	store_watch_close(w);
}

/* Old events go, but for the last 128; they go when heartbeats are written, too, not only when new
 * ones come. */
static void test_old_events(void **state)
{
	struct fixture *f = *state;
	struct store_watch *w;
	uint64_t start = store_revision(f->store), last = 0;
	int wakes = 0;

	create(f, CONFIG_MAPS, "a", "0");
	for (int i = 0; i < 200; i++)
		assert_int_equal(write_one(f, STORE_UPDATE, CONFIG_MAPS, "a", "x", 0, &last), 0);
	assert_int_equal(
		store_watch_open(f->store, CONFIG_MAPS, start, f->loop, count_wake, &wakes, &w), 0);
	store_watch_close(w);
	sim_clock_step(f->clock, sim_clock_now_ms(f->clock) + 10 * 60 * 1000);
	create(f, LEASES, "l", "1");
	while (sim_clock_step(f->clock, sim_clock_now_ms(f->clock) + 6000))
		;
	assert_int_equal(
		store_watch_open(f->store, CONFIG_MAPS, start, f->loop, count_wake, &wakes, &w),
		-ESTALE);
	assert_int_equal(store_watch_open(f->store, CONFIG_MAPS, last - 127, f->loop, count_wake,
				 &wakes, &w),
		0);
	store_watch_close(w);
}

static struct store_watch *all_watches[3];

static void close_all(struct store_watch *w, void *user_data)
{
	++*(int *)user_data;
	for (size_t i = 0; i < ARRAY_SIZE(all_watches); i++)
		store_watch_close(all_watches[i]);
}

static void test_close_in_wake(void **state)
{
	struct fixture *f = *state;
	int wakes = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all_watches); i++)
		assert_int_equal(store_watch_open(f->store, CONFIG_MAPS, store_revision(f->store),
					 f->loop, close_all, &wakes, &all_watches[i]),
			0);
	create(f, CONFIG_MAPS, "a", "1");
	assert_int_equal(wakes, 1);
}

/* A watcher that has seen everything goes on after a restart; one that has not is told so. */
static void test_resume(void **state)
{
	struct fixture *f = *state;
	struct store_watch *w;
	uint64_t seen, deleted, created;
	int wakes = 0;

	seen = create(f, CONFIG_MAPS, "a", "1");
	create(f, LEASES, "l", "1"); /* lazy: after a crash nobody knows how far it went */
	crash(f);
	assert_true(store_revision(f->store) > seen + 1);
	assert_int_equal(
		store_watch_open(f->store, CONFIG_MAPS, seen, f->loop, count_wake, &wakes, &w), 0);
	created = create(f, CONFIG_MAPS, "b", "1");
	expect_event(w, STORE_ADDED, "b", "1", NULL, created);
	store_watch_close(w);
	assert_int_equal(
		store_watch_open(f->store, LEASES, seen + 1, f->loop, count_wake, &wakes, &w),
		-ESTALE);

	assert_int_equal(write_one(f, STORE_DELETE, CONFIG_MAPS, "b", NULL, 0, &deleted), 0);
	crash(f);
	assert_int_equal(
		store_watch_open(f->store, CONFIG_MAPS, created, f->loop, count_wake, &wakes, &w),
		-ESTALE);
	assert_int_equal(
		store_watch_open(f->store, CONFIG_MAPS, deleted, f->loop, count_wake, &wakes, &w),
		0);
	store_watch_close(w);
}

/* --- when the disk fails --- */

static void test_fault(void **state)
{
	struct fixture *f = *state;
	struct test_write t[] = {
		test_write(STORE_UPDATE, CONFIG_MAPS, "default", "a", "2", 0),
		test_write(STORE_CREATE, CONFIG_MAPS, "default", "b", "1", 0),
		test_write(STORE_CREATE, CONFIG_MAPS, "default", "b", "2",
			0), /* "exists" would be a lie */
		test_write(STORE_CREATE, LEASES, "default", "l", "1", 0),
	};
	struct store_watch *w;
	struct store_event ev;
	const struct object *o;
	uint64_t r1, r2;
	int wakes = 0;

	create(f, LEASES, "reserves", "1");
	r1 = create(f, CONFIG_MAPS, "a", "1");
	assert_int_equal(
		store_watch_open(f->store, CONFIG_MAPS, r1, f->loop, count_wake, &wakes, &w), 0);
	f->fail = -ENOSPC;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		submit(f, &t[i]);
	run(f);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_int_equal(t[i].w.result, i < 3 ? -ENOSPC : 0);
		assert_int_equal(t[i].w.object != NULL, i == 3);
		object_unref(t[i].w.object);
	}
	assert_value(f, CONFIG_MAPS, "a", "1", r1);
	assert_gone(f, CONFIG_MAPS, "b");
	assert_int_equal(store_watch_next(w, &ev), 0);
	while (sim_clock_step(
		f->clock, sim_clock_now_ms(f->clock) + 20000)) /* lazy writes are tried again */
		if (sim_clock_now_ms(f->clock) > 19000)
			f->fail = 0;
	r2 = create(f, CONFIG_MAPS, "b", "3");
	expect_event(w, STORE_ADDED, "b", "3", NULL, r2);
	store_watch_close(w);
	crash(f);
	assert_value(f, CONFIG_MAPS, "a", "1", r1);
	assert_value(f, CONFIG_MAPS, "b", "3", r2);
	assert_true(r2 <= store_revision(f->store));
	o = store_get(f->store, LEASES, S("default"), S("l"));
	assert_non_null(o);
	object_unref(o);
}

/* --- what only a file can have --- */

static void assert_open_fails(const char *path, int want, const char *text)
{
	struct err err CLEANUP(err_release) = {0};
	struct store_backend *b = NULL;

	assert_int_equal(backend_sqlite_open(path, &b, &err), want);
	assert_null(b);
	if (!strstr(err_text(&err), text))
		fail_msg("\"%s\" does not say \"%s\"", err_text(&err), text);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_sqlite_files(void **state)
{
	struct fixture *f = *state;
	char *path = xasprintf("%s/state.db", f->dir), *other = xasprintf("%s/other.db", f->dir);
	char *nowhere = xasprintf("%s/no/state.db", f->dir);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_open_fails(path, -EBUSY, "in use by another server");
	assert_open_fails(nowhere, -ENOENT, "No such file");
	write_file(other, "This is a text, long enough to be no database whatever one may think of "
			  "it. And on it goes."
			  "It has to be at least as long as the header of a database, which is a "
			  "hundred bytes.");
	assert_open_fails(other, -EIO, "not a database");
	free(path);
	free(other);
	free(nowhere);
}

#define EVERY_BACKEND(test)                                                                        \
	{#test " memory", test, setup, teardown, (void *)&disk_memory},                            \
		{#test " sqlite", test, setup, teardown, (void *)&disk_sqlite},                    \
	{                                                                                          \
#test " faulty", test, setup, teardown, (void *)&disk_faulty                       \
	}

/* What holds for every store, and what does not need a disk of our own: with etcd nothing is lazy,
 * and its clock is not ours. */
#define ON_ETCD(test, i)                                                                           \
	{                                                                                          \
#test " etcd", test, setup, teardown, &disk_etcd[i]                                \
	}

static int run_on_etcd(size_t i)
{
	const struct CMUnitTest tests[] = {
		ON_ETCD(test_crud, i),
		ON_ETCD(test_same_batch, i),
		ON_ETCD(test_reopen, i),
		ON_ETCD(test_crash, i),
		ON_ETCD(test_many, i),
		ON_ETCD(test_along, i),
		ON_ETCD(test_beside, i),
		ON_ETCD(test_snapshot, i),
		ON_ETCD(test_watch, i),
		ON_ETCD(test_slow_watcher, i),
		ON_ETCD(test_close_in_wake, i),
	};

	printf("on %s\n", disk_etcd[i].program);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

static int run_on_every_etcd(void)
{
	const char *programs[ETCD_PROGRAMS_MAX];
	size_t n = etcd_programs(programs);
	int failed = 0;

	if (n == 0)
		fprintf(stderr, "SKIP: no etcd in PATH or SAMPAN_ETCD: the contract was not "
				"tested on it\n");
	for (size_t i = 0; i < n; i++) {
		disk_etcd[i] = (struct disk_kind){.name = "etcd", .program = programs[i]};
		failed += run_on_etcd(i);
		etcd_process_stop();
	}
	return failed;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY_BACKEND(test_crud),
		EVERY_BACKEND(test_same_batch),
		EVERY_BACKEND(test_along),
		EVERY_BACKEND(test_beside),
		EVERY_BACKEND(test_queue_limit),
		EVERY_BACKEND(test_reopen),
		EVERY_BACKEND(test_crash),
		EVERY_BACKEND(test_lazy_crash),
		EVERY_BACKEND(test_many),
		EVERY_BACKEND(test_snapshot),
		EVERY_BACKEND(test_watch),
		EVERY_BACKEND(test_slow_watcher),
		EVERY_BACKEND(test_old_events),
		EVERY_BACKEND(test_close_in_wake),
		EVERY_BACKEND(test_resume),
		{"test_fault", test_fault, setup, teardown, (void *)&disk_faulty},
		{"test_sqlite_files", test_sqlite_files, setup, teardown, (void *)&disk_sqlite},
	};

	return cmocka_run_group_tests(tests, NULL, NULL) + run_on_every_etcd();
}
