/* lib_lists.c: cel-go's ext.Lists, version 3, and first and last. sortBy is a macro. */
#include "cel/eval.h"

static struct cel_value slice(struct cel_call *c, const struct cel_value *v)
{
	int64_t from = v[1].i, to = v[2].i;
	struct cel_value list = cel_empty_list();

	if (from < 0 || to < 0)
		return cel_error_fmt(c->a,
			"cannot slice(%lld, %lld), negative indexes not supported", (long long)from,
			(long long)to);
	if (from > to)
		return cel_error_fmt(c->a,
			"cannot slice(%lld, %lld), start index must be less than or equal to end "
			"index",
			(long long)from, (long long)to);
	if ((int64_t)cel_size(v[0]) < to)
		return cel_error_fmt(c->a, "cannot slice(%lld, %lld), list is length %zu",
			(long long)from, (long long)to, cel_size(v[0]));
	for (int64_t i = from; i < to; i++)
		list = cel_list_append(list, cel_list_at(v[0], i, c->a), c->a);
	return list;
}

static bool flatten(struct cel_call *c, struct cel_value list, int64_t depth, struct cel_value *to)
{
	for (size_t i = 0; i < cel_size(list); i++) {
		struct cel_value v = cel_list_at(list, i, c->a);

		if (v.kind == CEL_LIST && depth > 0) {
			if (!flatten(c, v, depth - 1, to))
				return false;
			continue;
		}
		if (cel_size(*to) == CEL_LIST_ITEMS_MAX)
			return false;
		*to = cel_list_append(*to, v, c->a);
	}
	return true;
}

static struct cel_value flatten_to(struct cel_call *c, struct cel_value list, int64_t depth)
{
	struct cel_value to = cel_empty_list();

	if (depth < 0)
		return cel_error(S("level must be non-negative"));
	return flatten(c, list, depth, &to)
		       ? to
		       : cel_error(S("list exceeds the limit of 1048576 items"));
}

static struct cel_value flatten_one(struct cel_call *c, const struct cel_value *v)
{
	if (v->kind != CEL_LIST)
		return cel_error_fmt(c->a, "no such overload: %s.flatten()",
			cel_type_runtime_name(cel_type_of_value(*v)));
	return flatten_to(c, *v, 1);
}

static struct cel_value flatten_deep(struct cel_call *c, const struct cel_value *v)
{
	if (v[0].kind != CEL_LIST || v[1].kind != CEL_INT)
		return cel_error_fmt(c->a, "no such overload: %s.flatten(%s)",
			cel_type_runtime_name(cel_type_of_value(v[0])),
			cel_type_runtime_name(cel_type_of_value(v[1])));
	return flatten_to(c, v[0], v[1].i);
}

static struct cel_value range(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value list = cel_empty_list();

	if (v->i > CEL_LIST_ITEMS_MAX)
		return cel_error(S("list exceeds the limit of 1048576 items"));
	for (int64_t i = 0; i < v->i; i++)
		list = cel_list_append(list, cel_int(i), c->a);
	return list;
}

static struct cel_value reverse(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value list = cel_empty_list();

	for (size_t i = cel_size(*v); i-- > 0;)
		list = cel_list_append(list, cel_list_at(*v, i, c->a), c->a);
	return list;
}

static struct cel_value distinct(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value list = cel_empty_list();

	for (size_t i = 0; i < cel_size(*v); i++) {
		struct cel_value item = cel_list_at(*v, i, c->a);
		bool seen = false;

		for (size_t k = 0; k < cel_size(list) && !seen; k++)
			seen = cel_equal(item, cel_list_at(list, k, c->a), c->a);
		if (!seen)
			list = cel_list_append(list, item, c->a);
	}
	return list;
}

static struct cel_value first(struct cel_call *c, const struct cel_value *v)
{
	return cel_size(*v) ? cel_optional_of(cel_list_at(*v, 0, c->a), c->a) : cel_none();
}

static struct cel_value last(struct cel_call *c, const struct cel_value *v)
{
	size_t n = cel_size(*v);

	return n ? cel_optional_of(cel_list_at(*v, n - 1, c->a), c->a) : cel_none();
}

/* --- sorting --- */

struct keyed {
	struct cel_value key, item;
};

static bool precedes(struct cel_value x, struct cel_value y)
{
	struct cel_value error;
	int cmp;

	return cel_compare(x, y, &cmp, &error) && cmp < 0;
}

/* Merges the halves, each in order, of v. */
static void merge(struct keyed *v, size_t half, size_t n, struct keyed *tmp)
{
	size_t i = 0, k = half;

	memcpy(tmp, v, n * sizeof(*v));
	for (size_t to = 0; to < n; to++)
		v[to] = k >= n || (i < half && !precedes(tmp[k].key, tmp[i].key)) ? tmp[i++]
										  : tmp[k++];
}

static void sort(struct keyed *v, size_t n, struct keyed *tmp)
{
	if (n < 2)
		return;
	sort(v, n / 2, tmp);
	sort(v + n / 2, n - n / 2, tmp);
	merge(v, n / 2, n, tmp);
}

static struct cel_value sorted(struct cel_call *c, struct cel_value list, struct cel_value keys)
{
	size_t n = cel_size(list);
	struct keyed *v = arena_alloc(c->a, (n + 1) * sizeof(*v));
	struct cel_value *items = arena_alloc(c->a, (n + 1) * sizeof(*items));

	if (n != cel_size(keys))
		return cel_error_fmt(c->a,
			"@sortByAssociatedKeys() expected a list of the same size as the "
			"associated keys list, but got %zu and %zu elements respectively",
			n, cel_size(keys));
	for (size_t i = 0; i < n; i++) {
		v[i].key = cel_list_at(keys, i, c->a);
		v[i].item = cel_list_at(list, i, c->a);
		if (v[i].key.kind < CEL_BOOL || v[i].key.kind > CEL_TIMESTAMP)
			return cel_error(S("list elements must be comparable"));
		if (v[i].key.kind != v[0].key.kind)
			return cel_error(S("list elements must have the same type"));
	}
	sort(v, n, arena_alloc(c->a, (n + 1) * sizeof(*v)));
	for (size_t i = 0; i < n; i++)
		items[i] = v[i].item;
	return n ? cel_list(items, n, c->a) : list;
}

static struct cel_value sort_list(struct cel_call *c, const struct cel_value *v)
{
	if (v->kind != CEL_LIST)
		return cel_error(S("no such overload: sort"));
	return sorted(c, *v, *v);
}

static struct cel_value sort_by(struct cel_call *c, const struct cel_value *v)
{
	if (v[0].kind != CEL_LIST)
		return cel_error(S("no such overload: @sortByAssociatedKeys"));
	if (v[1].kind != CEL_LIST)
		return cel_no_overload();
	return sorted(c, v[0], v[1]);
}

/* --- tables --- */

#define T(name) &cel_type_##name
#define METHOD(n_args_, result_, fn_, cost_, ...)                                                  \
	{                                                                                          \
		.args = {__VA_ARGS__}, .n_args = (n_args_), .member = true, .result = T(result_),  \
		.fn = (fn_), .cost = (cost_)                                                       \
	}
#define SORT(t) METHOD(1, list_##t, sort_list, CEL_COST_SORT, T(list_##t))
#define SORT_BY(t) METHOD(2, list_a, sort_by, CEL_COST_SORT_BY, T(list_a), T(list_##t))

static const struct cel_overload slice_overloads[] = {
	METHOD(3, list_a, slice, CEL_COST_LIST_RESULT, T(list_a), T(int), T(int))};
static const struct cel_overload flatten_overloads[] = {
	METHOD(1, list_a, flatten_one, CEL_COST_FLATTEN, T(list_list_a)),
	METHOD(2, list_dyn, flatten_deep, CEL_COST_FLATTEN, T(list_dyn), T(int))};
static const struct cel_overload sort_overloads[] = {SORT(int), SORT(uint), SORT(double),
	SORT(boolean), SORT(duration), SORT(timestamp), SORT(string), SORT(bytes)};
static const struct cel_overload sort_by_overloads[] = {SORT_BY(int), SORT_BY(uint),
	SORT_BY(double), SORT_BY(boolean), SORT_BY(duration), SORT_BY(timestamp), SORT_BY(string),
	SORT_BY(bytes)};
static const struct cel_overload range_overloads[] = {{.args = {T(int)},
	.n_args = 1,
	.result = T(list_int),
	.fn = range,
	.cost = CEL_COST_LIST_RESULT}};
static const struct cel_overload reverse_overloads[] = {
	METHOD(1, list_a, reverse, CEL_COST_LIST_RESULT, T(list_a))};
static const struct cel_overload distinct_overloads[] = {
	METHOD(1, list_a, distinct, CEL_COST_SORT, T(list_a))};
static const struct cel_overload first_overloads[] = {
	METHOD(1, optional_a, first, CEL_COST_ONE, T(list_a))};
static const struct cel_overload last_overloads[] = {
	METHOD(1, optional_a, last, CEL_COST_ONE, T(list_a))};

static const struct cel_function functions[] = {
	{"slice", CEL_OVERLOADS(slice_overloads)},
	{"flatten", CEL_OVERLOADS(flatten_overloads), .flags = CEL_FN_UNGUARDED},
	{"sort", CEL_OVERLOADS(sort_overloads), .flags = CEL_FN_SINGLETON},
	{"@sortByAssociatedKeys", CEL_OVERLOADS(sort_by_overloads), .flags = CEL_FN_SINGLETON},
	{"lists.range", CEL_OVERLOADS(range_overloads)},
	{"reverse", CEL_OVERLOADS(reverse_overloads)},
	{"distinct", CEL_OVERLOADS(distinct_overloads)},
	{"first", CEL_OVERLOADS(first_overloads)},
	{"last", CEL_OVERLOADS(last_overloads)},
};
const struct cel_library cel_lib_lists = {functions, ARRAY_SIZE(functions)};
