/* compare.c: which fields differ between two values of one type (typed/compare.go). */
#include "apiserver/fieldmanager/typed.h"

struct diff {
	bool changed_self, removed_self;
	struct field_set changed, removed; /* below */
};

static void compare(const struct fvalue *l, const struct fvalue *r, struct fplace place,
	struct arena *a, struct diff *d);

static void add(
	struct diff *d, const struct fpath_element *e, const struct diff *below, struct arena *a)
{
	field_set_add(&d->changed, e, below->changed_self, below->changed, a);
	field_set_add(&d->removed, e, below->removed_self, below->removed, a);
}

static void leaf(const struct fvalue *l, const struct fvalue *r, struct diff *d)
{
	if (!l)
		d->changed_self = true;
	else if (!r)
		d->removed_self = true;
	else
		d->changed_self |= !fvalue_equal(l, r);
}

static bool empty(const struct fvalue *v, enum fvalue_kind kind)
{
	return !v || v->kind != kind || !v->n;
}

static const struct fvalue nothing = {.kind = FVALUE_NULL};

static void compare_maps(const struct fvalue *l, const struct fvalue *r, const struct fshape *shape,
	struct arena *a, struct diff *d)
{
	size_t i = 0, k = 0, n_l, n_r;

	l = l && l->kind == FVALUE_MAP ? l : &nothing;
	r = r && r->kind == FVALUE_MAP ? r : &nothing;
	n_l = l->n;
	n_r = r->n;
	while (i < n_l || k < n_r) {
		const struct fvalue_member *x = i < n_l ? &l->members[i] : NULL;
		const struct fvalue_member *y = k < n_r ? &r->members[k] : NULL;
		int order = !x ? 1 : !y ? -1 : str_cmp(x->name, y->name);
		struct fpath_element e = {.kind = FPATH_FIELD};
		struct diff below = {0};
		const struct fvalue_member *m;

		x = order > 0 ? NULL : x;
		y = order < 0 ? NULL : y;
		i += x != NULL;
		k += y != NULL;
		m = x ? x : y;
		e.name = m->name;
		compare(x ? &x->value : NULL, y ? &y->value : NULL,
			fshape_member(shape, m->name, m->field, NULL), a, &below);
		add(d, &e, &below, a);
	}
}

static bool same_runs(
	const struct typed_item *x, size_t n_x, const struct typed_item *y, size_t n_y)
{
	if (n_x != n_y)
		return false;
	for (size_t i = 0; i < n_x; i++)
		if (!fvalue_equal(x[i].value, y[i].value))
			return false;
	return true;
}

/* The items of one element on both sides: one each as a rule; several are a leaf together. */
static void compare_runs(const struct typed_item *x, size_t n_x, const struct typed_item *y,
	size_t n_y, struct fplace place, struct arena *a, struct diff *d)
{
	if (n_x <= 1 && n_y <= 1) {
		compare(n_x ? x->value : NULL, n_y ? y->value : NULL, place, a, d);
	} else if (n_x > 1 && n_y > 1) {
		d->changed_self = !same_runs(x, n_x, y, n_y);
	} else if (n_x > 1) {
		if (n_y)
			compare(NULL, y->value, place, a, d);
		d->removed_self = true;
	} else {
		if (n_x)
			compare(x->value, NULL, place, a, d);
		d->changed_self = true;
	}
}

static void compare_lists(const struct fvalue *l, const struct fvalue *r,
	const struct fshape *shape, struct arena *a, struct diff *d)
{
	struct typed_items s = typed_items_of(shape, l, a), t = typed_items_of(shape, r, a);
	size_t i = 0, k = 0;

	while (i < s.n || k < t.n) {
		int order = i == s.n   ? 1
			    : k == t.n ? -1
				       : fpath_element_cmp(&s.v[i].element, &t.v[k].element);
		size_t n_x = order > 0 ? 0 : typed_items_run(&s, i);
		size_t n_y = order < 0 ? 0 : typed_items_run(&t, k);
		const struct fpath_element *e = n_x ? &s.v[i].element : &t.v[k].element;
		struct diff below = {0};

		compare_runs(n_x ? &s.v[i] : NULL, n_x, n_y ? &t.v[k] : NULL, n_y, shape->item, a,
			&below);
		add(d, e, &below, a);
		i += n_x;
		k += n_y;
	}
}

static void compare_as(const struct fshape *shape, const struct fvalue *l, const struct fvalue *r,
	struct arena *a, struct diff *d)
{
	if (shape->map) {
		if (shape->map_atomic || (empty(l, FVALUE_MAP) && empty(r, FVALUE_MAP))) {
			leaf(l, r, d);
			return;
		}
		compare_maps(l, r, shape, a, d);
	} else if (shape->scalar) {
		leaf(l, r, d);
		return;
	} else {
		if (shape->list_atomic || (empty(l, FVALUE_LIST) && empty(r, FVALUE_LIST))) {
			leaf(l, r, d);
			return;
		}
		compare_lists(l, r, shape, a, d);
	}
	d->changed_self |= !l;
	d->removed_self |= !r;
}

static void compare(const struct fvalue *l, const struct fvalue *r, struct fplace place,
	struct arena *a, struct diff *d)
{
	struct fshape of_l, of_r;

	fshape_of(place, &of_r);
	of_l = of_r;
	fshape_narrow(&of_l, l);
	fshape_narrow(&of_r, r);
	if (r && l &&
		(of_l.map != of_r.map || of_l.scalar != of_r.scalar || of_l.list != of_r.list))
		compare_as(&of_l, l, r, a, d); /* it became another kind of thing */
	compare_as(r ? &of_r : &of_l, l, r, a, d);
}

struct typed_diff typed_compare(
	const struct fvalue *old, const struct fvalue *new_, struct fplace place, struct arena *a)
{
	struct diff d = {0};

	compare(old, new_, place, a, &d);
	return (struct typed_diff){d.changed, d.removed};
}
