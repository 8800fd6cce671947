/* healthz.c: /healthz on a port of its own, without TLS and without asking who asks: for local
 * probes of the kubelet. */
#include "node/server.h"

struct healthz {
	struct http_handler handler;
	struct http_server *http;
	struct kubelet *k;
};

static void handle(struct http_handler *h, struct http_exchange *x)
{
	const struct healthz *z = container_of(h, struct healthz, handler);
	struct kubelet_server *s = z->k->server;

	if (s && str_starts(x->path, S("/healthz")) && component_serve(&s->pages, x))
		return;
	if (str_eq(x->path, S("/healthz")))
		http_respond(x, 200, "text/plain; charset=utf-8", S("ok"));
	else
		server_error(x, 404, "404 page not found\n");
}

struct healthz *healthz_start(struct kubelet *k)
{
	struct healthz *h = xcalloc(1, sizeof(*h));
	struct err err CLEANUP(err_release) = {0};

	h->handler.handle = handle;
	h->k = k;
	/* Taken by another kubelet of this machine: not worth failing for, as upstream finds, too.
	 */
	if (http_server_new(k->loop,
		    &(struct http_server_opts){.bind_address = k->opts.healthz_bind_address,
			    .port = k->opts.healthz_port,
			    .connections_max = 16,
			    .handler = &h->handler},
		    &h->http, &err) < 0)
		log_warn("/healthz is not served: %s", err_text(&err));
	return h;
}

static void closed(void *user_data)
{
	free(user_data);
}

void healthz_free(struct healthz *h)
{
	if (!h)
		return;
	if (h->http)
		http_server_close(h->http, 0, closed, h);
	else
		free(h);
}
