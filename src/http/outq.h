/*
 * outq.h: bytes on their way out: a queue of ranges, copied or borrowed, that is sent from the
 * front.
 *
 * Small copies are put together into blocks, so that a response is one range. Not thread-safe.
 */
#ifndef SAMPAN_OUTQ_H
#define SAMPAN_OUTQ_H

#include <sys/uio.h>

#include "base/base.h"

struct outq_range {
	const char *p;
	size_t n;
	void (*release)(void *arg); /* NULL: nothing to do */
	void *arg;
};

struct outq {
	struct outq_range *v;
	size_t at, n, cap;     /* v[at..n) are queued */
	size_t bytes;          /* in all of them */
	char *room, *room_end; /* free space behind the last range, when that is a block of ours */
};

void outq_release(struct outq *q);
void outq_add(struct outq *q, struct str bytes); /* copies */
/* Borrows until release(arg), which may be NULL: then the bytes must outlive the queue or outq_own.
 */
void outq_add_ref(struct outq *q, struct str bytes, void (*release)(void *), void *arg);
/* What is borrowed without release becomes our own copy. */
void outq_own(struct outq *q);
void outq_splice(struct outq *to, struct outq *from); /* moves everything; from is empty then */
size_t outq_iov(const struct outq *q, struct iovec *iov, size_t max);
/* The next bytes in one piece, at most `max`: in place when the first range has them, else gathered
 * in `scratch`. */
struct str outq_front(const struct outq *q, char *scratch, size_t max);
void outq_consume(struct outq *q, size_t n);
static inline bool outq_empty(const struct outq *q)
{
	return q->bytes == 0;
}

#endif
