/* server_tcp.c: connections: two bytes of length before each message (RFC 1035 §4.2.2, RFC 7766).
 */
#include "dns/server_int.h"

enum { IN_MAX = 2 + DNS_MESSAGE_MAX, IN_FIRST = 1024, OUT_QUEUED_MAX = 1 << 20 };

struct connection {
	uv_tcp_t tcp;
	struct dns_server *server;
	struct connection *next, *prev;
	struct loop_timer idle;
	size_t refs;    /* the open socket, and everyone who waits for an answer */
	size_t pending; /* of those, who waits */
	bool closing;
	uint8_t *in;
	size_t in_n, in_cap;
};

struct tcp_write {
	uv_write_t req;
	struct connection *connection;
	uint8_t bytes[];
};

void tcp_reference(struct connection *c)
{
	c->refs++;
	c->pending++;
}

static void unreference(struct connection *c)
{
	if (--c->refs == 0) {
		free(c->in);
		free(c);
	}
}

void tcp_unreference(struct connection *c)
{
	c->pending--;
	unreference(c);
}

static void on_closed(uv_handle_t *h)
{
	unreference(container_of((uv_tcp_t *)h, struct connection, tcp));
}

static void close_connection(struct connection *c)
{
	if (c->closing)
		return;
	c->closing = true;
	loop_timer_stop(&c->idle);
	*(c->prev ? &c->prev->next : &c->server->connections) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->server->n_connections--;
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void tcp_close_all(struct dns_server *s)
{
	while (s->connections)
		close_connection(s->connections);
}

static void on_idle(struct loop_timer *t)
{
	close_connection(container_of(t, struct connection, idle));
}

/* --- answers --- */

static void on_written(uv_write_t *req, int status)
{
	struct tcp_write *w = container_of(req, struct tcp_write, req);

	if (status < 0)
		close_connection(w->connection);
	unreference(w->connection);
	free(w);
}

void tcp_reply(struct connection *c, const uint8_t *p, size_t size)
{
	struct tcp_write *w;
	uv_buf_t buf;

	if (c->closing)
		return;
	if (uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) > OUT_QUEUED_MAX) {
		close_connection(c); /* it asks, and does not read */
		return;
	}
	w = xmalloc(sizeof(*w) + size + 2);
	w->connection = c;
	w->bytes[0] = size >> 8;
	w->bytes[1] = size;
	memcpy(w->bytes + 2, p, size);
	buf = uv_buf_init((char *)w->bytes, size + 2);
	c->refs++;
	loop_timer_start(&c->idle, DNS_TCP_IDLE_MS);
	if (uv_write(&w->req, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0) {
		close_connection(c);
		unreference(c);
		free(w);
	}
}

/* --- queries --- */

static void answer(struct connection *c, struct str query)
{
	struct dns_server *s = c->server;
	struct waiting who = {.connection = c};
	struct dns_engine_ask ask;
	size_t n = 0;

	switch (dns_engine_query(&s->engine, query, false, s->out, &n, &ask)) {
	case DNS_ENGINE_DROP:
		close_connection(c);
		return;
	case DNS_ENGINE_REPLY:
		break;
	case DNS_ENGINE_ASK:
		if (c->pending < DNS_TCP_PENDING_MAX && server_forward(s, &ask, &who))
			return;
		n = dns_engine_reply(&s->engine, &ask, (struct str){0}, false, s->out);
		break;
	}
	tcp_reply(c, s->out, n);
}

static void take_queries(struct connection *c)
{
	size_t at = 0;

	while (!c->closing && c->in_n - at >= 2) {
		size_t size = c->in[at] << 8 | c->in[at + 1];

		if (c->in_n - at < size + 2)
			break;
		answer(c, str_n((char *)c->in + at + 2, size));
		at += size + 2;
	}
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
}

static void on_room(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct connection *c = container_of((uv_tcp_t *)h, struct connection, tcp);

	if (c->in_n == c->in_cap && c->in_cap < IN_MAX) {
		c->in_cap = MIN(MAX(2 * c->in_cap, (size_t)IN_FIRST), (size_t)IN_MAX);
		c->in = xrealloc(c->in, c->in_cap);
	}
	*buf = uv_buf_init((char *)c->in + c->in_n, c->in_cap - c->in_n);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = container_of((uv_tcp_t *)h, struct connection, tcp);

	if (n < 0) {
		close_connection(c);
		return;
	}
	c->in_n += n;
	server_refresh(c->server);
	loop_timer_start(&c->idle, DNS_TCP_IDLE_MS);
	take_queries(c);
}

static void on_connection(uv_stream_t *h, int status)
{
	struct listener *l = container_of((uv_tcp_t *)h, struct listener, tcp);
	struct dns_server *s = l->server;
	struct connection *c;

	if (status < 0)
		return;
	if (s->n_connections >= DNS_TCP_CONNECTIONS_MAX) { /* the one that came first makes room */
		struct connection *oldest = s->connections;

		while (oldest->next)
			oldest = oldest->next;
		close_connection(oldest);
	}
	c = xcalloc(1, sizeof(*c));
	c->server = s;
	c->refs = 1;
	uv_tcp_init(loop_uv(s->loop), &c->tcp);
	loop_timer_init(&c->idle, s->loop, on_idle);
	c->next = s->connections;
	if (c->next)
		c->next->prev = c;
	s->connections = c;
	s->n_connections++;
	if (uv_accept(h, (uv_stream_t *)&c->tcp) < 0 ||
		uv_read_start((uv_stream_t *)&c->tcp, on_room, on_read) < 0) {
		close_connection(c);
		return;
	}
	loop_timer_start(&c->idle, DNS_TCP_IDLE_MS);
}

int tcp_open(struct listener *l, const struct sockaddr_in6 *at)
{
	int on = 1, r;
	uv_os_fd_t fd;

	r = uv_tcp_init_ex(loop_uv(l->server->loop), &l->tcp, at->sin6_family);
	if (r < 0)
		return r;
	l->tcp.data = l;
	l->open_handles++;
	if (at->sin6_family == AF_INET6 && uv_fileno((uv_handle_t *)&l->tcp, &fd) == 0)
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)); /* as for UDP */
	r = uv_tcp_bind(&l->tcp, (const struct sockaddr *)at,
		at->sin6_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
	return r < 0 ? r : uv_listen((uv_stream_t *)&l->tcp, 128, on_connection);
}
