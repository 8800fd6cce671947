/* lib_regex.c: Kubernetes' find and findAll. */
#include "cel/eval.h"
#include "cel/regex.h"

/* The call's pattern: compiled with the program when it is constant. NULL: *ret_error. */
static const struct cel_regex *pattern(
	struct cel_call *c, struct cel_value v, struct cel_value *ret_error)
{
	struct cel_regex *re;
	struct str error;

	if (c->node->regex)
		return c->node->regex;
	if (cel_regex_compile(v.s, c->a, &re, &error))
		return re;
	*ret_error = cel_error_fmt(c->a, "Illegal regex: " STR_FMT, STR_ARG(error));
	return NULL;
}

static struct cel_value find(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value error;
	const struct cel_regex *re = pattern(c, v[1], &error);
	size_t from, to;

	if (!re)
		return error;
	if (!cel_regex_find(re, v[0].s, 0, c->a, &from, &to))
		return cel_string(S(""));
	return cel_string(str_sub(v[0].s, from, to));
}

/* At most n, all when negative. An empty match directly behind another one does not count. */
static struct cel_value find_n(struct cel_call *c, const struct cel_value *v, int64_t n)
{
	struct cel_value list = cel_empty_list(), error;
	const struct cel_regex *re = pattern(c, v[1], &error);
	struct str s = v[0].s;
	size_t at = 0, from, to, last = SIZE_MAX;

	if (!re)
		return error;
	while (n != 0 && at <= s.n && cel_regex_find(re, s, at, c->a, &from, &to)) {
		if (to > from || from != last) {
			list = cel_list_append(list, cel_string(str_sub(s, from, to)), c->a);
			n -= n > 0;
		}
		last = to;
		at = to;
		if (to == from)
			do
				at++;
			while (at < s.n && ((unsigned char)s.p[at] & 0xc0) == 0x80);
	}
	return list;
}

static struct cel_value find_all(struct cel_call *c, const struct cel_value *v)
{
	return find_n(c, v, -1);
}

static struct cel_value find_some(struct cel_call *c, const struct cel_value *v)
{
	return find_n(c, v, v[2].i);
}

#define T(name) &cel_type_##name
static const struct cel_overload find_overloads[] = {{.args = {T(string), T(string)},
	.n_args = 2,
	.member = true,
	.result = T(string),
	.fn = find,
	.cost = CEL_COST_REGEX}};
static const struct cel_overload find_all_overloads[] = {
	{.args = {T(string), T(string)},
		.n_args = 2,
		.member = true,
		.result = T(list_string),
		.fn = find_all,
		.cost = CEL_COST_REGEX},
	{.args = {T(string), T(string), T(int)},
		.n_args = 3,
		.member = true,
		.result = T(list_string),
		.fn = find_some,
		.cost = CEL_COST_REGEX},
};
static const struct cel_function functions[] = {
	{"find", CEL_OVERLOADS(find_overloads), .flags = CEL_FN_REGEX | CEL_FN_COST_BY_NAME},
	{"findAll", CEL_OVERLOADS(find_all_overloads), .flags = CEL_FN_REGEX | CEL_FN_COST_BY_NAME},
};
const struct cel_library cel_lib_regex = {functions, ARRAY_SIZE(functions)};
