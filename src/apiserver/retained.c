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
	uint64_t sampled, compacted; /* revisions; the first at sampled_ns */
	int64_t sampled_ns;
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

bool retained_is_compacted(struct retained *r, uint64_t revision, uint64_t current, int64_t now_ns)
{
	bool compacted;

	pthread_mutex_lock(&r->lock);
	if (now_ns - r->sampled_ns >= KEPT_S * 1000000000LL) {
		r->compacted = r->sampled;
		r->sampled = current;
		r->sampled_ns = now_ns;
	}
	compacted = revision && revision <= r->compacted;
	pthread_mutex_unlock(&r->lock);
	return compacted;
}

/* --- earlier states --- */

struct undo {
	const struct object *object, *prev; /* references */
	bool added;
};

struct undo_list {
	struct undo *v;
	size_t n;
};

static void wake_nobody(struct store_watch *w, void *user_data)
{
}

/* What happened after `revision`, up to where the snapshot stands. False: not all of it is known.
 */
static bool read_since(struct store *store, const struct schema_resource *res, uint64_t revision,
	uint64_t until, struct loop *loop, struct arena *a, struct undo_list *ret)
{
	struct store_watch *w;
	struct store_event ev;
	int r = store_watch_open(store, res, revision, loop, wake_nobody, NULL, &w);

	if (r < 0)
		return false;
	while ((r = store_watch_next(w, &ev)) > 0 && ev.revision <= until) {
		struct undo u = {.object = object_ref_in(a, ev.object),
			.prev = ev.prev ? object_ref_in(a, ev.prev) : NULL,
			.added = ev.type == STORE_ADDED};

		ARENA_PUSH(a, ret, u);
	}
	store_watch_close(w);
	return r >= 0;
}

struct snapshot *snapshot_rewind(struct store *store, const struct schema_resource *res,
	uint64_t revision, struct loop *loop)
{
	struct snapshot *s = store_snapshot(store, res), *next;
	struct undo_list undo = {0};
	struct arena a = {0};

	if (!read_since(store, res, revision, snapshot_revision(s), loop, &a, &undo)) {
		arena_release(&a);
		return snapshot_unref(s);
	}
	for (size_t i = undo.n; i-- > 0;) {
		const struct undo *u = &undo.v[i];

		next = u->added ? snapshot_without(s, u->object->ns, u->object->name, revision)
				: snapshot_with(s, u->prev ? u->prev : u->object, revision);
		snapshot_unref(s);
		s = next;
	}
	arena_release(&a);
	return s;
}
