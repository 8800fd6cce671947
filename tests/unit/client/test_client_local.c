/* The in-process client: events as a selector sees them, gaps, and calls that are answered, late,
 * or never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "client/client.h"
#include "store/backend.h"
#include "types.gen.h"

struct seen {
	char log[4096];
	int synced;
};

struct fixture {
	struct sim_clock *clock;
	struct loop *loop;
	struct store *store;
	struct client *client;
	struct http_handler handler;
	struct http_exchange *waiting; /* a request that was not answered yet */
	bool closed;
	struct seen all, on_n1;
};

static void on_event(void *user_data, const struct store_event *ev)
{
	struct seen *s = user_data;
	size_t n = strlen(s->log);

	snprintf(s->log + n, sizeof(s->log) - n, "%c%.*s%s ", "+~-"[ev->type],
		STR_ARG(ev->object->name), ev -> prev ? "*" : "");
}

static void on_synced(void *user_data)
{
	((struct seen *)user_data)->synced++;
}

static void assert_log(struct seen *s, const char *want)
{
	assert_string_equal(s->log, want);
	s->log[0] = 0;
}

static void on_close(struct http_exchange *x)
{
	*(bool *)x->user_data = true;
}

static void handle(struct http_handler *h, struct http_exchange *x)
{
	struct fixture *f = container_of(h, struct fixture, handler);

	x->on_close = on_close;
	x->user_data = &f->closed;
	f->closed = false;
	f->waiting = x;
}

static void run(struct fixture *f)
{
	while (sim_clock_step(f->clock, sim_clock_now_ms(f->clock) + 50))
		;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct store_opts opts = {.backend = backend_memory_new(), .history_events_max = 16};
	struct user_info user = {.name = S("system:test")};

	f->clock = sim_clock_new(1, 0);
	f->loop = loop_new_sim(f->clock);
	f->handler.handle = handle;
	opts.sim_loop = f->loop;
	assert_int_equal(store_open(&opts, &f->store, NULL), 0);
	f->client = client_local_new(f->loop, f->store, &f->handler, &user);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	client_free(f->client);
	store_close(f->store);
	loop_free(f->loop);
	sim_clock_free(f->clock);
	free(f);
	return 0;
}

static void write_done(struct store_write *w)
{
	assert_int_equal(w->result, 0);
	object_unref(w->object);
	free(w);
}

static void write_pod(struct fixture *f, enum store_op op, const char *name, const char *node)
{
	struct store_write *w = xcalloc(1, sizeof(*w));
	struct v1_pod pod = {0};

	pod.metadata.name = str_c(name);
	pod.metadata.namespace = S("default");
	pod.spec.node_name = str_c(node);
	w->op = op;
	w->resource = &v1_pod_resource;
	w->ns = S("default");
	w->name = str_c(name);
	if (op != STORE_DELETE)
		assert_int_equal(object_draft(&v1_pod_resource, &pod, &w->draft, NULL), 0);
	w->loop = f->loop;
	w->done = write_done;
	store_submit(f->store, w);
}

static void subscribe(struct fixture *f)
{
	client_subscribe(f->client, &v1_pod_resource, NULL, on_event, &f->all);
	client_subscribe(f->client, &v1_pod_resource, "spec.nodeName=n1", on_event, &f->on_n1);
	client_start(f->client, on_synced, &f->all);
}

static void test_events(void **state)
{
	struct fixture *f = *state;

	write_pod(f, STORE_CREATE, "a", "n1");
	write_pod(f, STORE_CREATE, "b", NULL);
	run(f);
	subscribe(f);
	assert_false(client_synced(f->client));
	run(f);
	assert_true(client_synced(f->client));
	assert_int_equal(f->all.synced, 1);
	assert_log(&f->all, "+a +b ");
	assert_log(&f->on_n1, "+a ");
	write_pod(f, STORE_UPDATE, "b", "n1");
	write_pod(f, STORE_UPDATE, "a", "n1");
	run(f);
	write_pod(f, STORE_UPDATE, "a", "n2");
	write_pod(f, STORE_DELETE, "b", NULL);
	run(f);
	write_pod(f, STORE_DELETE, "a", NULL);
	run(f);
	assert_log(&f->all, "~b* ~a* ~a* -b* -a* ");
	assert_log(&f->on_n1, "+b ~a* -a* -b* ");
}

/* More happens between two turns than the history holds. */
static void test_gap(void **state)
{
	struct fixture *f = *state;
	struct snapshot *s;

	write_pod(f, STORE_CREATE, "gone", "n1");
	write_pod(f, STORE_CREATE, "same", "n1");
	subscribe(f);
	run(f);
	f->all.log[0] = f->on_n1.log[0] = 0;
	for (int i = 0; i < 40; i++)
		write_pod(f, i ? STORE_UPDATE : STORE_CREATE, "many", "n1");
	write_pod(f, STORE_DELETE, "gone", NULL);
	run(f);
	assert_log(&f->all, "-gone* +many ");
	s = client_snapshot(f->client, &v1_pod_resource);
	assert_int_equal(snapshot_count(s), 2);
	snapshot_unref(s);
	write_pod(f, STORE_UPDATE, "same", "n1");
	run(f);
	assert_log(&f->all, "~same* ");
}

struct answer {
	int done, result, status;
	uint64_t revision;
	char text[512];
};

static void call_done(struct client_call *call)
{
	struct answer *a = call->user_data;

	a->done++;
	a->result = call->result;
	a->status = call->status;
	a->revision = call->revision;
	snprintf(a->text, sizeof(a->text), "%s|%.*s", err_text(&call->err),
		STR_ARG(call->err.reason));
}

static struct client_call *make_call(struct fixture *f, struct answer *a, const char *verb)
{
	struct client_call *call = client_call_new(f->client);

	call->verb = verb;
	call->resource = &v1_pod_resource;
	call->ns = S("default");
	call->name = S("a b");
	call->done = call_done;
	call->user_data = a;
	return call;
}

static void test_calls(void **state)
{
	struct fixture *f = *state;
	struct answer a = {0};
	struct client_call *call = make_call(f, &a, "update");
	struct v1_pod pod = {.metadata = {.name = S("x")}};

	call->object = &pod;
	call->subresource = S("status");
	call->query = S("dryRun=All");
	client_do(f->client, call);
	assert_true(str_eqc(f->waiting->method, "PUT"));
	assert_true(str_eqc(f->waiting->raw_path, "/api/v1/namespaces/default/pods/a%20b/status"));
	assert_true(str_eqc(f->waiting->path, "/api/v1/namespaces/default/pods/a b/status"));
	assert_true(str_eqc(f->waiting->query, "dryRun=All"));
	assert_true(str_eqc(f->waiting->peer.user->name, "system:test"));
	assert_true(str_find(f->waiting->body, S("\"name\":\"x\"")) > 0);
	run(f);
	assert_int_equal(a.done, 0);
	http_respond(f->waiting, 200, "application/json",
		S("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"77\"}}"));
	assert_int_equal(a.done, 0); /* not before the next turn */
	run(f);
	assert_int_equal(a.done, 1);
	assert_int_equal(a.result, 0);
	assert_int_equal(a.revision, 77);

	client_do(f->client, make_call(f, &a, "create"));
	assert_true(str_eqc(f->waiting->path, "/api/v1/namespaces/default/pods"));
	http_respond(f->waiting, 409, "application/json",
		S("{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"pods \\\"x\\\" "
		  "already exists\","
		  "\"reason\":\"AlreadyExists\",\"code\":409}"));
	run(f);
	assert_int_equal(a.result, -EEXIST);
	assert_string_equal(a.text, "pods \"x\" already exists|AlreadyExists");

	client_do(f->client, make_call(f, &a, "delete"));
	http_abort(f->waiting);
	run(f);
	assert_int_equal(a.done, 3);
	assert_int_equal(a.status, 0);
	assert_true(a.result < 0);

	client_do(f->client, make_call(f, &a, "get")); /* never answered: teardown lets go of it */
	run(f);
	assert_int_equal(a.done, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
