#include "http/websocket_exchange.h"

#include <openssl/evp.h>

#include "http/websocket.h"

#define TOKEN_PREFIX "base64url.bearer.authorization.k8s.io."
#define BINARY "binary.k8s.io"
#define BASE64 "base64.binary.k8s.io"

enum { EVENT_MAX = 64 * 1024 * 1024, LENGTH_BYTES = 4, NORMAL = 1000 };

struct ws_exchange {
	struct http_exchange x;
	struct http_exchange *real; /* NULL: taken over by `ws`, or gone */
	struct websocket *ws;
	enum websocket_pieces pieces;
	bool base64, protobuf;
	bool accepting;
	bool told;       /* on_close was called */
	struct buf rest; /* the beginning of an event */
	struct loop_task free_later, tell_later;
};

static struct ws_exchange *of(struct http_exchange *x)
{
	return container_of(x, struct ws_exchange, x);
}

/* --- the end --- */

static void free_now(struct loop_task *t)
{
	struct ws_exchange *e = container_of(t, struct ws_exchange, free_later);

	buf_release(&e->rest);
	arena_release(&e->x.arena);
	free(e);
}

/* Whoever called may still look at the exchange in this turn. */
static void tell_closed(struct ws_exchange *e)
{
	if (e->told)
		return;
	e->told = true;
	if (e->x.on_close)
		e->x.on_close(&e->x);
	e->free_later.fn = free_now;
	loop_post(e->x.loop, &e->free_later);
}

static void on_ws_message(struct websocket *w, void *owner, struct str message, bool text)
{
	/* nothing is to be said */
}

static void on_ws_writable(struct websocket *w, void *owner)
{
	struct ws_exchange *e = owner;

	e->x.pending = websocket_pending(w);
	if (e->x.on_writable && !e->told)
		e->x.on_writable(&e->x);
}

static void on_ws_close(struct websocket *w, void *owner, int code)
{
	struct ws_exchange *e = owner;

	e->ws = NULL;
	websocket_abort(w);
	tell_closed(e);
}

static const struct websocket_events ws_events = {
	.on_message = on_ws_message,
	.on_writable = on_ws_writable,
	.on_close = on_ws_close,
};

static void tell_now(struct loop_task *t)
{
	tell_closed(container_of(t, struct ws_exchange, tell_later));
}

/* A handler that writes hears of the end when it is out of here. */
static void close_later(struct ws_exchange *e)
{
	e->tell_later.fn = tell_now;
	loop_post(e->x.loop, &e->tell_later);
}

/* When the connection is taken over its exchange ends, and ours begins. */
static void on_real_close(struct http_exchange *real)
{
	struct ws_exchange *e = real->user_data;

	e->real = NULL;
	if (!e->accepting)
		tell_closed(e);
}

static void on_real_writable(struct http_exchange *real)
{
	struct ws_exchange *e = real->user_data;

	e->x.pending = real->pending;
	if (e->x.on_writable)
		e->x.on_writable(&e->x);
}

/* --- messages --- */

static void send_bytes(struct ws_exchange *e, struct str bytes)
{
	char *text;
	int n;

	if (!e->base64) {
		websocket_send(e->ws, bytes, false);
		return;
	}
	text = xmalloc(bytes.n * 4 / 3 + 5);
	n = EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes.p, (int)bytes.n);
	websocket_send(e->ws, str_n(text, (size_t)n), true);
	free(text);
}

/* The first whole event of s; false: its end is yet to come. */
static bool cut_event(const struct ws_exchange *e, struct str *s, struct str *event)
{
	const unsigned char *p = (const unsigned char *)s->p;
	ssize_t end;
	size_t n;

	if (!e->protobuf) {
		end = str_chr(*s, '\n');
		if (end < 0)
			return false;
		*event = str_sub(*s, 0, (size_t)end + 1);
		*s = str_sub(*s, (size_t)end + 1, s->n);
		return true;
	}
	if (s->n < LENGTH_BYTES)
		return false;
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (s->n - LENGTH_BYTES < n)
		return false;
	*event = str_sub(*s, LENGTH_BYTES, LENGTH_BYTES + n);
	*s = str_sub(*s, LENGTH_BYTES + n, s->n);
	return true;
}

static void send_events(struct ws_exchange *e, struct str bytes)
{
	struct str s = bytes, event;
	bool held = e->rest.n;

	if (held) {
		buf_add_str(&e->rest, bytes);
		s = buf_str(&e->rest);
	}
	while (e->ws && cut_event(e, &s, &event))
		websocket_send(e->ws, event, !e->protobuf);
	if (held)
		buf_consume(&e->rest, e->rest.n - s.n);
	else
		buf_add_str(&e->rest, s);
	if (!buf_failed(&e->rest))
		return;
	websocket_abort(e->ws); /* an event without end */
	e->ws = NULL;
	close_later(e);
}

/* --- as the handler sees it --- */

static void copy_headers(struct ws_exchange *e)
{
	for (size_t i = 0; i < e->x.n_out_headers; i++)
		http_header(e->real, arena_cstr(&e->x.arena, e->x.out_headers[i].name),
			e->x.out_headers[i].value);
}

/* The first subprotocol that is not a token: of bytes one that we know; false: there are only
 * others. */
static bool choose_protocol(struct ws_exchange *e, struct str *ret)
{
	struct str list = http_get_header(&e->x, "Sec-WebSocket-Protocol"), item;
	bool offered = false;

	*ret = S("");
	while (list.n) {
		str_cut(list, ',', &item, &list);
		item = str_trim(item);
		if (!item.n || str_starts(item, S(TOKEN_PREFIX)))
			continue;
		offered = true;
		e->base64 = e->pieces == WEBSOCKET_BYTES && str_eqc(item, BASE64);
		if (e->pieces == WEBSOCKET_BYTES && !e->base64 && !str_eqc(item, BINARY))
			continue;
		*ret = item;
		return true;
	}
	return !offered;
}

static void accept_stream(struct ws_exchange *e)
{
	struct err err CLEANUP(err_release) = {0};
	struct str protocol;

	for (size_t i = 0; i < e->x.n_out_headers; i++)
		if (str_ieq(e->x.out_headers[i].name, S("Content-Type")))
			e->protobuf = str_find(e->x.out_headers[i].value, S("protobuf")) >= 0;
	e->accepting = true;
	if (!choose_protocol(e, &protocol))
		err_bad_request(&err, "websocket: no subprotocol that is known here");
	else
		websocket_accept(e->real, protocol, &ws_events, e, &e->ws, &err);
	if (!e->ws) {
		if (e->real)
			http_respond(
				e->real, 400, "text/plain; charset=utf-8", str_c(err_text(&err)));
		close_later(e);
		return;
	}
	e->accepting = false;
	if (e->pieces == WEBSOCKET_BYTES)
		websocket_send(e->ws, S(""), e->base64);
}

static void x_start(struct http_exchange *x)
{
	struct ws_exchange *e = of(x);

	if (x->status == 200 && e->real) {
		accept_stream(e);
	} else if (e->real) {
		copy_headers(e);
		http_start(e->real, x->status);
	}
}

static void x_write(struct http_exchange *x, struct str bytes)
{
	struct ws_exchange *e = of(x);

	if (e->ws && e->pieces == WEBSOCKET_EVENTS)
		send_events(e, bytes);
	else if (e->ws && bytes.n)
		send_bytes(e, bytes);
	else if (e->real && !e->real->ended)
		http_write(e->real, bytes);
	if (e->ws)
		x->pending = websocket_pending(e->ws);
	else if (e->real)
		x->pending = e->real->pending;
}

static void x_write_object(struct http_exchange *x, struct str bytes, const struct object *o)
{
	x_write(x, bytes);
}

static void x_flush(struct http_exchange *x)
{
	struct ws_exchange *e = of(x);

	if (e->real && !e->real->ended)
		http_flush(e->real);
}

static void x_end(struct http_exchange *x)
{
	struct ws_exchange *e = of(x);

	if (e->ws)
		websocket_close(e->ws, NORMAL);
	else if (e->real && !e->real->ended)
		http_end(e->real);
	e->ws = NULL;
	tell_closed(e);
}

static void x_respond(struct http_exchange *x, struct str body)
{
	struct ws_exchange *e = of(x);

	if (e->real) {
		copy_headers(e);
		http_respond(e->real, x->status, NULL, body);
	}
	x->ended = true;
	tell_closed(e);
}

static void x_abort(struct http_exchange *x)
{
	struct ws_exchange *e = of(x);

	if (e->ws)
		websocket_abort(e->ws);
	else if (e->real)
		http_abort(e->real);
	e->ws = NULL;
	tell_closed(e);
}

static struct conn *x_upgrade(struct http_exchange *x, struct err *err)
{
	err_bad_request(err, "the connection is to be a WebSocket");
	return NULL;
}

static const struct http_exchange_ops ops = {
	.start = x_start,
	.write = x_write,
	.write_object = x_write_object,
	.flush = x_flush,
	.end = x_end,
	.respond = x_respond,
	.abort = x_abort,
	.upgrade = x_upgrade,
};

bool websocket_wanted(const struct http_exchange *x)
{
	return x->version == 11 && str_ieq(http_get_header(x, "Upgrade"), S("websocket")) &&
	       http_header_has(x->headers, x->n_headers, "Connection", "upgrade");
}

/* The request outlives the exchange that it came in. */
static void copy_request(struct http_exchange *x, const struct http_exchange *real)
{
	struct arena *a = &x->arena;

	x->method = arena_str(a, real->method);
	x->path = arena_str(a, real->path);
	x->raw_path = arena_str(a, real->raw_path);
	x->query = arena_str(a, real->query);
	x->headers = arena_alloc(a, real->n_headers * sizeof(*x->headers));
	x->n_headers = real->n_headers;
	for (size_t i = 0; i < real->n_headers; i++)
		x->headers[i] = (struct http_header){
			arena_str(a, real->headers[i].name), arena_str(a, real->headers[i].value)};
	x->peer = real->peer;
	x->peer.address = arena_str(a, real->peer.address);
	x->version = real->version;
	x->loop = real->loop;
}

struct http_exchange *websocket_exchange_new(
	struct http_exchange *real, enum websocket_pieces pieces)
{
	struct ws_exchange *e = xcalloc(1, sizeof(*e));

	arena_init(&e->x.arena);
	copy_request(&e->x, real);
	e->x.ops = &ops;
	e->real = real;
	e->pieces = pieces;
	buf_init(&e->rest, EVENT_MAX);
	real->user_data = e;
	real->on_close = on_real_close;
	real->on_writable = on_real_writable;
	return &e->x;
}
