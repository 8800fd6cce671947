/* What all kinds of connection share: the output queue, backpressure, closing, and the order of
 * callbacks. */
#include "http/conn_int.h"

enum { READ_SIZE = 64 * 1024, CLOSE_TIMEOUT_MS = 10 * 1000, READS_PER_TURN = 4 };

static void run_task(struct loop_task *t);

static void on_close_timeout(struct loop_timer *t)
{
	struct stream *s = container_of(t, struct stream, timer);

	stream_fail(s, -ETIMEDOUT);
}

void stream_init(struct stream *s, struct loop *loop, const struct conn_ops *ops)
{
	s->base.loop = loop;
	s->base.ops = ops;
	s->task.fn = run_task;
	arena_init(&s->arena);
	loop_timer_init(&s->timer, loop, on_close_timeout);
}

void stream_free(struct stream *s)
{
	outq_release(&s->out);
	outq_release(&s->unread);
	arena_release(&s->arena);
	free(s);
}

void stream_post(struct stream *s)
{
	if (s->task_posted)
		return;
	s->task_posted = true;
	loop_post(s->base.loop, &s->task);
}

static void finish(struct stream *s)
{
	const struct conn_events *ev = s->base.events;

	loop_timer_stop(&s->timer);
	outq_release(&s->out);
	s->base.pending = 0;
	if (ev && ev->on_close)
		ev->on_close(&s->base, s->status);
	s->base.ops->destroy(s);
}

static void run_task(struct loop_task *t)
{
	struct stream *s = container_of(t, struct stream, task);

	s->task_posted = false;
	if (s->want_flush && !s->done)
		conn_flush(&s->base);
	if (s->done) {
		finish(s);
		return;
	}
	if (s->tell_writable) {
		s->tell_writable = false;
		if (!s->closing && s->base.events && s->base.events->on_writable)
			s->base.events->on_writable(&s->base);
	}
	if (s->kick_read) {
		s->kick_read = false;
		stream_readable(s);
	}
}

void stream_fail(struct stream *s, int status)
{
	if (s->done)
		return;
	if (!s->status)
		s->status = status;
	s->closing = s->done = true;
	s->reading = false;
	s->base.ops->watch(s);
	stream_post(s);
}

/* After output moved: half-close, end of a close, on_writable. */
static void settle(struct stream *s)
{
	s->base.pending = s->out.bytes;
	if (outq_empty(&s->out)) {
		if ((s->want_shutdown || s->closing) && !s->did_shutdown) {
			s->did_shutdown = true;
			s->base.ops->shutdown(s);
		}
		if (s->closing && !s->done) {
			s->done = true;
			stream_post(s);
			return;
		}
	}
	if (s->base.pending > CONN_LOW_WATER) {
		s->above_low_water = true;
	} else if (s->above_low_water) {
		s->above_low_water = false;
		s->tell_writable = true; /* by the task: not inside the owner's own conn_write */
		stream_post(s);
	}
}

void conn_flush(struct conn *c)
{
	struct stream *s = stream_of(c);
	int rc;

	s->want_flush = false;
	if (s->done)
		return;
	rc = c->ops->send(s);
	if (rc < 0) {
		stream_fail(s, rc);
		return;
	}
	settle(s);
	if (!s->done)
		c->ops->watch(s);
}

void stream_writable(struct stream *s)
{
	conn_flush(&s->base);
}

static void tell_eof(struct stream *s)
{
	const struct conn_events *ev = s->base.events;

	s->eof_told = true;
	s->reading = false;
	if (ev && ev->on_eof)
		ev->on_eof(&s->base);
}

/* Fills the buffer as far as input goes. Returns bytes; *ret_end: 0 more may follow, -EAGAIN, or an
 * error. */
static size_t fill(struct stream *s, char *p, size_t size, int *ret_end)
{
	size_t have = 0;

	*ret_end = 0;
	while (!outq_empty(&s->unread) && have < size) {
		struct str part = outq_front(
			&s->unread, p + have, MIN(size - have, s->unread.v[s->unread.at].n));

		memcpy(p + have, part.p, part.n);
		have += part.n;
		outq_consume(&s->unread, part.n);
	}
	while (have < size && !s->eof) {
		ssize_t n = s->base.ops->recv(s, p + have, size - have);

		if (n > 0) {
			have += n;
			continue;
		}
		if (n == 0)
			s->eof = true;
		*ret_end = n == 0 ? -EAGAIN : (int)n;
		break;
	}
	return have;
}

void stream_readable(struct stream *s)
{
	char in[READ_SIZE];

	for (int i = 0; i < READS_PER_TURN && s->reading && !s->closing; i++) {
		int end = 0;
		size_t n = fill(s, in, sizeof(in), &end);

		if (n && s->base.events->on_data)
			s->base.events->on_data(&s->base, str_n(in, n));
		if (end < 0 && end != -EAGAIN) {
			stream_fail(s, end);
			return;
		}
		if (s->closing || !s->reading)
			break;
		if (s->eof) {
			if (!s->eof_told)
				tell_eof(s);
			break;
		}
		if (end == -EAGAIN)
			break;
		if (i == READS_PER_TURN - 1) { /* let others have a turn, then go on: TLS may hold
						  input back */
			s->kick_read = true;
			stream_post(s);
		}
	}
	if (!s->done)
		s->base.ops->watch(s);
}

void conn_read_start(struct conn *c)
{
	struct stream *s = stream_of(c);

	if (s->reading || s->closing || s->eof_told)
		return;
	s->reading = true;
	s->kick_read = true;
	stream_post(s);
	c->ops->watch(s);
}

void conn_read_stop(struct conn *c)
{
	struct stream *s = stream_of(c);

	if (!s->reading)
		return;
	s->reading = false;
	c->ops->watch(s);
}

void conn_unread(struct conn *c, struct str bytes)
{
	struct stream *s = stream_of(c);

	assert(!s->reading && !s->eof_told);
	outq_add(&s->unread, bytes);
}

/* The owner may see this much pending and wait for on_writable, even if one flush sends it all. */
static void queued(struct stream *s)
{
	s->base.pending = s->out.bytes;
	if (s->base.pending > CONN_LOW_WATER)
		s->above_low_water = true;
}

void conn_queue(struct conn *c, struct str bytes)
{
	struct stream *s = stream_of(c);

	if (s->closing || s->want_shutdown)
		return;
	outq_add(&s->out, bytes);
	queued(s);
}

void conn_queue_all(struct conn *c, struct outq *q)
{
	struct stream *s = stream_of(c);

	if (s->closing || s->want_shutdown) {
		outq_release(q);
		return;
	}
	outq_splice(&s->out, q);
	queued(s);
}

void conn_own_output(struct conn *c)
{
	outq_own(&stream_of(c)->out);
}

void conn_flush_later(struct conn *c)
{
	struct stream *s = stream_of(c);

	s->want_flush = true;
	stream_post(s);
}

void conn_write_ref(struct conn *c, struct str bytes, void (*release)(void *), void *arg)
{
	struct stream *s = stream_of(c);

	if (s->closing || s->want_shutdown) {
		if (release)
			release(arg);
		return;
	}
	outq_add_ref(&s->out, bytes, release, arg);
	queued(s);
	conn_flush_later(c);
}

/* Large writes go straight from the caller's memory; only what does not leave now is copied. */
void conn_write(struct conn *c, struct str bytes)
{
	struct stream *s = stream_of(c);

	if (s->closing || s->want_shutdown)
		return;
	if (bytes.n < READ_SIZE / 4 || !outq_empty(&s->out)) {
		conn_queue(c, bytes);
		conn_flush(c);
		return;
	}
	outq_add_ref(&s->out, bytes, NULL, NULL);
	conn_flush(c);
	outq_own(&s->out);
}

void conn_shutdown(struct conn *c)
{
	struct stream *s = stream_of(c);

	if (s->closing || s->want_shutdown)
		return;
	s->want_shutdown = true;
	conn_flush(c);
}

void conn_close(struct conn *c)
{
	struct stream *s = stream_of(c);

	if (s->closing)
		return;
	s->closing = true;
	s->reading = false;
	loop_timer_start(&s->timer, CLOSE_TIMEOUT_MS);
	conn_flush(c);
}

void conn_abort(struct conn *c)
{
	stream_fail(stream_of(c), 0);
}

static void identify(struct stream *s)
{
	if (s->identified)
		return;
	s->identified = true;
	if (s->base.ops->identify)
		s->base.ops->identify(s);
}

const struct http_peer *conn_peer(struct conn *c)
{
	identify(stream_of(c));
	return &stream_of(c)->peer;
}

struct str conn_alpn(struct conn *c)
{
	identify(stream_of(c));
	return stream_of(c)->alpn;
}
