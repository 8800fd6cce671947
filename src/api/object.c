/*
 * object.c: the block of a stored object.
 *
 * One allocation: the struct, then the pairs of the labels, the field values, then the JSON, which
 * every string of the header points into (label keys and values with escapes and values of fields
 * that are no strings get a copy behind it). All positions are found in one pass over the metadata
 * of the text that is stored, so a draft, a parsed object and a committed one are built alike.
 */
#include "api/object.h"

#include <stdio.h>

#include "json/reader.h"
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
		struct str *to = str_eqc(key, "name")                ? &f->name
				 : str_eqc(key, "namespace")         ? &f->ns
				 : str_eqc(key, "uid")               ? &f->uid
				 : str_eqc(key, "resourceVersion")   ? &f->rv
				 : str_eqc(key, "deletionTimestamp") ? &f->deletion
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

/* The top level: where items begin, and the metadata. */
static int read_facts(struct str json, struct facts *f, struct err *err)
{
	bool kind_first = false;
	struct json_reader r;
	struct str key;

	json_reader_init(&r, json, f->a);
	if (json_peek(&r) != '{')
		return err_bad_request(err, "%s", r.failed ? r.error : "an object is expected");
	json_enter(&r, '{');
	for (int i = 0; json_next_key(&r, &key); i++) {
		if (str_eqc(key, "metadata"))
			read_metadata(&r, f);
		else
			json_skip(&r, NULL);
		kind_first |= i == 0 && str_eqc(key, "kind");
		if (i == 1 && kind_first && str_eqc(key, "apiVersion") && r.p < r.end &&
			*r.p == ',')
			f->item = r.p + 1;
	}
	if (!json_finish(&r))
		return err_bad_request(err, "%s", r.error);
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

/* Field selectors whose name is not the path of the field. */
static const struct {
	const char *name, *path, *fallback;
} aliases[] = {
	{"status.successful", "status.succeeded", NULL},
	{"source", "source.component", "reportingComponent"},
};

static size_t n_selectable(const struct schema_resource *res)
{
	size_t n = 0;

	while (res->selectable && res->selectable[n])
		n++;
	return n;
}

/* The text of the field at a path in a struct; a number or bool that is absent has its zero. */
static struct str value_at(
	const struct schema_type *t, const char *v, struct str path, struct arena *a)
{
	const struct schema_field *f;
	struct str head;

	do {
		bool more = str_cut(path, '.', &head, &path);

		f = schema_field_find(t, head);
		assert(f && f->shape == SCHEMA_ONE && more == (f->kind == SCHEMA_MESSAGE));
		v = v ? v + f->offset : NULL;
		if (v && schema_is_boxed(f))
			v = *(const char *const *)v;
		t = f->type;
	} while (t);
	if (f->kind == SCHEMA_BOOL)
		return v && *(const bool *)v ? S("true") : S("false");
	if (f->kind == SCHEMA_INT32 || f->kind == SCHEMA_INT64)
		return arena_fmt(a, "%lld",
			!v                        ? 0LL
			: f->kind == SCHEMA_INT32 ? *(const int32_t *)v
						  : (long long)*(const int64_t *)v);
	assert(f->kind == SCHEMA_STRING);
	return v ? *(const struct str *)v : (struct str){0};
}

/* The path of a selectable field, and that of the field that stands in when it is empty, or NULL.
 */
static const char *path_of(const char *name, const char **ret_fallback)
{
	*ret_fallback = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (strcmp(aliases[i].name, name) == 0) {
			*ret_fallback = aliases[i].fallback;
			return aliases[i].path;
		}
	return name;
}

static struct str *selectable_values(
	const struct schema_resource *res, const void *typed, struct arena *a)
{
	size_t n = n_selectable(res);
	struct str *values = ARENA_ARRAY(a, struct str, n + 1);

	for (size_t i = 0; i < n; i++) {
		const char *fallback, *path = path_of(res->selectable[i], &fallback);

		values[i] = value_at(res->type, typed, str_c(path), a);
		if (values[i].n == 0 && fallback)
			values[i] = value_at(res->type, typed, str_c(fallback), a);
	}
	return values;
}

/* The same out of the JSON, without decoding what nobody asks for: a store that opens reads every
 * object it has. */
struct wanted {
	struct str path, value;
};

enum { PATH_MAX_BYTES = 128 };

static struct str read_scalar(struct json_reader *r, char first)
{
	struct str value = {0};

	if (first == '"')
		json_read_string(r, &value);
	else if (first == 't' || first == 'f')
		value = json_read_word(r, NULL) && first == 't' ? S("true") : S("false");
	else
		json_skip(r, first == '-' || (first >= '0' && first <= '9') ? &value : NULL);
	return value;
}

enum match { MATCH_NONE, MATCH_BELOW, MATCH_EXACT };

/* Whether `key`, in an object whose path (with a dot behind it) is the first n bytes of `path`, is
 * the wanted field or leads to it. */
static enum match match(const struct wanted *w, const char *path, size_t n, struct str key)
{
	struct str rest;

	if (w->path.n < n + key.n || memcmp(w->path.p, path, n))
		return MATCH_NONE;
	rest = str_sub(w->path, n, w->path.n);
	if (!str_starts(rest, key))
		return MATCH_NONE;
	if (rest.n == key.n)
		return MATCH_EXACT;
	return rest.p[key.n] == '.' ? MATCH_BELOW : MATCH_NONE;
}

static void read_wanted(
	struct json_reader *r, char path[PATH_MAX_BYTES], size_t n, struct wanted *v, size_t n_v)
{
	struct str key, value;

	while (json_next_key(r, &key)) {
		enum match best = MATCH_NONE;
		char first = json_peek(r);

		for (size_t i = 0; i < n_v; i++)
			best = MAX(best, match(&v[i], path, n, key));
		if (best == MATCH_EXACT) {
			value = read_scalar(r, first);
			for (size_t i = 0; i < n_v; i++)
				if (match(&v[i], path, n, key) == MATCH_EXACT)
					v[i].value = value;
		} else if (best == MATCH_BELOW && first == '{') {
			assert(n + key.n < PATH_MAX_BYTES);
			memcpy(path + n, key.p, key.n);
			path[n + key.n] = '.';
			json_enter(r, '{');
			read_wanted(r, path, n + key.n + 1, v, n_v);
		} else {
			json_skip(r, NULL);
		}
	}
}

static struct str *stored_values(
	const struct schema_resource *res, struct str json, struct arena *a)
{
	size_t n = n_selectable(res), n_wanted = 0;
	struct wanted *wanted = ARENA_ARRAY(a, struct wanted, 2 * n + 1);
	struct str *values = ARENA_ARRAY(a, struct str, n + 1);
	char path[PATH_MAX_BYTES];
	struct json_reader r;

	for (size_t i = 0; i < n; i++) {
		const char *fallback, *at = path_of(res->selectable[i], &fallback);

		wanted[n_wanted++].path = str_c(at);
		wanted[n_wanted++].path = str_c(fallback ? fallback : at);
	}
	json_reader_init(&r, json, a);
	json_peek(&r);
	json_enter(&r, '{');
	read_wanted(&r, path, 0, wanted, n_wanted);
	for (size_t i = 0; i < n; i++) {
		struct wanted *w = wanted + 2 * i;

		values[i] = w[0].value.n ? w[0].value : w[1].value;
		if (values[i].n == 0) /* a number or bool that is absent has a text, too */
			values[i] = value_at(res->type, NULL, w[0].path, a);
	}
	return values;
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

static struct object *build(const struct schema_resource *res, struct str json,
	const struct facts *f, const struct str *values)
{
	size_t n_fields = n_selectable(res), pairs, fields, copies = 0;
	struct builder b = {.from = json.p, .from_n = json.n};
	struct object *o;

	for (size_t i = 0; i < n_fields; i++)
		copies += copy_size(&b, values[i]);
	for (size_t i = 0; i < f->labels.n; i++)
		copies += copy_size(&b, f->labels.v[i].key) + copy_size(&b, f->labels.v[i].value);
	copies += copy_size(&b, f->name) + copy_size(&b, f->ns) + copy_size(&b, f->uid) +
		  copy_size(&b, f->controller_uid);
	pairs = f->labels.n * sizeof(struct str_pair);
	fields = n_fields * sizeof(struct str);
	o = xmalloc(sizeof(*o) + pairs + fields + json.n + 1 + copies);
	*o = (struct object){.refs = 1,
		.resource = res,
		.size = sizeof(*o) + pairs + fields + json.n + 1 + copies};
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
		o->labels.v[i] = (struct str_pair){
			placed(&b, f->labels.v[i].key), placed(&b, f->labels.v[i].value)};
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

/* Writes the struct with the resource's own kind and apiVersion and this resourceVersion, whatever
 * it says: on a shallow copy, since metadata is a member of the struct. */
static int write_canonical(const struct schema_resource *res, const void *typed,
	struct str revision, struct arena *a, struct buf *out, struct err *err)
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
	meta->resource_version = revision;
	schema_encode_json(res->type, copy, out);
	if (!buf_failed(out))
		return 0;
	err_fmt(err, 413, "RequestEntityTooLarge", "the object is larger than %d bytes",
		OBJECT_JSON_MAX);
	return -E2BIG;
}

int object_draft(
	const struct schema_resource *res, const void *typed, struct object **ret, struct err *err)
{
	struct buf json CLEANUP(buf_release) = {0};
	struct arena scratch CLEANUP(arena_release) = {0};
	struct facts f = {.a = &scratch};
	size_t at;
	int r;

	res = res->storage_resource;
	buf_init(&json, OBJECT_JSON_MAX);
	/* An empty resourceVersion would not be written at all, so a digit holds its place until
	 * here. */
	r = write_canonical(res, typed, S("0"), &scratch, &json, err);
	if (r < 0)
		return r;
	r = read_facts(buf_str(&json), &f, err);
	assert(r == 0 && f.metadata_rv && f.item);
	at = f.metadata_rv - json.p;
	memmove(json.p + at, json.p + at + 1, json.n - at); /* with the NUL */
	json.n--;
	f = (struct facts){.a = &scratch};
	r = read_facts(buf_str(&json), &f, err);
	assert(r == 0);
	*ret = build(res, buf_str(&json), &f, selectable_values(res, typed, &scratch));
	return 0;
}

int object_parse(
	const struct schema_resource *res, struct str json, struct object **ret, struct err *err)
{
	struct buf rewritten CLEANUP(buf_release) = {0};
	struct arena scratch CLEANUP(arena_release) = {0};
	struct facts f = {.a = &scratch};
	void *typed = NULL;
	uint64_t revision;
	int r = read_facts(json, &f, err);

	if (r < 0)
		return r;
	if (str_to_u64(f.rv, &revision) < 0)
		return err_bad_request(err, "metadata.resourceVersion is no number");
	if (!f.item) { /* an item of a list, or not written by us: kind and apiVersion must stand
			  first */
		r = schema_decode_json(res->type, json, &scratch, NULL, &typed, err);
		if (r < 0)
			return r;
		buf_init(&rewritten, OBJECT_JSON_MAX);
		r = write_canonical(res, typed, f.rv, &scratch, &rewritten, err);
		if (r < 0)
			return r;
		json = buf_str(&rewritten);
		f = (struct facts){.a = &scratch};
		r = read_facts(json, &f, err);
		assert(r == 0 && f.item);
	}
	*ret = build(res, json, &f, stored_values(res, json, &scratch));
	(*ret)->revision = revision;
	return 0;
}

/* Where a string of the old block lies in the new one: what follows the revision has moved. */
static struct str moved(
	struct str s, const struct object *from, const struct object *to, ssize_t shift)
{
	const char *revision = from->json.p + from->rv_at;

	if (!s.p || s.p < (const char *)from || s.p >= (const char *)from + from->size)
		return s; /* absent or a constant */
	return str_n(
		(const char *)to + (s.p - (const char *)from) + (s.p > revision ? shift : 0), s.n);
}

struct object *object_commit(const struct object *draft, uint64_t revision)
{
	size_t head = (draft->json.p - (const char *)draft) + draft->rv_at, n, old = 0;
	const char *rest = draft->json.p + draft->rv_at;
	size_t n_fields = n_selectable(draft->resource);
	char digits[24];
	struct object *o;
	ssize_t shift;

	while (rest[old] != '"')
		old++;
	n = (size_t)sprintf(digits, "%llu", (unsigned long long)revision);
	shift = (ssize_t)n - (ssize_t)old;
	o = xmalloc(draft->size + shift);
	/* The count is left out: others may be changing it. */
	memcpy(&o->resource, &draft->resource, head - offsetof(struct object, resource));
	memcpy((char *)o + head, digits, n);
	memcpy((char *)o + head + n, rest + old, draft->size - head - old);
	atomic_init(&o->refs, 1);
	o->size = draft->size + shift;
	o->revision = revision;
	o->json = str_n((char *)o + (draft->json.p - (const char *)draft), draft->json.n + shift);
	o->ns = moved(draft->ns, draft, o, shift);
	o->name = moved(draft->name, draft, o, shift);
	o->uid = moved(draft->uid, draft, o, shift);
	o->controller_uid = moved(draft->controller_uid, draft, o, shift);
	o->labels.v = (struct str_pair *)(o + 1);
	for (size_t i = 0; i < o->labels.n; i++) {
		o->labels.v[i].key = moved(draft->labels.v[i].key, draft, o, shift);
		o->labels.v[i].value = moved(draft->labels.v[i].value, draft, o, shift);
	}
	o->fields = (struct str *)(o->labels.v + o->labels.n);
	for (size_t i = 0; i < n_fields; i++)
		o->fields[i] = moved(draft->fields[i], draft, o, shift);
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
		if (json_skip(&r, str_eqc(key, "metadata") ? &text : NULL) &&
			str_eqc(key, "metadata"))
			break;
	ok = schema_decode_json(&meta_v1_object_meta_schema, text, a, NULL, &v, NULL);
	assert(ok == 0);
	return v;
}

struct str object_field(const struct object *o, struct str name)
{
	/* Names that other versions of a resource use: those of the pod's first days, of
	 * events.k8s.io. */
	static const char *const renamed[][2] = {
		{"spec.host", "spec.nodeName"},
		{"reportingController", "reportingComponent"},
	};
	const char *const *known = o->resource->selectable;
	const struct str regarding = S("regarding."), involved = S("involvedObject.");

	if (str_eqc(name, "metadata.name"))
		return o->name;
	if (str_eqc(name, "metadata.namespace"))
		return o->ns;
	for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
		if (str_eqc(name, renamed[i][0]))
			name = str_c(renamed[i][1]);
	for (size_t i = 0; known && known[i]; i++) {
		struct str k = str_c(known[i]);

		if (str_eq(name, k))
			return o->fields[i];
		if (str_starts(name, regarding) && str_starts(k, involved) &&
			str_eq(str_sub(name, regarding.n, name.n), str_sub(k, involved.n, k.n)))
			return o->fields[i];
	}
	return (struct str){0};
}
