/* lib_operators.c: arithmetic, order, equality, membership. */
#include "cel/eval.h"

/* The left operand decides whether the operator is there at all. */
static struct cel_value none(struct cel_call *c)
{
	return cel_error_fmt(c->a, "no such overload: %s", c->node->function->name);
}

/* Upstream asks some kinds of values themselves, which then name no operator. */
static struct cel_value receiver_or_none(struct cel_call *c, struct cel_value x)
{
	return x.kind == CEL_DURATION || x.kind == CEL_TIMESTAMP || x.kind == CEL_STRING
		       ? cel_no_overload()
		       : none(c);
}

static const struct cel_value int_overflow = {.kind = CEL_ERROR, .s = {"integer overflow", 16}};
static const struct cel_value uint_overflow = {
	.kind = CEL_ERROR, .s = {"unsigned integer overflow", 25}};
static const struct cel_value time_overflow = {.kind = CEL_ERROR, .s = {"timestamp overflow", 18}};

static struct cel_value logical_not(struct cel_call *c, const struct cel_value *v)
{
	return v->kind == CEL_BOOL ? cel_bool(!v->b) : cel_no_overload();
}

static struct cel_value not_strictly_false(struct cel_call *c, const struct cel_value *v)
{
	return v->kind == CEL_BOOL ? *v : cel_bool(true);
}

static struct cel_value equals(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(cel_equal(v[0], v[1], c->a));
}

static struct cel_value not_equals(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(!cel_equal(v[0], v[1], c->a));
}

/* --- time --- */

enum { NS = 1000000000 };
static const int64_t time_min = -62135596800, time_max = 253402300799;

static struct cel_value shifted(struct cel_value t, int64_t ns)
{
	int64_t sec = t.i + ns / NS, nsec = t.nsec + ns % NS;

	if (nsec < 0) {
		nsec += NS;
		sec--;
	} else if (nsec >= NS) {
		nsec -= NS;
		sec++;
	}
	t.i = sec;
	t.nsec = (int32_t)nsec;
	return sec < time_min || sec > time_max ? time_overflow : t;
}

static struct cel_value between(struct cel_value x, struct cel_value y)
{
	int64_t ns;

	if (__builtin_mul_overflow(x.i - y.i, (int64_t)NS, &ns) ||
		__builtin_add_overflow(ns, (int64_t)x.nsec - y.nsec, &ns))
		return int_overflow;
	return cel_duration(ns);
}

/* --- + - * / % --- */

static struct cel_value concat(struct cel_call *c, struct cel_value x, struct cel_value y)
{
	char *p;

	if (x.s.n + y.s.n > CEL_STRING_BYTES_MAX)
		return cel_error(S("string exceeds the limit of 16777216 bytes"));
	p = arena_alloc(c->a, x.s.n + y.s.n + 1);
	memcpy(p, x.s.p ? x.s.p : "", x.s.n);
	memcpy(p + x.s.n, y.s.p ? y.s.p : "", y.s.n);
	x.s = str_n(p, x.s.n + y.s.n);
	return x;
}

static struct cel_value add_duration(struct cel_value x, struct cel_value y)
{
	int64_t ns;

	if (y.kind == CEL_TIMESTAMP)
		return shifted(y, x.i);
	if (y.kind != CEL_DURATION)
		return cel_no_overload();
	return __builtin_add_overflow(x.i, y.i, &ns) ? int_overflow : cel_duration(ns);
}

static struct cel_value add(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value x = v[0], y = v[1];
	int64_t i;
	uint64_t u;

	if (x.kind == CEL_DURATION)
		return add_duration(x, y);
	if (x.kind == CEL_TIMESTAMP)
		return y.kind == CEL_DURATION ? shifted(x, y.i) : cel_no_overload();
	if (x.kind == y.kind) {
		switch ((enum cel_kind)x.kind) {
		case CEL_INT:
			return __builtin_add_overflow(x.i, y.i, &i) ? int_overflow : cel_int(i);
		case CEL_UINT:
			return __builtin_add_overflow(x.u, y.u, &u) ? uint_overflow : cel_uint(u);
		case CEL_DOUBLE:
			return cel_double(x.d + y.d);
		case CEL_STRING:
		case CEL_BYTES:
			return concat(c, x, y);
		case CEL_LIST:
			return cel_list_concat(x, y, c->a);
		default:
			return none(c);
		}
	}
	return x.kind == CEL_INT || x.kind == CEL_UINT || x.kind == CEL_DOUBLE ||
			       x.kind == CEL_STRING || x.kind == CEL_BYTES || x.kind == CEL_LIST
		       ? cel_no_overload()
		       : none(c);
}

static struct cel_value subtract_time(struct cel_value x, struct cel_value y)
{
	int64_t ns;

	if (x.kind == CEL_TIMESTAMP && y.kind == CEL_TIMESTAMP)
		return between(x, y);
	if (y.kind != CEL_DURATION)
		return cel_no_overload();
	if (x.kind == CEL_TIMESTAMP)
		return y.i == INT64_MIN ? int_overflow : shifted(x, -y.i);
	return __builtin_sub_overflow(x.i, y.i, &ns) ? int_overflow : cel_duration(ns);
}

static struct cel_value subtract(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value x = v[0], y = v[1];
	int64_t i;

	if (x.kind == CEL_DURATION || x.kind == CEL_TIMESTAMP)
		return subtract_time(x, y);
	if (x.kind != CEL_INT && x.kind != CEL_UINT && x.kind != CEL_DOUBLE)
		return receiver_or_none(c, x);
	if (x.kind != y.kind)
		return cel_no_overload();
	if (x.kind == CEL_INT)
		return __builtin_sub_overflow(x.i, y.i, &i) ? int_overflow : cel_int(i);
	if (x.kind == CEL_UINT)
		return y.u > x.u ? uint_overflow : cel_uint(x.u - y.u);
	return cel_double(x.d - y.d);
}

static struct cel_value multiply(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value x = v[0], y = v[1];
	int64_t i;
	uint64_t u;

	if (x.kind != CEL_INT && x.kind != CEL_UINT && x.kind != CEL_DOUBLE)
		return receiver_or_none(c, x);
	if (x.kind != y.kind)
		return cel_no_overload();
	if (x.kind == CEL_INT)
		return __builtin_mul_overflow(x.i, y.i, &i) ? int_overflow : cel_int(i);
	if (x.kind == CEL_UINT)
		return __builtin_mul_overflow(x.u, y.u, &u) ? uint_overflow : cel_uint(u);
	return cel_double(x.d * y.d);
}

static struct cel_value divide(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value x = v[0], y = v[1];

	if (x.kind != CEL_INT && x.kind != CEL_UINT && x.kind != CEL_DOUBLE)
		return receiver_or_none(c, x);
	if (x.kind != y.kind)
		return cel_no_overload();
	if (x.kind == CEL_DOUBLE)
		return cel_double(x.d / y.d);
	if (y.u == 0)
		return cel_error(S("division by zero"));
	if (x.kind == CEL_UINT)
		return cel_uint(x.u / y.u);
	return x.i == INT64_MIN && y.i == -1 ? int_overflow : cel_int(x.i / y.i);
}

static struct cel_value modulo(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value x = v[0], y = v[1];

	if (x.kind != CEL_INT && x.kind != CEL_UINT)
		return receiver_or_none(c, x);
	if (x.kind != y.kind)
		return cel_no_overload();
	if (y.u == 0)
		return cel_error(S("modulus by zero"));
	if (x.kind == CEL_UINT)
		return cel_uint(x.u % y.u);
	return x.i == INT64_MIN && y.i == -1 ? int_overflow : cel_int(x.i % y.i);
}

static struct cel_value negate(struct cel_call *c, const struct cel_value *v)
{
	switch ((enum cel_kind)v->kind) {
	case CEL_BOOL:
		return cel_no_overload();
	case CEL_INT:
		return v->i == INT64_MIN ? int_overflow : cel_int(-v->i);
	case CEL_DURATION:
		return v->i == INT64_MIN ? int_overflow : cel_duration(-v->i);
	case CEL_DOUBLE:
		return cel_double(-v->d);
	default:
		return receiver_or_none(c, *v);
	}
}

/* --- order --- */

static bool comparable(struct cel_value v)
{
	return (v.kind >= CEL_BOOL && v.kind <= CEL_TIMESTAMP);
}

static struct cel_value order(struct cel_call *c, const struct cel_value *v, int *ret)
{
	struct cel_value error = {.kind = CEL_BOOL};

	if (!comparable(v[0]))
		return none(c);
	return cel_compare(v[0], v[1], ret, &error) ? cel_bool(true) : error;
}

static struct cel_value less(struct cel_call *c, const struct cel_value *v)
{
	int cmp = 0;
	struct cel_value r = order(c, v, &cmp);

	return r.kind == CEL_ERROR ? r : cel_bool(cmp < 0);
}

static struct cel_value less_equals(struct cel_call *c, const struct cel_value *v)
{
	int cmp = 0;
	struct cel_value r = order(c, v, &cmp);

	return r.kind == CEL_ERROR ? r : cel_bool(cmp <= 0);
}

static struct cel_value greater(struct cel_call *c, const struct cel_value *v)
{
	int cmp = 0;
	struct cel_value r = order(c, v, &cmp);

	return r.kind == CEL_ERROR ? r : cel_bool(cmp > 0);
}

static struct cel_value greater_equals(struct cel_call *c, const struct cel_value *v)
{
	int cmp = 0;
	struct cel_value r = order(c, v, &cmp);

	return r.kind == CEL_ERROR ? r : cel_bool(cmp >= 0);
}

static struct cel_value in(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value found;

	if (v[1].kind == CEL_MAP)
		return cel_bool(cel_map_find(v[1], v[0], c->a, &found));
	if (v[1].kind != CEL_LIST)
		return cel_no_overload();
	for (size_t i = 0; i < cel_size(v[1]); i++)
		if (cel_equal(v[0], cel_list_at(v[1], i, c->a), c->a))
			return cel_bool(true);
	return cel_bool(false);
}

/* --- tables --- */

#define T(name) &cel_type_##name
#define BINARY(x, y, result_, fn_, ...)                                                            \
	{                                                                                          \
		.args = {T(x), T(y)}, .n_args = 2, .result = T(result_), .fn = (fn_), __VA_ARGS__  \
	}

static const struct cel_overload not_overloads[] = {
	{.args = {T(boolean)}, .n_args = 1, .result = T(boolean), .fn = logical_not}};
static const struct cel_overload strict_overloads[] = {
	{.args = {T(boolean)}, .n_args = 1, .result = T(boolean), .fn = not_strictly_false}};
static const struct cel_overload negate_overloads[] = {
	{.args = {T(double)}, .n_args = 1, .result = T(double), .fn = negate},
	{.args = {T(int)}, .n_args = 1, .result = T(int)}};
static const struct cel_overload equals_overloads[] = {
	BINARY(a, a, boolean, equals, .cost = CEL_COST_EQUAL)};
static const struct cel_overload not_equals_overloads[] = {
	BINARY(a, a, boolean, not_equals, .cost = CEL_COST_MIN_TENTH)};
static const struct cel_overload add_overloads[] = {
	BINARY(bytes, bytes, bytes, add, .cost = CEL_COST_SUM_TENTH),
	BINARY(double, double, double, add),
	BINARY(duration, duration, duration, add),
	BINARY(duration, timestamp, timestamp, add),
	BINARY(timestamp, duration, timestamp, add),
	BINARY(int, int, int, add),
	BINARY(list_a, list_a, list_a, add),
	BINARY(string, string, string, add, .cost = CEL_COST_SUM_TENTH),
	BINARY(uint, uint, uint, add),
};
static const struct cel_overload subtract_overloads[] = {
	BINARY(double, double, double, subtract),
	BINARY(duration, duration, duration, subtract),
	BINARY(int, int, int, subtract),
	BINARY(timestamp, duration, timestamp, subtract),
	BINARY(timestamp, timestamp, duration, subtract),
	BINARY(uint, uint, uint, subtract),
};
static const struct cel_overload multiply_overloads[] = {BINARY(double, double, double, multiply),
	BINARY(int, int, int, multiply), BINARY(uint, uint, uint, multiply)};
static const struct cel_overload divide_overloads[] = {BINARY(double, double, double, divide),
	BINARY(int, int, int, divide), BINARY(uint, uint, uint, divide)};
static const struct cel_overload modulo_overloads[] = {
	BINARY(int, int, int, modulo), BINARY(uint, uint, uint, modulo)};

#define ORDER(name, fn)                                                                            \
	static const struct cel_overload name##_overloads[] = {                                    \
		BINARY(boolean, boolean, boolean, fn),                                             \
		BINARY(int, int, boolean, fn),                                                     \
		BINARY(int, double, boolean, fn),                                                  \
		BINARY(int, uint, boolean, fn),                                                    \
		BINARY(uint, uint, boolean, fn),                                                   \
		BINARY(uint, double, boolean, fn),                                                 \
		BINARY(uint, int, boolean, fn),                                                    \
		BINARY(double, double, boolean, fn),                                               \
		BINARY(double, int, boolean, fn),                                                  \
		BINARY(double, uint, boolean, fn),                                                 \
		BINARY(string, string, boolean, fn, .cost = CEL_COST_MIN_TENTH),                   \
		BINARY(bytes, bytes, boolean, fn, .cost = CEL_COST_MIN_TENTH),                     \
		BINARY(timestamp, timestamp, boolean, fn),                                         \
		BINARY(duration, duration, boolean, fn),                                           \
	}
ORDER(less, less);
ORDER(less_equals, less_equals);
ORDER(greater, greater);
ORDER(greater_equals, greater_equals);

static const struct cel_overload in_overloads[] = {
	BINARY(a, list_a, boolean, in, .cost = CEL_COST_ARG1), BINARY(a, map_a_b, boolean, in)};
static const struct cel_overload index_overloads[] = {
	BINARY(list_a, int, a, NULL),
	BINARY(map_a_b, a, b, NULL),
	BINARY(optional_list_a, int, optional_a, NULL),
	BINARY(optional_map_a_b, a, optional_b, NULL),
};
static const struct cel_overload opt_index_overloads[] = {
	BINARY(list_a, int, optional_a, NULL),
	BINARY(optional_list_a, int, optional_a, NULL),
	BINARY(map_a_b, a, optional_b, NULL),
	BINARY(optional_map_a_b, a, optional_b, NULL),
};
static const struct cel_overload cond_overloads[] = {
	{.args = {T(boolean), T(a), T(a)}, .n_args = 3, .result = T(a)}};

static const struct cel_function functions[] = {
	{"_==_", CEL_OVERLOADS(equals_overloads), .flags = CEL_FN_SINGLETON},
	{"_!=_", CEL_OVERLOADS(not_equals_overloads), .flags = CEL_FN_SINGLETON},
	{"_<_", CEL_OVERLOADS(less_overloads), .flags = CEL_FN_SINGLETON},
	{"_<=_", CEL_OVERLOADS(less_equals_overloads), .flags = CEL_FN_SINGLETON},
	{"_>_", CEL_OVERLOADS(greater_overloads), .flags = CEL_FN_SINGLETON},
	{"_>=_", CEL_OVERLOADS(greater_equals_overloads), .flags = CEL_FN_SINGLETON},
	{"@in", CEL_OVERLOADS(in_overloads), .flags = CEL_FN_SINGLETON},
	{"_+_", CEL_OVERLOADS(add_overloads), .flags = CEL_FN_SINGLETON},
	{"_-_", CEL_OVERLOADS(subtract_overloads), .flags = CEL_FN_SINGLETON},
	{"_*_", CEL_OVERLOADS(multiply_overloads), .flags = CEL_FN_SINGLETON},
	{"_/_", CEL_OVERLOADS(divide_overloads), .flags = CEL_FN_SINGLETON},
	{"_%_", CEL_OVERLOADS(modulo_overloads), .flags = CEL_FN_SINGLETON},
	{"!_", CEL_OVERLOADS(not_overloads), .flags = CEL_FN_SINGLETON},
	{"-_", CEL_OVERLOADS(negate_overloads), .flags = CEL_FN_SINGLETON},
	{"@not_strictly_false", CEL_OVERLOADS(strict_overloads),
		.flags = CEL_FN_SINGLETON | CEL_FN_NONSTRICT},
	{"_?_:_", CEL_OVERLOADS(cond_overloads)},
	{"_[_]", CEL_OVERLOADS(index_overloads)},
	{"_[?_]", CEL_OVERLOADS(opt_index_overloads)},
};
const struct cel_library cel_lib_operators = {functions, ARRAY_SIZE(functions)};
