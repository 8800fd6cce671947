#include "base/base.h"

#include <stdio.h>

enum { CHUNK_MIN = 4096, CHUNK_MAX = 1 << 20, ALIGN = 16 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
} __attribute__((aligned(ALIGN)));

struct arena_hook {
	struct arena_hook *next;
	void (*fn)(void *);
	void *p;
};

void arena_init(struct arena *a)
{
	*a = (struct arena){0};
}

void arena_release(struct arena *a)
{
	for (struct arena_hook *h = a->hooks; h; h = h->next)
		h->fn(h->p);
	for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct arena){0};
}

static void *alloc_slow(struct arena *a, size_t size)
{
	size_t want = a->chunks ? MIN(a->chunks->size * 2, (size_t)CHUNK_MAX) : CHUNK_MIN;
	struct arena_chunk *c;

	if (size >
		want / 2) { /* a block of its own, behind the current chunk, which stays in use */
		c = xmalloc(sizeof(*c) + size);
		c->size = a->chunks ? a->chunks->size : CHUNK_MIN;
		if (a->chunks) {
			c->next = a->chunks->next;
			a->chunks->next = c;
		} else {
			c->next = NULL;
			a->chunks = c;
		}
		return c + 1;
	}
	c = xmalloc(sizeof(*c) + want);
	c->size = want;
	c->next = a->chunks;
	a->chunks = c;
	a->cur = (char *)(c + 1) + size;
	a->end = (char *)(c + 1) + want;
	return c + 1;
}

static void *alloc_raw(struct arena *a, size_t size)
{
	assert(size <= PTRDIFF_MAX - ALIGN);
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	a->total += size;
	if (size <= (size_t)(a->end - a->cur)) {
		void *p = a->cur;

		a->cur += size;
		return p;
	}
	return alloc_slow(a, size);
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p = alloc_raw(a, size ? size : 1);

	return memset(p, 0, size);
}

void *arena_memdup(struct arena *a, const void *p, size_t n)
{
	char *out = alloc_raw(a, n + 1);

	if (n)
		memcpy(out, p, n);
	out[n] = 0;
	return out;
}

struct str arena_str(struct arena *a, struct str s)
{
	if (!s.p)
		return s;
	return (struct str){arena_memdup(a, s.p, s.n), s.n};
}

struct str arena_strc(struct arena *a, const char *c)
{
	return arena_str(a, str_c(c));
}

char *arena_cstr(struct arena *a, struct str s)
{
	return arena_memdup(a, s.p, s.n);
}

struct str arena_vfmt(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	int n;
	char *p;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	assert(n >= 0);
	p = alloc_raw(a, n + 1);
	vsnprintf(p, n + 1, fmt, ap);
	return (struct str){p, n};
}

struct str arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	struct str s;

	va_start(ap, fmt);
	s = arena_vfmt(a, fmt, ap);
	va_end(ap);
	return s;
}

void arena_ref(struct arena *a, void (*fn)(void *), void *p)
{
	struct arena_hook *h = alloc_raw(a, sizeof(*h));

	*h = (struct arena_hook){a->hooks, fn, p};
	a->hooks = h;
}

void *arena_array(struct arena *a, size_t n, size_t elem_size)
{
	size_t cap = 1;

	while (cap < n)
		cap *= 2;
	assert(cap <= PTRDIFF_MAX / elem_size);
	return arena_alloc(a, cap * elem_size);
}

void *arena_grow(struct arena *a, void *v, size_t n, size_t elem_size)
{
	void *out;

	if (n && (n & (n - 1)))
		return v; /* not a power of two: room is left from the last growth */
	out = arena_alloc(a, MAX(n * 2, 1u) * elem_size);
	if (n)
		memcpy(out, v, n * elem_size);
	return out;
}
