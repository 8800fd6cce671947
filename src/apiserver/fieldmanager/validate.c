/* validate.c: whether an applied configuration is of its type, in upstream's words
 * (typed/validate.go). */
#include "apiserver/fieldmanager/typed.h"

struct validation {
	struct arena *a;
	bool allow_duplicates;
	struct str_vec errors;
};

static void wrong(struct validation *v, const struct fpath *path, struct str why)
{
	struct str at = path ? fpath_text(path, v->a) : S("");

	ARENA_PUSH(v->a, &v->errors,
		at.n ? arena_fmt(v->a, STR_FMT ": " STR_FMT, STR_ARG(at), STR_ARG(why)) : why);
}

static void validate(struct validation *v, const struct fpath *path, const struct fvalue *x,
	struct fplace place);

/* Go prints the wrapper around the value, too. */
static struct str wrapped(struct validation *v, const struct fvalue *x, bool sharp)
{
	struct str text = fvalue_go_text(x, sharp, v->a);

	if (sharp)
		return arena_fmt(
			v->a, "&value.valueUnstructured{Value:" STR_FMT "}", STR_ARG(text));
	return arena_fmt(v->a, "&{" STR_FMT "}", STR_ARG(text));
}

static void validate_scalar(
	struct validation *v, const struct fpath *path, const struct fvalue *x, enum fscalar want)
{
	bool number = x->kind == FVALUE_INT || x->kind == FVALUE_DOUBLE;

	if (x->kind == FVALUE_NULL)
		return;
	if (want == FSCALAR_NUMERIC && !number)
		wrong(v, path,
			arena_fmt(v->a, "expected numeric (int or float), got %s",
				fvalue_go_type(x)));
	else if (want == FSCALAR_STRING && x->kind != FVALUE_STRING)
		wrong(v, path,
			arena_fmt(v->a, "expected string, got " STR_FMT,
				STR_ARG(wrapped(v, x, true))));
	else if (want == FSCALAR_BOOLEAN && x->kind != FVALUE_BOOL)
		wrong(v, path,
			arena_fmt(v->a, "expected boolean, got " STR_FMT,
				STR_ARG(wrapped(v, x, false))));
	else if (want == FSCALAR_ANY && !fvalue_is_scalar(x))
		wrong(v, path,
			arena_fmt(v->a, "expected any scalar, got " STR_FMT,
				STR_ARG(wrapped(v, x, false))));
}

static void validate_map(struct validation *v, const struct fpath *path, const struct fvalue *x,
	const struct fshape *shape)
{
	if (x->kind != FVALUE_MAP) {
		if (x->kind != FVALUE_NULL)
			wrong(v, path,
				arena_fmt(v->a, "expected map, got " STR_FMT,
					STR_ARG(wrapped(v, x, false))));
		return;
	}
	for (size_t i = 0; i < x->n; i++) {
		const struct fvalue_member *m = &x->members[i];
		struct fpath_element e = {.kind = FPATH_FIELD, .name = m->name};
		struct fpath below = {path, &e};
		struct fplace place = fshape_member(shape, m->name, m->field, NULL);

		if (place.kind == FPLACE_UNKNOWN) {
			wrong(v, &below, S("field not declared in schema"));
			return; /* upstream stops at the first one */
		}
		validate(v, &below, &m->value, place);
	}
}

static void validate_items(struct validation *v, const struct fpath *path, const struct fvalue *x,
	const struct fshape *shape)
{
	struct typed_items all = {0};

	if (!shape->list_atomic)
		all = typed_items_of(shape, x, v->a);

	for (size_t i = 0; i < x->n; i++) {
		const struct typed_item *first;
		struct fpath_element e;
		struct fpath below = {path, &e};
		struct str why;

		if (shape->list_atomic) {
			e = (struct fpath_element){.kind = FPATH_INDEX,
				.value = {.kind = FVALUE_INT, .i = (int64_t)i}};
		} else if (typed_item_element(shape, &x->items[i], v->a, &e, &why) < 0) {
			wrong(v, path, arena_fmt(v->a, "element %zu: " STR_FMT, i, STR_ARG(why)));
			return;
		} else {
			first = typed_items_find(&all, &e);
			if (first && first->at < i && !v->allow_duplicates)
				wrong(v, path,
					arena_fmt(v->a, "duplicate entries for key " STR_FMT,
						STR_ARG(fpath_element_text(&e, v->a))));
		}
		validate(v, &below, &x->items[i], shape->item);
	}
}

static void validate_list(struct validation *v, const struct fpath *path, const struct fvalue *x,
	const struct fshape *shape)
{
	if (x->kind == FVALUE_LIST)
		validate_items(v, path, x, shape);
	else if (x->kind != FVALUE_NULL)
		wrong(v, path,
			arena_fmt(v->a, "expected list, got " STR_FMT,
				STR_ARG(wrapped(v, x, false))));
}

static void validate(
	struct validation *v, const struct fpath *path, const struct fvalue *x, struct fplace place)
{
	struct fshape shape;

	fshape_of(place, &shape);
	fshape_narrow(&shape, x);
	if (shape.map)
		validate_map(v, path, x, &shape);
	else if (shape.scalar)
		validate_scalar(v, path, x, shape.scalar);
	else
		validate_list(v, path, x, &shape);
}

int typed_validate(const struct fvalue *x, struct fplace place, bool allow_duplicates,
	struct arena *a, struct str *why)
{
	struct validation v = {.a = a, .allow_duplicates = allow_duplicates};

	validate(&v, NULL, x, place);
	if (!v.errors.n)
		return 0;
	if (v.errors.n == 1) {
		*why = v.errors.v[0];
		return -EINVAL;
	}
	*why = S("errors:");
	for (size_t i = 0; i < v.errors.n; i++)
		*why = arena_fmt(a, STR_FMT "\n  " STR_FMT, STR_ARG(*why), STR_ARG(v.errors.v[i]));
	return -EINVAL;
}
