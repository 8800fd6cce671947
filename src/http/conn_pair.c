/* Two connected ends inside the process: for tests, and for clusters that run on simulated loops.
 */
#include "http/conn_int.h"

enum { PAIR_BUFFER_MAX = 256 * 1024 };

struct pair_end {
	struct stream s;
	struct pair_end *peer; /* NULL: the other end is gone */
	struct outq in;        /* arrived, not yet received */
	bool in_eof;
};

static struct pair_end *end_of(struct stream *s)
{
	return container_of(s, struct pair_end, s);
}

static void wake_reader(struct pair_end *e)
{
	if (e->s.reading) {
		e->s.kick_read = true;
		stream_post(&e->s);
	}
}

static ssize_t pair_recv(struct stream *s, char *p, size_t n)
{
	struct pair_end *e = end_of(s);
	struct str front = outq_front(&e->in, p, n);

	if (!front.n)
		return e->in_eof ? 0 : -EAGAIN;
	if (front.p != p)
		memcpy(p, front.p, front.n);
	outq_consume(&e->in, front.n);
	if (e->peer && !outq_empty(&e->peer->s.out))
		conn_flush_later(&e->peer->s.base);
	return (ssize_t)front.n;
}

static int pair_send(struct stream *s)
{
	struct pair_end *e = end_of(s);
	char scratch[4096];

	if (!e->peer)
		return outq_empty(&s->out) ? 0 : -EPIPE;
	while (!outq_empty(&s->out) && e->peer->in.bytes < PAIR_BUFFER_MAX) {
		size_t room = PAIR_BUFFER_MAX - e->peer->in.bytes;
		struct str part = outq_front(&s->out, scratch, MIN(room, sizeof(scratch)));

		outq_add(&e->peer->in, part);
		outq_consume(&s->out, part.n);
	}
	wake_reader(e->peer);
	return 0;
}

static void pair_watch(struct stream *s)
{
}

static void pair_shutdown(struct stream *s)
{
	struct pair_end *peer = end_of(s)->peer;

	if (!peer)
		return;
	peer->in_eof = true;
	wake_reader(peer);
}

static void pair_destroy(struct stream *s)
{
	struct pair_end *e = end_of(s);

	if (e->peer) {
		e->peer->peer = NULL;
		e->peer->in_eof = true;
		wake_reader(e->peer);
		if (!outq_empty(&e->peer->s.out))
			conn_flush_later(&e->peer->s.base);
	}
	outq_release(&e->in);
	stream_free(s);
}

static const struct conn_ops pair_ops = {
	.recv = pair_recv,
	.send = pair_send,
	.watch = pair_watch,
	.shutdown = pair_shutdown,
	.destroy = pair_destroy,
};

void conn_pair(struct loop *a_loop, struct loop *b_loop, struct conn **a, struct conn **b)
{
	struct pair_end *x = xcalloc(1, sizeof(*x)), *y = xcalloc(1, sizeof(*y));

	stream_init(&x->s, a_loop, &pair_ops);
	stream_init(&y->s, b_loop, &pair_ops);
	x->peer = y;
	y->peer = x;
	*a = &x->s.base;
	*b = &y->s.base;
}
