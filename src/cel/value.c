/* value.c: lists and maps, however they are kept: arrays of values, JSON trees, C structs of the
 * schema, lazy ones. */
#include "cel/eval.h"
#include "json/value.h"
#include "base/base64.h"
#include "schema/schema.h"
#include "schema/time.h"

#include <stdio.h>

/* What arrays of values are kept in. A value knows how many items are its own; behind them another
 * value may have gone on. */
struct list_block {
	size_t used, cap;
	struct cel_value *v;
};

struct map_block {
	size_t used, cap;
	struct cel_entry *v;
	uint32_t *index; /* 1 + entry, hashed; NULL while there are few */
	size_t n_index;  /* a power of two */
};

struct any_vec {
	const void *v;
	size_t n;
};

static struct cel_value shared(enum cel_kind kind, enum cel_rep rep, const void *p, const void *of)
{
	return (struct cel_value){.kind = kind, .rep = rep, .ref = {p, of}};
}

static struct cel_value counted(enum cel_kind kind, const void *block, size_t n)
{
	return shared(kind, CEL_REP_ARRAY, block, (const void *)(uintptr_t)n);
}

static size_t count_of(struct cel_value v)
{
	return (uintptr_t)v.ref.of;
}

/* --- making them --- */

struct cel_value cel_empty_list(void)
{
	return counted(CEL_LIST, NULL, 0);
}

struct cel_value cel_empty_map(void)
{
	return counted(CEL_MAP, NULL, 0);
}

struct cel_value cel_list(const struct cel_value *v, size_t n, struct arena *a)
{
	struct list_block *b = ARENA_NEW(a, struct list_block);

	b->used = b->cap = n; /* full: appending copies */
	b->v = (struct cel_value *)v;
	return counted(CEL_LIST, b, n);
}

struct cel_value cel_map(const struct cel_entry *v, size_t n, struct arena *a)
{
	struct map_block *b = ARENA_NEW(a, struct map_block);

	b->used = b->cap = n;
	b->v = (struct cel_entry *)v;
	return counted(CEL_MAP, b, n);
}

struct cel_value cel_lazy_map(const struct cel_lazy_ops *ops, void *data)
{
	return shared(CEL_MAP, CEL_REP_LAZY, data, ops);
}

static struct cel_value json_number(struct str text)
{
	int64_t i;
	char buf[64];

	if (str_to_i64(text, &i) == 0)
		return cel_int(i);
	snprintf(buf, sizeof(buf), STR_FMT, STR_ARG(text));
	return cel_double(strtod(buf, NULL));
}

struct cel_value cel_json(const struct json_value *v)
{
	if (!v)
		return cel_null();
	switch (v->kind) {
	case JSON_NULL:
		return cel_null();
	case JSON_BOOL:
		return cel_bool(v->boolean);
	case JSON_NUMBER:
		return json_number(v->text);
	case JSON_STRING:
		return cel_string(v->text);
	case JSON_ARRAY:
		return shared(CEL_LIST, CEL_REP_JSON, v, NULL);
	case JSON_OBJECT:
		return shared(CEL_MAP, CEL_REP_JSON, v, NULL);
	}
	return cel_null();
}

struct cel_value cel_json_text(struct str json, struct arena *a)
{
	struct json_value *v;
	struct err err CLEANUP(err_release) = {0};

	if (str_empty(json))
		return cel_null();
	if (json_parse(json, a, &v, &err) < 0)
		return cel_error_fmt(a, "%s", err_text(&err));
	return cel_json(v);
}

/* --- C structs --- */

static struct cel_value member(const struct schema_field *f, const void *at, struct arena *a);

static struct cel_value variant(const struct schema_type *t, const char *v, struct arena *a)
{
	const struct schema_field *f;

	for (size_t i = 0; i < t->n_fields; i++) {
		f = &t->fields[i];
		if (f->kind != SCHEMA_BOOL && !schema_is_omitted(f, v + f->offset))
			return member(f, v + f->offset, a);
	}
	f = &t->fields[0];
	return f->kind == SCHEMA_BOOL ? member(f, v + f->offset, a) : cel_null();
}

static struct cel_value message(const struct schema_type *t, const void *v, struct arena *a)
{
	if (t->flags & SCHEMA_BARE)
		return member(&t->fields[0], (const char *)v + t->fields[0].offset, a);
	if (t->flags & SCHEMA_VARIANT)
		return variant(t, v, a);
	return shared(CEL_MAP, CEL_REP_STRUCT, v, t);
}

struct cel_value cel_object(const struct schema_type *type, const void *v)
{
	return v ? shared(CEL_MAP, CEL_REP_STRUCT, v, type) : cel_null();
}

static struct cel_value time_text(const struct k8s_time *t, bool micro, struct arena *a)
{
	char text[K8S_TIME_TEXT_MAX];

	return t->set ? cel_string(arena_str(a, str_n(text, k8s_time_format(t, micro, text))))
		      : cel_null();
}

static struct cel_value base64_text(struct str s, struct arena *a)
{
	struct buf b;
	struct cel_value v;

	if (!s.p)
		return cel_null();
	buf_init(&b, s.n * 2 + 8);
	base64_encode(s, &b);
	v = cel_string(arena_str(a, buf_str(&b)));
	buf_release(&b);
	return v;
}

/* One value of the field: the member itself, a list's item, a map's value. */
static struct cel_value scalar(const struct schema_field *f, const void *v, struct arena *a)
{
	const struct str *s = v;
	const struct int_or_string *is = v;

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
		return cel_bool(*(const bool *)v);
	case SCHEMA_INT32:
		return cel_int(*(const int32_t *)v);
	case SCHEMA_INT64:
		return cel_int(*(const int64_t *)v);
	case SCHEMA_DOUBLE:
		return cel_double(*(const double *)v);
	case SCHEMA_STRING:
	case SCHEMA_DURATION:
		return cel_string(*s);
	case SCHEMA_QUANTITY:
		return cel_string(s->n ? *s : S("0"));
	case SCHEMA_BYTES:
		return base64_text(*s, a);
	case SCHEMA_RAW:
		return cel_json_text(*s, a);
	case SCHEMA_INT_OR_STRING:
		return is->is_string ? cel_string(is->s) : cel_int(is->i);
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return time_text(v, f->kind == SCHEMA_MICRO_TIME, a);
	case SCHEMA_MESSAGE:
		return message(f->type, v, a);
	}
	return cel_null();
}

static struct cel_value member(const struct schema_field *f, const void *at, struct arena *a)
{
	const struct any_vec *vec = at;

	if (f->shape != SCHEMA_ONE) {
		if (!vec->v)
			return cel_null();
		return shared(f->shape == SCHEMA_LIST ? CEL_LIST : CEL_MAP, CEL_REP_FIELD, at, f);
	}
	if (schema_is_null(f, at))
		return cel_null();
	if (!schema_is_boxed(f))
		return scalar(f, at, a);
	at = *(const void *const *)at;
	return at ? scalar(f, at, a) : cel_null();
}

static bool struct_find(const struct schema_type *t, const char *v, struct str key, struct arena *a,
	struct cel_value *ret)
{
	const struct schema_field *f = schema_field_find(t, key);

	if (!f || schema_is_omitted(f, v + f->offset))
		return false;
	*ret = member(f, v + f->offset, a);
	return true;
}

static size_t struct_size(const struct schema_type *t, const char *v)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_fields; i++)
		n += !schema_is_omitted(&t->fields[i], v + t->fields[i].offset);
	return n;
}

static struct cel_entry struct_at(
	const struct schema_type *t, const char *v, size_t i, struct arena *a)
{
	for (size_t k = 0; k < t->n_fields; k++) {
		const struct schema_field *f = &t->fields[k];

		if (schema_is_omitted(f, v + f->offset) || i-- > 0)
			continue;
		return (struct cel_entry){
			cel_string(str_n(f->name, f->name_len)), member(f, v + f->offset, a)};
	}
	return (struct cel_entry){cel_null(), cel_null()};
}

static struct cel_entry pair_at(struct cel_value map, size_t i, struct arena *a)
{
	const struct schema_field *f = map.ref.of;
	const struct any_vec *vec = map.ref.p;
	const char *pair = (const char *)vec->v + i * schema_pair_size(f);

	return (struct cel_entry){
		cel_string(*(const struct str *)pair), scalar(f, pair + sizeof(struct str), a)};
}

/* --- arrays of values --- */

static bool hashable(struct cel_value key)
{
	return key.kind == CEL_STRING || key.kind == CEL_INT || key.kind == CEL_UINT ||
	       key.kind == CEL_BOOL || key.kind == CEL_DOUBLE;
}

/* Numbers that are equal have the same hash, whatever their types. */
static uint64_t hash(struct cel_value key)
{
	switch (key.kind) {
	case CEL_STRING:
		return str_hash(key.s);
	case CEL_DOUBLE:
		return key.d >= -9e18 && key.d < 1.8e19
			       ? (key.d < 0 ? (uint64_t)(int64_t)key.d : (uint64_t)key.d) *
					 0x9e3779b97f4a7c15
			       : 0;
	case CEL_BOOL:
		return key.b;
	default:
		return key.u * 0x9e3779b97f4a7c15;
	}
}

static size_t index_place(const struct map_block *b, uint64_t h)
{
	return (h ^ h >> 32) & (b->n_index - 1);
}

static void index_add(struct map_block *b, size_t i)
{
	size_t at = index_place(b, hash(b->v[i].key));

	while (b->index[at])
		at = (at + 1) & (b->n_index - 1);
	b->index[at] = (uint32_t)i + 1;
}

enum { INDEX_FROM = 16 }; /* entries; fewer are searched one by one */

static void index_grow(struct map_block *b, struct arena *a)
{
	if (b->cap < INDEX_FROM)
		return;
	b->n_index = b->cap * 4;
	while (b->n_index & (b->n_index - 1))
		b->n_index &= b->n_index - 1;
	b->index = arena_alloc(a, b->n_index * sizeof(*b->index));
	for (size_t i = 0; i < b->used; i++)
		index_add(b, i);
}

static bool array_find(struct cel_value map, struct cel_value key, struct arena *a, size_t *ret)
{
	const struct map_block *b = map.ref.p;
	size_t n = count_of(map);

	if (n == 0 || !hashable(key))
		return false;
	if (!b->index) {
		for (size_t i = 0; i < n; i++) {
			if (cel_equal(b->v[i].key, key, a)) {
				*ret = i;
				return true;
			}
		}
		return false;
	}
	for (size_t at = index_place(b, hash(key)); b->index[at];
		at = (at + 1) & (b->n_index - 1)) {
		size_t i = b->index[at] - 1;

		if (i < n && cel_equal(b->v[i].key, key, a)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

struct cel_value cel_list_append(struct cel_value list, struct cel_value item, struct arena *a)
{
	struct list_block *b = (struct list_block *)list.ref.p;
	size_t n = cel_size(list);

	if (list.rep != CEL_REP_ARRAY || !b || b->used != n || b->cap == n) {
		struct list_block *to = ARENA_NEW(a, struct list_block);

		to->cap = n < 4 ? 8 : n * 2;
		to->v = arena_alloc(a, to->cap * sizeof(*to->v));
		for (size_t i = 0; i < n; i++)
			to->v[i] = cel_list_at(list, i, a);
		to->used = n;
		b = to;
	}
	b->v[b->used++] = item;
	return counted(CEL_LIST, b, b->used);
}

struct cel_value cel_list_concat(struct cel_value x, struct cel_value y, struct arena *a)
{
	size_t nx = cel_size(x), ny = cel_size(y);
	struct list_block *b;

	if (nx == 0)
		return y;
	if (ny == 0)
		return x;
	if (nx + ny > CEL_LIST_ITEMS_MAX)
		return cel_error(S("list exceeds the limit of 1048576 items"));
	if (ny == 1)
		return cel_list_append(x, cel_list_at(y, 0, a), a);
	b = ARENA_NEW(a, struct list_block);
	b->cap = b->used = nx + ny;
	b->v = arena_alloc(a, b->cap * sizeof(*b->v));
	for (size_t i = 0; i < nx + ny; i++)
		b->v[i] = i < nx ? cel_list_at(x, i, a) : cel_list_at(y, i - nx, a);
	return counted(CEL_LIST, b, b->used);
}

static struct cel_value map_append(
	struct cel_value map, struct cel_value key, struct cel_value value, struct arena *a)
{
	struct map_block *b = (struct map_block *)map.ref.p;
	size_t n = cel_size(map);

	if (map.rep != CEL_REP_ARRAY || !b || b->used != n || b->cap == n) {
		struct map_block *to = ARENA_NEW(a, struct map_block);

		to->cap = n < 4 ? 8 : n * 2;
		to->v = arena_alloc(a, to->cap * sizeof(*to->v));
		for (size_t i = 0; i < n; i++)
			to->v[i] = cel_map_at(map, i, a);
		to->used = n;
		index_grow(to, a);
		b = to;
	}
	b->v[b->used] = (struct cel_entry){key, value};
	b->used++;
	if (b->index)
		index_add(b, b->used - 1);
	return counted(CEL_MAP, b, b->used);
}

bool cel_map_insert(struct cel_value map, struct cel_value key, struct cel_value value,
	struct arena *a, struct cel_value *ret)
{
	struct cel_value old;

	if (cel_map_find(map, key, a, &old))
		return false;
	*ret = map_append(map, key, value, a);
	return true;
}

struct cel_value cel_map_without(struct cel_value map, struct cel_value key, struct arena *a)
{
	struct cel_value to = cel_empty_map();

	for (size_t i = 0; i < cel_size(map); i++) {
		struct cel_entry e = cel_map_at(map, i, a);

		if (!cel_equal(e.key, key, a))
			to = map_append(to, e.key, e.value, a);
	}
	return to;
}

struct cel_value cel_map_put(
	struct cel_value map, struct cel_value key, struct cel_value value, struct arena *a)
{
	struct cel_value to;

	if (cel_map_insert(map, key, value, a, &to))
		return to;
	return map_append(cel_map_without(map, key, a), key, value, a);
}

/* --- any --- */

static size_t lazy_size(struct cel_value map)
{
	const struct cel_lazy_ops *ops = map.ref.of;
	struct str key;
	size_t n = 0;

	while (ops->key((void *)map.ref.p, n, &key))
		n++;
	return n;
}

size_t cel_size(struct cel_value v)
{
	const struct json_value *j = v.ref.p;

	switch ((enum cel_rep)v.rep) {
	case CEL_REP_ARRAY:
		return count_of(v);
	case CEL_REP_JSON:
		return v.kind == CEL_LIST ? j->items.n : j->members.n;
	case CEL_REP_STRUCT:
		return struct_size(v.ref.of, v.ref.p);
	case CEL_REP_FIELD:
		return ((const struct any_vec *)v.ref.p)->n;
	case CEL_REP_LAZY:
		return lazy_size(v);
	}
	return 0;
}

struct cel_value cel_list_at(struct cel_value list, size_t i, struct arena *a)
{
	const struct json_value *j = list.ref.p;
	const struct any_vec *vec = list.ref.p;
	const struct schema_field *f = list.ref.of;

	switch ((enum cel_rep)list.rep) {
	case CEL_REP_ARRAY:
		return ((const struct list_block *)list.ref.p)->v[i];
	case CEL_REP_JSON:
		return cel_json(j->items.v[i]);
	default:
		return scalar(f, (const char *)vec->v + i * schema_value_size(f), a);
	}
}

static bool pair_find(struct cel_value map, struct str key, struct arena *a, struct cel_value *ret)
{
	const struct schema_field *f = map.ref.of;
	const struct any_vec *vec = map.ref.p;
	size_t size = schema_pair_size(f);

	for (size_t i = 0; i < vec->n; i++) {
		const char *pair = (const char *)vec->v + i * size;

		if (str_eq(*(const struct str *)pair, key)) {
			*ret = scalar(f, pair + sizeof(struct str), a);
			return true;
		}
	}
	return false;
}

bool cel_map_find(
	struct cel_value map, struct cel_value key, struct arena *a, struct cel_value *ret)
{
	const struct cel_lazy_ops *ops = map.ref.of;
	const struct json_value *j;
	size_t i;

	if (map.rep == CEL_REP_ARRAY) {
		if (!array_find(map, key, a, &i))
			return false;
		*ret = ((const struct map_block *)map.ref.p)->v[i].value;
		return true;
	}
	if (key.kind != CEL_STRING)
		return false;
	switch ((enum cel_rep)map.rep) {
	case CEL_REP_JSON:
		j = json_get(map.ref.p, key.s);
		if (j)
			*ret = cel_json(j);
		return j != NULL;
	case CEL_REP_STRUCT:
		return struct_find(map.ref.of, map.ref.p, key.s, a, ret);
	case CEL_REP_FIELD:
		return pair_find(map, key.s, a, ret);
	default:
		return ops->get((void *)map.ref.p, key.s, a, ret);
	}
}

struct cel_entry cel_map_at(struct cel_value map, size_t i, struct arena *a)
{
	const struct json_value *j = map.ref.p;
	const struct cel_lazy_ops *ops = map.ref.of;
	struct cel_entry e = {cel_null(), cel_null()};

	switch ((enum cel_rep)map.rep) {
	case CEL_REP_ARRAY:
		return ((const struct map_block *)map.ref.p)->v[i];
	case CEL_REP_JSON:
		e.key = cel_string(j->members.v[i].key);
		e.value = cel_json(j->members.v[i].value);
		return e;
	case CEL_REP_STRUCT:
		return struct_at(map.ref.of, map.ref.p, i, a);
	case CEL_REP_FIELD:
		return pair_at(map, i, a);
	case CEL_REP_LAZY:
		e.key = cel_string(S(""));
		if (ops->key((void *)map.ref.p, i, &e.key.s))
			ops->get((void *)map.ref.p, e.key.s, a, &e.value);
		return e;
	}
	return e;
}

struct cel_value cel_get(struct cel_value map, const char *key, struct arena *a)
{
	struct cel_value v = {.kind = CEL_UNSET};

	if (map.kind == CEL_MAP)
		cel_map_find(map, cel_string(str_c(key)), a, &v);
	return v;
}

struct cel_value cel_optional_of(struct cel_value v, struct arena *a)
{
	struct cel_value *inner = arena_memdup(a, &v, sizeof(v));

	return (struct cel_value){.kind = CEL_OPTIONAL, .optional = inner};
}

struct cel_value cel_none(void)
{
	return (struct cel_value){.kind = CEL_OPTIONAL, .optional = NULL};
}

struct cel_value cel_opaque(const struct cel_type *type, const void *p)
{
	return (struct cel_value){.kind = CEL_OPAQUE, .ref = {p, type}};
}
