#include "client/informer.h"

#include "client/rest_meter.h"

#include "json/reader.h"

enum {
	PAGE_OBJECTS = 500,
	LINE_MAX_BYTES = OBJECT_JSON_MAX + 64 * 1024,
	RETRY_MIN_MS = 50,
	RETRY_MAX_MS = 30 * 1000,
	WATCH_MIN_S = 300, /* a watch is asked to end after this, to twice this */
	WATCH_GRACE_MS = 30 * 1000,
};

struct informer {
	struct informer_opts o;
	int64_t sent_ns; /* the page under way was asked for then */
	char *selector;
	struct subscription *subs, **subs_tail;
	struct snapshot *copy;     /* what subscribers know */
	struct snapshot *building; /* while pages of a list arrive */
	char *next_page;           /* continue token, or NULL */
	struct http_call *call;    /* under way, or NULL */
	int watch_status;          /* of the watch's head */
	struct buf line; /* of the watch: what has arrived of the next line, or an error's body */
	bool progress;   /* the watch has told something */
	bool synced, must_list;
	int failures;              /* in a row */
	struct loop_timer retry;   /* the next attempt */
	struct loop_timer silence; /* the watch should have ended by itself */
};

static void start_list(struct informer *in);
static void start_watch(struct informer *in);

/* --- the pace --- */

static void again(struct loop_timer *t)
{
	struct informer *in = container_of(t, struct informer, retry);

	if (in->must_list)
		start_list(in);
	else
		start_watch(in);
}

/* Doubles with each failure in a row; the jitter keeps a thousand nodes from coming back at once.
 */
static void retry(struct informer *in, bool failed)
{
	int64_t ms = RETRY_MIN_MS;

	if (failed)
		in->failures++;
	else
		in->failures = 0;
	for (int i = 1; i < in->failures && ms < RETRY_MAX_MS; i++)
		ms *= 2;
	ms = MIN(ms, (int64_t)RETRY_MAX_MS);
	ms = ms / 2 + (int64_t)(loop_random(in->o.loop) % (uint64_t)ms);
	loop_timer_start(
		&in->retry, in->failures ? ms : (int64_t)(loop_random(in->o.loop) % RETRY_MIN_MS));
}

/* What was copied cannot be continued: list again. */
static void list_again(struct informer *in, bool failed)
{
	in->must_list = true;
	in->building = snapshot_unref(in->building);
	free(in->next_page);
	in->next_page = NULL;
	retry(in, failed);
}

static void tell(void *user_data, const struct store_event *ev)
{
	struct informer *in = user_data;

	for (struct subscription *s = in->subs; s; s = s->next)
		s->on_event(s->user_data, ev);
}

static void add_selector(struct informer *in, struct buf *path)
{
	if (!*in->selector)
		return;
	buf_add_c(path, "&fieldSelector=");
	http_escape(path, str_c(in->selector), false);
}

static struct http_request request(struct informer *in, const struct buf *path)
{
	return (struct http_request){
		.method = "GET",
		.path = buf_str(path),
		.headers = in->o.headers,
		.n_headers = in->o.n_headers,
		.user_data = in,
	};
}

/* --- listing --- */

static void read_list_meta(
	struct json_reader *r, struct str *ret_revision, struct str *ret_continue)
{
	struct str key;

	if (json_peek(r) != '{' || !json_enter(r, '{'))
		return;
	while (json_next_key(r, &key)) {
		bool string = json_peek(r) == '"';

		if (string && str_eqc(key, "resourceVersion"))
			json_read_string(r, ret_revision);
		else if (string && str_eqc(key, "continue"))
			json_read_string(r, ret_continue);
		else
			json_skip(r, NULL);
	}
}

static int read_items(struct informer *in, struct json_reader *r, struct err *err)
{
	struct object *o;
	struct str item;

	if (json_peek(r) != '[') { /* null: none */
		json_skip(r, NULL);
		return 0;
	}
	json_enter(r, '[');
	while (json_next_item(r)) {
		int rc = json_skip(r, &item) ? object_parse(in->o.resource, item, &o, err)
					     : err_bad_request(err, "%s", r->error);

		if (rc < 0)
			return rc;
		snapshot_put(&in->building, o, 0);
		object_unref(o);
	}
	return 0;
}

/* One page into in->building. *ret_revision is 0 unless the list says one. */
static int read_page(struct informer *in, struct str body, uint64_t *ret_revision, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct str key, revision = {0}, next = {0};
	struct json_reader r;
	int rc = 0;

	json_reader_init(&r, body, &a);
	if (json_peek(&r) == '{')
		json_enter(&r, '{');
	while (rc == 0 && json_next_key(&r, &key)) {
		if (str_eqc(key, "metadata"))
			read_list_meta(&r, &revision, &next);
		else if (str_eqc(key, "items"))
			rc = read_items(in, &r, err);
		else
			json_skip(&r, NULL);
	}
	if (rc < 0)
		return rc;
	if (!json_finish(&r))
		return err_bad_request(err, "%s", r.error);
	if (str_to_u64(revision, ret_revision) < 0)
		return err_bad_request(err, "the list has no resourceVersion");
	free(in->next_page);
	in->next_page = str_empty(next) ? NULL : xasprintf(STR_FMT, STR_ARG(next));
	return 0;
}

/* The list is complete: what it changes is told, and the watch goes on from it. */
static void list_done(struct informer *in, uint64_t revision)
{
	struct snapshot *old = in->copy;

	snapshot_stamp(&in->building, revision);
	in->copy = in->building;
	in->building = NULL;
	in->must_list = false;
	in->failures = 0;
	snapshot_diff(old, in->copy, tell, in);
	snapshot_unref(old);
	if (!in->synced) {
		in->synced = true;
		in->o.on_synced(in->o.user_data);
	}
	start_watch(in);
}

static void log_failure(struct informer *in, const char *what, const char *why)
{
	if (in->failures == 0) /* once, not with each attempt */
		log_warn("%s %s: %s", what, in->o.resource->plural, why);
}

static void on_page(void *user_data, const struct http_response *r, struct err *err)
{
	struct informer *in = user_data;
	struct err why CLEANUP(err_release) = {0};
	uint64_t revision;

	rest_meter_count(in->o.meter, "GET", r ? r->status : 0, in->sent_ns);
	in->call = NULL;
	if (!r)
		err_fmt(&why, 503, "", "%s", err_text(err));
	else if (r->status != 200)
		client_status_err(r->status, r->body, &why);
	else
		read_page(in, r->body, &revision, &why);
	if (err_set(&why)) {
		log_failure(in, "listing", err_text(&why));
		list_again(in, true);
	} else if (in->next_page) {
		start_list(in);
	} else {
		list_done(in, revision);
	}
}

static void start_list(struct informer *in)
{
	struct http_request rq;
	struct buf path;

	if (!in->building)
		in->building = snapshot_new(in->o.resource);
	buf_init(&path, 64 * 1024);
	client_collection_path(in->o.resource, S(""), &path);
	buf_fmt(&path, "?limit=%d", PAGE_OBJECTS);
	if (in->next_page) {
		buf_add_c(&path, "&continue=");
		http_escape(&path, str_c(in->next_page), false);
	}
	add_selector(in, &path);
	rq = request(in, &path);
	rq.on_response = on_page;
	in->sent_ns = metric_now_ns();
	in->call = http_client_do(in->o.http, &rq);
	buf_release(&path);
}

/* --- watching --- */

static void apply(struct informer *in, bool deleted, const struct object *o)
{
	const struct object *prev = snapshot_get(in->copy, o->ns, o->name);
	struct store_event ev = {STORE_ADDED, o, prev, o->revision};

	if (deleted && !prev) {
		snapshot_stamp(&in->copy, o->revision);
		return;
	}
	if (prev) {
		object_ref(prev);
		ev.type = deleted ? STORE_DELETED : STORE_MODIFIED;
	}
	if (deleted)
		snapshot_remove(&in->copy, o->ns, o->name, o->revision);
	else
		snapshot_put(&in->copy, o, o->revision);
	tell(in, &ev);
	object_unref(prev);
}

struct watch_line {
	struct str type, object;
};

static bool read_line(struct str line, struct arena *a, struct watch_line *ret)
{
	struct json_reader r;
	struct str key;

	json_reader_init(&r, line, a);
	if (json_peek(&r) == '{')
		json_enter(&r, '{');
	while (json_next_key(&r, &key)) {
		if (str_eqc(key, "type") && json_peek(&r) == '"')
			json_read_string(&r, &ret->type);
		else
			json_skip(&r, str_eqc(key, "object") ? &ret->object : NULL);
	}
	return json_finish(&r) && ret->object.n;
}

static uint64_t bookmark_revision(struct str object, struct arena *a)
{
	struct json_reader r;
	struct str key, revision = {0}, next;
	uint64_t value = 0;

	json_reader_init(&r, object, a);
	if (json_peek(&r) == '{')
		json_enter(&r, '{');
	while (json_next_key(&r, &key)) {
		if (str_eqc(key, "metadata"))
			read_list_meta(&r, &revision, &next);
		else
			json_skip(&r, NULL);
	}
	return str_to_u64(revision, &value) == 0 ? value : 0;
}

/* 0, or what ends the watch: -ESTALE when it cannot be continued from where it is. */
static int on_line(struct informer *in, struct str line, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct watch_line l = {0};
	struct object *o;
	int r;

	if (!read_line(line, &a, &l))
		return err_bad_request(err, "the watch sent a line that is no event");
	if (str_eqc(l.type, "ERROR"))
		return client_status_err(500, l.object, err);
	in->progress = true;
	if (str_eqc(l.type, "BOOKMARK")) {
		uint64_t revision = bookmark_revision(l.object, &a);

		if (revision > snapshot_revision(in->copy))
			snapshot_stamp(&in->copy, revision);
		return 0;
	}
	r = object_parse(in->o.resource, l.object, &o, err);
	if (r < 0)
		return r;
	apply(in, str_eqc(l.type, "DELETED"), o);
	object_unref(o);
	return 0;
}

/* The watch is over (or is being given up). */
static void watch_over(struct informer *in, int status, const char *why)
{
	bool failed = why || !in->progress;

	loop_timer_stop(&in->silence);
	if (status == 410) {
		list_again(in, !in->progress);
		return;
	}
	if (why)
		log_failure(in, "watching", why);
	retry(in, failed);
}

static void give_up(struct informer *in, int status, const char *why)
{
	http_call_cancel(in->call);
	in->call = NULL;
	watch_over(in, status, why);
}

static void on_head(void *user_data, const struct http_response *r, struct err *err)
{
	struct informer *in = user_data;

	rest_meter_count(in->o.meter, "GET", r ? r->status : 0, 0);
	if (r) {
		in->watch_status = r->status;
		return;
	}
	in->call = NULL;
	watch_over(in, 0, err_text(err));
}

static void on_data(void *user_data, struct str bytes)
{
	struct informer *in = user_data;
	struct err err CLEANUP(err_release) = {0};
	ssize_t end;

	while (in->watch_status == 200 && (end = str_chr(bytes, '\n')) >= 0) {
		int r;

		buf_add(&in->line, bytes.p, end);
		bytes = str_sub(bytes, end + 1, bytes.n);
		r = buf_failed(&in->line)
			    ? err_bad_request(&err, "the watch sent a line that is too long")
			    : on_line(in, buf_str(&in->line), &err);
		buf_reset(&in->line);
		if (r < 0) {
			give_up(in, err.code, err_text(&err));
			return;
		}
	}
	buf_add_str(&in->line, bytes);
}

static void on_end(void *user_data, struct err *err)
{
	struct informer *in = user_data;
	struct err why CLEANUP(err_release) = {0};

	in->call = NULL;
	if (in->watch_status != 200)
		client_status_err(in->watch_status, buf_str(&in->line), &why);
	watch_over(in, why.code, err_set(&why) ? err_text(&why) : NULL);
}

static void on_silence(struct loop_timer *t)
{
	give_up(container_of(t, struct informer, silence), 0, "the server has fallen silent");
}

static void start_watch(struct informer *in)
{
	int timeout_s = WATCH_MIN_S + (int)(loop_random(in->o.loop) % WATCH_MIN_S);
	struct http_request rq;
	struct buf path;

	buf_init(&path, 64 * 1024);
	client_collection_path(in->o.resource, S(""), &path);
	buf_fmt(&path, "?watch=true&allowWatchBookmarks=true&resourceVersion=%ju&timeoutSeconds=%d",
		(uintmax_t)snapshot_revision(in->copy), timeout_s);
	add_selector(in, &path);
	rq = request(in, &path);
	rq.on_response = on_head;
	rq.on_data = on_data;
	rq.on_end = on_end;
	in->progress = false;
	in->watch_status = 0;
	buf_reset(&in->line);
	in->call = http_client_do(in->o.http, &rq);
	loop_timer_start(&in->silence, timeout_s * INT64_C(1000) + WATCH_GRACE_MS);
	buf_release(&path);
}

/* --- life --- */

struct informer *informer_new(const struct informer_opts *opts)
{
	struct informer *in = xcalloc(1, sizeof(*in));

	in->o = *opts;
	in->selector = xstrdup(opts->field_selector);
	in->subs_tail = &in->subs;
	in->copy = snapshot_new(opts->resource);
	in->must_list = true;
	buf_init(&in->line, LINE_MAX_BYTES);
	loop_timer_init(&in->retry, opts->loop, again);
	loop_timer_init(&in->silence, opts->loop, on_silence);
	return in;
}

void informer_free(struct informer *in)
{
	if (in->call)
		http_call_cancel(in->call);
	loop_timer_stop(&in->retry);
	loop_timer_stop(&in->silence);
	for (struct subscription *s = in->subs, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	snapshot_unref(in->copy);
	snapshot_unref(in->building);
	buf_release(&in->line);
	free(in->next_page);
	free(in->selector);
	free(in);
}

bool informer_is(
	const struct informer *in, const struct schema_resource *res, const char *field_selector)
{
	return in->o.resource == res && strcmp(in->selector, field_selector) == 0;
}

void informer_subscribe(struct informer *in,
	void (*on_event)(void *user_data, const struct store_event *ev), void *user_data)
{
	struct subscription *s = xcalloc(1, sizeof(*s));

	s->on_event = on_event;
	s->user_data = user_data;
	*in->subs_tail = s;
	in->subs_tail = &s->next;
}

void informer_start(struct informer *in)
{
	loop_timer_start(&in->retry, 0);
}

bool informer_synced(const struct informer *in)
{
	return in->synced;
}

struct snapshot *informer_snapshot(struct informer *in)
{
	return snapshot_ref(in->copy);
}
