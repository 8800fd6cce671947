/*
 * publish.c: how changes become visible: new snapshots and events of every touched resource, then
 * the store's revision, then watchers are woken. On the writer's thread only.
 */
#include "store/store_int.h"

void changes_touch(struct changes *c, struct store_resource *rs)
{
	if (rs->touched)
		return;
	rs->touched = true;
	rs->work = published_tree(rs);
	if (c->n_touched == c->cap_touched) {
		c->cap_touched = MAX(2 * c->cap_touched, 16u);
		c->touched = xrealloc(c->touched, c->cap_touched * sizeof(struct store_resource *));
	}
	c->touched[c->n_touched++] = rs;
}

/* Readers may put a newer stamp on the current snapshot at any time, and drop the old one: not
 * without the lock. */
struct tree published_tree(struct store_resource *rs)
{
	struct tree t;

	pthread_mutex_lock(&rs->lock);
	t = tree_ref(&rs->current->tree);
	pthread_mutex_unlock(&rs->lock);
	return t;
}

struct change *changes_add(struct changes *c, struct store_resource *rs, enum store_event_type type,
	struct object *object, const struct object *prev)
{
	struct change *change;

	changes_touch(c, rs);
	if (c->n == c->cap) {
		c->cap = MAX(2 * c->cap, 64u);
		c->v = xrealloc(c->v, c->cap * sizeof(*c->v));
	}
	change = &c->v[c->n++];
	*change = (struct change){.rs = rs, .type = type, .object = object};
	change->prev = prev ? object_ref(prev) : NULL;
	if (type == STORE_DELETED)
		tree_remove(&rs->work, object->ns, object->name);
	else
		tree_put(&rs->work, object);
	return change;
}

/* One resource's new snapshot and events appear together. */
static void publish(struct changes *c, struct store_resource *rs, int64_t now_ms)
{
	struct snapshot *old;
	uint64_t revision = 0;

	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].rs == rs && c->v[i].object)
			revision = c->v[i].object->revision;
	if (revision == 0)
		return;
	pthread_mutex_lock(&rs->lock);
	for (size_t i = 0; i < c->n; i++) {
		const struct change *change = &c->v[i];
		struct store_event ev;

		if (change->rs != rs || !change->object)
			continue;
		ev = (struct store_event){
			change->type, change->object, change->prev, change->object->revision};
		history_add(&rs->history, &ev, now_ms);
	}
	old = rs->current;
	rs->current = snapshot_of(rs->resource, &rs->work, revision);
	pthread_mutex_unlock(&rs->lock);
	snapshot_unref(old);
}

void changes_publish(struct store *s, struct changes *c, uint64_t revision)
{
	int64_t now_ms = store_now_ms(s);

	for (size_t i = 0; i < c->n_touched; i++)
		publish(c, c->touched[i], now_ms);
	if (revision > atomic_load_explicit(&s->revision, memory_order_relaxed))
		atomic_store_explicit(&s->revision, revision, memory_order_release);
	for (size_t i = 0; i < c->n_touched; i++)
		history_wake(c->touched[i]);
}

void changes_clear(struct changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		object_unref(c->v[i].object);
		object_unref((struct object *)c->v[i].prev);
	}
	for (size_t i = 0; i < c->n_touched; i++) {
		tree_release(&c->touched[i]->work);
		c->touched[i]->touched = false;
	}
	c->n = c->n_touched = 0;
}

void changes_release(struct changes *c)
{
	changes_clear(c);
	free(c->v);
	free(c->touched);
	*c = (struct changes){0};
}
