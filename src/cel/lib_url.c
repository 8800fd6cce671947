/* lib_url.c: Kubernetes' URL library. */
#include "cel/url.h"

#include <ctype.h>

static const struct cel_url *url(struct cel_value v)
{
	return v.ref.p;
}

bool cel_url_equal(struct cel_value x, struct cel_value y)
{
	return str_eq(url(x)->text, url(y)->text);
}

static struct cel_value string(struct str s)
{
	return cel_string(s.p ? s : S(""));
}

static struct cel_value parse(struct cel_call *c, const struct cel_value *v)
{
	struct cel_url *u = ARENA_NEW(c->a, struct cel_url);
	struct str error;

	if (!cel_url_parse(v->s, c->a, u, &error))
		return cel_error_fmt(c->a,
			"URL parse error during conversion from string: " STR_FMT, STR_ARG(error));
	return cel_opaque(&cel_type_url, u);
}

static struct cel_value is_url(struct cel_call *c, const struct cel_value *v)
{
	struct cel_url u;
	struct str error;

	return cel_bool(cel_url_parse(v->s, c->a, &u, &error));
}

static struct cel_value scheme(struct cel_call *c, const struct cel_value *v)
{
	return string(url(*v)->scheme);
}

static struct cel_value host(struct cel_call *c, const struct cel_value *v)
{
	return string(url(*v)->host);
}

/* Where the port's colon is; the end when there is none. */
static size_t port_at(struct str s)
{
	ssize_t colon = str_rchr(s, ':');

	if (colon < 0 || (s.p[0] == '[' && str_rchr(s, ']') > colon))
		return s.n;
	return colon;
}

static struct cel_value hostname(struct cel_call *c, const struct cel_value *v)
{
	struct str s = url(*v)->host;

	s = str_sub(s, 0, port_at(s));
	if (s.n > 1 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		s = str_sub(s, 1, s.n - 1);
	return string(s);
}

static struct cel_value port(struct cel_call *c, const struct cel_value *v)
{
	struct str s = url(*v)->host;
	size_t at = port_at(s);

	return string(at < s.n ? str_sub(s, at + 1, s.n) : S(""));
}

/* What a path may hold unescaped. */
static bool plain(char ch)
{
	return isalnum((unsigned char)ch) || (ch && strchr("-_.~$&+,/:;=@", ch));
}

/* The path as given where it is validly escaped, else escaped anew. */
static struct cel_value escaped_path(struct cel_call *c, const struct cel_value *v)
{
	struct str path = url(*v)->path, raw = path, bad;
	bool valid = true;
	struct buf b;
	struct cel_value result;

	for (size_t i = 0; i < path.n; i++)
		valid &= plain(path.p[i]) || (path.p[i] && strchr("!'()*[]%", path.p[i]));
	if (valid || !cel_url_unescape(path, false, c->a, &raw, &bad))
		return string(path);
	buf_init(&b, raw.n * 3 + 1);
	for (size_t i = 0; i < raw.n; i++) {
		if (plain(raw.p[i]))
			buf_add_char(&b, raw.p[i]);
		else
			buf_fmt(&b, "%%%02X", (unsigned char)raw.p[i]);
	}
	result = string(arena_str(c->a, buf_str(&b)));
	buf_release(&b);
	return result;
}

static struct cel_value query(struct cel_call *c, const struct cel_value *v)
{
	struct cel_value map = cel_empty_map(), list, k;
	struct str rest = url(*v)->query, pair, key, value, bad;
	bool more = rest.n > 0;

	while (more) {
		more = str_cut(rest, '&', &pair, &rest);
		if (pair.n == 0 || str_chr(pair, ';') >= 0)
			continue;
		str_cut(pair, '=', &key, &value);
		if (!cel_url_unescape(key, true, c->a, &key, &bad) ||
			!cel_url_unescape(value, true, c->a, &value, &bad))
			continue;
		k = string(key);
		list = cel_empty_list();
		cel_map_find(map, k, c->a, &list);
		map = cel_map_put(map, k, cel_list_append(list, string(value), c->a), c->a);
	}
	return map;
}

#define T(name) &cel_type_##name
#define FUNCTION(result_, fn_)                                                                     \
	{                                                                                          \
		{                                                                                  \
			.args = {T(string)}, .n_args = 1, .result = T(result_), .fn = (fn_),       \
			.cost = CEL_COST_ARG0_TENTH                                                \
		}                                                                                  \
	}
#define ACCESSOR(result_, fn_)                                                                     \
	{                                                                                          \
		{                                                                                  \
			.args = {T(url)}, .n_args = 1, .member = true, .result = T(result_),       \
			.fn = (fn_)                                                                \
		}                                                                                  \
	}

static const struct cel_overload url_overloads[] = FUNCTION(url, parse);
static const struct cel_overload scheme_overloads[] = ACCESSOR(string, scheme);
static const struct cel_overload host_overloads[] = ACCESSOR(string, host);
static const struct cel_overload hostname_overloads[] = ACCESSOR(string, hostname);
static const struct cel_overload port_overloads[] = ACCESSOR(string, port);
static const struct cel_overload path_overloads[] = ACCESSOR(string, escaped_path);
static const struct cel_overload query_overloads[] = ACCESSOR(map_string_list_string, query);
static const struct cel_overload is_url_overloads[] = {
	{.args = {T(string)}, .n_args = 1, .result = T(boolean), .fn = is_url}};

static const struct cel_function functions[] = {
	{"url", CEL_OVERLOADS(url_overloads), .flags = CEL_FN_COST_BY_NAME},
	{"isURL", CEL_OVERLOADS(is_url_overloads)},
	{"getScheme", CEL_OVERLOADS(scheme_overloads)},
	{"getHost", CEL_OVERLOADS(host_overloads)},
	{"getHostname", CEL_OVERLOADS(hostname_overloads)},
	{"getPort", CEL_OVERLOADS(port_overloads)},
	{"getEscapedPath", CEL_OVERLOADS(path_overloads)},
	{"getQuery", CEL_OVERLOADS(query_overloads)},
};
const struct cel_library cel_lib_url = {functions, ARRAY_SIZE(functions)};
