/* Bytes both ways between two connections, each read only as fast as the other writes. */
#include "http/conn_int.h"

struct tunnel {
	struct conn *a, *b;
	bool a_eof, b_eof;
	int open; /* connections whose on_close has not come */
	void (*done)(void *);
	void *user_data;
};

static struct conn *other(struct tunnel *t, struct conn *c)
{
	return c == t->a ? t->b : t->a;
}

static void tunnel_data(struct conn *c, struct str bytes)
{
	struct tunnel *t = c->user_data;
	struct conn *to = other(t, c);

	if (!to)
		return;
	conn_write(to, bytes);
	if (to->pending > CONN_LOW_WATER)
		conn_read_stop(c);
}

static void tunnel_writable(struct conn *c)
{
	struct conn *from = other(c->user_data, c);

	if (from)
		conn_read_start(from);
}

static void tunnel_eof(struct conn *c)
{
	struct tunnel *t = c->user_data;
	struct conn *to = other(t, c);

	*(c == t->a ? &t->a_eof : &t->b_eof) = true;
	if (to)
		conn_shutdown(to);
	if (t->a_eof && t->b_eof) {
		conn_close(c);
		if (to)
			conn_close(to);
	}
}

static void tunnel_close(struct conn *c, int status)
{
	struct tunnel *t = c->user_data;
	struct conn *to = other(t, c);

	*(c == t->a ? &t->a : &t->b) = NULL;
	if (to)
		conn_close(to);
	if (--t->open)
		return;
	if (t->done)
		t->done(t->user_data);
	free(t);
}

static const struct conn_events tunnel_events = {
	.on_data = tunnel_data,
	.on_eof = tunnel_eof,
	.on_writable = tunnel_writable,
	.on_close = tunnel_close,
};

void conn_tunnel(struct conn *a, struct conn *b, void (*done)(void *), void *user_data)
{
	struct tunnel *t = xmalloc(sizeof(*t));

	*t = (struct tunnel){.a = a, .b = b, .open = 2, .done = done, .user_data = user_data};
	a->events = b->events = &tunnel_events;
	a->user_data = b->user_data = t;
	conn_read_start(a);
	conn_read_start(b);
}
