/* non_resource.c: what is not a resource: discovery, version, health, metrics, OpenAPI, keys. */
#include "apiserver/discovery.h"
#include "apiserver/negotiate.h"
#include "apiserver/openapi_documents.h"
#include "apiserver/server.h"
#include "base/version.h"

static void respond_status(struct request *r, int code, const char *reason, const char *message)
{
	struct err err CLEANUP(err_release) = {0};

	err_fmt(&err, code, reason, "%s", message);
	err_details(&err, S(""), S(""), S(""), S(""));
	respond_error(r, &err);
}

static bool only_get(struct request *r)
{
	if (str_eqc(r->method, "GET"))
		return true;
	respond_status(r, 405, "MethodNotAllowed",
		"the server does not allow this method on the requested resource");
	return false;
}

/* Documents that exist in one form only. */
static bool accepts(struct request *r, const char *type)
{
	const char *const types[] = {type, NULL};

	if (accept_route_matches(r->accept, types))
		return true;
	respond_status(r, 406, "NotAcceptable",
		arena_fmt(r->arena, "406: Not Acceptable\n\nAvailable representations: %s", type)
			.p);
	return false;
}

/* --- version --- */

static void handle_version(struct request *r)
{
	if (!only_get(r) || !accepts(r, "application/json"))
		return;
	r->out.pretty = true; /* upstream writes it indented, always */
	respond_json(r, 200,
		S("{\"major\":\"1\",\"minor\":\"36\",\"emulationMajor\":\"1\","
		  "\"emulationMinor\":\"36\",\"minCompatibilityMajor\":\"1\","
		  "\"minCompatibilityMinor\":\"35\",\"gitVersion\":\"v1.36.2+sampan\","
		  "\"gitCommit\":\"\",\"gitTreeState\":\"clean\","
		  "\"buildDate\":\"1970-01-01T00:00:00Z\",\"goVersion\":\"none\","
		  "\"compiler\":\"" SAMPAN_COMPILER "\",\"platform\":\"linux/" SAMPAN_ARCH "\"}"));
}

void respond_no_page(struct request *r)
{
	http_header(r->x, "X-Content-Type-Options", S("nosniff"));
	respond_text(r, 404, "text/plain; charset=utf-8", S("404 page not found\n"));
}

/* --- the rest --- */

static void handle_jwks(struct request *r)
{
	if (only_get(r) && accepts(r, "application/jwk-set+json"))
		respond_text(r, 200, "application/jwk-set+json", auth_jwks(r->s->auth));
}

static void handle_openid(struct request *r)
{
	if (only_get(r) && accepts(r, "application/json"))
		respond_text(r, 200, "application/json",
			auth_openid_configuration(r->s->auth, r->arena));
}

static const char *const index_paths[] = {"/.well-known/openid-configuration", "/api", "/api/v1",
	"/apis", "/healthz", "/healthz/etcd", "/healthz/log", "/healthz/ping", "/livez",
	"/livez/etcd", "/livez/log", "/livez/ping", "/metrics", "/metrics/slis", "/openapi/v2",
	"/openapi/v3", "/openid/v1/jwks", "/readyz", "/readyz/etcd", "/readyz/log", "/readyz/ping",
	"/statusz", "/version"};

/* The list of paths. */
static void handle_index(struct request *r)
{
	struct buf b;

	buf_init(&b, 64 * 1024);
	buf_add_c(&b, "{\"paths\":[");
	for (size_t i = 0; i < ARRAY_SIZE(index_paths); i++)
		buf_fmt(&b, "%s\"%s\"", i ? "," : "", index_paths[i]);
	buf_add_c(&b, "]}");
	r->out = (struct media){.pretty = true};
	respond_json(r, 200, buf_str(&b));
	buf_release(&b);
}

static bool under(struct str path, const char *root)
{
	size_t n = strlen(root);

	return str_starts(path, str_c(root)) && (path.n == n || path.p[n] == '/');
}

/* /apis/GROUP… */
static bool is_served_group(struct str path)
{
	struct str group, rest;

	if (!str_starts(path, S("/apis/")))
		return true;
	str_cut(str_sub(path, strlen("/apis/"), path.n), '/', &group, &rest);
	return route_serves_group(group);
}

void handle_non_resource(struct request *r)
{
	struct str path = r->info.path;

	if (handle_discovery(r) || handle_openapi(r) || handle_pages(r))
		return;
	if (under(path, "/version"))
		handle_version(r);
	else if (str_eqc(path, "/openid/v1/jwks"))
		handle_jwks(r);
	else if (str_eqc(path, "/.well-known/openid-configuration"))
		handle_openid(r);
	else if (under(path, "/api") || (under(path, "/apis") && is_served_group(path)))
		respond_status(
			r, 404, "NotFound", "the server could not find the requested resource");
	else if (str_eqc(path, "/") || str_eqc(path, "/index.html"))
		handle_index(r);
	else
		respond_no_page(r);
}
