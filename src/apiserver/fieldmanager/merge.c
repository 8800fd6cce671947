/* merge.c: an applied configuration laid over an object, and items taken out of one
 * (typed/merge.go, typed/remove.go). */
#include "apiserver/fieldmanager/typed.h"

static const struct fvalue nothing = {.kind = FVALUE_NULL};

/* False: nothing is left of it. */
static bool merge(const struct fvalue *l, const struct fvalue *r, struct fplace place,
	struct arena *a, struct fvalue *ret);

static bool leaf(const struct fvalue *l, const struct fvalue *r, struct fvalue *ret)
{
	*ret = r ? *r : *l;
	return true;
}

static bool empty(const struct fvalue *v, enum fvalue_kind kind)
{
	return !v || v->kind != kind || !v->n;
}

static bool merge_maps(const struct fvalue *l, const struct fvalue *r, const struct fshape *shape,
	struct arena *a, struct fvalue *ret)
{
	size_t i = 0, k = 0;

	l = l && l->kind == FVALUE_MAP ? l : &nothing;
	r = r && r->kind == FVALUE_MAP ? r : &nothing;
	*ret = (struct fvalue){.kind = FVALUE_MAP};
	ret->members = arena_alloc(a, ((size_t)l->n + r->n) * sizeof(*ret->members));
	while (i < l->n || k < r->n) {
		const struct fvalue_member *x = i < l->n ? &l->members[i] : NULL;
		const struct fvalue_member *y = k < r->n ? &r->members[k] : NULL;
		int order = !x ? 1 : !y ? -1 : str_cmp(x->name, y->name);
		struct fvalue_member *m = &ret->members[ret->n];

		x = order > 0 ? NULL : x;
		y = order < 0 ? NULL : y;
		i += x != NULL;
		k += y != NULL;
		m->name = x ? x->name : y->name;
		ret->n += merge(x ? &x->value : NULL, y ? &y->value : NULL,
			fshape_member(shape, m->name, NULL, NULL), a, &m->value);
	}
	return ret->n > 0;
}

/* --- lists: the order of what both have is that of the applied one --- */

struct list_merge {
	struct arena *a;
	const struct fshape *shape;
	struct typed_items l, r;        /* by element */
	struct typed_item *in_l, *in_r; /* in the order of the lists */
	struct fvalue *out;
};

static int by_place(const void *a, const void *b)
{
	const struct typed_item *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static struct typed_item *in_order(const struct typed_items *items, struct arena *a)
{
	struct typed_item *v = arena_memdup(a, items->v, items->n * sizeof(*v));

	qsort(v, items->n, sizeof(*v), by_place);
	return v;
}

/* Items that stand twice on the left are not merged into. */
static const struct fvalue *left_of(struct list_merge *m, const struct fpath_element *e)
{
	const struct typed_item *item = typed_items_find(&m->l, e);

	if (!item)
		return NULL;
	return typed_items_run(&m->l, item - m->l.v) > 1 ? &nothing : item->value;
}

static void take(struct list_merge *m, const struct fvalue *l, const struct fvalue *r)
{
	m->out->n += merge(l, r, m->shape->item, m->a, &m->out->items[m->out->n]);
}

/* The place in the right list of the next item that both have, from `from` on. */
static size_t next_shared(struct list_merge *m, size_t from)
{
	while (from < m->r.n && !typed_items_find(&m->l, &m->in_r[from].element))
		from++;
	return from;
}

static void merge_items(struct list_merge *m)
{
	size_t i = 0, k = 0, shared = next_shared(m, 0);

	while (i < m->l.n || k < m->r.n) {
		const struct fpath_element *x = i < m->l.n ? &m->in_l[i].element : NULL;
		const struct fpath_element *y = k < m->r.n ? &m->in_r[k].element : NULL;
		const struct typed_item *there = x ? typed_items_find(&m->r, x) : NULL;

		if (x && y && fpath_element_cmp(x, y) == 0) {
			take(m, left_of(m, x), m->in_r[k].value);
			shared = next_shared(m, k + 1);
			i++;
			k++;
			continue;
		}
		if (x && y && there && shared < m->r.n &&
			fpath_element_cmp(&m->in_r[shared].element, x)) {
			i++; /* both have it, but its turn comes later */
			continue;
		}
		if (x && !there) {
			take(m, m->in_l[i++].value, NULL);
			continue;
		}
		if (x && there->at < k)
			i++; /* has been merged */
		if (y) {
			take(m, left_of(m, y), m->in_r[k].value);
			if (k == shared)
				shared = next_shared(m, k + 1);
			k++;
		}
	}
}

static bool merge_lists(const struct fvalue *l, const struct fvalue *r, const struct fshape *shape,
	struct arena *a, struct fvalue *ret)
{
	struct list_merge m = {.a = a, .shape = shape, .out = ret};

	m.l = typed_items_of(shape, l, a);
	m.r = typed_items_of(shape, r, a);
	m.in_l = in_order(&m.l, a);
	m.in_r = in_order(&m.r, a);
	*ret = (struct fvalue){.kind = FVALUE_LIST};
	ret->items = arena_alloc(a, (m.l.n + m.r.n) * sizeof(*ret->items));
	merge_items(&m);
	return ret->n > 0;
}

static bool merge(const struct fvalue *l, const struct fvalue *r, struct fplace place,
	struct arena *a, struct fvalue *ret)
{
	struct fshape shape;

	fshape_of(place, &shape);
	fshape_narrow(&shape, r && r->kind != FVALUE_NULL ? r : l);
	if (shape.map) {
		if (shape.map_atomic || (empty(l, FVALUE_MAP) && empty(r, FVALUE_MAP)))
			return leaf(l, r, ret);
		return merge_maps(l, r, &shape, a, ret);
	}
	if (shape.scalar || shape.list_atomic || (empty(l, FVALUE_LIST) && empty(r, FVALUE_LIST)))
		return leaf(l, r, ret);
	return merge_lists(l, r, &shape, a, ret);
}

struct fvalue typed_merge(const struct fvalue *old, const struct fvalue *applied,
	struct fplace place, struct arena *a)
{
	struct fvalue ret;

	return merge(old, applied, place, a, &ret) ? ret : nothing;
}

/* --- removal --- */

/* What is removed inside something leaves that something behind, empty. */
static struct fvalue remove_below(const struct fvalue *v, const struct field_set *remove,
	struct fplace place, struct arena *a)
{
	struct fvalue ret = typed_remove(v, remove, place, a);

	if (ret.kind == FVALUE_NULL && (v->kind == FVALUE_MAP || v->kind == FVALUE_LIST))
		ret = (struct fvalue){.kind = v->kind};
	return ret;
}

static struct fvalue remove_from_map(const struct fvalue *v, const struct field_set *remove,
	const struct fshape *shape, struct arena *a)
{
	struct fvalue ret = {.kind = FVALUE_MAP};
	bool below = false;

	ret.members = arena_alloc(a, v->n * sizeof(*ret.members));
	for (size_t i = 0; i < v->n; i++) {
		const struct fvalue_member *m = &v->members[i];
		struct fpath_element e = {.kind = FPATH_FIELD, .name = m->name};
		const struct field_node *n = field_set_find(remove, &e);
		struct fvalue_member *to = &ret.members[ret.n];

		if (n && n->member)
			continue;
		*to = *m;
		to->field = NULL;
		if (n) {
			below = true;
			to->value = remove_below(
				&m->value, &n->below, fshape_member(shape, m->name, NULL, NULL), a);
		}
		ret.n++;
	}
	return ret.n || below ? ret : nothing;
}

static struct fvalue remove_from_list(const struct fvalue *v, const struct field_set *remove,
	const struct fshape *shape, struct arena *a)
{
	struct fvalue ret = {.kind = FVALUE_LIST};
	bool below = false;

	ret.items = arena_alloc(a, v->n * sizeof(*ret.items));
	for (size_t i = 0; i < v->n; i++) {
		const struct field_node *n = NULL;
		struct fpath_element e;

		if (typed_item_element(shape, &v->items[i], a, &e, NULL) == 0)
			n = field_set_find(remove, &e);
		if (n && n->member)
			continue;
		ret.items[ret.n] = v->items[i];
		if (n) {
			below = true;
			ret.items[ret.n] = remove_below(&v->items[i], &n->below, shape->item, a);
		}
		ret.n++;
	}
	return ret.n || below ? ret : nothing;
}

struct fvalue typed_remove(const struct fvalue *v, const struct field_set *remove,
	struct fplace place, struct arena *a)
{
	struct fshape shape;

	fshape_of(place, &shape);
	fshape_narrow(&shape, v);
	if (shape.map)
		return shape.map_atomic || v->kind != FVALUE_MAP || !v->n
			       ? nothing
			       : remove_from_map(v, remove, &shape, a);
	if (shape.scalar)
		return *v;
	return shape.list_atomic || v->kind != FVALUE_LIST || !v->n
		       ? nothing
		       : remove_from_list(v, remove, &shape, a);
}
