/*
 * object.c: the block of a stored object.
 *
 * One allocation: the struct, then the pairs of the labels, the field values, then the JSON, which every string of the
 * header points into (label keys and values with escapes and values of fields that are no strings get a copy behind it).
 * All positions are found in one pass over the metadata of the text that is stored, so a draft, a parsed object and a
 * committed one are built alike.
 */
#include "api/object.h"

#include "json/reader.h"
#include "json/value.h"
#include "schema/time.h"
#include "types.gen.h"

struct object *object_ref(const struct object *o)
{
	struct object *p = (struct object *)o;

	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

struct object *object_unref(const struct object *o)
{
	struct object *p = (struct object *)o;

	if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
		free(p);
	return NULL;
}

void object_unref_ptr(struct object **o)
{
	object_unref(*o);
}

static void unref_hook(void *o)
{
	object_unref(o);
}

const struct object *object_ref_in(struct arena *a, const struct object *o)
{
	arena_ref(a, unref_hook, object_ref(o));
	return o;
}

/* --- reading the header out of the JSON --- */

/* What the header needs, as views into the text or the scratch arena. */
struct facts {
	struct arena *a;
	struct str ns, name, uid, rv, controller_uid, deletion, generation;
	struct str_map labels;
	bool has_finalizers, has_owners;
	const char *metadata_rv; /* inside the quotes of resourceVersion */
	const char *item;        /* behind the comma that follows kind and apiVersion */
};

static void read_owner(struct json_reader *r, struct facts *f)
{
	struct str key, uid = {0};
	bool controller = false;
	char c;

	if (json_peek(r) != '{' || !json_enter(r, '{'))
		return;
	while (json_next_key(r, &key)) {
		c = json_peek(r);
		if (str_eqc(key, "uid") && c == '"')
			json_read_string(r, &uid);
		else if (str_eqc(key, "controller") && c == 't')
			controller = json_read_word(r, NULL);
		else
			json_skip(r, NULL);
	}
	if (controller)
		f->controller_uid = uid;
}

static void read_owners(struct json_reader *r, struct facts *f)
{
	if (json_peek(r) != '[') {
		json_skip(r, NULL);
		return;
	}
	json_enter(r, '[');
	while (json_next_item(r)) {
		f->has_owners = true;
		read_owner(r, f);
	}
}

static void read_labels(struct json_reader *r, struct facts *f)
{
	struct str_pair pair;

	if (json_peek(r) != '{') {
		json_skip(r, NULL);
		return;
	}
	json_enter(r, '{');
	while (json_next_key(r, &pair.key)) {
		if (json_peek(r) == '"' && json_read_string(r, &pair.value))
			ARENA_PUSH(f->a, &f->labels, pair);
		else
			json_skip(r, NULL);
	}
}

static void read_metadata(struct json_reader *r, struct facts *f)
{
	struct str key;

	if (json_peek(r) != '{' || !json_enter(r, '{'))
		return;
	while (json_next_key(r, &key)) {
		char c = json_peek(r);
		struct str *to = str_eqc(key, "name")			? &f->name
				 : str_eqc(key, "namespace")		? &f->ns
				 : str_eqc(key, "uid")			? &f->uid
				 : str_eqc(key, "resourceVersion")	? &f->rv
				 : str_eqc(key, "deletionTimestamp")	? &f->deletion
									: NULL;

		if (to == &f->rv)
			f->metadata_rv = r->p + 1;
		if (to && c == '"')
			json_read_string(r, to);
		else if (str_eqc(key, "labels"))
			read_labels(r, f);
		else if (str_eqc(key, "ownerReferences"))
			read_owners(r, f);
		else if (str_eqc(key, "generation"))
			json_skip(r, &f->generation);
		else {
			struct str value;

			if (json_skip(r, &value) && str_eqc(key, "finalizers"))
				f->has_finalizers = value.n > 2;
		}
	}
}

/* The value at a path of names below the object that r stands before: "spec.nodeName". */
static struct str read_path(struct json_reader *r, struct str path)
{
	struct str head, rest, key, value = {0};
	bool more = str_cut(path, '.', &head, &rest);

	if (json_peek(r) != '{' || !json_enter(r, '{'))
		return value;
	while (json_next_key(r, &key)) {
		if (!str_eq(key, head)) {
			json_skip(r, NULL);
			continue;
		}
		if (more)
			return read_path(r, rest);
		if (json_peek(r) == '"')
			json_read_string(r, &value);
		else
			json_skip(r, &value);
		return value;
	}
	return value;
}

static struct str find_path(struct str json, struct str path, struct arena *a)
{
	struct json_reader r;

	json_reader_init(&r, json, a);
	return read_path(&r, path);
}

/* The top level: where items begin, and the metadata. */
static int read_facts(struct str json, struct facts *f, struct err *err)
{
	struct json_reader r;
	struct str key;

	json_reader_init(&r, json, f->a);
	if (json_peek(&r) != '{')
		return err_bad_request(err, "%s", r.failed ? r.error : "an object is expected");
	json_enter(&r, '{');
	while (json_next_key(&r, &key)) {
		if (str_eqc(key, "metadata"))
			read_metadata(&r, f);
		else
			json_skip(&r, NULL);
		if (str_eqc(key, "apiVersion") && r.p < r.end)
			f->item = *r.p == ',' ? r.p + 1 : r.p;
	}
	if (!json_finish(&r))
		return err_bad_request(err, "%s", r.error);
	if (!f->metadata_rv || !f->item)
		return err_bad_request(err, "no apiVersion or metadata.resourceVersion");
	return 0;
}

/* --- building the block --- */

struct builder {
	const char *from; /* the text that views point into … */
	size_t from_n;
	char *to;   /* … and its place in the block */
	char *tail; /* for copies */
};

static bool inside(const struct builder *b, struct str s)
{
	return s.p >= b->from && s.p + s.n <= b->from + b->from_n;
}

static struct str placed(struct builder *b, struct str s)
{
	char *p;

	if (!s.p)
		return s;
	if (inside(b, s))
		return str_n(b->to + (s.p - b->from), s.n);
	p = b->tail;
	memcpy(p, s.p, s.n);
	p[s.n] = 0;
	b->tail += s.n + 1;
	return str_n(p, s.n);
}

static size_t n_selectable(const struct schema_resource *res)
{
	size_t n = 0;

	while (res->selectable && res->selectable[n])
		n++;
	return n;
}

static size_t copy_size(const struct builder *b, struct str s)
{
	return s.p && !inside(b, s) ? s.n + 1 : 0;
}

static int64_t time_ms(struct str text)
{
	struct k8s_time t;

	return text.n && k8s_time_parse(text, false, &t, NULL) == 0 ? k8s_time_ms(&t) : 0;
}

static struct object *build(const struct schema_resource *res, struct str json, const struct facts *f, struct arena *a)
{
	size_t n_fields = n_selectable(res), pairs, fields, copies = 0;
	struct builder b = {.from = json.p, .from_n = json.n};
	struct str *values = ARENA_ARRAY(a, struct str, n_fields + 1);
	struct object *o;

	for (size_t i = 0; i < n_fields; i++) {
		values[i] = find_path(json, str_c(res->selectable[i]), a);
		copies += copy_size(&b, values[i]);
	}
	for (size_t i = 0; i < f->labels.n; i++)
		copies += copy_size(&b, f->labels.v[i].key) + copy_size(&b, f->labels.v[i].value);
	copies += copy_size(&b, f->name) + copy_size(&b, f->ns) + copy_size(&b, f->uid) + copy_size(&b, f->controller_uid);
	pairs = f->labels.n * sizeof(struct str_pair);
	fields = n_fields * sizeof(struct str);
	o = xmalloc(sizeof(*o) + pairs + fields + json.n + 1 + copies);
	*o = (struct object){.refs = 1, .resource = res};
	o->labels = (struct str_map){(struct str_pair *)(o + 1), f->labels.n};
	o->fields = (struct str *)((char *)(o + 1) + pairs);
	b.to = (char *)(o + 1) + pairs + fields;
	b.tail = b.to + json.n + 1;
	memcpy(b.to, json.p, json.n);
	b.to[json.n] = 0;
	o->json = str_n(b.to, json.n);
	for (size_t i = 0; i < n_fields; i++)
		o->fields[i] = placed(&b, values[i]);
	for (size_t i = 0; i < f->labels.n; i++)
		o->labels.v[i] =
			(struct str_pair){placed(&b, f->labels.v[i].key), placed(&b, f->labels.v[i].value)};
	o->ns = placed(&b, f->ns);
	o->name = placed(&b, f->name);
	o->uid = placed(&b, f->uid);
	o->controller_uid = placed(&b, f->controller_uid);
	o->deletion_ms = time_ms(f->deletion);
	str_to_i64(f->generation, &o->generation);
	o->has_finalizers = f->has_finalizers;
	o->has_owners = f->has_owners;
	o->rv_at = f->metadata_rv - json.p;
	o->item_at = f->item - json.p;
	return o;
}

/* --- drafts --- */

/* Writes the struct with the resource's own kind and apiVersion and an empty resourceVersion, whatever it says: on a
 * shallow copy, since metadata is a member of the struct. */
static int write_draft(const struct schema_resource *res, const void *typed, struct arena *a, struct buf *out)
{
	const struct schema_field *kind = schema_field_find(res->type, S("kind"));
	const struct schema_field *version = schema_field_find(res->type, S("apiVersion"));
	const struct schema_field *metadata = schema_field_find(res->type, S("metadata"));
	char *copy = arena_memdup(a, typed, res->type->size);
	struct meta_v1_object_meta *meta;

	assert(kind && version && metadata && metadata->type == &meta_v1_object_meta_schema);
	*(struct str *)(copy + kind->offset) = str_c(res->kind);
	*(struct str *)(copy + version->offset) =
		*res->group ? arena_fmt(a, "%s/%s", res->group, res->version) : str_c(res->version);
	meta = (struct meta_v1_object_meta *)(copy + metadata->offset);
	meta->resource_version = S("0"); /* written, so that there is a place for it; see strip_revision() */
	schema_encode_json(res->type, copy, out);
	return buf_failed(out) ? -E2BIG : 0;
}

/* Takes the stand-in digit out: `"resourceVersion":"0"` becomes `"resourceVersion":""`. */
static int strip_revision(struct buf *json, struct facts *f, struct err *err)
{
	int r = read_facts(buf_str(json), f, err);
	size_t at;

	if (r < 0)
		return r;
	at = f->metadata_rv - json->p;
	memmove(json->p + at, json->p + at + 1, json->n - at); /* with the NUL */
	json->n--;
	arena_release(f->a);
	*f = (struct facts){.a = f->a};
	return read_facts(buf_str(json), f, err);
}

int object_draft(const struct schema_resource *res, const void *typed, struct object **ret, struct err *err)
{
	struct buf json CLEANUP(buf_release) = {0};
	struct arena scratch CLEANUP(arena_release) = {0};
	struct facts f = {.a = &scratch};
	int r;

	res = res->storage_resource;
	buf_init(&json, OBJECT_JSON_MAX);
	if (write_draft(res, typed, &scratch, &json) < 0) {
		err_fmt(err, 413, "RequestEntityTooLarge", "the object is larger than %d bytes", OBJECT_JSON_MAX);
		return -E2BIG;
	}
	r = strip_revision(&json, &f, err);
	if (r < 0)
		return r;
	*ret = build(res, buf_str(&json), &f, &scratch);
	return 0;
}

int object_parse(const struct schema_resource *res, struct str json, struct object **ret, struct err *err)
{
	struct arena scratch CLEANUP(arena_release) = {0};
	struct facts f = {.a = &scratch};
	uint64_t revision;
	int r = read_facts(json, &f, err);

	if (r < 0)
		return r;
	if (str_to_u64(f.rv, &revision) < 0)
		return err_bad_request(err, "metadata.resourceVersion is no number");
	*ret = build(res, json, &f, &scratch);
	(*ret)->revision = revision;
	return 0;
}

struct object *object_commit(const struct object *draft, uint64_t revision)
{
	struct arena scratch CLEANUP(arena_release) = {0};
	struct buf json CLEANUP(buf_release) = {0};
	struct facts f = {.a = &scratch};
	struct object *o;
	int r;

	buf_init(&json, OBJECT_JSON_MAX + 32);
	buf_reserve(&json, draft->json.n + 24);
	buf_add(&json, draft->json.p, draft->rv_at);
	buf_add_u64(&json, revision);
	buf_add(&json, draft->json.p + draft->rv_at, draft->json.n - draft->rv_at);
	r = read_facts(buf_str(&json), &f, NULL);
	assert(r == 0 && !buf_failed(&json)); /* the draft was read, too */
	o = build(draft->resource, buf_str(&json), &f, &scratch);
	o->revision = revision;
	return o;
}

/* --- reading --- */

void *object_decode(const struct object *o, struct arena *a)
{
	void *v = NULL;
	int r = schema_decode_json(o->resource->type, o->json, a, NULL, &v, NULL);

	assert(r == 0);
	return v;
}

struct meta_v1_object_meta *object_meta(const struct object *o, struct arena *a)
{
	struct str key, text = S("{}");
	struct json_reader r;
	void *v = NULL;
	int ok;

	json_reader_init(&r, o->json, a);
	json_peek(&r);
	json_enter(&r, '{');
	while (json_next_key(&r, &key))
		if (json_skip(&r, str_eqc(key, "metadata") ? &text : NULL) && str_eqc(key, "metadata"))
			break;
	ok = schema_decode_json(&meta_v1_object_meta_schema, text, a, NULL, &v, NULL);
	assert(ok == 0);
	return v;
}

struct str object_field(const struct object *o, struct str name)
{
	const char *const *known = o->resource->selectable;

	if (str_eqc(name, "metadata.name"))
		return o->name;
	if (str_eqc(name, "metadata.namespace"))
		return o->ns;
	for (size_t i = 0; known && known[i]; i++)
		if (str_eqc(name, known[i]))
			return o->fields[i];
	return (struct str){0};
}
