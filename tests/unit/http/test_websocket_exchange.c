/* test_websocket_exchange.c: answers that stream, read over WebSocket by a client of ours on a
 * simulated loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/conn_int.h"
#include "http/server.h"
#include "http/websocket.h"
#include "http/websocket_exchange.h"

struct world {
	struct sim_clock *clock;
	struct loop *loop;
	struct http_server *server;
	struct http_handler handler;
	enum websocket_pieces pieces;
	int status;
	const char *content_type, *body; /* body: a whole answer at once */
	struct http_exchange *x;         /* the handler's; NULL when it was closed */
	unsigned closed;
	bool server_done;
	/* the client */
	struct conn *c;
	struct buf head;
	struct websocket *ws;
	struct buf got; /* "t:text|b:bytes|" */
	int close_code;
};

static void run_for(struct world *w, int64_t ms)
{
	int64_t until = sim_clock_now_ms(w->clock) + ms;

	while (sim_clock_step(w->clock, until))
		;
}

static void on_close(struct http_exchange *x)
{
	struct world *w = x->user_data;

	w->x = NULL;
	w->closed++;
}

static void handle(struct http_handler *h, struct http_exchange *real)
{
	struct world *w = container_of(h, struct world, handler);

	assert_true(websocket_wanted(real));
	w->x = websocket_exchange_new(real, w->pieces);
	w->x->user_data = w;
	w->x->on_close = on_close;
	if (w->body) {
		http_respond(w->x, w->status, w->content_type, str_c(w->body));
		return;
	}
	http_header(w->x, "Content-Type", str_c(w->content_type));
	http_start(w->x, w->status);
	assert_non_null(w->x); /* whoever begins an answer may look at it in the same turn */
	http_flush(w->x);
}

static void on_head(struct conn *c, struct str bytes)
{
	struct world *w = c->user_data;

	buf_add_str(&w->head, bytes);
	if (str_starts(buf_str(&w->head), S("HTTP/1.1 101")))
		conn_read_stop(c); /* what follows is the WebSocket's */
}

static void on_eof(struct conn *c)
{
}

static void on_conn_close(struct conn *c, int status)
{
	((struct world *)c->user_data)->c = NULL;
}

static const struct conn_events client_events = {
	.on_data = on_head, .on_eof = on_eof, .on_close = on_conn_close};

static void on_message(struct websocket *ws, void *owner, struct str message, bool text)
{
	struct world *w = owner;

	buf_fmt(&w->got, "%c:" STR_FMT "|", text ? 't' : 'b', STR_ARG(message));
}

static void on_ws_close(struct websocket *ws, void *owner, int code)
{
	((struct world *)owner)->close_code = code;
}

static const struct websocket_events ws_events = {
	.on_message = on_message, .on_close = on_ws_close};

static void request(struct world *w, const char *protocols)
{
	struct conn *theirs;
	struct buf b;

	conn_pair(w->loop, w->loop, &w->c, &theirs);
	w->c->events = &client_events;
	w->c->user_data = w;
	conn_read_start(w->c);
	http_server_add_conn(w->server, theirs);
	buf_init(&b, 4096);
	buf_fmt(&b,
		"GET /x?watch=1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
		"Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s%s\r\n",
		protocols ? "Sec-WebSocket-Protocol: " : "", protocols ? protocols : "",
		protocols ? "\r\n" : "");
	conn_write(w->c, buf_str(&b));
	buf_release(&b);
	run_for(w, 0);
}

static void expect_head(struct world *w, const char *part)
{
	if (str_find(buf_str(&w->head), str_c(part)) < 0)
		fail_msg("\"%s\" is not in: " STR_FMT, part, STR_ARG(buf_str(&w->head)));
}

static void open_websocket(struct world *w, const char *protocols)
{
	ssize_t end;

	request(w, protocols);
	expect_head(w, "HTTP/1.1 101 ");
	end = str_find(buf_str(&w->head), S("\r\n\r\n"));
	assert_true(end > 0);
	conn_unread(w->c, str_sub(buf_str(&w->head), (size_t)end + 4, w->head.n));
	w->ws = websocket_client(w->c, &ws_events, w);
	w->c = NULL;
	run_for(w, 0);
}

static void expect(struct world *w, const char *messages)
{
	run_for(w, 0);
	assert_string_equal(w->got.n ? w->got.p : "", messages);
	buf_reset(&w->got);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err = {0};

	w->clock = sim_clock_new(1, 0);
	w->loop = loop_new_sim(w->clock);
	w->handler.handle = handle;
	w->status = 200;
	w->content_type = "application/json";
	buf_init(&w->head, 65536);
	buf_init(&w->got, 1 << 20);
	http_server_new(w->loop, &(struct http_server_opts){.port = -1, .handler = &w->handler},
		&w->server, &err);
	*state = w;
	return 0;
}

static void server_gone(void *arg)
{
	((struct world *)arg)->server_done = true;
}

/* Whatever happened: the handler's exchange was closed once. */
static int teardown(void **state)
{
	struct world *w = *state;

	if (w->ws)
		websocket_abort(w->ws);
	if (w->c)
		conn_abort(w->c);
	run_for(w, 60000);
	assert_null(w->x);
	assert_int_equal(w->closed, 1);
	http_server_close(w->server, 0, server_gone, w);
	run_for(w, 0);
	assert_true(w->server_done);
	buf_release(&w->head);
	buf_release(&w->got);
	loop_free(w->loop);
	sim_clock_free(w->clock);
	free(w);
	return 0;
}

/* However they are written: one event, one message. */
static void test_events(void **state)
{
	struct world *w = *state;

	open_websocket(w, NULL);
	expect(w, "");
	http_write(w->x, S("{\"a\":1}\n{\"b\":2}\n{\"c\""));
	http_flush(w->x);
	expect(w, "t:{\"a\":1}\n|t:{\"b\":2}\n|");
	http_write(w->x, S(":3}"));
	expect(w, "");
	http_write(w->x, S("\n"));
	expect(w, "t:{\"c\":3}\n|");
	http_end(w->x);
	assert_null(w->x);
	expect(w, "");
	assert_int_equal(w->close_code, 1000);
}

static void test_protobuf(void **state)
{
	struct world *w = *state;

	w->content_type = "application/vnd.kubernetes.protobuf;stream=watch";
	open_websocket(w, "base64url.bearer.authorization.k8s.io.eA, any");
	expect_head(w, "Sec-WebSocket-Protocol: any\r\n");
	http_write(w->x, str_n("\0\0\0\3abc\0\0\0\2d", 12));
	expect(w, "b:abc|");
	http_write(w->x, S("e"));
	expect(w, "b:de|");
}

static void test_bytes(void **state)
{
	struct world *w = *state;

	w->pieces = WEBSOCKET_BYTES;
	open_websocket(w, "other, binary.k8s.io");
	expect_head(w, "Sec-WebSocket-Protocol: binary.k8s.io\r\n");
	expect(w, "b:|");
	http_write(w->x, S("one\ntwo"));
	expect(w, "b:one\ntwo|");
	http_end(w->x);
	run_for(w, 0);
	assert_int_equal(w->close_code, 1000);
}

static void test_base64(void **state)
{
	struct world *w = *state;

	w->pieces = WEBSOCKET_BYTES;
	open_websocket(w, "base64.binary.k8s.io");
	http_write(w->x, S("hello"));
	expect(w, "t:|t:aGVsbG8=|");
}

static void test_client_leaves(void **state)
{
	struct world *w = *state;

	open_websocket(w, NULL);
	websocket_abort(w->ws);
	w->ws = NULL;
	run_for(w, 0);
	assert_null(w->x);
}

static void test_no_protocol(void **state)
{
	struct world *w = *state;

	w->pieces = WEBSOCKET_BYTES;
	request(w, "none, of, these");
	expect_head(w, "HTTP/1.1 400 ");
}

/* An error is an answer like any other. */
static void test_error(void **state)
{
	struct world *w = *state;

	w->status = 404;
	w->body = "{\"kind\":\"Status\"}";
	request(w, NULL);
	expect_head(w, "HTTP/1.1 404 ");
	expect_head(w, "\r\n\r\n{\"kind\":\"Status\"}");
}

static void test_error_streams(void **state)
{
	struct world *w = *state;

	w->status = 500;
	request(w, NULL);
	http_write(w->x, S("broken"));
	http_end(w->x);
	run_for(w, 0);
	expect_head(w, "HTTP/1.1 500 ");
	expect_head(w, "broken");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protobuf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base64, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_protocol, setup, teardown),
		cmocka_unit_test_setup_teardown(test_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_error_streams, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
