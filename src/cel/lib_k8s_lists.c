/* lib_k8s_lists.c: Kubernetes' list library: isSorted, sum, min, max, indexOf, lastIndexOf; and the
 * latter two of strings, which are overloads of the same functions. */
#include "cel/strings.h"

static struct cel_value is_sorted(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value last = {.kind = CEL_UNSET}, item, error;
	int cmp;

	for (size_t i = 0; i < cel_size(*v); i++, last = item) {
		item = cel_list_at(*v, i, c->a);
		if (item.kind < CEL_BOOL || item.kind > CEL_TIMESTAMP)
			return cel_no_overload();
		if (i > 0 && cel_compare(last, item, &cmp, &error) && cmp > 0)
			return cel_bool(false);
	}
	return cel_bool(true);
}

/* --- sum --- */

static struct cel_value sum_from(struct cel_call *c, struct cel_value list, struct cel_value sum)
{
	const struct cel_function *add = cel_function_find(S("_+_"));

	for (size_t i = 0; i < cel_size(list); i++) {
		sum = cel_apply(c, add, NULL,
			(const struct cel_value[]){sum, cel_list_at(list, i, c->a)}, 2);
		if (sum.kind == CEL_ERROR)
			return sum;
	}
	return sum;
}

static struct cel_value sum_int(struct cel_call *c, const struct cel_value *v)
{
	return sum_from(c, *v, cel_int(0));
}

static struct cel_value sum_uint(struct cel_call *c, const struct cel_value *v)
{
	return sum_from(c, *v, cel_uint(0));
}

static struct cel_value sum_double(struct cel_call *c, const struct cel_value *v)
{
	return sum_from(c, *v, cel_double(0));
}

static struct cel_value sum_duration(struct cel_call *c, const struct cel_value *v)
{
	return sum_from(c, *v, cel_duration(0));
}

/* --- min, max --- */

static struct cel_value extreme(
	struct cel_call *c, struct cel_value list, int prefer, const char *name)
{
	struct cel_value best = {.kind = CEL_UNSET}, item, error;
	int cmp;

	for (size_t i = 0; i < cel_size(list); i++) {
		item = cel_list_at(list, i, c->a);
		if (item.kind < CEL_BOOL || item.kind > CEL_TIMESTAMP)
			return cel_no_overload();
		if (i == 0 ||
			(cel_compare(best, item, &cmp, &error) && (cmp > 0) - (cmp < 0) == prefer))
			best = item;
	}
	if (best.kind == CEL_UNSET)
		return cel_error_fmt(c->a, "%s called on empty list", name);
	return best;
}

static struct cel_value min(struct cel_call *c, const struct cel_value *v)
{
	return extreme(c, *v, 1, "min");
}

static struct cel_value max(struct cel_call *c, const struct cel_value *v)
{
	return extreme(c, *v, -1, "max");
}

/* --- indexOf --- */

static struct cel_value index_of(struct cel_call *c, const struct cel_value *v)
{
	for (size_t i = 0; i < cel_size(v[0]); i++)
		if (cel_equal(cel_list_at(v[0], i, c->a), v[1], c->a))
			return cel_int(i);
	return cel_int(-1);
}

static struct cel_value last_index_of(struct cel_call *c, const struct cel_value *v)
{
	for (size_t i = cel_size(v[0]); i-- > 0;)
		if (cel_equal(cel_list_at(v[0], i, c->a), v[1], c->a))
			return cel_int(i);
	return cel_int(-1);
}

#define T(name) &cel_type_##name
#define METHOD(n_args_, result_, fn_, ...)                                                         \
	{                                                                                          \
		.args = {__VA_ARGS__}, .n_args = (n_args_), .member = true, .result = T(result_),  \
		.fn = (fn_), .cost = CEL_COST_TRAVERSAL                                            \
	}
#define SORTED(t) METHOD(1, boolean, is_sorted, T(list_##t))
#define EXTREME(fn, t) METHOD(1, t, fn, T(list_##t))

static const struct cel_overload sorted_overloads[] = {SORTED(int), SORTED(uint), SORTED(double),
	SORTED(boolean), SORTED(duration), SORTED(timestamp), SORTED(string), SORTED(bytes)};
static const struct cel_overload sum_overloads[] = {METHOD(1, int, sum_int, T(list_int)),
	METHOD(1, uint, sum_uint, T(list_uint)), METHOD(1, double, sum_double, T(list_double)),
	METHOD(1, duration, sum_duration, T(list_duration))};
static const struct cel_overload min_overloads[] = {EXTREME(min, int), EXTREME(min, uint),
	EXTREME(min, double), EXTREME(min, boolean), EXTREME(min, duration),
	EXTREME(min, timestamp), EXTREME(min, string), EXTREME(min, bytes)};
static const struct cel_overload max_overloads[] = {EXTREME(max, int), EXTREME(max, uint),
	EXTREME(max, double), EXTREME(max, boolean), EXTREME(max, duration),
	EXTREME(max, timestamp), EXTREME(max, string), EXTREME(max, bytes)};
static const struct cel_overload index_overloads[] = {METHOD(2, int, index_of, T(list_a), T(a)),
	METHOD(2, int, cel_string_index, T(string), T(string)),
	METHOD(3, int, cel_string_index_from, T(string), T(string), T(int))};
static const struct cel_overload last_index_overloads[] = {
	METHOD(2, int, last_index_of, T(list_a), T(a)),
	METHOD(2, int, cel_string_last_index, T(string), T(string)),
	METHOD(3, int, cel_string_last_index_from, T(string), T(string), T(int))};

static const struct cel_function functions[] = {
	{"isSorted", CEL_OVERLOADS(sorted_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"sum", CEL_OVERLOADS(sum_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"min", CEL_OVERLOADS(min_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"max", CEL_OVERLOADS(max_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"indexOf", CEL_OVERLOADS(index_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"lastIndexOf", CEL_OVERLOADS(last_index_overloads), .flags = CEL_FN_COST_BY_NAME},
};
const struct cel_library cel_lib_k8s_lists = {functions, ARRAY_SIZE(functions)};
