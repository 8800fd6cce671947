/* HTTP/2: the server against nghttp2's client over an in-process connection on a simulated loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "http/conn.h"
#include "http/server.h"

enum { STREAMS = 64 };

struct answer {
	int status;
	struct buf body;
	bool closed;
	uint32_t error;
};

struct world {
	struct sim_clock *clock;
	struct loop *loop;
	struct http_server *server;
	struct http_handler handler;
	bool server_done;
	int requests, closes, writable;
	struct http_exchange *kept;
	struct conn *c;
	nghttp2_session *ng;
	struct answer answers[STREAMS]; /* by stream id */
	struct str upload;
	bool eof;
};

static void run_for(struct world *w, int64_t ms)
{
	int64_t until = sim_clock_now_ms(w->clock) + ms;

	do {
		if (w->c)
			nghttp2_session_send(w->ng);
	} while (sim_clock_step(w->clock, until));
}

static void run(struct world *w)
{
	run_for(w, 0);
}

static void on_close(struct http_exchange *x)
{
	struct world *w = x->user_data;

	w->closes++;
	if (w->kept == x)
		w->kept = NULL;
}

static void on_writable(struct http_exchange *x)
{
	((struct world *)x->user_data)->writable++;
}

static void handle(struct http_handler *h, struct http_exchange *x)
{
	struct world *w = container_of(h, struct world, handler);

	w->requests++;
	x->user_data = w;
	x->on_close = on_close;
	x->on_writable = on_writable;
	assert_int_equal(x->version, 20);
	assert_true(str_eqc(http_get_header(x, "Host"), "test"));
	if (str_eqc(x->path, "/hello"))
		http_respond(x, 200, "text/plain", S("hello"));
	else if (str_eqc(x->path, "/echo"))
		http_respond(x, 201, "text/plain", x->body);
	else if (str_eqc(x->path, "/large"))
		http_respond(x, 200, NULL, str_n(arena_alloc(&x->arena, 3000000), 3000000));
	else
		w->kept = x;
}

static ssize_t client_send(nghttp2_session *ng, const uint8_t *p, size_t n, int flags, void *arg)
{
	struct world *w = arg;

	if (w->c)
		conn_write(w->c, str_n((const char *)p, n));
	return (ssize_t)n;
}

static int client_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
	struct world *w = arg;
	int64_t status;

	if (str_eqc(str_n((const char *)name, name_n), ":status")) {
		assert_int_equal(str_to_i64(str_n((const char *)value, value_n), &status), 0);
		w->answers[frame->hd.stream_id].status = (int)status;
	}
	return 0;
}

static int client_chunk(
	nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	buf_add(&((struct world *)arg)->answers[id].body, p, n);
	return 0;
}

static int client_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
	struct world *w = arg;

	w->answers[id].closed = true;
	w->answers[id].error = code;
	return 0;
}

static ssize_t upload(nghttp2_session *ng, int32_t id, uint8_t *p, size_t size, uint32_t *flags,
	nghttp2_data_source *source, void *arg)
{
	struct world *w = arg;
	size_t n = MIN(size, w->upload.n);

	memcpy(p, w->upload.p, n);
	w->upload = str_sub(w->upload, n, w->upload.n);
	if (!w->upload.n)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static void client_data(struct conn *c, struct str bytes)
{
	struct world *w = c->user_data;

	nghttp2_session_mem_recv(w->ng, (const uint8_t *)bytes.p, bytes.n);
}

static void client_eof(struct conn *c)
{
	((struct world *)c->user_data)->eof = true;
	conn_close(c);
}

static void client_closed(struct conn *c, int status)
{
	((struct world *)c->user_data)->c = NULL;
}

static const struct conn_events client_events = {
	.on_data = client_data, .on_eof = client_eof, .on_close = client_closed};

static int32_t ask(struct world *w, const char *method, const char *path, struct str body)
{
#define NV(n, v) {(uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), 0}
	nghttp2_nv nv[] = {NV(":method", method), NV(":path", path), NV(":scheme", "http"),
		NV(":authority", "test")};
	nghttp2_data_provider data = {.read_callback = upload};

	w->upload = body;
	return nghttp2_submit_request(w->ng, NULL, nv, ARRAY_SIZE(nv), body.n ? &data : NULL, NULL);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	nghttp2_session_callbacks *cb;
	struct err err = {0};
	struct conn *theirs;

	w->clock = sim_clock_new(1, 0);
	w->loop = loop_new_sim(w->clock);
	w->handler.handle = handle;
	for (int i = 0; i < STREAMS; i++)
		buf_init(&w->answers[i].body, 1 << 23);
	http_server_new(w->loop,
		&(struct http_server_opts){.port = -1, .handler = &w->handler, .body_max = 100000},
		&w->server, &err);
	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_send_callback(cb, client_send);
	nghttp2_session_callbacks_set_on_header_callback(cb, client_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, client_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, client_stream_close);
	nghttp2_session_client_new(&w->ng, cb, w);
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(w->ng, 0, NULL, 0);
	conn_pair(w->loop, w->loop, &w->c, &theirs);
	w->c->events = &client_events;
	w->c->user_data = w;
	conn_read_start(w->c);
	http_server_add_conn(w->server, theirs);
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
	w->c = NULL;
	run(w);
	if (!w->server_done)
		http_server_close(w->server, 0, server_gone, w);
	run(w);
	assert_true(w->server_done);
	assert_null(w->kept);
	assert_int_equal(w->closes, w->requests);
	nghttp2_session_del(w->ng);
	for (int i = 0; i < STREAMS; i++)
		buf_release(&w->answers[i].body);
	loop_free(w->loop);
	sim_clock_free(w->clock);
	free(w);
	return 0;
}

static void many_at_once(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 20; i++)
		ask(w, "GET", "/hello", (struct str){0});
	run(w);
	for (int id = 1; id < 40; id += 2) {
		assert_int_equal(w->answers[id].status, 200);
		assert_true(str_eqc(buf_str(&w->answers[id].body), "hello"));
		assert_true(w->answers[id].closed);
		assert_int_equal(w->answers[id].error, 0);
	}
}

static void bodies(void **state)
{
	struct world *w = *state;
	static char body[90000];
	int32_t id;

	memset(body, 'x', sizeof(body));
	id = ask(w, "POST", "/echo", str_n(body, sizeof(body)));
	run(w);
	assert_int_equal(w->answers[id].status, 201);
	assert_int_equal(w->answers[id].body.n, sizeof(body));
	id = ask(w, "GET", "/large", (struct str){0});
	run(w);
	assert_int_equal(w->answers[id].body.n, 3000000);
	id = ask(w, "HEAD", "/hello", (struct str){0});
	run(w);
	assert_int_equal(w->answers[id].status, 200);
	assert_int_equal(w->answers[id].body.n, 0);
	assert_true(w->answers[id].closed);
}

static void too_large(void **state)
{
	struct world *w = *state;
	static char body[200000];
	int32_t id = ask(w, "POST", "/echo", str_n(body, sizeof(body)));

	run(w);
	assert_int_equal(w->answers[id].status, 413);
	assert_int_equal(w->requests, 0);
}

static void streams_with_backpressure(void **state)
{
	struct world *w = *state;
	int32_t watch = ask(w, "GET", "/watch", (struct str){0}), id;
	static char block[200000];

	run(w);
	http_start(w->kept, 200);
	run(w);
	assert_int_equal(w->answers[watch].status, 200);
	http_write(w->kept, S("one "));
	run(w);
	http_write(w->kept, S("two"));
	run(w);
	assert_true(str_eqc(buf_str(&w->answers[watch].body), "one two"));
	nghttp2_session_set_local_window_size(w->ng, 0, watch, 0);
	run(w);
	http_write(w->kept, str_n(block, sizeof(block)));
	run(w);
	id = ask(w, "GET", "/hello", (struct str){0}); /* others go on */
	run(w);
	assert_int_equal(w->answers[id].status, 200);
	assert_int_equal(w->writable, 0);
	nghttp2_session_set_local_window_size(w->ng, 0, watch, 1 << 20);
	run(w);
	assert_int_equal(w->writable, 1);
	http_end(w->kept);
	run(w);
	assert_true(w->answers[watch].closed);
	assert_int_equal(w->answers[watch].body.n, 7 + sizeof(block));
}

static void aborts_and_resets(void **state)
{
	struct world *w = *state;
	int32_t id = ask(w, "GET", "/watch", (struct str){0});

	run(w);
	http_start(w->kept, 200);
	http_abort(w->kept);
	run(w);
	assert_int_equal(w->answers[id].error, NGHTTP2_INTERNAL_ERROR);
	id = ask(w, "GET", "/watch", (struct str){0});
	run(w);
	assert_non_null(w->kept);
	nghttp2_submit_rst_stream(w->ng, 0, id, NGHTTP2_CANCEL);
	run(w);
	assert_null(w->kept);
	id = ask(w, "GET", "/hello", (struct str){0});
	run(w);
	assert_int_equal(w->answers[id].status, 200);
}

static void garbage_after_the_preface(void **state)
{
	struct world *w = *state;

	run(w);
	conn_write(w->c, S("\xff\xff\xff\xff garbage garbage garbage garbage"));
	run(w);
	assert_true(w->eof);
}

static void idle_connections_go(void **state)
{
	struct world *w = *state;

	ask(w, "GET", "/hello", (struct str){0});
	run_for(w, 179000);
	assert_false(w->eof);
	run_for(w, 2000);
	assert_true(w->eof);
}

static void drains(void **state)
{
	struct world *w = *state;
	int32_t id = ask(w, "GET", "/watch", (struct str){0});

	run(w);
	http_server_close(w->server, 5000, server_gone, w);
	run(w);
	assert_false(w->server_done);
	http_respond(w->kept, 200, NULL, S("bye"));
	run(w);
	assert_true(str_eqc(buf_str(&w->answers[id].body), "bye"));
	run(w);
	assert_true(w->server_done);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(many_at_once),
		TEST(bodies),
		TEST(too_large),
		TEST(streams_with_backpressure),
		TEST(aborts_and_resets),
		TEST(garbage_after_the_preface),
		TEST(idle_connections_go),
		TEST(drains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
