/* lib_sets.c: cel-go's ext.Sets: lists as sets. */
#include "cel/eval.h"

static bool holds(struct cel_call *c, struct cel_value list, struct cel_value item)
{
	for (size_t i = 0; i < cel_size(list); i++)
		if (cel_equal(item, cel_list_at(list, i, c->a), c->a))
			return true;
	return false;
}

static bool holds_all(struct cel_call *c, struct cel_value list, struct cel_value items)
{
	for (size_t i = 0; i < cel_size(items); i++)
		if (!holds(c, list, cel_list_at(items, i, c->a)))
			return false;
	return true;
}

static struct cel_value contains(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(holds_all(c, v[0], v[1]));
}

static struct cel_value equivalent(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(holds_all(c, v[0], v[1]) && holds_all(c, v[1], v[0]));
}

static struct cel_value intersects(struct cel_call *c, const struct cel_value *v)
{
	for (size_t i = 0; i < cel_size(v[0]); i++)
		if (holds(c, v[1], cel_list_at(v[0], i, c->a)))
			return cel_bool(true);
	return cel_bool(false);
}

#define OF_LISTS(fn_, cost_)                                                                       \
	{                                                                                          \
		{                                                                                  \
			.args = {&cel_type_list_a, &cel_type_list_a}, .n_args = 2,                 \
			.result = &cel_type_bool, .fn = (fn_), .cost = (cost_)                     \
		}                                                                                  \
	}

static const struct cel_overload contains_overloads[] = OF_LISTS(contains, CEL_COST_PRODUCT);
static const struct cel_overload equivalent_overloads[] =
	OF_LISTS(equivalent, CEL_COST_PRODUCT_TWICE);
static const struct cel_overload intersects_overloads[] = OF_LISTS(intersects, CEL_COST_PRODUCT);

static const struct cel_function functions[] = {
	{"sets.contains", CEL_OVERLOADS(contains_overloads)},
	{"sets.equivalent", CEL_OVERLOADS(equivalent_overloads)},
	{"sets.intersects", CEL_OVERLOADS(intersects_overloads)},
};
const struct cel_library cel_lib_sets = {functions, ARRAY_SIZE(functions)};
