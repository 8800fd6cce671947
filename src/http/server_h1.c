/*
 * HTTP/1.1 on a connection: one exchange at a time, pipelined requests wait in the buffer.
 *
 * Output of an exchange collects in its own queue until it is flushed: by its end, by http_flush,
 * or at the end of the loop's turn. So an answer given in one turn leaves with its length in one
 * write, and a stream's writes of one turn make one chunk.
 */
#include "api/object.h"
#include "http/http1.h"
#include "http/server_int.h"

enum {
	PIPELINE_MAX = 64 * 1024, /* input kept while an exchange is under way */
	BORROW_MIN = 1024,        /* below, a reference costs more than the copy */
	SPLICE_MIN = 16 * 1024,   /* a body that large is sent from where it is */
};

struct h1_exchange {
	struct http_exchange x;
	struct h1 *h1;
	struct outq body; /* written, not flushed */
	struct buf request_body;
	bool head_sent, chunked, head_only, no_body, until_close;
	int64_t declared; /* Content-Length that the handler gave, or -1 */
	int64_t sent;     /* body bytes */
};

struct h1 {
	struct session s;
	struct http1_reader reader;
	struct buf in;          /* input not used yet */
	struct str input;       /* inside process(): what is left to read, in `in` or elsewhere */
	struct h1_exchange *ex; /* the one under way, from its first byte on */
	struct loop_task task;  /* flushes at the end of the turn; goes on with pipelined input */
	bool posted, want_flush, want_process;
	bool dispatched;     /* ex is with the handler */
	bool busy;           /* inside our own code: defers what would free us */
	bool answered;       /* HTTP/1.1 it is */
	bool processing;     /* inside process() */
	size_t pending_seen; /* unsent output when the deadline was set */
	bool keep_alive, close_after, lingering, eof, waits_for_output;
	bool gone; /* the connection is not ours any more */
};

static void process(struct h1 *h, struct str input);
static const struct http_exchange_ops h1_exchange_ops;

static struct h1_exchange *ex_of(struct http_exchange *x)
{
	return container_of(x, struct h1_exchange, x);
}

static void post(struct h1 *h)
{
	if (h->posted)
		return;
	h->posted = true;
	loop_post(h->s.server->loop, &h->task);
}

static void h1_free(struct h1 *h)
{
	assert(!h->ex);
	buf_release(&h->in);
	free(h);
}

/* The connection is gone or handed over. Freed now, or by whoever is still using us. */
static void let_go(struct h1 *h)
{
	h->gone = true;
	session_release(&h->s);
	if (!h->busy && !h->posted)
		h1_free(h);
}

static struct h1_exchange *exchange_new(struct h1 *h)
{
	struct h1_exchange *ex = xcalloc(1, sizeof(*ex));

	ex->h1 = h;
	ex->declared = -1;
	ex->x.loop = h->s.server->loop;
	ex->x.ops = &h1_exchange_ops;
	arena_init(&ex->x.arena);
	buf_init(&ex->request_body, h->s.server->o.body_max);
	return ex;
}

static void exchange_free(struct h1 *h)
{
	struct h1_exchange *ex = h->ex;

	h->ex = NULL;
	h->dispatched = false;
	outq_release(&ex->body);
	buf_release(&ex->request_body);
	arena_release(&ex->x.arena);
	free(ex);
}

/* Ends the exchange for the handler, then frees it. */
static void exchange_close(struct h1 *h)
{
	struct http_exchange *x = &h->ex->x;

	if (h->dispatched && x->on_close)
		x->on_close(x);
	exchange_free(h);
}

/* What we are waiting for decides how long. A handler may take its time; so may the reader of a
 * stream. */
static void set_deadline(struct h1 *h)
{
	if (h->lingering)
		return;
	h->pending_seen = h->s.conn->pending;
	if (h->dispatched)
		session_deadline(&h->s, -1);
	else if (h->pending_seen)
		session_deadline(&h->s, WRITE_TIMEOUT_MS);
	else if (h->ex)
		session_deadline(&h->s, h->s.server->o.header_timeout_ms);
	else
		session_deadline(&h->s, IDLE_TIMEOUT_MS);
}

/* Answers a request that cannot be read any further, then reads on for a moment: closing at once
 * would reset the connection under the answer. */
static void linger(struct h1 *h)
{
	h->lingering = true;
	buf_release(&h->in);
	conn_shutdown(h->s.conn);
	session_deadline(&h->s, LINGER_MS);
	if (h->eof)
		conn_close(h->s.conn);
	else
		conn_read_start(h->s.conn);
}

static void refuse(struct h1 *h, int status, const char *why)
{
	struct buf b;

	buf_init(&b, 1024);
	buf_fmt(&b,
		"HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: "
		"close\r\n\r\n%d %s: %s",
		status, http_status_text(status), status, http_status_text(status), why);
	conn_write(h->s.conn, buf_str(&b));
	buf_release(&b);
	exchange_free(h);
	linger(h);
}

/* The answer's head. */

struct head_facts {
	bool date, type, length, connection, encoding;
};

static struct head_facts look_at_headers(const struct http_exchange *x)
{
	struct head_facts f = {0};

	for (size_t i = 0; i < x->n_out_headers; i++) {
		struct str name = x->out_headers[i].name;

		f.date |= str_ieq(name, S("date"));
		f.length |= str_ieq(name, S("content-length"));
		f.connection |= str_ieq(name, S("connection"));
		f.encoding |= str_ieq(name, S("transfer-encoding"));
	}
	return f;
}

static void add_headers(struct buf *b, const struct http_exchange *x)
{
	for (size_t i = 0; i < x->n_out_headers; i++) {
		const struct http_header *o = &x->out_headers[i];

		/* What would break the framing is a bug of the handler: it may not reach the wire.
		 */
		assert(http1_is_token(o->name));
		if (str_ieq(o->name, S("transfer-encoding")) || !http1_is_field_value(o->value))
			continue;
		buf_add_str(b, o->name);
		buf_add(b, ": ", 2);
		buf_add_str(b, o->value);
		buf_add(b, "\r\n", 2);
	}
}

static void choose_framing(struct h1_exchange *ex, const struct head_facts *f)
{
	int status = ex->x.status;

	ex->no_body = ex->head_only || status == 204 || status == 304;
	if (f->length) {
		struct str v = {0};

		for (size_t i = 0; i < ex->x.n_out_headers; i++)
			if (str_ieq(ex->x.out_headers[i].name, S("content-length")))
				v = ex->x.out_headers[i].value;
		if (str_to_i64(v, &ex->declared) < 0)
			ex->declared = -1;
		return;
	}
	if (ex->x.ended)
		return;
	if (ex->x.version == 11)
		ex->chunked = !ex->no_body;
	else
		ex->until_close = true;
}

/* Queues the head. `length` is that of the whole body when the exchange has ended. */
static void send_head(struct h1_exchange *ex, uint64_t length)
{
	struct h1 *h = ex->h1;
	struct head_facts f = look_at_headers(&ex->x);
	struct buf b;

	choose_framing(ex, &f);
	if (ex->until_close)
		h->close_after = true;
	buf_init(&b, HEAD_MAX);
	buf_reserve(&b, 512);
	buf_add(&b, "HTTP/1.1 ", 9);
	buf_add_i64(&b, ex->x.status);
	buf_add_char(&b, ' ');
	buf_add_c(&b, http_status_text(ex->x.status));
	buf_add(&b, "\r\n", 2);
	add_headers(&b, &ex->x);
	if (!f.date) {
		buf_add(&b, "Date: ", 6);
		buf_add_c(&b, server_date(h->s.server));
		buf_add(&b, "\r\n", 2);
	}
	if (ex->chunked) {
		buf_add_c(&b, "Transfer-Encoding: chunked\r\n");
	} else if (ex->x.ended && !f.length && ex->x.status != 204 && ex->x.status != 304) {
		buf_add(&b, "Content-Length: ", 16);
		buf_add_u64(&b, length);
		buf_add(&b, "\r\n", 2);
	}
	if (!f.connection && (h->close_after || !h->keep_alive))
		buf_add_c(&b, "Connection: close\r\n");
	else if (!f.connection && ex->x.version == 10)
		buf_add_c(&b, "Connection: keep-alive\r\n");
	buf_add(&b, "\r\n", 2);
	conn_queue(h->s.conn, buf_str(&b));
	buf_release(&b);
	ex->head_sent = true;
}

/* Moves what the exchange wrote to the connection's queue. */
static void move_body(struct h1_exchange *ex)
{
	struct conn *c = ex->h1->s.conn;
	uint64_t n = ex->body.bytes;

	ex->sent += n;
	if (ex->no_body) {
		outq_release(&ex->body);
		return;
	}
	if (ex->chunked && n) {
		char line[24];

		conn_queue(c, str_n(line, snprintf(line, sizeof(line), "%zx\r\n", n)));
		conn_queue_all(c, &ex->body);
		conn_queue(c, S("\r\n"));
	} else {
		conn_queue_all(c, &ex->body);
	}
	if (ex->chunked && ex->x.ended)
		conn_queue(c, S("0\r\n\r\n"));
}

static void set_pending(struct h1_exchange *ex)
{
	ex->x.pending = ex->h1->s.conn->pending + ex->body.bytes;
}

static void flush(struct h1_exchange *ex)
{
	if (!ex->x.started)
		return;
	if (!ex->head_sent)
		send_head(ex, ex->body.bytes);
	move_body(ex);
	conn_flush(ex->h1->s.conn);
	set_pending(ex);
}

/* The answer is complete and on its way: on to the next request, or to the end. */
static void finished(struct h1 *h)
{
	struct h1_exchange *ex = h->ex;

	if (ex->declared >= 0 && !ex->no_body && ex->sent != ex->declared) {
		exchange_close(h);
		conn_abort(h->s.conn); /* promised otherwise: the client has to see it */
		return;
	}
	exchange_close(h);
	if (h->close_after || !h->keep_alive) {
		linger(h);
		return;
	}
	http1_reader_next(&h->reader);
	set_deadline(h);
	if (h->in.n || h->eof) {
		h->want_process = true;
		post(h);
	} else {
		conn_read_start(h->s.conn);
	}
}

static void on_task(struct loop_task *t)
{
	struct h1 *h = container_of(t, struct h1, task);

	h->posted = false;
	if (h->gone) {
		h1_free(h);
		return;
	}
	h->busy = true;
	if (h->want_flush) {
		h->want_flush = false;
		if (h->ex && h->dispatched)
			flush(h->ex);
	}
	if (h->want_process) {
		h->want_process = false;
		process(h, (struct str){0});
	}
	h->busy = false;
	if (h->gone && !h->posted)
		h1_free(h);
}

/* Operations of the exchange. */

static void h1_start(struct http_exchange *x)
{
	struct h1 *h = ex_of(x)->h1;

	h->want_flush = true;
	post(h);
}

static void h1_write(struct http_exchange *x, struct str bytes)
{
	struct h1_exchange *ex = ex_of(x);

	outq_add(&ex->body, bytes);
	set_pending(ex);
	ex->h1->want_flush = true;
	post(ex->h1);
}

static void unref_object(void *o)
{
	object_unref(o);
}

static void h1_write_object(struct http_exchange *x, struct str bytes, const struct object *o)
{
	struct h1_exchange *ex = ex_of(x);

	if (bytes.n < BORROW_MIN) {
		h1_write(x, bytes);
		return;
	}
	outq_add_ref(&ex->body, bytes, unref_object, object_ref(o));
	set_pending(ex);
	ex->h1->want_flush = true;
	post(ex->h1);
}

static void h1_flush(struct http_exchange *x)
{
	flush(ex_of(x));
}

static void h1_end(struct http_exchange *x)
{
	flush(ex_of(x));
	finished(ex_of(x)->h1);
}

static void h1_respond(struct http_exchange *x, struct str body)
{
	struct h1_exchange *ex = ex_of(x);

	x->ended = true;
	if (body.n < SPLICE_MIN) {
		outq_add(&ex->body, body);
		h1_end(x);
		return;
	}
	send_head(ex, body.n);
	ex->sent = body.n;
	if (!ex->no_body) {
		outq_add_ref(&ex->body, body, NULL, NULL);
		conn_queue_all(ex->h1->s.conn, &ex->body);
	}
	conn_flush(ex->h1->s.conn);
	conn_own_output(ex->h1->s.conn);
	finished(ex->h1);
}

static void h1_abort(struct http_exchange *x)
{
	struct h1 *h = ex_of(x)->h1;

	exchange_close(h);
	conn_abort(h->s.conn);
}

static struct conn *h1_upgrade(struct http_exchange *x, struct err *err)
{
	struct h1_exchange *ex = ex_of(x);
	struct h1 *h = ex->h1;
	struct conn *c = h->s.conn;
	struct buf b;

	if (!h->reader.head.upgrade) {
		err_bad_request(err, "unable to upgrade: missing upgrade headers in request");
		return NULL;
	}
	buf_init(&b, HEAD_MAX);
	buf_add_c(&b, "HTTP/1.1 101 Switching Protocols\r\n");
	add_headers(&b, x);
	if (!look_at_headers(x).connection)
		buf_add_c(&b, "Connection: Upgrade\r\n");
	buf_add_c(&b, "\r\n");
	conn_queue(c, buf_str(&b));
	buf_release(&b);
	conn_read_stop(c);
	conn_unread(c, h->processing ? h->input : buf_str(&h->in));
	conn_flush(c);
	c->events = NULL;
	c->user_data = NULL;
	exchange_close(h);
	let_go(h);
	return c;
}

static const struct http_exchange_ops h1_exchange_ops = {
	.start = h1_start,
	.write = h1_write,
	.write_object = h1_write_object,
	.flush = h1_flush,
	.end = h1_end,
	.respond = h1_respond,
	.abort = h1_abort,
	.upgrade = h1_upgrade,
};

/* Reading requests. */

static void too_large(struct h1 *h)
{
	h->close_after = true;
	h->dispatched = true; /* as if a handler had answered */
	http_respond_too_large(&h->ex->x, h->s.server->o.body_max);
}

/* The head is complete. False: answered already. */
static bool on_head(struct h1 *h)
{
	struct http1_head *head = &h->reader.head;
	struct http_exchange *x = &h->ex->x;

	x->method = head->method;
	x->version = head->version;
	x->headers = head->headers;
	x->n_headers = head->n_headers;
	x->peer = *conn_peer(h->s.conn);
	x->peer.user = h->s.server->o.user;
	h->ex->head_only = str_eq(head->method, S("HEAD"));
	h->keep_alive = head->keep_alive && !h->s.server->closing;
	if (!exchange_set_target(x, head->target)) {
		refuse(h, 400, "malformed request target");
		return false;
	}
	if (head->content_length > (int64_t)h->s.server->o.body_max) {
		too_large(h);
		return false;
	}
	if (head->content_length > 0)
		buf_reserve(
			&h->ex->request_body, MIN((size_t)head->content_length, (size_t)64 * 1024));
	if (head->expect_continue && h->input.n == 0 && (head->chunked || head->content_length > 0))
		conn_write(h->s.conn, S("HTTP/1.1 100 Continue\r\n\r\n"));
	return true;
}

static void dispatch(struct h1 *h)
{
	struct http_handler *handler = h->s.server->o.handler;
	struct http_exchange *x = &h->ex->x;

	x->body = buf_str(&h->ex->request_body);
	h->dispatched = true;
	session_deadline(&h->s, -1);
	handler->handle(handler, x);
}

/* Takes one step through the input. False: stop. */
static bool read_step(struct h1 *h)
{
	enum http1_event e;
	struct str part;
	size_t used = 0;

	if (!h->ex) {
		if (!h->input.n)
			return false;
		h->ex = exchange_new(h);
	}
	e = http1_read(&h->reader, &h->ex->x.arena, h->input, &used, &part);
	h->input = str_sub(h->input, used, h->input.n);
	switch (e) {
	case HTTP1_NEED_MORE:
		return false;
	case HTTP1_HEAD:
		return on_head(h);
	case HTTP1_BODY:
		buf_add_str(&h->ex->request_body, part);
		if (!buf_failed(&h->ex->request_body))
			return true;
		too_large(h);
		return false;
	case HTTP1_END:
		dispatch(h);
		return true;
	case HTTP1_ERROR:
		refuse(h, h->reader.error_status, h->reader.error);
		return false;
	}
	return false;
}

/* Keeps what was not used. */
static void keep(struct h1 *h)
{
	if (h->lingering)
		buf_release(&h->in);
	else if (h->in.n)
		buf_consume(&h->in, h->in.n - h->input.n);
	else if (h->input.n)
		buf_add_str(&h->in, h->input);
	if (!h->in.n && h->in.cap)
		buf_release(&h->in);
}

/* Reads as many requests as input and the state of the answers allow. Input that arrives now is
 * used in place unless older input waits in the buffer. Called with busy set. */
static void process(struct h1 *h, struct str input)
{
	if (h->in.n) {
		buf_add_str(&h->in, input);
		input = buf_str(&h->in);
	}
	h->input = input;
	h->processing = true;
	while (!h->gone && !h->dispatched && !h->lingering && !h->eof) {
		h->waits_for_output = h->s.conn->pending > CONN_LOW_WATER;
		if (h->waits_for_output || !read_step(h))
			break;
	}
	h->processing = false;
	if (h->gone || h->eof)
		return;
	keep(h);
	if (h->lingering)
		return;
	set_deadline(h);
	if ((h->dispatched || h->waits_for_output) && h->in.n > PIPELINE_MAX)
		conn_read_stop(h->s.conn);
	else
		conn_read_start(h->s.conn);
}

/* Events of the connection. */

static bool speaks_h2(struct conn *c, struct str input)
{
	if (conn_peer(c)->tls)
		return str_eq(conn_alpn(c), S("h2"));
	return str_starts(input, S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); /* RFC 9113 3.4 */
}

static void h1_data(struct conn *c, struct str bytes)
{
	struct h1 *h = c->user_data;

	if (h->lingering)
		return;
	if (!h->answered && !h->ex && speaks_h2(c, bytes)) {
		struct http_server *server = h->s.server;

		let_go(h);
		h2_session_new(server, c, bytes);
		return;
	}
	h->answered = true;
	h->busy = true;
	process(h, bytes);
	h->busy = false;
	if (h->gone && !h->posted)
		h1_free(h);
}

/* The client ends its side. While an answer is being made, that means it has gone away, as it does
 * upstream. */
static void h1_eof(struct conn *c)
{
	struct h1 *h = c->user_data;

	h->eof = true;
	if (h->ex && !h->lingering)
		exchange_close(h);
	conn_close(c);
}

static void h1_writable(struct conn *c)
{
	struct h1 *h = c->user_data;

	if (h->waits_for_output) {
		h->want_process = true;
		post(h);
	}
	set_deadline(h);
	if (!h->ex || !h->dispatched)
		return;
	set_pending(h->ex);
	if (h->ex->x.on_writable)
		h->ex->x.on_writable(&h->ex->x);
}

static void h1_close(struct conn *c, int status)
{
	struct h1 *h = c->user_data;

	if (h->ex)
		exchange_close(h);
	let_go(h);
}

static const struct conn_events h1_events = {
	.on_data = h1_data,
	.on_eof = h1_eof,
	.on_writable = h1_writable,
	.on_close = h1_close,
};

static void h1_drain(struct session *s)
{
	struct h1 *h = container_of(s, struct h1, s);

	h->close_after = true;
	if (!h->ex)
		conn_close(s->conn);
}

static void h1_timeout(struct session *s)
{
	struct h1 *h = container_of(s, struct h1, s);

	if (s->conn->pending && s->conn->pending < h->pending_seen)
		set_deadline(h); /* slow, but it moves */
	else if (h->lingering || !h->ex)
		conn_close(s->conn);
	else
		conn_abort(s->conn);
}

static const struct session_ops h1_session_ops = {.drain = h1_drain, .timeout = h1_timeout};

void h1_session_new(struct http_server *server, struct conn *c)
{
	struct h1 *h = xcalloc(1, sizeof(*h));

	session_init(&h->s, server, c, &h1_session_ops);
	http1_reader_init(&h->reader, HTTP1_REQUEST, &(struct http1_limits){HEAD_MAX, HEADERS_MAX});
	buf_init(&h->in, HEAD_MAX + PIPELINE_MAX + 256 * 1024);
	h->task.fn = on_task;
	c->events = &h1_events;
	c->user_data = h;
	session_deadline(&h->s, server->o.header_timeout_ms);
	conn_read_start(c);
}
