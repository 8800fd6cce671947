/* lib_strings.c: cel-go's ext.Strings, version 2. Positions count code points. format() is in
 * lib_string_format.c, indexOf and lastIndexOf, which lists have, too, in lib_k8s_lists.c. */
#include "cel/strings.h"

size_t cel_rune_offset(struct str s, size_t index)
{
	size_t at = 0;

	for (; at < s.n && index > 0; index--)
		do
			at++;
		while (at < s.n && ((unsigned char)s.p[at] & 0xc0) == 0x80);
	return at;
}

static struct cel_value out_of_range(struct cel_call *c, int64_t i)
{
	return cel_error_fmt(c->a, "index out of range: %lld", (long long)i);
}

static struct cel_value char_at(struct cel_call *c, const struct cel_value *v)
{
	size_t n = cel_rune_count(v[0].s), from;

	if (v[1].i < 0 || (uint64_t)v[1].i > n)
		return out_of_range(c, v[1].i);
	from = cel_rune_offset(v[0].s, v[1].i);
	return cel_string(str_sub(v[0].s, from, cel_rune_offset(v[0].s, v[1].i + 1)));
}

/* --- indexOf --- */

struct cel_value cel_string_index(struct cel_call *c, const struct cel_value *v)
{
	return cel_string_index_from(c, (const struct cel_value[]){v[0], v[1], cel_int(0)});
}

struct cel_value cel_string_index_from(struct cel_call *c, const struct cel_value *v)
{
	struct str s = v[0].s;
	size_t from;
	ssize_t at;

	if (v[1].s.n == 0)
		return v[2];
	if (v[2].i < 0)
		return out_of_range(c, v[2].i);
	if ((uint64_t)v[2].i >= cel_rune_count(s))
		return cel_int(-1);
	from = cel_rune_offset(s, v[2].i);
	at = str_find(str_sub(s, from, s.n), v[1].s);
	return cel_int(
		at < 0 ? -1 : (int64_t)(v[2].i + cel_rune_count(str_sub(s, from, from + at))));
}

static int64_t last_index(struct str s, struct str sub, size_t from)
{
	if (sub.n > s.n)
		return -1;
	for (size_t at = MIN(cel_rune_offset(s, from), s.n - sub.n) + 1; at-- > 0;)
		if (memcmp(s.p + at, sub.p, sub.n) == 0)
			return cel_rune_count(str_sub(s, 0, at));
	return -1;
}

struct cel_value cel_string_last_index(struct cel_call *c, const struct cel_value *v)
{
	size_t n = cel_rune_count(v[0].s);

	if (v[1].s.n == 0)
		return cel_int(n);
	return cel_int(last_index(v[0].s, v[1].s, n));
}

struct cel_value cel_string_last_index_from(struct cel_call *c, const struct cel_value *v)
{
	if (v[1].s.n == 0)
		return v[2];
	if (v[2].i < 0)
		return out_of_range(c, v[2].i);
	if ((uint64_t)v[2].i >= cel_rune_count(v[0].s))
		return cel_int(-1);
	return cel_int(last_index(v[0].s, v[1].s, v[2].i));
}

/* --- case, trim, substring --- */

static struct cel_value in_case(struct cel_call *c, struct str s, char from, char to)
{
	char *p = arena_cstr(c->a, s);

	for (size_t i = 0; i < s.n; i++)
		if (p[i] >= from && p[i] <= to)
			p[i] ^= 0x20;
	return cel_string(str_n(p, s.n));
}

static struct cel_value lower_ascii(struct cel_call *c, const struct cel_value *v)
{
	return in_case(c, v->s, 'A', 'Z');
}

static struct cel_value upper_ascii(struct cel_call *c, const struct cel_value *v)
{
	return in_case(c, v->s, 'a', 'z');
}

/* The length of the white space (Go's unicode.IsSpace) at p; 0: none. */
static size_t space_at(struct str s, size_t i)
{
	static const char *const wide[] = {"\xc2\x85", "\u00a0", "\u1680", "\u2000", "\u2001",
		"\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009",
		"\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

	if (s.p[i] && strchr(" \t\n\v\f\r", s.p[i]))
		return 1;
	if ((unsigned char)s.p[i] < 0xc0)
		return 0;
	for (size_t k = 0; k < ARRAY_SIZE(wide); k++)
		if (str_starts(str_sub(s, i, s.n), str_c(wide[k])))
			return strlen(wide[k]);
	return 0;
}

static struct cel_value trim(struct cel_call *c, const struct cel_value *v)
{
	struct str s = v->s;
	size_t from = 0, n, last;

	while (from < s.n && (n = space_at(s, from)) > 0)
		from += n;
	s = str_sub(s, from, s.n);
	while (s.n > 0) {
		for (last = s.n - 1; last > 0 && ((unsigned char)s.p[last] & 0xc0) == 0x80; last--)
			;
		if (space_at(s, last) != s.n - last)
			break;
		s.n = last;
	}
	return cel_string(s);
}

static struct cel_value substring_from(struct cel_call *c, const struct cel_value *v)
{
	struct str s = v[0].s;

	if (v[1].i < 0 || (uint64_t)v[1].i > cel_rune_count(s))
		return out_of_range(c, v[1].i);
	return cel_string(str_sub(s, cel_rune_offset(s, v[1].i), s.n));
}

static struct cel_value substring(struct cel_call *c, const struct cel_value *v)
{
	struct str s = v[0].s;
	int64_t n = cel_rune_count(s), from = v[1].i, to = v[2].i;

	if (from > to)
		return cel_error_fmt(c->a, "invalid substring range. start: %lld, end: %lld",
			(long long)from, (long long)to);
	if (from < 0 || from > n)
		return out_of_range(c, from);
	if (to > n)
		return out_of_range(c, to);
	return cel_string(str_sub(s, cel_rune_offset(s, from), cel_rune_offset(s, to)));
}

/* --- replace, split, join --- */

static size_t rune_len(struct str s, size_t at)
{
	return at < s.n ? cel_rune_offset(str_sub(s, at, s.n), 1) : 0;
}

static struct cel_value finished(struct cel_call *c, struct buf *b)
{
	struct cel_value v = buf_failed(b)
				     ? cel_error(S("string exceeds the limit of 16777216 bytes"))
				     : cel_string(arena_str(c->a, buf_str(b)));

	buf_release(b);
	return v.s.p || v.kind == CEL_ERROR ? v : cel_string(S(""));
}

/* At most n replacements; n < 0: all. An empty `old` stands before each character and at the end.
 */
static struct cel_value replace_n(struct cel_call *c, const struct cel_value *v, int64_t n)
{
	struct str s = v[0].s, old = v[1].s;
	size_t at = 0, len;
	ssize_t found;
	struct buf b;

	buf_init(&b, CEL_STRING_BYTES_MAX);
	while (n != 0 && at <= s.n) {
		found = str_find(str_sub(s, at, s.n), old);
		if (found < 0)
			break;
		buf_add(&b, s.p + at, found);
		buf_add_str(&b, v[2].s);
		at += found + old.n;
		n--;
		if (old.n > 0)
			continue;
		len = rune_len(s, at);
		buf_add(&b, s.p + at, len);
		at += len;
		if (len == 0) {
			at = s.n;
			break;
		}
	}
	buf_add(&b, s.p + at, s.n - at);
	return finished(c, &b);
}

static struct cel_value replace(struct cel_call *c, const struct cel_value *v)
{
	return replace_n(c, v, -1);
}

static struct cel_value replace_some(struct cel_call *c, const struct cel_value *v)
{
	return replace_n(c, v, v[3].i);
}

static struct cel_value split_n(struct cel_call *c, struct str s, struct str sep, int64_t n)
{
	struct cel_value list = cel_empty_list();
	ssize_t at;

	if (n == 0 || (sep.n == 0 && s.n == 0))
		return list;
	for (; n < 0 || n > 1; n -= n > 0) {
		at = sep.n ? str_find(s, sep) : (ssize_t)rune_len(s, 0);
		if (at < 0 || (sep.n == 0 && (size_t)at == s.n))
			break;
		list = cel_list_append(list, cel_string(str_sub(s, 0, at)), c->a);
		s = str_sub(s, at + sep.n, s.n);
	}
	return cel_list_append(list, cel_string(s), c->a);
}

static struct cel_value split(struct cel_call *c, const struct cel_value *v)
{
	return split_n(c, v[0].s, v[1].s, -1);
}

static struct cel_value split_some(struct cel_call *c, const struct cel_value *v)
{
	return split_n(c, v[0].s, v[1].s, v[2].i);
}

static struct cel_value join_with(struct cel_call *c, struct cel_value list, struct str sep)
{
	struct buf b;

	buf_init(&b, CEL_STRING_BYTES_MAX);
	for (size_t i = 0; i < cel_size(list); i++) {
		struct cel_value v = cel_list_at(list, i, c->a);

		if (v.kind != CEL_STRING) {
			buf_release(&b);
			return cel_error_fmt(
				c->a, "join: invalid input: " STR_FMT, STR_ARG(cel_show(v, c->a)));
		}
		if (i)
			buf_add_str(&b, sep);
		buf_add_str(&b, v.s);
	}
	return finished(c, &b);
}

static struct cel_value join(struct cel_call *c, const struct cel_value *v)
{
	return join_with(c, v[0], S(""));
}

static struct cel_value join_by(struct cel_call *c, const struct cel_value *v)
{
	return join_with(c, v[0], v[1].s);
}

static struct cel_value quote(struct cel_call *c, const struct cel_value *v)
{
	static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
	struct buf b;

	buf_init(&b, CEL_STRING_BYTES_MAX);
	buf_add_char(&b, '"');
	for (size_t i = 0; i < v->s.n; i++) {
		const char *at = v->s.p[i] ? strchr(from, v->s.p[i]) : NULL;

		if (at)
			buf_add_char(&b, '\\');
		buf_add_char(&b, at ? to[at - from] : v->s.p[i]);
	}
	buf_add_char(&b, '"');
	return finished(c, &b);
}

/* --- tables --- */

#define T(name) &cel_type_##name
#define METHOD(n_args_, result_, fn_, cost_, ...)                                                  \
	{                                                                                          \
		.args = {__VA_ARGS__}, .n_args = (n_args_), .member = true, .result = T(result_),  \
		.fn = (fn_), .cost = (cost_)                                                       \
	}

static const struct cel_overload char_at_overloads[] = {
	METHOD(2, string, char_at, CEL_COST_ONE, T(string), T(int))};
static const struct cel_overload lower_overloads[] = {
	METHOD(1, string, lower_ascii, CEL_COST_ARG0_TENTH, T(string))};
static const struct cel_overload upper_overloads[] = {
	METHOD(1, string, upper_ascii, CEL_COST_ARG0_TENTH, T(string))};
static const struct cel_overload trim_overloads[] = {
	METHOD(1, string, trim, CEL_COST_ARG0_TENTH, T(string))};
static const struct cel_overload replace_overloads[] = {
	METHOD(3, string, replace, CEL_COST_ARG0_FIFTH, T(string), T(string), T(string)),
	METHOD(4, string, replace_some, CEL_COST_ARG0_FIFTH, T(string), T(string), T(string),
		T(int))};
static const struct cel_overload split_overloads[] = {
	METHOD(2, list_string, split, CEL_COST_ARG0_FIFTH, T(string), T(string)),
	METHOD(3, list_string, split_some, CEL_COST_ARG0_FIFTH, T(string), T(string), T(int))};
static const struct cel_overload substring_overloads[] = {
	METHOD(2, string, substring_from, CEL_COST_ARG0_TENTH, T(string), T(int)),
	METHOD(3, string, substring, CEL_COST_ARG0_TENTH, T(string), T(int), T(int))};
static const struct cel_overload join_overloads[] = {
	METHOD(1, string, join, CEL_COST_RESULT_FIFTH, T(list_string)),
	METHOD(2, string, join_by, CEL_COST_RESULT_FIFTH, T(list_string), T(string))};
static const struct cel_overload format_overloads[] = {
	METHOD(2, string, cel_string_format, CEL_COST_ARG0_TENTH, T(string), T(list_dyn))};
static const struct cel_overload quote_overloads[] = {{.args = {T(string)},
	.n_args = 1,
	.result = T(string),
	.fn = quote,
	.cost = CEL_COST_ARG0_TENTH}};

static const struct cel_function functions[] = {
	{"charAt", CEL_OVERLOADS(char_at_overloads)},
	{"lowerAscii", CEL_OVERLOADS(lower_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"upperAscii", CEL_OVERLOADS(upper_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"trim", CEL_OVERLOADS(trim_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"replace", CEL_OVERLOADS(replace_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"split", CEL_OVERLOADS(split_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"substring", CEL_OVERLOADS(substring_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"join", CEL_OVERLOADS(join_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"format", CEL_OVERLOADS(format_overloads)},
	{"strings.quote", CEL_OVERLOADS(quote_overloads)},
};
const struct cel_library cel_lib_strings = {functions, ARRAY_SIZE(functions)};
