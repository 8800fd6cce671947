#include <stdio.h>
#include <zlib.h>

#include "apiserver/protobuf.h"
#include "apiserver/render.h"
#include "json/write.h"

enum {
	GZIP_MIN = 128 * 1024,        /* smaller answers are not worth compressing */
	BODY_MAX = 1 << 30,           /* of an answer that is built in memory */
	WARNINGS_RUNES_MAX = 4096,    /* all Warning headers together */
	WARNING_RUNES_TRUNCATED = 256 /* one of them, once there are too many */
};

/* --- Status --- */

static void add_member(struct buf *out, const char *name, struct str value, const char **comma)
{
	if (!value.n)
		return;
	buf_fmt(out, "%s\"%s\":", *comma, name);
	json_write_string(out, value);
	*comma = ",";
}

static void write_cause(struct buf *out, const struct err_cause *c)
{
	const char *comma = "";

	buf_add_char(out, '{');
	add_member(out, "reason", c->reason, &comma);
	add_member(out, "message", c->message, &comma);
	add_member(out, "field", c->field, &comma);
	buf_add_char(out, '}');
}

static void write_details(struct buf *out, const struct err *err)
{
	const char *comma = "";

	buf_add_c(out, "\"details\":{");
	add_member(out, "name", err->name, &comma);
	add_member(out, "group", err->group, &comma);
	add_member(out, "kind", err->kind, &comma);
	add_member(out, "uid", err->uid, &comma);
	for (size_t i = 0; i < err->causes.n; i++) {
		buf_add_c(out, i ? "," : comma);
		if (!i)
			buf_add_c(out, "\"causes\":[");
		write_cause(out, &err->causes.v[i]);
		comma = ",";
	}
	if (err->causes.n)
		buf_add_char(out, ']');
	if (err->retry_after_s)
		buf_fmt(out, "%s\"retryAfterSeconds\":%d", comma, err->retry_after_s);
	buf_add_c(out, "},");
}

void status_json(const struct err *err, struct buf *out)
{
	const char *comma = "";

	buf_add_c(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{");
	add_member(out, "continue", err->list_continue, &comma);
	buf_add_c(out, "},\"status\":\"Failure\"");
	comma = ",";
	add_member(out, "message", err->message, &comma);
	add_member(out, "reason", err->reason, &comma);
	buf_add_char(out, ',');
	if (err->has_details || err->retry_after_s)
		write_details(out, err);
	buf_fmt(out, "\"code\":%d}", err->code);
}

/* --- headers --- */

static size_t runes(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static struct str first_runes(struct str s, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] & 0xc0) != 0x80 && n++ == max)
			return str_sub(s, 0, i);
	return s;
}

/* RFC 7234 5.5: 299 - "text". Texts with control characters are left out, as upstream does. */
static void add_warning_header(struct request *r, struct str text)
{
	struct buf b;

	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return;
	buf_init(&b, 64 * 1024);
	buf_add_c(&b, "299 - \"");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_add_char(&b, '\\');
		buf_add_char(&b, text.p[i]);
	}
	buf_add_char(&b, '"');
	if (!buf_failed(&b))
		http_header(r->x, "Warning", buf_str(&b));
	buf_release(&b);
}

static void add_warnings(struct request *r)
{
	size_t total = 0, written = 0;
	bool truncate;

	for (size_t i = 0; i < r->warnings.n; i++)
		total += runes(r->warnings.v[i]);
	truncate = total > WARNINGS_RUNES_MAX;
	for (size_t i = 0; i < r->warnings.n && written < WARNINGS_RUNES_MAX; i++) {
		struct str text = r->warnings.v[i];

		if (truncate)
			text = first_runes(text, WARNING_RUNES_TRUNCATED);
		written += runes(text);
		add_warning_header(r, text);
	}
}

void respond_headers(struct request *r)
{
	http_header(r->x, "Audit-Id", request_audit_id(r));
	http_header(r->x, "Cache-Control", S("no-cache, private"));
	add_warnings(r);
}

/* --- bodies --- */

static bool accepts_gzip(struct request *r)
{
	struct str header = http_get_header(r->x, "Accept-Encoding"), token;

	while (header.n) {
		str_cut(header, ',', &token, &header);
		if (str_eqc(str_trim(token), "gzip"))
			return true;
	}
	return false;
}

static bool gzip(struct str in, struct buf *out)
{
	z_stream z = {0};
	char *p;
	bool ok;

	if (in.n > UINT32_MAX / 2 || deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, 0) != Z_OK)
		return false;
	p = buf_reserve(out, deflateBound(&z, in.n));
	z.next_in = (Bytef *)in.p;
	z.avail_in = (uInt)in.n;
	z.next_out = (Bytef *)p;
	z.avail_out = p ? (uInt)deflateBound(&z, in.n) : 0;
	ok = p && deflate(&z, Z_FINISH) == Z_STREAM_END;
	if (ok)
		out->n += z.total_out;
	deflateEnd(&z);
	return ok;
}

void respond_body(struct request *r, int code, const char *content_type, struct str body)
{
	struct buf b;

	if (body.n > GZIP_MIN && accepts_gzip(r) && !audit_wants_answer(r)) {
		buf_init(&b, BODY_MAX);
		if (gzip(body, &b)) {
			http_header(r->x, "Content-Encoding", S("gzip"));
			http_header(r->x, "Vary", S("Accept-Encoding"));
			body = buf_str(&b);
		}
		http_respond(r->x, code, content_type, body);
		buf_release(&b);
		return;
	}
	http_respond(r->x, code, content_type, body);
}

void respond_text(struct request *r, int code, const char *content_type, struct str body)
{
	if (!r->x)
		return;
	respond_headers(r);
	respond_body(r, code, content_type, body);
}

void respond_protobuf(struct request *r, int code, struct str message)
{
	respond_text(r, code, "application/vnd.kubernetes.protobuf", message);
}

static void send_protobuf(struct request *r, int code, struct str json)
{
	struct err err CLEANUP(err_release) = {0};
	struct buf b;

	buf_init(&b, BODY_MAX);
	if (protobuf_from_json(json, &b, &err) < 0) {
		respond_error(r, &err);
		buf_release(&b);
		return;
	}
	respond_protobuf(r, code, buf_str(&b));
	buf_release(&b);
}

static void send_json(struct request *r, int code, struct str json, const struct media *m)
{
	struct buf b;

	if (!r->x)
		return;
	if (m->type == MEDIA_PROTO) {
		send_protobuf(r, code, json);
		return;
	}
	respond_headers(r);
	buf_init(&b, BODY_MAX);
	if (m->type == MEDIA_YAML) {
		json_to_yaml(json, &b);
		respond_body(r, code, "application/yaml", buf_str(&b));
	} else if (m->pretty) {
		json_write_indent(&b, json);
		respond_body(r, code, "application/json", buf_str(&b));
	} else {
		buf_add_str(&b, json);
		buf_add_char(&b, '\n');
		respond_body(r, code, "application/json", buf_str(&b));
	}
	buf_release(&b);
}

void respond_json(struct request *r, int code, struct str json)
{
	send_json(r, code, json, &r->out);
}

void respond_error(struct request *r, struct err *err)
{
	struct media m;
	struct buf b;
	char delay[16];

	if (!r->x)
		return;
	assert(err_set(err));
	if (!negotiate_error(r, &m))
		m = (struct media){.pretty = true}; /* nothing the client accepts: raw JSON */
	if (err->retry_after_s) {
		snprintf(delay, sizeof(delay), "%d", err->retry_after_s);
		http_header(r->x, "Retry-After", str_c(delay));
	}
	buf_init(&b, BODY_MAX);
	status_json(err, &b);
	send_json(r, err->code, buf_str(&b), &m);
	buf_release(&b);
}

void respond_deleted(struct request *r, int code, struct str name, struct str uid)
{
	const char *comma = "";
	struct buf b;

	buf_init(&b, BODY_MAX);
	buf_add_c(&b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
		      "\"status\":\"Success\",\"details\":{");
	add_member(&b, "name", name, &comma);
	add_member(&b, "group", r->info.group, &comma);
	add_member(&b, "kind", r->info.resource, &comma);
	add_member(&b, "uid", uid, &comma);
	buf_add_c(&b, "}}");
	respond_json(r, code, buf_str(&b));
	buf_release(&b);
}

/* --- objects --- */

static struct str encode(struct arena *a, const struct schema_type *type, const void *typed)
{
	struct buf b;
	struct str s;

	buf_init(&b, BODY_MAX);
	schema_encode_json(type, typed, &b);
	s = arena_str(a, buf_str(&b));
	buf_release(&b);
	return s;
}

struct str render_partial(struct request *r, struct str json, struct arena *a)
{
	struct buf b;
	struct str s;

	buf_init(&b, BODY_MAX);
	partial_write(&b, r->out.v1beta1, metadata_json(json, a));
	s = arena_str(a, buf_str(&b));
	buf_release(&b);
	return s;
}

struct str render_view(struct request *r, void *typed, struct arena *a)
{
	void *view;

	if (convert(r->storage, typed, r->res, a, &view, NULL) < 0)
		return S("{}"); /* the router serves no resource that cannot be converted */
	set_type_meta(r->res, view, a);
	return encode(a, r->res->type, view);
}

struct str render_typed(struct request *r, void *typed, struct arena *a)
{
	struct str json = render_view(r, typed, a);

	return r->out.as == AS_OBJECT ? json : render_partial(r, json, a);
}

struct str render_object(struct request *r, const struct object *o, struct arena *a)
{
	struct str json = o->json;

	if (r->out.as == AS_OBJECT && r->res != r->storage)
		return render_view(r, object_decode(o, a), a);
	return r->out.as == AS_OBJECT ? json : render_partial(r, json, a);
}

void render_row(struct request *r, struct table *t, const struct object *o, struct buf *out)
{
	struct arena a = {0};
	void *typed = object_decode(o, &a);
	struct str json = o->json;

	if (t->include == INCLUDE_OBJECT && r->res != r->storage)
		json = render_view(r, typed, &a);
	table_row(t, &a, typed, json, metadata_json(json, &a), out);
	arena_release(&a);
}

int render_table_of(struct request *r, void *typed, struct buf *out, struct err *err)
{
	const struct meta_v1_object_meta *m = meta_of_const(r->storage, typed);
	struct str json, meta = S("{}");
	struct table t;
	int ret = table_init(&t, r, err);

	if (ret < 0)
		return ret;
	if (m->resource_version.n)
		meta = arena_fmt(r->arena, "{\"resourceVersion\":\"" STR_FMT "\"}",
			STR_ARG(m->resource_version));
	json = render_view(r, typed, r->arena);
	table_begin(&t, out, meta, true);
	table_row(&t, r->arena, typed, json, metadata_json(json, r->arena), out);
	table_end(&t, out);
	return 0;
}

/* The name that Go prints for the internal type: "*core.ConfigMap". */
static int refuse_partial_list(struct request *r, struct err *err)
{
	return err_fmt(err, 406, "NotAcceptable",
		"you requested PartialObjectMetadataList, but the requested object is not a list "
		"(*" STR_FMT ")",
		STR_ARG(internal_type_name(r->arena, r->storage, r->storage->kind)));
}

static void respond_as_table(struct request *r, int code, void *typed)
{
	struct err err CLEANUP(err_release) = {0};
	struct buf b;

	buf_init(&b, BODY_MAX);
	if (render_table_of(r, typed, &b, &err) < 0)
		respond_error(r, &err);
	else
		respond_json(r, code, buf_str(&b));
	buf_release(&b);
}

void respond_typed(struct request *r, int code, void *typed)
{
	struct err err CLEANUP(err_release) = {0};

	if (!r->x)
		return;
	if (r->out.as == AS_PARTIAL_LIST) {
		refuse_partial_list(r, &err);
		respond_error(r, &err);
	} else if (r->out.as == AS_TABLE) {
		respond_as_table(r, code, typed);
	} else {
		respond_json(r, code, render_typed(r, typed, r->arena));
	}
}

/* The stored bytes, untouched. */
static void respond_plain(struct request *r, int code, const struct object *o)
{
	char length[24];

	respond_headers(r);
	snprintf(length, sizeof(length), "%zu", o->json.n + 1);
	http_header(r->x, "Content-Type", S("application/json"));
	http_header(r->x, "Content-Length", str_c(length));
	http_start(r->x, code);
	http_write_object(r->x, o->json, o);
	http_write(r->x, S("\n"));
	http_end(r->x);
}

void respond_object(struct request *r, int code, const struct object *o)
{
	if (!r->x)
		return;
	if (render_is_plain(r) && r->out.type == MEDIA_JSON && !r->out.pretty &&
		o->json.n <= GZIP_MIN)
		respond_plain(r, code, o);
	else if (r->out.as == AS_OBJECT || r->out.as == AS_PARTIAL)
		respond_json(r, code, render_object(r, o, r->arena));
	else
		respond_typed(r, code, object_decode(o, r->arena));
}

void respond_other(struct request *r, int code, const struct schema_type *type, const void *typed)
{
	if (r->x)
		respond_json(r, code, encode(r->arena, type, typed));
}
