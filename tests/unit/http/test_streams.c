/* kubectl's streams end to end on a simulated loop: a client of ours against sessions that echo. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/conn_int.h"
#include "http/server.h"
#include "http/spdy.h"
#include "http/streams.h"
#include "http/websocket.h"

enum { STREAMS = 16 };

struct world {
	struct sim_clock *clock;
	struct loop *loop;
	struct http_server *server;
	struct http_handler handler;
	struct remote_options options;
	bool server_done;
	/* the server's sessions */
	struct remote_session *remote;
	struct forward_session *forward;
	struct forward_stream *f;
	struct buf stdin_got;
	bool ready, stdin_closed, writable, session_closed, forward_eof, forward_reset;
	int width, height, port;
	/* the client */
	struct conn *c;
	struct buf head; /* of the answer */
	struct websocket *ws;
	struct spdy *spdy;
	struct buf got[STREAMS]; /* by channel, or by SPDY stream id */
	bool fin[STREAMS], reset[STREAMS], ws_closed;
};

static void run_for(struct world *w, int64_t ms)
{
	int64_t until = sim_clock_now_ms(w->clock) + ms;

	while (sim_clock_step(w->clock, until))
		;
}

static void run(struct world *w)
{
	run_for(w, 0);
}

/* The sessions. */

static void on_ready(struct remote_session *s, void *owner)
{
	((struct world *)owner)->ready = true;
}

static void on_stdin(struct remote_session *s, void *owner, struct str bytes)
{
	struct world *w = owner;

	assert_true(w->ready);
	buf_add_str(&w->stdin_got, bytes);
}

static void on_stdin_close(struct remote_session *s, void *owner)
{
	struct world *w = owner;

	assert_false(w->stdin_closed);
	w->stdin_closed = true;
}

static void on_writable(struct remote_session *s, void *owner)
{
	((struct world *)owner)->writable = true;
}

static void on_resize(struct remote_session *s, void *owner, uint16_t width, uint16_t height)
{
	struct world *w = owner;

	w->width = width;
	w->height = height;
}

static void on_closed(struct remote_session *s, void *owner)
{
	struct world *w = owner;

	w->session_closed = true;
	w->remote = NULL;
	remote_abort(s);
}

static const struct remote_events remote_events = {
	.on_ready = on_ready,
	.on_stdin = on_stdin,
	.on_stdin_close = on_stdin_close,
	.on_resize = on_resize,
	.on_writable = on_writable,
	.on_closed = on_closed,
};

static void on_open(struct forward_session *s, void *owner, struct forward_stream *f, uint16_t port)
{
	struct world *w = owner;

	forward_set_data(f, w);
	w->f = f;
	w->port = port;
}

static void on_forward_data(struct forward_stream *f, struct str bytes)
{
	forward_write(f, bytes);
}

static void on_forward_eof(struct forward_stream *f)
{
	((struct world *)forward_data(f))->forward_eof = true;
}

static void on_forward_reset(struct forward_stream *f)
{
	struct world *w = forward_data(f);

	w->forward_reset = true;
	forward_close(f, NULL);
	w->f = NULL;
}

static void on_forward_closed(struct forward_session *s, void *owner)
{
	struct world *w = owner;

	w->session_closed = true;
	w->forward = NULL;
	forward_end(s);
}

static const struct forward_events forward_events = {
	.on_open = on_open,
	.on_data = on_forward_data,
	.on_eof = on_forward_eof,
	.on_reset = on_forward_reset,
	.on_closed = on_forward_closed,
};

static void handle(struct http_handler *h, struct http_exchange *x)
{
	struct world *w = container_of(h, struct world, handler);
	struct err err CLEANUP(err_release) = {0};
	int rc;

	if (str_eqc(x->path, "/exec"))
		rc = remote_accept(x, &w->options, &remote_events, w, &w->remote, &err);
	else
		rc = forward_accept(x, &forward_events, w, &w->forward, &err);
	if (rc < 0)
		http_respond(x, err.code, "text/plain", err.message);
}

/* The client. */

static void spdy_output(void *arg, struct str bytes)
{
	struct world *w = arg;

	if (w->ws)
		websocket_send(w->ws, bytes, false);
	else if (w->c)
		conn_write(w->c, bytes);
}

static void spdy_stream(void *arg, uint32_t id, const struct http_header *h, size_t n, bool fin)
{
}

static void spdy_data(void *arg, uint32_t id, struct str part, bool fin)
{
	struct world *w = arg;

	assert_true(id < STREAMS);
	buf_add_str(&w->got[id], part);
	w->fin[id] |= fin;
}

static void spdy_reset(void *arg, uint32_t id, uint32_t status)
{
	((struct world *)arg)->reset[id] = true;
}

static const struct spdy_callbacks spdy_callbacks = {.output = spdy_output,
	.on_stream = spdy_stream,
	.on_data = spdy_data,
	.on_reset = spdy_reset};

static void ws_message(struct websocket *ws, void *owner, struct str m, bool text)
{
	struct world *w = owner;

	if (w->spdy) {
		assert_int_equal(spdy_read(w->spdy, m), 0);
	} else if (m.n) {
		unsigned channel = (unsigned char)m.p[0] & 15; /* '1' and 1 are the same here */

		buf_add_str(&w->got[channel], str_sub(m, 1, m.n));
	}
}

static void ws_close(struct websocket *ws, void *owner, int code)
{
	struct world *w = owner;

	w->ws_closed = true;
	w->ws = NULL;
	websocket_abort(ws);
}

static const struct websocket_events ws_events = {.on_message = ws_message, .on_close = ws_close};

static void client_data(struct conn *c, struct str bytes)
{
	struct world *w = c->user_data;

	if (w->spdy) {
		assert_int_equal(spdy_read(w->spdy, bytes), 0);
		return;
	}
	buf_add_str(&w->head, bytes);
	if (str_find(buf_str(&w->head), S("\r\n\r\n")) >= 0)
		conn_read_stop(c);
}

static void client_eof(struct conn *c)
{
	conn_close(c);
}

static void client_closed(struct conn *c, int status)
{
	((struct world *)c->user_data)->c = NULL;
}

static const struct conn_events client_events = {
	.on_data = client_data, .on_eof = client_eof, .on_close = client_closed};

/* Sends the request and reads the answer's head; what follows it is given back to the connection.
 */
static void request(struct world *w, const char *path, const char *headers)
{
	struct conn *theirs;
	struct buf b;
	ssize_t end;

	conn_pair(w->loop, w->loop, &w->c, &theirs);
	w->c->events = &client_events;
	w->c->user_data = w;
	conn_read_start(w->c);
	http_server_add_conn(w->server, theirs);
	buf_init(&b, 4096);
	buf_fmt(&b, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n%s\r\n", path, headers);
	conn_write(w->c, buf_str(&b));
	buf_release(&b);
	run(w);
	end = str_find(buf_str(&w->head), S("\r\n\r\n"));
	assert_true(end > 0);
	conn_unread(w->c, str_sub(buf_str(&w->head), end + 4, w->head.n));
}

static void expect_head(struct world *w, const char *part)
{
	if (str_find(buf_str(&w->head), str_c(part)) < 0)
		print_error("head: " STR_FMT "\n", STR_ARG(buf_str(&w->head)));
	assert_true(str_find(buf_str(&w->head), str_c(part)) >= 0);
}

#define WS_HEADERS                                                                                 \
	"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "                   \
	"dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void open_websocket(struct world *w, const char *path, const char *protocol)
{
	char headers[512];

	snprintf(headers, sizeof(headers), WS_HEADERS "Sec-WebSocket-Protocol: %s\r\n", protocol);
	request(w, path, headers);
	expect_head(w, "HTTP/1.1 101 ");
	expect_head(w, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"); /* RFC 6455 1.3 */
	w->ws = websocket_client(w->c, &ws_events, w);
	w->c = NULL;
	run(w);
}

static void open_spdy(struct world *w, const char *path, const char *protocol)
{
	char headers[512];

	snprintf(headers, sizeof(headers), "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: %s\r\n",
		protocol);
	request(w, path, headers);
	expect_head(w, "HTTP/1.1 101 ");
	w->spdy = spdy_new(&spdy_callbacks, w);
	conn_read_start(w->c);
	run(w);
}

static void open_stream(struct world *w, uint32_t id, const char *type, const char *port)
{
	struct http_header h[] = {
		{S("streamtype"), str_c(type)}, {S("port"), str_c(port)}, {S("requestid"), S("0")}};

	spdy_write_stream(w->spdy, id, h, port ? 3 : 1, false);
	run(w);
}

static void expect(struct world *w, int stream, const char *text)
{
	if (!str_eqc(buf_str(&w->got[stream]), text))
		print_error("stream %d: " STR_FMT "\n", stream, STR_ARG(buf_str(&w->got[stream])));
	assert_true(str_eqc(buf_str(&w->got[stream]), text));
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err = {0};

	w->clock = sim_clock_new(1, 0);
	w->loop = loop_new_sim(w->clock);
	w->handler.handle = handle;
	w->options = (struct remote_options){.stdin = true, .stdout = true, .stderr = true};
	buf_init(&w->head, 65536);
	buf_init(&w->stdin_got, 1 << 22);
	for (int i = 0; i < STREAMS; i++)
		buf_init(&w->got[i], 1 << 22);
	http_server_new(w->loop, &(struct http_server_opts){.port = -1, .handler = &w->handler},
		&w->server, &err);
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

	if (w->ws)
		websocket_abort(w->ws);
	if (w->c)
		conn_abort(w->c);
	run_for(w, 60000);
	assert_null(w->remote);
	assert_null(w->forward);
	http_server_close(w->server, 0, server_gone, w);
	run(w);
	assert_true(w->server_done);
	spdy_free(w->spdy);
	buf_release(&w->head);
	buf_release(&w->stdin_got);
	for (int i = 0; i < STREAMS; i++)
		buf_release(&w->got[i]);
	loop_free(w->loop);
	sim_clock_free(w->clock);
	free(w);
	return 0;
}

static void websocket_exec(void **state)
{
	struct world *w = *state;

	open_websocket(w, "/exec", "v5.channel.k8s.io, v4.channel.k8s.io");
	expect_head(w, "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n");
	assert_true(w->ready);
	websocket_send(w->ws, str_n("\0hello", 6), false);
	run(w);
	assert_true(str_eqc(buf_str(&w->stdin_got), "hello"));
	websocket_send(w->ws, str_n("\xff\0", 2), false);
	run(w);
	assert_true(w->stdin_closed);
	remote_write_stdout(w->remote, S("out"));
	remote_write_stderr(w->remote, S("err"));
	remote_finish(w->remote, 3, NULL);
	w->remote = NULL;
	run(w);
	expect(w, 1, "out");
	expect(w, 2, "err");
	expect(w, 3,
		"{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with "
		"non-zero exit code: "
		"exit status "
		"3\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":"
		"\"ExitCode\","
		"\"message\":\"3\"}]}}");
	assert_true(w->ws_closed);
	assert_false(w->session_closed);
}

static void websocket_base64(void **state)
{
	struct world *w = *state;

	open_websocket(w, "/exec", "v4.base64.channel.k8s.io");
	websocket_send(w->ws, S("0aGVsbG8="), true);
	websocket_send(w->ws, S("0!!!!"), true);
	websocket_send(w->ws, S("9aGVsbG8="), true);
	run(w);
	assert_true(str_eqc(buf_str(&w->stdin_got), "hello"));
	remote_write_stdout(w->remote, S("hello"));
	remote_finish(w->remote, 0, NULL);
	w->remote = NULL;
	run(w);
	expect(w, 1, "aGVsbG8=");
	expect(w, 3, "eyJtZXRhZGF0YSI6e30sInN0YXR1cyI6IlN1Y2Nlc3MifQ==");
}

static void websocket_large_and_gone(void **state)
{
	struct world *w = *state;
	static char block[300000];

	memset(block, 'x', sizeof(block));
	open_websocket(w, "/exec", "v4.channel.k8s.io");
	remote_write_stdout(w->remote, str_n(block, sizeof(block)));
	assert_true(remote_pending(w->remote) >= sizeof(block));
	run(w);
	assert_int_equal(w->got[1].n, sizeof(block));
	websocket_abort(w->ws);
	w->ws = NULL;
	run(w);
	assert_true(w->session_closed);
}

/* Who saw much pending waits for on_writable; it must come even if one send takes it all. */
static void writable_after_one_send(void **state)
{
	struct world *w = *state;
	static char block[2 * CONN_LOW_WATER];

	open_websocket(w, "/exec", "v5.channel.k8s.io");
	remote_write_stdout(w->remote, str_n(block, sizeof(block)));
	assert_true(remote_pending(w->remote) >= sizeof(block));
	assert_false(w->writable);
	run(w);
	assert_true(w->writable);
	assert_int_equal(remote_pending(w->remote), 0);
	assert_int_equal(w->got[1].n, sizeof(block));
}

static void websocket_stdin_waits(void **state)
{
	struct world *w = *state;

	open_websocket(w, "/exec", "v5.channel.k8s.io");
	remote_stdin_pause(w->remote);
	websocket_send(w->ws, str_n("\0a", 2), false);
	websocket_send(w->ws, str_n("\0b", 2), false);
	run(w);
	assert_int_equal(w->stdin_got.n, 0);
	remote_stdin_resume(w->remote);
	run(w);
	assert_true(str_eqc(buf_str(&w->stdin_got), "ab"));
	remote_finish(w->remote, 0, "it \"broke\"");
	w->remote = NULL;
	run(w);
	expect(w, 3,
		"{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Internal error occurred: it "
		"\\\"broke\\\"\","
		"\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":\"it "
		"\\\"broke\\\"\"}]},"
		"\"code\":500}");
}

static void spdy_exec(void **state)
{
	struct world *w = *state;

	open_spdy(w, "/exec", "v4.channel.k8s.io\r\nX-Stream-Protocol-Version: v3.channel.k8s.io");
	expect_head(w, "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n");
	open_stream(w, 1, "error", NULL);
	open_stream(w, 3, "stdin", NULL);
	open_stream(w, 5, "stdout", NULL);
	assert_false(w->ready);
	open_stream(w, 7, "stderr", NULL);
	assert_true(w->ready);
	open_stream(w, 9, "resize", NULL); /* not with this request */
	assert_true(w->reset[9]);
	spdy_write_data(w->spdy, 3, S("some input"), true);
	run(w);
	assert_true(str_eqc(buf_str(&w->stdin_got), "some input"));
	assert_true(w->stdin_closed);
	remote_write_stdout(w->remote, S("out"));
	remote_write_stderr(w->remote, S("err"));
	remote_finish(w->remote, 0, NULL);
	w->remote = NULL;
	run(w);
	expect(w, 5, "out");
	expect(w, 7, "err");
	expect(w, 1, "{\"metadata\":{},\"status\":\"Success\"}");
	assert_true(w->fin[1] && w->fin[5] && w->fin[7]);
	assert_null(w->c); /* the server ended the connection */
}

static void spdy_terminal_resizes(void **state)
{
	struct world *w = *state;

	w->options.tty = true;
	open_spdy(w, "/exec", "v4.channel.k8s.io");
	open_stream(w, 1, "error", NULL);
	open_stream(w, 3, "stdin", NULL);
	open_stream(w, 5, "stdout", NULL);
	open_stream(w, 7, "resize", NULL);
	assert_true(w->ready);
	spdy_write_data(w->spdy, 7, S("{\"Width\":80,\"Hei"), false);
	run(w);
	assert_int_equal(w->width, 0);
	spdy_write_data(w->spdy, 7, S("ght\":24}\n{\"Width\":100,\"Height\":30}\n"), false);
	run(w);
	assert_int_equal(w->width, 100);
	assert_int_equal(w->height, 30);
	conn_abort(w->c);
	run(w);
	assert_true(w->session_closed);
}

static void spdy_client_that_opens_nothing(void **state)
{
	struct world *w = *state;

	open_spdy(w, "/exec", "v4.channel.k8s.io");
	run_for(w, 29000);
	assert_false(w->session_closed);
	run_for(w, 2000);
	assert_true(w->session_closed);
}

static void spdy_garbage(void **state)
{
	struct world *w = *state;

	open_spdy(w, "/exec", "v4.channel.k8s.io");
	conn_write(w->c, str_n("\x80\x03\0\x01\0\0\0\x10garbagegarbagegarbage", 29));
	run(w);
	assert_true(w->session_closed);
}

static void spdy_ping_is_answered(void **state)
{
	struct world *w = *state;
	static const char ping[] = "\x80\x03\0\x06\0\0\0\x04\0\0\0\x01";

	open_spdy(w, "/exec", "v4.channel.k8s.io");
	spdy_free(w->spdy);
	w->spdy = NULL;
	buf_reset(&w->head);
	conn_write(w->c, str_n(ping, 12));
	run(w);
	assert_int_equal(w->head.n, 12);
	assert_memory_equal(w->head.p, ping, 12);
}

static void exercise_forward(struct world *w)
{
	open_stream(w, 1, "error", "8080");
	open_stream(w, 3, "data", "8080");
	assert_int_equal(w->port, 8080);
	spdy_write_data(w->spdy, 3, S("ping"), false);
	run(w);
	expect(w, 3, "ping");
	spdy_write_data(w->spdy, 3, S(" pong"), true);
	run(w);
	expect(w, 3, "ping pong");
	assert_true(w->forward_eof);
	forward_close(w->f, "lost the pod");
	w->f = NULL;
	run(w);
	expect(w, 1, "lost the pod");
	assert_true(w->fin[1] && w->fin[3]);
	open_stream(w, 5, "data", "99999");
	assert_true(w->reset[5]);
}

static void forward_over_spdy(void **state)
{
	struct world *w = *state;

	open_spdy(w, "/forward", "portforward.k8s.io");
	exercise_forward(w);
	open_stream(w, 7, "error", "80");
	open_stream(w, 9, "data", "80");
	assert_non_null(w->f);
	conn_abort(w->c);
	run(w);
	assert_true(w->forward_reset && w->session_closed);
}

static void forward_over_websocket(void **state)
{
	struct world *w = *state;

	open_websocket(w, "/forward", "SPDY/3.1+portforward.k8s.io");
	w->spdy = spdy_new(&spdy_callbacks, w);
	exercise_forward(w);
	forward_end(w->forward);
	w->forward = NULL;
	run(w);
	assert_true(w->ws_closed);
}

static void refusals(void **state)
{
	static const struct {
		const char *path, *headers, *answer;
	} bad[] = {
		{"/exec", "", "HTTP/1.1 400 "},
		{"/forward", "", "HTTP/1.1 400 "},
		{"/exec", "Upgrade: websocket\r\n", "HTTP/1.1 400 "},
		{"/exec", "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v9\r\n",
			"HTTP/1.1 403 "},
		{"/exec", WS_HEADERS "Sec-WebSocket-Protocol: v9\r\n", "HTTP/1.1 403 "},
		{"/forward", "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v9\r\n",
			"HTTP/1.1 403 "},
		{"/forward", WS_HEADERS, "HTTP/1.1 400 "},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		buf_reset(&w->head);
		request(w, bad[i].path, bad[i].headers);
		expect_head(w, bad[i].answer);
		conn_abort(w->c);
		run(w);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(websocket_exec),
		TEST(websocket_base64),
		TEST(websocket_large_and_gone),
		TEST(writable_after_one_send),
		TEST(websocket_stdin_waits),
		TEST(spdy_exec),
		TEST(spdy_terminal_resizes),
		TEST(spdy_client_that_opens_nothing),
		TEST(spdy_garbage),
		TEST(spdy_ping_is_answered),
		TEST(forward_over_spdy),
		TEST(forward_over_websocket),
		TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
