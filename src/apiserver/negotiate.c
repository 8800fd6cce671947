#include "apiserver/negotiate.h"

#include <stdio.h>

#include "apiserver/server.h"

#define JSON "application/json"
#define YAML "application/yaml"
#define PROTO "application/vnd.kubernetes.protobuf"

static const char *const produces_one[] = {JSON, YAML, PROTO, NULL};
static const char *const produces_list[] = {
	JSON, YAML, PROTO, JSON ";stream=watch", PROTO ";stream=watch", NULL};
static const char *const produces_log[] = {"text/plain", JSON, YAML, PROTO, NULL};
static const char *const patch_types[] = {"application/json-patch+json",
	"application/merge-patch+json", "application/strategic-merge-patch+json",
	"application/apply-patch+yaml", NULL};

/* --- the Accept header --- */

static void parse_param(struct str text, struct accept_clause *c)
{
	struct str key, value;
	char number[32];

	if (!str_cut(text, '=', &key, &value))
		return;
	key = str_trim(key);
	value = str_trim(value);
	if (str_eqc(key, "q")) {
		snprintf(number, sizeof(number), STR_FMT, STR_ARG(value));
		c->q = strtod(number, NULL);
	} else if (c->n_params < ARRAY_SIZE(c->params)) {
		c->params[c->n_params++] = (struct str_pair){key, value};
	}
}

/* Negative: a comes first. */
static int clause_cmp(const struct accept_clause *a, const struct accept_clause *b)
{
	if (a->q != b->q)
		return a->q > b->q ? -1 : 1;
	if (str_eqc(a->type, "*") != str_eqc(b->type, "*"))
		return str_eqc(b->type, "*") ? -1 : 1;
	if (str_eqc(a->subtype, "*") != str_eqc(b->subtype, "*"))
		return str_eqc(b->subtype, "*") ? -1 : 1;
	return 0;
}

void accept_parse(struct arena *a, struct str header, struct accept *ret)
{
	struct str part, range, params, param;

	*ret = (struct accept){0};
	while (header.n && ret->n < 64) {
		struct accept_clause c = {.q = 1};
		size_t at;

		str_cut(header, ',', &part, &header);
		str_cut(part, ';', &range, &params);
		if (!str_cut(range, '/', &c.type, &c.subtype)) {
			if (!str_eqc(str_trim(c.type), "*"))
				continue;
			c.subtype = S("*");
		}
		c.type = str_trim(c.type);
		c.subtype = str_trim(c.subtype);
		while (params.n) {
			str_cut(params, ';', &param, &params);
			parse_param(param, &c);
		}
		ARENA_PUSH(a, ret, c);
		for (at = ret->n - 1; at > 0 && clause_cmp(&c, &ret->v[at - 1]) < 0; at--)
			ret->v[at] = ret->v[at - 1];
		ret->v[at] = c;
	}
}

struct str accept_param(const struct accept_clause *c, const char *name)
{
	for (size_t i = 0; i < c->n_params; i++)
		if (str_eqc(c->params[i].key, name))
			return c->params[i].value;
	return (struct str){0};
}

bool accept_matches(const struct accept_clause *c, const char *type, const char *subtype)
{
	if (str_eqc(c->type, "*"))
		return str_eqc(c->subtype, "*");
	return str_eqc(c->type, type) && (str_eqc(c->subtype, subtype) || str_eqc(c->subtype, "*"));
}

static bool listed(const char *const *types, struct str s)
{
	for (; *types; types++)
		if (str_eqc(s, *types) || !strcmp(*types, "*/*"))
			return true;
	return false;
}

bool accept_route_matches(struct str header, const char *const *produces)
{
	struct str range, rest;

	if (!header.n)
		return true;
	do {
		str_cut(header, ',', &range, &header);
		str_cut(range, ';', &range, &rest);
		range = str_trim(range);
		if (str_eqc(range, "*/*") || listed(produces, range))
			return true;
	} while (header.n);
	return false;
}

/* --- what a clause asks for --- */

/* Whether the transformation of the clause exists. */
static bool read_transform(const struct accept_clause *c, bool transforms, struct media *m)
{
	static const struct {
		const char *name;
		enum media_as as;
	} kinds[] = {{"Table", AS_TABLE}, {"PartialObjectMetadata", AS_PARTIAL},
		{"PartialObjectMetadataList", AS_PARTIAL_LIST}};
	struct str as = accept_param(c, "as"), group = accept_param(c, "g"),
		   version = accept_param(c, "v");

	if (!as.p && !group.p && !version.p)
		return true;
	if (!transforms || !str_eqc(group, "meta.k8s.io"))
		return false;
	m->v1beta1 = str_eqc(version, "v1beta1");
	if (!m->v1beta1 && !str_eqc(version, "v1"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (str_eqc(as, kinds[i].name)) {
			m->as = kinds[i].as;
			return true;
		}
	}
	return false;
}

static bool read_clause(
	const struct accept_clause *c, enum media_type type, bool transforms, struct media *ret)
{
	struct media m = {.type = type};
	struct str stream = accept_param(c, "stream"), server = accept_param(c, "sv");

	if (stream.n && (type == MEDIA_YAML || !str_eqc(stream, "watch")))
		return false;
	if (server.n && !(transforms && str_eqc(server, "v1")))
		return false;
	if (!read_transform(c, transforms, &m))
		return false;
	if (type == MEDIA_PROTO && m.as == AS_TABLE)
		return false; /* a Table's cells have no form there */
	m.pretty = str_eqc(accept_param(c, "pretty"), "1");
	*ret = m;
	return true;
}

/* Questions (reviews, bindings) are answered as they are: upstream's have no table of columns. */
static bool has_table(const struct request *r)
{
	const struct schema_resource *res = r->res;

	return !res || (strcmp(res->group, "authentication.k8s.io") != 0 &&
			       strcmp(res->group, "authorization.k8s.io") != 0 &&
			       strcmp(res->plural, "bindings") != 0);
}

static bool accepts(const struct request *r, const struct accept_clause *c, const char *subtype,
	enum media_type type, bool transforms, struct media *ret)
{
	return accept_matches(c, "application", subtype) && read_clause(c, type, transforms, ret) &&
	       (ret->as != AS_TABLE || has_table(r));
}

static bool negotiate(struct request *r, bool transforms, struct media *ret)
{
	struct accept accept;

	if (!r->accept.n) {
		*ret = (struct media){0};
		return true;
	}
	accept_parse(r->arena, r->accept, &accept);
	for (size_t i = 0; i < accept.n; i++) {
		const struct accept_clause *c = &accept.v[i];

		if (accepts(r, c, "json", MEDIA_JSON, transforms, ret) ||
			accepts(r, c, "yaml", MEDIA_YAML, transforms, ret) ||
			accepts(r, c, "vnd.kubernetes.protobuf", MEDIA_PROTO, transforms, ret))
			return true;
	}
	return false;
}

/* As Go's strconv.ParseBool; anything else is false. */
static bool parse_bool(struct str s)
{
	return str_eqc(s, "1") || str_eqc(s, "t") || str_eqc(s, "T") || str_eqc(s, "true") ||
	       str_eqc(s, "TRUE") || str_eqc(s, "True");
}

static bool wants_pretty(struct request *r)
{
	struct str pretty = query_get(&r->query, "pretty");

	if (pretty.n)
		return parse_bool(pretty);
	return str_starts(r->user_agent, S("curl")) || str_starts(r->user_agent, S("Wget")) ||
	       str_starts(r->user_agent, S("Mozilla/5.0"));
}

bool negotiate_error(struct request *r, struct media *ret)
{
	if (!negotiate(r, false, ret))
		return false;
	ret->pretty = ret->pretty || wants_pretty(r);
	return true;
}

int negotiate_output(struct request *r, struct err *err)
{
	if (!negotiate(r, true, &r->out))
		return err_fmt(err, 406, "NotAcceptable",
			"only the following media types are accepted: " JSON ", " YAML ", " PROTO);
	r->out.pretty = r->out.pretty || wants_pretty(r);
	return 0;
}

int negotiate_stream(struct request *r, struct err *err)
{
	if (r->out.type == MEDIA_YAML)
		return err_fmt(err, 406, "NotAcceptable",
			"only the following media types are accepted: " JSON ";stream=watch, " PROTO
			";stream=watch");
	return 0;
}

/* --- the router's look --- */

static struct str join(struct arena *a, const char *const *types)
{
	struct str s = str_c(*types);

	while (*++types)
		s = arena_fmt(a, STR_FMT ", %s", STR_ARG(s), *types);
	return s;
}

static bool is_patch_type(struct str content_type)
{
	struct str type, rest;

	while (content_type.n) {
		str_cut(content_type, ',', &type, &content_type);
		str_cut(type, ';', &type, &rest);
		if (listed(patch_types, str_trim(type)))
			return true;
	}
	return false;
}

int negotiate_route(struct request *r, struct err *err)
{
	bool collection = str_eqc(r->info.verb, "list") || str_eqc(r->info.verb, "watch");
	const char *const *produces = collection ? produces_list : produces_one;

	if (r->sub && !strcmp(r->sub->name, "log"))
		produces = produces_log;
	if (str_eqc(r->info.verb, "patch") && !is_patch_type(r->content_type)) {
		err_fmt(err, 415, "UnsupportedMediaType", "415: Unsupported Media Type");
		err_details(err, S(""), S(""), S(""), S(""));
		return -EINVAL;
	}
	if (!accept_route_matches(r->accept, produces)) {
		err_fmt(err, 406, "NotAcceptable",
			"406: Not Acceptable\n\nAvailable representations: " STR_FMT,
			STR_ARG(join(r->arena, produces)));
		err_details(err, S(""), S(""), S(""), S(""));
		return -EINVAL;
	}
	return 0;
}

static int refuse_input(struct err *err)
{
	return err_fmt(err, 415, "UnsupportedMediaType",
		"the body of the request was in an unknown format - accepted media types "
		"include: " JSON ", " YAML ", " PROTO);
}

/* Whether every parameter of a media type has a value, which Go insists on: ";strict" has none. */
static bool params_valid(struct str params)
{
	struct str param;

	while (params.n) {
		str_cut(params, ';', &param, &params);
		if (str_trim(param).n && str_find(param, S("=")) < 0)
			return false;
	}
	return true;
}

int negotiate_input(struct request *r, enum body_form *ret, struct err *err)
{
	struct str type, rest;

	str_cut(r->content_type, ';', &type, &rest);
	type = str_trim(type);
	if (!params_valid(rest))
		return refuse_input(err);
	if (!type.n || str_ieq(type, S(JSON)))
		*ret = BODY_JSON;
	else if (str_ieq(type, S(YAML)))
		*ret = BODY_YAML;
	else if (str_ieq(type, S(PROTO)))
		*ret = BODY_PROTO;
	else
		return refuse_input(err);
	return 0;
}
