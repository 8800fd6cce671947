/* compare.c: equality and deep copies of any struct. */
#include "schema/quantity.h"
#include "schema/schema.h"

struct any_vec {
	void *v;
	size_t n;
};

static bool equal_quantities(struct str a, struct str b)
{
	struct quantity x, y;

	if (str_eq(a, b))
		return true;
	x = quantity_of(a);
	y = quantity_of(b);
	return quantity_cmp(&x, &y) == 0;
}

static bool equal_values(const struct schema_field *f, const void *a, const void *b)
{
	const struct int_or_string *x = a, *y = b;
	const struct k8s_time *t = a, *u = b;

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case SCHEMA_INT32:
		return *(const int32_t *)a == *(const int32_t *)b;
	case SCHEMA_INT64:
		return *(const int64_t *)a == *(const int64_t *)b;
	case SCHEMA_DOUBLE:
		return *(const double *)a == *(const double *)b;
	case SCHEMA_QUANTITY:
		return equal_quantities(*(const struct str *)a, *(const struct str *)b);
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
	case SCHEMA_DURATION:
	case SCHEMA_RAW:
		return str_eq(*(const struct str *)a, *(const struct str *)b);
	case SCHEMA_INT_OR_STRING:
		return x->is_string == y->is_string &&
		       (x->is_string ? str_eq(x->s, y->s) : x->i == y->i);
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return t->set == u->set && (!t->set || (t->sec == u->sec && t->nsec == u->nsec));
	case SCHEMA_MESSAGE:
		return schema_equal(f->type, a, b);
	}
	return false;
}

static bool equal_many(
	const struct schema_field *f, const struct any_vec *a, const struct any_vec *b)
{
	size_t size = f->shape == SCHEMA_MAP ? schema_pair_size(f) : schema_value_size(f);
	size_t value = f->shape == SCHEMA_MAP ? sizeof(struct str) : 0;

	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const char *x = (const char *)a->v + i * size, *y = (const char *)b->v + i * size;

		if (value && !str_eq(*(const struct str *)x, *(const struct str *)y))
			return false;
		if (!equal_values(f, x + value, y + value))
			return false;
	}
	return true;
}

bool schema_equal(const struct schema_type *type, const void *a, const void *b)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct schema_field *f = &type->fields[i];
		const char *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
		bool strings = f->kind != SCHEMA_TIME && f->kind != SCHEMA_MICRO_TIME;

		if (f->shape != SCHEMA_ONE) {
			if (!equal_many(f, (const struct any_vec *)x, (const struct any_vec *)y))
				return false;
			continue;
		}
		if (schema_is_boxed(f)) {
			x = *(const char *const *)x;
			y = *(const char *const *)y;
			if (!x != !y)
				return false;
			if (!x)
				continue;
		} else if (f->flags & SCHEMA_OPTIONAL && strings &&
			   !((const struct str *)x)->p != !((const struct str *)y)->p) {
			return false; /* a pointer to "" is not nil */
		}
		if (!equal_values(f, x, y))
			return false;
	}
	return true;
}

static void copy_fields(const struct schema_type *type, void *v, struct arena *a);

/* *at is a shallow copy: makes what it points at its own. */
static void copy_value(const struct schema_field *f, void *at, struct arena *a)
{
	struct int_or_string *is = at;

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
	case SCHEMA_QUANTITY:
	case SCHEMA_DURATION:
	case SCHEMA_RAW:
		*(struct str *)at = arena_str(a, *(struct str *)at);
		break;
	case SCHEMA_INT_OR_STRING:
		is->s = arena_str(a, is->s);
		break;
	case SCHEMA_MESSAGE:
		copy_fields(f->type, at, a);
		break;
	default:
		break;
	}
}

static void copy_many(const struct schema_field *f, struct any_vec *list, struct arena *a)
{
	size_t size = f->shape == SCHEMA_MAP ? schema_pair_size(f) : schema_value_size(f);
	void *v;

	if (!list->v)
		return;
	v = arena_array(a, list->n, size); /* the size that ARENA_PUSH relies on */
	if (list->n)
		memcpy(v, list->v, list->n * size);
	list->v = v;
	for (size_t i = 0; i < list->n; i++) {
		char *item = (char *)v + i * size;

		if (f->shape == SCHEMA_MAP) {
			*(struct str *)item = arena_str(a, *(struct str *)item);
			item += sizeof(struct str);
		}
		copy_value(f, item, a);
	}
}

static void copy_fields(const struct schema_type *type, void *v, struct arena *a)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct schema_field *f = &type->fields[i];
		void *at = (char *)v + f->offset;

		if (f->shape != SCHEMA_ONE) {
			copy_many(f, at, a);
		} else if (!schema_is_boxed(f)) {
			copy_value(f, at, a);
		} else if (*(void **)at) {
			*(void **)at = arena_memdup(a, *(void **)at, schema_value_size(f));
			copy_value(f, *(void **)at, a);
		}
	}
}

void *schema_copy(const struct schema_type *type, const void *v, struct arena *a)
{
	void *out = arena_memdup(a, v, type->size);

	copy_fields(type, out, a);
	return out;
}
