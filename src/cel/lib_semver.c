/* lib_semver.c: Kubernetes' semantic versions (SemVer 2.0.0 as blang/semver reads it). */
#include "cel/opaque.h"

#include <ctype.h>

#include "json/quote.h"

struct part { /* of a pre-release */
	struct str text;
	uint64_t number;
	bool is_number;
};

struct version {
	uint64_t v[3];
	struct {
		struct part *v;
		size_t n;
	} pre;
};

static const struct version *version(struct cel_value v)
{
	return v.ref.p;
}

static bool only(struct str s, bool letters)
{
	for (size_t i = 0; i < s.n; i++)
		if (!isdigit((unsigned char)s.p[i]) &&
			!(letters && (isalpha((unsigned char)s.p[i]) || s.p[i] == '-')))
			return false;
	return true;
}

/* Go's strconv.ParseUint error behind what is wrong with it. */
static struct str number_error(struct arena *a, struct str s)
{
	return arena_fmt(a, "strconv.ParseUint: parsing " STR_FMT ": value out of range",
		STR_ARG(quote_text(a, s)));
}

static bool read_number(
	struct arena *a, struct str s, const char *what, uint64_t *ret, struct str *ret_error)
{
	struct str q = quote_text(a, s);

	if (s.n == 0 && what[0] == 'P')
		*ret_error = S("strconv.ParseUint: parsing \"\": invalid syntax");
	else if (!only(s, false))
		*ret_error = arena_fmt(
			a, "Invalid character(s) found in %s number " STR_FMT, what, STR_ARG(q));
	else if (s.n > 1 && s.p[0] == '0')
		*ret_error = arena_fmt(a, "%c%s number must not contain leading zeroes " STR_FMT,
			toupper((unsigned char)what[0]), what + 1, STR_ARG(q));
	else if (s.n == 0)
		*ret_error = S("strconv.ParseUint: parsing \"\": invalid syntax");
	else if (str_to_u64(s, ret) < 0)
		*ret_error = number_error(a, s);
	else
		return true;
	return false;
}

static bool read_pre(struct arena *a, struct str s, struct version *v, struct str *ret_error)
{
	struct str part;
	bool more = true;

	while (more) {
		struct part p = {0};

		more = str_cut(s, '.', &part, &s);
		p.text = part;
		if (part.n == 0) {
			*ret_error = S("Prerelease is empty");
			return false;
		}
		p.is_number = only(part, false);
		if (p.is_number && part.n > 1 && part.p[0] == '0') {
			*ret_error = arena_fmt(a,
				"Numeric PreRelease version must not contain leading "
				"zeroes " STR_FMT,
				STR_ARG(quote_text(a, part)));
			return false;
		}
		if (p.is_number && str_to_u64(part, &p.number) < 0) {
			*ret_error = number_error(a, part);
			return false;
		}
		if (!p.is_number && !only(part, true)) {
			*ret_error =
				arena_fmt(a, "Invalid character(s) found in prerelease " STR_FMT,
					STR_ARG(quote_text(a, part)));
			return false;
		}
		ARENA_PUSH(a, &v->pre, p);
	}
	return true;
}

static bool check_build(struct arena *a, struct str s, struct str *ret_error)
{
	struct str part;
	bool more = true;

	while (more) {
		more = str_cut(s, '.', &part, &s);
		if (part.n == 0) {
			*ret_error = S("Build meta data is empty");
			return false;
		}
		if (!only(part, true)) {
			*ret_error = arena_fmt(a,
				"Invalid character(s) found in build meta data " STR_FMT,
				STR_ARG(quote_text(a, part)));
			return false;
		}
	}
	return true;
}

static bool read_version(struct arena *a, struct str s, struct version *v, struct str *ret_error)
{
	struct str parts[3], build, pre, rest;
	bool has_build, has_pre;

	memset(v, 0, sizeof(*v));
	if (s.n == 0) {
		*ret_error = S("Version string empty");
		return false;
	}
	if (!str_cut(s, '.', &parts[0], &rest) || !str_cut(rest, '.', &parts[1], &parts[2])) {
		*ret_error = S("No Major.Minor.Patch elements found");
		return false;
	}
	if (!read_number(a, parts[0], "major", &v->v[0], ret_error) ||
		!read_number(a, parts[1], "minor", &v->v[1], ret_error))
		return false;
	has_build = str_cut(parts[2], '+', &rest, &build);
	has_pre = str_cut(rest, '-', &parts[2], &pre);
	if (!read_number(a, parts[2], "patch", &v->v[2], ret_error))
		return false;
	return (!has_pre || read_pre(a, pre, v, ret_error)) &&
	       (!has_build || check_build(a, build, ret_error));
}

/* "v1.02" -> "1.2.0" */
static bool normalize(struct arena *a, struct str s, struct str *ret, struct str *ret_error)
{
	struct str parts[3];
	size_t n = 0;
	bool more = true;

	if (s.n && s.p[0] == 'v')
		s = str_sub(s, 1, s.n);
	for (; more && n < 2; n++)
		more = str_cut(s, '.', &parts[n], &s);
	if (more)
		parts[n++] = s;
	for (size_t i = 0; i < n; i++) {
		struct str p = parts[i];

		if (p.n < 2)
			continue;
		while (p.n && p.p[0] == '0')
			p = str_sub(p, 1, p.n);
		if (p.n == 0 || !isdigit((unsigned char)p.p[0]))
			p = arena_fmt(a, "0" STR_FMT, STR_ARG(p));
		parts[i] = p;
	}
	if (n < 3 && (str_chr(parts[n - 1], '+') >= 0 || str_chr(parts[n - 1], '-') >= 0)) {
		*ret_error = S("short version cannot contain PreRelease/Build meta data");
		return false;
	}
	for (; n < 3; n++)
		parts[n] = S("0");
	*ret = arena_fmt(a, STR_FMT "." STR_FMT "." STR_FMT, STR_ARG(parts[0]), STR_ARG(parts[1]),
		STR_ARG(parts[2]));
	return true;
}

static bool read_any(struct cel_call *c, const struct cel_value *v, bool lenient,
	struct version *ret, struct str *ret_error)
{
	struct str s = v[0].s;

	if (lenient && !normalize(c->a, s, &s, ret_error))
		return false;
	return read_version(c->a, s, ret, ret_error);
}

static struct cel_value parsed(struct cel_call *c, const struct cel_value *v, bool lenient)
{
	struct version *to = ARENA_NEW(c->a, struct version);
	struct str error;

	return read_any(c, v, lenient, to, &error) ? cel_opaque(&cel_type_semver, to)
						   : cel_error(error);
}

static struct cel_value semver(struct cel_call *c, const struct cel_value *v)
{
	return parsed(c, v, false);
}

static struct cel_value semver_lenient(struct cel_call *c, const struct cel_value *v)
{
	return parsed(c, v, v[1].b);
}

static struct cel_value is_semver(struct cel_call *c, const struct cel_value *v)
{
	struct version to;
	struct str error;

	return cel_bool(read_any(c, v, false, &to, &error));
}

static struct cel_value is_semver_lenient(struct cel_call *c, const struct cel_value *v)
{
	struct version to;
	struct str error;

	return cel_bool(read_any(c, v, v[1].b, &to, &error));
}

/* --- order --- */

static int order(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

static int compare_parts(const struct part *x, const struct part *y)
{
	int cmp;

	if (x->is_number != y->is_number)
		return x->is_number ? -1 : 1;
	if (x->is_number)
		return order(x->number, y->number);
	cmp = str_cmp(x->text, y->text);
	return (cmp > 0) - (cmp < 0);
}

static int compare(const struct version *x, const struct version *y)
{
	int cmp = 0;

	for (int i = 0; i < 3 && cmp == 0; i++)
		cmp = order(x->v[i], y->v[i]);
	if (cmp != 0)
		return cmp;
	if (x->pre.n == 0 || y->pre.n == 0)
		return order(x->pre.n == 0, y->pre.n == 0);
	for (size_t i = 0; i < x->pre.n && i < y->pre.n; i++) {
		cmp = compare_parts(&x->pre.v[i], &y->pre.v[i]);
		if (cmp != 0)
			return cmp;
	}
	return order(x->pre.n, y->pre.n);
}

bool cel_semver_equal(struct cel_value x, struct cel_value y)
{
	return compare(version(x), version(y)) == 0;
}

struct cel_value cel_semver_is_greater(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(compare(version(v[0]), version(v[1])) > 0);
}

struct cel_value cel_semver_is_less(struct cel_call *c, const struct cel_value *v)
{
	return cel_bool(compare(version(v[0]), version(v[1])) < 0);
}

struct cel_value cel_semver_compare(struct cel_call *c, const struct cel_value *v)
{
	return cel_int(compare(version(v[0]), version(v[1])));
}

static struct cel_value major(struct cel_call *c, const struct cel_value *v)
{
	return cel_int((int64_t)version(*v)->v[0]);
}

static struct cel_value minor(struct cel_call *c, const struct cel_value *v)
{
	return cel_int((int64_t)version(*v)->v[1]);
}

static struct cel_value patch(struct cel_call *c, const struct cel_value *v)
{
	return cel_int((int64_t)version(*v)->v[2]);
}

#define T(name) &cel_type_##name
#define FUNCTION(n_args_, result_, fn_, ...)                                                       \
	{                                                                                          \
		.args = {__VA_ARGS__}, .n_args = (n_args_), .result = T(result_), .fn = (fn_),     \
		.cost = CEL_COST_ARG0_TENTH                                                        \
	}
#define ACCESSOR(fn_)                                                                              \
	{                                                                                          \
		{                                                                                  \
			.args = {T(semver)}, .n_args = 1, .member = true, .result = T(int),        \
			.fn = (fn_)                                                                \
		}                                                                                  \
	}

static const struct cel_overload semver_overloads[] = {FUNCTION(1, semver, semver, T(string)),
	FUNCTION(2, semver, semver_lenient, T(string), T(boolean))};
static const struct cel_overload is_semver_overloads[] = {
	FUNCTION(1, boolean, is_semver, T(string)),
	FUNCTION(2, boolean, is_semver_lenient, T(string), T(boolean))};
static const struct cel_overload major_overloads[] = ACCESSOR(major);
static const struct cel_overload minor_overloads[] = ACCESSOR(minor);
static const struct cel_overload patch_overloads[] = ACCESSOR(patch);

static const struct cel_function functions[] = {
	{"semver", CEL_OVERLOADS(semver_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"isSemver", CEL_OVERLOADS(is_semver_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"major", CEL_OVERLOADS(major_overloads)},
	{"minor", CEL_OVERLOADS(minor_overloads)},
	{"patch", CEL_OVERLOADS(patch_overloads)},
};
const struct cel_library cel_lib_semver = {functions, ARRAY_SIZE(functions)};
