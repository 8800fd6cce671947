/* The server over in-process connections on a simulated loop: no sockets, no waiting, time moves by
 * itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/conn.h"
#include "http/server.h"

struct world {
	struct sim_clock *clock;
	struct loop *loop;
	struct http_server *server;
	struct http_handler handler;
	/* the client's end */
	struct conn *c;
	struct buf got;
	bool eof, closed;
	/* what the handler saw */
	int requests, closes;
	struct http_exchange *kept;
	struct conn *upgraded;
	bool server_done;
};

static void run(struct world *w)
{
	int64_t now = sim_clock_now_ms(w->clock);

	while (sim_clock_step(w->clock, now))
		;
}

static void run_for(struct world *w, int64_t ms)
{
	int64_t until = sim_clock_now_ms(w->clock) + ms;

	while (sim_clock_step(w->clock, until))
		;
}

static void on_close(struct http_exchange *x)
{
	struct world *w = x->user_data;

	w->closes++;
	if (w->kept == x)
		w->kept = NULL;
}

static void handle(struct http_handler *h, struct http_exchange *x)
{
	struct world *w = container_of(h, struct world, handler);
	struct str name = http_query(x, "name");

	w->requests++;
	x->user_data = w;
	x->on_close = on_close;
	if (str_eqc(x->path, "/hello")) {
		http_respond(x, 200, "text/plain", name.p ? name : S("hello"));
	} else if (str_eqc(x->path, "/echo")) {
		http_respond(x, 201, "text/plain", x->body);
	} else if (str_eqc(x->path, "/large")) {
		http_respond(x, 200, NULL, str_n(arena_alloc(&x->arena, 3000000), 3000000));
	} else if (str_eqc(x->path, "/upgrade")) {
		struct err err CLEANUP(err_release) = {0};

		http_header(x, "Upgrade", S("test"));
		w->upgraded = x->ops->upgrade(x, &err);
		if (!w->upgraded)
			http_respond(x, err.code, "text/plain", err.message);
	} else {
		w->kept = x;
	}
}

static void client_data(struct conn *c, struct str bytes)
{
	struct world *w = c->user_data;

	buf_add_str(&w->got, bytes);
}

static void client_eof(struct conn *c)
{
	((struct world *)c->user_data)->eof = true;
	conn_close(c);
}

static void client_close(struct conn *c, int status)
{
	struct world *w = c->user_data;

	w->closed = true;
	w->c = NULL;
}

static const struct conn_events client_events = {
	.on_data = client_data, .on_eof = client_eof, .on_close = client_close};

static void dial(struct world *w)
{
	struct conn *theirs;

	conn_pair(w->loop, w->loop, &w->c, &theirs);
	w->c->events = &client_events;
	w->c->user_data = w;
	w->eof = w->closed = false;
	buf_reset(&w->got);
	conn_read_start(w->c);
	http_server_add_conn(w->server, theirs);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err = {0};

	w->clock = sim_clock_new(
		1, INT64_C(1136239445) * 1000000000); /* Mon, 02 Jan 2006 22:04:05 GMT */
	w->loop = loop_new_sim(w->clock);
	w->handler.handle = handle;
	buf_init(&w->got, 16 << 20);
	assert_int_equal(http_server_new(w->loop,
				 &(struct http_server_opts){
					 .port = -1, .handler = &w->handler, .body_max = 1000},
				 &w->server, &err),
		0);
	dial(w);
	*state = w;
	return 0;
}

static void server_gone(void *arg)
{
	((struct world *)arg)->server_done = true;
}

static int teardown(void **state)
{
	struct world *w = *state;

	if (w->c)
		conn_abort(w->c);
	run(w);
	assert_null(w->c);
	if (!w->server_done) {
		http_server_close(w->server, 0, server_gone, w);
		run(w);
	}
	assert_true(w->server_done);
	assert_null(w->kept);
	buf_release(&w->got);
	loop_free(w->loop);
	sim_clock_free(w->clock);
	free(w);
	return 0;
}

static void send(struct world *w, const char *text)
{
	conn_write(w->c, str_c(text));
	run(w);
}

static void expect(struct world *w, const char *text)
{
	if (!str_eqc(buf_str(&w->got), text))
		print_error("got: " STR_FMT "\n", STR_ARG(buf_str(&w->got)));
	assert_true(str_eqc(buf_str(&w->got), text));
	buf_reset(&w->got);
}

static void expect_part(struct world *w, const char *text)
{
	if (str_find(buf_str(&w->got), str_c(text)) < 0)
		print_error("got: " STR_FMT "\n", STR_ARG(buf_str(&w->got)));
	assert_true(str_find(buf_str(&w->got), str_c(text)) >= 0);
}

#define DATE "Date: Mon, 02 Jan 2006 22:04:05 GMT\r\n"
#define HELLO                                                                                      \
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" DATE "Content-Length: 5\r\n\r\nhello"

static void answers_and_keeps_the_connection(void **state)
{
	struct world *w = *state;

	send(w, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(w, HELLO);
	send(w, "GET /hel%6co?x=1&name=a+b%21 HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(w, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" DATE
		  "Content-Length: 4\r\n\r\na b!");
	send(w, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(w,
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" DATE "Content-Length: 5\r\n\r\n");
	send(w, "GET http://other/hello HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(w, HELLO);
	assert_int_equal(w->closes, 4);
	assert_false(w->closed);
}

static void takes_requests_in_pieces_and_in_a_row(void **state)
{
	struct world *w = *state;
	static const char text[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		conn_write(w->c, str_n(text + i, 1));
		run(w);
	}
	expect_part(w, "HTTP/1.1 201 Created\r\n");
	expect_part(w, "\r\n\r\nabc");
	buf_reset(&w->got);
	send(w, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET "
		"/hello HT");
	expect(w, HELLO HELLO);
	send(w, "TP/1.1\r\nHost: a\r\n\r\n");
	expect(w, HELLO);
}

static void pipelined_requests_wait_for_the_answer_before(void **state)
{
	struct world *w = *state;

	send(w, "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(w->requests, 1);
	expect(w, "");
	http_respond(w->kept, 204, NULL, (struct str){0});
	run(w);
	expect(w, "HTTP/1.1 204 No Content\r\n" DATE "\r\n" HELLO);
}

static void streams_in_chunks(void **state)
{
	struct world *w = *state;

	send(w, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
	http_start(w->kept, 200);
	run(w);
	expect(w, "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n");
	http_write(w->kept, S("one "));
	http_write(w->kept, S("chunk"));
	run(w);
	expect(w, "9\r\none chunk\r\n");
	http_write(w->kept, S("last"));
	http_end(w->kept);
	run(w);
	expect(w, "4\r\nlast\r\n0\r\n\r\n");
	send(w, "GET /watch HTTP/1.0\r\n\r\n");
	http_start(w->kept, 200);
	http_write(w->kept, S("old"));
	run(w);
	expect(w, "HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\n\r\nold");
	http_end(w->kept);
	run(w);
	assert_true(w->eof);
}

static void notices_that_the_client_left(void **state)
{
	struct world *w = *state;

	send(w, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
	http_start(w->kept, 200);
	conn_abort(w->c);
	run(w);
	assert_int_equal(w->closes, 1);
	assert_null(w->kept);
}

static void an_aborted_answer_is_seen(void **state)
{
	struct world *w = *state;

	send(w, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
	http_start(w->kept, 200);
	http_write(w->kept, S("some"));
	run(w);
	http_abort(w->kept);
	run(w);
	assert_true(w->eof);
	assert_true(str_find(buf_str(&w->got), S("0\r\n\r\n")) < 0);
}

static void refuses_bad_requests(void **state)
{
	static const struct {
		const char *text, *answer;
	} bad[] = {
		{"GARBAGE\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
		{"GET / HTTP/1.1\r\n\r\n", "missing required Host header"},
		{"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "malformed request target"},
		{"GET x HTTP/1.1\r\nHost: a\r\n\r\n", "malformed request target"},
		{"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 "},
		{"\x16\x03\x01\x02\x01\xfc\x03\x03\r\n\r\n", "HTTP/1.1 400 "},
		{"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
			"\"message\":\"Request entity too large: limit is 1000\""},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (!w->c)
			dial(w);
		send(w, bad[i].text);
		expect_part(w, bad[i].answer);
		expect_part(w, "Connection: close\r\n");
		assert_true(w->eof);
		run_for(w, 3000);
		assert_null(w->c);
	}
	assert_int_equal(w->requests, 0);
}

static void limits_chunked_bodies(void **state)
{
	struct world *w = *state;

	send(w, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 11 && w->c; i++)
		send(w, "64\r\n01234567890123456789012345678901234567890123456789012345678901234567"
			"89012345678901234567"
			"890123456789\r\n");
	expect_part(w, "HTTP/1.1 413 Request Entity Too Large\r\n");
	assert_int_equal(w->requests, 0);
}

static void says_continue(void **state)
{
	struct world *w = *state;

	send(w, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: "
		"100-continue\r\n\r\n");
	expect(w, "HTTP/1.1 100 Continue\r\n\r\n");
	send(w, "abc");
	expect_part(w, "\r\n\r\nabc");
}

static void slow_clients_are_cut_off(void **state)
{
	struct world *w = *state;

	send(w, "GET /hello HT"); /* half a head */
	run_for(w, 9000);
	assert_false(w->closed);
	run_for(w, 2000);
	assert_true(w->closed);
	dial(w);
	send(w, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
	run_for(w, 9000);
	send(w, "x"); /* a byte now and then is progress */
	run_for(w, 9000);
	assert_false(w->closed);
	run_for(w, 2000);
	assert_true(w->closed);
	dial(w);
	send(w, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	run_for(w, 179000);
	assert_false(w->closed);
	run_for(w, 2000);
	assert_true(w->closed); /* idle */
	dial(w);
	send(w, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
	run_for(w, 3600 * 1000);
	assert_false(w->closed); /* an answer may take its time */
	http_respond(w->kept, 200, NULL, S("x"));
}

static void waits_for_readers_of_large_answers(void **state)
{
	struct world *w = *state;

	conn_read_stop(w->c);
	send(w, "GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /large HTTP/1.1\r\nHost: a\r\n\r\n");
	run_for(w, 1000);
	assert_int_equal(w->requests, 1); /* the second waits until the first has left */
	conn_read_start(w->c);
	run(w);
	assert_int_equal(w->requests, 2);
	assert_true(w->got.n > 6000000 && w->got.n < 6001000);
	buf_reset(&w->got);
	conn_read_stop(w->c);
	send(w, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
	run_for(w, 200 * 1000);
	assert_int_equal(w->requests, 3);
	conn_read_start(w->c);
	run(w);
	assert_true(w->eof); /* nobody read for a minute */
	assert_true(w->got.n < 3000000);
}

static void streams_tell_when_there_is_room(void **state)
{
	struct world *w = *state;
	static const char block[100000];

	send(w, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
	conn_read_stop(w->c);
	http_start(w->kept, 200);
	for (int i = 0; i < 10; i++)
		http_write(w->kept, str_n(block, sizeof(block)));
	assert_true(w->kept->pending >= 1000000);
	run(w);
	assert_true(w->kept->pending > 500000);
	conn_read_start(w->c);
	run(w);
	assert_int_equal(w->kept->pending, 0);
	http_end(w->kept);
}

static void hands_the_connection_over(void **state)
{
	struct world *w = *state;

	send(w, "GET /upgrade HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_part(w, "HTTP/1.1 400 Bad Request\r\n");
	buf_reset(&w->got);
	send(w, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: "
		"test\r\n\r\nearly");
	expect(w,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n");
	assert_non_null(w->upgraded);
	w->upgraded->events = &client_events;
	w->upgraded->user_data = w;
	conn_read_start(w->upgraded);
	run(w);
	expect(w, "early");
	conn_abort(w->upgraded);
}

static void drains(void **state)
{
	struct world *w = *state;

	send(w, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
	http_server_close(w->server, 5000, server_gone, w);
	run(w);
	assert_false(w->server_done);
	http_respond(w->kept, 200, NULL, S("bye"));
	run(w);
	expect_part(w, "Connection: close\r\n");
	assert_true(w->server_done);
}

static void drains_by_force_after_the_grace(void **state)
{
	struct world *w = *state;

	send(w, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
	http_server_close(w->server, 5000, server_gone, w);
	run_for(w, 5001);
	assert_true(w->server_done);
	assert_int_equal(w->closes, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_and_keeps_the_connection),
		TEST(takes_requests_in_pieces_and_in_a_row),
		TEST(pipelined_requests_wait_for_the_answer_before),
		TEST(streams_in_chunks),
		TEST(notices_that_the_client_left),
		TEST(an_aborted_answer_is_seen),
		TEST(refuses_bad_requests),
		TEST(limits_chunked_bodies),
		TEST(says_continue),
		TEST(slow_clients_are_cut_off),
		TEST(waits_for_readers_of_large_answers),
		TEST(streams_tell_when_there_is_room),
		TEST(hands_the_connection_over),
		TEST(drains),
		TEST(drains_by_force_after_the_grace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
