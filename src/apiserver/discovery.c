#include "apiserver/discovery.h"

#include <openssl/sha.h>

#include "apiserver/convert.h"
#include "apiserver/negotiate.h"
#include "apiserver/server.h"
#include "base/base64.h"
#include "json/write.h"

#define AGGREGATED "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

enum { DOCUMENT_MAX = 16 * 1024 * 1024 };

struct document {
	struct str path; /* "/apis/apps/v1" */
	struct str json;
	struct str aggregated; /* of /api and /apis; else empty */
	struct str etag;
};

struct discovery {
	struct arena arena;
	struct document *v;
	size_t n;
};

/* The order of /apis: as the API server installs them. A group that is not named here comes last.
 */
static const char *const group_order[] = {"apiregistration.k8s.io", "apps", "events.k8s.io",
	"authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
	"certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io",
	"storage.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io",
	"scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io",
	"resource.k8s.io", "flowcontrol.apiserver.k8s.io", "metrics.k8s.io"};

static const struct {
	uint32_t verb;
	const char *name;
} verbs[] = {
	{VERB_CREATE, "create"},
	{VERB_DELETE, "delete"},
	{VERB_DELETECOLLECTION, "deletecollection"},
	{VERB_GET, "get"},
	{VERB_LIST, "list"},
	{VERB_PATCH, "patch"},
	{VERB_UPDATE, "update"},
	{VERB_WATCH, "watch"},
};

/* --- which groups and versions there are --- */

static bool is_served(const struct schema_resource *res)
{
	return res->verbs && convert_exists(res, res->storage_resource);
}

static bool has_version(const char *group, const char *version)
{
	for (size_t i = 0; i < schema_n_resources; i++)
		if (!strcmp(schema_resources[i]->group, group) && is_served(schema_resources[i]) &&
			!strcmp(schema_resources[i]->version, version))
			return true;
	return false;
}

/* The newest first: v2 before v1. */
static struct str_vec versions_of(struct arena *a, const char *group)
{
	static const char *const known[] = {"v3", "v2", "v1", "v1beta1"};
	struct str_vec v = {0};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (has_version(group, known[i]))
			ARENA_PUSH(a, &v, str_c(known[i]));
	return v;
}

/* --- pieces --- */

static void write_verbs(struct buf *out, uint32_t set)
{
	const char *comma = "";

	buf_add_c(out, "\"verbs\":[");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!(set & verbs[i].verb))
			continue;
		buf_fmt(out, "%s\"%s\"", comma, verbs[i].name);
		comma = ",";
	}
	buf_add_char(out, ']');
}

static void write_names(struct buf *out, const char *field, const char *const *names)
{
	if (!names || !*names)
		return;
	buf_fmt(out, ",\"%s\":[", field);
	for (size_t i = 0; names[i]; i++)
		buf_fmt(out, "%s\"%s\"", i ? "," : "", names[i]);
	buf_add_char(out, ']');
}

/* Upstream's StorageVersionHash: the first eight bytes of SHA-256 over "group/version/kind". */
static void write_hash(struct buf *out, const struct schema_resource *res)
{
	const struct schema_resource *st = res->storage_resource;
	struct arena a = {0};
	struct str key = arena_fmt(&a, "%s/%s/%s", st->group, st->version, st->kind);
	unsigned char sum[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)key.p, key.n, sum);
	arena_release(&a);
	buf_add_c(out, ",\"storageVersionHash\":\"");
	base64_encode(str_n((char *)sum, 8), out);
	buf_add_char(out, '"');
}

/* --- /api/v1, /apis/<group>/<version> --- */

static void write_resource(struct buf *out, const struct schema_resource *res)
{
	buf_fmt(out, "{\"name\":\"%s\",\"singularName\":\"%s\",\"namespaced\":%s,\"kind\":\"%s\",",
		res->plural, res->singular, res->namespaced ? "true" : "false", res->kind);
	write_verbs(out, res->verbs);
	write_names(out, "shortNames", res->short_names);
	write_names(out, "categories", res->categories);
	if (res->verbs & VERB_UPDATE)
		write_hash(out, res);
	buf_add_char(out, '}');
}

static void write_subresource(
	struct buf *out, const struct schema_resource *res, const struct schema_subresource *sub)
{
	buf_fmt(out, ",{\"name\":\"%s/%s\",\"singularName\":\"\",\"namespaced\":%s,", res->plural,
		sub->name, res->namespaced ? "true" : "false");
	if (sub->version && strcmp(sub->group ? sub->group : "", res->group))
		buf_fmt(out, "\"group\":\"%s\",\"version\":\"%s\",", sub->group, sub->version);
	buf_fmt(out, "\"kind\":\"%s\",", sub->kind ? sub->kind : res->kind);
	write_verbs(out, sub->verbs);
	buf_add_char(out, '}');
}

static void write_resources(struct buf *out, const char *group, const char *version)
{
	const char *comma = "";

	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];

		if (strcmp(res->group, group) || strcmp(res->version, version) || !is_served(res))
			continue;
		buf_add_c(out, comma);
		write_resource(out, res);
		for (size_t k = 0; k < res->n_subresources; k++)
			write_subresource(out, res, &res->subresources[k]);
		comma = ",";
	}
}

/* --- aggregated --- */

static void write_response_kind(
	struct buf *out, const char *group, const char *version, const char *kind)
{
	buf_fmt(out, "\"responseKind\":{\"group\":\"%s\",\"version\":\"%s\",\"kind\":\"%s\"}",
		group, version, kind);
}

static void write_aggregated_subs(struct buf *out, const struct schema_resource *res)
{
	if (!res->n_subresources)
		return;
	buf_add_c(out, ",\"subresources\":[");
	for (size_t i = 0; i < res->n_subresources; i++) {
		const struct schema_subresource *sub = &res->subresources[i];
		bool other = sub->version && strcmp(sub->group ? sub->group : "", res->group);

		buf_fmt(out, "%s{\"subresource\":\"%s\",", i ? "," : "", sub->name);
		write_response_kind(out, other ? sub->group : "", other ? sub->version : "",
			sub->kind ? sub->kind : res->kind);
		buf_add_char(out, ',');
		write_verbs(out, sub->verbs);
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
}

static void write_aggregated_resource(struct buf *out, const struct schema_resource *res)
{
	buf_fmt(out, "{\"resource\":\"%s\",", res->plural);
	write_response_kind(out, "", "", res->kind);
	buf_fmt(out, ",\"scope\":\"%s\",\"singularResource\":\"%s\",",
		res->namespaced ? "Namespaced" : "Cluster", res->singular);
	write_verbs(out, res->verbs);
	write_names(out, "shortNames", res->short_names);
	write_names(out, "categories", res->categories);
	write_aggregated_subs(out, res);
	buf_add_char(out, '}');
}

static void write_aggregated_version(struct buf *out, const char *group, struct str version)
{
	const char *comma = "";

	buf_fmt(out, "{\"version\":\"" STR_FMT "\",\"resources\":[", STR_ARG(version));
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];

		if (strcmp(res->group, group) || !str_eqc(version, res->version) || !is_served(res))
			continue;
		buf_add_c(out, comma);
		write_aggregated_resource(out, res);
		comma = ",";
	}
	buf_add_c(out, "],\"freshness\":\"Current\"}");
}

static void write_aggregated_group(struct buf *out, struct arena *a, const char *group)
{
	struct str_vec versions = versions_of(a, group);

	if (*group)
		buf_fmt(out, "{\"metadata\":{\"name\":\"%s\"},\"versions\":[", group);
	else
		buf_add_c(out, "{\"metadata\":{},\"versions\":[");
	for (size_t i = 0; i < versions.n; i++) {
		if (i)
			buf_add_char(out, ',');
		write_aggregated_version(out, group, versions.v[i]);
	}
	buf_add_c(out, "]}");
}

/* --- groups --- */

static void write_group(struct buf *out, struct arena *a, const char *group)
{
	struct str_vec v = versions_of(a, group);

	buf_fmt(out, "\"name\":\"%s\",\"versions\":[", group);
	for (size_t i = 0; i < v.n; i++)
		buf_fmt(out, "%s{\"groupVersion\":\"%s/" STR_FMT "\",\"version\":\"" STR_FMT "\"}",
			i ? "," : "", group, STR_ARG(v.v[i]), STR_ARG(v.v[i]));
	buf_fmt(out,
		"],\"preferredVersion\":{\"groupVersion\":\"%s/" STR_FMT "\",\"version\":\"" STR_FMT
		"\"}}",
		group, STR_ARG(v.v[0]), STR_ARG(v.v[0]));
}

static struct document *add(struct discovery *d, struct str path, struct buf *json)
{
	struct document doc = {
		.path = arena_str(&d->arena, path), .json = arena_str(&d->arena, buf_str(json))};

	buf_reset(json);
	ARENA_PUSH(&d->arena, d, doc);
	return &d->v[d->n - 1];
}

static void set_aggregated(struct discovery *d, struct document *doc, struct buf *json)
{
	unsigned char sum[SHA512_DIGEST_LENGTH];
	struct str etag = S("\"");

	doc->aggregated = arena_str(&d->arena, buf_str(json));
	buf_reset(json);
	SHA512((const unsigned char *)doc->aggregated.p, doc->aggregated.n, sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		etag = arena_fmt(&d->arena, STR_FMT "%02X", STR_ARG(etag), sum[i]);
	doc->etag = arena_fmt(&d->arena, STR_FMT "\"", STR_ARG(etag));
}

static void add_version(struct discovery *d, const char *group, struct str version, struct buf *b)
{
	struct str gv =
		*group ? arena_fmt(&d->arena, "%s/" STR_FMT, group, STR_ARG(version)) : version;

	buf_fmt(b, "{\"kind\":\"APIResourceList\",");
	if (*group)
		buf_add_c(b, "\"apiVersion\":\"v1\",");
	buf_fmt(b, "\"groupVersion\":\"" STR_FMT "\",\"resources\":[", STR_ARG(gv));
	write_resources(b, group, version.p);
	buf_add_c(b, "]}");
	add(d, arena_fmt(&d->arena, "%s/" STR_FMT, *group ? "/apis" : "/api", STR_ARG(gv)), b);
}

static void add_group(struct discovery *d, const char *group, struct buf *b)
{
	struct str_vec versions = versions_of(&d->arena, group);

	if (!versions.n)
		return;
	buf_add_c(b, "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",");
	write_group(b, &d->arena, group);
	add(d, arena_fmt(&d->arena, "/apis/%s", group), b);
	for (size_t i = 0; i < versions.n; i++)
		add_version(d, group, versions.v[i], b);
}

static void add_groups(struct discovery *d, struct buf *b)
{
	struct document *doc;
	const char *comma = "";

	for (size_t i = 0; i < ARRAY_SIZE(group_order); i++)
		add_group(d, group_order[i], b);
	buf_add_c(b, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
	for (size_t i = 0; i < ARRAY_SIZE(group_order); i++) {
		if (!versions_of(&d->arena, group_order[i]).n)
			continue;
		buf_fmt(b, "%s{", comma);
		write_group(b, &d->arena, group_order[i]);
		comma = ",";
	}
	buf_add_c(b, "]}");
	doc = add(d, S("/apis"), b);
	buf_add_c(b,
		"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\","
		"\"metadata\":{},\"items\":[");
	comma = "";
	for (size_t i = 0; i < ARRAY_SIZE(group_order); i++) {
		if (!versions_of(&d->arena, group_order[i]).n)
			continue;
		buf_add_c(b, comma);
		write_aggregated_group(b, &d->arena, group_order[i]);
		comma = ",";
	}
	buf_add_c(b, "]}");
	set_aggregated(d, doc, b);
}

static void add_legacy(struct discovery *d, const char *address, struct buf *b)
{
	struct document *doc;

	add_version(d, "", S("v1"), b);
	buf_fmt(b,
		"{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":"
		"[{\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":\"%s\"}]}",
		address);
	doc = add(d, S("/api"), b);
	buf_add_c(b,
		"{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\","
		"\"metadata\":{},\"items\":[");
	write_aggregated_group(b, &d->arena, "");
	buf_add_c(b, "]}");
	set_aggregated(d, doc, b);
}

struct discovery *discovery_new(const char *address)
{
	struct discovery *d = xcalloc(1, sizeof(*d));
	struct buf b;

	arena_init(&d->arena);
	buf_init(&b, DOCUMENT_MAX);
	add_legacy(d, address, &b);
	add_groups(d, &b);
	assert(!buf_failed(&b));
	buf_release(&b);
	return d;
}

void discovery_free(struct discovery *d)
{
	if (!d)
		return;
	arena_release(&d->arena);
	free(d);
}

/* --- answers --- */

static const struct document *find(const struct discovery *d, struct str path)
{
	while (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	for (size_t i = 0; i < d->n; i++)
		if (str_eq(d->v[i].path, path))
			return &d->v[i];
	return NULL;
}

/* What the best clause of the Accept header that is served asks for. */
static bool wants_aggregated(struct request *r, const struct document *doc)
{
	struct accept accept;

	accept_parse(r->arena, r->accept, &accept);
	for (size_t i = 0; doc->aggregated.n && i < accept.n; i++) {
		const struct accept_clause *c = &accept.v[i];
		struct str as = accept_param(c, "as");

		if (!accept_matches(c, "application", "json"))
			continue;
		if (!as.p)
			return false;
		if (str_eqc(as, "APIGroupDiscoveryList") &&
			str_eqc(accept_param(c, "g"), "apidiscovery.k8s.io") &&
			str_eqc(accept_param(c, "v"), "v2"))
			return true;
	}
	return false;
}

static void respond_aggregated(struct request *r, const struct document *doc)
{
	struct http_exchange *x = r->x;

	http_header(x, "Audit-Id", uuid_new(r->arena, r->loop));
	http_header(x, "Cache-Control", S("public"));
	http_header(x, "ETag", doc->etag);
	http_header(x, "Vary", S("Accept"));
	if (str_eq(http_get_header(x, "If-None-Match"), doc->etag))
		http_respond(x, 304, NULL, S(""));
	else
		respond_body(r, 200, AGGREGATED, doc->aggregated);
}

bool handle_discovery(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	const struct document *doc = find(r->s->discovery, r->info.path);

	if (!doc)
		return false;
	if (!str_eqc(r->method, "GET")) {
		err_fmt(&err, 405, "MethodNotAllowed",
			"the server does not allow this method on the requested resource");
		err_details(&err, S(""), S(""), S(""), S(""));
		respond_error(r, &err);
	} else if (wants_aggregated(r, doc)) {
		respond_aggregated(r, doc);
	} else if (!negotiate_error(r, &r->out)) {
		err_fmt(&err, 406, "NotAcceptable",
			"only the following media types are accepted: application/json, "
			"application/yaml, application/vnd.kubernetes.protobuf");
		respond_error(r, &err);
	} else {
		respond_json(r, 200, doc->json);
	}
	return true;
}
