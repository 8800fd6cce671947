/*
 * HTTP/2 on a connection, by nghttp2: many exchanges at once.
 *
 * nghttp2 pulls the bodies: as many bytes as the client's windows and our connection's queue have
 * room for. It must not be asked to send from inside its own callbacks, so answers given there
 * leave when its input has been read (`busy`).
 */
#include <nghttp2/nghttp2.h>

#include "api/object.h"
#include "http/http1.h"
#include "http/server_int.h"

enum {
	STREAMS_MAX = 250,
	STREAM_WINDOW = 256 * 1024,
	CONNECTION_WINDOW = 1024 * 1024,
	QUEUE_MAX = 256 * 1024, /* unsent output up to which nghttp2 is asked for more */
	BORROW_MIN = 1024,
};

struct h2_exchange {
	struct http_exchange x;
	struct h2 *h2;
	struct h2_exchange *prev, *next;
	int32_t id;
	struct outq body; /* written, not yet in frames */
	struct buf request_body;
	size_t head_size; /* of the request */
	bool dispatched, detached, head_sent, deferred, head_only, refused, above, tell_writable;
};

struct h2 {
	struct session s;
	nghttp2_session *ng;
	struct h2_exchange *exchanges;
	struct loop_task task;
	bool posted, busy, draining, gone;
};

static struct h2_exchange *ex_of(struct http_exchange *x)
{
	return container_of(x, struct h2_exchange, x);
}

static void post(struct h2 *h)
{
	if (h->posted)
		return;
	h->posted = true;
	loop_post(h->s.server->loop, &h->task);
}

static void set_deadline(struct h2 *h)
{
	bool running = false, waiting = false;

	for (struct h2_exchange *ex = h->exchanges; ex; ex = ex->next) {
		running |= ex->dispatched && !ex->detached;
		waiting |= !ex->dispatched;
	}
	if (running)
		session_deadline(&h->s, -1);
	else if (waiting)
		session_deadline(&h->s, h->s.server->o.header_timeout_ms);
	else
		session_deadline(&h->s, h->exchanges ? WRITE_TIMEOUT_MS : IDLE_TIMEOUT_MS);
}

/* Exchanges. */

static void exchange_free(struct h2_exchange *ex)
{
	struct h2 *h = ex->h2;

	if (ex->prev)
		ex->prev->next = ex->next;
	else
		h->exchanges = ex->next;
	if (ex->next)
		ex->next->prev = ex->prev;
	outq_release(&ex->body);
	buf_release(&ex->request_body);
	arena_release(&ex->x.arena);
	free(ex);
}

/* The handler's part is over; the memory stays until the stream is closed. */
static void detach(struct h2_exchange *ex)
{
	if (ex->detached)
		return;
	ex->detached = true;
	if (ex->dispatched && ex->x.on_close)
		ex->x.on_close(&ex->x);
}

/* Lets nghttp2 put what it has on the connection. */
static void send_now(struct h2 *h)
{
	if (h->busy || h->gone)
		return;
	h->busy = true;
	if (nghttp2_session_send(h->ng) != 0)
		conn_abort(h->s.conn);
	else
		conn_flush(h->s.conn);
	h->busy = false;
	if ((h->draining && !h->exchanges) ||
		(!nghttp2_session_want_read(h->ng) && !nghttp2_session_want_write(h->ng)))
		conn_close(h->s.conn);
	set_deadline(h);
}

/* The answer. */

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *p, size_t size, uint32_t *flags,
	nghttp2_data_source *source, void *arg)
{
	struct h2_exchange *ex = source->ptr;
	struct str part;

	if (outq_empty(&ex->body) && !ex->x.ended) {
		ex->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	part = outq_front(&ex->body, (char *)p, size);
	if (part.n && part.p != (char *)p)
		memcpy(p, part.p, part.n);
	outq_consume(&ex->body, part.n);
	if (outq_empty(&ex->body) && ex->x.ended)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	ex->x.pending = ex->body.bytes;
	if (ex->above && ex->x.pending <= CONN_LOW_WATER) {
		ex->above = false;
		ex->tell_writable = true;
		post(ex->h2);
	}
	return (ssize_t)part.n;
}

static bool hop_by_hop(struct str name)
{
	return str_ieq(name, S("connection")) || str_ieq(name, S("transfer-encoding")) ||
	       str_ieq(name, S("keep-alive")) || str_ieq(name, S("upgrade"));
}

static nghttp2_nv make_nv(struct arena *a, struct str name, struct str value)
{
	struct str lower = arena_str(a, name);
	char *p = (char *)lower.p;

	for (size_t i = 0; i < lower.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] + 32);
	return (nghttp2_nv){(uint8_t *)lower.p, (uint8_t *)(value.p ? value.p : ""), lower.n,
		value.n, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static void submit_head(struct h2_exchange *ex)
{
	struct arena *a = &ex->x.arena;
	nghttp2_nv *nv = arena_alloc(a, (ex->x.n_out_headers + 3) * sizeof(*nv));
	nghttp2_data_provider body = {.source.ptr = ex, .read_callback = read_body};
	bool length = false, date = false,
	     no_body = ex->head_only || ex->x.status == 204 || ex->x.status == 304;
	size_t n = 0;

	nv[n++] = make_nv(a, S(":status"), arena_fmt(a, "%d", ex->x.status));
	for (size_t i = 0; i < ex->x.n_out_headers; i++) {
		struct http_header *o = &ex->x.out_headers[i];

		assert(http1_is_token(o->name));
		if (hop_by_hop(o->name) || !http1_is_field_value(o->value))
			continue;
		length |= str_ieq(o->name, S("content-length"));
		date |= str_ieq(o->name, S("date"));
		nv[n++] = make_nv(a, o->name, o->value);
	}
	if (!date)
		nv[n++] = make_nv(a, S("date"), arena_strc(a, server_date(ex->h2->s.server)));
	if (!length && ex->x.ended && ex->x.status != 204 && ex->x.status != 304)
		nv[n++] = make_nv(a, S("content-length"), arena_fmt(a, "%zu", ex->body.bytes));
	ex->head_sent = true;
	nghttp2_submit_response(ex->h2->ng, ex->id, nv, n, no_body ? NULL : &body);
	if (no_body)
		outq_release(&ex->body);
}

/* Hands over what was written; it leaves now, or when nghttp2 is done with what it is doing. */
static void push(struct h2_exchange *ex)
{
	if (!ex->x.started)
		return;
	if (!ex->head_sent)
		submit_head(ex);
	if (ex->deferred && (ex->body.bytes || ex->x.ended)) {
		ex->deferred = false;
		nghttp2_session_resume_data(ex->h2->ng, ex->id);
	}
}

static void note_written(struct h2_exchange *ex)
{
	ex->x.pending = ex->body.bytes;
	ex->above |= ex->x.pending > CONN_LOW_WATER;
	post(ex->h2);
}

static void h2_start(struct http_exchange *x)
{
	post(ex_of(x)->h2);
}

static void h2_write(struct http_exchange *x, struct str bytes)
{
	outq_add(&ex_of(x)->body, bytes);
	note_written(ex_of(x));
}

static void unref_object(void *o)
{
	object_unref(o);
}

static void h2_write_object(struct http_exchange *x, struct str bytes, const struct object *o)
{
	if (bytes.n < BORROW_MIN)
		outq_add(&ex_of(x)->body, bytes);
	else
		outq_add_ref(&ex_of(x)->body, bytes, unref_object, object_ref(o));
	note_written(ex_of(x));
}

static void h2_flush(struct http_exchange *x)
{
	push(ex_of(x));
	send_now(ex_of(x)->h2);
}

static void h2_end(struct http_exchange *x)
{
	struct h2_exchange *ex = ex_of(x);
	struct h2 *h = ex->h2;

	push(ex);
	detach(ex);
	send_now(h); /* may free ex */
}

static void h2_abort(struct http_exchange *x)
{
	struct h2_exchange *ex = ex_of(x);
	struct h2 *h = ex->h2;

	nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, ex->id, NGHTTP2_INTERNAL_ERROR);
	detach(ex);
	send_now(h);
}

static struct conn *h2_upgrade(struct http_exchange *x, struct err *err)
{
	err_bad_request(err, "unable to upgrade: HTTP/2 connections cannot be upgraded");
	return NULL;
}

static const struct http_exchange_ops h2_exchange_ops = {
	.start = h2_start,
	.write = h2_write,
	.write_object = h2_write_object,
	.flush = h2_flush,
	.end = h2_end,
	.abort = h2_abort,
	.upgrade = h2_upgrade,
};

static struct h2_exchange *exchange_new(struct h2 *h, int32_t id)
{
	struct h2_exchange *ex = xcalloc(1, sizeof(*ex));

	ex->h2 = h;
	ex->id = id;
	ex->x.loop = h->s.server->loop;
	ex->x.ops = &h2_exchange_ops;
	ex->x.version = 20;
	arena_init(&ex->x.arena);
	buf_init(&ex->request_body, h->s.server->o.body_max);
	ex->next = h->exchanges;
	if (ex->next)
		ex->next->prev = ex;
	h->exchanges = ex;
	return ex;
}

/* nghttp2's callbacks. */

static ssize_t on_send(nghttp2_session *ng, const uint8_t *p, size_t n, int flags, void *arg)
{
	struct h2 *h = arg;

	if (h->s.conn->pending > QUEUE_MAX) {
		conn_flush(h->s.conn);
		if (h->s.conn->pending > QUEUE_MAX)
			return NGHTTP2_ERR_WOULDBLOCK;
	}
	conn_queue(h->s.conn, str_n((const char *)p, n));
	return (ssize_t)n;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		nghttp2_session_set_stream_user_data(
			ng, frame->hd.stream_id, exchange_new(arg, frame->hd.stream_id));
	return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
	struct h2_exchange *ex = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
	struct str n = str_n((const char *)name, name_n), v = str_n((const char *)value, value_n);
	struct http_exchange *x;

	if (!ex || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0; /* trailers */
	x = &ex->x;
	ex->head_size += name_n + value_n + 32;
	if (ex->head_size > HEAD_MAX || x->n_headers >= HEADERS_MAX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	v = arena_str(&x->arena, v);
	if (str_eqc(n, ":method")) {
		x->method = v;
		return 0;
	}
	if (str_eqc(n, ":path")) {
		ex->refused = !exchange_set_target(x, v);
		return 0;
	}
	if (str_eqc(n, ":authority"))
		n = S("host");
	else if (name_n && name[0] == ':')
		return 0;
	x->headers = arena_grow(&x->arena, x->headers, x->n_headers, sizeof(x->headers[0]));
	x->headers[x->n_headers++] = (struct http_header){arena_str(&x->arena, n), v};
	return 0;
}

static void dispatch(struct h2_exchange *ex)
{
	struct http_handler *handler = ex->h2->s.server->o.handler;
	struct http_exchange *x = &ex->x;

	x->peer = *conn_peer(ex->h2->s.conn);
	x->peer.user = ex->h2->s.server->o.user;
	x->body = buf_str(&ex->request_body);
	ex->head_only = str_eq(x->method, S("HEAD"));
	ex->dispatched = true;
	if (ex->refused)
		http_respond(x, 400, "text/plain; charset=utf-8",
			S("400 Bad Request: malformed request target"));
	else
		handler->handle(handler, x);
}

static int on_data_chunk(
	nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	struct h2_exchange *ex = nghttp2_session_get_stream_user_data(ng, id);

	if (!ex || ex->dispatched)
		return 0;
	buf_add(&ex->request_body, p, n);
	if (buf_failed(&ex->request_body)) {
		ex->dispatched = true; /* as if a handler had answered */
		http_respond_too_large(&ex->x, ex->h2->s.server->o.body_max);
	}
	return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2_exchange *ex;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	ex = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
	if (ex && !ex->dispatched && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		dispatch(ex);
	return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
	struct h2_exchange *ex = nghttp2_session_get_stream_user_data(ng, id);

	if (ex) {
		nghttp2_session_set_stream_user_data(ng, id, NULL);
		detach(ex);
		exchange_free(ex);
	}
	return 0;
}

/* Events of the connection. */

static void h2_free(struct h2 *h)
{
	nghttp2_session_del(h->ng);
	free(h);
}

static void read_input(struct h2 *h, struct str bytes)
{
	ssize_t n;

	h->busy = true;
	n = nghttp2_session_mem_recv(h->ng, (const uint8_t *)bytes.p, bytes.n);
	h->busy = false;
	if (n < 0)
		nghttp2_session_terminate_session(h->ng, NGHTTP2_PROTOCOL_ERROR);
	send_now(h);
	if (n < 0)
		conn_close(h->s.conn);
}

static void h2_data(struct conn *c, struct str bytes)
{
	read_input(c->user_data, bytes);
}

static void h2_eof(struct conn *c)
{
	conn_close(c);
}

static void h2_writable(struct conn *c)
{
	send_now(c->user_data);
}

static void h2_close(struct conn *c, int status)
{
	struct h2 *h = c->user_data;

	h->gone = true;
	h->busy = true;
	while (h->exchanges) {
		detach(h->exchanges);
		exchange_free(h->exchanges);
	}
	session_release(&h->s);
	if (!h->posted)
		h2_free(h);
}

static const struct conn_events h2_events = {
	.on_data = h2_data,
	.on_eof = h2_eof,
	.on_writable = h2_writable,
	.on_close = h2_close,
};

/* The first exchange that waits to be told; telling may end any of them. */
static struct h2_exchange *to_tell(struct h2 *h)
{
	for (struct h2_exchange *ex = h->exchanges; ex; ex = ex->next)
		if (ex->tell_writable)
			return ex;
	return NULL;
}

static void on_task(struct loop_task *t)
{
	struct h2 *h = container_of(t, struct h2, task);
	struct h2_exchange *ex;

	h->posted = false;
	if (h->gone) {
		h2_free(h);
		return;
	}
	while ((ex = to_tell(h))) {
		ex->tell_writable = false;
		if (!ex->detached && ex->x.on_writable)
			ex->x.on_writable(&ex->x);
	}
	for (ex = h->exchanges; ex; ex = ex->next)
		push(ex);
	send_now(h);
}

static void h2_drain(struct session *s)
{
	struct h2 *h = container_of(s, struct h2, s);

	h->draining = true;
	nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(h->ng), NGHTTP2_NO_ERROR, NULL, 0);
	send_now(h);
}

static void h2_timeout(struct session *s)
{
	struct h2 *h = container_of(s, struct h2, s);

	nghttp2_session_terminate_session(h->ng, NGHTTP2_NO_ERROR);
	send_now(h);
	conn_close(s->conn);
}

static const struct session_ops h2_session_ops = {.drain = h2_drain, .timeout = h2_timeout};

static nghttp2_session *make_session(struct h2 *h)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEAD_MAX},
	};
	nghttp2_session_callbacks *cb;
	nghttp2_session *ng;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		abort(); /* out of memory */
	nghttp2_session_callbacks_set_send_callback(cb, on_send);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	if (nghttp2_session_server_new(&ng, cb, h) != 0)
		abort(); /* out of memory */
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(ng, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings));
	nghttp2_session_set_local_window_size(ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
	return ng;
}

void h2_session_new(struct http_server *s, struct conn *c, struct str input)
{
	struct h2 *h = xcalloc(1, sizeof(*h));

	session_init(&h->s, s, c, &h2_session_ops);
	h->task.fn = on_task;
	h->ng = make_session(h);
	c->events = &h2_events;
	c->user_data = h;
	conn_read_start(c);
	read_input(h, input);
}
