/*
 * decode.c: JSON text into a C struct, by the tables. The order of errors and their words are those
 * of Go's encoding/json with the changes of sigs.k8s.io/json: keys are case-sensitive; a syntax
 * error anywhere counts before any other error; a value of the wrong type is noted and passed over;
 * unknown and duplicate fields are collected.
 */
#include "schema/decoder.h"

#include "json/quote.h"

enum { STRICT_ERRORS_MAX = 100 };

/* The lists that callers see; all of them look like this. */
struct any_vec {
	void *v;
	size_t n;
};

static char no_items[1]; /* what an empty, but present list points at */

/* --- errors --- */

void decode_stop(struct decoder *d, const char *fmt, ...)
{
	va_list ap;

	if (d->stopped)
		return;
	d->stopped = true;
	d->r.failed = true; /* so that every loop ends */
	va_start(ap, fmt);
	d->message = arena_vfmt(d->a, fmt, ap);
	va_end(ap);
}

void decode_note(struct decoder *d, const char *fmt, ...)
{
	va_list ap;

	if (d->message.n)
		return;
	va_start(ap, fmt);
	d->message = arena_vfmt(d->a, fmt, ap);
	va_end(ap);
}

struct str decode_value_name(char c)
{
	switch (c) {
	case '{':
		return S("object");
	case '[':
		return S("array");
	case '"':
		return S("string");
	case 't':
	case 'f':
		return S("bool");
	case 'n':
		return S("null");
	}
	return S("number");
}

static const char *kind_go_type(const struct schema_field *f)
{
	static const char *const names[] = {
		[SCHEMA_BOOL] = "bool",
		[SCHEMA_INT32] = "int32",
		[SCHEMA_INT64] = "int64",
		[SCHEMA_DOUBLE] = "float64",
		[SCHEMA_STRING] = "string",
		[SCHEMA_BYTES] = "[]uint8",
		[SCHEMA_QUANTITY] = "resource.Quantity",
		[SCHEMA_INT_OR_STRING] = "intstr.IntOrString",
		[SCHEMA_TIME] = "v1.Time",
		[SCHEMA_MICRO_TIME] = "v1.MicroTime",
		[SCHEMA_DURATION] = "v1.Duration",
		[SCHEMA_RAW] = "runtime.RawExtension",
	};

	return f->kind == SCHEMA_MESSAGE ? f->type->go_name : names[f->kind];
}

const char *decode_go_type(struct decoder *d, const struct schema_field *f, bool item)
{
	static const char *const shapes[] = {
		[SCHEMA_ONE] = "", [SCHEMA_LIST] = "[]", [SCHEMA_MAP] = "map[string]"};
	const char *whole = f->extra ? f->extra->go_type : NULL;

	if (f->shape == SCHEMA_ONE || !item) {
		if (whole)
			return whole;
		return arena_fmt(d->a, "%s%s", shapes[f->shape], kind_go_type(f)).p;
	}
	if (whole && f->shape == SCHEMA_LIST && strncmp(whole, "[]", 2) == 0)
		return whole + 2;
	if (whole && f->shape == SCHEMA_MAP && strncmp(whole, "map[", 4) == 0)
		return strchr(whole, ']') + 1;
	return kind_go_type(f);
}

/* Names of the fields from the outermost object to the one at hand, with dots; returns the
 * innermost object. */
static const struct schema_type *field_path(const struct decode_frame *f, struct buf *b)
{
	const struct schema_type *type = NULL;

	if (!f)
		return NULL;
	type = field_path(f->up, b);
	if (!f->type)
		return type;
	if (b->n)
		buf_add_char(b, '.');
	if (f->field->extra && f->field->extra->embedded)
		buf_fmt(b, "%s.", f->field->extra->embedded);
	buf_add(b, f->field->name, f->field->name_len);
	return f->type;
}

void decode_mismatch(struct decoder *d, bool stop, struct str value, const char *go_type)
{
	struct buf path CLEANUP(buf_release) = {0};
	const struct schema_type *type;
	const char *dot;

	if (d->message.n && !stop)
		return;
	buf_init(&path, 1 << 20);
	type = field_path(d->top, &path);
	if (type && (dot = strchr(type->go_name, '.')))
		(stop ? decode_stop : decode_note)(d,
			"json: cannot unmarshal " STR_FMT " into Go struct field %s." STR_FMT
			" of type %s",
			STR_ARG(value), dot + 1, STR_ARG(buf_str(&path)), go_type);
	else
		(stop ? decode_stop : decode_note)(d,
			"json: cannot unmarshal " STR_FMT " into Go value of type %s",
			STR_ARG(value), go_type);
}

static void strict_path(const struct decode_frame *f, struct buf *b)
{
	if (!f)
		return;
	strict_path(f->up, b);
	if (!f->type && !f->is_map) {
		buf_fmt(b, "[%zu]", f->index);
		return;
	}
	if (b->n)
		buf_add_char(b, '.');
	if (f->type)
		buf_add(b, f->field->name, f->field->name_len);
	else
		buf_add_str(b, f->key);
}

/* where: the frame around the object that has the key. */
static void strict_error(
	struct decoder *d, const char *what, const struct decode_frame *where, struct str key)
{
	struct buf b CLEANUP(buf_release) = {0};
	struct str text;

	if (!d->strict || d->opts->warnings.n >= STRICT_ERRORS_MAX)
		return;
	buf_init(&b, 1 << 20);
	strict_path(where, &b);
	if (b.n)
		buf_add_char(&b, '.');
	buf_add_str(&b, key);
	text = quote_text(d->a, buf_str(&b));
	text = arena_fmt(d->a, "%s " STR_FMT, what, STR_ARG(text));
	if (!str_vec_has(&d->opts->warnings, text))
		ARENA_PUSH(d->a, &d->opts->warnings, text);
}

/* --- containers --- */

static void decode_field(struct decoder *d, const struct schema_field *f, void *at);
static void decode_message(
	struct decoder *d, const struct schema_type *t, char c, void *at, const char *go_type);

/* One value: of a plain field, an item, a map's value. Null leaves it as it is. */
static void decode_value(struct decoder *d, const struct schema_field *f, char c, void *dst)
{
	if (c == 'n') {
		if (json_read_word(&d->r, NULL))
			decode_scalar_null(f, dst);
	} else if (f->kind == SCHEMA_MESSAGE) {
		decode_message(d, f->type, c, dst, NULL);
	} else {
		decode_scalar(d, f, c, dst);
	}
}

static void decode_one(struct decoder *d, const struct schema_field *f, char c, void *at)
{
	void **box = at;

	if (!(f->flags & SCHEMA_OPTIONAL)) {
		decode_value(d, f, c, at);
	} else if (c == 'n') {
		if (json_read_word(&d->r, NULL))
			memset(at, 0, schema_is_boxed(f) ? sizeof(void *) : schema_value_size(f));
	} else if (schema_is_boxed(f)) {
		if (!*box)
			*box = arena_alloc(d->a, schema_value_size(f));
		decode_value(d, f, c, *box);
	} else {
		decode_value(d, f, c, at);
	}
}

static void decode_list(struct decoder *d, const struct schema_field *f, void *at)
{
	struct decode_frame frame = {.up = d->top};
	size_t size = schema_value_size(f);
	struct any_vec list = {0};

	d->top = &frame;
	if (!json_enter(&d->r, '['))
		return;
	while (json_next_item(&d->r)) {
		list.v = arena_grow(d->a, list.v, list.n, size);
		frame.index = list.n;
		decode_value(d, f, json_peek(&d->r), (char *)list.v + list.n++ * size);
	}
	if (!list.v)
		list.v = no_items;
	*(struct any_vec *)at = list;
	d->top = frame.up;
}

static int pair_order(const void *a, const void *b)
{
	const struct str *const *x = a, *const *y = b;
	int cmp = str_cmp(**x, **y);

	return cmp ? cmp : *x < *y ? -1 : *x > *y;
}

/* Sorts the pairs; of equal keys the last counts. Those from index `fresh` on that repeat one
 * another are reported. */
static void sort_map(struct decoder *d, struct any_vec *map, size_t size, size_t fresh)
{
	const struct str **order = xcalloc(map->n, sizeof(*order));
	char *sorted = arena_array(d->a, map->n, size);
	size_t n = 0;

	for (size_t i = 0; i < map->n; i++)
		order[i] = (const struct str *)((char *)map->v + i * size);
	qsort(order, map->n, sizeof(*order), pair_order);
	for (size_t i = 0; i < map->n; i++) {
		if (i && str_eq(*order[i], *order[i - 1])) {
			if ((const char *)order[i - 1] >= (char *)map->v + fresh * size)
				strict_error(d, "duplicate field", d->top->up, *order[i]);
			n--;
		}
		memcpy(sorted + n++ * size, order[i], size);
	}
	free(order);
	map->v = sorted;
	map->n = n;
}

static void decode_map(struct decoder *d, const struct schema_field *f, void *at)
{
	struct decode_frame frame = {.up = d->top, .is_map = true};
	struct any_vec map =
		*(struct any_vec *)at; /* a field that stands twice adds to its map, as in Go */
	size_t size = schema_pair_size(f), fresh;
	bool sorted = true;

	if (map.v == no_items)
		map.v = NULL;
	fresh = map.n;
	d->top = &frame;
	if (!json_enter(&d->r, '{'))
		return;
	while (json_next_key(&d->r, &frame.key)) {
		char *pair, c = json_peek(&d->r);

		map.v = arena_grow(d->a, map.v, map.n, size);
		pair = (char *)map.v + map.n * size;
		memset(pair, 0, size);
		*(struct str *)pair = frame.key;
		if (map.n)
			sorted &= str_cmp(*(struct str *)(pair - size), frame.key) < 0;
		map.n++;
		decode_value(d, f, c, pair + sizeof(struct str));
	}
	if (!sorted)
		sort_map(d, &map, size, fresh);
	if (!map.v)
		map.v = no_items;
	*(struct any_vec *)at = map;
	d->top = frame.up;
}

static void decode_field(struct decoder *d, const struct schema_field *f, void *at)
{
	char c = json_peek(&d->r);

	if (c == 0)
		return;
	if (f->shape == SCHEMA_ONE) {
		decode_one(d, f, c, at);
	} else if (c == 'n') {
		if (json_read_word(&d->r, NULL))
			*(struct any_vec *)at = (struct any_vec){0};
	} else if (f->shape == SCHEMA_LIST && c == '[') {
		decode_list(d, f, at);
	} else if (f->shape == SCHEMA_MAP && c == '{') {
		decode_map(d, f, at);
	} else {
		decode_mismatch(d, false, decode_value_name(c), decode_go_type(d, f, false));
		json_skip(&d->r, NULL);
	}
}

/* Fields mostly come in the order of the schema (from Go) or of the alphabet (from kubectl): *next
 * is tried first. */
static const struct schema_field *find_field(
	const struct schema_type *t, struct str key, size_t *next)
{
	const struct schema_field *f;

	for (size_t i = *next; i < t->n_fields && i < *next + 2; i++) {
		f = &t->fields[i];
		if (f->name_len == key.n && memcmp(f->name, key.p, key.n) == 0) {
			*next = i + 1;
			return f;
		}
	}
	f = schema_field_find(t, key);
	if (f)
		*next = f - t->fields + 1;
	return f;
}

static void decode_object(struct decoder *d, const struct schema_type *t, char *at)
{
	struct decode_frame frame = {.up = d->top, .type = t};
	uint64_t seen = 0;
	size_t next = 0;
	struct str key;

	if (!json_enter(&d->r, '{'))
		return;
	while (json_next_key(&d->r, &key)) {
		const struct schema_field *f = find_field(t, key, &next);
		uint64_t bit;

		if (!f) {
			strict_error(d, "unknown field", frame.up, key);
			json_skip(&d->r, NULL);
			continue;
		}
		bit = UINT64_C(1) << (f - t->fields);
		if (seen & bit)
			strict_error(d, "duplicate field", frame.up, key);
		seen |= bit;
		frame.field = f;
		d->top = &frame;
		decode_field(d, f, at + f->offset);
		d->top = frame.up;
	}
}

/* A type whose JSON is that of the one field that fits: {} a message, [] a list, true or false a
 * bool. */
static void decode_variant(
	struct decoder *d, const struct schema_type *t, char c, char *at, const char *go_type)
{
	bool strict = d->strict;

	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[i];
		bool fits = c == '{'   ? f->shape == SCHEMA_ONE && f->kind == SCHEMA_MESSAGE
			    : c == '[' ? f->shape == SCHEMA_LIST
				       : (c == 't' || c == 'f') && f->kind == SCHEMA_BOOL;

		if (!fits)
			continue;
		d->strict = false; /* Go's types of this sort have a parser of their own, which is
				      not strict */
		decode_field(d, f, at + f->offset);
		d->strict = strict;
		if (f->kind == SCHEMA_MESSAGE && t->fields[0].kind == SCHEMA_BOOL)
			*(bool *)(at + t->fields[0].offset) = true; /* a schema allows */
		return;
	}
	decode_mismatch(d, false, decode_value_name(c), go_type);
	json_skip(&d->r, NULL);
}

static void decode_message(
	struct decoder *d, const struct schema_type *t, char c, void *at, const char *go_type)
{
	if (!go_type)
		go_type = t->go_name;
	if (t->flags & SCHEMA_BARE) {
		decode_field(d, &t->fields[0], (char *)at + t->fields[0].offset);
	} else if (t->flags & SCHEMA_VARIANT) {
		decode_variant(d, t, c, at, go_type);
	} else if (c == '{') {
		decode_object(d, t, at);
	} else {
		decode_mismatch(d, false, decode_value_name(c), go_type);
		json_skip(&d->r, NULL);
	}
}

void schema_decode_constant(
	const struct schema_field *f, const char *json, struct arena *a, void *at)
{
	struct decoder d = {.a = a};

	json_reader_init(&d.r, str_c(json), a);
	decode_field(&d, f, at);
	assert(json_finish(&d.r) && d.message.n == 0);
}

int schema_decode_json(const struct schema_type *type, struct str json, struct arena *a,
	struct schema_decode_opts *opts, void **ret, struct err *err)
{
	struct decoder d = {
		.a = a, .opts = opts, .strict = opts && opts->flags & SCHEMA_DECODE_STRICT};
	void *v = arena_alloc(a, type->size);
	char c, syntax[sizeof(d.r.error)];

	json_reader_init(&d.r, json, a);
	c = json_peek(&d.r);
	if (c == 'n')
		json_read_word(&d.r, NULL);
	else if (c)
		decode_message(&d, type, c, v, NULL);
	if (d.stopped) { /* the rest has not been read: a syntax error there would count more */
		if (!json_valid(json, syntax))
			return err_bad_request(err, "%s", syntax);
	} else if (!json_finish(&d.r)) {
		return err_bad_request(err, "%s", d.r.error);
	}
	if (d.message.n)
		return err_bad_request(err, STR_FMT, STR_ARG(d.message));
	*ret = v;
	return 0;
}
