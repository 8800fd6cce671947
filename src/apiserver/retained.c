#include "apiserver/retained.h"

#include <pthread.h>

enum {
	KEPT_MAX = 64,
	KEPT_S = 300, /* upstream's etcd compaction: tokens live five to ten minutes */
};

struct kept {
	struct snapshot *snapshot;
	const struct schema_resource *resource;
	int64_t until_ns;
};

struct retained {
	pthread_mutex_t lock;
	struct kept v[KEPT_MAX];
	size_t n;
};

struct retained *retained_new(void)
{
	struct retained *r = xcalloc(1, sizeof(*r));

	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void retained_free(struct retained *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		snapshot_unref(r->v[i].snapshot);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void drop(struct retained *r, size_t i)
{
	snapshot_unref(r->v[i].snapshot);
	r->v[i] = r->v[--r->n];
}

static void drop_old(struct retained *r, int64_t now_ns)
{
	for (size_t i = r->n; i-- > 0;)
		if (r->v[i].until_ns < now_ns)
			drop(r, i);
}

static struct kept *find(struct retained *r, const struct schema_resource *res, uint64_t revision)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].resource == res && snapshot_revision(r->v[i].snapshot) == revision)
			return &r->v[i];
	return NULL;
}

static size_t oldest(const struct retained *r)
{
	size_t at = 0;

	for (size_t i = 1; i < r->n; i++)
		if (r->v[i].until_ns < r->v[at].until_ns)
			at = i;
	return at;
}

void retained_keep(
	struct retained *r, struct snapshot *s, const struct schema_resource *res, int64_t now_ns)
{
	int64_t until = now_ns + KEPT_S * 1000000000LL;
	struct kept *k;

	pthread_mutex_lock(&r->lock);
	drop_old(r, now_ns);
	k = find(r, res, snapshot_revision(s));
	if (k) {
		k->until_ns = until;
	} else {
		if (r->n == KEPT_MAX)
			drop(r, oldest(r));
		r->v[r->n++] = (struct kept){snapshot_ref(s), res, until};
	}
	pthread_mutex_unlock(&r->lock);
}

struct snapshot *retained_get(
	struct retained *r, const struct schema_resource *res, uint64_t revision, int64_t now_ns)
{
	struct snapshot *s = NULL;
	struct kept *k;

	pthread_mutex_lock(&r->lock);
	drop_old(r, now_ns);
	k = find(r, res, revision);
	if (k)
		s = snapshot_ref(k->snapshot);
	pthread_mutex_unlock(&r->lock);
	return s;
}
