#include "apiserver/fieldmanager/typed.h"

/* --- items of associative lists --- */

/* What stands for a key field that is not there: the default that OpenAPI says, which for a field
 * that is always written is its zero value. */
static bool key_default(const struct schema_field *f, struct arena *a, struct fvalue *ret)
{
	struct json_value *v;

	if (f->extra && f->extra->dflt && json_parse(str_c(f->extra->dflt), a, &v, NULL) == 0) {
		*ret = fvalue_from_json(v, a);
		return true;
	}
	if (f->flags & (SCHEMA_OMITEMPTY | SCHEMA_OPTIONAL) || f->shape != SCHEMA_ONE)
		return false;
	if (f->kind == SCHEMA_STRING)
		*ret = fvalue_string(S(""));
	else if (f->kind == SCHEMA_INT32 || f->kind == SCHEMA_INT64)
		*ret = (struct fvalue){.kind = FVALUE_INT};
	else
		return false;
	return true;
}

static int by_member(const void *a, const void *b)
{
	const struct fvalue_member *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

static struct str key_names(const struct fshape *list, struct arena *a)
{
	struct str s = S("[");
	const char *key;

	for (size_t i = 0; (key = fshape_key(list, i)); i++)
		s = arena_fmt(a, STR_FMT "%s\"%s\"", STR_ARG(s), i ? " " : "", key);
	return arena_fmt(a, STR_FMT "]", STR_ARG(s));
}

static int keyed_element(const struct fshape *list, const struct fvalue *item, struct arena *a,
	struct fpath_element *ret, struct str *why)
{
	struct fvalue map = {.kind = FVALUE_MAP};
	struct fshape shape;
	const char *key;
	size_t n = 0;

	if (item->kind != FVALUE_MAP) {
		*why = item->kind == FVALUE_NULL
			       ? S("associative list with keys may not have a null element")
			       : S("associative list with keys may not have non-map elements");
		return -EINVAL;
	}
	fshape_of(list->item, &shape);
	while (fshape_key(list, n))
		n++;
	map.members = arena_alloc(a, n * sizeof(*map.members));
	for (size_t i = 0; (key = fshape_key(list, i)); i++) {
		struct fvalue_member *m = &map.members[map.n];
		const struct fvalue *v = fvalue_get(item, str_c(key));
		const struct schema_field *f =
			shape.fields ? schema_field_find(shape.fields, str_c(key)) : NULL;

		m->name = str_c(key);
		if (v)
			m->value = *v;
		map.n += v || (f && key_default(f, a, &m->value));
	}
	if (!map.n) {
		*why = arena_fmt(a,
			"associative list with keys has an element that omits all key "
			"fields " STR_FMT " (and doesn't have default values for any key fields)",
			STR_ARG(key_names(list, a)));
		return -EINVAL;
	}
	if (map.n > 1)
		qsort(map.members, map.n, sizeof(*map.members), by_member);
	*ret = (struct fpath_element){.kind = FPATH_KEY, .value = map};
	return 0;
}

int typed_item_element(const struct fshape *list, const struct fvalue *item, struct arena *a,
	struct fpath_element *ret, struct str *why)
{
	struct str ignored;

	if (!why)
		why = &ignored;
	if (fshape_key(list, 0))
		return keyed_element(list, item, a, ret, why);
	if (fvalue_is_scalar(item)) {
		*ret = (struct fpath_element){.kind = FPATH_VALUE, .value = *item};
		return 0;
	}
	*why = item->kind == FVALUE_MAP
		       ? S("associative list without keys has an element that's a map type")
	       : item->kind == FVALUE_LIST
		       ? S("not supported: associative list with lists as elements")
		       : S("associative list without keys has an element that's an explicit null");
	return -EINVAL;
}

static int by_element(const void *a, const void *b)
{
	const struct typed_item *x = a, *y = b;
	int order = fpath_element_cmp(&x->element, &y->element);

	return order ? order : (x->at > y->at) - (x->at < y->at);
}

struct typed_items typed_items_of(
	const struct fshape *list, const struct fvalue *v, struct arena *a)
{
	struct typed_items ret = {0};
	bool sorted = true;

	if (!v || v->kind != FVALUE_LIST)
		return ret;
	ret.v = arena_alloc(a, v->n * sizeof(*ret.v));
	for (size_t i = 0; i < v->n; i++) {
		struct typed_item *item = &ret.v[ret.n];

		if (typed_item_element(list, &v->items[i], a, &item->element, NULL) < 0)
			continue;
		item->value = &v->items[i];
		item->at = i;
		sorted = sorted && (!ret.n || by_element(item - 1, item) < 0);
		ret.n++;
	}
	if (!sorted)
		qsort(ret.v, ret.n, sizeof(*ret.v), by_element);
	return ret;
}

size_t typed_items_run(const struct typed_items *items, size_t i)
{
	size_t n = 1;

	while (i + n < items->n &&
		fpath_element_cmp(&items->v[i].element, &items->v[i + n].element) == 0)
		n++;
	return n;
}

const struct typed_item *typed_items_find(
	const struct typed_items *items, const struct fpath_element *e)
{
	size_t from = 0, to = items->n;

	while (from < to) {
		size_t mid = (from + to) / 2;

		if (fpath_element_cmp(&items->v[mid].element, e) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	if (from < items->n && fpath_element_cmp(&items->v[from].element, e) == 0)
		return &items->v[from];
	return NULL;
}

/* --- the fields of a value --- */

static bool is_blank(const struct fvalue *v)
{
	return v->kind == FVALUE_NULL || (v->kind == FVALUE_MAP && !v->n);
}

/* *self: the place itself is a leaf of the set. */
static struct field_set fields_of(
	const struct fvalue *v, struct fplace place, struct arena *a, bool *self);

static struct field_set fields_of_map(
	const struct fvalue *v, const struct fshape *shape, struct arena *a)
{
	struct field_set ret = {0};

	for (size_t i = 0; i < v->n; i++) {
		const struct fvalue_member *m = &v->members[i];
		struct fpath_element e = {.kind = FPATH_FIELD, .name = m->name};
		bool declared, self;
		struct fplace place = fshape_member(shape, m->name, m->field, &declared);
		struct field_set below = fields_of(&m->value, place, a, &self);

		field_set_add(&ret, &e, self || is_blank(&m->value) || !declared, below, a);
	}
	return ret;
}

static struct field_set fields_of_list(
	const struct fvalue *v, const struct fshape *shape, struct arena *a)
{
	struct typed_items items = typed_items_of(shape, v, a);
	struct field_set ret = {0}, none = {0}, below;
	bool self;

	for (size_t i = 0, run; i < items.n; i += run) {
		run = typed_items_run(&items, i);
		below = run == 1 ? fields_of(items.v[i].value, shape->item, a, &self) : none;
		field_set_add(&ret, &items.v[i].element, true, below, a);
	}
	return ret;
}

static struct field_set fields_of(
	const struct fvalue *v, struct fplace place, struct arena *a, bool *self)
{
	struct field_set none = {0};
	struct fshape shape;

	fshape_of(place, &shape);
	fshape_narrow(&shape, v);
	*self = false;
	if (shape.map && !shape.map_atomic)
		return v->kind == FVALUE_MAP ? fields_of_map(v, &shape, a) : none;
	if (!shape.map && !shape.scalar && !shape.list_atomic)
		return v->kind == FVALUE_LIST ? fields_of_list(v, &shape, a) : none;
	*self = true;
	return none;
}

struct field_set typed_fields(const struct fvalue *v, struct fplace place, struct arena *a)
{
	bool self;

	return fields_of(v, place, a, &self);
}
