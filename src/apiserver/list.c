/* list.c: GET of a collection: one snapshot, its objects' bytes streamed as they are. */
#include "apiserver/list.h"

#include <stdio.h>

#include "apiserver/protobuf.h"
#include "apiserver/render.h"
#include "apiserver/retained.h"
#include "base/base64.h"
#include "json/value.h"
#include "json/write.h"

enum {
	CHUNK = 64 * 1024,
	LIST_MAX = 1 << 30, /* bytes of a list that is built in memory */
	GZIP_MIN = 128 * 1024,
	TOKEN_MAX = 4096,
};

/* --- continue tokens: base64url of upstream's JSON,
 * {"v":"meta.k8s.io/v1","rv":5,"start":"ns/name\0"} --- */

struct position {
	uint64_t revision; /* 0: the newest */
	struct str ns, name;
};

/* revision -1: whatever is newest then. */
static struct str token_make(
	struct request *r, struct str ns, struct str name, int64_t revision, bool all)
{
	struct str key = name, token;
	struct buf b;

	if (all && ns.n)
		key = arena_fmt(r->arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
	buf_init(&b, TOKEN_MAX);
	buf_fmt(&b, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%lld,\"start\":", (long long)revision);
	json_write_string(&b, str_n(arena_cstr(r->arena, key), key.n + 1)); /* with its NUL */
	buf_add_char(&b, '}');
	token = base64url_encode(buf_str(&b), r->arena);
	buf_release(&b);
	return token;
}

static int bad_token(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int bad_token(struct err *err, const char *fmt, ...)
{
	struct arena a = {0};
	va_list ap;
	struct str why;
	int r;

	va_start(ap, fmt);
	why = arena_vfmt(&a, fmt, ap);
	va_end(ap);
	r = err_bad_request(err, "invalid continue token: " STR_FMT, STR_ARG(why));
	arena_release(&a);
	return r;
}

/* A relative key without "..", "//" and the like. */
static bool is_clean(struct str key)
{
	struct str part, rest = key;

	if (rest.n && rest.p[0] == '/')
		rest = str_sub(rest, 1, rest.n);
	do {
		str_cut(rest, '/', &part, &rest);
		if (!part.n || str_eqc(part, ".") || str_eqc(part, ".."))
			return false;
	} while (rest.n);
	return key.p[key.n - 1] != '/';
}

static int token_parse(
	struct request *r, struct str token, bool all, struct position *ret, struct err *err)
{
	struct str json, start;
	struct json_value *v, *rv;
	size_t bad = base64url_decode(token, r->arena, &json);
	struct err why CLEANUP(err_release) = {0};
	int64_t revision = 0;

	if (bad)
		return bad_token(err,
			"continue key is not valid: illegal base64 data at input byte %zu",
			bad - 1);
	if (json_parse(json, r->arena, &v, &why) < 0)
		return bad_token(err, "continue key is not valid: %s", err_text(&why));
	if (v->kind != JSON_OBJECT)
		return bad_token(err,
			"continue key is not valid: json: cannot unmarshal %s into Go value of "
			"type storage.continueToken",
			v->kind == JSON_ARRAY    ? "array"
			: v->kind == JSON_STRING ? "string"
			: v->kind == JSON_BOOL   ? "bool"
						 : "number");
	if (!str_eqc(json_get_str(v, "v"), "meta.k8s.io/v1"))
		return bad_token(err,
			"continue key is not valid: server does not recognize this encoded "
			"version " STR_FMT,
			STR_ARG(json_get_str(v, "v")));
	rv = json_getc(v, "rv");
	start = json_get_str(v, "start");
	if (!rv || rv->kind != JSON_NUMBER || str_to_i64(rv->text, &revision) < 0 || !revision)
		return bad_token(err, "continue key is not valid: incorrect encoded start "
				      "resourceVersion (version meta.k8s.io/v1)");
	if (!start.n)
		return bad_token(err, "continue key is not valid: encoded start key empty "
				      "(version meta.k8s.io/v1)");
	if (!is_clean(start))
		return bad_token(err, "continue key is not valid: " STR_FMT, STR_ARG(start));
	if (start.p[start.n - 1] == '\0')
		start.n--;
	ret->revision = revision > 0 ? (uint64_t)revision : 0;
	if (!all || !str_cut(start, '/', &ret->ns, &ret->name)) {
		ret->name = start;
		ret->ns = r->ctx.ns;
	}
	return 0;
}

/* --- which snapshot --- */

static struct snapshot *snapshot_at(struct request *r, uint64_t revision)
{
	struct snapshot *s = store_snapshot(r->s->store, r->storage);

	if (!revision || snapshot_revision(s) == revision)
		return s;
	snapshot_unref(s);
	if (retained_is_compacted(r->s->retained, revision, store_revision(r->s->store), r->now_ns))
		return NULL;
	s = retained_get(r->s->retained, r->storage, revision, r->now_ns);
	return s ? s : snapshot_rewind(r->s->store, r->storage, revision, r->loop);
}

static int open_continue(struct request *r, const struct list_options *o, bool all,
	struct position *p, struct snapshot **ret, struct err *err)
{
	int e = token_parse(r, o->continue_, all, p, err);

	if (e < 0)
		return e;
	if (o->resource_version.n && !str_eqc(o->resource_version, "0"))
		return err_bad_request(
			err, "specifying resource version is not allowed when using continue");
	*ret = snapshot_at(r, p->revision);
	if (*ret)
		return 0;
	if (p->revision > store_revision(r->s->store))
		return err_version_too_large(err, p->revision, store_revision(r->s->store));
	e = err_fmt(err, 410, "Expired",
		"The provided continue parameter is too old to display a consistent list result. "
		"You can start a new list without the continue parameter, or use the continue "
		"token in this response to retrieve the remainder of the results. Continuing with "
		"the provided token results in an inconsistent list - objects that were created, "
		"modified, or deleted between the time the first chunk was returned and now may "
		"show up in the list.");
	if (err)
		err->list_continue = arena_str(&err->arena, token_make(r, p->ns, p->name, -1, all));
	return e;
}

static int open_exact(struct request *r, uint64_t version, struct snapshot **ret, struct err *err)
{
	uint64_t newest = store_revision(r->s->store);

	if (version > newest)
		return err_version_too_large(err, version, newest);
	*ret = snapshot_at(r, version);
	if (*ret)
		return 0;
	return err_fmt(
		err, 410, "Expired", "The resourceVersion for the provided list is too old.");
}

static int open_newest(struct request *r, const struct list_options *o, struct snapshot **ret,
	uint64_t *ret_revision, struct err *err)
{
	uint64_t version, current = store_revision(r->s->store);

	if (!parse_version(o->resource_version, &version))
		return err_bad_request(err,
			"invalid resource version: resourceVersion: Invalid value: " STR_FMT
			": " STR_FMT,
			STR_ARG(go_quote(r->arena, o->resource_version)),
			STR_ARG(parse_version_error(r->arena, o->resource_version)));
	if (version && (o->match == MATCH_EXACT || (o->match == MATCH_UNSET && o->limit > 0))) {
		*ret_revision = version;
		return open_exact(r, version, ret, err);
	}
	if (version > current)
		return err_version_too_large(err, version, current);
	*ret = store_snapshot(r->s->store, r->storage);
	*ret_revision = MAX(current, snapshot_revision(*ret));
	return 0;
}

/* --- the page --- */

static size_t count_rest(struct snapshot_iter *it)
{
	size_t n = 0;

	while (snapshot_next(it))
		n++;
	return n;
}

static void collect_one(struct request *r, const struct list_options *o, struct object_list *l)
{
	const struct object *obj = snapshot_get(l->snapshot, o->ns, o->name);

	if (obj && list_options_match(o, obj))
		ARENA_PUSH(r->arena, l, obj);
}

static void collect(struct request *r, const struct list_options *o, const struct position *from,
	bool all, struct object_list *l)
{
	struct snapshot_iter it;
	const struct object *obj, *last = NULL;

	snapshot_iter_init(&it, l->snapshot, o->ns, from->ns, from->name);
	while ((obj = snapshot_next(&it))) {
		if (o->limit > 0 && l->n >= (size_t)o->limit) {
			if (!list_options_filter(o))
				l->remaining = (int64_t)(1 + count_rest(&it));
			l->continue_ = token_make(r, last->ns, last->name,
				(int64_t)snapshot_revision(l->snapshot), all);
			retained_keep(r->s->retained, l->snapshot, r->storage, r->now_ns);
			return;
		}
		if (!list_options_match(o, obj))
			continue;
		last = obj;
		ARENA_PUSH(r->arena, l, obj);
	}
}

int list_read(
	struct request *r, const struct list_options *o, struct object_list *ret, struct err *err)
{
	struct position from = {0};
	bool all = r->storage->namespaced && !o->ns.n;
	struct object_list l = {.remaining = -1};
	int e;

	if (o->continue_.n)
		e = open_continue(r, o, all, &from, &l.snapshot, err);
	else
		e = open_newest(r, o, &l.snapshot, &l.revision, err);
	if (e < 0)
		return e;
	/* a token names the snapshot, so a page of one carries the snapshot's own revision */
	if (o->continue_.n || o->limit > 0 || !l.revision)
		l.revision = snapshot_revision(l.snapshot);
	if (o->name.n && (o->ns.n || !r->storage->namespaced))
		collect_one(r, o, &l);
	else
		collect(r, o, &from, all, &l);
	*ret = l;
	return 0;
}

void list_release(struct object_list *l)
{
	snapshot_unref(l->snapshot);
	l->snapshot = NULL;
}

/* --- the answer --- */

struct str list_meta_json(struct request *r, const struct object_list *l)
{
	struct buf b;
	struct str s;

	buf_init(&b, TOKEN_MAX * 2);
	buf_fmt(&b, "{\"resourceVersion\":\"%llu\"", (unsigned long long)l->revision);
	if (l->continue_.n)
		buf_fmt(&b, ",\"continue\":\"" STR_FMT "\"", STR_ARG(l->continue_));
	if (l->remaining >= 0)
		buf_fmt(&b, ",\"remainingItemCount\":%lld", (long long)l->remaining);
	buf_add_char(&b, '}');
	s = arena_str(r->arena, buf_str(&b));
	buf_release(&b);
	return s;
}

static struct str head(struct request *r, const struct object_list *l)
{
	struct str meta = list_meta_json(r, l);

	if (r->out.as == AS_PARTIAL_LIST)
		return arena_fmt(r->arena,
			"{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/%s\","
			"\"metadata\":" STR_FMT ",\"items\":[",
			r->out.v1beta1 ? "v1beta1" : "v1", STR_ARG(meta));
	return arena_fmt(r->arena,
		"{\"kind\":\"%s\",\"apiVersion\":\"" STR_FMT "\",\"metadata\":" STR_FMT
		",\"items\":[",
		r->res->list_kind, STR_ARG(group_version(r->arena, r->res)), STR_ARG(meta));
}

/* The bytes of one item: without kind and apiVersion, but in a list of another form. */
static void write_item(struct request *r, const struct object *o, struct buf *out)
{
	struct arena a = {0};
	struct str json;

	if (r->out.as == AS_PARTIAL_LIST) {
		partial_write(out, r->out.v1beta1, metadata_json(o->json, &a));
	} else if (r->res == r->storage) {
		buf_add_char(out, '{');
		buf_add_str(out, str_sub(o->json, o->item_at, o->json.n));
	} else {
		json = render_object(r, o, &a);
		buf_add_char(out, '{');
		buf_add_str(out, str_sub(json, (size_t)str_find(json, S("\"metadata\":")), json.n));
	}
	arena_release(&a);
}

static bool wants_stream(struct request *r, const struct object_list *l)
{
	return r->out.type == MEDIA_JSON && !r->out.pretty && render_is_plain(r) &&
	       !str_ieq(str_trim(http_get_header(r->x, "Accept-Encoding")), S("gzip")) &&
	       str_find(http_get_header(r->x, "Accept-Encoding"), S("gzip")) < 0;
}

/* Large writes of many objects' bytes; the length is known before. */
static void stream(struct request *r, const struct object_list *l)
{
	struct str begin = head(r, l), end = S("]}\n");
	size_t total = begin.n + end.n, unsent = 0;
	char length[24];

	for (size_t i = 0; i < l->n; i++)
		total += (i ? 2 : 1) + l->v[i]->json.n - l->v[i]->item_at;
	respond_headers(r);
	snprintf(length, sizeof(length), "%zu", total);
	http_header(r->x, "Content-Type", S("application/json"));
	http_header(r->x, "Content-Length", str_c(length));
	http_start(r->x, 200);
	http_write(r->x, begin);
	for (size_t i = 0; i < l->n && r->x; i++) {
		struct str item = str_sub(l->v[i]->json, l->v[i]->item_at, l->v[i]->json.n);

		http_write(r->x, i ? S(",{") : S("{"));
		http_write(r->x, item);
		unsent += item.n;
		if (unsent >= CHUNK && r->x) {
			http_flush(r->x);
			unsent = 0;
		}
	}
	if (r->x)
		http_write(r->x, end);
	if (r->x)
		http_end(r->x);
}

static void respond_table(struct request *r, const struct object_list *l)
{
	struct err err CLEANUP(err_release) = {0};
	struct table t;
	struct buf b;

	if (table_init(&t, r, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	buf_init(&b, LIST_MAX);
	table_begin(&t, &b, list_meta_json(r, l), true);
	for (size_t i = 0; i < l->n; i++)
		render_row(r, &t, l->v[i], &b);
	table_end(&t, &b);
	respond_json(r, 200, buf_str(&b));
	buf_release(&b);
}

static void respond_whole(struct request *r, const struct object_list *l)
{
	struct buf b;

	buf_init(&b, LIST_MAX);
	if (r->out.type == MEDIA_PROTO && r->out.as == AS_OBJECT) {
		protobuf_list(r, l, &b);
		respond_protobuf(r, 200, buf_str(&b));
		buf_release(&b);
		return;
	}
	buf_add_str(&b, head(r, l));
	if (!l->n && r->out.as == AS_PARTIAL_LIST) {
		b.n--; /* upstream's list of none is no list here */
		buf_add_c(&b, "null}");
		respond_json(r, 200, buf_str(&b));
		buf_release(&b);
		return;
	}
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			buf_add_char(&b, ',');
		write_item(r, l->v[i], &b);
	}
	buf_add_c(&b, "]}");
	respond_json(r, 200, buf_str(&b));
	buf_release(&b);
}

void list_respond(struct request *r, const struct object_list *l)
{
	struct err err CLEANUP(err_release) = {0};

	if (!r->x)
		return;
	if (r->out.as == AS_PARTIAL) {
		err_fmt(&err, 406, "NotAcceptable",
			"you requested PartialObjectMetadata, but the requested object is a list "
			"(*" STR_FMT ")",
			STR_ARG(internal_type_name(r->arena, r->storage, r->storage->list_kind)));
		respond_error(r, &err);
	} else if (r->out.as == AS_TABLE) {
		respond_table(r, l);
	} else if (wants_stream(r, l)) {
		stream(r, l);
	} else {
		respond_whole(r, l);
	}
}

void handle_list(struct request *r)
{
	struct err err CLEANUP(err_release) = {0};
	struct list_options o;
	struct object_list l;

	if (negotiate_output(r, &err) < 0 || list_options_read(r, false, &o, &err) < 0 ||
		list_read(r, &o, &l, &err) < 0) {
		respond_error(r, &err);
		return;
	}
	list_respond(r, &l);
	list_release(&l);
}
