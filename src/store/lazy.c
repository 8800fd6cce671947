/*
 * lazy.c: kinds whose writes are acknowledged from memory. Heartbeats and events are many, and
 * losing the last seconds of them in a crash costs nothing; a durable write each would wear out
 * flash. What is new or gone reaches the disk within seconds; what was only changed again (a lease
 * renewed) within a minute, which keeps an idle cluster below its budget of 10 MB written a day.
 */
#include "store/store_int.h"

enum {
	LAZY_NEW_MS = 5 * 1000,
	LAZY_CHANGED_MS = 60 * 1000,
	LAZY_RETRY_MS = 5 * 1000,
	LAZY_DELETED_MAX = 1 << 16, /* remembered; reached only when the disk stays full */
	LAZY_DELETED_SOON = 1 << 12,
};

static void due_within(struct store *s, int64_t ms)
{
	int64_t due_ms = store_now_ms(s) + ms;

	if (s->lazy_due_ms == 0 || due_ms < s->lazy_due_ms)
		s->lazy_due_ms = due_ms;
}

bool lazy_full(const struct store_resource *rs)
{
	return rs->n_lazy_deleted >= LAZY_DELETED_MAX;
}

static void note_deleted(struct store_resource *rs, uint64_t created)
{
	if (rs->n_lazy_deleted == rs->cap_lazy_deleted) {
		rs->cap_lazy_deleted = MAX(rs->cap_lazy_deleted * 2, 64u);
		rs->lazy_deleted =
			xrealloc(rs->lazy_deleted, rs->cap_lazy_deleted * sizeof(uint64_t));
	}
	rs->lazy_deleted[rs->n_lazy_deleted++] = created;
	if (rs->n_lazy_deleted == LAZY_DELETED_SOON)
		due_within(rs->store, 0);
}

void lazy_note(struct store_resource *rs, enum store_op op, const struct object *o)
{
	if (op == STORE_DELETE) {
		tree_remove(&rs->lazy, o->ns, o->name);
		note_deleted(rs, o->created);
	} else {
		tree_put(&rs->lazy, o);
	}
	due_within(rs->store, op == STORE_UPDATE ? LAZY_CHANGED_MS : LAZY_NEW_MS);
}

/* Up to n rows of what is lazy in a resource; the objects are borrowed from rs->lazy. */
static size_t collect(struct store_resource *rs, struct backend_write *w, size_t n)
{
	struct tree_iter it;
	const struct object *o;
	size_t i = 0;

	for (; i < MIN(n, rs->n_lazy_deleted); i++)
		w[i] = (struct backend_write){
			.resource = rs->resource,
			.created = rs->lazy_deleted[rs->n_lazy_deleted - 1 - i],
		};
	tree_seek(&it, &rs->lazy, S(""), S(""), false);
	while (i < n && (o = tree_next(&it)))
		w[i++] = (struct backend_write){rs->resource, o->created, o->revision, o};
	return i;
}

static void forget(struct store_resource *rs, const struct backend_write *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (w[i].object)
			tree_remove(&rs->lazy, w[i].object->ns, w[i].object->name);
		else
			rs->n_lazy_deleted--;
	}
}

static int flush_resource(struct store *s, struct store_resource *rs)
{
	struct backend_write w[COMMIT_BATCH_MAX];
	struct err err CLEANUP(err_release) = {0};
	size_t n;
	int r;

	while ((n = collect(rs, w, ARRAY_SIZE(w))) > 0) {
		r = s->backend->ops->commit(s->backend, w, n, &err);
		if (r < 0)
			return r;
		forget(rs, w, n);
	}
	return 0;
}

/* Heartbeats make this happen every minute in any cluster with nodes: the occasion to forget old
 * events, too. */
int lazy_flush(struct store *s)
{
	int ret = 0, r;

	s->lazy_due_ms = 0;
	for (size_t i = 0; i < schema_n_resources; i++) {
		struct store_resource *rs = &s->resources[i];

		r = flush_resource(s, rs);
		if (r < 0)
			ret = r;
		pthread_mutex_lock(&rs->lock);
		history_expire(&rs->history, store_now_ms(s));
		pthread_mutex_unlock(&rs->lock);
	}
	if (ret < 0)
		due_within(s, LAZY_RETRY_MS);
	return ret;
}

void lazy_release(struct store_resource *rs)
{
	tree_release(&rs->lazy);
	free(rs->lazy_deleted);
	rs->lazy_deleted = NULL;
	rs->n_lazy_deleted = rs->cap_lazy_deleted = 0;
}
