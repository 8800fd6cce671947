/* encode.c: a C struct as JSON text, by the tables: fields in their order, empty ones left out as
 * Go does. */
#include "json/write.h"
#include "base/base64.h"
#include "schema/schema.h"
#include "schema/time.h"

struct any_vec {
	const void *v;
	size_t n;
};

static void encode_message(const struct schema_type *t, const char *v, struct buf *out);

static void encode_time(const struct k8s_time *t, bool micro, struct buf *out)
{
	char text[K8S_TIME_TEXT_MAX + 2];
	size_t n;

	if (!t->set) {
		buf_add(out, "null", 4);
		return;
	}
	text[0] = '"';
	n = k8s_time_format(t, micro, text + 1);
	text[n + 1] = '"';
	buf_add(out, text, n + 2);
}

static void encode_bytes(struct str s, struct buf *out)
{
	if (!s.p) {
		buf_add(out, "null", 4);
		return;
	}
	buf_add_char(out, '"');
	base64_encode(s, out);
	buf_add_char(out, '"');
}

static void encode_value(const struct schema_field *f, const void *v, struct buf *out)
{
	const struct str *s = v;
	const struct int_or_string *is = v;

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
		buf_add_c(out, *(const bool *)v ? "true" : "false");
		break;
	case SCHEMA_INT32:
		buf_add_i64(out, *(const int32_t *)v);
		break;
	case SCHEMA_INT64:
		buf_add_i64(out, *(const int64_t *)v);
		break;
	case SCHEMA_DOUBLE:
		json_write_double(out, *(const double *)v);
		break;
	case SCHEMA_STRING:
	case SCHEMA_DURATION:
		json_write_string(out, *s);
		break;
	case SCHEMA_QUANTITY:
		json_write_string(out, s->n ? *s : S("0"));
		break;
	case SCHEMA_BYTES:
		encode_bytes(*s, out);
		break;
	case SCHEMA_RAW:
		buf_add_str(out, s->n ? *s : S("null"));
		break;
	case SCHEMA_INT_OR_STRING:
		if (is->is_string)
			json_write_string(out, is->s);
		else
			buf_add_i64(out, is->i);
		break;
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		encode_time(v, f->kind == SCHEMA_MICRO_TIME, out);
		break;
	case SCHEMA_MESSAGE:
		encode_message(f->type, v, out);
		break;
	}
}

static void encode_list(const struct schema_field *f, const struct any_vec *list, struct buf *out)
{
	size_t size = schema_value_size(f);

	if (!list->v) {
		buf_add(out, "null", 4);
		return;
	}
	buf_add_char(out, '[');
	for (size_t i = 0; i < list->n; i++) {
		if (i)
			buf_add_char(out, ',');
		encode_value(f, (const char *)list->v + i * size, out);
	}
	buf_add_char(out, ']');
}

static void encode_map(const struct schema_field *f, const struct any_vec *map, struct buf *out)
{
	size_t size = schema_pair_size(f);

	if (!map->v) {
		buf_add(out, "null", 4);
		return;
	}
	buf_add_char(out, '{');
	for (size_t i = 0; i < map->n; i++) {
		const char *pair = (const char *)map->v + i * size;

		if (i)
			buf_add_char(out, ',');
		json_write_string(out, *(const struct str *)pair);
		buf_add_char(out, ':');
		encode_value(f, pair + sizeof(struct str), out);
	}
	buf_add_char(out, '}');
}

static void encode_field(const struct schema_field *f, const void *at, struct buf *out)
{
	if (f->shape == SCHEMA_LIST)
		encode_list(f, at, out);
	else if (f->shape == SCHEMA_MAP)
		encode_map(f, at, out);
	else if (!schema_is_boxed(f))
		encode_value(f, at, out);
	else if (*(const void *const *)at)
		encode_value(f, *(const void *const *)at, out);
	else
		buf_add(out, "null", 4);
}

/* Go's emptiness: a struct by value is never empty for omitempty. */
bool schema_is_omitted(const struct schema_field *f, const void *at)
{
	const struct k8s_time *t = at;
	bool optional = f->flags & SCHEMA_OPTIONAL;

	if (!(f->flags & (SCHEMA_OMITEMPTY | SCHEMA_OMITZERO)))
		return false;
	if (f->shape != SCHEMA_ONE)
		return ((const struct any_vec *)at)->n == 0;
	if (schema_is_boxed(f))
		return !*(const void *const *)at;
	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
		return !*(const bool *)at;
	case SCHEMA_INT32:
		return *(const int32_t *)at == 0;
	case SCHEMA_INT64:
		return *(const int64_t *)at == 0;
	case SCHEMA_DOUBLE:
		return *(const double *)at == 0;
	case SCHEMA_STRING:
	case SCHEMA_DURATION:
		return optional ? !((const struct str *)at)->p : ((const struct str *)at)->n == 0;
	case SCHEMA_BYTES:
		return ((const struct str *)at)->n == 0;
	case SCHEMA_QUANTITY:
	case SCHEMA_RAW:
		return optional && !((const struct str *)at)->p;
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return !t->set && (optional || f->flags & SCHEMA_OMITZERO);
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_MESSAGE:
		return false;
	}
	return false;
}

/* An optional member that is absent, but always written: null. */
bool schema_is_null(const struct schema_field *f, const void *at)
{
	if (f->shape != SCHEMA_ONE || !(f->flags & SCHEMA_OPTIONAL) || schema_is_boxed(f))
		return false;
	return f->kind != SCHEMA_TIME && f->kind != SCHEMA_MICRO_TIME &&
	       !((const struct str *)at)->p;
}

/* Of a variant's fields the one that is set; the bool is what is left. */
static void encode_variant(const struct schema_type *t, const char *v, struct buf *out)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[i];

		if (f->kind != SCHEMA_BOOL && !schema_is_omitted(f, v + f->offset)) {
			encode_field(f, v + f->offset, out);
			return;
		}
	}
	if (t->fields[0].kind == SCHEMA_BOOL)
		encode_field(&t->fields[0], v + t->fields[0].offset, out);
	else
		buf_add(out, "null", 4);
}

static void encode_message(const struct schema_type *t, const char *v, struct buf *out)
{
	bool first = true;

	if (t->flags & SCHEMA_BARE) {
		encode_field(&t->fields[0], v + t->fields[0].offset, out);
		return;
	}
	if (t->flags & SCHEMA_VARIANT) {
		encode_variant(t, v, out);
		return;
	}
	buf_add_char(out, '{');
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[i];
		char *to;

		if (schema_is_omitted(f, v + f->offset))
			continue;
		to = buf_reserve(out, f->name_len + 4u);
		if (!to)
			return;
		if (!first)
			*to++ = ',';
		*to++ = '"';
		memcpy(to, f->name, f->name_len);
		to += f->name_len;
		*to++ = '"';
		*to++ = ':';
		out->n = to - out->p;
		first = false;
		if (schema_is_null(f, v + f->offset))
			buf_add(out, "null", 4);
		else
			encode_field(f, v + f->offset, out);
	}
	buf_add_char(out, '}');
}

void schema_encode_json(const struct schema_type *type, const void *v, struct buf *out)
{
	encode_message(type, v, out);
}
