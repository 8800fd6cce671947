/* proto_decode.c: a protobuf message into a struct. Unknown fields are passed over, as protobuf has
 * it. */
#include "json/reader.h"
#include "json/write.h"
#include "schema/proto.h"
#include "schema/quantity.h"
#include "schema/schema.h"

enum { DEPTH_MAX = 1000 };

struct any_vec {
	void *v;
	size_t n;
};

struct decoder {
	struct arena *a;
	struct err *err;
	int depth;
};

/* What is left of a message. */
struct wire {
	const unsigned char *p, *end;
};

/* A field as it stands on the wire. */
struct item {
	uint32_t number;
	enum proto_wire wire;
	uint64_t v; /* varint or fixed */
	struct str bytes;
};

static int truncated(struct err *err)
{
	return err_bad_request(err, "unexpected EOF");
}

static int read_varint(struct wire *w, uint64_t *ret, struct err *err)
{
	uint64_t v = 0;

	for (int shift = 0;; shift += 7) {
		if (shift >= 64)
			return err_bad_request(err, "proto: integer overflow");
		if (w->p >= w->end)
			return truncated(err);
		v |= (uint64_t)(*w->p & 0x7f) << shift;
		if (!(*w->p++ & 0x80))
			break;
	}
	*ret = v;
	return 0;
}

static int read_fixed(struct wire *w, size_t n, struct item *i, struct err *err)
{
	if ((size_t)(w->end - w->p) < n)
		return truncated(err);
	i->v = 0;
	memcpy(&i->v, w->p, n);
	w->p += n;
	return 0;
}

static int read_item(struct wire *w, struct item *i, struct err *err)
{
	uint64_t v;
	int r = read_varint(w, &v, err);

	if (r < 0)
		return r;
	if (v >> 3 == 0 || v >> 3 > 0x1fffffff)
		return err_bad_request(err, "proto: illegal tag %lld (wire type %d)",
			(long long)(v >> 3), (int)(v & 7));
	*i = (struct item){.number = (uint32_t)(v >> 3), .wire = v & 7};
	switch (i->wire) {
	case PROTO_VARINT:
		return read_varint(w, &i->v, err);
	case PROTO_FIXED64:
		return read_fixed(w, 8, i, err);
	case PROTO_FIXED32:
		return read_fixed(w, 4, i, err);
	case PROTO_BYTES:
		r = read_varint(w, &v, err);
		if (r < 0)
			return r;
		if (v > (uint64_t)(w->end - w->p))
			return truncated(err);
		i->bytes = str_n((const char *)w->p, v);
		w->p += v;
		return 0;
	default:
		return err_bad_request(err, "proto: illegal wireType %d", (int)i->wire);
	}
}

static struct wire inside(struct str bytes)
{
	return (struct wire){
		(const unsigned char *)bytes.p, (const unsigned char *)bytes.p + bytes.n};
}

static int decode_fields(struct decoder *d, const struct schema_type *t, char *at, uint32_t prefix,
	struct str bytes);

/* --- values --- */

static int decode_time(struct decoder *d, struct str bytes, bool micro, struct k8s_time *t)
{
	struct wire w = inside(bytes);
	struct item i;
	int r;

	t->set = bytes.n > 0;
	while (w.p < w.end) {
		r = read_item(&w, &i, d->err);
		if (r < 0)
			return r;
		if (i.number == 1)
			t->sec = (int64_t)i.v;
		else if (i.number == 2 && micro)
			t->nsec = (int32_t)i.v / 1000 * 1000;
	}
	if (t->sec < -62135596800 || t->sec > 253402300799 || t->nsec < 0 || t->nsec > 999999999)
		return err_bad_request(d->err, "proto: a time is out of range");
	return 0;
}

static int decode_int_or_string(struct decoder *d, struct str bytes, struct int_or_string *v)
{
	struct wire w = inside(bytes);
	struct item i;
	int r;

	while (w.p < w.end) {
		r = read_item(&w, &i, d->err);
		if (r < 0)
			return r;
		if (i.number == 1)
			v->is_string = i.v == 1;
		else if (i.number == 2)
			v->i = (int32_t)i.v;
		else if (i.number == 3)
			v->s = i.bytes;
	}
	return 0;
}

/* Quantity and RawExtension: a message with one string. */
static int decode_wrapped(
	struct decoder *d, const struct schema_field *f, struct str bytes, struct str *v)
{
	struct wire w = inside(bytes);
	struct buf b CLEANUP(buf_release) = {0};
	struct item i;
	char error[96];
	int r;

	while (w.p < w.end) {
		r = read_item(&w, &i, d->err);
		if (r < 0)
			return r;
		if (i.number == 1)
			*v = i.bytes;
	}
	if (!v->p)
		*v = f->kind == SCHEMA_QUANTITY ? S("0") : (struct str){0};
	if (f->kind == SCHEMA_QUANTITY)
		return quantity_normalize(*v, d->a, v, d->err);
	if (v->n == 0)
		return 0;
	if (!json_valid(*v, error))
		return err_bad_request(d->err, "%s", error);
	buf_init(&b, v->n * 6);
	json_write_compact(&b, *v);
	*v = arena_str(d->a, buf_str(&b));
	return 0;
}

/* meta.v1.Duration: a message with the nanoseconds; as text in seconds, which says the same. */
static int decode_duration(struct decoder *d, struct str bytes, struct str *v)
{
	struct wire w = inside(bytes);
	int64_t ns = 0, left;
	struct item i;
	int r;

	while (w.p < w.end) {
		r = read_item(&w, &i, d->err);
		if (r < 0)
			return r;
		if (i.number == 1)
			ns = (int64_t)i.v;
	}
	left = ns % 1000000000 < 0 ? -(ns % 1000000000) : ns % 1000000000;
	*v = arena_fmt(d->a, "%s%lld.%09llds", ns < 0 && ns > -1000000000 ? "-" : "",
		(long long)(ns / 1000000000), (long long)left);
	return 0;
}

static enum proto_wire wire_of(const struct schema_field *f)
{
	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
	case SCHEMA_INT32:
	case SCHEMA_INT64:
		return PROTO_VARINT;
	case SCHEMA_DOUBLE:
		return PROTO_FIXED64;
	default:
		return PROTO_BYTES;
	}
}

static int decode_value(
	struct decoder *d, const struct schema_field *f, const struct item *i, void *dst)
{
	if (i->wire != wire_of(f))
		return err_bad_request(
			d->err, "proto: wrong wireType = %d for field %s", (int)i->wire, f->name);
	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
		*(bool *)dst = i->v != 0;
		return 0;
	case SCHEMA_INT32:
		*(int32_t *)dst = (int32_t)i->v;
		return 0;
	case SCHEMA_INT64:
		*(int64_t *)dst = (int64_t)i->v;
		return 0;
	case SCHEMA_DOUBLE:
		memcpy(dst, &i->v, sizeof(double));
		return 0;
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
		*(struct str *)dst = i->bytes;
		return 0;
	case SCHEMA_QUANTITY:
	case SCHEMA_RAW:
		return decode_wrapped(d, f, i->bytes, dst);
	case SCHEMA_DURATION:
		return decode_duration(d, i->bytes, dst);
	case SCHEMA_INT_OR_STRING:
		return decode_int_or_string(d, i->bytes, dst);
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return decode_time(d, i->bytes, f->kind == SCHEMA_MICRO_TIME, dst);
	case SCHEMA_MESSAGE:
		return decode_fields(d, f->type, dst, 0, i->bytes);
	}
	return 0;
}

/* Numbers may come packed: several in one run of bytes. */
static int decode_packed(
	struct decoder *d, const struct schema_field *f, struct str bytes, struct any_vec *list)
{
	struct wire w = inside(bytes);
	size_t size = schema_value_size(f);

	while (w.p < w.end) {
		struct item i = {.wire = wire_of(f)};
		int r = i.wire == PROTO_VARINT ? read_varint(&w, &i.v, d->err)
					       : read_fixed(&w, 8, &i, d->err);

		if (r < 0)
			return r;
		list->v = arena_grow(d->a, list->v, list->n, size);
		decode_value(d, f, &i, (char *)list->v + list->n++ * size);
	}
	return 0;
}

static int decode_item(
	struct decoder *d, const struct schema_field *f, const struct item *i, struct any_vec *list)
{
	size_t size = schema_value_size(f);
	char *to;

	if (i->wire == PROTO_BYTES && wire_of(f) != PROTO_BYTES)
		return decode_packed(d, f, i->bytes, list);
	list->v = arena_grow(d->a, list->v, list->n, size);
	to = (char *)list->v + list->n++ * size;
	return decode_value(d, f, i, to);
}

/* A pair goes to its place in the sorted map; one with the same key is replaced. */
static int decode_pair(
	struct decoder *d, const struct schema_field *f, const struct item *i, struct any_vec *map)
{
	size_t size = schema_pair_size(f), at = map->n;
	struct wire w = inside(i->bytes);
	char *pair = arena_alloc(d->a, size), *to;
	struct item part;
	int r = 0, cmp = 1;

	*(struct str *)pair = S("");
	while (w.p < w.end && r == 0) {
		r = read_item(&w, &part, d->err);
		if (r == 0 && part.number == 1)
			*(struct str *)pair = part.bytes;
		else if (r == 0 && part.number == 2)
			r = decode_value(d, f, &part, pair + sizeof(struct str));
	}
	if (r < 0)
		return r;
	while (at > 0 && (cmp = str_cmp(*(struct str *)((char *)map->v + (at - 1) * size),
				  *(struct str *)pair)) > 0)
		at--;
	if (at > 0 && cmp == 0) {
		memcpy((char *)map->v + (at - 1) * size, pair, size);
		return 0;
	}
	map->v = arena_grow(d->a, map->v, map->n, size);
	to = (char *)map->v + at * size;
	memmove(to + size, to, (map->n - at) * size);
	memcpy(to, pair, size);
	map->n++;
	return 0;
}

/* --- messages --- */

static int decode_field(
	struct decoder *d, const struct schema_field *f, const struct item *i, char *at)
{
	void **box = (void **)at;

	if (f->shape == SCHEMA_LIST)
		return decode_item(d, f, i, (struct any_vec *)at);
	if (f->shape == SCHEMA_MAP) {
		if (i->wire != PROTO_BYTES)
			return err_bad_request(d->err, "proto: wrong wireType = %d for field %s",
				(int)i->wire, f->name);
		return decode_pair(d, f, i, (struct any_vec *)at);
	}
	if (!schema_is_boxed(f))
		return decode_value(d, f, i, at);
	if (!*box)
		*box = arena_alloc(d->a, schema_value_size(f));
	return decode_value(d, f, i, *box);
}

static bool has_embedded(const struct schema_type *t, uint32_t number)
{
	for (size_t i = 0; i < t->n_fields; i++)
		for (uint32_t outer = t->fields[i].number >> 8; outer; outer >>= 8)
			if (outer == number)
				return true;
	return false;
}

static int decode_one(struct decoder *d, const struct schema_type *t, char *at, uint32_t prefix,
	const struct item *i)
{
	uint32_t number = prefix << 8 | i->number;

	if (i->number > 0xff)
		return 0;
	for (size_t k = 0; k < t->n_fields; k++)
		if (t->fields[k].number == number)
			return decode_field(d, &t->fields[k], i, at + t->fields[k].offset);
	if (i->wire == PROTO_BYTES && has_embedded(t, number))
		return decode_fields(d, t, at, number, i->bytes);
	return 0;
}

static int decode_fields(
	struct decoder *d, const struct schema_type *t, char *at, uint32_t prefix, struct str bytes)
{
	struct wire w = inside(bytes);
	struct item i;
	int r = 0;

	if (d->depth >= DEPTH_MAX)
		return err_bad_request(d->err, "proto: exceeded max depth");
	d->depth++;
	while (w.p < w.end && r == 0) {
		r = read_item(&w, &i, d->err);
		if (r == 0)
			r = decode_one(d, t, at, prefix, &i);
	}
	d->depth--;
	return r;
}

int schema_decode_proto(const struct schema_type *type, struct str bytes, struct arena *a,
	void **ret, struct err *err)
{
	struct decoder d = {.a = a, .err = err};
	void *v = arena_alloc(a, type->size);
	int r = decode_fields(&d, type, v, 0, bytes);

	if (r == 0)
		*ret = v;
	return r;
}

int schema_unwrap_proto(struct str bytes, struct str *ret_api_version, struct str *ret_kind,
	struct str *ret_message, struct err *err)
{
	struct wire w = inside(bytes), meta = {0};
	struct str version = S(""), kind = S(""), message = S("");
	struct item i;
	int r;

	if (!bytes.n)
		return err_bad_request(err, "empty data");
	if (bytes.n < 4 || memcmp(bytes.p, "k8s", 4) != 0)
		return err_bad_request(err, "provided data does not appear to be a protobuf "
					    "message, expected prefix [107 56 115 0]");
	if (bytes.n == 4)
		return err_bad_request(err, "empty body");
	w.p += 4;
	while (w.p < w.end) {
		r = read_item(&w, &i, err);
		if (r < 0)
			return r;
		if (i.number == 1)
			meta = inside(i.bytes);
		else if (i.number == 2)
			message = i.bytes;
	}
	while (meta.p < meta.end) {
		r = read_item(&meta, &i, err);
		if (r < 0)
			return r;
		if (i.number == 1)
			version = i.bytes;
		else if (i.number == 2)
			kind = i.bytes;
	}
	*ret_api_version = version;
	*ret_kind = kind;
	*ret_message = message;
	return 0;
}
