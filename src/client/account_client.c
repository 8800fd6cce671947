#include "client/account_client.h"

#include "client/client_int.h"
#include "types.gen.h"

enum { TOKEN_S = 3600, RETRY_MS = 2000, WAITING_MAX = 4096 };

struct waiting {
	struct waiting *next;
	struct client_call *call;
};

struct account {
	struct client base;
	struct client *master, *inner;
	struct arena arena;
	struct str name;
	struct loop_timer timer;
	struct asking *asking; /* the request for a token that is under way */
	bool has_token;
	struct waiting *first, **last;
	size_t n_waiting;
};

/* In the call: outlives the account when that goes first. */
struct asking {
	struct account *account;
};

static struct account *account_of(const struct client *c)
{
	return container_of(c, struct account, base);
}

/* --- tokens --- */

static void release_waiting(struct account *a)
{
	while (a->first) {
		struct waiting *w = a->first;

		a->first = w->next;
		client_do(a->inner, w->call);
		free(w);
	}
	a->last = &a->first;
	a->n_waiting = 0;
}

static struct account *answered(struct client_call *call)
{
	struct account *a = ((struct asking *)call->user_data)->account;

	if (a)
		a->asking = NULL;
	return a;
}

static struct client_call *ask(struct account *a, void (*done)(struct client_call *call))
{
	struct client_call *call = client_call_new(a->master);

	a->asking = ARENA_NEW(&call->arena, struct asking);
	a->asking->account = a;
	call->verb = "create";
	call->resource = &v1_service_account_resource;
	call->ns = S("kube-system");
	call->done = done;
	call->user_data = a->asking;
	return call;
}

static void account_made(struct client_call *call)
{
	struct account *a = answered(call);

	if (!a)
		return;
	if (call->result < 0 && call->status != 409)
		log_warn("service account kube-system/" STR_FMT ": %s", STR_ARG(a->name),
			err_text(&call->err));
	loop_timer_start(&a->timer, call->result == 0 ? 0 : RETRY_MS);
}

static void make_account(struct account *a)
{
	struct client_call *call = ask(a, account_made);
	struct v1_service_account *sa = ARENA_NEW(&call->arena, struct v1_service_account);

	sa->metadata.name = a->name;
	sa->metadata.namespace = S("kube-system");
	call->object = sa;
	client_do(a->master, call);
}

static void got_token(struct client_call *call)
{
	struct account *a = answered(call);
	void *answer;

	if (!a)
		return;
	if (call->status == 404) {
		make_account(a);
		return;
	}
	if (call->result < 0 ||
		schema_decode_json(&authentication_v1_token_request_schema, call->answer,
			&call->arena, NULL, &answer, &call->err) < 0) {
		log_warn("token of kube-system/" STR_FMT ": %s", STR_ARG(a->name),
			err_text(&call->err));
		loop_timer_start(&a->timer, RETRY_MS);
		return;
	}
	client_http_set_token(
		a->inner, ((struct authentication_v1_token_request *)answer)->status.token);
	a->has_token = true;
	loop_timer_start(&a->timer, TOKEN_S * INT64_C(800)); /* of 1000 ms */
	release_waiting(a);
}

static void ask_token(struct loop_timer *t)
{
	struct account *a = container_of(t, struct account, timer);
	struct client_call *call = ask(a, got_token);
	struct authentication_v1_token_request *rq =
		ARENA_NEW(&call->arena, struct authentication_v1_token_request);

	rq->spec.expiration_seconds = ARENA_NEW(&call->arena, int64_t);
	*rq->spec.expiration_seconds = TOKEN_S;
	call->name = a->name;
	call->subresource = S("token");
	call->object = rq;
	call->body_type = &authentication_v1_token_request_schema;
	client_do(a->master, call);
}

/* --- the client --- */

static void account_subscribe(struct client *c, const struct schema_resource *res,
	const char *field_selector, void (*on_event)(void *user_data, const struct store_event *ev),
	void *user_data)
{
	client_subscribe(account_of(c)->inner, res, field_selector, on_event, user_data);
}

static void account_start(struct client *c, void (*on_synced)(void *user_data), void *user_data)
{
	client_start(account_of(c)->inner, on_synced, user_data);
}

static bool account_synced(const struct client *c)
{
	return client_synced(account_of(c)->inner);
}

static struct snapshot *account_snapshot(struct client *c, const struct schema_resource *res)
{
	return client_snapshot(account_of(c)->inner, res);
}

static bool account_caught_up(
	struct client *c, const struct schema_resource *res, uint64_t revision)
{
	return client_caught_up(account_of(c)->inner, res, revision);
}

static void account_do(struct client *c, struct client_call *call)
{
	struct account *a = account_of(c);
	struct waiting *w;

	if (a->has_token || a->n_waiting == WAITING_MAX) { /* the last are refused by the server */
		client_do(a->inner, call);
		return;
	}
	w = xcalloc(1, sizeof(*w));
	w->call = call;
	*a->last = w;
	a->last = &w->next;
	a->n_waiting++;
}

static void account_free(struct client *c)
{
	struct account *a = account_of(c);

	loop_timer_stop(&a->timer);
	if (a->asking)
		a->asking->account = NULL;
	while (a->first) {
		struct waiting *w = a->first;

		a->first = w->next;
		w->call->done = NULL;
		client_call_finish(w->call);
		free(w);
	}
	client_free(a->inner);
	arena_release(&a->arena);
	free(a);
}

static const struct client_ops account_ops = {
	.subscribe = account_subscribe,
	.start = account_start,
	.synced = account_synced,
	.snapshot = account_snapshot,
	.caught_up = account_caught_up,
	.do_call = account_do,
	.free = account_free,
};

struct client *account_client_new(struct client *master, struct client *inner, struct str account)
{
	struct account *a = xcalloc(1, sizeof(*a));

	a->base = (struct client){&account_ops, client_loop(master)};
	a->master = master;
	a->inner = inner;
	a->last = &a->first;
	a->name = arena_str(&a->arena, account);
	loop_timer_init(&a->timer, a->base.loop, ask_token);
	loop_timer_start(&a->timer, 0);
	return &a->base;
}
