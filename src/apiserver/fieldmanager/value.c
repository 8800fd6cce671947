#include "apiserver/fieldmanager/value.h"

#include <math.h>

#include "json/write.h"
#include "base/base64.h"
#include "schema/time.h"
#include "types.gen.h"

enum { TEXT_MAX = 16 * 1024 * 1024 };

static const struct fvalue null_value = {.kind = FVALUE_NULL};

/* --- from a struct --- */

struct any_vec { /* every list and map */
	const char *v;
	size_t n;
};

static struct fvalue of_message(const struct schema_type *t, const char *v, struct arena *a);

static struct fvalue of_time(const struct k8s_time *t, bool micro, struct arena *a)
{
	char text[K8S_TIME_TEXT_MAX];

	if (!t->set)
		return null_value;
	return fvalue_string(arena_str(a, str_n(text, k8s_time_format(t, micro, text))));
}

static struct fvalue of_bytes(struct str s, struct arena *a)
{
	struct buf b;
	struct str text;

	if (!s.p)
		return null_value;
	buf_init(&b, TEXT_MAX);
	base64_encode(s, &b);
	text = arena_str(a, buf_str(&b));
	buf_release(&b);
	return fvalue_string(text);
}

static struct fvalue of_raw(struct str json, struct arena *a)
{
	struct json_value *v;

	if (!json.n || json_parse(json, a, &v, NULL) < 0)
		return null_value;
	return fvalue_from_json(v, a);
}

static struct fvalue of_int(int64_t i)
{
	return (struct fvalue){.kind = FVALUE_INT, .i = i};
}

static struct fvalue of_value(const struct schema_field *f, const void *v, struct arena *a)
{
	const struct str *s = v;
	const struct int_or_string *is = v;

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
		return (struct fvalue){.kind = FVALUE_BOOL, .boolean = *(const bool *)v};
	case SCHEMA_INT32:
		return of_int(*(const int32_t *)v);
	case SCHEMA_INT64:
		return of_int(*(const int64_t *)v);
	case SCHEMA_DOUBLE:
		return (struct fvalue){.kind = FVALUE_DOUBLE, .d = *(const double *)v};
	case SCHEMA_STRING:
	case SCHEMA_DURATION:
		return fvalue_string(*s);
	case SCHEMA_QUANTITY:
		return fvalue_string(s->n ? *s : S("0"));
	case SCHEMA_BYTES:
		return of_bytes(*s, a);
	case SCHEMA_RAW:
		return of_raw(*s, a);
	case SCHEMA_INT_OR_STRING:
		return is->is_string ? fvalue_string(is->s) : of_int(is->i);
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return of_time(v, f->kind == SCHEMA_MICRO_TIME, a);
	case SCHEMA_MESSAGE:
		return of_message(f->type, v, a);
	}
	return null_value;
}

static struct fvalue of_list(
	const struct schema_field *f, const struct any_vec *list, struct arena *a)
{
	size_t size = schema_value_size(f);
	struct fvalue ret = {.kind = FVALUE_LIST, .n = (uint32_t)list->n};

	if (!list->v)
		return null_value;
	ret.items = arena_alloc(a, list->n * sizeof(*ret.items));
	for (size_t i = 0; i < list->n; i++)
		ret.items[i] = of_value(f, list->v + i * size, a);
	return ret;
}

static struct fvalue of_map(
	const struct schema_field *f, const struct any_vec *map, struct arena *a)
{
	size_t size = schema_pair_size(f);
	struct fvalue ret = {.kind = FVALUE_MAP, .n = (uint32_t)map->n};

	if (!map->v)
		return null_value;
	ret.members = arena_alloc(a, map->n * sizeof(*ret.members));
	for (size_t i = 0; i < map->n; i++) {
		const char *pair = map->v + i * size;

		ret.members[i].name = *(const struct str *)pair;
		ret.members[i].value = of_value(f, pair + sizeof(struct str), a);
	}
	return ret;
}

static struct fvalue of_member(const struct schema_field *f, const char *at, struct arena *a)
{
	if (schema_is_null(f, at))
		return null_value;
	if (f->shape == SCHEMA_LIST)
		return of_list(f, (const void *)at, a);
	if (f->shape == SCHEMA_MAP)
		return of_map(f, (const void *)at, a);
	if (!schema_is_boxed(f))
		return of_value(f, at, a);
	at = *(const char *const *)at;
	return at ? of_value(f, at, a) : null_value;
}

static struct fvalue of_variant(const struct schema_type *t, const char *v, struct arena *a)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[i];

		if (f->kind != SCHEMA_BOOL && !schema_is_omitted(f, v + f->offset))
			return of_member(f, v + f->offset, a);
	}
	return t->fields[0].kind == SCHEMA_BOOL ? of_member(t->fields, v + t->fields->offset, a)
						: null_value;
}

static struct fvalue of_message(const struct schema_type *t, const char *v, struct arena *a)
{
	struct fvalue ret = {.kind = FVALUE_MAP};

	if (t->flags & SCHEMA_BARE)
		return of_member(&t->fields[0], v + t->fields[0].offset, a);
	if (t->flags & SCHEMA_VARIANT)
		return of_variant(t, v, a);
	for (size_t i = 0; i < t->n_fields; i++)
		ret.n += !schema_is_omitted(&t->fields[i], v + t->fields[i].offset);
	ret.members = arena_alloc(a, ret.n * sizeof(*ret.members));
	ret.n = 0;
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[t->by_name[i]];

		if (schema_is_omitted(f, v + f->offset) ||
			f->type == &meta_v1_managed_fields_entry_schema)
			continue;
		ret.members[ret.n].name = str_n(f->name, f->name_len);
		ret.members[ret.n].field = f;
		ret.members[ret.n++].value = of_member(f, v + f->offset, a);
	}
	return ret;
}

struct fvalue fvalue_from_struct(const struct schema_type *type, const void *typed, struct arena *a)
{
	return of_message(type, typed, a);
}

/* --- JSON --- */

static int by_name(const void *a, const void *b)
{
	const struct fvalue_member *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

/* Upstream reads numbers as doubles; one without a fraction compares equal to an integer. */
static struct fvalue of_number(struct str text)
{
	struct fvalue ret = {.kind = FVALUE_DOUBLE};
	char copy[400];

	if (str_to_i64(text, &ret.i) == 0) {
		ret.kind = FVALUE_INT;
		return ret;
	}
	text.n = MIN(text.n, sizeof(copy) - 1);
	memcpy(copy, text.p, text.n);
	copy[text.n] = 0;
	ret.d = strtod(copy, NULL);
	if (ret.d == trunc(ret.d) && fabs(ret.d) < 1e15)
		return of_int((int64_t)ret.d);
	return ret;
}

struct fvalue fvalue_from_json(const struct json_value *v, struct arena *a)
{
	struct fvalue ret = {0};
	bool sorted = true;

	switch (v->kind) {
	case JSON_NULL:
		return null_value;
	case JSON_BOOL:
		return (struct fvalue){.kind = FVALUE_BOOL, .boolean = v->boolean};
	case JSON_NUMBER:
		return of_number(v->text);
	case JSON_STRING:
		return fvalue_string(v->text);
	case JSON_ARRAY:
		ret = (struct fvalue){.kind = FVALUE_LIST, .n = (uint32_t)v->items.n};
		ret.items = arena_alloc(a, ret.n * sizeof(*ret.items));
		for (size_t i = 0; i < ret.n; i++)
			ret.items[i] = fvalue_from_json(v->items.v[i], a);
		return ret;
	case JSON_OBJECT:
		break;
	}
	ret = (struct fvalue){.kind = FVALUE_MAP, .n = (uint32_t)v->members.n};
	ret.members = arena_alloc(a, ret.n * sizeof(*ret.members));
	for (size_t i = 0; i < ret.n; i++) {
		ret.members[i].name = v->members.v[i].key;
		ret.members[i].value = fvalue_from_json(v->members.v[i].value, a);
		sorted = sorted && (!i || by_name(&ret.members[i - 1], &ret.members[i]) < 0);
	}
	if (!sorted)
		qsort(ret.members, ret.n, sizeof(*ret.members), by_name);
	return ret;
}

void fvalue_write_json(const struct fvalue *v, struct buf *out)
{
	switch ((enum fvalue_kind)v->kind) {
	case FVALUE_INT:
		buf_add_i64(out, v->i);
		break;
	case FVALUE_DOUBLE:
		json_write_double(out, v->d);
		break;
	case FVALUE_STRING:
		json_write_string(out, fvalue_text(v));
		break;
	case FVALUE_BOOL:
		buf_add_c(out, v->boolean ? "true" : "false");
		break;
	case FVALUE_LIST:
		buf_add_char(out, '[');
		for (size_t i = 0; i < v->n; i++) {
			if (i)
				buf_add_char(out, ',');
			fvalue_write_json(&v->items[i], out);
		}
		buf_add_char(out, ']');
		break;
	case FVALUE_MAP:
		buf_add_char(out, '{');
		for (size_t i = 0; i < v->n; i++) {
			if (i)
				buf_add_char(out, ',');
			json_write_string(out, v->members[i].name);
			buf_add_char(out, ':');
			fvalue_write_json(&v->members[i].value, out);
		}
		buf_add_char(out, '}');
		break;
	case FVALUE_NULL:
		buf_add_c(out, "null");
		break;
	}
}

/* --- looking and comparing --- */

const struct fvalue *fvalue_get(const struct fvalue *map, struct str name)
{
	size_t from = 0, to = map->kind == FVALUE_MAP ? map->n : 0;

	while (from < to) {
		size_t mid = (from + to) / 2;
		int order = str_cmp(map->members[mid].name, name);

		if (order == 0)
			return &map->members[mid].value;
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

static double number_of(const struct fvalue *v)
{
	return v->kind == FVALUE_INT ? (double)v->i : v->d;
}

static int sign(double d)
{
	return (d > 0) - (d < 0);
}

static int cmp_lists(const struct fvalue *a, const struct fvalue *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		int order = fvalue_cmp(&a->items[i], &b->items[i]);

		if (order)
			return order;
	}
	return (a->n > b->n) - (a->n < b->n);
}

static int cmp_maps(const struct fvalue *a, const struct fvalue *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		int order = str_cmp(a->members[i].name, b->members[i].name);

		if (!order)
			order = fvalue_cmp(&a->members[i].value, &b->members[i].value);
		if (order)
			return order;
	}
	return (a->n > b->n) - (a->n < b->n);
}

int fvalue_cmp(const struct fvalue *a, const struct fvalue *b)
{
	if (a->kind <= FVALUE_DOUBLE && b->kind <= FVALUE_DOUBLE) {
		if (a->kind == FVALUE_INT && b->kind == FVALUE_INT)
			return (a->i > b->i) - (a->i < b->i);
		return sign(number_of(a) - number_of(b));
	}
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	switch ((enum fvalue_kind)a->kind) {
	case FVALUE_STRING:
		return str_cmp(fvalue_text(a), fvalue_text(b));
	case FVALUE_BOOL:
		return a->boolean - b->boolean;
	case FVALUE_LIST:
		return cmp_lists(a, b);
	case FVALUE_MAP:
		return cmp_maps(a, b);
	default:
		return 0;
	}
}
