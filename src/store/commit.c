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

struct change {
	struct store_write *w;
	struct store_resource *rs;
	struct object *object;     /* NULL once given to the writer, or failed */
	const struct object *prev; /* with a reference */
};

struct commit_batch {
	struct change changes[COMMIT_BATCH_MAX];
	struct backend_write durable[COMMIT_BATCH_MAX];
	struct store_resource *touched[COMMIT_BATCH_MAX];
	size_t n_changes, n_durable, n_touched;
};

struct commit_batch *commit_batch_new(void)
{
	return xcalloc(1, sizeof(struct commit_batch));
}

void commit_batch_free(struct commit_batch *b)
{
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

/* Readers may put a newer stamp on the current snapshot at any time, and drop the old one: not
 * without the lock. */
static struct tree published_tree(struct store_resource *rs)
{
	struct tree t;

	pthread_mutex_lock(&rs->lock);
	t = tree_ref(&rs->current->tree);
	pthread_mutex_unlock(&rs->lock);
	return t;
}

static void touch(struct commit_batch *b, struct store_resource *rs)
{
	if (rs->touched)
		return;
	rs->touched = true;
	rs->work = published_tree(rs);
	b->touched[b->n_touched++] = rs;
}

static struct object *committed(
	struct store *s, struct store_write *w, const struct object *current)
{
	uint64_t revision = ++s->next_revision;
	struct object *o = object_commit(w->draft ? w->draft : current, revision);

	o->created = current ? current->created : revision;
	return o;
}

static void apply(struct store *s, struct commit_batch *b, struct store_write *w)
{
	struct store_resource *rs = store_resource(s, w->resource);
	const struct object *current;
	struct change *c;

	touch(b, rs);
	current = tree_get(&rs->work, w->ns, w->name);
	w->result = compare(w, current);
	if (w->result == 0 && rs->resource->lazy)
		w->result = lazy_full(rs) ? -ENOSPC : reserve(s, s->next_revision + 1);
	if (w->result < 0) {
		if (current && (w->result == -EEXIST || w->result == -EBUSY))
			w->object = object_ref(current);
		return;
	}
	c = &b->changes[b->n_changes++];
	*c = (struct change){.w = w, .rs = rs, .object = committed(s, w, current)};
	c->prev = current ? object_ref(current) : NULL;
	if (w->op == STORE_DELETE)
		tree_remove(&rs->work, w->ns, w->name);
	else
		tree_put(&rs->work, c->object);
	if (!rs->resource->lazy)
		b->durable[b->n_durable++] = (struct backend_write){
			.resource = rs->resource,
			.created = c->object->created,
			.revision = c->object->revision,
			.object = w->op == STORE_DELETE ? NULL : c->object,
		};
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
	for (size_t i = 0; i < b->n_changes; i++) {
		if (b->changes[i].rs->resource->lazy)
			continue;
		b->changes[i].object = object_unref(b->changes[i].object);
		b->changes[i].prev = object_unref((struct object *)b->changes[i].prev);
	}
	for (struct store_write *w = list; w; w = w->next) {
		if (w->resource->storage_resource->lazy)
			continue;
		w->object = object_unref((struct object *)w->object);
		w->result = r;
	}
	for (size_t i = 0; i < b->n_touched; i++) {
		if (b->touched[i]->resource->lazy)
			continue;
		tree_release(&b->touched[i]->work);
		b->touched[i]->work = published_tree(b->touched[i]);
	}
}

static struct store_event event_of(const struct change *c)
{
	static const enum store_event_type types[] = {
		[STORE_CREATE] = STORE_ADDED,
		[STORE_UPDATE] = STORE_MODIFIED,
		[STORE_DELETE] = STORE_DELETED,
	};

	return (struct store_event){types[c->w->op], c->object, c->prev, c->object->revision};
}

/* One resource's new snapshot and events appear together. */
static void publish(struct commit_batch *b, struct store_resource *rs, int64_t now_ms)
{
	struct snapshot *old;
	uint64_t revision = 0;

	for (size_t i = 0; i < b->n_changes; i++)
		if (b->changes[i].rs == rs && b->changes[i].object)
			revision = b->changes[i].object->revision;
	if (revision == 0)
		return;
	pthread_mutex_lock(&rs->lock);
	for (size_t i = 0; i < b->n_changes; i++) {
		struct change *c = &b->changes[i];
		struct store_event ev;

		if (c->rs != rs || !c->object)
			continue;
		ev = event_of(c);
		history_add(&rs->history, &ev, now_ms);
	}
	old = rs->current;
	rs->current = snapshot_of(rs->resource, &rs->work, revision);
	pthread_mutex_unlock(&rs->lock);
	snapshot_unref(old);
}

static void note_lazy(struct store *s, struct commit_batch *b)
{
	for (size_t i = 0; i < b->n_changes; i++) {
		struct change *c = &b->changes[i];

		if (c->object && c->rs->resource->lazy)
			lazy_note(c->rs, c->w->op, c->object);
	}
}

static void publish_all(struct store *s, struct commit_batch *b)
{
	int64_t now_ms = store_now_ms(s);
	uint64_t revision = 0;

	for (size_t i = 0; i < b->n_touched; i++)
		publish(b, b->touched[i], now_ms);
	for (size_t i = 0; i < b->n_changes; i++)
		if (b->changes[i].object)
			revision = b->changes[i].object->revision;
	if (revision)
		atomic_store_explicit(&s->revision, revision, memory_order_release);
	for (size_t i = 0; i < b->n_touched; i++)
		history_wake(b->touched[i]);
}

/* Hands results over; a write belongs to its loop again as soon as it is posted. */
static void finish(struct commit_batch *b, struct store_write *list)
{
	for (size_t i = 0; i < b->n_changes; i++) {
		struct change *c = &b->changes[i];

		object_unref((struct object *)c->prev);
		if (c->object)
			c->w->object = c->object;
	}
	for (struct store_write *w = list, *next; w; w = next) {
		next = w->next;
		w->draft = object_unref(w->draft);
		loop_post(w->loop, &w->task);
	}
	for (size_t i = 0; i < b->n_touched; i++) {
		tree_release(&b->touched[i]->work);
		b->touched[i]->touched = false;
	}
	b->n_changes = b->n_durable = b->n_touched = 0;
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
	publish_all(s, b);
	note_lazy(s, b);
	finish(b, list);
}
