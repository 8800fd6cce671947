#include "http/mux.h"
#include "http/conn_int.h"
#include "http/websocket.h"

enum { LINGER_MS = 5000 };

struct mux {
	struct conn *conn; /* one of these two */
	struct websocket *ws;
	struct spdy *spdy;
	const struct mux_events *events;
	void *owner;
	struct loop_timer timer; /* how long an end may take */
	bool busy;               /* inside a callback: freed afterwards */
	bool ended, told;
};

static void mux_free(struct mux *m)
{
	loop_timer_stop(&m->timer);
	spdy_free(m->spdy);
	free(m);
}

static void tell_closed(struct mux *m)
{
	if (m->told || m->ended)
		return;
	m->told = true;
	m->events->on_closed(m->owner);
}

/* SPDY's side. */

static void spdy_output(void *arg, struct str bytes)
{
	struct mux *m = arg;

	if (m->conn) {
		conn_queue(m->conn, bytes);
		conn_flush_later(m->conn);
	} else if (m->ws) {
		websocket_send(m->ws, bytes, false);
	}
}

static void spdy_stream(void *arg, uint32_t id, const struct http_header *h, size_t n, bool fin)
{
	struct mux *m = arg;

	m->events->on_stream(m->owner, id, h, n, fin);
}

static void spdy_data(void *arg, uint32_t id, struct str part, bool fin)
{
	struct mux *m = arg;

	m->events->on_data(m->owner, id, part, fin);
}

static void spdy_reset(void *arg, uint32_t id, uint32_t status)
{
	struct mux *m = arg;

	m->events->on_reset(m->owner, id);
}

static const struct spdy_callbacks spdy_callbacks = {
	.output = spdy_output,
	.on_stream = spdy_stream,
	.on_data = spdy_data,
	.on_reset = spdy_reset,
};

static void feed(struct mux *m, struct str bytes)
{
	m->busy = true;
	if (spdy_read(m->spdy, bytes) < 0 && !m->ended) {
		tell_closed(m);
		if (m->conn && !m->ended)
			conn_close(m->conn);
	}
	m->busy = false;
	if (m->ended && !m->conn)
		mux_free(m);
}

/* The connection's side. */

static void conn_data(struct conn *c, struct str bytes)
{
	struct mux *m = c->user_data;

	if (!m->ended)
		feed(m, bytes);
}

static void conn_eof(struct conn *c)
{
	tell_closed(c->user_data);
	conn_close(c);
}

static void conn_writable(struct conn *c)
{
	struct mux *m = c->user_data;

	if (!m->ended && !m->told)
		m->events->on_writable(m->owner);
}

static void conn_gone(struct conn *c, int status)
{
	struct mux *m = c->user_data;

	m->conn = NULL;
	m->busy = true;
	tell_closed(m);
	m->busy = false;
	if (m->ended)
		mux_free(m);
}

static const struct conn_events mux_conn_events = {
	.on_data = conn_data,
	.on_eof = conn_eof,
	.on_writable = conn_writable,
	.on_close = conn_gone,
};

/* The WebSocket's side. */

static void ws_message(struct websocket *w, void *owner, struct str message, bool text)
{
	feed(owner, message);
}

static void ws_writable(struct websocket *w, void *owner)
{
	struct mux *m = owner;

	m->events->on_writable(m->owner);
}

static void ws_closed(struct websocket *w, void *owner, int code)
{
	struct mux *m = owner;
	bool busy = m->busy;

	m->busy = true;
	tell_closed(m);
	m->busy = busy;
	if (m->ended && !busy)
		mux_free(m);
}

static const struct websocket_events mux_ws_events = {
	.on_message = ws_message,
	.on_writable = ws_writable,
	.on_close = ws_closed,
};

static void on_linger_over(struct loop_timer *t)
{
	struct mux *m = container_of(t, struct mux, timer);

	if (m->conn)
		conn_abort(m->conn);
}

static struct mux *mux_new(struct loop *loop, const struct mux_events *events, void *owner)
{
	struct mux *m = xcalloc(1, sizeof(*m));

	m->events = events;
	m->owner = owner;
	m->spdy = spdy_new(&spdy_callbacks, m);
	loop_timer_init(&m->timer, loop, on_linger_over);
	return m;
}

int mux_accept_spdy(struct http_exchange *x, struct str protocol, const struct mux_events *events,
	void *owner, struct mux **ret, struct err *err)
{
	struct loop *loop = x->loop;
	struct conn *c;
	struct mux *m;

	x->n_out_headers = 0;
	http_header(x, "Connection", S("Upgrade"));
	http_header(x, "Upgrade", S("SPDY/3.1"));
	if (protocol.n)
		http_header(x, "X-Stream-Protocol-Version", protocol);
	c = x->ops->upgrade(x, err);
	if (!c)
		return -EINVAL;
	m = mux_new(loop, events, owner);
	m->conn = c;
	c->events = &mux_conn_events;
	c->user_data = m;
	conn_read_start(c);
	*ret = m;
	return 0;
}

int mux_accept_websocket(struct http_exchange *x, struct str protocol,
	const struct mux_events *events, void *owner, struct mux **ret, struct err *err)
{
	struct mux *m = mux_new(x->loop, events, owner);
	int rc = websocket_accept(x, protocol, &mux_ws_events, m, &m->ws, err);

	if (rc < 0) {
		mux_free(m);
		return rc;
	}
	*ret = m;
	return 0;
}

struct spdy *mux_spdy(struct mux *m)
{
	return m->spdy;
}

size_t mux_pending(const struct mux *m)
{
	if (m->conn)
		return m->conn->pending;
	return m->ws ? websocket_pending(m->ws) : 0;
}

void mux_pause(struct mux *m)
{
	if (m->conn)
		conn_read_stop(m->conn);
	else if (m->ws)
		websocket_pause(m->ws);
}

void mux_resume(struct mux *m)
{
	if (m->conn)
		conn_read_start(m->conn);
	else if (m->ws)
		websocket_resume(m->ws);
}

void mux_end(struct mux *m)
{
	struct websocket *ws = m->ws;

	m->ended = true;
	spdy_stop(m->spdy);
	m->ws = NULL;
	if (ws)
		websocket_close(ws, 1000);
	if (m->conn) { /* closing at once could reset the connection under what the client has not
			  read */
		loop_timer_start(&m->timer, LINGER_MS);
		conn_shutdown(m->conn);
		conn_read_start(m->conn);
	} else if (!m->busy) {
		mux_free(m);
	}
}

void mux_abort(struct mux *m)
{
	struct websocket *ws = m->ws;

	m->ended = true;
	spdy_stop(m->spdy);
	m->ws = NULL;
	if (ws)
		websocket_abort(ws);
	if (m->conn)
		conn_close(m->conn);
	else if (!m->busy)
		mux_free(m);
}

bool upgrade_is_spdy(const struct http_exchange *x)
{
	return http_header_has(x->headers, x->n_headers, "Connection", "upgrade") &&
	       http_header_has(x->headers, x->n_headers, "Upgrade", "SPDY/3.1");
}

bool upgrade_is_websocket(const struct http_exchange *x)
{
	return http_header_has(x->headers, x->n_headers, "Connection", "upgrade") &&
	       http_header_has(x->headers, x->n_headers, "Upgrade", "websocket");
}

int upgrade_missing(struct err *err)
{
	return err_bad_request(err, "unable to upgrade: missing upgrade headers in request");
}
