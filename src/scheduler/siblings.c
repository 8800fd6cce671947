/*
 * siblings.c: one hash table of (controller, place) -> count. Keys are 64-bit hashes: a clash
 * between two of some 100,000 would only make one node look a little fuller.
 */
#include "scheduler/siblings.h"

struct count {
	uint64_t key; /* 0: free */
	int64_t n;
};

struct siblings {
	struct count *v;
	size_t n, cap;
};

enum { CAP_MIN = 1024 };

struct siblings *siblings_new(void)
{
	struct siblings *s = xcalloc(1, sizeof(*s));

	s->cap = CAP_MIN;
	s->v = xcalloc(s->cap, sizeof(*s->v));
	return s;
}

void siblings_free(struct siblings *s)
{
	if (!s)
		return;
	free(s->v);
	free(s);
}

static uint64_t key_of(uint64_t owner, uint64_t place)
{
	uint64_t h = (owner ^ place) * 0x9e3779b97f4a7c15;

	h ^= h >> 29;
	return h ? h : 1;
}

static struct count *probe(const struct count *v, size_t cap, uint64_t key)
{
	size_t i = key & (cap - 1);

	while (v[i].key && v[i].key != key)
		i = (i + 1) & (cap - 1);
	return (struct count *)&v[i];
}

/* Counts of zero are left behind when the table grows. */
static void grow(struct siblings *s)
{
	size_t live = 0, cap = CAP_MIN;
	struct count *old = s->v;
	size_t n_old = s->cap;

	for (size_t i = 0; i < n_old; i++)
		live += old[i].n != 0;
	while (cap < live * 4)
		cap *= 2;
	s->v = xcalloc(cap, sizeof(*s->v));
	s->cap = cap;
	s->n = live;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].n)
			*probe(s->v, cap, old[i].key) = old[i];
	free(old);
}

void siblings_count(struct siblings *s, uint64_t owner, uint64_t place, int by)
{
	uint64_t key = key_of(owner, place);
	struct count *c = probe(s->v, s->cap, key);

	if (!c->key) {
		if (s->n * 4 >= s->cap * 3) {
			grow(s);
			c = probe(s->v, s->cap, key);
		}
		c->key = key;
		s->n++;
	}
	c->n += by;
}

int64_t siblings_at(const struct siblings *s, uint64_t owner, uint64_t place)
{
	return probe(s->v, s->cap, key_of(owner, place))->n;
}
