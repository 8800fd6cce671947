#include "apiserver/fieldmanager/field_set.h"

int fpath_element_cmp(const struct fpath_element *a, const struct fpath_element *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return a->kind == FPATH_FIELD ? str_cmp(a->name, b->name)
				      : fvalue_cmp(&a->value, &b->value);
}

/* The place of an element: found, or where it would be. */
static size_t place_of(const struct field_set *s, const struct fpath_element *e, bool *found)
{
	size_t from = 0, to = s->n;

	*found = false;
	if (to && fpath_element_cmp(&s->v[to - 1].element, e) < 0)
		return to; /* most sets are built in their order */
	while (from < to) {
		size_t mid = (from + to) / 2;
		int order = fpath_element_cmp(&s->v[mid].element, e);

		if (order == 0) {
			*found = true;
			return mid;
		}
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

const struct field_node *field_set_find(const struct field_set *s, const struct fpath_element *e)
{
	bool found;
	size_t at = place_of(s, e, &found);

	return found ? &s->v[at] : NULL;
}

void field_set_add(struct field_set *s, const struct fpath_element *e, bool member,
	struct field_set below, struct arena *a)
{
	struct field_node node = {*e, member, below};
	bool found;
	size_t at;

	if (!member && !below.n)
		return;
	at = place_of(s, e, &found);
	if (found) {
		s->v[at].member |= member;
		s->v[at].below = field_set_union(&s->v[at].below, &below, a);
		return;
	}
	ARENA_PUSH(a, s, node);
	if (at + 1 == s->n)
		return;
	memmove(s->v + at + 1, s->v + at, (s->n - 1 - at) * sizeof(*s->v));
	s->v[at] = node;
}

static void push(struct field_set *s, const struct field_node *n, bool member,
	struct field_set below, struct arena *a)
{
	struct field_node node = {n->element, member, below};

	if (member || below.n)
		ARENA_PUSH(a, s, node);
}

struct field_set field_set_of_path(const char *path, struct arena *a)
{
	struct str rest = str_c(path), name;
	struct field_set ret = {0}, *at = &ret;

	for (bool more = true; more;) {
		struct fpath_element e = {.kind = FPATH_FIELD};
		struct field_node node = {0};

		more = str_cut(rest, '.', &name, &rest);
		e.name = name;
		node.element = e;
		node.member = !more;
		ARENA_PUSH(a, at, node);
		at = &at->v[0].below;
	}
	return ret;
}

/* --- algebra: two sorted lists, side by side --- */

/* Steps both: *x and *y get the nodes of the next element, NULL where a side has none. */
static bool next_pair(const struct field_set *s, const struct field_set *t, size_t *i, size_t *k,
	const struct field_node **x, const struct field_node **y)
{
	int order;

	*x = *i < s->n ? &s->v[*i] : NULL;
	*y = *k < t->n ? &t->v[*k] : NULL;
	if (!*x && !*y)
		return false;
	order = !*x ? 1 : !*y ? -1 : fpath_element_cmp(&(*x)->element, &(*y)->element);
	if (order > 0)
		*x = NULL;
	else if (order < 0)
		*y = NULL;
	*i += *x != NULL;
	*k += *y != NULL;
	return true;
}

struct field_set field_set_union(
	const struct field_set *s, const struct field_set *t, struct arena *a)
{
	struct field_set ret = {0};
	const struct field_node *x, *y;

	if (!s->n || !t->n)
		return s->n ? *s : *t;
	for (size_t i = 0, k = 0; next_pair(s, t, &i, &k, &x, &y);) {
		if (x && y)
			push(&ret, x, x->member || y->member,
				field_set_union(&x->below, &y->below, a), a);
		else
			ARENA_PUSH(a, &ret, x ? *x : *y);
	}
	return ret;
}

struct field_set field_set_intersection(
	const struct field_set *s, const struct field_set *t, struct arena *a)
{
	struct field_set ret = {0};
	const struct field_node *x, *y;

	for (size_t i = 0, k = 0; next_pair(s, t, &i, &k, &x, &y);)
		if (x && y)
			push(&ret, x, x->member && y->member,
				field_set_intersection(&x->below, &y->below, a), a);
	return ret;
}

static struct field_set difference(
	const struct field_set *s, const struct field_set *t, bool below, struct arena *a)
{
	struct field_set ret = {0};
	const struct field_node *x, *y;

	if (!s->n || !t->n)
		return *s;
	for (size_t i = 0, k = 0; next_pair(s, t, &i, &k, &x, &y);) {
		if (!x)
			continue;
		if (!y)
			ARENA_PUSH(a, &ret, *x);
		else if (!below || !y->member)
			push(&ret, x, x->member && !y->member,
				difference(&x->below, &y->below, below, a), a);
	}
	return ret;
}

struct field_set field_set_difference(
	const struct field_set *x, const struct field_set *y, struct arena *a)
{
	return difference(x, y, false, a);
}

struct field_set field_set_difference_below(
	const struct field_set *x, const struct field_set *y, struct arena *a)
{
	return difference(x, y, true, a);
}

struct field_set field_set_matching(const struct field_set *s, const char *pattern, struct arena *a)
{
	struct str first, rest;
	struct field_set ret = {0};

	if (!*pattern)
		return *s;
	str_cut(str_c(pattern), '.', &first, &rest);
	for (size_t i = 0; i < s->n; i++) {
		const struct field_node *n = &s->v[i];
		bool fits = str_eqc(first, "*") ||
			    (n->element.kind == FPATH_FIELD && str_eq(n->element.name, first));

		if (fits)
			push(&ret, n, n->member,
				field_set_matching(&n->below, rest.n ? rest.p : "", a), a);
	}
	return ret;
}

bool field_set_equal(const struct field_set *x, const struct field_set *y)
{
	if (x->n != y->n)
		return false;
	for (size_t i = 0; i < x->n; i++)
		if (x->v[i].member != y->v[i].member ||
			fpath_element_cmp(&x->v[i].element, &y->v[i].element) ||
			!field_set_equal(&x->v[i].below, &y->v[i].below))
			return false;
	return true;
}

/* --- with the schema --- */

static struct fplace place_below(
	const struct fshape *s, const struct fpath_element *e, bool *declared)
{
	*declared = false;
	if (e->kind == FPATH_FIELD && s->map)
		return fshape_member(s, e->name, NULL, declared);
	if (e->kind != FPATH_FIELD && s->list)
		return s->item;
	return (struct fplace){FPLACE_UNKNOWN, NULL, NULL};
}

struct field_set field_set_with_named(
	const struct field_set *s, struct fplace place, struct arena *a)
{
	struct field_set ret = {0};
	struct fshape shape;
	bool declared;

	fshape_of(place, &shape);
	for (size_t i = 0; i < s->n; i++) {
		const struct field_node *n = &s->v[i];
		struct fplace below = place_below(&shape, &n->element, &declared);

		push(&ret, n, n->member || (declared && n->below.n),
			field_set_with_named(&n->below, below, a), a);
	}
	return ret;
}

struct field_set field_set_reconciled(
	const struct field_set *s, struct fplace place, struct arena *a)
{
	struct field_set ret = {0}, none = {0};
	struct fshape shape;
	bool declared;

	fshape_of(place, &shape);
	for (size_t i = 0; i < s->n; i++) {
		const struct field_node *n = &s->v[i];
		struct fplace below = place_below(&shape, &n->element, &declared);
		struct fshape there;

		fshape_of(below, &there);
		if (!n->below.n || below.kind >= FPLACE_ANY)
			ARENA_PUSH(a, &ret, *n);
		else if (there.map ? there.map_atomic : there.list && there.list_atomic)
			push(&ret, n, true, none, a);
		else
			push(&ret, n, n->member, field_set_reconciled(&n->below, below, a), a);
	}
	return ret;
}

/* --- walking --- */

static void each(const struct field_set *s, const struct fpath *parent,
	void (*fn)(const struct fpath *path, void *user_data), void *user_data)
{
	struct fpath path = {.parent = parent};

	for (size_t i = 0; i < s->n; i++) {
		path.element = &s->v[i].element;
		if (s->v[i].member)
			fn(&path, user_data);
	}
	for (size_t i = 0; i < s->n; i++) {
		path.element = &s->v[i].element;
		each(&s->v[i].below, &path, fn, user_data);
	}
}

void field_set_each(const struct field_set *s,
	void (*fn)(const struct fpath *path, void *user_data), void *user_data)
{
	each(s, NULL, fn, user_data);
}
