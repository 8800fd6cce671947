/*
 * watch.c: a collection's changes as a stream. Each event is its object's stored bytes in a small
 * frame; an object that comes into the selectors is ADDED, one that leaves them DELETED.
 */
#include <stdio.h>

#include "apiserver/list.h"
#include "apiserver/protobuf.h"
#include "apiserver/render.h"

enum {
	CHUNK = 64 * 1024,
	EVENT_MAX = 1 << 30,
	PENDING_MAX = 4 * 1024 * 1024, /* a watcher that has so much to read gets no more for now */
	BOOKMARK_MS = 60 * 1000,
	TIMEOUT_MIN_S = 1800, /* without timeoutSeconds: this to twice this, as upstream */
};

struct watcher {
	struct request *r;
	struct list_options o;
	struct store_watch *watch;
	struct loop_timer timeout, bookmark;
	struct table table;
	bool headers;                 /* the table's columns were sent */
	struct metric_series *events; /* counts them */
	uint64_t after;               /* what is not newer is not sent */
	struct buf buf;
};

/* --- frames --- */

static void flush(struct watcher *w)
{
	if (!w->buf.n || !w->r->x)
		return;
	http_write(w->r->x, buf_str(&w->buf));
	w->r->x->ops->flush(w->r->x);
	buf_reset(&w->buf);
}

static void frame(struct watcher *w, const char *type, struct str object)
{
	metric_add(w->events, 1);
	if (w->r->out.type == MEDIA_PROTO) {
		protobuf_event(type, object, &w->buf);
	} else {
		buf_fmt(&w->buf, "{\"type\":\"%s\",\"object\":", type);
		buf_add_str(&w->buf, object);
		buf_add_c(&w->buf, "}\n");
	}
	if (w->buf.n >= CHUNK)
		flush(w);
}

static void frame_table(struct watcher *w, const char *type, struct arena *a, void *typed,
	struct str json, uint64_t revision)
{
	struct str meta =
		arena_fmt(a, "{\"resourceVersion\":\"%llu\"}", (unsigned long long)revision);

	metric_add(w->events, 1);
	w->table.n_rows = 0;
	w->table.now_ns = loop_wall_ns(w->r->loop);
	buf_fmt(&w->buf, "{\"type\":\"%s\",\"object\":", type);
	table_begin(&w->table, &w->buf, meta, !w->headers);
	table_row(&w->table, a, typed, json, metadata_json(json, a), &w->buf);
	table_end(&w->table, &w->buf);
	buf_add_c(&w->buf, "}\n");
	w->headers = true;
}

/* The state before, under the revision of the change that took it out of sight. */
static struct str with_revision(const struct object *o, uint64_t revision, struct arena *a)
{
	char digits[24];
	size_t old =
		(size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)o->revision);
	struct str before = str_sub(o->json, 0, o->rv_at);
	struct str behind = str_sub(o->json, o->rv_at + old, o->json.n);

	return arena_fmt(a, STR_FMT "%llu" STR_FMT, STR_ARG(before), (unsigned long long)revision,
		STR_ARG(behind));
}

/* An object whose bytes are not what the client wants, or not under the right revision. */
static void send_rendered(
	struct watcher *w, const char *type, const struct object *o, uint64_t revision)
{
	struct request *r = w->r;
	struct arena a = {0};
	struct str json = o->json;
	void *typed = NULL;

	if (o->revision != revision)
		json = with_revision(o, revision, &a);
	if (r->out.as == AS_TABLE || r->res != r->storage) {
		typed = object_decode(o, &a);
		meta_of(r->storage, typed)->resource_version =
			arena_fmt(&a, "%llu", (unsigned long long)revision);
	}
	if (r->out.as == AS_TABLE) {
		if (r->res != r->storage)
			json = render_view(r, typed, &a);
		frame_table(w, type, &a, typed, json, revision);
	} else if (r->res != r->storage) {
		frame(w, type, render_typed(r, typed, &a));
	} else if (r->out.as == AS_OBJECT) {
		frame(w, type, json);
	} else {
		frame(w, type, render_partial(r, json, &a));
	}
	arena_release(&a);
}

static void send(struct watcher *w, const char *type, const struct object *o, uint64_t revision)
{
	if (render_is_plain(w->r) && o->revision == revision)
		frame(w, type, o->json);
	else
		send_rendered(w, type, o, revision);
}

/* An empty object that carries nothing but how far the watch has come. */
static void send_bookmark(struct watcher *w, uint64_t revision, bool initial_end)
{
	struct request *r = w->r;
	struct arena a = {0};
	void *typed = arena_alloc(&a, r->storage->type->size);
	struct meta_v1_object_meta *m = meta_of(r->storage, typed);

	m->resource_version = arena_fmt(&a, "%llu", (unsigned long long)revision);
	if (initial_end)
		ARENA_PUSH(&a, &m->annotations,
			((struct str_pair){S("k8s.io/initial-events-end"), S("true")}));
	if (r->out.as == AS_TABLE)
		frame_table(w, "BOOKMARK", &a, typed, render_view(r, typed, &a), revision);
	else
		frame(w, "BOOKMARK", render_typed(r, typed, &a));
	arena_release(&a);
}

static void send_error(struct watcher *w, const struct err *err)
{
	struct buf b;

	buf_init(&b, EVENT_MAX);
	status_json(err, &b);
	frame(w, "ERROR", buf_str(&b));
	buf_release(&b);
}

/* --- the stream --- */

static void end(struct watcher *w)
{
	flush(w);
	if (w->r->x)
		http_end(w->r->x); /* calls gone() */
}

static void gone(struct request *r)
{
	struct watcher *w = r->state;

	loop_timer_stop(&w->timeout);
	loop_timer_stop(&w->bookmark);
	metrics_watch(r->s->metrics, r, -1);
	if (w->watch)
		store_watch_close(w->watch);
	w->watch = NULL;
	buf_release(&w->buf);
}

static void on_event(struct watcher *w, const struct store_event *ev)
{
	bool now = ev->type != STORE_DELETED && list_options_match(&w->o, ev->object);
	bool before = ev->prev && list_options_match(&w->o, ev->prev);

	if (ev->revision <= w->after)
		return;
	if (w->r->out.as == AS_PARTIAL_LIST && (now || before)) {
		end(w); /* no event is a list: upstream gives up here, too */
		return;
	}
	if (now)
		send(w, before ? "MODIFIED" : "ADDED", ev->object, ev->revision);
	else if (before)
		send(w, "DELETED", ev->type == STORE_DELETED ? ev->object : ev->prev, ev->revision);
}

/* Everything that is there to read, as long as the peer takes it. */
static void pump(struct watcher *w)
{
	struct store_event ev;
	int r = 0;

	while (w->r->x && w->watch && w->r->x->pending < PENDING_MAX) {
		r = store_watch_next(w->watch, &ev);
		if (r <= 0)
			break;
		on_event(w, &ev);
	}
	if (r < 0)
		end(w); /* too slow: the history has gone on */
	else
		flush(w);
}

static void on_wake(struct store_watch *watch, void *user_data)
{
	struct watcher *w = user_data;
	struct request *r = request_ref(w->r);

	pump(w);
	request_unref(r);
}

static void on_writable(struct http_exchange *x)
{
	struct request *r = x->user_data;

	request_ref(r);
	pump(r->state);
	request_unref(r);
}

static void on_timeout(struct loop_timer *t)
{
	struct watcher *w = container_of(t, struct watcher, timeout);
	struct request *r = request_ref(w->r);

	if (w->o.bookmarks && w->watch)
		send_bookmark(w, store_watch_revision(w->watch), false);
	end(w);
	request_unref(r);
}

static void on_bookmark(struct loop_timer *t)
{
	struct watcher *w = container_of(t, struct watcher, bookmark);

	if (w->watch)
		send_bookmark(w, store_watch_revision(w->watch), false);
	flush(w);
	loop_timer_start(t, BOOKMARK_MS);
}

/* --- the beginning --- */

static void send_initial(struct watcher *w, struct snapshot *s)
{
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, w->o.ns, S(""), S(""));
	while ((o = snapshot_next(&it)))
		if (list_options_match(&w->o, o))
			send(w, "ADDED", o, o->revision);
	if (w->o.bookmarks)
		send_bookmark(w, snapshot_revision(s), true);
}

static int open_at(struct watcher *w, uint64_t version)
{
	struct request *r = w->r;
	int e = store_watch_open(r->s->store, r->storage, version, r->loop, on_wake, w, &w->watch);

	if (e != -ERANGE)
		return e;
	/* a version that is yet to come: what happens until then is not of interest */
	w->after = version;
	return store_watch_open(r->s->store, r->storage, store_revision(r->s->store), r->loop,
		on_wake, w, &w->watch);
}

static void start_timers(struct watcher *w)
{
	struct request *r = w->r;
	int64_t timeout_s = w->o.timeout_s;

	if (timeout_s <= 0)
		timeout_s = r->s->opts.watch_timeout_s;
	if (timeout_s <= 0)
		timeout_s = TIMEOUT_MIN_S + (int64_t)(loop_random(r->loop) % TIMEOUT_MIN_S);
	loop_timer_init(&w->timeout, r->loop, on_timeout);
	loop_timer_start(&w->timeout, timeout_s * 1000);
	loop_timer_init(&w->bookmark, r->loop, on_bookmark);
	if (w->o.bookmarks)
		loop_timer_start(&w->bookmark, BOOKMARK_MS);
}

static void start(struct watcher *w)
{
	struct request *r = w->r;

	respond_headers(r);
	http_header(r->x, "Content-Type",
		r->out.type == MEDIA_PROTO ? S("application/vnd.kubernetes.protobuf;stream=watch")
					   : S("application/json"));
	http_start(r->x, 200);
	r->x->ops->flush(r->x);
	r->state = w;
	r->on_gone = gone;
	metrics_watch(r->s->metrics, r, 1);
	r->x->on_writable = on_writable;
	start_timers(w);
}

/* Where the watch begins: 0 = with what is there now. */
static int read_version(
	struct request *r, const struct list_options *o, uint64_t *ret, struct err *err)
{
	uint64_t current = store_revision(r->s->store);

	if (!parse_version(o->resource_version, ret))
		return err_fmt(err, 500, "",
			"resourceVersion: Invalid value: " STR_FMT ": " STR_FMT,
			STR_ARG(go_quote(r->arena, o->resource_version)),
			STR_ARG(parse_version_error(r->arena, o->resource_version)));
	if (o->initial_events && *ret > current)
		return err_version_too_large(err, *ret, current);
	return 0;
}

static void run(struct watcher *w, uint64_t version)
{
	struct err err CLEANUP(err_release) = {0};
	struct request *r = w->r;
	struct snapshot *s = store_snapshot(r->s->store, r->storage);
	bool from_now = w->o.initial_events || !version;
	int e = open_at(w, from_now ? snapshot_revision(s) : version);

	if (e >= 0 && w->o.initial_events && r->x)
		send_initial(w, s);
	snapshot_unref(s);
	if (e < 0) {
		err_version_too_old(&err, version, store_revision(r->s->store));
		send_error(w, &err);
		end(w);
		return;
	}
	pump(w);
}

void handle_watch(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct watcher *w = ARENA_NEW(r->arena, struct watcher);
	uint64_t version;

	w->r = r;
	w->events = metrics_watch_events(r->s->metrics, r);
	buf_init(&w->buf, EVENT_MAX);
	if (negotiate_output(r, &err) < 0 || list_options_read(r, true, &w->o, &err) < 0 ||
		read_version(r, &w->o, &version, &err) < 0 ||
		(r->out.as == AS_TABLE && table_init(&w->table, r, &err) < 0) ||
		negotiate_stream(r, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	start(w);
	run(w, version);
}
