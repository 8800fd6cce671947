/* The gRPC client against our own HTTP/2 server, which answers with gRPC's framing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/grpc.h"
#include "http/server.h"

struct world {
	struct loop *loop;
	struct http_handler handler;
	struct http_server *server;
	struct grpc_client *client;
	struct http_exchange *kept;
	int messages, ends, status;
	struct buf got;
	char text[256];
	bool done;
};

static void write_message(struct http_exchange *x, struct str m)
{
	char prefix[5] = {0, 0, (char)(m.n >> 16), (char)(m.n >> 8), (char)m.n};

	http_write(x, str_n(prefix, 5));
	http_write(x, m);
}

static void kept_closed(struct http_exchange *x)
{
	struct world *w = x->user_data;

	w->kept = NULL;
	loop_stop(w->loop);
}

static void handle(struct http_handler *h, struct http_exchange *x)
{
	struct world *w = container_of(h, struct world, handler);

	assert_true(str_eqc(x->method, "POST"));
	assert_true(str_eqc(http_get_header(x, "content-type"), "application/grpc"));
	assert_true(x->body.n >= 5);
	http_header(x, "Content-Type", S("application/grpc"));
	if (str_eqc(x->path, "/test/Echo")) {
		http_header(x, "Grpc-Status", S("0"));
		http_start(x, 200);
		write_message(x, str_sub(x->body, 5, x->body.n));
		http_end(x);
	} else if (str_eqc(x->path, "/test/Compressed")) {
		http_header(x, "Grpc-Status", S("0"));
		http_start(x, 200);
		http_write(x, str_n("\1\0\0\0\1x", 6));
		http_end(x);
	} else if (str_eqc(x->path, "/test/Fail")) {
		http_header(x, "Grpc-Status", S("5"));
		http_header(x, "Grpc-Message", S("no such container: 50%25"));
		http_start(x, 200);
		http_end(x);
	} else if (str_eqc(x->path, "/test/NoTrailers")) {
		http_start(x, 200);
		http_end(x);
	} else {
		w->kept = x;
		x->user_data = w;
		x->on_close = kept_closed;
		http_start(x, 200);
		write_message(x, S("first"));
	}
}

static void on_message(void *user_data, struct str m)
{
	struct world *w = user_data;

	w->messages++;
	buf_add_str(&w->got, m);
	loop_stop(w->loop);
}

static void on_end(void *user_data, int status, struct str text)
{
	struct world *w = user_data;

	w->ends++;
	w->status = status;
	snprintf(w->text, sizeof(w->text), STR_FMT, STR_ARG(text));
	loop_stop(w->loop);
}

static struct grpc_call *call(
	struct world *w, const char *method, struct str message, int timeout_ms)
{
	return grpc_call_new(w->client, &(struct grpc_request){.method = method,
						.message = message,
						.timeout_ms = timeout_ms,
						.on_message = on_message,
						.on_end = on_end,
						.user_data = w});
}

static void until_ended(struct world *w, int ends)
{
	while (w->ends < ends)
		loop_run(w->loop);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err = {0};
	char address[32];

	w->loop = loop_new_uv();
	w->handler.handle = handle;
	buf_init(&w->got, 1 << 24);
	assert_int_equal(http_server_new(w->loop,
				 &(struct http_server_opts){
					 .bind_address = "127.0.0.1", .handler = &w->handler},
				 &w->server, &err),
		0);
	snprintf(address, sizeof(address), "127.0.0.1:%d", http_server_port(w->server));
	w->client = grpc_client_new(w->loop, str_c(address));
	*state = w;
	return 0;
}

static void server_gone(void *arg)
{
	struct world *w = arg;

	w->done = true;
	loop_stop(w->loop);
}

static void stop_soon(struct loop_timer *t)
{
	loop_stop(t->loop);
}

static int teardown(void **state)
{
	struct world *w = *state;
	struct loop_timer t;

	grpc_client_free(w->client);
	if (!w->done)
		http_server_close(w->server, 0, server_gone, w);
	while (!w->done)
		loop_run(w->loop);
	loop_timer_init(&t, w->loop, stop_soon);
	loop_timer_start(&t, 10); /* lets what was closed go */
	while (loop_timer_armed(&t))
		loop_run(w->loop);
	buf_release(&w->got);
	loop_free(w->loop);
	free(w);
	return 0;
}

static void unary(void **state)
{
	struct world *w = *state;
	static char large[1000000];

	call(w, "/test/Echo", S("hello"), 0);
	until_ended(w, 1);
	assert_int_equal(w->status, GRPC_OK);
	assert_int_equal(w->messages, 1);
	assert_true(str_eqc(buf_str(&w->got), "hello"));
	buf_reset(&w->got);
	call(w, "/test/Echo", (struct str){0}, 0);
	call(w, "/test/Echo", str_n(large, sizeof(large)), 0);
	until_ended(w, 3);
	assert_int_equal(w->messages, 3);
	assert_int_equal(w->got.n, sizeof(large));
}

static void errors(void **state)
{
	struct world *w = *state;

	call(w, "/test/Fail", S("x"), 0);
	until_ended(w, 1);
	assert_int_equal(w->status, GRPC_NOT_FOUND);
	assert_string_equal(w->text, "no such container: 50%");
	call(w, "/test/NoTrailers", S("x"), 0);
	until_ended(w, 2);
	assert_int_equal(w->status, GRPC_INTERNAL);
	call(w, "/test/Compressed", S("x"), 0);
	until_ended(w, 3);
	assert_int_equal(w->status, GRPC_INTERNAL);
	assert_int_equal(w->messages, 0);
}

static void streams_and_cancels(void **state)
{
	struct world *w = *state;
	struct grpc_call *c = call(w, "/test/Stream", S("x"), -1);

	while (w->messages < 1)
		loop_run(w->loop);
	write_message(w->kept, S(" second"));
	while (w->messages < 2)
		loop_run(w->loop);
	assert_true(str_eqc(buf_str(&w->got), "first second"));
	grpc_call_cancel(c);
	while (w->kept)
		loop_run(w->loop);
	assert_int_equal(w->ends, 0);
}

static void deadlines(void **state)
{
	struct world *w = *state;

	call(w, "/test/Stream", S("x"), 50);
	until_ended(w, 1);
	assert_int_equal(w->status, GRPC_DEADLINE_EXCEEDED);
	while (w->kept)
		loop_run(w->loop);
}

static void a_lost_connection_is_made_again(void **state)
{
	struct world *w = *state;

	call(w, "/test/Stream", S("x"), -1);
	while (w->messages < 1)
		loop_run(w->loop);
	http_server_close(w->server, 0, server_gone, w);
	until_ended(w, 1);
	assert_int_equal(w->status, GRPC_UNAVAILABLE);
	while (!w->done)
		loop_run(w->loop);
	call(w, "/test/Echo", S("x"), 0);
	until_ended(w, 2);
	assert_int_equal(w->status, GRPC_UNAVAILABLE);
	assert_non_null(strstr(w->text, "Connection refused"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unary),
		TEST(errors),
		TEST(streams_and_cancels),
		TEST(deadlines),
		TEST(a_lost_connection_is_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
