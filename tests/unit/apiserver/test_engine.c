/* test_engine.c: what a single request and answer do not show: watches, peers that leave, paging
 * over changes. */
#include "fake_exchange.h"

#define CMS "/api/v1/namespaces/a/configmaps"

static int setup(void **state)
{
	struct fake_server *s = xcalloc(1, sizeof(*s));

	fake_server_open(s);
	assert_int_equal(
		fake_status(s, "POST", "/api/v1/namespaces", "{\"metadata\":{\"name\":\"a\"}}"),
		201);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	fake_server_close(*state);
	free(*state);
	return 0;
}

static int create(struct fake_server *s, const char *name, const char *label)
{
	char body[256];

	snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"l\":\"%s\"}}}",
		name, label);
	return fake_status(s, "POST", CMS, body);
}

static void relabel(struct fake_server *s, const char *name, const char *label)
{
	char path[128], body[128];
	struct fake *f;

	snprintf(path, sizeof(path), CMS "/%s", name);
	snprintf(body, sizeof(body), "{\"metadata\":{\"labels\":{\"l\":\"%s\"}}}", label);
	f = fake_new(s, "PATCH", path);
	fake_header(f, "Content-Type", "application/merge-patch+json");
	fake_send(s, f, body);
	fake_run(s, 50);
	assert_int_equal(f->x.status, 200);
	fake_free(f);
}

/* --- watch --- */

static void expect_event(struct fake_server *s, struct fake *w, const char *type, const char *name)
{
	char text[64];

	fake_run(s, 50);
	snprintf(text, sizeof(text), "{\"type\":\"%s\",", type);
	if (!fake_has(w, text) || !fake_has(w, name))
		fail_msg("want %s of %s, got: %s", type, name, w->body.n ? w->body.p : "");
	buf_reset(&w->body);
}

static void test_watch_selector(void **state)
{
	struct fake_server *s = *state;
	struct fake *w;

	assert_int_equal(create(s, "one", "x"), 201);
	w = fake_do(s, "GET", CMS "?watch=1&labelSelector=l%3Dx", "");
	assert_int_equal(w->x.status, 200);
	expect_event(s, w, "ADDED", "one");
	relabel(s, "one", "y");
	expect_event(s, w, "DELETED", "one");
	relabel(s, "one", "z"); /* not in sight */
	fake_run(s, 50);
	assert_int_equal(w->body.n, 0);
	relabel(s, "one", "x");
	expect_event(s, w, "ADDED", "one");
	assert_int_equal(create(s, "two", "x"), 201);
	expect_event(s, w, "ADDED", "two");
	assert_int_equal(fake_status(s, "DELETE", CMS "/two", ""), 200);
	expect_event(s, w, "DELETED", "two");
	fake_free(w);
}

static void test_watch_ends(void **state)
{
	struct fake_server *s = *state;
	struct fake *w = fake_do(s, "GET", CMS "?watch=1&timeoutSeconds=2", "");

	fake_run(s, 1000);
	assert_false(w->closed);
	fake_run(s, 2000);
	assert_true(w->closed);
	fake_free(w);
}

static void test_watch_initial_events(void **state)
{
	struct fake_server *s = *state;
	struct fake *w;

	create(s, "one", "x");
	w = fake_do(s, "GET",
		CMS "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
		    "allowWatchBookmarks=true",
		"");
	assert_true(fake_has(w, "\"type\":\"ADDED\""));
	assert_true(fake_has(w, "\"k8s.io/initial-events-end\":\"true\""));
	fake_free(w);
}

static void test_watch_slow_reader(void **state)
{
	struct fake_server *s = *state;
	struct fake *w = fake_do(s, "GET", CMS "?watch=1&resourceVersion=1", "");

	buf_reset(&w->body);
	w->x.pending = 64 * 1024 * 1024; /* it reads nothing */
	create(s, "one", "x");
	fake_run(s, 50);
	assert_int_equal(w->body.n, 0);
	w->x.pending = 0;
	w->x.on_writable(&w->x);
	expect_event(s, w, "ADDED", "one");
	fake_free(w);
}

/* --- a peer that leaves --- */

static void test_peer_leaves_during_write(void **state)
{
	struct fake_server *s = *state;
	struct fake *f = fake_new(s, "POST", CMS);

	fake_send(s, f, "{\"metadata\":{\"name\":\"orphan\"},\"data\":{\"k\":\"v\"}}");
	fake_free(f); /* before the commit is done: its memory is gone */
	fake_run(s, 100);
	assert_int_equal(fake_status(s, "GET", CMS "/orphan", ""), 200);
}

static void test_peer_leaves_watch(void **state)
{
	struct fake_server *s = *state;
	struct fake *w = fake_do(s, "GET", CMS "?watch=1", "");

	fake_free(w);
	assert_int_equal(create(s, "one", "x"), 201);
}

/* --- writers that meet --- */

static void test_conflicting_patches(void **state)
{
	struct fake_server *s = *state;
	struct fake *f[8];
	char body[64];

	create(s, "one", "x");
	for (int i = 0; i < 8; i++) {
		f[i] = fake_new(s, "PATCH", CMS "/one");
		fake_header(f[i], "Content-Type", "application/merge-patch+json");
		snprintf(body, sizeof(body), "{\"data\":{\"k%d\":\"v\"}}", i);
		fake_send(s, f[i], body);
	}
	fake_run(s, 500);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(f[i]->x.status, 200);
		fake_free(f[i]);
	}
	f[0] = fake_do(s, "GET", CMS "/one", "");
	for (int i = 0; i < 8; i++) {
		snprintf(body, sizeof(body), "\"k%d\":\"v\"", i);
		assert_true(fake_has(f[0], body));
	}
	fake_free(f[0]);
}

/* --- paging --- */

static void continue_token(const struct fake *f, char *out, size_t size)
{
	ssize_t at = str_find(buf_str(&f->body), S("\"continue\":\""));
	struct str token, rest;

	assert_true(at >= 0);
	str_cut(str_sub(buf_str(&f->body), (size_t)at + 12, f->body.n), '"', &token, &rest);
	snprintf(out, size, CMS "?limit=1&continue=" STR_FMT, STR_ARG(token));
}

static void test_paging_sees_one_state(void **state)
{
	struct fake_server *s = *state;
	struct fake *f;
	char path[512];

	create(s, "a", "x");
	create(s, "b", "x");
	create(s, "c", "x");
	f = fake_do(s, "GET", CMS "?limit=1", "");
	continue_token(f, path, sizeof(path));
	fake_free(f);
	assert_int_equal(fake_status(s, "DELETE", CMS "/b", ""), 200);
	create(s, "bb", "x");
	f = fake_do(s, "GET", path, "");
	assert_true(fake_has(f, "\"name\":\"b\"")); /* as it was */
	continue_token(f, path, sizeof(path));
	fake_free(f);
	f = fake_do(s, "GET", path, "");
	assert_true(fake_has(f, "\"name\":\"c\""));
	assert_false(fake_has(f, "\"name\":\"bb\""));
	assert_false(fake_has(f, "\"continue\""));
	fake_free(f);
}

static void test_exact_version(void **state)
{
	struct fake_server *s = *state;
	struct fake *f;

	create(s, "a", "x"); /* revision 3, after the namespace */
	relabel(s, "a", "y");
	create(s, "b", "x");
	f = fake_do(s, "GET", CMS "?resourceVersion=3&resourceVersionMatch=Exact", "");
	assert_int_equal(f->x.status, 200);
	assert_true(fake_has(f, "\"l\":\"x\""));
	assert_false(fake_has(f, "\"name\":\"b\""));
	fake_free(f);
}

/* --- what a client may not do --- */

static void test_who(void **state)
{
	struct fake_server *s = *state;
	struct fake *f = fake_new(s, "GET", "/api/v1/secrets");

	f->groups[0] = S("system:authenticated");
	fake_send(s, f, "");
	fake_run(s, 10);
	assert_int_equal(f->x.status, 403);
	assert_true(fake_has(f, "cannot list resource \\\"secrets\\\" in API group \\\"\\\" at the "
				"cluster scope"));
	fake_free(f);
	f = fake_new(s, "GET", "/api/v1/secrets");
	f->x.peer.user = NULL;
	fake_header(f, "Authorization", "Bearer wrong");
	fake_send(s, f, "");
	fake_run(s, 10);
	assert_int_equal(f->x.status, 401);
	fake_free(f);
}

static void test_delete_collection(void **state)
{
	struct fake_server *s = *state;
	char name[32];
	struct fake *f;

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(create(s, name, i % 2 ? "x" : "y"), 201);
	}
	assert_int_equal(fake_status(s, "DELETE", CMS "?labelSelector=l%3Dx", ""), 200);
	f = fake_do(s, "GET", CMS, "");
	assert_true(fake_has(f, "\"name\":\"n98\""));
	assert_false(fake_has(f, "\"name\":\"n99\""));
	fake_free(f);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_watch_selector),
		TEST(test_watch_ends),
		TEST(test_watch_initial_events),
		TEST(test_watch_slow_reader),
		TEST(test_peer_leaves_during_write),
		TEST(test_peer_leaves_watch),
		TEST(test_conflicting_patches),
		TEST(test_paging_sees_one_state),
		TEST(test_exact_version),
		TEST(test_who),
		TEST(test_delete_collection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
