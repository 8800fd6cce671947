/* lib_optional.c: optional values, and insertion into maps, which only macros use. */
#include "cel/eval.h"

static struct cel_value of(struct cel_call *c, const struct cel_value *v)
{
	return cel_optional_of(*v, c->a);
}

static struct cel_value of_non_zero(struct cel_call *c, const struct cel_value *v)
{
	return cel_is_zero(*v, c->a) ? cel_none() : cel_optional_of(*v, c->a);
}

static struct cel_value none(struct cel_call *c, const struct cel_value *v)
{
	return cel_none();
}

static struct cel_value value(struct cel_call *c, const struct cel_value *v)
{
	return v->optional ? *v->optional : cel_error(S("optional.none() dereference"));
}

static struct cel_value has_value(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(v->optional != NULL);
}

static struct cel_value unwrap(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value list = cel_empty_list();

	for (size_t i = 0; i < cel_size(*v); i++) {
		struct cel_value item = cel_list_at(*v, i, c->a);

		if (item.kind != CEL_OPTIONAL)
			return cel_error_fmt(c->a, "value " STR_FMT " is not optional",
				STR_ARG(cel_show(item, c->a)));
		if (item.optional)
			list = cel_list_append(list, *item.optional, c->a);
	}
	return list;
}

static struct cel_value exists_already(struct cel_call *c, struct cel_value key)
{
	return cel_error_fmt(c->a, "insert failed: key " STR_FMT " already exists",
		STR_ARG(cel_show(key, c->a)));
}

static struct cel_value insert(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value map;

	return cel_map_insert(v[0], v[1], v[2], c->a, &map) ? map : exists_already(c, v[1]);
}

static struct cel_value insert_all(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value map = v[0];

	for (size_t i = 0; i < cel_size(v[1]); i++) {
		struct cel_entry e = cel_map_at(v[1], i, c->a);

		if (!cel_map_insert(map, e.key, e.value, c->a, &map))
			return exists_already(c, e.key);
	}
	return map;
}

#define T(name) &cel_type_##name
#define METHOD1(x, result_, fn_)                                                                   \
	{                                                                                          \
		.args = {T(x)}, .n_args = 1, .member = true, .result = T(result_), .fn = (fn_)     \
	}

static const struct cel_overload of_overloads[] = {
	{.args = {T(a)}, .n_args = 1, .result = T(optional_a), .fn = of}};
static const struct cel_overload of_non_zero_overloads[] = {
	{.args = {T(a)}, .n_args = 1, .result = T(optional_a), .fn = of_non_zero}};
static const struct cel_overload none_overloads[] = {{.result = T(optional_a), .fn = none}};
static const struct cel_overload value_overloads[] = {METHOD1(optional_a, a, value)};
static const struct cel_overload has_value_overloads[] = {METHOD1(optional_a, boolean, has_value)};
static const struct cel_overload or_overloads[] = {{.args = {T(optional_a), T(optional_a)},
	.n_args = 2,
	.member = true,
	.result = T(optional_a)}};
static const struct cel_overload or_value_overloads[] = {
	{.args = {T(optional_a), T(a)}, .n_args = 2, .member = true, .result = T(a)}};
static const struct cel_overload unwrap_overloads[] = {
	{.args = {T(list_optional_a)}, .n_args = 1, .result = T(list_a), .fn = unwrap}};
static const struct cel_overload unwrap_opt_overloads[] = {
	METHOD1(list_optional_a, list_a, unwrap)};
static const struct cel_overload insert_overloads[] = {
	{.args = {T(map_a_b), T(map_a_b)}, .n_args = 2, .result = T(map_a_b), .fn = insert_all},
	{.args = {T(map_a_b), T(a), T(b)}, .n_args = 3, .result = T(map_a_b), .fn = insert}};

static const struct cel_function functions[] = {
	{"optional.of", CEL_OVERLOADS(of_overloads)},
	{"optional.ofNonZeroValue", CEL_OVERLOADS(of_non_zero_overloads)},
	{"optional.none", CEL_OVERLOADS(none_overloads)},
	{"value", CEL_OVERLOADS(value_overloads)},
	{"hasValue", CEL_OVERLOADS(has_value_overloads)},
	{"or", CEL_OVERLOADS(or_overloads), .flags = CEL_FN_OR},
	{"orValue", CEL_OVERLOADS(or_value_overloads), .flags = CEL_FN_OR_VALUE},
	{"optional.unwrap", CEL_OVERLOADS(unwrap_overloads)},
	{"unwrapOpt", CEL_OVERLOADS(unwrap_opt_overloads)},
	{"cel.@mapInsert", CEL_OVERLOADS(insert_overloads)},
};
const struct cel_library cel_lib_optional = {functions, ARRAY_SIZE(functions)};
