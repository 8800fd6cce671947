/*
 * One call of a webhook: where it is, a connection that trusts what the configuration says, a POST.
 * Runs on the request's loop; nothing waits for it but the parked write.
 */
#include <openssl/ssl.h>

#include "apiserver/admission/webhook.h"
#include "apiserver/auth/outside.h"
#include "http/client.h"
#include "http/server.h"

enum { ANSWER_MAX = 4 * OBJECT_JSON_MAX, HTTPS_PORT = 443 };

struct call {
	struct arena *arena;
	struct http_client *client;
	struct str shown; /* the URL as errors show it */
	webhook_done_fn *done;
	void *user_data;
};

struct target {
	struct str url;   /* scheme, host and port to connect to */
	struct str name;  /* of the server, for TLS; empty: the host */
	struct str path;  /* with the query */
	struct str shown; /* as if by name */
};

/* --- a service --- */

static struct str host_text(struct arena *a, struct str address)
{
	return str_chr(address, ':') < 0 ? address
					 : arena_fmt(a, "[" STR_FMT "]", STR_ARG(address));
}

/* The first ready endpoint in this slice on the port of that name. */
static bool endpoint_in(struct arena *a, const struct discovery_v1_endpoint_slice *s,
	struct str port_name, struct str *ret)
{
	for (size_t p = 0; p < s->ports.n; p++) {
		if (!str_eq(s->ports.v[p].name, port_name) || !s->ports.v[p].port)
			continue;
		for (size_t i = 0; i < s->endpoints.n; i++) {
			const struct discovery_v1_endpoint *e = &s->endpoints.v[i];

			if (!e->addresses.n || (e->conditions.ready && !*e->conditions.ready))
				continue;
			*ret = arena_fmt(a, "https://" STR_FMT ":%d",
				STR_ARG(host_text(a, e->addresses.v[0])), *s->ports.v[p].port);
			return true;
		}
	}
	return false;
}

static int endpoint_of(const struct admission_attrs *attrs,
	const struct admissionregistration_v1_service_reference *ref, int port, struct str *ret,
	struct err *err)
{
	const struct v1_service *svc =
		admission_get(attrs, &v1_service_resource, ref->namespace, ref->name);
	const struct v1_service_port *sp = NULL;
	struct snapshot *s;
	struct snapshot_iter it;
	const struct object *o;
	bool found = false;

	if (!svc)
		return err_not_found(err, S(""), S("services"), ref->name);
	for (size_t i = 0; i < svc->spec.ports.n && !sp; i++)
		if (svc->spec.ports.v[i].port == port)
			sp = &svc->spec.ports.v[i];
	if (!sp)
		return err_fmt(err, 503, "ServiceUnavailable",
			"no service port %d found for service \"" STR_FMT "\"", port,
			STR_ARG(ref->name));
	s = store_snapshot(attrs->store, &discovery_v1_endpoint_slice_resource);
	snapshot_iter_init(&it, s, ref->namespace, S(""), S(""));
	while (!found && (o = snapshot_next(&it))) {
		const struct str *of = str_map_get(&o->labels, S("kubernetes.io/service-name"));

		if (of && str_eq(*of, ref->name))
			found = endpoint_in(attrs->arena,
				object_decode(object_ref_in(attrs->arena, o), attrs->arena),
				sp->name, ret);
	}
	snapshot_unref(s);
	if (found)
		return 0;
	return err_fmt(err, 503, "ServiceUnavailable",
		"no endpoints available for service \"" STR_FMT "\"", STR_ARG(ref->name));
}

/* --- where to --- */

static struct str with_timeout(struct arena *a, struct str path, int timeout_s)
{
	if (!path.n)
		path = S("/");
	return arena_fmt(a, STR_FMT "%stimeout=%ds", STR_ARG(path),
		str_chr(path, '?') < 0 ? "?" : "&", timeout_s);
}

static int service_target(
	struct admission_attrs *attrs, const struct webhook *w, struct target *t, struct err *err)
{
	const struct admissionregistration_v1_service_reference *ref = w->client.service;
	struct arena *a = attrs->arena;
	int port = ref->port ? *ref->port : HTTPS_PORT;

	t->name = arena_fmt(
		a, STR_FMT "." STR_FMT ".svc", STR_ARG(ref->name), STR_ARG(ref->namespace));
	t->path = with_timeout(a, ref->path, w->timeout_s);
	t->shown = arena_fmt(
		a, "https://" STR_FMT ":%d" STR_FMT, STR_ARG(t->name), port, STR_ARG(t->path));
	return endpoint_of(attrs, ref, port, &t->url, err);
}

static void url_target(struct arena *a, const struct webhook *w, struct target *t)
{
	struct str url = w->client.url, rest = url, path;
	ssize_t slash;

	if (str_starts(rest, S("https://")))
		rest = str_sub(rest, 8, rest.n);
	slash = str_chr(rest, '/');
	path = slash < 0 ? S("") : str_sub(rest, (size_t)slash, rest.n);
	rest = slash < 0 ? rest : str_sub(rest, 0, (size_t)slash);
	t->url = arena_fmt(a, "https://" STR_FMT, STR_ARG(rest));
	t->path = with_timeout(a, path, w->timeout_s);
	t->shown = arena_fmt(a, STR_FMT STR_FMT, STR_ARG(t->url), STR_ARG(t->path));
}

static int find_target(
	struct admission_attrs *attrs, const struct webhook *w, struct target *t, struct err *err)
{
	if (w->client.service)
		return service_target(attrs, w, t, err);
	url_target(attrs->arena, w, t);
	return 0;
}

/* --- the call --- */

static int status_error(const struct http_response *r, struct arena *a, struct err *err)
{
	if (r->status == 404)
		return err_fmt(err, 500, "",
			"failed to call webhook: the server could not find the requested resource");
	return err_fmt(err, 500, "",
		"failed to call webhook: an error on the server (\"" STR_FMT
		"\") has prevented the request from succeeding",
		STR_ARG(str_trim(arena_str(a, r->body))));
}

static void on_response(void *user_data, const struct http_response *r, struct err *why)
{
	struct call *c = user_data;
	struct err err CLEANUP(err_release) = {0};
	struct str body = S("");

	if (!r)
		err_fmt(&err, 500, "", "failed to call webhook: Post \"" STR_FMT "\": " STR_FMT,
			STR_ARG(c->shown), STR_ARG(go_network_error(c->arena, err_text(why))));
	else if (r->status < 200 || r->status > 299)
		status_error(r, c->arena, &err);
	else
		body = arena_str(c->arena, r->body);
	http_client_free(c->client);
	c->done(c->user_data, body, err_set(&err) ? &err : NULL);
}

static int connect_client(struct admission_attrs *attrs, const struct webhook *w,
	const struct target *t, struct http_client **ret, struct err *err)
{
	struct tls_client_opts tls = {.ca_pem = w->client.ca_bundle};
	struct http_client_opts opts = {.url = t->url,
		.server_name = t->name.n ? arena_cstr(attrs->arena, t->name) : NULL,
		.connections_max = 1};
	int r = tls_client_ctx(&tls, &opts.ssl_ctx, err);

	if (r < 0)
		return r;
	r = http_client_new(attrs->loop, &opts, ret, err);
	SSL_CTX_free(opts.ssl_ctx);
	return r;
}

int webhook_call(struct admission_attrs *attrs, const struct webhook *w, struct str review,
	webhook_done_fn *done, void *user_data, struct err *err)
{
	const struct http_header headers[] = {
		{S("Content-Type"), S("application/json")}, {S("Accept"), S("application/json")}};
	struct err why CLEANUP(err_release) = {0};
	struct call *c = ARENA_NEW(attrs->arena, struct call);
	struct http_request req = {
		.method = "POST",
		.body = review,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.timeout_ms = w->timeout_s * 1000,
		.body_max = ANSWER_MAX,
		.on_response = on_response,
		.user_data = c,
	};
	struct target t = {0};

	*c = (struct call){.arena = attrs->arena, .done = done, .user_data = user_data};
	if (find_target(attrs, w, &t, &why) < 0)
		return err_fmt(err, 500, "", "failed to call webhook: Post \"" STR_FMT "\": %s",
			STR_ARG(t.shown), err_text(&why));
	if (connect_client(attrs, w, &t, &c->client, &why) < 0)
		return err_fmt(err, 500, "", "could not get REST client: %s", err_text(&why));
	c->shown = t.shown;
	req.path = t.path;
	http_client_do(c->client, &req);
	return 0;
}
