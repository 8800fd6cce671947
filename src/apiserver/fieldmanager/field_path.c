/* field_path.c: paths and values as messages show them, in Go's words. */
#include "apiserver/field.h"
#include "apiserver/fieldmanager/field_set.h"

#include <math.h>
#include <stdio.h>

/* strconv's shortest form with fmt's rule for exponents. */
static struct str double_text(double d, struct arena *a)
{
	char text[40];
	int exponent, digits;

	if (!isfinite(d))
		return d > 0 ? S("+Inf") : S("-Inf");
	for (digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*e", digits - 1, d);
		if (strtod(text, NULL) == d)
			break;
	}
	exponent = atoi(strchr(text, 'e') + 1);
	if (d == 0 || (exponent >= -4 && exponent < 21))
		snprintf(text, sizeof(text), "%.*f", MAX(digits - 1 - exponent, 0), d);
	return arena_strc(a, text);
}

/* Numbers of a patch are doubles to upstream, and large ones are shown so. */
static struct str int_text(int64_t i, struct arena *a)
{
	return i > -1000000 && i < 1000000 ? arena_fmt(a, "%lld", (long long)i)
					   : double_text((double)i, a);
}

static struct str list_text(const struct fvalue *v, bool sharp, struct arena *a)
{
	struct str s = sharp ? S("[]interface {}{") : S("[");

	for (size_t i = 0; i < v->n; i++)
		s = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(s),
			!i      ? ""
			: sharp ? ", "
				: " ",
			STR_ARG(fvalue_go_text(&v->items[i], sharp, a)));
	return arena_fmt(a, STR_FMT "%s", STR_ARG(s), sharp ? "}" : "]");
}

static struct str map_text(const struct fvalue *v, bool sharp, struct arena *a)
{
	struct str s = sharp ? S("map[string]interface {}{") : S("map[");

	for (size_t i = 0; i < v->n; i++) {
		struct str name = v->members[i].name;

		s = arena_fmt(a, STR_FMT "%s" STR_FMT ":" STR_FMT, STR_ARG(s),
			!i      ? ""
			: sharp ? ", "
				: " ",
			STR_ARG(sharp ? go_quote(a, name) : name),
			STR_ARG(fvalue_go_text(&v->members[i].value, sharp, a)));
	}
	return arena_fmt(a, STR_FMT "%s", STR_ARG(s), sharp ? "}" : "]");
}

struct str fvalue_go_text(const struct fvalue *v, bool sharp, struct arena *a)
{
	switch ((enum fvalue_kind)v->kind) {
	case FVALUE_INT:
		return int_text(v->i, a);
	case FVALUE_DOUBLE:
		return double_text(v->d, a);
	case FVALUE_STRING:
		return sharp ? go_quote(a, fvalue_text(v)) : fvalue_text(v);
	case FVALUE_BOOL:
		return v->boolean ? S("true") : S("false");
	case FVALUE_LIST:
		return list_text(v, sharp, a);
	case FVALUE_MAP:
		return map_text(v, sharp, a);
	case FVALUE_NULL:
		break;
	}
	return sharp ? S("interface {}(nil)") : S("<nil>");
}

const char *fvalue_go_type(const struct fvalue *v)
{
	static const char *const names[] = {"float64", "float64", "string", "bool",
		"[]interface {}", "map[string]interface {}", "<nil>"};

	return names[v->kind];
}

static struct str value_text(const struct fvalue *v, struct arena *a);

static struct str items_text(const struct fvalue *v, struct arena *a)
{
	struct str s = S("[");

	for (size_t i = 0; i < v->n; i++)
		s = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(s), i ? "," : "",
			STR_ARG(value_text(&v->items[i], a)));
	return arena_fmt(a, STR_FMT "]", STR_ARG(s));
}

static struct str members_text(const struct fvalue *v, struct arena *a)
{
	struct str s = S("");

	for (size_t i = 0; i < v->n; i++)
		s = arena_fmt(a, STR_FMT STR_FMT "=" STR_FMT, STR_ARG(s),
			STR_ARG(v->members[i].name), STR_ARG(value_text(&v->members[i].value, a)));
	return s;
}

/* As structured-merge-diff prints a value inside a path. */
static struct str value_text(const struct fvalue *v, struct arena *a)
{
	if (v->kind == FVALUE_LIST)
		return items_text(v, a);
	if (v->kind == FVALUE_MAP)
		return members_text(v, a);
	if (v->kind == FVALUE_STRING)
		return go_quote(a, fvalue_text(v));
	if (v->kind == FVALUE_INT)
		return arena_fmt(a, "%lld", (long long)v->i);
	return v->kind == FVALUE_NULL ? S("null") : fvalue_go_text(v, false, a);
}

struct str fpath_element_text(const struct fpath_element *e, struct arena *a)
{
	struct str s = S("[");

	switch (e->kind) {
	case FPATH_FIELD:
		return arena_fmt(a, "." STR_FMT, STR_ARG(e->name));
	case FPATH_KEY:
		for (size_t i = 0; i < e->value.n; i++)
			s = arena_fmt(a, STR_FMT "%s" STR_FMT "=" STR_FMT, STR_ARG(s), i ? "," : "",
				STR_ARG(e->value.members[i].name),
				STR_ARG(value_text(&e->value.members[i].value, a)));
		return arena_fmt(a, STR_FMT "]", STR_ARG(s));
	case FPATH_VALUE:
		return arena_fmt(a, "[=" STR_FMT "]", STR_ARG(value_text(&e->value, a)));
	case FPATH_INDEX:
		return arena_fmt(a, "[%lld]", (long long)e->value.i);
	}
	return s;
}

struct str fpath_text(const struct fpath *path, struct arena *a)
{
	struct str before = path->parent ? fpath_text(path->parent, a) : S("");

	return arena_fmt(
		a, STR_FMT STR_FMT, STR_ARG(before), STR_ARG(fpath_element_text(path->element, a)));
}
