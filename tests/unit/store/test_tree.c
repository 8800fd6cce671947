/* The persistent tree against a sorted array, with older versions kept and checked at the end. */
#include "store_test.h"
#include "store/tree.h"

enum { KEYS = 4000, STEPS = 30000, VERSIONS = 40 };

struct version {
	struct tree tree;
	const struct object *model[KEYS]; /* with references; NULL: not there */
};

static struct object *objects[KEYS][2];

static void make_objects(void)
{
	for (int i = 0; i < KEYS; i++) {
		/* namespaces where one is the other's prefix: the order is that of "ns/name" */
		const char *ns = i % 3 == 0 ? "a" : i % 3 == 1 ? "a-b" : "a0";
		char name[32];

		snprintf(name, sizeof(name), "n-%d", i * 7919 % KEYS);
		for (int v = 0; v < 2; v++)
			objects[i][v] = make_draft(CONFIG_MAPS, ns, name, v ? "one" : "zero");
	}
}

static int by_key(const void *a, const void *b)
{
	const struct object *x = *(const struct object *const *)a,
			    *y = *(const struct object *const *)b;
	char *ka = xasprintf("%.*s/%.*s", STR_ARG(x->ns), STR_ARG(x->name));
	char *kb = xasprintf("%.*s/%.*s", STR_ARG(y->ns), STR_ARG(y->name));
	int c = strcmp(ka, kb);

	free(ka);
	free(kb);
	return c;
}

/* The tree holds exactly the model, in order, and finds each key. */
static void check(const struct version *v)
{
	const struct object **want = xcalloc(KEYS, sizeof(*want));
	struct tree_iter it;
	size_t n = 0;

	for (int i = 0; i < KEYS; i++) {
		const struct object *o = v->model[i];

		assert_ptr_equal(tree_get(&v->tree, objects[i][0]->ns, objects[i][0]->name), o);
		if (o)
			want[n++] = o;
	}
	qsort(want, n, sizeof(*want), by_key);
	assert_int_equal(v->tree.count, n);
	tree_seek(&it, &v->tree, S(""), S(""), false);
	for (size_t i = 0; i < n; i++)
		assert_ptr_equal(tree_next(&it), want[i]);
	assert_null(tree_next(&it));
	assert_null(tree_next(&it));
	for (size_t i = 0; i < n; i += 97) { /* from the middle: at a key and behind it */
		tree_seek(&it, &v->tree, want[i]->ns, want[i]->name, false);
		assert_ptr_equal(tree_next(&it), want[i]);
		tree_seek(&it, &v->tree, want[i]->ns, want[i]->name, true);
		assert_ptr_equal(tree_next(&it), i + 1 < n ? want[i + 1] : NULL);
	}
	free(want);
}

static struct version *save(const struct version *v)
{
	struct version *out = xmalloc(sizeof(*out));

	*out = *v;
	out->tree = tree_ref(&v->tree);
	return out;
}

static void test_random(void **state)
{
	struct version *now = xcalloc(1, sizeof(*now)), *old[VERSIONS];
	unsigned seed = 4711;
	int kept = 0;

	make_objects();
	for (int step = 0; step < STEPS; step++) {
		int i = rand_r(&seed) % KEYS;
		/* grows for the first half, then shrinks until nearly nothing is left */
		bool put = rand_r(&seed) % 100 < (step < STEPS / 2 ? 70 : 15);
		struct object *o = objects[i][rand_r(&seed) % 2];

		if (put)
			tree_put(&now->tree, o);
		else
			assert_int_equal(
				tree_remove(&now->tree, o->ns, o->name), now->model[i] != NULL);
		now->model[i] = put ? o : NULL;
		if (step % (STEPS / VERSIONS) == 0 && kept < VERSIONS)
			old[kept++] = save(now);
	}
	check(now);
	for (int i = 0; i < kept; i++) { /* what was saved is as it was */
		check(old[i]);
		tree_release(&old[i]->tree);
		free(old[i]);
	}
	for (int i = 0; i < KEYS; i++)
		tree_remove(&now->tree, objects[i][0]->ns, objects[i][0]->name);
	assert_int_equal(now->tree.count, 0);
	assert_null(now->tree.root);
	free(now);
	for (int i = 0; i < KEYS; i++)
		for (int v = 0; v < 2; v++) {
			assert_int_equal(objects[i][v]->refs, 1);
			object_unref(objects[i][v]);
		}
}

static void test_namespaces(void **state)
{
	static const char *const keys[][2] = {
		{"a", "z"}, {"a", "b"}, {"a-b", "c"}, {"b", "a"}, {"a", "c"}};
	struct snapshot *s = snapshot_new(CONFIG_MAPS), *next;
	struct snapshot_iter it;
	struct object *o;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		o = make_draft(CONFIG_MAPS, keys[i][0], keys[i][1], "");
		next = snapshot_with(s, o, i + 1);
		object_unref(o);
		snapshot_unref(s);
		s = next;
	}
	assert_int_equal(snapshot_count(s), 5);
	assert_int_equal(snapshot_revision(s), 5);
	snapshot_iter_init(&it, s, S("a"), S(""), S(""));
	assert_true(str_eqc(snapshot_next(&it)->name, "b"));
	assert_true(str_eqc(snapshot_next(&it)->name, "c"));
	assert_true(str_eqc(snapshot_next(&it)->name, "z"));
	assert_null(snapshot_next(&it));
	assert_null(snapshot_next(&it));
	snapshot_iter_init(&it, s, S("a"), S("a"), S("bb"));
	assert_true(str_eqc(snapshot_next(&it)->name, "c"));
	snapshot_iter_init(&it, s, S(""), S("a"), S("b"));
	assert_true(str_eqc(snapshot_next(&it)->name, "c"));
	snapshot_iter_init(&it, s, S("c"), S("a"), S("b")); /* a token from before the namespace */
	assert_null(snapshot_next(&it));
	next = snapshot_without(s, S("a"), S("b"), 6);
	assert_null(snapshot_get(next, S("a"), S("b")));
	assert_non_null(snapshot_get(s, S("a"), S("b")));
	snapshot_unref(next);
	snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
