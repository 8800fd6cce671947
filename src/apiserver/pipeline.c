/*
 * pipeline.c: the way of every request: request info, authentication, authorization, route. What
 * comes behind the route (decode, default, admission, validation, commit) is in write.c and the
 * verbs' files.
 */
#include "apiserver/field.h"
#include "apiserver/server.h"
#include "http/websocket_exchange.h"

static bool is_write(struct str method)
{
	return str_eqc(method, "POST") || str_eqc(method, "PUT") || str_eqc(method, "PATCH") ||
	       str_eqc(method, "DELETE");
}

/* Streams into pods may have to wait for a webhook before they begin. */
static bool is_connect(struct str path)
{
	return str_ends(path, S("/exec")) || str_ends(path, S("/attach")) ||
	       str_ends(path, S("/portforward"));
}

static void on_close(struct http_exchange *x)
{
	struct request *r = x->user_data;

	audit_end(r);
	metrics_end(r->s->metrics, r, x->status);
	r->x = NULL;
	if (r->on_gone)
		r->on_gone(r);
	request_unref(r);
}

/* What a write needs after its peer is gone is copied into its own arena. */
static void take_parts(struct request *r, struct http_exchange *x, bool copy)
{
	struct str (*take)(struct arena *, struct str) = arena_str;

#define TAKE(s) (copy ? take(r->arena, (s)) : (s))
	r->method = TAKE(x->method);
	r->path = TAKE(x->path);
	r->raw_query = TAKE(x->query);
	r->body = x->body.n ? TAKE(x->body) : S("");
	r->content_type = TAKE(http_get_header(x, "Content-Type"));
	r->accept = TAKE(http_get_header(x, "Accept"));
	r->user_agent = TAKE(http_get_header(x, "User-Agent"));
#undef TAKE
}

static struct request *request_new(struct apiserver *s, struct http_exchange *x)
{
	struct request *r = xcalloc(1, sizeof(*r));

	r->s = s;
	r->x = x;
	r->loop = x->loop;
	r->detached = is_write(x->method) || is_connect(x->path);
	arena_init(&r->own);
	r->arena = &r->own;
	r->refs = 2; /* the exchange's, and handle()'s */
	r->now_ns = loop_wall_ns(x->loop);
	r->outside = (struct outside){.arena = r->arena, .loop = r->loop};
	take_parts(r, x, r->detached);
	x->user_data = r;
	x->on_close = on_close;
	metrics_begin(s->metrics, r);
	return r;
}

struct request *request_ref(struct request *r)
{
	r->refs++;
	return r;
}

void request_unref(struct request *r)
{
	assert(r->refs > 0);
	if (--r->refs)
		return;
	arena_release(&r->own);
	free(r);
}

static struct str_vec copy_strings(struct arena *a, const struct str_vec *from)
{
	struct str_vec to = {0};

	for (size_t i = 0; i < from->n; i++)
		ARENA_PUSH(a, &to, arena_str(a, from->v[i]));
	return to;
}

static void copy_user(struct arena *a, struct user_info *u)
{
	struct user_info from = *u;

	*u = (struct user_info){.name = arena_str(a, from.name),
		.uid = arena_str(a, from.uid),
		.groups = copy_strings(a, &from.groups)};
	for (size_t i = 0; i < from.extra.n; i++) {
		struct user_extra e = {.key = arena_str(a, from.extra.v[i].key),
			.values = copy_strings(a, &from.extra.v[i].values)};

		ARENA_PUSH(a, &u->extra, e);
	}
}

/* With an audit log the reason of the decision is wanted, too. */
static int authorize_audited(struct request *r, struct err *err)
{
	struct auth_answer answer;

	if (!r->audit)
		return authorize(r->s->auth, &r->outside, &r->info, &r->user, err);
	auth_ask(r->s->auth, &r->outside, r->arena, &r->user, &r->info, &answer);
	if (outside_waits(&r->outside))
		return -EACCES;
	if (answer.decision == AUTH_ALLOW || !answer.error.n) {
		audit_decision(r, answer.decision == AUTH_ALLOW, answer.reason);
		return answer.decision == AUTH_ALLOW
			       ? 0
			       : auth_refuse(&r->user, &r->info, answer.reason, err);
	}
	audit_annotate(r, S("authorization.k8s.io/reason"), S("internal error"));
	return err_fmt(err, 500, "InternalError", STR_FMT, STR_ARG(answer.error));
}

/* Each step once, however often an answer from elsewhere interrupts them. */
static int admit_user(struct request *r, struct err *err)
{
	const char *constraint = NULL;
	int ret = 0;

	if (!r->asked_ns)
		r->asked_ns = metric_now_ns();
	if (r->stage == UNKNOWN_USER) {
		ret = authenticate(r->s->auth, &r->outside, r->x, r->now_ns, &r->user, err);
		if (outside_waits(&r->outside))
			return ret;
		r->asked_ns = metrics_authenticated(r->s->metrics, ret == 0, r->asked_ns);
		r->stage = KNOWN_USER;
		audit_begin(r, ret == 0 ? &r->user : NULL);
	}
	if (ret == 0 && r->stage == KNOWN_USER) {
		ret = impersonate(
			r->s->auth, &r->outside, r->x, &r->info, &r->user, &constraint, err);
		if (outside_waits(&r->outside))
			return ret;
		r->stage = ACTING_USER;
		if (ret > 0)
			audit_impersonated(r, &r->user, constraint);
		if (ret >= 0 && r->detached)
			copy_user(r->arena, &r->user);
	}
	if (ret < 0)
		return ret;
	ret = authorize_audited(r, err);
	if (!outside_waits(&r->outside))
		metrics_authorized(r->s->metrics, ret == 0, r->asked_ns);
	return ret;
}

/* In the words of Go's server, not in a Status: what may be is not known. */
static void respond_undecided(struct request *r, const struct err *err)
{
	struct str uri = r->raw_query.n ? arena_fmt(r->arena, STR_FMT "?" STR_FMT, STR_ARG(r->path),
						  STR_ARG(r->raw_query))
					: r->path;

	respond_text(r, 500, "text/plain; charset=utf-8",
		arena_fmt(r->arena, "Internal Server Error: " STR_FMT ": " STR_FMT "\n",
			STR_ARG(go_quote(r->arena, uri)), STR_ARG(err->message)));
}

static void go_on(struct request *r);

static void asked(void *user_data)
{
	struct request *r = user_data;

	if (r->x)
		go_on(r);
	request_unref(r);
}

static void go_on(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	int ret = admit_user(r, &err);

	if (outside_waits(&r->outside))
		outside_ask(&r->outside, asked, request_ref(r));
	else if (ret == -EIO)
		respond_undecided(r, &err);
	else if (ret < 0)
		respond_error(r, &err);
	else
		route(r);
}

/* A watch or a log may be read over WebSocket; what else asks for an upgrade is relayed to others. */
static struct http_exchange *over_websocket(struct http_exchange *x)
{
	struct request_info info;
	struct query query;

	if (!websocket_wanted(x))
		return x;
	query_parse(&x->arena, x->query, &query);
	if (request_info_parse(&x->arena, x->method, x->path, &query, &info, NULL) < 0)
		return x;
	if (str_eqc(info.verb, "watch"))
		return websocket_exchange_new(x, WEBSOCKET_EVENTS);
	if (str_eqc(info.verb, "get") && str_eqc(info.subresource, "log"))
		return websocket_exchange_new(x, WEBSOCKET_BYTES);
	return x;
}

/* ?timeout= counts for what is answered at once (filters/request_deadline.go); ours are answered sooner. */
static int check_timeout(struct request *r, struct err *err)
{
	static const char *const streams[] = {"attach", "exec", "log", "portforward", "proxy"};
	struct str text = query_get(&r->query, "timeout"), problem;

	if (!text.n || str_eqc(r->info.verb, "watch"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
		if (str_eqc(r->info.subresource, streams[i]))
			return 0;
	problem = query_duration_problem(r->arena, text);
	if (!problem.n)
		return 0;
	return err_bad_request(err, "invalid timeout specified in the request URL - " STR_FMT,
		STR_ARG(problem));
}

static void handle(struct http_handler *h, struct http_exchange *real)
{
	struct apiserver *s = container_of(h, struct apiserver, handler);
	struct http_exchange *x = over_websocket(real);
	struct request *r = request_new(s, x);
	struct err err CLEANUP(err_release) = {0};

	query_parse(r->arena, r->raw_query, &r->query);
	if (request_info_parse(r->arena, r->method, r->path, &r->query, &r->info, &err) < 0 ||
		check_timeout(r, &err) < 0)
		respond_error(r, &err);
	else
		go_on(r);
	request_unref(r);
}

void pipeline_init(struct apiserver *s)
{
	s->handler.handle = handle;
}
