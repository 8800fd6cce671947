/* objects.c: reads and polls config maps and secrets. */
#include "node/objects.h"

enum { POLL_MIN_MS = 2000, POLL_MAX_MS = 10000 };

struct watched {
	struct watched *next;
	struct objects *owner;
	const struct schema_resource *res;
	char *ns, *name;
	uint64_t revision; /* 0: not there */
	bool seen;
	int refs;
	bool asking, dead;
	int64_t changed_ms;
	struct loop_timer timer;
};

struct objects {
	struct client *client;
	objects_changed_fn *changed;
	void *user_data;
	struct watched *list;
};

struct objects *objects_new(struct client *client, objects_changed_fn *changed, void *user_data)
{
	struct objects *s = xcalloc(1, sizeof(*s));

	s->client = client;
	s->changed = changed;
	s->user_data = user_data;
	return s;
}

static void watched_free(struct watched *w)
{
	loop_timer_stop(&w->timer);
	free(w->ns);
	free(w->name);
	free(w);
}

void objects_free(struct objects *s)
{
	while (s->list) {
		struct watched *w = s->list;

		s->list = w->next;
		watched_free(w);
	}
	free(s);
}

/* --- one read --- */

struct get {
	objects_got_fn *done;
	void *user_data;
};

static void got(struct client_call *call)
{
	struct get *g = call->user_data;
	void *typed = NULL;
	int r = call->result;

	if (r == 0)
		r = schema_decode_json(
			call->resource->type, call->answer, &call->arena, NULL, &typed, &call->err);
	if (call->status == 404) /* the kubelet's own words */
		err_not_found(&call->err, S(""), str_c(call->resource->singular), call->name);
	if (r < 0 && !err_set(&call->err))
		err_internal(&call->err, "no answer from the API server");
	g->done(g->user_data, r < 0 ? NULL : typed, r < 0 ? &call->err : NULL);
	free(g);
}

void objects_get(struct objects *s, const struct schema_resource *res, struct str ns,
	struct str name, objects_got_fn *done, void *user_data)
{
	struct client_call *call = client_call_new(s->client);
	struct get *g = xcalloc(1, sizeof(*g));

	g->done = done;
	g->user_data = user_data;
	call->verb = "get";
	call->resource = res;
	call->ns = ns;
	call->name = name;
	call->done = got;
	call->user_data = g;
	client_do(s->client, call);
}

/* --- polling --- */

static void rearm(struct watched *w)
{
	int64_t age = loop_now_ms(client_loop(w->owner->client)) - w->changed_ms;

	loop_timer_start(&w->timer, MAX(POLL_MIN_MS, MIN(POLL_MAX_MS, age / 8)));
}

static void polled(struct client_call *call)
{
	struct watched *w = call->user_data;
	uint64_t now = call->result == 0 ? call->revision : 0;

	w->asking = false;
	if (w->dead) {
		watched_free(w);
		return;
	}
	if (call->result == 0 || call->status == 404) {
		if (w->seen && now != w->revision) {
			w->changed_ms = loop_now_ms(client_loop(w->owner->client));
			w->owner->changed(
				w->owner->user_data, w->res, str_c(w->ns), str_c(w->name));
		}
		w->revision = now;
		w->seen = true;
	}
	rearm(w);
}

static void poll_again(struct loop_timer *t)
{
	struct watched *w = container_of(t, struct watched, timer);
	struct client_call *call = client_call_new(w->owner->client);

	w->asking = true;
	call->verb = "get";
	call->resource = w->res;
	call->ns = str_c(w->ns);
	call->name = str_c(w->name);
	call->done = polled;
	call->user_data = w;
	client_do(w->owner->client, call);
}

static struct watched **find(
	struct objects *s, const struct schema_resource *res, struct str ns, struct str name)
{
	struct watched **at = &s->list;

	while (*at && ((*at)->res != res || !str_eqc(ns, (*at)->ns) || !str_eqc(name, (*at)->name)))
		at = &(*at)->next;
	return at;
}

static char *copy(struct str s)
{
	char *c = xmalloc(s.n + 1);

	memcpy(c, s.p ? s.p : "", s.n);
	c[s.n] = 0;
	return c;
}

void objects_watch(
	struct objects *s, const struct schema_resource *res, struct str ns, struct str name)
{
	struct watched **at = find(s, res, ns, name), *w = *at;

	if (!w) {
		w = xcalloc(1, sizeof(*w));
		w->owner = s;
		w->res = res;
		w->ns = copy(ns);
		w->name = copy(name);
		w->changed_ms = loop_now_ms(client_loop(s->client));
		loop_timer_init(&w->timer, client_loop(s->client), poll_again);
		w->next = s->list;
		s->list = w;
		loop_timer_start(&w->timer, 0);
	}
	w->refs++;
}

void objects_unwatch(
	struct objects *s, const struct schema_resource *res, struct str ns, struct str name)
{
	struct watched **at = find(s, res, ns, name), *w = *at;

	if (!w || --w->refs > 0)
		return;
	*at = w->next;
	if (w->asking)
		w->dead = true; /* freed when the answer is there */
	else
		watched_free(w);
}
