#include "http/outq.h"

enum { BLOCK_MIN = 2048, BLOCK_MAX = 16384 };

static void drop(struct outq_range *r)
{
	if (r->release)
		r->release(r->arg);
}

void outq_release(struct outq *q)
{
	for (size_t i = q->at; i < q->n; i++)
		drop(&q->v[i]);
	free(q->v);
	*q = (struct outq){0};
}

static struct outq_range *push(struct outq *q)
{
	if (q->n == q->cap && q->at > q->cap / 2) {
		memmove(q->v, q->v + q->at, (q->n - q->at) * sizeof(q->v[0]));
		q->n -= q->at;
		q->at = 0;
	}
	if (q->n == q->cap) {
		q->cap = MAX(q->cap * 2, (size_t)4);
		q->v = xrealloc(q->v, q->cap * sizeof(q->v[0]));
	}
	return &q->v[q->n++];
}

void outq_add(struct outq *q, struct str bytes)
{
	size_t here = MIN(bytes.n, (size_t)(q->room_end - q->room)), size;
	char *block;

	if (here) {
		memcpy(q->room, bytes.p, here);
		q->v[q->n - 1].n += here;
		q->room += here;
		q->bytes += here;
		bytes = str_sub(bytes, here, bytes.n);
	}
	if (!bytes.n)
		return;
	size = MAX(q->bytes ? (size_t)BLOCK_MAX : (size_t)BLOCK_MIN, bytes.n);
	block = xmalloc(size);
	memcpy(block, bytes.p, bytes.n);
	*push(q) = (struct outq_range){block, bytes.n, free, block};
	q->bytes += bytes.n;
	q->room = block + bytes.n;
	q->room_end = block + size;
}

void outq_add_ref(struct outq *q, struct str bytes, void (*release)(void *), void *arg)
{
	struct outq_range r = {bytes.p, bytes.n, release, arg};

	if (!bytes.n) {
		drop(&r);
		return;
	}
	*push(q) = r;
	q->bytes += bytes.n;
	q->room = q->room_end = NULL;
}

void outq_own(struct outq *q)
{
	for (size_t i = q->at; i < q->n; i++) {
		struct outq_range *r = &q->v[i];
		char *copy;

		if (r->release)
			continue;
		copy = xmalloc(r->n);
		memcpy(copy, r->p, r->n);
		*r = (struct outq_range){copy, r->n, free, copy};
	}
}

void outq_splice(struct outq *to, struct outq *from)
{
	if (to->at == to->n) {
		struct outq empty = {.v = to->v, .cap = to->cap};

		*to = *from;
		*from = empty;
		return;
	}
	for (size_t i = from->at; i < from->n; i++)
		*push(to) = from->v[i];
	to->bytes += from->bytes;
	if (from->at < from->n) {
		to->room = from->room;
		to->room_end = from->room_end;
	}
	*from = (struct outq){.v = from->v, .cap = from->cap};
}

size_t outq_iov(const struct outq *q, struct iovec *iov, size_t max)
{
	size_t n = MIN(q->n - q->at, max);

	for (size_t i = 0; i < n; i++)
		iov[i] = (struct iovec){(void *)q->v[q->at + i].p, q->v[q->at + i].n};
	return n;
}

struct str outq_front(const struct outq *q, char *scratch, size_t max)
{
	size_t want = MIN(q->bytes, max), have = 0;

	if (!want)
		return (struct str){0};
	if (q->v[q->at].n >= want)
		return str_n(q->v[q->at].p, want);
	for (size_t i = q->at; have < want; i++) {
		size_t n = MIN(q->v[i].n, want - have);

		memcpy(scratch + have, q->v[i].p, n);
		have += n;
	}
	return str_n(scratch, want);
}

void outq_consume(struct outq *q, size_t n)
{
	assert(n <= q->bytes);
	q->bytes -= n;
	while (n) {
		struct outq_range *r = &q->v[q->at];
		size_t part = MIN(n, r->n);

		r->p += part;
		r->n -= part;
		n -= part;
		if (r->n)
			break;
		drop(r);
		q->at++;
	}
	if (q->at == q->n) {
		q->at = q->n = 0;
		q->room = q->room_end = NULL;
	}
}
