/* decode_scalar.c: JSON scalars into members, one function per kind. */
#include "schema/decoder.h"

#include <math.h>

#include "json/write.h"
#include "base/base64.h"
#include "schema/quantity.h"
#include "schema/time.h"

static void wrong(struct decoder *d, const struct schema_field *f, char c)
{
	decode_mismatch(d, false, decode_value_name(c), decode_go_type(d, f, true));
	json_skip(&d->r, NULL);
}

static void wrong_number(struct decoder *d, struct str literal, const char *go_type, bool stop)
{
	decode_mismatch(d, stop, arena_fmt(d->a, "number " STR_FMT, STR_ARG(literal)), go_type);
}

static bool int_in_range(struct str literal, bool wide, int64_t *v)
{
	return str_to_i64(literal, v) == 0 && (wide || (*v >= INT32_MIN && *v <= INT32_MAX));
}

static void decode_int(struct decoder *d, const struct schema_field *f, char c, void *dst)
{
	bool wide = f->kind == SCHEMA_INT64;
	struct str literal;
	int64_t v;

	if (c != '-' && !(c >= '0' && c <= '9')) {
		wrong(d, f, c);
		return;
	}
	if (!json_read_number(&d->r, &literal))
		return;
	if (!int_in_range(literal, wide, &v))
		wrong_number(d, literal, decode_go_type(d, f, true), false);
	else if (wide)
		*(int64_t *)dst = v;
	else
		*(int32_t *)dst = (int32_t)v;
}

static void decode_double(struct decoder *d, const struct schema_field *f, char c, void *dst)
{
	struct str literal;
	double v;

	if (c != '-' && !(c >= '0' && c <= '9')) {
		wrong(d, f, c);
		return;
	}
	if (!json_read_number(&d->r, &literal))
		return;
	v = strtod(arena_cstr(d->a, literal), NULL);
	if (isinf(v))
		wrong_number(d, literal, decode_go_type(d, f, true), false);
	else
		*(double *)dst = v;
}

/* Base64 text; or, as Go allows for a []byte, an array of small numbers. */
static void decode_bytes(struct decoder *d, const struct schema_field *f, char c, struct str *dst)
{
	struct str s;
	size_t bad;
	struct buf b CLEANUP(buf_release) = {0};

	if (c == '"') {
		if (!json_read_string(&d->r, &s))
			return;
		bad = base64_decode(s, d->a, dst);
		if (bad)
			decode_note(d, "illegal base64 data at input byte %zu", bad - 1);
		return;
	}
	if (c != '[') {
		wrong(d, f, c);
		return;
	}
	buf_init(&b, d->r.end - d->r.p);
	if (!json_enter(&d->r, c))
		return;
	while (json_next_item(&d->r)) {
		char item = json_peek(&d->r);
		int64_t v;

		if (!json_skip(&d->r, &s))
			return; /* broken JSON: the reader says so */
		if (item != 'n' && (!int_in_range(s, true, &v) || v < 0 || v > 255))
			decode_mismatch(d, false, decode_value_name(item), "uint8");
		else
			buf_add_char(&b, item == 'n' ? 0 : (char)v);
	}
	dst->p = arena_memdup(d->a, b.p, b.n);
	dst->n = b.n;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/* Upstream takes any value's text, without its quotes and without unescaping it. */
static void decode_quantity(struct decoder *d, struct str *dst)
{
	struct err err CLEANUP(err_release) = {0};
	struct str s;

	if (!json_skip(&d->r, &s))
		return;
	if (s.n >= 2 && s.p[0] == '"')
		s = str_sub(s, 1, s.n - 1);
	while (s.n && is_blank(s.p[0]))
		s = str_sub(s, 1, s.n);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	if (quantity_normalize(s, d->a, dst, &err) < 0)
		decode_stop(d, "%s", err_text(&err));
}

static void decode_time(struct decoder *d, const struct schema_field *f, char c, void *dst)
{
	struct err err CLEANUP(err_release) = {0};
	struct str s;

	if (c != '"') {
		decode_mismatch(d, true, decode_value_name(c), "string");
		return;
	}
	if (json_read_string(&d->r, &s) &&
		k8s_time_parse(s, f->kind == SCHEMA_MICRO_TIME, dst, &err) < 0)
		decode_stop(d, "%s", err_text(&err));
}

static void decode_int_or_string(struct decoder *d, char c, struct int_or_string *dst)
{
	struct str literal;
	int64_t v;

	*dst = (struct int_or_string){0};
	if (c == '"') {
		dst->is_string = true;
		json_read_string(&d->r, &dst->s);
	} else if (c != '-' && !(c >= '0' && c <= '9')) {
		decode_mismatch(d, true, decode_value_name(c), "int32");
	} else if (json_read_number(&d->r, &literal)) {
		if (int_in_range(literal, false, &v))
			dst->i = (int32_t)v;
		else
			wrong_number(d, literal, "int32", true);
	}
}

static bool is_compact(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c <= ' ' || c == '<' || c == '>' || c == '&' || c == 0xe2)
			return false;
	}
	return true;
}

static void decode_raw(struct decoder *d, struct str *dst)
{
	struct buf b CLEANUP(buf_release) = {0};

	if (!json_skip(&d->r, dst) || is_compact(*dst))
		return;
	buf_init(&b, dst->n * 6);
	json_write_compact(&b, *dst);
	*dst = arena_str(d->a, buf_str(&b));
}

void decode_scalar(struct decoder *d, const struct schema_field *f, char c, void *dst)
{
	char word;

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
		if (c != 't' && c != 'f')
			wrong(d, f, c);
		else if (json_read_word(&d->r, &word))
			*(bool *)dst = word == 't';
		break;
	case SCHEMA_INT32:
	case SCHEMA_INT64:
		decode_int(d, f, c, dst);
		break;
	case SCHEMA_DOUBLE:
		decode_double(d, f, c, dst);
		break;
	case SCHEMA_STRING:
	case SCHEMA_DURATION:
		if (c != '"')
			wrong(d, f, c);
		else
			json_read_string(&d->r, dst);
		break;
	case SCHEMA_BYTES:
		decode_bytes(d, f, c, dst);
		break;
	case SCHEMA_QUANTITY:
		decode_quantity(d, dst);
		break;
	case SCHEMA_INT_OR_STRING:
		decode_int_or_string(d, c, dst);
		break;
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		decode_time(d, f, c, dst);
		break;
	case SCHEMA_RAW:
		decode_raw(d, dst);
		break;
	case SCHEMA_MESSAGE:
		assert(!"a message is no scalar");
	}
}

void decode_scalar_null(const struct schema_field *f, void *dst)
{
	/* Types with a parser of their own are set to zero, [] byte is a nil slice; the others keep
	 * what they have. */
	switch ((enum schema_kind)f->kind) {
	case SCHEMA_QUANTITY:
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
	case SCHEMA_BYTES:
		memset(dst, 0, schema_value_size(f));
		break;
	default:
		break;
	}
}
