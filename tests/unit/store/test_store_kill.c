/*
 * kill -9: a child writes through 16 slots at once and reports each acknowledged write through a
 * pipe; it is killed in the middle; what the parent then finds on disk must be what was
 * acknowledged, give or take the one write per slot that was under way. The next child goes on from
 * there.
 */
#include "store_test.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

enum { SLOTS = 16, ROUNDS = 12, ACKS_MAX = 600 };

/* What a slot does in its step n, on its own key: create, update, update, delete, and again. */
static enum store_op op_of(uint32_t step)
{
	static const enum store_op ops[] = {STORE_CREATE, STORE_UPDATE, STORE_UPDATE, STORE_DELETE};

	return ops[step % 4];
}

static bool lazy_slot(int slot)
{
	return slot % 4 == 3;
}

struct ack {
	uint32_t slot, step;
	uint64_t revision;
};

/* --- the child --- */

struct slot {
	struct test_write t;
	struct writer *writer;
	char name[16], value[16];
	uint32_t step;
};

struct writer {
	struct store *store;
	struct loop *loop;
	struct slot slots[SLOTS];
	int pipe;
};

static void slot_done(struct store_write *w);

static void slot_next(struct slot *s)
{
	enum store_op op = op_of(s->step);
	int slot = s - s->writer->slots;

	snprintf(s->value, sizeof(s->value), "%u", s->step);
	s->t = test_write(op, lazy_slot(slot) ? LEASES : CONFIG_MAPS, "default", s->name,
		op == STORE_DELETE ? NULL : s->value, 0);
	s->t.w.loop = s->writer->loop;
	s->t.w.done = slot_done;
	store_submit(s->writer->store, &s->t.w);
}

static void slot_done(struct store_write *w)
{
	struct slot *s = container_of(w, struct slot, t.w);
	struct ack ack = {s - s->writer->slots, s->step};

	if (w->result < 0)
		_exit(1);
	ack.revision = w->object->revision;
	object_unref(w->object);
	if (write(s->writer->pipe, &ack, sizeof(ack)) != sizeof(ack))
		_exit(2);
	s->step++;
	slot_next(s);
}

static struct store *open_store(const char *path)
{
	struct err err CLEANUP(err_release) = {0};
	struct store_opts opts = {0};
	struct store *s;

	if (backend_sqlite_open(path, &opts.backend, &err) < 0 || store_open(&opts, &s, &err) < 0)
		fail_msg("%s", err_text(&err));
	return s;
}

static void child(const char *path, const uint32_t *steps, int fd)
{
	static struct writer w;

	w.store = open_store(path);
	w.loop = loop_new_uv();
	w.pipe = fd;
	for (int i = 0; i < SLOTS; i++) {
		w.slots[i].writer = &w;
		w.slots[i].step = steps[i];
		snprintf(w.slots[i].name, sizeof(w.slots[i].name), "k%d", i);
		slot_next(&w.slots[i]);
	}
	loop_run(w.loop);
	_exit(3);
}

/* --- the parent --- */

/* Reads n acknowledgements, kills the child, and reads what it had said by then. */
static uint64_t run_and_kill(const char *path, uint32_t *steps, int n)
{
	uint64_t revision = 0;
	struct ack ack;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		child(path, steps, fds[1]);
	}
	close(fds[1]);
	while (read(fds[0], &ack, sizeof(ack)) == sizeof(ack)) {
		assert_int_equal(ack.step, steps[ack.slot]);
		steps[ack.slot]++;
		if (ack.revision > revision)
			revision = ack.revision;
		if (n-- == 0)
			kill(pid, SIGKILL);
	}
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return revision;
}

static bool is_state_after(const struct object *o, uint32_t steps)
{
	char value[16];

	if (steps % 4 == 0)
		return !o;
	snprintf(value, sizeof(value), "%u", steps - 1);
	return o && has_value(o, value);
}

/* The disk's state of each slot; steps[] then says how far it really is. */
static void check(struct store *s, uint32_t *steps)
{
	for (int i = 0; i < SLOTS; i++) {
		const struct object *o;
		char name[16];

		snprintf(name, sizeof(name), "k%d", i);
		o = store_get(s, lazy_slot(i) ? LEASES : CONFIG_MAPS, S("default"), str_c(name));
		if (lazy_slot(i)) { /* any earlier state: go on from it */
			uint32_t step = o ? 1 : 0;

			while (o && !is_state_after(o, step) && step <= steps[i] + 1)
				step++;
			assert_true(is_state_after(o, step));
			steps[i] = step;
		} else if (!is_state_after(o, steps[i])) {
			assert_true(is_state_after(o, steps[i] + 1));
			steps[i]++;
		}
		if (o)
			assert_true(o->revision <= store_revision(s));
		object_unref(o);
	}
}

static void test_kill(void **state)
{
	char dir[] = "/tmp/sampan-test-kill.XXXXXX", *path;
	uint32_t steps[SLOTS] = {0};
	unsigned seed = getpid();
	uint64_t revision = 0;
	struct dirent *e;
	DIR *d;

	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/state.db", dir);
	print_message("seed %u\n", seed);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t seen = run_and_kill(path, steps, rand_r(&seed) % ACKS_MAX);
		struct store *s = open_store(path);

		assert_true(seen > revision); /* revisions go up over every crash */
		revision = seen;
		assert_true(store_revision(s) >= seen);
		check(s, steps);
		if (i % 3 == 0)
			store_close(s);
		else
			store_abandon(s);
	}
	free(path);
	d = opendir(dir);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
