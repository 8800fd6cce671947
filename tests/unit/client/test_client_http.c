/*
 * The HTTPS client's informers against the real API server over a real socket: what they tell must
 * lead to exactly what the store holds, whatever happens to the connection in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "apiserver/apiserver.h"
#include "client/client.h"
#include "http/server.h"
#include "store/backend.h"
#include "types.gen.h"

#define CONFIG_MAPS (&v1_config_map_resource)

enum { WATCHDOG_MS = 60 * 1000 };

struct fixture {
	struct loop *loop;
	struct store *store;
	struct apiserver *api;
	struct http_server *server;
	int port;
	struct client *client;
	struct snapshot *copy; /* built from events */
	int added, modified, deleted;
	bool (*until)(struct fixture *f);
	struct loop_timer watchdog;
	int pending; /* writes */
};

static void check(struct fixture *f)
{
	if (f->until && f->until(f))
		loop_stop(f->loop);
}

static void on_watchdog(struct loop_timer *t)
{
	fail_msg("what was waited for does not happen");
}

static void run_until(struct fixture *f, bool (*until)(struct fixture *f))
{
	if (until(f))
		return;
	f->until = until;
	loop_timer_start(&f->watchdog, WATCHDOG_MS);
	loop_run(f->loop);
	loop_timer_stop(&f->watchdog);
	f->until = NULL;
}

/* --- the server --- */

static void start_server(struct fixture *f)
{
	struct http_server_opts opts = {
		.bind_address = "127.0.0.1",
		.port = f->port,
		.handler = apiserver_handler(f->api),
	};
	struct err err CLEANUP(err_release) = {0};

	if (http_server_new(f->loop, &opts, &f->server, &err) < 0)
		fail_msg("%s", err_text(&err));
	f->port = http_server_port(f->server);
}

static void server_closed(void *user_data)
{
	struct fixture *f = user_data;

	f->server = NULL;
	check(f);
}

static bool server_is_gone(struct fixture *f)
{
	return !f->server;
}

static void stop_server(struct fixture *f)
{
	http_server_close(f->server, 0, server_closed, f);
	run_until(f, server_is_gone);
}

/* --- the store --- */

static void write_done(struct store_write *w)
{
	struct fixture *f = *(struct fixture **)(w + 1);

	assert_int_equal(w->result, 0);
	object_unref(w->object);
	free((char *)w->name.p);
	free(w);
	f->pending--;
	check(f);
}

static void write_one(struct fixture *f, enum store_op op, int i, const char *value)
{
	struct store_write *w = xcalloc(1, sizeof(*w) + sizeof(f));
	struct str_pair data = {S("v"), str_c(value)};
	struct v1_config_map cm = {0};

	*(struct fixture **)(w + 1) = f;
	w->name = str_c(xasprintf("cm-%d", i));
	w->ns = S("default");
	cm.metadata.name = w->name;
	cm.metadata.namespace = S("default");
	cm.data = (struct str_map){&data, 1};
	w->op = op;
	w->resource = CONFIG_MAPS;
	w->loop = f->loop;
	w->done = write_done;
	if (op != STORE_DELETE)
		assert_int_equal(object_draft(CONFIG_MAPS, &cm, &w->draft, NULL), 0);
	f->pending++;
	store_submit(f->store, w);
}

/* What the API server's bootstrap would make. */
static void write_namespace(struct fixture *f)
{
	struct store_write *w = xcalloc(1, sizeof(*w) + sizeof(f));
	struct v1_namespace ns = {
		.metadata = {.name = S("default")}, .status = {.phase = S("Active")}};

	*(struct fixture **)(w + 1) = f;
	w->name = str_c(xstrdup("default"));
	w->op = STORE_CREATE;
	w->resource = &v1_namespace_resource;
	w->loop = f->loop;
	w->done = write_done;
	assert_int_equal(object_draft(w->resource, &ns, &w->draft, NULL), 0);
	f->pending++;
	store_submit(f->store, w);
}

static bool all_written(struct fixture *f)
{
	return f->pending == 0;
}

/* --- the client --- */

static void on_event(void *user_data, const struct store_event *ev)
{
	struct fixture *f = user_data;
	const struct object *o = ev->object, *had = snapshot_get(f->copy, o->ns, o->name);

	assert_int_equal(ev->type == STORE_ADDED, had == NULL);
	assert_ptr_equal(ev->prev, had);
	f->added += ev->type == STORE_ADDED;
	f->modified += ev->type == STORE_MODIFIED;
	f->deleted += ev->type == STORE_DELETED;
	if (ev->type == STORE_DELETED)
		snapshot_remove(&f->copy, o->ns, o->name, ev->revision);
	else
		snapshot_put(&f->copy, o, ev->revision);
	check(f);
}

static void on_synced(void *user_data)
{
	check(user_data);
}

static bool is_synced(struct fixture *f)
{
	return client_synced(f->client);
}

static bool same(struct snapshot *a, struct snapshot *b)
{
	struct snapshot_iter ia, ib;
	const struct object *x, *y;

	if (snapshot_count(a) != snapshot_count(b))
		return false;
	snapshot_iter_init(&ia, a, S(""), S(""), S(""));
	snapshot_iter_init(&ib, b, S(""), S(""), S(""));
	while ((x = snapshot_next(&ia))) {
		y = snapshot_next(&ib);
		if (!str_eq(x->json, y->json))
			return false;
	}
	return true;
}

/* What the events made, what the client shows and what the store holds are the same. */
static bool caught_up(struct fixture *f)
{
	struct snapshot *store = store_snapshot(f->store, CONFIG_MAPS), *client;
	bool ok;

	client = client_snapshot(f->client, CONFIG_MAPS);
	ok = same(store, f->copy) && same(store, client);
	snapshot_unref(store);
	snapshot_unref(client);
	return ok;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct store_opts store = {.backend = backend_memory_new(), .history_events_max = 64};
	struct apiserver_opts api = {.service_cluster_ip_range = "10.254.0.0/16",
		.token_auth_csv = S("secret,admin,u1,\"system:masters\"\n")};

	log_level = LOG_SILENT; /* that a server goes away is what is tested */
	f->loop = loop_new_uv();
	f->copy = snapshot_new(CONFIG_MAPS);
	loop_timer_init(&f->watchdog, f->loop, on_watchdog);
	assert_int_equal(store_open(&store, &f->store, NULL), 0);
	api.store = f->store;
	api.clock = f->loop;
	assert_int_equal(apiserver_new(&api, &f->api, NULL), 0);
	start_server(f);
	*state = f;
	return 0;
}

static void connect_client(struct fixture *f)
{
	char *url = xasprintf("http://127.0.0.1:%d", f->port);
	struct client_http_opts opts = {.server = str_c(url), .token = S("secret")};
	struct err err CLEANUP(err_release) = {0};

	if (client_http_new(f->loop, &opts, &f->client, &err) < 0)
		fail_msg("%s", err_text(&err));
	client_subscribe(f->client, CONFIG_MAPS, NULL, on_event, f);
	client_start(f->client, on_synced, f);
	free(url);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	client_free(f->client);
	if (f->server)
		stop_server(f);
	apiserver_free(f->api);
	store_close(f->store);
	snapshot_unref(f->copy);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void test_list_and_watch(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 1300; i++) /* more than two pages */
		write_one(f, STORE_CREATE, i, "1");
	run_until(f, all_written);
	connect_client(f);
	run_until(f, is_synced);
	assert_int_equal(f->added, 1300);
	assert_true(caught_up(f));
	write_one(f, STORE_UPDATE, 7, "2");
	write_one(f, STORE_DELETE, 8, NULL);
	write_one(f, STORE_CREATE, 5000, "1");
	run_until(f, all_written);
	run_until(f, caught_up);
	assert_int_equal(f->added, 1301);
	assert_int_equal(f->modified, 1);
	assert_int_equal(f->deleted, 1);
}

/* Goes on where it was: a few changes are still in the history. */
static void test_reconnect(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++)
		write_one(f, STORE_CREATE, i, "1");
	run_until(f, all_written);
	connect_client(f);
	run_until(f, is_synced);
	for (int round = 0; round < 3; round++) {
		stop_server(f);
		write_one(f, STORE_UPDATE, round, "2");
		write_one(f, STORE_UPDATE, round, "3");
		write_one(f, STORE_DELETE, 9 - round, NULL);
		run_until(f, all_written);
		start_server(f);
		run_until(f, caught_up);
	}
	assert_int_equal(f->added, 10);
	assert_int_equal(f->modified, 6); /* each one heard of: nothing was listed again */
	assert_int_equal(f->deleted, 3);
}

/* More than the history holds happens while there is no server. */
static void test_too_old(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++)
		write_one(f, STORE_CREATE, i, "1");
	run_until(f, all_written);
	connect_client(f);
	run_until(f, is_synced);
	stop_server(f);
	for (int i = 0; i < 100; i++)
		write_one(f, STORE_UPDATE, 3, i % 2 ? "3" : "2");
	write_one(f, STORE_DELETE, 4, NULL);
	write_one(f, STORE_CREATE, 11, "1");
	run_until(f, all_written);
	start_server(f);
	run_until(f, caught_up);
	assert_int_equal(f->added, 11);
	assert_int_equal(f->modified, 1);
	assert_int_equal(f->deleted, 1);
}

/* --- calls --- */

struct answer {
	struct fixture *f;
	bool done;
	int result, status;
	uint64_t revision;
	char text[256];
};

static struct answer answer;

static bool is_answered(struct fixture *f)
{
	return answer.done;
}

static void call_done(struct client_call *call)
{
	struct answer *a = call->user_data;

	a->done = true;
	a->result = call->result;
	a->status = call->status;
	a->revision = call->revision;
	snprintf(a->text, sizeof(a->text), "%s", err_text(&call->err));
	check(a->f);
}

static void do_call(struct fixture *f, const char *verb, const char *name)
{
	struct client_call *call = client_call_new(f->client);
	struct v1_config_map cm = {.metadata = {.name = str_c(name)}};

	answer = (struct answer){.f = f};
	call->verb = verb;
	call->resource = CONFIG_MAPS;
	call->ns = S("default");
	call->name = str_c(name);
	if (!strcmp(verb, "create"))
		call->object = &cm;
	call->done = call_done;
	call->user_data = &answer;
	client_do(f->client, call);
	run_until(f, is_answered);
}

static bool own_write_is_here(struct fixture *f)
{
	return client_caught_up(f->client, CONFIG_MAPS, answer.revision);
}

static void test_calls(void **state)
{
	struct fixture *f = *state;

	write_namespace(f);
	run_until(f, all_written);
	connect_client(f);
	run_until(f, is_synced);
	do_call(f, "create", "a");
	assert_int_equal(answer.status, 201);
	assert_true(answer.revision > 0);
	run_until(f, own_write_is_here);
	do_call(f, "create", "a");
	assert_int_equal(answer.result, -EEXIST);
	assert_string_equal(answer.text, "configmaps \"a\" already exists");
	do_call(f, "delete", "a");
	assert_int_equal(answer.status, 200);
	do_call(f, "get", "a");
	assert_int_equal(answer.result, -ENOENT);
	stop_server(f);
	do_call(f, "get", "a");
	assert_true(answer.result < 0);
	assert_int_equal(answer.status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list_and_watch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reconnect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_old, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
