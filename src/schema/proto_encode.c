/*
 * proto_encode.c: a struct as a protobuf message, by the field numbers of the tables. What is not
 * optional is written even when it is empty, as Go does: our bytes are upstream's.
 */
#include "base/flags.h"
#include "schema/proto.h"
#include "schema/schema.h"

struct any_vec {
	const void *v;
	size_t n;
};

static void encode_fields(
	const struct schema_type *t, const char *v, uint32_t prefix, struct buf *out);

static size_t varint(uint64_t v, char bytes[10])
{
	size_t n = 0;

	do {
		bytes[n++] = (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	return n;
}

static void put_varint(struct buf *out, uint64_t v)
{
	char bytes[10];

	buf_add(out, bytes, varint(v, bytes));
}

static void put_tag(struct buf *out, uint32_t number, enum proto_wire wire)
{
	put_varint(out, (uint64_t)(number & 0xff) << 3 | wire);
}

static void put_int(struct buf *out, uint32_t number, int64_t v)
{
	put_tag(out, number, PROTO_VARINT);
	put_varint(out, (uint64_t)v);
}

static void put_bytes(struct buf *out, uint32_t number, struct str s)
{
	put_tag(out, number, PROTO_BYTES);
	put_varint(out, s.n);
	buf_add_str(out, s);
}

/* Puts the length in front of what was written since `from`. */
static void close_message(struct buf *out, size_t from)
{
	char length[10];
	size_t len = out->n - from, n = varint(len, length);

	if (!buf_reserve(out, n))
		return;
	memmove(out->p + from + n, out->p + from, len);
	memcpy(out->p + from, length, n);
	out->n += n;
	out->p[out->n] = 0;
}

static void encode_time(const struct k8s_time *t, bool micro, struct buf *out)
{
	if (!t->set)
		return;
	put_int(out, 1, t->sec);
	put_int(out, 2, micro ? t->nsec / 1000 * 1000 : 0);
}

static void encode_int_or_string(const struct int_or_string *v, struct buf *out)
{
	put_int(out, 1, v->is_string);
	put_int(out, 2, v->i);
	put_bytes(out, 3, v->s);
}

/* meta.v1.Duration: a message with the nanoseconds. Ours are whole milliseconds. */
static void encode_duration(struct str text, struct buf *out)
{
	int64_t ms = 0;

	if (duration_parse(text, &ms) == 0)
		put_int(out, 1, ms * 1000000);
}

/* The content of a value that is a message on the wire. */
static void encode_content(const struct schema_field *f, const void *v, struct buf *out)
{
	switch ((enum schema_kind)f->kind) {
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		encode_time(v, f->kind == SCHEMA_MICRO_TIME, out);
		break;
	case SCHEMA_INT_OR_STRING:
		encode_int_or_string(v, out);
		break;
	case SCHEMA_DURATION:
		encode_duration(*(const struct str *)v, out);
		break;
	case SCHEMA_QUANTITY:
	case SCHEMA_RAW:
		if (((const struct str *)v)->n)
			put_bytes(out, 1, *(const struct str *)v);
		break;
	default:
		encode_fields(f->type, v, 0, out);
		break;
	}
}

/* A field, item or map value with its tag, empty or not. */
static void encode_value(
	const struct schema_field *f, uint32_t number, const void *v, struct buf *out)
{
	size_t from;

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
		put_int(out, number, *(const bool *)v);
		return;
	case SCHEMA_INT32:
		put_int(out, number, *(const int32_t *)v);
		return;
	case SCHEMA_INT64:
		put_int(out, number, *(const int64_t *)v);
		return;
	case SCHEMA_DOUBLE:
		put_tag(out, number, PROTO_FIXED64);
		buf_add(out, v, 8); /* little-endian, as the machines that this runs on */
		return;
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
		put_bytes(out, number, *(const struct str *)v);
		return;
	default:
		break;
	}
	put_tag(out, number, PROTO_BYTES);
	from = out->n;
	encode_content(f, v, out);
	close_message(out, from);
}

static bool is_empty(const struct schema_field *f, const void *v)
{
	const struct str *s = v;

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_DOUBLE:
		return false;
	case SCHEMA_STRING:
		return f->flags & SCHEMA_OPTIONAL && !s->p;
	case SCHEMA_BYTES:
	case SCHEMA_DURATION:
	case SCHEMA_QUANTITY:
	case SCHEMA_RAW:
		return f->flags & SCHEMA_OPTIONAL ? !s->p : s->n == 0;
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return f->flags & SCHEMA_OPTIONAL && !((const struct k8s_time *)v)->set;
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_MESSAGE:
		return false;
	}
	return false;
}

static void encode_many(const struct schema_field *f, const struct any_vec *list, struct buf *out)
{
	size_t size = f->shape == SCHEMA_MAP ? schema_pair_size(f) : schema_value_size(f);

	for (size_t i = 0; i < list->n; i++) {
		const char *item = (const char *)list->v + i * size;
		size_t from;

		if (f->shape == SCHEMA_LIST) {
			encode_value(f, f->number, item, out);
			continue;
		}
		put_tag(out, f->number, PROTO_BYTES);
		from = out->n;
		put_bytes(out, 1, *(const struct str *)item);
		encode_value(f, 2, item + sizeof(struct str), out);
		close_message(out, from);
	}
}

static void encode_field(const struct schema_field *f, const char *at, struct buf *out)
{
	if (f->shape != SCHEMA_ONE) {
		encode_many(f, (const struct any_vec *)at, out);
		return;
	}
	if (schema_is_boxed(f)) {
		at = *(const char *const *)at;
		if (at)
			encode_value(f, f->number, at, out);
	} else if (!is_empty(f, at)) {
		encode_value(f, f->number, at, out);
	}
}

/* The number of the embedded struct right below `prefix` that a field belongs to; 0: to none. */
static uint32_t embedded_in(uint32_t number, uint32_t prefix)
{
	for (number >>= 8; number; number >>= 8)
		if (number >> 8 == prefix)
			return number;
	return 0;
}

/* A field of a message, or a struct embedded in it, by its number there. */
struct entry {
	uint32_t number;              /* with the prefix */
	const struct schema_field *f; /* NULL: an embedded struct */
};

/* What the message, or the struct embedded in it that has the numbers `prefix`, consists of, in the
 * order of the numbers: schema files have it in JSON's order, which is mostly the same. */
static size_t list_entries(const struct schema_type *t, uint32_t prefix, struct entry entries[])
{
	size_t n = 0, at;

	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[i];
		uint32_t inner = f->number ? embedded_in(f->number, prefix) : 0;
		struct entry e = {inner, NULL};

		if (f->number && f->number >> 8 == prefix)
			e = (struct entry){f->number, f};
		else if (!inner || (n && entries[n - 1].number == inner))
			continue;
		for (at = n; at > 0 && entries[at - 1].number > e.number; at--)
			entries[at] = entries[at - 1];
		if (at > 0 && entries[at - 1].number == e.number) { /* seen before */
			memmove(entries + at, entries + at + 1, (n - at) * sizeof(e));
			continue;
		}
		entries[at] = e;
		n++;
	}
	return n;
}

static void encode_fields(
	const struct schema_type *t, const char *v, uint32_t prefix, struct buf *out)
{
	struct entry entries[UINT8_MAX + 1]; /* numbers have eight bits */
	size_t n = list_entries(t, prefix, entries), from;

	for (size_t i = 0; i < n; i++) {
		if (entries[i].f) {
			encode_field(entries[i].f, v + entries[i].f->offset, out);
			continue;
		}
		put_tag(out, entries[i].number, PROTO_BYTES);
		from = out->n;
		encode_fields(t, v, entries[i].number, out);
		close_message(out, from);
	}
}

void schema_encode_proto(const struct schema_type *type, const void *v, struct buf *out)
{
	encode_fields(type, v, 0, out);
}

/* --- piece by piece --- */

size_t schema_proto_open(struct buf *out, uint32_t number)
{
	put_tag(out, number, PROTO_BYTES);
	return out->n;
}

void schema_proto_close(struct buf *out, size_t from)
{
	close_message(out, from);
}

void schema_proto_bytes(struct buf *out, uint32_t number, struct str bytes)
{
	put_bytes(out, number, bytes);
}

void schema_proto_int(struct buf *out, uint32_t number, int64_t v)
{
	put_int(out, number, v);
}

size_t schema_wrap_open(struct str api_version, struct str kind, struct buf *out)
{
	size_t from;

	buf_add(out, "k8s", 4); /* with its NUL */
	from = schema_proto_open(out, 1);
	put_bytes(out, 1, api_version);
	put_bytes(out, 2, kind);
	close_message(out, from);
	return schema_proto_open(out, 2);
}

void schema_wrap_close(struct buf *out, size_t from)
{
	close_message(out, from);
	put_bytes(out, 3, S("")); /* contentEncoding and contentType: as they are by default */
	put_bytes(out, 4, S(""));
}

void schema_wrap_proto(struct str api_version, struct str kind, const struct schema_type *type,
	const void *v, struct buf *out)
{
	size_t from = schema_wrap_open(api_version, kind, out);

	schema_encode_proto(type, v, out);
	schema_wrap_close(out, from);
}
