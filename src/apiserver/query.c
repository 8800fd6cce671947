#include "apiserver/query.h"

#include "apiserver/field.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* False when an escape is broken. */
static bool unescape(struct arena *a, struct str s, struct str *ret)
{
	char *p;
	size_t n = 0;

	if (str_chr(s, '%') < 0 && str_chr(s, '+') < 0) {
		*ret = s.p ? s : S("");
		return true;
	}
	p = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%') {
			p[n++] = s.p[i] == '+' ? ' ' : s.p[i];
			continue;
		}
		if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
			return false;
		p[n++] = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
		i += 2;
	}
	*ret = str_n(p, n);
	return true;
}

void query_parse(struct arena *a, struct str raw, struct query *ret)
{
	struct str pair, key, value;

	*ret = (struct query){0};
	while (raw.n && ret->n < QUERY_PAIRS_MAX) {
		str_cut(raw, '&', &pair, &raw);
		if (!pair.n || str_chr(pair, ';') >= 0)
			continue;
		str_cut(pair, '=', &key, &value);
		if (unescape(a, key, &key) && unescape(a, value, &value))
			ARENA_PUSH(a, ret, ((struct str_pair){key, value}));
	}
}

struct str query_get(const struct query *q, const char *name)
{
	for (size_t i = 0; i < q->n; i++)
		if (str_eqc(q->v[i].key, name))
			return q->v[i].value;
	return (struct str){0};
}

bool query_has(const struct query *q, const char *name)
{
	return query_get(q, name).p != NULL;
}

struct str_vec query_all(const struct query *q, struct arena *a, const char *name)
{
	struct str_vec all = {0};

	for (size_t i = 0; i < q->n; i++)
		if (str_eqc(q->v[i].key, name))
			ARENA_PUSH(a, &all, q->v[i].value);
	return all;
}

bool query_bool(const struct query *q, const char *name)
{
	struct str v = query_get(q, name);

	return v.p && !str_ieq(v, S("false")) && !str_eqc(v, "0");
}

/* --- durations --- */

static size_t skip_digits(struct str s, size_t at)
{
	while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9')
		at++;
	return at;
}

static bool is_unit(struct str s)
{
	static const char *const units[] = {
		"ns", "us", "\xc2\xb5s", "\xce\xbcs", "ms", "s", "m", "h"};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (str_eqc(s, units[i]))
			return true;
	return false;
}

struct str query_duration_problem(struct arena *a, struct str text)
{
	struct str quoted = go_quote(a, text), s = text;

	if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
		s = str_sub(s, 1, s.n);
	if (str_eqc(s, "0"))
		return S("");
	do {
		size_t whole = skip_digits(s, 0), at = whole, from, digits;

		if (at < s.n && s.p[at] == '.')
			at = skip_digits(s, at + 1);
		digits = at - (at > whole);
		if (!digits)
			return arena_fmt(a, "time: invalid duration " STR_FMT, STR_ARG(quoted));
		for (from = at; at < s.n && s.p[at] != '.' && (s.p[at] < '0' || s.p[at] > '9');)
			at++;
		if (at == from)
			return arena_fmt(
				a, "time: missing unit in duration " STR_FMT, STR_ARG(quoted));
		if (!is_unit(str_sub(s, from, at)))
			return arena_fmt(a, "time: unknown unit " STR_FMT " in duration " STR_FMT,
				STR_ARG(go_quote(a, str_sub(s, from, at))), STR_ARG(quoted));
		s = str_sub(s, at, s.n);
	} while (s.n);
	return S("");
}
