/* carry.c: carries the writes of a plan out: asynchronous calls, those of a wave at once, all of
 * them bounded. */
#include <inttypes.h>

#include "controllers/executor_priv.h"
#include "types.gen.h"

struct pending { /* one call, in its arena */
	struct executor *executor;
	struct carry *carry;
	const struct plan_write *write;
};

static const char *const verbs[] = {
	[PLAN_CREATE] = "create",
	[PLAN_UPDATE] = "update",
	[PLAN_UPDATE_STATUS] = "update",
	[PLAN_PATCH] = "patch",
	[PLAN_DELETE] = "delete",
	[PLAN_DELETE_COLLECTION] = "deletecollection",
	[PLAN_VERIFY_ABSENT] = "get",
};

static void carry_finish(struct executor *x, struct carry *c)
{
	struct item *item = c->item;
	int64_t requeue_ms = c->plan.requeue_ms;
	bool failed = c->failed;

	arena_release(&c->arena);
	free(c);
	item_finished(x, item, failed, requeue_ms);
}

static void queue_push(struct executor *x, struct carry *c)
{
	c->queued = true;
	c->next = NULL;
	if (x->carries.tail)
		x->carries.tail->next = c;
	else
		x->carries.head = c;
	x->carries.tail = c;
}

static void queue_pop(struct executor *x)
{
	struct carry *c = x->carries.head;

	c->queued = false;
	x->carries.head = c->next;
	if (!x->carries.head)
		x->carries.tail = NULL;
}

/* The creation of anything in a namespace that is going away is not worth repeating. */
static bool namespace_terminating(const struct err *err)
{
	for (size_t i = 0; i < err->causes.n; i++)
		if (str_eq(err->causes.v[i].reason, S("NamespaceTerminating")))
			return true;
	return false;
}

/* Whether the object of that uid is still there, as far as the answer tells. */
static bool is_present(const struct plan_write *w, const struct client_call *call)
{
	struct object *o CLEANUP(object_unref_ptr) = NULL;

	if (call->result < 0)
		return call->status != 404;
	return object_parse(w->resource, call->answer, &o, NULL) < 0 || str_eq(o->uid, w->uid);
}

static bool call_failed(const struct plan_write *w, const struct client_call *call)
{
	if (w->op == PLAN_VERIFY_ABSENT)
		return is_present(w, call);
	if (call->result >= 0)
		return false;
	if (w->ignore_not_found && call->status == 404)
		return false;
	if (w->ignore_exists && str_eq(call->err.reason, S("AlreadyExists")))
		return false;
	return !(w->op == PLAN_CREATE && namespace_terminating(&call->err));
}

static void record_outcome(
	const struct worker *w, const struct plan_write *pw, const struct client_call *call)
{
	struct arena a;
	struct str text = pw->event.message;

	if (!pw->event.about || (call->result < 0 && !pw->event.fail_reason) ||
		(call->result >= 0 && !pw->event.reason))
		return;
	if (call->result < 0 &&
		((call->status == 404 && pw->ignore_not_found) ||
			(pw->op == PLAN_CREATE && namespace_terminating(&call->err))))
		return;
	arena_init(&a);
	if (call->result < 0)
		text = arena_fmt(&a, "%s" STR_FMT, pw->event.fail_text, STR_ARG(call->err.message));
	else if (pw->event.text)
		text = arena_fmt(&a, "%s" STR_FMT, pw->event.text, STR_ARG(pw->name));
	recorder_event_object(w->recorder, pw->event.about, call->result < 0 ? "Warning" : "Normal",
		call->result < 0 ? pw->event.fail_reason : pw->event.reason, text);
	arena_release(&a);
}

static void pump(struct executor *x);

static void write_done(struct client_call *call)
{
	struct pending *p = call->user_data;
	struct executor *x = p->executor;
	struct carry *c = p->carry;
	const struct plan_write *w = p->write;

	x->in_flight--;
	c->in_flight--;
	record_outcome(c->item->worker, w, call);
	if (call_failed(w, call)) {
		/* being forbidden does not pass by itself: somebody has to hear of it */
		log_at(call->status == 403 ? LOG_WARN : LOG_DEBUG, "%s: %s %s " STR_FMT ": %s",
			c->item->worker->planner->name, verbs[w->op], w->resource->plural,
			STR_ARG(w->name), err_text(&call->err));
		if (!c->failed)
			item_set_failure(c->item, w, call);
		c->failed = true;
	} else if (w->want_answer) {
		item_set_answer(c->item, call->answer);
	} else if (call->result >= 0 && call->revision && w->op != PLAN_VERIFY_ABSENT) {
		item_wait_for(x, c->item, w->resource, call->revision);
	}
	if (c->in_flight == 0 && !c->queued) {
		if (c->next_write < c->plan.writes.n && !c->failed)
			queue_push(x, c);
		else
			carry_finish(x, c);
	}
	pump(x);
	if (x->ready.head)
		executor_wake(x);
}

static struct str delete_options(struct arena *a, const struct plan_write *w)
{
	struct str grace = S(""), uid = S(""), rv = S(""), prop = S("");

	if (w->grace_s >= 0)
		grace = arena_fmt(a, ",\"gracePeriodSeconds\":%" PRId64, w->grace_s);
	if (!str_empty(w->uid))
		uid = arena_fmt(a, "\"uid\":\"" STR_FMT "\"", STR_ARG(w->uid));
	if (w->revision)
		rv = arena_fmt(
			a, "%s\"resourceVersion\":\"%" PRIu64 "\"", uid.n ? "," : "", w->revision);
	if (w->propagation)
		prop = arena_fmt(a, ",\"propagationPolicy\":\"%s\"", w->propagation);
	return arena_fmt(a,
		"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\"" STR_FMT STR_FMT
		"%s" STR_FMT STR_FMT "%s}",
		STR_ARG(grace), STR_ARG(prop), uid.n || rv.n ? ",\"preconditions\":{" : "",
		STR_ARG(uid), STR_ARG(rv), uid.n || rv.n ? "}" : "");
}

static void launch(struct executor *x, struct carry *c, const struct plan_write *w)
{
	struct client *client = c->item->worker->client;
	struct client_call *call = client_call_new(client);
	struct pending *p = ARENA_NEW(&call->arena, struct pending);

	*p = (struct pending){x, c, w};
	call->verb = verbs[w->op];
	call->resource = w->resource;
	call->ns = w->ns;
	call->name = w->name;
	call->subresource = w->subresource;
	call->object = w->object;
	call->body_type = w->type;
	if (w->op == PLAN_CREATE && str_empty(w->subresource))
		call->name = S("");
	if (w->op == PLAN_PATCH) {
		call->body = w->patch;
		call->content_type = w->patch_type ? w->patch_type : "application/merge-patch+json";
	} else if (w->op == PLAN_DELETE || w->op == PLAN_DELETE_COLLECTION) {
		call->body = delete_options(&call->arena, w);
	}
	call->done = write_done;
	call->user_data = p;
	x->in_flight++;
	c->in_flight++;
	client_do(client, call);
}

/* Launches what may be launched: of each plan in turn the rest of its wave, until the limit is
 * reached. */
static void pump(struct executor *x)
{
	while (x->carries.head && x->in_flight < x->in_flight_max) {
		struct carry *c = x->carries.head;
		const struct plan_write *w = &c->plan.writes.v[c->next_write++];
		bool more = c->next_write < c->plan.writes.n && w[1].wave == w[0].wave;

		launch(x, c, w);
		if (!more)
			queue_pop(x);
	}
}

void carry_start(struct executor *x, struct carry *c)
{
	if (c->plan.writes.n == 0) {
		carry_finish(x, c);
		return;
	}
	queue_push(x, c);
	pump(x);
}
