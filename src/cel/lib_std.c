/* lib_std.c: size, type conversions, contains, startsWith, endsWith, matches. */
#include "cel/eval.h"
#include "cel/regex.h"
#include "cel/opaque.h"

#include <math.h>

static const struct cel_value int_overflow = {.kind = CEL_ERROR, .s = {"integer overflow", 16}};
static const struct cel_value uint_overflow = {
	.kind = CEL_ERROR, .s = {"unsigned integer overflow", 25}};

static struct cel_value size(struct cel_call *c, const struct cel_value *v)
{
	switch ((enum cel_kind)v->kind) {
	case CEL_STRING:
		return cel_int(cel_rune_count(v->s));
	case CEL_BYTES:
		return cel_int(v->s.n);
	case CEL_LIST:
	case CEL_MAP:
		return cel_int(cel_size(*v));
	case CEL_DURATION:
	case CEL_TIMESTAMP:
		return cel_no_overload();
	default:
		return cel_error(S("no such overload: size"));
	}
}

static struct cel_value same(struct cel_call *c, const struct cel_value *v)
{
	return *v;
}

static struct cel_value type_of(struct cel_call *c, const struct cel_value *v)
{
	return (struct cel_value){.kind = CEL_TYPE, .type = cel_type_of_value(*v)};
}

/* --- from strings --- */

static struct cel_value unreadable(struct cel_call *c, const char *to)
{
	return cel_error_fmt(c->a, "type conversion error from 'string' to '%s'", to);
}

static struct cel_value string_to_bool(struct cel_call *c, const struct cel_value *v)
{
	static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
	static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (str_eqc(v->s, yes[i]))
			return cel_bool(true);
		if (str_eqc(v->s, no[i]))
			return cel_bool(false);
	}
	return unreadable(c, "bool");
}

static struct cel_value string_to_bytes(struct cel_call *c, const struct cel_value *v)
{
	return cel_bytes(v->s);
}

/* Go's ParseFloat: no blanks, hexadecimal only with an exponent; 1_0 is none. */
static struct cel_value string_to_double(struct cel_call *c, const struct cel_value *v)
{
	char *text = arena_cstr(c->a, v->s), *end;
	double d;

	if (v->s.n == 0 || strspn(text, " \t\n\v\f\r") || strchr(text, '('))
		return unreadable(c, "double");
	d = strtod(text, &end);
	if (end != text + v->s.n || (isinf(d) && !strpbrk(text, "nN")) ||
		(strpbrk(text, "xX") && !strpbrk(text, "pP")))
		return unreadable(c, "double");
	return cel_double(d);
}

static struct cel_value string_to_int(struct cel_call *c, const struct cel_value *v)
{
	struct str s = v->s;
	int64_t i;

	if (s.n > 1 && s.p[0] == '+' && s.p[1] >= '0' && s.p[1] <= '9')
		s = str_sub(s, 1, s.n);
	return str_to_i64(s, &i) == 0 ? cel_int(i) : unreadable(c, "int");
}

static struct cel_value string_to_uint(struct cel_call *c, const struct cel_value *v)
{
	uint64_t u;

	return str_to_u64(v->s, &u) == 0 ? cel_uint(u) : unreadable(c, "uint");
}

static struct cel_value string_to_duration(struct cel_call *c, const struct cel_value *v)
{
	return cel_duration_parse(v->s, c->a);
}

static struct cel_value string_to_timestamp(struct cel_call *c, const struct cel_value *v)
{
	return cel_timestamp_parse(v->s, c->a);
}

/* --- between numbers --- */

static struct cel_value double_to_int(struct cel_call *c, const struct cel_value *v)
{
	if (!(v->d > -0x1p63 && v->d < 0x1p63))
		return int_overflow;
	return cel_int((int64_t)v->d);
}

static struct cel_value double_to_uint(struct cel_call *c, const struct cel_value *v)
{
	if (!(v->d >= 0 && v->d < 0x1p64))
		return uint_overflow;
	return cel_uint((uint64_t)v->d);
}

static struct cel_value int_to_double(struct cel_call *c, const struct cel_value *v)
{
	return cel_double((double)v->i);
}

static struct cel_value uint_to_double(struct cel_call *c, const struct cel_value *v)
{
	return cel_double((double)v->u);
}

static struct cel_value int_to_uint(struct cel_call *c, const struct cel_value *v)
{
	return v->i < 0 ? uint_overflow : cel_uint(v->u);
}

static struct cel_value uint_to_int(struct cel_call *c, const struct cel_value *v)
{
	return v->u > INT64_MAX ? int_overflow : cel_int(v->i);
}

static struct cel_value int_to_timestamp(struct cel_call *c, const struct cel_value *v)
{
	if (v->i < -62135596800 || v->i > 253402300799)
		return cel_error(S("timestamp overflow"));
	return cel_timestamp(v->i, 0);
}

static struct cel_value int_to_duration(struct cel_call *c, const struct cel_value *v)
{
	return cel_error_fmt(
		c->a, "type conversion error from 'int' to 'google.protobuf.Duration'");
}

static struct cel_value time_to_int(struct cel_call *c, const struct cel_value *v)
{
	return cel_int(v->i);
}

/* --- to strings --- */

static struct cel_value to_string(struct cel_call *c, const struct cel_value *v)
{
	return cel_string(cel_show(*v, c->a));
}

static bool valid_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

	while (p < end) {
		int more = *p < 0x80                 ? 0
			   : *p >= 0xc2 && *p < 0xe0 ? 1
			   : *p >= 0xe0 && *p < 0xf0 ? 2
			   : *p >= 0xf0 && *p < 0xf5 ? 3
						     : -1;

		if (more < 0 || end - p <= more)
			return false;
		if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
			(*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
			return false;
		for (int i = 1; i <= more; i++)
			if ((p[i] & 0xc0) != 0x80)
				return false;
		p += more + 1;
	}
	return true;
}

static struct cel_value bytes_to_string(struct cel_call *c, const struct cel_value *v)
{
	if (!valid_utf8(v->s))
		return cel_error(S("invalid UTF-8 in bytes, cannot convert to string"));
	return cel_string(v->s);
}

static struct cel_value net_to_string(struct cel_call *c, const struct cel_value *v)
{
	return cel_string(cel_net_text(*v, c->a));
}

/* --- strings --- */

static struct cel_value contains(struct cel_call *c, const struct cel_value *v)
{
	if (v[0].kind != CEL_STRING || v[1].kind != CEL_STRING)
		return cel_no_overload();
	return cel_bool(str_find(v[0].s, v[1].s) >= 0);
}

static struct cel_value starts_with(struct cel_call *c, const struct cel_value *v)
{
	if (v[0].kind != CEL_STRING || v[1].kind != CEL_STRING)
		return cel_no_overload();
	return cel_bool(str_starts(v[0].s, v[1].s));
}

static struct cel_value ends_with(struct cel_call *c, const struct cel_value *v)
{
	if (v[0].kind != CEL_STRING || v[1].kind != CEL_STRING)
		return cel_no_overload();
	return cel_bool(str_ends(v[0].s, v[1].s));
}

static struct cel_value matches(struct cel_call *c, const struct cel_value *v)
{
	const struct cel_regex *re = c->node->regex;
	struct cel_regex *made;
	struct str error;

	if (v[0].kind != CEL_STRING && !re && v[0].kind != CEL_DURATION &&
		v[0].kind != CEL_TIMESTAMP)
		return cel_error(S("no such overload: matches"));
	if (v[0].kind != CEL_STRING || v[1].kind != CEL_STRING)
		return cel_no_overload();
	if (!re) {
		if (!cel_regex_compile(v[1].s, c->a, &made, &error))
			return cel_error(error);
		re = made;
	}
	return cel_bool(cel_regex_match(re, v[0].s, c->a));
}

/* --- tables --- */

#define T(name) &cel_type_##name
#define UNARY(x, result_, fn_, ...)                                                                \
	{                                                                                          \
		.args = {T(x)}, .n_args = 1, .result = T(result_), .fn = (fn_), __VA_ARGS__        \
	}
#define MEMBER2(x, y, result_, fn_, ...)                                                           \
	{                                                                                          \
		.args = {T(x), T(y)}, .n_args = 2, .member = true, .result = T(result_),           \
		.fn = (fn_), __VA_ARGS__                                                           \
	}

static const struct cel_overload size_overloads[] = {
	UNARY(bytes, int, size),
	UNARY(bytes, int, size, .member = true),
	UNARY(list_a, int, size),
	UNARY(list_a, int, size, .member = true),
	UNARY(map_a_b, int, size),
	UNARY(map_a_b, int, size, .member = true),
	UNARY(string, int, size),
	UNARY(string, int, size, .member = true),
};
static const struct cel_overload type_overloads[] = {UNARY(a, type_a, type_of)};
static const struct cel_overload dyn_overloads[] = {UNARY(a, dyn, same)};
static const struct cel_overload bool_overloads[] = {
	UNARY(boolean, boolean, same), UNARY(string, boolean, string_to_bool)};
static const struct cel_overload bytes_overloads[] = {UNARY(bytes, bytes, same),
	UNARY(string, bytes, string_to_bytes, .cost = CEL_COST_ARG0_TENTH)};
static const struct cel_overload double_overloads[] = {
	UNARY(double, double, same),
	UNARY(int, double, int_to_double),
	UNARY(string, double, string_to_double),
	UNARY(uint, double, uint_to_double),
};
static const struct cel_overload duration_overloads[] = {
	UNARY(duration, duration, same),
	UNARY(int, duration, int_to_duration),
	UNARY(string, duration, string_to_duration),
};
static const struct cel_overload int_overloads[] = {
	UNARY(int, int, same),
	UNARY(double, int, double_to_int),
	UNARY(duration, int, time_to_int),
	UNARY(string, int, string_to_int),
	UNARY(timestamp, int, time_to_int),
	UNARY(uint, int, uint_to_int),
};
static const struct cel_overload string_overloads[] = {
	UNARY(string, string, same),
	UNARY(boolean, string, to_string),
	UNARY(bytes, string, bytes_to_string, .cost = CEL_COST_ARG0_TENTH),
	UNARY(double, string, to_string),
	UNARY(duration, string, to_string),
	UNARY(int, string, to_string),
	UNARY(timestamp, string, to_string),
	UNARY(uint, string, to_string),
	UNARY(ip, string, net_to_string),
	UNARY(cidr, string, net_to_string),
};
static const struct cel_overload timestamp_overloads[] = {
	UNARY(timestamp, timestamp, same),
	UNARY(int, timestamp, int_to_timestamp),
	UNARY(string, timestamp, string_to_timestamp),
};
static const struct cel_overload uint_overloads[] = {
	UNARY(uint, uint, same),
	UNARY(double, uint, double_to_uint),
	UNARY(int, uint, int_to_uint),
	UNARY(string, uint, string_to_uint),
};
static const struct cel_overload contains_overloads[] = {
	MEMBER2(string, string, boolean, contains, .cost = CEL_COST_PRODUCT_TENTH)};
static const struct cel_overload ends_overloads[] = {
	MEMBER2(string, string, boolean, ends_with, .cost = CEL_COST_ARG0_TENTH)};
static const struct cel_overload starts_overloads[] = {
	MEMBER2(string, string, boolean, starts_with, .cost = CEL_COST_ARG0_TENTH)};
static const struct cel_overload matches_overloads[] = {
	{.args = {T(string), T(string)}, .n_args = 2, .result = T(boolean), .fn = matches},
	MEMBER2(string, string, boolean, matches, .cost = CEL_COST_REGEX)};

static const struct cel_function functions[] = {
	{"size", CEL_OVERLOADS(size_overloads), .flags = CEL_FN_SINGLETON},
	{"type", CEL_OVERLOADS(type_overloads), .flags = CEL_FN_SINGLETON | CEL_FN_CONVERSION},
	{"dyn", CEL_OVERLOADS(dyn_overloads), .flags = CEL_FN_SINGLETON | CEL_FN_CONVERSION},
	{"bool", CEL_OVERLOADS(bool_overloads), .flags = CEL_FN_CONVERSION},
	{"bytes", CEL_OVERLOADS(bytes_overloads), .flags = CEL_FN_CONVERSION},
	{"double", CEL_OVERLOADS(double_overloads), .flags = CEL_FN_CONVERSION},
	{"duration", CEL_OVERLOADS(duration_overloads), .flags = CEL_FN_CONVERSION},
	{"int", CEL_OVERLOADS(int_overloads), .flags = CEL_FN_CONVERSION},
	{"string", CEL_OVERLOADS(string_overloads), .flags = CEL_FN_CONVERSION},
	{"timestamp", CEL_OVERLOADS(timestamp_overloads), .flags = CEL_FN_CONVERSION},
	{"uint", CEL_OVERLOADS(uint_overloads), .flags = CEL_FN_CONVERSION},
	{"contains", CEL_OVERLOADS(contains_overloads), .flags = CEL_FN_UNGUARDED},
	{"endsWith", CEL_OVERLOADS(ends_overloads), .flags = CEL_FN_UNGUARDED},
	{"startsWith", CEL_OVERLOADS(starts_overloads), .flags = CEL_FN_UNGUARDED},
	{"matches", CEL_OVERLOADS(matches_overloads), .flags = CEL_FN_SINGLETON | CEL_FN_REGEX},
};
const struct cel_library cel_lib_std = {functions, ARRAY_SIZE(functions)};
