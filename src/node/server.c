/* server.c: the kubelet's HTTPS API: routes. */
#include <openssl/ssl.h>
#include <stdio.h>

#include "node/certificates.h"
#include "node/server.h"

void server_error(struct http_exchange *x, int status, const char *fmt, ...)
{
	struct str text;
	va_list ap;

	va_start(ap, fmt);
	text = arena_vfmt(&x->arena, fmt, ap);
	va_end(ap);
	http_respond(x, status, "text/plain; charset=utf-8", text);
}

struct pod *server_pod(struct route_args *r, const char *not_found)
{
	struct pod *p = r->n >= 3 ? pod_by_name(r->s->k, r->part[1], r->part[2]) : NULL;

	if (p && p->object)
		return p;
	if (not_found)
		server_error(r->x, 404, "%s", not_found);
	else
		server_error(r->x, 404, "pod \"" STR_FMT "\" does not exist", STR_ARG(r->part[2]));
	return NULL;
}

static const struct route {
	const char *path;
	size_t min_parts;
	void (*serve)(struct route_args *r);
} routes[] = {
	{"containerLogs", 4, serve_container_logs},
	{"exec", 4, serve_exec},
	{"attach", 4, serve_attach},
	{"portForward", 3, serve_port_forward},
	{"run", 4, serve_run},
	{"pods", 1, serve_pods},
	{"runningpods", 1, serve_running_pods},
	{"stats", 2, serve_stats_summary},
};

static void dispatch_metrics(struct route_args *r)
{
	if (str_eq(r->part[1], S("resource")))
		serve_metrics_resource(r);
	else if (str_eq(r->part[1], S("cadvisor")))
		serve_metrics_cadvisor(r);
	else if (str_eq(r->part[1], S("probes")))
		serve_metrics_probes(r);
	else
		server_error(r->x, 404, "404 page not found\n");
}

static void dispatch(struct kubelet_server *s, struct http_exchange *x)
{
	struct route_args r = {.s = s, .x = x};
	struct str rest = x->path, one;
	bool more = true;

	while (more && r.n < ARRAY_SIZE(r.part)) {
		more = str_cut(rest, '/', &one, &rest);
		if (one.n)
			r.part[r.n++] = one;
	}
	if (component_serve(&s->pages, x))
		return;
	if (r.n > 1 && str_eq(r.part[0], S("metrics"))) {
		dispatch_metrics(&r);
		return;
	}
	for (size_t i = 0; r.n && i < ARRAY_SIZE(routes); i++) {
		if (!str_eqc(r.part[0], routes[i].path) || r.n < routes[i].min_parts)
			continue;
		routes[i].serve(&r);
		return;
	}
	server_error(x, 404, "404 page not found\n");
}

static void handle(struct http_handler *h, struct http_exchange *x)
{
	server_authorize(container_of(h, struct kubelet_server, handler), x, dispatch);
}

int kubelet_server_start(struct kubelet *k, struct err *err)
{
	struct kubelet_server *s = xcalloc(1, sizeof(*s));
	struct tls_server_opts tls = {0};
	int r;

	s->k = k;
	s->handler.handle = handle;
	kubelet_pages_init(s);
	k->server = s;
	r = server_certificate(k, &tls, &k->arena, err);
	s->knows_client_ca = tls.client_ca_pem.n > 0;
	if (r == 0)
		r = tls_server_ctx(&tls, &s->ssl_ctx, err);
	if (r == 0 && certificates_serving_path(k->certificates))
		tls_ctx_follow(s->ssl_ctx, certificates_serving_path(k->certificates),
			certificates_serving_path(k->certificates));
	if (r == 0)
		r = http_server_new(k->loop,
			&(struct http_server_opts){.bind_address = k->opts.bind_address,
				.port = k->opts.port,
				.ssl_ctx = s->ssl_ctx,
				.handler = &s->handler},
			&s->http, err);
	if (r == 0 && !s->knows_client_ca)
		server_ask_client_ca(s);
	return r;
}

static void closed(void *user_data)
{
	(void)user_data;
}

void kubelet_server_free(struct kubelet_server *s)
{
	if (!s)
		return;
	if (s->ca_timer.loop)
		loop_timer_stop(&s->ca_timer);
	if (s->http)
		http_server_close(s->http, 0, closed, NULL);
	if (s->ssl_ctx)
		SSL_CTX_free(s->ssl_ctx);
	s->k->server = NULL;
	component_release(&s->pages);
	free(s);
}
