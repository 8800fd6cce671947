/*
 * commit.c: one batch of writes, from comparing with what is there to done(). On the commit thread
 * only.
 *
 * Writes are applied in order to private trees that start as the published ones, so a write sees
 * those before it in its batch. Then the backend makes all of them durable at once, then they
 * become visible. When the backend fails, the private trees are dropped and every write that was
 * judged by them fails too.
 */
#include "store/store_int.h"

enum { CHANGES_MAX = COMMIT_BATCH_MAX * (2 + STORE_ALONG_MAX) };

struct commit_batch {
	struct changes changes;
	struct store_write *writers[CHANGES_MAX]; /* of each change; NULL: of what came along */
	struct backend_write durable[CHANGES_MAX];
	size_t n_durable;
};

struct commit_batch *commit_batch_new(void)
{
	return xcalloc(1, sizeof(struct commit_batch));
}

void commit_batch_free(struct commit_batch *b)
{
	changes_release(&b->changes);
	free(b);
}

/* What keeps the write from being done, compared with what is there; 0 when nothing does. */
static int compare(const struct store_write *w, const struct object *current)
{
	if (w->op == STORE_CREATE)
		return current ? -EEXIST : 0;
	if (!current)
		return -ENOENT;
	return w->expect_revision && w->expect_revision != current->revision ? -EBUSY : 0;
}

/* A lazy write's revision is in no row when it is acknowledged: it must lie below a durable mark.
 */
static int reserve(struct store *s, uint64_t revision)
{
	struct err err CLEANUP(err_release) = {0};
	int r;

	if (revision <= s->reserved)
		return 0;
	r = s->backend->ops->reserve(s->backend, revision + COMMIT_RESERVE, &err);
	if (r < 0)
		return r;
	s->reserved = revision + COMMIT_RESERVE;
	return 0;
}

static struct object *committed(
	struct store *s, const struct object *draft, const struct object *current)
{
	uint64_t revision = ++s->next_revision;
	struct object *o = object_commit(draft ? draft : current, revision);

	o->created = current ? current->created : revision;
	return o;
}

static const enum store_event_type event_types[] = {
	[STORE_CREATE] = STORE_ADDED,
	[STORE_UPDATE] = STORE_MODIFIED,
	[STORE_DELETE] = STORE_DELETED,
};

static void change(struct store *s, struct commit_batch *b, struct store_resource *rs,
	enum store_op op, const struct object *draft, const struct object *current)
{
	struct change *c = changes_add(
		&b->changes, rs, event_types[op], committed(s, draft, current), current);

	if (!rs->resource->lazy)
		b->durable[b->n_durable++] = (struct backend_write){
			.resource = rs->resource,
			.created = c->object->created,
			.revision = c->object->revision,
			.object = op == STORE_DELETE ? NULL : c->object,
		};
}

/* Whether somebody else has what the write wants to bring along. */
static bool is_claimed(struct store *s, struct commit_batch *b, const struct store_write *w)
{
	assert(w->n_along <= STORE_ALONG_MAX);
	for (size_t i = 0; i < w->n_along; i++) {
		const struct store_along *along = &w->along[i];
		struct store_resource *rs = store_resource(s, along->resource);

		changes_touch(&b->changes, rs);
		if (along->draft && tree_get(&rs->work, along->ns, along->name))
			return true;
	}
	return false;
}

/* What the write makes of the object beside it; *ret NULL: nothing. */
static int make_beside(
	struct store *s, struct commit_batch *b, const struct store_write *w, struct object **ret)
{
	const struct store_beside *beside = w->beside;
	struct store_resource *rs;

	*ret = NULL;
	if (!beside)
		return 0;
	rs = store_resource(s, beside->resource);
	assert(!rs->resource->lazy);
	changes_touch(&b->changes, rs);
	return beside->make(beside, tree_get(&rs->work, beside->ns, beside->name), ret);
}

static void apply_beside(struct store *s, struct commit_batch *b, const struct store_beside *beside,
	struct object *draft)
{
	struct store_resource *rs = store_resource(s, beside->resource);
	const struct object *current = tree_get(&rs->work, beside->ns, beside->name);

	b->writers[b->changes.n] = NULL;
	change(s, b, rs, current ? STORE_UPDATE : STORE_CREATE, draft, current);
	object_unref(draft);
}

static void apply_along(struct store *s, struct commit_batch *b, const struct store_along *along)
{
	struct store_resource *rs = store_resource(s, along->resource);
	const struct object *current = tree_get(&rs->work, along->ns, along->name);

	assert(!rs->resource->lazy);
	if (!along->draft && !current)
		return;
	b->writers[b->changes.n] = NULL;
	change(s, b, rs, along->draft ? STORE_CREATE : STORE_DELETE, along->draft, current);
}

static void apply(struct store *s, struct commit_batch *b, struct store_write *w)
{
	struct store_resource *rs = store_resource(s, w->resource);
	const struct object *current;
	struct object *beside = NULL;

	changes_touch(&b->changes, rs);
	current = tree_get(&rs->work, w->ns, w->name);
	w->result = compare(w, current);
	if (w->result == 0 && is_claimed(s, b, w))
		w->result = -EADDRINUSE;
	if (w->result == 0)
		w->result = make_beside(s, b, w, &beside);
	if (w->result == 0 && rs->resource->lazy)
		w->result = lazy_full(rs) ? -ENOSPC : reserve(s, s->next_revision + 1);
	if (w->result < 0) {
		object_unref(beside);
		if (current && (w->result == -EEXIST || w->result == -EBUSY))
			w->object = object_ref(current);
		return;
	}
	b->writers[b->changes.n] = w;
	change(s, b, rs, w->op, w->draft, current);
	for (size_t i = 0; i < w->n_along; i++)
		apply_along(s, b, &w->along[i]);
	if (beside)
		apply_beside(s, b, w->beside, beside);
}

static int make_durable(struct store *s, struct commit_batch *b)
{
	struct err err CLEANUP(err_release) = {0};
	int r;

	if (b->n_durable == 0)
		return 0;
	r = s->backend->ops->commit(s->backend, b->durable, b->n_durable, &err);
	if (r < 0 && !s->failing)
		log_error("store: writes fail: %s", err_text(&err));
	if (r == 0 && s->failing)
		log_info("store: writes succeed again");
	s->failing = r < 0;
	return r;
}

/* Nothing durable in this batch happened. Their verdicts (exists, conflict) may rest on a write
 * that failed: those writers learn of the failure instead. Revisions that were used stay used. */
static void fail_durable(struct commit_batch *b, struct store_write *list, int r)
{
	struct changes *all = &b->changes;

	for (size_t i = 0; i < all->n; i++) {
		if (all->v[i].rs->resource->lazy)
			continue;
		all->v[i].object = object_unref(all->v[i].object);
		all->v[i].prev = object_unref((struct object *)all->v[i].prev);
	}
	for (struct store_write *w = list; w; w = w->next) {
		if (w->resource->storage_resource->lazy)
			continue;
		w->object = object_unref((struct object *)w->object);
		w->result = r;
	}
	for (size_t i = 0; i < all->n_touched; i++) {
		if (all->touched[i]->resource->lazy)
			continue;
		tree_release(&all->touched[i]->work);
		all->touched[i]->work = published_tree(all->touched[i]);
	}
}

static void note_lazy(struct commit_batch *b)
{
	for (size_t i = 0; i < b->changes.n; i++) {
		struct change *c = &b->changes.v[i];

		if (c->object && c->rs->resource->lazy) /* none comes along */
			lazy_note(c->rs, b->writers[i]->op, c->object);
	}
}

/* Hands results over; a write belongs to its loop again as soon as it is posted. */
static void finish(struct commit_batch *b, struct store_write *list)
{
	for (size_t i = 0; i < b->changes.n; i++) {
		struct change *c = &b->changes.v[i];

		if (c->object && b->writers[i])
			b->writers[i]->object = object_ref(c->object);
	}
	for (struct store_write *w = list, *next; w; w = next) {
		next = w->next;
		w->draft = object_unref(w->draft);
		loop_post(w->loop, &w->task);
	}
	changes_clear(&b->changes);
	b->n_durable = 0;
}

static uint64_t last_revision(const struct changes *all)
{
	uint64_t revision = 0;

	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].object)
			revision = all->v[i].object->revision;
	return revision;
}

void commit_run(struct store *s, struct store_write *list)
{
	struct commit_batch *b = s->batch;
	int r;

	for (struct store_write *w = list; w; w = w->next)
		apply(s, b, w);
	r = make_durable(s, b);
	if (r < 0)
		fail_durable(b, list, r);
	changes_publish(s, &b->changes, last_revision(&b->changes));
	note_lazy(b);
	finish(b, list);
}
