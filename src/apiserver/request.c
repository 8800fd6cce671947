#include "apiserver/request.h"

static const struct {
	const char *method, *verb;
} verbs[] = {
	{"POST", "create"},
	{"GET", "get"},
	{"HEAD", "get"},
	{"PUT", "update"},
	{"PATCH", "patch"},
	{"DELETE", "delete"},
};

static struct str verb_of(struct str method)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (str_eqc(method, verbs[i].method))
			return str_c(verbs[i].verb);
	return S("");
}

static struct str lower(struct arena *a, struct str s)
{
	char *p = arena_cstr(a, s);

	for (size_t i = 0; i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] | 0x20);
	return str_n(p, s.n);
}

static struct str trim_slashes(struct str s)
{
	while (s.n && s.p[0] == '/')
		s = str_sub(s, 1, s.n);
	while (s.n && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

static struct str_vec split(struct arena *a, struct str path)
{
	struct str_vec parts = {0};
	struct str part;
	bool more;

	path = trim_slashes(path);
	if (!path.n)
		return parts;
	do {
		more = str_cut(path, '/', &part, &path);
		ARENA_PUSH(a, &parts, part);
	} while (more);
	return parts;
}

static void skip(struct str_vec *parts, size_t n)
{
	parts->v += n;
	parts->n -= n;
}

/* One term `metadata.name=x` or `metadata.name==x`, whatever else stands beside it. Escapes are
 * undone by the real parser; a name holds none. */
struct str request_selector_name(struct str selector)
{
	struct str term, key, value;

	while (selector.n) {
		str_cut(selector, ',', &term, &selector);
		if (!str_cut(term, '=', &key, &value) || !str_eqc(key, "metadata.name"))
			continue;
		if (value.n && value.p[0] == '=')
			value = str_sub(value, 1, value.n);
		return value;
	}
	return (struct str){0};
}

/* A name that may stand in a path: not "." or "..", without '/' and '%'. */
static bool is_path_segment(struct str s)
{
	return s.n && !str_eqc(s, ".") && !str_eqc(s, "..") && str_chr(s, '/') < 0 &&
	       str_chr(s, '%') < 0;
}

/* get without a name is list or watch, delete without one deletecollection. */
static void verb_of_collection(const struct query *query, struct request_info *ret)
{
	struct str name;

	if (ret->name.n)
		return;
	if (str_eqc(ret->verb, "get")) {
		ret->verb = query_bool(query, "watch") ? S("watch") : S("list");
		name = request_selector_name(query_get(query, "fieldSelector"));
		if (is_path_segment(name))
			ret->name = name;
	} else if (str_eqc(ret->verb, "delete")) {
		ret->verb = S("deletecollection");
	}
}

static bool is_namespace_subresource(struct str s)
{
	return str_eqc(s, "status") || str_eqc(s, "finalize");
}

/* What stands behind the version. */
static void parse_resource(
	const struct query *query, struct str_vec parts, struct request_info *ret)
{
	if (str_eqc(parts.v[0], "namespaces") && parts.n > 1) {
		ret->ns = parts.v[1];
		if (parts.n > 2 && !is_namespace_subresource(parts.v[2]))
			skip(&parts, 2);
	}
	ret->parts = parts;
	ret->resource = parts.v[0];
	if (parts.n >= 2)
		ret->name = parts.v[1];
	if (parts.n >= 3 && !str_eqc(ret->verb, "proxy"))
		ret->subresource = parts.v[2];
	verb_of_collection(query, ret);
	if (!ret->verb_in_path && (str_eqc(ret->verb, "list") || str_eqc(ret->verb, "watch") ||
					  str_eqc(ret->verb, "deletecollection"))) {
		ret->field_selector = query_get(query, "fieldSelector");
		ret->label_selector = query_get(query, "labelSelector");
	}
}

int request_info_parse(struct arena *a, struct str method, struct str path,
	const struct query *query, struct request_info *ret, struct err *err)
{
	struct str_vec parts = split(a, path);

	*ret = (struct request_info){.path = path, .verb = lower(a, method)};
	if (parts.n < 3 || (!str_eqc(parts.v[0], "api") && !str_eqc(parts.v[0], "apis")))
		return 0;
	ret->api_prefix = parts.v[0];
	skip(&parts, 1);
	if (str_eqc(ret->api_prefix, "apis")) {
		if (parts.n < 3)
			return 0;
		ret->group = parts.v[0];
		skip(&parts, 1);
	}
	ret->is_resource = true;
	ret->version = parts.v[0];
	skip(&parts, 1);
	if (str_eqc(parts.v[0], "watch") || str_eqc(parts.v[0], "proxy")) {
		if (parts.n < 2)
			return err_fmt(err, 500, "",
				"unable to determine kind and namespace from url, " STR_FMT,
				STR_ARG(path));
		ret->verb = parts.v[0];
		ret->verb_in_path = true;
		skip(&parts, 1);
	} else {
		ret->verb = verb_of(method);
	}
	parse_resource(query, parts, ret);
	return 0;
}

int request_info_from(struct http_exchange *x, struct request_info *ret, struct err *err)
{
	struct query query;

	query_parse(&x->arena, x->query, &query);
	return request_info_parse(&x->arena, x->method, x->path, &query, ret, err);
}
