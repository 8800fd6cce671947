#include "apiserver/admission/derived.h"

#include <pthread.h>

struct item {
	_Atomic uint32_t refs;
	const struct object *from;
	struct arena arena;
	void *made;
};

struct set {
	_Atomic uint32_t refs;
	struct snapshot *from;
	struct item **items;
	void **made; /* of the items */
	size_t n;
};

struct derived {
	struct store *store;
	const struct schema_resource *resource;
	derived_make_fn *make;
	pthread_mutex_t lock;
	struct set *current;
};

static void item_unref(struct item *it)
{
	if (atomic_fetch_sub_explicit(&it->refs, 1, memory_order_acq_rel) != 1)
		return;
	arena_release(&it->arena);
	object_unref(it->from);
	free(it);
}

static void set_unref(void *p)
{
	struct set *s = p;

	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < s->n; i++)
		item_unref(s->items[i]);
	snapshot_unref(s->from);
	free(s->items);
	free(s->made);
	free(s);
}

static struct item *make(const struct derived *d, const struct object *o)
{
	struct item *it = xcalloc(1, sizeof(*it));

	atomic_init(&it->refs, 1);
	it->from = object_ref(o);
	it->made = d->make(o, &it->arena);
	return it;
}

/* The item of the object, from the old set where it is the same one; both are in order. */
static struct item *take(
	const struct derived *d, const struct set *old, size_t *at, const struct object *o)
{
	for (; old && *at < old->n; (*at)++) {
		struct item *it = old->items[*at];
		int order = str_cmp(it->from->name, o->name);

		if (order > 0)
			break;
		if (it->from == o) {
			atomic_fetch_add_explicit(&it->refs, 1, memory_order_relaxed);
			return it;
		}
	}
	return make(d, o);
}

static struct set *make_set(const struct derived *d, struct snapshot *from)
{
	struct set *s = xcalloc(1, sizeof(*s));
	size_t at = 0, count = snapshot_count(from);
	struct snapshot_iter it;
	const struct object *o;

	atomic_init(&s->refs, 1);
	s->from = snapshot_ref(from);
	s->items = xcalloc(count, sizeof(*s->items));
	s->made = xcalloc(count, sizeof(*s->made));
	snapshot_iter_init(&it, from, S(""), S(""), S(""));
	while (s->n < count && (o = snapshot_next(&it))) {
		s->items[s->n] = take(d, d->current, &at, o);
		s->made[s->n] = s->items[s->n]->made;
		s->n++;
	}
	return s;
}

struct derived *derived_new(
	struct store *store, const struct schema_resource *res, derived_make_fn *fn)
{
	struct derived *d = xcalloc(1, sizeof(*d));

	*d = (struct derived){.store = store, .resource = res, .make = fn};
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

void derived_free(struct derived *d)
{
	if (!d)
		return;
	set_unref(d->current);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

struct derived_all derived_all(struct derived *d, struct arena *a)
{
	struct snapshot *now = store_snapshot(d->store, d->resource);
	struct set *s = NULL;

	if (snapshot_count(now)) {
		pthread_mutex_lock(&d->lock);
		if (!d->current || !snapshot_same(d->current->from, now)) {
			struct set *made = make_set(d, now);

			set_unref(d->current);
			d->current = made;
		}
		s = d->current;
		atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
		pthread_mutex_unlock(&d->lock);
		arena_ref(a, set_unref, s);
	}
	snapshot_unref(now);
	return (struct derived_all){s ? s->made : NULL, s ? s->n : 0};
}
