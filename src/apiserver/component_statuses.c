/*
 * component_statuses.c: componentstatuses: whether scheduler, controllers and etcd are well.
 * Nothing is stored: a request asks those that run elsewhere on this machine where they usually
 * listen (registry/core/componentstatus).
 */
#include <openssl/ssl.h>

#include "apiserver/list.h"
#include "apiserver/subresource.h"
#include "http/client.h"
#include "http/conn.h"
#include "http/server.h"

enum { TIMEOUT_MS = 20 * 1000, BODY_MAX = 10 * 1024, COMPONENTS_MAX = 3 };

struct probed {
	struct run *run;
	const char *name;
	const char *url;            /* NULL: need not be asked */
	struct http_client *client; /* while it is being asked */
	bool well;
	struct str message, error;
};

struct run {
	struct request *r;
	struct list_options options;
	bool one;
	struct probed v[COMPONENTS_MAX]; /* in order of their names */
	size_t n, in_flight;
};

/* --- the answer --- */

static struct v1_component_status *status_of(struct arena *a, const struct probed *c)
{
	struct v1_component_status *s = ARENA_NEW(a, struct v1_component_status);
	struct v1_component_condition condition = {.type = S("Healthy"),
		.status = c->well ? S("True") : S("False"),
		.message = c->message,
		.error = c->error};

	s->metadata.name = str_c(c->name);
	ARENA_PUSH(a, &s->conditions, condition);
	return s;
}

static const struct object *object_of(struct request *r, const struct v1_component_status *s)
{
	struct object *draft, *o;

	if (object_draft(r->storage, s, &draft, NULL) < 0)
		return NULL;
	o = object_commit(draft, store_revision(r->s->store));
	object_unref(draft);
	object_ref_in(r->arena, o);
	object_unref(o);
	return o;
}

static void answer_one(struct run *run)
{
	struct request *r = run->r;
	struct v1_component_status *s = status_of(r->arena, &run->v[0]);

	set_type_meta(r->res, s, r->arena);
	if (r->out.as == AS_OBJECT)
		respond_other(r, 200, r->res->type, s);
	else
		respond_object(r, 200, object_of(r, s));
}

static void answer_list(struct run *run)
{
	struct request *r = run->r;
	struct object_list objects = {.remaining = -1, .revision = store_revision(r->s->store)};
	struct v1_component_status_list *list =
		ARENA_NEW(r->arena, struct v1_component_status_list);

	list->kind = S("ComponentStatusList");
	list->api_version = S("v1");
	for (size_t i = 0; i < run->n; i++) {
		struct v1_component_status *s = status_of(r->arena, &run->v[i]);
		const struct object *o = object_of(r, s);

		if (!o || !list_options_match(&run->options, o))
			continue;
		ARENA_PUSH(r->arena, &list->items, *s);
		ARENA_PUSH(r->arena, &objects, o);
	}
	if (r->out.as == AS_OBJECT)
		respond_other(r, 200, &v1_component_status_list_schema, list);
	else
		list_respond(r, &objects);
}

/* --- asking --- */

static void answer(struct run *run)
{
	run->r->on_gone = NULL;
	if (run->one)
		answer_one(run);
	else
		answer_list(run);
}

static void gone(struct request *r)
{
	struct run *run = r->state;

	for (size_t i = 0; i < run->n; i++)
		if (run->v[i].client)
			http_client_free(run->v[i].client);
}

static void on_response(void *user_data, const struct http_response *a, struct err *err)
{
	struct probed *c = user_data;
	struct run *run = c->run;
	struct arena *arena = run->r->arena;

	c->well = a && a->status >= 200 && a->status < 400;
	if (c->well)
		c->message = arena_str(arena, a->body);
	else if (a)
		c->message = arena_fmt(arena, "HTTP probe failed with statuscode: %d", a->status);
	else
		c->message = arena_fmt(arena, "Get \"%s/healthz\": %s", c->url, err_text(err));
	http_client_free(c->client);
	c->client = NULL;
	if (--run->in_flight == 0)
		answer(run);
}

static void ask(struct probed *c, void *ssl_ctx)
{
	struct http_client_opts opts = {
		.url = str_c(c->url), .connections_max = 1, .ssl_ctx = ssl_ctx};
	struct http_request q = {.method = "GET",
		.path = S("/healthz"),
		.timeout_ms = TIMEOUT_MS,
		.body_max = BODY_MAX,
		.on_response = on_response,
		.user_data = c};

	if (http_client_new(c->run->r->loop, &opts, &c->client, NULL) < 0)
		return;
	c->run->in_flight++;
	http_client_do(c->client, &q);
}

/* What runs in this process is well as long as the process is: a thread of it that fails ends it.
 */
static void add(struct run *run, const char *name, const char *url)
{
	struct request *r = run->r;

	if (run->one && !str_eqc(r->ctx.name, name))
		return;
	run->v[run->n++] = (struct probed){
		.run = run, .name = name, .url = url, .well = true, .message = S("ok")};
}

static void add_etcd(struct run *run)
{
	bool healthy = store_healthy(run->r->s->store);
	size_t n = run->n;

	add(run, "etcd-0", NULL);
	if (healthy || run->n == n)
		return;
	run->v[n].well = false;
	run->v[n].message = (struct str){0};
	run->v[n].error = S("etcd does not answer");
}

static void add_components(struct run *run)
{
	struct apiserver *s = run->r->s;
	bool inside = s->opts.components_inside;

	add(run, "controller-manager", inside ? NULL : "https://127.0.0.1:10257");
	if (store_is_shared(s->store))
		add_etcd(run);
	add(run, "scheduler", inside ? NULL : "https://127.0.0.1:10259");
}

/* Their certificates are their own matter: nothing is told to them. */
static int ask_all(struct run *run, struct err *err)
{
	const struct tls_client_opts tls = {.insecure = true};
	void *ssl_ctx = NULL;
	int r = tls_client_ctx(&tls, &ssl_ctx, err);

	for (size_t i = 0; r == 0 && i < run->n; i++)
		if (run->v[i].url)
			ask(&run->v[i], ssl_ctx);
	SSL_CTX_free(ssl_ctx);
	return r;
}

void handle_component_statuses(struct request *r)
{
	struct run *run = ARENA_NEW(r->arena, struct run);
	struct err err CLEANUP(err_release) = {0};
	int e = negotiate_output(r, &err);

	run->r = r;
	run->one = str_eqc(r->info.verb, "get");
	if (e == 0 && !run->one)
		e = list_options_read(r, false, &run->options, &err);
	if (e == 0)
		add_components(run);
	if (e == 0 && run->one && !run->n)
		e = err_not_found(&err, S(""), S("componentstatus"), r->ctx.name);
	r->state = run;
	r->on_gone = gone;
	if (e == 0)
		e = ask_all(run, &err);
	if (e < 0)
		respond_error(r, &err);
	else if (!run->in_flight)
		answer(run);
}
