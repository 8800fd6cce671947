/* handler.c: runs probe and hook actions. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "http/client.h"
#include "http/server.h"
#include "node/grpc_health.h"
#include "node/handler.h"

enum { OUTPUT_MAX = 10 * 1024 };

struct run {
	struct kubelet *k;
	struct arena arena;
	struct loop_timer timer; /* sleep, and results that come on a later turn */
	struct http_client *http;
	struct str url, address; /* address: host:port */
	bool probe;
	enum handler_result result;
	struct str output;
	int64_t timeout_ms;
	void *user_data;
	void (*done)(void *user_data, enum handler_result result, struct str output);
};

static void finish(struct run *r, enum handler_result result, struct str output)
{
	r->done(r->user_data, result, output);
	loop_timer_stop(&r->timer);
	if (r->http)
		http_client_free(r->http);
	arena_release(&r->arena);
	free(r);
}

static void timer_fired(struct loop_timer *t)
{
	struct run *r = container_of(t, struct run, timer);

	finish(r, r->result, r->output);
}

/* From inside a callback that still uses what would be freed, or before handler_run returned. */
static void finish_later(struct run *r, enum handler_result result, struct str output)
{
	r->result = result;
	r->output = arena_str(&r->arena, str_n(output.p, MIN(output.n, (size_t)OUTPUT_MAX)));
	loop_timer_start(&r->timer, 0);
}

static int port_of(const struct int_or_string *p, const struct v1_container *c)
{
	int64_t n;

	if (!p->is_string)
		return p->i;
	for (size_t i = 0; c && i < c->ports.n; i++)
		if (str_eq(c->ports.v[i].name, p->s))
			return c->ports.v[i].container_port;
	return str_to_i64(p->s, &n) == 0 && n > 0 && n < 65536 ? (int)n : 0;
}

static struct str host_port(struct arena *a, struct str host, int port)
{
	bool v6 = str_chr(host, ':') >= 0;

	return arena_fmt(
		a, "%s" STR_FMT "%s:%d", v6 ? "[" : "", STR_ARG(host), v6 ? "]" : "", port);
}

/* --- exec --- */

static void exec_done(
	void *user_data, int exit_code, struct str out, struct str errout, struct err *err)
{
	struct run *r = user_data;
	struct str text = arena_fmt(&r->arena, STR_FMT STR_FMT, STR_ARG(out), STR_ARG(errout));

	if (err && err->code == 504)
		finish(r, HANDLER_FAILED, arena_strc(&r->arena, err_text(err)));
	else if (err)
		finish(r, HANDLER_ERROR, arena_strc(&r->arena, err_text(err)));
	else if (exit_code != 0)
		finish(r, HANDLER_FAILED, text);
	else
		finish(r, HANDLER_OK, text);
}

/* What went wrong with a connection, as Go's net package says it. */
static struct str dial_error(struct run *r, struct str address, struct err *err)
{
	struct str text = str_c(err_text(err)), prefix;
	ssize_t at;
	char *p;

	if (str_find(text, S("timed out")) >= 0)
		return arena_fmt(&r->arena, "dial tcp " STR_FMT ": i/o timeout", STR_ARG(address));
	prefix = arena_fmt(&r->arena, STR_FMT ": ", STR_ARG(address));
	at = str_find(text, prefix);
	if (at >= 0)
		text = str_sub(text, (size_t)at + prefix.n, text.n);
	p = arena_cstr(&r->arena, text);
	if (p[0] >= 'A' && p[0] <= 'Z')
		p[0] = (char)(p[0] + 'a' - 'A');
	return arena_fmt(&r->arena, "dial tcp " STR_FMT ": connect: %s", STR_ARG(address), p);
}

/* --- HTTP --- */

static bool in_body(int status)
{
	return status >= 200 && status < 400;
}

static const char *http_error(struct run *r, struct err *err)
{
	const char *text = err_text(err);

	if (strstr(text, "timed out") || strstr(text, "timeout awaiting"))
		return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
	if (strstr(text, "dial "))
		return dial_error(r, r->address, err).p;
	return text;
}

static void http_done(void *user_data, const struct http_response *resp, struct err *err)
{
	struct run *r = user_data;

	if (err)
		finish_later(r, HANDLER_FAILED,
			arena_fmt(&r->arena, "Get \"" STR_FMT "\": %s", STR_ARG(r->url),
				http_error(r, err)));
	else if (!r->probe || in_body(resp->status))
		finish_later(r, HANDLER_OK, S(""));
	else
		finish_later(r, HANDLER_FAILED,
			arena_fmt(
				&r->arena, "HTTP probe failed with statuscode: %d", resp->status));
}

static void run_http(struct run *r, const struct handler_request *q)
{
	const struct v1_http_get_action *g = q->http_get;
	bool https = str_eq(g->scheme, S("HTTPS"));
	struct str host = str_empty(g->host) ? q->pod_ip : g->host;
	struct str path = str_empty(g->path) ? S("/") : g->path;
	struct str at = host_port(&r->arena, host, port_of(&g->port, q->container));
	struct err err CLEANUP(err_release) = {0};
	struct {
		struct http_header *v;
		size_t n;
	} headers = {0};
	struct http_header agent = {S("User-Agent"), S("kube-probe/1.36")},
			   any = {S("Accept"), S("*/*")};
	struct http_client_opts opts = {.connections_max = 1};
	void *tls = NULL;

	if (path.p[0] != '/')
		path = arena_fmt(&r->arena, "/" STR_FMT, STR_ARG(path));
	r->address = at;
	r->url = arena_fmt(&r->arena, "%s://" STR_FMT STR_FMT, https ? "https" : "http",
		STR_ARG(at), STR_ARG(path));
	opts.url = arena_fmt(&r->arena, "%s://" STR_FMT, https ? "https" : "http", STR_ARG(at));
	if (!r->probe)
		agent.value = S("kube-lifecycle/1.36");
	ARENA_PUSH(&r->arena, &headers, agent);
	ARENA_PUSH(&r->arena, &headers, any);
	for (size_t i = 0; i < g->http_headers.n; i++) {
		struct http_header h = {g->http_headers.v[i].name, g->http_headers.v[i].value};

		if (str_ieq(h.name, S("User-Agent")))
			headers.v[0] = h;
		else if (str_ieq(h.name, S("Accept")))
			headers.v[1] = h;
		else
			ARENA_PUSH(&r->arena, &headers, h);
	}
	if (https && tls_client_ctx(&(struct tls_client_opts){.insecure = true}, &tls, &err) < 0) {
		finish_later(r, HANDLER_ERROR, str_c(err_text(&err)));
		return;
	}
	opts.ssl_ctx = tls;
	if (http_client_new(r->k->loop, &opts, &r->http, &err) < 0) {
		finish_later(r, HANDLER_ERROR, str_c(err_text(&err)));
		return;
	}
	if (tls)
		SSL_CTX_free(tls);
	http_client_do(r->http, &(struct http_request){.method = "GET",
					.path = path,
					.headers = headers.v,
					.n_headers = headers.n,
					.timeout_ms = (int)r->timeout_ms,
					.body_max = 1 << 20,
					.on_response = http_done,
					.user_data = r});
}

/* --- TCP --- */

static void closed(struct conn *c, int status)
{
	(void)c, (void)status;
}

static void ignore_data(struct conn *c, struct str bytes)
{
	(void)c, (void)bytes;
}

static const struct conn_events close_events = {.on_close = closed, .on_data = ignore_data};

static void connected(void *user_data, struct conn *c, struct err *err)
{
	struct run *r = user_data;

	if (!c) {
		finish(r, HANDLER_FAILED, dial_error(r, r->address, err));
		return;
	}
	c->events = &close_events;
	conn_close(c);
	finish(r, HANDLER_OK, S(""));
}

static void run_tcp(struct run *r, const struct handler_request *q)
{
	const struct v1_tcp_socket_action *t = q->tcp_socket;

	r->address = host_port(&r->arena, str_empty(t->host) ? q->pod_ip : t->host,
		port_of(&t->port, q->container));
	conn_connect(r->k->loop,
		&(struct conn_connect_opts){
			.address = r->address, .timeout_ms = (int)r->timeout_ms},
		connected, r);
}

/* --- gRPC --- */

static void grpc_done(void *user_data, bool serving, struct str message)
{
	struct run *r = user_data;

	finish_later(r, serving ? HANDLER_OK : HANDLER_FAILED, message);
}

void handler_run(struct kubelet *k, const struct handler_request *q)
{
	struct run *r = xcalloc(1, sizeof(*r));

	arena_init(&r->arena);
	r->k = k;
	r->probe = q->probe;
	r->timeout_ms = q->timeout_ms > 0 ? q->timeout_ms : 1000;
	r->done = q->done;
	r->user_data = q->user_data;
	loop_timer_init(&r->timer, k->loop, timer_fired);
	if (q->exec) {
		k->cri->ops->exec_sync(
			k->cri, q->container_id, &q->exec->command, r->timeout_ms, exec_done, r);
	} else if (q->http_get) {
		run_http(r, q);
	} else if (q->tcp_socket) {
		run_tcp(r, q);
	} else if (q->grpc) {
		grpc_health_check(k->loop, host_port(&r->arena, q->pod_ip, q->grpc->port),
			q->grpc->service, r->timeout_ms, grpc_done, r);
	} else if (q->sleep) {
		r->result = HANDLER_OK;
		loop_timer_start(&r->timer, MIN(q->sleep->seconds * 1000, r->timeout_ms));
	} else {
		finish_later(r, HANDLER_ERROR, S("invalid handler: nothing to run"));
	}
}
