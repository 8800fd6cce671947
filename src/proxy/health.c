#include "proxy/health.h"

#include <stdio.h>
#include <time.h>

enum { UNHEALTHY_AFTER_MS = 60000 };

struct proxy_health {
	struct loop *loop;
	const struct proxy_config *config;
	struct proxy_stats *stats;
	struct http_handler health_handler, metrics_handler;
	struct http_server *health, *metrics;
	struct component pages; /* of the metrics port */
	struct map services;    /* "ns/name" -> struct checked * */
};

/* A service whose load balancer asks. */
struct checked {
	struct proxy_health *h;
	struct http_handler handler;
	struct http_server *server; /* NULL: the port is taken */
	struct str ns, name;
	int port;
	size_t n_local;
};

/* --- health --- */

/* A change that has waited too long: rules do not get through. */
static bool is_healthy(const struct proxy_health *h)
{
	return !h->stats->queued_ms ||
	       loop_now_ms(h->loop) - h->stats->queued_ms < UNHEALTHY_AFTER_MS;
}

static bool is_eligible(const struct proxy_health *h)
{
	return h->stats->node_known && !h->stats->node_leaving;
}

static struct str timestamp(struct arena *a, int64_t ns)
{
	time_t s = ns / 1000000000;
	struct tm tm;
	char text[32];

	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return arena_fmt(a, "%s.%09dZ", text, (int)(ns % 1000000000));
}

/* As upstream: a healthy proxy was updated just now, even if nothing has changed. */
static struct str health_json(struct proxy_health *h, struct arena *a, bool healthy, bool with_node)
{
	int64_t now = loop_wall_ns(h->loop);
	struct str last = timestamp(a, h->stats->synced_ns ? h->stats->synced_ns : now);
	struct str here = timestamp(a, now), node = {0};
	const char *ok = is_healthy(h) ? "true" : "false";
	struct buf b;
	struct str json;

	if (with_node)
		node = arena_fmt(a, "\"nodeEligible\":%s,", is_eligible(h) ? "true" : "false");
	buf_init(&b, 4096);
	buf_fmt(&b,
		"{\"lastUpdated\":\"" STR_FMT "\",\"currentTime\":\"" STR_FMT "\"," STR_FMT
		"\"healthy\":%s,\"status\":{",
		STR_ARG(healthy ? here : last), STR_ARG(here), STR_ARG(node), ok);
	for (int v6 = 0; v6 <= h->config->ipv6; v6++)
		buf_fmt(&b, "%s\"%s\":{\"lastUpdated\":\"" STR_FMT "\",\"healthy\":%s}",
			v6 ? "," : "", v6 ? "IPv6" : "IPv4", STR_ARG(last), ok);
	buf_add_c(&b, "}}");
	json = arena_str(a, buf_str(&b));
	buf_release(&b);
	return json;
}

static void not_found(struct http_exchange *x)
{
	http_respond(x, 404, "text/plain; charset=utf-8", S("404 page not found\n"));
}

static void serve_health(struct http_handler *handler, struct http_exchange *x)
{
	struct proxy_health *h = container_of(handler, struct proxy_health, health_handler);
	bool live = str_eqc(x->path, "/livez"), healthy;

	if (!live && !str_eqc(x->path, "/healthz")) {
		not_found(x);
		return;
	}
	healthy = is_healthy(h) && (live || is_eligible(h));
	proxy_stats_asked(h->stats, live, healthy ? 200 : 503);
	http_header(x, "X-Content-Type-Options", S("nosniff"));
	http_respond(x, healthy ? 200 : 503, "application/json",
		health_json(h, &x->arena, healthy, !live));
}

/* --- health check node ports --- */

static void serve_checked(struct http_handler *handler, struct http_exchange *x)
{
	struct checked *c = container_of(handler, struct checked, handler);
	bool healthy = is_healthy(c->h);

	http_header(x, "X-Content-Type-Options", S("nosniff"));
	http_header(x, "X-Load-Balancing-Endpoint-Weight", arena_fmt(&x->arena, "%zu", c->n_local));
	http_respond(x, c->n_local && healthy ? 200 : 503, "application/json",
		arena_fmt(&x->arena,
			"{\n\t\"service\": {\n\t\t\"namespace\": \"" STR_FMT
			"\",\n\t\t\"name\": \"" STR_FMT
			"\"\n\t},\n\t\"localEndpoints\": %zu,\n\t\"serviceProxyHealthy\": %s\n}",
			STR_ARG(c->ns), STR_ARG(c->name), c->n_local, healthy ? "true" : "false"));
}

static void closed(void *user_data)
{
	(void)user_data;
}

static void stop(struct http_server **s)
{
	if (*s)
		http_server_close(*s, 0, closed, NULL);
	*s = NULL;
}

static void checked_free(struct checked *c)
{
	stop(&c->server);
	free((char *)c->ns.p);
	free((char *)c->name.p);
	free(c);
}

/* "::" takes both families. */
static void checked_listen(struct checked *c)
{
	struct err err CLEANUP(err_release) = {0};
	struct http_server_opts opts = {
		.bind_address = "::", .port = c->port, .handler = &c->handler};

	if (c->h->config->ipv6 && http_server_new(c->h->loop, &opts, &c->server, &err) == 0)
		return;
	opts.bind_address = "0.0.0.0";
	if (http_server_new(c->h->loop, &opts, &c->server, &err) < 0) {
		c->server = NULL;
		log_error("health check of service " STR_FMT "/" STR_FMT " on port %d: %s",
			STR_ARG(c->ns), STR_ARG(c->name), c->port, err_text(&err));
	}
}

void proxy_health_set(
	struct proxy_health *h, struct str ns, struct str name, int port, size_t n_local)
{
	struct arena a = {0};
	struct str key = arena_fmt(&a, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
	struct checked *c = map_get(&h->services, key);

	if (c && c->port != port) {
		map_remove(&h->services, key);
		checked_free(c);
		c = NULL;
	}
	if (!c && port) {
		c = xcalloc(1, sizeof(*c));
		c->h = h;
		c->handler.handle = serve_checked;
		c->ns = str_c(xasprintf(STR_FMT, STR_ARG(ns)));
		c->name = str_c(xasprintf(STR_FMT, STR_ARG(name)));
		c->port = port;
		map_set(&h->services, key, c);
		checked_listen(c);
	}
	if (c)
		c->n_local = n_local;
	arena_release(&a);
}

/* --- metrics --- */

static void serve_metrics(struct http_handler *handler, struct http_exchange *x)
{
	struct proxy_health *h = container_of(handler, struct proxy_health, metrics_handler);

	if (str_eqc(x->path, "/proxyMode"))
		http_respond(x, 200, "text/plain; charset=utf-8", str_c(h->stats->mode));
	else if (str_eqc(x->path, "/healthz"))
		http_respond(x, 200, "text/plain; charset=utf-8", S("ok"));
	else if (!component_serve(&h->pages, x))
		not_found(x);
}

/* --- the servers --- */

static int listen_at(struct proxy_health *h, struct str where, int default_port,
	struct http_handler *handler, struct http_server **ret, struct err *err)
{
	struct err inner CLEANUP(err_release) = {0};
	struct http_server_opts opts = {.handler = handler};
	struct arena a = {0};
	struct str address;
	int r;

	if (!where.n)
		return 0;
	r = proxy_config_address(where, default_port, &a, &address, &opts.port, &inner);
	opts.bind_address = address.p;
	if (r == 0)
		r = http_server_new(h->loop, &opts, ret, &inner);
	if (r < 0 && h->config->bind_hard_fail) {
		err_move(err, &inner);
	} else if (r < 0) {
		log_warn("kube-proxy: " STR_FMT ": %s", STR_ARG(where), err_text(&inner));
		r = 0;
	}
	arena_release(&a);
	return r;
}

int proxy_health_new(struct loop *loop, const struct proxy_config *c, struct proxy_stats *stats,
	struct proxy_health **ret, struct err *err)
{
	struct proxy_health *h = xcalloc(1, sizeof(*h));
	int r;

	h->loop = loop;
	h->config = c;
	h->stats = stats;
	h->health_handler.handle = serve_health;
	h->metrics_handler.handle = serve_metrics;
	proxy_pages_init(&h->pages, stats);
	r = listen_at(h, c->healthz_address, 10256, &h->health_handler, &h->health, err);
	if (r == 0)
		r = listen_at(h, c->metrics_address, 10249, &h->metrics_handler, &h->metrics, err);
	if (r < 0) {
		proxy_health_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void proxy_health_free(struct proxy_health *h)
{
	if (!h)
		return;
	stop(&h->health);
	stop(&h->metrics);
	for (struct map_entry *e = map_first(&h->services); e; e = map_next(&h->services, e))
		checked_free(e->value);
	map_release(&h->services);
	component_release(&h->pages);
	free(h);
}
