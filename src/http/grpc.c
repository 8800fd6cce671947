/* One HTTP/2 connection by nghttp2, calls as its streams, five bytes of framing before each
 * message. */
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "http/conn_int.h"
#include "http/grpc.h"

enum {
	PREFIX = 5, /* compressed flag, length: gRPC over HTTP/2, "Length-Prefixed-Message" */
	TIMEOUT_MS = 120 * 1000,
	WINDOW = 1024 * 1024,
	TEXT_MAX = 4096,
};

struct grpc_call {
	struct grpc_client *client;
	struct grpc_call *prev, *next;
	struct grpc_request r;
	char *method;
	struct buf out; /* the request's message with its prefix */
	size_t out_at;
	struct buf in;   /* an unfinished message */
	struct buf text; /* grpc-message */
	int32_t id;      /* 0: not sent yet */
	int status;      /* grpc-status, -1: not seen */
	int http_status;
	struct loop_timer timer;
	bool deferred; /* nghttp2 waits for the next message */
	bool ended; /* no more callbacks; freed when nothing is running */
};

struct grpc_client {
	struct loop *loop;
	char *address;
	struct conn *conn;
	SSL_CTX *ssl_ctx;
	nghttp2_session *ng;
	struct grpc_call *calls, *last;
	struct loop_task task; /* sends, and frees what ended */
	struct loop_timer keepalive;
	int keepalive_ms;
	bool heard; /* something came since the timer was started */
	bool pinged, connecting, posted, busy, freed;
};

static void on_connected(void *user_data, struct conn *c, struct err *err);

static void post(struct grpc_client *c)
{
	if (c->posted)
		return;
	c->posted = true;
	loop_post(c->loop, &c->task);
}

static void call_free(struct grpc_call *call)
{
	struct grpc_client *c = call->client;

	if (call->prev)
		call->prev->next = call->next;
	else
		c->calls = call->next;
	if (call->next)
		call->next->prev = call->prev;
	else
		c->last = call->prev;
	loop_timer_stop(&call->timer);
	buf_release(&call->out);
	buf_release(&call->in);
	buf_release(&call->text);
	free(call->method);
	free(call);
}

/* The call's streams must not find it any more; its memory goes with the next task. */
static void forget(struct grpc_call *call, uint32_t reset)
{
	struct grpc_client *c = call->client;

	call->ended = true;
	loop_timer_stop(&call->timer);
	if (call->id && c->ng) {
		nghttp2_session_set_stream_user_data(c->ng, call->id, NULL);
		if (reset)
			nghttp2_submit_rst_stream(c->ng, NGHTTP2_FLAG_NONE, call->id, reset);
	}
	post(c);
}

static void call_end(struct grpc_call *call, int status, struct str text, uint32_t reset)
{
	if (call->ended)
		return;
	forget(call, reset);
	call->r.on_end(call->r.user_data, status, text);
}

static void on_call_timeout(struct loop_timer *t)
{
	call_end(container_of(t, struct grpc_call, timer), GRPC_DEADLINE_EXCEEDED,
		S("context deadline exceeded"), NGHTTP2_CANCEL);
}

/* The connection is gone: every call that was under way failed. */
static void fail_all(struct grpc_client *c, const char *why)
{
	bool more = true;

	while (more) {
		more = false;
		for (struct grpc_call *call = c->calls; call; call = call->next) {
			if (call->ended)
				continue;
			call->id = 0;
			call_end(call, GRPC_UNAVAILABLE, str_c(why), 0);
			more = true; /* the callback may have changed the list */
			break;
		}
	}
}

static void drop_session(struct grpc_client *c)
{
	loop_timer_stop(&c->keepalive);
	nghttp2_session_del(c->ng);
	c->ng = NULL;
	c->conn = NULL;
}

static void client_free(struct grpc_client *c)
{
	while (c->calls)
		call_free(c->calls);
	loop_timer_stop(&c->keepalive);
	nghttp2_session_del(c->ng);
	SSL_CTX_free(c->ssl_ctx);
	free(c->address);
	free(c);
}

/* Whether nothing will call us back any more. */
static bool may_free(const struct grpc_client *c)
{
	return c->freed && !c->conn && !c->connecting && !c->posted && !c->busy;
}

/* nghttp2's callbacks. */

static ssize_t on_send(nghttp2_session *ng, const uint8_t *p, size_t n, int flags, void *arg)
{
	struct grpc_client *c = arg;

	conn_queue(c->conn, str_n((const char *)p, n));
	return (ssize_t)n;
}

/* grpc-message is percent-encoded. */
static void add_text(struct grpc_call *call, struct str v)
{
	struct arena a;
	struct str plain;

	arena_init(&a);
	if (!http_unescape(&a, v, false, &plain))
		plain = v;
	buf_add(&call->text, plain.p, MIN(plain.n, (size_t)TEXT_MAX));
	arena_release(&a);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
	struct str n = str_n((const char *)name, name_n), v = str_n((const char *)value, value_n);
	int64_t number;

	if (!call)
		return 0;
	if (str_eqc(n, "grpc-status") && str_to_i64(v, &number) == 0)
		call->status = number >= 0 && number <= 16 ? (int)number : GRPC_UNKNOWN;
	else if (str_eqc(n, ":status") && str_to_i64(v, &number) == 0)
		call->http_status = (int)number;
	else if (str_eqc(n, "grpc-message") && !call->text.n)
		add_text(call, v);
	return 0;
}

/* Gives on the messages that are complete. */
static void give_messages(struct grpc_call *call)
{
	size_t at = 0;

	while (!call->ended && call->in.n - at >= PREFIX) {
		const unsigned char *p = (const unsigned char *)call->in.p + at;
		size_t n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];

		if (p[0] || n > GRPC_MESSAGE_MAX) {
			call_end(call, p[0] ? GRPC_INTERNAL : GRPC_RESOURCE_EXHAUSTED,
				p[0] ? S("grpc: compressed message, not asked for")
				     : S("grpc: received message larger than max"),
				NGHTTP2_CANCEL);
			return;
		}
		if (call->in.n - at < PREFIX + n)
			break;
		call->r.on_message(call->r.user_data, str_n((const char *)p + PREFIX, n));
		at += PREFIX + n;
	}
	buf_consume(&call->in, at);
	if (!call->in.n)
		buf_release(&call->in);
}

static int on_data_chunk(
	nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(ng, id);

	if (!call || call->ended)
		return 0;
	buf_add(&call->in, p, n);
	give_messages(call);
	return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(ng, id);
	char why[96];

	if (!call || call->ended)
		return 0;
	call->id = 0;
	nghttp2_session_set_stream_user_data(ng, id, NULL);
	if (call->status >= 0) {
		call_end(call, call->status, buf_str(&call->text), 0);
	} else if (code) {
		snprintf(why, sizeof(why), "stream terminated by RST_STREAM with error code: %s",
			nghttp2_http2_strerror(code));
		call_end(call, code == NGHTTP2_REFUSED_STREAM ? GRPC_UNAVAILABLE : GRPC_INTERNAL,
			str_c(why), 0);
	} else {
		snprintf(why, sizeof(why),
			"server closed the stream without sending trailers (HTTP status %d)",
			call->http_status);
		call_end(call, GRPC_INTERNAL, str_c(why), 0);
	}
	return 0;
}

static ssize_t read_request(nghttp2_session *ng, int32_t id, uint8_t *p, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(ng, id);
	size_t n;

	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = MIN(size, call->out.n - call->out_at);
	memcpy(p, call->out.p + call->out_at, n);
	call->out_at += n;
	if (call->out_at < call->out.n)
		return (ssize_t)n;
	buf_reset(&call->out);
	call->out_at = 0;
	if (!call->r.keep_open) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	} else if (n == 0) {
		call->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	return (ssize_t)n;
}

static nghttp2_session *make_session(struct grpc_client *c)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
	};
	nghttp2_session_callbacks *cb;
	nghttp2_session *ng;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		abort(); /* out of memory */
	nghttp2_session_callbacks_set_send_callback(cb, on_send);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	if (nghttp2_session_client_new(&ng, cb, c) != 0)
		abort(); /* out of memory */
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(ng, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings));
	nghttp2_session_set_local_window_size(ng, NGHTTP2_FLAG_NONE, 0, 4 * WINDOW);
	return ng;
}

/* Sending. */

static void submit(struct grpc_client *c, struct grpc_call *call)
{
#define NV(n, v)                                                                                   \
	{                                                                                          \
		(uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), NGHTTP2_NV_FLAG_NONE         \
	}
	const char *authority = c->address[0] == 'u' && strncmp(c->address, "unix:", 5) == 0
					? "localhost"
					: c->address;
	const char *extra = call->r.metadata_name;
	nghttp2_nv nv[] = {
		NV(":method", "POST"),
		NV(":scheme", c->ssl_ctx ? "https" : "http"),
		NV(":path", call->method),
		NV(":authority", authority),
		NV("content-type", "application/grpc"),
		NV("te", "trailers"),
		NV("user-agent", "sampan/" SAMPAN_VERSION),
		NV(extra ? extra : "", extra ? call->r.metadata_value : ""),
	};
#undef NV
	nghttp2_data_provider body = {.read_callback = read_request};
	int32_t id = nghttp2_submit_request(
		c->ng, NULL, nv, ARRAY_SIZE(nv) - (extra ? 0 : 1), &body, call);

	if (id < 0)
		call_end(call, GRPC_UNAVAILABLE, S("no more streams on this connection"), 0);
	else
		call->id = id;
}

static void connect_again(struct grpc_client *c)
{
	c->connecting = true;
	conn_connect(c->loop,
		&(struct conn_connect_opts){.address = str_c(c->address),
			.ssl_ctx = c->ssl_ctx,
			.alpn = c->ssl_ctx ? "h2" : NULL},
		on_connected, c);
}

/* Sends what waits and frees what ended. */
static void on_task(struct loop_task *t)
{
	struct grpc_client *c = container_of(t, struct grpc_client, task);
	struct grpc_call *next;
	bool waiting = false;

	c->posted = false;
	if (c->freed) {
		if (may_free(c))
			client_free(c);
		return;
	}
	c->busy = true;
	for (struct grpc_call *call = c->calls; call; call = next) {
		next = call->next;
		if (call->ended)
			call_free(call);
		else if (!call->id && c->ng)
			submit(c, call);
		else if (!call->id)
			waiting = true;
	}
	if (c->ng &&
		(nghttp2_session_send(c->ng) != 0 ||
			(!nghttp2_session_want_read(c->ng) && !nghttp2_session_want_write(c->ng))))
		conn_close(c->conn);
	if (c->conn)
		conn_flush(c->conn);
	c->busy = false;
	if (waiting && !c->conn && !c->connecting)
		connect_again(c);
	if (may_free(c))
		client_free(c);
}

/* Events of the connection. */

static void conn_data(struct conn *conn, struct str bytes)
{
	struct grpc_client *c = conn->user_data;
	ssize_t n;

	if (c->freed)
		return;
	c->heard = true;
	c->busy = true;
	n = nghttp2_session_mem_recv(c->ng, (const uint8_t *)bytes.p, bytes.n);
	c->busy = false;
	if (n < 0)
		conn_abort(conn);
	post(c);
}

static void conn_eof(struct conn *conn)
{
	conn_close(conn);
}

static void conn_gone(struct conn *conn, int status)
{
	struct grpc_client *c = conn->user_data;

	drop_session(c);
	if (!c->freed) {
		c->busy = true;
		fail_all(c, status ? strerror(-status) : "error reading from server: EOF");
		c->busy = false;
	}
	if (may_free(c))
		client_free(c);
}

static const struct conn_events grpc_conn_events = {
	.on_data = conn_data,
	.on_eof = conn_eof,
	.on_close = conn_gone,
};

static void on_connected(void *user_data, struct conn *conn, struct err *err)
{
	struct grpc_client *c = user_data;

	c->connecting = false;
	if (!conn) {
		if (!c->freed) {
			c->busy = true;
			fail_all(c, err_text(err));
			c->busy = false;
		}
		if (may_free(c))
			client_free(c);
		return;
	}
	c->conn = conn;
	conn->events = &grpc_conn_events;
	conn->user_data = c;
	c->ng = make_session(c);
	if (c->freed) {
		conn_abort(conn);
		return;
	}
	conn_read_start(conn);
	c->pinged = false;
	if (c->keepalive_ms)
		loop_timer_start(&c->keepalive, c->keepalive_ms);
	post(c);
}

/* A peer that vanished without a word shows by silence only. */
static void on_keepalive(struct loop_timer *t)
{
	struct grpc_client *c = container_of(t, struct grpc_client, keepalive);

	if (c->pinged && !c->heard) {
		conn_abort(c->conn);
		return;
	}
	c->pinged = !c->heard;
	c->heard = false;
	if (c->pinged) {
		nghttp2_submit_ping(c->ng, NGHTTP2_FLAG_NONE, NULL);
		post(c);
	}
	loop_timer_start(t, c->keepalive_ms);
}

/* The client. */

struct grpc_client *grpc_client_open(struct loop *loop, const struct grpc_client_opts *opts)
{
	struct grpc_client *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->address = xasprintf(STR_FMT, STR_ARG(opts->address));
	c->task.fn = on_task;
	c->ssl_ctx = opts->ssl_ctx;
	if (c->ssl_ctx)
		SSL_CTX_up_ref(c->ssl_ctx);
	c->keepalive_ms = opts->keepalive_ms;
	loop_timer_init(&c->keepalive, loop, on_keepalive);
	return c;
}

struct grpc_client *grpc_client_new(struct loop *loop, struct str address)
{
	return grpc_client_open(loop, &(struct grpc_client_opts){.address = address});
}

void grpc_client_free(struct grpc_client *c)
{
	if (!c)
		return;
	for (struct grpc_call *call = c->calls; call; call = call->next)
		if (!call->ended)
			forget(call, 0);
	c->freed = true;
	if (c->conn)
		conn_abort(c->conn);
	if (may_free(c))
		client_free(c);
}

/* Last, so that calls leave in the order in which they were made. */
static void call_append(struct grpc_client *c, struct grpc_call *call)
{
	call->prev = c->last;
	*(c->last ? &c->last->next : &c->calls) = call;
	c->last = call;
}

/* With the five bytes in front that gRPC puts there. */
static void add_message(struct grpc_call *call, struct str message)
{
	const unsigned char prefix[PREFIX] = {0, (unsigned char)(message.n >> 24),
		(unsigned char)(message.n >> 16), (unsigned char)(message.n >> 8),
		(unsigned char)message.n};

	buf_add(&call->out, prefix, PREFIX);
	buf_add_str(&call->out, message);
}

void grpc_call_send(struct grpc_call *call, struct str message)
{
	struct grpc_client *c = call->client;

	assert(call->r.keep_open);
	if (call->ended)
		return;
	add_message(call, message);
	if (call->deferred && call->id && c->ng) {
		call->deferred = false;
		nghttp2_session_resume_data(c->ng, call->id);
	}
	post(c);
}

struct grpc_call *grpc_call_new(struct grpc_client *c, const struct grpc_request *r)
{
	struct grpc_call *call = xcalloc(1, sizeof(*call));

	call->client = c;
	call->r = *r;
	call->r.message = (struct str){0};
	call->method = xstrdup(r->method);
	call->status = -1;
	buf_init(&call->out, r->keep_open ? GRPC_MESSAGE_MAX : r->message.n + PREFIX);
	add_message(call, r->message);
	buf_init(&call->in, GRPC_MESSAGE_MAX + PREFIX + WINDOW);
	buf_init(&call->text, TEXT_MAX);
	loop_timer_init(&call->timer, c->loop, on_call_timeout);
	if (r->timeout_ms >= 0)
		loop_timer_start(&call->timer, r->timeout_ms ? r->timeout_ms : TIMEOUT_MS);
	call_append(c, call);
	post(c);
	return call;
}

void grpc_call_cancel(struct grpc_call *call)
{
	if (!call->ended)
		forget(call, NGHTTP2_CANCEL);
}
