/* default.c: constants that the schema gives for absent fields. */
#include "schema/decoder.h"
#include "schema/quantity.h"

struct any_vec {
	void *v;
	size_t n;
};

/* Absent, or, without a pointer to tell, zero. */
static bool is_absent(const struct schema_field *f, const void *at)
{
	const struct str *s = at;

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
	case SCHEMA_BYTES:
	case SCHEMA_QUANTITY:
	case SCHEMA_DURATION:
	case SCHEMA_RAW:
		return f->flags & SCHEMA_OPTIONAL ? !s->p : s->n == 0;
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
	case SCHEMA_MESSAGE:
		return false; /* by value: nothing of the schema's */
	}
	return false;
}

/* Amounts of resources are at least a thousandth of the unit. */
static void round_resources(struct str_map *m, struct arena *a)
{
	const __int128 milli = 1000000;

	for (size_t i = 0; i < m->n; i++) {
		struct quantity q = quantity_of(m->v[i].value);

		if (q.nano % milli == 0)
			continue;
		q.nano = (q.nano / milli + (q.nano > 0 ? 1 : -1)) * milli;
		m->v[i].value = quantity_text(&q, a);
	}
}

static void default_values(const struct schema_field *f, void *at, struct arena *a)
{
	size_t size = f->shape == SCHEMA_MAP ? schema_pair_size(f) : schema_value_size(f);
	struct any_vec *list = at;

	if (f->shape == SCHEMA_ONE) {
		void *v = schema_is_boxed(f) ? *(void **)at : at;

		if (v)
			schema_default(f->type, v, a);
		return;
	}
	for (size_t i = 0; i < list->n; i++)
		schema_default(f->type,
			(char *)list->v + i * size +
				(f->shape == SCHEMA_MAP ? sizeof(struct str) : 0),
			a);
}

void schema_default(const struct schema_type *type, void *v, struct arena *a)
{
	for (size_t i = 0; i < type->n_fields; i++) {
		const struct schema_field *f = &type->fields[i];
		void *at = (char *)v + f->offset;

		if (f->extra && f->extra->dflt && is_absent(f, at))
			schema_decode_constant(f, f->extra->dflt, a, at);
		if (f->kind == SCHEMA_MESSAGE)
			default_values(f, at, a);
		else if (f->kind == SCHEMA_QUANTITY && f->shape == SCHEMA_MAP && f->extra &&
			 f->extra->go_type && strcmp(f->extra->go_type, "v1.ResourceList") == 0)
			round_resources(at, a);
	}
}
