/* client_http.c: the API over HTTPS: an informer per subscribed resource, calls over kept
 * connections. */
#include <openssl/ssl.h>

#include "client/client_int.h"
#include "client/informer.h"
#include "client/kubeconfig.h"
#include "client/rest_meter.h"
#include "http/server.h"

enum { INFORMERS_MAX = 256 };

struct http_transport {
	struct client base;
	struct http_client *http;
	struct rest_meter *meter;
	char *user_agent;
	struct http_header
		headers[3]; /* User-Agent, Accept, Content-Type: the last for bodies only */
	struct informer *informers[INFORMERS_MAX];
	size_t n_informers, n_synced;
	struct pending *pending;
	struct loop_timer start_timer;
	void (*on_synced)(void *user_data);
	void *user_data;
};

static struct http_transport *transport(const struct client *c)
{
	return container_of(c, struct http_transport, base);
}

/* --- reading --- */

static void informer_has_synced(void *user_data)
{
	struct http_transport *t = user_data;

	if (++t->n_synced == t->n_informers && t->on_synced)
		t->on_synced(t->user_data);
}

static struct informer *find_informer(
	struct http_transport *t, const struct schema_resource *res, const char *selector)
{
	for (size_t i = 0; i < t->n_informers; i++)
		if (informer_is(t->informers[i], res, selector))
			return t->informers[i];
	return NULL;
}

static struct informer *add_informer(
	struct http_transport *t, const struct schema_resource *res, const char *selector)
{
	struct informer_opts opts = {
		.loop = t->base.loop,
		.http = t->http,
		.meter = t->meter,
		.headers = t->headers,
		.n_headers = 2,
		.resource = res,
		.field_selector = selector,
		.on_synced = informer_has_synced,
		.user_data = t,
	};

	assert(t->n_informers < INFORMERS_MAX);
	return t->informers[t->n_informers++] = informer_new(&opts);
}

static void http_subscribe(struct client *c, const struct schema_resource *res,
	const char *field_selector, void (*on_event)(void *user_data, const struct store_event *ev),
	void *user_data)
{
	struct http_transport *t = transport(c);
	const char *selector = field_selector ? field_selector : "";
	struct informer *in = find_informer(t, res, selector);

	if (!in)
		in = add_informer(t, res, selector);
	informer_subscribe(in, on_event, user_data);
}

/* With nothing subscribed there is nothing to wait for. */
static void start_now(struct loop_timer *timer)
{
	struct http_transport *t = container_of(timer, struct http_transport, start_timer);

	for (size_t i = 0; i < t->n_informers; i++)
		informer_start(t->informers[i]);
	if (t->n_informers == 0 && t->on_synced)
		t->on_synced(t->user_data);
}

static void http_start_reading(
	struct client *c, void (*on_synced)(void *user_data), void *user_data)
{
	struct http_transport *t = transport(c);

	t->on_synced = on_synced;
	t->user_data = user_data;
	loop_timer_start(&t->start_timer, 0);
}

static bool http_synced(const struct client *c)
{
	const struct http_transport *t = transport(c);

	return t->n_synced == t->n_informers;
}

/* Of several informers of a resource, the first subscribed. */
static struct informer *informer_of(struct http_transport *t, const struct schema_resource *res)
{
	for (size_t i = 0; i < t->n_informers; i++) {
		struct snapshot *s = informer_snapshot(t->informers[i]);
		bool found = snapshot_resource(s) == res;

		snapshot_unref(s);
		if (found)
			return t->informers[i];
	}
	return NULL;
}

static struct snapshot *http_snapshot(struct client *c, const struct schema_resource *res)
{
	struct informer *in = informer_of(transport(c), res);

	return in ? informer_snapshot(in) : snapshot_new(res);
}

static bool http_caught_up(struct client *c, const struct schema_resource *res, uint64_t revision)
{
	struct informer *in = informer_of(transport(c), res);
	struct snapshot *s;
	bool caught_up;

	if (!in)
		return true; /* nobody looks at it */
	s = informer_snapshot(in);
	caught_up = informer_synced(in) && snapshot_revision(s) >= revision;
	snapshot_unref(s);
	return caught_up;
}

/* --- writing --- */

struct pending {
	struct pending *prev, *next;
	struct http_transport *t;
	struct client_call *call;
	struct http_call *http_call;
	int64_t sent_ns;
};

static void pending_free(struct pending *p)
{
	if (p->next)
		p->next->prev = p->prev;
	if (p->prev)
		p->prev->next = p->next;
	else
		p->t->pending = p->next;
	free(p);
}

static void on_answer(void *user_data, const struct http_response *r, struct err *err)
{
	struct pending *p = user_data;
	struct client_call *call = p->call;

	rest_meter_count(p->t->meter, client_call_method(call), r ? r->status : 0, p->sent_ns);
	pending_free(p);
	if (r)
		client_call_answer(call, r->status, r->body);
	else
		client_call_failed(call, err);
	client_call_finish(call);
}

static void http_do(struct client *c, struct client_call *call)
{
	struct http_transport *t = transport(c);
	struct pending *p = xcalloc(1, sizeof(*p));
	struct buf path, body;
	struct http_request rq = {
		.method = client_call_method(call),
		.headers = t->headers,
		.n_headers = 2,
		.on_response = on_answer,
		.user_data = p,
	};

	buf_init(&path, 64 * 1024);
	buf_init(&body, OBJECT_JSON_MAX);
	client_call_path(call, &path);
	rq.path = buf_str(&path);
	rq.body = client_call_body(call, &body);
	if (rq.body.n) {
		t->headers[2].value = str_c(client_call_content_type(call));
		rq.n_headers = 3;
	}
	p->t = t;
	p->call = call;
	p->sent_ns = metric_now_ns();
	p->next = t->pending;
	if (p->next)
		p->next->prev = p;
	t->pending = p;
	p->http_call = http_client_do(t->http, &rq);
	buf_release(&path);
	buf_release(&body);
}

/* --- life --- */

static void http_free(struct client *c)
{
	struct http_transport *t = transport(c);

	while (t->pending) {
		struct pending *p = t->pending;

		http_call_cancel(p->http_call);
		p->call->done = NULL;
		client_call_finish(p->call);
		pending_free(p);
	}
	for (size_t i = 0; i < t->n_informers; i++)
		informer_free(t->informers[i]);
	loop_timer_stop(&t->start_timer);
	if (t->http)
		http_client_free(t->http);
	rest_meter_free(t->meter);
	free(t->user_agent);
	free(t);
}

static const struct client_ops http_ops = {
	.subscribe = http_subscribe,
	.start = http_start_reading,
	.synced = http_synced,
	.snapshot = http_snapshot,
	.caught_up = http_caught_up,
	.do_call = http_do,
	.free = http_free,
};

static int connect_with(struct http_transport *t, const struct kubeconfig *k, struct err *err)
{
	struct tls_client_opts tls = {k->ca_pem, k->cert_pem, k->key_pem, k->insecure};
	struct http_client_opts opts = {.url = k->server, .bearer_token = k->token};
	int r = 0;

	if (!str_empty(k->tls_server_name))
		opts.server_name = k->tls_server_name.p;
	if (str_starts(k->server, S("https:")))
		r = tls_client_ctx(&tls, &opts.ssl_ctx, err);
	if (r == 0 && opts.ssl_ctx && k->cert_file.n && k->key_file.n)
		tls_ctx_follow(opts.ssl_ctx, k->cert_file.p, k->key_file.p);
	if (r == 0)
		r = http_client_new(t->base.loop, &opts, &t->http, err);
	SSL_CTX_free(opts.ssl_ctx);
	return r;
}

/* The kubeconfig first, then the parts that are given on top of it. */
static int settings(const struct client_http_opts *opts, struct kubeconfig *k, struct err *err)
{
	int r = opts->kubeconfig ? kubeconfig_read(opts->kubeconfig, NULL, k, err) : 0;

	if (r < 0)
		return r;
	if (opts->anonymous)
		k->cert_pem = k->key_pem = k->cert_file = k->key_file = k->token = (struct str){0};
	if (!str_empty(opts->server))
		k->server = opts->server;
	if (!str_empty(opts->ca_pem))
		k->ca_pem = opts->ca_pem;
	if (!str_empty(opts->cert_pem)) {
		k->cert_file = k->key_file = (struct str){0};
		k->cert_pem = opts->cert_pem;
		k->key_pem = opts->key_pem;
	}
	if (!str_empty(opts->token))
		k->token = opts->token;
	return str_empty(k->server) ? err_bad_request(err, "no API server was named") : 0;
}

void client_http_set_token(struct client *c, struct str token)
{
	http_client_set_token(transport(c)->http, token);
}

int client_http_new(struct loop *loop, const struct client_http_opts *opts, struct client **ret,
	struct err *err)
{
	struct kubeconfig k CLEANUP(kubeconfig_release) = {0};
	struct http_transport *t = xcalloc(1, sizeof(*t));
	int r;

	t->base = (struct client){&http_ops, loop};
	t->user_agent = xstrdup(opts->user_agent ? opts->user_agent : "sampan/" SAMPAN_VERSION);
	t->headers[0] = (struct http_header){S("User-Agent"), str_c(t->user_agent)};
	t->headers[1] = (struct http_header){S("Accept"), S("application/json")};
	t->headers[2] = (struct http_header){S("Content-Type"), S("")};
	loop_timer_init(&t->start_timer, loop, start_now);
	r = settings(opts, &k, err);
	if (r == 0)
		r = connect_with(t, &k, err);
	t->meter = rest_meter_new(opts->metrics, k.server);
	if (r < 0) {
		http_free(&t->base);
		return r;
	}
	*ret = &t->base;
	return 0;
}
