/*
 * conn_int.h: what the kinds of connection share (conn.c) and what each has of its own (struct
 * conn_ops). Private.
 */
#ifndef SAMPAN_CONN_INT_H
#define SAMPAN_CONN_INT_H

#include "http/conn.h"
#include "http/exchange.h"
#include "http/outq.h"

struct stream;

/* One kind of connection: socket, TLS on a socket, pair. */
struct conn_ops {
	/* Up to n bytes of input. 0 at the end of input, -EAGAIN when there is none now. */
	ssize_t (*recv)(struct stream *s, char *p, size_t n);
	/* Sends from s->out what can be sent now and consumes it. 0, or a negative errno that ends
	 * the connection. */
	int (*send)(struct stream *s);
	/* s->reading or s->out changed: watch for what matters now. */
	void (*watch)(struct stream *s);
	/* Tells the peer that no more comes. s->out is empty. */
	void (*shutdown)(struct stream *s);
	/* Lets go of everything; calls stream_free now or later. */
	void (*destroy)(struct stream *s);
	/* Fills s->peer and s->alpn. May be NULL. */
	void (*identify)(struct stream *s);
};

struct stream {
	struct conn base;
	struct outq out;
	struct outq unread; /* given back: comes before new input */
	struct arena arena; /* strings of peer */
	struct http_peer peer;
	struct str alpn;
	struct loop_task task;   /* does what must not happen inside the caller's call */
	struct loop_timer timer; /* ends a close that cannot get its output out */
	int status;              /* for on_close */
	bool task_posted, identified;
	bool reading, eof, eof_told;
	bool above_low_water, tell_writable;
	bool want_shutdown, did_shutdown;
	bool closing;   /* no more callbacks but on_close */
	bool done;      /* nothing left to send: the task ends it */
	bool kick_read; /* the task looks for input that no event will announce */
	bool want_flush;
};

void stream_init(struct stream *s, struct loop *loop, const struct conn_ops *ops);
void stream_free(struct stream *s); /* by destroy */
/* The kind calls these when its descriptor is ready. */
void stream_readable(struct stream *s);
void stream_writable(struct stream *s);
void stream_fail(struct stream *s, int status);
void stream_post(struct stream *s);

/* Queues without sending; the bytes leave at the end of the loop's turn at the latest. */
void conn_queue(struct conn *c, struct str bytes);
void conn_queue_all(struct conn *c, struct outq *q);
/* Copies what is queued as borrowed without release (outq_own). */
void conn_own_output(struct conn *c);
void conn_flush_later(struct conn *c);
/* Gives input back: the next owner gets it first. Only while reading is stopped, and before more
 * input is taken. */
void conn_unread(struct conn *c, struct str bytes);
static inline struct stream *stream_of(struct conn *c)
{
	return container_of(c, struct stream, base);
}

#endif
