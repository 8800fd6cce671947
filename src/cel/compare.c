/* compare.c: equality and order. Numbers of all types compare by value, as Kubernetes enables it
 * (CrossTypeNumericComparisons). */
#include "cel/eval.h"

#include <math.h>

static int sign(bool less, bool greater)
{
	return greater - less;
}

static int compare_double_int(double d, int64_t i)
{
	if (d < -0x1p63)
		return -1;
	if (d > 0x1p63)
		return 1;
	return sign(d<(double)i, d>(double) i);
}

static int compare_double_uint(double d, uint64_t u)
{
	if (d < 0)
		return -1;
	if (d > 0x1p64)
		return 1;
	return sign(d<(double)u, d>(double) u);
}

static int compare_int_uint(int64_t i, uint64_t u)
{
	if (i < 0 || u > INT64_MAX)
		return -1;
	return sign(i<(int64_t)u, i>(int64_t) u);
}

static bool is_number(struct cel_value v)
{
	return v.kind == CEL_INT || v.kind == CEL_UINT || v.kind == CEL_DOUBLE;
}

static bool is_nan(struct cel_value v)
{
	return v.kind == CEL_DOUBLE && isnan(v.d);
}

/* Of two numbers, neither of them NaN. */
static int compare_numbers(struct cel_value x, struct cel_value y)
{
	if (x.kind == y.kind) {
		if (x.kind == CEL_INT)
			return sign(x.i<y.i, x.i> y.i);
		if (x.kind == CEL_UINT)
			return sign(x.u<y.u, x.u> y.u);
		return sign(x.d<y.d, x.d> y.d);
	}
	if (x.kind > y.kind)
		return -compare_numbers(y, x);
	if (x.kind == CEL_INT && y.kind == CEL_UINT)
		return compare_int_uint(x.i, y.u);
	if (x.kind == CEL_INT)
		return -compare_double_int(y.d, x.i);
	return -compare_double_uint(y.d, x.u);
}

static bool equal_lists(struct cel_value x, struct cel_value y, struct arena *a)
{
	size_t n = cel_size(x);

	if (n != cel_size(y))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!cel_equal(cel_list_at(x, i, a), cel_list_at(y, i, a), a))
			return false;
	return true;
}

static bool equal_maps(struct cel_value x, struct cel_value y, struct arena *a)
{
	size_t n = cel_size(x);
	struct cel_value other;

	if (n != cel_size(y))
		return false;
	for (size_t i = 0; i < n; i++) {
		struct cel_entry e = cel_map_at(x, i, a);

		if (!cel_map_find(y, e.key, a, &other) || !cel_equal(e.value, other, a))
			return false;
	}
	return true;
}

static bool equal_optionals(struct cel_value x, struct cel_value y, struct arena *a)
{
	if (!x.optional || !y.optional)
		return !x.optional && !y.optional;
	return cel_equal(*x.optional, *y.optional, a);
}

bool cel_equal(struct cel_value x, struct cel_value y, struct arena *a)
{
	if (is_number(x) && is_number(y))
		return !is_nan(x) && !is_nan(y) && compare_numbers(x, y) == 0;
	if (x.kind != y.kind)
		return false;
	switch ((enum cel_kind)x.kind) {
	case CEL_NULL:
		return true;
	case CEL_BOOL:
		return x.b == y.b;
	case CEL_STRING:
	case CEL_BYTES:
		return str_eq(x.s, y.s);
	case CEL_DURATION:
		return x.i == y.i;
	case CEL_TIMESTAMP:
		return x.i == y.i && x.nsec == y.nsec;
	case CEL_LIST:
		return equal_lists(x, y, a);
	case CEL_MAP:
		return equal_maps(x, y, a);
	case CEL_TYPE:
		return strcmp(cel_type_runtime_name(x.type), cel_type_runtime_name(y.type)) == 0;
	case CEL_OPTIONAL:
		return equal_optionals(x, y, a);
	case CEL_OPAQUE:
		return x.ref.of == y.ref.of && cel_opaque_equal(x, y);
	default:
		return false;
	}
}

bool cel_compare(struct cel_value x, struct cel_value y, int *ret, struct cel_value *ret_error)
{
	if (is_number(x) && is_number(y)) {
		if (is_nan(x) || is_nan(y)) {
			*ret_error = cel_error(S("NaN values cannot be ordered"));
			return false;
		}
		*ret = compare_numbers(x, y);
		return true;
	}
	if (is_nan(x)) {
		*ret_error = cel_error(S("NaN values cannot be ordered"));
		return false;
	}
	*ret_error = cel_no_overload();
	if (x.kind != y.kind)
		return false;
	switch ((enum cel_kind)x.kind) {
	case CEL_BOOL:
		*ret = sign(!x.b && y.b, x.b && !y.b);
		return true;
	case CEL_STRING:
	case CEL_BYTES:
		*ret = str_cmp(x.s, y.s);
		return true;
	case CEL_DURATION:
		*ret = sign(x.i<y.i, x.i> y.i);
		return true;
	case CEL_TIMESTAMP:
		*ret = x.i != y.i ? sign(x.i<y.i, x.i> y.i) : sign(x.nsec<y.nsec, x.nsec> y.nsec);
		return true;
	default:
		return false;
	}
}

bool cel_is_zero(struct cel_value v, struct arena *a)
{
	enum { YEAR_ONE = 62135596800 };

	switch ((enum cel_kind)v.kind) {
	case CEL_NULL:
		return true;
	case CEL_BOOL:
		return !v.b;
	case CEL_INT:
	case CEL_UINT:
	case CEL_DURATION:
		return v.i == 0;
	case CEL_DOUBLE:
		return v.d == 0;
	case CEL_STRING:
	case CEL_BYTES:
		return v.s.n == 0;
	case CEL_TIMESTAMP:
		return v.i == -(int64_t)YEAR_ONE && v.nsec == 0;
	case CEL_LIST:
	case CEL_MAP:
		return cel_size(v) == 0;
	default:
		return false;
	}
}
