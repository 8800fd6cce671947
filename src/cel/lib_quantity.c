/* lib_quantity.c: Kubernetes' resource quantities. */
#include "schema/quantity.h"

#include "cel/opaque.h"

static const struct quantity *quantity(struct cel_value v)
{
	return v.ref.p;
}

static struct cel_value value(struct cel_call *c, const struct quantity *q)
{
	return cel_opaque(&cel_type_quantity, arena_memdup(c->a, q, sizeof(*q)));
}

bool cel_quantity_equal(struct cel_value x, struct cel_value y)
{
	return quantity_cmp(quantity(x), quantity(y)) == 0;
}

static struct cel_value parse(struct cel_call *c, const struct cel_value *v)
{
	struct err err CLEANUP(err_release) = {0};
	struct quantity q;

	if (quantity_parse(v->s, &q, &err) < 0)
		return cel_error_fmt(c->a, "%s", err_text(&err));
	return value(c, &q);
}

static struct cel_value is_quantity(struct cel_call *c, const struct cel_value *v)
{
	struct quantity q;

	return cel_bool(quantity_parse(v->s, &q, NULL) == 0);
}

enum { NANO = 1000000000 };

/* Whole, and within 64 bits. */
static bool whole(const struct quantity *q, int64_t *ret)
{
	__int128 units = q->nano / NANO;

	*ret = (int64_t)units;
	return q->nano % NANO == 0 && units == (__int128)*ret;
}

static struct cel_value is_integer(struct cel_call *c, const struct cel_value *v)
{
	int64_t i;

	return cel_bool(whole(quantity(*v), &i));
}

static struct cel_value as_integer(struct cel_call *c, const struct cel_value *v)
{
	int64_t i;

	return whole(quantity(*v), &i) ? cel_int(i)
				       : cel_error(S("cannot convert value to integer"));
}

static struct cel_value as_float(struct cel_call *c, const struct cel_value *v)
{
	__int128 nano = quantity(*v)->nano;

	/* dividing once keeps what a double can hold */
	return cel_double(nano % NANO == 0 ? (double)(nano / NANO) : (double)nano / 1e9);
}

static struct cel_value sign(struct cel_call *c, const struct cel_value *v)
{
	__int128 nano = quantity(*v)->nano;

	return cel_int((nano > 0) - (nano < 0));
}

static struct cel_value is_greater(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(quantity_cmp(quantity(v[0]), quantity(v[1])) > 0);
}

static struct cel_value is_less(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(quantity_cmp(quantity(v[0]), quantity(v[1])) < 0);
}

static struct cel_value compare(struct cel_call *c, const struct cel_value *v)
{
	return cel_int(quantity_cmp(quantity(v[0]), quantity(v[1])));
}

static struct cel_value add(struct cel_call *c, const struct cel_value *v)
{
	struct quantity q = *quantity(v[0]);

	quantity_add(&q, quantity(v[1]));
	return value(c, &q);
}

static struct cel_value add_int(struct cel_call *c, const struct cel_value *v)
{
	struct quantity q = *quantity(v[0]),
			y = quantity_from_value(v[1].i, QUANTITY_DECIMAL_EXPONENT);

	quantity_add(&q, &y);
	return value(c, &q);
}

static struct cel_value sub(struct cel_call *c, const struct cel_value *v)
{
	struct quantity q = *quantity(v[0]);

	quantity_sub(&q, quantity(v[1]));
	return value(c, &q);
}

static struct cel_value sub_int(struct cel_call *c, const struct cel_value *v)
{
	struct quantity q = *quantity(v[0]),
			y = quantity_from_value(v[1].i, QUANTITY_DECIMAL_EXPONENT);

	quantity_sub(&q, &y);
	return value(c, &q);
}

#define T(name) &cel_type_##name
#define METHOD(n_args_, result_, fn_, ...)                                                         \
	{                                                                                          \
		.args = {__VA_ARGS__}, .n_args = (n_args_), .member = true, .result = T(result_),  \
		.fn = (fn_)                                                                        \
	}
#define FUNCTION(result_, fn_)                                                                     \
	{                                                                                          \
		.args = {T(string)}, .n_args = 1, .result = T(result_), .fn = (fn_),               \
		.cost = CEL_COST_ARG0_TENTH                                                        \
	}

static const struct cel_overload quantity_overloads[] = {FUNCTION(quantity, parse)};
static const struct cel_overload is_quantity_overloads[] = {FUNCTION(boolean, is_quantity)};
static const struct cel_overload is_integer_overloads[] = {
	METHOD(1, boolean, is_integer, T(quantity))};
static const struct cel_overload as_integer_overloads[] = {METHOD(1, int, as_integer, T(quantity))};
static const struct cel_overload as_float_overloads[] = {METHOD(1, double, as_float, T(quantity))};
static const struct cel_overload sign_overloads[] = {
	{.args = {T(quantity)}, .n_args = 1, .result = T(int), .fn = sign}};
static const struct cel_overload add_overloads[] = {
	METHOD(2, quantity, add, T(quantity), T(quantity)),
	METHOD(2, quantity, add_int, T(quantity), T(int))};
static const struct cel_overload sub_overloads[] = {
	METHOD(2, quantity, sub, T(quantity), T(quantity)),
	METHOD(2, quantity, sub_int, T(quantity), T(int))};

/* Versions have these, too: the functions are one. */
static const struct cel_overload greater_overloads[] = {
	METHOD(2, boolean, is_greater, T(quantity), T(quantity)),
	METHOD(2, boolean, cel_semver_is_greater, T(semver), T(semver))};
static const struct cel_overload less_overloads[] = {
	METHOD(2, boolean, is_less, T(quantity), T(quantity)),
	METHOD(2, boolean, cel_semver_is_less, T(semver), T(semver))};
static const struct cel_overload compare_overloads[] = {
	METHOD(2, int, compare, T(quantity), T(quantity)),
	METHOD(2, int, cel_semver_compare, T(semver), T(semver))};

static const struct cel_function functions[] = {
	{"quantity", CEL_OVERLOADS(quantity_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"isQuantity", CEL_OVERLOADS(is_quantity_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"isInteger", CEL_OVERLOADS(is_integer_overloads)},
	{"asInteger", CEL_OVERLOADS(as_integer_overloads)},
	{"asApproximateFloat", CEL_OVERLOADS(as_float_overloads)},
	{"sign", CEL_OVERLOADS(sign_overloads)},
	{"isGreaterThan", CEL_OVERLOADS(greater_overloads)},
	{"isLessThan", CEL_OVERLOADS(less_overloads)},
	{"compareTo", CEL_OVERLOADS(compare_overloads)},
	{"add", CEL_OVERLOADS(add_overloads)},
	{"sub", CEL_OVERLOADS(sub_overloads)},
};
const struct cel_library cel_lib_quantity = {functions, ARRAY_SIZE(functions)};
