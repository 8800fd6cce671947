/* route.c: from request info to the function that answers: which paths and methods exist. */
#include "apiserver/consistent.h"
#include "apiserver/convert.h"
#include "apiserver/server.h"
#include "apiserver/subresource.h"

static int not_found(struct err *err)
{
	err_fmt(err, 404, "NotFound", "the server could not find the requested resource");
	err_details(err, S(""), S(""), S(""), S(""));
	return -ENOENT;
}

bool route_serves_group(struct str group)
{
	for (size_t i = 0; i < schema_n_resources; i++)
		if (str_eqc(group, schema_resources[i]->group))
			return true;
	return false;
}

static int not_allowed(struct err *err)
{
	err_fmt(err, 405, "MethodNotAllowed",
		"the server does not allow this method on the requested resource");
	err_details(err, S(""), S(""), S(""), S(""));
	return -EINVAL;
}

static const struct {
	const char *name;
	uint32_t verb;
} verbs[] = {
	{"get", VERB_GET},
	{"list", VERB_LIST},
	{"watch", VERB_WATCH},
	{"create", VERB_CREATE},
	{"update", VERB_UPDATE},
	{"patch", VERB_PATCH},
	{"delete", VERB_DELETE},
	{"deletecollection", VERB_DELETECOLLECTION},
};

static uint32_t verb_bit(struct str verb)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (str_eqc(verb, verbs[i].name))
			return verbs[i].verb;
	return 0;
}

static const struct schema_subresource *find_sub(const struct schema_resource *res, struct str name)
{
	for (size_t i = 0; i < res->n_subresources; i++)
		if (str_eqc(name, res->subresources[i].name))
			return &res->subresources[i];
	return NULL;
}

/* Whether the path is one that the resource has, whatever the method. */
static bool path_exists(const struct request *r, const struct schema_resource *res)
{
	const struct request_info *info = &r->info;
	size_t parts = info->parts.n;
	bool in_namespace = info->ns.n && res != &v1_namespace_resource;

	if (parts == 1)
		return res->namespaced || !in_namespace;
	if (res->namespaced != in_namespace)
		return false;
	if (parts == 2)
		return res->verbs & (VERB_GET | VERB_UPDATE | VERB_PATCH | VERB_DELETE);
	if (!r->sub || info->verb_in_path)
		return false;
	return parts == 3 || !strcmp(r->sub->name, "proxy");
}

/* What may be done there. */
static uint32_t allowed(const struct request *r, const struct schema_resource *res)
{
	if (r->sub)
		return r->sub->verbs;
	if (r->info.parts.n > 1)
		return res->verbs & (VERB_GET | VERB_UPDATE | VERB_PATCH | VERB_DELETE);
	if (res->namespaced && !r->info.ns.n)
		return res->verbs &
		       (VERB_LIST | VERB_WATCH | (res->verbs & VERB_LIST ? 0 : VERB_CREATE));
	return res->verbs & (VERB_LIST | VERB_WATCH | VERB_CREATE | VERB_DELETECOLLECTION);
}

static int check_watch(struct request *r, uint32_t may, struct err *err)
{
	if (!(may & (VERB_LIST | VERB_WATCH)))
		return r->info.verb_in_path ? not_found(err) : not_allowed(err);
	if (may & VERB_WATCH)
		return 0;
	if (r->info.verb_in_path)
		return not_found(err);
	err_fmt(err, 405, "MethodNotAllowed", "watch is not supported on resources of kind \"%s\"",
		r->res->plural);
	err_details(err, r->info.group, r->info.resource, S(""), S(""));
	return -EINVAL;
}

/* Whatever the server behind a proxy understands. */
static bool is_proxied(const struct request *r)
{
	static const char *const methods[] = {
		"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"};

	if (!r->sub || strcmp(r->sub->name, "proxy") != 0 || r->info.verb_in_path)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (str_eqc(r->method, methods[i]))
			return true;
	return false;
}

static int check_verb(struct request *r, struct err *err)
{
	uint32_t may = allowed(r, r->res), verb = verb_bit(r->info.verb);

	if (is_proxied(r))
		return 0;

	if (str_eqc(r->method, "HEAD"))
		return not_allowed(err);
	if (r->info.verb_in_path) {
		if (!str_eqc(r->info.verb, "watch"))
			return not_found(err);
		return str_eqc(r->method, "GET") ? check_watch(r, r->res->verbs, err)
						 : not_allowed(err);
	}
	if (verb == VERB_WATCH && r->info.parts.n == 1)
		return check_watch(r, may, err);
	if (r->sub && verb == VERB_DELETECOLLECTION)
		verb = VERB_DELETE;
	return verb & may ? 0 : not_allowed(err);
}

static void warn_deprecated(struct request *r)
{
	if (r->res == &v1_endpoints_resource)
		request_warn(r, "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 "
				"EndpointSlice");
	else if (!*r->res->group && !strcmp(r->res->plural, "componentstatuses"))
		request_warn(r, "v1 ComponentStatus is deprecated in v1.19+");
}

static int resolve(struct request *r, struct err *err)
{
	const struct request_info *info = &r->info;
	const struct schema_resource *res =
		schema_resource_find(info->group, info->version, info->resource);
	int ret;

	if (!res || !res->verbs || !convert_exists(res, res->storage_resource))
		return not_found(err);
	r->res = res;
	r->storage = res->storage_resource;
	r->strategy = strategy_find(r->storage);
	if (info->parts.n > 2)
		r->sub = find_sub(res, info->parts.v[2]);
	if (!path_exists(r, res))
		return not_found(err);
	ret = check_verb(r, err);
	if (ret < 0)
		return ret;
	return is_proxied(r) ? 0 : negotiate_route(r, err);
}

static void fill_ctx(struct request *r)
{
	r->ctx = (struct strategy_ctx){
		.server = r->s,
		.arena = r->arena,
		.store = r->s->store,
		.resource = r->storage,
		.addressed = r->res,
		.subresource = r->sub ? str_c(r->sub->name) : S(""),
		.user = &r->user,
		.outside = &r->outside,
		.ns = r->res->namespaced ? r->info.ns : S(""),
		.name = r->info.parts.n > 1 ? r->info.name : S(""),
		.now_ns = r->now_ns,
		.warnings = &r->warnings,
	};
}

static const struct {
	const char *verb;
	void (*fn)(struct request *r);
} handlers[] = {
	{"get", handle_get},
	{"list", handle_list},
	{"watch", handle_watch},
	{"create", handle_create},
	{"update", handle_update},
	{"patch", handle_patch},
	{"delete", handle_delete},
	{"deletecollection", handle_delete_collection},
};

static void dispatch(struct request *r)
{
	struct str verb = r->info.verb;

	/* GET of one object with ?watch=1 is a get: the parameter counts for collections only */
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		if (str_eqc(verb, handlers[i].verb)) {
			handlers[i].fn(r);
			return;
		}
	}
	assert(!"check_verb let an unknown verb through");
}

static void go_on(struct request *r)
{
	if (handle_virtual(r) || (r->sub && handle_subresource(r)))
		return;
	dispatch(r);
}

void route(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};

	if (!r->info.is_resource) {
		handle_non_resource(r);
		return;
	}
	if (resolve(r, &err) < 0) {
		if (r->res || route_serves_group(r->info.group))
			respond_error(r, &err);
		else
			respond_no_page(r);
		return;
	}
	warn_deprecated(r);
	fill_ctx(r);
	if (!consistent_wait(r, go_on))
		go_on(r);
}
