/*
 * client_local.c: the API in the same process. Reads are the store's own snapshots and watches;
 * writes go through the API server's whole pipeline as exchanges that no socket carries.
 */
#include "client/client_int.h"

enum { ANSWER_MAX = 64 << 20 };

/* A resource with a selector, watched once however many subscribe to it. */
struct source {
	struct source *next;
	struct local *client;
	const struct schema_resource *resource;
	char *selector_text;
	struct field_selector selector;
	struct subscription *subs, **subs_tail;
	struct store_watch *watch;
	struct snapshot *seen; /* everything in it was told; what a gap is measured from */
};

struct local {
	struct client base;
	struct store *store;
	struct http_handler *handler;
	struct user_info user;
	struct str agent;   /* under which name its writes appear in metadata.managedFields */
	struct arena arena; /* user, selectors */
	struct source *sources, **sources_tail;
	struct local_call *calls;
	struct loop_timer start_timer; /* starting happens on a turn of its own */
	void (*on_synced)(void *user_data);
	void *user_data;
	bool synced;
};

static struct local *local_of(const struct client *c)
{
	return container_of(c, struct local, base);
}

/* --- reading --- */

static struct source *find_source(
	struct local *l, const struct schema_resource *res, const char *selector)
{
	for (struct source *s = l->sources; s; s = s->next)
		if (s->resource == res && strcmp(s->selector_text, selector) == 0)
			return s;
	return NULL;
}

static struct source *source_new(
	struct local *l, const struct schema_resource *res, const char *selector)
{
	struct source *s = xcalloc(1, sizeof(*s));
	int r;

	s->client = l;
	s->resource = res;
	s->selector_text = xstrdup(selector);
	r = field_selector_parse(arena_strc(&l->arena, selector), &l->arena, &s->selector, NULL);
	assert(r == 0 && "a selector that the program wrote");
	s->subs_tail = &s->subs;
	*l->sources_tail = s;
	l->sources_tail = &s->next;
	return s;
}

static void local_subscribe(struct client *c, const struct schema_resource *res,
	const char *field_selector, void (*on_event)(void *user_data, const struct store_event *ev),
	void *user_data)
{
	struct local *l = local_of(c);
	const char *selector = field_selector ? field_selector : "";
	struct source *s = find_source(l, res, selector);
	struct subscription *sub = xcalloc(1, sizeof(*sub));

	if (!s)
		s = source_new(l, res, selector);
	sub->on_event = on_event;
	sub->user_data = user_data;
	*s->subs_tail = sub;
	s->subs_tail = &sub->next;
}

/* Tells the subscribers, seen through the selector: an object that comes to match is added, one
 * that ceases to is deleted. */
static void tell(void *user_data, const struct store_event *ev)
{
	struct source *s = user_data;
	struct store_event e = *ev;
	bool now = ev->type != STORE_DELETED && field_selector_matches(&s->selector, ev->object);
	bool before = ev->prev && field_selector_matches(&s->selector, ev->prev);

	if (!now && !before)
		return;
	e.type = !before ? STORE_ADDED : now ? STORE_MODIFIED : STORE_DELETED;
	if (!before)
		e.prev = NULL;
	for (struct subscription *sub = s->subs; sub; sub = sub->next)
		sub->on_event(sub->user_data, &e);
}

static void on_wake(struct store_watch *w, void *user_data);

/* Watches from the newest state on, having told what leads there from the last one that was told
 * whole. */
static void catch_up(struct source *s)
{
	struct store *store = s->client->store;
	struct snapshot *now = store_snapshot(store, s->resource), *before = s->seen;
	int r;

	r = store_watch_open(store, s->resource, snapshot_revision(now), s->client->base.loop,
		on_wake, s, &s->watch);
	if (r < 0) { /* the history moved on meanwhile: it is that of a newer snapshot */
		snapshot_unref(now);
		catch_up(s);
		return;
	}
	s->seen = now;
	snapshot_diff(before, now, tell, s);
	snapshot_unref(before);
}

static void on_wake(struct store_watch *w, void *user_data)
{
	struct source *s = user_data;
	struct snapshot *target = store_snapshot(s->client->store, s->resource);
	struct store_event ev;
	int r;

	while ((r = store_watch_next(s->watch, &ev)) == 1)
		tell(s, &ev);
	if (r == 0) { /* then at least all of target was told */
		snapshot_unref(s->seen);
		s->seen = target;
		return;
	}
	snapshot_unref(target);
	store_watch_close(s->watch);
	catch_up(s);
	on_wake(s->watch, s);
}

static void start_now(struct loop_timer *t)
{
	struct local *l = container_of(t, struct local, start_timer);

	for (struct source *s = l->sources; s; s = s->next) {
		s->seen = snapshot_new(s->resource);
		catch_up(s);
	}
	l->synced = true;
	for (struct source *s = l->sources; s; s = s->next)
		on_wake(s->watch, s);
	if (l->on_synced)
		l->on_synced(l->user_data);
}

static void local_start(struct client *c, void (*on_synced)(void *user_data), void *user_data)
{
	struct local *l = local_of(c);

	l->on_synced = on_synced;
	l->user_data = user_data;
	loop_timer_start(&l->start_timer, 0);
}

static bool local_synced(const struct client *c)
{
	return local_of(c)->synced;
}

static struct snapshot *local_snapshot(struct client *c, const struct schema_resource *res)
{
	return store_snapshot(local_of(c)->store, res);
}

static bool local_caught_up(struct client *c, const struct schema_resource *res, uint64_t revision)
{
	return true;
}

/* --- writing --- */

/* An exchange without a connection: the answer is collected, then handed to done() on a later turn.
 */
struct local_call {
	struct http_exchange x;
	struct local *client;
	struct local_call *prev, *next; /* of the client's */
	struct client_call *call;
	struct http_header headers[2]; /* Content-Type, User-Agent */
	struct buf sent, answer;
	struct loop_timer done_timer;
};

static struct local_call *call_of(struct http_exchange *x)
{
	return container_of(x, struct local_call, x);
}

static void call_unlink(struct local_call *lc)
{
	if (lc->next)
		lc->next->prev = lc->prev;
	if (lc->prev)
		lc->prev->next = lc->next;
	else
		lc->client->calls = lc->next;
}

static void call_free(struct local_call *lc)
{
	loop_timer_stop(&lc->done_timer);
	arena_release(&lc->x.arena);
	buf_release(&lc->sent);
	buf_release(&lc->answer);
	free(lc);
}

/* The handler has let go of the exchange. */
static void on_done(struct loop_timer *t)
{
	struct local_call *lc = container_of(t, struct local_call, done_timer);
	struct client_call *call = lc->call;

	call_unlink(lc);
	if (!lc->x.ended || buf_failed(&lc->answer))
		client_call_failed(call, NULL);
	else
		client_call_answer(call, lc->x.status, buf_str(&lc->answer));
	client_call_finish(call);
	call_free(lc);
}

static void x_start(struct http_exchange *x)
{
}

static void x_write(struct http_exchange *x, struct str bytes)
{
	buf_add_str(&call_of(x)->answer, bytes);
}

static void x_write_object(struct http_exchange *x, struct str bytes, const struct object *o)
{
	buf_add_str(&call_of(x)->answer, bytes);
}

static void x_flush(struct http_exchange *x)
{
}

static void x_end(struct http_exchange *x)
{
	struct local_call *lc = call_of(x);

	if (x->on_close)
		x->on_close(x);
	loop_timer_start(&lc->done_timer, 0);
}

static struct conn *x_upgrade(struct http_exchange *x, struct err *err)
{
	err_bad_request(err, "an in-process request has no connection to upgrade");
	return NULL;
}

static const struct http_exchange_ops local_exchange_ops = {
	.start = x_start,
	.write = x_write,
	.write_object = x_write_object,
	.flush = x_flush,
	.end = x_end,
	.abort = x_end, /* not ended: a failure */
	.upgrade = x_upgrade,
};

static void set_target(struct http_exchange *x, const struct client_call *call)
{
	struct buf path;
	struct str target;

	buf_init(&path, 64 * 1024);
	client_call_path(call, &path);
	target = arena_str(&x->arena, buf_str(&path));
	buf_release(&path);
	str_cut(target, '?', &x->raw_path, &x->query);
	if (!http_unescape(&x->arena, x->raw_path, false, &x->path))
		assert(!"what was escaped can be unescaped");
}

static void local_do(struct client *c, struct client_call *call)
{
	struct local *l = local_of(c);
	struct local_call *lc = xcalloc(1, sizeof(*lc));
	struct http_exchange *x = &lc->x;

	lc->client = l;
	lc->call = call;
	lc->next = l->calls;
	if (lc->next)
		lc->next->prev = lc;
	l->calls = lc;
	buf_init(&lc->sent, OBJECT_JSON_MAX);
	buf_init(&lc->answer, ANSWER_MAX);
	loop_timer_init(&lc->done_timer, c->loop, on_done);
	x->loop = c->loop;
	x->ops = &local_exchange_ops;
	x->method = str_c(client_call_method(call));
	set_target(x, call);
	x->body = client_call_body(call, &lc->sent);
	lc->headers[0] =
		(struct http_header){S("Content-Type"), str_c(client_call_content_type(call))};
	lc->headers[1] = (struct http_header){S("User-Agent"), l->agent};
	x->headers = lc->headers;
	x->n_headers = ARRAY_SIZE(lc->headers);
	x->peer.user = &l->user;
	x->peer.address = S("127.0.0.1:0");
	l->handler->handle(l->handler, x);
}

/* --- life --- */

static void source_free(struct source *s)
{
	for (struct subscription *sub = s->subs, *next; sub; sub = next) {
		next = sub->next;
		free(sub);
	}
	if (s->watch)
		store_watch_close(s->watch);
	snapshot_unref(s->seen);
	free(s->selector_text);
	free(s);
}

static void local_free(struct client *c)
{
	struct local *l = local_of(c);

	while (l->calls) {
		struct local_call *lc = l->calls;

		call_unlink(lc);
		if (!loop_timer_armed(&lc->done_timer) && lc->x.on_close)
			lc->x.on_close(&lc->x); /* the peer went away */
		lc->call->done = NULL;
		client_call_finish(lc->call);
		call_free(lc);
	}
	for (struct source *s = l->sources, *next; s; s = next) {
		next = s->next;
		source_free(s);
	}
	loop_timer_stop(&l->start_timer);
	arena_release(&l->arena);
	free(l);
}

static const struct client_ops local_ops = {
	.subscribe = local_subscribe,
	.start = local_start,
	.synced = local_synced,
	.snapshot = local_snapshot,
	.caught_up = local_caught_up,
	.do_call = local_do,
	.free = local_free,
};

static void copy_user(struct arena *a, struct user_info *to, const struct user_info *from)
{
	*to = (struct user_info){.name = arena_str(a, from->name), .uid = arena_str(a, from->uid)};
	for (size_t i = 0; i < from->groups.n; i++)
		ARENA_PUSH(a, &to->groups, arena_str(a, from->groups.v[i]));
	for (size_t i = 0; i < from->extra.n; i++) {
		struct user_extra e = {.key = arena_str(a, from->extra.v[i].key)};

		for (size_t k = 0; k < from->extra.v[i].values.n; k++)
			ARENA_PUSH(a, &e.values, arena_str(a, from->extra.v[i].values.v[k]));
		ARENA_PUSH(a, &to->extra, e);
	}
}

/* The program that this user is in a cluster of several programs: what is written here appears
 * under the same manager there. */
static struct str agent_of(struct arena *a, struct str user)
{
	if (str_starts(user, S("system:serviceaccount:kube-system:")))
		return S("kube-controller-manager");
	if (str_eqc(user, "system:apiserver"))
		return S("kube-apiserver");
	if (str_starts(user, S("system:node:")))
		return S("kubelet");
	if (str_starts(user, S("system:")))
		return arena_str(a, str_sub(user, strlen("system:"), user.n));
	return arena_str(a, user);
}

struct client *client_local_new(struct loop *loop, struct store *store,
	struct http_handler *handler, const struct user_info *user)
{
	struct local *l = xcalloc(1, sizeof(*l));

	l->base = (struct client){&local_ops, loop};
	l->store = store;
	l->handler = handler;
	l->sources_tail = &l->sources;
	arena_init(&l->arena);
	copy_user(&l->arena, &l->user, user);
	l->agent = agent_of(&l->arena, user->name);
	loop_timer_init(&l->start_timer, loop, start_now);
	return &l->base;
}
